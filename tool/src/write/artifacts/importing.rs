//! Imports artifacts.
//!
//! What pipelines recorded of an artifact stays beside what the import brings, unless it is told to drop that.
//!
//! An export also holds artifacts that stand for an image (`giving_way.rs`). Such an artifact holds nothing but
//! what pipelines recorded. So each of its activities is recorded again, on the artifact that the image has by
//! now. If it were stored as other artifacts are, it would hide the image's own record, or lose its activities
//! when it gives way.

use std::collections::HashSet;

use delivery_center::store::items::Item;
use delivery_center::store::keys::{artifact_key_in, pointer_key};
use delivery_center::store::{StoreError, Unavailability};

use super::commit::Commit;
use super::giving_way::{HandedOver, possible_stand_ins};
use super::packing::PackedArtifact;
use super::stored::{ArtifactState, at, gave_way_to, key_of, recorded_count};
use crate::record::{Artifact, Recorded};
use crate::retries::{CONTENDED_RECORD, Patience};
use crate::write::batch_write::{Mode, Outcome};
use crate::write::{Writer, side_by_side};

/// What becomes of the activities that pipelines recorded of an artifact when it is stored again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepRecorded {
    /// They stay, in addition to those of the new record.
    Yes,
    /// They are dropped, and may be recorded again.
    No,
}

/// What became of an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredOutcome {
    /// The same outcome that any record has.
    pub outcome: Outcome,
    /// How many recorded activities stayed.
    pub recorded_kept: usize,
}

/// How an artifact is to be stored, worked out from what is stored.
pub(in crate::write) struct Plan {
    pub(in crate::write) state: ArtifactState,
    pub(in crate::write) artifact: PackedArtifact,
    source: Option<String>,
    handed_over: HandedOver,
    /// Whether it is stored like that already.
    is_stored: bool,
}

impl Writer {
    /// Stores artifacts, and removes them from the places where they were kept before.
    ///
    /// The outcomes are in the order of the artifacts. Where one is an error, that artifact is stored as it
    /// was before or as it should be, and storing it again completes it.
    pub async fn put_artifacts(
        &self,
        artifacts: &[PackedArtifact],
        mode: Mode,
        keep: KeepRecorded,
    ) -> Vec<Result<StoredOutcome, StoreError>> {
        side_by_side(artifacts.iter().map(|artifact| self.put_artifact(artifact, mode, keep)).collect()).await
    }

    /// Stores one artifact, and removes it from the place where it was kept before.
    ///
    /// # Errors
    /// DynamoDB fails, or refuses the request. Storing it again completes it.
    pub async fn put_artifact(
        &self,
        artifact: &PackedArtifact,
        mode: Mode,
        keep: KeepRecorded,
    ) -> Result<StoredOutcome, StoreError> {
        let mut patience = Patience::new(CONTENDED_RECORD);
        let mut first = None;
        loop {
            let stored = match self.try_to_put(artifact, mode, keep).await {
                Err(StoreError::Unavailable { reason: Unavailability::ChangesTooFast, .. }) => None,
                stored => stored?,
            };
            // An attempt that was refused, and so did not end, may have stored the artifact before.
            if let Some(stored) = stored {
                return Ok(StoredOutcome { outcome: first.unwrap_or(stored.outcome), ..stored });
            }
            first = first.or(Some(Outcome::Stored));
            if !patience.wait().await {
                return Err(self.artifacts_changed());
            }
        }
    }

    /// Stores one artifact, unless somebody else writes it meanwhile: then the result is `None`.
    async fn try_to_put(
        &self,
        artifact: &PackedArtifact,
        mode: Mode,
        keep: KeepRecorded,
    ) -> Result<Option<StoredOutcome>, StoreError> {
        let read = self.read_first(artifact).await?;
        let known = is_known(artifact, &read).filter(|_| mode != Mode::Rewrite);
        if let Some(recorded_kept) = known.filter(|recorded| keep == KeepRecorded::Yes || *recorded == 0) {
            return Ok(Some(StoredOutcome { outcome: Outcome::Unchanged, recorded_kept }));
        }
        let Plan { state, artifact: wanted, source, handed_over, is_stored } =
            self.plan(artifact, &read, mode, keep).await?;
        let recorded_kept = wanted.recorded.facts.len();
        let stored = |outcome| Ok(Some(StoredOutcome { outcome, recorded_kept }));
        if is_stored && mode != Mode::Rewrite {
            return stored(Outcome::Unchanged);
        }
        let imported = |state: &ArtifactState| {
            state.artifact.as_ref().is_some_and(|artifact| artifact.activities > state.recorded.facts.len())
        };
        if !artifact.may_empty && artifact.artifact.activities == 0 && imported(&state) {
            return stored(Outcome::WouldEmpty("activities"));
        }
        if mode == Mode::DryRun {
            return stored(Outcome::Stored);
        }
        let lists_anew = mode == Mode::Rewrite;
        let (source, artifact) = (source.as_deref(), &wanted);
        let commit = Commit { source, handed_over, lists_anew, ..Commit::of(&state, artifact) };
        if self.commit(commit).await? { stored(Outcome::Stored) } else { Ok(None) }
    }

