//! Look-ups by commit, pull request and environment, and where artifacts run, find what a naive search
//! through all records finds.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use delivery_center::endpoint::Endpoint::GetArtifact;
use delivery_center_tool::record::Record;
use delivery_center_tool::write::{KeepRecorded, Mode, PackedArtifact};
use futures_util::TryStreamExt as _;
use serde_json::{Value, json};

use crate::support::faulty::{Fault, FaultyProxy};
use crate::support::{Answer, Random, SCHEMES, Tables, artifact, hub, lines, number_of};

const COMMITS: [&str; 4] = ["4b15c43aaaaa", "4b15c43aaaab", "4B15C43bbbbb", "5b15c43aaaaa"];
const REPOSITORIES: [&str; 3] = ["o/n", "o/m", "group/sub/n"];
/// Three repositories, two of them by several names.
const IMAGES: [&str; 6] =
    ["reg:5000/a", "acme/x", "docker.io/acme/x", "index.docker.io/library/nginx", "nginx", ""];
const ENVIRONMENTS: [&str; 3] = ["prod", "dev", "a&b%"];
const NAMESPACES: [&str; 3] = ["", "x", "y"];
const BEGIN: u64 = 1_600_000_000;

fn digest(random: &mut Random) -> String {
    if random.one_in(3) { String::new() } else { format!("sha256:{:064x}", random.below(4)) }
}

/// A repository by any of its names, as a person may paste it.
fn alias(random: &mut Random, repository: &str) -> String {
    let names: Vec<_> = IMAGES.into_iter().filter(|name| hub(name) == hub(repository)).collect();
    random.one_of(&SCHEMES).to_owned() + random.one_of(&names)
}

fn record(random: &mut Random, id: &str) -> Value {
    let repository = random.one_of(&IMAGES);
    let digest = digest(random);
    let mut image =
        if repository.is_empty() { String::new() } else { format!("{repository}:{}", random.below(5)) };
    if !image.is_empty() && !digest.is_empty() && random.one_in(3) {
        image = format!("{image}@{digest}");
    }
    let mut record = artifact(id, &image, &digest, BEGIN + random.below(20));
    let commit = |random: &mut Random| {
        let (owner, name) = random.one_of(&REPOSITORIES).rsplit_once('/').unwrap();
        let prs = random.some_below(4);
        json!({"repo_owner": owner, "repo_name": name, "commit_id": random.one_of(&COMMITS), "pr": random.below(3), "prs": prs})
    };
    let activity = |random: &mut Random| {
        if random.one_in(3) {
            let commits: Vec<_> = (0..random.below(3)).map(|_| commit(random)).collect();
            json!({"type": "build", "commits": commits, "created_time": BEGIN})
        } else {
            json!({
                "type": random.one_of(&["test", "undeploy", "undeploy", "deploy", "deploy", "deploy"]),
                "created_time": BEGIN + random.below(12),
                "env_name": random.one_of(&ENVIRONMENTS), "namespace": random.one_of(&NAMESPACES),
            })
        }
    };
    record["activities"] = (0..random.below(5)).map(|_| activity(random)).collect();
    record
}

/// The repository and the tag that an image has, by the shortest name.
fn tagged(record: &Value) -> (&str, &str) {
    let image = record["image"].as_str().unwrap_or_default();
    let image = image.split_once('@').map_or(image, |(image, _)| image);
    image.rsplit_once(':').map_or(("", ""), |(repository, tag)| (hub(repository), tag))
}

fn repository(record: &Value) -> &str {
    tagged(record).0
}

fn activities(record: &Value) -> &[Value] {
    record["activities"].as_array().unwrap()
}

fn commits(record: &Value) -> impl Iterator<Item = &Value> {
    activities(record).iter().filter_map(|activity| activity["commits"].as_array()).flatten()
}

fn is_of(commit: &Value, repository: &str) -> bool {
    format!("{}/{}", commit["repo_owner"].as_str().unwrap(), commit["repo_name"].as_str().unwrap())
        == repository
}

