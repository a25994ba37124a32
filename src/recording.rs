//! Facts from pipelines into the tables: what was built, deployed, tested or published, and what was released.
//!
//! A fact sent again is recorded once, however many send it at the same moment; and facts about one image that come at
//! the same moment are all kept.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Status};
use crate::image_reference::{ImageDigest, repository};
use crate::position::UnixSeconds;
use crate::record::{Artifact, Record, Release};
use crate::reindex::{ReindexError, settle};
use crate::release_filter::hex;
use crate::store::{
    ArtifactState, FactKey, FoundArtifact, Mode, PackedArtifact, PackedRelease, Patience, Store,
    WantedArtifact, Written,
};

/// How often an image given by its tag alone is looked for: the index lags behind the table by a moment.
const LOOKS: usize = 3;
const WAIT_BETWEEN_LOOKS: Duration = Duration::from_millis(400);

/// An image as a pipeline names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedImage {
    /// Registry, port and name; empty where a digest stands alone.
    repository: String,
    tag: Option<String>,
    digest: Option<ImageDigest>,
}

/// What happened to an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
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
    pub kind: Kind,
    /// To which image.
    pub image: RecordedImage,
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

/// A release to be made.
#[derive(Debug, Clone)]
pub struct NewRelease {
    /// The project.
    pub project: String,
    /// The version.
    pub version: String,
    /// The workflow; may be empty.
    pub workflow: String,
    /// The workflow's task; 0 where there is none.
    pub task_id: u64,
    /// What is said of it.
    pub description: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// The environment, where it was released into one.
    pub environment: Option<Environment>,
    /// The services, in their order.
    pub services: Vec<ReleasedService>,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: UnixSeconds,
    /// When the deployment began.
    pub started: Option<UnixSeconds>,
    /// When the deployment ended.
    pub ended: Option<UnixSeconds>,
    /// What tells this release from others of its project; without it, the release itself does.
    pub idempotency_key: Option<String>,
}

/// An environment.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Its name.
    pub name: String,
    /// Its namespace; may be empty.
    pub namespace: String,
}

/// A service of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleasedService {
    /// The service's name.
    pub name: String,
    /// The image, as pushed.
    pub image: String,
    /// The container that runs it; may be empty.
    pub container: String,
    /// The manifests that were applied.
    pub yaml_contents: Vec<String>,
}

/// What became of a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was added to an artifact that was there.
    Added,
    /// A new record was made for it.
    Made,
    /// It had been recorded before; nothing was written.
    Already,
}

/// A recorded fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// What became of it.
    pub outcome: Outcome,
    /// The id of the artifact or the release.
    pub id: String,
    /// The artifact or the release, as it is stored.
    pub json: String,
}

/// Why a fact was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Something is to be mended first.
    #[error("{0}")]
    Refused(String),
    /// The tables could not be read or written.
    #[error("it may not be recorded, and sending it again is safe")]
    Store(#[from] Error),
}

fn refused(reason: impl Into<String>) -> RecordError {
    RecordError::Refused(reason.into())
}

impl RecordedImage {
    /// Reads an image reference, and a digest that was given beside it.
    ///
    /// # Errors
    /// [`RecordError::Refused`]: what is no image, no digest, or names two digests.
    pub fn parse(image: &str, digest: Option<&str>) -> Result<Self, RecordError> {
        let is_digest_alone = image.starts_with("sha256:") || image.starts_with("sha512:");
        let (name, own_digest) = match image.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None if is_digest_alone => ("", Some(image)),
            None => (image, None),
        };
        if image.is_empty() || image.contains(char::is_whitespace) || (name.is_empty() && !is_digest_alone) {
            return Err(refused(format!("{image:?} is no image: give REGISTRY/NAME:TAG as it was pushed")));
        }
        let digest = match (own_digest, digest) {
            (Some(own), Some(other)) if own != other => {
                return Err(refused(format!(
                    "the image names the digest {own}, and beside it {other} is given"
                )));
            }
            (own, other) => own.or(other),
        };
        let parse = |digest| {
            ImageDigest::parse(digest).ok_or_else(|| {
                refused(format!("{digest:?} is no digest: it is sha256: and 64 lower-case hex digits, as the registry answers it"))
            })
        };
        let repository = repository(name).to_owned();
        let tag = name.get(repository.len() + 1..).map(str::to_owned).filter(|tag| !tag.is_empty());
        Ok(Self { repository, tag, digest: digest.map(parse).transpose()? })
    }

    /// The image as it was pushed: by its tag, or else by its digest.
    #[must_use]
    pub fn as_pushed(&self) -> String {
        match (&self.tag, &self.digest) {
            (Some(tag), _) => format!("{}:{tag}", self.repository),
            (None, Some(digest)) => format!("{}@{digest}", self.repository),
            (None, None) => self.repository.clone(),
        }
    }

    fn name(&self) -> &str {
        self.repository.rsplit('/').next().unwrap_or_default()
    }
}

