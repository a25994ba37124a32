//! Reads the two lists of a running Zadig, page by page, and single releases of Zadig 4.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::de::Error as _;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use url::Url;

use crate::https::{HttpClient, NoAnswer, Token, is_unencrypted, on_a_thread, server_url};
use crate::retries::Patience;

const MAX_PAGE_BYTES: u64 = 1 << 30;
/// How many records the whole list has.
const TOTAL: HeaderName = HeaderName::from_static("x-total");

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
    http: HttpClient,
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
    /// There was no answer.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
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
    pub fn url(text: &str) -> Result<Url, String> {
        server_url(text, "a Zadig")
    }

    /// The server at a URL that [`Server::url`] has read.
    pub fn new(url: Url, token: Token, options: Options) -> Self {
        let http = HttpClient::new(options.timeout);
        let running = Arc::new(Semaphore::new(options.requests_at_once));
        Self { url, token, options, http, running }
    }

    /// Whether the token goes over the network unencrypted.
    pub fn sends_token_unencrypted(&self) -> bool {
        is_unencrypted(&self.url)
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

    async fn read_on_a_thread<T: Send + 'static>(
        self: Arc<Self>,
        url: String,
        read: impl Fn(&Answer) -> serde_json::Result<T> + Send + 'static,
    ) -> Result<T, ServerError> {
        let permit = Arc::clone(&self.running).acquire_owned().await.expect("nobody closes it");
        // Pages past the last one are asked for ahead of time, and nobody waits for their answers any more.
        on_a_thread(move || {
            let answer = self.ask(&url).and_then(|answer| {
                read(&answer).map_err(|error| self.not_understood(url, &answer.body, error))
            });
            // Whoever waits for the answer may not look at it soon.
            drop(permit);
            answer
        })
        .await
    }

    fn ask(&self, url: &str) -> Result<Answer, ServerError> {
        let unreachable = |failure| ServerError::Unreachable { url: url.to_owned(), failure };
        let authorization =
            self.token.authorization().parse().expect("a token is made of visible characters");
        let headers =
            [(AUTHORIZATION, authorization), (ACCEPT, HeaderValue::from_static("application/json"))];
        let answer = self.http.get(url, &HeaderMap::from_iter(headers), MAX_PAGE_BYTES);
        let answer = answer.map_err(|error| unreachable(error.into()))?;
        let total = answer.headers().get(TOTAL).and_then(|total| total.to_str().ok()?.trim().parse().ok());
        let status = answer.status();
        let body = answer.into_body();
        if status == StatusCode::OK {
            return Ok(Answer { total, body });
        }
        let (said, status) = (self.said(&body), status.as_u16());
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
        let text = self.token.hidden_in(text).replace(char::is_control, " ");
        format!(": {}", text.chars().take(MAX_SAID_CHARACTERS).collect::<String>())
    }
}
