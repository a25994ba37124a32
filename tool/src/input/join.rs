//! Joins records to their owners, in whatever order they come and however many they are.
//!
//! All records go into a temporary `SQLite` database, and come out so that everything of one release or
//! artifact comes together: what collections have of it, or, in the API's JSON, all records of its id. The
//! database is a file without a name: it is gone when the process ends, however that ends.

use std::ops::ControlFlow;

use rusqlite::{Connection, Row};

use super::zadig_collections::{Collection, CollectionRecord};
use crate::json::{Json, to_text};

/// Rows are appended as they come and sorted only when they are read: keeping them in order would cost
/// several times as much. The cache holds 32 MiB, and what does not fit into it is on disk. Sorting takes as
/// much memory again.
const SCHEMA: &str = "
    PRAGMA page_size = 16384;
    PRAGMA cache_size = -32768;
    PRAGMA temp_store = FILE;
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    CREATE TABLE records (
        sequence INTEGER PRIMARY KEY, family INTEGER, owner TEXT, collection INTEGER, id TEXT, place TEXT, json TEXT
    );
    BEGIN;";

const INSERT: &str =
    "INSERT INTO records (family, owner, collection, id, place, json) VALUES (?, ?, ?, ?, ?, ?)";

/// Of several records with one id, the one that was added last is read first: it counts, and the others are
/// skipped.
const SELECT_GROUPS: &str = "
    SELECT family, owner, collection, id, json FROM records
    ORDER BY family, owner, collection, id, sequence DESC";

/// The last records of their ids in the order in which they were added, and behind each the earlier ones of
/// its id. With the index, the table is read in its own order and nothing is sorted.
const SELECT_WHOLES: &str = "
    SELECT record.family, record.owner, record.place, record.json
    FROM records AS last CROSS JOIN records AS record
        ON record.family = last.family AND record.owner = last.owner
    WHERE NOT EXISTS (
        SELECT 1 FROM records AS later
        WHERE later.family = last.family AND later.owner = last.owner AND later.sequence > last.sequence
    )
    ORDER BY last.sequence, record.sequence DESC";

/// How many bytes a record takes in memory beside its texts.
const RECORD_BYTES: usize = 160;
/// The longest record that can be imported.
const MAX_RECORD_BYTES: usize = 64 << 20;

/// Takes records in any order, and gives them back by release and artifact.
pub struct Join {
    database: Connection,
    bytes: u64,
}

impl Join {
    /// Starts with no records.
    ///
    /// # Errors
    /// The temporary database's.
    pub fn new() -> rusqlite::Result<Self> {
        // SQLite gives no name to a database whose path is empty.
        let database = Connection::open("")?;
        database.execute_batch(SCHEMA)?;
        Ok(Self { database, bytes: 0 })
    }

    /// Adds a record that belongs to `owner`.
    ///
    /// # Errors
    /// The temporary database's.
    pub fn add(
        &mut self,
        collection: Collection,
        owner: &str,
        record: &CollectionRecord,
    ) -> rusqlite::Result<()> {
        // A soft-deleted child is only counted. An empty text stands for it.
        let is_deleted_child = record.is_deleted && collection.section().is_some();
        let json = if is_deleted_child { "" } else { &record.json };
        self.insert(collection, owner, &record.id, "", Some(json))
    }

    /// Notes that a record of `owner` was refused, so that `owner` is known to be incomplete.
    ///
    /// # Errors
    /// The temporary database's.
    pub fn add_refused(&mut self, collection: Collection, owner: &str, id: &str) -> rusqlite::Result<()> {
        self.insert(collection, owner, id, "", None)
    }

    /// Adds a whole record, in the API's JSON, which was read at this place.
    ///
    /// # Errors
    /// The temporary database's.
    pub fn add_whole(
        &mut self,
        family: Collection,
        id: &str,
        place: &str,
        json: &str,
    ) -> rusqlite::Result<()> {
        self.insert(family, id, "", place, Some(json))
    }

    fn insert(
        &mut self,
        collection: Collection,
        owner: &str,
        id: &str,
        place: &str,
        json: Option<&str>,
    ) -> rusqlite::Result<()> {
        self.bytes += bytes_of(owner, id, json) as u64;
        let mut insert = self.database.prepare_cached(INSERT)?;
        insert.execute((collection.owner() as u8, owner, collection as u8, id, place, json))?;
        Ok(())
    }

