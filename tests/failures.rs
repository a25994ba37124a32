//! What a caller reads when something fails. The real thing is broken, and asked through the handlers and the
//! real binaries.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use delivery_center::endpoint::Endpoint::{self, GetArtifact, ListReleases};
use delivery_center_tool::write::{Mended, Mode, Reindexed};
use futures_util::TryStreamExt as _;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::function::{Function, FunctionAnswer};
use crate::support::faulty::{Fault, FaultyProxy};
use crate::support::wire::{FaultyWire, WireFault};
use crate::support::{Answer, Tables, artifact, get_event, release};

const IMAGE: &str = "image=koderover.tencentcloudcr.com/koderover-demo/picket:20211214154446-70-main-pr-736";

fn query(endpoint: Endpoint) -> &'static str {
    match endpoint {
        ListReleases => "projectName=nginx2",
        GetArtifact => IMAGE,
    }
}

/// Checks that an answer is Zadig's error object with this status, and returns its description.
fn check(answer: &Answer, status: u16) -> String {
    assert_eq!(answer.status, status, "{}", answer.body);
    let body: serde_json::Map<String, Value> = serde_json::from_str(&answer.body).unwrap();
    let mut keys: Vec<_> = body.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["code", "description", "extra", "message", "type"]);
    assert_eq!((&body["code"], &body["extra"], &body["type"]), (&json!(status), &json!({}), &json!("error")));
    assert_eq!(answer.header("Retry-After"), (status == 503).then_some("1"));
    let message = if status == 503 { "Service Unavailable" } else { "Internal Error" };
    assert_eq!(body["message"], message);
    answer.description()
}

#[tokio::test]
async fn a_missing_table_is_named() {
    for endpoint in Endpoint::ALL {
        let tables = Tables::missing();
        let description = check(&tables.get(endpoint, query(endpoint)).await, 500);
        let table = match endpoint {
            ListReleases => &tables.names.releases,
            GetArtifact => &tables.names.artifacts,
        };
        assert!(description.contains(table) && description.contains("does not exist"), "{description}");
        let mut function = Function::start(endpoint, &tables.environment()).await;
        let answer = function.respond(get_event(endpoint, query(endpoint), &[]).to_string()).await;
        assert_eq!(check(&answer, 500), description);
        let log = function.end().await;
        assert!(log.contains("ResourceNotFoundException"), "the cause is in the log: {log}");
    }
}

#[tokio::test]
async fn an_unreachable_dynamodb_is_unavailable_and_its_address_is_not_answered() {
    let ask_twice = async |endpoint: Endpoint| {
        let tables = Tables::missing().through("http://127.0.0.1:9");
        let mut function = Function::start(endpoint, &tables.environment()).await;
        let event = get_event(endpoint, query(endpoint), &[]).to_string();
        let description = check(&function.respond(event.clone()).await, 503);
        assert!(
            description.contains("could not be reached") && !description.contains("127.0.0.1"),
            "{description}"
        );
        check(&function.respond(event).await, 503);
        function.end().await;
    };
    join_all(Endpoint::ALL.map(ask_twice)).await;
}

#[tokio::test]
async fn throttling_that_passes_is_not_noticed_and_lasting_throttling_is_unavailable() {
    let tables = Tables::with_samples().await;
    let ask = async |(endpoint, fault): (Endpoint, Fault)| {
        let passing = fault.clone();
        let proxy = FaultyProxy::start(&tables.endpoint_url, move |_, number| {
            if number % 3 == 0 || matches!(passing, Fault::Garbage) { Fault::None } else { passing.clone() }
        })
        .await;
        let passed = tables.through(&proxy.endpoint_url).get(endpoint, query(endpoint)).await;
        assert_eq!(passed.status, 200, "{fault:?}");
        let proxy = FaultyProxy::start(&tables.endpoint_url, move |_, _| fault.clone()).await;
        check(&tables.through(&proxy.endpoint_url).get(endpoint, query(endpoint)).await, 503);
    };
    let faults =
        [Fault::Throttle, Fault::InternalError, Fault::Refuse("ThrottlingException"), Fault::Garbage];
    let of_endpoint = |endpoint| faults.iter().map(move |fault| (endpoint, fault.clone()));
    // All at once, since each waits between its attempts.
    join_all(Endpoint::ALL.into_iter().flat_map(of_endpoint).map(ask)).await;
}

