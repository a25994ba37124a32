//! Joins records to their owners, in whatever order they come and however many they are.
//!
//! All records go into a temporary `SQLite` database, and come out so that everything of one release or
//! artifact comes together: what collections have of it, or, in the API's JSON, all records of its id. The
//! database is a file without a name: it is gone when the process ends, however that ends.

use std::ops::ControlFlow;

use rusqlite::{Connection, Row};

use super::zadig_collections::Collection;

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

/// Of several records with one id, the one that was added last is read first.
const SELECT_JOINED: &str = "
    SELECT owner, collection, id, json FROM records
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

/// Takes records in any order, and gives them back by release and artifact.
pub struct Join {
    database: Connection,
    bytes: u64,
}

/// A record of a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joined<'a> {
    /// The collection.
    pub collection: Collection,
    /// The id of the release or artifact that it belongs to; its own id where it is one.
    pub owner: &'a str,
    /// Its own id.
    pub id: &'a str,
    /// Its JSON; empty for a soft-deleted child, which is only counted, and `None` for a record that was
    /// refused.
    pub json: Option<&'a str>,
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

    /// Adds a record of a collection.
    ///
    /// # Errors
    /// The temporary database's.
    pub fn add(&mut self, record: Joined<'_>) -> rusqlite::Result<()> {
        self.insert(record, "")
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
        self.insert(Joined { collection: family, owner: id, id: "", json: Some(json) }, place)
    }

    fn insert(&mut self, record: Joined<'_>, place: &str) -> rusqlite::Result<()> {
        self.bytes += record.bytes() as u64;
        let Joined { collection, owner, id, json } = record;
        let mut insert = self.database.prepare_cached(INSERT)?;
        insert.execute((collection.owner() as u8, owner, collection as u8, id, place, json))?;
        Ok(())
    }

    /// The sum of [`Joined::bytes`] over all records, or of [`Whole::bytes`].
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Passes the records to `take`, until it breaks: those of one release or artifact one after another,
    /// sorted by collection and id. Of several records with one id, the one that was added last comes first.
    ///
    /// # Errors
    /// The temporary database's.
    pub fn joined(self, mut take: impl FnMut(Joined<'_>) -> ControlFlow<()>) -> rusqlite::Result<()> {
        let mut select = self.database.prepare(SELECT_JOINED)?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let taken = take(Joined {
                collection: collection_in(row, 1)?,
                owner: row.get_ref(0)?.as_str()?,
                id: row.get_ref(2)?.as_str()?,
                json: row.get_ref(3)?.as_str_or_null()?,
            });
            if taken.is_break() {
                break;
            }
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
            let family = collection_in(row, 0)?;
            let bytes = Joined { collection: family, owner: &id, id: "", json: Some(&json) }.bytes();
            let whole = Whole { family, id, place: row.get(2)?, json, bytes };
            if take(whole).is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl Joined<'_> {
    /// How many bytes it is counted as.
    pub fn bytes(&self) -> usize {
        RECORD_BYTES + self.owner.len() + self.id.len() + self.json.map_or(0, str::len)
    }
}

fn collection_in(row: &Row<'_>, column: usize) -> rusqlite::Result<Collection> {
    let number: usize = row.get(column)?;
    Collection::ALL.get(number).copied().ok_or(rusqlite::Error::InvalidColumnIndex(column))
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn joining_can_stop_early() {
        let mut join = Join::new().unwrap();
        for owner in ["a", "b", "c"] {
            join.add(Joined { collection: Collection::Build, owner, id: "1", json: Some("1") }).unwrap();
        }
        let mut taken = 0;
        join.joined(|_| {
            taken += 1;
            if taken == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
        assert_eq!(taken, 2);
    }
}
