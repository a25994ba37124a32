//! Which artifact a caller asks for, and whether the answer tells where it runs.

use super::extent;
use crate::commit_prefix::CommitPrefix;
use crate::image_reference::{ImageDigest, ImageReference, repository, without_scheme};
use crate::position::Position;
use crate::query::{ParameterError, Query, strconv};
use crate::store::keys::MAX_RANGE_KEY_BYTES;
use crate::store::{ArtifactSearch, EnvironmentSearch};

/// What a query for an artifact says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactLookup {
    /// Which artifact.
    pub wanted: WantedBy,
    /// Whether the answer tells where the artifact runs.
    pub with_environments: bool,
}

/// How an artifact is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WantedBy {
    /// The newest of an image or a digest.
    Image(ImageReference),
    /// The newest one that a search finds; where there is a position, the newest one that is older.
    Search(ArtifactSearch, Option<Position>),
    /// What runs in an environment.
    Environment(EnvironmentSearch),
}

impl ArtifactLookup {
    /// Reads `image`, `commit`, `pr`, `repo`, `envName`, `namespace`, `after` and `include`.
    ///
    /// # Errors
    /// None of `image`, `commit`, `pr` and `envName` is given, or more than one of the first three; or the first of `image`, `commit`, `pr`,
    /// `repo`, `envName` and `after` that cannot be read is reported.
    pub fn from_query(query: &Query) -> Result<Self, ParameterError> {
        let given = [query.first("image"), query.first("commit"), query.first("pr")];
        let env_name = query.first("envName");
        let after = query.first("after");
        let wanted = match given {
            [None, None, None] => {
                let Some(env_name) = env_name else { return Err(ParameterError::NoImage) };
                let after = after.map(place_in_environment).transpose()?;
                WantedBy::Environment(environment(query, env_name, None, after))
            }
            [Some(image), None, None] => {
                let reference = ImageReference::parse(image).map_err(ParameterError::Digest)?;
                let wanted = match env_name {
                    None => WantedBy::Image(reference),
                    Some(env_name) => {
                        let repository = image_repository(image)?.to_owned();
                        WantedBy::Environment(environment(query, env_name, Some(repository), None))
                    }
                };
                if after.is_some() {
                    return Err(ParameterError::AfterWithImage);
                }
                wanted
            }
            [None, commit, pr] if commit.is_none() || pr.is_none() => {
                let commit = commit.map(CommitPrefix::parse).transpose().map_err(ParameterError::Commit)?;
                let number = pr.map(pull_request).transpose()?;
                let repository = query.first("repo").map(repository_name).transpose()?;
                let search = match (commit, number, repository) {
                    (Some(commit), _, repository) => ArtifactSearch::Commit(commit, repository),
                    (None, Some(number), Some(repository)) => ArtifactSearch::PullRequest(number, repository),
                    (None, _, _) => return Err(ParameterError::NoRepository),
                };
                if env_name.is_some() {
                    return Err(ParameterError::EnvironmentWithoutRepository);
                }
                WantedBy::Search(search, after.map(extent::cursor).transpose()?)
            }
            _ => return Err(ParameterError::SeveralArtifacts),
        };
        Ok(Self { wanted, with_environments: query.first("include") == Some("environments") })
    }
}

fn environment(
    query: &Query,
    env_name: &str,
    repository: Option<String>,
    after: Option<String>,
) -> EnvironmentSearch {
    let namespace = query.first("namespace").map(str::to_owned);
    EnvironmentSearch { env_name: env_name.to_owned(), namespace, repository, after }
}

/// Reads an image's repository. It must have neither tag nor digest: the question is which version runs.
fn image_repository(image: &str) -> Result<&str, ParameterError> {
    let image = without_scheme(image);
    if repository(image) != image || ImageDigest::parse(image).is_some() {
        return Err(ParameterError::EnvironmentWithoutRepository);
    }
    Ok(image)
}

/// Reads where a walk through an environment goes on.
fn place_in_environment(after: &str) -> Result<String, ParameterError> {
    let has_form = after.contains('#') && after.len() <= MAX_RANGE_KEY_BYTES;
    if has_form { Ok(after.to_owned()) } else { Err(ParameterError::After(after.to_owned())) }
}

fn pull_request(number: &str) -> Result<u64, ParameterError> {
    let read = strconv::atoi(number).map_err(ParameterError::PullRequest)?;
    let positive = u64::try_from(read).ok().filter(|number| *number > 0);
    positive.ok_or_else(|| ParameterError::PullRequestBelowOne(number.to_owned()))
}

/// Reads `owner/name`. There may be more than one `/`, since an owner may be a group within a group.
fn repository_name(repository: &str) -> Result<String, ParameterError> {
    let has_form = repository.contains('/') && repository.split('/').all(|part| !part.is_empty());
    if has_form { Ok(repository.to_owned()) } else { Err(ParameterError::Repository(repository.to_owned())) }
}
