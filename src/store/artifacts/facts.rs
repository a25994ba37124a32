//! Adds what pipelines record to artifacts: many pipelines at the same moment, and imports beside them.
//!
//! A recorded fact is an item of its own, `fact#<digest>` · `fact`: the activity, and what the pipeline knew of the artifact.
//! The pointer of an artifact lists the digests of its facts, and its document holds their activities: the fact, the
//! pointer and the document are written in one transaction, on the condition that the pointer is as it was read. So a
//! fact is recorded where a pointer lists it and nowhere else, none is lost and none is doubled. An import reads the facts
//! that the pointer lists, and writes its record with their activities.

use aws_sdk_dynamodb::types::AttributeValue;

use super::packing::PackedArtifact;
use super::state::{ArtifactState, FactKey, FoundArtifact};
use super::writing::ArtifactWrite;
use crate::position::UnixSeconds;
use crate::record::{Artifact, Record, RecordedActivity};
use crate::store::error::StoreError;
use crate::store::items::{Attributes, Item, Subject, text};
use crate::store::keys::{FACT_PREFIX, fact_key};
use crate::store::transaction::{Condition, Transacted, Write};
use crate::store::{ItemsPage, Store};

/// A fact to be recorded.
#[derive(Debug, Clone)]
pub struct Fact {
    /// What it is known by.
    pub key: FactKey,
    /// What it says.
    pub recorded: RecordedActivity,
    /// When it was recorded.
    pub recorded_at: UnixSeconds,
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

impl Store {
    /// The artifact of which a fact was recorded before, and that still holds it.
    ///
    /// # Errors
    /// The table's, and an artifact that cannot be read.
    pub async fn recorded_before(&self, fact: &FactKey) -> Result<Option<ArtifactState>, StoreError> {
        let Some(artifact_id) = self.named_by(fact).await? else { return Ok(None) };
        let state = self.artifact_state(&FoundArtifact::by_id(artifact_id)).await?;
        Ok(Some(state).filter(|state| state.holds(fact)))
    }

    /// The digests of the facts that name an artifact, in the order in which they were recorded: of an artifact whose pointer was
    /// lost. Where its document is told, only those that it holds.
    ///
    /// No index has them: the whole table is read.
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

    /// The digests of the facts of an artifact whose item was found, and whose pointer was not.
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
            // What it holds cannot be told.
            Err(StoreError::UnreadableRecord { .. }) => None,
            Err(error) => return Err(error),
        };
        self.facts_of(artifact_id, document.as_deref()).await
    }

    /// Reads a fact's item; `None` where it is not what was stored.
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

    /// The artifact that a fact's item names, whether that holds it or not.
    async fn named_by(&self, fact: &FactKey) -> Result<Option<String>, StoreError> {
        let [item] = self.items_at([Some(&fact_key(fact.as_str()))]).await?;
        let Some(item) = item else { return Ok(None) };
        let mut attributes = Attributes::new(item, &self.artifacts_table, Subject::Fact(fact.as_str()));
        attributes.text("artifact_id").map(Some)
    }

    /// Stores an artifact in the place of the state that it was made from, together with the fact that was added; false where
    /// that state is no longer the stored one, or somebody recorded the fact meanwhile.
    ///
    /// # Errors
    /// The table's.
    pub async fn record_fact(
        &self,
        state: &ArtifactState,
        artifact: &PackedArtifact,
        fact: &Fact,
    ) -> Result<bool, StoreError> {
        self.record_facts(state, artifact, std::slice::from_ref(fact)).await
    }

    /// As [`Store::record_fact`], of several facts. An artifact that is new and was built takes the place of those that stood for
    /// its image.
    pub(super) async fn record_facts(
        &self,
        state: &ArtifactState,
        artifact: &PackedArtifact,
        facts: &[Fact],
    ) -> Result<bool, StoreError> {
        let mut beside = Vec::with_capacity(facts.len());
        for fact in facts {
            // An item that is left of a fact that nobody holds any more gives way.
            let condition = match self.named_by(&fact.key).await? {
                None => Condition::Absent,
                Some(other) => Condition::Has("artifact_id", other),
            };
            beside.push(Write::Put(fact.item(artifact.artifact_id()), Some(condition)));
        }
        // Where the artifact itself was deleted, its facts went with it, whatever the pointer still lists.
        let mut recorded =
            if state.stored.is_some() { state.kept.pointer.recorded.clone() } else { Vec::new() };
        let mut unneeded = Vec::new();
        let mut taken_over = None;
        if state.stored.is_none() && artifact.artifact.is_built {
            let given = self.given_to(&artifact.artifact).await?;
            if !given.facts.is_empty() {
                let handed_over = self.recorded(artifact.artifact_id(), &given.facts).await?;
                taken_over = Some(self.with_recorded(artifact, &handed_over)?);
            }
            recorded.extend(given.facts);
            beside.extend(given.writes);
            unneeded.extend(given.unneeded);
        }
        recorded.extend(facts.iter().map(|fact| fact.key.as_str().to_owned()));
        let write = ArtifactWrite {
            kept: &state.kept,
            artifact: taken_over.as_ref().unwrap_or(artifact),
            recorded,
            beside,
            unneeded,
            with_known_entries: false,
        };
        Ok(self.write_artifact(write).await? == Transacted::Done)
    }
}
