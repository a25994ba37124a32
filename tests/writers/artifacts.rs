//! What two writers may do to one artifact, or to several of one image.
//!
//! The artifacts have so many commits that their entries do not fit into a transaction of ten writes, and do
//! into one of a hundred.

use std::sync::Arc;
use std::time::Duration;

use delivery_center::endpoint::Endpoint::GetArtifact;
use delivery_center::lambda::event::answer_json;
use delivery_center::service::EndpointService;
use delivery_center_tool::facts::{Activity, ActivityKind, NamedImage, record_activity};
use delivery_center_tool::record::{Artifact, Record};
use delivery_center_tool::retries::Patience;
use delivery_center_tool::write::{KeepRecorded, Mended, Mode, PackedArtifact};
use futures_util::TryStreamExt as _;
use serde_json::{Map, Value, json};

use super::{Act, Scenario, Size};
use crate::support::{Answer, artifact, get_event, incompressible};

const ID: &str = "619dbaa8c528c2182225e8d9";
const OTHER_ID: &str = "619dbaa8c528c2182225e8da";
const TAG: &str = "registry/a:1";
const OTHER_TAG: &str = "registry/a:2";
/// A commit that every build has.
const COMMIT: &str = "c0ffee0";
/// How many commits a build has. Two entries find it by each of them.
const COMMITS: usize = 6;

const WHOLE: Size = Size { writes_per_transaction: 100, in_steps: false };
const IN_STEPS: Size = Size { writes_per_transaction: 10, in_steps: true };

/// Two writers write one artifact.
pub(super) fn of_one_artifact() -> Vec<Scenario> {
    let kept = || vec![stores(&before()), deploys(TAG, Some('0'), "dev")];
    let again = || stores(&imported(ID, "again", '0', 5));
    let moved = || stores(&imported(ID, "moved", '1', 6));
    let later = || stores(&imported(ID, "later", '0', 6));
    let elsewhere = || stores(&imported(ID, "elsewhere", '2', 7));
    let drops = || imports(&imported(ID, "dropped", '0', 5), KeepRecorded::No);
    let nowhere = |mut before: Vec<Act>| {
        before.push(loses_its_item());
        before
    };
    let prod = || deploys(TAG, None, "prod");
    let built = || builds(Some('0'), "built");
    vec![
        of("an import beside a move", kept(), [again(), moved()], &["dev"]),
        of("two moves", kept(), [moved(), elsewhere()], &["dev"]),
        of("a recording beside an import", kept(), [prod(), again()], &["dev", "prod"]),
        of("a recording beside a move", kept(), [prod(), moved()], &["dev", "prod"]),
        of("a recorded build beside a move to a later time", kept(), [built(), later()], &["dev", "built"]),
        of("two recordings", kept(), [prod(), built()], &["dev", "prod", "built"]),
        of("one fact twice", kept(), [built(), built()], &["dev", "built"]),
        of("a recording beside a drop", kept(), [prod(), drops()], &[]),
        of("a recorded fact, sent again beside a drop", kept(), [deploys(TAG, None, "dev"), drops()], &[]),
        of("a drop beside a move", kept(), [drops(), moved()], &[]),
        of("two first imports", Vec::new(), [again(), moved()], &[]),
        of(
            "two recordings over a pointer that leads nowhere",
            nowhere(vec![deploys(TAG, Some('0'), "dev")]),
            [deploys(TAG, Some('0'), "prod"), built()],
            &["prod", "built"],
        ),
        of("two imports over a pointer that leads nowhere", nowhere(kept()), [again(), moved()], &[]),
        of(
            "a fact recorded anew beside another over a pointer that leads nowhere",
            nowhere(vec![deploys(TAG, Some('0'), "dev")]),
            [deploys(TAG, Some('0'), "dev"), built()],
            &["dev", "built"],
        ),
    ]
}

