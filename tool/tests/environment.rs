//! What runs in an environment: rollbacks and undeploys that are recorded, and `environment`, which tells all.

use delivery_center::endpoint::Endpoint::GetArtifact;
use serde_json::{Value, json};

use crate::running::{Ran, ago, fits_or_is_one_word, run_in_columns, run_on, run_with_input, tool};
use crate::support::{Tables, artifact};

const CART: &str = "registry.example.com/shop/cart";
const DIGEST: &str = "sha256:1d9ddf94feb5ff9ca9d76248ad51dd2a95210895d0dbf1e87bd66cc471c41f0e";

/// Runs the tool, which must succeed.
async fn done(tables: &Tables, arguments: &[&str]) -> Ran {
    let ran = run_on(tables, arguments).await;
    assert_eq!(ran.status, Some(0), "{arguments:?}: {ran:?}");
    ran
}

async fn deploy(tables: &Tables, image: &str, more: &[&str]) -> Ran {
    done(tables, &[&["record", "deploy", "--image", image, "--env", "prod"], more].concat()).await
}

async fn undeploy(tables: &Tables, image: &str, more: &[&str]) -> Ran {
    done(tables, &[&["record", "undeploy", "--image", image, "--env", "prod"], more].concat()).await
}

/// Two artifacts of one repository, `:1` and `:2`.
async fn two_images() -> Tables {
    let tables = Tables::empty().await;
    let image =
        |tag: &str| artifact(&format!("a{tag}"), &format!("{CART}:{tag}"), "", 1_600_000_000).to_string();
    tables.import(&format!("{}\n{}", image("1"), image("2"))).await;
    tables
}

/// The image that runs in prod.
async fn running(tables: &Tables) -> Option<String> {
    let answer = tables.get(GetArtifact, &format!("image={CART}&envName=prod")).await;
    (answer.status == 200).then(|| answer.json()["image"].as_str().unwrap().to_owned())
}

