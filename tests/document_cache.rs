//! The documents that a warm function keeps are never stale, never take more memory than they may, and are
//! not fetched twice.

use delivery_center::endpoint::Endpoint;
use delivery_center::service::EndpointService;
use delivery_center::store::{ReleaseEntry, ReleaseFilter, Store, TableNames, Usage, Verbosity};
use delivery_center_tool::embedded::EmbeddedDynamoDb;
use delivery_center_tool::record::Record;
use delivery_center_tool::table_definitions;
use delivery_center_tool::write::{Mode, PackedRelease, Writer};
use serde_json::{Value, json};

const CACHE_BYTES: usize = 1 << 20;
const BRIEF: &str = "verbosity=brief";
const DETAILED: &str = "";

/// The table, a store that writes to it, and a warm function's store, which keeps what it reads.
struct Table {
    _database: EmbeddedDynamoDb,
    writer: Writer,
    warm: Store,
}

impl Table {
    async fn start(cache_bytes: usize) -> Self {
        let listen = "127.0.0.1:0".parse().expect("an address");
        let database = EmbeddedDynamoDb::start(listen, None).expect("an embedded DynamoDB");
        let names = TableNames { releases: "releases".to_owned(), artifacts: "artifacts".to_owned() };
        for definition in table_definitions::definitions(&names).expect("the template's tables") {
            definition.create(&database.client()).await.expect("a table");
        }
        let writer = database.writer(names);
        let warm = writer.store().clone().with_document_cache(cache_bytes);
        Self { _database: database, writer, warm }
    }

    async fn import(&self, releases: impl IntoIterator<Item = Value>) {
        let pack = |release: Value| match Record::check(release.to_string().as_bytes()) {
            Ok(Record::Release(release)) => PackedRelease::new(&release).expect("a release that fits"),
            other => panic!("no release: {other:?}"),
        };
        let packed: Vec<_> = releases.into_iter().map(pack).collect();
        for outcome in self.writer.put_releases(&packed, Mode::Write).await {
            outcome.expect("a release is stored");
        }
    }

    /// What the warm function answers; a cold one must answer the same.
    async fn warm_answer(&self, query: &str) -> Value {
        let [warm, cold] = [answer(&self.warm, query).await, answer(self.writer.store(), query).await];
        assert_eq!(warm, cold, "a warm answer to {query:?} is a cold one's");
        warm
    }

    /// How many calls and round trips the documents of the newest releases take the warm function.
    async fn calls_for_documents(&self, verbosity: Verbosity) -> (u32, u32) {
        let search = ReleaseFilter::default().search().expect("all");
        let index = Usage::default();
        let page = self.warm.release_listing(&search, None).next_page(None, &index).await;
        let entries = page.expect("index entries").entries;
        let documents = Usage::default();
        self.warm.releases(&search, &entries, verbosity, &documents).await.expect("documents");
        (documents.calls(), documents.round_trips())
    }
}

async fn answer(store: &Store, query: &str) -> Value {
    let uri = format!("{}?{query}", Endpoint::ListReleases.path());
    let request = http::Request::get(uri).body(()).expect("a request");
    let response = EndpointService::new(Endpoint::ListReleases, store.clone()).answer(request).await;
    assert_eq!(response.status(), 200);
    serde_json::from_slice(response.body()).expect("a list")
}

fn release(id: &str, description: &str) -> Value {
    json!({
        "versionInfo": { "id": id, "productName": "p", "created_at": 1_637_726_888, "desc": description },
        "buildInfo": [], "deployInfo": [], "testInfo": [], "distributeInfo": [], "securityStatsInfo": [],
    })
}

fn descriptions(answer: &Value) -> Vec<&str> {
    let releases = answer.as_array().expect("a list");
    releases.iter().map(|release| release["versionInfo"]["desc"].as_str().expect("a description")).collect()
}

#[tokio::test]
async fn a_document_that_was_read_is_not_asked_for_again() {
    let table = Table::start(CACHE_BYTES).await;
    table.import([release("a", "one"), release("b", "one")]).await;
    assert_eq!(table.calls_for_documents(Verbosity::Brief).await, (1, 1));
    assert_eq!(table.calls_for_documents(Verbosity::Brief).await, (0, 0));
    assert_eq!(table.calls_for_documents(Verbosity::Detailed).await, (1, 1), "brief alone was read");
    assert_eq!(table.calls_for_documents(Verbosity::Detailed).await, (0, 0));
    assert_eq!(table.calls_for_documents(Verbosity::Brief).await, (0, 0));
}

