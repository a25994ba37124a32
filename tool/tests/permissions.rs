//! Every command does to the tables just what the documentation says that it must be allowed to do.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

use crate::record::{actions, listening_proxy};
use crate::running::{run, tool};
use crate::support::faulty::{Fault, FaultyProxy};
use crate::support::{Tables, artifact, deploy, incompressible, lines, release};

const IMAGE: &str = "registry.example.com/cart:1";
/// That of the records' second version.
const DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000002";

/// The actions of a command from the table in the documentation, in the words of `actions`.
pub(crate) fn documented(command: &str, tables: &Tables) -> BTreeSet<String> {
    let page = include_str!("../../docs/operating.md").split("## Permissions").nth(1).unwrap();
    let row = format!("| `{command}` |");
    let row = page.lines().find_map(|line| line.strip_prefix(&row)).expect(command);
    let (releases, artifacts) = (&tables.names.releases, &tables.names.artifacts);
    let places = [
        releases.clone(),
        artifacts.clone(),
        format!("{releases}/by_facet"),
        format!("{artifacts}/by_image"),
    ];
    let cells = row.trim_end_matches('|').split('|');
    let mut allowed = BTreeSet::new();
    for (cell, place) in cells.zip(places) {
        let actions = cell.split(',').map(str::trim).filter(|action| !action.is_empty());
        allowed.extend(actions.map(|action| format!("{} {place}", action.to_lowercase())));
    }
    allowed
}

/// Runs commands, and tells what they did to the tables.
async fn done(tables: &Tables, runs: &[&[&str]], writes_per_transaction: &str) -> BTreeSet<String> {
    let (endpoint_url, sent) = listening_proxy(tables.endpoint_url.clone()).await;
    for arguments in runs {
        let mut command = tool(&tables.through(&endpoint_url).environment(), arguments);
        command.env("DYNAMODB_TRANSACTION_WRITES", writes_per_transaction);
        let ran = run(command).await;
        // `verify` ends with 1, since something differs, and a question for what is not there with 3.
        assert!(matches!(ran.status, Some(0 | 1 | 3)), "{arguments:?}: {ran:?}");
    }
    let sent = sent.lock().unwrap().concat();
    actions(&String::from_utf8_lossy(&sent))
}

/// A release with many services and an artifact with parts, both of which change with `version`, and an
/// artifact without parts.
fn records(version: u64) -> String {
    let mut large = release("r1", 1);
    large["deployInfo"] =
        (0..20).map(|number| deploy("r1", &format!("s{version}-{number}"))).collect::<Vec<_>>().into();
    large["deployInfo"][0]["yamlContents"] = json!([incompressible(600_000, version)]);
    let mut cart = artifact("a1", IMAGE, &format!("sha256:{version:064x}"), version);
    cart["activities"] = json!([{ "type": "build", "content": incompressible(600_000, version) }]);
    lines([&large, &cart, &artifact("a2", "registry.example.com/basket:1", "", 1)])
}

