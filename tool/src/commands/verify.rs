//! `verify`: checks that the tables hold everything that the sources have.

use super::exit_status::Ended;
use super::sources::Sources;
use super::terminal;
use crate::import::{Counts, Task};

/// Compare the tables with what was imported, and list what differs.
///
/// It reads the sources again, as `import` does, and for each record everything that is stored, documents
/// included. A record of the source that is refused cannot be stored, and counts as lost. A record whose
/// release or artifact is not in the source does not count. Records that only the tables have are not looked
/// at. The exit status is 1 if something is missing, differs or was refused.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  delivery-center verify dump
  delivery-center verify --report differences.jsonl export/*.json
  ZADIG_TOKEN=$(cat token) delivery-center verify --zadig https://zadig.example.com")]
pub(super) struct VerifyArguments {
    #[command(flatten)]
    sources: Sources,
}

pub(super) async fn run(arguments: VerifyArguments) -> anyhow::Result<Ended> {
    let report = arguments.sources.run(Task::Verify).await?;
    let Counts { differing, refused, held_back, .. } = report.totals();
    if differing + refused + held_back > 0 {
        let held_back = if held_back > 0 { format!(", {held_back} were held back") } else { String::new() };
        terminal::print(format_args!("{differing} differ, {refused} were refused{held_back}"))?;
        return Ok(Ended::NotWell);
    }
    if !report.is_whole() {
        return Ok(Ended::NotWell);
    }
    terminal::print("nothing was lost")?;
    Ok(Ended::Well)
}
