//! The HTTP response, and the Lambda response JSON that carries it.

use std::io::Write as _;

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

/// A response's body, as it stands in the Lambda response JSON.
#[derive(Debug)]
pub enum Body {
    /// None.
    Empty,
    /// A text.
    Text(TextBody),
    /// Bytes, of which the encoding is gzip.
    Gzip(Base64Body),
}

/// The Lambda response JSON begins with the body, so that nothing of it is copied when the rest is known.
const TEXT_OPENING: &[u8] = br#"{"isBase64Encoded":false,"body":""#;
const BASE64_OPENING: &[u8] = br#"{"isBase64Encoded":true,"body":""#;

/// A text in the making, escaped as it stands inside a JSON string.
#[derive(Debug)]
pub struct TextBody {
    /// Begins with [`TEXT_OPENING`].
    json: Vec<u8>,
    length: usize,
}

/// Bytes in the making, in base64: nothing else is bytes in JSON.
#[derive(Debug)]
pub struct Base64Body {
    /// Begins with [`BASE64_OPENING`].
    json: Vec<u8>,
    /// What is not in base64 yet: the end of a group of three, or pieces so short that they are encoded together.
    pending: Vec<u8>,
    length: usize,
}

/// Shorter pieces are encoded together.
const MIN_PIECE_BYTES: usize = 64;

/// How a 200 is encoded, as the caller accepts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    Identity,
    /// One gzip member.
    Gzip,
}

impl TextBody {
    /// An empty text with room for `bytes` escaped bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { json: opened(TEXT_OPENING, bytes), length: 0 }
    }

    /// Appends a text, which is UTF-8.
    pub fn push(&mut self, text: &[u8]) {
        self.length += text.len();
        push_escaped(&mut self.json, text);
    }

    /// The length of the escaped text in bytes.
    #[must_use]
    pub fn escaped_length(&self) -> usize {
        self.json.len() - TEXT_OPENING.len()
    }
}

impl Base64Body {
    /// Nothing, with room for so many bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { json: opened(BASE64_OPENING, base64_length(bytes)), pending: Vec::new(), length: 0 }
    }

    /// Appends bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.length += bytes.len();
        if self.pending.len() + bytes.len() < MIN_PIECE_BYTES {
            self.pending.extend_from_slice(bytes);
            return;
        }
        let missing = self.pending.len().next_multiple_of(3) - self.pending.len();
        let (end_of_group, bytes) = bytes.split_at(missing.min(bytes.len()));
        self.pending.extend_from_slice(end_of_group);
        let (groups, beginning_of_group) = bytes.split_at(bytes.len() / 3 * 3);
        base64_simd::STANDARD.encode_append(&self.pending, &mut self.json);
        base64_simd::STANDARD.encode_append(groups, &mut self.json);
        self.pending.clear();
        self.pending.extend_from_slice(beginning_of_group);
    }

    /// Appends bytes that are in base64 already: whole groups of three, behind whole groups of three.
    pub fn push_base64(&mut self, base64: &[u8]) {
        assert!(self.length.is_multiple_of(3) && base64.len().is_multiple_of(4), "groups of three bytes");
        self.length += base64.len() / 4 * 3;
        base64_simd::STANDARD.encode_append(&self.pending, &mut self.json);
        self.pending.clear();
        self.json.extend_from_slice(base64);
    }

    /// How many bytes there are.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }

    /// The bytes again.
    ///
    /// For whoever is no Lambda; it decodes all of them.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let base64 = &self.json[BASE64_OPENING.len()..];
        let mut bytes =
            base64_simd::STANDARD.decode_to_vec(base64).expect("it was encoded here, in whole groups");
        bytes.extend_from_slice(&self.pending);
        bytes
    }

    fn finish(mut self) -> Vec<u8> {
        base64_simd::STANDARD.encode_append(&self.pending, &mut self.json);
        self.json
    }
}

/// The opening of a Lambda response JSON, with room for the body and what comes behind it.
fn opened(opening: &[u8], bytes: usize) -> Vec<u8> {
    let mut json = Vec::with_capacity(opening.len() + bytes + 1024);
    json.extend_from_slice(opening);
    json
}

/// Appends a text as it stands inside a JSON string. Eight bytes are looked at together: a body has megabytes.
fn push_escaped(json: &mut Vec<u8>, text: &[u8]) {
    json.reserve(text.len());
    let mut rest = text;
    while let Some((word, behind)) = rest.split_first_chunk() {
        json.extend_from_slice(word);
        let marks = escape_marks(u64::from_le_bytes(*word));
        if marks == 0 {
            rest = behind;
            continue;
        }
        let plain = marks.trailing_zeros() as usize / 8;
        json.truncate(json.len() - word.len() + plain);
        push_escape(json, word[plain]);
        rest = &rest[plain + 1..];
    }
    for byte in rest {
        if needs_escape(*byte) {
            push_escape(json, *byte);
        } else {
            json.push(*byte);
        }
    }
}

