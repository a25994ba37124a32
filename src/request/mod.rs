//! What a caller asks for: the parameters of the query. They are read and checked once, and trusted from there on.

mod artifact_lookup;
mod extent;
mod query;
mod release_filter;
pub mod strconv;
mod time;

pub use artifact_lookup::{ArtifactLookup, WantedBy};
pub use extent::Extent;
pub use query::{Query, encoded_length};
pub use release_filter::ReleaseFilter;
pub use time::{UnreadableTime, unix_seconds};

use strconv::{AtoiError, quote};

use crate::commit_prefix::UnreadableCommit;
use crate::image_reference::UnreadableDigest;

/// A parameter that cannot be read. The displayed text is the answer's `description`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// `taskId` is not a number; the words are Go's.
    #[error(transparent)]
    TaskId(AtoiError),
    /// `per_page` is not a number; the words are Zadig's.
    #[error("perPage args err :{0}")]
    PerPage(AtoiError),
    /// `page` is not a number; the words are Zadig's.
    #[error("page args err :{0}")]
    Page(AtoiError),
    /// `after` does not have the form of a cursor.
    #[error("after {} is not a cursor: take one from a Link header", quote(.after))]
    After {
        /// What was given.
        after: String,
    },
    /// `after` names one place to begin at, `page` and `per_page` another.
    #[error("after cannot be combined with page or per_page")]
    AfterWithPage,
    /// `image` is missing; the words are Zadig's.
    #[error("image can't be empty!")]
    NoImage,
    /// `image` has a digest of another form than OCI's.
    #[error(
        "image digest {} is neither sha256: and 64 nor sha512: and 128 lower-case hex digits",
        quote(.0.digest.as_str())
    )]
    Digest(UnreadableDigest),
    /// More than one of `image`, `commit` and `pr` is given.
    #[error("image, commit and pr each name an artifact: give one of them")]
    SeveralArtifacts,
    /// `pr` is not a number; the words are Go's.
    #[error("pr args err :{0}")]
    PullRequest(AtoiError),
    /// `pr` is a number that no pull request has.
    #[error("pr {} is no pull request: the first is 1", quote(.number))]
    PullRequestBelowOne {
        /// What was given.
        number: String,
    },
    /// `pr` is given without its repository.
    #[error("pr needs repo=owner/name: every repository has pull requests of that number")]
    NoRepository,
    /// `repo` has another form than `owner/name`.
    #[error("repo {} is not owner/name", quote(.repository))]
    Repository {
        /// What was given.
        repository: String,
    },
    /// `envName` is given without an image's repository, or with a tag or a digest.
    #[error(
        "envName asks which image of a repository runs there: give image=registry/repo/name, without a tag or digest"
    )]
    EnvironmentWithoutRepository,
    /// `after` is given with `image`. A look-up by image finds one artifact, so there is nothing after it.
    #[error("after cannot be combined with image: such a look-up has one answer")]
    AfterWithImage,
    /// `commit` is not the beginning of a commit's id.
    #[error("commit {} is not 7 to 64 hex digits", quote(.0.commit.as_str()))]
    Commit(UnreadableCommit),
    /// `since` is not a time.
    #[error("since {}", not_a_time(.0))]
    Since(UnreadableTime),
    /// `until` is not a time.
    #[error("until {}", not_a_time(.0))]
    Until(UnreadableTime),
}

fn not_a_time(unreadable: &UnreadableTime) -> String {
    let time = quote(&unreadable.time);
    format!(
        "{time} is neither Unix seconds nor a time as in RFC 3339: 2026-11-24, 2026-11-24T12:00:00Z, 2026-11-24T12:00:00%2B08:00"
    )
}
