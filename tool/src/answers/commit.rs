//! A commit that something was made from.

use super::StoredText;
use super::lenient::lenient;

lenient! {
    /// A commit in a build of a release, or in an activity of an artifact.
    pub struct CommitInfo {
        /// The code host.
        pub address: StoredText,
        /// The repository's owner.
        pub repo_owner: StoredText,
        /// The repository's name.
        pub repo_name: StoredText,
        /// The branch that was built.
        pub branch: StoredText,
        /// The tag that was built.
        pub tag: StoredText,
        /// The pull request; 0 where there is none.
        pr: i64,
        /// The pull requests, where several were merged into one build.
        prs: Vec<i64>,
        /// The commit's id.
        pub commit_id: StoredText,
        /// Its message.
        pub commit_message: StoredText,
        /// Its author.
        pub author_name: StoredText,
    }
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
