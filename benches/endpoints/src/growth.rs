//! Measures over histories of growing length: the newest 20 releases by every combination of the documented
//! filters and by each of the newer ones, an artifact by each look-up, and a walk through the whole history
//! by `Link`.

use std::fmt::Write as _;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use serde_json::json;

use crate::answer::Answer;
use crate::bounds::{Figure, Measured};
use crate::cold::ROUND_TRIP;
use crate::dynamodb::{Counts, Endpoint};
use crate::function::Function;
use crate::programs::{ARTIFACT_PATH, Programs, RELEASES_PATH, event, start};
use crate::records::{ARTIFACT_SEARCHES, FILTERS, SEARCHES};
use crate::report::{Milliseconds, Report, print};
use crate::tables::{Tables, environment};

const RELEASE_BYTES: usize = 1500;

/// Picks the number of a point that is drawn.
type Drawn = fn(&Point) -> f64;

/// One filter over one history.
struct Point {
    filter: String,
    releases: u32,
    latency: f64,
    p90: f64,
    calls: f64,
    read_units: f64,
}

/// Measures, and returns a drawing of the figures as SVG.
pub(crate) fn measure(
    programs: &Programs,
    lengths: &[u32],
    rounds: usize,
    report: &mut Report,
) -> anyhow::Result<String> {
    let runtime = tokio::runtime::Runtime::new()?;
    let mut points = Vec::new();
    let mut walks = Vec::new();
    // The histories follow one another, each in a database of its own: one of 100,000 releases takes some
    // gigabytes, and the longest would not fit into memory beside the others.
    for releases in lengths {
        let tables = Tables::start()?;
        let set = releases.to_string();
        let started = Instant::now();
        runtime.block_on(tables.fill_searchable(&set, *releases, RELEASE_BYTES))?;
        eprintln!("stored {releases} releases in {:.0} s", started.elapsed().as_secs_f64());
        let endpoint = Endpoint::start(tables.address(), None)?;
        let environment = environment(&set);
        let uncached =
            environment.clone().into_iter().chain([("DOCUMENT_CACHE_BYTES".to_owned(), "0".to_owned())]);
        let mut function = Function::start(&start(&programs.list_releases, &endpoint.url, uncached.clone()))?;
        endpoint.set_delay(ROUND_TRIP);
        for filter in filters() {
            let query = if filter.is_empty() { "per_page=20" } else { &format!("{filter}&per_page=20") };
            let name = if filter.is_empty() { "none" } else { &filter };
            let event = event(RELEASES_PATH, query, true);
            points.push(point(&mut function, &endpoint, name, &event, *releases, rounds)?);
        }
        let mut function = Function::start(&start(&programs.get_artifact, &endpoint.url, uncached))?;
        for query in ARTIFACT_SEARCHES {
            let (name, event) = (format!("artifact {query}"), event(ARTIFACT_PATH, query, true));
            points.push(point(&mut function, &endpoint, &name, &event, *releases, rounds)?);
        }
        let endpoint = Endpoint::start(tables.address(), None)?;
        let mut function = Function::start(&start(&programs.list_releases, &endpoint.url, environment))?;
        walks.push(walk(&mut function, &endpoint, *releases, report)?);
    }
    print_points(&points, lengths, report);
    let head = [
        "releases",
        "answers",
        "DynamoDB calls",
        "read units",
        "MB answered",
        "seconds",
        "CPU seconds",
        "resident MB",
    ];
    print("The whole history by Link, gzip", &head, &walks);
    Ok(plot(&points, lengths))
}

/// Every combination of the documented filters, the empty one included, and the newer filters.
fn filters() -> Vec<String> {
    let combination = |bits: usize| {
        let named =
            FILTERS.iter().enumerate().filter(|(place, _)| bits >> place & 1 == 1).map(|(_, filter)| *filter);
        named.collect::<Vec<_>>().join("&")
    };
    (0..1 << FILTERS.len()).map(combination).chain(SEARCHES.map(str::to_owned)).collect()
}

fn point(
    function: &mut Function,
    endpoint: &Endpoint,
    name: &str,
    event: &str,
    releases: u32,
    rounds: usize,
) -> anyhow::Result<Point> {
    let answer = Answer::parse(&function.invoke(event)?.answer)?;
    ensure!(answer.text()?.len() > "[]".len(), "{name} finds nothing");
    let mut counts = endpoint.take_counts();
    let mut latency = Milliseconds::default();
    for _ in 0..rounds {
        latency.push(function.invoke(event)?.latency);
        counts = endpoint.take_counts();
    }
    Ok(Point {
        filter: name.to_owned(),
        releases,
        latency: latency.median(),
        p90: latency.p90(),
        calls: f64::from(counts.calls),
        read_units: counts.read_units,
    })
}

fn print_points(points: &[Point], lengths: &[u32], report: &mut Report) {
    let mut rows = Vec::new();
    for of_filter in by_filter(points, lengths) {
        let cell =
            |point: &Point| format!("{:.2} · {} · {:.1}", point.latency, point.calls, point.read_units);
        let mut row = vec![of_filter[0].filter.replace('&', " ")];
        row.extend(of_filter.iter().map(|point| cell(point)));
        row.push(format!("{:.2}", of_filter[of_filter.len() - 1].latency / of_filter[0].latency));
        rows.push(row);
    }
    let calls_ratio = |points: Vec<&Point>| points[points.len() - 1].calls / points[0].calls;
    report.add_figure(Measured {
        figure: Figure::CallsOverHistory,
        service: by_filter(points, lengths).into_iter().map(calls_ratio).fold(0.0, f64::max),
        plain: None,
        floor: None,
    });
    for point in points {
        report.add(json!({
            "part": "growth", "filter": point.filter, "releases": point.releases, "latency_ms": point.latency,
            "latency_p90_ms": point.p90, "calls": point.calls, "read_units": point.read_units,
        }));
    }
    let lengths: Vec<_> = lengths.iter().map(|releases| format!("{releases} releases")).collect();
    let head: Vec<_> = ["filter"]
        .into_iter()
        .chain(lengths.iter().map(String::as_str))
        .chain(["longest / shortest"])
        .collect();
    print("Newest 20 by filter, 3 ms a DynamoDB call: ms · calls · read units", &head, &rows);
}

