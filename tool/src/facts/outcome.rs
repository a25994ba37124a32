//! What became of a fact, and why it was not recorded.

use delivery_center::record::Problem;
use delivery_center::store::{StoreError, Unstorable};

/// What became of a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactOutcome {
    /// It was added to an artifact that was there.
    Added,
    /// A new record was made for it.
    Made,
    /// It had been recorded before; nothing was written.
    Already,
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
}

/// Why a fact was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum FactError {
    /// What was given cannot be recorded; the text says what to mend.
    #[error("{0}")]
    Refused(String),
    /// The record would not be as the contract says.
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
    #[error("it may not be recorded, and sending it again is safe")]
    Store(#[from] StoreError),
    /// Others wrote the same record at the same time, for as long as patience lasted.
    #[error("others change the same record faster than it can be written; sending the fact again is safe")]
    Contended,
}

impl FactError {
    /// Whether sending the fact again may pass.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Store(error) => error.is_unavailable(),
            Self::Contended => true,
            Self::Refused(_) | Self::Invalid { .. } | Self::Unstorable(_) => false,
        }
    }
}

/// The error that says what to mend.
pub(super) fn refused(reason: impl Into<String>) -> FactError {
    FactError::Refused(reason.into())
}
