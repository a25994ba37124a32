//! The list of releases: filters, order, pages, cursors, sizes, and how much is fetched from DynamoDB.

use std::collections::BTreeSet;

use delivery_center::endpoint::Endpoint::ListReleases;
use delivery_center::response_limit::{MAX_RESPONSE_BYTES, escaped_length, room_for_body};
use serde_json::{Value, json};

use crate::support::faulty::{Fault, FaultyProxy};
use crate::support::{Answer, Tables, incompressible, lines, release, release_in_few_lists};

/// Follows `Link` to the end, and returns all ids in order.
async fn walk(tables: &Tables, query: &str, headers: &[(&str, &str)]) -> Vec<String> {
    tables.walk(ListReleases, query, headers).await.iter().flat_map(Answer::release_ids).collect()
}

#[tokio::test]
async fn a_walk_visits_each_release_once_while_others_are_added() {
    let tables = Tables::empty().await;
    let large = |number: u64| {
        let mut record = release(&format!("{number:024x}"), 1_600_000_000 + number / 3);
        record["versionInfo"]["desc"] = json!(incompressible(900_000, number));
        record
    };
    let records: Vec<_> = (0..20).map(large).collect();
    tables.import(&lines(&records)).await;
    let expected: Vec<_> = (0..20).rev().map(|number| format!("{number:024x}")).collect();
    for headers in [&[("accept-encoding", "gzip")][..], &[]] {
        let mut ids = Vec::new();
        let mut next = Some("projectName=p&x=y".to_owned());
        let mut answers = 0;
        while let Some(query) = next {
            let answer = tables.get_with(ListReleases, &query, headers).await;
            ids.extend(answer.release_ids());
            next = answer.next_query();
            answers += 1;
            assert!(answer.json_length <= MAX_RESPONSE_BYTES);
            if let Some(next) = &next {
                assert!(
                    answer.json_length >= MAX_RESPONSE_BYTES * 9 / 10 - 1_300_000,
                    "{}",
                    answer.json_length
                );
                assert!(next.starts_with("after=") && next.ends_with("&projectName=p&x=y"), "{next}");
            }
            // A newer release is added on the way.
            tables.import(&lines(&[large(100 + answers)])).await;
        }
        let added = |id: &String| u64::from_str_radix(id, 16).unwrap() >= 100;
        assert!(ids.iter().all(|id| !added(id)), "the newest end is not walked into");
        assert_eq!(ids, expected);
        assert!(answers > 2, "the walk is more than one answer");
        let mut added: Vec<_> = (101..=100 + answers).map(large).collect();
        for record in &mut added {
            record["versionInfo"]["deleted_at"] = json!(1);
        }
        tables.import(&lines(&added)).await;
    }
}

#[tokio::test]
async fn an_answer_with_more_to_come_is_full_to_nine_tenths() {
    let tables = Tables::empty().await;
    let record = |number: u64| {
        let mut record = release(&format!("{number:024x}"), 1_600_000_000 + number);
        record["versionInfo"]["desc"] =
            json!(incompressible(100_000 + usize::try_from(number).unwrap() * 977, number));
        record
    };
    tables.import(&lines(&(0..70).map(record).collect::<Vec<_>>())).await;
    for headers in [&[("accept-encoding", "gzip")][..], &[]] {
        let answer = tables.get_with(ListReleases, "", headers).await;
        assert!(answer.next_query().is_some());
        assert!(answer.json_length <= MAX_RESPONSE_BYTES, "{}", answer.json_length);
        assert!(answer.json_length >= MAX_RESPONSE_BYTES * 9 / 10, "{}", answer.json_length);
        assert_eq!(walk(&tables, "", headers).await.len(), 70);
    }
}

#[tokio::test]
async fn a_release_that_fits_to_the_byte_is_answered() {
    let record = |padding: usize| {
        let mut record = release("r", 1);
        record["versionInfo"]["desc"] = json!("x".repeat(padding));
        record
    };
    let tables = Tables::empty().await;
    tables.import(&record(0).to_string()).await;
    let bare = tables.get(ListReleases, "").await;
    let room = room_for_body(None) - escaped_length(bare.body.as_bytes());
    tables.import(&record(room).to_string()).await;
    let full = tables.get(ListReleases, "").await;
    assert_eq!(full.status, 200);
    assert_eq!(escaped_length(full.body.as_bytes()), room_for_body(None));
    // A kilobyte is set aside for the status and the headers, however little they take.
    assert!((MAX_RESPONSE_BYTES - 1024..=MAX_RESPONSE_BYTES).contains(&full.json_length));
    tables.import(&record(room + 1).to_string()).await;
    let too_large = tables.get(ListReleases, "").await;
    assert_eq!(too_large.status, 400);
    assert!(too_large.description().contains("release \"r\""), "{}", too_large.description());
    for (query, headers) in
        [("verbosity=detailed", &[("accept-encoding", "gzip")][..]), ("after=000000000001%23r", &[])]
    {
        assert_eq!(tables.get_with(ListReleases, query, headers).await.status, 200, "{query}");
    }
}

