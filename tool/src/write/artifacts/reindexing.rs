//! Mends what `reindex` finds wrong with artifacts.
//!
//! An artifact whose pointer, entries or form are not as this version writes them is written anew. Items that
//! were left at an old place are removed, and so are parts, entries and facts that no pointer names.
//! Artifacts must be mended before facts are looked at: a lost pointer lists its facts again only then.
//!
//! Nearly every write is on the condition that the artifact's pointer is as it was read, so that imports and
//! pipelines may write at the same time.

use delivery_center::position::Position;
use delivery_center::store::items::{Attributes, Item, Subject};
use delivery_center::store::keys::{
    ARTIFACT_HASH, FACT_PREFIX, PART_PREFIX, artifact_key, artifact_position, fact_key, pointer_key,
    read_found_by_entry,
};
use delivery_center::store::{ItemsPage, MAX_KEYS_PER_CALL, StoreError, Unavailability, Usage, projected};

use super::fact_items::ReadableFact;
use super::packing::PackedArtifact;
use super::pointer::{KeptPointer, Pointer};
use super::state::{ArtifactState, FoundArtifact};
use super::writing::ArtifactWrite;
use crate::record::{Artifact, Record};
use crate::write::Writer;
use crate::write::batch_write::Mode;
use crate::write::transaction::{Condition, Transacted, Write};

/// An item of the Artifacts table, by its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactEntry {
    hash_key: String,
    entry: String,
}

/// Where a scan of the artifacts goes on.
#[derive(Debug, Clone)]
pub struct ArtifactScan(Item);

/// What became of an item that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mended {
    /// It is as it should be.
    Unchanged,
    /// An artifact was written anew, or its pointer.
    Artifact,
    /// It was left behind, and was removed.
    Removed,
    /// Somebody wrote the artifact meanwhile: look again.
    Overtaken,
}

impl ArtifactEntry {
    /// Whether it is an artifact's own item.
    pub fn is_artifact(&self) -> bool {
        self.position().is_some()
    }

    /// Its time and id; `None` where it is no artifact.
    pub fn position(&self) -> Option<Position> {
        artifact_position(&self.entry)
    }

    fn key(&self) -> Item {
        artifact_key(&self.hash_key, &self.entry)
    }
}

impl Writer {
    /// One page of the keys in a segment of the table, and where the next page begins.
    ///
    /// # Errors
    /// DynamoDB fails, or refuses the request.
    pub async fn scan_artifact_entries(
        &self,
        segment: i32,
        start: Option<ArtifactScan>,
    ) -> Result<(Vec<ArtifactEntry>, Option<ArtifactScan>), StoreError> {
        let table = self.artifacts_table.as_str();
        let scan = self
            .scan_of_segment(segment, start.map(|ArtifactScan(start)| start))
            .projection_expression("image_digest, #entry")
            .expression_attribute_names("#entry", "entry");
        let ItemsPage { items, next } = self.scan_page(table, scan).await?;
        let entry = |item| {
            let mut attributes = Attributes::new(item, table, Subject::SomeItem);
            let (hash_key, entry) = (attributes.text(ARTIFACT_HASH)?, attributes.text("entry")?);
            Ok(ArtifactEntry { hash_key, entry })
        };
        let entries = items.into_iter().map(entry).collect::<Result<_, StoreError>>()?;
        Ok((entries, next.map(ArtifactScan)))
    }

    /// Looks at one item, and mends what is wrong with it.
    ///
    /// # Errors
    /// DynamoDB fails or refuses the request, or an artifact cannot be read.
    pub async fn mend_artifact_entry(&self, entry: &ArtifactEntry, mode: Mode) -> Result<Mended, StoreError> {
        if let Some(position) = artifact_position(&entry.entry) {
            return self.mend_artifact(entry, position.id(), mode).await;
        }
        if let Some(artifact_id) = entry.entry.strip_prefix(PART_PREFIX).and_then(id_of_part) {
            return self.mend_part(entry, artifact_id, mode).await;
        }
        if let Some((artifact_id, digest)) = read_found_by_entry(&entry.entry) {
            return self.mend_found_by(entry, artifact_id, digest, mode).await;
        }
        if let Some(digest) = entry.hash_key.strip_prefix(FACT_PREFIX) {
            return self.mend_fact(entry, digest, mode).await;
        }
        Ok(Mended::Unchanged)
    }

