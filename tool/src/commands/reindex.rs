//! `reindex`: works out anew, from the stored documents, the items by which records are found.

use delivery_center::store::StoreError;
use futures_util::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use indicatif::ProgressBar;

use super::exit_status::Ended;
use super::{aws, terminal};
use crate::retries::{CONTENDED_RECORD, Patience};
use crate::write::{
    ArtifactEntry, ArtifactScan, Mended, Mode, Reindexed, ReleaseScan, SCAN_SEGMENTS, Writer,
};

/// How many records are looked at side by side.
const RECORDS_AT_ONCE: usize = 16;

/// Mend the items by which releases and artifacts are found, and remove what is left of records that are
/// gone.
///
/// It works these items out anew from the stored documents. Run it when a newer version finds records in more
/// ways, or when items were damaged. It may run beside imports and recordings, and it writes nothing where
/// everything is as it should be. If it is interrupted, run it again.
#[derive(clap::Args)]
pub(super) struct ReindexArguments {
    /// Say what would be changed, but write nothing.
    #[arg(long)]
    dry_run: bool,
}

/// What became of the records.
#[derive(Debug, Clone, Copy, Default)]
struct ReindexCounts {
    /// Releases looked at.
    releases: u64,
    /// Those of them that were not as they should be.
    releases_changed: u64,
    /// Artifacts looked at.
    artifacts: u64,
    /// Those of them that were not as they should be.
    artifacts_changed: u64,
    /// Items of releases that were written or removed.
    items: u64,
    /// Items that were left of records that are gone, and were removed.
    removed: u64,
    /// Records that could not be read.
    unreadable: u64,
}

pub(super) async fn run(arguments: ReindexArguments) -> anyhow::Result<Ended> {
    let writer = aws::writer().await?;
    let bar = terminal::counter("records");
    let mode = if arguments.dry_run { Mode::DryRun } else { Mode::Write };
    let mut counts = ReindexCounts::default();
    let reindexed = match reindex_releases(&writer, mode, &bar, &mut counts).await {
        Ok(()) => reindex_artifacts(&writer, mode, &bar, &mut counts).await,
        Err(error) => Err(error),
    };
    bar.finish_and_clear();
    reindexed?;
    if arguments.dry_run {
        terminal::print("dry run, nothing was written; a reindex would say:")?;
    }
    let ReindexCounts { releases, releases_changed, items, .. } = counts;
    terminal::print(format_args!("releases {releases}, changed {releases_changed}, items changed {items}"))?;
    let ReindexCounts { artifacts, artifacts_changed, removed, unreadable, .. } = counts;
    terminal::print(format_args!("artifacts {artifacts}, changed {artifacts_changed}"))?;
    if removed > 0 {
        terminal::print(format_args!("items left of records that are gone, removed: {removed}"))?;
    }
    if unreadable > 0 {
        terminal::print(format_args!("records that cannot be read: {unreadable}"))?;
    }
    Ok(if unreadable == 0 { Ended::Well } else { Ended::NotWell })
}

/// Mends every release: its items are brought to what its documents ask for.
async fn reindex_releases(
    writer: &Writer,
    mode: Mode,
    bar: &ProgressBar,
    counts: &mut ReindexCounts,
) -> Result<(), StoreError> {
    let segments = (0..SCAN_SEGMENTS).map(|segment| release_ids(writer, segment).boxed_local());
    let mut reindexed = stream::select_all(segments)
        .map_ok(|release_id| async move {
            tolerate_unreadable(async || writer.reindex_release(&release_id, mode).await).await
        })
        .try_buffer_unordered(RECORDS_AT_ONCE);
    while let Some(reindexed) = reindexed.try_next().await? {
        match reindexed {
            Ok(Reindexed::Release(items)) => {
                counts.releases += 1;
                counts.releases_changed += u64::from(items > 0);
                counts.items += items as u64;
            }
            Ok(Reindexed::Dangling(items)) => counts.removed += items as u64,
            Err(unreadable) => tell_unreadable(&unreadable, bar, counts),
        }
        bar.inc(1);
    }
    Ok(())
}

