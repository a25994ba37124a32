//! Reads artifacts one page after another, for whoever wants all of them.

use futures_util::stream::{self, Stream, TryStreamExt as _};

use super::artifacts::{ATTRIBUTES, ENTRY_PREFIX};
use super::comparing::entry_of;
use super::writing::text;
use super::{FoundArtifact, Meter, SCAN_SEGMENTS, StoredArtifact, WritableStore};
use crate::document::Document;
use crate::dynamodb::{Item, Items, Page};
use crate::error::Error;
use crate::image_reference::ImageReference;
use crate::position::Position;

impl WritableStore {
    /// The artifacts of one segment of the table, in no order.
    pub fn artifacts_of_segment(
        &self,
        segment: i32,
    ) -> impl Stream<Item = Result<StoredArtifact, Error>> + '_ {
        self.artifacts_of_pages(Some(Page {
            projection: Some(ATTRIBUTES),
            filter: Some("begins_with(#entry, :prefix)"),
            values: vec![(":prefix", text(ENTRY_PREFIX))],
            is_consistent: true,
            ..Page::of(&self.artifacts_table, Items::Segment(segment, SCAN_SEGMENTS))
        }))
    }

    /// All artifacts that an image reference names, newest first.
    pub fn artifacts_of_image(
        &self,
        image: &ImageReference,
    ) -> impl Stream<Item = Result<StoredArtifact, Error>> + '_ {
        self.artifacts_of_pages(self.artifacts_page(image))
    }

    /// The artifacts of a page and those behind it.
    fn artifacts_of_pages(
        &self,
        first: Option<Page>,
    ) -> impl Stream<Item = Result<StoredArtifact, Error>> + '_ {
        let pages = stream::try_unfold(first, move |page| async move {
            let Some(page) = page else { return Ok(None) };
            let answer = self.page(&page, &Meter::default()).await?;
            let next = answer.last.map(|last| Page { start: Some(last), ..page });
            Ok::<_, Error>(Some((stream::iter(answer.items.into_iter().map(Ok)), next)))
        });
        pages
            .try_flatten()
            .and_then(move |item| self.exported(item))
            .try_filter_map(|found| async { Ok(found) })
    }

    /// An artifact's whole document; read anew where it was replaced meanwhile, none where it was removed.
    async fn exported(&self, item: Item) -> Result<Option<StoredArtifact>, Error> {
        let entry = entry_of(&item);
        if let Some(artifact) = self.artifact(item, &Meter::default()).await? {
            return Ok(Some(artifact));
        }
        let Some(position) = entry.strip_prefix(ENTRY_PREFIX).and_then(Position::parse) else {
            return Ok(None);
        };
        let state = self.artifact_state(&FoundArtifact::by_id(position.id().to_owned())).await?;
        let document = state.json().and_then(|json| Document::pack(json).ok());
        Ok(document.map(|document| StoredArtifact { position, revision: String::new(), document }))
    }
}
