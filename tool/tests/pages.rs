//! Checks the documentation's pages: their commands print what the pages show, and what they link to and name
//! exists.
//!
//! A command is a line after `$` in a block marked `console`. The lines below it, up to the next command, are
//! what it prints, and `…` stands for anything. `cargo dev` is the tool's binary. It listens on other ports
//! here, since those that the pages name may be in use.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

/// The beginnings of commands that need nothing but the built tool, a shell and curl.
const RUN_HERE: [&str; 3] = ["cargo dev", "curl ", "export "];
/// The beginnings of commands that need a compiler, a network, a container engine or an account with AWS.
const NOT_RUN: [&str; 5] =
    ["cargo test", "cargo install", "CARGO_LAMBDA_COMPILER=cargo sam ", "sam ", ".ci/run"];

/// The addresses that the pages name, and at which `serve` listens by default.
const PAGES_PORTS: [&str; 2] = ["127.0.0.1:3000", "127.0.0.1:8000"];

/// `cargo dev` is the built tool, and curl shows no progress.
const SHELL: &str = r#"
cargo() { shift; "$DELIVERY_CENTER" "$@"; }
curl() { command curl --silent --show-error "$@"; }
"#;

const README: &str = include_str!("../../README.md");
const API: &str = include_str!("../../docs/api.md");

/// A command of a page, and the output that the page shows.
#[derive(Debug)]
struct Shown {
    command: String,
    output: String,
}

fn shown(page: &str) -> Vec<Shown> {
    let mut shown: Vec<Shown> = Vec::new();
    let mut is_console = false;
    for line in page.lines() {
        if line.starts_with("```") {
            is_console = line == "```console";
        } else if !is_console {
        } else if let Some(command) = line.strip_prefix("$ ") {
            shown.push(Shown { command: command.to_owned(), output: String::new() });
        } else if let Some(last) = shown.last_mut() {
            let is_continued = last.output.is_empty() && last.command.ends_with('\\');
            let text = if is_continued { &mut last.command } else { &mut last.output };
            text.push_str(line);
            text.push('\n');
        }
    }
    shown
}

/// Whether an output is as the page shows it.
fn agrees(output: &str, shown: &str) -> bool {
    let (mut rest, shown) = (output.trim_end(), shown.trim_end());
    let mut pieces = shown.split('…');
    let Some(after_first) = rest.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    rest = after_first;
    let Some(last) = shown.contains('…').then(|| pieces.next_back()).flatten() else {
        return rest.is_empty();
    };
    for piece in pieces {
        let Some(place) = rest.find(piece) else { return false };
        rest = &rest[place + piece.len()..];
    }
    rest.ends_with(last)
}

/// Runs the commands of a page one after another, as somebody would who pastes them.
struct Shell {
    folder: tempfile::TempDir,
    /// Addresses that stand for those of the pages.
    ports: [String; 2],
    /// The lines by which the page sets its environment.
    exported: String,
    serving: Option<Child>,
}

