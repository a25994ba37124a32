//! DynamoDB's reads: Query, Scan and BatchGetItem, signed, over connections that are kept.
//!
//! The functions do nothing else with DynamoDB, and the SDK's way of it is most of what a request would cost them: a
//! start reads a rule set and builds a client of layers, and each call goes through them. What writes uses the SDK.

mod answer;
mod credentials;
mod endpoint;
#[cfg(feature = "cli")]
mod from_sdk;
mod item;
mod json;
mod request;
mod signing;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use tokio::time::Instant;
use tokio_rustls::rustls::ClientConfig;

use self::answer::Refusal;
pub use self::answer::{BatchAnswer, Capacity, PageAnswer};
pub use self::credentials::{Credentials, CredentialsSource};
pub use self::endpoint::{Variant, url};
#[cfg(feature = "cli")]
pub use self::from_sdk::EnvironmentError;
pub use self::item::{AttributeValue, Base64, Item, Name};
pub use self::json::Unreadable;
pub use self::request::{Batch, Items, Page};
use self::signing::Signer;
use crate::backoff::backoff;
use crate::connections::{Connections, ExchangeError, NoHost};

/// What BatchGetItem takes in one call.
pub const MAX_KEYS_A_BATCH: usize = 100;

const CONTENT: &str = "application/x-amz-json-1.0";
const AGENT: &str = concat!("delivery-center/", env!("CARGO_PKG_VERSION"));
const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// How long one call is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Attempts, the first included.
    pub attempts: u32,
    /// For a connection, its TLS handshake included.
    pub connect: Duration,
    /// For one attempt.
    pub attempt: Duration,
    /// For all attempts and the waits between them.
    pub call: Duration,
}

impl Limits {
    /// A function's: who answers a caller ends well before the caller's 30 seconds and the function's 15.
    pub const OF_A_FUNCTION: Self = Self {
        attempts: 3,
        connect: Duration::from_secs(1),
        attempt: Duration::from_secs(3),
        call: Duration::from_secs(8),
    };
    /// The tool's, where nobody waits for one answer.
    pub const OF_THE_TOOL: Self = Self {
        attempts: 8,
        connect: Duration::from_secs(5),
        attempt: Duration::from_secs(30),
        call: Duration::from_mins(2),
    };
}

/// The wait before the second attempt is up to this, and doubles from there.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// DynamoDB of one region, asked by one identity.
#[derive(Debug)]
pub struct DynamoDb {
    connections: Connections,
    signer: Option<Signer>,
    credentials: CredentialsSource,
    limits: Limits,
}

/// Why a call has no answer; all attempts have failed where more than one makes sense.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There was no connection, no answer in time, or the connection broke.
    #[error(transparent)]
    Exchange(ExchangeError),
    /// The time for all that is asked of DynamoDB was spent before.
    #[error("no time was left")]
    NoTime,
    /// DynamoDB answered that it does not do it.
    #[error("{code}: {message} (HTTP status {status}, request {request_id})")]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// The error's name, such as `ResourceNotFoundException`; empty where there was none.
        code: String,
        /// DynamoDB's words.
        message: String,
        /// What AWS knows the request by.
        request_id: String,
    },
    /// It is an answer, but not one that DynamoDB gives.
    #[error("the answer cannot be read: {0}")]
    Unreadable(Unreadable),
    /// The environment lacks what a request needs.
    #[error("{0}")]
    NotConfigured(String),
}

impl CallError {
    /// Whether DynamoDB said that there were too many requests.
    #[must_use]
    pub fn is_throttling(&self) -> bool {
        let codes = [
            "ProvisionedThroughputExceededException",
            "ThrottlingException",
            "RequestLimitExceeded",
            "LimitExceededException",
        ];
        matches!(self, Self::Refused { code, .. } if codes.contains(&code.as_str()))
    }

    /// Whether DynamoDB failed, and not the request.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        let codes = ["InternalServerError", "InternalServerErrorException", "ServiceUnavailable"];
        matches!(self, Self::Refused { status, code, .. }
            if status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS || codes.contains(&code.as_str()))
    }

    fn may_pass(&self) -> bool {
        match self {
            Self::Exchange(_) | Self::Unreadable(_) => true,
            Self::Refused { .. } => self.is_throttling() || self.is_failure(),
            Self::NoTime | Self::NotConfigured(_) => false,
        }
    }
}

