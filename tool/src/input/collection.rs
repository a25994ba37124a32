//! Zadig's collections: their fields' stored names, and the reference page's names for them, in Zadig's order.

use std::fmt::Write as _;

use bson::DateTime;

use super::stored::Stored;

/// A collection that holds part of a release or of an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Collection {
    /// Releases.
    Version,
    /// Their builds.
    Build,
    /// Their deploys.
    Deploy,
    /// Their tests.
    Test,
    /// What of them was distributed where.
    Distribute,
    /// Artifacts.
    Artifact,
    /// What happened to them.
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
    #[must_use]
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
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|collection| collection.name() == name)
    }

    /// Where its records stand in the reference page's JSON; none where they are the record itself.
    #[must_use]
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

    /// The collection whose records its own belong to.
    #[must_use]
    pub fn owner(self) -> Self {
        match self {
            Self::Version | Self::Build | Self::Deploy | Self::Test | Self::Distribute => Self::Version,
            Self::Artifact | Self::Activity => Self::Artifact,
        }
    }

    /// The field that says whose a record is.
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

    /// Brings a document to the reference page's JSON.
    ///
    /// # Errors
    /// Why it cannot be told which record it is.
    pub fn record(self, document: &Stored) -> Result<CollectionRecord, String> {
        if !matches!(document, Stored::Object(_)) {
            return Err("expected a document".to_owned());
        }
        let id = document.field("_id").and_then(Stored::text);
        let id = id.ok_or("its _id is neither an ObjectId nor a text")?.to_owned();
        let owner = document.field(self.owner_field()).and_then(Stored::text).map(str::to_owned);
        let is_deleted = match document.field("deleted_at") {
            Some(Stored::Integer(time)) => *time != 0,
            Some(Stored::Date(milliseconds)) => milliseconds.div_euclid(1000) != 0,
            _ => false,
        };
        let mut writer = Writer::default();
        writer.value(&Kind::Object(self.table()), document);
        Ok(CollectionRecord {
            id,
            owner,
            is_deleted,
            json: writer.out,
            credentials_dropped: writer.credentials_dropped,
        })
    }
}

/// A document as part of a record in the reference page's JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionRecord {
    /// Its own id.
    pub id: String,
    /// The id of the release or artifact that it is, or belongs to.
    pub owner: Option<String>,
    /// Whether it is soft-deleted.
    pub is_deleted: bool,
    /// The JSON.
    pub json: String,
    /// How many credentials it held; they are not in the JSON.
    pub credentials_dropped: u64,
}

