//! The Releases table, keyed by `release_id` and `entry`, and its index `by_facet`.
//!
//! | entry | holds |
//! | --- | --- |
//! | `release` | the two documents `brief` and `rest`, as far as they fit, what describes them, and digests of what its `facets` are made of |
//! | `part#<revision>#<number>` | what did not fit |
//! | `facet#<digest>` | where the release stands in one list: `facet`, `position`, `revision`, `lengths` |
//!
//! `brief` is `{"versionInfo":{…}`, `rest` is the remainder `,"buildInfo":[…],…}`: a list of either kind is spliced.
//! A revision is a digest of both, so an item never changes under its revision.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::{Attributes, CHANGED, MAX_KEYS_A_BATCH, Meter, Record, Store, unavailable};
use crate::document::Document;
use crate::dynamodb::{AttributeValue, Batch, Item, Items, Page};
use crate::error::Error;
use crate::position::Position;
use crate::release_filter::Facet;

/// The index that finds releases.
pub(super) const BY_FACET: &str = "by_facet";
/// The range key of the item that holds the documents.
pub(super) const RELEASE_ENTRY: &str = "release";

/// How many BatchGetItem calls run side by side: each is a connection, and more only queue on one core.
const MAX_CALLS_AT_ONCE: usize = 8;
/// How much one BatchGetItem call asks for: DynamoDB answers at most 16 MB, and smaller answers overlap better.
const MAX_STORED_BYTES_A_CALL: usize = 4 << 20;

/// How often a release is read again that is replaced while it is read.
const MAX_READS_AGAIN: usize = 4;

/// How much of a release is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verbosity {
    /// `versionInfo` alone.
    Brief,
    /// All sections.
    Detailed,
}

/// A release as the index lists it: enough to know what answering it takes, without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseEntry {
    /// Its time and id.
    pub position: Position,
    /// The revision of its documents.
    pub revision: String,
    /// Its documents' lengths.
    pub lengths: Lengths,
}

/// The lengths in bytes of a release's two documents, packed and as JSON-escaped text, and the parts they need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lengths {
    /// `brief`, packed.
    pub brief_packed: usize,
    /// `brief`, escaped.
    pub brief_escaped: usize,
    /// `rest`, packed.
    pub rest_packed: usize,
    /// `rest`, escaped.
    pub rest_escaped: usize,
    /// The parts that `brief` needs beside the item `release`.
    pub brief_parts: usize,
    /// All parts.
    pub parts: usize,
}

impl Lengths {
    /// The packed length of what is asked for.
    #[must_use]
    pub fn packed(&self, verbosity: Verbosity) -> usize {
        match verbosity {
            Verbosity::Brief => self.brief_packed,
            Verbosity::Detailed => self.brief_packed + self.rest_packed,
        }
    }

    /// The escaped length of what is asked for.
    #[must_use]
    pub fn escaped(&self, verbosity: Verbosity) -> usize {
        match verbosity {
            Verbosity::Brief => self.brief_escaped,
            Verbosity::Detailed => self.brief_escaped + self.rest_escaped,
        }
    }

    fn parts(&self, verbosity: Verbosity) -> usize {
        match verbosity {
            Verbosity::Brief => self.brief_parts,
            Verbosity::Detailed => self.parts,
        }
    }
}

impl fmt::Display for Lengths {
    /// As it is stored: one short text is read faster than six attributes.
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let Self { brief_packed, brief_escaped, rest_packed, rest_escaped, brief_parts, parts } = self;
        write!(formatter, "{brief_packed},{brief_escaped},{rest_packed},{rest_escaped},{brief_parts},{parts}")
    }
}

/// Lengths that were not stored by this service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnreadableLengths;

impl FromStr for Lengths {
    type Err = UnreadableLengths;

    fn from_str(text: &str) -> Result<Self, UnreadableLengths> {
        let mut numbers = [0_usize; 6];
        let mut texts = text.split(',');
        for number in &mut numbers {
            *number = texts.next().and_then(|text| text.parse().ok()).ok_or(UnreadableLengths)?;
        }
        if texts.next().is_some() {
            return Err(UnreadableLengths);
        }
        let [brief_packed, brief_escaped, rest_packed, rest_escaped, brief_parts, parts] = numbers;
        Ok(Self { brief_packed, brief_escaped, rest_packed, rest_escaped, brief_parts, parts })
    }
}

/// One index page: releases of a facet, newest first.
#[derive(Debug)]
pub struct ReleaseEntries {
    /// The releases.
    pub entries: VecDeque<ReleaseEntry>,
    /// Whether older ones may follow.
    pub may_have_more: bool,
}

