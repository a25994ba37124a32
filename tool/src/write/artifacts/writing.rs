//! Writes artifacts, and moves those whose digest or time changed.
//!
//! All writers of an artifact agree on its pointer. The pointer's key is made of the artifact's id alone, so
//! the pointer stays where it is while the artifact's own item moves to another digest or time. A writer
//! reads the pointer and everything else consistently, works out what to write, and writes on the condition
//! that the pointer is as it was read. Every change of the artifact changes the pointer, since that names the
//! revision, the entries and the facts. Where the pointer is no longer as it was read, somebody else has
//! written meanwhile, and the writer begins anew.
//!
//! What fits into one transaction is written in one: the pointer, the item at its new place, the removal of
//! the item at the old place, parts, `found-by` entries, a recorded fact, and stand-ins that give way. Then
//! there is nothing between before and after, and the artifact is never at two places and never at none.
//!
//! What does not fit (parts of more than 4 MB together, or a hundred new entries) is written in steps:
//!
//! | step | what is written | what a crash after it leaves | who heals that |
//! | --- | --- | --- | --- |
//! | 1. claim | the pointer names this writer, and the new place among its *stale* places, where something of the artifact may lie | the artifact as it was | there is nothing to heal |
//! | 2. parts and entries | the parts of the new revision, whose keys no other revision has, and `found-by` entries, which count only where the item lists them | the artifact as it was, and parts and entries that readers pass over. The pointer names their place, so they can be found | the next writer of the artifact, or `reindex` |
//! | 3. commit | in one transaction, where the pointer is still the claimed one: the item at its new place, no item at the old one, the pointer, facts, and stand-ins that give way | the new artifact, whole, and parts and entries of the old one, whose place the pointer names as stale | as above |
//! | 4. cleaning | what is stale is removed, in transactions that check the pointer; the last one makes the pointer name nothing stale | the new artifact | there is nothing to heal |

use delivery_center::store::items::{Attributes, Item, Subject};
use delivery_center::store::keys::{ARTIFACT_HASH, fact_key, pointer_key};
use delivery_center::store::{StoreError, Unavailability};
use futures_util::stream::{self, StreamExt as _};

use super::giving_way::{HandedOver, possible_stand_ins};
use super::packing::PackedArtifact;
use super::pointer::{KeptPointer, Place, Pointer};
use super::state::FoundArtifact;
use crate::record::{Record, RecordedActivity};
use crate::retries::{CONTENDED_RECORD, Patience};
use crate::write::Writer;
use crate::write::batch_write::{Mode, Outcome, put};
use crate::write::transaction::{Transacted, Write, nonce};

/// How many artifacts are written side by side.
const ARTIFACTS_AT_ONCE: usize = 16;

/// What becomes of the activities that pipelines recorded of an artifact when it is stored again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepRecorded {
    /// They stay, in addition to those of the new record.
    Yes,
    /// They are dropped, and may be recorded again.
    No,
}

/// What became of an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredOutcome {
    /// The same outcome that any record has.
    pub outcome: Outcome,
    /// How many recorded activities stayed.
    pub recorded_kept: usize,
}

/// One artifact to be written, and what is written with it.
pub(super) struct ArtifactWrite<'a> {
    /// The artifact's pointer as it was read.
    pub(super) kept: &'a KeptPointer,
    pub(super) artifact: &'a PackedArtifact,
    /// The digests of the facts that it holds.
    pub(super) recorded: Vec<String>,
    /// Writes that must be made in the same transaction as the pointer: of facts, and of stand-ins that give
    /// way.
    pub(super) other_writes: Vec<Write>,
    /// The keys of items that nobody needs any more once the artifact is written.
    pub(super) unneeded: Vec<Item>,
    /// Whether to write even those `found-by` entries that the pointer already lists.
    pub(super) with_known_entries: bool,
}

/// How an artifact is to be stored, worked out from what is stored. The fields are those of
/// [`ArtifactWrite`].
pub(in crate::write) struct Plan {
    kept: KeptPointer,
    pub(in crate::write) artifact: PackedArtifact,
    pub(in crate::write) recorded: Vec<String>,
    other_writes: Vec<Write>,
    unneeded: Vec<Item>,
    /// Whether it is stored like that already.
    is_stored: bool,
}

