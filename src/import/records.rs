//! Reads records in the reference page's JSON.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::BufReader;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{Content, Found, ImportError, Packed, RECORDS_ROW, Sink, Source, row_of_refused};
use crate::json_records::RecordReader;
use crate::zadig::files::with_source;

const READ_BUFFER_BYTES: usize = 1 << 20;

/// A digest of kind and id: small, however many records there are.
pub(super) type Identity = [u8; 16];

fn identity(kind: &str, id: &str) -> Identity {
    let digest = Sha256::new().chain_update(kind).chain_update([0]).chain_update(id).finalize();
    digest[..16].try_into().expect("a SHA-256 digest has more than 16 bytes")
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

/// Which record a text is, where it says so.
pub(super) fn identity_of(text: &[u8]) -> Option<Identity> {
    let identified: Identified = serde_json::from_slice(text).ok()?;
    match (identified.version_info, identified.id) {
        (Some(version_info), _) => Some(identity("release", &version_info.id)),
        (None, Some(id)) => Some(identity("artifact", &id)),
        (None, None) => None,
    }
}

/// Reads every record; ends early when nobody takes them any more.
pub(super) fn read(sources: &[Source], sink: &mut Sink) -> Result<(), ImportError> {
    let repeated = repeated(sources)?;
    let bytes = sources.iter().filter_map(|source| Some(source.path.metadata().ok()?.len())).sum();
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
    let file = File::open(&source.path)
        .map_err(|error| ImportError::Open { name: source.name.clone(), source: error })?;
    Ok(RecordReader::new(BufReader::with_capacity(READ_BUFFER_BYTES, file)))
}

/// The identities that come more than once, good or bad.
fn repeated(sources: &[Source]) -> Result<HashSet<Identity>, ImportError> {
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
struct Held(HashMap<Identity, Found>);

impl Held {
    fn add(&mut self, identity: Identity, place: String, text: &[u8], sink: &Sink) {
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
