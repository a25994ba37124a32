//! An artifact: its activities, and what is read of it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

use delivery_center::image_reference::{found_under, repository};
use delivery_center::store::artifacts::found_by::Short;
use hex_simd::AsciiCase;

use super::credentials::{drop_credentials, drop_user_info};
use super::fields::{ACTIVITY, ARTIFACT};
use super::shape::{integer_of, required_text, text_of, unix_seconds_of};
use crate::digest;
use crate::json::{Json, Members, Path, Problem, to_text};

/// The member of a line of an export that says what pipelines recorded. No answer has it.
const RECORDED_BY_PIPELINES: &str = "recordedByPipelines";

/// Why an object of Zadig's is not taken for an artifact.
pub(crate) const NO_ARTIFACT: &str =
    "it has no image, no image_digest and no package_file_location, so it is no artifact";

/// Whether an object of Zadig's names what an artifact is. Its database and its API have the same names.
pub(crate) fn names_an_artifact(object: &Members<'_>) -> bool {
    ["image", "image_digest", "package_file_location", "package_storage_uri"]
        .iter()
        .any(|name| object.get(*name).is_some_and(|value| !value.is_empty()))
}

/// An artifact that fits the documented types, in the JSON that the API answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// `id`, never empty.
    pub artifact_id: String,
    /// `name`.
    pub name: String,
    /// `image`; empty where there is none.
    pub image: String,
    /// `image_digest`; empty where there is none.
    pub image_digest: String,
    /// `created_time` in Unix seconds, 0 to 999999999999; 0 where it is missing.
    pub created_time: u64,
    /// The whole artifact as compact JSON.
    pub json: String,
    /// How many activities it has.
    pub activities: usize,
    /// Whether one of its activities is a build.
    pub is_built: bool,
    /// How many credentials it held; they are not in the JSON.
    pub credentials_dropped: usize,
    /// Which of its activities pipelines recorded, if it comes from an export that says so.
    pub recorded: Recorded,
}

/// What pipelines recorded of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The facts, in the order of recording.
    pub facts: Vec<RecordedFact>,
    /// Fields of the artifact that pipelines told, as a JSON object. They fill in fields that the artifact does
    /// not have, or has empty.
    pub told: String,
}

/// A fact that a pipeline recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedFact {
    /// The digest by which the fact is known.
    pub fact: Short,
    /// The digest of its activity.
    pub digest: Short,
    /// Its activity as a document holds it, but without the artifact's id.
    pub activity: String,
}

impl Default for Recorded {
    fn default() -> Self {
        Self { facts: Vec::new(), told: "{}".to_owned() }
    }
}

impl Recorded {
    /// One fact, and what its pipeline told of the artifact.
    ///
    /// # Errors
    /// The activity does not fit the documented types, or what was told is no object.
    pub fn of(fact: Short, activity: &str, told: &str) -> Result<Self, Problem> {
        let path = Path::ROOT.field("activities");
        let activity = Activity::read(Json::read_text(activity)?, "", &path)?;
        let (digest, activity) = without_artifact_id(&Json::read_text(&activity.json)?);
        let facts = vec![RecordedFact { fact, digest, activity }];
        Ok(Self::default().and(Self { facts, told: to_text(&Json::Object(members(told)?)) }))
    }

    /// Both together. A fact that both have is one.
    pub fn and(mut self, more: Self) -> Self {
        let known: HashSet<_> = self.facts.iter().map(|fact| fact.fact).collect();
        self.facts.extend(more.facts.into_iter().filter(|fact| !known.contains(&fact.fact)));
        let object = |told| members(told).expect("what pipelines told is an object");
        let mut told = object(&self.told);
        fill(&mut told, object(&more.told));
        self.told = to_text(&Json::Object(told));
        self
    }

    /// What an artifact's item says that was recorded of it: for each fact its digest and that of its activity,
    /// as the `document` has it from which the artifact was checked. `None` where an activity is missing there,
    /// or what was told does not fit.
    ///
    /// An earlier version may have written the document, with activities of another form. They count in today's
    /// form from here on.
    pub fn listed(artifact: &Artifact, document: &str, list: &[[Short; 2]], told: String) -> Option<Self> {
        ARTIFACT.checked(members(&told).ok()?, &Path::ROOT).ok()?;
        let document = members(document).ok()?;
        let stored = document.get("activities").map_or(&[][..], Json::elements).iter();
        let stored = stored.map(|activity| without_artifact_id(activity).0);
        let activities: HashMap<_, _> = stored.zip(artifact.activities_by_digest()).collect();
        let fact = |[fact, digest]: &[Short; 2]| {
            let (digest, activity) = activities.get(digest)?.clone();
            Some(RecordedFact { fact: *fact, digest, activity })
        };
        Some(Self { facts: list.iter().map(fact).collect::<Option<_>>()?, told })
    }

