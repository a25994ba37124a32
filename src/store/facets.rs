//! The lists of the index of releases: which of them a release stands in, which of them a search reads, and
//! which of their entries the search finds. Both follow from the rows of `filters.rs`.

use hex_simd::AsciiCase;
use ring::digest::{SHA256, digest};

use super::error::StoreError;
use super::filters::{Asked, FILTERS, Filter, WIDEST};
use super::items::{Attributes, Item, bytes, text};
use super::json::Json;
use super::keys::MAX_HASH_KEY_BYTES;
use crate::position::{MAX_UNIX_SECONDS, Position, UnixSeconds};

/// How many bytes of its digest stand for a term. With six, a search that compares a hundred million terms
/// takes one for another with a probability of one in three million.
const TERM_DIGEST_BYTES: usize = 6;
/// The attribute that holds the digests of terms.
const TERMS: &str = "terms";
/// The facet of the list of all releases.
const ALL: &str = "all";

/// The name of a list, a hash key of the index `by_facet`: its terms with `&` between them, or `all`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Facet(String);

type TermDigest = [u8; TERM_DIGEST_BYTES];

/// Terms by which a release is found: all of them, or those of the wider filters, which an entry of a list
/// holds, since a search of this list compares them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// Short digests of terms, one behind another, in any order.
    digests: Vec<u8>,
    /// Whole commits, separated by blanks: all of them, or in an entry those that begin with its list's
    /// digits.
    commits: String,
}

/// An entry of a release in the index.
#[derive(Debug)]
pub struct ListEntry {
    /// The list.
    pub facet: Facet,
    /// The terms that a search of this list compares.
    pub terms: Terms,
}

impl Facet {
    /// Whether DynamoDB can hold the facet as a hash key.
    pub fn fits_a_key(&self) -> bool {
        self.0.len() <= MAX_HASH_KEY_BYTES
    }

    /// The text, as it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The terms that the list stands for; the list of all releases stands for none.
    pub fn terms(&self) -> impl Iterator<Item = &str> {
        self.0.split('&').filter(|term| *term != ALL)
    }

    /// The range key of a release's entry in this list. It is a digest, since a range key may have half the
    /// bytes of a hash key.
    pub fn entry(&self) -> String {
        let digest = digest(&SHA256, self.0.as_bytes());
        format!("facet#{}", hex_simd::encode_to_string(&digest.as_ref()[..16], AsciiCase::Lower))
    }
}

/// The term of a value. `%` and `&` are percent-encoded, so that lists of different values have different
/// names.
pub(super) fn term(name: &str, value: &str) -> String {
    format!("{name}={}", value.replace('%', "%25").replace('&', "%26"))
}

fn one(terms: &[String]) -> Vec<Option<String>> {
    terms.iter().cloned().map(Some).collect()
}

fn one_or_none(terms: &[String]) -> Vec<Option<String>> {
    std::iter::once(None).chain(one(terms)).collect()
}

/// The lists whose names have one choice of each row. A choice may be to leave that row out.
fn facets(rows: &[Vec<Option<String>>]) -> Vec<Facet> {
    let mut lists = vec![Vec::new()];
    for choices in rows {
        let longer = |list: Vec<String>| {
            choices.iter().map(move |choice| list.iter().chain(choice).cloned().collect())
        };
        lists = lists.into_iter().flat_map(longer).collect::<Vec<_>>();
    }
    lists.iter().map(|terms| Facet(if terms.is_empty() { ALL.to_owned() } else { terms.join("&") })).collect()
}

/// Every list that a release stands in, and all of its terms, out of its JSON as it is answered.
///
/// A value that is longer than a key can be is found by nobody, and is left out. Combinations are all
/// returned, even those that are too long: the caller asks `fits_a_key`, and refuses a release whose names do
/// not fit.
pub fn listed(release: &Json) -> (Vec<ListEntry>, Terms) {
    let values: Vec<_> = FILTERS.iter().map(|filter| (filter, filter.values_of(release))).collect();
    let found: Vec<_> = values.iter().map(|(filter, values)| (*filter, terms_of(filter, values))).collect();
    let cut = values.iter().filter(|(filter, _)| filter.cut.is_some());
    let commits: Vec<_> =
        cut.flat_map(|(filter, values)| values.iter().map(|value| (filter.term(value), value))).collect();
    let (mut entries, mut all) = (Vec::new(), Terms::default());
    for width in (0..=WIDEST).rev() {
        let of_width = || found.iter().filter(|(filter, _)| filter.width == width);
        let mut rows = Vec::new();
        for (filter, terms) in of_width() {
            let within = found.iter().filter(|(wider, _)| filter.within == Some(wider.name));
            rows.extend(within.map(|(_, terms)| one_or_none(terms)));
            rows.push(if width == WIDEST { one_or_none(terms) } else { one(terms) });
        }
        for facet in facets(&rows) {
            let begun = commits.iter().filter(|(term, _)| *term == facet.0);
            let commits = joined(begun.map(|(_, commit)| commit.as_str()));
            entries.push(ListEntry { facet, terms: Terms { commits, ..all.clone() } });
        }
        all.digests.extend(of_width().flat_map(|(_, terms)| terms).flat_map(|term| term_digest(term)));
    }
    all.commits = joined(commits.iter().map(|(_, commit)| commit.as_str()));
    (entries, all)
}

