//! The page, looked at in a real browser: headless Chromium, which chromedriver drives.
//!
//! Where no chromedriver is installed, these tests say once that they are skipped; with `PAGE_TESTS_REQUIRED`
//! set, as in CI, they fail. Nothing here waits for a fixed time: what is waited for is named, and is looked for
//! in the page every few milliseconds.

mod accessibility;
mod asking;
mod driver;
mod hostile;
mod keyboard;
mod pictures;
mod proxy;
mod records;
mod same_answer;
mod server;
mod views;

use std::fmt::Debug;
use std::time::Duration;

use serde_json::{Value, json};
use thirtyfour::{By, WebDriver, WebElement};

use driver::{RUNTIME, Session};

/// How long a page may take to show what a test waits for. The machine may be busy with other tests.
const PATIENCE: Duration = Duration::from_secs(20);

/// Each view on the samples.
const VIEWS: [(&str, &[(&str, &str)]); 7] = [
    ("start", &[]),
    ("story", &[("q", "registry.example.com/payments/ledger-api:20220422102000-2-release")]),
    ("releases", &[("view", "releases"), ("projectName", "shop"), ("envName", "prod")]),
    ("release", &[("view", "release"), ("id", "629819ddc528c2182225f081"), ("at", "1654135261")]),
    (
        "diff",
        &[
            ("view", "diff"),
            ("from", "62579882c528c2182225f065@1649907842"),
            ("to", "629819ddc528c2182225f081@1654135261"),
        ],
    ),
    ("environment", &[("view", "environment"), ("envName", "prod")]),
    ("environments", &[("view", "environment"), ("envName", "prod"), ("with", "dev")]),
];

/// The link of a view.
fn link(parameters: &[(&str, &str)]) -> String {
    if parameters.is_empty() {
        return "/".to_owned();
    }
    format!("/?{}", url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish())
}

/// Runs a test with a browser, where one is installed.
fn in_a_browser(test: impl AsyncFnOnce(&Browser)) {
    RUNTIME.block_on(async {
        let Some(session) = Session::take().await else { return };
        let browser = Browser { session };
        browser.start_anew().await;
        test(&browser).await;
    });
}

/// A browser with one window.
struct Browser {
    session: Session,
}

impl Browser {
    fn driver(&self) -> &WebDriver {
        self.session.driver()
    }

    /// An empty window of the usual size, in a light scheme, about which nothing was logged.
    async fn start_anew(&self) {
        self.driver().goto("about:blank").await.unwrap();
        self.size(1280, 900).await;
        self.scheme("light").await;
        self.tell("Emulation.setScrollbarsHidden", json!({ "hidden": false })).await;
        self.logged().await;
    }

    async fn tell<C: Debug + serde::Serialize>(&self, method: &str, parameters: C) -> Value {
        let answer = self.driver().cdp().send_raw(method, &parameters).await;
        answer.unwrap_or_else(|error| panic!("{method} {parameters:?}: {error}"))
    }

