//! Each view on the samples, and the ways between them.

use serde_json::json;

use super::server::Server;
use super::{Browser, in_a_browser, link};

const PICKET: &str = "koderover.tencentcloudcr.com/koderover-demo/picket:20211214154446-70-main-pr-736";
const PICKET_DIGEST: &str = "sha256:1d9ddf94feb5ff9ca9d76248ad51dd2a95210895d0dbf1e87bd66cc471c41f0e";
const LEDGER: &str = "registry.example.com/payments/ledger-api:20220422102000-2-release";
const RELEASE_1_3_0: &str = "629819ddc528c2182225f081@1654135261";
const RELEASE_1_2_1: &str = "62579882c528c2182225f065@1649907842";

/// The ids of the releases that are shown.
async fn release_ids(browser: &Browser) -> Vec<String> {
    let ids =
        browser.value("[...document.querySelectorAll('#releases > li')].map(item => item.dataset.id)").await;
    serde_json::from_value(ids).unwrap()
}

#[test]
fn the_start_shows_the_newest_releases_and_their_environments() {
    in_a_browser(async |browser| {
        let server = Server::with_samples();
        browser.open(&server.address, "/").await;
        browser.shows("start").await;
        let ids = release_ids(browser).await;
        assert!(ids.len() >= 5 && ids[0] == "62aa82b5c528c2182225f090", "{ids:?}");
        for environment in ["prod", "staging", "dev"] {
            let selector = format!("#view a[href*='view=environment'][href*='envName={environment}']");
            assert!(browser.count(&selector).await > 0, "{environment}");
        }
        assert_eq!(browser.value("document.getElementById('box').value").await, "");
        browser.has_no_complaints().await;
    });
}

#[test]
fn the_box_says_how_it_read_a_text_and_finds_what_is_meant() {
    in_a_browser(async |browser| {
        let server = Server::with_samples();
        let by_digest = format!("koderover.tencentcloudcr.com/koderover-demo/picket@{PICKET_DIGEST}");
        for (text, read_as, summary) in [
            (PICKET, "tag", "picket"),
            (PICKET_DIGEST, "digest", "picket"),
            (&by_digest, "digest", "picket"),
            (&format!("docker-pullable://{by_digest}"), "Kubernetes", "picket"),
            ("  4b15c43 ", "commit", "picket"),
            ("4b15c43b012e7a4a901fdcfe33736ad1c3b53f48", "commit", "picket"),
            ("koderover/zadig#736", "pull request 736 of koderover/zadig", "picket"),
            ("https://github.com/koderover/zadig/pull/736", "pull request", "picket"),
            (
                "https://github.com/koderover/zadig/commit/4b15c43b012e7a4a901fdcfe33736ad1c3b53f48",
                "commit",
                "picket",
            ),
        ] {
            browser.open(&server.address, &link(&[("q", text)])).await;
            browser.shows("find").await;
            let said = browser.text("#read-as").await;
            assert!(said.to_lowercase().contains(&read_as.to_lowercase()), "{text}: {said}");
            let found = browser.text("#view").await;
            assert!(found.contains(summary) && found.contains(PICKET_DIGEST), "{text}: {found}");
            assert!(browser.count("#summary").await == 1, "{text}");
        }
        browser.open(&server.address, &link(&[("q", "1.3.0")])).await;
        assert!(browser.text("#read-as").await.contains("version"));
        assert_eq!(release_ids(browser).await, ["629819ddc528c2182225f081"]);
        browser.has_no_complaints().await;
    });
}

#[test]
fn a_text_that_finds_nothing_says_so_in_words() {
    in_a_browser(async |browser| {
        let server = Server::with_samples();
        for text in [
            "registry.example.com/shop/nowhere:1",
            "0123456789abcdef",
            "#736",
            "https://example.com/",
            "nothing at all",
        ] {
            browser.open(&server.address, &link(&[("q", text)])).await;
            let shown = browser.text("#view").await;
            assert!(shown.len() > 20 && browser.count("#summary").await == 0, "{text}: {shown}");
        }
        browser.has_no_complaints().await;
    });
}

