//! An artifact's story, as it is printed: what it is, then what happened to it, from the build to where it
//! runs.

use std::fmt::{self, Display};

use indicatif::BinaryBytes;

use super::super::local_time::{Now, duration};
use super::super::section::{CHANGED, GOOD, PLAIN, Section, with_namespace};
use crate::answers::{ActivityInfo, ArtifactInfo, CommitInfo, EnvironmentInfo, StoredText};

/// How many commits of a build are told: it may contain hundreds.
const COMMITS_OF_A_BUILD: usize = 10;

/// An artifact, and what runs where it ran.
pub(super) struct Story<'a> {
    pub(super) artifact: &'a ArtifactInfo,
    /// What runs instead of it in each of its first environments, and since when.
    pub(super) successors: &'a [Option<(ArtifactInfo, i64)>],
    pub(super) now: &'a Now,
    /// The terminal's width; none where the output goes elsewhere.
    pub(super) width: Option<u16>,
}

impl Display for Story<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{}", self.what_it_is().laid_out(self.width))?;
        let mut sections: Vec<_> = self.of_kind("build").map(|build| self.built(build)).collect();
        sections.extend(self.of_kind("test").map(|test| self.tested(test)));
        sections.push(self.deployed());
        sections.extend(self.of_kind("publish").map(|publish| self.published(publish)));
        sections.extend(self.of_kind("distribute").map(|distribute| self.distributed(distribute)));
        for section in sections {
            write!(formatter, "\n{}", section.laid_out(self.width))?;
        }
        Ok(())
    }
}

impl Story<'_> {
    fn of_kind(&self, kind: &'static str) -> impl Iterator<Item = &ActivityInfo> {
        self.artifact.activities.iter().filter(move |activity| activity.kind.as_stored() == kind)
    }

    fn what_it_is(&self) -> Section {
        let artifact = self.artifact;
        let heading = if artifact.image.is_empty() { &artifact.name } else { &artifact.image };
        let mut section = Section::new(heading.to_string());
        section.field("digest", artifact.image_digest.to_string());
        section.field("id", artifact.id.to_string());
        if artifact.kind.as_stored() != "image" {
            section.field("type", artifact.kind.to_string());
        }
        section.field("created", self.when_and_who(artifact.created_time, &artifact.created_by));
        section.field("size", size(artifact));
        let package = [&artifact.package_storage_uri, &artifact.package_file_location];
        section.field("package", joined(package, " "));
        section
    }

    fn built(&self, build: &ActivityInfo) -> Section {
        let mut section = self.activity("Built", build);
        let told = build.commits.len().min(COMMITS_OF_A_BUILD);
        for commit in &build.commits[..told] {
            section.field("commit", joined([&commit.commit_id, &commit.commit_message.first_line()], "  "));
            section.field("author", commit.author_name.to_string());
            section.field("branch", branch(commit));
            let pull_requests: Vec<_> =
                commit.pull_requests().iter().map(|number| format!("#{number}")).collect();
            section.field("pull request", pull_requests.join(", "));
        }
        match build.commits.len() - told {
            0 => {}
            more => section.field("…", format!("and {more} more commits: --json tells them all")),
        }
        section.field("pipeline", build.url.to_string());
        section
    }

    fn tested(&self, test: &ActivityInfo) -> Section {
        let mut section = self.activity("Tested", test);
        section.field("job", test.job_task_name.to_string());
        section.field("result", test.content.to_string());
        section.field("where", joined([&test.env_name, &test.namespace], ", "));
        section.field("pipeline", test.url.to_string());
        section
    }

    fn deployed(&self) -> Section {
        let environments = &self.artifact.environments;
        let mut section = Section::new("Deployed");
        for (environment, successor) in environments.iter().zip(self.successors) {
            let style = if environment.running { GOOD } else { PLAIN };
            section.styled_field(
                style,
                with_namespace(&environment.env_name, &environment.namespace),
                self.deploy(environment),
            );
            if let Some((successor, since)) = successor {
                section.styled_field(CHANGED, "", self.replaced_by(successor, *since));
            }
        }
        match environments.len() - self.successors.len() {
            0 => {}
            more => section.field("…", format!("and {more} more: --environments tells them all")),
        }
        // A deploy that names no environment cannot be among the environments.
        for deploy in self.of_kind("deploy").filter(|deploy| deploy.env_name.is_empty()) {
            section.field(
                deploy.namespace.to_string(),
                self.when_and_who(deploy.created_time, &deploy.created_by),
            );
        }
        if section.is_empty() { Section::new("Deployed nowhere that is known") } else { section }
    }

    /// Since when it runs in an environment, or when it came there, and who deployed it.
    fn deploy(&self, environment: &EnvironmentInfo) -> String {
        let mut deploys = self.of_kind("deploy");
        let deploy = deploys.find(|deploy| {
            deploy.env_name == environment.env_name
                && deploy.namespace == environment.namespace
                && deploy.created_time == environment.since
        });
        let nobody = StoredText::default();
        let by = deploy.map_or(&nobody, |deploy| &deploy.created_by);
        let when = self.when_and_who(environment.since, by);
        if environment.running {
            format!("runs there since {when}")
        } else if environment.until > 0 {
            format!("deployed {when}, undeployed {}", self.now.second_and_age(environment.until))
        } else {
            format!("deployed {when}, replaced since")
        }
    }

    fn replaced_by(&self, successor: &ArtifactInfo, since: i64) -> String {
        let name = if successor.image.is_empty() { &successor.image_digest } else { &successor.image };
        match since {
            0 => format!("now there: {name}"),
            since => format!("now there: {name}, since {}", self.now.minute_and_age(since)),
        }
    }

    fn published(&self, publish: &ActivityInfo) -> Section {
        let mut section = self.activity("Published", publish);
        section.field("to", joined(&publish.publish_hosts, ", "));
        section.field("namespace", joined(&publish.publish_namespaces, ", "));
        section.field("file", publish.remote_file_key.to_string());
        section.field("pipeline", publish.url.to_string());
        section
    }

    fn distributed(&self, distribute: &ActivityInfo) -> Section {
        let mut section = self.activity("Distributed", distribute);
        section.field("to", joined([&distribute.dist_storage_url, &distribute.remote_file_key], " "));
        section.field("hosts", joined(&distribute.publish_hosts, ", "));
        section.field("namespace", joined(&distribute.publish_namespaces, ", "));
        section.field("pipeline", distribute.url.to_string());
        section
    }

    /// A section that says what was done, when, by whom, and how long it took.
    fn activity(&self, what: &str, activity: &ActivityInfo) -> Section {
        let mut heading =
            format!("{what} {}", self.when_and_who(activity.created_time, &activity.created_by));
        if activity.start_time > 0 && activity.end_time > activity.start_time {
            heading = format!("{heading}, in {}", duration(activity.end_time - activity.start_time));
        }
        Section::new(heading)
    }

    fn when_and_who(&self, unix_seconds: i64, who: &StoredText) -> String {
        let when = self.now.second_and_age(unix_seconds);
        if who.is_empty() { when } else { format!("{when} by {who}") }
    }
}

