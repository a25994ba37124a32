//! Zadig's two delivery-centre endpoints over DynamoDB. In reading order:
//!
//! - [`endpoint`]: the two endpoints' names and paths;
//! - [`service`], [`time_limit`]: one HTTP request in, one HTTP response out: routing, panics, how long a
//!   request may take, and what is logged of it;
//! - [`list_releases`], [`get_artifact`]: what each endpoint does: parse, find, answer;
//! - [`query`], [`request`], [`accept_encoding`]: what a caller may ask for, and in which coding the answer
//!   may be;
//! - [`response`], [`etag`], [`response_limit`]: the responses and their headers, and the 6 MiB rule;
//! - [`error`]: what can go wrong with a request, and what the caller then reads;
//! - [`store`]: the two tables: keys and items, and how they are read;
//! - [`unavailability`], [`retries`], [`connections`]: which failures of a call pass, what is tried again, how
//!   long, and why, and over which connections;
//! - [`document`], [`gzip_splice`]: how a record's JSON is compressed, and how a gzip answer is made of such
//!   documents;
//! - [`image_reference`], [`commit_prefix`], [`position`]: how images and commits are named, and how records
//!   are ordered;
//! - [`lambda`]: what makes a Lambda function of it: events, the process, the line that is logged of each
//!   request.
//!
//! Nothing here writes to the tables: that is for the tool's crate, in `tool/`.

pub mod accept_encoding;
pub mod commit_prefix;
pub mod connections;
pub mod document;
pub mod endpoint;
pub mod error;
pub mod etag;
pub mod get_artifact;
pub mod gzip_splice;
pub mod image_reference;
pub mod lambda;
pub mod list_releases;
pub mod position;
pub mod query;
pub mod request;
pub mod response;
pub mod response_limit;
pub mod retries;
pub mod service;
pub mod store;
pub mod time_limit;
pub mod unavailability;
