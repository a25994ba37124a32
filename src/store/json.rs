//! A stored record's JSON, as far as something is looked for in it.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A JSON value. What is neither a text, a list nor an object stays as it is written: a number may have more
/// digits than any type holds, and must not make the record unreadable.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Json {
    /// There is no such value.
    #[default]
    Nothing,
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Json>),
    /// An object.
    Object(BTreeMap<String, Json>),
    /// A number, `true`, `false` or `null`.
    Other(Box<str>),
}

impl Json {
    /// Reads a JSON text.
    ///
    /// # Errors
    /// It is not JSON.
    pub fn read(text: &str) -> serde_json::Result<Self> {
        match text.trim_start().as_bytes().first() {
            Some(b'"') => serde_json::from_str(text).map(Self::Text),
            Some(b'[') => serde_json::from_str(text).map(Self::List),
            Some(b'{') => serde_json::from_str(text).map(Self::Object),
            _ => serde_json::from_str::<&RawValue>(text).map(|value| Self::Other(value.get().into())),
        }
    }

    /// A member of an object.
    pub fn member(&self, name: &str) -> &Self {
        match self {
            Self::Object(members) => members.get(name).unwrap_or(&Self::Nothing),
            _ => &Self::Nothing,
        }
    }

    /// The elements of a list.
    pub fn elements(&self) -> &[Self] {
        if let Self::List(elements) = self { elements } else { &[] }
    }

    /// A text.
    pub fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// An unsigned integer.
    pub fn unsigned(&self) -> Option<u64> {
        if let Self::Other(number) = self { number.parse().ok() } else { None }
    }

    /// The texts at a path of members' names. Where there is a list on the way, it goes on in each element.
    pub fn texts(&self, path: &[&str]) -> Vec<String> {
        match (self, path) {
            (Self::List(elements), _) => elements.iter().flat_map(|element| element.texts(path)).collect(),
            (Self::Text(text), []) => vec![text.clone()],
            (_, [name, rest @ ..]) => self.member(name).texts(rest),
            _ => Vec::new(),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = <&RawValue>::deserialize(deserializer)?;
        Self::read(value.get()).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_in_lists_at_any_level_and_numbers_of_any_size_are_passed_by() {
        let json = Json::read(r#" {"a":[[{"b":"1"},null],{"b":["2","\u00e9"]},{"b":1e400}],"c":7,"d":-1} "#)
            .unwrap();
        assert_eq!(json.texts(&["a", "b"]), ["1", "2", "é"]);
        assert_eq!(json.texts(&["c"]), [""; 0]);
        assert_eq!((json.member("c").unsigned(), json.member("d").unsigned()), (Some(7), None));
        assert_eq!((json.member("x"), json.member("a").elements().len()), (&Json::Nothing, 3));
        assert!(Json::read("{\"a\":[1,}").is_err());
        assert!(Json::read("").is_err());
    }
}
