//! Artifacts in their table.

mod facts;
mod finding;
mod found_by;
mod giving_way;
mod packing;
mod pointer;
mod reading;
mod reindexing;
mod scanning;
mod stand_ins;
mod state;
mod writing;

pub use self::facts::Fact;
pub use self::finding::{ArtifactSearch, NewestFound};
pub use self::packing::PackedArtifact;
pub(super) use self::pointer::POINTER_VERSION;
pub use self::reindexing::{ArtifactEntry, ArtifactScan, Mended};
pub use self::state::{ArtifactState, FactKey, FoundArtifact, WantedArtifact};
pub use self::writing::{KeepRecorded, StoredOutcome};
use crate::document::Document;
use crate::position::Position;

/// The attributes that an artifact is read from.
const ATTRIBUTES: &str = "image_digest, #entry, repository, revision, document, parts";

/// An artifact as it is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredArtifact {
    /// Its time and id.
    pub position: Position,
    /// The repository of its image: registry, port and path; empty where it has none.
    pub repository: String,
    /// The revision of its document.
    pub revision: String,
    /// The whole answer.
    pub document: Document,
}