impl fmt::Display for RecordedImage {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match (&self.tag, &self.digest) {
            (_, Some(digest)) if self.repository.is_empty() => write!(formatter, "{digest}"),
            (Some(_), Some(digest)) => write!(formatter, "{}@{digest}", self.as_pushed()),
            _ => formatter.write_str(&self.as_pushed()),
        }
    }
}

impl Kind {
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

/// An id as Zadig's are, 24 hex digits, made of what it names.
fn id_of(texts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for text in texts {
        digest.update((text.len() as u64).to_le_bytes());
        digest.update(text);
    }
    hex(&digest.finalize()[..12])
}

/// Adds an activity to the artifact of its image, which is made where there is none.
///
/// # Errors
/// [`RecordError`], where patience ended too.
pub async fn record_activity(
    store: &Store,
    activity: &Activity,
    patience: &mut Patience,
) -> Result<Recorded, RecordError> {
    let mut target = None;
    loop {
        let error = match attempt(store, activity, &mut target).await {
            Ok(Some(recorded)) => return Ok(recorded),
            Ok(None) => changed_too_often(activity),
            Err(RecordError::Store(error)) if error.status() == Status::ServiceUnavailable => error,
            Err(error) => return Err(error),
        };
        if !patience.wait().await {
            return Err(RecordError::Store(error));
        }
    }
}

fn changed_too_often(activity: &Activity) -> Error {
    tracing::debug!(image = %activity.image, "the artifact changed meanwhile; it is read again");
    Error::OutOfTime
}

/// The artifact that an activity goes to.
#[derive(Debug, Clone)]
enum Target {
    Known(FoundArtifact),
    /// To be taken only where nobody built it: a deployment recorded it before its build was.
    WithoutBuild(FoundArtifact),
    New,
}

/// One attempt; none where others wrote at the same time.
async fn attempt(
    store: &Store,
    activity: &Activity,
    known: &mut Option<Target>,
) -> Result<Option<Recorded>, RecordError> {
    let is_first = known.is_none();
    let target = match known {
        Some(target) => target.clone(),
        None => known.insert(activity.target(store).await?).clone(),
    };
    let (artifact_id, state) = activity.state(store, target).await?;
    let fact = activity.fact_key(&artifact_id);
    if is_first && let Some(recorded) = already_recorded(store, &fact).await? {
        return Ok(Some(recorded));
    }
    let artifact = activity.applied_to(&artifact_id, state.json())?;
    let packed = PackedArtifact::new(&artifact).map_err(|unstorable| refused(unstorable.to_string()))?;
    match store.extend_artifact(&state, &packed, &fact, activity.created_time).await? {
        Written::Done => {
            let outcome = if state.json().is_some() { Outcome::Added } else { Outcome::Made };
            Ok(Some(Recorded { outcome, id: artifact_id, json: artifact.json }))
        }
        Written::AlreadyThere => already_recorded(store, &fact).await.map_err(RecordError::Store),
        Written::Changed => Ok(None),
        Written::TooLarge => Err(refused(format!(
            "artifact {artifact_id:?} holds too many activities already to be written in one transaction (4 MB)"
        ))),
    }
}

async fn already_recorded(store: &Store, fact: &FactKey) -> Result<Option<Recorded>, Error> {
    let Some(fact) = store.recorded_fact(fact).await? else { return Ok(None) };
    let state = store.artifact_state(&FoundArtifact::by_id(fact.artifact_id.clone())).await?;
    // An artifact that was removed since: the fact was recorded none the less.
    let json = state.json().unwrap_or("null").to_owned();
    Ok(Some(Recorded { outcome: Outcome::Already, id: fact.artifact_id, json }))
}

impl Activity {
    async fn target(&self, store: &Store) -> Result<Target, RecordError> {
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
    ) -> Result<Option<Target>, RecordError> {
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
        if self.kind != Kind::Build || self.image.tag.is_none() {
            let wanted = WantedArtifact::DigestAndRepository(digest, &self.image.repository);
            return Ok(store.find_artifact(wanted).await?.map(Target::Known));
        }
        let found = store.find_artifact(WantedArtifact::WithoutDigest(&image)).await?;
        Ok(found.map(Target::WithoutBuild))
    }

