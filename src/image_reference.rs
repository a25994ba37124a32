//! What the parameter `image` may name: an image as it was pushed, or a digest.

use std::fmt;

/// The value of the parameter `image`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageReference {
    /// `registry/repo/name:tag`, as it was pushed.
    Pushed(String),
    /// A digest, and the repository where one was given, too.
    Digest {
        /// The content's digest.
        digest: ImageDigest,
        /// Registry, port and name; without a tag.
        repository: Option<String>,
    },
}

/// An OCI content digest of one of the two registered algorithms, `sha256:` or `sha512:` and lower-case hex
/// digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageDigest(String);

impl ImageReference {
    /// Reads the `image` parameter.
    ///
    /// # Errors
    /// The digest, where it has another form than OCI's.
    pub fn parse(image: &str) -> Result<Self, String> {
        let image = without_scheme(image);
        if let Some((name, digest)) = image.split_once('@') {
            let digest = ImageDigest::parse(digest).ok_or_else(|| digest.to_owned())?;
            return Ok(Self::Digest { digest, repository: Some(repository(name).to_owned()) });
        }
        if image.starts_with("sha256:") || image.starts_with("sha512:") {
            let digest = ImageDigest::parse(image).ok_or_else(|| image.to_owned())?;
            return Ok(Self::Digest { digest, repository: None });
        }
        Ok(Self::Pushed(image.to_owned()))
    }
}

impl ImageDigest {
    /// Reads a digest; `None` where the text has another form.
    pub fn parse(digest: &str) -> Option<Self> {
        let (algorithm, hex) = digest.split_once(':')?;
        let digits = match algorithm {
            "sha256" => 64,
            "sha512" => 128,
            _ => return None,
        };
        let is_hex = hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (hex.len() == digits && is_hex).then(|| Self(digest.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ImageDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// An image's repository: its registry, port and name, which stand before the tag or the digest.
pub fn repository(image: &str) -> &str {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    let last_component = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[last_component..].find(':') {
        Some(colon) => &name[..last_component + colon],
        None => name,
    }
}

/// An image as a person pastes it, without the scheme that Kubernetes or a container engine puts in front.
pub fn without_scheme(image: &str) -> &str {
    let schemes = ["docker-pullable://", "docker://", "oci://"];
    schemes.iter().find_map(|scheme| image.strip_prefix(scheme)).unwrap_or(image)
}

/// The name under which an image, or a repository, is found: every key that holds one holds this. Names that
/// mean the same to container engines meet here, whatever is stored and answered: Docker Hub's have neither
/// its host nor `library/`, and of `name:tag@digest` the tag counts.
pub fn found_under(image: &str) -> &str {
    let hosts = ["docker.io/", "index.docker.io/"];
    let name = hosts.iter().find_map(|host| image.strip_prefix(host)).unwrap_or(image);
    let name = name.strip_prefix("library/").filter(|name| !name.contains('/')).unwrap_or(name);
    match name.split_once('@') {
        Some((tagged, digest)) if repository(tagged) != tagged && ImageDigest::parse(digest).is_some() => {
            tagged
        }
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA256: &str = "sha256:1d9ddf94feb5ff9ca9d76248ad51dd2a95210895d0dbf1e87bd66cc471c41f0e";

    #[test]
    fn an_image_without_a_digest_is_looked_up_as_it_was_pushed() {
        for image in ["registry.example.com:5000/a/b:1.0", "b", "sha-1:x", "a/sha256:latest"] {
            assert_eq!(ImageReference::parse(image).unwrap(), ImageReference::Pushed(image.to_owned()));
        }
    }

    #[test]
    fn names_that_mean_the_same_are_found_under_one() {
        for (image, name) in [
            ("docker.io/acme/x:1", "acme/x:1"),
            ("index.docker.io/acme/x", "acme/x"),
            ("docker.io/library/nginx:1", "nginx:1"),
            ("library/nginx", "nginx"),
            ("nginx:1", "nginx:1"),
            ("library/acme/x", "library/acme/x"),
            ("docker.io.example.com/acme/x", "docker.io.example.com/acme/x"),
            ("reg.example.com/library/nginx", "reg.example.com/library/nginx"),
            ("localhost:5000/docker.io/x", "localhost:5000/docker.io/x"),
            (&format!("docker.io/acme/x:1@{SHA256}"), "acme/x:1"),
            (&format!("docker.io/acme/x@{SHA256}"), &format!("acme/x@{SHA256}")),
            ("x:1@y", "x:1@y"),
            ("", ""),
        ] {
            assert_eq!(found_under(image), name, "{image}");
            assert_eq!(found_under(name), name);
        }
    }

    #[test]
    fn a_scheme_in_front_of_what_is_asked_is_dropped() {
        for image in ["docker-pullable://a/b:1", "docker://a/b:1", "oci://a/b:1"] {
            assert_eq!(ImageReference::parse(image).unwrap(), ImageReference::Pushed("a/b:1".to_owned()));
        }
        let digest = ImageReference::parse(&format!("docker-pullable://a/b@{SHA256}")).unwrap();
        assert!(matches!(digest, ImageReference::Digest { repository: Some(name), .. } if name == "a/b"));
    }

    #[test]
    fn an_image_with_a_digest_is_looked_up_by_it_and_its_tag_is_ignored() {
        let digest = ImageDigest::parse(SHA256).unwrap();
        for (image, repository) in [
            (SHA256.to_owned(), None),
            (format!("a/b@{SHA256}"), Some("a/b")),
            (format!("localhost:5000/b@{SHA256}"), Some("localhost:5000/b")),
            (format!("localhost:5000/b:1.0@{SHA256}"), Some("localhost:5000/b")),
            (format!("b:1.0@{SHA256}"), Some("b")),
        ] {
            let repository = repository.map(str::to_owned);
            let expected = ImageReference::Digest { digest: digest.clone(), repository };
            assert_eq!(ImageReference::parse(&image).unwrap(), expected, "{image}");
        }
        let sha512 = format!("sha512:{}", "0123456789abcdef".repeat(8));
        assert!(matches!(ImageReference::parse(&sha512), Ok(ImageReference::Digest { .. })));
    }

    #[test]
    fn a_digest_of_another_form_is_refused() {
        let upper = SHA256.to_uppercase().replace("SHA", "sha");
        for digest in ["sha256:", "sha256:latest", "sha512:00", "a@sha256", "a@", "a@md5:00", &upper] {
            assert!(ImageReference::parse(digest).is_err(), "{digest}");
        }
        assert!(ImageReference::parse(&format!("a@{SHA256}@{SHA256}")).is_err());
        assert!(ImageReference::parse(&format!("{SHA256}0")).is_err());
    }
}
