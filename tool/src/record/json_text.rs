//! JSON as text: it is checked and brought to one form once, and then taken apart without being copied.
//!
//! Values are kept as text, so that numbers and unknown fields stay as they came, to the digit.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::problem::{Path, Problem, Step};

/// How deep a record may be nested. Many readers, `serde_json` among them, refuse 128 levels, and an answer adds a
/// few around the record.
const MAX_DEPTH: usize = 100;

/// How many steps of a problem's path are shown.
const MAX_SHOWN_STEPS: usize = 12;

/// The members of one JSON object. Each name is there once, in the order in which the names first came.
pub(super) struct Members<'a>(Vec<Member<'a>>);

/// One member of a JSON object; `key` and `value` are JSON text as it came.
pub(super) struct Member<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) key: Cow<'a, str>,
    pub(super) value: &'a str,
}

impl<'a> Members<'a> {
    pub(super) fn iter(&self) -> std::slice::Iter<'_, Member<'a>> {
        self.0.iter()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    pub(super) fn value(&self, name: &str) -> Option<&'a str> {
        self.iter().find(|member| member.name == name).map(|member| member.value)
    }

    /// The value of a member; `None` where it is missing or `null`.
    pub(super) fn given(&self, name: &str) -> Option<&'a str> {
        self.value(name).filter(|value| *value != "null")
    }

    pub(super) fn take(&mut self, name: &str) -> Option<&'a str> {
        let place = self.iter().position(|member| member.name == name)?;
        Some(self.0.remove(place).value)
    }

    /// Gives a member another value, or adds it. `key` is its name as a JSON string.
    pub(super) fn put(&mut self, key: &str, name: &str, value: &'a str) {
        match self.0.iter_mut().find(|member| member.name == name) {
            Some(member) => member.value = value,
            None => self.0.push(Member {
                name: Cow::Owned(name.to_owned()),
                key: Cow::Owned(key.to_owned()),
                value,
            }),
        }
    }

    /// Does the same for a name that needs no escaping in JSON.
    pub(super) fn set(&mut self, name: &'static str, value: &'a str) {
        match self.0.iter_mut().find(|member| member.name == name) {
            Some(member) => member.value = value,
            None => self.0.push(Member {
                name: Cow::Borrowed(name),
                key: Cow::Owned(format!("\"{name}\"")),
                value,
            }),
        }
    }
}

/// Checks that bytes are one JSON text that every reader can read, and brings it to one form: without white space
/// between the tokens, and with no escapes in strings but those that JSON needs.
///
/// Two texts that mean the same come out the same, unless they order members or write numbers differently.
pub(super) fn normalize(text: &[u8]) -> Result<String, Problem> {
    let text = utf8(text)?;
    // `serde_json` checks a raw value without recursion, so a deep nesting cannot overflow the stack.
    serde_json::from_str::<&RawValue>(text).map_err(|error| not_json(text, &error))?;
    in_one_form(text).map_err(|(offset, reason)| Problem { path: locate(text, offset), reason })
}

/// Takes a checked JSON object apart. Where a name is repeated, the last value counts, at the place of the first.
pub(super) fn members<'a>(value: &'a str, path: &Path<'_>) -> Result<Members<'a>, Problem> {
    let pairs = pairs(value, path)?;
    let mut places: HashMap<Cow<'a, str>, usize> = HashMap::with_capacity(pairs.len());
    let mut kept: Vec<Member<'a>> = Vec::with_capacity(pairs.len());
    for pair in pairs {
        match places.entry(pair.name.clone()) {
            Entry::Occupied(place) => kept[*place.get()].value = pair.value,
            Entry::Vacant(place) => {
                place.insert(kept.len());
                kept.push(pair);
            }
        }
    }
    Ok(Members(kept))
}

/// Takes a checked JSON object apart, and keeps all members of a repeated name.
pub(super) fn pairs<'a>(value: &'a str, path: &Path<'_>) -> Result<Vec<Member<'a>>, Problem> {
    if !value.starts_with('{') {
        return Err(unexpected("an object", value, path));
    }
    let Pairs(pairs) = serde_json::from_str(value).map_err(|error| path.problem(error.to_string()))?;
    Ok(pairs)
}

/// Takes a checked JSON list apart.
pub(super) fn elements<'a>(value: &'a str, path: &Path<'_>) -> Result<Vec<&'a str>, Problem> {
    if !value.starts_with('[') {
        return Err(unexpected("a list", value, path));
    }
    let elements: Vec<&RawValue> =
        serde_json::from_str(value).map_err(|error| path.problem(error.to_string()))?;
    Ok(elements.into_iter().map(RawValue::get).collect())
}

/// Reads what a JSON string says.
pub(super) fn string(value: &str, path: &Path<'_>) -> Result<String, Problem> {
    if !value.starts_with('"') {
        return Err(unexpected("a string", value, path));
    }
    serde_json::from_str(value).map_err(|error| path.problem(error.to_string()))
}

