//! Does an hour of random work: imports, recordings, exports and reindexes run side by side, are killed at random, and reach
//! DynamoDB through a faulty proxy. After each round, what failed is sent again, and every answer is compared with a model.
//!
//! `SOAK_SECONDS` and `SOAK_SEED` say how long and which work.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::{Duration, Instant};

use delivery_center::endpoint::Endpoint::{GetArtifact, ListReleases};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::running::{Ran, tool};
use crate::support::faulty::{Fault, FaultyProxy};
use crate::support::{Random, Tables, artifact, deploy, lines, number_of, release};

const ARTIFACTS: u64 = 8;
const RELEASES: u64 = 6;
const SECRET: &str = "s3cr3t-of-the-soak";

#[derive(Debug, Clone)]
enum Work {
    Import { artifacts: Vec<u64>, releases: Vec<u64>, version: u64 },
    Deploy { artifact: u64, environment: String },
    Export,
    Reindex,
}

impl Work {
    fn random(random: &mut Random, number: u64) -> Self {
        match random.below(8) {
            0..3 => Self::Import {
                artifacts: random.some_below(ARTIFACTS),
                releases: random.some_below(RELEASES),
                version: number,
            },
            3..6 => Self::Deploy { artifact: random.below(ARTIFACTS), environment: format!("env-{number}") },
            6 => Self::Export,
            _ => Self::Reindex,
        }
    }

    /// The tool's arguments and standard input.
    fn command(&self) -> (Vec<String>, String) {
        let arguments = |arguments: &[&str]| arguments.iter().map(ToString::to_string).collect();
        match self {
            Self::Import { artifacts, releases, version } => {
                let artifacts = artifacts.iter().map(|&number| imported_artifact(number, *version));
                let releases = releases.iter().map(|&number| imported_release(number, *version));
                // Empty standard input is refused: one record is always there.
                let records: Vec<_> =
                    artifacts.chain(releases).chain([artifact("x", "x:1", "", 1)]).collect();
                (arguments(&["import", "-"]), lines(&records))
            }
            Self::Deploy { artifact, environment } => {
                let url = format!("https://ci:{SECRET}@ci.example.com/{environment}?access_token={SECRET}");
                let image = image(*artifact);
                let deploy = ["record", "deploy", "--image", &image, "--env", environment, "--url", &url];
                (arguments(&deploy), String::new())
            }
            Self::Export => (arguments(&["export"]), String::new()),
            Self::Reindex => (arguments(&["reindex"]), String::new()),
        }
    }
}

fn image(number: u64) -> String {
    format!("registry.example.com/soak/{number}:1")
}

/// An artifact whose time and digest differ from version to version, so that it moves.
fn imported_artifact(number: u64, version: u64) -> Value {
    let digest = format!("sha256:{:064x}", number * 2 + version % 2);
    let id = format!("a{number}");
    let mut imported = artifact(&id, &image(number), &digest, 1_600_000_000 + version % 7);
    imported["note"] = json!(version);
    imported["activities"] = json!([{
        "artifact_id": id, "type": "build", "content": version.to_string(),
        "created_by": "zadig", "created_time": 1_600_000_000,
        "commits": [{"commit_id": commit(number, version), "repo_owner": "o", "repo_name": "n", "pr": 1 + number}],
    }]);
    imported
}

fn commit(artifact: u64, version: u64) -> String {
    format!("4b15c4{artifact:x}{version:033x}")
}

/// A release with two services, or with so many that it is written in steps.
fn imported_release(number: u64, version: u64) -> Value {
    let id = format!("r{number}");
    let mut imported = release(&id, 1_600_000_000 + version % 5);
    imported["versionInfo"]["productName"] = json!(format!("p{number}"));
    imported["versionInfo"]["desc"] = json!(version.to_string());
    imported["versionInfo"]["labels"] = json!([label(number, version)]);
    let services = (0..services(number)).map(|service| deploy(&id, &service_name(number, version, service)));
    imported["deployInfo"] = services.collect::<Vec<_>>().into();
    imported
}

fn label(release: u64, version: u64) -> String {
    format!("l{release}-{}", version % 3)
}

fn services(release: u64) -> u64 {
    if release.is_multiple_of(2) { 2 } else { 60 }
}

fn service_name(release: u64, version: u64, service: u64) -> String {
    format!("s{release}-{}-{service}", version % 3)
}

