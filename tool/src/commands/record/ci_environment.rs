//! Reads what the variables of GitHub Actions, GitLab CI and Jenkins say about a pipeline's run.

use std::env;

use serde_json::Value;
use url::Url;

use super::cleaned_url::{
    CleanedUrl, Repository, UnreadableUrl, clean_path_on_server, clean_repository, clean_url,
};

/// What the pipeline's variables say about its run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PipelineRun {
    pub(super) repository: Option<Result<Repository, UnreadableUrl>>,
    pub(super) branch: Option<String>,
    pub(super) tag: Option<String>,
    pub(super) commit: Option<String>,
    pub(super) pull_request: Option<u64>,
    pub(super) message: Option<String>,
    pub(super) author: Option<String>,
    pub(super) url: Option<Result<CleanedUrl, UnreadableUrl>>,
    pub(super) started_by: Option<String>,
}

/// The variables, for `--help`.
pub(super) const VARIABLES: &str = "\
What is not given is read from the pipeline's environment:
             GitHub Actions                         GitLab CI                                Jenkins
  (found by)  GITHUB_ACTIONS                         GITLAB_CI                                JENKINS_URL
  --repo     GITHUB_SERVER_URL, GITHUB_REPOSITORY   CI_SERVER_URL, CI_PROJECT_PATH           GIT_URL
  --branch   GITHUB_HEAD_REF, GITHUB_REF_NAME       CI_MERGE_REQUEST_SOURCE_BRANCH_NAME,     CHANGE_BRANCH, BRANCH_NAME,
                                                    CI_COMMIT_BRANCH                         GIT_BRANCH
  --tag      GITHUB_REF_NAME (GITHUB_REF_TYPE=tag)  CI_COMMIT_TAG                            TAG_NAME, GIT_BRANCH
  --commit   GITHUB_SHA                             CI_COMMIT_SHA                            GIT_COMMIT
  --pr       GITHUB_REF (refs/pull/N/...)           CI_MERGE_REQUEST_IID                     CHANGE_ID
  --message                                         CI_COMMIT_TITLE
  --author   GITHUB_ACTOR                           CI_COMMIT_AUTHOR                         CHANGE_AUTHOR, GIT_AUTHOR_NAME
  --by       GITHUB_ACTOR                           GITLAB_USER_LOGIN                        BUILD_USER_ID
  --url      GITHUB_SERVER_URL, GITHUB_REPOSITORY,  CI_JOB_URL                               BUILD_URL
             GITHUB_RUN_ID, GITHUB_RUN_ATTEMPT
A commit's branch and pull request are told only where they belong to it and to the repository. Where --repo is
another repository than the pipeline's, or --commit another commit, nothing from --branch to --author is read.";

impl PipelineRun {
    pub(super) fn from_environment() -> Self {
        if variable("GITHUB_ACTIONS").is_some() {
            Self::from_github()
        } else if variable("GITLAB_CI").is_some() {
            Self::from_gitlab()
        } else if variable("JENKINS_URL").is_some() {
            Self::from_jenkins()
        } else {
            Self::default()
        }
    }

    /// The run, without what it says of its own commit where a build is of another one, or of another
    /// repository.
    pub(super) fn of_build(self, repository: &Repository, commit: Option<&str>) -> Self {
        let own = self.repository.as_ref().and_then(|own| own.as_ref().ok());
        let is_own = own.is_none_or(|own| own.is_same(repository))
            && commit.zip(self.commit.as_deref()).is_none_or(|(commit, own)| is_same_commit(commit, own));
        if is_own {
            return self;
        }
        let Self { repository, url, started_by, .. } = self;
        Self { repository, url, started_by, ..Self::default() }
    }

