//! Text in the terminal: tables, broken lines and styles, as wide as the terminal is.

use std::borrow::Cow;
use std::fmt::Display;

use anstyle::Style;
use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use textwrap::{Options, WordSeparator, WordSplitter};

/// A heading.
pub(super) const HEADING: Style = Style::new().bold();
/// Text that matters less than what it stands beside.
pub(super) const ASIDE: Style = Style::new().dimmed();

/// A terminal is taken to have at least this many columns: nothing could be read in fewer.
const MIN_WIDTH: u16 = 20;

/// How many columns a line may have: `COLUMNS`, or else the terminal's; none where the output goes elsewhere.
pub(super) fn width() -> Option<u16> {
    let given = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let of_terminal = || console::Term::stdout().size_checked().map(|(_, columns)| columns);
    given.filter(|columns| *columns > 0).or_else(of_terminal).map(|columns: u16| columns.max(MIN_WIDTH))
}

/// A text in a style. The style is dropped where the output shows none.
pub(super) fn styled(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// The lines of a table, as wide as its texts and without spaces at their ends.
pub(super) fn table<const COLUMNS: usize>(rows: Vec<[String; COLUMNS]>) -> Vec<String> {
    let mut table = Table::new();
    table.load_style(NOTHING).add_rows(rows).set_content_arrangement(ContentArrangement::Disabled);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

/// How many columns a table needs so that none of its texts is broken.
pub(super) fn natural_width<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> u16 {
    let mut table = Table::new();
    table.add_rows(rows.to_vec());
    let columns = table.column_max_content_widths();
    let gaps = u16::try_from(columns.len().saturating_sub(1)).unwrap_or(u16::MAX).saturating_mul(2);
    columns.into_iter().fold(gaps, u16::saturating_add)
}

/// A text broken at its blanks into lines of a width.
///
/// A word that is wider stays whole, and its line is too wide: a broken digest could not be copied.
pub(super) fn wrapped(text: &str, width: Option<u16>) -> Vec<String> {
    let Some(width) = width else { return vec![text.to_owned()] };
    let options = Options::new(width.into())
        .break_words(false)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation);
    textwrap::wrap(text, options).into_iter().map(Cow::into_owned).collect()
}

/// What is left of a width when this many columns are taken.
pub(super) fn left(width: Option<u16>, columns: usize) -> Option<u16> {
    width.map(|width| width.saturating_sub(u16::try_from(columns).unwrap_or(u16::MAX)))
}
