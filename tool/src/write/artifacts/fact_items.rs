//! Adds the facts that pipelines record to artifacts, while other pipelines and imports may be writing the
//! same artifacts.
//!
//! A recorded fact is an item of its own, `fact#<digest>` · `fact`: the activity, and what the pipeline knew
//! of the artifact. The artifact's pointer lists the digests of its facts, and its document holds their
//! activities. Three things are written in one transaction, on the condition that the pointer is as it was
//! read: the fact, the pointer that lists it, and the document with the new activity. So a fact counts as
//! recorded where a pointer lists it, and nowhere else; none is lost, and one that is sent again is found
//! listed.
//!
//! An import reads the facts that the pointer lists, adds their activities to its record, and writes that on
//! the same condition. So imports and pipelines lose nothing to each other.

use aws_sdk_dynamodb::types::AttributeValue;
use delivery_center::position::UnixSeconds;
use delivery_center::store::items::{Attributes, Item, Subject, text};
use delivery_center::store::keys::{FACT_PREFIX, fact_key};
use delivery_center::store::{ItemsPage, StoreError};

use super::packing::PackedArtifact;
use super::state::{ArtifactState, FactKey};
use super::writing::ArtifactWrite;
use crate::record::{Artifact, Record, RecordedActivity};
use crate::write::Writer;
use crate::write::transaction::{Condition, Transacted, Write};

/// A fact to be recorded.
#[derive(Debug, Clone)]
pub struct Fact {
    /// The key, by which the same fact is found again.
    pub key: FactKey,
    /// The activity, and what the pipeline knew of the artifact.
    pub recorded: RecordedActivity,
    /// When it was recorded.
    pub recorded_at: UnixSeconds,
    /// The artifact that the fact's item named when it was asked whether that artifact holds the fact; `None`
    /// where there was no such item.
    pub named: Option<String>,
}

impl Fact {
    /// The item, for the artifact that holds it.
    fn item(&self, artifact_id: &str) -> Item {
        let mut item = fact_key(self.key.as_str());
        item.insert("artifact_id".to_owned(), text(artifact_id));
        item.insert("activity".to_owned(), text(&self.recorded.activity));
        item.insert("artifact_fields".to_owned(), text(&self.recorded.artifact_fields));
        item.insert("recorded_at".to_owned(), AttributeValue::N(self.recorded_at.to_string()));
        item
    }
}

/// A fact as it is stored.
pub(super) struct ReadableFact {
    /// The artifact that it names.
    pub(super) artifact_id: String,
    digest: String,
    recorded: RecordedActivity,
    recorded_at: UnixSeconds,
}

impl Writer {
    /// Looks for the facts of an artifact whose pointer was lost: the digests of the facts that name it, in
    /// the order in which they were recorded. Where its document is given, facts that the document does not
    /// hold are left out.
    ///
    /// No index has facts, so this reads the whole table.
    pub(super) async fn facts_of(
        &self,
        artifact_id: &str,
        document: Option<&Artifact>,
    ) -> Result<Vec<String>, StoreError> {
        let table = self.artifacts_table.as_str();
        let (mut facts, mut start) = (Vec::new(), None);
        loop {
            let scan = self
                .client
                .scan()
                .filter_expression("begins_with(image_digest, :fact) AND artifact_id = :id")
                .expression_attribute_values(":fact", text(FACT_PREFIX))
                .expression_attribute_values(":id", text(artifact_id))
                .set_exclusive_start_key(start);
            let ItemsPage { items, next } = self.scan_page(table, scan).await?;
            for fact in items.into_iter().filter_map(|item| self.readable_fact(item)) {
                let is_held = document.is_none_or(|artifact| artifact.holds(&fact.recorded));
                if is_held {
                    facts.push((fact.recorded_at, fact.digest));
                }
            }
            start = next;
            if start.is_none() {
                facts.sort();
                return Ok(facts.into_iter().map(|(_, digest)| digest).collect());
            }
        }
    }

