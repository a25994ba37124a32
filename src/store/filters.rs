//! The filters of releases: a row for each, which says how a caller's value is read and by which values a
//! release is found.
//!
//! A value of a filter is a *term*, such as `label=nightly`. A release stands in a list of the index for each
//! of its terms, or for combinations of them: `facets.rs` works with what the rows say.

use std::fmt;

use super::facets::{ReleaseSearch, term};
use super::json::Json;
use crate::commit_prefix::{CommitPrefix, MIN_COMMIT_DIGITS};
use crate::image_reference::{ImageDigest, ImageReference, found_under, repository};
use crate::position::UnixSeconds;
use crate::query::{ParameterError, Query, strconv, unix_seconds};

/// A filter of releases.
#[derive(Debug)]
pub struct Filter {
    /// The parameter of the query.
    pub parameter: &'static str,
    /// Its name in terms and in the log. The option of `delivery-center releases` has it too.
    pub name: &'static str,
    /// Which releases it keeps, in words that go on after "releases".
    pub keeps: &'static str,
    /// How wide its lists usually are; 0 is the narrowest. Only DynamoDB knows how long a list really is. A
    /// search reads a list of the narrowest filter that is asked for, and compares the others with what each
    /// entry tells: the release's terms of all wider filters. Filters of one width share their lists: each
    /// combination of them is one.
    pub width: u8,
    /// A wider filter with which its lists exist a second time, narrowed to it.
    pub within: Option<&'static str>,
    /// How many characters of a value a list's name has. Entries of such a list tell the values whole, and a
    /// longer value that is asked for is compared with those.
    pub cut: Option<usize>,
    /// Reads what is asked for: a release must have one of these values. `None` is no filter at all.
    read: fn(&str) -> Result<Option<Vec<String>>, ParameterError>,
    /// The values by which a release is found, out of its JSON as it is answered.
    values: fn(&Json) -> Vec<String>,
}

/// Filters of this width have a list for every combination, and the list of all releases is the one of none
/// of them.
pub const WIDEST: u8 = 6;

/// A filter whose value is matched exactly.
const EXACT: Filter = Filter {
    parameter: "",
    name: "",
    keeps: "",
    width: WIDEST,
    within: None,
    cut: None,
    read: |value| Ok(Some(vec![value.to_owned()])),
    values: |_| Vec::new(),
};

/// All filters. Of several values that cannot be read, the first in this order is reported.
pub static FILTERS: &[Filter] = &[
    Filter {
        parameter: "projectName",
        name: "project",
        keeps: "of this project",
        values: |release| release.texts(&["versionInfo", "productName"]),
        ..EXACT
    },
    Filter {
        parameter: "workflowName",
        name: "workflow",
        keeps: "of this workflow",
        values: |release| release.texts(&["versionInfo", "workflowName"]),
        ..EXACT
    },
    Filter {
        parameter: "taskId",
        name: "task",
        keeps: "of the tasks of this number",
        width: 3,
        within: Some("workflow"),
        read: read_task,
        values: |release| {
            let task_id =
                release.member("versionInfo").member("taskId").unsigned().filter(|task_id| *task_id != 0);
            task_id.map(|task_id| task_id.to_string()).into_iter().collect()
        },
        ..EXACT
    },
    Filter {
        parameter: "serviceName",
        name: "service",
        keeps: "that deploy this service",
        values: services,
        ..EXACT
    },
    Filter {
        parameter: "image",
        name: "image",
        keeps: "that hold this image: REGISTRY/NAME:TAG, NAME@DIGEST, or a digest",
        width: 1,
        read: read_image,
        values: images,
        ..EXACT
    },
    Filter {
        parameter: "commit",
        name: "commit",
        keeps: "with a build from this commit; 7 digits of its id are enough",
        width: 0,
        cut: Some(MIN_COMMIT_DIGITS),
        read: |commit| {
            let commit = CommitPrefix::parse(commit).map_err(ParameterError::Commit)?;
            Ok(Some(vec![commit.to_string()]))
        },
        values: |release| {
            let commits = release.texts(&["buildInfo", "commits", "commit_id"]);
            let whole = commits.iter().filter_map(|commit_id| CommitPrefix::longest_of(commit_id));
            whole.map(|commit| commit.to_string()).collect()
        },
        ..EXACT
    },
    Filter {
        parameter: "label",
        name: "label",
        keeps: "with this label",
        width: 4,
        values: |release| release.texts(&["versionInfo", "labels"]),
        ..EXACT
    },
    Filter {
        parameter: "envName",
        name: "env",
        keeps: "of this environment",
        width: 5,
        values: |release| release.texts(&["versionInfo", "productEnvInfo", "env_name"]),
        ..EXACT
    },
    Filter {
        parameter: "version",
        name: "version",
        keeps: "of this version",
        width: 2,
        values: |release| release.texts(&["versionInfo", "version"]),
        ..EXACT
    },
];

