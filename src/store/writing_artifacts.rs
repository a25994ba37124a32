//! Writes artifacts, and moves those whose digest or time changed.
//!
//! The pointer, the item, its parts and what gives way are one transaction, under the condition that the pointer is still
//! the one that was read. What is more than one transaction holds is written in steps, each under that condition: the
//! pointer first, which names every place where anything of the artifact may be. So an interrupted write never leaves
//! an artifact in two places, writing again heals it, and of several writers one has written all of it in the end.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use aws_sdk_dynamodb::types::{Put, WriteRequest};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};

use super::artifacts::{artifact_entry, key, part_entry, whole};
use super::comparing::entry_of;
use super::recording::{in_transaction, write_put, written_in_spite_of};
use super::writing::{
    MAX_DOCUMENT_BYTES_AN_ITEM, MAX_HASH_KEY_BYTES, MAX_PARTS, MAX_RANGE_KEY_BYTES, Mode, Outcome,
    Unstorable, bytes, delete, note, put, revision, text, to_sdk, value_to_sdk,
};
use super::{
    Attributes, CHANGED, MAX_KEYS_A_BATCH, Meter, Record, WritableStore, Written, backoff, unavailable,
};
use crate::document::Document;
use crate::dynamodb::{AttributeValue, Batch, Item};
use crate::error::Error;
use crate::image_reference::{ImageDigest, repository};
use crate::position::Position;
use crate::record::Artifact;

pub(super) const POINTER_ENTRY: &str = "pointer";
/// What a transaction may write beside the pointer and the item: parts, and what gives way. DynamoDB takes 4 MB, and ten
/// writes are what every implementation of it takes.
const MAX_WRITES_BESIDE: usize = 8;
/// How many artifacts are written side by side.
const MAX_ARTIFACTS_AT_ONCE: usize = 16;
/// How often an artifact that others write too is begun anew.
const MAX_ROUNDS: u32 = 14;
const FIRST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// A part's entry has the longest fixed text: `part#`, the id, `#`, a revision, `#`, three digits.
const MAX_ID_BYTES: usize = MAX_RANGE_KEY_BYTES - 64;

/// An artifact packed and laid out as items.
#[derive(Debug, Clone)]
pub struct PackedArtifact {
    pub(super) artifact_id: String,
    pub(super) place: Place,
    pub(super) item: Item,
    parts: Vec<Vec<u8>>,
}

/// Where an artifact's items are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) image_digest: String,
    pub(super) entry: String,
    pub(super) revision: String,
    pub(super) parts: usize,
}

/// What an artifact's pointer says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pointer {
    pub(super) place: Place,
    /// Places that it was to be removed from.
    pub(super) stale: Vec<Place>,
}

impl PackedArtifact {
    /// Packs an artifact.
    ///
    /// # Errors
    /// [`Unstorable`], where its id or image is longer than a key can be, or the whole longer than can be stored.
    pub fn new(artifact: &Artifact) -> Result<Self, Unstorable> {
        check_length("id", &artifact.artifact_id, MAX_ID_BYTES)?;
        check_length("image", &artifact.image, MAX_HASH_KEY_BYTES - "image:".len())?;
        let document = Document::pack(&artifact.json).map_err(|too_long| Unstorable(too_long.to_string()))?;
        let mut stored = document.to_stored();
        let overflow = stored.split_off(stored.len().min(MAX_DOCUMENT_BYTES_AN_ITEM));
        let parts: Vec<_> = overflow.chunks(MAX_DOCUMENT_BYTES_AN_ITEM).map(<[u8]>::to_vec).collect();
        check_parts(parts.len())?;
        let position = Position::new(artifact.created_time, &artifact.artifact_id);
        let place = Place {
            image_digest: hash_key(artifact),
            entry: artifact_entry(&position),
            revision: revision(&[&artifact.json]),
            parts: parts.len(),
        };
        Ok(Self {
            artifact_id: artifact.artifact_id.clone(),
            item: item(artifact, &position, &place, stored),
            place,
            parts,
        })
    }

