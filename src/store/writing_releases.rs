//! Writes releases: parts, then the release, then its facet entries, then the removal of what no longer holds.
//!
//! In that order a reader never meets an entry whose document is missing, and writing again heals what was interrupted.
//! Several may write one release at the same moment: the release's item is written, and parts are removed, only under the
//! condition that nobody else replaced it meanwhile; where somebody did, the writer begins anew. When it is done it reads
//! its partition again, and where another has replaced the release since, it settles the entries that both may have
//! written. So the last one to replace the release has written all of it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::WriteRequest;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::releases::{Lengths, RELEASE_ENTRY, key, part_entry};
use super::writing::{
    MAX_DOCUMENT_BYTES_AN_ITEM, MAX_PARTS, MAX_RANGE_KEY_BYTES, Mode, Outcome, Unstorable, bytes, delete,
    note, put, revision, text, to_sdk, value_to_sdk,
};
use super::{Attributes, CHANGED, Record, WritableStore, backoff, from_sdk, unavailable};
use crate::document::Document;
use crate::dynamodb::{Item, Items, Page};
use crate::error::Error;
use crate::position::Position;
use crate::record::Release;
use crate::reindex::{self, ReindexError};
use crate::release_filter::Facet;
use crate::response::escaped_length;

/// How often a release that others write too is begun anew.
const MAX_ROUNDS: u32 = 14;
const FIRST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
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

/// What turns a release's stored entries into the wanted ones, by the step in which it is written.
#[derive(Default)]
pub(super) struct Changes {
    /// What becomes of the release's item.
    release: ItemChange,
    /// The revision that the release's item had: none where there was no item, or no revision in it.
    replaced: Option<String>,
    was_there: bool,
    parts: Vec<WriteRequest>,
    pub(super) facets: Vec<WriteRequest>,
    pub(super) removed_facets: Vec<WriteRequest>,
    removed_parts: Vec<WriteRequest>,
}

