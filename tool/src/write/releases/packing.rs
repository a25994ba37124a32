//! Lays a checked release out as the items to store.

use std::collections::BTreeMap;

use delivery_center::document::Document;
use delivery_center::position::Position;
use delivery_center::response_limit::escaped_length;
use delivery_center::store::facets::{ListEntry, listed};
use delivery_center::store::items::{Item, bytes, text};
use delivery_center::store::json::Json;
use delivery_center::store::keys::{
    MAX_HASH_KEY_BYTES, MAX_RELEASE_ID_BYTES, RELEASE_ENTRY, release_key, release_part_entry,
};
use delivery_center::store::{Lengths, ReleaseEntry};

use crate::digest;
use crate::record::Release;
use crate::write::batch_write::{MAX_DOCUMENT_BYTES_PER_ITEM, Unstorable, check_parts};

/// A release packed and laid out as items; there are no items where it is soft-deleted.
#[derive(Debug, Clone)]
pub struct PackedRelease {
    release_id: String,
    /// By range key.
    items: BTreeMap<String, Item>,
    revision: Option<String>,
    /// The sections in which it has no record.
    unfilled: Vec<&'static str>,
    /// Whether it may replace a stored release that has records in these sections.
    may_empty: bool,
}

impl PackedRelease {
    /// Packs a release.
    ///
    /// # Errors
    /// [`Unstorable`], where its names are longer than keys can be, or there is more of it than its items can
    /// hold.
    pub fn new(release: &Release) -> Result<Self, Unstorable> {
        let release_id = release.release_id.clone();
        if release_id.len() > MAX_RELEASE_ID_BYTES {
            return Err(Unstorable(format!(
                "the id has {} bytes, and may have {MAX_RELEASE_ID_BYTES}",
                release_id.len()
            )));
        }
        if release.deleted {
            return Ok(Self::deleted(&release_id));
        }
        let (items, revision) = items(release)?;
        let unfilled = release.unfilled.clone();
        Ok(Self { release_id, items, revision: Some(revision), unfilled, may_empty: true })
    }

    /// The same release, but it does not replace a stored release that has records in a section in which this
    /// one has none.
    pub fn without_emptying(self) -> Self {
        Self { may_empty: false, ..self }
    }

    /// A release that is to be removed, with everything that is stored of it.
    pub(super) fn deleted(release_id: &str) -> Self {
        Self {
            release_id: release_id.to_owned(),
            items: BTreeMap::new(),
            revision: None,
            unfilled: Vec::new(),
            may_empty: true,
        }
    }

    /// The release's id.
    pub fn release_id(&self) -> &str {
        &self.release_id
    }

    /// The revision of its documents; `None` where it is soft-deleted.
    pub fn revision(&self) -> Option<&str> {
        self.revision.as_deref()
    }

    /// Its items by entry; there are none where it is soft-deleted.
    pub(in crate::write) fn items(&self) -> &BTreeMap<String, Item> {
        &self.items
    }

    pub(super) fn is_deleted(&self) -> bool {
        self.items.is_empty()
    }

    /// The sections in which it has no record and which it must not empty.
    pub(super) fn sections_not_to_empty(&self) -> &[&'static str] {
        if self.may_empty { &[] } else { &self.unfilled }
    }
}

/// The items of a release by entry, and the revision of its documents.
fn items(release: &Release) -> Result<(BTreeMap<String, Item>, String), Unstorable> {
    let brief = format!("{{\"versionInfo\":{}", release.version_info);
    let rest = format!(",{}}}", release.sections);
    let pack = |text: &str| Document::pack(text).map_err(|too_long| Unstorable(too_long.to_string()));
    let (brief_document, rest_document) = (pack(&brief)?, pack(&rest)?);
    let json = Json::read(&format!("{brief}{rest}")).expect("a checked release is JSON");
    let (listed, terms) = listed(&json);
    check_keys(&listed)?;
    let layout = Layout::new(brief_document.stored(), rest_document.stored())?;
    let entry = ReleaseEntry {
        position: Position::new(release.created_at, &release.release_id),
        revision: digest::of_texts(&[&brief, &rest]),
        lengths: Lengths {
            brief_packed: brief_document.packed_length(),
            brief_escaped: escaped_length(brief.as_bytes()),
            rest_packed: rest_document.packed_length(),
            rest_escaped: escaped_length(rest.as_bytes()),
            brief_parts: layout.brief_parts,
            parts: layout.parts.len(),
        },
    };
    let mut items = facet_items(&listed, &entry);
    for (number, part) in (1..).zip(layout.parts) {
        let part_entry = release_part_entry(&entry.revision, number);
        let mut item = release_key(&release.release_id, &part_entry);
        item.insert("document".to_owned(), bytes(part));
        items.insert(part_entry, item);
    }
    let mut item = release_key(&release.release_id, RELEASE_ENTRY);
    item.insert("brief".to_owned(), bytes(layout.brief));
    if !layout.rest.is_empty() {
        item.insert("rest".to_owned(), bytes(layout.rest));
    }
    item.extend(common_attributes(&entry));
    items.insert(RELEASE_ENTRY.to_owned(), item);
    if terms.weight() > MAX_DOCUMENT_BYTES_PER_ITEM {
        return Err(Unstorable(format!(
            "what it is found by (services, images, commits and so on) has {} bytes, and one item can hold {}",
            terms.weight(),
            MAX_DOCUMENT_BYTES_PER_ITEM
        )));
    }
    Ok((items, entry.revision))
}

