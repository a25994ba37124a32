//! Reads Zadig's collections, and joins their documents to releases and artifacts.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::group::{Damaged, Group};
use super::pipeline::{ImportError, RECORDS_A_STEP, Sink};
use crate::input::dump_files::CollectionFile;
use crate::input::join::{Join, Joined};
use crate::input::zadig_collections::Collection;

/// Reads every collection, joins their records, and passes on the releases and artifacts.
pub(super) fn read(files: Vec<CollectionFile>, sink: &mut Sink) -> Result<(), ImportError> {
    let mut files = files;
    files.sort_by_key(|file| file.collection);
    note_missing(&files, sink);
    let bytes = files.iter().filter_map(|file| file.length().ok()).sum();
    sink.journal.progress.begins("reading", Some(bytes));
    let mut join = Join::new()?;
    let (mut damaged, mut migrated) = (Damaged::default(), Migrated::new());
    let mut documents = 0;
    for file in &files {
        documents += read_file(file, &mut join, &mut damaged, &mut migrated, sink)?;
    }
    if documents == 0 {
        return Err(ImportError::NoDocuments);
    }
    let bytes = join.bytes();
    // All records are sorted before the first group comes.
    sink.journal.progress.begins("joining", None);
    let mut group: Option<Group> = None;
    join.joined(|record| {
        if group.is_none() {
            sink.journal.progress.begins(sink.task.progress_label(), Some(bytes));
        }
        let whole = group.take_if(|group| !group.holds(&record));
        group.get_or_insert_with(|| Group::new(&record)).add(&record, &sink.journal);
        pass_on(whole, &damaged, sink)
    })?;
    // It makes no difference whether anybody takes records after this one.
    let _ = pass_on(group, &damaged, sink);
    Ok(())
}

fn pass_on(group: Option<Group>, damaged: &Damaged, sink: &mut Sink) -> ControlFlow<()> {
    let record = group.and_then(|group| group.finish(damaged, &sink.journal));
    record.map_or(ControlFlow::Continue(()), |record| sink.push(record))
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

/// The ids of the releases in `delivery_version`, by what a migration to Zadig 4 keeps of a release.
type Migrated = HashMap<String, String>;

/// Reads a collection into the join, and tells how many documents it has, good or bad.
fn read_file(
    file: &CollectionFile,
    join: &mut Join,
    damaged: &mut Damaged,
    migrated: &mut Migrated,
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
        let read = found.text.as_deref().map_err(Clone::clone);
        let read = read.and_then(|text| file.read(text).map_err(|problem| problem.to_string()));
        let document = match read {
            Ok(document) => document,
            Err(reason) => {
                journal.refused(row, &place, &reason);
                damaged.note(file.collection, &place);
                continue;
            }
        };
        let migrated_as = file.collection.migrated_as(&document);
        let record = file.collection.record(document);
        let owner = match &record {
            Ok(record) => record.owner.clone(),
            Err(refused) => refused.owner.clone(),
        };
        let owner = match (file.collection, migrated_as, owner) {
            (Collection::Version, Some(migrated_as), Some(owner)) => {
                migrated.insert(migrated_as, owner.clone());
                Some(owner)
            }
            // It joins the record that it was made of.
            (Collection::VersionV2, Some(migrated_as), owner) => {
                migrated.get(&migrated_as).cloned().or(owner)
            }
            (_, _, owner) => owner,
        };
        let record = match record {
            Ok(record) => record,
            Err(refused) => {
                journal.refused(row, &place, &refused.reason);
                if let Some(owner) = &owner {
                    join.add(Joined { collection: file.collection, owner, id: &refused.id, json: None })?;
                }
                continue;
            }
        };
        journal.add(row, record.credentials_dropped, |counts| &mut counts.credentials_dropped);
        // A soft-deleted child is only counted.
        let is_deleted_child = record.is_deleted && file.collection.section().is_some();
        let json = Some(if is_deleted_child { "" } else { record.json.as_str() });
        match &owner {
            Some(owner) => join.add(Joined { collection: file.collection, owner, id: &record.id, json })?,
            None => journal.orphaned(row, &record.id, None),
        }
    }
    journal.progress.done(read % RECORDS_A_STEP);
    Ok(read)
}
