//! The edge to Lambda: an event becomes an HTTP request, and an HTTP response becomes Lambda's JSON.
//!
//! `lambda_http` reads the event, but does not write the response: it would turn the body into a list of
//! numbers and check that byte by byte (19 instructions a byte, 0.3 ms for 250 kB). `lambda_runtime` takes
//! anything that serializes, so [`LambdaResponse`] is the JSON that Lambda's documentation asks for, with a
//! body of text or base64.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderValue, Request, Uri};
use lambda_http::RequestExt as _;
use lambda_http::lambda_runtime::{Context, Diagnostic, LambdaEvent};
use lambda_http::request::RequestContext;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::de::IgnoredAny;
use serde::ser::Error as _;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::response::Response;
use crate::service::{EndpointService, Invocation};

/// The characters that must be escaped in the path of a URI (RFC 3986, 3.3). A `%` that is there already
/// stays.
const NOT_IN_A_PATH: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'?').add(b'`').add(b'{').add(b'}');

/// Answers an event.
///
/// # Errors
/// The event is not an HTTP event at all. The invocation ends as a Lambda error, and the function goes on.
pub async fn answer(
    service: &EndpointService,
    event: LambdaEvent<Box<RawValue>>,
) -> Result<LambdaResponse, Diagnostic> {
    let LambdaEvent { payload, context } = event;
    let (sender, request) = read(payload.get())?;
    let response = match request {
        Some(request) => service.answer(with_invocation(request, &context)).await,
        None => service.answer_error(Error::UnreadableRequest, &context.request_id),
    };
    Ok(LambdaResponse::new(response, sender))
}

/// Answers the JSON of an event with the JSON of the response, as Lambda would. `delivery-center invoke` and
/// the tests replay events with it.
///
/// # Errors
/// The same as those of [`answer`].
pub async fn answer_json(service: &EndpointService, event: &str) -> Result<String, serde_json::Error> {
    let payload = serde_json::from_str(event)?;
    let response = answer(service, LambdaEvent::new(payload, Context::default())).await;
    serde_json::to_string(&response.map_err(|error| serde_json::Error::custom(error.error_message))?)
}

/// Who sent an event. The responses to these two differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    /// API Gateway, or a Function URL.
    Gateway,
    /// An Application Load Balancer. A setting of its target group decides whether it reads
    /// `multiValueHeaders` or `headers`, so the response has both.
    LoadBalancer,
}

/// Reads an event with `lambda_http`: who sent it, and the request. The request is `None` where it has a form
/// that HTTP does not allow.
///
/// A caller can send requests that make `lambda_http` panic: with a `Host` that is not a host, a query with
/// spaces or quotes, or a body that is said to be base64 and is not. Others, such as a header of two lines,
/// make it fail as if the event were no HTTP event; then [`sender_of`] decides whether it is one.
fn read(event: &str) -> Result<(Sender, Option<Request<()>>), Diagnostic> {
    match catch_unwind(AssertUnwindSafe(|| lambda_http::request::from_str(event))) {
        Ok(Ok(request)) => {
            let sender = match request.request_context_ref() {
                Some(RequestContext::Alb(_)) => Sender::LoadBalancer,
                _ => Sender::Gateway,
            };
            Ok((sender, without_stage(&request)))
        }
        Ok(Err(error)) => sender_of(event).map(|sender| (sender, None)).ok_or_else(|| Diagnostic {
            error_type: "UnreadableEvent".to_owned(),
            error_message: format!("the event is not an HTTP request: {error}"),
        }),
        Err(_) => Ok((sender_of(event).unwrap_or(Sender::Gateway), None)),
    }
}

/// The fields that show that an event is an HTTP event. They can be read even where the rest of the event
/// cannot.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MarkedEvent {
    http_method: Option<IgnoredAny>,
    request_context: MarkedContext,
}

#[derive(Deserialize)]
struct MarkedContext {
    http: Option<IgnoredAny>,
    elb: Option<IgnoredAny>,
}

/// Who sent an event that `lambda_http` does not read; `None` where it is not an HTTP event.
fn sender_of(event: &str) -> Option<Sender> {
    let event: MarkedEvent = serde_json::from_str(event).ok()?;
    let context = event.request_context;
    (event.http_method.is_some() || context.http.is_some()).then_some(if context.elb.is_some() {
        Sender::LoadBalancer
    } else {
        Sender::Gateway
    })
}

