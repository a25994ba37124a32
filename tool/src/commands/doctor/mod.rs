//! `doctor`: whether the tables are as the service needs them, a line for each thing that is looked at.
//!
//! - `finding`: what a look at something found, and how it is printed;
//! - `tables`: whether the tables are there, with their index, and safe;
//! - `permissions`: which commands the caller may run;
//! - `records`: the newest records, and a sample that is read through.

mod finding;
mod permissions;
mod records;
mod tables;

use aws_sdk_dynamodb::Client;
use delivery_center::store::{Store, StoreError, TableNames, stored_forms};

use super::aws;
use super::exit_status::Ended;
use super::layout::width;
use super::local_time::Now;
use crate::table_definitions::definitions;
use finding::{Finding, Findings};

/// Look whether the tables are well: there, safe, allowed, readable, and found in every way.
///
/// Prints a line for each thing that it looks at, and what to do where one is not well. It changes nothing: whether the
/// caller may write is found out by writes whose condition never holds, and by removing an item that is not there. It scans
/// up to 4 MB of each table, and reads some 20 records of each through and through.
#[derive(clap::Args)]
#[command(after_help = "\
The first word of a line:
  ok    it is as it should be
  note  worth knowing; nothing has to be done
  bad   something is wrong, and the line says what to do

Exit status: 0 nothing is bad; 1 something is; 2 DynamoDB could not be reached.")]
pub(super) struct DoctorArguments {}

pub(super) async fn run(_: DoctorArguments) -> anyhow::Result<Ended> {
    let config = aws::config().await?;
    let client = aws::hasty(&config);
    let mut findings = Findings::new(width());
    let region = config.region().map(ToString::to_string).unwrap_or_default();
    let version = env!("CARGO_PKG_VERSION");
    findings
        .tell(Finding::ok("tool", format!("delivery-center {version}; stored forms: {}", stored_forms())))?;
    let names = TableNames::from_environment();
    match aws::store_of(client.clone())?.reach().await {
        Err(error) if error.is_unavailable() => return Err(error.into()),
        // Whether a table is there as it should be, and what the caller may do, is looked at below.
        Err(StoreError::Refused { .. }) => {}
        _ => findings.tell(Finding::ok("DynamoDB", format!("answers, in {region}")))?,
    }
    examine(&client, &aws::answering(&config), &names, &mut findings).await?;
    Ok(findings.ended())
}

/// Looks at everything, in an order in which what is told first may be the reason for what follows.
async fn examine(
    client: &Client,
    store: &Store,
    names: &TableNames,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let [releases, artifacts] = definitions(names)?;
    let has_releases = tables::examine(client, &releases, "releases", findings).await?;
    let has_artifacts = tables::examine(client, &artifacts, "artifacts", findings).await?;
    if !has_releases || !has_artifacts {
        return Ok(());
    }
    let allowed = permissions::examine(client, [&releases, &artifacts], findings).await?;
    let now = Now::from_the_clock();
    records::examine_releases(store, &now, allowed, findings).await?;
    records::examine_artifacts(store, &now, allowed, findings).await
}
