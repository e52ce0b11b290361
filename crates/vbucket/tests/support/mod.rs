//! Captures of real nodes as lists of frames, and frames as text.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::path::Path;
use std::time::Duration;

use mcbp::Frame;

/// One line of a capture.
pub(crate) struct Line {
    pub(crate) at: Duration,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) what: String,
    pub(crate) bytes: Vec<u8>,
    /// What is special about it, or empty.
    pub(crate) note: String,
}

/// The frames of a capture, or `None` with a printed line where the folder is not there.
pub(crate) fn capture(name: &str) -> Option<Vec<Line>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/wire");
    let path = folder.join(format!("{name}.jsonl"));
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: no capture {name}");
        return None;
    };
    let line = |line: &str| {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        // The end of a connection is a line without a frame.
        json.get("hex")?;
        let string = |key: &str| json[key].as_str().unwrap().to_owned();
        let hex = string("hex");
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        Some(Line {
            at: Duration::from_secs_f64(json["t"].as_f64().unwrap()),
            from: string("from"),
            to: string("to"),
            what: string("what"),
            bytes: (0..hex.len()).step_by(2).map(byte).collect(),
            note: json["note"].as_str().unwrap_or_default().to_owned(),
        })
    };
    Some(text.lines().filter_map(line).collect())
}

/// Frames as text, all fields of them, for assertions that can be read.
pub(crate) fn text(frames: &[Vec<u8>]) -> Vec<String> {
    let one = |bytes: &Vec<u8>| {
        let frame = Frame::parse(bytes).unwrap();
        let header = frame.header;
        format!(
            "{:?} {} vb_or_status={:#x} opaque={} cas={:#x} datatype={} \
             extras={:02x?} key={:?} value={:02x?}",
            header.magic,
            header.opcode,
            header.vbucket_or_status,
            header.opaque,
            header.cas,
            header.datatype.0,
            frame.extras,
            String::from_utf8_lossy(frame.key),
            frame.value
        )
    };
    frames.iter().map(one).collect()
}
