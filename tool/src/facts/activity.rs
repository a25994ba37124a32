//! Records activities: what happened to an image is added to its artifact.

use delivery_center::image_reference::{found_under, repository};
use delivery_center::position::{Position, UnixSeconds};
use delivery_center::store::{StoreError, Usage};
use serde_json::{Map, Value, json};

use super::artifact_of_image::Target;
use super::image::NamedImage;
use super::outcome::{FactError, FactOutcome, Recorded, refused, wait_after};
use crate::record::{self, Artifact, Problem, Record};
use crate::retries::Patience;
use crate::write::{
    ArtifactState, Commit, Deploy, Destination, FactKey, FoundArtifact, HandedOver, KeyItem, LastDeploy,
    PackedArtifact, Writer,
};

/// What to do where several facts of one job look like one that is sent again, since all have the job's URL.
const ANOTHER_OF_ONE_JOB: &str =
    "if this is another one of the same job, give --idempotency-key or --started";

/// What happened to an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActivityKind {
    /// It was built.
    Build,
    /// It was deployed.
    Deploy,
    /// It was taken away from where it was deployed.
    Undeploy,
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
    /// When it was done. A deploy or undeploy whose fields have no `end_time` gets a later time where another
    /// one was there at that time.
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
            Self::Undeploy => "undeploy",
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
    let (mut target, mut sent) = (None, Vec::new());
    loop {
        match Box::pin(attempt(writer, activity, &mut target, &mut sent)).await {
            Err(error) if error.is_unreachable() && wait_after(&error, patience).await => {}
            ended => return ended,
        }
    }
}

/// The namespaces of an environment in which the image of an undeploy may run; an empty one is that of deploys that
/// name none. Where it runs in none, and a URL, times or a key tell the undeploy from others, these are the
/// namespaces in which its run has ended: it may have been recorded there.
///
/// # Errors
/// [`FactError`]. One that may pass is tried again until `patience` ends.
pub async fn namespaces_of(
    writer: &Writer,
    undeploy: &Activity,
    env_name: &str,
    patience: &mut Patience,
) -> Result<Vec<String>, FactError> {
    let (store, repository, usage) = (writer.store(), &undeploy.image.repository, Usage::default());
    loop {
        let found = match store.last_deploys_of(repository, env_name, &usage).await {
            Ok(none) if none.is_empty() && undeploy.is_told_apart() => {
                store.ended_deploys_of(repository, env_name, &usage).await
            }
            found => found,
        };
        match found.map_err(FactError::from) {
            Err(error) if error.is_unreachable() && wait_after(&error, patience).await => {}
            found => return Ok(found?.into_iter().map(|last| last.namespace).collect()),
        }
    }
}

