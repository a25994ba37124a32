//! Releases in their table.
//!
//! A release is stored as two documents: `brief` is `{"versionInfo":{…}`, and `rest` is the remainder
//! `,"buildInfo":[…],…}`. So both a brief list and a detailed one are made by writing stored documents one
//! behind another. A revision is a digest of both, so a document never changes under its revision.

mod listing;
mod reading;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

pub use self::listing::{ReleaseEntries, ReleaseListing};
pub use self::reading::{is_without_documents, take_release};
use crate::document::{Document, Spoiled};
use crate::position::Position;
use crate::store::error::StoreError;
use crate::store::items::{Attributes, Item, Subject};

/// The version of the form in which lengths are stored. It is raised also where a search would find wrongly
/// what an older version stored, and `reindex` could not mend that: it is an error then.
pub const LENGTHS_VERSION: &str = "2";

/// How much of a release is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verbosity {
    /// `versionInfo` alone.
    Brief,
    /// All sections.
    Detailed,
}

/// A release as the index lists it. This is enough to know how large its answer is and which items hold it,
/// without reading the release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseEntry {
    /// Its time and id.
    pub position: Position,
    /// The revision of its documents.
    pub revision: String,
    /// Its documents' lengths.
    pub lengths: Lengths,
}

/// The lengths in bytes of a release's two documents, packed and as JSON-escaped text, and the parts they
/// need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lengths {
    /// `brief`, packed.
    pub brief_packed: usize,
    /// `brief`, escaped.
    pub brief_escaped: usize,
    /// `rest`, packed.
    pub rest_packed: usize,
    /// `rest`, escaped.
    pub rest_escaped: usize,
    /// The parts that `brief` needs beside the item `release`.
    pub brief_parts: usize,
    /// All parts.
    pub parts: usize,
}

impl Lengths {
    /// The packed length of what is asked for.
    pub fn packed(&self, verbosity: Verbosity) -> usize {
        match verbosity {
            Verbosity::Brief => self.brief_packed,
            Verbosity::Detailed => self.brief_packed + self.rest_packed,
        }
    }

    /// The escaped length of what is asked for.
    pub fn escaped(&self, verbosity: Verbosity) -> usize {
        match verbosity {
            Verbosity::Brief => self.brief_escaped,
            Verbosity::Detailed => self.brief_escaped + self.rest_escaped,
        }
    }

    /// How many parts hold what is asked for, beside the item itself.
    fn parts(&self, verbosity: Verbosity) -> usize {
        match verbosity {
            Verbosity::Brief => self.brief_parts,
            Verbosity::Detailed => self.parts,
        }
    }
}

impl fmt::Display for Lengths {
    /// As it is stored, with a version in front: one short text is read faster than six attributes.
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let Self { brief_packed, brief_escaped, rest_packed, rest_escaped, brief_parts, parts } = self;
        write!(
            formatter,
            "{LENGTHS_VERSION}:{brief_packed},{brief_escaped},{rest_packed},{rest_escaped},{brief_parts},{parts}"
        )
    }
}

/// Lengths in a form that this version does not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "its lengths have a form that this version of the service does not read; \
     export it with the version that stored it, and import that into new tables"
)]
pub struct UnreadableLengths;

impl FromStr for Lengths {
    type Err = UnreadableLengths;

    fn from_str(text: &str) -> Result<Self, UnreadableLengths> {
        let mut numbers = [0_usize; 6];
        let mut texts = text
            .strip_prefix(LENGTHS_VERSION)
            .and_then(|text| text.strip_prefix(':'))
            .ok_or(UnreadableLengths)?
            .split(',');
        for number in &mut numbers {
            *number = texts.next().and_then(|text| text.parse().ok()).ok_or(UnreadableLengths)?;
        }
        if texts.next().is_some() {
            return Err(UnreadableLengths);
        }
        let [brief_packed, brief_escaped, rest_packed, rest_escaped, brief_parts, parts] = numbers;
        Ok(Self { brief_packed, brief_escaped, rest_packed, rest_escaped, brief_parts, parts })
    }
}

/// The documents of a release that were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRelease {
    /// `{"versionInfo":{…}`
    pub brief: Arc<Document>,
    /// `,"buildInfo":[…],…}`, where all sections were asked for.
    pub rest: Option<Arc<Document>>,
}

impl StoredRelease {
    /// As much of the release as is asked for.
    fn of(self, verbosity: Verbosity) -> Self {
        match verbosity {
            Verbosity::Brief => Self { rest: None, ..self },
            Verbosity::Detailed => self,
        }
    }

    /// The release as it is answered, where both documents are there.
    ///
    /// # Errors
    /// A document is not what was stored.
    pub fn json(&self) -> Result<String, Spoiled> {
        let mut json = self.brief.unpack()?;
        if let Some(rest) = &self.rest {
            json.push_str(&rest.unpack()?);
        }
        Ok(json)
    }
}

/// A release's position, revision and lengths, as its own item and its facet entries have them.
///
/// # Errors
/// One of them is missing, or cannot be read.
pub fn entry_in(attributes: &mut Attributes<'_>) -> Result<ReleaseEntry, StoreError> {
    let position = attributes.position("position")?;
    let revision = attributes.text("revision")?;
    let lengths = attributes.text("lengths")?;
    let lengths = lengths.parse().map_err(|unreadable: UnreadableLengths| {
        let id = position.id();
        let release = Attributes::new(Item::new(), attributes.table, Subject::Release(id));
        release.unreadable(unreadable.to_string())
    })?;
    Ok(ReleaseEntry { position, revision, lengths })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_back() {
        let lengths = Lengths {
            brief_packed: 1,
            brief_escaped: 2,
            rest_packed: 3,
            rest_escaped: 4,
            brief_parts: 5,
            parts: 6,
        };
        assert_eq!(lengths.to_string().parse(), Ok(lengths));
        for text in [
            "",
            "1,2,3,4,5,6",
            "2:1,2,3,4,5",
            "2:1,2,3,4,5,6,7",
            "2:1,2,3,4,5,x",
            "2:-1,2,3,4,5,6",
            "1:1,2,3,4,5,6",
        ] {
            assert_eq!(text.parse::<Lengths>(), Err(UnreadableLengths), "{text}");
        }
    }
}
