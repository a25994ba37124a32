//! The tool as its users run it: what it reads, what it says, and which exit status it ends with.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use delivery_center::endpoint::Endpoint::{GetArtifact, ListReleases};
use delivery_center::store::TableNames;
use delivery_center_tool::table_definitions::definitions;
use serde_json::Value;

use crate::running::{run, run_on, run_with_input, tool};
use crate::support::faulty::{Fault, FaultyProxy};
use crate::support::wire::{FaultyWire, WireFault};
use crate::support::{Answer, SAMPLES, Tables, get_event, release};

#[tokio::test]
async fn tables_are_created_once_and_others_of_their_name_are_refused() {
    let tables = Tables::missing();
    let create = async |tables: &Tables| run_on(tables, &["tables", "create"]).await;
    let (releases, artifacts) = (&tables.names.releases, &tables.names.artifacts);
    let created = create(&tables).await;
    assert_eq!(created.status, Some(0));
    assert_eq!(created.out, format!("created {releases}\ncreated {artifacts}\n"));
    let again = create(&tables).await;
    assert_eq!(again.status, Some(0));
    assert_eq!(again.out, format!("{releases} is already there\n{artifacts} is already there\n"));
    assert_eq!(tables.import(SAMPLES).await.stored, 37);

    // The releases' table under the artifacts' name: other keys, another index.
    let other = Tables::missing().through(&tables.endpoint_url);
    let swapped =
        TableNames { releases: other.names.artifacts.clone(), artifacts: other.names.releases.clone() };
    for table in definitions(&swapped).unwrap() {
        table.create(&tables.client).await.unwrap();
    }
    let refused = create(&other).await;
    assert_eq!(refused.status, Some(1));
    assert!(
        refused.err.contains("another schema") && refused.err.contains(&other.names.releases),
        "{refused:?}"
    );
}