/// One attempt:
///
/// 1. The artifact is found, and all that is stored of it is read; of a deploy or undeploy also the last deploy
///    there. If the artifact holds this fact already, nothing is written.
/// 2. The artifact with the new activity is written, on the condition that all this is as it was read. If it is
///    not, the attempt ends as [`FactError::Contended`], and the next one reads it again.
///
/// `known` keeps for the next attempt which artifact was found, and `sent` by what the fact is known in commits
/// of which nobody knows whether they were made.
async fn attempt(
    writer: &Writer,
    activity: &Activity,
    known: &mut Option<Target>,
    sent: &mut Vec<FactKey>,
) -> Result<Recorded, FactError> {
    let mut fact = activity.fact_key();
    let key = if activity.has_key_item() { Some(writer.key_item(&fact).await?) } else { None };
    if let Some(id) = key.as_ref().and_then(KeyItem::artifact_id) {
        let other = writer.artifact_state(&FoundArtifact::by_id(id.clone())).await?;
        if other.holds(&fact) {
            let runs =
                if activity.kind == ActivityKind::Undeploy { activity.running(writer).await? } else { None };
            let remark = runs.map(|(state, _)| {
                format!(
                    "note: artifact {} runs there now, and stays: {ANOTHER_OF_ONE_JOB}",
                    state.artifact_id
                )
            });
            return Ok(Recorded { remark, ..held(other, FactOutcome::Already) });
        }
    }
    let Some((state, last_deploy)) = find(writer, activity, known, sent).await? else {
        return Ok(held(ArtifactState::default(), FactOutcome::NothingRuns));
    };
    if sent.iter().any(|fact| state.holds(fact)) {
        return Ok(held(state, FactOutcome::Added));
    }
    let id = state.artifact_id.clone();
    let new = match state.artifact {
        Some(_) => None,
        None => Some(activity.new_artifact(&id)?),
    };
    let artifact = state.artifact.as_ref().or(new.as_ref()).expect("it is there, or new");
    let last_deploy = match (activity.kind, last_deploy) {
        (ActivityKind::Deploy, None) if !artifact.image.is_empty() => {
            let there = activity.destination(found_under(repository(&artifact.image)));
            writer.last_deploys(vec![there]).await?.pop()
        }
        (_, last_deploy) => last_deploy,
    };
    // Whether it counts matters only where it has a say.
    let last_deploy = match last_deploy {
        Some(last) if state.holds(&fact) || last.reaches(activity.created_time) => {
            Some(counted(writer, last).await?.0)
        }
        last_deploy => last_deploy,
    };
    let Timed { time, remark } = activity.timed(&state, last_deploy.as_ref());
    if state.holds(&fact) {
        let is_another = match (activity.kind, &last_deploy) {
            _ if activity.is_told_apart() => false,
            (ActivityKind::Undeploy, _) => true,
            (ActivityKind::Deploy, Some(last)) => !runs_still(&state, last),
            _ => false,
        };
        if !is_another {
            let is_over = last_deploy.as_ref().is_some_and(|last| !runs_still(&state, last));
            let remark = is_over.then(|| format!("note: it no longer runs there: {ANOTHER_OF_ONE_JOB}"));
            return Ok(Recorded { remark, ..held(state, FactOutcome::Already) });
        }
        fact = fact.at(time);
    }
    let invalid = |source| FactError::Invalid { record: format!("artifact {id:?}"), source };
    let recorded = state.recorded.clone().and(activity.recorded(&fact, time).map_err(invalid)?);
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
    let (idempotency_key, last_deploys) = (key.as_ref(), last_deploy.into_iter().collect());
    let commit = Commit { handed_over, idempotency_key, last_deploys, ..Commit::of(&state, &artifact) };
    let committed = writer.commit(commit).await;
    if committed.is_err() {
        sent.push(fact);
    }
    if !committed? {
        tracing::debug!(image = %activity.image, "the artifact changed meanwhile; it is read again");
        return Err(FactError::Contended);
    }
    let outcome = if new.is_some() { FactOutcome::Made } else { FactOutcome::Added };
    Ok(Recorded { outcome, id, json, remark })
}

/// Finds the artifact of an activity, and of an undeploy the last deploy where it runs; `None` where nothing runs
/// that could be undeployed.
async fn find(
    writer: &Writer,
    activity: &Activity,
    known: &mut Option<Target>,
    sent: &[FactKey],
) -> Result<Option<(ArtifactState, Option<LastDeploy>)>, FactError> {
    if activity.kind != ActivityKind::Undeploy {
        let target = match known {
            Some(target) => target.clone(),
            None => known.insert(activity.target(writer).await?).clone(),
        };
        return Ok(Some((activity.state(writer, target).await?, None)));
    }
    // The attempt before may have undeployed it: then nothing runs there any more.
    if let Some(Target::Known(found)) = known {
        let state = writer.artifact_state(found).await?;
        if sent.iter().any(|fact| state.holds(fact)) {
            return Ok(Some((state, None)));
        }
    }
    let Some((state, last_deploy)) = activity.running(writer).await? else { return Ok(None) };
    *known = Some(Target::Known(FoundArtifact::by_id(state.artifact_id.clone())));
    Ok(Some((state, Some(last_deploy))))
}

