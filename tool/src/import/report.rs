//! What an import or a verification did: counts by collection, and every record that needs a look.
//!
//! The lists are kept on disk: there may be a million orphans.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Seek as _, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::json;

use crate::input::collection::Collection;

/// Where releases and artifacts in the reference page's JSON are counted; others are under their collection's name.
pub(super) const RELEASES_ROW: &str = "releases";
pub(super) const ARTIFACTS_ROW: &str = "artifacts";
/// Where a record is counted that cannot be told for either.
pub(super) const RECORDS_ROW: &str = "records";

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
    /// Good records that were not taken, lest something be lost.
    pub held_back: u64,
    /// Records whose id came before in the same import: the last one stays.
    pub repeated: u64,
    /// Credentials that were left out.
    pub credentials_dropped: u64,
    /// Activities that pipelines recorded, and that stayed.
    pub recorded_kept: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let Self {
            read,
            stored,
            unchanged,
            deleted,
            refused,
            held_back,
            repeated,
            credentials_dropped,
            recorded_kept,
        } = self;
        write!(
            formatter,
            "read {read}, stored {stored}, unchanged {unchanged}, deleted {deleted}, refused {refused}"
        )?;
        if *held_back > 0 {
            write!(formatter, ", held back {held_back}")?;
        }
        if *repeated > 0 {
            write!(
                formatter,
                "\nids that came more than once: {repeated} earlier records gave way to the last one"
            )?;
        }
        if *credentials_dropped > 0 {
            write!(formatter, "\ncredentials found in commits and left out: {credentials_dropped}")?;
        }
        if *recorded_kept > 0 {
            write!(formatter, "\nactivities that pipelines recorded, kept: {recorded_kept}")?;
        }
        Ok(())
    }
}

/// What became of the records of one collection.
///
/// `read` is the sum of the others but `credentials_dropped` and `recorded_kept`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Records read, good or bad.
    pub read: u64,
    /// New or changed records; in a verification, none.
    pub stored: u64,
    /// Records that were there as they are.
    pub unchanged: u64,
    /// In a verification, records that are not stored as the source has them.
    pub differing: u64,
    /// Soft-deleted records, and those that went with them.
    pub deleted: u64,
    /// Records that were not taken.
    pub refused: u64,
    /// Good records that were not taken, lest something be lost.
    pub held_back: u64,
    /// Records whose release or artifact is not there.
    pub orphaned: u64,
    /// Records whose id came again later: the last one stays.
    pub repeated: u64,
    /// Credentials that were left out.
    pub credentials_dropped: u64,
    /// Activities that pipelines recorded, and that stayed.
    pub recorded_kept: u64,
}

/// Releases or artifacts that were not taken for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldBack {
    /// Where they are counted.
    pub row: &'static str,
    /// Why.
    pub reason: String,
    /// How many there are.
    pub records: u64,
    /// The id of the first one.
    pub first: String,
}

impl fmt::Display for HeldBack {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let Self { row, reason, records, first } = self;
        write!(formatter, "held back {records} of {row}, {first} first: {reason}")
    }
}

/// What was done.
#[derive(Debug)]
pub struct Report {
    counts: BTreeMap<&'static str, Counts>,
    held_back: Vec<HeldBack>,
    held_back_ids: Option<File>,
    refused: Option<File>,
    orphaned: Option<File>,
    differing: Option<File>,
}

impl Report {
    /// One collection's counts: by its name in Zadig's database, or `releases`, `artifacts` and `records`.
    #[must_use]
    pub fn counts(&self, row: &str) -> Counts {
        self.counts.get(row).copied().unwrap_or_default()
    }

    /// The rows that there are, in order.
    pub fn rows(&self) -> impl Iterator<Item = (&'static str, Counts)> {
        let collections = Collection::ALL.into_iter().map(Collection::name);
        let rows = collections.chain([RELEASES_ROW, ARTIFACTS_ROW, RECORDS_ROW]);
        rows.filter_map(|row| Some((row, *self.counts.get(row)?)))
    }

