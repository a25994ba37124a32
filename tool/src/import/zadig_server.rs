//! Reads a running Zadig's two lists.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use futures_util::stream::{self, Stream, StreamExt as _};
use tokio::runtime::Handle;

use super::batch::InputRecord;
use super::pipeline::{ImportError, Sink};
use crate::input::server::{List, ListPage, Server, ServerError};
use crate::record::UncheckedRecord;

/// A list ends after this many full pages in a row that hold only records that came before. One such page may
/// come by chance, when as many records are added in Zadig as a page holds. A server that ignores `page`
/// gives the same page for ever.
const MAX_KNOWN_PAGES: u32 = 2;

/// Reads both lists of a server to their ends; ends early when nobody takes the records any more.
pub(super) fn read(server: Server, sink: &mut Sink) -> Result<(), ImportError> {
    let server = Arc::new(server);
    let mut seen = HashSet::new();
    for list in List::ALL {
        sink.journal.progress.begins(list.name(), None);
        if read_list(&server, list, &mut seen, sink)?.is_break() {
            break;
        }
    }
    Ok(())
}

/// Reads a list to its end, and passes on the records that were not `seen` before: those that are added in
/// Zadig while the list is read move the others to later pages, where some come again.
///
/// Several pages are asked for side by side. A page with fewer records than asked for is not taken for the
/// last one, since a server may give fewer to every page. The list ends where as many records came as the
/// server says that it has, or at a page with no new record, if that page is short, or is the second such
/// page in a row.
fn read_list(
    server: &Arc<Server>,
    list: List,
    seen: &mut HashSet<(bool, String)>,
    sink: &mut Sink,
) -> Result<ControlFlow<()>, ImportError> {
    let page_size = u64::from(server.options.page_size);
    let mut pages = stream::iter(1..)
        .map(|number| Arc::clone(server).page(list, number))
        .buffered(server.options.requests_at_once);
    let (mut received, mut known_pages) = (0, 0);
    while let Some(page) = next_page(&mut pages, sink) {
        let ListPage { number, records, total } = page?;
        let length = records.len() as u64;
        received += length;
        let mut is_known = true;
        for (index, text) in records.into_iter().enumerate() {
            // One that cannot be read is refused later.
            if UncheckedRecord::read(&text).is_ok_and(|read| !seen.insert((read.is_release, read.id))) {
                continue;
            }
            is_known = false;
            let place = format!("{} page {number}, element {index}", list.name());
            if sink.push(InputRecord::from_text(place, text)).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        known_pages = if is_known { known_pages + 1 } else { 0 };
        let has_nothing_new = is_known && (length < page_size || known_pages >= MAX_KNOWN_PAGES);
        let has_all = total.is_some_and(|total| received >= total);
        // A server that gives more than was asked for gives everything at once.
        if has_nothing_new || has_all || length > page_size {
            if let Some(total) = total.filter(|total| *total > received) {
                let note = format!("Zadig says that it has {total} {}, and answered {received}", list.name());
                sink.journal.progress.note(&note);
            }
            return Ok(ControlFlow::Continue(()));
        }
    }
    Ok(ControlFlow::Break(()))
}

/// Waits for the next page; `None` once nobody takes records any more.
fn next_page(
    pages: &mut (impl Stream<Item = Result<ListPage, ServerError>> + Unpin),
    sink: &Sink,
) -> Option<Result<ListPage, ServerError>> {
    Handle::current().block_on(async {
        tokio::select! {
            page = pages.next() => page,
            () = sink.closed() => None,
        }
    })
}
