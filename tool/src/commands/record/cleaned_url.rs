//! Keeps of the URLs and repositories that a pipeline gives only what may be stored and printed: scheme,
//! host, web port and path. User info, query and fragment may hold a secret. Where it is not certain where
//! the host begins, the text is refused, and no error shows it.

use url::Url;

use crate::digest;

/// In a URL with one of these schemes there may be any number of slashes between the colon and the host, even
/// none (the URL standard).
const SCHEMES_WITHOUT_SLASHES: [&str; 6] = ["http", "https", "ws", "wss", "ftp", "file"];

/// Characters that no repository's path has. If one is left in it, the text was not understood.
const NOT_IN_A_PATH: [char; 8] = ['@', ':', ';', '=', '?', '#', '&', '\\'];

/// The error for a text that cannot be read as a URL or as a repository. It does not quote the text, which
/// may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{from} {reason}. It is not shown here, since it may hold a secret")]
pub(super) struct UnreadableUrl {
    from: &'static str,
    reason: &'static str,
}

/// What is kept of a URL or a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CleanedUrl {
    /// Scheme (where one was given), host, web port and path.
    pub(super) stored: String,
    /// A digest of the text as it was given. It tells facts apart whose URLs are stored alike.
    pub(super) digest: String,
}

/// A repository, and the server that hosts it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Repository {
    /// Such as `https://github.com`; empty where only the name is known.
    pub(super) address: String,
    pub(super) owner: String,
    pub(super) name: String,
}

/// Cleans a URL or a host. `from` names the argument or the variable that it came in.
///
/// # Errors
/// [`UnreadableUrl`].
pub(super) fn clean_url(from: &'static str, text: &str) -> Result<CleanedUrl, UnreadableUrl> {
    let text = text.trim();
    let has_scheme = scheme(text).is_some();
    let url = if has_scheme { parse(text) } else { parse(&with_scheme(text)) };
    let url = url.map_err(|reason| UnreadableUrl { from, reason })?;
    let scheme = if has_scheme { format!("{}://", url.scheme()) } else { String::new() };
    // What follows a ; in a path are parameters too.
    let path = url.path().split(';').next().filter(|path| *path != "/").unwrap_or_default();
    Ok(CleanedUrl { stored: format!("{scheme}{}{path}", host(&url)), digest: digest::of_texts(&[text]) })
}

/// Cleans the key of a file. The key is taken for a URL only if it has something in it that only a URL has.
///
/// # Errors
/// [`UnreadableUrl`].
pub(super) fn clean_file_key(from: &'static str, key: &str) -> Result<CleanedUrl, UnreadableUrl> {
    if key.contains("//") || key.contains(['@', '?', '#', ';']) {
        return clean_url(from, key);
    }
    Ok(CleanedUrl { stored: key.to_owned(), digest: digest::of_texts(&[key]) })
}

/// Cleans a repository: `OWNER/NAME`, a URL to clone from, also without its scheme, or `host:OWNER/NAME` as scp
/// writes it. Some hosts (Gerrit) have repositories without an owner. A first part is a host where it has a dot or
/// a port, or is `localhost`.
///
/// # Errors
/// [`UnreadableUrl`].
pub(super) fn clean_repository(from: &'static str, text: &str) -> Result<Repository, UnreadableUrl> {
    let is_host = |part: &str| {
        let port = part.rsplit_once(':').map(|(_, port)| port);
        let is_named = part == "localhost" || part.trim_matches('.').contains('.');
        let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        port.map_or(is_named, is_port) && !part.contains(['@', '?', '#'])
    };
    match text.trim().split_once('/') {
        Some((first, _)) if is_host(first) => clean_path_on_server(from, &with_scheme(text.trim())),
        _ => clean_path_on_server(from, text),
    }
}

