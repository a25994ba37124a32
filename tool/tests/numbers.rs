//! Numbers are answered as they were written, whichever way they came in, or are refused and their field is
//! named.

use std::fs;

use axum::Router;
use axum::extract::Query;
use axum::routing::get;
use bson::{Bson, Decimal128, doc};
use delivery_center::endpoint::Endpoint::{GetArtifact, ListReleases};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tempfile::TempDir;

use crate::running::{Ran, run, run_on, tool};
use crate::support::Tables;
use crate::zadig_collections::{Dump, id, write_bson};

const RELEASE_ID: &str = "619dbaa8c528c2182225e8d9";
const ARTIFACT_ID: &str = "61b84bbcc19ba8cdb184cc53";
const IMAGE: &str = "registry.example.com/shop/cart:1";
/// A number of JSON's grammar, with more digits than any number type of a program holds.
const NUMBER: &str = "-?(0|[1-9][0-9]{0,45})(\\.[0-9]{1,45})?([eE][+-]?[0-9]{1,4})?";
const ODD_NUMBERS: [&str; 16] = [
    "1.10",
    "123456789012345678901234567890",
    "-0",
    "-0.0",
    "0.0",
    "7.0",
    "1e2",
    "1E+400",
    "1e-400",
    "9007199254740993",
    "9007199254740993.0",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775809",
    "0.1000000000000000055511151231257827",
    "1.637726888E+09",
];

/// A directory with an import's sources.
struct Sources(TempDir);

impl Sources {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }
}

/// A release and an artifact in the API's JSON, with numbers in fields that the API does not document.
fn records(numbers: &str) -> [String; 2] {
    [
        format!(
            r#"{{"versionInfo":{{"id":"{RELEASE_ID}","numbers":[{numbers}]}},"deployInfo":[{{"id":"d","numbers":[{numbers}]}}]}}"#
        ),
        format!(
            r#"{{"id":"{ARTIFACT_ID}","image":"{IMAGE}","numbers":[{numbers}],"activities":[{{"type":"build","numbers":[{numbers}]}}]}}"#
        ),
    ]
}

