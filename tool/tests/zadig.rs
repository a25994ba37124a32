//! Zadig's collections, dumped and exported, imported by the real tool.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use bson::doc;
use delivery_center::endpoint::Endpoint;
use serde_json::{Value, json};

use crate::running::{run_on, tool};
use crate::support::Tables;
use crate::support::faulty::{Fault, FaultyProxy, KeysPass};
use crate::zadig_collections::{
    Dump, REFERENCE_ARTIFACT, REFERENCE_RELEASE, made_id, reference, shop, write_bson, write_bson_gz,
    write_json,
};
use crate::zadig_server::{Zadig, import, serve};

/// A report's last line, and with it all lines of each outcome as a list.
pub(crate) fn report(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap();
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut report = lines.pop().unwrap();
    for line in lines {
        let outcome = line["outcome"].as_str().unwrap().to_owned();
        if report[&outcome].is_null() {
            report[&outcome] = Value::Array(Vec::new());
        }
        report[&outcome].as_array_mut().unwrap().push(line);
    }
    report
}

/// Asserts that every record is counted once: `read` is the sum of what became of the records.
pub(crate) fn assert_adds_up(report: &Value) {
    for (name, counts) in report["collections"].as_object().unwrap() {
        let count = |what: &str| counts[what].as_u64().unwrap();
        let fates = [
            "stored",
            "unchanged",
            "differing",
            "deleted",
            "refused",
            "held_back",
            "orphaned",
            "repeated",
            "same_release",
        ];
        assert_eq!(count("read"), fates.into_iter().map(count).sum::<u64>(), "{name}: {counts}");
    }
}

pub(crate) fn counts(report: &Value, collection: &str) -> BTreeMap<String, u64> {
    let counts = report["collections"][collection].as_object().unwrap().iter();
    counts
        .filter_map(|(name, count)| Some((name.clone(), count.as_u64().filter(|count| *count > 0)?)))
        .collect()
}

