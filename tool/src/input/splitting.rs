//! Splits an input into its records: one JSON object, one top-level array, or one object per line.
//!
//! Splitting goes by brackets, strings and lines alone; whether a record is JSON at all is for whoever checks it.

use std::fmt;
use std::io::{self, BufRead};
use std::mem;

const MAX_RECORD_BYTES: usize = 64 * 1024 * 1024;

const BYTE_ORDER_MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];

/// One record's text as it came, without the blanks around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRecord {
    /// Usually a JSON object; anything else that stands where a record should is passed on to be refused.
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

/// Why a record could not be read off an input.
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
    /// An array's next element cannot be made out; nothing more is read.
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
    #[must_use]
    pub fn place(&self) -> Place {
        match self {
            Self::UnfinishedRecord(place)
            | Self::OverlongRecord { place, .. }
            | Self::BrokenArray { place, .. }
            | Self::Input { place, .. } => *place,
        }
    }
}

/// The records of one input, in any of the three layouts, one at a time and never the whole input.
pub struct RecordReader<R> {
    input: R,
    limit: usize,
    line: u64,
    layout: Layout,
    /// A record that was read together with the unfinished one before it.
    read_ahead: Option<RawRecord>,
    ended: bool,
}

/// What the input has turned out to be so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// Nothing has come yet, or only arrays that are closed: an array may begin.
    Start,
    /// One record after another; a bracket at the top is no array, lest one broken line swallow the others.
    Lines,
    /// Inside an array, before the element of this index.
    Array { next: u64 },
}

impl<R: BufRead> RecordReader<R> {
    /// Reads records of up to 64 MiB each.
    pub fn new(input: R) -> Self {
        Self::with_limit(input, MAX_RECORD_BYTES)
    }

    /// Reads records of up to `limit` bytes each.
    pub fn with_limit(input: R, limit: usize) -> Self {
        Self { input, limit, line: 1, layout: Layout::Start, read_ahead: None, ended: false }
    }

    fn read_record(&mut self) -> Result<Option<RawRecord>, ReadProblem> {
        if self.line == 1 && self.layout == Layout::Start {
            self.skip_byte_order_mark()?;
        }
        loop {
            let first = self.skip_blanks()?;
            match (self.layout, first) {
                (Layout::Array { next }, first) => match self.element_start(next, first)? {
                    Some(first) => return self.element(next, first).map(Some),
                    None => self.layout = Layout::Start,
                },
                (_, None) => return Ok(None),
                (Layout::Start, Some(b'[')) => {
                    self.consume_one();
                    self.layout = Layout::Array { next: 0 };
                }
                (_, Some(first)) => {
                    self.layout = Layout::Lines;
                    return self.record_on_lines(first).map(Some);
                }
            }
        }
    }

    /// The first byte of the array's next element, or none where the array is closed. A comma before the closing bracket is forgiven.
    fn element_start(&mut self, next: u64, first: Option<u8>) -> Result<Option<u8>, ReadProblem> {
        let first = match first {
            Some(b',') if next > 0 => {
                self.consume_one();
                self.skip_blanks()?
            }
            Some(b']') | None => first,
            Some(_) if next > 0 => return Err(self.broken_array(next, "expected `,` or `]`")),
            Some(_) => first,
        };
        match first {
            None => Err(self.broken_array(next, "the input ends before the array is closed")),
            Some(b']') => {
                self.consume_one();
                Ok(None)
            }
            Some(b',') => Err(self.broken_array(next, "expected a record, found `,`")),
            Some(first) => Ok(Some(first)),
        }
    }

    fn element(&mut self, index: u64, first: u8) -> Result<RawRecord, ReadProblem> {
        let place = self.place(Some(index));
        self.layout = Layout::Array { next: index + 1 };
        let taken = if matches!(first, b'{' | b'[') {
            let mut brackets = Brackets::in_array();
            self.take_while(|byte| brackets.step(byte))?
        } else {
            let mut scalar = Scalar::default();
            self.take_while(|byte| scalar.step(byte))?
        };
        if !taken.is_ended && matches!(first, b'{' | b'[') {
            return Err(ReadProblem::BrokenArray {
                place,
                reason: "the element that begins here is not finished",
            });
        }
        self.within_limit(taken, place)
    }