/// The same release and artifact as mongoexport writes them, by collection.
fn exported(numbers: &str) -> [(&'static str, String); 4] {
    [
        ("delivery_version", format!(r#"{{"_id":{{"$oid":"{RELEASE_ID}"}},"numbers":[{numbers}]}}"#)),
        (
            "delivery_deploy",
            format!(r#"{{"_id":"d","release_id":{{"$oid":"{RELEASE_ID}"}},"numbers":[{numbers}]}}"#),
        ),
        (
            "artifact",
            format!(r#"{{"_id":{{"$oid":"{ARTIFACT_ID}"}},"image":"{IMAGE}","numbers":[{numbers}]}}"#),
        ),
        (
            "activity",
            format!(
                r#"{{"_id":"c","artifact_id":{{"$oid":"{ARTIFACT_ID}"}},"type":"build","numbers":[{numbers}]}}"#
            ),
        ),
    ]
}

/// The same release and artifact as mongodump writes them.
fn dumped(numbers: &[Bson]) -> Dump {
    let (release_id, artifact_id) = (id(RELEASE_ID), id(ARTIFACT_ID));
    Dump::from([
        ("delivery_version", vec![doc! { "_id": release_id, "numbers": numbers }]),
        ("delivery_deploy", vec![doc! { "_id": "d", "release_id": release_id, "numbers": numbers }]),
        ("artifact", vec![doc! { "_id": artifact_id, "image": IMAGE, "numbers": numbers }]),
        (
            "activity",
            vec![doc! { "_id": "c", "artifact_id": artifact_id, "type": "build", "numbers": numbers }],
        ),
    ])
}

async fn zadig(numbers: &str) -> String {
    let [release, artifact] = records(numbers);
    let list = |record: String| {
        get(async move |Query(query): Query<Vec<(String, String)>>| {
            let is_first = query.contains(&("page".to_owned(), "1".to_owned()));
            if is_first { format!("[{record}]") } else { "null".to_owned() }
        })
    };
    let router = Router::new()
        .route("/api/aslan/delivery/releases", list(release))
        .route("/api/aslan/delivery/artifacts", list(artifact));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// Imports a source, records a deploy, takes both through an export, and expects these numbers in every
/// answer.
async fn assert_answered(numbers: &str, import: &[&str]) {
    let tables = Tables::empty().await;
    let mut environment = tables.environment();
    environment.push(("ZADIG_TOKEN", "token".to_owned()));
    let arguments = [&["import"], import].concat();
    succeed(run(tool(&environment, &arguments)).await);
    succeed(run(tool(&environment, &[&["verify"], import].concat())).await);
    succeed(run_on(&tables, &["record", "deploy", "--image", IMAGE, "--env", "prod"]).await);
    assert_numbers(&tables, numbers, &arguments).await;
    let line = succeed(run_on(&tables, &["export"]).await);
    let (other, export) = (Tables::empty().await, Sources::new());
    export.write("all.jsonl", &line.out);
    succeed(run_on(&other, &["import", &export.path("all.jsonl")]).await);
    assert_numbers(&other, numbers, &arguments).await;
}

async fn assert_numbers(tables: &Tables, numbers: &str, source: &[&str]) {
    let wanted = format!(r#""numbers":[{numbers}]"#);
    let releases = tables.get(ListReleases, "").await.body;
    let artifact = tables.get(GetArtifact, &format!("image={IMAGE}")).await.body;
    assert_eq!(releases.matches(&wanted).count(), 2, "{source:?}: {wanted} in {releases}");
    // An activity is answered twice.
    assert_eq!(artifact.matches(&wanted).count(), 3, "{source:?}: {wanted} in {artifact}");
}

fn succeed(ran: Ran) -> Ran {
    assert_eq!(ran.status, Some(0), "{ran:?}");
    ran
}

async fn assert_text_stays(texts: &[String]) {
    let (sources, numbers) = (Sources::new(), texts.join(","));
    let [release, artifact] = records(&numbers);
    sources.write("lines.jsonl", &format!("{release}\n{artifact}"));
    sources.write("array.json", &format!("[{release},\n{artifact}]"));
    let wrapped = |kind: &str| {
        texts.iter().map(|text| format!(r#"{{"{kind}":"{text}"}}"#)).collect::<Vec<_>>().join(",")
    };
    for (directory, numbers) in [
        ("bare", numbers.clone()),
        ("double", wrapped("$numberDouble")),
        ("decimal", wrapped("$numberDecimal")),
    ] {
        fs::create_dir(sources.path(directory)).unwrap();
        for (collection, document) in exported(&numbers) {
            sources.write(&format!("{directory}/{collection}.json"), &document);
        }
    }
    for source in ["lines.jsonl", "array.json", "bare", "double", "decimal"] {
        assert_answered(&numbers, &[&sources.path(source)]).await;
    }
    assert_answered(&numbers, &["--zadig", &zadig(&numbers).await]).await;
}

#[test]
fn every_number_is_answered_as_it_was_written() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(assert_text_stays(&ODD_NUMBERS.map(str::to_owned)));
    let config = Config { cases: 4, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&proptest::collection::vec(NUMBER, 60), |texts| {
            runtime.block_on(assert_text_stays(&texts));
            Ok(())
        })
        .unwrap();
}

/// MongoDB's own numbers have no text; a double is answered as Go writes it, without a fraction where it has
/// none.
#[test]
fn every_number_of_a_dump_is_answered_to_the_digit() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let integer = any::<i64>().prop_map(|number| (Bson::Int64(number), number.to_string()));
    let small = any::<i32>().prop_map(|number| (Bson::Int32(number), number.to_string()));
    let double = prop::num::f64::NORMAL.prop_map(|number| (Bson::Double(number), text_of(number)));
    let whole = any::<i32>().prop_map(|number| (Bson::Double(number.into()), number.to_string()));
    let decimal = "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,12})?".prop_map(|text| {
        let number: Decimal128 = text.parse().unwrap();
        (Bson::Decimal128(number), number.to_string())
    });
    let number = prop_oneof![integer, small, double, whole, decimal];
    let config = Config { cases: 4, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&proptest::collection::vec(number, 60), |numbers| {
            runtime.block_on(assert_dump_arrives(&numbers));
            Ok(())
        })
        .unwrap();
    let zero = (Bson::Double(-0.0), "-0".to_owned());
    runtime.block_on(assert_dump_arrives(&[zero, (Bson::Double(1e300), "1e+300".to_owned())]));
}

fn text_of(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < 1.8e19 {
        return format!("{number:.0}");
    }
    serde_json::to_string(&number).unwrap()
}

async fn assert_dump_arrives(numbers: &[(Bson, String)]) {
    let directory = tempfile::tempdir().unwrap();
    let (values, texts): (Vec<_>, Vec<_>) = numbers.iter().cloned().unzip();
    write_bson(directory.path(), &dumped(&values));
    assert_answered(&texts.join(","), &[directory.path().to_str().unwrap()]).await;
}

async fn import_version(member: &str) -> (Tables, Ran) {
    let (tables, sources) = (Tables::empty().await, Sources::new());
    sources.write("delivery_version.json", &format!(r#"{{"_id":"r",{member}}}"#));
    let ran = run_on(&tables, &["import", &sources.path("delivery_version.json")]).await;
    (tables, ran)
}

#[tokio::test]
async fn a_whole_number_in_a_field_of_integers_is_an_integer_however_it_is_written() {
    for (text, integer) in [
        ("1.637726888E+09", "1637726888"),
        ("7.0", "7"),
        ("1e18", "1000000000000000000"),
        ("-0", "0"),
        ("-70.00e-1", "-7"),
        ("9007199254740993.0", "9007199254740993"),
        ("18446744073709551615", "18446744073709551615"),
        (r#"{"$numberDouble":"1.637726888E+09"}"#, "1637726888"),
        (r#"{"$numberDecimal":"1E+3"}"#, "1000"),
        (r#"{"$numberLong":"-5"}"#, "-5"),
    ] {
        let (tables, ran) = import_version(&format!(r#""task_id":{text}"#)).await;
        assert_eq!(ran.status, Some(0), "{text}: {ran:?}");
        let answer = tables.get(ListReleases, "").await.body;
        assert!(answer.contains(&format!(r#""taskId":{integer},"#)), "{text}: {answer}");
    }
}

#[tokio::test]
async fn a_number_that_a_field_cannot_hold_is_refused_with_the_field() {
    for (member, said) in [
        (r#""task_id":1.10"#, "$.versionInfo.taskId: expected an integer"),
        (r#""task_id":123456789012345678901234567890"#, "$.versionInfo.taskId: expected an integer"),
        (r#""task_id":1e-99999999999999999999"#, "$.versionInfo.taskId: expected an integer"),
        (r#""a":[1,{"b":{"$numberDouble":"+5"}}]"#, "$.a[1].b"),
        (r#""a":[1,{"b":{"$numberLong":"1.5"}}]"#, "$.a[1].b"),
        (r#""a":[1,{"b":{"$numberInt":"0x10"}}]"#, "$.a[1].b"),
        (r#""a":[1,{"b":{"$numberDecimal":".5"}}]"#, "$.a[1].b"),
        (r#""a":{"b":{"$numberDouble":"NaN"}}"#, "$.a.b is NaN"),
        (r#""a":{"b":{"$numberDecimal":"-Infinity"}}"#, "$.a.b is -Infinity"),
        (r#""a":{"b":{"$date":0.5}}"#, "$.a.b"),
    ] {
        let (tables, ran) = import_version(member).await;
        assert!(ran.status == Some(1) && ran.err.contains(said), "{member}: {ran:?}");
        assert_eq!(tables.get(ListReleases, "").await.body, "[]", "{member}");
    }
}

/// A double would hold both numbers alike.
#[tokio::test]
async fn verify_names_a_number_that_differs_in_its_last_digit() {
    let (tables, sources) = (Tables::empty().await, Sources::new());
    let write = |number: &str| sources.write("records.json", &records(number)[0]);
    write("123456789012345678901234567890");
    succeed(run_on(&tables, &["import", &sources.path("records.json")]).await);
    write("123456789012345678901234567891");
    let ran = run_on(&tables, &["verify", &sources.path("records.json")]).await;
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert!(ran.err.contains("$.versionInfo.numbers[0] differs"), "{ran:?}");
}
