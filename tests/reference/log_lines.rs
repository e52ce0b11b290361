//! Holds the rows of `log_rows` to the sources: a new warning or error needs its row, and a row its
//! line.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::log_rows::{NODE, SIDECAR};

/// Level and first words of every warning and error in the sources.
fn in_sources() -> BTreeSet<(String, String)> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![top.join("src"), top.join("actors/src")];
    let packages = fs::read_dir(top.join("crates")).unwrap();
    folders.extend(packages.map(|package| package.unwrap().path().join("src")));
    let mut lines = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
                lines.extend(calls(product));
            }
        }
    }
    lines
}

/// The calls of `warn!` and `error!` with a literal.
fn calls(source: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for level in ["warn", "error"] {
        let call = format!("{level}!(");
        for (at, _) in source.match_indices(&call) {
            let before = source[..at].chars().next_back();
            let rest = source[at + call.len()..].trim_start();
            let Some(literal) = rest.strip_prefix('"') else { continue };
            if !before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
                found.push((level.to_owned(), first_words(literal)));
            }
        }
    }
    found
}

/// The literal to its first value.
fn first_words(literal: &str) -> String {
    let end = literal.find(['{', '"', '=', ':']).unwrap_or(literal.len());
    let words = &literal[..end];
    let words = match literal[end..].starts_with('=') {
        true => words.rsplit_once(' ').map_or("", |(words, _key)| words),
        false => words,
    };
    // A literal goes on in the next line behind a backslash.
    let words = words.replace('\\', " ").split_whitespace().collect::<Vec<_>>().join(" ");
    words.trim_end_matches([':', ',']).to_owned()
}

#[test]
fn every_warning_and_error_has_its_row_and_each_row_its_line() {
    let listed = SIDECAR.iter().chain(NODE);
    let listed: BTreeSet<_> =
        listed.map(|(level, words, _)| ((*level).to_owned(), (*words).to_owned())).collect();
    let found = in_sources();
    assert!(found.len() > 50, "the lines are found: {found:?}");
    let missing: Vec<_> = found.difference(&listed).collect();
    assert!(missing.is_empty(), "say in tests/reference/log_rows.rs what to do: {missing:#?}");
    let gone: Vec<_> = listed.difference(&found).collect();
    assert!(gone.is_empty(), "no source logs this any more: {gone:#?}");
}

#[test]
fn the_words_of_a_line_end_before_its_first_value() {
    for (literal, words) in [
        ("link down link={link}\"", "link down"),
        ("malformed frame, closing {self} error={}\"", "malformed frame, closing"),
        ("configuration: {}\"", "configuration"),
        (
            "new map is in force, \\\n     streams failed bucket={name}\"",
            "new map is in force, streams failed",
        ),
        ("the thread panicked\"", "the thread panicked"),
    ] {
        assert_eq!(first_words(literal), words);
    }
}
