//! What all tests use: tables of their own in a DynamoDB, records to fill them with, and answers as a caller
//! reads them.
//!
//! The DynamoDB is the embedded one, or the one that `AWS_ENDPOINT_URL_DYNAMODB` names. Where that one takes
//! fewer than a hundred writes in a transaction, `DYNAMODB_TRANSACTION_WRITES` must say how many.
#![expect(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test file uses a part of it")]

pub mod faulty;
pub mod wire;

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use delivery_center::endpoint::Endpoint;
use delivery_center::lambda::event;
use delivery_center::retries::with_patience;
use delivery_center::service::EndpointService;
use delivery_center::store::artifacts::found_by::{EntryName, FoundBy, Short, listed};
use delivery_center::store::keys::{ENVIRONMENT_PREFIX, ID_PREFIX, artifact_position};
use delivery_center::store::{Store, TableNames};
use delivery_center_tool::embedded::{EmbeddedDynamoDb, config};
use delivery_center_tool::import::{Counts, ImportError, Progress, Source, import};
use delivery_center_tool::table_definitions::definitions;
use delivery_center_tool::write::{Mode, Writer};
use serde_json::{Value, json};

/// Two tables of a test's own, with a client, a store and a writer for them.
pub struct Tables {
    embedded: Option<EmbeddedDynamoDb>,
    pub names: TableNames,
    pub endpoint_url: String,
    pub client: Client,
    pub store: Store,
    pub writer: Writer,
}

impl Tables {
    /// New, empty tables.
    pub async fn empty() -> Self {
        let tables = Self::missing();
        for table in definitions(&tables.names).unwrap() {
            table.create(&tables.client).await.unwrap();
        }
        tables
    }

    /// Names of tables that nobody created.
    pub fn missing() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let suffix = format!("{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let names =
            TableNames { releases: format!("releases-{suffix}"), artifacts: format!("artifacts-{suffix}") };
        let given_url = std::env::var("AWS_ENDPOINT_URL_DYNAMODB").ok().filter(|url| !url.is_empty());
        let embedded = match given_url {
            Some(_) => None,
            None => Some(EmbeddedDynamoDb::start("127.0.0.1:0".parse().unwrap(), None).unwrap()),
        };
        let endpoint_url =
            given_url.unwrap_or_else(|| embedded.as_ref().map(EmbeddedDynamoDb::endpoint_url).unwrap());
        Self::at(endpoint_url, names, embedded)
    }

    /// The same tables, asked through another endpoint.
    pub fn through(&self, endpoint_url: &str) -> Self {
        Self::at(endpoint_url.to_owned(), self.names.clone(), None)
    }

    fn at(endpoint_url: String, names: TableNames, embedded: Option<EmbeddedDynamoDb>) -> Self {
        let client = Client::from_conf(with_patience(config(&endpoint_url)).build());
        let writer = Writer::new(client.clone(), names.clone());
        let writer = match transaction_writes() {
            Some(limit) => writer.with_writes_per_transaction(limit.parse().unwrap()),
            None => writer,
        };
        let store = writer.store().clone();
        Self { embedded, names, endpoint_url, client, store, writer }
    }

    /// Tables with the samples.
    pub async fn with_samples() -> Self {
        let tables = Self::empty().await;
        let summary = tables.import(SAMPLES).await;
        assert_eq!((summary.refused, summary.deleted), (0, 1), "{summary}");
        tables
    }

    /// Imports a text and expects that nothing goes wrong with the tables.
    pub async fn import(&self, text: &str) -> Counts {
        self.try_import(text, Mode::Write).await.0.unwrap()
    }

