//! Reads Zadig's own records: its collections' files, or a running server's lists.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};

use super::records::{IdentityDigest, identity_of};
use super::{BYTES_A_BATCH, Content, Found, ImportError, Pipeline, RECORDS_A_BATCH, Sink, Task};
use crate::input::collection::Collection;
use crate::input::files::CollectionFile;
use crate::input::join::{self, Group, Join};
use crate::input::server::{List, ListPage, ResumePoint, Server};
use delivery_center::store::Mode;

/// Reads every collection, joins, and gives on what came of it.
pub(super) fn read_files(files: &[CollectionFile], sink: &mut Sink) -> Result<(), ImportError> {
    note_missing(files, sink);
    let bytes = files.iter().filter_map(|file| file.length().ok()).sum();
    sink.journal.progress.begins("reading", Some(bytes));
    let mut join = Join::new().map_err(ImportError::Temporary)?;
    for file in files {
        read_file(file, &mut join, sink)?;
    }
    sink.journal.progress.begins("writing", Some(join.bytes()));
    let joined = join.groups(|group| match found(group, sink) {
        Some(found) => sink.push(found),
        None => ControlFlow::Continue(()),
    });
    joined.map_err(ImportError::Temporary)
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
            Some(owner) => join.add(file.collection, owner, &record).map_err(ImportError::Temporary)?,
            None => journal.orphaned(row, &record.id, None),
        }
        if sink.is_closed() {
            break;
        }
    }
    Ok(())
}

/// The record that a group makes; what makes none is counted here.
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
        join::Content::Record(text) => Some(Found {
            row: Some(family.name()),
            place,
            bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
            content: Content::Text(text.into_bytes()),
            children,
        }),
        join::Content::Orphans(orphans) => {
            for (collection, id) in orphans {
                sink.journal.orphaned(collection.name(), &id, Some(&owner));
            }
            sink.journal.progress.bytes(bytes);
            None
        }
        join::Content::Overlong => {
            sink.journal.refused(
                family.name(),
                &place,
                "it is longer than 64 MiB with all that belongs to it",
            );
            for (collection, children) in children {
                sink.journal.count(collection.name(), |counts| {
                    counts.read += children;
                    counts.refused += children;
                });
            }
            sink.journal.progress.bytes(bytes);
            None
        }
    }
}

/// Reads both lists of a server to their ends, and notes page by page how far it has come.
pub(super) async fn read_server(server: Server, pipeline: Pipeline) -> Result<(), ImportError> {
    let may_resume = matches!(pipeline.task, Task::Import(Mode::Write | Mode::Rewrite));
    let server = Arc::new(server);
    let resume_point = ResumePoint::of(&server)?;
    let mut reading =
        ServerReading { server, pipeline, resume_point, may_resume, seen: HashSet::new(), pages_seen: 0 };
    for list in List::ALL {
        reading.pipeline.journal.progress.begins(list.name(), None);
        let Some(first) = reading.start(list) else { continue };
        reading.read(list, first).await?;
        if first > 1 {
            reading.catch_up(list, first).await?;
        }
        reading.advance(list, None)?;
    }
    Ok(())
}

struct ServerReading {
    server: Arc<Server>,
    pipeline: Pipeline,
    resume_point: ResumePoint,
    may_resume: bool,
    /// What is added while a list is read moves the others to later pages, where they come again.
    seen: HashSet<IdentityDigest>,
    /// How many pages in a row held nothing that was not seen.
    pages_seen: u32,
}

/// A full page may be moved as a whole; a server that ignores `page` gives the same one for ever.
const MAX_PAGES_SEEN: u32 = 2;

/// What came of a page.
struct PageEnd {
    is_last: bool,
    is_new: bool,
}

impl ServerReading {
    fn start(&self, list: List) -> Option<u64> {
        if self.may_resume { self.resume_point.next(list) } else { Some(1) }
    }

    fn advance(&mut self, list: List, next: Option<u64>) -> Result<(), ImportError> {
        if self.may_resume {
            self.resume_point.advance(&self.server, list, next)?;
        }
        Ok(())
    }

    /// Reads from a page to the end of the list.
    async fn read(&mut self, list: List, first: u64) -> Result<(), ImportError> {
        let size = u64::from(self.server.options().page_size);
        let mut received = (first - 1) * size;
        let server = Arc::clone(&self.server);
        let mut pages = stream::iter(first..)
            .map(|number| Arc::clone(&server).page(list, number))
            .buffered(self.server.options().requests_at_once);
        while let Some(page) = pages.next().await {
            let page = page?;
            let (number, total, length) = (page.number, page.total, page.records.len() as u64);
            received += length;
            let end = self.take(list, page).await?;
            if end.is_last {
                if let Some(total) = total.filter(|total| *total > received) {
                    let note =
                        format!("Zadig says that it has {total} {}, and answered {received}", list.name());
                    self.pipeline.journal.progress.note(&note);
                }
                return Ok(());
            }
            self.advance(list, Some(number + 1))?;
            if total.is_some_and(|total| received >= total) || length > size {
                return Ok(());
            }
        }
        Ok(())
    }

    /// After a resumed reading, what was added since it began: the first pages until one holds nothing new.
    async fn catch_up(&mut self, list: List, until: u64) -> Result<(), ImportError> {
        for number in 1..until {
            let page = Arc::clone(&self.server).page(list, number).await?;
            let end = self.take(list, page).await?;
            if end.is_last || !end.is_new {
                break;
            }
        }
        Ok(())
    }

    /// Deals with a page. A short page is not trusted to be the last: a server may give fewer than it was asked for.
    async fn take(&mut self, list: List, page: ListPage) -> Result<PageEnd, ImportError> {
        let is_full = page.records.len() as u64 >= u64::from(self.server.options().page_size);
        let (mut batch, mut bytes, mut is_seen) = (Vec::new(), 0, true);
        for (index, text) in page.records.into_iter().enumerate() {
            let is_repeated = identity_of(&text).is_some_and(|identity| !self.seen.insert(identity));
            if is_repeated {
                continue;
            }
            is_seen = false;
            bytes += text.len();
            batch
                .push(Found::of_text(format!("{} page {}, element {index}", list.name(), page.number), text));
            if batch.len() >= RECORDS_A_BATCH || bytes >= BYTES_A_BATCH {
                self.pipeline.take(std::mem::take(&mut batch)).await?;
                bytes = 0;
            }
        }
        if !batch.is_empty() {
            self.pipeline.take(batch).await?;
        }
        let is_new = self.pipeline.drain().await?;
        self.pages_seen = if is_seen { self.pages_seen + 1 } else { 0 };
        let is_last = is_seen && (!is_full || self.pages_seen >= MAX_PAGES_SEEN);
        Ok(PageEnd { is_last, is_new })
    }
}
