//! `GET /api/aslan/delivery/releases`: the releases, newest first, whole.

use hex_simd::AsciiCase;
use ring::digest::{Context, SHA256};

use crate::document::{GzipSplice, Inflater, gzip_length};
use crate::error::Error;
use crate::event::{Request, ResponseShape};
use crate::position::Position;
use crate::query::{Query, encoded_length};
use crate::release_filter::{Facet, ReleaseFilter};
use crate::response::{
    Base64Body, Body, Encoding, MAX_RESPONSE_BYTES, Response, TextBody, base64_length, link_length,
    matches_etag,
};
use crate::store::{Meter, ReleaseEntry, Store, StoredRelease, Verbosity};
use crate::strconv;

/// Zadig's default.
const DEFAULT_PER_PAGE: u64 = 20;
/// A page that begins no deeper is read past with the page itself: one round trip, at a few read units more.
const MAX_SKIPPED_IN_PASSING: u64 = 1000;

/// Which of the matching releases are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Extent {
    /// As many as one response holds, older than the cursor.
    All { after: Option<Position> },
    /// That page, counted from 1.
    Page { page: u64, per_page: u64 },
}

/// What a request asks for, and how it is to be answered.
struct Listing<'a> {
    request: &'a Request,
    extent: Extent,
    verbosity: Verbosity,
    encoding: Encoding,
}

/// The releases to answer, and whether older ones remain.
#[derive(Default)]
struct Selection {
    entries: Vec<ReleaseEntry>,
    has_more: bool,
}

/// What was answered, for the log.
#[derive(Debug, Default, Clone)]
pub struct Summary {
    /// How many releases were answered.
    pub count: usize,
}

/// What a query asks for, in the index's form: for the log.
///
/// # Errors
/// What cannot be read of the query.
pub fn subject(query: &Query) -> Result<String, Error> {
    let filter = ReleaseFilter::from_query(query)?;
    Extent::from_query(query)?;
    Ok(filter.to_string())
}

/// Answers a request for the list.
///
/// # Errors
/// What the contract's error table names.
pub async fn answer(store: &Store, request: &Request, meter: &Meter) -> Result<(Response, Summary), Error> {
    let filter = ReleaseFilter::from_query(&request.query)?;
    let listing = Listing {
        request,
        extent: Extent::from_query(&request.query)?,
        verbosity: verbosity(&request.query),
        encoding: Encoding::accepted(request.headers.accept_encoding.as_deref()),
    };
    let facet = filter.facet();
    let selection = match &facet {
        Some(facet) => listing.select(store, facet, meter).await?,
        None => Selection::default(),
    };
    let summary = Summary { count: selection.entries.len() };
    let etag = etag(&selection, listing.verbosity);
    if matches_etag(request.headers.if_none_match.as_deref(), &etag) {
        return Ok((Response::not_modified(&etag).with_next(listing.next(&selection).as_deref()), summary));
    }
    let releases = match &facet {
        Some(facet) => store.releases(facet, &selection.entries, listing.verbosity, meter).await?,
        None => Vec::new(),
    };
    let body = listing.body(store, &selection, &releases)?;
    let response = Response::ok(&etag, body).with_next(listing.next(&selection).as_deref());
    if response.json_length(request.response_shape) > MAX_RESPONSE_BYTES {
        return Err(store.releases_changed());
    }
    Ok((response, summary))
}

impl Extent {
    fn from_query(query: &Query) -> Result<Self, Error> {
        let number = |name| query.first(name).map(strconv::atoi).transpose();
        let per_page = number("per_page").map_err(Error::UnreadablePerPage)?;
        let page = number("page").map_err(Error::UnreadablePage)?;
        let after = query.first("after").map(cursor).transpose()?;
        let or_default = |value: Option<i64>, default| {
            value.and_then(|value| u64::try_from(value).ok()).filter(|value| *value > 0).unwrap_or(default)
        };
        match (page, per_page, after) {
            (None, None, after) => Ok(Self::All { after }),
            (_, _, Some(_)) => Err(Error::AfterWithPage),
            (page, per_page, None) => {
                Ok(Self::Page { page: or_default(page, 1), per_page: or_default(per_page, DEFAULT_PER_PAGE) })
            }
        }
    }
}

fn cursor(after: &[u8]) -> Result<Position, Error> {
    let position = std::str::from_utf8(after).ok().and_then(Position::parse);
    position.ok_or_else(|| Error::UnreadableAfter { after: after.to_vec() })
}

fn verbosity(query: &Query) -> Verbosity {
    match query.first("verbosity") {
        Some(b"brief") => Verbosity::Brief,
        _ => Verbosity::Detailed,
    }
}

