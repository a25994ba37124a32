//! Reads a running Zadig's two lists.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use futures_util::stream::{self, Stream, StreamExt as _};
use tokio::runtime::Handle;

use super::batch::InputRecord;
use super::pipeline::{ImportError, Sink};
use super::report::{ARTIFACTS_ROW, RELEASES_ROW};
use crate::digest;
use crate::input::api_records::{ApiObject, ApiRecord};
use crate::input::server::{List, ListPage, Server, ServerError};
use crate::input::zadig_collections::Collection;
use crate::json::{Path, Problem};

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
    seen: &mut HashSet<(List, String)>,
    sink: &mut Sink,
) -> Result<ControlFlow<()>, ImportError> {
    let page_size = u64::from(server.options.page_size);
    let mut pages = stream::iter(1..)
        .map(|number| Arc::clone(server).page(list, number))
        .buffered(server.options.requests_at_once);
    let (mut received, mut known_pages) = (0, 0);
    while let Some(page) = next(&mut pages, sink) {
        let ListPage { number, records, total } = page?;
        let length = records.len() as u64;
        received += length;
        let mut new = Vec::new();
        for (index, text) in records.iter().enumerate() {
            let object = object_of(list, text);
            let id = match &object {
                Ok(ApiObject::Record(ApiRecord { id, .. }) | ApiObject::ListEntry { id, .. }) => id.clone(),
                Err(_) => digest::of_texts(&[&String::from_utf8_lossy(text)]),
            };
            if seen.insert((list, id)) {
                new.push((format!("{} page {number}, element {index}", list.name()), object));
            }
        }
        known_pages = if new.is_empty() { known_pages + 1 } else { 0 };
        let is_known = new.is_empty();
        let mut wholes = stream::iter(new)
            .map(|(place, object)| async { (place, whole(server, object).await) })
            .buffered(server.options.requests_at_once);
        while let Some((place, whole)) = next(&mut wholes, sink) {
            match whole? {
                Ok(text) => {
                    if sink.push(InputRecord::from_text(place, text.into_bytes())).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Err(reason) => sink.journal.refused(row_of(list), &place, &reason),
            }
        }
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
    // Nobody takes records any more.
    Ok(ControlFlow::Break(()))
}

fn row_of(list: List) -> &'static str {
    match list {
        List::Releases => RELEASES_ROW,
        List::Artifacts => ARTIFACTS_ROW,
    }
}

/// Reads a list's element, which is a record or stands for one.
fn object_of(list: List, text: &[u8]) -> Result<ApiObject<'_>, Problem> {
    let object = ApiObject::read(text)?;
    let family = match &object {
        ApiObject::Record(record) => record.family,
        ApiObject::ListEntry { .. } => Collection::Version,
    };
    let (expected, what) = match list {
        List::Releases => (Collection::Version, "a release"),
        List::Artifacts => (Collection::Artifact, "an artifact"),
    };
    if family == expected { Ok(object) } else { Err(Path::ROOT.problem(format!("expected {what}"))) }
}

/// The JSON of the record that a list's element is or stands for, or why there is none.
async fn whole(
    server: &Arc<Server>,
    object: Result<ApiObject<'_>, Problem>,
) -> Result<Result<String, String>, ServerError> {
    let text = match object {
        Ok(ApiObject::Record(record)) => Ok(record.text.into_owned()),
        Ok(ApiObject::ListEntry { id, project }) => match Arc::clone(server).release(&id, &project).await {
            Ok(text) => match ApiRecord::read_zadig4(&text) {
                Ok(record) if record.id != id => {
                    Err(Path::ROOT.field("id").problem(format!("expected {id}")))
                }
                record => record.map(|record| record.text.into_owned()),
            },
            Err(error) if error.is_of_one_record() => return Ok(Err(error.to_string())),
            Err(error) => return Err(error),
        },
        Err(problem) => Err(problem),
    };
    Ok(text.map_err(|problem| problem.to_string()))
}

/// Waits for the next element of a stream of answers; `None` once nobody takes records any more, and at its
/// end.
fn next<T>(answers: &mut (impl Stream<Item = T> + Unpin), sink: &Sink) -> Option<T> {
    Handle::current().block_on(async {
        tokio::select! {
            answer = answers.next() => answer,
            () = sink.closed() => None,
        }
    })
}
