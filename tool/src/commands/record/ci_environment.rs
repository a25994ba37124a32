//! Reads what the variables of GitHub Actions, GitLab CI and Jenkins say about a pipeline's run.

use std::env;

use super::cleaned_url::{CleanedUrl, Repository, UnreadableUrl, clean_repository, clean_url};

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
  --tag      GITHUB_REF_NAME (GITHUB_REF_TYPE=tag)  CI_COMMIT_TAG                            TAG_NAME
  --commit   GITHUB_SHA                             CI_COMMIT_SHA                            GIT_COMMIT
  --pr       GITHUB_REF (refs/pull/N/...)           CI_MERGE_REQUEST_IID                     CHANGE_ID
  --message                                         CI_COMMIT_TITLE
  --author   GITHUB_ACTOR                           CI_COMMIT_AUTHOR                         CHANGE_AUTHOR, GIT_AUTHOR_NAME
  --by       GITHUB_ACTOR                           GITLAB_USER_LOGIN                        BUILD_USER_ID
  --url      GITHUB_SERVER_URL, GITHUB_REPOSITORY,  CI_JOB_URL                               BUILD_URL
             GITHUB_RUN_ID, GITHUB_RUN_ATTEMPT";

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

    fn from_github() -> Self {
        let server = variable("GITHUB_SERVER_URL").unwrap_or_else(|| "https://github.com".to_owned());
        let address = address("GITHUB_SERVER_URL", &server);
        let repository = variable("GITHUB_REPOSITORY")
            .map(|path| Repository::on_server(address.clone(), "GITHUB_REPOSITORY", &path));
        let is_tag = variable("GITHUB_REF_TYPE").as_deref() == Some("tag");
        let name = variable("GITHUB_REF_NAME");
        let url = repository.clone().zip(variable("GITHUB_RUN_ID")).map(|(repository, run)| {
            let Repository { address, owner, name } = repository?;
            // A re-run records facts of its own. The number of the attempt in the URL tells them from those
            // of the first run.
            let attempt = variable("GITHUB_RUN_ATTEMPT").filter(|attempt| attempt != "1");
            let attempt = attempt.map(|attempt| format!("/attempts/{attempt}")).unwrap_or_default();
            clean_url("GITHUB_RUN_ID", &format!("{address}/{owner}/{name}/actions/runs/{run}{attempt}"))
        });
        Self {
            repository,
            branch: variable("GITHUB_HEAD_REF").or_else(|| name.clone().filter(|_| !is_tag)),
            tag: name.filter(|_| is_tag),
            commit: variable("GITHUB_SHA"),
            pull_request: variable("GITHUB_REF")
                .and_then(|reference| reference.strip_prefix("refs/pull/")?.split('/').next()?.parse().ok()),
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
        Self {
            repository: variable("CI_PROJECT_PATH")
                .map(|path| Repository::on_server(address, "CI_PROJECT_PATH", &path)),
            branch: variable("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME").or_else(|| variable("CI_COMMIT_BRANCH")),
            tag: variable("CI_COMMIT_TAG"),
            commit: variable("CI_COMMIT_SHA"),
            pull_request: variable("CI_MERGE_REQUEST_IID").and_then(|number| number.parse().ok()),
            message: variable("CI_COMMIT_TITLE"),
            // It is `Name <mail>`; the mail address is not kept.
            author: variable("CI_COMMIT_AUTHOR")
                .map(|author| author.split('<').next().unwrap_or_default().trim().to_owned()),
            url: variable("CI_JOB_URL").map(|url| clean_url("CI_JOB_URL", &url)),
            started_by: variable("GITLAB_USER_LOGIN"),
        }
    }

    fn from_jenkins() -> Self {
        let branch = variable("CHANGE_BRANCH")
            .or_else(|| variable("BRANCH_NAME").filter(|_| variable("TAG_NAME").is_none()));
        let checked_out = variable("GIT_BRANCH").filter(|_| variable("TAG_NAME").is_none());
        let checked_out =
            checked_out.map(|branch| branch.strip_prefix("origin/").unwrap_or(&branch).to_owned());
        Self {
            repository: variable("GIT_URL").map(|url| clean_repository("GIT_URL", &url)),
            branch: branch.or(checked_out),
            tag: variable("TAG_NAME"),
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
        Ok(Self { address: address?, ..clean_repository(from, path)? })
    }

    /// Zadig's name for the kind of server, if its address tells that.
    pub(super) fn source(&self) -> &'static str {
        ["github", "gitlab", "gitee", "gerrit"]
            .into_iter()
            .find(|source| self.address.contains(source))
            .unwrap_or_default()
    }
}
