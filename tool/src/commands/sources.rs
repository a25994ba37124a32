//! What `import` and `verify` read, and the report of what they did with it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};

use super::exit_status::{is_unreachable, unusable};
use super::import_progress::ImportProgress;
use super::{aws, terminal};
use crate::https::Token;
use crate::import::{self, Input, Progress, Report, ReportFile, Source, Task};
use crate::input::dump_files::{
    FileContent, FilesError, check_unnamed, find_collections, is_named_after_a_collection, recognize,
};
use crate::input::server::{Options, Server};
use crate::write::Mode;

#[derive(clap::Args)]
pub(super) struct Sources {
    /// Files of records, directories or files of Zadig's collections, or - for standard input.
    #[arg(required_unless_present = "zadig", value_name = "SOURCE")]
    given: Vec<PathBuf>,
    /// Read the running Zadig at this URL, with the token in `ZADIG_TOKEN` or --token-file.
    #[arg(long, value_name = "URL", conflicts_with = "given")]
    zadig: Option<String>,
    /// A file that holds the token; without it, the token is in the variable `ZADIG_TOKEN`.
    #[arg(long, value_name = "FILE", requires = "zadig")]
    token_file: Option<PathBuf>,
    /// How many records one request asks for.
    #[arg(long, value_name = "RECORDS", requires = "zadig", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    per_page: u32,
    /// How many requests run at the same time.
    #[arg(long, value_name = "REQUESTS", requires = "zadig", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=32))]
    requests: u8,
    /// How long one request may take before it is tried again, and how long it is tried again.
    #[arg(long, value_name = "SECONDS", requires = "zadig", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// Write to this file what became of each record that needs a look, as JSON Lines, and last all counts.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

impl Sources {
    /// Does a task with all records of the sources, and prints and gives what was done.
    ///
    /// Whatever can fail without reading the sources comes first, since reading them may take hours.
    pub(super) async fn run(mut self, task: Task) -> anyhow::Result<Report> {
        let action = match task {
            Task::Import { mode: Mode::DryRun, .. } => "dry run",
            Task::Import { mode: Mode::Write | Mode::Rewrite, .. } => "import",
            Task::Verify => "verification",
        };
        for path in &self.given {
            is_file(path)?;
        }
        let server = self.server()?;
        let report_path = self.report.take();
        if report_path.as_deref().is_some_and(|report| self.is_source(report)) {
            return Err(unusable("--report names one of the sources, which it would overwrite"));
        }
        let report = report_path.as_deref().map(open_report).transpose()?;
        let not_begun = |error: anyhow::Error| {
            ended_early(error, &format!("the {action} cannot begin"), "; run it again")
        };
        let writer = aws::writer().await.map_err(not_begun)?;
        writer.reach().await.map_err(|error| not_begun(error.into()))?;
        let progress = Arc::new(ImportProgress::new());
        // The beginning of a pipe is read to tell what it is, and that may take long already.
        progress.begins("reading", None);
        let input = match server {
            Some(server) => {
                if server.sends_token_unencrypted() {
                    progress.note("the token goes over the network unencrypted; https:// would protect it");
                }
                Input::Server(server)
            }
            None => self.open(progress.as_ref()).inspect_err(|_| progress.finish())?,
        };
        // Records in the API's JSON come from no collections, so they are not counted by collection.
        let is_of_zadig = !matches!(input, Input::Records(_));
        let shown = Arc::clone(&progress) as Arc<dyn Progress>;
        let done = import::run(&writer, input, task, shown, report).await;
        progress.finish();
        let mut report = done.map_err(|error| {
            ended_early(error, &format!("the {action} stopped"), "; run it again to complete it")
        })?;
        if matches!(task, Task::Import { mode: Mode::DryRun, .. }) {
            terminal::print("dry run, nothing was written; an import would say:")?;
        }
        if is_of_zadig || task == Task::Verify {
            terminal::print(&report)?;
        } else {
            terminal::print(report.totals())?;
        }
        for held_back in report.held_back() {
            terminal::print(held_back)?;
        }
        report.write_summary(action).with_context(|| {
            let path = report_path.unwrap_or_default();
            format!("the {action} is done, but its report {} is incomplete", path.display())
        })?;
        for (owner, orphaned) in report.missing_owners() {
            terminal::print(format_args!(
                "no {owner} was read, and {orphaned} records belong to one: give {owner} too, or find out why its file is empty"
            ))?;
        }
        Ok(report)
    }