/// A release's documents, as far as they were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRelease {
    /// `{"versionInfo":{…}`
    pub brief: Arc<Document>,
    /// `,"buildInfo":[…],…}`, where all sections were asked for.
    pub rest: Option<Arc<Document>>,
}

impl Store {
    /// The releases of a facet older than a position, newest first: one Query, at most 1 MB of the index.
    ///
    /// # Errors
    /// The table's, and an entry that cannot be read.
    pub async fn release_entries(
        &self,
        facet: &Facet,
        older_than: Option<&Position>,
        limit: Option<usize>,
        meter: &Meter,
    ) -> Result<ReleaseEntries, Error> {
        let page = Page { projection: Some(ENTRY), ..self.facet_page(facet, older_than, limit) };
        let answer = self.page(&page, meter).await?;
        let may_have_more = answer.last.is_some();
        let entries = answer.items.into_iter().map(|item| self.entry(facet, item));
        Ok(ReleaseEntries { entries: entries.collect::<Result<_, _>>()?, may_have_more })
    }

    /// The position of the `count`th newest release of a facet, none where there are fewer.
    ///
    /// Skipping reads the index and answers no items: a deep page costs its read units, not their transfer.
    ///
    /// # Errors
    /// The table's.
    pub async fn position_of(
        &self,
        facet: &Facet,
        count: u64,
        meter: &Meter,
    ) -> Result<Option<Position>, Error> {
        let mut remaining = count;
        let mut start: Option<Item> = None;
        while remaining > 0 {
            let limit = usize::try_from(remaining).unwrap_or(usize::MAX);
            let page = Page { is_count: true, start, ..self.facet_page(facet, None, Some(limit)) };
            let answer = self.page(&page, meter).await?;
            remaining = remaining.saturating_sub(answer.count);
            start = answer.last;
            if start.is_none() {
                return Ok(None);
            }
        }
        let Some(start) = start else { return Ok(None) };
        let mut attributes = Attributes::new(start, &self.releases_table, Record::PositionOf(facet));
        let position = attributes.text("position")?;
        Position::parse(&position)
            .map(Some)
            .ok_or_else(|| attributes.unreadable("its position has another form"))
    }

    fn facet_page(&self, facet: &Facet, older_than: Option<&Position>, limit: Option<usize>) -> Page {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let mut values = vec![(":facet", text(facet.as_str()))];
        values.extend(older_than.map(|position| (":position", text(position.as_str()))));
        let key = match older_than {
            None => "facet = :facet",
            Some(_) => "facet = :facet AND #position < :position",
        };
        Page {
            index: Some(BY_FACET),
            values,
            limit,
            ..Page::of(&self.releases_table, Items::NewestFirst(key))
        }
    }

    fn entry(&self, facet: &Facet, item: Item) -> Result<ReleaseEntry, Error> {
        let mut attributes = Attributes::new(item, &self.releases_table, Record::EntryOf(facet));
        let position = attributes.text("position")?;
        let position = Position::parse(&position)
            .ok_or_else(|| attributes.unreadable(format!("its position {position:?} has another form")))?;
        attributes.record = Record::Release(position.id());
        let revision = attributes.text("revision")?;
        let lengths = attributes
            .text("lengths")?
            .parse()
            .map_err(|UnreadableLengths| attributes.unreadable("its lengths have another form"))?;
        Ok(ReleaseEntry { position, revision, lengths })
    }

    /// The documents of listed releases, in the order listed; none for a release that was deleted meanwhile.
    ///
    /// # Errors
    /// The table's, and a document that cannot be read.
    pub async fn releases(
        &self,
        facet: &Facet,
        entries: &[ReleaseEntry],
        verbosity: Verbosity,
        meter: &Meter,
    ) -> Result<Vec<Option<StoredRelease>>, Error> {
        let known: Vec<_> = entries.iter().map(|entry| self.kept(entry, verbosity)).collect();
        let missing = entries.iter().zip(&known).filter(|(_, known)| known.is_none());
        let mut items = self.items(missing.map(|(entry, _)| entry), verbosity, meter).await?;
        let mut releases = Vec::with_capacity(entries.len());
        for (entry, known) in entries.iter().zip(known) {
            releases.push(match known {
                Some(release) => Some(release),
                None => match items.take_release(entry, verbosity)? {
                    Some(release) => Some(self.keep(entry, release)),
                    None => self.release_again(facet, entry, verbosity, meter).await?,
                },
            });
        }
        Ok(releases)
    }