/// Reads a signed or unsigned 64-bit integer, into a type that holds both.
pub(super) fn integer(value: &str, path: &Path<'_>) -> Result<i128, Problem> {
    if !value.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return Err(unexpected("an integer", value, path));
    }
    if value.contains(['.', 'e', 'E']) {
        return Err(path.problem("expected an integer, found a number with a fraction or an exponent"));
    }
    value
        .parse()
        .ok()
        .filter(|number| (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(number))
        .ok_or_else(|| path.problem("expected an integer, found a number of more than 64 bits"))
}

/// The problem of a value that is of another kind than documented.
pub(super) fn unexpected(expected: &str, value: &str, path: &Path<'_>) -> Problem {
    path.problem(format!("expected {expected}, found {}", kind(value)))
}

/// Puts a comma where another member or element came before. It looks at the last byte: no value ends in an opening
/// bracket, so such a bracket is always that of the list or object that is being written.
pub(super) fn push_separator(out: &mut String) {
    if !matches!(out.as_bytes().last(), None | Some(b'{' | b'[')) {
        out.push(',');
    }
}

fn kind(value: &str) -> &'static str {
    match value.as_bytes().first() {
        None => "nothing",
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        Some(_) => "a number",
    }
}

/// A JSON object's members as they came.
struct Pairs<'a>(Vec<Member<'a>>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor)
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            let name = name(key.get()).map_err(serde::de::Error::custom)?;
            pairs.push(Member { name, key: Cow::Borrowed(key.get()), value: value.get() });
        }
        Ok(Pairs(pairs))
    }
}

fn name(key: &str) -> Result<Cow<'_, str>, serde_json::Error> {
    if key.contains('\\') {
        return serde_json::from_str(key).map(Cow::Owned);
    }
    Ok(Cow::Borrowed(key.trim_matches('"')))
}

fn utf8(text: &[u8]) -> Result<&str, Problem> {
    str::from_utf8(text).map_err(|error| {
        let (good, _) = text.split_at(error.valid_up_to());
        let path =
            str::from_utf8(good).map_or_else(|_| Path::ROOT.to_string(), |good| locate(good, good.len()));
        Problem { path, reason: format!("not UTF-8 at byte {} of the record", error.valid_up_to()) }
    })
}

fn not_json(text: &str, error: &serde_json::Error) -> Problem {
    let (line, column) = (error.line(), error.column());
    let said = error.to_string();
    let said = said.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&said);
    let place = match line {
        0 | 1 => format!("column {column}"),
        _ => format!("line {line}, column {column}"),
    };
    let lines_before = text.split_inclusive('\n').take(line.saturating_sub(1));
    let offset = lines_before.map(str::len).sum::<usize>() + column.saturating_sub(1);
    Problem { path: locate(text, offset), reason: format!("not JSON: {said} ({place} of the record)") }
}

