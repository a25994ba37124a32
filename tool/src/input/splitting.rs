//! Splits an input into its records: one on each line, or one value after another, in arrays or without.
//!
//! The two differ only where a record is broken. Where every record so far was on a line of its own, reading
//! goes on with the next line. Anywhere else it cannot be told where the next record begins, so that is where
//! it ends.
//!
//! `serde_json` finds where a value ends. Stepping from one element of an array to the next, without holding
//! the whole array, is written here.

use std::io::{self, Read};

use memchr::{memchr, memchr_iter};
use serde::Deserialize as _;
use serde::de::IgnoredAny;
use serde_json::Deserializer;

use crate::json::Json;

const MAX_RECORD_BYTES: usize = 64 << 20;
const READ_AT_ONCE_BYTES: usize = 256 << 10;

const BYTE_ORDER_MARK: &[u8] = &[0xEF, 0xBB, 0xBF];

/// A record of an input, or what stands in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRecord {
    /// Where it begins, or where one was expected: a line, and the index in an array; or a byte.
    pub place: String,
    /// Its text as it came, without the blanks around it; or why it could not be read, in one line. The text
    /// is usually a JSON object. Anything else that stands in a record's place is passed on too, and refused
    /// later.
    pub text: Result<Vec<u8>, String>,
}

/// The records of one input, one at a time and never the whole input.
pub struct RecordReader<R> {
    input: R,
    limit: usize,
    read_at_once: usize,
    /// What was read; what comes before `start` has been dealt with.
    held: Vec<u8>,
    start: usize,
    /// Why reading failed, kept until what was read before is dealt with.
    failure: Option<io::Error>,
    line: u64,
    /// The line on which the record begins that is read.
    first_line: u64,
    layout: Layout,
    ended: bool,
}

/// What the input has turned out to be so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// No record has come yet.
    Start,
    /// Every record was on a line of its own. A `[` at the top begins no array here: it may be one broken
    /// line, and as an array it would swallow the lines after it.
    Lines,
    /// One value after another.
    Values,
    /// Inside an array. The element of this index is read, or was read last; none was read yet where there
    /// is no index.
    Array { index: Option<u64> },
}

impl<R: Read> RecordReader<R> {
    /// Reads records of up to 64 MiB each. The input need not be buffered.
    pub fn new(input: R) -> Self {
        Self {
            input,
            limit: MAX_RECORD_BYTES,
            read_at_once: READ_AT_ONCE_BYTES,
            held: Vec::new(),
            start: 0,
            failure: None,
            line: 1,
            first_line: 1,
            layout: Layout::Start,
            ended: false,
        }
    }

    fn read_record(&mut self) -> Result<Option<Vec<u8>>, String> {
        if self.line == 1 && self.layout == Layout::Start {
            self.skip_byte_order_mark()?;
        }
        loop {
            let first = self.skip_blanks()?;
            match (self.layout, first) {
                (Layout::Array { index }, first) => {
                    self.layout = Layout::Array { index: Some(index.map_or(0, |last| last + 1)) };
                    if self.step_to_element(index.is_some(), first)? {
                        return self.value().map(Some);
                    }
                    self.layout = Layout::Values;
                }
                (_, None) => return Ok(None),
                (Layout::Start | Layout::Values, Some(b'[')) => {
                    self.advance(1);
                    self.layout = Layout::Array { index: None };
                }
                (_, Some(b'{')) => return self.value().map(Some),
                // Nothing but the end of the line tells where something else ends.
                (_, Some(_)) => return self.line().map(Some),
            }
        }
    }

    /// Steps over the comma before an array's next element, or over the array's end, and tells whether there
    /// is an element. A comma before the end is forgiven.
    fn step_to_element(&mut self, follows_another: bool, first: Option<u8>) -> Result<bool, String> {
        let first = match first {
            Some(b',') if follows_another => {
                self.advance(1);
                self.skip_blanks()?
            }
            Some(b']') | None => first,
            Some(_) if follows_another => return Err(self.broken("expected `,` or `]`")),
            Some(_) => first,
        };
        match first {
            None => Err(self.broken("the input ends before the array is closed")),
            Some(b']') => {
                self.advance(1);
                Ok(false)
            }
            Some(b',') => Err(self.broken("expected a record, found `,`")),
            Some(_) => Ok(true),
        }
    }

