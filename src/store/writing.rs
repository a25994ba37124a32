//! What both tables' writers share: batches, retries, and the outcome of a record.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{self as sdk, DeleteRequest, PutRequest, WriteRequest};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use hex_simd::AsciiCase;
use ring::digest::{Context, SHA256};

use super::{THROTTLED, WritableStore, backoff, from_sdk, unavailable};
use crate::dynamodb::{AttributeValue, Base64, Item};
use crate::error::Error;

/// What BatchWriteItem takes in one call.
const MAX_WRITES_A_CALL: usize = 25;
/// What one call may weigh: DynamoDB takes 16 MB, base64 and names included.
const MAX_BYTES_A_CALL: usize = 8 << 20;
/// How many calls run side by side.
const MAX_CALLS_AT_ONCE: usize = 8;
/// How often writes that DynamoDB left unprocessed are sent again; the waits sum up to about a minute and a half.
const MAX_UNPROCESSED_ROUNDS: u32 = 16;
const FIRST_UNPROCESSED_WAIT: Duration = Duration::from_millis(50);
const LONGEST_UNPROCESSED_WAIT: Duration = Duration::from_secs(10);

/// DynamoDB's limit for an item is 400 KB, names included; what stands beside a document needs little of the rest.
///
/// Whole groups of three bytes, so that the base64 of parts is put together as it is.
pub(super) const MAX_DOCUMENT_BYTES_AN_ITEM: usize = 379_998;
/// Part numbers have three digits.
pub(super) const MAX_PARTS: usize = 999;
pub(super) use crate::release_filter::MAX_HASH_KEY_BYTES;
/// What DynamoDB allows a range key.
pub(super) const MAX_RANGE_KEY_BYTES: usize = 1024;

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was not there, or was another.
    Stored,
    /// It was there as it is; nothing was written.
    Unchanged,
    /// It is soft-deleted; what there was of it is gone.
    Deleted,
}

/// Whether a store is to be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Write what is not there as it is.
    Write,
    /// Write all of it: this mends documents whose stored bytes were spoiled.
    Rewrite,
    /// Tell what would be written, and write nothing.
    DryRun,
}

/// Why a record that fits the documented types cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unstorable(pub(super) String);

pub(super) fn put(item: Item) -> WriteRequest {
    let request = PutRequest::builder().set_item(Some(to_sdk(item))).build().expect("an item is given");
    WriteRequest::builder().put_request(request).build()
}

pub(super) fn delete(key: Item) -> WriteRequest {
    let request = DeleteRequest::builder().set_key(Some(to_sdk(key))).build().expect("a key is given");
    WriteRequest::builder().delete_request(request).build()
}

pub(super) fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// A text for whoever looks into the table, cut to what one wants to read there; none where it is empty, which older
/// DynamoDB implementations refuse.
pub(super) fn note(text: &str) -> Option<AttributeValue> {
    (!text.is_empty()).then(|| AttributeValue::S(text.chars().take(200).collect()))
}

pub(super) fn bytes(bytes: impl AsRef<[u8]>) -> AttributeValue {
    AttributeValue::B(Base64::encode(bytes.as_ref()))
}

/// An item, or a key, as the SDK takes it.
pub(super) fn to_sdk(item: Item) -> HashMap<String, sdk::AttributeValue> {
    item.into_iter().map(|(name, value)| (name.as_str().to_owned(), value_to_sdk(value))).collect()
}

/// A value as the SDK takes it.
pub(super) fn value_to_sdk(value: AttributeValue) -> sdk::AttributeValue {
    match value {
        AttributeValue::S(text) => sdk::AttributeValue::S(text),
        AttributeValue::N(number) => sdk::AttributeValue::N(number),
        AttributeValue::B(base64) => {
            sdk::AttributeValue::B(Blob::new(base64.decode().expect("what is written was encoded here")))
        }
        // What is read of another type is never written back.
        AttributeValue::Other => sdk::AttributeValue::Null(true),
    }
}

/// A digest of texts: what is stored never changes under its revision.
pub(super) fn revision(texts: &[&str]) -> String {
    let mut digest = Context::new(&SHA256);
    for text in texts {
        digest.update(&text.len().to_le_bytes());
        digest.update(text.as_bytes());
    }
    hex_simd::encode_to_string(&digest.finish().as_ref()[..12], AsciiCase::Lower)
}

impl WritableStore {
    /// Writes items in no order, in as many calls as they need, until none is left unprocessed.
    pub(super) async fn batch_write(&self, table: &str, writes: Vec<WriteRequest>) -> Result<(), Error> {
        stream::iter(calls(writes))
            .map(|call| self.batch_write_call(table, call))
            .buffer_unordered(MAX_CALLS_AT_ONCE)
            .try_collect()
            .await
    }

    async fn batch_write_call(&self, table: &str, mut writes: Vec<WriteRequest>) -> Result<(), Error> {
        for round in 0..=MAX_UNPROCESSED_ROUNDS {
            if round > 0 {
                tokio::time::sleep(backoff(FIRST_UNPROCESSED_WAIT, round).min(LONGEST_UNPROCESSED_WAIT))
                    .await;
            }
            let sent = self.client.batch_write_item().request_items(table, writes).send().await;
            let mut unprocessed: HashMap<_, _> =
                sent.map_err(|error| from_sdk(table, &error))?.unprocessed_items.unwrap_or_default();
            writes = unprocessed.remove(table).unwrap_or_default();
            if writes.is_empty() {
                return Ok(());
            }
        }
        Err(unavailable(table, THROTTLED, None))
    }
}

fn calls(writes: Vec<WriteRequest>) -> Vec<Vec<WriteRequest>> {
    let mut calls = Vec::new();
    let (mut call, mut bytes) = (Vec::new(), 0);
    for write in writes {
        let weight = weight(&write);
        if call.len() == MAX_WRITES_A_CALL || (bytes + weight > MAX_BYTES_A_CALL && !call.is_empty()) {
            calls.push(std::mem::take(&mut call));
            bytes = 0;
        }
        call.push(write);
        bytes += weight;
    }
    if !call.is_empty() {
        calls.push(call);
    }
    calls
}

/// About what a write weighs on the wire, where bytes are base64.
fn weight(write: &WriteRequest) -> usize {
    let item = write.put_request().map(PutRequest::item);
    let values = item.into_iter().flat_map(HashMap::values);
    let value = |value: &sdk::AttributeValue| match value {
        sdk::AttributeValue::S(text) => text.len(),
        sdk::AttributeValue::B(bytes) => bytes.as_ref().len() * 4 / 3,
        _ => 64,
    };
    values.map(|attribute| 32 + value(attribute)).sum()
}
