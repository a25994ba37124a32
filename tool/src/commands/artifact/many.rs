//! `artifact -`: the artifacts of many images, digests and commits, which come line by line.

use std::io::{self, BufRead as _};
use std::thread;

use anyhow::Context as _;
use delivery_center::endpoint::Endpoint;
use delivery_center::error::Status;
use delivery_center::query::Query;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::super::exit_status::{Ended, unusable};
use super::super::terminal;
use super::{ArtifactArguments, LOOK_UPS_AT_ONCE};
use crate::answers::{Endpoints, read};

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
                let asked = line.context("cannot read standard input")?;
                self.ask_for(&endpoints, asked).await
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
            terminal::print_json(&serde_json::to_string(&answer)?)?;
        }
        Ok(ended)
    }

    /// What is answered about a line. Only what would be answered about all of them is an error.
    async fn ask_for(&self, endpoints: &Endpoints, asked: String) -> anyhow::Result<Answer> {
        let name = if is_commit(&asked) { "commit" } else { "image" };
        let include = self.environments.then_some(("include", "environments"));
        let query: Query = [(name, asked.as_str())].into_iter().chain(include).collect();
        let (status, artifact, description) = match endpoints.ask(Endpoint::GetArtifact, &query).await {
            Ok(answered) => (200, Some(read(&answered.json)?), None),
            Err(error) => match [Status::NotFound, Status::BadRequest]
                .into_iter()
                .find(|status| error.has_status(*status))
            {
                Some(status) => (status.code().as_u16(), None, Some(error.to_string())),
                None => return Err(error.into()),
            },
        };
        Ok(Answer { asked, status, artifact, description })
    }
}

/// The lines of standard input that are not blank, without the blanks around them. They are read on a thread of
/// their own, since a runtime would wait for one of its threads, and a pipe may stay open.
fn lines() -> mpsc::Receiver<io::Result<String>> {
    let (sender, receiver) = mpsc::channel(LOOK_UPS_AT_ONCE);
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let line = line.map(|line| line.trim().to_owned());
            let is_blank = line.as_ref().is_ok_and(String::is_empty);
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