/// Two writers write artifacts of one image, or record facts of it.
pub(super) fn of_one_image() -> Vec<Scenario> {
    let tag_stands_in = || vec![stands_in()];
    let digest_stands_in = || vec![deploys(&by_name('0'), None, "dev")];
    let built = || builds(Some('0'), "built");
    let pushed_again = || stores(&imported(OTHER_ID, "other", '1', 6));
    vec![
        of(
            "two first recordings of an image",
            Vec::new(),
            [deploys(TAG, Some('0'), "prod"), built()],
            &["prod", "built"],
        ),
        of(
            "a first deploy by digest beside the first build",
            Vec::new(),
            [deploys(&by_name('0'), None, "prod"), built()],
            &["prod", "built"],
        ),
        of(
            "a first deploy beside the first import",
            Vec::new(),
            [deploys(TAG, Some('0'), "prod"), stores(&before())],
            &["prod", "before"],
        ),
        of(
            "a recording on a stand-in beside an import to which it gives way",
            tag_stands_in(),
            [deploys(TAG, None, "prod"), stores(&before())],
            &["dev", "prod", "before"],
        ),
        of(
            "a recording on a stand-in beside a build to which it gives way",
            digest_stands_in(),
            [deploys(&by_name('0'), None, "prod"), built()],
            &["dev", "prod", "built"],
        ),
        of(
            "a recording on a stand-in beside a build that takes it",
            tag_stands_in(),
            [deploys(TAG, None, "prod"), built()],
            &["dev", "prod", "built"],
        ),
        of(
            "two imports that take one stand-in",
            tag_stands_in(),
            [stores(&before()), pushed_again()],
            &["dev", "before", "other"],
        ),
        of(
            "a build and an import that take one stand-in",
            tag_stands_in(),
            [built(), pushed_again()],
            &["dev", "built", "other"],
        ),
        of(
            "two builds of one image that take one stand-in",
            tag_stands_in(),
            [built(), builds(Some('0'), "rebuilt")],
            &["dev", "built", "rebuilt"],
        ),
        of(
            "builds of two images that take one stand-in",
            tag_stands_in(),
            [built(), builds(Some('1'), "rebuilt")],
            &["dev", "built", "rebuilt"],
        ),
        Scenario {
            name: "one key twice, over a tag that is pushed again",
            before: vec![stores(&before())],
            writers: [vec![with_a_key()], vec![pushed_again(), with_a_key()]],
            questions: questions(),
            facts: vec!["before", "other", "prod"],
            sizes: vec![WHOLE, IN_STEPS],
        },
        Scenario {
            name: "a key whose fact was dropped, twice, over a tag that is pushed again",
            before: vec![stores(&before()), with_a_key(), imports(&before(), KeepRecorded::No)],
            writers: [vec![with_a_key()], vec![pushed_again(), with_a_key()]],
            questions: questions(),
            facts: vec!["before", "other", "prod"],
            sizes: vec![WHOLE],
        },
    ]
}

/// Two writers change what runs in one environment.
pub(super) fn of_one_environment() -> Vec<Scenario> {
    let (a, b) = (|| built(ID, TAG, '0', "a"), || built(OTHER_ID, OTHER_TAG, '1', "b"));
    let (deploy_a, deploy_b) = (|| deploys_to_prod(TAG, '0'), || deploys_to_prod(OTHER_TAG, '1'));
    let undeploys = undeploys_from_prod;
    let ran = || image(ID, TAG, '0', json!([in_prod("deploy", 1), in_prod("undeploy", 3)]));
    let runs = || image(OTHER_ID, OTHER_TAG, '1', json!([in_prod("deploy", 2)]));
    let ended = || image(OTHER_ID, OTHER_TAG, '1', json!([in_prod("deploy", 2), in_prod("undeploy", 4)]));
    let drops = || {
        let mut record = artifact(ID, TAG, &digest('0'), 5);
        record["activities"] = build("a");
        imports(&record, KeepRecorded::No)
    };
    let scenario = in_one_environment;
    vec![
        scenario("two first deploys", vec![a(), b()], [deploy_a(), deploy_b()]),
        scenario("a deploy sent again around another", vec![a(), b(), deploy_a()], [deploy_a(), deploy_b()]),
        scenario(
            "a rollback beside a rollback",
            vec![a(), b(), deploy_a(), deploy_b()],
            [deploy_a(), deploy_b()],
        ),
        scenario("an undeploy around a deploy", vec![a(), b(), deploy_a()], [undeploys(), deploy_b()]),
        scenario("an undeploy around the same deploy", vec![a(), deploy_a()], [undeploys(), deploy_a()]),
        scenario("two undeploys", vec![a(), b(), deploy_a()], [undeploys(), undeploys()]),
        scenario("a drop beside the same deploy", vec![a(), b(), deploy_a()], [drops(), deploy_a()]),
        scenario("a drop beside an undeploy", vec![a(), deploy_a()], [drops(), undeploys()]),
        scenario("two imports of deploys, one of which had ended", Vec::new(), [ran(), runs()]),
        scenario("an import of an end beside an import without it", vec![ran(), runs()], [ended(), runs()]),
        scenario("an import without an end beside a deploy", vec![ran(), ended()], [runs(), deploy_a()]),
        scenario("a reindex beside an undeploy", vec![a(), b(), deploy_a()], [reindexes(), undeploys()]),
        Scenario {
            sizes: vec![IN_STEPS],
            ..scenario("an import of many deploys beside a deploy", vec![a(), b()], [many(true), deploy_a()])
        },
    ]
}

