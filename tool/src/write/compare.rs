//! What is wanted against what is stored: whether an import or `reindex` must write an item, and what
//! `verify` says of a record, whose documents it compares too.

use std::collections::BTreeMap;

use delivery_center::store::StoreError;
use delivery_center::store::items::{Item, entry_of};
use delivery_center::store::keys::{ARTIFACT_PREFIX, FOUND_BY_PREFIX, RELEASE_ENTRY, RELEASE_HASH, WRITER};

use super::artifacts::{KeepRecorded, PackedArtifact, compare_artifact};
use super::batch_write::Mode;
use super::releases::PackedRelease;
use super::{Writer, side_by_side};
use crate::record::differences;

/// How many of the fields that differ are named for one record.
const MAX_FIELDS: usize = 10;
/// The attributes that hold a document or a piece of one.
const DOCUMENTS: [&str; 3] = ["brief", "rest", "document"];

/// How what is stored of a record compares with what an import would store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparison {
    /// It is stored as an import would store it.
    Same,
    /// It is deleted in the source, and nothing of it is stored.
    Gone,
    /// It is stored differently, or not at all, or should not be; the text says which.
    Differs(String),
}

impl Comparison {
    /// Adds the fields in which the stored JSON differs from the wanted one, where both can be read.
    fn with_fields(self, wanted: Option<&str>, stored: Option<&str>) -> Self {
        let (Self::Differs(reason), Some(wanted), Some(stored)) = (&self, wanted, stored) else {
            return self;
        };
        let fields = differences(wanted, stored, MAX_FIELDS);
        if fields.is_empty() { self } else { Self::Differs(format!("{reason}: {}", fields.join(", "))) }
    }
}

impl Writer {
    /// Compares releases with what is stored of them. The results are in the order of the releases.
    pub async fn compare_releases(&self, releases: &[PackedRelease]) -> Vec<Result<Comparison, StoreError>> {
        side_by_side(releases.iter().map(|release| self.compare_release(release)).collect()).await
    }

    async fn compare_release(&self, release: &PackedRelease) -> Result<Comparison, StoreError> {
        let items = self.partition_of(&self.releases_table, RELEASE_HASH, release.release_id(), None).await?;
        let stored = items.into_iter().map(|item| (entry_of(&item), item)).collect();
        let comparison = compare(release.items(), &stored);
        if !matches!(comparison, Comparison::Differs(_)) {
            return Ok(comparison);
        }
        let json =
            |items: &BTreeMap<String, Item>| self.release_in(release.release_id(), items.values().cloned());
        Ok(comparison.with_fields(json(release.items()).as_deref(), json(&stored).as_deref()))
    }

    /// Compares artifacts with what is stored of them, pointers included. The results are in the order of the
    /// artifacts.
    ///
    /// Activities that pipelines recorded count as part of an artifact; each result has their number.
    pub async fn compare_artifacts(
        &self,
        artifacts: &[PackedArtifact],
    ) -> Vec<Result<(Comparison, usize), StoreError>> {
        side_by_side(artifacts.iter().map(|artifact| self.compare_artifact(artifact)).collect()).await
    }

    /// Compares one artifact, and counts the recorded activities that it holds.
    async fn compare_artifact(&self, artifact: &PackedArtifact) -> Result<(Comparison, usize), StoreError> {
        let read = self.read_first(artifact).await?;
        let plan = self.plan(artifact, &read, Mode::DryRun, KeepRecorded::Yes).await?;
        let recorded = plan.artifact.recorded.facts.len();
        let Some(stored) = &plan.state.artifact else {
            return Ok((Comparison::Differs("it is missing".to_owned()), recorded));
        };
        let beside = self.items_beside(&plan.state.artifact_id).await?;
        let last_deploys = self.last_deploys(plan.artifact.deploys.keys().cloned().collect()).await?;
        let comparison = compare_artifact(&plan.state, &plan.artifact, &beside, &last_deploys);
        Ok((comparison.with_fields(Some(&plan.artifact.artifact.json), Some(&stored.json)), recorded))
    }
}

/// Whether an entry only serves to find a record, and follows from its documents.
fn only_finds(entry: &str) -> bool {
    ["facet#", FOUND_BY_PREFIX].iter().any(|prefix| entry.starts_with(prefix))
}

pub(super) fn compare(wanted: &BTreeMap<String, Item>, stored: &BTreeMap<String, Item>) -> Comparison {
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
    // The record's own item comes first: what is wrong with it explains the others.
    entries.sort_by_key(|entry| {
        (entry.as_str() != RELEASE_ENTRY && !entry.starts_with(ARTIFACT_PREFIX), *entry)
    });
    for entry in entries {
        let reason = match (wanted.get(entry), stored.get(entry)) {
            (Some(_), None) if only_finds(entry) => {
                format!("its entry {entry:?}, by which it is found, is missing: run reindex")
            }
            (Some(_), None) => format!("its entry {entry:?} is missing"),
            (None, Some(_)) => format!("its entry {entry:?} should be gone"),
            (Some(wanted), Some(stored)) => match difference(wanted, stored) {
                None => continue,
                // The documents are the same, and what the record is found by follows from them.
                Some("terms") if wanted.get("revision") == stored.get("revision") => {
                    "it is not found in every way that this version has: run reindex".to_owned()
                }
                Some("terms" | "revision" | "lengths" | "found_by" | "recorded" | "told") => {
                    "it is stored with another content".to_owned()
                }
                Some("position") => "it is stored with another time".to_owned(),
                Some(name) => format!("its entry {entry:?} has another {name}"),
            },
            (None, None) => continue,
        };
        return differs(reason);
    }
    Comparison::Same
}

/// Whether a stored item is the wanted one. Its documents need not be read for that: where they differ,
/// `revision` does.
pub(super) fn is_as_wanted(wanted: &Item, stored: &Item) -> bool {
    difference(wanted, stored).is_none_or(|name| DOCUMENTS.contains(&name))
}

/// The first attribute that differs; documents come last. Who wrote an item last follows from nothing, and is
/// not compared.
fn difference<'a>(wanted: &'a Item, stored: &'a Item) -> Option<&'a str> {
    let mut names: Vec<_> = wanted.keys().chain(stored.keys()).filter(|name| *name != WRITER).collect();
    names.sort_unstable_by_key(|name| (DOCUMENTS.contains(&name.as_str()), *name));
    names.into_iter().find(|name| wanted.get(*name) != stored.get(*name)).map(String::as_str)
}
