//! The rules for the modules of both crates: no two use each other, no type name is there twice, and a map names each
//! module.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A module's path from its crate's root, such as `store` and `facet`.
type Module = Vec<String>;

/// One crate's sources by module; the crate itself is the empty path.
struct Sources(BTreeMap<Module, String>);

impl Sources {
    fn of(folder: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let mut modules = BTreeMap::new();
        for file in files(&root) {
            let mut module: Module = file
                .strip_prefix(&root)
                .unwrap()
                .iter()
                .map(|part| part.to_string_lossy().into_owned())
                .collect();
            let name = module.pop().unwrap();
            match name.strip_suffix(".rs").unwrap() {
                "mod" | "lib" => {}
                name => module.push(name.to_owned()),
            }
            if module.first().is_none_or(|first| !matches!(first.as_str(), "bin" | "main")) {
                let source = std::fs::read_to_string(file).unwrap();
                // Tests may look at anything.
                let source = source.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
                modules.insert(module, source);
            }
        }
        Self(modules)
    }

    /// The module that a path leads to: its longest beginning that is a module. Where that module re-exports the next
    /// name from one of its children, it is the child.
    fn resolve(&self, path: &[String]) -> Module {
        let length = (0..=path.len()).rev().find(|length| self.0.contains_key(&path[..*length])).unwrap();
        let module = path[..length].to_vec();
        let Some(item) = path.get(length) else { return module };
        let re_export = self.paths(&module).into_iter().find(|(is_public, target)| {
            *is_public
                && target.last() == Some(item)
                && target.len() > module.len()
                && target.starts_with(&module)
        });
        match re_export {
            Some((_, target)) if target != path => self.resolve(&target),
            _ => module,
        }
    }

    /// The paths in a module's `use` lines, from the crate's root, and whether each is a re-export.
    fn paths(&self, module: &Module) -> Vec<(bool, Vec<String>)> {
        let mut paths = Vec::new();
        for statement in self.0[module].split(';') {
            let Some(start) = statement
                .rfind("use ")
                .filter(|start| statement[..*start].ends_with(['\n', ' ', ')']) || *start == 0)
            else {
                continue;
            };
            let line_start = statement[..start].rfind('\n').map_or(0, |end| end + 1);
            let is_public = statement[line_start..start].trim_start().starts_with("pub");
            for path in flatten(statement[start + 4..].trim()) {
                let mut parts: Vec<String> = path.split("::").map(str::to_owned).collect();
                let mut base = match parts[0].as_str() {
                    "crate" => Vec::new(),
                    "self" => module.clone(),
                    "super" => module[..module.len() - 1].to_vec(),
                    _ => continue,
                };
                parts.remove(0);
                while parts.first().is_some_and(|part| part == "super") {
                    base.pop();
                    parts.remove(0);
                }
                parts.retain(|part| part != "self");
                base.extend(parts);
                paths.push((is_public, base));
            }
        }
        paths
    }

