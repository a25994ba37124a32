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

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnConsumedCapacity};

use super::{Attributes, CHANGED, Item, MAX_KEYS_A_CALL, Meter, Store, from_sdk, unavailable};
use crate::document::Document;
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
        match image {
            ImageReference::NotText => Ok(None),
            ImageReference::Pushed(image) if image.len() > MAX_HASH_KEY_BYTES => Ok(None),
            ImageReference::Pushed(image) => {
                let query = self.newest(image).index_name(BY_IMAGE).key_condition_expression("image = :key");
                self.first(query.limit(1), meter).await
            }
            ImageReference::Digest { digest, repository: None } => {
                self.first(self.newest_of_digest(digest.as_str()).limit(1), meter).await
            }
            ImageReference::Digest { digest, repository: Some(repository) } => {
                let query = self
                    .newest_of_digest(digest.as_str())
                    .filter_expression("repository = :repository")
                    .expression_attribute_values(":repository", AttributeValue::S(repository.clone()));
                self.first(query, meter).await
            }
        }
    }

    pub(super) fn newest(&self, key: &str) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.artifacts_table)
            .scan_index_forward(false)
            .expression_attribute_values(":key", AttributeValue::S(key.to_owned()))
            .projection_expression(ATTRIBUTES)
            .expression_attribute_names("#entry", "entry")
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
    }

    pub(super) fn newest_of_digest(&self, digest: &str) -> QueryFluentBuilder {
        self.newest(digest)
            .key_condition_expression("image_digest = :key AND begins_with(#entry, :prefix)")
            .expression_attribute_values(":prefix", AttributeValue::S(ENTRY_PREFIX.to_owned()))
    }

    /// The first item of a query; what a filter leaves of a page may be nothing, with more pages behind it.
    pub(super) async fn first(
        &self,
        query: QueryFluentBuilder,
        meter: &Meter,
    ) -> Result<Option<Item>, Error> {
        let table = self.artifacts_table.as_str();
        let mut start = None;
        loop {
            let page = query.clone().set_exclusive_start_key(start);
            let output = page.send().await.map_err(|error| from_sdk(table, &error))?;
            meter.count(
                output.consumed_capacity().and_then(|capacity| capacity.capacity_units).unwrap_or_default(),
            );
            meter.count_round_trip();
            let is_limited = query.get_limit().is_some();
            if let Some(item) = output.items.unwrap_or_default().into_iter().next() {
                return Ok(Some(item));
            }
            start = output.last_evaluated_key;
            if start.is_none() || is_limited {
                return Ok(None);
            }
        }
    }

    /// The whole artifact of an item; none where its parts were replaced meanwhile.
    pub(super) async fn artifact(&self, item: Item, meter: &Meter) -> Result<Option<StoredArtifact>, Error> {
        let table = self.artifacts_table.as_str();
        let mut attributes = Attributes::new(item, table, "an artifact".to_owned());
        let digest = attributes.text("image_digest")?;
        let entry = attributes.text("entry")?;
        let position = entry.strip_prefix(ENTRY_PREFIX).and_then(Position::parse);
        let position =
            position.ok_or_else(|| attributes.unreadable(format!("its entry {entry:?} has another form")))?;
        attributes.record = record_name(position.id());
        let revision = attributes.text("revision")?;
        let mut stored = attributes.bytes("document")?;
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
        for entries in entries.chunks(MAX_KEYS_A_CALL) {
            let keys = entries.iter().map(|entry| key(digest, entry)).collect();
            let request = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
            meter.count_round_trip();
            for item in self.batch_get(table, request.expect("keys are given"), meter).await? {
                let mut attributes = Attributes::new(item, table, record_name(artifact_id));
                documents.insert(attributes.text("entry")?, attributes.bytes("document")?);
            }
        }
        let found: Option<Vec<_>> = entries.iter().map(|entry| documents.remove(entry)).collect();
        Ok(found.map(|found| found.concat()))
    }
}

pub(super) fn record_name(artifact_id: &str) -> String {
    format!("artifact {artifact_id:?}")
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
    HashMap::from([
        ("image_digest".to_owned(), AttributeValue::S(image_digest.to_owned())),
        ("entry".to_owned(), AttributeValue::S(entry.to_owned())),
    ])
}
