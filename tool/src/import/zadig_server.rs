//! Reads a running Zadig's two lists.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};

use super::batch::{Batch, InputRecord, Task};
use super::identity::{IdentityDigest, identity_of};
use super::pipeline::{ImportError, Pipeline};
use crate::input::server::{List, ListPage, ResumePoint, Server};
use crate::write::Mode;

/// A list ends after this many full pages in a row that hold only records that came before. One such page may come by
/// chance, when as many records are added in Zadig as a page holds. A server that ignores `page` gives the same page
/// for ever.
const MAX_KNOWN_PAGES: u32 = 2;

/// Reads both lists of a server to their ends, and notes page by page how far it has come.
///
/// Several pages are asked for side by side. They are stored one after another, and a page is noted only once all of it is
/// stored, so a run that was cut short loses nothing. The next run goes on from the noted page to the end of the list, and
/// then reads the first pages again: the lists begin with the newest records, and some may have been added in between.
pub(super) async fn read(server: Server, task: Task, pipeline: Pipeline) -> Result<(), ImportError> {
    let may_resume = matches!(task, Task::Import { mode: Mode::Write | Mode::Rewrite, .. });
    let server = Arc::new(server);
    let resume_point = ResumePoint::load(&server)?;
    let mut reading =
        ServerReading { server, pipeline, resume_point, may_resume, seen: HashSet::new(), known_pages: 0 };
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
    /// The records that came so far. Those that are added while a list is read move the others to later pages, where some
    /// come again.
    seen: HashSet<IdentityDigest>,
    /// How many pages in a row held only records that came before.
    known_pages: u32,
}

/// What is known after a page.
struct PageEnd {
    /// Whether the list ends with it.
    is_last: bool,
    /// Whether anything of it was stored.
    has_stored: bool,
}

impl ServerReading {
    /// The page to begin with; `None` where the whole list is stored.
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
        // How many records the list has given so far; `None` where an earlier run read the first pages, since a server
        // may have given it fewer records than it asked for.
        let mut received = (first == 1).then_some(0);
        let server = Arc::clone(&self.server);
        let mut pages = stream::iter(first..)
            .map(|number| Arc::clone(&server).page(list, number))
            .buffered(self.server.options().requests_at_once);
        while let Some(page) = pages.next().await {
            let page = page?;
            let (number, total, length) = (page.number, page.total, page.records.len() as u64);
            received = received.map(|received| received + length);
            let end = self.take(list, page).await?;
            if end.is_last {
                if let (Some(total), Some(received)) = (total, received)
                    && total > received
                {
                    let note =
                        format!("Zadig says that it has {total} {}, and answered {received}", list.name());
                    self.pipeline.journal.progress.note(&note);
                }
                return Ok(());
            }
            self.advance(list, Some(number + 1))?;
            let has_all = matches!((total, received), (Some(total), Some(received)) if received >= total);
            if has_all || length > size {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Reads what was added since the run that is resumed: the pages before `first`, until one holds nothing new.
    async fn catch_up(&mut self, list: List, first: u64) -> Result<(), ImportError> {
        for number in 1..first {
            let page = Arc::clone(&self.server).page(list, number).await?;
            let end = self.take(list, page).await?;
            if end.is_last || !end.has_stored {
                break;
            }
        }
        Ok(())
    }

    /// Stores the records of a page that did not come before, and waits until they are stored.
    ///
    /// A page with fewer records than asked for is not taken for the last one, since a server may give fewer to every
    /// page. The list ends at a page with no new record, if that page is short, or is the second such page in a row.
    async fn take(&mut self, list: List, page: ListPage) -> Result<PageEnd, ImportError> {
        let is_full = page.records.len() as u64 >= u64::from(self.server.options().page_size);
        let (mut batch, mut is_known) = (Batch::default(), true);
        for (index, text) in page.records.into_iter().enumerate() {
            let is_repeated = identity_of(&text).is_some_and(|identity| !self.seen.insert(identity));
            if is_repeated {
                continue;
            }
            is_known = false;
            let place = format!("{} page {}, element {index}", list.name(), page.number);
            if let Some(full) = batch.push(InputRecord::from_text(place, text)) {
                self.pipeline.take(full).await?;
            }
        }
        if let Some(rest) = batch.take_rest() {
            self.pipeline.take(rest).await?;
        }
        let has_stored = self.pipeline.drain().await?;
        self.known_pages = if is_known { self.known_pages + 1 } else { 0 };
        let is_last = is_known && (!is_full || self.known_pages >= MAX_KNOWN_PAGES);
        Ok(PageEnd { is_last, has_stored })
    }
}
