//! One HTTP request in, one HTTP response out: routing, panics, and what is logged of a request.

use std::panic::AssertUnwindSafe;
use std::time::{Instant, SystemTime};

use futures_util::FutureExt as _;
use http::request::Parts;
use http::{Method, Request};

use crate::endpoint::Endpoint;
use crate::error::{Error, Status};
use crate::get_artifact::ArtifactRequest;
use crate::list_releases::ListRequest;
use crate::query::Query;
use crate::query::strconv::quote;
use crate::response::{self, Response};
use crate::store::{Store, Usage};
use crate::time_limit;

/// The log line has at most this many characters of the subject. Where the query cannot be read there is no
/// subject, and the line has at most `MAX_QUERY_CHARACTERS` of the query instead.
const MAX_SUBJECT_CHARACTERS: usize = 300;
const MAX_QUERY_CHARACTERS: usize = 200;

/// An endpoint over a store: it makes a response of each request. Whatever goes wrong becomes a response too.
#[derive(Debug, Clone)]
pub struct EndpointService {
    endpoint: Endpoint,
    store: Store,
    log: fn(&AnsweredRequest),
}

/// What is logged of an answered request: no body, no header and no credential.
#[derive(Debug)]
pub struct AnsweredRequest<'a> {
    /// Lambda's id of the request.
    pub request_id: &'a str,
    /// The endpoint that answered.
    pub endpoint: Endpoint,
    /// The answer's HTTP status code.
    pub status: u16,
    /// What was asked for: the filter or the image, or the quoted query where it cannot be read.
    pub subject: &'a str,
    /// How many releases or artifacts were found.
    pub count: usize,
    /// The length of the answer's body.
    pub bytes: usize,
    /// The calls to DynamoDB, and what they cost.
    pub usage: &'a Usage,
    /// How long the request took.
    pub milliseconds: f64,
}

/// What Lambda says of the invocation that a request came with. It is an extension of the request.
#[derive(Debug, Clone, Default)]
pub struct Invocation {
    /// Lambda's id of the request.
    pub request_id: String,
    /// When Lambda ends the function, where it says so.
    pub deadline: Option<SystemTime>,
}

impl EndpointService {
    /// The service of an endpoint. It logs faults, but no line for each request.
    pub fn new(endpoint: Endpoint, store: Store) -> Self {
        Self { endpoint, store, log: |_| {} }
    }

    /// The same service, which calls `log` for every request that it answers.
    pub fn with_log(self, log: fn(&AnsweredRequest)) -> Self {
        Self { log, ..self }
    }

    /// Answers a request.
    pub async fn answer<B>(&self, request: Request<B>) -> Response {
        let started = Instant::now();
        let (parts, _) = request.into_parts();
        let invocation = parts.extensions.get::<Invocation>().cloned().unwrap_or_default();
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        let (usage, mut subject) = (Usage::default(), String::new());
        let routed = self.route(&parts, &query, &mut subject, &usage);
        // A panic can only spoil what belongs to this request: the store keeps nothing half done between two
        // awaits.
        let caught = AssertUnwindSafe(routed).catch_unwind();
        let result = match tokio::time::timeout(time_limit::of(invocation.deadline), caught).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Error::Panicked),
            Err(_) => Err(Error::OutOfTime),
        };
        let subject = if subject.is_empty() {
            quote(&cut(&query.encode(), MAX_QUERY_CHARACTERS))
        } else {
            cut(&subject, MAX_SUBJECT_CHARACTERS)
        };
        self.log_and_respond(result, &parts.method, &invocation.request_id, &subject, &usage, started)
    }

    /// Answers an event that could not be read as a request.
    pub fn answer_error(&self, error: Error, method: &Method, request_id: &str) -> Response {
        self.log_and_respond(Err(error), method, request_id, "", &Usage::default(), Instant::now())
    }

    fn log_and_respond(
        &self,
        result: Result<(Response, usize), Error>,
        method: &Method,
        request_id: &str,
        subject: &str,
        usage: &Usage,
        started: Instant,
    ) -> Response {
        if let Err(error) = &result {
            log_fault(self.endpoint, error, request_id);
        }
        let (response, count) = result.unwrap_or_else(|error| (response::from_error(&error), 0));
        let response = if *method == Method::HEAD { response::without_body(response) } else { response };
        (self.log)(&AnsweredRequest {
            request_id,
            endpoint: self.endpoint,
            status: response.status().as_u16(),
            subject,
            count,
            bytes: response.body().len(),
            usage,
            milliseconds: started.elapsed().as_secs_f64() * 1000.0,
        });
        response
    }

    /// Answers what is asked for, and leaves in `subject` what that is where it can be read.
    async fn route(
        &self,
        parts: &Parts,
        query: &Query,
        subject: &mut String,
        usage: &Usage,
    ) -> Result<(Response, usize), Error> {
        if Endpoint::at(parts.uri.path()) != Some(self.endpoint) {
            return Err(Error::NoSuchPath { path: parts.uri.path().to_owned() });
        }
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            return Err(Error::MethodNotAllowed);
        }
        match self.endpoint {
            Endpoint::ListReleases => {
                let request = ListRequest::read(query, &parts.headers)?;
                *subject = request.subject();
                request.answer(&self.store, usage).await
            }
            Endpoint::GetArtifact => {
                let request = ArtifactRequest::read(query, &parts.headers)?;
                *subject = request.subject();
                Ok((request.answer(&self.store, usage).await?, 1))
            }
        }
    }
}

fn cut(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

/// Logs a fault, with its cause. A caller's mistake is logged at `debug` only, since the caller reads it in
/// the answer; an event that cannot be read is the operator's to look at. A panic is in the log already.
pub fn log_fault(endpoint: Endpoint, error: &Error, request_id: &str) {
    let endpoint = endpoint.name();
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    match (error, error.status()) {
        (Error::Panicked, _) => {}
        (Error::UnreadableRequest { .. }, _) => {
            tracing::warn!(request_id, endpoint, %error, "the event is refused");
        }
        (_, Status::InternalError) => tracing::error!(request_id, endpoint, %error, cause, "fault"),
        (_, Status::ServiceUnavailable) => tracing::warn!(request_id, endpoint, %error, cause, "unavailable"),
        (_, Status::BadRequest | Status::NotFound | Status::MethodNotAllowed) => {
            tracing::debug!(request_id, endpoint, %error, "refused");
        }
    }
}
