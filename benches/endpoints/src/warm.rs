//! Measures what a request costs in a warm function.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::bounds::{self, Figure, Measured, Reading};
use crate::cold::{ROUND_TRIP, floor_requests};
use crate::dynamodb::{Counts, Endpoint};
use crate::function::Function;
use crate::programs::{ARTIFACT_PATH, Programs, RELEASES_PATH, event, start};
use crate::records;
use crate::report::{Milliseconds, Report, print};
use crate::tables::{Tables, USUAL_KEYS, environment};

const INVOCATIONS_A_ROUND: usize = 10;
const FLOOR: &str = "floor";
/// The floor for functions that answer from memory: it makes only the index Query, and sends the same bytes.
const KEEPING_FLOOR: &str = "floor, answer kept";
const PLAIN: &str = "plain";
const USUAL: &str = "usual";
const LARGE: &str = "50kB";
const SMALL: &str = "8kB";
/// How many releases there are: a page of 20 has more behind it.
const RELEASES: u32 = 60;

/// One kind of request.
struct Scenario {
    title: &'static str,
    set: &'static str,
    path: &'static str,
    query: String,
    accepts_gzip: bool,
}

/// A function that answers this kind of request.
struct Candidate {
    name: &'static str,
    function: Function,
    endpoint: Endpoint,
    latency: Milliseconds,
    cpu: Milliseconds,
    /// The median of each round, which is compared with that of another function in the same round.
    cpu_of_rounds: Milliseconds,
    latency_of_rounds: Milliseconds,
    counts: Counts,
    first_answer: Vec<u8>,
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
        artifact(bounds::ARTIFACT, true),
        artifact("artifact by tag, identity", false),
        list(bounds::LARGE_GZIP, LARGE, true),
        list("20 releases of 50 kB, identity", LARGE, false),
        list(bounds::SMALL_GZIP, SMALL, true),
        list(bounds::SMALL_IDENTITY, SMALL, false),
    ];
    for scenario in scenarios.iter().filter(|scenario| scenario.title.contains(request)) {
        for delay in [Duration::ZERO, ROUND_TRIP] {
            let mut candidates = candidates(programs, &tables, scenario)?;
            for candidate in &mut candidates {
                candidate.endpoint.set_delay(delay);
            }
            compete(&mut candidates, scenario, rounds)?;
            print_rows(scenario, delay, &candidates, report);
            add_figures(scenario, delay, &candidates, report);
        }
    }
    if request.is_empty() { memory(programs, &tables, report) } else { Ok(()) }
}

/// Starts every function that answers a request, and checks that all of them answer the same.
fn candidates(programs: &Programs, tables: &Tables, scenario: &Scenario) -> anyhow::Result<Vec<Candidate>> {
    let begin = |name, program, more| begin(name, program, more, tables, scenario);
    let is_list = scenario.path == RELEASES_PATH;
    let program = if is_list { &programs.list_releases } else { &programs.get_artifact };
    let service =
        begin(scenario.service(Reading::FirstTime), program, vec![("DOCUMENT_CACHE_BYTES", "0".to_owned())])?;
    let requests = tempfile::NamedTempFile::new()?;
    std::fs::write(requests.path(), floor_requests(&service.counts.requests))?;
    let requests = requests.path().display().to_string();
    let floor = begin(FLOOR, &programs.floor, vec![("FLOOR_REQUESTS", requests.clone())])?;
    let mut candidates = vec![floor, service];
    if is_list {
        candidates.push(begin(scenario.service(Reading::SeenBefore), program, Vec::new())?);
        let environment = vec![("FLOOR_REQUESTS", requests), ("FLOOR_KEEPS", "1".to_owned())];
        candidates.push(begin(KEEPING_FLOOR, &programs.floor, environment)?);
    }
    candidates.push(begin(PLAIN, &programs.plain, Vec::new())?);
    candidates.push(begin(USUAL, &programs.usual, Vec::new())?);
    ensure_same_answers(scenario, &candidates)?;
    Ok(candidates)
}

