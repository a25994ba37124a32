//! Lambda's Runtime API: the next event, and the response to it, over one connection.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;

use crate::connections::{Connections, ExchangeError, NoHost};

const VERSION: &str = "/2018-06-01/runtime";
const AGENT: HeaderValue = HeaderValue::from_static(concat!("delivery-center/", env!("CARGO_PKG_VERSION")));
const REQUEST_ID: HeaderName = HeaderName::from_static("lambda-runtime-aws-request-id");
const DEADLINE: HeaderName = HeaderName::from_static("lambda-runtime-deadline-ms");
/// By which Lambda tells a late response from a current one; it is sent back as it came.
const INVOCATION_ID: HeaderName = HeaderName::from_static("lambda-runtime-invocation-id");
const ERROR_TYPE: HeaderName = HeaderName::from_static("lambda-runtime-function-error-type");
/// It is on the same machine.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The Runtime API of this process.
#[derive(Debug)]
pub struct RuntimeApi {
    connections: Connections,
}

/// An event, and what Lambda tells beside it.
#[derive(Debug)]
pub struct Invoked {
    /// The event.
    pub event: Bytes,
    /// Lambda's id of the request.
    pub request_id: String,
    /// When Lambda ends the function, where it says so.
    pub deadline: Option<SystemTime>,
    invocation_id: Option<HeaderValue>,
}

/// Why Lambda and this process do not understand each other.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeApiError {
    /// This is not Lambda.
    #[error(
        "AWS_LAMBDA_RUNTIME_API is not set: Lambda or its emulator starts this program. \
         To answer one event on this machine there is `delivery-center invoke`, to serve HTTP `delivery-center serve`"
    )]
    NotLambda,
    /// The address is none.
    #[error("AWS_LAMBDA_RUNTIME_API names no host: {0}")]
    Address(#[from] NoHost),
    /// There is no answer.
    #[error("Lambda's Runtime API does not answer: {0}")]
    Exchange(#[from] ExchangeError),
    /// The answer is none that is documented.
    #[error("Lambda's Runtime API answered {status} to {path}")]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// What was asked for.
        path: String,
    },
    /// A request id is none that can be answered to.
    #[error("{0:?} is no path of Lambda's Runtime API")]
    Path(String),
    /// An event came without what is needed to respond to it.
    #[error("Lambda's Runtime API gave an event without a request id")]
    NoRequestId,
}

/// Why a process that cannot start ends, as Lambda logs it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InitError<'a> {
    error_message: &'a str,
    error_type: &'a str,
    stack_trace: [&'a str; 0],
}

impl RuntimeApi {
    /// The one that Lambda names in the environment.
    ///
    /// # Errors
    /// [`RuntimeApiError::NotLambda`], [`RuntimeApiError::Address`].
    pub fn from_environment() -> Result<Self, RuntimeApiError> {
        let address = std::env::var("AWS_LAMBDA_RUNTIME_API").map_err(|_| RuntimeApiError::NotLambda)?;
        let url = format!("http://{address}");
        let no_tls = || Err(RuntimeApiError::NotLambda);
        Ok(Self { connections: Connections::to(&url, no_tls, CONNECT_TIMEOUT)? })
    }

    /// Waits for the next event, however long that takes.
    ///
    /// # Errors
    /// [`RuntimeApiError`]: the process has no purpose any more.
    pub async fn next(&self) -> Result<Invoked, RuntimeApiError> {
        let path = format!("{VERSION}/invocation/next");
        let answer = self.exchange(&self.request(Method::GET, &path, Bytes::new())?).await?;
        let (parts, event) = answer.into_parts();
        if !parts.status.is_success() {
            return Err(RuntimeApiError::Refused { status: parts.status, path });
        }
        let request_id = text(&parts.headers, &REQUEST_ID).ok_or(RuntimeApiError::NoRequestId)?.to_owned();
        let deadline = text(&parts.headers, &DEADLINE).and_then(|milliseconds| milliseconds.parse().ok());
        Ok(Invoked {
            event,
            request_id,
            deadline: deadline
                .map(|milliseconds| SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds)),
            invocation_id: parts.headers.get(INVOCATION_ID).cloned(),
        })
    }

    /// Hands over the response to an event.
    ///
    /// # Errors
    /// [`RuntimeApiError`]; where it is [`RuntimeApiError::Refused`], there may be a next event all the same.
    pub async fn respond(&self, invoked: &Invoked, json: Vec<u8>) -> Result<(), RuntimeApiError> {
        let path = format!("{VERSION}/invocation/{}/response", invoked.request_id);
        let mut request = self.request(Method::POST, &path, json.into())?;
        if let Some(id) = &invoked.invocation_id {
            request.headers_mut().insert(INVOCATION_ID, id.clone());
        }
        let status = self.exchange(&request).await?.status();
        if status.is_success() { Ok(()) } else { Err(RuntimeApiError::Refused { status, path }) }
    }

    /// Tells why the process cannot start, so that Lambda logs it and answers its callers at once.
    ///
    /// # Errors
    /// [`RuntimeApiError`].
    pub async fn fail_to_start(&self, reason: &str) -> Result<(), RuntimeApiError> {
        const ERROR: &str = "Runtime.InitError";
        let path = format!("{VERSION}/init/error");
        let error = InitError { error_message: reason, error_type: ERROR, stack_trace: [] };
        let body = serde_json::to_vec(&error).expect("texts always serialize");
        let mut request = self.request(Method::POST, &path, body.into())?;
        request.headers_mut().insert(ERROR_TYPE, HeaderValue::from_static(ERROR));
        self.exchange(&request).await.map(drop)
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, RuntimeApiError> {
        let has_body = method == Method::POST;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().map_err(|_| RuntimeApiError::Path(path.to_owned()))?;
        let headers = request.headers_mut();
        headers.insert(HOST, self.connections.host().clone());
        headers.insert(USER_AGENT, AGENT);
        if has_body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        Ok(request)
    }

    /// Where a connection that was kept turns out to have ended, the request is made once more: an event that was given is not
    /// given again, and of two responses Lambda takes the first.
    async fn exchange(&self, request: &Request<Full<Bytes>>) -> Result<Response<Bytes>, RuntimeApiError> {
        match self.connections.exchange(request.clone(), None).await {
            Err(ExchangeError::Broken { was_kept: true, .. }) => {
                self.connections.close_idle();
                Ok(self.connections.exchange(request.clone(), None).await?)
            }
            answered => Ok(answered?),
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
