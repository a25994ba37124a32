//! `GET /api/aslan/delivery/releases`: the list of releases, newest first.

use http::HeaderMap;

use crate::accept_encoding::ContentCoding;
use crate::document::Inflater;
use crate::error::Error;
use crate::etag;
use crate::gzip_splice::{GzipSplice, gzip_length_of_document, gzip_length_without_documents};
use crate::position::Position;
use crate::query::{ParameterError, Query, encoded_length};
use crate::request::Extent;
use crate::response::{self, Response};
use crate::response_limit::{body_in_json, fits, room_for_body};
use crate::store::{ReleaseEntry, ReleaseFilter, ReleaseSearch, Store, StoredRelease, Usage, Verbosity};

/// How many entries may lie before a numbered page for these to be read together with it. That saves a round
/// trip and costs a few read units. For a deeper page, its position is asked for first.
const MAX_SKIPPED_IN_PASSING: u64 = 1000;
/// A search ends after this many pages of the index (1 MB each, or some 3,000 releases) in which it passed
/// over more entries than it found. What it has found by then is answered, with a link to the rest. Other
/// pages do not count, since they fill the answer.
const MAX_INDEX_PAGES_PER_LIST: usize = 4;
/// How many pages of the index a search that compares entries reads for a numbered page, which is answered
/// whole or not at all.
const MAX_INDEX_PAGES_PER_NUMBERED_PAGE: usize = 20;

/// What a request asks for, and how it is to be answered.
pub struct ListRequest<'a> {
    query: &'a Query,
    headers: &'a HeaderMap,
    /// The length of a link's query without its cursor.
    query_without_cursor: usize,
    filter: ReleaseFilter,
    extent: Extent,
    verbosity: Verbosity,
    coding: ContentCoding,
}

/// The releases that are answered, and whether older ones remain.
struct Selection {
    entries: Vec<ReleaseEntry>,
    /// How many of the entries fit together with a link. Without a link, the last one may fit too.
    fitting_with_link: usize,
    size: BodySize,
    rest: Rest,
}

impl Selection {
    /// Adds a release, behind which a link would have this length.
    fn push(&mut self, entry: ReleaseEntry, link: usize) {
        self.size.add(&entry);
        self.entries.push(entry);
        if self.size.fits(Some(link)) {
            self.fitting_with_link = self.entries.len();
        }
    }
}

/// Whether a list has older releases than those that are answered.
#[derive(PartialEq, Eq)]
enum Rest {
    None,
    /// They are older than the last one answered.
    BehindTheLast,
    /// There may be some. The search was ended at this position, and they are older.
    Behind(Position),
}

impl Rest {
    /// What an entity tag says of it.
    fn in_etag(&self) -> &str {
        match self {
            Self::None => "end",
            Self::BehindTheLast => "more",
            Self::Behind(position) => position.as_str(),
        }
    }
}

fn verbosity(query: &Query) -> Verbosity {
    match query.first("verbosity") {
        Some("brief") => Verbosity::Brief,
        _ => Verbosity::Detailed,
    }
}

impl<'a> ListRequest<'a> {
    /// Reads what is asked for.
    ///
    /// # Errors
    /// What cannot be read of the query.
    pub fn read(query: &'a Query, headers: &'a HeaderMap) -> Result<Self, ParameterError> {
        Ok(Self {
            query,
            headers,
            query_without_cursor: query.with("after", "").len(),
            filter: ReleaseFilter::from_query(query)?,
            extent: Extent::from_query(query)?,
            verbosity: verbosity(query),
            coding: ContentCoding::accepted(headers),
        })
    }

    /// What is asked for, as the log has it: terms and times, such as `project=shop&label=release`.
    pub fn subject(&self) -> String {
        self.filter.to_string()
    }

    /// Answers it, and tells how many releases that are.
    ///
    /// # Errors
    /// An [`Error`]; docs/api.md lists them.
    pub async fn answer(&self, store: &Store, usage: &Usage) -> Result<(Response, usize), Error> {
        let search = self.filter.search();
        let selection = match &search {
            Some(search) => self.select(store, search, usage).await?,
            None => self.nothing(),
        };
        let count = selection.entries.len();
        let next = self.next(&selection);
        let etag = etag::of_releases(self.verbosity, &selection.entries, selection.rest.in_etag());
        if etag::is_known(self.headers, &etag) {
            return Ok((response::with_next(response::not_modified(&etag), next.as_deref()), count));
        }
        let releases = match &search {
            Some(search) => store.releases(search, &selection.entries, self.verbosity, usage).await?,
            None => Vec::new(),
        };
        let body = self.body(store, &selection, &releases)?;
        if !fits(self.coding, &body, next.as_ref().map(String::len)) {
            return Err(store.releases_changed().into());
        }
        Ok((response::with_next(response::ok(&etag, self.coding, body), next.as_deref()), count))
    }

