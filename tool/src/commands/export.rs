//! `export`: writes the tables as JSON Lines in the API's own form, which `import` takes.

use std::io::{self, BufWriter, IsTerminal as _, Write};

use anyhow::Context as _;
use delivery_center::document::Inflater;
use delivery_center::image_reference::ImageReference;
use delivery_center::query::{ParameterError, Query};
use delivery_center::store::{
    ReleaseEntry, ReleaseFilter, ReleaseSearch, StoreError, StoredRelease, Usage, Verbosity, grouped,
};
use futures_util::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use indicatif::ProgressBar;

use super::exit_status::{Ended, unusable};
use super::{aws, terminal};
use crate::write::Writer;

/// How many bytes of compressed documents are fetched at once; uncompressed they are about five times as
/// many.
const MAX_PACKED_BYTES_A_FETCH: usize = 2 << 20;
const MAX_RELEASES_A_FETCH: usize = 100;
/// How many fetches run ahead of the writing.
const FETCHES_AT_ONCE: usize = 4;

/// Write the tables to standard output in the API's own JSON, one record on each line; `import -` reads it.
///
/// Without --releases and --artifacts, it writes the kind of records that the given filters choose. Without
/// filters too, it writes both kinds.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  delivery-center export | gzip > delivery-center.jsonl.gz
  delivery-center export --project shop --service cart
  delivery-center export | RELEASES_TABLE=other-releases ARTIFACTS_TABLE=other-artifacts delivery-center import -")]
pub(super) struct ExportArguments {
    /// Write releases, newest first.
    #[arg(long)]
    releases: bool,
    /// Write artifacts, in no particular order.
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
    #[arg(long, value_parser = parse_image)]
    image: Option<ImageReference>,
}

/// What is exported.
struct Selection {
    /// The releases that a filter keeps.
    releases: Option<ReleaseFilter>,
    artifacts: bool,
    /// Only the artifacts of this image.
    image: Option<ImageReference>,
}

/// How many records were exported.
#[derive(Default)]
struct Exported {
    releases: u64,
    artifacts: u64,
}

pub(super) async fn run(arguments: ExportArguments) -> anyhow::Result<Ended> {
    let selection = arguments.selection()?;
    let writer = aws::writer().await?;
    // Records on a terminal are progress enough.
    let bar = if io::stdout().is_terminal() { ProgressBar::hidden() } else { terminal::counter("records") };
    let mut output = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    let exported = export(&writer, &selection, &mut output, &bar).await;
    bar.finish_and_clear();
    match exported {
        Ok(Exported { releases, artifacts }) => {
            terminal::say(format_args!("exported {releases} releases, {artifacts} artifacts"));
            Ok(Ended::Well)
        }
        // The reader stopped early, as `head` does.
        Err(error) if is_broken_pipe(&error) => Ok(Ended::Well),
        Err(error) => Err(error).context("the export is incomplete"),
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

impl ExportArguments {
    fn selection(self) -> anyhow::Result<Selection> {
        let given = [
            ("projectName", self.project),
            ("workflowName", self.workflow),
            ("taskId", self.task.map(|task_id| task_id.to_string())),
            ("serviceName", self.service),
        ];
        let given = given.into_iter().filter_map(|(parameter, value)| Some((parameter, value?)));
        let filter = ReleaseFilter::from_query(&given.collect::<Query>()).expect("a number and texts");
        let (has_filters, has_image) = (!filter.is_empty(), self.image.is_some());
        let names_no_kind = !self.releases && !self.artifacts;
        let releases = self.releases || (names_no_kind && (has_filters || !has_image));
        let artifacts = self.artifacts || (names_no_kind && (has_image || !has_filters));
        if (has_filters && !releases) || (has_image && !artifacts) {
            return Err(unusable(
                "--image chooses artifacts, and the other filters choose releases: a filter is given for records that are not \
                 exported",
            ));
        }
        Ok(Selection { releases: releases.then_some(filter), artifacts, image: self.image })
    }
}

fn parse_image(image: &str) -> Result<ImageReference, ParameterError> {
    ImageReference::parse(image).map_err(ParameterError::Digest)
}

/// Writes the selected records, one a line: releases newest first, then artifacts.
async fn export(
    writer: &Writer,
    selection: &Selection,
    output: &mut impl Write,
    bar: &ProgressBar,
) -> anyhow::Result<Exported> {
    let mut exported = Exported::default();
    let mut inflater = Inflater::default();
    let mut line = Vec::new();
    // There is no search where nothing can match the filter.
    if let Some(search) = selection.releases.as_ref().and_then(ReleaseFilter::search) {
        let mut releases = Box::pin(releases(writer, &search));
        while let Some((release_id, release)) = releases.try_next().await? {
            let unreadable = |spoiled| writer.store().unreadable_release(&release_id, spoiled);
            line.clear();
            inflater.append(&release.brief, &mut line).map_err(unreadable)?;
            if let Some(rest) = &release.rest {
                inflater.append(rest, &mut line).map_err(unreadable)?;
            }
            line.push(b'\n');
            output.write_all(&line)?;
            exported.releases += 1;
            bar.inc(1);
        }
    }
    if selection.artifacts {
        let mut artifacts = match &selection.image {
            Some(image) => writer.artifacts_of_image(image).boxed_local(),
            None => writer.artifacts().boxed_local(),
        };
        while let Some(artifact) = artifacts.try_next().await? {
            let unreadable = |spoiled| writer.store().unreadable_artifact(artifact.position.id(), spoiled);
            line.clear();
            inflater.append(&artifact.document, &mut line).map_err(unreadable)?;
            if let Some(recorded) = &artifact.recorded {
                line.pop();
                line.extend(recorded.as_bytes());
                line.push(b'}');
            }
            line.push(b'\n');
            output.write_all(&line)?;
            exported.artifacts += 1;
            bar.inc(1);
        }
    }
    output.flush()?;
    Ok(exported)
}

/// The releases that a search finds with their ids, newest first.
fn releases<'a>(
    writer: &'a Writer,
    search: &'a ReleaseSearch,
) -> impl Stream<Item = Result<(String, StoredRelease), StoreError>> + 'a {
    let listing = writer.store().release_listing(search, None);
    let pages = stream::try_unfold((listing, false), move |(mut listing, is_last)| async move {
        if is_last {
            return Ok(None);
        }
        let page = listing.next_page(None, &Usage::default()).await?;
        let is_last = page.rest.is_none();
        let weighed = page.entries.into_iter().map(|entry| {
            let packed = entry.lengths.packed(Verbosity::Detailed);
            (entry, packed)
        });
        let fetches = grouped(weighed, MAX_RELEASES_A_FETCH, MAX_PACKED_BYTES_A_FETCH);
        Ok::<_, StoreError>(Some((stream::iter(fetches.into_iter().map(Ok)), (listing, is_last))))
    });
    pages
        .try_flatten()
        .map_ok(move |entries| fetch(writer, search, entries))
        .try_buffered(FETCHES_AT_ONCE)
        .map_ok(|releases| stream::iter(releases.into_iter().map(Ok)))
        .try_flatten()
}

async fn fetch(
    writer: &Writer,
    search: &ReleaseSearch,
    entries: Vec<ReleaseEntry>,
) -> Result<Vec<(String, StoredRelease)>, StoreError> {
    let found = writer.store().releases(search, &entries, Verbosity::Detailed, &Usage::default()).await?;
    let ids = entries.iter().map(|entry| entry.position.id().to_owned());
    Ok(ids.zip(found).filter_map(|(id, release)| Some((id, release?))).collect())
}
