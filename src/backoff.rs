//! Waits between attempts.

use std::time::Duration;

/// A wait that doubles each round, half of it by chance, so that callers who were refused together do not come back together.
#[must_use]
pub(crate) fn backoff(first: Duration, round: u32) -> Duration {
    let longest = first.saturating_mul(1 << round.min(10));
    longest.mul_f64(0.5 + fraction() / 2.0)
}

/// Some number from 0 to 1, different each time: the standard library's hasher keys are random enough to spread retries.
#[must_use]
pub(crate) fn fraction() -> f64 {
    use std::hash::{BuildHasher as _, RandomState};
    f64::from(u32::try_from(RandomState::new().hash_one(0_u8) >> 32).unwrap_or_default())
        / f64::from(u32::MAX)
}
