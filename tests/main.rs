//! What a caller sees of the service: on an embedded DynamoDB, in this process and from the real binaries.
#![expect(clippy::unwrap_used, reason = "what a test cannot go on without fails it")]

mod agreement;
mod artifacts;
mod document_cache;
mod failures;
mod function;
mod fuzz;
mod lookups;
mod metrics;
mod openapi;
mod releases;
mod replay;
mod scale;
mod searches;
mod structure;
mod support;
mod writers;