fn push_escape(json: &mut Vec<u8>, byte: u8) {
    if let b'"' | b'\\' = byte {
        json.extend_from_slice(&[b'\\', byte]);
    } else {
        json.extend_from_slice(b"\\u00");
        hex_simd::encode_append([byte], json, hex_simd::AsciiCase::Lower);
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
        let mut text = TextBody::with_capacity(0);
        text.push(&serde_json::to_vec(&body).expect("texts and a number always serialize"));
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
            Body::Gzip(gzip) => gzip.length,
        }
    }

    /// The Lambda response JSON.
    #[must_use]
    pub fn into_lambda_json(self, shape: ResponseShape) -> Vec<u8> {
        let mut json = match self.body {
            Body::Empty => TextBody::with_capacity(0).json,
            Body::Text(text) => text.json,
            Body::Gzip(gzip) => gzip.finish(),
        };
        push_envelope(&mut json, self.status, &self.headers, shape);
        json
    }

    /// The length of the Lambda response JSON in bytes.
    #[must_use]
    pub fn json_length(&self, shape: ResponseShape) -> usize {
        let mut envelope = Vec::new();
        push_envelope(&mut envelope, self.status, &self.headers, shape);
        let body = match &self.body {
            Body::Empty => TEXT_OPENING.len(),
            Body::Text(text) => text.json.len(),
            Body::Gzip(gzip) => BASE64_OPENING.len() + base64_length(gzip.length),
        };
        body + envelope.len()
    }
}

/// How many bytes a link to the rest of the list adds to the Lambda response JSON.
#[must_use]
pub fn link_length(query: &str, shape: ResponseShape) -> usize {
    let mut json = Vec::new();
    push_header(&mut json, "Link", &link(query), shape);
    json.len()
}

/// A reference to the same path with another query (RFC 8288).
fn link(query: &str) -> String {
    format!("<?{query}>; rel=\"next\"")
}

/// How many bytes base64 makes of `bytes`.
#[must_use]
pub fn base64_length(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

/// Ends the body, and writes everything else behind it.
fn push_envelope(json: &mut Vec<u8>, status: u16, headers: &[(&str, String)], shape: ResponseShape) {
    write!(json, r#"","statusCode":{status},"#).expect("writing into memory cannot fail");
    json.extend_from_slice(match shape {
        ResponseShape::SingleValueHeaders => br#""headers":{"#,
        ResponseShape::MultiValueHeaders => br#""multiValueHeaders":{"#,
    });
    for (name, value) in headers {
        push_header(json, name, value, shape);
    }
    if json.ends_with(b",") {
        json.pop();
    }
    json.extend_from_slice(b"}}");
}

fn push_header(json: &mut Vec<u8>, name: &str, value: &str, shape: ResponseShape) {
    let (opening, closing) = match shape {
        ResponseShape::SingleValueHeaders => ("\"", "\","),
        ResponseShape::MultiValueHeaders => ("[\"", "\"],"),
    };
    for text in ["\"", name, "\":", opening] {
        json.extend_from_slice(text.as_bytes());
    }
    push_escaped(json, value.as_bytes());
    json.extend_from_slice(closing.as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quoted(text: &TextBody) -> Vec<u8> {
        [b"\"", &text.json[TEXT_OPENING.len()..], b"\""].concat()
    }

    proptest! {
        #[test]
        fn a_text_is_escaped_as_json_has_it(texts: Vec<String>) {
            let mut escaped = TextBody::with_capacity(0);
            for text in &texts {
                escaped.push(text.as_bytes());
            }
            let read: String = serde_json::from_slice(&quoted(&escaped)).unwrap();
            prop_assert_eq!(&read, &texts.concat());
            prop_assert_eq!(escaped.escaped_length(), texts.iter().map(|text| escaped_length(text)).sum::<usize>());
        }

        #[test]
        fn the_foretold_length_is_that_of_the_json(
            body: String,
            times in 1_usize..20,
            piece in 1_usize..300,
            gzip: bool,
            next: Option<String>,
            alb: bool,
        ) {
            let given = body.repeat(times);
            let body = given.clone();
            let shape = if alb { ResponseShape::MultiValueHeaders } else { ResponseShape::SingleValueHeaders };
            let mut text = TextBody::with_capacity(0);
            text.push(body.as_bytes());
            let mut base64 = Base64Body::with_capacity(0);
            for piece in body.as_bytes().chunks(piece) {
                base64.push(piece);
            }
            prop_assert_eq!(base64.to_bytes(), body.as_bytes());
            let body = if gzip { Body::Gzip(base64) } else { Body::Text(text) };
            let bare = Response::ok("W/\"tag\"", body);
            let foretold = bare.json_length(shape) + next.as_deref().map_or(0, |next| link_length(next, shape));
            let json = bare.with_next(next.as_deref()).into_lambda_json(shape);
            prop_assert_eq!(json.len(), foretold);
            let read: serde_json::Value = serde_json::from_slice(&json).unwrap();
            let answered = read["body"].as_str().unwrap();
            let decoded = base64_simd::STANDARD.decode_to_vec(answered);
            prop_assert_eq!(if gzip { decoded.unwrap() } else { answered.as_bytes().to_vec() }, given.as_bytes());
        }
    }

    #[test]
    fn every_character_is_escaped_wherever_it_stands_among_eight() {
        let characters = (0..=0x7f_u8).map(char::from).chain(['\u{80}', 'é', '\u{2028}', '零', '🚀']);
        for character in characters {
            for (before, behind) in (0..10).flat_map(|before| (0..10).map(move |behind| (before, behind))) {
                let text = format!("{}{character}{}", "x".repeat(before), "\"".repeat(behind));
                let mut escaped = TextBody::with_capacity(0);
                escaped.push(text.as_bytes());
                let read: String = serde_json::from_slice(&quoted(&escaped)).unwrap();
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
        let body: String = serde_json::from_slice(&quoted(text)).unwrap();
        assert_eq!(
            body,
            r#"{"code":400,"description":"image can't be empty!","extra":{},"message":"Bad Request","type":"error"}"#
        );
    }
}