    /// The artifact's id.
    #[must_use]
    pub fn artifact_id(&self) -> &str {
        &self.artifact_id
    }

    /// Everything that is stored of it, by entry.
    pub(super) fn items(&self) -> HashMap<String, Item> {
        let items = self.parts().chain([self.item.clone(), self.pointer(Vec::new())]);
        items.map(|item| (entry_of(&item), item)).collect()
    }

    fn pointer_key(&self) -> Item {
        key(&format!("id:{}", self.artifact_id), POINTER_ENTRY)
    }

    pub(super) fn pointer(&self, stale: Vec<Place>) -> Item {
        let mut item = self.pointer_key();
        item.insert("kept".into(), text(self.kept(stale)));
        item
    }

    fn kept(&self, stale: Vec<Place>) -> String {
        let pointer = Pointer { place: self.place.clone(), stale };
        serde_json::to_string(&pointer).expect("texts and numbers always serialize")
    }

    pub(super) fn parts(&self) -> impl Iterator<Item = Item> {
        (1..).zip(&self.parts).map(|(number, part)| {
            let mut item =
                key(&self.place.image_digest, &part_entry(&self.artifact_id, &self.place.revision, number));
            item.insert("document".into(), bytes(part.clone()));
            item
        })
    }
}

fn check_length(name: &str, value: &str, limit: usize) -> Result<(), Unstorable> {
    if value.len() <= limit {
        return Ok(());
    }
    Err(Unstorable(format!("its {name} has {} bytes, and may have {limit}", value.len())))
}

fn check_parts(parts: usize) -> Result<(), Unstorable> {
    if parts <= MAX_PARTS {
        return Ok(());
    }
    Err(Unstorable(format!("it needs {parts} items of 400 KB, and may need {MAX_PARTS}")))
}

/// The digest, which the image may name too; what has none is kept under the image, or else under the id.
fn hash_key(artifact: &Artifact) -> String {
    let named = || artifact.image.split_once('@').and_then(|(_, digest)| ImageDigest::parse(digest));
    match ImageDigest::parse(&artifact.image_digest).or_else(named) {
        Some(digest) => digest.as_str().to_owned(),
        None if artifact.image.is_empty() => format!("id:{}", artifact.artifact_id),
        None => format!("image:{}", artifact.image),
    }
}

fn item(artifact: &Artifact, position: &Position, place: &Place, document: Vec<u8>) -> Item {
    let mut item = key(&place.image_digest, &place.entry);
    item.insert("position".into(), text(position.as_str()));
    item.insert("revision".into(), text(&place.revision));
    item.insert("document".into(), bytes(document));
    if place.parts > 0 {
        item.insert("parts".into(), AttributeValue::N(place.parts.to_string()));
    }
    if !artifact.image.is_empty() {
        item.insert("image".into(), text(&artifact.image));
        item.insert("repository".into(), text(repository(&artifact.image)));
    }
    // For whoever looks into the table; the endpoint does not read it.
    item.extend(note(&artifact.name).map(|name| ("name".into(), name)));
    item
}

impl Place {
    pub(super) fn key(&self) -> Item {
        key(&self.image_digest, &self.entry)
    }

    /// The hash and range keys of everything there that is not also at another place.
    fn keys_beside(&self, artifact_id: &str, other: &Self) -> Vec<(String, String)> {
        let is_elsewhere = self.image_digest != other.image_digest;
        let mut entries = Vec::new();
        if is_elsewhere || self.entry != other.entry {
            entries.push(self.entry.clone());
        }
        if is_elsewhere || self.revision != other.revision {
            entries.extend((1..=self.parts).map(|number| part_entry(artifact_id, &self.revision, number)));
        }
        entries.into_iter().map(|entry| (self.image_digest.clone(), entry)).collect()
    }
}

