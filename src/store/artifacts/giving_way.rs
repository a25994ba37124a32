//! How artifacts that stand for an image give way to the image's own.
//!
//! A pipeline may record a deployment of an image before the image's own record is there. It then makes an artifact whose id
//! is made of the image (`Artifact::stand_in_id`). When the image's own record comes, by an import or a recorded build, the
//! facts move there, and the pointer of the one that gave way says where they went.

use super::pointer::{KeptPointer, Pointer};
use super::state::FoundArtifact;
use crate::record::{Artifact, Record};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::items::Item;
use crate::store::keys::pointer_key;
use crate::store::transaction::Write;

/// The ids of the artifacts that may stand for the image of this one; none where it stands for its image itself.
pub(super) fn stand_ins(artifact: &Artifact) -> [Option<String>; 3] {
    let Artifact { artifact_id, image, image_digest, .. } = artifact;
    let mut ids = Artifact::stand_in_ids(image, image_digest).into_iter();
    let of_image = ids.next();
    // What stands for the image itself takes no other's place.
    if of_image.as_ref() == Some(artifact_id) {
        return [const { None }; 3];
    }
    [of_image, ids.next(), ids.next()].map(|id| id.filter(|id| id != artifact_id))
}

/// What artifacts that stood for an image hand over.
#[derive(Default)]
pub(super) struct Given {
    /// The digests of their facts.
    pub(super) facts: Vec<String>,
    /// The writes by which they give way.
    pub(super) writes: Vec<Write>,
    /// The keys of what nobody needs of them any more.
    pub(super) unneeded: Vec<Item>,
}

impl Store {
    /// What some artifacts hand over to another one, as far as each only stands for its image.
    pub(super) async fn given_by(&self, stand_in_ids: Vec<String>, to: &str) -> Result<Given, StoreError> {
        let mut given = Given::default();
        for stand_in_id in stand_in_ids {
            let state = self.artifact_state(&FoundArtifact::by_id(stand_in_id.clone())).await?;
            let Some((place, json)) = &state.stored else { continue };
            let is_stand_in = match Record::check(json.as_bytes()) {
                Ok(Record::Artifact(artifact)) => artifact.is_stand_in(),
                Ok(Record::Release(_)) | Err(_) => false,
            };
            if !is_stand_in || state.artifact_id != stand_in_id {
                continue;
            }
            let KeptPointer { condition, pointer } = state.kept;
            let gone = Pointer { gave_way_to: Some(to.to_owned()), ..Pointer::to(None) };
            given.facts.extend(pointer.recorded);
            given.writes.push(Write::Put(gone.item(&stand_in_id), Some(condition)));
            given.writes.push(Write::Delete(place.key(), None));
            // Without the item nobody reads these.
            given.unneeded.extend(place.all_parts(&stand_in_id));
            given.unneeded.extend(place.entries_beside(&stand_in_id, None));
        }
        Ok(given)
    }

    /// What the artifacts that are there hand over to a new one of their image.
    pub(super) async fn given_to(&self, artifact: &Artifact) -> Result<Given, StoreError> {
        let ids = stand_ins(artifact);
        let pointers = ids.each_ref().map(|id| id.as_ref().map(|id| pointer_key(id)));
        let found = self.items_at(pointers.each_ref().map(Option::as_ref)).await?;
        let there = ids.into_iter().zip(found).filter_map(|(id, pointer)| id.filter(|_| pointer.is_some()));
        self.given_by(there.collect(), &artifact.artifact_id).await
    }
}
