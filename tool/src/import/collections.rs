//! Reads Zadig's collections, and joins their documents to releases and artifacts.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::batch::{Content, InputRecord};
use super::pipeline::{ImportError, RECORDS_A_STEP, Sink};
use crate::input::dump_files::CollectionFile;
use crate::input::join::{Group, GroupContent, Join, Members};
use crate::input::zadig_collections::Collection;

/// Reads every collection, joins their records, and passes on the releases and artifacts.
pub(super) fn read(files: &[CollectionFile], sink: &mut Sink) -> Result<(), ImportError> {
    note_missing(files, sink);
    let bytes = files.iter().filter_map(|file| file.length().ok()).sum();
    sink.journal.progress.begins("reading", Some(bytes));
    let mut join = Join::new()?;
    let mut damaged = Damaged::default();
    let mut documents = 0;
    for file in files {
        documents += read_file(file, &mut join, &mut damaged, sink)?;
    }
    if documents == 0 {
        return Err(ImportError::NoDocuments);
    }
    let bytes = join.bytes();
    // All records are sorted before the first group comes.
    sink.journal.progress.begins("joining", None);
    let mut is_joined = false;
    join.groups(|group| {
        if !is_joined {
            is_joined = true;
            sink.journal.progress.begins(sink.task.progress_label(), Some(bytes));
        }
        match record_of(group, &damaged, sink) {
            Some(record) => sink.push(record),
            None => ControlFlow::Continue(()),
        }
    })?;
    Ok(())
}

/// Warns of collections that are not given. A record replaces the stored one wholly, so whatever a forgotten
/// collection holds would be missing from every answer.
fn note_missing(files: &[CollectionFile], sink: &Sink) {
    let is_there = |collection| files.iter().any(|file| file.collection == collection);
    for collection in Collection::ALL {
        if let Some(section) = collection.section()
            && is_there(collection.owner())
            && !is_there(collection)
        {
            let note =
                format!("no {} is given, so the records are stored without {section}", collection.name());
            sink.journal.progress.note(&note);
        }
    }
}

/// For releases and for artifacts, why a collection of their parts could not be read whole. The lost
/// documents may have belonged to any release or artifact, so that none of them can be taken for complete.
#[derive(Default)]
struct Damaged(HashMap<Collection, String>);

impl Damaged {
    /// Notes that a collection could not be read whole; `place` is that of the first document that could not
    /// be read.
    fn note(&mut self, collection: Collection, place: &str) {
        if collection.section().is_some() {
            let reason = || format!("{} could not be read whole: {place}", collection.name());
            self.0.entry(collection.owner()).or_insert_with(reason);
        }
    }
}

/// Reads a collection into the join, and tells how many documents it has, good or bad.
fn read_file(
    file: &CollectionFile,
    join: &mut Join,
    damaged: &mut Damaged,
    sink: &Sink,
) -> Result<u64, ImportError> {
    let name = file.path.display().to_string();
    let row = file.collection.name();
    let (journal, progress) = (&sink.journal, Arc::clone(&sink.journal.progress));
    if file.length().is_ok_and(|length| length == 0) {
        progress.note(&format!("{name} is empty"));
        // mongodump writes an empty file for a collection without documents. Even an empty file has 20 bytes
        // after gzip, so an empty .gz file was cut short.
        if file.path.extension().is_some_and(|extension| extension == "gz") {
            journal.refused(row, &name, "it is empty, which no compressed file is");
            damaged.note(file.collection, &name);
        }
    }
    let documents = file
        .documents(move |bytes| progress.bytes(bytes))
        .map_err(|source| ImportError::Open { name: name.clone(), source })?;
    let mut read = 0;
    for found in documents {
        read += 1;
        if read % RECORDS_A_STEP == 0 {
            journal.progress.done(RECORDS_A_STEP);
        }
        let place = format!("{name} {}", found.place);
        let read = found.bytes.as_deref().map_err(Clone::clone);
        let read = read.and_then(|bytes| file.read(bytes).map_err(|problem| problem.to_string()));
        let document = match read {
            Ok(document) => document,
            Err(reason) => {
                journal.refused(row, &place, &reason);
                damaged.note(file.collection, &place);
                continue;
            }
        };
        let record = match file.collection.record(document) {
            Ok(record) => record,
            Err(refused) => {
                journal.refused(row, &place, &refused.reason);
                if let Some(owner) = &refused.owner {
                    join.add_refused(file.collection, owner, &refused.id)?;
                }
                continue;
            }
        };
        journal.count(row, |counts| counts.credentials_dropped += record.credentials_dropped);
        match &record.owner {
            Some(owner) => join.add(file.collection, owner, &record)?,
            None => journal.orphaned(row, &record.id, None),
        }
    }
    journal.progress.done(read % RECORDS_A_STEP);
    Ok(read)
}

/// The record that a group makes. A group that makes none is counted here.
fn record_of(group: Group, damaged: &Damaged, sink: &Sink) -> Option<InputRecord> {
    let Group { family, owner, content, members, bytes } = group;
    for (collection, members) in &members {
        sink.journal.count(collection.name(), |counts| {
            counts.read += members.deleted + members.repeated;
            counts.deleted += members.deleted;
            counts.repeated += members.repeated;
        });
    }
    let live = members.iter().filter(|(collection, members)| *collection != family && members.live > 0);
    let children: Vec<_> = live.map(|(collection, members)| (*collection, members.live)).collect();
    let place = format!("{} {owner}", family.name());
    match content {
        GroupContent::Record(text) => {
            let Some(reason) = damaged.0.get(&family) else {
                return Some(InputRecord {
                    row: Some(family.name()),
                    place,
                    bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
                    content: Content::Text(text.into_bytes()),
                    children,
                });
            };
            hold_back(family, &owner, reason, &members, sink);
        }
        GroupContent::Incomplete => {
            hold_back(family, &owner, "a record that belongs to it was refused", &members, sink);
        }
        GroupContent::Orphans(orphans) => {
            for (collection, id) in orphans {
                sink.journal.orphaned(collection.name(), &id, Some(&owner));
            }
        }
        GroupContent::Overlong => {
            sink.journal.refused(
                family.name(),
                &place,
                "it is longer than 64 MiB with all that belongs to it",
            );
            sink.journal.children_refused(children);
        }
    }
    sink.journal.progress.bytes(bytes);
    None
}

/// Counts a release or artifact, with everything that belongs to it, as held back since it is incomplete.
fn hold_back(family: Collection, owner: &str, reason: &str, members: &[(Collection, Members)], sink: &Sink) {
    sink.journal.held_back(family.name(), owner, reason);
    for (collection, members) in members {
        sink.journal.count(collection.name(), |counts| {
            counts.read += members.live;
            counts.held_back += members.live;
        });
    }
}
