//! Writes that belong together: DynamoDB makes all of them, or none.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, ConditionCheck, Delete, Put, TransactWriteItem, Update,
};
use delivery_center::store::artifacts::found_by::{Short, hex};
use delivery_center::store::items::{Item, text};
use delivery_center::store::{StoreError, Unavailability};
use ring::rand::{SecureRandom as _, SystemRandom};

use super::Writer;
use crate::retries::{Patience, REFUSED_TRANSACTION};

/// How many writes DynamoDB takes in one transaction.
pub(super) const MAX_WRITES_PER_TRANSACTION: usize = 100;
/// How many bytes the items of one transaction may have. DynamoDB takes 4 MB; this is less, since the names
/// of attributes are not counted here.
pub(super) const MAX_BYTES_PER_TRANSACTION: usize = 3_800_000;

/// What an item must be like for a write to be made.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Condition {
    /// There is no such item.
    Absent,
    /// The attribute has that value.
    Has(&'static str, AttributeValue),
    /// The item is there, and does not have the attribute: it was spoiled.
    Lacks(&'static str),
}

impl Condition {
    /// The item is as it was read: its attribute `name`, which every writer changes, has the same value.
    pub(super) fn as_read(item: Option<&Item>, name: &'static str) -> Self {
        match item.map(|item| item.get(name)) {
            None => Self::Absent,
            Some(None) => Self::Lacks(name),
            Some(Some(value)) => Self::Has(name, value.clone()),
        }
    }

    /// The condition as DynamoDB's expression. `hash` is the name of the table's hash key: since every item
    /// has that attribute, it shows whether there is an item.
    fn expression(&self, hash: &str) -> String {
        match self {
            Self::Absent => format!("attribute_not_exists({hash})"),
            Self::Has(name, _) => format!("{name} = :condition"),
            Self::Lacks(name) => format!("attribute_exists({hash}) AND attribute_not_exists({name})"),
        }
    }

    /// The values that the expression names; `None` where it names none, since DynamoDB refuses an empty map.
    fn values(&self) -> Option<HashMap<String, AttributeValue>> {
        match self {
            Self::Has(_, value) => Some(HashMap::from([(":condition".to_owned(), value.clone())])),
            Self::Absent | Self::Lacks(_) => None,
        }
    }
}

/// One write of a transaction. All writes of one transaction are to the table that [`Writer::transact`] is
/// given.
#[derive(Debug, Clone)]
pub(super) enum Write {
    /// Puts an item.
    Put(Item, Option<Condition>),
    /// Removes the item of a key.
    Delete(Item, Option<Condition>),
    /// Sets one attribute of the item of a key.
    Set(Item, &'static str, String, Condition),
    /// Writes nothing. The whole transaction is refused where the item of the key does not meet the
    /// condition.
    Check(Item, Condition),
}

impl Write {
    /// About how many bytes it adds to a transaction.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Put(item, _) => weight(item),
            Self::Delete(..) | Self::Set(..) | Self::Check(..) => 0,
        }
    }

    fn into_item(self, table: &str, hash: &str) -> TransactWriteItem {
        let expression =
            |condition: Option<&Condition>| condition.map(|condition| condition.expression(hash));
        let values = |condition: Option<&Condition>| condition.and_then(Condition::values);
        let item = TransactWriteItem::builder();
        match self {
            Self::Put(put, condition) => item.put(
                Put::builder()
                    .table_name(table)
                    .set_item(Some(put))
                    .set_condition_expression(expression(condition.as_ref()))
                    .set_expression_attribute_values(values(condition.as_ref()))
                    .build()
                    .expect("a table and an item are given"),
            ),
            Self::Delete(key, condition) => item.delete(
                Delete::builder()
                    .table_name(table)
                    .set_key(Some(key))
                    .set_condition_expression(expression(condition.as_ref()))
                    .set_expression_attribute_values(values(condition.as_ref()))
                    .build()
                    .expect("a table and a key are given"),
            ),
            Self::Set(key, name, value, condition) => item.update(
                Update::builder()
                    .table_name(table)
                    .set_key(Some(key))
                    .update_expression(format!("SET {name} = :value"))
                    .condition_expression(condition.expression(hash))
                    .set_expression_attribute_values(condition.values())
                    .expression_attribute_values(":value", text(value))
                    .build()
                    .expect("a table, a key and an expression are given"),
            ),
            Self::Check(key, condition) => item.condition_check(
                ConditionCheck::builder()
                    .table_name(table)
                    .set_key(Some(key))
                    .condition_expression(condition.expression(hash))
                    .set_expression_attribute_values(condition.values())
                    .build()
                    .expect("a table, a key and a condition are given"),
            ),
        }
        .build()
    }
}

/// A random nonce that no other writer has. An item names its last writer by it.
pub(super) fn nonce() -> Short {
    let mut nonce = Short::default();
    SystemRandom::new().fill(&mut nonce).expect("the operating system gives random bytes");
    nonce
}

impl Writer {
    /// Whether writes fit into one transaction.
    pub(super) fn fit_into_one_transaction(&self, writes: &[Write]) -> bool {
        writes.len() <= self.writes_per_transaction
            && writes.iter().map(Write::weight).sum::<usize>() <= MAX_BYTES_PER_TRANSACTION
    }

    /// Makes all of these writes; or none, where a condition does not hold: then the result is false. A transaction that conflicts with another one, or is throttled, is
    /// tried again.
    ///
    /// # Errors
    /// DynamoDB fails, or refuses the request. Where it did not answer, nobody knows whether the writes were
    /// made.
    pub(super) async fn transact(
        &self,
        table: &str,
        hash: &str,
        writes: Vec<Write>,
    ) -> Result<bool, StoreError> {
        let items: Vec<_> = writes.into_iter().map(|write| write.into_item(table, hash)).collect();
        let mut patience = Patience::new(REFUSED_TRANSACTION);
        // By the token DynamoDB knows a transaction that is sent again. It stays the same for as long as the
        // transaction may still be made.
        let mut token = hex(nonce());
        loop {
            let transaction = self.client.transact_write_items().set_transact_items(Some(items.clone()));
            let sent = transaction.client_request_token(&token).send().await;
            let Err(error) = sent else { return Ok(true) };
            let reasons = match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                    token = hex(nonce());
                    cancelled.cancellation_reasons()
                }
                Some(TransactWriteItemsError::TransactionInProgressException(_)) => &[],
                _ => return Err(StoreError::from_sdk(table, error)),
            };
            let codes = reasons.iter().map(|reason| CancellationReason::code(reason).unwrap_or_default());
            if codes.clone().any(|code| code == "ConditionalCheckFailed") {
                return Ok(false);
            }
            // "None" and "" stand at the writes that had no part in the refusal.
            let worth_another_attempt =
                ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded", "None", ""];
            if !codes.clone().all(|code| worth_another_attempt.contains(&code)) {
                return Err(StoreError::from_sdk(table, error));
            }
            if !patience.wait().await {
                let is_throttled =
                    codes.clone().any(|code| code.contains("Throttl") || code.contains("Throughput"));
                let reason =
                    if is_throttled { Unavailability::Throttled } else { Unavailability::ChangesTooFast };
                return Err(StoreError::unavailable(table, reason));
            }
        }
    }
}

/// About how many bytes an item has, without the names of its attributes.
pub(super) fn weight(item: &Item) -> usize {
    let value = |value: &AttributeValue| match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        _ => 16,
    };
    item.values().map(value).sum()
}
