//! Records into the tables: read, checked, packed, and written in batches.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::error::Error;
use crate::json_records::{ReadProblem, RecordReader};
use crate::record::Record;
use crate::store::{Mode, Outcome, PackedArtifact, PackedRelease, Store};

/// How many records are written together.
const RECORDS_A_BATCH: usize = 50;
/// How much their documents may weigh together, before packing.
const BYTES_A_BATCH: usize = 16 << 20;
/// How many batches are written side by side.
const BATCHES_AT_ONCE: usize = 4;
const READ_BUFFER_BYTES: usize = 1 << 20;

/// A file of records. It is read twice: of the records of one id the last good one counts, and only that is written.
#[derive(Debug, Clone)]
pub struct Source {
    /// What a problem is reported under.
    pub name: String,
    /// The file.
    pub path: PathBuf,
}

/// Why an import could not go on.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The tables could not be read or written.
    #[error(transparent)]
    Store(#[from] Error),
    /// A file could not be opened.
    #[error("{name} cannot be opened")]
    Open {
        /// The file.
        name: String,
        /// Why.
        source: io::Error,
    },
}

/// What an import did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Records read, good or bad.
    pub read: u64,
    /// New or changed records.
    pub stored: u64,
    /// Records that were there as they are.
    pub unchanged: u64,
    /// Soft-deleted records; what there was of them is gone.
    pub deleted: u64,
    /// Records that were not taken.
    pub refused: u64,
    /// Records whose id came before in the same import: the last one stays.
    pub repeated: u64,
    /// Credentials that were left out.
    pub credentials_dropped: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let Self { read, stored, unchanged, deleted, refused, repeated, credentials_dropped } = self;
        write!(
            formatter,
            "read {read}, stored {stored}, unchanged {unchanged}, deleted {deleted}, refused {refused}"
        )?;
        if *repeated > 0 {
            write!(
                formatter,
                "\nids that came more than once: {repeated} earlier records gave way to the last one"
            )?;
        }
        if *credentials_dropped > 0 {
            write!(formatter, "\ncredentials found in commits and left out: {credentials_dropped}")?;
        }
        Ok(())
    }
}

/// What an import tells while it runs.
pub trait Progress: Send + Sync {
    /// A record was not taken.
    fn refused(&self, place: &str, reason: &str);
    /// So many records were read and dealt with.
    fn done(&self, records: u64);
}

/// A record ready to be written.
enum Packed {
    Release(PackedRelease),
    Artifact(PackedArtifact),
}

/// A digest of kind and id: small, however many records there are.
type Identity = [u8; 16];

fn identity(kind: &str, id: &str) -> Identity {
    let digest = Sha256::new().chain_update(kind).chain_update([0]).chain_update(id).finalize();
    digest[..16].try_into().expect("a SHA-256 digest has more than 16 bytes")
}

impl Packed {
    fn identity(&self) -> Identity {
        match self {
            Self::Release(release) => identity("release", release.release_id()),
            Self::Artifact(artifact) => identity("artifact", artifact.artifact_id()),
        }
    }
}

/// As much of a record as tells which one it is.
#[derive(Deserialize)]
struct Identified {
    #[serde(default, rename = "versionInfo")]
    version_info: Option<Id>,
    #[serde(default)]
    id: Option<String>,
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

/// Counts made while reading.
#[derive(Default)]
struct ReadCounts {
    read: AtomicU64,
    refused: AtomicU64,
    repeated: AtomicU64,
    credentials_dropped: AtomicU64,
}

/// Stores every good record of the sources; the bad ones are reported and left out.
///
/// # Errors
/// [`ImportError`]; importing the same again completes what was begun.
pub async fn import(
    store: &Store,
    sources: Vec<Source>,
    mode: Mode,
    progress: Arc<dyn Progress>,
) -> Result<Summary, ImportError> {
    let counts = Arc::new(ReadCounts::default());
    let (sender, mut receiver) = mpsc::channel(2 * RECORDS_A_BATCH);
    let reading = {
        let (counts, progress) = (Arc::clone(&counts), Arc::clone(&progress));
        tokio::task::spawn_blocking(move || read(&sources, &counts, progress.as_ref(), &sender))
    };
    let mut writer = Writer { store, mode, progress, summary: Summary::default(), running: JoinSet::new() };
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while let Some((packed, length)) = receiver.recv().await {
        batch.push(packed);
        bytes += length;
        if batch.len() >= RECORDS_A_BATCH || bytes >= BYTES_A_BATCH {
            writer.write(std::mem::take(&mut batch)).await?;
            bytes = 0;
        }
    }
    writer.write(batch).await?;
    writer.finish().await?;
    reading.await.expect("reading does not panic")?;
    Ok(Summary {
        read: counts.read.load(Ordering::Relaxed),
        refused: counts.refused.load(Ordering::Relaxed),
        repeated: counts.repeated.load(Ordering::Relaxed),
        credentials_dropped: counts.credentials_dropped.load(Ordering::Relaxed),
        ..writer.summary
    })
}

/// Writes batches side by side.
struct Writer<'a> {
    store: &'a Store,
    mode: Mode,
    progress: Arc<dyn Progress>,
    summary: Summary,
    running: JoinSet<Result<Vec<Outcome>, Error>>,
}

