//! How the page asks: what fails and is tried again, what is asked anew, and what is left behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use tokio::sync::Semaphore;

use super::proxy::{Proxy, Way};
use super::server::Server;
use super::{Browser, in_a_browser, link};
use crate::running::{run, tool};
use crate::support::release;

const CART: &str = "registry.example.com/shop/cart:20220414113002-3-release-1.2";
const UNAVAILABLE: &str = r#"{"code":503,"description":"DynamoDB is busy; try again","extra":{},
    "message":"Service Unavailable","type":"error"}"#;

/// A clock of the test's own for everything that waits for ten seconds or more, which [`half_a_minute_passes`]
/// winds.
const CLOCK: &str = "
    const [timeout, interval] = [window.setTimeout, window.setInterval];
    const due = new Map();
    let number = 1e9;
    window.setTimeout = (call, after, ...more) =>
        after >= 10_000 ? (due.set(++number, { call, more }), number) : timeout(call, after, ...more);
    window.setInterval = (call, after, ...more) =>
        after >= 10_000 ? (due.set(++number, { call, more, again: true }), number)
            : interval(call, after, ...more);
    for (const name of ['clearTimeout', 'clearInterval']) {
        const clear = window[name];
        window[name] = timer => due.delete(timer) || clear(timer);
    }
    window.windClock = () => {
        for (const [timer, { call, more, again }] of [...due]) {
            if (!again) due.delete(timer);
            call(...more);
        }
    };";

async fn half_a_minute_passes(browser: &Browser) {
    browser.value("windClock()").await;
}

/// Says whether the tab can be seen.
async fn tab_is(browser: &Browser, state: &str) {
    let change = format!(
        "Object.defineProperty(document, 'visibilityState', {{ get: () => '{state}', configurable: true }}),
        Object.defineProperty(document, 'hidden', {{ get: () => '{state}' === 'hidden', configurable: true }}),
        document.dispatchEvent(new Event('visibilitychange'))"
    );
    browser.value(&change).await;
}

/// A proxy that answers the first request that `is_meant` in the server's place.
async fn failing_once(
    server: &Server,
    is_meant: fn(&str) -> bool,
    (status, kind, body): (u16, &'static str, &'static str),
) -> Proxy {
    let failed = AtomicBool::new(false);
    let plan = move |target: &str, _| {
        let fails = target.starts_with("/api/") && is_meant(target) && !failed.swap(true, Ordering::Relaxed);
        if fails { Way::Answer(status, kind, body) } else { Way::On }
    };
    Proxy::start(&server.address, plan).await
}

#[test]
fn after_a_503_in_the_middle_of_a_walk_try_again_goes_on() {
    in_a_browser(async |browser| {
        let server = Server::with_samples();
        let is_second = |target: &str| target.contains("envName=prod") && target.contains("after=");
        let proxy = failing_once(&server, is_second, (503, "application/json", UNAVAILABLE)).await;
        browser.open(&proxy.address, &link(&[("view", "environment"), ("envName", "prod")])).await;
        let alert = browser.text("#view [role=alert]").await;
        assert!(alert.contains("DynamoDB is busy; try again"), "in the API's own words: {alert}");
        assert_eq!(browser.count("tr[data-repository]").await, 1, "what was found so far stays");
        proxy.forget();
        browser.click("#view [role=alert] button").await;
        browser.until("document.querySelectorAll('tr[data-repository]').length === 3").await;
        browser.settled().await;
        assert_eq!(browser.count("#view [role=alert]").await, 0);
        let artifacts = proxy.asked().into_iter().filter(|asked| asked.target.contains("/artifact?"));
        let steps: Vec<_> = artifacts.map(|asked| asked.target.contains("after=")).collect();
        assert!(
            !steps.is_empty() && steps.iter().all(|goes_on| *goes_on),
            "it begins anew: {:?}",
            proxy.asked()
        );
    });
}

