//! Prints what people see of a command: text on standard output, and a progress bar on standard error.

use std::fmt::{self, Display};
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};

use crate::answers::is_harmful;

/// Prints to standard output. It is no error if nobody reads that to the end (`| head`).
pub(super) fn print(text: impl Display) -> anyhow::Result<()> {
    print_to(io::stdout(), format_args!("{text}\n")).map(drop)
}

/// Prints a text with styles. Only a terminal gets the styles, and only if `NO_COLOR` is not set.
pub(super) fn print_styled(text: impl Display) -> anyhow::Result<()> {
    print_to(anstream::stdout(), text).map(drop)
}

/// Says something beside the output: one line on standard error.
///
/// It is no error if nobody reads that (`2>&1 | head`); `eprintln!` would panic then.
pub(super) fn say(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Prints an answer's JSON, and tells whether anybody reads on. A character that could do something to a terminal
/// is escaped, such as `\u009b`; that is the same JSON.
pub(super) fn print_json(json: &str) -> anyhow::Result<bool> {
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        if is_harmful(character) {
            fmt::Write::write_fmt(&mut escaped, format_args!("\\u{:04x}", u32::from(character)))
                .expect("a string can be written to");
        } else {
            escaped.push(character);
        }
    }
    escaped.push('\n');
    print_to(io::stdout(), escaped)
}

fn print_to(mut output: impl io::Write, text: impl Display) -> anyhow::Result<bool> {
    // In one piece: a text that is longer than the buffer of standard output would else come in several, and whoever
    // waits for a line could read half of it.
    let text = text.to_string();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("cannot write to standard output"),
    }
}

/// A progress bar, which shows only where standard error is a terminal.
pub(super) fn progress_bar() -> ProgressBar {
    let bar = if io::stderr().is_terminal() { ProgressBar::no_length() } else { ProgressBar::hidden() };
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// A progress bar that counts what is done, such as `releases`.
pub(super) fn counter(things: &str) -> ProgressBar {
    let bar = progress_bar();
    bar.set_style(style(&format!("{{spinner}} {{human_pos}} {things}, {{per_sec}}, {{elapsed}}")));
    bar
}

/// The look of a progress bar, from a template of our own.
pub(super) fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is valid").progress_chars("=> ")
}
