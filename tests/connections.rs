//! Connections that died while a function slept: the next request is answered, since new ones work.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use delivery_center::endpoint::Endpoint::{self, GetArtifact, ListReleases};
use futures_util::future::join_all;
use serde_json::json;

use crate::function::Function;
use crate::support::wire::{FaultyWire, WireFault};
use crate::support::{Tables, artifact, get_event, lines, release};

/// How many environments an artifact was deployed to: as many look-ups are made side by side.
const ENVIRONMENTS: u64 = 8;

/// A release, and an artifact that runs in some environments.
async fn deployed() -> Tables {
    let tables = Tables::empty().await;
    let mut deployed = artifact("a1", "reg/app:1", "", 1);
    let deploy = |number| {
        json!({
            "artifact_id": "a1", "type": "deploy", "env_name": format!("env-{number}"), "created_by": "ci",
            "created_time": number,
        })
    };
    deployed["activities"] = (1..=ENVIRONMENTS).map(deploy).collect();
    let stored = tables.import(&lines([&release("r1", 1), &deployed])).await.stored;
    assert_eq!(stored, 2);
    tables
}

#[tokio::test]
async fn connections_that_died_while_the_function_slept_cost_no_answer() {
    let tables = deployed().await;
    // How many of the connections that the function has then are dead, counted from the newest: the next
    // request begins with that.
    let one = 1;
    let all = u64::MAX;
    let ask = async |endpoint: Endpoint, fault: WireFault, dies: u64| {
        let alive: Arc<AtomicU64> = Arc::new(AtomicU64::new(0));
        let asleep: Arc<AtomicU64> = Arc::default();
        let (alive_below, dead_below) = (Arc::clone(&alive), Arc::clone(&asleep));
        let is_dead = move |connection| {
            connection <= dead_below.load(Ordering::Relaxed)
                && connection > alive_below.load(Ordering::Relaxed)
        };
        let plan = move |connection, _| if is_dead(connection) { fault } else { WireFault::None };
        let wire = FaultyWire::start(&tables.endpoint_url, plan).await;
        let mut function = Function::start(endpoint, &tables.through(&wire.endpoint_url).environment()).await;
        let query = match endpoint {
            ListReleases => "",
            GetArtifact => "image=reg/app:1&include=environments",
        };
        let event = get_event(endpoint, query, &[]).to_string();
        let warm = function.respond(event.clone()).await;
        assert_eq!(warm.status, 200, "{}", warm.body);
        let connections = wire.connections();
        assert!(endpoint == ListReleases || connections >= ENVIRONMENTS, "{connections} connections");
        alive.store(connections.saturating_sub(dies), Ordering::Relaxed);
        asleep.store(connections, Ordering::Relaxed);
        let started = Instant::now();
        let answer = function.respond(event).await;
        let case = format!("{endpoint:?}, {fault:?}, {dies} of {connections}");
        assert_eq!((answer.status, &answer.body), (200, &warm.body), "{case}");
        assert!(started.elapsed() < Duration::from_secs(8), "{case}: {:?}", started.elapsed());
        function.end().await;
    };
    let faults = [WireFault::Closed, WireFault::Reset, WireFault::Silent];
    let of_fault = |fault| {
        [(GetArtifact, all), (GetArtifact, one), (ListReleases, all)]
            .map(|(endpoint, dies)| ask(endpoint, fault, dies))
    };
    // All at once, since each waits between its attempts.
    join_all(faults.into_iter().flat_map(of_fault)).await;
}
