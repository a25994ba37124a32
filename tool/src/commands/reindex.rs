//! `reindex`: facet entries, worked out anew from the stored documents.

use std::time::Duration;

use delivery_center::store::{Mode, Outcome, ReleaseScan, SCAN_SEGMENTS, Settled, Store, StoreError};
use futures_util::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use indicatif::ProgressBar;

use super::exit_status::Ended;
use super::{aws, terminal};
use crate::patience::Patience;

/// How many releases are looked at side by side.
const RELEASES_AT_ONCE: usize = 16;
/// How long a release that keeps changing is read anew.
const PATIENCE: Duration = Duration::from_mins(1);

/// Work out anew under which filters every release is found, and mend what differs.
///
/// For when facets were added by a newer version, or entries were damaged. It may run beside imports and recordings,
/// and writes nothing where all is as it should be.
#[derive(clap::Args)]
pub(super) struct ReindexArguments {
    /// Tell what would be changed, but write nothing.
    #[arg(long)]
    dry_run: bool,
}

/// What became of the releases.
#[derive(Debug, Clone, Copy, Default)]
struct ReindexCounts {
    /// Releases looked at.
    releases: u64,
    /// Those of them whose entries were not as they should be.
    changed: u64,
    /// Entries written or removed.
    entries: u64,
    /// Ids of which there were entries and no release.
    dangling: u64,
    /// Releases that could not be read.
    unreadable: u64,
}

pub(super) async fn run(arguments: ReindexArguments) -> anyhow::Result<Ended> {
    let store = aws::store().await?;
    let bar = terminal::counter("releases");
    let mode = if arguments.dry_run { Mode::DryRun } else { Mode::Write };
    let reindexed = reindex(&store, mode, &bar).await;
    bar.finish_and_clear();
    let ReindexCounts { releases, changed, entries, dangling, unreadable } = reindexed?;
    if arguments.dry_run {
        terminal::print("dry run, nothing was written; a reindex would say:")?;
    }
    terminal::print(format_args!(
        "releases {releases}, changed {changed}, entries changed {entries}, unreadable {unreadable}"
    ))?;
    if dangling > 0 {
        terminal::print(format_args!(
            "releases that are gone, and whose entries were left behind and are removed: {dangling}"
        ))?;
    }
    Ok(if unreadable == 0 { Ended::Well } else { Ended::WithRefusals })
}

/// Settles the facet entries of every release.
async fn reindex(store: &Store, mode: Mode, bar: &ProgressBar) -> Result<ReindexCounts, StoreError> {
    let segments = (0..SCAN_SEGMENTS).map(|segment| release_ids(store, segment).boxed_local());
    let mut settled = stream::select_all(segments)
        .map_ok(|release_id| settled_or_unreadable(store, release_id, mode))
        .try_buffer_unordered(RELEASES_AT_ONCE);
    let mut counts = ReindexCounts::default();
    while let Some(settled) = settled.try_next().await? {
        counts.count(&settled);
        if let Err(unreadable) = &settled {
            bar.suspend(|| eprintln!("unreadable {unreadable}"));
        }
        bar.inc(1);
    }
    Ok(counts)
}

/// The ids of which a segment of the table holds anything, each once.
fn release_ids(store: &Store, segment: i32) -> impl Stream<Item = Result<String, StoreError>> {
    /// Where the next page begins, and the last id before it, with which it may begin too.
    #[derive(Default)]
    struct Scanned {
        start: Option<ReleaseScan>,
        last_id: String,
        is_at_the_end: bool,
    }
    let pages = stream::try_unfold(Scanned::default(), move |scanned| async move {
        if scanned.is_at_the_end {
            return Ok(None);
        }
        let (mut ids, next) = store.scan_release_ids(segment, scanned.start).await?;
        ids.retain(|id| *id != scanned.last_id);
        let last_id = ids.last().cloned().unwrap_or(scanned.last_id);
        let scanned = Scanned { is_at_the_end: next.is_none(), start: next, last_id };
        Ok::<_, StoreError>(Some((stream::iter(ids.into_iter().map(Ok)), scanned)))
    });
    pages.try_flatten()
}

impl ReindexCounts {
    fn count(&mut self, settled: &Result<Reindexed, StoreError>) {
        match settled {
            Ok(Reindexed::Release(entries)) => {
                self.releases += 1;
                self.changed += u64::from(*entries > 0);
                self.entries += *entries as u64;
            }
            Ok(Reindexed::Dangling(entries)) => {
                self.dangling += u64::from(*entries > 0);
                self.entries += *entries as u64;
            }
            Err(_) => self.unreadable += 1,
        }
    }
}

/// What became of one release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reindexed {
    /// So many entries were changed.
    Release(usize),
    /// There is no such release; so many entries of it were removed.
    Dangling(usize),
}

/// Settles one release, or tells why it alone cannot be read.
async fn settled_or_unreadable(
    store: &Store,
    release_id: String,
    mode: Mode,
) -> Result<Result<Reindexed, StoreError>, StoreError> {
    let mut patience = Patience::new(PATIENCE);
    loop {
        match settle(store, &release_id, mode).await {
            Err(error @ StoreError::UnreadableRecord { .. }) => return Ok(Err(error)),
            Err(error) if error.is_unavailable() && patience.wait().await => {}
            settled => return settled.map(Ok),
        }
    }
}

/// Settles one release, and stores it anew where it would be stored in another form today.
async fn settle(store: &Store, release_id: &str, mode: Mode) -> Result<Reindexed, StoreError> {
    match store.settle_release(release_id, mode).await? {
        Settled::Entries(entries) => Ok(Reindexed::Release(entries)),
        Settled::EntriesOfAnOlderForm(_, packed) => {
            let outcomes = store.put_releases(std::slice::from_ref(&*packed), mode).await?;
            let changed = outcomes.iter().filter(|outcome| **outcome == Outcome::Stored).count();
            Ok(Reindexed::Release(changed))
        }
        Settled::Dangling(entries) => Ok(Reindexed::Dangling(entries)),
        Settled::Changed => Err(store.releases_changed()),
    }
}