#[tokio::test]
async fn what_passes_on_the_way_to_dynamodb_is_not_noticed_and_what_lasts_is_unavailable() {
    let tables = Tables::with_samples().await;
    let ask = async |(endpoint, fault): (Endpoint, WireFault)| {
        let passing = move |_, number| if number % 3 == 0 { WireFault::None } else { fault };
        let wire = FaultyWire::start(&tables.endpoint_url, passing).await;
        let passed = tables.through(&wire.endpoint_url).get(endpoint, query(endpoint)).await;
        assert_eq!(passed.status, 200, "{fault:?}: {}", passed.body);
        let wire = FaultyWire::start(&tables.endpoint_url, move |_, _| fault).await;
        check(&tables.through(&wire.endpoint_url).get(endpoint, query(endpoint)).await, 503);
    };
    let faults = [
        WireFault::Closed,
        WireFault::Reset,
        WireFault::CutInHead,
        WireFault::CutInBody,
        WireFault::NoHttp,
        WireFault::Error(400, "RequestTimeout", "made up"),
        WireFault::Error(400, "Throttling", "made up"),
        WireFault::Error(429, "", "made up"),
        WireFault::Error(400, "InvalidSignatureException", "Signature expired: 20261130T010203Z is now …"),
        WireFault::Error(400, "InvalidSignatureException", "Signature not yet current: 20261130T010203Z …"),
    ];
    let of_endpoint = |endpoint| faults.iter().map(move |fault| (endpoint, *fault));
    // All at once, since each waits between its attempts.
    join_all(Endpoint::ALL.into_iter().flat_map(of_endpoint).map(ask)).await;
}

/// DynamoDB's code for it is that of a signature that is too old.
#[tokio::test]
async fn a_wrong_signature_is_denied_after_one_attempt() {
    let tables = Tables::with_samples().await;
    let told = "The request signature we calculated does not match the signature you provided.";
    let wrong = WireFault::Error(400, "InvalidSignatureException", told);
    let wire = FaultyWire::start(
        &tables.endpoint_url,
        move |_, number| {
            if number == 1 { wrong } else { WireFault::None }
        },
    )
    .await;
    let answer = tables.through(&wire.endpoint_url).get(ListReleases, "").await;
    assert!(check(&answer, 500).contains("is denied"), "{}", answer.body);
}

#[tokio::test]
async fn throttled_documents_are_unavailable_and_not_left_out() {
    let tables = Tables::with_samples().await;
    for fault in [Fault::Throttle, Fault::ProcessAtMost(0)] {
        let proxy = FaultyProxy::start(&tables.endpoint_url, move |operation, _| {
            if operation == "BatchGetItem" { fault.clone() } else { Fault::None }
        })
        .await;
        let description = check(&tables.through(&proxy.endpoint_url).get(ListReleases, "").await, 503);
        assert!(description.contains("is throttled"), "{description}");
    }
}

#[tokio::test]
async fn denied_access_is_an_error_that_names_the_table() {
    let tables = Tables::with_samples().await;
    for endpoint in Endpoint::ALL {
        for kind in ["AccessDeniedException", "UnrecognizedClientException", "ExpiredTokenException"] {
            let proxy = FaultyProxy::start(&tables.endpoint_url, move |_, _| Fault::Refuse(kind)).await;
            let description =
                check(&tables.through(&proxy.endpoint_url).get(endpoint, query(endpoint)).await, 500);
            assert!(description.contains("denied"), "{kind}: {description}");
        }
        let proxy =
            FaultyProxy::start(&tables.endpoint_url, |_, _| Fault::Refuse("ValidationException")).await;
        let description =
            check(&tables.through(&proxy.endpoint_url).get(endpoint, query(endpoint)).await, 500);
        assert!(description.contains("refused") && !description.contains("made up"), "{description}");
    }
}

