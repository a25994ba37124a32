//! The keyboard alone.

use std::collections::BTreeSet;

use serde_json::json;

use super::server::Server;
use super::{Browser, VIEWS, in_a_browser, link};

const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";

/// Marks everything that can be used with a number.
const NUMBERED: &str = "[...document.querySelectorAll('a[href], button, input, select, textarea, summary')]
    .filter(element => element.checkVisibility() && !element.disabled)
    .map((element, number) => element.dataset.number = number).length";

/// Notes the number of everything that gets the focus, whether that can be seen, and what it is.
const NOTED: &str = "(window.reached = [], document.addEventListener('focusin', ({ target: element }) => {
    const style = getComputedStyle(element);
    const rectangle = element.getBoundingClientRect();
    const isMarked =
        style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0 || style.boxShadow !== 'none';
    const isInView = rectangle.width > 0 && rectangle.height > 0 && rectangle.bottom > 0 && rectangle.right > 0
        && rectangle.top < innerHeight && rectangle.left < innerWidth;
    reached.push([element.dataset.number ?? '', isMarked && isInView, element.outerHTML.slice(0, 200)]);
}))";

/// Goes through the page with the Tab key, and holds that it reaches everything, and that one sees where.
async fn tab_reaches_everything(browser: &Browser) {
    let count = browser.value(NUMBERED).await.as_u64().unwrap();
    assert!(count > 3);
    browser.value(NOTED).await;
    let mut reached = BTreeSet::new();
    while reached.len() < usize::try_from(count).unwrap() {
        browser.type_keys(&TAB.repeat(20)).await;
        let noted = browser.value("reached.splice(0)").await;
        let noted: Vec<(String, bool, String)> = serde_json::from_value(noted).unwrap();
        let before = reached.len();
        for (number, is_seen, what) in noted {
            assert!(is_seen, "the focus cannot be seen at {what}");
            reached.extend(number.parse::<u64>().ok());
        }
        if reached.len() == before {
            break;
        }
    }
    let all =
        "[...document.querySelectorAll('[data-number]')].map(element => element.outerHTML.slice(0, 200))";
    let all: Vec<String> = serde_json::from_value(browser.value(all).await).unwrap();
    let missing: Vec<_> = (0..).zip(all).filter(|(number, _)| !reached.contains(number)).collect();
    assert!(missing.is_empty(), "Tab does not reach {missing:#?}");
}

#[test]
fn tab_reaches_everything_and_one_sees_where_it_is() {
    in_a_browser(async |browser| {
        let server = Server::with_samples();
        for (_, view) in VIEWS {
            browser.open(&server.address, &link(view)).await;
            browser.value("document.activeElement.blur()").await;
            tab_reaches_everything(browser).await;
        }
    });
}

/// Presses Tab until an element has the focus.
async fn tab_to(browser: &Browser, selector: &str) {
    for _ in 0..300 {
        let is_there = format!("document.activeElement.matches({})", json!(selector));
        if browser.value(&is_there).await == true {
            return;
        }
        browser.type_keys(TAB).await;
    }
    panic!("Tab does not reach {selector}");
}

#[test]
fn everything_can_be_asked_with_the_keyboard_alone() {
    in_a_browser(async |browser| {
        let server = Server::with_samples();
        browser.open(&server.address, "/").await;
        tab_to(browser, "#box").await;
        browser.type_keys("4b15c43").await;
        browser.type_keys(ENTER).await;
        browser.shows("find").await;
        assert!(browser.text("#summary").await.contains("4b15c43"));
        browser
            .open(
                &server.address,
                &link(&[("view", "releases"), ("projectName", "shop"), ("envName", "prod")]),
            )
            .await;
        tab_to(browser, "#releases > li:nth-child(1) input[type=checkbox]").await;
        browser.type_keys(" ").await;
        tab_to(browser, "#releases > li:nth-child(2) input[type=checkbox]").await;
        browser.type_keys(" ").await;
        tab_to(browser, "#compare").await;
        browser.type_keys(ENTER).await;
        browser.shows("diff").await;
        browser.driver().back().await.unwrap();
        browser.shows("releases").await;
        tab_to(browser, ".chip button").await;
        browser.type_keys(ENTER).await;
        browser.until("document.querySelectorAll('.chip').length === 1").await;
        browser.settled().await;
        tab_to(browser, "#releases > li a[href*='view=release&']").await;
        browser.type_keys(ENTER).await;
        browser.shows("release").await;
        browser.has_no_complaints().await;
    });
}
