//! What the parameters `since` and `until` may hold: Unix seconds, or a date or time as in RFC 3339.

use aws_sdk_dynamodb::primitives::{DateTime, DateTimeFormat};

use crate::position::UnixSeconds;

/// Reads a moment or a date, which means its midnight in UTC. A time before 1970 becomes 0.
///
/// # Errors
/// The text, where it has another form.
pub fn unix_seconds(text: &str) -> Result<UnixSeconds, String> {
    let midnight = || moment(&format!("{text}T00:00:00Z"));
    let seconds = moment(text).or_else(|unreadable| midnight().map_err(|_| unreadable))?;
    Ok(UnixSeconds::try_from(seconds).unwrap_or(0))
}

/// Reads Unix seconds, or a time with its offset as in RFC 3339. Fractions of a second are cut off.
///
/// # Errors
/// The text, where it has another form.
pub fn moment(text: &str) -> Result<i64, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number with too many digits is later than any record.
        return Ok(text.parse().unwrap_or(i64::MAX));
    }
    let time = DateTime::from_str(text, DateTimeFormat::DateTimeWithOffset);
    time.map(|time| time.secs()).map_err(|_| text.to_owned())
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
