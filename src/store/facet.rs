//! Facets name the lists in the index of releases. This file says which lists a release stands in, which list a search
//! reads, and which of its entries the search finds.

use std::collections::{BTreeMap, BTreeSet};

use hex_simd::AsciiCase;
use ring::digest::{SHA256, digest};

use super::error::StoreError;
use super::items::{Attributes, Item, bytes, text};
use super::keys::MAX_HASH_KEY_BYTES;
use crate::commit_prefix::CommitPrefix;
use crate::image_reference::{ImageDigest, ImageReference, repository};
use crate::position::{MAX_UNIX_SECONDS, Position, UnixSeconds};

/// How many bytes of its digest stand for a term. With six, a search that compares a hundred million terms takes one
/// for another with a probability of one in three million.
const TERM_DIGEST_BYTES: usize = 6;
/// The facet that every release has.
const ALL: &str = "all";

/// A hash key of the index `by_facet`: `all`, `project=P&workflow=W&task=T&service=S` with any of the four, or one of
/// `environment=E`, `label=L`, `version=V`, `image=I`, `digest=D`, `digest=R@D` and `commit=C`. `R@D` is a digest in a
/// repository, or `@D` where no repository is written with it; `C` is a commit's first 7 digits.
///
/// Zadig's own four filters (project, workflow, task and service) have a facet for every combination. So any of these
/// combinations is one Query that reads just what it answers, however long the history. `%` and `&` in a name are
/// percent-encoded, so that different names have different facets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Facet {
    kind: Kind,
    text: String,
}

/// The kinds of lists, from those that are usually narrow to those that are usually wide. Only DynamoDB knows how long a
/// list really is.
///
/// A search with several filters reads the list of the narrowest kind, and compares the terms of the others with what each
/// entry tells. So an entry tells the release's terms of all wider kinds, and none of the narrower ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kind {
    Commit,
    Image,
    Version,
    /// A combination of Zadig's own four filters with a task.
    Task,
    Label,
    Environment,
    /// A combination of the four without a task, or none of them: the list of all releases.
    Names,
}

type TermDigest = [u8; TERM_DIGEST_BYTES];

/// The terms that an item holds, by which its release is found. The release's item `terms` holds all of them. An entry
/// of a list holds those that a search of this list compares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// Short digests of terms, one behind another, in any order.
    pub digests: Vec<u8>,
    /// Commits, separated by blanks: in `terms` those of all builds, in an entry of a commit's list those that begin with the
    /// list's digits.
    pub commits: String,
}

/// An entry of a release in the index.
#[derive(Debug)]
pub struct ListedUnder {
    /// The list.
    pub facet: Facet,
    /// The terms that a search of this list compares.
    pub terms: Terms,
}

/// The values of a release that it can be found by. Soft-deleted records do not count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReleaseValues {
    /// `versionInfo.productName`.
    pub project: String,
    /// `versionInfo.workflowName`.
    pub workflow: String,
    /// `versionInfo.taskId` in decimal; `None` where it is 0 or missing.
    pub task_id: Option<String>,
    /// The raw service names of its deploys: distinct, sorted, none empty.
    pub services: Vec<String>,
    /// `versionInfo.labels`.
    pub labels: Vec<String>,
    /// `versionInfo.productEnvInfo.env_name`; empty where there is none.
    pub env_name: String,
    /// `versionInfo.version`.
    pub version: String,
    /// The images of its records and its environment, as they are written there: distinct, sorted, none empty. The
    /// digest of a build is among them as `repository@digest`, or alone where the build names no image, or names it by a
    /// digest alone.
    pub images: Vec<String>,
    /// The ids of the commits that its builds were made from, as they are written there.
    pub commits: Vec<String>,
}

impl Facet {
    /// The facet of one combination of Zadig's own four filters.
    pub fn new(
        project: Option<&str>,
        workflow: Option<&str>,
        task_id: Option<u64>,
        service: Option<&str>,
    ) -> Self {
        let task_id = task_id.map(|task_id| task_id.to_string());
        let named = [
            ("project", project),
            ("workflow", workflow),
            ("task", task_id.as_deref()),
            ("service", service),
        ];
        let terms: Vec<_> = named.iter().filter_map(|(name, value)| Some(term(name, (*value)?))).collect();
        let text = if terms.is_empty() { ALL.to_owned() } else { terms.join("&") };
        Self { kind: if task_id.is_some() { Kind::Task } else { Kind::Names }, text }
    }

