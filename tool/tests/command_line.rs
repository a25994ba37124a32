//! The tool as its users run it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use delivery_center::endpoint::Endpoint::{GetArtifact, ListReleases};
use delivery_center_tool::table_definitions::definitions;
use serde_json::Value;

use crate::support::{Answer, SAMPLES, Tables, get_event, release};

fn tool(environment: &[(&'static str, String)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_delivery-center"));
    command.env_clear().envs(environment.iter().map(|(name, value)| (*name, value.as_str())));
    command
}

async fn run(mut command: Command, input: &str) -> Output {
    let input = input.to_owned();
    // Elsewhere, since the embedded DynamoDB may be on this runtime's threads.
    tokio::task::spawn_blocking(move || {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A tool that refuses its arguments ends without reading.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    })
    .await
    .unwrap()
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn tables_are_created_once_and_others_of_their_name_are_refused() {
    let tables = Tables::missing();
    let create = || {
        let mut command = tool(&tables.environment());
        command.args(["tables", "create"]);
        command
    };
    let (releases, artifacts) = (&tables.names.releases, &tables.names.artifacts);
    let created = run(create(), "").await;
    assert!(created.status.success());
    assert_eq!(texts(&created).0, format!("created {releases}\ncreated {artifacts}\n"));
    let again = run(create(), "").await;
    assert!(again.status.success());
    assert_eq!(texts(&again).0, format!("{releases} is already there\n{artifacts} is already there\n"));
    assert_eq!(tables.import(SAMPLES).await.stored, 37);

    // The releases' table under the artifacts' name: other keys, another index.
    let other = Tables::missing();
    let other = other.through(&tables.endpoint_url);
    let swapped = delivery_center::store::TableNames {
        releases: other.names.artifacts.clone(),
        artifacts: other.names.releases.clone(),
    };
    for table in definitions(&swapped).unwrap() {
        table.create(&tables.client).await.unwrap();
    }
    let mut command = tool(&other.environment());
    command.args(["tables", "create"]);
    let refused = run(command, "").await;
    assert_eq!(refused.status.code(), Some(1));
    let (_, stderr) = texts(&refused);
    assert!(stderr.contains("another schema") && stderr.contains(&other.names.releases), "{stderr}");
}

#[tokio::test]
async fn import_reads_files_and_standard_input_and_says_what_it_did() {
    let tables = Tables::empty().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("releases.json");
    std::fs::write(&file, format!("[{},{}]", release("a", 1), release("b", 2))).unwrap();
    let import = |arguments: &[&str]| {
        let mut command = tool(&tables.environment());
        command.arg("import").args(arguments).arg(&file);
        command
    };
    let dry = run(import(&["--dry-run", "-"]), SAMPLES).await;
    assert!(dry.status.success());
    assert!(texts(&dry).0.contains("nothing was written"), "{:?}", texts(&dry));
    assert_eq!(tables.dump(&tables.names.releases).await.len(), 0);
    let stored = run(import(&["-"]), SAMPLES).await;
    assert!(stored.status.success());
    assert!(
        texts(&stored).0.starts_with("read 40, stored 39, unchanged 0, deleted 1, refused 0"),
        "{:?}",
        texts(&stored)
    );
    assert_eq!(texts(&stored).1, "");
    let bad = run(import(&["-"]), r#"{"versionInfo":{"id":7}}"#).await;
    assert_eq!(bad.status.code(), Some(1));
    let (stdout, stderr) = texts(&bad);
    assert!(stdout.starts_with("read 3, stored 0, unchanged 2, deleted 0, refused 1"), "{stdout}");
    assert_eq!(
        stderr,
        "refused standard input line 1: $.versionInfo.id: expected a non-empty string, found a number\n"
    );
}

#[test]
fn what_is_copied_from_a_pipe_has_no_name_and_does_not_outlive_the_tool() {
    // Not INT: shells start what runs in the background with that one ignored, and processes inherit it.
    for (source, signal) in [("-", "TERM"), ("-", "KILL"), ("/dev/stdin", "TERM")] {
        let folder = tempfile::tempdir().unwrap();
        let names = || std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut command = tool(&Tables::missing().environment());
        command.env("TMPDIR", folder.path()).args(["import", source]).stdin(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // More than a pipe holds: once it is written, the tool has begun to read.
        for _ in 0..100 {
            writeln!(stdin, "{}", release("a", 1)).unwrap();
            stdin.write_all(&b" ".repeat(100_000)).unwrap();
        }
        assert_eq!(names().collect::<Vec<_>>(), Vec::<std::path::PathBuf>::new(), "while {source} is read");
        let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        assert!(!child.wait().unwrap().success());
        assert_eq!(names().count(), 0, "after {signal}");
    }
}

#[tokio::test]
async fn what_keeps_an_import_from_working_is_said_with_its_exit_status() {
    let tables = Tables::missing();
    let missing_file = {
        let mut command = tool(&tables.environment());
        command.args(["import", "/no/such/file.json"]);
        run(command, "").await
    };
    assert_eq!(missing_file.status.code(), Some(1));
    assert!(texts(&missing_file).1.contains("/no/such/file.json"), "{:?}", texts(&missing_file));
    let import = |environment: Vec<(&'static str, String)>| {
        let mut command = tool(&environment);
        command.args(["import", "-"]);
        command
    };
    let missing_table = run(import(tables.environment()), SAMPLES).await;
    assert_eq!(missing_table.status.code(), Some(1));
    let (_, stderr) = texts(&missing_table);
    assert!(stderr.contains(&tables.names.releases) && stderr.contains("does not exist"), "{stderr}");
    assert!(!stderr.contains("run it again"), "that would not help: {stderr}");
    let nowhere = tables.through("http://127.0.0.1:9").environment();
    let unreachable = run(import(nowhere.clone()), SAMPLES).await;
    assert_eq!(unreachable.status.code(), Some(2), "{:?}", texts(&unreachable));
    assert!(texts(&unreachable).1.contains("run it again"), "{:?}", texts(&unreachable));
    let mut create = tool(&nowhere);
    create.args(["tables", "create"]);
    let uncreated = run(create, "").await;
    assert_eq!(uncreated.status.code(), Some(2), "{:?}", texts(&uncreated));
    let environment: Vec<_> =
        tables.environment().into_iter().filter(|(name, _)| *name != "AWS_REGION").collect();
    let no_region = run(import(environment), SAMPLES).await;
    assert_eq!(no_region.status.code(), Some(1));
    assert!(texts(&no_region).1.contains("AWS_REGION"), "{:?}", texts(&no_region));
    let mut without_files = tool(&[]);
    without_files.arg("import");
    assert_eq!(run(without_files, "").await.status.code(), Some(2));
}

#[tokio::test]
async fn invoke_answers_an_event_as_the_function_does() {
    let tables = Tables::with_samples().await;
    for (endpoint, case) in
        [(ListReleases, "by-project"), (GetArtifact, "by-tag"), (ListReleases, "invalid-task-id")]
    {
        let file = format!("{}/events/{}/{case}.json", env!("CARGO_MANIFEST_DIR"), endpoint.name());
        let event = std::fs::read_to_string(&file).unwrap();
        let expected = tables.invoke(endpoint, &serde_json::from_str::<Value>(&event).unwrap()).await;
        for (argument, input) in [(file.as_str(), ""), ("-", event.as_str())] {
            let mut command = tool(&tables.environment());
            command.args(["invoke", endpoint.name(), "--event", argument]);
            let output = run(command, input).await;
            assert!(output.status.success());
            assert_eq!(Answer::from_lambda_json(&texts(&output).0), expected);
        }
    }
}

#[tokio::test]
async fn invoke_has_the_functions_patience_with_an_unreachable_dynamodb() {
    let tables = Tables::missing().through("http://127.0.0.1:9");
    let event = get_event(ListReleases, "", &[]).to_string();
    let mut command = tool(&tables.environment());
    command.args(["invoke", "list-releases", "--event", "-"]);
    let started = Instant::now();
    let answer = Answer::from_lambda_json(&texts(&run(command, &event).await).0);
    assert_eq!(answer.status, 503);
    assert!(answer.description().contains("could not be reached"), "{}", answer.description());
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

/// A running `serve`.
struct Serving {
    process: std::process::Child,
    /// Kept open: what it prints is read by nobody after the first line.
    _stdout: BufReader<std::process::ChildStdout>,
    address: String,
    dynamodb: String,
}

impl Serving {
    fn start(arguments: &[&str], listen: &str) -> Self {
        let mut process = tool(&[])
            .args(["serve", "--listen", listen, "--dynamodb-listen", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        stdout.read_line(&mut first).unwrap();
        let mut urls = first
            .split("http://")
            .skip(1)
            .map(|rest| rest.split([',', ' ']).next().unwrap().trim_end_matches('.').to_owned());
        let (address, dynamodb) = (urls.next().unwrap(), urls.next().unwrap());
        Self { process, _stdout: stdout, address, dynamodb }
    }

    async fn get(&self, path: &str) -> (u16, String) {
        use hyper_util::client::legacy::Client;
        let client: Client<_, axum::body::Body> =
            Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
        let answer = client.get(format!("http://{}{path}", self.address).parse().unwrap()).await.unwrap();
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(axum::body::Body::new(answer.into_body()), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    fn interrupt(mut self) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        assert!(self.process.wait().unwrap().success(), "Ctrl-C ends it cleanly");
    }
}

/// The reference page's JSON, compact.
fn compact(pretty: &str) -> String {
    serde_json::from_str::<Value>(pretty).unwrap().to_string()
}

#[tokio::test]
async fn serve_answers_the_reference_pages_requests_with_its_answers() {
    let serving = Serving::start(&[], "127.0.0.1:0");
    let (status, body) = serving.get("/api/aslan/delivery/releases?projectName=nginx2").await;
    assert_eq!((status, body), (200, compact(include_str!("../samples/reference-release.json"))));
    let image = "koderover.tencentcloudcr.com/koderover-demo/picket:20211214154446-70-main-pr-736";
    let (status, body) = serving.get(&format!("/api/directory/dc/artifact?image={image}")).await;
    assert_eq!((status, body), (200, compact(include_str!("../samples/reference-artifact.json"))));
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
async fn serve_keeps_its_data_in_a_file_and_loads_no_samples_over_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("data.sqlite");
    let file = file.to_str().unwrap();
    let serving = Serving::start(&["--data", file, "--empty"], "127.0.0.1:0");
    assert_eq!(serving.get("/api/aslan/delivery/releases").await, (200, "[]".to_owned()));
    let environment = [
        ("AWS_ENDPOINT_URL_DYNAMODB", format!("http://{}", serving.dynamodb)),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "local".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
    ];
    let mut import = tool(&environment);
    import.args(["import", "-"]);
    assert!(run(import, &release("kept", 1).to_string()).await.status.success());
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
        let mut command = tool(&[]);
        command.args(["serve", option, &address, other, "127.0.0.1:0"]);
        let output = run(command, "").await;
        assert_eq!(output.status.code(), Some(1));
        let (_, stderr) = texts(&output);
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
    let mut command = tool(&[]);
    command.args(["serve", "--listen", "127.0.0.1:0", "--dynamodb-listen", "127.0.0.1:0", "--data"]);
    command.arg(file.path());
    let output = run(command, "").await;
    assert_eq!(output.status.code(), Some(1));
    let (_, stderr) = texts(&output);
    assert!(stderr.contains("is not a SQLite database of this tool"), "{stderr}");
    assert!(stderr.contains("--data") && !stderr.contains("listen"), "{stderr}");
}

#[tokio::test]
async fn serve_listens_on_a_named_host() {
    let serving = Serving::start(&["--empty"], "localhost:0");
    assert!(serving.address.starts_with("127.0.0.1:"), "{}", serving.address);
    assert_eq!(serving.get("/api/aslan/delivery/releases").await, (200, "[]".to_owned()));
    serving.interrupt();
    let mut command = tool(&[]);
    command.args(["serve", "--listen", "3000"]);
    assert_eq!(run(command, "").await.status.code(), Some(2));
}

#[tokio::test]
async fn help_and_version_are_there_for_every_command() {
    for arguments in [
        &["--help"][..],
        &["serve", "--help"],
        &["tables", "--help"],
        &["tables", "create", "--help"],
        &["import", "--help"],
        &["verify", "--help"],
        &["export", "--help"],
        &["reindex", "--help"],
        &["invoke", "--help"],
        &["record", "--help"],
        &["record", "build", "--help"],
        &["record", "deploy", "--help"],
        &["record", "test", "--help"],
        &["record", "publish", "--help"],
        &["record", "release", "--help"],
    ] {
        let mut command = tool(&[]);
        command.args(arguments);
        let output = run(command, "").await;
        assert!(output.status.success() && texts(&output).0.contains("Usage:"), "{arguments:?}");
    }
    let mut command = tool(&[]);
    command.arg("--version");
    assert_eq!(texts(&run(command, "").await).0, format!("delivery-center {}\n", env!("CARGO_PKG_VERSION")));
}
