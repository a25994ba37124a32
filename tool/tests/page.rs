//! The page's server: its files and their headers, which hosts and methods it answers, and `browse`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use axum::body::Body;
use axum::http::{HeaderMap, Request};
use delivery_center::endpoint::Endpoint;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use crate::running::{run_on, tool};
use crate::support::{Tables, gunzip};

/// A running `browse`, at a free port.
pub(crate) struct Browsing {
    process: Child,
    address: String,
    /// The line that it prints.
    line: String,
}

impl Browsing {
    fn start(tables: &Tables, arguments: &[&str]) -> Self {
        Self::start_in(&tables.environment(), arguments)
    }

    pub(crate) fn start_in(environment: &[(&'static str, String)], arguments: &[&str]) -> Self {
        let mut browse = tool(environment, &[&["browse"], arguments].concat());
        let mut process = browse.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).unwrap().split(' ').next().unwrap().to_owned();
        Self { process, address, line }
    }

    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> (u16, HeaderMap, Vec<u8>) {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
        let (head, body) = client.request(request.body(Body::empty()).unwrap()).await.unwrap().into_parts();
        let body = axum::body::to_bytes(Body::new(body), usize::MAX).await.unwrap();
        (head.status.as_u16(), head.headers, body.to_vec())
    }

    async fn get(&self, path: &str) -> (u16, HeaderMap, String) {
        let (status, headers, body) = self.ask("GET", path, &[]).await;
        (status, headers, String::from_utf8(body).unwrap())
    }
}

impl Drop for Browsing {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What stands between `start` and a quotation mark, wherever it occurs.
fn quoted<'a>(text: &'a str, start: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(start).skip(1).filter_map(|rest| rest.split(['"', '\'']).next())
}

#[tokio::test]
async fn the_page_is_served_with_all_that_it_loads_and_loads_nothing_from_elsewhere() {
    let browsing = Browsing::start(&Tables::missing(), &["--listen", "127.0.0.1:0"]);
    let (status, headers, document) = browsing.get("/").await;
    assert_eq!(status, 200);
    assert_eq!(headers["content-type"], "text/html; charset=utf-8");
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'; "), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
    let mut seen = Vec::new();
    let mut wanted: Vec<_> = quoted(&document, "=\"/page/").map(str::to_owned).collect();
    while let Some(name) = wanted.pop() {
        if seen.contains(&name) {
            continue;
        }
        let (status, headers, body) = browsing.get(&format!("/page/{name}")).await;
        assert_eq!(status, 200, "{name}");
        let kind = headers["content-type"].to_str().unwrap();
        assert!(
            ["text/javascript", "text/css", "image/svg"].iter().any(|begin| kind.starts_with(begin)),
            "{name}: {kind}"
        );
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["referrer-policy"], "no-referrer");
        assert!(!headers.contains_key("access-control-allow-origin"));
        wanted.extend(quoted(&body, "from './").map(str::to_owned));
        seen.push(name);
    }
    assert!(seen.len() > 10, "{seen:?}");
    assert!(!document.contains("<style") && !document.contains(" style=") && !document.contains("<script>"));
    assert_eq!(document.matches("://").count(), 0, "it loads nothing from elsewhere");
    let (status, headers, description) = browsing.get("/openapi.yaml").await;
    assert_eq!((status, headers["content-type"].to_str().unwrap()), (200, "application/yaml; charset=utf-8"));
    assert_eq!(description, include_str!("../../openapi.yaml"));
}

#[tokio::test]
async fn a_file_is_packed_where_that_is_accepted_and_sent_once() {
    let browsing = Browsing::start(&Tables::missing(), &["--listen", "127.0.0.1:0"]);
    let (_, headers, plain) = browsing.get("/page/page.css").await;
    let (status, packed_headers, packed) =
        browsing.ask("GET", "/page/page.css", &[("accept-encoding", "gzip")]).await;
    assert_eq!((status, &packed_headers["content-encoding"]), (200, &"gzip".parse().unwrap()));
    assert_eq!((gunzip(&packed), &packed_headers["etag"]), (plain, &headers["etag"]));
    let etag = headers["etag"].to_str().unwrap();
    let (status, headers, body) = browsing.ask("GET", "/page/page.css", &[("if-none-match", etag)]).await;
    assert_eq!((status, headers["etag"].to_str().unwrap(), body.len()), (304, etag, 0));
}

/// What a first visit loads: the budget is what a person waits for on a bad line.
#[tokio::test]
async fn the_whole_page_has_less_than_60_kilobytes_over_the_wire() {
    let browsing = Browsing::start(&Tables::missing(), &["--listen", "127.0.0.1:0"]);
    let (_, _, document) = browsing.get("/").await;
    let mut bytes = 0;
    let names = quoted(&document, "=\"/page/").map(|name| format!("/page/{name}"));
    for path in names.chain(["/".to_owned()]) {
        bytes += browsing.ask("GET", &path, &[("accept-encoding", "gzip")]).await.2.len();
    }
    assert!((20_000..60_000).contains(&bytes), "{bytes}");
}

