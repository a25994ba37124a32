//! Lays out the entries by which an artifact is found by commit, pull request and environment.

use std::collections::{BTreeMap, BTreeSet};

use delivery_center::commit_prefix::CommitPrefix;
use delivery_center::image_reference::repository;
use delivery_center::position::Position;
use delivery_center::store::artifacts::found_by::{DIGEST_BYTES, FoundBy, bytes_of};
use delivery_center::store::items::{Item, text};
use delivery_center::store::keys::{artifact_entry, artifact_key, found_by_entry};
use delivery_center::store::{Activities, Deployment};
use hex_simd::AsciiCase;

use crate::digest;
use crate::record::Artifact;
use crate::write::batch_write::Unstorable;

/// How many entries an artifact may have. Its pointer lists them all, and an item may have 400 KB.
const MAX_ENTRIES: usize = 10_000;

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
            let digest = digest::of_texts(&[found_by.as_str(), at.as_str(), &own, commits_told]);
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

/// The digests that an artifact's item lists, in the form in which a pointer lists them.
pub(super) fn digests_in(listed: &[u8]) -> Vec<String> {
    listed.chunks(DIGEST_BYTES).map(|digest| hex_simd::encode_to_string(digest, AsciiCase::Lower)).collect()
}
