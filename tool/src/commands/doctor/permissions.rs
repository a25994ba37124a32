//! Checks which commands the caller may run: it tries every action that one of them needs, without writing anything.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, DeleteRequest, KeysAndAttributes, TransactWriteItem, WriteRequest,
};
use delivery_center::store::{CallError, StoreError};

use super::finding::{Finding, Findings};
use crate::table_definitions::TableDefinition;

/// Something that a caller may be allowed to do with a table or an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Action {
    Query,
    BatchGetItem,
    Scan,
    BatchWriteItem,
    ConditionCheckItem,
    PutItem,
    UpdateItem,
    DeleteItem,
}

use Action::{
    BatchGetItem, BatchWriteItem, ConditionCheckItem, DeleteItem, PutItem, Query, Scan, UpdateItem,
};

/// A table or its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Resource {
    Releases,
    Artifacts,
    ByFacet,
    ByImage,
}

/// The actions that a command needs, or several that need the same.
struct Needs {
    commands: &'static str,
    releases: &'static [Action],
    artifacts: &'static [Action],
    by_facet: &'static [Action],
    by_image: &'static [Action],
}

/// The same as in docs/operating.md and docs/recording.md; a test compares them.
const NEEDS: [Needs; 7] = [
    Needs {
        commands: "releases, diff",
        releases: &[BatchGetItem],
        artifacts: &[],
        by_facet: &[Query],
        by_image: &[],
    },
    Needs {
        commands: "artifact",
        releases: &[],
        artifacts: &[Query, BatchGetItem],
        by_facet: &[],
        by_image: &[Query],
    },
    Needs {
        commands: "verify",
        releases: &[Query],
        artifacts: &[BatchGetItem],
        by_facet: &[],
        by_image: &[],
    },
    Needs {
        commands: "export",
        releases: &[Query, BatchGetItem],
        artifacts: &[Query, BatchGetItem, Scan],
        by_facet: &[Query],
        by_image: &[Query],
    },
    Needs {
        commands: "record",
        releases: &[Query, BatchGetItem, BatchWriteItem, ConditionCheckItem, PutItem, UpdateItem, DeleteItem],
        artifacts: &[Query, BatchGetItem, BatchWriteItem, ConditionCheckItem, PutItem, DeleteItem],
        by_facet: &[],
        by_image: &[Query],
    },
    Needs {
        commands: "import",
        releases: &[Query, BatchGetItem, BatchWriteItem, ConditionCheckItem, PutItem, UpdateItem, DeleteItem],
        artifacts: &[Query, BatchGetItem, BatchWriteItem, ConditionCheckItem, PutItem, DeleteItem],
        by_facet: &[],
        by_image: &[Query],
    },
    Needs {
        commands: "reindex",
        releases: &[Query, BatchGetItem, Scan, ConditionCheckItem, PutItem, UpdateItem, DeleteItem],
        artifacts: &[BatchGetItem, BatchWriteItem, Scan, ConditionCheckItem, PutItem, DeleteItem],
        by_facet: &[],
        by_image: &[],
    },
];

impl Needs {
    fn all(&self) -> impl Iterator<Item = (Resource, Action)> {
        let places = [
            (Resource::Releases, self.releases),
            (Resource::Artifacts, self.artifacts),
            (Resource::ByFacet, self.by_facet),
            (Resource::ByImage, self.by_image),
        ];
        places
            .into_iter()
            .flat_map(|(resource, actions)| actions.iter().map(move |action| (resource, *action)))
    }
}

/// What the caller may do that later checks depend on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowed {
    /// Ask both endpoints.
    pub(super) to_ask: bool,
    /// Scan both tables, and read the records found there.
    pub(super) to_sample: bool,
}

const TO_ASK: [(Resource, Action); 5] = [
    (Resource::ByFacet, Query),
    (Resource::Releases, BatchGetItem),
    (Resource::ByImage, Query),
    (Resource::Artifacts, Query),
    (Resource::Artifacts, BatchGetItem),
];
const TO_SAMPLE: [(Resource, Action); 6] = [
    (Resource::ByFacet, Query),
    (Resource::Releases, Query),
    (Resource::Releases, BatchGetItem),
    (Resource::Releases, Scan),
    (Resource::Artifacts, BatchGetItem),
    (Resource::Artifacts, Scan),
];

