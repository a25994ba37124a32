//! Reads the documents of releases: those that a listing named, in one round of BatchGetItem, or one release
//! by its id.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_sdk_dynamodb::types::KeysAndAttributes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::{ReleaseEntry, StoredRelease, Verbosity, entry_in};
use crate::document::{Document, Spoiled};
use crate::store::error::{StoreError, Unavailability};
use crate::store::facets::{Facet, ReleaseSearch, listed};
use crate::store::items::{Attributes, Item, Subject, entry_of};
use crate::store::json::Json;
use crate::store::keys::{RELEASE_ENTRY, WRITER, release_key, release_part_entry};
use crate::store::{MAX_KEYS_PER_CALL, Store, Usage, grouped, projected};

/// How many BatchGetItem calls run side by side: each is a connection, and more only queue on one core.
const MAX_CALLS_AT_ONCE: usize = 8;
/// How much one BatchGetItem call asks for: DynamoDB answers at most 16 MB, and smaller answers overlap
/// better.
const MAX_STORED_BYTES_PER_CALL: usize = 4 << 20;
/// How often a release is read again when it was replaced while it was read.
const MAX_READS_AGAIN: usize = 4;

/// The attributes that a detailed answer needs; a brief one leaves out `rest`.
const DOCUMENTS: &str = "release_id, #entry, revision, brief, rest, document";
const BRIEF_DOCUMENTS: &str = "release_id, #entry, revision, brief, document";

impl Store {
    /// The documents of listed releases, in the order listed; `None` for a release that was deleted or
    /// moved meanwhile, or that the search no longer finds.
    ///
    /// # Errors
    /// DynamoDB fails or refuses the request, or a document cannot be read.
    pub async fn releases(
        &self,
        search: &ReleaseSearch,
        entries: &[ReleaseEntry],
        verbosity: Verbosity,
        usage: &Usage,
    ) -> Result<Vec<Option<StoredRelease>>, StoreError> {
        // A release that moved may stand at two positions, where one of two lists lags behind the other, or a
        // writer was killed between them. Which position is right only the table says, so each of the two is
        // read again alone.
        let doubled = if search.reads_one_list() { BTreeSet::new() } else { ids_at_two_positions(entries) };
        let is_single = |entry: &ReleaseEntry| !doubled.contains(entry.position.id());
        let in_memory = |entry: &ReleaseEntry| self.in_memory(entry, verbosity).filter(|_| is_single(entry));
        let in_memory: Vec<_> = entries.iter().map(in_memory).collect();
        let missing = entries.iter().zip(&in_memory);
        let missing = missing.filter(|(entry, in_memory)| in_memory.is_none() && is_single(entry));
        let mut items = self.items(missing.map(|(entry, _)| entry), verbosity, usage).await?;
        let mut releases = Vec::with_capacity(entries.len());
        for (entry, in_memory) in entries.iter().zip(in_memory) {
            releases.push(if let Some(release) = in_memory {
                usage.count_seen_before();
                Some(release)
            } else if let Some(release) = items.take_release(entry, verbosity)? {
                Some(self.keep(entry, release))
            } else {
                let again = self.release_again(search, entry, usage).await?;
                again.map(|release| release.of(verbosity))
            });
        }
        Ok(releases)
    }

    /// Both documents of one revision of a release, read consistently; `None` where it was replaced
    /// meanwhile.
    ///
    /// # Errors
    /// DynamoDB fails or refuses the request, or a document cannot be read.
    pub async fn documents_of(
        &self,
        entry: &ReleaseEntry,
        usage: &Usage,
    ) -> Result<Option<StoredRelease>, StoreError> {
        let table = self.releases_table.as_str();
        let keys: Vec<_> = keys(entry, Verbosity::Detailed).collect();
        let mut found = Vec::with_capacity(keys.len());
        for keys in keys.chunks(MAX_KEYS_PER_CALL) {
            usage.count_round_trip();
            let request = projected(keys.to_vec(), documents(Verbosity::Detailed), true);
            found.extend(self.batch_get(table, request, usage).await?);
        }
        take_release(found, entry, table)
    }

