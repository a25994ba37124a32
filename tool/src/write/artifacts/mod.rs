//! Writes artifacts.
//!
//! The top of `commit.rs` says how an artifact is written, and what a crash leaves.

mod commit;
mod entries;
mod giving_way;
mod importing;
mod last_deploys;
mod packing;
mod recording;
mod reindexing;
mod stored;

pub use self::commit::Commit;
pub use self::giving_way::HandedOver;
pub use self::importing::{KeepRecorded, StoredOutcome};
pub use self::last_deploys::{Deploy, Destination, LastDeploy, deploys_of};
pub use self::packing::PackedArtifact;
pub use self::recording::{FactKey, KeyItem};
pub(super) use self::reindexing::compare_artifact;
pub use self::reindexing::{ArtifactEntry, Mended};
pub use self::stored::{ArtifactState, FoundArtifact};
