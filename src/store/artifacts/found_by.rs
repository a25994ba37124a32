//! The entries by which an artifact is found by commit, pull request and environment.
//!
//! An entry is an item in the artifact's partition that the index `by_image` lists too, under a text that no
//! image has. The entry's range key is a digest of all that the entry says, so an entry never changes under
//! its key. The artifact's own item lists the digests of its entries, and **an entry counts only where the
//! artifact's item lists it**. So entries may be written before the item, and removed after it. Readers pass
//! over those that a crash left behind, and those that the index still lists though they are gone.

use hex_simd::AsciiCase;
use ring::digest::{SHA256, digest};

use crate::commit_prefix::CommitPrefix;
use crate::store::keys::MAX_HASH_KEY_BYTES;

/// How many bytes of its digest name an entry among those of its artifact.
pub const DIGEST_BYTES: usize = 8;

/// A text under which the index `by_image` lists an entry. It stands where an artifact's own item has the
/// image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FoundBy(String);

impl FoundBy {
    /// The artifacts that were made from a commit that begins with the first seven of these digits; where a
    /// repository (`owner/name`) is given, from a commit of that repository.
    pub fn commit(commit: &CommitPrefix, repository: Option<&str>) -> Self {
        let repository = repository.map(|repository| format!("&repo={repository}")).unwrap_or_default();
        Self::fitted(format!("#commit={}{repository}", commit.indexed()))
    }

    /// The artifacts that were made from a pull request of a repository (`owner/name`).
    pub fn pull_request(number: u64, repository: &str) -> Self {
        Self::fitted(format!("#pr={number}&repo={repository}"))
    }

    /// The artifacts of a repository of images that were deployed to an environment: to one namespace of it,
    /// which may be empty, or to any.
    pub fn environment(repository: &str, env_name: &str, namespace: Option<&str>) -> Self {
        let namespace = namespace.map(|namespace| format!("&namespace={}", escaped(namespace)));
        let (env_name, namespace) = (escaped(env_name), namespace.unwrap_or_default());
        Self::fitted(format!("#environment={env_name}{namespace}&repository={repository}"))
    }

    /// Replaces a text that is longer than a hash key can be by its digest.
    fn fitted(text: String) -> Self {
        if text.len() <= MAX_HASH_KEY_BYTES {
            return Self(text);
        }
        let digest = digest(&SHA256, text.as_bytes());
        Self(format!("#sha256={}", hex_simd::encode_to_string(digest.as_ref(), AsciiCase::Lower)))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn escaped(name: &str) -> String {
    name.replace('%', "%25").replace('&', "%26")
}

/// Whether an artifact's item lists the entry of a digest.
pub fn lists(listed: &[u8], digest: &str) -> bool {
    let (listed, _) = listed.as_chunks::<DIGEST_BYTES>();
    listed.iter().any(|found| bytes_of(digest) == found)
}

/// An entry's digest as an artifact's item lists it.
pub fn bytes_of(digest: &str) -> Vec<u8> {
    hex_simd::decode_to_vec(digest).unwrap_or_default()
}

/// Whether one of the commits that an entry tells begins with these digits.
pub fn tells_commit(commits: &str, commit: &CommitPrefix) -> bool {
    commits.split(' ').any(|found| commit.begins(found))
}
