//! What `import` and `verify` read, how they show their progress, and how they report.

use std::fs::File;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use delivery_center::store::Store;
use delivery_center_tool::import::{Counts, Input, Progress, Report, Source, Task, run};
use delivery_center_tool::input::files::{Given, look_at, look_at_unnamed, look_into};
use delivery_center_tool::input::server::{Options, Server, Token};
use indicatif::{ProgressBar, ProgressStyle};

/// How many records of one kind are named on stderr; the report names all.
const MAX_SHOWN: usize = 100;

#[derive(clap::Args)]
pub(crate) struct Sources {
    /// Files of records, directories or files of Zadig's collections, or - for standard input.
    #[arg(required_unless_present = "zadig", value_name = "SOURCE")]
    given: Vec<PathBuf>,
    /// Read a running Zadig, with the token in `ZADIG_TOKEN` or --token-file.
    #[arg(long, value_name = "URL", conflicts_with = "given")]
    zadig: Option<String>,
    /// A file that holds the token; without it, the variable `ZADIG_TOKEN` does.
    #[arg(long, value_name = "FILE", requires = "zadig")]
    token_file: Option<PathBuf>,
    /// How many records are asked for at once.
    #[arg(long, value_name = "RECORDS", requires = "zadig", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    per_page: u32,
    /// How many requests run side by side.
    #[arg(long, value_name = "REQUESTS", requires = "zadig", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=32))]
    requests: u8,
    /// How long one request may take; then it is tried again.
    #[arg(long, value_name = "SECONDS", requires = "zadig", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// Write the whole report, as JSON.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// What was found to read.
pub(crate) struct Opened {
    input: Input,
    report: Option<PathBuf>,
    is_of_zadig: bool,
}

impl Sources {
    pub(crate) fn open(self, resume: Option<PathBuf>) -> anyhow::Result<Opened> {
        if let Some(url) = &self.zadig {
            let options = Options {
                page_size: self.per_page,
                requests_at_once: self.requests.into(),
                timeout: Duration::from_secs(self.timeout),
                resume,
            };
            let server = Server::new(url, token(self.token_file.as_deref())?, options)?;
            if server.is_in_the_clear() {
                eprintln!("note: the token goes over the network in the clear; https:// would hide it");
            }
            let input = Input::Server(server);
            return Ok(Opened { input, report: self.report, is_of_zadig: true });
        }
        if resume.is_some() {
            bail!("--resume is for --zadig; from files, an import is completed by running it again");
        }
        let (mut files, mut records) = (Vec::new(), Vec::new());
        for path in &self.given {
            if path.is_dir() {
                let directory = look_into(path)?;
                if directory.others > 0 {
                    eprintln!(
                        "note: {} other collections in {} have nothing of releases or artifacts",
                        directory.others,
                        path.display()
                    );
                }
                files.extend(directory.collections);
                continue;
            }
            if !is_file(path)? {
                records.push(copied(path)?);
                continue;
            }
            match look_at(path)? {
                Given::Collection(file) => files.push(file),
                Given::OtherCollection => {
                    bail!("{} is none of Zadig's collections of releases and artifacts", path.display())
                }
                Given::Records => records.push(Source::at(path.display().to_string(), path.clone())),
            }
        }
        let is_of_zadig = !files.is_empty();
        let input = match (is_of_zadig, records.first()) {
            (true, None) => Input::Collections(files),
            (true, Some(records)) => {
                bail!(
                    "{} is no collection of Zadig's, as the others are: give them one after another",
                    records.name
                )
            }
            (false, _) => Input::Records(records),
        };
        Ok(Opened { input, report: self.report, is_of_zadig })
    }
}

/// The token, from where it is not seen by others on this machine.
fn token(file: Option<&Path>) -> anyhow::Result<Token> {
    let (text, origin) = if let Some(file) = file {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        (text, file.display().to_string())
    } else {
        let text = std::env::var("ZADIG_TOKEN").context("set ZADIG_TOKEN, or give --token-file")?;
        (text, "ZADIG_TOKEN".to_owned())
    };
    Token::parse(&text).map_err(|reason| anyhow::anyhow!("{origin}: {reason}"))
}

/// Whether it can be read more than once.
fn is_file(path: &Path) -> anyhow::Result<bool> {
    if path == Path::new("-") {
        return Ok(false);
    }
    Ok(path.metadata().with_context(|| format!("cannot read {}", path.display()))?.is_file())
}

/// A copy of what can be read only once.
fn copied(path: &Path) -> anyhow::Result<Source> {
    let is_standard_input = path == Path::new("-");
    let name = if is_standard_input { "standard input".to_owned() } else { path.display().to_string() };
    let context = || format!("cannot read {name}");
    // Without a name, since it may hold credentials: whatever ends the process also ends the copy.
    let mut copy = tempfile::tempfile().context("cannot make a temporary file")?;
    if is_standard_input {
        std::io::copy(&mut std::io::stdin().lock(), &mut copy).with_context(context)?;
    } else {
        std::io::copy(&mut File::open(path).with_context(context)?, &mut copy).with_context(context)?;
    }
    look_at_unnamed(Path::new(&name), &copy)?;
    Ok(Source::copied(name, copy))
}

impl Opened {
    /// Does a task with all of it, prints what was done, and tells the totals.
    pub(crate) async fn run(self, store: &Store, task: Task, action: &str) -> anyhow::Result<Counts> {
        let shown = Arc::new(Shown::new());
        let done = run(store, self.input, task, Arc::clone(&shown) as Arc<dyn Progress>).await;
        shown.finish();
        let mut report = done.map_err(|error| {
            let error = anyhow::Error::from(error);
            let advice = if crate::is_unreachable(&error) { "; run it again to complete it" } else { "" };
            error.context(format!("the {action} stopped{advice}"))
        })?;
        if let Some(path) = &self.report {
            report.write(path, action).with_context(|| format!("cannot write {}", path.display()))?;
        }
        if action == "dry run" {
            crate::print(format_args!("dry run, nothing was written; an import would say:"))?;
        }
        print(&report, self.is_of_zadig || task == Task::Verify)?;
        Ok(report.totals())
    }
}

fn print(report: &Report, by_collection: bool) -> anyhow::Result<()> {
    if by_collection { crate::print(report) } else { crate::print(report.summary()) }
}

/// Single records on stderr, and a bar where that is a terminal.
struct Shown {
    bar: ProgressBar,
    started: Instant,
    done: AtomicU64,
    refused: AtomicUsize,
    orphaned: AtomicUsize,
    differing: AtomicUsize,
}

impl Shown {
    fn new() -> Self {
        let bar =
            if std::io::stderr().is_terminal() { ProgressBar::no_length() } else { ProgressBar::hidden() };
        bar.enable_steady_tick(Duration::from_millis(120));
        Self {
            bar,
            started: Instant::now(),
            done: AtomicU64::default(),
            refused: AtomicUsize::default(),
            orphaned: AtomicUsize::default(),
            differing: AtomicUsize::default(),
        }
    }

    fn line(&self, shown: &AtomicUsize, line: impl FnOnce() -> String) {
        if shown.fetch_add(1, Ordering::Relaxed) < MAX_SHOWN {
            self.bar.suspend(|| eprintln!("{}", line()));
        }
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
        let kinds =
            [("refused", &self.refused), ("orphaned", &self.orphaned), ("differing", &self.differing)];
        for (kind, shown) in kinds {
            let more = shown.load(Ordering::Relaxed).saturating_sub(MAX_SHOWN);
            if more > 0 {
                eprintln!("{kind}: {more} more; --report FILE lists them all");
            }
        }
    }
}

impl Progress for Shown {
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
        let style = ProgressStyle::with_template(template).expect("the template is valid");
        self.bar.set_style(style.progress_chars("=> "));
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
