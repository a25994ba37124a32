//! Adds facts to artifacts, and makes releases: what many pipelines write at the same moment.
//!
//! An artifact is read, extended, and written back in one transaction with the fact, under the conditions that the fact
//! is new and that neither the artifact nor its pointer changed meanwhile. So no activity is lost, none is doubled, and
//! an interrupted write leaves nothing behind. A fact is kept under `fact#<digest>` · `fact`, in a partition of its own.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{Delete, DeleteRequest, Put, PutRequest, TransactWriteItem, WriteRequest};
use tokio::time::Instant;

use super::artifacts::{ENTRY_PREFIX, key, narrowed, part_entry, whole};
use super::releases::RELEASE_ENTRY;
use super::writing::{put, revision, text, to_sdk, value_to_sdk};
use super::writing_artifacts::{POINTER_ENTRY, PackedArtifact, Place, Pointer};
use super::writing_releases::PackedRelease;
use super::{Attributes, CHANGED, Meter, Record, THROTTLED, WritableStore, fraction, from_sdk, unavailable};
use crate::dynamodb::{AttributeValue, Item, Page};
use crate::error::Error;
use crate::image_reference::ImageDigest;
use crate::position::{Position, UnixSeconds};

const FACT_ENTRY: &str = "fact";
/// DynamoDB takes 4 MB in one transaction: the item, its new parts, and the old ones that give way.
const MAX_PARTS_A_TRANSACTION: usize = 8;
const FIRST_WAIT: Duration = Duration::from_millis(25);
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// What a fact is known by; the same fact has the same key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactKey(String);

/// A fact as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedFact {
    /// The artifact that holds it.
    pub artifact_id: String,
}

/// Which artifact is looked for; of several, the newest is found.
#[derive(Debug, Clone, Copy)]
pub enum WantedArtifact<'a> {
    /// One of an image as pushed, as the index has it: that lags behind the table by a moment.
    Image(&'a str),
    /// One of an image as pushed that has no digest.
    WithoutDigest(&'a str),
    /// One of a digest.
    Digest(&'a ImageDigest),
    /// One of a digest and an image as pushed.
    DigestAndImage(&'a ImageDigest, &'a str),
    /// One of a digest and a repository.
    DigestAndRepository(&'a ImageDigest, &'a str),
}

/// An artifact by its id, and where it was last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundArtifact {
    /// The artifact's id.
    pub artifact_id: String,
    seen_at: Option<(String, String)>,
}

/// An artifact as it is stored now: what a change of it starts from, and must still find.
#[derive(Debug, Clone)]
pub struct ArtifactState {
    pointer: Option<(String, Pointer)>,
    stored: Option<(Place, String)>,
}

/// What became of a write under conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is written.
    Done,
    /// It was there before; nothing was written.
    AlreadyThere,
    /// What it started from is no longer so, and nothing was written: read again, and write again.
    Changed,
    /// It is more than one transaction can hold.
    TooLarge,
}

/// How long something is tried again, with waits that spread those who try at the same time.
#[derive(Debug)]
pub struct Patience {
    deadline: Instant,
    round: u32,
}

impl Patience {
    /// Patience that ends after some time.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self { deadline: Instant::now() + limit, round: 0 }
    }

    /// Waits before the next attempt; `false` where there is no time for one.
    pub async fn wait(&mut self) -> bool {
        let longest = FIRST_WAIT.saturating_mul(1 << self.round.min(10)).min(LONGEST_WAIT);
        self.round += 1;
        let wait = longest.mul_f64(fraction());
        if Instant::now() + wait > self.deadline {
            return false;
        }
        tokio::time::sleep(wait).await;
        true
    }
}

impl FactKey {
    /// The key of what some texts say together.
    #[must_use]
    pub fn new(texts: &[&str]) -> Self {
        Self(revision(texts))
    }

    fn key(&self) -> Item {
        key(&format!("fact#{}", self.0), FACT_ENTRY)
    }
}

impl FoundArtifact {
    /// An artifact of which nothing but the id is known.
    #[must_use]
    pub fn by_id(artifact_id: String) -> Self {
        Self { artifact_id, seen_at: None }
    }
}

impl ArtifactState {
    /// The state of an artifact that is not there.
    #[must_use]
    pub fn absent() -> Self {
        Self { pointer: None, stored: None }
    }

