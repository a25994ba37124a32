//! Reads files of records in the API's JSON, and passes on the last good record of each id.

use std::fs::File;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use super::batch::{Content, InputRecord, Packed, row_of_refused};
use super::pipeline::{ImportError, RECORDS_A_STEP, Sink};
use super::report::RECORDS_ROW;
use crate::input::api_records::ApiRecord;
use crate::input::dump_files::{CountedRead, inflated};
use crate::input::join::{Join, Whole};
use crate::input::splitting::{RawRecord, RecordReader};
use crate::input::zadig_collections::Collection;

/// An input of records.
pub struct Source {
    /// The name under which problems are reported.
    pub name: String,
    length: Option<u64>,
    /// Opens it, when it is read: there may be more files than a process may have open.
    open: Box<dyn FnOnce() -> io::Result<Box<dyn Read + Send>> + Send>,
}

impl Source {
    /// The file at a path.
    pub fn at(name: String, path: PathBuf) -> Self {
        let length = path.metadata().ok().map(|metadata| metadata.len());
        Self { name, length, open: Box::new(|| Ok(Box::new(File::open(path)?))) }
    }

    /// An input that is open already, such as standard input.
    pub fn open(name: String, input: impl Read + Send + 'static) -> Self {
        Self { name, length: None, open: Box::new(|| Ok(Box::new(input))) }
    }
}

/// Reads every record, and passes on those that count.
pub(super) fn read(sources: Vec<Source>, sink: &mut Sink) -> Result<(), ImportError> {
    let progress = Arc::clone(&sink.journal.progress);
    progress.begins("reading", sources.iter().map(|source| source.length).sum());
    let (mut join, mut read) = (Join::new()?, 0);
    for Source { name, open, .. } in sources {
        let counted = |input| CountedRead { input, count: |bytes| progress.bytes(bytes) };
        let input = open().and_then(|input| inflated(counted(input)));
        let input = input.map_err(|source| ImportError::Open { name: name.clone(), source })?;
        for RawRecord { place, text } in RecordReader::new(input) {
            read += 1;
            if read % RECORDS_A_STEP == 0 {
                progress.done(RECORDS_A_STEP);
            }
            let place = format!("{name} {place}");
            match text {
                Ok(text) => add(&mut join, &place, &text, sink)?,
                Err(reason) => sink.journal.refused(RECORDS_ROW, &place, &reason),
            }
        }
    }
    pass_on(join, sink)
}

/// Adds a record to the join, or refuses it where it cannot be told which record it is.
fn add(join: &mut Join, place: &str, text: &[u8], sink: &Sink) -> Result<(), ImportError> {
    match ApiRecord::read(text) {
        Ok(ApiRecord { family, id, text }) => join.add_whole(family, &id, place, &text)?,
        Err(problem) => sink.journal.refused(row_of_refused(text), place, &problem.to_string()),
    }
    Ok(())
}

/// Passes on the last good record of each id, and counts the others.
fn pass_on(join: Join, sink: &mut Sink) -> Result<(), ImportError> {
    sink.journal.progress.begins(sink.task.progress_label(), Some(join.bytes()));
    let mut last: Option<LastGood> = None;
    join.wholes(|record| match &mut last {
        Some(last) if (last.family, &last.id) == (record.family, &record.id) => {
            last.go_back_to(record, sink);
            ControlFlow::Continue(())
        }
        _ => {
            let next = LastGood::new(record);
            last.replace(next).map_or(ControlFlow::Continue(()), |last| last.pass_on(sink))
        }
    })?;
    if let Some(last) = last {
        // It makes no difference whether anybody takes records after this one.
        let _ = last.pass_on(sink);
    }
    Ok(())
}

/// The last good one of the records of one id, of which the last one comes first.
struct LastGood {
    family: Collection,
    id: String,
    /// `None` where all records so far were refused. The only one that came so far need not be checked yet.
    record: Option<InputRecord>,
}

impl LastGood {
    fn new(record: Whole) -> Self {
        Self { family: record.family, id: record.id.clone(), record: Some(unchecked(record)) }
    }

    /// Takes the record that came before, and checks what must be known now.
    fn go_back_to(&mut self, earlier: Whole, sink: &Sink) {
        self.record = self.record.take().and_then(|last| checked(last, sink));
        if self.record.is_none() {
            self.record = Some(unchecked(earlier));
        } else if let Some(InputRecord { content: Content::Packed(packed), bytes, .. }) =
            checked(unchecked(earlier), sink)
        {
            sink.journal.count(packed.row(), 1, |counts| &mut counts.repeated);
            sink.journal.progress.bytes(bytes as u64);
        }
    }

    fn pass_on(self, sink: &mut Sink) -> ControlFlow<()> {
        self.record.map_or(ControlFlow::Continue(()), |record| sink.push(record))
    }
}

fn unchecked(Whole { place, json, bytes, .. }: Whole) -> InputRecord {
    InputRecord { bytes, ..InputRecord::from_text(place, json.into_bytes()) }
}

/// A record with its content packed; `None` where it is bad, and was refused.
fn checked(record: InputRecord, sink: &Sink) -> Option<InputRecord> {
    let Content::Text(text) = &record.content else { return Some(record) };
    match Packed::new(text) {
        Ok(packed) => Some(InputRecord { content: Content::Packed(Box::new(packed)), ..record }),
        Err(reason) => {
            sink.journal.refused(row_of_refused(text), &record.place, &reason);
            sink.journal.progress.bytes(record.bytes as u64);
            None
        }
    }
}
