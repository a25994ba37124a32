//! What differs between two releases.

use std::collections::{BTreeMap, BTreeSet};

use delivery_center::image_reference::{found_under, repository};
use serde::Serialize;

use super::yaml::YamlChange;
use crate::answers::{CommitInfo, ReleaseInfo, StoredText};

/// What differs between two releases of a project; its JSON is what `diff --json` prints.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    pub(super) project: StoredText,
    pub(super) from: ComparedRelease,
    pub(super) to: ComparedRelease,
    /// Whether the services of the environments are compared too, beside those that were deployed.
    pub(super) with_environment: bool,
    pub(super) services: Changes<ServiceImages>,
    pub(super) images: Vec<ImageChange>,
    pub(super) builds: Vec<BuildChange>,
    pub(super) labels: Changes<StoredText>,
    pub(super) yaml: Vec<YamlChange>,
}

/// One of the two releases.
#[derive(Debug, Serialize)]
pub(super) struct ComparedRelease {
    pub(super) id: StoredText,
    pub(super) version: StoredText,
    pub(super) created_at: i64,
    pub(super) created_by: StoredText,
    pub(super) workflow: String,
    pub(super) env_name: StoredText,
    pub(super) namespace: StoredText,
}

/// What only one of the two has.
#[derive(Debug, Serialize)]
pub(super) struct Changes<T> {
    pub(super) added: Vec<T>,
    pub(super) removed: Vec<T>,
}

/// A service that only one of the two has.
#[derive(Debug, Serialize)]
pub(super) struct ServiceImages {
    pub(super) service: StoredText,
    pub(super) images: Vec<StoredText>,
}

/// An image of a service that both have.
#[derive(Debug, Serialize)]
pub(super) struct ImageChange {
    pub(super) service: StoredText,
    pub(super) container: StoredText,
    /// `None` where only the later release has the container.
    pub(super) from: Option<HeldImage>,
    /// `None` where only the earlier release has the container.
    pub(super) to: Option<HeldImage>,
}

/// An image that a release holds.
#[derive(Debug, Clone, Serialize)]
pub(super) struct HeldImage {
    pub(super) image: StoredText,
    /// Empty where it is not known.
    pub(super) digest: StoredText,
}

/// What a service was built from.
#[derive(Debug, Serialize)]
pub(super) struct BuildChange {
    pub(super) service: StoredText,
    pub(super) from: Vec<BuiltCommit>,
    pub(super) to: Vec<BuiltCommit>,
}

/// A commit of a build.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct BuiltCommit {
    pub(super) repository: String,
    pub(super) branch: StoredText,
    pub(super) commit_id: StoredText,
    pub(super) pull_requests: Vec<i64>,
    pub(super) message: StoredText,
    pub(super) author: StoredText,
}

/// A release's images by service and container.
type Held = BTreeMap<StoredText, BTreeMap<StoredText, HeldImage>>;

impl Comparison {
    /// Compares two releases. Without `--yaml` it tells whether their YAML differs, and not how.
    ///
    /// A release may deploy a few services into an environment that has many, and may tell the images of all
    /// of them. If one of the two releases does not tell them, only what both deployed can be compared.
    pub(super) fn of(from: &ReleaseInfo, to: &ReleaseInfo, with_yaml: bool) -> Self {
        let with_environment = tells_environment(from) && tells_environment(to);
        let (before, after) = (held(from, with_environment), held(to, with_environment));
        let labels =
            |release: &ReleaseInfo| -> BTreeSet<_> { release.version_info.labels.iter().cloned().collect() };
        Self {
            project: to.version_info.product_name.clone(),
            from: ComparedRelease::of(from),
            to: ComparedRelease::of(to),
            with_environment,
            services: Changes { added: only_in(&after, &before), removed: only_in(&before, &after) },
            images: image_changes(&before, &after),
            builds: build_changes(from, to),
            labels: Changes {
                added: labels(to).difference(&labels(from)).cloned().collect(),
                removed: labels(from).difference(&labels(to)).cloned().collect(),
            },
            yaml: YamlChange::all(from, to, with_yaml),
        }
    }

    /// Whether everything that is compared is the same.
    pub(super) fn is_empty(&self) -> bool {
        let Self { services, labels, images, builds, yaml, from, to, .. } = self;
        services.is_empty()
            && labels.is_empty()
            && images.is_empty()
            && builds.is_empty()
            && yaml.is_empty()
            && (&from.env_name, &from.namespace) == (&to.env_name, &to.namespace)
    }
}

