//! Writes releases, so that a reader meets each as it was or as it is, whatever else is written and whoever crashes.
//!
//! What is stored of a release is its item, parts of its documents, and the facet entries that find it. The item names its
//! *writer*, a random text that every writer changes. A writer reads the release's partition and writes on the condition
//! that the item still names the writer that it read there; where it does not, somebody else has written meanwhile, and
//! everything begins anew.
//!
//! What fits into one transaction (a hundred writes, 4 MB: a release of some eleven services) is written by one. There is
//! nothing between before and after.
//!
//! What does not fit is written in steps:
//!
//! | step | what a crash after it leaves | who heals that |
//! | --- | --- | --- |
//! | 1. claim: the item names this writer as claiming, and is otherwise as it was; where there is none, it is made without documents | the release as it was. An item without documents is not there for readers | nothing is to be healed |
//! | 2. parts of the new revision, whose keys no other revision has | the same, and parts that nobody reads | the next writer of the release, or `reindex` |
//! | 3. facet entries of the new revision, in transactions that check the claim | the release as it was: readers read the item again where an entry names another revision. Only where the release moved in time, lists pass over it | as above |
//! | 4. commit, in one transaction: the new item, which names this writer as having written it, where the old one still bears the claim; and what the release is found by now | the new release, whole | nothing is to be healed |
//! | 5. removal of what the new item does not need, in transactions that check that the item names this writer | the new release, and entries that readers pass over | as above |
//!
//! The claim and the commit name the writer by two different texts: who read the item between them must not take what it read
//! for what is there now. A writer that another one overtook fails at its next check or at its commit, and begins anew. Nobody removes what such a
//! writer wrote while it may still commit: who removes checks that the item names him, and from then on the commit of
//! the other fails. Removing a release is the same: its commit puts an item without documents, and a last step removes that.

use backon::BackoffBuilder as _;
use futures_util::stream::{self, StreamExt as _};

use super::packing::PackedRelease;
use super::partition::{Described, Partition};
use crate::record::Record;
use crate::store::Store;
use crate::store::batch_write::{CONTENDED_RECORD, Mode, Outcome, put};
use crate::store::error::{StoreError, Unavailability};
use crate::store::items::{Attributes, Item, Subject, text};
use crate::store::keys::{PART_PREFIX, RELEASE_ENTRY, RELEASE_HASH, TERMS_ENTRY, WRITER, release_key};
use crate::store::transaction::{Condition, Transacted, Write, nonce};

/// How many releases are written side by side.
const RELEASES_AT_ONCE: usize = 16;

/// What turns a release's stored entries into the wanted ones.
#[derive(Debug, Default)]
struct Changes {
    /// The release's item, where it is to be put.
    item: Option<Item>,
    /// Whether an item that is there is to be removed.
    removes_item: bool,
    /// Whether nothing of the release is to be left.
    is_removal: bool,
    parts: Vec<Item>,
    facets: Vec<Item>,
    /// The item that tells what the release is found by, where that is to be put: always together with the release's item.
    terms: Option<Item>,
    /// Keys.
    removed: Vec<Item>,
}

/// What became of an attempt to write a release.
enum Attempt {
    Written,
    /// Somebody else wrote it meanwhile.
    Overtaken,
}

/// What became of one release that was to be reindexed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reindexed {
    /// So many items of it were written or removed; 0 where all were as they should be.
    Release(usize),
    /// There is no such release; so many items that were left of it were removed.
    Dangling(usize),
}

impl Store {
    /// Stores releases, each wholly: what their partitions held before and no longer holds is gone.
    ///
    /// Each has an outcome of its own, in their order. One whose outcome is an error is as it was, or written: storing it
    /// again completes it.
    pub async fn put_releases(
        &self,
        releases: &[PackedRelease],
        mode: Mode,
    ) -> Vec<Result<Outcome, StoreError>> {
        let mut writes = Vec::with_capacity(releases.len());
        for release in releases {
            writes.push(self.put_release(release, mode));
        }
        stream::iter(writes).buffered(RELEASES_AT_ONCE).collect().await
    }

