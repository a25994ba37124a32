//! What a caller asks for beside the filters of releases: which artifact, and how much of a list. It is
//! checked here, and trusted from there on.

mod artifact_lookup;
mod extent;

pub use artifact_lookup::{ArtifactLookup, WantedBy};
pub use extent::Extent;
