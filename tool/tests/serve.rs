//! `serve`: both endpoints and DynamoDB are served on ports of a laptop.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use axum::body::Body;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::pages::is_canonical;
use crate::running::{run, run_with_input, tool};
use crate::support::{SAMPLES, Tables, release};

/// A running `serve`.
struct Serving {
    process: Child,
    /// Behind the first line.
    stdout: BufReader<ChildStdout>,
    address: String,
    dynamodb: String,
}

impl Serving {
    fn start(arguments: &[&str], listen: &str) -> Self {
        let serve = ["serve", "--listen", listen, "--dynamodb-listen", "127.0.0.1:0"];
        let mut serve = tool(&[], &[&serve, arguments].concat());
        let mut process = serve.stdout(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        stdout.read_line(&mut first).unwrap();
        let mut urls = first
            .split("http://")
            .skip(1)
            .map(|rest| rest.split([',', ' ']).next().unwrap().trim_end_matches('.').to_owned());
        let (address, dynamodb) = (urls.next().unwrap(), urls.next().unwrap());
        Self { process, stdout, address, dynamodb }
    }

    async fn get(&self, path: &str) -> (u16, String) {
        get(&self.address, path).await
    }

    /// What it prints between its first line and its last one, which is about importing.
    fn printed(mut self) -> String {
        let mut printed = String::new();
        while !printed.contains("import --help") {
            assert_ne!(self.stdout.read_line(&mut printed).unwrap(), 0, "{printed}");
        }
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        printed
    }

    fn interrupt(mut self) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        assert!(self.process.wait().unwrap().success(), "Ctrl-C ends it cleanly");
    }
}

