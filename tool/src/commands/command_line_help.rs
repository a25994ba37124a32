//! `completions` and `man`: prints shell completions and the manual page.

use std::io::{self, Write as _};

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::Arguments;
use super::exit_status::Ended;

/// Print completions for a shell:
/// `delivery-center completions bash > …/bash-completion/completions/delivery-center`.
#[derive(Args)]
pub(super) struct CompletionsArguments {
    /// The shell.
    shell: Shell,
}

pub(super) fn print_completions(arguments: &CompletionsArguments) -> anyhow::Result<Ended> {
    let mut completions = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "delivery-center", &mut completions);
    io::stdout().write_all(&completions)?;
    Ok(Ended::Well)
}

/// Prints the manual page of the command itself, and then those of its subcommands.
pub(super) fn print_manual() -> anyhow::Result<Ended> {
    let mut command = Arguments::command();
    command.build();
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    for subcommand in command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help") {
        clap_mangen::Man::new(subcommand.clone()).render(&mut page)?;
    }
    io::stdout().write_all(&page)?;
    Ok(Ended::Well)
}
