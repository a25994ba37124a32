//! A proxy between a function and the embedded DynamoDB, which counts calls, can be slow, and can speak TLS.

use std::io::BufReader;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::http::{Message, Stream};

/// What a function asked of DynamoDB.
#[derive(Debug, Default, Clone)]
pub(crate) struct Counts {
    pub(crate) calls: u32,
    pub(crate) read_units: f64,
    pub(crate) answered_bytes: usize,
    /// Pairs of an operation and its body.
    pub(crate) requests: Vec<(String, String)>,
}

/// An endpoint for one function.
pub(crate) struct Endpoint {
    pub(crate) url: String,
    counts: Arc<Mutex<Counts>>,
    delay: Arc<Mutex<Duration>>,
}

impl Endpoint {
    /// Listens on loopback, over TLS where a certificate is given, and passes everything on to `upstream`.
    pub(crate) fn start(upstream: SocketAddr, tls: Option<Arc<ServerConfig>>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let url = match tls {
            Some(_) => format!("https://localhost:{port}"),
            None => format!("http://127.0.0.1:{port}"),
        };
        let (counts, delay) = (Arc::<Mutex<Counts>>::default(), Arc::<Mutex<Duration>>::default());
        let endpoint = Self { url, counts: Arc::clone(&counts), delay: Arc::clone(&delay) };
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let (tls, counts, delay) = (tls.clone(), Arc::clone(&counts), Arc::clone(&delay));
                // The function notices by itself that a connection broke.
                thread::spawn(move || pass_on(connection, tls, upstream, &counts, &delay));
            }
        });
        Ok(endpoint)
    }

    /// Sets how much longer every call takes than the embedded DynamoDB needs.
    pub(crate) fn set_delay(&self, delay: Duration) {
        *self.delay.lock().unwrap_or_else(PoisonError::into_inner) = delay;
    }

    /// What was counted since this was called last.
    pub(crate) fn take_counts(&self) -> Counts {
        std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn pass_on(
    connection: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    upstream: SocketAddr,
    counts: &Mutex<Counts>,
    delay: &Mutex<Duration>,
) -> anyhow::Result<()> {
    connection.set_nodelay(true)?;
    let function: Box<dyn Stream> = match tls {
        None => Box::new(connection),
        Some(tls) => Box::new(StreamOwned::new(ServerConnection::new(tls)?, connection)),
    };
    let mut function = BufReader::new(function);
    let database = TcpStream::connect(upstream)?;
    database.set_nodelay(true)?;
    let mut database = BufReader::new(Box::new(database) as Box<dyn Stream>);
    while let Some(request) = Message::read(&mut function)? {
        request.write(database.get_mut())?;
        let answer = Message::read(&mut database)?.context("the embedded DynamoDB closed the connection")?;
        let slowness = *delay.lock().unwrap_or_else(PoisonError::into_inner);
        if !slowness.is_zero() {
            thread::sleep(slowness);
        }
        {
            let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
            counts.calls += 1;
            counts.read_units += read_units(&answer.body);
            counts.answered_bytes += answer.body.len();
            let operation = request.header("x-amz-target").unwrap_or_default().to_owned();
            counts.requests.push((operation, String::from_utf8_lossy(&request.body).into_owned()));
        }
        answer.write(function.get_mut())?;
    }
    Ok(())
}

/// The read units that an answer reports. The answer is searched and not parsed, since it may have a megabyte
/// of documents.
fn read_units(answer: &[u8]) -> f64 {
    const NAME: &[u8] = b"\"CapacityUnits\":";
    let mut units = 0.0;
    let mut rest = answer;
    while let Some(place) = rest.windows(NAME.len()).position(|window| window == NAME) {
        rest = &rest[place + NAME.len()..];
        let end = rest.iter().position(|byte| !b"0123456789.".contains(byte)).unwrap_or(rest.len());
        units += std::str::from_utf8(&rest[..end]).ok().and_then(|number| number.parse().ok()).unwrap_or(0.0);
    }
    units
}
