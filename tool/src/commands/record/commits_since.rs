//! Reads which commits a build contains: those of the local clone behind a reference, up to the built one.

use std::process::Command;

use serde_json::{Value, json};

use super::cleaned_url::Repository;
use super::given;
use crate::answers::harmless;
use crate::commands::terminal;
use crate::facts::{NamedImage, newest_contained};
use crate::retries::Patience;
use crate::write::Writer;

/// The most commits that one build tells, and the most ancestors that are looked up.
const MAX_COMMITS: usize = 250;
/// The reference that stands for the newest ancestor that an earlier artifact of the image contains.
const AUTO: &str = "auto";
/// A commit's id, parents, author, title, and the rest of its message, each with a NUL behind it.
const FORMAT: &str = "--format=%H%x00%P%x00%an%x00%s%x00%b%x00";
const FIELDS: usize = 5;

/// The commits that a build is to tell.
pub(super) struct CommitsSince {
    /// A reference of Git's, or [`AUTO`].
    pub(super) since: String,
    /// The repository of the built commit.
    pub(super) repository: Repository,
    /// The built commit as the arguments and the pipeline tell it.
    pub(super) built: Value,
}

/// Reads the option's value. A range, or an option of git's, would tell other commits than were meant. An empty
/// one comes from a variable that is not set.
///
/// # Errors
/// It names more than one revision, or no commit.
pub(super) fn single_revision(text: &str) -> Result<String, &'static str> {
    // `main@{1 day ago}` and `HEAD^{commit}` are one.
    let (name, is_several) = (text.split('{').next().unwrap_or_default(), ["..", "^@", "^!", "^-"]);
    let is_single = !text.starts_with(['-', '^'])
        && !is_several.iter().any(|mark| text.contains(mark))
        && !name.contains([' ', ':', '*', '?', '[', '\\']);
    is_single.then(|| text.to_owned()).ok_or("give a commit, a tag or a branch, or auto, and no range")
}

/// The local clone does not tell the commits.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NoHistory(String);

/// A commit of the local clone.
struct LocalCommit {
    id: String,
    has_parents: bool,
    author: String,
    title: String,
    pull_request: Option<u64>,
}

impl CommitsSince {
    /// The commits, the built one first. It stands alone where the clone does not tell the others: a build is
    /// not lost for that, and a warning says why.
    ///
    /// # Errors
    /// The tables cannot be read.
    pub(super) async fn commits(
        mut self,
        writer: &Writer,
        image: &NamedImage,
        patience: &mut Patience,
    ) -> anyhow::Result<Vec<Value>> {
        let others = match self.others(writer, image, patience).await {
            Ok(others) => others,
            Err(error) => {
                let NoHistory(reason) = error.downcast()?;
                terminal::say(format_args!(
                    "warning: only the built commit is recorded: {}",
                    harmless(&reason)
                ));
                Vec::new()
            }
        };
        let others: Vec<_> = others.iter().map(|commit| self.other(commit)).collect();
        Ok(std::iter::once(self.built).chain(others).collect())
    }

