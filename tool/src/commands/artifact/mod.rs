//! `artifact`: what an image is, where it came from and where it runs, as a short story.

mod many;
mod story;

use clap::builder::NonEmptyStringValueParser;
use delivery_center::endpoint::Endpoint;
use delivery_center::error::Status;
use delivery_center::image_reference::{found_under, repository};
use delivery_center::query::Query;
use delivery_center::store::keys::last_deploy_entry;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use story::Story;

use super::exit_status::{Ended, unusable};
use super::layout::width;
use super::local_time::Now;
use super::question::ApiArguments;
use super::short_image::registry;
use super::terminal;
use crate::answers::{Answered, ArtifactInfo, AskError, Endpoints, EnvironmentInfo, StoredText, read};

/// How many environments are shown without `--environments`, each with what runs there now.
const ENVIRONMENTS_OF_A_STORY: usize = 10;
/// How many environments are asked for at once.
const LOOK_UPS_AT_ONCE: usize = 8;

/// What an image is: from which commit it was built, who tested it, where it runs.
///
/// It reads the tables that the AWS environment names, by the functions' own code, and needs `dynamodb:Query` and
/// `dynamodb:BatchGetItem` on them; or it asks the deployed API at --api. Times are local.
#[derive(clap::Args)]
#[command(
    group = clap::ArgGroup::new("look-up").required(true).args(["image", "commit", "pr"]),
    after_help = "Examples:
  delivery-center artifact registry.example.com/shop/cart:1.4.0
  delivery-center artifact --env prod registry.example.com/shop/cart    what runs there now?
  delivery-center artifact --commit 4b15c43 --limit 10                  what was built from it?
  delivery-center artifact --pr 736 --repo koderover/zadig
  delivery-center artifact sha256:1d9ddf94… --environments --json | jq .environments
  kubectl get pods -A -o jsonpath='{range .items[*].spec.containers[*]}{.image}{\"\\n\"}{end}' | delivery-center artifact -"
)]
pub(super) struct ArtifactArguments {
    /// The image, REGISTRY/NAME:TAG or NAME@DIGEST; or a digest; with --env a repository, REGISTRY/NAME.
    ///
    /// With - images, digests and commits come from standard input, one a line. Each that is not blank gets a line of JSON, in their
    /// order: {"asked":LINE,"status":200,"artifact":{…}}, or {"asked":LINE,"status":404,"description":"…"}.
    #[arg(value_name = "IMAGE|DIGEST|-", value_parser = NonEmptyStringValueParser::new())]
    image: Option<String>,
    /// The newest artifact that was made from this commit; 7 digits of its id are enough.
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    commit: Option<String>,
    /// The newest artifact that was made from this pull request of --repo.
    #[arg(long, value_name = "NUMBER", requires = "repo", value_parser = clap::value_parser!(u32).range(1..))]
    pr: Option<u32>,
    /// The repository of the pull request or the commit.
    #[arg(long, value_name = "OWNER/NAME", conflicts_with = "image", value_parser = NonEmptyStringValueParser::new())]
    repo: Option<String>,
    /// The artifact of the repository that runs in this environment now.
    #[arg(long, value_name = "NAME", requires = "image", value_parser = NonEmptyStringValueParser::new())]
    env: Option<String>,
    /// Only this namespace of the environment.
    #[arg(long, value_name = "NAME", requires = "env", value_parser = NonEmptyStringValueParser::new())]
    namespace: Option<String>,
    /// Show every environment that it was deployed to, not only the latest ten; with --json, add them to the
    /// JSON.
    #[arg(long)]
    environments: bool,
    /// With --commit and --pr: show this many artifacts at most, the newest first.
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 1,
        conflicts_with = "image",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    limit: u32,
    /// Print the API's own JSON, an artifact a line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    api: ApiArguments,
}