/// Two writers of one environment, one of which changes something else too: what the artifact stands for, where
/// it lies, or so much that it needs steps.
pub(super) fn of_an_environment_and_more() -> Vec<Scenario> {
    let (a, b) = (|| built(ID, TAG, '0', "a"), || built(OTHER_ID, OTHER_TAG, '1', "b"));
    let (deploy_a, deploy_b) = (|| deploys_to_prod(TAG, '0'), || deploys_to_prod(OTHER_TAG, '1'));
    let undeploys = undeploys_from_prod;
    let stand_in = || {
        let id = Artifact::stand_in_id(TAG, "");
        let mut record = artifact(&id, TAG, "", 3);
        record["activities"] =
            json!([{"type": "deploy", "env_name": "prod", "created_by": "ci", "created_time": 3}]);
        stores(&record)
    };
    let renamed = || image(ID, "registry/b:1", '0', json!([in_prod("deploy", 7)]));
    let ran = || image(ID, TAG, '0', json!([in_prod("deploy", 7)]));
    let moved = || image(ID, TAG, '2', json!([in_prod("deploy", 7)]));
    let scenario = in_one_environment;
    let in_steps = |scenario: Scenario| Scenario { sizes: vec![IN_STEPS], ..scenario };
    vec![
        scenario("a stand-in gives way beside an undeploy", vec![b(), stand_in()], [a(), undeploys()]),
        scenario("a stand-in gives way beside a deploy of another", vec![b(), stand_in()], [a(), deploy_b()]),
        scenario(
            "an import to another repository beside a deploy",
            vec![ran(), b()],
            [renamed(), deploy_b()],
        ),
        scenario(
            "an import to another repository beside an undeploy",
            vec![ran(), b()],
            [renamed(), undeploys()],
        ),
        scenario("a move beside an undeploy", vec![ran(), b()], [moved(), undeploys()]),
        scenario("a move beside the same deploy", vec![ran(), b()], [moved(), deploy_a()]),
        scenario("a reindex beside a deploy", vec![ran(), b()], [reindexes(), deploy_b()]),
        in_steps(scenario(
            "an import of many deploys beside an undeploy",
            vec![many(false)],
            [many(true), undeploys()],
        )),
        in_steps(scenario(
            "an import of many deploys beside a reindex",
            vec![ran(), b()],
            [many(true), reindexes()],
        )),
        in_steps(scenario(
            "an import of many deploys without an end beside an older one",
            vec![many(true), a()],
            [many(false), ran()],
        )),
    ]
}

fn in_one_environment(name: &'static str, before: Vec<Act>, writers: [Act; 2]) -> Scenario {
    let questions = ["envName=prod", "image=registry/a&envName=prod", "image=registry/b&envName=prod"];
    let questions = questions.into_iter().map(str::to_owned);
    let told = [TAG, OTHER_TAG].map(|image| format!("image={image}&include=environments"));
    let questions = questions.chain(told).map(|question| (GetArtifact, question)).collect();
    Scenario { questions, sizes: vec![WHOLE], ..of(name, before, writers, &[]) }
}

