//! Who asks DynamoDB.

use std::fmt;
use std::sync::Arc;
#[cfg(feature = "cli")]
use std::time::{Duration, SystemTime};

/// Credentials are asked for anew when they expire within that time, and not again for a while.
#[cfg(feature = "cli")]
const RENEWED_BEFORE: Duration = Duration::from_mins(5);
#[cfg(feature = "cli")]
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(30);
/// What a provider may take: somebody may have to type a code.
#[cfg(feature = "cli")]
const PROVIDER_TIMEOUT: Duration = Duration::from_mins(2);

/// An identity's access key.
pub struct Credentials {
    /// Its public part.
    pub access_key_id: String,
    /// Its secret part.
    pub secret_access_key: String,
    /// What temporary credentials have beside it.
    pub session_token: Option<String>,
}

/// Where credentials come from.
#[derive(Debug)]
pub enum CredentialsSource {
    /// They are known, and stay as they are: Lambda gives a function its role's in the environment.
    Fixed(Arc<Credentials>),
    /// There are none, for this reason.
    None(String),
    /// A provider of the SDK's, such as a profile's or a container's.
    #[cfg(feature = "cli")]
    Provider(Provider),
}

/// A provider of the SDK's, and what it gave last.
#[cfg(feature = "cli")]
#[derive(Debug)]
pub struct Provider {
    provider: aws_credential_types::provider::SharedCredentialsProvider,
    last: tokio::sync::Mutex<Option<Provided>>,
}

/// What a provider gave, and when it was asked.
#[cfg(feature = "cli")]
#[derive(Debug, Clone)]
struct Provided {
    credentials: Arc<Credentials>,
    expiry: Option<SystemTime>,
    asked: SystemTime,
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
            (Ok(access_key_id), Ok(secret_access_key)) => {
                let session_token = variable("AWS_SESSION_TOKEN").ok();
                Self::Fixed(Arc::new(Credentials { access_key_id, secret_access_key, session_token }))
            }
            (Err(missing), _) | (_, Err(missing)) => Self::None(missing),
        }
    }

    /// A provider of the SDK's.
    #[cfg(feature = "cli")]
    #[must_use]
    pub fn provider(provider: aws_credential_types::provider::SharedCredentialsProvider) -> Self {
        Self::Provider(Provider { provider, last: tokio::sync::Mutex::default() })
    }

    /// The credentials for a request that is made now, or why there are none.
    #[cfg_attr(
        not(feature = "cli"),
        expect(clippy::unused_async, reason = "a provider has to be waited for")
    )]
    pub(super) async fn credentials(&self) -> Result<Arc<Credentials>, String> {
        match self {
            Self::Fixed(credentials) => Ok(Arc::clone(credentials)),
            Self::None(reason) => Err(reason.clone()),
            #[cfg(feature = "cli")]
            Self::Provider(provider) => provider.credentials().await,
        }
    }
}

#[cfg(feature = "cli")]
impl Provider {
    async fn credentials(&self) -> Result<Arc<Credentials>, String> {
        use aws_credential_types::provider::ProvideCredentials as _;

        let mut last = self.last.lock().await;
        let now = SystemTime::now();
        if let Some(known) = last.as_ref()
            && (known.is_good_at(now + RENEWED_BEFORE)
                || known.is_good_at(now) && now < known.asked + ASKED_AGAIN_AFTER)
        {
            return Ok(Arc::clone(&known.credentials));
        }
        let asked = tokio::time::timeout(PROVIDER_TIMEOUT, self.provider.provide_credentials()).await;
        let provided = match asked {
            Ok(Ok(provided)) => provided,
            failed => {
                // What is known is good until it expires.
                if let Some(known) = last.as_mut().filter(|known| known.is_good_at(now)) {
                    known.asked = now;
                    return Ok(Arc::clone(&known.credentials));
                }
                return Err(match failed {
                    Ok(Err(error)) => {
                        let cause =
                            std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                        format!("no credentials: {error}: {cause}")
                    }
                    _ => format!("no credentials within {} s", PROVIDER_TIMEOUT.as_secs()),
                });
            }
        };
        let credentials = Arc::new(Credentials {
            access_key_id: provided.access_key_id().to_owned(),
            secret_access_key: provided.secret_access_key().to_owned(),
            session_token: provided.session_token().map(str::to_owned),
        });
        let expiry = provided.expiry();
        *last = Some(Provided { credentials: Arc::clone(&credentials), expiry, asked: now });
        Ok(credentials)
    }
}

#[cfg(feature = "cli")]
impl Provided {
    fn is_good_at(&self, moment: SystemTime) -> bool {
        self.expiry.is_none_or(|expiry| expiry > moment)
    }
}

impl fmt::Debug for Credentials {
    /// Nothing of them is shown, not even redacted.
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("Credentials")
    }
}
