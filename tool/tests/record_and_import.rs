//! `record` beside `import`, `export` and `verify`: what pipelines recorded is kept, and is answered once.

use std::collections::BTreeSet;
use std::process::Stdio;

use aws_sdk_dynamodb::types::AttributeValue;
use delivery_center::endpoint::Endpoint::GetArtifact;
use delivery_center_tool::record::Artifact;
use serde_json::{Value, json};

use crate::running::{run_on, run_with_input, tool};
use crate::support::faulty::{Fault, FaultyProxy};
use crate::support::{SAMPLES, Tables, artifact, incompressible, lines};

const IMAGE: &str = "registry.example.com/shop/cart:1";
const DIGEST: &str = "sha256:1d9ddf94feb5ff9ca9d76248ad51dd2a95210895d0dbf1e87bd66cc471c41f0e";
const ID: &str = "61b84bbcc19ba8cdb184cc53";
const DEPLOY: [&str; 6] = ["record", "deploy", "--image", IMAGE, "--env", "prod"];
const DEPLOY_TO_STAGING: [&str; 6] = ["record", "deploy", "--image", IMAGE, "--env", "staging"];

/// The artifact that the tests import. It has an activity of its own, and is older than what they record.
fn imported() -> Value {
    let mut imported = artifact(ID, IMAGE, DIGEST, 1_600_000_000);
    imported["activities"] =
        json!([{ "artifact_id": ID, "type": "build", "created_by": "zadig", "created_time": 1_600_000_000 }]);
    imported
}

/// Runs the tool, which must succeed, and gives what it prints.
async fn succeed(tables: &Tables, arguments: &[&str]) -> String {
    succeed_with(tables, arguments, "").await
}

async fn succeed_with(tables: &Tables, arguments: &[&str], input: &str) -> String {
    let ran = run_with_input(tool(&tables.environment(), arguments), input).await;
    assert_eq!(ran.status, Some(0), "{arguments:?}: {ran:?}");
    ran.out
}

async fn import(tables: &Tables, record: &Value) -> String {
    succeed_with(tables, &["import", "-"], &record.to_string()).await
}

async fn answered(tables: &Tables, image: &str) -> Value {
    tables.get(GetArtifact, &format!("image={image}")).await.json()
}

