//! What makes a Lambda function of the service.
//!
//! - [`event`]: how a Lambda event becomes a request, and a response becomes Lambda's JSON;
//! - [`request_log`]: the line that a function logs of each request, with its metrics;
//! - [`function`]: the process and its DynamoDB client.

pub mod event;
pub mod function;
pub mod request_log;