    fn from_github() -> Self {
        let server = variable("GITHUB_SERVER_URL").unwrap_or_else(|| "https://github.com".to_owned());
        let address = address("GITHUB_SERVER_URL", &server);
        let repository = variable("GITHUB_REPOSITORY")
            .map(|path| Repository::on_server(address.clone(), "GITHUB_REPOSITORY", &path));
        let reference = variable("GITHUB_REF");
        let is_tag = variable("GITHUB_REF_TYPE").as_deref() == Some("tag")
            || reference.as_deref().is_some_and(|reference| reference.starts_with("refs/tags/"));
        let name = variable("GITHUB_REF_NAME");
        let url = repository.clone().zip(variable("GITHUB_RUN_ID")).map(|(repository, run)| {
            let Repository { address, owner, name } = repository?;
            // A re-run records facts of its own. The number of the attempt in the URL tells them from those
            // of the first run.
            let attempt = variable("GITHUB_RUN_ATTEMPT").filter(|attempt| attempt != "1");
            let attempt = attempt.map(|attempt| format!("/attempts/{attempt}")).unwrap_or_default();
            clean_url("GITHUB_RUN_ID", &format!("{address}/{owner}/{name}/actions/runs/{run}{attempt}"))
        });
        let pull_request = reference
            .and_then(|reference| reference.strip_prefix("refs/pull/")?.split('/').next()?.parse().ok());
        // On `pull_request_target`, and once a request is closed, the commit is one of the base, and the head's
        // name is there all the same.
        let branch = match pull_request {
            Some(_) => variable("GITHUB_HEAD_REF").filter(|_| !is_from_fork_on_github()),
            None => name.clone().filter(|_| !is_tag),
        };
        Self {
            repository,
            branch,
            tag: name.filter(|_| is_tag),
            commit: variable("GITHUB_SHA"),
            pull_request,
            message: None,
            author: variable("GITHUB_ACTOR"),
            url,
            started_by: variable("GITHUB_ACTOR"),
        }
    }

    fn from_gitlab() -> Self {
        let address = match variable("CI_SERVER_URL") {
            Some(server) => address("CI_SERVER_URL", &server),
            None => Ok(String::new()),
        };
        let project = variable("CI_PROJECT_PATH");
        // A merge request from a fork has two projects, of which this pipeline's is one: the number counts in
        // the one, and the branch is in the other.
        let source = variable("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME").filter(|_| {
            variable("CI_MERGE_REQUEST_SOURCE_PROJECT_PATH").is_none_or(|path| Some(path) == project)
        });
        let number = variable("CI_MERGE_REQUEST_IID")
            .filter(|_| project.is_some() && variable("CI_MERGE_REQUEST_PROJECT_PATH") == project);
        Self {
            repository: project
                .as_deref()
                .map(|path| Repository::on_server(address, "CI_PROJECT_PATH", path)),
            branch: source.or_else(|| variable("CI_COMMIT_BRANCH")),
            tag: variable("CI_COMMIT_TAG"),
            commit: variable("CI_COMMIT_SHA"),
            pull_request: number.and_then(|number| number.parse().ok()),
            message: variable("CI_COMMIT_TITLE"),
            // It is `Name <mail>`; the mail address is not kept.
            author: variable("CI_COMMIT_AUTHOR")
                .map(|author| author.split('<').next().unwrap_or_default().trim().to_owned()),
            url: variable("CI_JOB_URL").map(|url| clean_url("CI_JOB_URL", &url)),
            started_by: variable("GITLAB_USER_LOGIN"),
        }
    }

