//! Writes artifacts.

mod entries;
mod fact_items;
mod giving_way;
mod packing;
mod pointer;
mod reindexing;
mod scanning;
mod stand_ins;
mod state;
mod writing;

pub use self::fact_items::Fact;
pub use self::packing::PackedArtifact;
pub(super) use self::pointer::POINTER_VERSION;
pub use self::reindexing::{ArtifactEntry, ArtifactScan, Mended};
pub use self::state::{ArtifactState, FactKey, FoundArtifact, WantedArtifact};
pub use self::writing::{KeepRecorded, StoredOutcome};
