//! The HTTP responses that both endpoints give.

use bytes::Bytes;
use http::StatusCode;
use http::header::{
    ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderValue, LINK, RETRY_AFTER, VARY,
};
use serde_json::json;

use crate::accept_encoding::ContentCoding;
use crate::error::{Error, Status};

/// What the service answers, with its whole body.
pub type Response = http::Response<Bytes>;

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const BY_ACCEPT_ENCODING: HeaderValue = HeaderValue::from_static("Accept-Encoding");

/// A 200, with the headers that every 200 has.
pub fn ok(etag: &str, coding: ContentCoding, body: Vec<u8>) -> Response {
    let mut response = Response::new(Bytes::from(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(ETAG, etag_value(etag));
    headers.insert(VARY, BY_ACCEPT_ENCODING);
    if coding == ContentCoding::Gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// A 304, for a caller who already has what would be answered.
pub fn not_modified(etag: &str) -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response.headers_mut().insert(ETAG, etag_value(etag));
    response.headers_mut().insert(VARY, BY_ACCEPT_ENCODING);
    response
}

fn etag_value(etag: &str) -> HeaderValue {
    HeaderValue::from_str(etag).expect("an entity tag is made of hex digits")
}

/// The answer that tells the caller of an error: Zadig's error object, with its fields in Zadig's order.
pub fn from_error(error: &Error) -> Response {
    let status = error.status();
    let body = json!({
        "code": status.code().as_u16(),
        "description": error.to_string(),
        "extra": {},
        "message": status.message(),
        "type": "error",
    });
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status.code();
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    match status {
        Status::MethodNotAllowed => {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"))
        }
        Status::ServiceUnavailable => {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"))
        }
        Status::BadRequest | Status::NotFound | Status::InternalError => None,
    };
    let next = match error {
        Error::NothingRuns { next, .. } => next.as_deref(),
        _ => None,
    };
    with_next(response, next)
}

/// Adds a `Link` to the rest of the list, where there is more: the same path with another query (RFC 8288).
pub fn with_next(mut response: Response, next: Option<&str>) -> Response {
    if let Some(query) = next {
        let link = HeaderValue::from_str(&format!("<?{query}>; rel=\"next\""));
        response.headers_mut().insert(LINK, link.expect("an encoded query has no control characters"));
    }
    response
}

/// The answer to a `HEAD`: the headers, with the length of the body that `GET` would get (RFC 9110, 9.3.2).
pub fn without_body(mut response: Response) -> Response {
    let body = std::mem::take(response.body_mut());
    if !body.is_empty() {
        response.headers_mut().insert(CONTENT_LENGTH, body.len().into());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::ParameterError;

    #[test]
    fn an_error_is_answered_as_zadigs_error_object() {
        let response = from_error(&Error::Parameter(ParameterError::NoImage));
        assert_eq!(
            response.body().as_ref(),
            br#"{"code":400,"description":"image can't be empty!","extra":{},"message":"Bad Request","type":"error"}"#
        );
    }
}
