//! Artifacts in their table.

mod facts;
mod packing;
mod reading;
mod scanning;
mod writing;

use serde::{Deserialize, Serialize};

pub use self::facts::{ArtifactState, FactKey, FoundArtifact, RecordedFact, WantedArtifact};
pub use self::packing::PackedArtifact;
use crate::document::Document;
use crate::position::Position;
use crate::store::items::Item;
use crate::store::keys::{artifact_key, artifact_part_entry};

/// The form of the stored pointers.
const POINTER_VERSION: u8 = 1;

/// The attributes that an artifact is read from.
const ATTRIBUTES: &str = "image_digest, #entry, revision, document, parts";

/// An artifact as it is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredArtifact {
    /// Its time and id.
    pub position: Position,
    /// The revision of its document.
    pub revision: String,
    /// The whole answer.
    pub document: Document,
}

/// Where an artifact's items are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    image_digest: String,
    entry: String,
    revision: String,
    parts: usize,
}

/// What an artifact's pointer says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Pointer {
    version: u8,
    place: Place,
    /// Places that it was to be removed from.
    stale: Vec<Place>,
}

/// A pointer as it is stored, which is what the next write of the artifact is conditional on, and as it reads.
#[derive(Debug, Clone)]
struct KeptPointer {
    kept: String,
    pointer: Pointer,
}

impl KeptPointer {
    /// Reads the stored form, and tells what is wrong with it.
    fn parse(kept: String) -> Result<Self, String> {
        let pointer: Pointer =
            serde_json::from_str(&kept).map_err(|error| format!("its pointer cannot be read: {error}"))?;
        if pointer.version != POINTER_VERSION {
            let version = pointer.version;
            return Err(format!("its pointer has version {version}, and this is version {POINTER_VERSION}"));
        }
        Ok(Self { kept, pointer })
    }

    /// Every place where anything of the artifact may be.
    fn places(&self) -> impl Iterator<Item = &Place> {
        std::iter::once(&self.pointer.place).chain(&self.pointer.stale)
    }
}

impl Place {
    fn key(&self) -> Item {
        artifact_key(&self.image_digest, &self.entry)
    }

    /// The hash and range keys of everything there that is not also at another place.
    fn keys_beside(&self, artifact_id: &str, other: &Self) -> Vec<(String, String)> {
        let is_elsewhere = self.image_digest != other.image_digest;
        let mut entries = Vec::new();
        if is_elsewhere || self.entry != other.entry {
            entries.push(self.entry.clone());
        }
        if is_elsewhere || self.revision != other.revision {
            let parts = 1..=self.parts;
            entries.extend(parts.map(|number| artifact_part_entry(artifact_id, &self.revision, number)));
        }
        entries.into_iter().map(|entry| (self.image_digest.clone(), entry)).collect()
    }
}
