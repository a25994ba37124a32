//! `artifact -`: the artifacts of many images, digests and commits, which come line by line.

use std::io::{self, BufRead as _};
use std::thread;

use anyhow::Context as _;
use delivery_center::endpoint::Endpoint;
use delivery_center::error::{Error, Status};
use delivery_center::query::Query;
use delivery_center::store::StoreError;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::super::exit_status::{Ended, unusable};
use super::super::terminal;
use super::{ArtifactArguments, LOOK_UPS_AT_ONCE};
use crate::answers::{AskError, Endpoints, read};

/// No image, digest or commit is longer, in bytes. A longer one is not asked for, since it may not fit into a URL.
const MAX_LINE_BYTES: usize = 4096;

/// What is answered about a line.
#[derive(Serialize)]
struct Answer {
    asked: String,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

impl ArtifactArguments {
    /// Asks for each line of standard input, several at once, and prints the answers in the lines' order.
    pub(super) async fn ask_many(&self) -> anyhow::Result<Ended> {
        if self.env.is_some() {
            return Err(unusable("--env asks for one repository, and not for the lines of standard input"));
        }
        let endpoints = self.api.endpoints().await?;
        let lines = stream::unfold(lines(), async |mut lines| Some((lines.recv().await?, lines)));
        let answers = lines
            .map(|line| async {
                let line = line.context("cannot read standard input")?;
                self.ask_for(&endpoints, line).await
            })
            .buffered(LOOK_UPS_AT_ONCE);
        let mut answers = std::pin::pin!(answers);
        let mut ended = Ended::Well;
        while let Some(answer) = answers.try_next().await? {
            ended = match (answer.status, ended) {
                (404, Ended::Well) => Ended::NotFound,
                (200 | 404, ended) => ended,
                _ => Ended::NotWell,
            };
            if !terminal::print_json(&serde_json::to_string(&answer)?)? {
                break;
            }
        }
        Ok(ended)
    }

    /// What is answered about a line. Only what would be answered about all of them is an error.
    async fn ask_for(&self, endpoints: &Endpoints, line: Vec<u8>) -> anyhow::Result<Answer> {
        let asked = match String::from_utf8(line) {
            Ok(asked) => asked,
            Err(error) => {
                let asked = String::from_utf8_lossy(error.as_bytes()).into_owned();
                return Ok(Answer::without(asked, Status::BadRequest, "the line is not UTF-8"));
            }
        };
        if asked.len() > MAX_LINE_BYTES {
            return Ok(Answer::without(asked, Status::NotFound, "no image, digest or commit is that long"));
        }
        let name = if is_commit(&asked) { "commit" } else { "image" };
        let include = self.environments.then_some(("include", "environments"));
        let query: Query = [(name, asked.as_str())].into_iter().chain(include).collect();
        match endpoints.ask(Endpoint::GetArtifact, &query).await {
            Ok(answered) => {
                let artifact = Some(read(&answered.json)?);
                Ok(Answer { asked, status: 200, artifact, description: None })
            }
            Err(error) => match status_of_one(&error) {
                Some(status) => Ok(Answer::without(asked, status, &error.to_string())),
                None => Err(error.into()),
            },
        }
    }
}

impl Answer {
    fn without(asked: String, status: Status, description: &str) -> Self {
        let description = Some(description.to_owned());
        Self { asked, status: status.code().as_u16(), artifact: None, description }
    }
}

/// The status of an error that tells only of one look-up: it was not found, cannot be read, or is spoiled. (A
/// deployed API answers a missing table with a 500 too, which is then told of each line.)
fn status_of_one(error: &AskError) -> Option<Status> {
    match error {
        AskError::Refused(Error::Store(StoreError::UnreadableRecord { .. })) => Some(Status::InternalError),
        AskError::Refused(Error::Store(_)) => None,
        _ => [Status::NotFound, Status::BadRequest, Status::InternalError]
            .into_iter()
            .find(|status| error.has_status(*status)),
    }
}

/// The lines of standard input that are not blank, without the blanks around them. They are read on a thread of
/// their own, since a runtime would wait for one of its threads, and a pipe may stay open.
fn lines() -> mpsc::Receiver<io::Result<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel(LOOK_UPS_AT_ONCE);
    thread::spawn(move || {
        for line in io::stdin().lock().split(b'\n') {
            let line = line.map(|line| {
                let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&line);
                line.trim_ascii().to_vec()
            });
            let is_blank = line.as_ref().is_ok_and(Vec::is_empty);
            // Nobody takes any more after an error.
            if !is_blank && sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Whether a line is a commit's id, or the beginning of one, and not an image's name.
fn is_commit(line: &str) -> bool {
    (7..=64).contains(&line.len()) && line.bytes().all(|byte| byte.is_ascii_hexdigit())
}
