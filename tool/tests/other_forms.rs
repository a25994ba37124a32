//! Files in forms that are not read, and files of the delivery centre that are not known: each is told by its
//! name, and none is success.

use std::fs;
use std::io::Write as _;

use bson::doc;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::running::{run_on, run_with_input, tool};
use crate::support::{Tables, artifact, release};
use crate::zadig_collections::{shop, write_bson};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// What `tar` writes of a directory: a header of 512 bytes for each file.
fn tar() -> Vec<u8> {
    let mut header = vec![0; 512];
    header[..11].copy_from_slice(b"dump/zadig/");
    header[257..262].copy_from_slice(b"ustar");
    [header, b"{}\n{}\n".to_vec(), vec![0; 1024]].concat()
}

/// A text as UTF-16, with its mark.
fn utf_16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(bytes).collect()
}

/// A text as UTF-32, with its mark.
fn utf_32(text: &str, bytes: fn(u32) -> [u8; 4]) -> Vec<u8> {
    ['\u{feff}'].into_iter().chain(text.chars()).flat_map(|char| bytes(char.into())).collect()
}

/// Bytes of no form; always the same ones.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 7_u32;
    let step = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(step).take(length).collect()
}

fn forms() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let record = release("r", 1).to_string();
    let lines = format!("{record}\n{record}\n");
    let bson = doc! { "_id": "r", "created_at": 1_i64 }.to_vec().unwrap();
    vec![
        ("dump.tar", tar(), "is a tar archive; unpack it"),
        ("dump.tar.gz", gzip(&tar()), "is a tar archive; unpack it"),
        ("dump.zip", b"PK\x03\x04\x14\0\0\0".to_vec(), "is a zip archive; unpack it"),
        ("twice.json.gz", gzip(&gzip(lines.as_bytes())), "is compressed with gzip twice; decompress it"),
        ("records.json.zst", b"\x28\xb5\x2f\xfd\x04\x58\n\n".to_vec(), "is compressed with zstd"),
        ("records.json.xz", b"\xfd7zXZ\0\0\x04".to_vec(), "is compressed with xz"),
        ("records.json.bz2", b"BZh91AY&SY".to_vec(), "is compressed with bzip2"),
        (
            "little.json",
            utf_16(&lines, u16::to_le_bytes),
            "is UTF-16, as PowerShell's > writes it; write UTF-8",
        ),
        ("big.json", utf_16(&lines, u16::to_be_bytes), "is UTF-16, as PowerShell's > writes it; write UTF-8"),
        ("little-bare.json", utf_16(&lines, u16::to_le_bytes)[2..].to_vec(), "is UTF-16, as PowerShell's"),
        ("big-bare.json", utf_16(&lines, u16::to_be_bytes)[2..].to_vec(), "is UTF-16, as PowerShell's"),
        ("little-32.json", utf_32(&lines, u32::to_le_bytes), "is UTF-32; "),
        ("big-32.json", utf_32(&lines, u32::to_be_bytes), "is UTF-32; "),
        ("little-32-bare.json", utf_32(&lines, u32::to_le_bytes)[4..].to_vec(), "is UTF-32; "),
        ("big-32-bare.json", utf_32(&lines, u32::to_be_bytes)[4..].to_vec(), "is UTF-32; "),
        ("noise.json", noise(200_000), "is no text in UTF-8, and no other form that is known; "),
        ("noise.json.gz", gzip(&noise(200_000)), "is no text in UTF-8, and"),
        (
            "page.pdf",
            b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n".to_vec(),
            "is no text in UTF-8, and",
        ),
        ("zadig.sqlite", b"SQLite format 3\0\x10\0\x01\x01\0\n\n".to_vec(), "is no text in UTF-8, and"),
        ("login.json", b"<!DOCTYPE html>\n<html>\n</html>\n".to_vec(), "is HTML or XML, and no JSON"),
        ("versions.csv", b"_id,version\n1,2\n".to_vec(), "is CSV; export JSON instead"),
        ("api.csv", b"id,version\r\n1,2\r\n".to_vec(), "is CSV; export JSON instead"),
        (
            "quoted.csv",
            b"\xef\xbb\xbf\"version\",\"product_env_info.env_name\"\n1,2\n".to_vec(),
            "is CSV; export JSON",
        ),
        ("versions.dat", bson, "is not named after its collection"),
        (
            "mongo.txt",
            b"{ \"_id\" : ObjectId(\"619dbaa8c528c2182225e8d9\"), \"version\" : \"1\" }\n{ \"_id\" : 1 }\n"
                .to_vec(),
            "is what MongoDB's shell prints, and no JSON; use mongoexport or mongodump",
        ),
        (
            "mongosh.txt",
            b"[\n  {\n    _id: 'r',\n    created: ISODate('2022-06-01T00:00:00.000Z')\n  }\n]\n".to_vec(),
            "is what MongoDB's shell prints, and no JSON; use mongoexport or mongodump",
        ),
    ]
}

