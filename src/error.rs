//! What can go wrong, and the status, message and description the caller reads of it.

use crate::position::Position;
use crate::strconv::{AtoiError, quote};

/// A cause that is logged, and never answered.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// Everything that can keep an endpoint from its answer; displayed as the answer's `description`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something invoked the function that is not an HTTP request.
    #[error(
        "the event is not an HTTP request of API Gateway, an Application Load Balancer or a Function URL"
    )]
    UnreadableEvent,
    /// `taskId` is no number.
    #[error(transparent)]
    UnreadableTaskId(AtoiError),
    /// `per_page` is no number; the words are Zadig's.
    #[error("perPage args err :{0}")]
    UnreadablePerPage(AtoiError),
    /// `page` is no number; the words are Zadig's.
    #[error("page args err :{0}")]
    UnreadablePage(AtoiError),
    /// `after` is no cursor.
    #[error("after {} is not a cursor: take one from a Link header", quote(.after))]
    UnreadableAfter {
        /// What was given.
        after: Vec<u8>,
    },
    /// `after` names a place, `page` and `per_page` another one.
    #[error("after cannot be combined with page or per_page")]
    AfterWithPage,
    /// A page is never answered in part.
    #[error(
        "page {page} with per_page {per_page} does not fit into one response of 6 MiB: \
         per_page={fitting_per_page} fits there (page={fitting_page} begins with the same release)"
    )]
    PageTooLarge {
        /// The page asked for.
        page: u64,
        /// The releases a page asked for.
        per_page: u64,
        /// The page of `fitting_per_page` that begins where the page asked for does.
        fitting_page: u64,
        /// Releases a page that fit.
        fitting_per_page: u64,
    },
    /// One release alone is larger than a response.
    #[error(
        "release {} does not fit into one response of 6 MiB: {remedy}pass it by with after={position}",
        quote(.position.id().as_bytes())
    )]
    ReleaseTooLarge {
        /// The release, and the cursor that passes it by.
        position: Position,
        /// What else would help, ending in a comma and `or`.
        remedy: &'static str,
    },
    /// An artifact is larger than a response.
    #[error("artifact {} does not fit into one response of 6 MiB{remedy}", quote(.artifact_id.as_bytes()))]
    ArtifactTooLarge {
        /// The artifact.
        artifact_id: String,
        /// What would help, behind a colon.
        remedy: &'static str,
    },
    /// `image` is missing; the words are Zadig's.
    #[error("image can't be empty!")]
    NoImage,
    /// A digest that is none.
    #[error(
        "image digest {} is neither sha256: and 64 nor sha512: and 128 lower-case hex digits",
        quote(.digest.as_bytes())
    )]
    UnreadableDigest {
        /// What was given.
        digest: String,
    },
    /// No artifact has that image.
    #[error("no artifact for image {}", quote(.image))]
    NoSuchArtifact {
        /// What was asked for.
        image: Vec<u8>,
    },
    /// The path is not the endpoint's.
    #[error("no such path {}", quote(.path.as_bytes()))]
    NoSuchPath {
        /// What was asked for.
        path: String,
    },
    /// The method is not the endpoint's.
    #[error("use GET")]
    MethodNotAllowed,
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
    /// The table or its index is not there.
    #[error("table {table:?} or its index does not exist")]
    TableMissing {
        /// The table's name.
        table: String,
        /// DynamoDB's own words.
        source: Source,
    },
    /// DynamoDB knows the request and does not allow it.
    #[error("access to table {table:?} is denied")]
    AccessDenied {
        /// The table's name.
        table: String,
        /// DynamoDB's own words.
        source: Source,
    },
    /// DynamoDB does not take the request: a table of another shape, or a fault of ours.
    #[error("the request to table {table:?} was refused")]
    Refused {
        /// The table's name.
        table: String,
        /// DynamoDB's own words.
        source: Source,
    },
    /// DynamoDB throttled, failed, timed out or was not reached, retries spent.
    #[error("table {table:?} {reason}; try again")]
    Unavailable {
        /// The table's name.
        table: String,
        /// What happened, behind the table's name.
        reason: &'static str,
        /// What happened to the call, where there was one.
        source: Option<Source>,
    },
    /// The handler panicked; what it said is in the log.
    #[error("the request met a fault of this service")]
    Panicked,
    /// The time for one request was spent.
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
    /// Not a GET.
    MethodNotAllowed,
    /// The operator has something to mend.
    InternalError,
    /// Asking again is likely to help.
    ServiceUnavailable,
}

impl Status {
    /// The HTTP status code, which is also the answer's `code`.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::InternalError => 500,
            Self::ServiceUnavailable => 503,
        }
    }

    /// The answer's `message`; Zadig's words, which are not always HTTP's.
    #[must_use]
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
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::UnreadableEvent
            | Self::UnreadableTaskId(_)
            | Self::UnreadablePerPage(_)
            | Self::UnreadablePage(_)
            | Self::UnreadableAfter { .. }
            | Self::AfterWithPage
            | Self::PageTooLarge { .. }
            | Self::ReleaseTooLarge { .. }
            | Self::ArtifactTooLarge { .. }
            | Self::NoImage
            | Self::UnreadableDigest { .. } => Status::BadRequest,
            Self::NoSuchArtifact { .. } | Self::NoSuchPath { .. } => Status::NotFound,
            Self::MethodNotAllowed => Status::MethodNotAllowed,
            Self::UnreadableRecord { .. }
            | Self::TableMissing { .. }
            | Self::AccessDenied { .. }
            | Self::Refused { .. }
            | Self::Panicked => Status::InternalError,
            Self::Unavailable { .. } | Self::OutOfTime => Status::ServiceUnavailable,
        }
    }
}
