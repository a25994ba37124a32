//! Text out of a record, which anybody may have written: it is shown without the characters that control a
//! terminal.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

/// A text as it is stored; displayed on one line, and harmless.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(transparent)]
pub struct StoredText(String);

impl StoredText {
    /// The text as it is stored; not for a terminal.
    pub fn as_stored(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first line that says something, such as a commit's subject.
    pub fn first_line(&self) -> Self {
        Self(self.0.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned())
    }
}

impl From<&str> for StoredText {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for StoredText {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let one_line = self.0.trim().replace("\r\n", " ").replace(['\n', '\t'], " ");
        formatter.pad(&harmless(&one_line))
    }
}

/// A text with every character that could do something to a terminal written as `\u{1b}`.
///
/// These are the control characters (those of C1 too, but not tabs), those that change the direction of the
/// text, and those that cannot be seen.
pub fn harmless(text: &str) -> String {
    let mut harmless = String::with_capacity(text.len());
    for character in text.chars() {
        if is_harmful(character) && character != '\t' {
            write!(harmless, "{}", character.escape_unicode()).expect("a string can be written to");
        } else {
            harmless.push(character);
        }
    }
    harmless
}

/// Whether a terminal does something else with a character than show it.
pub fn is_harmful(character: char) -> bool {
    let turns_direction = matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    let is_invisible = matches!(character, '\u{200b}' | '\u{2028}' | '\u{2029}' | '\u{2060}' | '\u{feff}');
    character.is_control() || turns_direction || is_invisible
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_a_terminal_is_written_out() {
        for (stored, shown) in [
            ("\u{1b}[31mred\u{7}", "\\u{1b}[31mred\\u{7}"),
            ("\u{9b}2J\u{7f}", "\\u{9b}2J\\u{7f}"),
            ("tag\u{202e}gat", "tag\\u{202e}gat"),
            ("\u{feff}1.4\u{200b}", "\\u{feff}1.4\\u{200b}"),
            ("one\r\ntwo\n\tthree\rfour\n", "one two  three\\u{d}four"),
            ("明月 ¥ é", "明月 ¥ é"),
        ] {
            assert_eq!(StoredText::from(stored).to_string(), shown);
        }
        assert_eq!(StoredText::from("\n subject \n\nbody").first_line().to_string(), "subject");
    }
}
