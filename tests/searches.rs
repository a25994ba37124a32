//! Every combination of the list's filters finds what a naive search through all records finds.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use delivery_center::endpoint::Endpoint::ListReleases;
use delivery_center::list_releases::ListRequest;
use delivery_center::query::Query;
use delivery_center::store::releases::LENGTHS_VERSION;
use delivery_center::store::{ReleaseFilter, Usage};
use delivery_center_tool::record::Record;
use delivery_center_tool::write::{Mode, PackedRelease};
use http::HeaderMap;
use serde_json::{Value, json};

use crate::support::{Answer, Random, SCHEMES, Tables, hub, lines, number_of, release, release_in_few_lists};

const DIGESTS: [&str; 2] = [
    "sha256:1d9ddf94feb5ff9ca9d76248ad51dd2a95210895d0dbf1e87bd66cc471c41f0e",
    "sha256:3d9ddf94feb5ff9ca9d76248ad51dd2a95210895d0dbf1e87bd66cc471c41f0e",
];
const IMAGES: [&str; 9] = [
    "reg:5000/a/b:1",
    "reg:5000/a/b",
    "b:1",
    "b",
    "docker.io/library/b:1",
    "library/b",
    "index.docker.io/b:1",
    "docker.io/acme/b",
    "acme/b",
];
const COMMITS: [&str; 4] = ["4b15c43aaaaa", "4b15c43aaaab", "4B15C43bbbbb", "5b15c43aaaaa"];
const BEGIN: u64 = 1_600_000_000;

/// An image with or without a digest, or a digest alone.
fn image(random: &mut Random) -> String {
    match random.below(4) {
        0 => random.one_of(&DIGESTS).to_owned(),
        1 => format!("{}@{}", random.one_of(&IMAGES), random.one_of(&DIGESTS)),
        _ => random.one_of(&IMAGES).to_owned(),
    }
}

fn record(random: &mut Random, id: &str) -> Value {
    let mut record = release(id, BEGIN + random.below(40));
    record["versionInfo"]["productName"] = json!(random.one_of(&["p", "q", "p&q", ""]));
    record["versionInfo"]["workflowName"] = json!(random.one_of(&["w", "x", "w%26"]));
    record["versionInfo"]["taskId"] = json!(random.below(3));
    record["versionInfo"]["version"] = json!(random.one_of(&["1.0", "1.1"]));
    record["versionInfo"]["labels"] =
        json!((0..random.below(3)).map(|_| random.one_of(&["l", "m&%"])).collect::<Vec<_>>());
    record["versionInfo"]["productEnvInfo"] = json!({
        "env_name": random.one_of(&["prod", "dev", ""]),
        "services": [[{"containers": [{"image": image(random)}]}]],
    });
    let build = |random: &mut Random| {
        json!({
            "deleted_at": u8::from(random.one_in(5)),
            "imageName": if random.one_in(2) { json!(image(random)) } else { Value::Null },
            "imageInfo": if random.one_in(2) { json!({"imageDigest": random.one_of(&DIGESTS)}) } else { Value::Null },
            "commits": (0..random.below(3)).map(|_| json!({"commit_id": random.one_of(&COMMITS)})).collect::<Vec<_>>(),
        })
    };
    record["buildInfo"] = (0..random.below(3)).map(|_| build(random)).collect();
    let deploy = |random: &mut Random| json!({"deleted_at": u8::from(random.one_in(5)), "serviceName": random.one_of(&["s", "s/t", "ü&%="]), "image": image(random)});
    record["deployInfo"] = (0..random.below(4)).map(|_| deploy(random)).collect();
    if random.one_in(3) {
        record["distributeInfo"] =
            json!([{"registryName": image(random), "subDistributes": [{"registryName": image(random)}]}]);
    }
    record
}

fn live<'a>(record: &'a Value, section: &str) -> impl Iterator<Item = &'a Value> {
    let records = record[section].as_array().map(Vec::as_slice).unwrap_or_default();
    records.iter().filter(|record| record["deleted_at"].as_u64().unwrap_or_default() == 0)
}

fn repository(name: &str) -> &str {
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    name[last..].find(':').map_or(name, |colon| &name[..last + colon])
}