impl<T> Changes<T> {
    fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

impl ComparedRelease {
    fn of(release: &ReleaseInfo) -> Self {
        let version = &release.version_info;
        let env = version.product_env_info.clone().unwrap_or_default();
        Self {
            id: version.id.clone(),
            version: version.version.clone(),
            created_at: version.created_at,
            created_by: version.created_by.clone(),
            workflow: version.workflow_and_task(),
            env_name: env.env_name,
            namespace: env.namespace,
        }
    }
}

fn tells_environment(release: &ReleaseInfo) -> bool {
    release.version_info.product_env_info.as_ref().is_some_and(|env| !env.services.is_empty())
}

/// The images that a release deployed, and those that the environment had beside them.
fn held(release: &ReleaseInfo, with_environment: bool) -> Held {
    let digests: BTreeMap<_, _> = release
        .build_info
        .iter()
        .map(|build| (found_under(build.image_name.as_stored()), &build.image_info.image_digest))
        .filter(|(_, digest)| !digest.is_empty())
        .collect();
    let held_image = |image: &StoredText| {
        let written = image.as_stored().split_once('@').map(|(_, digest)| StoredText::from(digest));
        let digest =
            written.or_else(|| digests.get(found_under(image.as_stored())).map(|digest| (*digest).clone()));
        HeldImage { image: image.clone(), digest: digest.unwrap_or_default() }
    };
    let mut held = Held::new();
    for deploy in &release.deploy_info {
        let container = if deploy.container_name.is_empty() {
            image_name(&deploy.image)
        } else {
            deploy.container_name.clone()
        };
        held.entry(deploy.service()).or_default().insert(container, held_image(&deploy.image));
    }
    let env = release.version_info.product_env_info.as_ref().filter(|_| with_environment);
    for service in env.into_iter().flat_map(|env| env.services.iter().flatten()) {
        let images = held.entry(service.service_name.clone()).or_default();
        for container in &service.containers {
            // A deploy without a container's name is known by its image.
            if !images.values().any(|held| is_same_name(&held.image, &container.image)) {
                images.entry(container.name.clone()).or_insert_with(|| held_image(&container.image));
            }
        }
    }
    held
}

/// The last part of an image's repository, such as `cart`.
fn image_name(image: &StoredText) -> StoredText {
    let repository = repository(image.as_stored());
    StoredText::from(repository.rsplit('/').next().unwrap_or(repository))
}

/// The services that one release has and the other has not.
fn only_in(one: &Held, another: &Held) -> Vec<ServiceImages> {
    let only = one.iter().filter(|(service, _)| !another.contains_key(*service));
    only.map(|(service, images)| ServiceImages {
        service: service.clone(),
        images: images.values().map(|held| held.image.clone()).collect(),
    })
    .collect()
}

fn image_changes(before: &Held, after: &Held) -> Vec<ImageChange> {
    let mut changes = Vec::new();
    for (service, from) in before {
        let Some(to) = after.get(service) else { continue };
        let containers: BTreeSet<_> = from.keys().chain(to.keys()).collect();
        for container in containers {
            let (from, to) = (from.get(container), to.get(container));
            if !is_same_image(from, to) {
                changes.push(ImageChange {
                    service: service.clone(),
                    container: container.clone(),
                    from: from.cloned(),
                    to: to.cloned(),
                });
            }
        }
    }
    changes
}

/// Whether two images are the same to a container engine, however they are written.
fn is_same_name(one: &StoredText, other: &StoredText) -> bool {
    found_under(one.as_stored()) == found_under(other.as_stored())
}

/// Whether two images are the same. A digest that only one release tells is no difference.
fn is_same_image(from: Option<&HeldImage>, to: Option<&HeldImage>) -> bool {
    let (Some(from), Some(to)) = (from, to) else { return false };
    is_same_name(&from.image, &to.image)
        && (from.digest == to.digest || from.digest.is_empty() || to.digest.is_empty())
}

fn build_changes(from: &ReleaseInfo, to: &ReleaseInfo) -> Vec<BuildChange> {
    let (before, after) = (commits(from), commits(to));
    let services: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let mut changes = Vec::new();
    for service in services {
        let of = |commits: &BTreeMap<StoredText, BTreeSet<BuiltCommit>>| {
            commits.get(service).into_iter().flatten().cloned().collect::<Vec<_>>()
        };
        let (from, to) = (of(&before), of(&after));
        if from != to {
            changes.push(BuildChange { service: service.clone(), from, to });
        }
    }
    changes
}

/// What each service of a release was built from.
fn commits(release: &ReleaseInfo) -> BTreeMap<StoredText, BTreeSet<BuiltCommit>> {
    let mut commits: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for build in &release.build_info {
        let built = build.commits.iter().filter(|commit| !commit.commit_id.is_empty()).map(BuiltCommit::of);
        commits.entry(build.service_name.clone()).or_default().extend(built);
    }
    commits
}

impl BuiltCommit {
    fn of(commit: &CommitInfo) -> Self {
        Self {
            repository: commit.repository(),
            branch: if commit.branch.is_empty() { commit.tag.clone() } else { commit.branch.clone() },
            commit_id: commit.commit_id.clone(),
            pull_requests: commit.pull_requests(),
            message: commit.commit_message.first_line(),
            author: commit.author_name.clone(),
        }
    }
}
