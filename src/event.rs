//! A Lambda event of API Gateway's (HTTP and REST APIs), an ALB's or a Function URL's, read as one kind of request.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::query::Query;

/// What invoked the function, as far as it could be read.
///
/// Reading never fails: an `Err` here would become the gateway's bare 502, so what is not a request is [`Event::Unreadable`].
#[derive(Debug)]
pub enum Event {
    /// An HTTP request.
    Request(Request),
    /// Something else, or a request that is not well-formed.
    Unreadable,
}

/// The parts of an HTTP request that the endpoints look at.
#[derive(Debug)]
pub struct Request {
    /// In capitals.
    pub method: String,
    /// As it was sent, a stage name in front included.
    pub path: String,
    /// The stage that may stand in front of the path.
    pub stage: Option<String>,
    /// The decoded parameters.
    pub query: Query,
    /// The `Accept-Encoding` and `If-None-Match` headers.
    pub headers: RequestHeaders,
    /// How the sender wants the response's headers.
    pub response_shape: ResponseShape,
}

/// The request headers that the endpoints look at; several of one name are joined with commas, as HTTP says.
#[derive(Debug, Default)]
pub struct RequestHeaders {
    /// `Accept-Encoding`.
    pub accept_encoding: Option<String>,
    /// `If-None-Match`.
    pub if_none_match: Option<String>,
}

/// How a Lambda response spells its headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseShape {
    /// One value a header: API Gateway, Function URLs, and ALBs by default.
    SingleValueHeaders,
    /// A list of values a header: ALBs with the multi-value attribute on, which ignore `headers`.
    MultiValueHeaders,
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(LambdaEvent::deserialize(deserializer)
            .ok()
            .and_then(LambdaEvent::into_request)
            .map_or(Self::Unreadable, Self::Request))
    }
}

impl Event {
    /// Reads an event's JSON.
    #[must_use]
    pub fn from_json(json: &[u8]) -> Self {
        // Once for all of it, and not for each text in it.
        let text = std::str::from_utf8(json).ok();
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Self::Unreadable)
    }
}

impl Request {
    /// Whether the request is for a path, with or without the stage's name in front.
    #[must_use]
    pub fn is_for(&self, path: &str) -> bool {
        let without_stage = || self.path.strip_prefix('/')?.strip_prefix(self.stage.as_deref()?);
        self.path == path || without_stage() == Some(path)
    }
}

/// The union of the four documented event shapes, as far as it is looked at.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LambdaEvent {
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    http_method: Option<String>,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    raw_path: Option<String>,
    #[serde(default)]
    raw_query_string: Option<String>,
    #[serde(default)]
    query_string_parameters: Option<Parameters>,
    #[serde(default)]
    multi_value_query_string_parameters: Option<Parameters>,
    #[serde(default)]
    headers: Option<Headers>,
    #[serde(default)]
    multi_value_headers: Option<Headers>,
    request_context: RequestContext,
}

#[derive(Deserialize)]
struct RequestContext {
    #[serde(default)]
    stage: Option<String>,
    #[serde(default)]
    http: Option<HttpContext>,
    #[serde(default)]
    elb: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct HttpContext {
    method: String,
}

impl LambdaEvent {
    fn into_request(self) -> Option<Request> {
        if self.version.as_deref() == Some("2.0") {
            self.into_payload_2_request()
        } else {
            self.into_payload_1_request()
        }
    }

    /// HTTP APIs and Function URLs: the query as it was sent.
    fn into_payload_2_request(self) -> Option<Request> {
        Some(Request {
            method: self.request_context.http?.method,
            path: self.raw_path?,
            stage: self.request_context.stage,
            query: Query::parse(self.raw_query_string.unwrap_or_default().as_bytes()),
            headers: self.headers.map(Headers::into_request_headers).unwrap_or_default(),
            response_shape: ResponseShape::SingleValueHeaders,
        })
    }

