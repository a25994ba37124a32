//! DynamoDB inside the process, for laptops and tests: a real endpoint on loopback, to which real requests
//! are sent.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Credentials, Region};
use delivery_center::connections::renewed_after_failure;
use delivery_center::store::TableNames;
use dynoxide::{Database, DynoxideError};
use rusqlite::{Connection, OpenFlags};
use tokio::sync::oneshot;

use crate::write::Writer;

/// How every SQLite database begins.
const SQLITE_MAGIC: [u8; 16] = *b"SQLite format 3\0";

/// A running embedded DynamoDB. Dropping it stops it and frees its port.
pub struct EmbeddedDynamoDb {
    database: Database,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Why the embedded DynamoDB did not start.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// The data file is not a SQLite database, or is one of another program.
    #[error("the data file {file} is not a SQLite database of this tool; choose another one with --data")]
    NotADatabase {
        /// The file.
        file: PathBuf,
    },
    /// There is no room for the data file.
    #[error(
        "there is no room left on the disk of the data file {file}; make room, or choose another one with --data"
    )]
    NoRoom {
        /// The file.
        file: PathBuf,
    },
    /// The database, in a file or in memory, cannot be opened.
    #[error("the database {place} cannot be opened")]
    Database {
        /// Where it is: `in FILE`, or `in memory`.
        place: String,
        /// Why.
        source: DynoxideError,
    },
    /// The address is in use, or is not one of this machine.
    #[error("cannot listen on {address} for DynamoDB")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The thread that serves it did not start.
    #[error("the embedded DynamoDB did not start")]
    Start(#[source] io::Error),
}

impl EmbeddedDynamoDb {
    /// Starts it, with its data in memory or in a SQLite file. Port 0 stands for any free port.
    ///
    /// # Errors
    /// [`EmbeddedError`].
    pub fn start(listen: SocketAddr, data: Option<&Path>) -> Result<Self, EmbeddedError> {
        if let Some(file) = data.filter(|file| is_of_another_program(file)) {
            return Err(EmbeddedError::NotADatabase { file: file.to_owned() });
        }
        let opened = match data {
            None => Database::memory(),
            Some(file) => Database::new(&file.to_string_lossy()),
        };
        let database = opened.map_err(|source| match data {
            // Before the other reasons: without room, not even the beginning of a database can be written.
            Some(file) if has_no_room(file) => EmbeddedError::NoRoom { file: file.to_owned() },
            Some(file) if is_no_sqlite_database(file) => {
                EmbeddedError::NotADatabase { file: file.to_owned() }
            }
            Some(file) => EmbeddedError::Database { place: format!("in {}", file.display()), source },
            None => EmbeddedError::Database { place: "in memory".to_owned(), source },
        })?;
        let listener =
            TcpListener::bind(listen).map_err(|source| EmbeddedError::Listen { address: listen, source })?;
        Self::serve(listener, database).map_err(EmbeddedError::Start)
    }

    /// Serves on a thread and a runtime of its own. The caller's runtime would not do: it may be a single
    /// thread, which waits for the answer to its request.
    fn serve(listener: TcpListener, database: Database) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let served = database.clone();
        let thread = std::thread::Builder::new().name("embedded-dynamodb".to_owned()).spawn(move || {
            runtime.block_on(async move {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                tokio::select! {
                    () = dynoxide::server::serve_on(listener, served) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { database, address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL, for `AWS_ENDPOINT_URL_DYNAMODB`.
    pub fn endpoint_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves the same database to whoever connects to another listener, for as long as it is polled.
    pub fn serve_too(&self, listener: tokio::net::TcpListener) -> impl Future<Output = ()> + Send + use<> {
        dynoxide::server::serve_on(listener, self.database.clone())
    }

    /// A client that sends its requests here.
    pub fn client(&self) -> Client {
        client(&self.endpoint_url())
    }

    /// A store over its tables.
    pub fn writer(&self, tables: TableNames) -> Writer {
        Writer::new(self.client(), tables)
    }
}

/// Whether nothing more can be written beside a file, since the disk is full. The library tells it only in
/// words, and in different ones for each place at which it notices.
pub fn has_no_room(file: &Path) -> bool {
    /// More than SQLite writes at once.
    const ROOM: usize = 1 << 18;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = tempfile::tempfile_in(folder).and_then(|mut probe| probe.write_all(&vec![0; ROOM]));
    written
        .is_err_and(|error| matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
}

/// Whether a file is not a SQLite database. The library would take it for an encrypted one.
fn is_no_sqlite_database(file: &Path) -> bool {
    let mut beginning = [0; SQLITE_MAGIC.len()];
    match File::open(file).and_then(|mut file| file.read_exact(&mut beginning)) {
        Ok(()) => beginning != SQLITE_MAGIC,
        Err(error) => error.kind() == io::ErrorKind::UnexpectedEof,
    }
}

/// Whether a file is the SQLite database of another program: it has tables, but not those that every database
/// of this tool has. Opening it as a database of this tool would add these.
fn is_of_another_program(file: &Path) -> bool {
    let tables = || -> rusqlite::Result<(u64, u64)> {
        let database = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        database.query_row(
            "SELECT count(*), count(*) FILTER (WHERE name IN ('_config', '_tables')) FROM sqlite_master WHERE type = 'table'",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
    };
    // A file that cannot be read is reported when it is opened.
    tables().is_ok_and(|(all, ours)| all > 0 && ours < 2)
}

impl Drop for EmbeddedDynamoDb {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may have ended already; then there is nothing to stop.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A client for a DynamoDB that takes any credentials: the embedded one, or another implementation on this
/// machine.
pub fn client(endpoint_url: &str) -> Client {
    Client::from_conf(config(endpoint_url).build())
}

/// The configuration of such a client.
pub fn config(endpoint_url: &str) -> Builder {
    aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(Credentials::new("local", "local", None, None, "local"))
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint_url)
        .http_client(renewed_after_failure(|| aws_smithy_http_client::Builder::new().build_http()))
}