#[tokio::test]
async fn a_file_in_another_form_is_called_by_its_name_in_one_line() {
    let (tables, directory) = (Tables::empty().await, tempfile::tempdir().unwrap());
    for (name, bytes, said) in forms() {
        let path = directory.path().join(name);
        fs::write(&path, &bytes).unwrap();
        let path = path.to_str().unwrap();
        for command in ["import", "verify"] {
            let ran = run_on(&tables, &[command, path]).await;
            assert_eq!(ran.status, Some(1), "{name}: {ran:?}");
            assert!(
                ran.err.starts_with(&format!("error: {path} ")) && ran.err.contains(said),
                "{name}: {ran:?}"
            );
            assert_eq!((ran.err.lines().count(), ran.out.as_str()), (1, ""), "{name}: {ran:?}");
        }
        let ran = run_with_input(tool(&tables.environment(), &["import", "-"]), &bytes).await;
        assert_eq!(ran.status, Some(1), "{name}: {ran:?}");
        assert!(ran.err.starts_with("error: standard input ") && ran.err.contains(said), "{name}: {ran:?}");
    }
}

#[tokio::test]
async fn a_collections_file_in_another_form_is_called_by_its_name_too() {
    let tables = Tables::empty().await;
    for (name, bytes, said) in forms() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("delivery_version.json"), &bytes).unwrap();
        let ran = run_on(&tables, &["import", directory.path().to_str().unwrap()]).await;
        assert_eq!(ran.status, Some(1), "{name}: {ran:?}");
        assert!(ran.err.contains("delivery_version.json ") && ran.err.contains(said), "{name}: {ran:?}");
        assert_eq!(ran.err.lines().count(), 1, "{name}: {ran:?}");
        // Under this name, what no BSON begins with is told.
        if name.starts_with("dump.")
            || name.starts_with("twice.")
            || name.contains("zst")
            || name.contains("xz")
        {
            fs::rename(
                directory.path().join("delivery_version.json"),
                directory.path().join("artifact.bson"),
            )
            .unwrap();
            let ran = run_on(&tables, &["import", directory.path().to_str().unwrap()]).await;
            assert_eq!(ran.status, Some(1), "{name}: {ran:?}");
            assert!(ran.err.contains("artifact.bson ") && ran.err.contains(said), "{name}: {ran:?}");
        }
    }
}

/// Under such a name it is no collection of a newer Zadig.
#[tokio::test]
async fn a_file_of_the_delivery_centre_in_another_form_is_called_by_its_name_in_a_directory() {
    let tables = Tables::empty().await;
    for (name, bytes, said) in forms().into_iter().filter(|(name, ..)| *name != "versions.dat") {
        let directory = tempfile::tempdir().unwrap();
        write_bson(directory.path(), &shop(1));
        let extension = name.split_once('.').unwrap().1;
        let path = directory.path().join(format!("delivery_versions.{extension}"));
        fs::write(&path, &bytes).unwrap();
        for command in ["import", "verify"] {
            let ran = run_on(&tables, &[command, directory.path().to_str().unwrap()]).await;
            assert_eq!(ran.status, Some(1), "{name}: {ran:?}");
            assert!(ran.err.starts_with(&format!("error: {} ", path.display())), "{name}: {ran:?}");
            assert!(ran.err.contains(said) && ran.err.lines().count() == 1, "{name}: {ran:?}");
        }
    }
}

