//! `artifact`: an image's story, as a person reads it.

use delivery_center::endpoint::Endpoint::GetArtifact;
use serde_json::{Value, json};

use crate::running::{ago, fits_or_is_one_word, run, run_in_columns, run_on, shown, tool};
use crate::support::{Tables, artifact, lines};

const DAY: i64 = 24 * 3600;
const DIGEST: &str = "sha256:1d9ddf94feb5ff9ca9d76248ad51dd2a95210895d0dbf1e87bd66cc471c41f0e";
const IMAGE: &str = "registry.example.com/shop/cart:1.4";

fn cart(created: i64) -> Value {
    let mut cart = artifact("61b84bbcc19ba8cdb184cc53", IMAGE, DIGEST, created.try_into().unwrap());
    let activity = |kind: &str, after: i64| {
        json!({
            "type": kind, "created_by": "lin", "created_time": created + after,
            "start_time": created + after - 90, "end_time": created + after,
            "url": format!("https://ci.example.com/{kind}"),
        })
    };
    let mut build = activity("build", 1);
    build["commits"] = json!([{
        "address": "https://github.example.com", "repo_owner": "acme", "repo_name": "shop", "branch": "main",
        "pr": 736, "prs": [736, 740], "commit_id": "4b15c43b012e7a4a901fdcfe33736ad1c3b53f48",
        "commit_message": "Wrap gifts 🎁\n\nThe paper is blue.", "author_name": "Ann \u{1b}[31mRed",
    }]);
    let mut test = activity("test", 200);
    test["content"] = json!("42 passed,\n0 failed");
    test["job_task_name"] = json!("e2e");
    let mut publish = activity("publish", 300);
    publish["publish_hosts"] = json!(["mirror-1.example.com", "mirror-2.example.com"]);
    let mut distribute = activity("distribute", 400);
    distribute["dist_storage_url"] = json!("s3://bucket");
    distribute["remote_file_key"] = json!("cart.tgz");
    cart["activities"] = json!([distribute, publish, test, build]);
    cart["image_size"] = json!(22_578_466);
    cart["os"] = json!("linux");
    cart["architecture"] = json!("amd64");
    cart
}

