//! Reads the index: the releases that a search finds, newest first, a page at a time.

use std::collections::VecDeque;

use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{ReturnConsumedCapacity, Select};
use futures_util::future::try_join_all;

use super::{ReleaseEntry, entry_in};
use crate::position::Position;
use crate::store::error::{StoreError, Unavailability};
use crate::store::facets::{Facet, ReleaseSearch, Terms};
use crate::store::items::{Attributes, Item, Subject, text};
use crate::store::keys::BY_FACET;
use crate::store::{Store, Usage};

/// The attributes of an index entry that are read: `ENTRY` where every entry is found, `SEARCHED_ENTRY` where
/// entries are compared.
const ENTRY: &str = "#position, revision, lengths";
const SEARCHED_ENTRY: &str = "#position, revision, lengths, terms, commits";

/// The releases that a search finds, read page by page.
///
/// Nearly every search reads one list. A search for a digest in a repository reads two, and gives the
/// releases that are in either. A release that stands at two positions is given twice.
#[derive(Debug)]
pub struct ReleaseListing<'a> {
    store: &'a Store,
    search: &'a ReleaseSearch,
    lists: Vec<ListReading<'a>>,
}

/// What a search finds in one page of the index, newest first.
#[derive(Debug, Default)]
pub struct ReleaseEntries {
    /// The releases.
    pub entries: Vec<ReleaseEntry>,
    /// How many more entries the page has, of releases that the search does not find.
    pub passed_over: usize,
    /// The position behind which older releases may follow; `None` where the list ends.
    pub rest: Option<Position>,
}

/// How far one list has been read.
#[derive(Debug)]
struct ListReading<'a> {
    list: &'a Facet,
    /// The last position that was read; before the first page, the one behind which to begin.
    reached: Option<Position>,
    may_have_more: bool,
    /// The entries that were read and not given yet, newest first.
    read: VecDeque<ReadEntry>,
}

#[derive(Debug)]
struct ReadEntry {
    entry: ReleaseEntry,
    is_found: bool,
}

impl Store {
    /// The releases that a search finds, older than a position where one is given.
    pub fn release_listing<'a>(
        &'a self,
        search: &'a ReleaseSearch,
        older_than: Option<&Position>,
    ) -> ReleaseListing<'a> {
        let lists = search.lists().iter();
        let lists = lists.map(|list| ListReading {
            list,
            reached: older_than.cloned(),
            may_have_more: true,
            read: VecDeque::new(),
        });
        ReleaseListing { store: self, search, lists: lists.collect() }
    }

    /// The position of the `count`th newest release that a search finds; `None` where it finds fewer. The
    /// search must read one list and compare no entries.
    ///
    /// DynamoDB counts the entries and sends none, so a deep page costs read units but no transfer.
    ///
    /// # Errors
    /// DynamoDB fails or refuses the request.
    pub async fn position_of(
        &self,
        search: &ReleaseSearch,
        count: u64,
        usage: &Usage,
    ) -> Result<Option<Position>, StoreError> {
        let list = &search.lists()[0];
        let mut remaining = count;
        let mut start: Option<Item> = None;
        while remaining > 0 {
            let limit = usize::try_from(remaining).unwrap_or(usize::MAX);
            let Some(query) = self.list_query(search, list, None, Some(limit)) else { return Ok(None) };
            let query = query.select(Select::Count).set_exclusive_start_key(start);
            usage.count_round_trip();
            let output = self.query_releases(query, usage).await?;
            remaining = remaining.saturating_sub(u64::try_from(output.count).unwrap_or_default());
            start = output.last_evaluated_key;
            if start.is_none() {
                return Ok(None);
            }
        }
        let Some(start) = start else { return Ok(None) };
        let subject = Subject::PositionOf(list.as_str());
        Attributes::new(start, &self.releases_table, subject).position("position").map(Some)
    }

    /// Asks for the entries of a list that a search reads, newest first; `None` where the search's range is
    /// empty.
    fn list_query(
        &self,
        search: &ReleaseSearch,
        list: &Facet,
        older_than: Option<&Position>,
        limit: Option<usize>,
    ) -> Option<QueryFluentBuilder> {
        let query = self
            .client
            .query()
            .table_name(&self.releases_table)
            .index_name(BY_FACET)
            .scan_index_forward(false)
            .expression_attribute_values(":facet", text(list.as_str()));
        let (from, before) = search.range(older_than);
        let condition = match (from, before) {
            (None, None) => "facet = :facet",
            (None, Some(_)) => "facet = :facet AND #position < :before",
            (Some(_), None) => "facet = :facet AND #position >= :from",
            (Some(from), Some(before)) if from >= before => return None,
            (Some(_), Some(_)) => "facet = :facet AND #position BETWEEN :from AND :before",
        };
        // BETWEEN includes the cursor itself, which was given before, so one entry more is asked for.
        let is_cursor_in_range = from.is_some() && before.is_some() && before == older_than;
        let limit = limit.map(|limit| limit.saturating_add(usize::from(is_cursor_in_range)));
        let mut query = query
            .key_condition_expression(condition)
            .set_limit(limit.map(|limit| i32::try_from(limit).unwrap_or(i32::MAX)));
        if from.is_some() || before.is_some() {
            query = query.expression_attribute_names("#position", "position");
        }
        for (name, position) in [(":from", from), (":before", before)] {
            if let Some(position) = position {
                query = query.expression_attribute_values(name, text(position.as_str()));
            }
        }
        Some(query)
    }

    /// Asks for one page; it is counted as a call.
    async fn query_releases(
        &self,
        query: QueryFluentBuilder,
        usage: &Usage,
    ) -> Result<QueryOutput, StoreError> {
        let sent = query.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await;
        let output = sent.map_err(|error| StoreError::from_sdk(&self.releases_table, error))?;
        usage.count(output.consumed_capacity());
        Ok(output)
    }
}

