//! Reads an artifact consistently, as it is stored now: every change of an artifact starts from that.

use std::collections::HashMap;

use delivery_center::image_reference::ImageDigest;
use delivery_center::store::artifacts::reading::narrowed;
use delivery_center::store::items::{Attributes, Item, Subject};
use delivery_center::store::keys::{
    FACT_PREFIX, artifact_key, artifact_position, fact_key, image_hash_key, indexed_image, pointer_key,
};
use delivery_center::store::{MAX_KEYS_PER_CALL, StoreError, Unavailability, Usage, whole};

use super::entries::digests_in;
use super::pointer::{KeptPointer, Place};
use crate::digest;
use crate::record::{Artifact, Record, RecordedActivity};
use crate::write::Writer;

/// How many artifacts are read one after another, where each gave way to the next.
const MAX_ARTIFACTS_IN_A_ROW: usize = 8;

/// The key of a fact. The same fact always has the same key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactKey(String);

/// Which artifact is looked for. Where there are several, the newest is found.
#[derive(Debug, Clone, Copy)]
pub enum WantedArtifact<'a> {
    /// One that was pushed as this image. It is found through the index, which lags behind the table by a
    /// moment.
    Image(&'a str),
    /// One that was pushed as this image and has no digest.
    WithoutDigest(&'a str),
    /// One of this digest.
    Digest(&'a ImageDigest),
    /// One of this digest that was pushed as this image.
    DigestAndImage(&'a ImageDigest, &'a str),
    /// One of this digest in this repository.
    DigestAndRepository(&'a ImageDigest, &'a str),
}

/// An artifact by its id, and where it was last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundArtifact {
    /// The artifact's id.
    pub artifact_id: String,
    /// The hash key and the range key of its item.
    seen_at: Option<(String, String)>,
}

/// An artifact as it is stored now. A change of it starts from here, and is refused where the artifact has
/// changed since.
#[derive(Debug, Clone)]
pub struct ArtifactState {
    /// The artifact's id. It is not the one that was looked for where that artifact gave way to this one.
    pub artifact_id: String,
    pub(super) kept: KeptPointer,
    /// The place of its item, and its JSON; `None` where there is no such artifact.
    pub(super) stored: Option<(Place, String)>,
}

impl FactKey {
    /// The key of the fact that these texts make up together.
    pub fn new(texts: &[&str]) -> Self {
        Self(digest::of_texts(texts))
    }

    /// The digest by which pointers list the fact.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FoundArtifact {
    /// An artifact of which only the id is known.
    pub fn by_id(artifact_id: String) -> Self {
        Self { artifact_id, seen_at: None }
    }
}

impl ArtifactState {
    /// The artifact's JSON; `None` where it is not there.
    pub fn json(&self) -> Option<&str> {
        self.stored.as_ref().map(|(_, json)| json.as_str())
    }

    /// Whether a fact was recorded of it.
    pub fn holds(&self, fact: &FactKey) -> bool {
        self.stored.is_some() && self.kept.pointer.recorded.contains(&fact.0)
    }
}

impl Writer {
    /// Finds an artifact.
    ///
    /// # Errors
    /// DynamoDB fails, or refuses the request.
    pub async fn find_artifact(
        &self,
        wanted: WantedArtifact<'_>,
    ) -> Result<Option<FoundArtifact>, StoreError> {
        let under = |hash_key: &str| self.store.query_by_hash_key(hash_key).consistent_read(true);
        let query = match wanted {
            WantedArtifact::Image(image) => self.store.query_by_image(image),
            WantedArtifact::WithoutDigest(image) => under(&image_hash_key(image)),
            WantedArtifact::Digest(digest) => under(digest.as_str()),
            WantedArtifact::DigestAndImage(digest, image) => {
                narrowed(under(digest.as_str()), "image = :name", &indexed_image(image))
            }
            WantedArtifact::DigestAndRepository(digest, repository) => {
                narrowed(under(digest.as_str()), "repository = :name", repository)
            }
        };
        let query = query.projection_expression("image_digest, #entry");
        let Some(item) = self.store.first_artifact(query, &Usage::default()).await? else { return Ok(None) };
        let mut attributes = Attributes::new(item, &self.artifacts_table, Subject::SomeArtifact);
        let (image_digest, entry) = (attributes.text("image_digest")?, attributes.text("entry")?);
        let position = artifact_position(&entry)
            .ok_or_else(|| attributes.unreadable(format!("its entry {entry:?} has another form")))?;
        Ok(Some(FoundArtifact {
            artifact_id: position.id().to_owned(),
            seen_at: Some((image_digest, entry)),
        }))
    }

    /// Reads an artifact consistently: at the place that its pointer names, or else where it was found. Where
    /// it gave way to another artifact, that one is read instead.
    ///
    /// # Errors
    /// DynamoDB fails or refuses the request, or an artifact cannot be read.
    pub async fn artifact_state(&self, found: &FoundArtifact) -> Result<ArtifactState, StoreError> {
        let mut found = found.clone();
        for _ in 0..MAX_ARTIFACTS_IN_A_ROW {
            let artifact_id = found.artifact_id;
            let pointer_key = pointer_key(&artifact_id);
            let seen_at = found.seen_at.as_ref().map(|(hash_key, entry)| artifact_key(hash_key, entry));
            let [kept, mut seen] = self.items_at([Some(&pointer_key), seen_at.as_ref()]).await?;
            let mut kept = KeptPointer::read(kept, &self.artifacts_table, Subject::Artifact(&artifact_id))
                .map_err(|unreadable| unreadable.error)?;
            if let Some(other) = &kept.pointer.gave_way_to {
                found = FoundArtifact::by_id(other.clone());
                continue;
            }
            if let Some(item) = seen.as_ref().filter(|_| kept.pointer.place.is_none()) {
                // The pointer was lost. The facts that it listed are still there, and are looked for.
                kept.pointer.recorded = self.facts_of_found(&artifact_id, item.clone()).await?;
            }
            if let Some(place) = &kept.pointer.place
                && !seen.as_ref().is_some_and(|item| place.has(item))
            {
                let [named] = self.items_at([Some(&place.key())]).await?;
                seen = named.or(seen);
            }
            let stored = match seen {
                Some(item) => Some(self.stored_at(item).await?),
                None => None,
            };
            return Ok(ArtifactState { artifact_id, kept, stored });
        }
        Err(StoreError::unavailable(&self.artifacts_table, Unavailability::ChangesTooFast))
    }

    /// Reads the artifact that stands for an image, by its id. There need not be one.
    ///
    /// Where it gave way to another artifact that still has the image, that one is read. Where the other one
    /// has another image by now, the result is the stand-in without a document, so that it is made again; its
    /// pointer, which still names the other artifact, is overwritten then.
    ///
    /// # Errors
    /// DynamoDB fails or refuses the request, or an artifact cannot be read.
    pub async fn stand_in_state(&self, artifact_id: String) -> Result<ArtifactState, StoreError> {
        let found = FoundArtifact::by_id(artifact_id.clone());
        let state = self.artifact_state(&found).await?;
        let has_the_image = match state.json().map(|json| Record::check(json.as_bytes())) {
            Some(Ok(Record::Artifact(artifact))) => {
                Artifact::stand_in_ids(&artifact.image, &artifact.image_digest).contains(&artifact_id)
            }
            _ => false,
        };
        if state.artifact_id == artifact_id || has_the_image {
            return Ok(state);
        }
        let kept = self.pointer(&artifact_id).await?;
        if kept.pointer.gave_way_to.is_none() {
            // Somebody made it anew meanwhile.
            return self.artifact_state(&found).await;
        }
        let kept = KeptPointer { condition: kept.condition, ..KeptPointer::absent() };
        Ok(ArtifactState { artifact_id, kept, stored: None })
    }

    /// Reads an artifact's pointer, consistently.
    pub(super) async fn pointer(&self, id: &str) -> Result<KeptPointer, StoreError> {
        let [kept] = self.items_at([Some(&pointer_key(id))]).await?;
        KeptPointer::read(kept, &self.artifacts_table, Subject::Artifact(id))
            .map_err(|unreadable| unreadable.error)
    }

    /// The place of an artifact's item, and its JSON.
    pub(super) async fn stored_at(&self, item: Item) -> Result<(Place, String), StoreError> {
        let table = self.artifacts_table.as_str();
        let mut attributes = Attributes::new(item.clone(), table, Subject::SomeArtifact);
        let place = Place {
            image_digest: attributes.text("image_digest")?,
            entry: attributes.text("entry")?,
            revision: attributes.text("revision")?,
            parts: if attributes.has("parts") { attributes.number("parts")? } else { 0 },
            found_by: digests_in(&attributes.bytes_or_none("found_by")?),
        };
        let artifact = self.store.artifact(item, &Usage::default()).await?;
        let artifact =
            artifact.ok_or_else(|| StoreError::unavailable(table, Unavailability::ChangesTooFast))?;
        let json = artifact.document.unpack();
        Ok((place, json.map_err(|spoiled| self.store.unreadable_artifact(artifact.position.id(), spoiled))?))
    }

    /// Items of the Artifacts table by key, read consistently, in the order of the keys; `None` for what is
    /// not there.
    pub(super) async fn items_at<const N: usize>(
        &self,
        keys: [Option<&Item>; N],
    ) -> Result<[Option<Item>; N], StoreError> {
        let request = whole(keys.into_iter().flatten().cloned().collect());
        let found = self.store.batch_get(&self.artifacts_table, request, &Usage::default()).await?;
        let is_at = |item: &Item, key: &Item| key.iter().all(|(name, value)| item.get(name) == Some(value));
        Ok(keys.map(|key| key.and_then(|key| found.iter().find(|item| is_at(item, key)).cloned())))
    }

    /// Reads the facts that a pointer lists by their digests, in that order. It is an error where one of them
    /// is missing.
    pub(super) async fn listed_facts(
        &self,
        artifact_id: &str,
        digests: &[String],
    ) -> Result<Vec<RecordedActivity>, StoreError> {
        let table = self.artifacts_table.as_str();
        let mut found = HashMap::new();
        for digests in digests.chunks(MAX_KEYS_PER_CALL) {
            let keys = digests.iter().map(|digest| fact_key(digest)).collect();
            for item in self.store.batch_get(table, whole(keys), &Usage::default()).await? {
                let mut fact = Attributes::new(item, table, Subject::Artifact(artifact_id));
                let hash_key = fact.text("image_digest")?;
                let recorded = RecordedActivity {
                    activity: fact.text("activity")?,
                    artifact_fields: fact.text("artifact_fields")?,
                };
                found.insert(hash_key, recorded);
            }
        }
        let missing = |digest: &String| {
            let artifact = Attributes::new(Item::new(), table, Subject::Artifact(artifact_id));
            artifact.unreadable(format!("fact {digest:?}, which it holds, is missing: run reindex"))
        };
        digests
            .iter()
            .map(|digest| found.remove(&format!("{FACT_PREFIX}{digest}")).ok_or_else(|| missing(digest)))
            .collect()
    }
}