/// The images of a record: the name before a digest as it is written, the digest, and whether it was pushed
/// under that name.
fn images(record: &Value) -> Vec<(Option<String>, Option<String>, bool)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut written = Vec::new();
    let mut images = Vec::new();
    for build in live(record, "buildInfo") {
        written.extend(text(&build["imageName"]));
        if let Some(digest) = text(&build["imageInfo"]["imageDigest"]) {
            let name = text(&build["imageName"]).map(|name| name.split('@').next().unwrap().to_owned());
            let named = name.filter(|name| !name.starts_with("sha256:"));
            images.push((named.map(|name| repository(&name).to_owned()), Some(digest), false));
        }
    }
    written.extend(live(record, "deployInfo").filter_map(|deploy| text(&deploy["image"])));
    written
        .extend(text(&record["versionInfo"]["productEnvInfo"]["services"][0][0]["containers"][0]["image"]));
    for distribution in live(record, "distributeInfo") {
        written.extend(text(&distribution["registryName"]));
        written.extend(text(&distribution["subDistributes"][0]["registryName"]));
    }
    images.extend(written.into_iter().map(|image| match image.split_once('@') {
        Some((name, digest)) => (Some(name.to_owned()), Some(digest.to_owned()), repository(name) != name),
        None if image.starts_with("sha256:") => (None, Some(image), false),
        None => (Some(image), None, true),
    }));
    images
}

fn has_image(record: &Value, asked: &str) -> bool {
    let asked = asked.split_once("://").map_or(asked, |(_, asked)| asked);
    images(record).iter().any(|(name, digest, is_pushed)| match asked.split_once('@') {
        Some((asked_name, asked_digest)) => {
            digest.as_deref() == Some(asked_digest)
                && name.as_ref().is_none_or(|name| repository(hub(name)) == repository(hub(asked_name)))
        }
        None if asked.starts_with("sha256:") => digest.as_deref() == Some(asked),
        None => *is_pushed && name.as_deref().map(hub) == Some(hub(asked)),
    })
}

fn is_match(record: &Value, name: &str, asked: &str) -> bool {
    let version = &record["versionInfo"];
    let created_at = version["created_at"].as_u64().unwrap();
    match name {
        "projectName" => version["productName"] == asked,
        "workflowName" => version["workflowName"] == asked,
        "taskId" => version["taskId"] == asked.parse::<u64>().unwrap(),
        "serviceName" => live(record, "deployInfo").any(|deploy| deploy["serviceName"] == asked),
        "label" => version["labels"].as_array().unwrap().iter().any(|label| label == asked),
        "envName" => version["productEnvInfo"]["env_name"] == asked,
        "version" => version["version"] == asked,
        "image" => has_image(record, asked),
        "commit" => {
            live(record, "buildInfo").flat_map(|build| build["commits"].as_array().unwrap()).any(|commit| {
                commit["commit_id"].as_str().unwrap().to_lowercase().starts_with(&asked.to_lowercase())
            })
        }
        "since" => created_at >= asked.parse().unwrap(),
        "until" => created_at < asked.parse().unwrap(),
        other => panic!("{other} is no filter"),
    }
}

/// Some of the filters, nearly always with a value that some releases have.
fn filters(random: &mut Random) -> Vec<(&'static str, String)> {
    let mut filters = Vec::new();
    for name in [
        "projectName",
        "workflowName",
        "taskId",
        "serviceName",
        "label",
        "envName",
        "version",
        "image",
        "commit",
        "since",
        "until",
    ] {
        if !random.one_in(4) {
            continue;
        }
        let value = match name {
            "projectName" => random.one_of(&["p", "q", "p&q", "none"]).to_owned(),
            "workflowName" => random.one_of(&["w", "x", "w%26"]).to_owned(),
            "taskId" => (1 + random.below(3)).to_string(),
            "serviceName" => random.one_of(&["s", "s/t", "ü&%="]).to_owned(),
            "label" => random.one_of(&["l", "m&%"]).to_owned(),
            "envName" => random.one_of(&["prod", "dev"]).to_owned(),
            "version" => random.one_of(&["1.0", "1.1"]).to_owned(),
            "image" => random.one_of(&SCHEMES).to_owned() + &image(random),
            "commit" => {
                let commit = random.one_of(&COMMITS);
                commit[..usize::try_from(7 + random.below(6)).unwrap()].to_owned()
            }
            _ => (BEGIN + random.below(42)).to_string(),
        };
        filters.push((name, value));
    }
    filters
}

