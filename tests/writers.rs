//! Two writers write one record, in every order of their steps, and either is killed after every step.
//!
//! A step is a request to DynamoDB. Both writers wait at a gate before each of their requests, and the test lets one
//! request pass at a time: first in one order, and then in every other order. After every step a reader looks at the
//! record, and must find it whole, either as it was or as one of the two wrote it. In the end the table must be as if
//! one writer had come after the other.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use delivery_center::endpoint::Endpoint::{GetArtifact, ListReleases};
use delivery_center_tool::record::{Record, RecordedActivity};
use delivery_center_tool::write::{
    Fact, FactKey, FoundArtifact, KeepRecorded, Mode, PackedArtifact, PackedRelease, Writer,
};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::support::faulty::{FaultyProxy, Pass};
use crate::support::{Tables, artifact, deploy, release};

/// The id of the record.
const ID: &str = "619dbaa8c528c2182225e8d9";

/// What one writer does with the tables.
type Task = Arc<dyn Fn(Writer) -> BoxFuture<'static, ()> + Send + Sync>;
/// What a reader sees.
type Reader = Arc<dyn Fn(Arc<Tables>) -> BoxFuture<'static, String> + Send + Sync>;

/// A record that two writers write.
struct Scenario {
    name: &'static str,
    writes_per_transaction: usize,
    /// Writes what is there before.
    before: Task,
    writers: [Task; 2],
    /// What a reader sees of the record.
    seen: Reader,
    /// How often an order may turn from one writer to the other; `None` is as often as there are steps.
    turns: Option<usize>,
}

/// What comes next: one of the writers makes a step, or is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    Step(usize),
    Kill(usize),
}

/// One writer at work.
struct Running {
    task: JoinHandle<()>,
    waiting: mpsc::UnboundedReceiver<Pass>,
    pass: Option<Pass>,
    _proxy: FaultyProxy,
}

impl Running {
    async fn start(tables: &Tables, scenario: &Scenario, writer: usize) -> Self {
        let (proxy, waiting) = FaultyProxy::gated(&tables.endpoint_url).await;
        let store = tables.through(&proxy.endpoint_url).writer;
        let store = store.with_writes_per_transaction(scenario.writes_per_transaction);
        let task = tokio::spawn((scenario.writers[writer])(store));
        let mut running = Self { task, waiting, pass: None, _proxy: proxy };
        running.arrive().await;
        running
    }

    /// Waits until the writer is at the gate, or has ended.
    async fn arrive(&mut self) {
        tokio::select! {
            pass = self.waiting.recv() => self.pass = pass,
            ended = &mut self.task => {
                ended.expect("a writer does not panic");
                self.pass = None;
            }
        }
    }

    async fn step(&mut self) {
        self.pass.take().expect("it waits at the gate").send(()).unwrap();
        self.arrive().await;
    }

    fn kill(&mut self) {
        self.task.abort();
        self.pass = None;
    }
}

/// One order of steps: each choice, with the choices that there were.
#[derive(Default)]
struct Order {
    chosen: Vec<(Choice, Vec<Choice>)>,
    killed: bool,
}

impl Order {
    fn choices(&self, waiting: [bool; 2], may_kill: bool, turns: Option<usize>) -> Vec<Choice> {
        let steps = || self.chosen.iter().map(|(choice, _)| choice);
        let last = steps().rev().find_map(|choice| match choice {
            Choice::Step(writer) => Some(*writer),
            Choice::Kill(_) => None,
        });
        let made: Vec<_> = steps()
            .filter_map(|choice| match choice {
                Choice::Step(writer) => Some(*writer),
                Choice::Kill(_) => None,
            })
            .collect();
        let turns_made = made.windows(2).filter(|pair| pair[0] != pair[1]).count();
        let may_turn = turns.is_none_or(|turns| turns_made < turns);
        let is_free = |writer: usize| last.is_none_or(|last| last == writer || !waiting[last] || may_turn);
        let live = || (0..2).filter(|writer| waiting[*writer]);
        let mut choices: Vec<_> = live().filter(|writer| is_free(*writer)).map(Choice::Step).collect();
        if may_kill && !self.killed {
            choices.extend(live().map(Choice::Kill));
        }
        choices
    }
}

