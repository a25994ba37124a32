//! What a check found, and how it is printed: one line for each finding.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use crate::answers::harmless;
use crate::commands::exit_status::Ended;
use crate::commands::layout::{left, styled, wrapped};
use crate::commands::terminal;

/// How many columns the two words in front of a finding take, each with the blanks after it.
const LEVEL_COLUMNS: usize = 6;
const SUBJECT_COLUMNS: usize = 22;

/// Prints findings, and counts the bad ones.
#[derive(Debug)]
pub(super) struct Findings {
    width: Option<u16>,
    bad: usize,
}

impl Findings {
    /// No findings yet; they will be wrapped for a terminal of that width.
    pub(super) fn new(width: Option<u16>) -> Self {
        Self { width, bad: 0 }
    }

    /// Something is as it should be.
    pub(super) fn ok(&self, subject: &str, text: impl AsRef<str>) -> anyhow::Result<()> {
        self.print(("ok", AnsiColor::Green), subject, text.as_ref())
    }

    /// Something is worth knowing, and nothing has to be done.
    pub(super) fn note(&self, subject: &str, text: impl AsRef<str>) -> anyhow::Result<()> {
        self.print(("note", AnsiColor::Yellow), subject, text.as_ref())
    }

    /// Something is wrong; the text says what to do.
    pub(super) fn bad(&mut self, subject: &str, text: impl AsRef<str>) -> anyhow::Result<()> {
        self.bad += 1;
        self.print(("bad", AnsiColor::Red), subject, text.as_ref())
    }

    /// Prints a finding at once, since the next check may take a while.
    fn print(&self, (word, color): (&str, AnsiColor), subject: &str, text: &str) -> anyhow::Result<()> {
        let word = styled(Style::new().fg_color(Some(color.into())).bold(), format_args!("{word:4}"));
        let indent = LEVEL_COLUMNS + SUBJECT_COLUMNS;
        let mut printed = format!("{word}  {subject:SUBJECT_COLUMNS$}");
        for (number, line) in wrapped(&harmless(text), left(self.width, indent)).into_iter().enumerate() {
            let before = if number == 0 { 0 } else { indent };
            writeln!(printed, "{:before$}{line}", "").expect("a string can be written to");
        }
        terminal::print_styled(printed)
    }

    /// How the command ends.
    pub(super) fn ended(&self) -> Ended {
        if self.bad == 0 { Ended::Well } else { Ended::NotWell }
    }
}