    fn record_on_lines(&mut self, first: u8) -> Result<RawRecord, ReadProblem> {
        let place = self.place(None);
        if first != b'{' {
            let taken = self.take_while(|byte| if byte == b'\n' { Step::EndBefore } else { Step::Take })?;
            return self.within_limit(taken, place);
        }
        let mut brackets = Brackets::on_lines();
        let taken = self.take_while(|byte| brackets.step(byte))?;
        let is_finished = brackets.depth == 0;
        let text = self.within_limit(taken, place)?;
        if is_finished {
            return Ok(text);
        }
        self.read_ahead = brackets.record_of_its_own(&text);
        Err(ReadProblem::UnfinishedRecord(place))
    }

    fn within_limit(&self, taken: Taken, place: Place) -> Result<RawRecord, ReadProblem> {
        if taken.is_overlong {
            return Err(ReadProblem::OverlongRecord { place, limit: self.limit });
        }
        let mut text = taken.text;
        text.truncate(text.trim_ascii_end().len());
        Ok(RawRecord { text, place })
    }

    /// Takes bytes until `step` ends it or the input does; past the limit they are let go.
    fn take_while(&mut self, mut step: impl FnMut(u8) -> Step) -> Result<Taken, ReadProblem> {
        let mut taken = Taken::default();
        while !taken.is_ended {
            let place = self.place(None);
            let chunk = fill(&mut self.input).map_err(|source| ReadProblem::Input { place, source })?;
            if chunk.is_empty() {
                break;
            }
            let mut used = 0;
            while used < chunk.len() && !taken.is_ended {
                let step = step(chunk[used]);
                used += usize::from(step != Step::EndBefore);
                taken.is_ended = step != Step::Take;
            }
            taken.push(&chunk[..used], self.limit);
            self.line += line_breaks(&chunk[..used]);
            self.input.consume(used);
        }
        Ok(taken)
    }

    /// The byte after the blanks, left where it is.
    fn skip_blanks(&mut self) -> Result<Option<u8>, ReadProblem> {
        while let Some(byte) = self.peek()? {
            match byte {
                b'\n' => self.line += 1,
                b' ' | b'\t' | b'\r' => {}
                _ => return Ok(Some(byte)),
            }
            self.consume_one();
        }
        Ok(None)
    }

    fn skip_byte_order_mark(&mut self) -> Result<(), ReadProblem> {
        for byte in BYTE_ORDER_MARK {
            if self.peek()? != Some(byte) {
                break;
            }
            self.consume_one();
        }
        Ok(())
    }

    fn peek(&mut self) -> Result<Option<u8>, ReadProblem> {
        let place = self.place(None);
        fill(&mut self.input)
            .map(|chunk| chunk.first().copied())
            .map_err(|source| ReadProblem::Input { place, source })
    }

    fn consume_one(&mut self) {
        self.input.consume(1);
    }

    fn place(&self, index: Option<u64>) -> Place {
        Place { line: self.line, index }
    }

    fn broken_array(&self, index: u64, reason: &'static str) -> ReadProblem {
        ReadProblem::BrokenArray { place: self.place(Some(index)), reason }
    }
}

impl<R: BufRead> Iterator for RecordReader<R> {
    type Item = Result<RawRecord, ReadProblem>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(record) = self.read_ahead.take() {
            return Some(Ok(record));
        }
        if self.ended {
            return None;
        }
        let read = self.read_record().transpose();
        self.ended =
            matches!(read, None | Some(Err(ReadProblem::BrokenArray { .. } | ReadProblem::Input { .. })));
        read
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

/// What becomes of one byte of a record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Take,
    /// It is the record's last.
    TakeLast,
    /// It belongs to what comes after the record.
    EndBefore,
}

/// The bytes of one record.
#[derive(Default)]
struct Taken {
    text: Vec<u8>,
    is_overlong: bool,
    /// Whether its end was seen before the input's.
    is_ended: bool,
}

impl Taken {
    fn push(&mut self, bytes: &[u8], limit: usize) {
        self.is_overlong |= self.text.len() + bytes.len() > limit;
        if self.is_overlong {
            self.text = Vec::new();
        } else {
            self.text.extend_from_slice(bytes);
        }
    }
}

