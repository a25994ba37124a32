//! `invoke`: answers one Lambda event, and prints the Lambda response.

use std::path::PathBuf;
use std::{fs, io};

use anyhow::Context as _;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use delivery_center::endpoint::Endpoint;
use delivery_center::lambda;
use delivery_center::service::EndpointService;

use super::exit_status::Ended;
use super::{aws, log_lines, terminal};

/// Answer one Lambda event as the function would, and print the Lambda response.
///
/// It reads the tables that the environment names. To try it, run `serve` in another terminal, and set
/// `AWS_ENDPOINT_URL_DYNAMODB=http://127.0.0.1:8000` and any region and credentials.
#[derive(clap::Args)]
pub(super) struct InvokeArguments {
    /// The function that answers.
    #[arg(value_parser = PossibleValuesParser::new(Endpoint::ALL.map(Endpoint::name)).map(|name| named(&name)))]
    function: Endpoint,
    /// The file with the event, or - for standard input. The folder events/ has an event for every case.
    #[arg(long, value_name = "FILE")]
    event: PathBuf,
}

pub(super) async fn run(arguments: InvokeArguments) -> anyhow::Result<Ended> {
    let event = arguments.event;
    let is_standard_input = event.as_os_str() == "-";
    let read = if is_standard_input { io::read_to_string(io::stdin()) } else { fs::read_to_string(&event) };
    let event = read.with_context(|| format!("cannot read {}", event.display()))?;
    let service = EndpointService::new(arguments.function, aws::answering_store().await?)
        .with_log(log_lines::log_request);
    let response = lambda::event::answer_json(&service, &event).await?;
    terminal::print(response)?;
    Ok(Ended::Well)
}

fn named(name: &str) -> Endpoint {
    let mut endpoints = Endpoint::ALL.into_iter();
    endpoints.find(|endpoint| endpoint.name() == name).expect("no other value is possible")
}
