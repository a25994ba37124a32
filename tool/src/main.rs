//! The `delivery-center` command.

use std::process::ExitCode;

use delivery_center_tool::commands;

#[tokio::main]
async fn main() -> ExitCode {
    start_logging();
    commands::run().await
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