    /// Imports a text, and returns the refusals as well.
    pub async fn try_import(&self, text: &str, mode: Mode) -> (Result<Counts, ImportError>, Vec<String>) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let refusals = Arc::new(Refusals::default());
        let source = Source::at("input".to_owned(), file.path().to_owned());
        let summary =
            import(&self.writer, vec![source], mode, Arc::clone(&refusals) as Arc<dyn Progress>).await;
        let refusals = std::mem::take(&mut *refusals.0.lock().unwrap());
        (summary, refusals)
    }

    /// Answers an event as the function would, in this process.
    pub async fn invoke(&self, endpoint: Endpoint, event: &Value) -> Answer {
        let service = EndpointService::new(endpoint, self.store.clone());
        let json = event::answer_json(&service, &event.to_string()).await.unwrap();
        Answer::from_lambda_json(&json)
    }

    /// Answers `GET <endpoint>?<query>`.
    pub async fn get(&self, endpoint: Endpoint, query: &str) -> Answer {
        self.invoke(endpoint, &get_event(endpoint, query, &[])).await
    }

    /// Answers `GET <endpoint>?<query>` with request headers.
    pub async fn get_with(&self, endpoint: Endpoint, query: &str, headers: &[(&str, &str)]) -> Answer {
        self.invoke(endpoint, &get_event(endpoint, query, headers)).await
    }

    /// Answers a query, and every query that a `Link` leads to.
    pub async fn walk(&self, endpoint: Endpoint, query: &str, headers: &[(&str, &str)]) -> Vec<Answer> {
        let (mut answers, mut next) = (Vec::new(), Some(query.to_owned()));
        while let Some(query) = next {
            let answer = self.get_with(endpoint, &query, headers).await;
            next = answer.next_query();
            answers.push(answer);
        }
        answers
    }

    /// Puts an item into a table by hand, such as a spoiled one, or one that an index still has.
    pub async fn put_item(&self, table: &str, item: HashMap<String, AttributeValue>) {
        self.client.put_item().table_name(table).set_item(Some(item)).send().await.unwrap();
    }

    /// Deletes an item by hand.
    pub async fn delete_item(&self, table: &str, mut item: HashMap<String, AttributeValue>) {
        let hash = if table == self.names.releases { "release_id" } else { "image_digest" };
        item.retain(|name, _| name == hash || name == "entry");
        self.client.delete_item().table_name(table).set_key(Some(item)).send().await.unwrap();
    }

    /// Every item of a table.
    pub async fn items(&self, table: &str) -> Vec<HashMap<String, AttributeValue>> {
        let items = self.client.scan().table_name(table).into_paginator().items().send();
        items.collect::<Result<_, _>>().await.unwrap()
    }

    /// Every item of a table as a text, sorted. Two tables are equal where these are.
    pub async fn dump(&self, table: &str) -> Vec<String> {
        without_nonces(self.items(table).await)
    }

    /// Every item of both tables, as [`Tables::dump`] gives them.
    pub async fn dump_both(&self) -> [Vec<String>; 2] {
        [self.dump(&self.names.releases).await, self.dump(&self.names.artifacts).await]
    }

    /// The environment variables with which a binary uses these tables.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let transaction_writes = transaction_writes().map(|writes| (TRANSACTION_WRITES, writes));
        let mut environment = vec![
            ("RELEASES_TABLE", self.names.releases.clone()),
            ("ARTIFACTS_TABLE", self.names.artifacts.clone()),
            ("AWS_ENDPOINT_URL_DYNAMODB", self.endpoint_url.clone()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "local".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
        ];
        environment.extend(transaction_writes);
        environment
    }
}

