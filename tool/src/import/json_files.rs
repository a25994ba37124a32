//! Reads files of records in the reference page's JSON.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Seek as _};
use std::path::PathBuf;
use std::sync::Arc;

use super::batch::{Content, Found, Packed, row_of_refused};
use super::identity::{IdentityDigest, identity_of};
use super::pipeline::{ImportError, Sink};
use super::report::RECORDS_ROW;
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
    let mut repeated = Repeated::find(sources)?;
    let bytes = sources.iter().filter_map(|source| source.length().ok()).sum();
    sink.journal.progress.begins("writing", Some(bytes));
    for located in Located::of(sources) {
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
    for located in Located::of(sources) {
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
    /// Everything in the sources, in the same order every time.
    fn of(sources: &'a [Source]) -> impl Iterator<Item = Result<Self, ImportError>> {
        let found = sources.iter().flat_map(|source| {
            let (reader, unopened) = match open(source) {
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

fn open(source: &Source) -> Result<RecordReader<File>, ImportError> {
    let file =
        source.open().map_err(|error| ImportError::Open { name: source.name.clone(), source: error })?;
    Ok(RecordReader::new(file))
}

/// The identities that come more than once, good or bad. Only ordinals are held, since there may be very many.
struct Repeated(HashMap<IdentityDigest, Occurrences>);

struct Occurrences {
    last: u64,
    last_good: Option<u64>,
}

impl Repeated {
    fn find(sources: &[Source]) -> Result<Self, ImportError> {
        let (mut seen, mut repeated) = (HashSet::new(), HashMap::new());
        for located in Located::of(sources) {
            let Located { ordinal, found, .. } = located?;
            let Some(identity) = found.ok().and_then(|record| identity_of(&record.text)) else { continue };
            if !seen.insert(identity) {
                repeated.insert(identity, Occurrences { last: ordinal, last_good: None });
            }
        }
        Ok(Self(repeated))
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