pub(super) async fn run(arguments: ArtifactArguments) -> anyhow::Result<Ended> {
    let image = arguments.image.as_deref().unwrap_or_default();
    if image == "-" {
        return arguments.ask_many().await;
    }
    let name = repository(image);
    if arguments.env.is_some() && name != image {
        return Err(unusable(format!(
            "--env asks which image of a repository runs there: give the repository without tag and digest, {name}"
        )));
    }
    let endpoints = arguments.api.endpoints().await?;
    let mut next = Some(arguments.query());
    for number in 0..arguments.limit {
        let Some(query) = next.take() else { break };
        let Answered { json, next: older } = match endpoints.ask(Endpoint::GetArtifact, &query).await {
            Ok(answered) => answered,
            // The older ones were removed meanwhile.
            Err(error) if error.has_status(Status::NotFound) && number > 0 => break,
            Err(error) if error.has_status(Status::NotFound) => {
                terminal::say(StoredText::from(error.to_string().as_str()));
                let is_digest = ["sha256", "sha512"].contains(&name);
                if !image.is_empty() && !is_digest && registry(name).is_none() {
                    terminal::say(
                        "give the image with its registry, REGISTRY/NAME:TAG; `releases` names it below its table",
                    );
                }
                return Ok(Ended::NotFound);
            }
            Err(error) => return Err(error.into()),
        };
        next = older;
        if arguments.json {
            terminal::print_json(&json)?;
            continue;
        }
        if number > 0 {
            terminal::print("\n")?;
        }
        arguments.tell(&endpoints, &read(&json)?).await?;
    }
    if next.is_some() {
        let more = arguments.limit.max(2).saturating_mul(5);
        terminal::say(format_args!("older artifacts match too: --limit {more} shows more"));
    }
    Ok(Ended::Well)
}

impl ArtifactArguments {
    fn query(&self) -> Query {
        let include = (self.environments || !self.json).then(|| "environments".to_owned());
        let given = [
            ("image", self.image.clone()),
            ("commit", self.commit.clone()),
            ("pr", self.pr.map(|pr| pr.to_string())),
            ("repo", self.repo.clone()),
            ("envName", self.env.clone()),
            ("namespace", self.namespace.clone()),
            ("include", include),
        ];
        given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// Prints an artifact's story.
    async fn tell(&self, endpoints: &Endpoints, artifact: &ArtifactInfo) -> anyhow::Result<()> {
        let told = if self.environments { usize::MAX } else { ENVIRONMENTS_OF_A_STORY };
        let successors: Vec<_> = stream::iter(artifact.environments.iter().take(told))
            .map(|environment| successor(endpoints, artifact, environment))
            .buffered(LOOK_UPS_AT_ONCE)
            .try_collect()
            .await?;
        let story = Story { artifact, successors: &successors, now: &Now::from_the_clock(), width: width() };
        terminal::print_styled(story)
    }
}

/// What runs in an environment instead of an artifact, and since when; `None` where the artifact itself runs
/// there, or nothing is known.
async fn successor(
    endpoints: &Endpoints,
    artifact: &ArtifactInfo,
    environment: &EnvironmentInfo,
) -> Result<Option<(ArtifactInfo, i64)>, AskError> {
    let repository = repository(artifact.image.as_stored());
    if environment.running || repository.is_empty() {
        return Ok(None);
    }
    let (env_name, namespace) = (environment.env_name.as_stored(), environment.namespace.as_stored());
    // Deploys that named no namespace cannot be asked for alone. In the walk through everything that runs there,
    // theirs is the first of the repository, and this place is right before it: `"` comes before `#`.
    let before = last_deploy_entry(repository, "").replace('#', "\"#");
    let whose = if namespace.is_empty() { ("after", before.as_str()) } else { ("image", repository) };
    let query = [("envName", env_name), ("namespace", namespace), ("include", "environments"), whose];
    let running: ArtifactInfo = match endpoints.ask(Endpoint::GetArtifact, &query.into_iter().collect()).await
    {
        Ok(answered) => read(&answered.json)?,
        Err(error) if error.has_status(Status::NotFound) => return Ok(None),
        Err(error) => return Err(error),
    };
    let there = |there: &&EnvironmentInfo| {
        there.running && there.env_name == environment.env_name && there.namespace == environment.namespace
    };
    if found_under(self::repository(running.image.as_stored())) != found_under(repository) {
        return Ok(None);
    }
    let since = running.environments.iter().find(there).map(|there| there.since);
    // It may have been deployed there again meanwhile.
    Ok(since.filter(|_| running.id != artifact.id).map(|since| (running, since)))
}
