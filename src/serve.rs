//! Both endpoints over plain HTTP, through the handlers that the Lambdas run.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, Uri};
use base64_simd::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::event::Event;
use crate::invocation::{self, Endpoint, Invocation};
use crate::store::Store;

/// What a function answers, as API Gateway reads it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LambdaResponse {
    /// The HTTP status code.
    pub status_code: u16,
    /// The headers.
    #[serde(default)]
    pub headers: Map<String, Value>,
    /// The body, as text or base64.
    #[serde(default)]
    pub body: String,
    /// Whether the body is base64.
    #[serde(default)]
    pub is_base64_encoded: bool,
}

impl LambdaResponse {
    /// The body's bytes; none where what is called base64 is not.
    #[must_use]
    pub fn into_body(self) -> Option<Vec<u8>> {
        if self.is_base64_encoded {
            STANDARD.decode_to_vec(self.body).ok()
        } else {
            Some(self.body.into_bytes())
        }
    }
}

/// The HTTP service over a store.
pub fn router(store: Store) -> Router {
    Router::new().fallback(answer).with_state(Arc::new(store))
}

/// The event that an HTTP API would make of a request, as far as the functions look at it.
fn event(request: &Request) -> Value {
    let mut headers = Map::new();
    for name in request.headers().keys() {
        let values: Vec<_> = request
            .headers()
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        headers.insert(name.as_str().to_owned(), Value::String(values.join(",")));
    }
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": request.uri().path(),
        "rawQueryString": request.uri().query().unwrap_or_default(),
        "headers": headers,
        "requestContext": {
            "stage": "$default",
            "http": { "method": request.method().as_str(), "path": request.uri().path() },
        },
        "isBase64Encoded": false,
    })
}

fn endpoint(uri: &Uri) -> Endpoint {
    // A path that is neither's is answered by either with the same 404.
    Endpoint::ALL.into_iter().find(|endpoint| endpoint.path() == uri.path()).unwrap_or(Endpoint::ListReleases)
}

async fn answer(State(store): State<Arc<Store>>, request: Request) -> Response<Body> {
    let endpoint = endpoint(request.uri());
    let event = Event::from_json(event(&request).to_string().as_bytes());
    let json = invocation::answer(endpoint, &store, event, &Invocation::default()).await;
    http_response(&json).unwrap_or_else(|| {
        let mut response = Response::new(Body::from("the function's answer is not an HTTP response"));
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response
    })
}

fn http_response(json: &[u8]) -> Option<Response<Body>> {
    let answered: LambdaResponse = serde_json::from_slice(json).ok()?;
    let mut response = Response::builder().status(answered.status_code);
    for (name, value) in &answered.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        response = response.header(name, HeaderValue::from_str(value.as_str()?).ok()?);
    }
    response.body(Body::from(answered.into_body()?)).ok()
}
