//! The HTTP response, and the Lambda response JSON that carries it.

use std::fmt::Write as _;

use serde::Serialize;

use crate::error::{Error, Status};
use crate::event::ResponseShape;

/// What Lambda takes from a function that answers synchronously: the whole response JSON, 6 MiB and 100 bytes.
pub const MAX_RESPONSE_BYTES: usize = 6_291_556;

/// An HTTP response.
#[derive(Debug)]
pub struct Response {
    /// The HTTP status code.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(&'static str, String)>,
    /// What follows the headers.
    pub body: Body,
}

/// A response's body, ready for the Lambda response JSON.
#[derive(Debug)]
pub enum Body {
    /// None.
    Empty,
    /// A text.
    Text(EscapedText),
    /// One gzip member.
    Gzip(Vec<u8>),
}

/// A text as it stands inside a JSON string, without the quotation marks.
#[derive(Debug, Default)]
pub struct EscapedText {
    escaped: String,
    length: usize,
}

/// How a 200 is encoded, as the caller accepts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    Identity,
    /// One gzip member.
    Gzip,
}

impl EscapedText {
    /// An empty text with room for `bytes` escaped bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { escaped: String::with_capacity(bytes), length: 0 }
    }

    /// Appends a text.
    pub fn push(&mut self, text: &str) {
        self.length += text.len();
        let mut rest = text;
        loop {
            let (plain, special) = rest.split_at(plain_length(rest.as_bytes()));
            self.escaped.push_str(plain);
            let Some(byte) = special.bytes().next() else { return };
            match byte {
                b'"' => self.escaped.push_str("\\\""),
                b'\\' => self.escaped.push_str("\\\\"),
                _ => write!(self.escaped, "\\u{byte:04x}").expect("writing into a String cannot fail"),
            }
            rest = &special[1..];
        }
    }

    /// The length of the escaped text in bytes.
    #[must_use]
    pub fn escaped_length(&self) -> usize {
        self.escaped.len()
    }
}

/// How many bytes a text takes inside a JSON string.
#[must_use]
pub fn escaped_length(text: &str) -> usize {
    let extra = |byte: u8| match byte {
        b'"' | b'\\' => 1,
        byte if needs_escape(byte) => 5,
        _ => 0,
    };
    text.bytes().map(extra).sum::<usize>() + text.len()
}

fn needs_escape(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

/// How many bytes stand before the first that needs an escape. Eight are looked at together: a body has megabytes.
fn plain_length(bytes: &[u8]) -> usize {
    let (words, tail) = bytes.as_chunks();
    for (index, word) in words.iter().enumerate() {
        let marks = escape_marks(u64::from_le_bytes(*word));
        if marks != 0 {
            return index * 8 + marks.trailing_zeros() as usize / 8;
        }
    }
    let in_tail = tail.iter().position(|byte| needs_escape(*byte)).unwrap_or(tail.len());
    bytes.len() - tail.len() + in_tail
}

/// Marks the high bit of a word's lowest byte that needs an escape; what is marked above that may be a carry.
fn escape_marks(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word;
    let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, b' ') | equal(b'"') | equal(b'\\')) & (ONES << 7)
}

impl Encoding {
    /// Reads an `Accept-Encoding` header: gzip where it is named and not refused, and not liked less than identity.
    #[must_use]
    pub fn accepted(accept_encoding: Option<&str>) -> Self {
        let quality_of = |name: &str| {
            let codings = accept_encoding
                .unwrap_or_default()
                .split(',')
                .map(|coding| coding.split_once(';').unwrap_or((coding, "")));
            codings
                .filter(|(coding, _)| coding.trim().eq_ignore_ascii_case(name))
                .map(|(_, weight)| quality(weight))
                .next()
        };
        let gzip = quality_of("gzip").or_else(|| quality_of("x-gzip")).unwrap_or(0.0);
        if gzip > 0.0 && gzip >= quality_of("identity").unwrap_or(0.0) { Self::Gzip } else { Self::Identity }
    }
}

/// A coding's weight (RFC 9110, 12.4.2): 1 where none is given, 0 where it cannot be read.
fn quality(weight: &str) -> f32 {
    let weight = weight.split(';').next().unwrap_or_default();
    let Some(value) = weight.trim().strip_prefix(['q', 'Q']) else { return 1.0 };
    value.trim_start().strip_prefix('=').and_then(|value| value.trim().parse().ok()).unwrap_or(0.0)
}

/// Whether an `If-None-Match` header names an entity tag, compared weakly (RFC 9110, 13.1.2).
#[must_use]
pub fn matches_etag(if_none_match: Option<&str>, etag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    if_none_match
        .is_some_and(|tags| tags.split(',').any(|tag| tag.trim() == "*" || opaque(tag) == opaque(etag)))
}