#[tokio::test]
async fn it_reads_only_and_answers_under_its_own_address_alone() {
    let tables = Tables::with_samples().await;
    let browsing = Browsing::start(&tables, &["--listen", "127.0.0.1:0"]);
    let port = browsing.address.rsplit(':').next().unwrap();
    let paths = ["/", "/page/page.js", "/openapi.yaml", Endpoint::ListReleases.path(), "/elsewhere"];
    for path in paths {
        for host in
            ["evil.example", "127.0.0.1:1", &format!("evil.example:{port}"), &format!("localhost.:{port}")]
        {
            let (status, headers, body) = browsing.ask("GET", path, &[("host", host)]).await;
            assert_eq!(status, 403, "{path} at {host}");
            let sentence = String::from_utf8(body).unwrap();
            assert!(sentence.starts_with(&format!("Open http://{}: ", browsing.address)), "{sentence}");
            assert_eq!(headers["content-type"], "text/plain; charset=utf-8");
        }
        for host in [format!("localhost:{port}"), format!("[::1]:{port}")] {
            let (status, headers, _) =
                browsing.ask("GET", path, &[("host", &host), ("origin", "http://evil.example")]).await;
            assert_eq!(status, if path == "/elsewhere" { 404 } else { 200 }, "{path} at {host}");
            assert!(!headers.contains_key("access-control-allow-origin"), "{path}");
        }
        for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
            let (status, headers, _) = browsing.ask(method, path, &[]).await;
            let expected = if path == "/elsewhere" { (404, None) } else { (405, Some("GET, HEAD")) };
            assert_eq!(
                (status, headers.get("allow").map(|allow| allow.to_str().unwrap())),
                expected,
                "{method} {path}"
            );
        }
        let (status, headers, body) = browsing.ask("GET", path, &[]).await;
        let (head_status, head_headers, none) = browsing.ask("HEAD", path, &[]).await;
        assert_eq!((head_status, none.len()), (status, 0), "{path}");
        assert_eq!(head_headers["content-length"], body.len().to_string(), "{path}");
        assert_eq!(head_headers["content-type"], headers["content-type"], "{path}");
    }
}

#[tokio::test]
async fn browse_answers_what_the_tables_hold_and_leaves_them_as_they_are() {
    let tables = Tables::with_samples().await;
    let before = tables.dump_both().await;
    let browsing = Browsing::start(&tables, &["--listen", "127.0.0.1:0"]);
    assert_eq!(browsing.line, format!("Open http://{} in a browser. Ctrl-C ends it.\n", browsing.address));
    for (endpoint, query) in [
        (Endpoint::ListReleases, "projectName=shop&verbosity=brief"),
        (Endpoint::GetArtifact, "envName=prod&include=environments"),
    ] {
        let expected = tables.get(endpoint, query).await;
        let (status, headers, body) = browsing.get(&format!("{}?{query}", endpoint.path())).await;
        assert_eq!((status, body), (200, expected.json().to_string()));
        assert_eq!(headers["etag"], expected.header("etag").unwrap());
    }
    assert_eq!(tables.dump_both().await, before);
}

#[tokio::test]
async fn browse_takes_a_free_port_where_the_usual_one_is_taken_and_no_other_address_than_loopback() {
    let tables = Tables::missing();
    // Somebody else may have taken it, which is as well.
    let taken = TcpListener::bind("127.0.0.1:3001").ok();
    let browsing = Browsing::start(&tables, &[]);
    assert_eq!(browsing.get("/").await.0, 200);
    let address: SocketAddr = browsing.address.parse().unwrap();
    assert!(address.ip().is_loopback() && address.port() != 3001, "{address}");
    let ran = run_on(&tables, &["browse", "--listen", &browsing.address]).await;
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert!(ran.err.contains(&browsing.address) && ran.err.contains("--listen"), "{ran:?}");
    for other in ["0.0.0.0:0", "[::]:0", "192.0.2.7:3001"] {
        let ran = run_on(&tables, &["browse", "--listen", other]).await;
        assert_eq!(ran.status, Some(2), "{ran:?}");
        assert!(ran.err.contains("is no loopback address"), "{ran:?}");
    }
    drop(taken);
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_browse_well() {
    let mut browsing = Browsing::start(&Tables::missing(), &["--listen", "127.0.0.1:0"]);
    let id = browsing.process.id().to_string();
    assert!(Command::new("kill").args(["-s", "INT", &id]).status().unwrap().success());
    assert_eq!(browsing.process.wait().unwrap().code(), Some(0));
}

/// Whoever sent half a request would hold a server that ends gracefully.
#[test]
fn ctrl_c_ends_it_whatever_is_still_asked() {
    let mut browsing = Browsing::start(&Tables::missing(), &["--listen", "127.0.0.1:0"]);
    let mut half = std::net::TcpStream::connect(&browsing.address).unwrap();
    half.write_all(b"GET / HTTP/1.1\r\nHo").unwrap();
    let id = browsing.process.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert!(browsing.process.wait().unwrap().success());
}
