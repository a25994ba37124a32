//! Writes artifacts, and moves those whose digest or time changed.
//!
//! Every write of an artifact changes its pointer, and is made on the condition that the pointer is as it was read; where
//! it is not, somebody else has written meanwhile, and everything begins anew. What fits into one transaction is written
//! by one: the pointer, the item, its parts, the entries that find it, the removal of what gives way, a fact. There is nothing
//! between before and after.
//!
//! What does not fit (parts of more than 4 MB together, or a hundred new entries) is written in steps:
//!
//! | step | what a crash after it leaves | who heals that |
//! | --- | --- | --- |
//! | 1. claim: the pointer names this writer, and the new place among the stale ones | the artifact as it was | nothing is to be healed |
//! | 2. parts of the new revision, whose keys no other revision has, and entries, which count only where the item lists them | the same, and parts and entries that readers pass over and the pointer names | the next writer of the artifact, or `reindex` |
//! | 3. commit, in one transaction: the item at its new place and none at the old one, the pointer, facts | the new artifact, whole, and parts and entries of the old one, which the pointer names | as above |
//! | 4. removal of what is stale, in transactions that check the pointer; the last one makes it name none | the new artifact | nothing is to be healed |

use backon::BackoffBuilder as _;
use futures_util::stream::{self, StreamExt as _};

use super::giving_way::{Given, stand_ins};
use super::packing::PackedArtifact;
use super::pointer::{KeptPointer, Place, Pointer};
use super::state::FoundArtifact;
use crate::record::{Record, RecordedActivity};
use crate::store::Store;
use crate::store::batch_write::{CONTENDED_RECORD, Mode, Outcome, put};
use crate::store::error::{StoreError, Unavailability};
use crate::store::items::{Attributes, Item, Subject};
use crate::store::keys::{ARTIFACT_HASH, fact_key, pointer_key};
use crate::store::transaction::{Transacted, Write, nonce};

/// How many artifacts are written side by side.
const ARTIFACTS_AT_ONCE: usize = 16;

/// What becomes of the activities that pipelines recorded of an artifact which is stored anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepRecorded {
    /// They stay, beside those of the new record.
    Yes,
    /// They are dropped, and may be recorded again.
    No,
}

/// What became of an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredOutcome {
    /// As of any record.
    pub outcome: Outcome,
    /// How many recorded activities stayed.
    pub recorded_kept: usize,
}

/// One artifact to be written, and what is written with it.
pub(super) struct ArtifactWrite<'a> {
    pub(super) kept: &'a KeptPointer,
    pub(super) artifact: &'a PackedArtifact,
    /// The digests of the facts that it holds.
    pub(super) recorded: Vec<String>,
    pub(super) beside: Vec<Write>,
    /// The keys of what nobody needs any more once it is written.
    pub(super) unneeded: Vec<Item>,
    /// Whether the entries are written too that the pointer says are there.
    pub(super) with_known_entries: bool,
}

/// What an artifact is to be stored as, worked out from what is stored.
pub(in crate::store) struct Plan {
    kept: KeptPointer,
    pub(in crate::store) artifact: PackedArtifact,
    pub(in crate::store) recorded: Vec<String>,
    beside: Vec<Write>,
    /// The keys of what nobody needs any more once it is stored.
    unneeded: Vec<Item>,
    is_stored: bool,
}

impl Store {
    /// Stores artifacts, each wholly, and removes them from where they were kept before.
    ///
    /// Each has an outcome of its own, in their order. One whose outcome is an error is as it was, or written: storing it
    /// again completes it.
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