    /// The sum of [`Group::bytes`] over all groups, or of [`Whole::bytes`] over all whole records.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Passes one release or artifact after another to `take`, each with all of its records, until `take`
    /// breaks.
    ///
    /// # Errors
    /// The temporary database's.
    pub fn groups(self, mut take: impl FnMut(Group) -> ControlFlow<()>) -> rusqlite::Result<()> {
        let mut select = self.database.prepare(SELECT_GROUPS)?;
        let mut rows = select.query([])?;
        let mut group: Option<GroupBuilder> = None;
        while let Some(row) = rows.next()? {
            let (family, owner) = (collection_in(row, 0)?, row.get_ref(1)?.as_str()?);
            let is_next = |group: &mut GroupBuilder| (group.family, group.owner.as_str()) != (family, owner);
            if let Some(whole) = group.take_if(is_next)
                && take(whole.finish()).is_break()
            {
                return Ok(());
            }
            let group = group.get_or_insert_with(|| GroupBuilder::new(family, owner));
            let json = row.get_ref(4)?.as_str_or_null()?;
            group.add(collection_in(row, 2)?, row.get_ref(3)?.as_str()?, json);
        }
        if let Some(last) = group {
            // This was the last group, so it makes no difference whether `take` breaks.
            let _ = take(last.finish());
        }
        Ok(())
    }

    /// Passes the whole records to `take`, until it breaks: those of one id one after another, the one that
    /// was added last first; the ids in the order of these last ones.
    ///
    /// # Errors
    /// The temporary database's.
    pub fn wholes(self, mut take: impl FnMut(Whole) -> ControlFlow<()>) -> rusqlite::Result<()> {
        self.database.execute_batch("CREATE INDEX by_owner ON records (family, owner)")?;
        let mut select = self.database.prepare(SELECT_WHOLES)?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let (id, json): (String, String) = (row.get(1)?, row.get(3)?);
            let bytes = bytes_of(&id, "", Some(&json));
            let whole = Whole { family: collection_in(row, 0)?, id, place: row.get(2)?, json, bytes };
            if take(whole).is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// How many bytes a record is counted as.
fn bytes_of(owner: &str, id: &str, json: Option<&str>) -> usize {
    RECORD_BYTES + owner.len() + id.len() + json.map_or(0, str::len)
}

fn collection_in(row: &Row<'_>, column: usize) -> rusqlite::Result<Collection> {
    let number: usize = row.get(column)?;
    Collection::ALL.get(number).copied().ok_or(rusqlite::Error::InvalidColumnIndex(column))
}

/// A release or an artifact in the API's JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// [`Collection::Version`] or [`Collection::Artifact`].
    pub family: Collection,
    /// Its id.
    pub id: String,
    /// Where it was read.
    pub place: String,
    /// Its JSON as it came.
    pub json: String,
    /// How many bytes it has, as [`Join::bytes`] counts them.
    pub bytes: usize,
}

/// All records of one release or artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// [`Collection::Version`] or [`Collection::Artifact`].
    pub family: Collection,
    /// The release's or artifact's id.
    pub owner: String,
    /// The record that these records make, or why they make none.
    pub content: GroupContent,
    /// How many records of each collection it has.
    pub members: Vec<(Collection, Members)>,
    /// How many bytes the records have together, as [`Join::bytes`] counts them.
    pub bytes: u64,
}

/// The record that a group makes, or why it makes none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupContent {
    /// The release or artifact with everything that belongs to it, in the API's JSON.
    Record(String),
    /// The release or artifact itself is not in the input; these records (collection and id) belong to it.
    Orphans(Vec<(Collection, String)>),
    /// The release or artifact itself, or a record that belongs to it, was refused.
    Incomplete,
    /// The record would be longer than 64 MiB.
    Overlong,
}

/// How many records of one collection a group has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Members {
    /// Records that are part of the release or artifact, and are stored or refused together with it.
    pub live: u64,
    /// Soft-deleted children.
    pub deleted: u64,
    /// Earlier records whose id came again, and which the later record replaces.
    pub repeated: u64,
}

/// Builds a group from its records, in the order of [`SELECT`].
struct GroupBuilder {
    family: Collection,
    owner: String,
    /// The owner's own JSON.
    content: Option<String>,
    children: Vec<(Collection, String, String)>,
    members: Vec<(Collection, Members)>,
    /// The id of the record that was added last; the same id again means an earlier record of that id.
    last_id: String,
    bytes: usize,
    is_owner_refused: bool,
    is_child_refused: bool,
    is_overlong: bool,
}

