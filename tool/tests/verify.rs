//! `verify`: everything that is missing, spoiled or different is found.

use aws_sdk_dynamodb::types::AttributeValue;
use bson::doc;

use crate::running::{Ran, run, run_on, tool};
use crate::support::Tables;
use crate::zadig::report;
use crate::zadig_collections::{made_id, shop, write_bson};

/// A shop that was imported, and the dump that it was imported from.
async fn imported() -> (Tables, tempfile::TempDir) {
    let (tables, directory) = (Tables::empty().await, tempfile::tempdir().unwrap());
    write_bson(directory.path(), &shop(5));
    let import = tool(&tables.environment(), &["import", directory.path().to_str().unwrap()]);
    assert_eq!(run(import).await.status, Some(0));
    (tables, directory)
}

async fn verify(tables: &Tables, directory: &tempfile::TempDir) -> Ran {
    run_on(tables, &["verify", directory.path().to_str().unwrap()]).await
}

#[tokio::test]
async fn what_was_imported_is_all_there() {
    let (tables, directory) = imported().await;
    let ran = verify(&tables, &directory).await;
    assert_eq!(ran.status, Some(0), "{ran:?}");
    assert!(ran.out.contains("nothing was lost"), "{}", ran.out);
}

#[tokio::test]
async fn every_single_item_that_is_lost_or_spoiled_is_found() {
    let (tables, directory) = imported().await;
    let client = &tables.client;
    for (table, hash) in [(&tables.names.releases, "release_id"), (&tables.names.artifacts, "image_digest")] {
        let items = client.scan().table_name(table).send().await.unwrap().items.unwrap();
        // One item of every kind is enough.
        let mut kinds = std::collections::BTreeSet::new();
        for item in items {
            let kind = item["entry"].as_s().unwrap().split(['=', '#']).next().unwrap().to_owned();
            // A pointer that leads on to another artifact belongs to no record.
            if item.contains_key("gave_way_to") || !kinds.insert(kind) {
                continue;
            }
            let put = |item| client.put_item().table_name(table).set_item(Some(item)).send();
            let delete = client.delete_item().table_name(table);
            delete.key(hash, item[hash].clone()).key("entry", item["entry"].clone()).send().await.unwrap();
            let ran = verify(&tables, &directory).await;
            assert_eq!(ran.status, Some(1), "{item:?} is lost: {ran:?}");
            assert!(ran.err.contains("is missing"), "{}", ran.err);
            let name = ["rest", "document", "artifact_digest", "lengths", "revision", "position"]
                .into_iter()
                .find(|name| item.contains_key(*name));
            let mut spoiled = item.clone();
            spoiled.insert(name.unwrap().to_owned(), AttributeValue::S("x".to_owned()));
            put(spoiled).await.unwrap();
            let ran = verify(&tables, &directory).await;
            let is_told = ran.err.contains("another") || ran.err.contains("cannot be read");
            assert!(ran.status == Some(1) && is_told, "{item:?} is spoiled: {ran:?}");
            put(item).await.unwrap();
        }
        assert!(kinds.len() >= 2, "{kinds:?}");
    }
    assert_eq!(verify(&tables, &directory).await.status, Some(0));
}

#[tokio::test]
async fn changed_deleted_and_refused_records_are_told_with_their_ids() {
    let (tables, directory) = imported().await;
    let mut dump = shop(7);
    dump.get_mut("delivery_deploy").unwrap()[0].insert("service_name", "another");
    dump.get_mut("delivery_version").unwrap()[1].insert("deleted_at", 9_i64);
    dump.get_mut("artifact").unwrap()[2].insert("image_digest", format!("sha256:{:064x}", 99));
    dump.get_mut("delivery_version").unwrap()[3].insert("created_at", -1_i64);
    dump.get_mut("delivery_version").unwrap().push(doc! { "_id": made_id(1, 8), "deleted_at": 9_i64 });
    write_bson(directory.path(), &dump);
    let path = directory.path().join("report.out");
    let arguments = ["verify", directory.path().to_str().unwrap(), "--report", path.to_str().unwrap()];
    let before = tables.dump_both().await;
    let ran = run_on(&tables, &arguments).await;
    assert_eq!(ran.status, Some(1), "{ran:?}");
    for (collection, id, reason) in [
        ("delivery_version", made_id(1, 0), "it is stored with another content"),
        ("delivery_version", made_id(1, 1), "it is deleted, and still stored"),
        ("delivery_version", made_id(1, 5), "it is missing"),
        ("delivery_version", made_id(1, 6), "it is missing"),
        ("artifact", made_id(6, 2), "its entry"),
        ("artifact", made_id(6, 5), "it is missing"),
    ] {
        let line = format!("differs {collection} {id}: {reason}");
        assert!(ran.err.contains(&line), "{line} is not in {}", ran.err);
    }
    for field in ["$.deployInfo[0].serviceName differs", "$.image_digest differs"] {
        assert!(ran.err.contains(field), "{field} is not in {}", ran.err);
    }
    assert!(ran.err.contains("refused delivery_version"), "{}", ran.err);
    let report = report(&path);
    assert_eq!(report["differing"].as_array().unwrap().len(), 7);
    assert_eq!(report["collections"]["delivery_version"]["deleted"], 1);
    assert_eq!(tables.dump_both().await, before, "verify writes nothing");
}

#[tokio::test]
async fn a_dynamodb_that_cannot_be_reached_is_told_by_the_exit_status() {
    let (tables, directory) = imported().await;
    let mut verify = tool(&tables.environment(), &["verify", directory.path().to_str().unwrap()]);
    verify.env("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9").env("AWS_MAX_ATTEMPTS", "1");
    assert_eq!(run(verify).await.status, Some(4));
}

#[tokio::test]
async fn what_pipelines_recorded_is_verified_too() {
    let (tables, directory) = imported().await;
    let artifacts = async || {
        let client = &tables.client;
        client.scan().table_name(&tables.names.artifacts).send().await.unwrap().items.unwrap()
    };
    let before = artifacts().await;
    let deploy = ["record", "deploy", "--image", "registry/cart:0", "--env", "prod"];
    let recorded = run_on(&tables, &deploy).await;
    assert_eq!(recorded.status, Some(0), "{recorded:?}");
    let ran = verify(&tables, &directory).await;
    assert!(ran.status == Some(0) && ran.out.contains("recorded kept"), "{ran:?}");
    // The document loses the activity, and the artifact's item still lists it.
    for mut item in artifacts().await.into_iter().filter(|item| item.contains_key("recorded")) {
        let is_same = |other: &&std::collections::HashMap<_, _>| other["entry"] == item["entry"];
        let other = before.iter().find(is_same).unwrap();
        item.extend([("document".to_owned(), other["document"].clone())]);
        tables.put_item(&tables.names.artifacts, item).await;
    }
    let ran = verify(&tables, &directory).await;
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert!(ran.err.contains("what pipelines recorded of it is not what its document holds"), "{}", ran.err);
    // The whole artifact is as it was before, so nothing was recorded; that is no loss of the source's.
    for item in before.into_iter().filter(|item| item.contains_key("document")) {
        tables.put_item(&tables.names.artifacts, item).await;
    }
    let ran = verify(&tables, &directory).await;
    assert!(ran.status == Some(0) && !ran.out.contains("recorded kept"), "{ran:?}");
}