/// The reference page's error object, in its order.
#[derive(Serialize)]
struct ErrorBody<'a> {
    code: u16,
    description: &'a str,
    extra: Extra,
    message: &'a str,
    r#type: &'a str,
}

#[derive(Serialize)]
struct Extra {}

impl Response {
    /// A 200 with the headers that every one has.
    #[must_use]
    pub fn ok(etag: &str, body: Body) -> Self {
        let mut headers = vec![
            ("Content-Type", "application/json; charset=utf-8".to_owned()),
            ("ETag", etag.to_owned()),
            ("Vary", "Accept-Encoding".to_owned()),
        ];
        if matches!(body, Body::Gzip(_)) {
            headers.push(("Content-Encoding", "gzip".to_owned()));
        }
        Self { status: 200, headers, body }
    }

    /// A 304, for a caller who has what would be answered.
    #[must_use]
    pub fn not_modified(etag: &str) -> Self {
        let headers = vec![("ETag", etag.to_owned()), ("Vary", "Accept-Encoding".to_owned())];
        Self { status: 304, headers, body: Body::Empty }
    }

    /// The answer to what went wrong.
    #[must_use]
    pub fn from_error(error: &Error) -> Self {
        let status = error.status();
        let description = error.to_string();
        let body = ErrorBody {
            code: status.code(),
            description: &description,
            extra: Extra {},
            message: status.message(),
            r#type: "error",
        };
        let mut text = EscapedText::default();
        text.push(&serde_json::to_string(&body).expect("texts and a number always serialize"));
        let mut headers = vec![("Content-Type", "application/json; charset=utf-8".to_owned())];
        headers.extend(match status {
            Status::MethodNotAllowed => Some(("Allow", "GET".to_owned())),
            Status::ServiceUnavailable => Some(("Retry-After", "1".to_owned())),
            Status::BadRequest | Status::NotFound | Status::InternalError => None,
        });
        Self { status: status.code(), headers, body: Body::Text(text) }
    }

    /// The same response with a link to the rest of the list.
    #[must_use]
    pub fn with_next(mut self, next: Option<&str>) -> Self {
        self.headers.extend(next.map(|query| ("Link", link(query))));
        self
    }

    /// The length of the body in bytes, as the caller counts it.
    #[must_use]
    pub fn body_length(&self) -> usize {
        match &self.body {
            Body::Empty => 0,
            Body::Text(text) => text.length,
            Body::Gzip(gzip) => gzip.len(),
        }
    }