impl ReleaseListing<'_> {
    /// Reads the next page in one round trip. It queries each list whose entries were all given; a Query
    /// reads at most 1 MB of the index.
    ///
    /// `limit` counts the entries that are read of a list, including those that the search passes over.
    ///
    /// # Errors
    /// DynamoDB fails or refuses the request, or an entry cannot be read.
    pub async fn next_page(
        &mut self,
        limit: Option<usize>,
        usage: &Usage,
    ) -> Result<ReleaseEntries, StoreError> {
        let (store, search) = (self.store, self.search);
        let mut queries = Vec::with_capacity(self.lists.len());
        for list in self.lists.iter_mut().filter(|list| list.read.is_empty() && list.may_have_more) {
            match store.list_query(search, list.list, list.reached.as_ref(), limit) {
                Some(query) => queries.push(list.read_page(store, search, query, usage)),
                None => list.may_have_more = false,
            }
        }
        if !queries.is_empty() {
            usage.count_round_trip();
        }
        try_join_all(queries).await?;
        Ok(self.give())
    }

    /// Merges what was read of the lists into one page. A list that goes on is known only down to the last
    /// position that was read of it. So the page ends at the newest of these positions, and what other lists
    /// have below it is given with a later page.
    fn give(&mut self) -> ReleaseEntries {
        let going_on = self.lists.iter().filter(|list| list.may_have_more);
        let end = going_on.filter_map(|list| list.reached.as_ref()).max().cloned();
        let is_known = |read: &ReadEntry| end.as_ref().is_none_or(|end| read.entry.position >= *end);
        let mut page = ReleaseEntries::default();
        loop {
            let newest = (0..self.lists.len()).max_by_key(|list| self.lists[*list].newest());
            let newest = newest.and_then(|list| self.lists[list].read.pop_front_if(|read| is_known(read)));
            let Some(ReadEntry { entry, mut is_found }) = newest else { break };
            for list in &mut self.lists {
                let same = list.read.pop_front_if(|read| read.entry.position == entry.position);
                is_found |= same.is_some_and(|same| same.is_found);
            }
            if is_found {
                page.entries.push(entry);
            } else {
                page.passed_over += 1;
            }
        }
        page.rest = end;
        page
    }
}

impl ListReading<'_> {
    /// The position of the newest entry that was not given yet.
    fn newest(&self) -> Option<&Position> {
        self.read.front().map(|read| &read.entry.position)
    }

    async fn read_page(
        &mut self,
        store: &Store,
        search: &ReleaseSearch,
        query: QueryFluentBuilder,
        usage: &Usage,
    ) -> Result<(), StoreError> {
        let table = store.releases_table.as_str();
        let compares = search.compares_entries();
        let query = query
            .projection_expression(if compares { SEARCHED_ENTRY } else { ENTRY })
            .expression_attribute_names("#position", "position");
        let output = store.query_releases(query, usage).await?;
        let Some(items) = output.items else {
            return Err(StoreError::unavailable(table, Unavailability::UnreadableAnswer));
        };
        self.may_have_more = output.last_evaluated_key.is_some();
        self.read.reserve(items.len());
        let subject = Subject::EntryOf(self.list.as_str());
        for item in items {
            let mut attributes = Attributes::new(item, table, subject);
            let is_found = !compares || search.finds_entry(&Terms::take_from(&mut attributes)?);
            let entry = entry_in(&mut attributes)?;
            // DynamoDB's BETWEEN includes both ends, and the position to begin behind is one of them.
            if Some(&entry.position) != self.reached.as_ref() {
                self.read.push_back(ReadEntry { entry, is_found });
            }
        }
        match self.read.back() {
            Some(last) => self.reached = Some(last.entry.position.clone()),
            None if self.may_have_more => {
                // DynamoDB gives at least one entry with a page behind which there are more.
                return Err(StoreError::unavailable(table, Unavailability::UnreadableAnswer));
            }
            None => {}
        }
        Ok(())
    }
}
