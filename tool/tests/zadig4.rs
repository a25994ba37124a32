//! Releases of Zadig 4 and later, from every kind of source, by the real tool.

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;

use bson::{Bson, Document, doc};
use delivery_center::endpoint::Endpoint::ListReleases;
use serde_json::{Value, json};

use crate::running::run_on;
use crate::support::Tables;
use crate::zadig::{assert_adds_up, counts, expected, report};
use crate::zadig_collections::{Dump, extended, made_id, shop, write_bson, write_bson_gz, write_json};
use crate::zadig_server::{Zadig, import, read_server, serve};

/// Two releases as Zadig 4 stores them: of an environment, and of a chart.
fn zadig4() -> Vec<Document> {
    let image = |container: &str, source: &str, target: &str| {
        doc! {
            "container_name": container, "image_name": container, "image_path": Bson::Null,
            "source_image": source, "source_image_tag": "1", "target_image": target, "target_image_tag": "",
            "push_image": !target.is_empty(), "status": "passed", "error": "",
        }
    };
    let service = |name: &str, yaml: &str, images: Vec<Document>| {
        doc! {
            "service_name": name, "chart_name": "", "original_chart_version": "", "chart_version": "",
            "chart_status": "", "yaml_content": yaml, "images": images, "error": "",
        }
    };
    let chart = |name: &str, status: &str| {
        let mut service = service(name, "replicas: 1\n", vec![image(name, &format!("reg/dev/{name}:5"), "")]);
        service.extend(doc! {
            "chart_name": name, "original_chart_version": "1.0.0", "chart_version": "1.0.1", "chart_status": status,
        });
        service
    };
    let release = |number: u64, environment: &str, kind: &str, services: Vec<Document>| {
        doc! {
            "_id": made_id(8, number), "version": format!("4.{number}"), "project_name": "shop",
            "env_name": environment, "production": !environment.is_empty(), "type": kind, "source": "env",
            "desc": "d", "labels": ["stable"], "image_registry_id": "r1",
            "original_chart_repo_name": "charts-dev", "chart_repo_name": "charts", "services": services,
            "status": "success", "workflow_name": "shop-release", "task_id": 7_i64, "error": "never shown",
            "created_by": "admin", "created_at": 1_770_000_000 + i64::try_from(number).unwrap(),
        }
    };
    vec![
        release(
            1,
            "prod",
            "yaml",
            vec![
                service(
                    "cart",
                    "kind: Deployment\n",
                    vec![
                        image("main", "reg/dev/cart:5", "reg/shop/cart:5"),
                        image("proxy", "reg/shop/proxy:9", ""),
                    ],
                ),
                service("config", "kind: ConfigMap\n", vec![]),
            ],
        ),
        release(2, "", "chart", vec![chart("web", "passed"), chart("api", "failed")]),
    ]
}

/// The same as the API answers it.
fn answered(releases: &[Document]) -> Vec<Value> {
    let answered = releases.iter().map(|release| {
        let mut release = release.clone();
        let id = release.remove("_id").unwrap();
        let mut object: Value = serde_json::from_str(&extended(&release.into(), false)).unwrap();
        object["id"] = json!(id.as_object_id().unwrap().to_hex());
        object
    });
    answered.collect()
}

