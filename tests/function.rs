//! A Lambda Runtime API on loopback, and a real binary that polls it.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use delivery_center::endpoint::Endpoint;
use tempfile::NamedTempFile;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, mpsc};

/// How long a function may take to answer in a test, starting included.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running function: one of the binaries, and a Runtime API that sends it events and takes its answers.
pub(crate) struct Function {
    process: Child,
    /// A file and not a pipe, since nobody reads while the function writes.
    log: NamedTempFile,
    events: mpsc::UnboundedSender<Vec<u8>>,
    answers: mpsc::UnboundedReceiver<FunctionAnswer>,
    /// Where the Runtime API runs. When this ends, so do its connections.
    api: Option<Runtime>,
}

/// What a function posted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FunctionAnswer {
    /// To `/response`.
    Response(String),
    /// To `/error` or `/init/error`; API Gateway would make a bare 502 of it.
    Failure(String),
}

struct Api {
    events: Mutex<mpsc::UnboundedReceiver<Vec<u8>>>,
    answers: mpsc::UnboundedSender<FunctionAnswer>,
    time: Duration,
}

impl Function {
    /// Starts the endpoint's binary with these environment variables and those that Lambda sets.
    pub(crate) async fn start(endpoint: Endpoint, environment: &[(&str, String)]) -> Self {
        Self::start_with_time(endpoint, environment, Duration::from_secs(15)).await
    }

    /// Does the same, with another time that an invocation may take.
    pub(crate) async fn start_with_time(
        endpoint: Endpoint,
        environment: &[(&str, String)],
        time: Duration,
    ) -> Self {
        let binary = match endpoint {
            Endpoint::ListReleases => env!("CARGO_BIN_EXE_list-releases"),
            Endpoint::GetArtifact => env!("CARGO_BIN_EXE_get-artifact"),
        };
        let (events, events_to_take) = mpsc::unbounded_channel();
        let (answers_to_give, answers) = mpsc::unbounded_channel();
        let api = Arc::new(Api { events: Mutex::new(events_to_take), answers: answers_to_give, time });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = listener.into_std().unwrap();
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router(api)).await.unwrap();
        });
        let log = NamedTempFile::new().unwrap();
        let process = Command::new(binary)
            .env_clear()
            .env("RUST_LOG", "debug")
            .envs(environment.iter().map(|(name, value)| (*name, value.as_str())))
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", endpoint.name())
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .stdout(Stdio::from(log.reopen().unwrap()))
            .stderr(Stdio::from(log.as_file().try_clone().unwrap()))
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { process, log, events, answers, api: Some(runtime) }
    }

    /// Sends an event and waits for what the function posts.
    pub(crate) async fn invoke(&mut self, event: impl Into<Vec<u8>>) -> FunctionAnswer {
        self.events.send(event.into()).unwrap();
        tokio::time::timeout(PATIENCE, self.answers.recv())
            .await
            .unwrap_or_else(|_| {
                panic!("no answer in time; the log: {}", std::fs::read_to_string(self.log.path()).unwrap())
            })
            .unwrap()
    }

    /// Sends an event and expects a response.
    pub(crate) async fn respond(&mut self, event: impl Into<Vec<u8>>) -> crate::support::Answer {
        match self.invoke(event).await {
            FunctionAnswer::Response(json) => crate::support::Answer::from_lambda_json(&json),
            FunctionAnswer::Failure(failure) => panic!("a bare Lambda failure: {failure}"),
        }
    }

    /// Ends the Runtime API, as `sam local` does behind an answer, and returns whether the function then ended well,
    /// and what it logged.
    pub(crate) async fn lose_its_api(mut self) -> (bool, String) {
        self.api.take().expect("it runs").shutdown_background();
        let ended = tokio::time::timeout(PATIENCE, self.process.wait()).await.expect("it ends").unwrap();
        (ended.success(), std::fs::read_to_string(self.log.path()).unwrap())
    }

    /// Ends the process and returns what it logged.
    pub(crate) async fn end(mut self) -> String {
        assert_eq!(self.process.try_wait().unwrap(), None, "the function ended by itself");
        self.process.start_kill().unwrap();
        self.process.wait().await.unwrap();
        std::fs::read_to_string(self.log.path()).unwrap()
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        if let Some(api) = self.api.take() {
            // A test cannot wait for it.
            api.shutdown_background();
        }
    }
}

fn router(api: Arc<Api>) -> Router {
    Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(respond))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(fail))
        .route("/2018-06-01/runtime/init/error", post(fail))
        .layer(DefaultBodyLimit::disable())
        .with_state(api)
}

async fn next(State(api): State<Arc<Api>>) -> Response {
    let Some(event) = api.events.lock().await.recv().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let deadline = std::time::SystemTime::now() + api.time;
    let milliseconds = deadline.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let mut headers = HeaderMap::new();
    headers.insert("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd".parse().unwrap());
    headers.insert("lambda-runtime-deadline-ms", milliseconds.to_string().parse().unwrap());
    headers.insert(
        "lambda-runtime-invoked-function-arn",
        "arn:aws:lambda:us-east-1:123456789012:function:f".parse().unwrap(),
    );
    (headers, event).into_response()
}

async fn respond(State(api): State<Arc<Api>>, Path(_): Path<String>, body: String) -> StatusCode {
    api.answers.send(FunctionAnswer::Response(body)).unwrap();
    StatusCode::ACCEPTED
}

async fn fail(State(api): State<Arc<Api>>, body: Bytes) -> StatusCode {
    api.answers.send(FunctionAnswer::Failure(String::from_utf8_lossy(&body).into_owned())).unwrap();
    StatusCode::ACCEPTED
}
