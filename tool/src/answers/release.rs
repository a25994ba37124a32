//! What the tool reads of a release.

use serde::Deserialize;

use super::{CommitInfo, StoredText, leniently};

/// A release.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ReleaseInfo {
    /// What it is.
    #[serde(deserialize_with = "leniently")]
    pub version_info: VersionInfo,
    /// What was built for it.
    #[serde(deserialize_with = "leniently")]
    pub build_info: Vec<BuildInfo>,
    /// What it deployed.
    #[serde(deserialize_with = "leniently")]
    pub deploy_info: Vec<DeployInfo>,
    /// Where it was distributed to.
    #[serde(deserialize_with = "leniently")]
    pub distribute_info: Vec<DistributeInfo>,
}

/// A release's own fields.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct VersionInfo {
    /// Its id.
    #[serde(deserialize_with = "leniently")]
    pub id: StoredText,
    /// Its version.
    #[serde(deserialize_with = "leniently")]
    pub version: StoredText,
    /// Its project.
    #[serde(deserialize_with = "leniently")]
    pub product_name: StoredText,
    /// The workflow that made it; empty where none did.
    #[serde(deserialize_with = "leniently")]
    pub workflow_name: StoredText,
    /// The workflow's task; none or 0 where none made it.
    #[serde(deserialize_with = "leniently")]
    pub task_id: Option<u64>,
    /// Its labels.
    #[serde(deserialize_with = "leniently")]
    pub labels: Vec<StoredText>,
    /// The environment as it was then.
    #[serde(deserialize_with = "leniently")]
    pub product_env_info: Option<EnvInfo>,
    /// Who made it.
    #[serde(deserialize_with = "leniently")]
    pub created_by: StoredText,
    /// When, in Unix seconds.
    #[serde(rename = "created_at", deserialize_with = "leniently")]
    pub created_at: i64,
}

/// An environment as it was when a release was made.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct EnvInfo {
    /// Its name.
    #[serde(deserialize_with = "leniently")]
    pub env_name: StoredText,
    /// Its namespace.
    #[serde(deserialize_with = "leniently")]
    pub namespace: StoredText,
    /// Its services, grouped as they start.
    #[serde(deserialize_with = "leniently")]
    pub services: Vec<Vec<ServiceInfo>>,
}

/// A service in an environment.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ServiceInfo {
    /// Its name.
    #[serde(deserialize_with = "leniently")]
    pub service_name: StoredText,
    /// Its containers.
    #[serde(deserialize_with = "leniently")]
    pub containers: Vec<ContainerInfo>,
}

/// A container of a service.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ContainerInfo {
    /// Its name.
    #[serde(deserialize_with = "leniently")]
    pub name: StoredText,
    /// Its image.
    #[serde(deserialize_with = "leniently")]
    pub image: StoredText,
}

/// A build of a release.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BuildInfo {
    /// The service.
    #[serde(deserialize_with = "leniently")]
    pub service_name: StoredText,
    /// The image that was made.
    #[serde(deserialize_with = "leniently")]
    pub image_name: StoredText,
    /// What is known of the image.
    #[serde(deserialize_with = "leniently")]
    pub image_info: ImageInfo,
    /// What it was made from.
    #[serde(deserialize_with = "leniently")]
    pub commits: Vec<CommitInfo>,
}

/// What a build knows of its image.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ImageInfo {
    /// The digest.
    #[serde(deserialize_with = "leniently")]
    pub image_digest: StoredText,
}

/// A deploy of a release.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DeployInfo {
    /// `<service>/<container>` where there is a container, else the service.
    #[serde(deserialize_with = "leniently")]
    service_name: StoredText,
    /// The container.
    #[serde(deserialize_with = "leniently")]
    pub container_name: StoredText,
    /// The image.
    #[serde(deserialize_with = "leniently")]
    pub image: StoredText,
    /// The manifests.
    #[serde(deserialize_with = "leniently")]
    pub yaml_contents: Vec<StoredText>,
}

/// A distribution of a release.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DistributeInfo {
    /// The service.
    #[serde(deserialize_with = "leniently")]
    pub service_name: StoredText,
    /// The chart.
    #[serde(deserialize_with = "leniently")]
    pub chart_name: StoredText,
    /// The image as it is called there.
    #[serde(deserialize_with = "leniently")]
    pub registry_name: StoredText,
    /// The images of a chart.
    #[serde(deserialize_with = "leniently")]
    pub sub_distributes: Vec<DistributeInfo>,
}

impl DeployInfo {
    /// The service, without the container that an answer writes behind it.
    pub fn service(&self) -> StoredText {
        let shown = self.service_name.as_stored();
        let suffix = format!("/{}", self.container_name.as_stored());
        let raw = if self.container_name.is_empty() { None } else { shown.strip_suffix(&suffix) };
        StoredText::from(raw.unwrap_or(shown))
    }
}

impl VersionInfo {
    /// The workflow and its task, such as `shop-release 4`; empty where the release was made by hand.
    pub fn workflow_and_task(&self) -> String {
        match &self.task_id {
            Some(task) if *task != 0 => format!("{} {task}", self.workflow_name),
            _ => self.workflow_name.to_string(),
        }
    }
}
