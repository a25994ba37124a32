//! A small faulty server in front of DynamoDB that speaks HTTP by hand, so that it can do to a connection what
//! no HTTP server would: close it, cut an answer off, or say something that is no HTTP.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::faulty::ask;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireFault {
    /// DynamoDB answers it.
    None,
    /// The connection is closed without an answer.
    Closed,
    /// The connection is reset.
    Reset,
    /// The answer ends within its head.
    CutInHead,
    /// The answer ends within its body.
    CutInBody,
    /// There is never an answer.
    Silent,
    /// The answer is no HTTP.
    NoHttp,
    /// DynamoDB's error with this status, code and message.
    Error(u16, &'static str, &'static str),
}

/// A running server. Dropping it ends its connections.
pub struct FaultyWire {
    pub endpoint_url: String,
    connections: Arc<AtomicU64>,
    _serving: JoinSet<()>,
}

impl FaultyWire {
    /// A server that does to each request what `plan` says for the number of its connection, and for its own
    /// number among all requests. Both count from 1.
    pub async fn start(target: &str, plan: impl Fn(u64, u64) -> WireFault + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint_url = format!("http://{}", listener.local_addr().unwrap());
        let (connections, target, plan) =
            (Arc::<AtomicU64>::default(), Arc::<str>::from(target), Arc::new(plan));
        let (counted, requests) = (Arc::clone(&connections), Arc::<AtomicU64>::default());
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let connection = counted.fetch_add(1, Ordering::Relaxed) + 1;
                let (target, plan, requests) =
                    (Arc::clone(&target), Arc::clone(&plan), Arc::clone(&requests));
                open.spawn(async move {
                    let plan = || plan(connection, requests.fetch_add(1, Ordering::Relaxed) + 1);
                    // A connection that its client ended is none of this server's faults.
                    let _ = serve(stream, &target, plan).await;
                });
            }
        });
        Self { endpoint_url, connections, _serving: serving }
    }

    /// How many connections were made to it so far.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }
}

/// Answers one request after another, until one meets a fault that ends the connection.
async fn serve(stream: TcpStream, target: &str, plan: impl Fn() -> WireFault) -> io::Result<()> {
    let http = Client::builder(TokioExecutor::new()).build_http::<Body>();
    let mut stream = BufReader::new(stream);
    while let Some((headers, body)) = read_request(&mut stream).await? {
        let fault = plan();
        let answer = match fault {
            WireFault::Closed => return Ok(()),
            WireFault::Reset => return stream.get_ref().set_zero_linger(),
            WireFault::Silent => std::future::pending().await,
            WireFault::NoHttp => {
                stream.write_all(b"220 mail.example.com ESMTP\r\n").await?;
                return Ok(());
            }
            WireFault::Error(status, code, message) => {
                let body = format!(
                    r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"{message}"}}"#
                );
                respond(status, &body)
            }
            WireFault::None | WireFault::CutInHead | WireFault::CutInBody => {
                forwarded(&http, target, &headers, body).await
            }
        };
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head has an end");
        let sent = match fault {
            WireFault::CutInHead => end / 2,
            WireFault::CutInBody => end + 4 + (answer.len() - end - 4) / 2,
            _ => answer.len(),
        };
        stream.write_all(&answer[..sent]).await?;
        if sent < answer.len() {
            return Ok(());
        }
    }
    Ok(())
}

/// The next request's headers and body; `None` where there is none.
async fn read_request(stream: &mut BufReader<TcpStream>) -> io::Result<Option<(HeaderMap, Vec<u8>)>> {
    let mut headers = HeaderMap::new();
    let mut line = String::new();
    while stream.read_line(&mut line).await? > 2 {
        if let Some((name, value)) = line.trim_end().split_once(": ") {
            let name: HeaderName = name.parse().unwrap();
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
        line.clear();
    }
    if headers.is_empty() {
        return Ok(None);
    }
    let length = headers["content-length"].to_str().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(Some((headers, body)))
}

async fn forwarded(
    http: &Client<HttpConnector, Body>,
    target: &str,
    headers: &HeaderMap,
    body: Vec<u8>,
) -> Vec<u8> {
    let (status, json) = ask(http, target, headers, body.into()).await;
    respond(status.as_u16(), &json.to_string())
}

/// An answer as bytes.
fn respond(status: u16, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status} made up\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
