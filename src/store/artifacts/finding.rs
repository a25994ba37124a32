//! Finds artifacts by commit and by pull request, and tells where an artifact runs.
//!
//! A look-up is one Query for the newest entries, and one BatchGetItem for the artifacts that they lead to.
//! An entry counts only where its artifact lists it: see the top of `found_by.rs`. A document in parts takes
//! one BatchGetItem more.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::found_by::{EntryName, FoundBy, lists, tells_commit};
use super::reading::MAX_LOOKUPS;
use super::{ATTRIBUTES, StoredArtifact};
use crate::commit_prefix::CommitPrefix;
use crate::position::Position;
use crate::store::activities::Deployment;
use crate::store::error::{StoreError, Unavailability};
use crate::store::items::{Attributes, Item, Subject, entry_of, reserved_names, text};
use crate::store::keys::{ARTIFACT_DIGEST, ARTIFACT_ENTRY, ARTIFACT_HASH, BY_IMAGE, artifact_key};
use crate::store::{ItemsPage, MAX_KEYS_PER_CALL, Store, Usage, projected};

/// The attributes of an entry that a look-up needs.
const ENTRY: &str = "#entry, artifact_digest, artifact_entry, #position, commits, #until";
/// How many entries a Query asks for: that of the newest artifact, and that of the next older one, which
/// decides on the `Link`.
const ENTRIES: i32 = 2;
/// How many it asks for where some may be passed over: a commit is given with more digits than its list
/// stands for.
const ENTRIES_TO_CHOOSE_FROM: i32 = 100;
/// How many calls run side by side: each is a connection, and more only queue on one core.
const CALLS_AT_ONCE: usize = 8;

/// How an artifact is asked for, other than by its image or digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArtifactSearch {
    /// Made from a commit that begins with these digits; where a repository (`owner/name`) is given, from one
    /// of that repository.
    Commit(CommitPrefix, Option<String>),
    /// Made from a pull request of a repository (`owner/name`).
    PullRequest(u64, String),
}

/// The newest artifact that a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewestFound {
    /// The artifact.
    pub artifact: StoredArtifact,
    /// The position of its entry: the artifact's own, or that of a deploy.
    pub position: Position,
    /// Whether the entry tells of a deploy that has ended.
    pub is_ended: bool,
    /// Whether it found older ones too.
    pub has_older: bool,
}

/// An entry as it was read.
struct FoundEntry {
    position: Position,
    /// The hash key and the range key of its artifact's item.
    artifact: (String, String),
    name: EntryName,
    /// Whether it tells of a deploy that has ended.
    is_ended: bool,
}

/// Items of artifacts by their hash keys and range keys. Each lists its entries in `found_by`.
struct ReadArtifacts(BTreeMap<(String, String), Item>);

impl ReadArtifacts {
    /// The artifact of an entry; `None` where it does not list the entry, which then counts for nothing.
    fn listing(&self, entry: &FoundEntry) -> Option<&Item> {
        let item = self.0.get(&entry.artifact)?;
        let list = item.get("found_by")?.as_b().ok()?;
        lists(list.as_ref(), entry.name).then_some(item)
    }
}

/// What a look-up found.
#[derive(Default)]
struct NewestTwo {
    /// The newest entry, and the item of its artifact.
    newest: Option<(FoundEntry, Item)>,
    /// Whether there is an older entry that counts too.
    has_older: bool,
    /// Whether an entry was passed over, since its artifact does not list it.
    passed_over: bool,
}

/// The entries that the index lists under one text, newest first, read page by page as they are asked for.
struct FoundEntries<'a> {
    store: &'a Store,
    found_by: &'a FoundBy,
    /// The commit, where it is given with more digits than its list stands for, and entries are to be
    /// compared with it.
    commit: Option<&'a CommitPrefix>,
    older_than: Option<Position>,
    read: VecDeque<FoundEntry>,
    /// Where the next page begins; `Err` when the last one was read.
    next_page: Result<Option<Item>, AtEnd>,
}

struct AtEnd;

impl ArtifactSearch {
    fn found_by(&self) -> FoundBy {
        match self {
            Self::Commit(commit, repository) => FoundBy::commit(commit, repository.as_deref()),
            Self::PullRequest(number, repository) => FoundBy::pull_request(*number, repository),
        }
    }
}

impl fmt::Display for ArtifactSearch {
    /// For logs: what was asked, in the query's words.
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Commit(commit, None) => write!(formatter, "commit={commit}"),
            Self::Commit(commit, Some(repository)) => write!(formatter, "commit={commit}&repo={repository}"),
            Self::PullRequest(number, repository) => write!(formatter, "pr={number}&repo={repository}"),
        }
    }
}