    /// Takes the value that begins here, however many lines it has.
    fn value(&mut self) -> Result<Vec<u8>, String> {
        let value = self.peek_value()?;
        if let Value::Whole(end) = value
            && end <= self.limit
        {
            let is_on_one_line = memchr(b'\n', &self.text()[..end]).is_none();
            self.layout = match self.layout {
                Layout::Start if is_on_one_line => Layout::Lines,
                Layout::Start | Layout::Lines if !is_on_one_line => Layout::Values,
                other => other,
            };
            return Ok(self.take(end));
        }
        if value != Value::NotJson && self.text().len() > self.limit {
            let reason = self.overlong();
            if !self.skip_value()? {
                if self.layout != Layout::Lines {
                    return Err(self.broken(&reason));
                }
                self.skip_line()?;
            }
            return Err(reason);
        }
        let unfinished = "the record that begins here is not finished".to_owned();
        if matches!(self.layout, Layout::Start | Layout::Lines) {
            // With its end, since no string goes on after it.
            let line = self.end_of_line()?.saturating_add(1).min(self.text().len());
            if Value::at_start_of(&self.text()[..line]) == Value::NotJson {
                return self.line();
            }
            if self.layout == Layout::Lines {
                self.advance(line);
                return Err(unfinished);
            }
        }
        if value == Value::NotJson {
            return Err(self.broken(&self.reason_not_json()));
        }
        self.ended = true;
        Err(unfinished)
    }

    fn line(&mut self) -> Result<Vec<u8>, String> {
        let end = self.end_of_line()?;
        if end > self.limit {
            self.skip_line()?;
            return Err(self.overlong());
        }
        Ok(self.take(end))
    }

    /// Finds out where the value that begins here ends, and reads as much of the input as that takes.
    fn peek_value(&mut self) -> Result<Value, String> {
        loop {
            let value = Value::at_start_of(self.text());
            let is_settled = match value {
                // A number at the end of the text may go on in the bytes that are not read yet.
                Value::Whole(end) => end < self.text().len() || !self.text()[end - 1].is_ascii_digit(),
                Value::NotJson => true,
                Value::Unfinished => false,
            };
            if is_settled || self.text().len() > self.limit || !self.read_more()? {
                return Ok(value);
            }
        }
    }

    /// The length of the rest of the line, or of what is held where the line is too long to be held.
    fn end_of_line(&mut self) -> Result<usize, String> {
        loop {
            if let Some(end) = memchr(b'\n', self.text()) {
                return Ok(end);
            }
            if self.text().len() > self.limit || !self.read_more()? {
                return Ok(self.text().len());
            }
        }
    }

    /// Steps over a value that is too long to be held; `false` where it is not JSON, or not finished.
    fn skip_value(&mut self) -> Result<bool, String> {
        match IgnoredAny::deserialize(&mut Deserializer::from_reader(Rest(self))) {
            Ok(_) => Ok(true),
            Err(error) if error.is_io() => Err(self.failed(&error.into())),
            Err(_) => Ok(false),
        }
    }

    fn skip_line(&mut self) -> Result<(), String> {
        loop {
            if let Some(end) = memchr(b'\n', self.text()) {
                self.advance(end);
                return Ok(());
            }
            self.advance(self.text().len());
            if !self.read_more()? {
                return Ok(());
            }
        }
    }

    /// Steps over blanks, and gives the byte after them without stepping over it.
    fn skip_blanks(&mut self) -> Result<Option<u8>, String> {
        loop {
            self.first_line = self.line;
            match self.text().first().copied() {
                Some(b' ' | b'\t' | b'\r' | b'\n') => self.advance(1),
                Some(byte) => return Ok(Some(byte)),
                None if self.read_more()? => {}
                None => return Ok(None),
            }
        }
    }

    fn skip_byte_order_mark(&mut self) -> Result<(), String> {
        while self.text().len() < BYTE_ORDER_MARK.len() && self.read_more()? {}
        if self.text().starts_with(BYTE_ORDER_MARK) {
            self.advance(BYTE_ORDER_MARK.len());
        }
        Ok(())
    }

