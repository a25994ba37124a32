//! What one request asked of DynamoDB.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use aws_sdk_dynamodb::types::ConsumedCapacity;

/// Counts what a request asks of DynamoDB: for its log line, for the benchmark, and for the tests that hold
/// it to its bounds.
#[derive(Debug, Default)]
pub struct Usage {
    calls: AtomicU32,
    round_trips: AtomicU32,
    /// In halves of a unit: DynamoDB counts no finer.
    half_read_units: AtomicU64,
    seen_before: AtomicU32,
}

impl Usage {
    /// The calls that were answered.
    pub fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }

    /// How often the request had to wait for DynamoDB. Calls that are made side by side are one wait.
    pub fn round_trips(&self) -> u32 {
        self.round_trips.load(Ordering::Relaxed)
    }

    /// The read request units that DynamoDB reported.
    pub fn read_units(&self) -> f64 {
        let halves = self.half_read_units.load(Ordering::Relaxed);
        f64::from(u32::try_from(halves).unwrap_or(u32::MAX)) / 2.0
    }

    /// The releases whose documents were in memory, so that nothing was read for them.
    pub fn seen_before(&self) -> u32 {
        self.seen_before.load(Ordering::Relaxed)
    }

    /// Counts an answered call.
    pub fn count<'a>(&self, consumed: impl IntoIterator<Item = &'a ConsumedCapacity>) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let units: f64 = consumed.into_iter().filter_map(ConsumedCapacity::capacity_units).sum();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole halves, 0 or more, and far below 2^64"
        )]
        self.half_read_units.fetch_add((units * 2.0).round() as u64, Ordering::Relaxed);
    }

    /// Counts a wait for one or several calls.
    pub fn count_round_trip(&self) {
        self.round_trips.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a release whose documents are in memory.
    pub fn count_seen_before(&self) {
        self.seen_before.fetch_add(1, Ordering::Relaxed);
    }
}
