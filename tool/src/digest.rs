//! Digests of texts that are as short as an id.

use delivery_center::store::artifacts::found_by::Short;
use hex_simd::AsciiCase;
use ring::digest::{Context, Digest, SHA256};

/// The first 24 hex digits of a SHA-256 of several texts; Zadig's ids have 24 digits, too. Each text goes in
/// after its length, so that `["ab", "c"]` and `["a", "bc"]` have different digests.
pub(crate) fn of_texts(texts: &[&str]) -> String {
    hex_simd::encode_to_string(&sha256(texts).as_ref()[..12], AsciiCase::Lower)
}

/// The first 8 bytes of the same, as an artifact's lists hold them.
pub(crate) fn short(texts: &[&str]) -> Short {
    *sha256(texts).as_ref().first_chunk().expect("a SHA-256 has 32 bytes")
}

fn sha256(texts: &[&str]) -> Digest {
    let mut digest = Context::new(&SHA256);
    for text in texts {
        digest.update(&(text.len() as u64).to_le_bytes());
        digest.update(text.as_bytes());
    }
    digest.finish()
}
