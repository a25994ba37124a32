//! What becomes of a request and of a command where the way to DynamoDB is faulty all the time.
//!
//! The table of docs/operating.md says it, and this test walks that. Cells that take longer than
//! [`QUICK_SECONDS`] are left out, unless `FAULTS=all` is set; then the table is printed as it was measured.

use std::fmt::Write as _;
use std::time::Instant;

use delivery_center::endpoint::Endpoint::{GetArtifact, ListReleases};
use futures_util::stream::{self, StreamExt as _};

use crate::running::{run_with_input, tool};
use crate::support::wire::{FaultyWire, WireFault};
use crate::support::{Answer, Tables, get_event};

const QUICK_SECONDS: f64 = 10.0;
/// How many faults are tried at once.
const ROWS_AT_ONCE: usize = 6;

const PAGE: &str = include_str!("../../docs/operating.md");

/// Where something answers, and what it does.
enum Endpoint {
    Faulty(WireFault),
    At(&'static str),
}

/// The faults, by the words that the page has for them.
fn faults() -> Vec<(String, Endpoint)> {
    let made_up = "made up";
    let wires = [
        ("closed without an answer", WireFault::Closed),
        ("reset", WireFault::Reset),
        ("an answer cut off in its head", WireFault::CutInHead),
        ("an answer cut off in its body", WireFault::CutInBody),
        ("an answer that is no HTTP", WireFault::NoHttp),
        ("silence", WireFault::Silent),
    ];
    let places = [
        ("nothing listens", "http://127.0.0.1:9"),
        ("the host has no address", "http://nowhere.invalid:8000"),
    ];
    let signature = "InvalidSignatureException";
    let told = [
        (
            "a signature that has expired",
            signature,
            "Signature expired: 20261130T010203Z is now earlier than …",
        ),
        (
            "a signature of the future",
            signature,
            "Signature not yet current: 20261130T010203Z is still later …",
        ),
        (
            "a wrong signature",
            signature,
            "The request signature we calculated does not match the signature …",
        ),
    ];
    let codes = [
        (400, "ProvisionedThroughputExceededException"),
        (400, "ThrottlingException"),
        (400, "Throttling"),
        (400, "RequestLimitExceeded"),
        (400, "LimitExceededException"),
        (400, "SlowDown"),
        (400, "RequestTimeout"),
        (400, "RequestTimeoutException"),
        (500, "InternalServerError"),
        (500, "InternalFailure"),
        (503, "ServiceUnavailable"),
        (400, "AccessDeniedException"),
        (400, "ExpiredTokenException"),
        (400, "IncompleteSignatureException"),
        (400, "MissingAuthenticationTokenException"),
        (400, "UnrecognizedClientException"),
        (400, "ItemCollectionSizeLimitExceededException"),
        (400, "ResourceNotFoundException"),
        (400, "SerializationException"),
        (400, "ValidationException"),
    ];
    let wires = wires.map(|(name, fault)| (name.to_owned(), Endpoint::Faulty(fault)));
    let places = places.map(|(name, url)| (name.to_owned(), Endpoint::At(url)));
    let told = told.map(|(name, code, message)| {
        (name.to_owned(), Endpoint::Faulty(WireFault::Error(400, code, message)))
    });
    let codes = codes.map(|(status, code)| {
        (format!("`{code}`"), Endpoint::Faulty(WireFault::Error(status, code, made_up)))
    });
    wires.into_iter().chain(places).chain(codes).chain(told).collect()
}

/// A cell of the page: an HTTP status or an exit status, and about how many seconds it takes.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Cell {
    status: i32,
    seconds: f64,
}

/// The rows of the page's table: the words for the fault, and five cells.
fn documented() -> Vec<(String, Vec<Cell>)> {
    let table = PAGE.split("| on the way to DynamoDB |").nth(1).unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cell = |text: &str| {
        let (status, seconds) = text.split_once(", ").unwrap();
        let seconds = seconds.strip_suffix(" s").unwrap().parse().unwrap();
        Cell { status: status.parse().unwrap(), seconds }
    };
    rows.map(|row| {
        let mut texts = row.trim_matches('|').split('|').map(str::trim);
        (texts.next().unwrap().to_owned(), texts.map(cell).collect())
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_on_the_way_to_dynamodb_ends_as_the_page_says() {
    let is_whole = std::env::var("FAULTS").is_ok_and(|wanted| wanted == "all");
    let tables = &Tables::with_samples().await;
    let sample = &format!("{}/../samples/reference-release.json", env!("CARGO_MANIFEST_DIR"));
    let documented = documented();
    let ask = |endpoint, query| get_event(endpoint, query, &[]).to_string();
    let (list, artifact) = (&ask(ListReleases, ""), &ask(GetArtifact, "image=reg/cart:1"));
    let timeout = if is_whole { "5" } else { "1" };
    let walked: Vec<_> = stream::iter(faults())
        .map(async |(name, endpoint)| {
            let fault = if let Endpoint::Faulty(fault) = endpoint { fault } else { WireFault::None };
            let wire = FaultyWire::start(&tables.endpoint_url, move |_, _| fault).await;
            let url = if let Endpoint::At(url) = endpoint { url } else { &wire.endpoint_url };
            let environment = &tables.through(url).environment();
            let row = documented.iter().find(|(documented, _)| *documented == name).map(|(_, cells)| cells);
            let cell = async |number: usize, arguments: &[&str], input: &str| {
                let expected = row.map(|cells| cells[number]);
                if !is_whole && expected.is_some_and(|cell| cell.seconds > QUICK_SECONDS) {
                    return (expected, None);
                }
                let started = Instant::now();
                let ran = run_with_input(tool(environment, arguments), input).await;
                let seconds = started.elapsed().as_secs_f64();
                let is_answer = arguments[0] == "invoke";
                let answered = || Answer::from_lambda_json(&ran.out).status.into();
                let status = if is_answer { answered() } else { ran.status.unwrap() };
                (expected, Some(Cell { status, seconds }))
            };
            let record = ["record", "deploy", "--image", "reg/cart:1", "--env", "prod", "--timeout", timeout];
            let import = ["import", sample.as_str()];
            let cells = tokio::join!(
                cell(0, &["invoke", "list-releases", "--event", "-"], list),
                cell(1, &["invoke", "get-artifact", "--event", "-"], artifact),
                cell(2, &record, ""),
                cell(3, &import, ""),
                cell(4, &["export"], ""),
            );
            (name, <[_; 5]>::from(cells))
        })
        .buffered(ROWS_AT_ONCE)
        .collect()
        .await;
    let (mut measured, mut differing) = (String::new(), Vec::new());
    for (name, cells) in &walked {
        write!(measured, "| {name} |").unwrap();
        for (number, (expected, found)) in cells.iter().enumerate() {
            let Some(found) = found else { continue };
            write!(measured, " {}, {:.0} s |", found.status, found.seconds.max(1.0)).unwrap();
            if expected.is_none_or(|expected| expected.status != found.status) {
                differing.push(format!("{name}, column {number}: {expected:?} and {found:?}"));
            }
        }
        measured.push('\n');
    }
    println!("{measured}");
    assert!(differing.is_empty(), "the page says, and found was:\n{}\n{measured}", differing.join("\n"));
    assert_eq!(documented.len(), walked.len(), "the page has another fault");
}
