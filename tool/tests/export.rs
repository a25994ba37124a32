//! `export` writes what is stored as it is answered, and `reindex` mends the items by which records are
//! found.

use aws_sdk_dynamodb::types::AttributeValue;
use delivery_center::endpoint::Endpoint::{GetArtifact, ListReleases};
use serde_json::{Value, json};

use crate::running::{run_with_input, tool};
use crate::support::{SAMPLES, Tables, incompressible};

/// Runs the tool, which must succeed, and gives what it prints.
async fn succeed(tables: &Tables, arguments: &[&str], input: &str) -> String {
    let ran = run_with_input(tool(&tables.environment(), arguments), input).await;
    assert_eq!(ran.status, Some(0), "{arguments:?}: {ran:?}");
    ran.out
}

/// Tables with the samples, and with a release that is so large that it needs more than one item.
async fn with_samples() -> Tables {
    let tables = Tables::empty().await;
    succeed(&tables, &["import", "-"], &format!("{SAMPLES}{}", large_release())).await;
    tables
}

fn large_release() -> Value {
    json!({
        "versionInfo": { "id": "62aa82b5c528c2182225ffff", "productName": "large", "created_at": 1_700_000_000 },
        "deployInfo": [{ "serviceName": "big", "yamlContents": [incompressible(900_000, 7)] }],
    })
}

#[tokio::test]
async fn an_export_imported_into_empty_tables_gives_the_same_answers() {
    let (from, to) = (with_samples().await, Tables::empty().await);
    let exported = succeed(&from, &["export"], "").await;
    succeed(&to, &["import", "-"], &exported).await;
    assert!(from.dump_both().await == to.dump_both().await);
    for query in
        ["", "projectName=shop", "projectName=large", "serviceName=cart&verbosity=brief", "page=2&per_page=5"]
    {
        assert!(from.get(ListReleases, query).await == to.get(ListReleases, query).await, "{query}");
    }
    let records = exported.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let images: Vec<_> =
        records.filter_map(|record| record["image"].as_str().map(|image| format!("image={image}"))).collect();
    assert_eq!(images.len(), 13);
    for image in images {
        let expected = from.get(GetArtifact, &image).await;
        assert_eq!(expected.status, 200, "{}", expected.body);
        assert_eq!(to.get(GetArtifact, &image).await, expected);
    }
    let again = succeed(&to, &["import", "-"], &exported).await;
    assert!(again.contains("stored 0,"), "{again}");
}

#[tokio::test]
async fn an_export_holds_what_its_filters_keep() {
    let tables = with_samples().await;
    let ids = async |arguments: &[&str]| {
        let exported = succeed(&tables, &[&["export"], arguments].concat(), "").await;
        let id = |line: &str| {
            let record: Value = serde_json::from_str(line).unwrap();
            record["id"].as_str().or(record["versionInfo"]["id"].as_str()).unwrap().to_owned()
        };
        exported.lines().map(id).collect::<Vec<_>>()
    };
    assert_eq!(ids(&["--project", "large"]).await, ["62aa82b5c528c2182225ffff"]);
    assert_eq!(ids(&["--releases"]).await[0], "62aa82b5c528c2182225ffff", "newest first");
    assert_eq!(ids(&["--artifacts"]).await.len(), 13);
    assert_eq!(ids(&["--releases"]).await.len() + 13, ids(&[]).await.len());
    assert_eq!(
        ids(&["--project", "shop", "--workflow", "shop-dev", "--task", "12"]).await,
        ["622aa474c528c2182225f053"]
    );
    assert_eq!(ids(&["--service", "no such service"]).await, Vec::<String>::new());
    let twice = "registry.example.com/shop/checkout:20220208210445-1-hotfix-vat";
    assert_eq!(ids(&["--image", twice]).await, ["62027355c528c2182225f099", "62026acdc528c2182225f098"]);
    let digest = "sha256:dcca88a053b69cb1816397ed44ab0780f5beddf816274a16629ac36b1ffb22a3";
    assert_eq!(ids(&["--image", digest]).await.len(), 2);
    assert_eq!(
        ids(&["--image", &format!("mirror.example.com:5000/poetry/portal@{digest}")]).await,
        ["624de341c528c2182225f09b"]
    );
}

