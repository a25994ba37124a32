//! Imports from sources that are damaged or empty: a record that could not be read whole replaces nothing.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use delivery_center::endpoint::Endpoint::{GetArtifact, ListReleases};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::running::{Ran, run, run_on, run_with_input, tool};
use crate::support::faulty::{Fault, FaultyProxy};
use crate::support::{SAMPLES, Tables, artifact, release};
use crate::zadig::{assert_adds_up, counts, expected, report};
use crate::zadig_collections::{Dump, made_id, shop, write_bson, write_bson_gz};

const RELEASES: u64 = 6;

/// Damages the file at a path.
type Damage = fn(&Path);

/// Imports a shop, and gives a newer dump in which every release and artifact has changed.
async fn imported() -> (Tables, TempDir, Dump) {
    let (tables, directory) = (Tables::empty().await, tempfile::tempdir().unwrap());
    write_bson(directory.path(), &shop(RELEASES));
    assert_eq!(import(&tables, &directory, &[]).await.status, Some(0));
    let mut newer = shop(RELEASES);
    for name in ["delivery_version", "artifact"] {
        newer
            .get_mut(name)
            .unwrap()
            .iter_mut()
            .for_each(|record| drop(record.insert("created_by", "another")));
    }
    write_bson(directory.path(), &newer);
    (tables, directory, newer)
}

async fn import(tables: &Tables, directory: &TempDir, more: &[&str]) -> Ran {
    run_on(tables, &[&["import", directory.path().to_str().unwrap()], more].concat()).await
}

async fn import_text(tables: &Tables, record: &Value, more: &[&str]) -> Ran {
    let import = tool(&tables.environment(), &[&["import", "-"], more].concat());
    run_with_input(import, &record.to_string()).await
}

fn cut(path: &Path, bytes: usize) {
    let whole = fs::read(path).unwrap();
    fs::write(path, &whole[..whole.len() - bytes]).unwrap();
}

#[tokio::test]
async fn what_depends_on_a_damaged_collection_is_held_back_and_the_rest_goes_in() {
    let damages: [(&str, Damage); 4] = [
        ("delivery_build.bson", |path| {
            let mut bytes = fs::read(path).unwrap();
            let first = usize::from(bytes[0]) + 256 * usize::from(bytes[1]);
            bytes[first..first + 4].fill(0xff);
            fs::write(path, bytes).unwrap();
        }),
        ("delivery_test.bson", |path| cut(path, 7)),
        ("delivery_deploy.bson.gz", |path| cut(path, 40)),
        ("delivery_distribute.bson.gz", |path| fs::write(path, "").unwrap()),
    ];
    for (name, damage) in damages {
        let (tables, directory, newer) = imported().await;
        if let Some(uncompressed) = name.strip_suffix(".gz") {
            fs::remove_file(directory.path().join(uncompressed)).unwrap();
            let collection = name.split('.').next().unwrap();
            let only = newer.iter().filter(|(name, _)| **name == collection);
            write_bson_gz(directory.path(), &only.map(|(name, records)| (*name, records.clone())).collect());
        }
        damage(&directory.path().join(name));
        let [releases, artifacts] = tables.dump_both().await;
        let path = directory.path().join("report.out");
        let verified = run_on(&tables, &["verify", directory.path().to_str().unwrap()]).await;
        assert_eq!(verified.status, Some(1), "{name}: {verified:?}");
        let ran = import(&tables, &directory, &["--report", path.to_str().unwrap()]).await;
        assert_eq!(ran.status, Some(1), "{name}: {ran:?}");
        assert_eq!(tables.dump(&tables.names.releases).await, releases, "{name}: releases stay as they were");
        assert_ne!(tables.dump(&tables.names.artifacts).await, artifacts, "{name}: artifacts go in");
        let collection = name.split('.').next().unwrap();
        let summary = format!("held back {RELEASES} of delivery_version");
        assert!(ran.out.contains(&summary) && ran.out.contains(name), "{name}: {}", ran.out);
        let report = report(&path);
        assert_adds_up(&report);
        assert_eq!(counts(&report, "delivery_version"), expected(&[("read", 6), ("held_back", 6)]));
        assert_eq!(counts(&report, "artifact"), expected(&[("read", 6), ("stored", 6)]));
        assert_eq!(report["held_back"].as_array().unwrap().len(), 6);
        assert_eq!(report["refused"][0]["collection"], collection);
    }
}