/// What is said of an artifact that stays as it is.
fn held(state: ArtifactState, outcome: FactOutcome) -> Recorded {
    let json = state.artifact.as_ref().map_or_else(|| "null".to_owned(), |artifact| artifact.json.clone());
    Recorded { outcome, id: state.artifact_id, json, remark: None }
}

/// The last deploy as far as it counts, and its artifact. Where that artifact no longer has the deploy, the newest
/// one is in the index.
async fn counted(
    writer: &Writer,
    mut last: LastDeploy,
) -> Result<(LastDeploy, Option<ArtifactState>), StoreError> {
    let Some(Deploy { position, until }) = last.deploy.take() else { return Ok((last, None)) };
    let state_of = async |id: &str| writer.artifact_state(&FoundArtifact::by_id(id.to_owned())).await;
    let there = &last.destination;
    // It may be moved, or give way to another one, while it is read: then the second look finds it.
    for _ in 0..2 {
        let state = state_of(position.id()).await?;
        if state.deploy_to(there).is_some_and(|own| own.position.time() == position.time()) {
            let position = Position::new(position.time(), &state.artifact_id);
            last.deploy = Some(Deploy { position, until });
            return Ok((last, Some(state)));
        }
    }
    let Destination { repository, env_name, namespace } = there;
    let running = writer.store().running(repository, env_name, namespace, &Usage::default()).await?;
    let Some((position, _)) = running else { return Ok((last, None)) };
    let state = state_of(position.id()).await?;
    last.deploy = Some(Deploy { position, until: None });
    Ok((last, Some(state)))
}

/// Whether an artifact's deploy has not ended, and nothing else was deployed there since.
fn runs_still(state: &ArtifactState, last_deploy: &LastDeploy) -> bool {
    state.deploy_to(&last_deploy.destination).is_some_and(|own| {
        own.until.is_none() && last_deploy.deploy.as_ref().is_none_or(|last| last.position <= own.position)
    })
}

/// The time of a deploy or undeploy, and what is to be said about it.
struct Timed {
    time: UnixSeconds,
    remark: Option<String>,
}

impl Activity {
    /// The key by which the fact is known: the one that the caller gives, or else all that it says.
    pub(super) fn fact_key(&self) -> FactKey {
        let (kind, image) = (self.kind.as_str(), self.image.to_string());
        let mut fields = self.fields.clone();
        // Which commits a build contains besides its own follows from earlier builds, and so does not tell it
        // from itself when it is sent again.
        if let Some(Value::Array(commits)) = fields.get_mut("commits") {
            commits.truncate(1);
        }
        let fields = Value::from(fields).to_string();
        match (&self.idempotency_key, self.kind) {
            // One command may undeploy several namespaces with one key.
            (Some(key), ActivityKind::Undeploy) => {
                let Destination { repository, env_name, namespace } = self.destination(found_under(&image));
                FactKey::new(&["key", kind, &repository, &env_name, &namespace, key])
            }
            (Some(key), _) => FactKey::new(&["key", kind, found_under(&image), key]),
            // It has an item of its own, in which the image counts too.
            (None, ActivityKind::Undeploy) => {
                FactKey::new(&["fact", kind, found_under(&image), &fields, &self.given_urls.join(",")])
            }
            (None, _) => FactKey::new(&["fact", kind, &fields, &self.given_urls.join(",")]),
        }
    }

    /// Whether a URL, a time or a key tells it from others that are alike.
    fn is_told_apart(&self) -> bool {
        self.idempotency_key.is_some()
            || ["url", "start_time", "end_time"].iter().any(|name| self.fields.contains_key(*name))
    }

    /// Whether an item of its own names the artifact that it was recorded of: where the image may name another
    /// artifact by the time at which it is sent again.
    fn has_key_item(&self) -> bool {
        self.idempotency_key.is_some() || self.kind == ActivityKind::Undeploy && self.is_told_apart()
    }

