//! `invoke`: one Lambda event in, the Lambda response out.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use delivery_center::dynamodb::{DynamoDb, Limits};
use delivery_center::event::Event;
use delivery_center::invocation::{self, Endpoint, Invocation};
use delivery_center::store::{Store, TableNames};

use crate::Ended;

/// Answer one Lambda event as the function would, and print the Lambda response.
///
/// It reads the tables that the environment names: try it beside `serve`, with
/// `AWS_ENDPOINT_URL_DYNAMODB=http://127.0.0.1:8000` and any region and credentials.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The function.
    function: Function,
    /// The event's file, or - for standard input; events/ has one for every case.
    #[arg(long, value_name = "FILE")]
    event: PathBuf,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Function {
    ListReleases,
    GetArtifact,
}

impl From<Function> for Endpoint {
    fn from(function: Function) -> Self {
        match function {
            Function::ListReleases => Self::ListReleases,
            Function::GetArtifact => Self::GetArtifact,
        }
    }
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<Ended> {
    let event =
        read(&arguments.event).with_context(|| format!("cannot read {}", arguments.event.display()))?;
    let limits = Limits::OF_A_FUNCTION;
    let dynamodb = DynamoDb::from_sdk(&crate::config(limits.attempts).await?, limits)?;
    let store = Store::new(dynamodb, TableNames::from_environment());
    let invocation = Invocation { request_id: "invoke".to_owned(), ..Invocation::default() };
    let event = Event::from_json(&event);
    let json = invocation::answer(arguments.function.into(), &store, event, &invocation).await;
    crate::print(String::from_utf8(json).context("the response is no text")?)?;
    Ok(Ended::Well)
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    if path != Path::new("-") {
        return std::fs::read(path);
    }
    let mut event = Vec::new();
    std::io::stdin().read_to_end(&mut event)?;
    Ok(event)
}