    /// The member of an export's line, with its comma, that says the same as an artifact's item.
    pub fn exported(list: &[u8], told: &str) -> String {
        let facts = list.as_chunks::<{ size_of::<[Short; 2]>() }>().0;
        let facts: Vec<_> =
            facts.iter().map(|fact| hex_simd::encode_to_string(fact, AsciiCase::Lower)).collect();
        format!(r#","{RECORDED_BY_PIPELINES}":{{"facts":{},"told":{told}}}"#, serde_json::json!(facts))
    }

    fn of_export(artifact: &Artifact, member: &Json<'_>) -> Option<Self> {
        let facts = member.member("facts")?.elements().iter();
        let list = facts.map(|fact| hex_simd::decode_to_vec(fact.as_text()?).ok());
        let list: Vec<_> = list.collect::<Option<Vec<_>>>()?.concat();
        let told = to_text(member.member("told")?);
        Self::listed(artifact, &artifact.json, list.as_chunks().0.as_chunks().0, told)
    }

    /// Whether pipelines recorded and told nothing.
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty() && self.told == "{}"
    }
}

/// An activity without the artifact's id, and the digest of that. An activity is handed over from one artifact
/// to another, and stays the same then.
fn without_artifact_id(activity: &Json<'_>) -> (Short, String) {
    let mut activity = activity.clone();
    if let Json::Object(members) = &mut activity {
        members.shift_remove("artifact_id");
    }
    let text = to_text(&activity);
    (digest::short(&[&text]), text)
}

/// Fills in fields that are missing or empty.
fn fill<'a>(fields: &mut Members<'a>, more: Members<'a>) {
    for (name, value) in more {
        if !value.is_empty() && fields.get(&name).is_none_or(Json::is_empty) {
            fields.insert(name, value);
        }
    }
}

impl Artifact {
    /// The ids of the artifacts that pipelines may have made to stand for an image before its own record was
    /// known: one for the image alone, one for the image with its digest, and one for the digest in its
    /// repository.
    pub fn stand_in_ids(image: &str, digest: &str) -> Vec<String> {
        if image.is_empty() {
            return Vec::new();
        }
        let mut ids = vec![Self::stand_in_id(image, "")];
        if !digest.is_empty() {
            ids.push(Self::stand_in_id(image, digest));
            let by_digest = format!("{}@{digest}", repository(image));
            if by_digest != image {
                ids.push(Self::stand_in_id(&by_digest, digest));
            }
        }
        ids
    }

    /// The id of the artifact that is made where a pipeline records a fact of an image that no artifact has.
    /// It stands for the image, and for its digest where the fact names one, until it gives way to the
    /// image's own record.
    pub fn stand_in_id(image: &str, digest: &str) -> String {
        digest::of_texts(&["artifact", found_under(image), digest])
    }

    /// Whether the artifact only stands for its image: a pipeline's fact made it, and nobody recorded that it
    /// was built.
    pub fn is_stand_in(&self) -> bool {
        !self.is_built && self.artifact_id == Self::stand_in_id(&self.image, &self.image_digest)
    }

    /// The artifact without its activities. What stands for an image begins so.
    pub fn without_activities(&self) -> Self {
        let mut root = self.members();
        root.shift_remove("activities");
        self.changed(root).expect("an artifact stays one without its activities")
    }

    /// The activities of an artifact that stands for its image: pipelines recorded all of them, also those of
    /// which `recorded` does not say so.
    pub fn all_as_recorded(&self, recorded: Recorded) -> Recorded {
        let known: HashSet<_> = recorded.facts.iter().map(|fact| fact.digest).collect();
        let others = self.activities_by_digest().into_iter().filter(|(digest, _)| !known.contains(digest));
        let facts = others.map(|(digest, activity)| {
            let fact = digest::short(&["imported", &self.artifact_id, &activity]);
            RecordedFact { fact, digest, activity }
        });
        let told = serde_json::json!({ "image_digest": self.image_digest }).to_string();
        let others = Recorded { facts: facts.collect(), told };
        recorded.and(others)
    }

