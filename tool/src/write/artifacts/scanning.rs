//! Reads all artifacts of the table or of an image, one page after another.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use delivery_center::document::Document;
use delivery_center::image_reference::ImageReference;
use delivery_center::store::artifacts::ATTRIBUTES;
use delivery_center::store::items::{Item, entry_of, text};
use delivery_center::store::keys::{ARTIFACT_PREFIX, artifact_position};
use delivery_center::store::{ItemsPage, StoreError, StoredArtifact, Usage};
use futures_util::stream::{self, Stream, TryStreamExt as _};

use super::stored::FoundArtifact;
use crate::write::Writer;

impl Writer {
    /// The artifacts of one segment of the table, in no order.
    pub fn artifacts_of_segment(
        &self,
        segment: i32,
    ) -> impl Stream<Item = Result<StoredArtifact, StoreError>> + '_ {
        self.artifacts_of_pages(move |start| self.scan_artifacts(segment, start))
    }

    /// All artifacts that an image reference names, newest first.
    pub fn artifacts_of_image(
        &self,
        image: &ImageReference,
    ) -> impl Stream<Item = Result<StoredArtifact, StoreError>> + '_ {
        let query = self.store.artifacts_query(image);
        self.artifacts_of_pages(move |start| self.query_artifacts(query.clone(), start))
    }

    async fn scan_artifacts(&self, segment: i32, start: Option<Item>) -> Result<ItemsPage, StoreError> {
        let scan = self
            .scan_of_segment(segment, start)
            .projection_expression(ATTRIBUTES)
            .filter_expression("begins_with(#entry, :prefix)")
            .expression_attribute_names("#entry", "entry")
            .expression_attribute_values(":prefix", text(ARTIFACT_PREFIX));
        self.scan_page(&self.artifacts_table, scan).await
    }

    async fn query_artifacts(
        &self,
        query: Option<QueryFluentBuilder>,
        start: Option<Item>,
    ) -> Result<ItemsPage, StoreError> {
        let Some(query) = query else { return Ok(ItemsPage { items: Vec::new(), next: None }) };
        let sent = query.set_exclusive_start_key(start).send().await;
        let output = sent.map_err(|error| StoreError::from_sdk(&self.artifacts_table, error))?;
        ItemsPage::of(&self.artifacts_table, output.items, output.last_evaluated_key)
    }

    /// The artifacts of all pages; `page` reads the page that begins at a key.
    fn artifacts_of_pages<'a, F: Future<Output = Result<ItemsPage, StoreError>> + 'a>(
        &'a self,
        page: impl Fn(Option<Item>) -> F + 'a,
    ) -> impl Stream<Item = Result<StoredArtifact, StoreError>> + 'a {
        // The outer `Some` says that a page is left to read. The inner option is the key at which that page
        // begins; it is `None` for the first page.
        let pages = stream::try_unfold((Some(None), page), async |(left, page)| {
            let Some(start) = left else { return Ok(None) };
            let ItemsPage { items, next } = page(start).await?;
            let items = stream::iter(items.into_iter().map(Ok));
            Ok::<_, StoreError>(Some((items, (next.map(Some), page))))
        });
        pages
            .try_flatten()
            .and_then(move |item| self.scanned(item))
            .try_filter_map(|found| async { Ok(found) })
    }

    /// The whole artifact of an item. It is read again where it was replaced meanwhile, and is `None` where
    /// it was removed.
    async fn scanned(&self, item: Item) -> Result<Option<StoredArtifact>, StoreError> {
        let entry = entry_of(&item);
        if let Some(artifact) = self.store.artifact(item, &Usage::default()).await? {
            return Ok(Some(artifact));
        }
        let Some(position) = artifact_position(&entry) else { return Ok(None) };
        let state = self.artifact_state(&FoundArtifact::by_id(position.id().to_owned())).await?;
        let document = state.artifact.and_then(|artifact| Document::pack(&artifact.json).ok());
        Ok(document.map(|document| StoredArtifact {
            position,
            repository: String::new(),
            revision: String::new(),
            document,
        }))
    }
}
