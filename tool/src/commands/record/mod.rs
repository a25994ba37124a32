//! `record`: records one fact from a step of a pipeline.

mod build_metadata;
mod ci_environment;
mod cleaned_url;
mod commits_since;

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use delivery_center::position::{MAX_UNIX_SECONDS, UnixSeconds};
use delivery_center::query::{TimeError, moment};
use serde_json::{Map, Value, json};

use self::build_metadata::BuildMetadata;
use self::ci_environment::{PipelineRun, VARIABLES};
use self::cleaned_url::{CleanedUrl, Repository, UnreadableUrl, clean_file_key, clean_repository, clean_url};
use self::commits_since::{CommitsSince, single_revision};
use super::exit_status::{Ended, is_unreachable};
use super::{aws, terminal};
use crate::answers::{ArtifactInfo, read};
use crate::facts::{
    Activity, ActivityKind, Environment, FactOutcome, NamedImage, NewRelease, Recorded, ReleasedService,
    namespaces_of, record_activity, record_release,
};
use crate::retries::Patience;
use crate::write::Writer;

/// Record one fact from a step of a pipeline.
///
/// A fact that is sent again is recorded once, and facts that come at the same moment are all kept. The exit
/// status is 4 if the tables could not be reached within --timeout: trying again is safe.
#[derive(Subcommand)]
#[command(after_help = VARIABLES)]
pub(super) enum RecordCommand {
    /// Record that an image was built: this makes its artifact, or extends it if there is one.
    ///
    /// The build should have a digest: --digest, --metadata-file, or NAME:TAG@DIGEST. Without one, it is
    /// added to the newest artifact of the tag, and refused if there is none.
    #[command(after_help = VARIABLES)]
    Build(BuildArguments),
    /// Record that an image was deployed into an environment.
    ///
    /// The artifact is found by its digest, or without one as the newest artifact of the tag. If there is
    /// none, one is made without a build, so that the deployment is not lost; `record build` with that tag
    /// fills it in later.
    #[command(after_help = VARIABLES)]
    Deploy(DeployArguments),
    /// Record that an image was taken away from an environment: an uninstall, or the end of a preview.
    ///
    /// It ends the run of the image that runs there, and says which one that is. Without --namespace it ends
    /// the image's run in each namespace of the environment. Where nothing of it runs there, nothing is
    /// written.
    #[command(after_help = VARIABLES)]
    Undeploy(UndeployArguments),
    /// Record that an image was tested. Its artifact is found or made as by `deploy`.
    #[command(after_help = VARIABLES)]
    Test(ImageArguments),
    /// Record that an image, or what it was made from, was published elsewhere. Its artifact is found or made
    /// as by `deploy`.
    #[command(after_help = VARIABLES)]
    Publish(PublishArguments),
    /// Record that a version was released: this makes a release with the given services and images.
    ///
    /// Its id is made from everything that is given (except --by), or from the project and --idempotency-key.
    /// So the same release, sent again, is recorded once.
    #[command(after_help = VARIABLES)]
    Release(ReleaseArguments),
}

/// The arguments that every fact has.
#[derive(Args)]
struct CommonArguments {
    /// Who did it.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// When it began: Unix seconds, or RFC 3339 as 2024-05-01T12:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    started: Option<UnixSeconds>,
    /// When it ended. The record gets this time, or the present time where --ended is not given; but a deploy
    /// or undeploy without it comes at least a second after the last one there.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    ended: Option<UnixSeconds>,
    /// A key that tells this fact from others of its kind about the same image (for a release: in the same
    /// project). Without a key, two facts are the same if everything that was given or read from the
    /// environment is the same; the time of sending does not count. A deploy without URL and times is another
    /// one where something else was deployed there since, or it was undeployed.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Print the artifact or release as it is stored, as one line of JSON.
    #[arg(long)]
    json: bool,
    /// For how many seconds to try again where the tables cannot be reached, or others keep changing the same
    /// record.
    #[arg(long, value_name = "SECONDS", default_value_t = 180)]
    timeout: u64,
}

/// What a fact about an image may tell of the step that sent it.
#[derive(Args)]
struct StepArguments {
    /// The page of the pipeline's run. Of this and every other URL, scheme, host and path are stored.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The job or task that did it.
    #[arg(long, value_name = "NAME")]
    job: Option<String>,
    /// A text about it. It is stored as it is, and not searched for secrets.
    #[arg(long, value_name = "TEXT")]
    content: Option<String>,
}