/// Runs one order, which begins with the given choices and then takes the first one each time, and returns all
/// choices.
async fn run(
    scenario: &Scenario,
    outcomes: &Outcomes,
    tables: &Arc<Tables>,
    begin: &[Choice],
    may_kill: bool,
) -> Order {
    let alone = |writer: &Task| {
        writer(tables.writer.clone().with_writes_per_transaction(scenario.writes_per_transaction))
    };
    clear(tables).await;
    alone(&scenario.before).await;
    let mut writers = [Running::start(tables, scenario, 0).await, Running::start(tables, scenario, 1).await];
    let mut order = Order::default();
    loop {
        let seen = (scenario.seen)(Arc::clone(tables)).await;
        assert!(outcomes.seen.contains(&seen), "{}: {:?} shows a reader {seen}", scenario.name, order.chosen);
        let waiting = [writers[0].pass.is_some(), writers[1].pass.is_some()];
        let choices = order.choices(waiting, may_kill, scenario.turns);
        let Some(first) = choices.first() else { break };
        let choice = begin.get(order.chosen.len()).unwrap_or(first);
        match choice {
            Choice::Step(writer) => writers[*writer].step().await,
            Choice::Kill(writer) => {
                writers[*writer].kill();
                order.killed = true;
            }
        }
        order.chosen.push((*choice, choices));
    }
    if order.killed {
        // Whoever writes the record next heals what a killed writer left.
        alone(&scenario.writers[0]).await;
    }
    let stored = tables.dump_both().await;
    let is_serial = outcomes.stored.contains(&stored);
    assert!(is_serial, "{}: {:?} leaves {stored:#?}", scenario.name, order.chosen);
    order
}

/// What two writers leave that write one after the other, and what a reader may see meanwhile.
#[derive(Default)]
struct Outcomes {
    stored: BTreeSet<[Vec<String>; 2]>,
    seen: BTreeSet<String>,
}

/// The outcomes where the writers write one after the other. With `may_kill` a writer may also never have written,
/// since it may be killed before its first write; the first writer then writes once more, as [`run`] has it.
async fn serial_outcomes(scenario: &Scenario, tables: &Arc<Tables>, may_kill: bool) -> Outcomes {
    let mut outcomes = Outcomes::default();
    let with_a_death: &[&[usize]] = &[&[0], &[1], &[0, 1, 0], &[1, 0, 0]];
    for order in [&[0, 1][..], &[1, 0]].iter().chain(with_a_death.iter().filter(|_| may_kill)) {
        clear(tables).await;
        for writer in
            std::iter::once(&scenario.before).chain(order.iter().map(|writer| &scenario.writers[*writer]))
        {
            writer(tables.writer.clone()).await;
            outcomes.seen.insert((scenario.seen)(Arc::clone(tables)).await);
        }
        outcomes.stored.insert(tables.dump_both().await);
    }
    outcomes
}

async fn items(tables: &Tables, table: &str) -> Vec<HashMap<String, AttributeValue>> {
    let scan = tables.client.scan().table_name(table).into_paginator().items().send();
    scan.collect::<Result<_, _>>().await.unwrap()
}

async fn clear(tables: &Tables) {
    for (table, hash) in [(&tables.names.releases, "release_id"), (&tables.names.artifacts, "image_digest")] {
        for item in items(tables, table).await {
            let delete = tables.client.delete_item().table_name(table).key(hash, item[hash].clone());
            delete.key("entry", item["entry"].clone()).send().await.unwrap();
        }
    }
}

