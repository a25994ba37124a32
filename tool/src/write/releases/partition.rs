//! Reads what is stored of one release, and the ids of all releases.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use delivery_center::store::items::{Item, entry_of};
use delivery_center::store::keys::{RELEASE_ENTRY, RELEASE_HASH};
use delivery_center::store::{ItemsPage, StoreError};

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

/// Where a scan of the releases goes on.
#[derive(Debug, Clone)]
pub struct ReleaseScan(Item);

impl Writer {
    /// What is stored of a release.
    pub(super) async fn partition(&self, release_id: &str) -> Result<Partition, StoreError> {
        let projection = "release_id, #entry, facet, #position, revision, lengths, terms, commits, writer";
        let items =
            self.partition_of(&self.releases_table, RELEASE_HASH, release_id, Some(projection)).await?;
        let mut entries: BTreeMap<_, _> = items.into_iter().map(|item| (entry_of(&item), item)).collect();
        Ok(Partition { item: entries.remove(RELEASE_ENTRY), entries })
    }

    /// One page of the release ids in a segment of the table, and where the next page begins.
    ///
    /// An id is found as long as any item of its release is left. The last id of a page may come again as the
    /// first of the next page.
    ///
    /// # Errors
    /// DynamoDB fails, or refuses the request.
    pub async fn scan_release_ids(
        &self,
        segment: i32,
        start: Option<ReleaseScan>,
    ) -> Result<(Vec<String>, Option<ReleaseScan>), StoreError> {
        let scan = self
            .scan_of_segment(segment, start.map(|ReleaseScan(start)| start))
            .projection_expression("release_id");
        let ItemsPage { items, next } = self.scan_page(&self.releases_table, scan).await?;
        let ids = items.into_iter().filter_map(|mut item| match item.remove("release_id") {
            Some(AttributeValue::S(release_id)) => Some(release_id),
            _ => None,
        });
        let mut ids: Vec<_> = ids.collect();
        // The entries of one release are neighbours.
        ids.dedup();
        Ok((ids, next.map(ReleaseScan)))
    }
}
