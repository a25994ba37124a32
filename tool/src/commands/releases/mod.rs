//! `releases`: which releases went out, as a table.

mod table;

use clap::builder::NonEmptyStringValueParser;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use delivery_center::error::{Error, Status};
use delivery_center::query::ParameterError;
use delivery_center::store::filters::{FILTERS, Filter};
use table::ReleasesTable;

use super::exit_status::{Ended, unusable};
use super::layout::width;
use super::local_time::{self, Now};
use super::question::ApiArguments;
use super::terminal;
use crate::answers::{AskError, ReleaseInfo, read};

/// Which releases went out: by project, image, commit, environment, time.
///
/// Newest first; all the filters that are given must hold. It reads the tables that the AWS environment
/// names, by the functions' own code, and needs `dynamodb:Query` and `dynamodb:BatchGetItem` on them; or it asks
/// the deployed API at --api. Times are local.
///
/// The table shows the images that a release deployed; or else those that it built; or else those that it
/// distributed. `--image` finds more: what ran in the release's environment, and digests too. `--json` shows
/// all of it.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  delivery-center releases --env prod --since yesterday    what went out last night?
  delivery-center releases --project shop --limit 5
  delivery-center releases --image registry.example.com/shop/cart:1.4.0
  delivery-center releases --commit 4b15c43 --json | jq '.[].versionInfo.version'")]
pub(super) struct ReleasesArguments {
    #[command(flatten)]
    filters: Filters,
    /// Only releases made at this time or later: 90m, 12h, 2d, 1w (ago); yesterday, 'yesterday 18:00', 08:30,
    /// 2026-11-24 (local); RFC 3339; Unix seconds.
    #[arg(long, value_name = "TIME", value_parser = local_time::read, verbatim_doc_comment)]
    since: Option<i64>,
    /// Only releases made before this time.
    #[arg(long, value_name = "TIME", value_parser = local_time::read)]
    until: Option<i64>,
    /// Show at most this many.
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Print the API's own JSON, an array.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    api: ApiArguments,
}

pub(super) async fn run(arguments: ReleasesArguments) -> anyhow::Result<Ended> {
    let (limit, is_json) = (arguments.limit, arguments.json);
    if let (Some(since), Some(until)) = (arguments.since, arguments.until)
        && since >= until
    {
        return Err(unusable("--until is not later than --since: no release can lie between them"));
    }
    let endpoints = arguments.api.endpoints().await?;
    let parameters = arguments.parameters();
    let found = match endpoints.newest_releases(&parameters, limit as usize).await {
        // The endpoint says it in Go's words, which Zadig's clients know, and nobody at a terminal.
        Err(AskError::Refused(Error::Parameter(ParameterError::TaskId(_)))) => {
            return Err(unusable("--task is not a task's number: give one such as 12"));
        }
        // One of them may be larger than an answer can be; of a question that cannot be read the same is said
        // again.
        Err(error) if error.has_status(Status::BadRequest) && !is_json => {
            let brief = [&parameters[..], &[("verbosity", "brief".to_owned())]].concat();
            let found = endpoints.newest_releases(&brief, limit as usize).await?;
            terminal::say(
                "services and images are left out: one of these releases is larger than an answer can be",
            );
            found
        }
        found => found?,
    };
    if is_json {
        terminal::print_json(&serde_json::to_string(&found.releases)?)?;
    }
    if found.releases.is_empty() {
        terminal::say(format_args!("no release matches"));
        return Ok(Ended::NotFound);
    }
    if !is_json {
        let releases = found.releases.iter().map(|release| read::<ReleaseInfo>(release.get()));
        let releases = releases.collect::<Result<Vec<_>, _>>()?;
        let table = ReleasesTable { releases: &releases, now: &Now::from_the_clock(), width: width() };
        terminal::print_styled(table)?;
    }
    if found.has_more {
        terminal::say(format_args!(
            "these are the newest {limit}; older ones match too: --limit {} shows more",
            limit.saturating_mul(5)
        ));
    }
    Ok(Ended::Well)
}

impl ReleasesArguments {
    /// The endpoint's parameters.
    fn parameters(self) -> Vec<(&'static str, String)> {
        let times = [("since", self.since), ("until", self.until)];
        let times = times.into_iter().filter_map(|(name, time)| Some((name, time?.to_string())));
        self.filters.0.into_iter().chain(times).collect()
    }
}

/// The endpoint's filters that are given: an option for each, with the parameter's value.
#[derive(Debug, Clone)]
struct Filters(Vec<(&'static str, String)>);

impl Args for Filters {
    fn augment_args(command: Command) -> Command {
        let option = |filter: &Filter| {
            let option = Arg::new(filter.name).long(filter.name).value_name("VALUE");
            let help = format!("Only releases {}", filter.keeps);
            option.help(help).value_parser(NonEmptyStringValueParser::new())
        };
        command.args(FILTERS.iter().map(option))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Filters {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |filter: &'static Filter| {
            Some((filter.parameter, matches.get_one::<String>(filter.name)?.clone()))
        };
        Ok(Self(FILTERS.iter().filter_map(given).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
