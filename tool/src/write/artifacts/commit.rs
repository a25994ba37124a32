//! How an artifact is written.
//!
//! The artifact's own item decides: it holds the document, and lists everything else that belongs to the
//! artifact. What it does not list counts for nothing, wherever it lies. Every write gives the item a new
//! `writer`, a random text.
//!
//! A writer reads the artifact's pointer and its item, works out the new item, and commits: one transaction
//! with the new item, and with all that must change together with it (a key, stand-ins that give way, last deploys). An item
//! that is replaced where it lies must still have the `writer` that was read. In every other case (the artifact
//! is new, it moves to another digest or time, its pointer was lost) the pointer is written too, and must have
//! the `writer` that was read, or still be missing: the pointer's key is made of the artifact's id alone, so
//! two such writers meet there. Whoever is refused begins anew.
//!
//! The parts of the document and new entries are in the same transaction. Where they do not fit into it (more
//! than 4 MB, or more than 100 writes) they are written beside:
//!
//! | step | what is written | what a crash after it leaves | who heals that |
//! | --- | --- | --- | --- |
//! | 1. last deploys | those that change, without an end (`last_deploys.rs`) | readers look once more than they would have to | there is nothing to heal; the next deploy there sets it right |
//! | 2. beside | parts and new entries, under keys that hold this writer's nonce and so are nobody else's | the artifact as it was, and what no item lists: readers pass over it | there is nothing to heal; `reindex` removes it |
//! | 3. commit | one transaction, as above | the new artifact, whole, and parts and entries of the old one, which no item lists any more | as above |
//! | 4. ends | the ends of last deploys that this writer wrote last | as after step 1 | as there |
//! | 5. cleaning | what the old item listed and the new one does not is removed; after a refusal, what was put beside | the artifact as it should be | there is nothing to heal |
//!
//! A writer that does not know whether its commit was made cleans nothing. DynamoDB takes a transaction that is
//! sent again with the same token as the same one. Whoever is refused all the same reads the item first: if it
//! bears this writer, the commit was made.

use std::collections::{BTreeMap, BTreeSet};

use delivery_center::store::StoreError;
use delivery_center::store::artifacts::found_by::hex;
use delivery_center::store::items::{Item, Subject, entry_of, text};
use delivery_center::store::keys::{ARTIFACT_HASH, WRITER, artifact_key_in};

use super::giving_way::HandedOver;
use super::last_deploys::{DeploysChange, LastDeploy, deploys_of};
use super::packing::PackedArtifact;
use super::recording::KeyItem;
use super::stored::{ArtifactState, gave_way_to, key_of, listed_entries, listed_keys};
use crate::record::{Artifact, Recorded};
use crate::write::Writer;
use crate::write::batch_write::{delete, put};
use crate::write::transaction::{Condition, Write, nonce};

/// An artifact to be written.
pub struct Commit<'a> {
    /// The artifact as it was read.
    pub state: &'a ArtifactState,
    /// The artifact as it is to be, with what pipelines recorded.
    pub artifact: &'a PackedArtifact,
    /// The revision of the record that the last import brought.
    pub source: Option<&'a str>,
    /// What gives way to it.
    pub handed_over: HandedOver,
    /// The idempotency key of the fact that is added.
    pub idempotency_key: Option<&'a KeyItem>,
    /// The last deploys by which it was decided what to write.
    pub last_deploys: Vec<LastDeploy>,
    /// Whether to write even those entries that the artifact's item lists already.
    pub lists_anew: bool,
}

impl<'a> Commit<'a> {
    /// A change of what pipelines recorded of an artifact.
    pub fn of(state: &'a ArtifactState, artifact: &'a PackedArtifact) -> Self {
        Self {
            state,
            artifact,
            source: state.source.as_deref(),
            handed_over: HandedOver::default(),
            idempotency_key: None,
            last_deploys: Vec::new(),
            lists_anew: false,
        }
    }
}

