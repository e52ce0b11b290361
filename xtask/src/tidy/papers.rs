//! Rules about the documents: names in them exist, and no path of one machine is in them.

use std::collections::HashSet;

use toml::{Table, Value};

use super::source::has_word;
use super::{Complaint, File, Tree};

/// Folders of one machine or person, without the leading slash, so that this file passes the rule.
const MACHINE_FOLDERS: &[&str] = &["home/", "root/", "Users/", "work/"];

pub(super) fn check(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let mut paper = |path: &str, rule: &dyn Fn(&File) -> Vec<Complaint>| match tree.file(path) {
        Some(file) => complaints.extend(rule(file)),
        None => complaints.push(tree.missing(path)),
    };
    paper("README.md", &|_| Vec::new());
    paper("CHANGELOG.md", &|_| Vec::new());
    paper("ARCHITECTURE.md", &|file| names_exist(file, tree));
    paper("CONTRIBUTING.md", &|file| names_exist(file, tree));
    paper("GLOSSARY.md", &words_in_order);
    paper("docs/decisions/dependencies.md", &|reasons| {
        let manifest = tree.file("Cargo.toml").into_iter();
        manifest.flat_map(|manifest| dependencies_have_reasons(manifest, reasons)).collect()
    });
    complaints
}

/// Refuses absolute paths into the folders of one machine.
pub(super) fn machine_paths(file: &File) -> Vec<Complaint> {
    let is_paper = file.path.ends_with(".md");
    let mut complaints = Vec::new();
    for (number, line) in file.lines() {
        let words = line.split(|c: char| c.is_whitespace() || "`\"'()<>=,:".contains(c));
        for path in words.filter_map(|word| word.strip_prefix('/')) {
            let of_machine = MACHINE_FOLDERS.iter().any(|folder| path.starts_with(folder));
            if of_machine || (is_paper && path.starts_with("tmp/")) {
                complaints.push(file.fail(number, format!("`/{path}` is a path of one machine")));
            }
        }
    }
    complaints
}

/// Refuses a name in back-ticks that looks like a path or a type and is not in the tree.
pub(super) fn names_exist(file: &File, tree: &Tree) -> Vec<Complaint> {
    let words = words_of_sources(tree);
    let mut complaints = Vec::new();
    let mut in_block = false;
    for (number, line) in file.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        }
        if in_block {
            continue;
        }
        for name in line.split('`').skip(1).step_by(2) {
            // What is built is not in the tree.
            let missing = if looks_like_path(name) {
                !name.starts_with("target/")
                    && !tree.paths.iter().any(|path| path_matches(path, name))
            } else {
                let mut parts = name.trim_end_matches("()").split("::");
                looks_like_type(name) && parts.any(|part| !words.contains(part))
            };
            if missing {
                complaints.push(file.fail(number, format!("`{name}` is not in the tree")));
            }
        }
    }
    complaints
}

/// The identifiers of all Rust files, comments left out.
fn words_of_sources(tree: &Tree) -> HashSet<&str> {
    let lines = tree.ending(".rs").flat_map(|file| file.text.lines());
    let code = lines.filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_')).collect()
}

/// `src/pump.rs` or `crates/relay`, but not `GET /live`, `/live`, `a | b` or `crates/*`.
fn looks_like_path(name: &str) -> bool {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "./_-".contains(c));
    let has_ending = [".rs", ".md", ".toml"].iter().any(|ending| name.ends_with(ending));
    plain && !name.starts_with('/') && (has_ending || name.contains('/'))
}

/// The whole path or its end, or a folder.
fn path_matches(path: &str, name: &str) -> bool {
    let name = name.trim_end_matches('/');
    path == name
        || path.ends_with(&format!("/{name}"))
        || path.starts_with(&format!("{name}/"))
        || path.contains(&format!("/{name}/"))
}

/// `ConsumerMachine` or `Tree::read`, but not `STREAM_END`, `Cargo build` or `io`.
fn looks_like_type(name: &str) -> bool {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "_:()".contains(c));
    let humps = name.chars().filter(char::is_ascii_uppercase).count();
    let starts = name.starts_with(|c: char| c.is_ascii_uppercase());
    plain && starts && (humps > 1 || name.contains("::")) && name.chars().any(|c| c.is_lowercase())
}

/// The words of the glossary are sorted, and each is there once.
pub(super) fn words_in_order(file: &File) -> Vec<Complaint> {
    let words = file.lines().filter_map(|(number, line)| {
        let (word, _) = line.strip_prefix("- **")?.split_once("**")?;
        Some((number, word.to_lowercase()))
    });
    let words: Vec<(usize, String)> = words.collect();
    let neighbours = words.iter().zip(words.iter().skip(1));
    let wrong = neighbours.filter(|((_, before), (_, word))| before >= word);
    let text = |before, word| format!("`{word}` follows `{before}`: sort the words, each once");
    wrong.map(|((_, before), (number, word))| file.fail(*number, text(before, word))).collect()
}

/// Each dependency of the workspace has its line of reason, and each line its dependency.
pub(super) fn dependencies_have_reasons(manifest: &File, reasons: &File) -> Vec<Complaint> {
    let table = manifest.text.parse::<Table>().unwrap_or_default();
    let workspace = table.get("workspace").and_then(|workspace| workspace.get("dependencies"));
    let dependencies = workspace.and_then(Value::as_table).into_iter().flatten();
    let foreign = dependencies.filter(|(_, value)| value.get("path").is_none());
    let used: HashSet<&str> = foreign.map(|(name, _)| name.as_str()).collect();
    let entries = reasons.lines().filter_map(|(number, line)| {
        let (name, _) = line.strip_prefix("- ")?.split_once(": ")?;
        Some((name.trim_matches('`'), number))
    });
    let entries: Vec<(&str, usize)> = entries.collect();

    let mut complaints = Vec::new();
    for name in &used {
        if !entries.iter().any(|(entry, _)| entry == name) {
            let line = manifest.lines().find(|(_, line)| has_word(line, name));
            let text = format!("`{name}` has no line in {}: say why it is used", reasons.path);
            complaints.push(manifest.fail(line.map_or(1, |(number, _)| number), text));
        }
    }
    for (name, number) in entries {
        if !used.contains(name) {
            complaints.push(reasons.fail(number, format!("`{name}` is not a dependency")));
        }
    }
    complaints
}
