//! A faster reader of BatchGetItem's answers, which are most of what the functions read.
//!
//! Such an answer is megabytes of base64, and the SDK's reader looks at each byte by itself: that took 44 %
//! of all instructions of a list of 20 releases of 50 kB that are not in memory. Here `serde_json` finds a
//! text's end eight bytes at a time, and `base64_simd` decodes the text without a copy.
//!
//! The SDK takes the reader of an answer from the configuration of the call. An interceptor puts this one
//! there before the request is written. It gives the SDK's own output type. Whatever it does not expect (an
//! error, keys left unprocessed, a type of attribute that the tables do not have, an answer cut short) it
//! leaves to the SDK's reader, and a property test holds the two to the same result.

use std::collections::HashMap;
use std::fmt;

use aws_sdk_dynamodb::config::interceptors::BeforeSerializationInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::operation::batch_get_item::{BatchGetItem, BatchGetItemOutput};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ConsumedCapacity};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{Output, OutputOrError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::runtime_plugin::RuntimePlugin as _;
use aws_smithy_runtime_api::client::ser_de::{DeserializeResponse, SharedResponseDeserializer};
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, de};

use super::items::Item;

/// Reads the answer of the BatchGetItem that it intercepts.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchGetReader;

impl Intercept for BatchGetReader {
    fn name(&self) -> &'static str {
        "BatchGetReader"
    }

    fn read_before_serialization(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        settings: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        settings.interceptor_state().store_put(SharedResponseDeserializer::new(*self));
        Ok(())
    }
}

impl DeserializeResponse for BatchGetReader {
    fn deserialize_nonstreaming_with_config(
        &self,
        response: &HttpResponse,
        settings: &ConfigBag,
    ) -> OutputOrError {
        let body = response.body().bytes().filter(|_| response.status().is_success());
        if let Some(output) = body.and_then(read) {
            return Ok(Output::erase(output));
        }
        let operation = BatchGetItem::new().config().expect("an operation has a configuration");
        let sdk = operation.load::<SharedResponseDeserializer>().expect("an operation has a reader");
        sdk.deserialize_nonstreaming_with_config(response, settings)
    }
}

/// Reads an answer; `None` where the SDK's reader must do it.
fn read(body: &[u8]) -> Option<BatchGetItemOutput> {
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let responses = answer.responses.into_iter();
    let output = BatchGetItemOutput::builder()
        .set_responses(Some(
            responses
                .map(|(table, items)| (table, items.into_iter().map(|ReadItem(item)| item).collect()))
                .collect(),
        ))
        .set_unprocessed_keys(answer.unprocessed_keys.map(|Empty {}| HashMap::new()))
        .set_consumed_capacity(
            answer.consumed_capacity.map(|tables| tables.into_iter().map(Into::into).collect()),
        );
    Some(output.build())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Answer {
    responses: HashMap<String, Vec<ReadItem>>,
    unprocessed_keys: Option<Empty>,
    consumed_capacity: Option<Vec<Consumed>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Empty {}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Consumed {
    table_name: Option<String>,
    capacity_units: Option<f64>,
}

impl From<Consumed> for ConsumedCapacity {
    fn from(consumed: Consumed) -> Self {
        Self::builder()
            .set_table_name(consumed.table_name)
            .set_capacity_units(consumed.capacity_units)
            .build()
    }
}

struct ReadItem(Item);

impl<'de> Deserialize<'de> for ReadItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = ReadItem;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("an item")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ReadItem, A::Error> {
                let mut item = Item::new();
                while let Some((name, Value(value))) = map.next_entry()? {
                    item.insert(name, value);
                }
                Ok(ReadItem(item))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

struct Value(AttributeValue);

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneType;
        impl<'de> Visitor<'de> for OneType {
            type Value = Value;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a text, a number or bytes")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                let value = match map.next_key::<&str>()? {
                    Some("S") => AttributeValue::S(map.next_value()?),
                    Some("N") => AttributeValue::N(map.next_value()?),
                    Some("B") => AttributeValue::B(Blob::new(map.next_value::<Base64>()?.0)),
                    _ => return Err(A::Error::invalid_type(de::Unexpected::Map, &self)),
                };
                match map.next_key::<IgnoredAny>()? {
                    None => Ok(Value(value)),
                    Some(_) => Err(A::Error::invalid_length(2, &self)),
                }
            }
        }
        deserializer.deserialize_map(OneType)
    }
}

/// Bytes that are decoded from base64 without a copy of the text.
struct Base64(Vec<u8>);

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        base64_simd::STANDARD.decode_to_vec(text).map(Self).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read_by_the_sdk(body: &[u8]) -> OutputOrError {
        let response = HttpResponse::new(StatusCode::try_from(200).unwrap(), SdkBody::from(body.to_vec()));
        let operation = BatchGetItem::new().config().unwrap();
        let sdk = operation.load::<SharedResponseDeserializer>().unwrap();
        sdk.deserialize_nonstreaming_with_config(&response, &ConfigBag::base())
    }

    fn attribute() -> impl Strategy<Value = serde_json::Value> {
        prop_oneof![
            any::<String>().prop_map(|text| json!({"S": text})),
            any::<i64>().prop_map(|number| json!({"N": number.to_string()})),
            any::<Vec<u8>>().prop_map(|bytes| json!({"B": base64_simd::STANDARD.encode_to_string(bytes)})),
        ]
    }

    proptest! {
        #[test]
        fn an_answer_is_read_as_the_sdk_reads_it(
            items in prop::collection::vec(prop::collection::hash_map(any::<String>(), attribute(), 0..5), 0..5),
            half_units in prop::option::of(any::<u16>()),
        ) {
            let mut answer = json!({"Responses": {"t": items}, "UnprocessedKeys": {}});
            if let Some(half_units) = half_units {
                answer["ConsumedCapacity"] = json!([{"TableName": "t", "CapacityUnits": f64::from(half_units) / 2.0}]);
            }
            let body = answer.to_string();
            let read = read(body.as_bytes()).expect("an answer as expected");
            let expected = read_by_the_sdk(body.as_bytes()).unwrap();
            prop_assert_eq!(Some(&read), expected.downcast_ref::<BatchGetItemOutput>());
        }
    }

    #[test]
    fn what_is_not_expected_is_left_to_the_sdk() {
        let item =
            |value: &str| format!(r#"{{"Responses":{{"t":[{{"a":{value}}}]}},"UnprocessedKeys":{{}}}}"#);
        assert!(read(item(r#"{"S":"text"}"#).as_bytes()).is_some());
        for body in [
            String::new(),
            "{}".to_owned(),
            "[]".to_owned(),
            r#"{"Responses":{"t":["#.to_owned(),
            r#"{"__type":"SomeError","Responses":{}}"#.to_owned(),
            r#"{"Responses":{},"UnprocessedKeys":{"t":{"Keys":[{"id":{"S":"a"}}]}}}"#.to_owned(),
            item(r#"{"L":[]}"#),
            item(r#"{"B":"*"}"#),
            item(r#"{"B":7}"#),
            item(r#"{"S":"a","N":"1"}"#),
            item("{}"),
        ] {
            assert!(read(body.as_bytes()).is_none(), "{body}");
        }
    }
}
