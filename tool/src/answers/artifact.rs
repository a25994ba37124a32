//! What the tool reads of an artifact.

use super::lenient::lenient;
use super::{CommitInfo, StoredText};

lenient! {
    /// An artifact.
    pub struct ArtifactInfo {
        /// Its id.
        pub id: StoredText,
        /// Its name.
        pub name: StoredText,
        /// What it is: `image`, or a package.
        #[serde(rename = "type")]
        pub kind: StoredText,
        /// The image as it was pushed.
        pub image: StoredText,
        /// The image's digest.
        pub image_digest: StoredText,
        /// The image's size in bytes; 0 where it is not known.
        pub image_size: u64,
        /// What it runs on.
        pub architecture: StoredText,
        /// What it runs on.
        pub os: StoredText,
        /// Where a package lies.
        pub package_storage_uri: StoredText,
        /// Where a package lies there.
        pub package_file_location: StoredText,
        /// Who made it.
        pub created_by: StoredText,
        /// When, in Unix seconds.
        pub created_time: i64,
        /// What happened to it, newest first.
        pub activities: Vec<ActivityInfo>,
        /// Where it was deployed, newest first, where that was asked for.
        pub environments: Vec<EnvironmentInfo>,
    }

    /// Something that happened to an artifact.
    pub struct ActivityInfo {
        /// `build`, `test`, `deploy`, `undeploy`, `publish` or `distribute`.
        #[serde(rename = "type")]
        pub kind: StoredText,
        /// What it says, such as a test's result.
        pub content: StoredText,
        /// Where its pipeline is.
        pub url: StoredText,
        /// The pipeline's job.
        pub job_task_name: StoredText,
        /// What it was made from.
        pub commits: Vec<CommitInfo>,
        /// The environment.
        pub env_name: StoredText,
        /// The environment's namespace.
        pub namespace: StoredText,
        /// The registries that it was published to.
        pub publish_hosts: Vec<StoredText>,
        /// The namespaces there.
        pub publish_namespaces: Vec<StoredText>,
        /// The file that was distributed.
        pub remote_file_key: StoredText,
        /// Where it was distributed to.
        pub dist_storage_url: StoredText,
        /// When it began, in Unix seconds; 0 where that is not known.
        pub start_time: i64,
        /// When it ended.
        pub end_time: i64,
        /// Who did it.
        pub created_by: StoredText,
        /// The activity's own time, by which activities are sorted, in Unix seconds.
        pub created_time: i64,
    }

    /// An environment into which an artifact was deployed.
    pub struct EnvironmentInfo {
        /// Its name.
        pub env_name: StoredText,
        /// Its namespace.
        pub namespace: StoredText,
        /// When it was last deployed there, in Unix seconds.
        pub since: i64,
        /// Whether it has not ended, and nothing of the same repository was deployed there later.
        pub running: bool,
        /// When it was undeployed there; 0 where it was not.
        pub until: i64,
    }
}
