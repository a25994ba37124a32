//! Checks the newest records, and a sample: whether they can be read, and are found in every way.

use std::time::Instant;

use delivery_center::endpoint::Endpoint;
use delivery_center::position::Position;
use delivery_center::store::{ReleaseSearch, StoreError, Usage};
use futures_util::future;
use futures_util::stream::{StreamExt as _, TryStreamExt as _};

use super::finding::Findings;
use crate::answers::{ArtifactInfo, Endpoints, ReleaseInfo, read};
use crate::commands::local_time::Now;
use crate::commands::reindex::tolerate_unreadable;
use crate::retries::{LAGGING_LIST, Patience};
use crate::write::{FoundArtifact, Mended, Mode, Reindexed, Writer};

/// How many records of each table are read completely.
const SAMPLE: usize = 20;
/// Among how many artifacts the newest one is looked for.
const MOST_MET: usize = 10_000;
/// For how many records it is said why they cannot be read.
const MAX_NAMED: usize = 3;

const UNREADABLE: &str = "write them again with `delivery-center import --rewrite`, or restore them: \
                          docs/operating.md#backup-and-restore";
const INCOMPLETE: &str = "run `delivery-center reindex`";

const NEWEST_ARTIFACT: &str = "newest artifact";

/// What a sample of records showed.
#[derive(Debug, Default)]
struct Sample {
    looked_at: usize,
    /// Why some of them cannot be read.
    unreadable: Vec<String>,
    /// How many records, or items left of removed records, a reindex would change.
    incomplete: usize,
}

impl Sample {
    fn tell(&self, things: &str, findings: &mut Findings) -> anyhow::Result<()> {
        let subject = &format!("{things} sample");
        let Self { looked_at, unreadable, incomplete } = self;
        if !unreadable.is_empty() {
            let named = unreadable[..unreadable.len().min(MAX_NAMED)].join("; ");
            let count = unreadable.len();
            return findings.bad(
                subject,
                format!("{count} of {looked_at} that were looked at cannot be read: {UNREADABLE}. {named}"),
            );
        }
        if *incomplete > 0 {
            return findings.bad(
                subject,
                format!(
                    "{incomplete} of {looked_at} that were looked at are not found in every way: {INCOMPLETE}"
                ),
            );
        }
        findings.ok(
            subject,
            format!("{looked_at} looked at: all of them can be read, and are found in every way"),
        )
    }
}

/// Checks the newest release, a sample of releases, and how far the index lags behind the table.
pub(super) async fn examine_releases(
    writer: &Writer,
    now: &Now,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    tell_newest_release(writer, now, findings).await?;
    let sampled: Vec<_> = writer.release_ids().take(SAMPLE).try_collect().await?;
    let mut sample = Sample { looked_at: sampled.len(), ..Sample::default() };
    let mut readable = Vec::new();
    for release_id in &sampled {
        match tolerate_unreadable(async || writer.reindex_release(release_id, Mode::DryRun).await).await? {
            Ok(Reindexed::Release(0)) => readable.push(release_id.as_str()),
            Ok(Reindexed::Release(_) | Reindexed::Dangling(_)) => sample.incomplete += 1,
            Err(unreadable) => sample.unreadable.push(unreadable.to_string()),
        }
    }
    sample.tell("releases", findings)?;
    if readable.is_empty() {
        return Ok(());
    }
    tell_index_lag(writer, &readable, findings).await
}

async fn tell_newest_release(writer: &Writer, now: &Now, findings: &mut Findings) -> anyhow::Result<()> {
    const SUBJECT: &str = "newest release";
    let found = match Endpoints::InProcess(writer.store().clone()).newest_releases(&[], 1).await {
        Ok(found) => found,
        Err(error) => return findings.bad(SUBJECT, error.to_string()),
    };
    let Some(json) = found.releases.first() else {
        return findings.note(
            SUBJECT,
            "there is none yet: fill the table with `delivery-center import`, or `record release` in pipelines",
        );
    };
    let version = read::<ReleaseInfo>(json.get())?.version_info;
    let made = now.minute_and_age(version.created_at);
    findings.ok(SUBJECT, format!("{} {}, of {made}", version.product_name, version.version))
}

