//! The browsers: one chromedriver for this process, and as many sessions as tests use at a time.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex};

use axum::body::{Body, Bytes};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tempfile::TempDir;
use thirtyfour::error::{WebDriverErrorInner, WebDriverResult};
use thirtyfour::session::http::{Body as CommandBody, HttpClient};
use thirtyfour::{ChromiumLikeCapabilities as _, DesiredCapabilities, LoggingPrefsLogLevel, WebDriver};
use tokio::runtime::Runtime;

/// Where it is set, nothing may be skipped.
const REQUIRED: &str = "PAGE_TESTS_REQUIRED";

/// Beside these, chromedriver gives each browser a profile of its own. Over a pipe, a browser ends with its
/// driver, whatever ends that.
const SWITCHES: [&str; 9] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
    "--window-size=1280,900",
];

/// Ends the driver, and removes what it and its browsers wrote, once nobody holds the shell's standard input:
/// nothing else is told when a process of tests ends. Browsers take a moment to let go of their files.
const GUARD: &str = r#"
chromedriver --port=0 & driver=$!
read -r _
kill $driver
for _ in $(seq 100); do rm -rf "$HOME" && exit; sleep 0.1; done
"#;

/// On which all tests with a browser run, so that a session outlives the test that opened it.
pub(super) static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
static DRIVER: LazyLock<Option<Driver>> = LazyLock::new(Driver::start);
static IDLE: Mutex<Vec<WebDriver>> = Mutex::new(Vec::new());

/// Says what is skipped: not as `println` does it, which shows nothing of tests that pass.
pub(super) fn skip(what: &str) {
    assert!(std::env::var_os(REQUIRED).is_none(), "{REQUIRED} is set, and here would be skipped: {what}");
    let mut stderr = std::io::stderr();
    writeln!(stderr, "skipped: {what}").unwrap();
}

struct Driver {
    url: String,
    _guard: Child,
    _stdin: ChildStdin,
    _stdout: BufReader<ChildStdout>,
}

impl Driver {
    /// Starts chromedriver. Where none is installed, says so.
    fn start() -> Option<Self> {
        let is_installed =
            Command::new("chromedriver").arg("--version").stdout(Stdio::null()).status().is_ok();
        if !is_installed {
            skip("the page's tests, which need chromium and chromedriver");
            return None;
        }
        let home = TempDir::new().unwrap().keep();
        let mut guard = Command::new("sh")
            .args(["-c", GUARD])
            .env("HOME", &home)
            .env("TMPDIR", &home)
            .env("TZ", "UTC")
            .env("LANG", "C.UTF-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (stdin, mut stdout) = (guard.stdin.take().unwrap(), BufReader::new(guard.stdout.take().unwrap()));
        let mut line = String::new();
        let port = loop {
            line.clear();
            assert_ne!(stdout.read_line(&mut line).unwrap(), 0, "chromedriver does not start");
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                break port.trim().trim_end_matches('.').to_owned();
            }
        };
        Some(Self { url: format!("http://127.0.0.1:{port}"), _guard: guard, _stdin: stdin, _stdout: stdout })
    }
}

/// A session that no other test uses. A test that ends well leaves it to the next one.
pub(super) struct Session(Option<WebDriver>);

impl Session {
    /// None where no browser is installed.
    pub(super) async fn take() -> Option<Self> {
        let driver = DRIVER.as_ref()?;
        let idle = IDLE.lock().unwrap().pop();
        let session = match idle {
            Some(session) => session,
            None => open(&driver.url).await.unwrap(),
        };
        Some(Self(Some(session)))
    }

    pub(super) fn driver(&self) -> &WebDriver {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            IDLE.lock().unwrap().extend(self.0.take());
        }
    }
}

async fn open(url: &str) -> WebDriverResult<WebDriver> {
    let mut chromium = DesiredCapabilities::chrome();
    for switch in SWITCHES {
        chromium.add_arg(switch)?;
    }
    chromium.set_browser_log_level(LoggingPrefsLogLevel::All)?;
    let http = Http(Client::builder(TokioExecutor::new()).build_http());
    WebDriver::builder(url, chromium).client(http).await
}

/// Sends commands to chromedriver.
struct Http(Client<HttpConnector, Body>);

#[async_trait::async_trait]
impl HttpClient for Http {
    async fn send(&self, command: http::Request<CommandBody<'_>>) -> WebDriverResult<http::Response<Bytes>> {
        let command = command.map(|body| match body {
            CommandBody::Empty => Body::empty(),
            CommandBody::Json(json) => Body::from(json.to_string()),
        });
        let failed = |error: String| WebDriverErrorInner::HttpError(error);
        let answer = self.0.request(command).await.map_err(|error| failed(error.to_string()))?;
        let (head, body) = answer.into_parts();
        let body = axum::body::to_bytes(Body::new(body), usize::MAX).await;
        Ok(http::Response::from_parts(head, body.map_err(|error| failed(error.to_string()))?))
    }

    async fn new(&self) -> Arc<dyn HttpClient> {
        Arc::new(Self(Client::builder(TokioExecutor::new()).build_http()))
    }
}
