//! How a command ends: its last words, and its exit status.

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use delivery_center::error::Error;
use delivery_center::store::{StoreError, TableNames};

use super::terminal;
use crate::facts::FactError;
use crate::input::server::ServerError;
use crate::table_definitions::TableError;

/// How a command that ran to its end went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// All is done, and what was asked for is there.
    Well,
    /// Something was refused, is wrong or is not there, and that has been said.
    NotWell,
}

/// The exit status of a command. If the command failed, the reason is printed. Of a question, 1 means that
/// there is no such release or artifact, so whatever fails is 2.
pub(super) fn of_command(ended: anyhow::Result<Ended>, is_question: bool) -> ExitCode {
    match ended {
        Ok(Ended::Well) => ExitCode::SUCCESS,
        Ok(Ended::NotWell) => ExitCode::from(1),
        Err(error) => {
            terminal::say(format_args!("error: {}", with_causes(&error)));
            advice(&error).into_iter().for_each(terminal::say);
            let is_unusable = error.is::<UnusableArguments>() && !is_record_command();
            ExitCode::from(if is_question || is_unusable || is_unreachable(&error) { 2 } else { 1 })
        }
    }
}

/// An error and its causes. A cause that was quoted already is left out, since some errors quote their causes
/// themselves.
fn with_causes(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain().map(ToString::to_string).filter(|cause| !cause.is_empty()) {
        if told.is_empty() {
            told = cause;
        } else if !told.contains(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    told
}

/// Arguments that can be read, but not be used, or not together.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct UnusableArguments(pub(super) &'static str);

/// The exit status where the arguments cannot be read, or ask for help. What clap says about them is printed.
///
/// A pipeline understands 2 as an advice to try again, which would not help against a wrong argument of
/// `record`: there it is 1.
pub(super) fn of_arguments(mut unreadable: clap::Error) -> ExitCode {
    hide_secrets(&mut unreadable);
    // If even this cannot be written, there is nobody to tell.
    let _ = unreadable.print();
    match unreadable.exit_code() {
        0 => ExitCode::SUCCESS,
        _ if is_record_command() => ExitCode::from(1),
        _ => ExitCode::from(2),
    }
}

fn is_record_command() -> bool {
    std::env::args().nth(1).as_deref() == Some("record")
}

/// Removes what clap would quote where it may be a URL with a password.
fn hide_secrets(unreadable: &mut clap::Error) {
    for kind in [ContextKind::InvalidArg, ContextKind::InvalidValue, ContextKind::InvalidSubcommand] {
        if let Some(ContextValue::String(text)) = unreadable.get(kind)
            && text.contains(['@', '?', '#'])
        {
            unreadable.insert(kind, ContextValue::String("(not shown: it may hold a secret)".to_owned()));
        }
    }
}

/// Whether DynamoDB or Zadig could not be reached, so that the same command may succeed at another time.
pub(super) fn is_unreachable(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref().is_some_and(ServerError::is_unreachable)
            || matches!(cause.downcast_ref(), Some(TableError::NotActive { .. }))
            || matches!(cause.downcast_ref(), Some(FactError::Contended))
    }) || store_error(error).is_some_and(StoreError::is_unavailable)
}

/// What went wrong with a table, if that is why a command failed.
fn store_error(error: &anyhow::Error) -> Option<&StoreError> {
    error.chain().find_map(|cause| match cause.downcast_ref() {
        Some(Error::Store(error)) => Some(error),
        _ => cause.downcast_ref(),
    })
}

/// What to do about a table that does not exist, as `doctor` says it.
fn advice(error: &anyhow::Error) -> Option<String> {
    let Some(StoreError::TableMissing { table, .. }) = store_error(error) else { return None };
    let is_releases = *table == TableNames::from_environment().releases;
    let variable = if is_releases { "RELEASES_TABLE" } else { "ARTIFACTS_TABLE" };
    Some(format!(
        "look at AWS_REGION and {variable}; deploy the template, or run `delivery-center tables create` on a laptop"
    ))
}
