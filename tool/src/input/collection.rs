//! Zadig's collections: what their fields are called in the database and in the API's JSON, in Zadig's order.

use std::fmt::Write as _;

use bson::DateTime;

use super::stored::Stored;
use crate::record::without_credentials;

/// A collection that holds part of a release or of an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Collection {
    /// Releases.
    Version,
    /// The builds of releases.
    Build,
    /// The deploys of releases.
    Deploy,
    /// The tests of releases.
    Test,
    /// Where releases were distributed to.
    Distribute,
    /// Artifacts.
    Artifact,
    /// What happened to artifacts.
    Activity,
}

impl Collection {
    /// All of them, in the order of the answers' sections.
    pub const ALL: [Self; 7] = [
        Self::Version,
        Self::Build,
        Self::Deploy,
        Self::Test,
        Self::Distribute,
        Self::Artifact,
        Self::Activity,
    ];

    /// Its name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Version => "delivery_version",
            Self::Build => "delivery_build",
            Self::Deploy => "delivery_deploy",
            Self::Test => "delivery_test",
            Self::Distribute => "delivery_distribute",
            Self::Artifact => "artifact",
            Self::Activity => "activity",
        }
    }

    /// The collection of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|collection| collection.name() == name)
    }

    /// The section of a record that its documents go into; `None` where a document is the record itself.
    pub fn section(self) -> Option<&'static str> {
        match self {
            Self::Version | Self::Artifact => None,
            Self::Build => Some("buildInfo"),
            Self::Deploy => Some("deployInfo"),
            Self::Test => Some("testInfo"),
            Self::Distribute => Some("distributeInfo"),
            Self::Activity => Some("activities"),
        }
    }

    /// The collection that its documents belong to: that of the releases, or that of the artifacts.
    pub fn owner(self) -> Self {
        match self {
            Self::Version | Self::Build | Self::Deploy | Self::Test | Self::Distribute => Self::Version,
            Self::Artifact | Self::Activity => Self::Artifact,
        }
    }

    /// The field that names the owner.
    fn owner_field(self) -> &'static str {
        match self {
            Self::Version | Self::Artifact => "_id",
            Self::Build | Self::Deploy | Self::Test | Self::Distribute => "release_id",
            Self::Activity => "artifact_id",
        }
    }

    fn table(self) -> &'static [Field] {
        match self {
            Self::Version => VERSION,
            Self::Build => BUILD,
            Self::Deploy => DEPLOY,
            Self::Test => TEST,
            Self::Distribute => DISTRIBUTE,
            Self::Artifact => ARTIFACT,
            Self::Activity => ACTIVITY,
        }
    }

    /// Why a document cannot be taken as one of this collection; `None` where it can.
    fn reason_to_refuse(self, document: &Stored) -> Option<String> {
        if !matches!(document, Stored::Object(_)) {
            return Some("expected a document".to_owned());
        }
        if document.field("_id").and_then(Stored::text).is_none() {
            return Some("its _id is neither an ObjectId nor a text".to_owned());
        }
        if let Some((path, number)) = document.find_not_finite() {
            return Some(format!("{path} is {number}, which JSON cannot hold"));
        }
        let foreign =
            |(name, known): &&(&str, &[Self])| !known.contains(&self) && document.field(name).is_some();
        if let Some((name, _)) = DISTINGUISHING_FIELDS.iter().find(foreign) {
            return Some(format!("it has {name}, so it is no document of {}", self.name()));
        }
        None
    }

    /// Turns a document into the API's JSON.
    ///
    /// # Errors
    /// Why the document cannot be taken as one of this collection.
    pub fn record(self, document: &Stored) -> Result<CollectionRecord, RefusedDocument> {
        let owner =
            document.field(self.owner_field()).and_then(Stored::text).filter(|owner| !owner.is_empty());
        let owner = owner.map(str::to_owned);
        let id = document.field("_id").and_then(Stored::text).unwrap_or_default().to_owned();
        if let Some(reason) = self.reason_to_refuse(document) {
            return Err(RefusedDocument { id, owner, reason });
        }
        let is_deleted = match document.field("deleted_at") {
            Some(Stored::Date(milliseconds)) => milliseconds.div_euclid(1000) != 0,
            Some(number) => number.integer().is_some_and(|time| time != 0),
            None => false,
        };
        // Without an owner it cannot be stored. That does not matter for a soft-deleted one, which is not stored anyway.
        if owner.is_none() && !is_deleted {
            let reason = format!("its {} is neither an ObjectId nor a text", self.owner_field());
            return Err(RefusedDocument { id, owner, reason });
        }
        let mut writer = Writer::default();
        writer.value(&FieldKind::Object(self.table()), document);
        let (json, credentials_dropped) = self.without_credentials(writer.out);
        Ok(CollectionRecord { id, owner, is_deleted, json, credentials_dropped })
    }

    /// Takes the credentials of code hosts out of a record, before any of it is written to a disk, and counts them.
    fn without_credentials(self, json: String) -> (String, u64) {
        match self {
            Self::Build | Self::Activity => {
                let (kept, dropped) = without_credentials(&json).expect("a writer writes JSON");
                (kept.into_owned(), dropped as u64)
            }
            Self::Version | Self::Deploy | Self::Test | Self::Distribute | Self::Artifact => (json, 0),
        }
    }
}

