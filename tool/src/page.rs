//! The page: its files, which are part of the binary, and the router that serves them before the two endpoints.
//!
//! It is for a person at this machine. So it answers under its own address alone, as no web site can have a name
//! that leads here and then read the answers (DNS rebinding); it says nothing about other origins; and it only
//! reads.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::Response;
use delivery_center::accept_encoding::ContentCoding;
use delivery_center::endpoint::Endpoint;
use delivery_center::error::Error;
use delivery_center::etag;
use delivery_center::query::Query;
use delivery_center::response::{self, from_error, without_body};
use delivery_center::service::{AnsweredRequest, EndpointService};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HOST,
    HeaderName, HeaderValue, IF_NONE_MATCH, LINK, REFERRER_POLICY, RETRY_AFTER, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, Method, StatusCode};
use ring::digest::{SHA256, digest};

use crate::answers::{DeployedApi, Endpoints};

/// What the document may load: the files beside it, and nothing that is written in it or comes from elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! files {
    ($($name:literal: $kind:expr,)*) => {
        [$(($name, $kind, include_bytes!(concat!("../page/", $name)))),*]
    };
}

/// The files that are served at `/page/NAME`, each with its type. The document is at `/` too.
const FILES: [(&str, &str, &[u8]); 17] = files! {
    "index.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "page.js": JAVASCRIPT,
    "ask.js": JAVASCRIPT,
    "text.js": JAVASCRIPT,
    "read.js": JAVASCRIPT,
    "parts.js": JAVASCRIPT,
    "box.js": JAVASCRIPT,
    "story.js": JAVASCRIPT,
    "releases.js": JAVASCRIPT,
    "release.js": JAVASCRIPT,
    "comparison.js": JAVASCRIPT,
    "diff.js": JAVASCRIPT,
    "environment.js": JAVASCRIPT,
    "vendor/preact.mjs": JAVASCRIPT,
    "vendor/htm.mjs": JAVASCRIPT,
};

const OPENAPI: &[u8] = include_bytes!("../../openapi.yaml");

/// A file as it is sent.
struct File {
    path: String,
    kind: &'static str,
    etag: String,
    plain: &'static [u8],
    gzip: Bytes,
}

/// Answers the page's files, and under the endpoints' paths the endpoints. `log` is called for every request that
/// these answer in this process.
pub fn router(listening_at: SocketAddr, endpoints: Endpoints, log: fn(&AnsweredRequest)) -> Router {
    let (files, endpoints) = (Arc::<[File]>::from(files()), Arc::new(endpoints));
    Router::new().fallback(move |request: Request| {
        let (files, endpoints) = (files.clone(), endpoints.clone());
        async move {
            if !is_own(listening_at, request.headers()) {
                return refusal(listening_at);
            }
            let (path, method) = (request.uri().path(), request.method().clone());
            let file = files.iter().find(|file| file.path == path);
            let answer = match (Endpoint::at(path), file) {
                (None, None) => from_error(&Error::NoSuchPath { path: path.to_owned() }),
                _ if !matches!(method, Method::GET | Method::HEAD) => from_error(&Error::MethodNotAllowed),
                (Some(endpoint), _) => match &*endpoints {
                    Endpoints::InProcess(store) => {
                        let service = EndpointService::new(endpoint, store.clone()).with_log(log);
                        service.answer(request).await
                    }
                    Endpoints::Deployed(api) => passed_on(api, endpoint, &request.into_parts().0).await,
                },
                (None, Some(file)) => file.answer(request.headers()),
            };
            let mut answer = if method == Method::HEAD { without_body(answer) } else { answer };
            // No other origin reads it, not even as the script or the picture that it is not.
            for (name, value) in [(X_CONTENT_TYPE_OPTIONS, "nosniff"), (RESOURCE_POLICY, "same-origin")] {
                answer.headers_mut().insert(name, HeaderValue::from_static(value));
            }
            answer.map(Body::from)
        }
    })
}

