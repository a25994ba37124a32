//! The tool: it fills the tables, and serves both endpoints on a laptop. In reading order:
//!
//! - [`commands`]: the subcommands, a file each;
//! - [`table_definitions`]: both tables as `template.yaml` defines them, and how they are created;
//! - [`embedded`]: DynamoDB inside the process;
//! - [`input`]: records out of files, dumps and a running Zadig;
//! - [`import`]: records into the tables, or compared with them;
//! - [`facts`]: what pipelines record, into the tables;
//! - [`answers`]: what both endpoints answer, asked in this process, and what is read of it;
//! - [`patience`]: how long something is tried again.

pub mod answers;
pub mod commands;
pub mod embedded;
pub mod facts;
pub mod import;
pub mod input;
pub mod patience;
pub mod table_definitions;
