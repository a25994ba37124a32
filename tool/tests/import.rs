//! `import`: which records are taken, refused and replaced, and what an interruption leaves.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use delivery_center::endpoint::Endpoint::{GetArtifact, ListReleases};
use delivery_center_tool::import::{Progress, Source, import};
use delivery_center_tool::write::Mode;
use serde_json::{Value, json};

use crate::support::faulty::{Fault, FaultyProxy};
use crate::support::{Random, SAMPLES, Tables, artifact, deploy, incompressible, lines, release};

#[tokio::test]
async fn importing_again_what_is_there_changes_nothing() {
    let tables = Tables::with_samples().await;
    let (releases, artifacts) =
        (tables.dump(&tables.names.releases).await, tables.dump(&tables.names.artifacts).await);
    let proxy = FaultyProxy::start(&tables.endpoint_url, |_, _| Fault::None).await;
    let summary = tables.through(&proxy.endpoint_url).import(SAMPLES).await;
    assert_eq!(
        (summary.stored, summary.unchanged, summary.deleted, summary.refused),
        (0, 37, 1, 0),
        "{summary}"
    );
    assert_eq!(proxy.count("BatchWriteItem"), 0);
    assert_eq!(tables.dump(&tables.names.releases).await, releases);
    assert_eq!(tables.dump(&tables.names.artifacts).await, artifacts);
}

