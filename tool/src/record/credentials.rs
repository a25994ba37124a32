//! Takes the credentials of code hosts out of builds and activities, however deep in them they are.

use crate::json::{Json, Members};

/// The field whose value is replaced by `""`. It is not removed, since Zadig's commits always have it.
const BLANKED: &str = "oauth_token";

/// The fields that are removed.
const REMOVED: [&str; 4] = ["password", "username", "ssh_key", "private_access_token"];

/// Takes the credentials out of a build, an activity, or any other object, and tells how many of them were
/// not empty.
pub(crate) fn drop_credentials(members: &mut Members<'_>) -> usize {
    let mut dropped = 0;
    members.retain(|name, value| {
        let is_removed = REMOVED.contains(&name.as_ref());
        if is_removed || name == BLANKED {
            dropped += usize::from(!matches!(value, Json::Null) && value.as_text() != Some(""));
            *value = Json::text("");
        } else {
            dropped += drop_below(value);
        }
        !is_removed
    });
    dropped
}

fn drop_below(value: &mut Json<'_>) -> usize {
    match value {
        Json::Object(members) => drop_credentials(members),
        Json::List(elements) => elements.iter_mut().map(drop_below).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::to_text;

    fn dropped(commits: &str) -> (String, usize) {
        let mut build = Members::from_iter([("commits".into(), Json::read_text(commits).unwrap())]);
        let dropped = drop_credentials(&mut build);
        (to_text(&build["commits"]), dropped)
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
        assert_eq!(dropped(r#"[{"password":"","password":"x"}]"#), ("[{}]".to_owned(), 1));
    }

    #[test]
    fn a_value_that_mentions_a_credential_stays() {
        let commit = r#"[{"message":"rotate the password","n":1e2}]"#;
        assert_eq!(dropped(commit), (commit.to_owned(), 0));
    }
}
