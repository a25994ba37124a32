//! A reader of JSON for answers that are megabytes of base64: a text's end is searched for, and its bytes are looked at
//! no further until somebody wants them.
//!
//! It reads what RFC 8259 allows, and is lenient with what is passed over: there, nesting is counted and nothing else.

use std::borrow::Cow;

/// Reads one value after another, front to back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    json: &'a [u8],
    at: usize,
}

/// Where something is not what it should be; not what stands there, which may be a record's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("byte {at} is not as it should be: {expected} is expected there")]
pub struct Unreadable {
    at: usize,
    expected: &'static str,
}

type Result<T> = std::result::Result<T, Unreadable>;

impl<'a> Reader<'a> {
    pub(super) fn new(json: &'a [u8]) -> Self {
        Self { json, at: 0 }
    }

    /// Reads an object; what is not read of a member's value by `member` is to be passed over there.
    ///
    /// Names are bytes: they are compared with names that are known, hundreds of times an answer.
    pub(super) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Cow<'a, [u8]>) -> Result<()>,
    ) -> Result<()> {
        self.take(b'{', "an object")?;
        if self.took(b'}') {
            return Ok(());
        }
        loop {
            let name = self.text_bytes()?;
            self.take(b':', "a colon")?;
            member(self, name)?;
            if !self.took(b',') {
                return self.take(b'}', "a comma or the end of an object");
            }
        }
    }

    /// Reads an array.
    pub(super) fn array(&mut self, mut element: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        self.take(b'[', "an array")?;
        if self.took(b']') {
            return Ok(());
        }
        loop {
            element(self)?;
            if !self.took(b',') {
                return self.take(b']', "a comma or the end of an array");
            }
        }
    }

    /// Reads a text.
    pub(super) fn text(&mut self) -> Result<Cow<'a, str>> {
        let start = self.at;
        match self.quoted()? {
            Quoted::Plain(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(Cow::Borrowed(text)),
                Err(_) => Err(Unreadable { at: start, expected: "UTF-8" }),
            },
            Quoted::Escaped(literal) => match serde_json::from_slice(literal) {
                Ok(text) => Ok(Cow::Owned(text)),
                Err(_) => Err(Unreadable { at: start, expected: "a text" }),
            },
        }
    }

    /// Reads a text of which nobody needs to know yet whether it is UTF-8.
    pub(super) fn text_bytes(&mut self) -> Result<Cow<'a, [u8]>> {
        let start = self.at;
        match self.quoted()? {
            Quoted::Plain(bytes) => Ok(Cow::Borrowed(bytes)),
            Quoted::Escaped(literal) => match serde_json::from_slice::<String>(literal) {
                Ok(text) => Ok(Cow::Owned(text.into_bytes())),
                Err(_) => Err(Unreadable { at: start, expected: "a text" }),
            },
        }
    }

    /// Reads a number.
    pub(super) fn number(&mut self) -> Result<f64> {
        self.pass_space();
        let rest = &self.json[self.at..];
        let is_part = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
        let length = rest.iter().take_while(|byte| is_part(byte)).count();
        let number = std::str::from_utf8(&rest[..length]).ok().and_then(|text| text.parse().ok());
        let number = number.ok_or(Unreadable { at: self.at, expected: "a number" })?;
        self.at += length;
        Ok(number)
    }

    /// Whether the value is null, which is then passed over.
    pub(super) fn took_null(&mut self) -> bool {
        self.pass_space();
        let is_null = self.json[self.at..].starts_with(b"null");
        if is_null {
            self.at += 4;
        }
        is_null
    }

    /// Passes over a value, whatever it is.
    pub(super) fn pass(&mut self) -> Result<()> {
        let mut depth = 0_usize;
        loop {
            self.pass_space();
            match self.json.get(self.at) {
                Some(b'"') => {
                    self.quoted()?;
                }
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.at += 1;
                    continue;
                }
                Some(b'}' | b']') if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                Some(b',' | b':') if depth > 0 => {
                    self.at += 1;
                    continue;
                }
                Some(byte) if byte.is_ascii_alphanumeric() || *byte == b'-' => {
                    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
                    self.at += self.json[self.at..].iter().take_while(is_part).count();
                }
                _ => return Err(Unreadable { at: self.at, expected: "a value" }),
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    /// What to say where something else is expected here.
    pub(super) fn unreadable(&self, expected: &'static str) -> Unreadable {
        Unreadable { at: self.at, expected }
    }

    /// Makes sure that nothing follows.
    pub(super) fn end(&mut self) -> Result<()> {
        self.pass_space();
        if self.at == self.json.len() {
            return Ok(());
        }
        Err(Unreadable { at: self.at, expected: "the end" })
    }

    /// A text as it stands there.
    fn quoted(&mut self) -> Result<Quoted<'a>> {
        self.take(b'"', "a text")?;
        let start = self.at;
        let mut is_escaped = false;
        loop {
            let found = memchr::memchr2(b'"', b'\\', &self.json[self.at..]);
            let Some(place) = found else {
                return Err(Unreadable { at: start, expected: "a text that ends" });
            };
            let end = self.at + place;
            if self.json[end] == b'"' {
                self.at = end + 1;
                return Ok(if is_escaped {
                    Quoted::Escaped(&self.json[start - 1..=end])
                } else {
                    Quoted::Plain(&self.json[start..end])
                });
            }
            is_escaped = true;
            // The escape's second byte may be a quotation mark; it may not be the text's end.
            self.at = (end + 2).min(self.json.len());
        }
    }

    fn take(&mut self, byte: u8, expected: &'static str) -> Result<()> {
        if self.took(byte) { Ok(()) } else { Err(Unreadable { at: self.at, expected }) }
    }

    fn took(&mut self, byte: u8) -> bool {
        self.pass_space();
        let is_there = self.json.get(self.at) == Some(&byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn pass_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.json.get(self.at) {
            self.at += 1;
        }
    }
}

enum Quoted<'a> {
    /// What stands between the quotation marks, without an escape.
    Plain(&'a [u8]),
    /// The text with its quotation marks and escapes.
    Escaped(&'a [u8]),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// A value read with every function of the reader's.
    fn value(reader: &mut Reader) -> Result<Value> {
        reader.pass_space();
        match reader.json.get(reader.at) {
            Some(b'{') => {
                let mut map = serde_json::Map::new();
                reader.object(|reader, name| {
                    map.insert(String::from_utf8(name.into_owned()).unwrap(), value(reader)?);
                    Ok(())
                })?;
                Ok(Value::Object(map))
            }
            Some(b'[') => {
                let mut list = Vec::new();
                reader.array(|reader| {
                    list.push(value(reader)?);
                    Ok(())
                })?;
                Ok(Value::Array(list))
            }
            Some(b'"') => Ok(Value::String(reader.text()?.into_owned())),
            _ if reader.took_null() => Ok(Value::Null),
            _ => Ok(json!(reader.number()?)),
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<String>().prop_map(Value::String),
            (-1e6..1e6_f64).prop_map(|number| json!(number)),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
                prop::collection::hash_map(any::<String>(), inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(written in any_value(), is_pretty: bool) {
            let json = if is_pretty { serde_json::to_string_pretty(&written) } else { serde_json::to_string(&written) };
            let json = json.unwrap();
            let mut reader = Reader::new(json.as_bytes());
            prop_assert_eq!(value(&mut reader), Ok(written));
            prop_assert_eq!(reader.end(), Ok(()));
            let mut reader = Reader::new(json.as_bytes());
            prop_assert_eq!(reader.pass(), Ok(()));
            prop_assert_eq!(reader.end(), Ok(()), "what is passed over is passed over whole");
        }

        #[test]
        fn what_is_cut_off_is_an_error(written in any_value(), place: prop::sample::Index) {
            let json = json!([written]).to_string();
            let cut = &json.as_bytes()[..place.index(json.len())];
            prop_assert!(value(&mut Reader::new(cut)).is_err());
            prop_assert!(Reader::new(cut).pass().is_err());
        }

        #[test]
        fn any_bytes_are_read_or_an_error(bytes: Vec<u8>, around: String) {
            let _ = value(&mut Reader::new(&bytes));
            let _ = Reader::new(&bytes).pass();
            let json = [b"\"", around.as_bytes(), &bytes, b"\""].concat();
            let _ = Reader::new(&json).text_bytes();
        }

        #[test]
        fn a_text_is_read_as_the_bytes_that_it_is(text: String) {
            // A slash may be written as an escape.
            for json in [json!(text).to_string(), json!(text).to_string().replace('/', "\\/")] {
                let read = Reader::new(json.as_bytes()).text_bytes().unwrap().into_owned();
                prop_assert_eq!(read, text.as_bytes());
            }
        }
    }

    #[test]
    fn an_error_says_where_and_not_what() {
        let error = Reader::new(b"{\"secret\"}").object(|reader, _| reader.pass()).unwrap_err();
        assert_eq!(error.to_string(), "byte 9 is not as it should be: a colon is expected there");
    }
}
