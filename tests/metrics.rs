//! The functions' log lines as CloudWatch reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use delivery_center::endpoint::Endpoint::{self, GetArtifact, ListReleases};
use serde_json::{Value, json};

use crate::function::Function;
use crate::support::{Tables, get_event};

const NAMESPACE: &str = "DeliveryCenter/test";
/// A metric as CloudWatch knows it: its name, and its dimensions with their values.
type Metric = (String, BTreeMap<String, String>);

/// An image that the samples have.
const IMAGE: &str = "image=koderover.tencentcloudcr.com/koderover-demo/picket:20211214154446-70-main-pr-736";

fn query(endpoint: Endpoint) -> &'static str {
    match endpoint {
        ListReleases => "projectName=nginx2",
        GetArtifact => IMAGE,
    }
}

/// The lines that a function logs of its requests.
async fn lines_of_requests(
    endpoint: Endpoint,
    environment: &[(&str, String)],
    events: Vec<String>,
) -> Vec<Value> {
    let mut function = Function::start(endpoint, environment).await;
    for event in events {
        function.respond(event).await;
    }
    let log = function.end().await;
    // A panic that is caught tells of itself in plain text.
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["message"] == "request").collect()
}

/// A request for every class of status, with what it is answered.
async fn events_of_every_status(tables: &Tables, endpoint: Endpoint) -> Vec<(String, u16)> {
    let event = |query: &str, headers: &[(&str, &str)]| get_event(endpoint, query, headers).to_string();
    let etag = tables.get(endpoint, query(endpoint)).await.header("ETag").unwrap().to_owned();
    let mut post = get_event(endpoint, query(endpoint), &[]);
    post["requestContext"]["http"]["method"] = json!("POST");
    let unreadable = match endpoint {
        ListReleases => "taskId=x",
        GetArtifact => "",
    };
    vec![
        (event(query(endpoint), &[]), 200),
        (event(query(endpoint), &[("if-none-match", &etag)]), 304),
        (event(unreadable, &[]), 400),
        (post.to_string(), 405),
        (event(query(endpoint), &[("host", "not a host")]), 400),
    ]
}

/// What CloudWatch takes from a line, by the specification's rules that its schema cannot tell.
fn metrics_of(line: &Value) -> BTreeMap<Metric, Value> {
    let mut metrics = BTreeMap::new();
    for directive in line["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
        assert_eq!(directive["Namespace"], NAMESPACE);
        for dimensions in directive["Dimensions"].as_array().unwrap() {
            let dimensions: BTreeMap<_, _> = dimensions
                .as_array()
                .unwrap()
                .iter()
                .map(|name| name.as_str().unwrap())
                .map(|name| (name.to_owned(), line[name].as_str().expect(name).to_owned()))
                .collect();
            for metric in directive["Metrics"].as_array().unwrap() {
                let name = metric["Name"].as_str().unwrap();
                assert!(line[name].is_number(), "{name}: {line}");
                let metric = (name.to_owned(), dimensions.clone());
                let is_new = metrics.insert(metric, line[name].clone()).is_none();
                assert!(is_new, "{name} is counted twice");
            }
        }
    }
    metrics
}

#[tokio::test]
async fn a_request_of_any_status_is_a_line_that_cloudwatch_takes_for_metrics() {
    let schema = serde_json::from_str(include_str!("embedded_metric_format.schema.json")).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let tables = Tables::with_samples().await;
    let mut environment = tables.environment();
    environment.push(("METRICS_NAMESPACE", NAMESPACE.to_owned()));
    for endpoint in Endpoint::ALL {
        let (events, statuses): (Vec<_>, Vec<_>) =
            events_of_every_status(&tables, endpoint).await.into_iter().unzip();
        let lines = lines_of_requests(endpoint, &environment, events).await;
        assert_eq!(lines.iter().map(|line| line["status"].clone()).collect::<Vec<_>>(), statuses);
        for line in &lines {
            let problems: Vec<_> = schema.iter_errors(line).map(|problem| problem.to_string()).collect();
            assert_eq!(problems, Vec::<String>::new(), "{line}");
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
            let timestamp = u128::from(line["_aws"]["Timestamp"].as_u64().unwrap());
            assert!((now - 60_000..=now).contains(&timestamp), "{line}");
            let class = format!("{}xx", line["status"].as_u64().unwrap() / 100);
            let by_class = [("endpoint", endpoint.name()), ("status_class", class.as_str())];
            let by_class = by_class.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            let metrics = metrics_of(line);
            assert_eq!(metrics[&("requests".to_owned(), by_class)], 1);
            let by_endpoint: BTreeMap<_, _> = [("endpoint".to_owned(), endpoint.name().to_owned())].into();
            for name in ["milliseconds", "bytes", "dynamodb_calls", "read_units"] {
                assert!(metrics.contains_key(&(name.to_owned(), by_endpoint.clone())), "{name}: {line}");
            }
        }
        let answered = &lines[0];
        assert!(answered["bytes"].as_f64().unwrap() > 0.0 && answered["read_units"].as_f64().unwrap() > 0.0);
    }
}

#[tokio::test]
async fn what_was_in_memory_is_counted() {
    let tables = Tables::with_samples().await;
    let mut environment = tables.environment();
    environment.push(("METRICS_NAMESPACE", NAMESPACE.to_owned()));
    let event = |query: &str| get_event(ListReleases, query, &[]).to_string();
    let events = ["projectName=nginx2", "projectName=nginx2", ""].map(event).to_vec();
    let lines = lines_of_requests(ListReleases, &environment, events).await;
    let counts: Vec<_> =
        lines.iter().map(|line| (line["count"].clone(), line["seen_before"].clone())).collect();
    assert_eq!(counts, [(json!(1), json!(0)), (json!(1), json!(1)), (json!(24), json!(1))]);
    let names: BTreeSet<_> = metrics_of(&lines[0]).into_keys().map(|(name, _)| name).collect();
    assert!(names.contains("count") && names.contains("seen_before"), "{names:?}");
}

#[tokio::test]
async fn without_a_namespace_a_line_is_no_metrics_and_without_info_there_is_none() {
    let tables = Tables::with_samples().await;
    let mut environment = tables.environment();
    environment.push(("METRICS_NAMESPACE", String::new()));
    let event = get_event(GetArtifact, IMAGE, &[]).to_string();
    let lines = lines_of_requests(GetArtifact, &environment, vec![event.clone()]).await;
    assert_eq!((lines.len(), &lines[0]["status"], lines[0].get("_aws")), (1, &json!(200), None));
    environment.push(("RUST_LOG", "warn".to_owned()));
    assert_eq!(lines_of_requests(GetArtifact, &environment, vec![event]).await, Vec::<Value>::new());
}
