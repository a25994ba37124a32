//! Writes artifacts, and moves those whose digest or time changed.
//!
//! The pointer, the item, its parts and what gives way are one transaction, under the condition that the pointer is still
//! the one that was read. What is more than one transaction holds is written in steps, each under that condition: the
//! pointer first, which names every place where anything of the artifact may be. So an interrupted write never leaves
//! an artifact in two places, writing again heals it, and of several writers one has written all of it in the end.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::{Put, WriteRequest};
use backon::BackoffBuilder as _;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::packing::PackedArtifact;
use super::{KeptPointer, Place};
use crate::store::batch_write::{CONTENDED_RECORD, Mode, Outcome, delete, put};
use crate::store::error::{StoreError, Unavailability};
use crate::store::items::{Attributes, Item, Subject, text};
use crate::store::keys::{artifact_key, id_hash_key, pointer_key};
use crate::store::transaction::{Written, in_transaction, put_in_transaction};
use crate::store::{MAX_KEYS_A_CALL, Store, Usage, projected};

/// What a transaction may write beside the pointer and the item: parts, and what gives way. DynamoDB takes 4 MB, and ten
/// writes are what every implementation of it takes.
const MAX_WRITES_BESIDE: usize = 8;
/// How many artifacts are written side by side.
const MAX_ARTIFACTS_AT_ONCE: usize = 16;

impl Store {
    /// Stores artifacts, each wholly, and removes them from where they were kept before.
    ///
    /// No two of them may have the same id.
    ///
    /// # Errors
    /// The table's; some of the artifacts may then be stored, and storing them again completes them.
    pub async fn put_artifacts(
        &self,
        artifacts: &[PackedArtifact],
        mode: Mode,
    ) -> Result<Vec<Outcome>, StoreError> {
        let mut outcomes = vec![None; artifacts.len()];
        let mut pending: Vec<_> = (0..artifacts.len()).collect();
        let mut waits = CONTENDED_RECORD.build();
        for round in 0.. {
            if round > 0 {
                let Some(wait) = waits.next() else { break };
                tokio::time::sleep(wait).await;
            }
            let artifacts: Vec<_> = pending.iter().map(|index| (*index, &artifacts[*index])).collect();
            let pointers = self.pointers(artifacts.iter().map(|(_, artifact)| *artifact)).await?;
            let revisions = self.revisions(artifacts.iter().map(|(_, artifact)| *artifact)).await?;
            let mut writes = Vec::new();
            for ((index, artifact), kept) in artifacts.into_iter().zip(pointers) {
                let is_stored = revisions.get(&artifact.artifact_id) == Some(&artifact.place.revision);
                let is_settled = kept.as_ref().is_some_and(|KeptPointer { pointer, .. }| {
                    pointer.place == artifact.place && pointer.stale.is_empty()
                });
                if is_stored && is_settled && (mode != Mode::Rewrite || round > 0) {
                    outcomes[index].get_or_insert(Outcome::Unchanged);
                } else {
                    outcomes[index].get_or_insert(Outcome::Stored);
                    writes.push((index, artifact, kept));
                }
            }
            pending.clear();
            if mode != Mode::DryRun {
                let mut attempts = Vec::with_capacity(writes.len());
                for (index, artifact, kept) in writes {
                    attempts.push(async move {
                        let is_written = self.put_artifact(artifact, kept).await?;
                        Ok::<_, StoreError>((!is_written).then_some(index))
                    });
                }
                let lost: Vec<_> =
                    stream::iter(attempts).buffered(MAX_ARTIFACTS_AT_ONCE).try_collect().await?;
                pending.extend(lost.into_iter().flatten());
            }
            if pending.is_empty() {
                return Ok(outcomes.into_iter().flatten().collect());
            }
        }
        Err(StoreError::unavailable(&self.artifacts_table, Unavailability::ChangesTooFast))
    }

