//! What one request cost, and may take.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use tokio::time::Instant;

use crate::dynamodb::Capacity;

/// Counts what a request asks of DynamoDB: for its log line, for the benchmark, and for the tests that hold it to its bounds.
#[derive(Debug, Default)]
pub struct Meter {
    calls: AtomicU32,
    round_trips: AtomicU32,
    /// In thousandths.
    read_units: AtomicU64,
    /// When DynamoDB is asked for nothing more.
    pub(super) until: Option<Instant>,
}

impl Meter {
    /// For a request that is to be answered by a moment.
    #[must_use]
    pub fn until(moment: Instant) -> Self {
        Self { until: Some(moment), ..Self::default() }
    }

    /// The calls that were answered.
    #[must_use]
    pub fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }

    /// The times that the request had to wait for DynamoDB: calls made side by side are one.
    #[must_use]
    pub fn round_trips(&self) -> u32 {
        self.round_trips.load(Ordering::Relaxed)
    }

    /// The read request units that DynamoDB reported.
    #[must_use]
    pub fn read_units(&self) -> f64 {
        let thousandths = self.read_units.load(Ordering::Relaxed);
        f64::from(u32::try_from(thousandths).unwrap_or(u32::MAX)) / 1000.0
    }

    /// Counts an answered call.
    pub(super) fn count(&self, capacity: Capacity) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.read_units.fetch_add(capacity.milliunits, Ordering::Relaxed);
    }

    /// Counts a wait for one or several calls.
    pub(super) fn count_round_trip(&self) {
        self.round_trips.fetch_add(1, Ordering::Relaxed);
    }
}
