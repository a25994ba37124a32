//! Does an hour of random work: imports, recordings, exports and reindexes run side by side, are killed at
//! random, and reach DynamoDB through a faulty proxy. After each round, what failed is sent again, and every
//! answer is compared with a model.
//!
//! Some artifacts are imported first, and move from import to import; some of them need parts. Other images
//! are deployed before anybody has a record of them. Then some are built, under one tag with two digests, and
//! some are imported. (That is in later rounds: a first deploy beside the first build or import of its image
//! may make two artifacts, which `tests/writers.rs` names as a known fault.)
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
use crate::support::{Random, Tables, artifact, deploy, incompressible, lines, number_of, release};

const ARTIFACTS: u64 = 8;
const RELEASES: u64 = 6;
/// Of the images that are deployed first, so many are worked on, and twice as many are checked after each
/// round.
const PUSHED_AT_ONCE: usize = 4;
const SECRET: &str = "s3cr3t-of-the-soak";

#[derive(Debug, Clone)]
enum Work {
    Import { artifacts: Vec<u64>, pushed: Vec<usize>, releases: Vec<u64>, version: u64 },
    Deploy { image: Image, environment: String, has_key: bool },
    Build { pushed: usize, digest: u64, number: u64 },
    Export,
    Reindex,
}

#[derive(Debug, Clone, Copy)]
enum Image {
    /// One that was imported before anything was recorded of it.
    Imported(u64),
    /// One that was deployed before anything else was known of it.
    Pushed(usize),
}

impl Image {
    fn repository(self) -> String {
        match self {
            Self::Imported(number) => format!("registry.example.com/soak/{number}"),
            Self::Pushed(number) => format!("registry.example.com/pushed/{number}"),
        }
    }

    fn tagged(self) -> String {
        format!("{}:1", self.repository())
    }
}

/// Whether an image that is deployed first is built then; the others are imported.
fn is_built(pushed: usize) -> bool {
    pushed.is_multiple_of(2)
}

/// One of the two digests that an image which is deployed first is built with. An import has the first one.
fn pushed_digest(pushed: usize, digest: u64) -> String {
    format!("sha256:{:064x}", 1_000_000 + 2 * u64::try_from(pushed).unwrap() + digest)
}

impl Work {
    /// `pushed` is how many images were deployed first.
    fn random(random: &mut Random, number: u64, pushed: usize) -> Self {
        let recent = || pushed.saturating_sub(PUSHED_AT_ONCE)..pushed;
        let mut one_of = |images: Vec<usize>| {
            let place = random.below(images.len().max(1) as u64);
            images.get(usize::try_from(place).unwrap()).copied()
        };
        let (built, any) =
            (one_of(recent().filter(|image| is_built(*image)).collect()), one_of(recent().collect()));
        match (random.below(12), built, any) {
            (0..3, _, _) => Self::Import {
                artifacts: random.some_below(ARTIFACTS),
                pushed: recent().filter(|image| !is_built(*image) && random.one_in(2)).collect(),
                releases: random.some_below(RELEASES),
                version: number,
            },
            (3..5, Some(pushed), _) => Self::Build { pushed, digest: random.below(2), number },
            (5..8, _, Some(pushed)) => Self::deploy(random, Image::Pushed(pushed), number),
            (8, _, _) => Self::Export,
            (9, _, _) => Self::Reindex,
            _ => {
                let image = Image::Imported(random.below(ARTIFACTS));
                Self::deploy(random, image, number)
            }
        }
    }

    fn deploy(random: &mut Random, image: Image, number: u64) -> Self {
        // Where the tag has another artifact by the time at which it is sent again, it is another deploy
        // without a key.
        let has_key = matches!(image, Image::Pushed(pushed) if is_built(pushed)) || random.one_in(2);
        Self::Deploy { image, environment: format!("env-{number}"), has_key }
    }