    /// Writes an artifact; false where another wrote it meanwhile.
    async fn put_artifact(
        &self,
        artifact: &PackedArtifact,
        before: Option<KeptPointer>,
    ) -> Result<bool, StoreError> {
        let known = before.iter().flat_map(KeptPointer::places);
        let stale: Vec<_> = known.filter(|place| **place != artifact.place).cloned().collect();
        // A set: two stale places may be the same item at two revisions.
        let removed: BTreeSet<_> = stale
            .iter()
            .flat_map(|place| place.keys_beside(&artifact.artifact_id, &artifact.place))
            .collect();
        let removed: Vec<_> =
            removed.iter().map(|(hash_key, entry)| delete(artifact_key(hash_key, entry))).collect();
        let before = before.map(|before| before.kept);
        let item = put(artifact.item.clone());
        let parts: Vec<_> = artifact.parts().map(put).collect();
        if parts.len() + removed.len() <= MAX_WRITES_BESIDE {
            let writes: Vec<_> = std::iter::once(item).chain(parts).chain(removed).collect();
            return self.write_with_pointer(artifact, before, Vec::new(), &writes).await;
        }
        if !self.write_with_pointer(artifact, before, stale.clone(), &[]).await? {
            return Ok(false);
        }
        self.batch_write(&self.artifacts_table, parts).await?;
        let writes: Vec<_> = std::iter::once(item).chain(removed).collect();
        for writes in writes.chunks(MAX_WRITES_BESIDE) {
            let kept = Some(artifact.kept(stale.clone()));
            if !self.write_with_pointer(artifact, kept, stale.clone(), writes).await? {
                return Ok(false);
            }
        }
        let kept = Some(artifact.kept(stale));
        self.write_with_pointer(artifact, kept, Vec::new(), &[]).await
    }

    /// Writes a pointer in the place of the one that is known, with other items in the same transaction; false where the
    /// pointer is another one by now.
    async fn write_with_pointer(
        &self,
        artifact: &PackedArtifact,
        before: Option<String>,
        stale: Vec<Place>,
        writes: &[WriteRequest],
    ) -> Result<bool, StoreError> {
        let table = self.artifacts_table.as_str();
        let pointer = Put::builder().table_name(table).set_item(Some(artifact.pointer(stale)));
        let pointer = match before {
            None => pointer.condition_expression("attribute_not_exists(image_digest)"),
            Some(kept) => {
                pointer.condition_expression("kept = :kept").expression_attribute_values(":kept", text(kept))
            }
        };
        let mut items = vec![put_in_transaction(pointer)];
        items.extend(writes.iter().filter_map(|write| in_transaction(table, write)));
        Ok(match self.transact(table, items).await? {
            Written::Done => true,
            Written::Changed | Written::AlreadyThere | Written::TooLarge => false,
        })
    }

    /// The stored pointers of artifacts, in their order.
    async fn pointers(
        &self,
        artifacts: impl Iterator<Item = &PackedArtifact> + Clone,
    ) -> Result<Vec<Option<KeptPointer>>, StoreError> {
        let keys = artifacts.clone().map(|artifact| pointer_key(&artifact.artifact_id));
        let mut found = HashMap::new();
        for mut attributes in self.artifact_items(keys, "image_digest, kept").await? {
            let hash_key = attributes.text("image_digest")?;
            let kept = attributes.text("kept")?;
            let kept = KeptPointer::parse(kept).map_err(|reason| attributes.unreadable(reason))?;
            found.insert(hash_key, kept);
        }
        Ok(artifacts.map(|artifact| found.remove(&id_hash_key(&artifact.artifact_id))).collect())
    }

    /// The stored revisions by id, of those that are where they are to be.
    async fn revisions(
        &self,
        artifacts: impl Iterator<Item = &PackedArtifact>,
    ) -> Result<HashMap<String, String>, StoreError> {
        let keys = artifacts.map(|artifact| artifact.place.key());
        let mut revisions = HashMap::new();
        for mut attributes in self.artifact_items(keys, "#position, revision").await? {
            let position = attributes.position("position")?;
            attributes.subject = Subject::Artifact(position.id());
            revisions.insert(position.id().to_owned(), attributes.text("revision")?);
        }
        Ok(revisions)
    }

    async fn artifact_items(
        &self,
        keys: impl Iterator<Item = Item>,
        projection: &str,
    ) -> Result<Vec<Attributes<'_>>, StoreError> {
        let table = self.artifacts_table.as_str();
        let keys: Vec<_> = keys.collect();
        let mut items = Vec::with_capacity(keys.len());
        for keys in keys.chunks(MAX_KEYS_A_CALL) {
            let request = projected(keys.to_vec(), projection, true);
            items.extend(self.batch_get(table, request, &Usage::default()).await?);
        }
        Ok(items.into_iter().map(|item| Attributes::new(item, table, Subject::SomeArtifact)).collect())
    }
}
