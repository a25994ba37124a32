//! Makes clients and stores from the AWS environment, which is read as every AWS tool reads it.

use anyhow::{Context as _, anyhow};
use aws_config::profile;
use aws_config::retry::RetryMode;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{Builder, ProvideCredentials as _, Region, RuntimeComponents};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::{Connector, tls};
use aws_types::os_shim_internal::{Env, Fs};
use delivery_center::connections::renewed_after_failure;
use delivery_center::retries::with_patience;
use delivery_center::store::{Store, StoreError, TableNames, Unavailability};
use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use ureq::Proxy;
use url::Url;

use super::exit_status::unusable;
use crate::answers::{Access, DeployedApi};
use crate::https::Token;
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
    for variable in ["RELEASES_TABLE", "ARTIFACTS_TABLE"] {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        if given(variable)
            .is_some_and(|name| !((3..=255).contains(&name.len()) && name.bytes().all(is_allowed)))
        {
            return Err(unusable(format!(
                "{variable} is no table's name: 3 to 255 letters, digits, _, . and -"
            )));
        }
    }
    let config = loaded().await?;
    region(&config)?;
    if let Some(credentials) = config.credentials_provider() {
        credentials.provide_credentials().await.context(
            "there are no AWS credentials that can be used: sign in, for instance with `aws sso login`, or choose a \
             profile with AWS_PROFILE",
        )?;
    }
    Ok(config)
}

/// Loads what the environment and its profile say, be it incomplete.
async fn loaded() -> anyhow::Result<SdkConfig> {
    check_retry_settings().await?;
    for (variable, no_url) in ENDPOINT_VARIABLES {
        if std::env::var(variable).is_ok_and(|endpoint_url| !is_endpoint_url(&endpoint_url)) {
            return Err(unusable(no_url));
        }
    }
    // As the SDK makes its own client, which alone reads the variables that name a proxy; but on ring.
    let http_client = renewed_after_failure(|| {
        aws_smithy_http_client::Builder::new().build_with_connector_fn(|settings, components| {
            let mut connector = Connector::builder()
                .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
                .proxy_config(ProxyConfig::from_env());
            connector.set_connector_settings(settings.cloned());
            connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
            connector.build()
        })
    });
    Ok(aws_config::defaults(BehaviorVersion::latest()).http_client(http_client).load().await)
}

fn region(config: &SdkConfig) -> anyhow::Result<&str> {
    match config.region().map(Region::as_ref) {
        None | Some("") => Err(anyhow!("no AWS region"))
            .context("set AWS_REGION, or choose a profile that has one with AWS_PROFILE"),
        Some(region) if !is_host_label(region) => Err(unusable(format!(
            "the AWS region {region:?} is no region's name: set AWS_REGION, or the profile's region, to one such as \
             eu-west-1"
        ))),
        Some(region) => Ok(region),
    }
}

/// What requests to a deployed API have: the token, if there is one; or else a signature, if there are AWS
/// credentials; or else nothing.
pub(super) async fn access(api: &Url) -> anyhow::Result<Access> {
    if let Some(token) = given("DELIVERY_CENTER_TOKEN") {
        let token = Token::parse(&token);
        return Ok(Access::Token(
            token.map_err(|reason| unusable(format!("DELIVERY_CENTER_TOKEN: {reason}")))?,
        ));
    }
    let config = loaded().await?;
    // An API that needs none of this is asked all the same.
    let none = || Ok(Access::Open("there are no AWS credentials".to_owned()));
    let Some(credentials) = config.credentials_provider() else { return none() };
    match credentials.provide_credentials().await {
        Ok(_) => {}
        Err(CredentialsError::CredentialsNotLoaded(_)) => return none(),
        Err(error) => return Ok(Access::Open(format!("{:#}", anyhow!(error)).replace('\n', " "))),
    }
    let region = DeployedApi::region(api).map_or_else(|| region(&config), Ok)?.to_owned();
    Ok(Access::Signature { credentials, region })
}

