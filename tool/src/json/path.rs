//! What is wrong with a record, and where in it.

use std::fmt;

/// The first thing in a record that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct Problem {
    /// Where in the record, such as `$.deployInfo[0].yamlContents[1]`; `$` is the record itself.
    pub path: String,
    /// What was expected and what was found. It never holds a value that could be a secret.
    pub reason: String,
}

/// How many steps of a path are shown.
const MAX_SHOWN_STEPS: usize = 12;

/// The way from a record's top to one value. It is a list on the stack, so that only a problem has to make a
/// text of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

/// One step of a path.
#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Root,
    Field(&'a str),
    Index(usize),
}

impl<'a> Path<'a> {
    pub(crate) const ROOT: Path<'static> = Path { parent: None, step: Step::Root };

    pub(crate) fn field(&'a self, name: &'a str) -> Path<'a> {
        Path { parent: Some(self), step: Step::Field(name) }
    }

    pub(crate) fn index(&'a self, index: usize) -> Path<'a> {
        Path { parent: Some(self), step: Step::Index(index) }
    }

    pub(crate) fn problem(&self, reason: impl Into<String>) -> Problem {
        Problem { path: self.to_string(), reason: reason.into() }
    }

    /// Writes the path, and tells how many steps it has after the root.
    fn write(&self, formatter: &mut fmt::Formatter<'_>) -> Result<usize, fmt::Error> {
        let steps = match self.parent {
            Some(parent) => parent.write(formatter)? + 1,
            None => 0,
        };
        match steps {
            0..=MAX_SHOWN_STEPS => fmt::Display::fmt(&self.step, formatter)?,
            steps if steps == MAX_SHOWN_STEPS + 1 => formatter.write_str("…")?,
            _ => {}
        }
        Ok(steps)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(formatter).map(drop)
    }
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => formatter.write_str("$"),
            Self::Field(name) if is_plain(name) => write!(formatter, ".{name}"),
            Self::Field(name) => write!(formatter, "[{name:?}]"),
            Self::Index(index) => write!(formatter, "[{index}]"),
        }
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_like_the_field_it_names() {
        let deploys = Path::ROOT.field("deployInfo");
        let deploy = deploys.index(0);
        let contents = deploy.field("yamlContents");
        assert_eq!(contents.index(1).to_string(), "$.deployInfo[0].yamlContents[1]");
        assert_eq!(Path::ROOT.field("a b").to_string(), "$[\"a b\"]");
    }

    #[test]
    fn a_problem_is_shown_as_path_and_reason() {
        let problem = Path::ROOT.field("id").problem("expected a string, found a list");
        assert_eq!(problem.to_string(), "$.id: expected a string, found a list");
    }
}