    /// Stores one artifact wholly.
    ///
    /// # Errors
    /// The table's; storing it again completes it.
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
        let mut waits = CONTENDED_RECORD.build();
        let mut outcome = None;
        loop {
            let plan = self.plan(artifact, mode, keep).await?;
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
                beside: plan.beside,
                unneeded: plan.unneeded,
                with_known_entries: mode == Mode::Rewrite,
            };
            if self.write_artifact(write).await? == Transacted::Done {
                return Ok(stored);
            }
            let Some(wait) = waits.next() else {
                return Err(StoreError::unavailable(&self.artifacts_table, Unavailability::ChangesTooFast));
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Works out what an artifact is to be stored as: with what pipelines recorded of it, and of the artifact that stands for
    /// its image, which gives way.
    pub(in crate::store) async fn plan(
        &self,
        artifact: &PackedArtifact,
        mode: Mode,
        keep: KeepRecorded,
    ) -> Result<Plan, StoreError> {
        let table = self.artifacts_table.as_str();
        let id = artifact.artifact_id();
        let stand_ins = stand_ins(&artifact.artifact);
        let pointers = stand_ins.each_ref().map(|id| id.as_ref().map(|id| pointer_key(id)));
        let [of_image, of_digest, of_repository] = pointers.each_ref().map(Option::as_ref);
        let [kept, item, stood @ ..] = self
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
        // Where the pointer was lost, the facts that it listed are not.
        match &item {
            Some(item) if kept.pointer.place.is_none() => {
                kept.pointer.recorded = self.facts_of_found(id, item.clone()).await?;
            }
            None if !is_readable => kept.pointer.recorded = self.facts_of(id, None).await?,
            _ => {}
        }
        let mut recorded = kept.pointer.recorded.clone();
        let there =
            stand_ins.into_iter().zip(stood).filter_map(|(id, pointer)| id.filter(|_| pointer.is_some()));
        let Given { facts, writes: beside, mut unneeded } = self.given_by(there.collect(), id).await?;
        recorded.extend(facts.into_iter().filter(|fact| !kept.pointer.recorded.contains(fact)));
        if keep == KeepRecorded::No {
            unneeded.extend(recorded.drain(..).map(|digest| fact_key(&digest)));
        }
        let facts = self.recorded(id, &recorded).await?;
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
            revision == Some(&wanted.place.revision) && kept.pointer == pointer && beside.is_empty();
        Ok(Plan { kept, artifact: wanted, recorded, beside, unneeded, is_stored })
    }

    /// An artifact packed anew, with what pipelines recorded of it.
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

    /// Whether storing an artifact would take the last imported activities from it, though it may not. What cannot be read
    /// holds nothing that could be kept; where it was replaced meanwhile, the write is refused and all of this begins anew.
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

    /// Writes an artifact while its pointer is as it was read.
    pub(super) async fn write_artifact(&self, write: ArtifactWrite<'_>) -> Result<Transacted, StoreError> {
        let ArtifactWrite { kept, artifact, recorded, beside, mut unneeded, with_known_entries } = write;
        let (id, place) = (artifact.artifact_id(), &artifact.place);
        let settled = Pointer { recorded, ..Pointer::to(Some(place.clone())) };
        settled.check_size(id, &self.artifacts_table)?;
        let known = kept.pointer.place.iter().chain(&kept.pointer.stale);
        let stale: Vec<_> = known.filter(|known| *known != place).cloned().collect();
        let moved = stale.iter().filter(|stale| stale.key() != place.key());
        let mut moved: Vec<_> = moved.map(|stale| Write::Delete(stale.key(), None)).collect();
        // Two stale places may be the same item at two revisions.
        moved.dedup_by(|one, other| one.key() == other.key());
        for stale in &stale {
            let entries = stale.entries_beside(id, Some(place));
            for key in stale.parts_beside(id, place).into_iter().chain(entries) {
                if !unneeded.contains(&key) {
                    unneeded.push(key);
                }
            }
        }
        let there = kept.pointer.place.as_ref().filter(|_| !with_known_entries);
        let beside_item: Vec<_> = artifact.parts().chain(artifact.entries_beside(there)).collect();
        let pointer = Write::Put(settled.item(id), Some(kept.condition.clone()));
        let item = Write::Put(artifact.item.clone(), None);
        let commit: Vec<_> = [item].into_iter().chain(moved).chain(beside).collect();
        let put = beside_item.iter().map(|item| Write::Put(item.clone(), None));
        let removed = unneeded.iter().map(|key| Write::Delete(key.clone(), None));
        let all: Vec<_> =
            std::iter::once(pointer).chain(commit.iter().cloned()).chain(put).chain(removed).collect();
        if self.fit_a_transaction(&all) {
            return self.transact(&self.artifacts_table, ARTIFACT_HASH, all).await;
        }
        self.write_in_steps(kept, id, beside_item, (settled, stale), commit, unneeded).await
    }

    async fn write_in_steps(
        &self,
        kept: &KeptPointer,
        id: &str,
        beside_item: Vec<Item>,
        (settled, stale): (Pointer, Vec<Place>),
        commit: Vec<Write>,
        unneeded: Vec<Item>,
    ) -> Result<Transacted, StoreError> {
        let table = self.artifacts_table.as_str();
        let transact = |writes| self.transact(table, ARTIFACT_HASH, writes);
        let mut claimed = kept.pointer.clone();
        claimed.stale.extend(settled.place.clone());
        claimed.writer = Some(nonce());
        let claim = Write::Put(claimed.item(id), Some(kept.condition.clone()));
        if let refused @ Transacted::Refused(_) = transact(vec![claim]).await? {
            return Ok(refused);
        }
        self.batch_write(table, beside_item.into_iter().map(put).collect()).await?;
        let committed = Pointer { stale, ..settled.clone() };
        let pointer = Write::Put(committed.item(id), Some(claimed.condition()));
        let commit = std::iter::once(pointer).chain(commit).collect();
        if let refused @ Transacted::Refused(_) = transact(commit).await? {
            return Ok(refused);
        }
        // The artifact is what it should be. Who overtakes this writer removes what is stale, which the pointer names; what no
        // pointer names counts for nothing, and `reindex` removes it.
        for keys in unneeded.chunks(self.writes_a_transaction - 1) {
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