    /// Does the same as [`Store::facts_of`] for an artifact whose item was found, and takes its document from
    /// there.
    pub(super) async fn facts_of_found(
        &self,
        artifact_id: &str,
        item: Item,
    ) -> Result<Vec<String>, StoreError> {
        let document = match self.stored_at(item).await {
            Ok((_, json)) => match Record::check(json.as_bytes()) {
                Ok(Record::Artifact(artifact)) => Some(artifact),
                _ => None,
            },
            // The document cannot be read, so nobody knows which facts it holds.
            Err(StoreError::UnreadableRecord { .. }) => None,
            Err(error) => return Err(error),
        };
        self.facts_of(artifact_id, document.as_deref()).await
    }

    /// Reads a fact's item; `None` where it cannot be read.
    pub(super) fn readable_fact(&self, item: Item) -> Option<ReadableFact> {
        let mut fact = Attributes::new(item, &self.artifacts_table, Subject::SomeItem);
        let digest = fact.text("image_digest").ok()?.strip_prefix(FACT_PREFIX)?.to_owned();
        let recorded = RecordedActivity {
            activity: fact.text("activity").ok()?,
            artifact_fields: fact.text("artifact_fields").ok()?,
        };
        let recorded_at = fact.number("recorded_at").ok()?.try_into().ok()?;
        let artifact_id = fact.text("artifact_id").ok()?;
        recorded.is_readable().then_some(ReadableFact { artifact_id, digest, recorded, recorded_at })
    }

    /// The id of the artifact that a fact's item names. That artifact need not hold the fact any more.
    ///
    /// # Errors
    /// DynamoDB fails or refuses the request, or the item cannot be read.
    pub async fn artifact_named_by(&self, fact: &FactKey) -> Result<Option<String>, StoreError> {
        let [item] = self.items_at([Some(&fact_key(fact.as_str()))]).await?;
        let Some(item) = item else { return Ok(None) };
        let mut attributes = Attributes::new(item, &self.artifacts_table, Subject::Fact(fact.as_str()));
        attributes.text("artifact_id").map(Some)
    }

    /// Stores a fact, together with the artifact that was made of `state` by adding it.
    ///
    /// The result is false, and nothing is written, where the artifact has changed since that state was read,
    /// or somebody recorded the fact meanwhile.
    ///
    /// # Errors
    /// DynamoDB fails, or refuses the request.
    pub async fn record_fact(
        &self,
        state: &ArtifactState,
        artifact: &PackedArtifact,
        fact: &Fact,
    ) -> Result<bool, StoreError> {
        self.record_facts(state, artifact, std::slice::from_ref(fact)).await
    }

    /// Does the same as [`Store::record_fact`] for several facts. Where the artifact is new and was built,
    /// the artifacts that stood for its image give way to it in the same transaction.
    pub(super) async fn record_facts(
        &self,
        state: &ArtifactState,
        artifact: &PackedArtifact,
        facts: &[Fact],
    ) -> Result<bool, StoreError> {
        let mut other_writes = Vec::with_capacity(facts.len());
        for fact in facts {
            // An artifact that no longer holds the fact may have left the fact's item behind. That item is
            // replaced, on the condition that it still names the same artifact.
            let condition = match fact.named.clone() {
                None => Condition::Absent,
                Some(other) => Condition::Has("artifact_id", other),
            };
            other_writes.push(Write::Put(fact.item(artifact.artifact_id()), Some(condition)));
        }
        // Where the artifact itself was deleted, its facts went with it, whatever the pointer still lists.
        let mut recorded =
            if state.stored.is_some() { state.kept.pointer.recorded.clone() } else { Vec::new() };
        let mut unneeded = Vec::new();
        let mut with_handed_over = None;
        if state.stored.is_none() && artifact.artifact.is_built {
            let handed_over = self.handed_over_to(&artifact.artifact).await?;
            if !handed_over.facts.is_empty() {
                let facts = self.listed_facts(artifact.artifact_id(), &handed_over.facts).await?;
                with_handed_over = Some(self.with_recorded(artifact, &facts)?);
            }
            recorded.extend(handed_over.facts);
            other_writes.extend(handed_over.writes);
            unneeded.extend(handed_over.unneeded);
        }
        recorded.extend(facts.iter().map(|fact| fact.key.as_str().to_owned()));
        let write = ArtifactWrite {
            kept: &state.kept,
            artifact: with_handed_over.as_ref().unwrap_or(artifact),
            recorded,
            other_writes,
            unneeded,
            with_known_entries: false,
        };
        Ok(self.write_artifact(write).await? == Transacted::Done)
    }
}
