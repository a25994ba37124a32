//! Mends what `reindex` finds wrong with artifacts.
//!
//! What a crash leaves is never answered: an artifact's own item says what counts. So there is little to look
//! for, and most of it comes about only where items were damaged:
//!
//! | what | how it comes about | what is done |
//! | --- | --- | --- |
//! | an artifact whose item is not as this version lays it out, or whose pointer or entries are missing or spoiled | an earlier version; damage | it is written anew, with its entries |
//! | an item that its artifact's pointer does not name | the pointer was lost, and the artifact written again, or made to give way | the item that counts takes over what was recorded of it, and it is removed |
//! | parts and entries that no item lists | a crash | they are removed |
//! | a last deploy that an artifact's deploy does not agree with, or that says of one that it ended which did not | damage; an unreadable artifact that was written over with its deploys | it is brought forward, or its end is taken away |
//!
//! A key whose artifact no longer holds the fact stays: it leads to nothing, and whoever records the fact again
//! writes it anew.
//!
//! Writers may be at work at the same time. What lies beside an artifact is listed **before** the artifact is
//! read, and what is to be removed is removed only after a commit of its own: whoever had put it there, and was
//! about to commit, is refused then, and begins anew.

use std::collections::BTreeMap;

use delivery_center::position::Position;
use delivery_center::store::StoreError;
use delivery_center::store::artifacts::found_by::hex;
use delivery_center::store::items::{Item, entry_of, text};
use delivery_center::store::keys::{
    ARTIFACT_HASH, ENVIRONMENT_PREFIX, FOUND_BY_PREFIX, ID_PREFIX, PART_PREFIX, WRITER, artifact_entry,
    artifact_key, artifact_key_in, artifact_position, id_hash_key, pointer_key,
};

use super::commit::{Commit, names};
use super::giving_way::HandedOver;
use super::last_deploys::{Destination, LastDeploy};
use super::packing::PackedArtifact;
use super::stored::{ArtifactState, gave_way_to, key_of, listed_entries, listed_keys};
use crate::write::Writer;
use crate::write::batch_write::{Mode, delete};
use crate::write::compare::{Comparison, compare};
use crate::write::transaction::{Condition, Write, nonce};

/// Something in the table of artifacts that is looked at: an artifact's own item, or what lies beside a pointer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactEntry {
    pub(in crate::write) hash_key: String,
    /// Its time and id; `None` where it is no artifact.
    pub position: Option<Position>,
}

/// What became of what was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mended {
    /// It is as it should be.
    Unchanged,
    /// An artifact was written anew.
    Artifact,
    /// So many items were left behind, and were removed.
    Removed(usize),
    /// Somebody wrote the artifact meanwhile: look again.
    Overtaken,
}

impl Writer {
    /// Looks at one of these, and mends what is wrong with it.
    ///
    /// # Errors
    /// DynamoDB fails or refuses the request, or an artifact cannot be read.
    pub async fn mend_artifact_entry(&self, entry: &ArtifactEntry, mode: Mode) -> Result<Mended, StoreError> {
        match (&entry.position, entry.hash_key.strip_prefix(ID_PREFIX)) {
            (Some(position), _) => {
                let key = artifact_key(&entry.hash_key, &artifact_entry(position));
                self.mend_artifact(position.id(), key, mode).await
            }
            (None, Some(id)) => self.mend_beside(id, mode).await,
            (None, None) if entry.hash_key.starts_with(ENVIRONMENT_PREFIX) => {
                Ok(match self.mend_ends(&entry.hash_key, mode).await? {
                    None => Mended::Overtaken,
                    Some(0) => Mended::Unchanged,
                    Some(_) => Mended::Artifact,
                })
            }
            (None, None) => Ok(Mended::Unchanged),
        }
    }