    /// For each folder, which of its modules uses which others.
    fn edges(&self) -> BTreeMap<Module, BTreeMap<String, BTreeSet<String>>> {
        let mut edges: BTreeMap<Module, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
        for module in self.0.keys() {
            for (_, path) in self.paths(module) {
                let target = self.resolve(&path);
                let shared = module.iter().zip(&target).take_while(|(one, other)| one == other).count();
                if let (Some(one), Some(other)) = (module.get(shared), target.get(shared)) {
                    let folder = edges.entry(module[..shared].to_vec()).or_default();
                    folder.entry(one.clone()).or_default().insert(other.clone());
                }
            }
        }
        edges
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // Cargo's output has generated sources in it.
            if path.file_name().is_some_and(|name| name != "target") {
                found.extend(files(&path));
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// `a::{b, c::{d, e}}` as `a::b`, `a::c::d` and `a::c::e`.
fn flatten(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else { return vec![tree.split(" as ").next().unwrap().to_owned()] };
    let (prefix, group) = (&tree[..open], tree[open + 1..].trim_end().trim_end_matches('}'));
    let (mut depth, mut start, mut members) = (0, 0, Vec::new());
    for (place, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                members.push(&group[start..place]);
                start = place + 1;
            }
            _ => {}
        }
    }
    members.push(&group[start..]);
    let members = members.into_iter().filter(|member| !member.trim().is_empty());
    members.flat_map(flatten).map(|member| format!("{prefix}{member}")).collect()
}

/// A way from a module to itself, if there is one.
fn circle(edges: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn walk(
        edges: &BTreeMap<String, BTreeSet<String>>,
        way: &mut Vec<String>,
        finished: &mut BTreeSet<String>,
    ) -> bool {
        let here = way.last().unwrap().clone();
        for next in edges.get(&here).into_iter().flatten() {
            if way.contains(next) {
                way.push(next.clone());
                return true;
            }
            if !finished.contains(next) {
                way.push(next.clone());
                if walk(edges, way, finished) {
                    return true;
                }
                way.pop();
            }
        }
        finished.insert(here);
        false
    }
    let mut finished = BTreeSet::new();
    edges.keys().find_map(|start| {
        let mut way = vec![start.clone()];
        (!finished.contains(start) && walk(edges, &mut way, &mut finished)).then_some(way)
    })
}

const CRATES: [&str; 2] = ["src", "tool/src"];

#[test]
fn no_two_modules_use_each_other() {
    for folder in CRATES {
        let edges = Sources::of(folder).edges();
        assert!(edges.values().map(BTreeMap::len).sum::<usize>() > 10, "{folder}: the sources are read");
        for (module, siblings) in edges {
            assert_eq!(circle(&siblings), None, "{folder}: in {}", module.join("::"));
        }
    }
}

#[test]
fn no_two_types_of_a_crate_have_the_same_name() {
    for folder in CRATES {
        let mut homes: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (module, source) in &Sources::of(folder).0 {
            for line in source.lines() {
                let words: Vec<_> =
                    line.split([' ', '(', '<', '{', ';', ':']).filter(|word| !word.is_empty()).collect();
                let indented = line.starts_with(' ');
                let kind = words.iter().position(|word| matches!(*word, "struct" | "enum" | "trait"));
                if let (false, Some(place)) = (indented, kind)
                    && place <= 2
                    && let Some(name) = words.get(place + 1)
                {
                    homes.entry((*name).to_owned()).or_default().push(module.join("::"));
                }
            }
        }
        assert!(homes.len() > 20, "{folder}: the sources are read");
        homes.retain(|_, modules| modules.len() > 1);
        assert!(homes.is_empty(), "{folder}: {homes:?}");
    }
}

#[test]
fn the_map_names_each_module_and_no_other() {
    for folder in CRATES {
        let sources = Sources::of(folder);
        let map = &sources.0[&Module::new()];
        let named: BTreeSet<_> = map
            .lines()
            .filter(|line| line.starts_with("//!"))
            .flat_map(|line| line.split("[`").skip(1).filter_map(|rest| rest.split("`]").next()))
            .map(str::to_owned)
            .collect();
        let modules: BTreeSet<_> =
            sources.0.keys().filter(|module| module.len() == 1).map(|module| module[0].clone()).collect();
        assert_eq!(named, modules, "{folder}/lib.rs");
    }
}

#[test]
fn every_file_begins_by_saying_what_it_is_for() {
    for folder in ["src", "tests", "tool", "benches"] {
        let files = files(&root().join(folder));
        assert!(files.len() > 3, "{folder}");
        for file in files {
            let source = std::fs::read_to_string(&file).unwrap();
            assert!(source.starts_with("//! "), "{} does not say what it is for", file.display());
        }
    }
}

/// The steps of a write, and what a crash after each of them leaves, are told beside the code and in the page.
#[test]
fn the_architecture_page_tells_the_steps_of_a_write_as_the_code_does() {
    let page = std::fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    for file in ["src/store/releases/writing.rs", "src/store/artifacts/writing.rs"] {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        let rows: Vec<_> = text
            .lines()
            .filter_map(|line| line.strip_prefix("//! "))
            .filter(|line| line.starts_with("| "))
            .collect();
        assert!(rows.len() > 5, "{file} has no table of steps");
        assert!(
            page.contains(&rows.join("\n")),
            "docs/architecture.md has another table of steps than {file}"
        );
    }
}

/// The table of files in `docs/architecture.md` is a map, too.
#[test]
fn the_architecture_page_names_every_top_level_module() {
    let page = std::fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let table = page.split("| file | is about |").nth(1).unwrap().split("\n\n").next().unwrap();
    let named: BTreeSet<_> = table
        .lines()
        .filter_map(|row| row.strip_prefix("| ")?.split(" | ").next())
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(|path| path.trim_end_matches('/').trim_end_matches(".rs").to_owned())
        .collect();
    for folder in CRATES {
        let modules = Sources::of(folder).0;
        let tops = modules.keys().filter(|module| module.len() == 1).map(|module| &module[0]);
        for top in tops {
            let path = format!("{folder}/{top}");
            let is_named = named.iter().any(|named| *named == path || named.starts_with(&format!("{path}/")));
            assert!(is_named, "docs/architecture.md does not say what {path} is about");
        }
    }
}

#[test]
fn files_and_headings_that_the_pages_name_are_there() {
    let mut pages =
        vec![root().join("README.md"), root().join("CONTRIBUTING.md"), root().join("CHANGELOG.md")];
    pages.extend(
        std::fs::read_dir(root().join("docs"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "md")),
    );
    assert!(pages.len() > 8, "{pages:?}");
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        let named = text.split('`').skip(1).step_by(2).filter(|code| {
            ["src/", "tool/", "tests/", "docs/", "events/", "samples/", "benches/", "scripts/"]
                .iter()
                .any(|folder| code.starts_with(folder) && !code.contains([' ', '*', '<', '…']))
        });
        for path in named {
            let path = path.split(':').next().unwrap();
            assert!(root().join(path).exists(), "{}: {path}", page.display());
        }
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://") && !link.contains(' ')) {
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { page.clone() } else { page.parent().unwrap().join(path) };
            assert!(target.exists(), "{}: {link}", page.display());
            if !heading.is_empty() {
                let target = std::fs::read_to_string(&target).unwrap();
                assert!(anchors(&target).contains(heading), "{}: {link}", page.display());
            }
        }
    }
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings =
        page.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    headings
        .map(|heading| {
            let kept = heading.to_lowercase();
            kept.chars()
                .filter(|character| character.is_alphanumeric() || matches!(character, ' ' | '-' | '_'))
                .map(|character| if character == ' ' { '-' } else { character })
                .collect()
        })
        .collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
