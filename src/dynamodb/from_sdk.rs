//! DynamoDB as the AWS environment, a profile or a container's role names it, for the tool.

use std::sync::Arc;

use aws_config::SdkConfig;
use aws_types::service_config::ServiceConfigKey;
use tokio_rustls::rustls::{self, ClientConfig};

use super::{CredentialsSource, DynamoDb, Limits, Variant, url};
use crate::connections::NoHost;

/// Why the environment does not name a DynamoDB.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// There is no region.
    #[error("no AWS region: set AWS_REGION, or choose a profile that has one with AWS_PROFILE")]
    NoRegion,
    /// The endpoint URL names no host.
    #[error("the endpoint URL of DynamoDB cannot be used")]
    Endpoint(#[from] NoHost),
    /// This machine's trust store cannot be used.
    #[error("this machine's trusted certificates cannot be used")]
    TrustStore(#[from] rustls::Error),
}

impl DynamoDb {
    /// DynamoDB as the SDK's configuration names it, through a proxy where the SDK's own client goes through one.
    ///
    /// # Errors
    /// [`EnvironmentError`].
    pub fn from_sdk(config: &SdkConfig, limits: Limits) -> Result<Self, EnvironmentError> {
        let region = config.region().ok_or(EnvironmentError::NoRegion)?.to_string();
        let variant = Variant {
            fips: config.use_fips().unwrap_or_default(),
            dual_stack: config.use_dual_stack().unwrap_or_default(),
        };
        let endpoint = endpoint_url(config).unwrap_or_else(|| url(&region, variant));
        let credentials = match config.credentials_provider() {
            Some(provider) => CredentialsSource::provider(provider),
            None => CredentialsSource::None("no credentials: the AWS environment names none".to_owned()),
        };
        Ok(Self::at(&endpoint, Some(region), credentials, tls, limits)?.through_environments_proxy())
    }
}

/// `AWS_ENDPOINT_URL_DYNAMODB`, `AWS_ENDPOINT_URL`, or what the profile has in their place.
fn endpoint_url(config: &SdkConfig) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id("DynamoDB")
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .expect("all of it is given");
    let of_the_service = config.service_config().and_then(|settings| settings.load_config(key));
    of_the_service.or_else(|| config.endpoint_url().map(str::to_owned))
}

fn tls() -> Result<Arc<ClientConfig>, EnvironmentError> {
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(Arc::clone(&ring)).with_safe_default_protocol_versions()?;
    let verifier = rustls_platform_verifier::Verifier::new(ring)?;
    Ok(Arc::new(
        builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth(),
    ))
}
