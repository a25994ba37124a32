//! The fields of the documented JSON, each once: what it is called, what it holds, and when it is there.
//!
//! Checking a record ([`super::shape`]) stands on these tables, and so does reading a document of Zadig's
//! database (`input::zadig_collections`). The tests below hold `openapi.yaml`,
//! [the lists in docs/api.md](../../../docs/api.md) and what the terminal reads (`answers`) to them.

use Kind::{Anything, Boolean, Integer, List, Number, Object, Text, Time, Unchecked, Url};
use Presence::{Always, AsItCame, Never, UnlessEmpty};

/// What a field holds.
pub(crate) enum Kind {
    Anything,
    Text,
    /// A text that is a URL, or may be one: its user info is dropped (`super::credentials`).
    Url,
    /// A signed or unsigned 64-bit integer.
    Integer,
    Number,
    /// Unix seconds, as an integer. Zadig's database may hold a date instead.
    Time,
    Boolean,
    List(&'static Kind),
    Object(&'static Fields),
    /// A value of this kind, which is not checked: Zadig's page does not show it, so it is answered as it
    /// came.
    Unchecked(&'static Kind),
}

/// The fields of one kind of object.
pub(crate) struct Fields {
    /// The fields that are answered first, in this order. A list of them that is `null` is answered as `[]`.
    pub(crate) in_order: &'static [Field],
    /// The fields that are answered in the order in which they came, among those that are not known, behind
    /// the others. From Zadig's database they come in this order.
    pub(crate) as_they_come: &'static [Field],
}

/// One field of an object.
pub(crate) struct Field {
    /// Its name in the API's JSON.
    pub(crate) shown: &'static str,
    /// Its name in Zadig's database.
    pub(crate) stored: &'static str,
    pub(crate) kind: Kind,
    /// When it is answered, of a record in the API's JSON.
    pub(crate) answered: Presence,
    /// When it is made of a document of Zadig's database.
    pub(crate) filled: Presence,
}

/// When a field is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Where the source has it.
    AsItCame,
    /// Always: as `""`, `0`, `false`, `[]` or `null` where the source has none, as Go writes it.
    Always,
    /// Where the source has it and it is not empty, 0 or false.
    UnlessEmpty,
    Never,
}

impl Fields {
    /// The fields of an object that Zadig's page does not show, or shows empty: all keep their order.
    const fn as_they_come(fields: &'static [Field]) -> Self {
        Self { in_order: &[], as_they_come: fields }
    }

    const fn in_order(fields: &'static [Field]) -> Self {
        Self { in_order: fields, as_they_come: &[] }
    }

    /// All of them, in the order in which a document of Zadig's database is brought to the API's JSON.
    pub(crate) fn all(&self) -> impl Iterator<Item = &'static Field> {
        self.in_order.iter().chain(self.as_they_come)
    }
}

impl Field {
    const fn new(name: &'static str, kind: Kind) -> Self {
        Self { shown: name, stored: name, kind, answered: AsItCame, filled: Always }
    }

    const fn stored(self, name: &'static str) -> Self {
        Self { stored: name, ..self }
    }

    /// Whatever the source is.
    const fn there(self, presence: Presence) -> Self {
        Self { answered: presence, filled: presence, ..self }
    }

    const fn filled(self, presence: Presence) -> Self {
        Self { filled: presence, ..self }
    }

    /// The fields of the objects that it holds, where it holds some.
    #[cfg(test)]
    pub(crate) fn inside(&self) -> Option<&'static Fields> {
        let mut kind = &self.kind;
        loop {
            match kind {
                Unchecked(inner) | List(inner) => kind = inner,
                Object(fields) => return Some(fields),
                _ => return None,
            }
        }
    }
}

const fn text(name: &'static str) -> Field {
    Field::new(name, Text)
}

const fn url(name: &'static str) -> Field {
    Field::new(name, Url)
}

const fn integer(name: &'static str) -> Field {
    Field::new(name, Integer)
}

const fn time(name: &'static str) -> Field {
    Field::new(name, Time)
}

const fn boolean(name: &'static str) -> Field {
    Field::new(name, Boolean)
}

const fn list(name: &'static str, element: &'static Kind) -> Field {
    Field::new(name, List(element))
}

const fn object(name: &'static str, fields: &'static Fields) -> Field {
    Field::new(name, Object(fields))
}

const fn unchecked(name: &'static str, kind: &'static Kind) -> Field {
    Field::new(name, Unchecked(kind))
}