    /// The artifact's JSON; none where it is not there.
    #[must_use]
    pub fn json(&self) -> Option<&str> {
        self.stored.as_ref().map(|(_, json)| json.as_str())
    }

    /// The places that the pointer is to go on naming once the artifact is at its new one.
    fn stale(&self, place: &Place) -> Vec<Place> {
        let named = self
            .pointer
            .iter()
            .flat_map(|(_, pointer)| std::iter::once(&pointer.place).chain(&pointer.stale));
        let given_up = self.stored.as_ref().map(|(place, _)| place);
        named.filter(|named| *named != place && Some(*named) != given_up).cloned().collect()
    }
}

impl WritableStore {
    /// Finds an artifact.
    ///
    /// # Errors
    /// The table's.
    pub async fn find_artifact(&self, wanted: WantedArtifact<'_>) -> Result<Option<FoundArtifact>, Error> {
        let under = |hash_key: &str| Page { is_consistent: true, ..self.of_hash_key(hash_key) };
        let page = match wanted {
            WantedArtifact::Image(image) => self.of_image(image),
            WantedArtifact::WithoutDigest(image) => under(&format!("image:{image}")),
            WantedArtifact::Digest(digest) => under(digest.as_str()),
            WantedArtifact::DigestAndImage(digest, image) => {
                narrowed(under(digest.as_str()), "image = :name", image)
            }
            WantedArtifact::DigestAndRepository(digest, repository) => {
                narrowed(under(digest.as_str()), "repository = :name", repository)
            }
        };
        let limit = page.filter.is_none().then_some(1);
        let page = Page { projection: Some("image_digest, #entry"), limit, ..page };
        let Some(item) = self.first(page, &Meter::default()).await? else { return Ok(None) };
        let mut attributes = Attributes::new(item, &self.artifacts_table, Record::SomeArtifact);
        let (image_digest, entry) = (attributes.text("image_digest")?, attributes.text("entry")?);
        let position = entry.strip_prefix(ENTRY_PREFIX).and_then(Position::parse);
        let position =
            position.ok_or_else(|| attributes.unreadable(format!("its entry {entry:?} has another form")))?;
        Ok(Some(FoundArtifact {
            artifact_id: position.id().to_owned(),
            seen_at: Some((image_digest, entry)),
        }))
    }

    /// Reads an artifact consistently, where its pointer or else the finder says that it is.
    ///
    /// # Errors
    /// The table's, and an artifact that cannot be read.
    pub async fn artifact_state(&self, found: &FoundArtifact) -> Result<ArtifactState, Error> {
        let table = self.artifacts_table.as_str();
        let pointer_key = (format!("id:{}", found.artifact_id), POINTER_ENTRY.to_owned());
        let mut items =
            self.items_at([Some(&pointer_key), found.seen_at.as_ref()].into_iter().flatten()).await?;
        let pointer = items.remove(&pointer_key).map(|item| {
            let mut attributes = Attributes::new(item, table, Record::Artifact(&found.artifact_id));
            let kept = attributes.text("kept")?;
            let pointer: Pointer = serde_json::from_str(&kept)
                .map_err(|error| attributes.unreadable(format!("its pointer cannot be read: {error}")))?;
            Ok::<_, Error>((kept, pointer))
        });
        let pointer = pointer.transpose()?;
        let mut seen = found.seen_at.as_ref().and_then(|seen_at| items.remove(seen_at));
        if let Some((_, Pointer { place, .. })) = &pointer {
            let named = (place.image_digest.clone(), place.entry.clone());
            if found.seen_at.as_ref() != Some(&named) {
                seen = self.items_at(std::iter::once(&named)).await?.remove(&named).or(seen);
            }
        }
        let stored = match seen {
            Some(item) => Some(self.stored_artifact(item).await?),
            None => None,
        };
        Ok(ArtifactState { pointer, stored })
    }

