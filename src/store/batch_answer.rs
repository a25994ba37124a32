//! The answers of BatchGetItem, read by `serde_json`.
//!
//! The SDK looks at each byte of a text by itself, and an answer is megabytes of base64: that was half of all the work of
//! answering a list. `serde_json` looks at eight together. Only an answer that DynamoDB calls a success is read here;
//! what failed, and whether to try again, is the SDK's to say.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use aws_sdk_dynamodb::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::operation::batch_get_item::{BatchGetItemError, BatchGetItemOutput};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ConsumedCapacity, KeysAndAttributes};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{Error, Output};
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::ser_de::{DeserializeResponse, SharedResponseDeserializer};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::Item;

/// Puts itself in the place of the SDK's reader, where DynamoDB's answer is a success.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchAnswerReader;

impl Intercept for BatchAnswerReader {
    fn name(&self) -> &'static str {
        "BatchAnswerReader"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        settings: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if context.response().status().is_success() {
            settings.interceptor_state().store_put(SharedResponseDeserializer::new(*self));
        }
        Ok(())
    }
}

impl DeserializeResponse for BatchAnswerReader {
    fn deserialize_nonstreaming_with_config(
        &self,
        response: &HttpResponse,
        _: &ConfigBag,
    ) -> Result<Output, OrchestratorError<Error>> {
        let body = response.body().bytes().unwrap_or_default();
        match read(body) {
            Ok(output) => Ok(Output::erase(output)),
            Err(error) => {
                Err(OrchestratorError::operation(Error::erase(BatchGetItemError::unhandled(error))))
            }
        }
    }
}

fn read(body: &[u8]) -> Result<BatchGetItemOutput, BoxError> {
    // Where and how, but not serde's own words: they quote what they did not expect, which is a record's.
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|error| format!("{:?} error in byte {} of the answer", error.classify(), error.column()))?;
    let items = |items: Vec<StoredItem>| items.into_iter().map(|item| item.0).collect();
    let responses = answer.responses.unwrap_or_default();
    let mut unprocessed = HashMap::new();
    for (table, request) in answer.unprocessed_keys.unwrap_or_default() {
        unprocessed.insert(table, request.into_request()?);
    }
    let capacity =
        |capacity: Capacity| ConsumedCapacity::builder().set_capacity_units(capacity.capacity_units).build();
    let capacities = answer.consumed_capacity.unwrap_or_default().into_iter().map(capacity);
    Ok(BatchGetItemOutput::builder()
        .set_responses(Some(responses.into_iter().map(|(table, found)| (table, items(found))).collect()))
        .set_unprocessed_keys(Some(unprocessed))
        .set_consumed_capacity(Some(capacities.collect()))
        .build())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    responses: Option<HashMap<String, Vec<StoredItem>>>,
    unprocessed_keys: Option<HashMap<String, Unprocessed>>,
    consumed_capacity: Option<Vec<Capacity>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Capacity {
    capacity_units: Option<f64>,
}

/// A request as it was sent, with the keys that are left of it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Unprocessed {
    keys: Vec<StoredItem>,
    consistent_read: Option<bool>,
    projection_expression: Option<String>,
    expression_attribute_names: Option<HashMap<String, String>>,
}

impl Unprocessed {
    fn into_request(self) -> Result<KeysAndAttributes, BoxError> {
        let request = KeysAndAttributes::builder()
            .set_keys(Some(self.keys.into_iter().map(|key| key.0).collect()))
            .set_consistent_read(self.consistent_read)
            .set_projection_expression(self.projection_expression)
            .set_expression_attribute_names(self.expression_attribute_names);
        Ok(request.build()?)
    }
}

struct StoredItem(Item);

impl<'de> Deserialize<'de> for StoredItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Attributes;
        impl<'de> Visitor<'de> for Attributes {
            type Value = StoredItem;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("an item")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<StoredItem, A::Error> {
                let mut item = Item::new();
                while let Some((name, Attribute(value))) = map.next_entry()? {
                    item.insert(name, value);
                }
                Ok(StoredItem(item))
            }
        }
        deserializer.deserialize_map(Attributes)
    }
}

/// A text, a number or bytes; the service stores nothing else, and takes anything else for an attribute of another type.
struct Attribute(AttributeValue);

impl<'de> Deserialize<'de> for Attribute {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Typed;
        impl<'de> Visitor<'de> for Typed {
            type Value = Attribute;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("an attribute's type and value")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Attribute, A::Error> {
                let mut value = AttributeValue::Null(true);
                while let Some(kind) = map.next_key::<Cow<str>>()? {
                    value = match kind.as_ref() {
                        "S" => AttributeValue::S(map.next_value()?),
                        "N" => AttributeValue::N(map.next_value()?),
                        "B" => AttributeValue::B(Blob::new(map.next_value::<Base64>()?.0)),
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                }
                Ok(Attribute(value))
            }
        }
        deserializer.deserialize_map(Typed)
    }
}

/// Bytes that are decoded where they stand, without a copy of their text.
struct Base64(Vec<u8>);

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Encoded;
        impl Visitor<'_> for Encoded {
            type Value = Base64;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("base64")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Base64, E> {
                base64_simd::STANDARD.decode_to_vec(text).map(Base64).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Encoded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_dynamodb_writes_it() {
        let output = read(
            br#"{"ConsumedCapacity":[{"CapacityUnits":1.5,"TableName":"t"}],"Responses":{"t":[
                {"id":{"S":"a \"b\"\n"},"n":{"N":"7"},"b":{"B":"aGVsbG8="},"other":{"L":[{"BOOL":true}]}}]},
                "UnprocessedKeys":{"t":{"Keys":[{"id":{"S":"c"}}],"ConsistentRead":true,
                "ProjectionExpression":"id, \u0023e","ExpressionAttributeNames":{"\u0023e":"entry"}}}}"#,
        )
        .unwrap();
        let item = &output.responses().unwrap()["t"][0];
        assert_eq!(item["id"], AttributeValue::S("a \"b\"\n".to_owned()));
        assert_eq!(item["n"], AttributeValue::N("7".to_owned()));
        assert_eq!(item["b"], AttributeValue::B(Blob::new("hello")));
        assert_eq!(item["other"], AttributeValue::Null(true));
        assert_eq!(output.consumed_capacity()[0].capacity_units(), Some(1.5));
        let left = &output.unprocessed_keys().unwrap()["t"];
        assert_eq!(left.keys()[0]["id"], AttributeValue::S("c".to_owned()));
        assert_eq!(left.consistent_read(), Some(true));
        assert_eq!(left.projection_expression(), Some("id, #e"));
        assert_eq!(left.expression_attribute_names().unwrap()["#e"], "entry");
    }

    #[test]
    fn what_is_cut_off_or_no_answer_is_an_error() {
        for body in
            ["", "{", "[]", r#"{"Responses":{"t":[{"b":{"B":"*"}}]}}"#, r#"{"Responses":{"t":[{"b":7}]}}"#]
        {
            assert!(read(body.as_bytes()).is_err(), "{body}");
        }
        assert!(read(b"{}").unwrap().responses().unwrap().is_empty());
    }
}
