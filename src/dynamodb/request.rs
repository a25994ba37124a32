//! The requests, written as DynamoDB reads them.
//!
//! In expressions `#name` always stands for the attribute `name`, so that the names need not be given beside them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

use super::item::{AttributeValue, Item};

/// A Query, or with `segment` a Scan: items of a table or an index in pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The table.
    pub table: String,
    /// The index, where it is not the table itself that is read.
    pub index: Option<&'static str>,
    /// Which items.
    pub items: Items,
    /// What is left out of what was read.
    pub filter: Option<&'static str>,
    /// The attributes that are answered; all of them where there is none.
    pub projection: Option<&'static str>,
    /// What the `:names` in the expressions stand for.
    pub values: Vec<(&'static str, AttributeValue)>,
    /// How many items are read at most.
    pub limit: Option<usize>,
    /// Whether items are counted, not answered.
    pub is_count: bool,
    /// Whether every write before is seen.
    pub is_consistent: bool,
    /// Where the page before this one ended.
    pub start: Option<Item>,
}

/// Which items of a table or an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Items {
    /// Those under a key, in ascending order of their range keys.
    OldestFirst(&'static str),
    /// Those under a key, in descending order of their range keys.
    NewestFirst(&'static str),
    /// Those of one segment of so many, in no order.
    Segment(i32, i32),
}

impl Page {
    /// All items of a table, to be narrowed.
    #[must_use]
    pub fn of(table: &str, items: Items) -> Self {
        Self {
            table: table.to_owned(),
            index: None,
            items,
            filter: None,
            projection: None,
            values: Vec::new(),
            limit: None,
            is_count: false,
            is_consistent: false,
            start: None,
        }
    }

    /// DynamoDB's name for it, as the header `x-amz-target` has it.
    pub(super) fn operation(&self) -> &'static str {
        match self.items {
            Items::OldestFirst(_) | Items::NewestFirst(_) => "DynamoDB_20120810.Query",
            Items::Segment(..) => "DynamoDB_20120810.Scan",
        }
    }
}

impl Serialize for Page {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let key = match self.items {
            Items::OldestFirst(key) | Items::NewestFirst(key) => Some(key),
            Items::Segment(..) => None,
        };
        let names = names([key, self.filter, self.projection].into_iter().flatten());
        let values: BTreeMap<_, _> = self.values.iter().map(|(name, value)| (name, value)).collect();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("TableName", &self.table)?;
        if let Some(index) = self.index {
            map.serialize_entry("IndexName", index)?;
        }
        match self.items {
            Items::OldestFirst(key) => map.serialize_entry("KeyConditionExpression", key)?,
            Items::NewestFirst(key) => {
                map.serialize_entry("KeyConditionExpression", key)?;
                map.serialize_entry("ScanIndexForward", &false)?;
            }
            Items::Segment(segment, segments) => {
                map.serialize_entry("Segment", &segment)?;
                map.serialize_entry("TotalSegments", &segments)?;
            }
        }
        if let Some(filter) = self.filter {
            map.serialize_entry("FilterExpression", filter)?;
        }
        if let Some(projection) = self.projection {
            map.serialize_entry("ProjectionExpression", projection)?;
        }
        if !names.is_empty() {
            map.serialize_entry("ExpressionAttributeNames", &names)?;
        }
        if !values.is_empty() {
            map.serialize_entry("ExpressionAttributeValues", &values)?;
        }
        if let Some(limit) = self.limit {
            map.serialize_entry("Limit", &i32::try_from(limit).unwrap_or(i32::MAX))?;
        }
        if self.is_count {
            map.serialize_entry("Select", "COUNT")?;
        }
        if self.is_consistent {
            map.serialize_entry("ConsistentRead", &true)?;
        }
        if let Some(start) = &self.start {
            map.serialize_entry("ExclusiveStartKey", start)?;
        }
        map.serialize_entry("ReturnConsumedCapacity", "TOTAL")?;
        map.end()
    }
}

/// Keys of one table whose items are read together, a hundred at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The table.
    pub table: String,
    /// The keys.
    pub keys: Vec<Item>,
    /// The attributes that are answered; all of them where there is none.
    pub projection: Option<&'static str>,
    /// Whether every write before is seen.
    pub is_consistent: bool,
}

