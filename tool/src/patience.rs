//! Waits between attempts, up to a time limit.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use tokio::time::Instant;

/// Waits between attempts, up to a time limit. The waits grow, and are partly random, so that several who failed at the same
/// time do not all try again at the same time.
#[derive(Debug)]
pub struct Patience {
    deadline: Instant,
    waits: ExponentialBackoff,
    has_waited: bool,
}

impl Patience {
    /// Patience that ends when `limit` has passed.
    pub fn new(limit: Duration) -> Self {
        let waits = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(12))
            .with_max_delay(Duration::from_secs(4))
            .with_jitter()
            .without_max_times();
        Self { deadline: Instant::now() + limit, waits: waits.build(), has_waited: false }
    }

    /// Whether [`Self::wait`] was called, so that a first attempt has failed.
    pub fn has_waited(&self) -> bool {
        self.has_waited
    }

    /// Waits before the next attempt; gives `false` at once where no time is left for one.
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