/// Fields that only some collections have, with these collections. A document of any other collection that has such a field
/// stands in a file under the wrong name.
///
/// Only fields that no version of Zadig writes anywhere else are listed. None of them is required of a document, since Zadig
/// leaves many out where they are empty.
const DISTINGUISHING_FIELDS: &[(&str, &[Collection])] = {
    use Collection::{Activity, Artifact, Build, Deploy, Distribute, Test, Version};
    &[
        ("release_id", &[Build, Deploy, Test, Distribute]),
        ("artifact_id", &[Activity]),
        ("product_name", &[Version]),
        ("workflow_name", &[Version]),
        ("product_env_info", &[Version]),
        ("image_info", &[Build]),
        ("package_info", &[Build]),
        ("container_name", &[Deploy]),
        ("yaml_contents", &[Deploy]),
        ("ordered_services", &[Deploy]),
        ("test_reports", &[Test]),
        ("distribute_type", &[Distribute]),
        ("registry_name", &[Distribute]),
        ("dest_storage_url", &[Distribute]),
        ("image_tag", &[Artifact]),
        ("image_hash", &[Artifact]),
        ("image_digest", &[Artifact]),
        ("created_time", &[Artifact, Activity]),
    ]
};

/// A document that is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedDocument {
    /// Its own id; empty where it has none.
    pub id: String,
    /// The id of the release or artifact that it belongs to; its own id where it is one.
    pub owner: Option<String>,
    /// Why it is not taken.
    pub reason: String,
}

/// A document in the API's JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionRecord {
    /// Its own id.
    pub id: String,
    /// The id of the release or artifact that it belongs to; its own id where it is one.
    pub owner: Option<String>,
    /// Whether it is soft-deleted.
    pub is_deleted: bool,
    /// The JSON.
    pub json: String,
    /// How many credentials it held; they are not in the JSON.
    pub credentials_dropped: u64,
}