/// A digest of what the index says of the answer: a poll that finds nothing new reads no documents.
fn etag(selection: &Selection, verbosity: Verbosity) -> String {
    let mut digest = Context::new(&SHA256);
    digest.update(match verbosity {
        Verbosity::Brief => b"brief\n".as_slice(),
        Verbosity::Detailed => b"detailed\n",
    });
    for entry in &selection.entries {
        digest.update(entry.position.as_str().as_bytes());
        digest.update(b" ");
        digest.update(entry.revision.as_bytes());
        digest.update(b"\n");
    }
    digest.update(if selection.has_more { b"more".as_slice() } else { b"end" });
    format!("W/\"{}\"", hex_simd::encode_to_string(&digest.finish().as_ref()[..16], AsciiCase::Lower))
}

impl Listing<'_> {
    async fn select(&self, store: &Store, facet: &Facet, meter: &Meter) -> Result<Selection, Error> {
        match &self.extent {
            Extent::All { after } => self.select_all(store, facet, after.clone(), meter).await,
            Extent::Page { page, per_page } => self.select_page(store, facet, *page, *per_page, meter).await,
        }
    }

    /// The newest that fit: reads the index until the response is full or the list ends.
    async fn select_all(
        &self,
        store: &Store,
        facet: &Facet,
        after: Option<Position>,
        meter: &Meter,
    ) -> Result<Selection, Error> {
        let mut size = self.size();
        let mut selection = Selection::default();
        let bare_link = link_length(&self.request.query.with("after", ""), self.request.response_shape);
        // How many of the entries fit with a link behind them; without one the last may fit too.
        let mut fitting_with_link = 0;
        let mut older_than = after;
        loop {
            let page = store.release_entries(facet, older_than.as_ref(), None, meter).await?;
            for entry in page.entries {
                let link = bare_link + encoded_length(entry.position.as_str());
                size.add(&entry);
                if !size.fits(0) {
                    return self.cut(selection, fitting_with_link, &entry);
                }
                selection.entries.push(entry);
                if size.fits(link) {
                    fitting_with_link = selection.entries.len();
                }
            }
            older_than = selection.entries.last().map(|entry| entry.position.clone()).or(older_than);
            if !page.may_have_more {
                return Ok(selection);
            }
        }
    }

    /// What is answered where not all fits: as many as fit with the link to the rest.
    fn cut(&self, mut selection: Selection, fitting: usize, next: &ReleaseEntry) -> Result<Selection, Error> {
        if fitting == 0 {
            let too_large = selection.entries.first().unwrap_or(next);
            return Err(self.too_large(too_large));
        }
        selection.entries.truncate(fitting);
        selection.has_more = true;
        Ok(selection)
    }

    async fn select_page(
        &self,
        store: &Store,
        facet: &Facet,
        page: u64,
        per_page: u64,
        meter: &Meter,
    ) -> Result<Selection, Error> {
        let mut skipped = (page - 1).saturating_mul(per_page);
        let mut older_than = None;
        if skipped > MAX_SKIPPED_IN_PASSING {
            older_than = store.position_of(facet, skipped, meter).await?;
            if older_than.is_none() {
                return Ok(Selection::default());
            }
            skipped = 0;
        }
        let mut size = self.size();
        let mut selection = Selection::default();
        let link = self.page_link_length(page);
        let mut fitting_with_link = 0;
        loop {
            let wanted =
                (per_page - selection.entries.len() as u64).saturating_add(skipped).saturating_add(1);
            let limit = usize::try_from(wanted).unwrap_or(usize::MAX);
            let found = store.release_entries(facet, older_than.as_ref(), Some(limit), meter).await?;
            older_than = found.entries.back().map(|entry| entry.position.clone()).or(older_than);
            for entry in found.entries {
                if skipped > 0 {
                    skipped -= 1;
                    continue;
                }
                if selection.entries.len() as u64 == per_page {
                    selection.has_more = true;
                    break;
                }
                size.add(&entry);
                selection.entries.push(entry);
                if size.fits(link) {
                    fitting_with_link = selection.entries.len();
                }
                if !size.fits(0) {
                    return Err(self.page_too_large(page, per_page, &selection, fitting_with_link));
                }
            }
            if selection.has_more && !size.fits(link) {
                return Err(self.page_too_large(page, per_page, &selection, fitting_with_link));
            }
            if selection.has_more || !found.may_have_more {
                return Ok(selection);
            }
        }
    }

    /// Names the largest `per_page` whose pages begin where this one does and fit there.
    fn page_too_large(&self, page: u64, per_page: u64, selection: &Selection, fitting: usize) -> Error {
        let skipped = (page - 1).saturating_mul(per_page);
        let Some(fitting_per_page) =
            (1..=fitting as u64).rev().find(|candidate| skipped.is_multiple_of(*candidate))
        else {
            return self.too_large(&selection.entries[0]);
        };
        Error::PageTooLarge { page, per_page, fitting_page: skipped / fitting_per_page + 1, fitting_per_page }
    }

    fn too_large(&self, entry: &ReleaseEntry) -> Error {
        let remedy = match (self.encoding, self.verbosity) {
            (Encoding::Identity, Verbosity::Detailed) => "accept gzip, ask for verbosity=brief, or ",
            (Encoding::Gzip, Verbosity::Detailed) => "ask for verbosity=brief, or ",
            (Encoding::Identity, Verbosity::Brief) => "accept gzip, or ",
            (Encoding::Gzip, Verbosity::Brief) => "",
        };
        Error::ReleaseTooLarge { position: entry.position.clone(), remedy }
    }

    fn next(&self, selection: &Selection) -> Option<String> {
        if !selection.has_more {
            return None;
        }
        match &self.extent {
            Extent::All { .. } => selection.entries.last().map(|entry| self.after(&entry.position)),
            Extent::Page { page, .. } => Some(self.page(page.saturating_add(1))),
        }
    }

    fn after(&self, position: &Position) -> String {
        self.request.query.with("after", position.as_str())
    }

    fn page(&self, page: u64) -> String {
        self.request.query.with("page", &page.to_string())
    }

    fn page_link_length(&self, page: u64) -> usize {
        link_length(&self.page(page.saturating_add(1)), self.request.response_shape)
    }

    fn size(&self) -> ResponseSize {
        ResponseSize::new(self.verbosity, self.encoding, self.request.response_shape)
    }

    fn body(
        &self,
        store: &Store,
        selection: &Selection,
        releases: &[Option<StoredRelease>],
    ) -> Result<Body, Error> {
        let found: Vec<_> = selection
            .entries
            .iter()
            .zip(releases)
            .filter_map(|(entry, release)| Some((entry, release.as_ref()?)))
            .collect();
        match self.encoding {
            Encoding::Gzip => Ok(Body::Gzip(self.gzip(&found))),
            Encoding::Identity => self.text(store, &found).map(Body::Text),
        }
    }

    fn gzip(&self, found: &[(&ReleaseEntry, &StoredRelease)]) -> Base64Body {
        let lengths = found.iter().map(|(entry, _)| (entry.lengths.packed(self.verbosity), 2));
        let mut splice = GzipSplice::with_capacity(gzip_length(2, lengths));
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

    fn text(&self, store: &Store, found: &[(&ReleaseEntry, &StoredRelease)]) -> Result<TextBody, Error> {
        let lengths = found.iter().map(|(entry, _)| entry.lengths.escaped(self.verbosity) + 2);
        let mut text = TextBody::with_capacity(lengths.sum::<usize>() + 2);
        let mut inflater = Inflater::default();
        text.push(b"[");
        for (index, (entry, release)) in found.iter().enumerate() {
            let unreadable = |spoiled| store.unreadable_release(entry.position.id(), spoiled);
            text.push(if index == 0 { b"" } else { b"," });
            text.push(inflater.text(&release.brief).map_err(unreadable)?);
            match &release.rest {
                Some(rest) => text.push(inflater.text(rest).map_err(unreadable)?),
                None => text.push(b"}"),
            }
        }
        text.push(b"]");
        Ok(text)
    }
}

