//! The page's server: `serve`, over the samples or over a test's own records.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Stdio};

use crate::running::{run_with_input, tool};

/// A running `serve`, which ends when this is dropped.
pub(super) struct Server {
    process: Child,
    /// Held, since `serve` prints more than its first line.
    _stdout: BufReader<ChildStdout>,
    pub(super) address: String,
    dynamodb: String,
}

impl Server {
    pub(super) fn with_samples() -> Self {
        Self::start(&[])
    }

    /// Over records as JSON Lines, each of which must be stored.
    pub(super) async fn with_records(records: &str) -> Self {
        let server = Self::start(&["--empty"]);
        server.import(records).await;
        server
    }

    pub(super) async fn import(&self, records: &str) {
        let imported = run_with_input(tool(&self.environment(), &["import", "-"]), records).await;
        assert_eq!(imported.status, Some(0), "{imported:?}");
    }

    fn start(arguments: &[&str]) -> Self {
        let serve = ["serve", "--listen", "127.0.0.1:0", "--dynamodb-listen", "127.0.0.1:0"];
        let mut serve = tool(&[], &[&serve, arguments].concat());
        let mut process = serve.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut first = String::new();
        stdout.read_line(&mut first).unwrap();
        let mut addresses = first.split("http://").skip(1).map(|rest| {
            rest.split(|character: char| !(character.is_ascii_digit() || ".:".contains(character)))
                .next()
                .unwrap()
                .trim_end_matches('.')
                .to_owned()
        });
        Self {
            process,
            _stdout: stdout,
            address: addresses.next().unwrap(),
            dynamodb: addresses.next().unwrap(),
        }
    }

    /// With it, the tool asks and writes what is served.
    pub(super) fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT_URL_DYNAMODB", format!("http://{}", self.dynamodb)),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "local".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
        ]
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already, which the test will have seen.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
