//! Takes records in batches from their reader, and runs several batches side by side.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use delivery_center::store::StoreError;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::batch::{Batch, InputRecord, Task};
use super::report::Journal;
use crate::input::server::ServerError;
use crate::write::Writer;

/// How many batches are packed and written side by side.
const BATCHES_AT_ONCE: usize = 4;

/// How many records are read between two steps of the progress.
pub(super) const RECORDS_A_STEP: u64 = 1000;

/// Why an import could not go on.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The tables could not be read or written.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// A file could not be opened.
    #[error("{name} cannot be opened")]
    Open {
        /// The file.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The collections that were read hold no document.
    #[error("none of the collections' files holds a document")]
    NoDocuments,
    /// The temporary database, in which records are joined, failed.
    #[error("the temporary database failed; let TMPDIR name a directory with room for twice the input")]
    Temporary(#[from] rusqlite::Error),
    /// The server could not be read.
    #[error("{0}")]
    Server(#[from] ServerError),
}

/// Takes the records of a reader, and hands them to the pipeline in batches.
pub(super) struct Sink {
    sender: mpsc::Sender<Batch>,
    pub(super) journal: Arc<Journal>,
    pub(super) task: Task,
    batch: Batch,
}

impl Sink {
    /// Takes a record. Breaks where nobody takes records any more, since writing failed.
    pub(super) fn push(&mut self, record: InputRecord) -> ControlFlow<()> {
        let full = self.batch.push(record);
        self.send(full)
    }

    fn send(&self, batch: Option<Batch>) -> ControlFlow<()> {
        match batch.map(|batch| self.sender.blocking_send(batch)) {
            Some(Err(_)) => ControlFlow::Break(()),
            Some(Ok(())) | None => ControlFlow::Continue(()),
        }
    }

    /// Waits until nobody takes records any more.
    pub(super) async fn closed(&self) {
        self.sender.closed().await;
    }
}

/// Runs a reader on a thread of its own, and does a task with all of its records.
pub(super) async fn run<R>(
    writer: &Writer,
    task: Task,
    journal: &Arc<Journal>,
    read: R,
) -> Result<(), ImportError>
where
    R: FnOnce(&mut Sink) -> Result<(), ImportError> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(2);
    let mut sink = Sink { sender, journal: Arc::clone(journal), task, batch: Batch::default() };
    let reading = tokio::task::spawn_blocking(move || {
        read(&mut sink)?;
        let rest = sink.batch.take_rest();
        // Where the channel is closed, writing has failed, and that error is returned below.
        let _ = sink.send(rest);
        Ok::<_, ImportError>(())
    });
    let written = run_batches(receiver, writer, task, journal).await;
    // The closed channel ends the reader. It is waited for, so that what it still reports comes before the
    // error.
    let read = reading.await.expect("reading does not panic");
    written?;
    read
}

/// Packs and writes batches side by side.
async fn run_batches(
    mut batches: mpsc::Receiver<Batch>,
    writer: &Writer,
    task: Task,
    journal: &Arc<Journal>,
) -> Result<(), StoreError> {
    const NO_PANIC: &str = "writing a batch does not panic";
    let mut running = JoinSet::new();
    while let Some(batch) = batches.recv().await {
        if running.len() >= BATCHES_AT_ONCE
            && let Some(finished) = running.join_next().await
        {
            finished.expect(NO_PANIC)?;
        }
        let (writer, journal) = (writer.clone(), Arc::clone(journal));
        running.spawn(async move { batch.run(&writer, task, &journal).await });
    }
    while let Some(finished) = running.join_next().await {
        finished.expect(NO_PANIC)?;
    }
    Ok(())
}