    async fn select(&self, store: &Store, search: &ReleaseSearch, usage: &Usage) -> Result<Selection, Error> {
        match &self.extent {
            Extent::All { after } => self.select_all(store, search, after.as_ref(), usage).await,
            Extent::Page { page, per_page } => self.select_page(store, search, *page, *per_page, usage).await,
        }
    }

    /// The newest releases that fit: reads the index until the response is full, the list ends, or the search
    /// takes too long.
    async fn select_all(
        &self,
        store: &Store,
        search: &ReleaseSearch,
        after: Option<&Position>,
        usage: &Usage,
    ) -> Result<Selection, Error> {
        let mut selection = self.nothing();
        let mut listing = store.release_listing(search, after);
        let mut pages = 0;
        loop {
            let page = listing.next_page(None, usage).await?;
            pages += usize::from(page.passed_over > page.entries.len());
            for entry in page.entries {
                let link = self.link_behind(&entry.position);
                selection.push(entry, link);
                if !selection.size.fits(None) {
                    return self.cut(selection);
                }
            }
            let Some(rest) = page.rest else { return Ok(selection) };
            if pages == MAX_INDEX_PAGES_PER_LIST {
                if !selection.size.fits(Some(self.link_behind(&rest))) {
                    return self.cut(selection);
                }
                selection.rest = Rest::Behind(rest);
                return Ok(selection);
            }
        }
    }

    /// What is answered when not everything fits: as many releases as fit together with the link to the rest.
    fn cut(&self, mut selection: Selection) -> Result<Selection, Error> {
        if selection.fitting_with_link == 0 {
            return Err(self.too_large(&selection.entries[0]));
        }
        selection.entries.truncate(selection.fitting_with_link);
        selection.rest = Rest::BehindTheLast;
        Ok(selection)
    }

    async fn select_page(
        &self,
        store: &Store,
        search: &ReleaseSearch,
        page: u64,
        per_page: u64,
        usage: &Usage,
    ) -> Result<Selection, Error> {
        let mut skipped = (page - 1).saturating_mul(per_page);
        let mut older_than = None;
        // DynamoDB can count the entries of one list. It cannot count what two lists hold together, nor the
        // entries of a list that a search finds.
        let can_be_counted = search.reads_one_list() && !search.compares_entries();
        if skipped > MAX_SKIPPED_IN_PASSING && can_be_counted {
            older_than = store.position_of(search, skipped, usage).await?;
            if older_than.is_none() {
                return Ok(self.nothing());
            }
            skipped = 0;
        }
        let mut listing = store.release_listing(search, older_than.as_ref());
        let mut selection = self.nothing();
        let link = self.page(page.saturating_add(1)).len();
        let mut pages = 0;
        loop {
            let wanted =
                (per_page - selection.entries.len() as u64).saturating_add(skipped).saturating_add(1);
            // A search that compares entries may pass over any number of them, so it has no limit.
            let limit = (!search.compares_entries()).then(|| usize::try_from(wanted).unwrap_or(usize::MAX));
            let found = listing.next_page(limit, usage).await?;
            for entry in found.entries {
                if skipped > 0 {
                    skipped -= 1;
                    continue;
                }
                if selection.entries.len() as u64 == per_page {
                    selection.rest = Rest::BehindTheLast;
                    break;
                }
                selection.push(entry, link);
                if !selection.size.fits(None) {
                    return Err(self.page_too_large(page, per_page, &selection));
                }
            }
            let has_more = selection.rest == Rest::BehindTheLast;
            if has_more && !selection.size.fits(Some(link)) {
                return Err(self.page_too_large(page, per_page, &selection));
            }
            if has_more || found.rest.is_none() {
                return Ok(selection);
            }
            pages += 1;
            if search.compares_entries() && pages == MAX_INDEX_PAGES_PER_NUMBERED_PAGE {
                return Err(Error::PageTooDeep { page });
            }
        }
    }

    /// The error for a page that does not fit. It names the largest `per_page` with which a page begins at
    /// the same release and fits.
    fn page_too_large(&self, page: u64, per_page: u64, selection: &Selection) -> Error {
        let skipped = (page - 1).saturating_mul(per_page);
        let Some(fitting_per_page) = (1..=selection.fitting_with_link as u64)
            .rev()
            .find(|candidate| skipped.is_multiple_of(*candidate))
        else {
            return self.too_large(&selection.entries[0]);
        };
        Error::PageTooLarge { page, per_page, fitting_page: skipped / fitting_per_page + 1, fitting_per_page }
    }