pub(crate) static VERSION_INFO: Fields = Fields {
    in_order: &[
        text("id").stored("_id").there(Always),
        text("version"),
        text("productName").stored("product_name"),
        text("workflowName").stored("workflow_name"),
        integer("taskId").stored("task_id"),
        text("desc"),
        list("labels", &Text).there(Always),
        object("productEnvInfo", &PRODUCT_ENV_INFO).stored("product_env_info"),
        text("createdBy").stored("created_by"),
        time("created_at"),
        time("deleted_at"),
    ],
    as_they_come: &[
        unchecked("workflowDisplayName", &Text).stored("workflow_display_name").filled(AsItCame),
        unchecked("type", &Text).filled(AsItCame),
        unchecked("status", &Text).filled(AsItCame),
        unchecked("error", &Anything).filled(Never),
        unchecked("createArgument", &Anything).filled(Never),
        unchecked("create_argument", &Anything).filled(Never),
    ],
};

static PRODUCT_ENV_INFO: Fields = Fields {
    in_order: &[
        text("id").stored("_id").filled(UnlessEmpty),
        text("product_name"),
        time("create_time"),
        time("update_time"),
        text("namespace").filled(UnlessEmpty),
        text("status"),
        integer("revision"),
        boolean("enabled"),
        text("env_name"),
        text("update_by"),
        list("auth", &Anything).there(Always),
        text("visibility"),
        list("services", &List(&Object(&SERVICE))).there(Always),
        object("render", &RENDER),
        text("error"),
        list("vars", &Object(&VARIABLE)).filled(UnlessEmpty),
        boolean("isPublic").stored("is_public"),
        list("roleIds", &Anything).stored("role_ids").there(Always),
        integer("recycle_day"),
        text("source"),
        boolean("is_opensource"),
    ],
    as_they_come: &[unchecked("cluster_id", &Text).filled(UnlessEmpty)],
};

static SERVICE: Fields = Fields::in_order(&[
    text("service_name"),
    text("product_name"),
    text("type"),
    integer("revision"),
    list("containers", &Object(&CONTAINER)),
    object("render", &RENDER).filled(UnlessEmpty),
]);

static CONTAINER: Fields = Fields {
    in_order: &[text("name"), text("image")],
    as_they_come: &[
        unchecked("image_name", &Text).filled(UnlessEmpty),
        unchecked("imagePath", &Anything).stored("image_path").filled(UnlessEmpty),
    ],
};

static RENDER: Fields =
    Fields::in_order(&[text("name"), integer("revision"), text("product_tmpl"), text("description")]);

static VARIABLE: Fields =
    Fields::in_order(&[text("key"), text("value"), text("alias"), text("state"), list("services", &Text)]);

pub(crate) static BUILD_INFO: Fields = Fields::as_they_come(&[
    text("id").stored("_id"),
    text("releaseId").stored("release_id"),
    text("serviceName").stored("service_name"),
    unchecked("imageInfo", &Object(&IMAGE_INFO)).stored("image_info"),
    unchecked("imageName", &Text).stored("image_name"),
    unchecked("packageInfo", &Object(&PACKAGE_INFO)).stored("package_info"),
    unchecked("issues", &List(&Object(&ISSUE))),
    list("commits", &Object(&BUILD_COMMIT)),
    time("start_time").filled(UnlessEmpty),
    time("end_time").filled(UnlessEmpty),
    time("created_at"),
    time("deleted_at"),
]);

static IMAGE_INFO: Fields = Fields::as_they_come(&[
    text("repoName").stored("repo_name"),
    text("tagName").stored("tag_name"),
    integer("imageSize").stored("image_size"),
    text("imageDigest").stored("image_digest"),
    text("author"),
    text("architecture"),
    text("dockerVersion").stored("docker_version"),
    text("os"),
    text("creationTime").stored("creation_time"),
    text("updateTime").stored("update_time"),
]);

static PACKAGE_INFO: Fields = Fields::as_they_come(&[
    url("packageFileLocation").stored("package_file_location"),
    text("packageFileName").stored("package_file_name"),
    url("packageStorageUri").stored("package_storage_uri"),
]);

static ISSUE: Fields = Fields::as_they_come(&[
    text("id").filled(UnlessEmpty),
    text("key").filled(UnlessEmpty),
    url("url").filled(UnlessEmpty),
    text("summary"),
    text("description").filled(UnlessEmpty),
    text("priority").filled(UnlessEmpty),
    text("creator").filled(UnlessEmpty),
    text("assignee").filled(UnlessEmpty),
    text("reporter").filled(UnlessEmpty),
]);

