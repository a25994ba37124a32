//! Pictures of the page: all views to look at, in `target/page`, and the one of the README.

use std::path::Path;

use serde_json::json;

use super::records::{busy_artifact, hostile_artifact, hostile_release, image};
use super::server::Server;
use super::{Browser, VIEWS, in_a_browser, link};
use crate::support::lines;

const MAX_README_BYTES: usize = 200_000;

/// The view as it is, as a PNG. With `whole`, also what is below the window.
async fn picture(browser: &Browser, whole: bool) -> Vec<u8> {
    let settings = json!({ "format": "png", "captureBeyondViewport": whole, "optimizeForSpeed": false });
    let answer = browser.tell("Page.captureScreenshot", settings).await;
    base64_simd::STANDARD.decode_to_vec(answer["data"].as_str().unwrap()).unwrap()
}

#[test]
#[ignore = "makes pictures for people to look at"]
fn every_view_is_photographed() {
    in_a_browser(async |browser| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../page");
        std::fs::create_dir_all(&folder).unwrap();
        browser.tell("Emulation.setScrollbarsHidden", json!({ "hidden": true })).await;
        let samples = Server::with_samples();
        let records = [hostile_artifact(), busy_artifact(), hostile_release("h1", 1_650_000_000)];
        let hostile = Server::with_records(&lines(&records)).await;
        let image = image();
        let more: [(&str, &[(&str, &str)]); 4] = [
            ("hostile-start", &[]),
            ("hostile-story", &[("q", &image)]),
            ("hostile-releases", &[("view", "releases")]),
            ("hostile-release", &[("view", "release"), ("id", "h1"), ("at", "1650000000")]),
        ];
        let nothing: [(&str, &[(&str, &str)]); 3] = [
            ("not-found", &[("q", "registry.example.com/shop/nowhere:1")]),
            ("nothing-runs", &[("view", "environment"), ("envName", "nowhere")]),
            ("refused", &[("view", "releases"), ("since", "some day")]),
        ];
        let views = VIEWS.iter().chain(&nothing).map(|view| (view, &samples));
        for ((name, view), server) in views.chain(more.iter().map(|view| (view, &hostile))) {
            for (scheme, width) in [("light", 1280), ("dark", 1280), ("light", 360), ("dark", 360)] {
                browser.scheme(scheme).await;
                browser.size(width, 800).await;
                browser.open(&server.address, &link(view)).await;
                let file = folder.join(format!("{name}-{scheme}-{width}.png"));
                std::fs::write(&file, picture(browser, true).await).unwrap();
                println!("{}", file.display());
            }
        }
    });
}

#[test]
#[ignore = "writes docs/page.png"]
fn the_readme_has_a_picture() {
    in_a_browser(async |browser| {
        let server = Server::with_samples();
        browser.size(1280, 800).await;
        browser.tell("Emulation.setScrollbarsHidden", json!({ "hidden": true })).await;
        let image = "registry.example.com/payments/ledger-api:20220422102000-2-release";
        browser.open(&server.address, &link(&[("q", image)])).await;
        browser.value("document.activeElement.blur()").await;
        let png = picture(browser, false).await;
        assert!(png.len() < MAX_README_BYTES, "{} bytes", png.len());
        std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/page.png"), png).unwrap();
    });
}