    fn too_large(&self, entry: &ReleaseEntry) -> Error {
        let remedy = match (self.coding, self.verbosity) {
            (ContentCoding::Identity, Verbosity::Detailed) => "accept gzip, ask for verbosity=brief, or ",
            (ContentCoding::Gzip, Verbosity::Detailed) => "ask for verbosity=brief, or ",
            (ContentCoding::Identity, Verbosity::Brief) => "accept gzip, or ",
            (ContentCoding::Gzip, Verbosity::Brief) => "",
        };
        Error::ReleaseTooLarge { position: entry.position.clone(), remedy }
    }

    /// The query of what follows the selection.
    fn next(&self, selection: &Selection) -> Option<String> {
        let last = || selection.entries.last().map(|entry| &entry.position);
        match (&selection.rest, &self.extent) {
            (Rest::None, _) => None,
            (Rest::BehindTheLast, Extent::Page { page, .. }) => Some(self.page(page.saturating_add(1))),
            (Rest::BehindTheLast, Extent::All { .. }) => Some(self.after(last()?)),
            (Rest::Behind(position), _) => Some(self.after(position)),
        }
    }

    fn after(&self, position: &Position) -> String {
        self.query.with("after", position.as_str())
    }

    /// The length of the query of a link that goes on behind a position.
    fn link_behind(&self, position: &Position) -> usize {
        self.query_without_cursor + encoded_length(position.as_str())
    }

    fn page(&self, page: u64) -> String {
        self.query.with("page", &page.to_string())
    }

    /// The selection of an empty list, to which releases are added.
    fn nothing(&self) -> Selection {
        let size = BodySize::new(self.verbosity, self.coding);
        Selection { entries: Vec::new(), fitting_with_link: 0, size, rest: Rest::None }
    }

    fn body(
        &self,
        store: &Store,
        selection: &Selection,
        releases: &[Option<StoredRelease>],
    ) -> Result<Vec<u8>, Error> {
        let found: Vec<_> = selection
            .entries
            .iter()
            .zip(releases)
            .filter_map(|(entry, release)| Some((entry, release.as_ref()?)))
            .collect();
        match self.coding {
            // In an empty list, `]` joins the block of `[`, so it takes one byte more and no block.
            ContentCoding::Gzip => Ok(gzip(&found, selection.size.length + "]".len())),
            ContentCoding::Identity => text(store, &found),
        }
    }
}

fn gzip(found: &[(&ReleaseEntry, &StoredRelease)], length: usize) -> Vec<u8> {
    let mut splice = GzipSplice::with_capacity(length);
    splice.text("[");
    for (index, (_, release)) in found.iter().enumerate() {
        splice.text(if index == 0 { "" } else { "," });
        splice.document(&release.brief);
        match &release.rest {
            Some(rest) => splice.document(rest),
            None => splice.text("}"),
        }
    }
    splice.text("]");
    splice.finish()
}

fn text(store: &Store, found: &[(&ReleaseEntry, &StoredRelease)]) -> Result<Vec<u8>, Error> {
    let documents =
        found.iter().flat_map(|(_, release)| std::iter::once(&release.brief).chain(&release.rest));
    let length = documents.map(|document| document.length()).sum::<usize>() + 2 * found.len() + "[]".len();
    // The inflater needs room for one byte more than it writes.
    let mut text = Vec::with_capacity(length + 1);
    let mut inflater = Inflater::default();
    text.push(b'[');
    for (index, (entry, release)) in found.iter().enumerate() {
        let unreadable = |spoiled| store.unreadable_release(entry.position.id(), spoiled);
        if index > 0 {
            text.push(b',');
        }
        inflater.append(&release.brief, &mut text).map_err(unreadable)?;
        match &release.rest {
            Some(rest) => inflater.append(rest, &mut text).map_err(unreadable)?,
            None => text.push(b'}'),
        }
    }
    text.push(b']');
    Ok(text)
}

/// The size of a list's body, counted from what the index tells while releases are added to the list.
struct BodySize {
    verbosity: Verbosity,
    coding: ContentCoding,
    /// The length of the gzip member, or of the escaped text.
    length: usize,
}

impl BodySize {
    fn new(verbosity: Verbosity, coding: ContentCoding) -> Self {
        let length = match coding {
            ContentCoding::Gzip => gzip_length_without_documents("[".len()),
            ContentCoding::Identity => "[".len(),
        };
        Self { verbosity, coding, length }
    }

    fn add(&mut self, entry: &ReleaseEntry) {
        // A `}` closes a brief release, and a comma or the list's `]` follows each release.
        let behind = match self.verbosity {
            Verbosity::Brief => "},".len(),
            Verbosity::Detailed => ",".len(),
        };
        self.length += match self.coding {
            ContentCoding::Gzip => gzip_length_of_document(entry.lengths.packed(self.verbosity), behind),
            ContentCoding::Identity => entry.lengths.escaped(self.verbosity) + behind,
        };
    }

    fn fits(&self, link: Option<usize>) -> bool {
        body_in_json(self.coding, self.length) <= room_for_body(link)
    }
}
