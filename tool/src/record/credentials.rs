//! Takes the credentials of code hosts out of builds and activities, however deep in them they are.

use std::borrow::Cow;

use super::json_text::{elements, pairs, push_separator};
use super::problem::{Path, Problem};

/// The field whose value is replaced by `""`. It is not removed, since Zadig's commits always have it.
const BLANKED: &str = "oauth_token";

/// The fields that are removed.
const REMOVED: [&str; 4] = ["password", "username", "ssh_key", "private_access_token"];

/// Takes the credentials out of a build, an activity, or any other JSON text without white space between its tokens.
/// Returns the text, and how many of the credentials were not empty.
///
/// # Errors
/// The text cannot be read.
pub fn without_credentials(value: &str) -> Result<(Cow<'_, str>, usize), Problem> {
    let mut dropped = 0;
    let kept = drop_credentials(value, &mut dropped, &Path::ROOT)?;
    Ok((kept, dropped))
}

/// Does the same as [`without_credentials`] for a part of a record; the number is added to `dropped`.
pub(super) fn drop_credentials<'a>(
    value: &'a str,
    dropped: &mut usize,
    path: &Path<'_>,
) -> Result<Cow<'a, str>, Problem> {
    if !may_hold_credentials(value) {
        return Ok(Cow::Borrowed(value));
    }
    let mut out = String::with_capacity(value.len());
    copy(value, &mut out, dropped, path)?;
    Ok(Cow::Owned(out))
}

/// Looks quickly whether a text may hold credentials. An escape may be part of any key.
fn may_hold_credentials(value: &str) -> bool {
    value.contains("\\u") || value.contains(BLANKED) || REMOVED.iter().any(|key| value.contains(key))
}

/// Copies a value without the credentials in it. The recursion is bounded, since the nesting of a record is checked
/// before.
fn copy(value: &str, out: &mut String, dropped: &mut usize, path: &Path<'_>) -> Result<(), Problem> {
    match value.as_bytes().first() {
        Some(b'{') => copy_object(value, out, dropped, path),
        Some(b'[') => copy_list(value, out, dropped, path),
        _ => {
            out.push_str(value);
            Ok(())
        }
    }
}

fn copy_object(value: &str, out: &mut String, dropped: &mut usize, path: &Path<'_>) -> Result<(), Problem> {
    out.push('{');
    for pair in pairs(value, path)? {
        let is_blanked = pair.name == BLANKED;
        let is_credential = is_blanked || REMOVED.contains(&pair.name.as_ref());
        if is_credential && !matches!(pair.value, "\"\"" | "null") {
            *dropped += 1;
        }
        if is_credential && !is_blanked {
            continue;
        }
        push_separator(out);
        out.push_str(&pair.key);
        out.push(':');
        if is_blanked {
            out.push_str("\"\"");
        } else {
            copy(pair.value, out, dropped, &path.field(&pair.name))?;
        }
    }
    out.push('}');
    Ok(())
}

fn copy_list(value: &str, out: &mut String, dropped: &mut usize, path: &Path<'_>) -> Result<(), Problem> {
    out.push('[');
    for (index, element) in elements(value, path)?.into_iter().enumerate() {
        push_separator(out);
        copy(element, out, dropped, &path.index(index))?;
    }
    out.push(']');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dropped(value: &str) -> (String, usize) {
        let (kept, dropped) = without_credentials(value).unwrap();
        (kept.into_owned(), dropped)
    }

    #[test]
    fn four_keys_are_removed_and_the_token_is_blanked() {
        let commit = r#"[{"password":"a","repo":"r","username":"b","oauth_token":"c","ssh_key":"d","private_access_token":"e"}]"#;
        assert_eq!(dropped(commit), (r#"[{"repo":"r","oauth_token":""}]"#.to_owned(), 5));
    }

    #[test]
    fn credentials_are_found_at_any_depth_and_however_their_keys_are_escaped() {
        let commit = r#"[{"a":[{"b":{"pass\u0077ord":"x","c":[]}}]},{"password":{"deep":1}}]"#;
        assert_eq!(dropped(commit), (r#"[{"a":[{"b":{"c":[]}}]},{}]"#.to_owned(), 2));
    }

    #[test]
    fn empty_credentials_are_not_counted() {
        let commit = r#"[{"password":"","username":null,"oauth_token":null}]"#;
        assert_eq!(dropped(commit), (r#"[{"oauth_token":""}]"#.to_owned(), 0));
    }

    #[test]
    fn a_repeated_key_is_removed_every_time() {
        assert_eq!(dropped(r#"[{"password":"x","password":""}]"#), ("[{}]".to_owned(), 1));
    }

    #[test]
    fn a_value_that_mentions_a_credential_stays() {
        let commit = r#"[{"message":"rotate the password","n":1e2}]"#;
        assert_eq!(dropped(commit), (commit.to_owned(), 0));
    }
}