    /// The facet of an environment's releases.
    pub fn of_environment(env_name: &str) -> Self {
        Self { kind: Kind::Environment, text: term("environment", env_name) }
    }

    /// The facet of a label's releases.
    pub fn of_label(label: &str) -> Self {
        Self { kind: Kind::Label, text: term("label", label) }
    }

    /// The facet of a version's releases.
    pub fn of_version(version: &str) -> Self {
        Self { kind: Kind::Version, text: term("version", version) }
    }

    /// The facets of the releases that hold an image. A digest in a repository has two: a release may name the digest there, or
    /// without any repository.
    pub fn of_image(image: &ImageReference) -> Vec<Self> {
        match image {
            ImageReference::Pushed(image) => vec![Self::of_pushed(image)],
            ImageReference::Digest { digest, repository: None } => vec![Self::of_digest(digest)],
            ImageReference::Digest { digest, repository: Some(repository) } => {
                vec![Self::of_digest_in(repository, digest), Self::of_digest_in("", digest)]
            }
        }
    }

    fn of_pushed(image: &str) -> Self {
        Self { kind: Kind::Image, text: term("image", image) }
    }

    fn of_digest(digest: &ImageDigest) -> Self {
        Self { kind: Kind::Image, text: term("digest", digest.as_str()) }
    }

    /// The facet of a digest in a repository; in `""` where no repository is written with it.
    fn of_digest_in(repository: &str, digest: &ImageDigest) -> Self {
        Self { kind: Kind::Image, text: term("digest", &format!("{repository}@{digest}")) }
    }

    /// The facet of the releases with a build from a commit that begins with the first seven of these digits.
    pub fn of_commit(commit: &CommitPrefix) -> Self {
        Self { kind: Kind::Commit, text: term("commit", commit.indexed()) }
    }

    /// A facet that no release has.
    pub fn of_nothing() -> Self {
        Self { kind: Kind::Names, text: "nothing".to_owned() }
    }

    /// The facets of a release's project, workflow, task and services. An empty name and a task id of 0 have no facet,
    /// since nobody can ask for them.
    fn of_names(release: &ReleaseValues) -> BTreeSet<Self> {
        let task_id = release.task_id.as_ref().and_then(|task_id| task_id.parse().ok());
        let optional = |name| [None, Some(name).filter(|name: &&str| !name.is_empty())];
        let services = release.services.iter().map(|service| Some(service.as_str()));
        let mut facets = BTreeSet::new();
        for service in std::iter::once(None).chain(services) {
            for project in optional(&release.project) {
                for workflow in optional(&release.workflow) {
                    for task_id in [None, task_id.filter(|task_id| *task_id != 0)] {
                        facets.insert(Self::new(project, workflow, task_id, service));
                    }
                }
            }
        }
        facets
    }

    /// Whether DynamoDB can hold the facet as a hash key.
    pub fn fits_a_key(&self) -> bool {
        self.text.len() <= MAX_HASH_KEY_BYTES
    }

    /// The text, as it is stored.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The range key of a release's entry for this facet. It is a digest, since a range key may have half the bytes of a hash key.
    pub fn entry(&self) -> String {
        format!(
            "facet#{}",
            hex_simd::encode_to_string(
                &digest(&SHA256, self.text.as_bytes()).as_ref()[..16],
                AsciiCase::Lower
            )
        )
    }

    /// The digests of the facet's terms, such as `project=P` and `service=S`. The facet of all releases has no term.
    fn terms(&self) -> impl Iterator<Item = TermDigest> {
        self.text.split('&').filter(|term| *term != ALL).map(term_digest)
    }
}

/// The lists of a release, gathered from the widest kind to the narrowest.
#[derive(Default)]
struct Gathered {
    listed: Vec<ListedUnder>,
    /// The terms of all kinds so far.
    wider: BTreeSet<TermDigest>,
}

impl Gathered {
    /// Adds the facets of the next narrower kind. Their entries tell the terms of the kinds that were added before.
    fn list(&mut self, facets: impl IntoIterator<Item = Facet>) {
        let terms = Terms::of(&self.wider);
        let mut found = BTreeSet::new();
        for facet in facets.into_iter().filter(Facet::fits_a_key) {
            found.extend(facet.terms());
            self.listed.push(ListedUnder { facet, terms: terms.clone() });
        }
        self.wider.append(&mut found);
    }
}