#[test]
fn every_failure_is_a_sentence_with_a_way_to_try_again() {
    in_a_browser(async |browser| {
        let server = Server::with_samples();
        let views: [&[(&str, &str)]; 3] =
            [&[("q", CART)], &[("view", "releases")], &[("view", "environment"), ("envName", "prod")]];
        for (number, (failure, words)) in [
            ((503, "application/json", UNAVAILABLE), "DynamoDB is busy; try again"),
            ((502, "text/html", "<html><body onload=harmed=1>502 Bad Gateway</body></html>"), "502"),
            ((200, "text/html", "<html>Please log in</html>"), "no JSON"),
            ((200, "application/json", "{\"versionInfo\":"), "no JSON"),
            ((403, "application/json", r#"{"message":"Forbidden"}"#), "403"),
            ((401, "application/json", r#"{"message":"Unauthorized"}"#), "401"),
            ((429, "application/json", r#"{"message":"Too Many Requests"}"#), "429"),
        ]
        .into_iter()
        .enumerate()
        {
            let view = views[number % views.len()];
            let proxy = failing_once(&server, |_| true, failure).await;
            browser.open(&proxy.address, &link(view)).await;
            let alert = browser.text("#view [role=alert]").await;
            assert!(alert.contains(words), "{failure:?}: {alert}");
            browser.click("#view [role=alert] button").await;
            browser.until("!document.querySelector('#view [role=alert]')").await;
            browser.settled().await;
            let shown = browser.text("#view").await;
            assert!(shown.contains("shop"), "{failure:?} {view:?}: {shown}");
        }
        assert_eq!(browser.value("typeof window.harmed").await, "undefined");
        browser.open(&server.address, &link(&[("view", "releases"), ("since", "some day")])).await;
        let alert = browser.text("#view [role=alert]").await;
        assert!(alert.contains("some day"), "{alert}");
    });
}

#[test]
fn what_is_seen_is_asked_anew_every_half_minute_and_an_unchanged_answer_is_a_304() {
    in_a_browser(async |browser| {
        let server = Server::with_samples();
        let proxy = Proxy::start(&server.address, |_, _| Way::On).await;
        let clock = browser.before_each_document(CLOCK).await;
        browser.open(&proxy.address, &link(&[("q", CART)])).await;
        let first = proxy.asked();
        assert!(first.iter().all(|asked| asked.status == 200 && !asked.has_if_none_match), "{first:?}");
        proxy.forget();
        let element = "window.kept = document.querySelector('#timeline > li')";
        browser.value(&format!("({element}) && true")).await;
        half_a_minute_passes(browser).await;
        proxy.until(|asked| asked.len() == first.len()).await;
        let again = proxy.asked();
        assert!(again.iter().all(|asked| asked.status == 304 && asked.has_if_none_match), "{again:?}");
        assert!(again.iter().all(|asked| asked.bytes == 0), "{again:?}");
        let kept = "window.kept === document.querySelector('#timeline > li')";
        assert_eq!(browser.value(kept).await, true, "nothing is drawn anew");

        let deploy = ["record", "deploy", "--image", CART, "--env", "canary"];
        let recorded = run(tool(&server.environment(), &deploy)).await;
        assert_eq!(recorded.status, Some(0), "{recorded:?}");
        half_a_minute_passes(browser).await;
        browser.until("document.querySelector('#timeline').innerText.includes('canary')").await;

        tab_is(browser, "hidden").await;
        browser.settled().await;
        proxy.forget();
        half_a_minute_passes(browser).await;
        // Behind this request, there is none of the page's on the way.
        let last = "fetch('/api/directory/dc/artifact?commit=1234567').then(() => true)";
        browser.value(last).await;
        let asked: Vec<_> = proxy.asked().into_iter().map(|asked| asked.target).collect();
        assert_eq!(asked, ["/api/directory/dc/artifact?commit=1234567"], "nobody looks");
        tab_is(browser, "visible").await;
        half_a_minute_passes(browser).await;
        proxy.until(|asked| asked.len() > 1).await;
        browser.no_longer_before_each_document(clock).await;
    });
}

#[test]
fn a_release_that_is_made_while_somebody_looks_is_added_at_the_top() {
    in_a_browser(async |browser| {
        let server = Server::with_samples();
        let clock = browser.before_each_document(CLOCK).await;
        browser.open(&server.address, "/?view=releases").await;
        let before = browser.count("#releases > li").await;
        server.import(&release("made-meanwhile", 1_700_000_000).to_string()).await;
        half_a_minute_passes(browser).await;
        browser.until("document.querySelector('#releases > li').dataset.id === 'made-meanwhile'").await;
        assert!(browser.count("#releases > li").await >= before);
        browser.no_longer_before_each_document(clock).await;
        browser.has_no_complaints().await;
    });
}

/// More releases come than one page of the list holds, while somebody has opened a second page and chosen one.
#[test]
fn what_somebody_opened_and_chose_in_a_list_stays_however_many_releases_come() {
    in_a_browser(async |browser| {
        let made = |numbers: std::ops::Range<u64>| {
            let releases = numbers.map(|number| {
                let mut made = release(&format!("r{number:03}"), 1_650_000_000 + number);
                made["versionInfo"]["version"] = json!("boxv");
                made.to_string()
            });
            releases.collect::<Vec<_>>().join("\n")
        };
        for address in [link(&[("view", "releases"), ("version", "boxv")]), link(&[("q", "boxv")])] {
            let server = Server::with_records(&made(0..30)).await;
            let clock = browser.before_each_document(CLOCK).await;
            browser.open(&server.address, &address).await;
            browser.click("#more").await;
            browser.until("document.querySelectorAll('#releases > li').length === 30").await;
            browser.click("li[data-id=r005] input").await;
            server.import(&made(30..75)).await;
            half_a_minute_passes(browser).await;
            browser.until("document.querySelectorAll('#releases > li').length === 75").await;
            assert_eq!(browser.count("li[data-id=r005] input:checked").await, 1, "{address}");
            browser.no_longer_before_each_document(clock).await;
        }
    });
}

#[test]
fn an_environment_is_walked_anew_only_when_somebody_asks_for_it() {
    in_a_browser(async |browser| {
        let server = Server::with_samples();
        let proxy = Proxy::start(&server.address, |_, _| Way::On).await;
        let clock = browser.before_each_document(CLOCK).await;
        browser.open(&proxy.address, &link(&[("view", "environment"), ("envName", "prod")])).await;
        let walked = proxy.asked().len();
        assert!(walked >= 3, "one request a service");
        proxy.forget();
        half_a_minute_passes(browser).await;
        browser.value("fetch('/api/directory/dc/artifact?commit=1234567').then(() => true)").await;
        let asked = proxy.asked().len() - 1;
        assert!(asked <= 1, "{:?}", proxy.asked());
        browser.no_longer_before_each_document(clock).await;
    });
}

#[test]
fn a_view_that_still_loads_is_left_behind_when_another_is_asked_for() {
    in_a_browser(async |browser| {
        let server = Server::with_samples();
        let permits = Arc::new(Semaphore::new(0));
        let held = Arc::clone(&permits);
        let proxy = Proxy::start(&server.address, move |target, _| {
            if target.contains("commit=9d8b693") { Way::OnWith(Arc::clone(&held)) } else { Way::On }
        })
        .await;
        browser.open(&proxy.address, "/").await;
        browser.click("#box").await;
        browser.type_keys("9d8b693\u{e007}").await;
        browser.until("document.querySelector('#view[aria-busy=true] .skeleton')").await;
        browser.driver().back().await.unwrap();
        browser.shows("start").await;
        permits.add_permits(10);
        browser.value("fetch('/api/directory/dc/artifact?commit=1234567').then(() => true)").await;
        browser.shows("start").await;
        assert_eq!(browser.count("#summary").await, 0);
        assert!(browser.count("#releases > li").await > 0);
    });
}

#[test]
fn a_skeleton_holds_the_place_of_what_is_slow_and_nothing_moves() {
    in_a_browser(async |browser| {
        let server = Server::with_samples();
        let permits = Arc::new(Semaphore::new(0));
        let held = Arc::clone(&permits);
        let proxy = Proxy::start(&server.address, move |target, _| {
            if target.starts_with("/api/") { Way::OnWith(Arc::clone(&held)) } else { Way::On }
        })
        .await;
        for view in [
            &[][..],
            &[("q", CART)],
            &[("view", "releases")],
            &[("view", "environment"), ("envName", "prod")],
        ] {
            browser.driver().goto(format!("http://{}{}", proxy.address, link(view))).await.unwrap();
            browser.until("document.querySelector('#view[aria-busy=true] .skeleton')").await;
            permits.add_permits(100);
            browser.settled().await;
            assert_eq!(browser.count(".skeleton").await, 0, "{view:?}");
            let moved = "new Promise(tell => new PerformanceObserver((list, observer) => {
                observer.disconnect();
                tell(list.getEntries().reduce((sum, { value }) => sum + value, 0));
            }).observe({ type: 'layout-shift', buffered: true }) || requestAnimationFrame(() =>
                requestAnimationFrame(() => tell(0))))";
            let moved = browser.value(moved).await.as_f64().unwrap();
            assert!(moved < 0.02, "{view:?}: {moved}");
            permits.forget_permits(usize::MAX);
        }
    });
}

#[test]
fn each_view_asks_no_more_than_it_must() {
    in_a_browser(async |browser| {
        let server = Server::with_samples();
        let proxy = Proxy::start(&server.address, |_, _| Way::On).await;
        for (view, most) in [
            (&[][..], 1),
            (&[("q", CART)], 2),
            (&[("q", "4b15c43")], 2),
            (&[("q", "1.3.0")], 2),
            (&[("view", "releases")], 1),
            (&[("view", "release"), ("id", "629819ddc528c2182225f081"), ("at", "1654135261")], 1),
            (
                &[
                    ("view", "diff"),
                    ("from", "62579882c528c2182225f065@1649907842"),
                    ("to", "629819ddc528c2182225f081@1654135261"),
                ],
                2,
            ),
            // Three images, each with its version, and the end of the walk.
            (&[("view", "environment"), ("envName", "prod")], 7),
        ] {
            proxy.forget();
            browser.open(&proxy.address, &link(view)).await;
            let asked: Vec<_> = proxy.asked().into_iter().map(|asked| asked.target).collect();
            println!("{view:?}: {} requests", asked.len());
            assert!(!asked.is_empty() && asked.len() <= most, "{view:?}: {asked:#?}");
            let elsewhere = "performance.getEntriesByType('resource').map(({ name }) => new URL(name).origin)
                .filter(origin => origin !== location.origin)";
            assert_eq!(browser.value(elsewhere).await, json!([]));
        }
    });
}