impl Store {
    /// The newest artifact that a search finds, older than a position.
    ///
    /// # Errors
    /// DynamoDB fails or refuses the request, or an artifact cannot be read.
    pub async fn find_newest_artifact(
        &self,
        search: &ArtifactSearch,
        older_than: Option<Position>,
        usage: &Usage,
    ) -> Result<Option<NewestFound>, StoreError> {
        let commit = match search {
            ArtifactSearch::Commit(commit, _) if commit.as_str() != commit.indexed() => Some(commit),
            _ => None,
        };
        self.newest_found_by(&search.found_by(), commit, older_than, usage).await
    }

    /// The artifact of the newest entry under a text that counts.
    pub(super) async fn newest_found_by(
        &self,
        found_by: &FoundBy,
        commit: Option<&CommitPrefix>,
        older_than: Option<Position>,
        usage: &Usage,
    ) -> Result<Option<NewestFound>, StoreError> {
        for look_up in 0..MAX_LOOKUPS {
            let mut entries = FoundEntries::new(self, found_by, commit, older_than.clone());
            let NewestTwo { newest, has_older, passed_over } = self.newest_two(&mut entries, usage).await?;
            // Somebody may have written the artifact after the index was read; then the index has another entry
            // by now. If there is none the second time, something was left behind.
            if passed_over && look_up == 0 {
                continue;
            }
            let Some((FoundEntry { position, is_ended, .. }, item)) = newest else { return Ok(None) };
            if let Some(artifact) = self.artifact(item, usage).await? {
                return Ok(Some(NewestFound { artifact, position, is_ended, has_older }));
            }
        }
        Err(StoreError::unavailable(&self.artifacts_table, Unavailability::ChangesTooFast))
    }

    /// The newest entry that counts, and whether there is another one.
    async fn newest_two(
        &self,
        entries: &mut FoundEntries<'_>,
        usage: &Usage,
    ) -> Result<NewestTwo, StoreError> {
        let mut found = NewestTwo::default();
        loop {
            let mut asked = Vec::new();
            while asked.len() < 2
                && let Some(entry) = entries.next(usage).await?
            {
                asked.push(entry);
            }
            if asked.is_empty() {
                return Ok(found);
            }
            let artifacts = self.artifacts_listing(asked.iter(), ATTRIBUTES, usage).await?;
            for entry in asked {
                match artifacts.listing(&entry) {
                    None => found.passed_over = true,
                    Some(_) if found.newest.is_some() => {
                        found.has_older = true;
                        return Ok(found);
                    }
                    Some(item) => found.newest = Some((entry, item.clone())),
                }
            }
        }
    }

    /// The artifacts of entries, each read once.
    async fn artifacts_listing<'a>(
        &self,
        entries: impl Iterator<Item = &'a FoundEntry>,
        attributes: &str,
        usage: &Usage,
    ) -> Result<ReadArtifacts, StoreError> {
        let keys: BTreeSet<_> = entries.map(|entry| &entry.artifact).collect();
        let keys: Vec<_> = keys.into_iter().map(|(hash_key, entry)| artifact_key(hash_key, entry)).collect();
        let attributes = format!("{attributes}, found_by");
        usage.count_round_trip();
        let reads = keys.chunks(MAX_KEYS_PER_CALL).map(|keys| projected(keys.to_vec(), &attributes, true));
        let reads: Vec<_> =
            reads.map(|request| self.batch_get(&self.artifacts_table, request, usage)).collect();
        let read: Vec<_> = stream::iter(reads).buffered(CALLS_AT_ONCE).try_collect().await?;
        let by_key = |item: Item| {
            let text = |name: &str| item.get(name).and_then(|text| text.as_s().ok()).cloned();
            let key = (text(ARTIFACT_HASH)?, text("entry")?);
            Some((key, item))
        };
        Ok(ReadArtifacts(read.into_iter().flatten().filter_map(by_key).collect()))
    }

    /// For each deployment of an artifact: whether it has not ended, and no artifact of the same repository was
    /// deployed there later.
    ///
    /// This takes a Query for each deployment, for the newest entry of its environment. Then it takes a
    /// BatchGetItem for each hundred of the artifacts that were deployed later; each of them is read once,
    /// however many environments it was deployed to. If one of these does not list its entry, the next older
    /// entry of that environment is asked for. An artifact without an image has no repository, and is
    /// compared with nothing.
    ///
    /// # Errors
    /// DynamoDB fails or refuses the request.
    pub async fn are_running(
        &self,
        artifact_id: &str,
        repository: &str,
        deployments: &[Deployment],
        usage: &Usage,
    ) -> Result<Vec<bool>, StoreError> {
        let mut are_running: Vec<_> =
            deployments.iter().map(|deployment| deployment.until.is_none()).collect();
        if repository.is_empty() {
            return Ok(are_running);
        }
        let found_by: Vec<_> = deployments
            .iter()
            .map(|Deployment { env_name, namespace, .. }| {
                FoundBy::environment(repository, env_name, namespace)
            })
            .collect();
        let entries_of = |place| FoundEntries::new(self, &found_by[place], None, None);
        let mut left: Vec<_> = (0..deployments.len())
            .filter(|place| are_running[*place])
            .map(|place| (place, entries_of(place)))
            .collect();
        let mut is_first = true;
        while !left.is_empty() {
            let mut asked = Vec::with_capacity(left.len());
            for (place, mut entries) in left {
                let deployed = Position::new(deployments[place].ordered_by(), artifact_id);
                asked.push(async move {
                    let newest = entries.next(usage).await?;
                    let later = newest.filter(|entry| entry.position > deployed);
                    Ok::<_, StoreError>(later.map(|entry| (place, entries, entry)))
                });
            }
            let later: Vec<_> = stream::iter(asked).buffered(CALLS_AT_ONCE).try_collect().await?;
            let later: Vec<_> = later.into_iter().flatten().collect();
            if later.is_empty() {
                break;
            }
            let entries = later.iter().map(|(_, _, entry)| entry);
            let artifacts = self.artifacts_listing(entries, "image_digest, #entry", usage).await?;
            left = Vec::new();
            for (place, entries, entry) in later {
                if artifacts.listing(&entry).is_some() {
                    are_running[place] = false;
                } else if is_first {
                    // As above, that artifact may have been written after the index was read.
                    left.push((place, entries_of(place)));
                } else {
                    left.push((place, entries));
                }
            }
            is_first = false;
        }
        Ok(are_running)
    }
}

