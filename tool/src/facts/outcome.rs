//! What became of a fact, or why it was not recorded.

use std::error::Error as _;

use delivery_center::store::StoreError;

use crate::record::Problem;
use crate::retries::Patience;
use crate::write::Unstorable;

/// What became of a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactOutcome {
    /// It was added to an artifact that was there.
    Added,
    /// A new record was made for it.
    Made,
    /// It had been recorded before; nothing was written.
    Already,
    /// Nothing of the image runs where it was to be undeployed; nothing was written.
    NothingRuns,
}

/// A recorded fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// What became of it.
    pub outcome: FactOutcome,
    /// The id of the artifact or the release.
    pub id: String,
    /// The artifact or the release, as it is stored.
    pub json: String,
    /// What else is to be said.
    pub remark: Option<String>,
}

/// Why a fact was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum FactError {
    /// What was given cannot be recorded; the text says what to mend.
    #[error("{0}")]
    Refused(String),
    /// The record would not have the form that the API documents.
    #[error("the {record} cannot be stored")]
    Invalid {
        /// Which release or artifact.
        record: String,
        /// What is wrong with it.
        source: Problem,
    },
    /// The record would not fit into the tables.
    #[error(transparent)]
    Unstorable(#[from] Unstorable),
    /// The tables could not be read or written.
    #[error("{}", uncertain_or_not(.0))]
    Store(#[from] StoreError),
    /// Others kept writing the same record, for as long as it was tried.
    #[error(
        "it was not recorded, since others change the same record faster than it can be written; recording it again is safe"
    )]
    Contended,
}

fn uncertain_or_not(error: &StoreError) -> &'static str {
    if error.is_unavailable() {
        "it is not certain whether it was recorded. Recording it again is safe, but for a deploy without URL, times and \
         --idempotency-key: once something else was deployed there, it counts as another deploy"
    } else {
        "it cannot be recorded"
    }
}

impl FactError {
    /// Whether sending the fact again may succeed.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Store(error) => error.is_unavailable(),
            Self::Contended => true,
            Self::Refused(_) | Self::Invalid { .. } | Self::Unstorable(_) => false,
        }
    }
}

/// Waits before the next attempt; gives `false` where no time is left for one. The first time, it logs why
/// there is another attempt, since all of them may take minutes.
pub(super) async fn wait_after(error: &FactError, patience: &mut Patience) -> bool {
    if let FactError::Store(error) = error
        && !patience.has_waited()
    {
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        tracing::warn!(%error, cause, "it is not recorded yet, and is tried again");
    }
    patience.wait().await
}

/// The error that says what to mend.
pub(super) fn refused(reason: impl Into<String>) -> FactError {
    FactError::Refused(reason.into())
}
