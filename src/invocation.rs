//! One invocation from event to response: routing, time limits, and the log line.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant, SystemTime};

use futures_util::FutureExt as _;

use crate::error::{Error, Status};
use crate::event::{Event, Request, ResponseShape};
use crate::response::Response;
use crate::store::{Meter, Store};
use crate::strconv::quote;
use crate::{get_artifact, list_releases};

/// How long a request may take at most; API Gateway gives up at 30 seconds.
const MAX_DURATION: Duration = Duration::from_secs(20);
/// What is left of the function's own time for sending the answer.
const TIME_TO_ANSWER: Duration = Duration::from_millis(400);
/// What the log line holds of a subject, and of a query in its place.
const MAX_SUBJECT_CHARACTERS: usize = 300;
const MAX_QUERY_CHARACTERS: usize = 200;

/// The two endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// `GET /api/aslan/delivery/releases`
    ListReleases,
    /// `GET /api/directory/dc/artifact`
    GetArtifact,
}

/// What surrounds an event.
#[derive(Debug, Clone, Default)]
pub struct Invocation {
    /// Lambda's request id.
    pub request_id: String,
    /// When Lambda ends the function, where it says so.
    pub deadline: Option<SystemTime>,
}

impl Endpoint {
    /// Both.
    pub const ALL: [Self; 2] = [Self::ListReleases, Self::GetArtifact];

    /// The name that its binary, its events and its tests bear.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ListReleases => "list-releases",
            Self::GetArtifact => "get-artifact",
        }
    }

    /// Its path.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::ListReleases => "/api/aslan/delivery/releases",
            Self::GetArtifact => "/api/directory/dc/artifact",
        }
    }
}

/// Answers an event with the Lambda response JSON; whatever goes wrong becomes an answer too.
pub async fn answer(endpoint: Endpoint, store: &Store, event: Event, invocation: &Invocation) -> Vec<u8> {
    let started = Instant::now();
    let meter = Meter::until((started + time_limit(invocation.deadline)).into());
    let shape = match &event {
        Event::Request(request) => request.response_shape,
        Event::Unreadable => ResponseShape::SingleValueHeaders,
    };
    // What a panic leaves behind is this request's own: the store keeps nothing half done between two awaits.
    let routed = AssertUnwindSafe(route(endpoint, store, &event, &meter)).catch_unwind();
    let result = routed.await.unwrap_or(Err(Error::Panicked));
    if let Err(error) = &result {
        log_fault(endpoint, error, &invocation.request_id);
    }
    let (response, count) = result.unwrap_or_else(|error| (Response::from_error(&error), 0));
    tracing::info!(
        request_id = invocation.request_id,
        endpoint = endpoint.name(),
        status = response.status,
        subject = subject(endpoint, &event),
        count,
        bytes = response.body_length(),
        dynamodb_calls = meter.calls(),
        round_trips = meter.round_trips(),
        read_units = meter.read_units(),
        milliseconds = started.elapsed().as_secs_f64() * 1000.0,
        "request"
    );
    response.into_lambda_json(shape)
}

fn time_limit(deadline: Option<SystemTime>) -> Duration {
    let remaining = deadline.map(|deadline| deadline.duration_since(SystemTime::now()).unwrap_or_default());
    remaining.map_or(MAX_DURATION, |remaining| remaining.saturating_sub(TIME_TO_ANSWER).min(MAX_DURATION))
}

async fn route(
    endpoint: Endpoint,
    store: &Store,
    event: &Event,
    meter: &Meter,
) -> Result<(Response, usize), Error> {
    let Event::Request(request) = event else { return Err(Error::UnreadableEvent) };
    check_route(endpoint, request)?;
    match endpoint {
        Endpoint::ListReleases => {
            let (response, summary) = list_releases::answer(store, request, meter).await?;
            Ok((response, summary.count))
        }
        Endpoint::GetArtifact => Ok((get_artifact::answer(store, request, meter).await?, 1)),
    }
}

fn check_route(endpoint: Endpoint, request: &Request) -> Result<(), Error> {
    if !request.is_for(endpoint.path()) {
        return Err(Error::NoSuchPath { path: request.path.clone() });
    }
    if request.method != "GET" {
        return Err(Error::MethodNotAllowed);
    }
    Ok(())
}

/// What was asked for, whatever became of it: the filter or the image; the query, quoted, where it cannot be read.
fn subject(endpoint: Endpoint, event: &Event) -> String {
    let Event::Request(request) = event else { return String::new() };
    let read = match endpoint {
        Endpoint::ListReleases => list_releases::subject(&request.query),
        Endpoint::GetArtifact => get_artifact::subject(&request.query),
    };
    let cut = |text: &str, characters| text.chars().take(characters).collect::<String>();
    match read {
        Ok(subject) => cut(&subject, MAX_SUBJECT_CHARACTERS),
        Err(_) => quote(cut(&request.query.encode(), MAX_QUERY_CHARACTERS).as_bytes()),
    }
}

/// A fault is logged once, with its causes; a caller's mistake is told to the caller.
fn log_fault(endpoint: Endpoint, error: &Error, request_id: &str) {
    let endpoint = endpoint.name();
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    match error.status() {
        Status::InternalError => tracing::error!(request_id, endpoint, %error, cause, "fault"),
        Status::ServiceUnavailable => tracing::warn!(request_id, endpoint, %error, cause, "unavailable"),
        Status::BadRequest | Status::NotFound | Status::MethodNotAllowed => {
            tracing::debug!(request_id, endpoint, %error, "refused");
        }
    }
}
