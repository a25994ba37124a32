//! The line that a function logs of each request, for people, for Logs Insights, and for CloudWatch's
//! metrics.
//!
//! Where `METRICS_NAMESPACE` names a namespace, the line is in CloudWatch's embedded metric format: its
//! member `_aws` says which of the other members are metrics, and CloudWatch takes them from there.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
//!
//! The line does not go through `tracing`, since `_aws` is an object, and `tracing` has only plain values as
//! fields.

use std::io::Write as _;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{self, FormatTime as _};

use crate::endpoint::Endpoint;
use crate::service::AnsweredRequest;

/// What a request cost, by endpoint, with the units; and last, of a list, how many releases it had and how
/// many of them were in memory.
const COSTS: [(&str, &str); 6] = [
    ("milliseconds", "Milliseconds"),
    ("bytes", "Bytes"),
    ("dynamodb_calls", "Count"),
    ("read_units", "Count"),
    ("count", "Count"),
    ("seen_before", "Count"),
];

/// Which members of the line are metrics, as JSON. It is half of the line's text, and the same in every line
/// of a function.
static DIRECTIVES: OnceLock<Option<Box<RawValue>>> = OnceLock::new();

/// The line. Queries, the dashboard and `docs/operating-metrics.md` use the names of its members.
#[derive(Serialize)]
struct Line<'a> {
    timestamp: &'a str,
    level: &'static str,
    message: &'static str,
    request_id: &'a str,
    endpoint: &'static str,
    status: u16,
    status_class: &'static str,
    subject: &'a str,
    count: usize,
    seen_before: u32,
    bytes: usize,
    dynamodb_calls: u32,
    round_trips: u32,
    read_units: f64,
    milliseconds: f64,
    requests: u32,
    #[serde(rename = "_aws", skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    timestamp: u64,
    cloud_watch_metrics: &'static RawValue,
}

/// Writes the line of an answered request to standard output, unless `RUST_LOG` asks for warnings and errors
/// only.
pub fn write(answered: &AnsweredRequest) {
    if !tracing::enabled!(tracing::Level::INFO) {
        return;
    }
    let mut timestamp = String::new();
    if time::SystemTime.format_time(&mut Writer::new(&mut timestamp)).is_err() {
        timestamp.clear();
    }
    let line = Line {
        timestamp: &timestamp,
        level: "INFO",
        message: "request",
        request_id: answered.request_id,
        endpoint: answered.endpoint.name(),
        status: answered.status,
        status_class: match answered.status {
            ..300 => "2xx",
            300..400 => "3xx",
            400..500 => "4xx",
            500.. => "5xx",
        },
        subject: answered.subject,
        count: answered.count,
        seen_before: answered.usage.seen_before(),
        bytes: answered.bytes,
        dynamodb_calls: answered.usage.calls(),
        round_trips: answered.usage.round_trips(),
        read_units: answered.usage.read_units(),
        milliseconds: answered.milliseconds,
        requests: 1,
        metadata: metadata(answered.endpoint),
    };
    let mut line = serde_json::to_vec(&line).expect("texts and numbers always serialize");
    line.push(b'\n');
    // There is nowhere to report that the log cannot be written. The caller is answered all the same.
    let _ = std::io::stdout().write_all(&line);
}

fn metadata(endpoint: Endpoint) -> Option<Metadata> {
    let cloud_watch_metrics = DIRECTIVES.get_or_init(|| directives(endpoint)).as_deref()?;
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let timestamp = u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX);
    Some(Metadata { timestamp, cloud_watch_metrics })
}

fn directives(endpoint: Endpoint) -> Option<Box<RawValue>> {
    let namespace = std::env::var("METRICS_NAMESPACE").ok().filter(|namespace| !namespace.is_empty())?;
    let costs = match endpoint {
        Endpoint::ListReleases => &COSTS[..],
        Endpoint::GetArtifact => &COSTS[..4],
    };
    let costs: Vec<_> = costs.iter().map(|(name, unit)| json!({ "Name": name, "Unit": unit })).collect();
    // Only one metric has two dimensions, since CloudWatch asks a price for every metric and every
    // combination of its dimensions' values.
    let requests = [json!({ "Name": "requests", "Unit": "Count" })];
    let directives = json!([
        { "Namespace": namespace, "Dimensions": [["endpoint", "status_class"]], "Metrics": requests },
        { "Namespace": namespace, "Dimensions": [["endpoint"]], "Metrics": costs },
    ]);
    Some(to_raw_value(&directives).expect("texts always serialize"))
}
