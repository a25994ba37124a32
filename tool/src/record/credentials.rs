//! Takes credentials out of records: those of code hosts out of builds and activities, however deep in them they
//! are, and the user info out of the URLs of every record.

use super::fields::{Fields, Kind};
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

/// Takes the user info out of the fields that are URLs, and tells how many of them had one.
pub(crate) fn drop_user_info(fields: &Fields, members: &mut Members<'_>) -> usize {
    let values = fields
        .all()
        .map(|field| members.get_mut(field.shown).map_or(0, |value| drop_user_info_of(&field.kind, value)));
    values.sum()
}

fn drop_user_info_of(kind: &Kind, value: &mut Json<'_>) -> usize {
    match (kind, value) {
        (Kind::Unchecked(kind), value) => drop_user_info_of(kind, value),
        (Kind::Object(fields), Json::Object(members)) => drop_user_info(fields, members),
        (Kind::List(element), Json::List(elements)) => {
            elements.iter_mut().map(|value| drop_user_info_of(element, value)).sum()
        }
        (Kind::Url, Json::Text(text)) => {
            let mut dropped = 0;
            // What is left may be a URL with user info, too. An answer that is imported stays as it is.
            while let Some(without) = without_user_info(text) {
                *text = without.into();
                dropped = 1;
            }
            dropped
        }
        _ => 0,
    }
}

/// A URL without its user info, and otherwise as it came; `None` where it has none.
///
/// - Behind `http:` and `https:` there may be any number of slashes, as browsers take them.
/// - Where the port is no number, the text is no URL, but a password with a `/`, `?` or `#` in it.
/// - A text without a scheme is taken for a URL only where it has a password: a file's key may have an `@`, and so
///   has a repository as scp writes it, such as `git@host:owner/name`.
fn without_user_info(text: &str) -> Option<String> {
    let is_of_web = |scheme: &str| ["http", "https"].iter().any(|known| known.eq_ignore_ascii_case(scheme));
    let (scheme, rest) = text.split_once(':').unwrap_or_default();
    let is_of_web = is_of_web(scheme.trim_start());
    let has_scheme = is_of_web || (rest.starts_with("//") && !scheme.contains(['/', '@', '?', '#']));
    let rest = if has_scheme { rest } else { text };
    let rest = if is_of_web {
        rest.trim_start_matches(['/', '\\'])
    } else {
        rest.strip_prefix("//").unwrap_or(rest)
    };
    let authority = &rest[..rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len())];
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let port = host.rsplit_once(':').map_or("", |(_, port)| port);
    let is_whole = !has_scheme || host.ends_with(']') || port.bytes().all(|byte| byte.is_ascii_digit());
    let (user_info, _) = if is_whole { authority } else { rest }.rsplit_once('@')?;
    let before = &text[..text.len() - rest.len()];
    (has_scheme || user_info.contains(':')).then(|| format!("{before}{}", &rest[user_info.len() + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::to_text;

    #[test]
    fn a_url_loses_its_user_info_and_nothing_else() {
        for (text, without) in [
            ("https://u:SECRET@host:8443/x?a=1#b", "https://host:8443/x?a=1#b"),
            ("https://SECRET@host", "https://host"),
            ("HTTPS://u:p@SECRET@Host/a b/../c", "HTTPS://Host/a b/../c"),
            ("https:u:SECRET@host/x", "https:host/x"),
            ("https:/u:SECRET@host/x", "https:/host/x"),
            ("https:\\\\u:SECRET@host\\x", "https:\\\\host\\x"),
            (" https://u:SECRET@host/x", " https://host/x"),
            ("//u:SECRET@host/x", "//host/x"),
            ("u:SECRET@host/x", "host/x"),
            ("ssh://git@host:22/o/n.git", "ssh://host:22/o/n.git"),
            ("s3://key:SECRET@bucket/a@1.tgz", "s3://bucket/a@1.tgz"),
            ("https://u:SECRET@host/?to=https://u:p@other", "https://host/?to=https://u:p@other"),
            ("https://@host", "https://host"),
            ("https://u:SEC/RET?@host:1/x?a", "https://host:1/x?a"),
            ("https://u@[::1]/x@y", "https://[::1]/x@y"),
            ("https://u:p@SEC:RET/x@host/y", "https://host/y"),
        ] {
            assert_eq!(without_user_info(text).as_deref(), Some(without), "{text}");
            assert_eq!(without_user_info(without), None, "{without}");
        }
        for text in [
            "",
            "@",
            "https://host",
            "https://host/@acme/shop?to=a@b#c@d",
            "https://host?u:p@x",
            "git@host:o/n.git",
            "acme/shop@1.2.tgz",
            "pkg@1:2.tgz",
            "/v1/projects/detail/zadig/u:p@host",
            "s3:bucket",
            "file:///srv@1/a.tgz",
            "https://host:8443/x@y",
            "https://[::1]:80/x@y",
        ] {
            assert_eq!(without_user_info(text), None, "{text}");
        }
    }

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
