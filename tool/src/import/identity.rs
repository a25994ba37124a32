//! Which record a text is, small enough to be held for every record of an import.

use delivery_center::record::{Identity, Record};
use ring::digest::{Context, SHA256};

/// A digest of kind and id.
pub(super) type IdentityDigest = [u8; 16];

/// Which record a text is, where it says so.
pub(super) fn identity_of(text: &[u8]) -> Option<IdentityDigest> {
    let (kind, id) = match Record::identity(text)? {
        Identity::Release(id) => ("release", id),
        Identity::Artifact(id) => ("artifact", id),
    };
    let mut digest = Context::new(&SHA256);
    for part in [kind, "\0", &id] {
        digest.update(part.as_bytes());
    }
    Some(digest.finish().as_ref()[..16].try_into().expect("a SHA-256 digest has more than 16 bytes"))
}