    /// The tool's arguments and standard input.
    fn command(&self) -> (Vec<String>, String) {
        let arguments = |arguments: &[&str]| arguments.iter().map(ToString::to_string).collect();
        match self {
            Self::Import { artifacts, pushed, releases, version } => {
                let artifacts = artifacts.iter().map(|&number| imported_artifact(number, *version));
                let artifacts = artifacts.chain(pushed.iter().map(|&image| imported_image(image, *version)));
                let releases = releases.iter().map(|&number| imported_release(number, *version));
                // Empty standard input is refused: one record is always there.
                let records: Vec<_> =
                    artifacts.chain(releases).chain([artifact("x", "x:1", "", 1)]).collect();
                (arguments(&["import", "-"]), lines(&records))
            }
            Self::Deploy { image, environment, has_key } => {
                let url = format!("https://ci:{SECRET}@ci.example.com/{environment}?access_token={SECRET}");
                let image = image.tagged();
                let mut deploy = vec!["record", "deploy", "--image", &image, "--env", environment];
                if *has_key {
                    deploy.extend(["--idempotency-key", environment]);
                } else {
                    deploy.extend(["--url", &url]);
                }
                (arguments(&deploy), String::new())
            }
            Self::Build { pushed, digest, number } => {
                let (image, digest) = (Image::Pushed(*pushed).tagged(), pushed_digest(*pushed, *digest));
                let (commit, url) = (built_commit(*number), built_url(*number));
                let build = ["record", "build", "--image", &image, "--digest", &digest, "--url", &url];
                let source = ["--repo", "o/n", "--branch", "main", "--commit", &commit];
                (arguments(&[&build[..], &source].concat()), String::new())
            }
            Self::Export => (arguments(&["export"]), String::new()),
            Self::Reindex => (arguments(&["reindex"]), String::new()),
        }
    }
}

/// An artifact whose time and digest differ from version to version, so that it moves.
fn imported_artifact(number: u64, version: u64) -> Value {
    let digest = format!("sha256:{:064x}", number * 2 + version % 2);
    let id = format!("a{number}");
    let mut imported = artifact(&id, &Image::Imported(number).tagged(), &digest, 1_600_000_000 + version % 7);
    imported["note"] = json!(version);
    if number % 4 == 3 {
        imported["docker_file"] = incompressible(400_000, version).into();
    }
    imported["activities"] = json!([{
        "artifact_id": id, "type": "build", "content": version.to_string(),
        "created_by": "zadig", "created_time": 1_600_000_000,
        "commits": [{"commit_id": commit(number, version), "repo_owner": "o", "repo_name": "n", "pr": 1 + number}],
    }]);
    imported
}

/// The record of an image that was deployed first.
fn imported_image(pushed: usize, version: u64) -> Value {
    let (image, digest) = (Image::Pushed(pushed).tagged(), pushed_digest(pushed, 0));
    let mut imported = artifact(&format!("p{pushed}"), &image, &digest, 1_600_000_000 + version % 7);
    imported["note"] = json!(version);
    imported
}

fn built_commit(number: u64) -> String {
    format!("{number:07x}{number:033x}")
}

fn built_url(number: u64) -> String {
    format!("https://ci.example.com/build/{number}")
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
    pushed: Vec<Pushed>,
    releases: Vec<BTreeSet<u64>>,
}

/// An image that was deployed before anything else was known of it.
#[derive(Default)]
struct Pushed {
    environments: BTreeSet<String>,
    /// By digest.
    builds: [BTreeSet<u64>; 2],
    versions: BTreeSet<u64>,
}

