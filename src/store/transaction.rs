//! Writes that belong together: all of them are made, or none.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::builders::{DeleteBuilder, PutBuilder};
use aws_sdk_dynamodb::types::{
    CancellationReason, ConditionCheck, Delete, DeleteRequest, Put, PutRequest, TransactWriteItem,
    WriteRequest,
};

use super::Store;
use super::error::{StoreError, Unavailability};

/// What became of a write under conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is written.
    Done,
    /// It was there before; nothing was written.
    AlreadyThere,
    /// What it started from is no longer so, and nothing was written: read again, and write again.
    Changed,
    /// It is more than one transaction can hold.
    TooLarge,
}

/// A put in a transaction.
pub(super) fn put_in_transaction(put: PutBuilder) -> TransactWriteItem {
    TransactWriteItem::builder().put(put.build().expect("a table and an item are given")).build()
}

/// A delete in a transaction.
pub(super) fn delete_in_transaction(delete: DeleteBuilder) -> TransactWriteItem {
    TransactWriteItem::builder().delete(delete.build().expect("a table and a key are given")).build()
}

/// A condition on an item that the transaction does not write.
pub(super) fn check_in_transaction(check: ConditionCheck) -> TransactWriteItem {
    TransactWriteItem::builder().condition_check(check).build()
}

/// A batch's write as a transaction's; `None` where it is neither a put nor a delete, which no batch holds.
pub(super) fn in_transaction(table: &str, write: &WriteRequest) -> Option<TransactWriteItem> {
    if let Some(item) = write.put_request().map(PutRequest::item) {
        return Some(put_in_transaction(Put::builder().table_name(table).set_item(Some(item.clone()))));
    }
    let key = write.delete_request().map(DeleteRequest::key)?;
    Some(delete_in_transaction(Delete::builder().table_name(table).set_key(Some(key.clone()))))
}

impl Store {
    /// Makes writes together.
    ///
    /// Where the first write's condition did not hold, that is told from the others.
    pub(super) async fn transact(
        &self,
        table: &str,
        writes: Vec<TransactWriteItem>,
    ) -> Result<Written, StoreError> {
        let sent = self.client.transact_write_items().set_transact_items(Some(writes)).send().await;
        sent.map_or_else(|error| cancelled(table, error), |_| Ok(Written::Done))
    }
}

/// What a failed transaction says: it is an answer where a condition did not hold, or where others wrote at the same time.
fn cancelled(table: &str, error: SdkError<TransactWriteItemsError>) -> Result<Written, StoreError> {
    let reasons = match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            cancelled.cancellation_reasons()
        }
        Some(TransactWriteItemsError::TransactionInProgressException(_)) => return Ok(Written::Changed),
        _ => return Err(StoreError::from_sdk(table, error)),
    };
    let codes: Vec<_> = reasons.iter().filter_map(CancellationReason::code).collect();
    let is_among = |wanted: &[&str]| codes.iter().any(|code| wanted.contains(code));
    if codes.first() == Some(&"ConditionalCheckFailed") {
        return Ok(Written::AlreadyThere);
    }
    if is_among(&["ConditionalCheckFailed", "TransactionConflict"]) {
        return Ok(Written::Changed);
    }
    if is_among(&["ThrottlingError", "ProvisionedThroughputExceeded"]) {
        return Err(StoreError::unavailable(table, Unavailability::Throttled));
    }
    Err(StoreError::from_sdk(table, error))
}
