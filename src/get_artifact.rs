//! `GET /api/directory/dc/artifact`: the record of an image, and everything that happened to it.

use http::HeaderMap;
use serde::Serialize;
use serde_json::Number;

use crate::accept_encoding::ContentCoding;
use crate::document::{Document, Inflater, Spoiled};
use crate::error::Error;
use crate::etag;
use crate::gzip_splice::{GzipSplice, gzip_length_of_document, gzip_length_without_documents};
use crate::query::strconv::quote;
use crate::query::{ParameterError, Query};
use crate::request::{ArtifactLookup, WantedBy};
use crate::response::{self, Response};
use crate::response_limit::fits;
use crate::store::artifacts::environments::Step;
use crate::store::{
    Activities, ArtifactSearch, Deployment, EnvironmentSearch, NewestFound, Store, StoredArtifact, Usage,
};

/// An environment that an artifact was deployed to, as it is answered.
#[derive(Serialize)]
struct Environment {
    env_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    namespace: String,
    since: Number,
    running: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Number>,
}

/// What a request asks for.
pub struct ArtifactRequest<'a> {
    query: &'a Query,
    headers: &'a HeaderMap,
    lookup: ArtifactLookup,
}

impl<'a> ArtifactRequest<'a> {
    /// Reads what is asked for.
    ///
    /// # Errors
    /// The query names no artifact, or it cannot be read.
    pub fn read(query: &'a Query, headers: &'a HeaderMap) -> Result<Self, ParameterError> {
        Ok(Self { query, headers, lookup: ArtifactLookup::from_query(query)? })
    }

    /// What is asked for, as the log has it.
    pub fn subject(&self) -> String {
        match &self.lookup.wanted {
            WantedBy::Image(_) => self.query.first("image").unwrap_or_default().to_owned(),
            WantedBy::Search(search, _) => search.to_string(),
            WantedBy::Environment(search) => search.to_string(),
        }
    }

    /// Answers it.
    ///
    /// # Errors
    /// An [`Error`], which says what the caller reads.
    pub async fn answer(self, store: &Store, usage: &Usage) -> Result<Response, Error> {
        let ArtifactLookup { wanted, with_environments } = self.lookup;
        let (artifact, next) = find(store, self.query, wanted, usage).await?;
        let environments =
            if with_environments { Some(environments(store, &artifact, usage).await?) } else { None };
        let etag = etag::of_artifact(&artifact.revision, environments.as_deref());
        let next = next.as_deref();
        if etag::is_known(self.headers, &etag) {
            return Ok(response::with_next(response::not_modified(&etag), next));
        }
        let coding = ContentCoding::accepted(self.headers);
        let body = body(store, &artifact, environments.as_deref(), coding)?;
        if !fits(coding, &body, next.map(str::len)) {
            let remedy = match coding {
                ContentCoding::Identity => ": accept gzip",
                ContentCoding::Gzip => "",
            };
            return Err(Error::ArtifactTooLarge { artifact_id: artifact.position.id().to_owned(), remedy });
        }
        Ok(response::with_next(response::ok(&etag, coding, body), next))
    }
}