/// The points of each filter, in the histories' order.
fn by_filter<'a>(points: &'a [Point], lengths: &[u32]) -> Vec<Vec<&'a Point>> {
    let filters = points.len() / lengths.len();
    (0..filters).map(|filter| points.iter().skip(filter).step_by(filters).collect()).collect()
}

/// Follows `Link` to the end, and checks that every release was answered.
fn walk(
    function: &mut Function,
    endpoint: &Endpoint,
    releases: u32,
    report: &mut Report,
) -> anyhow::Result<Vec<String>> {
    endpoint.take_counts();
    let (started, cpu) = (Instant::now(), function.cpu()?);
    let (mut query, mut answers, mut found, mut bytes) = (String::new(), 0_u32, 0, 0);
    let mut counts = Counts::default();
    loop {
        let invocation = function.invoke(&event(RELEASES_PATH, &query, true))?;
        let answer = invocation.answer;
        let taken = endpoint.take_counts();
        counts.calls += taken.calls;
        counts.read_units += taken.read_units;
        answers += 1;
        bytes += answer.len();
        let answer = Answer::parse(&answer)?;
        let link = answer.header("link").map(str::to_owned);
        found += serde_json::from_str::<Vec<serde::de::IgnoredAny>>(&answer.text()?)?.len();
        let Some(link) = link else { break };
        let next = link.split_once("<?").and_then(|(_, rest)| rest.split_once('>'));
        next.context("a link")?.0.clone_into(&mut query);
    }
    ensure!(found == releases as usize, "the walk found {found} of {releases} releases");
    let (seconds, cpu) = (started.elapsed().as_secs_f64(), function.cpu()?.saturating_sub(cpu).as_secs_f64());
    let resident = function.resident_bytes()?;
    report.add(json!({
        "part": "walk", "releases": releases, "answers": answers, "calls": counts.calls, "read_units": counts.read_units,
        "answer_bytes": bytes, "seconds": seconds, "cpu_seconds": cpu, "resident_bytes": resident,
    }));
    #[expect(clippy::cast_precision_loss, reason = "megabytes")]
    Ok(vec![
        releases.to_string(),
        answers.to_string(),
        counts.calls.to_string(),
        format!("{:.0}", counts.read_units),
        format!("{:.1}", bytes as f64 / 1e6),
        format!("{seconds:.1}"),
        format!("{cpu:.2}"),
        format!("{:.1}", resident as f64 / 1e6),
    ])
}

/// Draws latency and read units over the length of the history, in two panels with a line for each filter.
#[expect(clippy::cast_precision_loss, reason = "a place among a few")]
fn plot(points: &[Point], lengths: &[u32]) -> String {
    const WIDTH: f64 = 320.0;
    const HEIGHT: f64 = 220.0;
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 820 320\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"820\" height=\"320\" fill=\"white\"/>\n",
    );
    let panels: [(&str, f64, Drawn); 2] = [
        ("milliseconds, 3 of them for each DynamoDB call", 60.0, |point| point.latency),
        ("read units", 470.0, |point| point.read_units),
    ];
    for (title, left, value) in panels {
        let highest = points.iter().map(value).fold(0.0, f64::max) * 1.25;
        let x = |place: usize| left + WIDTH * place as f64 / (lengths.len() - 1).max(1) as f64;
        let y = |value: f64| 50.0 + HEIGHT * (1.0 - value / highest);
        let mut draw =
            |element: std::fmt::Arguments| writeln!(svg, "{element}").expect("a String takes everything");
        draw(format_args!("<text x=\"{left}\" y=\"30\" font-weight=\"bold\">{title}</text>"));
        for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
            let height = y(highest * share);
            draw(format_args!("<path d=\"M{left} {height:.1}h{WIDTH}\" stroke=\"#ddd\"/>"));
            draw(format_args!(
                "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{:.1}</text>",
                left - 6.0,
                height + 4.0,
                highest * share
            ));
        }
        for (place, releases) in lengths.iter().enumerate() {
            draw(format_args!(
                "<text x=\"{:.1}\" y=\"290\" text-anchor=\"middle\">{releases}</text>",
                x(place)
            ));
        }
        for (number, of_filter) in by_filter(points, lengths).iter().enumerate() {
            let line: Vec<_> = of_filter
                .iter()
                .enumerate()
                .map(|(place, point)| format!("{:.1},{:.1}", x(place), y(value(point))))
                .collect();
            draw(format_args!(
                "<polyline points=\"{}\" fill=\"none\" stroke=\"hsl({},60%,45%)\" stroke-width=\"1.5\"><title>{}</title></polyline>",
                line.join(" "),
                number * 12,
                of_filter[0].filter.replace('&', " ")
            ));
        }
    }
    svg.push_str("<text x=\"410\" y=\"312\" text-anchor=\"middle\">releases in the history; one line for each way to ask</text>\n</svg>\n");
    svg
}
