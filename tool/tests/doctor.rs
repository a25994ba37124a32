//! `doctor` sees what is wrong with the tables, says what to do, and changes nothing.

use aws_sdk_dynamodb::types::AttributeValue;

use crate::running::{Ran, run_on};
use crate::support::faulty::{Fault, FaultyProxy};
use crate::support::{Tables, artifact, lines, release};

const DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000001";
const RECOVERY_ON: &str = r#"{"ContinuousBackupsDescription":{"ContinuousBackupsStatus":"ENABLED",
    "PointInTimeRecoveryDescription":{"PointInTimeRecoveryStatus":"ENABLED"}}}"#;
const RECOVERY_OFF: &str = r#"{"ContinuousBackupsDescription":{"ContinuousBackupsStatus":"ENABLED",
    "PointInTimeRecoveryDescription":{"PointInTimeRecoveryStatus":"DISABLED"}}}"#;

/// One release and one artifact.
async fn tables_with_two_records() -> Tables {
    let tables = Tables::empty().await;
    let records = [release("r1", 1), artifact("a1", "registry.example.com/cart:1", DIGEST, 1)];
    assert_eq!(tables.import(&lines(&records)).await.stored, 2);
    tables
}

/// The level and the text of the line about a subject; `None` where there is no such line.
fn said<'a>(ran: &'a Ran, subject: &str) -> Option<(&'a str, &'a str)> {
    ran.out.lines().find_map(|line| {
        let (level, rest) = line.split_once(' ')?;
        Some((level, rest.trim_start().strip_prefix(subject)?.trim_start()))
    })
}

fn level<'a>(ran: &'a Ran, subject: &str) -> &'a str {
    said(ran, subject).unwrap_or_else(|| panic!("nothing is said of {subject}: {ran:?}")).0
}

