//! The same questions, answered by the API, by the terminal, and by the page.

use std::collections::BTreeMap;

use axum::body::Body;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::server::Server;
use super::{Browser, in_a_browser, link};
use crate::running::{run, tool};

/// What runs somewhere: by the image without its tag, the tag, since when, and the commit of its newest build.
type Running = BTreeMap<String, (String, i64, String)>;

/// Answers a path of the API with all that `Link`s lead to.
async fn walk(address: &str, path: &str, query: &str) -> Vec<Value> {
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
    let (mut answers, mut next) = (Vec::new(), Some(query.to_owned()));
    while let Some(query) = next {
        let answer = client.get(format!("http://{address}{path}?{query}").parse().unwrap()).await.unwrap();
        let link = answer.headers().get("link").map(|link| link.to_str().unwrap().to_owned());
        next = link.map(|link| link.split(['?', '>']).nth(1).unwrap().to_owned());
        let is_found = answer.status() == 200;
        let body = axum::body::to_bytes(Body::new(answer.into_body()), usize::MAX).await.unwrap();
        answers.extend(is_found.then(|| serde_json::from_slice::<Value>(&body).unwrap()));
    }
    answers
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The row of an image that runs somewhere.
fn row(image: &str, since: i64, commit: &str) -> (String, (String, i64, String)) {
    let (repository, tag) = image.rsplit_once(':').unwrap();
    (repository.to_owned(), (tag.to_owned(), since, commit[..7].to_owned()))
}

async fn running_by_api(address: &str) -> Running {
    let artifacts = walk(address, "/api/directory/dc/artifact", "envName=prod").await;
    let newest =
        |artifact: &Value, kind: &str| artifact["sortedActivities"][kind].as_array().unwrap()[0].clone();
    artifacts
        .iter()
        .map(|artifact| {
            let deploys = artifact["sortedActivities"]["deploy"].as_array().unwrap();
            let deploy = deploys.iter().find(|deploy| deploy["env_name"] == "prod").unwrap();
            let commit = text(&newest(artifact, "build")["commits"][0]["commit_id"]);
            row(&text(&artifact["image"]), deploy["created_time"].as_i64().unwrap(), &commit)
        })
        .collect()
}

/// How the terminal is told whom to ask: its environment, and arguments.
struct Terminal {
    environment: Vec<(&'static str, String)>,
    arguments: Vec<String>,
}

impl Terminal {
    fn over_tables(server: &Server) -> Self {
        Self { environment: server.environment().to_vec(), arguments: Vec::new() }
    }

    /// With no right on any table.
    fn over_the_api(server: &Server) -> Self {
        Self {
            environment: vec![("AWS_EC2_METADATA_DISABLED", "true".to_owned())],
            arguments: vec!["--api".to_owned(), format!("http://{}", server.address)],
        }
    }

    /// The lines that a question prints as JSON.
    async fn ask(&self, question: &[&str]) -> Vec<Value> {
        let more = self.arguments.iter().map(String::as_str).chain(["--json"]);
        let ran =
            run(tool(&self.environment, &question.iter().copied().chain(more).collect::<Vec<_>>())).await;
        assert_eq!(ran.status, Some(0), "{ran:?}");
        ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    async fn running(&self) -> Running {
        let lines = self.ask(&["environment", "prod"]).await;
        let row = |line: &Value| {
            row(&text(&line["image"]), line["since"].as_i64().unwrap(), &text(&line["commit_id"]))
        };
        lines.iter().map(row).collect()
    }
}

async fn running_by_page(browser: &Browser, address: &str) -> Running {
    browser.open(address, &link(&[("view", "environment"), ("envName", "prod")])).await;
    let rows = "[...document.querySelectorAll('tr[data-repository]')].map(row => [
        row.dataset.repository, row.textContent, Date.parse(row.querySelector('time').dateTime) / 1000])";
    let rows: Vec<(String, String, i64)> = serde_json::from_value(browser.value(rows).await).unwrap();
    let expected = running_by_api(address).await;
    let row = |(repository, text, since): (String, String, i64)| {
        // The page shows more words than these: those are looked for that the API has.
        let (tag, _, commit) = &expected[&repository];
        let word = |word: &String| if text.contains(word) { word.clone() } else { text.clone() };
        (repository, (word(tag), since, word(commit)))
    };
    rows.into_iter().map(row).collect()
}

#[test]
fn the_same_question_has_the_same_answer_everywhere() {
    in_a_browser(async |browser| {
        let server = Server::with_samples();
        let address = &server.address;
        let terminals = [Terminal::over_tables(&server), Terminal::over_the_api(&server)];

        let running = running_by_api(address).await;
        assert_eq!(running.len(), 3);
        for terminal in &terminals {
            assert_eq!(terminal.running().await, running);
        }
        assert_eq!(running_by_page(browser, address).await, running);

        let query = "projectName=shop&envName=prod&verbosity=brief";
        let pages = walk(address, "/api/aslan/delivery/releases", query).await;
        let id = |release: &Value| text(&release["versionInfo"]["id"]);
        let ids: Vec<_> = pages.iter().flat_map(|page| page.as_array().unwrap()).map(id).collect();
        for terminal in &terminals {
            let releases = terminal.ask(&["releases", "--project", "shop", "--env", "prod"]).await;
            assert_eq!(releases[0].as_array().unwrap().iter().map(id).collect::<Vec<_>>(), ids);
        }
        browser
            .open(address, &link(&[("view", "releases"), ("projectName", "shop"), ("envName", "prod")]))
            .await;
        let by_page = "[...document.querySelectorAll('#releases > li')].map(item => item.dataset.id)";
        assert_eq!(browser.value(by_page).await, Value::from(ids));

        let image = "registry.example.com/payments/ledger-api:20220422102000-2-release";
        let of_image = link(&[("image", image)]).trim_start_matches("/?").to_owned();
        let artifact = walk(address, "/api/directory/dc/artifact", &of_image).await.remove(0);
        for terminal in &terminals {
            assert_eq!(terminal.ask(&["artifact", image]).await, std::slice::from_ref(&artifact));
        }
        browser.open(address, &link(&[("q", image)])).await;
        let story = browser.text("#view").await;
        assert!(story.contains(artifact["image_digest"].as_str().unwrap()), "{story}");
        let times = "[...document.querySelectorAll('#timeline > li')]
            .map(item => [item.dataset.type, Date.parse(item.querySelector('time').dateTime) / 1000])";
        let mut by_page: Vec<(String, i64)> = serde_json::from_value(browser.value(times).await).unwrap();
        let activity =
            |activity: &Value| (text(&activity["type"]), activity["created_time"].as_i64().unwrap());
        let mut by_api: Vec<_> = artifact["activities"].as_array().unwrap().iter().map(activity).collect();
        by_page.sort();
        by_api.sort();
        assert_eq!(by_page, by_api);

        let [diff, by_the_api] = [&terminals[0], &terminals[1]]
            .map(|terminal| terminal.ask(&["diff", "--project", "shop", "1.2.1", "1.3.0"]));
        let diff = diff.await.remove(0);
        assert_eq!(by_the_api.await, std::slice::from_ref(&diff));
        let at = |side: &str| format!("{}@{}", text(&diff[side]["id"]), diff[side]["created_at"]);
        browser.open(address, &link(&[("view", "diff"), ("from", &at("from")), ("to", &at("to"))])).await;
        let compared = browser.text("#view").await;
        for image in diff["images"].as_array().unwrap() {
            for side in ["from", "to"] {
                let shown = text(&image[side]["image"]);
                let tag = shown.rsplit(':').next().unwrap();
                assert!(compared.contains(tag), "{shown}: {compared}");
            }
        }
        for side in ["added", "removed"] {
            for service in diff["services"][side].as_array().unwrap() {
                assert!(compared.contains(service["service"].as_str().unwrap()), "{service}: {compared}");
            }
        }
    });
}
