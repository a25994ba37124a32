//! Collects the images in a release and the commits that its builds were made from, by which the release can be found.

use std::collections::BTreeSet;

use delivery_center::image_reference::{ImageDigest, repository};

use super::json_text::{Members, elements, members, string};
use super::problem::{Path, Problem};

/// The images and commits of a release. Soft-deleted records do not count.
#[derive(Default)]
pub(super) struct Contents {
    /// The images as they are written in the records. A build's digest is added as `repository@digest`, or alone
    /// where the build names no image.
    pub(super) images: BTreeSet<String>,
    pub(super) commits: BTreeSet<String>,
}

impl Contents {
    pub(super) fn add_environment(&mut self, environment: &str, path: &Path<'_>) -> Result<(), Problem> {
        for services in lists(&members(environment, path)?, "services", path)? {
            for service in elements(or_empty_list(services), path)? {
                for container in lists(&members(service, path)?, "containers", path)? {
                    self.add_image(text(&members(container, path)?, "image", path));
                }
            }
        }
        Ok(())
    }

    pub(super) fn add_build(&mut self, build: &Members<'_>, path: &Path<'_>) -> Result<(), Problem> {
        let image = text(build, "imageName", path);
        if let Some(digest) = build_digest(build, path)? {
            // A build may name its image by a digest alone, which tells no repository.
            let named = image.as_ref().filter(|image| ImageDigest::parse(image).is_none());
            self.images.insert(match named {
                Some(image) => format!("{}@{digest}", repository(image)),
                None => digest.to_string(),
            });
        }
        self.add_image(image);
        for commit in lists(build, "commits", path)? {
            self.commits.extend(text(&members(commit, path)?, "commit_id", path));
        }
        Ok(())
    }

    pub(super) fn add_deploy(&mut self, deploy: &Members<'_>, path: &Path<'_>) {
        self.add_image(text(deploy, "image", path));
    }

    /// Adds a distribution's image. The distribution of a chart holds those of the chart's images in `subDistributes`.
    pub(super) fn add_distribution(
        &mut self,
        distribution: &Members<'_>,
        path: &Path<'_>,
    ) -> Result<(), Problem> {
        self.add_image(text(distribution, "registryName", path));
        for part in lists(distribution, "subDistributes", path)? {
            if part.starts_with('{') {
                self.add_image(text(&members(part, path)?, "registryName", path));
            }
        }
        Ok(())
    }

    fn add_image(&mut self, image: Option<String>) {
        self.images.extend(image.filter(|image| !image.is_empty()));
    }
}

fn build_digest(build: &Members<'_>, path: &Path<'_>) -> Result<Option<ImageDigest>, Problem> {
    let Some(info) = build.value("imageInfo").filter(|info| info.starts_with('{')) else { return Ok(None) };
    let digest = text(&members(info, path)?, "imageDigest", path);
    Ok(digest.and_then(|digest| ImageDigest::parse(&digest)))
}

/// A string field, which need not be documented; `None` where it is missing or of another type.
fn text(members: &Members<'_>, name: &str, path: &Path<'_>) -> Option<String> {
    members.value(name).filter(|value| value.starts_with('"')).and_then(|value| string(value, path).ok())
}

/// The elements of a list field, which need not be a documented one. There are none where the field is missing or not a
/// list.
fn lists<'a>(members: &Members<'a>, name: &str, path: &Path<'_>) -> Result<Vec<&'a str>, Problem> {
    elements(members.value(name).map_or("[]", or_empty_list), path)
}

fn or_empty_list(value: &str) -> &str {
    if value.starts_with('[') { value } else { "[]" }
}
