//! The Lambda process: logging, the DynamoDB client, and the loop that takes one event after another.

use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use crate::connections::NoHost;
use crate::dynamodb::{CredentialsSource, DynamoDb, Limits, Variant, url};
use crate::event::Event;
use crate::invocation::{self, Endpoint, Invocation};
use crate::runtime_api::{RuntimeApi, RuntimeApiError};
use crate::store::{Store, TableNames};

/// Amazon Trust Services' published roots, to which every AWS endpoint chains: five to read at a start instead of 140.
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon_roots.pem");

/// For the connection that is opened during init, of which a caller may be waiting for the end.
const INIT_TIMEOUT: Duration = Duration::from_millis(1500);

/// What a warm function keeps of the documents that it has read, where `DOCUMENT_CACHE_BYTES` says nothing else.
const DOCUMENT_CACHE_BYTES: usize = 32 << 20;

/// Why the process ends.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// It cannot start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It has nobody to answer.
    #[error(transparent)]
    Lambda(#[from] RuntimeApiError),
}

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
    /// The file that `SSL_CERT_FILE` names holds no certificates, or something else beside them.
    #[error("SSL_CERT_FILE names {path:?}, which holds no usable certificates: {reason}")]
    Certificate {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// `AWS_ENDPOINT_URL_DYNAMODB` or `AWS_ENDPOINT_URL` names no host.
    #[error("AWS_ENDPOINT_URL_DYNAMODB or AWS_ENDPOINT_URL: {0}")]
    Endpoint(#[from] NoHost),
}

/// Runs an endpoint's function until Lambda ends the process, and says why where it ends by itself.
pub async fn main(endpoint: Endpoint) -> ExitCode {
    start_logging();
    match run(endpoint).await {
        Ok(never) => match never {},
        Err(failure) => {
            tracing::error!(error = describe(&failure), "the function ends");
            ExitCode::FAILURE
        }
    }
}

async fn run(endpoint: Endpoint) -> Result<Infallible, Failure> {
    let api = RuntimeApi::from_environment()?;
    let store = match dynamodb() {
        Ok(dynamodb) => Store::new(dynamodb, TableNames::from_environment()),
        Err(error) => {
            if let Err(lost) = api.fail_to_start(&describe(&error)).await {
                tracing::warn!(error = describe(&lost), "Lambda could not be told");
            }
            return Err(error.into());
        }
    };
    let store = store.with_document_cache(document_cache_bytes());
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
    loop {
        let invoked = api.next().await?;
        let event = Event::from_json(&invoked.event);
        let invocation = Invocation { request_id: invoked.request_id.clone(), deadline: invoked.deadline };
        let json = invocation::answer(endpoint, &store, event, &invocation).await;
        match api.respond(&invoked, json).await {
            Ok(()) => {}
            Err(RuntimeApiError::Refused { status, .. }) => {
                tracing::error!(request_id = invoked.request_id, %status, "Lambda refused the response");
            }
            Err(lost) => return Err(lost.into()),
        }
    }
}

/// An error and its causes in one line.
fn describe(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !words.contains(&said) {
            words = format!("{words}: {said}");
        }
        cause = error.source();
    }
    words
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

/// Lambda gives credentials and region in the environment, so no other source is looked at.
fn dynamodb() -> Result<DynamoDb, StartError> {
    let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
    let variant =
        Variant { fips: flag("AWS_USE_FIPS_ENDPOINT"), dual_stack: flag("AWS_USE_DUALSTACK_ENDPOINT") };
    let given = variable("AWS_ENDPOINT_URL_DYNAMODB").or_else(|| variable("AWS_ENDPOINT_URL"));
    // Without a region no request is made.
    let endpoint = given.unwrap_or_else(|| url(region.as_deref().unwrap_or("none"), variant));
    let credentials = CredentialsSource::from_environment();
    DynamoDb::at(&endpoint, region, credentials, tls, Limits::OF_A_FUNCTION)
}

/// TLS on ring, which needs no start-up of its own, with the five roots or those of `SSL_CERT_FILE`.
fn tls() -> Result<Arc<ClientConfig>, StartError> {
    let mut roots = RootCertStore::empty();
    match variable("SSL_CERT_FILE") {
        None => {
            for root in CertificateDer::pem_slice_iter(AMAZON_ROOTS) {
                let root = root.expect("the file is part of the program, and read in a test");
                roots.add(root).expect("the file is part of the program, and read in a test");
            }
        }
        Some(path) => {
            let pem = std::fs::read(&path)
                .map_err(|source| StartError::CertificateFile { path: path.clone(), source })?;
            let unusable = |reason: String| StartError::Certificate { path: path.clone(), reason };
            for root in CertificateDer::pem_slice_iter(&pem) {
                let root = root.map_err(|error| unusable(error.to_string()))?;
                roots.add(root).map_err(|error| unusable(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(unusable("there is none in PEM".to_owned()));
            }
        }
    }
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .expect("ring has the cipher suites of the default versions");
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
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

fn flag(name: &str) -> bool {
    variable(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_five_roots_are_certificates() {
        assert_eq!(CertificateDer::pem_slice_iter(AMAZON_ROOTS).flatten().count(), 5);
        assert!(tls().is_ok());
    }
}
