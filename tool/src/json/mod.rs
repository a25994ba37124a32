//! JSON as a tree. It keeps what a record says: numbers to the digit, and members in their order.
//!
//! - `reading` reads a text as a tree;
//! - `path` says where in a record something is wrong, and what.
//!
//! Every record becomes such a tree on its way in, whether it comes in the API's JSON or from Zadig's
//! database. `serde_json` writes it, as compact JSON in which strings have only the escapes that JSON needs.

mod path;
mod reading;

use std::borrow::Cow;

use indexmap::IndexMap;
pub(crate) use path::Path;
pub use path::Problem;
pub(crate) use reading::MAX_DEPTH;
use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::value::RawValue;

/// A JSON value, with as much of it as possible borrowed from the bytes that it was read from.
///
/// MongoDB also holds values that JSON has no form for: the last two.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Boolean(bool),
    /// A number as it was written: every digit counts.
    Number(Cow<'a, str>),
    Text(Cow<'a, str>),
    List(Vec<Json<'a>>),
    Object(Members<'a>),
    /// A point in time of the years 0 to 9999, in milliseconds since 1970. Its field decides what becomes of
    /// it.
    Date(i64),
    /// Any other such value, as a message names it. A record with one is refused, since whatever JSON could
    /// hold in its place would be another value.
    Foreign(&'static str),
}

/// The members of an object in their order, each name once. Where a name is inserted again, the last value
/// stays, at the place of the first.
pub(crate) type Members<'a> = IndexMap<Cow<'a, str>, Json<'a>>;

impl<'a> Json<'a> {
    pub(crate) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn integer(number: i128) -> Self {
        Self::Number(number.to_string().into())
    }

    /// The text, where it is one.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A member's value, where it is an object and has it.
    pub(crate) fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.get(name),
            _ => None,
        }
    }

    /// The elements, where it is a list; none where it is anything else.
    pub(crate) fn elements(&self) -> &[Self] {
        match self {
            Self::List(elements) => elements,
            _ => &[],
        }
    }

    pub(crate) fn into_members(self, path: &Path<'_>) -> Result<Members<'a>, Problem> {
        match self {
            Self::Object(members) => Ok(members),
            other => Err(other.unexpected("an object", path)),
        }
    }

    pub(crate) fn into_elements(self, path: &Path<'_>) -> Result<Vec<Self>, Problem> {
        match self {
            Self::List(elements) => Ok(elements),
            other => Err(other.unexpected("a list", path)),
        }
    }

    /// Reads a signed or unsigned 64-bit integer, into a type that holds both.
    pub(crate) fn as_integer(&self, path: &Path<'_>) -> Result<i128, Problem> {
        let Self::Number(number) = self else { return Err(self.unexpected("an integer", path)) };
        if number.contains(['.', 'e', 'E']) {
            return Err(path.problem("expected an integer, found a number with a fraction or an exponent"));
        }
        let is_64_bits = |number: &i128| (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(number);
        let past = || path.problem("expected an integer, found a number of more than 64 bits");
        number.parse().ok().filter(is_64_bits).ok_or_else(past)
    }

    /// Whether it says nothing: `null`, or what Go's JSON leaves out where a field is `omitempty`.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Null | Self::Boolean(false) => true,
            Self::Boolean(true) | Self::Date(_) | Self::Foreign(_) => false,
            Self::Number(number) => number == "0",
            Self::Text(text) => text.is_empty(),
            Self::List(elements) => elements.is_empty(),
            Self::Object(members) => members.is_empty(),
        }
    }

    /// The problem of a value that is of another kind than documented.
    pub(crate) fn unexpected(&self, expected: &str, path: &Path<'_>) -> Problem {
        let found = match self {
            Self::Null => "null",
            Self::Boolean(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
            Self::Date(_) => "a date",
            Self::Foreign(what) => what,
        };
        path.problem(format!("expected {expected}, found {found}"))
    }
}

/// Writes a tree, or a part of it, as compact JSON.
pub(crate) fn to_text(tree: &impl Serialize) -> String {
    serde_json::to_string(tree).expect("what JSON cannot hold is taken out of a tree before it is written")
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Boolean(boolean) => boolean.serialize(serializer),
            Self::Number(number) => {
                serde_json::from_str::<&RawValue>(number).map_err(S::Error::custom)?.serialize(serializer)
            }
            Self::Text(text) => text.serialize(serializer),
            Self::List(elements) => elements.serialize(serializer),
            Self::Object(members) => serializer.collect_map(members),
            Self::Date(_) | Self::Foreign(_) => Err(S::Error::custom("JSON has no form for it")),
        }
    }
}
