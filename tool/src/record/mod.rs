//! Checks one input record, a release or an artifact, and brings it to the JSON that the API answers.

mod artifact;
mod credentials;
mod differences;
pub(crate) mod fields;
mod release;
mod shape;

pub use artifact::{Artifact, Recorded, RecordedFact};
pub(crate) use artifact::{NO_ARTIFACT, names_an_artifact};
pub(crate) use credentials::{drop_credentials, drop_user_info};
pub use differences::differences;
pub use release::Release;
pub(crate) use shape::required_text;

pub use crate::json::Problem;
use crate::json::{Json, Members, Path};

/// An object with an `id` is an artifact where it has one of these fields, too. `name` is not one of them,
/// since nearly every object has a name.
const ARTIFACT_MARKS: [&str; 8] = [
    "image",
    "image_tag",
    "image_digest",
    "image_hash",
    "activities",
    "sortedActivities",
    "created_time",
    "type",
];

/// One input record that fits the documented types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// An object that holds `versionInfo`.
    Release(Box<Release>),
    /// An object that holds `id` and another field of an artifact.
    Artifact(Box<Artifact>),
}

/// A record that was read, so that it is known which one it is. The rest of it is not checked yet.
#[derive(Debug)]
pub(crate) struct UncheckedRecord<'a> {
    /// Whether it is a release; otherwise it is an artifact. One of either may have the same id.
    pub(crate) is_release: bool,
    pub(crate) id: String,
    root: Members<'a>,
}

impl Record {
    /// Checks one record's JSON text.
    ///
    /// # Errors
    /// The text is not UTF-8, not JSON, nested too deeply, neither a release nor an artifact, or has a
    /// documented field of another type. The problem names the first field that does not fit.
    pub fn check(text: &[u8]) -> Result<Self, Problem> {
        UncheckedRecord::read(text)?.check()
    }
}

impl<'a> UncheckedRecord<'a> {
    fn read(text: &'a [u8]) -> Result<Self, Problem> {
        Self::of(Json::read(text)?.into_members(&Path::ROOT)?)
    }

    pub(crate) fn of(root: Members<'a>) -> Result<Self, Problem> {
        if let Some(version_info) = root.get("versionInfo") {
            let path = Path::ROOT.field("versionInfo");
            let Json::Object(version_info) = version_info else {
                return Err(version_info.unexpected("an object", &path));
            };
            let id = required_text(version_info, "id", &path)?;
            return Ok(Self { is_release: true, id, root });
        }
        if root.contains_key("id") && ARTIFACT_MARKS.iter().any(|name| root.contains_key(*name)) {
            let id = required_text(&root, "id", &Path::ROOT)?;
            return Ok(Self { is_release: false, id, root });
        }
        Err(Path::ROOT.problem(
            "expected a release (an object with `versionInfo`) or an artifact (an object with `id`, `image`, `image_digest` and so on)",
        ))
    }

    fn check(self) -> Result<Record, Problem> {
        Ok(if self.is_release {
            Record::Release(Box::new(Release::check(self.id, self.root)?))
        } else {
            Record::Artifact(Box::new(Artifact::check(self.id, self.root)?))
        })
    }
}

