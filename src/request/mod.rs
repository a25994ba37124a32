//! What a caller asks for: the query's parameters, read once and trusted from there on.

mod extent;
mod query;
mod release_filter;
pub mod strconv;
mod time;

pub use extent::Extent;
pub use query::{Query, encoded_length};
pub use release_filter::ReleaseFilter;
pub use time::{UnreadableTime, unix_seconds};

use crate::commit_prefix::UnreadableCommit;
use crate::image_reference::UnreadableDigest;
use strconv::{AtoiError, quote};

/// A parameter that cannot be read; displayed as the answer's `description`.
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
    /// `after` has not a cursor's form.
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
