//! `environment`: everything that runs in an environment.

use clap::builder::NonEmptyStringValueParser;
use delivery_center::endpoint::Endpoint;
use delivery_center::error::Status;
use delivery_center::image_reference::repository;
use delivery_center::query::Query;
use delivery_center::store::keys::last_deploy_entry;
use serde::Serialize;

use super::exit_status::Ended;
use super::layout::{HEADING, left, natural_width, styled, table, width};
use super::local_time::Now;
use super::question::ApiArguments;
use super::short_image::CommonRegistry;
use super::terminal;
use crate::answers::{Answered, ArtifactInfo, Endpoints, EnvironmentInfo, ReleaseInfo, StoredText, read};

/// How many digits of a commit are shown.
const COMMIT_DIGITS: usize = 7;
const INDENT: usize = 2;

/// Everything that runs in an environment: since when, by whom, and from which commit.
///
/// It reads the tables that the AWS environment names, by the functions' own code, and needs `dynamodb:Query` and
/// `dynamodb:BatchGetItem` on them; or it asks the deployed API at --api. A version is shown where a release of that
/// environment holds the image. Times are local.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  delivery-center environment prod
  delivery-center environment preview --namespace pr-736
  delivery-center environment prod --json | jq -r .image")]
pub(super) struct EnvironmentArguments {
    /// The environment.
    #[arg(value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    env: String,
    /// Only this namespace of it.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    namespace: Option<String>,
    /// Print what is shown as JSON, an object a line, with whole digests and commits.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    api: ApiArguments,
}

/// Something that runs in the environment, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Running {
    service: StoredText,
    namespace: StoredText,
    image: StoredText,
    image_digest: StoredText,
    version: StoredText,
    since: i64,
    created_by: StoredText,
    commit_id: StoredText,
    artifact_id: StoredText,
}

pub(super) async fn run(arguments: EnvironmentArguments) -> anyhow::Result<Ended> {
    let endpoints = arguments.api.endpoints().await?;
    let bar = terminal::counter("images");
    let mut found = Vec::new();
    let mut next = Some(arguments.query());
    let mut none = String::new();
    while let Some(query) = next {
        let Answered { json, next: following } = match endpoints.ask(Endpoint::GetArtifact, &query).await {
            Ok(answered) => answered,
            Err(error) if error.has_status(Status::NotFound) => {
                next = error.next();
                none = error.to_string();
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        next = following.filter(|following| *following != query);
        let after = query.first("after").unwrap_or_default();
        // It may have been replaced while it was looked at.
        let Some(running) = arguments.running(&endpoints, read(&json)?, after).await? else { continue };
        bar.inc(1);
        if arguments.json {
            terminal::print_json(&serde_json::to_string(&running)?)?;
        }
        found.push(running);
    }
    bar.finish_and_clear();
    if found.is_empty() {
        terminal::say(StoredText::from(none.as_str()));
        return Ok(Ended::NotFound);
    }
    if !arguments.json {
        terminal::print_styled(shown(&found, &Now::from_the_clock(), width()))?;
    }
    Ok(Ended::Well)
}

impl EnvironmentArguments {
    fn query(&self) -> Query {
        let given = [
            ("envName", Some(self.env.clone())),
            ("include", Some("environments".to_owned())),
            ("namespace", self.namespace.clone()),
        ];
        given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// What is told of an artifact that runs there. It may run in several namespaces: this is about the first one
    /// behind the place where the step began.
    async fn running(
        &self,
        endpoints: &Endpoints,
        artifact: ArtifactInfo,
        after: &str,
    ) -> anyhow::Result<Option<Running>> {
        let name = repository(artifact.image.as_stored());
        let is_here = |there: &&EnvironmentInfo| {
            let namespace = there.namespace.as_stored();
            there.running
                && there.env_name.as_stored() == self.env
                && self.namespace.as_ref().is_none_or(|wanted| namespace == wanted)
                && last_deploy_entry(name, namespace).as_str() > after
        };
        let here = artifact.environments.iter().filter(is_here);
        let Some(there) =
            here.min_by_key(|there| last_deploy_entry(name, there.namespace.as_stored())).cloned()
        else {
            return Ok(None);
        };
        let deploy = artifact.activities.iter().find(|activity| {
            activity.kind.as_stored() == "deploy"
                && activity.env_name.as_stored() == self.env
                && activity.namespace == there.namespace
                && activity.created_time == there.since
        });
        let build = artifact.activities.iter().find(|activity| activity.kind.as_stored() == "build");
        let commit = build.and_then(|build| build.commits.first());
        let image = artifact.image.as_stored();
        let release = endpoints
            .newest_releases(
                &[
                    ("image", image.to_owned()),
                    ("envName", self.env.clone()),
                    ("verbosity", "brief".to_owned()),
                ],
                1,
            )
            .await?;
        let release = release.releases.first().map(|release| read::<ReleaseInfo>(release.get()));
        Ok(Some(Running {
            service: artifact.name,
            namespace: there.namespace,
            version: release.transpose()?.map(|release| release.version_info.version).unwrap_or_default(),
            since: there.since,
            created_by: deploy.map(|deploy| deploy.created_by.clone()).unwrap_or_default(),
            commit_id: commit.map(|commit| commit.commit_id.clone()).unwrap_or_default(),
            image: artifact.image,
            image_digest: artifact.image_digest,
            artifact_id: artifact.id,
        }))
    }
}

/// A table; where the terminal is too narrow for it, each image with what is told of it under it.
fn shown(found: &[Running], now: &Now, width: Option<u16>) -> String {
    let registry = CommonRegistry::of(found.iter().map(|running| running.image.as_stored()));
    let has_namespace = found.iter().any(|running| !running.namespace.is_empty());
    let mut rows = vec![
        [
            "SERVICE",
            if has_namespace { "NAMESPACE" } else { "" },
            "IMAGE",
            "VERSION",
            "SINCE",
            "BY",
            "COMMIT",
        ]
        .map(str::to_owned),
    ];
    rows.extend(found.iter().map(|running| {
        [
            running.service.to_string(),
            running.namespace.to_string(),
            StoredText::from(registry.shorten(running.image.as_stored())).to_string(),
            running.version.to_string(),
            now.minute_and_age(running.since),
            running.created_by.to_string(),
            running.commit_id.to_string().chars().take(COMMIT_DIGITS).collect(),
        ]
    }));
    let mut lines = Vec::new();
    if width.is_none_or(|width| natural_width(&rows) <= width) {
        lines = table(rows);
        lines[0] = styled(HEADING, &lines[0]);
    } else {
        let headings = rows.remove(0).map(|heading| heading.to_lowercase());
        for row in rows {
            lines.push(styled(HEADING, &row[2]));
            let told = headings.iter().zip(row).enumerate();
            let told = told.filter(|(column, (_, cell))| *column != 2 && !cell.is_empty());
            let told: Vec<_> = told.map(|(_, (heading, cell))| [heading.clone(), cell]).collect();
            let told = if left(width, INDENT).is_none_or(|width| natural_width(&told) <= width) {
                table(told)
            } else {
                told.into_iter().map(|[heading, cell]| format!("{heading} {cell}")).collect()
            };
            lines.extend(told.into_iter().map(|line| format!("{:INDENT$}{line}", "")));
        }
    }
    lines.join("\n") + "\n" + &registry.remark(width)
}
