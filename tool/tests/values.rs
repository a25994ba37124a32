//! Values that JSON has no form for are refused with their fields, and a name that an object has twice means
//! the same wherever it comes from.

use std::fs;

use bson::spec::BinarySubtype;
use bson::{Bson, doc};
use delivery_center::endpoint::Endpoint::{GetArtifact, ListReleases};

use crate::running::{run, run_on, tool};
use crate::support::Tables;
use crate::zadig_collections::{Dump, extended, made_id, write_bson};

/// Every kind of BSON that JSON has not, and dates that RFC 3339 has not.
fn foreign() -> Vec<(&'static str, Bson, &'static str)> {
    let code = bson::JavaScriptCodeWithScope { code: "f()".to_owned(), scope: doc! {} };
    let binary = |subtype| bson::Binary { subtype, bytes: vec![1, 2] }.into();
    let date = |milliseconds| bson::DateTime::from_millis(milliseconds).into();
    vec![
        ("min_key", Bson::MinKey, r#"{"$minKey":1}"#),
        ("max_key", Bson::MaxKey, r#"{"$maxKey":1}"#),
        ("undefined", Bson::Undefined, r#"{"$undefined":true}"#),
        ("symbol", Bson::Symbol("s".to_owned()), r#"{"$symbol":"s"}"#),
        ("code", Bson::JavaScriptCode("f()".to_owned()), r#"{"$code":"f()"}"#),
        ("code_with_scope", code.into(), r#"{"$code":"f()","$scope":{}}"#),
        (
            "regex",
            bson::Regex { pattern: bson::cstr!("a").into(), options: bson::cstr!("i").into() }.into(),
            r#"{"$regularExpression":{"pattern":"a","options":"i"}}"#,
        ),
        ("binary", binary(BinarySubtype::Generic), r#"{"$binary":{"base64":"AQI=","subType":"00"}}"#),
        ("uuid", binary(BinarySubtype::Uuid), r#"{"$binary":{"base64":"AQI=","subType":"04"}}"#),
        ("timestamp", bson::Timestamp { time: 1, increment: 2 }.into(), r#"{"$timestamp":{"t":1,"i":2}}"#),
        ("nan", Bson::Double(f64::NAN), r#"{"$numberDouble":"NaN"}"#),
        ("infinity", Bson::Double(f64::INFINITY), r#"{"$numberDouble":"Infinity"}"#),
        ("decimal_nan", Bson::Decimal128("NaN".parse().unwrap()), r#"{"$numberDecimal":"NaN"}"#),
        ("after_9999", date(253_402_300_800_000), r#"{"$date":{"$numberLong":"253402300800000"}}"#),
        ("before_0", date(-62_167_219_200_001), r#"{"$date":{"$numberLong":"-62167219200001"}}"#),
        ("far", date(i64::MAX), r#"{"$date":{"$numberLong":"9223372036854775807"}}"#),
    ]
}

#[tokio::test]
async fn what_json_has_no_form_for_is_refused_with_its_field_from_a_dump_and_from_an_export() {
    let (tables, directory) = (Tables::empty().await, tempfile::tempdir().unwrap());
    let path = |name: &str| directory.path().join(name);
    for (name, value, text) in foreign() {
        let known = doc! { "_id": made_id(1, 1), "created_at": 5_i64 };
        let mut at_top = known.clone();
        at_top.insert(name, value.clone());
        let mut inside = known.clone();
        inside.insert("labels", bson::bson!([{ "a": value }]));
        for (field, document, json) in [
            (format!("$.{name} is "), at_top, format!(r#""{name}":{text}"#)),
            ("$.labels[0].a is ".to_owned(), inside, format!(r#""labels":[{{"a":{text}}}]"#)),
        ] {
            write_bson(&path("dump"), &Dump::from([("delivery_version", vec![document])]));
            let exported = path("delivery_version.json");
            fs::write(&exported, format!(r#"{{"_id":"r","created_at":5,{json}}}"#)).unwrap();
            for source in [path("dump"), exported] {
                let ran = run_on(&tables, &["import", source.to_str().unwrap()]).await;
                assert_eq!(ran.status, Some(1), "{name}: {ran:?}");
                assert!(ran.err.contains(&field) && ran.err.contains("which JSON cannot hold"), "{ran:?}");
            }
        }
    }
    assert_eq!(tables.get(ListReleases, "").await.body, "[]");
}

#[tokio::test]
async fn every_such_field_of_a_record_is_named_and_its_refusal_is_told_once() {
    let (tables, directory) = (Tables::empty().await, tempfile::tempdir().unwrap());
    let report = directory.path().join("report.out");
    let release_id = made_id(1, 1);
    let odd = doc! { "_id": release_id, "a": Bson::MinKey, "b": [f64::NAN, { "c": Bson::MaxKey }] };
    let deploys = (0..3).map(|number| doc! { "_id": made_id(3, number), "release_id": release_id });
    let deploys: Vec<_> = deploys.collect();
    let dump = Dump::from([("delivery_version", vec![odd]), ("delivery_deploy", deploys)]);
    write_bson(directory.path(), &dump);
    let arguments = [directory.path().to_str().unwrap(), "--report", report.to_str().unwrap()];
    for command in ["import", "verify"] {
        let ran = run_on(&tables, &[&[command], &arguments[..]].concat()).await;
        assert_eq!(ran.status, Some(1), "{ran:?}");
        let named = "$.a is MinKey, $.b[0] is NaN, $.b[1].c is MaxKey, which JSON cannot hold";
        assert_eq!(ran.err.matches(named).count(), 1, "{}", ran.err);
        let first = made_id(3, 0).to_hex();
        let held_back =
            format!("held back 3 of delivery_deploy, the first is {first}: its release was refused\n");
        assert!(ran.out.contains(&held_back) && !ran.out.contains("of delivery_version"), "{}", ran.out);
        let found = crate::zadig::report(&report);
        crate::zadig::assert_adds_up(&found);
        assert_eq!(found["refused"].as_array().unwrap().len(), 1);
        assert_eq!(found["held_back"].as_array().unwrap().len(), 3);
    }
}

#[tokio::test]
async fn dates_that_json_can_hold_are_kept_to_the_millisecond() {
    let (tables, directory) = (Tables::empty().await, tempfile::tempdir().unwrap());
    let date = |milliseconds| bson::DateTime::from_millis(milliseconds);
    let version = doc! {
        "_id": made_id(1, 1), "created_at": date(1_700_000_000_999), "first": date(-62_167_219_200_000),
        "last": date(253_402_300_799_999), "negative": date(-1),
    };
    write_bson(directory.path(), &Dump::from([("delivery_version", vec![version])]));
    let ran = run_on(&tables, &["import", directory.path().to_str().unwrap()]).await;
    assert_eq!(ran.status, Some(0), "{ran:?}");
    let found = tables.get(ListReleases, "").await.json()[0]["versionInfo"].clone();
    assert_eq!(found["created_at"], 1_700_000_000);
    assert_eq!(found["first"], "0000-01-01T00:00:00Z");
    assert_eq!(found["last"], "9999-12-31T23:59:59.999Z");
    assert_eq!(found["negative"], "1969-12-31T23:59:59.999Z");
}

/// A document with these text members, as MongoDB stores it, which may have a name twice.
fn bson_of(members: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    for (name, text) in members {
        bytes.push(2);
        bytes.extend(name.bytes().chain([0]));
        bytes.extend(i32::try_from(text.len() + 1).unwrap().to_le_bytes());
        bytes.extend(text.bytes().chain([0]));
    }
    bytes.push(0);
    let length = i32::try_from(bytes.len()).unwrap();
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    bytes
}

#[tokio::test]
async fn of_a_name_that_comes_twice_the_last_value_counts_at_the_first_place_in_every_format() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    fs::create_dir(path("dump")).unwrap();
    let members =
        [("_id", "r"), ("desc", "a"), ("x", "a"), ("version", "1"), ("y", "c"), ("desc", "b"), ("x", "b")];
    fs::write(path("dump/delivery_version.bson"), bson_of(&members)).unwrap();
    let text = |id: &str| {
        let members = members
            .iter()
            .map(|(name, text)| format!(r#""{}":"{text}""#, if *name == "_id" { id } else { name }));
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    };
    fs::write(path("delivery_version.json"), text("_id")).unwrap();
    fs::write(path("api.json"), format!(r#"{{"versionInfo":{}}}"#, text("id"))).unwrap();
    let newer = text("id")
        .replace(r#""version""#, r#""project_name":"a","services":[],"project_name":"p","version""#);
    fs::write(path("zadig4.json"), newer).unwrap();
    for source in ["dump", "delivery_version.json", "api.json", "zadig4.json"] {
        let tables = Tables::empty().await;
        let ran = run_on(&tables, &["import", &path(source)]).await;
        assert_eq!(ran.status, Some(0), "{source}: {ran:?}");
        let answer = tables.get(ListReleases, "").await.body;
        assert_eq!(answer.matches(r#""desc":"b""#).count(), 1, "{source}: {answer}");
        assert!(
            !answer.contains(r#""desc":"a""#) && answer.contains(r#""x":"b","y":"c""#),
            "{source}: {answer}"
        );
    }
}

#[tokio::test]
async fn of_a_name_that_comes_twice_in_what_record_reads_the_last_value_counts() {
    let (tables, directory) = (Tables::empty().await, tempfile::tempdir().unwrap());
    let path = directory.path().join("metadata.json");
    let digest = |digit: &str| format!("sha256:{}", digit.repeat(64));
    let metadata = format!(
        r#"{{"containerimage.digest":"{}","image.name":"reg/a:1","containerimage.digest":"{}","image.name":"reg/b:1"}}"#,
        digest("a"),
        digest("b")
    );
    fs::write(&path, metadata).unwrap();
    let build = ["record", "build", "--metadata-file", path.to_str().unwrap(), "--repo", "acme/shop"];
    let build = [&build[..], &["--branch", "main", "--commit", "1234567890"]].concat();
    let ran = run(tool(&tables.environment(), &build)).await;
    assert_eq!(ran.status, Some(0), "{ran:?}");
    let answer = tables.get(GetArtifact, "image=reg/b:1").await.json();
    assert_eq!(answer["image_digest"], digest("b"));
}

#[tokio::test]
async fn an_object_of_zadigs_is_an_artifact_only_if_it_names_what_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let nothing = doc! { "name": "n", "type": "image", "image": "", "image_tag": "1", "created_time": 5_i64 };
    for (member, is_artifact) in [
        (("other", "x"), false),
        (("image_hash", "x"), false),
        (("image", "reg/a:1"), true),
        (("image_digest", "sha256:ab"), true),
        (("package_file_location", "/p"), true),
        (("package_storage_uri", "s3://p"), true),
    ] {
        let mut document = doc! { "_id": made_id(6, 1) };
        document.extend(nothing.clone());
        document.insert(member.0, member.1);
        let activity = doc! { "_id": made_id(7, 1), "artifact_id": made_id(6, 1), "created_time": 5_i64 };
        let mut object = format!(r#"{{"id":"{}"}}"#, made_id(6, 1));
        let text = extended(&document.clone().into(), false);
        object.replace_range(object.len() - 1.., &text[text.find(',').unwrap()..]);
        write_bson(
            &directory.path().join("dump"),
            &Dump::from([("artifact", vec![document]), ("activity", vec![activity])]),
        );
        fs::write(path("artifact.json"), text).unwrap();
        fs::write(path("api.json"), object).unwrap();
        for source in ["dump", "artifact.json", "api.json"] {
            let tables = Tables::empty().await;
            for command in ["import", "verify"] {
                let ran = run_on(&tables, &[command, &path(source)]).await;
                assert_eq!(ran.status, Some(i32::from(!is_artifact)), "{member:?} in {source}: {ran:?}");
                let refused =
                    "it has no image, no image_digest and no package_file_location, so it is no artifact";
                assert_eq!(ran.err.contains(refused), !is_artifact, "{member:?} in {source}: {ran:?}");
                let held_back = "held back 1 of activity, the first is 070000000000000000000001: its artifact was refused";
                assert_eq!(ran.out.contains(held_back), !is_artifact && source == "dump", "{ran:?}");
            }
            assert_eq!(tables.dump(&tables.names.artifacts).await.is_empty(), !is_artifact);
        }
    }
}
