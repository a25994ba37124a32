//! The Artifacts table, keyed by `image_digest` and `entry`, and its index `by_image`.
//!
//! | key | holds |
//! | --- | --- |
//! | digest · `artifact#<position>` | the document, and its `image`, `repository`, `position`, `revision` |
//! | digest · `part#<id>#<revision>#<number>` | what does not fit into one item |
//! | `id:<id>` · `pointer` | under which digest and entry the artifact is kept, so that one whose digest changed is moved |
//! | `fact#<digest>` · `fact` | that a pipeline's fact was recorded, and in which artifact |
//!
//! An artifact without a digest is kept under `image:<image>`, and one without either under `id:<id>`. Entries of one
//! digest sort as positions do: the newest is one Query of one item, by digest as by image.

use std::collections::HashMap;

use super::{Attributes, CHANGED, MAX_KEYS_A_BATCH, Meter, Record, Store, unavailable};
use crate::document::Document;
use crate::dynamodb::{AttributeValue, Batch, Item, Items, Page};
use crate::error::Error;
use crate::image_reference::ImageReference;
use crate::position::Position;
use crate::release_filter::MAX_HASH_KEY_BYTES;

/// The index that finds artifacts by image.
pub(super) const BY_IMAGE: &str = "by_image";
pub(super) const ENTRY_PREFIX: &str = "artifact#";

/// How often a lookup is begun anew where what it found was replaced while it was read.
const MAX_LOOKUPS: usize = 3;

pub(super) const ATTRIBUTES: &str = "image_digest, #entry, revision, document, parts";

/// An artifact as it is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredArtifact {
    /// Its time and id.
    pub position: Position,
    /// The revision of its document.
    pub revision: String,
    /// The whole answer.
    pub document: Document,
}

impl Store {
    /// The newest artifact that an image reference names.
    ///
    /// # Errors
    /// The table's, and an artifact that cannot be read.
    pub async fn newest_artifact(
        &self,
        image: &ImageReference,
        meter: &Meter,
    ) -> Result<Option<StoredArtifact>, Error> {
        for _ in 0..MAX_LOOKUPS {
            let Some(found) = self.look_up(image, meter).await? else { return Ok(None) };
            if let Some(artifact) = self.artifact(found, meter).await? {
                return Ok(Some(artifact));
            }
        }
        Err(unavailable(&self.artifacts_table, CHANGED, None))
    }

    async fn look_up(&self, image: &ImageReference, meter: &Meter) -> Result<Option<Item>, Error> {
        let Some(page) = self.artifacts_page(image) else { return Ok(None) };
        let limit = page.filter.is_none().then_some(1);
        self.first(Page { limit, ..page }, meter).await
    }

    /// The artifacts that an image reference names, newest first; none where no artifact can have such a name.
    pub(super) fn artifacts_page(&self, image: &ImageReference) -> Option<Page> {
        match image {
            ImageReference::NotText => None,
            ImageReference::Pushed(image) if image.len() > MAX_HASH_KEY_BYTES => None,
            ImageReference::Pushed(image) => Some(self.of_image(image)),
            ImageReference::Digest { digest, repository } => {
                let page = self.of_hash_key(digest.as_str());
                Some(match repository {
                    None => page,
                    Some(repository) => narrowed(page, "repository = :name", repository),
                })
            }
        }
    }

    /// The artifacts of an image as pushed, as the index has them.
    pub(super) fn of_image(&self, image: &str) -> Page {
        let page = Page::of(&self.artifacts_table, Items::NewestFirst("image = :key"));
        let values = vec![(":key", AttributeValue::S(image.to_owned()))];
        Page { index: Some(BY_IMAGE), values, projection: Some(ATTRIBUTES), ..page }
    }

    /// The artifacts under a hash key of the table.
    pub(super) fn of_hash_key(&self, hash_key: &str) -> Page {
        let key = Items::NewestFirst("image_digest = :key AND begins_with(#entry, :prefix)");
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let values = vec![(":key", text(hash_key)), (":prefix", text(ENTRY_PREFIX))];
        Page { values, projection: Some(ATTRIBUTES), ..Page::of(&self.artifacts_table, key) }
    }

