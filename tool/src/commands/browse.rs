//! `browse`: serves the page on this machine, over the AWS environment's tables or a deployed API.

use std::net::SocketAddr;

use super::exit_status::{Ended, unusable};
use super::listening::{BACKLOG, resolve, take, take_or_free, the_end};
use super::question::ApiArguments;
use super::terminal;
use crate::page;

const LISTEN: &str = "127.0.0.1:3001";

/// Serve a page to look at, on this machine, over your tables or a deployed API.
///
/// It only reads: the tables that the AWS environment names, with your credentials, which need `dynamodb:Query`
/// and `dynamodb:BatchGetItem` on them; or the deployed API at --api, with your token or your signature.
/// It listens on loopback alone: whoever may use this machine may look. Ctrl-C ends it.
#[derive(clap::Args)]
pub(super) struct BrowseArguments {
    /// The address at which the page is, which must be a loopback address [default: 127.0.0.1:3001, or a
    /// free port where that is taken]
    #[arg(long, value_name = "ADDRESS", value_parser = resolve)]
    listen: Option<SocketAddr>,
    #[command(flatten)]
    api: ApiArguments,
}

/// Serves until it is interrupted.
pub(super) async fn run(arguments: BrowseArguments) -> anyhow::Result<Ended> {
    let socket = match arguments.listen {
        Some(address) if !address.ip().is_loopback() => {
            return Err(unusable(format!(
                "--listen {address} is no loopback address, such as {LISTEN}: whoever reached it could \
                 read with your credentials"
            )));
        }
        Some(address) => take(address, "--listen")?,
        None => take_or_free(resolve(LISTEN).expect("it is an address"), "--listen")?,
    };
    let endpoints = arguments.api.endpoints().await?;
    let listener = socket.listen(BACKLOG)?;
    let address = listener.local_addr()?;
    let end = the_end();
    terminal::print(format_args!("Open http://{address} in a browser. Ctrl-C ends it."))?;
    let router = page::router(address, endpoints, |_| {});
    // Not gracefully: whoever sent half a request, or waits for an API that hangs, would hold the process for long.
    tokio::select! {
        served = axum::serve(listener, router) => served?,
        () = end => {}
    }
    terminal::say(format_args!("ended"));
    Ok(Ended::Well)
}
