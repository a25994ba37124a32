//! What the partition of one release holds, and which partitions there are.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::store::error::{StoreError, Unavailability};
use crate::store::items::{Attributes, Item, Subject, reserved_names, text};
use crate::store::keys::{FACET_PREFIX, RELEASE_ENTRY};
use crate::store::{SCAN_SEGMENTS, Store};

/// What tells one state of an item from another: its facet, position, revision and lengths, as far as it has them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Described([Option<String>; 4]);

impl Described {
    pub(super) fn of(item: &Item) -> Self {
        Self(["facet", "position", "revision", "lengths"].map(|name| item.get(name)?.as_s().ok().cloned()))
    }

    pub(super) fn revision(&self) -> Option<&str> {
        self.0[2].as_deref()
    }
}

/// Where a scan of the releases goes on.
#[derive(Debug, Clone)]
pub struct ReleaseScan(Item);

impl Store {
    /// Everything that a release's partition holds, or what a projection names of it, read consistently.
    pub(in crate::store) async fn release_partition(
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

    /// What a release's partition holds: by entry, what describes it.
    pub(super) async fn stored_entries(
        &self,
        release_id: &str,
    ) -> Result<HashMap<String, Described>, StoreError> {
        let projection = "#entry, facet, #position, revision, lengths";
        let mut entries = HashMap::new();
        for item in self.release_partition(release_id, Some(projection)).await? {
            let described = Described::of(&item);
            let mut attributes = Attributes::new(item, &self.releases_table, Subject::Release(release_id));
            entries.insert(attributes.text("entry")?, described);
        }
        Ok(entries)
    }

    /// The ids of which a segment of the table holds a release or a facet entry, a page of them, and where the next begins.
    ///
    /// # Errors
    /// The table's.
    pub async fn scan_release_ids(
        &self,
        segment: i32,
        start: Option<ReleaseScan>,
    ) -> Result<(Vec<String>, Option<ReleaseScan>), StoreError> {
        let table = self.releases_table.as_str();
        let sent = self
            .client
            .scan()
            .table_name(table)
            .segment(segment)
            .total_segments(SCAN_SEGMENTS)
            .consistent_read(true)
            .projection_expression("release_id")
            .filter_expression("#entry = :release OR begins_with(#entry, :facet)")
            .expression_attribute_names("#entry", "entry")
            .expression_attribute_values(":release", text(RELEASE_ENTRY))
            .expression_attribute_values(":facet", text(FACET_PREFIX))
            .set_exclusive_start_key(start.map(|ReleaseScan(start)| start))
            .send()
            .await;
        let output = sent.map_err(|error| StoreError::from_sdk(table, error))?;
        let Some(items) = output.items else {
            return Err(StoreError::unavailable(table, Unavailability::UnreadableAnswer));
        };
        let ids = items.into_iter().filter_map(|mut item| match item.remove("release_id") {
            Some(AttributeValue::S(release_id)) => Some(release_id),
            _ => None,
        });
        let mut ids: Vec<_> = ids.collect();
        // The entries of one release are neighbours.
        ids.dedup();
        Ok((ids, output.last_evaluated_key.map(ReleaseScan)))
    }
}