    /// The first item of a page or those behind it; what a filter leaves of a page may be nothing.
    pub(super) async fn first(&self, mut page: Page, meter: &Meter) -> Result<Option<Item>, Error> {
        loop {
            let answer = self.page(&page, meter).await?;
            if let Some(item) = answer.items.into_iter().next() {
                return Ok(Some(item));
            }
            if answer.last.is_none() || page.limit.is_some() {
                return Ok(None);
            }
            page.start = answer.last;
        }
    }

    /// The whole artifact of an item; none where its parts were replaced meanwhile.
    pub(super) async fn artifact(&self, item: Item, meter: &Meter) -> Result<Option<StoredArtifact>, Error> {
        let table = self.artifacts_table.as_str();
        let mut attributes = Attributes::new(item, table, Record::SomeArtifact);
        let digest = attributes.text("image_digest")?;
        let entry = attributes.text("entry")?;
        let position = entry.strip_prefix(ENTRY_PREFIX).and_then(Position::parse);
        let position =
            position.ok_or_else(|| attributes.unreadable(format!("its entry {entry:?} has another form")))?;
        attributes.record = Record::Artifact(position.id());
        let revision = attributes.text("revision")?;
        let mut stored = attributes.base64("document")?;
        let parts = if attributes.has("parts") { attributes.number("parts")? } else { 0 };
        if parts > 0 {
            let Some(rest) = self.artifact_parts(&digest, position.id(), &revision, parts, meter).await?
            else {
                return Ok(None);
            };
            stored.extend(rest);
        }
        let document =
            Document::from_stored(stored).map_err(|spoiled| attributes.unreadable(spoiled.to_string()))?;
        Ok(Some(StoredArtifact { position, revision, document }))
    }

    async fn artifact_parts(
        &self,
        digest: &str,
        artifact_id: &str,
        revision: &str,
        parts: usize,
        meter: &Meter,
    ) -> Result<Option<Vec<u8>>, Error> {
        let table = self.artifacts_table.as_str();
        let entries: Vec<_> = (1..=parts).map(|number| part_entry(artifact_id, revision, number)).collect();
        let mut documents = HashMap::new();
        for entries in entries.chunks(MAX_KEYS_A_BATCH) {
            let keys = entries.iter().map(|entry| key(digest, entry)).collect();
            meter.count_round_trip();
            for item in self.batch_get(whole(table, keys), meter).await? {
                let mut attributes = Attributes::new(item, table, Record::Artifact(artifact_id));
                documents.insert(attributes.text("entry")?, attributes.base64("document")?);
            }
        }
        let found: Option<Vec<_>> = entries.iter().map(|entry| documents.remove(entry)).collect();
        Ok(found.map(|found| found.concat()))
    }
}

/// A page of which a filter leaves those whose attribute has the value `:name`.
pub(super) fn narrowed(mut page: Page, filter: &'static str, name: &str) -> Page {
    page.values.push((":name", AttributeValue::S(name.to_owned())));
    Page { filter: Some(filter), ..page }
}

/// Whole items by key, read consistently.
pub(super) fn whole(table: &str, keys: Vec<Item>) -> Batch {
    Batch { table: table.to_owned(), keys, projection: None, is_consistent: true }
}

/// The range key of an artifact's item.
#[cfg(feature = "cli")]
pub(super) fn artifact_entry(position: &Position) -> String {
    format!("{ENTRY_PREFIX}{position}")
}

pub(super) fn part_entry(artifact_id: &str, revision: &str, number: usize) -> String {
    format!("part#{artifact_id}#{revision}#{number:03}")
}

pub(super) fn key(image_digest: &str, entry: &str) -> Item {
    Item::from([
        ("image_digest".into(), AttributeValue::S(image_digest.to_owned())),
        ("entry".into(), AttributeValue::S(entry.to_owned())),
    ])
}
