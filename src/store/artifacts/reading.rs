//! Finds artifacts by image and by digest: one Query of one item, and one BatchGetItem where a document is in
//! parts.

use std::collections::HashMap;
use std::fmt;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;

use super::{ATTRIBUTES, StoredArtifact};
use crate::document::Document;
use crate::image_reference::{ImageReference, found_under};
use crate::store::error::{StoreError, Unavailability};
use crate::store::items::{Attributes, Item, Subject, entry_of, text};
use crate::store::keys::{
    ARTIFACT_HASH, ARTIFACT_PREFIX, BY_IMAGE, MAX_HASH_KEY_BYTES, MAX_PARTS, WRITER, artifact_key,
    artifact_part_key, artifact_position, indexed_image,
};
use crate::store::{MAX_KEYS_PER_CALL, Store, Usage, projected, whole};

/// How often a look-up is tried. It begins anew where the artifact that it found was replaced while its parts
/// were read.
pub(super) const MAX_LOOKUPS: usize = 3;

impl Store {
    /// The newest artifact that an image reference names.
    ///
    /// # Errors
    /// DynamoDB fails or refuses the request, or an artifact cannot be read.
    pub async fn newest_artifact(
        &self,
        image: &ImageReference,
        usage: &Usage,
    ) -> Result<Option<StoredArtifact>, StoreError> {
        for _ in 0..MAX_LOOKUPS {
            let Some(query) = self.artifacts_query(image) else { return Ok(None) };
            let Some(found) = self.first_artifact(query, usage).await? else { return Ok(None) };
            if let Some(artifact) = self.artifact(found, usage).await? {
                return Ok(Some(artifact));
            }
        }
        Err(StoreError::unavailable(&self.artifacts_table, Unavailability::ChangesTooFast))
    }

    /// A query for the artifacts that an image reference names, newest first; `None` where no artifact can
    /// have such a name.
    pub fn artifacts_query(&self, image: &ImageReference) -> Option<QueryFluentBuilder> {
        match image {
            ImageReference::Pushed(image) if indexed_image(image).len() > MAX_HASH_KEY_BYTES => None,
            ImageReference::Pushed(image) => Some(self.query_by_image(image)),
            ImageReference::Digest { digest, repository } => {
                let query = self.query_by_hash_key(digest.as_str());
                Some(match repository {
                    None => query,
                    Some(repository) => narrowed(query, "repository = :name", found_under(repository)),
                })
            }
        }
    }

    /// A query of the index for the artifacts that were pushed as this image, newest first.
    pub fn query_by_image(&self, image: &str) -> QueryFluentBuilder {
        self.newest_first(&indexed_image(image)).index_name(BY_IMAGE).key_condition_expression("image = :key")
    }

    /// A query for the artifacts under a hash key of the table, newest first.
    pub fn query_by_hash_key(&self, hash_key: &str) -> QueryFluentBuilder {
        self.newest_first(hash_key)
            .key_condition_expression("image_digest = :key AND begins_with(#entry, :prefix)")
            .expression_attribute_values(":prefix", text(ARTIFACT_PREFIX))
    }

