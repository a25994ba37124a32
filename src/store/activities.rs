//! Reads out of an artifact's activities what look-ups find it by: where it was deployed, and which commits
//! it was made from.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Number;

use super::json::Json;
use crate::position::{MAX_UNIX_SECONDS, UnixSeconds};

/// An environment that an artifact was deployed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// The environment's name, never empty.
    pub env_name: String,
    /// The namespace; empty where the activity has none.
    pub namespace: String,
    /// The time of the last deploy there, as it was recorded.
    pub since: Number,
    /// When the artifact was undeployed there after that: the latest time of several.
    pub until: Option<Number>,
}

/// A commit that an artifact was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceCommit {
    /// `commit_id`, as it was recorded.
    pub commit_id: String,
    /// `owner/name` of the repository.
    pub repository: String,
    /// The pull requests that it names, each 1 or more.
    pub pull_requests: Vec<u64>,
}

/// Where an artifact was deployed and which commits it was made from, read out of its JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Activities {
    /// One for each environment and namespace: newest first, and by name where times are equal.
    pub deployments: Vec<Deployment>,
    /// The commits of all activities.
    pub commits: Vec<SourceCommit>,
}

#[derive(Deserialize)]
struct ReadArtifact {
    #[serde(default)]
    activities: Vec<ReadActivity>,
}

/// A field that is [`Json`] here has no documented type, so it may be anything.
#[derive(Deserialize)]
struct ReadActivity {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    env_name: Json,
    #[serde(default)]
    namespace: Json,
    created_time: Number,
    #[serde(default)]
    commits: Vec<ReadCommit>,
}

#[derive(Deserialize)]
struct ReadCommit {
    #[serde(default)]
    commit_id: String,
    #[serde(default)]
    repo_owner: String,
    #[serde(default)]
    repo_name: String,
    #[serde(default)]
    pr: Json,
    #[serde(default)]
    prs: Json,
}

impl Activities {
    /// Reads the JSON of a checked artifact.
    ///
    /// # Errors
    /// The JSON is not that of a checked artifact.
    pub fn of(artifact: &str) -> Result<Self, serde_json::Error> {
        let artifact: ReadArtifact = serde_json::from_str(artifact)?;
        // By environment and namespace: the last deploy, and the last undeploy.
        let mut latest = BTreeMap::<_, [Option<Number>; 2]>::new();
        let mut commits = Vec::new();
        for activity in artifact.activities {
            commits.extend(activity.commits.into_iter().map(SourceCommit::from));
            let env_name = activity.env_name.text().unwrap_or_default();
            let place = match activity.kind.as_str() {
                "deploy" if !env_name.is_empty() => 0,
                "undeploy" if !env_name.is_empty() => 1,
                _ => continue,
            };
            let namespace = activity.namespace.text().unwrap_or_default();
            let last = latest.entry((env_name.to_owned(), namespace.to_owned())).or_default();
            let time = activity.created_time;
            if last[place].as_ref().is_none_or(|last| seconds(last) < seconds(&time)) {
                last[place] = Some(time);
            }
        }
        let deployment = |((env_name, namespace), [since, until]): (_, [Option<Number>; 2])| {
            let since = since?;
            let until = until.filter(|until| seconds(until) >= seconds(&since));
            Some(Deployment { env_name, namespace, since, until })
        };
        let mut deployments: Vec<_> = latest.into_iter().filter_map(deployment).collect();
        deployments.sort_by_key(|deployment| Reverse(seconds(&deployment.since)));
        Ok(Self { deployments, commits })
    }
}

impl Deployment {
    /// The time by which deployments are ordered.
    pub fn ordered_by(&self) -> UnixSeconds {
        in_range(&self.since)
    }

    /// When it ended, as a time that a record may have.
    pub fn ended(&self) -> Option<UnixSeconds> {
        self.until.as_ref().map(in_range)
    }
}

impl From<ReadCommit> for SourceCommit {
    fn from(stored: ReadCommit) -> Self {
        let pull_requests = std::iter::once(&stored.pr).chain(stored.prs.elements());
        let pull_requests = pull_requests.filter_map(Json::unsigned);
        Self {
            pull_requests: pull_requests.filter(|number| *number > 0).collect(),
            repository: format!("{}/{}", stored.repo_owner, stored.repo_name),
            commit_id: stored.commit_id,
        }
    }
}

