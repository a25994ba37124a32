//! The functions' log lines as CloudWatch reads them, and the template's dashboard and alarms, which use the
//! metrics in these lines and those of AWS.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use delivery_center::endpoint::Endpoint::{self, GetArtifact, ListReleases};
use serde_json::{Value, json};

use crate::function::Function;
use crate::support::{Tables, get_event};

const NAMESPACE: &str = "DeliveryCenter/test";
/// How many metrics CloudWatch asks a price for; `docs/operating-metrics.md` names the number.
const MOST_METRICS: usize = 18;

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
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect(line));
    lines.filter(|line| line["message"] == "request").collect()
}

/// A request for every class of status, with the status of its answer.
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
        (event(query(endpoint), &[("accept-encoding", "two\nlines")]), 400),
    ]
}

/// The metrics that CloudWatch takes from a line. This checks the rules of the specification that its schema
/// does not have.
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

/// All metrics that a function may write, from what it wrote for a request of every status.
async fn all_metrics(endpoint: Endpoint) -> BTreeSet<Metric> {
    let tables = Tables::with_samples().await;
    let mut environment = tables.environment();
    environment.push(("METRICS_NAMESPACE", NAMESPACE.to_owned()));
    let events = events_of_every_status(&tables, endpoint).await.into_iter().map(|(event, _)| event);
    let mut lines = lines_of_requests(endpoint, &environment, events.collect()).await;
    let mut missing = Tables::missing().through(&tables.endpoint_url).environment();
    missing.push(("METRICS_NAMESPACE", NAMESPACE.to_owned()));
    let event = get_event(endpoint, query(endpoint), &[]).to_string();
    lines.extend(lines_of_requests(endpoint, &missing, vec![event]).await);
    lines.iter().flat_map(|line| metrics_of(line).into_keys()).collect()
}

#[tokio::test]
async fn a_request_of_any_status_logs_a_line_from_which_cloudwatch_takes_metrics() {
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
async fn releases_that_were_in_memory_are_counted() {
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
async fn without_a_namespace_a_line_has_no_metrics_and_at_warn_there_is_no_line() {
    let tables = Tables::with_samples().await;
    let mut environment = tables.environment();
    environment.push(("METRICS_NAMESPACE", String::new()));
    let event = get_event(GetArtifact, IMAGE, &[]).to_string();
    let lines = lines_of_requests(GetArtifact, &environment, vec![event.clone()]).await;
    assert_eq!((lines.len(), &lines[0]["status"], lines[0].get("_aws")), (1, &json!(200), None));
    environment.push(("RUST_LOG", "warn".to_owned()));
    assert_eq!(lines_of_requests(GetArtifact, &environment, vec![event]).await, Vec::<Value>::new());
}

fn template() -> serde_yaml_ng::Value {
    serde_yaml_ng::from_str(include_str!("../template.yaml")).unwrap()
}

/// The template of the alarms and the dashboard.
fn monitoring() -> serde_yaml_ng::Value {
    serde_yaml_ng::from_str(include_str!("../monitoring.yaml")).unwrap()
}

/// A value without its CloudFormation tag.
fn untagged(value: &serde_yaml_ng::Value) -> &serde_yaml_ng::Value {
    match value {
        serde_yaml_ng::Value::Tagged(tagged) => &tagged.value,
        value => value,
    }
}

#[tokio::test]
async fn the_dashboard_shows_every_metric_of_the_functions_and_none_that_they_do_not_write() {
    let mut written = BTreeSet::new();
    for endpoint in Endpoint::ALL {
        written.extend(all_metrics(endpoint).await);
    }
    assert_eq!(written.len(), MOST_METRICS);
    let template = template();
    let namespace = &template["Globals"]["Function"]["Environment"]["Variables"]["METRICS_NAMESPACE"];
    assert_eq!(untagged(&untagged(namespace)[1]), "DeliveryCenter/${AWS::StackName}");
    let monitoring = monitoring();
    let body = untagged(&monitoring["Resources"]["Dashboard"]["Properties"]["DashboardBody"]);
    let body: Value = serde_json::from_str(body.as_str().unwrap()).unwrap();
    let mut shown = BTreeSet::new();
    for widget in body["widgets"].as_array().unwrap() {
        for metric in widget["properties"]["metrics"].as_array().unwrap() {
            let words: Vec<_> = metric.as_array().unwrap().iter().filter_map(Value::as_str).collect();
            if words[0] == "DeliveryCenter/${StackName}" {
                let dimensions = words[2..].chunks(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned()));
                shown.insert((words[1].to_owned(), dimensions.collect()));
            }
        }
    }
    assert_eq!(shown, written);
}

#[test]
fn every_function_table_and_index_is_watched() {
    let (template, monitoring) = (template(), monitoring());
    let resources = template["Resources"].as_mapping().unwrap();
    // What the alarms are about has one name in both templates.
    for (name, value) in resources["Monitoring"]["Properties"]["Parameters"].as_mapping().unwrap() {
        let name = name.as_str().unwrap();
        let expected = if name == "StackName" { "AWS::StackName" } else { name };
        assert_eq!(untagged(value), expected);
    }
    let watching = monitoring["Resources"].as_mapping().unwrap();
    let alarms: Vec<_> =
        watching.values().filter(|resource| resource["Type"] == "AWS::CloudWatch::Alarm").collect();
    for alarm in &alarms {
        assert_eq!(alarm["Condition"], "MakeAlarms");
        for actions in ["AlarmActions", "OKActions"] {
            assert_eq!(untagged(&alarm["Properties"][actions][0]), "AlarmTopicArn");
        }
    }
    let watched: BTreeSet<_> = alarms
        .iter()
        .filter_map(|alarm| {
            let metric = alarm["Properties"]["MetricName"].as_str()?;
            let dimensions = alarm["Properties"]["Dimensions"].as_sequence().unwrap().iter();
            let values = dimensions.map(|dimension| untagged(&dimension["Value"]).as_str().unwrap());
            Some(std::iter::once(metric).chain(values).collect::<Vec<_>>().join(" "))
        })
        .collect();
    let mut expected = BTreeSet::from(["5xx Api".to_owned()]);
    for (name, resource) in resources {
        let name = name.as_str().unwrap();
        match resource["Type"].as_str().unwrap() {
            "AWS::Serverless::Function" => {
                expected.extend([format!("Errors {name}"), format!("Duration {name}")]);
            }
            "AWS::DynamoDB::Table" => {
                expected.insert(format!("ReadThrottleEvents {name}"));
                for index in resource["Properties"]["GlobalSecondaryIndexes"].as_sequence().unwrap() {
                    expected.insert(format!(
                        "ReadThrottleEvents {name} {}",
                        index["IndexName"].as_str().unwrap()
                    ));
                }
            }
            _ => {}
        }
    }
    assert_eq!(watched, expected);
    assert_eq!(alarms.len(), expected.len() + 1, "and how many functions run at once");
    let timeout = template["Globals"]["Function"]["Timeout"].as_u64().unwrap();
    for endpoint in ["ListReleases", "GetArtifact"] {
        let threshold = &watching[format!("{endpoint}DurationAlarm")]["Properties"]["Threshold"];
        assert_eq!(threshold.as_u64(), Some(timeout * 1000 * 4 / 5), "{endpoint}");
    }
}