#[tokio::test]
async fn damaged_activities_hold_back_artifacts_and_no_release() {
    let (tables, directory, _) = imported().await;
    cut(&directory.path().join("activity.bson"), 3);
    let [releases, artifacts] = tables.dump_both().await;
    let ran = import(&tables, &directory, &[]).await;
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert_ne!(tables.dump(&tables.names.releases).await, releases);
    assert_eq!(tables.dump(&tables.names.artifacts).await, artifacts);
}

#[tokio::test]
async fn a_refused_record_holds_back_what_it_belongs_to_and_nothing_else() {
    let (tables, directory, mut newer) = imported().await;
    newer.get_mut("delivery_build").unwrap()[2].insert("_id", 7_i32);
    newer.get_mut("delivery_version").unwrap()[4].insert("_id", bson::Bson::Null);
    write_bson(directory.path(), &newer);
    let path = directory.path().join("report.out");
    let ran = import(&tables, &directory, &["--report", path.to_str().unwrap()]).await;
    assert_eq!(ran.status, Some(1), "{ran:?}");
    let report = report(&path);
    assert_adds_up(&report);
    assert_eq!(
        counts(&report, "delivery_version"),
        expected(&[("read", 6), ("stored", 4), ("refused", 1), ("held_back", 1)])
    );
    assert_eq!(report["held_back"][0]["id"], made_id(1, 2).to_hex());
}