/// Items as texts, sorted, without the random texts by which writers know themselves. What of an artifact has a
/// nonce in its key has a word in place of it: whether the artifact's item lists it. Pointers that lead on to
/// another artifact are left out: they tell what once was there.
pub fn without_nonces(items: Vec<HashMap<String, AttributeValue>>) -> Vec<String> {
    let artifact_id = |item: &HashMap<String, AttributeValue>| {
        artifact_position(item["entry"].as_s().unwrap()).map(|position| position.id().to_owned())
    };
    let mut writers = HashMap::new();
    let mut listed_entries = HashMap::<_, Vec<(Short, Short)>>::new();
    for item in &items {
        let Some(id) = artifact_id(item) else { continue };
        let list = item.get("found_by").map_or(&[][..], |list| list.as_b().unwrap().as_ref());
        let entries =
            listed(list).flat_map(|(nonce, digests)| digests.iter().map(move |digest| (*digest, nonce)));
        listed_entries.insert(id.clone(), entries.collect());
        writers.extend(item.get("writer").map(|writer| (id, writer.as_s().unwrap().clone())));
    }
    let text = |mut item: HashMap<String, AttributeValue>| {
        item.remove("writer");
        if let Some(id) = artifact_id(&item).filter(|_| item.contains_key("found_by")) {
            let mut digests: Vec<_> = listed_entries[&id].iter().map(|(digest, _)| *digest).collect();
            digests.sort_unstable();
            item.insert("found_by".to_owned(), AttributeValue::B(Blob::new(digests.concat())));
        }
        let id = item.get("image_digest").and_then(|key| key.as_s().unwrap().strip_prefix("id:"));
        let entry = item["entry"].as_s().unwrap();
        let is_listed = |is_listed: bool| if is_listed { "listed" } else { "left behind" };
        let shown = match (id, EntryName::parse(entry), &entry.split('#').collect::<Vec<_>>()[..]) {
            (Some(id), Some(name), _) => {
                let entries = listed_entries.get(id).map_or(&[][..], Vec::as_slice);
                let is = is_listed(entries.contains(&(name.digest, name.nonce)));
                Some(format!("found-by#{:?}, {is}", name.digest))
            }
            (Some(id), None, ["part", nonce, number]) => {
                let is = is_listed(writers.get(id).is_some_and(|writer| writer == nonce));
                Some(format!("part {number}, {is}"))
            }
            _ => None,
        };
        item.extend(shown.map(|shown| ("entry".to_owned(), AttributeValue::S(shown))));
        let mut attributes: Vec<_> = item.into_iter().map(|entry| format!("{entry:?}")).collect();
        attributes.sort();
        attributes.join(" ")
    };
    // A last deploy says where to look, and is never older than the newest deploy there that an artifact lists. One
    // whose artifact dropped that deploy, or that was written before a commit that was given up, stays as it is, and
    // is shown as the newest that is listed; where none is, it leads to nothing, and is not shown.
    let mut newest = HashMap::<_, String>::new();
    for item in &items {
        let id = item.get("image_digest").and_then(|key| key.as_s().unwrap().strip_prefix(ID_PREFIX));
        let name = EntryName::parse(item["entry"].as_s().unwrap());
        let is_listed = id.zip(name).is_some_and(|(id, name)| {
            listed_entries.get(id).is_some_and(|listed| listed.contains(&(name.digest, name.nonce)))
        });
        if let (true, Some(found_by)) = (is_listed, item.get("image")) {
            let position = item["position"].as_s().unwrap();
            let newest = newest.entry(found_by.as_s().unwrap().clone()).or_default();
            *newest = newest.clone().max(position.clone());
        }
    }
    let leads_on = |mut item: HashMap<String, AttributeValue>| {
        let key = item.get("image_digest").map(|key| key.as_s().unwrap().clone()).unwrap_or_default();
        let Some(env_name) = key.strip_prefix(ENVIRONMENT_PREFIX) else { return Some(item) };
        let of = |name: &str| item.get(name).map(|text| text.as_s().unwrap().as_str()).unwrap_or_default();
        let found_by = FoundBy::environment(of("repository"), env_name, of("namespace"));
        let newest = newest.get(found_by.as_str())?;
        if newest.as_str() <= of("position") {
            item.insert("position".to_owned(), AttributeValue::S(newest.clone()));
        }
        Some(item)
    };
    let items = items.into_iter().filter(|item| !item.contains_key("gave_way_to")).filter_map(leads_on);
    let mut items: Vec<_> = items.map(text).collect();
    items.sort();
    items
}

const TRANSACTION_WRITES: &str = "DYNAMODB_TRANSACTION_WRITES";

fn transaction_writes() -> Option<String> {
    std::env::var(TRANSACTION_WRITES).ok()
}

/// Everything that `serve` loads, one record a line.
pub const SAMPLES: &str = concat!(
    include_str!("../../samples/reference-release.json"),
    include_str!("../../samples/reference-artifact.json"),
    include_str!("../../samples/releases.jsonl"),
    include_str!("../../samples/artifacts.jsonl"),
);

#[derive(Default)]
struct Refusals(Mutex<Vec<String>>);

impl Progress for Refusals {
    fn refused(&self, place: &str, reason: &str) {
        self.0.lock().unwrap().push(format!("{place}: {reason}"));
    }

    fn done(&self, _records: u64) {}
}

/// An HTTP API's event.
pub fn get_event(endpoint: Endpoint, query: &str, headers: &[(&str, &str)]) -> Value {
    let headers: HashMap<_, _> = headers.iter().copied().collect();
    json!({
        "version": "2.0",
        "rawPath": endpoint.path(),
        "rawQueryString": query,
        "headers": headers,
        "requestContext": { "stage": "$default", "http": { "method": "GET" } },
    })
}

/// A Lambda response, as the caller gets it from API Gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub headers: HashMap<String, String>,
    /// Decoded from base64 and gzip.
    pub body: String,
    /// The length of the Lambda response JSON.
    pub json_length: usize,
}

impl Answer {
    pub fn from_lambda_json(json: &str) -> Self {
        let response: Value = serde_json::from_str(json).unwrap();
        let headers =
            ["headers", "multiValueHeaders"].into_iter().filter_map(|name| response[name].as_object());
        let headers: HashMap<_, _> = headers
            .flatten()
            .map(|(name, value)| {
                let text = value.as_str().or_else(|| value[0].as_str()).unwrap();
                (name.to_ascii_lowercase(), text.to_owned())
            })
            .collect();
        let body = response["body"].as_str().unwrap();
        let bytes = if response["isBase64Encoded"].as_bool().unwrap() {
            base64_simd::STANDARD.decode_to_vec(body).unwrap()
        } else {
            body.as_bytes().to_vec()
        };
        let body = match headers.get("content-encoding").map(String::as_str) {
            // An answer to a HEAD.
            Some("gzip") if bytes.is_empty() => String::new(),
            Some("gzip") => gunzip(&bytes),
            Some(other) => panic!("Content-Encoding {other}"),
            None => String::from_utf8(bytes).unwrap(),
        };
        let status = u16::try_from(response["statusCode"].as_u64().unwrap()).unwrap();
        Self { status, headers, body, json_length: json.trim_end().len() }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(&name.to_ascii_lowercase()).map(String::as_str)
    }

