//! Lays a checked artifact out as the items to store.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use delivery_center::document::Document;
use delivery_center::image_reference::{found_under, repository};
use delivery_center::position::Position;
use delivery_center::store::artifacts::found_by::{EntryName, Short, hex};
use delivery_center::store::items::{Item, bytes, text};
use delivery_center::store::keys::{
    ARTIFACT_DIGEST, ARTIFACT_ENTRY, MAX_ARTIFACT_ID_BYTES, MAX_IMAGE_BYTES, WRITER, artifact_entry,
    artifact_hash_key, artifact_key, artifact_part_key, indexed_image, pointer_key,
};

use super::entries::{Entries, entries_of};
use super::last_deploys::{Deploy, Destination, deploys_of};
use crate::digest;
use crate::record::{Artifact, Recorded};
use crate::write::batch_write::{MAX_DOCUMENT_BYTES_PER_ITEM, Unstorable, check_parts};
use crate::write::note;

/// How many bytes an artifact's item may spend on its lists. The document gets what is left, and parts.
const MAX_LISTS_BYTES: usize = MAX_DOCUMENT_BYTES_PER_ITEM;
/// How many bytes of them an entry takes at most, if no other has its nonce.
const BYTES_PER_ENTRY: usize = 18;
/// How many bytes of them a recorded fact takes.
const BYTES_PER_FACT: usize = size_of::<[Short; 2]>();

