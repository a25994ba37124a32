//! Imports artifacts that stand for an image: an export holds them as it holds all others.
//!
//! Such an artifact holds nothing but what pipelines recorded of an image. So each of its activities is
//! recorded again, on the artifact that the image has by now. If it were stored as other imported artifacts
//! are, it would hide the image's own record, or lose its activities when it gives way.

use delivery_center::image_reference::{ImageDigest, repository};
use delivery_center::store::StoreError;
use delivery_center::store::items::{Attributes, Item, Subject};

use super::fact_items::Fact;
use super::packing::PackedArtifact;
use super::state::{ArtifactState, FactKey, WantedArtifact};
use super::writing::StoredOutcome;
use crate::record::{Artifact, Record};
use crate::retries::{CONTENDED_RECORD, Patience};
use crate::write::Writer;
use crate::write::batch_write::{Mode, Outcome};

impl Writer {
    /// Stores an artifact that stands for its image: records each of its activities that is not recorded yet.
    /// The result is `None` where the caller must write it as any other artifact, over what is stored of it.
    ///
    /// # Errors
    /// DynamoDB fails, or refuses the request. Storing it again completes it.
    pub(super) async fn put_stand_in(
        &self,
        stand_in: &PackedArtifact,
        mode: Mode,
    ) -> Result<Option<StoredOutcome>, StoreError> {
        let artifact = &stand_in.artifact;
        let (bare, activities) =
            artifact.as_recorded().map_err(|problem| self.unreadable(artifact, &problem))?;
        let mut patience = Patience::new(CONTENDED_RECORD);
        loop {
            let state = match self.state_of_image(artifact).await {
                Err(StoreError::UnreadableRecord { .. }) if mode == Mode::Rewrite => return Ok(None),
                state => state?,
            };
            let is_itself = state.artifact_id == artifact.artifact_id;
            if is_itself && mode == Mode::Rewrite && state.stored.is_some() {
                return Ok(None);
            }
            let stored = match state.json().map(|json| Record::check(json.as_bytes())) {
                None => bare.clone(),
                Some(Ok(Record::Artifact(stored))) => *stored,
                Some(Ok(Record::Release(_)) | Err(_)) => return Ok(None),
            };
            let recorded_kept = state.kept.pointer.recorded.len();
            let missing: Vec<_> =
                activities.iter().filter(|activity| !stored.holds(activity)).cloned().collect();
            let outcome = if missing.is_empty() && state.stored.is_some() {
                Outcome::Unchanged
            } else {
                Outcome::Stored
            };
            let result = StoredOutcome { outcome, recorded_kept };
            if outcome == Outcome::Unchanged || mode == Mode::DryRun {
                return Ok(Some(result));
            }
            let packed =
                PackedArtifact::new(stored).map_err(|unstorable| self.unreadable(artifact, &unstorable))?;
            let packed = self.with_recorded(&packed, &missing)?;
            let mut facts = Vec::with_capacity(missing.len());
            for recorded in missing {
                let key = FactKey::new(&["imported", &artifact.artifact_id, &recorded.activity]);
                let named = self.artifact_named_by(&key).await?;
                facts.push(Fact { key, recorded, recorded_at: artifact.created_time, named });
            }
            if self.record_facts(&state, &packed, &facts).await? {
                return Ok(Some(result));
            }
            if !patience.wait().await {
                return Err(self.artifacts_changed());
            }
        }
    }

    /// The artifact of an image as it is stored now: its own, or else the one that stands for it.
    async fn state_of_image(&self, stand_in: &Artifact) -> Result<ArtifactState, StoreError> {
        let id = &stand_in.artifact_id;
        let state = self.stand_in_state(id.clone()).await?;
        if state.artifact_id != *id {
            return Ok(state);
        }
        let found = match ImageDigest::parse(&stand_in.image_digest) {
            Some(digest) => {
                let wanted = WantedArtifact::DigestAndRepository(&digest, repository(&stand_in.image));
                self.find_artifact(wanted).await?
            }
            None => self.find_artifact(WantedArtifact::Image(&stand_in.image)).await?,
        };
        match found.filter(|found| found.artifact_id != *id) {
            Some(found) => self.artifact_state(&found).await,
            None => Ok(state),
        }
    }

    fn unreadable(&self, artifact: &Artifact, reason: &impl std::fmt::Display) -> StoreError {
        let subject = Subject::Artifact(&artifact.artifact_id);
        Attributes::new(Item::new(), &self.artifacts_table, subject).unreadable(reason.to_string())
    }
}
