//! The embedded DynamoDB, and the records that it is filled with.

use std::net::SocketAddr;

use anyhow::{Context as _, anyhow};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, PutRequest,
    ScalarAttributeType, WriteRequest,
};
use delivery_center::store::TableNames;
use delivery_center_tool::embedded::EmbeddedDynamoDb;
use delivery_center_tool::record::Record;
use delivery_center_tool::table_definitions::definitions;
use delivery_center_tool::write::{KeepRecorded, Mode, PackedArtifact, PackedRelease, Writer};
use serde_json::Value;

use crate::records;

/// How many records are packed and then written together.
const RECORDS_AT_ONCE: u32 = 200;

/// The keys of the tables in the usual form: hash and range.
pub(crate) const USUAL_KEYS: [&str; 2] = ["list", "position"];

/// An embedded database, which ends with this value.
pub(crate) struct Tables {
    database: EmbeddedDynamoDb,
}

/// The names of the tables that hold one set of records.
fn names(set: &str) -> TableNames {
    TableNames { releases: format!("releases-{set}"), artifacts: format!("artifacts-{set}") }
}

/// The environment variables that name the tables of a set of records: those of the service, and those of the
/// usual form.
pub(crate) fn environment(set: &str) -> [(String, String); 4] {
    let TableNames { releases, artifacts } = names(set);
    [
        ("USUAL_RELEASES_TABLE".to_owned(), format!("usual-{releases}")),
        ("USUAL_ARTIFACTS_TABLE".to_owned(), format!("usual-{artifacts}")),
        ("RELEASES_TABLE".to_owned(), releases),
        ("ARTIFACTS_TABLE".to_owned(), artifacts),
    ]
}

impl Tables {
    /// Starts the database in memory. With a file, storing a long history would be a test of the disk.
    pub(crate) fn start() -> anyhow::Result<Self> {
        Ok(Self { database: EmbeddedDynamoDb::start("127.0.0.1:0".parse()?, None)? })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.database.address()
    }

    /// Stores releases of about `bytes` bytes each, and the one artifact.
    pub(crate) async fn fill(&self, set: &str, releases: u32, bytes: usize) -> anyhow::Result<()> {
        let writer = self.create(set).await?;
        put_releases(&writer, releases, |number| records::release(number, bytes)).await?;
        put_artifacts(&writer, &[records::artifact()]).await
    }

    /// Stores releases of which every filter finds some, and a tenth as many artifacts.
    pub(crate) async fn fill_searchable(&self, set: &str, releases: u32, bytes: usize) -> anyhow::Result<()> {
        let writer = self.create(set).await?;
        put_releases(&writer, releases, |number| records::searchable(number, bytes)).await?;
        let artifacts: Vec<_> = (0..releases / 10).map(records::searchable_artifact).collect();
        for artifacts in artifacts.chunks(RECORDS_AT_ONCE as usize) {
            put_artifacts(&writer, artifacts).await?;
        }
        Ok(())
    }

    async fn create(&self, set: &str) -> anyhow::Result<Writer> {
        let (client, names) = (self.database.client(), names(set));
        for definition in definitions(&names)? {
            definition.create(&client).await?;
        }
        Ok(self.database.writer(names))
    }

    /// Stores the same records in the usual form: as native maps under one key, the newest last.
    pub(crate) async fn fill_the_usual_way(
        &self,
        set: &str,
        releases: u32,
        bytes: usize,
    ) -> anyhow::Result<()> {
        let client = self.database.client();
        let names = names(set);
        let releases_table = format!("usual-{}", names.releases);
        let artifacts_table = format!("usual-{}", names.artifacts);
        create_usual_table(&client, &releases_table).await?;
        create_usual_table(&client, &artifacts_table).await?;
        for number in 0..releases {
            put(&client, &releases_table, "all", number, &records::release(number, bytes)).await?;
        }
        put(&client, &artifacts_table, records::IMAGE, 0, &records::artifact()).await
    }
}

async fn put_releases(writer: &Writer, releases: u32, record: impl Fn(u32) -> Value) -> anyhow::Result<()> {
    for first in (0..releases).step_by(RECORDS_AT_ONCE as usize) {
        let numbers = first..releases.min(first + RECORDS_AT_ONCE);
        let packed = numbers.map(|number| packed_release(&record(number)));
        let stored = writer.put_releases(&packed.collect::<anyhow::Result<Vec<_>>>()?, Mode::Write).await;
        stored.into_iter().collect::<Result<Vec<_>, _>>()?;
    }
    Ok(())
}

async fn put_artifacts(writer: &Writer, artifacts: &[Value]) -> anyhow::Result<()> {
    let mut packed = Vec::with_capacity(artifacts.len());
    for artifact in artifacts {
        let Record::Artifact(artifact) = checked(artifact)? else { return Err(anyhow!("no artifact")) };
        packed.push(PackedArtifact::new(*artifact)?);
    }
    let stored = writer.put_artifacts(&packed, Mode::Write, KeepRecorded::No).await;
    stored.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(())
}

fn checked(record: &Value) -> anyhow::Result<Record> {
    Record::check(record.to_string().as_bytes()).map_err(|problem| anyhow!("{problem}"))
}

fn packed_release(release: &Value) -> anyhow::Result<PackedRelease> {
    let Record::Release(release) = checked(release)? else { return Err(anyhow!("no release")) };
    Ok(PackedRelease::new(&release)?)
}

async fn create_usual_table(client: &Client, name: &str) -> anyhow::Result<()> {
    let mut table = client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
    for (attribute, key_type) in USUAL_KEYS.into_iter().zip([KeyType::Hash, KeyType::Range]) {
        let definition = AttributeDefinition::builder().attribute_name(attribute);
        let key = KeySchemaElement::builder().attribute_name(attribute).key_type(key_type);
        table = table
            .attribute_definitions(definition.attribute_type(ScalarAttributeType::S).build()?)
            .key_schema(key.build()?);
    }
    table.send().await.context("a table in the usual form")?;
    Ok(())
}

async fn put(client: &Client, table: &str, list: &str, number: u32, record: &Value) -> anyhow::Result<()> {
    let mut item: std::collections::HashMap<String, AttributeValue> = serde_dynamo::to_item(record)?;
    for (key, value) in USUAL_KEYS.into_iter().zip([list.to_owned(), format!("{number:012}")]) {
        item.insert(key.to_owned(), AttributeValue::S(value));
    }
    let write =
        WriteRequest::builder().put_request(PutRequest::builder().set_item(Some(item)).build()?).build();
    client
        .batch_write_item()
        .request_items(table, vec![write])
        .send()
        .await
        .context("a record in the usual form")?;
    Ok(())
}
