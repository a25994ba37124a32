//! Reads records in the reference page's JSON.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::BufReader;

use sha2::{Digest as _, Sha256};

use super::{Content, Found, ImportError, Packed, RECORDS_ROW, Sink, Source, row_of_refused};
use crate::json_records::RecordReader;
use crate::record::{Identity, Record};
use crate::zadig::files::with_source;

const READ_BUFFER_BYTES: usize = 1 << 20;

/// A digest of kind and id: small, however many records there are.
pub(super) type IdentityDigest = [u8; 16];

/// Which record a text is, where it says so.
pub(super) fn identity_of(text: &[u8]) -> Option<IdentityDigest> {
    let (kind, id) = match Record::identity(text)? {
        Identity::Release(id) => ("release", id),
        Identity::Artifact(id) => ("artifact", id),
    };
    let digest = Sha256::new().chain_update(kind).chain_update([0]).chain_update(id).finalize();
    Some(digest[..16].try_into().expect("a SHA-256 digest has more than 16 bytes"))
}

/// Reads every record; ends early when nobody takes them any more.
pub(super) fn read(sources: &[Source], sink: &mut Sink) -> Result<(), ImportError> {
    let repeated = repeated(sources)?;
    let bytes = sources.iter().filter_map(|source| source.length().ok()).sum();
    sink.journal.progress.begins("writing", Some(bytes));
    // Records of ids that come more than once, until it is known which is the last good one.
    let mut held = Held::default();
    for source in sources {
        for found in open(source)? {
            let record = match found {
                Ok(record) => record,
                Err(problem) => {
                    let place = format!("{} {}", source.name, problem.place());
                    sink.journal.refused(RECORDS_ROW, &place, &with_source(&problem));
                    continue;
                }
            };
            let place = format!("{} {}", source.name, record.place);
            let identity = if repeated.is_empty() { None } else { identity_of(&record.text) };
            if let Some(identity) = identity.filter(|identity| repeated.contains(identity)) {
                held.add(identity, place, &record.text, sink);
            } else if sink.push(Found::of_text(place, record.text)).is_err() {
                return Ok(());
            }
        }
    }
    for found in held.0.into_values() {
        if sink.push(found).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn open(source: &Source) -> Result<RecordReader<BufReader<File>>, ImportError> {
    let file =
        source.open().map_err(|error| ImportError::Open { name: source.name.clone(), source: error })?;
    Ok(RecordReader::new(BufReader::with_capacity(READ_BUFFER_BYTES, file)))
}

/// The identities that come more than once, good or bad.
fn repeated(sources: &[Source]) -> Result<HashSet<IdentityDigest>, ImportError> {
    let (mut seen, mut repeated) = (HashSet::new(), HashSet::new());
    for source in sources {
        for record in open(source)?.flatten() {
            let Some(identity) = identity_of(&record.text) else { continue };
            if !seen.insert(identity) {
                repeated.insert(identity);
            }
        }
    }
    Ok(repeated)
}

/// The last good record of each id that comes more than once.
#[derive(Default)]
struct Held(HashMap<IdentityDigest, Found>);

impl Held {
    fn add(&mut self, identity: IdentityDigest, place: String, text: &[u8], sink: &Sink) {
        let packed = match Packed::new(text) {
            Ok(packed) => packed,
            Err(reason) => return sink.journal.refused(row_of_refused(text), &place, &reason),
        };
        let row = packed.row();
        let bytes = text.len();
        let content = Content::Packed(Box::new(packed));
        let found = Found { row: None, place, bytes, content, children: Vec::new() };
        if self.0.insert(identity, found).is_some() {
            sink.journal.count(row, |counts| {
                counts.read += 1;
                counts.repeated += 1;
            });
        }
    }
}
