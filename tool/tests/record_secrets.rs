//! `record` stores, prints and logs no credential that comes in a URL, a repository or an image.

use std::path::Path;
use std::sync::Mutex;

use delivery_center_tool::embedded::EmbeddedDynamoDb;
use delivery_center_tool::table_definitions::definitions;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::running::tool;
use crate::support::Tables;

/// A text that is in every secret of this test, and nowhere else.
const MARK: &str = "s3cr3t";
const SECRET: &str = "[a-zA-Z0-9]{1,4}([-_.+~/?#@:=%]|%2F)?s3cr3t[A-Z0-9]{2,6}";

const IMAGE: &str = "registry.example.com/shop/cart:1";
const DIGEST: &str = "sha256:1d9ddf94feb5ff9ca9d76248ad51dd2a95210895d0dbf1e87bd66cc471c41f0e";

/// A place where a URL comes in: the arguments and variables, with `{}` for the URL, and whether a repository
/// is meant.
struct Place {
    arguments: &'static [&'static str],
    variables: &'static [(&'static str, &'static str)],
    is_of_repository: bool,
}

const fn argument(arguments: &'static [&'static str]) -> Place {
    Place { arguments, variables: &[], is_of_repository: false }
}

const fn variables(variables: &'static [(&'static str, &'static str)]) -> Place {
    Place { arguments: BUILD, variables, is_of_repository: true }
}

const BUILD: &[&str] =
    &["build", "--image", IMAGE, "--digest", DIGEST, "--branch", "main", "--commit", "4b15c43b"];

const PLACES: [Place; 18] = [
    argument(&["test", "--image", IMAGE, "{}"]),
    argument(&["test", "--image", IMAGE, "--started={}"]),
    Place {
        arguments: &[
            "build", "--image", IMAGE, "--digest", DIGEST, "--branch", "main", "--commit", "4b15c43b",
            "--repo", "{}",
        ],
        variables: &[],
        is_of_repository: true,
    },
    argument(&["deploy", "--image", IMAGE, "--env", "prod", "--url", "{}"]),
    argument(&["publish", "--image", IMAGE, "--host", "mirror.example.com", "--host", "{}"]),
    argument(&["publish", "--image", IMAGE, "--dist-storage-url", "{}"]),
    argument(&["publish", "--image", IMAGE, "--src-storage-url", "{}"]),
    argument(&["publish", "--image", IMAGE, "--remote-file-key", "{}"]),
    argument(&["test", "--image", "{}"]),
    argument(&["test", "--image", IMAGE, "--digest", "{}"]),
    argument(&["test", "--metadata-file", "{file}"]),
    argument(&["release", "--project", "shop", "--version", "1", "--service", "web={}"]),
    variables(&[
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_SERVER_URL", "{}"),
        ("GITHUB_REPOSITORY", "acme/shop"),
        ("GITHUB_RUN_ID", "7"),
    ]),
    variables(&[("GITHUB_ACTIONS", "true"), ("GITHUB_REPOSITORY", "{}"), ("GITHUB_RUN_ID", "7")]),
    variables(&[("GITLAB_CI", "true"), ("CI_SERVER_URL", "{}"), ("CI_PROJECT_PATH", "acme/shop")]),
    variables(&[("GITLAB_CI", "true"), ("CI_PROJECT_PATH", "{}")]),
    Place {
        is_of_repository: false,
        ..variables(&[("GITLAB_CI", "true"), ("CI_PROJECT_PATH", "acme/shop"), ("CI_JOB_URL", "{}")])
    },
    Place {
        is_of_repository: false,
        ..variables(&[
            ("JENKINS_URL", "x"),
            ("GIT_URL", "https://git.example.com/acme/shop"),
            ("BUILD_URL", "{}"),
        ])
    },
];

/// How a secret comes in a URL. Those at the end are only for repositories.
const FORMS: [&str; 18] = [
    "https://user:{}@git.example.com/acme/shop.git",
    "https://{}@git.example.com/acme/shop.git",
    "https:/user:{}@git.example.com/acme/shop.git",
    "https:user:{}@git.example.com/acme/shop.git",
    "//user:{}@git.example.com/acme/shop.git",
    "user:{}@git.example.com/acme/shop",
    "user:{}@git.example.com:acme/shop.git",
    "{}@mirror.example.com",
    "ssh://git:{}@git.example.com:22/acme/shop.git",
    "https://proxy.example.com/https://user:{}@git.example.com/acme/shop.git",
    "https://git.example.com/acme/shop?access_token={}",
    "https://git.example.com/acme/shop?page=1&X-Amz-Signature={}&b=2",
    "https://git.example.com/acme/shop#access_token={}",
    "git.example.com/acme/shop?api_key={}",
    "https://git.example.com/acme/shop?back=https://user:{}@git.example.com/",
    "https://git.example.com/acme/shop#{}",
    "https://git.example.com/acme/shop?{}",
    "acme/shop?{}#{}",
];
const FORMS_OF_REPOSITORIES: usize = 3;