    /// The commits between the reference and the built one, newest first. What the clone tells of the built
    /// one is added to it.
    async fn others(
        &mut self,
        writer: &Writer,
        image: &NamedImage,
        patience: &mut Patience,
    ) -> anyhow::Result<Vec<LocalCommit>> {
        if self.since.is_empty() {
            return Err(NoHistory("--commits-since is empty (is its variable set?)".to_owned()).into());
        }
        let path = self.repository.path();
        let built = resolved(self.built["commit_id"].as_str().unwrap_or_default())?;
        // Look-ups find the whole id, and not the part of it or the name that was given.
        self.built["commit_id"] = built.as_str().into();
        let ancestors = log(&[&built], &path)?;
        if let Some(local) = ancestors.first() {
            complete(&mut self.built, local);
        }
        let since = if self.since == AUTO {
            if !image.has_repository() {
                return Err(NoHistory("auto needs the image's name beside its digest".to_owned()).into());
            }
            let ids: Vec<_> = ancestors.into_iter().map(|commit| commit.id).collect();
            let place = newest_contained(writer.store(), image, &path, &ids, patience).await?;
            place.map(|place| ids[place].clone())
        } else {
            Some(resolved(&self.since)?)
        };
        let excluded = since.as_ref().map(|since| format!("^{since}"));
        let range: Vec<_> = std::iter::once(built.as_str()).chain(excluded.as_deref()).collect();
        let mut commits = log(&range, &path)?;
        if is_shallow()? && commits.iter().any(|commit| !commit.has_parents) {
            return Err(too_shallow().into());
        }
        if commits.len() > MAX_COMMITS {
            commits.truncate(MAX_COMMITS);
            let count = git(&[&["rev-list", "--count"], range.as_slice(), &["--"]].concat())?;
            let reason = if since.is_some() {
                String::new()
            } else {
                format!(": no earlier artifact of {} contains any of them", image.repository())
            };
            let since = since.map(|since| format!(" since {since}")).unwrap_or_default();
            terminal::say(format_args!(
                "note: the newest {MAX_COMMITS} of {} commits{since} are recorded, back to {}{reason}",
                count.trim(),
                commits[MAX_COMMITS - 1].id,
            ));
        }
        commits.retain(|commit| commit.id != built);
        Ok(commits)
    }

    /// Another commit than the built one. It may have come from any branch, so none is told.
    fn other(&self, commit: &LocalCommit) -> Value {
        let mut told = json!({
            "address": self.built["address"],
            "source": self.built["source"],
            "repo_owner": self.built["repo_owner"],
            "repo_name": self.built["repo_name"],
            "branch": "",
            "commit_id": commit.id,
        });
        complete(&mut told, commit);
        told
    }
}

/// Adds what the clone tells of a commit, and nothing else has.
fn complete(told: &mut Value, local: &LocalCommit) {
    if told["pr"].as_u64().is_none_or(|number| number == 0) {
        told["pr"] = local.pull_request.unwrap_or_default().into();
    }
    for (name, value) in [("commit_message", &local.title), ("author_name", &local.author)] {
        if given(told[name].as_str().map(str::to_owned)).is_none() {
            told[name] = value.as_str().into();
        }
    }
}

/// The id of the commit that a reference names.
fn resolved(reference: &str) -> Result<String, NoHistory> {
    let commit = format!("{reference}^{{commit}}");
    if !reference.starts_with('-')
        && let Ok(id) = git(&["rev-parse", "--verify", "--quiet", &commit])
    {
        return Ok(id.trim().to_owned());
    }
    if is_shallow()? {
        return Err(too_shallow());
    }
    Err(NoHistory(format!("{reference:?} is not in this clone: {}", fetch_of(reference))))
}

/// The command that fetches what a reference names.
fn fetch_of(reference: &str) -> String {
    let is_hexadecimal = reference.bytes().all(|digit| digit.is_ascii_hexdigit());
    let is_whole_id = is_hexadecimal && matches!(reference.len(), 40 | 64);
    let is_name = !is_hexadecimal && !reference.contains(['^', '~', '{']);
    let branch = reference.strip_prefix("refs/remotes/").unwrap_or(reference).strip_prefix("origin/");
    match branch {
        _ if is_whole_id => format!("git fetch origin {reference}"),
        Some(branch) if is_name => format!("git fetch origin {branch}"),
        None if is_name => format!("git fetch --tags origin (a branch of it is origin/{reference})"),
        _ => "git fetch origin".to_owned(),
    }
}

fn is_shallow() -> Result<bool, NoHistory> {
    Ok(git(&["rev-parse", "--is-shallow-repository"])?.trim() == "true")
}

fn too_shallow() -> NoHistory {
    NoHistory(
        "this clone is shallow, and does not reach back far enough. Fetch the rest before: git fetch --unshallow --tags \
         (GitHub Actions: fetch-depth: 0 of actions/checkout; GitLab CI: GIT_DEPTH: 0)"
            .to_owned(),
    )
}

