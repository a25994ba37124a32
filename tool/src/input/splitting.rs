//! Splits an input into its records: one JSON object, one top-level array, or one object per line.
//!
//! `serde_json` finds where a value ends. Two things it cannot do are written here: stepping from one element of an array to
//! the next without holding the whole array, and going on with the next line after a broken record.

use std::fmt;
use std::io::{self, Read};

use memchr::{memchr, memchr_iter};
use serde::Deserialize as _;
use serde::de::IgnoredAny;
use serde_json::Deserializer;

const MAX_RECORD_BYTES: usize = 64 << 20;
const READ_AT_ONCE_BYTES: usize = 256 << 10;

const BYTE_ORDER_MARK: &[u8] = &[0xEF, 0xBB, 0xBF];

/// One record's text as it came, without the blanks around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRecord {
    /// Usually a JSON object. Anything else that stands in a record's place is passed on too, and refused later.
    pub text: Vec<u8>,
    /// Where it begins.
    pub place: Place,
}

/// Where in an input a record begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its line, counted from 1.
    pub line: u64,
    /// Its index, counted from 0, where it is an array's element.
    pub index: Option<u64>,
}

/// Why a record could not be read from an input.
#[derive(Debug, thiserror::Error)]
pub enum ReadProblem {
    /// A record ends before its brackets are closed; reading goes on after it.
    #[error("the record that begins here is not finished")]
    UnfinishedRecord(Place),
    /// A record is too long to be held; reading goes on after it.
    #[error("the record that begins here is longer than {limit} bytes")]
    OverlongRecord {
        /// Where the record begins.
        place: Place,
        /// The most that a record may have.
        limit: usize,
    },
    /// The next element of an array cannot be told from what follows it; nothing more is read.
    #[error("{reason}; the rest of the array could not be read")]
    BrokenArray {
        /// Where the array is broken.
        place: Place,
        /// What was expected there.
        reason: &'static str,
    },
    /// The input itself failed; nothing more is read.
    #[error("the input could not be read any further")]
    Input {
        /// How far the input was read.
        place: Place,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
}

impl ReadProblem {
    /// Where the input is not as it should be.
    pub fn place(&self) -> Place {
        match self {
            Self::UnfinishedRecord(place)
            | Self::OverlongRecord { place, .. }
            | Self::BrokenArray { place, .. }
            | Self::Input { place, .. } => *place,
        }
    }

    /// What is wrong there, in one line with its cause.
    pub fn reason(&self) -> String {
        match self {
            Self::Input { source, .. } => format!("{self}: {source}"),
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}", self.line)?;
        match self.index {
            Some(index) => write!(formatter, ", element {index}"),
            None => Ok(()),
        }
    }
}

/// The records of one input, in any of the three layouts, one at a time and never the whole input.
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
    /// How many blanks the current line begins with.
    indentation: usize,
    layout: Layout,
    ended: bool,
}

