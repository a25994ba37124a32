//! How artifacts that stand for an image give way to the image's own.
//!
//! A pipeline may record a deployment of an image before the image's own record is there. It then makes an
//! artifact that stands for the image, whose id is made of the image (`Artifact::stand_in_id`). When the
//! image's own record comes, by an import or a recorded build, the stand-in gives way: the commit that writes
//! the image's own artifact takes over what was recorded of the stand-in, removes the stand-in's item, and
//! makes its pointer name the other artifact, so that whoever looks for the stand-in by its id is led on.
//!
//! A new artifact of an image puts such pointers also where there is no stand-in yet. A pipeline that is about
//! to make one at the same moment is refused then, and finds the artifact.

use std::collections::BTreeMap;

use delivery_center::store::StoreError;
use delivery_center::store::artifacts::found_by::hex;
use delivery_center::store::items::{Item, text};
use delivery_center::store::keys::{WRITER, pointer_key};

use super::last_deploys::{Deploy, Destination, deploys_of};
use super::stored::{GAVE_WAY_TO, at, gave_way_to, key_of, listed_keys};
use crate::record::{Artifact, Recorded};
use crate::write::Writer;
use crate::write::batch_write::Mode;
use crate::write::transaction::{Condition, Write, nonce};

/// What artifacts that stood for an image hand over to the image's own.
#[derive(Debug, Default)]
pub struct HandedOver {
    /// What was recorded of them.
    pub recorded: Recorded,
    /// Where they were deployed.
    pub(super) deploys: BTreeMap<Destination, Deploy>,
    /// The writes by which they give way: their new pointers, and the removal of their items.
    pub(super) writes: Vec<Write>,
    /// The keys of their parts and entries, which nobody needs any more.
    pub(super) garbage: Vec<Item>,
}

impl HandedOver {
    /// Adds an artifact's item, which is removed, and what was recorded of it.
    pub(super) fn add(&mut self, id: &str, item: &Item, recorded: Recorded, artifact: Option<&Artifact>) {
        self.recorded = std::mem::take(&mut self.recorded).and(recorded);
        self.deploys.extend(artifact.map(deploys_of).unwrap_or_default());
        self.writes.push(Write::Delete(key_of(item), Some(Condition::as_read(Some(item), WRITER))));
        self.garbage.extend(listed_keys(id, Some(item)));
    }
}

/// The ids that artifacts which stand for this one's image would have; none where this one itself stands for
/// its image.
pub(super) fn possible_stand_ins(artifact: &Artifact) -> Vec<String> {
    if artifact.is_stand_in() {
        return Vec::new();
    }
    let mut ids = Artifact::stand_in_ids(&artifact.image, &artifact.image_digest);
    ids.retain(|id| *id != artifact.artifact_id);
    ids
}

impl Writer {
    /// What the artifacts that stand for an image hand over to the image's own artifact. One that is more than a
    /// stand-in by now hands over nothing. The ids that nobody has lead to that artifact, too.
    ///
    /// # Errors
    /// DynamoDB fails or refuses the request, or one of them cannot be read.
    pub async fn handed_over_to(&self, artifact: &Artifact) -> Result<HandedOver, StoreError> {
        let pointers = possible_stand_ins(artifact).iter().map(|id| pointer_key(id)).collect();
        let pointers = self.items_at(pointers).await?;
        self.handed_over_by(&pointers, artifact, Mode::Write).await
    }

    /// The same, given the pointers of the stand-ins that are there, among other items. A stand-in that cannot be
    /// read is given up where everything is rewritten.
    pub(super) async fn handed_over_by(
        &self,
        read: &[Item],
        artifact: &Artifact,
        mode: Mode,
    ) -> Result<HandedOver, StoreError> {
        let mut handed_over = HandedOver::default();
        for id in possible_stand_ins(artifact) {
            let mut pointer = at(read, &pointer_key(&id));
            if pointer.is_some() && gave_way_to(pointer.as_ref()).is_none() {
                let mut state = self.unread_state(id.clone(), None, read).await?;
                self.read_or_give_up(&mut state, mode).await?;
                if !state.artifact.as_ref().is_none_or(Artifact::is_stand_in) {
                    continue;
                }
                if let Some(item) = &state.item {
                    let recorded = match &state.artifact {
                        Some(stand_in) => stand_in.all_as_recorded(state.recorded),
                        None => state.recorded,
                    };
                    handed_over.add(&id, item, recorded, state.artifact.as_ref());
                }
                pointer = state.pointer;
            }
            if gave_way_to(pointer.as_ref()).is_none() {
                let mut gone = pointer_key(&id);
                gone.insert(GAVE_WAY_TO.to_owned(), text(&artifact.artifact_id));
                gone.insert(WRITER.to_owned(), text(hex(nonce())));
                let as_read = Condition::as_read(pointer.as_ref(), WRITER);
                handed_over.writes.push(Write::Put(gone, Some(as_read)));
            }
        }
        Ok(handed_over)
    }
}
