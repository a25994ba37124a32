//! Records into the tables, or compared with them: read, joined, checked, packed, and written in batches.

mod records;
mod report;
mod zadig;

use std::fmt;
use std::fs::File;
use std::io::{self, Seek as _};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::input::collection::Collection;
use crate::input::files::CollectionFile;
use crate::input::server::{Server, ServerError};
use delivery_center::record::Record;
use delivery_center::store::{Comparison, Mode, Outcome, PackedArtifact, PackedRelease, Store, StoreError};

pub use report::{Counts, Report};

use report::Journal;

/// How many records are written together.
const RECORDS_A_BATCH: usize = 50;
/// How much their documents may weigh together, before packing.
const BYTES_A_BATCH: usize = 16 << 20;
/// How many batches are packed and written side by side.
const BATCHES_AT_ONCE: usize = 4;

/// Where a record that cannot even be told apart is counted.
const RECORDS_ROW: &str = "records";
const RELEASES_ROW: &str = "releases";
const ARTIFACTS_ROW: &str = "artifacts";

/// Records in a file, which is read more than once: of the records of one id the last good one counts, and only that is written.
#[derive(Debug, Clone)]
pub struct Source {
    /// What a problem is reported under.
    pub name: String,
    file: SourceFile,
}

#[derive(Debug, Clone)]
enum SourceFile {
    /// Opened only while it is read: there may be more files than a process may have open.
    At(PathBuf),
    Copy(Arc<File>),
}

impl Source {
    /// The file at a path.
    #[must_use]
    pub fn at(name: String, path: PathBuf) -> Self {
        Self { name, file: SourceFile::At(path) }
    }

    /// A copy of what can be read only once. It needs no name, so that whatever ends the process also ends the copy.
    #[must_use]
    pub fn copied(name: String, copy: File) -> Self {
        Self { name, file: SourceFile::Copy(Arc::new(copy)) }
    }

    /// Opens it at its beginning. A copy has one position for all its readers: they take turns.
    fn open(&self) -> io::Result<File> {
        match &self.file {
            SourceFile::At(path) => File::open(path),
            SourceFile::Copy(copy) => {
                let mut copy = copy.try_clone()?;
                copy.rewind()?;
                Ok(copy)
            }
        }
    }

    fn length(&self) -> io::Result<u64> {
        let metadata = match &self.file {
            SourceFile::At(path) => path.metadata(),
            SourceFile::Copy(copy) => copy.metadata(),
        };
        Ok(metadata?.len())
    }
}

/// Where records come from.
#[derive(Debug, Clone)]
pub enum Input {
    /// The reference page's JSON.
    Records(Vec<Source>),
    /// Zadig's collections, dumped or exported.
    Collections(Vec<CollectionFile>),
    /// A running Zadig.
    Server(Server),
}

/// What is done with records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// They are stored.
    Import(Mode),
    /// They are compared with what is stored.
    Verify,
}

/// Why an import could not go on.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The tables could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file could not be opened.
    #[error("{name} cannot be opened")]
    Open {
        /// The file.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The temporary database, in which records are joined, failed.
    #[error("the temporary database failed; TMPDIR names a directory with room for twice the input")]
    Temporary(#[source] rusqlite::Error),
    /// The server could not be read.
    #[error(transparent)]
    Server(#[from] ServerError),
}

impl ImportError {
    /// Whether DynamoDB or Zadig might answer another time.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Store(error) => error.is_unavailable(),
            Self::Server(error) => error.is_unreachable(),
            Self::Open { .. } | Self::Temporary(_) => false,
        }
    }
}

/// What an import did, all in all.
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
    /// A record's release or artifact is not there.
    fn orphaned(&self, _collection: &str, _id: &str, _belongs_to: Option<&str>) {}
    /// A record is not stored as the source has it.
    fn differing(&self, _collection: &str, _id: &str, _reason: &str) {}
    /// Something begins that takes so many bytes, where that is known.
    fn begins(&self, _what: &'static str, _bytes: Option<u64>) {}
    /// So many bytes of it are dealt with.
    fn bytes(&self, _bytes: u64) {}
    /// Something that whoever runs this should know.
    fn note(&self, _note: &str) {}
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
    Ok(run(store, Input::Records(sources), Task::Import(mode), progress).await?.summary())
}