/// The arguments of every fact about an image, except an undeploy.
#[derive(Args)]
pub(super) struct ImageArguments {
    /// The image as it was pushed: REGISTRY/NAME:TAG, NAME@DIGEST or both.
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// The image's digest, sha256:...
    #[arg(long, value_name = "DIGEST")]
    digest: Option<String>,
    /// The file that `docker buildx build --metadata-file` wrote. The digest is read from it, and without
    /// --image the image too.
    #[arg(long, value_name = "FILE")]
    metadata_file: Option<PathBuf>,
    #[command(flatten)]
    step: StepArguments,
    #[command(flatten)]
    common: CommonArguments,
}

#[derive(Args)]
pub(super) struct BuildArguments {
    #[command(flatten)]
    about: ImageArguments,
    /// The image's size in bytes.
    #[arg(long, value_name = "BYTES")]
    size: Option<u64>,
    /// The image's operating system, such as linux.
    #[arg(long)]
    os: Option<String>,
    /// The image's architecture, such as amd64.
    #[arg(long)]
    arch: Option<String>,
    /// The repository, or a URL to clone it from; NAME alone where it has no owner.
    #[arg(long, value_name = "OWNER/NAME")]
    repo: Option<String>,
    /// The branch.
    #[arg(long)]
    branch: Option<String>,
    /// The Git tag, where a tag was built.
    #[arg(long)]
    tag: Option<String>,
    /// The commit.
    #[arg(long, value_name = "SHA")]
    commit: Option<String>,
    /// Record also the commits behind this reference of the local clone, up to the built one: 250 of them at
    /// most, with the pull requests that the titles of merges and squashed commits name. `auto` is the newest
    /// ancestor that an earlier artifact of the same image contains. It needs git, and the history.
    #[arg(long, value_name = "REF|auto", value_parser = single_revision)]
    commits_since: Option<String>,
    /// The pull or merge request.
    #[arg(long, value_name = "NUMBER")]
    pr: Option<u64>,
    /// The commit's message. It is stored as it is, and not searched for secrets.
    #[arg(long, value_name = "TEXT")]
    message: Option<String>,
    /// The commit's author.
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
}

#[derive(Args)]
pub(super) struct DeployArguments {
    #[command(flatten)]
    about: ImageArguments,
    /// The environment.
    #[arg(long, value_name = "NAME")]
    env: String,
    /// The Kubernetes namespace.
    #[arg(long)]
    namespace: Option<String>,
}

#[derive(Args)]
pub(super) struct UndeployArguments {
    /// The image: REGISTRY/NAME for whatever of it runs there, or with its tag, its digest or both for just
    /// that one.
    #[arg(long, value_name = "IMAGE")]
    image: String,
    /// The environment.
    #[arg(long, value_name = "NAME")]
    env: String,
    /// The Kubernetes namespace.
    #[arg(long)]
    namespace: Option<String>,
    #[command(flatten)]
    step: StepArguments,
    #[command(flatten)]
    common: CommonArguments,
}

#[derive(Args)]
pub(super) struct PublishArguments {
    #[command(flatten)]
    about: ImageArguments,
    /// A host that it was published to; may be given several times.
    #[arg(long, value_name = "HOST")]
    host: Vec<String>,
    /// A namespace that it was published to; may be given several times.
    #[arg(long)]
    namespace: Vec<String>,
    /// The key of the published file.
    #[arg(long, value_name = "KEY")]
    remote_file_key: Option<String>,
    /// Where the file was published.
    #[arg(long, value_name = "URL")]
    dist_storage_url: Option<String>,
    /// Where the file came from.
    #[arg(long, value_name = "URL")]
    src_storage_url: Option<String>,
}

