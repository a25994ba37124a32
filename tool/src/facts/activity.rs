//! Records activities: what happened to an image is added to its artifact.

use delivery_center::position::UnixSeconds;
use serde_json::{Map, Value, json};

use super::artifact_of_image::Target;
use super::image::NamedImage;
use super::outcome::{FactError, FactOutcome, Recorded, refused, wait_after};
use crate::record::{Artifact, Record, RecordedActivity};
use crate::retries::Patience;
use crate::write::{ArtifactState, Fact, FactKey, FoundArtifact, PackedArtifact, Writer};

/// What happened to an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActivityKind {
    /// It was built.
    Build,
    /// It was deployed.
    Deploy,
    /// It was tested.
    Test,
    /// It was published.
    Publish,
}

/// One fact about an image.
#[derive(Debug, Clone)]
pub struct Activity {
    /// What happened.
    pub kind: ActivityKind,
    /// The image that it happened to.
    pub image: NamedImage,
    /// The activity's other fields, named as in the API.
    pub fields: Map<String, Value>,
    /// Digests of the URLs in `fields` as they were given, with queries and fragments. They tell facts apart,
    /// as the fields do.
    pub given_urls: Vec<String>,
    /// Fields of the artifact that are known; they are added where the stored artifact lacks them.
    pub artifact_fields: Map<String, Value>,
    /// Who did it.
    pub created_by: String,
    /// When it was done.
    pub created_time: UnixSeconds,
    /// Tells this fact from others of its kind about the same image. Without it, the fact's fields do.
    pub idempotency_key: Option<String>,
}

impl ActivityKind {
    /// The activity's `type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Deploy => "deploy",
            Self::Test => "test",
            Self::Publish => "publish",
        }
    }
}

/// Adds an activity to the artifact of its image. Where there is no such artifact, it makes one.
///
/// # Errors
/// [`FactError`]. One that may pass is tried again until `patience` ends.
pub async fn record_activity(
    writer: &Writer,
    activity: &Activity,
    patience: &mut Patience,
) -> Result<Recorded, FactError> {
    let mut target = None;
    loop {
        match attempt(writer, activity, &mut target).await {
            Err(error) if error.is_unreachable() && wait_after(&error, patience).await => {}
            ended => return ended,
        }
    }
}

/// One attempt:
///
/// 1. The artifact is found. That is done once: `known` keeps it for the next attempt.
/// 2. All that is stored of the artifact is read. If it holds this fact already, nothing is written.
/// 3. The artifact with the new activity is written together with the fact, on the condition that the
///    artifact is as it was read. If it is not, the attempt ends as [`FactError::Contended`], and the next
///    one reads it again.
async fn attempt(
    writer: &Writer,
    activity: &Activity,
    known: &mut Option<Target>,
) -> Result<Recorded, FactError> {
    let target = match known {
        Some(target) => target.clone(),
        None => known.insert(activity.target(writer).await?).clone(),
    };
    let state = activity.state(writer, target).await?;
    let (key, others) = activity.fact_keys(&state.artifact_id);
    if state.holds(&key) || others.iter().any(|other| state.holds(other)) {
        return Ok(recorded_before(state));
    }
    let named = writer.artifact_named_by(&key).await?;
    if let (Some(_), Some(id)) = (&activity.idempotency_key, &named) {
        let other = writer.artifact_state(&FoundArtifact::by_id(id.clone())).await?;
        if other.holds(&key) {
            return Ok(recorded_before(other));
        }
    }
    let fact = Fact { key, recorded: activity.recorded(), recorded_at: activity.created_time, named };
    let id = state.artifact_id.clone();
    let invalid = |source| FactError::Invalid { record: format!("artifact {id:?}"), source };
    let artifact = activity.artifact(&id, state.json())?;
    let artifact = artifact.with_recorded(std::slice::from_ref(&fact.recorded)).map_err(invalid)?;
    let json = artifact.json.clone();
    if !writer.record_fact(&state, &PackedArtifact::new(artifact)?, &fact).await? {
        tracing::debug!(image = %activity.image, "the artifact changed meanwhile; it is read again");
        return Err(FactError::Contended);
    }
    let outcome = if state.json().is_some() { FactOutcome::Added } else { FactOutcome::Made };
    Ok(Recorded { outcome, id, json })
}

fn recorded_before(state: ArtifactState) -> Recorded {
    let json = state.json().unwrap_or("null").to_owned();
    Recorded { outcome: FactOutcome::Already, id: state.artifact_id, json }
}

impl Activity {
    /// The key by which the fact is known, and other keys by which it may be known already.
    ///
    /// A key given by the caller is the only one. Otherwise the key holds the artifact's id. The same fact
    /// may have been recorded before, of an artifact that stood in for the image and has given way since;
    /// then its key holds that id.
    fn fact_keys(&self, artifact_id: &str) -> (FactKey, Vec<FactKey>) {
        if let Some(key) = &self.idempotency_key {
            return (FactKey::new(&["key", self.kind.as_str(), &self.image.to_string(), key]), Vec::new());
        }
        let fields = Value::from(self.fields.clone()).to_string();
        let urls = self.given_urls.join(",");
        let key_of = |id: &str| FactKey::new(&["fact", self.kind.as_str(), id, &fields, &urls]);
        let stand_ins = Artifact::stand_in_ids(&self.image.as_pushed(), &self.digest_text());
        (key_of(artifact_id), stand_ins.iter().map(|id| key_of(id)).collect())
    }

    fn recorded(&self) -> RecordedActivity {
        let mut artifact_fields = self.artifact_fields.clone();
        artifact_fields.insert("image_digest".to_owned(), self.digest_text().into());
        RecordedActivity {
            activity: self.json().to_string(),
            artifact_fields: Value::from(artifact_fields).to_string(),
        }
    }

    /// The artifact without this activity, as the API answers it.
    fn artifact(&self, artifact_id: &str, stored: Option<&str>) -> Result<Artifact, FactError> {
        match stored {
            Some(json) => checked(artifact_id, json),
            None => checked(artifact_id, &self.new_artifact(artifact_id)),
        }
    }

    fn json(&self) -> Value {
        let mut activity = self.fields.clone();
        activity.insert("type".to_owned(), self.kind.as_str().into());
        activity.insert("created_by".to_owned(), self.created_by.as_str().into());
        activity.insert("created_time".to_owned(), self.created_time.into());
        activity.into()
    }

    fn new_artifact(&self, artifact_id: &str) -> String {
        let artifact = json!({
            "id": artifact_id,
            "name": self.image.name(),
            "type": "image",
            "source": "workflow",
            "image": self.image.as_pushed(),
            "image_tag": self.image.tag.as_deref().unwrap_or_default(),
            "created_by": self.created_by,
            "created_time": self.created_time,
            "activities": [],
        });
        artifact.to_string()
    }
}

pub(super) fn checked(artifact_id: &str, json: &str) -> Result<Artifact, FactError> {
    match Record::check(json.as_bytes()) {
        Ok(Record::Artifact(artifact)) => Ok(*artifact),
        Ok(Record::Release(_)) => Err(refused(format!("artifact {artifact_id:?} is stored as a release"))),
        Err(source) => Err(FactError::Invalid { record: format!("artifact {artifact_id:?}"), source }),
    }
}