    /// Stores one release wholly.
    ///
    /// # Errors
    /// The table's; storing it again completes it.
    pub async fn put_release(&self, release: &PackedRelease, mode: Mode) -> Result<Outcome, StoreError> {
        let mut waits = CONTENDED_RECORD.build();
        let mut outcome = None;
        loop {
            let stored = self.partition(release.release_id()).await?;
            let changes = Changes::between(release, &stored, mode);
            if !changes.is_empty()
                && let Some(section) = self.emptied_section(release, &stored).await?
            {
                return Ok(Outcome::WouldEmpty(section));
            }
            let outcome = *outcome.get_or_insert(match (release.is_deleted(), changes.is_empty()) {
                (true, _) => Outcome::Deleted,
                (false, true) => Outcome::Unchanged,
                (false, false) => Outcome::Stored,
            });
            if mode == Mode::DryRun || changes.is_empty() {
                return Ok(outcome);
            }
            if let Attempt::Written = self.write_release(release.release_id(), &stored, changes).await? {
                return Ok(outcome);
            }
            let Some(wait) = waits.next() else { return Err(self.releases_changed()) };
            tokio::time::sleep(wait).await;
        }
    }

    /// A section that storing a release would empty, though it may not. What cannot be read holds nothing that could be kept;
    /// where it was replaced meanwhile, the write is refused and all of this begins anew.
    async fn emptied_section(
        &self,
        release: &PackedRelease,
        stored: &Partition,
    ) -> Result<Option<&'static str>, StoreError> {
        let stored_revision = stored.item.as_ref().and_then(Described::revision);
        if release.is_deleted()
            || release.not_emptied().is_empty()
            || stored_revision.is_none()
            || stored_revision == release.revision()
        {
            return Ok(None);
        }
        let json = match self.current_release(release.release_id()).await {
            Ok(Some(current)) => current.json,
            Ok(None)
            | Err(
                StoreError::UnreadableRecord { .. }
                | StoreError::Unavailable { reason: Unavailability::ChangesTooFast, .. },
            ) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Ok(Record::Release(stored)) = Record::check(json.as_bytes()) else { return Ok(None) };
        let mut sections = release.not_emptied().iter();
        Ok(sections.find(|section| !stored.unfilled.contains(section)).copied())
    }

    /// Stores a release where there is none of its id; false where there is one.
    ///
    /// # Errors
    /// The table's; storing it again completes it.
    pub async fn create_release(&self, release: &PackedRelease) -> Result<bool, StoreError> {
        let mut waits = CONTENDED_RECORD.build();
        loop {
            let stored = self.partition(release.release_id()).await?;
            if stored.item.as_ref().is_some_and(|item| item.revision().is_some()) {
                return Ok(false);
            }
            let changes = Changes::between(release, &stored, Mode::Write);
            if let Attempt::Written = self.write_release(release.release_id(), &stored, changes).await? {
                return Ok(true);
            }
            let Some(wait) = waits.next() else { return Err(self.releases_changed()) };
            tokio::time::sleep(wait).await;
        }
    }

    /// Brings what is stored of a release to what its documents ask for: the facets that find it, the form of everything.
    ///
    /// # Errors
    /// The table's, and a release that cannot be read; reindexing it again completes it.
    pub async fn reindex_release(&self, release_id: &str, mode: Mode) -> Result<Reindexed, StoreError> {
        let mut waits = CONTENDED_RECORD.build();
        loop {
            let stored = self.partition(release_id).await?;
            let wanted = self.packed_again(release_id, &stored).await?;
            if let Some(wanted) = wanted {
                let changes = Changes::between(&wanted, &stored, Mode::Write);
                let (is_there, count) = (!wanted.is_deleted(), changes.len());
                let is_done = mode == Mode::DryRun || changes.is_empty();
                if is_done
                    || matches!(self.write_release(release_id, &stored, changes).await?, Attempt::Written)
                {
                    return Ok(if is_there { Reindexed::Release(count) } else { Reindexed::Dangling(count) });
                }
            }
            let Some(wait) = waits.next() else { return Err(self.releases_changed()) };
            tokio::time::sleep(wait).await;
        }
    }