async fn activities(tables: &Tables, image: &str, kind: &str) -> Vec<Value> {
    let answer = tables.get(GetArtifact, &format!("image={image}")).await.json();
    answer["sortedActivities"][kind].as_array().cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_by_hand_within_a_second_is_recorded_and_runs() {
    let tables = two_images().await;
    let (one, two) = (format!("{CART}:1"), format!("{CART}:2"));
    for (image, is_new) in [(&one, true), (&one, false), (&two, true), (&one, true), (&one, false)] {
        let ran = deploy(&tables, image, &[]).await;
        assert_eq!(ran.out.starts_with("recorded: "), is_new, "{ran:?}");
        assert_eq!(running(&tables).await.as_ref(), Some(image));
    }
    let times = async |image: &str| {
        let deploys = activities(&tables, image, "deploy").await;
        deploys.iter().map(|deploy| deploy["created_time"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let (of_one, of_two) = (times(&one).await, times(&two).await);
    assert!(of_one.len() == 2 && of_one[1] < of_two[0] && of_two[0] < of_one[0], "{of_one:?} {of_two:?}");
    // A step that names its run is the same step when it is sent again.
    let with_url = ["--url", "https://ci.example.com/1"];
    deploy(&tables, &one, &with_url).await;
    deploy(&tables, &two, &[]).await;
    assert!(deploy(&tables, &one, &with_url).await.out.starts_with("recorded before"));
    assert_eq!(running(&tables).await.as_ref(), Some(&two));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undeploy_ends_what_runs_until_the_next_deploy() {
    let tables = two_images().await;
    let (one, two) = (format!("{CART}:1"), format!("{CART}:2"));
    deploy(&tables, &one, &[]).await;
    deploy(&tables, &two, &[]).await;
    // Another image than the one that runs there is left alone.
    assert!(
        undeploy(&tables, &one, &[])
            .await
            .err
            .contains("nothing of registry.example.com/shop/cart:1 runs in prod")
    );
    let ran = undeploy(&tables, CART, &[]).await;
    assert!(
        ran.out.contains("undeploy of registry.example.com/shop/cart:2 from prod, added to artifact a2"),
        "{ran:?}"
    );
    assert_eq!(running(&tables).await, None, "an older one does not run again by that");
    assert!(undeploy(&tables, CART, &[]).await.err.contains("nothing was written"));
    let told = tables.get(GetArtifact, &format!("image={two}&include=environments")).await.json();
    let environment = &told["environments"][0];
    assert_eq!(environment["running"], false);
    assert_eq!(environment["until"], told["activities"][0]["created_time"]);
    assert!(deploy(&tables, &two, &[]).await.out.starts_with("recorded: "));
    assert_eq!(running(&tables).await.as_ref(), Some(&two));
    // The same step, sent again after another deploy, ends nothing.
    let with_url = ["--url", "https://ci.example.com/1"];
    assert!(undeploy(&tables, CART, &with_url).await.out.starts_with("recorded: "));
    deploy(&tables, &one, &[]).await;
    assert!(undeploy(&tables, CART, &with_url).await.out.starts_with("recorded before"));
    assert_eq!(running(&tables).await.as_ref(), Some(&one));
    // One that comes before the last deploy ends nothing, and says so.
    let early = undeploy(&tables, CART, &["--ended", "1600000001"]).await;
    assert!(
        early.err.contains("artifact a1 was deployed there after that, so it still runs there"),
        "{early:?}"
    );
    assert_eq!(running(&tables).await.as_ref(), Some(&one));
    let elsewhere = undeploy(&tables, CART, &["--namespace", "x"]).await;
    assert!(elsewhere.err.contains("runs in prod (namespace x); nothing was written"), "{elsewhere:?}");
    // Docker Hub's names meet here, too.
    let hub = ["record", "deploy", "--image", "acme/shop:1", "--env", "prod"];
    done(&tables, &hub).await;
    assert!(undeploy(&tables, "docker.io/acme/shop", &[]).await.out.contains("acme/shop:1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undeploy_without_a_namespace_ends_each_and_names_them() {
    let tables = two_images().await;
    let one = format!("{CART}:1");
    for namespace in ["shop-a", "shop-b", "shop-c"] {
        deploy(&tables, &one, &["--namespace", namespace]).await;
    }
    undeploy(&tables, CART, &["--namespace", "shop-b"]).await;
    let ran = undeploy(&tables, CART, &[]).await;
    let lines: Vec<_> = ran.out.lines().collect();
    assert!(lines.len() == 2 && lines[0].contains("shop-a") && lines[1].contains("shop-c"), "{ran:?}");
    assert_eq!(activities(&tables, &one, "undeploy").await.len(), 3);
    assert_eq!(run_on(&tables, &["environment", "prod"]).await.err, "nothing runs in \"prod\"\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_ahead_of_the_clock_is_told() {
    let tables = two_images().await;
    let (one, two) = (format!("{CART}:1"), format!("{CART}:2"));
    let ahead = |seconds: i64| ago(-seconds).to_string();
    deploy(&tables, &one, &["--ended", &ahead(600)]).await;
    let ran = deploy(&tables, &two, &[]).await;
    assert!(ran.err.contains("seconds ahead of this clock") && ran.err.contains("artifact a1"), "{ran:?}");
    assert_eq!(running(&tables).await.as_ref(), Some(&two));
    deploy(&tables, &one, &["--ended", &ahead(90_000)]).await;
    let ran = deploy(&tables, &two, &[]).await;
    assert!(ran.err.contains("still counts as the later one") && ran.err.contains("artifact a1"), "{ran:?}");
    assert_eq!(running(&tables).await.as_ref(), Some(&one));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_survives_an_export_and_a_second_import() {
    let tables = two_images().await;
    let (one, two) = (format!("{CART}:1"), format!("{CART}:2"));
    deploy(&tables, &one, &[]).await;
    deploy(&tables, &two, &["--namespace", "shop"]).await;
    undeploy(&tables, CART, &["--namespace", "shop"]).await;
    let environment = ["environment", "prod", "--json"];
    let before = done(&tables, &environment).await.out;
    assert_eq!(before.lines().count(), 1);
    let exported = done(&tables, &["export"]).await.out;
    let copy = Tables::empty().await;
    for _ in 0..2 {
        let imported = run_with_input(tool(&copy.environment(), &["import", "-"]), exported.clone()).await;
        assert_eq!(imported.status, Some(0), "{imported:?}");
        assert_eq!(done(&copy, &environment).await.out, before);
        assert!(undeploy(&copy, CART, &["--namespace", "shop"]).await.err.contains("nothing was written"));
    }
    let reindexed = done(&copy, &["reindex"]).await;
    assert!(reindexed.out.contains("artifacts 2, changed 0"), "{reindexed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_deploy_that_was_damaged_is_found_and_mended() {
    let tables = two_images().await;
    deploy(&tables, &format!("{CART}:1"), &[]).await;
    let table = tables.names.artifacts.as_str();
    let is_it = |item: &&std::collections::HashMap<String, aws_sdk_dynamodb::types::AttributeValue>| {
        item["image_digest"].as_s().unwrap() == "environment:prod"
    };
    let items = tables.items(table).await;
    let last_deploy = items.iter().find(is_it).unwrap().clone();
    let exported = done(&tables, &["export"]).await.out;
    for damage in ["gone", "ended"] {
        tables.delete_item(table, last_deploy.clone()).await;
        if damage == "ended" {
            let mut ended = last_deploy.clone();
            ended.insert("until".to_owned(), aws_sdk_dynamodb::types::AttributeValue::S("1".to_owned()));
            tables.put_item(table, ended).await;
        }
        assert_eq!(running(&tables).await, None, "{damage}");
        let verified = run_with_input(tool(&tables.environment(), &["verify", "-"]), exported.clone()).await;
        assert!(
            verified.status == Some(1) && format!("{verified:?}").contains("run reindex"),
            "{verified:?}"
        );
        assert!(done(&tables, &["reindex"]).await.out.contains("changed 1"), "{damage}");
        assert_eq!(running(&tables).await, Some(format!("{CART}:1")), "{damage}");
        assert!(done(&tables, &["reindex"]).await.out.contains("artifacts 2, changed 0"), "{damage}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_is_a_table_of_what_runs_there() {
    let tables = Tables::with_samples().await;
    let wide = run_in_columns(&tables, 200, &["environment", "prod"]).await;
    let lines: Vec<_> = wide.out.lines().map(|line| line.split("  ").next().unwrap()).collect();
    assert_eq!(lines[..4], ["SERVICE", "ledger-api", "cart", "checkout"], "{wide:?}");
    let checkout = wide.out.lines().nth(3).unwrap();
    assert!(checkout.contains("1.0.2") && checkout.contains("2022-02-09 09:40"), "the rollback: {checkout}");
    let narrow = run_in_columns(&tables, 80, &["environment", "prod"]).await;
    assert!(narrow.out.lines().all(|line| fits_or_is_one_word(line, 80)), "{narrow:?}");
    assert!(narrow.out.contains("\n  service    cart\n  namespace  shop-env-prod\n"), "{narrow:?}");
    let json =
        done(&tables, &["environment", "prod", "--namespace", "payments-env-prod", "--json"]).await.out;
    assert_eq!(
        serde_json::from_str::<Value>(&json).unwrap(),
        json!({
            "service": "ledger-api", "namespace": "payments-env-prod",
            "image": "registry.example.com/payments/ledger-api:20220422102000-2-release",
            "image_digest": "sha256:8b4212d0153b19d56cec4681951d38991fd450af34a9baddbdce151f113f3074",
            "version": "2022.4", "since": 1_650_594_597, "created_by": "sofia",
            "commit_id": "38634225027d87f73f91ce33d96dd96e29eb76a9", "artifact_id": "62621130c528c2182225f09f",
        })
    );
    let nothing = run_on(&tables, &["environment", "staging"]).await;
    assert_eq!(nothing.err, "nothing runs in \"staging\"\n");
    assert_ne!(nothing.status, Some(0));
    let digest = format!("{CART}@{DIGEST}");
    assert!(undeploy(&tables, &digest, &[]).await.err.contains("nothing was written"));
}
