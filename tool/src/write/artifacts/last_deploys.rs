//! Keeps the last deploys (`src/store/artifacts/environments.rs` says what they are, and what must be true of
//! them).
//!
//! Whoever changes where an artifact was deployed reads the last deploys there. It writes them together with the
//! artifact's item, in one transaction, on the condition that they are as they were read. So of two deploys
//! that come at the same moment, one comes after the other.
//!
//! Where a commit does not fit into one transaction, the last deploys are written before it, and their ends
//! behind it, as long as nobody else wrote them since. In between, readers, who ask the artifact itself, look
//! once more than they would have to.

use std::collections::{BTreeMap, BTreeSet};

use delivery_center::image_reference::{found_under, repository};
use delivery_center::position::{Position, UnixSeconds};
use delivery_center::store::artifacts::found_by::hex;
use delivery_center::store::items::{Attributes, Item, Subject, text};
use delivery_center::store::keys::{
    ARTIFACT_HASH, WRITER, artifact_key, environment_hash_key, last_deploy_entry, pointer_key,
};
use delivery_center::store::{Activities, Deployment, MAX_KEYS_PER_CALL, StoreError};

use super::stored::{FoundArtifact, at, gave_way_to, key_of};
use crate::record::Artifact;
use crate::write::Writer;
use crate::write::batch_write::Mode;
use crate::write::transaction::{Condition, Write, nonce};

/// Where images of a repository are deployed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Destination {
    /// Registry, port and path of the images.
    pub repository: String,
    /// The environment.
    pub env_name: String,
    /// The namespace, which may be empty.
    pub namespace: String,
}

/// A deploy to a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deploy {
    /// Its time, and the artifact's id.
    pub position: Position,
    /// When the artifact was undeployed there.
    pub until: Option<UnixSeconds>,
}

/// The last deploy to a destination, as it was read.
#[derive(Debug, Clone)]
pub struct LastDeploy {
    /// Where.
    pub destination: Destination,
    /// The deploy; `None` where there was none.
    pub deploy: Option<Deploy>,
    item: Option<Item>,
}

/// Where an artifact was deployed last, by destination. An artifact without an image was deployed nowhere.
pub fn deploys_of(artifact: &Artifact) -> BTreeMap<Destination, Deploy> {
    let activities =
        Activities::of(&artifact.json).expect("a checked artifact's JSON is in the documented form");
    let deploy = |deployment: Deployment| {
        let destination = Destination {
            repository: found_under(repository(&artifact.image)).to_owned(),
            env_name: deployment.env_name.clone(),
            namespace: deployment.namespace.clone(),
        };
        let position = Position::new(deployment.ordered_by(), &artifact.artifact_id);
        (destination, Deploy { position, until: deployment.ended() })
    };
    let deployments = activities.deployments.into_iter().filter(|_| !artifact.image.is_empty());
    deployments.map(deploy).collect()
}

impl Destination {
    fn key(&self) -> Item {
        let entry = last_deploy_entry(&self.repository, &self.namespace);
        artifact_key(&environment_hash_key(&self.env_name), &entry)
    }
}

impl LastDeploy {
    fn read(destination: Destination, item: Option<Item>, table: &str) -> Result<Self, StoreError> {
        let deploy = |item: &Item| {
            let mut item = Attributes::new(item.clone(), table, Subject::SomeItem);
            let until = if item.has("until") { Some(item.text("until")?) } else { None };
            let until = until.map(|until| {
                until.parse().map_err(|_| item.unreadable(format!("its until {until:?} is no time")))
            });
            Ok::<_, StoreError>(Deploy { position: item.position("position")?, until: until.transpose()? })
        };
        Ok(Self { deploy: item.as_ref().map(deploy).transpose()?, destination, item })
    }

