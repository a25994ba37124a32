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
use crate::record::RecordedActivity;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::items::{Attributes, Item, Subject, text};
use crate::store::keys::fact_key;
use crate::store::transaction::{Condition, Transacted, Write};

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
        // An item that is left of a fact that nobody holds any more gives way.
        let condition = match self.named_by(&fact.key).await? {
            None => Condition::Absent,
            Some(other) => Condition::Has("artifact_id", other),
        };
        // Where the artifact itself was deleted, its facts went with it, whatever the pointer still lists.
        let mut recorded =
            if state.stored.is_some() { state.kept.pointer.recorded.clone() } else { Vec::new() };
        recorded.push(fact.key.as_str().to_owned());
        let write = ArtifactWrite {
            kept: &state.kept,
            artifact,
            recorded,
            beside: vec![Write::Put(fact.item(artifact.artifact_id()), Some(condition))],
            unneeded: Vec::new(),
            with_known_entries: false,
        };
        Ok(self.write_artifact(write).await? == Transacted::Done)
    }
}