/// Runs every order, and returns how many there are.
async fn explore(scenario: &Scenario, may_kill: bool) -> usize {
    let tables = Arc::new(Tables::empty().await);
    let outcomes = serial_outcomes(scenario, &tables, may_kill).await;
    let mut begin: Vec<Choice> = Vec::new();
    let mut orders = 0;
    loop {
        let order =
            tokio::time::timeout(Duration::from_mins(1), run(scenario, &outcomes, &tables, &begin, may_kill))
                .await
                .unwrap_or_else(|_| panic!("{}: {begin:?} does not end", scenario.name));
        orders += 1;
        // The next order makes the last choice differently for which there is an alternative left.
        let mut chosen = order.chosen;
        loop {
            let Some((choice, choices)) = chosen.pop() else { return orders };
            let place = choices.iter().position(|other| *other == choice).unwrap();
            if let Some(next) = choices.get(place + 1) {
                begin = chosen.iter().map(|(choice, _)| *choice).chain([*next]).collect();
                break;
            }
        }
    }
}

fn stores(record: Value) -> Task {
    Arc::new(move |tables| {
        let record = record.clone();
        Box::pin(async move {
            match Record::check(record.to_string().as_bytes()).unwrap() {
                Record::Release(release) => {
                    tables.put_release(&PackedRelease::new(&release).unwrap(), Mode::Write).await.unwrap();
                }
                Record::Artifact(artifact) => {
                    let packed = PackedArtifact::new(*artifact).unwrap();
                    tables.put_artifact(&packed, Mode::Write, KeepRecorded::Yes).await.unwrap();
                }
            }
        })
    })
}

fn drops() -> Task {
    Arc::new(move |tables| {
        Box::pin(async move {
            let record = an_artifact("dropped", '0', None).to_string();
            let Record::Artifact(artifact) = Record::check(record.as_bytes()).unwrap() else { panic!() };
            let packed = PackedArtifact::new(*artifact).unwrap();
            tables.put_artifact(&packed, Mode::Write, KeepRecorded::No).await.unwrap();
        })
    })
}

fn records(environment: &'static str) -> Task {
    Arc::new(move |tables| {
        Box::pin(async move {
            loop {
                let state = tables.artifact_state(&FoundArtifact::by_id(ID.to_owned())).await.unwrap();
                let key = FactKey::new(&[environment]);
                if state.holds(&key) {
                    return;
                }
                let activity =
                    json!({"type": "deploy", "env_name": environment, "created_time": 9}).to_string();
                let recorded = RecordedActivity { activity, artifact_fields: "{}".to_owned() };
                // The other writer may have moved the artifact after its pointer was read.
                let Some(json) = state.json().map(str::to_owned) else { continue };
                let Record::Artifact(artifact) = Record::check(json.as_bytes()).unwrap() else { panic!() };
                let artifact = artifact.with_recorded(std::slice::from_ref(&recorded)).unwrap();
                let packed = PackedArtifact::new(artifact).unwrap();
                let fact = Fact { key, recorded, recorded_at: 9 };
                if tables.record_fact(&state, &packed, &fact).await.unwrap() {
                    return;
                }
            }
        })
    })
}

/// What the list of the release's project answers.
fn lists() -> Reader {
    Arc::new(|tables| {
        Box::pin(async move {
            let answer = tables.get(ListReleases, "projectName=p").await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            answer.body
        })
    })
}

fn answers() -> Reader {
    Arc::new(|tables| {
        Box::pin(async move {
            let answer = tables.get(GetArtifact, "image=registry/a:1").await;
            assert!(matches!(answer.status, 200 | 404), "{}", answer.body);
            answer.body
        })
    })
}

fn a_release(description: &str, created_at: u64, services: &[&str]) -> Value {
    let mut record = release(ID, created_at);
    record["versionInfo"]["workflowName"] = json!("");
    record["versionInfo"]["taskId"] = json!(0);
    record["versionInfo"]["desc"] = json!(description);
    record["deployInfo"] = services.iter().map(|service| deploy(ID, service)).collect();
    record
}

fn an_artifact(name: &str, digest: char, environment: Option<&str>) -> Value {
    let digest = format!("sha256:{}", digest.to_string().repeat(64));
    let mut record = artifact(ID, "registry/a:1", &digest, 5);
    record["name"] = json!(name);
    let deployed =
        environment.map(|environment| json!({"type": "deploy", "env_name": environment, "created_time": 7}));
    record["activities"] = deployed.into_iter().collect();
    record
}

