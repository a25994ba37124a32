//! Writes releases.

mod current;
mod packing;
mod partition;
mod writing;

pub use self::current::CurrentRelease;
pub use self::packing::PackedRelease;
pub use self::writing::Reindexed;