/// Tries every action that a command needs, and tells which commands the caller may run.
pub(super) async fn examine(
    client: &Client,
    [releases, artifacts]: [&TableDefinition; 2],
    findings: &mut Findings,
) -> anyhow::Result<Allowed> {
    let wanted: BTreeSet<_> = NEEDS.iter().flat_map(Needs::all).chain(TO_SAMPLE).collect();
    let mut denied = BTreeSet::new();
    let mut words = None;
    for (resource, action) in wanted {
        let (table, is_index) = match resource {
            Resource::Releases => (releases, false),
            Resource::Artifacts => (artifacts, false),
            Resource::ByFacet => (releases, true),
            Resource::ByImage => (artifacts, true),
        };
        if let Err(denial) = (Probe { client, table, is_index }).attempt(action).await? {
            denied.insert((resource, action));
            words = Some(denial);
        }
    }
    let names = |resource| match resource {
        Resource::Releases => releases.name.clone(),
        Resource::Artifacts => artifacts.name.clone(),
        Resource::ByFacet => format!("the index of {}", releases.name),
        Resource::ByImage => format!("the index of {}", artifacts.name),
    };
    let (may, may_not): (Vec<_>, Vec<_>) =
        NEEDS.iter().partition(|needs| needs.all().all(|needed| !denied.contains(&needed)));
    let is_allowed = |needed: &[(Resource, Action)]| needed.iter().all(|needed| !denied.contains(needed));
    let allowed = Allowed { to_ask: is_allowed(&TO_ASK), to_sample: is_allowed(&TO_SAMPLE) };
    let mut missing = BTreeMap::<Resource, Vec<String>>::new();
    for (resource, action) in &denied {
        missing.entry(*resource).or_default().push(format!("{action:?}"));
    }
    let missing = missing
        .into_iter()
        .map(|(resource, actions)| format!("{} on {}", actions.join(", "), names(resource)));
    let missing = missing.collect::<Vec<_>>().join("; ");
    let finding = if may_not.is_empty() {
        Finding::ok("permissions", format!("this caller may run {}", commands(&may)))
    } else if may.is_empty() {
        let words = words.map(|words| words.to_string()).unwrap_or_default();
        Finding::bad(
            "permissions",
            format!(
                "this caller may run no command ({words}): look at its credentials (AWS_PROFILE), and at its policy; \
                 it may not {missing}"
            ),
        )
    } else {
        let (may, may_not) = (commands(&may), commands(&may_not));
        Finding::note(
            "permissions",
            format!("this caller may run {may}; not {may_not}, since it may not {missing}"),
        )
    };
    findings.tell(finding)?;
    Ok(allowed)
}

fn commands(needs: &[&Needs]) -> String {
    needs.iter().map(|needs| needs.commands).collect::<Vec<_>>().join(", ")
}

/// Tries actions on a table or on its index, without changing anything.
struct Probe<'a> {
    client: &'a Client,
    table: &'a TableDefinition,
    is_index: bool,
}

impl Probe<'_> {
    /// The hash and range key of an item that does not exist.
    const UNUSED_KEY: &'static str = "-";

    /// Tries an action. `Ok(Err(…))` is DynamoDB's denial.
    async fn attempt(&self, action: Action) -> Result<Result<(), CallError>, StoreError> {
        let (client, name) = (self.client, self.table.name.as_str());
        let keys = &self.table.keys;
        let key: HashMap<_, _> = [&keys.hash, &keys.range]
            .map(|name| (name.clone(), AttributeValue::S(Self::UNUSED_KEY.to_owned())))
            .into();
        // This never holds, so nothing is written. DynamoDB checks the permissions before it.
        let condition = "attribute_exists(#entry) AND attribute_not_exists(#entry)";
        let (entry, range) = ("#entry", keys.range.as_str());
        match action {
            Action::Query => {
                let keys = if self.is_index { &self.table.index.keys } else { keys };
                let query = client
                    .query()
                    .table_name(name)
                    .set_index_name(self.is_index.then(|| self.table.index.name.clone()))
                    .key_condition_expression("#hash = :nobody")
                    .expression_attribute_names("#hash", &keys.hash)
                    .expression_attribute_values(":nobody", AttributeValue::S(Self::UNUSED_KEY.to_owned()));
                judged(name, query.send().await)
            }
            Action::BatchGetItem => {
                let keys = KeysAndAttributes::builder().keys(key).build().expect("keys are given");
                let get = client.batch_get_item().request_items(name, keys);
                judged(name, get.send().await)
            }
            Action::Scan => {
                let scan = client.scan().table_name(name).limit(1);
                judged(name, scan.send().await)
            }
            // This action takes no condition. It removes an item that does not exist.
            Action::BatchWriteItem => {
                let delete = DeleteRequest::builder().set_key(Some(key)).build().expect("a key is given");
                let write = WriteRequest::builder().delete_request(delete).build();
                let batch = client.batch_write_item().request_items(name, vec![write]);
                judged(name, batch.send().await)
            }
            Action::ConditionCheckItem => {
                let check = ConditionCheck::builder()
                    .table_name(name)
                    .set_key(Some(key))
                    .condition_expression(condition)
                    .expression_attribute_names(entry, range)
                    .build()
                    .expect("table, key and condition are given");
                let check = TransactWriteItem::builder().condition_check(check).build();
                let transaction = client.transact_write_items().transact_items(check);
                judged(name, transaction.send().await)
            }
            Action::PutItem => {
                let put = client.put_item().table_name(name).set_item(Some(key));
                let put = put.condition_expression(condition).expression_attribute_names(entry, range);
                judged(name, put.send().await)
            }
            Action::UpdateItem => {
                let update = client.update_item().table_name(name).set_key(Some(key));
                let update = update.condition_expression(condition).expression_attribute_names(entry, range);
                judged(name, update.send().await)
            }
            Action::DeleteItem => {
                let delete = client.delete_item().table_name(name).set_key(Some(key));
                let delete = delete.condition_expression(condition).expression_attribute_names(entry, range);
                judged(name, delete.send().await)
            }
        }
    }
}

