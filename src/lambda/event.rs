//! The edge to Lambda: an event becomes an HTTP request, and an HTTP response becomes Lambda's JSON.
//!
//! `lambda_http` reads the event, and is handed only what a request here is made of. Of the whole event it
//! would read much that no part of an answer depends on, and refuse a request over an authorizer's claim, or
//! panic over a host.
//!
//! `lambda_http` does not write the response: it would turn the body into a list of numbers and check that
//! byte by byte (19 instructions a byte, 0.3 ms for 250 kB). `lambda_runtime` takes anything that serializes,
//! so [`LambdaResponse`] is the JSON that Lambda's documentation asks for, with a body of text or base64.

use std::collections::{BTreeMap, HashMap};
use std::panic::catch_unwind;

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use lambda_http::lambda_runtime::{Context, Diagnostic, LambdaEvent};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde::de::IgnoredAny;
use serde::ser::Error as _;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::response::Response;
use crate::service::{EndpointService, Invocation};
use crate::store::filters::FILTERS;

/// The headers that an endpoint reads. No other header of an event is looked at.
const READ_HEADERS: [&str; 2] = ["accept-encoding", "if-none-match"];

/// The query parameters that the list of releases reads besides its filters. `tests/events.rs` holds both lists to
/// `openapi.yaml`.
const LIST_PARAMETERS: [&str; 6] = ["after", "page", "per_page", "since", "until", "verbosity"];
/// The query parameters that the look-up of an artifact reads.
const LOOKUP_PARAMETERS: [&str; 8] =
    ["after", "commit", "envName", "image", "include", "namespace", "pr", "repo"];

/// The characters that must be escaped in the path or the query of a URI (RFC 3986, 3.3 and 3.4), and `?`,
/// which would end a path. A `%` that is there already stays.
const NOT_IN_A_URI: &AsciiSet =
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
    let (sender, request) = read(payload.get()).map_err(|reason| {
        tracing::warn!(request_id = context.request_id, error = reason, "the event is refused");
        Diagnostic { error_type: "UnreadableEvent".to_owned(), error_message: reason.to_owned() }
    })?;
    let response = match request {
        Ok(request) => service.answer(with_invocation(request, &context)).await,
        Err(Unreadable { method, part }) => {
            service.answer_error(Error::UnreadableRequest { part }, &method, &context.request_id)
        }
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

/// A member of an event, of any JSON type. It is `None` where it is missing or `null`.
type Member<'a> = Option<&'a RawValue>;

/// What is read of an event, whatever form it has.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    /// Of a REST API (payload 1.0) and of a load balancer.
    #[serde(borrow)]
    http_method: Member<'a>,
    #[serde(borrow)]
    path: Member<'a>,
    /// Of an HTTP API (payload 2.0) and of a Function URL.
    #[serde(borrow)]
    raw_path: Member<'a>,
    #[serde(borrow)]
    raw_query_string: Member<'a>,
    #[serde(borrow)]
    query_string_parameters: Member<'a>,
    #[serde(borrow)]
    multi_value_query_string_parameters: Member<'a>,
    #[serde(borrow)]
    headers: Member<'a>,
    #[serde(borrow)]
    multi_value_headers: Member<'a>,
    #[serde(borrow)]
    request_context: Option<RequestContext<'a>>,
    /// Of the older events of VPC Lattice.
    #[serde(rename = "raw_path")]
    lattice_path: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'a> {
    /// Of an HTTP API and of a Function URL.
    #[serde(borrow)]
    http: Option<Http<'a>>,
    /// Of a load balancer.
    elb: Option<IgnoredAny>,
    /// Of VPC Lattice.
    service_network_arn: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Http<'a> {
    #[serde(borrow)]
    method: Member<'a>,
}

/// A request that has a form which HTTP does not allow.
#[derive(Debug)]
struct Unreadable {
    /// `GET` where it is the method that cannot be read.
    method: Method,
    /// What cannot be read.
    part: &'static str,
}