/// An artifact packed.
#[derive(Debug, Clone)]
pub struct PackedArtifact {
    /// The artifact with what pipelines recorded of it.
    pub artifact: Artifact,
    pub(in crate::write) recorded: Recorded,
    hash_key: String,
    entry: String,
    /// The revision of the document.
    pub(super) revision: String,
    document: Vec<u8>,
    entries: Entries,
    /// Where the artifact was deployed.
    pub(in crate::write) deploys: BTreeMap<Destination, Deploy>,
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
        let recorded = artifact.recorded.clone();
        Self::of(artifact, recorded)
    }

    /// Packs an artifact after adding what pipelines recorded of it.
    ///
    /// # Errors
    /// [`Unstorable`], as above, and where what was recorded does not fit the documented types.
    pub fn with_recorded(artifact: &Artifact, recorded: Recorded) -> Result<Self, Unstorable> {
        let artifact = artifact.with_recorded(&recorded);
        Self::of(artifact.map_err(|problem| Unstorable(problem.to_string()))?, recorded)
    }

    fn of(artifact: Artifact, recorded: Recorded) -> Result<Self, Unstorable> {
        for (name, value, limit) in [
            ("id", &artifact.artifact_id, MAX_ARTIFACT_ID_BYTES),
            ("image", &artifact.image, MAX_IMAGE_BYTES),
        ] {
            let bytes = value.len();
            if bytes > limit {
                return Err(Unstorable(format!("its {name} has {bytes} bytes, and may have {limit}")));
            }
        }
        let document = Document::pack(&artifact.json).map_err(|too_long| Unstorable(too_long.to_string()))?;
        let hash_key = artifact_hash_key(&artifact.image_digest, &artifact.image, &artifact.artifact_id);
        let entry = artifact_entry(&Position::new(artifact.created_time, &artifact.artifact_id));
        let deploys = deploys_of(&artifact);
        let entries = entries_of(&artifact, &deploys, &hash_key, &entry);
        let (facts, found_by) = (recorded.facts.len(), entries.len());
        if BYTES_PER_ENTRY * found_by + BYTES_PER_FACT * facts + recorded.told.len() > MAX_LISTS_BYTES {
            return Err(Unstorable(format!(
                "it has {facts} recorded activities, and {found_by} entries that find it (two for each commit, one for each pull \
                 request, environment and namespace); {BYTES_PER_FACT} bytes for each of the one and {BYTES_PER_ENTRY} for each of \
                 the other must fit into {MAX_LISTS_BYTES}"
            )));
        }
        check_parts(document.stored().len().div_ceil(MAX_DOCUMENT_BYTES_PER_ITEM))?;
        Ok(Self {
            revision: digest::of_texts(&[&artifact.json]),
            document: document.stored().to_vec(),
            may_empty: true,
            artifact,
            recorded,
            hash_key,
            entry,
            entries,
            deploys,
        })
    }

    /// The same artifact, but if it has no activities it does not replace a stored artifact that has imported
    /// ones.
    pub fn without_emptying(self) -> Self {
        Self { may_empty: false, ..self }
    }

    /// The revision of the record that an import brings, and of what it says that pipelines recorded.
    pub(super) fn source(&self) -> String {
        let recorded = &self.artifact.recorded;
        if recorded.is_empty() {
            return self.revision.clone();
        }
        let facts: Vec<_> = recorded.facts.iter().map(|fact| hex(fact.fact)).collect();
        digest::of_texts(&[&self.revision, &facts.concat(), &recorded.told])
    }

    /// The key of the artifact's item.
    pub(super) fn key(&self) -> Item {
        artifact_key(&self.hash_key, &self.entry)
    }

    /// The artifact's pointer.
    pub(super) fn pointer(&self, writer: &str) -> Item {
        let mut pointer = self.place_beside(pointer_key(&self.artifact.artifact_id));
        pointer.insert(WRITER.to_owned(), text(writer));
        pointer
    }

    /// Adds the key of the artifact's item to an item that lies beside its pointer, or is that.
    fn place_beside(&self, mut item: Item) -> Item {
        item.insert(ARTIFACT_DIGEST.to_owned(), text(&self.hash_key));
        item.insert(ARTIFACT_ENTRY.to_owned(), text(&self.entry));
        item
    }

    /// The artifact's item as a writer puts it, and the entries and parts that it lists. Entries that are `listed`
    /// already, with these nonces, stay as they are.
    pub(super) fn laid_out(
        &self,
        writer: Short,
        listed: &BTreeMap<Short, Short>,
        source: Option<&str>,
    ) -> (Item, Vec<Item>) {
        let mut by_nonce = BTreeMap::<Short, Vec<Short>>::new();
        let mut beside = Vec::with_capacity(self.entries.len());
        for (digest, entry) in &self.entries {
            let name = EntryName { digest: *digest, nonce: *listed.get(digest).unwrap_or(&writer) };
            by_nonce.entry(name.nonce).or_default().push(name.digest);
            let mut item = self.place_beside(name.key(&self.artifact.artifact_id));
            item.extend(entry.clone());
            beside.push(item);
        }
        let found_by = list(&by_nonce);
        let facts: Vec<_> =
            self.recorded.facts.iter().flat_map(|fact| [fact.fact, fact.digest]).flatten().collect();
        let told = Some(&self.recorded.told).filter(|told| *told != "{}");
        let room = MAX_DOCUMENT_BYTES_PER_ITEM - found_by.len() - facts.len() - told.map_or(0, String::len);
        let (kept, overflow) = self.document.split_at(self.document.len().min(room));
        let writer = hex(writer);
        let parts = overflow.chunks(MAX_DOCUMENT_BYTES_PER_ITEM);
        let count = Some(parts.len()).filter(|count| *count > 0);
        beside.extend((1..).zip(parts).map(|(number, part)| {
            let mut item = self.place_beside(artifact_part_key(&self.artifact.artifact_id, &writer, number));
            item.insert("document".to_owned(), bytes(part));
            item
        }));
        let mut item = self.item(kept);
        let attributes = [
            (WRITER, Some(text(&writer))),
            ("parts", count.map(|count| AttributeValue::N(count.to_string()))),
            ("found_by", Some(bytes(found_by)).filter(|_| !self.entries.is_empty())),
            ("recorded", Some(bytes(facts)).filter(|_| !self.recorded.facts.is_empty())),
            ("told", told.map(text)),
            ("source", source.map(text)),
        ];
        item.extend(attributes.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        (item, beside)
    }

    fn item(&self, document: &[u8]) -> Item {
        let artifact = &self.artifact;
        let position = Position::new(artifact.created_time, &artifact.artifact_id);
        let mut item = self.key();
        item.insert("position".to_owned(), text(position.as_str()));
        item.insert("revision".to_owned(), text(&self.revision));
        item.insert("document".to_owned(), bytes(document));
        if !artifact.image.is_empty() {
            item.insert("image".to_owned(), text(indexed_image(&artifact.image)));
            item.insert("repository".to_owned(), text(found_under(repository(&artifact.image))));
        }
        // For people who look into the table; no code reads it.
        item.extend(note(&artifact.name).map(|name| ("name".to_owned(), name)));
        item
    }
}

/// The names of entries as an artifact's item lists them: `listed` in `src/store/artifacts/found_by.rs` reads
/// it.
fn list(by_nonce: &BTreeMap<Short, Vec<Short>>) -> Vec<u8> {
    let mut list = Vec::new();
    for (nonce, digests) in by_nonce {
        for digests in digests.chunks(u16::MAX.into()) {
            let count = u16::try_from(digests.len()).expect("a chunk is not longer");
            list.extend(nonce);
            list.extend(count.to_be_bytes());
            list.extend(digests.as_flattened());
        }
    }
    list
}