/// An import of an artifact with these activities.
fn image(id: &str, image: &str, letter: char, activities: Value) -> Act {
    let mut record = artifact(id, image, &digest(letter), 5);
    record["activities"] = activities;
    stores(&record)
}

fn build(content: &str) -> Value {
    json!([{"type": "build", "content": content, "created_time": 1}])
}

fn built(id: &str, tag: &str, letter: char, content: &str) -> Act {
    image(id, tag, letter, build(content))
}

/// A deploy that nothing tells apart.
fn deploys_to_prod(image: &str, letter: char) -> Act {
    records(activity(ActivityKind::Deploy, image, Some(letter), &json!({"env_name": "prod"})))
}

/// An undeploy of whatever runs of the repository.
fn undeploys_from_prod() -> Act {
    let mut undeploy = activity(ActivityKind::Undeploy, TAG, None, &json!({"env_name": "prod"}));
    undeploy.image = NamedImage::parse_any("registry/a", None).unwrap();
    records(undeploy)
}

fn in_prod(kind: &str, time: u64) -> Value {
    json!({"type": kind, "env_name": "prod", "content": format!("{kind} {time}"), "created_time": time})
}

/// An import of so many deploys that it needs steps; that to prod may have ended.
fn many(has_ended: bool) -> Act {
    let deploy = |number| json!({"type": "deploy", "env_name": number, "url": number, "created_time": 2});
    let mut deploys: Vec<_> = (0..COMMITS).map(|number| deploy(format!("env-{number}"))).collect();
    deploys.push(in_prod("deploy", 2));
    deploys.extend(has_ended.then(|| in_prod("undeploy", 4)));
    image(OTHER_ID, OTHER_TAG, '1', deploys.into())
}

/// Faults that this layout has, each with words of what a test says of it.
pub(super) fn known_faults() -> Vec<(Scenario, &'static str)> {
    let built = || builds(Some('0'), "built");
    vec![
        // A stand-in that was built does not give way. The build, sent again, finds the imported artifact,
        // which is newer, and is recorded once more.
        (
            of(
                "a build and an import of one image that take one stand-in",
                vec![stands_in()],
                [built(), stores(&before())],
                &["dev", "built", "before"],
            ),
            "built is there twice",
        ),
    ]
}

/// What takes long: documents that do not fit into one item, and `reindex` over many entries.
pub(super) fn larger() -> Vec<Scenario> {
    let long = |name, letter, created_time| {
        let mut record = imported(ID, name, letter, created_time);
        record["docker_file"] = incompressible(400_000, created_time).into();
        record
    };
    let kept = || vec![stores(&long("before", '0', 5)), deploys(TAG, Some('0'), "dev")];
    let moved = || stores(&long("moved", '1', 6));
    let drops = || imports(&long("dropped", '0', 5), KeepRecorded::No);
    let prod = || deploys(TAG, None, "prod");
    vec![
        of("a recording beside a move, in parts", kept(), [prod(), moved()], &["dev", "prod"]),
        of("a recording beside a drop, in parts", kept(), [prod(), drops()], &[]),
        of(
            "a look-up by tag beside a move, in parts",
            kept(),
            [finds("image=registry/a:1"), moved()],
            &["dev"],
        ),
        of(
            "a reindex beside a move of many entries",
            vec![stores(&before()), deploys(TAG, Some('0'), "dev")],
            [reindexes(), stores(&imported(ID, "moved", '1', 6))],
            &["dev"],
        ),
    ]
}

