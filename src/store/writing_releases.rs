//! Writes releases: parts, then the release, then its facet entries, then the removal of what no longer holds.
//!
//! In that order a reader never meets an entry whose document is missing, and writing again heals what was interrupted.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, WriteRequest};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::releases::{Lengths, RELEASE_ENTRY, key, part_entry, record_name};
use super::writing::{
    MAX_DOCUMENT_BYTES_AN_ITEM, MAX_PARTS, MAX_RANGE_KEY_BYTES, Mode, Outcome, Unstorable, bytes, delete,
    note, put, revision, text,
};
use super::{Attributes, Item, Store, from_sdk};
use crate::document::Document;
use crate::error::Error;
use crate::position::Position;
use crate::record::Release;
use crate::release_filter::Facet;
use crate::response::escaped_length;

/// How many releases' stored entries are read side by side.
const MAX_QUERIES_AT_ONCE: usize = 16;
/// A part's entry has the longest fixed text: `part#`, a revision, `#`, three digits.
const MAX_ID_BYTES: usize = MAX_RANGE_KEY_BYTES - 64;

/// A release packed and laid out as items; none where it is soft-deleted.
#[derive(Debug, Clone)]
pub struct PackedRelease {
    pub(super) release_id: String,
    /// By entry.
    pub(super) items: HashMap<String, Item>,
}

/// The items of a release by the step in which they are written.
#[derive(Default)]
pub(super) struct Steps {
    parts: Vec<WriteRequest>,
    release: Vec<WriteRequest>,
    pub(super) facets: Vec<WriteRequest>,
    pub(super) removed_facets: Vec<WriteRequest>,
    removed_release: Vec<WriteRequest>,
    removed_parts: Vec<WriteRequest>,
}

impl PackedRelease {
    /// Packs a release.
    ///
    /// # Errors
    /// [`Unstorable`], where names are longer than keys can be.
    pub fn new(release: &Release) -> Result<Self, Unstorable> {
        let release_id = release.release_id.clone();
        if release_id.len() > MAX_ID_BYTES {
            return Err(Unstorable(format!(
                "the id has {} bytes, and may have {MAX_ID_BYTES}",
                release_id.len()
            )));
        }
        let items = if release.deleted { HashMap::new() } else { items(release)? };
        Ok(Self { release_id, items })
    }

    /// The release's id.
    #[must_use]
    pub fn release_id(&self) -> &str {
        &self.release_id
    }

    /// Its items by entry; none where it is soft-deleted.
    pub(super) fn items(&self) -> &HashMap<String, Item> {
        &self.items
    }

    fn is_deleted(&self) -> bool {
        self.items.is_empty()
    }
}

fn items(release: &Release) -> Result<HashMap<String, Item>, Unstorable> {
    let brief = format!("{{\"versionInfo\":{}", release.version_info);
    let rest = format!(",{}}}", release.sections);
    let pack = |text: &str| Document::pack(text).map_err(|too_long| Unstorable(too_long.to_string()));
    let (brief_document, rest_document) = (pack(&brief)?, pack(&rest)?);
    let layout = Layout::new(brief_document.to_stored(), rest_document.to_stored())?;
    let lengths = Lengths {
        brief_packed: brief_document.packed_length(),
        brief_escaped: escaped_length(&brief),
        rest_packed: rest_document.packed_length(),
        rest_escaped: escaped_length(&rest),
        brief_parts: layout.brief_parts,
        parts: layout.parts.len(),
    };
    let described = [
        ("position", Position::new(release.created_at, &release.release_id).to_string()),
        ("revision", revision(&[&brief, &rest])),
        ("lengths", lengths.to_string()),
    ];
    let revision = &described[1].1;
    let mut items = HashMap::new();
    for (number, part) in (1..).zip(layout.parts) {
        let entry = part_entry(revision, number);
        let mut item = key(&release.release_id, &entry);
        item.insert("document".to_owned(), bytes(part));
        items.insert(entry, item);
    }
    for facet in facets(release)? {
        let entry = facet.entry();
        let mut item = key(&release.release_id, &entry);
        item.insert("facet".to_owned(), text(facet.as_str()));
        item.extend(described.iter().map(|(name, value)| ((*name).to_owned(), text(value))));
        items.insert(entry, item);
    }
    let mut item = key(&release.release_id, RELEASE_ENTRY);
    item.insert("brief".to_owned(), bytes(layout.brief));
    if !layout.rest.is_empty() {
        item.insert("rest".to_owned(), bytes(layout.rest));
    }
    // For whoever looks into the table; the endpoints read none of these.
    let names =
        [("project", &release.project), ("workflow", &release.workflow), ("version", &release.version)];
    item.extend(names.into_iter().filter_map(|(name, value)| Some((name.to_owned(), note(value)?))));
    item.extend(
        release.task_id.as_ref().map(|task_id| ("task_id".to_owned(), AttributeValue::N(task_id.clone()))),
    );
    item.insert("created_at".to_owned(), AttributeValue::N(release.created_at.to_string()));
    item.extend(described.iter().map(|(name, value)| ((*name).to_owned(), text(value))));
    items.insert(RELEASE_ENTRY.to_owned(), item);
    Ok(items)
}

