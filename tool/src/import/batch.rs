//! One batch of records: it is checked and packed, written or compared, and counted.

use std::sync::Arc;

use delivery_center::store::StoreError;

use super::report::{ARTIFACTS_ROW, Column, Journal, RECORDS_ROW, RELEASES_ROW};
use crate::input::zadig_collections::Collection;
use crate::record::Record;
use crate::write::{
    Comparison, KeepRecorded, Mode, Outcome, PackedArtifact, PackedRelease, StoredOutcome, Writer,
};

/// How many records are written together.
const MAX_RECORDS: usize = 50;
/// How many bytes the texts of these records may have together.
const MAX_BYTES: usize = 16 << 20;

/// What is done with records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// They are stored.
    Import {
        /// Whether the tables are changed.
        mode: Mode,
        /// What becomes of the activities that pipelines recorded.
        recorded: KeepRecorded,
        /// Whether a record may have nothing where the stored one has something.
        emptying: Emptying,
    },
    /// They are compared with what is stored.
    Verify,
}

impl Task {
    /// The word that the progress shows while the task is done.
    pub(super) fn progress_label(self) -> &'static str {
        match self {
            Self::Import { mode: Mode::DryRun, .. } => "checking",
            Self::Import { mode: Mode::Write | Mode::Rewrite, .. } => "writing",
            Self::Verify => "comparing",
        }
    }
}

/// Whether a record may replace a stored one when that would empty a section: the stored one has something in
/// it, and the new one has nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emptying {
    /// The record is stored.
    Allowed,
    /// The record is held back.
    HeldBack,
}

/// Records that are written together.
#[derive(Default)]
pub(super) struct Batch {
    records: Vec<InputRecord>,
    bytes: usize,
}

impl Batch {
    /// Adds a record. Once the batch is full, gives it away and starts an empty one.
    pub(super) fn push(&mut self, record: InputRecord) -> Option<Self> {
        self.bytes += record.bytes;
        self.records.push(record);
        let is_full = self.records.len() >= MAX_RECORDS || self.bytes >= MAX_BYTES;
        is_full.then(|| std::mem::take(self))
    }

    /// Gives away the records that were added since the last full batch, if there are any.
    pub(super) fn take_rest(&mut self) -> Option<Self> {
        (!self.records.is_empty()).then(|| std::mem::take(self))
    }

    /// Checks and packs the records, writes or compares them, and counts them.
    pub(super) async fn run(
        self,
        writer: &Writer,
        task: Task,
        journal: &Arc<Journal>,
    ) -> Result<(), StoreError> {
        let packing = {
            let journal = Arc::clone(journal);
            tokio::task::spawn_blocking(move || self.pack(task, &journal))
        };
        let packed = packing.await.expect("packing does not panic");
        let fates = packed.write_or_compare(writer, task).await?;
        let counted = packed.counted.iter().flatten();
        for (counted, (fate, recorded)) in counted.zip(&fates) {
            count(journal, counted, fate, *recorded);
        }
        journal.progress.done(fates.len() as u64);
        journal.progress.bytes(packed.bytes);
        Ok(())
    }

    fn pack(self, task: Task, journal: &Journal) -> PackedBatch {
        let mut packed = PackedBatch { bytes: self.bytes as u64, ..PackedBatch::default() };
        for input in self.records {
            let row = input.row;
            let content = match input.content {
                Content::Packed(record) => Ok(*record),
                Content::Text(text) => Packed::new(&text)
                    .map_err(|reason| (row.unwrap_or_else(|| row_of_refused(&text)), reason)),
            };
            match content {
                Ok(record) => packed.add(record.for_task(task), row, input.children, journal),
                Err((row, reason)) => {
                    journal.refused(row, &input.place, &reason);
                    journal.count_children(&input.children, |counts| &mut counts.refused);
                }
            }
        }
        packed
    }
}

/// A record as it was read.
pub(super) struct InputRecord {
    /// The row of the report in which it is counted. `None` where it does not come from Zadig's database:
    /// then its kind decides on the row.
    pub(super) row: Option<&'static str>,
    pub(super) place: String,
    /// Its length in the input.
    pub(super) bytes: usize,
    pub(super) content: Content,
    /// The collections of the records that were joined to it, and how many records of each.
    pub(super) children: Vec<(Collection, u64)>,
}

impl InputRecord {
    pub(super) fn from_text(place: String, text: Vec<u8>) -> Self {
        Self { row: None, place, bytes: text.len(), content: Content::Text(text), children: Vec::new() }
    }
}

pub(super) enum Content {
    Text(Vec<u8>),
    /// Checked and packed already, to find out whether it is the last good record of its id.
    Packed(Box<Packed>),
}

/// A record ready to be written.
pub(super) struct Packed {
    record: PackedRecord,
    credentials_dropped: u64,
}

enum PackedRecord {
    Release(PackedRelease),
    Artifact(Box<PackedArtifact>),
}

impl Packed {
    pub(super) fn new(text: &[u8]) -> Result<Self, String> {
        let (record, credentials_dropped) =
            match Record::check(text).map_err(|problem| problem.to_string())? {
                Record::Release(release) => {
                    let unstorable = |unstorable| format!("release {:?}: {unstorable}", release.release_id);
                    let packed = PackedRelease::new(&release).map_err(unstorable)?;
                    (PackedRecord::Release(packed), release.credentials_dropped)
                }
                Record::Artifact(artifact) => {
                    let (artifact_id, dropped) = (artifact.artifact_id.clone(), artifact.credentials_dropped);
                    let unstorable = |unstorable| format!("artifact {artifact_id:?}: {unstorable}");
                    (
                        PackedRecord::Artifact(Box::new(PackedArtifact::new(*artifact).map_err(unstorable)?)),
                        dropped,
                    )
                }
            };
        Ok(Self { record, credentials_dropped: credentials_dropped as u64 })
    }

