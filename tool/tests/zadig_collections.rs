//! Zadig's collections, as `mongodump` and `mongoexport` write them.

use std::collections::BTreeMap;
use std::path::Path;

use bson::oid::ObjectId;
use bson::{Bson, Document, doc};

/// Collections by name.
pub(crate) type Dump = BTreeMap<&'static str, Vec<Document>>;

pub(crate) fn id(hex: &str) -> ObjectId {
    ObjectId::parse_str(hex).unwrap()
}

/// An id that no other number has within one collection.
pub(crate) fn made_id(collection: u8, number: u64) -> ObjectId {
    id(&format!("{collection:02x}{number:022x}"))
}

pub(crate) fn write_bson(directory: &Path, dump: &Dump) {
    std::fs::create_dir_all(directory).unwrap();
    for (name, documents) in dump {
        let bytes: Vec<u8> = documents.iter().flat_map(|document| document.to_vec().unwrap()).collect();
        std::fs::write(directory.join(format!("{name}.bson")), bytes).unwrap();
        std::fs::write(directory.join(format!("{name}.metadata.json")), "{\"options\":{}}").unwrap();
    }
}

pub(crate) fn write_bson_gz(directory: &Path, dump: &Dump) {
    use std::io::Write as _;
    std::fs::create_dir_all(directory).unwrap();
    for (name, documents) in dump {
        let file = std::fs::File::create(directory.join(format!("{name}.bson.gz"))).unwrap();
        let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        for document in documents {
            gzip.write_all(&document.to_vec().unwrap()).unwrap();
        }
        gzip.finish().unwrap();
    }
}

/// As mongoexport writes, with or without `--jsonFormat=canonical`, and with or without `--jsonArray`.
pub(crate) fn write_json(directory: &Path, dump: &Dump, canonical: bool, array: bool) {
    std::fs::create_dir_all(directory).unwrap();
    for (name, documents) in dump {
        let lines: Vec<_> =
            documents.iter().map(|document| extended(&Bson::from(document.clone()), canonical)).collect();
        let text = if array { format!("[{}]", lines.join(",\n")) } else { lines.join("\n") };
        std::fs::write(directory.join(format!("{name}.json")), text).unwrap();
    }
}

