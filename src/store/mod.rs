//! The two DynamoDB tables: domain types in and out, DynamoDB's own types never.

mod artifacts;
#[cfg(feature = "cli")]
mod comparing;
mod document_cache;
#[cfg(feature = "cli")]
mod exporting;
mod meter;
#[cfg(feature = "cli")]
mod recording;
#[cfg(feature = "cli")]
mod reindexing;
mod releases;
#[cfg(feature = "cli")]
mod writing;
#[cfg(feature = "cli")]
mod writing_artifacts;
#[cfg(feature = "cli")]
mod writing_releases;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

#[cfg(feature = "cli")]
use aws_sdk_dynamodb::Client;
#[cfg(feature = "cli")]
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
#[cfg(feature = "cli")]
use aws_sdk_dynamodb::operation::RequestId as _;

pub use self::artifacts::StoredArtifact;
#[cfg(feature = "cli")]
pub use self::comparing::Comparison;
use self::document_cache::DocumentCache;
pub use self::meter::Meter;
#[cfg(feature = "cli")]
pub use self::recording::{
    ArtifactState, FactKey, FoundArtifact, Patience, RecordedFact, WantedArtifact, Written,
};
#[cfg(feature = "cli")]
pub use self::reindexing::{CurrentRelease, ReleaseScan, SCAN_SEGMENTS, Settled};
pub use self::releases::{Lengths, ReleaseEntries, ReleaseEntry, StoredRelease, Verbosity};
#[cfg(feature = "cli")]
pub use self::writing::{Mode, Outcome, Unstorable};
#[cfg(feature = "cli")]
pub use self::writing_artifacts::PackedArtifact;
#[cfg(feature = "cli")]
pub use self::writing_releases::PackedRelease;
use crate::backoff::backoff;
#[cfg(feature = "cli")]
use crate::backoff::fraction;
use crate::connections::ExchangeError;
use crate::document::Spoiled;
use crate::dynamodb::{AttributeValue, Batch, CallError, DynamoDb, Item, MAX_KEYS_A_BATCH, Page, PageAnswer};
use crate::error::Error;
use crate::image_reference::ImageReference;
use crate::invocation::Endpoint;
use crate::release_filter::Facet;

const NOT_IN_TIME: &str = "did not answer in time";
const UNREACHED: &str = "could not be reached";
const THROTTLED: &str = "is throttled";
const FAILED: &str = "failed";
const UNREADABLE_ANSWER: &str = "gave an answer that cannot be read";
/// How DynamoDB says that the credentials, or what they allow, are not enough.
const DENIED: [&str; 7] = [
    "AccessDeniedException",
    "UnrecognizedClientException",
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "ExpiredTokenException",
    "KMSAccessDeniedException",
];
/// Why an answer could not be put together although every call was answered.
const CHANGED: &str = "changes faster than it can be read";

/// How often keys that DynamoDB left unprocessed are asked for again; the waits sum up to four seconds at most.
const MAX_UNPROCESSED_ROUNDS: u32 = 6;
const FIRST_UNPROCESSED_WAIT: Duration = Duration::from_millis(30);

/// The tables, to be read.
#[derive(Debug, Clone)]
pub struct Store {
    dynamodb: Arc<DynamoDb>,
    releases_table: String,
    artifacts_table: String,
    documents: Option<Arc<DocumentCache>>,
}

/// The tables, to be read and written.
#[cfg(feature = "cli")]
#[derive(Debug, Clone)]
pub struct WritableStore {
    store: Store,
    client: Client,
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
    /// The store in the tables of a DynamoDB.
    #[must_use]
    pub fn new(dynamodb: DynamoDb, tables: TableNames) -> Self {
        let dynamodb = Arc::new(dynamodb);
        Self { dynamodb, releases_table: tables.releases, artifacts_table: tables.artifacts, documents: None }
    }

    /// The same store, which keeps up to so many bytes of the documents that it reads, and does not read those again.
    #[must_use]
    pub fn with_document_cache(self, bytes: usize) -> Self {
        Self { documents: DocumentCache::of_bytes(bytes).map(Arc::new), ..self }
    }

    /// How many bytes of documents are kept.
    #[must_use]
    pub fn document_cache_bytes(&self) -> u64 {
        self.documents.as_ref().map_or(0, |documents| documents.bytes())
    }

    /// Opens the connection to DynamoDB with the cheapest request that the endpoint's function is allowed.
    ///
    /// # Errors
    /// The table's.
    pub async fn connect(&self, endpoint: Endpoint) -> Result<(), Error> {
        let meter = Meter::default();
        match endpoint {
            Endpoint::ListReleases => {
                let nothing = Facet::of_nothing();
                self.release_entries(&nothing, None, Some(1), &meter).await.map(drop)
            }
            Endpoint::GetArtifact => {
                let nothing = ImageReference::Pushed("-".to_owned());
                self.newest_artifact(&nothing, &meter).await.map(drop)
            }
        }
    }

    /// The error for a release whose document is not what was stored.
    #[must_use]
    pub fn unreadable_release(&self, release_id: &str, spoiled: Spoiled) -> Error {
        Error::UnreadableRecord {
            table: self.releases_table.clone(),
            record: Record::Release(release_id).to_string(),
            reason: spoiled.to_string(),
        }
    }