#[derive(Args)]
pub(super) struct ReleaseArguments {
    /// The project.
    #[arg(long)]
    project: String,
    /// The version.
    #[arg(long)]
    version: String,
    /// The workflow that released it.
    #[arg(long, default_value = "")]
    workflow: String,
    /// The workflow's task, such as the run's number.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    task: u64,
    /// The environment that it was released into.
    #[arg(long, value_name = "NAME")]
    env: Option<String>,
    /// The environment's Kubernetes namespace.
    #[arg(long, requires = "env")]
    namespace: Option<String>,
    /// A service and its image, with a tag or a digest; may be given several times. After the image's last
    /// slash, the first colon begins the tag, and a second one the container:
    /// `web=host:5000/shop/web:1.2:app`.
    #[arg(long = "service", value_name = "NAME=IMAGE[:CONTAINER]", required = true)]
    services: Vec<String>,
    /// A manifest that was applied: FILE for all services, or NAME=FILE for one of them; may be given several
    /// times.
    #[arg(long, value_name = "FILE")]
    yaml: Vec<String>,
    /// A label; may be given several times.
    #[arg(long = "label", value_name = "TEXT")]
    labels: Vec<String>,
    /// A description. It is stored as it is, and not searched for secrets.
    #[arg(long, value_name = "TEXT", default_value = "")]
    desc: String,
    #[command(flatten)]
    common: CommonArguments,
}

pub(super) async fn run(command: RecordCommand) -> anyhow::Result<Ended> {
    Box::pin(record(command)).await.map_err(|error| {
        if is_unreachable(&error) {
            error.context("it was tried until --timeout was over; run it again")
        } else {
            error
        }
    })
}

async fn record(command: RecordCommand) -> anyhow::Result<Ended> {
    let run = PipelineRun::from_environment();
    match command {
        RecordCommand::Build(build) => {
            let repository = repository(&build, &run)?;
            let run = run.of_build(&repository, given(build.commit.clone()).as_deref());
            let commit = commit(&build, &run, &repository)?;
            let mut fact = ImageFact::new(ActivityKind::Build, build.about);
            insert(&mut fact.fields, "commits", Some(json!([commit])));
            fact.commits_since =
                build.commits_since.map(|since| CommitsSince { since, repository, built: commit });
            insert(&mut fact.artifact_fields, "image_size", build.size);
            insert(&mut fact.artifact_fields, "os", build.os);
            insert(&mut fact.artifact_fields, "architecture", build.arch);
            fact.author = given(build.author).or_else(|| run.author.clone());
            record_about_image(fact, run).await
        }
        RecordCommand::Deploy(deploy) => {
            if deploy.env.is_empty() {
                bail!("--env is empty: name the environment");
            }
            let mut fact = ImageFact::new(ActivityKind::Deploy, deploy.about);
            insert(&mut fact.fields, "env_name", Some(deploy.env));
            insert(&mut fact.fields, "namespace", deploy.namespace);
            record_about_image(fact, run).await
        }
        RecordCommand::Undeploy(undeploy) => record_undeploys(undeploy, run).await,
        RecordCommand::Test(test) => record_about_image(ImageFact::new(ActivityKind::Test, test), run).await,
        RecordCommand::Publish(publish) => {
            let if_any = |values: Vec<String>| Some(values).filter(|values| !values.is_empty());
            let mut fact = ImageFact::new(ActivityKind::Publish, publish.about);
            let mut hosts = Vec::new();
            for host in publish.host.iter().filter(|host| !host.is_empty()) {
                hosts.push(fact.url_as_stored(clean_url("--host", host)?));
            }
            insert(&mut fact.fields, "publish_hosts", if_any(hosts));
            insert(&mut fact.fields, "publish_namespaces", if_any(publish.namespace));
            let key = given(publish.remote_file_key).map(|key| clean_file_key("--remote-file-key", &key));
            fact.insert_url("remote_file_key", key)?;
            let url = given(publish.dist_storage_url).map(|url| clean_url("--dist-storage-url", &url));
            fact.insert_url("dist_storage_url", url)?;
            let url = given(publish.src_storage_url).map(|url| clean_url("--src-storage-url", &url));
            fact.insert_url("src_storage_url", url)?;
            record_about_image(fact, run).await
        }
        RecordCommand::Release(release) => record_new_release(release, run).await,
    }
}

/// What the arguments of a command say about a fact.
struct ImageFact {
    kind: ActivityKind,
    about: ImageArguments,
    /// The activity's own fields.
    fields: Map<String, Value>,
    /// What the arguments tell about the artifact.
    artifact_fields: Map<String, Value>,
    /// Digests of the URLs as they were given.
    given_urls: Vec<String>,
    author: Option<String>,
    /// The commits that a build tells besides its own.
    commits_since: Option<CommitsSince>,
}

impl ImageFact {
    fn new(kind: ActivityKind, about: ImageArguments) -> Self {
        let (fields, artifact_fields) = (Map::new(), Map::new());
        Self {
            kind,
            about,
            fields,
            artifact_fields,
            given_urls: Vec::new(),
            author: None,
            commits_since: None,
        }
    }

