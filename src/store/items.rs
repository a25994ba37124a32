//! DynamoDB's items: puts attributes into them, and takes attributes out, each as the type that it must have.

use std::collections::HashMap;
use std::fmt;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use super::error::StoreError;
use crate::position::Position;

/// An item, or a key.
pub(super) type Item = HashMap<String, AttributeValue>;

/// A text as an attribute's value.
pub(super) fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// A text that is stored only for people who look into the table, cut to 200 characters. It is `None` where the text
/// is empty, since older implementations of DynamoDB refuse empty texts.
pub(super) fn note(text: &str) -> Option<AttributeValue> {
    (!text.is_empty()).then(|| AttributeValue::S(text.chars().take(200).collect()))
}

/// Bytes as an attribute's value.
pub(super) fn bytes(bytes: impl Into<Vec<u8>>) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
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

/// The range key of an item, which both tables call `entry`.
pub(super) fn entry_of(item: &Item) -> String {
    item.get("entry").and_then(|entry| entry.as_s().ok()).cloned().unwrap_or_default()
}

/// The names behind the placeholders `#entry` and `#position` in an expression; `None` where it has neither. DynamoDB
/// reserves both words, so that an expression cannot use the names themselves.
pub(super) fn reserved_names(expression: &str) -> Option<HashMap<String, String>> {
    let used = ["entry", "position"].into_iter().filter(|name| expression.contains(&format!("#{name}")));
    let names: HashMap<_, _> = used.map(|name| (format!("#{name}"), name.to_owned())).collect();
    (!names.is_empty()).then_some(names)
}

/// One item, whose attributes are taken out one by one. An attribute that is missing or of another type is an error
/// that names the record.
pub(super) struct Attributes<'a> {
    pub(super) item: Item,
    pub(super) table: &'a str,
    pub(super) subject: Subject<'a>,
}

/// The record that an item belongs to, for error texts. It only borrows the names, since there is one for each item
/// that is read, and it is put into words only where something is wrong.
#[derive(Clone, Copy)]
pub(super) enum Subject<'a> {
    Release(&'a str),
    Artifact(&'a str),
    Fact(&'a str),
    /// An entry of the list that this facet's text names.
    EntryOf(&'a str),
    PositionOf(&'a str),
    SomeArtifact,
    SomeItem,
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Release(id) => write!(formatter, "release {id:?}"),
            Self::Artifact(id) => write!(formatter, "artifact {id:?}"),
            Self::Fact(digest) => write!(formatter, "fact {digest:?}"),
            Self::EntryOf(facet) => write!(formatter, "an entry of {facet}"),
            Self::PositionOf(facet) => write!(formatter, "a position of {facet}"),
            Self::SomeArtifact => formatter.write_str("an artifact"),
            Self::SomeItem => formatter.write_str("an item"),
        }
    }
}

impl<'a> Attributes<'a> {
    pub(super) fn new(item: Item, table: &'a str, subject: Subject<'a>) -> Self {
        Self { item, table, subject }
    }

    pub(super) fn text(&mut self, name: &str) -> Result<String, StoreError> {
        match self.item.remove(name) {
            Some(AttributeValue::S(text)) => Ok(text),
            other => Err(self.unreadable_attribute(name, other.is_some())),
        }
    }

    pub(super) fn bytes(&mut self, name: &str) -> Result<Vec<u8>, StoreError> {
        match self.item.remove(name) {
            Some(AttributeValue::B(bytes)) => Ok(bytes.into_inner()),
            other => Err(self.unreadable_attribute(name, other.is_some())),
        }
    }

    /// The bytes of an attribute that may be missing; they are empty where it is.
    pub(super) fn bytes_or_none(&mut self, name: &str) -> Result<Vec<u8>, StoreError> {
        if self.has(name) { self.bytes(name) } else { Ok(Vec::new()) }
    }

    pub(super) fn number(&mut self, name: &str) -> Result<usize, StoreError> {
        match self.item.remove(name) {
            Some(AttributeValue::N(number)) => {
                number.parse().map_err(|_| self.unreadable(format!("its attribute {name:?} is not a count")))
            }
            other => Err(self.unreadable_attribute(name, other.is_some())),
        }
    }

    pub(super) fn position(&mut self, name: &str) -> Result<Position, StoreError> {
        let text = self.text(name)?;
        Position::parse(&text).ok_or_else(|| self.unreadable(format!("its {name} {text:?} has another form")))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.item.contains_key(name)
    }

    fn unreadable_attribute(&self, name: &str, is_there: bool) -> StoreError {
        let problem = if is_there { "is of another type" } else { "is missing" };
        self.unreadable(format!("its attribute {name:?} {problem}"))
    }

    pub(super) fn unreadable(&self, reason: impl Into<String>) -> StoreError {
        StoreError::UnreadableRecord {
            table: self.table.to_owned(),
            record: self.subject.to_string(),
            reason: reason.into(),
        }
    }
}