#[tokio::test]
async fn a_function_without_credentials_says_so_in_its_log() {
    let told = [("AWS_SECRET_ACCESS_KEY", "environment variable not set"), ("AWS_REGION", "region")];
    for (missing, told) in told {
        let tables = Tables::with_samples().await;
        let environment: Vec<_> =
            tables.environment().into_iter().filter(|(name, _)| *name != missing).collect();
        let mut function = Function::start(ListReleases, &environment).await;
        let answer = function.respond(get_event(ListReleases, "", &[]).to_string()).await;
        check(&answer, 500);
        let log = function.end().await;
        assert!(log.contains(told), "{log}");
    }
}

#[tokio::test]
async fn a_function_whose_runtime_api_goes_behind_an_answer_ends_in_silence() {
    let tables = Tables::with_samples().await;
    for is_asked in [true, false] {
        let mut function = Function::start(GetArtifact, &tables.environment()).await;
        if is_asked {
            let event = get_event(GetArtifact, query(GetArtifact), &[]).to_string();
            assert_eq!(function.respond(event).await.status, 200);
        }
        let (ended_well, log) = function.lose_its_api().await;
        assert_eq!((ended_well, log.contains("the function ends")), (is_asked, !is_asked), "{log}");
    }
}

#[tokio::test]
async fn a_slow_dynamodb_is_unavailable_before_the_functions_time_is_up() {
    let tables = Tables::with_samples().await;
    // A function opens its connection with its first call, during init; that of the second function is slow,
    // too.
    let ask = async |(time, slow_from): (Duration, u64)| {
        let slow = FaultyProxy::start(&tables.endpoint_url, move |_, number| {
            if number < slow_from { Fault::None } else { Fault::Delay(Duration::from_secs(30)) }
        })
        .await;
        let environment = tables.through(&slow.endpoint_url).environment();
        let mut function = Function::start_with_time(ListReleases, &environment, time).await;
        // A request that needs no DynamoDB is answered, so the function has started.
        let unreadable = get_event(ListReleases, "taskId=x", &[]).to_string();
        assert_eq!(function.respond(unreadable).await.status, 400);
        let started = Instant::now();
        check(&function.respond(get_event(ListReleases, "", &[]).to_string()).await, 503);
        assert!(started.elapsed() < time, "{:?} of {time:?}", started.elapsed());
        function.end().await;
    };
    join_all([(Duration::from_secs(15), 2), (Duration::from_secs(3), 1)].map(ask)).await;
}

/// Flips one byte of a stored document.
async fn spoil(tables: &Tables, table: &str, attribute: &str) {
    let mut spoiled = 0;
    for mut item in tables.items(table).await {
        let Some(AttributeValue::B(bytes)) = item.get(attribute) else { continue };
        let mut bytes = bytes.as_ref().to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        item.insert(attribute.to_owned(), AttributeValue::B(Blob::new(bytes)));
        tables.put_item(table, item).await;
        spoiled += 1;
    }
    assert_eq!(spoiled, 1);
}

#[tokio::test]
async fn a_spoiled_document_is_an_error_that_names_it_in_every_encoding() {
    for attribute in ["brief", "rest"] {
        let tables = Tables::empty().await;
        tables.import(&release("r1", 1).to_string()).await;
        spoil(&tables, &tables.names.releases, attribute).await;
        tables.import(&release("r2", 2).to_string()).await;
        for headers in [&[("accept-encoding", "gzip")][..], &[]] {
            let description = check(&tables.get_with(ListReleases, "", headers).await, 500);
            assert!(
                description.contains("release \"r1\"") && description.contains(&tables.names.releases),
                "{description}"
            );
        }
        let brief = tables.get(ListReleases, "verbosity=brief").await;
        assert_eq!(brief.status, if attribute == "brief" { 500 } else { 200 });
    }
    let tables = Tables::empty().await;
    let records = format!("{}\n{}", artifact("a1", "i:1", "", 1), release("r1", 1));
    tables.import(&records).await;
    spoil(&tables, &tables.names.artifacts, "document").await;
    for headers in [&[("accept-encoding", "gzip")][..], &[]] {
        let description = check(&tables.get_with(GetArtifact, "image=i:1", headers).await, 500);
        assert!(description.contains("artifact \"a1\""), "{description}");
    }
    spoil(&tables, &tables.names.releases, "rest").await;
    assert_eq!(tables.import(&records).await.unchanged, 2, "what describes the documents is as it was");
    assert_eq!(tables.try_import(&records, Mode::Rewrite).await.0.unwrap().stored, 2);
    assert_eq!(tables.get(GetArtifact, "image=i:1").await.status, 200, "rewriting mends it");
    assert_eq!(tables.get(ListReleases, "").await.release_ids(), ["r1"]);
}

