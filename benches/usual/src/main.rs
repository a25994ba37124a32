//! A yardstick that does it the usual way: records are kept as native DynamoDB maps, and compressed anew for
//! each answer.

use std::io::Write as _;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use flate2::Compression;
use flate2::write::GzEncoder;
use lambda_http::{Body, Error, Request, RequestExt as _, Response, run, service_fn};
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names are Zadig's")]
struct Release {
    version_info: VersionInfo,
    build_info: Vec<Value>,
    deploy_info: Vec<Deploy>,
    test_info: Vec<Value>,
    distribute_info: Vec<Value>,
    security_stats_info: Vec<Value>,
}

#[derive(Serialize, Deserialize)]
struct VersionInfo {
    id: String,
    version: String,
    #[serde(rename = "productName")]
    product_name: String,
    #[serde(rename = "workflowName")]
    workflow_name: String,
    #[serde(rename = "taskId")]
    task_id: u64,
    desc: String,
    labels: Vec<String>,
    #[serde(rename = "productEnvInfo")]
    product_env_info: Option<Value>,
    created_by: String,
    created_at: u64,
    deleted_at: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Deploy {
    id: String,
    release_id: String,
    service_name: String,
    container_name: String,
    image: String,
    yaml_contents: Vec<String>,
    envs: Vec<String>,
    ordered_services: Vec<Vec<String>>,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let config = aws_config::load_from_env().await;
    let client = Client::new(&config);
    run(service_fn(|request: Request| {
        let client = client.clone();
        async move { answer(&client, &request).await }
    }))
    .await
}

async fn answer(client: &Client, request: &Request) -> Result<Response<Body>, Error> {
    let parameters = request.query_string_parameters();
    let json = match parameters.first("image") {
        Some(image) => serde_json::to_vec(&artifact(client, image).await?)?,
        None => serde_json::to_vec(&releases(client).await?)?,
    };
    let accepts_gzip = request
        .headers()
        .get("accept-encoding")
        .is_some_and(|value| value.to_str().is_ok_and(|value| value.contains("gzip")));
    let response = Response::builder().header("content-type", "application/json");
    if !accepts_gzip {
        return Ok(response.body(Body::Text(String::from_utf8(json)?))?);
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(&json)?;
    Ok(response.header("content-encoding", "gzip").body(Body::Binary(encoder.finish()?))?)
}

/// A page of 20, in as many queries as it takes, since DynamoDB answers at most 1 MB each time.
async fn releases(client: &Client) -> Result<Vec<Release>, Error> {
    let (mut items, mut start) = (Vec::new(), None);
    loop {
        let page = client
            .query()
            .table_name(std::env::var("USUAL_RELEASES_TABLE")?)
            .key_condition_expression("#list = :list")
            .expression_attribute_names("#list", "list")
            .expression_attribute_values(":list", AttributeValue::S("all".to_owned()))
            .scan_index_forward(false)
            .limit(20 - i32::try_from(items.len())?)
            .set_exclusive_start_key(start)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await?;
        items.extend(page.items.unwrap_or_default());
        start = page.last_evaluated_key;
        if start.is_none() || items.len() == 20 {
            return Ok(serde_dynamo::from_items(items)?);
        }
    }
}

async fn artifact(client: &Client, image: &str) -> Result<Option<Value>, Error> {
    let page = client
        .query()
        .table_name(std::env::var("USUAL_ARTIFACTS_TABLE")?)
        .key_condition_expression("#list = :list")
        .expression_attribute_names("#list", "list")
        .expression_attribute_values(":list", AttributeValue::S(image.to_owned()))
        .scan_index_forward(false)
        .limit(1)
        .return_consumed_capacity(ReturnConsumedCapacity::Total)
        .send()
        .await?;
    Ok(page.items.unwrap_or_default().into_iter().next().map(serde_dynamo::from_item).transpose()?)
}
