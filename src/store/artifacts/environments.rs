//! What runs in an environment.
//!
//! Wherever an image was deployed, the table has an item for that environment, namespace and repository of
//! images: the **last deploy** there. Those of an environment lie under one hash key, in the order of their
//! repositories and namespaces, so they are met a page at a time, however many deploys there were.
//!
//! They say where to look. What runs there is decided by the artifacts alone: it is the artifact of the newest
//! entry that counts (see the top of `found_by.rs`), unless it was undeployed since. Writers see to it that
//!
//! 1. the last deploy is as new as the newest entry that counts, or newer, and
//! 2. it has an `until` only where nothing runs. So those that have one are passed over.

use std::fmt;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};

use super::StoredArtifact;
use super::found_by::FoundBy;
use crate::position::Position;
use crate::store::error::StoreError;
use crate::store::items::{Attributes, Item, Subject, entry_of, reserved_names, text};
use crate::store::keys::{environment_hash_key, last_deploy_entry};
use crate::store::{ItemsPage, Store, Usage};

/// How many last deploys a step of a walk reads first: mostly the first one runs, and the second one decides
/// on the `Link`.
const FEW: i32 = 10;
/// How many pages of last deploys a step of a walk reads. The first has [`FEW`], the others have up to 1 MB:
/// some 5,000, most of which the filter passes over where many have ended.
const MAX_PAGES: usize = 4;
/// How many artifacts a step of a walk looks up.
const MAX_LOOK_UPS: usize = 32;

/// A question for what runs in an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentSearch {
    /// The environment.
    pub env_name: String,
    /// The namespace, where it matters.
    pub namespace: Option<String>,
    /// Registry, port and path of an image; `None` for the first of all that run there.
    pub repository: Option<String>,
    /// Where a walk through all goes on: what the step before gave.
    pub after: Option<String>,
}

/// The last deploy of a repository's images to a namespace of an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastDeploy {
    /// Its range key, behind which a walk goes on.
    pub entry: String,
    /// Registry, port and path of the image.
    pub repository: String,
    /// The namespace, which may be empty.
    pub namespace: String,
    /// The time of the deploy, and the id of the artifact.
    pub position: Position,
}

/// A step of a walk through all that runs in an environment.
#[derive(Debug, Default)]
pub struct Step {
    /// What runs there.
    pub artifact: Option<StoredArtifact>,
    /// Where the next step begins, if there may be more.
    pub next: Option<String>,
}

impl fmt::Display for EnvironmentSearch {
    /// For logs: what was asked, in the query's words.
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let Self { env_name, namespace, repository, after: _ } = self;
        if let Some(repository) = repository {
            write!(formatter, "image={repository}&")?;
        }
        write!(formatter, "envName={env_name}")?;
        namespace.iter().try_for_each(|namespace| write!(formatter, "&namespace={namespace}"))
    }
}

impl Store {
    /// The artifact of a repository that runs in an environment: in a namespace of it, or else where the latest
    /// deploy still runs.
    ///
    /// # Errors
    /// DynamoDB fails or refuses the request, or an artifact cannot be read.
    pub async fn running_in(
        &self,
        repository: &str,
        env_name: &str,
        namespace: Option<&str>,
        usage: &Usage,
    ) -> Result<Option<StoredArtifact>, StoreError> {
        if let Some(namespace) = namespace {
            let running = self.running(repository, env_name, namespace, usage).await?;
            return Ok(running.map(|(_, artifact)| artifact));
        }
        let mut candidates = self.last_deploys_of(repository, env_name, usage).await?;
        candidates.sort_by(|one, other| other.position.cmp(&one.position));
        let mut latest: Option<(Position, StoredArtifact)> = None;
        for candidate in candidates {
            if latest.as_ref().is_some_and(|(deployed, _)| *deployed >= candidate.position) {
                break;
            }
            let running = self.running(repository, env_name, &candidate.namespace, usage).await?;
            // `None` is less than any position.
            if running.as_ref().map(|(deployed, _)| deployed) > latest.as_ref().map(|(deployed, _)| deployed)
            {
                latest = running;
            }
        }
        Ok(latest.map(|(_, artifact)| artifact))
    }

    /// The first artifact that runs in an environment, of those behind the place where a step before ended.
    ///
    /// Where many in a row have ended, the step may end before it has met one that runs.
    ///
    /// # Errors
    /// DynamoDB fails or refuses the request, or an artifact cannot be read.
    pub async fn next_running(
        &self,
        env_name: &str,
        namespace: Option<&str>,
        after: Option<&str>,
        usage: &Usage,
    ) -> Result<Step, StoreError> {
        let mut reached = after.map(str::to_owned);
        let mut look_ups = 0;
        for page in 0..MAX_PAGES {
            let (range, limit) = (Range::Behind(reached.clone()), Some(FEW).filter(|_| page == 0));
            let (deploys, rest) = self.last_deploys(env_name, range, namespace, limit, None, usage).await?;
            let mut deploys = deploys.into_iter().peekable();
            while let Some(LastDeploy { entry, repository, namespace, .. }) = deploys.next() {
                if look_ups == MAX_LOOK_UPS {
                    return Ok(Step { artifact: None, next: reached });
                }
                look_ups += 1;
                reached = Some(entry);
                if let Some((_, artifact)) = self.running(&repository, env_name, &namespace, usage).await? {
                    let has_more = deploys.peek().is_some() || rest.is_some();
                    return Ok(Step { artifact: Some(artifact), next: reached.filter(|_| has_more) });
                }
            }
            let Some(rest) = rest else { return Ok(Step::default()) };
            reached = Some(entry_of(&rest));
        }
        Ok(Step { artifact: None, next: reached })
    }