/// Reads an event: who sent it, and the request.
///
/// # Errors
/// The event is not an HTTP event, or one of a sender that is not supported. The reason holds nothing of the
/// event.
fn read(event: &str) -> Result<(Sender, Result<Request<()>, Unreadable>), &'static str> {
    const NO_REQUEST: &str = "the event is not an HTTP request of API Gateway, of a Function URL or of an \
                              Application Load Balancer";
    // A list would be read as the members in their order.
    if !event.trim_start().starts_with('{') {
        return Err(NO_REQUEST);
    }
    let without_repeated;
    let event: Event = if let Ok(event) = serde_json::from_str(event) {
        event
    } else {
        without_repeated = without_repeated_members(event, &["requestContext", "http"]).ok_or(NO_REQUEST)?;
        serde_json::from_str(without_repeated.get()).map_err(|_| NO_REQUEST)?
    };
    let context = event.request_context.as_ref();
    if event.lattice_path.is_some() || context.is_some_and(|context| context.service_network_arn.is_some()) {
        return Err("the event is one of VPC Lattice, whose events are not supported: let API Gateway, a \
                    Function URL or an Application Load Balancer invoke the function");
    }
    let method = match (context.and_then(|context| context.http.as_ref()), event.http_method) {
        (Some(http), _) => http.method,
        (None, Some(method)) => Some(method),
        (None, None) => return Err(NO_REQUEST),
    };
    let is_of_load_balancer = context.is_some_and(|context| context.elb.is_some());
    let sender = if is_of_load_balancer { Sender::LoadBalancer } else { Sender::Gateway };
    let method = text(method).and_then(|method| method.parse::<Method>().ok());
    let request = method.clone().ok_or("method").and_then(|method| event.request(method, sender));
    Ok((sender, request.map_err(|part| Unreadable { method: method.unwrap_or_default(), part })))
}

/// JSON of an object, in which of members with one name only the last is left. So it is in the object that is its
/// member `named[0]`, in that one's member `named[1]`, and so on. `None` where it is no object.
fn without_repeated_members(object: &str, named: &[&str]) -> Option<Box<RawValue>> {
    let mut members: HashMap<String, Box<RawValue>> = serde_json::from_str(object).ok()?;
    if let [name, deeper @ ..] = named
        && let Some(member) = members.get_mut(*name)
        && let Some(object) = without_repeated_members(member.get(), deeper)
    {
        *member = object;
    }
    Some(to_raw_value(&members).expect("texts and JSON always serialize"))
}

impl<'a> Event<'a> {
    /// The request.
    ///
    /// # Errors
    /// The part of it that cannot be read.
    fn request(&self, method: Method, sender: Sender) -> Result<Request<()>, &'static str> {
        let raw_query = text(self.raw_query_string).ok_or("query")?;
        let parameters = |map: Member<'a>| map.filter(|_| raw_query.is_empty());
        let handed = Handed {
            http_method: method.as_str(),
            query_string_parameters: parameters(self.query_string_parameters),
            multi_value_query_string_parameters: parameters(self.multi_value_query_string_parameters),
            headers: self.read_headers().ok_or("headers")?,
            request_context: match sender {
                // An HTTP API's parameters, where there is no raw query, are a map as a REST API's are.
                Sender::Gateway => HandedContext::HttpMethod(method.as_str()),
                Sender::LoadBalancer => HandedContext::Elb {},
            },
        };
        let path = text(self.raw_path.or(self.path));
        let request = handed.read(path.as_deref()).ok_or_else(|| handed.unreadable_part(path.as_deref()))?;
        let path = path.ok_or("path")?;
        let query = if raw_query.is_empty() { request.uri().query().unwrap_or_default() } else { &raw_query };
        let mut read = Request::new(());
        *read.method_mut() = method;
        *read.uri_mut() = uri(&path, query).ok_or("URL")?;
        *read.headers_mut() = request.headers().clone();
        Ok(read)
    }

    /// The lines of the headers that are read. `multiValueHeaders` has all lines of a header, and `headers`
    /// the last one; which of the two there is depends on the sender. `None` where these are not JSON objects.
    fn read_headers(&self) -> Option<HashMap<&'static str, Vec<&'a RawValue>>> {
        let maps = [members(self.multi_value_headers)?, members(self.headers)?];
        let lines = |name: &str, map: &HashMap<String, Member<'a>>| -> Vec<&'a RawValue> {
            let named = map.iter().filter(|(other, _)| name.eq_ignore_ascii_case(other));
            let lines = named.filter_map(|(_, value)| *value);
            lines.flat_map(values).collect()
        };
        let lines = READ_HEADERS.iter().filter_map(|name| {
            let lines = maps.iter().map(|map| lines(name, map)).find(|lines| !lines.is_empty())?;
            Some((*name, lines))
        });
        Some(lines.collect())
    }
}

/// What `lambda_http` is handed: the event of a REST API or of a load balancer, without a path, a host, and
/// everything else that it could stumble over.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Handed<'a> {
    http_method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    query_string_parameters: Member<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_value_query_string_parameters: Member<'a>,
    headers: HashMap<&'static str, Vec<&'a RawValue>>,
    request_context: HandedContext<'a>,
}

/// What tells `lambda_http` who sent an event.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
enum HandedContext<'a> {
    HttpMethod(&'a str),
    Elb {},
}