#[tokio::test]
async fn a_dry_run_tells_what_would_be_and_writes_nothing() {
    let tables = Tables::empty().await;
    let (summary, refusals) = tables.try_import(&format!("{SAMPLES}{{}}"), Mode::DryRun).await;
    let summary = summary.unwrap();
    assert_eq!((summary.read, summary.stored, summary.deleted, summary.refused), (39, 37, 1, 1), "{summary}");
    assert_eq!(refusals.len(), 1);
    assert_eq!(tables.dump(&tables.names.releases).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_bad_record_is_named_and_the_others_are_stored() {
    let tables = Tables::empty().await;
    let mut records = vec![release("a", 1)];
    let mut wrong_type = release("b", 1);
    wrong_type["deployInfo"][0]["yamlContents"] = json!(["x", 7]);
    let mut milliseconds = release("c", 1);
    milliseconds["versionInfo"]["created_at"] = json!(1_637_726_888_000_u64);
    let mut negative = artifact("d", "a:1", "", 1);
    negative["created_time"] = json!(-1);
    let mut long = release("e", 1);
    long["versionInfo"]["productName"] = json!("p".repeat(3000));
    records.extend([wrong_type, milliseconds, negative, long, release("f", 1)]);
    let mut text = lines(&records) + "\n";
    text.push_str(
        "{\"versionInfo\":\n{\"versionInfo\": {\"id\": \"g\"}}\nnull\n{\"id\":\"\\ud800\",\"image\":\"x\"}\n",
    );
    let (summary, mut refusals) = tables.try_import(&text, Mode::Write).await;
    // What is refused in packing is reported when its batch is packed, after what is refused in reading.
    let line = |refusal: &String| {
        let digits = refusal.trim_start_matches("input line ").split(':').next().unwrap();
        digits.parse::<u64>().unwrap()
    };
    refusals.sort_by_key(line);
    let expected = [
        "input line 2: $.deployInfo[0].yamlContents[1]: expected a string, found a number",
        "input line 3: $.versionInfo.created_at: ",
        "input line 4: $.created_time: ",
        "input line 5: release \"e\": its names are together longer than a DynamoDB key can be",
        "input line 7: ",
        "input line 9: ",
        "input line 10: ",
    ];
    assert_eq!(refusals.len(), expected.len(), "{refusals:#?}");
    for (refusal, expected) in refusals.iter().zip(expected) {
        assert!(refusal.starts_with(expected), "{refusal}");
    }
    assert!(
        refusals[1].contains("0 to 999999999999") && refusals[1].contains("milliseconds"),
        "{}",
        refusals[1]
    );
    let summary = summary.unwrap();
    assert_eq!((summary.read, summary.stored, summary.refused), (10, 3, 7));
    assert_eq!(tables.get(ListReleases, "").await.release_ids(), ["f", "a", "g"]);
}

#[tokio::test]
async fn one_object_an_array_and_lines_are_told_apart() {
    let records = [release("a", 1), artifact("x", "i:1", "", 1), release("b", 2)];
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap();
    let lines = lines(&records).replace('\n', "\r\n\n");
    let objects: String = records.iter().map(pretty).collect();
    for text in [
        lines,
        objects,
        pretty(&json!(records)),
        json!(records).to_string(),
        format!("\u{feff}{}", json!(records)),
    ] {
        let tables = Tables::empty().await;
        let summary = tables.import(&text).await;
        assert_eq!((summary.read, summary.stored), (3, 3), "{text}");
    }
    let tables = Tables::empty().await;
    assert_eq!(tables.import("").await.read, 0);
    assert_eq!(tables.import(" [] ").await.read, 0);
    assert_eq!(tables.import(&pretty(&records[0])).await.stored, 1);
}

#[tokio::test]
async fn a_changed_record_replaces_the_old_one_wholly() {
    let tables = Tables::empty().await;
    let mut old = release("a", 1);
    old["deployInfo"] = json!([deploy("a", "s"), deploy("a", "t")]);
    old["versionInfo"]["desc"] = json!(incompressible(900_000, 3));
    tables.import(&old.to_string()).await;
    let mut new = release("a", 7);
    new["versionInfo"]["productName"] = json!("q");
    new["versionInfo"]["taskId"] = json!(0);
    assert_eq!(tables.import(&new.to_string()).await.stored, 1);
    for gone in ["projectName=p", "taskId=1", "serviceName=t", "projectName=p&serviceName=s"] {
        assert_eq!(tables.get(ListReleases, gone).await.body, "[]", "{gone}");
    }
    assert_eq!(
        tables.get(ListReleases, "projectName=q&workflowName=w&serviceName=s").await.json(),
        json!([new])
    );
    let fresh = Tables::empty().await;
    fresh.import(&new.to_string()).await;
    assert_eq!(tables.dump(&tables.names.releases).await, fresh.dump(&fresh.names.releases).await);
    let mut deleted = new.clone();
    deleted["versionInfo"]["deleted_at"] = json!(9);
    assert_eq!(tables.import(&deleted.to_string()).await.deleted, 1);
    assert_eq!(tables.dump(&tables.names.releases).await, Vec::<String>::new());
}

#[tokio::test]
async fn of_records_of_one_id_the_last_good_one_stays_however_often_it_is_imported() {
    let tables = Tables::empty().await;
    let version = |number: u64| {
        let mut record = release("a", number);
        record["versionInfo"]["desc"] = json!(format!("version {number}"));
        record
    };
    let others: Vec<_> = (0..120).map(|number| release(&format!("o{number}"), 1)).collect();
    let others = lines(&others);
    let bad = json!({ "versionInfo": { "id": "a", "created_at": "late" } });
    let text = format!("{}\n{others}\n{}\n{}\n{bad}\n", version(1), version(2), version(3));
    for (stored, unchanged) in [(121, 0), (0, 121)] {
        let (summary, refusals) = tables.try_import(&text, Mode::Write).await;
        let summary = summary.unwrap();
        assert_eq!((summary.read, summary.repeated, summary.refused), (124, 2, 1), "{summary}");
        assert_eq!((summary.stored, summary.unchanged), (stored, unchanged));
        assert!(refusals[0].contains("line 124"), "{refusals:?}");
        assert_eq!(
            tables.get(ListReleases, "per_page=1").await.json()[0]["versionInfo"]["desc"],
            "version 3"
        );
    }
}

/// Releases and artifacts of the same few ids, good and bad, in any order and from two files.
#[tokio::test]
async fn of_any_records_of_some_ids_the_last_good_ones_stay() {
    let mut random = Random(7);
    for _ in 0..4 {
        let (tables, mut files) = (Tables::empty().await, [String::new(), String::new()]);
        let (mut last_good, mut good) = (BTreeMap::new(), 0);
        for number in 0..60 {
            let (id, is_release, is_good) =
                (format!("r{}", random.below(6)), random.one_in(2), random.below(3) > 0);
            let mut record = if is_release { release(&id, 1) } else { artifact(&id, "i:1", "", 1) };
            let (object, name) =
                if is_release { (&mut record["versionInfo"], "desc") } else { (&mut record, "name") };
            object[name] = if is_good { json!(number.to_string()) } else { json!(number) };
            if is_good {
                good += 1;
                last_good.insert((is_release, id), number.to_string());
            }
            writeln!(files[number / 30], "{record}").unwrap();
        }
        let sources = files.map(|text| Source::open("input".to_owned(), Cursor::new(text.into_bytes())));
        let summary = import(&tables.writer, sources.into(), Mode::Write, Arc::new(Silent)).await.unwrap();
        let stored = last_good.len() as u64;
        assert_eq!(
            (summary.read, summary.stored, summary.repeated, summary.refused),
            (60, stored, good - stored, 60 - good),
            "{summary}"
        );
        let mut found = BTreeMap::new();
        for release in tables.get(ListReleases, "").await.json().as_array().unwrap() {
            let text = |name: &str| release["versionInfo"][name].as_str().unwrap().to_owned();
            found.insert((true, text("id")), text("desc"));
        }
        let items = tables.dump(&tables.names.artifacts).await.join("\n");
        for ((_, id), name) in last_good.iter().filter(|((is_release, _), _)| !is_release) {
            assert!(
                items.contains(&format!("#{id}\"")) && items.contains(&format!("S(\"{name}\")")),
                "{items}"
            );
            found.insert((false, id.clone()), name.clone());
        }
        assert_eq!(found, last_good);
    }
}

struct Silent;

impl Progress for Silent {
    fn refused(&self, _place: &str, _reason: &str) {}
    fn done(&self, _records: u64) {}
}

#[tokio::test]
async fn an_id_that_comes_twice_is_told_however_it_is_written() {
    let tables = Tables::empty().await;
    let text = r#"
        {"versionInfo":{"id":"a","id":"a"}}
        {"versionInfo":{"id":"a","id":"a"}}
        {"id":5,"versionInfo":{"id":"b","desc":"first"}}
        {"id":5,"versionInfo":{"id":"b","desc":"last"}}
        {"versionInfo":{"id":"c"}}
        {"versionInfo":null,"versionInfo":{"id":"\u0063"}}
        {"id":{},"id":"a","image":"i:first"}
        {"\u0069d":"a","image":"i:last"}"#;
    for (stored, unchanged) in [(4, 0), (0, 4)] {
        let summary = tables.import(text).await;
        assert_eq!((summary.read, summary.repeated, summary.refused), (8, 4, 0), "{summary}");
        assert_eq!((summary.stored, summary.unchanged), (stored, unchanged));
    }
    let releases = tables.get(ListReleases, "").await.json();
    let described = releases.as_array().unwrap().iter().find(|release| release["versionInfo"]["id"] == "b");
    assert_eq!(described.unwrap()["versionInfo"]["desc"], "last");
    assert_eq!(tables.get(GetArtifact, "image=i:last").await.json()["id"], "a");
}

#[tokio::test]
async fn throttled_and_unprocessed_writes_are_sent_again() {
    let tables = Tables::empty().await;
    let proxy = FaultyProxy::start(&tables.endpoint_url, |operation, number| match (operation, number) {
        ("BatchWriteItem", number) if number % 5 == 0 => Fault::Throttle,
        ("BatchWriteItem", number) if number % 3 == 0 => Fault::ProcessAtMost(4),
        ("TransactWriteItems", 5 | 9) => Fault::Throttle,
        ("TransactWriteItems", number) if number % 3 == 0 => Fault::Cancel("ThrottlingError"),
        ("TransactWriteItems", number) if number % 7 == 0 => Fault::Cancel("TransactionConflict"),
        ("Query", 2 | 9) => Fault::InternalError,
        _ => Fault::None,
    })
    .await;
    let summary = tables.through(&proxy.endpoint_url).import(SAMPLES).await;
    assert_eq!((summary.stored, summary.refused), (37, 0));
    let whole = Tables::with_samples().await;
    assert_eq!(tables.dump(&tables.names.releases).await, whole.dump(&whole.names.releases).await);
    assert_eq!(tables.dump(&tables.names.artifacts).await, whole.dump(&whole.names.artifacts).await);
}

#[tokio::test]
async fn an_import_interrupted_at_any_write_ends_complete_when_run_again() {
    let before = SAMPLES.replace("\"version\":\"", "\"version\":\"old ").replace("sha256:5", "sha256:4");
    let whole = Tables::with_samples().await;
    let expected = [whole.dump(&whole.names.releases).await, whole.dump(&whole.names.artifacts).await];
    let mut interrupted_at = 1;
    loop {
        let tables = Tables::empty().await;
        tables.import(&before).await;
        let writes = AtomicU64::new(0);
        let proxy = FaultyProxy::start(&tables.endpoint_url, move |operation, _| {
            let is_write =
                matches!(operation, "BatchWriteItem" | "PutItem" | "DeleteItem" | "TransactWriteItems");
            if is_write && writes.fetch_add(1, Ordering::Relaxed) >= interrupted_at {
                Fault::Refuse("ValidationException")
            } else {
                Fault::None
            }
        })
        .await;
        let (interrupted, _) = tables.through(&proxy.endpoint_url).try_import(SAMPLES, Mode::Write).await;
        if interrupted.is_ok() {
            break;
        }
        let ids = tables.get(ListReleases, "").await.release_ids();
        assert_eq!(ids.len(), 24, "a reader in between meets whole releases only");
        tables.import(SAMPLES).await;
        let found = [tables.dump(&tables.names.releases).await, tables.dump(&tables.names.artifacts).await];
        assert_eq!(found, expected, "interrupted at write {interrupted_at}");
        interrupted_at += 3;
    }
    assert!(interrupted_at > 20, "{interrupted_at}");
}

#[tokio::test]
async fn imports_of_one_record_at_the_same_moment_leave_one_of_them_whole() {
    let version = |number: u64| {
        let mut record = release("r", 10 + number);
        record["versionInfo"]["desc"] = json!(incompressible(900_000, number));
        record["deployInfo"] = json!([deploy("r", &format!("service-{number}")), deploy("r", "shared")]);
        let letter = char::from_digit(u32::try_from(number).unwrap(), 16).unwrap().to_string();
        let mut artifact =
            artifact("a", &format!("image:{}", number % 2), &format!("sha256:{}", letter.repeat(64)), number);
        artifact["note"] = json!(incompressible(if number == 1 { 4_000_000 } else { 500_000 }, number));
        format!("{record}\n{artifact}\n")
    };
    let versions: Vec<String> = (0..4).map(version).collect();
    // What is stored when only one of these imports runs.
    let mut alone = Vec::new();
    for version in &versions {
        let tables = Tables::empty().await;
        tables.import(version).await;
        alone.push(tables.dump_both().await);
    }
    let tables = Tables::empty().await;
    for _ in 0..4 {
        let imports = versions.iter().map(|version| tables.import(version));
        for summary in futures_util::future::join_all(imports).await {
            assert_eq!((summary.read, summary.refused), (2, 0));
        }
        let answer = tables.get(ListReleases, "").await;
        assert_eq!(answer.release_ids(), ["r"], "{}", answer.body);
        let winner = answer.json()[0]["versionInfo"]["created_at"].as_u64().unwrap() - 10;
        for number in 0..4 {
            let found =
                tables.get(ListReleases, &format!("serviceName=service-{number}")).await.release_ids();
            assert_eq!(found.len(), usize::from(number == winner), "{number} of {winner}");
        }
        let [releases, artifacts] = tables.dump_both().await;
        assert_eq!(releases, alone[usize::try_from(winner).unwrap()][0]);
        assert!(alone.iter().any(|alone| alone[1] == artifacts), "{} items", artifacts.len());
    }
}

#[tokio::test]
async fn an_import_of_a_large_release_that_dies_anywhere_leaves_the_old_release_or_the_new_one() {
    let of_services = |project: &str, prefix: &str| {
        let mut release = release("r", 100);
        release["versionInfo"]["productName"] = json!(project);
        release["deployInfo"] =
            (0..60).map(|number| deploy("r", &format!("{prefix}-{number}"))).collect::<Vec<_>>().into();
        release
    };
    let (old, new) = (of_services("p", "s"), of_services("q", "t"));
    let answers = async |tables: &Tables| {
        let mut counts = Vec::new();
        for query in
            ["projectName=p&serviceName=s-7", "serviceName=s-59", "projectName=q", "serviceName=t-7", ""]
        {
            counts.push(tables.get(ListReleases, query).await.release_ids().len());
        }
        counts
    };
    let mut interruptions = 0;
    loop {
        let tables = Tables::empty().await;
        tables.import(&old.to_string()).await;
        let proxy = FaultyProxy::start(&tables.endpoint_url, move |operation, number| {
            let is_dead = operation == "TransactWriteItems" && number > interruptions;
            if is_dead { Fault::Refuse("ValidationException") } else { Fault::None }
        })
        .await;
        let (imported, _) =
            tables.through(&proxy.endpoint_url).try_import(&new.to_string(), Mode::Write).await;
        if imported.is_ok() {
            break;
        }
        let found = answers(&tables).await;
        assert!(found == [1, 1, 0, 0, 1] || found == [0, 0, 1, 1, 1], "{found:?} after {interruptions}");
        tables.import(&new.to_string()).await;
        assert_eq!(answers(&tables).await, [0, 0, 1, 1, 1], "after {interruptions}");
        interruptions += 1;
    }
    assert!(interruptions > 6, "{interruptions}");
}