/// What a field holds.
enum FieldKind {
    /// Kept as it is.
    Anything,
    Text,
    Integer,
    /// Seconds since 1970; a date is turned into them.
    Time,
    Boolean,
    List(&'static Self),
    Object(&'static [Field]),
}

struct Field {
    stored: &'static str,
    shown: &'static str,
    kind: FieldKind,
    presence: Presence,
}

/// When the API shows a field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    /// Always, as Go writes a field that is missing from the document.
    Always,
    /// Unless it is empty, 0 or false.
    UnlessEmpty,
    /// Only where the document has it: older versions of Zadig do not know the field.
    IfStored,
    Never,
}

/// Always shown, under its stored name.
const fn same(name: &'static str, kind: FieldKind) -> Field {
    Field { stored: name, shown: name, kind, presence: Presence::Always }
}

/// Always shown, under another name.
const fn renamed(stored: &'static str, shown: &'static str, kind: FieldKind) -> Field {
    Field { stored, shown, kind, presence: Presence::Always }
}

const fn unless_empty(name: &'static str, kind: FieldKind) -> Field {
    Field { stored: name, shown: name, kind, presence: Presence::UnlessEmpty }
}

const fn renamed_unless_empty(stored: &'static str, shown: &'static str, kind: FieldKind) -> Field {
    Field { stored, shown, kind, presence: Presence::UnlessEmpty }
}

const fn if_stored(stored: &'static str, shown: &'static str) -> Field {
    Field { stored, shown, kind: FieldKind::Anything, presence: Presence::IfStored }
}

const fn never(stored: &'static str) -> Field {
    Field { stored, shown: stored, kind: FieldKind::Anything, presence: Presence::Never }
}

const TEXTS: FieldKind = FieldKind::List(&FieldKind::Text);
const THINGS: FieldKind = FieldKind::List(&FieldKind::Anything);

const VERSION: &[Field] = &[
    renamed("_id", "id", FieldKind::Text),
    same("version", FieldKind::Text),
    renamed("product_name", "productName", FieldKind::Text),
    renamed("workflow_name", "workflowName", FieldKind::Text),
    renamed("task_id", "taskId", FieldKind::Integer),
    same("desc", FieldKind::Text),
    same("labels", TEXTS),
    renamed("product_env_info", "productEnvInfo", FieldKind::Object(PRODUCT_ENV_INFO)),
    renamed("created_by", "createdBy", FieldKind::Text),
    same("created_at", FieldKind::Time),
    same("deleted_at", FieldKind::Time),
    if_stored("workflow_display_name", "workflowDisplayName"),
    if_stored("type", "type"),
    if_stored("status", "status"),
    never("error"),
    never("createArgument"),
    never("create_argument"),
];

const PRODUCT_ENV_INFO: &[Field] = &[
    renamed_unless_empty("_id", "id", FieldKind::Text),
    same("product_name", FieldKind::Text),
    same("create_time", FieldKind::Time),
    same("update_time", FieldKind::Time),
    unless_empty("namespace", FieldKind::Text),
    same("status", FieldKind::Text),
    same("revision", FieldKind::Integer),
    same("enabled", FieldKind::Boolean),
    same("env_name", FieldKind::Text),
    same("update_by", FieldKind::Text),
    same("auth", THINGS),
    same("visibility", FieldKind::Text),
    same("services", FieldKind::List(&FieldKind::List(&FieldKind::Object(SERVICE)))),
    same("render", FieldKind::Object(RENDER)),
    same("error", FieldKind::Text),
    unless_empty("vars", FieldKind::List(&FieldKind::Object(VARIABLE))),
    renamed("is_public", "isPublic", FieldKind::Boolean),
    renamed("role_ids", "roleIds", THINGS),
    unless_empty("cluster_id", FieldKind::Text),
    same("recycle_day", FieldKind::Integer),
    same("source", FieldKind::Text),
    same("is_opensource", FieldKind::Boolean),
];

const SERVICE: &[Field] = &[
    same("service_name", FieldKind::Text),
    same("product_name", FieldKind::Text),
    same("type", FieldKind::Text),
    same("revision", FieldKind::Integer),
    same("containers", FieldKind::List(&FieldKind::Object(CONTAINER))),
    unless_empty("render", FieldKind::Object(RENDER)),
];

const CONTAINER: &[Field] = &[
    same("name", FieldKind::Text),
    same("image", FieldKind::Text),
    unless_empty("image_name", FieldKind::Text),
    renamed_unless_empty("image_path", "imagePath", FieldKind::Anything),
];

const RENDER: &[Field] = &[
    same("name", FieldKind::Text),
    same("revision", FieldKind::Integer),
    same("product_tmpl", FieldKind::Text),
    same("description", FieldKind::Text),
];

const VARIABLE: &[Field] = &[
    same("key", FieldKind::Text),
    same("value", FieldKind::Text),
    same("alias", FieldKind::Text),
    same("state", FieldKind::Text),
    same("services", TEXTS),
];

const BUILD: &[Field] = &[
    renamed("_id", "id", FieldKind::Text),
    renamed("release_id", "releaseId", FieldKind::Text),
    renamed("service_name", "serviceName", FieldKind::Text),
    renamed("image_info", "imageInfo", FieldKind::Object(IMAGE_INFO)),
    renamed("image_name", "imageName", FieldKind::Text),
    renamed("package_info", "packageInfo", FieldKind::Object(PACKAGE_INFO)),
    same("issues", FieldKind::List(&FieldKind::Object(BUILD_ISSUE))),
    same("commits", FieldKind::List(&FieldKind::Object(BUILD_COMMIT))),
    unless_empty("start_time", FieldKind::Time),
    unless_empty("end_time", FieldKind::Time),
    same("created_at", FieldKind::Time),
    same("deleted_at", FieldKind::Time),
];

const IMAGE_INFO: &[Field] = &[
    renamed("repo_name", "repoName", FieldKind::Text),
    renamed("tag_name", "tagName", FieldKind::Text),
    renamed("image_size", "imageSize", FieldKind::Integer),
    renamed("image_digest", "imageDigest", FieldKind::Text),
    same("author", FieldKind::Text),
    same("architecture", FieldKind::Text),
    renamed("docker_version", "dockerVersion", FieldKind::Text),
    same("os", FieldKind::Text),
    renamed("creation_time", "creationTime", FieldKind::Time),
    renamed("update_time", "updateTime", FieldKind::Time),
];

const PACKAGE_INFO: &[Field] = &[
    renamed("package_file_location", "packageFileLocation", FieldKind::Text),
    renamed("package_file_name", "packageFileName", FieldKind::Text),
    renamed("package_storage_uri", "packageStorageUri", FieldKind::Text),
];

const BUILD_ISSUE: &[Field] = &[
    unless_empty("id", FieldKind::Text),
    unless_empty("key", FieldKind::Text),
    unless_empty("url", FieldKind::Text),
    same("summary", FieldKind::Text),
    unless_empty("description", FieldKind::Text),
    unless_empty("priority", FieldKind::Anything),
    unless_empty("creator", FieldKind::Anything),
    unless_empty("assignee", FieldKind::Anything),
    unless_empty("reporter", FieldKind::Anything),
];

const BUILD_COMMIT: &[Field] = &[
    unless_empty("source", FieldKind::Text),
    same("repo_owner", FieldKind::Text),
    same("repo_namespace", FieldKind::Text),
    same("repo_name", FieldKind::Text),
    unless_empty("remote_name", FieldKind::Text),
    same("branch", FieldKind::Text),
    unless_empty("pr", FieldKind::Integer),
    unless_empty("prs", FieldKind::Anything),
    unless_empty("tag", FieldKind::Text),
    unless_empty("commit_id", FieldKind::Text),
    unless_empty("commit_message", FieldKind::Text),
    unless_empty("checkout_path", FieldKind::Text),
    unless_empty("submodules", FieldKind::Anything),
    unless_empty("use_default", FieldKind::Anything),
    same("is_primary", FieldKind::Boolean),
    same("codehost_id", FieldKind::Integer),
    same("address", FieldKind::Text),
    unless_empty("author_name", FieldKind::Text),
    unless_empty("checkout_ref", FieldKind::Text),
];

const DEPLOY: &[Field] = &[
    renamed("_id", "id", FieldKind::Text),
    renamed("release_id", "releaseId", FieldKind::Text),
    renamed("service_name", "serviceName", FieldKind::Text),
    renamed("container_name", "containerName", FieldKind::Text),
    unless_empty("image", FieldKind::Text),
    unless_empty("registry_id", FieldKind::Text),
    renamed("yaml_contents", "yamlContents", TEXTS),
    same("envs", FieldKind::List(&FieldKind::Object(ENV))),
    renamed("ordered_services", "orderedServices", FieldKind::List(&TEXTS)),
    unless_empty("start_time", FieldKind::Time),
    unless_empty("end_time", FieldKind::Time),
    same("created_at", FieldKind::Time),
    same("deleted_at", FieldKind::Time),
];

const ENV: &[Field] = &[same("key", FieldKind::Text), same("value", FieldKind::Text)];

const TEST: &[Field] = &[
    renamed("_id", "id", FieldKind::Text),
    renamed("release_id", "releaseId", FieldKind::Text),
    renamed("test_reports", "testReports", FieldKind::List(&FieldKind::Object(TEST_REPORT))),
    unless_empty("start_time", FieldKind::Time),
    unless_empty("end_time", FieldKind::Time),
    same("created_at", FieldKind::Time),
    same("deleted_at", FieldKind::Time),
];

const TEST_REPORT: &[Field] = &[
    renamed("test_result_path", "testResultPath", FieldKind::Text),
    renamed("workflow_name", "workflowName", FieldKind::Text),
    renamed("task_id", "taskId", FieldKind::Integer),
    renamed("test_name", "testName", FieldKind::Text),
    renamed("test_suite", "testSuite", FieldKind::Object(TEST_SUITE)),
    renamed(
        "performance_test_suite",
        "performanceTestSuite",
        FieldKind::List(&FieldKind::Object(PERFORMANCE_TEST_SUITE)),
    ),
    unless_empty("start_time", FieldKind::Time),
    unless_empty("end_time", FieldKind::Time),
];

const TEST_SUITE: &[Field] = &[
    same("tests", FieldKind::Integer),
    same("failures", FieldKind::Integer),
    unless_empty("successes", FieldKind::Integer),
    same("skips", FieldKind::Integer),
    same("errors", FieldKind::Integer),
    same("time", FieldKind::Integer),
    same("system_out", FieldKind::Text),
    same("testcase", FieldKind::List(&FieldKind::Anything)),
    renamed_unless_empty("system-err", "system_err", FieldKind::Text),
];

const PERFORMANCE_TEST_SUITE: &[Field] = &[
    same("label", FieldKind::Text),
    same("samples", FieldKind::Text),
    same("average", FieldKind::Text),
    same("min", FieldKind::Text),
    same("max", FieldKind::Text),
    same("line", FieldKind::Text),
    renamed("std_dev", "stdDev", FieldKind::Text),
    same("error", FieldKind::Text),
    same("throughput", FieldKind::Text),
    renamed("received_kb", "receivedKb", FieldKind::Text),
    renamed("avg_byte", "avgByte", FieldKind::Text),
];

const DISTRIBUTE: &[Field] = &[
    renamed("_id", "id", FieldKind::Text),
    renamed("release_id", "releaseId", FieldKind::Text),
    renamed("service_name", "serviceName", FieldKind::Text),
    renamed("distribute_type", "distributeType", FieldKind::Text),
    renamed("registry_name", "registryName", FieldKind::Text),
    same("namespace", FieldKind::Text),
    renamed("package_file", "packageFile", FieldKind::Text),
    renamed("remote_file_key", "remoteFileKey", FieldKind::Text),
    renamed("dest_storage_url", "destStorageUrl", FieldKind::Text),
    renamed("src_storage_url", "srcStorageUrl", FieldKind::Text),
    renamed_unless_empty("chart_version", "chartVersion", FieldKind::Text),
    renamed_unless_empty("chart_name", "chartName", FieldKind::Text),
    renamed_unless_empty("chart_repo_name", "chartRepoName", FieldKind::Text),
    renamed("s3_storage_id", "s3StorageID", FieldKind::Text),
    unless_empty("start_time", FieldKind::Time),
    unless_empty("end_time", FieldKind::Time),
    same("created_at", FieldKind::Time),
    same("deleted_at", FieldKind::Time),
];

/// The tables of artifacts and activities have only the fields that are not stored as they are shown. `Record::check` puts
/// all fields in order, adds those that are always there, and leaves out the empty ones.
const ARTIFACT: &[Field] = &[
    renamed("_id", "id", FieldKind::Text),
    unless_empty("layers", FieldKind::List(&FieldKind::Object(LAYER))),
    same("created_time", FieldKind::Time),
];

const LAYER: &[Field] = &[
    renamed_unless_empty("mediatype", "media_type", FieldKind::Text),
    same("size", FieldKind::Integer),
    unless_empty("digest", FieldKind::Text),
    unless_empty("urls", TEXTS),
];

const ACTIVITY: &[Field] = &[
    never("_id"),
    unless_empty("commits", THINGS),
    unless_empty("start_time", FieldKind::Time),
    unless_empty("end_time", FieldKind::Time),
    same("created_time", FieldKind::Time),
];

/// Writes documents in the API's JSON.
#[derive(Default)]
struct Writer {
    out: String,
}

impl Writer {
    fn value(&mut self, kind: &FieldKind, value: &Stored) {
        match (kind, value) {
            (FieldKind::Object(table), Stored::Object(members)) => self.object(table, members),
            (FieldKind::List(element), Stored::List(elements)) => self.list(element, elements),
            (FieldKind::Time, Stored::Date(milliseconds)) => {
                self.integer(milliseconds.div_euclid(1000).into());
            }
            (_, Stored::Null) => self.out.push_str(kind.empty()),
            (_, Stored::Boolean(boolean)) => self.out.push_str(if *boolean { "true" } else { "false" }),
            (_, Stored::Integer(number)) => self.integer(*number),
            (FieldKind::Integer | FieldKind::Time, Stored::Number(number)) => match value.integer() {
                Some(integer) => self.integer(integer),
                None => self.out.push_str(number),
            },
            (_, Stored::Number(number)) => self.out.push_str(number),
            // A document that holds such a number was refused before.
            (_, Stored::NotFinite(_)) => self.out.push_str("null"),
            (_, Stored::Text(text)) => self.text(text),
            (_, Stored::Date(milliseconds)) => {
                let time = DateTime::from_millis(*milliseconds).try_to_rfc3339_string();
                self.text(&time.unwrap_or_default());
            }
            (_, Stored::List(elements)) => self.list(&FieldKind::Anything, elements),
            (_, Stored::Object(members)) => self.object(&[], members),
        }
    }

