//! Two writers write at the same time, in every order of their steps. In further orders one of them is killed
//! after one of its steps, or never reads the answer to it, or gives up on a request that comes late.
//!
//! A step is a request to DynamoDB, and for each key of a `BatchGetItem` a step of its own. Both writers wait
//! at a gate before each of their steps, and the test lets one pass at a time: first in one order, and then
//! in every other order. After every step that wrote something a reader asks some questions, and must be
//! answered as in one of the serial orders, in which the writers act one after the other. So it must be in
//! the end, once whoever was killed was sent again. Then no fact may be lost, or be there twice, and no
//! artifact may be at two places.
//!
//! How many orders there are is held down twice. Steps that only read change nothing for each other, so of
//! orders that differ only there one is run. And where the steps are many, an order turns from one writer to
//! the other only so often, and by default only some of these orders are run ([`which_orders`]). The ignored
//! tests run many more. `ORDERS_ONE_IN=1` runs all orders of whoever needs no steps, of which every second one is
//! run otherwise.

mod artifacts;
mod releases;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::ops::AddAssign;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::StalledStreamProtectionConfig;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use axum::body::Body;
use axum::http::Request;
use delivery_center::endpoint::Endpoint;
use delivery_center_tool::embedded::config;
use delivery_center_tool::write::Writer;
use futures_util::TryStreamExt as _;
use futures_util::future::BoxFuture;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::support::faulty::{FaultyProxy, KeysPass, Late, Waiting};
use crate::support::{Tables, number_of, without_nonces};

/// Something that a writer does. It has done it when it returns, however often it had to try.
type Act = Arc<dyn Fn(Writer) -> BoxFuture<'static, ()> + Send + Sync>;

/// What two writers do at the same time.
struct Scenario {
    name: &'static str,
    /// Makes what is there before.
    before: Vec<Act>,
    /// What each of the two does, one after the other.
    writers: [Vec<Act>; 2],
    /// What is asked after every step.
    questions: Vec<(Endpoint, String)>,
    /// By what an activity tells itself from others (its URL or content): those that are there in the end in
    /// every order.
    facts: Vec<&'static str>,
    /// It is run with each of these.
    sizes: Vec<Size>,
}

/// How much fits into one transaction, and whether the writers then need steps.
#[derive(Clone, Copy)]
struct Size {
    writes_per_transaction: usize,
    in_steps: bool,
}

/// Which orders of a scenario are run.
#[derive(Clone, Copy)]
struct Orders {
    size: Size,
    /// Whether in each order one of the writers is killed, or reads an error instead of the answer to a write
    /// that was made.
    with_trouble: bool,
    /// How often an order may turn from one writer to the other before one of them has ended; `None` is as
    /// often as there are steps.
    turns: Option<usize>,
    keys: KeysPass,
    /// Of the places at which an order may leave the one before, one in so many is tried.
    one_in: usize,
}

/// How many orders were run.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    untroubled: usize,
    deaths: usize,
    lost_answers: usize,
    late: usize,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.untroubled += more.untroubled;
        self.deaths += more.deaths;
        self.lost_answers += more.lost_answers;
        self.late += more.late;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let Self { untroubled, deaths, lost_answers, late } = self;
        write!(
            formatter,
            "{untroubled} orders, {deaths} with a death, {lost_answers} with a lost answer, {late} with a late request"
        )
    }
}

/// What comes next to one of the writers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    Step(usize),
    StepWithoutAnswer(usize),
    /// The writer gives up on a request, which comes to DynamoDB when everything else is done.
    StepThatIsLate(usize),
    Kill(usize),
}

impl Choice {
    /// The writer that makes a step.
    fn steps(self) -> Option<usize> {
        match self {
            Self::Step(writer) | Self::StepWithoutAnswer(writer) | Self::StepThatIsLate(writer) => {
                Some(writer)
            }
            Self::Kill(_) => None,
        }
    }

    fn is_trouble(self) -> bool {
        !matches!(self, Self::Step(_))
    }
}

/// A choice that was made, and those that there were.
#[derive(Debug)]
struct Made {
    choice: Choice,
    only_reads: bool,
    choices: Vec<Choice>,
}