/// What may be answered: the versions one of which was imported last, and what was recorded.
struct Model {
    artifacts: Vec<BTreeSet<u64>>,
    environments: Vec<BTreeSet<String>>,
    releases: Vec<BTreeSet<u64>>,
}

impl Model {
    fn add(&mut self, round: &[Work]) {
        let mut artifacts = vec![BTreeSet::new(); self.artifacts.len()];
        let mut releases = vec![BTreeSet::new(); self.releases.len()];
        let index = |number: &u64| usize::try_from(*number).unwrap();
        for work in round {
            match work {
                Work::Import { artifacts: of_artifacts, releases: of_releases, version } => {
                    for number in of_artifacts {
                        artifacts[index(number)].insert(*version);
                    }
                    for number in of_releases {
                        releases[index(number)].insert(*version);
                    }
                }
                Work::Deploy { artifact, environment } => {
                    self.environments[index(artifact)].insert(environment.clone());
                }
                Work::Export | Work::Reindex => {}
            }
        }
        for (stored, round) in [(&mut self.artifacts, artifacts), (&mut self.releases, releases)] {
            for (stored, round) in stored.iter_mut().zip(round) {
                if !round.is_empty() {
                    *stored = round;
                }
            }
        }
    }

    async fn check(&self, tables: &Tables) {
        for ((number, versions), environments) in (0..).zip(&self.artifacts).zip(&self.environments) {
            let answer = tables.get(GetArtifact, &format!("image={}", image(number))).await;
            assert_eq!(answer.status, 200, "artifact {number}: {}", answer.body);
            let found = answer.json();
            let version = found["note"].as_u64().unwrap();
            assert!(versions.contains(&version), "artifact {number}: {version} of {versions:?}");
            let activities = found["activities"].as_array().unwrap();
            let mut recorded: Vec<_> =
                activities.iter().filter_map(|activity| activity["env_name"].as_str()).collect();
            recorded.retain(|environment| !environment.is_empty());
            recorded.sort_unstable();
            let mut expected: Vec<_> = environments.iter().map(String::as_str).collect();
            expected.sort_unstable();
            assert_eq!(recorded, expected, "artifact {number}");
            let builds: Vec<_> = activities.iter().filter(|activity| activity["type"] == "build").collect();
            assert_eq!(builds.len(), 1, "artifact {number}");
            assert_eq!(builds[0]["content"], version.to_string(), "artifact {number}");
            assert!(!answer.body.contains(SECRET));
            let id = async |query: String| {
                let answer = tables.get(GetArtifact, &query).await;
                (answer.status == 200).then(|| answer.json()["id"].clone())
            };
            let repository = image(number).replace(":1", "");
            for environment in expected.iter().rev().take(3) {
                let runs = id(format!("image={repository}&envName={environment}")).await;
                assert_eq!(runs.as_ref(), Some(&found["id"]), "artifact {number} in {environment}");
            }
            let told =
                tables.get(GetArtifact, &format!("image={}&include=environments", image(number))).await;
            assert_eq!(told.json()["environments"].as_array().unwrap().len(), expected.len());
            assert_eq!(id(format!("pr={}&repo=o/n", 1 + number)).await.as_ref(), Some(&found["id"]));
            for other in versions {
                let made = id(format!("commit={}", commit(number, *other))).await;
                assert_eq!(made.is_some(), *other == version, "artifact {number} of version {other}");
            }
        }
        let all = tables.get(ListReleases, "verbosity=brief").await.release_ids();
        assert_eq!(all.len(), self.releases.len(), "{all:?}");
        for (number, versions) in (0..).zip(&self.releases) {
            let answer = tables.get(ListReleases, &format!("projectName=p{number}")).await;
            assert_eq!(answer.release_ids(), [format!("r{number}")]);
            let version: u64 = answer.json()[0]["versionInfo"]["desc"].as_str().unwrap().parse().unwrap();
            assert!(versions.contains(&version), "release {number}: {version} of {versions:?}");
            for other in 0..3 {
                let service = service_name(number, other, services(number) - 1);
                let found = tables.get(ListReleases, &format!("serviceName={service}")).await.release_ids();
                assert_eq!(found.len(), usize::from(other == version % 3), "{service} at version {version}");
                let query = format!("label={}&projectName=p{number}", label(number, other));
                let found = tables.get(ListReleases, &query).await.release_ids();
                assert_eq!(found.len(), usize::from(other == version % 3), "{query} at version {version}");
            }
        }
    }
}

