//! Which artifact a caller asks for, and whether the answer tells where it runs.

use super::extent;
use crate::commit_prefix::CommitPrefix;
use crate::image_reference::{ImageDigest, ImageReference, repository, without_scheme};
use crate::position::Position;
use crate::query::{ParameterError, Query, strconv};
use crate::store::ArtifactSearch;

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
}

impl ArtifactLookup {
    /// Reads `image`, `commit`, `pr`, `repo`, `envName`, `namespace`, `after` and `include`.
    ///
    /// # Errors
    /// None or more than one of `image`, `commit` and `pr` is given; or the first of `image`, `commit`, `pr`,
    /// `repo`, `envName` and `after` that cannot be read is reported.
    pub fn from_query(query: &Query) -> Result<Self, ParameterError> {
        let given = [query.first("image"), query.first("commit"), query.first("pr")];
        let env_name = query.first("envName");
        let after = query.first("after");
        let wanted = match given {
            [None, None, None] => return Err(ParameterError::NoImage),
            [Some(image), None, None] => {
                let reference = ImageReference::parse(image).map_err(ParameterError::Digest)?;
                let wanted = match env_name {
                    None => WantedBy::Image(reference),
                    Some(env_name) => {
                        WantedBy::Search(running_in(image, env_name, query.first("namespace"))?, None)
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

/// The search for what runs in an environment. It needs a repository without tag and digest: it asks which
/// version of an image runs there.
fn running_in(
    image: &str,
    env_name: &str,
    namespace: Option<&str>,
) -> Result<ArtifactSearch, ParameterError> {
    let image = without_scheme(image);
    if repository(image) != image || ImageDigest::parse(image).is_some() {
        return Err(ParameterError::EnvironmentWithoutRepository);
    }
    Ok(ArtifactSearch::RunningIn {
        repository: image.to_owned(),
        env_name: env_name.to_owned(),
        namespace: namespace.map(str::to_owned),
    })
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
