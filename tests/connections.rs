//! What becomes of a call when connections and answers are not as they should be, seen from the other end of the socket.
#![expect(clippy::unwrap_used, reason = "what a test cannot go on without fails it")]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use delivery_center::dynamodb::{Credentials, CredentialsSource, DynamoDb, Items, Limits, Page};
use delivery_center::embedded::reader;
use delivery_center::invocation::Endpoint::{GetArtifact, ListReleases};
use support::faulty::{Fault, FaultyProxy};
use support::runtime_api::Function;
use support::{Tables, get_event};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What is written to the nth request of the nth connection, and whether the connection ends with it.
type Script = dyn Fn(usize, usize) -> (Vec<u8>, bool) + Send + Sync;

/// A server that writes what it is told to.
struct Scripted {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

impl Scripted {
    async fn start(script: impl Fn(usize, usize) -> (Vec<u8>, bool) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scripted = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            requests: Arc::default(),
            connections: Arc::default(),
        };
        let script: Arc<Script> = Arc::new(script);
        let (requests, connections) = (Arc::clone(&scripted.requests), Arc::clone(&scripted.connections));
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let connection = connections.fetch_add(1, Ordering::SeqCst) + 1;
                let (script, requests) = (Arc::clone(&script), Arc::clone(&requests));
                tokio::spawn(async move {
                    for request in 1.. {
                        let Some(text) = read_request(&mut stream).await else { return };
                        requests.lock().unwrap().push(text);
                        let (answer, ends) = script(connection, request);
                        if stream.write_all(&answer).await.is_err() || ends {
                            return;
                        }
                    }
                });
            }
        });
        scripted
    }

    fn requests(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn last(&self) -> String {
        self.requests.lock().unwrap().last().cloned().unwrap_or_default()
    }
}

/// A request with its body; none where the connection ended.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            return Some(text);
        }
    }
}

fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn refused(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

const EMPTY: &str = r#"{"Count":0,"Items":[]}"#;

async fn count(dynamodb: &DynamoDb) -> Result<u64, String> {
    let page = Page::of("table", Items::NewestFirst("a = :a"));
    dynamodb.page(&page, None).await.map(|answer| answer.count).map_err(|error| error.to_string())
}

#[tokio::test]
async fn connections_are_kept_and_replaced_when_they_end() {
    let server = Scripted::start(|_, _| (ok(EMPTY), false)).await;
    let dynamodb = reader(&server.url, Limits::OF_A_FUNCTION).unwrap();
    for _ in 0..3 {
        assert_eq!(count(&dynamodb).await, Ok(0));
    }
    assert_eq!((server.requests(), server.connections()), (3, 1), "one connection for all");

    // Each ends behind its first answer, without a word: what Lambda's freezing makes of a connection.
    let server = Scripted::start(|_, _| (ok(EMPTY), true)).await;
    let dynamodb = reader(&server.url, Limits::OF_A_FUNCTION).unwrap();
    for _ in 0..3 {
        assert_eq!(count(&dynamodb).await, Ok(0));
    }

    // A kept connection dies under the request, or in the middle of the answer: repeated at once on a new one.
    for dying in [&b""[..], b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"] {
        let server = Scripted::start(
            move |_, request| {
                if request == 1 { (ok(EMPTY), false) } else { (dying.to_vec(), true) }
            },
        )
        .await;
        let dynamodb = reader(&server.url, Limits::OF_A_FUNCTION).unwrap();
        for _ in 0..2 {
            assert_eq!(count(&dynamodb).await, Ok(0));
        }
        assert_eq!((server.requests(), server.connections()), (3, 2));
    }
}

#[tokio::test]
async fn an_answer_is_never_taken_for_the_next_requests() {
    let server = Scripted::start(|_, request| {
        if request == 1 { ([ok(EMPTY), ok(r#"{"Count":99}"#)].concat(), false) } else { (ok(EMPTY), false) }
    })
    .await;
    let dynamodb = reader(&server.url, Limits::OF_A_FUNCTION).unwrap();
    for _ in 0..3 {
        assert_eq!(count(&dynamodb).await, Ok(0));
    }
    let stalling = b"HTTP/1.1 200 OK\r\ncontent-length: 22\r\n\r\n{\"Count\"";
    let server =
        Scripted::start(
            move |connection, _| {
                if connection == 1 { (stalling.to_vec(), false) } else { (ok(EMPTY), false) }
            },
        )
        .await;
    let limits = Limits { attempt: Duration::from_millis(300), ..Limits::OF_A_FUNCTION };
    let dynamodb = reader(&server.url, limits).unwrap();
    for _ in 0..2 {
        assert_eq!(count(&dynamodb).await, Ok(0));
    }
    assert_eq!((server.requests(), server.connections()), (3, 2), "who stalled is not asked again");
}

#[tokio::test]
async fn answers_are_read_however_http_frames_them() {
    let chunked = b"HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n\
        5\r\n{\"Cou\r\n6\r\nnt\":3}\r\n0\r\n\r\n";
    let continued = [b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(), ok(r#"{"Count":3}"#)].concat();
    let until_the_end = b"HTTP/1.1 200 OK\r\n\r\n{\"Count\":3}";
    for (answer, ends) in [(chunked.to_vec(), false), (continued, false), (until_the_end.to_vec(), true)] {
        let server = Scripted::start(move |_, _| (answer.clone(), ends)).await;
        let dynamodb = reader(&server.url, Limits::OF_A_FUNCTION).unwrap();
        for _ in 0..2 {
            assert_eq!(count(&dynamodb).await, Ok(3));
        }
    }
}

#[tokio::test]
async fn what_may_pass_is_tried_three_times_and_what_will_not_once() {
    let throttling =
        r#"{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"slow down"}"#;
    let validation = r#"{"__type":"com.amazon.coral.validate#ValidationException","message":"no"}"#;
    for (answer, ends, attempts) in [
        (refused("503 Service Unavailable", "<html>"), false, 3),
        (refused("500 Internal Server Error", "{}"), false, 3),
        (refused("400 Bad Request", throttling), false, 3),
        (ok("<html>"), false, 3),
        (Vec::new(), true, 3),
        (refused("400 Bad Request", validation), false, 1),
        (refused("302 Found", ""), false, 1),
    ] {
        let shown = String::from_utf8_lossy(&answer).into_owned();
        let server = Scripted::start(move |_, _| (answer.clone(), ends)).await;
        let dynamodb = reader(&server.url, Limits::OF_A_FUNCTION).unwrap();
        assert!(count(&dynamodb).await.is_err(), "{shown}");
        assert_eq!(server.requests(), attempts, "{shown}");
    }
}

#[tokio::test]
async fn temporary_credentials_are_sent_with_their_token() {
    let server = Scripted::start(|_, _| (ok(EMPTY), false)).await;
    let credentials = Credentials {
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret_access_key: "secret".to_owned(),
        session_token: Some("the-token".to_owned()),
    };
    let source = CredentialsSource::Fixed(Arc::new(credentials));
    let region = Some("eu-west-1".to_owned());
    let no_tls = || Err(delivery_center::connections::NoHost::of("no TLS"));
    let dynamodb = DynamoDb::at(&server.url, region, source, no_tls, Limits::OF_A_FUNCTION).unwrap();
    assert_eq!(count(&dynamodb).await, Ok(0));
    let request = server.last();
    for wanted in [
        "POST / HTTP/1.1\r\n",
        "x-amz-security-token: the-token\r\n",
        "x-amz-target: DynamoDB_20120810.Query\r\n",
        "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, ",
        "/eu-west-1/dynamodb/aws4_request, ",
    ] {
        assert!(request.contains(wanted), "{wanted} in {request}");
    }
    assert!(!request.contains("secret\r\n"), "{request}");
}

#[tokio::test]
async fn keys_that_stay_unprocessed_are_unavailable_before_the_functions_time_is_up() {
    let tables = Tables::with_samples().await;
    let proxy = FaultyProxy::start(&tables.endpoint_url, |operation, _| {
        if operation == "BatchGetItem" { Fault::ProcessAtMost(0) } else { Fault::None }
    })
    .await;
    let environment = tables.through(&proxy.endpoint_url).environment();
    for time in [Duration::from_secs(2), Duration::from_millis(2500)] {
        let mut function = Function::start_with_time(ListReleases, &environment, time).await;
        // Its start is over then.
        let nothing = function.respond(get_event(ListReleases, "taskId=-1", &[]).to_string()).await;
        assert_eq!(nothing.status, 200);
        let started = Instant::now();
        let answer = function.respond(get_event(ListReleases, "", &[]).to_string()).await;
        assert_eq!(answer.status, 503, "{}", answer.body);
        assert!(started.elapsed() < time, "{:?} of {time:?}", started.elapsed());
        function.end().await;
    }
}

async fn run_under(runtime_api: &Scripted, environment: &[(&'static str, String)]) -> String {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_get-artifact"))
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (*name, value)))
        .env("AWS_LAMBDA_RUNTIME_API", runtime_api.url.strip_prefix("http://").unwrap())
        .output();
    let output = tokio::time::timeout(Duration::from_secs(20), output).await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(1), "it ends, and not by a panic");
    String::from_utf8(output.stdout).unwrap()
}

fn next(id: &str, event: &str) -> Vec<u8> {
    let length = event.len();
    format!(
        "HTTP/1.1 200 OK\r\nlambda-runtime-aws-request-id: {id}\r\nlambda-runtime-invocation-id: 7\r\ncontent-length: {length}\r\n\r\n{event}"
    )
    .into_bytes()
}

#[tokio::test]
async fn a_response_is_posted_again_where_the_connection_had_ended() {
    let event = get_event(GetArtifact, "image=", &[]).to_string();
    let server = Scripted::start(move |connection, request| match (connection, request) {
        (1, 1) => (next("one", &event), false),
        (1, 2) => (Vec::new(), true),
        (2, 1) => (b"HTTP/1.1 413 Payload Too Large\r\ncontent-length: 0\r\n\r\n".to_vec(), false),
        // A refused response is one that is lost; the next event is another.
        (2, 2) => (next("two", "{}"), false),
        (2, 3) => (b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n".to_vec(), false),
        _ => (b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n".to_vec(), false),
    })
    .await;
    let log = run_under(&server, &Tables::missing().environment()).await;
    assert!(log.contains("Lambda refused the response") && log.contains("413"), "{log}");
    assert!(log.contains("Lambda's Runtime API answered 500"), "{log}");
    let requests = server.requests.lock().unwrap();
    assert_eq!(requests.len(), 6, "next, response, response again, next, response, next");
    for (place, id) in [(1, "one"), (2, "one"), (4, "two")] {
        let path = format!("POST /2018-06-01/runtime/invocation/{id}/response ");
        assert!(requests[place].starts_with(&path), "{}", requests[place]);
        assert!(requests[place].contains("lambda-runtime-invocation-id: 7\r\n"), "{}", requests[place]);
    }
}

#[tokio::test]
async fn an_odd_request_id_ends_the_function_with_a_reason() {
    let server = Scripted::start(|_, _| (next("a b", "{}"), false)).await;
    let log = run_under(&server, &Tables::missing().environment()).await;
    assert!(log.contains("is no path of Lambda's Runtime API"), "{log}");
}

#[tokio::test]
async fn what_cannot_start_tells_lambda_why() {
    let accepted = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";
    let empty = tempfile::NamedTempFile::new().unwrap();
    let mut unusable = Tables::missing().environment();
    unusable.retain(|(name, _)| *name != "AWS_ENDPOINT_URL_DYNAMODB");
    for (variable, value, wanted) in [
        ("SSL_CERT_FILE", "/nowhere".to_owned(), "cannot be read"),
        ("SSL_CERT_FILE", empty.path().display().to_string(), "holds no usable certificates"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "http://host/path".to_owned(), "AWS_ENDPOINT_URL_DYNAMODB"),
    ] {
        let server = Scripted::start(move |_, _| (accepted.to_vec(), false)).await;
        let environment: Vec<_> = unusable.iter().cloned().chain([(variable, value)]).collect();
        let log = run_under(&server, &environment).await;
        let told = server.last();
        assert!(told.starts_with("POST /2018-06-01/runtime/init/error "), "{told}");
        assert!(told.contains(wanted) && log.contains(wanted), "{told}\n{log}");
    }
}

/// A proxy that tunnels whatever it is asked for to one address, and counts.
async fn tunnels_to(address: String) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://user:password@{}", listener.local_addr().unwrap());
    let tunnels = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&tunnels);
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let (address, counted) = (address.clone(), Arc::clone(&counted));
            tokio::spawn(async move {
                let request = read_request(&mut client).await.unwrap();
                assert!(request.starts_with("CONNECT dynamodb.invalid:8000 HTTP/1.1\r\n"), "{request}");
                assert!(request.contains("Proxy-Authorization: Basic dXNlcjpwYXNzd29yZA==\r\n"), "{request}");
                counted.fetch_add(1, Ordering::SeqCst);
                let mut server = TcpStream::connect(address).await.unwrap();
                client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (url, tunnels)
}

#[tokio::test]
async fn the_tool_reads_through_the_environments_proxy() {
    let tables = Tables::with_samples().await;
    let address = tables.endpoint_url.strip_prefix("http://").unwrap().to_owned();
    let (proxy, tunnels) = tunnels_to(address).await;
    let exported = tokio::process::Command::new(env!("CARGO_BIN_EXE_delivery-center"))
        .env_clear()
        .envs(tables.environment())
        .env("AWS_ENDPOINT_URL_DYNAMODB", "http://dynamodb.invalid:8000")
        .env("http_proxy", &proxy)
        .env("HTTP_PROXY", &proxy)
        .arg("export")
        .output()
        .await
        .unwrap();
    assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
    assert!(tunnels.load(Ordering::SeqCst) > 0 && exported.stdout.contains(&b'{'));
}