/// The time of the last deploy into a namespace of an environment, and when it ended.
fn deployed(record: &Value, env_name: &str, namespace: &str) -> Option<(u64, Option<u64>)> {
    let last = |kind: &str| {
        let is_there = |activity: &&Value| {
            activity["type"] == kind && activity["env_name"] == env_name && activity["namespace"] == namespace
        };
        let there = activities(record).iter().filter(is_there);
        there.map(|activity| activity["created_time"].as_u64().unwrap()).max()
    };
    let since = last("deploy")?;
    Some((since, last("undeploy").filter(|until| *until >= since)))
}

type Records = BTreeMap<String, Value>;

/// The ids of the records that match, newest first.
fn newest_first(records: &Records, is_match: impl Fn(&Value) -> bool) -> Vec<String> {
    let mut found: Vec<_> = records
        .iter()
        .filter(|(_, record)| is_match(record))
        .map(|(id, record)| (record["created_time"].as_u64(), id))
        .collect();
    found.sort();
    found.into_iter().rev().map(|(_, id)| id.clone()).collect()
}

/// What runs in a namespace of an environment: the time of its deploy, and its id.
fn running<'a>(records: &'a Records, of: &str, env_name: &str, namespace: &str) -> Option<(u64, &'a String)> {
    let in_repository = records.iter().filter(|(_, record)| repository(record) == of);
    let deployed = in_repository.filter_map(|(id, record)| {
        let (since, until) = deployed(record, env_name, namespace)?;
        Some((since, id, until))
    });
    let (since, id, until) = deployed.max()?;
    until.is_none().then_some((since, id))
}

fn environments(records: &Records, id: &str) -> Value {
    let record = &records[id];
    let mut found = Vec::new();
    for env_name in ENVIRONMENTS {
        for namespace in NAMESPACES {
            let Some((since, until)) = deployed(record, env_name, namespace) else { continue };
            let of = repository(record);
            let is_newest = of.is_empty()
                || running(records, of, env_name, namespace).is_some_and(|(_, running)| running == id);
            found.push((std::cmp::Reverse(since), env_name, namespace, is_newest && until.is_none(), until));
        }
    }
    found.sort();
    let environment = |(since, env_name, namespace, is_running, until): (
        std::cmp::Reverse<u64>,
        &str,
        &str,
        bool,
        Option<u64>,
    )| {
        let mut environment = json!({"env_name": env_name});
        if !namespace.is_empty() {
            environment["namespace"] = json!(namespace);
        }
        environment["since"] = json!(since.0);
        environment["running"] = json!(is_running);
        if let Some(until) = until {
            environment["until"] = json!(until);
        }
        environment
    };
    found.into_iter().map(environment).collect()
}

