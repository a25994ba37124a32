//! `record build --commits-since`: a build tells every commit that it contains, from real clones.

use std::path::Path;
use std::process::{Command, Stdio};

use delivery_center::endpoint::Endpoint::GetArtifact;
use serde_json::{Value, json};

use crate::running::{Ran, run, tool};
use crate::support::Tables;

const CART: &str = "registry.example.com/shop/cart";
const WEB: &str = "registry.example.com/shop/web";

/// A repository on this machine, whose commits are a minute apart.
struct Clone {
    folder: tempfile::TempDir,
    minutes: u64,
}

impl Clone {
    fn empty() -> Self {
        let clone = Self { folder: tempfile::tempdir().unwrap(), minutes: 0 };
        clone.git(&["init", "--quiet", "--initial-branch=main"]);
        clone
    }

    /// A clone of another one, as a pipeline makes it.
    fn of(other: &Path, options: &[&str]) -> Self {
        let clone = Self { folder: tempfile::tempdir().unwrap(), minutes: 0 };
        let url = format!("file://{}", other.display());
        clone.git(&[&["clone", "--quiet"], options, &[&url, "."]].concat());
        clone
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut git = Command::new("git");
        let date = format!("{} +0000", 1_700_000_000 + 60 * self.minutes);
        git.env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1")])
            .envs([("GIT_AUTHOR_NAME", "Ann"), ("GIT_AUTHOR_EMAIL", "ann@example.com")])
            .envs([("GIT_COMMITTER_NAME", "Bot"), ("GIT_COMMITTER_EMAIL", "bot@example.com")])
            .envs([("GIT_AUTHOR_DATE", &date), ("GIT_COMMITTER_DATE", &date)])
            .current_dir(self.folder.path())
            .args(arguments);
        git
    }

