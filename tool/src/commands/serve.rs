//! `serve`: serves the page and both endpoints over plain HTTP, on an embedded DynamoDB.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use aws_sdk_dynamodb::Client;
use delivery_center::retries::with_patience;
use delivery_center::store::{Store, TableNames};

use super::exit_status::Ended;
use super::listening::{BACKLOG, resolve, take, the_end};
use super::{log_lines, terminal};
use crate::answers::Endpoints;
use crate::embedded::{self, EmbeddedDynamoDb, EmbeddedError, has_no_room};
use crate::import::{Progress, Source, import};
use crate::page;
use crate::table_definitions::definitions;
use crate::write::{Mode, Writer};

const SAMPLES: [&str; 4] = [
    include_str!("../../../samples/reference-release.json"),
    include_str!("../../../samples/reference-artifact.json"),
    include_str!("../../../samples/releases.jsonl"),
    include_str!("../../../samples/artifacts.jsonl"),
];

/// The address at which this process itself reaches the embedded DynamoDB, before the public one is open.
const PRIVATE_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Serve a page to look at and both endpoints over plain HTTP, on an embedded DynamoDB filled with samples.
///
/// Other tools can use this DynamoDB too: set `AWS_ENDPOINT_URL_DYNAMODB` to its address. Ctrl-C ends both.
#[derive(clap::Args)]
pub(super) struct ServeArguments {
    /// The address at which the page and the endpoints are.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3000", value_parser = resolve)]
    listen: SocketAddr,
    /// The address at which DynamoDB listens.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000", value_parser = resolve)]
    dynamodb_listen: SocketAddr,
    /// Keep the data in this SQLite file. Without it they are in memory, and lost at the end.
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Do not load the samples.
    #[arg(long)]
    empty: bool,
}

/// Serves until it is interrupted.
///
/// Both addresses are taken first, so that one that is in use is reported before anything is done. The
/// process listens at them last, so that whoever waits for a port finds tables, samples and endpoints once it
/// is open.
pub(super) async fn run(arguments: ServeArguments) -> anyhow::Result<Ended> {
    let http = take(arguments.listen, "--listen")?;
    let dynamodb = take(arguments.dynamodb_listen, "--dynamodb-listen")?;
    let embedded = EmbeddedDynamoDb::start(PRIVATE_LISTEN, arguments.data.as_deref())?;
    let tables = TableNames::from_environment();
    fill(&embedded, &tables, arguments.empty).await.map_err(|error| match arguments.data {
        Some(file) if has_no_room(&file) => EmbeddedError::NoRoom { file }.into(),
        _ => error,
    })?;
    let config = with_patience(embedded::config(&embedded.endpoint_url())).build();
    let store = Store::new(Client::from_conf(config), tables);
    let (dynamodb, http) = (dynamodb.listen(BACKLOG)?, http.listen(BACKLOG)?);
    let end = the_end();
    print_what_to_try(http.local_addr()?, dynamodb.local_addr()?, arguments.empty)?;
    tokio::spawn(embedded.serve_too(dynamodb));
    let router = page::router(http.local_addr()?, Endpoints::InProcess(store), log_lines::log_request);
    tokio::select! {
        served = axum::serve(http, router) => served?,
        () = end => {}
    }
    terminal::say(format_args!("ended"));
    Ok(Ended::Well)
}

/// Makes what is to be served, unless it is there already.
async fn fill(embedded: &EmbeddedDynamoDb, tables: &TableNames, is_empty: bool) -> anyhow::Result<()> {
    let has_data = create_tables(embedded, tables).await?;
    if !has_data && !is_empty {
        load_samples(&embedded.writer(tables.clone())).await?;
    }
    Ok(())
}

/// Creates the tables where they are missing, and tells whether anything is in them.
async fn create_tables(embedded: &EmbeddedDynamoDb, tables: &TableNames) -> anyhow::Result<bool> {
    let client = embedded.client();
    let mut has_data = false;
    for table in definitions(tables)? {
        table.create(&client).await?;
        let found = client.scan().table_name(&table.name).limit(1).send().await?;
        has_data |= found.count() > 0;
    }
    Ok(has_data)
}

async fn load_samples(writer: &Writer) -> anyhow::Result<()> {
    let sources = SAMPLES.map(|samples| Source::open("samples".to_owned(), samples.as_bytes())).into();
    import(writer, sources, Mode::Write, Arc::new(SampleProgress))
        .await
        .context("the samples could not be loaded")?;
    Ok(())
}

/// Shows nothing of loading the samples, unless one is refused.
struct SampleProgress;

impl Progress for SampleProgress {
    fn refused(&self, place: &str, reason: &str) {
        tracing::error!(place, reason, "a sample was refused");
    }
}

/// Prints where it serves and what to try; without the samples, what to import. It is printed at once.
fn print_what_to_try(http: SocketAddr, dynamodb: SocketAddr, is_empty: bool) -> anyhow::Result<()> {
    let (queries, commands) = if is_empty { (String::new(), "") } else { (queries(http), COMMANDS) };
    terminal::print(format_args!(
        "Delivery Center on http://{http} (open it in a browser), DynamoDB on http://{dynamodb}. Ctrl-C ends both.{queries}

Ask it in the terminal, or import into it, from another shell:

  export AWS_ENDPOINT_URL_DYNAMODB=http://{dynamodb} AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local
{commands}  cargo dev import --help
"
    ))
}

/// Commands that find some of the samples.
const COMMANDS: &str = "  cargo dev releases --env prod --limit 5
  cargo dev environment prod
  cargo dev artifact registry.example.com/payments/ledger-api:20220422102000-2-release
  cargo dev diff --project shop 1.2.1 1.3.0
";

/// Requests that find some of the samples.
fn queries(http: SocketAddr) -> String {
    let releases = format!("http://{http}/api/aslan/delivery/releases");
    let artifact = format!("http://{http}/api/directory/dc/artifact");
    format!(
        " Try:

  curl '{releases}?projectName=nginx2'
  curl '{releases}?serviceName=checkout&verbosity=brief'
  curl --compressed -i '{releases}?page=1&per_page=5'
  curl '{artifact}?image=koderover.tencentcloudcr.com%2Fkoderover-demo%2Fpicket%3A20211214154446-70-main-pr-736'
  curl '{artifact}?image=sha256%3A1d9ddf94feb5ff9ca9d76248ad51dd2a95210895d0dbf1e87bd66cc471c41f0e'

From the other end: which releases held this image, were built from this commit, went to production lately? Which image
was built from this commit or pull request, where does it run, and what runs in production now?

  curl '{releases}?image=registry.example.com%2Fshop%2Fcart%3A20211203101907-1-main&verbosity=brief'
  curl '{releases}?commit=d6ca076&verbosity=brief'
  curl '{releases}?label=release&verbosity=brief&version=1.0.0'
  curl '{releases}?envName=prod&since=2022-04-01&until=2022-05-01&verbosity=brief'
  curl -i '{artifact}?commit=9d8b693'
  curl '{artifact}?pr=118&repo=acme-shop%2Fshop'
  curl '{artifact}?image=registry.example.com%2Fpayments%2Fledger-api%3A20220422102000-2-release&include=environments'
  curl '{artifact}?envName=prod&image=registry.example.com%2Fshop%2Fcart'"
    )
}