fn query(parameters: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

async fn get(tables: &Tables, parameters: &[(&str, &str)]) -> Answer {
    let query = query(parameters);
    let gzip = [("accept-encoding", "gzip")];
    tables.get_with(GetArtifact, &query, if query.len().is_multiple_of(2) { &gzip } else { &[] }).await
}

fn id(answer: &Answer) -> Option<String> {
    (answer.status == 200).then(|| answer.json()["id"].as_str().unwrap().to_owned())
}

/// Follows `Link` to the end, and returns all ids.
async fn walk(tables: &Tables, parameters: &[(&str, &str)]) -> Vec<String> {
    let answers = tables.walk(GetArtifact, &query(parameters), &[]).await;
    // A walk through an environment may come to its end, or to many in a row that ended, without another one.
    let is_none = |answer: &Answer| answer.status == 404 && answer.body.contains("nothing runs in");
    let found = if answers[0].status == 404 { &answers[1..] } else { answers.as_slice() };
    let found = found.iter().filter(|answer| !is_none(answer));
    found.map(|answer| id(answer).expect("a link leads to an artifact")).collect()
}

fn packed(record: &Value) -> PackedArtifact {
    let Ok(Record::Artifact(artifact)) = Record::check(record.to_string().as_bytes()) else {
        panic!("{record} is no artifact")
    };
    PackedArtifact::new(*artifact).unwrap()
}

async fn put(tables: &Tables, record: &Value) {
    tables.writer.put_artifact(&packed(record), Mode::Write, KeepRecorded::Yes).await.unwrap();
}

/// Removes an artifact's own item and leaves its entries, its parts and its pointer.
async fn remove_item(tables: &Tables, id: &str) {
    for item in tables.items(&tables.names.artifacts).await {
        let entry = item["entry"].as_s().unwrap();
        if entry.starts_with("artifact#") && entry.ends_with(&format!("#{id}")) {
            tables.delete_item(&tables.names.artifacts, item).await;
        }
    }
}

/// Mends what is wrong with the last deploys.
async fn reindex(tables: &Tables) {
    let entries: Vec<_> = tables.writer.artifact_entries().try_collect().await.unwrap();
    for entry in entries.iter().filter(|entry| entry.position.is_none()) {
        tables.writer.mend_artifact_entry(entry, Mode::Write).await.unwrap();
    }
}

/// Asks for everything that runs in an environment, and for what runs there of a repository, by another of its
/// names; gives whether something does.
async fn check_environment(
    tables: &Tables,
    records: &Records,
    (of, asked): (&str, &str),
    env_name: &str,
    namespace: Option<&str>,
) -> bool {
    let parameters: Vec<_> = [("image", asked), ("envName", env_name)]
        .into_iter()
        .chain(namespace.map(|namespace| ("namespace", namespace)))
        .collect();
    let namespaces: Vec<_> =
        NAMESPACES.into_iter().filter(|one| namespace.is_none_or(|wanted| wanted == *one)).collect();
    let run_there = |of: &str| {
        namespaces
            .iter()
            .filter_map(|namespace| running(records, of, env_name, namespace))
            .collect::<Vec<_>>()
    };
    let answer = get(tables, &parameters).await;
    let wanted = run_there(hub(of)).into_iter().max().map(|(_, id)| id);
    assert_eq!(id(&answer).as_ref(), wanted, "{parameters:?}");
    assert_eq!(answer.next_query(), None);
    let repositories: BTreeSet<_> = IMAGES.into_iter().filter(|of| !of.is_empty()).map(hub).collect();
    let all = repositories.into_iter().flat_map(run_there);
    let all: Vec<_> = all.map(|(_, id)| id.clone()).collect();
    assert_eq!(walk(tables, &parameters[1..]).await, all, "{:?}", &parameters[1..]);
    wanted.is_some()
}

#[tokio::test]
async fn every_way_to_find_an_artifact_finds_what_a_search_through_everything_finds() {
    let mut random = Random(number_of("SEARCH_SEED", 3));
    let tables = Tables::empty().await;
    let id_of = |number: u64| format!("{number:024x}");
    let mut records = Records::new();
    for number in 0..40 {
        let record = record(&mut random, &id_of(number));
        put(&tables, &record).await;
        records.insert(id_of(number), record);
    }
    let searches = number_of("SEARCHES", 200);
    let mut found = [0; 4];
    for _ in 0..searches {
        // Artifacts are replaced, which may move them. Now and then one is removed, and all its entries stay
        // behind.
        if random.one_in(4) {
            let id = id_of(random.below(40));
            if random.one_in(6) {
                remove_item(&tables, &id).await;
                records.remove(&id);
                // What ended with it may hide what was deployed before it.
                reindex(&tables).await;
            } else {
                let record = record(&mut random, &id);
                put(&tables, &record).await;
                records.insert(id, record);
            }
        }
        let commit = random.one_of(&COMMITS);
        let commit = &commit[..usize::try_from(7 + random.below(6)).unwrap()];
        let repo = random.one_in(2).then(|| random.one_of(&REPOSITORIES));
        let made_from = |record: &Value| {
            commits(record).any(|found| {
                found["commit_id"].as_str().unwrap().to_lowercase().starts_with(&commit.to_lowercase())
                    && repo.is_none_or(|repo| is_of(found, repo))
            })
        };
        let parameters: Vec<_> =
            std::iter::once(("commit", commit)).chain(repo.map(|repo| ("repo", repo))).collect();
        let wanted = newest_first(&records, made_from);
        assert_eq!(walk(&tables, &parameters).await, wanted, "{parameters:?}");
        found[0] += wanted.len();

        let (number, repo) = (1 + random.below(4), random.one_of(&REPOSITORIES));
        let is_asked = |found: &Value| {
            let listed = found["prs"].as_array().unwrap();
            is_of(found, repo) && (found["pr"] == number || listed.iter().any(|listed| *listed == number))
        };
        let wanted = newest_first(&records, |record| commits(record).any(is_asked));
        assert_eq!(
            walk(&tables, &[("pr", &number.to_string()), ("repo", repo)]).await,
            wanted,
            "{number} of {repo}"
        );
        found[1] += wanted.len();

        let (of, env_name) = (random.one_of(&IMAGES[..5]), random.one_of(&ENVIRONMENTS));
        let asked = alias(&mut random, of);
        let namespace = Some(random.one_of(&NAMESPACES)).filter(|namespace| !namespace.is_empty());
        found[2] +=
            usize::from(check_environment(&tables, &records, (of, &asked), env_name, namespace).await);

        if let Some((image, tag, wanted, digest, of_digest)) =
            records.values().nth(usize::try_from(random.below(30)).unwrap()).and_then(|record| {
                let (repository, tag) =
                    Some(tagged(record)).filter(|(repository, _)| !repository.is_empty())?;
                let wanted = newest_first(&records, |record| tagged(record) == (repository, tag)).remove(0);
                let digest = record["image_digest"].as_str().unwrap();
                let image = alias(&mut random, repository);
                let in_repository =
                    |record: &Value| tagged(record).0 == repository && record["image_digest"] == digest;
                let of_digest = newest_first(&records, in_repository).remove(0);
                Some((image, tag, wanted, digest, of_digest))
            })
        {
            if !digest.is_empty() {
                for asked in [format!("{image}@{digest}"), format!("{image}:{tag}@{digest}")] {
                    assert_eq!(
                        id(&get(&tables, &[("image", &asked)]).await).as_ref(),
                        Some(&of_digest),
                        "{asked}"
                    );
                }
            }
            let image = &format!("{image}:{tag}");
            let plain = get(&tables, &[("image", image)]).await;
            let answer = get(&tables, &[("image", image), ("include", "environments")]).await;
            assert_eq!(id(&answer).as_ref(), Some(&wanted), "{image}");
            let environments = environments(&records, &wanted);
            let expected =
                format!("{},\"environments\":{environments}}}", &plain.body[..plain.body.len() - 1]);
            assert_eq!(answer.body, expected);
            found[3] += environments.as_array().unwrap().len();
        }
    }
    assert!(found.iter().all(|found| *found as u64 > searches / 4), "{found:?}");
}

/// All items of the artifacts' table.
async fn dump(tables: &Tables) -> BTreeSet<String> {
    tables.dump(&tables.names.artifacts).await.into_iter().collect()
}

fn deployed_to(id: &str, environments: std::ops::Range<u64>, time: u64) -> Value {
    let mut record = artifact(id, &format!("reg/app:{id}"), "", BEGIN);
    let deploy = |number: u64| json!({"type": "deploy", "env_name": format!("env-{number}"), "namespace": "n", "created_time": BEGIN + time + number});
    record["activities"] = environments.map(deploy).collect();
    record
}

#[tokio::test]
async fn a_hundred_environments_are_answered_in_a_bounded_number_of_calls() {
    let tables = Tables::empty().await;
    let (old, new) = (deployed_to("old", 0..100, 0), deployed_to("new", 0..60, 1_000));
    put(&tables, &old).await;
    put(&tables, &new).await;
    let proxy = FaultyProxy::start(&tables.endpoint_url, |_, _| Fault::None).await;
    let proxied = tables.through(&proxy.endpoint_url);
    let asked = async |id: &str| {
        let before = proxy.total();
        let answer = get(&proxied, &[("image", &format!("reg/app:{id}")), ("include", "environments")]).await;
        let environments = answer.json()["environments"].as_array().unwrap().clone();
        let running = environments.iter().filter(|environment| environment["running"] == true).count();
        (environments.len(), running, proxy.total() - before)
    };
    assert_eq!(asked("new").await, (60, 60, 1 + 60));
    assert_eq!(
        asked("old").await,
        (100, 40, 1 + 100 + 1),
        "an artifact that was deployed later is read once"
    );
    for (parameters, calls) in [
        (vec![("image", "reg/app"), ("envName", "env-70")], 3),
        (vec![("image", "reg/app"), ("envName", "env-7"), ("namespace", "n")], 2),
    ] {
        let before = proxy.total();
        assert_eq!(get(&proxied, &parameters).await.status, 200);
        assert_eq!(proxy.total() - before, calls, "{parameters:?}");
    }
    // Preview environments, of which there are many.
    put(&tables, &deployed_to("many", 200..2_000, 0)).await;
    put(&tables, &deployed_to("later", 200..1_200, 1_000)).await;
    assert_eq!(asked("many").await, (1_800, 800, 1 + 1_800 + 1));
    // A rollback: an artifact that is deployed again runs again.
    put(&tables, &deployed_to("old", 0..100, 2_000)).await;
    assert_eq!(asked("old").await, (100, 100, 1 + 100));
}

/// `WALK_DEPLOYS` and `WALK_ENDED` say how many deploys there were, and how many namespaces ended.
#[tokio::test]
async fn a_step_through_an_environment_takes_few_calls_whatever_was_deployed_there_before() {
    let tables = Tables::empty().await;
    let deploys = number_of("WALK_DEPLOYS", 100);
    let deploy = |kind: &str, env_name: &str, namespace: String, time: u64| json!({"type": kind, "env_name": env_name, "namespace": namespace, "created_time": BEGIN + time});
    for repository in ["reg/a", "reg/b"] {
        for number in 0..deploys {
            let id = format!("{}-{number}", &repository[4..]);
            let mut record = artifact(&id, &format!("{repository}:{number}"), "", BEGIN + number);
            record["activities"] = json!([deploy("deploy", "prod", "shop".to_owned(), number)]);
            put(&tables, &record).await;
        }
    }
    // Preview environments: each was deployed to, and then ended.
    for (id, repository, namespaces, ends) in
        [("ended", "reg/m", number_of("WALK_ENDED", 500), true), ("runs", "reg/z", 2, false)]
    {
        let mut record = artifact(id, &format!("{repository}:1"), "", BEGIN);
        let pr = |number| format!("pr-{number:06}");
        let mut activities: Vec<_> =
            (0..namespaces).map(|number| deploy("deploy", "preview", pr(number), 1)).collect();
        if ends {
            activities.extend((0..namespaces).map(|number| deploy("undeploy", "preview", pr(number), 2)));
        }
        record["activities"] = activities.into();
        put(&tables, &record).await;
    }
    let proxy = FaultyProxy::start(&tables.endpoint_url, |_, _| Fault::Meter).await;
    let proxied = tables.through(&proxy.endpoint_url);
    let (mut query, mut met) = (Some("envName=prod".to_owned()), Vec::new());
    while let Some(asked) = query {
        let before = proxy.total();
        let answer = proxied.get(GetArtifact, &asked).await;
        assert_eq!(proxy.total() - before, 3, "{asked}");
        met.push(id(&answer).unwrap());
        query = answer.next_query();
    }
    assert_eq!(met, [format!("a-{}", deploys - 1), format!("b-{}", deploys - 1)]);
    let (mut query, mut met, mut steps) = (Some("envName=preview".to_owned()), Vec::new(), 0);
    while let Some(asked) = query {
        let before = proxy.total();
        let answer = proxied.get(GetArtifact, &asked).await;
        assert!(proxy.total() - before <= 6, "{asked}: {}", proxy.total() - before);
        steps += 1;
        met.extend(id(&answer));
        query = answer.next_query();
    }
    assert_eq!((met, steps), (vec!["runs".to_owned(), "runs".to_owned()], 2));
}

#[tokio::test]
async fn a_commit_of_a_repository_takes_two_calls_however_many_a_fork_built_of_it() {
    let tables = Tables::empty().await;
    let built = |id: String, owner: &str, time: u64| {
        let commit = json!({"repo_owner": owner, "repo_name": "zadig", "commit_id": COMMITS[0]});
        json!({"id": id, "created_time": BEGIN + time, "activities": [{"type": "build", "commits": [commit]}]})
    };
    put(&tables, &built("upstream".to_owned(), "koderover", 0)).await;
    for number in 0..250 {
        put(&tables, &built(format!("fork-{number}"), "fork", 1 + number)).await;
    }
    let proxy = FaultyProxy::start(&tables.endpoint_url, |_, _| Fault::None).await;
    let proxied = tables.through(&proxy.endpoint_url);
    let answer = get(&proxied, &[("commit", COMMITS[0]), ("repo", "koderover/zadig")]).await;
    assert_eq!((id(&answer).as_deref(), proxy.total()), (Some("upstream"), 2));
}

#[tokio::test]
async fn a_recorded_deploy_changes_only_the_entries_of_its_environment() {
    let tables = Tables::empty().await;
    put(&tables, &deployed_to("a", 0..100, 0)).await;
    let before = dump(&tables).await;
    put(&tables, &deployed_to("a", 0..101, 0)).await;
    let after = dump(&tables).await;
    // The item, the entry of the environment, and the last deploy there.
    assert_eq!((after.difference(&before).count(), before.difference(&after).count()), (3, 1));
}

#[tokio::test]
async fn an_artifact_that_is_written_in_steps_leaves_nothing_behind() {
    let tables = Tables::empty().await;
    put(&tables, &deployed_to("a", 0..150, 0)).await;
    put(&tables, &deployed_to("a", 100..300, 500)).await;
    let fresh = Tables::empty().await;
    put(&fresh, &deployed_to("a", 100..300, 500)).await;
    assert_eq!(dump(&tables).await, dump(&fresh).await);
    let answer = get(&tables, &[("image", "reg/app"), ("envName", "env-299")]).await;
    assert_eq!(id(&answer).as_deref(), Some("a"));
    assert_eq!(get(&tables, &[("image", "reg/app"), ("envName", "env-99")]).await.status, 404);
}

#[tokio::test]
async fn an_artifact_whose_writers_were_killed_at_several_places_can_be_written_again() {
    let tables = Tables::empty().await;
    put(&tables, &deployed_to("a", 0..2, 0)).await;
    // None of these writers comes to its commit.
    let proxy = FaultyProxy::start(&tables.endpoint_url, |operation, _| match operation {
        "BatchWriteItem" => Fault::Refuse("ValidationException"),
        _ => Fault::None,
    })
    .await;
    let killed = tables.through(&proxy.endpoint_url);
    for (created_time, environments) in [(BEGIN + 1, 0..150), (BEGIN + 2, 0..150), (BEGIN + 1, 0..151)] {
        let mut record = deployed_to("a", environments, 0);
        record["created_time"] = json!(created_time);
        let written = killed.writer.put_artifact(&packed(&record), Mode::Write, KeepRecorded::Yes).await;
        assert!(written.is_err(), "{written:?}");
    }
    let mut moved = deployed_to("a", 0..3, 0);
    moved["created_time"] = json!(BEGIN + 3);
    put(&tables, &moved).await;
    let fresh = Tables::empty().await;
    put(&fresh, &moved).await;
    assert_eq!(dump(&tables).await, dump(&fresh).await);
}

#[tokio::test]
async fn reindexing_writes_missing_entries_and_removes_those_that_no_artifact_lists() {
    let tables = Tables::empty().await;
    put(&tables, &deployed_to("a", 0..3, 0)).await;
    let whole = dump(&tables).await;
    let items = tables.items(&tables.names.artifacts).await;
    let is_entry = |item: &HashMap<_, AttributeValue>| item["entry"].as_s().unwrap().starts_with("found-by#");
    let mut item = items.into_iter().find(is_entry).unwrap();
    tables.delete_item(&tables.names.artifacts, item.clone()).await;
    item.insert(
        "entry".to_owned(),
        AttributeValue::S("found-by#0123456789abcdef#0123456789abcdef".to_owned()),
    );
    tables.put_item(&tables.names.artifacts, item).await;
    assert_ne!(dump(&tables).await, whole);
    let entries: Vec<_> = tables.writer.artifact_entries().try_collect().await.unwrap();
    for entry in entries {
        tables.writer.mend_artifact_entry(&entry, Mode::Write).await.unwrap();
    }
    assert_eq!(dump(&tables).await, whole);
}

#[tokio::test]
async fn an_image_that_looks_like_an_entry_of_the_index_is_never_taken_for_one() {
    let tables = Tables::empty().await;
    let mut built = artifact("1", "reg/a:1", "", 1);
    built["activities"] = json!([{"type": "build", "commits": [{"commit_id": "4b15c43"}]}]);
    let strange = artifact("2", "#commit=4b15c43", "", 2);
    tables.import(&lines([&built, &strange])).await;
    assert_eq!(id(&get(&tables, &[("commit", "4b15c43")]).await).as_deref(), Some("1"));
    assert_eq!(id(&get(&tables, &[("image", "#commit=4b15c43")]).await).as_deref(), Some("2"));
    assert_eq!(get(&tables, &[("image", "##commit=4b15c43")]).await.status, 404);
}

#[tokio::test]
async fn names_that_mean_the_same_to_container_engines_meet() {
    let tables = Tables::empty().await;
    let digest = |letter: &str| format!("sha256:{}", letter.repeat(64));
    let deployed = |mut record: Value| {
        record["activities"] = json!([{"type": "deploy", "env_name": "prod", "created_time": BEGIN}]);
        record
    };
    let pinned = artifact("pinned", &format!("reg.example.com/pin/app:1@{}", digest("a")), "", 1);
    let on_the_hub = artifact("hub", "docker.io/acme/x:1", &digest("b"), 1);
    let official = artifact("official", "nginx:1", &digest("c"), 1);
    let records = [pinned, deployed(on_the_hub), deployed(official)];
    tables.import(&lines(&records)).await;
    for (record, names) in records.iter().zip([
        vec![
            "reg.example.com/pin/app:1".to_owned(),
            digest("a"),
            format!("reg.example.com/pin/app@{}", digest("a")),
        ],
        vec![
            "acme/x:1".to_owned(),
            "index.docker.io/acme/x:1".to_owned(),
            "docker-pullable://acme/x:1".to_owned(),
            format!("docker-pullable://docker.io/acme/x@{}", digest("b")),
            format!("acme/x:2@{}", digest("b")),
        ],
        vec![
            "docker.io/library/nginx:1".to_owned(),
            "library/nginx:1".to_owned(),
            "docker://nginx:1".to_owned(),
        ],
    ]) {
        for name in names {
            let answer = get(&tables, &[("image", &name)]).await;
            assert_eq!(
                (id(&answer).as_deref(), &answer.json()["image"]),
                (record["id"].as_str(), &record["image"]),
                "{name}"
            );
        }
    }
    for (repository, wanted) in [
        ("acme/x", "hub"),
        ("docker.io/acme/x", "hub"),
        ("oci://index.docker.io/acme/x", "hub"),
        ("docker.io/library/nginx", "official"),
        ("nginx", "official"),
    ] {
        let answer = get(&tables, &[("image", repository), ("envName", "prod")]).await;
        assert_eq!(id(&answer).as_deref(), Some(wanted), "{repository}");
    }
    for other in ["reg.example.com/acme/x:1", "docker.io.example.com/acme/x:1", "library/acme/x:1"] {
        assert_eq!(get(&tables, &[("image", other)]).await.status, 404, "{other}");
    }
}
