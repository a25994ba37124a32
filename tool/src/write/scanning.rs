//! Reads everything in a table, or all artifacts of an image, one page after another.

use delivery_center::document::Document;
use delivery_center::image_reference::ImageReference;
use delivery_center::position::Position;
use delivery_center::store::items::{Item, entry_of, reserved_names, text};
use delivery_center::store::keys::{ARTIFACT_HASH, ARTIFACT_PREFIX, RELEASE_HASH, artifact_position};
use delivery_center::store::{ItemsPage, StoreError, Usage};
use futures_util::future;
use futures_util::stream::{self, Stream, StreamExt as _, TryStreamExt as _};

use super::Writer;
use super::artifacts::{ArtifactEntry, FoundArtifact};
use crate::record::Recorded;

/// A scan of a table is split into this many segments, which are read side by side.
const SEGMENTS: i32 = 4;

/// The attributes that an artifact is exported from.
const EXPORTED: &str = "image_digest, #entry, repository, revision, writer, document, parts, recorded, told";

/// An artifact as it is exported.
pub struct ExportedArtifact {
    /// Its time and id.
    pub position: Position,
    /// The artifact as it is answered.
    pub document: Document,
    /// The last member of its line, which says what pipelines recorded; `None` where they recorded nothing.
    pub recorded: Option<String>,
}

impl Writer {
    /// The ids of all releases, in no order. An id is found as long as any item of its release is left.
    pub fn release_ids(&self) -> impl Stream<Item = Result<String, StoreError>> + '_ {
        self.scanned(&self.releases_table, RELEASE_HASH, None, |mut item| {
            item.remove(RELEASE_HASH).and_then(|id| id.as_s().ok().cloned())
        })
    }

    /// All artifacts, and what lies beside the pointers of each id, in no order.
    pub fn artifact_entries(&self) -> impl Stream<Item = Result<ArtifactEntry, StoreError>> + '_ {
        self.scanned(&self.artifacts_table, "image_digest, #entry", None, |item| {
            let hash_key = item.get(ARTIFACT_HASH)?.as_s().ok()?.clone();
            Some(ArtifactEntry { hash_key, position: artifact_position(&entry_of(&item)) })
        })
    }

    /// All artifacts, in no order.
    pub fn artifacts(&self) -> impl Stream<Item = Result<ExportedArtifact, StoreError>> + '_ {
        let items = self.scanned(&self.artifacts_table, EXPORTED, Some(ARTIFACT_PREFIX), Some);
        self.artifacts_of(items)
    }

    /// All artifacts that an image reference names, newest first.
    pub fn artifacts_of_image(
        &self,
        image: &ImageReference,
    ) -> impl Stream<Item = Result<ExportedArtifact, StoreError>> + '_ {
        let query = self.store.artifacts_query(image).map(|query| query.projection_expression(EXPORTED));
        self.artifacts_of(items_of_pages(move |start| {
            let query = query.clone();
            async move {
                let Some(query) = query else { return Ok(ItemsPage { items: Vec::new(), next: None }) };
                let sent = query.set_exclusive_start_key(start).send().await;
                let output = sent.map_err(|error| StoreError::from_sdk(&self.artifacts_table, error))?;
                ItemsPage::of(&self.artifacts_table, output.items, output.last_evaluated_key)
            }
        }))
    }

    /// What is read of the items of a table; of items that follow each other and are alike, it is given once.
    /// `entries` is how the range keys begin of those that are read.
    fn scanned<'a, T: PartialEq + Clone + Send + 'a>(
        &'a self,
        table: &'a str,
        projection: &'static str,
        entries: Option<&'static str>,
        read: fn(Item) -> Option<T>,
    ) -> impl Stream<Item = Result<T, StoreError>> + 'a {
        let segment = move |segment| {
            let items = items_of_pages(move |start| async move {
                let mut names = reserved_names(projection).unwrap_or_default();
                names.extend(entries.map(|_| ("#entry".to_owned(), "entry".to_owned())));
                let scan = self.client.scan().table_name(table).consistent_read(true);
                let sent = scan
                    .segment(segment)
                    .total_segments(SEGMENTS)
                    .projection_expression(projection)
                    .set_filter_expression(entries.map(|_| "begins_with(#entry, :entries)".to_owned()))
                    .set_expression_attribute_values(
                        entries.map(|entries| [(":entries".to_owned(), text(entries))].into()),
                    )
                    .set_expression_attribute_names((!names.is_empty()).then_some(names))
                    .set_exclusive_start_key(start)
                    .send()
                    .await;
                let output = sent.map_err(|error| StoreError::from_sdk(table, error))?;
                ItemsPage::of(table, output.items, output.last_evaluated_key)
            });
            let mut last = None;
            let is_new = move |found: &T| {
                let is_new = last.as_ref() != Some(found);
                last = Some(found.clone());
                future::ready(is_new)
            };
            items.try_filter_map(move |item| future::ok(read(item))).try_filter(is_new).boxed()
        };
        stream::select_all((0..SEGMENTS).map(segment))
    }

    /// The whole artifacts of items. One that was replaced meanwhile is read again, and one that was removed is
    /// left out.
    fn artifacts_of<'a>(
        &'a self,
        items: impl Stream<Item = Result<Item, StoreError>> + 'a,
    ) -> impl Stream<Item = Result<ExportedArtifact, StoreError>> + 'a {
        items.try_filter_map(async |item| {
            let Some(position) = artifact_position(&entry_of(&item)) else { return Ok(None) };
            let recorded = recorded_in(&item);
            if let Some(artifact) = self.store.artifact(item, &Usage::default()).await? {
                return Ok(Some(ExportedArtifact { position, document: artifact.document, recorded }));
            }
            let state = self.artifact_state(&FoundArtifact::by_id(position.id().to_owned())).await?;
            let recorded = state.item.as_ref().and_then(recorded_in);
            let document = state.artifact.and_then(|artifact| Document::pack(&artifact.json).ok());
            Ok(document.map(|document| ExportedArtifact { position, document, recorded }))
        })
    }
}

/// What an artifact's item says that pipelines recorded, as an export says it.
fn recorded_in(item: &Item) -> Option<String> {
    let list = item.get("recorded").and_then(|list| list.as_b().ok()).map_or(&[][..], |list| list.as_ref());
    let told = item.get("told").and_then(|told| told.as_s().ok()).map_or("{}", String::as_str);
    (!list.is_empty() || told != "{}").then(|| Recorded::exported(list, told))
}

/// The items of all pages; `page` reads the page that begins at a key.
pub(super) fn items_of_pages<'a, F: Future<Output = Result<ItemsPage, StoreError>> + 'a>(
    page: impl Fn(Option<Item>) -> F + 'a,
) -> impl Stream<Item = Result<Item, StoreError>> + 'a {
    // The outer `Some` says that a page is left to read. The inner option is the key at which that page begins;
    // it is `None` for the first page.
    let pages = stream::try_unfold((Some(None), page), async |(left, page)| {
        let Some(start) = left else { return Ok(None) };
        let ItemsPage { items, next } = page(start).await?;
        let items = stream::iter(items.into_iter().map(Ok));
        Ok::<_, StoreError>(Some((items, (next.map(Some), page))))
    });
    pages.try_flatten()
}