/// The request, with a URI made of the event's own path and query; `None` where these do not make a URI.
///
/// The URI that `lambda_http` makes will not do. It puts the name of the stage in front of the path where the
/// event's path lacks it, and an escaped `?` in a caller's path would begin a query in it.
fn without_stage(request: &lambda_http::Request) -> Option<Request<()>> {
    let path = request.raw_http_path();
    let stage = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => context.stage.as_deref(),
        Some(RequestContext::ApiGatewayV2(context)) => context.stage.as_deref(),
        _ => None,
    };
    let path = if Endpoint::ALL.iter().any(|endpoint| endpoint.path() == path) {
        path
    } else {
        let behind_stage = stage.and_then(|stage| path.strip_prefix('/')?.strip_prefix(stage));
        behind_stage.filter(|path| path.starts_with('/')).unwrap_or(path)
    };
    let path = utf8_percent_encode(path, NOT_IN_A_PATH);
    let uri: Uri = match request.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_string(),
    }
    .parse()
    .ok()?;
    let mut read = Request::new(());
    *read.method_mut() = request.method().clone();
    *read.uri_mut() = uri;
    *read.headers_mut() = request.headers().clone();
    Some(read)
}

fn with_invocation(mut request: Request<()>, context: &Context) -> Request<()> {
    request.extensions_mut().insert(Invocation {
        deadline: (context.deadline > 0).then(|| context.deadline()),
        request_id: context.request_id.clone(),
    });
    request
}

