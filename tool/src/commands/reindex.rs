//! `reindex`: facet entries, worked out anew.

use std::io::IsTerminal as _;
use std::time::Duration;

use delivery_center::store::Mode;
use delivery_center_tool::reindex::{Progress, reindex};
use indicatif::{ProgressBar, ProgressStyle};

use crate::Ended;

/// Work out anew under which filters every release is found, and mend what differs.
///
/// For when facets were added by a newer version, or entries were damaged. It may run beside imports and recordings,
/// and writes nothing where all is as it should be.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Tell what would be changed, but write nothing.
    #[arg(long)]
    dry_run: bool,
}

struct Report(ProgressBar);

impl Progress for Report {
    fn unreadable(&self, reason: &str) {
        self.0.suspend(|| eprintln!("unreadable {reason}"));
    }

    fn done(&self) {
        self.0.inc(1);
    }
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<Ended> {
    let store = crate::store().await?;
    let bar = if std::io::stderr().is_terminal() { ProgressBar::no_length() } else { ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{spinner} {human_pos} releases, {per_sec}, {elapsed}");
    bar.set_style(style.expect("the template is valid"));
    bar.enable_steady_tick(Duration::from_millis(120));
    let report = Report(bar);
    let mode = if arguments.dry_run { Mode::DryRun } else { Mode::Write };
    let summary = reindex(&store, mode, &report).await;
    report.0.finish_and_clear();
    let summary = summary?;
    if arguments.dry_run {
        crate::print(format_args!("dry run, nothing was written; a reindex would say:"))?;
    }
    crate::print(format_args!(
        "releases {}, changed {}, entries changed {}, unreadable {}",
        summary.releases, summary.changed, summary.entries, summary.unreadable
    ))?;
    if summary.dangling > 0 {
        crate::print(format_args!(
            "releases that are gone, and whose entries were left behind and are removed: {}",
            summary.dangling
        ))?;
    }
    Ok(if summary.unreadable == 0 { Ended::Well } else { Ended::WithRefusals })
}
