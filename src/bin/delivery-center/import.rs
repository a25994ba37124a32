//! `import`: releases and artifacts into the tables.

use std::fs::File;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use delivery_center::import::{Progress, Source, import};
use delivery_center::store::Mode;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use tempfile::NamedTempFile;

use crate::Ended;

/// Store releases and artifacts given in the API's own JSON: one object, an array, or one object a line.
///
/// Which a record is, it says itself. Every record is checked before anything of it is written; a bad one is reported
/// on stderr with its file, line and JSON path, and the others are stored. A record replaces the one of its id wholly,
/// and importing again what is there writes nothing: an import that was interrupted is completed by running it again.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  delivery-center import samples/*.json samples/*.jsonl
  curl -s \"$ZADIG/api/aslan/delivery/releases\" -H \"Authorization: Bearer $TOKEN\" | delivery-center import --dry-run -")]
pub(crate) struct Arguments {
    /// Check everything and tell what would be stored, but write nothing.
    #[arg(long)]
    dry_run: bool,
    /// The files, or - for standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<Ended> {
    let mut copies = Vec::new();
    let sources =
        arguments.files.iter().map(|file| source(file, &mut copies)).collect::<anyhow::Result<Vec<_>>>()?;
    let mode = if arguments.dry_run { Mode::DryRun } else { Mode::Write };
    let store = crate::store().await?;
    let report = Arc::new(Report::new());
    let imported = import(&store, sources, mode, Arc::clone(&report) as Arc<dyn Progress>).await;
    report.bar.finish_and_clear();
    let summary = imported.context("the import stopped; run it again to complete it")?;
    if arguments.dry_run {
        crate::print("dry run, nothing was written; an import would say:")?;
    }
    crate::print(&summary)?;
    Ok(if summary.refused == 0 { Ended::Well } else { Ended::WithRefusals })
}

/// A file as it is; what can be read only once is copied first, since an import reads twice.
fn source(file: &Path, copies: &mut Vec<NamedTempFile>) -> anyhow::Result<Source> {
    let is_standard_input = file == Path::new("-");
    let name = if is_standard_input { "standard input".to_owned() } else { file.display().to_string() };
    let context = || format!("cannot read {name}");
    if !is_standard_input && file.metadata().with_context(context)?.is_file() {
        return Ok(Source { name, path: file.to_owned() });
    }
    let mut copy = NamedTempFile::new().context("cannot make a temporary file")?;
    if is_standard_input {
        std::io::copy(&mut std::io::stdin().lock(), &mut copy).with_context(context)?;
    } else {
        std::io::copy(&mut File::open(file).with_context(context)?, &mut copy).with_context(context)?;
    }
    let path = copy.path().to_owned();
    copies.push(copy);
    Ok(Source { name, path })
}

/// Refusals on stderr, and a bar where that is a terminal.
struct Report {
    bar: ProgressBar,
}

impl Report {
    fn new() -> Self {
        let bar =
            if std::io::stderr().is_terminal() { ProgressBar::no_length() } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template("{spinner} {human_pos} records, {per_sec}, {elapsed}");
        bar.set_style(style.expect("the template is valid"));
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar }
    }
}

impl Progress for Report {
    fn refused(&self, place: &str, reason: &str) {
        self.bar.suspend(|| eprintln!("refused {place}: {reason}"));
    }

    fn done(&self, records: u64) {
        self.bar.inc(records);
        tracing::debug!(records = %HumanCount(self.bar.position()), "imported");
    }
}