    /// The activities without the artifact's id, each with its digest.
    pub fn activities_by_digest(&self) -> Vec<(Short, String)> {
        let root = self.members();
        let activities = root.get("activities").map_or(&[][..], Json::elements);
        activities.iter().map(without_artifact_id).collect()
    }

    fn members(&self) -> Members<'_> {
        members(&self.json).expect("a checked artifact is an object")
    }

    /// The artifact with what pipelines recorded of it. An activity that it has already, equal in every field,
    /// is not added, but of two facts whose activities are equal there are two. A recorded activity comes behind
    /// those of the same time that the artifact had before.
    ///
    /// # Errors
    /// A recorded activity does not fit the documented types.
    pub fn with_recorded(&self, recorded: &Recorded) -> Result<Self, Problem> {
        let mut there = HashMap::<Short, usize>::new();
        for (digest, _) in self.activities_by_digest() {
            *there.entry(digest).or_default() += 1;
        }
        let mut root = self.members();
        let path = Path::ROOT.field("activities");
        let mut activities = match root.shift_remove("activities") {
            Some(Json::List(activities)) => activities,
            _ => Vec::new(),
        };
        for RecordedFact { digest, activity, .. } in &recorded.facts {
            if let Some(left) = there.get_mut(digest).filter(|left| **left > 0) {
                *left -= 1;
                continue;
            }
            let mut activity = members(activity)?;
            activity.insert("artifact_id".into(), Json::text(self.artifact_id.as_str()));
            activities.push(Json::Object(ACTIVITY.checked(activity, &path)?));
        }
        root.insert("activities".into(), Json::List(activities));
        fill(&mut root, members(&recorded.told)?);
        self.changed(root)
    }

    /// The artifact with another JSON.
    fn changed(&self, root: Members<'_>) -> Result<Self, Problem> {
        let artifact_id = required_text(&root, "id", &Path::ROOT)?;
        Ok(Self { credentials_dropped: self.credentials_dropped, ..Self::check(artifact_id, root)? })
    }

    pub(super) fn check(artifact_id: String, root: Members<'_>) -> Result<Self, Problem> {
        let mut root = root;
        let activities = match root.shift_remove("activities") {
            None | Some(Json::Null) => Vec::new(),
            Some(activities) => activities.into_elements(&Path::ROOT.field("activities"))?,
        };
        // Whatever the source has there is dropped: it is always worked out from the activities.
        root.shift_remove("sortedActivities");
        let recorded = root.shift_remove(RECORDED_BY_PIPELINES);
        let user_info_dropped = drop_user_info(&ARTIFACT, &mut root);
        let root = ARTIFACT.checked(root, &Path::ROOT)?;
        let activities = Activity::newest_first(activities, &artifact_id)?;
        let text = |name| text_of(&root, name).to_owned();
        let artifact = Self {
            name: text("name"),
            image: text("image"),
            image_digest: text("image_digest"),
            created_time: unix_seconds_of(&root, "created_time", &Path::ROOT)?,
            activities: activities.len(),
            is_built: activities.iter().any(|activity| activity.kind == "build"),
            credentials_dropped: activities
                .iter()
                .fold(user_info_dropped, |dropped, activity| dropped + activity.credentials_dropped),
            artifact_id,
            json: with_activities(to_text(&Json::Object(root)), &activities),
            recorded: Recorded::default(),
        };
        let Some(recorded) = recorded else { return Ok(artifact) };
        let path = Path::ROOT.field(RECORDED_BY_PIPELINES);
        let recorded = Recorded::of_export(&artifact, &recorded)
            .ok_or_else(|| path.problem("expected what an export says of the artifact's activities"))?;
        Ok(Self { recorded, ..artifact })
    }
}

fn members(text: &str) -> Result<Members<'_>, Problem> {
    Json::read_text(text)?.into_members(&Path::ROOT)
}

/// One activity: its JSON, and what it is sorted and grouped by.
struct Activity {
    kind: String,
    created_time: i128,
    json: String,
    credentials_dropped: usize,
}

