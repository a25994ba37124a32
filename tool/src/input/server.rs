//! A running Zadig: its two lists, page by page.

use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::oneshot;
use ureq::Agent;
use ureq::http::StatusCode;
use ureq::tls::{RootCerts, TlsConfig};

/// How often a page is asked for; the waits sum up to about half a minute.
const MAX_ATTEMPTS: u32 = 8;
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
const MAX_PAGE_BYTES: u64 = 1 << 30;

/// Which list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// `GET /api/aslan/delivery/releases`.
    Releases,
    /// `GET /api/aslan/delivery/artifacts`.
    Artifacts,
}

impl List {
    /// Both, in the order in which they are read.
    pub const ALL: [Self; 2] = [Self::Releases, Self::Artifacts];

    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Releases => "releases",
            Self::Artifacts => "artifacts",
        }
    }
}

/// What the server asks of a caller; never shown.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// Takes a token as it stands in a file or a variable.
    ///
    /// # Errors
    /// Why it cannot be one; the token itself is not in it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        let text = text.strip_prefix("Bearer ").unwrap_or(text).trim();
        if text.is_empty() {
            return Err("the token is empty");
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("the token holds a blank or another character that no token has");
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token")
    }
}

/// How a server is read.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many records a page has.
    pub page_size: u32,
    /// How many requests run side by side.
    pub requests_at_once: usize,
    /// How long one request may take.
    pub timeout: Duration,
    /// Where it is kept how far the reading has come.
    pub resume: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { page_size: 100, requests_at_once: 4, timeout: Duration::from_mins(2), resume: None }
    }
}

/// A running Zadig.
#[derive(Debug, Clone)]
pub struct Server {
    url: String,
    token: Token,
    options: Options,
    agent: Agent,
}