/// An activity's time may be negative or too large; then the nearest time that a record may have counts instead.
fn in_range(time: &Number) -> UnixSeconds {
    let time = seconds(time).clamp(0, i128::from(MAX_UNIX_SECONDS));
    UnixSeconds::try_from(time).unwrap_or_default()
}

fn seconds(number: &Number) -> i128 {
    number.as_i128().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn activities(activities: &Value) -> Activities {
        let artifact = json!({"id": "a", "image": "i:1", "activities": activities});
        Activities::of(&artifact.to_string()).unwrap()
    }

    #[test]
    fn the_last_deploy_into_each_environment_and_namespace_counts_newest_first() {
        let deploy = |env_name: Value, namespace: Value, time: i64| json!({"type": "deploy", "env_name": env_name, "namespace": namespace, "created_time": time});
        let found = activities(&json!([
            deploy(json!("prod"), json!("a"), 5),
            deploy(json!("prod"), json!("b"), 9),
            deploy(json!("prod"), json!("a"), 7),
            deploy(json!("dev"), Value::Null, 9),
            deploy(json!("qa"), json!(["x"]), -1),
            deploy(json!(""), json!("a"), 8),
            deploy(Value::Null, json!("a"), 8),
            deploy(json!(7), json!("a"), 8),
            json!({"type": "build", "env_name": "prod", "created_time": 11}),
        ]));
        assert!(Activities::of(r#"{"activities":[{"created_time":1,"env_name":1e999}]}"#).is_ok());
        let found: Vec<_> = found
            .deployments
            .iter()
            .map(|found| (found.env_name.as_str(), found.namespace.as_str(), found.since.as_i64().unwrap()))
            .collect();
        assert_eq!(found, [("dev", "", 9), ("prod", "b", 9), ("prod", "a", 7), ("qa", "", -1)]);
    }

    #[test]
    fn an_undeploy_ends_the_deploys_before_it_and_those_at_the_same_time() {
        let activity = |kind: &str, env_name: &str, time: i64| json!({"type": kind, "env_name": env_name, "created_time": time});
        let found = activities(&json!([
            activity("deploy", "prod", 5),
            activity("undeploy", "prod", 5),
            activity("undeploy", "prod", 6),
            activity("undeploy", "dev", 3),
            activity("deploy", "dev", 4),
            activity("undeploy", "qa", 9),
        ]));
        let until = |deployment: &Deployment| deployment.until.as_ref().and_then(Number::as_i64);
        let found: Vec<_> =
            found.deployments.iter().map(|found| (found.env_name.as_str(), until(found))).collect();
        assert_eq!(found, [("prod", Some(6)), ("dev", None)]);
    }

    #[test]
    fn commits_name_their_repository_and_their_pull_requests() {
        let found = activities(&json!([
            {"type": "build", "created_time": 1, "commits": [
                {"repo_owner": "o", "repo_name": "n", "commit_id": "4b15c43", "pr": 7, "prs": [7, 8, 0, -1, "9", 1.5]},
                {"prs": 3},
            ]},
            {"type": "test", "created_time": 0},
        ]));
        let commit = |commit_id: &str, repository: &str, pull_requests: Vec<u64>| SourceCommit {
            commit_id: commit_id.to_owned(),
            repository: repository.to_owned(),
            pull_requests,
        };
        assert_eq!(found.commits, [commit("4b15c43", "o/n", vec![7, 7, 8]), commit("", "/", vec![])]);
    }

    #[test]
    fn a_time_that_no_record_may_have_is_ordered_as_the_nearest_one() {
        let at = |since: Number| Deployment {
            env_name: "e".to_owned(),
            namespace: String::new(),
            since,
            until: None,
        };
        assert_eq!(at(Number::from(-5)).ordered_by(), 0);
        assert_eq!(at(Number::from(7)).ordered_by(), 7);
        assert_eq!(at(Number::from(u64::MAX)).ordered_by(), MAX_UNIX_SECONDS);
    }
}
