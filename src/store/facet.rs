//! The facets under which the index of releases finds them.

use std::collections::BTreeSet;

use hex_simd::AsciiCase;
use ring::digest::{SHA256, digest};

use super::keys::MAX_HASH_KEY_BYTES;

/// A term is told from others by so much of its digest.
const TERM_DIGEST_BYTES: usize = 6;
/// The facet that every release has.
const ALL: &str = "all";

/// A hash key of the index `by_facet`: `all`, or `project=P&workflow=W&task=T&service=S` with any of the four.
///
/// There is one for every combination of the filters, so that any filter is one Query that reads just what it answers,
/// however long the history. `%` and `&` in a name are percent-encoded, which keeps different names different.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Facet(String);

impl Facet {
    /// The facet of one combination of filters.
    #[must_use]
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
        let terms: Vec<_> =
            named.iter().filter_map(|(name, value)| Some(format!("{name}={}", escape((*value)?)))).collect();
        Self(if terms.is_empty() { ALL.to_owned() } else { terms.join("&") })
    }

    /// A facet that no release has.
    #[must_use]
    pub fn of_nothing() -> Self {
        Self("nothing".to_owned())
    }

    /// Every facet under which a release is found. Nobody can ask for an empty name or a task id of 0, so these have none.
    #[must_use]
    pub fn of_release(project: &str, workflow: &str, task_id: Option<u64>, services: &[String]) -> Vec<Self> {
        let optional = |name| [None, Some(name).filter(|name: &&str| !name.is_empty())];
        let mut facets = Vec::new();
        for service in std::iter::once(None).chain(services.iter().map(|service| Some(service.as_str()))) {
            for project in optional(project) {
                for workflow in optional(workflow) {
                    for task_id in [None, task_id.filter(|task_id| *task_id != 0)] {
                        facets.push(Self::new(project, workflow, task_id, service));
                    }
                }
            }
        }
        facets.sort_unstable();
        facets.dedup();
        facets
    }

    /// Whether DynamoDB can hold the facet as a hash key.
    #[must_use]
    pub fn fits_a_key(&self) -> bool {
        self.0.len() <= MAX_HASH_KEY_BYTES
    }

    /// The text, as it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The range key of a release's entry for this facet: a digest, since a range key holds half of what a hash key does.
    #[must_use]
    pub fn entry(&self) -> String {
        format!(
            "facet#{}",
            hex_simd::encode_to_string(&digest(&SHA256, self.0.as_bytes()).as_ref()[..16], AsciiCase::Lower)
        )
    }

    /// What a release's own item says of its facets: a short digest of each term that they have, in no matter what order.
    #[must_use]
    pub fn digests(facets: &[Self]) -> Vec<u8> {
        let terms: BTreeSet<_> = facets.iter().flat_map(Self::terms).collect();
        terms.into_iter().flat_map(term_digest).collect()
    }

    /// Whether a release with these digests has this facet: one for every combination of its terms.
    #[must_use]
    pub fn is_among(&self, digests: &[u8]) -> bool {
        let (known, _) = digests.as_chunks();
        self.terms().all(|term| known.contains(&term_digest(term)))
    }

    /// `project=P` and the others. The facet of all releases has no term.
    fn terms(&self) -> impl Iterator<Item = &str> {
        self.0.split('&').filter(|term| *term != ALL)
    }
}

fn term_digest(term: &str) -> [u8; TERM_DIGEST_BYTES] {
    let digest = digest(&SHA256, term.as_bytes());
    digest.as_ref()[..TERM_DIGEST_BYTES].try_into().expect("a SHA-256 digest has more bytes")
}

fn escape(name: &str) -> String {
    name.replace('%', "%25").replace('&', "%26")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_release_has_a_facet_for_every_combination_of_filters() {
        let facets = Facet::of_release("p", "w", Some(3), &["a".to_owned(), "b".to_owned()]);
        assert_eq!(facets.len(), 8 + 2 * 8);
        let unnamed = Facet::of_release("", "", Some(0), &[]);
        assert_eq!(unnamed.iter().map(Facet::as_str).collect::<Vec<_>>(), ["all"]);
        assert_eq!(Facet::of_release("p", "", None, &[]).len(), 2);
    }

    proptest! {
        #[test]
        fn a_release_has_a_facet_exactly_where_its_digests_say_so(
            project in "[ab&=%]{0,2}",
            workflow in "[ab&=%]{0,2}",
            task_id in prop::option::of(0_u64..3),
            services in prop::collection::vec("[ab&=%]{1,2}", 0..3),
            asked in ["[ab&=%]{0,2}", "[ab&=%]{0,2}", "[ab&=%]{1,2}"],
            asked_task in prop::option::of(1_u64..3),
            asks_for_a_service: bool,
        ) {
            let facets = Facet::of_release(&project, &workflow, task_id, &services);
            let digests = Facet::digests(&facets);
            let named = |name: &'_ String| Some(name.clone()).filter(|name| !name.is_empty());
            let (project, workflow) = (named(&asked[0]), named(&asked[1]));
            let service = asks_for_a_service.then_some(asked[2].as_str());
            let facet = Facet::new(project.as_deref(), workflow.as_deref(), asked_task, service);
            prop_assert_eq!(facet.is_among(&digests), facets.contains(&facet));
            prop_assert!(!Facet::of_nothing().is_among(&digests));
            for facet in &facets {
                prop_assert!(facet.is_among(&digests));
            }
        }

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