    /// The last deploys of a repository to all namespaces of an environment, but for those that have ended.
    ///
    /// # Errors
    /// DynamoDB fails or refuses the request, or one of them cannot be read.
    pub async fn last_deploys_of(
        &self,
        repository: &str,
        env_name: &str,
        usage: &Usage,
    ) -> Result<Vec<LastDeploy>, StoreError> {
        self.last_deploys_in(env_name, Range::BeginsWith(last_deploy_entry(repository, "")), usage).await
    }

    /// The last deploys of a repository to an environment, of those that have ended. Only `record undeploy` asks for
    /// them.
    ///
    /// # Errors
    /// The same as those of [`Store::last_deploys_of`].
    pub async fn ended_deploys_of(
        &self,
        repository: &str,
        env_name: &str,
        usage: &Usage,
    ) -> Result<Vec<LastDeploy>, StoreError> {
        let ended = Range::EndedThatBeginWith(last_deploy_entry(repository, ""));
        self.last_deploys_in(env_name, ended, usage).await
    }

    async fn last_deploys_in(
        &self,
        env_name: &str,
        range: Range,
        usage: &Usage,
    ) -> Result<Vec<LastDeploy>, StoreError> {
        let (mut found, mut start) = (Vec::new(), None);
        loop {
            let page = self.last_deploys(env_name, range.clone(), None, None, start, usage).await?;
            found.extend(page.0);
            start = page.1;
            if start.is_none() {
                return Ok(found);
            }
        }
    }

    /// The artifact of a repository that runs in a namespace of an environment, and its deploy there.
    ///
    /// # Errors
    /// DynamoDB fails or refuses the request, or an artifact cannot be read.
    pub async fn running(
        &self,
        repository: &str,
        env_name: &str,
        namespace: &str,
        usage: &Usage,
    ) -> Result<Option<(Position, StoredArtifact)>, StoreError> {
        let found_by = FoundBy::environment(repository, env_name, namespace);
        let newest = self.newest_found_by(&found_by, None, None, usage).await?;
        let newest = newest.filter(|newest| !newest.is_ended);
        Ok(newest.map(|newest| (newest.position, newest.artifact)))
    }

    /// A page of the last deploys to an environment, and where the next page begins. Those that have ended are met
    /// only where they are asked for.
    async fn last_deploys(
        &self,
        env_name: &str,
        range: Range,
        namespace: Option<&str>,
        limit: Option<i32>,
        start: Option<Item>,
        usage: &Usage,
    ) -> Result<(Vec<LastDeploy>, Option<Item>), StoreError> {
        let table = self.artifacts_table.as_str();
        // What was deployed for the first time a moment ago is met.
        let query = self.client.query().table_name(table).consistent_read(true);
        let until = match range {
            Range::EndedThatBeginWith(_) => "attribute_exists(#until)",
            Range::Behind(_) | Range::BeginsWith(_) => "attribute_not_exists(#until)",
        };
        let query = match range {
            Range::Behind(None) => query.key_condition_expression("image_digest = :environment"),
            Range::Behind(Some(entry)) => query
                .key_condition_expression("image_digest = :environment AND #entry > :entry")
                .expression_attribute_values(":entry", text(entry)),
            Range::BeginsWith(entry) | Range::EndedThatBeginWith(entry) => query
                .key_condition_expression("image_digest = :environment AND begins_with(#entry, :entry)")
                .expression_attribute_values(":entry", text(entry)),
        };
        let query = match namespace {
            None => query.filter_expression(until),
            Some(namespace) => query
                .filter_expression(format!("{until} AND #namespace = :namespace"))
                .expression_attribute_values(":namespace", text(namespace)),
        };
        let sent = query
            .expression_attribute_values(":environment", text(environment_hash_key(env_name)))
            .set_expression_attribute_names(reserved_names("#entry, #position, #namespace, #until"))
            .projection_expression("#entry, #position, repository, #namespace")
            .set_limit(limit)
            .set_exclusive_start_key(start)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        let output = sent.map_err(|error| StoreError::from_sdk(table, error))?;
        usage.count(output.consumed_capacity());
        usage.count_round_trip();
        let ItemsPage { items, next } = ItemsPage::of(table, output.items, output.last_evaluated_key)?;
        let read = |item| LastDeploy::of(item, table);
        Ok((items.into_iter().map(read).collect::<Result<_, _>>()?, next))
    }
}

/// Which of an environment's last deploys are read.
#[derive(Clone)]
enum Range {
    /// All behind a range key, or all.
    Behind(Option<String>),
    BeginsWith(String),
    EndedThatBeginWith(String),
}

impl LastDeploy {
    /// Reads an item.
    ///
    /// # Errors
    /// It has another form.
    pub fn of(item: Item, table: &str) -> Result<Self, StoreError> {
        let mut item = Attributes::new(item, table, Subject::SomeItem);
        let namespace = item.item.get("namespace").and_then(|text| AttributeValue::as_s(text).ok()).cloned();
        Ok(Self {
            entry: item.text("entry")?,
            repository: item.text("repository")?,
            position: item.position("position")?,
            namespace: namespace.unwrap_or_default(),
        })
    }
}