impl<'a> FoundEntries<'a> {
    fn new(
        store: &'a Store,
        found_by: &'a FoundBy,
        commit: Option<&'a CommitPrefix>,
        older_than: Option<Position>,
    ) -> Self {
        Self { store, found_by, commit, read: VecDeque::new(), older_than, next_page: Ok(None) }
    }

    /// The next older entry.
    async fn next(&mut self, usage: &Usage) -> Result<Option<FoundEntry>, StoreError> {
        while self.read.is_empty()
            && let Ok(start) = &mut self.next_page
        {
            let start = start.take();
            self.read_page(start, usage).await?;
        }
        Ok(self.read.pop_front())
    }

    async fn read_page(&mut self, start: Option<Item>, usage: &Usage) -> Result<(), StoreError> {
        let table = self.store.artifacts_table.as_str();
        let query = self
            .store
            .client
            .query()
            .table_name(table)
            .index_name(BY_IMAGE)
            .scan_index_forward(false)
            .limit(if self.commit.is_some() { ENTRIES_TO_CHOOSE_FROM } else { ENTRIES })
            .expression_attribute_values(":found_by", text(self.found_by.as_str()))
            .projection_expression(ENTRY)
            .set_expression_attribute_names(reserved_names(ENTRY))
            .set_exclusive_start_key(start)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let query = match &self.older_than {
            None => query.key_condition_expression("image = :found_by"),
            Some(position) => query
                .key_condition_expression("image = :found_by AND #position < :position")
                .expression_attribute_values(":position", text(position.as_str())),
        };
        let output = query.send().await.map_err(|error| StoreError::from_sdk(table, error))?;
        usage.count(output.consumed_capacity());
        usage.count_round_trip();
        let ItemsPage { items, next } = ItemsPage::of(table, output.items, output.last_evaluated_key)?;
        self.next_page = next.map(Some).ok_or(AtEnd);
        for item in items {
            self.add(item)?;
        }
        Ok(())
    }

    /// Keeps an entry, unless all of its commits are others than the one that is asked for.
    fn add(&mut self, item: Item) -> Result<(), StoreError> {
        let table = self.store.artifacts_table.as_str();
        let range_key = entry_of(&item);
        let mut entry = Attributes::new(item, table, Subject::SomeItem);
        let position = entry.position("position")?;
        let commits = if entry.has("commits") { entry.text("commits")? } else { String::new() };
        if self.commit.is_some_and(|commit| !tells_commit(&commits, commit)) {
            return Ok(());
        }
        let Some(name) = EntryName::parse(&range_key) else {
            return Err(entry.unreadable(format!("its entry {range_key:?} has another form")));
        };
        let artifact = (entry.text(ARTIFACT_DIGEST)?, entry.text(ARTIFACT_ENTRY)?);
        self.read.push_back(FoundEntry { position, artifact, name, is_ended: entry.has("until") });
        Ok(())
    }
}