    async fn mend_artifact(&self, entry: &ArtifactEntry, id: &str, mode: Mode) -> Result<Mended, StoreError> {
        let table = self.artifacts_table.as_str();
        let [kept, item] = self.items_at([Some(&pointer_key(id)), Some(&entry.key())]).await?;
        let Some(mut item) = item else { return Ok(Mended::Unchanged) };
        let (kept, is_readable) = match KeptPointer::read(kept, table, Subject::Artifact(id)) {
            Ok(kept) => (kept, true),
            Err(unreadable) => (*unreadable.overwriting, false),
        };
        if let Some(place) = kept.pointer.place.as_ref().filter(|place| !place.has(&item)) {
            let [named] = self.items_at([Some(&place.key())]).await?;
            match named {
                Some(_) if place.key() != entry.key() => {
                    return self.remove(entry, None, id, &kept, mode).await;
                }
                Some(named) => item = named,
                None => {}
            }
        }
        let (place, json) = self.stored_at(item).await?;
        let artifact = self.checked(id, &json)?;
        let recorded = if is_readable && kept.pointer.place.is_some() {
            self.readable_facts(&kept.pointer.recorded).await?
        } else {
            self.facts_of(id, Some(&artifact)).await?
        };
        let unreadable =
            |reason: String| Attributes::new(Item::new(), table, Subject::Artifact(id)).unreadable(reason);
        let lost: Vec<_> = kept
            .pointer
            .recorded
            .iter()
            .filter(|fact| is_readable && !recorded.contains(fact))
            .cloned()
            .collect();
        let packed =
            PackedArtifact::new(artifact).map_err(|unstorable| unreadable(unstorable.to_string()))?;
        let wanted = Pointer { recorded: recorded.clone(), ..Pointer::to(Some(packed.place.clone())) };
        if kept.pointer == wanted && packed.place == place && self.has_all_entries(&packed).await? {
            return Ok(Mended::Unchanged);
        }
        if mode == Mode::DryRun {
            return Ok(Mended::Artifact);
        }
        // The write cleans up at stale places. The place where the artifact was found is one of them, if the
        // pointer does not name it.
        let mut from = kept;
        if from.pointer.place.as_ref() != Some(&place) {
            from.pointer.stale.push(place);
        }
        let write = ArtifactWrite {
            kept: &from,
            artifact: &packed,
            recorded,
            other_writes: Vec::new(),
            unneeded: Vec::new(),
            with_known_entries: true,
        };
        match self.write_artifact(write).await? {
            Transacted::Refused(_) => Ok(Mended::Overtaken),
            Transacted::Done if lost.is_empty() => Ok(Mended::Artifact),
            // This is reported only once, since the pointer is as it should be from now on.
            Transacted::Done => Err(unreadable(format!(
                "the facts {} that its pointer listed are gone or cannot be read, and are no longer listed; their activities \
                 stay, as if they had been imported",
                lost.join(", ")
            ))),
        }
    }

    /// Whether all `found-by` entries of an artifact are there.
    async fn has_all_entries(&self, artifact: &PackedArtifact) -> Result<bool, StoreError> {
        let keys: Vec<_> = artifact.place.entry_keys_not_at(artifact.artifact_id(), None);
        let mut found = 0;
        for keys in keys.chunks(MAX_KEYS_PER_CALL) {
            let request = projected(keys.to_vec(), "#entry", true);
            found += self.store.batch_get(&self.artifacts_table, request, &Usage::default()).await?.len();
        }
        Ok(found == keys.len())
    }

    async fn mend_found_by(
        &self,
        entry: &ArtifactEntry,
        id: &str,
        digest: &str,
        mode: Mode,
    ) -> Result<Mended, StoreError> {
        let kept = self.pointer(id).await?;
        let mut places = kept.pointer.place.iter().chain(&kept.pointer.stale);
        let is_named = places.any(|place| {
            place.image_digest == entry.hash_key && place.found_by.iter().any(|named| named == digest)
        });
        if is_named { Ok(Mended::Unchanged) } else { self.remove(entry, None, id, &kept, mode).await }
    }

    async fn mend_part(&self, entry: &ArtifactEntry, id: &str, mode: Mode) -> Result<Mended, StoreError> {
        let kept = self.pointer(id).await?;
        let places = kept.pointer.place.iter().chain(&kept.pointer.stale);
        let is_named = places.flat_map(|place| place.part_keys(id)).any(|key| key == entry.key());
        if is_named { Ok(Mended::Unchanged) } else { self.remove(entry, None, id, &kept, mode).await }
    }