/// Cleans what names a repository where its server is known: there, a group may have a dot in its name as a
/// host has.
///
/// # Errors
/// [`UnreadableUrl`].
pub(super) fn clean_path_on_server(from: &'static str, text: &str) -> Result<Repository, UnreadableUrl> {
    let unreadable = |reason| UnreadableUrl { from, reason };
    let text = text.trim();
    let url = if scheme(text).is_some() {
        text.to_owned()
    } else if text.starts_with("//") {
        with_scheme(text)
    } else {
        let (user_info, rest) = text.rsplit_once('@').unwrap_or(("", text));
        if user_info.contains(['?', '#']) {
            return Err(unreadable("has an @ after a ? or a #: in a password, write these as %3F and %23"));
        }
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        if !text.contains('@') && !rest.contains(':') {
            let (owner, name) = owner_and_name(rest).map_err(unreadable)?;
            return Ok(Repository { address: String::new(), owner, name });
        }
        with_scheme(&rest.replacen(':', "/", 1))
    };
    let url = parse(&url).map_err(unreadable)?;
    let path = url.path().strip_prefix('/').unwrap_or(url.path());
    let (owner, name) = owner_and_name(path).map_err(unreadable)?;
    let scheme = if url.scheme() == "http" { "http" } else { "https" };
    let address = if url.has_host() { format!("{scheme}://{}", host(&url)) } else { String::new() };
    Ok(Repository { address, owner, name })
}

/// The host, and its port where that is one of the web: the port of ssh says nothing to a browser.
fn host(url: &Url) -> String {
    let port = url.port().filter(|_| matches!(url.scheme(), "http" | "https"));
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}{port}", url.host_str().unwrap_or_default())
}

/// Reads the path of a repository. The last part is the name, and all others the owner. A name alone has no
/// slash before or after it, where an owner or a name that is an unset variable would have left one.
fn owner_and_name(path: &str) -> Result<(String, String), &'static str> {
    let trimmed = path.trim_matches('/');
    let trimmed = trimmed.strip_suffix(".git").unwrap_or(trimmed);
    let is_plain = trimmed.split('/').all(|part| !part.is_empty())
        && !trimmed.contains(NOT_IN_A_PATH)
        && !trimmed.contains(char::is_whitespace);
    let name_alone = Some(("", trimmed)).filter(|_| !path.contains('/'));
    let (owner, name) = trimmed
        .rsplit_once('/')
        .or(name_alone)
        .filter(|_| is_plain)
        .ok_or("is neither OWNER/NAME nor a URL to clone")?;
    Ok((owner.to_owned(), name.to_owned()))
}

/// The scheme of a text, and what follows its colon; `None` where there is no scheme, as in
/// `user:password@host`.
fn scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    let has_slash = rest.starts_with(['/', '\\']);
    (is_scheme && (has_slash || needs_no_slashes(scheme))).then_some((scheme, rest))
}

fn needs_no_slashes(scheme: &str) -> bool {
    SCHEMES_WITHOUT_SLASHES.iter().any(|known| known.eq_ignore_ascii_case(scheme))
}

fn with_scheme(text: &str) -> String {
    format!("https://{}", text.trim_start_matches(['/', '\\']))
}