    fn from_jenkins() -> Self {
        let (branch, tag) = if let Some(tag) = variable("TAG_NAME") {
            (None, Some(tag))
        } else if variable("CHANGE_ID").is_some() {
            // BRANCH_NAME is the request's own name here, such as `PR-7`.
            (variable("CHANGE_BRANCH").filter(|_| variable("CHANGE_FORK").is_none()), None)
        } else if let Some(branch) = variable("BRANCH_NAME") {
            (Some(branch), None)
        } else {
            variable("GIT_BRANCH").as_deref().map(branch_or_tag).unwrap_or_default()
        };
        Self {
            repository: variable("GIT_URL").map(|url| clean_repository("GIT_URL", &url)),
            branch,
            tag,
            commit: variable("GIT_COMMIT"),
            pull_request: variable("CHANGE_ID").and_then(|number| number.parse().ok()),
            message: None,
            author: variable("CHANGE_AUTHOR").or_else(|| variable("GIT_AUTHOR_NAME")),
            url: variable("BUILD_URL").map(|url| clean_url("BUILD_URL", &url)),
            started_by: variable("BUILD_USER_ID"),
        }
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether a pull request's branch is in another repository than the one that runs the workflow. Only the
/// event tells that. The repository is `null` where it was deleted since.
fn is_from_fork_on_github() -> bool {
    let event = variable("GITHUB_EVENT_PATH").and_then(|file| std::fs::read(file).ok());
    let event: Value = event.and_then(|event| serde_json::from_slice(&event).ok()).unwrap_or_default();
    let head = event.pointer("/pull_request/head/repo");
    head.is_some_and(|head| head["full_name"].as_str() != variable("GITHUB_REPOSITORY").as_deref())
}

/// The branch or the tag that `GIT_BRANCH` names. Jenkins' plugins write the branch alone, or with the remote in
/// front (of which two names are known), or Git's full name of it. A commit that was checked out by itself, or as
/// a pull request's, has neither.
fn branch_or_tag(name: &str) -> (Option<String>, Option<String>) {
    let of_remote = ["refs/remotes/", "remotes/"].iter().find_map(|start| name.strip_prefix(start));
    let of_remote = of_remote.and_then(|rest| rest.split_once('/')).map(|(_, branch)| branch);
    let of_known_remote = ["origin/", "upstream/"].iter().find_map(|remote| name.strip_prefix(remote));
    let name = of_remote.or(of_known_remote).unwrap_or(name);
    if let Some(tag) = ["refs/tags/", "tags/"].iter().find_map(|start| name.strip_prefix(start)) {
        return (None, Some(tag.to_owned()));
    }
    let name = name.strip_prefix("refs/heads/").unwrap_or(name);
    let is_request = matches!(
        name.split('/').collect::<Vec<_>>()[..],
        ["pr" | "pull" | "pull-requests" | "merge-requests", _, "head" | "merge" | "from"]
    );
    // Git describes what is no branch in words, such as `(no branch)`, and no branch has a space in its name.
    let is_branch = !is_request
        && !name.starts_with("refs/")
        && !name.contains(' ')
        && !matches!(name, "HEAD" | "FETCH_HEAD" | "detached");
    (is_branch.then(|| name.to_owned()), None)
}

/// Whether two ids are of one commit, of which one may be shortened as far as Git takes it.
fn is_same_commit(one: &str, other: &str) -> bool {
    let length = one.len().min(other.len());
    let start = |id: &str| id.get(..length).map(str::to_ascii_lowercase);
    (length >= 4 || one == other) && start(one) == start(other)
}

/// The address of a server that hosts repositories.
fn address(from: &'static str, server: &str) -> Result<String, UnreadableUrl> {
    Ok(clean_url(from, server)?.stored.trim_end_matches('/').to_owned())
}

impl Repository {
    /// Reads the path of a repository on a server.
    fn on_server(
        address: Result<String, UnreadableUrl>,
        from: &'static str,
        path: &str,
    ) -> Result<Self, UnreadableUrl> {
        Ok(Self { address: address?, ..clean_path_on_server(from, path)? })
    }

    /// Whether two are the same, as hosts take them: letters of either case, and addresses to clone from with
    /// any scheme and port. One without an address is on the server of the other.
    fn is_same(&self, other: &Self) -> bool {
        let host = |repository: &Self| Some(Url::parse(&repository.address).ok()?.host_str()?.to_owned());
        host(self).zip(host(other)).is_none_or(|(one, other)| one == other)
            && self.path().eq_ignore_ascii_case(&other.path())
    }

    /// `owner/name`; the name alone where there is no owner.
    pub(super) fn path(&self) -> String {
        let Self { owner, name, .. } = self;
        if owner.is_empty() { name.clone() } else { format!("{owner}/{name}") }
    }

    /// Zadig's name for the kind of server, if its address tells that.
    pub(super) fn source(&self) -> &'static str {
        ["github", "gitlab", "gitee", "gerrit"]
            .into_iter()
            .find(|source| self.address.contains(source))
            .unwrap_or_default()
    }
}
