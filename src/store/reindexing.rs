//! Settles a release's facet entries: those that its document asks for, and no others.
//!
//! Every write is under the condition that the release is still the one that the entries were worked out from, so that
//! it is safe beside imports and recordings.

use aws_sdk_dynamodb::types::builders::ConditionCheckBuilder;
use aws_sdk_dynamodb::types::{ConditionCheck, TransactWriteItem, WriteRequest};

use super::recording::{in_transaction, written_in_spite_of};
use super::releases::{RELEASE_ENTRY, UnreadableLengths, consistent, key};
use super::writing::{delete, text, to_sdk, value_to_sdk};
use super::writing_releases::{Changes, PackedRelease};
use super::{
    Attributes, CHANGED, Meter, Mode, Record, ReleaseEntry, Verbosity, WritableStore, Written, unavailable,
};
use crate::dynamodb::{AttributeValue, Item, Items, Page};
use crate::error::Error;
use crate::position::Position;

/// How many readers a scan is split among.
pub const SCAN_SEGMENTS: i32 = 4;
/// What one transaction takes of entries, but for the condition on the release: DynamoDB takes a hundred writes, and older
/// implementations of it ten.
const MAX_ENTRIES_A_TRANSACTION: usize = 9;

/// A release as the table has it, read consistently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentRelease {
    /// The whole release, as it is answered.
    pub json: String,
    /// The revision of its documents.
    pub revision: String,
}

/// What became of a release's facet entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// So many of them were written or removed; none where all were as they should be.
    Entries(usize),
    /// The release changed meanwhile: read it again.
    Changed,
}

impl WritableStore {
    /// Reads a release by its id; none where there is no such release.
    ///
    /// # Errors
    /// The table's, and a release that cannot be read.
    pub async fn current_release(&self, release_id: &str) -> Result<Option<CurrentRelease>, Error> {
        let table = self.releases_table.as_str();
        let batch = consistent(table, vec![key(release_id, RELEASE_ENTRY)], "#position, revision, lengths");
        let Some(item) = self.batch_get(batch, &Meter::default()).await?.pop() else {
            return Ok(None);
        };
        let mut attributes = Attributes::new(item, table, Record::Release(release_id));
        let position = attributes.text("position")?;
        let position = Position::parse(&position)
            .ok_or_else(|| attributes.unreadable("its position has another form"))?;
        let revision = attributes.text("revision")?;
        let lengths = attributes
            .text("lengths")?
            .parse()
            .map_err(|UnreadableLengths| attributes.unreadable("its lengths have another form"))?;
        let entry = ReleaseEntry { position, revision, lengths };
        let release = self.documents_of(&entry, Verbosity::Detailed, &Meter::default()).await?;
        let release = release.ok_or_else(|| unavailable(table, CHANGED, None))?;
        let unreadable = |spoiled| self.unreadable_release(release_id, spoiled);
        let mut json = release.brief.unpack().map_err(unreadable)?;
        if let Some(rest) = &release.rest {
            json.push_str(&rest.unpack().map_err(unreadable)?);
        }
        Ok(Some(CurrentRelease { json, revision: entry.revision }))
    }

    /// Writes the facet entries that a release lacks or has wrong, and removes those that it should not have.
    ///
    /// # Errors
    /// The table's; settling again completes it.
    pub async fn settle_facets(&self, release: &PackedRelease, mode: Mode) -> Result<Settled, Error> {
        let stored = self.stored_entries(release.release_id.clone()).await?;
        let changes = Changes::between(release, &stored, Mode::Write);
        let writes: Vec<_> = changes.facets.into_iter().chain(changes.removed_facets).collect();
        self.write_entries(writes, self.is_still(release), mode).await
    }

