//! Digests of texts that are as short as an id.

use hex_simd::AsciiCase;
use ring::digest::{Context, SHA256};

/// The first 24 hex digits of a SHA-256 of several texts; Zadig's ids have 24 digits, too. Each text goes in
/// after its length, so that `["ab", "c"]` and `["a", "bc"]` have different digests.
pub(crate) fn of_texts(texts: &[&str]) -> String {
    let mut digest = Context::new(&SHA256);
    for text in texts {
        digest.update(&(text.len() as u64).to_le_bytes());
        digest.update(text.as_bytes());
    }
    hex_simd::encode_to_string(&digest.finish().as_ref()[..12], AsciiCase::Lower)
}
