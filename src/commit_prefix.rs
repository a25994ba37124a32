//! What the parameter `commit` may name: the first digits of a commit's id.

use std::fmt;

/// The fewest digits that may be given: as many as git shows. Commits are indexed under this many.
pub const MIN_COMMIT_DIGITS: usize = 7;
/// The most digits that may be given: as many as a SHA-256 has.
const MAX_COMMIT_DIGITS: usize = 64;

/// The first 7 to 64 hex digits of a commit's id, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitPrefix(String);

impl CommitPrefix {
    /// Reads the `commit` parameter.
    ///
    /// # Errors
    /// The text, where it is not 7 to 64 hex digits.
    pub fn parse(commit: &str) -> Result<Self, String> {
        let has_form = (MIN_COMMIT_DIGITS..=MAX_COMMIT_DIGITS).contains(&commit.len())
            && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !has_form {
            return Err(commit.to_owned());
        }
        Ok(Self(commit.to_ascii_lowercase()))
    }

    /// The longest prefix that finds a stored `commit_id`: its leading hex digits, at most 64 of them. It is
    /// `None` where there are fewer than 7, since no prefix finds such a commit.
    pub fn longest_of(commit_id: &str) -> Option<Self> {
        let digits = commit_id.bytes().take(MAX_COMMIT_DIGITS).take_while(u8::is_ascii_hexdigit).count();
        Self::parse(&commit_id[..digits]).ok()
    }

    /// Whether this is the beginning of a commit, which is in the form that [`CommitPrefix::longest_of`]
    /// gives.
    pub fn begins(&self, commit: &str) -> bool {
        commit.starts_with(&self.0)
    }

    /// The digits under which commits with this prefix are indexed.
    pub fn indexed(&self) -> &str {
        &self.0[..MIN_COMMIT_DIGITS]
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CommitPrefix {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_7_to_64_hex_digits_of_either_case() {
        for commit in ["4b15c43", "4B15C43", &"a".repeat(64)] {
            assert_eq!(CommitPrefix::parse(commit).unwrap().as_str(), commit.to_lowercase());
        }
        for commit in ["", "4b15c4", "4b15c4g", "4b15c43 ", "é4b15c4", &"a".repeat(65)] {
            assert_eq!(CommitPrefix::parse(commit), Err(commit.to_owned()));
        }
    }

    #[test]
    fn the_longest_prefix_of_a_stored_commit_is_its_leading_hex_digits() {
        let longest = |commit_id: &str| CommitPrefix::longest_of(commit_id).map(|commit| commit.to_string());
        assert_eq!(longest("4B15C43e"), Some("4b15c43e".to_owned()));
        assert_eq!(longest("4b15c43-dirty"), Some("4b15c43".to_owned()));
        assert_eq!(longest(&"a".repeat(70)), Some("a".repeat(64)));
        for commit_id in ["", "4b15c4", "4b15c4é", "refs/heads/main"] {
            assert_eq!(longest(commit_id), None, "{commit_id}");
        }
    }

    #[test]
    fn a_commit_begins_with_its_own_digits() {
        let commit = CommitPrefix::longest_of("4B15C43E2D").unwrap();
        assert_eq!(commit.indexed(), "4b15c43");
        for (prefix, begins) in
            [("4b15c43", true), ("4B15C43E2d", true), ("4b15c43e3", false), ("4b15c43e2d0", false)]
        {
            assert_eq!(CommitPrefix::parse(prefix).unwrap().begins(commit.as_str()), begins, "{prefix}");
        }
    }
}