static BUILD_COMMIT: Fields = Fields::as_they_come(&[
    unchecked("source", &Text).filled(UnlessEmpty),
    unchecked("repo_owner", &Text),
    unchecked("repo_namespace", &Text),
    unchecked("repo_name", &Text),
    unchecked("remote_name", &Text).filled(UnlessEmpty),
    unchecked("branch", &Text),
    unchecked("pr", &Integer).filled(UnlessEmpty),
    unchecked("prs", &List(&Integer)).filled(UnlessEmpty),
    unchecked("tag", &Text).filled(UnlessEmpty),
    unchecked("commit_id", &Text).filled(UnlessEmpty),
    unchecked("commit_message", &Text).filled(UnlessEmpty),
    unchecked("checkout_path", &Text).filled(UnlessEmpty),
    unchecked("submodules", &Boolean).filled(UnlessEmpty),
    unchecked("use_default", &Boolean).filled(UnlessEmpty),
    unchecked("is_primary", &Boolean),
    unchecked("codehost_id", &Integer),
    // Always empty: see `super::credentials`.
    unchecked("oauth_token", &Text),
    unchecked("address", &Url),
    unchecked("author_name", &Text).filled(UnlessEmpty),
    unchecked("checkout_ref", &Text).filled(UnlessEmpty),
    unchecked("enable_commit", &Boolean).filled(AsItCame),
    unchecked("hidden", &Boolean).filled(AsItCame),
]);

pub(crate) static DEPLOY_INFO: Fields = Fields::in_order(&[
    text("id").stored("_id"),
    text("releaseId").stored("release_id"),
    text("serviceName").stored("service_name"),
    text("containerName").stored("container_name"),
    text("image").filled(UnlessEmpty),
    text("registry_id").filled(UnlessEmpty),
    list("yamlContents", &Text).stored("yaml_contents").there(Always),
    list("envs", &Unchecked(&Object(&ENV))).there(Always),
    list("orderedServices", &List(&Text)).stored("ordered_services").there(Always),
    time("start_time").filled(UnlessEmpty),
    time("end_time").filled(UnlessEmpty),
    time("created_at"),
    time("deleted_at"),
]);

static ENV: Fields = Fields::as_they_come(&[text("key"), text("value")]);

pub(crate) static TEST_INFO: Fields = Fields::as_they_come(&[
    text("id").stored("_id"),
    text("releaseId").stored("release_id"),
    unchecked("testReports", &List(&Object(&TEST_REPORT))).stored("test_reports"),
    time("start_time").filled(UnlessEmpty),
    time("end_time").filled(UnlessEmpty),
    time("created_at"),
    time("deleted_at"),
]);

static TEST_REPORT: Fields = Fields::as_they_come(&[
    text("testResultPath").stored("test_result_path"),
    text("workflowName").stored("workflow_name"),
    integer("taskId").stored("task_id"),
    text("testName").stored("test_name"),
    object("testSuite", &TEST_SUITE).stored("test_suite"),
    list("performanceTestSuite", &Object(&PERFORMANCE_TEST_SUITE)).stored("performance_test_suite"),
    time("start_time").filled(UnlessEmpty),
    time("end_time").filled(UnlessEmpty),
]);

static TEST_SUITE: Fields = Fields::as_they_come(&[
    integer("tests"),
    integer("failures"),
    integer("successes").filled(UnlessEmpty),
    integer("skips"),
    integer("errors"),
    Field::new("time", Number),
    text("system_out"),
    list("testcase", &Anything),
    text("system_err").stored("system-err").filled(UnlessEmpty),
]);

static PERFORMANCE_TEST_SUITE: Fields = Fields::as_they_come(&[
    text("label"),
    text("samples"),
    text("average"),
    text("min"),
    text("max"),
    text("line"),
    text("error"),
    text("throughput"),
    text("stdDev").stored("std_dev"),
    text("receivedKb").stored("received_kb"),
    text("avgByte").stored("avg_byte"),
]);

