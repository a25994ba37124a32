//! A proxy between the browser and the page's server: it notes every request, and answers some in the server's
//! place.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::PATIENCE;

/// What the proxy does with a request.
pub(super) enum Way {
    /// Passes it on.
    On,
    /// Answers it with that status, content type and body.
    Answer(u16, &'static str, &'static str),
    /// Passes it on when there is a permit for it, which it uses up.
    OnWith(Arc<Semaphore>),
}

/// A request that came, and the status with which it was answered.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// The path and the query.
    pub(super) target: String,
    pub(super) has_if_none_match: bool,
    pub(super) status: u16,
    /// The bytes of the answer's body, as they were sent.
    pub(super) bytes: usize,
}

type Plan = dyn Fn(&str, usize) -> Way + Send + Sync;

struct Shared {
    server: String,
    plan: Box<Plan>,
    came: Mutex<Vec<String>>,
    seen: Mutex<Vec<Seen>>,
    http: Client<HttpConnector, Body>,
}

/// A running proxy.
pub(super) struct Proxy {
    pub(super) address: String,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

impl Proxy {
    /// A proxy that does to a request what `plan` says for its path and query, and for how many came for the
    /// same before it.
    pub(super) async fn start(
        server: &str,
        plan: impl Fn(&str, usize) -> Way + Send + Sync + 'static,
    ) -> Self {
        let shared = Arc::new(Shared {
            server: server.to_owned(),
            plan: Box::new(plan),
            came: Mutex::default(),
            seen: Mutex::default(),
            http: Client::builder(TokioExecutor::new()).build_http(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let router = Router::new().fallback(pass).with_state(Arc::clone(&shared));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, shared, serving }
    }

    /// The requests to the API that were answered so far.
    pub(super) fn asked(&self) -> Vec<Seen> {
        let seen = self.shared.seen.lock().unwrap();
        seen.iter().filter(|seen| seen.target.starts_with("/api/")).cloned().collect()
    }

    /// Waits until requests to the API were answered of which something holds.
    pub(super) async fn until(&self, holds: impl Fn(&[Seen]) -> bool) {
        let started = std::time::Instant::now();
        while !holds(&self.asked()) {
            assert!(started.elapsed() < PATIENCE, "{:?}", self.asked());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Forgets the requests so far.
    pub(super) fn forget(&self) {
        self.shared.seen.lock().unwrap().clear();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let target = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    let has_if_none_match = request.headers().contains_key("if-none-match");
    let earlier = {
        let mut came = shared.came.lock().unwrap();
        came.push(target.clone());
        came.iter().filter(|came| **came == target).count() - 1
    };
    let answer = match (shared.plan)(&target, earlier) {
        Way::On => forward(&shared, request).await,
        Way::Answer(status, content_type, body) => Response::builder()
            .status(status)
            .header("content-type", content_type)
            .body(Body::from(body))
            .unwrap(),
        Way::OnWith(permits) => {
            permits.acquire().await.unwrap().forget();
            forward(&shared, request).await
        }
    };
    let (head, body) = answer.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let status = head.status.as_u16();
    shared.seen.lock().unwrap().push(Seen { target, has_if_none_match, status, bytes: body.len() });
    Response::from_parts(head, Body::from(body))
}

/// The server reads its own address as the `Host`.
async fn forward(shared: &Shared, request: Request) -> Response {
    let (mut head, body) = request.into_parts();
    head.headers.remove("host");
    let target = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    head.uri = format!("http://{}{target}", shared.server).parse().unwrap();
    let answer = shared.http.request(Request::from_parts(head, body)).await.unwrap();
    answer.map(Body::new)
}
