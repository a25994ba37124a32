//! Writes releases: parts, then the release, then its facet entries, then the removal of what no longer holds.
//!
//! In that order a reader never meets an entry whose document is missing, and writing again heals what was interrupted.
//! Several may write one release at the same moment: the release's item is written, and parts are removed, only under the
//! condition that nobody else replaced it meanwhile; where somebody did, the writer begins anew. When it is done it reads
//! its partition again, and where another has replaced the release since, it settles the entries that both may have
//! written. So the last one to replace the release has written all of it.

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, WriteRequest};
use backon::BackoffBuilder as _;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::packing::PackedRelease;
use super::partition::Described;
use super::settling::Settled;
use crate::store::Store;
use crate::store::batch_write::{CONTENDED_RECORD, Mode, Outcome, delete, put};
use crate::store::error::{StoreError, Unavailability};
use crate::store::items::{Item, text};
use crate::store::keys::{PART_PREFIX, RELEASE_ENTRY, release_key};
use crate::store::transaction::Written;

/// How many releases' stored entries are read side by side.
const MAX_QUERIES_AT_ONCE: usize = 16;

/// What turns a release's stored entries into the wanted ones, by the step in which it is written.
#[derive(Default)]
struct Changes {
    /// What becomes of the release's item.
    release: ItemChange,
    /// The revision that the release's item had: `None` where there was no item, or no revision in it.
    replaced: Option<String>,
    was_there: bool,
    parts: Vec<WriteRequest>,
    facets: Vec<WriteRequest>,
    removed_facets: Vec<WriteRequest>,
    removed_parts: Vec<WriteRequest>,
}

#[derive(Default)]
enum ItemChange {
    #[default]
    None,
    Put(Item),
    Delete,
}

/// The two moments at which a release's item is changed.
#[derive(Clone, Copy)]
enum ItemStep {
    /// Before the facet entries that name it.
    Put,
    /// After those.
    Delete,
}

impl Store {
    /// Stores releases, each wholly: what their partitions held before and no longer holds is gone.
    ///
    /// No two of them may have the same id.
    ///
    /// # Errors
    /// The table's; some of the releases may then be stored, and storing them again completes them.
    pub async fn put_releases(
        &self,
        releases: &[PackedRelease],
        mode: Mode,
    ) -> Result<Vec<Outcome>, StoreError> {
        let mut outcomes = vec![None; releases.len()];
        let mut pending: Vec<_> = (0..releases.len()).collect();
        let mut written = HashSet::new();
        let mut overtaken = Vec::new();
        let mut waits = CONTENDED_RECORD.build();
        for round in 0.. {
            // Of the second round nearly all is looking again at what the first one wrote.
            if round > 1 {
                let Some(wait) = waits.next() else { break };
                tokio::time::sleep(wait).await;
            }
            // An array of futures, and not a closure that makes them: the compiler cannot tell that those may be sent.
            let mut reads = Vec::with_capacity(pending.len());
            for index in &pending {
                reads.push(self.stored_entries(releases[*index].release_id()));
            }
            let stored: Vec<_> = stream::iter(reads).buffered(MAX_QUERIES_AT_ONCE).try_collect().await?;
            let mode = if round > 0 && mode == Mode::Rewrite { Mode::Write } else { mode };
            let mut changes = Vec::new();
            for (index, stored) in pending.drain(..).zip(&stored) {
                let release = &releases[index];
                let change = Changes::between(release, stored, mode);
                if written.contains(&index) && !matches!(change.release, ItemChange::None) {
                    overtaken.push(release.release_id());
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
                    self.settle_until_quiet(release_id).await?;
                }
                return Ok(outcomes.into_iter().flatten().collect());
            }
            pending.extend(changes.iter().map(|(index, _)| *index));
            written.extend(self.write_changes(releases, changes).await?);
        }
        Err(self.releases_changed())
    }

    /// Settles the facet entries of a release that another has replaced.
    async fn settle_until_quiet(&self, release_id: &str) -> Result<(), StoreError> {
        let mut waits = CONTENDED_RECORD.build();
        loop {
            match self.settle_release(release_id, Mode::Write).await {
                Ok(Settled::Entries(_) | Settled::EntriesOfAnOlderForm(..) | Settled::Dangling(_)) => {
                    return Ok(());
                }
                // It was replaced once more while it was read: there is always one who does not meet that.
                Ok(Settled::Changed)
                | Err(StoreError::Unavailable { reason: Unavailability::ChangesTooFast, .. }) => {}
                Err(error) => return Err(error),
            }
            let Some(wait) = waits.next() else { return Err(self.releases_changed()) };
            tokio::time::sleep(wait).await;
        }
    }