    /// A release packed anew from its stored documents, deleted where there are none; `None` where they were replaced since
    /// the partition was read.
    async fn packed_again(
        &self,
        release_id: &str,
        stored: &Partition,
    ) -> Result<Option<PackedRelease>, StoreError> {
        let Some(revision) = stored.item.as_ref().and_then(Described::revision) else {
            return Ok(Some(PackedRelease::deleted(release_id)));
        };
        let Some(current) = self.current_release(release_id).await? else { return Ok(None) };
        if current.entry.revision != revision {
            return Ok(None);
        }
        let unreadable = |reason: String| {
            Attributes::new(Item::new(), &self.releases_table, Subject::Release(release_id))
                .unreadable(reason)
        };
        match Record::check(current.json.as_bytes()) {
            Ok(Record::Release(release)) => PackedRelease::new(&release)
                .map(Some)
                .map_err(|unstorable| unreadable(unstorable.to_string())),
            Ok(Record::Artifact(_)) => Err(unreadable("it is stored as an artifact".to_owned())),
            Err(problem) => Err(unreadable(problem.to_string())),
        }
    }

    /// Makes changes, while the item is the one in what was read.
    async fn write_release(
        &self,
        release_id: &str,
        stored: &Partition,
        changes: Changes,
    ) -> Result<Attempt, StoreError> {
        let (claiming, writer) = (nonce(), nonce());
        let key = || release_key(release_id, RELEASE_ENTRY);
        let as_read = stored.condition();
        let transaction = changes.in_one_transaction(key(), &as_read, &writer);
        if self.fit_a_transaction(&transaction) {
            return self.attempt(transaction).await;
        }
        let claim = match &stored.item {
            None => Write::Put(without_documents(release_id, &claiming), Some(as_read)),
            Some(_) => Write::Set(key(), WRITER, claiming.clone(), as_read),
        };
        if let Attempt::Overtaken = self.attempt(vec![claim]).await? {
            return Ok(Attempt::Overtaken);
        }
        let claimed = Condition::Has(WRITER, claiming);
        self.batch_write(&self.releases_table, changes.parts.into_iter().map(put).collect()).await?;
        let facets = changes.facets.into_iter().map(|facet| Write::Put(facet, None)).collect();
        if let Attempt::Overtaken = self.attempt_in_steps(key(), &claimed, facets).await? {
            return Ok(Attempt::Overtaken);
        }
        let commit = match changes.item {
            Some(item) => Write::Put(written_by(item, &writer), Some(claimed)),
            None if changes.is_removal => Write::Put(without_documents(release_id, &writer), Some(claimed)),
            None => Write::Set(key(), WRITER, writer.clone(), claimed),
        };
        let terms = changes.terms.map(|terms| Write::Put(terms, None));
        if let Attempt::Overtaken = self.attempt([commit].into_iter().chain(terms).collect()).await? {
            return Ok(Attempt::Overtaken);
        }
        let mine = Condition::Has(WRITER, writer);
        // From here on the release is what it should be. Who overtakes this writer removes what it would have.
        let removed = changes.removed.into_iter().map(|key| Write::Delete(key, None)).collect();
        let removed = self.attempt_in_steps(key(), &mine, removed).await?;
        if changes.is_removal && matches!(removed, Attempt::Written) {
            self.attempt(vec![Write::Delete(key(), Some(mine))]).await?;
        }
        Ok(Attempt::Written)
    }