impl GroupBuilder {
    fn new(family: Collection, owner: &str) -> Self {
        Self {
            family,
            owner: owner.to_owned(),
            content: None,
            children: Vec::new(),
            members: Vec::new(),
            last_id: String::new(),
            bytes: 0,
            is_owner_refused: false,
            is_child_refused: false,
            is_overlong: false,
        }
    }

    /// Adds the group's next record. `json` is empty for a soft-deleted child, and `None` for a refused
    /// record, which was counted when it was refused.
    fn add(&mut self, collection: Collection, id: &str, json: Option<&str>) {
        self.bytes += bytes_of(&self.owner, id, json);
        let is_first_of_collection = self.members.last().is_none_or(|(last, _)| *last != collection);
        if is_first_of_collection {
            self.members.push((collection, Members::default()));
        }
        let Some((_, members)) = self.members.last_mut() else { return };
        let is_repeated = !is_first_of_collection && self.last_id == id;
        let json = match (json, is_repeated) {
            (Some(json), false) => json,
            (Some(_), true) => {
                members.repeated += 1;
                return;
            }
            (None, true) => return,
            (None, false) => {
                id.clone_into(&mut self.last_id);
                let is_child = collection.section().is_some();
                *if is_child { &mut self.is_child_refused } else { &mut self.is_owner_refused } = true;
                return;
            }
        };
        id.clone_into(&mut self.last_id);
        if collection.section().is_none() {
            members.live += 1;
            self.content = Some(json.to_owned());
        } else if json.is_empty() {
            members.deleted += 1;
        } else {
            members.live += 1;
            self.is_overlong |= self.bytes > MAX_RECORD_BYTES;
            // The id is kept even then: if the owner turns out to be missing, this child is reported as an
            // orphan.
            let json = if self.is_overlong { "" } else { json };
            self.children.push((collection, id.to_owned(), json.to_owned()));
        }
    }

    fn finish(self) -> Group {
        let content = match &self.content {
            _ if self.is_owner_refused => GroupContent::Incomplete,
            Some(_) if self.is_child_refused => GroupContent::Incomplete,
            None => {
                let orphans = self.children.into_iter().map(|(collection, id, _)| (collection, id));
                GroupContent::Orphans(orphans.collect())
            }
            Some(_) if self.is_overlong => GroupContent::Overlong,
            Some(json) => {
                let deleted =
                    self.members.iter().filter(|(_, members)| members.live == 0 && members.deleted > 0);
                let deleted = deleted.map(|(collection, _)| *collection);
                GroupContent::Record(record(self.family, json, self.children, deleted))
            }
        };
        Group {
            family: self.family,
            owner: self.owner,
            content,
            members: self.members,
            bytes: self.bytes as u64,
        }
    }
}