/// What a deployed API answers. What stands in the way to it is told in an error object, as the API's own errors
/// are.
async fn passed_on(api: &DeployedApi, endpoint: Endpoint, request: &Parts) -> response::Response {
    let some = |headers: &HeaderMap, names: &[HeaderName]| -> HeaderMap {
        names.iter().filter_map(|name| Some((name.clone(), headers.get(name)?.clone()))).collect()
    };
    let query = Query::parse(request.uri.query().unwrap_or_default());
    let headers = some(&request.headers, &[ACCEPT_ENCODING, IF_NONE_MATCH]);
    let (status, headers, body) = match api.get(endpoint, &query, &headers).await {
        Ok(answer) => {
            let (parts, body) = answer.into_parts();
            let names = [CONTENT_TYPE, CONTENT_ENCODING, ETAG, LINK, RETRY_AFTER, VARY];
            (parts.status, some(&parts.headers, &names), body)
        }
        Err(error) => {
            let status = error.status().filter(|status| status.as_u16() >= 400);
            let status = status.unwrap_or(StatusCode::BAD_GATEWAY);
            let json = HeaderValue::from_static("application/json; charset=utf-8");
            (status, HeaderMap::from_iter([(CONTENT_TYPE, json)]), error.object(status))
        }
    };
    let mut answer = response::Response::new(body.into());
    (*answer.status_mut(), *answer.headers_mut()) = (status, headers);
    answer
}

fn files() -> Vec<File> {
    let document = ("/".to_owned(), FILES[0].1, FILES[0].2);
    let beside = FILES.iter().map(|(name, kind, bytes)| (format!("/page/{name}"), *kind, *bytes));
    let description = ("/openapi.yaml".to_owned(), "application/yaml; charset=utf-8", OPENAPI);
    beside.chain([document, description]).map(|(path, kind, plain)| File::new(path, kind, plain)).collect()
}

impl File {
    fn new(path: String, kind: &'static str, plain: &'static [u8]) -> Self {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        let packed = gzip.write_all(plain).and_then(|()| gzip.finish()).expect("memory can be written to");
        let tag =
            hex_simd::encode_to_string(&digest(&SHA256, plain).as_ref()[..12], hex_simd::AsciiCase::Lower);
        Self { path, kind, etag: format!("W/\"{tag}\""), plain, gzip: packed.into() }
    }

    fn answer(&self, headers: &HeaderMap) -> response::Response {
        let mut answer = response::Response::default();
        let mut add = |name: HeaderName, value: &str| {
            answer.headers_mut().insert(name, HeaderValue::from_str(value).expect("it is ASCII"));
        };
        add(ETAG, &self.etag);
        add(VARY, "Accept-Encoding");
        // Another version of the tool may serve here tomorrow.
        add(CACHE_CONTROL, "no-cache");
        add(REFERRER_POLICY, "no-referrer");
        if self.kind.starts_with("text/html") {
            add(CONTENT_SECURITY_POLICY, POLICY);
        }
        if etag::is_known(headers, &self.etag) {
            *answer.status_mut() = StatusCode::NOT_MODIFIED;
            return answer;
        }
        add(CONTENT_TYPE, self.kind);
        match ContentCoding::accepted(headers) {
            ContentCoding::Identity => *answer.body_mut() = Bytes::from_static(self.plain),
            ContentCoding::Gzip => {
                add(CONTENT_ENCODING, "gzip");
                *answer.body_mut() = self.gzip.clone();
            }
        }
        answer
    }
}

