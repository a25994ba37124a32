//! `releases`: which releases went out, as a person reads it.

use delivery_center::endpoint::Endpoint::ListReleases;
use serde_json::{Value, json};

use crate::running::{Ran, ago, fits_or_is_one_word, run, run_in_columns, run_on, shown, tool};
use crate::support::{Tables, incompressible, lines, release};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// When the three releases were made. Each time is in the middle of the unit that its age is shown in.
struct Times {
    hours: i64,
    days: i64,
    months: i64,
}

impl Times {
    fn new() -> Self {
        Self { hours: ago(3 * HOUR + HOUR / 2), days: ago(2 * DAY + DAY / 2), months: ago(400 * DAY) }
    }
}

fn named(id: &str, created_at: i64, project: &str, version: &str) -> Value {
    let mut release = release(id, created_at.try_into().unwrap());
    release["versionInfo"]["productName"] = json!(project);
    release["versionInfo"]["version"] = json!(version);
    release["deployInfo"] = json!([]);
    release
}

fn deploy(service: &str, container: &str, image: &str) -> Value {
    let name = if container.is_empty() { service.to_owned() } else { format!("{service}/{container}") };
    json!({ "serviceName": name, "containerName": container, "image": image })
}

/// Three releases of two projects: of a workflow, into an environment, and made by hand.
async fn three(times: &Times) -> Tables {
    let mut first = named("a", times.months, "payments", "chart-1.0");
    first["versionInfo"]["workflowName"] = json!("");
    first["versionInfo"]["taskId"] = json!(0);
    let mut second = named("b", times.days, "shop", "1.3.0");
    second["versionInfo"]["workflowName"] = json!("shop-release");
    second["versionInfo"]["taskId"] = json!(4);
    second["versionInfo"]["productEnvInfo"] = json!({ "env_name": "prod", "namespace": "shop" });
    second["deployInfo"] = json!([
        deploy("catalog", "api", "registry.example.com/shop/catalog-api:20220602094548-4-release-1.3"),
        deploy(
            "catalog",
            "indexer",
            "registry.example.com/shop/catalog-indexer:20220602094635-4-release-1.3"
        ),
        deploy("cache", "", "mirror.example.com:5000/redis:6.2"),
    ]);
    let mut third = named("c", times.hours, "shop", "诗 1.4");
    third["deployInfo"] = json!([deploy("cart", "cart", "registry.example.com/shop/cart:1.4")]);
    let tables = Tables::empty().await;
    assert_eq!(tables.import(&lines([&first, &second, &third])).await.stored, 3);
    tables
}

#[tokio::test]
async fn releases_are_a_table_newest_first() {
    let times = Times::new();
    let tables = three(&times).await;
    let minute = |time| shown(time, "%Y-%m-%d %H:%M");
    let (hours, days, months) = (minute(times.hours), minute(times.days), minute(times.months));
    let wide = run_in_columns(&tables, 150, &["releases"]).await;
    assert_eq!((wide.status, wide.err.as_str()), (Some(0), ""));
    assert_eq!(
        wide.out,
        format!(
            "\
TIME (UTC)        AGE        PROJECT   VERSION    WORKFLOW        ENV   SERVICE  IMAGE
{hours}  3 h ago    shop      诗 1.4     w 1                   cart     shop/cart:1.4
{days}  2 d ago    shop      1.3.0      shop-release 4  prod  catalog  shop/catalog-api:20220602094548-4-release-1.3
{empty:70}  catalog  shop/catalog-indexer:20220602094635-4-release-1.3
{empty:70}  cache    mirror.example.com:5000/redis:6.2
{months}  13 mo ago  payments  chart-1.0

Images without a registry are in registry.example.com.
",
            empty = "",
        )
    );
    let narrow = run_in_columns(&tables, 48, &["releases"]).await;
    assert_eq!(
        narrow.out,
        format!(
            "\
TIME (UTC)  AGE  PROJECT  VERSION  WORKFLOW  ENV
{hours}  3 h ago  shop  诗 1.4  w 1
  cart  shop/cart:1.4
{days}  2 d ago  shop  1.3.0
shop-release 4  prod
  catalog
    shop/catalog-api:20220602094548-4-release-1.3
  catalog
    shop/catalog-indexer:20220602094635-4-release-1.3
  cache
    mirror.example.com:5000/redis:6.2
{months}  13 mo ago  payments  chart-1.0

Images without a registry are in
registry.example.com.
"
        )
    );
}