fn facets(release: &Release) -> Result<Vec<Facet>, Unstorable> {
    let task_id = release.task_id.as_ref().and_then(|task_id| task_id.parse().ok());
    let facets = Facet::of_release(&release.project, &release.workflow, task_id, &release.services);
    let Some(facet) = facets.iter().find(|facet| !facet.fits_a_key()) else { return Ok(facets) };
    let names = [("productName", &release.project), ("workflowName", &release.workflow)]
        .into_iter()
        .chain(release.services.iter().map(|service| ("serviceName", service)));
    let (name, value) = names.max_by_key(|(_, value)| value.len()).expect("there are two at least");
    Err(Unstorable(format!(
        "its names are together longer than a DynamoDB key can be ({} of 2048 bytes); the longest is {name} with {} bytes",
        facet.as_str().len(),
        value.len()
    )))
}

/// The stored documents cut into what one item each can hold. `brief` and `rest` never share a part.
struct Layout {
    brief: Vec<u8>,
    rest: Vec<u8>,
    brief_parts: usize,
    parts: Vec<Vec<u8>>,
}

impl Layout {
    fn new(mut brief: Vec<u8>, mut rest: Vec<u8>) -> Result<Self, Unstorable> {
        let cut = |bytes: &mut Vec<u8>, room: usize| bytes.split_off(bytes.len().min(room));
        let brief_overflow = cut(&mut brief, MAX_DOCUMENT_BYTES_AN_ITEM);
        let rest_overflow = cut(&mut rest, MAX_DOCUMENT_BYTES_AN_ITEM - brief.len());
        let parts_of =
            |bytes: &[u8]| bytes.chunks(MAX_DOCUMENT_BYTES_AN_ITEM).map(<[u8]>::to_vec).collect::<Vec<_>>();
        let mut parts = parts_of(&brief_overflow);
        let brief_parts = parts.len();
        parts.extend(parts_of(&rest_overflow));
        if parts.len() > MAX_PARTS {
            return Err(Unstorable(format!(
                "it needs {} items of 400 KB, and may need {MAX_PARTS}",
                parts.len()
            )));
        }
        Ok(Self { brief, rest, brief_parts, parts })
    }
}

impl Store {
    /// Stores releases, each wholly: what their partitions held before and no longer holds is gone.
    ///
    /// No two of them may have the same id.
    ///
    /// # Errors
    /// The table's; some of the releases may then be stored, and storing them again completes them.
    pub async fn put_releases(&self, releases: &[PackedRelease], mode: Mode) -> Result<Vec<Outcome>, Error> {
        let table = self.releases_table.as_str();
        let ids: Vec<_> = releases.iter().map(|release| release.release_id.clone()).collect();
        let stored: Vec<HashMap<String, Described>> = stream::iter(ids)
            .map(|release_id| self.stored_entries(release_id))
            .buffered(MAX_QUERIES_AT_ONCE)
            .try_collect()
            .await?;
        let mut steps = Steps::default();
        let outcomes =
            releases.iter().zip(&stored).map(|(release, stored)| steps.add(release, stored, mode)).collect();
        if mode != Mode::DryRun {
            let Steps { parts, release, facets, removed_facets, removed_release, removed_parts } = steps;
            for step in [parts, release, facets, removed_facets, removed_release, removed_parts] {
                self.batch_write(table, step).await?;
            }
        }
        Ok(outcomes)
    }