/// The first record is spoiled where it begins; the others are stored.
#[tokio::test]
async fn records_behind_bytes_that_are_no_text_are_read() {
    let (tables, directory) = (Tables::empty().await, tempfile::tempdir().unwrap());
    let path = directory.path().join("records.jsonl");
    for spoiled in [&b"\0\0\0\0\0\0"[..], b"\xe4\xf6\xfc{", b"{\x01"] {
        let lines = format!("\"\n{}\n{}\n", release("r", 1), release("s", 2));
        fs::write(&path, [spoiled, lines.as_bytes()].concat()).unwrap();
        let ran = run_on(&tables, &["import", path.to_str().unwrap()]).await;
        assert_eq!(ran.status, Some(1), "{ran:?}");
        assert!(ran.out.contains("read 3, ") && ran.out.contains("refused 1"), "{ran:?}");
    }
}

/// Records that look like another form, and are none.
#[tokio::test]
async fn what_only_looks_like_another_form_is_read() {
    let (tables, directory) = (Tables::empty().await, tempfile::tempdir().unwrap());
    let mut shell = artifact("a", "registry/cart:1", "", 1);
    shell["activities"] =
        serde_json::json!([{ "content": "ObjectId(\"1\"), ISODate('2')", "created_time": 1 }]);
    let path = directory.path().join("records.jsonl");
    fs::write(&path, format!("{shell}\n{}\n", release("r", 1))).unwrap();
    let ran = run_on(&tables, &["import", path.to_str().unwrap()]).await;
    assert_eq!(ran.status, Some(0), "{ran:?}");
    // The length of a first document may be the two bytes that gzip files begin with.
    let empty = doc! { "_id": "r", "created_at": 1_i64, "desc": "" }.to_vec().unwrap().len();
    for length in [0x8b1f_usize, 0xfeff] {
        let text = "x".repeat(length - empty);
        let document = doc! { "_id": "r", "created_at": 1_i64, "desc": text }.to_vec().unwrap();
        assert_eq!(document.len(), length);
        let path = directory.path().join("delivery_version.bson");
        fs::write(&path, document).unwrap();
        let ran = run_on(&Tables::empty().await, &["import", path.to_str().unwrap()]).await;
        assert_eq!(ran.status, Some(0), "{ran:?}");
    }
}

#[tokio::test]
async fn a_part_of_the_delivery_centre_that_is_not_known_is_named_and_never_success() {
    let (tables, directory) = (Tables::empty().await, tempfile::tempdir().unwrap());
    let path = |name: &str| directory.path().join("zadig").join(name);
    let mut dump = shop(1);
    dump.insert("user", vec![doc! { "_id": 1 }]);
    write_bson(&path(""), &dump);
    fs::write(path("workflow_task.json"), r#"{"_id":{"$oid":"619dbaa8c528c2182225e8d9"}}"#).unwrap();
    fs::write(path("prelude.json.gz"), "{}").unwrap();
    let dump = directory.path().to_str().unwrap();
    let ran = run_on(&tables, &["import", dump]).await;
    assert_eq!(ran.status, Some(0), "{ran:?}");
    assert!(ran.err.contains("note: 2 other collections"), "{}", ran.err);
    for name in [
        "delivery_version_v3.bson",
        "zadig.delivery_security.json",
        "delivery_builds.jsonl.gz",
        "artifact.csv",
        "delivery_deploy.bson.bz2",
        "delivery_test",
    ] {
        fs::write(path(name), "").unwrap();
        for command in ["import", "verify"] {
            let ran = run_on(&tables, &[command, dump]).await;
            assert_eq!(ran.status, Some(1), "{name}: {ran:?}");
            let named = format!("{name}: its name says that it is of Zadig's delivery centre");
            assert!(ran.err.contains(&named) && ran.err.contains("note: 2 other"), "{name}: {ran:?}");
            assert!(!ran.out.contains("nothing was lost"), "{name}: {ran:?}");
        }
        fs::remove_file(path(name)).unwrap();
    }
    assert_eq!(run_on(&tables, &["verify", dump]).await.status, Some(0));
    // Alone, and in a directory with nothing else.
    fs::create_dir(directory.path().join("alone")).unwrap();
    let alone = directory.path().join("alone/delivery_version_v3.bson");
    fs::copy(path("user.bson"), &alone).unwrap();
    for source in [alone.as_path(), alone.parent().unwrap()] {
        let ran = run_on(&tables, &["import", source.to_str().unwrap()]).await;
        assert!(
            ran.status == Some(1) && ran.err.contains("delivery_version_v3.bson: its name says"),
            "{ran:?}"
        );
    }
}
