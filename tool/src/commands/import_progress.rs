//! How `import` and `verify` show what they do, on standard error: records that need a look, and a bar if it
//! is a terminal.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount, HumanDuration, ProgressBar};

use super::terminal;
use crate::import::Progress;

/// How many refused and how many differing records are named; the report names all.
const MAX_NAMED: usize = 100;

/// How often a line says how far it is, if standard error is not a terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// The bar, and how many records of each kind there were.
pub(super) struct ImportProgress {
    bar: ProgressBar,
    /// How many records it has dealt with.
    done: AtomicU64,
    refused: AtomicUsize,
    differing: AtomicUsize,
    /// By collection.
    orphaned: Mutex<BTreeMap<String, u64>>,
    /// Dropping this ends the thread that prints the lines.
    _lines: mpsc::Sender<()>,
}

impl ImportProgress {
    pub(super) fn new() -> Self {
        let bar = terminal::progress_bar();
        let (lines, ended) = mpsc::channel();
        if !io::stderr().is_terminal() {
            let bar = bar.clone();
            thread::spawn(move || {
                while ended.recv_timeout(LINE_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                    if !bar.is_finished() && !bar.message().is_empty() {
                        terminal::say(format_args!("{}", line_of(&bar)));
                    }
                }
            });
        }
        Self {
            bar,
            done: AtomicU64::default(),
            refused: AtomicUsize::default(),
            differing: AtomicUsize::default(),
            orphaned: Mutex::default(),
            _lines: lines,
        }
    }

    /// Counts a record, and prints a line about it if there were not too many yet.
    fn count_and_name(&self, records: &AtomicUsize, line: impl FnOnce() -> String) {
        if records.fetch_add(1, Ordering::Relaxed) < MAX_NAMED {
            self.bar.suspend(|| terminal::say(format_args!("{}", line())));
        }
    }

    /// Shows how much is dealt with: records, or bytes where no record is yet.
    fn show_counts(&self) {
        let done = self.done.load(Ordering::Relaxed);
        if done == 0 {
            self.bar.set_prefix(HumanBytes(self.bar.position()).to_string());
            return;
        }
        let seconds = self.bar.elapsed().as_secs_f64().max(0.001);
        #[expect(clippy::cast_precision_loss, reason = "it is a rate for people")]
        let rate = done as f64 / seconds;
        self.bar.set_prefix(format!("{} records, {rate:.0} a second", HumanCount(done)));
    }

    /// Ends the bar, and says how many more records there are than were named.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
        for (kind, shown) in [("refused", &self.refused), ("differing", &self.differing)] {
            let more = shown.load(Ordering::Relaxed).saturating_sub(MAX_NAMED);
            if more > 0 {
                terminal::say(format_args!("{kind}: {more} more; --report FILE lists them all"));
            }
        }
        for (collection, records) in lock(&self.orphaned).iter() {
            terminal::say(format_args!(
                "orphaned {collection}: {records} records, whose release or artifact is not in the source; --report FILE lists them"
            ));
        }
    }
}

/// What the bar would show, as one line of text.
fn line_of(bar: &ProgressBar) -> String {
    let (what, counts) = (bar.message(), bar.prefix());
    match bar.length().filter(|length| *length > 0) {
        None => format!("{what}: {counts}"),
        Some(length) => {
            let percent = bar.position().min(length) * 100 / length;
            format!("{what}: {percent}%, {counts}, {} left", HumanDuration(bar.eta()))
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Progress for ImportProgress {
    fn refused(&self, place: &str, reason: &str) {
        self.count_and_name(&self.refused, || format!("refused {place}: {reason}"));
    }

    fn orphaned(&self, collection: &str) {
        *lock(&self.orphaned).entry(collection.to_owned()).or_default() += 1;
    }

    fn differing(&self, collection: &str, id: &str, reason: &str) {
        self.count_and_name(&self.differing, || format!("differs {collection} {id}: {reason}"));
    }

    fn note(&self, note: &str) {
        self.bar.suspend(|| terminal::say(format_args!("note: {note}")));
    }

    fn begins(&self, what: &'static str, bytes: Option<u64>) {
        let template = match bytes {
            Some(_) => "{msg} [{bar:30}] {percent}%, {prefix}, {eta} left",
            None => "{spinner} {msg}: {prefix}, {elapsed}",
        };
        self.bar.set_style(terminal::style(template));
        self.bar.set_length(bytes.unwrap_or_default());
        self.bar.reset();
        self.bar.set_message(what);
        self.done.store(0, Ordering::Relaxed);
        self.show_counts();
    }

    fn bytes(&self, bytes: u64) {
        self.bar.inc(bytes);
        self.show_counts();
    }

    fn done(&self, records: u64) {
        self.done.fetch_add(records, Ordering::Relaxed);
        self.show_counts();
    }
}
