//! Writes the two tables, and reads what only a writer needs of them: whole records as they are stored now,
//! and scans.
//!
//! The tops of `releases/writing.rs` and `artifacts/commit.rs` say how records are written, and what a crash
//! leaves.

mod artifacts;
mod batch_write;
mod compare;
mod releases;
mod scanning;
mod transaction;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use delivery_center::document::VERSION as DOCUMENT_VERSION;
use delivery_center::store::items::{Item, reserved_names, text};
use delivery_center::store::keys::{RELEASE_HASH, pointer_key};
use delivery_center::store::releases::LENGTHS_VERSION;
use delivery_center::store::{ItemsPage, Store, StoreError, TableNames, Usage, whole};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

pub use self::artifacts::{
    ArtifactEntry, ArtifactState, Commit, Deploy, Destination, FactKey, FoundArtifact, HandedOver,
    KeepRecorded, KeyItem, LastDeploy, Mended, PackedArtifact, StoredOutcome, deploys_of,
};
pub use self::batch_write::{Mode, Outcome, Unstorable};
pub use self::compare::Comparison;
pub use self::releases::{CurrentRelease, PackedRelease, Reindexed};
pub use self::scanning::ExportedArtifact;
use self::scanning::items_of_pages;
use self::transaction::MAX_WRITES_PER_TRANSACTION;

/// The versions of the stored forms that this service reads and writes, in words.
///
/// A stored value of another version is an error that names the record.
pub fn stored_forms() -> String {
    format!("documents {DOCUMENT_VERSION}, lengths {LENGTHS_VERSION}")
}

/// The tables, to be written.
#[derive(Debug, Clone)]
pub struct Writer {
    store: Store,
    client: Client,
    releases_table: String,
    artifacts_table: String,
    writes_per_transaction: usize,
}

impl Writer {
    /// A writer of these tables.
    pub fn new(client: Client, tables: TableNames) -> Self {
        let store = Store::new(client.clone(), tables.clone());
        Self {
            store,
            client,
            releases_table: tables.releases,
            artifacts_table: tables.artifacts,
            writes_per_transaction: MAX_WRITES_PER_TRANSACTION,
        }
    }

    /// The same writer, which makes at most `writes` writes in one transaction: between 2 and 100. Without
    /// this, it makes up to 100, which is DynamoDB's own limit. Older emulators of DynamoDB take only ten.
    pub fn with_writes_per_transaction(self, writes: usize) -> Self {
        Self { writes_per_transaction: writes.clamp(2, MAX_WRITES_PER_TRANSACTION), ..self }
    }

    /// The same tables, to be read.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Checks that both tables are there and may be read, by asking each for a record that nobody has.
    ///
    /// # Errors
    /// DynamoDB fails, or refuses the request.
    pub async fn reach(&self) -> Result<(), StoreError> {
        const NOBODY: &str = "-";
        self.partition_of(&self.releases_table, RELEASE_HASH, NOBODY, None).await?;
        let key = pointer_key(NOBODY);
        self.store.batch_get(&self.artifacts_table, whole(vec![key]), &Usage::default()).await?;
        Ok(())
    }

    /// All items of a hash key, read consistently; only the attributes in `projection`, where there is one.
    async fn partition_of(
        &self,
        table: &str,
        hash: &str,
        hash_key: &str,
        projection: Option<&str>,
    ) -> Result<Vec<Item>, StoreError> {
        let items = items_of_pages(|start| async move {
            let query = self.client.query().table_name(table).consistent_read(true);
            let sent = query
                .key_condition_expression(format!("{hash} = :hash_key"))
                .expression_attribute_values(":hash_key", text(hash_key))
                .set_projection_expression(projection.map(str::to_owned))
                .set_expression_attribute_names(projection.and_then(reserved_names))
                .set_exclusive_start_key(start)
                .send()
                .await;
            let output = sent.map_err(|error| StoreError::from_sdk(table, error))?;
            ItemsPage::of(table, output.items, output.last_evaluated_key)
        });
        items.try_collect().await
    }
}

/// Waits for the futures of many records, of which 16 run side by side. The results are in the order of the
/// records.
async fn side_by_side<F: Future>(of_each: Vec<F>) -> Vec<F::Output> {
    const RECORDS_AT_ONCE: usize = 16;
    stream::iter(of_each).buffered(RECORDS_AT_ONCE).collect().await
}

/// A text that is stored only for people who look into the table, cut to 200 characters. It is `None` where
/// the text is empty, since older implementations of DynamoDB refuse empty texts.
fn note(text: &str) -> Option<AttributeValue> {
    (!text.is_empty()).then(|| AttributeValue::S(text.chars().take(200).collect()))
}