#[derive(Default)]
enum ItemChange {
    #[default]
    None,
    Put(Item),
    Delete,
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
    let facets = facets(release)?;
    let digests = Facet::digests(&facets);
    let room = MAX_DOCUMENT_BYTES_AN_ITEM.checked_sub(digests.len()).ok_or_else(|| {
        Unstorable(format!("it has {} services, and may have about 45,000", release.services.len()))
    })?;
    let layout = Layout::new(brief_document.to_stored(), rest_document.to_stored(), room)?;
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
        item.insert("document".into(), bytes(part));
        items.insert(entry, item);
    }
    for facet in facets {
        let entry = facet.entry();
        let mut item = key(&release.release_id, &entry);
        item.insert("facet".into(), text(facet.as_str()));
        item.extend(described.iter().map(|(name, value)| ((*name).into(), text(value))));
        items.insert(entry, item);
    }
    let mut item = key(&release.release_id, RELEASE_ENTRY);
    item.insert("brief".into(), bytes(layout.brief));
    if !digests.is_empty() {
        item.insert("facets".into(), bytes(digests));
    }
    if !layout.rest.is_empty() {
        item.insert("rest".into(), bytes(layout.rest));
    }
    // For whoever looks into the table; project, workflow and task are in the facet entries beside it.
    item.extend(note(&release.version).map(|version| ("version".into(), version)));
    item.extend(described.iter().map(|(name, value)| ((*name).into(), text(value))));
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
    /// `room` is what the item `release` has for both.
    fn new(mut brief: Vec<u8>, mut rest: Vec<u8>, room: usize) -> Result<Self, Unstorable> {
        // Parts are put together as base64, which has no place for half a group of three bytes.
        let room = room - room % 3;
        let cut = |bytes: &mut Vec<u8>, room: usize| bytes.split_off(bytes.len().min(room));
        let brief_overflow = cut(&mut brief, room);
        let rest_overflow = cut(&mut rest, room - brief.len());
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

impl WritableStore {
    /// Stores releases, each wholly: what their partitions held before and no longer holds is gone.
    ///
    /// No two of them may have the same id.
    ///
    /// # Errors
    /// The table's; some of the releases may then be stored, and storing them again completes them.
    pub async fn put_releases(&self, releases: &[PackedRelease], mode: Mode) -> Result<Vec<Outcome>, Error> {
        let mut outcomes = vec![None; releases.len()];
        let mut pending: Vec<_> = (0..releases.len()).collect();
        let mut written = HashSet::new();
        let mut overtaken = Vec::new();
        for round in 0..=MAX_ROUNDS {
            // Of the second round nearly all is looking again at what the first one wrote.
            if round > 1 {
                tokio::time::sleep(backoff(FIRST_WAIT, round - 1).min(LONGEST_WAIT)).await;
            }
            let ids: Vec<_> = pending.iter().map(|index| releases[*index].release_id.clone()).collect();
            let stored: Vec<_> = stream::iter(ids)
                .map(|release_id| self.stored_entries(release_id))
                .buffered(MAX_QUERIES_AT_ONCE)
                .try_collect()
                .await?;
            let mode = if round > 0 && mode == Mode::Rewrite { Mode::Write } else { mode };
            let mut changes = Vec::new();
            for (index, stored) in pending.drain(..).zip(&stored) {
                let release = &releases[index];
                let change = Changes::between(release, stored, mode);
                if written.contains(&index) && !matches!(change.release, ItemChange::None) {
                    overtaken.push(&release.release_id);
                    continue;
                }
                let outcome = match (release.is_deleted(), change.is_empty()) {
                    (true, _) => Outcome::Deleted,
                    (false, true) => Outcome::Unchanged,
                    (false, false) => Outcome::Stored,
                };
                outcomes[index].get_or_insert(outcome);
                if !change.is_empty() {
                    changes.push((index, change));
                }
            }
            if mode == Mode::DryRun || changes.is_empty() {
                for release_id in overtaken {
                    self.settle(release_id).await?;
                }
                return Ok(outcomes.into_iter().flatten().collect());
            }
            pending.extend(changes.iter().map(|(index, _)| *index));
            written.extend(self.write_changes(releases, changes).await?);
        }
        Err(unavailable(&self.releases_table, CHANGED, None))
    }

    /// Settles the facet entries of a release that another has replaced, whatever it is by now.
    async fn settle(&self, release_id: &str) -> Result<(), Error> {
        for round in 0..MAX_ROUNDS {
            if round > 0 {
                tokio::time::sleep(backoff(FIRST_WAIT, round).min(LONGEST_WAIT)).await;
            }
            // Boxed, since settling a release that an older tool stored stores it anew.
            match Box::pin(reindex::settle(self, release_id, Mode::Write)).await {
                Ok(Some(_)) => return Ok(()),
                // It was replaced once more while it was read: there is always one who does not meet that.
                Ok(None) | Err(ReindexError::Store(Error::Unavailable { reason: CHANGED, .. })) => {}
                Err(ReindexError::Store(error)) => return Err(error),
                Err(ReindexError::Unreadable(reason)) => {
                    return Err(Error::UnreadableRecord {
                        table: self.releases_table.clone(),
                        record: Record::Release(release_id).to_string(),
                        reason,
                    });
                }
            }
        }
        Err(unavailable(&self.releases_table, CHANGED, None))
    }

    /// Writes changes in their steps, and returns of which releases it changed the item.
    async fn write_changes(
        &self,
        releases: &[PackedRelease],
        mut changes: Vec<(usize, Changes)>,
    ) -> Result<Vec<usize>, Error> {
        let table = self.releases_table.as_str();
        let parts = changes.iter_mut().flat_map(|(_, change)| std::mem::take(&mut change.parts));
        self.batch_write(table, parts.collect()).await?;
        let mut won = self.change_items(releases, changes, ItemStep::Put).await?;
        let facets = won.iter_mut().flat_map(|(_, change)| std::mem::take(&mut change.facets));
        self.batch_write(table, facets.collect()).await?;
        let removed = won.iter_mut().flat_map(|(_, change)| std::mem::take(&mut change.removed_facets));
        self.batch_write(table, removed.collect()).await?;
        let won = self.change_items(releases, won, ItemStep::Delete).await?;
        let written = won.iter().map(|(index, _)| *index).collect();
        for (index, change) in won {
            let release = &releases[index];
            // That another replaced the release meanwhile is met when the partition is read again.
            self.write_entries(change.removed_parts, self.is_still(release), Mode::Write).await?;
        }
        Ok(written)
    }

    /// Changes the items of releases that nobody else changed meanwhile, and returns those.
    async fn change_items(
        &self,
        releases: &[PackedRelease],
        changes: Vec<(usize, Changes)>,
        step: ItemStep,
    ) -> Result<Vec<(usize, Changes)>, Error> {
        let mut attempts = Vec::with_capacity(changes.len());
        for (index, change) in changes {
            let release_id = releases[index].release_id.clone();
            attempts.push(async move {
                let is_won = self.change_item(&release_id, &change, step).await?;
                Ok::<_, Error>(is_won.then_some((index, change)))
            });
        }
        let won: Vec<_> = stream::iter(attempts).buffered(MAX_QUERIES_AT_ONCE).try_collect().await?;
        Ok(won.into_iter().flatten().collect())
    }

    async fn change_item(&self, release_id: &str, change: &Changes, step: ItemStep) -> Result<bool, Error> {
        let table = self.releases_table.as_str();
        let condition = match (&change.replaced, change.was_there) {
            (Some(_), _) => "revision = :replaced",
            (None, true) => "attribute_exists(release_id) AND attribute_not_exists(revision)",
            (None, false) => "attribute_not_exists(release_id)",
        };
        let values = change
            .replaced
            .as_ref()
            .map(|replaced| HashMap::from([(":replaced".to_owned(), value_to_sdk(text(replaced)))]));
        let is_lost = match (&change.release, step) {
            (ItemChange::Put(item), ItemStep::Put) => {
                let put = self.client.put_item().table_name(table).set_item(Some(to_sdk(item.clone())));
                let sent =
                    put.condition_expression(condition).set_expression_attribute_values(values).send().await;
                let lost = |error: &PutItemError| {
                    error.is_conditional_check_failed_exception() || error.is_transaction_conflict_exception()
                };
                is_lost(table, sent, lost)?
            }
            (ItemChange::Delete, ItemStep::Delete) => {
                let key = to_sdk(key(release_id, RELEASE_ENTRY));
                let delete = self.client.delete_item().table_name(table).set_key(Some(key));
                let sent = delete
                    .condition_expression(condition)
                    .set_expression_attribute_values(values)
                    .send()
                    .await;
                let lost = |error: &DeleteItemError| {
                    error.is_conditional_check_failed_exception() || error.is_transaction_conflict_exception()
                };
                is_lost(table, sent, lost)?
            }
            _ => false,
        };
        Ok(!is_lost)
    }

    /// What a release's partition holds: by entry, what describes it.
    pub(super) async fn stored_entries(
        &self,
        release_id: String,
    ) -> Result<HashMap<String, Described>, Error> {
        let table = self.releases_table.as_str();
        let page = Page {
            projection: Some("#entry, facet, #position, revision, lengths"),
            ..self.partition_page(&release_id)
        };
        let mut entries = HashMap::new();
        for item in self.partition(page).await? {
            let described = Described::of(&item);
            let mut attributes = Attributes::new(item, table, Record::Release(&release_id));
            entries.insert(attributes.text("entry")?, described);
        }
        Ok(entries)
    }

    /// Everything that a release's partition holds.
    pub(super) fn partition_page(&self, release_id: &str) -> Page {
        let key = Items::OldestFirst("release_id = :release_id");
        Page { values: vec![(":release_id", text(release_id))], ..Page::of(&self.releases_table, key) }
    }
}

/// What tells one state of an item from another: its facet, position, revision and lengths, as far as it has them.
#[derive(PartialEq, Eq)]
pub(super) struct Described([Option<String>; 4]);

/// The two moments at which a release's item is changed.
#[derive(Clone, Copy)]
enum ItemStep {
    /// Before the facet entries that name it.
    Put,
    /// After those.
    Delete,
}

impl Described {
    fn revision(&self) -> Option<&str> {
        self.0[2].as_deref()
    }

    pub(super) fn of(item: &Item) -> Self {
        Self(
            ["facet", "position", "revision", "lengths"]
                .map(|name| item.get(name)?.as_text().map(str::to_owned)),
        )
    }
}

/// Whether a write was not made since its condition did not hold.
fn is_lost<T, E>(
    table: &str,
    sent: Result<T, SdkError<E>>,
    is_lost: impl Fn(&E) -> bool,
) -> Result<bool, Error>
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    match sent {
        Ok(_) => Ok(false),
        Err(error) if error.as_service_error().is_some_and(is_lost) => Ok(true),
        Err(error) => Err(from_sdk(table, &error)),
    }
}