impl Handed<'_> {
    /// The request of a path, without the path; `None` where `lambda_http` fails or panics.
    fn read(&self, path: Option<&str>) -> Option<lambda_http::Request> {
        catch_unwind(|| self.try_read())
            .ok()
            .flatten()
            .or_else(|| catch_unwind(|| self.try_read_what_counts(path)).ok().flatten())
    }

    fn try_read(&self) -> Option<lambda_http::Request> {
        let event = serde_json::to_string(self).expect("texts and JSON always serialize");
        lambda_http::request::from_str(&event).ok()
    }

    /// Leaves out the parameters over which `lambda_http` fails and which do not count.
    fn try_read_what_counts(&self, path: Option<&str>) -> Option<lambda_http::Request> {
        // A path may lack its slash.
        let endpoint = path.and_then(|path| Endpoint::at(&format!("/{path}")));
        let parameters = what_counts(self.query_string_parameters, endpoint)?;
        let lists = what_counts(self.multi_value_query_string_parameters, endpoint)?;
        let what_counts = Handed {
            query_string_parameters: Some(&parameters),
            multi_value_query_string_parameters: Some(&lists),
            headers: self.headers.clone(),
            ..*self
        };
        what_counts.try_read()
    }

    /// The part over which `lambda_http` fails, whose own words do not name it.
    fn unreadable_part(self, path: Option<&str>) -> &'static str {
        let without_query =
            Self { query_string_parameters: None, multi_value_query_string_parameters: None, ..self };
        match without_query.read(path) {
            Some(_) => "query",
            None => "header accept-encoding or if-none-match",
        }
    }
}

/// The text in a member, which is empty where there is none; `None` where it is no text.
fn text(member: Member) -> Option<String> {
    member.map_or_else(|| Some(String::new()), |member| serde_json::from_str(member.get()).ok())
}

/// The members of an object, of which there are none where it is missing; `None` where it is no object.
fn members(member: Member<'_>) -> Option<HashMap<String, Member<'_>>> {
    member.map_or_else(|| Some(HashMap::new()), |member| serde_json::from_str(member.get()).ok())
}

/// Parameters, each as a list of its values, without those that have no value and those that are no texts and
/// that the endpoint does not read; `None` where they are no object.
fn what_counts(parameters: Member, endpoint: Option<Endpoint>) -> Option<Box<RawValue>> {
    let parameters = members(parameters)?.into_iter();
    let parameters = parameters.filter_map(|(name, value)| Some((name, values(value?))));
    let is_text = |value: &&RawValue| text(Some(value)).is_some();
    let parameters: HashMap<_, _> = parameters
        .filter(|(name, values)| {
            !values.is_empty() && (is_read(name, endpoint) || values.iter().all(is_text))
        })
        .collect();
    Some(to_raw_value(&parameters).expect("texts and JSON always serialize"))
}

/// Whether an endpoint reads a query parameter, whose name a load balancer leaves encoded.
fn is_read(parameter: &str, endpoint: Option<Endpoint>) -> bool {
    let name = percent_decode_str(parameter).decode_utf8_lossy();
    match endpoint {
        Some(Endpoint::ListReleases) => {
            LIST_PARAMETERS.contains(&&*name) || FILTERS.iter().any(|filter| filter.parameter == name)
        }
        Some(Endpoint::GetArtifact) => LOOKUP_PARAMETERS.contains(&&*name),
        None => false,
    }
}

/// The values in a list, or the one value; `null` is none.
fn values(value: &RawValue) -> Vec<&RawValue> {
    let list: Result<Vec<Member>, _> = serde_json::from_str(value.get());
    list.map_or_else(|_| vec![value], |list| list.into_iter().flatten().collect())
}

/// The URI of a path and a query; `None` where it is longer than a URI can be.
fn uri(path: &str, query: &str) -> Option<Uri> {
    let slash = if path.starts_with('/') { "" } else { "/" };
    let [path, query] = [path, query].map(|part| utf8_percent_encode(part, NOT_IN_A_URI));
    format!("{slash}{path}?{query}").parse().ok()
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

/// The headers as texts. The service never answers a header twice, and its headers are ASCII. The length,
/// which the service tells with a `HEAD`, is the sender's to tell: a REST API would give ours another name.
fn headers(headers: &HeaderMap<HeaderValue>) -> BTreeMap<String, String> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let told = headers.iter().filter(|(name, _)| *name != CONTENT_LENGTH);
    told.map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::accept_encoding::ContentCoding;
    use crate::response;
    use crate::response_limit::{MAX_RESPONSE_BYTES, body_in_json, escaped_length, room_for_body};

    #[test]
    fn an_escaped_question_mark_in_a_path_stays_in_the_path() {
        let of_path = |path: &str| uri(path, "q=1").expect("a URI").to_string();
        assert_eq!(of_path("/a?b#c d"), "/a%3Fb%23c%20d?q=1");
        assert_eq!(of_path("/a%2Fb"), "/a%2Fb?q=1");
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
