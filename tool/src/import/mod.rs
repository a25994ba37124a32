//! Stores records in the tables, or compares them with what is stored. In the order in which a record goes
//! through it:
//!
//! - `json_files`, `collections` and `zadig_server` read records;
//! - `group` makes a record of what collections have of it;
//! - `pipeline` takes the records in batches from one of these, and runs several batches side by side;
//! - `batch` checks and packs the records of one batch, and writes or compares them;
//! - `report` counts what became of them.

mod batch;
mod collections;
mod group;
mod json_files;
mod pipeline;
mod report;
mod zadig_server;

use std::path::PathBuf;
use std::sync::Arc;

pub use batch::{Emptying, Task};
pub use json_files::Source;
pub use pipeline::ImportError;
use pipeline::Sink;
pub use report::{Counts, HeldBack, Progress, Report, ReportFile};
use report::{FILES_ROW, Journal};

use crate::input::dump_files::{CollectionFile, UNKNOWN};
use crate::input::server::Server;
use crate::write::{KeepRecorded, Mode, Writer};

/// Where records come from.
pub enum Input {
    /// Files in the API's JSON.
    Records(Vec<Source>),
    /// Zadig's collections, dumped or exported.
    Collections {
        /// The known ones.
        files: Vec<CollectionFile>,
        /// Files beside them whose names say that they are of the delivery centre, and which are not known.
        unknown: Vec<PathBuf>,
    },
    /// A running Zadig.
    Server(Server),
}

/// Stores every good record of the sources; the bad ones are reported and left out.
///
/// # Errors
/// [`ImportError`]; importing the same again completes what was begun.
pub async fn import(
    writer: &Writer,
    sources: Vec<Source>,
    mode: Mode,
    progress: Arc<dyn Progress>,
) -> Result<Counts, ImportError> {
    let task = Task::Import { mode, recorded: KeepRecorded::Yes, emptying: Emptying::HeldBack };
    Ok(run(writer, Input::Records(sources), task, progress, None).await?.totals())
}

/// Does a task with every good record of an input; the bad ones are reported and left out.
///
/// # Errors
/// [`ImportError`]; doing the same again completes what was begun.
pub async fn run(
    writer: &Writer,
    input: Input,
    task: Task,
    progress: Arc<dyn Progress>,
    report: Option<ReportFile>,
) -> Result<Report, ImportError> {
    let journal = Arc::new(Journal::new(progress, report));
    let read = move |sink: &mut Sink| match input {
        Input::Records(sources) => json_files::read(sources, sink),
        Input::Collections { files, unknown } => {
            for path in unknown {
                sink.journal.refused(FILES_ROW, &path.display().to_string(), UNKNOWN);
            }
            collections::read(files, sink)
        }
        Input::Server(server) => zadig_server::read(server, sink),
    };
    pipeline::run(writer, task, &journal, read).await?;
    Ok(journal.finish())
}