impl DynamoDb {
    /// DynamoDB at a URL.
    ///
    /// # Errors
    /// A URL that names no host, and what `tls` fails with, which is asked for where the URL is one of https.
    pub fn at<E: From<NoHost>>(
        url: &str,
        region: Option<String>,
        credentials: CredentialsSource,
        tls: impl FnOnce() -> Result<Arc<ClientConfig>, E>,
        limits: Limits,
    ) -> Result<Self, E> {
        let connections = Connections::to(url, tls, limits.connect)?;
        Ok(Self { connections, signer: region.map(Signer::new), credentials, limits })
    }

    /// The same DynamoDB, through the proxy that the environment names for it, if any.
    #[cfg(feature = "cli")]
    #[must_use]
    pub fn through_environments_proxy(self) -> Self {
        Self { connections: self.connections.through_environments_proxy(), ..self }
    }

    /// A page of items, until a moment at most.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn page(&self, page: &Page, until: Option<Instant>) -> Result<PageAnswer, CallError> {
        self.call(page.operation(), serialize(page), until, PageAnswer::read).await
    }

    /// Items by key, until a moment at most.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn batch(&self, batch: &Batch, until: Option<Instant>) -> Result<BatchAnswer, CallError> {
        self.call("DynamoDB_20120810.BatchGetItem", serialize(batch), until, BatchAnswer::read).await
    }

    /// Calls until there is an answer, or no time or sense in another attempt. Reading changes nothing: it may be repeated.
    async fn call<Answer>(
        &self,
        target: &'static str,
        body: Bytes,
        until: Option<Instant>,
        read: impl Fn(&[u8]) -> Result<Answer, Unreadable>,
    ) -> Result<Answer, CallError> {
        let started = Instant::now();
        if until.is_some_and(|until| until <= started) {
            return Err(CallError::NoTime);
        }
        let deadline = started + self.limits.call;
        let deadline = until.map_or(deadline, |until| until.min(deadline));
        let mut attempt = 1;
        loop {
            let latest = deadline.min(Instant::now() + self.limits.attempt);
            let answer = self.attempt(target, &body, latest).await;
            let error = match answer.and_then(|body| read(&body).map_err(CallError::Unreadable)) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if let CallError::Exchange(broken) = &error {
                // What was kept while the function was frozen ended together, and would be found out one by one.
                self.connections.close_idle();
                if matches!(broken, ExchangeError::Broken { was_kept: true, .. }) {
                    continue;
                }
            }
            let pause = backoff(FIRST_WAIT, attempt - 1).min(LONGEST_WAIT);
            let is_late = Instant::now() + pause >= deadline;
            if !error.may_pass() || attempt == self.limits.attempts || is_late {
                return Err(error);
            }
            tracing::debug!(operation = target, attempt, %error, "DynamoDB is asked again");
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    async fn attempt(&self, target: &'static str, body: &Bytes, latest: Instant) -> Result<Bytes, CallError> {
        let request = self.signed(target, body).await.map_err(CallError::NotConfigured)?;
        let answer = self.connections.exchange(request, Some(latest)).await.map_err(CallError::Exchange)?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer.into_body());
        }
        let header = |name: &HeaderName| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let Refusal { code, message } = Refusal::read(answer.body(), header(&ERROR_TYPE));
        let request_id = header(&REQUEST_ID).unwrap_or("unnamed").to_owned();
        Err(CallError::Refused { status, code, message, request_id })
    }

    async fn signed(&self, target: &'static str, body: &Bytes) -> Result<Request<Full<Bytes>>, String> {
        let signer = self.signer.as_ref().ok_or("no region: AWS_REGION is not set")?;
        let credentials = self.credentials.credentials().await?;
        let host = self.connections.host();
        let host_text = host.to_str().map_err(|error| error.to_string())?;
        let signature = signer.sign(&credentials, [host_text, target], body, SystemTime::now());
        let value =
            |text: String| HeaderValue::try_from(text).map_err(|_| "the credentials are no text".to_owned());
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = Method::POST;
        let headers = request.headers_mut();
        headers.insert(HOST, host.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(CONTENT));
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(TARGET, HeaderValue::from_static(target));
        headers.insert(DATE, value(signature.date_time)?);
        headers.insert(AUTHORIZATION, value(signature.authorization)?);
        if let Some(token) = &credentials.session_token {
            headers.insert(SECURITY_TOKEN, value(token.clone())?);
        }
        Ok(request)
    }
}

/// A request is texts, numbers and lists of them, which always become JSON.
fn serialize(request: &impl serde::Serialize) -> Bytes {
    serde_json::to_vec(request).expect("texts, numbers and bytes always serialize").into()
}
