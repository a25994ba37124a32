//! Reads the two lists of a running Zadig, page by page, and single releases of Zadig 4.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde::de::Error as _;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokio::sync::{Semaphore, oneshot};
use ureq::Agent;
use ureq::http::StatusCode;
use ureq::tls::{RootCerts, TlsConfig};
use url::{Host, Url};

use crate::retries::Patience;

const MAX_PAGE_BYTES: u64 = 1 << 30;
const MAX_ERROR_BYTES: u64 = 1 << 16;

/// One of Zadig's two lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum List {
    /// `GET /api/aslan/delivery/releases`.
    Releases,
    /// `GET /api/aslan/delivery/artifacts`.
    Artifacts,
}

impl List {
    /// Both, in the order in which they are read.
    pub const ALL: [Self; 2] = [Self::Releases, Self::Artifacts];

    /// Its name in the URL and in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Releases => "releases",
            Self::Artifacts => "artifacts",
        }
    }
}

/// The API token that the server asks for. It is never shown, not even by `Debug`.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// Takes a token as it stands in a file or a variable.
    ///
    /// # Errors
    /// Why the text cannot be a token; the text itself is not in the reason.
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
    /// How long one request may take, and how long it is tried again where that may help.
    pub timeout: Duration,
}

/// A running Zadig.
#[derive(Debug, Clone)]
pub struct Server {
    url: Url,
    token: Token,
    /// How it is read.
    pub options: Options,
    agent: Agent,
    /// A permit for each request that may run.
    running: Arc<Semaphore>,
}

/// Why a server's lists could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The server answers this request with an error whenever it is asked.
    #[error("{url} answered {status}{said}{hint}")]
    Refused {
        /// What was asked for.
        url: String,
        /// The answer's status.
        status: u16,
        /// What Zadig says of it, behind a colon.
        said: String,
        /// What may help.
        hint: &'static str,
    },
    /// The server did not answer, or not with JSON, however often it was asked.
    #[error("{url} could not be read, although it was asked for again")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// What happened the last time.
        #[source]
        failure: PageFailure,
    },
}

/// Why one request failed; another one may succeed.
#[derive(Debug, thiserror::Error)]
pub enum PageFailure {
    /// There was no answer in time.
    #[error("it did not answer in time")]
    Timeout,
    /// Nothing answers there.
    #[error("{0}: check the URL")]
    NoServer(io::Error),
    /// There was no answer, or only a part of it. The message does not show the request, whose headers hold
    /// the token.
    #[error(transparent)]
    Connection(ureq::Error),
    /// The answer was an error that may pass, such as 503.
    #[error("it answered {status}{said}")]
    Status {
        /// Its status.
        status: u16,
        /// What Zadig says of it, behind a colon.
        said: String,
    },
    /// The answer was something other than what was asked for.
    #[error("its answer is not JSON of what was asked for")]
    NotUnderstood(#[source] serde_json::Error),
}

impl ServerError {
    /// Whether it tells only that one record is not to be had.
    pub(crate) fn is_of_one_record(&self) -> bool {
        matches!(self, Self::Refused { status: 200 | 400 | 404, .. })
    }

    /// Whether the server might answer at another time.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

/// An answer without an error.
struct Answer {
    /// How many records the whole list has, where the server says so.
    total: Option<u64>,
    body: Vec<u8>,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPage {
    /// Its number, from 1.
    pub number: u64,
    /// The records, as JSON.
    pub records: Vec<Vec<u8>>,
    /// How many records the whole list has, where the server says so.
    pub total: Option<u64>,
}

impl Server {
    /// Reads the URL of a server, such as `https://zadig.example.com`, without credentials in it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn url(text: &str) -> Result<Url, &'static str> {
        let parsed = Url::parse(text.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = parsed.ok_or("the URL of a Zadig begins with https:// or http://")?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("the URL holds credentials; leave them out, since Zadig takes only a token");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("the URL of a Zadig has no query and no fragment");
        }
        Ok(url)
    }