/// Every list that a release stands in, and all of its terms.
///
/// A label, version or other value that is longer than a key can be finds nothing, and is left out. The facets of
/// Zadig's own four filters are all returned, even those that are too long. The caller asks `fits_a_key`, and refuses a
/// release whose names do not fit.
pub fn listed(release: &ReleaseValues) -> (Vec<ListedUnder>, Terms) {
    let given = |value: &&String| !value.is_empty();
    let (tasks, names): (Vec<_>, Vec<_>) =
        Facet::of_names(release).into_iter().partition(|facet| facet.kind == Kind::Task);
    let mut gathered = Gathered::default();
    // An entry of these lists holds no terms of names: a search for several names reads the list of their combination.
    for facet in names {
        gathered.wider.extend(facet.terms());
        gathered.listed.push(ListedUnder { facet, terms: Terms::default() });
    }
    let names = gathered.wider.clone();
    gathered.list(Some(&release.env_name).filter(given).map(|name| Facet::of_environment(name)));
    let labels: BTreeSet<_> =
        release.labels.iter().filter(given).map(|label| Facet::of_label(label)).collect();
    gathered.list(labels);
    let environment_and_labels: BTreeSet<_> = gathered.wider.difference(&names).copied().collect();
    for facet in tasks {
        gathered.wider.extend(facet.terms());
        gathered.listed.push(ListedUnder { facet, terms: Terms::of(&environment_and_labels) });
    }
    gathered.list(Some(&release.version).filter(given).map(|version| Facet::of_version(version)));
    gathered.list(image_facets(&release.images));
    let commits = list_commits(&mut gathered, &release.commits);
    let Gathered { listed, wider } = gathered;
    (listed, Terms { commits, ..Terms::of(&wider) })
}

/// The facets of the images that a release holds.
fn image_facets(images: &[String]) -> BTreeSet<Facet> {
    let mut facets = BTreeSet::new();
    for image in images {
        let image = WrittenImage::read(image);
        facets.extend(image.pushed.map(Facet::of_pushed));
        if let Some((digest, repository)) = image.digest {
            facets.extend([Facet::of_digest(&digest), Facet::of_digest_in(repository, &digest)]);
        }
    }
    facets
}

/// Lists the release under its commits, and returns all of them in one text. Each entry holds the commits that begin
/// with its list's digits.
fn list_commits(gathered: &mut Gathered, commits: &[String]) -> String {
    let commits: BTreeSet<_> =
        commits.iter().filter_map(|commit_id| CommitPrefix::longest_of(commit_id)).collect();
    let mut by_facet = BTreeMap::<Facet, Vec<&str>>::new();
    for commit in &commits {
        by_facet.entry(Facet::of_commit(commit)).or_default().push(commit.as_str());
    }
    let wider = Terms::of(&gathered.wider);
    for (facet, commits) in by_facet {
        gathered.wider.extend(facet.terms());
        let terms = Terms { commits: commits.join(" "), ..wider.clone() };
        gathered.listed.push(ListedUnder { facet, terms });
    }
    commits.iter().map(CommitPrefix::as_str).collect::<Vec<_>>().join(" ")
}

/// An image as it is written in a release, taken apart.
struct WrittenImage<'a> {
    /// The image as it was pushed, without a digest behind it; `None` where only a digest, or a repository and a
    /// digest, is written.
    pushed: Option<&'a str>,
    /// The digest and the repository, which is `""` where none is written.
    digest: Option<(ImageDigest, &'a str)>,
}

impl<'a> WrittenImage<'a> {
    fn read(image: &'a str) -> Self {
        if let Some((name, digest)) = image.split_once('@') {
            let repository = repository(name);
            let digest = ImageDigest::parse(digest).map(|digest| (digest, repository));
            // In front of a digest, a name without a tag is a repository, and nothing that was pushed.
            return Self { pushed: Some(name).filter(|name| *name != repository), digest };
        }
        match ImageDigest::parse(image) {
            Some(digest) => Self { pushed: None, digest: Some((digest, "")) },
            None => Self { pushed: Some(image), digest: None },
        }
    }
}