#[tokio::test]
async fn an_entry_that_this_service_did_not_write_is_an_error_that_names_it() {
    let tables = Tables::empty().await;
    tables.import(&release("r1", 1).to_string()).await;
    for (attribute, value) in [
        ("lengths", AttributeValue::S("1,2".to_owned())),
        ("revision", AttributeValue::N("1".to_owned())),
        ("position", AttributeValue::S("yesterday#r1".to_owned())),
    ] {
        let items = tables.items(&tables.names.releases).await;
        for mut item in items.clone() {
            if item["entry"].as_s().unwrap().starts_with("facet#") {
                item.insert(attribute.to_owned(), value.clone());
                tables.put_item(&tables.names.releases, item).await;
            }
        }
        let description = check(&tables.get(ListReleases, "").await, 500);
        assert!(description.contains("r1") || description.contains("all"), "{description}");
        for item in items {
            tables.put_item(&tables.names.releases, item).await;
        }
    }
    assert_eq!(tables.get(ListReleases, "").await.release_ids(), ["r1"]);
}

/// What an earlier version found releases by may be found wrongly now.
#[tokio::test]
async fn a_release_that_an_earlier_version_stored_is_an_error_that_says_what_to_do() {
    let tables = Tables::empty().await;
    tables.import(&release("r1", 1).to_string()).await;
    for mut item in tables.items(&tables.names.releases).await {
        let older = item.get("lengths").map(|lengths| lengths.as_s().unwrap().replacen("2:", "1:", 1));
        if let Some(older) = older {
            item.insert("lengths".to_owned(), AttributeValue::S(older));
            tables.put_item(&tables.names.releases, item).await;
        }
    }
    for query in ["", "taskId=1", "projectName=p&taskId=1"] {
        let description = check(&tables.get(ListReleases, query).await, 500);
        assert!(description.contains("release \"r1\"") && description.contains("export"), "{description}");
    }
}

#[tokio::test]
async fn garbage_never_ends_a_function_and_is_never_a_bare_failure() {
    let tables = Tables::with_samples().await;
    let request = |query: &str| get_event(ListReleases, query, &[]).to_string();
    let huge = "x".repeat(1 << 20);
    let mut deep = "[".repeat(5000);
    deep.push_str(&"]".repeat(5000));
    let mut events: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"{".to_vec(),
        b"null".to_vec(),
        b"\"text\"".to_vec(),
        b"\xff\xfe\x00".to_vec(),
        b"{\"version\":\"2.0\",\"rawPath\":\"\xff\"}".to_vec(),
        deep.into_bytes(),
    ];
    // These end as Lambda errors. The events from here on are HTTP events, and none of them may.
    let not_http_events = events.len();
    events.extend([
        br#"{"version":"2.0","rawPath":"/","requestContext":{"http":{"method":7}}}"#.to_vec(),
        br#"{"version":"2.0","rawPath":"/","headers":[],"requestContext":{"http":{"method":"GET"}}}"#
            .to_vec(),
        br#"{"httpMethod":"GET","path":"/\ud800","requestContext":{}}"#.to_vec(),
    ]);
    for name in [
        "projectName",
        "workflowName",
        "taskId",
        "serviceName",
        "after",
        "page",
        "per_page",
        "image",
        "verbosity",
    ] {
        for value in [
            &huge,
            "%00",
            "%ff%fe",
            "%zz",
            "%F0%9F%98%80",
            "a%00b",
            "-",
            "+",
            "%2B",
            "999999999999999999999999",
        ] {
            events.push(request(&format!("{name}={value}")).into_bytes());
        }
    }
    for endpoint in Endpoint::ALL {
        let mut function = Function::start(endpoint, &tables.environment()).await;
        for (number, event) in events.iter().enumerate() {
            let event =
                String::from_utf8_lossy(event).replace(ListReleases.path(), endpoint.path()).into_bytes();
            match function.invoke(event.clone()).await {
                FunctionAnswer::Response(json) => {
                    assert!(number >= not_http_events, "{}", String::from_utf8_lossy(&event));
                    let status = Answer::from_lambda_json(&json).status;
                    assert!(matches!(status, 200 | 400 | 404), "{status}");
                }
                FunctionAnswer::Failure(failure) => {
                    assert!(number < not_http_events, "{failure}: {}", String::from_utf8_lossy(&event));
                }
            }
        }
        let answer = function.respond(get_event(endpoint, query(endpoint), &[]).to_string()).await;
        assert_eq!(answer.status, 200, "the function still answers");
        function.end().await;
    }
}

