//! How much of a list is asked for: everything from a cursor on that fits, or one page.

use crate::position::Position;
use crate::query::{ParameterError, Query, strconv};

/// How many releases a page has unless `per_page` says otherwise, as in Zadig.
const DEFAULT_PER_PAGE: u64 = 20;

/// Which of the matching releases are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    /// As many as one response holds, older than the cursor.
    All {
        /// The last release that the caller has met.
        after: Option<Position>,
    },
    /// One page.
    Page {
        /// Counted from 1.
        page: u64,
        /// How many releases a page has.
        per_page: u64,
    },
}

impl Extent {
    /// Reads `page`, `per_page` and `after`.
    ///
    /// # Errors
    /// The first of `per_page`, `page` and `after` that cannot be read; or a cursor and a page together.
    pub fn from_query(query: &Query) -> Result<Self, ParameterError> {
        let number = |given: Option<&str>| given.map(strconv::atoi).transpose();
        let per_page = number(query.first("per_page")).map_err(ParameterError::PerPage)?;
        let page = number(query.first("page")).map_err(ParameterError::Page)?;
        let after = query.first("after").map(cursor).transpose()?;
        match (page, per_page, after) {
            (None, None, after) => Ok(Self::All { after }),
            (_, _, Some(_)) => Err(ParameterError::AfterWithPage),
            (page, per_page, None) => {
                Ok(Self::Page { page: or_default(page, 1), per_page: or_default(per_page, DEFAULT_PER_PAGE) })
            }
        }
    }
}

/// The number, or the default where it is missing. As in Zadig, a number below 1 counts as missing.
fn or_default(number: Option<i64>, default: u64) -> u64 {
    number.and_then(|number| u64::try_from(number).ok()).filter(|number| *number > 0).unwrap_or(default)
}

pub(super) fn cursor(after: &str) -> Result<Position, ParameterError> {
    Position::parse(after).ok_or_else(|| ParameterError::After(after.to_owned()))
}
