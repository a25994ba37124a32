//! Reads the file that `docker buildx build --metadata-file` writes.

use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::commands::json_file;

/// What is read from the file.
#[derive(Default)]
pub(super) struct BuildMetadata {
    pub(super) image: Option<String>,
    pub(super) digest: Option<String>,
    pub(super) os: Option<String>,
    pub(super) architecture: Option<String>,
}

impl BuildMetadata {
    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let wanted = "the file that `docker buildx build --metadata-file` writes";
        let metadata: Value = json_file::parse(file, &text, wanted)?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let Some(digest) = text(&metadata["containerimage.digest"]) else {
            bail!(
                "{} has no \"containerimage.digest\". A build that neither pushes nor loads makes no digest. \
                 `docker buildx bake` writes such an object for each target: give one of them (jq .TARGET)",
                file.display()
            );
        };
        if metadata["containerimage.config.digest"] == metadata["containerimage.digest"] {
            bail!(
                "{}: its \"containerimage.digest\" is the image's id, which no registry knows, since the image was loaded and \
                 not pushed. Give the file that `docker buildx build --push --metadata-file` writes, or instead of it --digest \
                 with the digest that the registry answers (docker buildx imagetools inspect IMAGE)",
                file.display()
            );
        }
        let platform = &metadata["containerimage.descriptor"]["platform"];
        Ok(Self {
            // If there are several tags, nothing says which one to record.
            image: text(&metadata["image.name"]).filter(|name| !name.is_empty() && !name.contains(',')),
            digest: Some(digest),
            os: text(&platform["os"]),
            architecture: text(&platform["architecture"]),
        })
    }
}
