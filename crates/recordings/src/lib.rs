//! Reads the recorded data of real nodes in `tests/data`, for tests of the other packages.
//!
//! For dev-dependencies only. A missing or malformed file panics, so that no test passes without
//! its recording.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "for tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

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
    let frames = text.lines().enumerate().filter_map(|(at, text)| {
        let json = serde_json::from_str(text);
        line(&json.unwrap_or_else(|error| panic!("{name}.jsonl:{}: {error}", at + 1)))
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

fn line(json: &Value) -> Option<Line> {
    let hex = json.get("hex")?.as_str().unwrap();
    let string = |key: &str| json[key].as_str().unwrap().to_owned();
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    Some(Line {
        number: json["n"].as_u64().unwrap(),
        at: Duration::from_secs_f64(json["t"].as_f64().unwrap()),
        from: string("from"),
        to: string("to"),
        what: string("what"),
        note: json.get("note").map_or_else(String::new, |note| note.as_str().unwrap().to_owned()),
        bytes: (0..hex.len()).step_by(2).map(byte).collect(),
    })
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
