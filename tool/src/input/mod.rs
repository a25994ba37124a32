//! Reads records: from files in the API's JSON, from dumps of Zadig's database, and from a running Zadig. In
//! reading order:
//!
//! - [`splitting`] takes JSON text apart into records, one after another;
//! - [`bson_documents`] reads one document of the database, written as BSON or as Extended JSON;
//! - [`zadig4`] makes a release of the documented JSON from one of Zadig 4 and later;
//! - [`zadig_collections`] knows which collections there are, and what their fields are called in the API's
//!   JSON;
//! - [`api_records`] reads one record of the API's JSON;
//! - [`dump_files`] finds the collections' files in a dump or an export, and reads their documents;
//! - [`join`] brings children to their release and activities to their artifact, however many there are;
//! - [`server`] reads the two lists of a running Zadig.

pub mod api_records;
pub mod bson_documents;
pub mod dump_files;
pub mod join;
pub mod server;
pub mod splitting;
pub mod zadig4;
pub mod zadig_collections;