/// Runs the tool, and kills it when its lifetime has passed; `None` where it was killed.
async fn run(work: &Work, tables: &Tables, lifetime: Option<Duration>) -> Option<Ran> {
    let (arguments, input) = work.command();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let mut command = tokio::process::Command::from(tool(&tables.environment(), &arguments));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut process = command.spawn().unwrap();
    let mut stdin = process.stdin.take().unwrap();
    let ended = async {
        // A tool that ends early does not read everything.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        process.wait_with_output().await.unwrap()
    };
    let output = match lifetime {
        None => ended.await,
        Some(lifetime) => tokio::time::timeout(lifetime, ended).await.ok()?,
    };
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let ran = Ran { status: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
    assert!(!ran.out.contains(SECRET) && !ran.err.contains(SECRET), "{work:?}");
    Some(ran)
}

async fn succeed(work: &Work, tables: &Tables) -> Ran {
    let ran = run(work, tables, None).await.unwrap();
    assert_eq!(ran.status, Some(0), "{work:?}: {ran:?}");
    ran
}

/// One fault in eight requests.
fn fault(operation: &str, number: u64) -> Fault {
    match (operation, Random(number).below(40)) {
        (_, 0) => Fault::Throttle,
        (_, 1) => Fault::InternalError,
        ("TransactWriteItems", 2) => Fault::Cancel("TransactionConflict"),
        ("TransactWriteItems", 3) => Fault::Cancel("ThrottlingError"),
        ("BatchGetItem" | "BatchWriteItem", 2) => Fault::ProcessAtMost(3),
        ("BatchGetItem", 3) => Fault::Reverse,
        (_, 4) => Fault::Delay(Duration::from_millis(30)),
        _ => Fault::None,
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "an hour of random work"]
async fn soak() {
    let end = Instant::now() + Duration::from_secs(number_of("SOAK_SECONDS", 3600));
    let mut random = Random(number_of("SOAK_SEED", 1));
    let tables = Tables::empty().await;
    let proxy = FaultyProxy::start(&tables.endpoint_url, fault).await;
    let faulty = tables.through(&proxy.endpoint_url);
    let everything =
        Work::Import { artifacts: (0..ARTIFACTS).collect(), releases: (0..RELEASES).collect(), version: 0 };
    let mut model = Model {
        artifacts: vec![BTreeSet::new(); usize::try_from(ARTIFACTS).unwrap()],
        environments: vec![BTreeSet::new(); usize::try_from(ARTIFACTS).unwrap()],
        releases: vec![BTreeSet::new(); usize::try_from(RELEASES).unwrap()],
    };
    succeed(&everything, &tables).await;
    model.add(&[everything]);
    let (mut works, mut killed, mut sent_again, mut rounds, mut copies) = (0, 0, 0, 0_u64, 0);
    while Instant::now() < end {
        rounds += 1;
        let mut round = Vec::new();
        let mut lifetimes = Vec::new();
        for _ in 0..2 + random.below(5) {
            works += 1;
            round.push(Work::random(&mut random, works));
            lifetimes.push(Some(Duration::from_millis(random.below(600))).filter(|_| random.one_in(3)));
        }
        let running = round.iter().zip(lifetimes).map(|(work, lifetime)| run(work, &faulty, lifetime));
        for (work, ran) in round.iter().zip(join_all(running).await) {
            killed += u64::from(ran.is_none());
            if ran.is_none_or(|ran| ran.status != Some(0)) {
                sent_again += 1;
                succeed(work, &tables).await;
            }
        }
        model.add(&round);
        model.check(&tables).await;
        if rounds % 20 == 0 {
            copies += 1;
            let exported = succeed(&Work::Export, &tables).await.out;
            let copy = Tables::empty().await;
            copy.import(&exported).await;
            model.check(&copy).await;
            succeed(&Work::Reindex, &tables).await;
            let again = succeed(&Work::Reindex, &tables).await.out;
            assert!(again.contains("changed 0, items changed 0") && !again.contains("removed"), "{again}");
            model.check(&tables).await;
        }
    }
    let recorded: usize = model.environments.iter().map(BTreeSet::len).sum();
    println!(
        "{rounds} rounds, {works} runs, {killed} killed, {sent_again} sent again, {recorded} facts recorded, {copies} exports \
         imported elsewhere, {} requests through the faulty DynamoDB",
        proxy.total()
    );
}