/// Whether a text is an artifact as an export writes it: just as it is answered, and perhaps with what
/// pipelines recorded of it.
pub(crate) fn is_exported_artifact(text: &[u8]) -> bool {
    match Record::check(text) {
        Ok(Record::Artifact(artifact)) => {
            artifact.json.strip_suffix('}').is_some_and(|answer| text.starts_with(answer.as_bytes()))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELEASE: &str = include_str!("../../../samples/reference-release.json");
    const ARTIFACT: &str = include_str!("../../../samples/reference-artifact.json");

    fn problem(text: impl AsRef<[u8]>) -> String {
        Record::check(text.as_ref()).expect_err("a problem").to_string()
    }

    #[test]
    fn an_object_with_version_info_is_a_release() {
        let record = Record::check(br#"{"id":"a","image":"i","versionInfo":{"id":"r"}}"#).unwrap();
        assert!(matches!(record, Record::Release(_)));
    }

    #[test]
    fn an_object_with_an_id_and_another_field_of_an_artifact_is_an_artifact() {
        for mark in ARTIFACT_MARKS {
            let record = Record::check(format!(r#"{{"id":"a","{mark}":null}}"#).as_bytes()).unwrap();
            assert!(matches!(record, Record::Artifact(_)), "{mark}");
        }
    }

    #[test]
    fn an_object_that_is_neither_is_refused_and_the_problem_says_what_was_expected() {
        let expected = "$: expected a release (an object with `versionInfo`) or an artifact (an object with `id`, `image`, `image_digest` and so on)";
        assert_eq!(problem("{}"), expected);
        assert_eq!(problem(r#"{"id":"a","name":"n"}"#), expected);
        assert_eq!(problem(r#"{"code":404,"type":"error"}"#), expected);
    }

    #[test]
    fn a_text_that_is_not_an_object_is_refused() {
        assert_eq!(problem("null"), "$: expected an object, found null");
        assert_eq!(problem("[{}]"), "$: expected an object, found a list");
        assert_eq!(problem("\"x\""), "$: expected an object, found a string");
        assert_eq!(problem("12"), "$: expected an object, found a number");
        assert_eq!(problem("true"), "$: expected an object, found a boolean");
    }

    #[test]
    fn no_truncated_record_is_taken_for_whole() {
        for text in [RELEASE.trim().trim_matches(['[', ']']).trim(), ARTIFACT.trim()] {
            assert!(Record::check(text.as_bytes()).is_ok());
            for end in 0..text.len() {
                assert!(Record::check(&text.as_bytes()[..end]).is_err(), "{end} bytes");
            }
        }
    }

    /// The record's whole JSON, as it is answered.
    fn answer(record: &Record) -> String {
        match record {
            Record::Release(release) => {
                format!(r#"{{"versionInfo":{},{}}}"#, release.version_info, release.sections)
            }
            Record::Artifact(artifact) => artifact.json.clone(),
        }
    }

    /// Whether a record is a release, and its id.
    fn identity(record: &Record) -> (bool, &str) {
        match record {
            Record::Release(release) => (true, &release.release_id),
            Record::Artifact(artifact) => (false, &artifact.artifact_id),
        }
    }

    #[track_caller]
    fn assert_same_identity(text: &[u8], record: &Record) {
        let unchecked = UncheckedRecord::read(text).unwrap();
        assert_eq!((unchecked.is_release, unchecked.id.as_str()), identity(record));
    }

    #[test]
    fn a_record_has_the_same_identity_before_and_after_its_check() {
        for text in [
            r#"{"versionInfo":{"id":"r","id":"s"}}"#,
            r#"{"id":5,"versionInfo":{"id":"s"}}"#,
            r#"{"versionInfo":7,"versionInfo":{"id":"s"}}"#,
            " {\r\n\"image\" : null, \"i\\u0064\" :\t\"\\u0073\" } ",
            r#"{"id":{},"id":"s","type":"image"}"#,
            RELEASE.trim().trim_matches(['[', ']']),
            ARTIFACT,
        ] {
            let record = Record::check(text.as_bytes()).expect(text);
            assert_same_identity(text.as_bytes(), &record);
        }
        for text in ["", "[]", "{", r#"{"id":7}"#, r#"{"id":"a","versionInfo":null}"#] {
            assert!(UncheckedRecord::read(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_spoiled_record_is_refused_or_comes_out_in_a_form_that_passes_unchanged() {
        let release = r#"{"versionInfo":{"id":"r","taskId":1,"labels":null},"zz":-0.5e1,"deployInfo":[{"serviceName":"\ud83d\ude00","containerName":"c","envs":null}]}"#;
        let artifact = r#"{"id":"a","image":"i","activities":[{"type":"b","created_time":1,"commits":[{"tag":"\"","pr":0}]},{"created_time":12}],"x":[1,{}]}"#;
        for text in [release, artifact] {
            for place in 0..text.len() {
                for byte in 0..=u8::MAX {
                    let mut spoiled = text.as_bytes().to_vec();
                    spoiled[place] = byte;
                    if let Ok(record) = Record::check(&spoiled) {
                        assert_same_identity(&spoiled, &record);
                        assert_eq!(Record::check(answer(&record).as_bytes()), Ok(record));
                    }
                }
            }
        }
    }

    #[test]
    fn a_record_that_is_nested_too_deeply_is_refused_without_overflowing_the_stack() {
        let deep = format!("{}{}", "{\"a\":[".repeat(500_000), "]}".repeat(500_000));
        let text = format!(r#"{{"id":"a","activities":[{{"commits":[{deep}]}}]}}"#);
        assert!(problem(text).contains("nested more than 100 levels deep"));
    }
}
