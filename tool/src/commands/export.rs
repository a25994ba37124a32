//! `export`: the tables as JSON Lines.

use std::io::{self, BufWriter, IsTerminal as _};
use std::time::Duration;

use anyhow::{Context as _, bail};
use delivery_center::image_reference::ImageReference;
use delivery_center::request::{ParameterError, ReleaseFilter};
use delivery_center_tool::export::{ExportError, Wanted, WantedArtifacts, export};
use indicatif::{ProgressBar, ProgressStyle};

use crate::Ended;

/// Write the tables to standard output, one record a line, in the API's own JSON: `import -` reads it.
///
/// Without --releases and --artifacts it writes what the filters are about, and without filters both.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  delivery-center export | gzip > delivery-center.jsonl.gz
  delivery-center export --project shop --service cart
  delivery-center export | RELEASES_TABLE=other-releases ARTIFACTS_TABLE=other-artifacts delivery-center import -")]
pub(crate) struct Arguments {
    /// Write releases, newest first.
    #[arg(long)]
    releases: bool,
    /// Write artifacts, in no order.
    #[arg(long)]
    artifacts: bool,
    /// Only releases of this project.
    #[arg(long)]
    project: Option<String>,
    /// Only releases of this workflow.
    #[arg(long)]
    workflow: Option<String>,
    /// Only releases of this task.
    #[arg(long, value_name = "NUMBER")]
    task: Option<i64>,
    /// Only releases that deploy this service.
    #[arg(long)]
    service: Option<String>,
    /// Only artifacts of this image: REGISTRY/NAME:TAG, NAME@DIGEST, or a digest.
    #[arg(long)]
    image: Option<String>,
}

impl Arguments {
    fn wanted(self) -> anyhow::Result<Wanted> {
        let filter = ReleaseFilter::new(self.project, self.workflow, self.task, self.service);
        let (has_filters, has_image) = (filter != ReleaseFilter::default(), self.image.is_some());
        let says_nothing = !self.releases && !self.artifacts;
        let releases = self.releases || (says_nothing && (has_filters || !has_image));
        let artifacts = self.artifacts || (says_nothing && (has_image || !has_filters));
        if (has_filters && !releases) || (has_image && !artifacts) {
            bail!(
                "--image filters artifacts, and the other filters releases: one is given for what is not exported"
            );
        }
        let of_image = match self.image {
            None => WantedArtifacts::All,
            Some(image) => {
                WantedArtifacts::OfImage(ImageReference::parse(&image).map_err(ParameterError::Digest)?)
            }
        };
        Ok(Wanted { releases: releases.then_some(filter), artifacts: artifacts.then_some(of_image) })
    }
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<Ended> {
    let wanted = arguments.wanted()?;
    let store = crate::store().await?;
    let bar = if io::stderr().is_terminal() && !io::stdout().is_terminal() {
        ProgressBar::no_length()
    } else {
        ProgressBar::hidden()
    };
    let style = ProgressStyle::with_template("{spinner} {human_pos} records, {per_sec}, {elapsed}");
    bar.set_style(style.expect("the template is valid"));
    bar.enable_steady_tick(Duration::from_millis(120));
    let mut output = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    let exported = export(&store, &wanted, &mut output, || bar.inc(1)).await;
    bar.finish_and_clear();
    match exported {
        Ok(exported) => {
            eprintln!("exported {} releases, {} artifacts", exported.releases, exported.artifacts);
            Ok(Ended::Well)
        }
        // Whoever reads has read enough, as `head` does.
        Err(ExportError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Ended::Well),
        Err(error) => Err(error).context("the export is not whole"),
    }
}