    /// What the last deploy is to be after an artifact was changed here; `None` where it may stay as it is.
    ///
    /// Where it is the one that the artifact had and no longer has, nobody knows which deploy is the last one.
    /// Then it stays as new as it was, without an end.
    fn after(&self, artifact_id: &str, new: Option<&Deploy>) -> Option<Deploy> {
        let Some(Deploy { position: last, .. }) = &self.deploy else { return new.cloned() };
        match new {
            Some(new) if new.position >= *last => Some(new.clone()),
            _ => (last.id() == artifact_id).then(|| Deploy { position: last.clone(), until: None }),
        }
    }

    /// Whether it, or its end, is at that time or later.
    pub fn reaches(&self, time: UnixSeconds) -> bool {
        self.deploy
            .as_ref()
            .is_some_and(|last| last.until.unwrap_or_default().max(last.position.time()) >= time)
    }

    /// Whether it says of an artifact's deploy what it should.
    pub(super) fn agrees_with(&self, deploy: &Deploy) -> bool {
        self.deploy.as_ref().is_some_and(|last| {
            let is_newer = last.position > deploy.position;
            let is_its_own = last.position.id() == deploy.position.id();
            last == deploy || is_newer && !(is_its_own && last.until.is_some())
        })
    }

    /// Where it is as it was read, or else as the condition says.
    fn write(
        &self,
        deploy: &Deploy,
        until: Option<UnixSeconds>,
        writer: &str,
        condition: Option<Condition>,
    ) -> Write {
        let Destination { repository, namespace, .. } = &self.destination;
        let mut item = self.destination.key();
        item.insert("position".to_owned(), text(deploy.position.as_str()));
        item.insert("repository".to_owned(), text(repository));
        // Older implementations of DynamoDB refuse empty texts.
        if !namespace.is_empty() {
            item.insert("namespace".to_owned(), text(namespace));
        }
        item.extend(until.map(|until| ("until".to_owned(), text(until.to_string()))));
        item.insert(WRITER.to_owned(), text(writer));
        let as_read = || Condition::as_read(self.item.as_ref(), WRITER);
        Write::Put(item, Some(condition.unwrap_or_else(as_read)))
    }
}

/// A change of where an artifact is deployed.
pub(super) struct DeploysChange<'a> {
    pub(super) artifact_id: &'a str,
    /// Its deploys before, and those of artifacts that give way to it.
    pub(super) old: &'a BTreeMap<Destination, Deploy>,
    pub(super) new: &'a BTreeMap<Destination, Deploy>,
    /// Whether all of them count as changed.
    pub(super) all: bool,
}

/// Changes of last deploys that belong to a commit.
#[derive(Debug, Default)]
pub(super) struct LastDeploys(Vec<(LastDeploy, Deploy)>);

impl LastDeploys {
    /// The writes that are in the commit itself.
    pub(super) fn in_commit(&self, writer: &str) -> Vec<Write> {
        self.0.iter().map(|(last, after)| last.write(after, after.until, writer, None)).collect()
    }

    /// The writes before a commit that does not hold them.
    pub(super) fn before_commit(&self, writer: &str) -> Vec<Write> {
        self.0.iter().map(|(last, after)| last.write(after, None, writer, None)).collect()
    }

    /// The writes behind it: the ends.
    pub(super) fn behind_commit(&self, writer: &str) -> Vec<Write> {
        let mine = || Some(Condition::Has(WRITER, text(writer)));
        let ended = self.0.iter().filter(|(_, after)| after.until.is_some());
        ended.map(|(last, after)| last.write(after, after.until, writer, mine())).collect()
    }
}

impl Writer {
    /// Reads the last deploys to some destinations.
    ///
    /// # Errors
    /// DynamoDB fails or refuses the request, or one of them cannot be read.
    pub async fn last_deploys(&self, destinations: Vec<Destination>) -> Result<Vec<LastDeploy>, StoreError> {
        let mut read = Vec::with_capacity(destinations.len());
        for destinations in destinations.chunks(MAX_KEYS_PER_CALL) {
            let items = self.items_at(destinations.iter().map(Destination::key).collect()).await?;
            for destination in destinations {
                let item = at(&items, &destination.key());
                read.push(LastDeploy::read(destination.clone(), item, &self.artifacts_table)?);
            }
        }
        Ok(read)
    }