    /// The Lambda response JSON.
    #[must_use]
    pub fn into_lambda_json(self, shape: ResponseShape) -> String {
        let mut json = String::with_capacity(1024 + body_json_length(&self.body));
        push_envelope(&mut json, self.status, &self.headers, shape);
        match &self.body {
            Body::Empty => json.push_str(r#""isBase64Encoded":false,"body":""}"#),
            Body::Text(text) => json.extend([r#""isBase64Encoded":false,"body":""#, &text.escaped, r#""}"#]),
            Body::Gzip(gzip) => {
                json.push_str(r#""isBase64Encoded":true,"body":""#);
                base64_simd::STANDARD.encode_append(gzip, &mut json);
                json.push_str(r#""}"#);
            }
        }
        json
    }

    /// The length of the Lambda response JSON in bytes.
    #[must_use]
    pub fn json_length(&self, shape: ResponseShape) -> usize {
        let mut json = String::new();
        push_envelope(&mut json, self.status, &self.headers, shape);
        let is_base64 = if matches!(self.body, Body::Gzip(_)) { "true" } else { "false" };
        json.len() + r#""isBase64Encoded":,"body":""}"#.len() + is_base64.len() + body_json_length(&self.body)
    }
}

/// How many bytes a link to the rest of the list adds to the Lambda response JSON.
#[must_use]
pub fn link_length(query: &str, shape: ResponseShape) -> usize {
    let mut json = String::new();
    push_header(&mut json, "Link", &link(query), shape);
    json.len()
}

/// A reference to the same path with another query (RFC 8288).
fn link(query: &str) -> String {
    format!("<?{query}>; rel=\"next\"")
}

fn body_json_length(body: &Body) -> usize {
    match body {
        Body::Empty => 0,
        Body::Text(text) => text.escaped.len(),
        Body::Gzip(gzip) => base64_length(gzip.len()),
    }
}

/// How many bytes base64 makes of `bytes`.
#[must_use]
pub fn base64_length(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

/// Opens the JSON object and writes everything up to the body, each member with a comma behind it.
fn push_envelope(json: &mut String, status: u16, headers: &[(&str, String)], shape: ResponseShape) {
    write!(json, r#"{{"statusCode":{status},"#).expect("writing into a String cannot fail");
    json.push_str(match shape {
        ResponseShape::SingleValueHeaders => r#""headers":{"#,
        ResponseShape::MultiValueHeaders => r#""multiValueHeaders":{"#,
    });
    for (name, value) in headers {
        push_header(json, name, value, shape);
    }
    if json.ends_with(',') {
        json.pop();
    }
    json.push_str("},");
}

fn push_header(json: &mut String, name: &str, value: &str, shape: ResponseShape) {
    let mut escaped = EscapedText::default();
    escaped.push(value);
    let (opening, closing) = match shape {
        ResponseShape::SingleValueHeaders => ("\"", "\","),
        ResponseShape::MultiValueHeaders => ("[\"", "\"],"),
    };
    json.extend(["\"", name, "\":", opening, &escaped.escaped, closing]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_text_is_escaped_as_json_has_it(texts: Vec<String>) {
            let mut escaped = EscapedText::default();
            for text in &texts {
                escaped.push(text);
            }
            let read: String = serde_json::from_str(&format!("\"{}\"", escaped.escaped)).unwrap();
            prop_assert_eq!(&read, &texts.concat());
            prop_assert_eq!(escaped.escaped_length(), texts.iter().map(|text| escaped_length(text)).sum::<usize>());
        }

        #[test]
        fn the_foretold_length_is_that_of_the_json(body: String, gzip: bool, next: Option<String>, alb: bool) {
            let shape = if alb { ResponseShape::MultiValueHeaders } else { ResponseShape::SingleValueHeaders };
            let mut text = EscapedText::default();
            text.push(&body);
            let body = if gzip { Body::Gzip(body.into_bytes()) } else { Body::Text(text) };
            let bare = Response::ok("W/\"tag\"", body);
            let foretold = bare.json_length(shape) + next.as_deref().map_or(0, |next| link_length(next, shape));
            let json = bare.with_next(next.as_deref()).into_lambda_json(shape);
            prop_assert_eq!(json.len(), foretold);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
        }
    }

    #[test]
    fn every_character_is_escaped_wherever_it_stands_among_eight() {
        let characters = (0..=0x7f_u8).map(char::from).chain(['\u{80}', 'é', '\u{2028}', '零', '🚀']);
        for character in characters {
            for (before, behind) in (0..10).flat_map(|before| (0..10).map(move |behind| (before, behind))) {
                let text = format!("{}{character}{}", "x".repeat(before), "\"".repeat(behind));
                let mut escaped = EscapedText::default();
                escaped.push(&text);
                let read: String = serde_json::from_str(&format!("\"{}\"", escaped.escaped)).unwrap();
                assert_eq!(read, text);
                assert_eq!(escaped.escaped_length(), escaped_length(&text));
            }
        }
    }

    #[test]
    fn gzip_is_used_where_it_is_accepted() {
        for header in [
            "gzip",
            "GZIP",
            "deflate, gzip;q=0.5",
            "br;q=1.0, gzip; q=0.8, *;q=0.1",
            "gzip;q=1, identity;q=0.5",
            "x-gzip",
            "gzip;q=1;x",
        ] {
            assert_eq!(Encoding::accepted(Some(header)), Encoding::Gzip, "{header}");
        }
        for header in
            ["", "gzip;q=0", "gzip; q=0.000", "br", "*", "identity, gzip;q=0.5", "gzip;q=x", "gzipped"]
        {
            assert_eq!(Encoding::accepted(Some(header)), Encoding::Identity, "{header}");
        }
        assert_eq!(Encoding::accepted(None), Encoding::Identity);
    }

    #[test]
    fn entity_tags_are_compared_weakly() {
        for header in ["W/\"a\"", "\"a\"", "\"b\", W/\"a\"", "*", " * "] {
            assert!(matches_etag(Some(header), "W/\"a\""), "{header}");
        }
        for header in [None, Some(""), Some("\"b\""), Some("a"), Some("w/\"a\"")] {
            assert!(!matches_etag(header, "W/\"a\""), "{header:?}");
        }
    }

    #[test]
    fn an_error_is_the_reference_pages_object() {
        let response = Response::from_error(&Error::NoImage);
        let Body::Text(text) = &response.body else { panic!("a text") };
        let body: String = serde_json::from_str(&format!("\"{}\"", text.escaped)).unwrap();
        assert_eq!(
            body,
            r#"{"code":400,"description":"image can't be empty!","extra":{},"message":"Bad Request","type":"error"}"#
        );
    }
}
