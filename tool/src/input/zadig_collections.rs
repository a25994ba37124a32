//! Zadig's collections: which there are, what their documents belong to, and how a document becomes the API's
//! JSON.

use bson::DateTime;

use super::bson_documents::integer;
use super::zadig4;
use crate::digest;
use crate::json::{Json, Members, Path, Problem, to_text};
use crate::record::fields::{
    ACTIVITY, ARTIFACT, BUILD_INFO, DEPLOY_INFO, DISTRIBUTE_INFO, Fields, Kind, Presence, TEST_INFO,
    VERSION_INFO,
};
use crate::record::{NO_ARTIFACT, drop_credentials, drop_user_info, names_an_artifact};

/// A collection that holds part of a release or of an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Collection {
    /// Releases.
    Version,
    /// Releases of Zadig 4 and later, each with its services and their images.
    VersionV2,
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
    pub const ALL: [Self; 8] = [
        Self::Version,
        Self::VersionV2,
        Self::Build,
        Self::Deploy,
        Self::Test,
        Self::Distribute,
        Self::Artifact,
        Self::Activity,
    ];

    /// Its name in the database, the section of a record that its documents go into, the collection that they
    /// belong to, the field that names the owner, and what their own fields are.
    fn row(self) -> (&'static str, Option<&'static str>, Self, &'static str, &'static Fields) {
        match self {
            Self::Version => ("delivery_version", None, Self::Version, "_id", &VERSION_INFO),
            Self::VersionV2 => ("delivery_version_v2", None, Self::Version, "_id", &VERSION_INFO),
            Self::Build => ("delivery_build", Some("buildInfo"), Self::Version, "release_id", &BUILD_INFO),
            Self::Deploy => {
                ("delivery_deploy", Some("deployInfo"), Self::Version, "release_id", &DEPLOY_INFO)
            }
            Self::Test => ("delivery_test", Some("testInfo"), Self::Version, "release_id", &TEST_INFO),
            Self::Distribute => {
                ("delivery_distribute", Some("distributeInfo"), Self::Version, "release_id", &DISTRIBUTE_INFO)
            }
            Self::Artifact => ("artifact", None, Self::Artifact, "_id", &ARTIFACT),
            Self::Activity => ("activity", Some("activities"), Self::Artifact, "artifact_id", &ACTIVITY),
        }
    }

    /// Its name in the database.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// The collection of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|collection| collection.name() == name)
    }

    /// The section of a record that its documents go into; `None` where a document is the record itself.
    pub fn section(self) -> Option<&'static str> {
        self.row().1
    }

    /// The collection that its documents belong to: that of the releases, or that of the artifacts.
    pub fn owner(self) -> Self {
        self.row().2
    }

    /// Why a document cannot be taken as one of this collection; `None` where it can.
    fn reason_to_refuse(self, document: &Json<'_>) -> Option<String> {
        if !matches!(document, Json::Object(_)) {
            return Some("expected a document".to_owned());
        }
        if text_of(document, "_id").is_none() {
            return Some("its _id is neither an ObjectId nor a text".to_owned());
        }
        let mut foreign = Vec::new();
        find_foreign(document, &Path::ROOT, &mut foreign);
        if !foreign.is_empty() {
            return Some(format!("{}, which JSON cannot hold", foreign.join(", ")));
        }
        let of_others =
            |(name, known): &&(&str, &[Self])| !known.contains(&self) && document.member(name).is_some();
        if let Some((name, _)) = DISTINGUISHING_FIELDS.iter().find(of_others) {
            return Some(format!("it has {name}, so it is no document of {}", self.name()));
        }
        if let (Self::Artifact, Json::Object(members)) = (self, document)
            && !names_an_artifact(members)
        {
            return Some(NO_ARTIFACT.to_owned());
        }
        None
    }

    /// What a migration to Zadig 4 keeps of a release under its new id: project, version and `created_at`, as
    /// a digest. `None` where a document lacks one of them, or is no release.
    pub(crate) fn migrated_as(self, document: &Json<'_>) -> Option<String> {
        let project = match self {
            Self::Version => "product_name",
            Self::VersionV2 => "project_name",
            _ => return None,
        };
        let created_at = seconds(document.member("created_at")?)?.to_string();
        Some(digest::of_texts(&[text_of(document, project)?, text_of(document, "version")?, &created_at]))
    }

    /// Turns a document into the API's JSON.
    pub(crate) fn record(self, document: Json<'_>) -> Result<CollectionRecord, RefusedDocument> {
        let (.., owner_field, fields) = self.row();
        let owner = text_of(&document, owner_field).map(str::to_owned);
        let id = text_of(&document, "_id").unwrap_or_default().to_owned();
        if let Some(reason) = self.reason_to_refuse(&document) {
            return Err(RefusedDocument { id, owner, reason });
        }
        let is_deleted = document.member("deleted_at").and_then(seconds).is_some_and(|time| time != 0);
        // Without an owner it cannot be stored. That does not matter for a soft-deleted one, which is not
        // stored anyway.
        if owner.is_none() && !is_deleted {
            let reason = format!("its {owner_field} is neither an ObjectId nor a text");
            return Err(RefusedDocument { id, owner, reason });
        }
        if self == Self::VersionV2 {
            let release = document.into_members(&Path::ROOT).and_then(zadig4::documented);
            let refused = |problem: Problem| RefusedDocument {
                id: id.clone(),
                owner: owner.clone(),
                reason: problem.to_string(),
            };
            let json = to_text(&release.map_err(refused)?);
            return Ok(CollectionRecord { id, owner, is_deleted, json, credentials_dropped: 0 });
        }
        let mut shown = shown(&Kind::Object(fields), document);
        // They are dropped before any of the record is written to a disk.
        let mut dropped = 0;
        if let Json::Object(members) = &mut shown {
            dropped += drop_user_info(fields, members);
            if matches!(self, Self::Build | Self::Activity) {
                dropped += drop_credentials(members);
            }
        }
        let credentials_dropped = dropped as u64;
        Ok(CollectionRecord { id, owner, is_deleted, json: to_text(&shown), credentials_dropped })
    }
}

