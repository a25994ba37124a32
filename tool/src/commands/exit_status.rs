//! How a command ends: its last words, and its exit status.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use delivery_center::error::Error;
use delivery_center::store::{StoreError, TableNames, Unavailability};

use super::{aws, terminal};
use crate::answers::ApiError;
use crate::facts::FactError;
use crate::input::server::ServerError;
use crate::table_definitions::TableError;

/// How a command ended. The number is its exit status, which [`TABLE`] explains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Well = 0,
    NotWell = 1,
    Unusable = 2,
    NotFound = 3,
    Unreachable = 4,
    Interrupted = 130,
}

/// All exit statuses, the same for every command. `--help` shows this table, and a test holds that of
/// docs/operating.md to it.
const TABLE: [(Ended, &str); 6] = [
    (Ended::Well, "done"),
    (Ended::NotWell, "something was refused, is missing or is wrong, and stderr says what"),
    (Ended::Unusable, "the arguments, or what a variable of the environment holds, cannot be read"),
    (Ended::NotFound, "no release or artifact is what was asked for"),
    (Ended::Unreachable, "DynamoDB, Zadig or the API could not be reached, is throttled or fails: try again"),
    (Ended::Interrupted, "interrupted by Ctrl-C (`serve` and `browse` are done then)"),
];

/// The table of exit statuses, for `--help`.
pub(super) fn help() -> String {
    let mut help = "Exit status:".to_owned();
    for (ended, meaning) in TABLE {
        write!(help, "\n  {:<4} {meaning}", ended as u8).expect("a string can be written to");
    }
    help
}

/// The exit status of a command. If the command failed, the reason is printed.
pub(super) fn of_command(ended: anyhow::Result<Ended>) -> ExitCode {
    let ended = ended.unwrap_or_else(|error| {
        terminal::say(format_args!("error: {}", with_causes(&error)));
        advice(&error).into_iter().for_each(terminal::say);
        if is_unusable(&error) {
            Ended::Unusable
        } else if is_unreachable(&error) {
            Ended::Unreachable
        } else {
            Ended::NotWell
        }
    });
    ExitCode::from(ended as u8)
}

/// Ends the process at Ctrl-C, from now on. A command that waits for a file or for a pipe cannot be ended in
/// any other way; what it has written until then is as a crash leaves it, and running it again completes it.
pub(super) fn end_when_interrupted() {
    tokio::spawn(async {
        // Where signals cannot be waited for, a signal ends the process by itself.
        if tokio::signal::ctrl_c().await.is_ok() {
            terminal::say("interrupted; what is done stays, and running it again is safe");
            std::process::exit(Ended::Interrupted as i32);
        }
    });
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

/// Arguments or variables that can be read, but not be used, or not together.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct UnusableArguments(pub(super) String);

/// The error that says what of the arguments or variables cannot be used.
pub(super) fn unusable(reason: impl Into<String>) -> anyhow::Error {
    UnusableArguments(reason.into()).into()
}

/// Whether what was given cannot be used, be it that the endpoint says so.
fn is_unusable(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<UnusableArguments>() || matches!(cause.downcast_ref(), Some(Error::Parameter(_)))
    })
}

/// The exit status where the arguments cannot be read, or ask for help. What clap says about them is printed.
pub(super) fn of_arguments(mut unreadable: clap::Error) -> ExitCode {
    hide_secrets(&mut unreadable);
    // If even this cannot be written, there is nobody to tell.
    let _ = unreadable.print();
    let ended = if unreadable.exit_code() == 0 { Ended::Well } else { Ended::Unusable };
    ExitCode::from(ended as u8)
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
            || cause.downcast_ref().is_some_and(ApiError::is_unreachable)
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

/// What to do about a table that does not exist, as `doctor` says it; or what stands in the way to DynamoDB, Zadig
/// or the API.
fn advice(error: &anyhow::Error) -> Option<String> {
    if let Some(error) = error.chain().find_map(|cause| cause.downcast_ref::<ServerError>()) {
        let (ServerError::Unreachable { url, .. } | ServerError::Refused { url, .. }) = error;
        return aws::proxy_to_server(url);
    }
    if let Some(error) = error.chain().find_map(|cause| cause.downcast_ref::<ApiError>()) {
        return aws::proxy_to_server(error.url_on_the_way()?);
    }
    let table = match store_error(error)? {
        StoreError::TableMissing { table, .. } => table,
        StoreError::Unavailable { reason: Unavailability::Unreached, .. } => {
            return aws::proxy_in_the_way().or_else(aws::region_asked);
        }
        // A proxy may have answered this.
        StoreError::Unavailable {
            reason: Unavailability::NotInTime | Unavailability::Failed | Unavailability::UnreadableAnswer,
            ..
        }
        | StoreError::Refused { .. } => return aws::proxy_in_the_way(),
        _ => return None,
    };
    let is_releases = *table == TableNames::from_environment().releases;
    let variable = if is_releases { "RELEASES_TABLE" } else { "ARTIFACTS_TABLE" };
    Some(format!(
        "look at AWS_REGION and {variable}; deploy the template, or run `delivery-center tables create` on a laptop"
    ))
}
