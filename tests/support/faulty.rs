//! A small proxy in front of DynamoDB that counts requests, and throttles, fails, delays or holds them back.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// What the proxy does with a request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Passes it on.
    None,
    /// Answers as DynamoDB does when it throttles.
    Throttle,
    /// Answers 500, as DynamoDB does when it fails.
    InternalError,
    /// Answers with that error type.
    Refuse(&'static str),
    /// Waits, and then passes it on.
    Delay(Duration),
    /// Answers something that is not JSON.
    Garbage,
    /// Answers a success with that body.
    Answer(&'static str),
    /// Answers a success whose body is an empty object.
    Nothing,
    /// Passes it on, and answers with that error type instead of what DynamoDB answered.
    RefuseAfterwards(&'static str),
    /// Cancels a transaction for that reason, as DynamoDB does; passes everything else on.
    Cancel(&'static str),
    /// Answers a success whose body ends in the middle of an item that holds that text.
    CutOff(&'static str),
    /// Passes on at most so many of the keys of a BatchGetItem, or of the writes of a BatchWriteItem; the
    /// rest stays unprocessed.
    ProcessAtMost(usize),
    /// Reverses the items of a BatchGetItem's answer: the real one answers in any order.
    Reverse,
    /// Answers as the operation's first request was answered, like an index that lags behind its table.
    AsAtFirst,
    /// Passes it on, asks what it consumes, and adds that up.
    Meter,
}

/// Chooses the fault for the nth request of an operation.
type Plan = Box<dyn Fn(&str, u64) -> Fault + Send + Sync>;

/// How the keys of one BatchGetItem pass the gate. DynamoDB reads each of them at a moment of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeysPass {
    Together,
    /// Each in a request of its own, in the order in which they are asked for.
    OneByOne,
    /// Each in a request of its own, the last one first.
    LastFirst,
}

/// A request that waits at the gate. If it is dropped, the request waits for ever.
pub struct Waiting {
    pub only_reads: bool,
    go: oneshot::Sender<AnswerIs>,
    passed: oneshot::Receiver<()>,
}

enum AnswerIs {
    Given,
    Lost,
    /// Nobody waits for it: the request comes to DynamoDB later, when it is told to.
    Late(oneshot::Receiver<oneshot::Sender<()>>),
}

/// A request on its way, whose sender has given up on it.
pub struct Late(oneshot::Sender<oneshot::Sender<()>>);

impl Late {
    /// Lets the request come to DynamoDB, and returns when that has answered it.
    pub async fn arrive(self) {
        let (has_arrived, arrived) = oneshot::channel();
        assert!(self.0.send(has_arrived).is_ok(), "the request waits");
        arrived.await.unwrap();
    }
}

impl Waiting {
    /// Lets the request pass, and returns when DynamoDB has answered it.
    pub async fn pass(self) {
        self.go(AnswerIs::Given).await;
    }

    /// Does the same, but whoever sent the request reads an internal error instead of the answer.
    pub async fn pass_and_lose_the_answer(self) {
        self.go(AnswerIs::Lost).await;
    }

    /// Whoever sent the request reads an internal error, and the request is still on its way.
    pub async fn be_late(self) -> Late {
        let (arrive, may_arrive) = oneshot::channel();
        self.go(AnswerIs::Late(may_arrive)).await;
        Late(arrive)
    }

    async fn go(self, answer: AnswerIs) {
        assert!(self.go.send(answer).is_ok(), "the request waits");
        self.passed.await.unwrap();
    }
}

/// A running proxy.
pub struct FaultyProxy {
    pub endpoint_url: String,
    state: Arc<Proxy>,
    serving: JoinHandle<()>,
}

struct Gate {
    waiting: mpsc::UnboundedSender<Waiting>,
    keys: KeysPass,
}

struct Proxy {
    target: String,
    plan: Plan,
    gate: Option<Gate>,
    counts: Mutex<HashMap<String, u64>>,
    bytes: AtomicU64,
    /// What metered requests consumed, by operation.
    units: Mutex<HashMap<String, f64>>,
    /// By operation.
    first_answers: Mutex<HashMap<String, String>>,
    http: Client<HttpConnector, Body>,
}

impl FaultyProxy {
    pub async fn start(target: &str, plan: impl Fn(&str, u64) -> Fault + Send + Sync + 'static) -> Self {
        Self::start_with_gate(target, plan, None).await
    }

    /// A proxy at whose gate every request waits until the test lets it pass.
    pub async fn gated(target: &str, keys: KeysPass) -> (Self, mpsc::UnboundedReceiver<Waiting>) {
        let (waiting, at_the_gate) = mpsc::unbounded_channel();
        (Self::start_with_gate(target, |_, _| Fault::None, Some(Gate { waiting, keys })).await, at_the_gate)
    }

    async fn start_with_gate(
        target: &str,
        plan: impl Fn(&str, u64) -> Fault + Send + Sync + 'static,
        gate: Option<Gate>,
    ) -> Self {
        let state = Arc::new(Proxy {
            target: target.to_owned(),
            plan: Box::new(plan),
            gate,
            counts: Mutex::default(),
            bytes: AtomicU64::new(0),
            units: Mutex::default(),
            first_answers: Mutex::default(),
            http: Client::builder(TokioExecutor::new()).build_http(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint_url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(pass).with_state(Arc::clone(&state));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { endpoint_url, state, serving }
    }

    /// How often an operation was asked for.
    pub fn count(&self, operation: &str) -> u64 {
        self.state.counts.lock().unwrap().get(operation).copied().unwrap_or_default()
    }

    /// All requests so far.
    pub fn total(&self) -> u64 {
        self.state.counts.lock().unwrap().values().sum()
    }

    /// The capacity units that metered requests have consumed, by operation.
    pub fn units(&self) -> HashMap<String, f64> {
        self.state.units.lock().unwrap().clone()
    }

    /// All bytes answered so far.
    pub fn bytes(&self) -> u64 {
        self.state.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for FaultyProxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn pass(State(proxy): State<Arc<Proxy>>, headers: HeaderMap, body: Bytes) -> Response {
    let operation = headers["x-amz-target"].to_str().unwrap().rsplit('.').next().unwrap().to_owned();
    let number = {
        let mut counts = proxy.counts.lock().unwrap();
        let count = counts.entry(operation.clone()).or_default();
        *count += 1;
        *count
    };
    if let Some(gate) = &proxy.gate {
        return pass_gate(&proxy, gate, &operation, &headers, body).await;
    }
    match (proxy.plan)(&operation, number) {
        Fault::None => forward(&proxy, &headers, body, |_| ()).await,
        Fault::Throttle => error(StatusCode::BAD_REQUEST, "ProvisionedThroughputExceededException"),
        Fault::InternalError => error(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError"),
        Fault::Refuse(kind) => error(StatusCode::BAD_REQUEST, kind),
        Fault::RefuseAfterwards(kind) => {
            forward(&proxy, &headers, body, |_| ()).await;
            error(StatusCode::BAD_REQUEST, kind)
        }
        Fault::Delay(time) => {
            tokio::time::sleep(time).await;
            forward(&proxy, &headers, body, |_| ()).await
        }
        Fault::Garbage => "<html>502 somewhere in between</html>".into_response(),
        Fault::AsAtFirst => {
            let answer = proxy.first_answers.lock().unwrap()[&operation].clone();
            ([("content-type", "application/x-amz-json-1.0")], answer).into_response()
        }
        Fault::Answer(body) => body.into_response(),
        Fault::Nothing => "{}".into_response(),
        Fault::Cancel(reason) if operation == "TransactWriteItems" => cancelled(reason),
        Fault::Cancel(_) => forward(&proxy, &headers, body, |_| ()).await,
        Fault::CutOff(text) => cut_off(&operation, text),
        Fault::ProcessAtMost(count) => process_at_most(&proxy, &headers, &body, count).await,
        Fault::Meter => {
            let mut request: Value = serde_json::from_slice(&body).unwrap();
            request["ReturnConsumedCapacity"] = "TOTAL".into();
            forward(&proxy, &headers, request.to_string().into(), |answer| {
                let consumed = &answer["ConsumedCapacity"];
                let of_tables = consumed.as_array().map_or(std::slice::from_ref(consumed), Vec::as_slice);
                let units: f64 = of_tables.iter().filter_map(|table| table["CapacityUnits"].as_f64()).sum();
                *proxy.units.lock().unwrap().entry(operation).or_default() += units;
            })
            .await
        }
        Fault::Reverse => {
            forward(&proxy, &headers, body, |answer| {
                for items in
                    answer["Responses"].as_object_mut().into_iter().flat_map(|tables| tables.values_mut())
                {
                    items.as_array_mut().unwrap().reverse();
                }
            })
            .await
        }
    }
}

/// Passes a request on when the test lets it. A BatchGetItem may become several requests, whose answers are
/// put together.
async fn pass_gate(
    proxy: &Arc<Proxy>,
    gate: &Gate,
    operation: &str,
    headers: &HeaderMap,
    body: Bytes,
) -> Response {
    let only_reads = matches!(operation, "BatchGetItem" | "GetItem" | "Query" | "Scan");
    let is_split = operation == "BatchGetItem" && gate.keys != KeysPass::Together;
    let requests = if is_split { one_key_each(&body, gate.keys) } else { vec![body] };
    let mut whole: Option<Value> = None;
    for request in requests {
        let ((go, may_go), (has_passed, passed)) = (oneshot::channel(), oneshot::channel());
        gate.waiting.send(Waiting { only_reads, go, passed }).unwrap();
        let Ok(answer_is) = may_go.await else { return std::future::pending().await };
        if let AnswerIs::Late(may_arrive) = answer_is {
            let _ = has_passed.send(());
            let (proxy, headers) = (Arc::clone(proxy), headers.clone());
            tokio::spawn(async move {
                let Ok(has_arrived) = may_arrive.await else { return };
                answer(&proxy, &headers, request).await;
                let _ = has_arrived.send(());
            });
            return error(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError");
        }
        let (status, answered) = answer(proxy, headers, request).await;
        // A test that has ended does not wait for this.
        let _ = has_passed.send(());
        if matches!(answer_is, AnswerIs::Lost) {
            return error(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError");
        }
        match &mut whole {
            Some(whole) if status.is_success() => add_batch(whole, &answered),
            None if status.is_success() => whole = Some(answered),
            _ => return respond(status, answered.to_string()),
        }
    }
    respond(StatusCode::OK, whole.unwrap_or_default().to_string())
}

/// The requests for each key of a BatchGetItem.
fn one_key_each(body: &Bytes, order: KeysPass) -> Vec<Bytes> {
    let request: Value = serde_json::from_slice(body).unwrap();
    let mut requests = Vec::new();
    for (table, batch) in request["RequestItems"].as_object().unwrap() {
        for key in batch["Keys"].as_array().unwrap() {
            let mut request = request.clone();
            let mut batch = batch.clone();
            batch["Keys"] = json!([key]);
            request["RequestItems"] = json!({ table: batch });
            requests.push(request.to_string().into());
        }
    }
    if order == KeysPass::LastFirst {
        requests.reverse();
    }
    requests
}

/// Adds the items of a BatchGetItem's answer, and what they cost, to those of another one.
fn add_batch(whole: &mut Value, answer: &Value) {
    let add = |all: &mut Value, more: &Value| {
        all.as_array_mut().unwrap().extend(more.as_array().unwrap().iter().cloned());
    };
    for (table, items) in answer["Responses"].as_object().unwrap() {
        let tables = whole["Responses"].as_object_mut().unwrap();
        add(tables.entry(table).or_insert_with(|| json!([])), items);
    }
    add(&mut whole["ConsumedCapacity"], &answer["ConsumedCapacity"]);
}

async fn forward(
    proxy: &Proxy,
    headers: &HeaderMap,
    body: Bytes,
    change: impl FnOnce(&mut Value),
) -> Response {
    let (status, mut json) = answer(proxy, headers, body).await;
    change(&mut json);
    let text = json.to_string();
    let operation = headers["x-amz-target"].to_str().unwrap().rsplit('.').next().unwrap();
    proxy.first_answers.lock().unwrap().entry(operation.to_owned()).or_insert_with(|| text.clone());
    proxy.bytes.fetch_add(text.len() as u64, Ordering::Relaxed);
    respond(status, text)
}

/// DynamoDB's answer to a request.
async fn answer(proxy: &Proxy, headers: &HeaderMap, body: Bytes) -> (StatusCode, Value) {
    ask(&proxy.http, &proxy.target, headers, body).await
}

/// Sends a request on.
pub(super) async fn ask(
    http: &Client<HttpConnector, Body>,
    target: &str,
    headers: &HeaderMap,
    body: Bytes,
) -> (StatusCode, Value) {
    let mut request = Request::post(target);
    for name in ["x-amz-target", "x-amz-date", "authorization", "content-type"] {
        request = request.header(name, headers[name].clone());
    }
    let answer = http.request(request.body(Body::from(body)).unwrap()).await.unwrap();
    let status = answer.status();
    let answered = axum::body::to_bytes(Body::new(answer.into_body()), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&answered).unwrap())
}

fn respond(status: StatusCode, text: String) -> Response {
    Response::builder()
        .status(status)
        .header("content-type", "application/x-amz-json-1.0")
        .body(Body::from(text))
        .unwrap()
}

/// Shortens a batch, and adds what was cut off to the answer as unprocessed.
async fn process_at_most(proxy: &Proxy, headers: &HeaderMap, body: &Bytes, count: usize) -> Response {
    let mut request: Value = serde_json::from_slice(body).unwrap();
    let is_read = headers["x-amz-target"].to_str().unwrap().ends_with("BatchGetItem");
    let mut unprocessed = json!({});
    for (table, batch) in request["RequestItems"].as_object_mut().unwrap() {
        let entries = if is_read { &mut batch["Keys"] } else { &mut *batch };
        let entries = entries.as_array_mut().unwrap();
        let rest = entries.split_off(entries.len().min(count));
        if rest.is_empty() {
            continue;
        }
        unprocessed[table] = if is_read {
            let mut left = batch.clone();
            left["Keys"] = Value::Array(rest);
            left
        } else {
            Value::Array(rest)
        };
    }
    let name = if is_read { "UnprocessedKeys" } else { "UnprocessedItems" };
    if count == 0 {
        // DynamoDB refuses an empty batch, so the proxy answers it.
        let mut answer = json!({ "Responses": {} });
        answer[name] = unprocessed;
        return answer.to_string().into_response();
    }
    forward(proxy, headers, request.to_string().into(), |answer| answer[name] = unprocessed).await
}

fn cut_off(operation: &str, text: &str) -> Response {
    let opening = if operation == "BatchGetItem" { r#"{"Responses":{"table":["# } else { r#"{"Items":["# };
    let body = format!(r#"{opening}{{"document":{{"S":"{text}"}},"revision":{{"S":"#);
    Response::builder().header("content-type", "application/x-amz-json-1.0").body(Body::from(body)).unwrap()
}

/// DynamoDB's answer to a transaction whose second write conflicted with another one, or was throttled.
fn cancelled(reason: &str) -> Response {
    let body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons",
        "CancellationReasons": [{ "Code": "None" }, { "Code": reason, "Message": "made up" }],
    });
    Response::builder()
        .status(StatusCode::BAD_REQUEST)
        .header("content-type", "application/x-amz-json-1.0")
        .body(Body::from(body.to_string()))
        .unwrap()
}

fn error(status: StatusCode, kind: &str) -> Response {
    let body = json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{kind}"), "message": "made up" });
    Response::builder()
        .status(status)
        .header("content-type", "application/x-amz-json-1.0")
        .body(Body::from(body.to_string()))
        .unwrap()
}
