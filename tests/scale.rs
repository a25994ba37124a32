//! A long history costs no more than a short one. Requests and read units are counted; nothing is timed.

use std::collections::HashMap;

use delivery_center::list_releases::ListRequest;
use delivery_center::query::Query;
use delivery_center::store::Usage;
use http::HeaderMap;
use http::header::ACCEPT_ENCODING;
use serde_json::{Value, json};

use crate::support::{Tables, lines, number_of, release};

/// How many releases the short history has: more than twenty of them match what is asked.
const SHORT: u64 = 500;
/// How many workflows there are. A workflow's tasks are numbered from 1, so that each number is that of a
/// release in each workflow.
const WORKFLOWS: u64 = 7;

fn record(number: u64) -> Value {
    let mut record = release(&format!("{number:024x}"), 1_500_000_000 + number);
    record["versionInfo"]["productName"] = json!(format!("project-{}", number % 3));
    record["versionInfo"]["workflowName"] = json!(format!("workflow-{}", number % WORKFLOWS));
    record["versionInfo"]["taskId"] = json!(number / WORKFLOWS + 1);
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

/// Queries that the `number`th release matches: every combination of the four documented filters, each newer
/// filter alone, and each of all these within a time.
fn queries(number: u64) -> Vec<String> {
    let terms = [
        format!("projectName=project-{}", number % 3),
        format!("workflowName=workflow-{}", number % WORKFLOWS),
        format!("taskId={}", number / WORKFLOWS + 1),
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
    let (query_read, usage) = (Query::parse(query), Usage::default());
    let request = ListRequest::read(&query_read, &headers).unwrap();
    let (_, count) = request.answer(&tables.store, &usage).await.unwrap();
    let found = if query.contains("taskId") { 1..=WORKFLOWS } else { 20..=20 };
    assert!(found.contains(&(count as u64)), "{query}: {count}");
    (usage.calls(), usage.round_trips(), usage.read_units())
}

async fn costs(tables: &Tables, newest: u64) -> HashMap<String, (u32, u32, f64)> {
    let mut costs = HashMap::new();
    for query in queries(newest) {
        costs.insert(query.clone(), cost(tables, &format!("{query}&per_page=20")).await);
    }
    costs
}

#[tokio::test]
async fn every_filter_costs_two_round_trips_however_long_the_history() {
    let tables = Tables::empty().await;
    let newest = number_of("SCALE_RELEASES", 2_000) - 1;
    // The newest ones first. Each filter matches some of them all, and what names no task matches every
    // twentieth.
    let record = |number: u64| {
        let mut record = record(newest - number);
        if number.is_multiple_of(20) {
            let (own, all) = (record["versionInfo"].take(), self::record(newest));
            record = all;
            for name in ["id", "created_at", "taskId"] {
                record["versionInfo"][name] = own[name].clone();
            }
        }
        record
    };
    let import = async |range: std::ops::Range<u64>| {
        let records: Vec<_> = range.clone().map(record).collect();
        assert_eq!(tables.import(&lines(&records)).await.stored, range.end - range.start);
    };
    import(0..SHORT).await;
    let short = costs(&tables, newest).await;
    for start in (SHORT..=newest).step_by(1_000) {
        import(start..(start + 1_000).min(newest + 1)).await;
    }
    for (query, (calls, round_trips, read_units)) in costs(&tables, newest).await {
        assert_eq!((calls, round_trips), (2, 2), "{query}");
        let (_, _, before) = short[&query];
        assert!(read_units <= before * 1.15, "{query}: {read_units} read units, {before} before");
    }
}
