//! `import`: stores releases and artifacts in the tables.

use super::exit_status::Ended;
use super::sources::Sources;
use crate::import::{Counts, Emptying, Task};
use crate::write::{KeepRecorded, Mode};

/// Store releases and artifacts from the API's own JSON, a dump or an export of Zadig's database, or a
/// running Zadig.
///
/// The API's JSON is one object, an array, or one object on each line; releases and artifacts may be mixed.
/// From Zadig's database, everything that belongs to a release or an artifact is joined to one record. Every
/// Zadig is read, Zadig 4 and later included. Every record is checked before anything of it is written. A
/// bad record is reported on stderr with its place and JSON path, and the others are stored. A record replaces
/// the whole stored one of the same id, but the activities that `record` added to an artifact stay. Importing
/// the same again writes nothing, so run an import again to complete it after it was interrupted.
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
    ZADIG_TOKEN=$(cat token) delivery-center import --zadig https://zadig.example.com")]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
pub(super) struct ImportArguments {
    /// Check everything and say what would be stored, but write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Write every record, also one that is stored already just so. This mends documents whose stored bytes
    /// were spoiled.
    #[arg(long, conflicts_with = "dry_run")]
    rewrite: bool,
    /// Drop the activities that `record` added to the imported artifacts. Without this they are kept, beside
    /// the imported ones.
    #[arg(long)]
    drop_recorded: bool,
    /// Let a release lose all its records of a section, and an artifact all its activities, if the source has
    /// none of them any more. Without this, such a release or artifact is held back and reported.
    #[arg(long)]
    allow_emptying: bool,
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
    let report = arguments.sources.run(task).await?;
    let Counts { refused, held_back, .. } = report.totals();
    Ok(if refused + held_back == 0 && report.is_whole() { Ended::Well } else { Ended::NotWell })
}
