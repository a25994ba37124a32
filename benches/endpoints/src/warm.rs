//! What one request after another costs a warm function.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::json;

use crate::cold::{ROUND_TRIP, floor_requests};
use crate::dynamodb::{Counts, Endpoint};
use crate::function::Function;
use crate::programs::{ARTIFACT_PATH, Programs, RELEASES_PATH, event, start};
use crate::records;
use crate::report::{Milliseconds, Report, print};
use crate::tables::{Tables, environment};

const INVOCATIONS_A_ROUND: usize = 10;
/// What nothing that answers from memory can be below: the index Query, and the same bytes sent.
const KEEPING_FLOOR: &str = "floor, answer kept";
const LARGE: &str = "50kB";
const SMALL: &str = "8kB";
/// A page of 20, with more behind it.
const RELEASES: u32 = 60;

/// One kind of request.
struct Scenario {
    title: &'static str,
    set: &'static str,
    path: &'static str,
    query: String,
    accepts_gzip: bool,
}

/// A function that answers it.
struct Candidate {
    name: &'static str,
    function: Function,
    endpoint: Endpoint,
    latency: Milliseconds,
    cpu: Milliseconds,
    /// The median of each round, to be compared with another function's of the same round.
    cpu_of_rounds: Vec<f64>,
    latency_of_rounds: Vec<f64>,
    counts: Counts,
    answered_bytes: usize,
    invocations: u32,
}

pub(crate) fn measure(
    programs: &Programs,
    request: &str,
    rounds: usize,
    report: &mut Report,
) -> anyhow::Result<()> {
    let tables = Tables::start()?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        for (set, bytes) in [(LARGE, 50_000), (SMALL, 8_000)] {
            tables.fill(set, RELEASES, bytes).await?;
            tables.fill_the_usual_way(set, RELEASES, bytes).await?;
        }
        anyhow::Ok(())
    })?;
    let list = |title, set, accepts_gzip| Scenario {
        title,
        set,
        path: RELEASES_PATH,
        query: "per_page=20".to_owned(),
        accepts_gzip,
    };
    let artifact = |title, accepts_gzip| Scenario {
        title,
        set: SMALL,
        path: ARTIFACT_PATH,
        query: format!("image={}", records::IMAGE),
        accepts_gzip,
    };
    let scenarios = [
        artifact("artifact by tag, gzip", true),
        artifact("artifact by tag, identity", false),
        list("20 releases of 50 kB, gzip", LARGE, true),
        list("20 releases of 50 kB, identity", LARGE, false),
        list("20 releases of 8 kB, gzip", SMALL, true),
        list("20 releases of 8 kB, identity", SMALL, false),
    ];
    for scenario in scenarios.iter().filter(|scenario| scenario.title.contains(request)) {
        for delay in [Duration::ZERO, ROUND_TRIP] {
            let mut candidates = candidates(programs, &tables, scenario)?;
            for candidate in &mut candidates {
                candidate.endpoint.set_delay(delay);
            }
            compete(&mut candidates, scenario, rounds)?;
            print_rows(scenario, delay, &candidates, report);
        }
    }
    if request.is_empty() { memory(programs, &tables, report) } else { Ok(()) }
}

fn candidates(programs: &Programs, tables: &Tables, scenario: &Scenario) -> anyhow::Result<Vec<Candidate>> {
    let is_list = scenario.path == RELEASES_PATH;
    let (name, program) = if is_list {
        ("list-releases", &programs.list_releases)
    } else {
        ("get-artifact", &programs.get_artifact)
    };
    let begin = |name: &'static str, program, more: Vec<(&str, String)>| {
        let endpoint = Endpoint::start(tables.address(), None)?;
        let more = more.into_iter().map(|(name, value)| (name.to_owned(), value));
        let environment = environment(scenario.set).into_iter().chain(more);
        let mut function = Function::start(&start(program, &endpoint.url, environment)).context(name)?;
        endpoint.take_counts();
        let answer =
            function.invoke(&event(scenario.path, &scenario.query, scenario.accepts_gzip)).context(name)?;
        let is_answered = if name.starts_with("floor") {
            [&b"{\"Items\":"[..], b"\"Responses\":"].iter().any(|opening| contains(&answer.answer, opening))
        } else {
            contains(&answer.answer, b"\"statusCode\":200,")
        };
        ensure!(is_answered, "{name}: {}", String::from_utf8_lossy(&answer.answer));
        anyhow::Ok(Candidate {
            name,
            function,
            latency: Milliseconds::default(),
            cpu: Milliseconds::default(),
            cpu_of_rounds: Vec::new(),
            latency_of_rounds: Vec::new(),
            counts: endpoint.take_counts(),
            endpoint,
            answered_bytes: answer.answer.len(),
            invocations: 0,
        })
    };
    let service = begin(name, program, vec![("DOCUMENT_CACHE_BYTES", "0".to_owned())])?;
    let requests = tempfile::NamedTempFile::new()?;
    std::fs::write(requests.path(), floor_requests(&service.counts.requests))?;
    let requests = requests.path().display().to_string();
    let floor = begin("floor", &programs.floor, vec![("FLOOR_REQUESTS", requests.clone())])?;
    let usual = begin("usual", &programs.usual, Vec::new())?;
    let mut candidates = vec![floor, service];
    if is_list {
        candidates.push(begin("list-releases, seen before", program, Vec::new())?);
        let environment = vec![("FLOOR_REQUESTS", requests), ("FLOOR_KEEPS", "1".to_owned())];
        candidates.push(begin(KEEPING_FLOOR, &programs.floor, environment)?);
    }
    candidates.push(usual);
    Ok(candidates)
}