    fn text(&self) -> &[u8] {
        &self.held[self.start..]
    }

    fn advance(&mut self, length: usize) {
        self.line += memchr_iter(b'\n', &self.text()[..length]).count() as u64;
        self.start += length;
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let text = self.text()[..length].trim_ascii_end().to_vec();
        self.advance(length);
        text
    }

    fn read_more(&mut self) -> Result<bool, String> {
        self.fill().map_err(|error| self.failed(&error))
    }

    /// Reads at least as many bytes as are held already. A value that is not finished is looked at from its
    /// start after every read. Since the text at least doubles from one look to the next, all looks together
    /// cost about twice the last one.
    fn fill(&mut self) -> io::Result<bool> {
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        self.held.drain(..self.start);
        self.start = 0;
        let before = self.held.len();
        // As much again as is held, so that a long record is looked at a few times only. No more than has
        // come, since a pipe may wait for its writer.
        let enough = before.max(1);
        self.held.resize(before + enough.max(self.read_at_once), 0);
        let mut filled = before;
        let read = loop {
            match self.input.read(&mut self.held[filled..]) {
                Ok(0) => break Ok(()),
                Ok(bytes) => filled += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
            if filled - before >= enough {
                break Ok(());
            }
        };
        self.held.truncate(filled);
        let is_more = filled > before;
        match read {
            Err(error) if is_more => self.failure = Some(error),
            Err(error) => return Err(error),
            Ok(()) => {}
        }
        Ok(is_more)
    }

    fn place(&self) -> String {
        match self.layout {
            Layout::Array { index: Some(index) } => format!("line {}, element {index}", self.first_line),
            _ => format!("line {}", self.first_line),
        }
    }

    fn overlong(&self) -> String {
        format!("the record that begins here is longer than {} bytes", self.limit)
    }

    /// Why an input cannot be read in which the next record cannot be found; nothing more is read.
    fn broken(&mut self, reason: &str) -> String {
        self.ended = true;
        let whole = if matches!(self.layout, Layout::Array { .. }) { "array" } else { "input" };
        format!("{reason}; the rest of the {whole} could not be read")
    }

    /// Why an input cannot be read that fails; nothing more is read.
    fn failed(&mut self, error: &io::Error) -> String {
        self.ended = true;
        format!("the input could not be read any further: {error}")
    }

    /// Why the text that begins here is not JSON, and where in it.
    fn reason_not_json(&self) -> String {
        // What is held may end inside a character, or spoil later than at the place that is looked for.
        let good = self.text().utf8_chunks().next().map_or("", |chunk| chunk.valid());
        let is_broken = Value::at_start_of(good.as_bytes()) == Value::NotJson;
        let problem = Json::read(if is_broken { good.as_bytes() } else { self.text() }).err();
        problem.map_or_else(|| "it is not JSON".to_owned(), |problem| problem.to_string())
    }
}

impl<R: Read> Iterator for RecordReader<R> {
    type Item = RawRecord;

    fn next(&mut self) -> Option<RawRecord> {
        if self.ended {
            return None;
        }
        let text = self.read_record().transpose()?;
        Some(RawRecord { place: self.place(), text })
    }
}

/// Gives the rest of the input to `serde_json` byte by byte, so that it takes no byte beyond the value that
/// it reads.
struct Rest<'a, R>(&'a mut RecordReader<R>);

impl<R: Read> Read for Rest<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.text().is_empty() && !self.0.fill()? {
            return Ok(0);
        }
        buffer[0] = self.0.text()[0];
        self.0.advance(1);
        Ok(1)
    }
}

/// The JSON value at the beginning of a text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Value {
    /// It ends here.
    Whole(usize),
    /// The text ends inside it.
    Unfinished,
    NotJson,
}

