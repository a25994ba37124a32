//! Reads one record of the API's JSON: of any Zadig, or of an export.

use std::borrow::Cow;

use super::zadig_collections::Collection;
use super::zadig4;
use crate::json::{Json, Members, Path, Problem, to_text};
use crate::record::{NO_ARTIFACT, UncheckedRecord, is_exported_artifact, names_an_artifact, required_text};

/// A record of which it is known which one it is. The rest of it is not checked yet.
pub(crate) struct ApiRecord<'a> {
    /// [`Collection::Version`] or [`Collection::Artifact`].
    pub(crate) family: Collection,
    pub(crate) id: String,
    /// The documented JSON.
    pub(crate) text: Cow<'a, str>,
}

/// An object of the API.
pub(crate) enum ApiObject<'a> {
    Record(ApiRecord<'a>),
    /// A release in the list of Zadig 4, which leaves out what was released.
    ListEntry {
        id: String,
        project: String,
    },
}

impl<'a> ApiObject<'a> {
    pub(crate) fn read(text: &'a [u8]) -> Result<Self, Problem> {
        let object = Json::read(text)?.into_members(&Path::ROOT)?;
        if !object.contains_key("versionInfo") && zadig4::is_release(&object) {
            if object.get("services").is_some_and(|services| *services != Json::Null) {
                return zadig4_release(object).map(Self::Record);
            }
            let id = required_text(&object, "id", &Path::ROOT)?;
            return Ok(Self::ListEntry { id, project: required_text(&object, "project_name", &Path::ROOT)? });
        }
        let is_artifact = names_an_artifact(&object);
        if zadig4::lacks_project(&object) && !is_artifact && !is_exported_artifact(text) {
            return Err(Path::ROOT.field("project_name").problem(
                "expected a text, found nothing: a release of Zadig 4, or its entry in a list, names its project",
            ));
        }
        let UncheckedRecord { id, is_release, .. } = UncheckedRecord::of(object)?;
        if !is_release && !is_artifact && !is_exported_artifact(text) {
            return Err(Path::ROOT.problem(NO_ARTIFACT));
        }
        let family = if is_release { Collection::Version } else { Collection::Artifact };
        let text = str::from_utf8(text).expect("a record that was read is UTF-8").into();
        Ok(Self::Record(ApiRecord { family, id, text }))
    }
}

impl<'a> ApiRecord<'a> {
    /// Reads a record of a file.
    pub(crate) fn read(text: &'a [u8]) -> Result<Self, Problem> {
        match ApiObject::read(text)? {
            ApiObject::Record(record) => Ok(record),
            ApiObject::ListEntry { .. } => Err(Path::ROOT.field("services").problem(
                "expected a list, found nothing: the list of Zadig 4 leaves out what was released; import with --zadig, or \
                 give what GET /api/aslan/delivery/releases/ID answers",
            )),
        }
    }

    /// Reads what Zadig 4 answers when it is asked for one release.
    pub(crate) fn read_zadig4(text: &'a [u8]) -> Result<Self, Problem> {
        zadig4_release(Json::read(text)?.into_members(&Path::ROOT)?)
    }
}

fn zadig4_release(object: Members<'_>) -> Result<ApiRecord<'_>, Problem> {
    let id = required_text(&object, "id", &Path::ROOT)?;
    // In the database, everything else has the same name.
    let names =
        object.into_iter().map(|(name, value)| (if name == "id" { "_id".into() } else { name }, value));
    let text = to_text(&zadig4::documented(names.collect())?);
    Ok(ApiRecord { family: Collection::Version, id, text: text.into() })
}
