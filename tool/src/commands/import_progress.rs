//! How `import` and `verify` show what they do: single records on standard error, and a bar where that is a terminal.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use indicatif::ProgressBar;

use super::terminal;
use crate::import::Progress;

/// How many records of one kind are named; the report names all.
const MAX_NAMED: usize = 100;

/// The named records, counted by kind, and the bar.
pub(super) struct ImportProgress {
    bar: ProgressBar,
    started: Instant,
    done: AtomicU64,
    refused: AtomicUsize,
    orphaned: AtomicUsize,
    differing: AtomicUsize,
}

impl ImportProgress {
    pub(super) fn new() -> Self {
        Self {
            bar: terminal::progress_bar(),
            started: Instant::now(),
            done: AtomicU64::default(),
            refused: AtomicUsize::default(),
            orphaned: AtomicUsize::default(),
            differing: AtomicUsize::default(),
        }
    }

    fn line(&self, shown: &AtomicUsize, line: impl FnOnce() -> String) {
        if shown.fetch_add(1, Ordering::Relaxed) < MAX_NAMED {
            self.bar.suspend(|| eprintln!("{}", line()));
        }
    }

    /// Ends the bar, and says how many records were not named.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
        let kinds =
            [("refused", &self.refused), ("orphaned", &self.orphaned), ("differing", &self.differing)];
        for (kind, shown) in kinds {
            let more = shown.load(Ordering::Relaxed).saturating_sub(MAX_NAMED);
            if more > 0 {
                eprintln!("{kind}: {more} more; --report FILE lists them all");
            }
        }
    }
}

impl Progress for ImportProgress {
    fn refused(&self, place: &str, reason: &str) {
        self.line(&self.refused, || format!("refused {place}: {reason}"));
    }

    fn orphaned(&self, collection: &str, id: &str, belongs_to: Option<&str>) {
        self.line(&self.orphaned, || match belongs_to {
            Some(owner) => format!("orphaned {collection} {id}: {owner}, to which it belongs, is not there"),
            None => format!("orphaned {collection} {id}: it does not say what it belongs to"),
        });
    }

    fn differing(&self, collection: &str, id: &str, reason: &str) {
        self.line(&self.differing, || format!("differs {collection} {id}: {reason}"));
    }

    fn note(&self, note: &str) {
        self.bar.suspend(|| eprintln!("note: {note}"));
    }

    fn begins(&self, what: &'static str, bytes: Option<u64>) {
        let template = match bytes {
            Some(_) => "{msg} [{bar:30}] {percent}% {binary_bytes_per_sec}, {eta} left; {prefix}",
            None => "{spinner} {msg}: {prefix}, {elapsed}",
        };
        self.bar.set_style(terminal::style(template));
        self.bar.set_length(bytes.unwrap_or_default());
        self.bar.reset();
        self.bar.set_message(what);
    }

    fn bytes(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    fn done(&self, records: u64) {
        let done = self.done.fetch_add(records, Ordering::Relaxed) + records;
        let seconds = self.started.elapsed().as_secs_f64().max(0.001);
        #[expect(clippy::cast_precision_loss, reason = "it is a rate for people")]
        let rate = done as f64 / seconds;
        self.bar.set_prefix(format!("{done} records, {rate:.0} a second"));
        tracing::debug!(records = done, "dealt with");
    }
}
