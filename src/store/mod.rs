//! The two DynamoDB tables, and how they are read. What is stored, and how the tool's crate writes it, agree
//! on what stands here: keys, the attributes of items, and the lists of the index.
//!
//! The top of `keys.rs` says what is stored under which keys.

mod activities;
pub mod artifacts;
mod batch_get_reader;
mod document_cache;
mod error;
pub mod facets;
pub mod filters;
pub mod items;
pub mod json;
pub mod keys;
pub mod releases;
mod usage;

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{KeysAndAttributes, ReturnConsumedCapacity};
use backon::BackoffBuilder as _;

pub use self::activities::{Activities, Deployment};
pub use self::artifacts::{ArtifactSearch, EnvironmentSearch, NewestFound, StoredArtifact};
use self::batch_get_reader::BatchGetReader;
use self::document_cache::DocumentCache;
pub use self::error::{CallError, StoreError, Unavailability};
pub use self::facets::ReleaseSearch;
pub use self::filters::ReleaseFilter;
use self::items::{Item, reserved_names};
pub use self::keys::MAX_HASH_KEY_BYTES;
pub use self::releases::{Lengths, ReleaseEntries, ReleaseEntry, ReleaseListing, StoredRelease, Verbosity};
pub use self::usage::Usage;
use crate::retries::UNPROCESSED_KEYS;

/// How many keys BatchGetItem takes in one call.
pub const MAX_KEYS_PER_CALL: usize = 100;

/// The tables.
#[derive(Debug, Clone)]
pub struct Store {
    client: Client,
    releases_table: String,
    artifacts_table: String,
    documents: Option<Arc<DocumentCache>>,
}

/// The tables' names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableNames {
    /// The table of releases.
    pub releases: String,
    /// The table of artifacts.
    pub artifacts: String,
}

impl TableNames {
    /// `RELEASES_TABLE` and `ARTIFACTS_TABLE`, by default `delivery-releases` and `delivery-artifacts`.
    pub fn from_environment() -> Self {
        let name = |variable, default: &str| {
            std::env::var(variable).ok().filter(|name| !name.is_empty()).unwrap_or_else(|| default.to_owned())
        };
        Self {
            releases: name("RELEASES_TABLE", "delivery-releases"),
            artifacts: name("ARTIFACTS_TABLE", "delivery-artifacts"),
        }
    }
}

impl Store {
    /// A store that reads these tables with a client.
    pub fn new(client: Client, tables: TableNames) -> Self {
        Self { client, releases_table: tables.releases, artifacts_table: tables.artifacts, documents: None }
    }

    /// The same store, which keeps up to `bytes` bytes of the documents that it reads, and does not read
    /// those again.
    pub fn with_document_cache(self, bytes: usize) -> Self {
        Self { documents: DocumentCache::of_bytes(bytes).map(Arc::new), ..self }
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The name of the table of artifacts.
    pub fn artifacts_table(&self) -> &str {
        &self.artifacts_table
    }

    /// How many bytes of documents the store keeps in memory.
    pub fn document_cache_bytes(&self) -> u64 {
        self.documents.as_ref().map_or(0, |documents| documents.bytes())
    }

    /// Reads up to [`MAX_KEYS_PER_CALL`] items by key. They come in no order, and a key without an item is
    /// left out.
    ///
    /// Keys that DynamoDB leaves unprocessed are asked for again.
    ///
    /// # Errors
    /// DynamoDB fails, or refuses the request.
    pub async fn batch_get(
        &self,
        table: &str,
        request: KeysAndAttributes,
        usage: &Usage,
    ) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::with_capacity(request.keys().len());
        let mut waits = UNPROCESSED_KEYS.build();
        let mut request = request;
        loop {
            let sent = self
                .client
                .batch_get_item()
                .request_items(table, request)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .customize()
                .interceptor(BatchGetReader)
                .send()
                .await;
            let output = sent.map_err(|error| StoreError::from_sdk(table, error))?;
            usage.count(output.consumed_capacity());
            // DynamoDB names the table even where it found nothing in it. An answer without that is not
            // DynamoDB's.
            let Some(mut responses) = output.responses else {
                return Err(StoreError::unavailable(table, Unavailability::UnreadableAnswer));
            };
            items.extend(responses.remove(table).unwrap_or_default());
            let unprocessed = output.unprocessed_keys.and_then(|mut tables| tables.remove(table));
            let Some(unprocessed) = unprocessed.filter(|request| !request.keys().is_empty()) else {
                return Ok(items);
            };
            request = unprocessed;
            let Some(wait) = waits.next() else {
                return Err(StoreError::unavailable(table, Unavailability::Throttled));
            };
            tokio::time::sleep(wait).await;
        }
    }
}

/// A page of a scan or a query.
#[derive(Debug)]
pub struct ItemsPage {
    /// Its items.
    pub items: Vec<Item>,
    /// Where the next page begins; `None` in the last page.
    pub next: Option<Item>,
}

impl ItemsPage {
    /// Takes a page out of an answer. DynamoDB sends a list of items even where it is empty, so an answer
    /// without one is not DynamoDB's.
    ///
    /// # Errors
    /// There is no list of items.
    pub fn of(table: &str, items: Option<Vec<Item>>, next: Option<Item>) -> Result<Self, StoreError> {
        let no_answer = || StoreError::unavailable(table, Unavailability::UnreadableAnswer);
        Ok(Self { items: items.ok_or_else(no_answer)?, next })
    }
}

/// Puts elements with their weights into groups, in order: at most `most` of them in a group, which may weigh
/// `weight` together. An element that weighs more is a group of its own.
pub fn grouped<T>(weighed: impl IntoIterator<Item = (T, usize)>, most: usize, weight: usize) -> Vec<Vec<T>> {
    let mut groups: Vec<Vec<T>> = Vec::new();
    let mut together = 0;
    for (element, own) in weighed {
        together += own;
        match groups.last_mut() {
            Some(group) if group.len() < most && together <= weight => group.push(element),
            _ => {
                together = own;
                groups.push(vec![element]);
            }
        }
    }
    groups
}

/// A request for items by key that reads only the attributes in `projection`.
pub fn projected(keys: Vec<Item>, projection: &str, is_consistent: bool) -> KeysAndAttributes {
    KeysAndAttributes::builder()
        .set_keys(Some(keys))
        .projection_expression(projection)
        .set_expression_attribute_names(reserved_names(projection))
        .consistent_read(is_consistent)
        .build()
        .expect("keys are given")
}

/// A request for whole items by key, read consistently.
pub fn whole(keys: Vec<Item>) -> KeysAndAttributes {
    KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build().expect("keys are given")
}