#[tokio::test]
async fn a_release_that_does_not_fit_is_an_error_that_says_what_to_do_and_doing_it_helps() {
    let tables = Tables::empty().await;
    let mut huge = release("b0", 20);
    huge["deployInfo"][0]["yamlContents"] = json!([incompressible(7_000_000, 1)]);
    tables.import(&lines(&[release("a0", 30), huge, release("c0", 10)])).await;
    let gzip = [("accept-encoding", "gzip")];
    let first = tables.get_with(ListReleases, "", &gzip).await;
    assert_eq!(first.release_ids(), ["a0"], "the newest that fit");
    let stuck = tables.get_with(ListReleases, &first.next_query().unwrap(), &gzip).await;
    assert_eq!(stuck.status, 400);
    let description = stuck.description();
    assert!(
        description.contains("release \"b0\"") && description.contains("verbosity=brief"),
        "{description}"
    );
    let after = description.split("after=").nth(1).unwrap();
    assert_eq!(after, "000000000020%23b0", "it is pasted into a query as it stands");
    let passed = tables.get_with(ListReleases, &format!("after={after}"), &gzip).await;
    assert_eq!(passed.release_ids(), ["c0"]);
    assert_eq!(tables.get(ListReleases, "verbosity=brief").await.release_ids(), ["a0", "b0", "c0"]);
    assert_eq!(tables.get(ListReleases, "page=2&per_page=1").await.status, 400);
    assert_eq!(tables.get(ListReleases, "page=3&per_page=1").await.release_ids(), ["c0"]);
}

#[tokio::test]
async fn a_page_that_does_not_fit_is_an_error_that_names_one_that_does() {
    let tables = Tables::empty().await;
    let record = |number: u64| {
        let mut record = release(&format!("{number:02}"), number);
        record["versionInfo"]["desc"] = json!(incompressible(1_500_000, number));
        record
    };
    tables.import(&lines(&(10..30).map(record).collect::<Vec<_>>())).await;
    for (page, per_page) in [(1, 20), (2, 7), (3, 5)] {
        let answer = tables.get(ListReleases, &format!("page={page}&per_page={per_page}")).await;
        assert_eq!(answer.status, 400);
        let description = answer.description();
        let number = |name: &str| {
            let digits = description.rsplit(name).next().unwrap();
            digits.split(|digit: char| !digit.is_ascii_digit()).next().unwrap().parse::<u64>().unwrap()
        };
        let (fitting_page, fitting) = (number("(page="), number("per_page="));
        let helped = tables.get(ListReleases, &format!("page={fitting_page}&per_page={fitting}")).await;
        let first = 29 - (page - 1) * per_page;
        assert_eq!(helped.release_ids()[0], first.to_string(), "{description}");
    }
}

#[tokio::test]
async fn pages_follow_each_other_and_deep_ones_are_found() {
    let tables = Tables::empty().await;
    let record = |number: u64| release_in_few_lists(&format!("{number:05}"), number / 2);
    let records: Vec<_> = (0..1234).map(record).collect();
    tables.import(&lines(&records)).await;
    let expected: Vec<_> = (0..1234).rev().map(|number| format!("{number:05}")).collect();
    for (page, per_page) in [(1, 20), (2, 20), (62, 20), (13, 100), (3, 600), (1, 1234), (1, 5000)] {
        let answer =
            tables.get(ListReleases, &format!("page={page}&per_page={per_page}&verbosity=brief")).await;
        let start = ((page - 1) * per_page).min(1234);
        let end = (start + per_page).min(1234);
        assert_eq!(answer.release_ids(), expected[start..end], "page {page} of {per_page}");
        assert_eq!(answer.next_query().is_some(), end < 1234, "page {page} of {per_page}");
    }
    for beyond in ["page=63&per_page=20", "page=9223372036854775807&per_page=9223372036854775807"] {
        let answer = tables.get(ListReleases, beyond).await;
        assert_eq!((answer.body.as_str(), answer.next_query()), ("[]", None), "{beyond}");
    }
    assert_eq!(walk(&tables, "per_page=100&verbosity=brief", &[]).await, expected);
    assert_eq!(tables.get(ListReleases, "page=-3&per_page=-1").await.release_ids().len(), 20);
}