fn activities(artifact: &Value) -> &[Value] {
    artifact["activities"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The environments of an artifact's deploys, newest first.
fn environments(artifact: &Value) -> Vec<&str> {
    activities(artifact).iter().filter_map(|activity| activity["env_name"].as_str()).collect()
}

/// Deletes the items of the Artifacts table whose entry begins with one of some texts.
async fn delete_by_hand(tables: &Tables, prefixes: &[&str]) {
    let table = tables.names.artifacts.as_str();
    for item in tables.client.scan().table_name(table).send().await.unwrap().items.unwrap() {
        if prefixes.iter().any(|prefix| item["entry"].as_s().unwrap().starts_with(prefix)) {
            let is_key = |name: &String| name == "image_digest" || name == "entry";
            let key = item.into_iter().filter(|(name, _)| is_key(name)).collect();
            tables.client.delete_item().table_name(table).set_key(Some(key)).send().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_keeps_what_pipelines_recorded_and_says_how_much() {
    let tables = Tables::empty().await;
    import(&tables, &imported()).await;
    succeed(&tables, &DEPLOY).await;
    succeed(&tables, &DEPLOY_TO_STAGING).await;
    let before = tables.dump_both().await;
    let kept = "activities that pipelines recorded, kept: 2";
    let dry_run = succeed_with(&tables, &["import", "--dry-run", "-"], &imported().to_string()).await;
    assert!(dry_run.contains("unchanged 1") && dry_run.contains(kept), "{dry_run}");
    let again = import(&tables, &imported()).await;
    assert!(again.contains("unchanged 1") && again.contains(kept), "{again}");
    assert_eq!(tables.dump_both().await, before);
    let verified = succeed_with(&tables, &["verify", "-"], &imported().to_string()).await;
    assert!(verified.contains("recorded kept"), "{verified}");

    let mut changed = imported();
    changed["image_size"] = 7.into();
    let stored = import(&tables, &changed).await;
    assert!(stored.contains("stored 1") && stored.contains(kept), "{stored}");
    let artifact = answered(&tables, IMAGE).await;
    assert_eq!((&artifact["image_size"], activities(&artifact).len()), (&json!(7), 3));
    let again = succeed(&tables, &DEPLOY).await;
    assert!(again.contains("recorded before"), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_import_drops_when_told_to_can_be_recorded_again() {
    let tables = Tables::empty().await;
    import(&tables, &imported()).await;
    let before = tables.dump_both().await;
    succeed(&tables, &DEPLOY).await;
    let dropping = ["import", "--drop-recorded", "-"];
    let dropped = succeed_with(&tables, &dropping, &imported().to_string()).await;
    assert!(dropped.contains("stored 1") && !dropped.contains("kept"), "{dropped}");
    assert_eq!(tables.dump_both().await, before);
    let again = succeed(&tables, &DEPLOY).await;
    assert!(again.contains("added to"), "{again}");
    assert_eq!(environments(&answered(&tables, IMAGE).await), ["prod"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_activity_that_the_source_brings_too_is_answered_once() {
    let tables = Tables::empty().await;
    import(&tables, &imported()).await;
    succeed(&tables, &DEPLOY).await;
    succeed(&tables, &DEPLOY_TO_STAGING).await;
    let recorded = answered(&tables, IMAGE).await;
    let mut source = imported();
    let prod = |activity: &&Value| activity["env_name"] == "prod";
    let brought = activities(&recorded).iter().find(prod).unwrap().clone();
    source["activities"].as_array_mut().unwrap().push(brought);
    let stored = import(&tables, &source).await;
    assert!(stored.contains("kept: 2"), "{stored}");
    let artifact = answered(&tables, IMAGE).await;
    assert_eq!(activities(&artifact).len(), 3);
    assert_eq!(BTreeSet::from_iter(environments(&artifact)), BTreeSet::from(["prod", "staging"]));
    let mut another = source.clone();
    another["activities"][1]["content"] = "deployed by hand".into();
    import(&tables, &another).await;
    assert_eq!(environments(&answered(&tables, IMAGE).await).len(), 3, "another in one field is another");
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelines_that_record_beside_imports_lose_nothing() {
    let tables = Tables::empty().await;
    import(&tables, &imported()).await;
    record_and_import_at_once(&tables);
    let artifact = answered(&tables, IMAGE).await;
    assert_eq!(activities(&artifact).len(), 15 + 1);
    assert_eq!(BTreeSet::from_iter(environments(&artifact)).len(), 15);
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelines_that_record_beside_the_first_import_lose_nothing() {
    let tables = Tables::empty().await;
    record_and_import_at_once(&tables);
    // A deploy may make an artifact at the very moment at which the import stores the image's own. The next
    // import joins them.
    import(&tables, &imported()).await;
    let artifact = answered(&tables, IMAGE).await;
    assert_eq!(artifact["id"], ID);
    assert_eq!(activities(&artifact).len(), 15 + 1);
    assert_eq!(BTreeSet::from_iter(environments(&artifact)).len(), 15);
}

/// Fifteen pipelines record a deploy each, and six imports store the artifact, all at the same moment.
fn record_and_import_at_once(tables: &Tables) {
    let directory = tempfile::tempdir().unwrap();
    let mut running = Vec::new();
    for number in 0..15 {
        let env = format!("env-{number}");
        let deploy = ["record", "deploy", "--image", IMAGE, "--env", env.as_str()];
        running.push(tool(&tables.environment(), &deploy));
        if number % 5 < 2 {
            let mut record = imported();
            record["image_size"] = (number + 1).into();
            let file = directory.path().join(format!("{number}.json"));
            std::fs::write(&file, record.to_string()).unwrap();
            running.push(tool(&tables.environment(), &["import", file.to_str().unwrap()]));
        }
    }
    assert_eq!(running.len(), 15 + 6);
    let running: Vec<_> =
        running.into_iter().map(|mut tool| tool.stdout(Stdio::null()).spawn().unwrap()).collect();
    for mut tool in running {
        assert!(tool.wait().unwrap().success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_with_recorded_activities_imports_unchanged_and_answers_alike_elsewhere() {
    let (tables, empty) = (Tables::empty().await, Tables::empty().await);
    let portal = "registry.example.com/shop/checkout:20220208210445-1-hotfix-vat";
    succeed_with(&tables, &["import", "-"], &format!("{SAMPLES}{}", imported())).await;
    for image in [IMAGE, portal, "registry.example.com/shop/first:1"] {
        for environment in ["staging", "prod"] {
            succeed(&tables, &["record", "deploy", "--image", image, "--env", environment]).await;
        }
    }
    let before = tables.dump_both().await;
    let exported = succeed(&tables, &["export"]).await;
    let again = succeed_with(&tables, &["import", "-"], &exported).await;
    assert!(again.contains("stored 0,") && again.contains("kept: 6"), "{again}");
    assert_eq!(tables.dump_both().await, before);
    succeed_with(&tables, &["verify", "-"], &exported).await;

    succeed_with(&empty, &["import", "-"], &exported).await;
    let images = exported
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).unwrap()["image"].as_str().map(str::to_owned));
    let images: BTreeSet<_> = images.collect();
    assert!(images.contains("registry.example.com/shop/first:1"));
    for image in images {
        let query = format!("image={image}");
        assert_eq!(empty.get(GetArtifact, &query).await, tables.get(GetArtifact, &query).await, "{image}");
    }
    let lines = |exported: &str| exported.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(lines(&succeed(&empty, &["export"]).await), lines(&exported));
    // The tables that were filled from the export know what pipelines recorded: the next import of the image's
    // record keeps it, and a step that is sent again is recorded before.
    let mut changed = imported();
    changed["name"] = json!("changed");
    let kept = import(&empty, &changed).await;
    assert!(kept.contains("stored 1") && kept.contains("kept: 2"), "{kept}");
    assert_eq!(environments(&answered(&empty, IMAGE).await).len(), 2);
    assert!(succeed(&empty, &DEPLOY_TO_STAGING).await.contains("recorded before"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_export_says_of_recorded_activities_is_answered_by_nobody_and_refused_where_it_is_untrue() {
    let tables = Tables::empty().await;
    import(&tables, &imported()).await;
    succeed(&tables, &DEPLOY).await;
    let exported = succeed(&tables, &["export"]).await;
    assert!(exported.contains("\"recordedByPipelines\":{\"facts\":[\""), "{exported}");
    let empty = Tables::empty().await;
    succeed_with(&empty, &["import", "-"], &exported).await;
    for tables in [&tables, &empty] {
        assert_eq!(answered(tables, IMAGE).await["recordedByPipelines"], Value::Null);
    }
    let mut record: Value = serde_json::from_str(&exported).unwrap();
    record["activities"] = json!([]);
    let ran = run_with_input(tool(&empty.environment(), &["import", "-"]), record.to_string()).await;
    assert!(ran.status == Some(1) && ran.err.contains("$.recordedByPipelines"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_imported_takes_the_place_of_the_one_that_a_deploy_made() {
    for digest in [DIGEST, ""] {
        let tables = Tables::empty().await;
        succeed(&tables, &DEPLOY).await;
        succeed(&tables, &DEPLOY_TO_STAGING).await;
        let told = succeed_with(&tables, &["import", "--dry-run", "-"], &imported().to_string()).await;
        assert!(told.contains("kept: 2"), "{told}");
        let mut older = imported();
        older["image_digest"] = digest.into();
        let stored = import(&tables, &older).await;
        assert!(stored.contains("kept: 2"), "{stored}");
        let artifact = answered(&tables, IMAGE).await;
        assert_eq!(artifact["id"], ID);
        assert_eq!(BTreeSet::from_iter(environments(&artifact)), BTreeSet::from(["prod", "staging"]));
        assert!(activities(&artifact).iter().all(|activity| activity["artifact_id"] == ID), "{artifact}");
        let exported = succeed(&tables, &["export", "--artifacts"]).await;
        assert_eq!(exported.lines().count(), 1, "the other one is gone: {exported}");
        for deploy in [DEPLOY, DEPLOY_TO_STAGING] {
            let again = succeed(&tables, &deploy).await;
            assert!(again.contains("recorded before") && again.contains(ID), "{again}");
        }
        let again = import(&tables, &older).await;
        assert!(again.contains("unchanged 1") && again.contains("kept: 2"), "{again}");
        assert_eq!(answered(&tables, IMAGE).await, artifact);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_imported_takes_the_place_of_the_one_that_a_deploy_of_its_digest_made() {
    let tables = Tables::empty().await;
    let with_digest = format!("{IMAGE}@{DIGEST}");
    let deploy = ["record", "deploy", "--image", &with_digest, "--env", "prod"];
    // One pipeline knows the digest, and the other does not, so each makes an artifact of its own that stands
    // for the image.
    succeed(&tables, &DEPLOY_TO_STAGING).await;
    succeed(&tables, &deploy).await;
    import(&tables, &imported()).await;
    for image in [IMAGE, DIGEST] {
        let artifact = answered(&tables, image).await;
        assert_eq!(artifact["id"], ID, "{image}");
        assert_eq!(activities(&artifact).iter().filter(|activity| activity["type"] == "build").count(), 1);
        let mut environments = environments(&artifact);
        environments.sort_unstable();
        assert_eq!(environments, ["prod", "staging"]);
    }
    for again in [&DEPLOY_TO_STAGING[..], &deploy] {
        let again = succeed(&tables, again).await;
        assert!(again.contains("recorded before"), "{again}");
    }
    let mended = succeed(&tables, &["reindex"]).await;
    assert!(mended.contains("items changed 0") && !mended.contains("removed"), "{mended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_fills_in_the_artifact_that_a_deploy_made_and_the_deploy_stays_recorded() {
    let tables = Tables::empty().await;
    succeed(&tables, &DEPLOY).await;
    let made = answered(&tables, IMAGE).await;
    let build = [
        "record",
        "build",
        "--image",
        IMAGE,
        "--digest",
        DIGEST,
        "--repo",
        "acme/shop",
        "--branch",
        "main",
        "--commit",
        "4b15c43b",
    ];
    succeed(&tables, &build).await;
    let filled_in = answered(&tables, IMAGE).await;
    assert_eq!((&filled_in["id"], &filled_in["image_digest"]), (&made["id"], &json!(DIGEST)));
    for fact in [&DEPLOY[..], &build] {
        let again = succeed(&tables, fact).await;
        assert!(again.contains("recorded before"), "{again}");
    }
    assert_eq!(answered(&tables, IMAGE).await, filled_in);
    assert_eq!(activities(&filled_in).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_deploy_by_digest_alone_made_gives_way_to_the_imported_record_and_to_the_recorded_build() {
    let by_digest = format!("registry.example.com/shop/cart@{DIGEST}");
    let deploy = ["record", "deploy", "--image", &by_digest, "--env", "prod"];
    for is_imported in [true, false] {
        let tables = Tables::empty().await;
        succeed(&tables, &deploy).await;
        if is_imported {
            let stored = import(&tables, &imported()).await;
            assert!(stored.contains("kept: 1"), "{stored}");
        } else {
            let source = ["--repo", "acme/shop", "--branch", "main", "--commit", "4b15c43b"];
            let build = ["record", "build", "--image", IMAGE, "--digest", DIGEST];
            succeed(&tables, &[&build[..], &source].concat()).await;
        }
        for image in [IMAGE, DIGEST, &by_digest] {
            let artifact = answered(&tables, image).await;
            assert_eq!(artifact["image"], IMAGE, "{image}, imported: {is_imported}");
            assert_eq!(environments(&artifact), ["prod"], "{image}, imported: {is_imported}");
            assert!(activities(&artifact).iter().any(|activity| activity["type"] == "build"));
        }
        for again in [&by_digest, &format!("{IMAGE}@{DIGEST}")] {
            let told = succeed(&tables, &["record", "deploy", "--image", again, "--env", "prod"]).await;
            assert!(told.contains("recorded before"), "{again}, imported: {is_imported}: {told}");
        }
        assert_eq!(succeed(&tables, &["export", "--artifacts"]).await.lines().count(), 1);
        let mended = succeed(&tables, &["reindex"]).await;
        assert!(mended.contains("artifacts 1, changed 0") && !mended.contains("removed"), "{mended}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pointer_that_is_lost_or_spoiled_is_mended_and_nothing_recorded_is_lost() {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let damages = [
        None,
        Some(vec![]),
        Some(vec![("artifact_digest", AttributeValue::N("5".to_owned())), ("artifact_entry", text("x"))]),
        Some(vec![("artifact_digest", text("sha256:0")), ("artifact_entry", text("artifact#0"))]),
    ];
    let mends: [&[&str]; 4] =
        [&["import", "-"], &["import", "--rewrite", "-"], &["reindex"], &DEPLOY_TO_STAGING];
    for damage in damages {
        for mend in mends {
            let tables = Tables::empty().await;
            import(&tables, &imported()).await;
            succeed(&tables, &DEPLOY).await;
            match &damage {
                None => delete_by_hand(&tables, &["pointer"]).await,
                Some(attributes) => {
                    let key = [("image_digest", text(&format!("id:{ID}"))), ("entry", text("pointer"))];
                    let pointer = key.into_iter().chain(attributes.clone());
                    let pointer = pointer.map(|(name, value)| (name.to_owned(), value));
                    tables.put_item(&tables.names.artifacts, pointer.collect()).await;
                }
            }
            let ran = run_with_input(tool(&tables.environment(), mend), imported().to_string()).await;
            assert_eq!(ran.status, Some(0), "{damage:?} {mend:?}: {ran:?}");
            // Nothing that is done later takes the facts away, and the pointer is as it should be.
            let mended = succeed(&tables, &["reindex"]).await;
            assert!(mended.contains("artifacts 1, changed 0"), "{damage:?} {mend:?}: {mended}");
            let kept = import(&tables, &imported()).await;
            assert!(kept.contains("kept: "), "{damage:?} {mend:?}: {kept}");
            let artifact = answered(&tables, IMAGE).await;
            assert!(environments(&artifact).contains(&"prod"), "{damage:?} {mend:?}: {artifact}");
            let again = succeed(&tables, &DEPLOY).await;
            assert!(again.contains("recorded before"), "{damage:?} {mend:?}: {again}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_activities_that_a_document_lost_are_named_and_not_written_over_unless_told() {
    let tables = Tables::empty().await;
    import(&tables, &imported()).await;
    let before = tables.items(&tables.names.artifacts).await;
    succeed(&tables, &DEPLOY).await;
    succeed(&tables, &DEPLOY_TO_STAGING).await;
    for mut item in tables.items(&tables.names.artifacts).await {
        if item.contains_key("recorded") {
            let other = before.iter().find(|other| other["entry"] == item["entry"]).unwrap();
            item.extend([("document".to_owned(), other["document"].clone())]);
            tables.put_item(&tables.names.artifacts, item).await;
        }
    }
    let spoiled = tables.dump(&tables.names.artifacts).await;
    let mut changed = imported();
    changed["name"] = json!("changed");
    for command in [&["import", "-"][..], &["reindex"], &["verify", "-"], &DEPLOY] {
        let ran = run_with_input(tool(&tables.environment(), command), changed.to_string()).await;
        assert_eq!(ran.status, Some(1), "{command:?}: {ran:?}");
        let is_named = ran.err.contains(ID) && ran.err.contains("is not what its document holds");
        assert!(is_named, "{command:?}: {ran:?}");
        assert_eq!(tables.dump(&tables.names.artifacts).await, spoiled, "{command:?}");
    }
    let rewrite = ["import", "--rewrite", "-"];
    let ran = run_with_input(tool(&tables.environment(), &rewrite), changed.to_string()).await;
    assert_eq!(ran.status, Some(0), "{ran:?}");
    assert!(ran.err.contains(ID) && ran.err.contains("lost=2"), "{ran:?}");
    assert_eq!(answered(&tables, IMAGE).await["name"], "changed");
    assert!(succeed(&tables, &DEPLOY).await.starts_with("recorded: "));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_for_an_image_gives_way_also_where_it_came_out_of_an_export() {
    let tables = Tables::empty().await;
    succeed(&tables, &DEPLOY).await;
    succeed(&tables, &DEPLOY_TO_STAGING).await;
    let exported = succeed(&tables, &["export"]).await;
    let restored = Tables::empty().await;
    succeed_with(&restored, &["import", "-"], &exported).await;
    assert_eq!(answered(&restored, IMAGE).await, answered(&tables, IMAGE).await);
    succeed_with(&restored, &["verify", "-"], &exported).await;
    let again = succeed_with(&restored, &["import", "-"], &exported).await;
    assert!(again.contains("unchanged 1"), "{again}");
    let stored = import(&restored, &imported()).await;
    assert!(stored.contains("kept: 2"), "{stored}");
    let artifact = answered(&restored, IMAGE).await;
    assert_eq!(artifact["id"], ID);
    assert_eq!(BTreeSet::from_iter(environments(&artifact)), BTreeSet::from(["prod", "staging"]));
    // An export from before the image's record came holds nothing that is not there already.
    for tables in [&restored, &tables] {
        import(tables, &imported()).await;
        let before = answered(tables, IMAGE).await;
        let told = succeed_with(tables, &["import", "-"], &exported).await;
        assert!(told.contains("unchanged 1"), "{told}");
        assert_eq!(answered(tables, IMAGE).await, before);
    }
    // The same with tables in which nothing was recorded before.
    let other = Tables::empty().await;
    import(&other, &imported()).await;
    succeed_with(&other, &["import", "-"], &exported).await;
    let artifact = answered(&other, IMAGE).await;
    assert_eq!(artifact["id"], ID);
    assert_eq!(BTreeSet::from_iter(environments(&artifact)), BTreeSet::from(["prod", "staging"]));
    let kept = import(&other, &imported()).await;
    assert!(kept.contains("kept: 2"), "{kept}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fact_whose_artifact_was_deleted_by_hand_can_be_recorded_again() {
    let with_key = ["record", "test", "--image", IMAGE, "--idempotency-key", "run 1"];
    let facts = [&DEPLOY[..], &DEPLOY_TO_STAGING, &with_key];
    let all = BTreeSet::from([("deploy", "prod"), ("deploy", "staging"), ("test", "")]);
    let recorded = |artifact: &Value| {
        let all = activities(artifact).iter().map(|activity| {
            let text = |name: &str| activity[name].as_str().unwrap_or_default().to_owned();
            (text("type"), text("env_name"))
        });
        all.filter(|(kind, _)| kind != "build").collect::<Vec<_>>()
    };
    for deleted in [&["artifact#"][..], &["artifact#", "pointer"], &["artifact#", "key"]] {
        for is_imported in [false, true] {
            let tables = Tables::empty().await;
            if is_imported {
                import(&tables, &imported()).await;
            }
            for fact in facts {
                succeed(&tables, fact).await;
            }
            delete_by_hand(&tables, deleted).await;
            assert_eq!(answered(&tables, IMAGE).await["code"], 404);
            for fact in facts {
                let again = succeed(&tables, fact).await;
                assert!(again.starts_with("recorded: "), "{deleted:?}, imported: {is_imported}: {again}");
            }
            let artifact = answered(&tables, IMAGE).await;
            let found = recorded(&artifact);
            let found: Vec<_> = found.iter().map(|(kind, env)| (kind.as_str(), env.as_str())).collect();
            assert_eq!(found.len(), 3, "{deleted:?}, imported: {is_imported}: {found:?}");
            assert_eq!(BTreeSet::from_iter(found), all, "{deleted:?}, imported: {is_imported}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_of_many_records_counts_what_was_kept_of_each() {
    let tables = Tables::empty().await;
    let records: Vec<_> = (0..3)
        .map(|number| artifact(&format!("a{number}"), &format!("shop/cart:{number}"), "", 1_600_000_000))
        .collect();
    succeed_with(&tables, &["import", "-"], &lines(&records)).await;
    for number in 0..3 {
        for environment in ["staging", "prod"] {
            let image = format!("shop/cart:{number}");
            succeed(&tables, &["record", "deploy", "--image", &image, "--env", environment]).await;
        }
    }
    let again = succeed_with(&tables, &["import", "-"], &lines(&records)).await;
    assert!(again.contains("kept: 6"), "{again}");
    let ran = run_on(&tables, &["export", "--image", "shop/cart:1"]).await;
    assert_eq!(environments(&serde_json::from_str(&ran.out).unwrap()).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fact_is_not_recorded_of_an_artifact_that_has_another_image_by_now() {
    let tables = Tables::empty().await;
    succeed(&tables, &DEPLOY).await;
    import(&tables, &imported()).await;
    let mut moved = imported();
    moved["image"] = json!("registry.example.com/shop/moved:1");
    import(&tables, &moved).await;
    succeed(&tables, &DEPLOY_TO_STAGING).await;
    assert_eq!(environments(&answered(&tables, IMAGE).await), ["staging"]);
    assert_eq!(environments(&answered(&tables, "registry.example.com/shop/moved:1").await), ["prod"]);
    // The image's own record is imported again, and the artifact that stands for the image gives way once
    // more.
    import(&tables, &imported()).await;
    assert_eq!(answered(&tables, IMAGE).await["id"], ID);
    let mut found =
        environments(&answered(&tables, IMAGE).await).into_iter().map(str::to_owned).collect::<Vec<_>>();
    found.sort_unstable();
    assert_eq!(found, ["prod", "staging"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_drops_facts_removes_them_with_the_record_and_not_later() {
    let tables = Tables::empty().await;
    import(&tables, &imported()).await;
    succeed(&tables, &DEPLOY).await;
    let proxy = FaultyProxy::start(&tables.endpoint_url, |_, _| Fault::None).await;
    let through = tables.through(&proxy.endpoint_url);
    succeed_with(&through, &["import", "--drop-recorded", "-"], &imported().to_string()).await;
    assert_eq!(proxy.count("BatchWriteItem"), 0, "who records it again meanwhile would lose it");
    assert_eq!(proxy.count("TransactWriteItems"), 1);
    succeed(&tables, &DEPLOY).await;
    assert_eq!(environments(&answered(&tables, IMAGE).await), ["prod"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_whose_own_commit_refuses_it_keeps_what_it_put() {
    // The first attempt is made, and its answer is lost; the second is told that the first is still in progress.
    let tables = Tables::empty().await;
    let mut large = imported();
    let commit =
        |number: u32| json!({"repo_owner": "o", "repo_name": "n", "commit_id": format!("{number:07x}")});
    large["activities"][0]["commits"] = (0..80).map(commit).collect();
    large["docker_file"] = incompressible(500_000, 1).into();
    import(&tables, &large).await;
    let proxy = FaultyProxy::start(&tables.endpoint_url, |operation, number| match (operation, number) {
        ("TransactWriteItems", 0) => Fault::RefuseAfterwards("TransactionInProgressException"),
        _ => Fault::None,
    })
    .await;
    let told = succeed(&tables.through(&proxy.endpoint_url), &DEPLOY).await;
    assert!(told.starts_with("recorded: "), "{told}");
    let proxy = FaultyProxy::start(&tables.endpoint_url, |operation, number| match (operation, number) {
        ("TransactWriteItems", 0) => Fault::RefuseAfterwards("TransactionInProgressException"),
        _ => Fault::None,
    })
    .await;
    large["created_time"] = json!(1_600_000_001);
    import(&tables.through(&proxy.endpoint_url), &large).await;
    let artifact = answered(&tables, IMAGE).await;
    assert_eq!(
        (environments(&artifact), artifact["docker_file"] == large["docker_file"]),
        (vec!["prod"], true)
    );
    assert_eq!(tables.get(GetArtifact, "commit=000004f").await.json()["id"], ID);
    let mended = succeed(&tables, &["reindex"]).await;
    assert!(mended.contains("artifacts 1, changed 0") && !mended.contains("removed"), "{mended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_artifact_whose_lists_do_not_fit_is_refused_and_the_others_go_in() {
    let tables = Tables::empty().await;
    import(&tables, &imported()).await;
    succeed(&tables, &DEPLOY).await;
    let commit =
        |number: u32| json!({"repo_owner": "o", "repo_name": "n", "commit_id": format!("{number:07x}")});
    let with_commits = |commits: u32| {
        let mut record = imported();
        record["activities"][0]["commits"] = (0..commits).map(commit).collect();
        record
    };
    // The first would fit by itself, and does not with what was recorded.
    for (number, commits) in [10_555, 10_600].into_iter().enumerate() {
        let others: Vec<_> =
            (0..3).map(|other| artifact(&format!("{number}-{other}"), "x:1", "", 1)).collect();
        let input = format!("{}\n{}", with_commits(commits), lines(&others));
        let ran = run_with_input(tool(&tables.environment(), &["import", "-"]), input).await;
        assert_eq!(ran.status, Some(1), "{commits}: {ran:?}");
        assert!(ran.out.contains("stored 3, unchanged 0, deleted 0, refused 1"), "{commits}: {ran:?}");
        assert!(ran.err.contains(ID) && ran.err.contains("entries that find it"), "{commits}: {ran:?}");
    }
    assert_eq!(environments(&answered(&tables, IMAGE).await), ["prod"]);
}

/// Spoils the documents of all artifacts.
async fn spoil_documents(tables: &Tables) {
    for mut item in tables.items(&tables.names.artifacts).await {
        if item.contains_key("document") {
            item.insert("document".to_owned(), AttributeValue::Null(true));
            tables.put_item(&tables.names.artifacts, item).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_stands_for_an_image_hands_over_all_of_it_also_where_it_was_mended() {
    for mend in ["--rewrite", "--drop-recorded"] {
        let tables = Tables::empty().await;
        succeed(&tables, &DEPLOY).await;
        let exported = succeed(&tables, &["export"]).await;
        let before_the_member = exported.split(",\"recordedByPipelines\"").next().unwrap().to_owned() + "}";
        for exported in [exported, before_the_member] {
            spoil_documents(&tables).await;
            let ran =
                run_with_input(tool(&tables.environment(), &["import", "--rewrite", "-"]), exported.clone());
            assert_eq!(ran.await.status, Some(0));
            if mend == "--drop-recorded" {
                succeed_with(&tables, &["import", mend, "-"], &exported).await;
            }
        }
        import(&tables, &imported()).await;
        let artifact = answered(&tables, IMAGE).await;
        assert_eq!((&artifact["id"], environments(&artifact)), (&json!(ID), vec!["prod"]), "{mend}");
        succeed_with(&tables, &["import", "--drop-recorded", "-"], &exported_stand_in(&artifact)).await;
        assert_eq!(answered(&tables, IMAGE).await["id"], ID, "{mend}");
    }
}

/// The line of an export from before the image's record came.
fn exported_stand_in(artifact: &Value) -> String {
    let mut stand_in = artifact.clone();
    stand_in["id"] = json!(Artifact::stand_in_id(IMAGE, ""));
    stand_in["image_digest"] = json!("");
    let deploys = activities(artifact).iter().filter(|activity| activity["type"] == "deploy");
    let deploys = deploys.map(|deploy| {
        let mut deploy = deploy.clone();
        deploy["artifact_id"] = stand_in["id"].clone();
        deploy
    });
    stand_in["activities"] = deploys.collect();
    stand_in.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stand_in_that_cannot_be_read_is_given_up_where_its_image_is_rewritten() {
    let tables = Tables::empty().await;
    succeed(&tables, &DEPLOY).await;
    spoil_documents(&tables).await;
    let record = imported().to_string();
    let refused = run_with_input(tool(&tables.environment(), &["import", "-"]), record.clone()).await;
    assert_eq!(refused.status, Some(1), "{refused:?}");
    let ran = run_with_input(tool(&tables.environment(), &["import", "--rewrite", "-"]), record).await;
    assert!(ran.status == Some(0) && ran.err.contains("lost=1"), "{ran:?}");
    assert_eq!(answered(&tables, IMAGE).await["id"], ID);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_takes_over_from_everything_that_stands_for_its_image() {
    let tables = Tables::empty().await;
    let by_digest = format!("registry.example.com/shop/cart@{DIGEST}");
    succeed(&tables, &DEPLOY).await;
    succeed(&tables, &["record", "deploy", "--image", &by_digest, "--env", "staging"]).await;
    let repo = ["--repo", "o/n", "--branch", "main", "--commit", "4b15c43b01"];
    let build = [&["record", "build", "--image", IMAGE, "--digest", DIGEST], &repo[..]].concat();
    succeed(&tables, &build).await;
    for image in [IMAGE, DIGEST, &by_digest] {
        let artifact = answered(&tables, image).await;
        let kinds: BTreeSet<_> =
            activities(&artifact).iter().map(|activity| activity["type"].as_str()).collect();
        assert_eq!(kinds, BTreeSet::from([Some("build"), Some("deploy")]), "{image}: {artifact}");
        let found = BTreeSet::from_iter(environments(&artifact));
        assert_eq!(found, BTreeSet::from(["prod", "staging"]), "{image}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stand_in_whose_pointer_was_lost_gives_way_when_it_is_reindexed() {
    let tables = Tables::empty().await;
    succeed(&tables, &DEPLOY).await;
    delete_by_hand(&tables, &["pointer"]).await;
    let mut older = imported();
    older["created_time"] = json!(1);
    import(&tables, &older).await;
    succeed(&tables, &DEPLOY_TO_STAGING).await;
    let mended = succeed(&tables, &["reindex"]).await;
    assert!(mended.contains("changed 1"), "{mended}");
    let artifact = answered(&tables, IMAGE).await;
    assert_eq!(artifact["id"], ID);
    assert_eq!(BTreeSet::from_iter(environments(&artifact)), BTreeSet::from(["prod", "staging"]));
    assert!(succeed(&tables, &["reindex"]).await.contains("changed 0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_at_two_places_is_put_together_when_it_is_reindexed() {
    let tables = Tables::empty().await;
    let commit =
        |number: u32| json!({"repo_owner": "o", "repo_name": "n", "commit_id": format!("{number:07x}")});
    for commits in [3, 80] {
        let mut record = imported();
        record["activities"][0]["commits"] = (0..commits).map(commit).collect();
        record["created_time"] = json!(1_600_000_000 + commits);
        import(&tables, &record).await;
        let (first, second) = if commits == 3 { ("prod", "staging") } else { ("qa", "dev") };
        succeed(&tables, &["record", "deploy", "--image", IMAGE, "--env", first]).await;
        delete_by_hand(&tables, &["pointer"]).await;
        record["created_time"] = json!(1_600_000_500 + commits);
        import(&tables, &record).await;
        succeed(&tables, &["record", "deploy", "--image", IMAGE, "--env", second]).await;
        let mended = succeed(&tables, &["reindex"]).await;
        assert!(mended.contains("artifacts 2, changed 1"), "{mended}");
        assert_eq!(succeed(&tables, &["export", "--artifacts"]).await.lines().count(), 1);
        let again = succeed(&tables, &["reindex"]).await;
        assert!(again.contains("artifacts 1, changed 0") && !again.contains("removed"), "{again}");
        let found = answered(&tables, DIGEST).await;
        let environments = environments(&found);
        assert!(environments.contains(&first) && environments.contains(&second), "{environments:?}");
    }
}