/// Does a task with every good record of an input; the bad ones are reported and left out.
///
/// # Errors
/// [`ImportError`]; doing the same again completes what was begun.
pub async fn run(
    store: &Store,
    input: Input,
    task: Task,
    progress: Arc<dyn Progress>,
) -> Result<Report, ImportError> {
    let journal = Arc::new(Journal::new(progress));
    let pipeline = Pipeline {
        store: store.clone(),
        task,
        journal: Arc::clone(&journal),
        running: JoinSet::new(),
        is_new: false,
    };
    match input {
        Input::Records(sources) => {
            pipeline.fill(move |sink| records::read(&sources, sink)).await?;
        }
        Input::Collections(files) => {
            pipeline.fill(move |sink| zadig::read_files(&files, sink)).await?;
        }
        Input::Server(server) => zadig::read_server(server, pipeline).await?,
    }
    Ok(journal.finish())
}

/// A record as it was read.
struct Found {
    /// Where it is counted; the record itself says it where it does not come from Zadig's database.
    row: Option<&'static str>,
    place: String,
    /// Its length in the input.
    bytes: usize,
    content: Content,
    /// What it was joined from.
    children: Vec<(Collection, u64)>,
}

enum Content {
    Text(Vec<u8>),
    Packed(Box<Packed>),
}

/// A record ready to be written.
struct Packed {
    record: PackedRecord,
    credentials_dropped: u64,
}

enum PackedRecord {
    Release(PackedRelease),
    Artifact(PackedArtifact),
}

impl Packed {
    fn new(text: &[u8]) -> Result<Self, String> {
        let (record, credentials_dropped) = match Record::check(text)
            .map_err(|problem| problem.to_string())?
        {
            Record::Release(release) => {
                let unstorable = |unstorable| format!("release {:?}: {unstorable}", release.release_id);
                let packed = PackedRelease::new(&release).map_err(unstorable)?;
                (PackedRecord::Release(packed), release.credentials_dropped)
            }
            Record::Artifact(artifact) => {
                let unstorable = |unstorable| format!("artifact {:?}: {unstorable}", artifact.artifact_id);
                let packed = PackedArtifact::new(&artifact).map_err(unstorable)?;
                (PackedRecord::Artifact(packed), artifact.credentials_dropped)
            }
        };
        Ok(Self { record, credentials_dropped: credentials_dropped as u64 })
    }
}

impl Packed {
    /// Where it is counted unless it comes from Zadig's database.
    fn row(&self) -> &'static str {
        match self.record {
            PackedRecord::Release(_) => RELEASES_ROW,
            PackedRecord::Artifact(_) => ARTIFACTS_ROW,
        }
    }
}

impl Found {
    fn of_text(place: String, text: Vec<u8>) -> Self {
        Self { row: None, place, bytes: text.len(), content: Content::Text(text), children: Vec::new() }
    }
}

/// What a batch's tasks need to know of a record once it is packed.
struct Member {
    row: &'static str,
    id: String,
    children: Vec<(Collection, u64)>,
}

impl Member {
    /// Where it and what it was joined from are counted, and how many records there.
    fn rows(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let children = self.children.iter().map(|(collection, children)| (collection.name(), *children));
        std::iter::once((self.row, 1)).chain(children)
    }
}

type Batch = Vec<Found>;

/// What a reader gives its records to.
struct Sink {
    sender: mpsc::Sender<Batch>,
    journal: Arc<Journal>,
    batch: Batch,
    bytes: usize,
}

impl Sink {
    /// Breaks where nobody takes records any more, since writing failed.
    fn push(&mut self, found: Found) -> ControlFlow<()> {
        self.bytes += found.bytes;
        self.batch.push(found);
        if self.batch.len() < RECORDS_A_BATCH && self.bytes < BYTES_A_BATCH {
            return ControlFlow::Continue(());
        }
        self.flush()
    }

