//! The 6 MiB rule: how large a response Lambda takes, and how much of that a body needs.
//!
//! Lambda counts the JSON of the whole proxy response. In it a text body is a JSON string, so that its
//! escapes count, and a gzip body is base64, four bytes for every three. What is left for the body is the
//! limit, less `ENVELOPE_BYTES` for the status and the headers, less the `Link` where there is one. A gzip
//! body without a `Link` may therefore have (6,291,556 − 1,024) / 4 × 3 = 4,717,899 bytes.

use crate::accept_encoding::ContentCoding;

/// The most bytes that Lambda takes as the JSON of a response to a synchronous call: 6 MiB and 100 bytes.
pub const MAX_RESPONSE_BYTES: usize = 6_291_556;

/// The bytes set aside for everything but the body and a `Link`: status, flags, and the other headers, which
/// an Application Load Balancer's response has twice. A test in `lambda/event.rs` checks that this is enough.
const ENVELOPE_BYTES: usize = 1024;
/// An Application Load Balancer's response has a `Link` twice, too.
const LINK_TIMES: usize = 2;
/// More than `<?…>; rel="next"` and the header's name take around the query of a `Link`.
const BYTES_AROUND_A_LINK: usize = 64;

/// How many bytes of the response JSON the body may take. `link` is the length of the query in a `Link`
/// header, where the response has one.
pub fn room_for_body(link: Option<usize>) -> usize {
    let link = link.map_or(0, |query| LINK_TIMES * (query + BYTES_AROUND_A_LINK));
    MAX_RESPONSE_BYTES.saturating_sub(ENVELOPE_BYTES + link)
}

/// How many bytes of the response JSON a body takes. `length` is the escaped length of a text, or the length
/// of a gzip member.
pub fn body_in_json(coding: ContentCoding, length: usize) -> usize {
    match coding {
        ContentCoding::Identity => length,
        ContentCoding::Gzip => base64_length(length),
    }
}

/// Whether a body fits into the response JSON; `link` is as in [`room_for_body`].
pub fn fits(coding: ContentCoding, body: &[u8], link: Option<usize>) -> bool {
    let room = room_for_body(link);
    match coding {
        ContentCoding::Gzip => base64_length(body.len()) <= room,
        // An escape takes six bytes at most, so the escapes of most texts need not be counted.
        ContentCoding::Identity => body.len() * 6 <= room || escaped_length(body) <= room,
    }
}

/// How many bytes base64 makes of `bytes`.
pub fn base64_length(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

/// How many bytes a text takes inside a JSON string, as `serde_json` writes it.
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
