//! The entries by which an artifact is found by commit, pull request and environment.
//!
//! An entry is an item in the artifact's partition that the index `by_image` lists too, under a text that no image has. The
//! entry's range key is a digest of all that the entry says, so an entry never changes under its key. The artifact's own item
//! lists the digests of its entries, and **an entry counts only where the artifact's item lists it**. So entries may be written
//! before the item, and removed after it. Readers pass over those that a crash left behind, and those that the index still
//! lists though they are gone.

use std::collections::{BTreeMap, BTreeSet};

use hex_simd::AsciiCase;
use ring::digest::{SHA256, digest};

use crate::commit_prefix::CommitPrefix;
use crate::image_reference::repository;
use crate::position::Position;
use crate::record::{Activities, Artifact, Deployment};
use crate::store::batch_write::Unstorable;
use crate::store::items::{Item, text};
use crate::store::keys::{MAX_HASH_KEY_BYTES, artifact_entry, artifact_key, found_by_entry};

/// How many entries an artifact may have. Its pointer lists them all, and an item may have 400 KB.
const MAX_ENTRIES: usize = 10_000;
/// How many bytes of its digest name an entry among those of its artifact.
const DIGEST_BYTES: usize = 8;

/// A text under which the index `by_image` lists an entry. It stands where an artifact's own item has the image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FoundBy(String);

impl FoundBy {
    /// The artifacts that were made from a commit that begins with the first seven of these digits; where a repository
    /// (`owner/name`) is given, from a commit of that repository.
    pub(super) fn commit(commit: &CommitPrefix, repository: Option<&str>) -> Self {
        let repository = repository.map(|repository| format!("&repo={repository}")).unwrap_or_default();
        Self::fitted(format!("#commit={}{repository}", commit.indexed()))
    }

    /// The artifacts that were made from a pull request of a repository (`owner/name`).
    pub(super) fn pull_request(number: u64, repository: &str) -> Self {
        Self::fitted(format!("#pr={number}&repo={repository}"))
    }

    /// The artifacts of a repository of images that were deployed to an environment: to one namespace of it, which may be empty,
    /// or to any.
    pub(super) fn environment(repository: &str, env_name: &str, namespace: Option<&str>) -> Self {
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

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

fn escaped(name: &str) -> String {
    name.replace('%', "%25").replace('&', "%26")
}

/// The entries of an artifact.
#[derive(Debug, Clone, Default)]
pub(super) struct Entries {
    /// The items by their digest, which is the end of their range key.
    items: BTreeMap<String, Item>,
}

impl Entries {
    /// The entries of an artifact whose own item has this hash key.
    ///
    /// # Errors
    /// [`Unstorable`], where there are more than the artifact's items can list.
    pub(super) fn of(artifact: &Artifact, hash_key: &str) -> Result<Self, Unstorable> {
        let activities =
            Activities::of(&artifact.json).expect("a checked artifact's JSON is in the documented form");
        let position = Position::new(artifact.created_time, &artifact.artifact_id);
        let mut entries = Self::default();
        let mut add = |found_by: FoundBy, at: &Position, commits: Option<String>| {
            let own = artifact_entry(&position);
            let commits_told = commits.as_deref().unwrap_or_default();
            let digest = crate::digest::of_texts(&[found_by.as_str(), at.as_str(), &own, commits_told]);
            let digest = digest[..2 * DIGEST_BYTES].to_owned();
            let mut item = artifact_key(hash_key, &found_by_entry(&artifact.artifact_id, &digest));
            item.insert("image".to_owned(), text(found_by.as_str()));
            item.insert("position".to_owned(), text(at.as_str()));
            item.insert("artifact".to_owned(), text(own));
            item.extend(commits.map(|commits| ("commits".to_owned(), text(commits))));
            entries.items.insert(digest, item);
        };
        let mut by_commit = BTreeMap::<FoundBy, BTreeSet<String>>::new();
        let mut pull_requests = BTreeSet::new();
        for commit in &activities.commits {
            let repository = commit.repository.as_str();
            if let Some(prefix) = CommitPrefix::longest_of(&commit.commit_id) {
                let is_whole = repository.split('/').all(|part| !part.is_empty());
                for repository in [None, Some(repository).filter(|_| is_whole)] {
                    let commits = by_commit.entry(FoundBy::commit(&prefix, repository)).or_default();
                    commits.insert(prefix.to_string());
                }
            }
            pull_requests
                .extend(commit.pull_requests.iter().map(|number| FoundBy::pull_request(*number, repository)));
        }
        for (found_by, commits) in by_commit {
            add(found_by, &position, Some(commits.into_iter().collect::<Vec<_>>().join(" ")));
        }
        for found_by in pull_requests {
            add(found_by, &position, None);
        }
        if !artifact.image.is_empty() {
            let repository = repository(&artifact.image);
            // The newest come first, so the first of an environment is its last deploy.
            let mut environments = BTreeSet::new();
            for deployment in &activities.deployments {
                let Deployment { env_name, namespace, .. } = deployment;
                let at = Position::new(deployment.ordered_by(), &artifact.artifact_id);
                add(FoundBy::environment(repository, env_name, Some(namespace)), &at, None);
                if environments.insert(env_name) {
                    add(FoundBy::environment(repository, env_name, None), &at, None);
                }
            }
        }
        let count = entries.items.len();
        if count > MAX_ENTRIES {
            return Err(Unstorable(format!(
                "{count} entries would be needed to find it (two for each commit, one for each pull request, environment and \
                 namespace), and an artifact may have {MAX_ENTRIES}"
            )));
        }
        Ok(entries)
    }

    /// The digests, sorted, as a pointer lists them.
    pub(super) fn digests(&self) -> Vec<String> {
        self.items.keys().cloned().collect()
    }

    /// The digests one behind another, as an artifact's item lists them.
    pub(super) fn listed(&self) -> Vec<u8> {
        self.items.keys().flat_map(|digest| bytes_of(digest)).collect()
    }

    /// The items whose digests are not in a pointer's list.
    pub(super) fn without<'a>(&'a self, known: &'a [String]) -> impl Iterator<Item = &'a Item> {
        self.items.iter().filter(|(digest, _)| known.binary_search(digest).is_err()).map(|(_, item)| item)
    }
}

/// Whether an artifact's item lists the entry of a digest.
pub(super) fn lists(listed: &[u8], digest: &str) -> bool {
    let (listed, _) = listed.as_chunks::<DIGEST_BYTES>();
    listed.iter().any(|found| bytes_of(digest) == found)
}

/// The digests that an artifact's item lists, in the form in which a pointer lists them.
pub(super) fn digests_in(listed: &[u8]) -> Vec<String> {
    listed.chunks(DIGEST_BYTES).map(|digest| hex_simd::encode_to_string(digest, AsciiCase::Lower)).collect()
}

fn bytes_of(digest: &str) -> Vec<u8> {
    hex_simd::decode_to_vec(digest).unwrap_or_default()
}

/// Whether one of the commits that an entry tells begins with these digits. (An older version wrote one commit a line, each with
/// its repository. Tables have such entries until `reindex` has run.)
pub(super) fn tells_commit(commits: &str, commit: &CommitPrefix) -> bool {
    commits.split([' ', '\n']).any(|found| commit.begins(found))
}