#[tokio::test]
async fn an_empty_file_is_named_and_empties_nothing_unless_that_is_allowed() {
    let (tables, directory, _) = imported().await;
    for name in ["delivery_deploy.bson", "activity.bson"] {
        fs::write(directory.path().join(name), "").unwrap();
    }
    let before = tables.dump_both().await;
    let dry = import(&tables, &directory, &["--dry-run"]).await;
    let ran = import(&tables, &directory, &[]).await;
    assert_eq!((dry.status, ran.status), (Some(1), Some(1)), "{ran:?}");
    assert!(dry.out.ends_with(&ran.out), "{} {}", dry.out, ran.out);
    assert!(ran.err.contains("delivery_deploy.bson is empty"), "{}", ran.err);
    for held_back in ["held back 6 of delivery_version", "held back 6 of artifact", "--allow-emptying"] {
        assert!(ran.out.contains(held_back), "{}", ran.out);
    }
    assert_eq!(tables.dump_both().await, before);
    let ran = import(&tables, &directory, &["--allow-emptying"]).await;
    assert_eq!(ran.status, Some(0), "{ran:?}");
    let body = tables.get(ListReleases, "per_page=1").await.body;
    assert!(body.contains(r#""deployInfo":[]"#), "{body}");
    assert_eq!(import(&tables, &directory, &[]).await.status, Some(0), "there is nothing left to empty");
}

#[tokio::test]
async fn rows_that_the_source_marks_as_deleted_are_deleted() {
    let (tables, directory, mut newer) = imported().await;
    for deploy in newer.get_mut("delivery_deploy").unwrap().iter_mut().take(3) {
        deploy.insert("deleted_at", 9_i64);
    }
    write_bson(directory.path(), &newer);
    let ran = import(&tables, &directory, &[]).await;
    assert_eq!(ran.status, Some(0), "{ran:?}");
    let releases = tables.get(ListReleases, "").await.json();
    let emptied = releases.as_array().unwrap().iter().find(|found| found["versionInfo"]["taskId"] == 0);
    assert_eq!(emptied.unwrap()["deployInfo"], json!([]));
}

#[tokio::test]
async fn the_apis_json_does_not_empty_a_stored_section_either() {
    let tables = Tables::empty().await;
    let mut artifact = artifact("a", "registry/cart:1", "", 1);
    artifact["activities"] = json!([{ "type": "build", "created_time": 5 }]);
    for record in [&release("r", 1), &artifact] {
        assert_eq!(import_text(&tables, record, &[]).await.status, Some(0));
    }
    let deploy = ["record", "deploy", "--image", "registry/cart:1", "--env", "prod"];
    let recorded = run_on(&tables, &deploy).await;
    assert_eq!(recorded.status, Some(0), "{recorded:?}");
    let mut emptied = release("r", 1);
    emptied["deployInfo"] = json!([]);
    artifact["activities"] = json!([]);
    let before = tables.dump_both().await;
    for (record, section) in [(&emptied, "deployInfo"), (&artifact, "activities")] {
        let ran = import_text(&tables, record, &[]).await;
        assert_eq!(ran.status, Some(1), "{ran:?}");
        assert!(ran.out.contains("held back 1") && ran.out.contains(section), "{}", ran.out);
    }
    assert_eq!(tables.dump_both().await, before);
    emptied["deployInfo"] = json!([{ "serviceName": "s", "deleted_at": 7 }]);
    assert_eq!(import_text(&tables, &emptied, &[]).await.status, Some(0));
    assert_eq!(import_text(&tables, &artifact, &["--allow-emptying"]).await.status, Some(0));
    let answer = tables.get(GetArtifact, "image=registry/cart:1").await.json();
    assert_eq!(answer["activities"].as_array().unwrap().len(), 1, "what was recorded stays: {answer}");
    assert_eq!(answer["activities"][0]["type"], "deploy");
    assert_eq!(
        import_text(&tables, &artifact, &[]).await.status,
        Some(0),
        "recorded activities empty nothing"
    );
}

#[tokio::test]
async fn a_collections_name_on_something_that_is_no_file_is_reported() {
    let kinds: [(&str, Damage); 3] = [
        ("a directory", |path| fs::create_dir(path).unwrap()),
        ("a pipe", |path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success())),
        ("a link to nothing", |path| std::os::unix::fs::symlink("/no/such/file", path).unwrap()),
    ];
    let tables = Tables::empty().await;
    for (kind, make) in kinds {
        for name in ["artifact.bson", "artifact.bson.gz", "artifact.json"] {
            let directory = tempfile::tempdir().unwrap();
            let mut dump = shop(2);
            dump.remove("artifact");
            write_bson(directory.path(), &dump);
            let path = directory.path().join(name);
            make(&path);
            for source in [directory.path(), &path] {
                let arguments = ["import", source.to_str().unwrap()];
                let ran = tokio::time::timeout(Duration::from_mins(1), run_on(&tables, &arguments)).await;
                let ran = ran.unwrap();
                assert_eq!(ran.status, Some(1), "{kind}: {ran:?}");
                assert!(ran.err.contains(name), "{kind}: {}", ran.err);
            }
        }
    }
    assert_eq!(tables.dump_both().await, [Vec::<String>::new(), Vec::new()]);
}

#[tokio::test]
async fn activities_under_the_name_of_artifacts_make_no_artifacts() {
    let (tables, directory) = (Tables::empty().await, tempfile::tempdir().unwrap());
    write_bson(directory.path(), &shop(3));
    fs::copy(directory.path().join("activity.bson"), directory.path().join("artifact.bson")).unwrap();
    let ran = import(&tables, &directory, &[]).await;
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert!(ran.err.contains("it has artifact_id, so it is no document of artifact"), "{}", ran.err);
    assert_eq!(tables.dump(&tables.names.artifacts).await, Vec::<String>::new());
}

/// For every pair of collections, what is stored stays, and the field is named that shows the wrong name.
#[tokio::test]
async fn a_collection_under_the_name_of_another_is_refused_and_changes_nothing() {
    let (tables, directory) = (Tables::empty().await, tempfile::tempdir().unwrap());
    let dump = shop(2);
    write_bson(directory.path(), &dump);
    assert_eq!(import(&tables, &directory, &[]).await.status, Some(0));
    let before = tables.dump_both().await;
    for (name, real) in &dump {
        for (other, documents) in dump.iter().filter(|(other, _)| *other != name) {
            write_bson(directory.path(), &Dump::from([(*name, documents.clone())]));
            let ran = import(&tables, &directory, &[]).await;
            assert_eq!(ran.status, Some(1), "{other} as {name}: {ran:?}");
            let said = format!("so it is no document of {name}");
            assert_eq!(ran.err.matches(&said).count(), documents.len(), "{other} as {name}: {}", ran.err);
            assert_eq!(tables.dump_both().await, before, "{other} as {name}");
        }
        write_bson(directory.path(), &Dump::from([(*name, real.clone())]));
    }
    assert_eq!(import(&tables, &directory, &[]).await.status, Some(0));
}

#[tokio::test]
async fn a_source_that_holds_nothing_is_named_and_is_no_success() {
    let (tables, directory) = (Tables::empty().await, tempfile::tempdir().unwrap());
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    fs::create_dir(path("dump")).unwrap();
    for (name, text) in [
        ("page.json", ""),
        ("blank.json", " \n\t\n"),
        ("artifact.json", ""),
        ("delivery_version.bson", ""),
        ("dump/activity.bson", ""),
    ] {
        fs::write(path(name), text).unwrap();
        let source = name.split('/').next().unwrap();
        let ran = run_on(&tables, &["import", &path(source)]).await;
        assert_eq!(ran.status, Some(1), "{name}: {ran:?}");
        assert!(ran.err.contains(name), "{name}: {}", ran.err);
    }
    let ran = run_on(&tables, &["import", "-"]).await;
    assert!(ran.status == Some(1) && ran.err.contains("standard input is empty"), "{ran:?}");
    fs::write(path("none.json"), "[]").unwrap();
    assert_eq!(
        run_on(&tables, &["import", &path("none.json")]).await.status,
        Some(0),
        "no release is an answer"
    );
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

#[tokio::test]
async fn gzip_is_told_by_its_first_bytes_wherever_it_comes_from() {
    let whole = Tables::with_samples().await;
    let exported = gzipped(run_on(&whole, &["export"]).await.out.as_bytes());
    let directory = tempfile::tempdir().unwrap();
    for name in ["export.jsonl.gz", "export.jsonl", "export", "-"] {
        let tables = Tables::empty().await;
        let path = directory.path().join(name);
        fs::write(&path, &exported).unwrap();
        let source = if name == "-" { name } else { path.to_str().unwrap() };
        let ran = run_with_input(tool(&tables.environment(), &["import", source]), &exported).await;
        assert_eq!(ran.status, Some(0), "{name}: {ran:?}");
        assert!(ran.out.starts_with("read 37, stored 37"), "{name}: {}", ran.out);
    }
    let (tables, directory) = (Tables::empty().await, tempfile::tempdir().unwrap());
    write_bson(directory.path(), &shop(3));
    for entry in fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        fs::write(&path, gzipped(&fs::read(&path).unwrap())).unwrap();
    }
    assert_eq!(import(&tables, &directory, &[]).await.status, Some(0), "dumped with --gzip and renamed");
}

#[tokio::test]
async fn a_small_file_that_inflates_to_blanks_is_refused_at_once() {
    let (tables, directory) = (Tables::empty().await, tempfile::tempdir().unwrap());
    let blanks = gzipped(&vec![b' '; 256 << 20]);
    for name in ["page.json.gz", "artifact.json.gz"] {
        let path = directory.path().join(name);
        fs::write(&path, &blanks).unwrap();
        let started = Instant::now();
        let ran = run_on(&tables, &["import", path.to_str().unwrap()]).await;
        assert_eq!(ran.status, Some(1), "{ran:?}");
        assert!(ran.err.contains("blanks") && ran.err.contains(name), "{}", ran.err);
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    }
}

#[tokio::test]
async fn a_report_that_cannot_be_written_is_told_before_anything_is_done() {
    let (tables, directory) = (Tables::empty().await, tempfile::tempdir().unwrap());
    write_bson(directory.path(), &shop(2));
    let empty = [Vec::<String>::new(), Vec::new()];
    let ran = import(&tables, &directory, &["--report", "/no/such/directory/report.json"]).await;
    assert_eq!((ran.status, tables.dump_both().await), (Some(1), empty), "{ran:?}");
    assert!(ran.err.contains("/no/such/directory/report.json"), "{}", ran.err);
    let ran = import(&tables, &directory, &["--report", "/dev/full"]).await;
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert!(ran.err.contains("/dev/full is incomplete"), "{}", ran.err);
    assert!(ran.out.contains("delivery_version"), "what was done is told all the same: {}", ran.out);
}

#[tokio::test]
async fn a_dump_without_its_releases_or_artifacts_is_named_and_is_no_success() {
    let (tables, directory) = (Tables::empty().await, tempfile::tempdir().unwrap());
    let dump = shop(2);
    write_bson(directory.path(), &dump);
    assert_eq!(import(&tables, &directory, &[]).await.status, Some(0));
    let path = directory.path().to_str().unwrap();
    for owner in ["delivery_version", "artifact"] {
        for is_there in [true, false] {
            let file = directory.path().join(format!("{owner}.bson"));
            if is_there {
                std::fs::write(&file, "").unwrap();
            } else {
                std::fs::remove_file(&file).unwrap();
            }
            for command in [&["import"][..], &["import", "--dry-run"], &["verify"]] {
                let ran = run_on(&tables, &[command, &[path]].concat()).await;
                assert_eq!(ran.status, Some(1), "{owner} {command:?}: {ran:?}");
                assert!(
                    ran.out.contains(&format!("no {owner} was read, and ")),
                    "{owner} {command:?}: {ran:?}"
                );
                assert!(!ran.out.contains("nothing was lost"), "{ran:?}");
            }
        }
        write_bson(directory.path(), &dump);
    }
    assert_eq!(run_on(&tables, &["verify", path]).await.status, Some(0));
}

#[tokio::test]
async fn a_report_that_would_overwrite_a_source_is_refused() {
    let (tables, directory) = (Tables::empty().await, tempfile::tempdir().unwrap());
    write_bson(directory.path(), &shop(2));
    let collection = directory.path().join("artifact.bson");
    let link = directory.path().join("report.json");
    std::os::unix::fs::symlink(&collection, &link).unwrap();
    let before = std::fs::read(&collection).unwrap();
    let dump = directory.path().to_str().unwrap();
    for report in [&collection, &link] {
        for source in [dump, collection.to_str().unwrap()] {
            let ran = run_on(&tables, &["import", source, "--report", report.to_str().unwrap()]).await;
            assert_eq!(ran.status, Some(2), "{ran:?}");
            assert!(ran.err.contains("--report names one of the sources"), "{ran:?}");
            assert_eq!(std::fs::read(&collection).unwrap(), before);
        }
    }
    // Another report of an earlier run may be overwritten, also in that folder.
    let another = directory.path().join("another.json");
    std::fs::write(&another, "old").unwrap();
    let ran = run_on(&tables, &["import", dump, "--report", another.to_str().unwrap()]).await;
    assert_eq!(ran.status, Some(0), "{ran:?}");
}

#[tokio::test]
async fn a_missing_directory_for_temporary_files_is_told_once() {
    let (tables, directory) = (Tables::empty().await, tempfile::tempdir().unwrap());
    let mut dump = shop(20);
    dump.remove("delivery_version");
    write_bson(directory.path(), &dump);
    let mut import = tool(&tables.environment(), &["import", directory.path().to_str().unwrap()]);
    import.env("TMPDIR", "/no/such/directory");
    let ran = run(import).await;
    // All of it belongs to releases that are not given.
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert!(ran.err.lines().count() < 8, "{}", ran.err);
    // Standard input is not copied, and these few records fit into memory.
    let mut import = tool(&tables.environment(), &["import", "-"]);
    import.env("TMPDIR", "/no/such/directory");
    let ran = run_with_input(import, SAMPLES).await;
    assert_eq!((ran.status, ran.err.lines().count()), (Some(0), 0), "{}", ran.err);
}

#[tokio::test]
async fn tables_that_cannot_be_reached_are_told_before_the_source_is_read() {
    let missing = Tables::missing();
    let unauthorized: Vec<_> = missing
        .environment()
        .into_iter()
        .filter(|(name, _)| !name.starts_with("AWS_ACCESS") && !name.starts_with("AWS_SECRET"))
        .chain([("AWS_EC2_METADATA_DISABLED", "true".to_owned())])
        .collect();
    let page = missing.through("http://127.0.0.1:9").environment();
    for (environment, said, status) in [
        (missing.environment(), "does not exist", 1),
        (unauthorized, "credentials", 1),
        (page, "could not be reached", 4),
    ] {
        let mut import = tool(&environment, &["import", "-"]);
        import
            .env("AWS_MAX_ATTEMPTS", "1")
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = import.spawn().unwrap();
        // Standard input is never closed, so a tool that read it first would wait for ever.
        let stdin = child.stdin.take();
        let ended = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
        let ended = tokio::time::timeout(Duration::from_mins(1), ended).await.unwrap().unwrap();
        drop(stdin);
        let err = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(status), "{err}");
        assert!(err.contains(said) && err.contains("cannot begin"), "{err}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_error_that_ended_an_import_is_the_last_line_and_not_buried() {
    let (tables, directory) = (Tables::empty().await, tempfile::tempdir().unwrap());
    let mut dump = shop(200);
    for name in ["delivery_version", "artifact"] {
        dump.get_mut(name)
            .unwrap()
            .retain(|record| record.get_object_id("_id").unwrap().bytes()[11] % 2 == 0);
    }
    write_bson(directory.path(), &dump);
    let proxy = FaultyProxy::start(&tables.endpoint_url, |operation, number| match operation {
        "TransactWriteItems" if number > 40 => Fault::Refuse("ValidationException"),
        _ => Fault::None,
    })
    .await;
    let ran = import(&tables.through(&proxy.endpoint_url), &directory, &[]).await;
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert!(ran.err.lines().last().unwrap().starts_with("error: the import stopped"), "{}", ran.err);
    assert!(ran.err.lines().count() < 20, "{}", ran.err);
}

#[tokio::test]
async fn numbers_arrive_to_the_digit_or_are_refused_by_name() {
    let (tables, directory, mut newer) = imported().await;
    let digits = "1234567890123456789012345678.901234";
    let decimal = |text: &str| text.parse::<bson::Decimal128>().unwrap();
    let change = |dump: &mut Dump, name: &str, index: usize, field: &str, value: bson::Bson| {
        dump.get_mut(name).unwrap()[index].insert(field, value);
    };
    change(&mut newer, "delivery_version", 0, "task_id", 1e18.into());
    change(&mut newer, "delivery_version", 1, "cost", decimal(digits).into());
    change(&mut newer, "delivery_version", 2, "task_id", f64::NAN.into());
    change(&mut newer, "delivery_version", 3, "task_id", decimal("7.5").into());
    change(&mut newer, "delivery_build", 4, "load", f64::INFINITY.into());
    change(&mut newer, "artifact", 5, "image_size", 1e18.into());
    change(&mut newer, "activity", 2, "load", f64::NEG_INFINITY.into());
    write_bson(directory.path(), &newer);
    let before = tables.get(ListReleases, "").await.json();
    let path = directory.path().join("report.out");
    let ran = import(&tables, &directory, &["--report", path.to_str().unwrap()]).await;
    assert_eq!(ran.status, Some(1), "{ran:?}");
    for said in [
        "$.task_id is NaN, which JSON cannot hold",
        "$.versionInfo.taskId: expected an integer",
        "$.load is Infinity",
        "$.load is -Infinity",
    ] {
        assert!(ran.err.contains(said), "{said} is not in {}", ran.err);
    }
    let report = report(&path);
    assert_adds_up(&report);
    assert_eq!(
        counts(&report, "delivery_version"),
        expected(&[("read", 6), ("stored", 3), ("refused", 2), ("held_back", 1)])
    );
    let answer = tables.get(ListReleases, "").await;
    assert!(answer.body.contains(r#""taskId":1000000000000000000,"#), "{}", answer.body);
    assert!(answer.body.contains(&format!(r#""cost":{digits}"#)), "{}", answer.body);
    // Newest first. The releases of which something was refused are as they were.
    for place in [1, 2, 3] {
        assert_eq!(answer.json()[place], before[place], "{place}");
    }
    let artifact = tables.get(GetArtifact, "image=registry/cart:2").await.json();
    assert_eq!(artifact["image_size"], json!(1_000_000_000_000_000_000_u64), "{artifact}");
}