impl Writer {
    /// Stores artifacts, and removes them from the places where they were kept before.
    ///
    /// The outcomes are in the order of the artifacts. Where one is an error, that artifact is stored as it
    /// was before or as it should be, and storing it again completes it.
    pub async fn put_artifacts(
        &self,
        artifacts: &[PackedArtifact],
        mode: Mode,
        keep: KeepRecorded,
    ) -> Vec<Result<StoredOutcome, StoreError>> {
        let mut writes = Vec::with_capacity(artifacts.len());
        for artifact in artifacts {
            writes.push(self.put_artifact(artifact, mode, keep));
        }
        stream::iter(writes).buffered(ARTIFACTS_AT_ONCE).collect().await
    }

    /// Stores one artifact, and removes it from the place where it was kept before.
    ///
    /// # Errors
    /// DynamoDB fails, or refuses the request. Storing it again completes it.
    pub async fn put_artifact(
        &self,
        artifact: &PackedArtifact,
        mode: Mode,
        keep: KeepRecorded,
    ) -> Result<StoredOutcome, StoreError> {
        if keep == KeepRecorded::Yes
            && artifact.artifact.is_stand_in()
            && let Some(stored) = self.put_stand_in(artifact, mode).await?
        {
            return Ok(stored);
        }
        let mut patience = Patience::new(CONTENDED_RECORD);
        let mut outcome = None;
        loop {
            let plan = match self.plan(artifact, mode, keep).await {
                Err(error @ StoreError::Unavailable { reason: Unavailability::ChangesTooFast, .. }) => {
                    if patience.wait().await {
                        continue;
                    }
                    return Err(error);
                }
                plan => plan?,
            };
            let is_as_wanted = plan.is_stored && mode != Mode::Rewrite;
            let stored = StoredOutcome {
                outcome: *outcome.get_or_insert(if is_as_wanted {
                    Outcome::Unchanged
                } else {
                    Outcome::Stored
                }),
                recorded_kept: plan.recorded.len(),
            };
            if is_as_wanted {
                return Ok(stored);
            }
            if self.would_empty(artifact, &plan.kept).await? {
                return Ok(StoredOutcome { outcome: Outcome::WouldEmpty("activities"), ..stored });
            }
            if mode == Mode::DryRun {
                return Ok(stored);
            }
            let write = ArtifactWrite {
                kept: &plan.kept,
                artifact: &plan.artifact,
                recorded: plan.recorded,
                other_writes: plan.other_writes,
                unneeded: plan.unneeded,
                with_known_entries: mode == Mode::Rewrite,
            };
            if self.write_artifact(write).await? == Transacted::Done {
                return Ok(stored);
            }
            if !patience.wait().await {
                return Err(self.artifacts_changed());
            }
        }
    }

