//! Lays out the entries by which an artifact is found by commit, pull request and environment.

use std::collections::{BTreeMap, BTreeSet};

use delivery_center::commit_prefix::CommitPrefix;
use delivery_center::position::Position;
use delivery_center::store::Activities;
use delivery_center::store::artifacts::found_by::{FoundBy, Short};
use delivery_center::store::items::{Item, text};

use super::last_deploys::{Deploy, Destination};
use crate::digest;
use crate::record::Artifact;

/// The entries of an artifact by their digests, without their keys and the key of the artifact's item: a
/// writer gives its nonce to those that it puts.
pub(super) type Entries = BTreeMap<Short, Item>;

/// The entries of an artifact whose own item has this key.
pub(super) fn entries_of(
    artifact: &Artifact,
    deploys: &BTreeMap<Destination, Deploy>,
    hash_key: &str,
    entry: &str,
) -> Entries {
    let activities =
        Activities::of(&artifact.json).expect("a checked artifact's JSON is in the documented form");
    let position = Position::new(artifact.created_time, &artifact.artifact_id);
    let mut entries = Entries::new();
    let mut add = |found_by: FoundBy, at: &Position, told: Option<(&str, String)>| {
        let said = told.as_ref().map(|(_, said)| said.as_str()).unwrap_or_default();
        let digest = digest::short(&[found_by.as_str(), at.as_str(), hash_key, entry, said]);
        let mut item = Item::from([
            ("image".to_owned(), text(found_by.as_str())),
            ("position".to_owned(), text(at.as_str())),
        ]);
        item.extend(told.map(|(name, said)| (name.to_owned(), text(said))));
        entries.insert(digest, item);
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
        let commits = commits.into_iter().collect::<Vec<_>>().join(" ");
        add(found_by, &position, Some(("commits", commits)));
    }
    for found_by in pull_requests {
        add(found_by, &position, None);
    }
    for (Destination { repository, env_name, namespace }, Deploy { position, until }) in deploys {
        let until = until.map(|until| ("until", until.to_string()));
        add(FoundBy::environment(repository, env_name, namespace), position, until);
    }
    entries
}
