//! `--api`: the terminal's questions to a deployed API, through gateways that want a token or a signature, and
//! through what stands in the way. And `artifact -`, which asks line by line.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use delivery_center::endpoint::Endpoint;
use delivery_center::service::EndpointService;
use http::{HeaderMap, StatusCode};
use ring::{digest, hmac};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::page::Browsing;
use crate::running::{Ran, run, run_on, run_with_input, tool};
use crate::support::{Tables, gunzip};

const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.secret.signature";
const KEY: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const IMAGE: &str = "registry.example.com/payments/ledger-api:20220422102000-2-release";

/// The variables that the tool finds.
type Environment = Vec<(&'static str, String)>;

/// What a gateway answers itself; `None` lets the request through.
type Rule = Box<dyn Fn(&Request) -> Option<Response> + Send + Sync>;

/// Serves both endpoints over some tables behind a rule, under a base path, and takes down the queries.
async fn gateway(tables: &Tables, rule: Rule) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/base", listener.local_addr().unwrap());
    let store = tables.store.clone();
    let (rule, asked) = (Arc::new(rule), Arc::new(Mutex::new(Vec::new())));
    let queries = Arc::clone(&asked);
    let answer = async move |request: Request| -> Response {
        queries.lock().unwrap().push(request.uri().query().unwrap_or_default().to_owned());
        if let Some(refused) = rule(&request) {
            return refused;
        }
        let endpoint = Endpoint::at(request.uri().path()).unwrap();
        EndpointService::new(endpoint, store.clone()).answer(request).await.map(Body::from)
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    (url, asked)
}

fn json_answer(status: u16, body: &'static str) -> Response {
    (StatusCode::from_u16(status).unwrap(), [("content-type", "application/json")], body).into_response()
}

fn lets_through() -> Rule {
    Box::new(|_| None)
}

fn wants_a_token() -> Rule {
    Box::new(|request| {
        let given = request.headers().get("authorization").map(|value| value.to_str().unwrap());
        (given != Some(&format!("Bearer {TOKEN}"))).then(|| json_answer(401, r#"{"message":"Unauthorized"}"#))
    })
}

/// As API Gateway checks a signature
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>).
fn wants_a_signature() -> Rule {
    Box::new(|request| {
        let (Some(given), Some(expected)) = (signature(request.headers()), expected_signature(request))
        else {
            return Some(json_answer(403, r#"{"message":"Missing Authentication Token"}"#));
        };
        (given != expected).then(|| json_answer(403, r#"{"message":"The request signature does not match"}"#))
    })
}

fn part<'a>(authorization: &'a str, name: &str) -> Option<&'a str> {
    authorization.split([' ', ',']).find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
}

fn signature(headers: &HeaderMap) -> Option<String> {
    Some(part(headers.get("authorization")?.to_str().ok()?, "Signature")?.to_owned())
}

fn expected_signature(request: &Request) -> Option<String> {
    let header = |name: &str| request.headers().get(name)?.to_str().ok();
    let hex = |bytes: &[u8]| hex_simd::encode_to_string(bytes, hex_simd::AsciiCase::Lower);
    let sha256 = |text: &str| hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    let authorization = header("authorization")?;
    let scope = part(authorization, "Credential")?.strip_prefix(&format!("{KEY}/"))?;
    let names = part(authorization, "SignedHeaders")?;
    let (date, region) = scope.strip_suffix("/execute-api/aws4_request")?.split_once('/')?;
    // The query has to be in canonical form already, as a curl of Debian 12 would sign it.
    let query = request.uri().query().unwrap_or_default();
    let mut sorted: Vec<_> = query.split('&').collect();
    sorted.sort_unstable();
    if region != "eu-west-1" || query.contains('+') || sorted.join("&") != query {
        return None;
    }
    let headers: Vec<_> =
        names.split(';').map(|name| format!("{name}:{}", header(name).unwrap_or_default())).collect();
    let canonical =
        format!("GET\n{}\n{query}\n{}\n\n{names}\n{}", request.uri().path(), headers.join("\n"), sha256(""));
    let text = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{}", header("x-amz-date")?, sha256(&canonical));
    let sign = |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
    let mut key = sign(format!("AWS4{SECRET}").as_bytes(), date);
    for part in [region, "execute-api", "aws4_request"] {
        key = sign(key.as_ref(), part);
    }
    Some(hex(sign(key.as_ref(), &text).as_ref()))
}

/// An environment that knows no tables.
fn environment(more: &[(&'static str, &str)]) -> Environment {
    let no_metadata = [("AWS_EC2_METADATA_DISABLED", "true"), ("TZ", "UTC")];
    no_metadata.iter().chain(more).map(|(name, value)| (*name, (*value).to_owned())).collect()
}

fn with_token() -> Environment {
    environment(&[("DELIVERY_CENTER_TOKEN", TOKEN)])
}

/// A question for each of the four commands, and some that have no answer or cannot be read.
fn questions() -> Vec<Vec<&'static str>> {
    vec![
        vec!["releases", "--env", "prod", "--limit", "5"],
        vec!["releases", "--project", "shop", "--json"],
        vec!["releases", "--label", "a b+c"],
        vec!["artifact", IMAGE],
        vec!["artifact", "registry.example.com/shop/cart:20220311091500-12-main"],
        vec!["artifact", "--commit", "9d8b693", "--limit", "3", "--json"],
        vec!["artifact", "--env", "prod", "registry.example.com/shop/cart"],
        vec!["artifact", "registry.example.com/shop/none:1"],
        vec!["diff", "--project", "shop", "1.2.1", "1.3.0"],
        vec!["diff", "--project", "shop", "1.2.1", "9.9.9"],
        vec!["environment", "prod"],
        vec!["environment", "prod", "--json"],
        vec!["environment", "nowhere"],
        vec!["releases", "--task", "twelve"],
        vec!["artifact", "sha256:beef"],
    ]
}

fn told(ran: Ran) -> (Option<i32>, String, String) {
    (ran.status, ran.out, ran.err)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployed_api_answers_what_the_tables_answer() {
    let tables = Tables::with_samples().await;
    let (by_token, _) = gateway(&tables, wants_a_token()).await;
    let (signed, _) = gateway(&tables, wants_a_signature()).await;
    let keys = [("AWS_ACCESS_KEY_ID", KEY), ("AWS_SECRET_ACCESS_KEY", SECRET), ("AWS_REGION", "eu-west-1")];
    let mut statuses = BTreeSet::new();
    for question in questions() {
        let mut over_tables = tool(&tables.environment(), &question);
        over_tables.env("TZ", "UTC");
        let over_tables = told(run(over_tables).await);
        statuses.insert(over_tables.0);
        let question_to = |url| [&question[..], &["--api", url]].concat();
        let answered = told(run(tool(&with_token(), &question_to(&by_token))).await);
        assert_eq!(answered, over_tables, "{question:?} with a token");
        let answered = told(run(tool(&environment(&keys), &question_to(&signed))).await);
        assert_eq!(answered, over_tables, "{question:?} with a signature");
        // The variable names it too, and an endpoint's URL does.
        let variables = [
            ("DELIVERY_CENTER_TOKEN", TOKEN),
            ("DELIVERY_CENTER_API", &format!("{by_token}/api/directory/dc/artifact")),
        ];
        let answered = told(run(tool(&environment(&variables), &question)).await);
        assert_eq!(answered, over_tables, "{question:?} by the variable");
    }
    assert_eq!(statuses, BTreeSet::from([Some(0), Some(2), Some(3)]), "each kind of end is compared");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_over_a_deployed_api_gets_what_that_answers() {
    let tables = Tables::with_samples().await;
    let (by_token, _) = gateway(&tables, wants_a_token()).await;
    let (signed, _) = gateway(&tables, wants_a_signature()).await;
    let keys = [("AWS_ACCESS_KEY_ID", KEY), ("AWS_SECRET_ACCESS_KEY", SECRET), ("AWS_REGION", "eu-west-1")];
    let free = ["--listen", "127.0.0.1:0", "--api"];
    for (url, environment) in [(&by_token, with_token()), (&signed, environment(&keys))] {
        let browsing = Browsing::start_in(&environment, &[&free[..], &[url]].concat());
        assert_eq!(browsing.ask("GET", "/", &[]).await.0, 200);
        for (endpoint, query) in [
            (Endpoint::ListReleases, "page=1&per_page=3"),
            (Endpoint::ListReleases, "taskId=twelve"),
            (Endpoint::ListReleases, "label=a+b%2Bc&projectName=shop"),
            (Endpoint::GetArtifact, "envName=prod&include=environments"),
            (Endpoint::GetArtifact, "image=none%3A1"),
        ] {
            let direct = tables.get(endpoint, query).await;
            let path = format!("{}?{query}", endpoint.path());
            let (status, headers, body) = browsing.ask("GET", &path, &[]).await;
            assert_eq!(
                (status, String::from_utf8(body).unwrap()),
                (direct.status, direct.body.clone()),
                "{query}"
            );
            for name in ["content-type", "etag", "link", "vary"] {
                let passed_on = headers.get(name).map(|value| value.to_str().unwrap().to_owned());
                assert_eq!(passed_on.as_ref(), direct.headers.get(name), "{name} of {query}");
            }
            let (of_head, _, nothing) = browsing.ask("HEAD", &path, &[]).await;
            assert_eq!((of_head, nothing.len()), (status, 0), "{query}");
            assert_eq!(browsing.ask("POST", &path, &[]).await.0, 405, "{query}");
            let Some(etag) = headers.get("etag") else { continue };
            let known = [("if-none-match", etag.to_str().unwrap())];
            assert_eq!(browsing.ask("GET", &path, &known).await.0, 304, "{query}");
            let (_, headers, packed) = browsing.ask("GET", &path, &[("accept-encoding", "gzip")]).await;
            assert_eq!(
                (&headers["content-encoding"], gunzip(&packed)),
                (&"gzip".parse().unwrap(), direct.body.clone())
            );
        }
    }
    for (url, status, words) in [
        (by_token.as_str(), 401, "answered 401: set DELIVERY_CENTER_TOKEN, or sign in to AWS"),
        ("http://127.0.0.1:9", 502, "could not be asked: Connection refused"),
    ] {
        let browsing = Browsing::start_in(&environment(&[]), &[&free[..], &[url]].concat());
        let (answered, headers, body) = browsing.ask("GET", Endpoint::ListReleases.path(), &[]).await;
        assert_eq!(
            (answered, &headers["content-type"]),
            (status, &"application/json; charset=utf-8".parse().unwrap())
        );
        let error: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&error["code"], &error["type"]), (&json!(status), &json!("error")));
        assert!(error["description"].as_str().unwrap().contains(words), "{error}");
    }
}

/// What a gateway answers, in which environment the tool then runs, its exit status, and what it says.
fn in_the_way() -> Vec<(Rule, Environment, i32, &'static str)> {
    let html = || ([("content-type", "text/html; charset=utf-8")], "<!doctype html><title>Sign in</title>");
    let quotes = format!(r#"{{"message":"no such token {TOKEN}"}}"#);
    let keys = [("AWS_ACCESS_KEY_ID", KEY), ("AWS_SECRET_ACCESS_KEY", "wrong"), ("AWS_REGION", "eu-west-1")];
    let denied = || json_answer(403, r#"{"message":"Forbidden"}"#);
    vec![
        (
            Box::new(move |_| Some((StatusCode::UNAUTHORIZED, quotes.clone()).into_response())),
            with_token(),
            1,
            "answered 401: the token is not accepted; it may have expired",
        ),
        (Box::new(move |_| Some(denied())), with_token(), 1, "answered 403: the token may not ask this API"),
        (wants_a_token(), environment(&[]), 1, "answered 401: set DELIVERY_CENTER_TOKEN, or sign in to AWS"),
        (wants_a_token(), environment(&keys), 1, "answered 401: it wants a bearer token"),
        (
            wants_a_signature(),
            environment(&keys),
            1,
            "answered 403: the AWS credentials need execute-api:Invoke",
        ),
        (
            Box::new(|_| {
                let body = r#"{"message":"Too Many Requests"}"#;
                let headers = [("retry-after", "7"), ("content-type", "application/json")];
                Some((StatusCode::TOO_MANY_REQUESTS, headers, body).into_response())
            }),
            with_token(),
            4,
            "answered 429, too many requests: try again in 7 s",
        ),
        (
            Box::new(|_| Some(json_answer(502, r#"{"message":"Internal server error"}"#))),
            with_token(),
            4,
            "answered 502: the gateway got no answer from the function",
        ),
        (
            Box::new(move |_| Some(html().into_response())),
            with_token(),
            1,
            "answered 200 with text/html, which is no answer of Delivery Center",
        ),
        (
            Box::new(|_| Some(json_answer(404, r#"{"message":"Not Found"}"#))),
            with_token(),
            1,
            "answered 404 with application/json, which is no answer of Delivery Center",
        ),
        (
            Box::new(|_| {
                Some((StatusCode::FOUND, [("location", "https://login.example.com/?x=1")]).into_response())
            }),
            with_token(),
            1,
            "answered 302: give the URL that it leads to",
        ),
        (
            Box::new(move |request| {
                let given = request.headers()["authorization"].to_str().unwrap();
                let body =
                    json!({"code": 400, "description": format!("bad {given}\u{1b}[31m\n"), "extra": {}});
                let kind = [("content-type", "application/json")];
                Some((StatusCode::BAD_REQUEST, kind, body.to_string()).into_response())
            }),
            with_token(),
            1,
            "bad Bearer (the token)\\u{1b}[31m\\u{a}",
        ),
        (
            Box::new(move |_| Some((StatusCode::SERVICE_UNAVAILABLE, html()).into_response())),
            with_token(),
            4,
            "answered 503 with text/html, which is no answer of Delivery Center",
        ),
        (
            Box::new(|_| Some(json_answer(200, r#"{"hello":1}"#))),
            with_token(),
            1,
            "answered 200 with other JSON, which is no answer of Delivery Center",
        ),
        (
            Box::new(|_| Some((StatusCode::NOT_MODIFIED, "").into_response())),
            with_token(),
            1,
            "answered 304 with text/plain",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_way_to_an_api_is_told_in_a_sentence() {
    let tables = Tables::with_samples().await;
    let commands = [vec!["releases"], vec!["artifact", IMAGE], vec!["environment", "prod"]];
    let cases = in_the_way().into_iter().zip(commands.iter().cycle());
    let cases = cases.map(async |((rule, environment, status, words), command)| {
        let (url, _) = gateway(&tables, rule).await;
        let ran = run(tool(&environment, &[&command[..], &["--api", &url]].concat())).await;
        assert_eq!(ran.status, Some(status), "{words}: {ran:?}");
        let told = if words.starts_with("answered") { format!("{url} {words}") } else { words.to_owned() };
        assert!(ran.err.starts_with(&format!("error: {told}")), "{words}: {ran:?}");
        assert_eq!(ran.err.lines().count(), 1, "{ran:?}");
        let told = ran.out + ran.err.as_str();
        assert!(!told.contains("secret") && !told.contains(SECRET), "{told}");
    });
    futures_util::future::join_all(cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_cannot_be_asked_or_named_is_told_by_the_exit_status() {
    let ran = async |url: &str, environment: &[(&'static str, String)]| {
        run(tool(environment, &["releases", "--api", url])).await
    };
    let nobody = ran("http://127.0.0.1:9", &with_token()).await;
    assert_eq!(nobody.status, Some(4), "{nobody:?}");
    assert!(nobody.err.contains("http://127.0.0.1:9/ could not be asked: "), "{nobody:?}");
    for (url, words) in [
        ("delivery.example.com", "error: --api: the URL of an API begins with https:// or http://"),
        ("https://me:secret@api.example.com", "error: --api: the URL of an API holds credentials"),
    ] {
        let unreadable = ran(url, &with_token()).await;
        assert_eq!(unreadable.status, Some(2), "{unreadable:?}");
        assert!(unreadable.err.starts_with(words) && !unreadable.err.contains("secret"), "{unreadable:?}");
    }
    let proxy =
        environment(&[("DELIVERY_CENTER_TOKEN", TOKEN), ("HTTPS_PROXY", "http://me:secret@127.0.0.1:9")]);
    let behind = ran("https://delivery.example.com", &proxy).await;
    let named = "go through the proxy http://127.0.0.1:9, which HTTPS_PROXY names";
    assert!(behind.err.contains(named) && !behind.err.contains("secret"), "{behind:?}");
    let blank = ran("http://127.0.0.1:9", &environment(&[("DELIVERY_CENTER_TOKEN", "my secret")])).await;
    assert_eq!(blank.status, Some(2), "{blank:?}");
    assert!(
        blank.err.starts_with("error: DELIVERY_CENTER_TOKEN: ") && !blank.err.contains("my secret"),
        "{blank:?}"
    );
    let signed = [("AWS_ACCESS_KEY_ID", KEY), ("AWS_SECRET_ACCESS_KEY", SECRET)];
    let nowhere = ran("http://127.0.0.1:9", &environment(&signed)).await;
    assert!(nowhere.err.contains("set AWS_REGION"), "a signature needs a region: {nowhere:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_of_an_api_that_passes_is_not_seen() {
    let tables = Tables::with_samples().await;
    let failures = Arc::new(Mutex::new(0));
    let fails_twice: Rule = Box::new(move |_| {
        let mut failures = failures.lock().unwrap();
        *failures += 1;
        (*failures <= 2).then(|| json_answer(503, r#"{"message":"Service Unavailable"}"#))
    });
    let (url, asked) = gateway(&tables, fails_twice).await;
    let ran = run(tool(&with_token(), &["artifact", IMAGE, "--json", "--api", &url])).await;
    assert_eq!((ran.status, asked.lock().unwrap().len()), (Some(0), 3), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_standard_input_are_answered_in_their_order() {
    let tables = Tables::with_samples().await;
    let (url, asked) = gateway(&tables, lets_through()).await;
    let lines = format!(
        "\u{feff}docker-pullable://{IMAGE}\n\n  9d8b693\t\nregistry.example.com/none:1\r\nnginx@sha256:beef\n\
         sha256:1d9ddf94feb5ff9ca9d76248ad51dd2a95210895d0dbf1e87bd66cc471c41f0e\nABCDEF0123"
    );
    let answers = |ran: &Ran| {
        let lines = ran.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let told = lines.map(|line| {
            let id =
                line["artifact"]["id"].as_str().map_or(&line["description"], |_| &line["artifact"]["id"]);
            json!([line["asked"], line["status"], id])
        });
        told.collect::<Vec<_>>()
    };
    let expected = [
        json!([format!("docker-pullable://{IMAGE}"), 200, "62621130c528c2182225f09f"]),
        json!(["9d8b693", 200, "62027355c528c2182225f099"]),
        json!(["registry.example.com/none:1", 404, "no artifact for image \"registry.example.com/none:1\""]),
        json!([
            "nginx@sha256:beef",
            400,
            "image digest \"sha256:beef\" is neither sha256: and 64 nor sha512: and 128 lower-case hex digits"
        ]),
        json!([
            "sha256:1d9ddf94feb5ff9ca9d76248ad51dd2a95210895d0dbf1e87bd66cc471c41f0e",
            200,
            "61b84bbcc19ba8cdb184cc53"
        ]),
        json!(["ABCDEF0123", 404, "no artifact for commit \"ABCDEF0123\""]),
    ];
    let over_tables = run_with_input(tool(&tables.environment(), &["artifact", "-"]), &lines).await;
    assert_eq!(answers(&over_tables), expected, "{over_tables:?}");
    let over_api = run_with_input(tool(&environment(&[]), &["artifact", "-", "--api", &url]), &lines).await;
    assert_eq!(told(over_api), told(over_tables), "the API answers the same");
    assert_eq!(asked.lock().unwrap().len(), expected.len() - 1, "what cannot be read is not asked");

    let ended = async |lines: &str| {
        run_with_input(tool(&tables.environment(), &["artifact", "-"]), lines).await.status
    };
    assert_eq!(ended(IMAGE).await, Some(0));
    assert_eq!(ended(&format!("{IMAGE}\nnone:1\n{IMAGE}")).await, Some(3));
    assert_eq!(ended("none:1\nnone@sha256:beef\nnone:2").await, Some(1));
    assert_eq!(ended("").await, Some(0));
    let unreadable = run_on(&tables, &["artifact", "-", "--env", "prod"]).await;
    assert_eq!(unreadable.status, Some(2), "{unreadable:?}");
    let odd = [IMAGE.as_bytes(), b"\xff\xfe", "x".repeat(200_000).as_bytes(), IMAGE.as_bytes()].join(&b'\n');
    for more in [&[][..], &["--api", &url]] {
        let odd =
            run_with_input(tool(&tables.environment(), &[&["artifact", "-"], more].concat()), &odd).await;
        let statuses: Vec<_> = answers(&odd).into_iter().map(|answer| answer[1].clone()).collect();
        assert_eq!((odd.status, statuses), (Some(1), vec![json!(200), json!(400), json!(404), json!(200)]));
    }
}

/// `yes IMAGE | artifact - | head -1` ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_ends_what_is_asked_for_it() {
    let tables = Tables::with_samples().await;
    let (url, asked) = gateway(&tables, lets_through()).await;
    let mut process = tool(&environment(&[]), &["artifact", "-", "--api", &url]);
    let process = process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = process.spawn().unwrap();
    let (mut lines, mut answers) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
    // Until nobody takes them any more.
    let writer = tokio::task::spawn_blocking(move || while writeln!(lines, "{IMAGE}").is_ok() {});
    let ended = tokio::task::spawn_blocking(move || {
        answers.read_exact(&mut [0; 100]).unwrap();
        drop(answers);
        process.wait().unwrap()
    });
    assert!(ended.await.unwrap().success());
    writer.await.unwrap();
    assert!(asked.lock().unwrap().len() < 1_000, "it went on asking");
}
