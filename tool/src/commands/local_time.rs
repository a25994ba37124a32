//! Times as a person at this machine reads and gives them: local times, and how long ago they are.

use std::fmt::Display;

use delivery_center::query::{TimeError, moment};
use jiff::civil::{Date, DateTime, Time};
use jiff::{Span, Timestamp, ZonedDateTime};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Ages below two days are told in hours, since `1 d ago` would say too little. The next two limits are
/// alike, for days and months.
const TWO_DAYS: i64 = 2 * DAY;
const TWO_MONTHS: i64 = 60 * DAY;
const TWO_YEARS: i64 = 730 * DAY;

/// What the tool says where a record has no time.
const UNKNOWN: &str = "at an unknown time";

/// Now, in the time zone of this machine (`TZ`).
#[derive(Debug, Clone)]
pub(super) struct Now(ZonedDateTime);

/// A text that is not taken for a time.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum UnreadableTime {
    /// It has another form.
    #[error(
        "give how long ago it is (90m, 12h, 2d, 1w), a local time (yesterday, 'yesterday 18:00', 08:30, 2026-11-24, \
         '2026-11-24 08:30'), RFC 3339 (2026-11-24T12:00:00+08:00) or Unix seconds"
    )]
    Form,
    /// It is digits, and no Unix seconds, as the endpoints say it.
    #[error(transparent)]
    Digits(TimeError),
}

impl Now {
    /// The time that it is.
    pub(super) fn from_the_clock() -> Self {
        Self(ZonedDateTime::now())
    }

    /// A time in UTC, as if it was now.
    #[cfg(test)]
    pub(super) fn at(utc: &str) -> Self {
        Self(utc.parse::<Timestamp>().unwrap().to_zoned_datetime(jiff::tz::TimeZone::UTC))
    }

    /// A heading for a column of times. A zone's name says nothing of its offset: `TZ=UTC-8` names one `UTC`
    /// that is eight hours ahead.
    pub(super) fn heading(&self) -> &'static str {
        let changes = self.0.time_zone().preceding(Timestamp::MAX).next().is_some();
        if self.0.offset().is_zero() && !changes { "TIME (UTC)" } else { "LOCAL TIME" }
    }

    /// A time to the minute, such as `2021-12-14 07:46`.
    pub(super) fn minute(&self, unix_seconds: i64) -> String {
        self.format(unix_seconds, "%Y-%m-%d %H:%M")
    }

    /// A time to the second with its offset, such as `2021-12-14 07:46:02 UTC` or `… +08:00`.
    pub(super) fn second(&self, unix_seconds: i64) -> String {
        let is_utc = Timestamp::from_second(unix_seconds)
            .is_ok_and(|time| self.0.time_zone().to_offset(time).is_zero());
        let zone = if is_utc { "UTC" } else { "%:z" };
        self.format(unix_seconds, &format!("%Y-%m-%d %H:%M:%S {zone}"))
    }

    /// A time to the minute and how long ago it is, such as `2021-12-14 07:46 (3 h ago)`.
    pub(super) fn minute_and_age(&self, unix_seconds: i64) -> String {
        self.with_age(self.minute(unix_seconds), unix_seconds)
    }

    /// A time to the second and how long ago it is.
    pub(super) fn second_and_age(&self, unix_seconds: i64) -> String {
        self.with_age(self.second(unix_seconds), unix_seconds)
    }

    /// How long ago a time is, such as `3 h ago`.
    pub(super) fn age(&self, unix_seconds: i64) -> String {
        if unix_seconds == 0 {
            return String::new();
        }
        match self.0.timestamp().as_second() - unix_seconds {
            seconds if seconds < 0 => format!("in {}", duration(seconds.saturating_neg())),
            seconds => format!("{} ago", duration(seconds)),
        }
    }

    fn with_age(&self, time: String, unix_seconds: i64) -> String {
        match unix_seconds {
            0 => time,
            _ => format!("{time} ({})", self.age(unix_seconds)),
        }
    }

    fn format(&self, unix_seconds: i64, format: &str) -> String {
        match Timestamp::from_second(unix_seconds) {
            Ok(_) if unix_seconds == 0 => UNKNOWN.to_owned(),
            Ok(time) => time.to_zoned_datetime(self.0.time_zone().clone()).strftime(format).to_string(),
            // Later than the year 9999.
            Err(_) => unix_seconds.to_string(),
        }
    }

    /// Reads a time as a person gives it; Unix seconds.
    ///
    /// # Errors
    /// [`UnreadableTime`].
    pub(super) fn read(&self, text: &str) -> Result<i64, UnreadableTime> {
        let text = text.trim();
        match moment(text) {
            Ok(seconds) => return Ok(seconds),
            Err(TimeError::Form(_)) => {}
            Err(digits) => return Err(UnreadableTime::Digits(digits)),
        }
        let zoned = match self.local(text) {
            Some(local) => local.to_zoned_datetime(self.0.time_zone().clone()).map_err(unreadable)?,
            None => {
                self.0.checked_sub(text.parse::<Span>().map_err(unreadable)?.abs()).map_err(unreadable)?
            }
        };
        Ok(zoned.timestamp().as_second())
    }

    /// A day, a time of day, or both.
    fn local(&self, text: &str) -> Option<DateTime> {
        let today = self.0.date();
        let day = |text: &str| match text {
            "today" => Some(today),
            "yesterday" => today.yesterday().ok(),
            date if date.len() == "2026-11-24".len() => date.parse::<Date>().ok(),
            _ => None,
        };
        let time = |text: &str| Some(text).filter(|text| text.contains(':'))?.parse::<Time>().ok();
        if let Some((date, of_day)) = text.split_once([' ', 'T']) {
            return Some(day(date)?.to_datetime(time(of_day)?));
        }
        let midnight = day(text).map(|date| date.to_datetime(Time::midnight()));
        midnight.or_else(|| Some(today.to_datetime(time(text)?)))
    }
}

