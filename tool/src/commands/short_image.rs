//! Images as people read them: without the registry that most of them are in.

use std::collections::BTreeMap;

use super::layout::{ASIDE, styled, wrapped};
use crate::answers::StoredText;

/// The registry that is not written before each image.
pub(super) struct CommonRegistry(Option<String>);

impl CommonRegistry {
    /// The registry that most of these images are in.
    ///
    /// There is none if one of the images names no registry: then the others must keep theirs, to be told
    /// from it.
    pub(super) fn of<'a>(images: impl IntoIterator<Item = &'a str>) -> Self {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for image in images.into_iter().filter(|image| !image.is_empty()) {
            match registry(image) {
                Some(registry) => *counts.entry(registry).or_default() += 1,
                None => return Self(None),
            }
        }
        Self(counts.into_iter().max_by_key(|(_, count)| *count).map(|(registry, _)| registry.to_owned()))
    }

    /// An image without it.
    pub(super) fn shorten<'a>(&self, image: &'a str) -> &'a str {
        let rest =
            self.0.as_ref().and_then(|registry| image.strip_prefix(registry.as_str())?.strip_prefix('/'));
        rest.unwrap_or(image)
    }

    /// What names the registry for the reader: an empty line and a sentence; nothing where there is none.
    pub(super) fn remark(&self, width: Option<u16>) -> String {
        let Some(name) = &self.0 else { return String::new() };
        let remark = format!("Images without a registry are in {}.", StoredText::from(name.as_str()));
        let lines = wrapped(&remark, width).into_iter().map(|line| format!("{}\n", styled(ASIDE, line)));
        format!("\n{}", lines.collect::<String>())
    }
}

/// The host before the first slash; what has neither a dot nor a port is no host, as container engines have
/// it.
pub(super) fn registry(image: &str) -> Option<&str> {
    let (host, _) = image.split_once('/')?;
    (host.contains(['.', ':']) || host == "localhost").then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_of_most_images_is_left_out() {
        let common = CommonRegistry::of([
            "r.example.com/a/b:1",
            "r.example.com/c:2",
            "r.example.com:5000/redis:6",
            "",
        ]);
        assert!(common.remark(None).contains("are in r.example.com."));
        assert_eq!(common.shorten("r.example.com/a/b:1"), "a/b:1");
        assert_eq!(common.shorten("r.example.com:5000/redis:6"), "r.example.com:5000/redis:6");
    }

    #[test]
    fn nothing_is_left_out_beside_an_image_without_a_registry() {
        for other in ["nginx:1.25", "library/nginx:1.25"] {
            let common = CommonRegistry::of(["r.example.com/a/b:1", other]);
            assert_eq!(common.remark(None), "");
            assert_eq!(common.shorten("r.example.com/a/b:1"), "r.example.com/a/b:1");
        }
    }
}
