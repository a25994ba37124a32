//! Facet entries, worked out anew from the stored documents.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use delivery_center::store::{Mode, Outcome, SCAN_SEGMENTS, Settled, Store, StoreError};

use crate::patience::Patience;

/// How many releases of a segment are looked at side by side.
const RELEASES_AT_ONCE: usize = 4;
/// How long a release that keeps changing is read anew.
const PATIENCE: Duration = Duration::from_mins(1);

/// What became of the releases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Releases looked at.
    pub releases: u64,
    /// Those of them whose entries were not as they should be.
    pub changed: u64,
    /// Entries written or removed.
    pub entries: u64,
    /// Ids of which there were entries and no release.
    pub dangling: u64,
    /// Releases that could not be read.
    pub unreadable: u64,
}

/// What a reindex tells while it runs.
pub trait Progress {
    /// A release could not be read.
    fn unreadable(&self, reason: &str);
    /// One more was looked at.
    fn done(&self);
}

/// Settles the facet entries of every release.
///
/// # Errors
/// The table's; running it again completes it.
pub async fn reindex(store: &Store, mode: Mode, progress: &dyn Progress) -> Result<Summary, StoreError> {
    let segments = (0..SCAN_SEGMENTS).map(|segment| reindex_segment(store, segment, mode, progress));
    let summaries: Vec<_> = stream::iter(segments).buffer_unordered(4).try_collect().await?;
    Ok(summaries.into_iter().fold(Summary::default(), |sum, part: Summary| Summary {
        releases: sum.releases + part.releases,
        changed: sum.changed + part.changed,
        entries: sum.entries + part.entries,
        dangling: sum.dangling + part.dangling,
        unreadable: sum.unreadable + part.unreadable,
    }))
}

async fn reindex_segment(
    store: &Store,
    segment: i32,
    mode: Mode,
    progress: &dyn Progress,
) -> Result<Summary, StoreError> {
    let mut summary = Summary::default();
    let mut start = None;
    let mut last_id = String::new();
    loop {
        let (mut ids, next) = store.scan_release_ids(segment, start).await?;
        // A page may end amid a release's entries.
        ids.retain(|id| *id != last_id);
        if let Some(id) = ids.last() {
            last_id.clone_from(id);
        }
        let mut settled = stream::iter(ids)
            .map(|id| async move { settled_or_unreadable(store, &id, mode).await })
            .buffer_unordered(RELEASES_AT_ONCE);
        while let Some(settled) = settled.try_next().await? {
            summary.count(&settled, progress);
        }
        drop(settled);
        start = next;
        if start.is_none() {
            return Ok(summary);
        }
    }
}

impl Summary {
    fn count(&mut self, settled: &Result<Reindexed, String>, progress: &dyn Progress) {
        progress.done();
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
            Err(reason) => {
                self.unreadable += 1;
                progress.unreadable(reason);
            }
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

/// Settles one release, or tells why it cannot be read.
async fn settled_or_unreadable(
    store: &Store,
    release_id: &str,
    mode: Mode,
) -> Result<Result<Reindexed, String>, StoreError> {
    let mut patience = Patience::new(PATIENCE);
    loop {
        let error = match settle(store, release_id, mode).await {
            Ok(Some(reindexed)) => return Ok(Ok(reindexed)),
            Ok(None) => store.releases_changed(),
            Err(error @ StoreError::UnreadableRecord { .. }) => return Ok(Err(error.to_string())),
            Err(error) if error.is_unavailable() => error,
            Err(error) => return Err(error),
        };
        if !patience.wait().await {
            return Err(error);
        }
    }
}

/// Settles one release, and stores it anew where it would be stored in another form today; `None` where it changed meanwhile.
async fn settle(store: &Store, release_id: &str, mode: Mode) -> Result<Option<Reindexed>, StoreError> {
    Ok(match store.settle_release(release_id, mode).await? {
        Settled::Entries(entries) => Some(Reindexed::Release(entries)),
        Settled::EntriesOfAnOlderForm(_, packed) => {
            let outcomes = store.put_releases(std::slice::from_ref(&*packed), mode).await?;
            let changed = outcomes.iter().filter(|outcome| **outcome == Outcome::Stored).count();
            Some(Reindexed::Release(changed))
        }
        Settled::Dangling(entries) => Some(Reindexed::Dangling(entries)),
        Settled::Changed => None,
    })
}
