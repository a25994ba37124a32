//! Reads one release by its id, consistently.

use delivery_center::store::items::{Attributes, Item, Subject, entry_of};
use delivery_center::store::keys::{RELEASE_ENTRY, release_key};
use delivery_center::store::releases::{entry_in, is_without_documents, take_release};
use delivery_center::store::{ReleaseEntry, StoreError, Unavailability, Usage, Verbosity, projected};

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
        let release = self.store.documents_of(&entry, Verbosity::Detailed, &usage).await?;
        let release =
            release.ok_or_else(|| StoreError::unavailable(table, Unavailability::ChangesTooFast))?;
        let unreadable = |spoiled| self.store.unreadable_release(release_id, spoiled);
        let mut json = release.brief.unpack().map_err(unreadable)?;
        if let Some(rest) = &release.rest {
            json.push_str(&rest.unpack().map_err(unreadable)?);
        }
        Ok(Some(CurrentRelease { json, entry }))
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
        let release = take_release(items, &entry, Verbosity::Detailed, table).ok()??;
        Some(release.brief.unpack().ok()? + &release.rest?.unpack().ok()?)
    }
}
