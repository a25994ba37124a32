//! What an import or a verification did: counts by collection, and the records that somebody should look at.
//!
//! These records are written to the report's file as they are met, since there may be a million orphans.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, LineWriter, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::{Value, json};

use crate::input::zadig_collections::Collection;

/// The rows in which releases and artifacts in the API's JSON are counted. What comes from Zadig's database
/// is counted under the name of its collection.
pub(super) const RELEASES_ROW: &str = "releases";
pub(super) const ARTIFACTS_ROW: &str = "artifacts";
/// The row of files of the delivery centre that are not known.
pub(super) const FILES_ROW: &str = "unknown files";
/// The row of records in which neither a release nor an artifact can be recognized.
pub(super) const RECORDS_ROW: &str = "records";

/// Receives what an import reports while it runs.
pub trait Progress: Send + Sync {
    /// A record was not taken.
    fn refused(&self, place: &str, reason: &str);
    /// This many more records have been dealt with.
    fn done(&self, _records: u64) {}
    /// The release or artifact that a record belongs to is not in the input.
    fn orphaned(&self, _collection: &str) {}
    /// A record is not stored as the source has it.
    fn differing(&self, _collection: &str, _id: &str, _reason: &str) {}
    /// A stage of the work begins; `bytes` is how much it has to deal with, where that is known.
    fn begins(&self, _what: &'static str, _bytes: Option<u64>) {}
    /// This many more bytes of the stage have been dealt with.
    fn bytes(&self, _bytes: u64) {}
    /// There is something that the user should know.
    fn note(&self, _note: &str) {}
}

/// What became of the records of one collection.
///
/// `read` is the sum of all the others except `credentials_dropped` and `recorded_kept`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Records read, good or bad.
    pub read: u64,
    /// New or changed records; in a verification, none.
    pub stored: u64,
    /// Records that were already stored exactly as they are.
    pub unchanged: u64,
    /// In a verification, records that are not stored as the source has them.
    pub differing: u64,
    /// Soft-deleted records, and the records that belong to a soft-deleted one.
    pub deleted: u64,
    /// Records that were not taken.
    pub refused: u64,
    /// Good records that were not taken, because what is stored might lose something.
    pub held_back: u64,
    /// Records whose release or artifact is not there.
    pub orphaned: u64,
    /// Records whose id came again later; the last record of an id counts.
    pub repeated: u64,
    /// Records of Zadig 4 of a release that the database has from before, too. That one counts.
    pub same_release: u64,
    /// Credentials that were left out.
    pub credentials_dropped: u64,
    /// Activities that pipelines recorded, and that were kept.
    pub recorded_kept: u64,
}

/// One of the counts.
pub(super) type Column = fn(&mut Counts) -> &mut u64;

/// All of them, with their headings in a report.
const COLUMNS: [(&str, Column); 12] = [
    ("read", |counts| &mut counts.read),
    ("stored", |counts| &mut counts.stored),
    ("unchanged", |counts| &mut counts.unchanged),
    ("differing", |counts| &mut counts.differing),
    ("deleted", |counts| &mut counts.deleted),
    ("refused", |counts| &mut counts.refused),
    ("held back", |counts| &mut counts.held_back),
    ("orphaned", |counts| &mut counts.orphaned),
    ("repeated", |counts| &mut counts.repeated),
    ("the same release", |counts| &mut counts.same_release),
    ("credentials dropped", |counts| &mut counts.credentials_dropped),
    ("recorded kept", |counts| &mut counts.recorded_kept),
];

fn number(mut counts: Counts, column: Column) -> u64 {
    *column(&mut counts)
}

/// The totals of an import, in a few lines.
impl fmt::Display for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let Self { read, stored, unchanged, deleted, refused, held_back, repeated, .. } = self;
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
        if self.credentials_dropped > 0 {
            let dropped = self.credentials_dropped;
            write!(formatter, "\ncredentials found in builds, activities and URLs, and left out: {dropped}")?;
        }
        if self.recorded_kept > 0 {
            write!(formatter, "\nactivities that pipelines recorded, kept: {}", self.recorded_kept)?;
        }
        Ok(())
    }
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
        write!(formatter, "held back {records} of {row}, the first is {first}: {reason}")
    }
}

