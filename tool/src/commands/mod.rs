//! The command line: the subcommands, a file each, and what several of them need.
//!
//! - `aws` makes the client that the environment names;
//! - `question` has `--api`: whether a command that answers a question asks the tables or a deployed API;
//! - `exit_status` decides how a command ends;
//! - `listening` has the addresses at which `serve` and `browse` listen;
//! - `log_lines` logs to standard error;
//! - `terminal` prints, and draws the progress bars;
//! - `layout`, `section`, `local_time` and `short_image` show answers to people, as tables, fields, times and
//!   images;
//! - `sources` and `import_progress` are for `import` and `verify`: what they read, and how they show what
//!   they do.

mod artifact;
mod aws;
mod browse;
mod command_line_help;
mod diff;
mod doctor;
mod environment;
mod exit_status;
mod export;
mod import;
mod import_progress;
mod invoke;
mod json_file;
mod layout;
mod listening;
mod local_time;
mod log_lines;
mod question;
mod record;
mod reindex;
mod releases;
mod section;
mod serve;
mod short_image;
mod sources;
mod tables;
mod terminal;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::filter::LevelFilter;

/// Zadig's delivery-centre endpoints over DynamoDB: fill the tables, look into them, and serve both endpoints
/// on a laptop.
///
/// Without a subcommand it runs `serve`, with sample records.
#[derive(Parser)]
#[command(name = "delivery-center", version, after_help = format!("{ENVIRONMENT}\n\n{}", exit_status::help()))]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

const ENVIRONMENT: &str = "\
Environment:
  RELEASES_TABLE, ARTIFACTS_TABLE  the tables' names [delivery-releases, delivery-artifacts]
  AWS_REGION, AWS_PROFILE, AWS_ACCESS_KEY_ID, ...  as every AWS tool reads them
  AWS_ENDPOINT_URL_DYNAMODB  the URL of another DynamoDB, such as that of `serve`: http://127.0.0.1:8000
  DELIVERY_CENTER_API, DELIVERY_CENTER_TOKEN  the deployed API that `releases`, `artifact`, `environment`, `diff` and
                             `browse` ask instead of the tables, and the bearer token for it
  DYNAMODB_TRANSACTION_WRITES  how many writes a transaction may hold [100, as in DynamoDB; older emulators take 10]
  RUST_LOG  what is logged to stderr";

#[derive(Subcommand)]
enum Command {
    Serve(serve::ServeArguments),
    Browse(browse::BrowseArguments),
    /// Create the tables that the service reads.
    #[command(subcommand)]
    Tables(tables::TablesCommand),
    Import(import::ImportArguments),
    #[command(subcommand)]
    Record(Box<record::RecordCommand>),
    Export(export::ExportArguments),
    Reindex(reindex::ReindexArguments),
    Verify(verify::VerifyArguments),
    Doctor(doctor::DoctorArguments),
    Invoke(invoke::InvokeArguments),
    Releases(releases::ReleasesArguments),
    Artifact(artifact::ArtifactArguments),
    Diff(diff::DiffArguments),
    Environment(environment::EnvironmentArguments),
    Completions(command_line_help::CompletionsArguments),
    /// Print the manual page: `delivery-center man | man -l -`.
    Man,
}

impl Command {
    /// Whether it asks one question in a terminal, and says itself what fails.
    fn is_question(&self) -> bool {
        matches!(self, Self::Releases(_) | Self::Artifact(_) | Self::Diff(_) | Self::Environment(_))
    }
}

/// Runs the command that the process's arguments name, and gives its exit status.
pub async fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(unreadable) => return exit_status::of_arguments(unreadable),
    };
    let serve = || Arguments::parse_from(["delivery-center", "serve"]).command;
    let command = arguments.command.or_else(serve).expect("`serve` is a subcommand");
    log_lines::start(if command.is_question() { LevelFilter::OFF } else { LevelFilter::INFO });
    // Ctrl-C is the way in which these two end.
    if !matches!(command, Command::Serve(_) | Command::Browse(_)) {
        exit_status::end_when_interrupted();
    }
    let ended = match command {
        Command::Serve(arguments) => serve::run(arguments).await,
        Command::Browse(arguments) => browse::run(arguments).await,
        Command::Tables(command) => tables::run(command).await,
        Command::Import(arguments) => import::run(arguments).await,
        Command::Record(command) => Box::pin(record::run(*command)).await,
        Command::Export(arguments) => export::run(arguments).await,
        Command::Reindex(arguments) => reindex::run(arguments).await,
        Command::Doctor(arguments) => doctor::run(arguments).await,
        Command::Verify(arguments) => verify::run(arguments).await,
        Command::Invoke(arguments) => invoke::run(arguments).await,
        Command::Completions(arguments) => command_line_help::print_completions(&arguments),
        Command::Man => command_line_help::print_manual(),
        Command::Releases(arguments) => releases::run(arguments).await,
        Command::Artifact(arguments) => artifact::run(arguments).await,
        Command::Diff(arguments) => diff::run(arguments).await,
        Command::Environment(arguments) => environment::run(arguments).await,
    };
    exit_status::of_command(ended)
}