    /// Writes changes in their steps, and returns of which releases it changed the item.
    async fn write_changes(
        &self,
        releases: &[PackedRelease],
        mut changes: Vec<(usize, Changes)>,
    ) -> Result<Vec<usize>, StoreError> {
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
            let condition = self.is_at_revision(release.release_id(), release.revision());
            // That another replaced the release meanwhile is met when the partition is read again.
            self.write_entries(change.removed_parts, condition, Mode::Write).await?;
        }
        Ok(written)
    }

    /// Changes the items of releases that nobody else changed meanwhile, and returns those.
    async fn change_items(
        &self,
        releases: &[PackedRelease],
        changes: Vec<(usize, Changes)>,
        step: ItemStep,
    ) -> Result<Vec<(usize, Changes)>, StoreError> {
        let mut attempts = Vec::with_capacity(changes.len());
        for (index, change) in changes {
            let release_id = releases[index].release_id().to_owned();
            attempts.push(async move {
                let is_won = self.change_item(&release_id, &change, step).await?;
                Ok::<_, StoreError>(is_won.then_some((index, change)))
            });
        }
        let won: Vec<_> = stream::iter(attempts).buffered(MAX_QUERIES_AT_ONCE).try_collect().await?;
        Ok(won.into_iter().flatten().collect())
    }

    async fn change_item(
        &self,
        release_id: &str,
        change: &Changes,
        step: ItemStep,
    ) -> Result<bool, StoreError> {
        let table = self.releases_table.as_str();
        let condition = match (&change.replaced, change.was_there) {
            (Some(_), _) => "revision = :replaced",
            (None, true) => "attribute_exists(release_id) AND attribute_not_exists(revision)",
            (None, false) => "attribute_not_exists(release_id)",
        };
        let values: Option<HashMap<String, AttributeValue>> = change
            .replaced
            .as_ref()
            .map(|replaced| HashMap::from([(":replaced".to_owned(), text(replaced))]));
        match (&change.release, step) {
            (ItemChange::Put(item), ItemStep::Put) => {
                let put = self.client.put_item().table_name(table).set_item(Some(item.clone()));
                let put = put.condition_expression(condition).set_expression_attribute_values(values);
                is_won(table, put.send().await, |error: &PutItemError| {
                    error.is_conditional_check_failed_exception() || error.is_transaction_conflict_exception()
                })
            }
            (ItemChange::Delete, ItemStep::Delete) => {
                let key = release_key(release_id, RELEASE_ENTRY);
                let delete = self.client.delete_item().table_name(table).set_key(Some(key));
                let delete = delete.condition_expression(condition).set_expression_attribute_values(values);
                is_won(table, delete.send().await, |error: &DeleteItemError| {
                    error.is_conditional_check_failed_exception() || error.is_transaction_conflict_exception()
                })
            }
            _ => Ok(true),
        }
    }

    /// Stores a release where there is none of its id. Its facets are still to be settled.
    ///
    /// # Errors
    /// The table's.
    pub async fn put_new_release(&self, release: &PackedRelease) -> Result<Written, StoreError> {
        let table = self.releases_table.as_str();
        let parts = release.items().iter().filter(|(entry, _)| entry.starts_with(PART_PREFIX));
        self.batch_write(table, parts.map(|(_, part)| put(part.clone())).collect()).await?;
        let sent = self
            .client
            .put_item()
            .table_name(table)
            .set_item(release.items().get(RELEASE_ENTRY).cloned())
            .condition_expression("attribute_not_exists(release_id)")
            .send()
            .await;
        match sent {
            Ok(_) => Ok(Written::Done),
            Err(error) => match error.as_service_error() {
                Some(refused) if refused.is_conditional_check_failed_exception() => Ok(Written::AlreadyThere),
                Some(refused) if refused.is_transaction_conflict_exception() => Ok(Written::Changed),
                _ => Err(StoreError::from_sdk(table, error)),
            },
        }
    }
}

/// Whether a write was made: it was not where its condition did not hold.
fn is_won<T, E>(
    table: &str,
    sent: Result<T, SdkError<E>>,
    is_lost: impl Fn(&E) -> bool,
) -> Result<bool, StoreError>
where
    E: std::error::Error + aws_sdk_dynamodb::error::ProvideErrorMetadata + Send + Sync + 'static,
{
    match sent {
        Ok(_) => Ok(true),
        Err(error) if error.as_service_error().is_some_and(is_lost) => Ok(false),
        Err(error) => Err(StoreError::from_sdk(table, error)),
    }
}

impl Changes {
    /// What turns the stored entries into the wanted ones.
    fn between(release: &PackedRelease, stored: &HashMap<String, Described>, mode: Mode) -> Self {
        let mut changes = Self {
            was_there: stored.contains_key(RELEASE_ENTRY),
            replaced: stored.get(RELEASE_ENTRY).and_then(|described| described.revision().map(str::to_owned)),
            ..Self::default()
        };
        let is_stored = |entry: &String, item: &Item| {
            mode != Mode::Rewrite && stored.get(entry).is_some_and(|stored| *stored == Described::of(item))
        };
        for (entry, item) in release.items().iter().filter(|(entry, item)| !is_stored(entry, item)) {
            match entry.as_str() {
                RELEASE_ENTRY => changes.release = ItemChange::Put(item.clone()),
                entry if entry.starts_with(PART_PREFIX) => changes.parts.push(put(item.clone())),
                _ => changes.facets.push(put(item.clone())),
            }
        }
        for entry in stored.keys().filter(|entry| !release.items().contains_key(*entry)) {
            let key = release_key(release.release_id(), entry);
            match entry.as_str() {
                RELEASE_ENTRY => changes.release = ItemChange::Delete,
                entry if entry.starts_with(PART_PREFIX) => changes.removed_parts.push(delete(key)),
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