fn joined<'a>(commits: impl Iterator<Item = &'a str>) -> String {
    commits.collect::<Vec<_>>().join(" ")
}

/// The distinct terms of a filter's values.
fn terms_of(filter: &Filter, values: &[String]) -> Vec<String> {
    let mut terms: Vec<_> = values.iter().map(|value| filter.term(value)).collect();
    terms.retain(|term| filter.width == WIDEST || term.len() <= MAX_HASH_KEY_BYTES);
    terms.dedup();
    terms
}

/// A search for releases: which lists it reads, and which releases of these it finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseSearch {
    /// One list. For a digest in a repository there are two, and the search finds what is in either.
    lists: Vec<Facet>,
    /// The other conditions: a release must have at least one term of each of these lists of terms.
    others: Vec<Vec<TermDigest>>,
    /// The commit, where it is given with more digits than its list stands for.
    commit: Option<String>,
    /// The position from which on a release must lie, and the position before which it must lie; `None` is no
    /// limit.
    between: (Option<Position>, Option<Position>),
}

impl ReleaseSearch {
    /// The search for the releases that match all that is asked. `None` where no release can match, since a
    /// value is longer than a key can be, or nothing has it.
    pub fn new(asked: &[Asked]) -> Option<Self> {
        let narrowest = asked.iter().map(|asked| asked.filter.width).min().unwrap_or(WIDEST);
        let is_narrowest = |asked: &Asked| asked.filter.width == narrowest;
        let within = asked.iter().find(|asked| is_narrowest(asked)).and_then(|asked| asked.filter.within);
        let (named, others): (Vec<_>, Vec<_>) =
            asked.iter().partition(|asked| is_narrowest(asked) || within == Some(asked.filter.name));
        let terms =
            |asked: &Asked| -> Vec<_> { asked.values.iter().map(|value| asked.filter.term(value)).collect() };
        let rows: Vec<_> = named.into_iter().map(|asked| one(&terms(asked))).collect();
        let lists = facets(&rows);
        let others: Vec<_> = others.into_iter().map(terms).collect();
        let fits = |terms: &Vec<String>| {
            !terms.is_empty() && terms.iter().all(|term| term.len() <= MAX_HASH_KEY_BYTES)
        };
        if lists.is_empty() || !lists.iter().all(Facet::fits_a_key) || !others.iter().all(fits) {
            return None;
        }
        let digests = |terms: Vec<String>| terms.iter().map(|term| term_digest(term)).collect();
        let mut commits = asked.iter().filter_map(|asked| asked.longer_than_a_term());
        Some(Self {
            lists,
            others: others.into_iter().map(digests).collect(),
            commit: commits.next().cloned(),
            between: (None, None),
        })
    }

    /// The same search among the releases that were created at `since` or later, and before `until`. `None`
    /// where no release can lie in that range.
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
        let lists = vec![Facet("nothing".to_owned())];
        Self { lists, others: Vec::new(), commit: None, between: (None, None) }
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

    /// The position from which on it reads, and the position before which it reads. They come from `since`
    /// and `until`; a cursor that is older than `until` takes its place.
    pub fn range<'a>(
        &'a self,
        older_than: Option<&'a Position>,
    ) -> (Option<&'a Position>, Option<&'a Position>) {
        let (since, until) = &self.between;
        (since.as_ref(), older_than.into_iter().chain(until).min())
    }

    /// Whether it finds a release, by what the release's entry in the list tells.
    pub fn finds_entry(&self, terms: &Terms) -> bool {
        let begins = |commit: &String| terms.commits.split(' ').any(|found| found.starts_with(commit));
        self.others.iter().all(|one_of| one_of.iter().any(|term| terms.has(*term)))
            && self.commit.as_ref().is_none_or(begins)
    }

    /// Whether it finds a release, by all of the release's terms.
    pub fn finds_release(&self, terms: &Terms) -> bool {
        let is_listed = |facet: &Facet| facet.terms().all(|term| terms.has(term_digest(term)));
        self.lists.iter().any(is_listed) && self.finds_entry(terms)
    }
}

