//! Reads records in the reference page's JSON.

use std::collections::{HashMap, HashSet};
use std::fs::File;

use ring::digest::{Context, SHA256};

use super::{Content, Found, ImportError, Packed, RECORDS_ROW, Sink, Source, row_of_refused};
use crate::input::files::with_source;
use crate::input::splitting::{RawRecord, ReadProblem, RecordReader};
use delivery_center::record::{Identity, Record};

/// A digest of kind and id: small, however many records there are.
pub(super) type IdentityDigest = [u8; 16];

/// Which record a text is, where it says so.
pub(super) fn identity_of(text: &[u8]) -> Option<IdentityDigest> {
    let (kind, id) = match Record::identity(text)? {
        Identity::Release(id) => ("release", id),
        Identity::Artifact(id) => ("artifact", id),
    };
    let mut digest = Context::new(&SHA256);
    for part in [kind, "\0", &id] {
        digest.update(part.as_bytes());
    }
    Some(digest.finish().as_ref()[..16].try_into().expect("a SHA-256 digest has more than 16 bytes"))
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

/// What stands where a record should, and its number among all of the sources.
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

/// The identities that come more than once, good or bad. Of each only ordinals are held: there may be as many as records.
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
    /// Checks one of them, and gives on the last one if it is good.
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