    async fn stored_artifact(&self, item: Item) -> Result<(Place, String), Error> {
        let table = self.artifacts_table.as_str();
        let mut attributes = Attributes::new(item.clone(), table, Record::SomeArtifact);
        let place = Place {
            image_digest: attributes.text("image_digest")?,
            entry: attributes.text("entry")?,
            revision: attributes.text("revision")?,
            parts: if attributes.has("parts") { attributes.number("parts")? } else { 0 },
        };
        let artifact = self.artifact(item, &Meter::default()).await?;
        let artifact = artifact.ok_or_else(|| unavailable(table, CHANGED, None))?;
        let json = artifact.document.unpack();
        Ok((place, json.map_err(|spoiled| self.unreadable_artifact(artifact.position.id(), spoiled))?))
    }

    /// Items of the Artifacts table by key, read consistently.
    async fn items_at(
        &self,
        keys: impl Iterator<Item = &(String, String)>,
    ) -> Result<HashMap<(String, String), Item>, Error> {
        let table = self.artifacts_table.as_str();
        let keys = keys.map(|(image_digest, entry)| key(image_digest, entry)).collect();
        let mut by_key = HashMap::new();
        for item in self.batch_get(whole(table, keys), &Meter::default()).await? {
            let mut attributes = Attributes::new(item.clone(), table, Record::SomeItem);
            by_key.insert((attributes.text("image_digest")?, attributes.text("entry")?), item);
        }
        Ok(by_key)
    }

    /// A fact that was recorded before.
    ///
    /// # Errors
    /// The table's.
    pub async fn recorded_fact(&self, fact: &FactKey) -> Result<Option<RecordedFact>, Error> {
        let at = (format!("fact#{}", fact.0), FACT_ENTRY.to_owned());
        let Some(item) = self.items_at(std::iter::once(&at)).await?.remove(&at) else { return Ok(None) };
        let mut attributes = Attributes::new(item, &self.artifacts_table, Record::Fact(&fact.0));
        Ok(Some(RecordedFact { artifact_id: attributes.text("artifact_id")? }))
    }

    /// Stores an artifact in the place of the state that it was made from, together with the fact that was added.
    ///
    /// # Errors
    /// The table's; nothing is written then.
    pub async fn extend_artifact(
        &self,
        state: &ArtifactState,
        artifact: &PackedArtifact,
        fact: &FactKey,
        recorded_at: UnixSeconds,
    ) -> Result<Written, Error> {
        let replaced_parts = state.stored.as_ref().map_or(0, |(place, _)| place.parts);
        if artifact.place.parts + replaced_parts > MAX_PARTS_A_TRANSACTION {
            return Ok(Written::TooLarge);
        }
        let mut fact_item = fact.key();
        fact_item.insert("artifact_id".into(), text(&artifact.artifact_id));
        fact_item.insert("recorded_at".into(), AttributeValue::N(recorded_at.to_string()));
        // The fact comes first: its reason for a cancellation is told from the others by its place.
        let fact_write =
            self.put_artifact_item(fact_item).condition_expression("attribute_not_exists(image_digest)");
        let mut writes = vec![write_put(fact_write), write_put(self.pointer_write(state, artifact))];
        writes.extend(self.item_writes(state, artifact));
        writes.extend(artifact.parts().map(|part| write_put(self.put_artifact_item(part))));
        if let Some((place, _)) = &state.stored {
            let replaced =
                (1..=place.parts).map(|number| part_entry(&artifact.artifact_id, &place.revision, number));
            writes.extend(replaced.map(|entry| {
                let delete = Delete::builder().table_name(&self.artifacts_table);
                write_delete(delete.set_key(Some(to_sdk(key(&place.image_digest, &entry)))))
            }));
        }
        let sent = self.client.transact_write_items().set_transact_items(Some(writes)).send().await;
        sent.map_or_else(|error| written_in_spite_of(&self.artifacts_table, &error), |_| Ok(Written::Done))
    }

    fn pointer_write(
        &self,
        state: &ArtifactState,
        artifact: &PackedArtifact,
    ) -> aws_sdk_dynamodb::types::builders::PutBuilder {
        let write = self.put_artifact_item(artifact.pointer(state.stale(&artifact.place)));
        match &state.pointer {
            None => write.condition_expression("attribute_not_exists(image_digest)"),
            Some((kept, _)) => write
                .condition_expression("kept = :kept")
                .expression_attribute_values(":kept", value_to_sdk(text(kept))),
        }
    }

