//! The real tool imports from a running Zadig. It is a fake one, which pages, fails, stalls, and asks for a
//! token.

use std::collections::HashMap;
use std::fs;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::{Value, json};

use crate::running::{Ran, run, run_on, tool};
use crate::support::Tables;
use crate::zadig_collections::{REFERENCE_ARTIFACT, REFERENCE_RELEASE, made_id, reference, write_bson};

const TOKEN: &str = "eyJ-the-token";

/// The records of the fake Zadig, and how it misbehaves.
pub(crate) struct Zadig {
    releases: Mutex<Vec<Value>>,
    artifacts: Vec<Value>,
    /// The most records that it gives at once, whatever is asked for.
    most: usize,
    /// Whether it answers as Zadig 4: its list leaves out the services of a release, which is whole by its
    /// id.
    is_zadig_4: bool,
    /// The releases that are in its list only.
    pub(crate) gone: Mutex<Vec<String>>,
    /// One request in so many fails, and every second one of those stalls first.
    fails_each: u64,
    /// From this request on, every request fails.
    breaks_at: AtomicU64,
    requests: AtomicU64,
    running: AtomicUsize,
    pub(crate) most_running: AtomicUsize,
}

impl Zadig {
    pub(crate) fn new(releases: Vec<Value>, artifacts: Vec<Value>) -> Self {
        Self {
            is_zadig_4: false,
            gone: Mutex::default(),
            releases: Mutex::new(releases),
            artifacts,
            most: usize::MAX,
            fails_each: u64::MAX,
            breaks_at: AtomicU64::new(u64::MAX),
            requests: AtomicU64::default(),
            running: AtomicUsize::default(),
            most_running: AtomicUsize::default(),
        }
    }

    pub(crate) fn of_4(releases: Vec<Value>) -> Self {
        Self { is_zadig_4: true, ..Self::new(releases, Vec::new()) }
    }