/// Whether a request's `Host` is an address of this server. A name that somebody else gave it is none.
fn is_own(listening_at: SocketAddr, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let Ok(host) = Authority::try_from(host.as_bytes()) else { return false };
    let name = host.host().trim_start_matches('[').trim_end_matches(']');
    let is_ours = match name.parse::<IpAddr>() {
        Ok(address) => {
            let own = listening_at.ip();
            // A server at every address is reached at any of them, and a container's at those of its host, where
            // the port is another one too. An address cannot be made to lead elsewhere, as a name can.
            own.is_unspecified() || address == own || (own.is_loopback() && address.is_loopback())
        }
        Err(_) => {
            name.eq_ignore_ascii_case("localhost")
                && (listening_at.ip().is_loopback() || listening_at.ip().is_unspecified())
        }
    };
    let has_port = host.port_u16().unwrap_or(80) == listening_at.port();
    !host.as_str().contains('@') && is_ours && (has_port || listening_at.ip().is_unspecified())
}

fn refusal(listening_at: SocketAddr) -> Response {
    let sentence = format!(
        "Open http://{listening_at}: this server answers under its own address alone, so that no web site can read \
         it through a name of its own.\n"
    );
    let mut answer = Response::new(Body::from(sentence));
    *answer.status_mut() = StatusCode::FORBIDDEN;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_of_the_folder_is_served() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("page");
        let names = |folder: &Path, before: &str| -> Vec<String> {
            let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
            let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
            files.map(|entry| format!("{before}{}", entry.file_name().to_str().unwrap())).collect()
        };
        let mut there = names(&folder, "");
        // The licences and the list of the packages stay in the repository.
        let vendored = names(&folder.join("vendor"), "vendor/").into_iter();
        there.extend(vendored.filter(|name| Path::new(name).extension().is_some_and(|kind| kind == "mjs")));
        there.sort();
        let mut served = FILES.map(|(name, ..)| name.to_owned());
        served.sort();
        assert_eq!(there, served);
    }

    #[test]
    fn a_host_is_this_servers_own_address_or_it_is_refused() {
        let is_own = |listening_at: &str, host: &str| {
            let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_str(host).unwrap())]);
            is_own(listening_at.parse().unwrap(), &headers)
        };
        for (listening_at, host, expected) in [
            ("127.0.0.1:3000", "127.0.0.1:3000", true),
            ("127.0.0.1:3000", "localhost:3000", true),
            ("127.0.0.1:3000", "LOCALHOST:3000", true),
            ("127.0.0.1:3000", "[::1]:3000", true),
            ("[::1]:3000", "[::1]:3000", true),
            ("127.0.0.1:80", "localhost", true),
            ("192.0.2.7:3000", "192.0.2.7:3000", true),
            ("0.0.0.0:3000", "192.0.2.7:3000", true),
            ("0.0.0.0:3000", "localhost:8080", true),
            ("127.0.0.1:3000", "localhost:3001", false),
            ("127.0.0.1:3000", "localhost", false),
            ("127.0.0.1:3000", "evil.example:3000", false),
            ("127.0.0.1:3000", "localhost.evil.example:3000", false),
            ("127.0.0.1:3000", "127.0.0.1.evil.example:3000", false),
            ("127.0.0.1:3000", "localhost:3000@evil.example", false),
            ("127.0.0.1:3000", "192.0.2.7:3000", false),
            ("192.0.2.7:3000", "localhost:3000", false),
            ("192.0.2.7:3000", "192.0.2.8:3000", false),
            ("0.0.0.0:3000", "evil.example:3000", false),
            ("127.0.0.1:3000", "", false),
        ] {
            assert_eq!(is_own(listening_at, host), expected, "{host} at {listening_at}");
        }
        let repeated = [(HOST, HeaderValue::from_static("localhost:3000"))];
        let mut headers = HeaderMap::from_iter(repeated.clone());
        headers.append(HOST, HeaderValue::from_static("evil.example"));
        assert!(!super::is_own("127.0.0.1:3000".parse().unwrap(), &headers));
        assert!(!super::is_own("127.0.0.1:3000".parse().unwrap(), &HeaderMap::new()));
    }
}
