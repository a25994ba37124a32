//! The Lambda process: logging, the DynamoDB client, and the loop that takes one event after another.

use std::convert::Infallible;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Region, StalledStreamProtectionConfig};
use aws_smithy_http_client::tls;
use lambda_runtime::tower::layer::layer_fn;
use lambda_runtime::{LambdaEvent, LambdaInvocation, Runtime, service_fn};
use lambda_runtime_api_client::PooledClient;
use serde::de::IgnoredAny;

use crate::event::Event;
use crate::invocation::{self, Endpoint, Invocation};
use crate::store::{Store, TableNames};

/// Amazon Trust Services' published roots, to which every AWS endpoint chains: five to read at a start instead of 140.
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon_roots.pem");

/// Attempts at one call, the first included; the waits between them are jittered and at most a second.
const MAX_ATTEMPTS: u32 = 3;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// All attempts at one call: well inside the function's 15 seconds.
const CALL_TIMEOUT: Duration = Duration::from_secs(8);

/// For the connection that is opened during init, of which a caller may be waiting for the end.
const INIT_TIMEOUT: Duration = Duration::from_millis(1500);

/// What a warm function keeps of the documents that it has read, where `DOCUMENT_CACHE_BYTES` says nothing else.
const DOCUMENT_CACHE_BYTES: usize = 32 << 20;

/// The header by which Lambda tells a late response from a current one; it is sent back as it came.
const INVOCATION_ID: &str = "lambda-runtime-invocation-id";

/// What the process needs and does not find.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The file that `SSL_CERT_FILE` names cannot be read.
    #[error("SSL_CERT_FILE names {path:?}, which cannot be read")]
    CertificateFile {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The trust store is not usable.
    #[error("the trust store cannot be used: {0}")]
    TrustStore(String),
}

/// Runs an endpoint's function until Lambda ends the process.
///
/// # Errors
/// [`StartError`], and the loss of Lambda's Runtime API.
pub async fn run(endpoint: Endpoint) -> Result<(), lambda_runtime::Error> {
    start_logging();
    let store =
        Store::new(client()?, TableNames::from_environment()).with_document_cache(document_cache_bytes());
    // Lambda gives the init phase a full core: what opens here is not waited for by the first caller.
    match tokio::time::timeout(INIT_TIMEOUT, store.connect(endpoint)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            tracing::warn!(%error, cause, "DynamoDB did not answer during init");
        }
        Err(_) => tracing::warn!(
            "DynamoDB took too long during init; the first request will open its own connection"
        ),
    }
    let api = PooledClient::builder().build();
    let (store, api) = (&store, &api);
    let deliver = |invocation| deliver(endpoint, store, api, invocation);
    // The runtime polls for events and reads what surrounds them. Its own way of a response, from a handler through
    // serde_json, would check and copy every one once more, megabytes that are JSON already: the layer replaces it.
    let unused = service_fn(async |_: LambdaEvent<IgnoredAny>| Ok::<_, Infallible>(()));
    Runtime::new(unused).layer(layer_fn(|_| service_fn(deliver))).run().await
}

/// Answers one event, and hands the response to Lambda as it is.
async fn deliver(
    endpoint: Endpoint,
    store: &Store,
    api: &PooledClient,
    LambdaInvocation { parts, body, context }: LambdaInvocation,
) -> Result<(), lambda_runtime::Error> {
    let mut request = lambda_runtime_api_client::build_request()
        .method("POST")
        .uri(format!("/2018-06-01/runtime/invocation/{}/response", context.request_id));
    if let Some(invocation_id) = parts.headers.get(INVOCATION_ID) {
        request = request.header(INVOCATION_ID, invocation_id);
    }
    let invocation = Invocation {
        deadline: (context.deadline > 0).then(|| context.deadline()),
        request_id: context.request_id,
    };
    let json = invocation::answer(endpoint, store, Event::from_json(&body), &invocation).await;
    let taken = api.call(request.body(json.into())?).await?;
    if !taken.status().is_success() {
        tracing::error!(request_id = invocation.request_id, status = %taken.status(), "Lambda refused the response");
    }
    Ok(())
}

/// Logs JSON lines at the level that `RUST_LOG` says (`info` by default, or `target=level,…`).
pub fn start_logging() {
    use tracing_subscriber::filter::{LevelFilter, Targets};
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::util::SubscriberInitExt as _;

    let wanted = std::env::var("RUST_LOG").ok().filter(|wanted| !wanted.is_empty());
    let parsed = wanted.as_deref().map(str::parse::<Targets>);
    let default = || Targets::new().with_default(LevelFilter::INFO);
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false);
    let filter = match &parsed {
        Some(Ok(targets)) => targets.clone(),
        Some(Err(_)) | None => default(),
    };
    let started = tracing_subscriber::registry().with(filter).with(lines).try_init();
    if let (Some(Err(error)), Ok(())) = (parsed, started) {
        tracing::warn!(%error, "RUST_LOG cannot be read; logging at info");
    }
}

/// The lean client: Lambda gives credentials and region in the environment, so no other source is looked at.
fn client() -> Result<Client, StartError> {
    let mut config = with_patience(aws_sdk_dynamodb::Config::builder())
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(EnvironmentVariableCredentialsProvider::new())
        .http_client(http_client()?);
    config
        .set_region(variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")).map(Region::new))
        .set_endpoint_url(variable("AWS_ENDPOINT_URL_DYNAMODB").or_else(|| variable("AWS_ENDPOINT_URL")))
        .set_use_fips(flag("AWS_USE_FIPS_ENDPOINT"))
        .set_use_dual_stack(flag("AWS_USE_DUALSTACK_ENDPOINT"));
    Ok(Client::from_conf(config.build()))
}

/// Gives a client's configuration a function's attempts and timeouts: who answers a caller has no longer.
#[must_use]
pub fn with_patience(config: Builder) -> Builder {
    let retries =
        RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS).with_max_backoff(Duration::from_secs(1));
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(CALL_TIMEOUT)
        .build();
    config
        .retry_config(retries)
        .timeout_config(timeouts)
        // A call that stalls ends with its attempt's timeout.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
}

fn http_client() -> Result<aws_sdk_dynamodb::config::SharedHttpClient, StartError> {
    let roots = match variable("SSL_CERT_FILE") {
        None => AMAZON_ROOTS.to_vec(),
        Some(path) => std::fs::read(&path).map_err(|source| StartError::CertificateFile { path, source })?,
    };
    let trust_store = tls::TrustStore::empty().with_pem_certificate(roots);
    let context = tls::TlsContext::builder().with_trust_store(trust_store).build();
    let context = context.map_err(|error| StartError::TrustStore(error.to_string()))?;
    Ok(aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .tls_context(context)
        .build_https())
}

fn document_cache_bytes() -> usize {
    let Some(wanted) = variable("DOCUMENT_CACHE_BYTES") else { return DOCUMENT_CACHE_BYTES };
    wanted.parse().unwrap_or_else(|error| {
        tracing::warn!(%error, "DOCUMENT_CACHE_BYTES cannot be read; keeping {DOCUMENT_CACHE_BYTES} bytes");
        DOCUMENT_CACHE_BYTES
    })
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn flag(name: &str) -> Option<bool> {
    variable(name).map(|value| value.eq_ignore_ascii_case("true"))
}
