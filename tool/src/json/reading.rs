//! Reads a JSON text as a tree.
//!
//! `serde_json` reads the strings, numbers and words. The objects and lists around them are read here, for
//! two reasons: a record must not be nested deeper than other readers go, and a problem names the path at
//! which it stands.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::path::{Path, Problem};
use super::{Json, Members};

/// How deep a record may be nested. Many readers, `serde_json` among them, refuse 128 levels, and an answer
/// adds a few around the record. MongoDB itself nests no deeper.
pub(crate) const MAX_DEPTH: usize = 100;

impl<'a> Json<'a> {
    /// Reads bytes that are one JSON text, which every reader can read.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, Problem> {
        str::from_utf8(bytes)
            .map_err(|error| {
                let place = error.valid_up_to();
                let good = str::from_utf8(&bytes[..place]).unwrap_or_default();
                let path =
                    Self::read_text(good).err().map_or_else(|| Path::ROOT.to_string(), |ended| ended.path);
                Problem { path, reason: format!("not UTF-8 at byte {place} of the record") }
            })
            .and_then(Self::read_text)
    }

    /// Reads a JSON text.
    pub(crate) fn read_text(text: &'a str) -> Result<Self, Problem> {
        let mut reader = Reader { text, position: 0, depth: 0 };
        let value = reader.value(&Path::ROOT)?;
        match reader.next_token() {
            None => Ok(value),
            Some(_) => Err(reader.not_json(&Path::ROOT)),
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    position: usize,
    /// How many objects and lists are open.
    depth: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, path: &Path<'_>) -> Result<Json<'a>, Problem> {
        let first = self.next_token();
        if !matches!(first, Some(b'{' | b'[')) {
            let raw = self.scalar(path)?;
            return Ok(match first {
                Some(b'"') => Json::Text(unescaped(raw, path)?),
                Some(b't' | b'f') => Json::Boolean(raw == "true"),
                Some(b'n') => Json::Null,
                _ => Json::Number(raw.into()),
            });
        }
        if self.depth == MAX_DEPTH {
            return Err(path.problem(format!("nested more than {MAX_DEPTH} levels deep")));
        }
        self.depth += 1;
        self.position += 1;
        let value = if first == Some(b'{') { self.members(path)? } else { self.elements(path)? };
        self.depth -= 1;
        Ok(value)
    }

    fn members(&mut self, path: &Path<'_>) -> Result<Json<'a>, Problem> {
        let mut members = Members::new();
        if self.step_over(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            if self.next_token() != Some(b'"') {
                return Err(self.not_json(path));
            }
            let name = unescaped(self.scalar(path)?, path)?;
            let path = path.field(&name);
            if !self.step_over(b':') {
                return Err(self.not_json(&path));
            }
            let value = self.value(&path)?;
            let is_last = self.is_last(b'}', &path)?;
            members.insert(name, value);
            if is_last {
                return Ok(Json::Object(members));
            }
        }
    }

    fn elements(&mut self, path: &Path<'_>) -> Result<Json<'a>, Problem> {
        let mut elements = Vec::new();
        if self.step_over(b']') {
            return Ok(Json::List(elements));
        }
        loop {
            let path = path.index(elements.len());
            elements.push(self.value(&path)?);
            if self.is_last(b']', &path)? {
                return Ok(Json::List(elements));
            }
        }
    }

    /// Steps over what comes after a member or an element, and tells whether it was the last one.
    fn is_last(&mut self, end: u8, path: &Path<'_>) -> Result<bool, Problem> {
        let is_last = self.step_over(end);
        if is_last || self.step_over(b',') { Ok(is_last) } else { Err(self.not_json(path)) }
    }

    /// Steps over a string, a number or a word, and gives it as it is written.
    fn scalar(&mut self, path: &Path<'_>) -> Result<&'a str, Problem> {
        let rest = &self.text[self.position..];
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<&'a RawValue>();
        let Some(Ok(raw)) = values.next() else { return Err(self.not_json(path)) };
        self.position += values.byte_offset();
        Ok(raw.get())
    }

    /// Steps over blanks, and over this byte if it comes next.
    fn step_over(&mut self, byte: u8) -> bool {
        let is_next = self.next_token() == Some(byte);
        self.position += usize::from(is_next);
        is_next
    }

    /// Steps over blanks, and gives the byte after them.
    fn next_token(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.position..];
        self.position += rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count();
        self.text.as_bytes().get(self.position).copied()
    }

    /// The problem of a text that is not JSON, at the path that was reached, in `serde_json`'s words.
    fn not_json(&self, path: &Path<'_>) -> Problem {
        let Err(error) = serde_json::from_str::<&RawValue>(self.text) else {
            return path.problem("not JSON");
        };
        let (line, column) = (error.line(), error.column());
        let said = error.to_string();
        let said = said.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&said);
        let place = match line {
            0 | 1 => format!("column {column}"),
            _ => format!("line {line}, column {column}"),
        };
        path.problem(format!("not JSON: {said} ({place} of the record)"))
    }
}

/// What a JSON string says. JSON's grammar allows half of a surrogate pair, which UTF-8 cannot hold, so that
/// is a problem.
fn unescaped<'a>(string: &'a str, path: &Path<'_>) -> Result<Cow<'a, str>, Problem> {
    if !string.contains('\\') {
        return Ok(Cow::Borrowed(&string[1..string.len() - 1]));
    }
    let text = serde_json::from_str(string).map_err(|_| path.problem("a string holds a lone surrogate"))?;
    Ok(Cow::Owned(text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::to_text;
    use super::*;

    fn problem(text: impl AsRef<[u8]>) -> String {
        Json::read(text.as_ref()).expect_err("a problem").to_string()
    }

    /// The text as it is written again.
    fn again(text: impl AsRef<[u8]>) -> String {
        to_text(&Json::read(text.as_ref()).unwrap())
    }

    #[test]
    fn only_the_white_space_between_tokens_is_taken_out() {
        let text = b" { \"a b\" : [ 1e2 ,\r\n\t\"x \\\" y\" , { } ] } \n";
        assert_eq!(again(text), r#"{"a b":[1e2,"x \" y",{}]}"#);
    }

    #[test]
    fn strings_have_one_form_however_they_were_escaped() {
        let told = r#"{"é/\u2028":["\" \\ \n\t\u0001\u007f \ud83d\ude00","plain"]}"#;
        let form = "{\"é/\u{2028}\":[\"\\\" \\\\ \\n\\t\\u0001\u{7f} 😀\",\"plain\"]}";
        assert_eq!(again(told), form);
        assert_eq!(again(form), form, "the form stays");
        let other =
            r#"{"\u00E9\/\u2028":["\u0022 \u005c \u000a\u0009\u0001\u007F \uD83D\uDE00","pl\u0061in"]}"#;
        assert_eq!(again(other), form);
    }

    #[test]
    fn a_lone_surrogate_is_refused_with_its_path() {
        assert_eq!(problem(r#"{"a":[1,{"b":"x\ud800y"}]}"#), "$.a[1].b: a string holds a lone surrogate");
        assert_eq!(problem(r#"{"a":"\udc00"}"#), "$.a: a string holds a lone surrogate");
        assert_eq!(problem(r#"{"a":"\ud800\ud800"}"#), "$.a: a string holds a lone surrogate");
        assert_eq!(problem(r#"{"a":{"\ud83dx":1}}"#), "$.a: a string holds a lone surrogate");
        assert_eq!(again(r#"{"a":"\ud83d\ude00 \\ud800 \u00e9"}"#), r#"{"a":"😀 \\ud800 é"}"#);
    }

    #[test]
    fn a_nesting_of_a_hundred_levels_passes_and_a_deeper_one_does_not() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(Json::read(nested(100).as_bytes()).is_ok());
        assert!(problem(nested(101)).ends_with("…: nested more than 100 levels deep"));
        assert!(problem(nested(1_000_000)).contains("nested more than 100 levels deep"));
        assert!(problem("[".repeat(1_000_000)).contains("nested more than 100 levels deep"));
    }

    #[test]
    fn a_text_that_is_not_json_is_refused_with_the_place() {
        assert_eq!(
            problem("{\"a\": 1,\n \"b\": [true, tru]}"),
            "$.b[1]: not JSON: expected ident (line 2, column 17 of the record)"
        );
        assert_eq!(problem(""), "$: not JSON: EOF while parsing a value (column 0 of the record)");
        assert_eq!(
            problem(r#"{"a":1"#),
            "$.a: not JSON: EOF while parsing an object (column 6 of the record)"
        );
        assert!(problem(r#"{"a":1} x"#).contains("trailing characters"));
        assert!(problem("{\"a\":\"line\nbreak\"}").starts_with("$.a: not JSON: control character"));
        assert!(problem(r#"{"a":01}"#).starts_with("$.a: not JSON"));
    }

    #[test]
    fn a_text_that_is_not_utf8_is_refused_with_the_place() {
        assert_eq!(problem(b"{\"a\":\"\xff\"}"), "$.a: not UTF-8 at byte 6 of the record");
        assert_eq!(problem(b"\xff\xfe{\0"), "$: not UTF-8 at byte 0 of the record");
    }

    #[test]
    fn a_repeated_name_stays_at_its_first_place_with_its_last_value() {
        assert_eq!(again(r#"{"a":1,"b":2,"\u0061":3}"#), r#"{"a":3,"b":2}"#);
    }

    #[test]
    fn names_are_read_whatever_they_hold() {
        let Json::Object(members) = Json::read_text(r#"{"":1,"\"":2,"é\n":3,"a\"":4}"#).unwrap() else {
            panic!("it is an object")
        };
        assert_eq!(members.keys().collect::<Vec<_>>(), ["", "\"", "é\n", "a\""]);
    }

    #[test]
    fn an_integer_has_64_bits_signed_or_unsigned() {
        let read = |text| {
            let value = Json::read_text(text).unwrap();
            value.as_integer(&Path::ROOT).map_err(|problem| problem.reason)
        };
        assert_eq!(read("-9223372036854775808"), Ok(i128::from(i64::MIN)));
        assert_eq!(read("18446744073709551615"), Ok(i128::from(u64::MAX)));
        assert_eq!(read("-0"), Ok(0));
        let past = "expected an integer, found a number of more than 64 bits";
        assert_eq!(read("18446744073709551616").unwrap_err(), past);
        assert_eq!(read("-9223372036854775809").unwrap_err(), past);
        let digits = "9".repeat(500);
        assert_eq!(read(&digits).unwrap_err(), past);
        let fraction = "expected an integer, found a number with a fraction or an exponent";
        assert_eq!(read("1.0").unwrap_err(), fraction);
        assert_eq!(read("1e3").unwrap_err(), fraction);
        assert_eq!(read("\"1\"").unwrap_err(), "expected an integer, found a string");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

        /// Texts that are nearly JSON: `serde_json` takes and refuses the same ones, and reads the same from
        /// what is written.
        #[test]
        fn it_takes_what_serde_json_takes(text in r#"[\[{] ?((-?[0-9]{0,2}|"[a\\"u0]{0,3}"|true|nul{0,2}|[\[\]{}])[,:]? ?){0,8}[\]}]"#) {
            let theirs = serde_json::from_str::<serde_json::Value>(&text);
            let ours = Json::read_text(&text);
            prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?} {:?}", ours, theirs);
            if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
                prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&to_text(&ours)).unwrap(), theirs);
            }
        }
    }
}