fn scenarios() -> Vec<Scenario> {
    let of_releases = |name, writes_per_transaction, turns, before, writers| Scenario {
        name,
        writes_per_transaction,
        before,
        writers,
        seen: lists(),
        turns,
    };
    let of_artifacts = |name, before, writers| Scenario {
        name,
        writes_per_transaction: 100,
        before,
        writers,
        seen: answers(),
        turns: None,
    };
    let base = || stores(a_release("before", 5, &["a"]));
    let nothing = || -> Task { Arc::new(|_| Box::pin(async {})) };
    let one = || stores(a_release("one", 5, &["a", "b"]));
    let other = || stores(a_release("other", 5, &["c"]));
    let moved = || stores(a_release("moved", 6, &["c"]));
    let gone = || {
        let mut record = a_release("gone", 5, &["a"]);
        record["versionInfo"]["deleted_at"] = json!(1);
        stores(record)
    };
    let kept = || stores(an_artifact("before", '0', Some("dev")));
    let reimported = || stores(an_artifact("again", '0', Some("dev")));
    let recorded = || {
        let (stores, records) = (kept(), records("prod"));
        let writer: Task = Arc::new(move |tables| {
            let (stores, records) = (stores(tables.clone()), records(tables));
            Box::pin(async move {
                stores.await;
                records.await;
            })
        });
        writer
    };
    let rebuilt = || stores(an_artifact("rebuilt", '1', None));
    vec![
        of_releases("two imports, whole", 100, None, base(), [one(), moved()]),
        of_releases("two first imports, whole", 100, None, nothing(), [one(), other()]),
        of_releases("an import and a removal, whole", 100, None, base(), [one(), gone()]),
        of_releases("two imports, in steps", 2, Some(1), base(), [one(), other()]),
        of_releases("two first imports, in steps", 2, Some(1), nothing(), [one(), other()]),
        of_releases("an import and a removal, in steps", 2, Some(1), base(), [other(), gone()]),
        of_artifacts("two imports of an artifact", kept(), [reimported(), rebuilt()]),
        of_artifacts("a recording and an import", kept(), [records("prod"), reimported()]),
        of_artifacts("a recording and a move", kept(), [rebuilt(), records("prod")]),
        of_artifacts(
            "a recording and an import that drops what was recorded",
            recorded(),
            [records("prod"), drops()],
        ),
        of_artifacts("two recordings", kept(), [records("prod"), records("test")]),
        of_artifacts("one fact twice", kept(), [records("prod"), records("prod")]),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_end_as_one_after_the_other_in_every_order() {
    for scenario in scenarios() {
        let orders = explore(&scenario, false).await;
        println!("{}: {orders} orders", scenario.name);
        assert!(orders > 3, "{}: {orders} orders", scenario.name);
    }
}

/// It takes a quarter of an hour: `cargo test --test service writers -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it takes a quarter of an hour"]
async fn two_writers_end_as_one_after_the_other_in_many_more_orders_and_with_deaths() {
    for scenario in scenarios() {
        let turns = scenario.turns.map(|_| 3);
        let orders = explore(&Scenario { turns, ..scenario }, false).await;
        println!("up to three turns: {orders} orders");
    }
    for scenario in scenarios() {
        let orders = explore(&Scenario { turns: Some(1), ..scenario }, true).await;
        println!("up to one turn and a death: {orders} orders");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_is_killed_at_any_step_leaves_the_record_whole() {
    for scenario in scenarios() {
        // One turn, or none where the steps are many: then each writer still dies after each of its steps.
        let scenario = Scenario { turns: Some(usize::from(scenario.turns.is_none())), ..scenario };
        let orders = explore(&scenario, true).await;
        println!("{}: {orders} orders with a death", scenario.name);
        assert!(orders > 3, "{}: {orders} orders", scenario.name);
    }
}
