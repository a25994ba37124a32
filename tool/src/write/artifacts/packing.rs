//! Lays a checked artifact out as the items to store.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use delivery_center::document::Document;
use delivery_center::image_reference::repository;
use delivery_center::position::Position;
use delivery_center::store::items::{Item, bytes, entry_of, text};
use delivery_center::store::keys::{
    MAX_ARTIFACT_ID_BYTES, MAX_IMAGE_BYTES, artifact_entry, artifact_hash_key, artifact_key,
    artifact_part_entry, indexed_image,
};

use super::entries::Entries;
use super::pointer::{Place, Pointer};
use crate::digest;
use crate::record::Artifact;
use crate::write::batch_write::{MAX_DOCUMENT_BYTES_PER_ITEM, Unstorable, check_parts};
use crate::write::note;

/// An artifact packed and laid out as items.
#[derive(Debug, Clone)]
pub struct PackedArtifact {
    pub(super) artifact: Artifact,
    pub(super) place: Place,
    pub(super) item: Item,
    parts: Vec<Vec<u8>>,
    entries: Entries,
    /// Whether it may replace a stored artifact that has activities although it has none itself.
    pub(super) may_empty: bool,
}

impl PackedArtifact {
    /// Packs an artifact.
    ///
    /// # Errors
    /// [`Unstorable`], where its id or image is longer than a key can be, or there is more of it than its
    /// items can hold.
    pub fn new(artifact: Artifact) -> Result<Self, Unstorable> {
        check_length("id", &artifact.artifact_id, MAX_ARTIFACT_ID_BYTES)?;
        check_length("image", &artifact.image, MAX_IMAGE_BYTES)?;
        let document = Document::pack(&artifact.json).map_err(|too_long| Unstorable(too_long.to_string()))?;
        let hash_key = artifact_hash_key(&artifact.image_digest, &artifact.image, &artifact.artifact_id);
        let entries = Entries::of(&artifact, &hash_key)?;
        let listed = entries.listed();
        let stored = document.stored();
        let room = MAX_DOCUMENT_BYTES_PER_ITEM - listed.len();
        let (kept, overflow) = stored.split_at(stored.len().min(room));
        let parts: Vec<_> = overflow.chunks(MAX_DOCUMENT_BYTES_PER_ITEM).map(<[u8]>::to_vec).collect();
        check_parts(parts.len())?;
        let position = Position::new(artifact.created_time, &artifact.artifact_id);
        let place = Place {
            image_digest: hash_key,
            entry: artifact_entry(&position),
            revision: digest::of_texts(&[&artifact.json]),
            parts: parts.len(),
            found_by: entries.digests(),
        };
        let mut item = item(&artifact, &position, &place, kept);
        if !listed.is_empty() {
            item.insert("found_by".to_owned(), bytes(listed));
        }
        Ok(Self { artifact, place, item, parts, entries, may_empty: true })
    }

    /// The same artifact, but if it has no activities it does not replace a stored artifact that has imported
    /// ones.
    pub fn without_emptying(self) -> Self {
        Self { may_empty: false, ..self }
    }

    /// The artifact's id.
    pub fn artifact_id(&self) -> &str {
        &self.artifact.artifact_id
    }

    /// The whole artifact, as it is answered.
    pub(in crate::write) fn json(&self) -> &str {
        &self.artifact.json
    }

    /// All items of the artifact by range key, with a pointer that lists these facts.
    pub(in crate::write) fn items(&self, recorded: Vec<String>) -> BTreeMap<String, Item> {
        let pointer = Pointer { recorded, ..Pointer::to(Some(self.place.clone())) };
        let items = self
            .parts()
            .chain(self.entries.without(&[]).cloned())
            .chain([self.item.clone(), pointer.item(self.artifact_id())]);
        items.map(|item| (entry_of(&item), item)).collect()
    }

    /// Its `found-by` entries, without those that a place already has. `there` is that place.
    pub(super) fn entries_not_at(&self, there: Option<&Place>) -> Vec<Item> {
        let there = there.filter(|place| place.image_digest == self.place.image_digest);
        self.entries.without(there.map_or(&[], |place| &place.found_by)).cloned().collect()
    }

    /// The items of its parts.
    pub(super) fn parts(&self) -> impl Iterator<Item = Item> {
        (1..).zip(&self.parts).map(|(number, part)| {
            let entry = artifact_part_entry(self.artifact_id(), &self.place.revision, number);
            let mut item = artifact_key(&self.place.image_digest, &entry);
            item.insert("document".to_owned(), bytes(part.clone()));
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

fn item(artifact: &Artifact, position: &Position, place: &Place, document: &[u8]) -> Item {
    let mut item = place.key();
    item.insert("position".to_owned(), text(position.as_str()));
    item.insert("revision".to_owned(), text(&place.revision));
    item.insert("document".to_owned(), bytes(document));
    if place.parts > 0 {
        item.insert("parts".to_owned(), AttributeValue::N(place.parts.to_string()));
    }
    if !artifact.image.is_empty() {
        item.insert("image".to_owned(), text(indexed_image(&artifact.image)));
        item.insert("repository".to_owned(), text(repository(&artifact.image)));
    }
    // For people who look into the table; no code reads it.
    item.extend(note(&artifact.name).map(|name| ("name".to_owned(), name)));
    item
}