    fn insert_url(
        &mut self,
        name: &str,
        url: Option<Result<CleanedUrl, UnreadableUrl>>,
    ) -> Result<(), UnreadableUrl> {
        let stored = url.transpose()?.map(|url| self.url_as_stored(url));
        insert(&mut self.fields, name, stored);
        Ok(())
    }

    /// The text of a URL that is stored. The URL as it was given tells the fact from others from now on.
    fn url_as_stored(&mut self, url: CleanedUrl) -> String {
        self.given_urls.push(url.digest);
        url.stored
    }
}

async fn record_about_image(mut fact: ImageFact, run: PipelineRun) -> anyhow::Result<Ended> {
    let url = given(fact.about.step.url.take()).map(|url| clean_url("--url", &url));
    fact.insert_url("url", url.or(run.url))?;
    let ImageFact { kind, about, mut fields, mut artifact_fields, given_urls, author, commits_since } = fact;
    let metadata = about.metadata_file.as_deref().map(BuildMetadata::read).transpose()?.unwrap_or_default();
    let image = given(about.image);
    let Some(image) = image.or(metadata.image) else {
        bail!("no image is named: give --image REGISTRY/NAME:TAG");
    };
    let digest = given(about.digest);
    if let (Some(digest), Some(read)) = (&digest, &metadata.digest)
        && digest != read
    {
        bail!("--digest is not the digest that the metadata file says; give only one of them");
    }
    let digest = digest.or(given(metadata.digest));
    let image = NamedImage::parse(&image, digest.as_deref())?;
    let CommonArguments { by, started, ended, idempotency_key, json, timeout } = about.common;
    check_order(started, ended)?;
    insert(&mut fields, "job_task_name", about.step.job);
    insert(&mut fields, "content", about.step.content);
    insert(&mut fields, "start_time", started);
    insert(&mut fields, "end_time", ended);
    for (name, value) in [("os", metadata.os), ("architecture", metadata.architecture)] {
        if kind == ActivityKind::Build && !artifact_fields.contains_key(name) {
            insert(&mut artifact_fields, name, value);
        }
    }
    let writer = writer().await?;
    let mut patience = Patience::new(Duration::from_secs(timeout));
    if let Some(commits_since) = commits_since {
        let commits = commits_since.commits(&writer, &image, &mut patience).await?;
        insert(&mut fields, "commits", Some(commits));
    }
    let activity = Activity {
        kind,
        image,
        fields,
        artifact_fields,
        given_urls,
        created_by: given(by).or(run.started_by).or(author).unwrap_or_default(),
        created_time: ended.unwrap_or_else(now),
        idempotency_key: given(idempotency_key),
    };
    let recorded = record_activity(&writer, &activity, &mut patience).await?;
    if recorded.outcome == FactOutcome::Made && kind != ActivityKind::Build {
        terminal::say(format_args!(
            "note: no artifact of {} was found, so one was made without its build",
            activity.image
        ));
    }
    let what = format!("{} of {}", kind.as_str(), activity.image);
    print(&what, "artifact", &recorded, json)?;
    Ok(Ended::Well)
}

