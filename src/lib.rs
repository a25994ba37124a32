//! Zadig's two delivery-centre endpoints over DynamoDB. In reading order:
//!
//! - [`invocation`]: one Lambda event in, one Lambda response out;
//! - [`list_releases`], [`get_artifact`]: the endpoints;
//! - [`event`], [`query`], [`response`]: what API Gateway, ALBs and Function URLs send and take;
//! - [`release_filter`], [`image_reference`], [`position`], [`strconv`]: what a caller may ask for;
//! - [`store`]: the two tables;
//! - [`dynamodb`], [`connections`], `backoff`: how they are read;
//! - [`document`], [`crc32`]: how a record is packed, and spliced into an answer;
//! - [`error`]: what can go wrong, and what the caller reads of it;
//! - [`lambda`], [`runtime_api`]: the process around it.
//!
//! With the feature `cli`, what the tool does beside serving them:
//!
//! - `record`, `json_records`: the reference page's JSON, read, checked and brought to the contract's form;
//! - `zadig`: Zadig's own records, out of its database or off its server;
//! - `import`: records into the tables, or compared with them;
//! - `recording`: facts from pipelines into the tables;
//! - `export`: the tables as records again;
//! - `reindex`: facet entries, worked out anew;
//! - `tables`: the tables' definitions, read from `template.yaml`;
//! - `embedded`: DynamoDB inside the process;
//! - `serve`: both endpoints over plain HTTP.

mod backoff;
pub mod connections;
pub mod crc32;
pub mod document;
pub mod dynamodb;
#[cfg(feature = "cli")]
pub mod embedded;
pub mod error;
pub mod event;
#[cfg(feature = "cli")]
pub mod export;
pub mod get_artifact;
pub mod image_reference;
#[cfg(feature = "cli")]
pub mod import;
pub mod invocation;
#[cfg(feature = "cli")]
pub mod json_records;
pub mod lambda;
pub mod list_releases;
pub mod position;
pub mod query;
#[cfg(feature = "cli")]
pub mod record;
#[cfg(feature = "cli")]
pub mod recording;
#[cfg(feature = "cli")]
pub mod reindex;
pub mod release_filter;
pub mod response;
pub mod runtime_api;
#[cfg(feature = "cli")]
pub mod serve;
pub mod store;
pub mod strconv;
#[cfg(feature = "cli")]
pub mod tables;
#[cfg(feature = "cli")]
pub mod zadig;
