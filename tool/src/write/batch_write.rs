//! Writes of many items that need not be made together, and what the writers of both tables share.

use aws_sdk_dynamodb::types::{DeleteRequest, PutRequest, WriteRequest};
use delivery_center::store::items::Item;
use delivery_center::store::keys::MAX_PARTS;
use delivery_center::store::{StoreError, Unavailability, grouped};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::Writer;
use super::transaction::weight;
use crate::retries::{Patience, UNPROCESSED_WRITES};

/// How many writes BatchWriteItem takes in one call.
const MAX_WRITES_PER_CALL: usize = 25;
/// How many bytes the items of one call may have. DynamoDB takes 16 MB, but counts bytes as base64, and
/// attributes' names too.
const MAX_BYTES_PER_CALL: usize = 8 << 20;
/// How many calls run side by side.
const MAX_CALLS_AT_ONCE: usize = 8;

/// How many bytes of a document one item holds. DynamoDB's limit for an item is 400 KB, names included; the
/// other attributes need less than what is left of it.
pub(super) const MAX_DOCUMENT_BYTES_PER_ITEM: usize = 380_000;

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was written: it was not there before, or had another content.
    Stored,
    /// It was there already, with the same content; nothing was written.
    Unchanged,
    /// It is soft-deleted; whatever was stored of it is removed.
    Deleted,
    /// Nothing was written: it has no record in this section, the stored one has some, and it may not empty a
    /// section.
    WouldEmpty(&'static str),
}

/// How much of a record is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Write what differs from what is stored.
    Write,
    /// Write all of it, also what seems to be stored already: this mends documents whose stored bytes were
    /// spoiled.
    Rewrite,
    /// Tell what would be written, and write nothing.
    DryRun,
}

/// Why a record that fits the documented types cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unstorable(pub(super) String);

pub(super) fn put(item: Item) -> WriteRequest {
    let request = PutRequest::builder().set_item(Some(item)).build().expect("an item is given");
    WriteRequest::builder().put_request(request).build()
}

pub(super) fn delete(key: Item) -> WriteRequest {
    let request = DeleteRequest::builder().set_key(Some(key)).build().expect("a key is given");
    WriteRequest::builder().delete_request(request).build()
}

/// Checks that the parts of a record can be numbered.
pub(super) fn check_parts(parts: usize) -> Result<(), Unstorable> {
    if parts <= MAX_PARTS {
        return Ok(());
    }
    Err(Unstorable(format!("it needs {parts} items of 400 KB, and may have {MAX_PARTS}")))
}

impl Writer {
    /// Writes items in no order, in as many calls as they need, until none is left unprocessed.
    pub(super) async fn batch_write(&self, table: &str, writes: Vec<WriteRequest>) -> Result<(), StoreError> {
        stream::iter(calls(writes))
            .map(|call| self.batch_write_call(table, call))
            .buffer_unordered(MAX_CALLS_AT_ONCE)
            .try_collect()
            .await
    }

    async fn batch_write_call(&self, table: &str, mut writes: Vec<WriteRequest>) -> Result<(), StoreError> {
        let mut patience = Patience::new(UNPROCESSED_WRITES);
        loop {
            let sent = self.client.batch_write_item().request_items(table, writes).send().await;
            let output = sent.map_err(|error| StoreError::from_sdk(table, error))?;
            // DynamoDB sends this map even where it is empty. An answer without it is not DynamoDB's.
            let Some(mut unprocessed) = output.unprocessed_items else {
                return Err(StoreError::unavailable(table, Unavailability::UnreadableAnswer));
            };
            writes = unprocessed.remove(table).unwrap_or_default();
            if writes.is_empty() {
                return Ok(());
            }
            if !patience.wait().await {
                return Err(StoreError::unavailable(table, Unavailability::Throttled));
            }
        }
    }
}

fn calls(writes: Vec<WriteRequest>) -> Vec<Vec<WriteRequest>> {
    let weighed = writes.into_iter().map(|write| {
        let weight = write.put_request().map_or(0, |put| weight(put.item()));
        (write, weight)
    });
    grouped(weighed, MAX_WRITES_PER_CALL, MAX_BYTES_PER_CALL)
}
