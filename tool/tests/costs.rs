//! What artifacts cost in calls and capacity units, printed: for comparing one layout of the tables with another.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use delivery_center::endpoint::Endpoint::GetArtifact;
use delivery_center_tool::facts::{
    Activity, ActivityKind, FactError, FactOutcome, NamedImage, Recorded, newest_contained, record_activity,
};
use delivery_center_tool::record::{self, Record};
use delivery_center_tool::retries::Patience;
use delivery_center_tool::write::{
    Commit, FactKey, FoundArtifact, KeepRecorded, Mode, Outcome, PackedArtifact, Writer,
};
use serde_json::{Map, Value, json};

use crate::record::{patient_writer, send_at_once};
use crate::support::faulty::{Fault, FaultyProxy};
use crate::support::{Tables, artifact};

const IMAGE: &str = "registry.example.com/shop/cart:1";
const REPOSITORY: &str = "registry.example.com/shop/cart";
const DIGEST: &str = "sha256:1d9ddf94feb5ff9ca9d76248ad51dd2a95210895d0dbf1e87bd66cc471c41f0e";

/// An artifact that was built from so many commits.
fn built_from(commits: usize) -> Value {
    let commit = |number| json!({"commit_id": commit(number), "repo_owner": "o", "repo_name": "n", "pr": 7});
    let mut record = artifact("a", IMAGE, DIGEST, 1_600_000_000);
    record["activities"] = json!([{"type": "build", "created_time": 1, "commits": (0..commits).map(commit).collect::<Vec<_>>()}]);
    record
}

fn commit(number: usize) -> String {
    format!("{number:07x}{}", "0".repeat(33))
}

async fn put(writer: &Writer, record: &Value) -> Outcome {
    let Ok(Record::Artifact(artifact)) = Record::check(record.to_string().as_bytes()) else { panic!() };
    let packed = PackedArtifact::new(*artifact).unwrap();
    writer.put_artifact(&packed, Mode::Write, KeepRecorded::Yes).await.unwrap().outcome
}

async fn deploy(writer: &Writer, number: usize) -> Result<Recorded, FactError> {
    record_activity(writer, &deploy_of(number), &mut Patience::new(Duration::from_mins(1))).await
}

/// A build of so many commits, as `record build --commits-since` records it.
fn build_of(image: &str, commits: &[String]) -> Activity {
    let told = |id: &String| {
        json!({
            "address": "https://github.com", "source": "github", "repo_owner": "o", "repo_name": "n", "branch": "main",
            "pr": 7, "commit_id": id, "commit_message": "Fix the rounding of prices (#7)", "author_name": "Ann",
        })
    };
    let mut build = deploy_of(0);
    build.kind = ActivityKind::Build;
    build.image = NamedImage::parse(image, Some(&format!("sha256:{:064x}", commits.len()))).unwrap();
    let commits: Vec<_> = commits.iter().map(told).collect();
    let url = json!("https://ci.example.com/1");
    build.fields = [("commits".to_owned(), commits.into()), ("url".to_owned(), url)].into_iter().collect();
    build
}

fn deploy_of(number: usize) -> Activity {
    let environment = format!("env-{}", number % 10);
    let fields = json!({"env_name": environment, "url": format!("https://ci.example.com/{number}")});
    Activity {
        kind: ActivityKind::Deploy,
        image: NamedImage::parse(IMAGE, Some(DIGEST)).unwrap(),
        fields: fields.as_object().unwrap().clone(),
        artifact_fields: Map::new(),
        created_by: "ci".to_owned(),
        created_time: 1_700_000_000 + number as u64,
        given_urls: Vec::new(),
        idempotency_key: None,
    }
}

/// Counts what is asked of the tables from here to [`Meter::print`].
struct Meter<'a> {
    proxy: &'a FaultyProxy,
    calls: u64,
    units: HashMap<String, f64>,
}

impl<'a> Meter<'a> {
    fn of(proxy: &'a FaultyProxy) -> Self {
        Self { proxy, calls: proxy.total(), units: proxy.units() }
    }

