//! Makes clients and stores from the AWS environment, which is read as every AWS tool reads it.

use anyhow::{Context as _, anyhow};
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{Builder, ProvideCredentials as _};
use aws_smithy_http_client::tls;
use delivery_center::connections::renewed_after_failure;
use delivery_center::retries::with_patience;
use delivery_center::store::{Store, StoreError, TableNames, Unavailability};
use url::Url;

use super::exit_status::unusable;
use crate::retries;
use crate::write::Writer;

/// The variable that says how many writes a transaction may hold, for an emulator that takes fewer than
/// DynamoDB.
const TRANSACTION_WRITES: &str = "DYNAMODB_TRANSACTION_WRITES";

/// The variables that name an endpoint, and the error where one is not a URL. The SDK would accept an empty
/// text, and panic.
const ENDPOINT_VARIABLES: [(&str, &str); 2] = [
    (
        "AWS_ENDPOINT_URL_DYNAMODB",
        "AWS_ENDPOINT_URL_DYNAMODB is no URL: give one such as http://127.0.0.1:8000, or unset it",
    ),
    ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL is no URL: give one such as http://127.0.0.1:8000, or unset it"),
];

/// Reads region, credentials and endpoint. What is missing is reported here, in one plain sentence: the error
/// of a request that lacks it would be a long chain of causes.
pub(super) async fn config() -> anyhow::Result<SdkConfig> {
    for (variable, no_url) in ENDPOINT_VARIABLES {
        if std::env::var(variable).is_ok_and(|endpoint_url| !is_endpoint_url(&endpoint_url)) {
            return Err(unusable(no_url));
        }
    }
    let http_client = renewed_after_failure(|| {
        aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
            .build_https()
    });
    let config = aws_config::defaults(BehaviorVersion::latest()).http_client(http_client).load().await;
    if config.region().is_none() {
        return Err(anyhow!("no AWS region"))
            .context("set AWS_REGION, or choose a profile that has one with AWS_PROFILE");
    }
    if let Some(credentials) = config.credentials_provider() {
        credentials.provide_credentials().await.context(
            "there are no AWS credentials that can be used: sign in, for instance with `aws sso login`, or choose a \
             profile with AWS_PROFILE",
        )?;
    }
    Ok(config)
}

fn is_endpoint_url(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// A client for the DynamoDB that the environment names. It gives up early.
pub(super) async fn hasty_client() -> anyhow::Result<Client> {
    Ok(hasty(&config().await?))
}

/// A client that gives up early, from a configuration that was read before.
pub(super) fn hasty(config: &SdkConfig) -> Client {
    Client::from_conf(retries::hasty(Builder::from(config)).build())
}

/// The tables that the environment names.
///
/// If nothing answers there, this is an error within seconds. Anything else that is wrong shows when the
/// tables are used, with more attempts.
pub(super) async fn writer() -> anyhow::Result<Writer> {
    let config = config().await?;
    if let Err(error) = writer_of(hasty(&config))?.reach().await
        && let StoreError::Unavailable {
            reason: Unavailability::Unreached | Unavailability::NotInTime, ..
        } = error
    {
        return Err(error.into());
    }
    writer_of(Client::from_conf(retries::patient(Builder::from(&config)).build()))
}

/// The tables that the environment names, with the attempts and timeouts of the functions, since somebody
/// waits for the answer.
pub(super) async fn answering_store() -> anyhow::Result<Store> {
    Ok(answering(&config().await?).store().clone())
}

/// As [`answering_store`], from a configuration that was read before.
pub(super) fn answering(config: &SdkConfig) -> Writer {
    let client = Client::from_conf(with_patience(Builder::from(config)).build());
    Writer::new(client, TableNames::from_environment())
}

/// The tables that the environment names, reached by a client.
pub(super) fn writer_of(client: Client) -> anyhow::Result<Writer> {
    let writer = Writer::new(client, TableNames::from_environment());
    let Ok(limit) = std::env::var(TRANSACTION_WRITES) else { return Ok(writer) };
    let limit = limit.parse().map_err(|_| unusable(format!("{TRANSACTION_WRITES} is not a number")))?;
    Ok(writer.with_writes_per_transaction(limit))
}