#[tokio::test]
async fn only_what_is_new_is_asked_for() {
    let table = Table::start(CACHE_BYTES).await;
    table.import((0..150).map(|number| release(&format!("{number:03}"), "old"))).await;
    assert_eq!(table.calls_for_documents(Verbosity::Detailed).await, (2, 1), "a hundred keys a call");
    table.import([release("new", "new")]).await;
    assert_eq!(table.calls_for_documents(Verbosity::Detailed).await, (1, 1));
}

#[tokio::test]
async fn a_changed_release_is_answered_as_it_is_now() {
    let table = Table::start(CACHE_BYTES).await;
    table.import([release("a", "one"), release("b", "one")]).await;
    for query in [BRIEF, DETAILED] {
        assert_eq!(descriptions(&table.warm_answer(query).await), ["one", "one"]);
    }
    table.import([release("a", "two")]).await;
    for query in [BRIEF, DETAILED] {
        assert_eq!(descriptions(&table.warm_answer(query).await), ["one", "two"]);
    }
    table.import([release("a", "one")]).await;
    for query in [BRIEF, DETAILED] {
        assert_eq!(descriptions(&table.warm_answer(query).await), ["one", "one"], "changed back");
    }
}

#[tokio::test]
async fn a_deleted_release_is_answered_no_more_and_a_reimported_one_as_it_is_then() {
    let table = Table::start(CACHE_BYTES).await;
    table.import([release("a", "one"), release("b", "one")]).await;
    for query in [BRIEF, DETAILED] {
        table.warm_answer(query).await;
    }
    let mut deleted = release("a", "one");
    deleted["versionInfo"]["deleted_at"] = json!(1_637_726_999);
    table.import([deleted]).await;
    for query in [BRIEF, DETAILED] {
        assert_eq!(descriptions(&table.warm_answer(query).await), ["one"]);
    }
    table.import([release("a", "three")]).await;
    for query in [BRIEF, DETAILED] {
        assert_eq!(descriptions(&table.warm_answer(query).await), ["one", "three"]);
    }
}

/// A release that a lagging index lists at an old revision is read again from the table. It must be kept
/// under the revision that was read, and not under the listed one.
#[tokio::test]
async fn a_release_from_a_lagging_index_is_kept_under_the_revision_that_was_read() {
    let table = Table::start(CACHE_BYTES).await;
    let search = ReleaseFilter::default().search().expect("all");
    let listed = async || {
        let page = table.warm.release_listing(&search, None).next_page(None, &Usage::default()).await;
        page.expect("index entries").entries
    };
    let read = async |entries: Vec<ReleaseEntry>| {
        let read = table.warm.releases(&search, &entries, Verbosity::Detailed, &Usage::default()).await;
        read.expect("documents").remove(0)
    };
    table.import([release("a", "one")]).await;
    let lagging = listed().await;
    table.import([release("a", "two")]).await;
    let read_again = read(lagging).await.expect("it stands where it was listed");
    assert!(read_again.brief.unpack().expect("a text").contains("two"));
    assert_eq!(table.calls_for_documents(Verbosity::Detailed).await, (0, 0), "it is kept as what it is");
    table.import([release("a", "one")]).await;
    let current = read(listed().await).await.expect("a release");
    assert!(
        current.brief.unpack().expect("a text").contains("one"),
        "the listed revision is not the one kept"
    );

    let mut deleted = release("a", "one");
    deleted["versionInfo"]["deleted_at"] = json!(1_637_726_999);
    table.import([release("a", "four")]).await;
    let lagging = listed().await;
    table.import([deleted]).await;
    assert_eq!(read(lagging.clone()).await, None, "deleted before it was read");
    assert_eq!(read(lagging).await, None, "and not kept as anything");
}

#[tokio::test]
async fn a_walk_through_the_history_stays_within_the_bound() {
    let bound = 20_000;
    let table = Table::start(bound).await;
    table.import((0..300).map(|number| release(&format!("{number:03}"), &format!("{number}")))).await;
    for page in 1..=15 {
        assert_eq!(table.warm_answer(&format!("page={page}")).await.as_array().expect("a list").len(), 20);
        assert!(table.warm.document_cache_bytes() <= bound as u64);
    }
    assert!(table.warm.document_cache_bytes() > 0);
}

#[tokio::test]
async fn a_cache_of_no_bytes_keeps_nothing() {
    let table = Table::start(0).await;
    table.import([release("a", "one")]).await;
    for _ in 0..2 {
        assert_eq!(table.calls_for_documents(Verbosity::Detailed).await, (1, 1));
    }
    assert_eq!(table.warm.document_cache_bytes(), 0);
}