    /// The items of releases, in one round trip; there is no call where there is nothing to ask for.
    async fn items<'a>(
        &self,
        entries: impl Iterator<Item = &'a ReleaseEntry>,
        verbosity: Verbosity,
        usage: &Usage,
    ) -> Result<ItemsByKey<'_>, StoreError> {
        let table = self.releases_table.as_str();
        let calls = calls(entries, verbosity);
        if !calls.is_empty() {
            usage.count_round_trip();
        }
        let found: Vec<Vec<Item>> = stream::iter(calls)
            .map(|request| self.batch_get(table, request, usage))
            .buffer_unordered(MAX_CALLS_AT_ONCE)
            .try_collect()
            .await?;
        ItemsByKey::new(found.into_iter().flatten(), table)
    }

    fn in_memory(&self, entry: &ReleaseEntry, verbosity: Verbosity) -> Option<StoredRelease> {
        self.documents.as_ref()?.get(entry, verbosity)
    }

    /// Keeps what was read under the entry's revision, where this store keeps documents.
    fn keep(&self, entry: &ReleaseEntry, release: StoredRelease) -> StoredRelease {
        if let Some(documents) = &self.documents {
            documents.keep(entry, &release);
        }
        release
    }

    /// Reads a release again, consistently, after the table did not have it as the index says. (The index may
    /// lag behind the table.)
    ///
    /// What the table has now is answered if it still stands at that position and the search still finds it.
    /// If not, the release was deleted, or moved to a position where this answer or a later one meets it.
    async fn release_again(
        &self,
        search: &ReleaseSearch,
        entry: &ReleaseEntry,
        usage: &Usage,
    ) -> Result<Option<StoredRelease>, StoreError> {
        let table = self.releases_table.as_str();
        let id = entry.position.id();
        let mut revision_before = None;
        for _ in 0..MAX_READS_AGAIN {
            let described = "#entry, #position, revision, lengths, writer";
            let entries =
                std::iter::once(RELEASE_ENTRY.to_owned()).chain(search.lists().iter().map(Facet::entry));
            let keys = entries.map(|entry| release_key(id, &entry)).collect();
            usage.count_round_trip();
            let mut found = self.batch_get(table, projected(keys, described, true), usage).await?;
            let place = found.iter().position(|item| entry_of(item) == RELEASE_ENTRY);
            let item = place.map(|place| found.swap_remove(place));
            let mut release = Attributes::new(item.unwrap_or_default(), table, Subject::Release(id));
            if release.item.is_empty() {
                // Whoever removes a release removes its entries before its item, or with it. So this is
                // damage.
                let is_named = found.iter().any(|item| is_at_revision(item, &entry.revision));
                let reason = "its entries in the index are there, and its documents are gone: run reindex";
                return if is_named { Err(release.unreadable(reason)) } else { Ok(None) };
            }
            if is_without_documents(&release) {
                return Ok(None);
            }
            let now = entry_in(&mut release)?;
            if now.position != entry.position {
                return Ok(None);
            }
            if let Some(found) = self.documents_of(&now, usage).await? {
                let json = found.json().map_err(|spoiled| self.unreadable_release(id, spoiled))?;
                let json = Json::read(&json).map_err(|error| release.unreadable(error.to_string()))?;
                let (_, terms) = listed(&json);
                // It is kept under the revision that was read, since the index still names an older one.
                return Ok(search.finds_release(&terms).then(|| self.keep(&now, found)));
            }
            // Parts are written before the release that names them, and removed after it was replaced.
            if revision_before.as_ref() == Some(&now.revision) {
                return Err(release.unreadable("a part of its document is missing"));
            }
            revision_before = Some(now.revision);
        }
        Err(StoreError::unavailable(table, Unavailability::ChangesTooFast))
    }

    /// The error for a release whose document is not what was stored.
    pub fn unreadable_release(&self, release_id: &str, spoiled: Spoiled) -> StoreError {
        let nothing = Attributes::new(Item::new(), &self.releases_table, Subject::Release(release_id));
        nothing.unreadable(spoiled.to_string())
    }

    /// The error for releases that were replaced by larger ones between the index and the documents.
    pub fn releases_changed(&self) -> StoreError {
        StoreError::unavailable(&self.releases_table, Unavailability::ChangesTooFast)
    }
}

/// Whether a release's item has no documents: a writer has claimed it, and is still making the release, or is
/// removing it.
pub fn is_without_documents(release: &Attributes<'_>) -> bool {
    release.has(WRITER) && !release.has("revision")
}

fn ids_at_two_positions(entries: &[ReleaseEntry]) -> BTreeSet<&str> {
    let mut met = BTreeSet::new();
    entries.iter().map(|entry| entry.position.id()).filter(|id| !met.insert(*id)).collect()
}

fn is_at_revision(item: &Item, revision: &str) -> bool {
    item.get("revision").and_then(|found| found.as_s().ok()).is_some_and(|found| found == revision)
}

fn documents(verbosity: Verbosity) -> &'static str {
    match verbosity {
        Verbosity::Brief => BRIEF_DOCUMENTS,
        Verbosity::Detailed => DOCUMENTS,
    }
}

fn keys(entry: &ReleaseEntry, verbosity: Verbosity) -> impl Iterator<Item = Item> {
    let id = entry.position.id();
    let parts = (1..=entry.lengths.parts(verbosity))
        .map(|number| release_key(id, &release_part_entry(&entry.revision, number)));
    std::iter::once(release_key(id, RELEASE_ENTRY)).chain(parts)
}

