//! Connections of HTTP/1.1 to one host, kept open between requests.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::HeaderValue;
use hyper::{Request, Response, Uri};
#[cfg(feature = "cli")]
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
#[cfg(feature = "cli")]
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;

/// A connection that was idle for longer is not used again: what stands between may have forgotten it without a word.
const MAX_IDLE: Duration = Duration::from_mins(1);

/// The request that these connections take.
pub type OutgoingRequest = Request<Full<Bytes>>;

/// A host, and the connections to it that wait for a request.
pub struct Connections {
    name: String,
    port: u16,
    host: HeaderValue,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    connect_timeout: Duration,
    #[cfg(feature = "cli")]
    proxy: Option<Proxy>,
    idle: Mutex<Vec<Connection>>,
}

/// An HTTP proxy that opens tunnels (`CONNECT`, RFC 9110, 9.3.6).
#[cfg(feature = "cli")]
struct Proxy {
    name: String,
    port: u16,
    /// The header `proxy-authorization`.
    authorization: Option<HeaderValue>,
}

/// The longest answer of a proxy's before the tunnel begins.
#[cfg(feature = "cli")]
const MAX_PROXY_ANSWER_BYTES: usize = 16 << 10;

struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// Of what is waited for. One that is kept is set later for nothing; each new one would wake the runtime's driver.
    timer: Option<Pin<Box<Sleep>>>,
    used: Instant,
}

/// Why a URL names no host that can be connected to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{url:?} is no URL of a host alone, such as https://example.com or http://127.0.0.1:8000")]
pub struct NoHost {
    url: String,
}

