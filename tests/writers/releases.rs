//! What two writers may do to one release.

use std::sync::Arc;

use delivery_center::endpoint::Endpoint::ListReleases;
use delivery_center_tool::record::Record;
use delivery_center_tool::write::{Mode, PackedRelease};
use serde_json::{Value, json};

use super::{Act, Scenario, Size};
use crate::support::{deploy, release};

const ID: &str = "619dbaa8c528c2182225e8d9";
const WHOLE: Size = Size { writes_per_transaction: 100, in_steps: false };
const IN_STEPS: Size = Size { writes_per_transaction: 2, in_steps: true };

pub(super) fn scenarios() -> Vec<Scenario> {
    let of = |name, sizes, before, writers: [Act; 2]| Scenario {
        name,
        before,
        writers: writers.map(|act| vec![act]),
        questions: vec![(ListReleases, "projectName=p".to_owned())],
        facts: Vec::new(),
        sizes,
    };
    let base = || vec![stores(&a_release("before", 5, &["a"]))];
    let one = || stores(&a_release("one", 5, &["a", "b"]));
    let other = || stores(&a_release("other", 5, &["c"]));
    let moved = || stores(&a_release("moved", 6, &["c"]));
    let gone = || {
        let mut record = a_release("gone", 5, &["a"]);
        record["versionInfo"]["deleted_at"] = json!(1);
        stores(&record)
    };
    vec![
        of("two imports of a release, one of which moves it", vec![WHOLE], base(), [one(), moved()]),
        of("two imports of a release", vec![IN_STEPS], base(), [one(), other()]),
        of("two first imports of a release", vec![WHOLE, IN_STEPS], Vec::new(), [one(), other()]),
        of("an import of a release beside a removal", vec![WHOLE], base(), [one(), gone()]),
        of("another import of a release beside a removal", vec![IN_STEPS], base(), [other(), gone()]),
        of(
            "an import in steps beside a reindex in one",
            vec![WHOLE],
            base(),
            [in_steps(other()), reindexes()],
        ),
    ]
}

fn a_release(description: &str, created_at: u64, services: &[&str]) -> Value {
    let mut record = release(ID, created_at);
    record["versionInfo"]["workflowName"] = json!("");
    record["versionInfo"]["taskId"] = json!(0);
    record["versionInfo"]["desc"] = json!(description);
    record["deployInfo"] = services.iter().map(|service| deploy(ID, service)).collect();
    record
}

/// An import of the record.
fn stores(record: &Value) -> Act {
    let Ok(Record::Release(release)) = Record::check(record.to_string().as_bytes()) else {
        panic!("a release")
    };
    let packed = Arc::new(PackedRelease::new(&release).unwrap());
    Arc::new(move |writer| {
        let packed = Arc::clone(&packed);
        Box::pin(async move {
            while let Err(error) = writer.put_release(&packed, Mode::Write).await {
                assert!(error.is_unavailable(), "{error}");
            }
        })
    })
}

/// The same, where little fits into one transaction.
fn in_steps(act: Act) -> Act {
    Arc::new(move |writer| act(writer.with_writes_per_transaction(8)))
}

fn reindexes() -> Act {
    Arc::new(|writer| {
        Box::pin(async move {
            while let Err(error) = writer.reindex_release(ID, Mode::Write).await {
                assert!(error.is_unavailable(), "{error}");
            }
        })
    })
}