/// Somebody reads or mends an artifact beside a writer.
pub(super) fn beside_a_writer() -> Vec<Scenario> {
    let kept = || vec![stores(&before()), deploys(TAG, Some('0'), "dev")];
    let moved = || stores(&imported(ID, "moved", '1', 6));
    let with_few_entries = |mut record: Value| {
        record["activities"][0]["commits"].as_array_mut().unwrap().truncate(1);
        record
    };
    let few = || vec![stores(&with_few_entries(before())), deploys(TAG, Some('0'), "dev")];
    let moved_few = || stores(&with_few_entries(imported(ID, "moved", '1', 6)));
    let whole = |scenario: Scenario| Scenario { sizes: vec![WHOLE], ..scenario };
    // The other artifact was deployed to prod later.
    let other = |created_time| {
        let mut record = artifact(OTHER_ID, OTHER_TAG, &digest('2'), created_time);
        record["activities"] =
            json!([{"type": "deploy", "env_name": "prod", "url": "later", "created_time": 20}]);
        stores(&record)
    };
    vec![
        of(
            "where an artifact runs, asked beside a move of the one that runs there",
            vec![stores(&before()), deploys(TAG, None, "prod"), other(6)],
            [finds_none_running("image=registry/a:1&include=environments"), other(7)],
            &["before", "prod", "later"],
        ),
        of("a look-up by tag beside a move", kept(), [finds("image=registry/a:1"), moved()], &["dev"]),
        of("a look-up by commit beside a move", kept(), [finds("commit=c0ffee0"), moved()], &["dev"]),
        whole(of(
            "a reindex beside a recording",
            few(),
            [reindexes(), deploys(TAG, None, "prod")],
            &["dev", "prod"],
        )),
        whole(of("a reindex beside a move", few(), [reindexes(), moved_few()], &["dev"])),
    ]
}

fn of(name: &'static str, before: Vec<Act>, writers: [Act; 2], facts: &[&'static str]) -> Scenario {
    Scenario {
        name,
        before,
        writers: writers.map(|act| vec![act]),
        questions: questions(),
        facts: facts.to_vec(),
        sizes: vec![WHOLE, IN_STEPS],
    }
}

fn questions() -> Vec<(delivery_center::endpoint::Endpoint, String)> {
    let commit = |of: &str| format!("commit={}", commits(of)[1]["commit_id"].as_str().unwrap());
    let questions = [
        format!("image={TAG}&include=environments"),
        format!("image={}", digest('0')),
        format!("image={}", digest('1')),
        format!("image={}", by_name('0')),
        format!("commit={COMMIT}"),
        commit("before"),
        "pr=7&repo=o/n".to_owned(),
        "image=registry/a&envName=prod".to_owned(),
    ];
    questions.map(|question| (GetArtifact, question)).to_vec()
}

fn digest(letter: char) -> String {
    format!("sha256:{}", letter.to_string().repeat(64))
}

fn by_name(letter: char) -> String {
    format!("registry/a@{}", digest(letter))
}

fn before() -> Value {
    imported(ID, "before", '0', 5)
}

/// An artifact with a build, which has the artifact's name as its content.
fn imported(id: &str, name: &str, letter: char, created_time: u64) -> Value {
    let mut record = artifact(id, TAG, &digest(letter), created_time);
    record["name"] = json!(name);
    record["activities"] =
        json!([{"type": "build", "content": name, "created_time": 1, "commits": commits(name)}]);
    record
}

/// The commits of a build: one that every build has, and others of which two builds have none in common.
fn commits(build: &str) -> Vec<Value> {
    let own = |number| {
        format!("{:02x}{:02x}{number:03x}{}", build.as_bytes()[0], build.as_bytes()[1], "0".repeat(33))
    };
    let ids = std::iter::once(format!("{COMMIT}{}", "0".repeat(33))).chain((1..COMMITS).map(own));
    ids.map(|id| json!({"commit_id": id, "repo_owner": "o", "repo_name": "n", "pr": 7})).collect()
}

/// An import of the record, which keeps what pipelines recorded.
fn stores(record: &Value) -> Act {
    imports(record, KeepRecorded::Yes)
}

fn imports(record: &Value, keep: KeepRecorded) -> Act {
    let Ok(Record::Artifact(artifact)) = Record::check(record.to_string().as_bytes()) else {
        panic!("an artifact")
    };
    let packed = Arc::new(PackedArtifact::new(*artifact).unwrap());
    Arc::new(move |writer| {
        let packed = Arc::clone(&packed);
        Box::pin(async move {
            while let Err(error) = writer.put_artifact(&packed, Mode::Write, keep).await {
                assert!(error.is_unavailable(), "{error}");
            }
        })
    })
}

