//! Zadig's two delivery-centre endpoints over DynamoDB. In reading order:
//!
//! - [`endpoint`]: the two endpoints' names and paths;
//! - [`service`]: one HTTP request in, one HTTP response out: routing, the time limit, panics, and what is logged of
//!   each request;
//! - [`list_releases`], [`get_artifact`]: what each endpoint does: parse, find, answer;
//! - [`request`], [`request_headers`]: what a caller may ask for, and in which coding the answer may be;
//! - [`response`], [`response_limit`]: the responses and their headers, and the 6 MiB rule;
//! - [`error`]: what can go wrong with a request, and what the caller then reads;
//! - [`store`]: the two tables: keys, reading, writing;
//! - [`document`]: how a record's JSON is compressed, and spliced into an answer;
//! - [`record`]: how an input record is checked and brought to the JSON that is answered;
//! - [`image_reference`], [`commit_prefix`], [`position`], [`digest`]: how images and commits are named, how records
//!   are ordered, and the short digests that stand for texts;
//! - [`lambda_edge`]: how a Lambda event becomes a request, and a response becomes Lambda's JSON;
//! - [`request_log`]: the line that a function logs of each request, with its metrics;
//! - [`function`]: the Lambda process around all of it.

pub mod commit_prefix;
pub mod digest;
pub mod document;
pub mod endpoint;
pub mod error;
pub mod function;
pub mod get_artifact;
pub mod image_reference;
pub mod lambda_edge;
pub mod list_releases;
pub mod position;
pub mod record;
pub mod request;
pub mod request_headers;
pub mod request_log;
pub mod response;
pub mod response_limit;
pub mod service;
pub mod store;