impl Orders {
    /// What may come next after some choices. `pending` says of each writer that waits at the gate whether
    /// its next step only reads.
    fn choices(self, made: &[Made], pending: [Option<bool>; 2]) -> Vec<Choice> {
        let steps: Vec<_> = made.iter().filter_map(|made| made.choice.steps()).collect();
        let turns = steps.windows(2).filter(|pair| pair[0] != pair[1]).count();
        // Whoever lost an answer tries again, perhaps after the other has acted.
        let lost_answer = made.last().is_some_and(|made| {
            matches!(made.choice, Choice::StepWithoutAnswer(_) | Choice::StepThatIsLate(_))
        });
        let may_turn = lost_answer || self.turns.is_none_or(|most| turns < most);
        let is_free =
            |writer| steps.last().is_none_or(|last| *last == writer || pending[*last].is_none() || may_turn);
        let next: Vec<_> = (0..2)
            .filter(|writer| pending[*writer].is_some() && is_free(*writer))
            .filter(|writer| *writer == 1 || !self.changes_nothing(made, pending))
            .collect();
        let mut choices: Vec<_> = next.iter().copied().map(Choice::Step).collect();
        if !self.with_trouble || made.iter().any(|made| made.choice.is_trouble()) {
            return choices;
        }
        // A step that only read leaves nothing, so a death after it is like one before it.
        match made.last() {
            None => choices.extend([Choice::Kill(0), Choice::Kill(1)]),
            Some(last) => {
                let dies =
                    last.choice.steps().filter(|writer| !last.only_reads && pending[*writer].is_some());
                choices.extend(dies.map(Choice::Kill));
            }
        }
        let writes = next.into_iter().filter(|writer| pending[*writer] == Some(false));
        choices.extend(writes.clone().map(Choice::StepWithoutAnswer));
        choices.extend(writes.map(Choice::StepThatIsLate));
        choices
    }

    /// Whether a step of the first writer would do the same before what the second one has just done, since
    /// all of it only reads. That order is run as well, and turns no more often, so this one is left out.
    fn changes_nothing(self, made: &[Made], pending: [Option<bool>; 2]) -> bool {
        let others = made.iter().rev().take_while(|made| made.choice.steps() == Some(1));
        let count = others.clone().count();
        pending[0] == Some(true)
            && count > 0
            && match self.turns {
                None => made.last().is_some_and(|last| last.only_reads),
                Some(_) => count < made.len() && others.clone().all(|made| made.only_reads),
            }
    }
}

/// One writer at work.
struct Running {
    task: JoinHandle<()>,
    at_the_gate: mpsc::UnboundedReceiver<Waiting>,
    next: Option<Waiting>,
    _proxy: FaultyProxy,
}

impl Running {
    async fn start(tables: &Tables, acts: &[Act], orders: Orders) -> Self {
        let (proxy, at_the_gate) = FaultyProxy::gated(&tables.endpoint_url, orders.keys).await;
        // The SDK neither tries again by itself, nor gives up on a request that waits at the gate.
        let config = config(&proxy.endpoint_url)
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        let writer = Writer::new(Client::from_conf(config.build()), tables.names.clone())
            .with_writes_per_transaction(orders.size.writes_per_transaction);
        let acts = acts.to_vec();
        let task = tokio::spawn(async move {
            for act in acts {
                act(writer.clone()).await;
            }
        });
        let mut running = Self { task, at_the_gate, next: None, _proxy: proxy };
        running.arrive().await;
        running
    }

    /// Waits until the writer is at the gate, or has ended.
    async fn arrive(&mut self) {
        self.next = tokio::select! {
            waiting = self.at_the_gate.recv() => waiting,
            ended = &mut self.task => {
                ended.expect("a writer does not panic");
                None
            }
        };
    }

    fn waiting(&mut self) -> Waiting {
        self.next.take().expect("it waits at the gate")
    }

    fn kill(&mut self) {
        self.task.abort();
        self.next = None;
    }
}

/// What is answered and stored where the writers act one after the other.
#[derive(Default)]
struct Serial {
    /// What a reader may be answered meanwhile.
    seen: BTreeSet<Vec<String>>,
    /// What a reader may be answered in the end.
    ended: BTreeSet<Vec<String>>,
    stored: BTreeSet<Vec<String>>,
}

/// What acts in serial orders have left, so that none is done twice.
#[derive(Default)]
struct Acted {
    /// All items, by the acts.
    items: HashMap<Vec<(usize, usize)>, Vec<Item>>,
    /// What a `reindex` makes of what is stored.
    swept: HashMap<Vec<String>, Vec<String>>,
}

