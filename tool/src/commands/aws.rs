//! The AWS environment, read as every AWS tool reads it.

use anyhow::{Context as _, anyhow};
use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_dynamodb::Client;
use delivery_center::store::{Store, TableNames};

/// Attempts at one call, the first included: who fills the tables has time.
const MAX_ATTEMPTS: u32 = 8;

/// Region, credentials and endpoint.
pub(super) async fn config() -> anyhow::Result<SdkConfig> {
    let retries = RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS);
    let config = aws_config::defaults(BehaviorVersion::latest()).retry_config(retries).load().await;
    if config.region().is_none() {
        return Err(anyhow!("no AWS region"))
            .context("set AWS_REGION, or choose a profile that has one with AWS_PROFILE");
    }
    Ok(config)
}

/// A client of that DynamoDB.
pub(super) async fn client() -> anyhow::Result<Client> {
    Ok(Client::new(&config().await?))
}

/// The tables that the environment names.
pub(super) async fn store() -> anyhow::Result<Store> {
    Ok(Store::new(client().await?, TableNames::from_environment()))
}
