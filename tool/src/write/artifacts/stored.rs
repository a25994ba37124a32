//! Reads an artifact consistently, as it is stored now: every change of an artifact starts from that.
//!
//! Beside what answers need, an artifact's item holds what its writers need:
//!
//! | attribute | holds |
//! | --- | --- |
//! | `writer` | a random text of whoever wrote the item last |
//! | `found_by` | the names of its entries (`src/store/artifacts/found_by.rs`) |
//! | `recorded` | for each fact that a pipeline recorded, in the order of recording: 8 bytes by which the fact is known, and 8 bytes of a digest of its activity, which is one of those in the document |
//! | `told` | fields of the artifact that pipelines told, as a JSON object |
//! | `source` | the revision of what the last import brought (`PackedArtifact::source`): its record and, where an export told them, the facts recorded elsewhere; nothing that was recorded into this table |

use std::collections::BTreeMap;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use delivery_center::store::artifacts::found_by::{EntryName, Short, listed};
use delivery_center::store::items::{Attributes, Item, Subject, entry_of};
use delivery_center::store::keys::{
    ARTIFACT_HASH, MAX_PARTS, WRITER, artifact_key_in, artifact_part_key, artifact_position, pointer_key,
};
use delivery_center::store::{StoreError, Unavailability, Usage, whole};

use super::last_deploys::{Deploy, Destination, deploys_of};
use super::packing::PackedArtifact;
use super::recording::FactKey;
use crate::record::{Artifact, Record, Recorded};
use crate::write::Writer;

/// How many artifacts are read one after another, where each gave way to the next.
const MAX_ARTIFACTS_IN_A_ROW: usize = 8;

/// The attribute of a pointer that names the artifact to which this one gave way.
pub(super) const GAVE_WAY_TO: &str = "gave_way_to";

/// An artifact by its id, and where it was last seen.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundArtifact {
    /// The artifact's id.
    pub artifact_id: String,
    /// The key of its item.
    pub(super) seen_at: Option<Item>,
}

impl FoundArtifact {
    /// An artifact of which only the id is known.
    pub fn by_id(artifact_id: String) -> Self {
        Self { artifact_id, seen_at: None }
    }
}

/// An artifact as it is stored now. A change of it starts from here, and is refused where the artifact has
/// changed since.
#[derive(Debug, Clone, Default)]
pub struct ArtifactState {
    /// The artifact's id. It is not the one that was looked for where that artifact gave way to this one.
    pub artifact_id: String,
    pub(super) pointer: Option<Item>,
    pub(in crate::write) item: Option<Item>,
    /// The artifact; `None` where there is no item, or where it cannot be read and is to be written over.
    pub artifact: Option<Artifact>,
    /// What pipelines recorded of it.
    pub recorded: Recorded,
    /// The revision of its document.
    revision: String,
    /// The revision of the record that the last import brought.
    pub(super) source: Option<String>,
}

impl ArtifactState {
    /// Whether it is stored as a packed artifact would be.
    pub(super) fn is(&self, artifact: &PackedArtifact) -> bool {
        self.pointer.as_ref().and_then(artifact_key_in) == Some(artifact.key())
            && self.revision == artifact.revision
            && self.recorded == artifact.recorded
    }

    /// Its deploy to a destination.
    pub fn deploy_to(&self, destination: &Destination) -> Option<Deploy> {
        deploys_of(self.artifact.as_ref()?).remove(destination)
    }

    /// Whether a fact was recorded of it.
    pub fn holds(&self, fact: &FactKey) -> bool {
        self.recorded.facts.iter().any(|held| held.fact == fact.short())
    }
}

/// The id of the artifact that another one gave way to, from that other one's pointer.
pub(super) fn gave_way_to(pointer: Option<&Item>) -> Option<&String> {
    pointer?.get(GAVE_WAY_TO)?.as_s().ok()
}

