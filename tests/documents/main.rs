//! Every command of the documents is run, as a reader pastes it; what they show is compared with
//! what comes.
//!
//! A block of `sh` runs in the same shell as the one before it on its page. A comment before a
//! block says where this differs: see [`blocks::Note`]. A block that cannot be run says why not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod blocks;
mod inline;
mod session;
mod shape;

use std::path::Path;
use std::process::Command;
use std::{fs, panic};

use blocks::{Block, Note};
use session::{Output, Session};

/// How many blocks may be left out. Run a new one, or say why it is worth a higher number.
const NOT_RUN_MAX: usize = 20;

/// The pages, by their path, with their blocks.
fn pages() -> Vec<(String, Vec<Block>)> {
    texts().into_iter().map(|(path, text)| (path, blocks::of(&text))).collect()
}

/// The pages, by their path.
fn texts() -> Vec<(String, String)> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_dir(top.join("docs")).unwrap();
    let docs = docs.map(|entry| format!("docs/{}", entry.unwrap().file_name().display()));
    let mut paths: Vec<_> = docs.filter(|path| path.ends_with(".md")).collect();
    paths.extend(["README.md", "CONTRIBUTING.md"].map(str::to_owned));
    paths.sort_unstable();
    let read = |path: String| {
        let text = fs::read_to_string(top.join(&path)).unwrap();
        (path, text)
    };
    paths.into_iter().map(read).collect()
}

/// The sessions of a page.
fn sessions<'a>(pages: &'a [(String, Vec<Block>)], page: &str) -> Vec<Session<'a>> {
    let (_, blocks) = pages.iter().find(|(path, _)| path == page).unwrap();
    let mut sessions = vec![Session { before: None, blocks: Vec::new() }];
    for block in blocks {
        let is_shown = matches!(block.note, Some(Note::Prints | Note::File(_)));
        let is_left_out = matches!(block.note, Some(Note::NotRun(_)));
        if is_left_out || !(block.language == "sh" || is_shown) {
            continue;
        }
        if let Some(Note::NewShell(after)) = &block.note {
            let before = after.as_ref().map(|link| named(pages, link));
            sessions.push(Session { before, blocks: Vec::new() });
        }
        sessions.last_mut().unwrap().blocks.push(block);
    }
    sessions.retain(|session| !session.blocks.is_empty());
    sessions
}

/// The first block of a heading, by a link to it.
fn named<'a>(pages: &'a [(String, Vec<Block>)], link: &str) -> &'a Block {
    let (page, anchor) = link.split_once('#').unwrap_or_else(|| panic!("{link}: no anchor"));
    let (_, blocks) =
        pages.iter().find(|(path, _)| path == page).unwrap_or_else(|| panic!("{link}"));
    let of_it = |block: &&Block| block.anchor == anchor && block.language == "sh";
    blocks.iter().find(of_it).unwrap_or_else(|| panic!("{link}: no block there"))
}

/// Runs the sessions of a page, and returns what each wrote; nothing where a tool is missing.
fn run(page: &str) -> Vec<Output> {
    for tool in ["curl", "python3", "xxd"] {
        if Command::new(tool).arg("--version").output().is_err() {
            eprintln!("skipped: {tool} is not installed");
            return Vec::new();
        }
    }
    let pages = pages();
    let sessions = sessions(&pages, page);
    assert!(!sessions.is_empty(), "{page} has no block to run: take it off the list");
    sessions.iter().map(|session| session.run(page)).collect()
}

macro_rules! run {
    ($($test:ident $page:literal,)+) => {
        /// The pages that are run, each by a test of its own.
        const RUN: &[&str] = &[$($page),+];
        $(#[test] fn $test() { run($page); })+
    };
}

run! {
    admin_api "docs/admin-api.md",
    capture "docs/capture.md",
    couchbase "docs/couchbase.md",
    explain "docs/explain.md",
    first_hour "docs/first-hour.md",
    format "docs/format.md",
    replay "docs/replay.md",
    security "docs/security.md",
    sizing "docs/sizing.md",
    tail "docs/tail.md",
    troubleshooting "docs/troubleshooting.md",
    upgrade "docs/upgrade.md",
    verification "docs/verification.md",
}

#[test]
fn the_readmes_own_nodes_work_pasted_line_by_line() {
    let outputs = run("README.md");
    let Some(Output { out, log }) =
        outputs.iter().find(|it| it.out.contains("proxy.toml is valid:"))
    else {
        assert!(outputs.is_empty(), "the nodes of one's own");
        return;
    };
    assert!(out.contains(r#"{"ready":true}"#), "{out}");
    let row: Vec<_> =
        out.lines().find(|line| line.starts_with("default ")).unwrap().split_whitespace().collect();
    assert_eq!(row[4..7], ["1024", "1024", "0"], "streams, open, failed: {out}");
    assert!(out.contains("1,000 sample documents written"), "{out}");
    assert!(out.contains("bucket default: 10 vBuckets, 10 replica, "), "{out}");
    assert!(!log.contains("warning:"), "{log}");
}

/// No block is forgotten: each runs, or is listed here with the reason why not.
#[test]
fn every_block_is_run_or_says_why_not() {
    let mut left_out = Vec::new();
    for (page, blocks) in pages() {
        let is_run = page == "README.md" || RUN.contains(&page.as_str());
        for block in &blocks {
            let at = format!("{page}:{}", block.line);
            match (&block.note, block.language.as_str()) {
                (Some(Note::NotRun(reason)), _) => {
                    assert!(reason.len() > 9, "{at}: say why it is not run");
                    left_out.push(format!("{at}: {reason}"));
                }
                (_, "sh" | "bash" | "shell" | "console") => {
                    assert!(block.language == "sh", "{at}: call its language sh");
                    assert!(is_run, "{at}: run the page in tests/documents, or say why not");
                }
                (Some(Note::File(_)), _) => assert!(is_run, "{at}: the page is not run"),
                (Some(note), language) => {
                    let fits = *note == Note::Prints && language == "text";
                    assert!(fits, "{at}: {note:?} before a block of {language:?}");
                }
                _ => {}
            }
        }
    }
    println!("{} blocks are not run:\n{}", left_out.len(), left_out.join("\n"));
    assert!(left_out.len() <= NOT_RUN_MAX, "{left_out:#?}");
}

#[test]
fn commands_in_the_text_exist() {
    let wrong = texts().into_iter().flat_map(|(path, text)| {
        inline::unknown(&text).into_iter().map(move |flaw| format!("{path}:{flaw}"))
    });
    let wrong: Vec<_> = wrong.collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
