//! Tests of the service as its callers see it: on an embedded DynamoDB, in this process and through the real
//! binaries.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod agreement;
mod artifacts;
mod connections;
mod document_cache;
mod events;
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
mod support;
mod writers;
