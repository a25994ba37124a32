//! Runs the tool as its users do: as a process, in an environment with nothing but what a test sets.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use crate::support::Tables;

/// What the tool printed, and its exit status.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// The tool with arguments, not yet started.
pub(crate) fn tool(environment: &[(&'static str, String)], arguments: &[&str]) -> Command {
    let mut tool = Command::new(env!("CARGO_BIN_EXE_delivery-center"));
    tool.env_clear().envs(environment.iter().map(|(name, value)| (*name, value.as_str()))).args(arguments);
    tool
}

/// Runs the tool on some tables, to its end.
pub(crate) async fn run_on(tables: &Tables, arguments: &[&str]) -> Ran {
    run(tool(&tables.environment(), arguments)).await
}

/// Runs the tool on some tables as in a terminal of that many columns, in UTC.
pub(crate) async fn run_in_columns(tables: &Tables, columns: u16, arguments: &[&str]) -> Ran {
    let mut tool = tool(&tables.environment(), arguments);
    tool.env("TZ", "UTC").env("COLUMNS", columns.to_string());
    run(tool).await
}

/// Whether a line fits into a terminal, or is only too wide because of its last word, which must stay whole
/// to be copied.
pub(crate) fn fits_or_is_one_word(line: &str, columns: u16) -> bool {
    let width = console::measure_text_width;
    let last_word = line.rsplit("  ").next().unwrap_or_default();
    let before = width(line) - width(last_word);
    // In a report, a value that is gone or new has a mark in front of it.
    let last_word = last_word.trim_start_matches("- ").trim_start_matches("+ ");
    width(line) <= usize::from(columns) || !last_word.contains(' ') && 2 * before <= usize::from(columns) + 4
}

/// The time so many seconds ago, in Unix seconds.
pub(crate) fn ago(seconds: i64) -> i64 {
    jiff::Timestamp::now().as_second() - seconds
}

/// A time in UTC as the tool shows it.
pub(crate) fn shown(unix_seconds: i64, format: &str) -> String {
    jiff::Timestamp::from_second(unix_seconds).unwrap().strftime(format).to_string()
}

/// Runs the tool to its end.
pub(crate) async fn run(tool: Command) -> Ran {
    run_with_input(tool, "").await
}

/// Runs the tool to its end, with a text as its standard input.
pub(crate) async fn run_with_input(mut tool: Command, input: impl AsRef<[u8]>) -> Ran {
    let input = input.as_ref().to_vec();
    // On a thread of its own, since the tool may wait for a server on this test's thread.
    let Output { status, stdout, stderr } = tokio::task::spawn_blocking(move || {
        let mut process =
            tool.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A tool that refuses its arguments ends without reading.
        let _ = process.stdin.take().unwrap().write_all(&input);
        process.wait_with_output().unwrap()
    })
    .await
    .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { status: status.code(), out: text(stdout), err: text(stderr) }
}
