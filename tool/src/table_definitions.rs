//! The definitions of both tables, read from the one place that has them: `template.yaml`.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::describe_table::DescribeTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, IndexStatus, KeySchemaElement, KeyType,
    Projection, ProjectionType, ScalarAttributeType, TableDescription, TableStatus,
};
use delivery_center::store::{StoreError, TableNames};
use serde::Deserialize;

use crate::retries::{Patience, TABLE_CREATION};

const TEMPLATE: &str = include_str!("../../template.yaml");

/// One table, as `template.yaml` defines it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableDefinition {
    /// The table's name.
    pub name: String,
    keys: Keys,
    index: Index,
}

/// The two attributes that are the key of a table or an index. Both are texts.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Keys {
    hash: String,
    range: String,
}

/// The index of a table. It holds whole items.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Index {
    name: String,
    keys: Keys,
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
    /// The template is not YAML, or does not have both tables.
    #[error("template.yaml cannot be read")]
    UnreadableTemplate(#[from] serde_yaml_ng::Error),
    /// The template does not define the tables as this module reads them.
    #[error("template.yaml: {0}")]
    Template(String),
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

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Template {
    resources: Resources,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Resources {
    releases_table: TableResource,
    artifacts_table: TableResource,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TableResource {
    properties: TableProperties,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TableProperties {
    key_schema: Vec<KeyProperties>,
    attribute_definitions: Vec<AttributeProperties>,
    global_secondary_indexes: Vec<IndexProperties>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KeyProperties {
    attribute_name: String,
    key_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AttributeProperties {
    attribute_name: String,
    attribute_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct IndexProperties {
    index_name: String,
    key_schema: Vec<KeyProperties>,
    projection: ProjectionProperties,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ProjectionProperties {
    projection_type: String,
}

/// Both tables under the given names.
///
/// # Errors
/// [`TableError`], where the `template.yaml` that is built in is not as expected. A test excludes that.
pub fn definitions(names: &TableNames) -> Result<[TableDefinition; 2], TableError> {
    let template: Template = serde_yaml_ng::from_str(TEMPLATE)?;
    let Resources { releases_table, artifacts_table } = template.resources;
    Ok([
        TableDefinition::new(names.releases.clone(), releases_table.properties)?,
        TableDefinition::new(names.artifacts.clone(), artifacts_table.properties)?,
    ])
}

impl TableDefinition {
    fn new(name: String, properties: TableProperties) -> Result<Self, TableError> {
        let are_texts =
            properties.attribute_definitions.iter().all(|attribute| attribute.attribute_type == "S");
        let project_all =
            properties.global_secondary_indexes.iter().all(|index| index.projection.projection_type == "ALL");
        if !are_texts || !project_all {
            return Err(TableError::Template(
                "a key is not a text, or an index does not project everything".to_owned(),
            ));
        }
        let keys = Keys::new(properties.key_schema)?;
        let [index] = <[IndexProperties; 1]>::try_from(properties.global_secondary_indexes)
            .map_err(|_| TableError::Template("a table does not have exactly one index".to_owned()))?;
        let index = Index { name: index.index_name, keys: Keys::new(index.key_schema)? };
        let definition = Self { name, keys, index };
        let mut defined: Vec<_> = properties
            .attribute_definitions
            .iter()
            .map(|attribute| attribute.attribute_name.as_str())
            .collect();
        defined.sort_unstable();
        if defined != definition.key_attributes() {
            return Err(TableError::Template(format!(
                "the attributes of {:?} are not its keys",
                definition.name
            )));
        }
        Ok(definition)
    }

    /// The names of all key attributes, sorted, each once.
    fn key_attributes(&self) -> Vec<&str> {
        let all = [&self.keys, &self.index.keys];
        let mut names: Vec<_> =
            all.iter().flat_map(|keys| [keys.hash.as_str(), keys.range.as_str()]).collect();
        names.sort_unstable();
        names.dedup();
        names
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
        let attributes = self.key_attributes().into_iter().map(|name| {
            AttributeDefinition::builder()
                .attribute_name(name)
                .attribute_type(ScalarAttributeType::S)
                .build()
                .expect("all is given")
        });
        client
            .create_table()
            .table_name(&self.name)
            .set_attribute_definitions(Some(attributes.collect()))
            .set_key_schema(Some(self.keys.schema()))
            .global_secondary_indexes(self.index.definition())
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
            self.check(table)?;
        }
        Ok(table)
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

    fn check(&self, table: &TableDescription) -> Result<(), TableError> {
        let keys = Keys::of(table.key_schema());
        let indexes: Vec<_> = table
            .global_secondary_indexes()
            .iter()
            .map(|index| {
                (
                    index.index_name().unwrap_or_default().to_owned(),
                    Keys::of(index.key_schema()),
                    projects_all(index.projection()),
                )
            })
            .collect();
        let wanted = [(self.index.name.clone(), self.index.keys.names(), true)];
        let difference = if keys != self.keys.names() {
            format!("its keys are {keys:?} instead of {:?}", self.keys.names())
        } else if indexes != wanted {
            format!(
                "its indexes (name, keys, whether all is projected) are {indexes:?} instead of {wanted:?}"
            )
        } else if table
            .attribute_definitions()
            .iter()
            .any(|attribute| *attribute.attribute_type() != ScalarAttributeType::S)
        {
            "its keys are not all texts".to_owned()
        } else {
            return Ok(());
        };
        Err(TableError::OtherSchema { table: self.name.clone(), difference })
    }

    fn failed<E>(&self, error: SdkError<E>) -> TableError
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        StoreError::from_sdk(&self.name, error).into()
    }
}

/// Whether the table and its indexes can be used: a table is active also while an index is added to it. An
/// implementation that makes indexes at once gives them no status.
fn is_active(table: &TableDescription) -> bool {
    let mut indexes = table.global_secondary_indexes().iter();
    table.table_status() == Some(&TableStatus::Active)
        && indexes.all(|index| index.index_status().is_none_or(|status| *status == IndexStatus::Active))
}

fn projects_all(projection: Option<&Projection>) -> bool {
    projection.and_then(Projection::projection_type) == Some(&ProjectionType::All)
}

impl Keys {
    fn new(schema: Vec<KeyProperties>) -> Result<Self, TableError> {
        let mut keys = schema.into_iter();
        match (keys.next(), keys.next(), keys.next()) {
            (Some(hash), Some(range), None) if hash.key_type == "HASH" && range.key_type == "RANGE" => {
                Ok(Self { hash: hash.attribute_name, range: range.attribute_name })
            }
            _ => Err(TableError::Template("a key is not one HASH and then one RANGE attribute".to_owned())),
        }
    }

    /// The names of an existing schema's keys, in its order.
    fn of(schema: &[KeySchemaElement]) -> Vec<String> {
        schema.iter().map(|element| element.attribute_name().to_owned()).collect()
    }

    fn names(&self) -> Vec<String> {
        vec![self.hash.clone(), self.range.clone()]
    }

    fn schema(&self) -> Vec<KeySchemaElement> {
        let element = |name: &str, key_type| {
            KeySchemaElement::builder().attribute_name(name).key_type(key_type).build().expect("all is given")
        };
        vec![element(&self.hash, KeyType::Hash), element(&self.range, KeyType::Range)]
    }
}

impl Index {
    fn definition(&self) -> GlobalSecondaryIndex {
        GlobalSecondaryIndex::builder()
            .index_name(&self.name)
            .set_key_schema(Some(self.keys.schema()))
            .projection(Projection::builder().projection_type(ProjectionType::All).build())
            .build()
            .expect("all is given")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_defines_both_tables() {
        let names = TableNames { releases: "r".to_owned(), artifacts: "a".to_owned() };
        let [releases, artifacts] = definitions(&names).unwrap();
        assert_eq!(releases.keys.names(), ["release_id", "entry"]);
        assert_eq!(artifacts.keys.names(), ["image_digest", "entry"]);
        assert_eq!(releases.index.name, "by_facet");
        assert_eq!(releases.index.keys.names(), ["facet", "position"]);
        assert_eq!(artifacts.index.name, "by_image");
        assert_eq!(artifacts.index.keys.names(), ["image", "position"]);
    }
}
