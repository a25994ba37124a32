//! Reads a file of JSON that somebody gives.

use std::path::Path;

use anyhow::Context as _;
use serde::de::DeserializeOwned;

use crate::input::dump_files::{refuse_other_texts, without_mark};

/// Reads what a file holds. `wanted` says which file to give.
///
/// # Errors
/// It is not JSON; the file is named.
pub(super) fn parse<T: DeserializeOwned>(file: &Path, content: &[u8], wanted: &str) -> anyhow::Result<T> {
    refuse_other_texts(file, content)?;
    serde_json::from_slice(without_mark(content))
        .with_context(|| format!("{} is not JSON; give {wanted}", file.display()))
}
