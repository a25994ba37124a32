//! What is the service's own, piece by piece, on a release of 50 kB as deployments' YAML makes them.

use delivery_center::document::{Document, GzipSplice, Inflater};
use delivery_center::event::{Event, ResponseShape};
use delivery_center::query::Query;
use delivery_center::release_filter::ReleaseFilter;
use delivery_center::response::{Base64Body, Body, Response, TextBody};
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
    let stored = Document::pack(&text()).expect("a short text").to_stored();
    let stored: Vec<u8> = base64_simd::STANDARD.encode_type(&stored);
    bencher
        .counter(BytesCount::of_slice(&stored))
        .with_inputs(|| stored.clone())
        .bench_values(|stored| Document::from_stored(stored).expect("as it was stored"));
}

#[divan::bench]
fn inflate(bencher: Bencher) {
    let text = text();
    let document = Document::pack(&text).expect("a short text");
    let mut inflater = Inflater::default();
    bencher
        .counter(BytesCount::of_str(&text))
        .bench_local(|| inflater.text(black_box(&document)).expect("as it was packed").len());
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

#[divan::bench]
fn escape(bencher: Bencher) {
    let text = text();
    bencher.counter(BytesCount::of_str(&text)).bench(|| {
        let mut escaped = TextBody::with_capacity(text.len() * 5 / 4);
        escaped.push(black_box(text.as_bytes()));
        escaped
    });
}

#[divan::bench]
fn gzip_response(bencher: Bencher) {
    let bytes = vec![0x5a; 200_000];
    bencher.counter(BytesCount::of_slice(&bytes)).bench(|| {
        let mut gzip = Base64Body::with_capacity(bytes.len());
        gzip.push(black_box(&bytes));
        Response::ok("W/\"0123456789abcdef\"", Body::Gzip(gzip))
            .into_lambda_json(ResponseShape::SingleValueHeaders)
    });
}

const QUERY: &str = "projectName=shop&workflowName=shop-dev&taskId=12&serviceName=cart%2Fcart";

#[divan::bench]
fn filter() -> Option<delivery_center::release_filter::Facet> {
    let query = Query::parse(black_box(QUERY.as_bytes()));
    ReleaseFilter::from_query(&query).expect("a filter").facet()
}

#[divan::bench]
fn event(bencher: Bencher) {
    let event = format!(
        r#"{{"version":"2.0","rawPath":"/api/aslan/delivery/releases","rawQueryString":"{QUERY}",
        "headers":{{"accept":"application/json","accept-encoding":"gzip","host":"example.com"}},
        "requestContext":{{"stage":"$default","http":{{"method":"GET","path":"/api/aslan/delivery/releases"}}}}}}"#
    );
    bencher.bench(|| Event::from_json(black_box(event.as_bytes())));
}
