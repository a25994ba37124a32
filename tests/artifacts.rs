//! Artifacts: by image and by digest, moved, shared, and larger than an item.

use delivery_center::endpoint::Endpoint::GetArtifact;
use serde_json::json;

use crate::support::faulty::{Fault, FaultyProxy};
use crate::support::{Answer, Tables, artifact, incompressible, lines};

fn digest(letter: char) -> String {
    format!("sha256:{}", letter.to_string().repeat(64))
}

async fn get(tables: &Tables, image: &str) -> Answer {
    let image = percent_encoding::utf8_percent_encode(image, percent_encoding::NON_ALPHANUMERIC);
    tables.get(GetArtifact, &format!("image={image}")).await
}

async fn id(tables: &Tables, image: &str) -> String {
    let answer = get(tables, image).await;
    assert_eq!(answer.status, 200, "{image}: {}", answer.body);
    answer.json()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_newest_record_of_an_image_or_of_a_digest_is_answered() {
    let tables = Tables::empty().await;
    tables
        .import(&lines(&[
            artifact("1", "r.example.com:5000/a/b:1", &digest('a'), 10),
            artifact("3", "r.example.com:5000/a/b:1", &digest('b'), 30),
            artifact("2", "r.example.com:5000/a/b:1", &digest('c'), 20),
            artifact("4", "other/b:1", &digest('b'), 30),
            artifact("5", "other/b:2", &digest('b'), 5),
            artifact("6", "other/b:3", "no digest", 5),
            artifact("7", &format!("other/b:4@{}", digest('d')), "", 5),
        ]))
        .await;
    assert_eq!(id(&tables, "r.example.com:5000/a/b:1").await, "3");
    assert_eq!(id(&tables, &digest('a')).await, "1");
    assert_eq!(id(&tables, &digest('b')).await, "4", "equal times: the greater id");
    for (image, expected) in [
        (format!("r.example.com:5000/a/b@{}", digest('b')), "3"),
        (format!("r.example.com:5000/a/b:any@{}", digest('b')), "3"),
        (format!("other/b@{}", digest('b')), "4"),
        ("other/b:3".to_owned(), "6"),
        (digest('d'), "7"),
        (format!("other/b:4@{}", digest('d')), "7"),
    ] {
        assert_eq!(id(&tables, &image).await, expected, "{image}");
    }
    for missing in [
        format!("a/b@{}", digest('b')),
        format!("b@{}", digest('b')),
        digest('f'),
        "r.example.com:5000/a/b".to_owned(),
    ] {
        let answer = get(&tables, &missing).await;
        assert_eq!(
            (answer.status, answer.description()),
            (404, format!("no artifact for image \"{missing}\""))
        );
    }
}

#[tokio::test]
async fn an_artifact_costs_one_query_by_tag_and_by_digest() {
    let tables = Tables::empty().await;
    let records: Vec<_> =
        (0..50).map(|number| artifact(&format!("{number:02}"), "a:1", &digest('a'), number)).collect();
    tables.import(&lines(&records)).await;
    let proxy = FaultyProxy::start(&tables.endpoint_url, |_, _| Fault::None).await;
    let proxied = tables.through(&proxy.endpoint_url);
    for image in ["a:1".to_owned(), digest('a'), format!("a@{}", digest('a'))] {
        let before = proxy.total();
        assert_eq!(id(&proxied, &image).await, "49");
        assert_eq!(proxy.total() - before, 1, "{image}");
    }
}

#[tokio::test]
async fn an_artifact_whose_digest_or_time_changes_is_moved_and_is_not_there_twice() {
    let tables = Tables::empty().await;
    for (image, digest_letter, time) in
        [("a:1", 'a', 1), ("a:1", 'b', 1), ("a:2", 'b', 2), ("a:1", 'a', 3), ("", 'c', 3), ("a:1", 'a', 1)]
    {
        let mut record = artifact("x", image, &digest(digest_letter), time);
        record["note"] = json!(incompressible(700_000, time + u64::from(u32::from(digest_letter))));
        assert_eq!(tables.import(&record.to_string()).await.stored, 1);
        assert_eq!(tables.import(&record.to_string()).await.unchanged, 1);
        let artifacts = tables.dump(&tables.names.artifacts).await;
        let count = |text: &str| artifacts.iter().filter(|item| item.contains(text)).count();
        // The artifact, its pointer, and one part.
        assert_eq!((artifacts.len(), count("S(\"pointer\")")), (3, 1), "{image} {digest_letter} {time}");
        let answer = get(&tables, &digest(digest_letter)).await;
        assert_eq!(answer.json()["note"], record["note"]);
    }
    assert_eq!(get(&tables, &digest('b')).await.status, 404);
    assert_eq!(get(&tables, "a:2").await.status, 404);
}

#[tokio::test]
async fn activities_are_sorted_grouped_and_cleaned() {
    let tables = Tables::empty().await;
    let mut record = artifact("x", "a:1", &digest('a'), 1);
    record["activities"] = json!([
        { "type": "deploy", "created_by": "a", "created_time": 5, "env_name": "", "namespace": "n" },
        { "type": "build", "created_by": "b", "created_time": 9, "commits": [
            { "commit_id": "1", "password": "secret", "nested": [{ "ssh_key": "secret" }], "oauth_token": "secret" },
        ] },
        { "type": "deploy", "created_by": "c", "created_time": 5 },
    ]);
    record["sortedActivities"] = json!({ "stale": [] });
    let summary = tables.import(&record.to_string()).await;
    assert_eq!(summary.credentials_dropped, 3);
    let build = r#"{"artifact_id":"x","type":"build","commits":[{"address":"","repo_owner":"","repo_name":"","branch":"","commit_id":"1","nested":[{}],"oauth_token":""}],"created_by":"b","created_time":9}"#;
    let first = r#"{"artifact_id":"x","type":"deploy","namespace":"n","created_by":"a","created_time":5}"#;
    let second = r#"{"artifact_id":"x","type":"deploy","created_by":"c","created_time":5}"#;
    let expected = format!(
        r#""activities":[{build},{first},{second}],"sortedActivities":{{"build":[{build}],"deploy":[{first},{second}]}}}}"#
    );
    let answer = get(&tables, "a:1").await;
    assert!(answer.body.ends_with(&expected), "{}", answer.body);
    assert!(!tables.dump(&tables.names.artifacts).await.concat().contains("secret"));
}

#[tokio::test]
async fn an_artifact_that_does_not_fit_into_a_response_is_named() {
    let tables = Tables::empty().await;
    let mut record = artifact("x", "a:1", &digest('a'), 1);
    record["note"] = json!(incompressible(5_500_000, 1));
    tables.import(&record.to_string()).await;
    assert_eq!(get(&tables, "a:1").await.json()["note"], record["note"], "parts are put together");
    record["note"] = json!("x".repeat(6_300_000));
    tables.import(&record.to_string()).await;
    let answer = get(&tables, "a:1").await;
    assert_eq!(answer.status, 400);
    assert!(answer.description().contains("artifact \"x\"") && answer.description().contains("gzip"));
    let accepted = tables.get_with(GetArtifact, "image=a:1", &[("accept-encoding", "gzip")]).await;
    assert_eq!(accepted.json()["note"], record["note"]);
    record["note"] = json!(incompressible(7_000_000, 1));
    tables.import(&record.to_string()).await;
    let answer = tables.get_with(GetArtifact, "image=a:1", &[("accept-encoding", "gzip")]).await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn an_artifact_that_did_not_change_is_not_sent_again() {
    let tables = Tables::with_samples().await;
    let image = "image=sha256:1d9ddf94feb5ff9ca9d76248ad51dd2a95210895d0dbf1e87bd66cc471c41f0e";
    let etag = tables.get(GetArtifact, image).await.header("ETag").unwrap().to_owned();
    let poll =
        tables.get_with(GetArtifact, image, &[("if-none-match", &etag), ("accept-encoding", "gzip")]).await;
    assert_eq!((poll.status, poll.body.as_str()), (304, ""));
}