    /// What a release's partition holds: by entry, what describes it.
    pub(super) async fn stored_entries(
        &self,
        release_id: String,
    ) -> Result<HashMap<String, Described>, Error> {
        let table = self.releases_table.as_str();
        let mut pages = self
            .client
            .query()
            .table_name(table)
            .key_condition_expression("release_id = :release_id")
            .expression_attribute_values(":release_id", text(&release_id))
            .projection_expression("#entry, facet, #position, revision, lengths")
            .expression_attribute_names("#entry", "entry")
            .expression_attribute_names("#position", "position")
            .consistent_read(true)
            .into_paginator()
            .send();
        let mut entries = HashMap::new();
        while let Some(page) = pages.next().await {
            for item in page.map_err(|error| from_sdk(table, &error))?.items.unwrap_or_default() {
                let described = Described::of(&item);
                let mut attributes = Attributes::new(item, table, record_name(&release_id));
                entries.insert(attributes.text("entry")?, described);
            }
        }
        Ok(entries)
    }
}

/// What tells one state of an item from another: its facet, position, revision and lengths, as far as it has them.
#[derive(PartialEq, Eq)]
pub(super) struct Described([Option<String>; 4]);

impl Described {
    pub(super) fn of(item: &Item) -> Self {
        Self(["facet", "position", "revision", "lengths"].map(|name| item.get(name)?.as_s().ok().cloned()))
    }
}

impl Steps {
    /// Adds what turns the stored entries into the wanted ones.
    pub(super) fn add(
        &mut self,
        release: &PackedRelease,
        stored: &HashMap<String, Described>,
        mode: Mode,
    ) -> Outcome {
        let is_stored = |entry: &String, item: &Item| {
            mode != Mode::Rewrite && stored.get(entry).is_some_and(|stored| *stored == Described::of(item))
        };
        let missing: Vec<_> = release.items.iter().filter(|(entry, item)| !is_stored(entry, item)).collect();
        let stale: Vec<_> = stored.keys().filter(|entry| !release.items.contains_key(*entry)).collect();
        if missing.is_empty() && stale.is_empty() {
            return if release.is_deleted() { Outcome::Deleted } else { Outcome::Unchanged };
        }
        for (entry, item) in missing {
            let step = match entry.as_str() {
                RELEASE_ENTRY => &mut self.release,
                entry if entry.starts_with("part#") => &mut self.parts,
                _ => &mut self.facets,
            };
            step.push(put(item.clone()));
        }
        for entry in stale {
            let step = match entry.as_str() {
                RELEASE_ENTRY => &mut self.removed_release,
                entry if entry.starts_with("part#") => &mut self.removed_parts,
                _ => &mut self.removed_facets,
            };
            step.push(delete(key(&release.release_id, entry)));
        }
        if release.is_deleted() { Outcome::Deleted } else { Outcome::Stored }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_cut_into_items_and_their_parts_are_counted() {
        let cut = |brief: usize, rest: usize| {
            let layout = Layout::new(vec![1; brief], vec![2; rest]).unwrap();
            let parts: Vec<_> = layout.parts.iter().map(|part| (part[0], part.len())).collect();
            (layout.brief.len(), layout.rest.len(), layout.brief_parts, parts)
        };
        let room = MAX_DOCUMENT_BYTES_AN_ITEM;
        assert_eq!(cut(10, 20), (10, 20, 0, vec![]));
        assert_eq!(cut(10, room), (10, room - 10, 0, vec![(2, 10)]));
        assert_eq!(cut(room + 5, room + 7), (room, 0, 1, vec![(1, 5), (2, room), (2, 7)]));
        assert!(Layout::new(vec![0; 12], vec![0; room * 1001]).is_err());
    }
}