pub(crate) static DISTRIBUTE_INFO: Fields = Fields::as_they_come(&[
    text("id").stored("_id"),
    text("releaseId").stored("release_id"),
    text("serviceName").stored("service_name"),
    unchecked("distributeType", &Text).stored("distribute_type"),
    unchecked("registryName", &Text).stored("registry_name"),
    unchecked("namespace", &Text),
    unchecked("packageFile", &Text).stored("package_file"),
    unchecked("remoteFileKey", &Url).stored("remote_file_key"),
    unchecked("destStorageUrl", &Url).stored("dest_storage_url"),
    unchecked("srcStorageUrl", &Url).stored("src_storage_url"),
    unchecked("chartVersion", &Text).stored("chart_version").filled(UnlessEmpty),
    unchecked("chartName", &Text).stored("chart_name").filled(UnlessEmpty),
    unchecked("chartRepoName", &Text).stored("chart_repo_name").filled(UnlessEmpty),
    // Not stored: the records of a chart's images are brought into the chart's own one.
    unchecked("subDistributes", &List(&Object(&DISTRIBUTE_INFO))).filled(AsItCame),
    unchecked("s3StorageID", &Text).stored("s3_storage_id"),
    time("start_time").filled(UnlessEmpty),
    time("end_time").filled(UnlessEmpty),
    time("created_at"),
    time("deleted_at"),
]);

pub(crate) static SECURITY_STATS_INFO: Fields = Fields::as_they_come(&[
    unchecked("imageName", &Text),
    unchecked("imageId", &Text),
    unchecked("deliverySecurityStatsInfo", &Object(&SECURITY_STATS)),
]);

static SECURITY_STATS: Fields = Fields::as_they_come(&[
    integer("total"),
    integer("unkown"),
    integer("negligible"),
    integer("low"),
    integer("medium"),
    integer("high"),
    integer("critical"),
]);

pub(crate) static ARTIFACT: Fields = Fields::in_order(&[
    text("id").stored("_id").there(Always),
    text("name").there(Always),
    text("type").there(Always),
    text("source").there(Always),
    text("image").there(UnlessEmpty),
    unchecked("image_hash", &Text).there(UnlessEmpty),
    text("image_tag").there(Always),
    text("image_digest").there(UnlessEmpty),
    integer("image_size").there(UnlessEmpty),
    text("architecture").there(UnlessEmpty),
    text("os").there(UnlessEmpty),
    unchecked("docker_file", &Text).there(UnlessEmpty),
    unchecked("layers", &List(&Object(&LAYER))).there(UnlessEmpty),
    unchecked("package_file_location", &Url).there(UnlessEmpty),
    unchecked("package_storage_uri", &Url).there(UnlessEmpty),
    text("created_by").there(Always),
    time("created_time").there(Always),
]);

static LAYER: Fields = Fields::as_they_come(&[
    text("media_type").stored("mediatype").filled(UnlessEmpty),
    integer("size"),
    text("digest").filled(UnlessEmpty),
    list("urls", &Url).filled(UnlessEmpty),
]);

pub(crate) static ACTIVITY: Fields = Fields {
    in_order: &[
        text("artifact_id").there(Always),
        text("type").there(Always),
        unchecked("content", &Text).there(UnlessEmpty),
        url("url").there(UnlessEmpty),
        unchecked("job_task_name", &Text).there(UnlessEmpty),
        list("commits", &Object(&ACTIVITY_COMMIT)).there(UnlessEmpty),
        unchecked("issues", &List(&Text)).there(UnlessEmpty),
        unchecked("namespace", &Text).there(UnlessEmpty),
        unchecked("env_name", &Text).there(UnlessEmpty),
        unchecked("publish_hosts", &List(&Url)).there(UnlessEmpty),
        unchecked("publish_namespaces", &List(&Text)).there(UnlessEmpty),
        unchecked("remote_file_key", &Url).there(UnlessEmpty),
        unchecked("dist_storage_url", &Url).there(UnlessEmpty),
        unchecked("src_storage_url", &Url).there(UnlessEmpty),
        time("start_time").there(UnlessEmpty),
        time("end_time").there(UnlessEmpty),
        text("created_by").there(Always),
        time("created_time").there(Always),
    ],
    as_they_come: &[unchecked("_id", &Anything).filled(Never)],
};

