//! Asks servers over HTTP: a running Zadig, and a deployed API.

use std::time::Duration;
use std::{fmt, io, thread};

use http::{HeaderMap, Response};
use tokio::sync::oneshot;
use ureq::Agent;
use ureq::http::StatusCode;
use ureq::tls::{RootCerts, TlsConfig};
use url::{Host, Url};

/// How much is read of an answer that is an error.
const MAX_ERROR_BYTES: u64 = 1 << 16;

/// A token that a server asks for. It is never shown, not even by `Debug`.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// Takes a token as it stands in a file or a variable.
    ///
    /// # Errors
    /// Why the text cannot be a token; the text itself is not in the reason.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        let text = match text.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            _ => text,
        };
        if text.is_empty() {
            return Err("the token is empty");
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("the token holds a blank or another character that no token has");
        }
        Ok(Self(text.to_owned()))
    }

    /// The header `Authorization` that brings it.
    pub(crate) fn authorization(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// A server's words without the token, which some servers quote.
    pub(crate) fn hidden_in(&self, text: &str) -> String {
        text.replace(&self.0, "(the token)")
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token")
    }
}

/// Reads the URL of a server, such as `https://zadig.example.com`, without credentials in it.
///
/// # Errors
/// What is wrong with it. `server` says whose URL it is, such as `a Zadig`.
pub fn server_url(text: &str, server: &str) -> Result<Url, String> {
    let parsed = Url::parse(text.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let url = parsed.ok_or_else(|| format!("the URL of {server} begins with https:// or http://"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!(
            "the URL of {server} holds credentials; leave them out, since it takes only a token"
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("the URL of {server} has no query and no fragment"));
    }
    Ok(url)
}

/// Whether what is sent there goes over the network unencrypted: by plain HTTP to another machine.
pub(crate) fn is_unencrypted(url: &Url) -> bool {
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "http" && !is_loopback
}

/// Why there is no answer, or only a part of one; another attempt may succeed.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// There was no answer in time.
    #[error("it did not answer in time")]
    Timeout,
    /// Nothing answers there.
    #[error("{0}: check the URL")]
    NoServer(io::Error),
    /// There was no answer, or only a part of it. The message does not show the request, whose headers hold
    /// the token.
    #[error(transparent)]
    Connection(ureq::Error),
}

impl From<ureq::Error> for NoAnswer {
    fn from(error: ureq::Error) -> Self {
        match error {
            ureq::Error::Timeout(_) => Self::Timeout,
            ureq::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                Self::NoServer(error)
            }
            other => Self::Connection(other),
        }
    }
}

/// Keeps connections to servers, and their TLS.
#[derive(Debug, Clone)]
pub(crate) struct HttpClient(Agent);

impl HttpClient {
    /// A client each of whose requests may take so long.
    pub(crate) fn new(timeout: Duration) -> Self {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            // A redirect could take the token to another host. What has moved is asked for at its new URL.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("delivery-center/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls);
        Self(config.build().new_agent())
    }

    /// Asks for a URL, and waits for the whole answer, of any status. Where an error's body cannot
    /// be read, it is given as empty.
    pub(crate) fn get(
        &self,
        url: &str,
        headers: &HeaderMap,
        max_bytes: u64,
    ) -> Result<Response<Vec<u8>>, NoAnswer> {
        let mut request = self.0.get(url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut answer = request.call()?;
        let is_ok = answer.status() == StatusCode::OK;
        let limit = if is_ok { max_bytes } else { MAX_ERROR_BYTES };
        let body = answer.body_mut().with_config().limit(limit).read_to_vec();
        let body = if is_ok { body? } else { body.unwrap_or_default() };
        Ok(answer.map(|_| body))
    }
}

/// Does something that blocks, on a thread of its own. A runtime waits for its own blocking threads before it
/// ends, so on one of those a stalled server would keep the process from ending.
pub(crate) async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = oneshot::channel();
    // Nobody may wait for the outcome any more.
    thread::spawn(move || drop(sender.send(work())));
    receiver.await.expect("it does not panic")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_shown_and_holds_no_odd_characters() {
        assert_eq!(Token::parse("bearer abc.def").unwrap().0, "abc.def");
        let token = Token::parse(" Bearer abc.def\n").unwrap();
        assert_eq!(token.0, "abc.def");
        assert_eq!(format!("{token:?}"), "Token");
        assert!(Token::parse("").is_err() && Token::parse("a b").is_err() && Token::parse("ä").is_err());
    }

    #[test]
    fn only_the_url_of_a_server_is_taken() {
        let url = |text| server_url(text, "a Zadig");
        assert!(url("https://zadig.example.com/").is_ok());
        for text in ["zadig.example.com", "https://", "https://u:p@zadig", "http://zadig?x=1", "file:///etc"]
        {
            assert!(url(text).is_err(), "{text}");
        }
        for (text, expected) in [
            ("http://zadig", true),
            ("http://127.0.0.1:80", false),
            ("http://[::1]", false),
            ("https://zadig", false),
        ] {
            assert_eq!(is_unencrypted(&url(text).unwrap()), expected, "{text}");
        }
    }
}
