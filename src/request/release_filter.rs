//! Which releases a caller asks for.

use std::fmt;

use super::{ParameterError, Query, strconv, time};
use crate::commit_prefix::CommitPrefix;
use crate::image_reference::ImageReference;
use crate::position::UnixSeconds;
use crate::store::{Facet, ReleaseSearch};

/// What a caller asks for. A release must match all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReleaseFilter {
    /// `projectName`.
    pub project: Option<String>,
    /// `workflowName`.
    pub workflow: Option<String>,
    /// `taskId`; 0 is no filter, as with Zadig.
    pub task_id: Option<i64>,
    /// `serviceName`.
    pub service: Option<String>,
    /// `image`.
    pub image: Option<ImageReference>,
    /// `commit`.
    pub commit: Option<CommitPrefix>,
    /// `label`.
    pub label: Option<String>,
    /// `envName`.
    pub env_name: Option<String>,
    /// `version`.
    pub version: Option<String>,
    /// `since`: created then, or later.
    pub since: Option<UnixSeconds>,
    /// `until`: created before then.
    pub until: Option<UnixSeconds>,
}

impl ReleaseFilter {
    /// Reads the parameters that filter releases.
    ///
    /// # Errors
    /// The first of `taskId`, `image`, `commit`, `since` and `until` that cannot be read.
    pub fn from_query(query: &Query) -> Result<Self, ParameterError> {
        let text = |name| query.first(name).map(str::to_owned);
        Ok(Self {
            task_id: query.first("taskId").map(strconv::atoi).transpose().map_err(ParameterError::TaskId)?,
            image: query
                .first("image")
                .map(ImageReference::parse)
                .transpose()
                .map_err(ParameterError::Digest)?,
            commit: query
                .first("commit")
                .map(CommitPrefix::parse)
                .transpose()
                .map_err(ParameterError::Commit)?,
            since: query.first("since").map(time::unix_seconds).transpose().map_err(ParameterError::Since)?,
            until: query.first("until").map(time::unix_seconds).transpose().map_err(ParameterError::Until)?,
            project: text("projectName"),
            workflow: text("workflowName"),
            service: text("serviceName"),
            label: text("label"),
            env_name: text("envName"),
            version: text("version"),
        })
    }

    /// The search for just these releases; `None` where no stored release can match: for a negative task id, for values longer
    /// than a key can be, and where `until` is not later than `since`.
    pub fn search(&self) -> Option<ReleaseSearch> {
        ReleaseSearch::new(self.facets()?, self.image.as_ref(), self.commit.as_ref())?
            .between(self.since, self.until)
    }

    /// The facets of all but the image and the commit; `None` for a negative task id.
    fn facets(&self) -> Option<Vec<Facet>> {
        let task_id = self.task_id.filter(|task_id| *task_id != 0);
        let task_id = task_id.map(u64::try_from).transpose().ok()?;
        let names =
            Facet::new(self.project.as_deref(), self.workflow.as_deref(), task_id, self.service.as_deref());
        let others = [
            self.label.as_deref().map(Facet::of_label),
            self.env_name.as_deref().map(Facet::of_environment),
            self.version.as_deref().map(Facet::of_version),
        ];
        Some(std::iter::once(names).chain(others.into_iter().flatten()).collect())
    }
}

impl fmt::Display for ReleaseFilter {
    /// What was asked, in the words of the facets, for logs.
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let Some(mut facets) = self.facets() else { return formatter.write_str("nothing") };
        // A digest in a repository has two facets, and the first one names both.
        facets.extend(self.image.as_ref().and_then(|image| Facet::of_image(image).into_iter().next()));
        let texts = facets.iter().map(|facet| facet.as_str().to_owned());
        let commit = self.commit.iter().map(|commit| format!("commit={commit}"));
        let times = [("since", self.since), ("until", self.until)];
        let times = times.into_iter().filter_map(|(name, time)| Some(format!("{name}={}", time?)));
        formatter.write_str(&texts.chain(commit).chain(times).collect::<Vec<_>>().join("&"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(query: &str) -> ReleaseFilter {
        ReleaseFilter::from_query(&Query::parse(query)).expect("a filter")
    }

    #[test]
    fn the_documented_four_name_one_list_together() {
        for (query, facet) in [
            ("", "all"),
            ("taskId=0&projectName=", "all"),
            ("serviceName=s&projectName=p", "project=p&service=s"),
            ("workflowName=a%26b%25&taskId=%2B7", "workflow=a%26b%25&task=7"),
        ] {
            let search = filter(query).search().unwrap();
            assert_eq!(Some(search), ReleaseSearch::new(filter(query).facets().unwrap(), None, None));
            assert_eq!(filter(query).to_string(), facet);
        }
    }

    #[test]
    fn the_log_names_all_that_was_asked() {
        let query = "projectName=p&image=reg/a:1&commit=4B15C43E&label=l&envName=e&version=v&since=1&until=2026-11-24";
        assert_eq!(
            filter(query).to_string(),
            "project=p&label=l&environment=e&version=v&image=reg/a:1&commit=4b15c43e&since=1&until=1795478400"
        );
    }

    #[test]
    fn what_nothing_can_match_is_not_searched_for() {
        let long = format!("projectName={}", "x".repeat(crate::store::MAX_HASH_KEY_BYTES));
        let long_label = format!("label={}", "x".repeat(crate::store::MAX_HASH_KEY_BYTES));
        for query in [
            "taskId=-1",
            &long,
            &long_label,
            "since=2&until=2",
            "since=1000000000000",
            "until=0",
            "until=1969-12-31",
        ] {
            assert_eq!(filter(query).search(), None, "{query}");
        }
        assert!(filter("since=2&until=3").search().is_some());
    }

    #[test]
    fn the_first_unreadable_parameter_is_reported() {
        let broken = ["taskId=x", "image=sha256:x", "commit=x", "since=x", "until=x"];
        for first in 0..broken.len() {
            let query = broken[first..].iter().rev().copied().collect::<Vec<_>>().join("&");
            let error = ReleaseFilter::from_query(&Query::parse(&query)).unwrap_err();
            assert_eq!(Err(error), ReleaseFilter::from_query(&Query::parse(broken[first])), "{query}");
        }
    }
}
