//! Which releases a caller asks for.

use std::fmt;

use super::{ParameterError, Query, strconv};
use crate::store::Facet;

/// The documented filters, combined with AND.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReleaseFilter {
    project: Option<String>,
    workflow: Option<String>,
    task_id: Option<i64>,
    service: Option<String>,
}

impl ReleaseFilter {
    /// Reads `projectName`, `workflowName`, `taskId` and `serviceName`; a `taskId` of 0 is no filter, as with Zadig.
    ///
    /// # Errors
    /// A `taskId` that Go's `strconv.Atoi` cannot read.
    pub fn from_query(query: &Query) -> Result<Self, ParameterError> {
        let text = |name| query.first(name).map(str::to_owned);
        let task_id = query.first("taskId").map(strconv::atoi).transpose().map_err(ParameterError::TaskId)?;
        Ok(Self::new(text("projectName"), text("workflowName"), task_id, text("serviceName")))
    }

    /// The filter of these values; a task id of 0 is no filter.
    #[must_use]
    pub fn new(
        project: Option<String>,
        workflow: Option<String>,
        task_id: Option<i64>,
        service: Option<String>,
    ) -> Self {
        Self { project, workflow, task_id: task_id.filter(|task_id| *task_id != 0), service }
    }

    /// The facet of just these releases; `None` where no stored release can match.
    ///
    /// That is so for a negative task id, and for values longer than a key can be.
    #[must_use]
    pub fn facet(&self) -> Option<Facet> {
        let task_id = self.task_id.map(u64::try_from).transpose().ok()?;
        let facet =
            Facet::new(self.project.as_deref(), self.workflow.as_deref(), task_id, self.service.as_deref());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn facet(query: &str) -> Option<String> {
        let filter = ReleaseFilter::from_query(&Query::parse(query)).expect("a filter");
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
    fn a_filter_that_nothing_can_match_names_no_facet() {
        let long = format!("projectName={}", "x".repeat(crate::store::MAX_HASH_KEY_BYTES));
        for query in ["taskId=-1", &long] {
            assert_eq!(facet(query), None, "{query}");
        }
    }
}
