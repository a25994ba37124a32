//! Checks whether a table exists, with its keys and its index, and is protected against mistakes.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_dynamodb::types::{IndexStatus, PointInTimeRecoveryStatus, TableDescription, TableStatus};
use delivery_center::store::StoreError;
use indicatif::BinaryBytes;

use super::finding::Findings;
use crate::table_definitions::{TableDefinition, TableError};

/// The code with which an emulator says that it does not know an operation, such as those for backups.
const UNKNOWN_OPERATION: &str = "UnknownOperationException";

/// Checks a table, and tells whether it can be asked for records.
pub(super) async fn examine(
    client: &Client,
    definition: &TableDefinition,
    records: &str,
    findings: &mut Findings,
) -> anyhow::Result<bool> {
    let (name, subject) = (&definition.name, &format!("{records} table"));
    let table = match definition.existing(client).await {
        Ok(Some(table)) => table,
        Ok(None) => {
            let missing = format!(
                "{name} does not exist: look at AWS_REGION and {}_TABLE; deploy the template, or run \
                 `delivery-center tables create` on a laptop",
                records.to_uppercase()
            );
            findings.bad(subject, missing)?;
            return Ok(false);
        }
        Err(error @ TableError::OtherSchema { .. }) => {
            findings.bad(subject, error.to_string())?;
            return Ok(false);
        }
        Err(TableError::DynamoDb(StoreError::AccessDenied { .. })) => {
            findings.note(subject, format!("{name}: this caller may not DescribeTable"))?;
            return Ok(true);
        }
        Err(error) => return Err(error.into()),
    };
    tell_state(name, subject, &table, findings)?;
    let has_backups = examine_recovery(client, name, records, findings).await?;
    if has_backups {
        tell_protection(name, records, &table, findings)?;
    }
    Ok(true)
}

/// Tells whether the table and its index take requests, and how much is in it.
fn tell_state(
    name: &str,
    subject: &str,
    table: &TableDescription,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    if let Some(status) = table.table_status()
        && !matches!(status, TableStatus::Active | TableStatus::Updating)
    {
        return findings.bad(subject, format!("{name} is {status}: wait until it is ACTIVE"));
    }
    for index in table.global_secondary_indexes() {
        if let Some(status) = index.index_status()
            && *status != IndexStatus::Active
        {
            let index_name = index.index_name().unwrap_or_default();
            return findings.bad(
                subject,
                format!(
                    "index {index_name} of {name} is {status}: lists are not complete until it is ACTIVE"
                ),
            );
        }
    }
    let items = table.item_count().unwrap_or_default();
    let bytes = BinaryBytes(u64::try_from(table.table_size_bytes().unwrap_or_default()).unwrap_or_default());
    findings.ok(
        subject,
        format!(
            "{name} has the keys and the index that it should; about {items} items, {bytes} (DynamoDB counts every six hours)"
        ),
    )
}

/// Checks whether the table can be restored to an earlier second. Gives `false` where this DynamoDB has no
/// backups at all.
async fn examine_recovery(
    client: &Client,
    name: &str,
    records: &str,
    findings: &mut Findings,
) -> anyhow::Result<bool> {
    let subject = &format!("{records} recovery");
    let described = match client.describe_continuous_backups().table_name(name).send().await {
        Ok(output) => output.continuous_backups_description,
        Err(error) if error.code() == Some(UNKNOWN_OPERATION) => {
            findings.note(subject, "this DynamoDB has no backups: it is an emulator")?;
            return Ok(false);
        }
        Err(error) => match StoreError::from_sdk(name, error) {
            StoreError::AccessDenied { .. } => {
                findings.note(subject, "this caller may not DescribeContinuousBackups")?;
                return Ok(true);
            }
            error => return Err(error.into()),
        },
    };
    let is_on = described
        .and_then(|backups| backups.point_in_time_recovery_description)
        .and_then(|recovery| recovery.point_in_time_recovery_status)
        .is_some_and(|status| status == PointInTimeRecoveryStatus::Enabled);
    if is_on {
        findings.ok(subject, "point-in-time recovery is on")?;
    } else {
        findings.bad(
            subject,
            format!(
                "point-in-time recovery is off, so records that are lost cannot be brought back; turn it on: aws dynamodb \
                 update-continuous-backups --table-name {name} \
                 --point-in-time-recovery-specification PointInTimeRecoveryEnabled=true"
            ),
        )?;
    }
    Ok(true)
}

fn tell_protection(
    name: &str,
    records: &str,
    table: &TableDescription,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let subject = &format!("{records} protection");
    if table.deletion_protection_enabled() == Some(true) {
        return findings.ok(subject, "deletion protection is on");
    }
    findings.bad(
        subject,
        format!(
            "deletion protection is off: aws dynamodb update-table --table-name {name} --deletion-protection-enabled"
        ),
    )
}