/// Reads a URL that has a scheme. It is an error if it is not certain which part of the URL is the user info.
fn parse(text: &str) -> Result<Url, &'static str> {
    if text.contains(char::is_control) {
        return Err("has a control character in it");
    }
    let (scheme, rest) = scheme(text).ok_or("is no URL")?;
    if !needs_no_slashes(scheme) && !rest.starts_with("//") {
        return Err("is no URL: after the scheme's colon come two slashes");
    }
    let rest = rest.trim_start_matches(['/', '\\']);
    let (authority, behind) = rest.split_at(rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len()));
    // If a password has a slash in it, the real host, with its @, comes only after that slash. So an @ after
    // the supposed host is not safe, except in a scope such as /@acme/ after a host without user info and
    // port.
    let (scopes, is_bare_host) = (behind.matches("/@").count(), !authority.contains(['@', ':']));
    if behind.matches('@').count() > if is_bare_host { scopes } else { 0 } {
        return Err(
            "has an @ after its host, and so may have a password with a / in it: in a password, write / as %2F, and \
             anywhere else write @ as %40",
        );
    }
    let url = Url::parse(text).map_err(|_| "cannot be read as a URL")?;
    // An escape such as %40 in the host would hide user info.
    if url.host_str().is_some_and(|host| host.contains('%')) {
        return Err("cannot be read as a URL: its host has a % in it");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn url(text: &str) -> Option<String> {
        clean_url("--url", text).ok().map(|cleaned| cleaned.stored)
    }

    fn repository(text: &str) -> Option<(String, String)> {
        let Repository { address, owner, name } = clean_repository("--repo", text).ok()?;
        Some((address, format!("{owner}/{name}")))
    }

    #[test]
    fn of_a_url_scheme_host_web_port_and_path_are_kept() {
        for text in [
            "https://ci.example.com",
            "https://ci.example.com:8443/job/a%20b/5/",
            "ci.example.com/70",
            "mirror.example.com:5000",
            "[::1]:5000",
            "https://www.npmjs.com/package/@acme/shop",
            "file:///srv/a.tgz",
            "s3://bucket/a.tgz",
        ] {
            assert_eq!(url(text).as_deref(), Some(text));
        }
        for (text, cleaned) in [
            (
                "https://CI.example.com/job/a b/../5?page=2&author=ann#step:3:1",
                "https://ci.example.com/job/5",
            ),
            ("https://user:SECRET@ci.example.com/70", "https://ci.example.com/70"),
            ("https:/user:SECRET@ci.example.com/70", "https://ci.example.com/70"),
            ("https:user:SECRET@ci.example.com/70", "https://ci.example.com/70"),
            ("https:\\\\user:SECRET@ci.example.com/70", "https://ci.example.com/70"),
            ("//user:SECRET@ci.example.com/70", "ci.example.com/70"),
            ("user:SECRET@mirror.example.com", "mirror.example.com"),
            ("SECRET@mirror.example.com:5000/", "mirror.example.com:5000"),
            ("ssh://user:p@SECRET@host:22/x", "ssh://host/x"),
            ("https://h/x?page=2&access_token=SECRET&b=3#SECRET", "https://h/x"),
            ("https://h/x#access_token=SECRET", "https://h/x"),
            ("https://h/1;token=SECRET/x?page=2", "https://h/1"),
            ("h?SECRET", "h"),
        ] {
            assert_eq!(url(text).as_deref(), Some(cleaned), "{text}");
        }
    }

    #[test]
    fn urls_that_are_stored_alike_are_told_apart_by_their_digests() {
        let digest = |text| clean_url("--url", text).unwrap().digest;
        assert_ne!(digest("https://ci.example.com/?run=1"), digest("https://ci.example.com/?run=2"));
        assert_eq!(digest("https://ci.example.com/?run=1"), digest(" https://ci.example.com/?run=1"));
    }

    #[test]
    fn a_text_whose_credentials_are_not_certain_is_refused_and_not_shown() {
        for text in [
            "https://user:SEC/RET@ci.example.com/70",
            "https://user:12/SECRET@ci.example.com/70",
            "https://user:12?SECRET@ci.example.com/70",
            "https://12/SECRET@ci.example.com/70",
            "s3://SEC/RET@bucket/a@1.tgz",
            "https://user:p@SEC/RET@ci.example.com/70",
            "https://proxy.example.com/https://user:SECRET@github.com/o/n",
            "https://user%3ASECRET%40host/x",
            "ssh://user%3ASECRET%40host/x",
            "ssh:/user:SECRET@host/x",
            "user:/SECRET@host/x",
            "git@SECRET:o/n",
            "ht\ntps://user:SECRET@host",
            "not a URL: SECRET",
            "",
        ] {
            let said = clean_url("--url", text).expect_err(text).to_string();
            assert!(said.starts_with("--url ") && !said.contains("SEC"), "{said}");
        }
    }

    #[test]
    fn a_repository_loses_all_but_its_address_and_its_path() {
        let pair = |address: &str, path: &str| Some((address.to_owned(), path.to_owned()));
        assert_eq!(repository("acme/shop"), pair("", "acme/shop"));
        assert_eq!(repository("acme/web/shop?access_token=SECRET"), pair("", "acme/web/shop"));
        assert_eq!(repository("acme/web/shop?access_token=SEC:RET"), pair("", "acme/web/shop"));
        assert_eq!(repository("acme/shop#SECRET"), pair("", "acme/shop"));
        for text in [
            "https://user:SECRET@git.example.com/acme/shop.git",
            "https:/user:SECRET@git.example.com/acme/shop.git",
            "//user:SECRET@git.example.com/acme/shop",
            "user:SECRET@git.example.com/acme/shop",
            "user:SECRET@git.example.com:acme/shop.git",
            "user:SEC/RET@git.example.com:acme/shop.git",
            "git@git.example.com:acme/shop.git",
            "git.example.com:acme/shop",
            "ssh://git@git.example.com:7999/acme/shop",
            "https://git.example.com/acme/shop/?access_token=SECRET",
            "https://git.example.com/acme/shop.git#SECRET",
            "git@git.example.com:acme/shop?private_token=SECRET#SECRET",
        ] {
            assert_eq!(repository(text), pair("https://git.example.com", "acme/shop"), "{text}");
        }
        assert_eq!(repository("http://host:8080/a/b/c"), pair("http://host:8080", "a/b/c"));
        assert_eq!(repository("shop"), pair("", "/shop"));
        assert_eq!(
            repository("git.example.com/acme/shop?token=SECRET"),
            pair("https://git.example.com", "acme/shop")
        );
        for text in [
            "",
            "/shop",
            "git.example.com/SEC/RET@git.example.com/acme/shop",
            "acme/",
            "a b/c",
            "a//b",
            "acme/shop;token=SECRET",
            "https://u:SEC/RET@h/o/n",
        ] {
            assert_eq!(repository(text), None, "{text}");
        }
    }

    const SECRET: &str = "[a-z0-9]{2,6}[-_.!~*'()/?#@:&=+$,;%\\[\\]|^ ]{0,2}s3cr3t[A-Z]{2,6}";

    proptest! {
        #[test]
        fn a_password_is_never_left_in_a_url(
            secret in SECRET, start in "(https://|https:/|https:|http://|ssh://|git\\+ssh://|//|/|\\\\\\\\|)", user in "([a-z]{1,5}:)?",
        ) {
            let text = format!("{start}{user}{secret}@git.example.com/acme/shop");
            for cleaned in [url(&text), repository(&text).map(|(address, path)| address + &path)] {
                prop_assert!(!cleaned.clone().unwrap_or_default().contains("s3cr3t"), "{text} {cleaned:?}");
            }
            let text = format!("{user}{secret}@git.example.com:acme/shop");
            prop_assert!(!format!("{:?} {:?}", url(&text), repository(&text)).contains("s3cr3t"), "{text}");
        }

        #[test]
        fn a_parameter_is_never_left_in_a_url(
            secret in "([a-z0-9._~%+/=?#@-]{0,4}|[a-z0-9._~%+/?#;&@-]{0,4})s3cr3t[A-Za-z0-9._~%+/-]{0,4}",
            name in "[a-zA-Z-]{1,8}", before in "(a=1[&;])?", after in "([&;]b=2)?(#end)?",
            mark in "[?#;]",
        ) {
            let text = format!("https://ci.example.com/70{mark}{before}{name}={secret}{after}");
            for cleaned in [url(&text), repository(&text).map(|(address, path)| address + &path)] {
                prop_assert!(!cleaned.clone().unwrap_or_default().contains("s3cr3t"), "{text} {cleaned:?}");
            }
        }

        #[test]
        fn cleaning_again_changes_nothing(text in "\\PC{0,40}") {
            if let Some(cleaned) = url(&text) {
                prop_assert_eq!(url(&cleaned), Some(cleaned));
            }
            if let Some((address, path)) = repository(&text) {
                prop_assert!(!path.contains('@') && !address.contains('@'));
            }
        }
    }
}
