//! Go's `strconv.Atoi` and `strconv.Quote`. Their messages are the same to the byte, since Zadig's clients
//! read them.

use std::fmt::Write as _;
use std::num::IntErrorKind;

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory as _};

/// Why [`atoi`] could not read a number. It is displayed as Go displays its `*strconv.NumError`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("strconv.Atoi: parsing {}: {reason}", quote(.number))]
pub struct AtoiError {
    number: String,
    reason: AtoiErrorReason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum AtoiErrorReason {
    #[error("invalid syntax")]
    InvalidSyntax,
    #[error("value out of range")]
    ValueOutOfRange,
}

/// Reads a decimal number as Go's `strconv.Atoi` does on a 64-bit machine.
///
/// # Errors
/// Go's own: invalid syntax, or a value out of the range of a signed 64-bit integer.
pub fn atoi(number: &str) -> Result<i64, AtoiError> {
    signed(number).map_err(|reason| AtoiError { number: number.to_owned(), reason })
}

/// Reads the digits first without their sign, as Go does: of a text that is not a number, those before the
/// first other character decide whether it is out of the range of 64 bits or has the wrong syntax.
fn signed(number: &str) -> Result<i64, AtoiErrorReason> {
    let digits = number.strip_prefix(['-', '+']).unwrap_or(number);
    if digits.starts_with('+') {
        return Err(AtoiErrorReason::InvalidSyntax);
    }
    match digits.parse::<u64>().map_err(|error| *error.kind()) {
        Ok(_) => number.parse().map_err(|_| AtoiErrorReason::ValueOutOfRange),
        Err(IntErrorKind::PosOverflow) => Err(AtoiErrorReason::ValueOutOfRange),
        Err(_) => Err(AtoiErrorReason::InvalidSyntax),
    }
}

/// Writes text between double quotes as Go's `strconv.Quote` does.
///
/// The characters that Go takes for printable stay: letters, marks, numbers, punctuation, symbols and the
/// ASCII space.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    text.chars().for_each(|character| push_escaped(&mut quoted, character));
    quoted.push('"');
    quoted
}

fn push_escaped(quoted: &mut String, character: char) {
    match character {
        '"' | '\\' => quoted.extend(['\\', character]),
        '\x07' => quoted.push_str("\\a"),
        '\x08' => quoted.push_str("\\b"),
        '\x0c' => quoted.push_str("\\f"),
        '\n' => quoted.push_str("\\n"),
        '\r' => quoted.push_str("\\r"),
        '\t' => quoted.push_str("\\t"),
        '\x0b' => quoted.push_str("\\v"),
        _ if is_print(character) => quoted.push(character),
        '\0'..' ' | '\x7f' => push_formatted(quoted, format_args!("\\x{:02x}", u32::from(character))),
        '\u{80}'..='\u{ffff}' => push_formatted(quoted, format_args!("\\u{:04x}", u32::from(character))),
        _ => push_formatted(quoted, format_args!("\\U{:08x}", u32::from(character))),
    }
}

fn push_formatted(quoted: &mut String, text: std::fmt::Arguments) {
    quoted.write_fmt(text).expect("writing into a String cannot fail");
}

fn is_print(character: char) -> bool {
    if character.is_ascii() {
        return (' '..='~').contains(&character);
    }
    match character.general_category_group() {
        GeneralCategoryGroup::Letter
        | GeneralCategoryGroup::Mark
        | GeneralCategoryGroup::Number
        | GeneralCategoryGroup::Punctuation
        | GeneralCategoryGroup::Symbol => true,
        GeneralCategoryGroup::Separator | GeneralCategoryGroup::Other => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        // Rows of Go's own atoi tests and of the rules in its documentation.
        let table: &[(&str, Result<i64, &str>)] = &[
            ("0", Ok(0)),
            ("-0", Ok(0)),
            ("+0", Ok(0)),
            ("012345", Ok(12345)),
            ("+12345", Ok(12345)),
            ("-12345", Ok(-12345)),
            ("98765432100", Ok(98_765_432_100)),
            ("9223372036854775807", Ok(i64::MAX)),
            ("-9223372036854775808", Ok(i64::MIN)),
            ("000000000000000000000000000000000001", Ok(1)),
            ("", Err("invalid syntax")),
            ("+", Err("invalid syntax")),
            ("-", Err("invalid syntax")),
            ("+-1", Err("invalid syntax")),
            (" 1", Err("invalid syntax")),
            ("1 ", Err("invalid syntax")),
            ("1_000", Err("invalid syntax")),
            ("0x10", Err("invalid syntax")),
            ("1.0", Err("invalid syntax")),
            ("1e3", Err("invalid syntax")),
            ("١", Err("invalid syntax")),
            ("12345x", Err("invalid syntax")),
            ("9223372036854775808", Err("value out of range")),
            ("-9223372036854775809", Err("value out of range")),
            ("18446744073709551616", Err("value out of range")),
            // Go reads from the left: the overflow comes before the letter, or the letter before it.
            ("99999999999999999999x", Err("value out of range")),
            ("9223372036854775808x", Err("invalid syntax")),
        ];
        for (number, expected) in table {
            let expected = expected.map_err(|reason| format!("strconv.Atoi: parsing \"{number}\": {reason}"));
            assert_eq!(atoi(number).map_err(|error| error.to_string()), expected, "{number:?}");
        }
    }

    #[test]
    fn text_is_quoted_as_go_quotes_it() {
        let table: &[(&str, &str)] = &[
            ("\x07\x08\x0c\r\n\t\x0b", r#""\a\b\f\r\n\t\v""#),
            ("\\", r#""\\""#),
            ("say \"hi\"", r#""say \"hi\"""#),
            ("\x00\x1b\x7f", r#""\x00\x1b\x7f""#),
            ("\u{263a}", "\"\u{263a}\""),
            ("\u{10ffff}", r#""\U0010ffff""#),
            ("\u{0101}", "\"\u{0101}\""),
            ("\u{a0}", r#""\u00a0""#),
            ("\u{ad}", r#""\u00ad""#),
            ("\u{85}", r#""\u0085""#),
            ("\u{2028}", r#""\u2028""#),
            ("\u{3000}", r#""\u3000""#),
            ("\u{feff}", r#""\ufeff""#),
            ("\u{e000}", r#""\ue000""#),
            ("\u{e0001}", r#""\U000e0001""#),
            ("\u{fffd}", "\"\u{fffd}\""),
            ("\u{0301}", "\"\u{0301}\""),
            ("中文'", "\"中文'\""),
            ("😀", "\"😀\""),
        ];
        for (text, expected) in table {
            assert_eq!(quote(text), *expected);
        }
    }

    proptest! {
        #[test]
        fn every_signed_64_bit_number_is_read(number: i64) {
            prop_assert_eq!(atoi(&number.to_string()), Ok(number));
        }

        #[test]
        fn no_text_makes_it_panic_and_quotes_are_one_line(text: String) {
            let quoted = quote(&text);
            prop_assert!(quoted.starts_with('"') && quoted.ends_with('"'));
            prop_assert!(quoted[1..quoted.len() - 1].chars().all(is_print));
            if let Err(error) = atoi(&text) {
                prop_assert!(error.to_string().contains(&quoted));
            }
        }
    }
}