#[tokio::test]
async fn a_release_that_deployed_nothing_is_told_by_what_it_distributed() {
    let tables = Tables::with_samples().await;
    let ran = run_in_columns(&tables, 80, &["releases", "--version", "ledger-chart-1.2.0"]).await;
    assert_eq!(ran.status, Some(0));
    let below: Vec<_> = ran.out.lines().skip(2).collect();
    assert_eq!(
        below.join("\n"),
        "  ledger  payments/ledger-api:20220215094800-1-release
  ledger  payments/ledger-migrate:20220215094847-1-release

Images without a registry are in registry.example.com."
    );
}

#[tokio::test]
async fn no_line_is_wider_than_the_terminal_but_for_a_word_that_is_never_broken() {
    let tables = three(&Times::new()).await;
    for columns in [20, 33, 47, 80, 105, 120, 200] {
        let ran = run_in_columns(&tables, columns, &["releases"]).await;
        assert_eq!(ran.status, Some(0), "{ran:?}");
        for line in ran.out.lines() {
            assert!(fits_or_is_one_word(line, columns), "{columns}: {line:?}");
        }
    }
}

#[tokio::test]
async fn times_are_those_of_the_local_zone() {
    let times = Times::new();
    let tables = three(&times).await;
    let eight_hours_on = shown(times.hours + 8 * HOUR, "%Y-%m-%d %H:%M");
    // The name of the second zone is `UTC`, too.
    for zone in ["CST-8", "UTC-8"] {
        let mut tool = tool(&tables.environment(), &["releases", "--limit", "1"]);
        tool.env("TZ", zone);
        let ran = run(tool).await;
        assert!(ran.out.starts_with("LOCAL TIME") && ran.out.contains(&eight_hours_on), "{zone}: {ran:?}");
    }
}

#[tokio::test]
async fn the_limit_is_kept_and_it_is_said_that_there_are_more() {
    let tables = three(&Times::new()).await;
    let two = run_on(&tables, &["releases", "--limit", "2", "--json"]).await;
    let answer = tables.get(ListReleases, "page=1&per_page=2").await;
    assert_eq!((two.status, two.out), (Some(0), format!("{}\n", answer.body)));
    assert_eq!(two.err, "these are the newest 2; older ones match too: --limit 10 shows more\n");
    let all = run_on(&tables, &["releases", "--limit", "3", "--json"]).await;
    assert_eq!((all.out, all.err), (format!("{}\n", tables.get(ListReleases, "").await.body), String::new()));
}

#[tokio::test]
async fn each_option_is_a_parameter_of_the_endpoint() {
    let tables = Tables::with_samples().await;
    let cart = "registry.example.com/shop/cart:20211203101907-1-main";
    for (arguments, query, found) in [
        (
            "--project shop --workflow shop-dev --task 12",
            "projectName=shop&workflowName=shop-dev&taskId=12",
            1,
        ),
        ("--service checkout", "serviceName=checkout", 10),
        (&format!("--image {cart}"), &format!("image={cart}"), 1),
        ("--commit D6CA076", "commit=d6ca076", 1),
        ("--label release --version 1.0.0", "label=release&version=1.0.0", 1),
        (
            "--env prod --since 2022-04-01 --until 1650594601",
            "envName=prod&since=1648771200&until=1650594601",
            2,
        ),
        ("--project shop --env prod --version 1.2.1", "projectName=shop&envName=prod&version=1.2.1", 1),
    ] {
        let arguments: Vec<_> = ["releases", "--json"].into_iter().chain(arguments.split(' ')).collect();
        let ran = run_in_columns(&tables, 80, &arguments).await;
        let answer = tables.get(ListReleases, query).await;
        assert_eq!((ran.status, ran.out), (Some(0), format!("{}\n", answer.body)), "{query}");
        assert_eq!(answer.release_ids().len(), found, "{query}");
    }
    let nothing_between = run_on(&tables, &["releases", "--since", "1h", "--until", "2h"]).await;
    assert_eq!(nothing_between.status, Some(2));
    assert_eq!(
        nothing_between.err,
        "error: --until is not later than --since: no release can lie between them\n"
    );
    let unreadable = run_on(&tables, &["releases", "--commit", "main"]).await;
    assert_eq!(unreadable.status, Some(2));
    assert_eq!(unreadable.err, "error: commit \"main\" is not 7 to 64 hex digits\n");
}

