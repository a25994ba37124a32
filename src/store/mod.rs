//! The two DynamoDB tables. The service's own types go in and come out; DynamoDB's types never leave this module.
//!
//! The top of `keys.rs` says what is stored under which keys. The tops of `releases/writing.rs` and
//! `artifacts/writing.rs` say how records are written, and what a crash leaves.

mod artifacts;
mod batch_get_reader;
mod batch_write;
mod comparing;
mod document_cache;
mod error;
mod facet;
mod items;
mod keys;
mod releases;
mod transaction;
mod usage;

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::scan::builders::ScanFluentBuilder;
use aws_sdk_dynamodb::types::{KeysAndAttributes, ReturnConsumedCapacity};
use backon::{BackoffBuilder as _, ExponentialBuilder};

use crate::document::VERSION as DOCUMENT_VERSION;

use self::artifacts::POINTER_VERSION;
pub use self::artifacts::{
    ArtifactEntry, ArtifactScan, ArtifactSearch, ArtifactState, Fact, FactKey, FoundArtifact, KeepRecorded,
    Mended, NewestFound, PackedArtifact, StoredArtifact, StoredOutcome, WantedArtifact,
};
use self::batch_get_reader::BatchGetReader;
pub use self::batch_write::{Mode, Outcome, Unstorable};
pub use self::comparing::Comparison;
use self::document_cache::DocumentCache;
pub use self::error::{CallError, StoreError, Unavailability};
pub use self::facet::{Facet, ReleaseSearch};
use self::items::{Item, reserved_names};
pub use self::keys::MAX_HASH_KEY_BYTES;
use self::releases::LENGTHS_VERSION;
pub use self::releases::{
    CurrentRelease, Lengths, PackedRelease, Reindexed, ReleaseEntries, ReleaseEntry, ReleaseListing,
    ReleaseScan, StoredRelease, Verbosity,
};
use self::transaction::MAX_WRITES_PER_TRANSACTION;
pub use self::usage::Usage;

/// A scan of a table is split into this many segments, which can be read side by side.
pub const SCAN_SEGMENTS: i32 = 4;

/// The versions of the stored forms that this service reads and writes, in words.
///
/// A stored value of another version is an error that names the record.
#[must_use]
pub fn stored_forms() -> String {
    format!("documents {DOCUMENT_VERSION}, lengths {LENGTHS_VERSION}, pointers {POINTER_VERSION}")
}

/// How many keys BatchGetItem takes in one call.
const MAX_KEYS_PER_CALL: usize = 100;
/// Waits before keys that DynamoDB left unprocessed are asked for again: four seconds in all, at most.
const UNPROCESSED_KEYS: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(15))
    .with_max_delay(Duration::from_secs(1))
    .with_max_times(6)
    .with_jitter();

/// The tables.
#[derive(Debug, Clone)]
pub struct Store {
    client: Client,
    releases_table: String,
    artifacts_table: String,
    documents: Option<Arc<DocumentCache>>,
    writes_per_transaction: usize,
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
    #[must_use]
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
    /// A store that reads and writes these tables with a client.
    #[must_use]
    pub fn new(client: Client, tables: TableNames) -> Self {
        Self {
            client,
            releases_table: tables.releases,
            artifacts_table: tables.artifacts,
            documents: None,
            writes_per_transaction: MAX_WRITES_PER_TRANSACTION,
        }
    }

    /// The same store, which keeps up to `bytes` bytes of the documents that it reads, and does not read those again.
    #[must_use]
    pub fn with_document_cache(self, bytes: usize) -> Self {
        Self { documents: DocumentCache::of_bytes(bytes).map(Arc::new), ..self }
    }

    /// The same store, which makes at most `writes` writes in one transaction: between 2 and 100. Without this, a store
    /// makes up to 100, which is DynamoDB's own limit. Older emulators of DynamoDB take only ten.
    #[must_use]
    pub fn with_writes_per_transaction(self, writes: usize) -> Self {
        Self { writes_per_transaction: writes.clamp(2, MAX_WRITES_PER_TRANSACTION), ..self }
    }

    /// How many bytes of documents the store keeps in memory.
    #[must_use]
    pub fn document_cache_bytes(&self) -> u64 {
        self.documents.as_ref().map_or(0, |documents| documents.bytes())
    }

    /// Checks that both tables are there and may be read, by asking each for a record that nobody has.
    ///
    /// # Errors
    /// DynamoDB fails, or refuses the request.
    pub async fn reach(&self) -> Result<(), StoreError> {
        const NOBODY: &str = "-";
        self.release_partition(NOBODY, None).await?;
        let key = self::keys::pointer_key(NOBODY);
        self.batch_get(&self.artifacts_table, whole(vec![key]), &Usage::default()).await?;
        Ok(())
    }

    /// Reads one page of a scan, consistently.
    async fn scan_page(&self, table: &str, scan: ScanFluentBuilder) -> Result<ItemsPage, StoreError> {
        let sent = scan.table_name(table).consistent_read(true).send().await;
        let output = sent.map_err(|error| StoreError::from_sdk(table, error))?;
        ItemsPage::of(table, output.items, output.last_evaluated_key)
    }

    /// A scan of one of a table's [`SCAN_SEGMENTS`] segments.
    fn scan_of_segment(&self, segment: i32, start: Option<Item>) -> ScanFluentBuilder {
        let scan = self.client.scan().segment(segment).total_segments(SCAN_SEGMENTS);
        scan.set_exclusive_start_key(start)
    }

    /// Reads up to [`MAX_KEYS_PER_CALL`] items by key. They come in no order, and a key without an item is left out.
    ///
    /// Keys that DynamoDB leaves unprocessed are asked for again.
    async fn batch_get(
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
            // DynamoDB names the table even where it found nothing in it. An answer without that is not DynamoDB's.
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
struct ItemsPage {
    items: Vec<Item>,
    /// Where the next page begins; `None` in the last page.
    next: Option<Item>,
}

impl ItemsPage {
    /// Takes a page out of an answer. DynamoDB sends a list of items even where it is empty, so an answer without one
    /// is not DynamoDB's.
    fn of(table: &str, items: Option<Vec<Item>>, next: Option<Item>) -> Result<Self, StoreError> {
        let no_answer = || StoreError::unavailable(table, Unavailability::UnreadableAnswer);
        Ok(Self { items: items.ok_or_else(no_answer)?, next })
    }
}

/// A request for items by key that reads only the attributes in `projection`.
fn projected(keys: Vec<Item>, projection: &str, is_consistent: bool) -> KeysAndAttributes {
    KeysAndAttributes::builder()
        .set_keys(Some(keys))
        .projection_expression(projection)
        .set_expression_attribute_names(reserved_names(projection))
        .consistent_read(is_consistent)
        .build()
        .expect("keys are given")
}

/// A request for whole items by key, read consistently.
fn whole(keys: Vec<Item>) -> KeysAndAttributes {
    KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build().expect("keys are given")
}