    fn flush(&mut self) -> ControlFlow<()> {
        self.bytes = 0;
        if !self.batch.is_empty() && self.sender.blocking_send(std::mem::take(&mut self.batch)).is_err() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

/// Packs and writes batches side by side.
struct Pipeline {
    store: Store,
    task: Task,
    journal: Arc<Journal>,
    running: JoinSet<Result<bool, StoreError>>,
    /// Whether anything was new since it was last drained.
    is_new: bool,
}

impl Pipeline {
    /// Takes all that a reader finds, on a thread of its own.
    async fn fill<R>(mut self, read: R) -> Result<(), ImportError>
    where
        R: FnOnce(&mut Sink) -> Result<(), ImportError> + Send + 'static,
    {
        let (sender, mut receiver) = mpsc::channel(2);
        let journal = Arc::clone(&self.journal);
        let reading = tokio::task::spawn_blocking(move || {
            let mut sink = Sink { sender, journal, batch: Vec::new(), bytes: 0 };
            read(&mut sink)?;
            // Whoever closed the channel has the reason.
            let _ = sink.flush();
            Ok::<_, ImportError>(())
        });
        while let Some(batch) = receiver.recv().await {
            self.take(batch).await?;
        }
        reading.await.expect("reading does not panic")?;
        self.drain().await?;
        Ok(())
    }

    async fn take(&mut self, batch: Batch) -> Result<(), StoreError> {
        while self.running.len() >= BATCHES_AT_ONCE {
            self.wait_for_one().await?;
        }
        let (store, task, journal) = (self.store.clone(), self.task, Arc::clone(&self.journal));
        self.running.spawn(async move { deal_with(&store, task, batch, &journal).await });
        Ok(())
    }

    /// Waits until all that was taken is dealt with, and tells whether any of it was new.
    async fn drain(&mut self) -> Result<bool, StoreError> {
        while !self.running.is_empty() {
            self.wait_for_one().await?;
        }
        Ok(std::mem::take(&mut self.is_new))
    }

    async fn wait_for_one(&mut self) -> Result<(), StoreError> {
        let Some(finished) = self.running.join_next().await else { return Ok(()) };
        self.is_new |= finished.expect("writing a batch does not panic")?;
        Ok(())
    }
}

/// What became of a packed record.
enum Fate {
    Stored,
    Unchanged,
    Deleted,
    Differs(String),
}

/// Packs and writes, or compares, one batch; whether anything of it was new.
async fn deal_with(
    store: &Store,
    task: Task,
    batch: Batch,
    journal: &Arc<Journal>,
) -> Result<bool, StoreError> {
    let packing = {
        let journal = Arc::clone(journal);
        tokio::task::spawn_blocking(move || pack(batch, &journal))
    };
    let batch = packing.await.expect("packing does not panic");
    let fates = fates(store, task, &batch).await?;
    let members = batch.members_of_releases.iter().chain(&batch.members_of_artifacts);
    for (member, fate) in members.zip(&fates) {
        count(journal, member, fate);
    }
    journal.progress.done(fates.len() as u64);
    journal.progress.bytes(batch.bytes);
    Ok(fates.iter().any(|fate| matches!(fate, Fate::Stored)))
}

#[derive(Default)]
struct PackedBatch {
    releases: Vec<PackedRelease>,
    members_of_releases: Vec<Member>,
    artifacts: Vec<PackedArtifact>,
    members_of_artifacts: Vec<Member>,
    bytes: u64,
}

fn pack(batch: Batch, journal: &Journal) -> PackedBatch {
    let mut packed = PackedBatch::default();
    for found in batch {
        packed.bytes += found.bytes as u64;
        let row = found.row;
        let content = match found.content {
            Content::Packed(record) => Ok(*record),
            Content::Text(text) => {
                Packed::new(&text).map_err(|reason| (row.unwrap_or_else(|| row_of_refused(&text)), reason))
            }
        };
        match content {
            Ok(record) => packed.add(record, row, found.children, journal),
            Err((row, reason)) => {
                journal.refused(row, &found.place, &reason);
                for (collection, children) in found.children {
                    journal.count(collection.name(), |counts| {
                        counts.read += children;
                        counts.refused += children;
                    });
                }
            }
        }
    }
    packed
}

impl PackedBatch {
    fn add(
        &mut self,
        packed: Packed,
        row: Option<&'static str>,
        children: Vec<(Collection, u64)>,
        journal: &Journal,
    ) {
        let row = row.unwrap_or_else(|| packed.row());
        journal.count(row, |counts| counts.credentials_dropped += packed.credentials_dropped);
        match packed.record {
            PackedRecord::Release(release) => {
                let id = release.release_id().to_owned();
                let member = Member { row, id, children };
                replace_or_push(&mut self.members_of_releases, &mut self.releases, member, release, journal);
            }
            PackedRecord::Artifact(artifact) => {
                let id = artifact.artifact_id().to_owned();
                let member = Member { row, id, children };
                replace_or_push(
                    &mut self.members_of_artifacts,
                    &mut self.artifacts,
                    member,
                    artifact,
                    journal,
                );
            }
        }
    }
}

/// Keeps a batch's ids distinct, whatever its reader gave: `DynamoDB` refuses a request that names one key twice.
fn replace_or_push<T>(
    members: &mut Vec<Member>,
    records: &mut Vec<T>,
    member: Member,
    record: T,
    journal: &Journal,
) {
    let Some(place) = members.iter().position(|earlier| earlier.id == member.id) else {
        members.push(member);
        records.push(record);
        return;
    };
    records[place] = record;
    let earlier = std::mem::replace(&mut members[place], member);
    for (row, repeated) in earlier.rows() {
        journal.count(row, |counts| {
            counts.read += repeated;
            counts.repeated += repeated;
        });
    }
}

/// Where a refused record is counted, for which a look at its beginning is good enough.
fn row_of_refused(text: &[u8]) -> &'static str {
    let head = &text[..text.len().min(64)];
    let is_release = head.windows(13).any(|word| word == b"\"versionInfo\"");
    if is_release { RELEASES_ROW } else { RECORDS_ROW }
}

async fn fates(store: &Store, task: Task, batch: &PackedBatch) -> Result<Vec<Fate>, StoreError> {
    let (releases, artifacts) = (&batch.releases, &batch.artifacts);
    match task {
        Task::Import(mode) => {
            let mut outcomes = store.put_releases(releases, mode).await?;
            outcomes.extend(store.put_artifacts(artifacts, mode).await?);
            Ok(outcomes.into_iter().map(Fate::from).collect())
        }
        Task::Verify => {
            let mut comparisons = store.compare_releases(releases).await?;
            comparisons.extend(store.compare_artifacts(artifacts).await?);
            Ok(comparisons.into_iter().map(Fate::from).collect())
        }
    }
}

impl From<Outcome> for Fate {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Stored => Self::Stored,
            Outcome::Unchanged => Self::Unchanged,
            Outcome::Deleted => Self::Deleted,
        }
    }
}

