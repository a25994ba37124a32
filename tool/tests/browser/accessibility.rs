//! axe-core's rules, on each view, in light and dark, wide and narrow.
//!
//! axe-core is not part of this repository, since it is larger than the page. `.ci/run` takes it from npm:
//! `npm pack axe-core`, unpacked in `target/axe-core`.

use std::path::Path;

use super::driver::skip;
use super::server::Server;
use super::{VIEWS, in_a_browser, link};

/// What breaks a rule, as a list of lines.
const CHECK: &str = "axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) =>
    violations.flatMap(({ id, help, nodes }) => nodes.map(({ target, any }) =>
        `${id}: ${help}: ${target} ${any.map(({ message }) => message)}`)))";

/// None where it was not fetched.
fn axe() -> Option<String> {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../axe-core/package/axe.min.js");
    match std::fs::read_to_string(&file) {
        Ok(axe) => Some(axe),
        Err(error) => {
            skip(&format!("axe-core's rules, which .ci/run tools fetches: {}: {error}", file.display()));
            None
        }
    }
}

#[test]
fn no_view_breaks_a_rule_of_axe_core() {
    let Some(axe) = axe() else { return };
    in_a_browser(async |browser| {
        let server = Server::with_samples();
        let mut broken = Vec::new();
        for (name, view) in VIEWS {
            browser.open(&server.address, &link(view)).await;
            browser.driver().execute(axe.as_str(), vec![]).await.unwrap();
            for (scheme, width) in [("light", 1280), ("dark", 360)] {
                browser.scheme(scheme).await;
                browser.size(width, 800).await;
                let found: Vec<String> = serde_json::from_value(browser.value(CHECK).await).unwrap();
                broken.extend(found.into_iter().map(|rule| format!("{name}, {scheme}, {width}: {rule}")));
            }
            browser.scheme("light").await;
            browser.size(1280, 800).await;
        }
        assert!(broken.is_empty(), "{broken:#?}");
    });
}