pub(crate) fn expected(counts: &[(&str, u64)]) -> BTreeMap<String, u64> {
    counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

async fn answered(tables: &Tables, endpoint: Endpoint, event: &str) -> String {
    let answer = tables.invoke(endpoint, &serde_json::from_str(event).unwrap()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

async fn answers(tables: &Tables) -> [String; 2] {
    let releases = include_str!("../../events/list-releases/all.json");
    let artifact = include_str!("../../events/get-artifact/by-tag.json");
    [
        answered(tables, Endpoint::ListReleases, releases).await,
        answered(tables, Endpoint::GetArtifact, artifact).await,
    ]
}

#[tokio::test]
async fn the_reference_samples_are_imported_alike_from_every_kind_of_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let given = |name: &str| path(name).to_str().unwrap().to_owned();
    fs::create_dir(path("page")).unwrap();
    fs::write(path("page/releases.json"), REFERENCE_RELEASE).unwrap();
    // This file is named after a collection, but holds the API's own JSON.
    fs::write(path("page/artifact.json"), REFERENCE_ARTIFACT).unwrap();
    write_bson(&path("bson/zadig"), &reference());
    write_bson(&path("bson/admin"), &BTreeMap::from([("system.users", vec![doc! { "_id": 1 }])]));
    write_bson_gz(&path("gzip"), &reference());
    write_json(&path("relaxed"), &reference(), false, false);
    write_json(&path("canonical"), &reference(), true, true);
    let exported = ["delivery_version", "delivery_deploy", "artifact", "activity"];
    let exported: Vec<_> = exported.iter().map(|name| given(&format!("relaxed/{name}.json"))).collect();
    let sources = [
        vec![given("page/releases.json"), given("page/artifact.json")],
        vec![given("bson")],
        vec![given("bson/zadig")],
        vec![given("gzip")],
        exported,
        vec![given("canonical")],
    ];
    let mut first = None;
    for source in sources {
        let tables = Tables::empty().await;
        let mut arguments = vec!["import"];
        arguments.extend(source.iter().map(String::as_str));
        let ran = run_on(&tables, &arguments).await;
        assert_eq!(ran.status, Some(0), "{source:?}: {ran:?}");
        let found = (tables.dump_both().await, answers(&tables).await);
        let compact = |text: &str| -> String {
            text.lines().map(|line| line.trim_start().replacen("\": ", "\":", 1)).collect()
        };
        assert_eq!(found.1[0], compact(REFERENCE_RELEASE), "{source:?}");
        assert_eq!(found.1[1], compact(REFERENCE_ARTIFACT), "{source:?}");
        assert_eq!(first.get_or_insert_with(|| found.clone()), &found, "{source:?}");
        let again = run_on(&tables, &arguments).await;
        assert!(again.status == Some(0) && !again.out.contains("stored  "), "{again:?}");
    }
}

#[tokio::test]
async fn both_shapes_load_and_what_is_secret_does_not() {
    let (tables, directory) = (Tables::empty().await, tempfile::tempdir().unwrap());
    write_bson(directory.path(), &shop(4));
    let (dump, path) = (directory.path().to_str().unwrap(), directory.path().join("report"));
    let ran = run_on(&tables, &["import", dump, "--report", path.to_str().unwrap()]).await;
    assert_eq!(ran.status, Some(0), "{ran:?}");
    let report = report(&path);
    assert_adds_up(&report);
    assert_eq!(counts(&report, "delivery_version"), expected(&[("read", 4), ("stored", 4)]));
    assert_eq!(
        counts(&report, "delivery_build"),
        expected(&[("read", 4), ("stored", 4), ("credentials_dropped", 12)])
    );
    assert_eq!(
        counts(&report, "activity"),
        expected(&[("read", 8), ("stored", 8), ("credentials_dropped", 8)])
    );
    let body = tables.get(Endpoint::ListReleases, "").await.body;
    assert!(!body.contains("SECRET") && !body.contains("never shown"), "{body}");
    let releases: Value = serde_json::from_str(&body).unwrap();
    let newest = &releases[0];
    assert_eq!(newest["versionInfo"]["workflowDisplayName"], "Release");
    assert!(releases[1]["versionInfo"].get("workflowDisplayName").is_none());
    assert_eq!(newest["deployInfo"][0]["serviceName"], "service-0/main");
    assert_eq!(newest["testInfo"][0]["testReports"][0]["testSuite"]["time"], 1);
    let distributed = newest["distributeInfo"].as_array().unwrap();
    assert_eq!(distributed.len(), 1);
    assert_eq!(distributed[0]["distributeType"], "chart");
    assert_eq!(distributed[0]["subDistributes"][0]["distributeType"], "image");
    let items = format!("{:?}", tables.dump_both().await);
    assert!(!items.contains("SECRET") && !ran.out.contains("SECRET") && !ran.err.contains("SECRET"));
}

/// They are counted under the collection, which shows that they were dropped before the collections are
/// joined in a file on disk.
#[tokio::test]
async fn credentials_in_any_part_of_a_build_or_an_activity_are_dropped_as_it_is_read() {
    let (tables, directory) = (Tables::empty().await, tempfile::tempdir().unwrap());
    let mut dump = shop(1);
    let secrets =
        doc! { "username": "SECRET-5", "history": [{ "ssh_key": "SECRET-6", "oauth_token": "SECRET-7" }] };
    for collection in ["delivery_build", "activity"] {
        dump.get_mut(collection).unwrap()[0].insert("issues", secrets.clone());
    }
    write_bson(directory.path(), &dump);
    let (given, path) = (directory.path().to_str().unwrap(), directory.path().join("report"));
    let ran = run_on(&tables, &["import", given, "--report", path.to_str().unwrap()]).await;
    assert!(ran.status == Some(0) && ran.out.contains("credentials dropped"), "{ran:?}");
    let report = report(&path);
    let dropped = |collection: &str| counts(&report, collection).get("credentials_dropped").copied();
    assert_eq!(dropped("delivery_build"), Some(6), "{report}");
    assert_eq!(dropped("activity"), Some(5), "{report}");
    assert_eq!((dropped("delivery_version"), dropped("artifact")), (None, None), "{report}");
    let items = format!("{:?}", tables.dump_both().await);
    let answers = [
        tables.get(Endpoint::ListReleases, "").await.body,
        tables.get(Endpoint::GetArtifact, "image=registry/cart:0").await.body,
    ];
    assert!(answers[1].contains("history"), "{answers:?}");
    assert!(!items.contains("SECRET") && !answers.concat().contains("SECRET"));
}

/// A URL with a password and with everything that stays, and what is stored of it.
const URL: &str = "https://u:SECRET@host.example.com/a/@b?page=1&to=c@d#e@f";
const STORED_URL: &str = "https://host.example.com/a/@b?page=1&to=c@d#e@f";

/// A release and an artifact in the API's JSON, and the same as Zadig's database holds them. All fields that
/// are URLs hold one: seven of the release, and nine of the artifact.
fn records_with_urls() -> (Value, Value, Dump) {
    let id = |number| made_id(number, 1).to_string();
    let release = json!({
        "versionInfo": { "id": id(1), "version": "1", "desc": "see https://u:stays@host" },
        "buildInfo": [{
            "id": id(2), "commits": [{ "address": URL }], "issues": [{ "url": URL }],
            "packageInfo": { "packageFileLocation": URL, "packageStorageUri": URL },
        }],
        "distributeInfo": [{ "id": id(5), "remoteFileKey": URL, "destStorageUrl": URL, "srcStorageUrl": URL }],
    });
    let activity = json!({
        "url": URL, "commits": [{ "address": URL }], "publish_hosts": [URL], "remote_file_key": URL,
        "dist_storage_url": URL, "src_storage_url": URL, "created_time": 5,
    });
    let about = json!({ "id": id(6), "image": "registry/cart:1", "package_file_location": URL, "package_storage_uri": URL });
    let mut artifact = about.clone();
    artifact["layers"] = json!([{ "urls": [URL] }]);
    artifact["activities"] = json!([activity]);
    let dump = Dump::from([
        (
            "delivery_version",
            vec![doc! { "_id": made_id(1, 1), "version": "1", "desc": "see https://u:stays@host" }],
        ),
        (
            "delivery_build",
            vec![doc! {
                "_id": made_id(2, 1), "release_id": made_id(1, 1), "commits": [{ "address": URL }], "issues": [{ "url": URL }],
                "package_info": { "package_file_location": URL, "package_storage_uri": URL },
            }],
        ),
        (
            "delivery_distribute",
            vec![doc! {
                "_id": made_id(5, 1), "release_id": made_id(1, 1), "remote_file_key": URL, "dest_storage_url": URL,
                "src_storage_url": URL,
            }],
        ),
        (
            "artifact",
            vec![doc! {
                "_id": made_id(6, 1), "image": "registry/cart:1", "package_file_location": URL, "package_storage_uri": URL, "layers": [{ "urls": [URL] }],
            }],
        ),
        (
            "activity",
            vec![doc! {
                "_id": made_id(7, 1), "artifact_id": made_id(6, 1), "url": URL, "commits": [{ "address": URL }],
                "publish_hosts": [URL], "remote_file_key": URL, "dist_storage_url": URL, "src_storage_url": URL,
                "created_time": 5_i64,
            }],
        ),
    ]);
    (release, artifact, dump)
}

#[tokio::test]
async fn of_the_urls_of_every_source_the_user_info_is_left_out_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (release, artifact, dump) = records_with_urls();
    fs::write(path("api.jsonl"), format!("{release}\n{artifact}\n")).unwrap();
    write_bson(&directory.path().join("dump"), &dump);
    write_json(&directory.path().join("exported"), &dump, false, false);
    let (_, url) = serve(Zadig::new(vec![release], vec![artifact])).await;
    for source in [path("api.jsonl"), path("dump"), path("exported"), url] {
        let (tables, report_path) = (Tables::empty().await, path("report"));
        let ran = if source.starts_with("http") {
            import(&tables, &source, &["--report", &report_path]).await
        } else {
            run_on(&tables, &["import", &source, "--report", &report_path]).await
        };
        assert_eq!(ran.status, Some(0), "{source}: {ran:?}");
        let report = report(report_path.as_ref());
        let rows = report["collections"].as_object().unwrap().values();
        let dropped: u64 = rows.map(|row| row["credentials_dropped"].as_u64().unwrap()).sum();
        assert_eq!(dropped, 16, "{source}: {report}");
        let items = format!("{:?}", tables.dump_both().await);
        let releases = tables.get(Endpoint::ListReleases, "").await.body;
        let artifact = tables.get(Endpoint::GetArtifact, "image=registry/cart:1").await.body;
        assert!(
            !format!("{items}{releases}{artifact}").contains("SECRET"),
            "{source}: {releases} {artifact}"
        );
        // An answer has an activity twice.
        let stored =
            [&releases, &artifact].map(|answer| answer.matches(&format!("\"{STORED_URL}\"")).count());
        assert_eq!(stored, [7, 3 + 2 * 6], "{source}: {releases} {artifact}");
        assert!(releases.contains("u:stays@host"), "a text is no URL: {releases}");
        if source.ends_with("api.jsonl") {
            assert!(
                ran.out.contains("credentials found in builds, activities and URLs, and left out: 16"),
                "{ran:?}"
            );
        }
    }
}

#[tokio::test]
async fn broken_orphaned_repeated_and_deleted_records_are_each_told_apart() {
    let (tables, directory) = (Tables::empty().await, tempfile::tempdir().unwrap());
    let mut dump = shop(6);
    let change = |dump: &mut Dump, name: &str, index: usize, fields| {
        dump.get_mut(name).unwrap()[index].extend(fields);
    };
    // A deleted release takes its live records with it; a deleted deploy goes alone.
    change(&mut dump, "delivery_version", 0, doc! { "deleted_at": 5_i64 });
    change(&mut dump, "delivery_deploy", 4, doc! { "deleted_at": 5_i64 });
    change(&mut dump, "delivery_version", 2, doc! { "task_id": "many" });
    // Its release is not in the dump.
    change(&mut dump, "delivery_test", 3, doc! { "release_id": made_id(9, 9) });
    // It does not say to which release it belongs.
    change(&mut dump, "activity", 11, doc! { "artifact_id": bson::Bson::Null });
    let version =
        doc! { "_id": made_id(1, 5), "version": "the last one stays", "created_at": 1_700_000_005_i64 };
    dump.get_mut("delivery_version").unwrap().push(version);
    dump.get_mut("artifact").unwrap().push(doc! { "_id": 7_i32 });
    for documents in dump.values_mut() {
        documents.reverse();
    }
    dump.get_mut("delivery_version").unwrap().swap(0, 1);
    write_bson(directory.path(), &dump);
    let (dump, path) = (directory.path().to_str().unwrap(), directory.path().join("report"));
    let arguments = ["import", dump, "--report", path.to_str().unwrap()];
    let ran = run_on(&tables, &arguments).await;
    assert_eq!(ran.status, Some(1), "{ran:?}");
    let report_of = |name: &str| counts(&report(&path), name);
    assert_adds_up(&report(&path));
    assert_eq!(
        report_of("delivery_version"),
        expected(&[("read", 7), ("stored", 4), ("deleted", 1), ("refused", 1), ("repeated", 1)])
    );
    assert_eq!(report_of("delivery_build")["refused"], 1);
    assert_eq!(
        report_of("delivery_deploy"),
        expected(&[("read", 18), ("stored", 11), ("deleted", 4), ("refused", 3)])
    );
    assert_eq!(report_of("delivery_test")["orphaned"], 1);
    assert_eq!(report_of("artifact"), expected(&[("read", 7), ("stored", 6), ("refused", 1)]));
    assert_eq!(report_of("activity")["refused"], 1);
    let report = report(&path);
    let reasons = report["refused"].to_string();
    for reason in
        ["$.versionInfo.taskId: expected an integer", "its _id is neither", "its artifact_id is neither"]
    {
        assert!(reasons.contains(reason), "{reasons}");
    }
    assert_eq!(report["orphaned"].as_array().unwrap().len(), 1);
    assert!(ran.err.contains("orphaned delivery_test"), "{}", ran.err);

    let before = tables.dump_both().await;
    let ran = run_on(&tables, &arguments).await;
    assert_eq!((ran.status, tables.dump_both().await == before), (Some(1), true));
    assert_eq!(self::report(&path)["collections"]["delivery_version"]["unchanged"], 4);
}

#[tokio::test]
async fn a_dry_run_says_the_same_and_writes_nothing() {
    let (tables, directory) = (Tables::empty().await, tempfile::tempdir().unwrap());
    write_json(directory.path(), &shop(3), false, true);
    let dump = directory.path().to_str().unwrap();
    let dry = run_on(&tables, &["import", "--dry-run", dump]).await;
    assert_eq!(tables.dump_both().await, [Vec::<String>::new(), Vec::new()]);
    let wet = run_on(&tables, &["import", dump]).await;
    assert_eq!(dry.out, format!("dry run, nothing was written; an import would say:\n{}", wet.out));
}

#[tokio::test]
async fn a_collection_that_is_missing_is_told() {
    let (tables, directory) = (Tables::empty().await, tempfile::tempdir().unwrap());
    let mut dump = shop(1);
    dump.remove("delivery_deploy");
    write_bson(directory.path(), &dump);
    let ran = run_on(&tables, &["import", directory.path().to_str().unwrap()]).await;
    assert!(
        ran.err.contains("no delivery_deploy is given, so the records are stored without deployInfo"),
        "{}",
        ran.err
    );
}

#[tokio::test]
async fn what_cannot_be_taken_is_refused_with_what_to_do() {
    let (tables, directory) = (Tables::empty().await, tempfile::tempdir().unwrap());
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("archive"), [0x6d, 0xe2, 0x99, 0x81, 0, 0, 0, 0]).unwrap();
    fs::write(path("versions.json"), r#"{"_id":{"$oid":"619dbaa8c528c2182225e8d9"}}"#).unwrap();
    fs::write(path("page.json"), REFERENCE_RELEASE).unwrap();
    fs::create_dir(path("empty")).unwrap();
    write_bson(Path::new(&path("dump")), &reference());
    write_bson(Path::new(&path("two/a")), &reference());
    write_bson(Path::new(&path("two/b")), &reference());
    for (sources, expected) in [
        (vec!["archive"], "mongodump --uri=mongodb://HOST --db=zadig --out=dump"),
        (vec!["versions.json"], "is not named after its collection"),
        (vec!["empty"], "holds none of Zadig's collections"),
        (vec!["two"], "give the directory of one database"),
        (vec!["dump", "page.json"], "run this once for either kind"),
    ] {
        let sources: Vec<_> = sources.into_iter().map(path).collect();
        let mut arguments = vec!["import"];
        arguments.extend(sources.iter().map(String::as_str));
        let ran = run_on(&tables, &arguments).await;
        assert_eq!(ran.status, Some(1), "{ran:?}");
        assert!(ran.err.contains(expected), "{}", ran.err);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_was_killed_anywhere_is_completed_by_running_it_again() {
    let directory = tempfile::tempdir().unwrap();
    write_bson(directory.path(), &shop(80));
    let dump = directory.path().to_str().unwrap();
    let whole = Tables::empty().await;
    let counting = FaultyProxy::start(&whole.endpoint_url, |_, _| Fault::None).await;
    assert_eq!(run_on(&whole.through(&counting.endpoint_url), &["import", dump]).await.status, Some(0));
    let (requests, expected) = (counting.total(), whole.dump_both().await);
    let killed = Tables::empty().await;
    let mut sizes = std::collections::BTreeSet::new();
    for twelfth in 1..12 {
        // Every later import goes on where the one before it was killed.
        if twelfth == 6 {
            let partial = Tables::empty().await;
            interrupt(&partial, dump, requests * twelfth / 12).await;
            assert_eq!(run_on(&partial, &["import", dump]).await.status, Some(0));
            assert_eq!(partial.dump_both().await, expected);
        }
        interrupt(&killed, dump, requests * twelfth / 12).await;
        sizes.insert(killed.dump_both().await.map(|items| items.len()).iter().sum::<usize>());
    }
    assert!(sizes.len() > 2, "no run was killed while it wrote: {sizes:?}");
    assert_eq!(run_on(&killed, &["import", dump]).await.status, Some(0));
    assert_eq!(killed.dump_both().await, expected);
    assert_eq!(run_on(&killed, &["verify", dump]).await.status, Some(0));
}

/// Runs an import, lets so many of its requests pass, and ends it with SIGKILL when it sends another one.
async fn interrupt(tables: &Tables, dump: &str, requests: u64) {
    let (proxy, mut waiting) = FaultyProxy::gated(&tables.endpoint_url, KeysPass::Together).await;
    let import = tool(&tables.through(&proxy.endpoint_url).environment(), &["import", dump]);
    let mut import = tokio::process::Command::from(import);
    let mut child = import.stdout(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    let mut passed = 0;
    loop {
        tokio::select! {
            request = waiting.recv() => {
                if passed == requests {
                    return child.kill().await.unwrap();
                }
                request.unwrap().pass().await;
                passed += 1;
            }
            // No more was left to do.
            ended = child.wait() => return assert!(ended.unwrap().success()),
        }
    }
}
