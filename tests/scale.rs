//! A long history costs no more than a short one. Requests and read units are counted; nothing is timed.

use std::collections::HashMap;

use delivery_center::list_releases;
use delivery_center::query::Query;
use delivery_center::store::Usage;
use http::HeaderMap;
use http::header::ACCEPT_ENCODING;
use serde_json::{Value, json};

use crate::support::{Tables, lines, release};

/// How many releases the long history has. Five thousand already pass an index page of 1 MB, and a test should not
/// take minutes; `DELIVERY_SCALE_RELEASES=100000` makes the history longer, and so does the benchmark.
fn releases() -> u64 {
    std::env::var("DELIVERY_SCALE_RELEASES").ok().map_or(5_000, |releases| releases.parse().unwrap())
}

fn record(number: u64) -> Value {
    let mut record = release(&format!("{number:024x}"), 1_500_000_000 + number);
    record["versionInfo"]["productName"] = json!(format!("project-{}", number % 3));
    record["versionInfo"]["workflowName"] = json!(format!("workflow-{}", number % 7));
    record["versionInfo"]["taskId"] = json!(number % 11 + 1);
    record["deployInfo"][0]["serviceName"] = json!(format!("service-{}", number % 13));
    record["deployInfo"][0]["image"] = json!(format!("registry.example.com/cart:{}", number % 4));
    record["versionInfo"]["version"] = json!(format!("1.{}", number % 5));
    record["versionInfo"]["labels"] = json!([format!("label-{}", number % 6)]);
    record["versionInfo"]["productEnvInfo"] = json!({"env_name": format!("env-{}", number % 3)});
    record["buildInfo"] = json!([{"commits": [{"commit_id": commit(number)}]}]);
    record
}

fn commit(number: u64) -> String {
    format!("{:040x}", 0x4b15_c430 + number % 7).chars().rev().collect()
}

/// Queries that the `number`th release matches: every combination of the four documented filters, each newer filter
/// alone, and each of all these within a time.
fn queries(number: u64) -> Vec<String> {
    let terms = [
        format!("projectName=project-{}", number % 3),
        format!("workflowName=workflow-{}", number % 7),
        format!("taskId={}", number % 11 + 1),
        format!("serviceName=service-{}", number % 13),
    ];
    let chosen = |mask: usize| (0..4).filter(move |bit| mask >> bit & 1 == 1);
    let documented =
        (0..16).map(|mask| chosen(mask).map(|bit| terms[bit].as_str()).collect::<Vec<_>>().join("&"));
    let others = [
        format!("image=registry.example.com/cart:{}", number % 4),
        format!("version=1.{}", number % 5),
        format!("label=label-{}", number % 6),
        format!("envName=env-{}", number % 3),
        format!("commit={}", &commit(number)[..7]),
    ];
    // Everything was created between these two.
    let between = |term: &String| format!("{term}&since=1400000000&until=1700000000");
    let within: Vec<_> = others.iter().chain(&terms).map(between).collect();
    documented.chain(others.iter().cloned()).chain(within).collect()
}

/// Calls, round trips and read units of a request.
async fn cost(tables: &Tables, query: &str) -> (u32, u32, f64) {
    let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, "gzip".parse().unwrap())]);
    let usage = Usage::default();
    let query = Query::parse(query);
    let (_, count) = list_releases::answer(&tables.store, &query, &headers, &usage).await.unwrap();
    assert_eq!(count, 20, "{query:?}");
    (usage.calls(), usage.round_trips(), usage.read_units())
}

async fn costs(tables: &Tables) -> HashMap<String, (u32, u32, f64)> {
    let mut costs = HashMap::new();
    for query in queries(5) {
        costs.insert(query.clone(), cost(tables, &format!("{query}&per_page=20")).await);
    }
    costs
}

#[tokio::test]
async fn every_filter_costs_two_round_trips_however_long_the_history() {
    let tables = Tables::empty().await;
    let releases = releases();
    let newest = |number: u64| releases - 1 - number;
    // More than twenty of the newest thousand match every combination, and each combination matches some of the
    // others.
    let record = |number: u64| {
        if number.is_multiple_of(40) { matching_all(newest(number)) } else { record(newest(number)) }
    };
    let import = async |range: std::ops::Range<u64>| {
        let records: Vec<_> = range.clone().map(record).collect();
        assert_eq!(tables.import(&lines(&records)).await.stored, range.end - range.start);
    };
    import(0..1_000).await;
    let small = costs(&tables).await;
    for start in (1_000..releases).step_by(1_000) {
        import(start..(start + 1_000).min(releases)).await;
    }
    let large = costs(&tables).await;
    for (query, (calls, round_trips, read_units)) in &large {
        assert_eq!((*calls, *round_trips), (2, 2), "{query}");
        let (_, _, before) = small[query];
        assert!(*read_units <= before * 1.15, "{query}: {read_units} read units, {before} before");
    }
}

/// A release with the id and the time of the `number`th, which all queries of [`costs`] match.
fn matching_all(number: u64) -> Value {
    let mut release = record(5);
    let id = json!(format!("{number:024x}"));
    release["versionInfo"]["id"] = id;
    release["versionInfo"]["created_at"] = json!(1_500_000_000 + number);
    release
}
