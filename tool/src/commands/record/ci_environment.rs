//! What the variables of GitHub Actions, GitLab CI and Jenkins say of a pipeline's run.

use std::env;

/// What is known of the run, as far as the pipeline says it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PipelineRun {
    pub(super) repository: Option<Repository>,
    pub(super) branch: Option<String>,
    pub(super) tag: Option<String>,
    pub(super) commit: Option<String>,
    pub(super) pull_request: Option<u64>,
    pub(super) message: Option<String>,
    pub(super) author: Option<String>,
    pub(super) url: Option<String>,
    pub(super) started_by: Option<String>,
}

/// A repository, and the server that hosts it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Repository {
    /// Such as `https://github.com`; empty where only the name is known.
    pub(super) address: String,
    pub(super) owner: String,
    pub(super) name: String,
}

/// The variables, for `--help`.
pub(super) const VARIABLES: &str = "\
What is not given is read from the pipeline's environment:
             GitHub Actions                         GitLab CI                                Jenkins
  (told by)  GITHUB_ACTIONS                         GITLAB_CI                                JENKINS_URL
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
            Self::of_github()
        } else if variable("GITLAB_CI").is_some() {
            Self::of_gitlab()
        } else if variable("JENKINS_URL").is_some() {
            Self::of_jenkins()
        } else {
            Self::default()
        }
    }

    fn of_github() -> Self {
        let server = variable("GITHUB_SERVER_URL").unwrap_or_else(|| "https://github.com".to_owned());
        let repository = variable("GITHUB_REPOSITORY");
        let is_tag = variable("GITHUB_REF_TYPE").as_deref() == Some("tag");
        let name = variable("GITHUB_REF_NAME");
        let url = repository.as_ref().zip(variable("GITHUB_RUN_ID")).map(|(repository, run)| {
            // A re-run does everything again: what it does are other facts.
            let attempt = variable("GITHUB_RUN_ATTEMPT").filter(|attempt| attempt != "1");
            let attempt = attempt.map(|attempt| format!("/attempts/{attempt}")).unwrap_or_default();
            format!("{server}/{repository}/actions/runs/{run}{attempt}")
        });
        Self {
            repository: repository.and_then(|path| Repository::of_path(&server, &path)),
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

    fn of_gitlab() -> Self {
        let server = variable("CI_SERVER_URL").unwrap_or_default();
        Self {
            repository: variable("CI_PROJECT_PATH").and_then(|path| Repository::of_path(&server, &path)),
            branch: variable("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME").or_else(|| variable("CI_COMMIT_BRANCH")),
            tag: variable("CI_COMMIT_TAG"),
            commit: variable("CI_COMMIT_SHA"),
            pull_request: variable("CI_MERGE_REQUEST_IID").and_then(|number| number.parse().ok()),
            message: variable("CI_COMMIT_TITLE"),
            // `Name <mail>`: the address is nobody's business.
            author: variable("CI_COMMIT_AUTHOR")
                .map(|author| author.split('<').next().unwrap_or_default().trim().to_owned()),
            url: variable("CI_JOB_URL"),
            started_by: variable("GITLAB_USER_LOGIN"),
        }
    }

    fn of_jenkins() -> Self {
        let branch = variable("CHANGE_BRANCH")
            .or_else(|| variable("BRANCH_NAME").filter(|_| variable("TAG_NAME").is_none()));
        let checked_out = variable("GIT_BRANCH").filter(|_| variable("TAG_NAME").is_none());
        let checked_out =
            checked_out.map(|branch| branch.strip_prefix("origin/").unwrap_or(&branch).to_owned());
        Self {
            repository: variable("GIT_URL").and_then(|url| Repository::parse(&url)),
            branch: branch.or(checked_out),
            tag: variable("TAG_NAME"),
            commit: variable("GIT_COMMIT"),
            pull_request: variable("CHANGE_ID").and_then(|number| number.parse().ok()),
            message: None,
            author: variable("CHANGE_AUTHOR").or_else(|| variable("GIT_AUTHOR_NAME")),
            url: variable("BUILD_URL"),
            started_by: variable("BUILD_USER_ID"),
        }
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

impl Repository {
    /// Reads `OWNER/NAME`, or a URL to clone from; what a URL holds of credentials is left out.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some((scheme, rest)) = text.split_once("://") {
            let (host, path) = rest.split_once('/')?;
            let host = host.rsplit('@').next()?;
            let scheme = if scheme == "http" { "http" } else { "https" };
            return Self::of_path(&format!("{scheme}://{host}"), path);
        }
        if let Some((host, path)) = text.split_once(':') {
            let host = host.rsplit('@').next()?;
            return Self::of_path(&format!("https://{host}"), path);
        }
        Self::of_path("", text)
    }

    fn of_path(address: &str, path: &str) -> Option<Self> {
        let path = path.trim_matches('/');
        let (owner, name) = path.strip_suffix(".git").unwrap_or(path).rsplit_once('/')?;
        let is_whole = !owner.is_empty() && !name.is_empty() && !path.contains(char::is_whitespace);
        is_whole.then(|| Self {
            address: address.trim_end_matches('/').to_owned(),
            owner: owner.to_owned(),
            name: name.to_owned(),
        })
    }

    /// Zadig's name for the kind of server, where its address tells.
    pub(super) fn source(&self) -> &'static str {
        ["github", "gitlab", "gitee", "gerrit"]
            .into_iter()
            .find(|source| self.address.contains(source))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_read_without_the_credentials_of_its_url() {
        let read = |text: &str| {
            Repository::parse(text)
                .map(|repository| format!("{} {} {}", repository.address, repository.owner, repository.name))
        };
        assert_eq!(read("acme/shop").as_deref(), Some(" acme shop"));
        for url in [
            "https://user:secret@git.example.com/acme/web/shop.git",
            "git@git.example.com:acme/web/shop.git",
            "ssh://git@git.example.com/acme/web/shop",
        ] {
            assert_eq!(read(url).as_deref(), Some("https://git.example.com acme/web shop"), "{url}");
        }
        for text in ["shop", "/shop", "acme/", "a b/c"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