/// The keys of listed releases, in calls that DynamoDB answers whole.
fn calls<'a>(
    entries: impl Iterator<Item = &'a ReleaseEntry>,
    verbosity: Verbosity,
) -> Vec<KeysAndAttributes> {
    let keys = entries.flat_map(|entry| {
        let mean = entry.lengths.packed(verbosity) / (1 + entry.lengths.parts(verbosity));
        keys(entry, verbosity).map(move |key| (key, mean))
    });
    let calls = grouped(keys, MAX_KEYS_PER_CALL, MAX_STORED_BYTES_PER_CALL).into_iter();
    calls.map(|keys| projected(keys, documents(verbosity), false)).collect()
}

/// Both documents of one revision of a release out of its items; `None` where one of these is missing.
///
/// # Errors
/// A document cannot be read.
pub fn take_release(
    items: impl IntoIterator<Item = Item>,
    entry: &ReleaseEntry,
    table: &str,
) -> Result<Option<StoredRelease>, StoreError> {
    ItemsByKey::new(items, table)?.take_release(entry, Verbosity::Detailed)
}

/// The items that BatchGetItem returned, which are in no order, to be taken by release and entry.
struct ItemsByKey<'a> {
    table: &'a str,
    /// By release: a few, each with its entry. Comparing a few ids costs less than hashing one.
    items: BTreeMap<String, Vec<(String, Item)>>,
}

impl<'a> ItemsByKey<'a> {
    fn new(items: impl IntoIterator<Item = Item>, table: &'a str) -> Result<Self, StoreError> {
        let mut by_release = BTreeMap::<String, Vec<_>>::new();
        for item in items {
            let mut attributes = Attributes::new(item, table, Subject::SomeItem);
            let (id, entry) = (attributes.text("release_id")?, attributes.text("entry")?);
            by_release.entry(id).or_default().push((entry, attributes.item));
        }
        Ok(Self { table, items: by_release })
    }

    fn take<'b>(&mut self, id: &'b str, entry: &str) -> Option<Attributes<'b>>
    where
        'a: 'b,
    {
        let items = self.items.get_mut(id)?;
        let place = items.iter().position(|(candidate, _)| candidate == entry)?;
        Some(Attributes::new(items.swap_remove(place).1, self.table, Subject::Release(id)))
    }

    /// A release's documents; `None` where one of the items of its revision is missing.
    fn take_release(
        &mut self,
        entry: &ReleaseEntry,
        verbosity: Verbosity,
    ) -> Result<Option<StoredRelease>, StoreError> {
        let id = entry.position.id();
        let Some(mut release) = self.take(id, RELEASE_ENTRY) else { return Ok(None) };
        // The item of a release that is being made or removed has no revision.
        if !release.has("revision") || release.text("revision")? != entry.revision {
            return Ok(None);
        }
        let mut brief = release.bytes("brief")?;
        let mut rest = if release.has("rest") { release.bytes("rest")? } else { Vec::new() };
        for number in 1..=entry.lengths.parts(verbosity) {
            let part = self.take(id, &release_part_entry(&entry.revision, number));
            let Some(mut part) = part else { return Ok(None) };
            let document = if number <= entry.lengths.brief_parts { &mut brief } else { &mut rest };
            document.append(&mut part.bytes("document")?);
        }
        let read =
            |stored| Document::from_stored(stored).map_err(|spoiled| release.unreadable(spoiled.to_string()));
        let brief = Arc::new(read(brief)?);
        let rest = match verbosity {
            Verbosity::Brief => None,
            Verbosity::Detailed => Some(Arc::new(read(rest)?)),
        };
        Ok(Some(StoredRelease { brief, rest }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Lengths;
    use super::*;
    use crate::position::Position;

    #[test]
    fn calls_stay_within_what_dynamodb_answers() {
        let entry = |packed, parts| ReleaseEntry {
            position: Position::new(1, &format!("{packed}")),
            revision: "r".to_owned(),
            lengths: Lengths { rest_packed: packed, parts, ..Lengths::default() },
        };
        let small: Vec<_> = (0..250).map(|number| entry(number, 0)).collect();
        let sizes = |entries: &[ReleaseEntry]| {
            calls(entries.iter(), Verbosity::Detailed)
                .iter()
                .map(|call| call.keys().len())
                .collect::<Vec<_>>()
        };
        assert_eq!(sizes(&small), [100, 100, 50]);
        let large: Vec<_> = (0..30).map(|number| entry(400_000 + number, 0)).collect();
        assert_eq!(sizes(&large), [10, 10, 10]);
        assert_eq!(sizes(&[entry(4 << 20, 10)]), [11]);
    }
}
