//! Names the places at which two JSON texts differ.

use crate::json::{Json, Path};

/// The places at which a stored record is not as it should be, with what is wrong there, such as
/// `$.deployInfo[0].image differs`; at most `most` of them. Elements of lists are compared by their places.
/// The values are not shown, since they may be secret.
pub fn differences(wanted: &str, stored: &str, most: usize) -> Vec<String> {
    let mut found = Differences { most, texts: Vec::new() };
    match (Json::read_text(wanted), Json::read_text(stored)) {
        (Ok(wanted), Ok(stored)) => found.between(Some(&wanted), Some(&stored), &Path::ROOT),
        _ => found.note(&Path::ROOT, "is not JSON"),
    }
    found.texts
}

struct Differences {
    most: usize,
    texts: Vec<String>,
}

impl Differences {
    fn note(&mut self, path: &Path<'_>, what: &str) {
        if self.texts.len() < self.most {
            self.texts.push(format!("{path} {what}"));
        }
    }

    /// Compares two values. Numbers are compared as texts, since two that differ may become equal when they
    /// are parsed.
    fn between(&mut self, wanted: Option<&Json<'_>>, stored: Option<&Json<'_>>, path: &Path<'_>) {
        match (wanted, stored) {
            (Some(Json::Object(wanted)), Some(Json::Object(stored))) => {
                for (name, member) in wanted {
                    self.between(Some(member), stored.get(name), &path.field(name));
                }
                for (name, _) in stored.iter().filter(|(name, _)| !wanted.contains_key(*name)) {
                    self.note(&path.field(name), "should be gone");
                }
            }
            (Some(Json::List(wanted)), Some(Json::List(stored))) => {
                for index in 0..wanted.len().max(stored.len()) {
                    self.between(wanted.get(index), stored.get(index), &path.index(index));
                }
            }
            (Some(_), None) => self.note(path, "is missing"),
            (None, Some(_)) => self.note(path, "should be gone"),
            (wanted, stored) if wanted == stored => {}
            _ => self.note(path, "differs"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_that_differs_is_named_by_its_path() {
        let wanted = r#"{"a":{"b":[1,{"c":"x"},3]},"d":1,"e":null,"same":[{}]}"#;
        let stored = r#"{"a":{"b":[1,{"c":"y"}]},"e":[],"f":2,"same":[{}]}"#;
        let expected = [
            "$.a.b[1].c differs",
            "$.a.b[2] is missing",
            "$.d is missing",
            "$.e differs",
            "$.f should be gone",
        ];
        assert_eq!(differences(wanted, stored, 10), expected);
        assert_eq!(differences(wanted, stored, 2), expected[..2]);
        assert_eq!(differences(wanted, wanted, 10), Vec::<String>::new());
        assert_eq!(differences(wanted, "{", 10), ["$ is not JSON"]);
        let numbers = [r#"{"n":[0.10,123456789012345678901]}"#, r#"{"n":[0.1,123456789012345678902]}"#];
        assert_eq!(differences(numbers[0], numbers[1], 10), ["$.n[0] differs", "$.n[1] differs"]);
        assert_eq!(
            differences(r#"{"a":1,"b":"é"}"#, r#" {"b": "\u00e9", "a": 1} "#, 10),
            Vec::<String>::new()
        );
    }
}
