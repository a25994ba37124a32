//! Measures the service's release binaries from outside, and in the same run the yardsticks with which they
//! are compared.
//!
//! Everything is on loopback: a Lambda Runtime API for each function, and the embedded DynamoDB behind a
//! proxy that counts.

mod answer;
mod bounds;
mod check;
mod cold;
mod dynamodb;
mod function;
mod growth;
mod http;
mod programs;
mod records;
mod report;
mod tables;
mod warm;

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::programs::Programs;
use crate::report::Report;

/// Measures the endpoints: cold, warm, and over a growing history.
#[derive(Parser)]
struct Arguments {
    /// What to measure.
    #[arg(long, value_delimiter = ',', default_value = "cold,warm,growth")]
    only: Vec<Part>,
    /// Rounds of each measurement; functions take turns in each.
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    /// Measures only those warm requests whose title contains this, such as "50 kB, gzip".
    #[arg(long, default_value = "")]
    request: String,
    /// The histories' lengths; add 1000000 for a million, which takes long to store.
    #[arg(long, value_delimiter = ',', default_value = "1000,10000,100000")]
    releases: Vec<u32>,
    /// Writes all figures to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Draws the growth into this file, as SVG.
    #[arg(long)]
    plot: Option<PathBuf>,
    /// Only compares counts with the committed baseline, and fails where they grew; never looks at a clock.
    #[arg(long)]
    check: bool,
    /// With `--check`: takes what is counted now as the new baseline.
    #[arg(long, requires = "check")]
    accept: bool,
    /// With `--check`: keeps callgrind's profiles in this directory, for `callgrind_annotate`.
    #[arg(long, requires = "check")]
    profiles: Option<PathBuf>,
    /// Measures these binaries instead of building the service's; to compare one build with another.
    #[arg(long)]
    binaries: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Cold,
    Warm,
    Growth,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    // Growth is measured only for the service.
    let with_yardsticks = !arguments.check && arguments.only.iter().any(|part| *part != Part::Growth);
    let programs = Programs::build(arguments.binaries.as_deref(), with_yardsticks)?;
    function::leave_the_function_core()?;
    if arguments.check {
        let what_ships = arguments.binaries.is_none();
        return check::check(&programs, what_ships, arguments.accept, arguments.profiles.as_deref());
    }
    let mut report = Report::of_this_machine();
    if arguments.only.contains(&Part::Cold) {
        cold::measure(&programs, arguments.rounds, &mut report)?;
    }
    if arguments.only.contains(&Part::Warm) {
        warm::measure(&programs, &arguments.request, arguments.rounds, &mut report)?;
    }
    if arguments.only.contains(&Part::Growth) {
        let plot = growth::measure(&programs, &arguments.releases, arguments.rounds, &mut report)?;
        if let Some(file) = &arguments.plot {
            std::fs::write(file, plot)?;
        }
    }
    bounds::print_bounds(&mut report);
    if let Some(file) = &arguments.json {
        std::fs::write(file, report.to_json()?)?;
    }
    Ok(())
}