/// The item of a key, among items that were read.
pub(super) fn at(items: &[Item], key: &Item) -> Option<Item> {
    items.iter().find(|item| key_of(item) == *key).cloned()
}

/// The key of an item.
pub(super) fn key_of(item: &Item) -> Item {
    let kept = [ARTIFACT_HASH, "entry"].into_iter();
    kept.filter_map(|name| Some((name.to_owned(), item.get(name)?.clone()))).collect()
}

/// The entries that an artifact's item lists: the digest of each, and its nonce.
pub(super) fn listed_entries(item: Option<&Item>) -> BTreeMap<Short, Short> {
    let list = item.and_then(|item| item.get("found_by")?.as_b().ok()).map_or(&[][..], |list| list.as_ref());
    listed(list).flat_map(|(nonce, digests)| digests.iter().map(move |digest| (*digest, nonce))).collect()
}

/// The keys of the entries and of the parts that an artifact's item lists.
pub(super) fn listed_keys(artifact_id: &str, item: Option<&Item>) -> Vec<Item> {
    let entries = listed_entries(item);
    let entries = entries.into_iter().map(|(digest, nonce)| EntryName { digest, nonce }.key(artifact_id));
    let parts = || {
        let (writer, parts) = (item?.get(WRITER)?.as_s().ok()?, item?.get("parts")?.as_n().ok()?);
        let parts = parts.parse().ok().filter(|parts| *parts <= MAX_PARTS)?;
        Some((1..=parts).map(move |number| artifact_part_key(artifact_id, writer, number)))
    };
    entries.chain(parts().into_iter().flatten()).collect()
}

/// How many facts an artifact's item says were recorded of it.
pub(super) fn recorded_count(item: &Item) -> usize {
    let list = item.get("recorded").and_then(|list| list.as_b().ok());
    list.map_or(0, |list| list.as_ref().len() / size_of::<[Short; 2]>())
}

impl Writer {
    /// The first artifact that a query finds.
    ///
    /// # Errors
    /// DynamoDB fails, or refuses the request.
    pub async fn find_artifact(
        &self,
        query: QueryFluentBuilder,
    ) -> Result<Option<FoundArtifact>, StoreError> {
        let query = query.projection_expression("image_digest, #entry");
        let Some(item) = self.store.first_artifact(query, &Usage::default()).await? else { return Ok(None) };
        let position = artifact_position(&entry_of(&item));
        let unreadable = || Attributes::new(item.clone(), &self.artifacts_table, Subject::SomeArtifact);
        let position = position.ok_or_else(|| unreadable().unreadable("its entry has another form"))?;
        Ok(Some(FoundArtifact { artifact_id: position.id().to_owned(), seen_at: Some(key_of(&item)) }))
    }

    /// Reads an artifact: at the place that its pointer names, or else where it was found. Where it gave way to
    /// another artifact, that one is read instead.
    ///
    /// # Errors
    /// DynamoDB fails or refuses the request, or an artifact cannot be read.
    pub async fn artifact_state(&self, found: &FoundArtifact) -> Result<ArtifactState, StoreError> {
        let mut found = found.clone();
        for _ in 0..MAX_ARTIFACTS_IN_A_ROW {
            let state = self.state_of(found.artifact_id, found.seen_at.as_ref()).await?;
            match gave_way_to(state.pointer.as_ref()) {
                Some(other) => found = FoundArtifact::by_id(other.clone()),
                None => return Ok(state),
            }
        }
        Err(self.artifacts_changed())
    }

    /// Reads the artifact of this very id, given where it may lie if its pointer does not say so.
    ///
    /// The pointer and the item are read at moments of their own. Whoever writes the artifact meanwhile changes
    /// the `writer` of the one or the other, and a commit that starts from this state is refused.
    pub(super) async fn state_of(
        &self,
        id: String,
        seen_at: Option<&Item>,
    ) -> Result<ArtifactState, StoreError> {
        let keys = seen_at.cloned().into_iter().chain([pointer_key(&id)]).collect();
        let mut state = self.unread_state(id, seen_at, &self.items_at(keys).await?).await?;
        self.read_item_of(&mut state).await?;
        Ok(state)
    }