    /// The documents of one revision of a release, read consistently; none where it was replaced meanwhile.
    pub(super) async fn documents_of(
        &self,
        entry: &ReleaseEntry,
        verbosity: Verbosity,
        meter: &Meter,
    ) -> Result<Option<StoredRelease>, Error> {
        let table = self.releases_table.as_str();
        let keys: Vec<_> = keys(entry, verbosity).collect();
        let mut found = Vec::with_capacity(keys.len());
        for keys in keys.chunks(MAX_KEYS_A_BATCH) {
            meter.count_round_trip();
            let batch = consistent(table, keys.to_vec(), documents(verbosity));
            found.extend(self.batch_get(batch, meter).await?);
        }
        ItemsByKey::new(found, table)?.take_release(entry, verbosity)
    }

    /// The items of releases, in one round trip; none is made where there is nothing to ask for.
    async fn items<'a>(
        &self,
        entries: impl Iterator<Item = &'a ReleaseEntry>,
        verbosity: Verbosity,
        meter: &Meter,
    ) -> Result<ItemsByKey<'_>, Error> {
        let table = self.releases_table.as_str();
        let calls = calls(table, entries, verbosity);
        if !calls.is_empty() {
            meter.count_round_trip();
        }
        let found: Vec<Vec<Item>> = stream::iter(calls)
            .map(|batch| self.batch_get(batch, meter))
            .buffer_unordered(MAX_CALLS_AT_ONCE)
            .try_collect()
            .await?;
        ItemsByKey::new(found.into_iter().flatten(), table)
    }

    fn kept(&self, entry: &ReleaseEntry, verbosity: Verbosity) -> Option<StoredRelease> {
        self.documents.as_ref()?.get(entry, verbosity)
    }

    /// Keeps what was read under the entry's revision, where this store keeps documents.
    fn keep(&self, entry: &ReleaseEntry, release: StoredRelease) -> StoredRelease {
        if let Some(documents) = &self.documents {
            documents.keep(entry, &release);
        }
        release
    }

    /// Reads a release that was not found as the index has it, consistently: the index and the replicas may lag.
    ///
    /// What the table has now is answered where it stands at that place and still has that facet. Otherwise it was
    /// deleted, or moved to a place where this or a later answer meets it.
    async fn release_again(
        &self,
        facet: &Facet,
        entry: &ReleaseEntry,
        verbosity: Verbosity,
        meter: &Meter,
    ) -> Result<Option<StoredRelease>, Error> {
        let table = self.releases_table.as_str();
        let id = entry.position.id();
        let mut revision_before = None;
        for _ in 0..MAX_READS_AGAIN {
            let described = "#position, revision, lengths, facets";
            let batch = consistent(table, vec![key(id, RELEASE_ENTRY)], described);
            meter.count_round_trip();
            let Some(item) = self.batch_get(batch, meter).await?.pop() else { return Ok(None) };
            let mut release = Attributes::new(item, table, Record::Release(id));
            // None of a release that is found among all alone.
            let digests = if release.has("facets") { release.bytes("facets")? } else { Vec::new() };
            let has_facet = facet.is_among(&digests);
            if !has_facet || release.text("position")? != entry.position.as_str() {
                return Ok(None);
            }
            let revision = release.text("revision")?;
            let lengths = release
                .text("lengths")?
                .parse()
                .map_err(|UnreadableLengths| release.unreadable("its lengths have another form"))?;
            let now = ReleaseEntry { position: entry.position.clone(), revision, lengths };
            if let Some(found) = self.documents_of(&now, verbosity, meter).await? {
                // Kept under the revision that was read: the index still names the one before.
                return Ok(Some(self.keep(&now, found)));
            }
            // Parts are written before the release that names them, and removed after it was replaced.
            if revision_before.as_ref() == Some(&now.revision) {
                return Err(release.unreadable("a part of its document is missing"));
            }
            revision_before = Some(now.revision);
        }
        Err(unavailable(table, CHANGED, None))
    }
}

/// What a list needs of an index entry.
const ENTRY: &str = "#position, revision, lengths";
/// The attributes that a detailed answer needs; a brief one leaves out `rest`.
const DOCUMENTS: &str = "release_id, #entry, revision, brief, rest, document";
const BRIEF_DOCUMENTS: &str = "release_id, #entry, revision, brief, document";

fn documents(verbosity: Verbosity) -> &'static str {
    match verbosity {
        Verbosity::Brief => BRIEF_DOCUMENTS,
        Verbosity::Detailed => DOCUMENTS,
    }
}

pub(super) fn part_entry(revision: &str, number: usize) -> String {
    format!("part#{revision}#{number:03}")
}

pub(super) fn key(release_id: &str, entry: &str) -> Item {
    Item::from([
        ("release_id".into(), AttributeValue::S(release_id.to_owned())),
        ("entry".into(), AttributeValue::S(entry.to_owned())),
    ])
}