    fn integer(&mut self, number: i128) {
        write!(self.out, "{number}").expect("writing to a text cannot fail");
    }

    fn text(&mut self, text: &str) {
        self.out.push_str(&serde_json::to_string(text).expect("texts always serialize"));
    }

    fn list(&mut self, element: &FieldKind, elements: &[Stored]) {
        self.out.push('[');
        for (index, value) in elements.iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            self.value(element, value);
        }
        self.out.push(']');
    }

    /// Writes the table's fields in its order, then the others as they are stored.
    fn object(&mut self, table: &[Field], members: &[(String, Stored)]) {
        self.out.push('{');
        for field in table {
            let value = members.iter().find(|(name, _)| name == field.stored).map(|(_, value)| value);
            self.field(field, value);
        }
        for (name, value) in members {
            if !table.iter().any(|field| field.stored == name) {
                self.key(name);
                self.value(&FieldKind::Anything, value);
            }
        }
        self.out.push('}');
    }

    fn field(&mut self, field: &Field, value: Option<&Stored>) {
        let value = match (field.presence, value) {
            (Presence::Never, _) | (Presence::IfStored | Presence::UnlessEmpty, None) => return,
            (_, value) => value.unwrap_or(&Stored::Null),
        };
        let before = self.out.len();
        self.key(field.shown);
        let starts = self.out.len();
        self.value(&field.kind, value);
        let is_empty = matches!(&self.out[starts..], "\"\"" | "0" | "false" | "[]" | "{}" | "null");
        if field.presence == Presence::UnlessEmpty && is_empty {
            self.out.truncate(before);
        }
    }