#[test]
fn a_secret_in_a_url_is_neither_stored_nor_printed_nor_logged() {
    let directory = tempfile::tempdir().unwrap();
    let embedded =
        EmbeddedDynamoDb::start("127.0.0.1:0".parse().unwrap(), Some(&directory.path().join("data")))
            .unwrap();
    let tables = Tables::missing().through(&embedded.endpoint_url());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for table in definitions(&tables.names).unwrap() {
        runtime.block_on(table.create(&tables.client)).unwrap();
    }
    let mut texts = Vec::new();
    for place in &PLACES {
        let others = if place.is_of_repository { 0 } else { FORMS_OF_REPOSITORIES };
        texts.extend(FORMS[..FORMS.len() - others].iter().map(|form| (place, *form)));
    }
    let count = texts.len();
    let config = Config { cases: 1, failure_persistence: None, ..Config::default() };
    let secrets = proptest::collection::vec(SECRET, count);
    TestRunner::new(config)
        .run(&secrets, |secrets| {
            let work: Mutex<Vec<_>> = Mutex::new(texts.iter().copied().zip(&secrets).collect());
            let recorded = Mutex::new(0);
            std::thread::scope(|scope| {
                for worker in 0..4 {
                    let (work, recorded, tables) = (&work, &recorded, &tables);
                    let file = directory.path().join(format!("metadata-{worker}.json"));
                    scope.spawn(move || {
                        loop {
                            let Some(((place, form), secret)) = work.lock().unwrap().pop() else { break };
                            let is_recorded = record(tables, place, &form.replace("{}", secret), &file);
                            *recorded.lock().unwrap() += usize::from(is_recorded);
                        }
                        std::fs::remove_file(&file).unwrap_or_default();
                    });
                }
            });
            let recorded = recorded.into_inner().unwrap();
            prop_assert!(recorded > count / 3, "{recorded} of {count} were recorded");
            Ok(())
        })
        .unwrap();
    let exported = tool(&tables.environment(), &["export"]).output().unwrap();
    assert!(exported.status.success() && exported.stdout.len() > 1000);
    assert_without_secrets(&exported.stdout, "what is stored");
    let mut bytes = 0;
    for file in std::fs::read_dir(directory.path()).unwrap() {
        let data = std::fs::read(file.unwrap().path()).unwrap();
        assert_without_secrets(&data, "the database");
        bytes += data.len();
    }
    assert!(bytes > 10_000, "the database was read");
}

/// Records a fact with a URL in a place, and tells whether it was taken.
fn record(tables: &Tables, place: &Place, url: &str, file: &Path) -> bool {
    let metadata = serde_json::json!({ "containerimage.digest": DIGEST, "image.name": url });
    std::fs::write(file, metadata.to_string()).unwrap();
    let filled = |argument: &str| argument.replace("{file}", file.to_str().unwrap()).replace("{}", url);
    let arguments: Vec<String> = std::iter::once("record".to_owned())
        .chain(place.arguments.iter().map(|argument| filled(argument)))
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut command = tool(&tables.environment(), &arguments);
    command.envs(place.variables.iter().map(|(name, value)| (*name, filled(value)))).env("RUST_LOG", "trace");
    let ran = command.output().unwrap();
    let said = format!("what `{}` says", arguments.join(" "));
    assert_without_secrets(&ran.stdout, &said);
    assert_without_secrets(&ran.stderr, &said);
    assert!(matches!(ran.status.code(), Some(0..=2)), "{said}: {}", String::from_utf8_lossy(&ran.stderr));
    ran.status.success()
}

fn assert_without_secrets(bytes: &[u8], what: &str) {
    if let Some(place) = bytes.windows(MARK.len()).position(|window| window == MARK.as_bytes()) {
        let around = &bytes[place.saturating_sub(200)..bytes.len().min(place + 100)];
        panic!("{what} holds a secret: {}", String::from_utf8_lossy(around));
    }
}
