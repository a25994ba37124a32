//! Medians, ninetieth percentiles, and the tables they are printed in.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use crate::bounds::{Figure, Measured};

/// Figures of one measurement, in milliseconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Milliseconds(Vec<f64>);

impl Milliseconds {
    pub(crate) fn push(&mut self, duration: Duration) {
        self.0.push(duration.as_secs_f64() * 1000.0);
    }

    /// Adds the median of others, such as those of one round.
    pub(crate) fn push_median_of(&mut self, others: &Self) {
        self.0.push(others.median());
    }

    pub(crate) fn median(&self) -> f64 {
        self.at(0.5)
    }

    /// The median of this function's figures divided by another's of the same rounds: a machine that is
    /// slower for a while is slower for both.
    pub(crate) fn median_ratio(&self, others: &Self) -> f64 {
        Self(self.0.iter().zip(&others.0).map(|(figure, other)| figure / other).collect()).median()
    }

    pub(crate) fn p90(&self) -> f64 {
        self.at(0.9)
    }

    fn at(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a place in a short list"
        )]
        let place = ((sorted.len() as f64 - 1.0) * share).round() as usize;
        sorted.get(place).copied().unwrap_or(f64::NAN)
    }
}

/// Everything that was measured, to be written as JSON.
#[derive(Serialize)]
pub(crate) struct Report {
    machine: Value,
    rows: Vec<Value>,
    #[serde(skip)]
    measured: Vec<Measured>,
}

impl Report {
    pub(crate) fn of_this_machine() -> Self {
        let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
        let processor = read("/proc/cpuinfo")
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
            .map_or_else(|| "unknown".to_owned(), |(_, name)| name.to_owned());
        let machine = json!({
            "processor": processor,
            "cores": read("/proc/cpuinfo").lines().filter(|line| line.starts_with("processor")).count(),
            "kernel": read("/proc/sys/kernel/osrelease").trim(),
        });
        println!("{} cores of {}", machine["cores"], machine["processor"]);
        Self { machine, rows: Vec::new(), measured: Vec::new() }
    }

    pub(crate) fn add(&mut self, row: Value) {
        self.rows.push(row);
    }

    /// Adds a figure for which there may be a bound.
    pub(crate) fn add_figure(&mut self, measured: Measured) {
        self.measured.push(measured);
    }

    pub(crate) fn measured(&self, figure: Figure) -> Option<Measured> {
        self.measured.iter().copied().find(|measured| measured.figure == figure)
    }

    pub(crate) fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }
}

/// Prints a table in Markdown.
pub(crate) fn print(title: &str, head: &[&str], rows: &[Vec<String>]) {
    println!("\n## {title}\n");
    println!("| {} |", head.join(" | "));
    println!("|{}", " --- |".repeat(head.len()));
    for row in rows {
        println!("| {} |", row.join(" | "));
    }
}
