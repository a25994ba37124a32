//! Logs the service's lines to standard error, in a form for people.

use delivery_center::service::AnsweredRequest;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Starts to log what `RUST_LOG` says; without it, the service's lines from a severity on.
pub(super) fn start(least_severe: LevelFilter) {
    let wanted = std::env::var("RUST_LOG").ok().and_then(|wanted| wanted.parse::<Targets>().ok());
    let filter = wanted.unwrap_or_else(|| {
        Targets::new().with_default(LevelFilter::ERROR).with_target("delivery_center", least_severe)
    });
    let lines = tracing_subscriber::fmt::layer()
        .compact()
        .with_target(false)
        // A line that cannot be written would be reported with `eprintln!`, which panics if nobody reads
        // standard error.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    tracing_subscriber::registry().with(filter).with(lines).init();
}

/// Logs what became of a request, for people. (The functions write another line, for CloudWatch.)
pub(super) fn log_request(answered: &AnsweredRequest) {
    tracing::info!(
        request_id = answered.request_id,
        endpoint = answered.endpoint.name(),
        status = answered.status,
        subject = answered.subject,
        count = answered.count,
        seen_before = answered.usage.seen_before(),
        bytes = answered.bytes,
        dynamodb_calls = answered.usage.calls(),
        round_trips = answered.usage.round_trips(),
        read_units = answered.usage.read_units(),
        milliseconds = answered.milliseconds,
        "request"
    );
}
