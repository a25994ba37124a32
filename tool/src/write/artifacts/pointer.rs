//! An artifact's pointer: where it is kept, and which recorded facts it holds.

use delivery_center::store::StoreError;
use delivery_center::store::items::{Attributes, Item, Subject, text};
use delivery_center::store::keys::{artifact_key, artifact_part_entry, found_by_entry, pointer_key};
use serde::{Deserialize, Serialize};

use crate::write::transaction::Condition;

/// The attribute that holds the pointer, as one text. Every write of an artifact is on the condition that
/// this text is as it was read.
const KEPT: &str = "kept";
/// DynamoDB's limit for an item is 400 KB, names included.
const MAX_POINTER_BYTES: usize = 390_000;
/// The version of the form in which pointers are stored.
pub(in crate::write) const POINTER_VERSION: u8 = 1;

/// Where an artifact's items are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) image_digest: String,
    pub(super) entry: String,
    pub(super) revision: String,
    pub(super) parts: usize,
    /// The digests of its `found-by` entries, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) found_by: Vec<String>,
}

/// What an artifact's pointer says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pointer {
    pub(super) version: u8,
    /// Where the artifact is; `None` before it is written for the first time, and after it gave way.
    pub(super) place: Option<Place>,
    /// Other places where items, parts or entries of it may still lie.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) stale: Vec<Place>,
    /// The digests of the facts that pipelines recorded of it, in the order of recording.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) recorded: Vec<String>,
    /// The id of the artifact that has taken its facts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) gave_way_to: Option<String>,
    /// A random text of the writer that is writing the artifact in steps. It makes the text of every claim
    /// different.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) writer: Option<String>,
}

impl Pointer {
    /// A pointer to a place, which names nothing stale and no facts.
    pub(super) fn to(place: Option<Place>) -> Self {
        Self {
            version: POINTER_VERSION,
            place,
            stale: Vec::new(),
            recorded: Vec::new(),
            gave_way_to: None,
            writer: None,
        }
    }

    /// The pointer's item.
    pub(super) fn item(&self, artifact_id: &str) -> Item {
        let mut item = pointer_key(artifact_id);
        item.insert(KEPT.to_owned(), text(self.stored()));
        item
    }

    /// Checks that an item can hold the pointer. While an artifact is written in steps, its new place is
    /// named as stale beside the old one, so the pointer is measured with two places.
    pub(super) fn check_size(&self, artifact_id: &str, table: &str) -> Result<(), StoreError> {
        let claimed = Self { stale: self.place.iter().cloned().collect(), ..self.clone() };
        if claimed.stored().len() <= MAX_POINTER_BYTES {
            return Ok(());
        }
        let (recorded, found_by) =
            (self.recorded.len(), self.place.as_ref().map_or(0, |place| place.found_by.len()));
        Err(StoreError::TooLarge {
            table: table.to_owned(),
            record: Subject::Artifact(artifact_id).to_string(),
            reason: format!(
                "it has {recorded} recorded activities, and {found_by} entries that find it; its pointer has room for about \
                 14,000 of the one, or 10,000 of the other"
            ),
        })
    }

    fn stored(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers always serialize")
    }

    /// The condition that the stored pointer is this one.
    pub(super) fn condition(&self) -> Condition {
        Condition::Has(KEPT, self.stored())
    }
}

/// A pointer as it was read, and the condition that the stored one has not changed since.
#[derive(Debug, Clone)]
pub(super) struct KeptPointer {
    pub(super) condition: Condition,
    pub(super) pointer: Pointer,
}

impl KeptPointer {
    /// The pointer of an artifact that has none.
    pub(super) fn absent() -> Self {
        Self { condition: Condition::Absent, pointer: Pointer::to(None) }
    }

    /// Reads a pointer's item. Where it cannot be read, the error also holds what a caller needs to overwrite
    /// it.
    pub(super) fn read(item: Option<Item>, table: &str, subject: Subject<'_>) -> Result<Self, Unreadable> {
        let Some(item) = item else { return Ok(Self::absent()) };
        // A spoiled pointer is overwritten only where nobody has mended it meanwhile.
        let as_it_is = match item.get(KEPT) {
            Some(value) => Condition::Is(KEPT, value.clone()),
            None => Condition::Lacks(KEPT),
        };
        let mut attributes = Attributes::new(item, table, subject);
        let kept = match attributes.text(KEPT) {
            Ok(kept) => kept,
            Err(error) => {
                return Err(Unreadable {
                    error,
                    overwriting: Box::new(Self { condition: as_it_is, ..Self::absent() }),
                });
            }
        };
        let condition = Condition::Has(KEPT, kept.clone());
        let unreadable = |reason: String| Unreadable {
            error: attributes.unreadable(reason),
            overwriting: Box::new(Self { condition: condition.clone(), ..Self::absent() }),
        };
        let pointer: Pointer = serde_json::from_str(&kept)
            .map_err(|error| unreadable(format!("its pointer cannot be read: {error}")))?;
        if pointer.version != POINTER_VERSION {
            let version = pointer.version;
            return Err(unreadable(format!(
                "its pointer has version {version}, and this service reads version {POINTER_VERSION}"
            )));
        }
        Ok(Self { condition, pointer })
    }
}

/// A pointer that cannot be read.
#[derive(Debug)]
pub(super) struct Unreadable {
    pub(super) error: StoreError,
    /// An empty pointer to start from where the spoiled one is overwritten, with the condition that it is
    /// still spoiled.
    pub(super) overwriting: Box<KeptPointer>,
}

impl Place {
    pub(super) fn key(&self) -> Item {
        artifact_key(&self.image_digest, &self.entry)
    }

    /// Whether an item lies at this place with this revision. A `BatchGetItem` reads each key at a moment of
    /// its own, so the item that comes with a pointer may be an older one.
    pub(super) fn has(&self, item: &Item) -> bool {
        let is = |name: &str, value: &str| {
            item.get(name).is_some_and(|own| own.as_s().is_ok_and(|own| own == value))
        };
        is("image_digest", &self.image_digest) && is("entry", &self.entry) && is("revision", &self.revision)
    }

    /// The keys of the parts at this place, without those that the other place has too.
    pub(super) fn part_keys_not_at(&self, artifact_id: &str, other: &Self) -> Vec<Item> {
        let is_same = self.image_digest == other.image_digest && self.revision == other.revision;
        if is_same { Vec::new() } else { self.part_keys(artifact_id) }
    }

    /// The keys of the `found-by` entries at this place, without those that the other place has too.
    pub(super) fn entry_keys_not_at(&self, artifact_id: &str, other: Option<&Self>) -> Vec<Item> {
        let other = other.filter(|other| other.image_digest == self.image_digest);
        let known = other.map_or(&[][..], |other| &other.found_by);
        let gone = self.found_by.iter().filter(|digest| known.binary_search(digest).is_err());
        gone.map(|digest| artifact_key(&self.image_digest, &found_by_entry(artifact_id, digest))).collect()
    }

    /// The keys of all parts at this place.
    pub(super) fn part_keys(&self, artifact_id: &str) -> Vec<Item> {
        let entry = |number| artifact_part_entry(artifact_id, &self.revision, number);
        (1..=self.parts).map(|number| artifact_key(&self.image_digest, &entry(number))).collect()
    }
}
