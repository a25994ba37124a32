//! What the command line does. In reading order:
//!
//! - [`embedded`]: DynamoDB inside the process;
//! - [`table_definitions`]: the tables' definitions, read from `template.yaml`;
//! - [`http`]: both endpoints over plain HTTP;
//! - [`input`]: records out of files, dumps and a running Zadig;
//! - [`import`]: records into the tables, or compared with them;
//! - [`facts`]: facts from pipelines into the tables;
//! - [`patience`]: how long facts and reindexing go on trying;
//! - [`export`]: the tables as records again;
//! - [`reindex`]: facet entries, worked out anew.

pub mod embedded;
pub mod export;
pub mod facts;
pub mod http;
pub mod import;
pub mod input;
pub mod patience;
pub mod reindex;
pub mod table_definitions;
