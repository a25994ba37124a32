//! What the parameters `since` and `until` may hold: Unix seconds, or a date or time as in RFC 3339.

use aws_sdk_dynamodb::primitives::{DateTime, DateTimeFormat};

use super::strconv::quote;
use crate::position::{MAX_UNIX_SECONDS, UnixSeconds};

/// Why a text is not taken for a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// It has another form.
    #[error(
        "{} is neither Unix seconds nor a time as in RFC 3339: 2026-11-24, 2026-11-24T12:00:00Z, 2026-11-24T12:00:00%2B08:00",
        quote(.0)
    )]
    Form(String),
    /// It counts milliseconds, or something finer: as seconds it would be later than any record.
    #[error("{} is in milliseconds or finer: write Unix seconds, {seconds}", quote(.given))]
    FinerThanSeconds {
        /// The text.
        given: String,
        /// The same moment in seconds.
        seconds: i64,
    },
    /// It is a date without its dashes. As seconds it would be a day of 1970.
    #[error("{} reads as a date: write {date}", quote(.given))]
    DateWithoutDashes {
        /// The text.
        given: String,
        /// The date as RFC 3339 writes it.
        date: String,
    },
}

/// Reads a moment or a date, which means its midnight in UTC. A time before 1970 becomes 0.
///
/// # Errors
/// Why it is no time.
pub fn unix_seconds(text: &str) -> Result<UnixSeconds, TimeError> {
    let seconds = moment(text).or_else(|unreadable| midnight(text).ok_or(unreadable))?;
    Ok(UnixSeconds::try_from(seconds).unwrap_or(0))
}

/// Reads Unix seconds, or a time with its offset as in RFC 3339. Fractions of a second are cut off.
///
/// # Errors
/// Why it is no time.
pub fn moment(text: &str) -> Result<i64, TimeError> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return seconds(text);
    }
    rfc_3339(text).ok_or_else(|| TimeError::Form(text.to_owned()))
}

/// Reads digits, unless they surely mean something else than seconds.
fn seconds(digits: &str) -> Result<i64, TimeError> {
    // A number with too many digits is later than any record.
    let Ok(number) = digits.parse::<i64>() else { return Ok(i64::MAX) };
    if digits.len() == 8 {
        let date = format!("{}-{}-{}", &digits[..4], &digits[4..6], &digits[6..]);
        if midnight(&date).is_some() {
            return Err(TimeError::DateWithoutDashes { given: digits.to_owned(), date });
        }
    }
    let mut seconds = number;
    while seconds > MAX_UNIX_SECONDS.cast_signed() {
        seconds /= 1000;
    }
    if seconds < number {
        return Err(TimeError::FinerThanSeconds { given: digits.to_owned(), seconds });
    }
    Ok(number)
}

fn midnight(date: &str) -> Option<i64> {
    rfc_3339(&format!("{date}T00:00:00Z"))
}

fn rfc_3339(text: &str) -> Option<i64> {
    DateTime::from_str(text, DateTimeFormat::DateTimeWithOffset).ok().map(|time| time.secs())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_time_is_read_in_either_form() {
        for (text, seconds) in [
            ("0", 0),
            ("1639467962", 1_639_467_962),
            ("0001639467962", 1_639_467_962),
            ("99999999999999999999999", i64::MAX.unsigned_abs()),
            ("1970-01-01", 0),
            ("2026-11-24", 1_795_478_400),
            ("2024-02-29", 1_709_164_800),
            ("2026-11-24T12:00:00Z", 1_795_521_600),
            ("2026-11-24t12:00:00z", 1_795_521_600),
            ("2026-11-24T12:00:00.999999999Z", 1_795_521_600),
            ("2026-11-24T12:00:00+08:00", 1_795_492_800),
            ("2026-11-24T12:00:00-00:30", 1_795_523_400),
            ("1969-12-31T23:59:59.5Z", 0),
            ("0001-01-01", 0),
        ] {
            assert_eq!(unix_seconds(text), Ok(seconds), "{text}");
        }
    }

    #[test]
    fn a_number_that_surely_means_something_else_than_seconds_is_told_as_what_it_means() {
        for (text, seconds) in [
            ("1654041600000", 1_654_041_600),
            ("1654041600000000", 1_654_041_600),
            ("1654041600000000000", 1_654_041_600),
            ("1000000000000", 1_000_000_000),
            ("0001654041600000", 1_654_041_600),
        ] {
            let error = TimeError::FinerThanSeconds { given: text.to_owned(), seconds };
            assert_eq!(unix_seconds(text), Err(error), "{text}");
        }
        for (text, date) in
            [("20220601", "2022-06-01"), ("20240229", "2024-02-29"), ("19991231", "1999-12-31")]
        {
            let error = TimeError::DateWithoutDashes { given: text.to_owned(), date: date.to_owned() };
            assert_eq!(unix_seconds(text), Err(error), "{text}");
        }
        for (text, seconds) in [
            ("999999999999", 999_999_999_999),
            ("20220631", 20_220_631),
            ("20230229", 20_230_229),
            ("00000000", 0),
            ("2022060", 2_022_060),
            ("202206010", 202_206_010),
        ] {
            assert_eq!(unix_seconds(text), Ok(seconds), "{text}");
        }
    }

    #[test]
    fn another_form_is_no_time() {
        for text in [
            "",
            "-1",
            "+1",
            "1e3",
            "1.5",
            "yesterday",
            "2026-11-24T12:00:00",
            "2026-11-24 12:00:00Z",
            "2026-11-24T12:00:00 08:00",
            "2026-11-24T12:00Z",
            "2026-11-31",
            "2025-02-29",
            "2026-13-01",
            "2026-11-24T24:00:00Z",
            "2026-11-24T12:00:00+24:00",
            "26-11-24",
            "١٢٣",
        ] {
            assert!(unix_seconds(text).is_err(), "{text}: {:?}", unix_seconds(text));
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = unix_seconds(&text);
        }
    }
}
