//! `GET /api/directory/dc/artifact`: an image's record and everything that happened to it.

use crate::document::{GzipSplice, Inflater, gzip_length};
use crate::error::Error;
use crate::event::Request;
use crate::image_reference::ImageReference;
use crate::query::Query;
use crate::response::{Body, Encoding, MAX_RESPONSE_BYTES, Response, TextBody, matches_etag};
use crate::store::{Meter, Store, StoredArtifact};

/// The image that a query asks for, for the log.
///
/// # Errors
/// That there is none, or that it cannot be read.
pub fn subject(query: &Query) -> Result<String, Error> {
    let image = query.first("image").ok_or(Error::NoImage)?;
    ImageReference::parse(image)?;
    Ok(String::from_utf8_lossy(image).into_owned())
}

/// Answers a request for an artifact.
///
/// # Errors
/// What the contract's error table names.
pub async fn answer(store: &Store, request: &Request, meter: &Meter) -> Result<Response, Error> {
    let image = request.query.first("image").ok_or(Error::NoImage)?;
    let reference = ImageReference::parse(image)?;
    let artifact = store.newest_artifact(&reference, meter).await?;
    let artifact = artifact.ok_or_else(|| Error::NoSuchArtifact { image: image.to_vec() })?;
    let etag = format!("W/\"{}\"", artifact.revision);
    if matches_etag(request.headers.if_none_match.as_deref(), &etag) {
        return Ok(Response::not_modified(&etag));
    }
    response(store, &etag, &artifact, request)
}

fn response(
    store: &Store,
    etag: &str,
    artifact: &StoredArtifact,
    request: &Request,
) -> Result<Response, Error> {
    let encoding = Encoding::accepted(request.headers.accept_encoding.as_deref());
    let body = match encoding {
        Encoding::Gzip => {
            let mut splice =
                GzipSplice::with_capacity(gzip_length(0, [(artifact.document.packed_length(), 0)]));
            splice.document(&artifact.document);
            Body::Gzip(splice.finish())
        }
        Encoding::Identity => {
            let mut inflater = Inflater::default();
            let unreadable = |spoiled| store.unreadable_artifact(artifact.position.id(), spoiled);
            let text = inflater.text(&artifact.document).map_err(unreadable)?;
            let mut escaped = TextBody::with_capacity(text.len() + text.len() / 4);
            escaped.push(text);
            Body::Text(escaped)
        }
    };
    let response = Response::ok(etag, body);
    if response.json_length(request.response_shape) > MAX_RESPONSE_BYTES {
        let remedy = match encoding {
            Encoding::Identity => ": accept gzip",
            Encoding::Gzip => "",
        };
        return Err(Error::ArtifactTooLarge { artifact_id: artifact.position.id().to_owned(), remedy });
    }
    Ok(response)
}