async fn record_undeploys(undeploy: UndeployArguments, run: PipelineRun) -> anyhow::Result<Ended> {
    if undeploy.env.is_empty() {
        bail!("--env is empty: name the environment");
    }
    let image = NamedImage::parse_any(&undeploy.image, None)?;
    if !image.has_repository() {
        bail!("--image names no repository: give REGISTRY/NAME, alone or with a tag or a digest");
    }
    let CommonArguments { by, started, ended, idempotency_key, json, timeout } = undeploy.common;
    check_order(started, ended)?;
    let url = given(undeploy.step.url).map(|url| clean_url("--url", &url)).or(run.url).transpose()?;
    let mut fields = Map::new();
    insert(&mut fields, "env_name", Some(undeploy.env.as_str()));
    insert(&mut fields, "url", url.as_ref().map(|url| url.stored.as_str()));
    insert(&mut fields, "job_task_name", undeploy.step.job);
    insert(&mut fields, "content", undeploy.step.content);
    insert(&mut fields, "start_time", started);
    insert(&mut fields, "end_time", ended);
    let mut activity = Activity {
        kind: ActivityKind::Undeploy,
        image,
        fields,
        artifact_fields: Map::new(),
        given_urls: url.into_iter().map(|url| url.digest).collect(),
        created_by: given(by).or(run.started_by).or(run.author).unwrap_or_default(),
        created_time: ended.unwrap_or_else(now),
        idempotency_key: given(idempotency_key),
    };
    let writer = writer().await?;
    let mut patience = Patience::new(Duration::from_secs(timeout));
    let namespace = given(undeploy.namespace);
    let asked = in_namespace(namespace.as_deref().unwrap_or_default());
    let namespaces = match namespace {
        Some(namespace) => vec![namespace],
        None => namespaces_of(&writer, &activity, &undeploy.env, &mut patience).await?,
    };
    let mut has_run = false;
    for namespace in namespaces {
        activity.fields.remove("namespace");
        insert(&mut activity.fields, "namespace", Some(namespace.as_str()));
        let recorded = record_activity(&writer, &activity, &mut patience).await?;
        if recorded.outcome != FactOutcome::NothingRuns {
            has_run = true;
            let artifact: ArtifactInfo = read(&recorded.json)?;
            let from = format!("{}{}", undeploy.env, in_namespace(&namespace));
            let what = format!("undeploy of {} from {from}", artifact.image);
            print(&what, "artifact", &recorded, json)?;
        }
    }
    if !has_run {
        let (image, env) = (activity.image, undeploy.env);
        terminal::say(format_args!("nothing of {image} runs in {env}{asked}; nothing was written"));
    }
    Ok(Ended::Well)
}

/// A namespace behind the name of its environment; nothing where it is empty.
fn in_namespace(namespace: &str) -> String {
    if namespace.is_empty() { String::new() } else { format!(" (namespace {namespace})") }
}

/// A value that was given: a pipeline passes on variables that are not always set, so an empty one was not.
fn given(value: Option<String>) -> Option<String> {
    value.filter(|value| !value.is_empty())
}

/// Inserts a field, unless its value is empty: a pipeline passes on variables that are not always set.
fn insert(fields: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value.map(Into::into).filter(|value| *value != "") {
        fields.insert(name.to_owned(), value);
    }
}

/// Prints what became of a fact, or the record that holds it now.
fn print(what: &str, record: &str, recorded: &Recorded, as_json: bool) -> anyhow::Result<()> {
    let Recorded { outcome, id, json, remark } = recorded;
    if let Some(remark) = remark {
        terminal::say(remark);
    }
    let said = match outcome {
        FactOutcome::Added => format!("recorded: {what}, added to {record} {id}"),
        FactOutcome::Made => format!("recorded: {what}, as new {record} {id}"),
        FactOutcome::NothingRuns => format!("{what}: nothing of it runs there; nothing was written"),
        FactOutcome::Already => format!(
            "recorded before: {what}, in {record} {id}; nothing was written (if this is another one, tell it apart by \
             --url, --started, --ended or --idempotency-key)"
        ),
    };
    if as_json {
        terminal::say(format_args!("{said}"));
        terminal::print(json)
    } else {
        terminal::print(said)
    }
}

/// The error for what a build must have.
fn missing(what: &str, of: &str) -> String {
    format!(
        "the build has no {what}, and no variable of GitHub Actions, GitLab CI or Jenkins names one{of}: give --{what}"
    )
}

fn repository(build: &BuildArguments, run: &PipelineRun) -> anyhow::Result<Repository> {
    let repository = given(build.repo.clone()).map(|text| clean_repository("--repo", &text));
    let repository = repository.or_else(|| run.repository.clone()).transpose()?;
    let mut repository = repository.with_context(|| missing("repo", ""))?;
    if repository.address.is_empty()
        && let Some(Ok(own)) = &run.repository
    {
        repository.address.clone_from(&own.address);
    }
    Ok(repository)
}

fn commit(build: &BuildArguments, run: &PipelineRun, repository: &Repository) -> anyhow::Result<Value> {
    let commit = given(build.commit.clone())
        .or_else(|| run.commit.clone())
        .with_context(|| missing("commit", &format!(" of {}", repository.path())))?;
    let tag = given(build.tag.clone())
        .or_else(|| run.tag.clone().filter(|_| given(build.branch.clone()).is_none()));
    let branch = given(build.branch.clone()).or_else(|| run.branch.clone());
    Ok(json!({
        "address": repository.address,
        "source": repository.source(),
        "repo_owner": repository.owner,
        "repo_name": repository.name,
        "branch": branch.unwrap_or_default(),
        "pr": build.pr.or(run.pull_request).unwrap_or_default(),
        "tag": tag.unwrap_or_default(),
        "commit_id": commit,
        "commit_message": given(build.message.clone()).or_else(|| run.message.clone()).unwrap_or_default(),
        "author_name": given(build.author.clone()).or_else(|| run.author.clone()).unwrap_or_default(),
    }))
}

