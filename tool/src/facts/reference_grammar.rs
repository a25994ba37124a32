//! The grammar of image references, as OCI registries and <https://github.com/distribution/reference> define
//! it.
//!
//! ```text
//! name      = [host [":" port] "/"] component ["/" component]*
//! component = [a-z0-9]+ (separator [a-z0-9]+)*, separator = "." | "_" | "__" | "-"+
//! tag       = [A-Za-z0-9_] [A-Za-z0-9_.-]{0,127}
//! ```
//!
//! No error quotes the text, since it may be a URL with a password.

/// The length of the longest name, host included.
const MAX_NAME_BYTES: usize = 255;
const MAX_TAG_BYTES: usize = 128;

/// Checks the name, which stands in front of a tag or a digest.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("has no name in front of its tag or digest");
    }
    if name.len() > MAX_NAME_BYTES {
        return Err("has a name of more than 255 bytes");
    }
    if name.contains("://") {
        return Err("is a URL, but has to begin with the registry");
    }
    if name.starts_with('/') {
        return Err("begins with a slash (is the variable in front of it set?)");
    }
    if name.ends_with('/') || name.contains("//") {
        return Err("has nothing between two slashes, or behind the last one (is the variable there set?)");
    }
    let path = match name.split_once('/') {
        Some((first, rest)) if is_registry(first) => rest,
        Some((first, _)) if first.contains(':') => {
            return Err("has no HOST:PORT in front of its first slash");
        }
        _ => name,
    };
    if path.split('/').all(is_component) {
        return Ok(());
    }
    if path.contains(|letter: char| letter.is_ascii_uppercase()) {
        return Err("has upper-case letters in its name, and only a registry's host may have them");
    }
    Err(
        "has a name that no registry takes (between slashes it has lower-case letters and digits, separated by one dot, by \
         one or two underscores, or by dashes)",
    )
}

/// Checks a tag.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check_tag(tag: &str) -> Result<(), &'static str> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if tag.is_empty() {
        return Err("has an empty tag (is the variable behind the colon set?)");
    }
    if tag.len() > MAX_TAG_BYTES {
        return Err("has a tag of more than 128 characters");
    }
    if tag.contains(':') {
        return Err("has two colons behind its last slash");
    }
    let is_tag =
        is_word(tag.as_bytes()[0]) && tag.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'));
    if is_tag {
        return Ok(());
    }
    Err(
        "has a tag that no registry takes (it has letters, digits, underscores, dots and dashes, and does not begin with a \
         dot or a dash)",
    )
}

/// Whether the first component of a name is a registry. As docker does, this takes it for one if it has a
/// dot, a colon or an upper-case letter, or is `localhost`; otherwise the name has no registry, and this is
/// the beginning of its path.
fn is_registry(first: &str) -> bool {
    let (host, port) = first
        .rfind(':')
        .filter(|colon| !first[*colon..].contains(']'))
        .map_or((first, None), |colon| (&first[..colon], Some(&first[colon + 1..])));
    let is_port = port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match address {
        Some(address) => {
            !address.is_empty() && address.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':')
        }
        None => host.split('.').all(is_label),
    };
    let is_marked =
        first.contains(['.', ':', '[']) || first == "localhost" || first != first.to_ascii_lowercase();
    is_host && is_port && is_marked
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn is_component(component: &str) -> bool {
    let is_word = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let is_separator = |text: &str| matches!(text, "." | "_" | "__") || text.bytes().all(|byte| byte == b'-');
    component.starts_with(is_word)
        && component.ends_with(is_word)
        && component.split(is_word).all(is_separator)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COMPONENT: &str = "[a-z0-9]{1,4}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}";
    const PATH: &str = "[a-z0-9]{1,4}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}(/[a-z0-9]{1,4}((\\.|_|__|-{1,3})[a-z0-9]{1,4})?){0,2}";
    const HOST: &str = "(([a-zA-Z0-9][a-zA-Z0-9-]{0,3}[a-zA-Z0-9]\\.){1,2}[a-zA-Z0-9](:[0-9]{1,5})?|localhost|[A-Za-z]:[0-9]{1,5}\
                        |\\[[0-9a-f:]{1,9}\\](:[0-9]{1,5})?)";

    proptest! {
        #[test]
        fn every_name_of_the_grammar_is_taken(
            host in HOST, path in PATH,
        ) {
            prop_assert_eq!(check_name(&path), Ok(()));
            prop_assert_eq!(check_name(&format!("{host}/{path}")), Ok(()));
        }

        #[test]
        fn every_tag_of_the_grammar_is_taken(tag in "[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}") {
            prop_assert_eq!(check_tag(&tag), Ok(()));
        }

        #[test]
        fn a_name_with_a_foreign_character_is_refused(
            before in COMPONENT, foreign in "[^a-z0-9A-Z._:/-]|[^\\x00-\\x7f]", after in "[a-z0-9]{0,3}",
        ) {
            let (name, tag) = (format!("{before}{foreign}{after}"), format!("1{foreign}"));
            prop_assert_ne!(check_name(&format!("reg/{name}")), Ok(()));
            prop_assert_ne!(check_name(&format!("{name}/app")), Ok(()));
            prop_assert_ne!(check_tag(&tag), Ok(()));
        }

        #[test]
        fn a_name_that_begins_or_ends_with_a_separator_is_refused(name in COMPONENT, mark in "[._-]{1,3}") {
            prop_assert_ne!(check_name(&format!("reg/{mark}{name}")), Ok(()));
            prop_assert_ne!(check_name(&format!("reg/{name}{mark}")), Ok(()));
            prop_assert_ne!(check_name(&format!("reg/{name}._{name}")), Ok(()));
        }
    }

    #[test]
    fn lengths_are_bounded() {
        assert!(check_name(&"a".repeat(255)).is_ok() && check_name(&"a".repeat(256)).is_err());
        assert!(check_tag(&"a".repeat(128)).is_ok() && check_tag(&"a".repeat(129)).is_err());
    }
}