/// What a field holds.
enum Kind {
    /// Kept as it is.
    Anything,
    Text,
    Integer,
    /// Seconds; a date becomes them.
    Time,
    Boolean,
    List(&'static Self),
    Object(&'static [Field]),
    /// A list of commits, which lose their credentials.
    Commits(&'static [Field]),
}

struct Field {
    stored: &'static str,
    shown: &'static str,
    kind: Kind,
    presence: Presence,
}

/// When the API shows a field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    /// Always, as Go writes a field that is missing from the document.
    Always,
    /// Unless it is empty, 0 or false.
    UnlessEmpty,
    /// Where the document has it: later versions alone know it.
    AsItCame,
    Never,
}

/// Always shown, under its stored name.
const fn same(name: &'static str, kind: Kind) -> Field {
    Field { stored: name, shown: name, kind, presence: Presence::Always }
}

/// Always shown, under another name.
const fn renamed(stored: &'static str, shown: &'static str, kind: Kind) -> Field {
    Field { stored, shown, kind, presence: Presence::Always }
}

const fn unless_empty(name: &'static str, kind: Kind) -> Field {
    Field { stored: name, shown: name, kind, presence: Presence::UnlessEmpty }
}

const fn renamed_unless_empty(stored: &'static str, shown: &'static str, kind: Kind) -> Field {
    Field { stored, shown, kind, presence: Presence::UnlessEmpty }
}

const fn later(stored: &'static str, shown: &'static str) -> Field {
    Field { stored, shown, kind: Kind::Anything, presence: Presence::AsItCame }
}

const fn never(stored: &'static str) -> Field {
    Field { stored, shown: stored, kind: Kind::Anything, presence: Presence::Never }
}

const TEXTS: Kind = Kind::List(&Kind::Text);
const THINGS: Kind = Kind::List(&Kind::Anything);

const VERSION: &[Field] = &[
    renamed("_id", "id", Kind::Text),
    same("version", Kind::Text),
    renamed("product_name", "productName", Kind::Text),
    renamed("workflow_name", "workflowName", Kind::Text),
    renamed("task_id", "taskId", Kind::Integer),
    same("desc", Kind::Text),
    same("labels", TEXTS),
    renamed("product_env_info", "productEnvInfo", Kind::Object(PRODUCT_ENV_INFO)),
    renamed("created_by", "createdBy", Kind::Text),
    same("created_at", Kind::Time),
    same("deleted_at", Kind::Time),
    later("workflow_display_name", "workflowDisplayName"),
    later("type", "type"),
    later("status", "status"),
    never("error"),
    never("createArgument"),
    never("create_argument"),
];

const PRODUCT_ENV_INFO: &[Field] = &[
    renamed_unless_empty("_id", "id", Kind::Text),
    same("product_name", Kind::Text),
    same("create_time", Kind::Time),
    same("update_time", Kind::Time),
    unless_empty("namespace", Kind::Text),
    same("status", Kind::Text),
    same("revision", Kind::Integer),
    same("enabled", Kind::Boolean),
    same("env_name", Kind::Text),
    same("update_by", Kind::Text),
    same("auth", THINGS),
    same("visibility", Kind::Text),
    same("services", Kind::List(&Kind::List(&Kind::Object(SERVICE)))),
    same("render", Kind::Object(RENDER)),
    same("error", Kind::Text),
    unless_empty("vars", Kind::List(&Kind::Object(VARIABLE))),
    renamed("is_public", "isPublic", Kind::Boolean),
    renamed("role_ids", "roleIds", THINGS),
    unless_empty("cluster_id", Kind::Text),
    same("recycle_day", Kind::Integer),
    same("source", Kind::Text),
    same("is_opensource", Kind::Boolean),
];

const SERVICE: &[Field] = &[
    same("service_name", Kind::Text),
    same("product_name", Kind::Text),
    same("type", Kind::Text),
    same("revision", Kind::Integer),
    same("containers", Kind::List(&Kind::Object(CONTAINER))),
    unless_empty("render", Kind::Object(RENDER)),
];

const CONTAINER: &[Field] = &[
    same("name", Kind::Text),
    same("image", Kind::Text),
    unless_empty("image_name", Kind::Text),
    renamed_unless_empty("image_path", "imagePath", Kind::Anything),
];

const RENDER: &[Field] = &[
    same("name", Kind::Text),
    same("revision", Kind::Integer),
    same("product_tmpl", Kind::Text),
    same("description", Kind::Text),
];

const VARIABLE: &[Field] = &[
    same("key", Kind::Text),
    same("value", Kind::Text),
    same("alias", Kind::Text),
    same("state", Kind::Text),
    same("services", TEXTS),
];

const BUILD: &[Field] = &[
    renamed("_id", "id", Kind::Text),
    renamed("release_id", "releaseId", Kind::Text),
    renamed("service_name", "serviceName", Kind::Text),
    renamed("image_info", "imageInfo", Kind::Object(IMAGE_INFO)),
    renamed("image_name", "imageName", Kind::Text),
    renamed("package_info", "packageInfo", Kind::Object(PACKAGE_INFO)),
    same("issues", Kind::List(&Kind::Object(BUILD_ISSUE))),
    same("commits", Kind::Commits(BUILD_COMMIT)),
    unless_empty("start_time", Kind::Time),
    unless_empty("end_time", Kind::Time),
    same("created_at", Kind::Time),
    same("deleted_at", Kind::Time),
];

const IMAGE_INFO: &[Field] = &[
    renamed("repo_name", "repoName", Kind::Text),
    renamed("tag_name", "tagName", Kind::Text),
    renamed("image_size", "imageSize", Kind::Integer),
    renamed("image_digest", "imageDigest", Kind::Text),
    same("author", Kind::Text),
    same("architecture", Kind::Text),
    renamed("docker_version", "dockerVersion", Kind::Text),
    same("os", Kind::Text),
    renamed("creation_time", "creationTime", Kind::Time),
    renamed("update_time", "updateTime", Kind::Time),
];

const PACKAGE_INFO: &[Field] = &[
    renamed("package_file_location", "packageFileLocation", Kind::Text),
    renamed("package_file_name", "packageFileName", Kind::Text),
    renamed("package_storage_uri", "packageStorageUri", Kind::Text),
];

const BUILD_ISSUE: &[Field] = &[
    unless_empty("id", Kind::Text),
    unless_empty("key", Kind::Text),
    unless_empty("url", Kind::Text),
    same("summary", Kind::Text),
    unless_empty("description", Kind::Text),
    unless_empty("priority", Kind::Anything),
    unless_empty("creator", Kind::Anything),
    unless_empty("assignee", Kind::Anything),
    unless_empty("reporter", Kind::Anything),
];

const BUILD_COMMIT: &[Field] = &[
    unless_empty("source", Kind::Text),
    same("repo_owner", Kind::Text),
    same("repo_namespace", Kind::Text),
    same("repo_name", Kind::Text),
    unless_empty("remote_name", Kind::Text),
    same("branch", Kind::Text),
    unless_empty("pr", Kind::Integer),
    unless_empty("prs", Kind::Anything),
    unless_empty("tag", Kind::Text),
    unless_empty("commit_id", Kind::Text),
    unless_empty("commit_message", Kind::Text),
    unless_empty("checkout_path", Kind::Text),
    unless_empty("submodules", Kind::Anything),
    unless_empty("use_default", Kind::Anything),
    same("is_primary", Kind::Boolean),
    same("codehost_id", Kind::Integer),
    same("address", Kind::Text),
    unless_empty("author_name", Kind::Text),
    unless_empty("checkout_ref", Kind::Text),
];

const DEPLOY: &[Field] = &[
    renamed("_id", "id", Kind::Text),
    renamed("release_id", "releaseId", Kind::Text),
    renamed("service_name", "serviceName", Kind::Text),
    renamed("container_name", "containerName", Kind::Text),
    unless_empty("image", Kind::Text),
    unless_empty("registry_id", Kind::Text),
    renamed("yaml_contents", "yamlContents", TEXTS),
    same("envs", Kind::List(&Kind::Object(ENV))),
    renamed("ordered_services", "orderedServices", Kind::List(&TEXTS)),
    unless_empty("start_time", Kind::Time),
    unless_empty("end_time", Kind::Time),
    same("created_at", Kind::Time),
    same("deleted_at", Kind::Time),
];

const ENV: &[Field] = &[same("key", Kind::Text), same("value", Kind::Text)];

const TEST: &[Field] = &[
    renamed("_id", "id", Kind::Text),
    renamed("release_id", "releaseId", Kind::Text),
    renamed("test_reports", "testReports", Kind::List(&Kind::Object(TEST_REPORT))),
    unless_empty("start_time", Kind::Time),
    unless_empty("end_time", Kind::Time),
    same("created_at", Kind::Time),
    same("deleted_at", Kind::Time),
];

const TEST_REPORT: &[Field] = &[
    renamed("test_result_path", "testResultPath", Kind::Text),
    renamed("workflow_name", "workflowName", Kind::Text),
    renamed("task_id", "taskId", Kind::Integer),
    renamed("test_name", "testName", Kind::Text),
    renamed("test_suite", "testSuite", Kind::Object(TEST_SUITE)),
    renamed(
        "performance_test_suite",
        "performanceTestSuite",
        Kind::List(&Kind::Object(PERFORMANCE_TEST_SUITE)),
    ),
    unless_empty("start_time", Kind::Time),
    unless_empty("end_time", Kind::Time),
];

const TEST_SUITE: &[Field] = &[
    same("tests", Kind::Integer),
    same("failures", Kind::Integer),
    unless_empty("successes", Kind::Integer),
    same("skips", Kind::Integer),
    same("errors", Kind::Integer),
    same("time", Kind::Integer),
    same("system_out", Kind::Text),
    same("testcase", Kind::List(&Kind::Anything)),
    renamed_unless_empty("system-err", "system_err", Kind::Text),
];

const PERFORMANCE_TEST_SUITE: &[Field] = &[
    same("label", Kind::Text),
    same("samples", Kind::Text),
    same("average", Kind::Text),
    same("min", Kind::Text),
    same("max", Kind::Text),
    same("line", Kind::Text),
    renamed("std_dev", "stdDev", Kind::Text),
    same("error", Kind::Text),
    same("throughput", Kind::Text),
    renamed("received_kb", "receivedKb", Kind::Text),
    renamed("avg_byte", "avgByte", Kind::Text),
];

const DISTRIBUTE: &[Field] = &[
    renamed("_id", "id", Kind::Text),
    renamed("release_id", "releaseId", Kind::Text),
    renamed("service_name", "serviceName", Kind::Text),
    renamed("distribute_type", "distributeType", Kind::Text),
    renamed("registry_name", "registryName", Kind::Text),
    same("namespace", Kind::Text),
    renamed("package_file", "packageFile", Kind::Text),
    renamed("remote_file_key", "remoteFileKey", Kind::Text),
    renamed("dest_storage_url", "destStorageUrl", Kind::Text),
    renamed("src_storage_url", "srcStorageUrl", Kind::Text),
    renamed_unless_empty("chart_version", "chartVersion", Kind::Text),
    renamed_unless_empty("chart_name", "chartName", Kind::Text),
    renamed_unless_empty("chart_repo_name", "chartRepoName", Kind::Text),
    renamed("s3_storage_id", "s3StorageID", Kind::Text),
    unless_empty("start_time", Kind::Time),
    unless_empty("end_time", Kind::Time),
    same("created_at", Kind::Time),
    same("deleted_at", Kind::Time),
];

const ARTIFACT: &[Field] = &[
    renamed("_id", "id", Kind::Text),
    same("name", Kind::Text),
    same("type", Kind::Text),
    same("source", Kind::Text),
    unless_empty("image", Kind::Text),
    unless_empty("image_hash", Kind::Text),
    same("image_tag", Kind::Text),
    unless_empty("image_digest", Kind::Text),
    unless_empty("image_size", Kind::Integer),
    unless_empty("architecture", Kind::Text),
    unless_empty("os", Kind::Text),
    unless_empty("docker_file", Kind::Text),
    unless_empty("layers", Kind::List(&Kind::Object(LAYER))),
    unless_empty("package_file_location", Kind::Text),
    unless_empty("package_storage_uri", Kind::Text),
    same("created_by", Kind::Text),
    same("created_time", Kind::Time),
];

const LAYER: &[Field] = &[
    renamed_unless_empty("mediatype", "media_type", Kind::Text),
    same("size", Kind::Integer),
    unless_empty("digest", Kind::Text),
    unless_empty("urls", TEXTS),
];

const ACTIVITY: &[Field] = &[
    never("_id"),
    same("artifact_id", Kind::Text),
    same("type", Kind::Text),
    unless_empty("content", Kind::Text),
    unless_empty("url", Kind::Text),
    unless_empty("job_task_name", Kind::Text),
    unless_empty("commits", Kind::Commits(ACTIVITY_COMMIT)),
    unless_empty("issues", Kind::Anything),
    unless_empty("namespace", Kind::Text),
    unless_empty("env_name", Kind::Text),
    unless_empty("publish_hosts", Kind::Anything),
    unless_empty("publish_namespaces", Kind::Anything),
    unless_empty("remote_file_key", Kind::Text),
    unless_empty("dist_storage_url", Kind::Text),
    unless_empty("src_storage_url", Kind::Text),
    unless_empty("start_time", Kind::Time),
    unless_empty("end_time", Kind::Time),
    same("created_by", Kind::Text),
    same("created_time", Kind::Time),
];

const ACTIVITY_COMMIT: &[Field] = &[
    same("address", Kind::Text),
    unless_empty("source", Kind::Text),
    same("repo_owner", Kind::Text),
    same("repo_name", Kind::Text),
    same("branch", Kind::Text),
    unless_empty("pr", Kind::Integer),
    unless_empty("prs", Kind::Anything),
    unless_empty("tag", Kind::Text),
    unless_empty("commit_id", Kind::Text),
    unless_empty("commit_message", Kind::Text),
    unless_empty("author_name", Kind::Text),
];

/// Zadig's shape always holds this one, so it is blanked rather than removed.
const BLANKED: &str = "oauth_token";
const REMOVED: [&str; 4] = ["password", "username", "ssh_key", "private_access_token"];

/// Writes JSON; credentials are gone before anything of a document touches a disk.
#[derive(Default)]
struct Writer {
    out: String,
    credentials_dropped: u64,
    /// How many commits the value being written stands inside.
    commits: usize,
}

impl Writer {
    fn value(&mut self, kind: &Kind, value: &Stored) {
        match (kind, value) {
            (Kind::Object(table), Stored::Object(members)) => self.object(table, members),
            (Kind::List(element), Stored::List(elements)) => self.list(element, elements),
            (Kind::Commits(_), Stored::List(_) | Stored::Object(_)) => self.commits(kind, value),
            (Kind::Time, Stored::Date(milliseconds)) => self.integer(milliseconds.div_euclid(1000).into()),
            (_, Stored::Null) => self.out.push_str(kind.empty()),
            (_, Stored::Boolean(boolean)) => self.out.push_str(if *boolean { "true" } else { "false" }),
            (_, Stored::Integer(number)) => self.integer(*number),
            (_, Stored::Double(number)) => self.text_of(&serde_json::Value::from(*number)),
            (_, Stored::Text(text)) => self.text(text),
            (_, Stored::Date(milliseconds)) => {
                let time = DateTime::from_millis(*milliseconds).try_to_rfc3339_string();
                self.text(&time.unwrap_or_default());
            }
            (_, Stored::List(elements)) => self.list(&Kind::Anything, elements),
            (_, Stored::Object(members)) => self.object(&[], members),
        }
    }

    /// Commits of any shape lose their credentials, also those that the check will refuse.
    fn commits(&mut self, kind: &Kind, value: &Stored) {
        self.commits += 1;
        match (kind, value) {
            (Kind::Commits(table), Stored::List(commits)) => self.list(&Kind::Object(table), commits),
            _ => self.value(&Kind::Anything, value),
        }
        self.commits -= 1;
    }

    fn integer(&mut self, number: i128) {
        write!(self.out, "{number}").expect("writing to a text cannot fail");
    }

    fn text(&mut self, text: &str) {
        self.text_of(&text);
    }

    fn text_of(&mut self, value: &impl serde::Serialize) {
        self.out.push_str(&serde_json::to_string(value).expect("texts and numbers always serialize"));
    }

    fn list(&mut self, element: &Kind, elements: &[Stored]) {
        self.out.push('[');
        for (index, value) in elements.iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            self.value(element, value);
        }
        self.out.push(']');
    }

    /// The table's fields in its order, then the others as they are stored.
    fn object(&mut self, table: &[Field], members: &[(String, Stored)]) {
        self.out.push('{');
        for field in table {
            let value = members.iter().find(|(name, _)| name == field.stored).map(|(_, value)| value);
            self.field(field, value);
        }
        for (name, value) in members {
            if !table.iter().any(|field| field.stored == name) {
                self.member(name, value);
            }
        }
        self.out.push('}');
    }

    fn field(&mut self, field: &Field, value: Option<&Stored>) {
        let value = match (field.presence, value) {
            (Presence::Never, _) | (Presence::AsItCame | Presence::UnlessEmpty, None) => return,
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

    fn member(&mut self, name: &str, value: &Stored) {
        let is_blanked = name == BLANKED;
        if self.commits > 0 && (is_blanked || REMOVED.contains(&name)) {
            let is_something = !matches!(value, Stored::Null) && *value != Stored::Text(String::new());
            self.credentials_dropped += u64::from(is_something);
            if is_blanked {
                self.key(name);
                self.out.push_str("\"\"");
            }
            return;
        }
        self.key(name);
        self.value(&Kind::Anything, value);
    }

    fn key(&mut self, name: &str) {
        if !self.out.ends_with('{') {
            self.out.push(',');
        }
        self.text(name);
        self.out.push(':');
    }
}

impl Kind {
    /// What Go writes for a field that the document does not have; lists are never `null` here.
    fn empty(&self) -> &'static str {
        match self {
            Self::Text => "\"\"",
            Self::Integer | Self::Time => "0",
            Self::Boolean => "false",
            Self::List(_) | Self::Commits(_) => "[]",
            Self::Anything | Self::Object(_) => "null",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(collection: Collection, document: &str) -> CollectionRecord {
        collection.record(&Stored::from_json(document.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn a_document_takes_the_pages_names_and_zadigs_order() {
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
    fn fields_that_later_versions_know_come_as_they_came_and_secret_ones_never() {
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
    fn credentials_leave_commits_at_any_depth_and_are_counted() {
        let build = record(
            Collection::Build,
            r#"{"_id":"b","release_id":"r","commits":[{"repo_name":"n","oauth_token":"t1","password":"p","username":"","submodules":{"ssh_key":"k"}}],"username":"stays"}"#,
        );
        assert_eq!(build.credentials_dropped, 3);
        assert!(build.json.contains(r#""oauth_token":"""#) && build.json.contains(r#""username":"stays""#));
        assert!(
            !build.json.contains("t1") && !build.json.contains("ssh_key") && !build.json.contains("password")
        );
        let odd = record(Collection::Activity, r#"{"_id":"a","artifact_id":"x","commits":{"password":"p"}}"#);
        assert_eq!((odd.credentials_dropped, odd.json.contains("password")), (1, false));
    }

    #[test]
    fn a_document_without_an_id_is_refused_and_one_without_owner_is_nobodys() {
        let document = Stored::from_json(b"{\"_id\":5}").unwrap();
        assert!(Collection::Version.record(&document).is_err());
        assert_eq!(record(Collection::Deploy, r#"{"_id":"d"}"#).owner, None);
    }
}