    /// Works out how an artifact is to be stored: with the activities that pipelines recorded of it, and with
    /// those of artifacts that stand for its image and now give way to it.
    pub(in crate::write) async fn plan(
        &self,
        artifact: &PackedArtifact,
        mode: Mode,
        keep: KeepRecorded,
    ) -> Result<Plan, StoreError> {
        let table = self.artifacts_table.as_str();
        let id = artifact.artifact_id();
        let stand_ins = possible_stand_ins(&artifact.artifact);
        let pointers = stand_ins.each_ref().map(|id| id.as_ref().map(|id| pointer_key(id)));
        let [of_image, of_digest, of_repository] = pointers.each_ref().map(Option::as_ref);
        let [kept, item, stand_in_pointers @ ..] = self
            .items_at([
                Some(&pointer_key(id)),
                Some(&artifact.place.key()),
                of_image,
                of_digest,
                of_repository,
            ])
            .await?;
        let (mut kept, is_readable) = match KeptPointer::read(kept, table, Subject::Artifact(id)) {
            Ok(kept) => (kept, true),
            Err(unreadable) if mode == Mode::Rewrite => (*unreadable.overwriting, false),
            Err(unreadable) => return Err(unreadable.error),
        };
        // Where the pointer was lost, the facts that it listed are still there, and are looked for.
        match &item {
            Some(item) if kept.pointer.place.is_none() => {
                kept.pointer.recorded = self.facts_of_found(id, item.clone()).await?;
            }
            None if !is_readable => kept.pointer.recorded = self.facts_of(id, None).await?,
            _ => {}
        }
        let mut recorded = kept.pointer.recorded.clone();
        let there = stand_ins
            .into_iter()
            .zip(stand_in_pointers)
            .filter_map(|(id, pointer)| id.filter(|_| pointer.is_some()));
        let HandedOver { facts, writes: other_writes, mut unneeded } =
            self.handed_over_by(there.collect(), id).await?;
        recorded.extend(facts.into_iter().filter(|fact| !kept.pointer.recorded.contains(fact)));
        if keep == KeepRecorded::No {
            unneeded.extend(recorded.drain(..).map(|digest| fact_key(&digest)));
        }
        let facts = match self.listed_facts(id, &recorded).await {
            // Somebody dropped what was recorded after the pointer was read.
            Err(_) if self.pointer(id).await.is_ok_and(|now| now.condition != kept.condition) => {
                return Err(StoreError::unavailable(table, Unavailability::ChangesTooFast));
            }
            facts => facts?,
        };
        let wanted = if facts.is_empty() { artifact.clone() } else { self.with_recorded(artifact, &facts)? };
        let item = if wanted.place.key() == artifact.place.key() {
            item
        } else {
            let [item] = self.items_at([Some(&wanted.place.key())]).await?;
            item
        };
        let revision = item.as_ref().and_then(|item| item.get("revision")?.as_s().ok());
        let pointer = Pointer { recorded: recorded.clone(), ..Pointer::to(Some(wanted.place.clone())) };
        let is_stored =
            revision == Some(&wanted.place.revision) && kept.pointer == pointer && other_writes.is_empty();
        Ok(Plan { kept, artifact: wanted, recorded, other_writes, unneeded, is_stored })
    }

    /// Adds recorded activities to an artifact, and packs it anew.
    pub(super) fn with_recorded(
        &self,
        artifact: &PackedArtifact,
        facts: &[RecordedActivity],
    ) -> Result<PackedArtifact, StoreError> {
        let unreadable = |reason: String| {
            let subject = Subject::Artifact(artifact.artifact_id());
            Attributes::new(Item::new(), &self.artifacts_table, subject).unreadable(reason)
        };
        let merged = artifact.artifact.with_recorded(facts);
        let merged = merged.map_err(|problem| unreadable(format!("what was recorded of it: {problem}")))?;
        PackedArtifact::new(merged).map_err(|unstorable| unreadable(unstorable.to_string()))
    }

    /// Whether storing an artifact would take all imported activities from it although it must not.
    ///
    /// A stored artifact that cannot be read has nothing that could be kept, so it may be replaced. Where the
    /// stored artifact was replaced meanwhile, the answer does not matter: the write is refused, and
    /// everything begins anew.
    async fn would_empty(&self, artifact: &PackedArtifact, kept: &KeptPointer) -> Result<bool, StoreError> {
        if artifact.may_empty || artifact.artifact.activities > 0 || kept.pointer.place.is_none() {
            return Ok(false);
        }
        let found = FoundArtifact::by_id(artifact.artifact_id().to_owned());
        let state = match self.artifact_state(&found).await {
            Ok(state) => state,
            Err(
                StoreError::UnreadableRecord { .. }
                | StoreError::Unavailable { reason: Unavailability::ChangesTooFast, .. },
            ) => return Ok(false),
            Err(error) => return Err(error),
        };
        let stored = state.json().map(|json| Record::check(json.as_bytes()));
        let Some(Ok(Record::Artifact(stored))) = stored else { return Ok(false) };
        Ok(stored.activities > kept.pointer.recorded.len())
    }