    /// The artifact's item, and what takes it from where it was. At a new place the pointer's condition guards it.
    fn item_writes(&self, state: &ArtifactState, artifact: &PackedArtifact) -> Vec<TransactWriteItem> {
        const UNCHANGED: &str = "revision = :revision";
        let write = self.put_artifact_item(artifact.item.clone());
        match &state.stored {
            Some((place, _)) if place.key() == artifact.place.key() => vec![write_put(
                write
                    .condition_expression(UNCHANGED)
                    .expression_attribute_values(":revision", value_to_sdk(text(&place.revision))),
            )],
            Some((place, _)) => vec![
                write_put(write),
                write_delete(
                    Delete::builder()
                        .table_name(&self.artifacts_table)
                        .set_key(Some(to_sdk(place.key())))
                        .condition_expression(UNCHANGED)
                        .expression_attribute_values(":revision", value_to_sdk(text(&place.revision))),
                ),
            ],
            None => vec![write_put(write)],
        }
    }

    fn put_artifact_item(&self, item: Item) -> aws_sdk_dynamodb::types::builders::PutBuilder {
        Put::builder().table_name(&self.artifacts_table).set_item(Some(to_sdk(item)))
    }

    /// Stores a release where there is none of its id. Its facets are still to be settled.
    ///
    /// # Errors
    /// The table's.
    pub async fn put_new_release(&self, release: &PackedRelease) -> Result<Written, Error> {
        let table = self.releases_table.as_str();
        let parts = release.items.iter().filter(|(entry, _)| entry.starts_with("part#"));
        self.batch_write(table, parts.map(|(_, part)| put(part.clone())).collect()).await?;
        let sent = self
            .client
            .put_item()
            .table_name(table)
            .set_item(release.items.get(RELEASE_ENTRY).cloned().map(to_sdk))
            .condition_expression("attribute_not_exists(release_id)")
            .send()
            .await;
        match sent {
            Ok(_) => Ok(Written::Done),
            Err(error) => match error.as_service_error() {
                Some(refused) if refused.is_conditional_check_failed_exception() => Ok(Written::AlreadyThere),
                Some(refused) if refused.is_transaction_conflict_exception() => Ok(Written::Changed),
                _ => Err(from_sdk(table, &error)),
            },
        }
    }
}

/// A batch's write as a transaction's; none where it is neither a put nor a delete, which no batch holds.
pub(super) fn in_transaction(table: &str, write: &WriteRequest) -> Option<TransactWriteItem> {
    if let Some(item) = write.put_request().map(PutRequest::item) {
        return Some(write_put(Put::builder().table_name(table).set_item(Some(item.clone()))));
    }
    let key = write.delete_request().map(DeleteRequest::key)?;
    Some(write_delete(Delete::builder().table_name(table).set_key(Some(key.clone()))))
}

pub(super) fn write_put(put: aws_sdk_dynamodb::types::builders::PutBuilder) -> TransactWriteItem {
    TransactWriteItem::builder().put(put.build().expect("a table and an item are given")).build()
}

fn write_delete(delete: aws_sdk_dynamodb::types::builders::DeleteBuilder) -> TransactWriteItem {
    TransactWriteItem::builder().delete(delete.build().expect("a table and a key are given")).build()
}

/// What a failed transaction says: it is an answer where a condition did not hold, or where others wrote at the same time.
pub(super) fn written_in_spite_of(
    table: &str,
    error: &SdkError<TransactWriteItemsError>,
) -> Result<Written, Error> {
    let cancelled = match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => cancelled,
        Some(TransactWriteItemsError::TransactionInProgressException(_)) => return Ok(Written::Changed),
        _ => return Err(from_sdk(table, error)),
    };
    let codes: Vec<_> =
        cancelled.cancellation_reasons().iter().map(|reason| reason.code().unwrap_or_default()).collect();
    if codes.first() == Some(&"ConditionalCheckFailed") {
        return Ok(Written::AlreadyThere);
    }
    if codes.iter().any(|code| matches!(*code, "ConditionalCheckFailed" | "TransactionConflict")) {
        return Ok(Written::Changed);
    }
    if codes.iter().any(|code| matches!(*code, "ThrottlingError" | "ProvisionedThroughputExceeded")) {
        return Err(unavailable(table, THROTTLED, None));
    }
    Err(from_sdk(table, error))
}