impl Value {
    fn at_start_of(text: &[u8]) -> Self {
        let mut values = Deserializer::from_slice(text).into_iter::<IgnoredAny>();
        match values.next() {
            Some(Ok(_)) => Self::Whole(values.byte_offset()),
            Some(Err(error)) if !error.is_eof() => Self::NotJson,
            Some(Err(_)) | None => Self::Unfinished,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each step of the iteration gives, as one line.
    fn read(input: impl AsRef<[u8]>) -> Vec<String> {
        let input = input.as_ref();
        let read = |read_at_once| {
            let reader = RecordReader { limit: 100, read_at_once, ..RecordReader::new(input) };
            reader.map(shown).collect::<Vec<_>>()
        };
        let whole = read(READ_AT_ONCE_BYTES);
        for read_at_once in [1, 2, 3, 7] {
            assert_eq!(read(read_at_once), whole, "{read_at_once} bytes at once");
        }
        whole
    }

    fn shown(RawRecord { place, text }: RawRecord) -> String {
        match text {
            Ok(text) => format!("{place}: {}", String::from_utf8_lossy(&text)),
            Err(reason) => format!("{place}: {reason}"),
        }
    }

    #[test]
    fn an_empty_input_holds_nothing() {
        assert!(read("").is_empty());
        assert!(read(" \r\n\t\n").is_empty());
        assert!(read("\u{feff}").is_empty());
        assert!(read("[]").is_empty());
        assert!(read(" [ \n ] \n").is_empty());
    }

    #[test]
    fn one_object_may_span_lines() {
        let pretty = "{\n  \"a\": [\n    {\"b\": \"}{\\\"\"}\n  ]\n}";
        assert_eq!(read(format!("\u{feff}\n{pretty}\n")), [format!("line 2: {pretty}")]);
    }

    #[test]
    fn one_object_may_be_written_without_indentation() {
        let flush = "{\n\"a\": [\n{\n\"b\": 1\n},\n{\"c\": 2},\n{}\n],\n\"d\":\n{}\n}";
        assert_eq!(read(flush), [format!("line 1: {flush}")]);
    }

    #[test]
    fn objects_follow_each_other_on_lines_or_without() {
        assert_eq!(
            read("{\"a\":1}\r\n\n{\"b\":2} {\"c\":3}{\"d\":4}\n"),
            ["line 1: {\"a\":1}", "line 3: {\"b\":2}", "line 3: {\"c\":3}", "line 3: {\"d\":4}"]
        );
    }

    #[test]
    fn pretty_objects_follow_each_other() {
        assert_eq!(
            read("{\n \"a\": 1\n}\n{\n \"b\": 2\n}\n"),
            ["line 1: {\n \"a\": 1\n}", "line 4: {\n \"b\": 2\n}"]
        );
    }

    #[test]
    fn an_array_gives_its_elements() {
        assert_eq!(
            read("[{\"a\":\"]\"}\n,\n {\"b\":[1,\n2]}, 3 , null,\"x,]\\\"\",[4]\n]\n"),
            [
                "line 1, element 0: {\"a\":\"]\"}",
                "line 3, element 1: {\"b\":[1,\n2]}",
                "line 4, element 2: 3",
                "line 4, element 3: null",
                "line 4, element 4: \"x,]\\\"\"",
                "line 4, element 5: [4]",
            ]
        );
    }

    #[test]
    fn arrays_follow_each_other_as_pages_of_an_api_do() {
        assert_eq!(
            read("[{}]\n[{},{}][]"),
            ["line 1, element 0: {}", "line 2, element 0: {}", "line 2, element 1: {}"]
        );
        let many = "[]".repeat(100_000);
        assert!(RecordReader::new(many.as_bytes()).next().is_none());
    }

    #[test]
    fn a_comma_before_the_end_of_an_array_is_forgiven() {
        assert_eq!(read("[{},]"), ["line 1, element 0: {}"]);
    }

    #[test]
    fn an_array_that_is_cut_short_says_so() {
        let end = "the input ends before the array is closed; the rest of the array could not be read";
        assert_eq!(read("["), [format!("line 1, element 0: {end}")]);
        assert_eq!(read("[{}"), ["line 1, element 0: {}".to_owned(), format!("line 1, element 1: {end}")]);
        assert_eq!(read("[{},\n"), ["line 1, element 0: {}".to_owned(), format!("line 2, element 1: {end}")]);
        assert_eq!(
            read("[{},\n{\"a\":[\n"),
            ["line 1, element 0: {}", "line 2, element 1: the record that begins here is not finished"]
        );
    }

    #[test]
    fn an_array_is_not_read_past_a_broken_element() {
        assert_eq!(
            read("[{}},{}]"),
            [
                "line 1, element 0: {}",
                "line 1, element 1: expected `,` or `]`; the rest of the array could not be read"
            ]
        );
        for (broken, reason) in [
            ("{\"a\":[}", "$.a[0]: not JSON: expected value (column 7 of the record)"),
            ("nul", "$: not JSON: expected ident (column 4 of the record)"),
            ("{'a':1}", "$: not JSON: key must be a string (column 2 of the record)"),
            ("1x", "$: not JSON: trailing characters (column 2 of the record)"),
        ] {
            assert_eq!(
                read(format!("[{{}},\n{broken},{{}}]")),
                [
                    "line 1, element 0: {}".to_owned(),
                    format!("line 2, element 1: {reason}; the rest of the array could not be read")
                ]
            );
        }
        assert_eq!(
            read("[,{}]"),
            ["line 1, element 0: expected a record, found `,`; the rest of the array could not be read"]
        );
    }

    #[test]
    fn text_that_is_not_an_object_is_passed_on_line_by_line() {
        assert_eq!(
            read("{}\nnull\n[1] {\n 12 \"x\" \n{}\n}\n{}"),
            [
                "line 1: {}",
                "line 2: null",
                "line 3: [1] {",
                "line 4: 12 \"x\"",
                "line 5: {}",
                "line 6: }",
                "line 7: {}"
            ]
        );
    }

    #[test]
    fn a_broken_line_does_not_swallow_the_next() {
        for broken in [r#"{"a":"#, r#"{"a":{"b":1},"#, "{", r#"{"a":[{"b":"#] {
            assert_eq!(
                read(format!("{{}}\n{broken}\n{{\"b\":1}}\n{{\"c\":2}}\n")),
                [
                    "line 1: {}",
                    "line 2: the record that begins here is not finished",
                    "line 3: {\"b\":1}",
                    "line 4: {\"c\":2}"
                ],
                "{broken}"
            );
        }
    }

    #[test]
    fn a_line_that_is_not_json_is_passed_on_and_does_not_swallow_the_next() {
        for broken in [r#"{"a":[1}"#, r#"{"a":"x"#, r#"{"a":"x\"#, r#"{"a":tru}"#, "{'a':1}", r#"{"a" 1,"#] {
            for indentation in ["", "  "] {
                assert_eq!(
                    read(format!("{{}}\n{indentation}{broken}\n{indentation}{{\"b\":1}}\n")),
                    ["line 1: {}".to_owned(), format!("line 2: {broken}"), "line 3: {\"b\":1}".to_owned()],
                );
            }
        }
    }

    #[test]
    fn a_broken_line_does_not_swallow_the_next_when_that_is_broken_too() {
        assert_eq!(
            read("{}\n{\"a\":\n{\"b\":\n{}\n{\"c\":"),
            [
                "line 1: {}",
                "line 2: the record that begins here is not finished",
                "line 3: the record that begins here is not finished",
                "line 4: {}",
                "line 5: the record that begins here is not finished"
            ]
        );
    }

    #[test]
    fn a_first_line_that_is_not_json_does_not_swallow_the_next() {
        for broken in [r#"{"a":NaN}"#, "Warning: {", r#""cut":1}"#] {
            assert_eq!(
                read(format!("{broken}\n{{}}\n{{\"a\":\n{{}}")),
                [
                    format!("line 1: {broken}"),
                    "line 2: {}".to_owned(),
                    "line 3: the record that begins here is not finished".to_owned(),
                    "line 4: {}".to_owned()
                ]
            );
        }
    }

    #[test]
    fn an_object_on_several_lines_may_come_after_lines() {
        assert_eq!(read("{}\n{\n \"a\": 1\n}\n{}"), ["line 1: {}", "line 2: {\n \"a\": 1\n}", "line 5: {}"]);
    }

    #[test]
    fn reading_ends_where_an_object_on_several_lines_is_broken() {
        let whole = "{\n \"a\": [\n{}\n]\n}";
        let unread = "; the rest of the input could not be read";
        for before in ["", "[]\n", whole] {
            for (broken, reason) in [
                (
                    "{\n\"a\": tru,\n\"b\": [\n{\"id\": 1}\n]\n}\n{}",
                    "$.a: not JSON: expected ident (line 2, column 9 of the record)",
                ),
                (
                    "{\n\"a\": {\n\"b\": 1\n{\"c\":{}}\n",
                    "$.a.b: not JSON: expected `,` or `}` (line 4, column 1 of the record)",
                ),
                (
                    "{\n\"a\":\"x\n{}\n",
                    "$.a: not JSON: control character (\\u0000-\\u001F) found while parsing a string (line 2, column 6 of the record)",
                ),
            ] {
                let steps = read(format!("{before}{broken}"));
                let line = before.matches('\n').count() + 1;
                let expected = format!("line {line}: {reason}{unread}");
                assert_eq!(steps.last(), Some(&expected), "{before}");
                assert_eq!(steps.len(), 1 + usize::from(before == whole), "{steps:?}");
            }
        }
        let cut = &whole[..whole.len() - 2];
        assert_eq!(read(cut), ["line 1: the record that begins here is not finished"]);
    }

    #[test]
    fn an_object_that_is_not_utf8_is_named_by_its_place_and_so_is_what_is_not_json_before_that() {
        let read = |text: &[u8]| RecordReader::new(text).map(shown).collect::<Vec<_>>().join("|");
        let unread = "; the rest of the input could not be read";
        let not_json = "line 1: $.a: not JSON: expected ident (line 2, column 9 of the record)";
        assert_eq!(read(b"{\n\"a\": tru,\n\"b\":\"\xff\"}"), format!("{not_json}{unread}"));
        assert_eq!(
            read(b"{\n\"a\":\"\xff\",\n\"b\":tru}"),
            format!("line 1: $.a: not UTF-8 at byte 7 of the record{unread}")
        );
    }

    #[test]
    fn a_record_past_the_limit_is_skipped_and_reading_goes_on() {
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(100));
        let refused = "the record that begins here is longer than 100 bytes";
        assert_eq!(read(format!("{long}\n{{}}")), [format!("line 1: {refused}"), "line 2: {}".to_owned()]);
        assert_eq!(
            read(format!("[{long},\n{{}}]")),
            [format!("line 1, element 0: {refused}"), "line 2, element 1: {}".to_owned()]
        );
        let garbage = "x".repeat(101);
        assert_eq!(read(format!("{garbage}\n{{}}")), [format!("line 1: {refused}"), "line 2: {}".to_owned()]);
    }

    #[test]
    fn an_input_that_fails_says_so_once() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("disk on fire"))
            }
        }
        for begun in ["", "{}\n{\"a\":", "[{}", "nul"] {
            let read: Vec<_> = RecordReader::new(begun.as_bytes().chain(Failing)).map(shown).collect();
            let failed = "the input could not be read any further: disk on fire";
            assert!(read.last().is_some_and(|last| last.ends_with(failed)), "{begun}: {read:?}");
            assert_eq!(read.len(), 1 + begun.matches("{}").count(), "{begun}: {read:?}");
        }
    }

    #[test]
    fn an_interrupted_read_is_repeated() {
        struct Interrupted(bool);
        impl Read for Interrupted {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0 = !self.0;
                if self.0 {
                    Err(io::ErrorKind::Interrupted.into())
                } else {
                    b"{}".as_slice().read(&mut buffer[..1])
                }
            }
        }
        assert_eq!(
            RecordReader::new(Interrupted(false).take(1)).map(shown).collect::<Vec<_>>(),
            ["line 1: the record that begins here is not finished"]
        );
    }

    #[test]
    fn no_input_makes_the_reader_panic_or_go_on_forever() {
        let inputs =
            ["[{\"a\":\"\\\"\"},2,[\"x\"]]", "{\"a\":[{}]}\n{\n\"b\":\n{}}\n}{{", "\u{feff}]\n\"[{\\\n,"];
        for input in inputs {
            for start in 0..input.len() {
                for end in start..=input.len() {
                    assert!(read(&input.as_bytes()[start..end]).len() <= input.len());
                }
            }
        }
    }
}
