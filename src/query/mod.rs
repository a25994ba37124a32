//! A request's query: its parameters, what is said of one that cannot be read, and how the queries in a
//! `Link` are made.

pub mod strconv;
mod time;

use form_urlencoded::{Serializer, parse};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use self::strconv::{AtoiError, quote};
pub use self::time::{TimeError, moment, unix_seconds};

/// What a query that may be signed has encoded: all but RFC 3986's unreserved characters.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The parameters in the order in which they came, decoded as the URL standard decodes a form
/// (<https://url.spec.whatwg.org/#urlencoded-parsing>).
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Query {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(parameters: T) -> Self {
        Self(parameters.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

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

    /// The same query with one parameter replaced or added, for a `Link`. Of a repeated parameter it has the
    /// first. It is sorted and encoded as AWS's signatures have it (the "canonical query string"), since some
    /// clients sign a query as it stands, as curl did before 8.3.
    pub fn with(&self, name: &str, value: &str) -> String {
        let others = self.0.iter().filter(|(other, _)| other != name);
        let pairs = others.map(|(name, value)| (name.as_str(), value.as_str())).chain([(name, value)]);
        let mut pairs: Vec<_> = pairs.map(|(name, value)| (encoded(name), value)).collect();
        pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
        pairs.dedup_by(|(repeated, _), (name, _)| repeated == name);
        let pairs: Vec<_> = pairs.into_iter().map(|(name, value)| name + "=" + &encoded(value)).collect();
        pairs.join("&")
    }
}

/// A text as a name or a value in the query of a `Link`.
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// How many bytes a text takes there.
pub fn encoded_length(text: &str) -> usize {
    utf8_percent_encode(text, ENCODED).map(str::len).sum()
}

/// A parameter that cannot be read, with what was given. The displayed text is the answer's `description`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// `taskId` is not a number; the words are Go's.
    #[error(transparent)]
    TaskId(AtoiError),
    /// `per_page` is not a number; the words are Zadig's.
    #[error("perPage args err :{0}")]
    PerPage(AtoiError),
    /// `page` is not a number; the words are Zadig's.
    #[error("page args err :{0}")]
    Page(AtoiError),
    /// `after` does not have the form of a cursor.
    #[error("after {} is not a cursor: take one from a Link header", quote(.0))]
    After(String),
    /// `after` names one place to begin at, `page` and `per_page` another.
    #[error("after cannot be combined with page or per_page")]
    AfterWithPage,
    /// None of `image`, `commit`, `pr` and `envName` is given; the words are Zadig's.
    #[error("image can't be empty!")]
    NoImage,
    /// `image` has a digest of another form than OCI's.
    #[error(
        "image digest {} is neither sha256: and 64 nor sha512: and 128 lower-case hex digits",
        quote(.0)
    )]
    Digest(String),
    /// More than one of `image`, `commit` and `pr` is given.
    #[error("image, commit and pr each name an artifact: give one of them")]
    SeveralArtifacts,
    /// `pr` is not a number; the words are Go's.
    #[error("pr args err :{0}")]
    PullRequest(AtoiError),
    /// `pr` is a number that no pull request has.
    #[error("pr {} is no pull request: the first is 1", quote(.0))]
    PullRequestBelowOne(String),
    /// `pr` is given without its repository.
    #[error("pr needs repo=owner/name: every repository has pull requests of that number")]
    NoRepository,
    /// `repo` has another form than `owner/name`.
    #[error("repo {} is not owner/name", quote(.0))]
    Repository(String),
    /// `envName` is given with something else than an image's repository.
    #[error(
        "envName asks what runs there: give it alone, or with image=registry/repo/name, without a tag or digest"
    )]
    EnvironmentWithoutRepository,
    /// `after` is given with `image`. A look-up by image finds one artifact, so there is nothing after it.
    #[error("after cannot be combined with image: such a look-up has one answer")]
    AfterWithImage,
    /// `commit` is not the beginning of a commit's id.
    #[error("commit {} is not 7 to 64 hex digits", quote(.0))]
    Commit(String),
    /// `since` is not a time that can be read.
    #[error("since {0}")]
    Since(TimeError),
    /// `until` is not a time that can be read.
    #[error("until {0}")]
    Until(TimeError),
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
            let query = Query(pairs);
            prop_assert_eq!(&Query::parse(&query.encode()), &query);
            let with_cursor = query.with("after", &cursor);
            let read = Query::parse(&with_cursor);
            for (name, _) in query.0.iter().filter(|(name, _)| name != "after") {
                prop_assert_eq!(read.first(name), query.first(name));
            }
            prop_assert_eq!(read.0.iter().find(|(name, _)| name == "after").map(|(_, value)| value), Some(&cursor));
            prop_assert_eq!(read.with("after", &cursor), with_cursor.clone());
            let without_value = query.with("after", "");
            prop_assert_eq!(with_cursor.len(), without_value.len() + encoded_length(&cursor));
        }

        /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>
        #[test]
        fn the_query_of_a_link_is_as_a_signature_wants_it(pairs: Vec<(String, String)>, query in "[a-c/:@*=&+%2f]{0,40}") {
            for query in [Query(pairs), Query::parse(&query)] {
                let written = query.with("after", "001637726888#a/b:c*d e~");
                prop_assert!(written.contains("after=001637726888%23a%2Fb%3Ac%2Ad%20e~"), "{written}");
                let pairs: Vec<_> = written.split('&').map(|pair| pair.split_once('=').unwrap()).collect();
                prop_assert!(pairs.is_sorted_by(|(before, _), (after, _)| before < after), "{written}");
                for text in pairs.iter().flat_map(|(name, value)| [name, value]) {
                    let plain: String = text.replace(|character: char| character.is_ascii_alphanumeric() || "-._~".contains(character), "");
                    prop_assert_eq!(plain.len(), text.matches('%').count(), "{}", written);
                    let escapes = text.split('%').skip(1).map(|rest| rest.get(..2));
                    let is_upper = |digits: &str| digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'A'..=b'F'));
                    prop_assert!(escapes.into_iter().all(|digits| digits.is_some_and(is_upper)), "{}", written);
                }
            }
        }
    }
}