    /// Where an image of a repository is deployed or undeployed.
    fn destination(&self, repository: &str) -> Destination {
        let text = |name| self.fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (env_name, namespace) = (text("env_name"), text("namespace"));
        Destination { repository: repository.to_owned(), env_name, namespace }
    }

    /// The artifact of the image that runs where it is undeployed, and the last deploy there.
    async fn running(&self, writer: &Writer) -> Result<Option<(ArtifactState, LastDeploy)>, FactError> {
        let there = self.destination(found_under(&self.image.repository));
        let Some(last) = writer.last_deploys(vec![there]).await?.pop() else { return Ok(None) };
        let (last, Some(state)) = counted(writer, last).await? else { return Ok(None) };
        let runs = state.deploy_to(&last.destination).is_some_and(|own| own.until.is_none());
        let is_image = state.artifact.as_ref().is_some_and(|artifact| self.image.is_of(artifact));
        Ok((runs && is_image).then_some((state, last)))
    }

    /// The time that it gets. Without a time of its own, it comes after whatever was deployed or undeployed there
    /// before: by a second, where the clocks say otherwise.
    fn timed(&self, state: &ArtifactState, last_deploy: Option<&LastDeploy>) -> Timed {
        const TOLD: UnixSeconds = 60;
        const TOO_FAR: UnixSeconds = 3600;
        let now = self.created_time;
        let own = last_deploy.and_then(|last| state.deploy_to(&last.destination));
        let own_id = &state.artifact_id;
        if self.fields.contains_key("end_time") {
            let runs_still =
                self.kind == ActivityKind::Undeploy && own.is_some_and(|own| own.position.time() > now);
            let remark =
                format!("note: artifact {own_id} was deployed there after that, so it still runs there");
            return Timed { time: now, remark: Some(remark).filter(|_| runs_still) };
        }
        let last = last_deploy.and_then(|last| last.deploy.as_ref());
        let own_times = own.iter().flat_map(|own| [Some(own.position.time()), own.until]).flatten();
        let own_times = own_times.map(|time| (time, own_id.as_str()));
        let deployed = own_times.chain(last.map(|last| (last.position.time(), last.position.id()))).max();
        let ended = last.and_then(|last| Some((last.until?, last.position.id())));
        let is_near = |(time, _): &(UnixSeconds, &str)| *time < now + TOO_FAR;
        // What hides this one must be before it; an end of another deploy should be.
        let Some((before, id)) = deployed.max(ended).filter(is_near).or(deployed) else {
            return Timed { time: now, remark: None };
        };
        let time = now.max(before + 1);
        let ahead = time - now;
        if ahead > TOO_FAR {
            let remark = format!(
                "note: artifact {id} was deployed or undeployed there {ahead} seconds ahead of this clock, so it still counts \
                 as the later one: give an --ended behind that, or wait until that time has passed"
            );
            return Timed { time: now, remark: Some(remark) };
        }
        let remark = format!(
            "note: it was recorded {ahead} seconds ahead of this clock, to come after what happened to artifact {id} there"
        );
        Timed { time, remark: Some(remark).filter(|_| ahead > TOLD) }
    }

    fn recorded(&self, fact: &FactKey, time: UnixSeconds) -> Result<record::Recorded, Problem> {
        let mut told = self.artifact_fields.clone();
        told.insert("image_digest".to_owned(), self.digest_text().into());
        record::Recorded::of(fact.short(), &self.json(time).to_string(), &Value::from(told).to_string())
    }

    fn json(&self, time: UnixSeconds) -> Value {
        let mut activity = self.fields.clone();
        activity.insert("type".to_owned(), self.kind.as_str().into());
        activity.insert("created_by".to_owned(), self.created_by.as_str().into());
        activity.insert("created_time".to_owned(), time.into());
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
