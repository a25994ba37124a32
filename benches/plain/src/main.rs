//! A yardstick that answers the newest releases, or the newest artifact of an image, with the calls that the
//! service makes and as little code as possible.
//!
//! `lambda_http` reads the events and writes the answers, and the SDK reads DynamoDB's. Only the documents
//! are the service's code.

use std::collections::HashMap;

use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnConsumedCapacity};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use delivery_center::document::Document;
use delivery_center::gzip_splice::GzipSplice;
use lambda_http::{Body, Error, Request, RequestExt as _, Response, run, service_fn};

type Item = HashMap<String, AttributeValue>;

/// The documents of one record, which follow each other in the answer.
type Record = Vec<Document>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let http_client =
        aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let config = aws_config::defaults(BehaviorVersion::latest()).http_client(http_client).load().await;
    let client = Client::new(&config);
    run(service_fn(|request: Request| {
        let client = client.clone();
        async move { answer(&client, &request).await }
    }))
    .await
}

async fn answer(client: &Client, request: &Request) -> Result<Response<Body>, Error> {
    let parameters = request.query_string_parameters();
    let (opening, records, closing) = match parameters.first("image") {
        Some(image) => ("", artifact(client, image).await?, ""),
        None => ("[", releases(client, parameters.first("per_page").unwrap_or("20").parse()?).await?, "]"),
    };
    let accepts_gzip = request
        .headers()
        .get("accept-encoding")
        .is_some_and(|value| value.to_str().is_ok_and(|value| value.contains("gzip")));
    let response = Response::builder().header("content-type", "application/json");
    if accepts_gzip {
        let gzip = gzip(opening, &records, closing);
        return Ok(response.header("content-encoding", "gzip").body(Body::Binary(gzip))?);
    }
    Ok(response.body(Body::Text(text(opening, &records, closing)?))?)
}

fn gzip(opening: &str, records: &[Record], closing: &str) -> Vec<u8> {
    let mut splice = GzipSplice::with_capacity(0);
    splice.text(opening);
    for (number, record) in records.iter().enumerate() {
        splice.text(if number == 0 { "" } else { "," });
        for document in record {
            splice.document(document);
        }
    }
    splice.text(closing);
    splice.finish()
}

fn text(opening: &str, records: &[Record], closing: &str) -> Result<String, Error> {
    let unpack = |record: &Record| record.iter().map(Document::unpack).collect::<Result<String, _>>();
    let texts = records.iter().map(unpack).collect::<Result<Vec<_>, _>>()?;
    Ok(format!("{opening}{}{closing}", texts.join(",")))
}

/// The newest releases: first their entries in the index, and then their documents.
async fn releases(client: &Client, per_page: usize) -> Result<Vec<Record>, Error> {
    let table = std::env::var("RELEASES_TABLE")?;
    let page = client
        .query()
        .table_name(&table)
        .index_name("by_facet")
        .key_condition_expression("facet = :facet")
        .expression_attribute_values(":facet", AttributeValue::S("all".to_owned()))
        .projection_expression("#position, revision, lengths")
        .expression_attribute_names("#position", "position")
        .scan_index_forward(false)
        // The service asks for one more, which shows whether there are more.
        .limit(i32::try_from(per_page)? + 1)
        .return_consumed_capacity(ReturnConsumedCapacity::Total)
        .send()
        .await?;
    let ids = page.items().iter().take(per_page).map(release_id).collect::<Result<Vec<_>, _>>()?;
    let key = |id: &&str| {
        Item::from([
            ("release_id".to_owned(), AttributeValue::S((*id).to_owned())),
            ("entry".to_owned(), AttributeValue::S("release".to_owned())),
        ])
    };
    let keys = KeysAndAttributes::builder()
        .set_keys(Some(ids.iter().map(key).collect()))
        .projection_expression("release_id, #entry, revision, brief, rest, document")
        .expression_attribute_names("#entry", "entry")
        .build()?;
    let found = client
        .batch_get_item()
        .request_items(&table, keys)
        .return_consumed_capacity(ReturnConsumedCapacity::Total)
        .send()
        .await?;
    let items = found.responses().and_then(|tables| tables.get(&table)).ok_or("no answer")?;
    let by_id: HashMap<_, _> =
        items.iter().filter_map(|item| Some((item.get("release_id")?.as_s().ok()?.as_str(), item))).collect();
    let record = |id| {
        let item = by_id.get(id).ok_or("a release is missing")?;
        Ok(vec![document(item, "brief")?, document(item, "rest")?])
    };
    ids.into_iter().map(record).collect()
}

/// The release's id, which is the part of its position after the time.
fn release_id(entry: &Item) -> Result<&str, Error> {
    let position = entry.get("position").and_then(|position| position.as_s().ok());
    Ok(position.and_then(|position| position.split_once('#')).ok_or("no position")?.1)
}

async fn artifact(client: &Client, image: &str) -> Result<Vec<Record>, Error> {
    let page = client
        .query()
        .table_name(std::env::var("ARTIFACTS_TABLE")?)
        .index_name("by_image")
        .key_condition_expression("image = :image")
        .expression_attribute_values(":image", AttributeValue::S(image.to_owned()))
        .projection_expression("image_digest, #entry, revision, document, parts")
        .expression_attribute_names("#entry", "entry")
        .scan_index_forward(false)
        .limit(1)
        .return_consumed_capacity(ReturnConsumedCapacity::Total)
        .send()
        .await?;
    let item = page.items().first().ok_or("no such artifact")?;
    Ok(vec![vec![document(item, "document")?]])
}

fn document(item: &Item, attribute: &str) -> Result<Document, Error> {
    let stored = item.get(attribute).and_then(|value| value.as_b().ok()).ok_or("a document is missing")?;
    Ok(Document::from_stored(stored.clone().into_inner())?)
}
