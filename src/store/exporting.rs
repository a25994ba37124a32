//! Reads artifacts one page after another, for whoever wants all of them.

use futures_util::stream::{self, Stream, StreamExt as _, TryStreamExt as _};

use super::artifacts::{ATTRIBUTES, BY_IMAGE, ENTRY_PREFIX};
use super::writing::text;
use super::{FoundArtifact, Item, Meter, SCAN_SEGMENTS, Store, StoredArtifact, from_sdk};
use crate::document::Document;
use crate::error::Error;
use crate::image_reference::ImageReference;
use crate::position::Position;

/// Where reading goes on.
enum Next {
    At(Option<Item>),
    Nowhere,
}

impl Store {
    /// The artifacts of one segment of the table, in no order.
    pub fn artifacts_of_segment(
        &self,
        segment: i32,
    ) -> impl Stream<Item = Result<StoredArtifact, Error>> + '_ {
        self.artifacts_of_pages(move |start| {
            let scan = self
                .client
                .scan()
                .table_name(&self.artifacts_table)
                .segment(segment)
                .total_segments(SCAN_SEGMENTS)
                .set_exclusive_start_key(start)
                .projection_expression(ATTRIBUTES)
                .filter_expression("begins_with(#entry, :prefix)")
                .expression_attribute_names("#entry", "entry")
                .expression_attribute_values(":prefix", text(ENTRY_PREFIX))
                .consistent_read(true);
            async move {
                let output = scan.send().await.map_err(|error| from_sdk(&self.artifacts_table, &error))?;
                Ok((output.items.unwrap_or_default(), output.last_evaluated_key))
            }
        })
    }

    /// All artifacts that an image reference names, newest first.
    pub fn artifacts_of_image(
        &self,
        image: &ImageReference,
    ) -> impl Stream<Item = Result<StoredArtifact, Error>> + '_ {
        let query = match image {
            ImageReference::NotText => None,
            ImageReference::Pushed(image) => {
                Some(self.newest(image).index_name(BY_IMAGE).key_condition_expression("image = :key"))
            }
            ImageReference::Digest { digest, repository: None } => {
                Some(self.newest_of_digest(digest.as_str()))
            }
            ImageReference::Digest { digest, repository: Some(repository) } => Some(
                self.newest_of_digest(digest.as_str())
                    .filter_expression("repository = :repository")
                    .expression_attribute_values(":repository", text(repository)),
            ),
        };
        stream::iter(query).flat_map(move |query| {
            self.artifacts_of_pages(move |start| {
                let query = query.clone().set_exclusive_start_key(start);
                async move {
                    let output =
                        query.send().await.map_err(|error| from_sdk(&self.artifacts_table, &error))?;
                    Ok((output.items.unwrap_or_default(), output.last_evaluated_key))
                }
            })
        })
    }

    fn artifacts_of_pages<'a, Page, Reading>(
        &'a self,
        page: Page,
    ) -> impl Stream<Item = Result<StoredArtifact, Error>> + 'a
    where
        Page: Fn(Option<Item>) -> Reading + 'a,
        Reading: Future<Output = Result<(Vec<Item>, Option<Item>), Error>> + 'a,
    {
        let pages = stream::try_unfold((Next::At(None), page), |(next, page)| async move {
            let Next::At(start) = next else { return Ok(None) };
            let (items, last) = page(start).await?;
            let next = last.map_or(Next::Nowhere, |last| Next::At(Some(last)));
            Ok::<_, Error>(Some((stream::iter(items.into_iter().map(Ok)), (next, page))))
        });
        pages
            .try_flatten()
            .and_then(move |item| self.exported(item))
            .try_filter_map(|found| async { Ok(found) })
    }

    /// An artifact's whole document; read anew where it was replaced meanwhile, none where it was removed.
    async fn exported(&self, item: Item) -> Result<Option<StoredArtifact>, Error> {
        let entry = item.get("entry").and_then(|entry| entry.as_s().ok()).cloned().unwrap_or_default();
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