#[tokio::test]
async fn what_went_out_last_night_is_asked_in_a_persons_words() {
    let tables = three(&Times::new()).await;
    for (arguments, found) in [
        (&["--since", "12h"][..], 1),
        (&["--since", "3 days ago"], 2),
        (&["--since", "3d", "--until", "12h"], 1),
        (&["--until", "52w"], 1),
        (&["--until", "2000-01-01"], 0),
    ] {
        let ran = run_on(&tables, &[&["releases", "--json"], arguments].concat()).await;
        let releases: Vec<Value> = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(releases.len(), found, "{arguments:?}");
    }
}

#[tokio::test]
async fn releases_that_do_not_fit_into_one_answer_are_met_by_following_it() {
    let releases: Vec<_> = (1..=4)
        .map(|number| {
            let mut release = release(&format!("large{number}"), number);
            release["deployInfo"][0]["yamlContents"] = json!([incompressible(2_500_000, number)]);
            release
        })
        .collect();
    let tables = Tables::empty().await;
    assert_eq!(tables.import(&lines(&releases)).await.stored, 4);
    assert_eq!(tables.get(ListReleases, "page=1&per_page=4").await.status, 400, "no page holds them");
    let ids = |ran: &Ran| {
        let releases: Value = serde_json::from_str(&ran.out).unwrap();
        let ids = releases.as_array().unwrap().iter().map(|release| release["versionInfo"]["id"].to_string());
        ids.collect::<Vec<_>>()
    };
    for (limit, found, more) in [("101", 4, false), ("4", 4, false), ("3", 3, true)] {
        let ran = run_on(&tables, &["releases", "--json", "--limit", limit]).await;
        let newest_first: Vec<_> =
            (1..=4).rev().take(found).map(|number| format!("\"large{number}\"")).collect();
        assert_eq!((ran.status, ids(&ran)), (Some(0), newest_first));
        assert_eq!(!ran.err.is_empty(), more, "{}", ran.err);
    }
}

#[tokio::test]
async fn that_nobody_reads_the_remarks_is_no_failure() {
    let tables = three(&Times::new()).await;
    for (arguments, status) in [
        (&["releases", "--limit", "1"][..], 0),
        (&["releases", "--project", "nobody's"], 3),
        (&["releases", "--commit", "main"], 2),
        (&["artifact", "nobody/knows:it"], 3),
        (&["diff", "--project", "shop", "1", "2"], 3),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut tool = tool(&tables.environment(), arguments);
        tool.stderr(writer).stdout(std::process::Stdio::null());
        let ended = tokio::task::spawn_blocking(move || tool.status().unwrap()).await.unwrap();
        assert_eq!(ended.code(), Some(status), "{arguments:?}");
    }
}