/// Writes a record in the API's JSON: the owner's JSON, with its children in their sections.
///
/// `deleted` names the collections of a release in which every child is soft-deleted. Their sections hold one
/// soft-deleted record. It tells the import that the section is empty on purpose, and may empty the stored
/// one.
fn record(
    family: Collection,
    owner: &str,
    children: Vec<(Collection, String, String)>,
    deleted: impl Iterator<Item = Collection>,
) -> String {
    let mut out = String::with_capacity(
        owner.len() + children.iter().map(|(.., json)| json.len() + 1).sum::<usize>() + 128,
    );
    if family == Collection::Version {
        out.push_str("{\"versionInfo\":");
        out.push_str(owner);
    } else {
        out.push_str(owner.strip_suffix('}').unwrap_or(owner));
    }
    let mut sections: Vec<(Collection, Vec<String>)> = Vec::new();
    for (collection, _, json) in children {
        match sections.last_mut() {
            Some((last, section)) if *last == collection => section.push(json),
            _ => sections.push((collection, vec![json])),
        }
    }
    if family == Collection::Version {
        sections.extend(deleted.map(|collection| (collection, vec![r#"{"deleted_at":1}"#.to_owned()])));
    }
    for (collection, section) in sections {
        let section =
            if collection == Collection::Distribute { with_images_in_charts(&section) } else { section };
        out.push_str(",\"");
        out.push_str(collection.section().unwrap_or_default());
        out.push_str("\":[");
        out.push_str(&section.join(","));
        out.push(']');
    }
    out.push('}');
    out
}

/// Moves the images of a chart into the chart's record, as `subDistributes`, where Zadig answers them.
fn with_images_in_charts(section: &[String]) -> Vec<String> {
    let records: Vec<_> = section
        .iter()
        .map(|json| Json::read_text(json).expect("a collection's record was written as JSON"))
        .collect();
    let text = |record: &Json<'_>, name| record.member(name).and_then(Json::as_text).map(str::to_owned);
    let is_of_chart = |record: &Json<'_>, kind: &str, chart: &str| {
        text(record, "distributeType").as_deref() == Some(kind)
            && text(record, "chartName").as_deref() == Some(chart)
    };
    let chart_of = |record: &Json<'_>| {
        let chart = text(record, "chartName").filter(|chart| !chart.is_empty())?;
        let is_image = is_of_chart(record, "image", &chart);
        records.iter().position(|other| is_image && is_of_chart(other, "chart", &chart))
    };
    let charts: Vec<_> = records.iter().map(chart_of).collect();
    let mut answered = Vec::new();
    for (index, json) in section.iter().enumerate().filter(|(index, _)| charts[*index].is_none()) {
        let images = records.iter().zip(&charts).filter(|(_, chart)| **chart == Some(index));
        let images: Vec<_> = images.map(|(image, _)| image.clone()).collect();
        match records[index].clone() {
            Json::Object(mut chart) if !images.is_empty() => {
                // Its place in the table of fields is before this one, which every record from a collection
                // has.
                let place = chart.get_index_of("s3StorageID").unwrap_or(chart.len());
                chart.shift_insert(place, "subDistributes".into(), Json::List(images));
                answered.push(to_text(&Json::Object(chart)));
            }
            _ => answered.push(json.clone()),
        }
    }
    answered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child(id: usize, json: &str) -> CollectionRecord {
        CollectionRecord {
            id: format!("{id:04}"),
            owner: None,
            is_deleted: false,
            json: json.to_owned(),
            credentials_dropped: 0,
        }
    }

    fn owner(id: &str) -> CollectionRecord {
        CollectionRecord { id: id.to_owned(), json: format!("{{\"id\":\"{id}\"}}"), ..child(0, "") }
    }

    fn groups(join: Join) -> Vec<Group> {
        let mut groups = Vec::new();
        join.groups(|group| {
            groups.push(group);
            ControlFlow::Continue(())
        })
        .unwrap();
        groups
    }

    #[test]
    fn whole_records_come_in_the_order_of_the_last_ones_of_their_ids() {
        let mut join = Join::new().unwrap();
        for (number, (family, id)) in [
            (Collection::Version, "b"),
            (Collection::Artifact, "b"),
            (Collection::Version, "c"),
            (Collection::Version, "b"),
            (Collection::Version, "a"),
            (Collection::Version, "b"),
        ]
        .into_iter()
        .enumerate()
        {
            join.add_whole(family, id, &format!("line {number}"), &number.to_string()).unwrap();
        }
        let (bytes, mut found) = (join.bytes(), Vec::new());
        join.wholes(|whole| {
            found.push(whole);
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(found.iter().map(|whole| whole.json.as_str()).collect::<String>(), "124530");
        assert_eq!(found[1].place, "line 2");
        assert_eq!(bytes, found.iter().map(|whole| whole.bytes as u64).sum::<u64>());
    }

    /// Every owner `r0` to `r9` but `r5`, with ten builds and tests each, in an order that depends on `step`.
    fn joined(step: usize) -> Vec<Group> {
        let mut join = Join::new().unwrap();
        for number in (0..210).map(|number| number * step % 211) {
            let name = format!("r{}", number % 10);
            match number / 10 {
                0 if name == "r5" => {}
                0 => join.add(Collection::Version, &name, &owner(&name)).unwrap(),
                place @ 1..=10 => {
                    join.add(Collection::Test, &name, &child(place, &format!("{{\"t\":{place}}}"))).unwrap();
                }
                place => {
                    join.add(Collection::Build, &name, &child(place, &format!("{{\"b\":{place}}}"))).unwrap();
                }
            }
        }
        groups(join)
    }

    #[test]
    fn records_join_alike_in_any_order() {
        for step in [1, 7, 13, 101] {
            // 211 is prime, so every step visits all numbers below it but one.
            let found = joined(step);
            assert_eq!(found.len(), 10);
            assert!(matches!(&found[5].content, GroupContent::Orphans(orphans) if orphans.len() >= 19));
            let GroupContent::Record(json) = &found[1].content else { panic!("{found:?}") };
            assert!(json.starts_with(r#"{"versionInfo":{"id":"r1"},"buildInfo":[{"b":11},"#), "{json}");
        }
    }

    #[test]
    fn records_that_outgrow_the_cache_are_joined_from_disk() {
        let mut join = Join::new().unwrap();
        let long = format!("\"{}\"", "x".repeat(1 << 20));
        for number in (0..80).rev() {
            join.add(Collection::Activity, &format!("a{}", number % 2), &child(number, &long)).unwrap();
        }
        join.add(Collection::Artifact, "a0", &owner("a0")).unwrap();
        join.add(Collection::Artifact, "a1", &owner("a1")).unwrap();
        for group in groups(join) {
            let GroupContent::Record(json) = group.content else { panic!("{:?}", group.members) };
            assert_eq!(json.matches(&long).count(), 40);
        }
    }

    #[test]
    fn taking_groups_can_stop_early() {
        let mut join = Join::new().unwrap();
        for owner in ["a", "b", "c"] {
            join.add(Collection::Build, owner, &child(1, "1")).unwrap();
        }
        let mut taken = 0;
        join.groups(|_| {
            taken += 1;
            if taken == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
        assert_eq!(taken, 2);
    }

    #[test]
    fn the_last_record_of_an_id_counts_and_deleted_children_are_counted() {
        let mut join = Join::new().unwrap();
        join.add(Collection::Build, "r", &child(1, "1")).unwrap();
        join.add(Collection::Build, "r", &child(1, "2")).unwrap();
        join.add(Collection::Deploy, "r", &CollectionRecord { is_deleted: true, ..child(2, "3") }).unwrap();
        join.add(Collection::Version, "r", &owner("r")).unwrap();
        let groups = groups(join);
        assert_eq!(groups.len(), 1);
        assert_eq!(
            groups[0].content,
            GroupContent::Record(
                r#"{"versionInfo":{"id":"r"},"buildInfo":[2],"deployInfo":[{"deleted_at":1}]}"#.to_owned()
            )
        );
        let members = |live, deleted, repeated| Members { live, deleted, repeated };
        assert_eq!(
            groups[0].members,
            [
                (Collection::Version, members(1, 0, 0)),
                (Collection::Build, members(1, 0, 1)),
                (Collection::Deploy, members(0, 1, 0)),
            ]
        );
    }

    #[test]
    fn the_owner_of_a_refused_record_is_incomplete() {
        let mut join = Join::new().unwrap();
        for name in ["a", "b", "c"] {
            join.add(Collection::Version, name, &owner(name)).unwrap();
            join.add(Collection::Build, name, &child(1, "1")).unwrap();
        }
        join.add_refused(Collection::Test, "a", "t").unwrap();
        // The last record of an id counts, whether it is refused or good.
        join.add_refused(Collection::Build, "b", "0001").unwrap();
        join.add_refused(Collection::Build, "c", "0002").unwrap();
        join.add(Collection::Build, "c", &child(2, "2")).unwrap();
        join.add(Collection::Build, "d", &child(1, "1")).unwrap();
        join.add_refused(Collection::Version, "d", "d").unwrap();
        join.add_refused(Collection::Test, "e", "t").unwrap();
        let contents: Vec<_> = groups(join).into_iter().map(|group| group.content).collect();
        assert_eq!(contents[..2], [GroupContent::Incomplete, GroupContent::Incomplete]);
        assert!(matches!(&contents[2], GroupContent::Record(json) if json.contains("[1,2]")), "{contents:?}");
        assert_eq!(contents[3..], [GroupContent::Incomplete, GroupContent::Orphans(Vec::new())]);
    }

    #[test]
    fn an_image_goes_into_its_charts_record() {
        let section = [
            r#"{"distributeType":"image","chartName":"c"}"#,
            r#"{"distributeType":"chart","chartName":"c","s3StorageID":"","deleted_at":0}"#,
            r#"{"distributeType":"image","chartName":"other"}"#,
            r#"{"distributeType":"image"}"#,
        ];
        assert_eq!(
            with_images_in_charts(&section.map(str::to_owned)),
            [
                r#"{"distributeType":"chart","chartName":"c","subDistributes":[{"distributeType":"image","chartName":"c"}],"s3StorageID":"","deleted_at":0}"#,
                r#"{"distributeType":"image","chartName":"other"}"#,
                r#"{"distributeType":"image"}"#,
            ]
        );
    }
}
