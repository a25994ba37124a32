//! Every event file is answered by the handlers in this process and by the real binaries. Whole responses are
//! compared with what is expected, and with what `openapi.yaml` describes.

mod get_artifact;
mod list_releases;

use std::collections::BTreeMap;

use delivery_center::endpoint::Endpoint;
use serde::Deserialize;
use serde_json::Value;

use crate::function::{Function, FunctionAnswer};
use crate::openapi::Description;
use crate::support::{Answer, Tables};

/// What an event must be answered with. `tests/replay/expected/` has one for each event.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Expected {
    status: u16,
    /// All headers but `ETag`.
    headers: BTreeMap<String, String>,
    /// The type of the Lambda error, where the event is not an HTTP event.
    lambda_error: Option<String>,
    /// The ids of the releases, whose whole documents are in `releases.jsonl`.
    releases: Option<Vec<String>>,
    /// The same, where only `versionInfo` is answered.
    brief: Option<Vec<String>>,
    /// The id of the artifact, whose whole document is in `artifacts.jsonl`.
    artifact: Option<String>,
    /// Its environments as JSON, which are the last member of the answer.
    environments: Option<String>,
    /// An error's description.
    description: Option<String>,
}

/// The event files of an endpoint by name.
fn events(endpoint: Endpoint) -> BTreeMap<String, Vec<u8>> {
    let folder = format!("{}/events/{}", env!("CARGO_MANIFEST_DIR"), endpoint.name());
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &std::path::Path| path.file_stem().unwrap().to_string_lossy().into_owned();
    files.map(|path| (name(&path), std::fs::read(&path).unwrap())).collect()
}

/// Documents as they are answered, by id.
fn documents(lines: &'static str) -> BTreeMap<String, &'static str> {
    let id = |line: &str| {
        let document: Value = serde_json::from_str(line).unwrap();
        let id = document.pointer("/versionInfo/id").or(document.get("id")).unwrap();
        id.as_str().unwrap().to_owned()
    };
    lines.lines().map(|line| (id(line), line)).collect()
}

/// Compares each event's answer with what is expected: from the handler here, and from the binary.
async fn replay(endpoint: Endpoint, expected: &str, body: impl Fn(&Expected) -> Option<String>) {
    let expected: BTreeMap<String, Expected> = serde_json::from_str(expected).unwrap();
    let events = events(endpoint);
    let names = |mut names: Vec<&String>| {
        names.sort();
        names.into_iter().cloned().collect::<Vec<_>>()
    };
    assert_eq!(
        names(events.keys().collect()),
        names(expected.keys().collect()),
        "an event without an expectation, or the reverse"
    );
    let description = Description::read();
    let tables = Tables::with_samples().await;
    let mut function = Function::start(endpoint, &tables.environment()).await;
    for (name, event) in events {
        let expected = &expected[&name];
        if let Some(error_type) = &expected.lambda_error {
            let FunctionAnswer::Failure(failure) = function.invoke(event).await else {
                panic!("{name}: an answer")
            };
            let failure: Value = serde_json::from_str(&failure).unwrap();
            assert_eq!(failure["errorType"], *error_type, "{name}");
            continue;
        }
        let json: Value = serde_json::from_slice(&event).unwrap();
        let in_process = tables.invoke(endpoint, &json).await;
        check(&name, &in_process, expected, body(expected));
        let problems = match json["requestContext"]["http"]["method"].as_str() {
            Some("HEAD") => description.problems_of_head(endpoint, &in_process),
            _ => description.problems(endpoint, &in_process),
        };
        assert_eq!(problems, [""; 0], "{name}: openapi.yaml describes it");
        let in_binary = function.respond(event).await;
        assert_eq!(in_binary, in_process, "{name}: the binary answers as the handler does");
    }
    function.end().await;
}

fn check(name: &str, answer: &Answer, expected: &Expected, body: Option<String>) {
    let error = expected.description.as_ref().map(|description| {
        let message = match expected.status {
            400 => "Bad Request",
            404 => "Not Found",
            405 => "Method Not Allowed",
            other => panic!("{name}: no event is answered with {other}"),
        };
        let description = serde_json::to_string(description).unwrap();
        format!(
            r#"{{"code":{},"description":{description},"extra":{{}},"message":"{message}","type":"error"}}"#,
            expected.status
        )
    });
    let mut headers: BTreeMap<_, _> = answer.headers.clone().into_iter().collect();
    let etag = headers.remove("etag");
    assert_eq!(answer.status, expected.status, "{name}: {}", answer.body);
    assert_eq!(headers, expected.headers, "{name}");
    assert_eq!(answer.body, body.or(error).unwrap_or_default(), "{name}");
    let has_etag =
        etag.is_some_and(|etag| etag.starts_with("W/\"") && etag.ends_with('"') && etag.len() > 10);
    assert_eq!(has_etag, matches!(expected.status, 200 | 304), "{name}");
}
