//! What the tool reads of an artifact.

use serde::Deserialize;

use super::{CommitInfo, StoredText, leniently};

/// An artifact.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ArtifactInfo {
    /// Its id.
    #[serde(deserialize_with = "leniently")]
    pub id: StoredText,
    /// Its name.
    #[serde(deserialize_with = "leniently")]
    pub name: StoredText,
    /// What it is: `image`, or a package.
    #[serde(rename = "type", deserialize_with = "leniently")]
    pub kind: StoredText,
    /// The image as it was pushed.
    #[serde(deserialize_with = "leniently")]
    pub image: StoredText,
    /// The image's digest.
    #[serde(deserialize_with = "leniently")]
    pub image_digest: StoredText,
    /// The image's size in bytes; 0 where it is not known.
    #[serde(deserialize_with = "leniently")]
    pub image_size: u64,
    /// What it runs on.
    #[serde(deserialize_with = "leniently")]
    pub architecture: StoredText,
    /// What it runs on.
    #[serde(deserialize_with = "leniently")]
    pub os: StoredText,
    /// Where a package lies.
    #[serde(deserialize_with = "leniently")]
    pub package_storage_uri: StoredText,
    /// Where a package lies there.
    #[serde(deserialize_with = "leniently")]
    pub package_file_location: StoredText,
    /// Who made it.
    #[serde(deserialize_with = "leniently")]
    pub created_by: StoredText,
    /// When, in Unix seconds.
    #[serde(deserialize_with = "leniently")]
    pub created_time: i64,
    /// What happened to it, newest first.
    #[serde(deserialize_with = "leniently")]
    pub activities: Vec<ActivityInfo>,
    /// Where it was deployed, newest first, where that was asked for.
    #[serde(deserialize_with = "leniently")]
    pub environments: Vec<EnvironmentInfo>,
}

/// Something that happened to an artifact.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ActivityInfo {
    /// `build`, `test`, `deploy`, `publish` or `distribute`.
    #[serde(rename = "type", deserialize_with = "leniently")]
    pub kind: StoredText,
    /// What it says, such as a test's result.
    #[serde(deserialize_with = "leniently")]
    pub content: StoredText,
    /// Where its pipeline is.
    #[serde(deserialize_with = "leniently")]
    pub url: StoredText,
    /// The pipeline's job.
    #[serde(deserialize_with = "leniently")]
    pub job_task_name: StoredText,
    /// What it was made from.
    #[serde(deserialize_with = "leniently")]
    pub commits: Vec<CommitInfo>,
    /// The environment.
    #[serde(deserialize_with = "leniently")]
    pub env_name: StoredText,
    /// The environment's namespace.
    #[serde(deserialize_with = "leniently")]
    pub namespace: StoredText,
    /// The registries that it was published to.
    #[serde(deserialize_with = "leniently")]
    pub publish_hosts: Vec<StoredText>,
    /// The namespaces there.
    #[serde(deserialize_with = "leniently")]
    pub publish_namespaces: Vec<StoredText>,
    /// The file that was distributed.
    #[serde(deserialize_with = "leniently")]
    pub remote_file_key: StoredText,
    /// Where it was distributed to.
    #[serde(deserialize_with = "leniently")]
    pub dist_storage_url: StoredText,
    /// When it began, in Unix seconds; 0 where that is not known.
    #[serde(deserialize_with = "leniently")]
    pub start_time: i64,
    /// When it ended.
    #[serde(deserialize_with = "leniently")]
    pub end_time: i64,
    /// Who did it.
    #[serde(deserialize_with = "leniently")]
    pub created_by: StoredText,
    /// The activity's own time, by which activities are sorted, in Unix seconds.
    #[serde(deserialize_with = "leniently")]
    pub created_time: i64,
}

/// An environment into which an artifact was deployed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct EnvironmentInfo {
    /// Its name.
    #[serde(deserialize_with = "leniently")]
    pub env_name: StoredText,
    /// Its namespace.
    #[serde(deserialize_with = "leniently")]
    pub namespace: StoredText,
    /// When it was last deployed there, in Unix seconds.
    #[serde(deserialize_with = "leniently")]
    pub since: i64,
    /// Whether nothing of the same repository was deployed there later.
    #[serde(deserialize_with = "leniently")]
    pub running: bool,
}