/// A DynamoDB that is asked without the SDK, which takes several times as long where it is not optimized.
struct PlainDynamoDb {
    endpoint_url: String,
    http: hyper_util::client::legacy::Client<HttpConnector, Body>,
}

impl PlainDynamoDb {
    fn at(endpoint_url: &str) -> Self {
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build_http();
        Self { endpoint_url: endpoint_url.to_owned(), http }
    }

    async fn ask(&self, operation: &str, request: &Value) -> Value {
        let request = Request::post(&self.endpoint_url)
            .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
            .header("x-amz-date", "20260101T000000Z")
            .header("content-type", "application/x-amz-json-1.0")
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0",
            )
            .body(Body::from(request.to_string()))
            .unwrap();
        let answer = self.http.request(request).await.unwrap();
        let status = answer.status();
        let answer = axum::body::to_bytes(Body::new(answer.into_body()), usize::MAX).await.unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert!(status.is_success(), "{operation}: {answer}");
        answer
    }
}

/// A scenario at work, in tables of its own.
struct Explorer<'a> {
    scenario: &'a Scenario,
    tables: Tables,
    dynamodb: PlainDynamoDb,
    /// The items that are there before.
    before: Vec<Item>,
    /// Without trouble, and with it.
    serial: [Serial; 2],
    /// What was found where something was stored, by a hash of that.
    found: Mutex<HashMap<u64, Arc<Found>>>,
    /// Hashes of what was stored where a `reindex` left what a serial order leaves.
    swept: Mutex<HashSet<u64>>,
}

/// What readers find. It depends on nothing but what is stored.
#[derive(Debug)]
struct Found {
    /// The answers to the scenario's questions.
    answers: Vec<String>,
    /// The URL or the content of each activity.
    facts: BTreeSet<String>,
}

/// An item in DynamoDB's JSON.
type Item = serde_json::Map<String, Value>;

impl<'a> Explorer<'a> {
    async fn new(scenario: &'a Scenario) -> Self {
        let tables = Tables::empty().await;
        for act in &scenario.before {
            act(tables.writer.clone()).await;
        }
        let dynamodb = PlainDynamoDb::at(&tables.endpoint_url);
        let mut explorer = Self {
            scenario,
            tables,
            dynamodb,
            before: Vec::new(),
            serial: Default::default(),
            found: Mutex::default(),
            swept: Mutex::default(),
        };
        explorer.before = explorer.items().await;
        let mut acted = Acted::default();
        for with_trouble in [false, true] {
            let mut serial = Serial::default();
            for order in serial_orders(scenario.writers.each_ref().map(Vec::len), with_trouble) {
                let (seen, stored) = explorer.act_in_turn(&order, &mut acted).await;
                serial.ended.extend(seen.last().cloned());
                serial.seen.extend(seen);
                serial.stored.extend(stored);
            }
            explorer.serial[usize::from(with_trouble)] = serial;
        }
        explorer
    }

    /// What is answered at each point of a serial order, and what is stored in its end, before a `reindex` and
    /// after it. The acts with which another order began are not done again.
    async fn act_in_turn(
        &self,
        order: &[(usize, usize)],
        acted: &mut Acted,
    ) -> (Vec<Vec<String>>, [Vec<String>; 2]) {
        let (mut seen, mut items) = (Vec::new(), self.before.clone());
        for done in 0..=order.len() {
            let begun = &order[..done];
            if !acted.items.contains_key(begun) {
                self.restore(&self.items().await, &items).await;
                if let Some((writer, act)) = begun.last() {
                    self.scenario.writers[*writer][*act](self.tables.writer.clone()).await;
                }
                acted.items.insert(begun.to_vec(), self.items().await);
            }
            items.clone_from(&acted.items[begun]);
            let told = format!("{}: {begun:?}", self.scenario.name);
            seen.push(self.find(&told, &stored(&items)).await.answers.clone());
        }
        let left = stored(&items);
        if !acted.swept.contains_key(&left) {
            self.restore(&self.items().await, &items).await;
            artifacts::reindexes()(self.tables.writer.clone()).await;
            acted.swept.insert(left.clone(), stored(&self.items().await));
        }
        (seen, [acted.swept[&left].clone(), left])
    }

    /// The table that the scenario is about, and its hash key.
    fn table(&self) -> (&str, &'static str) {
        let names = &self.tables.names;
        match self.scenario.questions[0].0 {
            Endpoint::ListReleases => (&names.releases, "release_id"),
            Endpoint::GetArtifact => (&names.artifacts, "image_digest"),
        }
    }