/// What a caller asks for of one filter.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The filter.
    pub filter: &'static Filter,
    /// The values, of which a release must have one. Where there are none, no release matches.
    pub values: Vec<String>,
}

/// Which releases a caller asks for. A release must match all of it.
#[derive(Debug, Clone, Default)]
pub struct ReleaseFilter {
    /// The filters that are given, in the order of the table.
    asked: Vec<Asked>,
    /// `since`: created then, or later.
    since: Option<UnixSeconds>,
    /// `until`: created before then.
    until: Option<UnixSeconds>,
}

impl Filter {
    /// The values by which a release is found: distinct, sorted, none empty.
    pub fn values_of(&self, release: &Json) -> Vec<String> {
        let mut values = (self.values)(release);
        values.retain(|value| !value.is_empty());
        values.sort_unstable();
        values.dedup();
        values
    }

    /// The term of a value, as lists are named by it.
    pub fn term(&self, value: &str) -> String {
        term(self.name, self.cut.and_then(|length| value.get(..length)).unwrap_or(value))
    }
}

impl Asked {
    /// The value, where it is longer than a term of its filter can tell.
    pub(super) fn longer_than_a_term(&self) -> Option<&String> {
        let length = self.filter.cut?;
        self.values.iter().find(|value| value.len() > length)
    }
}

impl ReleaseFilter {
    /// Reads the parameters that filter releases.
    ///
    /// # Errors
    /// The first that cannot be read, in the order of [`FILTERS`], and `since` and `until` after them.
    pub fn from_query(query: &Query) -> Result<Self, ParameterError> {
        let mut asked = Vec::new();
        for filter in FILTERS {
            let values = query.first(filter.parameter).map(filter.read).transpose()?.flatten();
            asked.extend(values.map(|values| Asked { filter, values }));
        }
        Ok(Self {
            asked,
            since: query.first("since").map(unix_seconds).transpose().map_err(ParameterError::Since)?,
            until: query.first("until").map(unix_seconds).transpose().map_err(ParameterError::Until)?,
        })
    }

    /// Whether nothing is asked for, so that every release matches.
    pub fn is_empty(&self) -> bool {
        self.asked.is_empty() && self.since.is_none() && self.until.is_none()
    }

    /// The search for just these releases; `None` where no stored release can match: for a negative task id,
    /// for values longer than a key can be, and where `until` is not later than `since`.
    pub fn search(&self) -> Option<ReleaseSearch> {
        ReleaseSearch::new(&self.asked)?.between(self.since, self.until)
    }
}

impl fmt::Display for ReleaseFilter {
    /// What was asked, for logs. Where a value is one of several, the first names it.
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let asked = self.asked.iter().map(|asked| match asked.values.first() {
            Some(value) => term(asked.filter.name, value),
            None => "nothing".to_owned(),
        });
        let times = [("since", self.since), ("until", self.until)];
        let times = times.into_iter().filter_map(|(name, time)| Some(format!("{name}={}", time?)));
        let all: Vec<_> = asked.chain(times).collect();
        formatter.write_str(if all.is_empty() { "all" } else { "" })?;
        formatter.write_str(&all.join("&"))
    }
}

/// Reads `taskId`. 0 is no filter, as with Zadig, and no task has a negative number.
fn read_task(task_id: &str) -> Result<Option<Vec<String>>, ParameterError> {
    let task_id = strconv::atoi(task_id).map_err(ParameterError::TaskId)?;
    Ok((task_id != 0).then(|| if task_id > 0 { vec![task_id.to_string()] } else { Vec::new() }))
}