/// Mends the artifacts, and what lies beside them.
async fn reindex_artifacts(
    writer: &Writer,
    mode: Mode,
    bar: &ProgressBar,
    counts: &mut ReindexCounts,
) -> Result<(), StoreError> {
    let segments = (0..SCAN_SEGMENTS).map(|segment| artifact_entries(writer, segment).boxed_local());
    let mut mended = stream::select_all(segments)
        .map_ok(|entry| async move {
            let mended =
                tolerate_unreadable(async || match writer.mend_artifact_entry(&entry, mode).await? {
                    Mended::Overtaken => Err(writer.artifacts_changed()),
                    mended => Ok(mended),
                });
            Ok((entry.is_artifact(), mended.await?))
        })
        .try_buffer_unordered(RECORDS_AT_ONCE);
    while let Some((is_artifact, mended)) = mended.try_next().await? {
        counts.artifacts += u64::from(is_artifact);
        match mended {
            Ok(Mended::Unchanged | Mended::Overtaken) => {}
            Ok(Mended::Artifact) => counts.artifacts_changed += 1,
            Ok(Mended::Removed(items)) => counts.removed += items as u64,
            Err(unreadable) => tell_unreadable(&unreadable, bar, counts),
        }
        if is_artifact {
            bar.inc(1);
        }
    }
    Ok(())
}

fn tell_unreadable(unreadable: &StoreError, bar: &ProgressBar, counts: &mut ReindexCounts) {
    counts.unreadable += 1;
    bar.suspend(|| terminal::say(format_args!("unreadable {unreadable}")));
}

/// The ids of all releases that have an item in a segment of the table, each once.
fn release_ids(writer: &Writer, segment: i32) -> impl Stream<Item = Result<String, StoreError>> {
    /// Where the next page begins, and the last id before it. The next page may begin with further items of
    /// that id.
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
        let (mut ids, next) = writer.scan_release_ids(segment, scanned.start).await?;
        ids.retain(|id| *id != scanned.last_id);
        let last_id = ids.last().cloned().unwrap_or(scanned.last_id);
        let scanned = Scanned { is_at_the_end: next.is_none(), start: next, last_id };
        Ok::<_, StoreError>(Some((stream::iter(ids.into_iter().map(Ok)), scanned)))
    });
    pages.try_flatten()
}

/// The keys of all items in a segment of the table of artifacts.
fn artifact_entries(writer: &Writer, segment: i32) -> impl Stream<Item = Result<ArtifactEntry, StoreError>> {
    /// Which page is read next.
    enum Next {
        First,
        Page(ArtifactScan),
        None,
    }
    let pages = stream::try_unfold(Next::First, move |next| async move {
        let start = match next {
            Next::First => None,
            Next::Page(start) => Some(start),
            Next::None => return Ok(None),
        };
        let (entries, next) = writer.scan_artifact_entries(segment, start).await?;
        let next = next.map_or(Next::None, Next::Page);
        Ok::<_, StoreError>(Some((stream::iter(entries.into_iter().map(Ok)), next)))
    });
    pages.try_flatten()
}

/// Looks at one record. If just that record cannot be read, this is `Ok(Err(…))`, so that the others can be
/// looked at. It is tried again while others change the record, and while the table is unavailable.
pub(super) async fn tolerate_unreadable<T>(
    look: impl AsyncFn() -> Result<T, StoreError>,
) -> Result<Result<T, StoreError>, StoreError> {
    let mut patience = Patience::new(CONTENDED_RECORD);
    loop {
        match look().await {
            Err(error @ StoreError::UnreadableRecord { .. }) => return Ok(Err(error)),
            Err(error) if error.is_unavailable() && patience.wait().await => {}
            looked => return looked.map(Ok),
        }
    }
}
