//! What can go wrong with the tables, and whether asking again is likely to help.

use std::error::Error as StdError;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::RequestId as _;

pub use crate::unavailability::Unavailability;

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
        let (reason, code) = (Unavailability::of_error(&error), error.code().map(str::to_owned));
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