    /// The server at a URL that [`Server::url`] has read.
    pub fn new(url: Url, token: Token, options: Options) -> Self {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let agent = Agent::config_builder()
            .timeout_global(Some(options.timeout))
            .http_status_as_error(false)
            // A redirect could take the token to another host. A list that has moved is asked for at its new
            // URL.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("delivery-center/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build()
            .new_agent();
        let running = Arc::new(Semaphore::new(options.requests_at_once));
        Self { url, token, options, agent, running }
    }

    /// Whether the token goes over the network unencrypted: by plain HTTP to another machine.
    pub fn sends_token_unencrypted(&self) -> bool {
        let is_loopback = match self.url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        self.url.scheme() == "http" && !is_loopback
    }

    /// Reads a page of a list.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn page(self: Arc<Self>, list: List, number: u64) -> Result<ListPage, ServerError> {
        let (page, per_page) = (number.to_string(), self.options.page_size.to_string());
        let mut query = vec![("page", page.as_str()), ("per_page", &per_page)];
        if list == List::Releases {
            // Of all projects.
            query.insert(0, ("projectName", ""));
        }
        let url = self.url_of(&[list.name()], &query);
        let read = move |Answer { total, body }: &Answer| {
            // Go writes an empty list as `[]` or as `null`.
            let records: Option<Vec<&RawValue>> = serde_json::from_slice(body)?;
            let records = records.unwrap_or_default().into_iter();
            let records = records.map(|record| record.get().as_bytes().to_vec()).collect();
            Ok(ListPage { number, records, total: *total })
        };
        self.read(url, read).await
    }

    /// Reads one whole release of Zadig 4, as JSON.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn release(self: Arc<Self>, id: &str, project: &str) -> Result<Vec<u8>, ServerError> {
        let url = self.url_of(&[List::Releases.name(), id], &[("projectName", project)]);
        let read = |Answer { body, .. }: &Answer| {
            let object: Map<String, Value> = serde_json::from_slice(body)?;
            // The object of an error has none.
            let has_id = object.contains_key("id");
            has_id.then(|| body.clone()).ok_or_else(|| serde_json::Error::missing_field("id"))
        };
        self.read(url, read).await
    }

    fn url_of(&self, path: &[&str], query: &[(&str, &str)]) -> String {
        let mut url = self.url.clone();
        let mut segments = url.path_segments_mut().expect("a URL of HTTP has a path");
        segments.pop_if_empty().extend(["api", "aslan", "delivery"].iter().chain(path));
        drop(segments);
        url.query_pairs_mut().extend_pairs(query);
        url.into()
    }