impl From<Comparison> for Fate {
    fn from(comparison: Comparison) -> Self {
        match comparison {
            Comparison::Same => Self::Unchanged,
            Comparison::Gone => Self::Deleted,
            Comparison::Differs(reason) => Self::Differs(reason),
        }
    }
}

/// Counts a record, and what it was joined from, which shares its fate.
fn count(journal: &Journal, member: &Member, fate: &Fate) {
    if let Fate::Differs(reason) = fate {
        journal.differing(member.row, &member.id, reason);
    }
    for (row, records) in member.rows() {
        journal.count(row, |counts| {
            counts.read += records;
            match fate {
                Fate::Stored => counts.stored += records,
                Fate::Unchanged => counts.unchanged += records,
                Fate::Deleted => counts.deleted += records,
                Fate::Differs(_) => counts.differing += records,
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Silent;

    impl Progress for Silent {
        fn refused(&self, _place: &str, _reason: &str) {}
        fn done(&self, _records: u64) {}
    }

    #[test]
    fn a_batch_that_is_given_an_id_twice_keeps_the_last_one() {
        let journal = Journal::new(Arc::new(Silent));
        let texts = [
            r#"{"versionInfo":{"id":"r"}}"#,
            r#"{"id":"r","image":"first"}"#,
            r#"{"versionInfo":{"id":"s"}}"#,
            r#"{"versionInfo":{"id":"r","deleted_at":1}}"#,
            r#"{"id":"r","image":"last"}"#,
        ];
        let found = texts.map(|text| Found::of_text("here".to_owned(), text.into()));
        let batch = pack(found.into(), &journal);
        let ids = |members: &[Member]| members.iter().map(|member| member.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&batch.members_of_releases), ["r", "s"]);
        assert_eq!(ids(&batch.members_of_artifacts), ["r"]);
        let last = Packed::new(texts[3].as_bytes()).expect("it is good");
        let PackedRecord::Release(last) = last.record else { panic!("it is a release") };
        assert_eq!(format!("{:?}", batch.releases[0]), format!("{last:?}"));
        assert_eq!((batch.releases.len(), batch.artifacts.len()), (2, 1));
        let summary = journal.finish().summary();
        assert_eq!((summary.read, summary.repeated), (2, 2));
    }
}