impl Activity {
    /// Reads activities and sorts them, newest first. The sort is stable: equal times stay in the order in
    /// which they came.
    fn newest_first(activities: Vec<Json<'_>>, artifact_id: &str) -> Result<Vec<Self>, Problem> {
        let path = Path::ROOT.field("activities");
        let activities = activities.into_iter().enumerate();
        let mut activities = activities
            .map(|(index, activity)| Self::read(activity, artifact_id, &path.index(index)))
            .collect::<Result<Vec<_>, _>>()?;
        activities.sort_by_key(|activity| Reverse(activity.created_time));
        Ok(activities)
    }

    /// Reads one activity. One that does not name its artifact gets `artifact_id`.
    fn read(activity: Json<'_>, artifact_id: &str, path: &Path<'_>) -> Result<Self, Problem> {
        let mut activity = activity.into_members(path)?;
        let credentials_dropped = drop_credentials(&mut activity) + drop_user_info(&ACTIVITY, &mut activity);
        if activity.get("artifact_id").is_none_or(|id| matches!(id, Json::Null) || id.as_text() == Some("")) {
            activity.insert("artifact_id".into(), Json::text(artifact_id.to_owned()));
        }
        let activity = ACTIVITY.checked(activity, path)?;
        Ok(Self {
            kind: text_of(&activity, "type").to_owned(),
            created_time: integer_of(&activity, "created_time", path)?,
            json: to_text(&Json::Object(activity)),
            credentials_dropped,
        })
    }
}

/// Adds `activities` and, where there are any, `sortedActivities` to an artifact's JSON. Each activity's text
/// is in both.
fn with_activities(artifact: String, activities: &[Activity]) -> String {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for activity in activities {
        groups.entry(&activity.kind).or_default().push(&activity.json);
    }
    let all: Vec<_> = activities.iter().map(|activity| activity.json.as_str()).collect();
    let mut out = artifact;
    out.pop();
    out += ",\"activities\":[";
    out += &all.join(",");
    out.push(']');
    if !groups.is_empty() {
        let group = |(kind, group): (&str, Vec<&str>)| {
            format!("{}:[{}]", to_text(&Json::text(kind)), group.join(","))
        };
        let groups: Vec<_> = groups.into_iter().map(group).collect();
        out += ",\"sortedActivities\":{";
        out += &groups.join(",");
        out.push('}');
    }
    out.push('}');
    out
}

#[cfg(test)]
mod tests {
    use super::super::Record;
    use super::*;

    const REFERENCE: &str = include_str!("../../../samples/reference-artifact.json");

    fn check(text: &str) -> Result<Artifact, String> {
        match Record::check(text.as_bytes()).map_err(|problem| problem.to_string())? {
            Record::Artifact(artifact) => Ok(*artifact),
            Record::Release(_) => Err("a release".to_owned()),
        }
    }

