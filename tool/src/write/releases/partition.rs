//! Reads what is stored of one release, and the ids of all releases.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use delivery_center::store::items::{Item, entry_of, reserved_names, text};
use delivery_center::store::keys::{RELEASE_ENTRY, WRITER};
use delivery_center::store::{ItemsPage, StoreError, Unavailability};

use crate::write::Writer;
use crate::write::transaction::Condition;

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

    /// The condition that the release's item is the one that was read.
    pub(super) fn condition(&self) -> Condition {
        let Some(item) = &self.item else { return Condition::Absent };
        match item.get(WRITER).and_then(|writer| writer.as_s().ok()) {
            Some(writer) => Condition::Has(WRITER, writer.clone()),
            None => Condition::Lacks(WRITER),
        }
    }
}

/// Where a scan of the releases goes on.
#[derive(Debug, Clone)]
pub struct ReleaseScan(Item);

impl Writer {
    /// All items of a release, read consistently; only the attributes in `projection`, where there is one.
    pub(in crate::write) async fn release_partition(
        &self,
        release_id: &str,
        projection: Option<&str>,
    ) -> Result<Vec<Item>, StoreError> {
        let table = self.releases_table.as_str();
        let (mut items, mut start) = (Vec::new(), None);
        loop {
            let query = self
                .client
                .query()
                .table_name(table)
                .consistent_read(true)
                .key_condition_expression("release_id = :release_id")
                .expression_attribute_values(":release_id", text(release_id))
                .set_projection_expression(projection.map(str::to_owned))
                .set_expression_attribute_names(projection.and_then(reserved_names))
                .set_exclusive_start_key(start);
            let sent = query.send().await;
            let output = sent.map_err(|error| StoreError::from_sdk(table, error))?;
            let Some(found) = output.items else {
                return Err(StoreError::unavailable(table, Unavailability::UnreadableAnswer));
            };
            items.extend(found);
            start = output.last_evaluated_key;
            if start.is_none() {
                return Ok(items);
            }
        }
    }

    /// What is stored of a release.
    pub(super) async fn partition(&self, release_id: &str) -> Result<Partition, StoreError> {
        let projection = "release_id, #entry, facet, #position, revision, lengths, terms, commits, writer";
        let items = self.release_partition(release_id, Some(projection)).await?;
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