/// A value as Extended JSON.
pub(crate) fn extended(value: &Bson, canonical: bool) -> String {
    let quoted = |text: &str| serde_json::to_string(text).unwrap();
    match value {
        Bson::Int32(number) if canonical => format!(r#"{{"$numberInt":"{number}"}}"#),
        Bson::Int64(number) if canonical => format!(r#"{{"$numberLong":"{number}"}}"#),
        Bson::Double(number) if canonical => format!(r#"{{"$numberDouble":"{number:?}"}}"#),
        Bson::Int32(number) => number.to_string(),
        Bson::Int64(number) => number.to_string(),
        Bson::Double(number) => format!("{number:?}"),
        Bson::ObjectId(id) => format!(r#"{{"$oid":"{id}"}}"#),
        Bson::DateTime(time) if canonical => {
            format!(r#"{{"$date":{{"$numberLong":"{}"}}}}"#, time.timestamp_millis())
        }
        Bson::DateTime(time) => format!(r#"{{"$date":"{}"}}"#, time.try_to_rfc3339_string().unwrap()),
        Bson::String(text) => quoted(text),
        Bson::Boolean(boolean) => boolean.to_string(),
        Bson::Null => "null".to_owned(),
        Bson::Array(elements) => {
            let elements: Vec<_> = elements.iter().map(|element| extended(element, canonical)).collect();
            format!("[{}]", elements.join(","))
        }
        Bson::Document(document) => {
            let members = document.iter();
            let members: Vec<_> = members
                .map(|(name, value)| format!("{}:{}", quoted(name), extended(value, canonical)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        other => panic!("{other:?} has no Extended JSON here"),
    }
}

/// The reference samples, in the API's JSON.
pub(crate) const REFERENCE_RELEASE: &str = include_str!("../../samples/reference-release.json");
pub(crate) const REFERENCE_ARTIFACT: &str = include_str!("../../samples/reference-artifact.json");

/// The reference samples as Zadig's database holds them.
pub(crate) fn reference() -> Dump {
    let releases: serde_json::Value = serde_json::from_str(REFERENCE_RELEASE).unwrap();
    let yaml = releases[0]["deployInfo"][0]["yamlContents"][0].as_str().unwrap();
    let release_id = id("619dbaa8c528c2182225e8d9");
    let render =
        doc! { "name": "nginx2-env-dev", "revision": 1_i64, "product_tmpl": "nginx2", "description": "" };
    let image = "koderover.tencentcloudcr.com/koderover-demo/nginx-test:20211116230712-1-master";
    let variable = |key: &str, alias: &str| {
        doc! { "key": key, "value": "", "alias": alias, "state": "present", "services": ["nginx"] }
    };
    let version = doc! {
        "_id": release_id, "version": "test", "product_name": "nginx2",
        "workflow_name": "nginx2-ops-workflow", "task_id": 1_i32, "desc": "test", "labels": ["test"],
        "product_env_info": {
            "_id": id("000000000000000000000000"), "product_name": "nginx2", "create_time": 0_i64,
            "update_time": 0_i64, "namespace": "nginx2-env-dev", "status": "", "revision": 0_i64,
            "enabled": false, "env_name": "dev", "update_by": "", "auth": Bson::Null, "visibility": "",
            "services": [[{
                "service_name": "nginx", "product_name": "nginx2", "type": "k8s", "revision": 1_i64,
                "containers": [{ "name": "nginx-test", "image": image }], "render": render.clone(),
            }]],
            "render": render, "error": "",
            "vars": [variable("NginxVersion", "{{.NginxVersion}}"), variable("customer", "{{.customer}}")],
            "is_public": false, "role_ids": [], "recycle_day": 0_i32, "source": "", "is_opensource": false,
        },
        "created_by": "admin", "created_at": 1_637_726_888_i64, "deleted_at": 0_i64,
    };
    let deploy = doc! {
        "_id": id("619dbaa8c528c2182225e8da"), "release_id": release_id, "service_name": "nginx",
        "container_name": "nginx-test", "image": image, "registry_id": "619dba6ac528c2182225e8d3",
        "yaml_contents": [yaml], "envs": [], "ordered_services": [["nginx"]],
        "start_time": 1_637_726_884_i64, "end_time": 1_637_726_888_i64, "created_at": 1_637_726_888_i64,
        "deleted_at": 0_i64,
    };
    let artifact_id = id("61b84bbcc19ba8cdb184cc53");
    let artifact = doc! {
        "_id": artifact_id, "name": "picket", "type": "image", "source": "workflow",
        "image": "koderover.tencentcloudcr.com/koderover-demo/picket:20211214154446-70-main-pr-736",
        "image_tag": "20211214154446-70-main-pr-736",
        "image_digest": "sha256:1d9ddf94feb5ff9ca9d76248ad51dd2a95210895d0dbf1e87bd66cc471c41f0e",
        "image_size": 22_578_466_i64, "architecture": "amd64", "os": "linux", "docker_file": "", "layers": [],
        "created_by": "user1", "created_time": 1_639_467_962_i64,
    };
    let activity = doc! {
        "_id": id("61b84bbec19ba8cdb184cc54"), "artifact_id": artifact_id, "type": "build", "content": "",
        "url": "/v1/projects/detail/zadig/pipelines/multi/dev2/70",
        "commits": [{
            "address": "https://github.com", "source": "github", "repo_owner": "koderover",
            "repo_name": "zadig", "branch": "main", "pr": 736_i32,
            "commit_id": "4b15c43b012e7a4a901fdcfe33736ad1c3b53f48", "commit_message": "test",
            "author_name": "user1",
        }],
        "start_time": 1_639_467_890_i64, "end_time": 1_639_467_944_i64, "created_by": "user1",
        "created_time": 1_639_467_964_i64,
    };
    Dump::from([
        ("delivery_version", vec![version]),
        ("delivery_deploy", vec![deploy]),
        ("artifact", vec![artifact]),
        ("activity", vec![activity]),
    ])
}

/// The history of a small shop, with releases and artifacts, and nothing wrong in it.
pub(crate) fn shop(releases: u64) -> Dump {
    let mut dump = Dump::new();
    let mut add = |collection, document| dump.entry(collection).or_default().push(document);
    for number in 0..releases {
        let release_id = made_id(1, number);
        let created_at = 1_700_000_000 + i64::try_from(number).unwrap();
        let mut version = doc! {
            "_id": release_id, "version": format!("1.{number}"), "product_name": "shop",
            "workflow_name": "shop-release", "task_id": i64::try_from(number).unwrap(), "desc": "", "labels": Bson::Null,
            "product_env_info": Bson::Null, "created_by": "admin", "created_at": created_at, "deleted_at": 0_i32,
        };
        if number % 2 == 1 {
            version.extend(doc! {
                "workflow_display_name": "Release", "type": "helm", "status": "success",
                "error": "never shown", "createArgument": { "secret": "never shown" },
            });
        }
        add("delivery_version", version);
        add(
            "delivery_build",
            doc! {
                "_id": made_id(2, number), "release_id": release_id, "service_name": "cart",
                "image_info": { "repo_name": "shop/cart", "tag_name": "t", "image_size": 5_i64 },
                "image_name": "cart", "commits": [{
                    "repo_owner": "shop", "repo_name": "cart", "branch": "main", "oauth_token": "SECRET-1",
                    "password": "SECRET-2", "username": "", "ssh_key": "SECRET-3",
                }],
                "created_at": created_at, "deleted_at": 0_i32,
            },
        );
        for service in 0..3 {
            add(
                "delivery_deploy",
                doc! {
                    "_id": made_id(3, number * 3 + service), "release_id": release_id,
                    "service_name": format!("service-{service}"), "container_name": "main",
                    "yaml_contents": [format!("kind: Deployment # {number}")], "envs": Bson::Null,
                    "ordered_services": [["cart"]], "created_at": created_at, "deleted_at": 0_i32,
                },
            );
        }
        add(
            "delivery_test",
            doc! {
                "_id": made_id(4, number), "release_id": release_id, "test_reports": [{
                    "test_name": "smoke", "task_id": 1_i32,
                    "test_suite": { "tests": 2_i32, "time": 1.0, "system-err": "e", "testcase": [] },
                }],
                "created_at": created_at, "deleted_at": 0_i32,
            },
        );
        for (place, kind) in ["image", "chart"].into_iter().enumerate() {
            add(
                "delivery_distribute",
                doc! {
                    "_id": made_id(5, number * 2 + place as u64), "release_id": release_id,
                    "distribute_type": kind, "chart_name": "cart", "created_at": created_at, "deleted_at": 0_i32,
                },
            );
        }
        add(
            "artifact",
            doc! {
                "_id": made_id(6, number), "name": "cart", "type": "image", "source": "workflow",
                // One tag pushed twice, and one digest under two names.
                "image": format!("registry/cart:{}", number / 2), "image_tag": (number / 2).to_string(),
                "image_digest": format!("sha256:{:064x}", number / 3), "created_by": "admin",
                "created_time": created_at,
            },
        );
        for place in 0..2_u64 {
            add(
                "activity",
                doc! {
                    "_id": made_id(7, number * 2 + place), "artifact_id": made_id(6, number), "type": "build",
                    "commits": [{ "address": "a", "password": "SECRET-4" }], "created_by": "admin",
                    "created_time": bson::DateTime::from_millis(created_at * 1000),
                },
            );
        }
    }
    dump
}