async fn get(address: &str, path: &str) -> (u16, String) {
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.get(format!("http://{address}{path}").parse().unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    let body = axum::body::to_bytes(Body::new(answer.into_body()), usize::MAX).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// The environment in which the tool asks the DynamoDB of `serve`.
fn environment(dynamodb: &str) -> [(&'static str, String); 4] {
    [
        ("AWS_ENDPOINT_URL_DYNAMODB", format!("http://{dynamodb}")),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "local".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
    ]
}

/// A reference sample, without white space.
fn compact(pretty: &str) -> String {
    serde_json::from_str::<Value>(pretty).unwrap().to_string()
}

#[tokio::test]
async fn serve_answers_with_the_reference_samples() {
    let serving = Serving::start(&[], "127.0.0.1:0");
    let (status, body) = serving.get("/api/aslan/delivery/releases?projectName=nginx2").await;
    assert_eq!((status, body), (200, compact(include_str!("../../samples/reference-release.json"))));
    let image = "koderover.tencentcloudcr.com/koderover-demo/picket:20211214154446-70-main-pr-736";
    let (status, body) = serving.get(&format!("/api/directory/dc/artifact?image={image}")).await;
    assert_eq!((status, body), (200, compact(include_str!("../../samples/reference-artifact.json"))));
    let (status, body) = serving.get("/api/aslan/delivery/releases?taskId=invalidTaskId").await;
    let expected = compact(
        r#"{"code":400,"description":"strconv.Atoi: parsing \"invalidTaskId\": invalid syntax","extra":{},"message":"Bad Request","type":"error"}"#,
    );
    assert_eq!((status, body), (400, expected));
    assert_eq!(serving.get("/elsewhere").await.0, 404);
    let through = Tables::missing().through(&format!("http://{}", serving.dynamodb));
    let listed = through.client.list_tables().send().await.unwrap();
    assert_eq!(
        listed.table_names(),
        ["delivery-artifacts", "delivery-releases"],
        "it is a DynamoDB for other tools"
    );
    serving.interrupt();
}

#[tokio::test]
async fn what_serve_says_to_try_can_be_signed_as_it_stands_and_finds_something() {
    let serving = Serving::start(&[], "127.0.0.1:0");
    let printed = Serving::start(&[], "127.0.0.1:0").printed();
    let queries: Vec<_> =
        printed.lines().filter_map(|line| line.strip_suffix('\'')?.rsplit_once('/')).collect();
    assert!(queries.len() > 10, "{printed}");
    for (start, asked) in queries {
        let (endpoint, query) = asked.split_once('?').unwrap();
        assert!(is_canonical(query), "{query}");
        let path = start.split_once("/api/").unwrap().1;
        let (status, body) = serving.get(&format!("/api/{path}/{endpoint}?{query}")).await;
        assert!(status == 200 && body != "[]", "{query}: {status} {body}");
    }
    let empty = Serving::start(&["--empty"], "127.0.0.1:0").printed();
    assert!(!empty.contains("curl") && !empty.contains("diff"), "{empty}");
    serving.interrupt();
}

#[tokio::test]
async fn serve_takes_a_path_behind_a_base_path_and_answers_head_as_it_answers_get() {
    let serving = Serving::start(&[], "127.0.0.1:0");
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
    let ask = async |method: &str, path: &str, coding: &str| {
        let uri = format!("http://{}{path}", serving.address);
        let request =
            axum::http::Request::builder().method(method).uri(uri).header("accept-encoding", coding);
        let (head, body) = client.request(request.body(Body::empty()).unwrap()).await.unwrap().into_parts();
        let mut headers = head.headers;
        headers.remove("date");
        (head.status, headers, axum::body::to_bytes(Body::new(body), usize::MAX).await.unwrap())
    };
    for (path, status) in [
        ("/api/aslan/delivery/releases?projectName=nginx2", 200),
        ("/delivery/api/aslan/delivery/releases//?projectName=nginx2", 200),
        ("/delivery/api/directory/dc/artifact/?commit=9d8b693", 200),
        ("/api/directory/dc/artifact", 400),
        ("/elsewhere", 404),
    ] {
        for coding in ["identity", "gzip"] {
            let (got_status, got_headers, got_body) = ask("GET", path, coding).await;
            let (head_status, head_headers, head_body) = ask("HEAD", path, coding).await;
            assert_eq!((got_status.as_u16(), head_status), (status, got_status), "{path}");
            assert_eq!(head_headers, got_headers, "{path}");
            assert_eq!(head_headers["content-length"], got_body.len().to_string(), "{path}");
            assert!(head_body.is_empty() && !got_body.is_empty(), "{path}");
        }
    }
    let (status, headers, _) = ask("POST", "/api/directory/dc/artifact", "identity").await;
    assert_eq!((status.as_u16(), headers["allow"].to_str().unwrap()), (405, "GET, HEAD"));
    serving.interrupt();
}

#[tokio::test]
async fn serve_answers_under_its_own_address_alone() {
    let serving = Serving::start(&["--empty"], "127.0.0.1:0");
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
    for path in ["/", "/openapi.yaml", "/api/aslan/delivery/releases"] {
        let port = serving.address.rsplit(':').next().unwrap();
        for (host, status) in [(format!("localhost:{port}"), 200), (format!("evil.example:{port}"), 403)] {
            let request = axum::http::Request::get(format!("http://{}{path}", serving.address));
            let request = request.header("host", &host).body(Body::empty()).unwrap();
            assert_eq!(client.request(request).await.unwrap().status(), status, "{path} at {host}");
        }
    }
    serving.interrupt();
}

/// Waits until somebody listens on a port, as a script would.
async fn wait_for(address: &str) {
    for _ in 0..3000 {
        if tokio::net::TcpStream::connect(address).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody listens on {address}");
}

#[tokio::test]
async fn whoever_waits_for_a_port_of_serve_finds_everything_behind_it() {
    let free = || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let (http, dynamodb) = (free(), free());
    let serve = tool(&[], &["serve", "--listen", &http, "--dynamodb-listen", &dynamodb]);
    let _serving =
        tokio::process::Command::from(serve).stdout(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    wait_for(&dynamodb).await;
    let tables = Tables::missing().through(&format!("http://{dynamodb}"));
    let listed = tables.client.list_tables().send().await.unwrap();
    assert_eq!(listed.table_names(), ["delivery-artifacts", "delivery-releases"]);
    let import = tool(&environment(&dynamodb), &["import", "-"]);
    let imported = run_with_input(import, &format!("{SAMPLES}{}", release("new", 1))).await;
    assert!(imported.out.starts_with("read 39, stored 1, unchanged 37, deleted 1"), "{imported:?}");
    wait_for(&http).await;
    let (status, body) = get(&http, "/api/aslan/delivery/releases?projectName=nginx2").await;
    assert_eq!((status, body), (200, compact(include_str!("../../samples/reference-release.json"))));
}

#[tokio::test]
async fn serve_keeps_its_data_in_a_file_and_loads_no_samples_over_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("data.sqlite");
    let file = file.to_str().unwrap();
    let serving = Serving::start(&["--data", file, "--empty"], "127.0.0.1:0");
    assert_eq!(serving.get("/api/aslan/delivery/releases").await, (200, "[]".to_owned()));
    let import = tool(&environment(&serving.dynamodb), &["import", "-"]);
    assert_eq!(run_with_input(import, &release("kept", 1).to_string()).await.status, Some(0));
    serving.interrupt();
    let serving = Serving::start(&["--data", file], "127.0.0.1:0");
    let (_, body) = serving.get("/api/aslan/delivery/releases?verbosity=brief").await;
    assert!(body.contains("\"kept\"") && !body.contains("nginx2"), "{body}");
    serving.interrupt();
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_says_which() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for option in ["--listen", "--dynamodb-listen"] {
        let other = if option == "--listen" { "--dynamodb-listen" } else { "--listen" };
        let ran = run(tool(&[], &["serve", option, &address, other, "127.0.0.1:0"])).await;
        assert_eq!(ran.status, Some(1));
        let stderr = ran.err;
        assert!(stderr.contains(&address) && stderr.contains(option), "{stderr}");
        assert!(!stderr.contains(other) && !stderr.contains("--data"), "{stderr}");
        assert_eq!(stderr.matches("os error").count(), 1, "the cause is said once: {stderr}");
        assert!(stderr.find("cannot listen") < stderr.find("choose"), "{stderr}");
    }
}

#[tokio::test]
async fn a_data_file_of_another_kind_is_an_error_that_says_so() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all("what somebody wrote\n".repeat(500).as_bytes()).unwrap();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--dynamodb-listen", "127.0.0.1:0", "--data"];
    let ran = run(tool(&[], &[&serve, &[file.path().to_str().unwrap()][..]].concat())).await;
    assert_eq!(ran.status, Some(1));
    let stderr = ran.err;
    assert!(stderr.contains("is not a SQLite database of this tool"), "{stderr}");
    assert!(stderr.contains("--data") && !stderr.contains("listen"), "{stderr}");
}

/// In a namespace of its own, a process may mount a small file system. Where it may not, there is no disk to
/// fill, and the test says that it is skipped.
#[tokio::test]
async fn a_full_disk_is_called_a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let mounted = |kilobytes: u32, then: &str| {
        let mut command = std::process::Command::new("unshare");
        let mount = format!("mount -t tmpfs -o size={kilobytes}k tmpfs \"$1\" && {then}");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &mount, "sh"]);
        command.arg(folder.path()).arg(env!("CARGO_BIN_EXE_delivery-center"));
        command
    };
    if !mounted(16, "true").output().is_ok_and(|ran| ran.status.success()) {
        println!("skipped: no file system can be mounted here");
        return;
    }
    let serve = "exec \"$2\" serve --listen 127.0.0.1:0 --dynamodb-listen 127.0.0.1:0 --data \"$1/data\"";
    // Nothing can be written; not the beginning of a database; not all of it; not the samples.
    let filled = format!("{{ head -c 16384 /dev/zero > \"$1/other\"; {serve}; }}");
    for (kilobytes, then) in [(16, filled.as_str()), (16, serve), (64, serve), (200, serve)] {
        let ran = run(mounted(kilobytes, then)).await;
        assert_eq!(ran.status, Some(1), "{kilobytes} kB: {ran:?}");
        assert!(ran.err.contains("there is no room left on the disk of the data file"), "{ran:?}");
        assert!(!ran.err.contains("SQLite database of this tool"), "{kilobytes} kB: {ran:?}");
    }
}

