//! A request's parameters, read as Go reads an HTML form.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What a form leaves as it is; everything else is percent-encoded.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The parameters in the order they came; a pair that could not be decoded is not among them, as with Zadig.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Query(Vec<(Vec<u8>, Vec<u8>)>);

impl Query {
    /// Reads a query as it was sent.
    #[must_use]
    pub fn parse(query: &[u8]) -> Self {
        let pairs = query.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
        Self(pairs.filter_map(decode_pair).collect())
    }

    /// Takes names and values that were not decoded yet, such as an ALB's.
    #[must_use]
    pub fn from_encoded_pairs(pairs: &[(String, String)]) -> Self {
        let decode =
            |(name, value): &(String, String)| Some((decode(name.as_bytes())?, decode(value.as_bytes())?));
        Self(pairs.iter().filter_map(decode).collect())
    }

    /// Takes names and values that were decoded, such as a REST API's.
    #[must_use]
    pub fn from_decoded_pairs(pairs: Vec<(String, String)>) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into_bytes(), value.into_bytes())).collect())
    }

    /// A parameter's value: the first where it is repeated; none where that is empty.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&[u8]> {
        let (_, value) = self.0.iter().find(|(candidate, _)| candidate == name.as_bytes())?;
        Some(value.as_slice()).filter(|value| !value.is_empty())
    }

    /// The query, encoded.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut encoded = String::new();
        for (name, value) in &self.0 {
            push_pair(&mut encoded, &encode(name), &encode(value));
        }
        encoded
    }

    /// The same query with one parameter replaced or added, encoded.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> String {
        let others = self.0.iter().filter(|(other, _)| other != name.as_bytes()).cloned();
        let mut encoded = Self(others.collect()).encode();
        push_pair(&mut encoded, name, &utf8_percent_encode(value, FORM).to_string());
        encoded
    }
}

/// How many bytes a text takes as a value of an encoded query.
#[must_use]
pub fn encoded_length(value: &str) -> usize {
    utf8_percent_encode(value, FORM).map(str::len).sum()
}

fn push_pair(encoded: &mut String, name: &str, value: &str) {
    if !encoded.is_empty() {
        encoded.push('&');
    }
    encoded.extend([name, "=", value]);
}

fn encode(bytes: &[u8]) -> String {
    percent_encoding::percent_encode(bytes, FORM).to_string()
}

/// Go's `url.ParseQuery` refuses a pair with a bare semicolon.
fn decode_pair(pair: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let split = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
    let (name, value) = (&pair[..split], pair.get(split + 1..).unwrap_or_default());
    Some((decode(name)?, decode(value)?))
}

/// Go's `url.QueryUnescape`, which refuses a percent sign without two hexadecimal digits.
fn decode(encoded: &[u8]) -> Option<Vec<u8>> {
    if encoded.contains(&b';') {
        return None;
    }
    let is_escape =
        |rest: &[u8]| matches!(rest, [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit());
    let mut percents = encoded.iter().enumerate().filter(|(_, byte)| **byte == b'%');
    if !percents.all(|(place, _)| is_escape(&encoded[place + 1..])) {
        return None;
    }
    let spaced: Vec<u8> = encoded.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    Some(Cow::from(percent_encoding::percent_decode(&spaced)).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn first(query: &str, name: &str) -> Option<String> {
        Query::parse(query.as_bytes()).first(name).map(|value| String::from_utf8_lossy(value).into_owned())
    }

    #[test]
    fn parameters_are_read_as_a_form() {
        assert_eq!(first("a=x%20y+z", "a").as_deref(), Some("x y z"));
        assert_eq!(first("a=1&a=2", "a").as_deref(), Some("1"));
        assert_eq!(first("a=&a=2", "a"), None, "the first counts, and it is empty");
        assert_eq!(first("a", "a"), None);
        assert_eq!(first("&&a=b=c&", "a").as_deref(), Some("b=c"));
        assert_eq!(first("%61=b", "a").as_deref(), Some("b"));
        assert_eq!(first("A=b", "a"), None);
    }

    #[test]
    fn a_pair_that_cannot_be_decoded_is_dropped_and_no_other() {
        for broken in ["a=%zz", "a=%", "a=%2", "a=1;b=2", "%zz=1;"] {
            assert_eq!(first(broken, "a"), None, "{broken}");
            assert_eq!(first(&format!("{broken}&c=d"), "c").as_deref(), Some("d"), "{broken}");
        }
        assert_eq!(Query::parse(b"a=%ff").first("a"), Some(&b"\xff"[..]), "bytes need not be UTF-8");
    }

    proptest! {
        #[test]
        fn a_query_that_was_written_is_read_back(pairs: Vec<(String, String)>, cursor: String) {
            prop_assume!(pairs.iter().all(|(name, _)| name != "after"));
            let query = Query::from_decoded_pairs(pairs);
            let read = Query::parse(query.with("after", &cursor).as_bytes());
            prop_assert_eq!(&read.0[..read.0.len() - 1], &query.0[..]);
            prop_assert_eq!(&read.0[read.0.len() - 1], &(b"after".to_vec(), cursor.clone().into_bytes()));
            prop_assert_eq!(read.with("after", &cursor), query.with("after", &cursor));
        }

        #[test]
        fn any_bytes_are_read(query: Vec<u8>) {
            let _ = Query::parse(&query);
        }
    }
}
