//! A commit that something was made from.

use serde::Deserialize;

use super::{StoredText, leniently};

/// A commit in a build of a release, or in an activity of an artifact.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct CommitInfo {
    /// The code host.
    #[serde(deserialize_with = "leniently")]
    pub address: StoredText,
    /// The repository's owner.
    #[serde(deserialize_with = "leniently")]
    pub repo_owner: StoredText,
    /// The repository's name.
    #[serde(deserialize_with = "leniently")]
    pub repo_name: StoredText,
    /// The branch that was built.
    #[serde(deserialize_with = "leniently")]
    pub branch: StoredText,
    /// The tag that was built.
    #[serde(deserialize_with = "leniently")]
    pub tag: StoredText,
    /// The pull request; 0 where there is none.
    #[serde(deserialize_with = "leniently")]
    pr: i64,
    /// The pull requests, where several were merged into one build.
    #[serde(deserialize_with = "leniently")]
    prs: Vec<i64>,
    /// The commit's id.
    #[serde(deserialize_with = "leniently")]
    pub commit_id: StoredText,
    /// Its message.
    #[serde(deserialize_with = "leniently")]
    pub commit_message: StoredText,
    /// Its author.
    #[serde(deserialize_with = "leniently")]
    pub author_name: StoredText,
}

impl CommitInfo {
    /// The pull requests that the commit belongs to, each once.
    pub fn pull_requests(&self) -> Vec<i64> {
        let mut numbers: Vec<_> =
            [self.pr].into_iter().chain(self.prs.iter().copied()).filter(|number| *number > 0).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// `owner/name`.
    pub fn repository(&self) -> String {
        let parts = [&self.repo_owner, &self.repo_name];
        parts.iter().filter(|part| !part.is_empty()).map(ToString::to_string).collect::<Vec<_>>().join("/")
    }
}
