//! Tests what the tool does on an embedded DynamoDB, through the library and through the real command line.
#![expect(clippy::unwrap_used, reason = "what a test cannot go on without fails it")]

mod artifact;
mod browser;
mod command_line;
mod commits_since;
mod costs;
mod damaged_sources;
mod deployed_api;
mod diff;
mod doctor;
mod environment;
mod export;
mod faults;
mod import;
mod import_speed;
mod numbers;
mod other_forms;
mod page;
mod pages;
mod permissions;
mod record;
mod record_and_import;
mod record_secrets;
mod releases;
mod running;
mod serve;
mod soak;
#[path = "../../tests/support/mod.rs"]
mod support;
mod values;
mod verify;
mod zadig;
mod zadig4;
mod zadig_collections;
mod zadig_server;
