//! Settles a release's facet entries: those that its document asks for, and no others.
//!
//! Every write is under the condition that the release is still the one that the entries were worked out from, so that
//! it is safe beside imports and recordings.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::builders::ConditionCheckBuilder;
use aws_sdk_dynamodb::types::{ConditionCheck, WriteRequest};

use super::packing::{PackedRelease, facet_items, facets};
use super::partition::Described;
use crate::record::Record;
use crate::store::batch_write::{Mode, delete, put};
use crate::store::error::StoreError;
use crate::store::items::{Attributes, Item, Subject, text};
use crate::store::keys::{FACET_PREFIX, RELEASE_ENTRY, release_key};
use crate::store::transaction::{Written, check_in_transaction, in_transaction};
use crate::store::{Store, Unstorable};

/// What one transaction takes of entries, but for the condition on the release: DynamoDB takes a hundred writes, and older
/// implementations of it ten.
const MAX_ENTRIES_A_TRANSACTION: usize = 9;

/// What became of a release's facet entries.
#[derive(Debug, Clone)]
pub enum Settled {
    /// So many of them were written or removed; 0 where all were as they should be.
    Entries(usize),
    /// The same; and today the release would be stored in the form that is given here.
    EntriesOfAnOlderForm(usize, Box<PackedRelease>),
    /// There is no such release; so many entries of it were removed.
    Dangling(usize),
    /// The release changed meanwhile: read it again.
    Changed,
}

impl Store {
    /// Settles the facet entries of a release, whatever it is by now.
    ///
    /// # Errors
    /// The table's, and a release that cannot be read; settling again completes it.
    pub async fn settle_release(&self, release_id: &str, mode: Mode) -> Result<Settled, StoreError> {
        let Some(current) = self.current_release(release_id).await? else {
            return self.remove_facets(release_id, mode).await;
        };
        let unreadable = |reason: String| {
            let release = Attributes::new(Item::new(), &self.releases_table, Subject::Release(release_id));
            release.unreadable(reason)
        };
        let release = match Record::check(current.json.as_bytes()) {
            Ok(Record::Release(release)) => release,
            Ok(Record::Artifact(_)) => return Err(unreadable("it is stored as an artifact".to_owned())),
            Err(problem) => return Err(unreadable(problem.to_string())),
        };
        let unstorable = |reason: Unstorable| unreadable(reason.to_string());
        let wanted = facet_items(&facets(&release).map_err(unstorable)?, &current.entry);
        let stored = self.stored_entries(release_id).await?;
        let is_stored =
            |entry: &str, item: &Item| stored.get(entry).is_some_and(|stored| *stored == Described::of(item));
        let missing = wanted.iter().filter(|(entry, item)| !is_stored(entry, item));
        let foreign = facets_of(&stored).filter(|entry| !wanted.contains_key(*entry));
        let writes: Vec<_> = missing
            .map(|(_, item)| put(item.clone()))
            .chain(foreign.map(|entry| delete(release_key(release_id, entry))))
            .collect();
        let condition = self.is_at_revision(release_id, Some(&current.entry.revision));
        let Some(entries) = self.write_entries(writes, condition, mode).await? else {
            return Ok(Settled::Changed);
        };
        let packed = PackedRelease::new(&release).map_err(unstorable)?;
        Ok(if packed.revision() == Some(current.entry.revision.as_str()) {
            Settled::Entries(entries)
        } else {
            Settled::EntriesOfAnOlderForm(entries, Box::new(packed))
        })
    }

    /// Removes the facet entries of a release that is not there.
    async fn remove_facets(&self, release_id: &str, mode: Mode) -> Result<Settled, StoreError> {
        let stored = self.stored_entries(release_id).await?;
        let writes = facets_of(&stored).map(|entry| delete(release_key(release_id, entry))).collect();
        let removed = self.write_entries(writes, self.is_at_revision(release_id, None), mode).await?;
        Ok(removed.map_or(Settled::Changed, Settled::Dangling))
    }

    /// The condition that a release is stored at a revision, or is not there.
    pub(super) fn is_at_revision(&self, release_id: &str, revision: Option<&str>) -> ConditionCheckBuilder {
        let condition = ConditionCheck::builder()
            .table_name(&self.releases_table)
            .set_key(Some(release_key(release_id, RELEASE_ENTRY)));
        match revision {
            Some(revision) => condition
                .condition_expression("revision = :revision")
                .expression_attribute_values(":revision", text(revision)),
            None => condition.condition_expression("attribute_not_exists(release_id)"),
        }
    }

    /// Writes entries of a release while a condition on it holds, and returns how many; `None` where it ceased to hold.
    pub(super) async fn write_entries(
        &self,
        writes: Vec<WriteRequest>,
        condition: ConditionCheckBuilder,
        mode: Mode,
    ) -> Result<Option<usize>, StoreError> {
        let table = self.releases_table.as_str();
        if mode == Mode::DryRun {
            return Ok(Some(writes.len()));
        }
        let condition = condition.build().expect("a table, a key and a condition are given");
        for entries in writes.chunks(MAX_ENTRIES_A_TRANSACTION) {
            let entries = entries.iter().filter_map(|entry| in_transaction(table, entry));
            let items = std::iter::once(check_in_transaction(condition.clone())).chain(entries).collect();
            match self.transact(table, items).await? {
                Written::Done => {}
                Written::Changed | Written::AlreadyThere | Written::TooLarge => return Ok(None),
            }
        }
        Ok(Some(writes.len()))
    }
}

fn facets_of(stored: &HashMap<String, Described>) -> impl Iterator<Item = &String> {
    stored.keys().filter(|entry| entry.starts_with(FACET_PREFIX))
}
