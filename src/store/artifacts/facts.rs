//! Adds facts to artifacts: what many pipelines write at the same moment.
//!
//! An artifact is read, extended, and written back in one transaction with the fact, under the conditions that the fact
//! is new and that neither the artifact nor its pointer changed meanwhile. So no activity is lost, none is doubled, and
//! an interrupted write leaves nothing behind. A fact is kept under `fact#<digest>` · `fact`, in a partition of its own.

use aws_sdk_dynamodb::types::builders::PutBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem};

use super::packing::PackedArtifact;
use super::reading::narrowed;
use super::{KeptPointer, Place};
use crate::digest;
use crate::image_reference::ImageDigest;
use crate::position::UnixSeconds;
use crate::store::error::{StoreError, Unavailability};
use crate::store::items::{Attributes, Item, Subject, text};
use crate::store::keys::{
    artifact_key, artifact_part_entry, artifact_position, fact_key, image_hash_key, pointer_key,
};
use crate::store::transaction::{Written, delete_in_transaction, put_in_transaction};
use crate::store::{Store, Usage, whole};

/// DynamoDB takes 4 MB in one transaction: the item, its new parts, and the old ones that give way.
const MAX_PARTS_A_TRANSACTION: usize = 8;

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
    kept: Option<KeptPointer>,
    /// Where it is, and its JSON.
    stored: Option<(Place, String)>,
}

impl FactKey {
    /// The key of what some texts say together.
    #[must_use]
    pub fn new(texts: &[&str]) -> Self {
        Self(digest::of_texts(texts))
    }

    fn key(&self) -> Item {
        fact_key(&self.0)
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
        Self { kept: None, stored: None }
    }

    /// The artifact's JSON; `None` where it is not there.
    #[must_use]
    pub fn json(&self) -> Option<&str> {
        self.stored.as_ref().map(|(_, json)| json.as_str())
    }

    /// The places that the pointer is to go on naming once the artifact is at its new one.
    fn stale(&self, place: &Place) -> Vec<Place> {
        let named = self.kept.iter().flat_map(KeptPointer::places);
        let given_up = self.stored.as_ref().map(|(place, _)| place);
        named.filter(|named| *named != place && Some(*named) != given_up).cloned().collect()
    }
}

impl Store {
    /// Finds an artifact.
    ///
    /// # Errors
    /// The table's.
    pub async fn find_artifact(
        &self,
        wanted: WantedArtifact<'_>,
    ) -> Result<Option<FoundArtifact>, StoreError> {
        let under = |hash_key: &str| self.query_by_hash_key(hash_key).consistent_read(true);
        let query = match wanted {
            WantedArtifact::Image(image) => self.query_by_image(image),
            WantedArtifact::WithoutDigest(image) => under(&image_hash_key(image)),
            WantedArtifact::Digest(digest) => under(digest.as_str()),
            WantedArtifact::DigestAndImage(digest, image) => {
                narrowed(under(digest.as_str()), "image = :name", image)
            }
            WantedArtifact::DigestAndRepository(digest, repository) => {
                narrowed(under(digest.as_str()), "repository = :name", repository)
            }
        };
        let query = query.projection_expression("image_digest, #entry");
        let Some(item) = self.first_artifact(query, &Usage::default()).await? else { return Ok(None) };
        let mut attributes = Attributes::new(item, &self.artifacts_table, Subject::SomeArtifact);
        let (image_digest, entry) = (attributes.text("image_digest")?, attributes.text("entry")?);
        let position = artifact_position(&entry)
            .ok_or_else(|| attributes.unreadable(format!("its entry {entry:?} has another form")))?;
        Ok(Some(FoundArtifact {
            artifact_id: position.id().to_owned(),
            seen_at: Some((image_digest, entry)),
        }))
    }

    /// Reads an artifact consistently, where its pointer or else the finder says that it is.
    ///
    /// # Errors
    /// The table's, and an artifact that cannot be read.
    pub async fn artifact_state(&self, found: &FoundArtifact) -> Result<ArtifactState, StoreError> {
        let pointer_key = pointer_key(&found.artifact_id);
        let seen_at = found.seen_at.as_ref().map(|(hash_key, entry)| artifact_key(hash_key, entry));
        let [kept, mut seen] = self.items_at([Some(&pointer_key), seen_at.as_ref()]).await?;
        let kept = kept.map(|item| {
            let mut attributes =
                Attributes::new(item, &self.artifacts_table, Subject::Artifact(&found.artifact_id));
            let kept = attributes.text("kept")?;
            KeptPointer::parse(kept).map_err(|reason| attributes.unreadable(reason))
        });
        let kept = kept.transpose()?;
        if let Some(KeptPointer { pointer, .. }) = &kept {
            let named = pointer.place.key();
            if seen_at.as_ref() != Some(&named) {
                let [found] = self.items_at([Some(&named)]).await?;
                seen = found.or(seen);
            }
        }
        let stored = match seen {
            Some(item) => Some(self.stored_artifact(item).await?),
            None => None,
        };
        Ok(ArtifactState { kept, stored })
    }

