//! Finds the artifact that a recorded fact belongs to: that of its image, or else one that is made for it.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use delivery_center::image_reference::{ImageDigest, found_under};
use delivery_center::store::artifacts::reading::narrowed;
use delivery_center::store::keys::{image_hash_key, indexed_image};

use super::activity::{Activity, ActivityKind};
use super::outcome::{FactError, refused};
use crate::record::Artifact;
use crate::retries::{LAGGING_LOOK_UP, Patience};
use crate::write::{ArtifactState, FoundArtifact, Writer};

/// The artifact that an activity goes to.
#[derive(Debug, Clone)]
pub(super) enum Target {
    Known(FoundArtifact),
    /// An artifact of the build's tag, without a digest: a deployment made it before the build was recorded.
    /// The build may take it only as long as no other build has.
    WithoutBuild(FoundArtifact),
    New,
}

impl Activity {
    pub(super) async fn target(&self, writer: &Writer) -> Result<Target, FactError> {
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
        let of_digest = writer.store().query_by_hash_key(digest.as_str()).consistent_read(true);
        if self.image.repository.is_empty() {
            let found = writer.find_artifact(of_digest).await?;
            return found.map(|found| Some(Target::Known(found))).ok_or_else(|| {
                refused(format!(
                    "no artifact of {digest} is recorded: give the image's name too, as --image NAME@{digest}"
                ))
            });
        }
        let image = self.image.as_pushed();
        let is_build_of_tag = self.kind == ActivityKind::Build && self.image.tag.is_some();
        // A build that takes this artifact moves it to its digest: whoever does not find it here any more
        // finds it there.
        let to_take =
            if is_build_of_tag { writer.find_artifact(without_digest(writer, &image)).await? } else { None };
        let of_image = narrowed(of_digest.clone(), "image = :name", &indexed_image(&image));
        if let Some(found) = writer.find_artifact(of_image).await? {
            return Ok(Some(Target::Known(found)));
        }
        // The repository is enough for anything but a build. A build under a new tag is to be found by that
        // tag, so it becomes an artifact of its own.
        if is_build_of_tag {
            return Ok(to_take.map(Target::WithoutBuild));
        }
        let of_repository = narrowed(of_digest, "repository = :name", found_under(&self.image.repository));
        Ok(writer.find_artifact(of_repository).await?.map(Target::Known))
    }

    async fn target_of_tag(&self, writer: &Writer) -> Result<Option<Target>, FactError> {
        let image = self.image.as_pushed();
        let mut patience = Patience::new(LAGGING_LOOK_UP);
        loop {
            if let Some(found) = writer.find_artifact(writer.store().query_by_image(&image)).await? {
                return Ok(Some(Target::Known(found)));
            }
            if !patience.wait().await {
                break;
            }
        }
        if let Some(found) = writer.find_artifact(without_digest(writer, &image)).await? {
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

    pub(super) async fn state(&self, writer: &Writer, target: Target) -> Result<ArtifactState, FactError> {
        let found = match target {
            Target::Known(found) => found,
            Target::WithoutBuild(found) => {
                let state = writer.artifact_state(&found).await?;
                // Another build may have taken the artifact meanwhile.
                let is_free = state
                    .artifact
                    .as_ref()
                    .is_some_and(|artifact| artifact.image_digest.is_empty() && !artifact.is_built);
                // An attempt before may have taken it, and not have read that.
                if is_free || state.holds(&self.fact_key()) {
                    return Ok(state);
                }
                // The other build may be of this image.
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

    /// The id of a new artifact. It is made from the image and its digest, so that all who find no artifact
    /// make the same one.
    pub(super) fn new_artifact_id(&self) -> String {
        Artifact::stand_in_id(&self.image.as_pushed(), &self.digest_text())
    }

    pub(super) fn digest_text(&self) -> String {
        self.image.digest.as_ref().map(ToString::to_string).unwrap_or_default()
    }
}

/// The artifacts that were pushed as this image and have no digest.
fn without_digest(writer: &Writer, image: &str) -> QueryFluentBuilder {
    writer.store().query_by_hash_key(&image_hash_key(image)).consistent_read(true)
}