impl Terms {
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
            item.insert(TERMS.to_owned(), bytes(self.digests.clone()));
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
        let digests = attributes.bytes_or_none(TERMS)?;
        let commits = if attributes.has("commits") { attributes.text("commits")? } else { String::new() };
        Ok(Self { digests, commits })
    }
}

fn term_digest(term: &str) -> TermDigest {
    let digest = digest(&SHA256, term.as_bytes());
    digest.as_ref()[..TERM_DIGEST_BYTES].try_into().expect("a SHA-256 digest has more bytes")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use serde_json::{Value, json};

    use super::*;
    use crate::commit_prefix::CommitPrefix;
    use crate::image_reference::{ImageReference, repository};
    use crate::query::Query;
    use crate::store::filters::ReleaseFilter;

    const DIGESTS: [&str; 2] = [
        "sha256:1d9ddf94feb5ff9ca9d76248ad51dd2a95210895d0dbf1e87bd66cc471c41f0e",
        "sha256:3d9ddf94feb5ff9ca9d76248ad51dd2a95210895d0dbf1e87bd66cc471c41f0e",
    ];

    fn json(release: &Value) -> Json {
        Json::read(&release.to_string()).unwrap()
    }

    fn texts(release: &Value) -> Vec<String> {
        let (listed, _) = listed(&json(release));
        let mut texts: Vec<_> = listed.iter().map(|listed| listed.facet.as_str().to_owned()).collect();
        texts.sort();
        texts
    }

    #[test]
    fn a_release_is_listed_under_every_combination_of_its_names_and_twice_under_its_task() {
        let deploys =
            json!([{"serviceName": "a/c", "containerName": "c"}, {"serviceName": "b"}, {"serviceName": "b"}]);
        let names = json!({"id": "r", "productName": "p", "workflowName": "w", "taskId": 3});
        assert_eq!(
            texts(&json!({"versionInfo": names, "deployInfo": deploys})),
            [
                "all",
                "project=p",
                "project=p&service=a",
                "project=p&service=b",
                "project=p&workflow=w",
                "project=p&workflow=w&service=a",
                "project=p&workflow=w&service=b",
                "service=a",
                "service=b",
                "task=3",
                "workflow=w",
                "workflow=w&service=a",
                "workflow=w&service=b",
                "workflow=w&task=3",
            ]
        );
        assert_eq!(texts(&json!({"versionInfo": {"id": "r", "productName": "", "taskId": 0}})), ["all"]);
        assert_eq!(texts(&json!({"versionInfo": {"id": "r", "taskId": 4}})), ["all", "task=4"]);
    }

    #[test]
    fn a_release_is_listed_under_each_of_its_other_terms() {
        let release = json!({
            "versionInfo": {"id": "r", "version": "1&2", "labels": ["a", "", "a"], "productEnvInfo": {
                "env_name": "prod", "services": [[{"containers": [{"image": "reg:5000/x"}]}], null]}},
            "buildInfo": [
                {"imageName": "reg/b:1", "imageInfo": {"imageDigest": DIGESTS[0]},
                    "commits": [{"commit_id": "4B15C43E2D"}, {"commit_id": "4b15c43f"}, {"commit_id": "main"}]},
                {"imageName": 7, "imageInfo": null, "commits": null},
            ],
            "deployInfo": [{"image": format!("reg/d:2@{}", DIGESTS[1])}],
            "distributeInfo": [{"registryName": "reg/e:3", "subDistributes": [{"registryName": "reg/f:4"}, "x"]}],
        });
        let digests = DIGESTS.map(|digest| format!("image={digest}"));
        let digests_in = [format!("image=reg/b@{}", DIGESTS[0]), format!("image=reg/d@{}", DIGESTS[1])];
        assert_eq!(
            texts(&release),
            [
                "all",
                "commit=4b15c43",
                "env=prod",
                "image=reg/b:1",
                &digests_in[0],
                "image=reg/d:2",
                &digests_in[1],
                "image=reg/e:3",
                "image=reg/f:4",
                "image=reg:5000/x",
                &digests[0],
                &digests[1],
                "label=a",
                "version=1%262",
            ]
        );
        let (_, terms) = listed(&json(&release));
        assert_eq!(terms.commits, "4b15c43e2d 4b15c43f");
    }

    #[test]
    fn a_value_that_nobody_can_ask_for_has_no_entry() {
        let long = "x".repeat(MAX_HASH_KEY_BYTES);
        assert_eq!(texts(&json!({"versionInfo": {"id": "r", "labels": [long], "version": long}})), ["all"]);
    }

    /// What a naive reader says of one image that is written in a release, and of what is asked for.
    fn is_image(written: &str, asked: &ImageReference) -> bool {
        let (name, digest) =
            written.split_once('@').map_or((written, None), |(name, digest)| (name, Some(digest)));
        let (name, digest) =
            if name.starts_with("sha256:") { (None, Some(name)) } else { (Some(name), digest) };
        let hub = |name: &str| name.replace("docker.io/", "").replace("library/", "");
        match asked {
            ImageReference::Pushed(asked) => {
                name.map(hub) == Some(hub(asked)) && (digest.is_none() || name.map(repository) != name)
            }
            ImageReference::Digest { digest: asked, repository: in_repository } => {
                digest == Some(asked.as_str())
                    && (in_repository.is_none()
                        || name.is_none_or(|name| {
                            Some(hub(repository(name))) == in_repository.as_deref().map(hub)
                        }))
            }
        }
    }

    fn image() -> impl Strategy<Value = String> {
        let digest = prop::sample::select(&DIGESTS);
        (
            prop::sample::select(&["a", "b", "a:1", "b:1", "docker.io/a:1", "library/b"]),
            prop::option::of(digest),
            any::<bool>(),
        )
            .prop_map(|(name, digest, is_bare)| match digest {
                None => name.to_owned(),
                Some(digest) if is_bare => digest.to_owned(),
                Some(digest) => format!("{name}@{digest}"),
            })
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
            asked_image_text in image(),
            asked_commit in "4B15c43[Ab]{0,2}",
            asks: [bool; 9],
        ) {
            let release = json!({
                "versionInfo": {"id": "r", "productName": names[0], "workflowName": names[1], "taskId": task,
                    "version": version, "labels": labels, "productEnvInfo": {"env_name": env_name}},
                "buildInfo": commits.iter().map(|commit| json!({"commits": [{"commit_id": commit}]})).collect::<Vec<_>>(),
                "deployInfo": images.iter().map(|image| json!({"image": image}))
                    .chain(services.iter().map(|service| json!({"serviceName": service}))).collect::<Vec<_>>(),
            });
            let text = |place: usize| asks[place].then(|| asked[place].as_str());
            let asked_image = asks[6].then(|| ImageReference::parse(&asked_image_text).unwrap());
            let asked_commit = asks[7].then(|| CommitPrefix::parse(&asked_commit).unwrap());
            let asked_task = asks[8].then_some(asked_task);
            let query: Query = [
                ("projectName", text(0).map(str::to_owned)),
                ("workflowName", text(1).map(str::to_owned)),
                ("serviceName", text(2).map(str::to_owned)),
                ("label", text(3).map(str::to_owned)),
                ("envName", text(4).map(str::to_owned)),
                ("version", text(5).map(str::to_owned)),
                ("image", asks[6].then(|| asked_image_text.clone())),
                ("commit", asked_commit.as_ref().map(ToString::to_string)),
                ("taskId", asked_task.map(|task| task.to_string())),
            ].into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
            let search = ReleaseFilter::from_query(&query).unwrap().search().unwrap();
            let is_found = text(0).is_none_or(|asked| names[0] == asked)
                && text(1).is_none_or(|asked| names[1] == asked)
                && text(2).is_none_or(|asked| services.iter().any(|service| service == asked))
                && text(3).is_none_or(|asked| labels.iter().any(|label| label == asked))
                && text(4).is_none_or(|asked| env_name == asked)
                && text(5).is_none_or(|asked| version == asked)
                && asked_task.is_none_or(|asked| task == asked)
                && asked_image.as_ref().is_none_or(|asked| images.iter().any(|image| is_image(image, asked)))
                && asked_commit.as_ref().is_none_or(|asked| commits.iter().any(|commit| asked.begins(commit)));
            let (listed, terms) = listed(&json(&release));
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
            let facet = |[project, workflow, service]: &[String; 3]| {
                let query = [("projectName", project), ("workflowName", workflow), ("serviceName", service)];
                let search = ReleaseFilter::from_query(&query.into_iter().collect::<Query>()).unwrap().search();
                search.map_or_else(|| Facet(String::new()), |search| search.lists()[0].clone())
            };
            let facets: HashSet<_> = names.iter().map(facet).collect();
            prop_assert_eq!(facets.len(), names.len());
            prop_assert_eq!(facets.iter().map(Facet::entry).collect::<HashSet<_>>().len(), names.len());
        }
    }
}
