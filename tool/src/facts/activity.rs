//! Activities: what happened to an image, added to its artifact.

use std::fmt;
use std::time::Duration;

use delivery_center::digest;
use delivery_center::image_reference::ImageDigest;
use delivery_center::position::UnixSeconds;
use delivery_center::record::{Artifact, Record};
use delivery_center::store::{
    ArtifactState, FactKey, FoundArtifact, PackedArtifact, Store, StoreError, WantedArtifact, Written,
};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::image::NamedImage;
use super::outcome::{FactError, FactOutcome, Recorded, refused};
use crate::patience::Patience;

/// How often an image given by its tag alone is looked for: the index lags behind the table by a moment.
const LOOKS: usize = 3;
const WAIT_BETWEEN_LOOKS: Duration = Duration::from_millis(400);

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
    /// To which image.
    pub image: NamedImage,
    /// The activity's further fields, named as on the reference page.
    pub fields: Map<String, Value>,
    /// What is known of the artifact; it fills in what the stored one lacks.
    pub artifact_fields: Map<String, Value>,
    /// Who did it.
    pub created_by: String,
    /// When it was done.
    pub created_time: UnixSeconds,
    /// What tells this fact from others of its kind about the same image; without it, the fact itself does.
    pub idempotency_key: Option<String>,
}

impl ActivityKind {
    /// The activity's `type`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Deploy => "deploy",
            Self::Test => "test",
            Self::Publish => "publish",
        }
    }
}

/// Adds an activity to the artifact of its image, which is made where there is none.
///
/// # Errors
/// [`FactError`], where patience ended too.
pub async fn record_activity(
    store: &Store,
    activity: &Activity,
    patience: &mut Patience,
) -> Result<Recorded, FactError> {
    let mut target = None;
    loop {
        match attempt(store, activity, &mut target).await {
            Err(error) if error.is_unreachable() && patience.wait().await => {}
            ended => return ended,
        }
    }
}

/// The artifact that an activity goes to.
#[derive(Debug, Clone)]
enum Target {
    Known(FoundArtifact),
    /// To be taken only where nobody built it: a deployment recorded it before its build was.
    WithoutBuild(FoundArtifact),
    New,
}

/// One attempt.
async fn attempt(
    store: &Store,
    activity: &Activity,
    known: &mut Option<Target>,
) -> Result<Recorded, FactError> {
    let is_first = known.is_none();
    let target = match known {
        Some(target) => target.clone(),
        None => known.insert(activity.target(store).await?).clone(),
    };
    let (artifact_id, state) = activity.state(store, target).await?;
    let fact = activity.fact_key(&artifact_id);
    if is_first && let Some(recorded) = already_recorded(store, &fact).await? {
        return Ok(recorded);
    }
    let artifact = activity.applied_to(&artifact_id, state.json())?;
    let packed = PackedArtifact::new(&artifact)?;
    match store.extend_artifact(&state, &packed, &fact, activity.created_time).await? {
        Written::Done => {
            let outcome = if state.json().is_some() { FactOutcome::Added } else { FactOutcome::Made };
            Ok(Recorded { outcome, id: artifact_id, json: artifact.json })
        }
        Written::AlreadyThere => already_recorded(store, &fact).await?.ok_or(FactError::Contended),
        Written::Changed => {
            tracing::debug!(image = %activity.image, "the artifact changed meanwhile; it is read again");
            Err(FactError::Contended)
        }
        Written::TooLarge => Err(refused(format!(
            "artifact {artifact_id:?} holds too many activities already to be written in one transaction (4 MB)"
        ))),
    }
}

async fn already_recorded(store: &Store, fact: &FactKey) -> Result<Option<Recorded>, StoreError> {
    let Some(fact) = store.recorded_fact(fact).await? else { return Ok(None) };
    let state = store.artifact_state(&FoundArtifact::by_id(fact.artifact_id.clone())).await?;
    // An artifact that was removed since: the fact was recorded none the less.
    let json = state.json().unwrap_or("null").to_owned();
    Ok(Some(Recorded { outcome: FactOutcome::Already, id: fact.artifact_id, json }))
}

impl Activity {
    async fn target(&self, store: &Store) -> Result<Target, FactError> {
        let found = match &self.image.digest {
            Some(digest) => self.target_of_digest(store, digest).await?,
            None => self.target_of_tag(store).await?,
        };
        Ok(found.unwrap_or(Target::New))
    }

    async fn target_of_digest(
        &self,
        store: &Store,
        digest: &ImageDigest,
    ) -> Result<Option<Target>, FactError> {
        if self.image.repository.is_empty() {
            let found = store.find_artifact(WantedArtifact::Digest(digest)).await?;
            return found.map(|found| Some(Target::Known(found))).ok_or_else(|| {
                refused(format!(
                    "no artifact of {digest} is recorded: give the image's name too, as --image NAME@{digest}"
                ))
            });
        }
        let image = self.image.as_pushed();
        if let Some(found) = store.find_artifact(WantedArtifact::DigestAndImage(digest, &image)).await? {
            return Ok(Some(Target::Known(found)));
        }
        // A build under a new tag is to be found by that tag, and so is an artifact of its own.
        if self.kind != ActivityKind::Build || self.image.tag.is_none() {
            let wanted = WantedArtifact::DigestAndRepository(digest, &self.image.repository);
            return Ok(store.find_artifact(wanted).await?.map(Target::Known));
        }
        let found = store.find_artifact(WantedArtifact::WithoutDigest(&image)).await?;
        Ok(found.map(Target::WithoutBuild))
    }