#[tokio::test]
async fn nothing_found_is_3_and_a_failure_another() {
    let tables = three(&Times::new()).await;
    let none = run_on(&tables, &["releases", "--project", "nobody's"]).await;
    assert_eq!((none.status, none.out.as_str(), none.err.as_str()), (Some(3), "", "no release matches\n"));
    let none = run_on(&tables, &["releases", "--project", "nobody's", "--json"]).await;
    assert_eq!((none.status, none.out.as_str()), (Some(3), "[]\n"));
    let missing = run_on(&Tables::missing().through(&tables.endpoint_url), &["releases"]).await;
    assert_eq!(missing.status, Some(1));
    assert!(missing.err.contains("does not exist"), "{missing:?}");
    let unreachable = run_on(&tables.through("http://127.0.0.1:1"), &["releases"]).await;
    assert_eq!(unreachable.status, Some(4));
    assert!(unreachable.err.contains("could not be reached"), "{unreachable:?}");
    for unreadable in [["--since", "soon"], ["--limit", "0"], ["--task", "x"], ["--project", ""]] {
        assert_eq!(run_on(&tables, &["releases", unreadable[0], unreadable[1]]).await.status, Some(2));
    }
}

#[tokio::test]
async fn a_task_that_is_no_number_is_told_by_its_option_and_not_in_gos_words() {
    let tables = Tables::empty().await;
    for more in [&[][..], &["--json"], &["--limit", "200"]] {
        for task in ["x", "99999999999999999999"] {
            let ran = run_on(&tables, &[&["releases", "--task", task], more].concat()).await;
            let said = "error: --task is not a task's number: give one such as 12\n";
            assert_eq!((ran.status, ran.err.as_str()), (Some(2), said));
        }
    }
}

#[tokio::test]
async fn colours_are_for_terminals_and_not_where_they_are_unwanted() {
    let tables = three(&Times::new()).await;
    let out = async |environment: &[(&str, &str)]| {
        let mut tool = tool(&tables.environment(), &["releases"]);
        tool.envs(environment.iter().copied());
        run(tool).await.out
    };
    assert!(!out(&[]).await.contains('\u{1b}'), "a pipe gets none");
    assert!(out(&[("CLICOLOR_FORCE", "1")]).await.starts_with("\u{1b}[1m"), "as on a terminal");
    assert!(!out(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]).await.contains('\u{1b}'));
}

#[tokio::test]
async fn what_is_stored_does_nothing_to_a_terminal() {
    let mut spoiled = named("a", ago(HOUR), "p\u{1b}[2J", "1\n2\u{9b}31m");
    spoiled["deployInfo"] = json!([deploy("s\u{7}", "", "r.example.com/i:\u{202e}gat")]);
    spoiled["versionInfo"]["createdBy"] = json!("\u{7f}");
    let tables = Tables::empty().await;
    assert_eq!(tables.import(&spoiled.to_string()).await.stored, 1);
    for columns in [30, 200] {
        let ran = run_in_columns(&tables, columns, &["releases"]).await;
        assert!(ran.out.contains("\\u{1b}[2J") && ran.out.contains("1 2\\u{9b}31m"), "{}", ran.out);
        let harmful =
            |character: char| character != '\n' && (character.is_control() || character == '\u{202e}');
        assert!(!ran.out.contains(harmful), "{:?}", ran.out);
    }
    let json = run_on(&tables, &["releases", "--json"]).await.out;
    assert!(json.trim_end().chars().all(|character| !character.is_control() && character != '\u{202e}'));
    assert!(json.contains("\\u009b31m") && json.contains("\\u007f"), "{json}");
    let api: Value = tables.get(ListReleases, "").await.json();
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), api);
}

#[tokio::test]
async fn a_release_that_is_larger_than_an_answer_does_not_hide_the_others() {
    let tables = Tables::empty().await;
    let mut large = release("large", 2);
    large["deployInfo"][0]["yamlContents"] = json!([incompressible(7_000_000, 1)]);
    assert_eq!(tables.import(&lines([&release("old", 1), &large, &release("new", 3)])).await.stored, 3);
    let ran = run_on(&tables, &["releases"]).await;
    assert_eq!(ran.status, Some(0), "{ran:?}");
    for version in ["v-old", "v-large", "v-new"] {
        assert!(ran.out.contains(version), "{ran:?}");
    }
    assert!(ran.err.contains("larger than an answer can be"), "{ran:?}");
    let small = run_on(&tables, &["releases", "--since", "3"]).await;
    assert!(small.out.contains("s:1") && small.err.is_empty(), "{small:?}");
}