    /// The condition that a release is stored as it is here; of a deleted one, that it is not there.
    pub(super) fn is_still(&self, release: &PackedRelease) -> ConditionCheckBuilder {
        let condition = self.release_condition(&release.release_id);
        match release.items.get(RELEASE_ENTRY).and_then(|item| item.get("revision")) {
            Some(revision) => condition
                .condition_expression("revision = :revision")
                .expression_attribute_values(":revision", value_to_sdk(revision.clone())),
            None => condition.condition_expression("attribute_not_exists(release_id)"),
        }
    }

    /// Removes the facet entries of a release that is not there.
    ///
    /// # Errors
    /// The table's.
    pub async fn remove_facets(&self, release_id: &str, mode: Mode) -> Result<Settled, Error> {
        let stored = self.stored_entries(release_id.to_owned()).await?;
        let facets = stored.keys().filter(|entry| entry.starts_with("facet#"));
        let writes = facets.map(|entry| delete(key(release_id, entry))).collect();
        let condition =
            self.release_condition(release_id).condition_expression("attribute_not_exists(release_id)");
        self.write_entries(writes, condition, mode).await
    }

    fn release_condition(&self, release_id: &str) -> ConditionCheckBuilder {
        ConditionCheck::builder()
            .table_name(&self.releases_table)
            .set_key(Some(to_sdk(key(release_id, RELEASE_ENTRY))))
    }

    pub(super) async fn write_entries(
        &self,
        writes: Vec<WriteRequest>,
        condition: ConditionCheckBuilder,
        mode: Mode,
    ) -> Result<Settled, Error> {
        let table = self.releases_table.as_str();
        if mode == Mode::DryRun {
            return Ok(Settled::Entries(writes.len()));
        }
        let condition = condition.build().expect("a table, a key and a condition are given");
        for entries in writes.chunks(MAX_ENTRIES_A_TRANSACTION) {
            let check = TransactWriteItem::builder().condition_check(condition.clone()).build();
            let entries = entries.iter().filter_map(|entry| in_transaction(table, entry));
            let items = std::iter::once(check).chain(entries).collect();
            let sent = self.client.transact_write_items().set_transact_items(Some(items)).send().await;
            match sent.map_or_else(|error| written_in_spite_of(table, &error), |_| Ok(Written::Done))? {
                Written::Done => {}
                Written::Changed | Written::AlreadyThere | Written::TooLarge => return Ok(Settled::Changed),
            }
        }
        Ok(Settled::Entries(writes.len()))
    }

    /// The ids of which a segment of the table holds a release or a facet entry, a page of them, and where the next begins.
    ///
    /// # Errors
    /// The table's.
    pub async fn scan_release_ids(
        &self,
        segment: i32,
        start: Option<ReleaseScan>,
    ) -> Result<(Vec<String>, Option<ReleaseScan>), Error> {
        let answer = self
            .page(
                &Page {
                    projection: Some("release_id"),
                    filter: Some("#entry = :release OR begins_with(#entry, :facet)"),
                    values: vec![(":release", text(RELEASE_ENTRY)), (":facet", text("facet#"))],
                    is_consistent: true,
                    start: start.map(|ReleaseScan(start)| start),
                    ..Page::of(&self.releases_table, Items::Segment(segment, SCAN_SEGMENTS))
                },
                &Meter::default(),
            )
            .await?;
        let ids = answer.items.into_iter().filter_map(|mut item| match item.remove("release_id") {
            Some(AttributeValue::S(release_id)) => Some(release_id),
            _ => None,
        });
        let mut ids: Vec<_> = ids.collect();
        // The entries of one release are neighbours.
        ids.dedup();
        Ok((ids, answer.last.map(ReleaseScan)))
    }
}

/// Where a scan of the releases goes on.
#[derive(Debug, Clone)]
pub struct ReleaseScan(Item);

impl PackedRelease {
    /// The revision of its documents; none where it is soft-deleted.
    #[must_use]
    pub fn revision(&self) -> Option<&str> {
        self.items.get(RELEASE_ENTRY)?.get("revision")?.as_text()
    }
}
