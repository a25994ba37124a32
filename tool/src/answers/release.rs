//! What the tool reads of a release.

use super::lenient::lenient;
use super::{CommitInfo, StoredText};

lenient! {
    /// A release.
    #[serde(rename_all = "camelCase")]
    pub struct ReleaseInfo {
        /// What it is.
        pub version_info: VersionInfo,
        /// What was built for it.
        pub build_info: Vec<BuildInfo>,
        /// What it deployed.
        pub deploy_info: Vec<DeployInfo>,
        /// Where it was distributed to.
        pub distribute_info: Vec<DistributeInfo>,
    }

    /// A release's own fields.
    #[serde(rename_all = "camelCase")]
    pub struct VersionInfo {
        /// Its id.
        pub id: StoredText,
        /// Its version.
        pub version: StoredText,
        /// Its project.
        pub product_name: StoredText,
        /// The workflow that made it; empty where none did.
        pub workflow_name: StoredText,
        /// The workflow's task; none or 0 where none made it.
        pub task_id: Option<u64>,
        /// Its labels.
        pub labels: Vec<StoredText>,
        /// The environment as it was then.
        pub product_env_info: Option<EnvInfo>,
        /// Who made it.
        pub created_by: StoredText,
        /// When, in Unix seconds.
        #[serde(rename = "created_at")]
        pub created_at: i64,
    }

    /// An environment as it was when a release was made.
    pub struct EnvInfo {
        /// Its name.
        pub env_name: StoredText,
        /// Its namespace.
        pub namespace: StoredText,
        /// Its services, grouped as they start.
        pub services: Vec<Vec<ServiceInfo>>,
    }

    /// A service in an environment.
    pub struct ServiceInfo {
        /// Its name.
        pub service_name: StoredText,
        /// Its containers.
        pub containers: Vec<ContainerInfo>,
    }

    /// A container of a service.
    pub struct ContainerInfo {
        /// Its name.
        pub name: StoredText,
        /// Its image.
        pub image: StoredText,
    }

    /// A build of a release.
    #[serde(rename_all = "camelCase")]
    pub struct BuildInfo {
        /// The service.
        pub service_name: StoredText,
        /// The image that was made.
        pub image_name: StoredText,
        /// What is known of the image.
        pub image_info: ImageInfo,
        /// What it was made from.
        pub commits: Vec<CommitInfo>,
    }

    /// What a build knows of its image.
    #[serde(rename_all = "camelCase")]
    pub struct ImageInfo {
        /// The digest.
        pub image_digest: StoredText,
    }

    /// A deploy of a release.
    #[serde(rename_all = "camelCase")]
    pub struct DeployInfo {
        /// `<service>/<container>` where there is a container, else the service.
        service_name: StoredText,
        /// The container.
        pub container_name: StoredText,
        /// The image.
        pub image: StoredText,
        /// The manifests.
        pub yaml_contents: Vec<StoredText>,
    }

    /// A distribution of a release.
    #[serde(rename_all = "camelCase")]
    pub struct DistributeInfo {
        /// The service.
        pub service_name: StoredText,
        /// The chart.
        pub chart_name: StoredText,
        /// The image as it is called there.
        pub registry_name: StoredText,
        /// The images of a chart.
        pub sub_distributes: Vec<DistributeInfo>,
    }
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
