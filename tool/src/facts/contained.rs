//! Finds how far back a build's commits are in an earlier artifact of its image already.

use delivery_center::commit_prefix::CommitPrefix;
use delivery_center::image_reference::found_under;
use delivery_center::store::{Activities, ArtifactSearch, Store, StoreError, Usage};
use futures_util::stream::{self, StreamExt as _};

use super::image::NamedImage;
use super::outcome::{FactError, wait_after};
use crate::retries::Patience;

/// How many commits are looked up at once.
const LOOK_UPS_AT_ONCE: usize = 8;

/// The place of the newest commit that an earlier artifact of the image's repository contains. The built commit
/// is the first of `commits`, and its ancestors follow, newest first; `repository` is `owner/name`.
///
/// An artifact that contains the built commit itself is no earlier one: it is of this same build, sent before or
/// under another tag, or of a later one.
///
/// # Errors
/// [`FactError::Store`]. One that may pass is tried again until `patience` ends.
pub async fn newest_contained(
    store: &Store,
    image: &NamedImage,
    repository: &str,
    commits: &[String],
    patience: &mut Patience,
) -> Result<Option<usize>, FactError> {
    let Some((built, ancestors)) = commits.split_first() else { return Ok(None) };
    let has_form = repository.split('/').filter(|part| !part.is_empty()).count() > 1;
    let look_up = LookUp {
        store,
        image_repository: found_under(image.repository()),
        repository: has_form.then_some(repository),
        built,
    };
    loop {
        match look_up.newest(ancestors).await {
            Err(error) => {
                let error = FactError::Store(error);
                if !error.is_unreachable() || !wait_after(&error, patience).await {
                    return Err(error);
                }
            }
            Ok(place) => return Ok(place.map(|place| place + 1)),
        }
    }
}

/// What an ancestor is looked up with.
struct LookUp<'a> {
    store: &'a Store,
    image_repository: &'a str,
    repository: Option<&'a str>,
    built: &'a str,
}

impl LookUp<'_> {
    async fn newest(&self, ancestors: &[String]) -> Result<Option<usize>, StoreError> {
        let look_ups = ancestors.iter().map(|commit| self.is_contained(commit));
        let mut found = stream::iter(look_ups).buffered(LOOK_UPS_AT_ONCE).enumerate();
        while let Some((place, is_contained)) = found.next().await {
            if is_contained? {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// Whether an earlier artifact contains a commit. Where the repository of the code makes several images,
    /// those of the others are passed over.
    async fn is_contained(&self, commit: &str) -> Result<bool, StoreError> {
        let Ok(commit) = CommitPrefix::parse(commit) else { return Ok(false) };
        let search = ArtifactSearch::Commit(commit, self.repository.map(str::to_owned));
        let (usage, mut older_than) = (Usage::default(), None);
        loop {
            let Some(found) = self.store.find_newest_artifact(&search, older_than, &usage).await? else {
                return Ok(false);
            };
            let artifact = found.artifact;
            if artifact.repository == self.image_repository {
                let id = artifact.position.id();
                let json = artifact
                    .document
                    .unpack()
                    .map_err(|spoiled| self.store.unreadable_artifact(id, spoiled))?;
                let activities =
                    Activities::of(&json).map_err(|error| self.store.unreadable_artifact(id, error))?;
                let contains_built =
                    |id: &str| CommitPrefix::longest_of(id).is_some_and(|stored| stored.begins(self.built));
                if !activities.commits.iter().any(|commit| contains_built(&commit.commit_id)) {
                    return Ok(true);
                }
            }
            if !found.has_older {
                return Ok(false);
            }
            older_than = Some(artifact.position);
        }
    }
}