impl Writer<'_> {
    async fn write(&mut self, batch: Vec<Packed>) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        while self.running.len() >= BATCHES_AT_ONCE {
            self.wait_for_one().await?;
        }
        let (store, mode) = (self.store.clone(), self.mode);
        self.running.spawn(async move {
            let (mut releases, mut artifacts) = (Vec::new(), Vec::new());
            for packed in batch {
                match packed {
                    Packed::Release(release) => releases.push(release),
                    Packed::Artifact(artifact) => artifacts.push(artifact),
                }
            }
            let mut outcomes = store.put_releases(&releases, mode).await?;
            outcomes.extend(store.put_artifacts(&artifacts, mode).await?);
            Ok(outcomes)
        });
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), Error> {
        while !self.running.is_empty() {
            self.wait_for_one().await?;
        }
        Ok(())
    }

    async fn wait_for_one(&mut self) -> Result<(), Error> {
        let Some(finished) = self.running.join_next().await else { return Ok(()) };
        let outcomes = finished.expect("writing a batch does not panic")?;
        self.progress.done(outcomes.len() as u64);
        for outcome in outcomes {
            match outcome {
                Outcome::Stored => self.summary.stored += 1,
                Outcome::Unchanged => self.summary.unchanged += 1,
                Outcome::Deleted => self.summary.deleted += 1,
            }
        }
        Ok(())
    }
}

/// A record, and the length it was read with.
type Sender = mpsc::Sender<(Packed, usize)>;

/// Reads, checks and packs on a thread of its own; ends early when nobody takes the records any more.
fn read(
    sources: &[Source],
    counts: &ReadCounts,
    progress: &dyn Progress,
    sender: &Sender,
) -> Result<(), ImportError> {
    let repeated = repeated(sources)?;
    // Records of ids that come more than once, until it is known which is the last good one.
    let mut held: HashMap<Identity, (Packed, usize)> = HashMap::new();
    for source in sources {
        for found in open(source)? {
            counts.read.fetch_add(1, Ordering::Relaxed);
            let refuse = |place: String, reason: String| {
                counts.refused.fetch_add(1, Ordering::Relaxed);
                progress.refused(&format!("{} {place}", source.name), &reason);
            };
            let record = match found {
                Ok(record) => record,
                Err(problem) => {
                    refuse(problem.place().to_string(), reason(&problem));
                    continue;
                }
            };
            let packed = match pack(&record.text, counts) {
                Ok(packed) => packed,
                Err(reason) => {
                    refuse(record.place.to_string(), reason);
                    continue;
                }
            };
            let (identity, length) = (packed.identity(), record.text.len());
            if repeated.contains(&identity) {
                if held.insert(identity, (packed, length)).is_some() {
                    counts.repeated.fetch_add(1, Ordering::Relaxed);
                }
            } else if sender.blocking_send((packed, length)).is_err() {
                return Ok(());
            }
        }
    }
    for record in held.into_values() {
        if sender.blocking_send(record).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn open(source: &Source) -> Result<RecordReader<BufReader<File>>, ImportError> {
    let file = File::open(&source.path)
        .map_err(|error| ImportError::Open { name: source.name.clone(), source: error })?;
    Ok(RecordReader::new(BufReader::with_capacity(READ_BUFFER_BYTES, file)))
}

/// The identities that come more than once, good or bad.
fn repeated(sources: &[Source]) -> Result<HashSet<Identity>, ImportError> {
    let (mut seen, mut repeated) = (HashSet::new(), HashSet::new());
    for source in sources {
        for record in open(source)?.flatten() {
            let Ok(identified) = serde_json::from_slice::<Identified>(&record.text) else { continue };
            let identity = match (identified.version_info, identified.id) {
                (Some(version_info), _) => identity("release", &version_info.id),
                (None, Some(id)) => identity("artifact", &id),
                (None, None) => continue,
            };
            if !seen.insert(identity) {
                repeated.insert(identity);
            }
        }
    }
    Ok(repeated)
}

fn reason(problem: &ReadProblem) -> String {
    let source = std::error::Error::source(problem);
    source.map_or_else(|| problem.to_string(), |source| format!("{problem}: {source}"))
}

fn pack(text: &[u8], counts: &ReadCounts) -> Result<Packed, String> {
    let (packed, credentials_dropped) = match Record::check(text).map_err(|problem| problem.to_string())? {
        Record::Release(release) => {
            let unstorable = |unstorable| format!("release {:?}: {unstorable}", release.release_id);
            let packed = PackedRelease::new(&release).map_err(unstorable)?;
            (Packed::Release(packed), release.credentials_dropped)
        }
        Record::Artifact(artifact) => {
            let unstorable = |unstorable| format!("artifact {:?}: {unstorable}", artifact.artifact_id);
            let packed = PackedArtifact::new(&artifact).map_err(unstorable)?;
            (Packed::Artifact(packed), artifact.credentials_dropped)
        }
    };
    counts.credentials_dropped.fetch_add(credentials_dropped as u64, Ordering::Relaxed);
    Ok(packed)
}