    /// Makes the window that large.
    async fn size(&self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.tell("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Says whether the system is `light` or `dark`.
    async fn scheme(&self, scheme: &str) {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.tell("Emulation.setEmulatedMedia", json!({ "features": [feature] })).await;
    }

    /// Runs a script before those of each document that is opened from now on.
    async fn before_each_document(&self, script: &str) -> Value {
        self.tell("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script })).await["identifier"]
            .clone()
    }

    async fn no_longer_before_each_document(&self, identifier: Value) {
        self.tell("Page.removeScriptToEvaluateOnNewDocument", json!({ "identifier": identifier })).await;
    }

    /// Opens a URL, and waits until the page shows its answer.
    async fn open(&self, address: &str, link: &str) {
        self.driver().goto(format!("http://{address}{link}")).await.unwrap();
        self.settled().await;
    }

    /// Waits until the page shows its answer.
    async fn settled(&self) {
        self.until("document.querySelector('#view[aria-busy=false]')").await;
    }

    /// Waits until a view shows its answer.
    async fn shows(&self, view: &str) {
        self.until(&format!("document.querySelector('#view[aria-busy=false][data-view={view}]')")).await;
    }

    /// Waits until an expression is true in the page.
    async fn until(&self, condition: &str) {
        let script = format!(
            "const done = arguments[0], started = performance.now();
            const look = () => {{
                let found;
                try {{ found = {condition}; }} catch (error) {{ return done(String(error)); }}
                if (found) return done(null);
                if (performance.now() - started < {}) return setTimeout(look, 5);
                done(location.href + '\\n' + document.body.innerText);
            }};
            look();",
            PATIENCE.as_millis(),
        );
        let missing = self.driver().execute_async(script.as_str(), vec![]).await;
        let missing = missing.unwrap_or_else(|error| panic!("{condition}: {error}"));
        assert!(missing.json().is_null(), "waited for {condition}, and found {}", missing.json());
    }

    /// The value of an expression in the page.
    async fn value(&self, expression: &str) -> Value {
        let script = format!("return ({expression});");
        let value = self.driver().execute(script.as_str(), vec![]).await;
        value.unwrap_or_else(|error| panic!("{expression}: {error}")).json().clone()
    }

    /// How many elements a selector finds.
    async fn count(&self, selector: &str) -> u64 {
        let expression = format!("document.querySelectorAll({}).length", json!(selector));
        self.value(&expression).await.as_u64().unwrap()
    }

    /// The text of the first element that a selector finds, as it is seen.
    async fn text(&self, selector: &str) -> String {
        self.texts(selector).await.into_iter().next().unwrap_or_else(|| panic!("there is no {selector}"))
    }

    /// The texts of all elements that a selector finds, as they are seen.
    async fn texts(&self, selector: &str) -> Vec<String> {
        let expression =
            format!("[...document.querySelectorAll({})].map(element => element.innerText)", json!(selector));
        serde_json::from_value(self.value(&expression).await).unwrap()
    }

    async fn element(&self, selector: &str) -> WebElement {
        let found = self.driver().find(By::Css(selector)).await;
        found.unwrap_or_else(|error| panic!("{selector}: {error}"))
    }

    async fn click(&self, selector: &str) {
        let clicked = self.element(selector).await.click().await;
        clicked.unwrap_or_else(|error| panic!("{selector}: {error}"));
    }

    /// Types into whatever has the focus.
    async fn type_keys(&self, keys: &str) {
        self.driver().action_chain().send_keys(keys).perform().await.unwrap();
    }

    /// The path and the query of what is shown.
    async fn link(&self) -> String {
        self.value("location.pathname + location.search").await.as_str().unwrap().to_owned()
    }

    /// What the console has got since this was asked last. The browser itself tells of every answer that is an
    /// error; that nothing is found is an answer like others.
    async fn logged(&self) -> Vec<String> {
        let entries = self.driver().browser_log().await.unwrap().into_iter();
        let told = entries.map(|entry| format!("{}: {}", entry.level, entry.message));
        told.filter(|entry| !entry.ends_with("the server responded with a status of 404 (Not Found)"))
            .collect()
    }

    /// Holds that nothing went wrong in the page that the console would tell of.
    async fn has_no_complaints(&self) {
        assert_eq!(self.logged().await, Vec::<String>::new());
    }

    /// Holds that the page cannot be scrolled to the side.
    async fn fits(&self) {
        let wide = "[...document.querySelectorAll('body *')]
            .filter(element => element.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
            .slice(-3).map(element => element.outerHTML.slice(0, 300))";
        let expression = format!(
            "document.documentElement.scrollWidth > document.documentElement.clientWidth ? {wide} : []"
        );
        let link = self.link().await;
        assert_eq!(self.value(&expression).await, json!([]), "{link} is too wide");
    }
}
