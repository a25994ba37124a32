//! Reads one release by its id, consistently.

use delivery_center::store::items::{Attributes, Item, Subject, entry_of};
use delivery_center::store::keys::{RELEASE_ENTRY, release_key};
use delivery_center::store::releases::{entry_in, is_without_documents, take_release};
use delivery_center::store::{ReleaseEntry, StoreError, Unavailability, Usage, projected};

use crate::write::Writer;

/// A release as the table has it, read consistently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentRelease {
    /// The whole release, as it is answered.
    pub json: String,
    /// Where it stands, and the revision and lengths of its documents.
    pub entry: ReleaseEntry,
}

impl Writer {
    /// Reads a release by its id, consistently; `None` where there is no such release.
    ///
    /// # Errors
    /// DynamoDB fails or refuses the request, or the release cannot be read.
    pub async fn current_release(&self, release_id: &str) -> Result<Option<CurrentRelease>, StoreError> {
        let table = self.releases_table.as_str();
        let usage = Usage::default();
        let described = "#position, revision, lengths, writer";
        let request = projected(vec![release_key(release_id, RELEASE_ENTRY)], described, true);
        let Some(item) = self.store.batch_get(table, request, &usage).await?.pop() else { return Ok(None) };
        let mut release = Attributes::new(item, table, Subject::Release(release_id));
        if is_without_documents(&release) {
            return Ok(None);
        }
        let entry = entry_in(&mut release)?;
        let release = self.store.documents_of(&entry, &usage).await?;
        let release =
            release.ok_or_else(|| StoreError::unavailable(table, Unavailability::ChangesTooFast))?;
        let unreadable = |spoiled| self.store.unreadable_release(release_id, spoiled);
        Ok(Some(CurrentRelease { json: release.json().map_err(unreadable)?, entry }))
    }

    /// The JSON of a release that the items of its partition hold; `None` where they do not hold it whole.
    pub(in crate::write) fn release_in(
        &self,
        release_id: &str,
        items: impl Iterator<Item = Item>,
    ) -> Option<String> {
        let table = self.releases_table.as_str();
        let items: Vec<_> = items.collect();
        let item = items.iter().find(|item| entry_of(item) == RELEASE_ENTRY)?.clone();
        let entry = entry_in(&mut Attributes::new(item, table, Subject::Release(release_id))).ok()?;
        take_release(items, &entry, table).ok()??.json().ok()
    }
}