    fn key(&mut self, name: &str) {
        if !self.out.ends_with('{') {
            self.out.push(',');
        }
        self.text(name);
        self.out.push(':');
    }
}

impl FieldKind {
    /// What Go writes for a field that the document does not have; lists are never `null` here.
    fn empty(&self) -> &'static str {
        match self {
            Self::Text => "\"\"",
            Self::Integer | Self::Time => "0",
            Self::Boolean => "false",
            Self::List(_) => "[]",
            Self::Anything | Self::Object(_) => "null",
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::record::Record;

    use super::*;

    fn record(collection: Collection, document: &str) -> CollectionRecord {
        collection.record(&Stored::from_json(document.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn a_document_takes_the_apis_names_and_zadigs_order() {
        let build = record(
            Collection::Build,
            r#"{"extra":{"kept_as":"it is"},"created_at":{"$date":{"$numberLong":"5999"}},"_id":{"$oid":"619dbaa8c528c2182225e8da"},"release_id":{"$oid":"619dbaa8c528c2182225e8d9"},"service_name":"s","image_info":{"tag_name":"t","image_size":{"$numberLong":"3"}},"start_time":0}"#,
        );
        assert_eq!(build.owner.as_deref(), Some("619dbaa8c528c2182225e8d9"));
        assert_eq!(
            build.json,
            r#"{"id":"619dbaa8c528c2182225e8da","releaseId":"619dbaa8c528c2182225e8d9","serviceName":"s","imageInfo":{"repoName":"","tagName":"t","imageSize":3,"imageDigest":"","author":"","architecture":"","dockerVersion":"","os":"","creationTime":0,"updateTime":0},"imageName":"","packageInfo":null,"issues":[],"commits":[],"created_at":5,"deleted_at":0,"extra":{"kept_as":"it is"}}"#
        );
    }

    #[test]
    fn fields_of_later_versions_are_shown_where_stored_and_secret_ones_never() {
        let with = |rest: &str| record(Collection::Version, &format!(r#"{{"_id":"r"{rest}}}"#)).json;
        let old = with("");
        assert!(
            old.ends_with(r#""productEnvInfo":null,"createdBy":"","created_at":0,"deleted_at":0}"#),
            "{old}"
        );
        let new =
            with(r#","workflow_display_name":"w","type":"k8s","error":"e","createArgument":{"a":1},"x":1"#);
        assert!(new.ends_with(r#""deleted_at":0,"workflowDisplayName":"w","type":"k8s","x":1}"#), "{new}");
    }

    #[test]
    fn credentials_leave_builds_and_activities_wherever_they_are() {
        let build = record(
            Collection::Build,
            r#"{"_id":"b","release_id":"r","commits":[{"repo_name":"n","oauth_token":"t1","password":"p","username":"","submodules":{"ssh_key":"k"}}],"username":"t2","issues":[{"password":"t3"}],"image_info":{"private_access_token":{"a":"t4"}},"history":{"commits":[{"oauth_token":"t5"}]}}"#,
        );
        assert_eq!(build.credentials_dropped, 7);
        assert_eq!(build.json.matches(r#""oauth_token":"""#).count(), 2);
        for dropped in ["t1", "t2", "t3", "t4", "t5", "ssh_key", "password", "username", "private"] {
            assert!(!build.json.contains(dropped), "{dropped} is in {}", build.json);
        }
        let odd = record(
            Collection::Activity,
            r#"{"_id":"a","artifact_id":"x","commits":{"password":"p"},"issues":[{"ssh_key":"k"}]}"#,
        );
        assert_eq!((odd.credentials_dropped, odd.json.contains("password")), (2, false));
        assert!(!odd.json.contains("ssh_key"), "{}", odd.json);
        // No other collection holds a code host's credentials: the username of a deploy is its own.
        let deploy = record(Collection::Deploy, r#"{"_id":"d","release_id":"r","username":"stays"}"#);
        assert!(deploy.json.contains(r#""username":"stays""#), "{}", deploy.json);
    }

    #[test]
    fn a_document_without_an_id_or_an_owner_is_refused() {
        let document = Stored::from_json(b"{\"_id\":5}").unwrap();
        assert!(Collection::Version.record(&document).is_err());
        for deploy in [r#"{"_id":"d"}"#, r#"{"_id":"d","release_id":7}"#, r#"{"_id":"d","release_id":""}"#] {
            let refused =
                Collection::Deploy.record(&Stored::from_json(deploy.as_bytes()).unwrap()).unwrap_err();
            assert!(refused.reason.contains("release_id"), "{}", refused.reason);
        }
        assert_eq!(record(Collection::Deploy, r#"{"_id":"d","deleted_at":1}"#).owner, None);
    }

    #[test]
    fn an_artifact_is_completed_and_put_in_order_by_the_check() {
        let artifact = record(
            Collection::Artifact,
            r#"{"_id":"a","created_time":{"$date":5999},"image":"i","image_hash":"","layers":[{"mediatype":"m"}],"x":1,"name":null}"#,
        );
        let activity = record(
            Collection::Activity,
            r#"{"_id":"b","artifact_id":"a","created_time":7,"commits":[{"tag":"","branch":"main"}],"end_time":0,"type":"t","url":""}"#,
        );
        let joined =
            format!("{},\"activities\":[{}]}}", artifact.json.strip_suffix('}').unwrap(), activity.json);
        let Ok(Record::Artifact(checked)) = Record::check(joined.as_bytes()) else { panic!("{joined}") };
        let activity = r#"{"artifact_id":"a","type":"t","commits":[{"address":"","repo_owner":"","repo_name":"","branch":"main"}],"created_by":"","created_time":7}"#;
        assert_eq!(
            checked.json,
            format!(
                r#"{{"id":"a","name":"","type":"","source":"","image":"i","image_tag":"","layers":[{{"media_type":"m","size":0}}],"created_by":"","created_time":5,"x":1,"activities":[{activity}],"sortedActivities":{{"t":[{activity}]}}}}"#
            )
        );
    }

    /// `Record::check` has its own table of the fields of each object. It leaves a record alone that is in its order.
    #[test]
    fn the_fields_of_a_release_are_in_the_order_of_record_check() {
        let version = record(
            Collection::Version,
            r#"{"_id":"r","product_env_info":{"vars":[{}],"services":[[{"containers":[{}],"render":{"revision":1}}]],"render":{}}}"#,
        );
        let deploy = record(
            Collection::Deploy,
            r#"{"_id":"d","release_id":"r","image":"i","registry_id":"g","envs":[{}],"start_time":1,"end_time":2}"#,
        );
        let joined = format!(r#"{{"versionInfo":{},"deployInfo":[{}]}}"#, version.json, deploy.json);
        let Ok(Record::Release(checked)) = Record::check(joined.as_bytes()) else { panic!("{joined}") };
        assert_eq!(checked.version_info, version.json);
        assert!(checked.sections.contains(&deploy.json), "{} {}", checked.sections, deploy.json);
    }
}