    fn newest_first(&self, key: &str) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.artifacts_table)
            .scan_index_forward(false)
            .expression_attribute_values(":key", text(key))
            .projection_expression(ATTRIBUTES)
            .expression_attribute_names("#entry", "entry")
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
    }

    /// The first item that a query finds.
    ///
    /// Where the query has a filter, a page may be empty although there are more behind it, so pages are read
    /// until one has an item.
    ///
    /// # Errors
    /// DynamoDB fails, or refuses the request.
    pub async fn first_artifact(
        &self,
        query: QueryFluentBuilder,
        usage: &Usage,
    ) -> Result<Option<Item>, StoreError> {
        let table = self.artifacts_table.as_str();
        let is_filtered = query.get_filter_expression().is_some();
        let query = if is_filtered { query } else { query.limit(1) };
        let mut start = None;
        loop {
            let sent = query.clone().set_exclusive_start_key(start).send().await;
            let output = sent.map_err(|error| StoreError::from_sdk(table, error))?;
            usage.count(output.consumed_capacity());
            usage.count_round_trip();
            let Some(items) = output.items else {
                return Err(StoreError::unavailable(table, Unavailability::UnreadableAnswer));
            };
            if let Some(item) = items.into_iter().next() {
                return Ok(Some(item));
            }
            start = output.last_evaluated_key;
            if start.is_none() || !is_filtered {
                return Ok(None);
            }
        }
    }

    /// The whole artifact that an item and its parts hold; `None` where its parts were replaced meanwhile.
    ///
    /// # Errors
    /// DynamoDB fails or refuses the request, or the artifact cannot be read.
    pub async fn artifact(&self, item: Item, usage: &Usage) -> Result<Option<StoredArtifact>, StoreError> {
        let table = self.artifacts_table.as_str();
        let mut attributes = Attributes::new(item, table, Subject::SomeArtifact);
        let (hash_key, entry) = (attributes.text(ARTIFACT_HASH)?, attributes.text("entry")?);
        let position = artifact_position(&entry).ok_or_else(|| {
            attributes.unreadable(format!("its entry {entry:?} has a form that this service does not know"))
        })?;
        attributes.subject = Subject::Artifact(position.id());
        let repository =
            if attributes.has("repository") { attributes.text("repository")? } else { String::new() };
        let revision = attributes.text("revision")?;
        let mut stored = attributes.bytes("document")?;
        let parts = if attributes.has("parts") { attributes.number("parts")? } else { 0 };
        if parts > MAX_PARTS {
            return Err(attributes.unreadable(format!("it has {parts} parts, and may have {MAX_PARTS}")));
        }
        if parts > 0 {
            let writer = attributes.text(WRITER)?;
            let Some(rest) = self.artifact_parts(position.id(), &writer, parts, usage).await? else {
                // Either the artifact was written meanwhile, or parts were lost.
                let now = projected(vec![artifact_key(&hash_key, &entry)], WRITER, true);
                let now = self.batch_get(table, now, usage).await?.pop();
                let is_the_same = now.is_some_and(|now| now.get(WRITER) == Some(&text(writer)));
                let incomplete = || attributes.unreadable("a part of its document is missing");
                return if is_the_same { Err(incomplete()) } else { Ok(None) };
            };
            stored.extend(rest);
        }
        let document =
            Document::from_stored(stored).map_err(|spoiled| attributes.unreadable(spoiled.to_string()))?;
        Ok(Some(StoredArtifact { position, repository, revision, document }))
    }

    async fn artifact_parts(
        &self,
        artifact_id: &str,
        writer: &str,
        parts: usize,
        usage: &Usage,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let table = self.artifacts_table.as_str();
        let keys: Vec<_> = (1..=parts).map(|number| artifact_part_key(artifact_id, writer, number)).collect();
        let mut documents = HashMap::new();
        for keys in keys.chunks(MAX_KEYS_PER_CALL) {
            usage.count_round_trip();
            for item in self.batch_get(table, whole(keys.to_vec()), usage).await? {
                let mut attributes = Attributes::new(item, table, Subject::Artifact(artifact_id));
                documents.insert(attributes.text("entry")?, attributes.bytes("document")?);
            }
        }
        let found: Option<Vec<_>> = keys.iter().map(|key| documents.remove(&entry_of(key))).collect();
        Ok(found.map(|found| found.concat()))
    }

    /// The error for an artifact whose document is not what was stored.
    pub fn unreadable_artifact(&self, artifact_id: &str, reason: impl fmt::Display) -> StoreError {
        let nothing = Attributes::new(Item::new(), &self.artifacts_table, Subject::Artifact(artifact_id));
        nothing.unreadable(reason.to_string())
    }
}

/// Adds a filter to a query. `:name` in the filter stands for `name`.
pub fn narrowed(query: QueryFluentBuilder, filter: &str, name: &str) -> QueryFluentBuilder {
    query.filter_expression(filter).expression_attribute_values(":name", text(name))
}