/// A search for releases: which list it reads, and which releases of this list it finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseSearch {
    /// One list. For a digest in a repository there are two, and the search finds what is in either.
    lists: Vec<Facet>,
    /// The other conditions: a release must have at least one term of each of these lists of terms.
    others: Vec<Vec<TermDigest>>,
    /// The commit, where it is given with more than the seven digits that its list stands for.
    commit: Option<CommitPrefix>,
    /// The position from which on a release must lie, and the position before which it must lie; `None` is no limit.
    between: (Option<Position>, Option<Position>),
}

impl ReleaseSearch {
    /// The search for the releases that stand in all of these lists, and that hold an image and a commit besides. It reads the
    /// narrowest of the lists. `None` where no release can match, since a value is longer than a key can be.
    pub fn new(
        facets: Vec<Facet>,
        image: Option<&ImageReference>,
        commit: Option<&CommitPrefix>,
    ) -> Option<Self> {
        let mut asked: Vec<_> = facets.into_iter().map(|facet| vec![facet]).collect();
        asked.extend(image.map(Facet::of_image));
        asked.extend(commit.map(|commit| vec![Facet::of_commit(commit)]));
        if !asked.iter().flatten().all(Facet::fits_a_key) {
            return None;
        }
        asked.sort();
        let mut asked = asked.into_iter();
        let lists = asked.next().unwrap_or_else(|| vec![Facet::new(None, None, None, None)]);
        let mut others = Vec::new();
        for facets in asked {
            match facets.as_slice() {
                [facet] => others.extend(facet.terms().map(|term| vec![term])),
                either => others.push(either.iter().flat_map(Facet::terms).collect()),
            }
        }
        let is_told_by_facet = |commit: &&CommitPrefix| commit.as_str() == commit.indexed();
        let commit = commit.filter(|commit| !is_told_by_facet(commit)).cloned();
        Some(Self { lists, others, commit, between: (None, None) })
    }

    /// The same search among the releases that were created at `since` or later, and before `until`. `None` where no
    /// release can lie in that range.
    pub fn between(self, since: Option<UnixSeconds>, until: Option<UnixSeconds>) -> Option<Self> {
        let is_nothing = since.is_some_and(|since| since > MAX_UNIX_SECONDS)
            || until.is_some_and(|until| until <= since.unwrap_or_default());
        if is_nothing {
            return None;
        }
        let until = until.filter(|until| *until <= MAX_UNIX_SECONDS);
        let between = (since.map(Position::before_all_of), until.map(Position::before_all_of));
        Some(Self { between, ..self })
    }

    /// A search that finds nothing.
    pub fn of_nothing() -> Self {
        Self { lists: vec![Facet::of_nothing()], others: Vec::new(), commit: None, between: (None, None) }
    }

    /// Whether it compares the entries that it reads, and may pass over some.
    pub fn compares_entries(&self) -> bool {
        !self.others.is_empty() || self.commit.is_some()
    }

    /// Whether it reads only one list. Only a search for a digest in a repository reads two.
    pub fn reads_one_list(&self) -> bool {
        self.lists.len() == 1
    }

    /// The lists that it reads, side by side.
    pub fn lists(&self) -> &[Facet] {
        &self.lists
    }

    /// The position from which on it reads, and the position before which it reads. They come from `since` and `until`;
    /// a cursor that is older than `until` takes its place.
    pub fn range<'a>(
        &'a self,
        older_than: Option<&'a Position>,
    ) -> (Option<&'a Position>, Option<&'a Position>) {
        let (since, until) = &self.between;
        (since.as_ref(), older_than.into_iter().chain(until).min())
    }

    /// Whether it finds a release, by what the release's entry in the list tells.
    pub fn finds_entry(&self, terms: &Terms) -> bool {
        self.others.iter().all(|one_of| one_of.iter().any(|term| terms.has(*term)))
            && self
                .commit
                .as_ref()
                .is_none_or(|commit| terms.commits.split(' ').any(|found| commit.begins(found)))
    }

    /// Whether it finds a release, by all of the release's terms.
    pub fn finds_release(&self, terms: &Terms) -> bool {
        let is_listed = |facet: &Facet| facet.terms().all(|term| terms.has(term));
        self.lists.iter().any(is_listed) && self.finds_entry(terms)
    }
}

