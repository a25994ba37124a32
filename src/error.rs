//! What can go wrong with a request, and the status, message and description that the caller then reads.

use http::StatusCode;

use crate::position::Position;
use crate::query::strconv::quote;
use crate::query::{ParameterError, encoded};
use crate::store::StoreError;

/// Everything that can keep an endpoint from answering. The displayed text is the answer's `description`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The event is an HTTP request that cannot be read.
    #[error("the request cannot be read: HTTP does not allow its {part}")]
    UnreadableRequest {
        /// What of it cannot be read.
        part: &'static str,
    },
    /// A parameter cannot be read.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// A page does not fit into a response. It is never answered in part.
    #[error(
        "page {page} with per_page {per_page} does not fit into one response of 6 MiB: \
         per_page={fitting_per_page} fits there (page={fitting_page} begins with the same release)"
    )]
    PageTooLarge {
        /// The page asked for.
        page: u64,
        /// How many releases a page was to have.
        per_page: u64,
        /// Where pages have `fitting_per_page` releases, the page that begins with the same release.
        fitting_page: u64,
        /// How many releases a page may have so that it fits.
        fitting_per_page: u64,
    },
    /// A page lies deeper in a combination of filters than one request searches.
    #[error(
        "page {page} lies too deep: this combination of filters was searched as far as one request can; \
         leave out page and per_page, and follow the Link header"
    )]
    PageTooDeep {
        /// The page asked for.
        page: u64,
    },
    /// One release alone is larger than a response.
    #[error(
        "release {} does not fit into one response of 6 MiB: {remedy}pass it by with after={}",
        quote(.position.id()),
        encoded(.position.as_str())
    )]
    ReleaseTooLarge {
        /// The position of the release, which is also the cursor that passes it by.
        position: Position,
        /// What else would help; where it is not empty, it ends in a comma and `or `.
        remedy: &'static str,
    },
    /// An artifact is larger than a response.
    #[error("artifact {} does not fit into one response of 6 MiB{remedy}", quote(.artifact_id))]
    ArtifactTooLarge {
        /// The artifact's id.
        artifact_id: String,
        /// What would help, after a colon; empty where nothing would.
        remedy: &'static str,
    },
    /// No artifact is what was asked for, which the text says.
    #[error("no artifact {0}")]
    NoArtifact(String),
    /// Nothing runs in an environment, as far as one request looks.
    #[error("nothing runs in {environment}")]
    NothingRuns {
        /// The environment, and the namespace, where one was asked for.
        environment: String,
        /// The query that looks further, where more were deployed there.
        next: Option<String>,
    },
    /// The path is not the endpoint's.
    #[error("no such path {}", quote(.path))]
    NoSuchPath {
        /// What was asked for.
        path: String,
    },
    /// The method is not the endpoint's.
    #[error("use GET")]
    MethodNotAllowed,
    /// Something is wrong with the tables.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The handler panicked. The panic's message and place are in the log already.
    #[error("the request met a fault of this service")]
    Panicked,
    /// The request took longer than it may.
    #[error("the request took too long; try again")]
    OutOfTime,
}

/// An HTTP status that an error is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The caller's request cannot be answered as it is.
    BadRequest,
    /// There is nothing there.
    NotFound,
    /// Neither GET nor HEAD.
    MethodNotAllowed,
    /// The operator has something to mend.
    InternalError,
    /// Asking again is likely to help.
    ServiceUnavailable,
}

impl Status {
    /// The HTTP status code, which is also the answer's `code`.
    pub fn code(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
            Self::ServiceUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The answer's `message`, in Zadig's words, which are not always those of HTTP.
    pub fn message(self) -> &'static str {
        match self {
            Self::BadRequest => "Bad Request",
            Self::NotFound => "Not Found",
            Self::MethodNotAllowed => "Method Not Allowed",
            Self::InternalError => "Internal Error",
            Self::ServiceUnavailable => "Service Unavailable",
        }
    }
}

impl Error {
    /// The status it is answered with.
    pub fn status(&self) -> Status {
        match self {
            Self::UnreadableRequest { .. }
            | Self::Parameter(_)
            | Self::PageTooLarge { .. }
            | Self::PageTooDeep { .. }
            | Self::ReleaseTooLarge { .. }
            | Self::ArtifactTooLarge { .. } => Status::BadRequest,
            Self::NoArtifact(_) | Self::NothingRuns { .. } | Self::NoSuchPath { .. } => Status::NotFound,
            Self::MethodNotAllowed => Status::MethodNotAllowed,
            Self::Store(
                StoreError::UnreadableRecord { .. }
                | StoreError::Unstorable { .. }
                | StoreError::TableMissing { .. }
                | StoreError::AccessDenied { .. }
                | StoreError::Refused { .. },
            )
            | Self::Panicked => Status::InternalError,
            Self::Store(StoreError::Unavailable { .. }) | Self::OutOfTime => Status::ServiceUnavailable,
        }
    }
}