    async fn target_of_tag(&self, store: &Store) -> Result<Option<Target>, RecordError> {
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
        if self.kind == Kind::Build {
            return Err(refused(format!(
                "the build of {image} has no digest, and no earlier record of that tag has one: give --digest sha256:..., \
                 or --metadata-file FILE as docker buildx build writes it, or --image NAME:TAG@sha256:..."
            )));
        }
        Ok(None)
    }

    async fn state(&self, store: &Store, target: Target) -> Result<(String, ArtifactState), RecordError> {
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
        id_of(&["artifact", &self.image.as_pushed(), &self.digest_text()])
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
    fn applied_to(&self, artifact_id: &str, stored: Option<&str>) -> Result<Box<Artifact>, RecordError> {
        let json = match stored {
            Some(json) => self.added_to(json)?,
            None => self.new_artifact(artifact_id),
        };
        match Record::check(json.as_bytes()) {
            Ok(Record::Artifact(artifact)) => Ok(artifact),
            Ok(Record::Release(_)) => {
                Err(refused(format!("artifact {artifact_id:?} is stored as a release")))
            }
            Err(problem) => Err(refused(format!("artifact {artifact_id:?} cannot be extended: {problem}"))),
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
    fn added_to(&self, artifact: &str) -> Result<String, RecordError> {
        let unreadable =
            |error: serde_json::Error| refused(format!("the stored artifact cannot be read: {error}"));
        let mut fields: Fields = serde_json::from_str(artifact).map_err(unreadable)?;
        let stored: Vec<Box<RawValue>> =
            serde_json::from_str(fields.get("activities").unwrap_or("[]")).map_err(unreadable)?;
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

/// Makes a release; of those that say the same, all but one find it made.
///
/// # Errors
/// [`RecordError`], where patience ended too.
pub async fn record_release(
    store: &Store,
    release: &NewRelease,
    patience: &mut Patience,
) -> Result<Recorded, RecordError> {
    let release = release.checked()?;
    let packed = PackedRelease::new(&release).map_err(|unstorable| refused(unstorable.to_string()))?;
    let mut is_new = false;
    loop {
        let error = match attempt_release(store, &packed, &mut is_new).await {
            Ok(Some(json)) => {
                let outcome = if is_new { Outcome::Made } else { Outcome::Already };
                return Ok(Recorded { outcome, id: release.release_id.clone(), json });
            }
            Ok(None) => Error::OutOfTime,
            Err(RecordError::Store(error)) if error.status() == Status::ServiceUnavailable => error,
            Err(error) => return Err(error),
        };
        if !patience.wait().await {
            return Err(RecordError::Store(error));
        }
    }
}

/// One attempt: the stored release; none where others wrote at the same time.
async fn attempt_release(
    store: &Store,
    release: &PackedRelease,
    is_new: &mut bool,
) -> Result<Option<String>, RecordError> {
    // Settling what is there completes what was interrupted.
    let mut current = store.current_release(release.release_id()).await?;
    if current.is_none() {
        match store.put_new_release(release).await? {
            Written::Done => *is_new = true,
            Written::AlreadyThere | Written::Changed | Written::TooLarge => return Ok(None),
        }
        current = store.current_release(release.release_id()).await?;
    }
    let settled = settle(store, release.release_id(), Mode::Write).await.map_err(|error| match error {
        ReindexError::Store(error) => RecordError::Store(error),
        ReindexError::Unreadable(reason) => refused(reason),
    })?;
    Ok(settled.and(current).map(|current| current.json))
}

impl NewRelease {
    fn checked(&self) -> Result<Box<Release>, RecordError> {
        let json = self.json(&self.release_id()).to_string();
        match Record::check(json.as_bytes()) {
            Ok(Record::Release(release)) => Ok(release),
            Ok(Record::Artifact(_)) => Err(refused("the release has no versionInfo")),
            Err(problem) => Err(refused(format!("the release cannot be stored: {problem}"))),
        }
    }

    /// Made of the key, or of everything but the times that were not given, so that a repeat is the same release.
    fn release_id(&self) -> String {
        if let Some(key) = &self.idempotency_key {
            return id_of(&["release", &self.project, key]);
        }
        let unstamped = Self {
            created_by: String::new(),
            created_at: self.started.or(self.ended).unwrap_or_default(),
            ..self.clone()
        };
        id_of(&["release", &unstamped.json("").to_string()])
    }

    fn json(&self, release_id: &str) -> Value {
        json!({
            "versionInfo": {
                "id": release_id,
                "version": self.version,
                "productName": self.project,
                "workflowName": self.workflow,
                "taskId": self.task_id,
                "desc": self.description,
                "labels": self.labels,
                "productEnvInfo": self.environment.as_ref().map(|environment| self.product_env_info(environment)),
                "createdBy": self.created_by,
                "created_at": self.created_at,
                "deleted_at": 0,
            },
            "buildInfo": [],
            "deployInfo": self.services.iter().map(|service| self.deploy(release_id, service)).collect::<Vec<_>>(),
            "testInfo": [],
            "distributeInfo": [],
            "securityStatsInfo": [],
        })
    }

    fn deploy(&self, release_id: &str, service: &ReleasedService) -> Value {
        let mut deploy = json!({
            "id": id_of(&["deploy", release_id, &service.name, &service.container]),
            "releaseId": release_id,
            "serviceName": service.name,
            "containerName": service.container,
            "image": service.image,
            "registry_id": "",
            "yamlContents": service.yaml_contents,
            "envs": [],
            "orderedServices": [self.service_names()],
            "start_time": self.started,
            "end_time": self.ended,
            "created_at": self.created_at,
            "deleted_at": 0,
        });
        if let Some(deploy) = deploy.as_object_mut() {
            deploy.retain(|_, value| !value.is_null());
        }
        deploy
    }

    /// The reference page's shape of an environment, as far as a pipeline knows it.
    fn product_env_info(&self, environment: &Environment) -> Value {
        let render = json!({ "name": "", "revision": 0, "product_tmpl": self.project, "description": "" });
        let services: Vec<_> = self.service_names().iter().map(|name| self.service(name, &render)).collect();
        json!({
            "id": "000000000000000000000000",
            "product_name": self.project,
            "create_time": 0,
            "update_time": 0,
            "namespace": environment.namespace,
            "status": "",
            "revision": 0,
            "enabled": false,
            "env_name": environment.name,
            "update_by": "",
            "auth": [],
            "visibility": "",
            "services": [services],
            "render": render,
            "error": "",
            "vars": [],
            "isPublic": false,
            "roleIds": [],
            "recycle_day": 0,
            "source": "",
            "is_opensource": false,
        })
    }

    fn service(&self, name: &str, render: &Value) -> Value {
        let containers = self.services.iter().filter(|service| service.name == name);
        let containers: Vec<_> =
            containers.map(|service| json!({ "name": service.container, "image": service.image })).collect();
        json!({
            "service_name": name,
            "product_name": self.project,
            "type": "k8s",
            "revision": 0,
            "containers": containers,
            "render": render,
        })
    }

    /// Each service once, in their order.
    fn service_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for service in &self.services {
            if !names.contains(&service.name.as_str()) {
                names.push(&service.name);
            }
        }
        names
    }
}

impl ReleasedService {
    /// Reads `NAME=IMAGE`, or `NAME=IMAGE:CONTAINER` where the image has a tag or a digest.
    ///
    /// Behind the last slash, one colon is the tag's; the container's is the second. `NAME=IMAGE::CONTAINER` names the
    /// container of an image without a tag.
    ///
    /// # Errors
    /// [`RecordError::Refused`], where it can be read in no way.
    pub fn parse(service: &str) -> Result<Self, RecordError> {
        let unreadable = |reason: &str| {
            refused(format!(
                "--service {service:?}: {reason}; it is NAME=IMAGE, or NAME=IMAGE:TAG:CONTAINER, or NAME=IMAGE@DIGEST:CONTAINER"
            ))
        };
        let (name, rest) = service.split_once('=').ok_or_else(|| unreadable("there is no ="))?;
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(unreadable("the service has no name"));
        }
        let (image, container) = split_container(rest).map_err(unreadable)?;
        if RecordedImage::parse(&image, None).is_err()
            || repository(&image).is_empty()
            || image.starts_with("sha256:")
        {
            return Err(unreadable("there is no image"));
        }
        Ok(Self { name: name.to_owned(), image, container, yaml_contents: Vec::new() })
    }
}

/// The image and the container.
fn split_container(text: &str) -> Result<(String, String), &'static str> {
    let last_component = text.rfind('/').map_or(0, |slash| slash + 1);
    let (path, last) = text.split_at(last_component);
    let digest = last.find('@');
    if digest.is_some_and(|digest| last[..digest].matches(':').count() > 1) {
        return Err("the container comes behind the digest");
    }
    // A digest has a colon of its own, as a tag has.
    let start = digest.unwrap_or(0);
    let (image, container) = match last[start..].match_indices(':').nth(1) {
        Some((colon, _)) => (&last[..start + colon], Some(&last[start + colon + 1..])),
        None => (last, None),
    };
    if container.is_some_and(|container| !is_container(container)) {
        return Err("what stands behind the tag is no container's name");
    }
    // An empty tag is how a container is named without one.
    let image = if container.is_some() { image.strip_suffix(':').unwrap_or(image) } else { image };
    let named = image.split_once('@').map_or(image, |(named, _)| named);
    if named.split_once(':').is_some_and(|(_, tag)| !is_tag(tag)) {
        return Err("what stands behind the image's name is no tag");
    }
    Ok((format!("{path}{image}"), container.unwrap_or_default().to_owned()))
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= 128
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
}

/// A container's name is a DNS label.
fn is_container(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && !name.starts_with('-')
        && !name.ends_with('-')
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:1d9ddf94feb5ff9ca9d76248ad51dd2a95210895d0dbf1e87bd66cc471c41f0e";

    fn service(text: &str) -> Option<(String, String)> {
        ReleasedService::parse(text).ok().map(|service| (service.image, service.container))
    }

    #[test]
    fn a_services_image_is_told_from_its_container() {
        let pair = |image: &str, container: &str| Some((image.to_owned(), container.to_owned()));
        for (text, expected) in [
            ("web=nginx", pair("nginx", "")),
            ("web=nginx:1.25", pair("nginx:1.25", "")),
            ("web=nginx:1.25:app", pair("nginx:1.25", "app")),
            ("web=nginx::app", pair("nginx", "app")),
            ("web=host:5000/a/nginx", pair("host:5000/a/nginx", "")),
            ("web=host:5000/a/nginx:1:app", pair("host:5000/a/nginx:1", "app")),
            ("web=host:5000/a/nginx:a=b", None),
            ("web=", None),
            ("=nginx", None),
            ("nginx:1", None),
            ("web=nginx:1:app:more", None),
            ("web=nginx:1:", None),
            ("web=nginx:", None),
            ("web=nginx:1:App", None),
            ("web=host:5000/a:1:b/c", pair("host:5000/a:1:b/c", "")),
        ] {
            assert_eq!(service(text), expected, "{text}");
        }
        assert_eq!(service(&format!("w=a/b@{DIGEST}")), pair(&format!("a/b@{DIGEST}"), ""));
        assert_eq!(service(&format!("w=a/b:1@{DIGEST}:app")), pair(&format!("a/b:1@{DIGEST}"), "app"));
        assert_eq!(service(&format!("w=a/b:1:app@{DIGEST}")), None);
        assert_eq!(service("w=a/b@sha256:00"), None);
    }

    #[test]
    fn an_image_is_read_with_its_tag_and_its_digest() {
        let image = RecordedImage::parse(&format!("host:5000/a/b:1.0@{DIGEST}"), Some(DIGEST)).unwrap();
        assert_eq!(image.as_pushed(), "host:5000/a/b:1.0");
        assert_eq!(image.name(), "b");
        assert_eq!(image.to_string(), format!("host:5000/a/b:1.0@{DIGEST}"));
        assert_eq!(RecordedImage::parse("a/b", Some(DIGEST)).unwrap().as_pushed(), format!("a/b@{DIGEST}"));
        assert_eq!(RecordedImage::parse(DIGEST, None).unwrap().to_string(), DIGEST);
        for image in ["", "a b", "@sha256:00", &format!("@{DIGEST}"), "a@md5:1"] {
            assert!(RecordedImage::parse(image, None).is_err(), "{image}");
        }
        assert!(RecordedImage::parse(&format!("a@{DIGEST}"), Some("sha256:00")).is_err());
    }

    #[test]
    fn what_is_not_the_activitys_stays_as_it_came() {
        let fields: Fields =
            serde_json::from_str(r#"{"b":1e400,"a":"\u0041","n":18446744073709551615}"#).unwrap();
        assert_eq!(fields.to_string(), r#"{"b":1e400,"a":"\u0041","n":18446744073709551615}"#);
    }
}
