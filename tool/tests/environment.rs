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

/// As jobs of preview environments do, whose steps all have the job's one URL: that decides, but not in silence.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_deploy_or_undeploy_of_one_job_is_told_to_be_one_that_was_sent_again() {
    let tables = two_images().await;
    let job = ["--url", "https://ci.example.com/acme/shop/runs/5"];
    let (one, two) = (format!("{CART}:1"), format!("{CART}:2"));
    deploy(&tables, &one, &[]).await;
    assert_eq!(undeploy(&tables, CART, &job).await.err, "");
    assert_eq!(undeploy(&tables, CART, &job).await.err, "", "nothing runs there");
    deploy(&tables, &two, &job).await;
    let told = undeploy(&tables, CART, &job).await;
    assert!(
        told.out.starts_with("recorded before: ") && told.err.contains("artifact a2 runs there now"),
        "{told:?}"
    );
    assert_eq!(running(&tables).await.as_ref(), Some(&two));
    let cleaned = undeploy(&tables, CART, &[&job[..], &["--idempotency-key", "after"]].concat()).await;
    assert!(cleaned.out.starts_with("recorded: ") && running(&tables).await.is_none(), "{cleaned:?}");
    deploy(&tables, &one, &job).await;
    let told = deploy(&tables, &two, &job).await;
    assert!(
        told.out.starts_with("recorded before: ") && told.err.contains("it no longer runs there"),
        "{told:?}"
    );
    assert_eq!(deploy(&tables, &one, &job).await.err, "", "it runs there");
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
async fn an_undeploy_that_is_told_apart_and_sent_again_was_recorded_before() {
    for told_apart in [["--idempotency-key", "run 1"], ["--url", "https://ci.example.com/1"]] {
        let tables = two_images().await;
        for namespace in ["shop-a", "shop-b", "shop-c"] {
            deploy(&tables, &format!("{CART}:1"), &["--namespace", namespace]).await;
        }
        undeploy(&tables, CART, &["--namespace", "shop-b"]).await;
        assert_eq!(undeploy(&tables, CART, &told_apart).await.out.matches("recorded: ").count(), 2);
        let before = tables.dump_both().await;
        let again = undeploy(&tables, CART, &told_apart).await;
        let lines: Vec<_> = again.out.lines().collect();
        assert_eq!(lines.len(), 2, "{again:?}");
        for (line, namespace) in lines.iter().zip(["shop-a", "shop-c"]) {
            assert!(line.starts_with("recorded before") && line.contains(namespace), "{again:?}");
        }
        let another = undeploy(&tables, CART, &[told_apart[0], "https://ci.example.com/2"]).await;
        assert!(another.out.is_empty() && another.err.contains("nothing was written"), "{another:?}");
        assert_eq!(tables.dump_both().await, before);
    }
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

fn with_activities(id: &str, tag: &str, activities: &[(&str, i64)]) -> Value {
    let mut record = artifact(id, &format!("{CART}:{tag}"), "", 5);
    let activity =
        |(kind, time): &(&str, i64)| json!({"type": kind, "env_name": "prod", "created_time": time});
    record["activities"] = activities.iter().map(activity).collect();
    record
}

async fn import_with(tables: &Tables, flags: &[&str], record: &Value) -> Ran {
    let arguments = [&["import"], flags, &["-"]].concat();
    let ran = run_with_input(tool(&tables.environment(), &arguments), record.to_string()).await;
    assert_eq!(ran.status, Some(0), "{ran:?}");
    ran
}

/// The image that runs in prod by each of the three ways to ask: `envName` alone, with the repository, and with
/// the environments of `:1`.
async fn running_by_each_way(tables: &Tables) -> [bool; 3] {
    let walk = tables.walk(GetArtifact, "envName=prod", &[]).await;
    let one = tables.get(GetArtifact, &format!("image={CART}:1&include=environments")).await.json();
    [
        walk.iter().any(|step| step.status == 200),
        running(tables).await.is_some(),
        one["environments"][0]["running"].as_bool().unwrap(),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewrite_that_loses_an_ended_deploy_hides_nothing() {
    let tables = Tables::empty().await;
    import_with(&tables, &[], &with_activities("b", "1", &[("deploy", 5)])).await;
    import_with(&tables, &[], &with_activities("a", "2", &[("deploy", 10), ("undeploy", 20)])).await;
    import_with(&tables, &["--rewrite"], &with_activities("a", "2", &[("build", 1)])).await;
    assert_eq!(
        running_by_each_way(&tables).await,
        [true; 3],
        "the end of a deploy that is gone hides what runs"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stand_in_that_gives_way_and_is_dropped_hides_nothing() {
    let tables = Tables::empty().await;
    import_with(&tables, &[], &with_activities("b", "1", &[("deploy", 5)])).await;
    deploy(&tables, &format!("{CART}:2"), &[]).await;
    undeploy(&tables, CART, &[]).await;
    import_with(&tables, &["--drop-recorded"], &with_activities("a", "2", &[("build", 1)])).await;
    assert_eq!(
        running_by_each_way(&tables).await,
        [true; 3],
        "the end of a deploy that is gone hides what runs"
    );
}

/// An import brought a time in milliseconds, and was corrected.
async fn with_a_corrected_deploy() -> Tables {
    let tables = two_images().await;
    import_with(&tables, &[], &with_activities("a2", "2", &[("deploy", 1_637_726_888_000)])).await;
    import_with(&tables, &[], &with_activities("a2", "2", &[("deploy", 1_637_726_888)])).await;
    done(&tables, &["reindex"]).await;
    tables
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_that_was_corrected_is_in_nobodys_way() {
    let tables = with_a_corrected_deploy().await;
    let ran = deploy(&tables, &format!("{CART}:1"), &[]).await;
    assert_eq!(running(&tables).await, Some(format!("{CART}:1")));
    assert_eq!(ran.err, "", "it runs, and no deploy is ahead of the clock");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redeploy_within_a_second_runs_after_a_correction() {
    let tables = with_a_corrected_deploy().await;
    let one = format!("{CART}:1");
    for _ in 0..3 {
        deploy(&tables, &one, &[]).await;
        undeploy(&tables, CART, &[]).await;
        assert!(deploy(&tables, &one, &[]).await.out.starts_with("recorded: "));
        assert_eq!(
            running(&tables).await.as_ref(),
            Some(&one),
            "the deploy was recorded last, and is told as ended"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_within_a_second_runs_after_a_correction() {
    let tables = with_a_corrected_deploy().await;
    let (one, two) = (format!("{CART}:1"), format!("{CART}:2"));
    for image in [&one, &two, &one, &two, &one] {
        deploy(&tables, image, &[]).await;
        assert_eq!(running(&tables).await.as_ref(), Some(image));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_deploy_counts_for_no_time() {
    let tables = two_images().await;
    deploy(&tables, &format!("{CART}:2"), &["--ended", &ago(-1800).to_string()]).await;
    import_with(&tables, &["--drop-recorded"], &artifact("a2", &format!("{CART}:2"), "", 1_600_000_000))
        .await;
    let ran = deploy(&tables, &format!("{CART}:1"), &[]).await;
    let time = activities(&tables, &format!("{CART}:1"), "deploy").await[0]["created_time"].as_i64().unwrap();
    assert!(time <= ago(-60), "half an hour ahead, behind a deploy that does not count: {ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undeploy_of_another_artifact_is_in_nobodys_way() {
    let tables = two_images().await;
    let (one, two) = (format!("{CART}:1"), format!("{CART}:2"));
    deploy(&tables, &two, &[]).await;
    undeploy(&tables, CART, &["--ended", &ago(-7200).to_string()]).await;
    // By the second, of which the larger id has the later deploy.
    let ran = deploy(&tables, &one, &[]).await;
    assert_eq!(running(&tables).await.as_ref(), Some(&one), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undeploy_before_the_deploy_does_not_say_that_it_ended_it() {
    let tables = two_images().await;
    let one = format!("{CART}:1");
    deploy(&tables, &one, &[]).await;
    let ran = undeploy(&tables, CART, &["--ended", "1700000000"]).await;
    assert_eq!(running(&tables).await.as_ref(), Some(&one));
    assert!(!ran.err.is_empty(), "it runs on, and nothing says so: {ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_imported_is_verified_where_times_are_equal() {
    let tables = Tables::empty().await;
    let records = [
        with_activities("z", "2", &[("deploy", 10), ("undeploy", 20)]),
        with_activities("a", "1", &[("deploy", 10)]),
    ];
    for record in &records {
        import_with(&tables, &[], record).await;
    }
    let records = crate::support::lines(&records);
    let verified = run_with_input(tool(&tables.environment(), &["verify", "-"]), records).await;
    assert_eq!(verified.status, Some(0), "{verified:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_gave_way_and_ended_is_passed_over() {
    let tables = Tables::empty().await;
    for number in 10..22 {
        let image = format!("registry.example.com/shop/s{number}:1");
        deploy(&tables, &image, &[]).await;
        // An id before that of any stand-in.
        import_with(&tables, &[], &artifact(&format!("0000{number}"), &image, "", 5)).await;
        undeploy(&tables, &image, &[]).await;
    }
    deploy(&tables, &format!("{CART}-z:1"), &[]).await;
    done(&tables, &["reindex"]).await;
    let first = tables.get(GetArtifact, "envName=prod").await;
    let ended = tables.items(&tables.names.artifacts).await;
    let is_last = |item: &&std::collections::HashMap<String, aws_sdk_dynamodb::types::AttributeValue>| {
        item["image_digest"].as_s().unwrap() == "environment:prod"
    };
    let ended = ended.iter().filter(is_last).filter(|item| item.contains_key("until")).count();
    assert_eq!(
        ended, 12,
        "none of the twelve runs, and a walk is to pass over them; it answers {}",
        first.body
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn deploys_that_are_gone_do_not_stay_in_the_way_of_a_walk() {
    let tables = Tables::empty().await;
    for number in 10..22 {
        let mut record =
            artifact(&format!("a{number}"), &format!("registry.example.com/old/s{number}:1"), "", 5);
        record["activities"] = json!([{"type": "deploy", "env_name": "prod", "created_time": 5}]);
        import_with(&tables, &[], &record).await;
        // The images were moved to another registry.
        record["image"] = json!(format!("registry.example.com/shop/s{number}:1"));
        import_with(&tables, &[], &record).await;
    }
    done(&tables, &["reindex"]).await;
    let first = tables.get(GetArtifact, "envName=prod").await;
    assert_eq!(first.status, 200, "twelve run there: {}", first.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_in_which_nothing_runs_is_named() {
    let tables = two_images().await;
    deploy(&tables, &format!("{CART}:1"), &["--namespace", "p"]).await;
    let ran = undeploy(&tables, CART, &["--namespace", "q"]).await;
    assert!(ran.err.contains('q'), "it runs in prod, in another namespace: {ran:?}");
}