#[tokio::test]
async fn a_brief_list_has_only_version_info_and_reads_no_more() {
    let tables = Tables::empty().await;
    let mut record = release("r", 1);
    record["deployInfo"][0]["yamlContents"] = json!([incompressible(300_000, 5)]);
    tables.import(&record.to_string()).await;
    let proxy = FaultyProxy::start(&tables.endpoint_url, |_, _| Fault::None).await;
    let answer = tables.through(&proxy.endpoint_url).get(ListReleases, "verbosity=brief&serviceName=s").await;
    let brief: Value = json!([{ "versionInfo": record["versionInfo"] }]);
    assert_eq!(answer.json(), brief);
    assert!(proxy.bytes() < 5_000, "{} bytes were fetched", proxy.bytes());
}

#[tokio::test]
async fn releases_larger_than_an_item_are_answered_whole() {
    let tables = Tables::empty().await;
    let mut rest = release("rest", 1);
    rest["deployInfo"][0]["yamlContents"] = json!([incompressible(1_300_000, 5)]);
    let mut brief = release("brief", 2);
    brief["versionInfo"]["desc"] = json!(incompressible(900_000, 6));
    brief["deployInfo"][0]["yamlContents"] = json!([incompressible(700_000, 7)]);
    tables.import(&lines(&[rest.clone(), brief.clone()])).await;
    for headers in [&[("accept-encoding", "gzip")][..], &[]] {
        let answer = tables.get_with(ListReleases, "", headers).await;
        assert_eq!(answer.json(), json!([brief, rest]));
        let answer = tables.get_with(ListReleases, "verbosity=brief", headers).await;
        let expected =
            json!([{ "versionInfo": brief["versionInfo"] }, { "versionInfo": rest["versionInfo"] }]);
        assert_eq!(answer.json(), expected);
    }
    tables.import(&lines(&[release("rest", 1), release("brief", 2)])).await;
    let items = tables.dump(&tables.names.releases).await;
    assert!(!items.iter().any(|item| item.contains("part#")), "parts that no longer hold are gone");
}

#[tokio::test]
async fn a_poll_that_finds_nothing_new_reads_only_the_index() {
    let tables = Tables::empty().await;
    tables.import(&lines(&[release("a", 1), release("b", 2)])).await;
    let etag = tables.get(ListReleases, "").await.header("ETag").unwrap().to_owned();
    let proxy = FaultyProxy::start(&tables.endpoint_url, |_, _| Fault::None).await;
    let proxied = tables.through(&proxy.endpoint_url);
    for tags in [etag.clone(), format!("\"other\", {etag}"), etag.trim_start_matches("W/").to_owned()] {
        let poll = proxied.get_with(ListReleases, "", &[("if-none-match", &tags)]).await;
        assert_eq!((poll.status, poll.body.as_str()), (304, ""), "{tags}");
        assert_eq!(poll.header("ETag"), Some(etag.as_str()));
        assert_eq!(poll.header("Vary"), Some("Accept-Encoding"));
    }
    assert_eq!((proxy.count("Query"), proxy.total()), (3, 3));
    let brief = proxied.get_with(ListReleases, "verbosity=brief", &[("if-none-match", &etag)]).await;
    assert_eq!(brief.status, 200, "a brief list is another answer");
    let mut changed = release("a", 1);
    changed["versionInfo"]["desc"] = json!("changed");
    tables.import(&changed.to_string()).await;
    assert_eq!(tables.get_with(ListReleases, "", &[("if-none-match", &etag)]).await.status, 200);
}

