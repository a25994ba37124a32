//! The definitions of both tables, read from the one place that has them: `template.yaml`.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::describe_table::DescribeTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, IndexStatus, KeySchemaElement, Projection,
    TableDescription, TableStatus,
};
use delivery_center::store::{StoreError, TableNames};
use serde_yaml_ng::Value;

use crate::retries::{Patience, TABLE_CREATION};

const TEMPLATE: &str = include_str!("../../template.yaml");

/// One table, as `template.yaml` defines it.
#[derive(Debug, Clone)]
pub struct TableDefinition {
    /// The table's name.
    pub name: String,
    attributes: Vec<AttributeDefinition>,
    keys: Vec<KeySchemaElement>,
    indexes: Vec<GlobalSecondaryIndex>,
}

/// What became of a table that was to be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It is new.
    New,
    /// It was there already, with the same schema.
    Already,
}

/// Why a table is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The template that is built in is not YAML. A test excludes that.
    #[error("template.yaml cannot be read")]
    UnreadableTemplate(#[from] serde_yaml_ng::Error),
    /// A table of that name has another schema.
    #[error(
        "table {table:?} exists with another schema: {difference}; choose another name, or delete that table"
    )]
    OtherSchema {
        /// The table's name.
        table: String,
        /// What differs.
        difference: String,
    },
    /// DynamoDB did not do what was asked.
    #[error("{0}")]
    DynamoDb(#[from] StoreError),
    /// The table, or its index, is still being made.
    #[error("table {table:?} is not active after {} seconds; run this again later", TABLE_CREATION.as_secs())]
    NotActive {
        /// The table's name.
        table: String,
    },
}

/// Both tables under the given names.
///
/// # Errors
/// [`TableError::UnreadableTemplate`].
pub fn definitions(names: &TableNames) -> Result<[TableDefinition; 2], TableError> {
    let template: Value = serde_yaml_ng::from_str(TEMPLATE)?;
    let definition = |name: &str, resource: &str| {
        TableDefinition::new(name, &template["Resources"][resource]["Properties"])
    };
    Ok([definition(&names.releases, "ReleasesTable"), definition(&names.artifacts, "ArtifactsTable")])
}

impl TableDefinition {
    fn new(name: &str, properties: &Value) -> Self {
        const WHOLE: &str = "all is given";
        let keys = |schema: &Value| -> Vec<_> {
            let key = |key: &Value| {
                let key_type = text(key, "KeyType").into();
                let key = KeySchemaElement::builder().attribute_name(text(key, "AttributeName"));
                key.key_type(key_type).build().expect(WHOLE)
            };
            elements(schema, "KeySchema").map(key).collect()
        };
        let attribute = |attribute: &Value| {
            let attribute_type = text(attribute, "AttributeType").into();
            let attribute = AttributeDefinition::builder().attribute_name(text(attribute, "AttributeName"));
            attribute.attribute_type(attribute_type).build().expect(WHOLE)
        };
        let index = |index: &Value| {
            let projection_type = text(&index["Projection"], "ProjectionType").into();
            GlobalSecondaryIndex::builder()
                .index_name(text(index, "IndexName"))
                .set_key_schema(Some(keys(index)))
                .projection(Projection::builder().projection_type(projection_type).build())
                .build()
                .expect(WHOLE)
        };
        Self {
            name: name.to_owned(),
            attributes: elements(properties, "AttributeDefinitions").map(attribute).collect(),
            keys: keys(properties),
            indexes: elements(properties, "GlobalSecondaryIndexes").map(index).collect(),
        }
    }

    /// Creates the table and waits until it can be used.
    ///
    /// It lacks what protects a table in production (recovery, deletion protection); deploying the template
    /// sets that.
    ///
    /// # Errors
    /// [`TableError`], also where the table exists with another schema.
    pub async fn create(&self, client: &Client) -> Result<Created, TableError> {
        if self.existing(client).await?.is_some() {
            self.wait(client).await?;
            return Ok(Created::Already);
        }
        client
            .create_table()
            .table_name(&self.name)
            .set_attribute_definitions(Some(self.attributes.clone()))
            .set_key_schema(Some(self.keys.clone()))
            .set_global_secondary_indexes(Some(self.indexes.clone()))
            .billing_mode(BillingMode::PayPerRequest)
            .send()
            .await
            .map_err(|error| self.failed(error))?;
        self.wait(client).await?;
        Ok(Created::New)
    }