/// Tells whether DynamoDB allowed a call. `Ok(Err(…))` is its denial.
fn judged<T, E>(table: &str, sent: Result<T, SdkError<E>>) -> Result<Result<(), CallError>, StoreError>
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let Err(error) = sent else { return Ok(Ok(())) };
    // The write is allowed, since DynamoDB went on to check its condition.
    if matches!(error.code(), Some("ConditionalCheckFailedException" | "TransactionCanceledException")) {
        return Ok(Ok(()));
    }
    match StoreError::from_sdk(table, error) {
        StoreError::AccessDenied { source, .. } => Ok(Err(source)),
        error => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For each command, its actions on the table of releases, on that of artifacts, and on their indexes, as the pages name them.
    type Documented = BTreeMap<String, [BTreeSet<String>; 4]>;

    /// The table in docs/operating.md. Another test compares that table with what the commands do.
    fn documented() -> Documented {
        let page = include_str!("../../../../docs/operating.md");
        let table = page.split("## Permissions").nth(1).unwrap().split("\n## ").next().unwrap();
        let rows = table.lines().filter_map(|row| row.strip_prefix("| `")?.split_once("` |"));
        let actions = |cell: &str| {
            cell.split(',')
                .map(|action| action.trim().to_owned())
                .filter(|action| !action.is_empty())
                .collect()
        };
        let row = |(command, cells): (&str, &str)| {
            let mut cells = cells.split('|').map(actions);
            (command.to_owned(), std::array::from_fn(|_| cells.next().unwrap()))
        };
        rows.map(row).filter(|(command, _)| command != "tables create").collect()
    }

    /// The policy in docs/recording.md. Another test compares that policy with the template's.
    fn documented_policy() -> [BTreeSet<String>; 4] {
        let page = include_str!("../../../../docs/recording.md");
        let json = page.split("## Permissions").nth(1).unwrap().split("```json").nth(1).unwrap();
        let policy: serde_json::Value = serde_json::from_str(json.split("```").next().unwrap()).unwrap();
        let texts = |value: &serde_json::Value| -> Vec<String> {
            let all = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
            all.iter().map(|text| text.as_str().unwrap().to_owned()).collect()
        };
        let mut allowed: [BTreeSet<String>; 4] = Default::default();
        for statement in policy["Statement"].as_array().unwrap() {
            for resource in texts(&statement["Resource"]) {
                let resource = match resource.split("table/").nth(1).unwrap() {
                    "delivery-releases" => 0,
                    "delivery-artifacts" => 1,
                    "delivery-artifacts/index/by_image" => 3,
                    other => panic!("{other}"),
                };
                let actions = texts(&statement["Action"]);
                allowed[resource].extend(actions.iter().map(|action| action.replace("dynamodb:", "")));
            }
        }
        allowed
    }

    #[test]
    fn commands_need_what_the_documentation_says() {
        let mut needed = Documented::new();
        for Needs { commands, releases, artifacts, by_facet, by_image } in &NEEDS {
            let actions = [releases, artifacts, by_facet, by_image]
                .map(|actions| actions.iter().map(|action| format!("{action:?}")).collect());
            for command in commands.split(", ") {
                needed.insert(command.to_owned(), actions.clone());
            }
        }
        let mut documented = documented();
        documented.insert("record".to_owned(), documented_policy());
        assert_eq!(needed, documented);
    }
}
