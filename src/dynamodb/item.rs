//! Items and their attributes, as DynamoDB's JSON has them.

use std::borrow::{Borrow, Cow};
use std::collections::BTreeMap;

use base64_simd::STANDARD;
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

use super::json::{Reader, Unreadable};

/// An item, or a key.
pub type Item = BTreeMap<Name, AttributeValue>;

/// An attribute's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Name(Cow<'static, str>);

impl Name {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&'static str> for Name {
    fn from(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }
}

/// Names are ordered as texts are, and found by them.
impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// An attribute's value; the tables hold no other types than texts, numbers and bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributeValue {
    /// A text.
    S(String),
    /// A number, in decimal digits.
    N(String),
    /// Bytes.
    B(Base64),
    /// A value of a type that this service stores nowhere.
    Other,
}

/// Bytes in base64, as DynamoDB has them: they are decoded when somebody needs that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base64(Vec<u8>);

impl Base64 {
    /// Bytes to be written.
    #[must_use]
    pub fn encode(bytes: &[u8]) -> Self {
        Self(STANDARD.encode_type(bytes))
    }

    /// The bytes; none where it is no base64.
    #[must_use]
    pub fn decode(&self) -> Option<Vec<u8>> {
        STANDARD.decode_to_vec(&self.0).ok()
    }

    /// The base64.
    #[must_use]
    pub fn into_text(self) -> Vec<u8> {
        self.0
    }
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
            Self::B(base64) => map.serialize_entry("B", &String::from_utf8_lossy(&base64.0))?,
            Self::Other => map.serialize_entry("NULL", &true)?,
        }
        map.end()
    }
}

/// Reads an item.
pub(super) fn read_item(reader: &mut Reader) -> Result<Item, Unreadable> {
    let mut item = Item::new();
    reader.object(|reader, name| {
        let name = known(name).ok_or_else(|| reader.unreadable("UTF-8"))?;
        item.insert(name, read_value(reader)?);
        Ok(())
    })?;
    Ok(item)
}

fn read_value(reader: &mut Reader) -> Result<AttributeValue, Unreadable> {
    let mut value = AttributeValue::Other;
    reader.object(|reader, kind| {
        value = match kind.as_ref() {
            b"S" => AttributeValue::S(reader.text()?.into_owned()),
            b"N" => AttributeValue::N(reader.text()?.into_owned()),
            b"B" => AttributeValue::B(Base64(reader.text_bytes()?.into_owned())),
            _ => return reader.pass(),
        };
        Ok(())
    })?;
    Ok(value)
}

/// What the tables' attributes are called: a name that is known needs no memory. None where it is no text.
fn known(name: Cow<[u8]>) -> Option<Name> {
    const KNOWN: [&str; 12] = [
        "artifact_id",
        "brief",
        "document",
        "entry",
        "facet",
        "image_digest",
        "lengths",
        "parts",
        "position",
        "release_id",
        "rest",
        "revision",
    ];
    match KNOWN.iter().find(|known| known.as_bytes() == name.as_ref()) {
        Some(known) => Some(Name(Cow::Borrowed(known))),
        None => String::from_utf8(name.into_owned()).ok().map(|name| Name(Cow::Owned(name))),
    }
}
