//! Writes releases, so that a reader meets each release either as it was or as it is, however many write at
//! the same time and whoever crashes.
//!
//! What is stored of a release is its item `release`, the parts of its documents, and the facet entries that
//! find it. All writers of a release agree on its item: it names its *writer*, a random text that every
//! writer replaces by one of its own. A writer first reads the whole partition consistently, works out what
//! must change, and writes on the condition that the item still names the writer that was read. Where it does
//! not, somebody else has written meanwhile, and the writer begins anew from what is there now. There are no
//! locks, so a writer that dies keeps nobody waiting.
//!
//! Changes that fit into one transaction (a hundred writes and 4 MB, which is a new release of up to eighteen
//! services with one image each) are written in one. Then there is nothing between before and after. It names
//! its writer in the item even where nothing else of that changes, so that whoever had claimed it is refused.
//!
//! Larger changes are written in steps:
//!
//! | step | what is written | what a crash after it leaves |
//! | --- | --- | --- |
//! | 1. claim | the old item names this writer as claiming | the release as it was |
//! | 2. parts | the parts of the new revision | the release as it was, and parts that nobody reads |
//! | 3. entries | its facet entries | the release as it was, with parts and entries of the new revision |
//! | 4. commit | the new item | the new release, whole, and the old one's entries and parts |
//! | 5. cleaning | what the new item does not need is removed | the new release, and what is left to remove |
//!
//! The next writer of the release heals what a crash leaves, and so does `reindex`.
//!
//! 1. The old item stays as it was otherwise. Where there is no item, one without documents is made, which
//!    readers take for absent. Of this step there is nothing to heal.
//! 2. The keys of the parts hold the revision, so they are in nobody's way.
//! 3. Each transaction checks the claim. A reader who meets an entry of the new revision finds the old item,
//!    reads it again consistently, and answers that. Only if its time changed, or what it is found by, may
//!    lists and combinations of filters leave it out until it is written again.
//! 4. In one transaction, and only where the old item still bears the claim. The new item names this writer
//!    as having written it. Readers pass over the old one's entries and parts.
//! 5. Each transaction checks that the item still names this writer.
//!
//! Say that two writers meet:
//!
//! 1. A has claimed the release and is writing entries. B reads the item with A's claim, and claims it for
//!    itself.
//! 2. From then on A's checks fail. Its next transaction of entries, or its commit, is refused, and A begins
//!    anew.
//! 3. B may have read entries of A's that its own release does not need. It removes them, but only after its
//!    commit.
//! 4. If B removed them before, and then died, A could still commit, and would miss them. After B's commit,
//!    A's cannot succeed.
//!
//! The claim and the commit name the writer by two different random texts. Whoever read the item between them
//! has read a state that is no longer there after the commit, and the second text makes the condition of such
//! a writer fail.
//!
//! Removing a release works the same way: its commit puts an item without documents, and a last transaction
//! removes that.

use delivery_center::store::artifacts::found_by::hex;
use delivery_center::store::items::{Attributes, Item, Subject, text};
use delivery_center::store::keys::{PART_PREFIX, RELEASE_ENTRY, RELEASE_HASH, WRITER, release_key};
use delivery_center::store::{StoreError, Unavailability};

use super::packing::PackedRelease;
use super::partition::Partition;
use crate::record::Record;
use crate::retries::{CONTENDED_RECORD, Patience};
use crate::write::batch_write::{Mode, Outcome, put};
use crate::write::compare::is_as_wanted;
use crate::write::transaction::{Condition, Write, nonce};
use crate::write::{Writer, side_by_side};

/// What must be written and removed so that a release is stored as it should be.
#[derive(Debug, Default)]
struct Changes {
    /// The release's new item; `None` where the stored one is right, or is to be removed.
    item: Option<Item>,
    /// Whether there is an item that is to be removed.
    removes_item: bool,
    /// Whether everything of the release is to be removed.
    is_removal: bool,
    /// The parts to put.
    parts: Vec<Item>,
    /// The facet entries to put.
    facets: Vec<Item>,
    /// The keys of the items to remove.
    removed: Vec<Item>,
}

/// What became of one release that was to be reindexed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reindexed {
    /// The release is there, and this many of its items were written or removed: 0 where all were as they
    /// should be.
    Release(usize),
    /// There is no such release, and this many items that were left of it were removed.
    Dangling(usize),
}

impl Writer {
    /// Stores releases, and removes what was stored of each before and no longer belongs to it.
    ///
    /// The outcomes are in the order of the releases. Where one is an error, that release is stored as it was
    /// before or as it should be, and storing it again completes it.
    pub async fn put_releases(
        &self,
        releases: &[PackedRelease],
        mode: Mode,
    ) -> Vec<Result<Outcome, StoreError>> {
        side_by_side(releases.iter().map(|release| self.put_release(release, mode)).collect()).await
    }