fn keys(entry: &ReleaseEntry, verbosity: Verbosity) -> impl Iterator<Item = Item> {
    let id = entry.position.id();
    let parts =
        (1..=entry.lengths.parts(verbosity)).map(|number| key(id, &part_entry(&entry.revision, number)));
    std::iter::once(key(id, RELEASE_ENTRY)).chain(parts)
}

/// The keys of listed releases, in calls that DynamoDB answers whole.
fn calls<'a>(
    table: &str,
    entries: impl Iterator<Item = &'a ReleaseEntry>,
    verbosity: Verbosity,
) -> Vec<Batch> {
    let mut calls = Vec::new();
    let (mut call, mut bytes) = (Vec::new(), 0);
    let batch = |keys| Batch {
        table: table.to_owned(),
        keys,
        projection: Some(documents(verbosity)),
        is_consistent: false,
    };
    for entry in entries {
        let mean = entry.lengths.packed(verbosity) / (1 + entry.lengths.parts(verbosity));
        for key in keys(entry, verbosity) {
            if call.len() == MAX_KEYS_A_BATCH || (bytes + mean > MAX_STORED_BYTES_A_CALL && !call.is_empty())
            {
                calls.push(batch(std::mem::take(&mut call)));
                bytes = 0;
            }
            call.push(key);
            bytes += mean;
        }
    }
    if !call.is_empty() {
        calls.push(batch(call));
    }
    calls
}

pub(super) fn consistent(table: &str, keys: Vec<Item>, projection: &'static str) -> Batch {
    Batch { table: table.to_owned(), keys, projection: Some(projection), is_consistent: true }
}

/// Items as BatchGetItem returns them, in no order, to be taken by release and entry.
struct ItemsByKey<'a> {
    table: &'a str,
    /// By release: a few, each with its entry. Comparing a few ids costs less than hashing one.
    items: BTreeMap<String, Vec<(String, Item)>>,
}

impl<'a> ItemsByKey<'a> {
    fn new(items: impl IntoIterator<Item = Item>, table: &'a str) -> Result<Self, Error> {
        let mut by_release = BTreeMap::<String, Vec<_>>::new();
        for item in items {
            let mut attributes = Attributes::new(item, table, Record::SomeItem);
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
        Some(Attributes::new(items.swap_remove(place).1, self.table, Record::Release(id)))
    }

    /// A release's documents; none where an item of its revision is not there.
    fn take_release(
        &mut self,
        entry: &ReleaseEntry,
        verbosity: Verbosity,
    ) -> Result<Option<StoredRelease>, Error> {
        let id = entry.position.id();
        let Some(mut release) = self.take(id, RELEASE_ENTRY) else { return Ok(None) };
        if release.text("revision")? != entry.revision {
            return Ok(None);
        }
        let mut brief = release.base64("brief")?;
        let mut rest = if release.has("rest") { release.base64("rest")? } else { Vec::new() };
        for number in 1..=entry.lengths.parts(verbosity) {
            let Some(mut part) = self.take(id, &part_entry(&entry.revision, number)) else { return Ok(None) };
            let document = if number <= entry.lengths.brief_parts { &mut brief } else { &mut rest };
            document.append(&mut part.base64("document")?);
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
    use super::*;

    #[test]
    fn lengths_are_read_back() {
        let lengths = Lengths {
            brief_packed: 1,
            brief_escaped: 2,
            rest_packed: 3,
            rest_escaped: 4,
            brief_parts: 5,
            parts: 6,
        };
        assert_eq!(lengths.to_string().parse(), Ok(lengths));
        for text in ["", "1,2,3,4,5", "1,2,3,4,5,6,7", "1,2,3,4,5,x", "-1,2,3,4,5,6"] {
            assert_eq!(text.parse::<Lengths>(), Err(UnreadableLengths), "{text}");
        }
    }

    #[test]
    fn calls_stay_within_what_dynamodb_answers() {
        let entry = |packed, parts| ReleaseEntry {
            position: Position::new(1, &format!("{packed}")),
            revision: "r".to_owned(),
            lengths: Lengths { rest_packed: packed, parts, ..Lengths::default() },
        };
        let small: Vec<_> = (0..250).map(|number| entry(number, 0)).collect();
        let sizes = |entries: &[ReleaseEntry]| {
            calls("releases", entries.iter(), Verbosity::Detailed)
                .iter()
                .map(|call| call.keys.len())
                .collect::<Vec<_>>()
        };
        assert_eq!(sizes(&small), [100, 100, 50]);
        let large: Vec<_> = (0..30).map(|number| entry(400_000 + number, 0)).collect();
        assert_eq!(sizes(&large), [10, 10, 10]);
        assert_eq!(sizes(&[entry(4 << 20, 10)]), [11]);
    }
}
