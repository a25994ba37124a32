//! Sections of a report: a heading, and fields with their values under it.

use std::fmt::{self, Display};

use anstyle::{AnsiColor, Style};

use super::layout::{ASIDE, HEADING, left, styled, wrapped};
use crate::answers::StoredText;

/// For something that is there, or is new.
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
/// For something that is gone.
pub(super) const GONE: Style = AnsiColor::Red.on_default();
/// For something that has changed.
pub(super) const CHANGED: Style = AnsiColor::Yellow.on_default();
/// For everything else.
pub(super) const PLAIN: Style = Style::new();

/// How far fields are indented.
const INDENT: &str = "  ";

/// A section of a report: a heading, and fields under it.
#[derive(Debug, Default)]
pub(super) struct Section {
    heading: String,
    fields: Vec<ReportField>,
}

#[derive(Debug)]
struct ReportField {
    label: String,
    /// Stands in front of the value: `- `, `+ ` or nothing.
    mark: &'static str,
    value: String,
    style: Style,
}

impl Section {
    /// A section without fields.
    pub(super) fn new(heading: impl Into<String>) -> Self {
        Self { heading: heading.into(), fields: Vec::new() }
    }

    /// Adds a field; one without a value is left out.
    pub(super) fn field(&mut self, label: impl Into<String>, value: impl Into<String>) {
        self.styled_field(PLAIN, label, value);
    }

    /// Adds a field whose value has a style.
    pub(super) fn styled_field(&mut self, style: Style, label: impl Into<String>, value: impl Into<String>) {
        let value = value.into();
        if !value.is_empty() {
            self.push("", style, label.into(), value);
        }
    }

    /// Adds a field for what was there before.
    pub(super) fn gone(&mut self, label: impl Into<String>, value: impl Into<String>) {
        self.push("- ", GONE, label.into(), value.into());
    }

    /// Adds a field for what is there now, and was not before.
    pub(super) fn came(&mut self, label: impl Into<String>, value: impl Into<String>) {
        self.push("+ ", GOOD, label.into(), value.into());
    }

    fn push(&mut self, mark: &'static str, style: Style, label: String, value: String) {
        self.fields.push(ReportField { label, mark, value, style });
    }

    /// Whether it has no fields.
    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The section as it is printed.
    pub(super) fn laid_out(&self, width: Option<u16>) -> LaidOut<'_> {
        LaidOut { section: self, width }
    }
}

/// A section as it is printed. Every line ends with a line break.
pub(super) struct LaidOut<'a> {
    section: &'a Section,
    width: Option<u16>,
}

impl Display for LaidOut<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let Self { section: Section { heading, fields }, width } = self;
        for line in wrapped(heading, *width) {
            writeln!(formatter, "{}", styled(HEADING, line))?;
        }
        let label_width =
            fields.iter().map(|field| console::measure_text_width(&field.label)).max().unwrap_or_default();
        let margin = if label_width == 0 { 0 } else { label_width + INDENT.len() };
        // Where labels take more than half of the line, each stands above its value.
        let is_beside = width.is_none_or(|width| 2 * (INDENT.len() + margin) <= usize::from(width));
        for field in fields {
            if is_beside {
                field.write(&field.label, margin, *width, formatter)?;
            } else {
                let label = wrapped(&field.label, left(*width, INDENT.len()));
                for line in label.iter().filter(|line| !line.is_empty()) {
                    writeln!(formatter, "{INDENT}{}", styled(ASIDE, line))?;
                }
                field.write("", INDENT.len(), *width, formatter)?;
            }
        }
        Ok(())
    }
}

impl ReportField {
    /// Writes the value, with a label in front of its first line.
    fn write(
        &self,
        mut label: &str,
        margin: usize,
        width: Option<u16>,
        formatter: &mut fmt::Formatter,
    ) -> fmt::Result {
        let mut mark = self.mark;
        for line in wrapped(&self.value, left(width, INDENT.len() + margin + mark.len())) {
            let label = console::pad_str(std::mem::take(&mut label), margin, console::Alignment::Left, None);
            let value = styled(self.style, format_args!("{mark}{line}"));
            writeln!(formatter, "{INDENT}{}{value}", styled(ASIDE, label))?;
            mark = &"  "[..mark.len()];
        }
        Ok(())
    }
}

/// An environment's name, and its namespace where it has one.
pub(super) fn with_namespace(environment: &StoredText, namespace: &StoredText) -> String {
    if namespace.is_empty() { environment.to_string() } else { format!("{environment} ({namespace})") }
}