/// Whether some bytes stand anywhere in an answer.
fn contains(answer: &[u8], bytes: &[u8]) -> bool {
    answer.windows(bytes.len()).any(|window| window == bytes)
}

/// Every function in every round, so that what disturbs the machine disturbs all of them.
fn compete(candidates: &mut [Candidate], scenario: &Scenario, rounds: usize) -> anyhow::Result<()> {
    let event = event(scenario.path, &scenario.query, scenario.accepts_gzip);
    for candidate in &mut *candidates {
        candidate.counts = Counts::default();
        candidate.endpoint.take_counts();
    }
    for _ in 0..rounds {
        for candidate in &mut *candidates {
            let (mut latency, mut cpu) = (Milliseconds::default(), Milliseconds::default());
            for _ in 0..INVOCATIONS_A_ROUND {
                let invocation = candidate.function.invoke(&event).context(candidate.name)?;
                for (all, of_round, time) in [
                    (&mut candidate.latency, &mut latency, invocation.latency),
                    (&mut candidate.cpu, &mut cpu, invocation.cpu),
                ] {
                    all.push(time);
                    of_round.push(time);
                }
                ensure!(
                    invocation.answer.len() == candidate.answered_bytes,
                    "{} changes its answer",
                    candidate.name
                );
                candidate.invocations += 1;
            }
            candidate.cpu_of_rounds.push(cpu.median());
            candidate.latency_of_rounds.push(latency.median());
            let counts = candidate.endpoint.take_counts();
            candidate.counts.calls += counts.calls;
            candidate.counts.read_units += counts.read_units;
            candidate.counts.answered_bytes += counts.answered_bytes;
        }
    }
    Ok(())
}

fn print_rows(scenario: &Scenario, delay: Duration, candidates: &[Candidate], report: &mut Report) {
    let floor = &candidates[0];
    let usual = &candidates[candidates.len() - 1];
    let mut rows = Vec::new();
    for candidate in candidates {
        let Candidate { name, latency, cpu, counts, invocations, answered_bytes, .. } = candidate;
        let calls = f64::from(counts.calls) / f64::from(*invocations);
        let read_units = counts.read_units / f64::from(*invocations);
        let over_floor = median_ratio(&candidate.cpu_of_rounds, &floor.cpu_of_rounds);
        let over_usual = median_ratio(&candidate.cpu_of_rounds, &usual.cpu_of_rounds);
        let latency_over_floor = median_ratio(&candidate.latency_of_rounds, &floor.latency_of_rounds);
        #[expect(clippy::cast_precision_loss, reason = "kilobytes")]
        rows.push(vec![
            (*name).to_owned(),
            format!("{:.2} ({:.2})", latency.median(), latency.p90()),
            format!("{:.3} ({:.3})", cpu.median(), cpu.p90()),
            format!("{over_floor:.2}"),
            format!("{over_usual:.3}"),
            format!("{latency_over_floor:.2}"),
            format!("{calls:.1}"),
            format!("{read_units:.1}"),
            format!("{:.0}", *answered_bytes as f64 / 1000.0),
        ]);
        report.add(json!({
            "part": "warm", "request": scenario.title, "delay_ms": delay.as_secs_f64() * 1000.0, "function": name,
            "latency_ms": latency.median(), "latency_p90_ms": latency.p90(), "cpu_ms": cpu.median(), "cpu_p90_ms": cpu.p90(),
            "cpu_over_floor": over_floor, "cpu_over_usual": over_usual,
            "latency_over_floor": latency_over_floor, "calls": calls, "read_units": read_units,
            "answer_bytes": answered_bytes,
        }));
    }
    let head = [
        "function",
        "latency ms (p90)",
        "CPU ms (p90)",
        "CPU / floor",
        "CPU / usual",
        "latency / floor",
        "calls",
        "read units",
        "kB answered",
    ];
    print(&format!("Warm, {}, {} ms a DynamoDB call", scenario.title, delay.as_millis()), &head, &rows);
}

/// The median of how one function's rounds compare with another's: a machine that is slower for a while is so for both.
fn median_ratio(rounds: &[f64], others: &[f64]) -> f64 {
    let mut ratios: Vec<_> = rounds.iter().zip(others).map(|(round, other)| round / other).collect();
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

/// What stays in memory after a thousand large lists, and after a thousand more.
fn memory(programs: &Programs, tables: &Tables, report: &mut Report) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for (name, cache) in [("without a document cache", "0"), ("with the default one", "")] {
        for accepts_gzip in [true, false] {
            let endpoint = Endpoint::start(tables.address(), None)?;
            let environment =
                environment(LARGE).into_iter().chain([("DOCUMENT_CACHE_BYTES".to_owned(), cache.to_owned())]);
            let mut function = Function::start(&start(&programs.list_releases, &endpoint.url, environment))?;
            let event = event(RELEASES_PATH, "per_page=20", accepts_gzip);
            let mut resident = Vec::new();
            for _ in 0..2 {
                for _ in 0..1000 {
                    function.invoke(&event)?;
                    endpoint.take_counts();
                }
                resident.push(function.resident_bytes()?);
            }
            let encoding = if accepts_gzip { "gzip" } else { "identity" };
            #[expect(clippy::cast_precision_loss, reason = "megabytes")]
            let megabytes = resident.iter().map(|bytes| format!("{:.1}", *bytes as f64 / 1e6));
            rows.push([name.to_owned(), encoding.to_owned()].into_iter().chain(megabytes).collect());
            report.add(json!({ "part": "memory", "document_cache": name, "encoding": encoding, "resident_bytes": resident }));
        }
    }
    let head = ["20 releases of 50 kB", "encoding", "resident MB after 1,000 lists", "after 2,000"];
    print("Memory", &head, &rows);
    Ok(())
}
