//! `events/list-releases/`

use delivery_center::endpoint::Endpoint;
use serde_json::Value;

use super::{Expected, documents, replay};

#[tokio::test]
async fn every_event_is_answered_as_expected() {
    let documents = documents(include_str!("expected/releases.jsonl"));
    let version_info = |id: &String| {
        let document: Value = serde_json::from_str(documents[id]).unwrap();
        format!(r#"{{"versionInfo":{}}}"#, document["versionInfo"])
    };
    let body = |expected: &Expected| {
        let whole = |ids: &Vec<String>| ids.iter().map(|id| documents[id].to_owned()).collect::<Vec<_>>();
        let brief = |ids: &Vec<String>| ids.iter().map(version_info).collect();
        let releases = expected.releases.as_ref().map(whole).or(expected.brief.as_ref().map(brief))?;
        Some(format!("[{}]", releases.join(",")))
    };
    replay(Endpoint::ListReleases, include_str!("expected/list-releases.json"), body).await;
}
