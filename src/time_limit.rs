//! How long a request may take. What has not ended by then is answered with a 503.

use std::time::{Duration, SystemTime};

/// How long a request may take at most; API Gateway gives up at 30 seconds.
const MAX_DURATION: Duration = Duration::from_secs(20);
/// A request is given up this long before Lambda ends the function, so that there is time to send the answer.
const TIME_TO_ANSWER: Duration = Duration::from_millis(400);
/// How long a request may take that ends at Lambda's deadline, where there is one.
pub fn of(deadline: Option<SystemTime>) -> Duration {
    let remaining = deadline.map(|deadline| deadline.duration_since(SystemTime::now()).unwrap_or_default());
    remaining.map_or(MAX_DURATION, |remaining| remaining.saturating_sub(TIME_TO_ANSWER).min(MAX_DURATION))
}