    async fn stored_artifact(&self, item: Item) -> Result<(Place, String), StoreError> {
        let table = self.artifacts_table.as_str();
        let mut attributes = Attributes::new(item.clone(), table, Subject::SomeArtifact);
        let place = Place {
            image_digest: attributes.text("image_digest")?,
            entry: attributes.text("entry")?,
            revision: attributes.text("revision")?,
            parts: if attributes.has("parts") { attributes.number("parts")? } else { 0 },
        };
        let artifact = self.artifact(item, &Usage::default()).await?;
        let artifact =
            artifact.ok_or_else(|| StoreError::unavailable(table, Unavailability::ChangesTooFast))?;
        let json = artifact.document.unpack();
        Ok((place, json.map_err(|spoiled| self.unreadable_artifact(artifact.position.id(), spoiled))?))
    }

    /// Items of the Artifacts table by key, read consistently, in the order of the keys; `None` for what is not there.
    async fn items_at<const N: usize>(
        &self,
        keys: [Option<&Item>; N],
    ) -> Result<[Option<Item>; N], StoreError> {
        let request = whole(keys.into_iter().flatten().cloned().collect());
        let found = self.batch_get(&self.artifacts_table, request, &Usage::default()).await?;
        let is_at = |item: &Item, key: &Item| key.iter().all(|(name, value)| item.get(name) == Some(value));
        Ok(keys.map(|key| key.and_then(|key| found.iter().find(|item| is_at(item, key)).cloned())))
    }

    /// A fact that was recorded before.
    ///
    /// # Errors
    /// The table's.
    pub async fn recorded_fact(&self, fact: &FactKey) -> Result<Option<RecordedFact>, StoreError> {
        let [item] = self.items_at([Some(&fact.key())]).await?;
        let Some(item) = item else { return Ok(None) };
        let mut attributes = Attributes::new(item, &self.artifacts_table, Subject::Fact(&fact.0));
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
    ) -> Result<Written, StoreError> {
        let replaced_parts = state.stored.as_ref().map_or(0, |(place, _)| place.parts);
        if artifact.place.parts + replaced_parts > MAX_PARTS_A_TRANSACTION {
            return Ok(Written::TooLarge);
        }
        let mut fact_item = fact.key();
        fact_item.insert("artifact_id".to_owned(), text(&artifact.artifact_id));
        fact_item.insert("recorded_at".to_owned(), AttributeValue::N(recorded_at.to_string()));
        // The fact comes first: its reason for a cancellation is told from the others by its place.
        let fact_write =
            self.put_artifact_item(fact_item).condition_expression("attribute_not_exists(image_digest)");
        let mut writes =
            vec![put_in_transaction(fact_write), put_in_transaction(self.pointer_write(state, artifact))];
        writes.extend(self.item_writes(state, artifact));
        writes.extend(artifact.parts().map(|part| put_in_transaction(self.put_artifact_item(part))));
        if let Some((place, _)) = &state.stored {
            let replaced = (1..=place.parts)
                .map(|number| artifact_part_entry(&artifact.artifact_id, &place.revision, number));
            writes.extend(replaced.map(|entry| {
                let delete = Delete::builder().table_name(&self.artifacts_table);
                delete_in_transaction(delete.set_key(Some(artifact_key(&place.image_digest, &entry))))
            }));
        }
        self.transact(&self.artifacts_table, writes).await
    }

    fn pointer_write(&self, state: &ArtifactState, artifact: &PackedArtifact) -> PutBuilder {
        let write = self.put_artifact_item(artifact.pointer(state.stale(&artifact.place)));
        match &state.kept {
            None => write.condition_expression("attribute_not_exists(image_digest)"),
            Some(KeptPointer { kept, .. }) => {
                write.condition_expression("kept = :kept").expression_attribute_values(":kept", text(kept))
            }
        }
    }

    /// The artifact's item, and what takes it from where it was. At a new place the pointer's condition guards it.
    fn item_writes(&self, state: &ArtifactState, artifact: &PackedArtifact) -> Vec<TransactWriteItem> {
        const UNCHANGED: &str = "revision = :revision";
        let write = self.put_artifact_item(artifact.item.clone());
        match &state.stored {
            Some((place, _)) if place.key() == artifact.place.key() => vec![put_in_transaction(
                write
                    .condition_expression(UNCHANGED)
                    .expression_attribute_values(":revision", text(&place.revision)),
            )],
            Some((place, _)) => vec![
                put_in_transaction(write),
                delete_in_transaction(
                    Delete::builder()
                        .table_name(&self.artifacts_table)
                        .set_key(Some(place.key()))
                        .condition_expression(UNCHANGED)
                        .expression_attribute_values(":revision", text(&place.revision)),
                ),
            ],
            None => vec![put_in_transaction(write)],
        }
    }

    fn put_artifact_item(&self, item: Item) -> PutBuilder {
        Put::builder().table_name(&self.artifacts_table).set_item(Some(item))
    }
}
