//! Facts from pipelines into the tables: what was built, deployed, tested or published, and what was released.
//!
//! A fact sent again is recorded once, however many send it at the same moment; and facts about one image that come at
//! the same moment are all kept.

mod activity;
mod image;
mod release;

use hex_simd::AsciiCase;
use ring::digest::{Context, SHA256};

pub use self::activity::{Activity, Kind, record_activity};
pub use self::image::RecordedImage;
pub use self::release::{Environment, NewRelease, ReleasedService, record_release};
use delivery_center::store::StoreError;

/// What became of a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
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
    pub outcome: Outcome,
    /// The id of the artifact or the release.
    pub id: String,
    /// The artifact or the release, as it is stored.
    pub json: String,
}

/// Why a fact was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Something is to be mended first.
    #[error("{0}")]
    Refused(String),
    /// The tables could not be read or written.
    #[error("it may not be recorded, and sending it again is safe")]
    Store(#[from] StoreError),
    /// Others wrote the same record at the same time, for as long as patience lasted.
    #[error("others change the same record faster than it can be written; sending the fact again is safe")]
    Contended,
}

fn refused(reason: impl Into<String>) -> RecordError {
    RecordError::Refused(reason.into())
}

/// An id as Zadig's are, 24 hex digits, made of what it names.
fn id_of(texts: &[&str]) -> String {
    let mut digest = Context::new(&SHA256);
    for text in texts {
        digest.update(&(text.len() as u64).to_le_bytes());
        digest.update(text.as_bytes());
    }
    hex_simd::encode_to_string(&digest.finish().as_ref()[..12], AsciiCase::Lower)
}
