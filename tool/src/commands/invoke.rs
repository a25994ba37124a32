//! `invoke`: answers one Lambda event, and prints the Lambda response.

use std::io::Read as _;
use std::path::PathBuf;
use std::{fs, io};

use anyhow::Context as _;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use delivery_center::endpoint::Endpoint;
use delivery_center::lambda;
use delivery_center::service::EndpointService;
use serde_json::value::RawValue;

use super::exit_status::Ended;
use super::{aws, json_file, log_lines, terminal};

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
    let (mut file, mut content) = (arguments.event, Vec::new());
    let read = if file.as_os_str() == "-" {
        file = PathBuf::from("standard input");
        io::stdin().read_to_end(&mut content)
    } else {
        fs::File::open(&file).and_then(|mut file| file.read_to_end(&mut content))
    };
    read.with_context(|| format!("cannot read {}", file.display()))?;
    let event: Box<RawValue> = json_file::parse(&file, &content, "an event, such as those in events/")?;
    let service = EndpointService::new(arguments.function, aws::answering_store().await?)
        .with_log(log_lines::log_request);
    let response = lambda::event::answer_json(&service, event.get()).await?;
    terminal::print(response)?;
    Ok(Ended::Well)
}

fn named(name: &str) -> Endpoint {
    let mut endpoints = Endpoint::ALL.into_iter();
    endpoints.find(|endpoint| endpoint.name() == name).expect("no other value is possible")
}
