//! The entries by which an artifact is found by commit, pull request and environment.
//!
//! An entry is an item beside the artifact's pointer that the index `by_image` lists too, under a text that no
//! image has. The artifact's own item lists the names of its entries, and **an entry counts only where the
//! artifact's item lists it**. So entries may be written before the item, and removed after it. Readers pass
//! over those that a crash left behind, and those that the index still lists though they are gone.
//!
//! A name is a digest of all that the entry says, and a nonce of the writer that put it. An entry never changes
//! under its key, and one that is put again after it was removed has another key.

use hex_simd::AsciiCase;

use crate::commit_prefix::CommitPrefix;
use crate::image_reference::found_under;
use crate::store::items::Item;
use crate::store::keys::{FOUND_BY_PREFIX, MAX_HASH_KEY_BYTES, artifact_key, id_hash_key, sha256};

/// How many bytes a digest or a nonce has in an artifact's lists.
pub const SHORT: usize = 8;
/// A digest or a nonce in an artifact's lists.
pub type Short = [u8; SHORT];

/// The name of an entry among those of its artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryName {
    /// The digest of all that the entry says.
    pub digest: Short,
    /// The nonce of the writer that put it.
    pub nonce: Short,
}

impl EntryName {
    /// The name in the range key of an entry; `None` where the key has another form.
    pub fn parse(entry: &str) -> Option<Self> {
        let (digest, nonce) = entry.strip_prefix(FOUND_BY_PREFIX)?.split_once('#')?;
        let short = |digits| hex_simd::decode_to_vec(digits).ok()?.try_into().ok();
        Some(Self { digest: short(digest)?, nonce: short(nonce)? })
    }

    /// The key of the entry.
    pub fn key(&self, artifact_id: &str) -> Item {
        let entry = format!("{FOUND_BY_PREFIX}{}#{}", hex(self.digest), hex(self.nonce));
        artifact_key(&id_hash_key(artifact_id), &entry)
    }
}

/// The hex digits of a digest or a nonce.
pub fn hex(short: Short) -> String {
    hex_simd::encode_to_string(short, AsciiCase::Lower)
}

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

    /// The artifacts of a repository of images that were deployed to a namespace of an environment. The
    /// namespace may be empty.
    pub fn environment(repository: &str, env_name: &str, namespace: &str) -> Self {
        let (env_name, namespace) = (escaped(env_name), escaped(namespace));
        let repository = found_under(repository);
        Self::fitted(format!("#environment={env_name}&namespace={namespace}&repository={repository}"))
    }

    /// Replaces a text that is longer than a hash key can be by its digest.
    fn fitted(text: String) -> Self {
        if text.len() <= MAX_HASH_KEY_BYTES {
            return Self(text);
        }
        Self(format!("#sha256={}", sha256(&text)))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn escaped(name: &str) -> String {
    name.replace('%', "%25").replace('&', "%26")
}

/// The names of entries as an artifact's item lists them: each nonce, then how many entries have it (two bytes,
/// the higher one first), then their digests.
pub fn listed(mut list: &[u8]) -> impl Iterator<Item = (Short, &[Short])> {
    std::iter::from_fn(move || {
        let (nonce, rest) = list.split_first_chunk()?;
        let (count, rest) = rest.split_first_chunk()?;
        let (digests, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*count)) * SHORT)?;
        list = rest;
        Some((*nonce, digests.as_chunks().0))
    })
}

/// Whether an artifact's item lists an entry.
pub fn lists(list: &[u8], name: EntryName) -> bool {
    listed(list).any(|(nonce, digests)| nonce == name.nonce && digests.contains(&name.digest))
}

/// Whether one of the commits that an entry tells begins with these digits.
pub fn tells_commit(commits: &str, commit: &CommitPrefix) -> bool {
    commits.split(' ').any(|found| commit.begins(found))
}
