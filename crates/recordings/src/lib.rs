//! Reads the recorded data of real nodes in `tests/data`, for tests of the other packages.
//!
//! For dev-dependencies only. A missing or malformed file panics, so that no test passes without
//! its recording.
#![allow(clippy::unwrap_used, reason = "for tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use wirelog::{Reader, Record, Recorded};

/// One frame of a capture.
#[derive(Debug, Clone)]
pub struct Line {
    /// Number of the frame within its capture, from 1.
    pub number: u64,
    /// Time since the capture began.
    pub at: Duration,
    /// Name of the sending connection, e.g. `consumer`, `producer`, `proxy` or `client`.
    pub from: String,
    /// Name of the receiving connection.
    pub to: String,
    /// Name of the opcode, and what else the recorder showed of the frame.
    pub what: String,
    /// Remark of the recorder, or empty.
    pub note: String,
    /// The whole frame.
    pub bytes: Vec<u8>,
}

impl From<Recorded> for Line {
    fn from(read: Recorded) -> Self {
        Self {
            number: read.n,
            at: read.t,
            from: read.from,
            to: read.to,
            what: read.what,
            note: read.note.unwrap_or_default(),
            bytes: read.frame,
        }
    }
}

/// All frames of one recording.
#[derive(Debug, Clone)]
pub struct Capture {
    /// Name of the file, without its ending.
    pub name: String,
    /// The frames, in the order in which the recorder saw them.
    pub lines: Vec<Line>,
}

/// Returns the frames of `tests/data/wire/<name>.jsonl`.
///
/// Lines that record the end of a connection hold no frame and are left out.
///
/// # Panics
/// If the file is missing or malformed.
#[must_use]
pub fn capture(name: &str) -> Vec<Line> {
    let text = read("wire", &format!("{name}.jsonl"));
    let frames = Reader::new(text.as_bytes()).filter_map(|record| {
        match record.unwrap_or_else(|error| panic!("{name}.jsonl: {error}")) {
            Record::Frame(frame) => Some(frame.into()),
            _ => None,
        }
    });
    frames.collect()
}

/// Returns every capture, in the order of their names.
///
/// # Panics
/// If there is none, or one is malformed.
#[must_use]
pub fn captures() -> Vec<Capture> {
    let folder = folder("wire");
    let entries = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("no recordings in {}: {error}", folder.display()));
    let name = |path: PathBuf| Some(path.file_name()?.to_str()?.strip_suffix(".jsonl")?.to_owned());
    let mut names: Vec<String> = entries.filter_map(|entry| name(entry.unwrap().path())).collect();
    assert!(!names.is_empty(), "no recordings in {}", folder.display());
    names.sort();
    let captures = names.into_iter().map(|name| Capture { lines: capture(&name), name });
    captures.collect()
}

/// Returns the text of `tests/data/stats/<file>`.
///
/// # Panics
/// If the file is missing.
#[must_use]
pub fn stats(file: &str) -> String {
    read("stats", file)
}

/// Returns the text of `tests/data/vectors/<file>`.
///
/// # Panics
/// If the file is missing.
#[must_use]
pub fn vectors(file: &str) -> String {
    read("vectors", file)
}

fn read(kind: &str, file: &str) -> String {
    let path = folder(kind).join(file);
    fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("recording {} cannot be read: {error}", path.display()))
}

fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data").join(kind)
}

#[cfg(test)]
mod tests {
    //! What is there is read; what is missing is not passed over.

    use super::*;

    #[test]
    fn every_capture_holds_frames() {
        for capture in captures() {
            assert!(!capture.lines.is_empty(), "{}", capture.name);
            let is_whole = |line: &Line| line.bytes.len() >= 24 && line.number > 0;
            assert!(capture.lines.iter().all(is_whole), "{}", capture.name);
        }
    }

    #[test]
    #[should_panic(expected = "no-such-capture.jsonl cannot be read")]
    fn a_missing_capture_fails_its_test() {
        let _ = capture("no-such-capture");
    }

    #[test]
    #[should_panic(expected = "no-such-group.txt cannot be read")]
    fn a_missing_group_fails_its_test() {
        let _ = stats("no-such-group.txt");
    }
}
