//! Asks both endpoints, and reads their answers: in this process over the tables, by the functions' own code; or
//! those of a deployed API.
//!
//! - `deployed_api`: the latter, over HTTP;
//! - `stored_text`: text out of a record, made harmless where it is shown;
//! - `lenient`, `commit`, `release`, `artifact`: what the tool reads of the JSON.

mod artifact;
mod commit;
mod deployed_api;
mod lenient;
mod release;
mod stored_text;

use std::io::Read as _;

pub use artifact::{ActivityInfo, ArtifactInfo, EnvironmentInfo};
pub use commit::CommitInfo;
use delivery_center::endpoint::Endpoint;
use delivery_center::error::{Error, Status};
use delivery_center::get_artifact::ArtifactRequest;
use delivery_center::list_releases::ListRequest;
use delivery_center::query::Query;
use delivery_center::response::Response;
use delivery_center::service::log_fault;
use delivery_center::store::{Store, Usage};
pub use deployed_api::{Access, ApiError, DeployedApi};
use flate2::read::GzDecoder;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue, LINK};
use http::{HeaderMap, StatusCode};
pub use release::{BuildInfo, DeployInfo, EnvInfo, ReleaseInfo, VersionInfo};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
pub use stored_text::{StoredText, harmless, is_harmful};

/// How many releases are asked for as one page. More are read by following `Link`, so that no page has to fit
/// into an answer.
const MAX_RELEASES_A_PAGE: usize = 100;
/// What a deployed API answers is no longer than that.
const MAX_JSON_BYTES: u64 = 1 << 28;

/// Both endpoints.
pub enum Endpoints {
    /// In this process, over the tables.
    InProcess(Store),
    /// Of a deployed API.
    Deployed(DeployedApi),
}

/// A 200: its JSON, and the query for what comes next.
pub struct Answered {
    /// The body.
    pub json: String,
    /// The query that `Link: rel="next"` refers to.
    pub next: Option<Query>,
}

/// The newest releases of a list.
pub struct Releases {
    /// Each in the endpoint's own JSON.
    pub releases: Vec<Box<RawValue>>,
    /// Whether older ones match too.
    pub has_more: bool,
}

/// What every artifact has.
#[derive(Deserialize)]
struct Identified {
    #[serde(rename = "id")]
    _id: IgnoredAny,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The endpoint's own error, with its cause.
    #[error("{0}")]
    Refused(#[from] Error),
    /// A deployed API's error, or what stands in the way to it.
    #[error("{0}")]
    Api(#[from] ApiError),
    /// The answer is not the JSON that docs/api.md describes.
    #[error("the answer cannot be read")]
    Unreadable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl AskError {
    /// Whether the endpoint answers with this status.
    pub fn has_status(&self, status: Status) -> bool {
        match self {
            Self::Refused(error) => error.status() == status,
            Self::Api(ApiError::Answered { status: answered, .. }) => *answered == status.code(),
            Self::Api(_) | Self::Unreadable(_) => false,
        }
    }

    /// The query that goes on behind a step of an environment's walk in which nothing runs.
    pub fn next(&self) -> Option<Query> {
        match self {
            Self::Refused(Error::NothingRuns { next, .. }) => next.as_deref().map(Query::parse),
            Self::Api(ApiError::Answered { next, .. }) => next.clone(),
            _ => None,
        }
    }
}

impl Endpoints {
    /// Asks an endpoint, as a `GET` with this query does. A fault in this process is logged as the functions log
    /// it.
    ///
    /// # Errors
    /// Every answer but a 200. What cannot be read of the query is told without asking.
    pub async fn ask(&self, endpoint: Endpoint, query: &Query) -> Result<Answered, AskError> {
        // With gzip, about five times as much fits into an answer.
        let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("gzip"))]);
        match self {
            Self::InProcess(store) => {
                let answer = answer(store, endpoint, query, &headers).await;
                let answer = answer.inspect_err(|error| log_fault(endpoint, error, ""))?;
                answered(answer.headers(), answer.body(), u64::MAX)
            }
            Self::Deployed(api) => {
                let readable = match endpoint {
                    Endpoint::ListReleases => ListRequest::read(query, &headers).map(drop),
                    Endpoint::GetArtifact => ArtifactRequest::read(query, &headers).map(drop),
                };
                readable.map_err(Error::from)?;
                let answer = api.get(endpoint, query, &headers).await?;
                if answer.status() != StatusCode::OK {
                    return Err(ApiError::from(answer).into());
                }
                let answered = answered(answer.headers(), answer.body(), MAX_JSON_BYTES)?;
                let is_answer = match endpoint {
                    Endpoint::ListReleases => read::<Vec<IgnoredAny>>(&answered.json).is_ok(),
                    Endpoint::GetArtifact => read::<Identified>(&answered.json).is_ok(),
                };
                if is_answer { Ok(answered) } else { Err(api.something_else("other JSON").into()) }
            }
        }
    }