impl Model {
    fn add(&mut self, round: &[Work]) {
        let mut artifacts = vec![BTreeSet::new(); self.artifacts.len()];
        let mut releases = vec![BTreeSet::new(); self.releases.len()];
        let index = |number: &u64| usize::try_from(*number).unwrap();
        for work in round {
            if let Work::Import { pushed, .. } = work {
                for image in pushed {
                    self.pushed[*image].versions.clear();
                }
            }
        }
        for work in round {
            match work {
                Work::Import { artifacts: of_artifacts, pushed, releases: of_releases, version } => {
                    for number in of_artifacts {
                        artifacts[index(number)].insert(*version);
                    }
                    for image in pushed {
                        self.pushed[*image].versions.insert(*version);
                    }
                    for number in of_releases {
                        releases[index(number)].insert(*version);
                    }
                }
                Work::Deploy { image, environment, .. } => {
                    let environments = match image {
                        Image::Imported(number) => &mut self.environments[index(number)],
                        Image::Pushed(pushed) => {
                            // A new image has the next number.
                            self.pushed.resize_with(self.pushed.len().max(pushed + 1), Pushed::default);
                            &mut self.pushed[*pushed].environments
                        }
                    };
                    environments.insert(environment.clone());
                }
                Work::Build { pushed, digest, number } => {
                    self.pushed[*pushed].builds[index(digest)].insert(*number);
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

    /// `pushed` is how many images that were deployed first are looked at.
    async fn check(&self, tables: &Tables, pushed: usize) {
        for (number, pushed) in self.pushed.iter().enumerate().rev().take(pushed) {
            pushed.check(tables, number).await;
        }
        for ((number, versions), environments) in (0..).zip(&self.artifacts).zip(&self.environments) {
            let image = Image::Imported(number);
            let answer = tables.get(GetArtifact, &format!("image={}", image.tagged())).await;
            assert_eq!(answer.status, 200, "artifact {number}: {}", answer.body);
            let found = answer.json();
            let version = found["note"].as_u64().unwrap();
            assert!(versions.contains(&version), "artifact {number}: {version} of {versions:?}");
            let activities = found["activities"].as_array().unwrap();
            let expected: Vec<_> = environments.iter().map(String::as_str).collect();
            assert_eq!(texts(activities, "env_name"), expected, "artifact {number}");
            let builds: Vec<_> = activities.iter().filter(|activity| activity["type"] == "build").collect();
            assert_eq!(builds.len(), 1, "artifact {number}");
            assert_eq!(builds[0]["content"], version.to_string(), "artifact {number}");
            assert!(!answer.body.contains(SECRET));
            let id = async |query: String| id(tables, &query).await;
            for environment in expected.iter().rev().take(3) {
                let runs = id(format!("image={}&envName={environment}", image.repository())).await;
                assert_eq!(runs.as_ref(), Some(&found["id"]), "artifact {number} in {environment}");
            }
            let told =
                tables.get(GetArtifact, &format!("image={}&include=environments", image.tagged())).await;
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
            assert_eq!(
                (answer.status, answer.release_ids()),
                (200, vec![format!("r{number}")]),
                "{}",
                answer.body
            );
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

impl Pushed {
    /// Checks that its artifacts, of which there is one for each digest that was built, hold each fact once.
    async fn check(&self, tables: &Tables, number: usize) {
        let image = Image::Pushed(number);
        let mut artifacts = Vec::new();
        for (digest, builds) in (0..).zip(&self.builds) {
            let query = format!("image={}@{}", image.repository(), pushed_digest(number, digest));
            let answer = tables.get(GetArtifact, &query).await;
            let is_there = !builds.is_empty() || digest == 0 && !self.versions.is_empty();
            assert_eq!(answer.status, if is_there { 200 } else { 404 }, "{query}: {}", answer.body);
            if is_there {
                let found = answer.json();
                let mut built: Vec<_> = builds.iter().map(|number| built_url(*number)).collect();
                built.sort_unstable();
                let activities = found["sortedActivities"]["build"].as_array().cloned().unwrap_or_default();
                assert_eq!(texts(&activities, "url"), built, "{query}");
                for build in builds {
                    let made = id(tables, &format!("commit={}", built_commit(*build))).await;
                    assert_eq!(made.as_ref(), Some(&found["id"]), "build {build} of {query}");
                }
                artifacts.push(found);
            }
        }
        let by_tag = tables.get(GetArtifact, &format!("image={}", image.tagged())).await;
        assert_eq!(by_tag.status, 200, "{image:?}: {}", by_tag.body);
        assert!(!by_tag.body.contains(SECRET));
        if artifacts.is_empty() {
            artifacts.push(by_tag.json());
        }
        assert!(artifacts.contains(&by_tag.json()), "{image:?}: {}", by_tag.body);
        if !self.versions.is_empty() {
            let version = by_tag.json()["note"].as_u64().unwrap();
            assert!(self.versions.contains(&version), "{image:?}: {version} of {:?}", self.versions);
        }
        let activities = artifacts.iter().flat_map(|artifact| artifact["activities"].as_array().unwrap());
        let activities: Vec<_> = activities.cloned().collect();
        let expected: Vec<_> = self.environments.iter().map(String::as_str).collect();
        assert_eq!(texts(&activities, "env_name"), expected, "{image:?}");
        for environment in expected.iter().rev().take(3) {
            let runs = id(tables, &format!("image={}&envName={environment}", image.repository())).await;
            assert!(artifacts.iter().any(|artifact| Some(&artifact["id"]) == runs.as_ref()), "{environment}");
        }
    }
}

/// What these activities have in a field, sorted.
fn texts<'a>(activities: &'a [Value], field: &str) -> Vec<&'a str> {
    let mut texts: Vec<_> = activities.iter().filter_map(|activity| activity[field].as_str()).collect();
    texts.sort_unstable();
    texts
}

/// The id of the artifact that is answered.
async fn id(tables: &Tables, query: &str) -> Option<Value> {
    let answer = tables.get(GetArtifact, query).await;
    (answer.status == 200).then(|| answer.json()["id"].clone())
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
    let everything = Work::Import {
        artifacts: (0..ARTIFACTS).collect(),
        pushed: Vec::new(),
        releases: (0..RELEASES).collect(),
        version: 0,
    };
    let mut model = Model {
        artifacts: vec![BTreeSet::new(); usize::try_from(ARTIFACTS).unwrap()],
        environments: vec![BTreeSet::new(); usize::try_from(ARTIFACTS).unwrap()],
        pushed: Vec::new(),
        releases: vec![BTreeSet::new(); usize::try_from(RELEASES).unwrap()],
    };
    succeed(&everything, &tables).await;
    model.add(&[everything]);
    let (mut works, mut killed, mut sent_again, mut rounds, mut copies) = (0, 0, 0, 0_u64, 0);
    let mut recorded_before = Vec::new();
    while Instant::now() < end {
        rounds += 1;
        let mut round = Vec::new();
        let mut lifetimes = Vec::new();
        let pushed = model.pushed.len();
        let is_new_image = random.one_in(3);
        for place in 0..2 + random.below(5) {
            works += 1;
            round.push(match random.below(8) {
                _ if is_new_image && place < 2 => Work::deploy(&mut random, Image::Pushed(pushed), works),
                0 if !recorded_before.is_empty() => {
                    let place = random.below(recorded_before.len() as u64);
                    Work::clone(&recorded_before[usize::try_from(place).unwrap()])
                }
                _ => Work::random(&mut random, works, pushed),
            });
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
        let is_recording = |work: &Work| matches!(work, Work::Deploy { .. } | Work::Build { .. });
        recorded_before.extend(round.into_iter().filter(is_recording));
        model.check(&tables, 2 * PUSHED_AT_ONCE).await;
        if rounds % 20 == 0 {
            copies += 1;
            let exported = succeed(&Work::Export, &tables).await.out;
            let copy = Tables::empty().await;
            copy.import(&exported).await;
            model.check(&copy, usize::MAX).await;
            succeed(&Work::Reindex, &tables).await;
            let again = succeed(&Work::Reindex, &tables).await.out;
            assert!(again.contains("changed 0, items changed 0") && !again.contains("removed"), "{again}");
            model.check(&tables, usize::MAX).await;
        }
    }
    let of_imported: usize = model.environments.iter().map(BTreeSet::len).sum();
    let of_pushed: usize = model.pushed.iter().map(|pushed| pushed.environments.len()).sum();
    let builds: usize = model.pushed.iter().flat_map(|pushed| &pushed.builds).map(BTreeSet::len).sum();
    println!(
        "{rounds} rounds, {works} runs, {killed} killed, {sent_again} sent again, {} deploys recorded, {of_pushed} of them on \
         {} images that were deployed first, {builds} builds recorded, {copies} exports imported elsewhere, {} requests through \
         the faulty DynamoDB",
        of_imported + of_pushed,
        model.pushed.len(),
        proxy.total()
    );
}