    fn git(&self, arguments: &[&str]) -> String {
        let ran = self.command(arguments).output().unwrap();
        assert!(ran.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap().trim().to_owned()
    }

    /// Commits, and gives the commit's id.
    fn commit(&mut self, message: &str) -> String {
        self.after_a_minute(&["commit", "--quiet", "--allow-empty", "--message", message])
    }

    fn after_a_minute(&mut self, arguments: &[&str]) -> String {
        self.minutes += 1;
        self.git(arguments);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Makes so many commits at once.
    fn commit_many(&mut self, count: usize) {
        let mut import = self.command(&["fast-import", "--quiet"]);
        let mut import = import.stdin(Stdio::piped()).spawn().unwrap();
        let commit = |number: usize| {
            let (message, time) = (format!("Change {number}"), 1_700_000_000 + 60 * number);
            let who = format!("committer Ann <ann@example.com> {time} +0000");
            format!("commit refs/heads/main\n{who}\ndata {}\n{message}\n", message.len())
        };
        let stream: String = (1..=count).map(commit).collect();
        std::io::Write::write_all(&mut import.stdin.take().unwrap(), stream.as_bytes()).unwrap();
        assert!(import.wait().unwrap().success());
    }

    /// Records a build of the commit that is checked out. The number is that of its tag, and tells its digest.
    async fn build(&self, tables: &Tables, image: &str, number: u64, since: &str) -> Built {
        self.build_with(tables, image, number, &["--commits-since", since]).await
    }

    async fn build_with(&self, tables: &Tables, image: &str, number: u64, more: &[&str]) -> Built {
        let commit = self.git(&["rev-parse", "HEAD"]);
        self.build_of(tables, image, number, &commit, more).await
    }

    async fn build_of(
        &self,
        tables: &Tables,
        image: &str,
        number: u64,
        commit: &str,
        more: &[&str],
    ) -> Built {
        let (tagged, digest) = (format!("{image}:{number}"), format!("sha256:{number:064x}"));
        let url = format!("https://ci.example.com/{number}");
        let build = ["record", "build", "--json", "--image", &tagged, "--digest", &digest, "--url", &url];
        let ended = (1_800_000_000 + number).to_string();
        let of = ["--repo", "acme/shop", "--branch", "main", "--commit", commit, "--ended", &ended];
        let mut tool = tool(&tables.environment(), &[build.as_slice(), &of, more].concat());
        tool.env("PATH", std::env::var_os("PATH").unwrap()).current_dir(self.folder.path());
        Built(run(tool).await)
    }
}

struct Built(Ran);

impl Built {
    /// The commits that were recorded, each with its pull request where it has one.
    fn commits(&self) -> Vec<(String, Option<u64>)> {
        self.activity()["commits"]
            .as_array()
            .unwrap()
            .iter()
            .map(|commit| (commit["commit_id"].as_str().unwrap().to_owned(), commit["pr"].as_u64()))
            .collect()
    }

    fn ids(&self) -> Vec<String> {
        self.commits().into_iter().map(|(id, _)| id).collect()
    }

    fn activity(&self) -> Value {
        assert_eq!(self.0.status, Some(0), "{:?}", self.0);
        serde_json::from_str::<Value>(&self.0.out).unwrap()["activities"][0].clone()
    }

    /// What is said beside what was recorded.
    fn note(&self) -> &str {
        let is_note = |line: &&str| line.starts_with("note: ") || line.starts_with("warning: ");
        self.0.err.lines().find(is_note).unwrap_or_default()
    }
}

/// The tag of the newest artifact that a look-up finds.
async fn found(tables: &Tables, query: &str) -> Value {
    tables.get(GetArtifact, query).await.json()["image"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_tells_all_commits_since_a_reference_those_of_a_merge_too() {
    let tables = Tables::empty().await;
    let mut clone = Clone::empty();
    clone.commit("First");
    clone.git(&["tag", "v1"]);
    clone.git(&["checkout", "--quiet", "-b", "topic"]);
    let wrap = clone.commit("Wrap gifts\n\nThe paper is blue.");
    clone.git(&["checkout", "--quiet", "main"]);
    let squashed = clone.commit("Fix rounding (#6)");
    clone.git(&["checkout", "--quiet", "topic"]);
    let ribbon = clone.commit("Add a ribbon");
    clone.git(&["checkout", "--quiet", "main"]);
    let merge =
        ["merge", "--quiet", "--no-ff", "topic", "--message", "Merge pull request #7 from acme/topic"];
    let merge = clone.after_a_minute(&merge);
    let built = clone.build(&tables, CART, 1, "v1").await;
    let expected =
        [(merge.clone(), Some(7)), (ribbon.clone(), None), (squashed.clone(), Some(6)), (wrap.clone(), None)];
    assert_eq!(built.commits(), expected);
    assert_eq!(built.note(), "");
    let of = |id: &str, title: &str| {
        json!({
            "address": "", "repo_owner": "acme", "repo_name": "shop", "branch": "", "commit_id": id,
            "commit_message": title, "author_name": "Ann",
        })
    };
    let commits = built.activity()["commits"].clone();
    assert_eq!(commits[3].to_string(), of(&wrap, "Wrap gifts").to_string());
    assert_eq!((&commits[0]["branch"], &commits[0]["author_name"]), (&json!("main"), &json!("Ann")));
    for query in [
        format!("commit={}", &wrap[..7]),
        format!("commit={ribbon}&repo=acme/shop"),
        "pr=6&repo=acme/shop".to_owned(),
        "pr=7&repo=acme/shop".to_owned(),
    ] {
        assert_eq!(found(&tables, &query).await, format!("{CART}:1"), "{query}");
    }
    // Without the option, a build tells the commit that was built, as it always did.
    assert_eq!(clone.build_with(&tables, CART, 2, &[]).await.commits(), [(merge.clone(), None)]);
    let since_itself = clone.build(&tables, CART, 3, "HEAD").await;
    assert_eq!(since_itself.commits(), [(merge, Some(7))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_images_in_one_repository_each_tells_what_its_last_build_did_not_contain() {
    let tables = Tables::empty().await;
    let mut clone = Clone::empty();
    let first = clone.commit("First");
    let second = clone.commit("Second");
    assert_eq!(clone.build(&tables, CART, 1, "auto").await.ids(), [&second, &first].map(String::clone));
    let third = clone.commit("Third");
    assert_eq!(clone.build(&tables, WEB, 2, "auto").await.ids().len(), 3);
    let fourth = clone.commit("Fourth");
    // The web's artifact contains the third commit, and the cart's does not.
    assert_eq!(clone.build(&tables, CART, 3, "auto").await.ids(), [&fourth, &third].map(String::clone));
    let fifth = clone.commit("Fifth");
    assert_eq!(clone.build(&tables, WEB, 4, "auto").await.ids(), [&fifth, &fourth].map(String::clone));
    assert_eq!(clone.build(&tables, CART, 5, "auto").await.ids(), [fifth]);
    for (commit, image) in [(&first, WEB), (&third, CART), (&fourth, WEB)] {
        let found = found(&tables, &format!("commit={commit}")).await;
        assert!(found.as_str().unwrap().starts_with(image), "{commit}: {found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_is_sent_again_is_the_same_and_its_other_tag_tells_the_same_commits() {
    let tables = Tables::empty().await;
    let mut clone = Clone::empty();
    clone.commit("First");
    clone.build(&tables, CART, 1, "auto").await;
    clone.commit("Second");
    clone.commit("Third");
    let built = clone.build(&tables, CART, 2, "auto").await;
    assert_eq!(built.ids().len(), 2);
    let again = clone.build(&tables, CART, 2, "auto").await;
    assert_eq!(again.0.out, built.0.out);
    assert!(again.0.err.contains("recorded before"), "{:?}", again.0);
    // Nor is it another fact where the history could be read only one of the two times.
    let elsewhere = clone.build(&tables, CART, 2, "nowhere").await;
    assert!(elsewhere.0.err.contains("recorded before"), "{:?}", elsewhere.0);
    assert_eq!(clone.build(&tables, CART, 3, "auto").await.ids(), built.ids());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_built_commit_that_is_given_short_is_recorded_and_contained_by_its_whole_id() {
    let tables = Tables::empty().await;
    let mut clone = Clone::empty();
    let first = clone.commit("First");
    let since_auto = ["--commits-since", "auto"];
    let short = clone.build_of(&tables, CART, 1, &first[..8], &since_auto).await;
    assert_eq!(short.ids(), [first.as_str()]);
    for query in [format!("commit={first}&repo=acme/shop"), format!("commit={}", &first[..7])] {
        assert_eq!(found(&tables, &query).await, format!("{CART}:1"), "{query}");
    }
    let again = clone.build_of(&tables, CART, 1, &first, &since_auto).await;
    assert!(again.0.err.contains("recorded before"), "{:?}", again.0);
    let second = clone.commit("Second");
    let large = second.to_uppercase();
    assert_eq!(clone.build_of(&tables, CART, 2, &large[..12], &since_auto).await.ids(), [second]);
    // It is whole too where the clone does not tell the commits behind it.
    let alone = clone.build_of(&tables, WEB, 3, &first[..8], &["--commits-since", "nowhere"]).await;
    assert_eq!(alone.ids(), [first]);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_force_push_the_commits_that_are_new_are_told() {
    let tables = Tables::empty().await;
    let mut clone = Clone::empty();
    let kept = clone.commit("Kept");
    let dropped = clone.commit("Dropped");
    assert_eq!(clone.build(&tables, CART, 1, "auto").await.ids(), [&dropped, &kept].map(String::clone));
    clone.git(&["reset", "--quiet", "--hard", &kept]);
    let new = clone.commit("New");
    let newest = clone.commit("Newest");
    let expected = [&newest, &new].map(String::clone);
    assert_eq!(clone.build(&tables, CART, 2, "auto").await.ids(), expected);
    assert_eq!(clone.build(&tables, CART, 3, &dropped).await.ids(), expected);
    // What was dropped is in no clone that was made since.
    let fresh = Clone::of(clone.folder.path(), &[]);
    let built = fresh.build(&tables, CART, 4, &dropped).await;
    assert_eq!(built.ids(), [newest]);
    let note = format!(
        "warning: only the built commit is recorded: {dropped:?} is not in this clone: git fetch origin {dropped}"
    );
    assert_eq!(built.note(), note);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_clone_lacks_is_there_after_the_fetch_that_the_warning_names() {
    let tables = Tables::empty().await;
    let mut origin = Clone::empty();
    origin.commit("First");
    let whole = Clone::of(origin.folder.path(), &[]);
    origin.git(&["checkout", "--quiet", "-b", "topics/gifts"]);
    let commit = origin.commit("Wrap gifts");
    origin.git(&["tag", "v2"]);
    for (number, since, fetch) in [
        (1, "origin/topics/gifts", "git fetch origin topics/gifts"),
        (2, "refs/remotes/origin/topics/gifts", "git fetch origin topics/gifts"),
        (3, "v2", "git fetch --tags origin"),
        (4, "origin/topics/gifts~1", "git fetch origin"),
        (5, "v2^{commit}", "git fetch origin"),
        (6, "main@{u}", "git fetch origin"),
        (7, &commit[..8], "git fetch origin"),
        (8, &commit, &format!("git fetch origin {commit}")),
    ] {
        let clone = Clone::of(whole.folder.path(), &["--no-tags"]);
        clone.git(&["remote", "set-url", "origin", &format!("file://{}", origin.folder.path().display())]);
        clone.git(&["config", "--unset-all", "remote.origin.tagOpt"]);
        clone.git(&["update-ref", "-d", "refs/remotes/origin/main"]);
        let built = clone.build(&tables, CART, number, since).await;
        let note = built.note();
        let start = format!("warning: only the built commit is recorded: {since:?} is not in this clone: ");
        let said = note.strip_prefix(&start).unwrap_or_else(|| panic!("{note}"));
        assert_eq!(said.split(" (").next(), Some(fetch), "{since}");
        clone.git(&fetch.split(' ').skip(1).collect::<Vec<_>>());
        assert_eq!(clone.build(&tables, WEB, number, since).await.note(), "", "{since}");
    }
    // Nothing is fetched into a branch of the clone's own.
    let built = whole.build(&tables, CART, 9, "topics/gifts").await;
    assert!(
        built.note().ends_with("git fetch --tags origin (a branch of it is origin/topics/gifts)"),
        "{:?}",
        built.0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shallow_clone_that_reaches_too_little_is_told_how_to_fetch_more() {
    let tables = Tables::empty().await;
    let mut origin = Clone::empty();
    let first = origin.commit("First");
    origin.git(&["tag", "v1"]);
    origin.build(&tables, CART, 1, "auto").await;
    for number in 2..=5 {
        origin.commit(&format!("Change {number}"));
    }
    let head = origin.git(&["rev-parse", "HEAD"]);
    for (number, depth) in [(2, "1"), (3, "3"), (4, "4")] {
        let shallow = Clone::of(origin.folder.path(), &["--depth", depth]);
        for since in ["auto", &first, "v1"] {
            let built = shallow.build(&tables, WEB, number, since).await;
            assert_eq!(built.ids(), [head.as_str()], "{depth}, {since}");
            assert!(
                built.note().starts_with("warning: only the built commit is recorded: "),
                "{:?}",
                built.0
            );
            assert!(built.note().contains("git fetch --unshallow --tags"), "{:?}", built.0);
        }
        // The tag may be there without the commits in between.
        if depth != "4" {
            shallow.git(&["fetch", "--quiet", "--depth", "1", "origin", "tag", "v1"]);
            let built = shallow.build(&tables, WEB, number, "v1").await;
            assert_eq!(built.ids(), [head.as_str()], "{depth}");
            assert!(built.note().contains("--unshallow"), "{:?}", built.0);
        }
        shallow.git(&["fetch", "--quiet", "--unshallow", "--tags"]);
        assert_eq!(shallow.build(&tables, CART, 10 + number, "auto").await.ids().len(), 4, "{depth}");
    }
    // One that reaches it is as good as a whole one.
    let deep = Clone::of(origin.folder.path(), &["--depth", "5"]);
    let built = deep.build(&tables, CART, 20, "v1").await;
    assert_eq!((built.ids().len(), built.note()), (4, ""));
    let built = deep.build(&tables, CART, 21, "auto").await;
    assert_eq!((built.ids().len(), built.note()), (4, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_300_commits_the_newest_250_are_told_and_it_is_said_where_that_ends() {
    let tables = Tables::empty().await;
    let mut clone = Clone::empty();
    clone.commit_many(300);
    clone.git(&["reset", "--quiet", "--hard", "main"]);
    let all: Vec<_> = clone.git(&["rev-list", "main"]).lines().map(str::to_owned).collect();
    let built = clone.build(&tables, CART, 1, "auto").await;
    assert_eq!(built.ids(), all[..250]);
    let expected = format!(
        "note: the newest 250 of 300 commits are recorded, back to {}: no earlier artifact of {CART} contains any of them",
        all[249]
    );
    assert_eq!(built.note(), expected);
    assert_eq!(found(&tables, &format!("commit={}", all[249])).await, format!("{CART}:1"));
    assert_eq!(found(&tables, &format!("commit={}", all[250])).await, Value::Null);
    let built = clone.build(&tables, WEB, 2, &all[280]).await;
    assert_eq!(built.ids(), all[..250]);
    let expected =
        format!("note: the newest 250 of 280 commits since {} are recorded, back to {}", all[280], all[249]);
    assert_eq!(built.note(), expected);
    // Behind 250 commits, the one before is still found.
    clone.commit("One more");
    assert_eq!(clone.build(&tables, CART, 3, "auto").await.ids().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_without_a_clone_is_recorded_and_it_is_said_why_its_commits_are_not() {
    let tables = Tables::empty().await;
    let mut clone = Clone::empty();
    let commit = clone.commit("First");
    let elsewhere = tempfile::tempdir().unwrap();
    let missing = "4b15c43b012e7a4a901fdcfe33736ad1c3b53f48";
    for (number, path, folder, commit, since, reason) in [
        (1, true, elsewhere.path(), commit.as_str(), "auto", "not a git repository"),
        (2, false, clone.folder.path(), &commit, "auto", "git cannot be run"),
        (3, true, clone.folder.path(), missing, "auto", "is not in this clone"),
        (4, true, clone.folder.path(), &commit, "gone@{1 day ago}", "is not in this clone"),
        (5, true, clone.folder.path(), &commit, "", "--commits-since is empty"),
    ] {
        let (image, since) = (format!("{CART}:{number}"), format!("--commits-since={since}"));
        let digest = format!("sha256:{number:064x}");
        let build = ["record", "build", "--json", "--image", &image, "--digest", &digest, &since];
        let of = ["--repo", "acme/shop", "--branch", "main", "--commit", commit];
        let mut tool = tool(&tables.environment(), &[build.as_slice(), &of].concat());
        let path = if path { std::env::var_os("PATH").unwrap() } else { elsewhere.path().into() };
        tool.env("PATH", path).env("GIT_CEILING_DIRECTORIES", "/tmp").current_dir(folder);
        let recorded = Built(run(tool).await);
        assert_eq!(recorded.ids(), [commit], "{reason}");
        assert!(recorded.note().contains(reason), "{reason}: {:?}", recorded.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_single_revision_is_refused_before_anything_is_recorded() {
    let tables = Tables::empty().await;
    let mut clone = Clone::empty();
    clone.commit("First");
    clone.commit("Second");
    for since in [
        "--all",
        "-1",
        "HEAD~1..HEAD",
        "HEAD~1...HEAD",
        "^HEAD",
        "HEAD^@",
        "HEAD^!",
        "HEAD^-",
        "HEAD^-1",
        "v*",
        "a b",
        "HEAD:x",
    ] {
        let Built(ran) = clone.build_with(&tables, CART, 1, &[&format!("--commits-since={since}")]).await;
        assert_eq!(ran.status, Some(2), "{since}: {ran:?}");
        assert!(ran.err.contains("a commit, a tag or a branch") && !ran.err.contains("git fetch"), "{ran:?}");
    }
    assert_eq!(found(&tables, &format!("image={CART}:1")).await, Value::Null);
    for since in ["HEAD~1", "HEAD^", "HEAD^{commit}^", "main~1"] {
        assert_eq!(clone.build(&tables, CART, 2, since).await.ids().len(), 1, "{since}");
    }
}