/// Reads `image`. A release may name a digest in a repository, or without any.
fn read_image(image: &str) -> Result<Option<Vec<String>>, ParameterError> {
    Ok(Some(match ImageReference::parse(image).map_err(ParameterError::Digest)? {
        ImageReference::Pushed(image) => vec![found_under(&image).to_owned()],
        ImageReference::Digest { digest, repository: None } => vec![digest.to_string()],
        ImageReference::Digest { digest, repository: Some(repository) } => {
            vec![format!("{}@{digest}", found_under(&repository)), format!("@{digest}")]
        }
    }))
}

/// The raw service names of the deploys. A name is answered as `<service>/<container>` where there is a
/// container.
fn services(release: &Json) -> Vec<String> {
    let raw = |deploy: &Json| {
        let name = deploy.member("serviceName").text()?;
        let container = deploy.member("containerName").text().filter(|container| !container.is_empty());
        let raw = container.and_then(|container| name.strip_suffix(container)?.strip_suffix('/'));
        Some(raw.unwrap_or(name).to_owned())
    };
    release.member("deployInfo").elements().iter().filter_map(raw).collect()
}

/// The images that a release holds, in the forms in which they may be asked for.
fn images(release: &Json) -> Vec<String> {
    let written = [
        &["deployInfo", "image"][..],
        &["buildInfo", "imageName"],
        &["versionInfo", "productEnvInfo", "services", "containers", "image"],
        &["distributeInfo", "registryName"],
        &["distributeInfo", "subDistributes", "registryName"],
    ];
    let written = written.into_iter().flat_map(|path| release.texts(path));
    let mut images: Vec<_> = written.flat_map(|image| image_forms(&image)).collect();
    for build in release.member("buildInfo").elements() {
        let Some(digest) =
            build.member("imageInfo").member("imageDigest").text().and_then(ImageDigest::parse)
        else {
            continue;
        };
        // A build may name its image by a digest alone, which tells no repository.
        let name = build.member("imageName").text().filter(|image| ImageDigest::parse(image).is_none());
        images.extend(digest_forms(&digest, name.map_or("", repository)));
    }
    images
}

/// The forms of an image as it is written in a release: what was pushed, without a digest behind it, and the
/// digest.
fn image_forms(image: &str) -> Vec<String> {
    let Some((name, digest)) = image.split_once('@') else {
        return match ImageDigest::parse(image) {
            Some(digest) => digest_forms(&digest, "").into(),
            None => vec![found_under(image).to_owned()],
        };
    };
    let digest = ImageDigest::parse(digest).map(|digest| digest_forms(&digest, repository(name)));
    // In front of a digest, a name without a tag is a repository, and nothing that was pushed.
    let pushed = Some(name).filter(|name| *name != repository(name));
    let pushed = pushed.map(|name| found_under(name).to_owned());
    digest.into_iter().flatten().chain(pushed).collect()
}

/// A digest in any repository, and in the one that is written with it; `""` where none is.
fn digest_forms(digest: &ImageDigest, repository: &str) -> [String; 2] {
    [digest.to_string(), format!("{}@{digest}", found_under(repository))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::facets::Facet;

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
            let lists: Vec<_> = search.lists().iter().map(Facet::as_str).collect();
            assert_eq!((lists, search.compares_entries()), (vec![facet], false));
            assert_eq!(filter(query).to_string(), facet);
        }
    }

    #[test]
    fn the_log_names_all_that_was_asked() {
        let query = "projectName=p&image=reg/a:1&commit=4B15C43E&label=l&envName=e&version=v&since=1&until=2026-11-24";
        assert_eq!(
            filter(query).to_string(),
            "project=p&image=reg/a:1&commit=4b15c43e&label=l&env=e&version=v&since=1&until=1795478400"
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
            "since=9999999999999999999",
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
            let error = |query| ReleaseFilter::from_query(&Query::parse(query)).unwrap_err();
            assert_eq!(error(&query), error(broken[first]), "{query}");
        }
    }

    #[test]
    fn filters_of_one_width_are_those_that_are_combined_and_only_the_narrowest_is_cut() {
        for (place, filter) in FILTERS.iter().enumerate() {
            let shares = |other: &Filter| other.width == filter.width && other.name != filter.name;
            assert!(filter.width == WIDEST || !FILTERS.iter().any(shares), "{}", filter.name);
            assert!(filter.cut.is_none() || filter.width == 0, "{}", filter.name);
            let within = FILTERS[..place].iter().find(|wider| Some(wider.name) == filter.within);
            assert_eq!(within.map(|wider| wider.width), filter.within.map(|_| WIDEST), "{}", filter.name);
        }
    }
}
