//! Records as they come in: files of records, and Zadig's own, as its database and its server hold them. In reading order:
//!
//! - [`splitting`]: one record after another out of JSON text;
//! - [`stored`]: one document of the database, out of BSON or Extended JSON;
//! - [`collection`]: which collections there are, and what their fields are called in the reference page's JSON;
//! - [`files`]: the collections' files in a dump or an export;
//! - [`join`]: children to their release, activities to their artifact, however many there are;
//! - [`server`]: a running Zadig's two lists.

pub mod collection;
pub mod files;
pub mod join;
pub mod server;
pub mod splitting;
pub mod stored;
