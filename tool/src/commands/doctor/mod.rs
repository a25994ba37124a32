//! `doctor`: checks whether the tables are as the service needs them, and prints a line for each check.
//!
//! - `finding`: what a check found, and how it is printed;
//! - `tables`: whether the tables exist, with their index, and are protected;
//! - `records`: the newest records, and a sample that is read completely.

mod finding;
mod records;
mod tables;

use aws_sdk_dynamodb::Client;
use delivery_center::store::{StoreError, TableNames};
use finding::Findings;

use super::aws;
use super::exit_status::Ended;
use super::layout::width;
use super::local_time::Now;
use crate::table_definitions::definitions;
use crate::write::{Writer, stored_forms};

/// Check the tables: whether they exist and are protected, and whether their records can be read and found.
///
/// It prints a line for each check, and what to do if something is wrong. It only reads: it scans up to 4 MB
/// of each table, and reads some 20 records of each completely. What the caller may not look at is left out.
#[derive(clap::Args)]
#[command(after_help = "\
The first word of a line:
  ok    it is as it should be
  note  worth knowing; nothing has to be done
  bad   something is wrong, the line says what to do, and the exit status is 1")]
pub(super) struct DoctorArguments {}

pub(super) async fn run(_: DoctorArguments) -> anyhow::Result<Ended> {
    let config = aws::config().await?;
    let client = aws::hasty(&config);
    let mut findings = Findings::new(width());
    let region = config.region().map(ToString::to_string).unwrap_or_default();
    let version = env!("CARGO_PKG_VERSION");
    findings.ok("tool", format!("delivery-center {version}; stored forms: {}", stored_forms()))?;
    let names = TableNames::from_environment();
    match aws::writer_of(client.clone())?.reach().await {
        Err(error) if error.is_unavailable() => return Err(error.into()),
        // Whether the tables exist is checked below.
        Err(StoreError::Refused { .. }) => {}
        _ => findings.ok("DynamoDB", format!("answers, in {region}"))?,
    }
    examine(&client, &aws::answering(&config), &names, &mut findings).await?;
    Ok(findings.ended())
}

/// Makes all checks, in an order in which an earlier finding may explain a later one.
async fn examine(
    client: &Client,
    writer: &Writer,
    names: &TableNames,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let [releases, artifacts] = definitions(names)?;
    let has_releases = tables::examine(client, &releases, "releases", findings).await?;
    let has_artifacts = tables::examine(client, &artifacts, "artifacts", findings).await?;
    if !has_releases || !has_artifacts {
        return Ok(());
    }
    let now = Now::from_the_clock();
    let examined = records::examine_releases(writer, &now, findings).await;
    tell_denied("releases sample", examined, findings)?;
    let examined = records::examine_artifacts(writer, &now, findings).await;
    tell_denied("artifacts sample", examined, findings)
}

/// Says that a check was left out where the caller may not make it.
fn tell_denied(subject: &str, examined: anyhow::Result<()>, findings: &mut Findings) -> anyhow::Result<()> {
    let Err(error) = examined else { return Ok(()) };
    match error.downcast_ref() {
        Some(denied @ StoreError::AccessDenied { source, .. }) => {
            findings.note(subject, format!("left out: {denied}: {source}"))
        }
        _ => Err(error),
    }
}
