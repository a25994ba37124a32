//! Measures the parts of the service's own code, on a release of 50 kB with deployments' YAML.

use aws_sdk_dynamodb::config::BehaviorVersion;
use aws_sdk_dynamodb::{Client, Config};
use delivery_center::accept_encoding::ContentCoding;
use delivery_center::document::{Document, Inflater};
use delivery_center::endpoint::Endpoint;
use delivery_center::gzip_splice::GzipSplice;
use delivery_center::lambda::event;
use delivery_center::query::Query;
use delivery_center::response;
use delivery_center::response_limit::escaped_length;
use delivery_center::service::EndpointService;
use delivery_center::store::{ReleaseFilter, ReleaseSearch, Store, TableNames};
use divan::{Bencher, black_box, counter::BytesCount};

fn main() {
    divan::main();
}

/// About 50 kB of JSON that compresses five to one.
fn text() -> String {
    let line = |number: u32| {
        let hash = number.wrapping_mul(2_654_435_761);
        format!(
            "      - name: part-{number}\\n        image: registry.example.com/part@{hash:08x}{:08x}\\n        env: \
             [{{name: \\\"TOKEN\\\", value: \\\"{:08x}\\\"}}]\\n        resources: {{limits: {{cpu: 500m, memory: 64Mi}}}}\\n",
            hash.rotate_left(7) ^ 0x5bd1_e995,
            hash.rotate_left(13)
        )
    };
    format!("{{\"yamlContents\":[\"{}\"]}}", (0..230).map(line).collect::<String>())
}

#[divan::bench]
fn pack(bencher: Bencher) {
    let text = text();
    bencher.counter(BytesCount::of_str(&text)).bench(|| Document::pack(black_box(&text)));
}

#[divan::bench]
fn read_stored(bencher: Bencher) {
    let stored = Document::pack(&text()).expect("a short text").stored().to_vec();
    bencher
        .counter(BytesCount::of_slice(&stored))
        .with_inputs(|| stored.clone())
        .bench_values(|stored| Document::from_stored(stored).expect("as it was stored"));
}

#[divan::bench]
fn inflate(bencher: Bencher) {
    let text = text();
    let document = Document::pack(&text).expect("a short text");
    let (mut inflater, mut read) = (Inflater::default(), Vec::new());
    bencher.counter(BytesCount::of_str(&text)).bench_local(|| {
        read.clear();
        inflater.append(black_box(&document), &mut read).expect("as it was packed");
        read.len()
    });
}

#[divan::bench]
fn splice_20(bencher: Bencher) {
    let document = Document::pack(&text()).expect("a short text");
    bencher.counter(BytesCount::new(20 * document.packed_length())).bench(|| {
        let mut splice = GzipSplice::with_capacity(20 * (document.packed_length() + 6) + 64);
        splice.text("[");
        for _ in 0..20 {
            splice.document(black_box(&document));
            splice.text(",");
        }
        splice.finish()
    });
}

/// The length of a text in JSON, which says whether it fits into an answer.
#[divan::bench]
fn escaped(bencher: Bencher) {
    let text = text();
    bencher.counter(BytesCount::of_str(&text)).bench(|| escaped_length(black_box(text.as_bytes())));
}

#[divan::bench]
fn response(bencher: Bencher) {
    let gzip = vec![0x5a; 200_000];
    bencher
        .with_inputs(|| gzip.clone())
        .bench_values(|gzip| response::ok("W/\"0123456789abcdef\"", ContentCoding::Gzip, gzip));
}

const QUERY: &str = "projectName=shop&workflowName=shop-dev&taskId=12&serviceName=cart%2Fcart";

#[divan::bench]
fn filter() -> Option<ReleaseSearch> {
    let query = Query::parse(black_box(QUERY));
    ReleaseFilter::from_query(&query).expect("a filter").search()
}

/// From the JSON of an event to that of its answer, without DynamoDB: the page cannot be read.
#[divan::bench]
fn an_event(bencher: Bencher) {
    let asked = format!(
        r#"{{"version":"2.0","rawPath":"/api/aslan/delivery/releases","rawQueryString":"{QUERY}&page=x",
        "headers":{{"accept":"application/json","accept-encoding":"gzip","host":"example.com"}},"isBase64Encoded":false,
        "requestContext":{{"stage":"$default","http":{{"method":"GET","path":"/api/aslan/delivery/releases"}}}}}}"#
    );
    let tables = TableNames { releases: String::new(), artifacts: String::new() };
    let unreachable =
        Client::from_conf(Config::builder().behavior_version(BehaviorVersion::latest()).build());
    let service = EndpointService::new(Endpoint::ListReleases, Store::new(unreachable, tables));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let answer = || runtime.block_on(event::answer_json(&service, black_box(&asked)));
    assert!(answer().expect("an answer").contains("page args err"));
    bencher.bench_local(answer);
}
