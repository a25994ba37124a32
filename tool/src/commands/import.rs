//! `import`: releases and artifacts into the tables.

use std::path::PathBuf;

use delivery_center::store::{KeepRecorded, Mode};

use super::exit_status::Ended;
use super::sources::{Done, Sources};
use crate::import::{Emptying, Task};

/// Store releases and artifacts: the API's own JSON, a dump or an export of Zadig's database, or a running Zadig.
///
/// The API's JSON is one object, an array, or one object a line; which a record is, it says itself. Of Zadig's database,
/// the records of a release or an artifact are joined. Every record is checked before anything of it is written; a bad
/// one is reported on stderr with its place and JSON path, and the others are stored. A record replaces the one of its id
/// wholly, and importing again what is there writes nothing: an import that was interrupted is completed by running it again.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  The API's JSON:
    delivery-center import samples/*.json samples/*.jsonl
    curl -s \"$ZADIG/api/aslan/delivery/releases\" -H \"Authorization: Bearer $TOKEN\" | delivery-center import --dry-run -
  A mongodump directory, or the database's directory in it (.bson or .bson.gz):
    mongodump --uri=mongodb://HOST --db=zadig --gzip --out=dump && delivery-center import dump
  mongoexport's files, each named after its collection:
    delivery-center import export/delivery_*.json export/artifact.json export/activity.json
  A running Zadig:
    ZADIG_TOKEN=$(cat token) delivery-center import --zadig https://zadig.example.com --resume zadig.resume")]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
pub(super) struct ImportArguments {
    /// Check everything and tell what would be stored, but write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Write every record, also those that are there as they are: mends documents whose stored bytes were spoiled.
    #[arg(long, conflicts_with = "dry_run")]
    rewrite: bool,
    /// Drop the activities that `record` wrote to the artifacts that are imported. Without this they stay, beside the imported
    /// ones.
    #[arg(long)]
    drop_recorded: bool,
    /// Let releases lose all records of a section, and artifacts all activities, that are stored and that the source no longer
    /// has. Without this such a release or artifact is held back and named.
    #[arg(long)]
    allow_emptying: bool,
    /// Keep in this file how far a running Zadig was read, and go on from there; it is gone once all is read.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["given", "dry_run"])]
    resume: Option<PathBuf>,
    #[command(flatten)]
    sources: Sources,
}

pub(super) async fn run(arguments: ImportArguments) -> anyhow::Result<Ended> {
    let mode = match (arguments.dry_run, arguments.rewrite) {
        (true, _) => Mode::DryRun,
        (false, true) => Mode::Rewrite,
        (false, false) => Mode::Write,
    };
    let recorded = if arguments.drop_recorded { KeepRecorded::No } else { KeepRecorded::Yes };
    let emptying = if arguments.allow_emptying { Emptying::Allowed } else { Emptying::HeldBack };
    let task = Task::Import { mode, recorded, emptying };
    let Done { totals, is_whole } = arguments.sources.run(arguments.resume, task).await?;
    Ok(if totals.refused + totals.held_back == 0 && is_whole { Ended::Well } else { Ended::WithRefusals })
}