    /// Asks for something, and tries again where that may help.
    async fn read<T: Send + 'static>(
        self: Arc<Self>,
        url: String,
        read: impl Fn(&Answer) -> serde_json::Result<T> + Copy + Send + 'static,
    ) -> Result<T, ServerError> {
        let mut patience = Patience::new(self.options.timeout);
        loop {
            match Arc::clone(&self).read_on_a_thread(url.clone(), read).await {
                Err(ServerError::Unreachable { ref failure, .. }) if patience.wait().await => {
                    tracing::debug!(url, reason = %failure, "it is asked for again");
                }
                ended => return ended,
            }
        }
    }

    /// Asks on a thread of its own. A runtime waits for its own blocking threads before it ends, so on one of
    /// those a stalled server would keep the process from ending.
    async fn read_on_a_thread<T: Send + 'static>(
        self: Arc<Self>,
        url: String,
        read: impl Fn(&Answer) -> serde_json::Result<T> + Send + 'static,
    ) -> Result<T, ServerError> {
        let permit = Arc::clone(&self.running).acquire_owned().await.expect("nobody closes it");
        let (sender, receiver) = oneshot::channel();
        // Pages past the last one are asked for ahead of time, and nobody waits for their answers any more.
        thread::spawn(move || {
            let answer = self.ask(&url).and_then(|answer| {
                read(&answer).map_err(|error| self.not_understood(url, &answer.body, error))
            });
            // Whoever waits for the answer may not look at it soon.
            drop(permit);
            drop(sender.send(answer));
        });
        receiver.await.expect("asking does not panic")
    }

    fn ask(&self, url: &str) -> Result<Answer, ServerError> {
        let unreachable = |failure| ServerError::Unreachable { url: url.to_owned(), failure };
        let request = self.agent.get(url).header("Authorization", format!("Bearer {}", self.token.0));
        let request = request.header("Accept", "application/json");
        let mut answer = request.call().map_err(|error| unreachable(error.into()))?;
        let status = answer.status();
        let total =
            answer.headers().get("X-Total").and_then(|total| total.to_str().ok()?.trim().parse().ok());
        let limit = if status == StatusCode::OK { MAX_PAGE_BYTES } else { MAX_ERROR_BYTES };
        let body = answer.body_mut().with_config().limit(limit).read_to_vec();
        if status == StatusCode::OK {
            return Ok(Answer { total, body: body.map_err(|error| unreachable(error.into()))? });
        }
        let (said, status) = (self.said(&body.unwrap_or_default()), status.as_u16());
        let hint = match status {
            401 | 403 => ": the token is not accepted, or may not read this",
            300..=399 => ": give the URL that it leads to",
            408 | 429 | 500.. => return Err(unreachable(PageFailure::Status { status, said })),
            _ => "",
        };
        Err(ServerError::Refused { url: url.to_owned(), status, said, hint })
    }

    /// The error of an answer that is not what was asked for. An object says something else on purpose, and
    /// would say it again.
    fn not_understood(&self, url: String, body: &[u8], error: serde_json::Error) -> ServerError {
        if body.trim_ascii_start().starts_with(b"{") && serde_json::from_slice::<&RawValue>(body).is_ok() {
            let hint = ", which is not what was asked for";
            return ServerError::Refused { url, status: 200, said: self.said(body), hint };
        }
        ServerError::Unreachable { url, failure: PageFailure::NotUnderstood(error) }
    }

    /// What Zadig's object of an error says, behind a colon; nothing where it says nothing.
    fn said(&self, body: &[u8]) -> String {
        const MAX_SAID_CHARACTERS: usize = 300;
        let object: Value = serde_json::from_slice(body).unwrap_or_default();
        let texts = ["description", "message"].iter().filter_map(|name| object[*name].as_str());
        let Some(text) = texts.map(str::trim).find(|text| !text.is_empty()) else { return String::new() };
        let text = text.replace(&self.token.0, "(the token)").replace(char::is_control, " ");
        format!(": {}", text.chars().take(MAX_SAID_CHARACTERS).collect::<String>())
    }
}

impl From<ureq::Error> for PageFailure {
    fn from(error: ureq::Error) -> Self {
        match error {
            ureq::Error::Timeout(_) => Self::Timeout,
            ureq::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                Self::NoServer(error)
            }
            other => Self::Connection(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_shown_and_holds_no_odd_characters() {
        let token = Token::parse(" Bearer abc.def\n").unwrap();
        assert_eq!(token.0, "abc.def");
        assert_eq!(format!("{token:?}"), "Token");
        assert!(Token::parse("").is_err() && Token::parse("a b").is_err() && Token::parse("ä").is_err());
    }

    #[test]
    fn only_the_url_of_a_server_is_taken() {
        let options = Options { page_size: 100, requests_at_once: 4, timeout: Duration::from_mins(2) };
        let new = |url| Server::new(Server::url(url).unwrap(), Token("t".to_owned()), options.clone());
        assert!(Server::url("https://zadig.example.com/").is_ok());
        for url in ["zadig.example.com", "https://", "https://u:p@zadig", "http://zadig?x=1", "file:///etc"] {
            assert!(Server::url(url).is_err(), "{url}");
        }
        assert!(new("http://zadig").sends_token_unencrypted());
        assert!(!new("http://127.0.0.1:80").sends_token_unencrypted());
        assert!(!new("http://[::1]").sends_token_unencrypted());
        assert!(!new("https://zadig").sends_token_unencrypted());
    }
}