/// Checks whether the index lists releases as their table has them. If it does not yet, measures how long
/// that takes.
async fn tell_index_lag(
    writer: &Writer,
    release_ids: &[&str],
    findings: &mut Findings,
) -> anyhow::Result<()> {
    const SUBJECT: &str = "releases index";
    let (began, count) = (Instant::now(), release_ids.len());
    let mut patience = Patience::new(LAGGING_LIST);
    for (number, release_id) in release_ids.iter().enumerate() {
        while !is_listed(writer, release_id).await? {
            if !patience.wait().await {
                let lag = format!(
                    "lags behind the table for more than {} s (release {release_id:?}, the {}. of {count} \
                     that were looked at): look at the table's throttled writes, and run this again",
                    LAGGING_LIST.as_secs(),
                    number + 1
                );
                return findings.bad(SUBJECT, lag);
            }
        }
    }
    if !patience.has_waited() {
        return findings
            .ok(SUBJECT, format!("lists all {count} that were looked at, as their table has them"));
    }
    let seconds = began.elapsed().as_secs_f64();
    findings.note(
        SUBJECT,
        format!("lagged {seconds:.1} s behind the table; now it lists all {count} that were looked at"),
    )
}

/// Whether the list of all releases shows a release as its table has it now. A release that is gone need not
/// be listed.
async fn is_listed(writer: &Writer, release_id: &str) -> Result<bool, StoreError> {
    let Some(current) = writer.current_release(release_id).await? else { return Ok(true) };
    let everything = ReleaseSearch::new(&[]).unwrap_or_else(ReleaseSearch::of_nothing);
    // The next position after its own, so that the search begins with the release itself.
    let behind = Position::parse(&format!("{}\0", current.entry.position));
    let found = writer
        .store()
        .release_listing(&everything, behind.as_ref())
        .next_page(Some(1), &Usage::default())
        .await?;
    Ok(found.entries.first() == Some(&current.entry))
}

/// Checks the newest artifact among those that a scan finds, and a sample of them.
pub(super) async fn examine_artifacts(
    writer: &Writer,
    now: &Now,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let artifacts = writer.artifact_entries().try_filter(|entry| future::ready(entry.position.is_some()));
    let met: Vec<_> = artifacts.take(MOST_MET).try_collect().await?;
    let Some(newest) = met.iter().filter_map(|entry| entry.position.as_ref()).max() else {
        return findings.note(
            NEWEST_ARTIFACT,
            "there is none yet: fill the table with `delivery-center import`, or `record build` in pipelines",
        );
    };
    let among = format!(", the newest of {MOST_MET} that were looked at");
    let among = if met.len() < MOST_MET { "" } else { &among };
    tell_newest_artifact(writer, now, newest.id(), among, findings).await?;
    let mut sample = Sample::default();
    for entry in met.iter().take(SAMPLE) {
        sample.looked_at += 1;
        match tolerate_unreadable(async || writer.mend_artifact_entry(entry, Mode::DryRun).await).await? {
            // What was left behind does no harm.
            Ok(Mended::Unchanged | Mended::Overtaken | Mended::Removed(_)) => {}
            Ok(Mended::Artifact) => sample.incomplete += 1,
            Err(unreadable) => sample.unreadable.push(unreadable.to_string()),
        }
    }
    sample.tell("artifacts", findings)
}

/// Asks for an artifact as a caller does: by its image, or, where it has none, by its digest.
async fn tell_newest_artifact(
    writer: &Writer,
    now: &Now,
    id: &str,
    among: &str,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let state = match writer.artifact_state(&FoundArtifact::by_id(id.to_owned())).await {
        Err(error @ StoreError::UnreadableRecord { .. }) => {
            return findings.bad(NEWEST_ARTIFACT, format!("{error}: {UNREADABLE}"));
        }
        state => state?,
    };
    let Some(artifact) = &state.artifact else {
        return findings.note(NEWEST_ARTIFACT, format!("{id} was removed while it was looked at"));
    };
    let artifact: ArtifactInfo = read(&artifact.json)?;
    let made = now.minute_and_age(artifact.created_time);
    let asked = [&artifact.image, &artifact.image_digest].into_iter().find(|name| !name.is_empty());
    let Some(asked) = asked else {
        return findings.ok(NEWEST_ARTIFACT, format!("{id}, of {made}{among}"));
    };
    let question = [("image", asked.as_stored())].into_iter().collect();
    match Endpoints::InProcess(writer.store().clone()).ask(Endpoint::GetArtifact, &question).await {
        Ok(_) => findings.ok(NEWEST_ARTIFACT, format!("{asked}, of {made}{among}")),
        Err(error) => {
            findings.bad(NEWEST_ARTIFACT, format!("{asked} is stored, but is not answered: {error}"))
        }
    }
}
