//! An image as a pipeline names it.

use std::fmt;

use delivery_center::image_reference::{ImageDigest, found_under, repository, without_scheme};

use super::outcome::{FactError, refused};
use super::reference_grammar::{check_name, check_tag};
use crate::record::Artifact;

/// An image as a pipeline names it: by a tag, by a digest, or by both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedImage {
    /// Registry, port and name; empty where a digest stands alone.
    pub(super) repository: String,
    pub(super) tag: Option<String>,
    pub(super) digest: Option<ImageDigest>,
}

impl NamedImage {
    /// Reads an image reference, and a digest that was given separately. There must be a tag or a digest. The
    /// scheme that Kubernetes or a container engine puts in front is dropped.
    ///
    /// # Errors
    /// [`FactError::Refused`], which says what is wrong but does not quote the text: one that is no image may
    /// hold a password.
    pub fn parse(image: &str, digest: Option<&str>) -> Result<Self, FactError> {
        let named = Self::parse_any(image, digest)?;
        if named.tag.is_none() && named.digest.is_none() {
            return Err(wrong("has neither a tag nor a digest"));
        }
        Ok(named)
    }

    /// Reads the same, or a repository alone, which stands for all of its images.
    ///
    /// # Errors
    /// As above.
    pub fn parse_any(image: &str, digest: Option<&str>) -> Result<Self, FactError> {
        let image = without_scheme(image);
        let given_digest = digest.map(parse_digest).transpose()?;
        let is_digest_alone = ["sha256:", "sha512:"]
            .iter()
            .any(|start| image.get(..7).is_some_and(|own| own.eq_ignore_ascii_case(start)));
        let (name, own_digest) = match image.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None if is_digest_alone => ("", Some(image)),
            None => (image, None),
        };
        if image.is_empty() {
            return Err(wrong("is empty"));
        }
        let repository = repository(name).to_owned();
        let tag = name.get(repository.len() + 1..).filter(|_| name.len() > repository.len());
        if !(is_digest_alone && name.is_empty()) {
            check_name(&repository).map_err(wrong)?;
        }
        tag.map(check_tag).transpose().map_err(wrong)?;
        let own_digest = own_digest.map(parse_digest).transpose()?;
        let digest = match (own_digest, given_digest) {
            (Some(own), Some(other)) if own != other => {
                return Err(refused(format!(
                    "the image names the digest {own}, but {other} is given as its digest; give only one of them"
                )));
            }
            (own, other) => own.or(other),
        };
        Ok(Self { tag: tag.map(str::to_owned), repository, digest })
    }

    /// The image as it was pushed: with its tag, or, where it has none, with its digest.
    pub fn as_pushed(&self) -> String {
        match (&self.tag, &self.digest) {
            (Some(tag), _) => format!("{}:{tag}", self.repository),
            (None, Some(digest)) => format!("{}@{digest}", self.repository),
            (None, None) => self.repository.clone(),
        }
    }

    /// Whether an artifact is of this image: of its tag and its digest, as far as these are named.
    pub(super) fn is_of(&self, artifact: &Artifact) -> bool {
        let has_tag = || found_under(&artifact.image) == found_under(&self.as_pushed());
        let has_digest = |digest: &ImageDigest| {
            artifact.image_digest == digest.as_str()
                || artifact.image.split_once('@').is_some_and(|(_, own)| own == digest.as_str())
        };
        (self.tag.is_none() || has_tag()) && self.digest.as_ref().is_none_or(has_digest)
    }

    /// Whether it names a repository, and not a digest alone.
    pub fn has_repository(&self) -> bool {
        !self.repository.is_empty()
    }

    /// Registry, port and name; empty where a digest stands alone.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    pub(super) fn name(&self) -> &str {
        self.repository.rsplit('/').next().unwrap_or_default()
    }
}

fn wrong(reason: &str) -> FactError {
    refused(format!("the image {reason}: give REGISTRY/NAME:TAG as it was pushed, or NAME@DIGEST"))
}

/// # Errors
/// [`FactError::Refused`], which does not quote the text.
fn parse_digest(digest: &str) -> Result<ImageDigest, FactError> {
    ImageDigest::parse(digest).ok_or_else(|| {
        refused(
            "that is no digest: a digest is sha256: and 64 lower-case hex digits, or sha512: and 128, as the \
             registry answers it",
        )
    })
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
        assert!(NamedImage::parse(&format!("a@{DIGEST}"), Some("sha256:00")).is_err());
        assert!(NamedImage::parse(&format!("a@{DIGEST}"), Some(&DIGEST.replace('1', "2"))).is_err());
        for image in [
            "REG.example.com/a:1",
            "REG/a:1",
            "[::1]:5000/a:1",
            "localhost/a_b.c--d/e__f:_.-",
            "a_b.c/d:1",
            "a:1",
        ] {
            assert_eq!(NamedImage::parse(image, None).unwrap().as_pushed(), image);
        }
    }

    #[test]
    fn a_text_that_is_no_image_is_refused_with_the_reason_and_not_quoted() {
        let upper_case = DIGEST.to_uppercase();
        for (image, expected) in [
            ("", "is empty"),
            (":", "has no name"),
            (":1", "has no name"),
            ("reg/app:", "has an empty tag"),
            ("reg/app", "neither a tag nor a digest"),
            ("reg/app@", "is no digest"),
            ("/x:1", "begins with a slash"),
            ("../x:1", "no registry takes"),
            ("reg//x:1", "nothing between two slashes"),
            ("reg/x/:1", "nothing between two slashes, or behind the last one"),
            ("reg/x:t:t", "two colons"),
            ("reg:t/x:1", "no HOST:PORT"),
            ("reg/x:$(id)", "a tag that no registry takes"),
            ("reg/x:.1", "a tag that no registry takes"),
            ("reg/UPPER:1", "upper-case"),
            ("UPPER:1", "upper-case"),
            ("a b:1", "no registry takes"),
            ("sha256:00", "is no digest"),
            (&upper_case, "is no digest"),
            (&format!("reg/x@{upper_case}"), "is no digest"),
            (&format!("@{DIGEST}"), "has no name"),
            ("a@md5:1", "is no digest"),
            ("https://reg.example.com/x:1", "is a URL"),
            ("user:secret@reg.example.com/x:1", "is no digest"),
        ] {
            let said = NamedImage::parse(image, None).expect_err(image).to_string();
            assert!(said.contains(expected) && !said.contains("secret"), "{image}: {said}");
        }
    }
}
