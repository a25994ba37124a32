//! Releases as a table; where the terminal is too narrow for it, each as a line with its images under it.

use std::fmt::{self, Display};

use super::super::layout::{ASIDE, HEADING, left, natural_width, styled, table, wrapped};
use super::super::local_time::Now;
use super::super::short_image::CommonRegistry;
use crate::answers::{ReleaseInfo, StoredText};

const COLUMNS: usize = 8;
const IMAGE_INDENT: usize = 2;

/// Releases, as they are printed.
pub(super) struct ReleasesTable<'a> {
    pub(super) releases: &'a [ReleaseInfo],
    pub(super) now: &'a Now,
    /// The terminal's width; none where the output goes elsewhere.
    pub(super) width: Option<u16>,
}

/// A service of a release, and an image of it; either may be empty.
struct ServiceImage(StoredText, StoredText);

impl Display for ReleasesTable<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let images: Vec<_> = self.releases.iter().map(images).collect();
        let registry =
            CommonRegistry::of(images.iter().flatten().map(|ServiceImage(_, image)| image.as_stored()));
        let rows = self.rows(&images, &registry);
        // A broken image could not be copied: what does not fit beside each other stands below each other.
        if self.width.is_none_or(|width| natural_width(&rows) <= width) {
            for (number, line) in table(rows).iter().enumerate() {
                match number {
                    0 => writeln!(formatter, "{}", styled(HEADING, line))?,
                    _ => writeln!(formatter, "{line}")?,
                }
            }
        } else {
            self.write_one_below_the_other(&images, &registry, formatter)?;
        }
        formatter.write_str(&registry.remark(self.width))
    }
}

impl ReleasesTable<'_> {
    /// A row for each image, the first of a release with the release itself.
    fn rows(&self, images: &[Vec<ServiceImage>], registry: &CommonRegistry) -> Vec<[String; COLUMNS]> {
        let [time, age, project, version, workflow, env] = self.headings();
        let headings = [time, age, project, version, workflow, env, "SERVICE", "IMAGE"];
        let mut rows = vec![headings.map(str::to_owned)];
        for (release, images) in self.releases.iter().zip(images) {
            let mut cells = self.cells(release);
            let none = images.is_empty().then(Default::default);
            for [service, image] in images.iter().map(|image| image.shown(registry)).chain(none) {
                let [time, age, project, version, workflow, env] = std::mem::take(&mut cells);
                rows.push([time, age, project, version, workflow, env, service, image]);
            }
        }
        rows
    }

    /// The headings of a release's own cells.
    fn headings(&self) -> [&'static str; 6] {
        [self.now.heading(), "AGE", "PROJECT", "VERSION", "WORKFLOW", "ENV"]
    }

    /// Time, age, project, version, workflow and environment.
    fn cells(&self, release: &ReleaseInfo) -> [String; 6] {
        let version = &release.version_info;
        let env = version.product_env_info.as_ref().map(|env| env.env_name.to_string());
        [
            self.now.minute(version.created_at),
            self.now.age(version.created_at),
            version.product_name.to_string(),
            version.version.to_string(),
            version.workflow_and_task(),
            env.unwrap_or_default(),
        ]
    }

    fn write_one_below_the_other(
        &self,
        images: &[Vec<ServiceImage>],
        registry: &CommonRegistry,
        formatter: &mut fmt::Formatter,
    ) -> fmt::Result {
        for line in wrapped(&self.headings().join("  "), self.width) {
            writeln!(formatter, "{}", styled(ASIDE, line))?;
        }
        for (release, images) in self.releases.iter().zip(images) {
            let cells = self.cells(release).into_iter().filter(|cell| !cell.is_empty());
            for line in wrapped(&cells.collect::<Vec<_>>().join("  "), self.width) {
                writeln!(formatter, "{}", styled(HEADING, line))?;
            }
            let rows: Vec<_> = images.iter().map(|image| image.shown(registry)).collect();
            let is_beside = left(self.width, IMAGE_INDENT).is_none_or(|width| natural_width(&rows) <= width);
            if is_beside {
                for line in table(rows) {
                    writeln!(formatter, "{:IMAGE_INDENT$}{line}", "")?;
                }
            } else {
                for (indent, text) in rows.iter().flat_map(|[service, image]| [(1, service), (2, image)]) {
                    if !text.is_empty() {
                        writeln!(formatter, "{:1$}{text}", "", indent * IMAGE_INDENT)?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl ServiceImage {
    fn shown(&self, registry: &CommonRegistry) -> [String; 2] {
        let Self(service, image) = self;
        [service.to_string(), StoredText::from(registry.shorten(image.as_stored())).to_string()]
    }
}

/// What a release is made of: what it deployed, or else built, or else distributed.
fn images(release: &ReleaseInfo) -> Vec<ServiceImage> {
    let deployed =
        release.deploy_info.iter().map(|deploy| ServiceImage(deploy.service(), deploy.image.clone()));
    let built = release
        .build_info
        .iter()
        .map(|build| ServiceImage(build.service_name.clone(), build.image_name.clone()));
    let distributed = release.distribute_info.iter().flat_map(|distribute| {
        let named = |service: &StoredText| {
            if service.is_empty() { distribute.chart_name.clone() } else { service.clone() }
        };
        [distribute]
            .into_iter()
            .chain(&distribute.sub_distributes)
            .map(move |part| ServiceImage(named(&part.service_name), part.registry_name.clone()))
    });
    let says_something =
        |ServiceImage(service, image): &ServiceImage| !(service.is_empty() && image.is_empty());
    let mut images: Vec<_> = deployed.filter(says_something).collect();
    if images.is_empty() {
        images.extend(built.filter(says_something));
    }
    if images.is_empty() {
        // A chart is told by its images.
        images.extend(distributed.filter(|ServiceImage(_, image)| !image.is_empty()));
    }
    images
}