    /// The error for an artifact whose document is not what was stored.
    #[must_use]
    pub fn unreadable_artifact(&self, artifact_id: &str, spoiled: Spoiled) -> Error {
        Error::UnreadableRecord {
            table: self.artifacts_table.clone(),
            record: Record::Artifact(artifact_id).to_string(),
            reason: spoiled.to_string(),
        }
    }

    /// The error for releases that were replaced by larger ones between the index and the documents.
    #[must_use]
    pub fn releases_changed(&self) -> Error {
        unavailable(&self.releases_table, CHANGED, None)
    }

    /// One page of a table or an index; it is counted as a call, and as a wait for DynamoDB.
    async fn page(&self, page: &Page, meter: &Meter) -> Result<PageAnswer, Error> {
        let answer =
            self.dynamodb.page(page, meter.until).await.map_err(|error| from_call(&page.table, &error))?;
        meter.count(answer.capacity);
        meter.count_round_trip();
        Ok(answer)
    }

    /// Reads items by key, in no order, in as many calls as they need; what is not there is left out.
    ///
    /// There may be [`MAX_KEYS_A_BATCH`] keys.
    async fn batch_get(&self, mut batch: Batch, meter: &Meter) -> Result<Vec<Item>, Error> {
        let mut items = Vec::with_capacity(batch.keys.len());
        for round in 0..=MAX_UNPROCESSED_ROUNDS {
            if round > 0 {
                let wait = backoff(FIRST_UNPROCESSED_WAIT, round);
                if meter.until.is_some_and(|until| Instant::now() + wait >= until) {
                    break;
                }
                tokio::time::sleep(wait).await;
            }
            let answer = self
                .dynamodb
                .batch(&batch, meter.until)
                .await
                .map_err(|error| from_call(&batch.table, &error))?;
            meter.count(answer.capacity);
            items.extend(answer.items);
            if answer.unprocessed.is_empty() {
                return Ok(items);
            }
            batch.keys = answer.unprocessed;
        }
        Err(unavailable(&batch.table, THROTTLED, None))
    }
}

#[cfg(feature = "cli")]
impl WritableStore {
    /// A store that writes through the SDK's client; both are to reach the same DynamoDB.
    #[must_use]
    pub fn new(dynamodb: DynamoDb, client: Client, tables: TableNames) -> Self {
        Self { store: Store::new(dynamodb, tables), client }
    }

    /// What it reads with.
    #[must_use]
    pub fn into_store(self) -> Store {
        self.store
    }

    /// All items under a key of a table, read consistently.
    async fn partition(&self, page: Page) -> Result<Vec<Item>, Error> {
        let mut page = Page { is_consistent: true, ..page };
        let mut items = Vec::new();
        loop {
            let answer = self.page(&page, &Meter::default()).await?;
            items.extend(answer.items);
            if answer.last.is_none() {
                return Ok(items);
            }
            page.start = answer.last;
        }
    }
}

#[cfg(feature = "cli")]
impl std::ops::Deref for WritableStore {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

fn unavailable(table: &str, reason: &'static str, source: Option<crate::error::Source>) -> Error {
    Error::Unavailable { table: table.to_owned(), reason, source }
}

/// A failed call in the contract's terms. Its own words may name hosts and keys: they go to the log, not to the caller.
fn from_call(table: &str, error: &CallError) -> Error {
    let described: crate::error::Source = error.to_string().into();
    let table_name = table.to_owned();
    match error {
        CallError::NoTime => Error::OutOfTime,
        CallError::Exchange(ExchangeError::Timeout | ExchangeError::ConnectTimeout(_)) => {
            unavailable(table, NOT_IN_TIME, Some(described))
        }
        CallError::Exchange(ExchangeError::Connect(_) | ExchangeError::Broken { .. }) => {
            unavailable(table, UNREACHED, Some(described))
        }
        CallError::Unreadable(_) => unavailable(table, UNREADABLE_ANSWER, Some(described)),
        CallError::NotConfigured(_) => Error::Refused { table: table_name, source: described },
        CallError::Refused { code, .. } => match code.as_str() {
            "ResourceNotFoundException" => Error::TableMissing { table: table_name, source: described },
            code if DENIED.contains(&code) => Error::AccessDenied { table: table_name, source: described },
            _ if error.is_throttling() => unavailable(table, THROTTLED, Some(described)),
            _ if error.is_failure() => unavailable(table, FAILED, Some(described)),
            _ => Error::Refused { table: table_name, source: described },
        },
    }
}

/// The SDK's error and its causes, DynamoDB's code and message, and the request's id.
///
/// Not the SDK's `DisplayErrorContext`, which adds the whole request and answer: records have no business in a log.
#[cfg(feature = "cli")]
pub(crate) fn describe<E>(error: &SdkError<E>) -> String
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let mut words = vec![error.to_string()];
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        words.push(error.to_string());
        cause = error.source();
    }
    for told in [error.code(), error.message()].into_iter().flatten() {
        if !words.iter().any(|said| said.contains(told)) {
            words.push(told.to_owned());
        }
    }
    words.dedup();
    if let Some(request_id) = error.request_id() {
        words.push(format!("request {request_id}"));
    }
    words.join(": ")
}

