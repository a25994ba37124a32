//! The tool: it fills the tables, and serves both endpoints on a laptop. In reading order:
//!
//! - [`commands`] has the subcommands, a file each;
//! - [`table_definitions`] reads both tables from `template.yaml`, and creates them;
//! - [`embedded`] runs a DynamoDB inside the process;
//! - `json` is a tree of JSON, which every record becomes on its way in;
//! - [`record`] checks a record, and brings it to the JSON that is answered;
//! - [`write`](mod@write) writes records into the tables;
//! - [`https`] asks a running Zadig and a deployed API over HTTP;
//! - [`input`] reads records from files, dumps and a running Zadig;
//! - [`import`] stores these records in the tables, or compares them with what is stored;
//! - [`facts`] stores what pipelines record;
//! - [`answers`] asks both endpoints, in this process or of a deployed API, and reads their answers;
//! - [`page`] serves the page that people look at, before the two endpoints;
//! - [`retries`] says what is tried again, how long, and why.

pub mod answers;
pub mod commands;
mod digest;
pub mod embedded;
pub mod facts;
pub mod https;
pub mod import;
pub mod input;
mod json;
pub mod page;
pub mod record;
pub mod retries;
pub mod table_definitions;
pub mod write;