    /// The same, given the pointer and the item among items that were read; what the item holds is not read.
    pub(super) async fn unread_state(
        &self,
        artifact_id: String,
        seen_at: Option<&Item>,
        read: &[Item],
    ) -> Result<ArtifactState, StoreError> {
        let pointer = at(read, &pointer_key(&artifact_id));
        let mut item = seen_at.and_then(|key| at(read, key));
        if let Some(named) = pointer.as_ref().and_then(artifact_key_in)
            && item.as_ref().map(key_of) != Some(named.clone())
        {
            item = self.items_at(vec![named]).await?.pop().or(item);
        }
        Ok(ArtifactState { artifact_id, pointer, item, ..ArtifactState::default() })
    }

    /// Reads the artifact that stands for an image, by its id. There need not be one.
    ///
    /// Where it gave way to another artifact that still has the image, that one is read. Where the other one
    /// has another image by now, the result is the stand-in without an item, so that it is made again; its
    /// pointer, which still names the other artifact, is overwritten then.
    ///
    /// # Errors
    /// DynamoDB fails or refuses the request, or an artifact cannot be read.
    pub async fn stand_in_state(&self, artifact_id: String) -> Result<ArtifactState, StoreError> {
        let own = self.state_of(artifact_id.clone(), None).await?;
        let Some(other) = gave_way_to(own.pointer.as_ref()) else { return Ok(own) };
        let other = self.artifact_state(&FoundArtifact::by_id(other.clone())).await?;
        let has_the_image = other.artifact.as_ref().is_some_and(|artifact| {
            Artifact::stand_in_ids(&artifact.image, &artifact.image_digest).contains(&artifact_id)
        });
        Ok(if has_the_image { other } else { own })
    }

    /// Reads what the item of an artifact holds, if there is one.
    pub(super) async fn read_item_of(&self, state: &mut ArtifactState) -> Result<(), StoreError> {
        let Some(item) = state.item.clone() else { return Ok(()) };
        let (table, subject) = (self.artifacts_table.as_str(), Subject::Artifact(&state.artifact_id));
        let mut attributes = Attributes::new(item.clone(), table, subject);
        let recorded = attributes.bytes_or_none("recorded")?;
        let told = if attributes.has("told") { attributes.text("told")? } else { Recorded::default().told };
        let read = self.store.artifact(item, &Usage::default()).await?;
        let read = read.ok_or_else(|| self.artifacts_changed())?;
        let json = read.document.unpack().map_err(|spoiled| attributes.unreadable(spoiled.to_string()))?;
        let artifact = match Record::check(json.as_bytes()) {
            Ok(Record::Artifact(artifact)) => *artifact,
            Ok(Record::Release(_)) => return Err(attributes.unreadable("it is stored as a release")),
            Err(problem) => return Err(attributes.unreadable(problem.to_string())),
        };
        let recorded = Recorded::listed(&artifact, &json, recorded.as_chunks().0.as_chunks().0, told);
        let recorded = recorded.ok_or_else(|| {
            attributes.unreadable("what pipelines recorded of it is not what its document holds")
        })?;
        // Whatever else is spoiled is written anew with the next change, and `reindex` and `verify` find it.
        state.source = attributes.text("source").ok();
        (state.artifact, state.recorded, state.revision) = (Some(artifact), recorded, read.revision);
        Ok(())
    }

    /// Those of the items of these keys that are there, read consistently.
    pub(super) async fn items_at(&self, keys: Vec<Item>) -> Result<Vec<Item>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.store.batch_get(&self.artifacts_table, whole(keys), &Usage::default()).await
    }

    /// The error for artifacts that others keep writing.
    pub fn artifacts_changed(&self) -> StoreError {
        StoreError::unavailable(&self.artifacts_table, Unavailability::ChangesTooFast)
    }
}
