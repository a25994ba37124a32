//! `reindex`: works out anew, from the stored documents, the items by which records are found.

use delivery_center::store::StoreError;
use futures_util::stream::TryStreamExt as _;
use indicatif::ProgressBar;

use super::exit_status::Ended;
use super::{aws, terminal};
use crate::retries::{CONTENDED_RECORD, Patience};
use crate::write::{Mended, Mode, Reindexed, Writer};

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
    let mut reindexed = writer
        .release_ids()
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
    let mut mended = writer
        .artifact_entries()
        .map_ok(|entry| async move {
            let mended =
                tolerate_unreadable(async || match writer.mend_artifact_entry(&entry, mode).await? {
                    Mended::Overtaken => Err(writer.artifacts_changed()),
                    mended => Ok(mended),
                });
            Ok((entry.position.is_some(), mended.await?))
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

/// Looks at one record. If just that record cannot be read, this is `Ok(Err(…))`, so that the others can be
/// looked at. It is tried again while others change the record, and while the table is unavailable.
pub(super) async fn tolerate_unreadable<T>(
    look: impl AsyncFn() -> Result<T, StoreError>,
) -> Result<Result<T, StoreError>, StoreError> {
    let mut patience = Patience::new(CONTENDED_RECORD);
    loop {
        match look().await {
            Err(error @ (StoreError::UnreadableRecord { .. } | StoreError::Unstorable { .. })) => {
                return Ok(Err(error));
            }
            Err(error) if error.is_unavailable() && patience.wait().await => {}
            looked => return looked.map(Ok),
        }
    }
}
