//! The short form: compares counts, which are the same on every machine, with a committed baseline.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::dynamodb::Endpoint;
use crate::function::{Function, Start, zipped_bytes};
use crate::programs::{ARTIFACT_PATH, Programs, RELEASES_PATH, event, start};
use crate::records;
use crate::tables::{Tables, environment};

const LARGE: &str = "50kB";
const SMALL: &str = "8kB";
/// How many releases there are: a page of 20 has more behind it.
const RELEASES: u32 = 60;
/// About what [`MAX_ZIPPED_BYTES`] are when they are unpacked.
const MAX_PROGRAM_BYTES: u64 = 9_000_000;
const MAX_ZIPPED_BYTES: usize = 4_000_000;
/// How much instructions may grow: the number of wake-ups varies a little.
const INSTRUCTIONS_TOLERANCE: f64 = 1.05;
/// The instructions of one invocation are worked out from two runs with this many invocations.
const FEW: u64 = 5;
const MANY: u64 = 25;

/// What was counted, by name.
type Counted = BTreeMap<String, f64>;

/// What was counted, and with which tools: instructions can only be compared with those of the same tools.
#[derive(Serialize, Deserialize)]
struct Baseline {
    tools: String,
    counted: Counted,
}

/// Counts, and compares the counts with the baseline, or with `accept` makes them the new baseline.
///
/// The sizes of the binaries count only for those that ship: a build with symbols is larger.
pub(crate) fn check(
    programs: &Programs,
    what_ships: bool,
    accept: bool,
    profiles: Option<&Path>,
) -> anyhow::Result<()> {
    let baseline_file = Path::new(env!("CARGO_MANIFEST_DIR")).join("baseline.json");
    let valgrind = find_valgrind();
    let counted = count(programs, valgrind.as_deref(), profiles)?;
    if accept {
        ensure!(valgrind.is_some(), "a baseline without instructions would guard nothing: install valgrind");
        let baseline = Baseline { tools: tools(), counted: counted.clone() };
        std::fs::write(&baseline_file, serde_json::to_string_pretty(&baseline)? + "\n")?;
    }
    let baseline: Baseline = serde_json::from_str(&std::fs::read_to_string(baseline_file)?)?;
    let is_of_these_tools = baseline.tools == tools();
    if !is_of_these_tools {
        println!(
            "instructions are not compared: the baseline's are of {}, these of {}",
            baseline.tools,
            tools()
        );
    }
    let mut too_many = Vec::new();
    for (name, allowed) in &baseline.counted {
        let Some(counted) = counted.get(name) else {
            println!("{name}: not counted (baseline {allowed})");
            if !name.ends_with("instructions") || valgrind.is_some() {
                too_many.push(name.as_str());
            }
            continue;
        };
        let is_instructions = name.ends_with("instructions");
        let tolerance = if is_instructions { INSTRUCTIONS_TOLERANCE } else { 1.0 };
        println!("{name}: {counted} (baseline {allowed}, {:+.1} %)", (counted / allowed - 1.0) * 100.0);
        if *counted > allowed * tolerance && (is_of_these_tools || !is_instructions) {
            too_many.push(name.as_str());
        }
    }
    for (name, counted) in counted.iter().filter(|(name, _)| !baseline.counted.contains_key(*name)) {
        println!("{name}: {counted} (not in the baseline)");
        too_many.push(name);
    }
    for program in [&programs.list_releases, &programs.get_artifact] {
        let (bytes, zipped) = (std::fs::metadata(program)?.len(), zipped_bytes(program)?);
        println!("{}: {bytes} bytes, {zipped} zipped", program.display());
        if what_ships && (bytes > MAX_PROGRAM_BYTES || zipped > MAX_ZIPPED_BYTES) {
            too_many.push("the size of a binary");
        }
    }
    if !too_many.is_empty() {
        bail!(
            "more than the baseline, or missing: {}. Where that is meant, run this again with --accept and commit the baseline",
            too_many.join(", ")
        );
    }
    Ok(())
}