static ACTIVITY_COMMIT: Fields = Fields::in_order(&[
    url("address").there(Always),
    text("source").there(UnlessEmpty),
    text("repo_owner").there(Always),
    text("repo_name").there(Always),
    text("branch").there(Always),
    integer("pr").there(UnlessEmpty),
    unchecked("prs", &List(&Integer)).there(UnlessEmpty),
    unchecked("tag", &Text).there(UnlessEmpty),
    text("commit_id").there(UnlessEmpty),
    text("commit_message").there(UnlessEmpty),
    text("author_name").there(UnlessEmpty),
]);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_yaml_ng::Value;

    use super::*;

    /// The kinds of objects that stand in an answer's lists, with their schemas and the members that are
    /// worked out.
    const OBJECTS: [(&str, &Fields, &[&str]); 8] = [
        ("VersionInfo", &VERSION_INFO, &[]),
        ("BuildInfo", &BUILD_INFO, &[]),
        ("DeployInfo", &DEPLOY_INFO, &[]),
        ("TestInfo", &TEST_INFO, &[]),
        ("DistributeInfo", &DISTRIBUTE_INFO, &[]),
        ("SecurityStatsInfo", &SECURITY_STATS_INFO, &[]),
        ("Artifact", &ARTIFACT, &["activities", "sortedActivities", "environments"]),
        ("Activity", &ACTIVITY, &[]),
    ];

    /// Holds `openapi.yaml` to the tables, and collects where it differs.
    struct Schemas {
        file: Value,
        held: Vec<*const Fields>,
        differences: Vec<String>,
    }

    impl Schemas {
        /// What a `$ref` leads to, and the one of two alternatives that is not `null`; whether `null` is
        /// described too.
        fn resolve(&self, schema: &Value) -> (Value, bool) {
            if let Some(reference) = schema["$ref"].as_str() {
                let name = reference.strip_prefix("#/components/schemas/").unwrap();
                return self.resolve(&self.file["components"]["schemas"][name]);
            }
            let alternatives = schema["anyOf"].as_sequence().into_iter().flatten();
            match alternatives.clone().find(|alternative| alternative["type"] != "null") {
                Some(alternative) => (self.resolve(alternative).0, alternatives.count() > 1),
                None => (schema.clone(), types(schema).contains("null")),
            }
        }

        fn hold_object(
            &mut self,
            place: &str,
            fields: &'static Fields,
            schema: &Value,
            computed: &[&str],
            is_checked: bool,
        ) {
            if self.held.contains(&std::ptr::from_ref(fields)) {
                return;
            }
            self.held.push(fields);
            let shown: Vec<_> = fields.all().filter(|field| field.filled != Never).collect();
            let names: Vec<_> =
                shown.iter().map(|field| field.shown).chain(computed.iter().copied()).collect();
            let properties = schema["properties"].as_mapping().cloned().unwrap_or_default();
            let described: Vec<_> = properties.keys().map(|name| name.as_str().unwrap()).collect();
            self.expect(place, &names, &described);
            let required = schema["required"].as_sequence().into_iter().flatten();
            let required: BTreeSet<_> = required.map(|name| name.as_str().unwrap()).collect();
            let mut always: BTreeSet<_> =
                shown.iter().filter(|field| field.answered == Always).map(|field| field.shown).collect();
            always.extend(computed.iter().filter(|name| **name == "activities"));
            self.expect(&format!("what is required of {place}"), &always, &required);
            for field in shown {
                let is_ordered = fields.in_order.iter().any(|known| known.shown == field.shown);
                let list_is_filled = is_ordered && matches!(field.kind, List(_));
                let may_be_null = field.answered == AsItCame && !list_is_filled;
                let place = format!("{place}.{}", field.shown);
                self.hold_value(&place, &field.kind, &properties[field.shown], may_be_null, is_checked);
            }
        }

        fn hold_value(
            &mut self,
            place: &str,
            kind: &Kind,
            schema: &Value,
            may_be_null: bool,
            is_checked: bool,
        ) {
            let (schema, is_nullable) = self.resolve(schema);
            let described = match kind {
                Unchecked(kind) => return self.hold_value(place, kind, &schema, is_nullable, false),
                Anything => return,
                Text | Url => "string",
                Integer | Time => "integer",
                Number => "number",
                Boolean => "boolean",
                List(_) => "array",
                Object(_) => "object",
            };
            self.expect(place, &true, &types(&schema).contains(described));
            match kind {
                // What is not checked has the type that Zadig's own source gives it: an empty list or object
                // is `null` there.
                List(element) => {
                    let elements_may_be_null = matches!(element, Text | Url | Integer) && is_checked;
                    let place = format!("{place}[]");
                    self.hold_value(&place, element, &schema["items"], elements_may_be_null, is_checked);
                }
                Object(fields) => self.hold_object(place, fields, &schema, &[], is_checked),
                _ if !is_checked => self.expect(&format!("null in {place}"), &false, &is_nullable),
                _ => {}
            }
            if is_checked {
                self.expect(&format!("null in {place}"), &may_be_null, &is_nullable);
            }
        }

        fn expect<T: PartialEq + std::fmt::Debug>(&mut self, place: &str, wanted: &T, found: &T) {
            if wanted != found {
                self.differences.push(format!("{place}: {wanted:?}, but openapi.yaml has {found:?}"));
            }
        }
    }

    fn types(schema: &Value) -> BTreeSet<&str> {
        match &schema["type"] {
            Value::Sequence(types) => types.iter().filter_map(Value::as_str).collect(),
            one => one.as_str().into_iter().collect(),
        }
    }

    #[test]
    fn the_schemas_of_openapi_have_these_fields_in_this_order() {
        let file = serde_yaml_ng::from_str(include_str!("../../../openapi.yaml")).unwrap();
        let mut schemas = Schemas { file, held: Vec::new(), differences: Vec::new() };
        for (name, fields, computed) in OBJECTS {
            let schema = schemas.file["components"]["schemas"][name].clone();
            schemas.hold_object(name, fields, &schema, computed, true);
        }
        assert_eq!(schemas.differences, [""; 0]);
        assert!(schemas.held.len() > 20, "nested ones are found");
    }

    /// The names as the page lists them: those of this one object that it shows too stand behind it, and
    /// names that are left out where they are empty stand in brackets.
    fn listed(fields: &'static Fields, nested: &[&str]) -> String {
        let fields = if fields.in_order.is_empty() { fields.as_they_come } else { fields.in_order };
        let mut text = String::new();
        let mut is_open = false;
        for field in fields {
            let may_be_missing = field.answered == UnlessEmpty;
            text += match (is_open, may_be_missing) {
                (true, false) => "] ",
                (false, true) if text.is_empty() => "[",
                (false, true) => " [",
                _ if text.is_empty() => "",
                _ => " ",
            };
            is_open = may_be_missing;
            text.extend(["`", field.shown, "`"]);
            if nested.contains(&field.shown) {
                text.extend([" (", &listed(field.inside().unwrap(), &[]), ")"]);
            }
        }
        if is_open {
            text.push(']');
        }
        text
    }

    #[test]
    fn the_page_lists_these_fields_in_this_order() {
        let page = include_str!("../../../docs/api.md").split_whitespace().collect::<Vec<_>>().join(" ");
        for list in [
            format!("- `versionInfo`: {} -", listed(&VERSION_INFO, &[])),
            format!("- `productEnvInfo`: {}. ", listed(&PRODUCT_ENV_INFO, &[])),
            format!("services: {} -", listed(&SERVICE, &["containers"])),
            format!("- `buildInfo`, a list: {} -", listed(&BUILD_INFO, &["imageInfo"])),
            format!("- `deployInfo`, a list: {}. ", listed(&DEPLOY_INFO, &[])),
            format!("- `testInfo`, a list: {} -", listed(&TEST_INFO, &[])),
            format!("- `distributeInfo`, a list: {} -", listed(&DISTRIBUTE_INFO, &[])),
            format!("| the artifact | {} `activities` [`sortedActivities`] |", listed(&ARTIFACT, &[])),
            format!("| an activity | {} |", listed(&ACTIVITY, &[])),
            format!("| a commit | {} |", listed(&ACTIVITY_COMMIT, &[])),
        ] {
            assert!(page.contains(&list), "docs/api.md has not: {list}");
        }
    }

    #[test]
    fn a_field_has_one_name_and_one_stored_name_in_its_object() {
        let mut objects: Vec<&Fields> = OBJECTS.map(|(_, fields, _)| fields).to_vec();
        let mut place = 0;
        while let Some(fields) = objects.get(place).copied() {
            place += 1;
            for name in [|field: &Field| field.shown, |field: &Field| field.stored] {
                let names: BTreeSet<_> = fields.all().map(name).collect();
                assert_eq!(names.len(), fields.all().count(), "{names:?}");
            }
            for inside in fields.all().filter_map(Field::inside) {
                if !objects.iter().any(|known| std::ptr::eq(*known, inside)) {
                    objects.push(inside);
                }
            }
        }
        assert!(objects.len() > 20, "nested ones are found");
    }
}
