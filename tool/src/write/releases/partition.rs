//! Reads what is stored of one release, and the ids of all releases.

use std::collections::BTreeMap;

use delivery_center::store::StoreError;
use delivery_center::store::items::{Item, entry_of};
use delivery_center::store::keys::{RELEASE_ENTRY, RELEASE_HASH};

use crate::write::Writer;

/// What is stored of one release, read consistently. The items are without documents.
#[derive(Debug, Default)]
pub(super) struct Partition {
    /// The release's item.
    pub(super) item: Option<Item>,
    /// The other items, by range key.
    pub(super) entries: BTreeMap<String, Item>,
}

impl Partition {
    /// The revision of the release's documents; `None` where it has none.
    pub(super) fn revision(&self) -> Option<&str> {
        self.item.as_ref()?.get("revision")?.as_s().ok().map(String::as_str)
    }
}

impl Writer {
    /// What is stored of a release.
    pub(super) async fn partition(&self, release_id: &str) -> Result<Partition, StoreError> {
        let projection = "release_id, #entry, facet, #position, revision, lengths, terms, commits, writer";
        let items =
            self.partition_of(&self.releases_table, RELEASE_HASH, release_id, Some(projection)).await?;
        let mut entries: BTreeMap<_, _> = items.into_iter().map(|item| (entry_of(&item), item)).collect();
        Ok(Partition { item: entries.remove(RELEASE_ENTRY), entries })
    }
}