#[tokio::test]
async fn an_artifact_is_told_as_a_story() {
    let created = ago(2 * DAY + DAY / 2);
    let tables = Tables::empty().await;
    tables.import(&cart(created).to_string()).await;
    let second = |after| shown(created + after, "%Y-%m-%d %H:%M:%S UTC");
    let told = run_in_columns(&tables, 80, &["artifact", IMAGE]).await;
    assert_eq!((told.status, told.err.as_str()), (Some(0), ""));
    assert_eq!(
        told.out,
        format!(
            "\
registry.example.com/shop/cart:1.4
  digest   sha256:1d9ddf94feb5ff9ca9d76248ad51dd2a95210895d0dbf1e87bd66cc471c41f0e
  id       61b84bbcc19ba8cdb184cc53
  created  {} (2 d ago) by ci
  size     21.53 MiB, linux/amd64

Built {} (2 d ago) by lin, in 1 min
  commit        4b15c43b012e7a4a901fdcfe33736ad1c3b53f48  Wrap gifts 🎁
  author        Ann \\u{{1b}}[31mRed
  branch        main of acme/shop at https://github.example.com
  pull request  #736, #740
  pipeline      https://ci.example.com/build

Tested {} (2 d ago) by lin, in 1 min
  job       e2e
  result    42 passed, 0 failed
  pipeline  https://ci.example.com/test

Deployed nowhere that is known

Published {} (2 d ago) by lin, in 1 min
  to        mirror-1.example.com, mirror-2.example.com
  pipeline  https://ci.example.com/publish

Distributed {} (2 d ago) by lin, in 1 min
  to        s3://bucket cart.tgz
  pipeline  https://ci.example.com/distribute
",
            second(0),
            second(1),
            second(200),
            second(300),
            second(400),
        )
    );
    for columns in [20, 40, 60] {
        for line in run_in_columns(&tables, columns, &["artifact", DIGEST]).await.out.lines() {
            assert!(fits_or_is_one_word(line, columns), "{columns}: {line:?}");
        }
    }
}

#[tokio::test]
async fn a_time_says_how_far_its_zone_is_from_utc() {
    let tables = Tables::empty().await;
    tables.import(&cart(1_700_000_001).to_string()).await;
    // That is how POSIX writes a zone eight hours ahead; the name is only a name.
    let mut artifact = tool(&tables.environment(), &["artifact", IMAGE]);
    artifact.env("TZ", "UTC-8");
    let told = run(artifact).await;
    assert!(told.out.contains("  created  2023-11-15 06:13:21 +08:00 ("), "{told:?}");
}

#[tokio::test]
async fn of_a_build_of_many_commits_the_newest_ten_are_told() {
    let tables = Tables::empty().await;
    let mut cart = cart(1_700_000_001);
    let commit = |number| json!({"commit_id": format!("{number:040x}"), "commit_message": "Change", "repo_name": "shop"});
    cart["activities"][3]["commits"] = (1..=250).map(commit).collect();
    tables.import(&cart.to_string()).await;
    let told = run_in_columns(&tables, 100, &["artifact", IMAGE]).await.out;
    assert_eq!(told.lines().filter(|line| line.starts_with("  commit  ")).count(), 10, "{told}");
    assert!(told.contains("  …         and 240 more commits: --json tells them all\n  pipeline  "), "{told}");
}

#[tokio::test]
async fn its_json_is_the_endpoints() {
    let tables = Tables::with_samples().await;
    let image = "registry.example.com/payments/ledger-api:20220422102000-2-release";
    let ran = run_on(&tables, &["artifact", image, "--json"]).await;
    let answer = tables.get(GetArtifact, &format!("image={image}")).await;
    assert_eq!((ran.status, ran.out, ran.err), (Some(0), format!("{}\n", answer.body), String::new()));
}

#[tokio::test]
async fn a_package_is_told_as_one() {
    let tables = Tables::with_samples().await;
    let ran = run_on(&tables, &["artifact", "registry.example.com/charts/ledger:1.2.0"]).await;
    assert!(ran.out.contains("  type     package\n"), "{}", ran.out);
    assert!(
        ran.out.contains("  package  https://charts.example.com/payments charts/ledger-1.2.0.tgz\n"),
        "{}",
        ran.out
    );
}

#[tokio::test]
async fn an_unknown_artifact_is_3_and_a_failure_another() {
    let tables = Tables::with_samples().await;
    let unknown = run_on(&tables, &["artifact", "nobody/knows:it"]).await;
    assert_eq!((unknown.status, unknown.out.as_str()), (Some(3), ""));
    assert_eq!(
        unknown.err,
        "no artifact for image \"nobody/knows:it\"\n\
         give the image with its registry, REGISTRY/NAME:TAG; `releases` names it below its table\n"
    );
    let unreadable = run_on(&tables, &["artifact", "sha256:12"]).await;
    assert_eq!((unreadable.status, unreadable.out.as_str()), (Some(2), ""));
    assert!(unreadable.err.contains("\"sha256:12\" is neither"), "{}", unreadable.err);
    let missing = run_on(&Tables::missing().through(&tables.endpoint_url), &["artifact", IMAGE]).await;
    assert_eq!(missing.status, Some(1));
    assert!(missing.err.contains("does not exist"), "{missing:?}");
    for arguments in [
        &[][..],
        &["--pr", "7"],
        &["--pr", "0", "--repo", "a/b"],
        &[IMAGE, "--commit", "4b15c43"],
        &["--commit", "4b15c43", "--pr", "7", "--repo", "a/b"],
        &["--commit", "4b15c43", "--env", "prod"],
        &[IMAGE, "--namespace", "n"],
        &[""],
    ] {
        let ran = run_on(&tables, &[&["artifact"], arguments].concat()).await;
        assert_eq!(ran.status, Some(2), "{arguments:?}: {ran:?}");
    }
}

/// Two artifacts of one repository, made from the same commit. The older one runs in production. In dev, the
/// newer one has taken its place.
async fn two(created: i64) -> Tables {
    let deploy = |env: &str, namespace: &str, after: i64| {
        json!({
            "type": "deploy", "env_name": env, "namespace": namespace, "created_by": "sofia",
            "created_time": created + after,
        })
    };
    let mut older = cart(created);
    older["activities"]
        .as_array_mut()
        .unwrap()
        .extend([deploy("prod", "shop", 1000), deploy("dev", "", 500)]);
    let mut newer = cart(created + 2000);
    newer["id"] = json!("61b84bbcc19ba8cdb184cc54");
    newer["image"] = json!(NEWER);
    newer["image_digest"] = json!(DIGEST.replace('1', "2"));
    newer["activities"].as_array_mut().unwrap().push(deploy("dev", "", 3000));
    let tables = Tables::empty().await;
    assert_eq!(tables.import(&lines([&older, &newer])).await.stored, 2);
    tables
}

const NEWER: &str = "registry.example.com/shop/cart:1.5";
const REPOSITORY: &str = "registry.example.com/shop/cart";

#[tokio::test]
async fn where_it_was_deployed_is_told_with_what_runs_there_now() {
    let created = ago(2 * DAY + DAY / 2);
    let tables = two(created).await;
    let second = |after| shown(created + after, "%Y-%m-%d %H:%M:%S UTC");
    let told = run_in_columns(&tables, 120, &["artifact", IMAGE]).await;
    let deployed = format!(
        "
Deployed
  prod (shop)  runs there since {} (2 d ago) by sofia
  dev          deployed {} (2 d ago) by sofia, replaced since
               now there: {NEWER}, since {} (2 d ago)

",
        second(1000),
        second(500),
        shown(created + 3000, "%Y-%m-%d %H:%M"),
    );
    assert!(told.out.contains(&deployed), "{}", told.out);
    let json = run_on(&tables, &["artifact", IMAGE, "--environments", "--json"]).await;
    let answer = tables.get(GetArtifact, &format!("image={IMAGE}&include=environments")).await;
    assert!(answer.body.contains("\"environments\":[{"), "{}", answer.body);
    assert_eq!(json.out, format!("{}\n", answer.body));
}

#[tokio::test]
async fn an_image_without_its_registry_and_an_environment_with_a_tag_are_answered_with_what_to_give() {
    let tables = two(ago(DAY)).await;
    let short = run_on(&tables, &["artifact", "shop/cart:1.4"]).await;
    assert_eq!(short.status, Some(3), "{short:?}");
    assert!(short.err.contains("no artifact") && short.err.contains("with its registry"), "{short:?}");
    let unknown = run_on(&tables, &["artifact", "registry.example.com/shop/nothing:1"]).await;
    assert!(!unknown.err.contains("with its registry"), "{unknown:?}");
    let digest = run_on(&tables, &["artifact", &DIGEST.replace('1', "3")]).await;
    assert!(digest.status == Some(3) && !digest.err.contains("with its registry"), "{digest:?}");
    let tagged = run_on(&tables, &["artifact", IMAGE, "--env", "prod"]).await;
    assert_eq!(tagged.status, Some(2), "{tagged:?}");
    assert!(tagged.err.ends_with(&format!("without tag and digest, {REPOSITORY}\n")), "{tagged:?}");
}

#[tokio::test]
async fn what_runs_now_is_told_of_the_very_namespace_that_a_deploy_went_to() {
    let tables = Tables::empty().await;
    for (tag, namespace, ended) in [
        ("1", "", "1700000200"),
        ("2", "", "1700000300"),
        ("3", "canary", "1700000400"),
        ("4", "canary", "1700000400"),
    ] {
        let image = format!("{REPOSITORY}:{tag}");
        let mut deploy = vec!["record", "deploy", "--image", &image, "--env", "prod", "--ended", ended];
        if !namespace.is_empty() {
            deploy.extend(["--namespace", namespace]);
        }
        assert_eq!(run_on(&tables, &deploy).await.status, Some(0));
    }
    let told = run_in_columns(&tables, 120, &["artifact", &format!("{REPOSITORY}:1")]).await.out;
    assert!(told.contains(&format!("now there: {REPOSITORY}:2, since 2023-11-14 22:18 ")), "{told}");
    // Of the same second: one of the two runs there, and the other was replaced by it.
    let mut successors = Vec::new();
    for tag in ["3", "4"] {
        let told = run_in_columns(&tables, 120, &["artifact", &format!("{REPOSITORY}:{tag}")]).await.out;
        assert!(!told.contains(&format!("now there: {REPOSITORY}:{tag}")), "{told}");
        successors.push(told.contains("now there: "));
    }
    successors.sort_unstable();
    assert_eq!(successors, [false, true]);
}

#[tokio::test]
async fn what_runs_in_an_environment_is_asked_by_repository() {
    let tables = two(ago(DAY)).await;
    for (environment, image) in [("prod", IMAGE), ("dev", NEWER)] {
        let ran = run_on(&tables, &["artifact", "--env", environment, REPOSITORY]).await;
        assert_eq!(ran.status, Some(0), "{ran:?}");
        assert!(ran.out.starts_with(&format!("{image}\n")), "{}", ran.out);
    }
    let elsewhere = run_on(&tables, &["artifact", "--env", "prod", "--namespace", "other", REPOSITORY]).await;
    assert_eq!((elsewhere.status, elsewhere.out.as_str()), (Some(3), ""));
    assert_eq!(elsewhere.err, format!("no artifact of \"{REPOSITORY}\" runs in \"prod\" (\"other\")\n"));
    let with_tag = run_on(&tables, &["artifact", "--env", "prod", IMAGE]).await;
    assert_eq!(with_tag.status, Some(2), "{with_tag:?}");
}

#[tokio::test]
async fn of_a_commit_or_a_pull_request_the_newest_is_told_and_the_others_on_demand() {
    let tables = two(ago(DAY)).await;
    let older_match = "older artifacts match too: --limit 10 shows more\n";
    for asked in [
        &["--commit", "4b15c43"][..],
        &["--commit", "4B15C43B01", "--repo", "acme/shop"],
        &["--pr", "740", "--repo", "acme/shop"],
    ] {
        let newest = run_on(&tables, &[&["artifact"], asked].concat()).await;
        assert_eq!((newest.status, newest.err.as_str()), (Some(0), older_match), "{asked:?}");
        assert!(newest.out.starts_with(NEWER) && !newest.out.contains(IMAGE), "{}", newest.out);
        let both = run_on(&tables, &[&["artifact", "--limit", "10"], asked].concat()).await;
        assert_eq!((both.status, both.err.as_str()), (Some(0), ""), "{asked:?}");
        assert!(both.out.starts_with(NEWER) && both.out.contains(&format!("\n\n{IMAGE}\n")), "{}", both.out);
    }
    let json = run_on(&tables, &["artifact", "--commit", "4b15c43", "--limit", "2", "--json"]).await;
    let answers = [NEWER, IMAGE].map(|image| format!("image={image}"));
    let [newer, older] =
        [tables.get(GetArtifact, &answers[0]).await, tables.get(GetArtifact, &answers[1]).await];
    assert_eq!(json.out, format!("{}\n{}\n", newer.body, older.body));
    let unknown = run_on(&tables, &["artifact", "--commit", "0000000", "--repo", "acme/shop"]).await;
    assert_eq!(unknown.status, Some(3));
    assert_eq!(unknown.err, "no artifact for commit \"0000000\" of \"acme/shop\"\n");
    let unreadable = run_on(&tables, &["artifact", "--commit", "main"]).await;
    assert_eq!(unreadable.status, Some(2), "{unreadable:?}");
}

#[tokio::test]
async fn the_newest_ten_environments_are_told_and_the_others_on_demand() {
    let mut cart = cart(ago(DAY));
    let activities = cart["activities"].as_array_mut().unwrap();
    activities.extend((10..22).map(
        |number| json!({ "type": "deploy", "env_name": format!("env-{number}"), "created_time": number }),
    ));
    let tables = Tables::empty().await;
    tables.import(&cart.to_string()).await;
    let told = run_on(&tables, &["artifact", IMAGE]).await.out;
    assert!(told.contains("  env-12  ") && !told.contains("env-11"), "{told}");
    assert!(told.contains("and 2 more: --environments tells them all\n"), "{told}");
    let all = run_on(&tables, &["artifact", IMAGE, "--environments"]).await.out;
    assert!(all.contains("  env-10  ") && !all.contains(" more: "), "{all}");
}
