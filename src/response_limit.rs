//! The 6 MiB rule: how large a response Lambda takes, and what of it a body takes.
//!
//! Lambda counts the whole response JSON, in which a text body is an escaped string and any other body is base64.

use crate::request_headers::ContentCoding;

/// What Lambda takes from a function that answers synchronously: the whole response JSON, 6 MiB and 100 bytes.
pub const MAX_RESPONSE_BYTES: usize = 6_291_556;

/// More than everything takes that stands around a body and a `Link`: status, flags, and the other headers, twice for
/// an Application Load Balancer. The edge's tests hold it to that.
const ENVELOPE_BYTES: usize = 1024;
/// A `Link` stands in the response JSON twice for an Application Load Balancer, with `<?…>; rel="next"` around the query.
const LINK_TIMES: usize = 2;
const BYTES_AROUND_A_LINK: usize = 64;

/// How many bytes the response JSON may give to the body, where a `Link` with a query of `link` bytes is beside it.
#[must_use]
pub fn room_for_body(link: Option<usize>) -> usize {
    let link = link.map_or(0, |query| LINK_TIMES * (query + BYTES_AROUND_A_LINK));
    MAX_RESPONSE_BYTES.saturating_sub(ENVELOPE_BYTES + link)
}

/// How many bytes of the response JSON a body takes: `text` is the escaped length of a text, `gzip` the length of a gzip
/// member.
#[must_use]
pub fn body_in_json(coding: ContentCoding, length: usize) -> usize {
    match coding {
        ContentCoding::Identity => length,
        ContentCoding::Gzip => base64_length(length),
    }
}

/// Whether a body fits into the response JSON, where a `Link` with a query of `link` bytes is beside it.
#[must_use]
pub fn fits(coding: ContentCoding, body: &[u8], link: Option<usize>) -> bool {
    let room = room_for_body(link);
    match coding {
        ContentCoding::Gzip => base64_length(body.len()) <= room,
        // An escape takes six bytes at most, so most texts need not be counted.
        ContentCoding::Identity => body.len() * 6 <= room || escaped_length(body) <= room,
    }
}

/// How many bytes base64 makes of `bytes`.
#[must_use]
pub fn base64_length(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

/// How many bytes a text takes inside a JSON string, as `serde_json` writes it.
#[must_use]
pub fn escaped_length(text: &[u8]) -> usize {
    let extra = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 1,
        0..b' ' => 5,
        _ => 0,
    };
    text.iter().map(|byte| extra(*byte)).sum::<usize>() + text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_escaped_length_is_that_of_the_json_string(text: String) {
            let json = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(escaped_length(text.as_bytes()), json.len() - 2);
        }

        #[test]
        fn a_base64_length_is_that_of_the_text(bytes: Vec<u8>) {
            prop_assert_eq!(base64_length(bytes.len()), base64_simd::STANDARD.encode_to_string(&bytes).len());
        }
    }

    #[test]
    fn every_ascii_character_is_counted_as_it_is_escaped() {
        for character in (0..0x80).map(char::from) {
            let text = character.to_string();
            let json = serde_json::to_string(&text).unwrap();
            assert_eq!(escaped_length(text.as_bytes()), json.len() - 2, "{json}");
        }
    }
}
