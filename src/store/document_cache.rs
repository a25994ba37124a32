//! Keeps documents of releases in memory after they were read, up to a number of bytes.
//!
//! A document never changes under its revision, and the index names the revision of every release that it
//! lists. So a document that is kept here need not be fetched or checked again, and the answer is as fresh as
//! the index, at least.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quick_cache::unsync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, Equivalent, OptionsBuilder, Weighter};

use super::releases::{ReleaseEntry, StoredRelease, Verbosity};
use crate::document::Document;

/// How much memory a kept document takes besides its bytes and its key's: its place in the cache, and the
/// overhead of three allocations.
const BYTES_BESIDE_A_DOCUMENT: usize = 256;
/// How large the cache takes documents to be when it works out how many evicted ones to remember.
const TYPICAL_DOCUMENT_BYTES: usize = 4096;

/// The cache. A long walk through the history does not empty it: documents that are asked for again and again
/// stay.
///
/// One lock suffices: a function answers one request at a time, and nobody waits for anything while holding
/// it.
pub(super) struct DocumentCache {
    documents: Mutex<Cache<Key, Arc<Document>, Bytes>>,
}

/// One of a release's two documents. A brief answer needs only the one, a detailed answer both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Half {
    Brief,
    Rest,
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    release_id: Box<str>,
    revision: Box<str>,
    half: Half,
}

/// A key to look up, without copies of its texts. It must hash as [`Key`] does, so it has the same fields in
/// the same order.
#[derive(Hash)]
struct BorrowedKey<'a> {
    release_id: &'a str,
    revision: &'a str,
    half: Half,
}

impl Equivalent<Key> for BorrowedKey<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.half == key.half && *self.revision == *key.revision && *self.release_id == *key.release_id
    }
}

/// Weighs a kept document in bytes of memory.
#[derive(Clone)]
struct Bytes;

impl Weighter<Key, Arc<Document>> for Bytes {
    fn weight(&self, key: &Key, document: &Arc<Document>) -> u64 {
        let bytes = key.release_id.len() + key.revision.len() + document.stored().len();
        (bytes + BYTES_BESIDE_A_DOCUMENT) as u64
    }
}

impl DocumentCache {
    /// A cache of at most this many bytes; `None` where that is 0.
    pub(super) fn of_bytes(bytes: usize) -> Option<Self> {
        if bytes == 0 {
            return None;
        }
        let options = OptionsBuilder::new()
            .weight_capacity(bytes as u64)
            .estimated_items_capacity(bytes / TYPICAL_DOCUMENT_BYTES)
            .build()
            .expect("both capacities are given");
        let cache =
            Cache::with_options(options, Bytes, DefaultHashBuilder::default(), DefaultLifecycle::default());
        Some(Self { documents: Mutex::new(cache) })
    }

    /// The documents of a listed release that an answer of this verbosity needs; `None` unless all of them
    /// are here.
    pub(super) fn get(&self, entry: &ReleaseEntry, verbosity: Verbosity) -> Option<StoredRelease> {
        let documents = self.lock();
        let get = |half| {
            let key = BorrowedKey { release_id: entry.position.id(), revision: &entry.revision, half };
            documents.get(&key).cloned()
        };
        let brief = get(Half::Brief)?;
        let rest = match verbosity {
            Verbosity::Brief => None,
            Verbosity::Detailed => Some(get(Half::Rest)?),
        };
        Some(StoredRelease { brief, rest })
    }

    /// Keeps the documents of a release, which must be those of the entry's revision.
    pub(super) fn keep(&self, entry: &ReleaseEntry, release: &StoredRelease) {
        let mut documents = self.lock();
        let rest = release.rest.as_ref().map(|rest| (Half::Rest, rest));
        for (half, document) in std::iter::once((Half::Brief, &release.brief)).chain(rest) {
            let key = Key {
                release_id: entry.position.id().into(),
                revision: entry.revision.as_str().into(),
                half,
            };
            documents.insert(key, Arc::clone(document));
        }
    }

    /// How many bytes are kept.
    pub(super) fn bytes(&self) -> u64 {
        self.lock().weight()
    }

    /// Locks the cache, also after a panic: only the cache's own code runs while it is locked, so a panic of
    /// a request cannot have left it half changed.
    fn lock(&self) -> MutexGuard<'_, Cache<Key, Arc<Document>, Bytes>> {
        self.documents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for DocumentCache {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.debug_struct("DocumentCache").field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Lengths;
    use super::*;
    use crate::position::Position;

    fn entry(id: &str, revision: &str) -> ReleaseEntry {
        let position = Position::new(1_637_726_888, id);
        ReleaseEntry { position, revision: revision.to_owned(), lengths: Lengths::default() }
    }

    fn release(text: &str) -> StoredRelease {
        let document = |text: &str| Arc::new(Document::pack(text).unwrap());
        StoredRelease { brief: document(text), rest: Some(document(&format!(",{text}"))) }
    }

    #[test]
    fn a_release_is_found_under_its_revision_alone() {
        let cache = DocumentCache::of_bytes(1 << 20).unwrap();
        cache.keep(&entry("a", "1"), &release("one"));
        assert_eq!(cache.get(&entry("a", "1"), Verbosity::Detailed), Some(release("one")));
        for other in [entry("a", "2"), entry("b", "1"), entry("1", "a")] {
            assert_eq!(cache.get(&other, Verbosity::Detailed), None);
        }
    }

    #[test]
    fn a_detailed_answer_needs_both_documents_and_a_brief_one_only_the_one() {
        let cache = DocumentCache::of_bytes(1 << 20).unwrap();
        let brief = StoredRelease { rest: None, ..release("one") };
        cache.keep(&entry("a", "1"), &brief);
        assert_eq!(cache.get(&entry("a", "1"), Verbosity::Detailed), None);
        cache.keep(&entry("a", "1"), &release("one"));
        assert_eq!(cache.get(&entry("a", "1"), Verbosity::Brief), Some(brief));
    }

    #[test]
    fn a_walk_over_a_hundred_thousand_releases_stays_within_the_bound_and_keeps_the_daily_ones() {
        const BYTES: usize = 1 << 20;
        let cache = DocumentCache::of_bytes(BYTES).unwrap();
        let (daily, text) = (entry("daily", "1"), "x".repeat(500));
        cache.keep(&daily, &release("daily"));
        for number in 0..100_000 {
            if number % 1000 == 0 {
                assert!(
                    cache.get(&daily, Verbosity::Detailed).is_some(),
                    "asked for before release {number}"
                );
            }
            cache.keep(&entry(&number.to_string(), "1"), &StoredRelease { rest: None, ..release(&text) });
            assert!(cache.bytes() <= BYTES as u64, "{} bytes after release {number}", cache.bytes());
        }
        assert!(cache.bytes() > BYTES as u64 * 9 / 10, "the bound is made use of");
    }

    #[test]
    fn a_document_larger_than_the_bound_is_not_kept() {
        let cache = DocumentCache::of_bytes(300).unwrap();
        let long: String = (0..2000).map(|number| number.to_string()).collect();
        cache.keep(&entry("a", "1"), &release(&long));
        assert_eq!(cache.get(&entry("a", "1"), Verbosity::Brief), None);
        assert_eq!(cache.bytes(), 0);
        assert!(DocumentCache::of_bytes(0).is_none());
    }
}