    /// Reads what mostly tells already that there is nothing to write: an artifact's pointer, the item where the
    /// artifact would be stored, and the pointers of what may stand for its image.
    pub(in crate::write) async fn read_first(
        &self,
        artifact: &PackedArtifact,
    ) -> Result<Vec<Item>, StoreError> {
        let stand_ins = possible_stand_ins(&artifact.artifact);
        let ids = stand_ins.iter().map(String::as_str).chain([artifact.artifact.artifact_id.as_str()]);
        self.items_at(ids.map(pointer_key).chain([artifact.key()]).collect()).await
    }

    /// Works out how an artifact is to be stored: with the activities that pipelines recorded of it, and with
    /// those of artifacts that stand for its image and now give way to it.
    pub(in crate::write) async fn plan(
        &self,
        artifact: &PackedArtifact,
        read: &[Item],
        mode: Mode,
        keep: KeepRecorded,
    ) -> Result<Plan, StoreError> {
        if artifact.artifact.is_stand_in()
            && let Some(plan) = self.plan_of_stand_in(&artifact.artifact, mode).await?
        {
            return Ok(plan);
        }
        let id = artifact.artifact.artifact_id.as_str();
        let mut state = self.unread_state(id.to_owned(), Some(&artifact.key()), read).await?;
        self.read_or_give_up(&mut state, mode).await?;
        let mut handed_over = self.handed_over_by(read, &artifact.artifact, mode).await?;
        let recorded = state.recorded.clone().and(artifact.artifact.recorded.clone());
        let recorded = recorded.and(std::mem::take(&mut handed_over.recorded));
        let recorded = if keep == KeepRecorded::Yes { recorded } else { Recorded::default() };
        let wanted = self.packed(&artifact.artifact, recorded)?;
        let is_stored = handed_over.writes.is_empty() && state.is(&wanted);
        let source = Some(artifact.source());
        Ok(Plan { state, artifact: wanted, source, handed_over, is_stored })
    }

    /// Reads what an artifact's item holds. Where everything is rewritten, an item that cannot be read is given
    /// up, and it is told how many recorded activities are lost with it.
    pub(super) async fn read_or_give_up(
        &self,
        state: &mut ArtifactState,
        mode: Mode,
    ) -> Result<(), StoreError> {
        match self.read_item_of(state).await {
            Err(StoreError::UnreadableRecord { record, reason, .. }) if mode == Mode::Rewrite => {
                let lost = state.item.as_ref().map(recorded_count);
                tracing::warn!(record, reason, lost, "written over, and recorded activities are lost");
                Ok(())
            }
            read => read,
        }
    }

    /// Works out how what stands for an image is to be stored: each of its activities that the image's artifact
    /// does not have is recorded there. The result is `None` where it must be written as any other artifact.
    async fn plan_of_stand_in(&self, stand_in: &Artifact, mode: Mode) -> Result<Option<Plan>, StoreError> {
        let state = match self.stand_in_state(stand_in.artifact_id.clone()).await {
            Err(StoreError::UnreadableRecord { .. }) if mode == Mode::Rewrite => return Ok(None),
            state => state?,
        };
        if mode == Mode::Rewrite && state.item.is_some() && state.artifact_id == stand_in.artifact_id {
            return Ok(None);
        }
        let (bare, mut imported) =
            (stand_in.without_activities(), stand_in.all_as_recorded(stand_in.recorded.clone()));
        let stored = state.artifact.as_ref().unwrap_or(&bare);
        let held: HashSet<_> = stored.activities_by_digest().into_iter().map(|(digest, _)| digest).collect();
        imported.facts.retain(|fact| !held.contains(&fact.digest));
        let is_stored = imported.facts.is_empty() && state.artifact.is_some();
        let wanted = self.packed(stored, state.recorded.clone().and(imported))?;
        let (source, handed_over) = (state.source.clone(), HandedOver::default());
        Ok(Some(Plan { state, artifact: wanted, source, handed_over, is_stored }))
    }
}

/// Whether an import brought the very same record before, and nothing stands for its image: then there is
/// nothing to write, whatever pipelines recorded since. Gives how many facts they recorded.
fn is_known(artifact: &PackedArtifact, read: &[Item]) -> Option<usize> {
    let own = pointer_key(&artifact.artifact.artifact_id);
    let item = at(read, &artifact.key())?;
    let others = read.iter().filter(|other| **other != item && key_of(other) != own);
    let is_known = *item.get("source")?.as_s().ok()? == artifact.source()
        && artifact_key_in(&at(read, &own)?)? == artifact.key()
        && others.into_iter().all(|pointer| gave_way_to(Some(pointer)).is_some());
    is_known.then(|| recorded_count(&item))
}
