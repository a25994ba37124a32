//! The Lambda process: logging, the DynamoDB client, and the runtime that takes one event after another.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{Builder, SharedHttpClient};
use aws_smithy_http_client::tls;
use lambda_http::lambda_runtime;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::connections::renewed_after_failure;
use crate::endpoint::Endpoint;
use crate::image_reference::ImageReference;
use crate::lambda::{event, request_log};
use crate::retries::with_patience;
use crate::service::EndpointService;
use crate::store::{ReleaseSearch, Store, TableNames, Usage};

/// The five published roots of Amazon Trust Services, on which the certificates of all AWS endpoints rest.
/// Reading these at a start costs less than reading the 140 roots of an operating system.
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon_roots.pem");

/// How long opening the connection may take during init. A caller may be waiting for the end of init.
const INIT_TIMEOUT: Duration = Duration::from_millis(1500);

/// How many bytes of documents a warm function keeps, unless `DOCUMENT_CACHE_BYTES` says otherwise.
const DOCUMENT_CACHE_BYTES: usize = 32 << 20;

/// Why the process ends.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// This is not Lambda.
    #[error(
        "AWS_LAMBDA_RUNTIME_API is not set: Lambda or its emulator starts this program. \
         To answer one event on this machine there is `delivery-center invoke`, to serve HTTP `delivery-center serve`"
    )]
    NotLambda,
    /// The file that `SSL_CERT_FILE` names cannot be read, or holds no certificates that can be.
    #[error("SSL_CERT_FILE names {path:?}, which holds no usable certificates: {reason}")]
    Certificates { path: String, reason: String },
    /// The TLS library does not accept the roots.
    #[error("the trusted roots cannot be used: {0}")]
    TrustStore(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Lambda's Runtime API no longer answers.
    #[error("Lambda's Runtime API does not answer: {0}")]
    Runtime(#[source] lambda_runtime::Error),
}

/// Runs an endpoint's function until Lambda ends the process, and says why where it ends by itself.
pub async fn main(endpoint: Endpoint) -> ExitCode {
    start_logging();
    log_panics();
    match run(endpoint).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!(error = %failure, "the function ends");
            ExitCode::FAILURE
        }
    }
}

async fn run(endpoint: Endpoint) -> Result<(), Failure> {
    if variable("AWS_LAMBDA_RUNTIME_API").is_none() {
        return Err(Failure::NotLambda);
    }
    let store = Store::new(client().await?, TableNames::from_environment())
        .with_document_cache(document_cache_bytes());
    open_connection(endpoint, &store).await;
    let service = EndpointService::new(endpoint, store).with_log(request_log::write);
    let was_asked = AtomicBool::new(false);
    let answer = lambda_http::service_fn(|event| {
        was_asked.store(true, Ordering::Relaxed);
        event::answer(&service, event)
    });
    // `lambda_runtime::run` would do the same, with a tracing span around each event that none of our log
    // lines needs.
    let ended = lambda_runtime::Runtime::new(answer).run().await;
    // Who had an event for it may have no more, and go away: `sam local` stops its container.
    if was_asked.load(Ordering::Relaxed) { Ok(()) } else { ended.map_err(Failure::Runtime) }
}

/// Opens the connection to DynamoDB, with the cheapest request that the endpoint's function is allowed.
///
/// Lambda gives the init phase a full core, and the first caller need not wait for a connection that is open
/// already. A failure is only logged: the first request meets it again, and answers it.
async fn open_connection(endpoint: Endpoint, store: &Store) {
    let usage = Usage::default();
    let ask = async {
        match endpoint {
            Endpoint::ListReleases => store
                .release_listing(&ReleaseSearch::of_nothing(), None)
                .next_page(Some(1), &usage)
                .await
                .map(drop),
            Endpoint::GetArtifact => {
                let nothing = ImageReference::Pushed("-".to_owned());
                store.newest_artifact(&nothing, &usage).await.map(drop)
            }
        }
    };
    match tokio::time::timeout(INIT_TIMEOUT, ask).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            tracing::warn!(%error, cause, "DynamoDB did not answer during init");
        }
        Err(_) => tracing::warn!(
            "DynamoDB took too long during init; the first request will open its own connection"
        ),
    }
}

/// Makes of each panic one line of the log, with its place, also where it is caught. Rust would print lines of
/// plain text.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(error = panic.payload_as_str(), place, "panic");
    }));
}

/// Logs JSON lines at the level that `RUST_LOG` says (`info` by default, or `target=level,…`).
pub fn start_logging() {
    use tracing_subscriber::filter::{LevelFilter, Targets};
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::util::SubscriberInitExt as _;

    let parsed = variable("RUST_LOG").map(|wanted| wanted.parse::<Targets>());
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false);
    let filter = match &parsed {
        Some(Ok(targets)) => targets.clone(),
        Some(Err(_)) | None => Targets::new().with_default(LevelFilter::INFO),
    };
    let started = tracing_subscriber::registry().with(filter).with(lines).try_init();
    if let (Some(Err(error)), Ok(())) = (parsed, started) {
        tracing::warn!(%error, "RUST_LOG cannot be read; logging at info");
    }
}

/// The function's DynamoDB client.
///
/// Lambda gives credentials and region in environment variables. Naming the two providers that read them
/// leaves out the default chain with its profile files, STS and metadata clients, which took 0.9 of the 2.3
/// million instructions of a start.
async fn client() -> Result<Client, Failure> {
    let environment = aws_config::defaults(BehaviorVersion::latest())
        .region(EnvironmentVariableRegionProvider::new())
        .credentials_provider(EnvironmentVariableCredentialsProvider::new())
        .http_client(http_client()?)
        .load()
        .await;
    Ok(Client::from_conf(with_patience(Builder::from(&environment)).build()))
}

/// An HTTP client whose TLS trusts the five roots or those of `SSL_CERT_FILE`. It uses ring, since aws-lc,
/// the default, costs 55 ms of CPU at the first handshake.
fn http_client() -> Result<SharedHttpClient, Failure> {
    let roots = match variable("SSL_CERT_FILE") {
        None => AMAZON_ROOTS.to_vec(),
        Some(path) => certificates_of(path)?,
    };
    let trust_store = tls::TrustStore::empty().with_pem_certificate(roots);
    let context = tls::TlsContext::builder().with_trust_store(trust_store).build();
    let context = context.map_err(|error| Failure::TrustStore(error.into()))?;
    Ok(renewed_after_failure(move || {
        aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
            .tls_context(context.clone())
            .build_https()
    }))
}

/// Reads a PEM file and checks that it holds certificates, since the TLS library would panic on one that does
/// not.
fn certificates_of(path: String) -> Result<Vec<u8>, Failure> {
    let read = || {
        let pem = std::fs::read(&path).map_err(|error| error.to_string())?;
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        if certificates.map_err(|error| error.to_string())?.is_empty() {
            return Err("there is none in PEM".to_owned());
        }
        Ok(pem)
    };
    read().map_err(|reason| Failure::Certificates { path, reason })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_five_roots_are_certificates() {
        assert_eq!(CertificateDer::pem_slice_iter(AMAZON_ROOTS).flatten().count(), 5);
        assert!(http_client().is_ok());
    }
}