impl Shell {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["events", "samples"] {
            std::os::unix::fs::symlink(root().join(name), folder.path().join(name)).unwrap();
        }
        let free = || {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            (listener.local_addr().unwrap().to_string(), listener)
        };
        let [(http, _taken), (dynamodb, _too)] = [free(), free()];
        Self { folder, ports: [http, dynamodb], exported: String::new(), serving: None }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("DELIVERY_CENTER", env!("CARGO_BIN_EXE_delivery-center"))
            .current_dir(self.folder.path())
            .kill_on_drop(true);
        command
    }

    fn with_own_ports(&self, text: &str) -> String {
        text.replace(PAGES_PORTS[0], &self.ports[0]).replace(PAGES_PORTS[1], &self.ports[1])
    }

    fn with_the_pages_ports(&self, text: &str) -> String {
        text.replace(&self.ports[0], PAGES_PORTS[0]).replace(&self.ports[1], PAGES_PORTS[1])
    }

    /// Everything that a command prints.
    async fn run(&mut self, shown: &Shown) -> String {
        if shown.command == "cargo dev" {
            return self.serve(&shown.output).await;
        }
        let command = self.with_own_ports(&shown.command);
        if command.starts_with("export ") {
            self.exported += &command;
            self.exported.push('\n');
            return String::new();
        }
        // The messages on standard error are part of the output on a terminal, but not in a pipe or a file.
        let script = format!("{SHELL}{}{{ {command}; }} 2>&1", self.exported);
        let ran = self.command("sh").args(["-c", &script]).output().await.unwrap();
        // The lines of an HTTP header end with a carriage return and a line feed.
        let output = String::from_utf8(ran.stdout).unwrap().replace('\r', "");
        let output = self.with_the_pages_ports(&output);
        if ran.status.success() { output } else { format!("{output}{}", ran.status) }
    }

    /// Starts `serve`, and gives what it prints until that agrees with what the page shows.
    async fn serve(&mut self, shown: &str) -> String {
        let [http, dynamodb] = &self.ports;
        let mut serve = self.command(env!("CARGO_BIN_EXE_delivery-center"));
        serve.args(["serve", "--listen", http, "--dynamodb-listen", dynamodb]);
        let mut process = serve.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = process.stdout.take().unwrap();
        self.serving = Some(process);
        let mut printed = Vec::new();
        while !agrees(&self.with_the_pages_ports(&String::from_utf8_lossy(&printed)), shown) {
            // It prints everything at once, when it begins to serve.
            let patience = if printed.is_empty() { Duration::from_mins(1) } else { Duration::from_secs(2) };
            let read = tokio::time::timeout(patience, stdout.read_buf(&mut printed)).await;
            if !matches!(read, Ok(Ok(1..))) {
                break;
            }
        }
        // Nobody reads what it prints later, but that is little.
        self.with_the_pages_ports(&String::from_utf8_lossy(&printed))
    }
}

/// The commands of a page whose output is not what the page shows, each with what it printed.
async fn disagreements(page: &str) -> Vec<String> {
    let mut shell = Shell::new();
    let mut found = Vec::new();
    for shown in shown(page) {
        let begins = |beginnings: &[&str]| beginnings.iter().any(|begin| shown.command.starts_with(begin));
        match (begins(&RUN_HERE), begins(&NOT_RUN)) {
            (true, _) => {
                let printed = shell.run(&shown).await;
                if !agrees(&printed, &shown.output) {
                    let Shown { command, output } = shown;
                    found.push(format!("$ {command}\nprinted:\n{printed}\nand the page shows:\n{output}"));
                }
            }
            (false, true) => {}
            (false, false) => found.push(format!("$ {}\nThis test knows no such command", shown.command)),
        }
    }
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// README and the other pages, each with the folder that its links start from.
fn pages() -> Vec<(PathBuf, String)> {
    let folders = [root(), root().join("docs")];
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let files = files.map(|file| file.unwrap().path());
    let pages = files.filter(|file| file.extension().is_some_and(|extension| extension == "md"));
    pages.map(|page| (page.clone(), std::fs::read_to_string(page).unwrap())).collect()
}

#[tokio::test]
async fn the_commands_of_the_readme_print_what_it_shows() {
    let found = disagreements(README).await;
    assert!(found.is_empty(), "{}", found.join("\n\n"));
    let commands = shown(README);
    assert!(commands.iter().filter(|shown| !shown.output.is_empty()).count() >= 7, "{commands:?}");
}

#[tokio::test]
async fn the_commands_of_the_api_page_print_what_it_shows() {
    let found = disagreements(API).await;
    assert!(found.is_empty(), "{}", found.join("\n\n"));
    assert!(shown(API).len() >= 4);
}

#[tokio::test]
async fn a_page_that_shows_something_else_is_noticed() {
    for (shown, other) in [
        ("\"image_size\":22578466", "\"image_size\":22578467"),
        ("read 24, stored 0", "read 24, stored 1"),
        ("Ctrl-C ends both. Try:\n…", "Ctrl-C ends both."),
        ("\"type\":\"error\"}\n", "\"type\":\"error\",…}\n"),
        ("$ sam deploy", "$ same deploy"),
    ] {
        assert_eq!(README.matches(shown).count(), 1, "{shown}");
        // Nothing else of the page is wrong, and what follows a wrong command is still run.
        let found = disagreements(&README.replace(shown, other)).await;
        assert_eq!(found.len(), 1, "{other}: {}", found.join("\n\n"));
    }
}

#[test]
fn an_ellipsis_stands_for_anything_and_other_text_for_itself() {
    for (output, shown, is_so) in [
        ("a\n", "a", true),
        ("a b", "a", false),
        ("a b c", "a…c", true),
        ("a b c", "a…", true),
        ("a\nb", "…b", true),
        ("a b c", "…b", false),
        ("aba", "a…b…a", true),
        ("ab", "a…b…b", false),
        ("", "…", true),
        ("", "", true),
    ] {
        assert_eq!(agrees(output, shown), is_so, "{output:?} as {shown:?}");
    }
}

#[test]
fn the_readme_has_1200_words_at_most() {
    let words = README.split_whitespace().count();
    assert!(words <= 1200, "{words}");
}

#[test]
fn what_the_pages_link_to_and_name_is_there() {
    for (page, text) in pages() {
        let anchors = |text: &str| -> Vec<String> {
            let headings = text.lines().filter(|line| line.starts_with('#'));
            headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
        };
        let links = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link);
        for link in links.filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let file = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(file.exists(), "{}: {link}", page.display());
            let has_anchor = anchor.is_empty()
                || anchors(&std::fs::read_to_string(&file).unwrap()).iter().any(|found| found == anchor);
            assert!(has_anchor, "{}: {link}", page.display());
        }
        let named = text.split('`').skip(1).step_by(2);
        let folders =
            ["src/", "tool/", "tests/", "events/", "samples/", "benches/", "docs/", ".ci/", ".cargo/"];
        for name in named.filter(|name| folders.iter().any(|folder| name.starts_with(folder))) {
            let is_file = !name.contains(['*', ' ', '<', '…', '{']);
            assert!(!is_file || root().join(name).exists(), "{}: {name}", page.display());
        }
    }
}