fn size(artifact: &ArtifactInfo) -> String {
    let platform = joined([&artifact.os, &artifact.architecture], "/");
    match artifact.image_size {
        0 => platform,
        bytes if platform.is_empty() => BinaryBytes(bytes).to_string(),
        bytes => format!("{}, {platform}", BinaryBytes(bytes)),
    }
}

/// Where a commit is, such as `main of koderover/zadig at https://github.com`.
fn branch(commit: &CommitInfo) -> String {
    let branch = if commit.branch.is_empty() { &commit.tag } else { &commit.branch };
    let repository = commit.repository();
    let mut parts = vec![branch.to_string()];
    if !repository.is_empty() {
        parts.push(format!("of {repository}"));
    }
    if !commit.address.is_empty() {
        parts.push(format!("at {}", commit.address));
    }
    parts.retain(|part| !part.is_empty());
    parts.join(" ")
}

/// Joins the texts that are not empty.
fn joined<'a>(texts: impl IntoIterator<Item = &'a StoredText>, between: &str) -> String {
    let texts = texts.into_iter().filter(|text| !text.is_empty());
    texts.map(ToString::to_string).collect::<Vec<_>>().join(between)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn where_it_runs_is_told_with_what_took_its_place() {
        let deploy = |env: &str, namespace: &str, time: i64| json!({ "type": "deploy", "env_name": env, "namespace": namespace, "created_by": "lin", "created_time": time });
        let artifact: ArtifactInfo = serde_json::from_value(json!({
            "image": "r.example.com/shop/cart:1",
            "activities": [deploy("prod", "shop", 1_650_000_300), deploy("dev", "", 1_650_000_000), deploy("", "loose", 1)],
            "environments": [
                { "env_name": "prod", "namespace": "shop", "since": 1_650_000_300, "running": true },
                { "env_name": "dev", "since": 1_650_000_000, "running": false },
                { "env_name": "qa", "since": 1_650_000_000, "running": false, "until": 1_650_000_200 },
                { "env_name": "old", "since": 1_650_000_000, "running": false },
            ],
        }))
        .unwrap();
        let image = StoredText::from("r.example.com/shop/cart:2");
        let successor = (ArtifactInfo { image, ..ArtifactInfo::default() }, 1_650_000_500);
        let now = Now::at("2022-04-15T08:00:00Z");
        let story =
            Story { artifact: &artifact, successors: &[None, Some(successor), None], now: &now, width: None };
        let section = story.deployed().laid_out(None).to_string();
        assert_eq!(
            anstream::adapter::strip_str(&section).to_string(),
            "\
Deployed
  prod (shop)  runs there since 2022-04-15 05:25:00 UTC (2 h ago) by lin
  dev          deployed 2022-04-15 05:20:00 UTC (2 h ago) by lin, replaced since
               now there: r.example.com/shop/cart:2, since 2022-04-15 05:28 (2 h ago)
  qa           deployed 2022-04-15 05:20:00 UTC (2 h ago), undeployed 2022-04-15 05:23:20 UTC (2 h ago)
  …            and 1 more: --environments tells them all
  loose        1970-01-01 00:00:01 UTC (52 y ago) by lin
"
        );
    }
}
