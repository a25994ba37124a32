//! How artifacts that stand for an image give way to the image's own.
//!
//! A pipeline may record a deployment of an image before the image's own record is there. It then makes an
//! artifact that stands for the image, whose id is made of the image (`Artifact::stand_in_id`). When the
//! image's own record comes, by an import or a recorded build, the stand-in gives way. One transaction writes
//! the image's own artifact with the facts of the stand-in, removes the stand-in's item, and makes its
//! pointer name the other artifact, so that whoever looks for the stand-in by its id is led on.

use delivery_center::store::StoreError;
use delivery_center::store::items::Item;
use delivery_center::store::keys::pointer_key;

use super::pointer::{KeptPointer, Pointer};
use super::state::FoundArtifact;
use crate::record::{Artifact, Record};
use crate::write::Writer;
use crate::write::transaction::Write;

/// The ids that artifacts which stand for this one's image would have; none where this one itself stands for
/// its image.
pub(super) fn possible_stand_ins(artifact: &Artifact) -> [Option<String>; 3] {
    let Artifact { artifact_id, image, image_digest, .. } = artifact;
    let mut ids = Artifact::stand_in_ids(image, image_digest).into_iter();
    let of_image = ids.next();
    // This artifact itself stands for the image, so no other gives way to it.
    if of_image.as_ref() == Some(artifact_id) {
        return [const { None }; 3];
    }
    [of_image, ids.next(), ids.next()].map(|id| id.filter(|id| id != artifact_id))
}

/// What artifacts that stood for an image hand over to the image's own.
#[derive(Default)]
pub(super) struct HandedOver {
    /// The digests of their facts.
    pub(super) facts: Vec<String>,
    /// The writes by which they give way: their new pointers, and the removal of their items.
    pub(super) writes: Vec<Write>,
    /// The keys of their parts and entries, which nobody needs any more.
    pub(super) unneeded: Vec<Item>,
}

impl Writer {
    /// What these artifacts hand over to another one. One that is more than a stand-in by now hands over
    /// nothing.
    pub(super) async fn handed_over_by(
        &self,
        stand_in_ids: Vec<String>,
        to: &str,
    ) -> Result<HandedOver, StoreError> {
        let mut handed_over = HandedOver::default();
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
            handed_over.facts.extend(pointer.recorded);
            handed_over.writes.push(Write::Put(gone.item(&stand_in_id), Some(condition)));
            handed_over.writes.push(Write::Delete(place.key(), None));
            // Nobody reads these without the item, so they may be removed later.
            handed_over.unneeded.extend(place.part_keys(&stand_in_id));
            handed_over.unneeded.extend(place.entry_keys_not_at(&stand_in_id, None));
        }
        Ok(handed_over)
    }

    /// What the stand-ins that are there hand over to a new artifact of their image.
    pub(super) async fn handed_over_to(&self, artifact: &Artifact) -> Result<HandedOver, StoreError> {
        let ids = possible_stand_ins(artifact);
        let pointers = ids.each_ref().map(|id| id.as_ref().map(|id| pointer_key(id)));
        let found = self.items_at(pointers.each_ref().map(Option::as_ref)).await?;
        let there = ids.into_iter().zip(found).filter_map(|(id, pointer)| id.filter(|_| pointer.is_some()));
        self.handed_over_by(there.collect(), &artifact.artifact_id).await
    }
}