fn query(filters: &[(&str, String)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(filters).finish()
}

/// The ids of the releases that a naive search finds, newest first.
fn wanted(records: &BTreeMap<String, Value>, filters: &[(&str, String)]) -> Vec<String> {
    let found = |record: &&Value| filters.iter().all(|(name, asked)| is_match(record, name, asked));
    let mut found: Vec<_> = records
        .values()
        .filter(found)
        .map(|record| {
            (
                record["versionInfo"]["created_at"].as_u64(),
                record["versionInfo"]["id"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    found.sort();
    found.into_iter().rev().map(|(_, id)| id).collect()
}

/// Stores a release, even where it empties sections of the one that was stored before.
async fn put(tables: &Tables, record: &Value) {
    let Ok(Record::Release(release)) = Record::check(record.to_string().as_bytes()) else {
        panic!("{record} is no release")
    };
    tables.writer.put_release(&PackedRelease::new(&release).unwrap(), Mode::Write).await.unwrap();
}

#[tokio::test]
async fn every_combination_of_filters_finds_what_a_search_through_everything_finds() {
    let mut random = Random(number_of("SEARCH_SEED", 11));
    let tables = Tables::empty().await;
    let mut records = BTreeMap::new();
    let id = |number: u64| format!("{number:024x}");
    for number in 0..150 {
        records.insert(id(number), record(&mut random, &id(number)));
    }
    tables.import(&lines(records.values())).await;
    let (mut found_some, mut found_none) = (0, 0);
    let searches = number_of("SEARCHES", 600);
    for _ in 0..searches {
        // Now and then a release is replaced or deleted.
        if random.one_in(20) {
            let id = id(random.below(150));
            let mut replaced = record(&mut random, &id);
            if random.one_in(3) {
                replaced["versionInfo"]["deleted_at"] = json!(1);
                records.remove(&id);
            } else {
                records.insert(id, replaced.clone());
            }
            put(&tables, &replaced).await;
        }
        let filters = filters(&mut random);
        let (query, wanted) = (query(&filters), wanted(&records, &filters));
        *if wanted.is_empty() { &mut found_none } else { &mut found_some } += 1;
        let answer = tables.get(ListReleases, &query).await;
        assert_eq!(answer.release_ids(), wanted, "{query}");
        if random.one_in(4) && !wanted.is_empty() {
            let place = usize::try_from(random.below(wanted.len() as u64)).unwrap();
            let created_at = records[&wanted[place]]["versionInfo"]["created_at"].as_u64().unwrap();
            let after = format!("{query}&after={created_at:012}%23{}", wanted[place]);
            assert_eq!(tables.get(ListReleases, &after).await.release_ids(), wanted[place + 1..], "{after}");
        }
        if random.one_in(4) {
            let per_page = 1 + random.below(9);
            let pages = tables.walk(ListReleases, &format!("{query}&per_page={per_page}"), &[]).await;
            let ids: Vec<_> = pages.iter().map(Answer::release_ids).collect();
            let (_, full) = ids.split_last().unwrap();
            assert!(full.iter().all(|ids| ids.len() as u64 == per_page), "{query}&per_page={per_page}");
            assert_eq!(ids.concat(), wanted, "{query}&per_page={per_page}");
        }
    }
    assert!(
        found_some > searches / 8 && found_none > searches / 8,
        "{found_some} found something, {found_none} nothing"
    );
}

#[tokio::test]
async fn each_filter_alone_has_an_etag_and_finds_the_same_in_a_brief_list() {
    let tables = Tables::empty().await;
    let mut record = record(&mut Random(1), "r");
    record["versionInfo"]["labels"] = json!(["l"]);
    record["versionInfo"]["productEnvInfo"]["env_name"] = json!("prod");
    record["buildInfo"] = json!([{"imageName": "b:1", "commits": [{"commit_id": COMMITS[0]}]}]);
    tables.import(&record.to_string()).await;
    for query in [
        "image=b:1",
        "commit=4b15c43",
        "label=l",
        "envName=prod",
        "version=1.0&since=1",
        "version=1.1&since=1",
        "since=1&until=2000000000",
    ] {
        let answer = tables.get(ListReleases, query).await;
        let etag = answer.header("etag").unwrap().to_owned();
        let again = tables.get_with(ListReleases, query, &[("if-none-match", &etag)]).await;
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{query}");
        let brief = tables.get(ListReleases, &format!("{query}&verbosity=brief")).await;
        assert_eq!(brief.release_ids(), answer.release_ids(), "{query}");
    }
}

/// A release whose environment runs these images. Of entries with such an id an index page of 1 MB holds some
/// 500.
fn running(number: u64, images: &[String]) -> Value {
    let mut record = release_in_few_lists(&format!("{number:0800}"), BEGIN + number / 2);
    let containers: Vec<_> = images.iter().map(|image| json!({"image": image})).collect();
    record["versionInfo"]["productEnvInfo"] = json!({"services": [[{"containers": containers}]]});
    record
}

#[tokio::test]
async fn a_digest_in_a_repository_takes_two_round_trips_whatever_other_repositories_hold_it() {
    let tables = Tables::empty().await;
    let in_repository = |repository: &str| format!("{repository}@{}", DIGESTS[0]);
    let images = [in_repository("a"), in_repository("b"), DIGESTS[0].to_owned(), in_repository("a")];
    let records: Vec<_> =
        (0..).zip(&images).map(|(number, image)| running(number, std::slice::from_ref(image))).collect();
    tables.import(&lines(&records)).await;
    add_passed_over_entries(&tables, &format!("image={}", DIGESTS[0]), 2_000).await;
    let usage = Usage::default();
    let (query, headers) = (Query::parse(&format!("image={}", in_repository("a"))), HeaderMap::new());
    let request = ListRequest::read(&query, &headers).unwrap();
    let (_, count) = request.answer(&tables.store, &usage).await.unwrap();
    assert_eq!((count, usage.round_trips(), usage.calls()), (3, 2, 3));
    let page = Usage::default();
    let query = Query::parse(&format!("image={}&per_page=1", in_repository("a")));
    let request = ListRequest::read(&query, &headers).unwrap();
    request.answer(&tables.store, &page).await.unwrap();
    assert_eq!((page.round_trips(), page.calls()), (2, 3));
    assert!(page.read_units() < usage.read_units(), "a page reads no more entries than it needs");
}

#[tokio::test]
async fn a_release_that_two_lists_have_at_two_times_is_answered_once_where_it_is_now() {
    let tables = Tables::empty().await;
    let images = [format!("reg/a@{}", DIGESTS[0]), DIGESTS[0].to_owned()];
    let (other, before) = (running(1, &images), running(2, &images));
    let mut now = before.clone();
    now["versionInfo"]["created_at"] = json!(BEGIN + 5);
    let list = format!("image=@{}", DIGESTS[0]);
    let entries = async || {
        let scan = tables.client.scan().table_name(&tables.names.releases).filter_expression("facet = :list");
        let found = scan.expression_attribute_values(":list", AttributeValue::S(list.clone())).send().await;
        found.unwrap().items.unwrap()
    };
    tables.import(&lines([&other, &before])).await;
    let as_before = entries().await;
    assert_eq!(as_before.len(), 2);
    tables.import(&now.to_string()).await;
    // One list lags behind: it has the release at its old time, and the other one at the new time.
    for item in as_before {
        tables.put_item(&tables.names.releases, item).await;
    }
    let ids = [&now, &other].map(|record| record["versionInfo"]["id"].as_str().unwrap());
    for query in ["", "&verbosity=brief", "&per_page=5"] {
        let answer = tables.get(ListReleases, &format!("image={}{query}", images[0])).await;
        assert_eq!((answer.status, answer.release_ids()), (200, ids.map(str::to_owned).to_vec()), "{query}");
    }
}

#[tokio::test]
async fn the_two_lists_of_a_digest_in_a_repository_are_one_whole_list_however_long() {
    let tables = Tables::empty().await;
    let told = format!("reg/a@{}", DIGESTS[0]);
    let others = vec![format!("reg/a@{}", DIGESTS[1]), format!("elsewhere@{}", DIGESTS[0])];
    let digest = DIGESTS[0].to_owned();
    let images = [vec![told.clone()], vec![digest.clone()], vec![told.clone(), digest], others];
    let mut random = Random(3);
    let records: Vec<_> = (0..2_000)
        .map(|number| {
            // First many of the one kind, then many of the other, then in turns.
            let kind = if number < 1_400 { number / 700 } else { random.below(4) };
            let mut record = running(number, &images[usize::try_from(kind).unwrap()]);
            record["versionInfo"]["productName"] = json!(if kind == 1 { "q" } else { "p" });
            record
        })
        .collect();
    for records in records.chunks(250) {
        tables.import(&lines(records)).await;
    }
    let held = |record: &&Value| has_image(record, &told);
    let mut ids: Vec<_> =
        records.iter().filter(held).map(|record| record["versionInfo"]["id"].as_str().unwrap()).collect();
    ids.reverse();
    assert!((1_700..1_950).contains(&ids.len()), "{}", ids.len());
    for query in [format!("image={told}&verbosity=brief"), format!("image={told}&per_page=100")] {
        let answers = tables.walk(ListReleases, &query, &[]).await;
        assert_eq!(answers.iter().flat_map(Answer::release_ids).collect::<Vec<_>>(), ids);
    }
    let deep = tables.get(ListReleases, &format!("image={told}&page=15&per_page=100")).await;
    assert_eq!(deep.release_ids(), ids[1_400..1_500], "a deep page is found too");
    // Each page of either list is read once, and each entry that is passed over counts once.
    let mut pages = 0;
    for list in [format!("image={told}"), format!("image=@{}", DIGESTS[0])] {
        let query = tables.client.query().table_name(&tables.names.releases).index_name("by_facet");
        let query = query.key_condition_expression("facet = :list");
        let mut read =
            query.expression_attribute_values(":list", AttributeValue::S(list)).into_paginator().send();
        while let Some(page) = read.next().await {
            page.unwrap();
            pages += 1;
        }
    }
    assert!(pages >= 4, "{pages} pages");
    for (project, is_wanted) in [("", None), ("p", Some("p"))] {
        let query: Query = [("image", told.as_str()), ("projectName", project)].into_iter().collect();
        let search = ReleaseFilter::from_query(&query).unwrap().search().unwrap();
        let (mut listing, usage) = (tables.store.release_listing(&search, None), Usage::default());
        let (mut found, mut passed_over, mut has_more) = (0, 0, true);
        while has_more {
            let page = listing.next_page(None, &usage).await.unwrap();
            found += page.entries.len();
            passed_over += page.passed_over;
            has_more = page.rest.is_some();
        }
        let held = records.iter().filter(held);
        let wanted = held
            .filter(|record| is_wanted.is_none_or(|project| record["versionInfo"]["productName"] == project));
        assert_eq!((found, found + passed_over), (wanted.count(), ids.len()));
        assert_eq!(usage.calls(), pages);
    }
}

/// Adds entries to a list that a search passes over. There are no releases for them, and no search looks for
/// these.
async fn add_passed_over_entries(tables: &Tables, facet: &str, count: usize) {
    let mut writes = Vec::new();
    for number in 0..count {
        let id = format!("{number:0800}");
        let item = [
            ("release_id", id.clone()),
            ("entry", "facet#x".to_owned()),
            ("facet", facet.to_owned()),
            ("position", format!("{:012}#{id}", BEGIN + 1)),
            ("revision", "r".to_owned()),
            ("lengths", format!("{LENGTHS_VERSION}:1,1,1,1,0,0")),
        ];
        let item = item.map(|(name, text)| (name.to_owned(), AttributeValue::S(text)));
        let put = PutRequest::builder().set_item(Some(item.into())).build().unwrap();
        writes.push(WriteRequest::builder().put_request(put).build());
    }
    for writes in writes.chunks(25) {
        let write = tables.client.batch_write_item().request_items(&tables.names.releases, writes.to_vec());
        write.send().await.unwrap();
    }
}

#[tokio::test]
async fn a_long_search_goes_on_behind_its_link_and_a_page_is_whole_or_refused() {
    let tables = Tables::empty().await;
    let label = "l".repeat(2_000);
    let mut old = release("old", BEGIN);
    let mut new = release("new", BEGIN + 2);
    old["versionInfo"]["labels"] = json!([label]);
    new["versionInfo"]["labels"] = json!([label]);
    tables.import(&lines([&old, &new])).await;
    // 1 MB of the index has 200 to 300 of these.
    add_passed_over_entries(&tables, &format!("label={label}"), 2_000).await;
    let query = format!("label={label}&projectName=p");
    let answers = tables.walk(ListReleases, &query, &[]).await;
    assert_eq!(answers[0].release_ids(), ["new"]);
    let next = answers[0].next_query().unwrap();
    assert!(!next.contains("new"), "the link goes on where the search ended");
    assert_eq!(answers.iter().flat_map(Answer::release_ids).collect::<Vec<_>>(), ["new", "old"]);
    assert!((2..8).contains(&answers.len()), "{} answers", answers.len());
    let page = tables.get(ListReleases, &format!("{query}&per_page=2")).await;
    assert_eq!((page.release_ids(), page.next_query()), (vec!["new".to_owned(), "old".to_owned()], None));
    add_passed_over_entries(&tables, &format!("label={label}"), 7_000).await;
    let refused = tables.get(ListReleases, &format!("{query}&per_page=2")).await;
    assert_eq!(refused.status, 400);
    assert_eq!(
        refused.description(),
        "page 1 lies too deep: this combination of filters was searched as far as one request can; \
         leave out page and per_page, and follow the Link header"
    );
}