    async fn target_of_tag(&self, store: &Store) -> Result<Option<Target>, FactError> {
        let image = self.image.as_pushed();
        for look in 1..=LOOKS {
            if let Some(found) = store.find_artifact(WantedArtifact::Image(&image)).await? {
                return Ok(Some(Target::Known(found)));
            }
            if look < LOOKS {
                tokio::time::sleep(WAIT_BETWEEN_LOOKS).await;
            }
        }
        if let Some(found) = store.find_artifact(WantedArtifact::WithoutDigest(&image)).await? {
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

    async fn state(&self, store: &Store, target: Target) -> Result<(String, ArtifactState), FactError> {
        let found = match target {
            Target::Known(found) => found,
            Target::WithoutBuild(found) => {
                let state = store.artifact_state(&found).await?;
                // Another build may have taken it meanwhile.
                if state.json().is_some_and(|json| !is_built(json)) {
                    return Ok((found.artifact_id, state));
                }
                FoundArtifact::by_id(self.new_artifact_id())
            }
            Target::New => FoundArtifact::by_id(self.new_artifact_id()),
        };
        let state = store.artifact_state(&found).await?;
        Ok((found.artifact_id, state))
    }

    /// Made of the image and its digest, so that all who find no artifact of it make the same one.
    fn new_artifact_id(&self) -> String {
        digest::of_texts(&["artifact", &self.image.as_pushed(), &self.digest_text()])
    }

    fn digest_text(&self) -> String {
        self.image.digest.as_ref().map(ToString::to_string).unwrap_or_default()
    }

    fn fact_key(&self, artifact_id: &str) -> FactKey {
        if let Some(key) = &self.idempotency_key {
            return FactKey::new(&["key", self.kind.as_str(), &self.image.to_string(), key]);
        }
        let fields = Value::from(self.fields.clone()).to_string();
        FactKey::new(&["fact", self.kind.as_str(), artifact_id, &fields])
    }

    /// The artifact with this activity, in the contract's form.
    fn applied_to(&self, artifact_id: &str, stored: Option<&str>) -> Result<Box<Artifact>, FactError> {
        let json = match stored {
            Some(json) => self.added_to(json)?,
            None => self.new_artifact(artifact_id),
        };
        match Record::check(json.as_bytes()) {
            Ok(Record::Artifact(artifact)) => Ok(artifact),
            Ok(Record::Release(_)) => {
                Err(refused(format!("artifact {artifact_id:?} is stored as a release")))
            }
            Err(source) => Err(FactError::Invalid { record: format!("artifact {artifact_id:?}"), source }),
        }
    }

    fn json(&self) -> Value {
        let mut activity = self.fields.clone();
        activity.insert("type".to_owned(), self.kind.as_str().into());
        activity.insert("created_by".to_owned(), self.created_by.as_str().into());
        activity.insert("created_time".to_owned(), self.created_time.into());
        activity.into()
    }

    /// The new activity comes first: of equal times, the later recorded counts as the newer.
    fn added_to(&self, artifact: &str) -> Result<String, FactError> {
        let mut fields: Fields = serde_json::from_str(artifact)?;
        let stored: Vec<Box<RawValue>> = serde_json::from_str(fields.get("activities").unwrap_or("[]"))?;
        let mut activities = vec![self.json().to_string()];
        activities.extend(stored.iter().map(|activity| activity.get().to_owned()));
        fields.set("activities", format!("[{}]", activities.join(",")));
        let digest = Value::from(self.digest_text());
        for (name, value) in self.artifact_fields.iter().chain([(&"image_digest".to_owned(), &digest)]) {
            if matches!(fields.get(name), None | Some("0" | "\"\"" | "null")) {
                fields.set(name, value.to_string());
            }
        }
        Ok(fields.to_string())
    }

    fn new_artifact(&self, artifact_id: &str) -> String {
        let mut artifact = json!({
            "id": artifact_id,
            "name": self.image.name(),
            "type": "image",
            "source": "workflow",
            "image": self.image.as_pushed(),
            "image_tag": self.image.tag.as_deref().unwrap_or_default(),
            "image_digest": self.digest_text(),
            "created_by": self.created_by,
            "created_time": self.created_time,
            "activities": [self.json()],
        });
        if let Some(artifact) = artifact.as_object_mut() {
            artifact.extend(self.artifact_fields.clone());
        }
        artifact.to_string()
    }
}

fn is_built(artifact: &str) -> bool {
    let artifact: Value = serde_json::from_str(artifact).unwrap_or_default();
    let has_digest = artifact["image_digest"].as_str().is_some_and(|digest| !digest.is_empty());
    let activities = artifact["activities"].as_array();
    has_digest || activities.into_iter().flatten().any(|activity| activity["type"] == "build")
}

/// An object's members in their order, their values as they came: numbers and escapes are not rewritten.
struct Fields(Vec<(String, Box<RawValue>)>);

impl Fields {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.get())
    }

    fn set(&mut self, name: &str, json: String) {
        let value = RawValue::from_string(json).expect("the text was made of JSON values");
        match self.0.iter_mut().find(|(other, _)| other == name) {
            Some((_, other)) => *other = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }
}

impl fmt::Display for Fields {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        for (index, (name, value)) in self.0.iter().enumerate() {
            let separator = if index == 0 { '{' } else { ',' };
            write!(formatter, "{separator}{}:{value}", Value::from(name.as_str()))?;
        }
        formatter.write_str(if self.0.is_empty() { "{}" } else { "}" })
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Fields;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_the_activitys_stays_as_it_came() {
        let fields: Fields =
            serde_json::from_str(r#"{"b":1e400,"a":"\u0041","n":18446744073709551615}"#).unwrap();
        assert_eq!(fields.to_string(), r#"{"b":1e400,"a":"\u0041","n":18446744073709551615}"#);
    }
}