/// What an import or a verification did: its counts, what it held back, and the file that the report goes to.
#[derive(Debug, Default)]
pub struct Report {
    counts: BTreeMap<&'static str, Counts>,
    held_back: Vec<HeldBack>,
    file: Option<ReportFile>,
}

/// The file that a report is written to: JSON Lines.
#[derive(Debug)]
pub struct ReportFile {
    lines: LineWriter<File>,
    /// Why a line could not be written.
    failure: Option<io::Error>,
}

impl ReportFile {
    /// Creates the file. It is created before anything else is done, so that a path that cannot be written is
    /// reported at once.
    ///
    /// # Errors
    /// The operating system's.
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { lines: LineWriter::new(File::create(path)?), failure: None })
    }

    fn push(&mut self, line: &Value) {
        if self.failure.is_none() {
            self.failure = writeln!(self.lines, "{line}").err();
        }
    }
}

impl Report {
    /// One collection's counts: by its name in Zadig's database, or `releases`, `artifacts` and `records`.
    pub fn counts(&self, row: &str) -> Counts {
        self.counts.get(row).copied().unwrap_or_default()
    }

    /// Everything together.
    pub fn totals(&self) -> Counts {
        let mut totals = Counts::default();
        for counts in self.counts.values() {
            for (_, column) in COLUMNS {
                *column(&mut totals) += number(*counts, column);
            }
        }
        totals
    }

    /// `delivery_version` or `artifact`, if nothing of it was read although records were read that belong to
    /// it, and how many such records there are. A dump like that is not complete.
    pub fn missing_owners(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let owners = [Collection::Version, Collection::Artifact].into_iter();
        owners.filter_map(|owner| {
            let belongs = |collection: &Collection| *collection != owner && collection.owner() == owner;
            let orphaned = Collection::ALL.into_iter().filter(belongs);
            let orphaned = orphaned.map(|collection| self.counts(collection.name()).orphaned).sum::<u64>();
            (self.counts(owner.name()).read == 0 && orphaned > 0).then_some((owner.name(), orphaned))
        })
    }

    /// Whether releases were read if any records belong to releases, and artifacts if any belong to artifacts.
    pub fn is_whole(&self) -> bool {
        self.missing_owners().next().is_none()
    }

    /// The records that were held back, by reason.
    pub fn held_back(&self) -> &[HeldBack] {
        &self.held_back
    }

    /// Writes the last line of the report, where a file was given for it: `action` and `collections`, their
    /// counts.
    ///
    /// # Errors
    /// The operating system's, also if an earlier line could not be written. The report is incomplete then.
    pub fn write_summary(&mut self, action: &str) -> io::Result<()> {
        let Some(mut file) = self.file.take() else { return Ok(()) };
        file.push(&json!({"action": action, "collections": self.counts}));
        file.failure.map_or(Ok(()), Err)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let totals = self.totals();
        let shown: Vec<_> = COLUMNS
            .into_iter()
            .filter(|(name, column)| matches!(*name, "read" | "unchanged") || number(totals, *column) > 0)
            .collect();
        write!(formatter, "{:20}", "")?;
        for (name, _) in &shown {
            write!(formatter, " {name:>10}")?;
        }
        let rows = Collection::ALL.map(Collection::name).into_iter();
        for row in rows.chain([RELEASES_ROW, ARTIFACTS_ROW, RECORDS_ROW, FILES_ROW]) {
            let Some(counts) = self.counts.get(row) else { continue };
            write!(formatter, "\n{row:20}")?;
            for (name, column) in &shown {
                write!(formatter, " {:>width$}", number(*counts, *column), width = name.len().max(10))?;
            }
        }
        Ok(())
    }
}

/// Collects the report. Everything that reads and writes shares it.
pub(super) struct Journal {
    pub(super) progress: Arc<dyn Progress>,
    report: Mutex<Report>,
}

impl Journal {
    pub(super) fn new(progress: Arc<dyn Progress>, file: Option<ReportFile>) -> Self {
        Self { progress, report: Mutex::new(Report { file, ..Report::default() }) }
    }