#[tokio::test]
async fn a_reindex_mends_what_was_deleted_garbled_and_left_behind() {
    let tables = with_samples().await;
    let (client, table) = (&tables.client, tables.names.releases.as_str());
    let before = tables.dump(table).await;
    let facets: Vec<_> = client
        .scan()
        .table_name(table)
        .filter_expression("begins_with(entry, :facet)")
        .expression_attribute_values(":facet", AttributeValue::S("facet#".to_owned()))
        .projection_expression("release_id, entry, facet, #position, revision, lengths")
        .expression_attribute_names("#position", "position")
        .send()
        .await
        .unwrap()
        .items
        .unwrap();
    for item in facets.iter().step_by(7) {
        let key =
            item.clone().into_iter().filter(|(name, _)| name == "release_id" || name == "entry").collect();
        client.delete_item().table_name(table).set_key(Some(key)).send().await.unwrap();
    }
    for (attribute, start) in [("facet", 1), ("position", 2), ("lengths", 3)] {
        for item in facets.iter().skip(start).step_by(7) {
            let mut item = item.clone();
            item.insert(attribute.to_owned(), AttributeValue::S("garbled".to_owned()));
            client.put_item().table_name(table).set_item(Some(item)).send().await.unwrap();
        }
    }
    let mut extra = facets[0].clone();
    extra.insert("entry".to_owned(), AttributeValue::S("facet#0000".to_owned()));
    client.put_item().table_name(table).set_item(Some(extra.clone())).send().await.unwrap();
    extra.insert("release_id".to_owned(), AttributeValue::S("gone".to_owned()));
    client.put_item().table_name(table).set_item(Some(extra)).send().await.unwrap();

    let damaged = tables.dump(table).await;
    assert!(damaged != before);
    let told = succeed(&tables, &["reindex", "--dry-run"], "").await;
    assert!(tables.dump(table).await == damaged, "a dry run writes nothing");
    let mended = succeed(&tables, &["reindex"], "").await;
    assert!(told.ends_with(&mended), "{told}\n{mended}");
    assert!(mended.contains("left of records that are gone, removed: 1"), "{mended}");
    assert!(tables.dump(table).await == before);
    let again = succeed(&tables, &["reindex"], "").await;
    assert_eq!(again, "releases 25, changed 0, items changed 0\nartifacts 13, changed 0\n");
}

/// Zadig's own objects must name what they are (`values.rs`). What is stored is not asked that.
#[tokio::test]
async fn an_artifact_that_names_nothing_is_taken_from_an_export() {
    let line = r#"{"id":"a","name":"n","type":"","source":"","image_tag":"","created_by":"","created_time":5,"activities":[{"artifact_id":"a","type":"build","created_by":"","created_time":5}],"sortedActivities":{"build":[{"artifact_id":"a","type":"build","created_by":"","created_time":5}]}}"#;
    let recorded =
        line.strip_suffix('}').unwrap().to_owned() + r#","recordedByPipelines":{"facts":[],"told":{}}}"#;
    for line in [line, &recorded] {
        let (from, to) = (Tables::empty().await, Tables::empty().await);
        succeed(&from, &["import", "-"], line).await;
        let exported = succeed(&from, &["export"], "").await;
        assert!(exported.starts_with(r#"{"id":"a","name":"n","#), "{exported}");
        succeed(&to, &["import", "-"], &exported).await;
        succeed(&to, &["verify", "-"], &exported).await;
        assert!(from.dump_both().await == to.dump_both().await);
    }
}