impl WritableStore {
    /// Stores artifacts, each wholly, and removes them from where they were kept before.
    ///
    /// No two of them may have the same id.
    ///
    /// # Errors
    /// The table's; some of the artifacts may then be stored, and storing them again completes them.
    pub async fn put_artifacts(
        &self,
        artifacts: &[PackedArtifact],
        mode: Mode,
    ) -> Result<Vec<Outcome>, Error> {
        let mut outcomes = vec![None; artifacts.len()];
        let mut pending: Vec<_> = (0..artifacts.len()).collect();
        for round in 0..=MAX_ROUNDS {
            if round > 0 {
                tokio::time::sleep(backoff(FIRST_WAIT, round).min(LONGEST_WAIT)).await;
            }
            let artifacts: Vec<_> = pending.iter().map(|index| (*index, &artifacts[*index])).collect();
            let pointers = self.pointers(artifacts.iter().map(|(_, artifact)| *artifact)).await?;
            let revisions = self.revisions(artifacts.iter().map(|(_, artifact)| *artifact)).await?;
            let mut writes = Vec::new();
            for ((index, artifact), pointer) in artifacts.into_iter().zip(pointers) {
                let is_stored = revisions.get(&artifact.artifact_id) == Some(&artifact.place.revision);
                let is_settled = pointer
                    .as_ref()
                    .is_some_and(|(_, pointer)| pointer.place == artifact.place && pointer.stale.is_empty());
                if is_stored && is_settled && (mode != Mode::Rewrite || round > 0) {
                    outcomes[index].get_or_insert(Outcome::Unchanged);
                } else {
                    outcomes[index].get_or_insert(Outcome::Stored);
                    writes.push((index, artifact, pointer));
                }
            }
            pending.clear();
            if mode != Mode::DryRun {
                let mut attempts = Vec::with_capacity(writes.len());
                for (index, artifact, pointer) in writes {
                    attempts.push(async move {
                        let is_written = self.put_artifact(artifact, pointer).await?;
                        Ok::<_, Error>((!is_written).then_some(index))
                    });
                }
                let lost: Vec<_> =
                    stream::iter(attempts).buffered(MAX_ARTIFACTS_AT_ONCE).try_collect().await?;
                pending.extend(lost.into_iter().flatten());
            }
            if pending.is_empty() {
                return Ok(outcomes.into_iter().flatten().collect());
            }
        }
        Err(unavailable(&self.artifacts_table, CHANGED, None))
    }

    /// Writes an artifact; false where another wrote it meanwhile.
    async fn put_artifact(
        &self,
        artifact: &PackedArtifact,
        pointer: Option<(String, Pointer)>,
    ) -> Result<bool, Error> {
        let known =
            pointer.iter().flat_map(|(_, pointer)| std::iter::once(&pointer.place).chain(&pointer.stale));
        let stale: Vec<_> = known.filter(|place| **place != artifact.place).cloned().collect();
        // A set: two stale places may be the same item at two revisions.
        let removed: BTreeSet<_> = stale
            .iter()
            .flat_map(|place| place.keys_beside(&artifact.artifact_id, &artifact.place))
            .collect();
        let removed: Vec<_> =
            removed.iter().map(|(image_digest, entry)| delete(key(image_digest, entry))).collect();
        let before = pointer.map(|(kept, _)| kept);
        let item = put(artifact.item.clone());
        if artifact.parts.len() + removed.len() <= MAX_WRITES_BESIDE {
            let writes: Vec<_> =
                std::iter::once(item).chain(artifact.parts().map(put)).chain(removed).collect();
            return self.write_with_pointer(artifact, before, Vec::new(), &writes).await;
        }
        if !self.write_with_pointer(artifact, before, stale.clone(), &[]).await? {
            return Ok(false);
        }
        self.batch_write(&self.artifacts_table, artifact.parts().map(put).collect()).await?;
        let writes: Vec<_> = std::iter::once(item).chain(removed).collect();
        for writes in writes.chunks(MAX_WRITES_BESIDE) {
            let kept = Some(artifact.kept(stale.clone()));
            if !self.write_with_pointer(artifact, kept, stale.clone(), writes).await? {
                return Ok(false);
            }
        }
        let kept = Some(artifact.kept(stale));
        self.write_with_pointer(artifact, kept, Vec::new(), &[]).await
    }

