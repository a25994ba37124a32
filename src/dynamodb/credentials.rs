//! Who asks DynamoDB.

use std::fmt;
#[cfg(feature = "cli")]
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::identity::Identity;

/// Credentials are asked for anew when they expire within that time.
#[cfg(feature = "cli")]
const RENEWED_BEFORE: Duration = Duration::from_mins(5);

/// Where credentials come from.
pub enum CredentialsSource {
    /// They are known, and stay as they are: Lambda gives a function its role's in the environment.
    Fixed(Identity),
    /// There are none, for this reason.
    None(String),
    /// A provider of the SDK's, such as a profile's or a container's, and what it gave last.
    #[cfg(feature = "cli")]
    Provider {
        /// The provider.
        provider: aws_credential_types::provider::SharedCredentialsProvider,
        /// What it gave last.
        last: tokio::sync::Mutex<Option<Credentials>>,
    },
}

impl CredentialsSource {
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, where there is one, `AWS_SESSION_TOKEN`.
    #[must_use]
    pub fn from_environment() -> Self {
        let variable = |name: &str| {
            let value = std::env::var(name).ok().filter(|value| !value.is_empty());
            value.ok_or_else(|| format!("no credentials: {name} is not set"))
        };
        match (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY")) {
            (Ok(id), Ok(secret)) => Self::fixed(Credentials::new(
                id,
                secret,
                variable("AWS_SESSION_TOKEN").ok(),
                None,
                "environment",
            )),
            (Err(missing), _) | (_, Err(missing)) => Self::None(missing),
        }
    }

    /// Credentials that are known.
    #[must_use]
    pub fn fixed(credentials: Credentials) -> Self {
        Self::Fixed(credentials.into())
    }

    /// A provider of the SDK's.
    #[cfg(feature = "cli")]
    #[must_use]
    pub fn provider(provider: aws_credential_types::provider::SharedCredentialsProvider) -> Self {
        Self::Provider { provider, last: tokio::sync::Mutex::default() }
    }

    /// The credentials for a request that is made now, or why there are none.
    #[cfg_attr(
        not(feature = "cli"),
        expect(clippy::unused_async, reason = "a provider has to be waited for")
    )]
    pub(super) async fn identity(&self) -> Result<Identity, String> {
        match self {
            Self::Fixed(identity) => Ok(identity.clone()),
            Self::None(reason) => Err(reason.clone()),
            #[cfg(feature = "cli")]
            Self::Provider { provider, last } => {
                use aws_credential_types::provider::ProvideCredentials as _;

                let mut last = last.lock().await;
                let latest = SystemTime::now() + RENEWED_BEFORE;
                let is_good = |known: &Credentials| known.expiry().is_none_or(|expiry| expiry > latest);
                if let Some(known) = last.as_ref().filter(|known| is_good(known)) {
                    return Ok(known.clone().into());
                }
                let provided = provider.provide_credentials().await;
                let provided = provided.map_err(|error| {
                    let cause =
                        std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                    format!("no credentials: {error}: {cause}")
                })?;
                Ok(last.insert(provided).clone().into())
            }
        }
    }
}

impl fmt::Debug for CredentialsSource {
    /// No secret is shown, not even redacted.
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("CredentialsSource")
    }
}
