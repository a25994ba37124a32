//! `export` and `reindex`: what is stored comes out as it is answered, and is found as it should be.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use aws_sdk_dynamodb::types::AttributeValue;
use delivery_center::event::Event;
use delivery_center::invocation::{self, Endpoint, Invocation};
use delivery_center::store::TableNames;
use delivery_center_tool::embedded::EmbeddedDynamoDb;
use delivery_center_tool::table_definitions::definitions;
use serde_json::{Value, json};

const SAMPLES: [&str; 4] = [
    "samples/reference-release.json",
    "samples/reference-artifact.json",
    "samples/releases.jsonl",
    "samples/artifacts.jsonl",
];

/// An embedded DynamoDB with both tables.
struct Tables {
    dynamodb: EmbeddedDynamoDb,
    names: TableNames,
}

impl Tables {
    async fn new() -> Self {
        let dynamodb = EmbeddedDynamoDb::start("127.0.0.1:0".parse().unwrap(), None).unwrap();
        let names = TableNames { releases: "releases".to_owned(), artifacts: "artifacts".to_owned() };
        for table in definitions(&names).unwrap() {
            table.create(&dynamodb.client()).await.unwrap();
        }
        Self { dynamodb, names }
    }

    /// Runs the tool, which must succeed; what it prints.
    fn tool(&self, arguments: &[&str], input: &str) -> String {
        let mut tool = Command::new(env!("CARGO_BIN_EXE_delivery-center"))
            .env_clear()
            .env("AWS_ENDPOINT_URL_DYNAMODB", self.dynamodb.endpoint_url())
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "local")
            .env("AWS_SECRET_ACCESS_KEY", "local")
            .env("RELEASES_TABLE", &self.names.releases)
            .env("ARTIFACTS_TABLE", &self.names.artifacts)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        tool.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = tool.wait_with_output().unwrap();
        assert!(output.status.success(), "{arguments:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    async fn get(&self, endpoint: Endpoint, query: &str) -> String {
        let store = self.dynamodb.store(self.names.clone());
        let event = json!({
            "version": "2.0", "rawPath": endpoint.path(), "rawQueryString": query, "headers": {},
            "requestContext": { "stage": "$default", "http": { "method": "GET", "path": endpoint.path() } },
        });
        let event = Event::from_json(event.to_string().as_bytes());
        String::from_utf8(invocation::answer(endpoint, &store, event, &Invocation::default()).await).unwrap()
    }

    /// Every item of a table, its attributes as text; sorted.
    async fn items(&self, table: &str) -> Vec<BTreeMap<String, String>> {
        let mut pages = self.dynamodb.client().scan().table_name(table).into_paginator().send();
        let mut items = Vec::new();
        while let Some(page) = pages.next().await {
            let found = page.unwrap().items.unwrap_or_default();
            items.extend(found.into_iter().map(|item| {
                item.into_iter().map(|(name, value)| (name, format!("{value:?}"))).collect::<BTreeMap<_, _>>()
            }));
        }
        items.sort();
        items
    }

    fn import_samples(&self) {
        let large = large_release();
        let mut arguments = vec!["import"];
        arguments.extend(SAMPLES);
        arguments.push("-");
        self.tool(&arguments, &large);
    }
}

