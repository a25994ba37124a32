//! How the YAML of two releases differs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;
use similar::{ChangeTag, TextDiff};

use crate::answers::{ReleaseInfo, StoredText};

/// After this time the search for the shortest difference of large texts ends with a longer one.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The YAML of a service that differs.
#[derive(Debug, Serialize)]
pub(super) struct YamlChange {
    pub(super) service: StoredText,
    /// Lines that only the later release has.
    pub(super) added_lines: usize,
    /// Lines that only the earlier release has.
    pub(super) removed_lines: usize,
    /// What alone differs, where the two look the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) only_differs: Option<Unseen>,
    /// The unified diff, where it is wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unified: Option<String>,
}

/// A difference that cannot be seen.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Unseen {
    LineEnds,
    WhiteSpace,
}

impl YamlChange {
    /// The services whose YAML differs. A service that only one of the two releases deploys is not among
    /// them.
    pub(super) fn all(from: &ReleaseInfo, to: &ReleaseInfo, with_unified: bool) -> Vec<Self> {
        let (before, after) = (documents(from), documents(to));
        let both = before.iter().filter_map(|(service, from)| Some((service, from, after.get(service)?)));
        both.filter(|(_, from, to)| from != to)
            .map(|(service, before, after)| {
                let diff = TextDiff::configure().timeout(TIMEOUT).diff_lines(before.as_str(), after.as_str());
                let lines = |tag| diff.iter_all_changes().filter(|change| change.tag() == tag).count();
                let name = |release: &ReleaseInfo| {
                    format!("{} {}", service.as_stored(), release.version_info.version.as_stored())
                };
                let unified =
                    with_unified.then(|| diff.unified_diff().header(&name(from), &name(to)).to_string());
                Self {
                    service: service.clone(),
                    added_lines: lines(ChangeTag::Insert),
                    removed_lines: lines(ChangeTag::Delete),
                    only_differs: only_differs(before, after),
                    unified,
                }
            })
            .collect()
    }
}

fn only_differs(before: &str, after: &str) -> Option<Unseen> {
    if before.lines().eq(after.lines()) {
        return Some(Unseen::LineEnds);
    }
    before.split_whitespace().eq(after.split_whitespace()).then_some(Unseen::WhiteSpace)
}

/// The YAML of each service, one document after another. Zadig keeps a service's YAML with each of its
/// containers.
fn documents(release: &ReleaseInfo) -> BTreeMap<StoredText, String> {
    let mut seen = BTreeSet::new();
    let mut documents: BTreeMap<_, String> = BTreeMap::new();
    for deploy in &release.deploy_info {
        let service = deploy.service();
        for yaml in &deploy.yaml_contents {
            if seen.insert((service.clone(), yaml)) {
                let document = documents.entry(service.clone()).or_default();
                if !document.is_empty() && !document.ends_with('\n') {
                    document.push('\n');
                }
                document.push_str(yaml.as_stored());
            }
        }
    }
    documents
}