/// What the input has turned out to be so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// Nothing has come yet, or only arrays that are closed: an array may begin.
    Start,
    /// One record after another. A `[` at the top begins no array here: it may be one broken line, and as an array it would
    /// swallow the lines after it.
    Lines,
    /// Inside an array, before the element of this index.
    Array { next: u64 },
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
            indentation: 0,
            layout: Layout::Start,
            ended: false,
        }
    }

    fn read_record(&mut self) -> Result<Option<RawRecord>, ReadProblem> {
        if self.line == 1 && self.layout == Layout::Start {
            self.skip_byte_order_mark()?;
        }
        loop {
            let first = self.skip_blanks()?;
            match (self.layout, first) {
                (Layout::Array { next }, first) => {
                    if self.step_to_element(next, first)? {
                        return self.element(next).map(Some);
                    }
                    self.layout = Layout::Start;
                }
                (_, None) => return Ok(None),
                (Layout::Start, Some(b'[')) => {
                    self.advance(1);
                    self.layout = Layout::Array { next: 0 };
                }
                (_, Some(first)) => {
                    self.layout = Layout::Lines;
                    return if first == b'{' { self.object_on_lines() } else { self.other_line() }.map(Some);
                }
            }
        }
    }

    /// Steps over the comma before an array's next element, or over the array's end, and tells whether there is an element.
    /// A comma before the end is forgiven.
    fn step_to_element(&mut self, next: u64, first: Option<u8>) -> Result<bool, ReadProblem> {
        let first = match first {
            Some(b',') if next > 0 => {
                self.advance(1);
                self.skip_blanks()?
            }
            Some(b']') | None => first,
            Some(_) if next > 0 => return Err(self.broken_array(next, "expected `,` or `]`")),
            Some(_) => first,
        };
        match first {
            None => Err(self.broken_array(next, "the input ends before the array is closed")),
            Some(b']') => {
                self.advance(1);
                Ok(false)
            }
            Some(b',') => Err(self.broken_array(next, "expected a record, found `,`")),
            Some(_) => Ok(true),
        }
    }

    fn element(&mut self, index: u64) -> Result<RawRecord, ReadProblem> {
        let place = self.place(Some(index));
        self.layout = Layout::Array { next: index + 1 };
        let broken = |reason| ReadProblem::BrokenArray { place, reason };
        match self.peek_value()? {
            Value::Whole(end) if end <= self.limit => return Ok(self.take(end, place)),
            Value::NotJson => return Err(broken("the element that begins here is not JSON")),
            Value::Whole(_) | Value::Unfinished => {}
        }
        if self.text().len() > self.limit && self.skip_value()? {
            return Err(ReadProblem::OverlongRecord { place, limit: self.limit });
        }
        Err(broken("the element that begins here is not finished"))
    }

    /// Takes an object, however many lines it has. A broken object ends where the next record begins.
    fn object_on_lines(&mut self) -> Result<RawRecord, ReadProblem> {
        let place = self.place(None);
        let indentation = self.indentation;
        let end = match self.peek_value()? {
            Value::Whole(end) if end <= self.limit => return Ok(self.take(end, place)),
            Value::Whole(end) => end,
            Value::Unfinished | Value::NotJson => {
                self.find_or_end(|text| start_of_next_record(text, indentation))?
            }
        };
        if end > self.limit {
            if !self.skip_value()? {
                self.skip_line()?;
            }
            return Err(ReadProblem::OverlongRecord { place, limit: self.limit });
        }
        if Value::at_start_of(&self.text()[..end]) == Value::Unfinished {
            self.advance(end);
            return Err(ReadProblem::UnfinishedRecord(place));
        }
        Ok(self.take(end, place))
    }

    fn other_line(&mut self) -> Result<RawRecord, ReadProblem> {
        let place = self.place(None);
        let end = self.find_or_end(|text| memchr(b'\n', text))?;
        if end > self.limit {
            self.skip_line()?;
            return Err(ReadProblem::OverlongRecord { place, limit: self.limit });
        }
        Ok(self.take(end, place))
    }

    /// Finds out where the value that begins here ends, and reads as much of the input as that takes.
    fn peek_value(&mut self) -> Result<Value, ReadProblem> {
        loop {
            let value = Value::at_start_of(self.text());
            let is_settled = match value {
                // A number at the end of the text may go on in the bytes that are not read yet.
                Value::Whole(end) => end < self.text().len() || !self.text()[end - 1].is_ascii_digit(),
                Value::NotJson => true,
                Value::Unfinished => {
                    self.layout == Layout::Lines
                        && start_of_next_record(self.text(), self.indentation).is_some()
                }
            };
            if is_settled || self.text().len() > self.limit || !self.read_more()? {
                return Ok(value);
            }
        }
    }

    /// Reads on until `find` finds a place in the text, and gives that place. Where it finds none before the input ends or the
    /// text is too long to be held, gives the end of the text.
    fn find_or_end(&mut self, find: impl Fn(&[u8]) -> Option<usize>) -> Result<usize, ReadProblem> {
        loop {
            if let Some(end) = find(self.text()) {
                return Ok(end);
            }
            if self.text().len() > self.limit || !self.read_more()? {
                return Ok(self.text().len());
            }
        }
    }

    /// Steps over a value that is too long to be held; `false` where it is not JSON, or not finished.
    fn skip_value(&mut self) -> Result<bool, ReadProblem> {
        match IgnoredAny::deserialize(&mut Deserializer::from_reader(Rest(self))) {
            Ok(_) => Ok(true),
            Err(error) if error.is_io() => {
                Err(ReadProblem::Input { place: self.place(None), source: error.into() })
            }
            Err(_) => Ok(false),
        }
    }

    fn skip_line(&mut self) -> Result<(), ReadProblem> {
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
    fn skip_blanks(&mut self) -> Result<Option<u8>, ReadProblem> {
        loop {
            match self.text().first().copied() {
                Some(b'\n') => {
                    self.advance(1);
                    self.indentation = 0;
                }
                Some(b' ' | b'\t' | b'\r') => {
                    self.advance(1);
                    self.indentation += 1;
                }
                Some(byte) => return Ok(Some(byte)),
                None if self.read_more()? => {}
                None => return Ok(None),
            }
        }
    }

    fn skip_byte_order_mark(&mut self) -> Result<(), ReadProblem> {
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

    fn take(&mut self, length: usize, place: Place) -> RawRecord {
        let text = self.text()[..length].trim_ascii_end().to_vec();
        self.advance(length);
        RawRecord { text, place }
    }

    fn read_more(&mut self) -> Result<bool, ReadProblem> {
        self.fill().map_err(|source| ReadProblem::Input { place: self.place(None), source })
    }

    /// Reads at least as many bytes as are held already. A value that is not finished is looked at from its start after every
    /// read. Since the text at least doubles from one look to the next, all looks together cost about twice the last one.
    fn fill(&mut self) -> io::Result<bool> {
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        self.held.drain(..self.start);
        self.start = 0;
        let before = self.held.len();
        let wanted = before.max(self.read_at_once);
        self.held.reserve(wanted);
        let read = self.input.by_ref().take(wanted as u64).read_to_end(&mut self.held);
        let is_more = self.held.len() > before;
        match read {
            Err(error) if is_more => self.failure = Some(error),
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        Ok(is_more)
    }

    fn place(&self, index: Option<u64>) -> Place {
        Place { line: self.line, index }
    }

    fn broken_array(&self, index: u64, reason: &'static str) -> ReadProblem {
        ReadProblem::BrokenArray { place: self.place(Some(index)), reason }
    }
}

impl<R: Read> Iterator for RecordReader<R> {
    type Item = Result<RawRecord, ReadProblem>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let read = self.read_record().transpose();
        self.ended =
            matches!(read, None | Some(Err(ReadProblem::BrokenArray { .. } | ReadProblem::Input { .. })));
        read
    }
}

/// Gives the rest of the input to `serde_json` byte by byte, so that it takes no byte beyond the value that it reads.
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

/// Where the next record begins, although the one at the start of the text is not finished; `None` where that cannot be told.
///
/// The next record begins at the first line that starts with `{` and is indented no further than the broken record, with one
/// exception: a record may be written without any indentation. Then such a line belongs to the record itself if it comes
/// after `[`, `,` or `:`, where a value is due.
fn start_of_next_record(text: &[u8], indentation: usize) -> Option<usize> {
    let first_line = &text[..=memchr(b'\n', text)?];
    let may_go_on = Value::at_start_of(first_line) == Value::Unfinished;
    // Whether lines of the record itself are indented no further than its first.
    let mut is_unindented = false;
    for line_break in memchr_iter(b'\n', text) {
        let line = &text[line_break + 1..];
        let blanks = line.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        if blanks > indentation {
            continue;
        }
        match line.get(blanks) {
            Some(b'{') => {
                let last_visible = text[..line_break].trim_ascii_end().last();
                let is_value_due = matches!(last_visible, Some(b'[' | b',' | b':'));
                if !(is_unindented && is_value_due) {
                    return Some(line_break + 1);
                }
            }
            Some(b'}' | b']' | b'\r' | b'\n') | None => {}
            Some(_) => is_unindented = may_go_on,
        }
    }
    None
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

    fn shown(read: Result<RawRecord, ReadProblem>) -> String {
        match read {
            Ok(record) => format!("{}: {}", record.place, String::from_utf8_lossy(&record.text)),
            Err(problem) => format!("{}: {problem}", problem.place()),
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
            [
                "line 1, element 0: {}",
                "line 2, element 1: the element that begins here is not finished; the rest of the array could not be read"
            ]
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
        for broken in ["{\"a\":[}", "nul", "{'a':1}", "\"a\nb\"", "1x"] {
            assert_eq!(
                read(format!("[{{}},\n{broken},{{}}]")),
                [
                    "line 1, element 0: {}",
                    "line 2, element 1: the element that begins here is not JSON; the rest of the array could not be read"
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
            read("{\"a\":\n{\"b\":\n{}\n{\"c\":"),
            [
                "line 1: the record that begins here is not finished",
                "line 2: the record that begins here is not finished",
                "line 3: {}",
                "line 4: the record that begins here is not finished"
            ]
        );
    }

    #[test]
    fn a_line_broken_inside_a_string_does_not_swallow_the_next() {
        assert_eq!(read("{\"a\":\"x\ny,\n{\"b\":1}\n"), ["line 1: {\"a\":\"x\ny,", "line 3: {\"b\":1}"]);
    }

    #[test]
    fn an_objects_own_lines_are_not_taken_for_records_where_it_is_broken() {
        assert_eq!(
            read("{\n\"a\": tru,\n\"b\": [\n{\n\"id\": 1\n},\n{}\n]\n}\n{}"),
            ["line 1: {\n\"a\": tru,\n\"b\": [\n{\n\"id\": 1\n},\n{}\n]\n}", "line 10: {}"]
        );
        assert_eq!(
            read("  {\n    \"a\": tru,\n    \"b\": [\n      {}\n    ]\n  }\n  {}"),
            ["line 1: {\n    \"a\": tru,\n    \"b\": [\n      {}\n    ]\n  }", "line 7: {}"]
        );
    }

    #[test]
    fn a_broken_pretty_object_does_not_swallow_the_next() {
        assert_eq!(
            read("{\n  \"a\": {\n    \"b\": 1,\n{\n  \"c\": 2\n}\n"),
            ["line 1: the record that begins here is not finished", "line 4: {\n  \"c\": 2\n}"]
        );
    }

    #[test]
    fn a_broken_object_without_indentation_does_not_swallow_whole_lines() {
        for end in ["", "\n", " \r\n{}"] {
            let steps = read(format!("{{\n\"a\": {{\n\"b\": 1\n{{\"c\":{{}}}}{end}"));
            assert_eq!(
                steps[..2],
                ["line 1: the record that begins here is not finished", "line 4: {\"c\":{}}"]
            );
        }
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
            let failed = "the input could not be read any further";
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
