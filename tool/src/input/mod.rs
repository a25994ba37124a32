//! Zadig's own records, as its database and its server hold them. In reading order:
//!
//! - [`stored`]: one document, out of BSON or Extended JSON;
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
