//! Which releases a caller asks for, and the facets under which the index finds them.

use std::collections::BTreeSet;
use std::fmt;

use hex_simd::AsciiCase;
use ring::digest::{SHA256, digest};

use crate::error::Error;
use crate::query::Query;
use crate::strconv;

/// What DynamoDB allows a hash key.
pub(crate) const MAX_HASH_KEY_BYTES: usize = 2048;

/// A term is told from others by so much of its digest.
const TERM_DIGEST_BYTES: usize = 6;
/// The facet that every release has.
const ALL: &str = "all";

/// The documented filters, combined with AND.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReleaseFilter {
    project: Option<Vec<u8>>,
    workflow: Option<Vec<u8>>,
    task_id: Option<i64>,
    service: Option<Vec<u8>>,
}

impl ReleaseFilter {
    /// Reads `projectName`, `workflowName`, `taskId` and `serviceName`; a `taskId` of 0 is no filter, as with Zadig.
    ///
    /// # Errors
    /// A `taskId` that Go's `strconv.Atoi` cannot read.
    pub fn from_query(query: &Query) -> Result<Self, Error> {
        let text = |name| query.first(name).map(<[u8]>::to_vec);
        let task_id =
            query.first("taskId").map(strconv::atoi).transpose().map_err(Error::UnreadableTaskId)?;
        Ok(Self {
            project: text("projectName"),
            workflow: text("workflowName"),
            task_id: task_id.filter(|task_id| *task_id != 0),
            service: text("serviceName"),
        })
    }

    /// The facet of just these releases; none where no stored release can match.
    ///
    /// That is so for a negative task id, for a value that is not UTF-8, and for values longer than a key can be.
    #[must_use]
    pub fn facet(&self) -> Option<Facet> {
        let text =
            |value: Option<&Vec<u8>>| value.map(|value| String::from_utf8(value.clone())).transpose().ok();
        let (project, workflow) = (text(self.project.as_ref())?, text(self.workflow.as_ref())?);
        let service = text(self.service.as_ref())?;
        let task_id = self.task_id.map(u64::try_from).transpose().ok()?;
        let facet = Facet::new(project.as_deref(), workflow.as_deref(), task_id, service.as_deref());
        Some(facet).filter(Facet::fits_a_key)
    }
}

impl fmt::Display for ReleaseFilter {
    /// For logs: what was asked, in the facet's form.
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self.facet() {
            Some(facet) => formatter.write_str(facet.as_str()),
            None => formatter.write_str("nothing"),
        }
    }
}

/// A hash key of the index `by_facet`: `all`, or `project=P&workflow=W&task=T&service=S` with any of the four.
///
/// There is one for every combination of the filters, so that any filter is one Query that reads just what it answers,
/// however long the history. `%` and `&` in a name are percent-encoded, which keeps different names different.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Facet(String);

impl Facet {
    fn new(
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

    /// Every facet under which a release is found; empty names and a task id of 0 are none that can be asked for.
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

    /// `project=P` and the others; none of the facet of all.
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

    fn facet(query: &str) -> Option<String> {
        let filter = ReleaseFilter::from_query(&Query::parse(query.as_bytes())).expect("a filter");
        filter.facet().map(|facet| facet.as_str().to_owned())
    }

    #[test]
    fn a_filter_names_one_facet() {
        assert_eq!(facet("").as_deref(), Some("all"));
        assert_eq!(facet("taskId=0&projectName=").as_deref(), Some("all"));
        assert_eq!(facet("serviceName=s&projectName=p").as_deref(), Some("project=p&service=s"));
        assert_eq!(facet("workflowName=a%26b%25&taskId=%2B7").as_deref(), Some("workflow=a%26b%25&task=7"));
    }

    #[test]
    fn a_filter_that_nothing_can_match_names_none() {
        let long = format!("projectName={}", "x".repeat(MAX_HASH_KEY_BYTES));
        for query in ["taskId=-1", "projectName=%ff", &long] {
            assert_eq!(facet(query), None, "{query}");
        }
    }

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
