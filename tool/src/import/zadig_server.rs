//! Reads a running Zadig's two lists.

use std::collections::HashSet;
use std::sync::Arc;

use delivery_center::store::Mode;
use futures_util::stream::{self, StreamExt as _};

use super::batch::{Batch, Found, Task};
use super::identity::{IdentityDigest, identity_of};
use super::pipeline::{ImportError, Pipeline};
use crate::input::server::{List, ListPage, ResumePoint, Server};

/// How many full pages of records that had come before end a list. Records that are added may move a whole page once; a
/// server that ignores `page` gives the same one for ever.
const MAX_PAGES_SEEN: u32 = 2;

/// Reads both lists of a server to their ends, and notes page by page how far it has come.
pub(super) async fn read(server: Server, task: Task, pipeline: Pipeline) -> Result<(), ImportError> {
    let may_resume = matches!(task, Task::Import { mode: Mode::Write | Mode::Rewrite, .. });
    let server = Arc::new(server);
    let resume_point = ResumePoint::load(&server)?;
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
    /// How many pages in a row held only records that had come before.
    pages_seen: u32,
}

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

    /// Reads what was added since a resumed reading began: the first pages, until one holds nothing new.
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
        let (mut batch, mut is_seen) = (Batch::default(), true);
        for (index, text) in page.records.into_iter().enumerate() {
            let is_repeated = identity_of(&text).is_some_and(|identity| !self.seen.insert(identity));
            if is_repeated {
                continue;
            }
            is_seen = false;
            let place = format!("{} page {}, element {index}", list.name(), page.number);
            if let Some(full) = batch.push(Found::of_text(place, text)) {
                self.pipeline.take(full).await?;
            }
        }
        if let Some(rest) = batch.rest() {
            self.pipeline.take(rest).await?;
        }
        let is_new = self.pipeline.drain().await?;
        self.pages_seen = if is_seen { self.pages_seen + 1 } else { 0 };
        let is_last = is_seen && (!is_full || self.pages_seen >= MAX_PAGES_SEEN);
        Ok(PageEnd { is_last, is_new })
    }
}
