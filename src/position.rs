//! Where a record stands in the order of all records: by its time, and for equal times by its id.

use std::fmt;

/// Seconds since 1970-01-01T00:00:00Z.
pub type UnixSeconds = u64;

/// The latest time that a record may have. A larger number is a time in milliseconds by mistake.
pub const MAX_UNIX_SECONDS: UnixSeconds = 999_999_999_999;

/// How many digits [`MAX_UNIX_SECONDS`] has. All times are written with as many, so that their texts sort as
/// the times do.
const TIME_DIGITS: usize = 12;
/// How many bytes a range key may have in DynamoDB.
pub const MAX_RANGE_KEY_BYTES: usize = 1024;

/// `<time in 12 digits>#<id>`. It is unique, and its order is the order of the answers. It is also the
/// `after` cursor.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(String);

impl Position {
    /// The position of the record that has this time and this id.
    pub fn new(time: UnixSeconds, id: &str) -> Self {
        Self(format!("{time:0TIME_DIGITS$}#{id}"))
    }

    /// A position before those of all records of this time, and after those of all earlier ones.
    pub fn before_all_of(time: UnixSeconds) -> Self {
        Self::new(time, "")
    }

    /// Reads the text of a position; `None` where it has another form.
    pub fn parse(text: &str) -> Option<Self> {
        let (time, id) = text.split_at_checked(TIME_DIGITS)?;
        let has_form = time.bytes().all(|byte| byte.is_ascii_digit()) && id.len() > 1 && id.starts_with('#');
        (has_form && text.len() <= MAX_RANGE_KEY_BYTES).then(|| Self(text.to_owned()))
    }

    /// The record's time.
    pub fn time(&self) -> UnixSeconds {
        self.0[..TIME_DIGITS].parse().expect("it is made of digits")
    }

    /// The record's id.
    pub fn id(&self) -> &str {
        &self.0[TIME_DIGITS + 1..]
    }

    /// The text, as it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn positions_sort_by_time_then_id(
            times in prop::array::uniform2(0..=MAX_UNIX_SECONDS), ids in prop::array::uniform2("[a-f0-9]{1,24}"),
        ) {
            let [first, second] = [0, 1].map(|index| Position::new(times[index], &ids[index]));
            prop_assert_eq!(first.cmp(&second), (times[0], &ids[0]).cmp(&(times[1], &ids[1])));
        }

        #[test]
        fn a_position_is_read_back(time in 0..=MAX_UNIX_SECONDS, id in ".{1,40}") {
            let position = Position::new(time, &id);
            prop_assert_eq!((position.time(), position.id()), (time, id.as_str()));
            prop_assert_eq!(Position::parse(position.as_str()), Some(position.clone()));
        }
    }

    #[test]
    fn a_text_of_another_form_is_not_a_position() {
        let long = format!("001637726888#{}", "x".repeat(1024));
        for text in
            ["", "1", "001637726888", "001637726888#", "00163772688x#a", "1637726888#a", "零零零零#a", &long]
        {
            assert_eq!(Position::parse(text), None, "{text}");
        }
    }
}