    /// The table as it exists; `None` where there is none of this name.
    ///
    /// # Errors
    /// [`TableError`], also where it has another schema.
    pub async fn existing(&self, client: &Client) -> Result<Option<TableDescription>, TableError> {
        let table = self.describe(client).await?;
        if let Some(table) = &table {
            let indexes = table.global_secondary_indexes().iter();
            let indexes = indexes.map(|index| (index.index_name(), index.key_schema(), index.projection()));
            let found = schema(table.attribute_definitions(), table.key_schema(), indexes);
            let wanted = self.schema();
            if found != wanted {
                let difference = format!("{found} instead of {wanted}");
                return Err(TableError::OtherSchema { table: self.name.clone(), difference });
            }
        }
        Ok(table)
    }

    fn schema(&self) -> String {
        let indexes = self.indexes.iter();
        let indexes = indexes.map(|index| (Some(index.index_name()), index.key_schema(), index.projection()));
        schema(&self.attributes, &self.keys, indexes)
    }

    async fn describe(&self, client: &Client) -> Result<Option<TableDescription>, TableError> {
        match client.describe_table().table_name(&self.name).send().await {
            Ok(output) => Ok(output.table),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(DescribeTableError::is_resource_not_found_exception) =>
            {
                Ok(None)
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Waits until the table is active, and its index too.
    async fn wait(&self, client: &Client) -> Result<(), TableError> {
        let mut patience = Patience::new(TABLE_CREATION);
        while !self.describe(client).await?.is_some_and(|table| is_active(&table)) {
            if !patience.wait().await {
                return Err(TableError::NotActive { table: self.name.clone() });
            }
        }
        Ok(())
    }

    fn failed<E>(&self, error: SdkError<E>) -> TableError
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        StoreError::from_sdk(&self.name, error).into()
    }
}

/// A schema in one line, by which two are compared and shown.
fn schema<'a>(
    attributes: &[AttributeDefinition],
    keys: &[KeySchemaElement],
    indexes: impl Iterator<Item = (Option<&'a str>, &'a [KeySchemaElement], Option<&'a Projection>)>,
) -> String {
    let keys_in_words = |keys: &[KeySchemaElement]| {
        let key = |key: &KeySchemaElement| {
            let name = key.attribute_name();
            let attribute = attributes.iter().find(|attribute| attribute.attribute_name() == name);
            let attribute_type = attribute.map_or("", |attribute| attribute.attribute_type().as_str());
            format!("{name} ({attribute_type} {})", key.key_type())
        };
        keys.iter().map(key).collect::<Vec<_>>().join(", ")
    };
    let mut parts = vec![format!("keys {}", keys_in_words(keys))];
    for (name, keys, projection) in indexes {
        let projected = projection.and_then(Projection::projection_type).map_or("", |kind| kind.as_str());
        let (name, keys) = (name.unwrap_or_default(), keys_in_words(keys));
        parts.push(format!("index {name} of {projected}: {keys}"));
    }
    parts.join("; ")
}

/// Whether the table and its indexes can be used: a table is active also while an index is added to it. An
/// implementation that makes indexes at once gives them no status.
fn is_active(table: &TableDescription) -> bool {
    let mut indexes = table.global_secondary_indexes().iter();
    table.table_status() == Some(&TableStatus::Active)
        && indexes.all(|index| index.index_status().is_none_or(|status| *status == IndexStatus::Active))
}

fn elements<'a>(object: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    object[name].as_sequence().into_iter().flatten()
}

fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_defines_both_tables() {
        let names = TableNames { releases: "r".to_owned(), artifacts: "a".to_owned() };
        let [releases, artifacts] = definitions(&names).unwrap();
        assert_eq!((releases.name.as_str(), artifacts.name.as_str()), ("r", "a"));
        assert_eq!(
            releases.schema(),
            "keys release_id (S HASH), entry (S RANGE); index by_facet of ALL: facet (S HASH), position (S RANGE)"
        );
        assert_eq!(
            artifacts.schema(),
            "keys image_digest (S HASH), entry (S RANGE); index by_image of ALL: image (S HASH), position (S RANGE)"
        );
        assert_eq!([releases, artifacts].map(|table| table.attributes.len()), [4, 4], "of keys alone");
    }
}
