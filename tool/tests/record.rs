//! `record`: what pipelines send is kept, and kept once, even if others send at the same moment.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use delivery_center::endpoint::Endpoint::{GetArtifact, ListReleases};
use delivery_center::store::TableNames;
use delivery_center_tool::embedded::client;
use delivery_center_tool::facts::{Activity, ActivityKind, FactOutcome, NamedImage, record_activity};
use delivery_center_tool::record::Record;
use delivery_center_tool::retries::Patience;
use delivery_center_tool::write::{KeepRecorded, Mode, Outcome, PackedArtifact, Writer};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::permissions::documented;
use crate::running::{Ran, ago, run, run_on, tool};
use crate::support::faulty::{Fault, FaultyProxy};
use crate::support::{Tables, incompressible, number_of};

const IMAGE: &str = "registry.example.com:5000/shop/cart:1.0";
const DIGEST: &str = "sha256:1d9ddf94feb5ff9ca9d76248ad51dd2a95210895d0dbf1e87bd66cc471c41f0e";
const OTHER_DIGEST: &str = "sha256:954352110aef2cbb2bc7ac11877fb07ecb78f505afb30497bbe03cc09990151a";
const COMMIT: [&str; 6] = ["--repo", "acme/shop", "--branch", "main", "--commit", "4b15c43b"];

/// A writer with longer timeouts than a function's, for hundreds of calls at once.
pub(crate) fn patient_writer(tables: &Tables) -> Writer {
    Writer::new(client(&tables.endpoint_url), tables.names.clone())
}

fn record_command(tables: &Tables, arguments: &[&str]) -> Command {
    tool(&tables.environment(), &[&["record"], arguments].concat())
}

/// Records a fact, which must succeed, and gives what is stored then.
async fn record(tables: &Tables, arguments: &[&str]) -> Value {
    recorded(&run(record_command(tables, &[arguments, &["--json"]].concat())).await)
}

fn recorded(ran: &Ran) -> Value {
    assert_eq!(ran.status, Some(0), "{ran:?}");
    serde_json::from_str(&ran.out).unwrap()
}

async fn build(tables: &Tables, arguments: &[&str]) -> Value {
    record(tables, &[&["build", "--image", IMAGE], arguments, &COMMIT].concat()).await
}

/// Records a fact, which must be refused, and gives what the tool says.
async fn refused(tables: &Tables, arguments: &[&str]) -> String {
    let ran = run(record_command(tables, arguments)).await;
    // What is wrong with the arguments alone is told with how to use the command.
    let status = if ran.err.contains("try '--help'") { 2 } else { 1 };
    assert_eq!(ran.status, Some(status), "{arguments:?}: {ran:?}");
    ran.err
}

async fn stored_artifact(tables: &Tables, image: &str) -> Value {
    tables.get(GetArtifact, &format!("image={image}")).await.json()
}

async fn stored_releases(tables: &Tables, query: &str) -> Value {
    tables.get(ListReleases, query).await.json()
}

/// The entries of a table's items.
async fn entries(tables: &Tables, table: &str) -> Vec<String> {
    let items = tables.client.scan().table_name(table).send().await.unwrap().items.unwrap();
    items.into_iter().map(|item| item["entry"].as_s().unwrap().clone()).collect()
}

