//! Reads files of records in the API's JSON.
//!
//! Of several records with one id, only the last good one is stored. Which one is the last good one is known only after
//! all were checked, so the files are read up to three times:
//!
//! 1. `Repeated::find` finds the ids that come more than once.
//! 2. `read` passes on every record whose id comes once. A record of a repeated id is checked at once, and passed on only if
//!    it is the very last of its id, and good.
//! 3. If the very last one is bad, the last good one before it was not passed on. `read_again` passes it on.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufRead, Seek as _};
use std::path::PathBuf;
use std::sync::Arc;

use super::batch::{Content, InputRecord, Packed, row_of_refused};
use super::identity::{IdentityDigest, identity_of};
use super::pipeline::{ImportError, RECORDS_A_STEP, Sink};
use super::report::{Progress, RECORDS_ROW};
use crate::input::files::{CountedRead, inflated};
use crate::input::splitting::{RawRecord, ReadProblem, RecordReader};

/// A file of records, which can be read more than once.
#[derive(Debug, Clone)]
pub struct Source {
    /// The name under which problems are reported.
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
    pub fn at(name: String, path: PathBuf) -> Self {
        Self { name, file: SourceFile::At(path) }
    }

    /// A copy of an input that can be read only once. The copy needs no path: it may be a temporary file without a name, which
    /// is gone when the process ends.
    pub fn copied(name: String, copy: File) -> Self {
        Self { name, file: SourceFile::Copy(Arc::new(copy)) }
    }

    /// Opens it at its beginning. All readers of a copy share one position, so only one may read at a time.
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

/// Reads every record and passes on those that count; ends early when nobody takes them any more.
pub(super) fn read(sources: &[Source], sink: &mut Sink) -> Result<(), ImportError> {
    let progress = Arc::clone(&sink.journal.progress);
    let (mut repeated, bytes) = Repeated::find(sources, progress.as_ref())?;
    progress.begins(sink.task.progress_label(), Some(bytes));
    for located in Located::read_all(sources, |_| {}) {
        let Located { ordinal, source, found } = located?;
        let record = match found {
            Ok(record) => record,
            Err(problem) => {
                let place = format!("{} {}", source.name, problem.place);
                sink.journal.refused(RECORDS_ROW, &place, &problem.reason);
                continue;
            }
        };
        let place = format!("{} {}", source.name, record.place);
        let found = match repeated.occurrences_of(&record.text) {
            None => Some(InputRecord::from_text(place, record.text)),
            Some(occurrences) => occurrences.check(ordinal, place, &record.text, sink),
        };
        if let Some(found) = found
            && sink.push(found).is_break()
        {
            return Ok(());
        }
    }
    read_again(sources, &repeated.last_good_not_passed_on(), sink)
}

/// Passes on the records with these numbers.
fn read_again(sources: &[Source], ordinals: &HashSet<u64>, sink: &mut Sink) -> Result<(), ImportError> {
    if ordinals.is_empty() {
        return Ok(());
    }
    for located in Located::read_all(sources, |_| {}) {
        let Located { ordinal, source, found } = located?;
        if let Ok(record) = found
            && ordinals.contains(&ordinal)
            && sink
                .push(InputRecord::from_text(format!("{} {}", source.name, record.place), record.text))
                .is_break()
        {
            return Ok(());
        }
    }
    Ok(())
}

/// A record, or a problem in its place, with its number among the records of all sources.
struct Located<'a> {
    ordinal: u64,
    source: &'a Source,
    found: Result<RawRecord, ReadProblem>,
}

impl<'a> Located<'a> {
    /// Reads everything in the sources, in the same order every time; `count` is called with the number of bytes of every read
    /// from disk.
    fn read_all(
        sources: &'a [Source],
        count: impl Fn(u64) + Copy + 'a,
    ) -> impl Iterator<Item = Result<Self, ImportError>> {
        let found = sources.iter().flat_map(move |source| {
            let (reader, unopened) = match open(source, count) {
                Ok(reader) => (Some(reader), None),
                Err(error) => (None, Some(Err(error))),
            };
            let found = reader.into_iter().flatten().map(move |found| Ok((source, found)));
            unopened.into_iter().chain(found)
        });
        (0..)
            .zip(found)
            .map(|(ordinal, located)| located.map(|(source, found)| Self { ordinal, source, found }))
    }
}

fn open<'a>(
    source: &Source,
    count: impl Fn(u64) + 'a,
) -> Result<RecordReader<Box<dyn BufRead + 'a>>, ImportError> {
    let input = source.open().and_then(|input| inflated(CountedRead { input, count }));
    let input = input.map_err(|error| ImportError::Open { name: source.name.clone(), source: error })?;
    Ok(RecordReader::new(input))
}

/// The records that come more than once, good or bad. Only their numbers are held, since there may be very many.
struct Repeated(HashMap<IdentityDigest, Occurrences>);

/// The number of the last record of one id, and of its last good one.
struct Occurrences {
    last: u64,
    /// The last good one among those that were checked so far.
    last_good: Option<u64>,
}

impl Repeated {
    /// Reads the sources for the first time. Also tells how many bytes their records have together.
    fn find(sources: &[Source], progress: &dyn Progress) -> Result<(Self, u64), ImportError> {
        let (mut seen, mut repeated) = (HashSet::new(), HashMap::new());
        let lengths = sources.iter().filter_map(|source| source.length().ok());
        progress.begins("reading", Some(lengths.sum()));
        let mut bytes = 0;
        for located in Located::read_all(sources, |read| progress.bytes(read)) {
            let Located { ordinal, found, .. } = located?;
            if (ordinal + 1) % RECORDS_A_STEP == 0 {
                progress.done(RECORDS_A_STEP);
            }
            let Ok(record) = found else { continue };
            bytes += record.text.len() as u64;
            let Some(identity) = identity_of(&record.text) else { continue };
            if !seen.insert(identity) {
                repeated.insert(identity, Occurrences { last: ordinal, last_good: None });
            }
        }
        Ok((Self(repeated), bytes))
    }

    /// The occurrences of a record; `None` where its id comes only once.
    fn occurrences_of(&mut self, text: &[u8]) -> Option<&mut Occurrences> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get_mut(&identity_of(text)?)
    }

    /// The numbers of the last good records of those ids whose very last record is bad.
    fn last_good_not_passed_on(&self) -> HashSet<u64> {
        let occurrences = self.0.values();
        occurrences
            .filter_map(|Occurrences { last, last_good }| last_good.filter(|good| good < last))
            .collect()
    }
}

impl Occurrences {
    /// Checks one of the records, and counts it. Gives the record only if it is the very last one, and good.
    fn check(&mut self, ordinal: u64, place: String, text: &[u8], sink: &Sink) -> Option<InputRecord> {
        let packed = match Packed::new(text) {
            Ok(packed) => packed,
            Err(reason) => {
                sink.journal.refused(row_of_refused(text), &place, &reason);
                sink.journal.progress.bytes(text.len() as u64);
                return None;
            }
        };
        if self.last_good.replace(ordinal).is_some() {
            sink.journal.count(packed.row(), |counts| {
                counts.read += 1;
                counts.repeated += 1;
            });
        }
        if ordinal < self.last {
            sink.journal.progress.bytes(text.len() as u64);
            return None;
        }
        let content = Content::Packed(Box::new(packed));
        Some(InputRecord { row: None, place, bytes: text.len(), content, children: Vec::new() })
    }
}