/// The newest commits of a range, one more than may be told. `path` is that of their repository.
fn log(range: &[&str], path: &str) -> Result<Vec<LocalCommit>, NoHistory> {
    let count = format!("--max-count={}", MAX_COMMITS + 1);
    let options = ["log", "--no-color", "--no-show-signature", "--encoding=UTF-8", FORMAT, &count];
    let printed = git(&[options.as_slice(), range, &["--"]].concat())?;
    let fields: Vec<_> = printed.split('\0').map(str::trim).collect();
    let commits = fields.chunks_exact(FIELDS).map(|fields| LocalCommit {
        id: fields[0].to_owned(),
        has_parents: !fields[1].is_empty(),
        author: fields[2].to_owned(),
        title: fields[3].to_owned(),
        pull_request: pull_request(fields[3], fields[4], path),
    });
    Ok(commits.collect())
}

fn git(arguments: &[&str]) -> Result<String, NoHistory> {
    let ran = Command::new("git").args(arguments).output();
    let ran = ran.map_err(|error| NoHistory(format!("git cannot be run: {error}")))?;
    if ran.status.success() {
        return Ok(String::from_utf8_lossy(&ran.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&ran.stderr);
    Err(NoHistory(said.split_whitespace().collect::<Vec<_>>().join(" ")))
}

/// The pull request that the title of a merge or of a squashed commit names, as its host writes it. GitLab
/// names it in the rest of the message.
fn pull_request(title: &str, body: &str, path: &str) -> Option<u64> {
    let number = |text: &str| {
        let number = Some(text).filter(|text| text.bytes().all(|digit| digit.is_ascii_digit()))?.parse().ok();
        number.filter(|number| *number > 0)
    };
    let begun = |start: &str, end: &str| number(title.strip_prefix(start)?.split_once(end)?.0);
    let ended = |start: &str| number(title.strip_suffix(')')?.rsplit_once(start)?.1);
    let of_gitea = || {
        let quoted = title.strip_prefix("Merge pull request '")?;
        number(quoted.rsplit_once("' (#")?.1.split_once(") from ")?.0)
    };
    let of_gitlab = || {
        let start = format!("See merge request {path}!");
        number(body.lines().find_map(|line| line.strip_prefix(&start))?.trim())
    };
    begun("Merge pull request #", " from ")
        .or_else(|| begun("Merge pull request !", " from "))
        .or_else(|| begun("Merged PR ", ": "))
        .or_else(|| begun("Pull request #", ": "))
        .or_else(of_gitea)
        .or_else(|| ended(" (#"))
        .or_else(|| ended(" (pull request #"))
        .or_else(of_gitlab)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pull_request_is_read_from_the_titles_that_hosts_write() {
        for (title, body, expected) in [
            ("Fix rounding (#736)", "", Some(736)),
            ("Merge pull request #736 from acme/topic", "Fix rounding (#5)", Some(736)),
            ("Revert \"Fix rounding (#5)\" (#736)", "", Some(736)),
            ("Merged in topic (pull request #736)", "", Some(736)),
            ("Pull request #736: Fix rounding", "", Some(736)),
            ("Merged PR 736: Fix rounding", "", Some(736)),
            ("Merge pull request 'Fix rounding (#5)' (#736) from topic into main", "", Some(736)),
            ("Merge pull request !736 from ann/topic", "", Some(736)),
            (
                "Merge branch 'topic' into 'main'",
                "Fix rounding\n\nSee merge request acme/shop!736",
                Some(736),
            ),
            ("Merge branch 'topic' into 'main'", "See merge request acme/other!736", None),
            ("Merge branch 'topic'", "Closes #736", None),
            ("Fix #736", "", None),
            ("Fix rounding (acme/other#736)", "", None),
            ("Fix rounding (#736) again", "", None),
            ("Revert \"Fix rounding (#5)\"", "", None),
            ("Fix rounding (#0)", "", None),
            ("Fix rounding (#7a)", "", None),
            ("Fix rounding (#99999999999999999999)", "", None),
            ("Merge pull request #736", "", None),
            ("(#736)", "", None),
            ("", "", None),
        ] {
            assert_eq!(pull_request(title, body, "acme/shop"), expected, "{title} {body}");
        }
    }
}
