//! Artifacts in their table.

pub mod environments;
mod finding;
pub mod found_by;
pub mod reading;

pub use self::environments::EnvironmentSearch;
pub use self::finding::{ArtifactSearch, NewestFound};
use crate::document::Document;
use crate::position::Position;

/// The attributes that an artifact is read from.
pub const ATTRIBUTES: &str = "image_digest, #entry, repository, revision, writer, document, parts";

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