async fn record_new_release(release: ReleaseArguments, run: PipelineRun) -> anyhow::Result<Ended> {
    let CommonArguments { by, started, ended, idempotency_key, json, timeout } = release.common;
    check_order(started, ended)?;
    for (flag, value) in [("project", &release.project), ("version", &release.version)] {
        if value.is_empty() {
            bail!("--{flag} is empty");
        }
    }
    let mut services = Vec::new();
    for service in &release.services {
        let service = ReleasedService::parse(service)?;
        let is_same =
            |other: &ReleasedService| other.name == service.name && other.container == service.container;
        if services.iter().any(is_same) {
            bail!(
                "--service {} is given twice: where it has several containers, name each of them (NAME=IMAGE:TAG:CONTAINER)",
                service.name
            );
        }
        services.push(service);
    }
    add_manifests(&mut services, &release.yaml)?;
    let what = format!("release {} of {}", release.version, release.project);
    let environment = given(release.env);
    let namespace = release.namespace.unwrap_or_default();
    let release = NewRelease {
        project: release.project,
        version: release.version,
        workflow: release.workflow,
        task_id: release.task,
        description: release.desc,
        labels: release.labels,
        environment: environment.map(|name| Environment { name, namespace }),
        services,
        created_by: given(by).or(run.started_by).or(run.author).unwrap_or_default(),
        created_at: ended.unwrap_or_else(now),
        started,
        ended,
        idempotency_key: given(idempotency_key),
    };
    let mut patience = Patience::new(Duration::from_secs(timeout));
    let recorded = record_release(&writer().await?, &release, &mut patience).await?;
    print(&what, "release", &recorded, json)?;
    Ok(Ended::Well)
}

fn add_manifests(services: &mut [ReleasedService], files: &[String]) -> anyhow::Result<()> {
    for given in files {
        let named =
            given.split_once('=').filter(|(name, _)| services.iter().any(|service| service.name == *name));
        let (name, file) = named.map_or((None, given.as_str()), |(name, file)| (Some(name), file));
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read --yaml {given}"))?;
        for service in services.iter_mut().filter(|service| name.is_none_or(|name| service.name == name)) {
            service.yaml_contents.push(text.clone());
        }
    }
    Ok(())
}

fn check_order(started: Option<UnixSeconds>, ended: Option<UnixSeconds>) -> anyhow::Result<()> {
    if let (Some(started), Some(ended)) = (started, ended)
        && started > ended
    {
        bail!("--started {started} is after --ended {ended}");
    }
    Ok(())
}

fn now() -> UnixSeconds {
    SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.as_secs()).unwrap_or_default()
}

fn parse_time(text: &str) -> Result<UnixSeconds, String> {
    let no_time = || "neither Unix seconds nor a time such as 2024-05-01T12:00:00Z".to_owned();
    let seconds = moment(text).map_err(|error| match error {
        TimeError::Form(_) => no_time(),
        TimeError::FinerThanSeconds { .. } => error.to_string(),
        TimeError::DateWithoutDashes { date, .. } => format!("that reads as a date: write {date}T00:00:00Z"),
    })?;
    UnixSeconds::try_from(seconds).ok().filter(|seconds| *seconds <= MAX_UNIX_SECONDS).ok_or_else(no_time)
}

/// The tables, with a client that gives up early: this command itself tries again until --timeout.
async fn writer() -> anyhow::Result<Writer> {
    aws::writer_of(aws::hasty_client().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_unix_seconds_or_rfc_3339() {
        assert_eq!(parse_time("1637726888"), Ok(1_637_726_888));
        assert_eq!(parse_time("2021-11-24T12:08:08+08:00"), Ok(1_637_726_888));
        assert_eq!(parse_time("2021-11-24T04:08:08.5Z"), Ok(1_637_726_888));
        for text in ["", "-1", "1637726888000", "99999999999999999999", "yesterday", "2021-11-24", "20211124"]
        {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }
}