    /// All items of that table.
    async fn items(&self) -> Vec<Item> {
        let (mut items, mut start) = (Vec::new(), Value::Null);
        loop {
            let mut scan = json!({"TableName": self.table().0, "ConsistentRead": true});
            if !start.is_null() {
                scan["ExclusiveStartKey"] = start;
            }
            let mut page = self.dynamodb.ask("Scan", &scan).await;
            let Value::Array(found) = page["Items"].take() else { panic!("{page}") };
            items.extend(found.into_iter().map(|item| item.as_object().unwrap().clone()));
            start = page["LastEvaluatedKey"].take();
            if start.is_null() {
                return items;
            }
        }
    }

    /// Makes the table hold some items. `now` is what it holds.
    async fn restore(&self, now: &[Item], wanted: &[Item]) {
        let (table, hash) = self.table();
        let key = |item: &Item| json!({hash: item[hash], "entry": item["entry"]});
        let gone = now.iter().filter(|item| wanted.iter().all(|other| key(other) != key(item)));
        let deletes = gone.map(|item| json!({"DeleteRequest": {"Key": key(item)}}));
        let others = wanted.iter().filter(|item| !now.contains(item));
        let puts = others.map(|item| json!({"PutRequest": {"Item": item}}));
        let writes: Vec<_> = deletes.chain(puts).collect();
        for writes in writes.chunks(25) {
            let written =
                self.dynamodb.ask("BatchWriteItem", &json!({"RequestItems": {table: writes}})).await;
            assert_eq!(written["UnprocessedItems"], json!({}));
        }
    }

    /// What readers find, given what is stored.
    async fn find(&self, told: &str, stored: &[String]) -> Arc<Found> {
        let state = hash_of(&stored);
        if let Some(found) = self.found.lock().unwrap().get(&state) {
            return Arc::clone(found);
        }
        let found = Arc::new(Found { answers: self.ask().await, facts: self.facts(told).await });
        self.found.lock().unwrap().insert(state, Arc::clone(&found));
        found
    }

    async fn ask(&self) -> Vec<String> {
        let mut answers = Vec::with_capacity(self.scenario.questions.len());
        for (endpoint, query) in &self.scenario.questions {
            let answer = self.tables.get(*endpoint, query).await;
            assert!(matches!(answer.status, 200 | 404), "{query}: {}", answer.body);
            answers.push(format!("{query}: {}", shortened(answer.body)));
        }
        answers
    }