fn deleted() -> Value {
    let mut deleted = release("r1", 1);
    deleted["versionInfo"]["deleted_at"] = 1.into();
    deleted
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documentation_names_every_action_of_a_command_and_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (first, second) = (write("first.jsonl", &records(1)), write("second.jsonl", &records(2)));
    let gone = write("gone.jsonl", &deleted().to_string());
    let create: &[&str] = &["tables", "create"];
    let missing = Tables::missing();
    assert_eq!(done(&missing, &[create], "100").await, documented("tables create", &missing));

    let tables = Tables::empty().await;
    let deploy: &[&str] = &["record", "deploy", "--image", IMAGE, "--env", "prod"];
    // A deploy makes an artifact, which gives way to an imported one. An export holds such artifacts too.
    let by_digest = format!("registry.example.com/mug@{DIGEST}");
    let by_digest: &[&str] = &["record", "deploy", "--image", &by_digest, "--env", "prod"];
    done(&tables, &[deploy, by_digest], "100").await;
    let exported = run(tool(&tables.environment(), &["export", "--artifacts"])).await;
    let stand_ins = write("stand-ins.jsonl", &exported.out);
    let mut imported = BTreeSet::new();
    for writes in ["100", "2"] {
        let imports: [&[&str]; 7] = [
            &["import", &stand_ins],
            &["import", "--dry-run", &first],
            &["import", &first],
            &["import", &first],
            &["import", "--rewrite", &second],
            &["import", "--drop-recorded", &first],
            &["import", &gone],
        ];
        imported.extend(done(&tables, &imports, writes).await);
    }
    assert_eq!(imported, documented("import", &tables));

    done(&tables, &[&["import", &second], deploy], "100").await;
    assert_eq!(
        done(&tables, &[&["verify", &second], &["verify", &first]], "100").await,
        documented("verify", &tables)
    );
    let releases: [&[&str]; 2] = [&["releases"], &["releases", "--image", IMAGE, "--project", "p"]];
    assert_eq!(done(&tables, &releases, "100").await, documented("releases", &tables));
    let diff: &[&str] = &["diff", "--project", "p", "v-r1", "v-r1"];
    assert_eq!(done(&tables, &[diff], "100").await, documented("diff", &tables));
    let artifacts: [&[&str]; 3] =
        [&["artifact", IMAGE, "--environments"], &["artifact", DIGEST], &["artifact", "--commit", "4b15c43"]];
    assert_eq!(done(&tables, &artifacts, "100").await, documented("artifact", &tables));
    let exports: [&[&str]; 4] = [
        &["export"],
        &["export", "--project", "p"],
        &["export", "--image", IMAGE],
        &["export", "--image", DIGEST],
    ];
    assert_eq!(done(&tables, &exports, "100").await, documented("export", &tables));

    // The newest artifact is asked for by its digest, or by its image where that has a tag.
    let mut looked = done(&tables, &[&["doctor"]], "100").await;
    done(
        &tables,
        &[&["record", "deploy", "--image", "registry.example.com/plate:1", "--env", "prod"]],
        "100",
    )
    .await;
    looked.extend(done(&tables, &[&["doctor"]], "100").await);
    assert_eq!(looked, documented("doctor", &tables));

    let mut mended = BTreeSet::new();
    for writes in ["100", "2"] {
        spoil(&tables).await;
        mended.extend(done(&tables, &[&["reindex", "--dry-run"], &["reindex"], &["reindex"]], writes).await);
    }
    assert_eq!(mended, documented("reindex", &tables));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_call_names_its_table_and_ends_with_dynamodbs_words_which_name_the_action() {
    let tables = Tables::empty().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("first.jsonl");
    std::fs::write(&file, records(1)).unwrap();
    let proxy = FaultyProxy::start(&tables.endpoint_url, |operation, _| match operation {
        "TransactWriteItems" => Fault::Refuse("AccessDeniedException"),
        _ => Fault::None,
    })
    .await;
    let import =
        tool(&tables.through(&proxy.endpoint_url).environment(), &["import", file.to_str().unwrap()]);
    let ran = run(import).await;
    assert_eq!(ran.status, Some(1), "{ran:?}");
    let denied = format!("access to table {:?} is denied: ", tables.names.releases);
    let words = ran.err.lines().find_map(|line| Some(line.split_once(&denied)?.1));
    assert!(
        words.is_some_and(|words| words.contains("AccessDeniedException") && words.contains("made up")),
        "{ran:?}"
    );
}

/// Removes facet entries and pointers, and adds parts of records that do not exist.
async fn spoil(tables: &Tables) {
    for (table, hash) in [(&tables.names.releases, "release_id"), (&tables.names.artifacts, "image_digest")] {
        let mut pages = tables.client.scan().table_name(table).into_paginator().items().send();
        while let Some(mut item) = pages.try_next().await.unwrap() {
            let entry = item["entry"].as_s().unwrap().clone();
            if entry.starts_with("part#") {
                // A part of a record that does not exist: of a release by its hash key, of an artifact by its
                // entry.
                let name = if hash == "release_id" { hash } else { "entry" };
                item.insert(name.to_owned(), AttributeValue::S(entry.replace("#a1#", "#gone#")));
                tables.put_item(table, item).await;
            } else if entry.starts_with("facet#") || entry == "pointer" {
                item.retain(|name, _| name == hash || name == "entry");
                tables.client.delete_item().table_name(table).set_key(Some(item)).send().await.unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_of_an_end_in_steps_needs_what_is_documented() {
    let tables = Tables::empty().await;
    let directory = tempfile::tempdir().unwrap();
    let mut cart = artifact("a1", IMAGE, "", 1);
    let commit =
        |number| json!({"commit_id": format!("{number:07x}{:033}", 0), "repo_owner": "o", "repo_name": "n"});
    let commits: Vec<_> = (0..60).map(commit).collect();
    cart["activities"] = json!([
        {"type": "build", "commits": commits, "created_time": 1},
        {"type": "deploy", "env_name": "prod", "created_time": 2},
        {"type": "undeploy", "env_name": "prod", "created_time": 3},
    ]);
    let file = directory.path().join("many.json");
    std::fs::write(&file, cart.to_string()).unwrap();
    let did = done(&tables, &[&["import", file.to_str().unwrap()]], "100").await;
    let undocumented: Vec<_> = did.difference(&documented("import", &tables)).cloned().collect();
    assert!(undocumented.is_empty(), "120 entries and an end: {undocumented:?}");
}

#[test]
fn every_command_that_reads_or_writes_tables_has_its_row() {
    let page = include_str!("../../docs/operating.md").split("## Permissions").nth(1).unwrap();
    assert!(page.contains("| `environment` |"), "`environment` has no row in the table of permissions");
}