fn begin(
    name: &'static str,
    program: &Path,
    more: Vec<(&str, String)>,
    tables: &Tables,
    scenario: &Scenario,
) -> anyhow::Result<Candidate> {
    let endpoint = Endpoint::start(tables.address(), None)?;
    let more = more.into_iter().map(|(name, value)| (name.to_owned(), value));
    let environment = environment(scenario.set).into_iter().chain(more);
    let mut function = Function::start(&start(program, &endpoint.url, environment)).context(name)?;
    endpoint.take_counts();
    let event = event(scenario.path, &scenario.query, scenario.accepts_gzip);
    let first_answer = function.invoke(&event).context(name)?.answer;
    Ok(Candidate {
        name,
        function,
        latency: Milliseconds::default(),
        cpu: Milliseconds::default(),
        cpu_of_rounds: Milliseconds::default(),
        latency_of_rounds: Milliseconds::default(),
        counts: endpoint.take_counts(),
        endpoint,
        first_answer,
        invocations: 0,
    })
}

/// Checks that all functions answer the same, as far as they can.
///
/// The floor passes DynamoDB's answer on, and the plain way answers the same text as the service. The usual
/// way answers the records as they were imported: the same JSON in another order, in which an artifact has
/// the table's keys as well and no `sortedActivities`.
fn ensure_same_answers(scenario: &Scenario, candidates: &[Candidate]) -> anyhow::Result<()> {
    let text = |candidate: &Candidate| {
        Answer::parse(&candidate.first_answer).and_then(Answer::text).context(candidate.name)
    };
    let expected = text(of(candidates, scenario.service(Reading::FirstTime)))?;
    for candidate in candidates {
        let is_same = match candidate.name {
            FLOOR | KEEPING_FLOOR => [&b"{\"Items\":"[..], b"\"Responses\":"]
                .iter()
                .any(|opening| contains(&candidate.first_answer, opening)),
            USUAL => imported(&text(candidate)?)? == imported(&expected)?,
            _ => text(candidate)? == expected,
        };
        ensure!(is_same, "{} answers something else to {}", candidate.name, scenario.title);
    }
    Ok(())
}

/// An answer as it was imported: without the table's keys and `sortedActivities`, where it is an artifact.
fn imported(answer: &str) -> anyhow::Result<Value> {
    let mut answer: Value = serde_json::from_str(answer)?;
    if let Some(artifact) = answer.as_object_mut() {
        artifact.retain(|name, _| name != "sortedActivities" && !USUAL_KEYS.contains(&name.as_str()));
    }
    Ok(answer)
}

fn of<'a>(candidates: &'a [Candidate], name: &str) -> &'a Candidate {
    candidates.iter().find(|candidate| candidate.name == name).expect("each takes part")
}

/// Whether the bytes occur anywhere in an answer.
fn contains(answer: &[u8], bytes: &[u8]) -> bool {
    answer.windows(bytes.len()).any(|window| window == bytes)
}

/// Invokes every function in every round, so that whatever disturbs the machine disturbs all of them.
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
                    invocation.answer.len() == candidate.first_answer.len(),
                    "{} changes its answer",
                    candidate.name
                );
                candidate.invocations += 1;
            }
            candidate.cpu_of_rounds.push_median_of(&cpu);
            candidate.latency_of_rounds.push_median_of(&latency);
            let counts = candidate.endpoint.take_counts();
            candidate.counts.calls += counts.calls;
            candidate.counts.read_units += counts.read_units;
            candidate.counts.answered_bytes += counts.answered_bytes;
        }
    }
    Ok(())
}

fn print_rows(scenario: &Scenario, delay: Duration, candidates: &[Candidate], report: &mut Report) {
    let [usual, plain, floor] = [USUAL, PLAIN, FLOOR].map(|name| of(candidates, name));
    let mut rows = Vec::new();
    for candidate in candidates {
        let Candidate { name, latency, cpu, invocations, first_answer, .. } = candidate;
        let calls = f64::from(candidate.counts.calls) / f64::from(*invocations);
        let read_units = candidate.read_units();
        let [over_usual, over_plain, over_floor] =
            [usual, plain, floor].map(|other| candidate.cpu_over(other));
        let latency_over_usual = candidate.latency_over(usual);
        #[expect(clippy::cast_precision_loss, reason = "kilobytes")]
        rows.push(vec![
            (*name).to_owned(),
            format!("{:.2} ({:.2})", latency.median(), latency.p90()),
            format!("{:.3} ({:.3})", cpu.median(), cpu.p90()),
            format!("{over_usual:.3}"),
            format!("{over_plain:.2}"),
            format!("{over_floor:.2}"),
            format!("{latency_over_usual:.2}"),
            format!("{calls:.1}"),
            format!("{read_units:.1}"),
            format!("{:.0}", first_answer.len() as f64 / 1000.0),
        ]);
        report.add(json!({
            "part": "warm", "request": scenario.title, "delay_ms": delay.as_secs_f64() * 1000.0, "function": name,
            "latency_ms": latency.median(), "latency_p90_ms": latency.p90(), "cpu_ms": cpu.median(), "cpu_p90_ms": cpu.p90(),
            "cpu_over_usual": over_usual, "cpu_over_plain": over_plain, "cpu_over_floor": over_floor,
            "latency_over_usual": latency_over_usual, "calls": calls, "read_units": read_units,
            "answer_bytes": first_answer.len(),
        }));
    }
    let head = [
        "function",
        "latency ms (p90)",
        "CPU ms (p90)",
        "CPU / usual",
        "CPU / plain",
        "CPU / floor",
        "latency / usual",
        "calls",
        "read units",
        "kB answered",
    ];
    print(&format!("Warm, {}, {} ms a DynamoDB call", scenario.title, delay.as_millis()), &head, &rows);
}

