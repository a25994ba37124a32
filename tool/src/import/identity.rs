//! Tells which record a text is, in 16 bytes, so that an import can remember every record that it met.

use ring::digest::{Context, SHA256};

use crate::record::UncheckedRecord;

/// The beginning of a SHA-256 of the record's kind and id.
pub(super) type IdentityDigest = [u8; 16];

/// Tells which record a text is; `None` where the text has no kind or no id.
pub(super) fn identity_of(text: &[u8]) -> Option<IdentityDigest> {
    let record = UncheckedRecord::read(text).ok()?;
    let kind = if record.is_release { "release" } else { "artifact" };
    let mut digest = Context::new(&SHA256);
    for part in [kind, "\0", &record.id] {
        digest.update(part.as_bytes());
    }
    Some(digest.finish().as_ref()[..16].try_into().expect("a SHA-256 digest has more than 16 bytes"))
}
