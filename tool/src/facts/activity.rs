//! Records activities: what happened to an image is added to its artifact.

use delivery_center::image_reference::found_under;
use delivery_center::position::UnixSeconds;
use serde_json::{Map, Value, json};

use super::artifact_of_image::Target;
use super::image::NamedImage;
use super::outcome::{FactError, FactOutcome, Recorded, refused, wait_after};
use crate::record::{self, Artifact, Problem, Record};
use crate::retries::Patience;
use crate::write::{
    ArtifactState, Commit, FactKey, FoundArtifact, HandedOver, KeyItem, PackedArtifact, Writer,
};

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
        match Box::pin(attempt(writer, activity, &mut target)).await {
            Err(error) if error.is_unreachable() && wait_after(&error, patience).await => {}
            ended => return ended,
        }
    }
}

/// One attempt:
///
/// 1. The artifact is found. That is done once: `known` keeps it for the next attempt.
/// 2. All that is stored of the artifact is read. If it holds this fact already, nothing is written.
/// 3. The artifact with the new activity is written, on the condition that the artifact is as it was read. If it
///    is not, the attempt ends as [`FactError::Contended`], and the next one reads it again.
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
    let fact = activity.fact_key();
    if state.holds(&fact) {
        return Ok(recorded_before(state));
    }
    let key = match &activity.idempotency_key {
        None => None,
        Some(_) => Some(writer.key_item(&fact).await?),
    };
    if let Some(id) = key.as_ref().and_then(KeyItem::artifact_id) {
        let other = writer.artifact_state(&FoundArtifact::by_id(id.clone())).await?;
        if other.holds(&fact) {
            return Ok(recorded_before(other));
        }
    }
    let id = state.artifact_id.clone();
    let new = match state.artifact {
        Some(_) => None,
        None => Some(activity.new_artifact(&id)?),
    };
    let artifact = state.artifact.as_ref().or(new.as_ref()).expect("it is there, or new");
    let recorded = activity.recorded(&fact);
    let recorded =
        recorded.map_err(|source| FactError::Invalid { record: format!("artifact {id:?}"), source })?;
    let recorded = state.recorded.clone().and(recorded);
    let unstorable = |unstorable| refused(format!("artifact {id:?}: {unstorable}"));
    let packed = |recorded| PackedArtifact::with_recorded(artifact, recorded).map_err(unstorable);
    let mut artifact = packed(recorded.clone())?;
    // An artifact that is built now is the image's own: what stood for the image gives way to it.
    let mut handed_over = HandedOver::default();
    if activity.kind == ActivityKind::Build
        && !state.artifact.as_ref().is_some_and(|artifact| artifact.is_built)
    {
        handed_over = writer.handed_over_to(&artifact.artifact).await?;
        if !handed_over.recorded.is_empty() {
            artifact = packed(recorded.and(std::mem::take(&mut handed_over.recorded)))?;
        }
    }
    let json = artifact.artifact.json.clone();
    let commit = Commit { handed_over, idempotency_key: key.as_ref(), ..Commit::of(&state, &artifact) };
    if !writer.commit(commit).await? {
        tracing::debug!(image = %activity.image, "the artifact changed meanwhile; it is read again");
        return Err(FactError::Contended);
    }
    let outcome = if new.is_some() { FactOutcome::Made } else { FactOutcome::Added };
    Ok(Recorded { outcome, id, json })
}

fn recorded_before(state: ArtifactState) -> Recorded {
    let json = state.artifact.as_ref().map_or_else(|| "null".to_owned(), |artifact| artifact.json.clone());
    Recorded { outcome: FactOutcome::Already, id: state.artifact_id, json }
}

impl Activity {
    /// The key by which the fact is known: the one that the caller gives, or else all that it says.
    pub(super) fn fact_key(&self) -> FactKey {
        if let Some(key) = &self.idempotency_key {
            return FactKey::new(&["key", self.kind.as_str(), found_under(&self.image.to_string()), key]);
        }
        let fields = Value::from(self.fields.clone()).to_string();
        FactKey::new(&["fact", self.kind.as_str(), &fields, &self.given_urls.join(",")])
    }

    fn recorded(&self, fact: &FactKey) -> Result<record::Recorded, Problem> {
        let mut told = self.artifact_fields.clone();
        told.insert("image_digest".to_owned(), self.digest_text().into());
        record::Recorded::of(fact.short(), &self.json().to_string(), &Value::from(told).to_string())
    }

    fn json(&self) -> Value {
        let mut activity = self.fields.clone();
        activity.insert("type".to_owned(), self.kind.as_str().into());
        activity.insert("created_by".to_owned(), self.created_by.as_str().into());
        activity.insert("created_time".to_owned(), self.created_time.into());
        activity.into()
    }

    /// The artifact that is made where the image has none.
    fn new_artifact(&self, artifact_id: &str) -> Result<Artifact, FactError> {
        let artifact = json!({
            "id": artifact_id,
            "name": self.image.name(),
            "type": "image",
            "source": "workflow",
            "image": self.image.as_pushed(),
            "image_tag": self.image.tag.as_deref().unwrap_or_default(),
            "image_digest": self.digest_text(),
            "created_by": self.created_by,
            "created_time": self.created_time,
            "activities": [],
        });
        match Record::check(artifact.to_string().as_bytes()) {
            Ok(Record::Artifact(artifact)) => Ok(*artifact),
            Ok(Record::Release(_)) => unreachable!("it has no `versionInfo`"),
            Err(source) => Err(FactError::Invalid { record: format!("artifact {artifact_id:?}"), source }),
        }
    }
}