    /// Everything together.
    #[must_use]
    pub fn totals(&self) -> Counts {
        self.counts.values().fold(Counts::default(), |sum, counts| Counts {
            read: sum.read + counts.read,
            stored: sum.stored + counts.stored,
            unchanged: sum.unchanged + counts.unchanged,
            differing: sum.differing + counts.differing,
            deleted: sum.deleted + counts.deleted,
            refused: sum.refused + counts.refused,
            held_back: sum.held_back + counts.held_back,
            orphaned: sum.orphaned + counts.orphaned,
            repeated: sum.repeated + counts.repeated,
            credentials_dropped: sum.credentials_dropped + counts.credentials_dropped,
            recorded_kept: sum.recorded_kept + counts.recorded_kept,
        })
    }

    /// The totals of an import.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let Counts {
            read,
            stored,
            unchanged,
            deleted,
            refused,
            held_back,
            repeated,
            credentials_dropped,
            recorded_kept,
            ..
        } = self.totals();
        Summary {
            read,
            stored,
            unchanged,
            deleted,
            refused,
            held_back,
            repeated,
            credentials_dropped,
            recorded_kept,
        }
    }

    /// What was held back, reason by reason.
    #[must_use]
    pub fn held_back(&self) -> &[HeldBack] {
        &self.held_back
    }

    /// Writes all of it as JSON: `action`, `collections`, and the lists `refused`, `held_back`, `orphaned` and `differing`.
    ///
    /// # Errors
    /// The operating system's.
    pub fn write(&mut self, path: &Path, action: &str) -> io::Result<()> {
        let mut out = BufWriter::new(File::create(path)?);
        write!(out, "{{\"action\":{},\"collections\":{{", json!(action))?;
        for (index, (row, counts)) in self.rows().enumerate() {
            let separator = if index > 0 { "," } else { "" };
            write!(out, "{separator}\n{}:{}", json!(row), serde_json::to_string(&counts)?)?;
        }
        out.write_all(b"}")?;
        let lists = [
            ("refused", &mut self.refused),
            ("held_back", &mut self.held_back_ids),
            ("orphaned", &mut self.orphaned),
            ("differing", &mut self.differing),
        ];
        for (name, list) in lists {
            write!(out, ",\n{}:[", json!(name))?;
            if let Some(list) = list {
                list.rewind()?;
                io::copy(list, &mut out)?;
            }
            out.write_all(b"]")?;
        }
        out.write_all(b"}\n")?;
        out.flush()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        type Column = (&'static str, fn(&Counts) -> u64);
        let columns: [Column; 11] = [
            ("read", |counts| counts.read),
            ("stored", |counts| counts.stored),
            ("unchanged", |counts| counts.unchanged),
            ("differing", |counts| counts.differing),
            ("deleted", |counts| counts.deleted),
            ("refused", |counts| counts.refused),
            ("held back", |counts| counts.held_back),
            ("orphaned", |counts| counts.orphaned),
            ("repeated", |counts| counts.repeated),
            ("credentials dropped", |counts| counts.credentials_dropped),
            ("recorded kept", |counts| counts.recorded_kept),
        ];
        let totals = self.totals();
        let shown: Vec<_> = columns
            .into_iter()
            .filter(|(name, count)| matches!(*name, "read" | "unchanged") || count(&totals) > 0)
            .collect();
        write!(formatter, "{:20}", "")?;
        for (name, _) in &shown {
            write!(formatter, " {name:>10}")?;
        }
        for (row, counts) in self.rows() {
            write!(formatter, "\n{row:20}")?;
            for (name, count) in &shown {
                write!(formatter, " {:>width$}", count(&counts), width = name.len().max(10))?;
            }
        }
        Ok(())
    }
}