    async fn mend_artifact(&self, id: &str, key: Item, mode: Mode) -> Result<Mended, StoreError> {
        let pointer = self.items_at(vec![pointer_key(id)]).await?.pop();
        // Where it gave way, and its item is still there, the other artifact takes over what that holds.
        let counting = gave_way_to(pointer.as_ref()).map_or(id, String::as_str).to_owned();
        let beside = self.items_beside(&counting).await?;
        let seen_at = Some(&key).filter(|_| counting == id);
        let state = self.state_of(counting, seen_at).await?;
        let (Some(item), Some(artifact)) = (&state.item, &state.artifact) else {
            return Ok(Mended::Unchanged);
        };
        let mut handed_over = HandedOver::default();
        if key_of(item) != key
            && let Some(other) = self.items_at(vec![key.clone()]).await?.pop()
        {
            let read = std::slice::from_ref(&other);
            let mut of_other = self.unread_state(id.to_owned(), Some(&key), read).await?;
            self.read_item_of(&mut of_other).await?;
            handed_over.add(id, &other, of_other.recorded, of_other.artifact.as_ref());
        }
        let recorded = state.recorded.clone().and(std::mem::take(&mut handed_over.recorded));
        let packed = self.packed(artifact, recorded)?;
        let last_deploys = self.last_deploys(packed.deploys.keys().cloned().collect()).await?;
        let is_right = handed_over.writes.is_empty()
            && compare_artifact(&state, &packed, &beside, &last_deploys) == Comparison::Same;
        // What was put after the listing and before the reading is no fault.
        if !is_right && self.items_beside(&state.artifact_id).await? != beside {
            return Ok(Mended::Overtaken);
        }
        let mut known = names(&listed_keys(&state.artifact_id, Some(item)));
        known.extend(names(&handed_over.garbage));
        let garbage = beside.iter().filter(|item| !known.contains(&entry_of(item)));
        handed_over.garbage.extend(garbage.map(key_of));
        let mended = match handed_over.garbage.len() {
            0 if is_right => return Ok(Mended::Unchanged),
            garbage if is_right => Mended::Removed(garbage),
            _ => Mended::Artifact,
        };
        let lists_anew = !is_right;
        let commit = Commit { handed_over, last_deploys, lists_anew, ..Commit::of(&state, &packed) };
        if mode == Mode::DryRun || self.commit(commit).await? { Ok(mended) } else { Ok(Mended::Overtaken) }
    }

    /// Looks at what lies beside a pointer whose artifact is not there. (Where the artifact is there, it is
    /// looked at with its own item.)
    async fn mend_beside(&self, id: &str, mode: Mode) -> Result<Mended, StoreError> {
        let beside = self.items_beside(id).await?;
        if beside.is_empty() {
            return Ok(Mended::Unchanged);
        }
        let pointer = self.items_at(vec![pointer_key(id)]).await?.pop();
        // Where the pointer was lost, the artifact may be where its entries and parts say that it is.
        let mut places: Vec<_> = pointer.iter().chain(&beside).filter_map(artifact_key_in).collect();
        places.dedup();
        for place in places {
            if !self.items_at(vec![place]).await?.is_empty() {
                return Ok(Mended::Unchanged);
            }
        }
        if mode == Mode::Write {
            // Whoever is about to write the artifact for the first time is refused by this pointer.
            let mut fence = pointer.clone().unwrap_or_else(|| pointer_key(id));
            fence.insert(WRITER.to_owned(), text(hex(nonce())));
            let fence = Write::Put(fence, Some(Condition::as_read(pointer.as_ref(), WRITER)));
            if !self.transact(&self.artifacts_table, ARTIFACT_HASH, vec![fence]).await? {
                return Ok(Mended::Overtaken);
            }
            let removed = beside.iter().map(|item| delete(key_of(item))).collect();
            self.batch_write(&self.artifacts_table, removed).await?;
        }
        Ok(Mended::Removed(beside.len()))
    }

    /// The parts and entries that lie beside an artifact's pointer; of the parts, not their pieces of the
    /// document.
    pub(in crate::write) async fn items_beside(&self, artifact_id: &str) -> Result<Vec<Item>, StoreError> {
        let attributes =
            "image_digest, #entry, image, #position, commits, #until, artifact_digest, artifact_entry";
        let (table, hash_key) = (&self.artifacts_table, id_hash_key(artifact_id));
        let mut items = self.partition_of(table, ARTIFACT_HASH, &hash_key, Some(attributes)).await?;
        items.retain(|item| {
            [PART_PREFIX, FOUND_BY_PREFIX].iter().any(|prefix| entry_of(item).starts_with(prefix))
        });
        Ok(items)
    }
}

/// Compares an artifact's item, pointer and entries with those that a writer would put now.
pub(in crate::write) fn compare_artifact(
    state: &ArtifactState,
    artifact: &PackedArtifact,
    beside: &[Item],
    last_deploys: &[LastDeploy],
) -> Comparison {
    let listed = listed_entries(state.item.as_ref());
    let (item, mut wanted) = artifact.laid_out(nonce(), &listed, state.source.as_deref());
    wanted.retain(|item| entry_of(item).starts_with(FOUND_BY_PREFIX));
    wanted.extend([item, artifact.pointer("")]);
    let by_entry =
        |items: Vec<Item>| items.into_iter().map(|item| (entry_of(&item), item)).collect::<BTreeMap<_, _>>();
    let wanted = by_entry(wanted);
    let mut stored = by_entry(beside.iter().chain(&state.item).chain(&state.pointer).cloned().collect());
    // What no item lists is no difference.
    stored.retain(|entry, _| wanted.contains_key(entry) || artifact_position(entry).is_some());
    let disagrees = |last: &&LastDeploy| !last.agrees_with(&artifact.deploys[&last.destination]);
    match (compare(&wanted, &stored), last_deploys.iter().find(disagrees)) {
        (Comparison::Same, Some(LastDeploy { destination: Destination { env_name, .. }, .. })) => {
            Comparison::Differs(format!("what runs in {env_name:?} does not know of its deploy: run reindex"))
        }
        (comparison, _) => comparison,
    }
}