/// A recorded deploy, which has the environment as its URL.
fn deploys(image: &str, letter: Option<char>, environment: &'static str) -> Act {
    let fields = json!({"env_name": environment, "url": environment});
    records(activity(ActivityKind::Deploy, image, letter, &fields))
}

fn builds(letter: Option<char>, url: &'static str) -> Act {
    records(activity(ActivityKind::Build, TAG, letter, &json!({"url": url, "commits": commits(url)})))
}

fn with_a_key() -> Act {
    let fields = json!({"env_name": "prod", "url": "prod"});
    let deploy = activity(ActivityKind::Deploy, TAG, None, &fields);
    records(Activity { idempotency_key: Some("run 1".to_owned()), ..deploy })
}

fn activity(kind: ActivityKind, image: &str, letter: Option<char>, fields: &Value) -> Activity {
    Activity {
        kind,
        image: NamedImage::parse(image, letter.map(digest).as_deref()).unwrap(),
        fields: fields.as_object().unwrap().clone(),
        artifact_fields: Map::new(),
        created_by: "ci".to_owned(),
        created_time: 9,
        given_urls: Vec::new(),
        idempotency_key: None,
    }
}

fn records(activity: Activity) -> Act {
    let activity = Arc::new(activity);
    Arc::new(move |writer| {
        let activity = Arc::clone(&activity);
        Box::pin(async move {
            record_activity(&writer, &activity, &mut Patience::new(Duration::from_mins(1))).await.unwrap();
        })
    })
}

/// Makes what a deploy by tag makes of an image without a record. (A deploy would look for the record thrice,
/// and wait.)
fn stands_in() -> Act {
    let id = Artifact::stand_in_id(TAG, "");
    let mut record = artifact(&id, TAG, "", 3);
    record["activities"] =
        json!([{"type": "deploy", "env_name": "dev", "url": "dev", "created_by": "ci", "created_time": 3}]);
    stores(&record)
}

/// Removes the artifact's own item by hand, so that its pointer leads nowhere.
fn loses_its_item() -> Act {
    Arc::new(|writer| {
        Box::pin(async move {
            let (client, table) = (writer.store().client(), writer.store().artifacts_table());
            let items = client.scan().table_name(table).into_paginator().items().send();
            let items: Vec<_> = items.try_collect().await.unwrap();
            for item in items.iter().filter(|item| item["entry"].as_s().unwrap().starts_with("artifact#")) {
                let delete = client.delete_item().table_name(table);
                let delete = delete.key("image_digest", item["image_digest"].clone());
                delete.key("entry", item["entry"].clone()).send().await.unwrap();
            }
        })
    })
}

/// What `reindex` does with artifacts.
pub(super) fn reindexes() -> Act {
    Arc::new(|writer| {
        Box::pin(async move {
            let entries: Vec<_> = writer.artifact_entries().try_collect().await.unwrap();
            for entry in entries {
                loop {
                    match writer.mend_artifact_entry(&entry, Mode::Write).await {
                        Ok(Mended::Overtaken) => {}
                        Err(error) if error.is_unavailable() => {}
                        mended => break mended.map(|_| ()).unwrap(),
                    }
                }
            }
        })
    })
}

/// Asks the endpoint, which must find an artifact.
fn finds(query: &'static str) -> Act {
    asks(query, |body| !body.is_empty())
}

/// Asks the endpoint, which must find an artifact that runs nowhere.
fn finds_none_running(query: &'static str) -> Act {
    asks(query, |body| !body.contains(r#""running":true"#))
}

fn asks(query: &'static str, is_right: fn(&str) -> bool) -> Act {
    Arc::new(move |writer| {
        Box::pin(async move {
            let service = EndpointService::new(GetArtifact, writer.store().clone());
            let event = get_event(GetArtifact, query, &[]).to_string();
            let answer = Answer::from_lambda_json(&answer_json(&service, &event).await.unwrap());
            assert!(answer.status == 200 && is_right(&answer.body), "{query}: {}", answer.body);
        })
    })
}