impl Writer {
    /// Writes an artifact, on the condition that it is as it was read; otherwise nothing is written, and the
    /// result is false.
    ///
    /// # Errors
    /// DynamoDB fails, or refuses the request.
    pub async fn commit(&self, commit: Commit<'_>) -> Result<bool, StoreError> {
        let Commit { state, artifact, source, handed_over, idempotency_key, last_deploys, lists_anew } =
            commit;
        let (table, id) = (self.artifacts_table.as_str(), artifact.artifact.artifact_id.as_str());
        let writer = nonce();
        let listed = if lists_anew { BTreeMap::new() } else { listed_entries(state.item.as_ref()) };
        let (item, listed) = artifact.laid_out(writer, &listed, source);
        let (old, new) = (listed_keys(id, state.item.as_ref()), names(&listed));
        let old_names = names(&old);
        let beside: Vec<_> = listed.into_iter().filter(|item| !old_names.contains(&entry_of(item))).collect();
        let unlisted = old.into_iter().filter(|key| !new.contains(&entry_of(key)));
        let unneeded: Vec<_> = unlisted.chain(handed_over.garbage).collect();
        let key = key_of(&item);
        let mut deployed = handed_over.deploys;
        deployed.extend(state.artifact.as_ref().map(deploys_of).unwrap_or_default());
        let deploys =
            DeploysChange { artifact_id: id, old: &deployed, new: &artifact.deploys, all: lists_anew };
        let last_deploys = self.changed_last_deploys(&deploys, last_deploys).await?;
        let mut commit = replacing(state, item, artifact.pointer(&hex(writer)));
        commit.extend(handed_over.writes);
        commit.extend(idempotency_key.map(|key| key.write(id, writer)));
        let puts = beside.iter().map(|item| Write::Put(item.clone(), None));
        let deletes = unneeded.iter().map(|key| Write::Delete(key.clone(), None));
        let all: Vec<_> = commit
            .iter()
            .cloned()
            .chain(last_deploys.in_commit(&hex(writer)))
            .chain(puts)
            .chain(deletes)
            .collect();
        if self.fit_into_one_transaction(&all) {
            return self.transact(table, ARTIFACT_HASH, all).await;
        }
        for writes in last_deploys.before_commit(&hex(writer)).chunks(self.writes_per_transaction) {
            if !self.transact(table, ARTIFACT_HASH, writes.to_vec()).await? {
                return Ok(false);
            }
        }
        self.batch_write(table, beside.iter().cloned().map(put).collect()).await?;
        if self.transact(table, ARTIFACT_HASH, commit).await? {
            for end in last_deploys.behind_commit(&hex(writer)) {
                // Where somebody wrote the last deploy meanwhile, it is theirs to say whether it ended.
                self.transact(table, ARTIFACT_HASH, vec![end]).await?;
            }
            self.batch_write(table, unneeded.into_iter().map(delete).collect()).await?;
            return Ok(true);
        }
        // Somebody who read this writer's item, made by a request that it gave up on, may list what it put.
        let now = self.items_at(vec![key]).await?.pop();
        if now.as_ref().and_then(|now| now.get(WRITER)) == Some(&text(hex(writer))) {
            return Ok(true);
        }
        let listed = names(&listed_keys(id, now.as_ref()));
        let left = beside.iter().filter(|item| !listed.contains(&entry_of(item))).map(key_of);
        self.batch_write(table, left.map(delete).collect()).await?;
        Ok(false)
    }

    /// Packs an artifact with what pipelines recorded of it.
    pub(super) fn packed(
        &self,
        artifact: &Artifact,
        recorded: Recorded,
    ) -> Result<PackedArtifact, StoreError> {
        PackedArtifact::with_recorded(artifact, recorded).map_err(|unstorable| StoreError::Unstorable {
            table: self.artifacts_table.clone(),
            record: Subject::Artifact(&artifact.artifact_id).to_string(),
            reason: unstorable.to_string(),
        })
    }
}

/// The range keys of items.
pub(super) fn names(items: &[Item]) -> BTreeSet<String> {
    items.iter().map(entry_of).collect()
}

/// The writes that replace an artifact's item, on the conditions that the top of this file names.
fn replacing(state: &ArtifactState, item: Item, pointer: Item) -> Vec<Write> {
    let key = key_of(&item);
    let as_read = |item: &Item| Condition::as_read(Some(item), WRITER);
    let there = state.item.as_ref().filter(|there| key_of(there) == key);
    let is_named = gave_way_to(state.pointer.as_ref()).is_none()
        && state.pointer.as_ref().and_then(artifact_key_in).as_ref() == Some(&key);
    let mut writes = vec![Write::Put(item, there.map(as_read))];
    if there.is_none() || !is_named {
        writes.push(Write::Put(pointer, Some(Condition::as_read(state.pointer.as_ref(), WRITER))));
    }
    if let Some(old) = state.item.as_ref().filter(|_| there.is_none()) {
        writes.push(Write::Delete(key_of(old), Some(as_read(old))));
    }
    writes
}
