//! The tool: fills the tables, and serves both endpoints on a laptop.

mod commands;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use commands::{export, import, invoke, record, reindex, serve, tables, verify};
use delivery_center::store::{Store, StoreError, TableNames};
use delivery_center_tool::facts::RecordError;
use delivery_center_tool::import::ImportError;
use delivery_center_tool::table_definitions::TableError;

/// Zadig's delivery-centre endpoints over DynamoDB: fill the tables, and serve them on a laptop.
///
/// Without a subcommand it serves sample records, as `serve` does.
#[derive(Parser)]
#[command(name = "delivery-center", version, after_help = EXIT_STATUS)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

const EXIT_STATUS: &str = "\
Environment:
  RELEASES_TABLE, ARTIFACTS_TABLE  the tables' names [delivery-releases, delivery-artifacts]
  AWS_REGION, AWS_PROFILE, AWS_ACCESS_KEY_ID, ...  as every AWS tool reads them
  AWS_ENDPOINT_URL_DYNAMODB  another DynamoDB, such as that of `serve`: http://127.0.0.1:8000
  RUST_LOG  what is logged to stderr

Exit status: 0 done; 1 something was refused or is wrong, and stderr says what; 2 the arguments cannot be read (of `record`: 1), or DynamoDB or Zadig could not be reached.";

#[derive(Subcommand)]
enum Command {
    Serve(serve::Arguments),
    /// The tables that the service reads.
    #[command(subcommand)]
    Tables(tables::Command),
    Import(import::Arguments),
    #[command(subcommand)]
    Record(Box<record::Command>),
    Export(export::Arguments),
    Reindex(reindex::Arguments),
    Verify(verify::Arguments),
    Invoke(invoke::Arguments),
}

/// What a subcommand that ran to its end says of it.
enum Ended {
    /// All is done.
    Well,
    /// Something was refused, and has been reported.
    WithRefusals,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(unreadable) => return explain(&unreadable),
    };
    start_logging();
    let ended = match arguments.command.unwrap_or_else(|| Command::Serve(serve::Arguments::default())) {
        Command::Serve(arguments) => serve::run(arguments).await,
        Command::Tables(command) => tables::run(command).await,
        Command::Import(arguments) => import::run(arguments).await,
        Command::Record(command) => record::run(*command).await,
        Command::Export(arguments) => export::run(arguments).await,
        Command::Reindex(arguments) => reindex::run(arguments).await,
        Command::Verify(arguments) => verify::run(arguments).await,
        Command::Invoke(arguments) => invoke::run(arguments).await,
    };
    match ended {
        Ok(Ended::Well) => ExitCode::SUCCESS,
        Ok(Ended::WithRefusals) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(if is_unreachable(&error) { 2 } else { 1 })
        }
    }
}

/// To a pipeline 2 means to try again, which does not help an argument of `record`: there it is 1.
fn explain(unreadable: &clap::Error) -> ExitCode {
    // Where even this cannot be written, there is nobody to tell.
    let _ = unreadable.print();
    let is_of_record = std::env::args().nth(1).as_deref() == Some("record");
    match unreadable.exit_code() {
        0 => ExitCode::SUCCESS,
        _ if is_of_record => ExitCode::from(1),
        _ => ExitCode::from(2),
    }
}

fn is_unreachable(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<ImportError>().is_some_and(ImportError::is_unreachable)
            || cause.downcast_ref::<TableError>().is_some_and(TableError::is_unreachable)
            || cause.downcast_ref::<StoreError>().is_some_and(StoreError::is_unavailable)
            || cause
                .downcast_ref::<RecordError>()
                .is_some_and(|error| matches!(error, RecordError::Contended))
    })
}

/// The requests' lines are the functions' own; the tool writes them to stderr for people.
fn start_logging() {
    use tracing_subscriber::filter::{LevelFilter, Targets};
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::util::SubscriberInitExt as _;

    let wanted = std::env::var("RUST_LOG").ok().and_then(|wanted| wanted.parse::<Targets>().ok());
    let filter = wanted.unwrap_or_else(|| {
        Targets::new().with_default(LevelFilter::ERROR).with_target("delivery_center", LevelFilter::INFO)
    });
    let lines = tracing_subscriber::fmt::layer().compact().with_target(false).with_writer(std::io::stderr);
    tracing_subscriber::registry().with(filter).with(lines).init();
}

/// Prints to standard output; that nobody reads it to the end (`| head`) is no error.
fn print(text: impl std::fmt::Display) -> anyhow::Result<()> {
    use std::io::Write as _;
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(()),
    }
}

/// Attempts at one call, the first included: who fills the tables has time.
const MAX_ATTEMPTS: u32 = 8;

/// A client of the DynamoDB that the AWS environment names.
async fn client() -> anyhow::Result<aws_sdk_dynamodb::Client> {
    Ok(aws_sdk_dynamodb::Client::new(&config().await?))
}

/// The AWS environment.
async fn config() -> anyhow::Result<aws_config::SdkConfig> {
    let retries = aws_config::retry::RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS);
    let config =
        aws_config::defaults(aws_config::BehaviorVersion::latest()).retry_config(retries).load().await;
    if config.region().is_none() {
        return Err(anyhow::anyhow!("no AWS region"))
            .context("set AWS_REGION, or choose a profile that has one with AWS_PROFILE");
    }
    Ok(config)
}

/// The store in the tables that the environment names.
async fn store() -> anyhow::Result<Store> {
    Ok(Store::new(client().await?, TableNames::from_environment()))
}
