//! What can go wrong with the tables, and whether asking again is likely to help.

use std::error::Error as StdError;
use std::fmt;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::RequestId as _;

/// DynamoDB's codes for credentials that it does not accept, or that do not allow the request.
const DENIED: [&str; 7] = [
    "AccessDeniedException",
    "UnrecognizedClientException",
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "ExpiredTokenException",
    "KMSAccessDeniedException",
];
/// DynamoDB's codes for throttling.
const THROTTLED: [&str; 4] = [
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
    "RequestLimitExceeded",
    "LimitExceededException",
];
/// DynamoDB's codes for failures of its own.
const FAILED: [&str; 3] = ["InternalServerError", "InternalServerErrorException", "ServiceUnavailable"];

/// What went wrong with a table. The displayed text leaves out DynamoDB's own words, which may name hosts and
/// keys; those are in the source.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// What is stored is not what was written, or was not written by this service.
    #[error("{record} in table {table:?} cannot be read: {reason}")]
    UnreadableRecord {
        /// The table's name.
        table: String,
        /// Which record.
        record: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A record cannot be stored as it is: there is too much of it, or it does not fit the documented types.
    #[error("{record} cannot be stored in table {table:?}: {reason}")]
    Unstorable {
        /// The table's name.
        table: String,
        /// Which record.
        record: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The table or its index is not there.
    #[error("table {table:?} or its index does not exist")]
    TableMissing {
        /// The table's name.
        table: String,
        /// DynamoDB's own words.
        source: CallError,
    },
    /// DynamoDB knows the request and does not allow it.
    #[error("access to table {table:?} is denied")]
    AccessDenied {
        /// The table's name.
        table: String,
        /// DynamoDB's own words.
        source: CallError,
    },
    /// DynamoDB does not take the request: a table of another shape, or a fault of ours.
    #[error("the request to table {table:?} was refused")]
    Refused {
        /// The table's name.
        table: String,
        /// DynamoDB's own words.
        source: CallError,
    },
    /// DynamoDB throttled, failed, timed out or was not reached, and all retries are spent.
    #[error("table {table:?} {reason}; try again")]
    Unavailable {
        /// The table's name.
        table: String,
        /// What happened.
        reason: Unavailability,
        /// DynamoDB's own words; `None` where no single call failed.
        source: Option<CallError>,
    },
}

/// Why a table is unavailable, so that asking again is likely to help. The displayed text goes on after the
/// table's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unavailability {
    /// A call took longer than it may.
    NotInTime,
    /// There is no connection.
    Unreached,
    /// The table's capacity or a quota is used up.
    Throttled,
    /// DynamoDB answered that it failed.
    Failed,
    /// The answer is cut off, or it is not DynamoDB's.
    UnreadableAnswer,
    /// All calls were answered, but somebody kept writing the record meanwhile.
    ChangesTooFast,
}

impl fmt::Display for Unavailability {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(match self {
            Self::NotInTime => "did not answer in time",
            Self::Unreached => "could not be reached",
            Self::Throttled => "is throttled",
            Self::Failed => "failed",
            Self::UnreadableAnswer => "gave an answer that cannot be read",
            Self::ChangesTooFast => "changes faster than it can be read",
        })
    }
}

/// A failed call: the SDK's error, displayed with its causes, DynamoDB's code and message, and the request's
/// id.
///
/// The SDK's own `DisplayErrorContext` would add the whole request and answer, and with them records, which
/// must not get into a log.
#[derive(Debug, thiserror::Error)]
#[error("{words}")]
pub struct CallError {
    words: String,
    source: Box<dyn StdError + Send + Sync>,
}

impl CallError {
    /// Puts the SDK's error into words and keeps it.
    pub fn new<E>(error: SdkError<E>) -> Self
    where
        E: StdError + ProvideErrorMetadata + Send + Sync + 'static,
    {
        if let SdkError::ServiceError(service) = &error
            && service.err().code().is_none()
            && !service.raw().status().is_success()
        {
            let status = service.raw().status().as_u16();
            let words =
                format!("status {status} without a code of DynamoDB's: the endpoint is not a DynamoDB");
            return Self { words, source: Box::new(error) };
        }
        let mut words = vec![error.to_string()];
        let mut cause = StdError::source(&error);
        while let Some(error) = cause {
            words.push(error.to_string());
            cause = error.source();
        }
        for told in [error.code(), error.message()].into_iter().flatten() {
            if !words.iter().any(|said| said.contains(told)) {
                words.push(told.to_owned());
            }
        }
        words.dedup();
        if let Some(request_id) = error.request_id() {
            words.push(format!("request {request_id}"));
        }
        Self { words: words.join(": "), source: Box::new(error) }
    }
}

impl StoreError {
    /// Tells from the SDK's error what went wrong.
    pub fn from_sdk<E>(table: &str, error: SdkError<E>) -> Self
    where
        E: StdError + ProvideErrorMetadata + Send + Sync + 'static,
    {
        let (reason, code) = (unavailability(&error), error.code().map(str::to_owned));
        let (table, source) = (table.to_owned(), CallError::new(error));
        match (reason, code.as_deref()) {
            (Some(reason), _) => Self::Unavailable { table, reason, source: Some(source) },
            (None, Some("ResourceNotFoundException")) => Self::TableMissing { table, source },
            (None, Some(code)) if DENIED.contains(&code) => Self::AccessDenied { table, source },
            (None, _) => Self::Refused { table, source },
        }
    }

    /// Whether asking again is likely to help.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// The error where no single call failed.
    pub fn unavailable(table: &str, reason: Unavailability) -> Self {
        Self::Unavailable { table: table.to_owned(), reason, source: None }
    }
}

/// Why a call that failed may succeed at another time; `None` where it will not.
fn unavailability<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Option<Unavailability> {
    match error {
        SdkError::TimeoutError(_) => Some(Unavailability::NotInTime),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => Some(Unavailability::NotInTime),
        SdkError::DispatchFailure(failure) if failure.is_io() => Some(Unavailability::Unreached),
        // There was no request: credentials or a region are missing, or the endpoint is not a URL.
        SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_) => None,
        SdkError::ServiceError(service) => match (service.err().code(), service.raw().status()) {
            (Some(code), _) if THROTTLED.contains(&code) => Some(Unavailability::Throttled),
            (Some(code), _) if FAILED.contains(&code) => Some(Unavailability::Failed),
            (_, status) if status.is_server_error() || status.as_u16() == 429 => Some(Unavailability::Failed),
            // The body is cut off or not JSON. Whatever caused that on the way, another attempt may pass.
            (_, status) if status.is_success() => Some(Unavailability::UnreadableAnswer),
            _ => None,
        },
        _ => Some(Unavailability::UnreadableAnswer),
    }
}