impl Changes {
    /// What turns the stored entries into the wanted ones.
    pub(super) fn between(release: &PackedRelease, stored: &HashMap<String, Described>, mode: Mode) -> Self {
        let mut changes = Self {
            was_there: stored.contains_key(RELEASE_ENTRY),
            replaced: stored.get(RELEASE_ENTRY).and_then(|described| described.revision().map(str::to_owned)),
            ..Self::default()
        };
        let is_stored = |entry: &String, item: &Item| {
            mode != Mode::Rewrite && stored.get(entry).is_some_and(|stored| *stored == Described::of(item))
        };
        for (entry, item) in release.items.iter().filter(|(entry, item)| !is_stored(entry, item)) {
            match entry.as_str() {
                RELEASE_ENTRY => changes.release = ItemChange::Put(item.clone()),
                entry if entry.starts_with("part#") => changes.parts.push(put(item.clone())),
                _ => changes.facets.push(put(item.clone())),
            }
        }
        for entry in stored.keys().filter(|entry| !release.items.contains_key(*entry)) {
            let key = key(&release.release_id, entry);
            match entry.as_str() {
                RELEASE_ENTRY => changes.release = ItemChange::Delete,
                entry if entry.starts_with("part#") => changes.removed_parts.push(delete(key)),
                _ => changes.removed_facets.push(delete(key)),
            }
        }
        changes
    }

    fn is_empty(&self) -> bool {
        let Self { release, parts, facets, removed_facets, removed_parts, .. } = self;
        matches!(release, ItemChange::None)
            && [parts, facets, removed_facets, removed_parts].iter().all(|writes| writes.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_cut_into_items_and_their_parts_are_counted() {
        let cut = |brief: usize, rest: usize| {
            let layout = Layout::new(vec![1; brief], vec![2; rest], MAX_DOCUMENT_BYTES_AN_ITEM).unwrap();
            let parts: Vec<_> = layout.parts.iter().map(|part| (part[0], part.len())).collect();
            (layout.brief.len(), layout.rest.len(), layout.brief_parts, parts)
        };
        let room = MAX_DOCUMENT_BYTES_AN_ITEM;
        assert_eq!(cut(10, 20), (10, 20, 0, vec![]));
        assert_eq!(cut(10, room), (10, room - 10, 0, vec![(2, 10)]));
        assert_eq!(cut(room + 5, room + 7), (room, 0, 1, vec![(1, 5), (2, room), (2, 7)]));
        assert!(Layout::new(vec![0; 12], vec![0; room * 1001], room).is_err());
    }
}
