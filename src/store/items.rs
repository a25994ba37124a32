//! DynamoDB's items: puts attributes into them, and takes attributes out, each as the type that it must have.

use std::collections::HashMap;
use std::fmt;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use super::error::StoreError;
use crate::position::Position;

/// An item, or a key.
pub type Item = HashMap<String, AttributeValue>;

/// A text as an attribute's value.
pub fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// Bytes as an attribute's value.
pub fn bytes(bytes: impl Into<Vec<u8>>) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

/// The range key of an item, which both tables call `entry`.
pub fn entry_of(item: &Item) -> String {
    item.get("entry").and_then(|entry| entry.as_s().ok()).cloned().unwrap_or_default()
}

/// The names behind the placeholders `#entry` and `#position` in an expression; `None` where it has neither.
/// DynamoDB reserves the word `position`, so that an expression cannot use the name itself. It does not
/// reserve `entry`, which is written in the same way to need no other rule.
pub fn reserved_names(expression: &str) -> Option<HashMap<String, String>> {
    let used = ["entry", "position", "namespace", "until"]
        .into_iter()
        .filter(|name| expression.contains(&format!("#{name}")));
    let names: HashMap<_, _> = used.map(|name| (format!("#{name}"), name.to_owned())).collect();
    (!names.is_empty()).then_some(names)
}

/// One item, whose attributes are taken out one by one. An attribute that is missing or of another type is an
/// error that names the record.
pub struct Attributes<'a> {
    /// The attributes that were not taken out yet.
    pub item: Item,
    /// The table's name.
    pub table: &'a str,
    /// The record that the item belongs to.
    pub subject: Subject<'a>,
}

/// The record that an item belongs to, for error texts. It only borrows the names, since there is one for
/// each item that is read, and it is put into words only where something is wrong.
#[derive(Clone, Copy)]
pub enum Subject<'a> {
    /// The release of an id.
    Release(&'a str),
    /// The artifact of an id.
    Artifact(&'a str),
    /// An entry of the list that this facet's text names.
    EntryOf(&'a str),
    /// A position in the list that this facet's text names.
    PositionOf(&'a str),
    /// An artifact whose id is not known.
    SomeArtifact,
    /// An item of which nothing is known.
    SomeItem,
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Release(id) => write!(formatter, "release {id:?}"),
            Self::Artifact(id) => write!(formatter, "artifact {id:?}"),
            Self::EntryOf(facet) => write!(formatter, "an entry of {facet}"),
            Self::PositionOf(facet) => write!(formatter, "a position of {facet}"),
            Self::SomeArtifact => formatter.write_str("an artifact"),
            Self::SomeItem => formatter.write_str("an item"),
        }
    }
}

impl<'a> Attributes<'a> {
    /// The attributes of an item of a table.
    pub fn new(item: Item, table: &'a str, subject: Subject<'a>) -> Self {
        Self { item, table, subject }
    }

    /// Takes a text out.
    ///
    /// # Errors
    /// The attribute is missing, or of another type or form.
    pub fn text(&mut self, name: &str) -> Result<String, StoreError> {
        match self.item.remove(name) {
            Some(AttributeValue::S(text)) => Ok(text),
            other => Err(self.unreadable_attribute(name, other.is_some())),
        }
    }

    /// Takes bytes out.
    ///
    /// # Errors
    /// The attribute is missing, or of another type or form.
    pub fn bytes(&mut self, name: &str) -> Result<Vec<u8>, StoreError> {
        match self.item.remove(name) {
            Some(AttributeValue::B(bytes)) => Ok(bytes.into_inner()),
            other => Err(self.unreadable_attribute(name, other.is_some())),
        }
    }

    /// The bytes of an attribute that may be missing; they are empty where it is.
    ///
    /// # Errors
    /// The attribute is of another type.
    pub fn bytes_or_none(&mut self, name: &str) -> Result<Vec<u8>, StoreError> {
        if self.has(name) { self.bytes(name) } else { Ok(Vec::new()) }
    }

    /// Takes a count out.
    ///
    /// # Errors
    /// The attribute is missing, or of another type or form.
    pub fn number(&mut self, name: &str) -> Result<usize, StoreError> {
        match self.item.remove(name) {
            Some(AttributeValue::N(number)) => {
                number.parse().map_err(|_| self.unreadable(format!("its attribute {name:?} is not a count")))
            }
            other => Err(self.unreadable_attribute(name, other.is_some())),
        }
    }

    /// Takes a position out.
    ///
    /// # Errors
    /// The attribute is missing, or of another type or form.
    pub fn position(&mut self, name: &str) -> Result<Position, StoreError> {
        let text = self.text(name)?;
        Position::parse(&text).ok_or_else(|| self.unreadable(format!("its {name} {text:?} has another form")))
    }

    /// Whether the item has an attribute.
    pub fn has(&self, name: &str) -> bool {
        self.item.contains_key(name)
    }

    fn unreadable_attribute(&self, name: &str, is_there: bool) -> StoreError {
        let problem = if is_there { "is of another type" } else { "is missing" };
        self.unreadable(format!("its attribute {name:?} {problem}"))
    }

    /// The error that the record cannot be read, for this reason.
    pub fn unreadable(&self, reason: impl Into<String>) -> StoreError {
        StoreError::UnreadableRecord {
            table: self.table.to_owned(),
            record: self.subject.to_string(),
            reason: reason.into(),
        }
    }
}
