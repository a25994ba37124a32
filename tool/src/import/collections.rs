//! Reads Zadig's collections, and joins them.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::batch::{Content, Found};
use super::pipeline::{ImportError, Sink};
use crate::input::collection::Collection;
use crate::input::files::CollectionFile;
use crate::input::join::{Group, GroupContent, Join};

/// Reads every collection, joins their records, and passes on the releases and artifacts.
pub(super) fn read(files: &[CollectionFile], sink: &mut Sink) -> Result<(), ImportError> {
    note_missing(files, sink);
    let bytes = files.iter().filter_map(|file| file.length().ok()).sum();
    sink.journal.progress.begins("reading", Some(bytes));
    let mut join = Join::new()?;
    for file in files {
        read_file(file, &mut join, sink)?;
    }
    sink.journal.progress.begins("writing", Some(join.bytes()));
    join.groups(|group| match found(group, sink) {
        Some(found) => sink.push(found),
        None => ControlFlow::Continue(()),
    })?;
    Ok(())
}

/// A record replaces the stored one wholly: a collection that was forgotten is missing from every answer.
fn note_missing(files: &[CollectionFile], sink: &Sink) {
    let is_there = |collection| files.iter().any(|file| file.collection == collection);
    for collection in Collection::ALL {
        if let Some(section) = collection.section()
            && is_there(collection.owner())
            && !is_there(collection)
        {
            let note = format!("no {} is given: what is stored has no {section}", collection.name());
            sink.journal.progress.note(&note);
        }
    }
}

fn read_file(file: &CollectionFile, join: &mut Join, sink: &Sink) -> Result<(), ImportError> {
    let name = file.path.display().to_string();
    let row = file.collection.name();
    let (journal, progress) = (&sink.journal, Arc::clone(&sink.journal.progress));
    let documents = file
        .documents(move |bytes| progress.bytes(bytes))
        .map_err(|source| ImportError::Open { name: name.clone(), source })?;
    for found in documents {
        let record = found.document.and_then(|document| file.collection.record(&document));
        let record = match record {
            Ok(record) => record,
            Err(reason) => {
                journal.refused(row, &format!("{name} {}", found.place), &reason);
                continue;
            }
        };
        journal.count(row, |counts| counts.credentials_dropped += record.credentials_dropped);
        match &record.owner {
            Some(owner) => join.add(file.collection, owner, &record)?,
            None => journal.orphaned(row, &record.id, None),
        }
        if sink.is_closed() {
            break;
        }
    }
    Ok(())
}

/// The record that a group makes. A group that makes none is counted here.
fn found(group: Group, sink: &Sink) -> Option<Found> {
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
        GroupContent::Record(text) => Some(Found {
            row: Some(family.name()),
            place,
            bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
            content: Content::Text(text.into_bytes()),
            children,
        }),
        GroupContent::Orphans(orphans) => {
            for (collection, id) in orphans {
                sink.journal.orphaned(collection.name(), &id, Some(&owner));
            }
            sink.journal.progress.bytes(bytes);
            None
        }
        GroupContent::Overlong => {
            sink.journal.refused(
                family.name(),
                &place,
                "it is longer than 64 MiB with all that belongs to it",
            );
            sink.journal.children_refused(children);
            sink.journal.progress.bytes(bytes);
            None
        }
    }
}
