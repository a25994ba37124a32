//! Builds the programs that are measured, as they ship, and starts them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::function::Start;

/// Where each program is.
pub(crate) struct Programs {
    pub(crate) list_releases: PathBuf,
    pub(crate) get_artifact: PathBuf,
    pub(crate) floor: PathBuf,
    pub(crate) plain: PathBuf,
    pub(crate) usual: PathBuf,
    pub(crate) nothing: PathBuf,
}

impl Programs {
    /// Builds the service, unless its binaries are given, and the yardsticks where they are wanted.
    pub(crate) fn build(binaries: Option<&Path>, with_yardsticks: bool) -> anyhow::Result<Self> {
        let benches = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this package lies in benches/");
        let service = benches.parent().expect("benches/ lies in the service's repository");
        if binaries.is_none() {
            cargo(service, &["--release", "--bin", "list-releases", "--bin", "get-artifact"])?;
        }
        if with_yardsticks {
            cargo(benches, &["--release", "--package", "usual"])?;
            cargo(benches, &["--profile", "lean", "--package", "floor", "--package", "nothing"])?;
            // It is built by itself. Otherwise features that the other packages need of its dependencies
            // would be built into it.
            cargo(benches, &["--profile", "lean", "--package", "plain"])?;
        }
        let built = target()?;
        let shipped = built.join("release");
        let shipped = binaries.unwrap_or(&shipped);
        Ok(Self {
            list_releases: shipped.join("list-releases"),
            get_artifact: shipped.join("get-artifact"),
            floor: built.join("lean/floor"),
            plain: built.join("lean/plain"),
            usual: built.join("release/usual"),
            nothing: built.join("lean/nothing"),
        })
    }
}

/// The target directory: this program was built in it, as target/debug/endpoints.
fn target() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    Ok(program.ancestors().nth(2).context("a target directory")?.to_owned())
}

/// Runs `cargo build` in a package.
fn cargo(package: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--locked", "--target-dir"])
        .arg(target()?)
        .args(arguments)
        .current_dir(package)
        .status()?;
    ensure!(status.success(), "cargo build {} failed in {}", arguments.join(" "), package.display());
    Ok(())
}

/// How a program is started as Lambda would start it, with a DynamoDB endpoint and `more` environment
/// variables.
pub(crate) fn start(
    program: &Path,
    endpoint: &str,
    more: impl IntoIterator<Item = (String, String)>,
) -> Start {
    let fixed = [
        ("AWS_LAMBDA_FUNCTION_NAME", "function"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/function"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "stream"),
        // As template.yaml has it; the yardsticks get it too.
        ("MALLOC_MMAP_THRESHOLD_", "33554432"),
        ("MALLOC_TRIM_THRESHOLD_", "33554432"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_SESSION_TOKEN", "local"),
        ("AWS_ENDPOINT_URL_DYNAMODB", endpoint),
    ];
    let fixed = fixed.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Start {
        program: program.to_owned(),
        wrapper: Vec::new(),
        environment: fixed.into_iter().chain(more).collect(),
    }
}

/// The event that an HTTP API makes of a GET.
pub(crate) fn event(path: &str, query: &str, accepts_gzip: bool) -> String {
    let mut headers = serde_json::json!({
        "accept": "application/json", "host": "abcdef1234.execute-api.us-east-1.amazonaws.com", "user-agent": "curl/8.5.0",
        "x-amzn-trace-id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700", "x-forwarded-for": "203.0.113.1",
        "x-forwarded-port": "443", "x-forwarded-proto": "https",
    });
    if accepts_gzip {
        headers["accept-encoding"] = "gzip".into();
    }
    let parameters: serde_json::Map<_, _> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    serde_json::json!({
        "version": "2.0", "routeKey": format!("GET {path}"), "rawPath": path, "rawQueryString": query, "headers": headers,
        "queryStringParameters": parameters, "isBase64Encoded": false,
        "requestContext": {
            "accountId": "123456789012", "apiId": "abcdef1234", "domainName": "abcdef1234.execute-api.us-east-1.amazonaws.com",
            "domainPrefix": "abcdef1234",
            "http": { "method": "GET", "path": path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.1", "userAgent": "curl/8.5.0" },
            "requestId": "JKJaXmPLvHcESHA=", "routeKey": format!("GET {path}"), "stage": "$default",
            "time": "10/Mar/2020:05:16:23 +0000", "timeEpoch": 1_583_817_383_220_u64,
        },
    })
    .to_string()
}

pub(crate) const RELEASES_PATH: &str = "/api/aslan/delivery/releases";
pub(crate) const ARTIFACT_PATH: &str = "/api/directory/dc/artifact";