impl Terms {
    fn of<'a>(digests: impl IntoIterator<Item = &'a TermDigest>) -> Self {
        Self { digests: digests.into_iter().flatten().copied().collect(), commits: String::new() }
    }

    fn has(&self, term: TermDigest) -> bool {
        let (digests, _) = self.digests.as_chunks::<TERM_DIGEST_BYTES>();
        digests.contains(&term)
    }

    /// How many bytes they take in an item.
    pub fn weight(&self) -> usize {
        self.digests.len() + self.commits.len()
    }

    /// Puts them into an item. Attributes that would be empty are left out.
    pub fn put_into(&self, item: &mut Item) {
        if !self.digests.is_empty() {
            item.insert("facets".to_owned(), bytes(self.digests.clone()));
        }
        if !self.commits.is_empty() {
            item.insert("commits".to_owned(), text(&self.commits));
        }
    }

    /// Takes them out of an item.
    ///
    /// # Errors
    /// An attribute is of another type.
    pub fn take_from(attributes: &mut Attributes<'_>) -> Result<Self, StoreError> {
        let digests = attributes.bytes_or_none("facets")?;
        let commits = if attributes.has("commits") { attributes.text("commits")? } else { String::new() };
        Ok(Self { digests, commits })
    }
}

fn term(name: &str, value: &str) -> String {
    format!("{name}={}", value.replace('%', "%25").replace('&', "%26"))
}