    /// Writes an artifact, on the condition that its pointer is as it was read: in one transaction where
    /// everything fits, and otherwise in the steps that the table at the top of this file explains.
    pub(super) async fn write_artifact(&self, write: ArtifactWrite<'_>) -> Result<Transacted, StoreError> {
        let ArtifactWrite { kept, artifact, recorded, other_writes, mut unneeded, with_known_entries } =
            write;
        let (id, place) = (artifact.artifact_id(), &artifact.place);
        let settled = Pointer { recorded, ..Pointer::to(Some(place.clone())) };
        settled.check_size(id, &self.artifacts_table)?;
        let known = kept.pointer.place.iter().chain(&kept.pointer.stale);
        let stale: Vec<_> = known.filter(|known| *known != place).cloned().collect();
        let old_places = stale.iter().filter(|stale| stale.key() != place.key());
        let mut old_keys = Vec::new();
        for key in old_places.map(Place::key) {
            // Several stale places may be the same item at different revisions, and a transaction may name it
            // once.
            if !old_keys.contains(&key) {
                old_keys.push(key);
            }
        }
        for stale in &stale {
            let entries = stale.entry_keys_not_at(id, Some(place));
            for key in stale.part_keys_not_at(id, place).into_iter().chain(entries) {
                if !unneeded.contains(&key) {
                    unneeded.push(key);
                }
            }
        }
        let there = kept.pointer.place.as_ref().filter(|_| !with_known_entries);
        let parts_and_entries: Vec<_> = artifact.parts().chain(artifact.entries_not_at(there)).collect();
        let pointer = Write::Put(settled.item(id), Some(kept.condition.clone()));
        let item = Write::Put(artifact.item.clone(), None);
        let commit: Vec<_> = [item]
            .into_iter()
            .chain(old_keys.into_iter().map(|key| Write::Delete(key, None)))
            .chain(other_writes)
            .collect();
        let put = parts_and_entries.iter().map(|item| Write::Put(item.clone(), None));
        let removed = unneeded.iter().map(|key| Write::Delete(key.clone(), None));
        let all: Vec<_> =
            std::iter::once(pointer).chain(commit.iter().cloned()).chain(put).chain(removed).collect();
        if self.fit_into_one_transaction(&all) {
            return self.transact(&self.artifacts_table, ARTIFACT_HASH, all).await;
        }
        self.write_in_steps(kept, id, parts_and_entries, (settled, stale), commit, unneeded).await
    }

    /// Writes an artifact in steps. `settled` is the pointer after the last step. The pointer that the commit
    /// writes names the `stale` places besides.
    async fn write_in_steps(
        &self,
        kept: &KeptPointer,
        id: &str,
        parts_and_entries: Vec<Item>,
        (settled, stale): (Pointer, Vec<Place>),
        commit: Vec<Write>,
        unneeded: Vec<Item>,
    ) -> Result<Transacted, StoreError> {
        let table = self.artifacts_table.as_str();
        let transact = |writes| self.transact(table, ARTIFACT_HASH, writes);
        // Step 1, claim.
        let mut claimed = kept.pointer.clone();
        claimed.stale.extend(settled.place.clone());
        claimed.writer = Some(nonce());
        let claim = Write::Put(claimed.item(id), Some(kept.condition.clone()));
        if let refused @ Transacted::Refused(_) = transact(vec![claim]).await? {
            return Ok(refused);
        }
        // Step 2, parts and entries.
        self.batch_write(table, parts_and_entries.into_iter().map(put).collect()).await?;
        // Step 3, commit.
        let committed = Pointer { stale, ..settled.clone() };
        let pointer = Write::Put(committed.item(id), Some(claimed.condition()));
        let commit = std::iter::once(pointer).chain(commit).collect();
        if let refused @ Transacted::Refused(_) = transact(commit).await? {
            return Ok(refused);
        }
        // Step 4, cleaning. The artifact is already stored as it should be. A writer that overtakes this one
        // here removes what the pointer names as stale. Readers pass over what no pointer names (the
        // leftovers of stand-ins), and `reindex` removes it.
        for keys in unneeded.chunks(self.writes_per_transaction - 1) {
            let check = Write::Check(pointer_key(id), committed.condition());
            let removed = keys.iter().map(|key| Write::Delete(key.clone(), None));
            if let Transacted::Refused(_) = transact(std::iter::once(check).chain(removed).collect()).await? {
                return Ok(Transacted::Done);
            }
        }
        transact(vec![Write::Put(settled.item(id), Some(committed.condition()))]).await?;
        Ok(Transacted::Done)
    }
}