/// Why a server's lists could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address is no URL of a server, or holds credentials.
    #[error("{0}")]
    Url(&'static str),
    /// The token is not accepted.
    #[error("{url} answered {status}: the token is not accepted, or may not read this")]
    Denied {
        /// What was asked for.
        url: String,
        /// The answer's status.
        status: u16,
    },
    /// The server answers this request with an error whenever it is asked.
    #[error("{url} answered {status}{hint}")]
    Refused {
        /// What was asked for.
        url: String,
        /// The answer's status.
        status: u16,
        /// What may help.
        hint: String,
    },
    /// The server did not answer, or not with a list, however often it was asked.
    #[error("{url} could not be read in {MAX_ATTEMPTS} attempts: {reason}")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// What happened the last time.
        reason: String,
    },
    /// The file that says how far the reading has come cannot be used.
    #[error("{path}: {reason}")]
    Resume {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl ServerError {
    /// Whether the server might answer another time.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Its number, from 1.
    pub number: u64,
    /// The records, as JSON.
    pub records: Vec<Vec<u8>>,
    /// How many records the whole list has, where the server says so.
    pub total: Option<u64>,
}

impl Server {
    /// A server at a URL such as `https://zadig.example.com`, without credentials in it.
    ///
    /// # Errors
    /// [`ServerError::Url`].
    pub fn new(url: &str, token: Token, options: Options) -> Result<Self, ServerError> {
        let url = url.trim().trim_end_matches('/');
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let Some(rest) = rest.filter(|rest| !rest.is_empty() && !rest.starts_with('/')) else {
            return Err(ServerError::Url("the URL of a Zadig begins with https:// or http://"));
        };
        if rest.split('/').next().is_some_and(|authority| authority.contains('@')) {
            return Err(ServerError::Url("the URL holds credentials; Zadig takes a token alone"));
        }
        if rest.contains(['?', '#', ' ']) {
            return Err(ServerError::Url("the URL of a Zadig has no query"));
        }
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let agent = Agent::config_builder()
            .timeout_global(Some(options.timeout))
            .http_status_as_error(false)
            // The token must not follow to another host, and a list that moved is better asked for where it is.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("delivery-center/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build()
            .new_agent();
        Ok(Self { url: url.to_owned(), token, options, agent })
    }

    /// How it is read.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Whether the token goes over the network in the clear.
    #[must_use]
    pub fn is_in_the_clear(&self) -> bool {
        let is_loopback = |rest: &str| {
            let host = rest.split(['/', ':']).next().unwrap_or_default();
            matches!(host, "localhost" | "127.0.0.1") || rest.starts_with("[::1]")
        };
        self.url.strip_prefix("http://").is_some_and(|rest| !is_loopback(rest))
    }

    /// Reads a page, trying again where that may help.
    ///
    /// On a thread that does not keep the process from ending: a server that stalls would.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn page(self: Arc<Self>, list: List, number: u64) -> Result<Page, ServerError> {
        let (sender, receiver) = oneshot::channel::<Result<Page, ServerError>>();
        let url = self.address(list, number);
        std::thread::spawn(move || {
            let page = self.page_with_retries(list, number, &sender);
            // Nobody waits for a page past the last one.
            drop(sender.send(page));
        });
        let ended = |_| ServerError::Unreachable { url, reason: "reading it ended early".to_owned() };
        receiver.await.map_err(ended)?
    }

    fn address(&self, list: List, number: u64) -> String {
        let size = self.options.page_size;
        format!("{}/api/aslan/delivery/{}?page={number}&per_page={size}", self.url, list.name())
    }

    fn page_with_retries(
        &self,
        list: List,
        number: u64,
        waiting: &oneshot::Sender<Result<Page, ServerError>>,
    ) -> Result<Page, ServerError> {
        let url = self.address(list, number);
        let mut reason = String::new();
        for attempt in 0..MAX_ATTEMPTS {
            if attempt > 0 {
                std::thread::sleep(FIRST_WAIT.saturating_mul(1 << (attempt - 1)).min(LONGEST_WAIT));
            }
            if waiting.is_closed() {
                break;
            }
            match self.page_once(&url, number) {
                Ok(page) => return Ok(page),
                Err(Failure::ForGood(error)) => return Err(error),
                Err(Failure::MayPass(failed)) => {
                    tracing::debug!(url, attempt, reason = failed, "a page failed");
                    reason = failed;
                }
            }
        }
        Err(ServerError::Unreachable { url, reason })
    }

    fn page_once(&self, url: &str, number: u64) -> Result<Page, Failure> {
        let request = self.agent.get(url).header("Authorization", format!("Bearer {}", self.token.0));
        let mut answer =
            request.header("Accept", "application/json").call().map_err(|error| failure(&error))?;
        let status = answer.status();
        match status {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let denied = ServerError::Denied { url: url.to_owned(), status: status.as_u16() };
                return Err(Failure::ForGood(denied));
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
                return Err(Failure::MayPass(format!("it answered {}", status.as_u16())));
            }
            _ if status.is_server_error() => {
                return Err(Failure::MayPass(format!("it answered {}", status.as_u16())));
            }
            _ => {
                let hint = if status.is_redirection() { ": give the URL that it leads to" } else { "" };
                let (url, hint) = (url.to_owned(), hint.to_owned());
                return Err(Failure::ForGood(ServerError::Refused { url, status: status.as_u16(), hint }));
            }
        }
        let total =
            answer.headers().get("X-Total").and_then(|total| total.to_str().ok()?.trim().parse().ok());
        let body = answer.body_mut().with_config().limit(MAX_PAGE_BYTES).read_to_vec();
        let body = body.map_err(|error| failure(&error))?;
        // Go writes a list without elements as `null`, too.
        let records: Option<Vec<&RawValue>> = serde_json::from_slice(&body)
            .map_err(|error| Failure::MayPass(format!("its answer is no JSON list: {error}")))?;
        let records = records.unwrap_or_default();
        let records = records.into_iter().map(|record| record.get().as_bytes().to_vec()).collect();
        Ok(Page { number, records, total })
    }
}

enum Failure {
    MayPass(String),
    ForGood(ServerError),
}

/// Never the request: its headers hold the token.
fn failure(error: &ureq::Error) -> Failure {
    Failure::MayPass(match error {
        ureq::Error::Timeout(_) => "it did not answer in time".to_owned(),
        other => other.to_string(),
    })
}