fn count(programs: &Programs, valgrind: Option<&Path>, profiles: Option<&Path>) -> anyhow::Result<Counted> {
    let tables = Tables::start()?;
    tokio::runtime::Runtime::new()?.block_on(async {
        tables.fill(LARGE, RELEASES, 50_000).await?;
        tables.fill(SMALL, RELEASES, 8_000).await
    })?;
    let endpoint = Endpoint::start(tables.address(), None)?;
    if valgrind.is_none() {
        println!("valgrind is not here: instructions are not counted");
    }
    let mut counted = Counted::new();
    for Request { name, program, set, cache, event } in requests(programs) {
        let environment =
            environment(set).into_iter().chain([("DOCUMENT_CACHE_BYTES".to_owned(), cache.to_owned())]);
        let start = start(program, &endpoint.url, environment);
        let mut function = Function::start(&start)?;
        function.invoke(&event)?;
        endpoint.take_counts();
        function.invoke(&event)?;
        let counts = endpoint.take_counts();
        counted.insert(format!("{name}: DynamoDB calls"), f64::from(counts.calls));
        counted.insert(format!("{name}: read units"), counts.read_units);
        if let Some(valgrind) = valgrind {
            let profile = |name: &str| {
                profiles.map(|directory| {
                    directory.join(format!("callgrind.{}", name.replace(", ", "-").replace(' ', "-")))
                })
            };
            let few = instructions(valgrind, &start, &event, FEW, None)?;
            let many = instructions(valgrind, &start, &event, MANY, profile(name).as_deref())?;
            #[expect(clippy::cast_precision_loss, reason = "millions")]
            counted.insert(format!("{name}: instructions"), ((many - few) / (MANY - FEW)) as f64);
            if name == "artifact" {
                #[expect(clippy::cast_precision_loss, reason = "millions")]
                counted.insert(
                    "a start and the first answer: instructions".to_owned(),
                    instructions(valgrind, &start, &event, 1, profile("start").as_deref())? as f64,
                );
            }
        }
    }
    Ok(counted)
}

/// A request for which calls, read units and instructions are counted.
struct Request<'a> {
    name: &'static str,
    program: &'a Path,
    set: &'static str,
    /// The value of `DOCUMENT_CACHE_BYTES`; empty for the default.
    cache: &'static str,
    event: String,
}

fn requests(programs: &Programs) -> [Request<'_>; 5] {
    let list = |name, set, cache, accepts_gzip| Request {
        name,
        program: &programs.list_releases,
        set,
        cache,
        event: event(RELEASES_PATH, "per_page=20", accepts_gzip),
    };
    let artifact = Request {
        name: "artifact",
        program: &programs.get_artifact,
        set: SMALL,
        cache: "0",
        event: event(ARTIFACT_PATH, &format!("image={}", records::IMAGE), true),
    };
    [
        artifact,
        list("20 of 50 kB, gzip", LARGE, "0", true),
        list("20 of 50 kB, gzip, seen before", LARGE, "", true),
        list("20 of 8 kB, gzip", SMALL, "0", true),
        list("20 of 8 kB, identity", SMALL, "0", false),
    ]
}

/// The instructions of a process that answers this many invocations. Callgrind's profile is kept where a file
/// is named.
fn instructions(
    valgrind: &Path,
    start: &Start,
    event: &str,
    invocations: u64,
    profile: Option<&Path>,
) -> anyhow::Result<u64> {
    let profile = profile.unwrap_or(Path::new("/dev/null")).display();
    let mut start = start.clone();
    start.wrapper = vec![
        valgrind.display().to_string(),
        "--tool=callgrind".to_owned(),
        format!("--callgrind-out-file={profile}"),
    ];
    let mut function = Function::start(&start)?;
    for _ in 0..invocations {
        function.invoke(event)?;
    }
    let written = function.terminate()?;
    let collected =
        written.lines().find_map(|line| line.split_once("Collected :")).context("callgrind's count")?;
    Ok(collected.1.trim().parse()?)
}

/// The tools on which the number of instructions depends: the compiler, callgrind, the C library and the
/// processor's instruction sets.
fn tools() -> String {
    let first_line = |program: &str, argument: &str| {
        let output = Command::new(program).arg(argument).output().ok();
        let text =
            output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        text.lines().next().unwrap_or("none").to_owned()
    };
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let sets =
        ["avx2", "bmi2", "pclmulqdq"].into_iter().filter(|set| processor.contains(&format!(" {set} ")));
    let programs = [
        first_line("rustc", "--version"),
        first_line("valgrind", "--version"),
        first_line("ldd", "--version"),
    ];
    programs.into_iter().chain(sets.map(str::to_owned)).collect::<Vec<_>>().join(", ")
}

fn find_valgrind() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join("valgrind")).find(|program| program.is_file())
}