#[tokio::test]
async fn import_reads_files_and_standard_input_and_says_what_it_did() {
    let tables = Tables::empty().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("releases.json");
    std::fs::write(&file, format!("[{},{}]", release("a", 1), release("b", 2))).unwrap();
    let import = async |arguments: &[&str], input: &str| {
        let arguments = [&["import"], arguments, &[file.to_str().unwrap()]].concat();
        run_with_input(tool(&tables.environment(), &arguments), input).await
    };
    let dry = import(&["--dry-run", "-"], SAMPLES).await;
    assert_eq!(dry.status, Some(0));
    assert!(dry.out.contains("nothing was written"), "{dry:?}");
    assert_eq!(tables.dump(&tables.names.releases).await.len(), 0);
    let stored = import(&["-"], SAMPLES).await;
    assert_eq!(stored.status, Some(0));
    assert!(stored.out.starts_with("read 40, stored 39, unchanged 0, deleted 1, refused 0"), "{stored:?}");
    assert_eq!(stored.err, "");
    let bad = import(&["-"], r#"{"versionInfo":{"id":7}}"#).await;
    assert_eq!(bad.status, Some(1));
    assert!(bad.out.starts_with("read 3, stored 0, unchanged 2, deleted 0, refused 1"), "{bad:?}");
    assert_eq!(
        bad.err,
        "refused standard input line 1: $.versionInfo.id: expected a non-empty string, found a number\n"
    );
}

#[tokio::test]
async fn what_is_copied_from_a_pipe_has_no_name_and_does_not_outlive_the_tool() {
    let tables = Tables::empty().await;
    // INT is not among them: shells start background processes with that signal ignored, and their children
    // inherit that.
    for (source, signal) in [("-", "TERM"), ("-", "KILL"), ("/dev/stdin", "TERM")] {
        let folder = tempfile::tempdir().unwrap();
        let names = || std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut command = tool(&tables.environment(), &["import", source]);
        let mut child = command.env("TMPDIR", folder.path()).stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // More than a pipe holds: once it is written, the tool has begun to read.
        for _ in 0..100 {
            writeln!(stdin, "{}", release("a", 1)).unwrap();
            stdin.write_all(&b" ".repeat(100_000)).unwrap();
        }
        assert_eq!(names().collect::<Vec<_>>(), Vec::<std::path::PathBuf>::new(), "while {source} is read");
        let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        assert!(!child.wait().unwrap().success());
        assert_eq!(names().count(), 0, "after {signal}");
    }
}

#[tokio::test]
async fn an_import_that_takes_long_tells_how_far_it_is() {
    let tables = Tables::empty().await;
    let mut import = tool(&tables.environment(), &["import", "-"]);
    let import = import.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = import.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(SAMPLES.as_bytes()).unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let (status, err) = tokio::task::spawn_blocking(move || {
        let mut err = String::new();
        // Its input does not end before it has said something.
        stderr.read_line(&mut err).unwrap();
        drop(stdin);
        stderr.read_to_string(&mut err).unwrap();
        (child.wait().unwrap(), err)
    })
    .await
    .unwrap();
    assert_eq!(status.code(), Some(0), "{err}");
    assert!(err.starts_with("reading: ") && err.contains("KiB"), "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
}

#[tokio::test]
async fn what_keeps_an_import_from_working_is_said_with_its_exit_status() {
    let tables = Tables::missing();
    let missing_file = run_on(&tables, &["import", "/no/such/file.json"]).await;
    assert_eq!(missing_file.status, Some(1));
    assert!(missing_file.err.contains("/no/such/file.json"), "{missing_file:?}");
    let import = async |environment: &[_]| run_with_input(tool(environment, &["import", "-"]), SAMPLES).await;
    let missing_table = import(&tables.environment()).await;
    assert_eq!(missing_table.status, Some(1));
    let said = &missing_table.err;
    assert!(said.contains(&tables.names.releases) && said.contains("does not exist"), "{said}");
    assert!(!said.contains("run it again"), "that would not help: {said}");
    let nowhere = tables.through("http://127.0.0.1:9").environment();
    let unreachable = import(&nowhere).await;
    assert_eq!(unreachable.status, Some(4), "{unreachable:?}");
    assert!(unreachable.err.contains("run it again"), "{unreachable:?}");
    let uncreated = run(tool(&nowhere, &["tables", "create"])).await;
    assert_eq!(uncreated.status, Some(4), "{uncreated:?}");
    let environment: Vec<_> =
        tables.environment().into_iter().filter(|(name, _)| *name != "AWS_REGION").collect();
    let no_region = import(&environment).await;
    assert_eq!(no_region.status, Some(1));
    assert!(no_region.err.contains("AWS_REGION"), "{no_region:?}");
    assert_eq!(run(tool(&[], &["import"])).await.status, Some(2));
}

#[tokio::test]
async fn arguments_that_cannot_be_used_end_with_2_whatever_the_command() {
    let environment = Tables::missing().environment();
    for arguments in [
        &["--no-such-option"][..],
        &["no-such-command"],
        &["import"],
        &["import", "--dry-run", "--rewrite", "x"],
        &["import", "--zadig", "https://zadig.example.com", "x"],
        &["import", "--zadig", "ftp://zadig.example.com"],
        &["import", "--zadig", "https://user:password@zadig.example.com"],
        &["verify", "--zadig", "https://zadig.example.com/?a=b"],
        &["verify", "--per-page", "0", "--zadig", "https://zadig.example.com"],
        &["export", "--image", "sha256:zz"],
        &["export", "--image", "reg/cart@sha256:zz"],
        &["export", "--task", "abc"],
        &["export", "--artifacts", "--project", "p"],
        &["export", "--releases", "--image", "reg/cart:1"],
        &["reindex", "--dry-run=maybe"],
        &["tables"],
        &["tables", "drop"],
        &["invoke", "no-such-function", "--event", "-"],
        &["serve", "--listen", "nowhere"],
        &["browse", "--listen", "nowhere"],
        &["browse", "--listen", "0.0.0.0:0"],
        &["releases", "--limit", "0"],
        &["releases", "--commit", "no-commit"],
        &["artifact", "--commit", "no-commit"],
        &["artifact", "--env", "prod", "reg/cart:1"],
        &["diff", "--project", "p", "1"],
        &["record", "deploy", "--no-such-option"],
        &["record", "deploy", "--image", "reg/cart:1", "--env", "prod", "--ended", "yesterday"],
        &["record", "release", "--project", "p", "--version", "v", "--task", "abc", "--service", "a=b:1"],
    ] {
        let ran = run(tool(&environment, arguments)).await;
        assert_eq!(ran.status, Some(2), "{arguments:?}: {ran:?}");
        assert!(!ran.err.is_empty() && !ran.err.contains("password"), "{arguments:?}: {ran:?}");
    }
    let mut writes = tool(&environment, &["export"]);
    writes.env("DYNAMODB_TRANSACTION_WRITES", "many");
    assert_eq!(run(writes).await.status, Some(2));
    let refused =
        run(tool(&environment, &["record", "deploy", "--image", "reg/cart", "--env", "prod"])).await;
    assert_eq!(refused.status, Some(1), "{refused:?}");
}

/// The help has the statuses from the code. What the page adds is what to do.
#[tokio::test]
async fn the_page_has_the_exit_statuses_of_the_help() {
    let help = run(tool(&[], &["--help"])).await.out;
    let shown: Vec<_> = help.split("Exit status:\n").nth(1).unwrap().lines().collect();
    let page = include_str!("../../docs/operating.md");
    let rows = page.split("## Exit statuses\n").nth(1).unwrap().lines();
    let rows: Vec<_> = rows.skip_while(|line| !line.starts_with("| ---")).skip(1).collect();
    assert_eq!(shown.len(), 6, "{help}");
    for (line, row) in shown.iter().zip(rows) {
        let (status, meaning) = line.trim().split_once(' ').unwrap();
        let begins = format!("| {status} | {} |", meaning.trim());
        assert!(row.starts_with(&begins), "the help says {begins}, and the page {row}");
    }
}

#[tokio::test]
async fn a_command_that_is_interrupted_ends_with_130() {
    let interrupted = async |mut tool: Command, waits: std::net::TcpListener| {
        let child = tool.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        tokio::task::spawn_blocking(move || {
            // It waits for an answer once it has connected, and for more of its input where that has begun.
            let _connection = waits.accept().unwrap();
            assert!(
                Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status().unwrap().success()
            );
            let ran = child.wait_with_output().unwrap();
            (ran.status.code(), String::from_utf8(ran.stderr).unwrap())
        })
        .await
        .unwrap()
    };
    let sample = format!("{}/../samples/reference-release.json", env!("CARGO_MANIFEST_DIR"));
    for arguments in [
        &["import", "-"][..],
        &["import", &sample],
        &["verify", &sample],
        &["export"],
        &["reindex"],
        &["doctor"],
        &["tables", "create"],
        &["releases"],
        &["record", "deploy", "--image", "reg/cart:1", "--env", "prod"],
    ] {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", silent.local_addr().unwrap());
        let command = tool(&Tables::missing().through(&endpoint).environment(), arguments);
        let (status, err) = interrupted(command, silent).await;
        assert_eq!(status, Some(130), "{arguments:?}: {err}");
        assert!(err.ends_with("running it again is safe\n"), "{arguments:?}: {err}");
    }
    // A pipe that nobody writes to is read on a thread that nothing else can end.
    let tables = Tables::empty().await;
    let mut import = tool(&tables.environment(), &["import", "-"]);
    let mut child =
        import.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // More than a pipe holds: once it is written, the tool reads.
    stdin.write_all(&b" ".repeat(1 << 20)).unwrap();
    assert!(Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[tokio::test]
async fn an_endpoint_that_is_no_url_and_missing_credentials_are_told_before_anything_is_asked() {
    let environment = Tables::missing().environment();
    let commands = [
        &["export"][..],
        &["releases"],
        &["doctor"],
        &["tables", "create"],
        &["record", "deploy", "--image", "reg/cart:1", "--env", "prod"],
    ];
    for arguments in commands {
        for endpoint in ["", "127.0.0.1:8000", "nonsense", "ftp://127.0.0.1:8000"] {
            let mut command = tool(&environment, arguments);
            command.env("AWS_ENDPOINT_URL_DYNAMODB", endpoint);
            let ran = run(command).await;
            assert_eq!(ran.status, Some(2), "{endpoint} {arguments:?}: {ran:?}");
            let said = "error: AWS_ENDPOINT_URL_DYNAMODB is no URL: give one such as http://127.0.0.1:8000, or unset it\n";
            assert!(ran.err.ends_with(said), "{endpoint} {arguments:?}: {ran:?}");
            assert_eq!(ran.err.lines().count(), 1, "{endpoint} {arguments:?}: {ran:?}");
        }
        for (variable, value) in [
            ("AWS_MAX_ATTEMPTS", "x"),
            ("AWS_MAX_ATTEMPTS", "0"),
            ("AWS_RETRY_MODE", "foo"),
            ("RELEASES_TABLE", "a b"),
            ("ARTIFACTS_TABLE", "x"),
        ] {
            let mut command = tool(&environment, arguments);
            command.env(variable, value);
            let ran = run(command).await;
            assert_eq!(ran.status, Some(2), "{variable} {arguments:?}: {ran:?}");
            assert!(ran.err.starts_with(&format!("error: {variable} is n")), "{arguments:?}: {ran:?}");
        }
        for (setting, said) in [
            ("max_attempts = 0", "max_attempts of the AWS profile ours is no number from 1 on"),
            ("max_attempts = x", "max_attempts of the AWS profile ours is no number from 1 on"),
            ("retry_mode = foo", "retry_mode of the AWS profile ours is neither standard nor adaptive"),
        ] {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            write!(file, "[profile ours]\n{setting}\n[default]\nretry_mode = bar\n").unwrap();
            let mut command = tool(&environment, arguments);
            command.env("AWS_CONFIG_FILE", file.path()).env("AWS_PROFILE", "ours");
            let ran = run(command).await;
            assert_eq!((ran.status, ran.err), (Some(2), format!("error: {said}\n")), "{arguments:?}");
        }
        let mut command = tool(&environment, arguments);
        command
            .env_remove("AWS_ACCESS_KEY_ID")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("HOME", "/nonexistent");
        let ran = run(command).await;
        assert_eq!(ran.status, Some(1), "{arguments:?}: {ran:?}");
        assert!(
            ran.err.contains("error: there are no AWS credentials that can be used"),
            "{arguments:?}: {ran:?}"
        );
        assert!(!ran.err.contains("not certain"), "{arguments:?}: {ran:?}");
    }
}

#[tokio::test]
async fn a_region_that_is_empty_or_no_regions_name_is_told_before_anything_is_asked() {
    let environment = Tables::missing().environment();
    let commands = [
        &["export"][..],
        &["releases"],
        &["doctor"],
        &["tables", "create"],
        &["record", "deploy", "--image", "reg/cart:1", "--env", "prod"],
    ];
    let with_region = async |arguments: &[&str], region: Option<&str>| {
        let mut command = tool(&environment, arguments);
        match region {
            Some(region) => command.env("AWS_REGION", region),
            None => command.env_remove("AWS_REGION"),
        };
        // Nothing answers there, so that a request would take its time.
        command.env("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9").env("HOME", "/nonexistent");
        run(command).await
    };
    for arguments in commands {
        let missing = with_region(arguments, None).await;
        assert!(missing.status == Some(1) && missing.err.contains("set AWS_REGION, or"), "{missing:?}");
        let empty = with_region(arguments, Some("")).await;
        assert_eq!((empty.status, &empty.err), (missing.status, &missing.err), "{arguments:?}");
        for region in ["us east 1", "us-east-1/", "eu_west_1", "-"] {
            let ran = with_region(arguments, Some(region)).await;
            let said = format!("error: the AWS region {region:?} is no region's name: set AWS_REGION,");
            assert!(ran.status == Some(2) && ran.err.starts_with(&said), "{arguments:?}: {ran:?}");
            assert_eq!(ran.err.lines().count(), 1, "{arguments:?}: {ran:?}");
        }
    }
    // A name that no region has is not known before its host is looked for.
    let mut misspelt = tool(&environment, &["releases"]);
    misspelt.env_remove("AWS_ENDPOINT_URL_DYNAMODB").env("AWS_REGION", "us-nowhere-1");
    let ran = run(misspelt).await;
    assert!(
        ran.status == Some(4) && ran.err.contains("by the region us-nowhere-1: look at AWS_REGION"),
        "{ran:?}"
    );
}

#[tokio::test]
async fn a_proxy_in_the_way_is_named_without_its_credentials() {
    let tables = Tables::empty().await;
    let loopback = tables.environment();
    let elsewhere: Vec<_> =
        loopback.iter().filter(|(name, _)| *name != "AWS_ENDPOINT_URL_DYNAMODB").cloned().collect();
    // It answers every request with an error of its own.
    let answering = FaultyWire::start("", |_, _| WireFault::Error(403, "", "made up")).await;
    let answering = answering.endpoint_url.strip_prefix("http://").unwrap();
    let commands = [&["releases"][..], &["doctor"], &["export"]];
    for (environment, variable, host) in [
        (&loopback, "HTTP_PROXY", "127.0.0.1"),
        (&loopback, "http_proxy", "127.0.0.1"),
        (&loopback, "ALL_PROXY", "127.0.0.1"),
        (&elsewhere, "HTTPS_PROXY", "dynamodb.us-east-1.amazonaws.com"),
        (&elsewhere, "all_proxy", "dynamodb.us-east-1.amazonaws.com"),
    ] {
        for (address, status) in [("127.0.0.1:9", 4), (answering, if host == "127.0.0.1" { 1 } else { 4 })] {
            let asked = commands.map(|arguments| {
                let mut command = tool(environment, arguments);
                command.env(variable, format!("http://user:secret@{address}"));
                run(command)
            });
            for ran in futures_util::future::join_all(asked).await {
                let said = format!(
                    "requests to {host} go through the proxy http://{address}, which {variable} names; to go past it, \
                     name that host in NO_PROXY\n"
                );
                assert_eq!(ran.status, Some(status), "{variable} {address}: {ran:?}");
                assert!(ran.err.ends_with(&said) && !ran.err.contains("secret"), "{variable}: {ran:?}");
            }
        }
    }
    let mut past = tool(&loopback, &["export"]);
    past.env("HTTP_PROXY", "http://127.0.0.1:9").env("NO_PROXY", "127.0.0.1");
    assert_eq!(run(past).await.status, Some(0));
}

#[tokio::test]
async fn a_proxy_in_the_way_to_zadig_is_named_without_its_credentials() {
    let tables = Tables::empty().await;
    // It answers every request with an error of its own.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let answering = listener.local_addr().unwrap().to_string();
    let router = Router::new().fallback(async || StatusCode::FORBIDDEN);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let through = async |command: &str, url: &str, proxies: &[(&str, &str)], past: &str| {
        let mut command = tool(&tables.environment(), &[command, "--zadig", url, "--timeout", "1"]);
        command.env("ZADIG_TOKEN", "t").env("NO_PROXY", format!("127.0.0.1{past}"));
        command.envs(proxies.iter().map(|(name, address)| (*name, format!("http://user:secret@{address}"))));
        run(command).await
    };
    let (nobody, url) = ("127.0.0.1:9", "http://zadig.example.com");
    for (proxies, variable, address) in [
        (&[("HTTP_PROXY", nobody)][..], "HTTP_PROXY", nobody),
        (&[("http_proxy", nobody), ("ALL_PROXY", &answering)], "ALL_PROXY", &answering),
        (&[("https_proxy", nobody), ("HTTP_PROXY", &answering)], "https_proxy", nobody),
    ] {
        for command in ["import", "verify"] {
            let ran = through(command, url, proxies, "").await;
            let said = format!(
                "requests to zadig.example.com go through the proxy http://{address}, which {variable} names; to go past \
                 it, name that host in NO_PROXY\n"
            );
            assert_eq!(ran.status, Some(4), "{variable} {command}: {ran:?}");
            assert!(ran.err.ends_with(&said) && !ran.err.contains("secret"), "{variable} {command}: {ran:?}");
        }
    }
    let past = through("import", "http://127.0.0.2:9", &[("HTTP_PROXY", nobody)], ",127.0.0.2").await;
    assert!(past.status == Some(4) && !past.err.contains("proxy"), "{past:?}");
}

#[tokio::test]
async fn an_endpoint_where_nothing_answers_is_told_within_seconds_and_each_cause_once() {
    let tables = Tables::missing();
    let sample = format!("{}/../samples/reference-release.json", env!("CARGO_MANIFEST_DIR"));
    let commands = [
        &["import", &sample][..],
        &["verify", &sample],
        &["export"],
        &["reindex"],
        &["tables", "create"],
        &["record", "deploy", "--image", "reg/cart:1", "--env", "prod", "--timeout", "2"],
    ];
    // No label of a name has more than 63 characters, so no name server is asked, which may be slow to answer.
    let nowhere = format!("http://{}.invalid:8000", "n".repeat(64));
    for (endpoint, cause) in [("http://127.0.0.1:9", "Connection refused"), (nowhere.as_str(), "dns error")] {
        let environment = tables.through(endpoint).environment();
        for arguments in commands {
            let started = Instant::now();
            let ran = run(tool(&environment, arguments)).await;
            let elapsed = started.elapsed();
            assert_eq!(ran.status, Some(4), "{arguments:?}: {ran:?}");
            assert!(elapsed < Duration::from_secs(6), "{arguments:?} took {elapsed:?}");
            let last = ran.err.lines().last().unwrap();
            for once in [cause, "dispatch failure", "could not be reached"] {
                assert_eq!(last.matches(once).count(), 1, "{once}: {last}");
            }
        }
    }
}

#[tokio::test]
async fn a_missing_table_is_told_with_what_to_do_and_nothing_else() {
    let tables = Tables::missing();
    let sample = format!("{}/../samples/reference-release.json", env!("CARGO_MANIFEST_DIR"));
    for (arguments, variable) in [
        (&["releases"][..], "RELEASES_TABLE"),
        (&["artifact", "reg/cart:1"], "ARTIFACTS_TABLE"),
        (&["diff", "--project", "shop", "1", "2"], "RELEASES_TABLE"),
        (&["import", &sample], "RELEASES_TABLE"),
        (&["verify", &sample], "RELEASES_TABLE"),
        (&["export"], "RELEASES_TABLE"),
        (&["export", "--artifacts"], "ARTIFACTS_TABLE"),
        (&["record", "deploy", "--image", "reg/cart:1", "--env", "prod"], "ARTIFACTS_TABLE"),
    ] {
        let ran = run_on(&tables, arguments).await;
        assert_eq!(ran.status, Some(1), "{arguments:?}: {ran:?}");
        let lines: Vec<_> = ran.err.lines().collect();
        let [error, advice] = lines.as_slice() else { panic!("{arguments:?}: {ran:?}") };
        assert!(error.starts_with("error: ") && error.contains("does not exist"), "{error}");
        assert!(!error.contains("not certain"), "nothing can have been recorded: {error}");
        for part in ["AWS_REGION", variable, "delivery-center tables create"] {
            assert!(advice.contains(part), "{arguments:?}: {advice}");
        }
    }
}

#[tokio::test]
async fn a_dynamodb_that_throttles_the_first_contact_is_tried_again() {
    let tables = Tables::empty().await;
    let plan = |_: &str, number: u64| if number <= 3 { Fault::Throttle } else { Fault::None };
    let proxy = FaultyProxy::start(&tables.endpoint_url, plan).await;
    let environment = tables.through(&proxy.endpoint_url).environment();
    let ran = run_with_input(tool(&environment, &["import", "-"]), SAMPLES).await;
    assert_eq!((ran.status, ran.err.as_str()), (Some(0), ""), "{ran:?}");
}

/// A pipeline may wait minutes for its network, and its log says what it waits for.
#[tokio::test]
async fn record_says_at_once_that_it_cannot_reach_the_tables_and_goes_on_trying() {
    let environment = Tables::missing().through("http://127.0.0.1:9").environment();
    let mut record = tool(&environment, &["record", "deploy", "--image", "reg/cart:1", "--env", "prod"]);
    let mut child = record.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let first = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        err.read_line(&mut line).unwrap();
        (line, err)
    });
    let told = tokio::time::timeout(Duration::from_secs(10), first).await;
    let is_running = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    let (line, _err) = told.expect("it is said within seconds").unwrap();
    assert!(line.contains("could not be reached") && line.contains("tried again"), "{line}");
    assert_eq!(line.matches("Connection refused").count(), 1, "{line}");
    assert!(is_running);
}

#[tokio::test]
async fn invoke_answers_an_event_as_the_function_does() {
    let tables = Tables::with_samples().await;
    for (endpoint, case) in
        [(ListReleases, "by-project"), (GetArtifact, "by-tag"), (ListReleases, "invalid-task-id")]
    {
        let file = format!("{}/../events/{}/{case}.json", env!("CARGO_MANIFEST_DIR"), endpoint.name());
        let event = std::fs::read_to_string(&file).unwrap();
        let expected = tables.invoke(endpoint, &serde_json::from_str::<Value>(&event).unwrap()).await;
        for (argument, input) in [(file.as_str(), ""), ("-", event.as_str())] {
            let invoke = tool(&tables.environment(), &["invoke", endpoint.name(), "--event", argument]);
            let ran = run_with_input(invoke, input).await;
            assert_eq!(ran.status, Some(0), "{ran:?}");
            assert_eq!(Answer::from_lambda_json(&ran.out), expected);
        }
    }
}

#[tokio::test]
async fn an_event_may_begin_with_a_byte_order_mark_and_a_file_without_json_is_named() {
    let tables = Tables::with_samples().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("event.json");
    let event = get_event(ListReleases, "projectName=nginx2", &[]).to_string();
    let invoke = async |content: &[u8]| {
        std::fs::write(&file, content).unwrap();
        let arguments = ["invoke", "list-releases", "--event", file.to_str().unwrap()];
        run(tool(&tables.environment(), &arguments)).await
    };
    let (plain, marked) =
        (invoke(event.as_bytes()).await, invoke(format!("\u{feff}{event}").as_bytes()).await);
    assert_eq!((marked.status, marked.out), (Some(0), plain.out));
    let utf_16: Vec<_> = format!("\u{feff}{event}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (content, expected) in [
        (&b"nothing"[..], "is not JSON"),
        (b"", "is not JSON"),
        (&utf_16, "is UTF-16"),
        (b"\"\xff\"", "is not JSON"),
    ] {
        let ran = invoke(content).await;
        assert_eq!(ran.status, Some(1), "{ran:?}");
        assert!(ran.err.contains(&format!("{} {expected}", file.display())), "{ran:?}");
    }
}

#[tokio::test]
async fn invoke_has_the_functions_patience_with_an_unreachable_dynamodb() {
    let tables = Tables::missing().through("http://127.0.0.1:9");
    let event = get_event(ListReleases, "", &[]).to_string();
    let invoke = tool(&tables.environment(), &["invoke", "list-releases", "--event", "-"]);
    let started = Instant::now();
    let answer = Answer::from_lambda_json(&run_with_input(invoke, &event).await.out);
    assert_eq!(answer.status, 503);
    assert!(answer.description().contains("could not be reached"), "{}", answer.description());
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[tokio::test]
async fn help_and_version_are_there_for_every_command() {
    for arguments in [
        &["--help"][..],
        &["serve", "--help"],
        &["tables", "--help"],
        &["tables", "create", "--help"],
        &["import", "--help"],
        &["verify", "--help"],
        &["export", "--help"],
        &["reindex", "--help"],
        &["invoke", "--help"],
        &["record", "--help"],
        &["record", "build", "--help"],
        &["record", "deploy", "--help"],
        &["record", "test", "--help"],
        &["record", "publish", "--help"],
        &["record", "release", "--help"],
    ] {
        let ran = run(tool(&[], arguments)).await;
        assert!(ran.status == Some(0) && ran.out.contains("Usage:"), "{arguments:?}: {ran:?}");
    }
    let import = run(tool(&[], &["import", "--help"])).await.out.replace('\n', " ");
    assert!(import.contains("the activities that `record` added to an artifact stay"), "{import}");
    let version = run(tool(&[], &["--version"])).await.out;
    assert_eq!(version, format!("delivery-center {}\n", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn completions_and_the_manual_name_every_subcommand() {
    let ran = async |arguments: &[&str]| {
        let ran = run(tool(&[], arguments)).await;
        assert_eq!(ran.status, Some(0), "{arguments:?}: {ran:?}");
        ran.out
    };
    let help = ran(&["--help"]).await;
    let commands = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names: Vec<_> = commands.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.contains(&"releases") && names.len() > 12, "{names:?}");
    let manual = ran(&["man"]).await;
    for shell in ["bash", "zsh", "fish"] {
        let completions = ran(&["completions", shell]).await;
        for name in &names {
            assert!(completions.contains(name), "{shell} does not know {name}");
        }
    }
    for name in names.iter().filter(|name| **name != "help") {
        assert!(manual.contains(&format!("delivery\\-center\\-{name}")), "the manual does not know {name}");
    }
}