/// Lambda's JSON for an HTTP response.
///
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>,
/// <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html>
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LambdaResponse {
    status_code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_description: Option<String>,
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_value_headers: Option<BTreeMap<String, [String; 1]>>,
    is_base64_encoded: bool,
    body: Body,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Body {
    Text(String),
    /// Base64, already as a JSON string: it has nothing to escape, and looking for escapes was half the work
    /// of answering a list that is kept in memory.
    Base64(Box<RawValue>),
}

impl Body {
    fn base64(bytes: &[u8]) -> Self {
        let mut json = String::with_capacity(base64_simd::STANDARD.encoded_length(bytes.len()) + 2);
        json.push('"');
        base64_simd::STANDARD.encode_append(bytes, &mut json);
        json.push('"');
        Self::Base64(RawValue::from_string(json).expect("base64 between quotes is JSON"))
    }
}

impl LambdaResponse {
    fn new(response: Response, sender: Sender) -> Self {
        let (parts, body) = response.into_parts();
        let is_coded = parts.headers.contains_key(CONTENT_ENCODING);
        let (is_base64_encoded, body) = match String::from_utf8(body.into()) {
            Ok(text) if !is_coded => (false, Body::Text(text)),
            Ok(text) => (true, Body::base64(text.as_bytes())),
            Err(bytes) => (true, Body::base64(bytes.as_bytes())),
        };
        let headers = headers(&parts.headers);
        let is_for_load_balancer = sender == Sender::LoadBalancer;
        Self {
            status_code: parts.status.as_u16(),
            status_description: is_for_load_balancer.then(|| parts.status.to_string()),
            multi_value_headers: is_for_load_balancer
                .then(|| headers.iter().map(|(name, value)| (name.clone(), [value.clone()])).collect()),
            headers,
            is_base64_encoded,
            body,
        }
    }
}

/// The headers as texts. The service never answers a header twice, and its headers are ASCII.
fn headers(headers: &HeaderMap<HeaderValue>) -> BTreeMap<String, String> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::accept_encoding::ContentCoding;
    use crate::response;
    use crate::response_limit::{MAX_RESPONSE_BYTES, body_in_json, escaped_length, room_for_body};

    fn uri(event: &str) -> String {
        let (_, request) = read(event).expect("an HTTP event");
        request.expect("a request").uri().to_string()
    }

    fn of_stage(stage: &str, path: &str) -> String {
        uri(&format!(
            r#"{{"version":"2.0","rawPath":"{path}","rawQueryString":"q=1","requestContext":{{"stage":"{stage}","http":{{"method":"GET"}}}}}}"#
        ))
    }

    #[test]
    fn the_stage_in_front_of_a_path_is_not_part_of_it() {
        assert_eq!(of_stage("prod", "/prod/a/b"), "/a/b?q=1");
        assert_eq!(of_stage("prod", "/a/b"), "/a/b?q=1");
        assert_eq!(of_stage("prod", "/product/a"), "/product/a?q=1", "a longer name is another one");
        assert_eq!(of_stage("$default", "/a/b"), "/a/b?q=1");
        let path = Endpoint::ListReleases.path();
        assert_eq!(of_stage("api", path), format!("{path}?q=1"), "an endpoint's path is whole");
        assert_eq!(of_stage("api", &format!("/api{path}")), format!("{path}?q=1"));
    }

    #[test]
    fn an_escaped_question_mark_in_a_path_stays_in_the_path() {
        assert_eq!(of_stage("$default", "/a?b#c d"), "/a%3Fb%23c%20d?q=1");
        assert_eq!(of_stage("$default", "/a%2Fb"), "/a%2Fb?q=1");
    }

    #[test]
    fn parameters_from_a_load_balancer_are_decoded_and_those_of_a_rest_api_not_decoded_twice() {
        let first = |event: &str, name: &str| {
            let (_, request) = read(event).expect("an HTTP event");
            let uri = request.expect("a request").uri().clone();
            crate::query::Query::parse(uri.query().unwrap_or_default()).first(name).map(str::to_owned)
        };
        let alb = r#"{"httpMethod":"GET","path":"/","queryStringParameters":{"a":"x%20y"},"requestContext":{"elb":{"targetGroupArn":"arn"}}}"#;
        assert_eq!(first(alb, "a").as_deref(), Some("x y"));
        let rest = r#"{"httpMethod":"GET","path":"/","queryStringParameters":{"a":"x%20y+z"},"requestContext":{"httpMethod":"GET"}}"#;
        assert_eq!(first(rest, "a").as_deref(), Some("x%20y+z"));
    }

    #[test]
    fn a_request_that_http_does_not_allow_is_unreadable_and_not_a_lambda_error() {
        let v2 = |fields: &str| {
            format!(
                r#"{{"version":"2.0","rawPath":"/","requestContext":{{"http":{{"method":"GET"}}}},{fields}}}"#
            )
        };
        for fields in [
            r#""headers":{"host":"not a host"}"#,
            r#""headers":{"host":"[::1"}"#,
            r#""headers":{"x-forwarded-proto":"no scheme","host":"a"}"#,
            r#""headers":{"x":"two\nlines"}"#,
            r#""headers":[]"#,
            r#""rawQueryString":"a b""#,
            r#""rawQueryString":"a=\"b\"""#,
            r#""isBase64Encoded":true,"body":"*""#,
        ] {
            let (_, request) = read(&v2(fields)).expect(fields);
            assert!(request.is_none(), "{fields}");
        }
        let method = r#"{"version":"2.0","rawPath":"/","requestContext":{"http":{"method":7}}}"#;
        assert!(matches!(read(method), Ok((Sender::Gateway, None))));
        let alb =
            r#"{"httpMethod":"GET","path":"/","headers":{"x":"two\nlines"},"requestContext":{"elb":{}}}"#;
        assert!(matches!(read(alb), Ok((Sender::LoadBalancer, None))));
    }

    #[test]
    fn an_event_that_is_not_an_http_event_is_a_lambda_error() {
        for event in [
            "null",
            "[]",
            "7",
            "{}",
            "\"text\"",
            r#"{"Records":[{"eventSource":"aws:sqs"}]}"#,
            r#"{"requestContext":null}"#,
        ] {
            assert!(read(event).is_err(), "{event}");
        }
    }

    proptest! {
        #[test]
        fn everything_around_a_body_takes_no_more_bytes_than_are_set_aside_for_it(
            body: String,
            link in prop::option::of("[a-zA-Z0-9=&%+*._-]{0,3000}"),
            is_gzip: bool,
            is_for_load_balancer: bool,
        ) {
            let coding = if is_gzip { ContentCoding::Gzip } else { ContentCoding::Identity };
            let sender = if is_for_load_balancer { Sender::LoadBalancer } else { Sender::Gateway };
            let etag = format!("W/\"{}\"", "0".repeat(32));
            let response = response::ok(&etag, coding, body.clone().into_bytes());
            let response = response::with_next(response, link.as_deref());
            let json = serde_json::to_string(&LambdaResponse::new(response, sender)).unwrap();
            let length = if is_gzip { body.len() } else { escaped_length(body.as_bytes()) };
            let around = json.len() - body_in_json(coding, length);
            prop_assert!(around <= MAX_RESPONSE_BYTES - room_for_body(link.map(|link| link.len())), "{around}");
        }
    }
}