    async fn answer(&self, list: &str, query: &HashMap<String, String>, headers: &HeaderMap) -> Response {
        if headers.get("Authorization").is_none_or(|given| given != &format!("Bearer {TOKEN}")) {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        let request = self.requests.fetch_add(1, Ordering::SeqCst) + 1;
        if request >= self.breaks_at.load(Ordering::SeqCst) {
            return StatusCode::NOT_FOUND.into_response();
        }
        if request.is_multiple_of(self.fails_each) {
            if request.is_multiple_of(2 * self.fails_each) {
                tokio::time::sleep(Duration::from_secs(30)).await;
            }
            return (StatusCode::INTERNAL_SERVER_ERROR, "{\"message\":\"database\"}").into_response();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        if let Some(id) = list.strip_prefix("releases/") {
            return self.whole(id, query);
        }
        let number = |name: &str| query[name].parse::<usize>().unwrap();
        let (page, size) = (number("page"), number("per_page").min(self.most));
        let releases = self.releases.lock().unwrap().clone();
        let all = if list == "releases" { &releases } else { &self.artifacts };
        let mut records: Vec<_> = all.iter().skip((page - 1) * size).take(size).cloned().collect();
        if self.is_zadig_4 && list == "releases" {
            assert_eq!(query["projectName"], "");
            for release in &mut records {
                release["services"] = Value::Null;
            }
        }
        // Go writes an empty list as null.
        let body = if records.is_empty() { "null".to_owned() } else { json!(records).to_string() };
        if list == "artifacts" || self.is_zadig_4 {
            return ([("X-Total", all.len().to_string())], body).into_response();
        }
        body.into_response()
    }

    /// A release of Zadig 4. It is found in its own project only.
    fn whole(&self, id: &str, query: &HashMap<String, String>) -> Response {
        let releases = self.releases.lock().unwrap();
        let is_gone = self.gone.lock().unwrap().iter().any(|gone| gone == id);
        match releases.iter().find(|release| !is_gone && release["id"] == id) {
            Some(release) if release["project_name"] == query["projectName"] => {
                release.to_string().into_response()
            }
            _ => {
                (StatusCode::NOT_FOUND, json!({ "code": 404, "description": "no such version" }).to_string())
                    .into_response()
            }
        }
    }
}

pub(crate) async fn serve(zadig: Zadig) -> (Arc<Zadig>, String) {
    async fn answer(
        State(zadig): State<Arc<Zadig>>,
        Path(list): Path<String>,
        Query(query): Query<HashMap<String, String>>,
        headers: HeaderMap,
    ) -> Response {
        let running = zadig.running.fetch_add(1, Ordering::SeqCst) + 1;
        zadig.most_running.fetch_max(running, Ordering::SeqCst);
        let answered = zadig.answer(&list, &query, &headers).await;
        zadig.running.fetch_sub(1, Ordering::SeqCst);
        answered
    }
    let zadig = Arc::new(zadig);
    let router =
        Router::new().route("/api/aslan/delivery/{*path}", get(answer)).with_state(Arc::clone(&zadig));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (zadig, url)
}

fn release(number: u64) -> Value {
    // As the API answers: empty lists are missing, and services stand with their containers.
    json!({
        "versionInfo": { "id": made_id(1, number).to_hex(), "version": number.to_string(), "created_at": number },
        "deployInfo": [{ "serviceName": "cart/main", "containerName": "main" }],
    })
}

fn artifact(number: u64) -> Value {
    json!({
        "id": made_id(6, number).to_hex(), "name": "cart", "image": format!("registry/cart:{number}"),
        "created_time": number, "activities": [{ "type": "build", "created_time": number }],
    })
}

pub(crate) async fn import(tables: &Tables, url: &str, more: &[&str]) -> Ran {
    read_server("import", tables, url, &[&["--per-page", "10"], more].concat()).await
}

/// Runs `import` or `verify` on a Zadig.
pub(crate) async fn read_server(command: &str, tables: &Tables, url: &str, more: &[&str]) -> Ran {
    let mut import = tool(&tables.environment(), &[command, "--zadig", url]);
    import.args(more).env("ZADIG_TOKEN", TOKEN);
    let ran = run(import).await;
    assert!(!ran.out.contains(TOKEN) && !ran.err.contains(TOKEN), "{ran:?}");
    ran
}

/// How many releases and artifacts the tables hold.
async fn held(tables: &Tables) -> [usize; 2] {
    let [releases, artifacts] = tables.dump_both().await;
    [(releases, r#"("entry", S("release"))"#), (artifacts, r#"("entry", S("artifact#"#)]
        .map(|(items, mark)| items.iter().filter(|item| item.contains(mark)).count())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zadig_that_fails_and_stalls_is_read_completely() {
    let tables = Tables::empty().await;
    let zadig = Zadig::new((0..253).rev().map(release).collect(), (0..131).rev().map(artifact).collect());
    let (zadig, url) = serve(Zadig { fails_each: 6, ..zadig }).await;
    let ran = import(&tables, &url, &["--timeout", "1", "--requests", "3"]).await;
    assert_eq!(ran.status, Some(0), "{ran:?}");
    assert_eq!(held(&tables).await, [253, 131]);
    // A request that the tool gave up on may still be running here.
    assert!((2..=3 + 6).contains(&zadig.most_running.load(Ordering::SeqCst)));
    let verify = async || read_server("verify", &tables, &url, &["--timeout", "1"]).await;
    assert_eq!(verify().await.status, Some(0));
    zadig.releases.lock().unwrap().push(release(900));
    let ran = verify().await;
    assert_eq!(ran.status, Some(1));
    assert!(ran.err.contains(&made_id(1, 900).to_hex()), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zadig_that_gives_fewer_records_than_asked_for_is_read_completely() {
    for most in [1, 7, 10] {
        let tables = Tables::empty().await;
        let zadig = Zadig::new((0..30).map(release).collect(), (0..20).map(artifact).collect());
        let (_, url) = serve(Zadig { most, ..zadig }).await;
        assert_eq!(import(&tables, &url, &[]).await.status, Some(0));
        assert_eq!(held(&tables).await, [30, 20], "{most}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_was_interrupted_is_completed_by_another_one() {
    let tables = Tables::empty().await;
    let zadig = Zadig::new((0..200).rev().map(release).collect(), (0..40).map(artifact).collect());
    let (zadig, url) = serve(zadig).await;
    zadig.breaks_at.store(13, Ordering::SeqCst);
    let ran = import(&tables, &url, &["--requests", "1"]).await;
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert_eq!(held(&tables).await, [100, 0], "records are stored in batches of 50");
    // Meanwhile new releases come.
    zadig.releases.lock().unwrap().splice(0..0, (200..215).rev().map(release));
    zadig.breaks_at.store(u64::MAX, Ordering::SeqCst);
    let ran = import(&tables, &url, &["--requests", "1"]).await;
    assert_eq!(ran.status, Some(0), "{ran:?}");
    assert_eq!(held(&tables).await, [215, 40]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reference_samples_are_imported_as_from_a_dump() {
    let (from_dump, from_server) = (Tables::empty().await, Tables::empty().await);
    let directory = tempfile::tempdir().unwrap();
    write_bson(directory.path(), &reference());
    let dump = directory.path().to_str().unwrap();
    let ran = run_on(&from_dump, &["import", dump]).await;
    assert_eq!(ran.status, Some(0), "{ran:?}");
    let releases: Vec<Value> = serde_json::from_str(REFERENCE_RELEASE).unwrap();
    let artifact: Value = serde_json::from_str(REFERENCE_ARTIFACT).unwrap();
    let (_, url) = serve(Zadig::new(releases, vec![artifact])).await;
    assert_eq!(import(&from_server, &url, &[]).await.status, Some(0));
    assert_eq!(from_server.dump_both().await, from_dump.dump_both().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_needed_and_never_shown() {
    let (tables, directory) = (Tables::empty().await, tempfile::tempdir().unwrap());
    let (_, url) = serve(Zadig::new(vec![release(1)], Vec::new())).await;
    let without = run_on(&tables, &["import", "--zadig", &url]).await;
    assert!(without.status == Some(1) && without.err.contains("ZADIG_TOKEN"), "{without:?}");
    let file = directory.path().join("token");
    fs::write(&file, "another-secret\n").unwrap();
    let with_file = ["import", "--zadig", &url, "--token-file", file.to_str().unwrap()];
    let wrong = run_on(&tables, &with_file).await;
    assert_eq!(wrong.status, Some(1));
    assert!(wrong.err.contains("401") && !wrong.err.contains("another-secret"), "{}", wrong.err);
    fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let mut right = tool(&tables.environment(), &with_file);
    right.env("RUST_LOG", "trace");
    let ran = run(right).await;
    assert!(ran.status == Some(0) && !ran.err.contains(TOKEN), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zadig_that_cannot_be_reached_is_told_by_the_exit_status() {
    let tables = Tables::empty().await;
    let (_, url) = serve(Zadig { fails_each: 1, ..Zadig::new(Vec::new(), Vec::new()) }).await;
    let ran = import(&tables, &url, &["--timeout", "1"]).await;
    assert_eq!(ran.status, Some(4), "{ran:?}");
    assert!(!ran.err.contains("check the URL"), "{ran:?}");
    let ran = import(&tables, "http://127.0.0.1:9", &["--timeout", "1"]).await;
    assert_eq!(ran.status, Some(4), "{ran:?}");
    assert!(ran.err.contains("Connection refused") && ran.err.contains("check the URL"), "{ran:?}");
}

/// A server that answers every request alike.
async fn answering(status: u16, body: &'static str) -> String {
    let answer = get(async move || (StatusCode::from_u16(status).unwrap(), body));
    let router = Router::new().route("/{*path}", answer);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_zadig_says_of_an_error_is_passed_on_without_the_token() {
    let tables = Tables::empty().await;
    for (status, body, exit_status, said) in [
        (
            400,
            r#"{"code":6000,"description":"license required","message":"m"}"#,
            1,
            "answered 400: license required",
        ),
        (
            400,
            r#"{"code":6000,"description":"","message":"version not found"}"#,
            1,
            "answered 400: version not found",
        ),
        (
            403,
            r#"{"description":"forbidden to eyJ-the-token\u001b[31m"}"#,
            1,
            "answered 403: forbidden to (the token) [31m",
        ),
        (500, r#"{"message":"the database is away"}"#, 4, "it answered 500: the database is away"),
        // An object is no list, whatever its status.
        (200, r#"{"code":6000,"description":"license required"}"#, 1, "answered 200: license required"),
        (200, r#"{"list":[],"total":0}"#, 1, "answered 200, which is not what was asked for"),
        (400, "<html>", 1, "answered 400\n"),
        (400, r#"{"description":7}"#, 1, "answered 400\n"),
    ] {
        let url = answering(status, body).await;
        for command in ["import", "verify"] {
            let ran = read_server(command, &tables, &url, &["--timeout", "1"]).await;
            assert_eq!(ran.status, Some(exit_status), "{body}: {ran:?}");
            assert!(ran.err.contains(said), "{body}: {}", ran.err);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_other_things_is_named_and_read_once() {
    let tables = Tables::empty().await;
    // It ignores the page, too.
    for (body, refused) in [
        (r#"[{"version_name":"1","id":"6"}]"#, "releases page 1, element 0: $: expected a release"),
        (r#"[{"id":"6","image":"i"}]"#, "releases page 1, element 0: $: expected a release"),
        (r#"[{"versionInfo":{"id":"6"}}]"#, "artifacts page 1, element 0: $: expected an artifact"),
        (r#"[{"id":"6","type":"image"}]"#, "artifacts page 1, element 0: $: it has no image"),
        ("[7]", "releases page 1, element 0: $: expected an object"),
    ] {
        let ran = import(&tables, &answering(200, body).await, &[]).await;
        assert_eq!(ran.status, Some(1), "{body}: {ran:?}");
        assert_eq!(ran.err.matches(refused).count(), 1, "{body}: {}", ran.err);
    }
}