    /// Expects an artifact, given as its members after the id.
    fn artifact(rest: &str) -> Result<Artifact, String> {
        check(&format!(r#"{{"id":"a","name":"n","image_tag":""{rest}}}"#))
    }

    /// The artifact's JSON after the fields that are always there.
    fn answered(rest: &str) -> String {
        let json = artifact(rest).unwrap().json;
        let always =
            r#"{"id":"a","name":"n","type":"","source":"","image_tag":"","created_by":"","created_time":0,"#;
        json.strip_prefix(always).unwrap().to_owned()
    }

    #[test]
    fn the_artifact_on_zadigs_page_comes_out_as_the_page_shows_it() {
        let artifact = check(REFERENCE).unwrap();
        let page: String =
            REFERENCE.lines().map(|line| line.trim_start().replacen("\": ", "\":", 1)).collect();
        assert_eq!(artifact.json, page);
        assert_eq!(artifact.artifact_id, "61b84bbcc19ba8cdb184cc53");
        assert_eq!(artifact.name, "picket");
        assert_eq!(
            artifact.image,
            "koderover.tencentcloudcr.com/koderover-demo/picket:20211214154446-70-main-pr-736"
        );
        assert_eq!(
            artifact.image_digest,
            "sha256:1d9ddf94feb5ff9ca9d76248ad51dd2a95210895d0dbf1e87bd66cc471c41f0e"
        );
        assert_eq!(artifact.created_time, 1_639_467_962);
        assert_eq!(check(&artifact.json), Ok(artifact));
    }

    #[test]
    fn fields_that_are_always_there_are_filled_in() {
        let artifact = check(r#"{"id":"a","source":null,"created_time":null,"image":""}"#).unwrap();
        assert_eq!(
            artifact.json,
            r#"{"id":"a","name":"","type":"","source":"","image_tag":"","created_by":"","created_time":0,"activities":[]}"#
        );
        assert_eq!(
            (artifact.image.as_str(), artifact.image_digest.as_str(), artifact.created_time),
            ("", "", 0)
        );
    }

    #[test]
    fn an_activity_and_its_commits_have_their_own_fields_that_are_always_there() {
        let activity = r#"{"artifact_id":"a","type":"","commits":[{"address":"","repo_owner":"","repo_name":"","branch":""}],"created_by":"","created_time":0}"#;
        assert_eq!(
            answered(r#","activities":[{"commits":[{}]}]"#),
            format!(r#""activities":[{activity}],"sortedActivities":{{"":[{activity}]}}}}"#)
        );
    }

    #[test]
    fn empty_fields_are_left_out() {
        let empty = r#","image":"","image_hash":"","image_digest":null,"image_size":-0,"architecture":"","os":"","docker_file":"","layers":[],"package_file_location":"","package_storage_uri":"""#;
        assert_eq!(answered(empty), r#""activities":[]}"#);
        let activity = r#","activities":[{"type":"t","content":"","url":"","job_task_name":"","commits":[],"issues":null,"namespace":"","env_name":"","publish_hosts":"","publish_namespaces":[],"remote_file_key":"","dist_storage_url":"","src_storage_url":"","start_time":0,"end_time":0}]"#;
        let kept = r#"[{"artifact_id":"a","type":"t","created_by":"","created_time":0}]"#;
        assert_eq!(answered(activity), format!(r#""activities":{kept},"sortedActivities":{{"t":{kept}}}}}"#));
        let commit = r#","activities":[{"type":"t","commits":[{"source":"","pr":0,"prs":[],"tag":"","commit_id":"","commit_message":"","author_name":null,"other":""}]}]"#;
        assert!(
            answered(commit)
                .contains(r#"[{"address":"","repo_owner":"","repo_name":"","branch":"","other":""}]"#)
        );
    }

    #[test]
    fn fields_come_in_the_documented_order_and_unknown_ones_after_them() {
        let json = artifact(
            r#","zz":1e2,"layers":[{"size":1}],"created_time":5,"image_tag":"t","image_hash":"h","image":"i","sortedActivities":7,"activities":[],"aa":null"#,
        );
        assert_eq!(
            json.unwrap().json,
            r#"{"id":"a","name":"n","type":"","source":"","image":"i","image_hash":"h","image_tag":"t","layers":[{"size":1}],"created_by":"","created_time":5,"zz":1e2,"aa":null,"activities":[]}"#
        );
    }

    #[test]
    fn activities_are_newest_first_and_grouped_anew() {
        let json = answered(
            r#","sortedActivities":{"old":[]},"activities":[
                {"type":"deploy","created_time":1,"x":1},{"type":"build","created_time":3},
                {"type":"deploy","created_time":3,"x":2},{"type":"Zip","created_time":-4}]"#,
        );
        let activity = |kind: &str, time: i64, rest: &str| {
            format!(r#"{{"artifact_id":"a","type":"{kind}","created_by":"","created_time":{time}{rest}}}"#)
        };
        let (build, late) = (activity("build", 3, ""), activity("deploy", 3, r#","x":2"#));
        let (early, zip) = (activity("deploy", 1, r#","x":1"#), activity("Zip", -4, ""));
        assert_eq!(
            json,
            format!(
                r#""activities":[{build},{late},{early},{zip}],"sortedActivities":{{"Zip":[{zip}],"build":[{build}],"deploy":[{late},{early}]}}}}"#
            )
        );
    }

    #[test]
    fn an_activitys_own_artifact_id_stays() {
        assert!(answered(r#","activities":[{"artifact_id":"b"}]"#).contains(r#"{"artifact_id":"b","#));
        assert!(answered(r#","activities":[{"artifact_id":null}]"#).contains(r#"{"artifact_id":"a","#));
        assert!(answered(r#","activities":[{"artifact_id":""}]"#).contains(r#"{"artifact_id":"a","#));
    }

    #[test]
    fn an_activity_type_that_needs_escaping_is_escaped_in_the_keys_of_sorted_activities() {
        let json = answered(r#","activities":[{"type":"a\"\u00e9"},{"type":"a\u0022é"}]"#);
        assert!(json.contains(r#""sortedActivities":{"a\"é":[{"#));
    }

    #[test]
    fn credentials_are_dropped_from_activities_and_counted_once() {
        let rest = r#","activities":[{"type":"b","commits":[{"password":"p","deep":{"ssh_key":"k"},"oauth_token":"t"}]}]"#;
        let found = artifact(rest).unwrap();
        assert_eq!(found.credentials_dropped, 3);
        assert!(found.json.contains(r#""branch":"","deep":{},"oauth_token":""}"#));
        assert!(!found.json.contains("password") && !found.json.contains("ssh_key"));
        let elsewhere = r#","activities":[{"type":"b","issues":[{"key":"A-1","password":"p"}],"subCommits":[{"username":"u","id":1}],"private_access_token":"t"}]"#;
        let found = artifact(elsewhere).unwrap();
        assert_eq!(found.credentials_dropped, 3);
        assert!(found.json.contains(
            r#""issues":[{"key":"A-1"}],"created_by":"","created_time":0,"subCommits":[{"id":1}]}"#
        ));
    }

    #[test]
    fn fields_of_another_type_are_refused_with_their_path() {
        for (rest, expected) in [
            (r#","id":"""#, "$.id: expected a non-empty string, found an empty one"),
            (r#","id":5"#, "$.id: expected a non-empty string, found a number"),
            (r#","image":["i"]"#, "$.image: expected a string, found a list"),
            (r#","image_size":"1""#, "$.image_size: expected an integer, found a string"),
            (
                r#","image_size":1e3"#,
                "$.image_size: expected an integer, found a number with a fraction or an exponent",
            ),
            (
                r#","created_time":1639467962000"#,
                "$.created_time: expected Unix seconds, 0 to 999999999999, found 1639467962000, which looks like milliseconds",
            ),
            (r#","activities":{}"#, "$.activities: expected a list, found an object"),
            (r#","activities":[{},null]"#, "$.activities[1]: expected an object, found null"),
            (
                r#","activities":[{"created_time":"1"}]"#,
                "$.activities[0].created_time: expected an integer, found a string",
            ),
            (
                r#","activities":[{"commits":"x"}]"#,
                "$.activities[0].commits: expected a list, found a string",
            ),
            (
                r#","activities":[{"commits":[{},{"pr":"1"}]}]"#,
                "$.activities[0].commits[1].pr: expected an integer, found a string",
            ),
            (
                r#","activities":[{"commits":[{"password":"x","address":{}}]}]"#,
                "$.activities[0].commits[0].address: expected a string, found an object",
            ),
        ] {
            assert_eq!(artifact(rest).expect_err("a problem"), expected);
        }
    }

    #[test]
    fn what_was_recorded_is_found_in_a_document_of_another_form_and_counts_in_todays() {
        let recorded =
            r#"{"type":"deploy","namespace":"","env_name":"prod","created_by":"ci","created_time":7}"#;
        let document = format!(
            r#"{{"id":"a","name":"n","image_tag":"","activities":[{{"type":"build","created_time":9}},{recorded}]}}"#
        );
        let artifact = check(&document).unwrap();
        let digest = without_artifact_id(&Json::read_text(recorded).unwrap()).0;
        let listed = Recorded::listed(&artifact, &document, &[[[1; 8], digest]], "{}".to_owned()).unwrap();
        let today = artifact.activities_by_digest()[1].clone();
        assert_ne!(today.0, digest);
        assert_eq!((listed.facts[0].fact, &listed.facts[0].activity), ([1; 8], &today.1));
        assert_eq!(artifact.with_recorded(&listed).unwrap().json, artifact.json);
        assert_eq!(Recorded::listed(&artifact, &document, &[[[1; 8], [2; 8]]], "{}".to_owned()), None);
        assert_eq!(Recorded::listed(&artifact, &document, &[], r#"{"image_size":"x"}"#.to_owned()), None);
    }

    #[test]
    fn an_activitys_times_are_not_held_to_a_range() {
        assert!(answered(r#","activities":[{"created_time":1639467964000}]"#).contains("1639467964000"));
    }
}