/// Reads the value of `--since` or `--until`.
///
/// # Errors
/// [`UnreadableTime`].
pub(super) fn read(text: &str) -> Result<i64, UnreadableTime> {
    Now::from_the_clock().read(text)
}

/// How long something took or is ago, in its largest unit, such as `3 h`.
pub(super) fn duration(seconds: i64) -> String {
    let (count, unit) = match seconds {
        ..MINUTE => (seconds, "s"),
        MINUTE..HOUR => (seconds / MINUTE, "min"),
        HOUR..TWO_DAYS => (seconds / HOUR, "h"),
        TWO_DAYS..TWO_MONTHS => (seconds / DAY, "d"),
        TWO_MONTHS..TWO_YEARS => (seconds / (30 * DAY), "mo"),
        _ => (seconds / (365 * DAY), "y"),
    };
    format!("{count} {unit}")
}

fn unreadable(_: impl Display) -> UnreadableTime {
    UnreadableTime::Form
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Thursday in winter, half past three at night in Berlin.
    fn now(zone: &str) -> Now {
        let now: Timestamp = "2026-11-26T02:30:00Z".parse().unwrap();
        Now(now.in_tz(zone).unwrap())
    }

    fn unix(time: &str) -> i64 {
        time.parse::<Timestamp>().unwrap().as_second()
    }

    #[test]
    fn a_time_is_read_as_people_say_it() {
        let berlin = now("Europe/Berlin");
        for (given, meant) in [
            ("90m", "2026-11-26T01:00:00Z"),
            ("12h", "2026-11-25T14:30:00Z"),
            ("1h30m", "2026-11-26T01:00:00Z"),
            ("2 days ago", "2026-11-24T02:30:00Z"),
            ("2d", "2026-11-24T02:30:00Z"),
            ("1w", "2026-11-19T02:30:00Z"),
            ("today", "2026-11-25T23:00:00Z"),
            ("yesterday", "2026-11-24T23:00:00Z"),
            ("yesterday 18:00", "2026-11-25T17:00:00Z"),
            ("02:15", "2026-11-26T01:15:00Z"),
            ("2026-07-01", "2026-06-30T22:00:00Z"),
            ("2026-07-01 12:00", "2026-07-01T10:00:00Z"),
            ("2026-07-01T12:00:05", "2026-07-01T10:00:05Z"),
            ("2026-07-01T12:00:00+08:00", "2026-07-01T04:00:00Z"),
            ("2026-07-01T12:00:00.9Z", "2026-07-01T12:00:00Z"),
            ("1639467962", "2021-12-14T07:46:02Z"),
        ] {
            assert_eq!(berlin.read(given).unwrap(), unix(meant), "{given}");
        }
        for unreadable in
            ["", "soon", "2026-13-01", "yesterday evening", "25:00", "x12h", "1639467962000", "20211214"]
        {
            assert!(berlin.read(unreadable).is_err(), "{unreadable}");
        }
        for (digits, expected) in [
            (
                "1654041600000",
                "\"1654041600000\" is in milliseconds or finer: write Unix seconds, 1654041600",
            ),
            ("20220601", "\"20220601\" reads as a date: write 2022-06-01"),
        ] {
            assert_eq!(berlin.read(digits).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn a_time_is_shown_in_the_local_zone_with_its_age() {
        let created = unix("2026-07-01T10:00:05Z");
        assert_eq!(now("Europe/Berlin").minute(created), "2026-07-01 12:00");
        assert_eq!(now("Europe/Berlin").second(created), "2026-07-01 12:00:05 +02:00");
        assert_eq!(now("UTC").minute_and_age(created), "2026-07-01 10:00 (4 mo ago)");
        assert_eq!((now("UTC").heading(), now("Europe/Berlin").heading()), ("TIME (UTC)", "LOCAL TIME"));
        assert_eq!(now("UTC").minute_and_age(0), "at an unknown time");
        assert_eq!(now("UTC").minute(999_999_999_999), "999999999999");
    }

    #[test]
    fn a_zone_is_told_by_its_offset_whatever_its_name_says() {
        let created = unix("2026-07-01T10:00:05Z");
        for (zone, second, heading) in [
            // POSIX counts westwards: that is eight hours ahead.
            ("UTC-8", "2026-07-01 18:00:05 +08:00", "LOCAL TIME"),
            ("GMT+3:30", "2026-07-01 06:30:05 -03:30", "LOCAL TIME"),
            ("UTC0", "2026-07-01 10:00:05 UTC", "TIME (UTC)"),
            ("XYZ0", "2026-07-01 10:00:05 UTC", "TIME (UTC)"),
            ("GMT0BST,M3.5.0/1,M10.5.0", "2026-07-01 11:00:05 +01:00", "LOCAL TIME"),
        ] {
            let zone = jiff::tz::TimeZone::posix(zone).unwrap();
            let now = Now(now("UTC").0.with_time_zone(zone));
            assert_eq!((now.second(created).as_str(), now.heading()), (second, heading));
        }
        for (zone, second, heading) in [
            ("Etc/UTC", "2026-07-01 10:00:05 UTC", "TIME (UTC)"),
            ("Etc/GMT-2", "2026-07-01 12:00:05 +02:00", "LOCAL TIME"),
            ("Europe/London", "2026-07-01 11:00:05 +01:00", "LOCAL TIME"),
            ("Asia/Kolkata", "2026-07-01 15:30:05 +05:30", "LOCAL TIME"),
        ] {
            assert_eq!((now(zone).second(created).as_str(), now(zone).heading()), (second, heading));
        }
        assert_eq!(now("Europe/London").second(unix("2026-01-01T10:00:05Z")), "2026-01-01 10:00:05 UTC");
    }

    #[test]
    fn an_age_is_told_in_its_largest_unit() {
        let utc = now("UTC");
        let before = |seconds| utc.age(unix("2026-11-26T02:30:00Z") - seconds);
        for (seconds, age) in [
            (0, "0 s ago"),
            (59, "59 s ago"),
            (60, "1 min ago"),
            (3599, "59 min ago"),
            (3600, "1 h ago"),
            (47 * 3600, "47 h ago"),
            (48 * 3600, "2 d ago"),
            (59 * 86400, "59 d ago"),
            (60 * 86400, "2 mo ago"),
            (729 * 86400, "24 mo ago"),
            (730 * 86400, "2 y ago"),
            (-300, "in 5 min"),
        ] {
            assert_eq!(before(seconds), age);
        }
    }
}