    async fn attempt(&self, writes: Vec<Write>) -> Result<Attempt, StoreError> {
        Ok(match self.transact(&self.releases_table, RELEASE_HASH, writes).await? {
            Transacted::Done => Attempt::Written,
            Transacted::Refused(_) => Attempt::Overtaken,
        })
    }

    /// Makes writes in as many transactions as they need, each while the item of a key is as it must be.
    async fn attempt_in_steps(
        &self,
        key: Item,
        condition: &Condition,
        writes: Vec<Write>,
    ) -> Result<Attempt, StoreError> {
        for writes in writes.chunks(self.writes_a_transaction - 1) {
            let check = Write::Check(key.clone(), condition.clone());
            let checked = std::iter::once(check).chain(writes.iter().cloned()).collect();
            if let Attempt::Overtaken = self.attempt(checked).await? {
                return Ok(Attempt::Overtaken);
            }
        }
        Ok(Attempt::Written)
    }
}

/// The item of a release that is claimed, and of which there is nothing to read.
fn without_documents(release_id: &str, writer: &str) -> Item {
    written_by(release_key(release_id, RELEASE_ENTRY), writer)
}

fn written_by(mut item: Item, writer: &str) -> Item {
    item.insert(WRITER.to_owned(), text(writer));
    item
}

impl Changes {
    /// What turns the stored entries into the wanted ones.
    ///
    /// Entries are taken as they are only where the item is at the wanted revision. Otherwise an earlier writer may be about to
    /// remove them, since they are not what it wrote.
    fn between(release: &PackedRelease, stored: &Partition, mode: Mode) -> Self {
        let is_at_revision = stored.item.as_ref().and_then(Described::revision) == release.revision();
        let is_stored = |entry: &String, item: &Item| {
            mode != Mode::Rewrite
                && is_at_revision
                && stored.entries.get(entry).is_some_and(|stored| *stored == Described::of(item))
        };
        let mut changes = Self::default();
        for (entry, item) in release.items() {
            if entry == RELEASE_ENTRY {
                let is_as_wanted = stored.item.as_ref().is_some_and(|stored| *stored == Described::of(item));
                changes.item = (mode == Mode::Rewrite || !is_as_wanted).then(|| item.clone());
            } else if entry == TERMS_ENTRY {
                changes.terms = (!is_stored(entry, item)).then(|| item.clone());
            } else if !is_stored(entry, item) {
                let is_part = entry.starts_with(PART_PREFIX);
                if is_part { &mut changes.parts } else { &mut changes.facets }.push(item.clone());
            }
        }
        let foreign = stored.entries.keys().filter(|entry| !release.items().contains_key(*entry));
        changes.removed = foreign.map(|entry| release_key(release.release_id(), entry)).collect();
        changes.is_removal = release.is_deleted();
        changes.removes_item = changes.is_removal && stored.item.is_some();
        changes
    }

    fn len(&self) -> usize {
        let Self { item, removes_item, parts, facets, terms, removed, .. } = self;
        let puts = parts.len() + facets.len() + usize::from(terms.is_some());
        usize::from(item.is_some() || *removes_item) + puts + removed.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of it, on the condition that the item of a key is as it was read.
    fn in_one_transaction(&self, key: Item, as_read: &Condition, writer: &str) -> Vec<Write> {
        let of_item = match &self.item {
            Some(item) => Write::Put(written_by(item.clone(), writer), Some(as_read.clone())),
            None if self.removes_item => Write::Delete(key, Some(as_read.clone())),
            None => Write::Check(key, as_read.clone()),
        };
        let puts = self
            .parts
            .iter()
            .chain(&self.facets)
            .chain(&self.terms)
            .map(|item| Write::Put(item.clone(), None));
        let removed = self.removed.iter().map(|key| Write::Delete(key.clone(), None));
        std::iter::once(of_item).chain(puts).chain(removed).collect()
    }
}