    fn print(self, what: &str) {
        let (mut read, mut written) = (0.0, 0.0);
        for (operation, units) in self.proxy.units() {
            let more = units - self.units.get(&operation).copied().unwrap_or_default();
            *if operation.contains("Write") { &mut written } else { &mut read } += more;
        }
        println!("| {what} | {} | {read} | {written} |", self.proxy.total() - self.calls);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it measures, and takes minutes"]
async fn what_artifacts_cost_in_calls_and_units() {
    let tables = Tables::empty().await;
    let writer = patient_writer(&tables);
    let begun = Instant::now();
    send_at_once(&writer, 200).await;
    println!("200 pipelines on one artifact at the same moment: {:.1} s", begun.elapsed().as_secs_f64());

    println!("| | calls | read units | write units |\n| --- | --- | --- | --- |");
    for commits in [1, 250, 4_900] {
        let tables = Tables::empty().await;
        put(&tables.writer, &built_from(commits)).await;
        let proxy = FaultyProxy::start(&tables.endpoint_url, |_, _| Fault::Meter).await;
        let metered = tables.through(&proxy.endpoint_url);
        for (name, query) in [
            ("tag", format!("image={IMAGE}")),
            ("digest", format!("image={DIGEST}")),
            ("`name@digest`", format!("image={REPOSITORY}@{DIGEST}")),
            ("commit", format!("commit={}", commit(0))),
            ("pull request", "pr=7&repo=o/n".to_owned()),
        ] {
            let meter = Meter::of(&proxy);
            assert_eq!(metered.get(GetArtifact, &query).await.status, 200, "{query}");
            meter.print(&format!("{commits} commits: a look-up by {name}"));
        }
        let meter = Meter::of(&proxy);
        assert_eq!(put(&metered.writer, &built_from(commits)).await, Outcome::Unchanged);
        meter.print(&format!("{commits} commits: an import that changes nothing"));
        for expected in [FactOutcome::Added, FactOutcome::Already] {
            let meter = Meter::of(&proxy);
            assert_eq!(deploy(&metered.writer, 0).await.unwrap().outcome, expected);
            meter.print(&format!("{commits} commits: a deploy, {expected:?}"));
        }
    }

    let tables = Tables::empty().await;
    put(&tables.writer, &built_from(1)).await;
    let state = tables.writer.artifact_state(&FoundArtifact::by_id("a".to_owned())).await.unwrap();
    let recorded = (0..6_000).fold(Vec::new(), |mut facts, number| {
        let Activity { fields, created_by, created_time, .. } = deploy_of(number);
        let mut activity = Value::from(fields);
        activity["type"] = json!("deploy");
        activity["created_by"] = json!(created_by);
        activity["created_time"] = json!(created_time);
        let fact = FactKey::new(&["made", &number.to_string()]).short();
        facts.extend(record::Recorded::of(fact, &activity.to_string(), "{}").unwrap().facts);
        facts
    });
    let recorded = record::Recorded { facts: recorded, ..record::Recorded::default() };
    let artifact = PackedArtifact::with_recorded(state.artifact.as_ref().unwrap(), recorded).unwrap();
    assert!(tables.writer.commit(Commit::of(&state, &artifact)).await.unwrap());
    let proxy = FaultyProxy::start(&tables.endpoint_url, |_, _| Fault::Meter).await;
    let metered = tables.through(&proxy.endpoint_url);
    let meter = Meter::of(&proxy);
    assert_eq!(deploy(&metered.writer, 6_000).await.unwrap().outcome, FactOutcome::Added);
    meter.print("6,000 facts: a deploy, Added");
    let meter = Meter::of(&proxy);
    assert_eq!(put(&metered.writer, &built_from(1)).await, Outcome::Unchanged);
    meter.print("6,001 facts: an import that changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it measures"]
async fn what_the_commits_of_a_build_cost() {
    println!("| | calls | read units | write units |\n| --- | --- | --- | --- |");
    let patience = || Patience::new(Duration::from_mins(1));
    // Digits as of real ids, no seven of which begin two of them.
    let commits: Vec<_> = (0..=250_u64)
        .map(|number| {
            format!("{:08x}{:032x}", number * 0x0100_0193, number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
        })
        .collect();
    let image = NamedImage::parse("registry.example.com/shop/cart:2", None).unwrap();
    for (what, in_others, in_own) in [
        ("no artifact contains any", 0, None),
        ("the 250th is in an earlier artifact", 0, Some(250)),
        ("the 1st is in an earlier artifact", 0, Some(1)),
        ("each is in an artifact of another image, the 250th in its own", 250, Some(250)),
    ] {
        let tables = Tables::empty().await;
        if in_others > 0 {
            for (number, commit) in commits[1..=in_others].iter().enumerate() {
                let image = format!("registry.example.com/shop/web:{number}");
                let web = build_of(&image, std::slice::from_ref(commit));
                record_activity(&tables.writer, &web, &mut patience()).await.unwrap();
            }
        }
        if let Some(place) = in_own {
            let own = build_of(IMAGE, std::slice::from_ref(&commits[place]));
            record_activity(&tables.writer, &own, &mut patience()).await.unwrap();
        }
        let proxy = FaultyProxy::start(&tables.endpoint_url, |_, _| Fault::Meter).await;
        let metered = tables.through(&proxy.endpoint_url);
        let (meter, begun) = (Meter::of(&proxy), Instant::now());
        let found = newest_contained(metered.writer.store(), &image, "o/n", &commits, &mut patience()).await;
        assert_eq!(found.unwrap(), in_own, "{what}");
        meter.print(&format!("`auto`: {what}, in {:.2} s", begun.elapsed().as_secs_f64()));
    }
    for count in [1, 2, 10, 250] {
        let tables = Tables::empty().await;
        let proxy = FaultyProxy::start(&tables.endpoint_url, |_, _| Fault::Meter).await;
        let metered = tables.through(&proxy.endpoint_url);
        let (meter, begun) = (Meter::of(&proxy), Instant::now());
        let build = build_of(IMAGE, &commits[..count]);
        assert_eq!(
            record_activity(&metered.writer, &build, &mut patience()).await.unwrap().outcome,
            FactOutcome::Made
        );
        meter.print(&format!("a build of {count} commits, in {:.2} s", begun.elapsed().as_secs_f64()));
    }
}