    /// Whether a path leads to a file that is given as a source, or to a collection in a folder that is.
    fn is_source(&self, path: &Path) -> bool {
        // A file that does not exist yet is not a source.
        let Ok(path) = path.canonicalize() else { return false };
        self.given
            .iter()
            .filter_map(|given| given.canonicalize().ok())
            .any(|given| path == given || (path.starts_with(given) && is_named_after_a_collection(&path)))
    }

    /// The running Zadig that is given.
    fn server(&self) -> anyhow::Result<Option<Server>> {
        let Some(url) = &self.zadig else { return Ok(None) };
        let options = Options {
            page_size: self.per_page,
            requests_at_once: self.requests.into(),
            timeout: Duration::from_secs(self.timeout),
        };
        let url = Server::url(url).map_err(unusable)?;
        Ok(Some(Server::new(url, token(self.token_file.as_deref())?, options)))
    }

    /// Finds out what the files are.
    fn open(self, progress: &dyn Progress) -> anyhow::Result<Input> {
        let (mut files, mut unknown, mut records) = (Vec::new(), Vec::new(), Vec::new());
        for path in &self.given {
            if path.is_dir() {
                let directory = find_collections(path)?;
                if directory.others > 0 {
                    progress.note(&format!(
                        "{} other collections and files in {} are left out, since they hold no part of releases or artifacts",
                        directory.others,
                        path.display()
                    ));
                }
                files.extend(directory.collections);
                unknown.extend(directory.unknown);
                continue;
            }
            if !is_file(path)? {
                if is_named_after_a_collection(path) {
                    return Err(FilesError::NotAFile(path.clone()).into());
                }
                records.push(opened(path)?);
                continue;
            }
            match recognize(path)? {
                FileContent::Collection(file) => files.push(file),
                FileContent::OtherCollection => {
                    bail!(
                        "{} is a collection that holds no part of releases or artifacts; leave it out",
                        path.display()
                    )
                }
                FileContent::Records => records.push(Source::at(path.display().to_string(), path.clone())),
            }
        }
        match (files.is_empty(), records.first()) {
            (false, None) => Ok(Input::Collections { files, unknown }),
            (false, Some(records)) => {
                bail!(
                    "{} is not a collection of Zadig's, as the other sources are: run this once for either kind",
                    records.name
                )
            }
            (true, _) => Ok(Input::Records(records)),
        }
    }
}

fn open_report(path: &Path) -> anyhow::Result<ReportFile> {
    ReportFile::create(path).with_context(|| format!("cannot write the report {}", path.display()))
}

/// An error that ended a command; with advice, if another attempt may succeed.
fn ended_early(error: impl Into<anyhow::Error>, what: &str, advice: &str) -> anyhow::Error {
    let error = error.into();
    let advice = if is_unreachable(&error) { advice } else { "" };
    error.context(format!("{what}{advice}"))
}

/// Reads the token from a file or a variable: others on this machine could see an argument.
fn token(file: Option<&Path>) -> anyhow::Result<Token> {
    let (text, origin) = if let Some(file) = file {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        (text, file.display().to_string())
    } else {
        let text = std::env::var("ZADIG_TOKEN").context("set ZADIG_TOKEN, or give --token-file")?;
        (text, "ZADIG_TOKEN".to_owned())
    };
    Token::parse(&text).map_err(|reason| anyhow!("{origin}: {reason}"))
}

/// Whether a source is a regular file, which can be looked at before it is read.
fn is_file(path: &Path) -> anyhow::Result<bool> {
    if path == Path::new("-") {
        return Ok(false);
    }
    Ok(path.metadata().with_context(|| format!("cannot read {}", path.display()))?.is_file())
}

/// Opens a source that can be read only once, such as standard input or a pipe.
fn opened(path: &Path) -> anyhow::Result<Source> {
    let (name, input): (_, Box<dyn Read + Send>) = if path == Path::new("-") {
        ("standard input".to_owned(), Box::new(io::stdin()))
    } else {
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| format!("cannot read {name}"))?;
        (name, Box::new(file))
    };
    let input = check_unnamed(Path::new(&name), input)?;
    Ok(Source::open(name, input))
}
