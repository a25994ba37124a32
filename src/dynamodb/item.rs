//! Items and their attributes, as DynamoDB's JSON has them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap as _, Serializer};

/// An item, or a key.
pub type Item = BTreeMap<String, AttributeValue>;

/// An attribute's value; the tables hold no other types than texts, numbers and bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributeValue {
    /// A text.
    S(String),
    /// A number, in decimal digits.
    N(String),
    /// Bytes.
    B(Vec<u8>),
    /// A value of a type that this service stores nowhere.
    Other,
}

impl AttributeValue {
    /// The text that it is, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::S(text) => Some(text),
            Self::N(_) | Self::B(_) | Self::Other => None,
        }
    }
}

impl Serialize for AttributeValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Self::S(text) => map.serialize_entry("S", text)?,
            Self::N(number) => map.serialize_entry("N", number)?,
            Self::B(bytes) => map.serialize_entry("B", &base64_simd::STANDARD.encode_to_string(bytes))?,
            Self::Other => map.serialize_entry("NULL", &true)?,
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for AttributeValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Typed;
        impl<'de> Visitor<'de> for Typed {
            type Value = AttributeValue;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("an attribute's type and value")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AttributeValue, A::Error> {
                let mut value = AttributeValue::Other;
                while let Some(kind) = map.next_key::<Cow<str>>()? {
                    value = match kind.as_ref() {
                        "S" => AttributeValue::S(map.next_value()?),
                        "N" => AttributeValue::N(map.next_value()?),
                        "B" => AttributeValue::B(map.next_value::<Base64>()?.0),
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                }
                Ok(value)
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