/// Waits until the clock shows another second. What is recorded from then on has another time.
async fn another_second() {
    let second = ago(0);
    while ago(0) == second {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn deploy(number: usize) -> Activity {
    let fields =
        json!({ "env_name": format!("env-{number}"), "url": format!("https://ci.example.com/{number}") });
    Activity {
        kind: ActivityKind::Deploy,
        image: NamedImage::parse(IMAGE, Some(DIGEST)).unwrap(),
        fields: fields.as_object().unwrap().clone(),
        given_urls: Vec::new(),
        artifact_fields: Map::new(),
        created_by: "ci".to_owned(),
        created_time: 1_700_000_000 + number as u64 % 7,
        idempotency_key: None,
    }
}

/// Sends deploys at the same moment, and gives how each ended.
pub(crate) async fn send_at_once(writer: &Writer, count: usize) -> Vec<FactOutcome> {
    let sending = (0..count).map(|number| {
        let writer = writer.clone();
        tokio::spawn(async move {
            let mut patience = Patience::new(Duration::from_secs(400));
            record_activity(&writer, &deploy(number), &mut patience).await.unwrap().outcome
        })
    });
    let sending: Vec<_> = sending.collect();
    let mut outcomes = Vec::new();
    for sent in sending {
        outcomes.push(sent.await.unwrap());
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_pipelines_at_the_same_moment_nothing_is_lost_or_doubled() {
    let tables = Tables::empty().await;
    let writer = patient_writer(&tables);
    // Each that comes too late reads again what all before it have written.
    let pipelines = usize::try_from(number_of("PIPELINES", 50)).unwrap();
    let outcomes = send_at_once(&writer, pipelines).await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == FactOutcome::Made).count(), 1);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == FactOutcome::Added).count(), pipelines - 1);
    let artifact = stored_artifact(&tables, IMAGE).await;
    let environments: BTreeSet<_> = artifact["activities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|activity| activity["env_name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(environments, (0..pipelines).map(|number| format!("env-{number}")).collect());
    assert_eq!(artifact["activities"].as_array().unwrap().len(), pipelines);

    let again = send_at_once(&writer, pipelines).await;
    assert!(again.iter().all(|outcome| *outcome == FactOutcome::Already), "{again:?}");
    assert_eq!(stored_artifact(&tables, IMAGE).await, artifact);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_fact_sent_by_many_at_the_same_moment_is_recorded_once() {
    let tables = Tables::empty().await;
    let writer = patient_writer(&tables);
    let sending: Vec<_> = (0..20)
        .map(|_| {
            let writer = writer.clone();
            tokio::spawn(async move {
                let mut patience = Patience::new(Duration::from_mins(1));
                record_activity(&writer, &deploy(1), &mut patience).await.unwrap().outcome
            })
        })
        .collect();
    let mut made = 0;
    for sent in sending {
        made += usize::from(sent.await.unwrap() == FactOutcome::Made);
    }
    assert_eq!(made, 1);
    assert_eq!(stored_artifact(&tables, IMAGE).await["activities"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_is_answered_in_the_documented_form() {
    let tables = Tables::empty().await;
    let stored = build(
        &tables,
        &[
            "--digest",
            DIGEST,
            "--size",
            "22578466",
            "--os",
            "linux",
            "--arch",
            "amd64",
            "--pr",
            "736",
            "--message",
            "test",
            "--author",
            "user1",
            "--url",
            "https://ci.example.com/70",
            "--started",
            "1639467890",
            "--ended",
            "2021-12-14T07:45:44Z",
        ],
    )
    .await;
    let id = stored["id"].as_str().unwrap();
    assert!(id.len() == 24 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    let activity = json!({
        "artifact_id": id, "type": "build", "url": "https://ci.example.com/70",
        "commits": [{
            "address": "", "repo_owner": "acme", "repo_name": "shop", "branch": "main", "pr": 736,
            "commit_id": "4b15c43b", "commit_message": "test", "author_name": "user1",
        }],
        "start_time": 1_639_467_890, "end_time": 1_639_467_944, "created_by": "user1", "created_time": 1_639_467_944,
    });
    let expected = json!({
        "id": id, "name": "cart", "type": "image", "source": "workflow", "image": IMAGE, "image_tag": "1.0",
        "image_digest": DIGEST, "image_size": 22_578_466, "architecture": "amd64", "os": "linux",
        "created_by": "user1", "created_time": 1_639_467_944, "activities": [activity],
        "sortedActivities": { "build": [activity] },
    });
    assert_eq!(stored, expected);
    assert_eq!(
        stored_artifact(&tables, IMAGE).await.to_string(),
        expected.to_string(),
        "the order of fields is the page's"
    );
    assert_eq!(stored_artifact(&tables, DIGEST).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_given_by_tag_alone_finds_the_newest_record_of_that_tag() {
    let tables = Tables::empty().await;
    build(&tables, &["--digest", OTHER_DIGEST, "--ended", "1700000000"]).await;
    let newest = build(&tables, &["--digest", DIGEST, "--ended", "1700000100"]).await;
    let deployed =
        record(&tables, &["deploy", "--image", IMAGE, "--env", "prod", "--namespace", "shop-prod"]).await;
    assert_eq!(deployed["id"], newest["id"]);
    assert_eq!(deployed["activities"][0]["env_name"], "prod");
    assert_eq!(deployed["activities"][0]["namespace"], "shop-prod");
    let repository = "registry.example.com:5000/shop/cart";
    let by_digest = format!("{repository}@{OTHER_DIGEST}");
    let tested = record(&tables, &["test", "--image", &by_digest, "--content", "42 passed"]).await;
    assert_eq!(tested["image_digest"], OTHER_DIGEST);
    assert_eq!(tested["activities"][0]["content"], "42 passed");
    let published = record(
        &tables,
        &["publish", "--image", DIGEST, "--host", "a.example.com", "--host", "b.example.com"],
    )
    .await;
    let hosts = &published["sortedActivities"]["publish"][0]["publish_hosts"];
    assert_eq!(*hosts, json!(["a.example.com", "b.example.com"]));
    assert_eq!(stored_artifact(&tables, IMAGE).await, published);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_fact_is_recorded_once_and_another_run_is_another_fact() {
    let tables = Tables::empty().await;
    let first = build(&tables, &["--digest", DIGEST]).await;
    another_second().await;
    assert_eq!(build(&tables, &["--digest", DIGEST]).await, first);
    let again = build(&tables, &["--digest", DIGEST, "--url", "https://ci.example.com/2"]).await;
    assert_eq!(again["activities"].as_array().unwrap().len(), 2);
    let deploy = async |key: &str, env: &str| {
        record(&tables, &["deploy", "--image", IMAGE, "--env", env, "--idempotency-key", key]).await
    };
    deploy("run 1", "staging").await;
    let kept = deploy("run 1", "prod").await;
    assert_eq!(kept["activities"].as_array().unwrap().len(), 3);
    assert_eq!(deploy("run 2", "prod").await["activities"].as_array().unwrap().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_are_told_apart_by_the_url_as_it_was_given_of_which_scheme_host_and_path_are_stored() {
    let tables = Tables::empty().await;
    let is_recorded_before = async |run: u32| {
        let url = format!("https://ann:secret@ci.example.com/job/7?run={run}#log");
        let deploy = ["record", "deploy", "--image", IMAGE, "--env", "prod", "--url", &url];
        let ran = run_on(&tables, &deploy).await;
        assert_eq!(ran.status, Some(0), "{ran:?}");
        ran.out.starts_with("recorded before")
    };
    assert!(!is_recorded_before(1).await && !is_recorded_before(2).await);
    assert!(is_recorded_before(1).await && is_recorded_before(2).await);
    let stored = stored_artifact(&tables, IMAGE).await;
    assert_eq!(stored["activities"][0]["url"], "https://ci.example.com/job/7");
    // Two facts that are alike in every stored field are two activities, also after an import.
    let activities = stored["activities"].as_array().unwrap().clone();
    assert_eq!(activities.len(), 2);
    let export = run_on(&tables, &["export", "--artifacts"]).await;
    tables.import(&export.out).await;
    assert_eq!(stored_artifact(&tables, IMAGE).await["activities"], json!(activities));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_and_a_deployment_of_one_image_on_docker_hub_meet_however_it_is_written() {
    let (of_build, of_deploy) = ("docker.io/acme/shop:1", "acme/shop:1");
    for is_built_first in [true, false] {
        let tables = Tables::empty().await;
        let deploy = ["deploy", "--image", of_deploy, "--env", "prod", "--idempotency-key", "run 1"];
        let deploy_of = |image| ["deploy", "--image", image, "--env", "prod", "--idempotency-key", "run 1"];
        let built = [&["build", "--image", of_build, "--digest", DIGEST], COMMIT.as_slice()].concat();
        let facts = [built.as_slice(), &deploy];
        let order = if is_built_first { [0, 1] } else { [1, 0] };
        for fact in order.map(|number| facts[number]) {
            record(&tables, fact).await;
        }
        for image in [of_build, of_deploy] {
            let activities = stored_artifact(&tables, image).await["activities"].clone();
            assert_eq!(activities.as_array().unwrap().len(), 2, "{image}: {activities}");
        }
        let again = run(record_command(&tables, &deploy_of("index.docker.io/acme/shop:1"))).await;
        assert!(again.out.contains("recorded before"), "{again:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_taken_as_kubectl_and_container_engines_print_it() {
    let tables = Tables::empty().await;
    build(&tables, &["--digest", DIGEST]).await;
    let repository = IMAGE.rsplit_once(':').unwrap().0;
    for (env, image) in [
        ("a", format!("docker-pullable://{repository}@{DIGEST}")),
        ("b", format!("docker://{IMAGE}")),
        ("c", format!("oci://{IMAGE}@{DIGEST}")),
    ] {
        let stored = record(&tables, &["deploy", "--env", env, "--image", &image]).await;
        assert_eq!((&stored["image"], &stored["image_digest"]), (&json!(IMAGE), &json!(DIGEST)), "{image}");
    }
    let service = format!("web=docker-pullable://{repository}@{DIGEST}:app");
    let release = ["release", "--project", "shop", "--version", "1", "--service", &service];
    let deployed = record(&tables, &release).await["deployInfo"][0].clone();
    assert_eq!(deployed["image"], format!("{repository}@{DIGEST}"));
    assert_eq!(deployed["containerName"], "app");
    let said = refused(&tables, &["deploy", "--env", "a", "--image", "https://reg.example.com/a:1"]).await;
    assert!(said.contains("is a URL"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_fills_in_what_a_deployment_recorded_before_it() {
    let tables = Tables::empty().await;
    let ran = run_on(&tables, &["record", "deploy", "--image", IMAGE, "--env", "prod"]).await;
    assert_eq!(ran.status, Some(0));
    assert!(ran.err.contains("made without its build"), "{ran:?}");
    let deployed = stored_artifact(&tables, IMAGE).await;
    let built = build(&tables, &["--digest", DIGEST, "--size", "7"]).await;
    assert_eq!(built["id"], deployed["id"]);
    assert_eq!(built["image_size"], 7);
    assert_eq!(stored_artifact(&tables, IMAGE).await, built);
    assert_eq!(stored_artifact(&tables, DIGEST).await, built);
    let entries = entries(&tables, &tables.names.artifacts).await;
    let artifacts = entries.iter().filter(|entry| entry.starts_with("artifact#"));
    assert_eq!(artifacts.count(), 1, "it was moved, not copied");
    let other = build(&tables, &["--digest", OTHER_DIGEST]).await;
    assert_ne!(other["id"], built["id"], "a tag that is pushed again has another artifact");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_that_needs_parts_is_extended_and_imported_over() {
    let tables = Tables::empty().await;
    let writer = patient_writer(&tables);
    let text = json!({
        "id": "61b84bbcc19ba8cdb184cc53", "name": "cart", "type": "image", "image": IMAGE, "image_digest": DIGEST,
        "created_time": 1, "docker_file": incompressible(900_000, 1), "zz": 1.50,
    });
    let text = text.to_string();
    let Ok(Record::Artifact(artifact)) = Record::check(text.as_bytes()) else { panic!("an artifact") };
    let packed = PackedArtifact::new((*artifact).clone()).unwrap();
    writer.put_artifact(&packed, Mode::Write, KeepRecorded::Yes).await.unwrap();
    let mut patience = Patience::new(Duration::from_secs(30));
    let recorded = record_activity(&writer, &deploy(1), &mut patience).await.unwrap();
    assert_eq!((recorded.outcome, recorded.id.as_str()), (FactOutcome::Added, "61b84bbcc19ba8cdb184cc53"));
    assert!(recorded.json.contains(r#""zz":1.5"#));
    assert_eq!(stored_artifact(&tables, IMAGE).await.to_string(), recorded.json);
    let entries = entries(&tables, &tables.names.artifacts).await;
    let revision = |entry: &String| Some(entry.strip_prefix("part#")?.split('#').nth(1)?.to_owned());
    let parts: BTreeSet<_> = entries.iter().filter_map(revision).collect();
    assert_eq!(parts.len(), 1, "the parts of the revision before are gone");

    let Ok(Record::Artifact(extended)) = Record::check(recorded.json.as_bytes()) else {
        panic!("an artifact")
    };
    let extended = PackedArtifact::new(*extended).unwrap();
    let again = writer.put_artifact(&extended, Mode::Write, KeepRecorded::Yes).await.unwrap();
    assert_eq!((again.outcome, again.recorded_kept), (Outcome::Unchanged, 1));
    let over = writer.put_artifact(&packed, Mode::Write, KeepRecorded::Yes).await.unwrap();
    assert_eq!((over.outcome, over.recorded_kept), (Outcome::Unchanged, 1), "the recorded activity stays");
    assert_eq!(stored_artifact(&tables, IMAGE).await.to_string(), recorded.json);
    let dropping = writer.put_artifact(&packed, Mode::Write, KeepRecorded::No).await.unwrap();
    assert_eq!((dropping.outcome, dropping.recorded_kept), (Outcome::Stored, 0));
    assert_eq!(stored_artifact(&tables, IMAGE).await.to_string(), artifact.json);
    let again = record_activity(&writer, &deploy(1), &mut patience).await.unwrap();
    assert_eq!(again.outcome, FactOutcome::Added, "what was dropped may be recorded again");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_digest_is_read_from_what_buildx_writes() {
    let tables = Tables::empty().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("metadata.json");
    let platform = json!({ "architecture": "arm64", "os": "linux" });
    let metadata = json!({
        "containerimage.digest": DIGEST, "containerimage.descriptor": { "digest": DIGEST, "platform": platform },
        "image.name": IMAGE,
    });
    std::fs::write(&file, metadata.to_string()).unwrap();
    let file = file.to_str().unwrap();
    let stored = record(&tables, &[&["build", "--metadata-file", file], COMMIT.as_slice()].concat()).await;
    assert_eq!(stored["image"], IMAGE);
    assert_eq!(stored["image_digest"], DIGEST);
    assert_eq!(stored["architecture"], "arm64");
    let empty = ["--image", "", "--digest", "", "--url", "", "--by", ""];
    let again = [&["build", "--metadata-file", file], COMMIT.as_slice(), &empty].concat();
    assert_eq!(record(&tables, &again).await, stored, "an empty argument is one that was not given");
    assert!(
        refused(&tables, &["test", "--metadata-file", file, "--digest", OTHER_DIGEST])
            .await
            .contains("metadata file says")
    );
    std::fs::write(file, "{\"default\":{}}").unwrap();
    assert!(refused(&tables, &["test", "--metadata-file", file]).await.contains("containerimage.digest"));
    std::fs::write(file, format!("\u{feff}{metadata}")).unwrap();
    assert_eq!(record(&tables, &again).await, stored, "a byte order mark is no part of the JSON");
    let utf_16: Vec<_> = format!("\u{feff}{metadata}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(file, utf_16).unwrap();
    let said = refused(&tables, &["test", "--metadata-file", file]).await;
    assert!(said.contains(&format!("{file} is UTF-16")), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_id_of_an_image_that_was_not_pushed_is_no_digest() {
    let tables = Tables::empty().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("metadata.json");
    let metadata = json!({
        "containerimage.config.digest": DIGEST, "containerimage.digest": DIGEST, "image.name": IMAGE,
    });
    std::fs::write(&file, metadata.to_string()).unwrap();
    let file = file.to_str().unwrap();
    let build = [&["build", "--metadata-file", file], COMMIT.as_slice()].concat();
    for fact in [
        build.as_slice(),
        &["deploy", "--env", "prod", "--metadata-file", file],
        &["test", "--metadata-file", file],
    ] {
        let said = refused(&tables, fact).await;
        assert!(
            said.contains("the image's id") && said.contains("--push") && said.contains("--digest"),
            "{said}"
        );
    }
    assert_eq!(stored_artifact(&tables, IMAGE).await["code"], 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_come_from_the_pipelines_environment() {
    let tables = Tables::empty().await;
    let build = async |digest: &str, variables: &[(&str, &str)]| {
        let build = ["build", "--image", IMAGE, "--digest", digest, "--json"];
        let mut build = record_command(&tables, &build);
        build.envs(variables.iter().copied());
        let stored = recorded(&run(build).await);
        let mut activity = stored["activities"][0].clone();
        activity.as_object_mut().unwrap().retain(|name, _| name != "artifact_id" && name != "created_time");
        activity
    };
    let github = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_SERVER_URL", "https://github.com"),
        ("GITHUB_REPOSITORY", "acme/shop"),
        ("GITHUB_REF", "refs/pull/7/merge"),
        ("GITHUB_REF_NAME", "7/merge"),
        ("GITHUB_REF_TYPE", "branch"),
        ("GITHUB_HEAD_REF", "topic"),
        ("GITHUB_SHA", "4b15c43b"),
        ("GITHUB_ACTOR", "octocat"),
        ("GITHUB_RUN_ID", "99"),
        ("GITHUB_RUN_ATTEMPT", "2"),
    ];
    let expected = json!({
        "type": "build", "url": "https://github.com/acme/shop/actions/runs/99/attempts/2",
        "commits": [{
            "address": "https://github.com", "source": "github", "repo_owner": "acme", "repo_name": "shop",
            "branch": "topic", "pr": 7, "commit_id": "4b15c43b", "author_name": "octocat",
        }],
        "created_by": "octocat",
    });
    assert_eq!(build(DIGEST, &github).await, expected);
    let gitlab = [
        ("GITLAB_CI", "true"),
        ("CI_SERVER_URL", "https://gitlab.example.com"),
        ("CI_PROJECT_PATH", "acme/web/shop"),
        ("CI_COMMIT_TAG", "v1"),
        ("CI_COMMIT_SHA", "4b15c43b"),
        ("CI_COMMIT_TITLE", "Ship it"),
        ("CI_COMMIT_AUTHOR", "Ann <ann@example.com>"),
        ("CI_JOB_URL", "https://gitlab.example.com/acme/web/shop/-/jobs/3"),
        ("GITLAB_USER_LOGIN", "bob"),
    ];
    let expected = json!({
        "type": "build", "url": "https://gitlab.example.com/acme/web/shop/-/jobs/3",
        "commits": [{
            "address": "https://gitlab.example.com", "source": "gitlab", "repo_owner": "acme/web",
            "repo_name": "shop", "branch": "", "tag": "v1", "commit_id": "4b15c43b", "commit_message": "Ship it",
            "author_name": "Ann",
        }],
        "created_by": "bob",
    });
    assert_eq!(build(OTHER_DIGEST, &gitlab).await, expected);
    let jenkins = [
        ("JENKINS_URL", "https://jenkins.example.com/"),
        ("GIT_URL", "https://bot:secret@git.example.com/acme/shop.git"),
        ("GIT_BRANCH", "origin/main"),
        ("GIT_COMMIT", "4b15c43b"),
        ("BUILD_URL", "https://jenkins.example.com/job/shop/5/"),
    ];
    let expected = json!({
        "type": "build", "url": "https://jenkins.example.com/job/shop/5/",
        "commits": [{
            "address": "https://git.example.com", "repo_owner": "acme", "repo_name": "shop", "branch": "main",
            "commit_id": "4b15c43b",
        }],
        "created_by": "",
    });
    assert_eq!(build(&DIGEST.replace('1', "2"), &jenkins).await, expected);
}

/// The commit that a build tells.
async fn commit_of_build(tables: &Tables, arguments: &[&str], variables: &[(&str, &str)]) -> Value {
    static BUILDS: AtomicU64 = AtomicU64::new(0);
    let digest = format!("sha256:{:064x}", BUILDS.fetch_add(1, Ordering::Relaxed));
    let build = ["build", "--image", IMAGE, "--digest", &digest, "--json"];
    let mut build = record_command(tables, &[&build, arguments].concat());
    build.envs(variables.iter().copied());
    recorded(&run(build).await)["activities"][0]["commits"][0].clone()
}

/// What a build's commit says of its branch, tag, pull request and repository.
async fn told_of_commit(tables: &Tables, arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let commit = commit_of_build(tables, arguments, variables).await;
    let text = |name: &str| commit[name].as_str().unwrap_or_default().to_owned();
    let told = [
        ("branch", text("branch")),
        ("tag", text("tag")),
        ("pr", commit["pr"].as_u64().map(|number| number.to_string()).unwrap_or_default()),
        ("of", [text("address"), text("repo_owner"), text("repo_name")].join("|")),
    ];
    told.iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name} {value}"))
        .collect::<Vec<_>>()
        .join(", ")
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "they are the lines of one table of cases")]
async fn a_commit_has_only_the_branch_and_the_pull_request_that_belong_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let event = |head: &str| {
        let file = folder.path().join(format!("{}.json", head.replace('/', "-")));
        let event = json!({"pull_request": {"head": {"repo": {"full_name": head}}}});
        std::fs::write(&file, event.to_string()).unwrap();
        format!("GITHUB_EVENT_PATH={}", file.display())
    };
    let (own, fork) = (event("acme/shop"), event("bob/shop"));
    let deleted_fork = folder.path().join("deleted.json");
    std::fs::write(&deleted_fork, r#"{"pull_request":{"head":{"ref":"main","repo":null}}}"#).unwrap();
    let deleted_fork = format!("GITHUB_EVENT_PATH={}", deleted_fork.display());
    let github_without_type = "GITHUB_ACTIONS=true GITHUB_REPOSITORY=acme/shop GITHUB_SHA=4b15c43b";
    let github = format!("{github_without_type} GITHUB_REF_TYPE=branch");
    let github = github.as_str();
    let gitlab = "GITLAB_CI=true CI_SERVER_URL=https://gitlab.example.com CI_COMMIT_SHA=4b15c43b";
    let jenkins = "JENKINS_URL=x GIT_URL=https://git.example.com/acme/shop.git GIT_COMMIT=4b15c43b";
    let of_github = "of https://github.com|acme|shop";
    let of_gitlab = "of https://gitlab.example.com|acme|shop";
    let of_jenkins = "of https://git.example.com|acme|shop";
    for (system, variables, expected) in [
        // The base's commit, with the name of the request's branch beside it.
        (
            github,
            "GITHUB_EVENT_NAME=pull_request_target GITHUB_REF=refs/heads/main GITHUB_REF_NAME=main GITHUB_HEAD_REF=topic",
            format!("branch main, {of_github}"),
        ),
        // The request was closed: the commit is the one on the base.
        (
            github,
            "GITHUB_EVENT_NAME=pull_request GITHUB_REF=refs/heads/main GITHUB_REF_NAME=main GITHUB_HEAD_REF=topic",
            format!("branch main, {of_github}"),
        ),
        (
            github,
            "GITHUB_REF=refs/pull/7/merge GITHUB_REF_NAME=7/merge GITHUB_HEAD_REF=topic",
            format!("branch topic, pr 7, {of_github}"),
        ),
        (
            github,
            &format!("GITHUB_REF=refs/pull/7/merge GITHUB_REF_NAME=7/merge GITHUB_HEAD_REF=topic {own}"),
            format!("branch topic, pr 7, {of_github}"),
        ),
        (
            github,
            &format!("GITHUB_REF=refs/pull/7/merge GITHUB_REF_NAME=7/merge GITHUB_HEAD_REF=main {fork}"),
            format!("pr 7, {of_github}"),
        ),
        (
            github,
            &format!(
                "GITHUB_REF=refs/pull/7/merge GITHUB_REF_NAME=7/merge GITHUB_HEAD_REF=main {deleted_fork}"
            ),
            format!("pr 7, {of_github}"),
        ),
        (github, "GITHUB_REF=refs/pull/7/merge GITHUB_REF_NAME=7/merge", format!("pr 7, {of_github}")),
        (
            github_without_type,
            "GITHUB_REF_TYPE=tag GITHUB_REF=refs/tags/v1 GITHUB_REF_NAME=v1",
            format!("tag v1, {of_github}"),
        ),
        // Older servers do not tell the type.
        (github_without_type, "GITHUB_REF=refs/tags/v1 GITHUB_REF_NAME=v1", format!("tag v1, {of_github}")),
        (
            github_without_type,
            "GITHUB_REF=refs/heads/tags/v1 GITHUB_REF_NAME=tags/v1",
            format!("branch tags/v1, {of_github}"),
        ),
        (
            gitlab,
            "CI_PROJECT_PATH=acme/shop CI_MERGE_REQUEST_IID=7 CI_MERGE_REQUEST_PROJECT_PATH=acme/shop CI_MERGE_REQUEST_SOURCE_PROJECT_PATH=acme/shop CI_MERGE_REQUEST_SOURCE_BRANCH_NAME=topic",
            format!("branch topic, pr 7, {of_gitlab}"),
        ),
        // A fork's pipeline: the number is one of the project that it was forked from.
        (
            gitlab,
            "CI_PROJECT_PATH=bob/shop CI_MERGE_REQUEST_IID=7 CI_MERGE_REQUEST_PROJECT_PATH=acme/shop CI_MERGE_REQUEST_SOURCE_PROJECT_PATH=bob/shop CI_MERGE_REQUEST_SOURCE_BRANCH_NAME=topic",
            "branch topic, of https://gitlab.example.com|bob|shop".to_owned(),
        ),
        // A member ran it in the project itself: the branch is the fork's.
        (
            gitlab,
            "CI_PROJECT_PATH=acme/shop CI_MERGE_REQUEST_IID=7 CI_MERGE_REQUEST_PROJECT_PATH=acme/shop CI_MERGE_REQUEST_SOURCE_PROJECT_PATH=bob/shop CI_MERGE_REQUEST_SOURCE_BRANCH_NAME=main",
            format!("pr 7, {of_gitlab}"),
        ),
        // Nothing says whose number it is.
        (
            gitlab,
            "CI_PROJECT_PATH=acme/shop CI_MERGE_REQUEST_IID=7 CI_COMMIT_BRANCH=main",
            format!("branch main, {of_gitlab}"),
        ),
        (
            gitlab,
            "CI_PROJECT_PATH=my.group/shop CI_COMMIT_BRANCH=main",
            "branch main, of https://gitlab.example.com|my.group|shop".to_owned(),
        ),
        (
            jenkins,
            "CHANGE_ID=7 CHANGE_BRANCH=topic BRANCH_NAME=PR-7 GIT_BRANCH=PR-7",
            format!("branch topic, pr 7, {of_jenkins}"),
        ),
        (
            jenkins,
            "CHANGE_ID=7 CHANGE_BRANCH=main CHANGE_FORK=bob BRANCH_NAME=PR-7",
            format!("pr 7, {of_jenkins}"),
        ),
        (jenkins, "CHANGE_ID=7 BRANCH_NAME=PR-7", format!("pr 7, {of_jenkins}")),
        (jenkins, "BRANCH_NAME=origin/x GIT_BRANCH=y", format!("branch origin/x, {of_jenkins}")),
        (jenkins, "TAG_NAME=1.2 BRANCH_NAME=1.2 GIT_BRANCH=1.2", format!("tag 1.2, {of_jenkins}")),
    ] {
        let tables = Tables::empty().await;
        let variables: Vec<_> =
            system.split(' ').chain(variables.split(' ')).map(|set| set.split_once('=').unwrap()).collect();
        assert_eq!(told_of_commit(&tables, &[], &variables).await, expected, "{variables:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_pipeline_says_of_its_commit_is_told_of_no_other_commit_and_no_other_repository() {
    let own = "4b15c43b012e7a4a901fdcfe33736ad1c3b53f48";
    let other = "d6ca076b012e7a4a901fdcfe33736ad1c3b53f48";
    let github = "GITHUB_ACTIONS=true GITHUB_SERVER_URL=https://git.example.com GITHUB_REPOSITORY=acme/shop GITHUB_REF_TYPE=branch \
                  GITHUB_REF=refs/pull/7/merge GITHUB_REF_NAME=7/merge GITHUB_HEAD_REF=topic GITHUB_ACTOR=ann GITHUB_SHA=";
    let gitlab = "GITLAB_CI=true CI_SERVER_URL=https://git.example.com CI_PROJECT_PATH=acme/shop CI_COMMIT_BRANCH=topic \
                  CI_MERGE_REQUEST_IID=7 CI_MERGE_REQUEST_PROJECT_PATH=acme/shop CI_COMMIT_TAG=v1 CI_COMMIT_TITLE=Ship \
                  CI_COMMIT_AUTHOR=Ann CI_COMMIT_SHA=";
    let jenkins = "JENKINS_URL=x GIT_URL=ssh://git@git.example.com:7999/acme/shop.git TAG_NAME=v1 CHANGE_ID=7 CHANGE_AUTHOR=ann \
                   GIT_AUTHOR_NAME=Ann GIT_COMMIT=";
    for system in [github, gitlab, jenkins] {
        let tables = Tables::empty().await;
        let variables = format!("{system}{own}");
        let variables: Vec<_> = variables.split(' ').map(|set| set.split_once('=').unwrap()).collect();
        let told = async |arguments: &str| {
            let arguments: Vec<_> = arguments.split(' ').collect();
            commit_of_build(&tables, &arguments, &variables).await
        };
        let of_the_run = commit_of_build(&tables, &[], &variables).await;
        assert!(of_the_run["pr"] == 7 && of_the_run["author_name"] != json!(null), "{of_the_run}");
        for same in [
            "--repo acme/shop",
            "--repo https://git.example.com/acme/shop",
            "--repo git@GIT.example.com:Acme/shop.git",
            "--repo https://git.example.com:8443/acme/shop",
            &format!("--commit {own}"),
            &format!("--commit {}", &own[..8]),
            &format!("--commit {}", own.to_uppercase()),
        ] {
            let mut told = told(same).await;
            // These are as they were given.
            for name in ["address", "repo_owner", "commit_id"] {
                told[name] = of_the_run[name].clone();
            }
            assert_eq!(told, of_the_run, "{same}");
        }
        for (arguments, owner, name, commit) in [
            (format!("--repo other/x --commit {other}"), "other", "x", other),
            (format!("--repo other/x --commit {own}"), "other", "x", own),
            (format!("--repo https://elsewhere.example.com/acme/shop --commit {own}"), "acme", "shop", own),
            (format!("--commit {other}"), "acme", "shop", other),
        ] {
            let mut told = told(&arguments).await;
            assert!(told["address"].as_str().unwrap().starts_with("https://"), "{told}");
            told.as_object_mut().unwrap().remove("address");
            let expected =
                json!({ "repo_owner": owner, "repo_name": name, "branch": "", "commit_id": commit });
            assert_eq!(told, expected, "{arguments} {system}");
        }
        let given = format!("--commit {other} --branch next --tag v2 --pr 8 --message Fix --author Bo");
        let told = told(&given).await;
        let told = ["branch", "tag", "pr", "commit_message", "author_name"].map(|name| told[name].clone());
        assert_eq!(told, [json!("next"), json!("v2"), json!(8), json!("Fix"), json!("Bo")]);

        let arguments = ["build", "--image", IMAGE, "--digest", DIGEST, "--repo", "other/x"];
        let mut without_commit = record_command(&tables, &arguments);
        without_commit.envs(variables.iter().copied());
        let ran = run(without_commit).await;
        assert!(ran.status == Some(1) && ran.err.contains("of other/x: give --commit"), "{ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_of_jenkins_is_the_same_in_every_form_and_a_tag_is_a_tag() {
    let tables = Tables::empty().await;
    for (git_branch, expected) in [
        ("main", "branch main, "),
        ("origin/main", "branch main, "),
        ("upstream/main", "branch main, "),
        ("refs/heads/main", "branch main, "),
        ("refs/remotes/origin/main", "branch main, "),
        ("remotes/fork/main", "branch main, "),
        ("refs/remotes/fork/feature/x", "branch feature/x, "),
        ("origin/feature/x", "branch feature/x, "),
        ("feature/x", "branch feature/x, "),
        ("refs/heads/origin/x", "branch origin/x, "),
        ("origin/origin/x", "branch origin/x, "),
        ("refs/tags/1.2", "tag 1.2, "),
        ("tags/1.2", "tag 1.2, "),
        ("origin/tags/v1/2", "tag v1/2, "),
        ("detached", ""),
        ("HEAD", ""),
        ("origin/HEAD", ""),
        ("refs/remotes/origin/HEAD", ""),
        ("refs/pull/7/merge", ""),
        ("refs/changes/34/1234/5", ""),
        ("origin/pr/7/merge", ""),
        ("refs/remotes/origin/pull/7/head", ""),
        ("origin/merge-requests/7/head", ""),
        ("refs/pull-requests/7/from", ""),
        ("FETCH_HEAD", ""),
        ("origin/FETCH_HEAD", ""),
        ("(no branch)", ""),
        ("(HEAD detached at 4b15c43)", ""),
    ] {
        let url = format!("https://jenkins.example.com/{}", git_branch.replace(['/', ' '], "-"));
        let variables = [
            ("JENKINS_URL", "x"),
            ("GIT_URL", "https://git.example.com/acme/shop.git"),
            ("GIT_COMMIT", "4b15c43b"),
            ("GIT_BRANCH", git_branch),
            ("BUILD_URL", &url),
        ];
        let told = told_of_commit(&tables, &[], &variables).await;
        assert_eq!(told, format!("{expected}of https://git.example.com|acme|shop"), "{git_branch}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_has_the_form_that_its_host_gives_it() {
    let tables = Tables::empty().await;
    for (repository, expected) in [
        ("platform", "||platform"),
        ("https://git.example.com/repo.git", "https://git.example.com||repo"),
        ("ssh://bot@gerrit.example.com:29418/platform", "https://gerrit.example.com||platform"),
        ("git@git.example.com:repo.git", "https://git.example.com||repo"),
        ("gerrit.example.com/platform", "https://gerrit.example.com||platform"),
        ("ssh://git@git.example.com:7999/ACME/shop.git", "https://git.example.com|ACME|shop"),
        ("github.com/acme/shop", "https://github.com|acme|shop"),
        ("gitlab.example.com/acme/web/shop.git", "https://gitlab.example.com|acme/web|shop"),
        ("acme/shop.js", "|acme|shop.js"),
        ("https://git.example.com:8443/acme/shop", "https://git.example.com:8443|acme|shop"),
        ("localhost:3000/a/b", "https://localhost:3000|a|b"),
        ("localhost/a/b", "https://localhost|a|b"),
        ("gitea:3000/a/b.git", "https://gitea:3000|a|b"),
        ("git.example.com:8443/acme/web/shop", "https://git.example.com:8443|acme/web|shop"),
        ("[::1]:3000/a/b", "https://[::1]:3000|a|b"),
        ("git.example.com:4you/shop", "https://git.example.com|4you|shop"),
    ] {
        let arguments = ["--repo", repository, "--branch", "main", "--commit", "4b15c43b"];
        assert_eq!(
            told_of_commit(&tables, &arguments, &[]).await,
            format!("branch main, of {expected}"),
            "{repository}"
        );
    }
    // A part of it, such as a variable that is not set, is missing.
    for repository in [
        "/shop",
        "acme/",
        "https://git.example.com/",
        "https://git.example.com/acme/",
        "https://git.example.com/.git",
        ".git",
    ] {
        let arguments = [
            "build", "--image", IMAGE, "--digest", DIGEST, "--repo", repository, "--branch", "main",
            "--commit", "4b15c43b",
        ];
        assert!(refused(&tables, &arguments).await.contains("--repo "), "{repository}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_recorded_is_refused_with_what_to_fix() {
    let tables = Tables::empty().await;
    for (arguments, expected) in [
        (&["build", "--image", IMAGE][..], "give --repo"),
        (&["deploy", "--image", IMAGE], "--env"),
        (&["deploy", "--env", "prod"], "give --image"),
        (&["deploy", "--env", "prod", "--image", "a@sha256:00"], "is no digest"),
        (&["deploy", "--env", "prod", "--image", DIGEST], "give the image's name too"),
        (
            &["test", "--image", IMAGE, "--started", "1637726888000"],
            "milliseconds or finer: write Unix seconds, 1637726888",
        ),
        (&["test", "--image", IMAGE, "--ended", "20211124"], "write 2021-11-24T00:00:00Z"),
        (&["test", "--image", IMAGE, "--started", "2", "--ended", "1"], "is after"),
        (&["release", "--project", "p", "--version", "v", "--service", "web"], "NAME=IMAGE"),
        (&["release", "--project", "p", "--version", "v"], "--service"),
        (&["nothing"], "nothing"),
    ] {
        let said = refused(&tables, arguments).await;
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    let no_digest = [&["build", "--image", IMAGE], COMMIT.as_slice()].concat();
    assert!(refused(&tables, &no_digest).await.contains("--metadata-file"));
    assert_eq!(stored_artifact(&tables, IMAGE).await["code"], 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_reached_is_told_from_a_refusal() {
    let tables = Tables::empty().await;
    let deploy = ["record", "deploy", "--image", IMAGE, "--env", "prod", "--timeout", "1"];
    let mut unreachable = tool(&tables.environment(), &deploy);
    unreachable.env("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1");
    let ran = run(unreachable).await;
    assert!(ran.status == Some(4) && ran.err.contains("run it again"), "{ran:?}");
    let mut without_table = tool(&tables.environment(), &deploy);
    without_table.env("ARTIFACTS_TABLE", "missing");
    let ran = run(without_table).await;
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert!(ran.err.contains("does not exist"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_answered_in_the_documented_form() {
    let tables = Tables::empty().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("web.yaml");
    std::fs::write(&file, "kind: Service\n").unwrap();
    let yaml = format!("web={}", file.display());
    let arguments = [
        "release",
        "--project",
        "shop",
        "--version",
        "1.4.0",
        "--workflow",
        "release",
        "--task",
        "9",
        "--env",
        "prod",
        "--namespace",
        "shop-prod",
        "--service",
        "web=host:5000/shop/web:1.4:app",
        "--service",
        "cart=shop/cart:1.4",
        "--yaml",
        &yaml,
        "--label",
        "stable",
        "--desc",
        "Autumn",
        "--by",
        "ann",
    ];
    let stored = record(&tables, &arguments).await;
    let (id, created_at) = (stored["versionInfo"]["id"].clone(), stored["versionInfo"]["created_at"].clone());
    assert_eq!(id.as_str().unwrap().len(), 24);
    let version_info = &stored["versionInfo"];
    assert_eq!(version_info["productName"], "shop");
    assert_eq!(version_info["taskId"], 9);
    assert_eq!(version_info["labels"], json!(["stable"]));
    assert_eq!(version_info["productEnvInfo"]["env_name"], "prod");
    let containers = json!([{ "name": "app", "image": "host:5000/shop/web:1.4" }]);
    assert_eq!(version_info["productEnvInfo"]["services"][0][0]["containers"], containers);
    let expected = json!({
        "id": stored["deployInfo"][0]["id"], "releaseId": id, "serviceName": "web/app", "containerName": "app",
        "image": "host:5000/shop/web:1.4", "registry_id": "", "yamlContents": ["kind: Service\n"], "envs": [],
        "orderedServices": [["web", "cart"]], "created_at": created_at, "deleted_at": 0,
    });
    assert_eq!(stored["deployInfo"][0].to_string(), expected.to_string());
    assert_eq!(stored["deployInfo"][1]["serviceName"], "cart");
    assert_eq!(stored["deployInfo"][1]["yamlContents"], json!([]));
    for query in ["", "projectName=shop&serviceName=web", "workflowName=release&taskId=9", "serviceName=cart"]
    {
        assert_eq!(stored_releases(&tables, query).await, json!([stored]), "{query}");
    }
    another_second().await;
    assert_eq!(record(&tables, &arguments).await, stored);
    assert_eq!(stored_releases(&tables, "").await.as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_of_many_services_is_made_once_by_all_who_make_it_at_the_same_moment() {
    let tables = Tables::empty().await;
    let services: Vec<String> = (0..20).map(|number| format!("service-{number}=shop/s{number}:1")).collect();
    let mut arguments =
        vec!["record", "release", "--project", "shop", "--version", "2", "--workflow", "w", "--task", "3"];
    for service in &services {
        arguments.extend(["--service", service]);
    }
    let running: Vec<_> = (0..8)
        .map(|_| tool(&tables.environment(), &arguments).stdout(Stdio::null()).spawn().unwrap())
        .collect();
    for mut tool in running {
        assert!(tool.wait().unwrap().success());
    }
    let all = stored_releases(&tables, "").await;
    assert_eq!(all.as_array().unwrap().len(), 1);
    for number in 0..20 {
        let query = format!("projectName=shop&workflowName=w&taskId=3&serviceName=service-{number}");
        assert_eq!(stored_releases(&tables, &query).await, all, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_whose_recording_was_interrupted_is_completed_by_sending_it_again() {
    let services: Vec<String> = (0..60).map(|number| format!("service-{number}=shop/s{number}:1")).collect();
    let mut arguments = vec!["release", "--project", "shop", "--version", "1"];
    for service in &services {
        arguments.extend(["--service", service]);
    }
    let mut interruptions = 0;
    loop {
        let tables = Tables::empty().await;
        let proxy = FaultyProxy::start(&tables.endpoint_url, move |operation, number| {
            let is_dead = operation == "TransactWriteItems" && number > interruptions;
            if is_dead { Fault::Refuse("ValidationException") } else { Fault::None }
        })
        .await;
        let mut interrupted = record_command(&tables, &arguments);
        interrupted.env("AWS_ENDPOINT_URL_DYNAMODB", &proxy.endpoint_url);
        let ran = run(interrupted).await;
        if ran.status == Some(0) {
            break;
        }
        let in_between = stored_releases(&tables, "").await;
        let stored = record(&tables, &arguments).await;
        assert!(in_between == json!([]) || in_between == json!([stored]), "{interruptions}: {in_between}");
        for service in [0, 7, 59] {
            let query = format!("projectName=shop&serviceName=service-{service}");
            assert_eq!(stored_releases(&tables, &query).await, json!([stored]), "{interruptions}: {query}");
        }
        interruptions += 1;
    }
    assert!(interruptions >= 3, "{interruptions}");
}

/// Passes everything on to a DynamoDB, and keeps what was sent on each connection.
pub(crate) async fn listening_proxy(upstream: String) -> (String, Arc<Mutex<Vec<Vec<u8>>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint_url = format!("http://{}", listener.local_addr().unwrap());
    let sent = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&sent);
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(upstream.trim_start_matches("http://")).await.unwrap();
            let heard = Arc::clone(&heard);
            let connection = {
                let mut heard = heard.lock().unwrap();
                heard.push(Vec::new());
                heard.len() - 1
            };
            tokio::spawn(async move {
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
                let mut buffer = vec![0; 1 << 16];
                while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
                    heard.lock().unwrap()[connection].extend_from_slice(&buffer[..read]);
                    to_server.write_all(&buffer[..read]).await.unwrap();
                }
            });
        }
    });
    (endpoint_url, sent)
}

/// The actions that the requests need, each with its table or index.
pub(crate) fn actions(sent: &str) -> BTreeSet<String> {
    let mut actions = BTreeSet::new();
    for request in sent.split("POST / HTTP/1.1").skip(1) {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let head = head.to_lowercase();
        let target =
            head.split("x-amz-target: dynamodb_20120810.").nth(1).unwrap().lines().next().unwrap().to_owned();
        let body: Value = serde_json::from_str(body).unwrap();
        match target.as_str() {
            "transactwriteitems" => {
                for item in body["TransactItems"].as_array().unwrap() {
                    let (write, what) = item.as_object().unwrap().iter().next().unwrap();
                    let action = if write == "ConditionCheck" {
                        "conditioncheckitem"
                    } else {
                        &format!("{write}item")
                    };
                    actions
                        .insert(format!("{action} {}", what["TableName"].as_str().unwrap()).to_lowercase());
                }
            }
            "batchgetitem" | "batchwriteitem" => {
                for table in body["RequestItems"].as_object().unwrap().keys() {
                    actions.insert(format!("{target} {table}"));
                }
            }
            _ => {
                let index = body["IndexName"].as_str().map(|index| format!("/{index}")).unwrap_or_default();
                actions.insert(format!("{target} {}{index}", body["TableName"].as_str().unwrap()));
            }
        }
    }
    actions
}

/// What the template's policy allows, in the same words.
fn allowed(tables: &TableNames) -> BTreeSet<String> {
    let template = include_str!("../../template.yaml");
    let policy = template.split("  RecordingPolicy:\n").nth(1).unwrap().split("\nOutputs:").next().unwrap();
    let mut allowed = BTreeSet::new();
    for statement in policy.split("- Sid:").skip(1) {
        let (actions, resources) = statement.split_once("Resource:").unwrap();
        for action in actions.split("dynamodb:").skip(1) {
            let action =
                action.split(|letter: char| !letter.is_ascii_alphabetic()).next().unwrap().to_lowercase();
            for (resource, name) in [
                ("!GetAtt ArtifactsTable.Arn", tables.artifacts.clone()),
                ("!GetAtt ReleasesTable.Arn", tables.releases.clone()),
                ("${ArtifactsTable.Arn}/index/by_image", format!("{}/by_image", tables.artifacts)),
            ] {
                if resources.contains(resource) {
                    allowed.insert(format!("{action} {name}"));
                }
            }
        }
    }
    allowed
}

#[tokio::test(flavor = "multi_thread")]
async fn the_templates_policy_allows_what_record_does_and_nothing_more() {
    let tables = Tables::empty().await;
    let (endpoint_url, sent) = listening_proxy(tables.endpoint_url.clone()).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("large.yaml");
    std::fs::write(&file, incompressible(900_000, 1)).unwrap();
    // The release has so many services that it does not fit into one transaction.
    let services: Vec<_> = (0..20).map(|number| format!("--service=s{number}=shop/web:1")).collect();
    let mut release: Vec<_> = ["release", "--project", "shop", "--version", "1"].to_vec();
    release.extend(services.iter().map(String::as_str));
    release.extend(["--yaml", file.to_str().unwrap()]);
    let build = [&["build", "--image", IMAGE, "--digest", DIGEST], COMMIT.as_slice()].concat();
    let by_digest = format!("registry.example.com:5000/shop/cart@{DIGEST}");
    let contents: Vec<_> =
        (0..6).map(|number| format!("--content={}", incompressible(100_000, number))).collect();
    let tests = contents.iter().map(|content| ["test", "--image", &by_digest, content]);
    let tests: Vec<_> = tests.collect();
    let interrupting = FaultyProxy::start(&tables.endpoint_url, |operation, number| {
        let is_dead = operation == "TransactWriteItems" && number > 1;
        if is_dead { Fault::Refuse("ValidationException") } else { Fault::None }
    })
    .await;
    let mut interrupted = record_command(&tables, &release);
    interrupted.env("AWS_ENDPOINT_URL_DYNAMODB", &interrupting.endpoint_url);
    assert_ne!(run(interrupted).await.status, Some(0));
    let facts = [
        &["deploy", "--image", IMAGE, "--env", "prod"],
        build.as_slice(),
        &["deploy", "--image", IMAGE, "--env", "staging"],
        &["undeploy", "--image", IMAGE, "--env", "staging"],
        &["publish", "--image", DIGEST],
        release.as_slice(),
        release.as_slice(),
    ];
    for arguments in facts.into_iter().chain(tests.iter().map(<[_; 4]>::as_slice)) {
        let mut record = record_command(&tables, arguments);
        record.env("AWS_ENDPOINT_URL_DYNAMODB", &endpoint_url);
        if arguments[0] == "test" {
            // An artifact that does not fit into one transaction is written in steps.
            record.env("DYNAMODB_TRANSACTION_WRITES", "2");
        }
        let ran = run(record).await;
        assert_eq!(ran.status, Some(0), "{ran:?}");
    }
    let done = actions(&String::from_utf8_lossy(&sent.lock().unwrap().concat()));
    let only_where_facets_are_wrong = format!("deleteitem {}", tables.names.releases);
    let allowed = allowed(&tables.names);
    assert!(allowed.contains(&only_where_facets_are_wrong));
    assert_eq!(allowed, documented("record", &tables));
    assert_eq!(done, allowed.into_iter().filter(|action| *action != only_where_facets_are_wrong).collect());
}