    /// The newest `limit` releases that match.
    ///
    /// They are asked for as one page, which reads no more than that. If there are many, or the page is too
    /// large for one answer, the list is followed from answer to answer instead.
    ///
    /// # Errors
    /// [`AskError`]. It is no error that no release matches.
    pub async fn newest_releases(
        &self,
        parameters: &[(&str, String)],
        limit: usize,
    ) -> Result<Releases, AskError> {
        if limit <= MAX_RELEASES_A_PAGE {
            let page = [("page", "1".to_owned()), ("per_page", limit.to_string())];
            match self.ask(Endpoint::ListReleases, &[parameters, &page].concat().into_iter().collect()).await
            {
                // If the question itself is what cannot be read, it is refused again there.
                Err(error) if error.has_status(Status::BadRequest) => {}
                Err(error) => return Err(error),
                Ok(Answered { json, next }) => {
                    return Ok(Releases { releases: read(&json)?, has_more: next.is_some() });
                }
            }
        }
        let mut releases: Vec<Box<RawValue>> = Vec::new();
        let mut next = Some(parameters.iter().cloned().collect());
        while let Some(query) = next.filter(|_| releases.len() <= limit) {
            let answered = self.ask(Endpoint::ListReleases, &query).await?;
            releases.extend(read::<Vec<Box<RawValue>>>(&answered.json)?);
            next = answered.next;
        }
        let has_more = releases.len() > limit;
        releases.truncate(limit);
        Ok(Releases { releases, has_more })
    }
}

/// Reads an answer's JSON.
///
/// # Errors
/// [`AskError::Unreadable`].
pub fn read<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, AskError> {
    serde_json::from_str(json).map_err(|error| AskError::Unreadable(error.into()))
}

async fn answer(
    store: &Store,
    endpoint: Endpoint,
    query: &Query,
    headers: &HeaderMap,
) -> Result<Response, Error> {
    let usage = Usage::default();
    Ok(match endpoint {
        Endpoint::ListReleases => ListRequest::read(query, headers)?.answer(store, &usage).await?.0,
        Endpoint::GetArtifact => ArtifactRequest::read(query, headers)?.answer(store, &usage).await?,
    })
}

fn answered(headers: &HeaderMap, body: &[u8], max_bytes: u64) -> Result<Answered, AskError> {
    let mut json = String::new();
    let read = match headers.get(CONTENT_ENCODING) {
        Some(_) => GzDecoder::new(body).take(max_bytes).read_to_string(&mut json),
        None => { body }.read_to_string(&mut json),
    };
    read.map_err(|error| AskError::Unreadable(error.into()))?;
    Ok(Answered { json, next: next_query(headers) })
}

/// The query in `Link: <?query>; rel="next"`.
fn next_query(headers: &HeaderMap) -> Option<Query> {
    let link = headers.get(LINK)?.to_str().ok()?;
    let query = link.strip_prefix("<?")?.strip_suffix(">; rel=\"next\"")?;
    Some(Query::parse(query))
}

#[cfg(test)]
mod tests {
    use serde::de::value::{Error, MapDeserializer};
    use serde::de::{DeserializeOwned, Error as _, Visitor};
    use serde::{Deserializer, forward_to_deserialize_any};

    use super::release::{ContainerInfo, DistributeInfo, ImageInfo, ServiceInfo};
    use super::*;
    use crate::record::fields::{
        ACTIVITY, ARTIFACT, BUILD_INFO, DEPLOY_INFO, DISTRIBUTE_INFO, Fields, VERSION_INFO,
    };

    /// Takes down which fields a struct is read from.
    struct FieldNames<'a>(&'a mut Vec<&'static str>);

    impl<'de> Deserializer<'de> for FieldNames<'_> {
        type Error = Error;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
            Err(Error::custom("it is no struct"))
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, Error> {
            self.0.extend(fields);
            visitor.visit_map(MapDeserializer::new(std::iter::empty::<(&str, &str)>()))
        }

        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    #[track_caller]
    fn assert_known<T: DeserializeOwned>(fields: &Fields, more: &[&str]) {
        let mut names = Vec::new();
        T::deserialize(FieldNames(&mut names)).unwrap();
        assert!(!names.is_empty());
        for name in names {
            assert!(
                more.contains(&name) || fields.all().any(|field| field.shown == name),
                "{name} is no documented field"
            );
        }
    }

    fn inside(fields: &'static Fields, name: &str) -> &'static Fields {
        fields.all().find(|field| field.shown == name).unwrap().inside().unwrap()
    }

    #[test]
    fn what_is_read_of_an_answer_are_documented_fields() {
        let environment = inside(&VERSION_INFO, "productEnvInfo");
        let service = inside(environment, "services");
        assert_known::<VersionInfo>(&VERSION_INFO, &[]);
        assert_known::<EnvInfo>(environment, &[]);
        assert_known::<ServiceInfo>(service, &[]);
        assert_known::<ContainerInfo>(inside(service, "containers"), &[]);
        assert_known::<BuildInfo>(&BUILD_INFO, &[]);
        assert_known::<ImageInfo>(inside(&BUILD_INFO, "imageInfo"), &[]);
        assert_known::<CommitInfo>(inside(&BUILD_INFO, "commits"), &[]);
        assert_known::<DeployInfo>(&DEPLOY_INFO, &[]);
        assert_known::<DistributeInfo>(&DISTRIBUTE_INFO, &[]);
        assert_known::<ArtifactInfo>(&ARTIFACT, &["activities", "environments"]);
        assert_known::<ActivityInfo>(&ACTIVITY, &[]);
        assert_known::<CommitInfo>(inside(&ACTIVITY, "commits"), &[]);
    }
}