fn term_digest(term: &str) -> TermDigest {
    let digest = digest(&SHA256, term.as_bytes());
    digest.as_ref()[..TERM_DIGEST_BYTES].try_into().expect("a SHA-256 digest has more bytes")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    const DIGESTS: [&str; 2] = [
        "sha256:1d9ddf94feb5ff9ca9d76248ad51dd2a95210895d0dbf1e87bd66cc471c41f0e",
        "sha256:3d9ddf94feb5ff9ca9d76248ad51dd2a95210895d0dbf1e87bd66cc471c41f0e",
    ];

    fn texts(release: &ReleaseValues) -> Vec<String> {
        let (listed, _) = listed(release);
        let mut texts: Vec<_> = listed.iter().map(|listed| listed.facet.as_str().to_owned()).collect();
        texts.sort();
        texts
    }

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn a_release_is_listed_under_every_combination_of_the_documented_four() {
        let names = || ReleaseValues { project: "p".to_owned(), ..ReleaseValues::default() };
        let all = ReleaseValues {
            workflow: "w".to_owned(),
            task_id: Some("3".to_owned()),
            services: owned(&["a", "b"]),
            ..names()
        };
        assert_eq!(texts(&all).len(), 8 + 2 * 8);
        assert_eq!(texts(&ReleaseValues::default()), ["all"]);
        assert_eq!(texts(&names()), ["all", "project=p"]);
    }

    #[test]
    fn a_release_is_listed_under_each_of_its_other_facets() {
        let release = ReleaseValues {
            version: "1&2".to_owned(),
            labels: owned(&["a", "", "a"]),
            env_name: "prod".to_owned(),
            images: vec![
                "reg:5000/x".to_owned(),
                "reg/b:1".to_owned(),
                format!("reg/b@{}", DIGESTS[0]),
                format!("reg/d:2@{}", DIGESTS[1]),
            ],
            commits: owned(&["4B15C43E2D", "4b15c43f", "main"]),
            ..ReleaseValues::default()
        };
        let digests = DIGESTS.map(|digest| format!("digest={digest}"));
        let digests_in = [format!("digest=reg/b@{}", DIGESTS[0]), format!("digest=reg/d@{}", DIGESTS[1])];
        assert_eq!(
            texts(&release),
            [
                "all",
                "commit=4b15c43",
                &digests_in[0],
                &digests_in[1],
                &digests[0],
                &digests[1],
                "environment=prod",
                "image=reg/b:1",
                "image=reg/d:2",
                "image=reg:5000/x",
                "label=a",
                "version=1%262",
            ]
        );
        let (_, terms) = listed(&release);
        assert_eq!(terms.commits, "4b15c43e2d 4b15c43f");
    }

    #[test]
    fn a_value_that_nobody_can_ask_for_has_no_entry() {
        let long = "x".repeat(MAX_HASH_KEY_BYTES);
        let release = ReleaseValues { labels: vec![long.clone()], version: long, ..ReleaseValues::default() };
        assert_eq!(texts(&release), ["all"]);
    }

    /// What a naive reader says of one image that is written in a release, and of what is asked for.
    fn is_image(written: &str, asked: &ImageReference) -> bool {
        let (name, digest) =
            written.split_once('@').map_or((written, None), |(name, digest)| (name, Some(digest)));
        let (name, digest) =
            if name.starts_with("sha256:") { (None, Some(name)) } else { (Some(name), digest) };
        match asked {
            ImageReference::Pushed(asked) => {
                name == Some(asked) && (digest.is_none() || name.map(repository) != name)
            }
            ImageReference::Digest { digest: asked, repository: in_repository } => {
                digest == Some(asked.as_str())
                    && (in_repository.is_none()
                        || name.is_none_or(|name| Some(repository(name)) == in_repository.as_deref()))
            }
        }
    }

    fn image() -> impl Strategy<Value = String> {
        let digest = prop::sample::select(&DIGESTS);
        (prop::sample::select(&["a", "b", "a:1", "b:1"]), prop::option::of(digest), any::<bool>()).prop_map(
            |(name, digest, is_bare)| match digest {
                None => name.to_owned(),
                Some(digest) if is_bare => digest.to_owned(),
                Some(digest) => format!("{name}@{digest}"),
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn a_search_finds_a_release_exactly_where_it_has_all_that_is_asked(
            names in ["[pq]?", "[w&%]?"],
            task in 0_u64..3,
            services in prop::collection::vec("[st]", 0..3),
            labels in prop::collection::vec("[lm]", 0..3),
            env_name in "[ef]?",
            version in "[vu]?",
            images in prop::collection::vec(image(), 0..4),
            commits in prop::collection::vec("4b15c43[ab]{0,2}", 0..3),
            asked in ["[pq]", "[w&%]", "[st]", "[lm]", "[ef]", "[vu]"],
            asked_task in 1_u64..3,
            asked_image in image(),
            asked_commit in "4B15c43[Ab]{0,2}",
            asks: [bool; 9],
        ) {
            let release = ReleaseValues {
                project: names[0].clone(),
                workflow: names[1].clone(),
                task_id: (task != 0).then(|| task.to_string()),
                services: services.clone(),
                labels: labels.clone(),
                env_name: env_name.clone(),
                version: version.clone(),
                images: images.clone(),
                commits: commits.clone(),
            };
            let text = |place: usize| asks[place].then(|| asked[place].as_str());
            let asked_image = asks[6].then(|| ImageReference::parse(&asked_image).unwrap());
            let asked_commit = asks[7].then(|| CommitPrefix::parse(&asked_commit).unwrap());
            let asked_task = asks[8].then_some(asked_task);
            let facets = [
                Some(Facet::new(text(0), text(1), asked_task, text(2))),
                text(3).map(Facet::of_label),
                text(4).map(Facet::of_environment),
                text(5).map(Facet::of_version),
            ];
            let facets = facets.into_iter().flatten().collect();
            let search = ReleaseSearch::new(facets, asked_image.as_ref(), asked_commit.as_ref()).unwrap();
            let is_found = text(0).is_none_or(|asked| names[0] == asked)
                && text(1).is_none_or(|asked| names[1] == asked)
                && text(2).is_none_or(|asked| services.iter().any(|service| service == asked))
                && text(3).is_none_or(|asked| labels.iter().any(|label| label == asked))
                && text(4).is_none_or(|asked| env_name == asked)
                && text(5).is_none_or(|asked| version == asked)
                && asked_task.is_none_or(|asked| task == asked)
                && asked_image.as_ref().is_none_or(|asked| images.iter().any(|image| is_image(image, asked)))
                && asked_commit.as_ref().is_none_or(|asked| commits.iter().any(|commit| asked.begins(commit)));
            let (listed, terms) = listed(&release);
            let mut entries = listed.iter().filter(|listed| search.lists().contains(&listed.facet));
            prop_assert_eq!(entries.any(|entry| search.finds_entry(&entry.terms)), is_found);
            prop_assert_eq!(search.finds_release(&terms), is_found);
            prop_assert!(!ReleaseSearch::of_nothing().finds_release(&terms));
        }
    }

    proptest! {
        #[test]
        fn different_names_have_different_facets(names: HashSet<[String; 3]>) {
            let names: Vec<_> = names.into_iter().filter(|names| names.iter().all(|name| !name.is_empty())).collect();
            let facets: HashSet<_> = names
                .iter()
                .map(|[project, workflow, service]| Facet::new(Some(project), Some(workflow), None, Some(service)))
                .collect();
            prop_assert_eq!(facets.len(), names.len());
            prop_assert_eq!(facets.iter().map(Facet::entry).collect::<HashSet<_>>().len(), names.len());
        }
    }
}