    fn for_task(self, task: Task) -> Self {
        if !matches!(task, Task::Import { emptying: Emptying::HeldBack, .. }) {
            return self;
        }
        let record = match self.record {
            PackedRecord::Release(release) => PackedRecord::Release(release.without_emptying()),
            PackedRecord::Artifact(artifact) => PackedRecord::Artifact(Box::new(artifact.without_emptying())),
        };
        Self { record, ..self }
    }

    /// The row in which the record is counted if it does not come from Zadig's database.
    pub(super) fn row(&self) -> &'static str {
        match self.record {
            PackedRecord::Release(_) => RELEASES_ROW,
            PackedRecord::Artifact(_) => ARTIFACTS_ROW,
        }
    }
}

/// What is needed to count a packed record once its fate is known.
struct Counted {
    row: &'static str,
    id: String,
    children: Vec<(Collection, u64)>,
}

/// What became of a packed record.
enum Fate {
    Stored,
    Unchanged,
    Deleted,
    /// It would empty this section.
    HeldBack(&'static str),
    Differs(String),
    /// What is stored of it cannot be read, and is therefore not replaced.
    Unreadable(String),
}

#[derive(Default)]
struct PackedBatch {
    releases: Vec<PackedRelease>,
    artifacts: Vec<PackedArtifact>,
    /// What counts the releases, and then the artifacts.
    counted: [Vec<Counted>; 2],
    bytes: u64,
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
        journal.add(row, packed.credentials_dropped, |counts| &mut counts.credentials_dropped);
        match packed.record {
            PackedRecord::Release(release) => {
                let id = release.release_id().to_owned();
                self.releases.push(release);
                self.counted[0].push(Counted { row, id, children });
            }
            PackedRecord::Artifact(artifact) => {
                let id = artifact.artifact.artifact_id.clone();
                self.artifacts.push(*artifact);
                self.counted[1].push(Counted { row, id, children });
            }
        }
    }

    /// What became of the releases, then of the artifacts, and how many recorded activities each holds. A
    /// stored record that cannot be read is the fate of that one record; any other error ends the whole
    /// import.
    async fn write_or_compare(&self, writer: &Writer, task: Task) -> Result<Vec<(Fate, usize)>, StoreError> {
        let mut fates: Vec<Result<(Fate, usize), StoreError>> = Vec::new();
        match task {
            Task::Import { mode, recorded, .. } => {
                let releases = writer.put_releases(&self.releases, mode).await;
                fates.extend(releases.into_iter().map(|put| put.map(|outcome| (outcome.into(), 0))));
                let artifacts = writer.put_artifacts(&self.artifacts, mode, recorded).await;
                let fate = |put: StoredOutcome| (put.outcome.into(), put.recorded_kept);
                fates.extend(artifacts.into_iter().map(|put| put.map(fate)));
            }
            Task::Verify => {
                let releases = writer.compare_releases(&self.releases).await;
                fates.extend(releases.into_iter().map(|compared| compared.map(|found| (found.into(), 0))));
                let artifacts = writer.compare_artifacts(&self.artifacts).await;
                let fate = |(found, recorded): (Comparison, usize)| (found.into(), recorded);
                fates.extend(artifacts.into_iter().map(|compared| compared.map(fate)));
            }
        }
        let told = fates.into_iter().map(|fate| match fate {
            Err(error @ (StoreError::UnreadableRecord { .. } | StoreError::Unstorable { .. })) => {
                Ok((Fate::Unreadable(error.to_string()), 0))
            }
            fate => fate,
        });
        told.collect()
    }
}

/// The row in which a refused record is counted. A look at its beginning is good enough for that.
pub(super) fn row_of_refused(text: &[u8]) -> &'static str {
    let head = &text[..text.len().min(64)];
    let is_release = head.windows(13).any(|word| word == b"\"versionInfo\"");
    if is_release { RELEASES_ROW } else { RECORDS_ROW }
}

impl From<Outcome> for Fate {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Stored => Self::Stored,
            Outcome::Unchanged => Self::Unchanged,
            Outcome::Deleted => Self::Deleted,
            Outcome::WouldEmpty(section) => Self::HeldBack(section),
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

/// Counts a record, and with it its children, which share its fate.
fn count(journal: &Journal, counted: &Counted, fate: &Fate, recorded: usize) {
    let Counted { row, id, children } = counted;
    let became: Column = match fate {
        Fate::Stored => |counts| &mut counts.stored,
        Fate::Unchanged => |counts| &mut counts.unchanged,
        Fate::Deleted => |counts| &mut counts.deleted,
        Fate::HeldBack(section) => {
            let reason = format!(
                "it has no {section}, but the stored one has; --allow-emptying stores it all the same"
            );
            journal.held_back(row, id, &reason);
            |counts| &mut counts.held_back
        }
        Fate::Differs(reason) => {
            journal.differing(row, id, reason);
            |counts| &mut counts.differing
        }
        Fate::Unreadable(reason) => {
            journal.unreadable(row, id, reason);
            |counts| &mut counts.refused
        }
    };
    journal.add(row, recorded as u64, |counts| &mut counts.recorded_kept);
    journal.count(row, 1, became);
    journal.count_children(children, became);
}