fn write(path: &Path, text: impl AsRef<[u8]>) -> String {
    fs::write(path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// What the endpoint answers of the first release, whose deploys have these ids.
fn first_release(ids: &[String]) -> Value {
    let release_id = made_id(8, 1).to_hex();
    let deploy = |index: usize, container: &str, rest: Value| {
        let mut deploy = json!({
            "id": ids[index], "releaseId": release_id, "serviceName": "cart/main", "containerName": container,
            "registry_id": "r1", "yamlContents": [], "envs": [], "orderedServices": [],
            "created_at": 1_770_000_001, "deleted_at": 0,
        });
        let rest = rest.as_object().unwrap().clone();
        deploy.as_object_mut().unwrap().extend(rest);
        deploy
    };
    json!({
        "versionInfo": {
            "id": release_id, "version": "4.1", "productName": "shop", "workflowName": "shop-release", "taskId": 7,
            "desc": "d", "labels": ["stable"],
            "productEnvInfo": {
                "product_name": "shop", "env_name": "prod", "auth": [], "services": [], "roleIds": [], "production": true,
            },
            "createdBy": "admin", "created_at": 1_770_000_001, "deleted_at": 0, "type": "yaml", "status": "success",
            "source": "env", "image_registry_id": "r1", "original_chart_repo_name": "charts-dev",
            "chart_repo_name": "charts",
        },
        "buildInfo": [],
        "deployInfo": [
            deploy(0, "main", json!({
                "image": "reg/shop/cart:5", "yamlContents": ["kind: Deployment\n"], "image_name": "main",
                "source_image": "reg/dev/cart:5", "source_image_tag": "1", "target_image": "reg/shop/cart:5",
                "push_image": true, "status": "passed",
            })),
            deploy(1, "proxy", json!({
                "serviceName": "cart/proxy", "image": "reg/shop/proxy:9", "image_name": "proxy",
                "source_image": "reg/shop/proxy:9", "source_image_tag": "1", "status": "passed",
            })),
            deploy(2, "", json!({ "serviceName": "config", "yamlContents": ["kind: ConfigMap\n"] })),
        ],
        "testInfo": [], "distributeInfo": [], "securityStatsInfo": [],
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn releases_of_zadig_4_are_read_alike_from_every_kind_of_source() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let dump = Dump::from([("delivery_version_v2", zadig4())]);
    write_bson(&path("bson/zadig"), &dump);
    write_bson_gz(&path("gzip"), &dump);
    write_json(&path("relaxed"), &dump, false, false);
    write_json(&path("canonical"), &dump, true, true);
    let objects = answered(&zadig4());
    let lines: Vec<_> = objects.iter().map(Value::to_string).collect();
    write(&path("array.json"), json!(objects).to_string());
    write(&path("lines.jsonl"), lines.join("\n"));
    let (zadig, url) = serve(Zadig::of_4(objects)).await;
    let names = ["bson", "gzip", "relaxed", "canonical", "array.json", "lines.jsonl"];
    let mut first = None;
    for name in names.into_iter().map(Some).chain([None]) {
        let tables = Tables::empty().await;
        let ran = async |command| match name {
            Some(name) => run_on(&tables, &[command, path(name).to_str().unwrap()]).await,
            None => read_server(command, &tables, &url, &["--requests", "2"]).await,
        };
        let imported = ran("import").await;
        assert_eq!(imported.status, Some(0), "{name:?}: {imported:?}");
        assert!(!imported.err.contains("left out"), "{name:?}: {imported:?}");
        let stored = tables.dump_both().await;
        assert_eq!(first.get_or_insert_with(|| stored.clone()), &stored, "{name:?}");
        let again = ran("import").await;
        assert_eq!((again.status, tables.dump_both().await), (Some(0), stored), "{name:?}: {again:?}");
        let verified = ran("verify").await;
        assert!(
            verified.status == Some(0) && verified.out.contains("nothing was lost"),
            "{name:?}: {verified:?}"
        );
    }
    assert!(zadig.most_running.load(Ordering::SeqCst) <= 2, "--requests bounds the releases, too");
}

#[tokio::test]
async fn a_release_of_zadig_4_is_answered_and_found_as_all_others() {
    let (tables, directory) = (Tables::empty().await, tempfile::tempdir().unwrap());
    write_bson(directory.path(), &Dump::from([("delivery_version_v2", zadig4())]));
    let ran = run_on(&tables, &["import", directory.path().to_str().unwrap()]).await;
    assert_eq!(ran.status, Some(0), "{ran:?}");
    let mut releases = tables.get(ListReleases, "").await.json();
    let deploys = releases[1]["deployInfo"].as_array().unwrap().iter();
    let mut ids: Vec<_> = deploys.map(|deploy| deploy["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(releases[1], first_release(&ids));
    ids.sort();
    ids.dedup();
    assert_eq!(
        ids.iter().filter(|id| id.len() == 24).count(),
        3,
        "each deploy has an id of its own: {ids:?}"
    );
    let second = releases[0].take();
    assert!(second["versionInfo"].get("productEnvInfo").is_none(), "{second}");
    assert_eq!(second["deployInfo"][1]["chart_status"], "failed");
    let distributed = second["distributeInfo"].as_array().unwrap();
    assert_eq!(distributed.len(), 1, "the other chart was not made: {second}");
    for (name, value) in [
        ("distributeType", "chart"),
        ("serviceName", "web"),
        ("chartName", "web"),
        ("chartVersion", "1.0.1"),
        ("chartRepoName", "charts"),
    ] {
        assert_eq!(distributed[0][name], value, "{name}");
    }
    for (query, versions) in [
        ("image=reg/shop/cart:5", &["4.1"][..]),
        ("image=reg/shop/proxy:9", &["4.1"]),
        ("image=reg/dev/cart:5", &[]),
        ("image=reg/dev/web:5", &["4.2"]),
        ("envName=prod", &["4.1"]),
        ("serviceName=config", &["4.1"]),
        ("serviceName=api", &["4.2"]),
        ("projectName=shop&workflowName=shop-release&taskId=7", &["4.2", "4.1"]),
        ("label=stable&version=4.2", &["4.2"]),
    ] {
        let found = tables.get(ListReleases, query).await.json();
        let found: Vec<_> =
            found.as_array().unwrap().iter().map(|found| found["versionInfo"]["version"].clone()).collect();
        assert_eq!(found, versions, "{query}");
    }
}

/// A migrated shop: of the releases of before, Zadig 4 has its own record with another id, and one more.
fn migrated(releases: u64) -> Dump {
    let mut dump = shop(releases);
    let twins = dump["delivery_version"].iter().enumerate().map(|(number, version)| {
        let mut twin = zadig4().remove(0);
        twin.insert("_id", made_id(9, number as u64));
        for name in ["version", "created_at", "workflow_name", "task_id"] {
            twin.insert(name, version.get(name).unwrap().clone());
        }
        twin
    });
    let newer: Vec<_> = twins.chain([zadig4().remove(0)]).collect();
    dump.insert("delivery_version_v2", newer);
    dump
}

async fn ids(tables: &Tables) -> Vec<String> {
    let releases = tables.get(ListReleases, "").await.json();
    let releases = releases.as_array().unwrap().iter();
    releases.map(|release| release["versionInfo"]["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_release_of_a_migrated_database_is_one_release_with_its_older_record() {
    let directory = tempfile::tempdir().unwrap();
    write_bson(&directory.path().join("dump"), &migrated(3));
    write_json(&directory.path().join("exported"), &migrated(3), true, false);
    let file =
        |name: &str| directory.path().join(format!("exported/{name}.json")).to_str().unwrap().to_owned();
    // The older records count in any order.
    let mut exported = vec![file("delivery_version_v2")];
    exported.extend(migrated(3).keys().filter(|name| **name != "delivery_version_v2").map(|name| file(name)));
    let dump = vec![directory.path().join("dump").to_str().unwrap().to_owned()];
    for sources in [dump, exported] {
        let tables = Tables::empty().await;
        let path = directory.path().join("report");
        let report_to = ["--report", path.to_str().unwrap()];
        let sources: Vec<_> = sources.iter().map(String::as_str).collect();
        let ran = run_on(&tables, &[&["import"], &sources[..], &report_to].concat()).await;
        assert_eq!(ran.status, Some(0), "{ran:?}");
        assert!(ran.out.contains("the same release"), "{}", ran.out);
        let found = report(&path);
        assert_adds_up(&found);
        assert_eq!(
            counts(&found, "delivery_version_v2"),
            expected(&[("read", 4), ("stored", 1), ("same_release", 3)])
        );
        let older = (0..3).rev().map(|number| made_id(1, number).to_hex());
        let all: Vec<_> = [made_id(8, 1).to_hex()].into_iter().chain(older).collect();
        assert_eq!(ids(&tables).await, all);
        let releases = tables.get(ListReleases, "").await.json();
        assert_eq!(releases[1]["buildInfo"].as_array().unwrap().len(), 1, "{releases}");
        let stored = tables.dump_both().await;
        let again = run_on(&tables, &[&["import"], &sources[..]].concat()).await;
        assert_eq!((again.status, tables.dump_both().await), (Some(0), stored), "{again:?}");
        let verified = run_on(&tables, &[&["verify"], &sources[..]].concat()).await;
        assert!(verified.status == Some(0) && verified.out.contains("nothing was lost"), "{verified:?}");
    }
}

/// Otherwise it would be stored under its new id, and a second time under its old one once that is mended.
#[tokio::test]
async fn a_migrated_release_does_not_come_in_where_its_older_record_does_not() {
    let change = |field: &str, value: Bson| {
        let mut dump = migrated(2);
        dump.get_mut("delivery_version").unwrap()[0].insert(field, value);
        dump
    };
    let whole = [made_id(8, 1).to_hex(), made_id(1, 1).to_hex()];
    for (dump, status, stored) in [
        (change("deleted_at", Bson::Int64(5)), 0, &whole[..]),
        (change("unknown", Bson::MinKey), 1, &whole[..]),
        (change("task_id", "many".into()), 1, &whole[..]),
    ] {
        let (tables, directory) = (Tables::empty().await, tempfile::tempdir().unwrap());
        write_bson(directory.path(), &dump);
        let ran = run_on(&tables, &["import", directory.path().to_str().unwrap()]).await;
        assert_eq!(ran.status, Some(status), "{ran:?}");
        assert_eq!(ids(&tables).await, stored, "{ran:?}");
    }
    let (tables, directory) = (Tables::empty().await, tempfile::tempdir().unwrap());
    write_bson(directory.path(), &migrated(2));
    let version = directory.path().join("delivery_version.bson");
    let bytes = fs::read(&version).unwrap();
    write(&version, &bytes[..bytes.len() - 9]);
    let ran = run_on(&tables, &["import", directory.path().to_str().unwrap()]).await;
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert!(ran.out.contains("held back 2 of delivery_version_v2"), "{}", ran.out);
    assert_eq!(ids(&tables).await, [made_id(1, 0).to_hex()]);
}

#[tokio::test]
async fn a_release_in_a_shape_that_is_not_known_is_named_and_never_success() {
    let change = |name: &str, value: Option<Value>| {
        let mut release = answered(&zadig4()).remove(0);
        let object = release.as_object_mut().unwrap();
        match value {
            Some(value) => drop(object.insert(name.to_owned(), value)),
            None => drop(object.remove(name)),
        }
        release
    };
    let service = |fields: Value| {
        let mut service = json!({ "service_name": "a" });
        service.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        change("services", Some(json!([service])))
    };
    let image = |image: Value| service(json!({ "images": [image] }));
    let named_service = json!([{ "service_name": "a", "images": [] }, { "name": "b" }]);
    let mut list_entry = change("project_name", None);
    list_entry["services"] = Value::Null;
    for (release, said, in_a_dump) in [
        (change("services", Some(Value::Null)), "the list of Zadig 4 leaves out what was released", false),
        (
            change("project_name", None),
            "$.project_name: expected a text, found nothing: a release of Zadig 4",
            false,
        ),
        (list_entry, "$.project_name: expected a text, found nothing: a release of Zadig 4", false),
        (change("services", None), "$.services: expected a list, found nothing", true),
        (change("services", Some(json!({}))), "$.services: expected a list, found an object", true),
        (change("services", Some(json!([7]))), "$.services[0]: expected an object, found a number", true),
        (
            change("services", Some(named_service)),
            "$.services[1].service_name: expected a non-empty string",
            true,
        ),
        (
            change("services", Some(json!([{ "service_name": "a", "images": ["i"] }]))),
            "$.services[0].images[0]: expected an object, found a string",
            true,
        ),
        (change("created_at", Some(json!("today"))), "$.versionInfo.created_at: expected an integer", true),
        (change("project_name", Some(json!(""))), "$.project_name: expected a non-empty string", true),
        (change("version", Some(Value::Null)), "$.version: expected a string, found null", true),
        (change("productName", Some(json!("other"))), "$.productName: Zadig 4 has no such field here", true),
        (
            service(json!({ "workloads": [{ "image": "r.e/a:1" }] })),
            "$.services[0].images: expected a list, found nothing",
            true,
        ),
        (service(json!({ "images": [], "deleted_at": 5 })), "$.services[0].deleted_at: Zadig 4 has no", true),
        (
            image(json!({ "container_name": "m", "image": "r.e/a:1" })),
            "$.services[0].images[0].image: Zadig 4 has no such field here",
            true,
        ),
        (
            image(json!({ "container_name": "m", "reference": "r.e/a:1" })),
            "$.services[0].images[0]: expected target_image or source_image, found neither",
            true,
        ),
        (
            image(json!({ "target_image": "a", "deleted_at": 5 })),
            "images[0].deleted_at: Zadig 4 has no",
            true,
        ),
        (image(json!({ "target_image": "a", "id": "i" })), "images[0].id: Zadig 4 has no", true),
        (
            image(json!({ "target_image": "a", "serviceName": "b" })),
            "images[0].serviceName: Zadig 4 has",
            true,
        ),
        (
            service(json!({
                "images": [{ "target_image": "a", "error": "i" }], "error": "s", "service_error": "x",
            })),
            "$.services[0].error: its image has error, too, and service_error is taken",
            true,
        ),
    ] {
        let (tables, directory) = (Tables::empty().await, tempfile::tempdir().unwrap());
        let mut document = release.clone();
        let id = document.as_object_mut().unwrap().remove("id").unwrap();
        document["_id"] = json!({ "$oid": id });
        let object = write(&directory.path().join("release.json"), release.to_string());
        let exported = write(&directory.path().join("delivery_version_v2.json"), document.to_string());
        for source in [Some(object), Some(exported).filter(|_| in_a_dump)].into_iter().flatten() {
            for command in ["import", "verify"] {
                let ran = run_on(&tables, &[command, &source]).await;
                assert_eq!(ran.status, Some(1), "{source}: {ran:?}");
                assert!(ran.err.contains(said), "{source}: {ran:?}");
                assert!(!ran.out.contains("nothing was lost"), "{source}: {ran:?}");
            }
        }
        assert_eq!(tables.dump_both().await, [Vec::<String>::new(), Vec::new()]);
    }
}

#[tokio::test]
async fn a_document_that_tells_no_release_is_named_and_never_success() {
    let only = doc! { "_id": made_id(8, 1), "foo": 1 };
    let without = |name: &str| {
        let mut release = zadig4().remove(0);
        release.remove(name).unwrap();
        release
    };
    for (collection, document, said) in [
        ("delivery_version_v2", only, "$.project_name: expected a non-empty string, found nothing"),
        (
            "delivery_version_v2",
            without("project_name"),
            "$.project_name: expected a non-empty string, found nothing",
        ),
        ("delivery_version_v2", without("version"), "$.version: expected a string, found nothing"),
    ] {
        let (tables, directory) = (Tables::empty().await, tempfile::tempdir().unwrap());
        write_bson(directory.path(), &Dump::from([(collection, vec![document])]));
        for command in ["import", "verify"] {
            let ran = run_on(&tables, &[command, directory.path().to_str().unwrap()]).await;
            assert_eq!(ran.status, Some(1), "{said}: {ran:?}");
            assert!(ran.err.contains(said) && !ran.out.contains("nothing was lost"), "{said}: {ran:?}");
        }
        assert_eq!(tables.dump_both().await, [Vec::<String>::new(), Vec::new()]);
    }
}

#[tokio::test]
async fn what_a_service_and_its_images_tell_under_one_name_is_kept_apart() {
    let mut release = answered(&zadig4()).remove(0);
    release["services"] = json!([
        {
            "service_name": "web", "chart_name": "web", "error": "SVC", "images": [
                { "container_name": "", "source_image": "r.e/a:1", "target_image": "", "error": "IMG" },
                { "container_name": "", "source_image": "r.e/b:1", "target_image": "", "error": "IMG" },
            ],
        },
        { "service_name": "config", "error": "SVC", "images": null },
    ]);
    let (tables, directory) = (Tables::empty().await, tempfile::tempdir().unwrap());
    let source = write(&directory.path().join("release.json"), release.to_string());
    for command in ["import", "verify"] {
        let ran = run_on(&tables, &[command, &source]).await;
        assert_eq!(ran.status, Some(0), "{ran:?}");
    }
    let releases = tables.get(ListReleases, "").await.json();
    let deploys = releases[0]["deployInfo"].as_array().unwrap();
    let errors: Vec<_> =
        deploys.iter().map(|deploy| (deploy["error"].as_str(), deploy["service_error"].as_str())).collect();
    assert_eq!(errors, [(Some("IMG"), Some("SVC")), (Some("IMG"), None), (Some("SVC"), None)]);
    assert_ne!(deploys[0]["id"], deploys[1]["id"], "{releases}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zadig_4_of_many_pages_is_read_completely_and_what_it_does_not_answer_is_named() {
    let tables = Tables::empty().await;
    let releases = (0..57_u64).map(|number| {
        let mut release = answered(&zadig4()).remove(0);
        release["id"] = json!(made_id(8, number).to_hex());
        release["project_name"] = json!(format!("pröject {}&/", number % 3));
        release
    });
    let releases: Vec<_> = releases.collect();
    let (zadig, url) = serve(Zadig::of_4(releases)).await;
    let ran = import(&tables, &url, &["--requests", "3"]).await;
    assert_eq!(ran.status, Some(0), "{ran:?}");
    assert!(ran.out.contains(" 57 "), "{}", ran.out);
    assert!(zadig.most_running.load(Ordering::SeqCst) <= 3);
    assert_eq!(read_server("verify", &tables, &url, &[]).await.status, Some(0));
    let found = tables.get(ListReleases, "projectName=pr%C3%B6ject%202%26%2F&verbosity=brief").await.json();
    assert_eq!(found.as_array().unwrap().len(), 19);
    // One that is in the list only, as if it was deleted meanwhile.
    zadig.gone.lock().unwrap().push(made_id(8, 5).to_hex());
    for command in ["import", "verify"] {
        let ran = read_server(command, &tables, &url, &["--per-page", "10"]).await;
        assert_eq!(ran.status, Some(1), "{ran:?}");
        let named = format!(
            "refused releases page 1, element 5: {url}/api/aslan/delivery/releases/{}",
            made_id(8, 5)
        );
        assert!(ran.err.contains(&named) && ran.err.contains("answered 404: no such version"), "{}", ran.err);
        assert!(ran.out.contains(" 56 "), "{}", ran.out);
    }
}