/// Checks what the variables say about retries, or else the profile. The SDK would panic over what it cannot read.
async fn check_retry_settings() -> anyhow::Result<()> {
    // Where a file cannot be read, the SDK says so, and goes on without it.
    let profiles = profile::load(&Fs::real(), &Env::real(), &EnvConfigFiles::default(), None).await.ok();
    let setting = |variable: &str, name: &str| {
        let of_profile = || {
            let profiles = profiles.as_ref()?;
            let place = format!("{name} of the AWS profile {}", profiles.selected_profile());
            Some((place, profiles.get(name)?.to_owned()))
        };
        given(variable).map(|value| (variable.to_owned(), value)).or_else(of_profile)
    };
    if let Some((place, attempts)) = setting("AWS_MAX_ATTEMPTS", "max_attempts")
        && !attempts.parse().is_ok_and(|attempts: u32| attempts > 0)
    {
        return Err(unusable(format!("{place} is no number from 1 on")));
    }
    if let Some((place, mode)) = setting("AWS_RETRY_MODE", "retry_mode")
        && mode.parse::<RetryMode>().is_err()
    {
        return Err(unusable(format!("{place} is neither standard nor adaptive")));
    }
    Ok(())
}

fn is_endpoint_url(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// Whether a text can be a part of a host's name, as a region's name is.
fn is_host_label(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !text.starts_with('-') && !text.ends_with('-') && text.len() < 64 && text.bytes().all(is_allowed)
}

/// Where the environment says that DynamoDB is, for the words of an error. The region that makes the host's
/// name is given too, where one does.
fn endpoint() -> Option<(Uri, Option<String>)> {
    if let Some(endpoint) = ENDPOINT_VARIABLES.iter().find_map(|(variable, _)| given(variable)) {
        return Some((endpoint.parse().ok()?, None));
    }
    let region = given("AWS_REGION");
    let host = region.as_ref().map_or("dynamodb".to_owned(), |region| format!("dynamodb.{region}"));
    Some((format!("https://{host}.amazonaws.com/").parse().ok()?, region))
}

/// The value of a variable, if it has one.
pub(super) fn given(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|value| !value.is_empty())
}

/// The proxy through which requests to DynamoDB go, where there is one: which variable names it, and what to
/// do. A user and a password in that variable are not shown.
pub(super) fn proxy_in_the_way() -> Option<String> {
    let (uri, _) = endpoint()?;
    let proxy = Matcher::from_env().intercept(&uri)?;
    let own = if uri.scheme_str() == Some("http") { "HTTP_PROXY" } else { "HTTPS_PROXY" };
    let variables = [own, "ALL_PROXY"].map(|name| [name.to_owned(), name.to_lowercase()]).concat();
    let variable = variables.iter().find(|variable| given(variable).is_some())?;
    let (scheme, address) = (proxy.uri().scheme_str()?, proxy.uri().authority()?);
    Some(through_proxy(uri.host()?, &format!("{scheme}://{address}"), variable))
}

/// The same of requests to a Zadig or to a deployed API. `ureq` looks at the variables in another order than the
/// SDK's client.
pub(super) fn proxy_to_server(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let proxy = Proxy::try_from_env().filter(|proxy| !proxy.is_no_proxy(&uri))?;
    let variables = ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"];
    let variables = variables.map(|name| [name.to_owned(), name.to_lowercase()]).concat();
    let is_it = |text: String| Proxy::new(&text).is_ok_and(|named| named.uri() == proxy.uri());
    let variable = variables.iter().find(|variable| given(variable).is_some_and(is_it))?;
    let (scheme, host, port) = (proxy.uri().scheme_str()?, proxy.host(), proxy.port());
    Some(through_proxy(uri.host()?, &format!("{scheme}://{host}:{port}"), variable))
}

fn through_proxy(host: &str, proxy: &str, variable: &str) -> String {
    format!(
        "requests to {host} go through the proxy {proxy}, which {variable} names; to go past it, name that host in \
         NO_PROXY"
    )
}

/// The region by which the host was found that cannot be reached: it may be misspelt.
pub(super) fn region_asked() -> Option<String> {
    let (uri, region) = endpoint()?;
    Some(format!("the host is {}, by the region {}: look at AWS_REGION", uri.host()?, region?))
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