    /// The ids of the releases in the answer.
    pub fn release_ids(&self) -> Vec<String> {
        assert_eq!(self.status, 200, "{}", self.body);
        let releases = self.json();
        let id = |release: &Value| release["versionInfo"]["id"].as_str().unwrap().to_owned();
        releases.as_array().unwrap().iter().map(id).collect()
    }

    /// An error's description.
    pub fn description(&self) -> String {
        self.json()["description"].as_str().unwrap().to_owned()
    }

    /// The query that `Link: rel="next"` refers to.
    pub fn next_query(&self) -> Option<String> {
        let link = self.header("Link")?;
        Some(
            link.strip_prefix("<?").and_then(|rest| rest.strip_suffix(">; rel=\"next\"")).unwrap().to_owned(),
        )
    }
}

/// Numbers that look random, and are the same for the same seed (splitmix64).
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    pub fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    pub fn one_of<'a>(&mut self, texts: &[&'a str]) -> &'a str {
        texts[usize::try_from(self.below(texts.len() as u64)).unwrap()]
    }

    pub fn some_below(&mut self, bound: u64) -> Vec<u64> {
        (0..bound).filter(|_| self.one_in(2)).collect()
    }
}

/// The number in an environment variable, which says how long a random test runs, or which seed it has.
pub fn number_of(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |number| number.parse().unwrap())
}

/// Inflates a gzip member, behind which there must be nothing.
pub fn gunzip(gzip: &[u8]) -> String {
    let mut text = String::new();
    let mut decoder = flate2::bufread::GzDecoder::new(gzip);
    decoder.read_to_string(&mut text).unwrap();
    let mut behind = Vec::new();
    decoder.into_inner().read_to_end(&mut behind).unwrap();
    assert!(behind.is_empty(), "bytes behind the gzip member");
    text
}

/// Records, one a line.
pub fn lines<'a>(records: impl IntoIterator<Item = &'a Value>) -> String {
    records.into_iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// What Kubernetes and container engines put in front of an image.
pub const SCHEMES: [&str; 4] = ["", "docker-pullable://", "docker://", "oci://"];

/// What is left of a name on Docker Hub when everything is taken off that may be left out.
pub fn hub(name: &str) -> &str {
    name.trim_start_matches("index.").trim_start_matches("docker.io/").trim_start_matches("library/")
}

/// A release as Zadig's page shows one; tests change what matters to them.
pub fn release(id: &str, created_at: u64) -> Value {
    json!({
        "versionInfo": {
            "id": id, "version": format!("v-{id}"), "productName": "p", "workflowName": "w", "taskId": 1,
            "desc": "", "labels": [], "productEnvInfo": null, "createdBy": "admin",
            "created_at": created_at, "deleted_at": 0,
        },
        "buildInfo": [],
        "deployInfo": [deploy(id, "s")],
        "testInfo": [], "distributeInfo": [], "securityStatsInfo": [],
    })
}

/// A release in few lists, for histories that are only long.
pub fn release_in_few_lists(id: &str, created_at: u64) -> Value {
    let mut record = release(id, created_at);
    record["versionInfo"]["workflowName"] = json!("");
    record["versionInfo"]["taskId"] = json!(0);
    record["deployInfo"] = json!([]);
    record
}

/// A deploy of a release.
pub fn deploy(release_id: &str, service: &str) -> Value {
    json!({
        "id": format!("{release_id}-{service}"), "releaseId": release_id, "serviceName": service,
        "containerName": "", "image": format!("registry.example.com/{service}:1"), "registry_id": "r",
        "yamlContents": [], "envs": [], "orderedServices": [], "start_time": 1, "end_time": 2,
        "created_at": 3, "deleted_at": 0,
    })
}

/// An artifact as Zadig's page shows one.
pub fn artifact(id: &str, image: &str, digest: &str, created_time: u64) -> Value {
    json!({
        "id": id, "name": "n", "type": "image", "source": "workflow", "image": image, "image_tag": "t",
        "image_digest": digest, "created_by": "ci", "created_time": created_time, "activities": [],
    })
}

/// Text that deflate cannot shorten.
pub fn incompressible(bytes: usize, seed: u64) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-";
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut letter = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(LETTERS[(state >> 20) as usize % 64])
    };
    (0..bytes).map(|_| letter()).collect()
}
