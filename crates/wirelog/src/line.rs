//! What a file holds, and how each of it is written.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The version of the format that this package writes.
const VERSION: u32 = 1;

/// How the note of a frame begins that was not passed on to the other side.
pub const WITHHELD: &str = "withheld";

/// One frame of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line<'a> {
    /// The number of the frame within its recording, from 1.
    pub n: u64,
    /// Time since the recording began.
    pub t: Duration,
    /// The sending connection: `consumer` or `producer` for a node, `proxy` for the sidecar's own
    /// frames.
    pub from: &'a str,
    /// The receiving connection.
    pub to: &'a str,
    /// The frame in a few words; see [`what`](crate::what()).
    pub what: String,
    /// A remark of the recorder.
    pub note: Option<&'a str>,
    /// The whole frame.
    pub frame: &'a [u8],
}

/// What made a file, and how: its first line, where the recorder wrote one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The version of the format.
    #[serde(default = "version")]
    pub version: u32,
    /// The program that recorded, with its version.
    #[serde(default)]
    pub program: String,
    /// What was recorded: the name of the link.
    #[serde(default)]
    pub link: String,
    /// What was replaced: `none`, `values` or `values,keys`.
    #[serde(default)]
    pub redaction: String,
    /// When the recording began: date and time as in RFC 3339.
    #[serde(default)]
    pub began: String,
    /// How many frames had been dropped before the first one of the file.
    #[serde(default)]
    pub dropped: u64,
}

const fn version() -> u32 {
    VERSION
}

impl Default for About {
    fn default() -> Self {
        let (program, link, redaction, began) = <(String, String, String, String)>::default();
        Self { version: VERSION, program, link, redaction, began, dropped: 0 }
    }
}

/// Appends the line of a frame, with its line end.
pub fn write(line: &Line<'_>, out: &mut Vec<u8>) {
    out.reserve(line.frame.len() * 2 + 128);
    begin(line.n, line.t, out);
    member("from", line.from, out);
    member("to", line.to, out);
    member("what", &line.what, out);
    out.extend_from_slice(b", \"hex\": \"");
    out.extend(line.frame.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0x0f)]));
    out.push(b'"');
    if let Some(note) = line.note {
        member("note", note, out);
    }
    out.extend_from_slice(b"}\n");
}

/// Appends the line that says that `from` closed its connection; `n` is the number of the last
/// frame before.
pub fn write_eof(n: u64, t: Duration, from: &str, out: &mut Vec<u8>) {
    begin(n, t, out);
    member("from", from, out);
    member("what", "EOF", out);
    out.extend_from_slice(b"}\n");
}

/// Appends the line that says that `frames` frames are missing here; `n` is the number of the last
/// frame before.
pub fn write_dropped(n: u64, t: Duration, frames: u64, out: &mut Vec<u8>) {
    begin(n, t, out);
    member("what", "DROPPED", out);
    out.extend_from_slice(format!(", \"frames\": {frames}}}\n").as_bytes());
}

/// Appends the line that says that of the data frames before it nothing is kept; `n` is the number
/// of the last frame before.
pub fn write_unkept(n: u64, t: Duration, out: &mut Vec<u8>) {
    begin(n, t, out);
    member("what", "UNKEPT", out);
    member("note", "of data frames before this nothing is kept: see ring_bytes of [capture]", out);
    out.extend_from_slice(b"}\n");
}

/// Appends the last line: how many frames the file has, how many are missing, and why it ends.
pub fn write_end(frames: u64, t: Duration, missing: u64, why: &str, out: &mut Vec<u8>) {
    begin(frames, t, out);
    member("what", "END", out);
    let counts = format!(", \"frames\": {frames}, \"missing\": {missing}");
    out.extend_from_slice(counts.as_bytes());
    member("note", why, out);
    out.extend_from_slice(b"}\n");
}

/// Appends the line that says what made the file. It belongs before every other line.
pub fn write_about(about: &About, out: &mut Vec<u8>) {
    out.extend_from_slice(
        format!("{{\"what\": \"CAPTURE\", \"version\": {}", about.version).as_bytes(),
    );
    member("program", &about.program, out);
    member("link", &about.link, out);
    member("redaction", &about.redaction, out);
    member("began", &about.began, out);
    out.extend_from_slice(format!(", \"dropped\": {}}}\n", about.dropped).as_bytes());
}

fn begin(n: u64, t: Duration, out: &mut Vec<u8>) {
    // Not as f64, whose digits would end in the error of its sum.
    let nanos = format!("{:09}", t.subsec_nanos());
    let fraction = match nanos.trim_end_matches('0') {
        "" => "0",
        digits => digits,
    };
    out.extend_from_slice(format!("{{\"n\": {n}, \"t\": {}.{fraction}", t.as_secs()).as_bytes());
}

fn member(key: &str, value: &str, out: &mut Vec<u8>) {
    let text = serde_json::Value::from(value).to_string();
    out.extend_from_slice(format!(", \"{key}\": {text}").as_bytes());
}

const fn digit(nibble: u8) -> u8 {
    match nibble {
        0..=9 => b'0' + nibble,
        _ => b'a' + nibble - 10,
    }
}