    /// REST APIs, which decode the parameters, and ALBs, which pass them as they were sent.
    fn into_payload_1_request(self) -> Option<Request> {
        let is_alb = self.request_context.elb.is_some();
        let has_multi_value_headers = self.multi_value_headers.is_some();
        let pairs =
            self.multi_value_query_string_parameters.or(self.query_string_parameters).unwrap_or_default().0;
        Some(Request {
            method: self.http_method?,
            path: self.path?,
            stage: self.request_context.stage,
            query: if is_alb { Query::from_encoded_pairs(&pairs) } else { Query::from_decoded_pairs(pairs) },
            headers: self
                .multi_value_headers
                .or(self.headers)
                .map(Headers::into_request_headers)
                .unwrap_or_default(),
            response_shape: if is_alb && has_multi_value_headers {
                ResponseShape::MultiValueHeaders
            } else {
                ResponseShape::SingleValueHeaders
            },
        })
    }
}

/// A map of one or several texts a name, in its own order.
#[derive(Default)]
struct Parameters(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Parameters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Parameters;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a map of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parameters, A::Error> {
                let mut pairs = Vec::new();
                while let Some((name, Texts(values))) = map.next_entry::<String, Texts>()? {
                    pairs.extend(values.into_iter().map(|value| (name.clone(), value)));
                }
                Ok(Parameters(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// The two headers that matter; the others are passed over without being copied.
struct Headers {
    accept_encoding: Vec<String>,
    if_none_match: Vec<String>,
}

impl Headers {
    fn into_request_headers(self) -> RequestHeaders {
        let joined = |values: Vec<String>| (!values.is_empty()).then(|| values.join(", "));
        RequestHeaders {
            accept_encoding: joined(self.accept_encoding),
            if_none_match: joined(self.if_none_match),
        }
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Known;
        impl<'de> Visitor<'de> for Known {
            type Value = Headers;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a map of headers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
                let mut headers = Headers { accept_encoding: Vec::new(), if_none_match: Vec::new() };
                while let Some(name) = map.next_key::<String>()? {
                    if name.eq_ignore_ascii_case("accept-encoding") {
                        headers.accept_encoding.extend(map.next_value::<Texts>()?.0);
                    } else if name.eq_ignore_ascii_case("if-none-match") {
                        headers.if_none_match.extend(map.next_value::<Texts>()?.0);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(headers)
            }
        }
        deserializer.deserialize_map(Known)
    }
}

/// A text, or a list of texts, or nothing.
struct Texts(Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;
        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Texts;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a text or a list of texts")
            }

            fn visit_str<E>(self, text: &str) -> Result<Texts, E> {
                Ok(Texts(vec![text.to_owned()]))
            }

            fn visit_unit<E>(self) -> Result<Texts, E> {
                Ok(Texts(Vec::new()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<Texts, A::Error> {
                let mut values = Vec::new();
                while let Some(text) = texts.next_element()? {
                    values.push(text);
                }
                Ok(Texts(values))
            }
        }
        deserializer.deserialize_any(OneOrMore)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(json: &str) -> Request {
        match Event::from_json(json.as_bytes()) {
            Event::Request(request) => request,
            Event::Unreadable => panic!("not read: {json}"),
        }
    }

    #[test]
    fn the_stage_in_front_of_a_path_is_not_part_of_it() {
        let staged = request(
            r#"{"version":"2.0","rawPath":"/prod/a/b","requestContext":{"stage":"prod","http":{"method":"GET"}}}"#,
        );
        assert!(staged.is_for("/a/b") && !staged.is_for("/b"));
        let named_alike = request(
            r#"{"version":"2.0","rawPath":"/a/b","requestContext":{"stage":"a","http":{"method":"GET"}}}"#,
        );
        assert!(named_alike.is_for("/a/b"));
        let glued = request(
            r#"{"version":"2.0","rawPath":"/product/a/b","requestContext":{"stage":"prod","http":{"method":"GET"}}}"#,
        );
        assert!(!glued.is_for("/a/b"));
    }

    #[test]
    fn an_albs_parameters_are_decoded_and_a_rest_apis_are_not_decoded_twice() {
        let alb = request(
            r#"{"httpMethod":"GET","path":"/","queryStringParameters":{"a%2B":"x%20y+z"},"requestContext":{"elb":{}}}"#,
        );
        assert_eq!(alb.query.first("a+"), Some(&b"x y z"[..]));
        let rest = request(
            r#"{"httpMethod":"GET","path":"/","queryStringParameters":{"a":"x%20y+z"},"requestContext":{}}"#,
        );
        assert_eq!(rest.query.first("a"), Some(&b"x%20y+z"[..]));
    }

    #[test]
    fn several_headers_of_one_name_are_joined() {
        let alb = request(
            r#"{"httpMethod":"GET","path":"/","multiValueHeaders":{"If-None-MATCH":["\"a\"","\"b\""],"X":["1"]},"requestContext":{"elb":{}}}"#,
        );
        assert_eq!(alb.headers.if_none_match.as_deref(), Some("\"a\", \"b\""));
        assert_eq!(alb.response_shape, ResponseShape::MultiValueHeaders);
    }

    #[test]
    fn what_is_no_request_is_unreadable_and_never_an_error() {
        let garbage: &[&[u8]] = &[
            b"",
            b"null",
            b"[]",
            b"7",
            b"{",
            b"{}",
            b"\xff\xfe",
            br#"{"Records":[{"eventSource":"aws:sqs"}]}"#,
            br#"{"requestContext":null}"#,
            br#"{"version":"2.0","rawPath":7,"requestContext":{"http":{"method":"GET"}}}"#,
            br#"{"version":"2.0","rawPath":"/","requestContext":{}}"#,
            br#"{"httpMethod":"GET","path":"/","headers":{"accept-encoding":{}},"requestContext":{}}"#,
            b"{\"version\":\"2.0\",\"rawPath\":\"/\xff\",\"requestContext\":{\"http\":{\"method\":\"GET\"}}}",
        ];
        for event in garbage {
            assert!(
                matches!(Event::from_json(event), Event::Unreadable),
                "{}",
                String::from_utf8_lossy(event)
            );
        }
    }
}