/// A report in the making, shared by everything that reads and writes.
pub(super) struct Journal {
    pub(super) progress: Arc<dyn Progress>,
    counts: Mutex<BTreeMap<&'static str, Counts>>,
    held_back: Mutex<Vec<HeldBack>>,
    held_back_ids: ListOnDisk,
    refused: ListOnDisk,
    orphaned: ListOnDisk,
    differing: ListOnDisk,
}

/// JSON values with commas between them, in a file without a name.
#[derive(Default)]
struct ListOnDisk(Mutex<Option<BufWriter<File>>>);

impl ListOnDisk {
    fn push(&self, entry: &serde_json::Value) {
        let mut file = lock(&self.0);
        let separator = if file.is_some() { "," } else { "" };
        let written = match &mut *file {
            Some(file) => Ok(file),
            none => tempfile::tempfile().map(|new| none.insert(BufWriter::new(new))),
        };
        if let Err(error) = written.and_then(|file| write!(file, "{separator}\n{entry}")) {
            tracing::warn!(%error, "the report's lists are incomplete");
        }
    }

    fn finish(&self) -> Option<File> {
        lock(&self.0).take()?.into_inner().ok()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Journal {
    pub(super) fn new(progress: Arc<dyn Progress>) -> Self {
        Self {
            progress,
            counts: Mutex::default(),
            held_back: Mutex::default(),
            held_back_ids: ListOnDisk::default(),
            refused: ListOnDisk::default(),
            orphaned: ListOnDisk::default(),
            differing: ListOnDisk::default(),
        }
    }

    pub(super) fn count(&self, row: &'static str, count: impl FnOnce(&mut Counts)) {
        count(lock(&self.counts).entry(row).or_default());
    }

    pub(super) fn refused(&self, row: &'static str, place: &str, reason: &str) {
        self.count(row, |counts| {
            counts.read += 1;
            counts.refused += 1;
        });
        self.refused.push(&json!({"collection": row, "place": place, "reason": reason}));
        self.progress.refused(place, reason);
    }

    /// Counts what a refused record was joined from.
    pub(super) fn children_refused(&self, children: Vec<(Collection, u64)>) {
        for (collection, children) in children {
            self.count(collection.name(), |counts| {
                counts.read += children;
                counts.refused += children;
            });
        }
    }

    /// A good record that is not taken; whoever calls this counts it.
    pub(super) fn held_back(&self, row: &'static str, id: &str, reason: &str) {
        self.held_back_ids.push(&json!({"collection": row, "id": id, "reason": reason}));
        let mut held_back = lock(&self.held_back);
        // There are as many reasons as sections, and a few more.
        match held_back.iter_mut().find(|held| held.row == row && held.reason == reason) {
            Some(held) => held.records += 1,
            None => {
                let (reason, first) = (reason.to_owned(), id.to_owned());
                held_back.push(HeldBack { row, reason, records: 1, first });
            }
        }
    }

    pub(super) fn orphaned(&self, row: &'static str, id: &str, owner: Option<&str>) {
        self.count(row, |counts| {
            counts.read += 1;
            counts.orphaned += 1;
        });
        self.orphaned.push(&json!({"collection": row, "id": id, "belongs_to": owner}));
        self.progress.orphaned(row, id, owner);
    }

    /// A record that was not taken since what is stored of it cannot be read; whoever counts it counts it as refused.
    pub(super) fn unreadable(&self, row: &'static str, id: &str, reason: &str) {
        self.refused.push(&json!({"collection": row, "place": id, "reason": reason}));
        self.progress.refused(id, reason);
    }

    pub(super) fn differing(&self, row: &'static str, id: &str, reason: &str) {
        self.differing.push(&json!({"collection": row, "id": id, "reason": reason}));
        self.progress.differing(row, id, reason);
    }

    pub(super) fn finish(&self) -> Report {
        Report {
            counts: std::mem::take(&mut *lock(&self.counts)),
            held_back: std::mem::take(&mut *lock(&self.held_back)),
            held_back_ids: self.held_back_ids.finish(),
            refused: self.refused.finish(),
            orphaned: self.orphaned.finish(),
            differing: self.differing.finish(),
        }
    }
}
