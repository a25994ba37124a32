//! Compares what is stored with what an import would store, documents included.

use std::collections::HashMap;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::artifacts::PackedArtifact;
use super::error::StoreError;
use super::items::{Item, entry_of};
use super::keys::{ARTIFACT_PREFIX, RELEASE_ENTRY};
use super::releases::PackedRelease;
use super::{MAX_KEYS_A_CALL, Store, Usage, whole};

/// How many records are read side by side.
const MAX_RECORDS_AT_ONCE: usize = 16;
/// The attributes that hold a document or a piece of one.
const DOCUMENTS: [&str; 3] = ["brief", "rest", "document"];

/// What became of a record that was stored at some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparison {
    /// It is there, as it would be stored.
    Same,
    /// It is deleted, and nothing of it is left.
    Gone,
    /// It is not as it would be stored, for this reason.
    Differs(String),
}

impl Store {
    /// Compares releases with what their partitions hold.
    ///
    /// # Errors
    /// The table's.
    pub async fn compare_releases(&self, releases: &[PackedRelease]) -> Result<Vec<Comparison>, StoreError> {
        let wanted: Vec<_> = releases.iter().map(PackedRelease::items).collect();
        let ids: Vec<_> = releases.iter().map(|release| release.release_id().to_owned()).collect();
        let stored: Vec<_> = stream::iter(ids)
            .map(|release_id| self.stored_items(release_id))
            .buffered(MAX_RECORDS_AT_ONCE)
            .try_collect()
            .await?;
        Ok(wanted.into_iter().zip(&stored).map(|(wanted, stored)| compare(wanted, stored)).collect())
    }

    /// Everything that a release's partition holds, by entry.
    async fn stored_items(&self, release_id: String) -> Result<HashMap<String, Item>, StoreError> {
        let items = self.release_partition(&release_id, None).await?;
        Ok(items.into_iter().map(|item| (entry_of(&item), item)).collect())
    }

    /// Compares artifacts with what is stored under their digests, and their pointers.
    ///
    /// # Errors
    /// The table's.
    pub async fn compare_artifacts(
        &self,
        artifacts: &[PackedArtifact],
    ) -> Result<Vec<Comparison>, StoreError> {
        stream::iter(artifacts.iter().map(PackedArtifact::items))
            .map(|wanted| self.compare_artifact(wanted))
            .buffered(MAX_RECORDS_AT_ONCE)
            .try_collect()
            .await
    }

    async fn compare_artifact(&self, wanted: HashMap<String, Item>) -> Result<Comparison, StoreError> {
        let keys: Vec<_> = wanted.values().map(artifact_key).collect();
        let mut stored = HashMap::new();
        for keys in keys.chunks(MAX_KEYS_A_CALL) {
            stored.extend(self.items_of_artifacts(keys.to_vec()).await?);
        }
        Ok(compare(&wanted, &stored))
    }

    async fn items_of_artifacts(&self, keys: Vec<Item>) -> Result<Vec<(String, Item)>, StoreError> {
        let items = self.batch_get(&self.artifacts_table, whole(keys), &Usage::default()).await?;
        Ok(items.into_iter().map(|item| (entry_of(&item), item)).collect())
    }
}

fn artifact_key(item: &Item) -> Item {
    let kept = ["image_digest", "entry"].into_iter();
    kept.filter_map(|name| Some((name.to_owned(), item.get(name)?.clone()))).collect()
}

fn compare(wanted: &HashMap<String, Item>, stored: &HashMap<String, Item>) -> Comparison {
    if wanted.is_empty() && stored.is_empty() {
        return Comparison::Gone;
    }
    let differs = |reason: String| Comparison::Differs(reason);
    if stored.is_empty() {
        return differs("it is missing".to_owned());
    }
    if wanted.is_empty() {
        return differs("it is deleted, and still stored".to_owned());
    }
    let mut entries: Vec<_> = wanted.keys().chain(stored.keys()).collect();
    // The record itself first: what is wrong with it explains the others.
    entries.sort_by_key(|entry| {
        (entry.as_str() != RELEASE_ENTRY && !entry.starts_with(ARTIFACT_PREFIX), *entry)
    });
    for entry in entries {
        let reason = match (wanted.get(entry), stored.get(entry)) {
            (Some(_), None) => format!("its entry {entry:?} is missing"),
            (None, Some(_)) => format!("its entry {entry:?} should be gone"),
            (Some(wanted), Some(stored)) => match difference(wanted, stored) {
                None => continue,
                Some("facets" | "revision" | "lengths" | "kept") => {
                    "it is stored with another content".to_owned()
                }
                Some("position") => "it is stored with another time".to_owned(),
                Some(name) => format!("{name} of its entry {entry:?} is another"),
            },
            (None, None) => continue,
        };
        return differs(reason);
    }
    Comparison::Same
}

/// The first attribute that differs; documents come last.
fn difference<'a>(wanted: &'a Item, stored: &'a Item) -> Option<&'a str> {
    let mut names: Vec<_> = wanted.keys().chain(stored.keys()).collect();
    names.sort_unstable_by_key(|name| (DOCUMENTS.contains(&name.as_str()), *name));
    names.into_iter().find(|name| wanted.get(*name) != stored.get(*name)).map(String::as_str)
}
