//! What tells recorded facts apart.
//!
//! A fact's activity lies in the artifact's document, as every activity does, and the artifact's item says
//! which of them were recorded. So a fact and its activity cannot part, and one commit adds both. A fact with
//! an idempotency key has an item besides, which names the artifact: the image's tag may name another artifact
//! when the fact is sent again.

use delivery_center::position::UnixSeconds;
use delivery_center::store::StoreError;
use delivery_center::store::artifacts::found_by::{Short, hex};
use delivery_center::store::items::{Item, text};
use delivery_center::store::keys::{WRITER, idempotency_key};

use crate::digest;
use crate::write::Writer;
use crate::write::transaction::{Condition, Write};

/// The attribute of a key's item that names the artifact.
const ARTIFACT_ID: &str = "artifact_id";

/// By what a fact is known. The same fact always has the same key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactKey(String);

/// The item of an idempotency key as it was read.
#[derive(Debug, Clone)]
pub struct KeyItem {
    key: Item,
    item: Option<Item>,
}

impl FactKey {
    /// The key of the fact that these texts make up together.
    pub fn new(texts: &[&str]) -> Self {
        Self(digest::of_texts(texts))
    }

    /// The key of the same fact at another time.
    pub fn at(&self, time: UnixSeconds) -> Self {
        Self::new(&["at", &self.0, &time.to_string()])
    }

    /// The 8 bytes by which an artifact's item lists the fact.
    pub fn short(&self) -> Short {
        digest::short(&[&self.0])
    }
}

impl KeyItem {
    /// The id of the artifact for which the fact was recorded. It need not hold the fact any more.
    pub fn artifact_id(&self) -> Option<&String> {
        self.item.as_ref()?.get(ARTIFACT_ID)?.as_s().ok()
    }

    /// The write by which the key names an artifact from now on.
    pub(super) fn write(&self, artifact_id: &str, writer: Short) -> Write {
        let mut item = self.key.clone();
        item.insert(ARTIFACT_ID.to_owned(), text(artifact_id));
        item.insert(WRITER.to_owned(), text(hex(writer)));
        Write::Put(item, Some(Condition::as_read(self.item.as_ref(), WRITER)))
    }
}

impl Writer {
    /// Reads the item of the idempotency key that a fact has.
    ///
    /// # Errors
    /// DynamoDB fails, or refuses the request.
    pub async fn key_item(&self, fact: &FactKey) -> Result<KeyItem, StoreError> {
        let key = idempotency_key(&fact.0);
        let item = self.items_at(vec![key.clone()]).await?.pop();
        Ok(KeyItem { key, item })
    }
}