impl Serialize for Batch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct BatchGetItem<'a> {
            request_items: BTreeMap<&'a str, KeysAndAttributes<'a>>,
            return_consumed_capacity: &'a str,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct KeysAndAttributes<'a> {
            keys: &'a [Item],
            #[serde(skip_serializing_if = "Option::is_none")]
            projection_expression: Option<&'a str>,
            #[serde(skip_serializing_if = "BTreeMap::is_empty")]
            expression_attribute_names: BTreeMap<&'a str, &'a str>,
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            consistent_read: bool,
        }
        let keys_and_attributes = KeysAndAttributes {
            keys: &self.keys,
            projection_expression: self.projection,
            expression_attribute_names: names(self.projection.into_iter()),
            consistent_read: self.is_consistent,
        };
        BatchGetItem {
            request_items: BTreeMap::from([(self.table.as_str(), keys_and_attributes)]),
            return_consumed_capacity: "TOTAL",
        }
        .serialize(serializer)
    }
}

/// The `#names` in expressions, each with the attribute that it stands for.
fn names(expressions: impl Iterator<Item = &'static str>) -> BTreeMap<&'static str, &'static str> {
    let placeholders = expressions.flat_map(|expression| {
        expression.match_indices('#').map(|(start, _)| {
            let placeholder = &expression[start..];
            let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
            &placeholder[..=placeholder[1..].bytes().take_while(is_part).count()]
        })
    });
    placeholders.map(|placeholder| (placeholder, &placeholder[1..])).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::item::Base64;
    use super::*;

    fn written(request: &impl Serialize) -> serde_json::Value {
        serde_json::from_str(&serde_json::to_string(request).unwrap()).unwrap()
    }

    #[test]
    fn a_query_is_written_as_dynamodb_reads_it() {
        let page = Page {
            index: Some("by_facet"),
            filter: Some("repository = :repository"),
            projection: Some("#position, revision"),
            values: vec![(":facet", AttributeValue::S("a \"b\"".to_owned()))],
            limit: Some(21),
            ..Page::of("releases", Items::NewestFirst("facet = :facet AND #position < :position"))
        };
        let expected = json!({
            "TableName": "releases", "IndexName": "by_facet", "ScanIndexForward": false, "Limit": 21,
            "KeyConditionExpression": "facet = :facet AND #position < :position",
            "FilterExpression": "repository = :repository", "ProjectionExpression": "#position, revision",
            "ExpressionAttributeNames": { "#position": "position" },
            "ExpressionAttributeValues": { ":facet": { "S": "a \"b\"" } }, "ReturnConsumedCapacity": "TOTAL",
        });
        assert_eq!((page.operation(), written(&page)), ("DynamoDB_20120810.Query", expected));
    }

    #[test]
    fn a_scan_and_a_count_are_written_as_dynamodb_reads_them() {
        let start = Item::from([("id".into(), AttributeValue::N("7".to_owned()))]);
        let page = Page {
            is_count: true,
            is_consistent: true,
            start: Some(start),
            ..Page::of("releases", Items::Segment(1, 4))
        };
        let expected = json!({
            "TableName": "releases", "Segment": 1, "TotalSegments": 4, "Select": "COUNT", "ConsistentRead": true,
            "ExclusiveStartKey": { "id": { "N": "7" } }, "ReturnConsumedCapacity": "TOTAL",
        });
        assert_eq!((page.operation(), written(&page)), ("DynamoDB_20120810.Scan", expected));
    }

    #[test]
    fn a_batch_is_written_as_dynamodb_reads_it() {
        let key = Item::from([("entry".into(), AttributeValue::B(Base64::encode(b"hello")))]);
        let batch = Batch {
            table: "releases".to_owned(),
            keys: vec![key],
            projection: Some("release_id, #entry, #entry"),
            is_consistent: true,
        };
        let expected = json!({
            "RequestItems": { "releases": {
                "Keys": [{ "entry": { "B": "aGVsbG8=" } }], "ProjectionExpression": "release_id, #entry, #entry",
                "ExpressionAttributeNames": { "#entry": "entry" }, "ConsistentRead": true,
            } },
            "ReturnConsumedCapacity": "TOTAL",
        });
        assert_eq!(written(&batch), expected);
    }
}