/// Brings a text that is JSON to the form that [`normalize`] describes. A problem comes with its offset in the text.
fn in_one_form(text: &str) -> Result<String, (usize, String)> {
    let mut out = String::with_capacity(text.len());
    let (mut position, mut kept_from, mut depth) = (0, 0, 0);
    while let Some(byte) = text.as_bytes().get(position) {
        let token = position;
        position += 1;
        match byte {
            b'"' => {
                position = end_of_string(text, token)?;
                let string = &text[token..position];
                if string.contains('\\') {
                    out.push_str(&text[kept_from..token]);
                    out.push_str(&escaped_as_needed(string).map_err(|error| (token, error.to_string()))?);
                    kept_from = position;
                }
            }
            b' ' | b'\t' | b'\r' | b'\n' => {
                out.push_str(&text[kept_from..token]);
                kept_from = position;
            }
            b'{' | b'[' if depth == MAX_DEPTH => {
                return Err((token, format!("nested more than {MAX_DEPTH} levels deep")));
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
    }
    out.push_str(&text[kept_from..]);
    Ok(out)
}

/// Writes a JSON string anew, with only the escapes that JSON needs.
fn escaped_as_needed(string: &str) -> Result<String, serde_json::Error> {
    serde_json::to_string(&serde_json::from_str::<String>(string)?)
}

/// The offset behind the string that starts at `start`. JSON's grammar allows half of a surrogate pair, which UTF-8
/// cannot hold, so that is a problem.
fn end_of_string(text: &str, start: usize) -> Result<usize, (usize, String)> {
    let mut position = start + 1;
    loop {
        match text.as_bytes().get(position) {
            Some(b'"') | None => return Ok(position + 1),
            Some(b'\\') => {
                let length = escape_length(text, position);
                position += length.ok_or_else(|| (position, "a string holds a lone surrogate".to_owned()))?;
            }
            Some(_) => position += 1,
        }
    }
}

fn escape_length(text: &str, start: usize) -> Option<usize> {
    match escaped_unit(text, start) {
        None => Some(2),
        Some(0xD800..=0xDBFF) => matches!(escaped_unit(text, start + 6), Some(0xDC00..=0xDFFF)).then_some(12),
        Some(0xDC00..=0xDFFF) => None,
        Some(_) => Some(6),
    }
}

/// The UTF-16 unit that `\uXXXX` stands for, if that is what starts at `start`.
fn escaped_unit(text: &str, start: usize) -> Option<u16> {
    let digits = text.get(start..start + 6)?.strip_prefix("\\u")?;
    u16::from_str_radix(digits, 16).ok()
}

/// The path of the value at an offset in a text, which need be JSON only up to there.
fn locate(text: &str, offset: usize) -> String {
    let mut open: Vec<Option<Step<'_>>> = Vec::new();
    let mut position = 0;
    while position < offset.min(text.len()) {
        let token = position;
        position += 1;
        match text.as_bytes()[token] {
            b'"' => {
                position = end_of_string(text, token).map_or(offset, |end| end.min(text.len()));
                if let Some(step @ None) = open.last_mut()
                    && position <= offset
                {
                    *step = text.get(token + 1..position - 1).map(Step::Field);
                }
            }
            b'{' => open.push(None),
            b'[' => open.push(Some(Step::Index(0))),
            b'}' | b']' => drop(open.pop()),
            b',' => match open.last_mut() {
                Some(Some(Step::Index(index))) => *index += 1,
                Some(step) => *step = None,
                None => {}
            },
            _ => {}
        }
    }
    shown(&open)
}

fn shown(open: &[Option<Step<'_>>]) -> String {
    let mut path = Step::Root.to_string();
    path.extend(open.iter().take(MAX_SHOWN_STEPS).flatten().map(Step::to_string));
    if open.len() > MAX_SHOWN_STEPS {
        path.push('…');
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: impl AsRef<[u8]>) -> String {
        normalize(text.as_ref()).expect_err("a problem").to_string()
    }

    #[test]
    fn only_the_white_space_between_tokens_is_taken_out() {
        let text = b" { \"a b\" : [ 1e2 ,\r\n\t\"x \\\" y\" , { } ] } \n";
        assert_eq!(normalize(text).unwrap(), r#"{"a b":[1e2,"x \" y",{}]}"#);
    }

    #[test]
    fn strings_have_one_form_however_they_were_escaped() {
        let told = r#"{"é/\u2028":["\" \\ \n\t\u0001\u007f \ud83d\ude00","plain"]}"#;
        let form = "{\"é/\u{2028}\":[\"\\\" \\\\ \\n\\t\\u0001\u{7f} 😀\",\"plain\"]}";
        assert_eq!(normalize(told.as_bytes()).unwrap(), form);
        assert_eq!(normalize(form.as_bytes()).unwrap(), form, "the form stays");
        let other =
            r#"{"\u00E9\/\u2028":["\u0022 \u005c \u000a\u0009\u0001\u007F \uD83D\uDE00","pl\u0061in"]}"#;
        assert_eq!(normalize(other.as_bytes()).unwrap(), form);
    }

    #[test]
    fn a_lone_surrogate_is_refused_with_its_path() {
        assert_eq!(problem(r#"{"a":[1,{"b":"x\ud800y"}]}"#), "$.a[1].b: a string holds a lone surrogate");
        assert_eq!(problem(r#"{"a":"\udc00"}"#), "$.a: a string holds a lone surrogate");
        assert_eq!(problem(r#"{"a":"\ud800\ud800"}"#), "$.a: a string holds a lone surrogate");
        assert_eq!(problem(r#"{"a":{"\ud83dx":1}}"#), "$.a: a string holds a lone surrogate");
        let pair = r#"{"a":"\ud83d\ude00 \\ud800 \u00e9"}"#;
        assert_eq!(normalize(pair.as_bytes()).unwrap(), r#"{"a":"😀 \\ud800 é"}"#);
    }

    #[test]
    fn a_nesting_of_a_hundred_levels_passes_and_a_deeper_one_does_not() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(normalize(nested(100).as_bytes()).is_ok());
        assert!(problem(nested(101)).ends_with("…: nested more than 100 levels deep"));
        assert!(problem(nested(1_000_000)).contains("nested more than 100 levels deep"));
        assert!(problem("[".repeat(1_000_000)).contains("not JSON"));
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
        let members = members(r#"{"a":1,"b":2,"\u0061":3}"#, &Path::ROOT).unwrap();
        let seen: Vec<_> = members.iter().map(|member| (member.key.as_ref(), member.value)).collect();
        assert_eq!(seen, [("\"a\"", "3"), ("\"b\"", "2")]);
    }

    #[test]
    fn names_are_read_whatever_they_hold() {
        let members = members(r#"{"":1,"\"":2,"é\n":3,"a\"":4}"#, &Path::ROOT).unwrap();
        let names: Vec<_> = members.iter().map(|member| member.name.as_ref()).collect();
        assert_eq!(names, ["", "\"", "é\n", "a\""]);
    }

    #[test]
    fn an_integer_has_64_bits_signed_or_unsigned() {
        let read = |text| integer(text, &Path::ROOT).map_err(|problem| problem.reason);
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
}