    async fn mend_fact(&self, entry: &ArtifactEntry, digest: &str, mode: Mode) -> Result<Mended, StoreError> {
        let [item] = self.items_at([Some(&entry.key())]).await?;
        let Some(item) = item else { return Ok(Mended::Unchanged) };
        let mut fact = Attributes::new(item.clone(), &self.artifacts_table, Subject::Fact(digest));
        let named = fact.text("artifact_id").ok();
        let Some(ReadableFact { artifact_id: named, .. }) = self.readable_fact(item) else {
            return self.remove_spoiled_fact(entry, digest, named, mode).await;
        };
        let ArtifactState { artifact_id, kept, .. } =
            self.artifact_state(&FoundArtifact::by_id(named.clone())).await?;
        let is_held = kept.pointer.recorded.iter().any(|held| held == digest);
        // A pointer that was lost has been mended before, unless this is a dry run: then nobody knows whether
        // it would list the fact.
        let may_be_held = mode == Mode::DryRun && kept.condition == Condition::Absent;
        if is_held || may_be_held {
            return Ok(Mended::Unchanged);
        }
        // Somebody may record the fact of another artifact meanwhile; then it stays.
        let is_as_read = Condition::Has("artifact_id", named);
        self.remove(entry, Some(is_as_read), &artifact_id, &kept, mode).await
    }

    /// Removes a fact that cannot be read. No pointer lists it: where one did, the artifact was mended
    /// before.
    ///
    /// A pipeline may record the fact anew meanwhile. It reads the artifact's id out of the item first, and
    /// fails where that is spoiled. Otherwise its write changes that id, or the pointer of the artifact that
    /// the id names.
    async fn remove_spoiled_fact(
        &self,
        entry: &ArtifactEntry,
        digest: &str,
        named: Option<String>,
        mode: Mode,
    ) -> Result<Mended, StoreError> {
        if mode == Mode::DryRun {
            return Ok(Mended::Removed);
        }
        let Some(named) = named else {
            let writes = vec![Write::Delete(entry.key(), None)];
            self.transact(&self.artifacts_table, ARTIFACT_HASH, writes).await?;
            return Ok(Mended::Removed);
        };
        let kept = self.pointer(&named).await?;
        if kept.pointer.recorded.iter().any(|listed| listed == digest) {
            return self.listed_fact(entry, digest).await;
        }
        let is_as_read = Condition::Has("artifact_id", named.clone());
        self.remove(entry, Some(is_as_read), &named, &kept, mode).await
    }

    /// Looks again at a fact that could not be read, and that a pointer lists: either it was recorded anew
    /// meanwhile, or its artifact could not be mended.
    async fn listed_fact(&self, entry: &ArtifactEntry, digest: &str) -> Result<Mended, StoreError> {
        let [item] = self.items_at([Some(&entry.key())]).await?;
        let Some(item) = item else { return Ok(Mended::Unchanged) };
        if self.readable_fact(item).is_some() {
            return Ok(Mended::Unchanged);
        }
        let fact = Attributes::new(Item::new(), &self.artifacts_table, Subject::Fact(digest));
        Err(fact.unreadable(
            "an attribute of it is spoiled, and the pointer of an artifact that cannot be mended lists it",
        ))
    }

    /// Removes an item, on the condition that the artifact's pointer is as it was read.
    async fn remove(
        &self,
        entry: &ArtifactEntry,
        condition: Option<Condition>,
        id: &str,
        kept: &KeptPointer,
        mode: Mode,
    ) -> Result<Mended, StoreError> {
        if mode == Mode::DryRun {
            return Ok(Mended::Removed);
        }
        let check = Write::Check(pointer_key(id), kept.condition.clone());
        let writes = vec![check, Write::Delete(entry.key(), condition)];
        Ok(match self.transact(&self.artifacts_table, ARTIFACT_HASH, writes).await? {
            Transacted::Done => Mended::Removed,
            Transacted::Refused(_) => Mended::Overtaken,
        })
    }

    /// The error for artifacts that others keep writing.
    pub fn artifacts_changed(&self) -> StoreError {
        StoreError::unavailable(&self.artifacts_table, Unavailability::ChangesTooFast)
    }

    fn checked(&self, id: &str, json: &str) -> Result<Artifact, StoreError> {
        let unreadable = |reason: String| {
            Attributes::new(Item::new(), &self.artifacts_table, Subject::Artifact(id)).unreadable(reason)
        };
        match Record::check(json.as_bytes()) {
            Ok(Record::Artifact(artifact)) => Ok(*artifact),
            Ok(Record::Release(_)) => Err(unreadable("it is stored as a release".to_owned())),
            Err(problem) => Err(unreadable(problem.to_string())),
        }
    }

    /// The digests of those facts that are there and can be read.
    async fn readable_facts(&self, digests: &[String]) -> Result<Vec<String>, StoreError> {
        let mut present = Vec::with_capacity(digests.len());
        for digest in digests {
            let [item] = self.items_at([Some(&fact_key(digest))]).await?;
            let fact = item.map(|item| self.readable_fact(item));
            present.extend(fact.flatten().map(|_| digest.clone()));
        }
        Ok(present)
    }
}

/// The artifact's id in a part's range key without its prefix. The id itself may hold a `#`.
fn id_of_part(rest: &str) -> Option<&str> {
    rest.rsplitn(3, '#').nth(2)
}