#[tokio::test]
async fn another_programs_sqlite_database_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.sqlite");
    let database = rusqlite::Connection::open(&file).unwrap();
    database.execute_batch("CREATE TABLE notes (note TEXT); INSERT INTO notes VALUES ('mine');").unwrap();
    drop(database);
    let before = std::fs::read(&file).unwrap();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--dynamodb-listen", "127.0.0.1:0", "--data"];
    let ran = run(tool(&[], &[&serve, &[file.to_str().unwrap()][..]].concat())).await;
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert!(ran.err.contains("is not a SQLite database of this tool"), "{}", ran.err);
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

#[tokio::test]
async fn an_endpoint_that_is_not_a_dynamodb_is_reported_as_such() {
    let serving = Serving::start(&["--empty"], "127.0.0.1:0");
    let import = tool(&environment(&serving.address), &["import", "-"]);
    let ran = run_with_input(import, SAMPLES).await;
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert!(ran.err.contains("the endpoint is not a DynamoDB") && !ran.err.contains(": :"), "{}", ran.err);
    serving.interrupt();
}

#[tokio::test]
async fn serve_listens_on_a_named_host() {
    let serving = Serving::start(&["--empty"], "localhost:0");
    assert!(serving.address.starts_with("127.0.0.1:"), "{}", serving.address);
    assert_eq!(serving.get("/api/aslan/delivery/releases").await, (200, "[]".to_owned()));
    serving.interrupt();
    assert_eq!(run(tool(&[], &["serve", "--listen", "3000"])).await.status, Some(2));
}