#[test]
fn each_command_that_the_terminals_page_explains_is_in_its_table() {
    let page = include_str!("../../docs/terminal.md");
    let is_command = |heading: &&str| heading.bytes().all(|letter| letter.is_ascii_lowercase());
    let commands: Vec<_> =
        page.lines().filter_map(|line| line.strip_prefix("## ")).filter(is_command).collect();
    assert!(commands.len() >= 4, "{commands:?}");
    let table: String = page.lines().filter(|line| line.starts_with("| ")).collect();
    for command in commands {
        assert!(table.contains(&format!("`{command} ")), "{command}");
    }
}

/// Whether a query can be signed as it stands: `…` may stand for any part of it.
pub(crate) fn is_canonical(query: &str) -> bool {
    let is_encoded = |value: &str| {
        let mut escapes = value.split('%');
        let plain = |text: &str| {
            text.chars().all(|letter| letter.is_ascii_alphanumeric() || "-._~…".contains(letter))
        };
        let is_upper = |digits: &str| digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'A'..=b'F'));
        escapes.next().is_none_or(plain)
            && escapes.all(|rest| {
                rest.split_at_checked(2).is_some_and(|(digits, text)| is_upper(digits) && plain(text))
            })
    };
    let pairs: Vec<_> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    pairs.is_sorted_by(|(before, _), (after, _)| before < after)
        && pairs.iter().all(|(_, value)| is_encoded(value))
}

#[test]
fn the_queries_of_the_pages_can_be_signed_by_a_client_that_signs_them_as_they_stand() {
    let mut queries = 0;
    for (page, text) in pages() {
        let ends = |text: &str| text.find(['\'', '"', '`', '>', ' ', '\n']).unwrap_or(text.len());
        for start in ["/releases?", "/artifact?", "<?"] {
            for found in text.split(start).skip(1) {
                let query = &found[..ends(found)];
                assert!(is_canonical(query), "{}: {query}", page.display());
                queries += 1;
            }
        }
    }
    assert!(queries > 20, "{queries}");
    for (query, is) in [
        ("a=1&b=%2F", true),
        ("…&after=…", true),
        ("b=1&a=1", false),
        ("a=/", false),
        ("a=%2f", false),
        ("a=x+y", false),
        ("a=%", false),
    ] {
        assert_eq!(is_canonical(query), is, "{query}");
    }
}

/// The anchor that GitHub makes of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().replace(' ', "-");
    kept.chars().filter(|character| character.is_alphanumeric() || matches!(character, '-' | '_')).collect()
}
