//! `diff`: what changed between two releases of a project.

mod comparison;
mod report;
mod yaml;

use clap::builder::NonEmptyStringValueParser;
use comparison::Comparison;
use delivery_center::endpoint::Endpoint;
use report::DiffReport;

use super::exit_status::Ended;
use super::layout::width;
use super::local_time::Now;
use super::question::ApiArguments;
use super::terminal;
use crate::answers::{Answered, AskError, Endpoints, ReleaseInfo, read};

/// What changed between two releases: services, images, commits, labels, environment, YAML.
///
/// Where several releases of the project have a version, the newest counts. It reads the tables that the AWS
/// environment names, by the functions' own code, and needs `dynamodb:Query` and `dynamodb:BatchGetItem` on
/// them; or it asks the deployed API at --api.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  delivery-center diff --project shop 1.3.0 1.4.0
  delivery-center diff --project shop 1.3.0 1.4.0 --yaml | less -R
  delivery-center diff --project shop 1.3.0 1.4.0 --json | jq '.builds[].to[].commit_id'")]
pub(super) struct DiffArguments {
    /// The project.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    project: String,
    /// The version before.
    #[arg(value_name = "VERSION", value_parser = NonEmptyStringValueParser::new())]
    from: String,
    /// The version after.
    #[arg(value_name = "VERSION", value_parser = NonEmptyStringValueParser::new())]
    to: String,
    /// Show how the YAML differs, as a unified diff.
    #[arg(long)]
    yaml: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    api: ApiArguments,
}

pub(super) async fn run(arguments: DiffArguments) -> anyhow::Result<Ended> {
    let DiffArguments { project, from, to, yaml, json, api } = &arguments;
    let endpoints = api.endpoints().await?;
    let before = newest(&endpoints, project, from).await?;
    let after = newest(&endpoints, project, to).await?;
    let now = Now::from_the_clock();
    for (version, release) in [(from, &before), (to, &after)] {
        match release.as_slice() {
            [] => terminal::say(format_args!("no release of {project:?} has the version {version:?}")),
            [_] => {}
            [newest, ..] => terminal::say(format_args!(
                "{} releases of {project:?} have the version {version:?}; the newest counts, made {}",
                release.len(),
                now.minute_and_age(newest.version_info.created_at)
            )),
        }
    }
    let ([before, ..], [after, ..]) = (before.as_slice(), after.as_slice()) else {
        return Ok(Ended::NotFound);
    };
    let comparison = Comparison::of(before, after, *yaml);
    if *json {
        terminal::print_json(&serde_json::to_string(&comparison)?)?;
    } else {
        let report = DiffReport { comparison: &comparison, now: &now, width: width() };
        terminal::print_styled(report)?;
    }
    Ok(Ended::Well)
}

/// The releases of a project that have a version, newest first: those of the first answer that has any.
async fn newest(endpoints: &Endpoints, project: &str, version: &str) -> Result<Vec<ReleaseInfo>, AskError> {
    let mut next = Some([("projectName", project), ("version", version)].into_iter().collect());
    // A long search may be answered in several parts, and the first of them may be empty.
    while let Some(query) = next {
        let Answered { json, next: older } = endpoints.ask(Endpoint::ListReleases, &query).await?;
        let releases: Vec<ReleaseInfo> = read(&json)?;
        if !releases.is_empty() {
            return Ok(releases);
        }
        next = older;
    }
    Ok(Vec::new())
}