/// Where a scan stands with regard to strings.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Quoted {
    #[default]
    No,
    Yes,
    /// The byte after a backslash is no quote.
    Escaped,
}

impl Quoted {
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            // No string goes past a line: after a lost quote this is where the scan finds back.
            (_, b'\n') | (Self::Yes, b'"') => Self::No,
            (Self::No, b'"') | (Self::Escaped, _) => Self::Yes,
            (Self::Yes, b'\\') => Self::Escaped,
            (quoted, _) => quoted,
        }
    }
}

/// Finds the end of an array's element that is neither an object nor a list.
#[derive(Default)]
struct Scalar {
    quoted: Quoted,
}

impl Scalar {
    fn step(&mut self, byte: u8) -> Step {
        let was_quoted = self.quoted != Quoted::No;
        self.quoted = self.quoted.after(byte);
        match byte {
            b'\n' => Step::EndBefore,
            b',' | b']' if !was_quoted => Step::EndBefore,
            _ => Step::Take,
        }
    }
}

/// Finds the end of an object or a list, or, on lines, where another record begins although this one is not closed.
struct Brackets {
    depth: usize,
    quoted: Quoted,
    /// How many bytes were taken, and how many line breaks among them.
    taken: usize,
    line_breaks: u64,
    at_line_start: bool,
    last_visible: u8,
    last_visible_at: usize,
    brace_at_line_start: Brace,
    own_line: Option<OwnLine>,
}

/// What a `{` at the very beginning of a line means inside a record that is not closed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Brace {
    /// It is this record's: the elements of an array are not told apart by lines.
    GoesOn,
    /// Another record begins: whoever indents would not have put it there.
    BeginsAnother,
    /// Another record begins if its line is one by itself: this record is written over lines without indentation.
    MayBeginAnother,
    /// Another record begins: this one is past mending, for a line ended inside a string.
    EndsBrokenRecord,
}

/// A line inside an unclosed record that starts with `{`.
#[derive(Clone, Copy)]
struct OwnLine {
    offset: usize,
    line_breaks: u64,
    depth: usize,
    closed_at: Option<usize>,
}

impl Brackets {
    fn in_array() -> Self {
        Self::new(Brace::GoesOn)
    }

    fn on_lines() -> Self {
        Self::new(Brace::BeginsAnother)
    }

    fn new(brace_at_line_start: Brace) -> Self {
        Self {
            depth: 0,
            quoted: Quoted::No,
            taken: 0,
            line_breaks: 0,
            at_line_start: false,
            last_visible: 0,
            last_visible_at: 0,
            brace_at_line_start,
            own_line: None,
        }
    }

    fn step(&mut self, byte: u8) -> Step {
        if mem::take(&mut self.at_line_start) && self.begins_another(byte) {
            return Step::EndBefore;
        }
        let was_quoted = self.quoted != Quoted::No;
        self.quoted = self.quoted.after(byte);
        let step = match byte {
            b'\n' => self.end_line(was_quoted),
            b'{' | b'[' if !was_quoted => self.open(),
            b'}' | b']' if !was_quoted => self.close(),
            _ => Step::Take,
        };
        if !byte.is_ascii_whitespace() {
            self.last_visible = byte;
            self.last_visible_at = self.taken;
        }
        self.taken += 1;
        step
    }

    fn open(&mut self) -> Step {
        self.depth += 1;
        Step::Take
    }

    fn close(&mut self) -> Step {
        self.depth -= 1;
        if let Some(line) = &mut self.own_line
            && line.depth == self.depth
        {
            line.closed_at.get_or_insert(self.taken);
        }
        if self.depth == 0 { Step::TakeLast } else { Step::Take }
    }

    fn end_line(&mut self, breaks_a_string: bool) -> Step {
        if self.is_own_line_whole() {
            return Step::TakeLast;
        }
        self.own_line = None;
        self.line_breaks += 1;
        self.at_line_start = true;
        if breaks_a_string && self.brace_at_line_start != Brace::GoesOn {
            self.brace_at_line_start = Brace::EndsBrokenRecord;
        }
        Step::Take
    }