    /// What must change of the last deploys where an artifact's deploys change, given those that were read
    /// already.
    pub(super) async fn changed_last_deploys(
        &self,
        change: &DeploysChange<'_>,
        read: Vec<LastDeploy>,
    ) -> Result<LastDeploys, StoreError> {
        let DeploysChange { artifact_id, old, new, all } = change;
        let changed = old.keys().chain(new.keys()).filter(|there| *all || old.get(there) != new.get(there));
        let changed: BTreeSet<_> = changed.collect();
        let is_read = |destination: &Destination| read.iter().any(|read| read.destination == *destination);
        let others = changed.into_iter().filter(|destination| !is_read(destination)).cloned().collect();
        let mut last_deploys = read;
        last_deploys.extend(self.last_deploys(others).await?);
        let mut afterwards = Vec::new();
        for mut last in last_deploys {
            let (old, new) = (old.get(&last.destination), new.get(&last.destination));
            // It may be of an artifact that gives way to this one, or did so before.
            if let Some(Deploy { position, until }) = last.deploy.clone()
                && position.id() != *artifact_id
                && [old, new].into_iter().flatten().any(|deploy| deploy.position.time() == position.time())
                && (old.is_some_and(|old| old.position == position)
                    || self.gave_way(position.id(), artifact_id).await?)
            {
                last.deploy = Some(Deploy { position: Position::new(position.time(), artifact_id), until });
            }
            afterwards.extend(last.after(artifact_id, new).map(|after| (last, after)));
        }
        Ok(LastDeploys(afterwards))
    }

    async fn gave_way(&self, artifact_id: &str, other_id: &str) -> Result<bool, StoreError> {
        let pointer = self.items_at(vec![pointer_key(artifact_id)]).await?.pop();
        Ok(gave_way_to(pointer.as_ref()).is_some_and(|id| id == other_id))
    }

    /// Takes the ends away from an environment's last deploys of which no artifact says that they ended, and
    /// gives how many these are; `None` where somebody wrote one of them meanwhile.
    pub(super) async fn mend_ends(&self, hash_key: &str, mode: Mode) -> Result<Option<usize>, StoreError> {
        let (table, mut mended) = (self.artifacts_table.as_str(), 0);
        let mut known = BTreeMap::<String, BTreeMap<Destination, Deploy>>::new();
        for mut item in self.partition_of(table, ARTIFACT_HASH, hash_key, None).await? {
            if !item.contains_key("until") {
                continue;
            }
            let position = Attributes::new(item.clone(), table, Subject::SomeItem).position("position")?;
            let id = position.id();
            if !known.contains_key(id) {
                let artifact = match self.artifact_state(&FoundArtifact::by_id(id.to_owned())).await {
                    // What cannot be read is told where it is looked at itself.
                    Err(StoreError::UnreadableRecord { .. }) => None,
                    state => state?.artifact,
                };
                known.insert(id.to_owned(), artifact.as_ref().map(deploys_of).unwrap_or_default());
            }
            let deploys = &known[id];
            let is_it = |(there, deploy): (&Destination, &Deploy)| {
                there.key() == key_of(&item)
                    && deploy.position.time() == position.time()
                    && deploy.until.is_some()
            };
            if deploys.iter().any(is_it) {
                continue;
            }
            let as_read = Condition::as_read(Some(&item), WRITER);
            item.remove("until");
            item.insert(WRITER.to_owned(), text(hex(nonce())));
            let put = vec![Write::Put(item, Some(as_read))];
            if mode == Mode::Write && !self.transact(table, ARTIFACT_HASH, put).await? {
                return Ok(None);
            }
            mended += 1;
        }
        Ok(Some(mended))
    }
}
