//! The tables as JSON Lines in the reference page's shape, as `import` takes them.

use std::io::{self, Write};

use futures_util::stream::{self, Stream, StreamExt as _, TryStreamExt as _};

use delivery_center::document::Inflater;
use delivery_center::image_reference::ImageReference;
use delivery_center::request::ReleaseFilter;
use delivery_center::store::{
    Facet, ReleaseEntry, SCAN_SEGMENTS, Store, StoreError, StoredArtifact, StoredRelease, Usage, Verbosity,
};

/// How much is fetched at once, packed; unpacked it is some five times as much.
const MAX_PACKED_BYTES_A_FETCH: usize = 2 << 20;
const MAX_RELEASES_A_FETCH: usize = 100;
/// How many fetches run ahead of the writing.
const FETCHES_AT_ONCE: usize = 4;

/// What is exported.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The releases that a filter keeps.
    pub releases: Option<ReleaseFilter>,
    /// The artifacts.
    pub artifacts: Option<WantedArtifacts>,
}

/// Which artifacts are exported.
#[derive(Debug, Clone)]
pub enum WantedArtifacts {
    /// All.
    All,
    /// All that an image reference names.
    OfImage(ImageReference),
}

/// Why an export ended early.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The tables could not be read.
    #[error("the tables could not be read to their end")]
    Store(#[from] StoreError),
    /// What was read could not be written.
    #[error("the records could not be written")]
    Output(#[from] io::Error),
}

/// How many records were exported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exported {
    /// Releases.
    pub releases: u64,
    /// Artifacts.
    pub artifacts: u64,
}

/// Writes the wanted records, one a line: releases newest first, then artifacts.
///
/// # Errors
/// [`ExportError`]; what was written is whole records.
pub async fn export(
    store: &Store,
    wanted: &Wanted,
    output: &mut impl Write,
    done: impl Fn(),
) -> Result<Exported, ExportError> {
    let mut exported = Exported::default();
    let mut inflater = Inflater::default();
    let mut line = Vec::new();
    // A filter that nothing can match has no facet.
    if let Some(facet) = wanted.releases.as_ref().and_then(ReleaseFilter::facet) {
        let mut releases = Box::pin(releases(store, &facet));
        while let Some((release_id, release)) = releases.try_next().await? {
            let unreadable = |spoiled| store.unreadable_release(&release_id, spoiled);
            line.clear();
            inflater.append(&release.brief, &mut line).map_err(unreadable)?;
            if let Some(rest) = &release.rest {
                inflater.append(rest, &mut line).map_err(unreadable)?;
            }
            line.push(b'\n');
            output.write_all(&line)?;
            exported.releases += 1;
            done();
        }
    }
    if let Some(wanted) = &wanted.artifacts {
        let mut artifacts = artifacts(store, wanted);
        while let Some(artifact) = artifacts.try_next().await? {
            let unreadable = |spoiled| store.unreadable_artifact(artifact.position.id(), spoiled);
            line.clear();
            inflater.append(&artifact.document, &mut line).map_err(unreadable)?;
            line.push(b'\n');
            output.write_all(&line)?;
            exported.artifacts += 1;
            done();
        }
    }
    output.flush()?;
    Ok(exported)
}

type Releases = Vec<(String, StoredRelease)>;

/// The releases of a facet with their ids, newest first.
fn releases<'a>(
    store: &'a Store,
    facet: &'a Facet,
) -> impl Stream<Item = Result<(String, StoredRelease), StoreError>> + 'a {
    let pages = stream::try_unfold((None, false), move |(older_than, is_last)| async move {
        if is_last {
            return Ok(None);
        }
        let page = store.release_entries(facet, Option::as_ref(&older_than), None, &Usage::default()).await?;
        let entries: Vec<_> = page.entries.into();
        let oldest = entries.last().map(|entry| entry.position.clone()).or(older_than);
        Ok::<_, StoreError>(Some((
            stream::iter(fetches(entries).into_iter().map(Ok)),
            (oldest, !page.may_have_more),
        )))
    });
    pages
        .try_flatten()
        .map_ok(move |entries| fetch(store, facet, entries))
        .try_buffered(FETCHES_AT_ONCE)
        .map_ok(|releases| stream::iter(releases.into_iter().map(Ok)))
        .try_flatten()
}

fn fetches(entries: Vec<ReleaseEntry>) -> Vec<Vec<ReleaseEntry>> {
    let mut fetches: Vec<Vec<ReleaseEntry>> = Vec::new();
    let mut bytes = 0;
    for entry in entries {
        let packed = entry.lengths.packed(Verbosity::Detailed);
        bytes += packed;
        match fetches.last_mut() {
            Some(fetch) if bytes <= MAX_PACKED_BYTES_A_FETCH && fetch.len() < MAX_RELEASES_A_FETCH => {
                fetch.push(entry);
            }
            _ => {
                bytes = packed;
                fetches.push(vec![entry]);
            }
        }
    }
    fetches
}

async fn fetch(store: &Store, facet: &Facet, entries: Vec<ReleaseEntry>) -> Result<Releases, StoreError> {
    let found = store.releases(facet, &entries, Verbosity::Detailed, &Usage::default()).await?;
    let ids = entries.iter().map(|entry| entry.position.id().to_owned());
    Ok(ids.zip(found).filter_map(|(id, release)| Some((id, release?))).collect())
}

fn artifacts<'a>(
    store: &'a Store,
    wanted: &WantedArtifacts,
) -> stream::LocalBoxStream<'a, Result<StoredArtifact, StoreError>> {
    match wanted {
        WantedArtifacts::OfImage(image) => store.artifacts_of_image(image).boxed_local(),
        WantedArtifacts::All => {
            let segments =
                (0..SCAN_SEGMENTS).map(|segment| store.artifacts_of_segment(segment).boxed_local());
            stream::select_all(segments).boxed_local()
        }
    }
}