    /// Checks that no artifact is there twice, and no activity.
    async fn facts(&self, told: &str) -> BTreeSet<String> {
        let artifacts = Box::pin(all_artifacts(&self.tables.writer)).await;
        let ids: BTreeSet<_> = artifacts.iter().map(|artifact| artifact["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), artifacts.len(), "{told}: an artifact is at two places: {artifacts:#?}");
        let mut facts = BTreeSet::new();
        for activity in artifacts.iter().flat_map(|artifact| artifact["activities"].as_array().unwrap()) {
            // A deploy that nothing tells apart may be there several times.
            let Some(fact) = activity["url"].as_str().or(activity["content"].as_str()) else { continue };
            assert!(facts.insert(fact.to_owned()), "{told}: {fact} is there twice: {artifacts:#?}");
        }
        facts
    }

    /// Runs these orders, and counts them.
    async fn explore(&self, orders: Orders) -> Counts {
        let mut begin: Vec<Choice> = Vec::new();
        let mut now = self.items().await;
        let (mut counts, mut places) = (Counts::default(), 0);
        loop {
            let run = self.run(orders, &begin, &mut now);
            let (mut made, is_new) = tokio::time::timeout(Duration::from_mins(2), run)
                .await
                .unwrap_or_else(|_| panic!("{}: {begin:?} does not end", self.scenario.name));
            if is_new {
                *match made.iter().find(|made| made.choice.is_trouble()).map(|made| made.choice) {
                    None | Some(Choice::Step(_)) => &mut counts.untroubled,
                    Some(Choice::Kill(_)) => &mut counts.deaths,
                    Some(Choice::StepWithoutAnswer(_)) => &mut counts.lost_answers,
                    Some(Choice::StepThatIsLate(_)) => &mut counts.late,
                } += 1;
            }
            // The next order makes the last choice differently for which there is an alternative left.
            begin = loop {
                let Some(Made { choice, only_reads, choices }) = made.pop() else { return counts };
                let place = choices.iter().position(|other| *other == choice).unwrap();
                let Some(next) = choices.get(place + 1).copied() else { continue };
                places += 1;
                if places % orders.one_in == 0 {
                    break made.iter().map(|made| made.choice).chain([next]).collect();
                }
                made.push(Made { choice: next, only_reads, choices });
            }
        }
    }

    /// Runs one order, which begins with the given choices and then takes the first one each time. Returns
    /// all choices, and whether it counts: an order that comes to the same as another one is left out. `now`
    /// is what the table holds.
    async fn run(&self, orders: Orders, begin: &[Choice], now: &mut Vec<Item>) -> (Vec<Made>, bool) {
        self.restore(now, &self.before).await;
        let start = |acts| Running::start(&self.tables, acts, orders);
        let [first, second] = &self.scenario.writers;
        let mut writers = [start(first).await, start(second).await];
        let (mut made, mut late): (Vec<Made>, Option<Late>) = (Vec::new(), None);
        loop {
            let pending = writers.each_ref().map(|writer| Some(writer.next.as_ref()?.only_reads));
            let choices = orders.choices(&made, pending);
            let Some(first) = choices.first() else { break };
            let choice = *begin.get(made.len()).unwrap_or(first);
            let only_reads = choice.steps().is_none_or(|writer| pending[writer] == Some(true));
            match choice {
                Choice::Step(writer) => writers[writer].waiting().pass().await,
                Choice::StepWithoutAnswer(writer) => {
                    writers[writer].waiting().pass_and_lose_the_answer().await;
                }
                Choice::StepThatIsLate(writer) => late = Some(writers[writer].waiting().be_late().await),
                Choice::Kill(writer) => writers[writer].kill(),
            }
            if let Some(writer) = choice.steps() {
                writers[writer].arrive().await;
            }
            made.push(Made { choice, only_reads, choices });
            // The states up to where this order leaves the one before were looked at then.
            if made.len() >= begin.len() && !only_reads {
                *now = self.items().await;
                self.check_seen(orders, &made, now).await;
            }
        }
        if writers.iter().any(|writer| writer.next.is_some()) {
            writers.iter_mut().for_each(Running::kill);
            *now = self.items().await;
            return (made, false);
        }
        let alone =
            self.tables.writer.clone().with_writes_per_transaction(orders.size.writes_per_transaction);
        for made in &made {
            let Choice::Kill(writer) = made.choice else { continue };
            for act in &self.scenario.writers[writer] {
                act(alone.clone()).await;
            }
            *now = self.items().await;
        }
        if let Some(late) = late {
            late.arrive().await;
            *now = self.items().await;
        }
        self.check_end(orders, &made, now).await;
        (made, true)
    }

    async fn check_seen(&self, orders: Orders, made: &[Made], now: &[Item]) {
        let told = self.told(orders, made);
        let found = self.find(&told, &stored(now)).await;
        let is_serial = self.serial[usize::from(orders.with_trouble)].seen.contains(&found.answers);
        assert!(is_serial, "{told} shows a reader {found:#?}");
    }

    async fn check_end(&self, orders: Orders, made: &[Made], now: &mut Vec<Item>) {
        let told = self.told(orders, made);
        let serial = &self.serial[usize::from(orders.with_trouble)];
        let left = stored(now);
        let found = self.find(&told, &left).await;
        assert!(serial.ended.contains(&found.answers), "{told} ends with {found:#?}");
        for fact in &self.scenario.facts {
            assert!(found.facts.contains(*fact), "{told} loses {fact}: {found:#?}");
        }
        let state = hash_of(&(orders.with_trouble, &left));
        if serial.stored.contains(&left) || self.swept.lock().unwrap().contains(&state) {
            return;
        }
        // Of an artifact, a killed writer or one that was overtaken may leave items that nobody lists.
        artifacts::reindexes()(self.tables.writer.clone()).await;
        *now = self.items().await;
        assert!(serial.stored.contains(&stored(now)), "{told} leaves {left:#?}");
        assert_eq!(self.ask().await, found.answers, "{told}: a reindex changes what is answered");
        self.swept.lock().unwrap().insert(state);
    }

    fn told(&self, orders: Orders, made: &[Made]) -> String {
        let choices: Vec<_> = made.iter().map(|made| (made.choice, made.only_reads)).collect();
        let writes = orders.size.writes_per_transaction;
        format!("{}, {writes} writes a transaction, {:?}: {choices:?}", self.scenario.name, orders.keys)
    }
}

/// The serial orders of acts, each given by its writer and its number. With trouble, a writer may also have
/// ended after any of its acts, and is sent again in the end; or it does one of them again.
fn serial_orders(lengths: [usize; 2], with_trouble: bool) -> BTreeSet<Vec<(usize, usize)>> {
    let acts = lengths.map(|length| (0..length).collect::<Vec<_>>());
    let mut orders = BTreeSet::new();
    let mut add = |writer: usize, own: &[usize], again: &[usize]| {
        let of = |writer: usize, acts: &[usize]| acts.iter().map(|act| (writer, *act)).collect::<Vec<_>>();
        for mut order in merged(&of(writer, own), &of(1 - writer, &acts[1 - writer])) {
            order.extend(of(writer, again));
            orders.insert(order);
        }
    };
    for (writer, own) in acts.iter().enumerate() {
        add(writer, own, &[]);
        for done in (0..=own.len()).filter(|_| with_trouble) {
            add(writer, &own[..done], own);
            add(writer, &[&own[..done], &own[done.saturating_sub(1)..]].concat(), &[]);
        }
    }
    orders
}

/// All ways to merge two lists, each of which stays in its order.
fn merged<T: Clone>(one: &[T], other: &[T]) -> Vec<Vec<T>> {
    if one.is_empty() || other.is_empty() {
        return vec![[one, other].concat()];
    }
    let behind = |first: &T, rests: Vec<Vec<T>>| {
        rests.into_iter().map(|rest| std::iter::once(first.clone()).chain(rest).collect()).collect::<Vec<_>>()
    };
    [behind(&one[0], merged(&one[1..], other)), behind(&other[0], merged(one, &other[1..]))].concat()
}

fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// An answer with a hash in place of each very long text.
fn shortened(answer: String) -> String {
    fn shorten(value: &mut Value) {
        match value {
            Value::String(text) if text.len() > 1000 => {
                *text = format!("{} bytes, hash {:x}", text.len(), hash_of(text));
            }
            Value::Array(values) => values.iter_mut().for_each(shorten),
            Value::Object(members) => members.values_mut().for_each(shorten),
            _ => {}
        }
    }
    if answer.len() < 20_000 {
        return answer;
    }
    let mut json = serde_json::from_str(&answer).unwrap();
    shorten(&mut json);
    json.to_string()
}

/// All artifacts, as an export finds them.
async fn all_artifacts(writer: &Writer) -> Vec<Value> {
    let stored: Vec<_> = writer.artifacts().try_collect().await.unwrap();
    let json = |document: String| serde_json::from_str(&shortened(document)).unwrap();
    stored.into_iter().map(|artifact| json(artifact.document.unpack().unwrap())).collect()
}

/// What is stored, but for the random texts by which writers know themselves. Together with `reindex` this is
/// all that is known here of how records are stored.
fn stored(items: &[Item]) -> Vec<String> {
    let attribute = |(name, value): (&String, &Value)| {
        let (kind, value) = value.as_object().unwrap().iter().next().unwrap();
        let value = value.as_str().unwrap();
        let value = match kind.as_str() {
            "S" => AttributeValue::S(value.to_owned()),
            "N" => AttributeValue::N(value.to_owned()),
            "B" => AttributeValue::B(Blob::new(base64_simd::STANDARD.decode_to_vec(value).unwrap())),
            _ => panic!("an attribute of type {kind}"),
        };
        (name.clone(), value)
    };
    let items = items.iter().map(|item| item.iter().map(attribute).collect()).collect();
    let short = |text: String| if text.len() > 10_000 { format!("{:x}", hash_of(&text)) } else { text };
    without_nonces(items).into_iter().map(short).collect()
}

/// Which orders of a scenario are run: those in which its writers need steps, or those in which they do not;
/// some, or many.
fn which_orders(size: Size, many: bool) -> Vec<Orders> {
    let orders = |with_trouble, turns, keys, one_in| Orders { size, with_trouble, turns, keys, one_in };
    match (size.in_steps, many) {
        (false, false) => {
            let one_in = usize::try_from(number_of("ORDERS_ONE_IN", 2)).unwrap();
            vec![
                orders(false, None, KeysPass::LastFirst, one_in),
                orders(true, Some(0), KeysPass::Together, 1),
            ]
        }
        (true, false) => vec![orders(true, Some(0), KeysPass::Together, 5)],
        (false, true) => {
            vec![orders(false, None, KeysPass::OneByOne, 1), orders(true, None, KeysPass::LastFirst, 1)]
        }
        (true, true) => vec![
            orders(false, Some(2), KeysPass::Together, 1),
            orders(false, Some(1), KeysPass::LastFirst, 1),
            orders(true, Some(0), KeysPass::Together, 1),
            orders(true, Some(1), KeysPass::Together, 4),
        ],
    }
}

/// Runs orders of scenarios, and prints how many there were.
async fn explore(scenarios: Vec<Scenario>, many: bool) {
    let mut all = Counts::default();
    for scenario in scenarios {
        all += explore_one(scenario, many).await;
    }
    println!("{all}");
}

async fn explore_one(scenario: Scenario, many: bool) -> Counts {
    let explorer = Explorer::new(&scenario).await;
    let most = usize::try_from(number_of("DYNAMODB_TRANSACTION_WRITES", 100)).unwrap();
    let mut all = Counts::default();
    for mut size in scenario.sizes.iter().copied() {
        if size.writes_per_transaction > most && scenario.sizes.iter().all(|size| !size.in_steps) {
            println!("{}: skipped, since it does not fit into {most} writes", scenario.name);
            continue;
        }
        if size.writes_per_transaction > most {
            size = Size { writes_per_transaction: most, in_steps: true };
        }
        let mut of_size = Counts::default();
        for orders in which_orders(size, many) {
            let counts = explorer.explore(orders).await;
            assert!(counts.untroubled > 0, "{}: {counts}", scenario.name);
            of_size += counts;
        }
        println!("{}, {} writes a transaction: {of_size}", scenario.name, size.writes_per_transaction);
        all += of_size;
    }
    all
}

#[tokio::test]
async fn writers_of_a_release_end_as_one_after_the_other() {
    explore(releases::scenarios(), false).await;
}

#[tokio::test]
async fn writers_of_an_artifact_end_as_one_after_the_other() {
    explore(artifacts::of_one_artifact(), false).await;
}

#[tokio::test]
async fn writers_of_an_image_end_as_one_after_the_other() {
    explore(artifacts::of_one_image(), false).await;
}

#[tokio::test]
async fn writers_of_an_environment_end_as_one_after_the_other() {
    explore(artifacts::of_one_environment(), false).await;
    explore(artifacts::of_an_environment_and_more(), false).await;
}

#[tokio::test]
async fn those_who_read_or_mend_an_artifact_beside_a_writer_find_it_whole() {
    explore(artifacts::beside_a_writer(), false).await;
}

/// A fault that is mended fails here. Its scenario then belongs to the others.
#[tokio::test]
async fn what_is_known_to_go_wrong_between_two_writers_goes_wrong() {
    for (scenario, what) in artifacts::known_faults() {
        let name = scenario.name;
        let fault = tokio::spawn(explore_one(scenario, false)).await.expect_err(name).into_panic();
        let told = fault.downcast::<String>().unwrap();
        assert!(told.contains(what), "{name}: {told}");
    }
}

/// These take an hour: `cargo test --test service writers -- --ignored --nocapture`.
mod many_more_orders {
    use super::{artifacts, explore, releases};

    #[tokio::test]
    #[ignore = "it takes long"]
    async fn of_a_release() {
        explore(releases::scenarios(), true).await;
    }

    #[tokio::test]
    #[ignore = "it takes long"]
    async fn of_an_artifact() {
        explore(artifacts::of_one_artifact(), true).await;
    }

    #[tokio::test]
    #[ignore = "it takes long"]
    async fn of_an_image() {
        explore(artifacts::of_one_image(), true).await;
    }

    #[tokio::test]
    #[ignore = "it takes long"]
    async fn of_an_environment() {
        explore(artifacts::of_one_environment(), true).await;
        explore(artifacts::of_an_environment_and_more(), true).await;
    }

    #[tokio::test]
    #[ignore = "it takes long"]
    async fn beside_a_writer() {
        explore(artifacts::beside_a_writer(), true).await;
    }

    #[tokio::test]
    #[ignore = "it takes long"]
    async fn of_larger_artifacts() {
        explore(artifacts::larger(), true).await;
    }
}