#[tokio::test]
async fn a_request_is_one_log_line_without_its_body_or_a_credential() {
    let tables = Tables::with_samples().await;
    let mut environment = tables.environment();
    environment.push(("RUST_LOG", "info".to_owned()));
    let mut function = Function::start(ListReleases, &environment).await;
    function
        .respond(
            get_event(ListReleases, "projectName=nginx2", &[("authorization", "Bearer secret")]).to_string(),
        )
        .await;
    let log = function.end().await;
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let requests: Vec<_> = lines.iter().filter(|line| line["message"] == "request").collect();
    assert_eq!(requests.len(), 1);
    let expected = [
        ("request_id", json!("8476a536-e9f4-11e8-9739-2dfe598c3fcd")),
        ("status", json!(200)),
        ("subject", json!("project=nginx2")),
        ("count", json!(1)),
        ("round_trips", json!(2)),
        ("dynamodb_calls", json!(2)),
        ("seen_before", json!(0)),
        ("level", json!("INFO")),
    ];
    for (name, value) in expected {
        assert_eq!(requests[0][name], value, "{name}");
    }
    for name in ["bytes", "read_units", "milliseconds"] {
        assert!(requests[0][name].as_f64().unwrap() > 0.0, "{name}");
    }
    assert!(!log.contains("secret") && !log.contains("NodePort"), "{log}");
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_not_in_the_log() {
    let tables = Tables::with_samples().await;
    for (endpoint, broken) in
        [(ListReleases, "Query"), (ListReleases, "BatchGetItem"), (GetArtifact, "Query")]
    {
        let proxy = FaultyProxy::start(&tables.endpoint_url, move |operation, _| {
            if operation == broken { Fault::CutOff("what-a-record-holds") } else { Fault::None }
        })
        .await;
        let mut environment = tables.through(&proxy.endpoint_url).environment();
        environment.push(("RUST_LOG", "info".to_owned()));
        let mut function = Function::start(endpoint, &environment).await;
        let answer = function.respond(get_event(endpoint, query(endpoint), &[]).to_string()).await;
        check(&answer, 503);
        let log = function.end().await;
        assert!(log.contains("unavailable") && !log.contains("what-a-record-holds"), "{log}");
    }
}

#[tokio::test]
async fn the_log_line_names_what_was_asked_for_whatever_the_answer() {
    let tables = Tables::with_samples().await;
    let (missing, unreachable) = (Tables::missing(), tables.through("http://127.0.0.1:9").environment());
    let oversized = "x".repeat(5000);
    let long_project = format!("projectName={oversized}");
    let long_task = format!("taskId={oversized}");
    let cut_project = format!("project={}", "x".repeat(292));
    let cut_query = format!("\"taskId={}\"", "x".repeat(193));
    let cases = [
        (
            ListReleases,
            tables.environment(),
            "taskId=x&projectName=a/b",
            400,
            "\"taskId=x&projectName=a%2Fb\"",
        ),
        (ListReleases, tables.environment(), long_task.as_str(), 400, cut_query.as_str()),
        (ListReleases, tables.environment(), long_project.as_str(), 200, cut_project.as_str()),
        (GetArtifact, tables.environment(), "image=i:none", 404, "i:none"),
        (GetArtifact, tables.environment(), "", 400, "\"\""),
        (ListReleases, missing.environment(), "serviceName=cart", 500, "service=cart"),
        (GetArtifact, unreachable, "image=i:none", 503, "i:none"),
    ];
    for (endpoint, mut environment, query, status, subject) in cases {
        environment.push(("RUST_LOG", "info".to_owned()));
        let mut function = Function::start(endpoint, &environment).await;
        assert_eq!(
            function.respond(get_event(endpoint, query, &[]).to_string()).await.status,
            status,
            "{query}"
        );
        let log = function.end().await;
        let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let request = lines.into_iter().find(|line| line["message"] == "request").unwrap();
        assert_eq!(request["subject"], subject, "{query}");
    }
}

#[tokio::test]
async fn an_answer_without_its_members_is_unavailable_and_not_an_empty_table() {
    let tables = Tables::with_samples().await;
    for (endpoint, broken) in
        [(ListReleases, "Query"), (ListReleases, "BatchGetItem"), (GetArtifact, "Query")]
    {
        let proxy = FaultyProxy::start(&tables.endpoint_url, move |operation, _| {
            if operation == broken { Fault::Nothing } else { Fault::None }
        })
        .await;
        let description =
            check(&tables.through(&proxy.endpoint_url).get(endpoint, query(endpoint)).await, 503);
        assert!(description.contains("cannot be read"), "{description}");
    }
}

#[tokio::test]
async fn a_release_whose_documents_are_gone_is_an_error_that_names_it_and_reindexing_removes_its_entries() {
    let tables = Tables::empty().await;
    tables.import(&format!("{}\n{}", release("r1", 1), release("r2", 2))).await;
    let key = |name: &str| AttributeValue::S(name.to_owned());
    let delete = tables.client.delete_item().table_name(&tables.names.releases);
    delete.key("release_id", key("r1")).key("entry", key("release")).send().await.unwrap();
    let description = check(&tables.get(ListReleases, "").await, 500);
    assert!(description.contains("release \"r1\"") && description.contains("reindex"), "{description}");
    let Reindexed::Dangling(removed) = tables.writer.reindex_release("r1", Mode::Write).await.unwrap() else {
        panic!("there is no such release")
    };
    assert_eq!(removed, 8 + 2 + 2, "entries for its names, its task, its version and its image");
    assert_eq!(tables.get(ListReleases, "").await.release_ids(), ["r2"]);
}

#[tokio::test]
async fn a_cancelled_transaction_is_tried_again_and_one_that_is_always_cancelled_ends_the_import_alone() {
    for reason in ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"] {
        let tables = Tables::empty().await;
        let proxy = FaultyProxy::start(&tables.endpoint_url, move |_, number| {
            if number <= 3 { Fault::Cancel(reason) } else { Fault::None }
        })
        .await;
        let records = format!("{}\n{}", release("r1", 1), artifact("a1", "i:1", "", 1));
        let summary = tables.through(&proxy.endpoint_url).import(&records).await;
        assert_eq!((summary.stored, summary.refused), (2, 0), "{reason}");
        assert_eq!(tables.get(ListReleases, "").await.release_ids(), ["r1"]);
        assert_eq!(tables.get(GetArtifact, "image=i:1").await.status, 200);
    }
}

