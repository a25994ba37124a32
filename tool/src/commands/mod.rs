//! The subcommands, a file each.

mod ci_environment;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod invoke;
pub(crate) mod record;
pub(crate) mod reindex;
pub(crate) mod serve;
mod sources;
pub(crate) mod tables;
pub(crate) mod verify;