    /// Looks at a line's first byte.
    fn begins_another(&mut self, first: u8) -> bool {
        match (self.brace_at_line_start, first) {
            (Brace::BeginsAnother | Brace::EndsBrokenRecord, b'{') => true,
            (Brace::MayBeginAnother, b'{') => {
                self.watch_line();
                false
            }
            (Brace::BeginsAnother, b'!'..) if !matches!(first, b'}' | b']') => {
                self.brace_at_line_start = Brace::MayBeginAnother;
                false
            }
            _ => false,
        }
    }

    /// After a bracket, comma or colon a value is due, so that the brace is more likely this record's own.
    fn watch_line(&mut self) {
        if !matches!(self.last_visible, b'[' | b',' | b':') {
            self.own_line = Some(OwnLine {
                offset: self.taken,
                line_breaks: self.line_breaks,
                depth: self.depth,
                closed_at: None,
            });
        }
    }

    fn is_own_line_whole(&self) -> bool {
        self.own_line.is_some_and(|line| line.closed_at == Some(self.last_visible_at))
    }

    /// The record at the end of an unfinished one that turned out to be a whole line.
    fn record_of_its_own(&self, unfinished: &RawRecord) -> Option<RawRecord> {
        let line = self.own_line.filter(|_| self.is_own_line_whole())?;
        let text = unfinished.text.get(line.offset..)?.to_vec();
        let place = Place { line: unfinished.place.line + line.line_breaks, index: None };
        Some(RawRecord { text, place })
    }
}

/// What the input holds next, none of it used up; empty at its end.
fn fill(input: &mut impl BufRead) -> io::Result<&[u8]> {
    while let Err(error) = input.fill_buf() {
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    input.fill_buf()
}

fn line_breaks(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Read};

    use super::*;

    /// What each step of the iteration says, in a line.
    fn read(input: impl AsRef<[u8]>) -> Vec<String> {
        let input = input.as_ref();
        let whole: Vec<_> = RecordReader::with_limit(input, 100).map(shown).collect();
        for capacity in [1, 2, 3, 7] {
            let chunked = BufReader::with_capacity(capacity, input);
            let chunked: Vec<_> = RecordReader::with_limit(chunked, 100).map(shown).collect();
            assert_eq!(chunked, whole, "in chunks of {capacity} bytes");
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
            read("[{},\n{\"a\":[}\n"),
            [
                "line 1, element 0: {}",
                "line 2, element 1: the element that begins here is not finished; the rest of the array could not be read"
            ]
        );
    }

    #[test]
    fn an_array_is_not_read_past_what_cannot_be_delimited() {
        assert_eq!(
            read("[{}},{}]"),
            [
                "line 1, element 0: {}",
                "line 1, element 1: expected `,` or `]`; the rest of the array could not be read"
            ]
        );
        assert_eq!(
            read("[,{}]"),
            ["line 1, element 0: expected a record, found `,`; the rest of the array could not be read"]
        );
    }

    #[test]
    fn what_is_no_object_is_passed_on_line_by_line() {
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
        for broken in [
            r#"{"a":"#,
            r#"{"a":[1}"#,
            r#"{"a":{"b":1},"#,
            r#"{"a":"x"#,
            r#"{"a":"x\"#,
            "{",
            r#"{"a":[{"b":"#,
        ] {
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
        assert_eq!(
            read("{\"a\":\"x\ny,\n{\"b\":1}\n"),
            ["line 1: the record that begins here is not finished", "line 3: {\"b\":1}"]
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
    fn a_record_past_the_limit_is_let_go_and_reading_goes_on() {
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
            let input = BufReader::new(begun.as_bytes().chain(Failing));
            let mut problems = RecordReader::new(input).filter_map(Result::err);
            assert!(matches!(problems.next(), Some(ReadProblem::Input { .. })), "{begun}");
            assert!(problems.next().is_none(), "{begun}");
        }
    }

    #[test]
    fn an_interrupted_read_is_taken_up_again() {
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
        let input = BufReader::new(Interrupted(false).take(1));
        assert_eq!(
            RecordReader::new(input).map(shown).collect::<Vec<_>>(),
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
