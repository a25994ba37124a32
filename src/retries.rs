//! What a function tries again, how long, and why. A caller waits for all of it.
//!
//! | what | how often | why |
//! | --- | --- | --- |
//! | a call whose failure passes ([`crate::unavailability`]) | [`MAX_ATTEMPTS`], [`ATTEMPT_TIMEOUT`] | (1) |
//! | keys that BatchGetItem left unprocessed | [`UNPROCESSED_KEYS`] | (2) |
//!
//! 1. The SDK waits up to a second in between, at random. So all attempts end within about 9 seconds, well
//!    before the function's 15 are over. The second attempt is made over a new connection
//!    ([`crate::connections`]).
//! 2. The table is throttled for a moment, and the rest of the answer is there already.
//!
//! What the tool tries again stands in `tool/src/retries.rs`.

use std::time::Duration;

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{Builder, StalledStreamProtectionConfig};
use backon::ExponentialBuilder;

use crate::unavailability::try_again;

/// How many attempts a call has, the first one included.
pub const MAX_ATTEMPTS: u32 = 3;
/// How long opening a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long one attempt at a call may take. A timeout for the whole call would be one more timer for each,
/// and setting a timer is a system call.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(2500);

/// The waits before keys that DynamoDB left unprocessed are asked for again: two seconds in all, at most.
pub const UNPROCESSED_KEYS: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(15))
    .with_max_delay(Duration::from_secs(1))
    .with_max_times(6)
    .with_jitter();

/// Gives the configuration of a client the attempts and timeouts of a function, since a caller is waiting.
pub fn with_patience(config: Builder) -> Builder {
    let retries =
        RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS).with_max_backoff(Duration::from_secs(1));
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .build();
    try_again(config)
        .retry_config(retries)
        .timeout_config(timeouts)
        // A call that stalls ends with the timeout of its attempt. The protection would cost 11,000 to 15,000
        // instructions for each call.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
}
