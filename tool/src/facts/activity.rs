//! Records activities: what happened to an image is added to its artifact.

use delivery_center::image_reference::ImageDigest;
use delivery_center::position::UnixSeconds;
use serde_json::{Map, Value, json};

use super::image::NamedImage;
use super::outcome::{FactError, FactOutcome, Recorded, refused, wait_after};
use crate::record::{Artifact, Record, RecordedActivity};
use crate::retries::{LAGGING_LOOK_UP, Patience};
use crate::write::{ArtifactState, Fact, FactKey, FoundArtifact, PackedArtifact, WantedArtifact, Writer};

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
    /// Digests of the URLs in `fields` as they were given, with queries and fragments. They tell facts apart, as the fields do.
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

/// The artifact that an activity goes to.
#[derive(Debug, Clone)]
enum Target {
    Known(FoundArtifact),
    /// An artifact of the build's tag, without a digest: a deployment made it before the build was recorded. The build may take
    /// it only as long as no other build has.
    WithoutBuild(FoundArtifact),
    New,
}

/// One attempt:
///
/// 1. The artifact is found. That is done once: `known` keeps it for the next attempt.
/// 2. All that is stored of the artifact is read. If it holds this fact already, nothing is written.
/// 3. The artifact with the new activity is written together with the fact, on the condition that the artifact is as it was
///    read. If it is not, the attempt ends as [`FactError::Contended`], and the next one reads it again.
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
    async fn target(&self, writer: &Writer) -> Result<Target, FactError> {
        let found = match &self.image.digest {
            Some(digest) => self.target_of_digest(writer, digest).await?,
            None => self.target_of_tag(writer).await?,
        };
        Ok(found.unwrap_or(Target::New))
    }

    async fn target_of_digest(
        &self,
        writer: &Writer,
        digest: &ImageDigest,
    ) -> Result<Option<Target>, FactError> {
        if self.image.repository.is_empty() {
            let found = writer.find_artifact(WantedArtifact::Digest(digest)).await?;
            return found.map(|found| Some(Target::Known(found))).ok_or_else(|| {
                refused(format!(
                    "no artifact of {digest} is recorded: give the image's name too, as --image NAME@{digest}"
                ))
            });
        }
        let image = self.image.as_pushed();
        let is_build_of_tag = self.kind == ActivityKind::Build && self.image.tag.is_some();
        // A build that takes this artifact moves it to its digest: whoever does not find it here any more finds it there.
        let without_digest = if is_build_of_tag {
            writer.find_artifact(WantedArtifact::WithoutDigest(&image)).await?
        } else {
            None
        };
        if let Some(found) = writer.find_artifact(WantedArtifact::DigestAndImage(digest, &image)).await? {
            return Ok(Some(Target::Known(found)));
        }
        // The repository is enough for anything but a build. A build under a new tag is to be found by that tag, so it becomes
        // an artifact of its own.
        if is_build_of_tag {
            return Ok(without_digest.map(Target::WithoutBuild));
        }
        let wanted = WantedArtifact::DigestAndRepository(digest, &self.image.repository);
        Ok(writer.find_artifact(wanted).await?.map(Target::Known))
    }

    async fn target_of_tag(&self, writer: &Writer) -> Result<Option<Target>, FactError> {
        let image = self.image.as_pushed();
        let mut patience = Patience::new(LAGGING_LOOK_UP);
        loop {
            if let Some(found) = writer.find_artifact(WantedArtifact::Image(&image)).await? {
                return Ok(Some(Target::Known(found)));
            }
            if !patience.wait().await {
                break;
            }
        }
        if let Some(found) = writer.find_artifact(WantedArtifact::WithoutDigest(&image)).await? {
            return Ok(Some(Target::Known(found)));
        }
        if self.kind == ActivityKind::Build {
            return Err(refused(format!(
                "the build of {image} has no digest, and no earlier record of that tag has one: give --digest sha256:..., \
                 or --metadata-file FILE as docker buildx build writes it, or --image NAME:TAG@sha256:..."
            )));
        }
        Ok(None)
    }

    async fn state(&self, writer: &Writer, target: Target) -> Result<ArtifactState, FactError> {
        let found = match target {
            Target::Known(found) => found,
            Target::WithoutBuild(found) => {
                let state = writer.artifact_state(&found).await?;
                // Another build may have taken the artifact meanwhile.
                let is_free = match state.json() {
                    Some(json) => {
                        let artifact = checked(&state.artifact_id, json)?;
                        artifact.image_digest.is_empty() && !artifact.is_built
                    }
                    None => false,
                };
                if is_free {
                    return Ok(state);
                }
                // The other build may be of this image, or be this very one, which did not read that it was recorded.
                match self.target(writer).await? {
                    Target::Known(found) => found,
                    Target::WithoutBuild(_) | Target::New => {
                        return Ok(writer.stand_in_state(self.new_artifact_id()).await?);
                    }
                }
            }
            Target::New => return Ok(writer.stand_in_state(self.new_artifact_id()).await?),
        };
        Ok(writer.artifact_state(&found).await?)
    }

    /// The id of a new artifact. It is made from the image and its digest, so that all who find no artifact make the same one.
    fn new_artifact_id(&self) -> String {
        Artifact::stand_in_id(&self.image.as_pushed(), &self.digest_text())
    }

    fn digest_text(&self) -> String {
        self.image.digest.as_ref().map(ToString::to_string).unwrap_or_default()
    }

    /// The key by which the fact is known, and other keys by which it may be known already.
    ///
    /// A key given by the caller is the only one. Otherwise the key holds the artifact's id. The same fact may have been
    /// recorded before, of an artifact that stood in for the image and has given way since; then its key holds that id.
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

fn checked(artifact_id: &str, json: &str) -> Result<Artifact, FactError> {
    match Record::check(json.as_bytes()) {
        Ok(Record::Artifact(artifact)) => Ok(*artifact),
        Ok(Record::Release(_)) => Err(refused(format!("artifact {artifact_id:?} is stored as a release"))),
        Err(source) => Err(FactError::Invalid { record: format!("artifact {artifact_id:?}"), source }),
    }
}