#[tokio::test]
async fn a_spoiled_pointer_costs_nothing_and_is_mended() {
    for mending in ["import", "reindex"] {
        let tables = Tables::empty().await;
        let records = format!("{}\n{}", artifact("a1", "i:1", "", 1), artifact("a2", "i:2", "", 1));
        tables.import(&records).await;
        let whole = tables.dump(&tables.names.artifacts).await;
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let put = tables.client.put_item().table_name(&tables.names.artifacts);
        let put = put.item("image_digest", text("id:a1")).item("entry", text("pointer"));
        put.item("artifact_digest", AttributeValue::Bool(true)).send().await.unwrap();
        assert_eq!(tables.get(GetArtifact, "image=i:1").await.json()["id"], "a1");
        if mending == "import" {
            let summary = tables.import(&records).await;
            assert_eq!((summary.stored, summary.unchanged), (1, 1));
        } else {
            let mut mended = 0;
            let entries: Vec<_> = tables.writer.artifact_entries().try_collect().await.unwrap();
            for entry in entries {
                let found = tables.writer.mend_artifact_entry(&entry, Mode::Write).await.unwrap();
                mended += u32::from(found == Mended::Artifact);
            }
            assert_eq!(mended, 1);
        }
        assert_eq!(tables.dump(&tables.names.artifacts).await, whole, "{mending}");
    }
}
