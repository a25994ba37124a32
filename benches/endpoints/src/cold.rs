//! Measures what a start costs, until the first poll and until the first answer.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;

use crate::bounds::{Figure, Measured};
use crate::dynamodb::Endpoint;
use crate::function::{Function, Start, zipped_bytes};
use crate::programs::{ARTIFACT_PATH, Programs, event, start};
use crate::report::{Milliseconds, Report, print};
use crate::tables::Tables;
use crate::{records, tables};

const SET: &str = "cold";

struct Candidate {
    name: &'static str,
    start: Start,
    first_poll: Milliseconds,
    cpu: Milliseconds,
    first_answer: Milliseconds,
    resident: u64,
}

/// Starts each function again and again, in turns, over plain HTTP and over TLS.
pub(crate) fn measure(programs: &Programs, rounds: usize, report: &mut Report) -> anyhow::Result<()> {
    let tables = Tables::start()?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        tables.fill(SET, 1, 2000).await?;
        tables.fill_the_usual_way(SET, 1, 2000).await
    })?;
    let directory = tempfile::tempdir()?;
    let tls = tls(directory.path())?;
    for (transport, tls) in [("plain HTTP", None), ("TLS", Some(tls))] {
        let endpoint = Endpoint::start(tables.address(), tls)?;
        let mut candidates = candidates(programs, &endpoint, directory.path())?;
        let event = event(ARTIFACT_PATH, &format!("image={}", records::IMAGE), true);
        for _ in 0..rounds {
            for candidate in &mut candidates {
                let mut function = Function::start(&candidate.start).context(candidate.name)?;
                candidate.cpu.push(function.cpu()?);
                candidate.first_poll.push(function.first_poll);
                let latency = function.invoke(&event).context(candidate.name)?.latency;
                candidate.first_answer.push(function.first_poll + latency);
                candidate.resident = function.resident_bytes()?;
            }
        }
        print_rows(transport, &candidates, report)?;
        if transport == "TLS" {
            add_figures(programs, &candidates, report)?;
        }
    }
    Ok(())
}

fn candidates(programs: &Programs, endpoint: &Endpoint, directory: &Path) -> anyhow::Result<Vec<Candidate>> {
    let trust = ("SSL_CERT_FILE".to_owned(), directory.join("ca.pem").display().to_string());
    let environment = || tables::environment(SET).into_iter().chain([trust.clone()]);
    let requests = directory.join("requests");
    record_requests(programs, endpoint, environment(), &requests)?;
    let floor_requests = ("FLOOR_REQUESTS".to_owned(), requests.display().to_string());
    let programs = [
        ("nothing", &programs.nothing),
        ("floor", &programs.floor),
        ("get-artifact", &programs.get_artifact),
        ("plain", &programs.plain),
        ("usual", &programs.usual),
    ];
    Ok(programs
        .map(|(name, program)| Candidate {
            name,
            start: start(program, &endpoint.url, environment().chain([floor_requests.clone()])),
            first_poll: Milliseconds::default(),
            cpu: Milliseconds::default(),
            first_answer: Milliseconds::default(),
            resident: 0,
        })
        .into())
}

/// Records the requests that the service makes to answer the event, since the floor makes the same ones.
fn record_requests(
    programs: &Programs,
    endpoint: &Endpoint,
    environment: impl IntoIterator<Item = (String, String)>,
    file: &Path,
) -> anyhow::Result<()> {
    let mut function = Function::start(&start(&programs.get_artifact, &endpoint.url, environment))?;
    endpoint.take_counts();
    function.invoke(&event(ARTIFACT_PATH, &format!("image={}", records::IMAGE), true))?;
    std::fs::write(file, floor_requests(&endpoint.take_counts().requests))?;
    Ok(())
}

/// The requests as pairs of lines, which is what the floor reads.
pub(crate) fn floor_requests(requests: &[(String, String)]) -> String {
    requests.iter().flat_map(|(operation, body)| [operation, "\n", body, "\n"]).collect()
}

fn print_rows(transport: &str, candidates: &[Candidate], report: &mut Report) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for candidate in candidates {
        let bytes = std::fs::metadata(&candidate.start.program)?.len();
        let zipped = zipped_bytes(&candidate.start.program)?;
        let Candidate { name, first_poll, cpu, first_answer, resident, .. } = candidate;
        #[expect(clippy::cast_precision_loss, reason = "megabytes")]
        rows.push(vec![
            (*name).to_owned(),
            format!("{:.2}", bytes as f64 / 1e6),
            format!("{:.2}", zipped as f64 / 1e6),
            format!("{:.2} ({:.2})", first_poll.median(), first_poll.p90()),
            format!("{:.2} ({:.2})", cpu.median(), cpu.p90()),
            format!("{:.2} ({:.2})", first_answer.median(), first_answer.p90()),
            format!("{:.1}", *resident as f64 / 1e6),
        ]);
        report.add(json!({
            "part": "cold", "transport": transport, "function": name, "bytes": bytes, "zipped_bytes": zipped,
            "first_poll_ms": first_poll.median(), "first_poll_p90_ms": first_poll.p90(),
            "cpu_to_first_poll_ms": cpu.median(), "cpu_to_first_poll_p90_ms": cpu.p90(),
            "first_answer_ms": first_answer.median(), "first_answer_p90_ms": first_answer.p90(),
            "resident_bytes": resident,
        }));
    }
    let head = [
        "function",
        "MB",
        "MB zipped",
        "exec to first poll, ms (p90)",
        "CPU to there, ms (p90)",
        "exec to first answer, ms (p90)",
        "resident MB",
    ];
    print(&format!("Cold, {transport}"), &head, &rows);
    Ok(())
}

fn add_figures(programs: &Programs, candidates: &[Candidate], report: &mut Report) -> anyhow::Result<()> {
    let first_answer = |name| {
        let candidate = candidates.iter().find(|candidate| candidate.name == name);
        &candidate.expect("each takes part").first_answer
    };
    let over_usual = |name| first_answer(name).median_ratio(first_answer("usual"));
    report.add_figure(Measured {
        figure: Figure::FirstAnswer,
        service: over_usual("get-artifact"),
        plain: Some(over_usual("plain")),
        floor: Some(over_usual("floor")),
    });
    #[expect(clippy::cast_precision_loss, reason = "megabytes")]
    let megabytes = |program: &Path| anyhow::Ok(zipped_bytes(program)? as f64 / 1e6);
    report.add_figure(Measured {
        figure: Figure::Zipped,
        service: megabytes(&programs.list_releases)?.max(megabytes(&programs.get_artifact)?),
        plain: Some(megabytes(&programs.plain)?),
        floor: Some(megabytes(&programs.floor)?),
    });
    Ok(())
}

/// Makes a certificate authority for this run, and writes its root to the file that `SSL_CERT_FILE` names to
/// the functions.
fn tls(directory: &Path) -> anyhow::Result<Arc<ServerConfig>> {
    let authority_key = rcgen::KeyPair::generate()?;
    let mut parameters = rcgen::CertificateParams::default();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = parameters.self_signed(&authority_key)?;
    std::fs::write(directory.join("ca.pem"), root.pem())?;
    let authority = rcgen::Issuer::new(parameters, authority_key);
    let key = rcgen::KeyPair::generate()?;
    let certificate = rcgen::CertificateParams::new(["localhost".to_owned()])?.signed_by(&key, &authority)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    Ok(Arc::new(config))
}

/// How long a DynamoDB call takes, so that round trips cost about as much as in AWS.
pub(crate) const ROUND_TRIP: Duration = Duration::from_millis(3);