    fn report(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line to the report, where one is wanted.
    fn write(&self, line: &Value) {
        if let Some(file) = &mut self.report().file {
            file.push(line);
        }
    }

    /// Adds to one of the counts.
    pub(super) fn add(&self, row: &'static str, number: u64, column: Column) {
        *column(self.report().counts.entry(row).or_default()) += number;
    }

    /// Counts records that were read, by what became of them.
    pub(super) fn count(&self, row: &'static str, records: u64, became: Column) {
        self.add(row, records, |counts| &mut counts.read);
        self.add(row, records, became);
    }

    /// Counts the children of a record, which share its fate.
    pub(super) fn count_children(&self, children: &[(Collection, u64)], became: Column) {
        for (collection, records) in children {
            self.count(collection.name(), *records, became);
        }
    }

    pub(super) fn refused(&self, row: &'static str, place: &str, reason: &str) {
        self.count(row, 1, |counts| &mut counts.refused);
        self.write(&json!({"outcome": "refused", "collection": row, "place": place, "reason": reason}));
        self.progress.refused(place, reason);
    }

    /// Lists a good record that is not taken. The caller counts it.
    pub(super) fn held_back(&self, row: &'static str, id: &str, reason: &str) {
        self.write(&json!({"outcome": "held_back", "collection": row, "id": id, "reason": reason}));
        let held_back = &mut self.report().held_back;
        // There are only a few more reasons than sections, so a search is fast enough.
        let known = held_back.iter_mut().find(|held| held.row == row && held.reason == reason);
        if let Some(known) = known {
            known.records += 1;
        } else {
            let (reason, first) = (reason.to_owned(), id.to_owned());
            held_back.push(HeldBack { row, reason, records: 1, first });
        }
    }

    pub(super) fn orphaned(&self, row: &'static str, id: &str, owner: Option<&str>) {
        self.count(row, 1, |counts| &mut counts.orphaned);
        self.write(&json!({"outcome": "orphaned", "collection": row, "id": id, "belongs_to": owner}));
        self.progress.orphaned(row);
    }

    /// Lists a record that was not taken, since what is stored of it cannot be read. The caller counts it as
    /// refused.
    pub(super) fn unreadable(&self, row: &'static str, id: &str, reason: &str) {
        self.write(&json!({"outcome": "refused", "collection": row, "id": id, "reason": reason}));
        self.progress.refused(id, reason);
    }

    pub(super) fn differing(&self, row: &'static str, id: &str, reason: &str) {
        self.write(&json!({"outcome": "differing", "collection": row, "id": id, "reason": reason}));
        self.progress.differing(row, id, reason);
    }

    pub(super) fn finish(&self) -> Report {
        std::mem::take(&mut *self.report())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::import) struct Silent;

    impl Progress for Silent {
        fn refused(&self, _place: &str, _reason: &str) {}
        fn done(&self, _records: u64) {}
    }

    #[test]
    fn a_report_has_each_record_as_soon_as_it_is_met_and_ends_with_the_counts() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("report");
        let journal = Journal::new(Arc::new(Silent), Some(ReportFile::create(&path).unwrap()));
        journal.refused(RELEASES_ROW, "line 1", "it has no id");
        let line =
            r#"{"outcome":"refused","collection":"releases","place":"line 1","reason":"it has no id"}"#;
        let line = format!(
            "{line}
"
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), line);
        journal.finish().write_summary("import").unwrap();
        let written = std::fs::read_to_string(&path).unwrap();
        let summary: Value = serde_json::from_str(written.strip_prefix(&line).unwrap()).unwrap();
        assert_eq!(summary["collections"]["releases"]["refused"], 1);
    }

    #[test]
    fn a_line_that_cannot_be_written_makes_the_report_fail() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("report");
        std::fs::write(&path, "").unwrap();
        let lines = LineWriter::new(File::open(&path).unwrap());
        let file = ReportFile { lines, failure: None };
        let journal = Journal::new(Arc::new(Silent), Some(file));
        journal.refused(RELEASES_ROW, "line 1", "it is bad");
        assert!(journal.finish().write_summary("import").is_err(), "the file cannot be written");
    }
}