/// A release whose packed form needs more than one item.
fn large_release() -> String {
    let mut state = 7_u64;
    let noise: String = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("{:016x}", state ^ (state >> 29))
    })
    .take(70_000)
    .collect();
    json!({
        "versionInfo": { "id": "62aa82b5c528c2182225ffff", "productName": "large", "created_at": 1_700_000_000 },
        "deployInfo": [{ "serviceName": "big", "yamlContents": [noise] }],
    })
    .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_imported_into_empty_tables_gives_the_same_answers() {
    let (from, to) = (Tables::new().await, Tables::new().await);
    from.import_samples();
    let exported = from.tool(&["export"], "");
    to.tool(&["import", "-"], &exported);
    for table in ["releases", "artifacts"] {
        assert!(from.items(table).await == to.items(table).await, "{table}");
    }
    for query in
        ["", "projectName=shop", "projectName=large", "serviceName=cart&verbosity=brief", "page=2&per_page=5"]
    {
        let answers = [&from, &to].map(|tables| tables.get(Endpoint::ListReleases, query));
        let [first, second] = answers;
        assert!(first.await == second.await, "{query}");
    }
    let records = exported.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let images: Vec<_> =
        records.filter_map(|record| record["image"].as_str().map(|image| format!("image={image}"))).collect();
    assert_eq!(images.len(), 13);
    for image in images {
        let expected = from.get(Endpoint::GetArtifact, &image).await;
        assert!(expected.contains("\"statusCode\":200"), "{expected}");
        assert_eq!(to.get(Endpoint::GetArtifact, &image).await, expected);
    }
    let again = to.tool(&["import", "-"], &exported);
    assert!(again.contains("stored 0,"), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_holds_what_its_filters_keep() {
    let tables = Tables::new().await;
    tables.import_samples();
    let ids = |arguments: &[&str]| {
        let exported = tables.tool(&[&["export"], arguments].concat(), "");
        let id = |line: &str| {
            let record: Value = serde_json::from_str(line).unwrap();
            record["id"].as_str().or(record["versionInfo"]["id"].as_str()).unwrap().to_owned()
        };
        exported.lines().map(id).collect::<Vec<_>>()
    };
    assert_eq!(ids(&["--project", "large"]), ["62aa82b5c528c2182225ffff"]);
    assert_eq!(ids(&["--releases"])[0], "62aa82b5c528c2182225ffff", "newest first");
    assert_eq!(ids(&["--artifacts"]).len(), 13);
    assert_eq!(ids(&["--releases"]).len() + 13, ids(&[]).len());
    assert_eq!(
        ids(&["--project", "shop", "--workflow", "shop-dev", "--task", "12"]),
        ["622aa474c528c2182225f053"]
    );
    assert_eq!(ids(&["--service", "no such service"]), Vec::<String>::new());
    let twice = "registry.example.com/shop/checkout:20220208210445-1-hotfix-vat";
    assert_eq!(ids(&["--image", twice]), ["62027355c528c2182225f099", "62026acdc528c2182225f098"]);
    let digest = "sha256:dcca88a053b69cb1816397ed44ab0780f5beddf816274a16629ac36b1ffb22a3";
    assert_eq!(ids(&["--image", digest]).len(), 2);
    assert_eq!(
        ids(&["--image", &format!("mirror.example.com:5000/poetry/portal@{digest}")]),
        ["624de341c528c2182225f09b"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reindex_mends_what_was_deleted_garbled_and_left_behind() {
    let tables = Tables::new().await;
    tables.import_samples();
    let before = tables.items("releases").await;
    let facets: Vec<_> = tables
        .dynamodb
        .client()
        .scan()
        .table_name("releases")
        .filter_expression("begins_with(entry, :facet)")
        .expression_attribute_values(":facet", AttributeValue::S("facet#".to_owned()))
        .projection_expression("release_id, entry, facet, #position, revision, lengths")
        .expression_attribute_names("#position", "position")
        .send()
        .await
        .unwrap()
        .items
        .unwrap();
    let client = tables.dynamodb.client();
    for item in facets.iter().step_by(7) {
        let key =
            item.clone().into_iter().filter(|(name, _)| name == "release_id" || name == "entry").collect();
        client.delete_item().table_name("releases").set_key(Some(key)).send().await.unwrap();
    }
    for (attribute, start) in [("facet", 1), ("position", 2), ("lengths", 3)] {
        for item in facets.iter().skip(start).step_by(7) {
            let mut item = item.clone();
            item.insert(attribute.to_owned(), AttributeValue::S("garbled".to_owned()));
            client.put_item().table_name("releases").set_item(Some(item)).send().await.unwrap();
        }
    }
    let mut extra = facets[0].clone();
    extra.insert("entry".to_owned(), AttributeValue::S("facet#0000".to_owned()));
    client.put_item().table_name("releases").set_item(Some(extra.clone())).send().await.unwrap();
    extra.insert("release_id".to_owned(), AttributeValue::S("gone".to_owned()));
    client.put_item().table_name("releases").set_item(Some(extra)).send().await.unwrap();

    let damaged = tables.items("releases").await;
    assert!(damaged != before);
    let told = tables.tool(&["reindex", "--dry-run"], "");
    assert!(tables.items("releases").await == damaged, "a dry run writes nothing");
    let mended = tables.tool(&["reindex"], "");
    assert!(told.ends_with(&mended), "{told}\n{mended}");
    assert!(mended.contains("left behind and are removed: 1"), "{mended}");
    assert!(tables.items("releases").await == before);
    let again = tables.tool(&["reindex"], "");
    assert!(again.contains("changed 0, entries changed 0, unreadable 0"), "{again}");
}
