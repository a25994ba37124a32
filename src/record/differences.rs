//! Where two JSON texts say something different.

use std::collections::HashSet;

use serde_json::Value;

use super::problem::Path;

/// Where a stored record is not as it should be, as paths such as `$.deployInfo[0].image`, `most` of them at most. Elements
/// of lists are compared by their places. The values are not told: they may be secret.
#[must_use]
pub fn differences(wanted: &str, stored: &str, most: usize) -> Vec<String> {
    let mut found = Differences { most, texts: Vec::new() };
    match (serde_json::from_str(wanted), serde_json::from_str(stored)) {
        (Ok(wanted), Ok(stored)) => found.between(&wanted, &stored, &Path::ROOT),
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

    fn between(&mut self, wanted: &Value, stored: &Value, path: &Path<'_>) {
        if wanted == stored || self.texts.len() == self.most {
            return;
        }
        match (wanted, stored) {
            (Value::Object(wanted), Value::Object(stored)) => {
                let names = wanted.keys().chain(stored.keys());
                let mut seen = HashSet::new();
                for name in names.filter(|name| seen.insert(name.as_str())) {
                    self.member(wanted.get(name), stored.get(name), &path.field(name));
                }
            }
            (Value::Array(wanted), Value::Array(stored)) => {
                for index in 0..wanted.len().max(stored.len()) {
                    self.member(wanted.get(index), stored.get(index), &path.index(index));
                }
            }
            _ => self.note(path, "is another"),
        }
    }

    fn member(&mut self, wanted: Option<&Value>, stored: Option<&Value>, path: &Path<'_>) {
        match (wanted, stored) {
            (Some(wanted), Some(stored)) => self.between(wanted, stored, path),
            (Some(_), None) => self.note(path, "is missing"),
            (None, Some(_)) => self.note(path, "should be gone"),
            (None, None) => {}
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
            "$.a.b[1].c is another",
            "$.a.b[2] is missing",
            "$.d is missing",
            "$.e is another",
            "$.f should be gone",
        ];
        assert_eq!(differences(wanted, stored, 10), expected);
        assert_eq!(differences(wanted, stored, 2), expected[..2]);
        assert_eq!(differences(wanted, wanted, 10), Vec::<String>::new());
        assert_eq!(differences(wanted, "{", 10), ["$ is not JSON"]);
    }
}