/// How far the reading of a server has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    url: String,
    page_size: u32,
    /// By list, the first page that is not known to be stored; none where all are.
    next: [Option<u64>; 2],
}

impl Position {
    /// Where a server's reading goes on: at the start, unless its resume file says otherwise.
    ///
    /// # Errors
    /// [`ServerError::Resume`].
    pub fn of(server: &Server) -> Result<Self, ServerError> {
        let start = Self { url: server.url.clone(), page_size: server.options.page_size, next: [Some(1); 2] };
        let Some(path) = &server.options.resume else { return Ok(start) };
        let problem = |reason: String| ServerError::Resume { path: path.clone(), reason };
        let text = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(start),
            read => read.map_err(|error| problem(error.to_string()))?,
        };
        let found: Self = serde_json::from_slice(&text)
            .map_err(|error| problem(format!("this is no resume file: {error}")))?;
        if (&found.url, found.page_size) != (&start.url, start.page_size) {
            return Err(problem(
                "it belongs to another URL or page size; delete it to begin anew".to_owned(),
            ));
        }
        Ok(found)
    }

    /// The page to go on with: the last one that is known to be stored once more, since what is deleted in Zadig
    /// meanwhile moves everything behind it forward.
    #[must_use]
    pub fn next(&self, list: List) -> Option<u64> {
        self.next[list as usize].map(|page| page.saturating_sub(1).max(1))
    }

    /// Notes that pages before this one are stored, or the whole list.
    ///
    /// # Errors
    /// [`ServerError::Resume`].
    pub fn advance(&mut self, server: &Server, list: List, next: Option<u64>) -> Result<(), ServerError> {
        self.next[list as usize] = next;
        let Some(path) = &server.options.resume else { return Ok(()) };
        let saved = if self.next == [None; 2] { fs::remove_file(path) } else { self.save(path) };
        saved.map_err(|error| ServerError::Resume { path: path.clone(), reason: error.to_string() })
    }

    /// Written beside and renamed, so that the file is whole at any time.
    fn save(&self, path: &Path) -> io::Result<()> {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let mut file = tempfile::NamedTempFile::new_in(directory.unwrap_or(Path::new(".")))?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.persist(path)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_shown_and_never_odd() {
        let token = Token::parse(" Bearer abc.def\n").unwrap();
        assert_eq!(token.0, "abc.def");
        assert_eq!(format!("{token:?}"), "Token");
        assert!(Token::parse("").is_err() && Token::parse("a b").is_err() && Token::parse("ä").is_err());
    }

    #[test]
    fn urls_are_those_of_servers() {
        let new = |url| Server::new(url, Token("t".to_owned()), Options::default());
        assert!(new("https://zadig.example.com/").is_ok());
        for url in ["zadig.example.com", "https://", "https://u:p@zadig", "http://zadig?x=1", "file:///etc"] {
            assert!(new(url).is_err(), "{url}");
        }
        assert!(new("http://zadig").unwrap().is_in_the_clear());
        assert!(!new("http://127.0.0.1:80").unwrap().is_in_the_clear());
        assert!(!new("https://zadig").unwrap().is_in_the_clear());
    }

    #[test]
    fn the_position_is_kept_until_all_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("position");
        let options = Options { resume: Some(path.clone()), ..Options::default() };
        let server = Server::new("https://z", Token("t".to_owned()), options).unwrap();
        let mut position = Position::of(&server).unwrap();
        assert_eq!(position.next(List::Releases), Some(1));
        position.advance(&server, List::Releases, Some(8)).unwrap();
        assert_eq!(Position::of(&server).unwrap().next(List::Releases), Some(7));
        assert!(!fs::read_to_string(&path).unwrap().contains("token"));
        position.advance(&server, List::Releases, None).unwrap();
        assert_eq!(Position::of(&server).unwrap().next(List::Releases), None);
        position.advance(&server, List::Artifacts, None).unwrap();
        assert!(!path.exists());
        fs::write(&path, "{").unwrap();
        assert!(Position::of(&server).is_err());
    }
}