#[tokio::test]
async fn answers_keep_their_order_whatever_the_order_of_the_items() {
    let tables = Tables::empty().await;
    let records: Vec<_> = (0..30_u64).map(|number| release(&format!("{number:02}"), number)).collect();
    tables.import(&lines(&records)).await;
    let proxy = FaultyProxy::start(&tables.endpoint_url, |operation, number| match (operation, number) {
        ("BatchGetItem", 1..4) => Fault::ProcessAtMost(7),
        ("BatchGetItem", _) => Fault::Reverse,
        _ => Fault::None,
    })
    .await;
    let ids = tables.through(&proxy.endpoint_url).get(ListReleases, "").await.release_ids();
    assert_eq!(ids, (0..30).rev().map(|number| format!("{number:02}")).collect::<Vec<_>>());
    assert_eq!(proxy.count("BatchGetItem"), 4, "keys that were left unprocessed are asked for again");
}

#[tokio::test]
async fn queries_of_several_pages_are_read_to_their_end() {
    let tables = Tables::empty().await;
    // A long project name makes entries so large that 1 MB of the index holds few of them.
    let project = "p".repeat(1_900);
    let records: Vec<_> = (0..700_u64)
        .map(|number| {
            let mut record = release_in_few_lists(&format!("{number:04}"), number);
            record["versionInfo"]["productName"] = json!(project);
            record
        })
        .collect();
    tables.import(&lines(&records)).await;
    let proxy = FaultyProxy::start(&tables.endpoint_url, |_, _| Fault::None).await;
    let proxied = tables.through(&proxy.endpoint_url);
    let ids =
        proxied.get(ListReleases, &format!("projectName={project}&verbosity=brief")).await.release_ids();
    assert_eq!(ids.len(), 700);
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 700);
    assert!(proxy.count("Query") > 1, "the index was read in several pages");
}

#[tokio::test]
async fn a_deleted_release_that_the_index_still_lists_is_left_out() {
    let tables = Tables::empty().await;
    tables.import(&lines(&[release("a", 1), release("b", 2)])).await;
    let proxy = FaultyProxy::start(&tables.endpoint_url, |operation, number| {
        if operation == "Query" && number > 1 { Fault::AsAtFirst } else { Fault::None }
    })
    .await;
    let lagging = tables.through(&proxy.endpoint_url);
    assert_eq!(lagging.get(ListReleases, "").await.release_ids(), ["b", "a"]);
    let mut gone = release("b", 2);
    gone["versionInfo"]["deleted_at"] = json!(3);
    tables.import(&gone.to_string()).await;
    for headers in [&[("accept-encoding", "gzip")][..], &[]] {
        assert_eq!(lagging.get_with(ListReleases, "", headers).await.release_ids(), ["a"]);
    }
    let brief = lagging.get(ListReleases, "verbosity=brief").await;
    assert_eq!(brief.release_ids(), ["a"]);
}

#[tokio::test]
async fn a_replaced_release_that_the_index_lists_as_it_was_is_answered_as_it_is_now() {
    let tables = Tables::empty().await;
    tables.import(&release("a", 1).to_string()).await;
    let before = tables.items(&tables.names.releases).await;
    let mut changed = release("a", 1);
    changed["versionInfo"]["desc"] = json!("now");
    tables.import(&changed.to_string()).await;
    // The older index entries are put back, as a lagging index still has them.
    for item in before {
        if item["entry"].as_s().unwrap().starts_with("facet#") {
            tables.put_item(&tables.names.releases, item).await;
        }
    }
    let answer = tables.get(ListReleases, "").await;
    assert_eq!(answer.json()[0]["versionInfo"]["desc"], "now");
}

#[tokio::test]
async fn fields_of_later_versions_and_empty_lists_are_kept() {
    let tables = Tables::empty().await;
    let record = r#"{"versionInfo":{"progress":{"x":1e2},"id":"r","type":"helm","created_at":5,"taskId":18446744073709551615,"labels":null,"productEnvInfo":{"vars":null,"services":[[{"containers":null}]]}},"deployInfo":[{"envs":null,"serviceName":"s/c","containerName":"c","new":12345678901234567890123}],"later":[1.50]}"#;
    tables.import(record).await;
    let expected = r#"[{"versionInfo":{"id":"r","taskId":18446744073709551615,"labels":[],"productEnvInfo":{"auth":[],"services":[[{"containers":[]}]],"vars":[],"roleIds":[]},"created_at":5,"progress":{"x":1e2},"type":"helm"},"buildInfo":[],"deployInfo":[{"serviceName":"s/c","containerName":"c","yamlContents":[],"envs":[],"orderedServices":[],"new":12345678901234567890123}],"testInfo":[],"distributeInfo":[],"securityStatsInfo":[],"later":[1.50]}]"#;
    assert_eq!(tables.get(ListReleases, "serviceName=s").await.body, expected);
}
