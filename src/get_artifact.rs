//! `GET /api/directory/dc/artifact`: an image's record and everything that happened to it.

use http::HeaderMap;

use crate::document::{GzipSplice, Inflater, gzip_length_of_document, gzip_length_without_documents};
use crate::error::Error;
use crate::image_reference::ImageReference;
use crate::request::{ParameterError, Query};
use crate::request_headers::{ContentCoding, matches_etag};
use crate::response::{self, Response};
use crate::response_limit::fits;
use crate::store::{Store, StoredArtifact, Usage};

/// The image that a query asks for, for the log.
///
/// # Errors
/// That there is none, or that it cannot be read.
pub fn subject(query: &Query) -> Result<String, ParameterError> {
    let image = query.first("image").ok_or(ParameterError::NoImage)?;
    ImageReference::parse(image).map_err(ParameterError::Digest)?;
    Ok(image.to_owned())
}

/// Answers a request for an artifact.
///
/// # Errors
/// What the contract's error table names.
pub async fn answer(
    store: &Store,
    query: &Query,
    headers: &HeaderMap,
    usage: &Usage,
) -> Result<Response, Error> {
    let image = query.first("image").ok_or(ParameterError::NoImage)?;
    let reference = ImageReference::parse(image).map_err(ParameterError::Digest)?;
    let artifact = store.newest_artifact(&reference, usage).await?;
    let artifact = artifact.ok_or_else(|| Error::NoSuchArtifact { image: image.to_owned() })?;
    let etag = format!("W/\"{}\"", artifact.revision);
    if matches_etag(headers, &etag) {
        return Ok(response::not_modified(&etag));
    }
    let coding = ContentCoding::accepted(headers);
    Ok(response::ok(&etag, coding, body(store, &artifact, coding)?))
}

fn body(store: &Store, artifact: &StoredArtifact, coding: ContentCoding) -> Result<Vec<u8>, Error> {
    let document = &artifact.document;
    let body = match coding {
        ContentCoding::Gzip => {
            let length = gzip_length_of_document(document.packed_length(), 0);
            let mut splice = GzipSplice::with_capacity(gzip_length_without_documents(0) + length);
            splice.document(document);
            splice.finish()
        }
        ContentCoding::Identity => {
            let mut text = Vec::new();
            let unreadable = |spoiled| store.unreadable_artifact(artifact.position.id(), spoiled);
            Inflater::default().append(document, &mut text).map_err(unreadable)?;
            text
        }
    };
    if fits(coding, &body, None) {
        return Ok(body);
    }
    let remedy = match coding {
        ContentCoding::Identity => ": accept gzip",
        ContentCoding::Gzip => "",
    };
    Err(Error::ArtifactTooLarge { artifact_id: artifact.position.id().to_owned(), remedy })
}
