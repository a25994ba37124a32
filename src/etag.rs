//! The entity tags of both endpoints' answers, and whether a caller has the tagged answer already.

use hex_simd::AsciiCase;
use http::HeaderMap;
use http::header::IF_NONE_MATCH;
use ring::digest::{Context, SHA256, digest};

use crate::accept_encoding::values;
use crate::store::{ReleaseEntry, Verbosity};

/// The tag of a list: a digest of what the index says of it, so that a poll that finds nothing new reads no
/// documents. `rest` tells whether and where the list goes on.
pub fn of_releases(verbosity: Verbosity, entries: &[ReleaseEntry], rest: &str) -> String {
    let mut digest = Context::new(&SHA256);
    digest.update(match verbosity {
        Verbosity::Brief => b"brief\n".as_slice(),
        Verbosity::Detailed => b"detailed\n",
    });
    for entry in entries {
        for text in [entry.position.as_str(), " ", &entry.revision, "\n"] {
            digest.update(text.as_bytes());
        }
    }
    digest.update(rest.as_bytes());
    format!("W/\"{}\"", hex_simd::encode_to_string(&digest.finish().as_ref()[..16], AsciiCase::Lower))
}

/// The tag of an artifact: its revision, and a digest of the environments where these are asked for.
pub fn of_artifact(revision: &str, environments: Option<&str>) -> String {
    let Some(environments) = environments else { return format!("W/\"{revision}\"") };
    let digest = digest(&SHA256, environments.as_bytes());
    let digest = hex_simd::encode_to_string(&digest.as_ref()[..12], AsciiCase::Lower);
    format!("W/\"{revision}-{digest}\"")
}

/// Whether `If-None-Match` names an entity tag, compared weakly (RFC 9110, 13.1.2).
pub fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    values(headers, IF_NONE_MATCH).any(|tag| tag.trim() == "*" || opaque(tag) == opaque(etag))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(lines: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(IF_NONE_MATCH, line.parse().unwrap());
        }
        is_known(&headers, "W/\"a\"")
    }

    #[test]
    fn entity_tags_are_compared_weakly() {
        for header in ["W/\"a\"", "\"a\"", "\"b\", W/\"a\"", "*", " * "] {
            assert!(matches(&[header]), "{header}");
        }
        for header in ["", "\"b\"", "a", "w/\"a\""] {
            assert!(!matches(&[header]), "{header}");
        }
        assert!(!matches(&[]));
        assert!(matches(&["\"b\"", "\"a\""]), "several lines are one list");
    }
}
