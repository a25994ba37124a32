//! What the tool tries again, how long, and why.
//!
//! The SDK tries a call again whose failure passes ([`delivery_center::unavailability`]), with waits of its
//! own:
//!
//! | command | attempts | why |
//! | --- | --- | --- |
//! | `import`, `verify`, `export`, `reindex` | `patient` | nobody waits for a single call |
//! | their first call, `doctor`, `tables create` | `hasty` | where nothing answers, the endpoint is wrong |
//! | `record` | `hasty` | it tries again by itself, as below |
//! | `releases`, `artifact`, `diff`, `invoke`, `serve` | [`delivery_center::retries`] | somebody waits |
//!
//! Everything else waits with a [`Patience`], for so long:
//!
//! | what is tried again | for how long | why |
//! | --- | --- | --- |
//! | a transaction that met another, or was throttled | `REFUSED_TRANSACTION` | the other is soon over |
//! | writes that BatchWriteItem left unprocessed | `UNPROCESSED_WRITES` | a throttled table grows |
//! | a record that others changed since it was read | `CONTENDED_RECORD` | the others end some time |
//! | a record of `reindex` and `doctor` | `CONTENDED_RECORD` | many others are done already |
//! | a fact of `record` | its `--timeout`, 180 seconds | a pipeline would rather wait than fail |
//! | a look for an image's artifact, in `record` | `LAGGING_LOOK_UP` | the index lags behind its table |
//! | a look for a release in its list, in `doctor` | `LAGGING_LIST` | it measures how far the index lags |
//! | a look whether a table and its index are active | `TABLE_CREATION` | `tables create` just made them |
//! | a page or a release of a running Zadig | `--timeout` of a request, 120 seconds | it may be restarting |
//! | a question to a deployed API | `ASKED_API` | it has tried for nine seconds itself |

use std::time::Duration;

use aws_sdk_dynamodb::config::Builder;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use delivery_center::unavailability::try_again;
use tokio::time::Instant;

/// Attempts at one call while the tables are filled, the first included.
const MAX_ATTEMPTS: u32 = 8;
pub(crate) const REFUSED_TRANSACTION: Duration = Duration::from_secs(30);
pub(crate) const UNPROCESSED_WRITES: Duration = Duration::from_mins(2);
pub(crate) const CONTENDED_RECORD: Duration = Duration::from_mins(1);
pub(crate) const LAGGING_LOOK_UP: Duration = Duration::from_secs(1);
pub(crate) const LAGGING_LIST: Duration = Duration::from_secs(5);
pub(crate) const TABLE_CREATION: Duration = Duration::from_mins(3);
pub(crate) const ASKED_API: Duration = Duration::from_secs(5);
/// How long a deployed API may take to answer: somewhat longer than API Gateway gives a function.
pub(crate) const ASKED_API_TIMEOUT: Duration = Duration::from_secs(35);

/// Gives the configuration of a client many attempts.
pub(crate) fn patient(config: Builder) -> Builder {
    try_again(config).retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS))
}

/// Gives the configuration of a client few attempts and short timeouts.
pub(crate) fn hasty(config: Builder) -> Builder {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(Duration::from_secs(10))
        .operation_timeout(Duration::from_secs(20))
        .build();
    try_again(config).timeout_config(timeouts).retry_config(RetryConfig::standard().with_max_attempts(2))
}

/// Waits between attempts, until a limit has passed since the first one failed. The waits grow from 12 ms to
/// four seconds, and are partly random, so that several who failed at the same time do not all try again at
/// the same time.
#[derive(Debug)]
pub struct Patience {
    limit: Duration,
    /// The end of it; `None` while no attempt has failed.
    deadline: Option<Instant>,
    waits: ExponentialBackoff,
}

impl Patience {
    /// Patience for so long.
    pub fn new(limit: Duration) -> Self {
        let waits = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(12))
            .with_max_delay(Duration::from_secs(4))
            .with_jitter()
            .without_max_times();
        Self { limit, deadline: None, waits: waits.build() }
    }

    /// Whether [`Self::wait`] was called, so that a first attempt has failed.
    pub fn has_waited(&self) -> bool {
        self.deadline.is_some()
    }

    /// Waits before the next attempt; gives `false` at once where no time is left for one.
    pub async fn wait(&mut self) -> bool {
        let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + self.limit);
        let Some(wait) = self.waits.next() else { return false };
        if Instant::now() + wait > deadline {
            return false;
        }
        tokio::time::sleep(wait).await;
        true
    }
}