    /// Stores one release, and removes what was stored of it before and no longer belongs to it.
    ///
    /// # Errors
    /// DynamoDB fails, or refuses the request. Storing it again completes it.
    pub async fn put_release(&self, release: &PackedRelease, mode: Mode) -> Result<Outcome, StoreError> {
        let mut patience = Patience::new(CONTENDED_RECORD);
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
            if self.write_release(release.release_id(), &stored, changes).await? {
                return Ok(outcome);
            }
            if !patience.wait().await {
                return Err(self.store.releases_changed());
            }
        }
    }

    /// The first section that storing a release would empty although it must not; `None` where the release
    /// may be stored.
    ///
    /// A stored release that cannot be read has nothing that could be kept, so it may be replaced. Where the
    /// stored release was replaced since the partition was read, the answer does not matter: the write is
    /// refused, and everything begins anew.
    async fn emptied_section(
        &self,
        release: &PackedRelease,
        stored: &Partition,
    ) -> Result<Option<&'static str>, StoreError> {
        let stored_revision = stored.revision();
        if release.is_deleted()
            || release.sections_not_to_empty().is_empty()
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
        let mut sections = release.sections_not_to_empty().iter();
        Ok(sections.find(|section| !stored.unfilled.contains(section)).copied())
    }

    /// Stores a release, unless there is one of its id already; then the result is false.
    ///
    /// # Errors
    /// DynamoDB fails, or refuses the request. Storing it again completes it.
    pub async fn create_release(&self, release: &PackedRelease) -> Result<bool, StoreError> {
        let mut patience = Patience::new(CONTENDED_RECORD);
        loop {
            let stored = self.partition(release.release_id()).await?;
            if stored.revision().is_some() {
                return Ok(false);
            }
            let changes = Changes::between(release, &stored, Mode::Write);
            if self.write_release(release.release_id(), &stored, changes).await? {
                return Ok(true);
            }
            if !patience.wait().await {
                return Err(self.store.releases_changed());
            }
        }
    }

    /// Packs a release anew from its stored documents, and writes and removes what differs: facet entries,
    /// parts, attributes of its item, and the documents too, where this version answers them otherwise. Where
    /// it has no documents, everything that is left of it is removed.
    ///
    /// # Errors
    /// DynamoDB fails or refuses the request, or the release cannot be read. Reindexing it again completes
    /// it.
    pub async fn reindex_release(&self, release_id: &str, mode: Mode) -> Result<Reindexed, StoreError> {
        let mut patience = Patience::new(CONTENDED_RECORD);
        loop {
            let stored = self.partition(release_id).await?;
            let wanted = self.packed_from_stored(release_id, &stored).await?;
            if let Some(wanted) = wanted {
                let changes = Changes::between(&wanted, &stored, Mode::Write);
                let (is_there, count) = (!wanted.is_deleted(), changes.len());
                let is_done = mode == Mode::DryRun || changes.is_empty();
                if is_done || self.write_release(release_id, &stored, changes).await? {
                    return Ok(if is_there { Reindexed::Release(count) } else { Reindexed::Dangling(count) });
                }
            }
            if !patience.wait().await {
                return Err(self.store.releases_changed());
            }
        }
    }

    /// Packs a release anew from its stored documents. Where there are none, the result is a deleted release;
    /// where they were replaced since the partition was read, it is `None`.
    async fn packed_from_stored(
        &self,
        release_id: &str,
        stored: &Partition,
    ) -> Result<Option<PackedRelease>, StoreError> {
        let Some(revision) = stored.revision() else {
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

    /// Makes the changes, on the condition that the release's item is still the one in `stored`: in one
    /// transaction where they fit, and otherwise in the steps that the table at the top of this file
    /// explains. The result is false where somebody else wrote the release meanwhile.
    async fn write_release(
        &self,
        release_id: &str,
        stored: &Partition,
        changes: Changes,
    ) -> Result<bool, StoreError> {
        let (claiming, writer) = (hex(nonce()), hex(nonce()));
        let key = || release_key(release_id, RELEASE_ENTRY);
        let as_read = Condition::as_read(stored.item.as_ref(), WRITER);
        let transaction = changes.in_one_transaction(key(), &as_read, &writer);
        if self.fit_into_one_transaction(&transaction) {
            return self.attempt(transaction).await;
        }
        // Step 1, claim.
        let claim = match &stored.item {
            None => Write::Put(without_documents(release_id, &claiming), Some(as_read)),
            Some(_) => Write::Set(key(), WRITER, claiming.clone(), as_read),
        };
        if !self.attempt(vec![claim]).await? {
            return Ok(false);
        }
        let claimed = Condition::Has(WRITER, text(claiming));
        // Step 2, parts, and step 3, entries.
        self.batch_write(&self.releases_table, changes.parts.into_iter().map(put).collect()).await?;
        let facets = changes.facets.into_iter().map(|facet| Write::Put(facet, None)).collect();
        if !self.attempt_in_steps(key(), &claimed, facets).await? {
            return Ok(false);
        }
        // Step 4, commit.
        let commit = match changes.item {
            Some(item) => Write::Put(written_by(item, &writer), Some(claimed)),
            None if changes.is_removal => Write::Put(without_documents(release_id, &writer), Some(claimed)),
            None => Write::Set(key(), WRITER, writer.clone(), claimed),
        };
        if !self.attempt(vec![commit]).await? {
            return Ok(false);
        }
        let mine = Condition::Has(WRITER, text(writer));
        // Step 5, cleaning. The release is already stored as it should be. A writer that overtakes this one
        // here removes the rest itself.
        let removed = changes.removed.into_iter().map(|key| Write::Delete(key, None)).collect();
        let is_removed = self.attempt_in_steps(key(), &mine, removed).await?;
        if changes.is_removal && is_removed {
            self.attempt(vec![Write::Delete(key(), Some(mine))]).await?;
        }
        Ok(true)
    }

    /// Makes writes in one transaction; the result is false where one of their conditions is not met.
    async fn attempt(&self, writes: Vec<Write>) -> Result<bool, StoreError> {
        self.transact(&self.releases_table, RELEASE_HASH, writes).await
    }

    /// Makes writes in as many transactions as they need. Each of them checks that the item of `key` meets
    /// the condition; the result is false from the first one on for which it does not.
    async fn attempt_in_steps(
        &self,
        key: Item,
        condition: &Condition,
        writes: Vec<Write>,
    ) -> Result<bool, StoreError> {
        for writes in writes.chunks(self.writes_per_transaction - 1) {
            let check = Write::Check(key.clone(), condition.clone());
            let checked = std::iter::once(check).chain(writes.iter().cloned()).collect();
            if !self.attempt(checked).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A release's item without documents, which readers take for absent.
fn without_documents(release_id: &str, writer: &str) -> Item {
    written_by(release_key(release_id, RELEASE_ENTRY), writer)
}

fn written_by(mut item: Item, writer: &str) -> Item {
    item.insert(WRITER.to_owned(), text(writer));
    item
}

impl Changes {
    /// Works out what must change so that the stored items become those of the release.
    ///
    /// Stored entries that are right already are left alone only where the item has the wanted revision, too.
    /// Where it has another one, the writer of that revision may still be cleaning, and be about to remove
    /// these entries, since its revision does not need them. So they are written again.
    fn between(release: &PackedRelease, stored: &Partition, mode: Mode) -> Self {
        let is_at_revision = stored.revision() == release.revision();
        let is_stored = |entry: &String, item: &Item| {
            mode != Mode::Rewrite
                && is_at_revision
                && stored.entries.get(entry).is_some_and(|stored| is_as_wanted(item, stored))
        };
        let mut changes = Self::default();
        for (entry, item) in release.items() {
            if entry == RELEASE_ENTRY {
                let is_right = stored.item.as_ref().is_some_and(|stored| is_as_wanted(item, stored));
                changes.item = (mode == Mode::Rewrite || !is_right).then(|| item.clone());
            } else if !is_stored(entry, item) {
                let is_part = entry.starts_with(PART_PREFIX);
                if is_part { &mut changes.parts } else { &mut changes.facets }.push(item.clone());
            }
        }
        let unneeded = stored.entries.keys().filter(|entry| !release.items().contains_key(*entry));
        changes.removed = unneeded.map(|entry| release_key(release.release_id(), entry)).collect();
        changes.is_removal = release.is_deleted();
        changes.removes_item = changes.is_removal && stored.item.is_some();
        changes
    }

    fn len(&self) -> usize {
        let Self { item, removes_item, parts, facets, removed, .. } = self;
        usize::from(item.is_some() || *removes_item) + parts.len() + facets.len() + removed.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All changes as one transaction, on the condition that the release's item, which has this key, is as it
    /// was read.
    fn in_one_transaction(&self, key: Item, as_read: &Condition, writer: &str) -> Vec<Write> {
        let item_write = match &self.item {
            Some(item) => Write::Put(written_by(item.clone(), writer), Some(as_read.clone())),
            None if self.removes_item => Write::Delete(key, Some(as_read.clone())),
            None if self.is_removal => Write::Check(key, as_read.clone()),
            None => Write::Set(key, WRITER, writer.to_owned(), as_read.clone()),
        };
        let puts = self.parts.iter().chain(&self.facets).map(|item| Write::Put(item.clone(), None));
        let removed = self.removed.iter().map(|key| Write::Delete(key.clone(), None));
        std::iter::once(item_write).chain(puts).chain(removed).collect()
    }
}