/// Checks that the combinations of project, workflow, task and services fit into a key: no release may be
/// missing from those lists. (Values of the newer filters that do not fit are left out of theirs.)
fn check_keys(listed: &[ListEntry]) -> Result<(), Unstorable> {
    let Some(too_long) = listed.iter().find(|listed| !listed.facet.fits_a_key()) else { return Ok(()) };
    let longest = too_long.facet.terms().max_by_key(|term| term.len()).unwrap_or_default();
    let (name, value) = longest.split_once('=').unwrap_or_default();
    Err(Unstorable(format!(
        "its names are together longer than a DynamoDB key can be ({} of {MAX_HASH_KEY_BYTES} bytes); \
         the longest is the {name} with {} bytes",
        too_long.facet.as_str().len(),
        value.len()
    )))
}

/// The entries that find a release, by range key.
fn facet_items(listed: &[ListEntry], entry: &ReleaseEntry) -> BTreeMap<String, Item> {
    let item = |ListEntry { facet, terms }: &ListEntry| {
        let range_key = facet.entry();
        let mut item = release_key(entry.position.id(), &range_key);
        item.insert("facet".to_owned(), text(facet.as_str()));
        terms.put_into(&mut item);
        item.extend(common_attributes(entry));
        (range_key, item)
    };
    listed.iter().map(item).collect()
}

/// The attributes that a release's own item and its facet entries have in common.
fn common_attributes(entry: &ReleaseEntry) -> Item {
    Item::from([
        ("position".to_owned(), text(entry.position.as_str())),
        ("revision".to_owned(), text(&entry.revision)),
        ("lengths".to_owned(), text(entry.lengths.to_string())),
    ])
}

/// Both documents, cut into pieces that fit into items. `brief` and `rest` never share a part.
struct Layout {
    /// What the release's own item holds of `brief`, and of `rest`.
    brief: Vec<u8>,
    rest: Vec<u8>,
    /// How many of the parts are those of `brief`, which come first.
    brief_parts: usize,
    parts: Vec<Vec<u8>>,
}

impl Layout {
    fn new(brief: &[u8], rest: &[u8]) -> Result<Self, Unstorable> {
        let room = MAX_DOCUMENT_BYTES_PER_ITEM;
        let cut = |bytes: &[u8], room: usize| {
            let (kept, overflow) = bytes.split_at(bytes.len().min(room));
            (
                kept.to_vec(),
                overflow.chunks(MAX_DOCUMENT_BYTES_PER_ITEM).map(<[u8]>::to_vec).collect::<Vec<_>>(),
            )
        };
        let (brief, mut parts) = cut(brief, room);
        let brief_parts = parts.len();
        let (rest, rest_parts) = cut(rest, room - brief.len());
        parts.extend(rest_parts);
        check_parts(parts.len())?;
        Ok(Self { brief, rest, brief_parts, parts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_cut_into_items_and_their_parts_are_counted() {
        let cut = |brief: usize, rest: usize| {
            let layout = Layout::new(&vec![1; brief], &vec![2; rest]).unwrap();
            let parts: Vec<_> = layout.parts.iter().map(|part| (part[0], part.len())).collect();
            (layout.brief.len(), layout.rest.len(), layout.brief_parts, parts)
        };
        let room = MAX_DOCUMENT_BYTES_PER_ITEM;
        assert_eq!(cut(10, 20), (10, 20, 0, vec![]));
        assert_eq!(cut(10, room), (10, room - 10, 0, vec![(2, 10)]));
        assert_eq!(cut(room + 5, room + 7), (room, 0, 1, vec![(1, 5), (2, room), (2, 7)]));
        assert!(Layout::new(&[0; 12], &vec![0; room * 1001]).is_err());
    }
}
