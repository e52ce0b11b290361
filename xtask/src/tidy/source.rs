//! Rules about one Rust file.

use super::{Complaint, File};

const WIDTH_MAX: usize = 100;
const FILE_LINES_WARN: usize = 400;
const FILE_LINES_MAX: usize = 600;
/// The opening comment says what a file is; details belong to the items.
const OPENING_LINES_MAX: usize = 20;

/// Debts in comments; clippy finds those in code. Put together from halves, so that this file does
/// not complain about itself.
const DEBTS: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

pub(super) fn check(file: &File) -> Vec<Complaint> {
    let rules = [opening, length, lines, debts, sleeps, actor_addresses];
    rules.iter().flat_map(|rule| rule(file)).collect()
}

/// Whether all of the file is test code.
fn is_test(file: &File) -> bool {
    file.path.starts_with("tests/")
        || file.path.contains("/tests/")
        || file.path.ends_with("tests.rs")
}

/// How many lines precede the module of tests in the same file.
fn product_lines(file: &File) -> usize {
    if is_test(file) {
        return 0;
    }
    let lines: Vec<&str> = file.text.lines().collect();
    let opens_tests = |pair: &[&str]| {
        let [attribute, item] = pair else { return false };
        *attribute == "#[cfg(test)]" && item.starts_with("mod ") && item.ends_with('{')
    };
    lines.windows(2).position(opens_tests).unwrap_or(lines.len())
}

pub(super) fn opening(file: &File) -> Vec<Complaint> {
    match file.text.lines().take_while(|line| line.starts_with("//!")).count() {
        0 => vec![file.fail(1, "open the file with `//!`: what it is, what it never does")],
        1..=OPENING_LINES_MAX => Vec::new(),
        lines => vec![file.warn(1, format!("the opening comment has {lines} lines"))],
    }
}

pub(super) fn length(file: &File) -> Vec<Complaint> {
    let lines = product_lines(file);
    let text = format!("{lines} lines without tests, at most {FILE_LINES_WARN}: split the file");
    let complaint = match lines {
        _ if lines > FILE_LINES_MAX => Some(file.fail(1, text)),
        _ if lines > FILE_LINES_WARN => Some(file.warn(1, text)),
        _ => None,
    };
    complaint.into_iter().collect()
}

pub(super) fn lines(file: &File) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (number, line) in file.lines() {
        if let Some(found) = line.chars().find(|c| !c.is_ascii()) {
            complaints.push(file.fail(number, format!("{found:?} is not ASCII")));
        }
        let width = line.chars().count();
        if width > WIDTH_MAX {
            complaints.push(file.fail(number, format!("{width} columns, at most {WIDTH_MAX}")));
        }
    }
    complaints
}

pub(super) fn debts(file: &File) -> Vec<Complaint> {
    let complain = |(number, line): (usize, &str)| {
        let debt = DEBTS.iter().find(|debt| has_word(line, debt))?;
        Some(file.fail(number, format!("{debt}: do it now, or leave it out")))
    };
    file.lines().filter_map(complain).collect()
}

/// Tests wait for a condition with a deadline: a sleep is either too short or too long.
pub(super) fn sleeps(file: &File) -> Vec<Complaint> {
    let tests = file.lines().skip(product_lines(file));
    let sleeping = tests.filter(|(_, line)| has_word(line, "sleep("));
    let text = "a test sleeps: wait for the condition, with a deadline";
    sleeping.map(|(number, _)| file.fail(number, text)).collect()
}

/// The rest of the program holds handles, so that the actor framework stays replaceable.
pub(super) fn actor_addresses(file: &File) -> Vec<Complaint> {
    if !file.path.starts_with("actors/src/") {
        return Vec::new();
    }
    let is_public = |line: &str| line.trim_start().starts_with("pub ");
    let found = file.lines().filter(|(_, line)| is_public(line) && has_word(line, "Addr<"));
    found
        .map(|(number, _)| file.fail(number, "`Addr` in the public interface: hand out a handle"))
        .collect()
}

/// Whether `line` contains `word`, and not as a part of a longer one.
pub(super) fn has_word(line: &str, word: &str) -> bool {
    let in_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line.get(at + word.len()..).and_then(|text| text.chars().next());
        let word_ends = !word.ends_with(|c: char| c.is_alphanumeric());
        !in_word(before) && (word_ends || !in_word(after))
    })
}