impl Scenario {
    /// The name of the service's own row.
    fn service(&self, reading: Reading) -> &'static str {
        match (self.path, reading) {
            (RELEASES_PATH, Reading::FirstTime) => "list-releases",
            (RELEASES_PATH, Reading::SeenBefore) => "list-releases, seen before",
            _ => "get-artifact",
        }
    }
}

impl Candidate {
    fn cpu_over(&self, other: &Self) -> f64 {
        self.cpu_of_rounds.median_ratio(&other.cpu_of_rounds)
    }

    fn latency_over(&self, other: &Self) -> f64 {
        self.latency_of_rounds.median_ratio(&other.latency_of_rounds)
    }

    /// The read units of one invocation.
    fn read_units(&self) -> f64 {
        self.counts.read_units / f64::from(self.invocations)
    }
}

fn add_figures(scenario: &Scenario, delay: Duration, candidates: &[Candidate], report: &mut Report) {
    let usual = of(candidates, USUAL);
    let readings = [(Reading::FirstTime, FLOOR), (Reading::SeenBefore, KEEPING_FLOOR)];
    for (reading, floor) in readings {
        let [service, plain] = [scenario.service(reading), PLAIN].map(|name| of(candidates, name));
        let floor = candidates.iter().find(|candidate| candidate.name == floor);
        let mut add = |figure, over_usual: fn(&Candidate, &Candidate) -> f64| {
            report.add_figure(Measured {
                figure,
                service: over_usual(service, usual),
                plain: Some(over_usual(plain, usual)),
                floor: floor.map(|floor| over_usual(floor, usual)),
            });
        };
        if delay.is_zero() {
            add(Figure::Cpu(scenario.title, reading), Candidate::cpu_over);
        } else {
            add(Figure::Latency(scenario.title, reading), Candidate::latency_over);
        }
        if delay.is_zero() && reading == Reading::FirstTime {
            add(Figure::ReadUnits(scenario.title), |one, other| one.read_units() / other.read_units());
        }
    }
}

/// Measures how much memory is resident after a thousand large lists, and after a thousand more.
fn memory(programs: &Programs, tables: &Tables, report: &mut Report) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    let (mut most, mut growth) = (0.0_f64, 0.0_f64);
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
            let megabytes: Vec<_> = resident.iter().map(|bytes| *bytes as f64 / 1e6).collect();
            most = most.max(megabytes[0]);
            growth = growth.max(megabytes[1] - megabytes[0]);
            let megabytes = megabytes.iter().map(|megabytes| format!("{megabytes:.1}"));
            rows.push([name.to_owned(), encoding.to_owned()].into_iter().chain(megabytes).collect());
            report.add(json!({ "part": "memory", "document_cache": name, "encoding": encoding, "resident_bytes": resident }));
        }
    }
    let head = ["20 releases of 50 kB", "encoding", "resident MB after 1,000 lists", "after 2,000"];
    print("Memory", &head, &rows);
    // The cache holds only these twenty releases, 0.2 MB, so nearly all of this memory is not the cache's.
    for (figure, service) in [(Figure::Resident, most), (Figure::ResidentGrowth, growth)] {
        report.add_figure(Measured { figure, service, plain: None, floor: None });
    }
    Ok(())
}
