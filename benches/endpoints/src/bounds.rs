//! The bounds within which the service's figures must stay, and whether a run kept to them.

use serde_json::json;

use crate::report::{Report, print};

/// The requests that bounds are about, by their titles.
pub(crate) const ARTIFACT: &str = "artifact by tag, gzip";
pub(crate) const LARGE_GZIP: &str = "20 releases of 50 kB, gzip";
pub(crate) const SMALL_GZIP: &str = "20 releases of 8 kB, gzip";
pub(crate) const SMALL_IDENTITY: &str = "20 releases of 8 kB, identity";

/// What a figure measures, of the service or of a yardstick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Figure {
    /// The CPU time of a warm invocation, divided by that of the usual way, where a DynamoDB call takes 0 ms.
    Cpu(&'static str, Reading),
    /// The latency, divided by that of the usual way, where a DynamoDB call takes 3 ms.
    Latency(&'static str, Reading),
    /// The read units, divided by those of the usual way, where nothing was seen before.
    ReadUnits(&'static str),
    /// The DynamoDB calls over the longest history, divided by those over the shortest, for the filter that
    /// grows most.
    CallsOverHistory,
    /// The time from exec to the first answer over TLS, divided by that of the usual way.
    FirstAnswer,
    /// The larger binary, zipped, in MB.
    Zipped,
    /// The memory that is resident after 1,000 lists, in MB.
    Resident,
    /// How much more memory is resident after another 1,000 lists, in MB.
    ResidentGrowth,
}

/// Whether a warm function keeps documents from one request to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    FirstTime,
    SeenBefore,
}

/// A figure as it came out for the service, and for the yardsticks that have it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) figure: Figure,
    pub(crate) service: f64,
    pub(crate) plain: Option<f64>,
    pub(crate) floor: Option<f64>,
}

const BOUNDS: [(Figure, f64); 15] = [
    (Figure::Cpu(ARTIFACT, Reading::FirstTime), 0.55),
    (Figure::Cpu(LARGE_GZIP, Reading::FirstTime), 0.06),
    (Figure::Cpu(LARGE_GZIP, Reading::SeenBefore), 0.04),
    (Figure::Cpu(SMALL_GZIP, Reading::FirstTime), 0.30),
    (Figure::Cpu(SMALL_GZIP, Reading::SeenBefore), 0.20),
    (Figure::Cpu(SMALL_IDENTITY, Reading::FirstTime), 0.80),
    (Figure::Cpu(SMALL_IDENTITY, Reading::SeenBefore), 0.65),
    (Figure::ReadUnits(LARGE_GZIP), 0.25),
    (Figure::CallsOverHistory, 1.0),
    (Figure::Latency(LARGE_GZIP, Reading::FirstTime), 0.45),
    (Figure::Latency(LARGE_GZIP, Reading::SeenBefore), 0.25),
    (Figure::FirstAnswer, 0.45),
    (Figure::Zipped, 4.0),
    (Figure::Resident, 25.0),
    // The allocator and the kernel round by about as much.
    (Figure::ResidentGrowth, 0.5),
];

/// Prints each bound whose figure was measured.
pub(crate) fn print_bounds(report: &mut Report) {
    let mut rows = Vec::new();
    for (figure, bound) in BOUNDS {
        let Some(measured) = report.measured(figure) else { continue };
        let verdict = if measured.service <= bound { "reached" } else { "missed" };
        let cell = |value: Option<f64>| value.map_or_else(String::new, |value| figure.write(value));
        rows.push(vec![
            figure.title(),
            figure.write(bound),
            figure.write(measured.service),
            verdict.to_owned(),
            cell(measured.plain),
            cell(measured.floor),
        ]);
        report.add(json!({
            "part": "bounds", "what": figure.title(), "at_most": bound, "measured": measured.service,
            "plain": measured.plain, "floor": measured.floor,
        }));
    }
    if !rows.is_empty() {
        print("Bounds", &["what", "at most", "measured", "", "plain", "floor"], &rows);
    }
}

impl Figure {
    fn title(self) -> String {
        match self {
            Self::Cpu(request, reading) => format!("{}: CPU / usual", reading.title(request)),
            Self::Latency(request, reading) => {
                format!("{}: latency / usual, 3 ms a call", reading.title(request))
            }
            Self::ReadUnits(request) => format!("{request}: read units / usual"),
            Self::CallsOverHistory => "any filter: calls, longest history / shortest".to_owned(),
            Self::FirstAnswer => "exec to first answer over TLS / usual".to_owned(),
            Self::Zipped => "binary, zipped".to_owned(),
            Self::Resident => "resident after 1,000 lists of 20 × 50 kB".to_owned(),
            Self::ResidentGrowth => "resident, what 1,000 lists more add".to_owned(),
        }
    }

    fn write(self, value: f64) -> String {
        match self {
            Self::Zipped | Self::Resident | Self::ResidentGrowth => format!("{value:.2} MB"),
            Self::Cpu(..) | Self::Latency(..) | Self::ReadUnits(_) => format!("{value:.3}"),
            Self::CallsOverHistory | Self::FirstAnswer => format!("{value:.2}"),
        }
    }
}

impl Reading {
    fn title(self, request: &str) -> String {
        match self {
            Self::FirstTime => request.to_owned(),
            Self::SeenBefore => format!("{request}, seen before"),
        }
    }
}