impl NoHost {
    /// What is wrong with a URL.
    #[must_use]
    pub fn of(url: &str) -> Self {
        Self { url: url.to_owned() }
    }
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// No connection could be opened in time.
    #[error("no connection within {} ms", .0.as_millis())]
    ConnectTimeout(Duration),
    /// There was no answer in time.
    #[error("no answer in time")]
    Timeout,
    /// No connection could be opened.
    #[error("no connection: {0}")]
    Connect(#[source] io::Error),
    /// The connection broke.
    #[error("the connection broke: {}", causes(.source))]
    Broken {
        /// What HTTP says of it.
        source: hyper::Error,
        /// Whether it had been kept from an earlier request: then it may have ended long before this one.
        was_kept: bool,
    },
}

fn causes(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

impl Connections {
    /// The host of a URL, which has no path and no query. No connection is opened yet.
    ///
    /// # Errors
    /// [`NoHost`], and what `tls` fails with, which is asked for where the URL is one of https.
    pub fn to<E: From<NoHost>>(
        url: &str,
        tls: impl FnOnce() -> Result<Arc<ClientConfig>, E>,
        connect_timeout: Duration,
    ) -> Result<Self, E> {
        let no_host = || NoHost::of(url);
        let uri: Uri = url.parse().map_err(|_| no_host())?;
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(no_host().into());
        }
        let name = uri.host().ok_or_else(no_host)?.trim_matches(['[', ']']).to_owned();
        let (tls, default_port) = match uri.scheme_str() {
            Some("http") => (None, 80),
            Some("https") => {
                let server = ServerName::try_from(name.clone()).map_err(|_| no_host())?;
                (Some((TlsConnector::from(tls()?), server)), 443)
            }
            _ => return Err(no_host().into()),
        };
        let port = uri.port_u16().unwrap_or(default_port);
        let authority = uri.authority().ok_or_else(no_host)?.as_str();
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let host = if port == default_port { host.trim_end_matches(&format!(":{port}")) } else { host };
        let host = HeaderValue::from_str(host).map_err(|_| no_host())?;
        Ok(Self {
            name,
            port,
            host,
            tls,
            connect_timeout,
            #[cfg(feature = "cli")]
            proxy: None,
            idle: Mutex::default(),
        })
    }

    /// The same host, through the proxy that `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` name for it, if any.
    #[cfg(feature = "cli")]
    #[must_use]
    pub fn through_environments_proxy(self) -> Self {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", self.host.to_str().unwrap_or_default());
        let found = url.parse().ok().and_then(|url| Matcher::from_env().intercept(&url));
        let proxy = found.and_then(|found| {
            let name = found.uri().host()?.trim_matches(['[', ']']).to_owned();
            let port = found.uri().port_u16().unwrap_or(80);
            Some(Proxy { name, port, authorization: found.basic_auth().cloned() })
        });
        Self { proxy, ..self }
    }

    /// The `Host` header, which every request must have.
    #[must_use]
    pub fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// [`ExchangeError`]; the request may have been processed all the same.
    pub async fn exchange(
        &self,
        mut request: OutgoingRequest,
        deadline: Option<Instant>,
    ) -> Result<Response<Bytes>, ExchangeError> {
        while let Some(mut connection) = self.kept() {
            match connection.exchange(request, deadline).await {
                Ok(answer) => return Ok(self.keep(connection, answer)),
                Err(Failed::BeforeSending(unsent)) => request = *unsent,
                Err(Failed::TooLate) => return Err(ExchangeError::Timeout),
                Err(Failed::Broken(source)) => return Err(ExchangeError::Broken { source, was_kept: true }),
            }
        }
        let mut connection = self.open(deadline).await?;
        match connection.exchange(request, deadline).await {
            Ok(answer) => Ok(self.keep(connection, answer)),
            Err(Failed::BeforeSending(_)) => {
                Err(ExchangeError::Connect(io::ErrorKind::ConnectionReset.into()))
            }
            Err(Failed::TooLate) => Err(ExchangeError::Timeout),
            Err(Failed::Broken(source)) => Err(ExchangeError::Broken { source, was_kept: false }),
        }
    }

    /// Closes the connections that wait for a request.
    pub fn close_idle(&self) {
        self.idle().clear();
    }

    fn keep(&self, connection: Connection, answer: Response<Bytes>) -> Response<Bytes> {
        self.idle().push(Connection { used: Instant::now(), ..connection });
        answer
    }

    /// The connection that was used last, if it is still good.
    fn kept(&self) -> Option<Connection> {
        let mut idle = self.idle();
        while let Some(connection) = idle.pop() {
            if !connection.sender.is_closed() && connection.used.elapsed() < MAX_IDLE {
                return Some(connection);
            }
        }
        None
    }

    async fn open(&self, deadline: Option<Instant>) -> Result<Connection, ExchangeError> {
        let connect = async {
            let stream = self.stream().await?;
            stream.set_nodelay(true)?;
            match &self.tls {
                None => handshake(stream).await,
                Some((connector, server)) => {
                    handshake(connector.connect(server.clone(), stream).await?).await
                }
            }
        };
        let latest = Instant::now() + self.connect_timeout;
        let latest = deadline.map_or(latest, |deadline| deadline.min(latest));
        match tokio::time::timeout_at(latest, connect).await {
            Ok(Ok(sender)) => Ok(Connection { sender, timer: None, used: Instant::now() }),
            Ok(Err(error)) => Err(ExchangeError::Connect(error)),
            Err(_) => Err(ExchangeError::ConnectTimeout(self.connect_timeout)),
        }
    }

    #[cfg(not(feature = "cli"))]
    async fn stream(&self) -> io::Result<TcpStream> {
        TcpStream::connect((self.name.as_str(), self.port)).await
    }

    #[cfg(feature = "cli")]
    async fn stream(&self) -> io::Result<TcpStream> {
        let Some(proxy) = &self.proxy else {
            return TcpStream::connect((self.name.as_str(), self.port)).await;
        };
        let mut stream = TcpStream::connect((proxy.name.as_str(), proxy.port)).await?;
        let name = if self.name.contains(':') { format!("[{}]", self.name) } else { self.name.clone() };
        let mut request =
            format!("CONNECT {name}:{0} HTTP/1.1\r\nHost: {name}:{0}\r\n", self.port).into_bytes();
        if let Some(authorization) = &proxy.authorization {
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(authorization.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        stream.write_all(&request).await?;
        // One byte after another: what follows is the tunnel's.
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") && answer.len() < MAX_PROXY_ANSWER_BYTES {
            answer.push(stream.read_u8().await?);
        }
        let status = String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned();
        if status.split(' ').nth(1).is_some_and(|code| code.starts_with('2')) {
            return Ok(stream);
        }
        Err(io::Error::other(format!("the proxy {}:{} answered {status:?}", proxy.name, proxy.port)))
    }

    /// A panic elsewhere cannot have left the list half changed: nothing is called while it is locked.
    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a connection gave no answer.
enum Failed {
    BeforeSending(Box<OutgoingRequest>),
    TooLate,
    Broken(hyper::Error),
}

impl Connection {
    async fn exchange(
        &mut self,
        request: OutgoingRequest,
        deadline: Option<Instant>,
    ) -> Result<Response<Bytes>, Failed> {
        let sender = &mut self.sender;
        let exchange = async {
            if sender.ready().await.is_err() {
                return Err(Failed::BeforeSending(Box::new(request)));
            }
            let sent = sender.try_send_request(request).await;
            let answer = sent.map_err(|mut error| match error.take_message() {
                Some(unsent) => Failed::BeforeSending(Box::new(unsent)),
                None => Failed::Broken(error.into_error()),
            })?;
            let (parts, body) = answer.into_parts();
            let body = body.collect().await.map_err(Failed::Broken)?;
            Ok(Response::from_parts(parts, body.to_bytes()))
        };
        let Some(deadline) = deadline else { return exchange.await };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        timer.as_mut().reset(deadline);
        tokio::select! {
            biased;
            answered = exchange => answered,
            () = timer.as_mut() => Err(Failed::TooLate),
        }
    }
}

/// A task of its own drives the connection, and ends with it.
async fn handshake<Stream>(stream: Stream) -> io::Result<SendRequest<Full<Bytes>>>
where
    Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            // Whoever waits for an answer is told; nobody else needs to know.
            tracing::debug!(%error, "a connection ended");
        }
    });
    Ok(sender)
}

impl fmt::Debug for Connections {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.debug_struct("Connections").field("host", &self.host).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(url: &str) -> Result<Connections, NoHost> {
        Connections::to(url, || panic!("no TLS"), Duration::from_secs(1))
    }

    #[test]
    fn a_host_is_named_as_http_has_it() {
        for (url, host, port) in [
            ("http://127.0.0.1:8000", "127.0.0.1:8000", 8000),
            ("http://localhost/", "localhost", 80),
            ("http://localhost:80", "localhost", 80),
            ("http://user@example.com:81/", "example.com:81", 81),
            ("http://[::1]:8000", "[::1]:8000", 8000),
        ] {
            let connections = to(url).unwrap();
            assert_eq!((connections.host().to_str().unwrap(), connections.port), (host, port), "{url}");
        }
        assert_eq!(to("http://[::1]:8000").unwrap().name, "::1");
    }

    #[test]
    fn what_names_no_host_is_told_so() {
        for url in [
            "",
            "localhost",
            "localhost:8000",
            "ftp://localhost",
            "/path",
            "http://",
            "http://a/b",
            "http://a/?b",
        ] {
            assert!(to(url).is_err(), "{url}");
        }
    }
}
