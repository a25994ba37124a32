//! Records that want to harm whoever looks at them, or are large, or are empty.

use serde_json::json;
use thirtyfour::By;

use super::records::{
    CONTROLS, CONTROLS_SHOWN, DIGEST, ENVIRONMENT, MARKUP, bare_artifact, bare_release, busy_artifact,
    hostile_artifact, hostile_release, image, large_release,
};
use super::server::Server;
use super::{Browser, in_a_browser, link};
use crate::support::lines;

/// What [`MARKUP`] would have made, had it become part of the document.
const FOREIGN: &str = "script:not([src^='/page/']), iframe, style, svg[onload], img[src=x], object, embed, \
    base, \
    [onerror], [onload], [onclick], [onmouseover], [onfocus], [srcdoc], [autofocus]";

/// Characters that must be written out wherever they are seen.
const UNSEEN: &str = concat!(
    r"/[\u0000-\u0008\u000b-\u001f\u007f-\u009f",
    r"\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]/"
);

/// Holds that the page shows texts, and has done nothing that they say.
async fn is_unharmed(browser: &Browser, what: &str) {
    assert_eq!(browser.value("typeof window.harmed").await, "undefined", "{what}");
    assert_eq!(browser.count(FOREIGN).await, 0, "{what}");
    let addresses = "[...document.querySelectorAll('[href], [src], [action], [formaction]')]
        .flatMap(element => ['href', 'src', 'action', 'formaction'].map(name => element.getAttribute(name)))
        .filter(address => address !== null)
        .filter(address => !['http:', 'https:'].includes(new URL(address, location).protocol))";
    assert_eq!(browser.value(addresses).await, json!([]), "{what}");
    let own = "[...document.querySelectorAll('a[href]')].map(link => new URL(link.href))
        .filter(({ host }) => host === 'evil.example').length";
    assert_eq!(browser.value(own).await, 0, "{what}: an address without a scheme leads nowhere");
    assert_eq!(browser.value("Object.keys(Object.prototype)").await, json!([]), "{what}");
    let unseen = format!(
        "[document.title, document.body.innerText, ...[...document.querySelectorAll('[title], [aria-label]')]
            .flatMap(element => [element.title, element.ariaLabel ?? ''])].filter(text => {UNSEEN}.test(text))"
    );
    assert_eq!(browser.value(&unseen).await, json!([]), "{what}");
    // Also what the policy for the document's contents forbids is told there.
    browser.has_no_complaints().await;
}

#[test]
fn hostile_records_are_shown_as_text_and_do_nothing() {
    in_a_browser(async |browser| {
        let records =
            [hostile_artifact(), hostile_release("h1", 1_650_000_000), hostile_release("h2", 1_650_000_001)];
        let server = Server::with_records(&lines(&records)).await;
        browser.open(&server.address, "/").await;
        let globals = "Object.keys(window).sort()";
        let before = browser.value(globals).await;
        let image = image();
        let views: &[(&[(&str, &str)], &str)] = &[
            (&[], "harmed=1"),
            (&[("q", &image)], CONTROLS_SHOWN),
            (&[("q", DIGEST)], "harmed=1"),
            (&[("q", "0123456")], "harmed=1"),
            (&[("view", "releases")], "harmed=1"),
            (&[("view", "releases"), ("label", CONTROLS)], CONTROLS_SHOWN),
            (&[("view", "releases"), ("projectName", MARKUP)], "harmed=1"),
            (&[("view", "release"), ("id", "h1"), ("at", "1650000000")], CONTROLS_SHOWN),
            (&[("view", "diff"), ("from", "h1@1650000000"), ("to", "h2@1650000001")], "harmed=1"),
            (&[("view", "environment"), ("envName", ENVIRONMENT)], ENVIRONMENT),
            (&[("view", "environment"), ("envName", ENVIRONMENT), ("with", CONTROLS)], CONTROLS_SHOWN),
            (&[("q", MARKUP)], ""),
            (&[("view", MARKUP), (MARKUP, CONTROLS), ("__proto__", MARKUP)], ""),
            (&[("view", "release"), ("id", MARKUP), ("at", MARKUP)], ""),
            (&[("view", "diff"), ("from", MARKUP), ("to", CONTROLS)], ""),
        ];
        for (parameters, shown) in views {
            let what = format!("{parameters:?}");
            browser.open(&server.address, &link(parameters)).await;
            let text = browser.value("document.querySelector('#view').textContent").await;
            assert!(text.as_str().unwrap().contains(shown), "{what} does not show {shown}: {text}");
            if shown.is_empty() {
                // What is asked for does not exist: the API's refusals are told by the console as well.
                browser.logged().await;
            }
            is_unharmed(browser, &what).await;
            assert_eq!(browser.value(globals).await, before, "{what}");
            browser.fits().await;
            browser.size(360, 800).await;
            browser.fits().await;
            browser.size(1280, 900).await;
        }
    });
}

#[test]
fn a_thousand_activities_and_none_at_all_are_a_story() {
    in_a_browser(async |browser| {
        let server =
            Server::with_records(&lines(&[busy_artifact(), bare_artifact(), bare_release("b", 5)])).await;
        browser.open(&server.address, &link(&[("q", "registry.example.com/busy/cart:1")])).await;
        let first = browser.count("#timeline > li").await;
        assert!(first < 1000, "the newest are shown first");
        browser
            .driver()
            .find(By::XPath("//button[contains(., 'all 1000')]"))
            .await
            .unwrap()
            .click()
            .await
            .unwrap();
        browser.until("document.querySelectorAll('#timeline > li').length === 1000").await;
        browser.size(360, 800).await;
        browser.fits().await;
        for parameters in [
            &[("q", "registry.example.com/bare/cart:1")][..],
            &[("view", "releases")],
            &[("view", "release"), ("id", "b"), ("at", "5")],
            &[("view", "diff"), ("from", "b@5"), ("to", "b@5")],
            &[],
        ] {
            browser.open(&server.address, &link(parameters)).await;
            let shown = browser.text("#view").await;
            let stray =
                ["undefined", "null", "NaN", "[object", "Invalid Date"].map(|stray| shown.contains(stray));
            assert!(shown.len() > 10 && stray == [false; 5], "{parameters:?}: {shown}");
            is_unharmed(browser, &shown).await;
            browser.fits().await;
        }
    });
}

#[test]
fn releases_of_five_megabytes_are_opened_and_compared() {
    in_a_browser(async |browser| {
        let records = [large_release("l1", 1_650_000_000), large_release("l2", 1_650_000_001)];
        let server = Server::with_records(&lines(&records)).await;
        for parameters in [
            &[("view", "release"), ("id", "l1"), ("at", "1650000000")][..],
            &[("view", "diff"), ("from", "l1@1650000000"), ("to", "l2@1650000001")],
            &[("view", "releases")],
            &[("q", "v-l1")],
        ] {
            browser.open(&server.address, &link(parameters)).await;
            assert!(browser.text("#view").await.contains("v-l1"), "{parameters:?}");
            browser.size(360, 800).await;
            browser.fits().await;
            browser.size(1280, 900).await;
            is_unharmed(browser, "a large release").await;
        }
    });
}