/// The size of the Lambda response JSON that a growing list will make, counted from what the index tells.
struct ResponseSize {
    verbosity: Verbosity,
    encoding: Encoding,
    envelope: usize,
    body: usize,
}

impl ResponseSize {
    fn new(verbosity: Verbosity, encoding: Encoding, shape: ResponseShape) -> Self {
        let etag = etag(&Selection::default(), verbosity);
        let (empty, body) = match encoding {
            Encoding::Gzip => (Body::Gzip(Base64Body::with_capacity(0)), gzip_length("[".len(), [])),
            Encoding::Identity => (Body::Text(TextBody::with_capacity(0)), "[".len()),
        };
        Self { verbosity, encoding, envelope: Response::ok(&etag, empty).json_length(shape), body }
    }

    fn add(&mut self, entry: &ReleaseEntry) {
        // What stands behind a release: the end of a brief one, and a comma or the end of the list.
        let behind = match self.verbosity {
            Verbosity::Brief => "},".len(),
            Verbosity::Detailed => ",".len(),
        };
        self.body += match self.encoding {
            Encoding::Gzip => {
                gzip_length(0, [(entry.lengths.packed(self.verbosity), behind)]) - gzip_length(0, [])
            }
            Encoding::Identity => entry.lengths.escaped(self.verbosity) + behind,
        };
    }

    fn fits(&self, link: usize) -> bool {
        let body = match self.encoding {
            Encoding::Gzip => base64_length(self.body),
            Encoding::Identity => self.body,
        };
        self.envelope + link + body <= MAX_RESPONSE_BYTES
    }
}
