//! Reads files of records in the reference page's JSON.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufRead, Seek as _};
use std::path::PathBuf;
use std::sync::Arc;

use super::batch::{Content, Found, Packed, row_of_refused};
use super::identity::{IdentityDigest, identity_of};
use super::pipeline::{ImportError, RECORDS_A_STEP, Sink};
use super::report::{Progress, RECORDS_ROW};
use crate::input::files::{CountedRead, inflated};
use crate::input::splitting::{RawRecord, ReadProblem, RecordReader};

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

/// Reads every record; ends early when nobody takes them any more.
pub(super) fn read(sources: &[Source], sink: &mut Sink) -> Result<(), ImportError> {
    let progress = Arc::clone(&sink.journal.progress);
    let (mut repeated, bytes) = Repeated::find(sources, progress.as_ref())?;
    progress.begins(sink.task.doing(), Some(bytes));
    for located in Located::of(sources, |_| {}) {
        let Located { ordinal, source, found } = located?;
        let record = match found {
            Ok(record) => record,
            Err(problem) => {
                let place = format!("{} {}", source.name, problem.place());
                sink.journal.refused(RECORDS_ROW, &place, &problem.reason());
                continue;
            }
        };
        let place = format!("{} {}", source.name, record.place);
        let found = match repeated.occurrence(&record.text) {
            None => Some(Found::of_text(place, record.text)),
            Some(occurrence) => occurrence.take(ordinal, place, &record.text, sink),
        };
        if let Some(found) = found
            && sink.push(found).is_break()
        {
            return Ok(());
        }
    }
    read_again(sources, &repeated.good_before_a_bad_last(), sink)
}

/// Takes the last good records of the ids whose very last one is bad, which is known only at the end.
fn read_again(sources: &[Source], ordinals: &HashSet<u64>, sink: &mut Sink) -> Result<(), ImportError> {
    if ordinals.is_empty() {
        return Ok(());
    }
    for located in Located::of(sources, |_| {}) {
        let Located { ordinal, source, found } = located?;
        if let Ok(record) = found
            && ordinals.contains(&ordinal)
            && sink.push(Found::of_text(format!("{} {}", source.name, record.place), record.text)).is_break()
        {
            return Ok(());
        }
    }
    Ok(())
}

/// A record, or what stands in its place, with its number among all of the sources.
struct Located<'a> {
    ordinal: u64,
    source: &'a Source,
    found: Result<RawRecord, ReadProblem>,
}

impl<'a> Located<'a> {
    /// Everything in the sources, in the same order every time; `count` is told of the bytes as they are read off the disk.
    fn of(
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

/// The identities that come more than once, good or bad. Only ordinals are held, since there may be very many.
struct Repeated(HashMap<IdentityDigest, Occurrences>);

struct Occurrences {
    last: u64,
    last_good: Option<u64>,
}

impl Repeated {
    /// Reads the sources for the first time, and tells also how many bytes their records have.
    fn find(sources: &[Source], progress: &dyn Progress) -> Result<(Self, u64), ImportError> {
        let (mut seen, mut repeated) = (HashSet::new(), HashMap::new());
        let lengths = sources.iter().filter_map(|source| source.length().ok());
        progress.begins("reading", Some(lengths.sum()));
        let mut bytes = 0;
        for located in Located::of(sources, |read| progress.bytes(read)) {
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

    /// The occurrences of a record that comes more than once.
    fn occurrence(&mut self, text: &[u8]) -> Option<&mut Occurrences> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get_mut(&identity_of(text)?)
    }

    fn good_before_a_bad_last(&self) -> HashSet<u64> {
        let occurrences = self.0.values();
        occurrences
            .filter_map(|Occurrences { last, last_good }| last_good.filter(|good| good < last))
            .collect()
    }
}

impl Occurrences {
    /// Checks one of them; only the last one is passed on.
    fn take(&mut self, ordinal: u64, place: String, text: &[u8], sink: &Sink) -> Option<Found> {
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
        Some(Found { row: None, place, bytes: text.len(), content, children: Vec::new() })
    }
}