#[test]
fn an_images_story_is_a_sentence_links_and_a_timeline() {
    in_a_browser(async |browser| {
        let server = Server::with_samples();
        browser.open(&server.address, &link(&[("q", LEDGER)])).await;
        let summary = browser.text("#summary").await;
        for part in ["prod", "staging", "3863422"] {
            assert!(summary.contains(part), "{part}: {summary}");
        }
        assert!(summary.ends_with('.') && !summary.contains(". "), "it is one sentence: {summary}");
        let kinds = "[...document.querySelectorAll('ol#timeline > li')].map(item => item.dataset.type)";
        let mut kinds: Vec<String> = serde_json::from_value(browser.value(kinds).await).unwrap();
        let times = "[...document.querySelectorAll('ol#timeline > li')]
            .map(item => item.querySelector('time').dateTime)";
        let mut times: Vec<String> = serde_json::from_value(browser.value(times).await).unwrap();
        if times.first() > times.last() {
            kinds.reverse();
            times.reverse();
        }
        assert!(times.is_sorted(), "{times:?}");
        assert_eq!(kinds, ["build", "test", "deploy", "deploy", "publish", "distribute", "undeploy"]);
        let shown = browser.text("#view").await;
        for part in [
            "sha256:8b4212d0153b19d56cec4681951d38991fd450af34a9baddbdce151f113f3074",
            "Release 2022.4",
            "Sofia Lang",
            "318 passed",
            "PAY-41",
            "mirror.example.com:5000",
            "host-1.example.com",
            "staging is taken down over the holidays",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let commit = "a[href*='gitlab.example.com'][href*='38634225027d87f73f91ce33d96dd96e29eb76a9']";
        assert!(browser.count(commit).await > 0, "the commit is a link");
        browser.has_no_complaints().await;
    });
}

#[test]
fn whole_digests_are_copied_and_older_builds_follow() {
    in_a_browser(async |browser| {
        let server = Server::with_samples();
        browser.open(&server.address, &link(&[("q", "9d8b693")])).await;
        let may = json!({ "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] });
        browser.tell("Browser.grantPermissions", may).await;
        browser.click("button.copy[aria-label='Copy the digest']").await;
        browser.until("document.querySelector('#said').innerText.includes('Copied')").await;
        let newer = browser.value("navigator.clipboard.readText()").await.as_str().unwrap().to_owned();
        assert!(newer.starts_with("sha256:468efd857bc1") && newer.len() == 71, "{newer}");
        browser.click("a#older").await;
        browser.until("document.querySelector('#view').innerText.includes('sha256:94c79d9d5708')").await;
        browser.shows("find").await;
        assert!(browser.link().await.contains("after="), "an older build has a link of its own");
        assert!(!browser.text("#view").await.contains(&newer));
        browser.has_no_complaints().await;
    });
}

#[test]
fn what_is_not_recorded_is_said_in_words() {
    in_a_browser(async |browser| {
        let server = Server::with_samples();
        let image = "registry.example.com/payments/gateway-proxy:20220127142308-2-main";
        browser.open(&server.address, &link(&[("q", image)])).await;
        let shown = browser.text("#view").await.to_lowercase();
        assert!(shown.contains("not recorded") || shown.contains("no build is recorded"), "{shown}");
        assert!(!shown.contains("undefined") && !shown.contains("null") && !shown.contains("nan"), "{shown}");
        assert!(!shown.contains("1970"), "{shown}");
        browser.has_no_complaints().await;
    });
}

#[test]
fn releases_are_narrowed_by_chips_and_more_of_them_follow() {
    in_a_browser(async |browser| {
        let server = Server::with_samples();
        browser
            .open(
                &server.address,
                &link(&[("view", "releases"), ("projectName", "shop"), ("envName", "prod")]),
            )
            .await;
        let narrow = release_ids(browser).await;
        let expected = [
            "629819ddc528c2182225f081",
            "6273f430c528c2182225f076",
            "62579882c528c2182225f065",
            "620b0920c528c2182225f041",
            "62026c4dc528c2182225f033",
            "61cad6c0c528c2182225f013",
        ];
        assert_eq!(narrow, expected);
        let chips = browser.texts(".chip").await;
        assert!(chips.len() == 2 && chips[0].contains("shop") && chips[1].contains("prod"), "{chips:?}");
        browser.click(".chip:nth-of-type(2) button, .chip:nth-child(2) button").await;
        browser.until("document.querySelectorAll('.chip').length === 1").await;
        browser.settled().await;
        let wide = release_ids(browser).await;
        assert!(wide.len() > narrow.len(), "{wide:?}");
        assert_eq!(browser.link().await, "/?view=releases&projectName=shop");
        browser.open(&server.address, "/?view=releases").await;
        while browser.count("#more").await > 0 {
            let before = release_ids(browser).await.len();
            browser.click("#more").await;
            browser.until(&format!("document.querySelectorAll('#releases > li').length > {before}")).await;
            browser.settled().await;
        }
        let all = release_ids(browser).await;
        let distinct: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!((all.len(), distinct.len()), (24, 24), "{all:?}");
        browser.has_no_complaints().await;
    });
}

#[test]
fn a_release_that_is_opened_shows_what_was_in_it() {
    in_a_browser(async |browser| {
        let server = Server::with_samples();
        browser.open(&server.address, &link(&[("view", "releases"), ("version", "1.3.0")])).await;
        browser.click("#releases > li a[href*='view=release&']").await;
        browser.shows("release").await;
        let shown = browser.text("#view").await;
        for part in [
            "1.3.0",
            "Summer release",
            "shop-release",
            "cart",
            "catalog-indexer",
            "registry.example.com/shop/checkout:20220602094722-4-release-1.3",
            "f655d78",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        browser.click("#view details:last-of-type summary").await;
        browser
            .until(
                "document.querySelector('#view details[open] pre')?.innerText.includes('kind: Deployment')",
            )
            .await;
        browser.has_no_complaints().await;
    });
}

#[test]
fn a_release_names_the_images_charts_and_files_that_it_distributed() {
    in_a_browser(async |browser| {
        let server = Server::with_samples();
        let chart = [("view", "release"), ("id", "622051d6c528c2182225f04f"), ("at", "1646285270")];
        browser.open(&server.address, &link(&chart)).await;
        let shown = browser.text("#view").await;
        for part in [
            "ledger: chart ledger 1.2.0 to charts",
            "payments/ledger-migrate:20220215094847-1-release to payments",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let file = [("view", "release"), ("id", "629819ddc528c2182225f081"), ("at", "1654135261")];
        browser.open(&server.address, &link(&file)).await;
        let shown = browser.text("#view").await;
        let part =
            "catalog: catalog-1.3.0.tar.gz to https://downloads.example.com/shop/1.3.0/catalog-1.3.0.tar.gz";
        assert!(shown.contains(part), "{shown}");
    });
}

#[test]
fn two_releases_that_are_chosen_are_compared() {
    in_a_browser(async |browser| {
        let server = Server::with_samples();
        browser
            .open(
                &server.address,
                &link(&[("view", "releases"), ("projectName", "shop"), ("envName", "prod")]),
            )
            .await;
        for id in ["629819ddc528c2182225f081", "62579882c528c2182225f065"] {
            browser.click(&format!("#releases > li[data-id='{id}'] input[type=checkbox]")).await;
        }
        browser.click("#compare").await;
        browser.shows("diff").await;
        let link_of_it = browser.link().await;
        let decoded: Vec<_> =
            url::form_urlencoded::parse(link_of_it.trim_start_matches("/?").as_bytes()).collect();
        let expected = json!([["view", "diff"], ["from", RELEASE_1_2_1], ["to", RELEASE_1_3_0]]);
        assert_eq!(json!(decoded), expected, "the older one comes first");
        let shown = browser.text("#view").await;
        for part in
            ["1.2.1", "1.3.0", "promo", "20220414113002-3-release-1.2", "20220602094501-4-release-1.3"]
        {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        browser.has_no_complaints().await;
    });
}

#[test]
fn an_environment_shows_what_runs_there_and_where_another_differs() {
    in_a_browser(async |browser| {
        let server = Server::with_samples();
        browser.open(&server.address, &link(&[("view", "environment"), ("envName", "prod")])).await;
        let repositories = "[...document.querySelectorAll('table#running tr[data-repository]')]
            .map(row => row.dataset.repository).sort()";
        assert_eq!(
            browser.value(repositories).await,
            json!([
                "registry.example.com/payments/ledger-api",
                "registry.example.com/shop/cart",
                "registry.example.com/shop/checkout"
            ])
        );
        let row = browser.text("tr[data-repository='registry.example.com/shop/checkout']").await;
        assert!(row.contains("20220208210445-1-hotfix-vat") && row.contains("9d8b693"), "{row}");
        assert_eq!(browser.count("tr[data-differs]").await, 0);
        let both = [("view", "environment"), ("envName", "prod"), ("with", "dev")];
        browser.open(&server.address, &link(&both)).await;
        let differing =
            "[...document.querySelectorAll('tr[data-differs]')].map(row => row.dataset.repository)";
        let differing: Vec<String> = serde_json::from_value(browser.value(differing).await).unwrap();
        assert!(differing.contains(&"registry.example.com/shop/cart".to_owned()), "{differing:?}");
        let row = browser.text("tr[data-repository='registry.example.com/shop/cart']").await;
        assert!(
            row.contains("20220414113002-3-release-1.2") && row.contains("20220311091500-12-main"),
            "{row}"
        );
        browser.open(&server.address, &link(&[("view", "environment"), ("envName", "nowhere")])).await;
        let shown = browser.text("#view").await;
        assert!(shown.contains("nowhere") && browser.count("tr[data-repository]").await == 0, "{shown}");
        browser.has_no_complaints().await;
    });
}

#[test]
fn back_and_forward_lead_through_the_views() {
    in_a_browser(async |browser| {
        let server = Server::with_samples();
        browser.open(&server.address, "/").await;
        let mut visited = vec![browser.link().await];
        browser.click("#box").await;
        browser.type_keys(LEDGER).await;
        browser.type_keys("\u{e007}").await;
        browser.shows("find").await;
        visited.push(browser.link().await);
        assert_eq!(visited[1], link(&[("q", LEDGER)]));
        browser.click("#view a[href*='view=environment'][href*='envName=prod']").await;
        browser.shows("environment").await;
        visited.push(browser.link().await);
        let views = ["start", "find", "environment"];
        let shown = async |number: usize| {
            browser.shows(views[number]).await;
            assert_eq!(browser.link().await, visited[number]);
            let text = browser.value("document.getElementById('box').value").await;
            assert!(number != 1 || text == LEDGER, "the box goes back, too: {text}");
        };
        browser.driver().back().await.unwrap();
        shown(1).await;
        assert!(browser.text("#summary").await.contains("prod"));
        browser.driver().back().await.unwrap();
        shown(0).await;
        browser.driver().forward().await.unwrap();
        shown(1).await;
        browser.driver().forward().await.unwrap();
        shown(2).await;
        assert_eq!(browser.count("tr[data-repository]").await, 3);
        browser.driver().refresh().await.unwrap();
        shown(2).await;
        browser.has_no_complaints().await;
    });
}

#[test]
fn times_are_relative_and_exact_in_the_zone_of_whoever_looks() {
    in_a_browser(async |browser| {
        let server = Server::with_samples();
        browser.tell("Emulation.setTimezoneOverride", json!({ "timezoneId": "Asia/Shanghai" })).await;
        browser.open(&server.address, &link(&[("q", LEDGER)])).await;
        let build = "(time => [time.dateTime, time.title, time.innerText])\
            (document.querySelector('#timeline > li[data-type=build] time'))";
        let build: [String; 3] = serde_json::from_value(browser.value(build).await).unwrap();
        browser.tell("Emulation.setTimezoneOverride", json!({ "timezoneId": "" })).await;
        assert!(build[0].starts_with("2022-04-22T02:2"), "{build:?}");
        assert!(build[1].contains("10:2"), "eight hours later: {build:?}");
        assert!(build[2].contains("years ago"), "{build:?}");
        browser.has_no_complaints().await;
    });
}