/// A document's text, where it is one and not empty.
fn text_of<'a>(document: &'a Json<'_>, name: &str) -> Option<&'a str> {
    document.member(name).and_then(Json::as_text).filter(|text| !text.is_empty())
}

/// The Unix seconds of a time, which may be stored as a date or as a number.
fn seconds(time: &Json<'_>) -> Option<i128> {
    match time {
        Json::Date(milliseconds) => Some(milliseconds.div_euclid(1000).into()),
        time => integer(time),
    }
}

/// Finds the first values that JSON cannot hold, and says where each is and what it is.
fn find_foreign(value: &Json<'_>, path: &Path<'_>, found: &mut Vec<String>) {
    /// How many are named.
    const MAX_NAMED: usize = 10;
    match value {
        Json::Foreign(what) if found.len() < MAX_NAMED => found.push(format!("{path} is {what}")),
        Json::List(elements) => {
            for (index, element) in elements.iter().enumerate() {
                find_foreign(element, &path.index(index), found);
            }
        }
        Json::Object(members) => {
            for (name, member) in members {
                find_foreign(member, &path.field(name), found);
            }
        }
        _ => {}
    }
}

/// Fields that only some collections have, with these collections. A document of any other collection that
/// has such a field stands in a file under the wrong name.
///
/// Only fields that no version of Zadig writes anywhere else are listed. None of them is required of a
/// document, since Zadig leaves many out where they are empty.
const DISTINGUISHING_FIELDS: &[(&str, &[Collection])] = {
    use Collection::{Activity, Artifact, Build, Deploy, Distribute, Test, Version, VersionV2};
    &[
        ("release_id", &[Build, Deploy, Test, Distribute]),
        ("artifact_id", &[Activity]),
        ("product_name", &[Version]),
        ("project_name", &[VersionV2]),
        ("services", &[VersionV2]),
        ("workflow_name", &[Version, VersionV2]),
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

/// Turns a stored value into the form that the API's JSON has for it.
fn shown<'a>(kind: &Kind, value: Json<'a>) -> Json<'a> {
    match (kind, value) {
        (Kind::Unchecked(kind), value) => shown(kind, value),
        (Kind::Object(fields), Json::Object(members)) => Json::Object(members_shown(fields, members)),
        (_, Json::Object(members)) => Json::Object(all_shown(members)),
        (Kind::List(element), Json::List(elements)) => list_shown(element, elements),
        (_, Json::List(elements)) => list_shown(&Kind::Anything, elements),
        (Kind::Time, Json::Date(milliseconds)) => Json::integer(milliseconds.div_euclid(1000).into()),
        (_, Json::Date(milliseconds)) => {
            let text = DateTime::from_millis(milliseconds).try_to_rfc3339_string();
            Json::text(text.expect("a date of the years 0 to 9999 has a text"))
        }
        (Kind::Integer | Kind::Number | Kind::Time, number @ Json::Number(_)) => {
            integer(&number).map_or(number, Json::integer)
        }
        (kind, Json::Null) => kind.empty(),
        (_, value) => value,
    }
}

fn list_shown<'a>(element: &Kind, elements: Vec<Json<'a>>) -> Json<'a> {
    Json::List(elements.into_iter().map(|value| shown(element, value)).collect())
}

/// The members of a table, in its order, and then the others under their stored names.
pub(super) fn members_shown<'a>(fields: &Fields, members: Members<'a>) -> Members<'a> {
    let mut members = members;
    let mut answered = Members::with_capacity(members.len());
    for field in fields.all() {
        let value = match (members.shift_remove(field.stored), field.filled) {
            (_, Presence::Never) | (None, Presence::AsItCame | Presence::UnlessEmpty) => continue,
            (value, _) => shown(&field.kind, value.unwrap_or(Json::Null)),
        };
        if field.filled != Presence::UnlessEmpty || !value.is_empty() {
            answered.insert(field.shown.into(), value);
        }
    }
    answered.extend(all_shown(members));
    answered
}

fn all_shown(members: Members<'_>) -> Members<'_> {
    members.into_iter().map(|(name, value)| (name, shown(&Kind::Anything, value))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::bson_documents::from_json;
    use super::*;
    use crate::record::Record;

    fn record(collection: Collection, document: &str) -> CollectionRecord {
        collection.record(from_json(document.as_bytes()).unwrap()).unwrap()
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
            r#"{"id":"619dbaa8c528c2182225e8da","releaseId":"619dbaa8c528c2182225e8d9","serviceName":"s","imageInfo":{"repoName":"","tagName":"t","imageSize":3,"imageDigest":"","author":"","architecture":"","dockerVersion":"","os":"","creationTime":"","updateTime":""},"imageName":"","packageInfo":null,"issues":[],"commits":[],"created_at":5,"deleted_at":0,"extra":{"kept_as":"it is"}}"#
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
        assert!(Collection::Version.record(from_json(b"{\"_id\":5}").unwrap()).is_err());
        for deploy in [r#"{"_id":"d"}"#, r#"{"_id":"d","release_id":7}"#, r#"{"_id":"d","release_id":""}"#] {
            let refused = Collection::Deploy.record(from_json(deploy.as_bytes()).unwrap()).unwrap_err();
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

    /// `Record::check` has its own table of the fields of each object. It leaves a record alone that is in
    /// its order.
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