/// The newest artifact that is wanted, and the query of the next older one.
async fn find(
    store: &Store,
    query: &Query,
    wanted: WantedBy,
    usage: &Usage,
) -> Result<(StoredArtifact, Option<String>), Error> {
    let given = |name| query.first(name).unwrap_or_default();
    match wanted {
        WantedBy::Image(image) => {
            let artifact = store.newest_artifact(&image, usage).await?;
            let none = || Error::NoArtifact(format!("for image {}", quote(given("image"))));
            Ok((artifact.ok_or_else(none)?, None))
        }
        WantedBy::Search(search, older_than) => {
            let found = store.find_newest_artifact(&search, older_than, usage).await?;
            let none = || {
                Error::NoArtifact(match &search {
                    ArtifactSearch::Commit(_, None) => format!("for commit {}", quote(given("commit"))),
                    ArtifactSearch::Commit(_, Some(repository)) => {
                        format!("for commit {} of {}", quote(given("commit")), quote(repository))
                    }
                    ArtifactSearch::PullRequest(_, repository) => {
                        format!("for pull request {} of {}", given("pr"), quote(repository))
                    }
                })
            };
            let NewestFound { artifact, has_older, .. } = found.ok_or_else(none)?;
            let next = has_older.then(|| query.with("after", artifact.position.as_str()));
            Ok((artifact, next))
        }
        WantedBy::Environment(EnvironmentSearch { env_name, namespace, repository, after }) => {
            let (namespace, after) = (namespace.as_deref(), after.as_deref());
            let in_namespace = namespace.map(|namespace| format!(" ({})", quote(namespace)));
            let environment = quote(&env_name) + &in_namespace.unwrap_or_default();
            if let Some(repository) = repository {
                let artifact = store.running_in(&repository, &env_name, namespace, usage).await?;
                let none = || Error::NoArtifact(format!("of {} runs in {environment}", quote(&repository)));
                return Ok((artifact.ok_or_else(none)?, None));
            }
            let Step { artifact, next } = store.next_running(&env_name, namespace, after, usage).await?;
            let next = next.map(|next| query.with("after", &next));
            match artifact {
                Some(artifact) => Ok((artifact, next)),
                None => Err(Error::NothingRuns { environment, next }),
            }
        }
    }
}

/// The value of the member `environments`, as JSON. It is worked out from the artifact's activities, and from
/// what was deployed to the same environments later.
async fn environments(store: &Store, artifact: &StoredArtifact, usage: &Usage) -> Result<String, Error> {
    let id = artifact.position.id();
    let json = artifact.document.unpack().map_err(|spoiled| store.unreadable_artifact(id, spoiled))?;
    let Activities { deployments, .. } =
        Activities::of(&json).map_err(|error| store.unreadable_artifact(id, error))?;
    let running = store.are_running(id, &artifact.repository, &deployments, usage).await?;
    let environments: Vec<_> = deployments
        .into_iter()
        .zip(running)
        .map(|(Deployment { env_name, namespace, since, until }, running)| Environment {
            env_name,
            namespace,
            since,
            running,
            until,
        })
        .collect();
    Ok(serde_json::to_string(&environments).expect("texts, numbers and booleans always serialize"))
}

fn body(
    store: &Store,
    artifact: &StoredArtifact,
    environments: Option<&str>,
    coding: ContentCoding,
) -> Result<Vec<u8>, Error> {
    let mut text = Vec::new();
    if coding == ContentCoding::Identity || environments.is_some() {
        let unreadable = |spoiled: Spoiled| store.unreadable_artifact(artifact.position.id(), spoiled);
        Inflater::default().append(&artifact.document, &mut text).map_err(unreadable)?;
    }
    if let Some(environments) = environments {
        text.pop();
        text.extend_from_slice(b",\"environments\":");
        text.extend_from_slice(environments.as_bytes());
        text.push(b'}');
    }
    let document = match (coding, environments) {
        (ContentCoding::Identity, _) => return Ok(text),
        (ContentCoding::Gzip, None) => &artifact.document,
        // The stored document ends in a `}`, behind which no member can be added, so the text is packed anew.
        (ContentCoding::Gzip, Some(_)) => &packed(store, artifact, &text)?,
    };
    let length = gzip_length_of_document(document.packed_length(), 0);
    let mut splice = GzipSplice::with_capacity(gzip_length_without_documents(0) + length);
    splice.document(document);
    Ok(splice.finish())
}

fn packed(store: &Store, artifact: &StoredArtifact, text: &[u8]) -> Result<Document, Error> {
    let id = artifact.position.id();
    let text = str::from_utf8(text).map_err(|error| store.unreadable_artifact(id, error))?;
    Ok(Document::pack(text).map_err(|too_long| store.unreadable_artifact(id, too_long))?)
}