/// The SDK's error in the contract's terms. Its own words may name hosts and keys: they go to the log, not to the caller.
#[cfg(feature = "cli")]
pub(crate) fn from_sdk<E>(table: &str, error: &SdkError<E>) -> Error
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let described: crate::error::Source = describe(error).into();
    let table_name = table.to_owned();
    match error {
        SdkError::TimeoutError(_) => unavailable(table, NOT_IN_TIME, Some(described)),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            unavailable(table, NOT_IN_TIME, Some(described))
        }
        SdkError::DispatchFailure(failure) if failure.is_io() => {
            unavailable(table, UNREACHED, Some(described))
        }
        // What never became a request: no credentials, no region, an endpoint that is no URL.
        SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_) => {
            Error::Refused { table: table_name, source: described }
        }
        SdkError::ServiceError(service) => match service.err().code() {
            Some("ResourceNotFoundException") => Error::TableMissing { table: table_name, source: described },
            Some(code) if DENIED.contains(&code) => {
                Error::AccessDenied { table: table_name, source: described }
            }
            Some(
                "ProvisionedThroughputExceededException"
                | "ThrottlingException"
                | "RequestLimitExceeded"
                | "LimitExceededException",
            ) => unavailable(table, THROTTLED, Some(described)),
            Some("InternalServerError" | "InternalServerErrorException" | "ServiceUnavailable") => {
                unavailable(table, FAILED, Some(described))
            }
            _ if service.raw().status().is_server_error() || service.raw().status().as_u16() == 429 => {
                unavailable(table, FAILED, Some(described))
            }
            // A success that is cut off or no JSON: whatever sits between, another attempt may pass.
            _ if service.raw().status().is_success() => {
                unavailable(table, UNREADABLE_ANSWER, Some(described))
            }
            _ => Error::Refused { table: table_name, source: described },
        },
        _ => unavailable(table, UNREADABLE_ANSWER, Some(described)),
    }
}

/// One item's attributes, taken out as what they must be.
struct Attributes<'a> {
    item: Item,
    table: &'a str,
    record: Record<'a>,
}

/// Which record something is wrong with. It is put into words where that has happened: there is one for each item read.
enum Record<'a> {
    Release(&'a str),
    Artifact(&'a str),
    #[cfg(feature = "cli")]
    Fact(&'a str),
    EntryOf(&'a Facet),
    PositionOf(&'a Facet),
    SomeArtifact,
    SomeItem,
}

impl fmt::Display for Record<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Release(id) => write!(formatter, "release {id:?}"),
            Self::Artifact(id) => write!(formatter, "artifact {id:?}"),
            #[cfg(feature = "cli")]
            Self::Fact(digest) => write!(formatter, "fact {digest:?}"),
            Self::EntryOf(facet) => write!(formatter, "an entry of {}", facet.as_str()),
            Self::PositionOf(facet) => write!(formatter, "a position of {}", facet.as_str()),
            Self::SomeArtifact => formatter.write_str("an artifact"),
            Self::SomeItem => formatter.write_str("an item"),
        }
    }
}

impl<'a> Attributes<'a> {
    fn new(item: Item, table: &'a str, record: Record<'a>) -> Self {
        Self { item, table, record }
    }

    fn text(&mut self, name: &str) -> Result<String, Error> {
        match self.item.remove(name) {
            Some(AttributeValue::S(text)) => Ok(text),
            other => Err(self.unreadable_attribute(name, other.is_some())),
        }
    }

    fn bytes(&mut self, name: &str) -> Result<Vec<u8>, Error> {
        match self.item.remove(name) {
            Some(AttributeValue::B(base64)) => {
                base64.decode().ok_or_else(|| self.unreadable_attribute(name, true))
            }
            other => Err(self.unreadable_attribute(name, other.is_some())),
        }
    }

    /// Bytes as base64.
    fn base64(&mut self, name: &str) -> Result<Vec<u8>, Error> {
        match self.item.remove(name) {
            Some(AttributeValue::B(base64)) => Ok(base64.into_text()),
            other => Err(self.unreadable_attribute(name, other.is_some())),
        }
    }

    fn number(&mut self, name: &str) -> Result<usize, Error> {
        match self.item.remove(name) {
            Some(AttributeValue::N(number)) => {
                number.parse().map_err(|_| self.unreadable(format!("its attribute {name:?} is no count")))
            }
            other => Err(self.unreadable_attribute(name, other.is_some())),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.item.contains_key(name)
    }

    fn unreadable_attribute(&self, name: &str, is_there: bool) -> Error {
        let problem = if is_there { "is of another type" } else { "is missing" };
        self.unreadable(format!("its attribute {name:?} {problem}"))
    }

    fn unreadable(&self, reason: impl Into<String>) -> Error {
        Error::UnreadableRecord {
            table: self.table.to_owned(),
            record: self.record.to_string(),
            reason: reason.into(),
        }
    }
}
