//! How long something is tried again.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use tokio::time::Instant;

/// How long something is tried again, with waits that spread those who try at the same time.
#[derive(Debug)]
pub struct Patience {
    deadline: Instant,
    waits: ExponentialBackoff,
    has_waited: bool,
}

impl Patience {
    /// Patience that ends after some time.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        let waits = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(12))
            .with_max_delay(Duration::from_secs(4))
            .with_jitter()
            .without_max_times();
        Self { deadline: Instant::now() + limit, waits: waits.build(), has_waited: false }
    }

    /// Whether there was a second attempt.
    #[must_use]
    pub fn has_waited(&self) -> bool {
        self.has_waited
    }

    /// Waits before the next attempt; `false` where there is no time for one.
    pub async fn wait(&mut self) -> bool {
        self.has_waited = true;
        let Some(wait) = self.waits.next() else { return false };
        if Instant::now() + wait > self.deadline {
            return false;
        }
        tokio::time::sleep(wait).await;
        true
    }
}