    /// Writes a pointer in the place of the one that is known, with other items in the same transaction; false where the
    /// pointer is another one by now.
    async fn write_with_pointer(
        &self,
        artifact: &PackedArtifact,
        before: Option<String>,
        stale: Vec<Place>,
        writes: &[WriteRequest],
    ) -> Result<bool, Error> {
        let table = self.artifacts_table.as_str();
        let pointer = Put::builder().table_name(table).set_item(Some(to_sdk(artifact.pointer(stale))));
        let pointer = match before {
            None => pointer.condition_expression("attribute_not_exists(image_digest)"),
            Some(kept) => pointer
                .condition_expression("kept = :kept")
                .expression_attribute_values(":kept", value_to_sdk(text(kept))),
        };
        let mut items = vec![write_put(pointer)];
        items.extend(writes.iter().filter_map(|write| in_transaction(table, write)));
        let sent = self.client.transact_write_items().set_transact_items(Some(items)).send().await;
        Ok(match sent.map_or_else(|error| written_in_spite_of(table, &error), |_| Ok(Written::Done))? {
            Written::Done => true,
            Written::Changed | Written::AlreadyThere | Written::TooLarge => false,
        })
    }

    /// The pointers, as they are stored and as they read.
    async fn pointers(
        &self,
        artifacts: impl Iterator<Item = &PackedArtifact> + Clone,
    ) -> Result<Vec<Option<(String, Pointer)>>, Error> {
        let keys = artifacts.clone().map(PackedArtifact::pointer_key);
        let mut found = HashMap::new();
        for mut attributes in self.artifact_items(keys, "image_digest, kept").await? {
            let hash_key = attributes.text("image_digest")?;
            let kept = attributes.text("kept")?;
            let pointer: Pointer = serde_json::from_str(&kept)
                .map_err(|error| attributes.unreadable(format!("its pointer cannot be read: {error}")))?;
            found.insert(hash_key, (kept, pointer));
        }
        Ok(artifacts.map(|artifact| found.remove(&format!("id:{}", artifact.artifact_id))).collect())
    }

    /// The stored revisions by id, of those that are where they are to be.
    async fn revisions(
        &self,
        artifacts: impl Iterator<Item = &PackedArtifact>,
    ) -> Result<HashMap<String, String>, Error> {
        let keys = artifacts.map(|artifact| artifact.place.key());
        let mut revisions = HashMap::new();
        for mut attributes in self.artifact_items(keys, "#position, revision").await? {
            let position = attributes.text("position")?;
            let position = Position::parse(&position).ok_or_else(|| {
                attributes.unreadable(format!("its position {position:?} has another form"))
            })?;
            attributes.record = Record::Artifact(position.id());
            revisions.insert(position.id().to_owned(), attributes.text("revision")?);
        }
        Ok(revisions)
    }

    async fn artifact_items(
        &self,
        keys: impl Iterator<Item = Item>,
        projection: &'static str,
    ) -> Result<Vec<Attributes<'_>>, Error> {
        let table = self.artifacts_table.as_str();
        let keys: Vec<_> = keys.collect();
        let mut items = Vec::with_capacity(keys.len());
        for keys in keys.chunks(MAX_KEYS_A_BATCH) {
            let batch = Batch { projection: Some(projection), ..whole(table, keys.to_vec()) };
            items.extend(self.batch_get(batch, &Meter::default()).await?);
        }
        Ok(items.into_iter().map(|item| Attributes::new(item, table, Record::SomeArtifact)).collect())
    }
}
