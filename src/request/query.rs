//! A request's query: its parameters, and how the queries in a `Link` are made.

use form_urlencoded::{Serializer, byte_serialize, parse};

/// The parameters in the order in which they came, decoded as the URL standard decodes a form
/// (<https://url.spec.whatwg.org/#urlencoded-parsing>).
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query as it stands in a URL, without the `?`.
    pub fn parse(query: &str) -> Self {
        Self(parse(query.as_bytes()).into_owned().collect())
    }

    /// The value of a parameter. Where it is repeated, the first one counts. An empty value counts as none.
    pub fn first(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(candidate, _)| candidate == name)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }

    /// The query, encoded.
    pub fn encode(&self) -> String {
        Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }

    /// The same query with one parameter replaced or added, encoded.
    pub fn with(&self, name: &str, value: &str) -> String {
        let others = self.0.iter().filter(|(other, _)| other != name);
        Serializer::new(String::new()).extend_pairs(others).append_pair(name, value).finish()
    }
}

/// How many bytes a text takes as a value in an encoded query.
pub fn encoded_length(value: &str) -> usize {
    byte_serialize(value.as_bytes()).map(str::len).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn first(query: &str, name: &str) -> Option<String> {
        Query::parse(query).first(name).map(str::to_owned)
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
    fn a_pair_that_cannot_be_decoded_harms_no_other() {
        for broken in ["a=%zz", "a=%", "a=%2", "a=1;b=2", "%zz=1;", "a=%ff"] {
            assert_eq!(first(&format!("{broken}&c=d"), "c").as_deref(), Some("d"), "{broken}");
        }
    }

    proptest! {
        #[test]
        fn a_query_that_was_written_is_read_back(pairs: Vec<(String, String)>, cursor: String) {
            prop_assume!(pairs.iter().all(|(name, _)| name != "after"));
            let query = Query(pairs);
            prop_assert_eq!(&Query::parse(&query.encode()), &query);
            let mut with_cursor = query.clone();
            with_cursor.0.push(("after".to_owned(), cursor.clone()));
            let read = Query::parse(&query.with("after", &cursor));
            prop_assert_eq!(&read, &with_cursor);
            prop_assert_eq!(read.with("after", &cursor), query.with("after", &cursor));
            let without_value = query.with("after", "");
            prop_assert_eq!(read.encode().len(), without_value.len() + encoded_length(&cursor));
        }
    }
}
