//! `events/get-artifact/`

use delivery_center::endpoint::Endpoint;

use super::{Expected, documents, replay};

#[tokio::test]
async fn every_event_is_answered_as_expected() {
    let documents = documents(include_str!("expected/artifacts.jsonl"));
    let body = |expected: &Expected| {
        let document = documents[expected.artifact.as_ref()?];
        Some(match &expected.environments {
            None => document.to_owned(),
            Some(environments) => {
                format!("{},\"environments\":{environments}}}", document.strip_suffix('}').unwrap())
            }
        })
    };
    replay(Endpoint::GetArtifact, include_str!("expected/get-artifact.json"), body).await;
}
