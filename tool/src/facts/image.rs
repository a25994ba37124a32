//! An image as a pipeline names it.

use std::fmt;

use delivery_center::image_reference::{ImageDigest, repository};

use super::outcome::{FactError, refused};

/// An image as a pipeline names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedImage {
    /// Registry, port and name; empty where a digest stands alone.
    pub(super) repository: String,
    pub(super) tag: Option<String>,
    pub(super) digest: Option<ImageDigest>,
}

impl NamedImage {
    /// Reads an image reference, and a digest that was given beside it.
    ///
    /// # Errors
    /// [`FactError::Refused`]: what is no image, no digest, or names two digests.
    pub fn parse(image: &str, digest: Option<&str>) -> Result<Self, FactError> {
        let is_digest_alone = image.starts_with("sha256:") || image.starts_with("sha512:");
        let (name, own_digest) = match image.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None if is_digest_alone => ("", Some(image)),
            None => (image, None),
        };
        if image.is_empty() || image.contains(char::is_whitespace) || (name.is_empty() && !is_digest_alone) {
            return Err(refused(format!("{image:?} is no image: give REGISTRY/NAME:TAG as it was pushed")));
        }
        let digest = match (own_digest, digest) {
            (Some(own), Some(other)) if own != other => {
                return Err(refused(format!(
                    "the image names the digest {own}, and beside it {other} is given"
                )));
            }
            (own, other) => own.or(other),
        };
        let parse = |digest| {
            ImageDigest::parse(digest).ok_or_else(|| {
                refused(format!("{digest:?} is no digest: it is sha256: and 64 lower-case hex digits, as the registry answers it"))
            })
        };
        let repository = repository(name).to_owned();
        let tag = name.get(repository.len() + 1..).map(str::to_owned).filter(|tag| !tag.is_empty());
        Ok(Self { repository, tag, digest: digest.map(parse).transpose()? })
    }

    /// The image as it was pushed: by its tag, or else by its digest.
    #[must_use]
    pub fn as_pushed(&self) -> String {
        match (&self.tag, &self.digest) {
            (Some(tag), _) => format!("{}:{tag}", self.repository),
            (None, Some(digest)) => format!("{}@{digest}", self.repository),
            (None, None) => self.repository.clone(),
        }
    }

    pub(super) fn name(&self) -> &str {
        self.repository.rsplit('/').next().unwrap_or_default()
    }
}

impl fmt::Display for NamedImage {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match (&self.tag, &self.digest) {
            (_, Some(digest)) if self.repository.is_empty() => write!(formatter, "{digest}"),
            (Some(_), Some(digest)) => write!(formatter, "{}@{digest}", self.as_pushed()),
            _ => formatter.write_str(&self.as_pushed()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:1d9ddf94feb5ff9ca9d76248ad51dd2a95210895d0dbf1e87bd66cc471c41f0e";

    #[test]
    fn an_image_is_read_with_its_tag_and_its_digest() {
        let image = NamedImage::parse(&format!("host:5000/a/b:1.0@{DIGEST}"), Some(DIGEST)).unwrap();
        assert_eq!(image.as_pushed(), "host:5000/a/b:1.0");
        assert_eq!(image.name(), "b");
        assert_eq!(image.to_string(), format!("host:5000/a/b:1.0@{DIGEST}"));
        assert_eq!(NamedImage::parse("a/b", Some(DIGEST)).unwrap().as_pushed(), format!("a/b@{DIGEST}"));
        assert_eq!(NamedImage::parse(DIGEST, None).unwrap().to_string(), DIGEST);
        for image in ["", "a b", "@sha256:00", &format!("@{DIGEST}"), "a@md5:1"] {
            assert!(NamedImage::parse(image, None).is_err(), "{image}");
        }
        assert!(NamedImage::parse(&format!("a@{DIGEST}"), Some("sha256:00")).is_err());
    }
}