#[tokio::test]
async fn good_tables_get_a_line_for_each_check_and_are_left_as_they_are() {
    let tables = Tables::with_samples().await;
    let before = tables.dump_both().await;
    let ran = run_on(&tables, &["doctor"]).await;
    assert_eq!((ran.status, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    let told: Vec<_> = ran.out.lines().map(|line| line[..28].trim_end().to_owned()).collect();
    assert_eq!(
        told,
        [
            "ok    tool",
            "ok    DynamoDB",
            "ok    releases table",
            "note  releases recovery",
            "ok    artifacts table",
            "note  artifacts recovery",
            "ok    newest release",
            "ok    releases sample",
            "ok    releases index",
            "ok    newest artifact",
            "ok    artifacts sample",
        ]
    );
    let newest = said(&ran, "newest release").unwrap().1;
    assert!(newest.starts_with("payments 2022.6-beta, of 2022-06-1"), "{newest}");
    assert_eq!(
        said(&ran, "artifacts sample").unwrap().1,
        "13 looked at: all of them can be read, and are found in every way"
    );
    assert_eq!(tables.dump_both().await, before);
}

#[tokio::test]
async fn tables_without_a_record_are_no_fault() {
    let ran = run_on(&Tables::empty().await, &["doctor"]).await;
    assert_eq!(ran.status, Some(0), "{ran:?}");
    for subject in ["newest release", "newest artifact"] {
        let (level, text) = said(&ran, subject).unwrap();
        assert!(level == "note" && text.contains("delivery-center import"), "{text}");
    }
}

#[tokio::test]
async fn a_table_that_is_missing_and_one_of_another_schema_are_told_and_nothing_of_their_records() {
    let missing = run_on(&Tables::missing(), &["doctor"]).await;
    assert_eq!(missing.status, Some(1), "{missing:?}");
    let (level, text) = said(&missing, "releases table").unwrap();
    assert!(level == "bad" && text.contains("does not exist") && text.contains("RELEASES_TABLE"), "{text}");

    let tables = Tables::empty().await;
    let mut swapped = tables.environment();
    for (name, value) in &mut swapped {
        match *name {
            "RELEASES_TABLE" => value.clone_from(&tables.names.artifacts),
            "ARTIFACTS_TABLE" => value.clone_from(&tables.names.releases),
            _ => {}
        }
    }
    let ran = crate::running::run(crate::running::tool(&swapped, &["doctor"])).await;
    assert_eq!(ran.status, Some(1), "{ran:?}");
    let (level, text) = said(&ran, "releases table").unwrap();
    assert!(level == "bad" && text.contains("another schema"), "{text}");
    assert_eq!(said(&ran, "newest release"), None);
}

#[tokio::test]
async fn whether_tables_can_be_restored_and_are_protected_is_told_with_the_command_that_helps() {
    let tables = tables_with_two_records().await;
    let through = |recovery| {
        let target = tables.endpoint_url.clone();
        async move {
            FaultyProxy::start(&target, move |operation, _| match operation {
                "DescribeContinuousBackups" => Fault::Answer(recovery),
                _ => Fault::None,
            })
            .await
        }
    };
    let off = through(RECOVERY_OFF).await;
    let ran = run_on(&tables.through(&off.endpoint_url), &["doctor"]).await;
    assert_eq!(ran.status, Some(1), "{ran:?}");
    let name = &tables.names.artifacts;
    let (level_of_recovery, text) = said(&ran, "artifacts recovery").unwrap();
    assert_eq!(level_of_recovery, "bad");
    assert!(text.contains(&format!("update-continuous-backups --table-name {name} ")), "{text}");
    let (level_of_protection, text) = said(&ran, "artifacts protection").unwrap();
    assert_eq!(level_of_protection, "bad");
    assert!(
        text.contains(&format!("update-table --table-name {name} --deletion-protection-enabled")),
        "{text}"
    );

    for name in [&tables.names.releases, &tables.names.artifacts] {
        let update = tables.client.update_table().table_name(name).deletion_protection_enabled(true);
        update.send().await.unwrap();
    }
    let on = through(RECOVERY_ON).await;
    let ran = run_on(&tables.through(&on.endpoint_url), &["doctor"]).await;
    assert_eq!(ran.status, Some(0), "{ran:?}");
    for subject in ["releases recovery", "artifacts recovery", "releases protection", "artifacts protection"]
    {
        assert_eq!(level(&ran, subject), "ok");
    }
}

#[tokio::test]
async fn what_the_caller_may_not_look_at_is_left_out_and_named() {
    let tables = tables_with_two_records().await;
    let denying = async |denied: &'static [&'static str]| {
        let proxy = FaultyProxy::start(&tables.endpoint_url, move |operation, _| {
            if denied.is_empty() || denied.contains(&operation) {
                Fault::Refuse("AccessDeniedException")
            } else {
                Fault::None
            }
        })
        .await;
        run_on(&tables.through(&proxy.endpoint_url), &["doctor"]).await
    };
    // The caller may do as little as the role of a function.
    let function = denying(&["Scan", "DescribeTable", "DescribeContinuousBackups"]).await;
    assert_eq!(function.status, Some(0), "{function:?}");
    assert_eq!((level(&function, "releases table"), level(&function, "newest release")), ("note", "ok"));
    for (sample, table) in
        [("releases sample", &tables.names.releases), ("artifacts sample", &tables.names.artifacts)]
    {
        let (level, text) = said(&function, sample).unwrap();
        assert_eq!(level, "note");
        assert!(text.contains(table) && text.contains("AccessDeniedException"), "{text}");
    }
    assert_eq!(said(&function, "releases index"), None);

    let nobody = denying(&[]).await;
    assert_eq!(nobody.status, Some(1), "{nobody:?}");
    let (level, text) = said(&nobody, "newest release").unwrap();
    assert!(level == "bad" && text.ends_with("is denied"), "{text}");
    assert!(nobody.err.contains("AccessDeniedException"), "{nobody:?}");
}

#[tokio::test]
async fn records_that_are_not_found_in_every_way_or_cannot_be_read_are_told_with_what_mends_them() {
    let tables = Tables::with_samples().await;
    let mut pages = tables.client.scan().table_name(&tables.names.releases).into_paginator().items().send();
    let mut documents = Vec::new();
    while let Some(mut item) = pages.try_next().await.unwrap() {
        let entry = item["entry"].as_s().unwrap().clone();
        if entry == "release" {
            documents.push(item);
        } else if item.get("facet").is_some_and(|facet| facet.as_s().unwrap().starts_with("version=")) {
            item.retain(|name, _| name == "release_id" || name == "entry");
            let delete = tables.client.delete_item().table_name(&tables.names.releases);
            delete.set_key(Some(item)).send().await.unwrap();
        }
    }
    let ran = run_on(&tables, &["doctor"]).await;
    assert_eq!(ran.status, Some(1), "{ran:?}");
    let (level_of_sample, text) = said(&ran, "releases sample").unwrap();
    assert_eq!(level_of_sample, "bad");
    assert!(
        text == "20 of 20 that were looked at are not found in every way: run `delivery-center reindex`",
        "{text}"
    );
    assert_eq!(run_on(&tables, &["reindex"]).await.status, Some(0));
    assert_eq!(level(&run_on(&tables, &["doctor"]).await, "releases sample"), "ok");

    let mut spoiled = documents.swap_remove(0);
    let mut brief = spoiled["brief"].as_b().unwrap().clone().into_inner();
    *brief.last_mut().unwrap() ^= 1;
    spoiled.insert("brief".to_owned(), AttributeValue::B(brief.into()));
    let put = tables.client.put_item().table_name(&tables.names.releases).set_item(Some(spoiled.clone()));
    put.send().await.unwrap();
    // All other releases are removed, so that this one is in the sample.
    for other in documents {
        let id = other["release_id"].as_s().unwrap();
        let deleted = format!(r#"{{"versionInfo":{{"id":"{id}","created_at":1,"deleted_at":1}}}}"#);
        assert_eq!(tables.import(&deleted).await.deleted, 1);
    }
    let ran = run_on(&tables, &["doctor"]).await;
    assert_eq!(ran.status, Some(1), "{ran:?}");
    let (level_of_sample, text) = said(&ran, "releases sample").unwrap();
    assert_eq!(level_of_sample, "bad");
    assert!(
        text.contains("import --rewrite") && text.contains(spoiled["release_id"].as_s().unwrap()),
        "{text}"
    );
}

#[tokio::test]
async fn an_index_that_lags_behind_its_table_is_told_with_its_lag() {
    const NOTHING: &str = r#"{"Items":[],"Count":0,"ScannedCount":0}"#;
    let tables = tables_with_two_records().await;
    let counting = FaultyProxy::start(&tables.endpoint_url, |_, _| Fault::None).await;
    let ran = run_on(&tables.through(&counting.endpoint_url), &["doctor"]).await;
    assert_eq!(ran.status, Some(0), "{ran:?}");
    // The last Query but two asks whether the list has the release; the next one finds the artifact by its
    // image, and the last one what lies beside it.
    let listing = counting.count("Query") - 2;
    let lagging = async |until: u64| {
        let proxy = FaultyProxy::start(&tables.endpoint_url, move |operation, number| {
            if operation == "Query" && (listing..until).contains(&number) {
                Fault::Answer(NOTHING)
            } else {
                Fault::None
            }
        })
        .await;
        run_on(&tables.through(&proxy.endpoint_url), &["doctor"]).await
    };
    let once = lagging(listing + 1).await;
    assert_eq!(once.status, Some(0), "{once:?}");
    let (level_of_index, text) = said(&once, "releases index").unwrap();
    assert!(level_of_index == "note" && text.starts_with("lagged 0."), "{text}");
    let always = lagging(u64::MAX).await;
    assert_eq!(always.status, Some(1), "{always:?}");
    let (level_of_index, text) = said(&always, "releases index").unwrap();
    assert!(level_of_index == "bad" && text.contains(r#"release "r1""#), "{text}");
}

#[tokio::test]
async fn a_dynamodb_that_cannot_be_reached_ends_it_with_4() {
    let nowhere = Tables::missing().through("http://127.0.0.1:9");
    let ran = run_on(&nowhere, &["doctor"]).await;
    assert_eq!(ran.status, Some(4), "{ran:?}");
    assert!(ran.err.contains("could not be reached"), "{ran:?}");
}
