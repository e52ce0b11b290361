//! What `replay` prints: results to standard output, remarks to standard error.

use std::collections::BTreeSet;
use std::io::{self, Write as _};

use mcbp::VbId;
use serde_json::json;

use super::machine::Report;
use super::recording::Recording;
use crate::client::write;

/// Differences that are printed; more would repeat the same cause.
const DIFFERENCES_MAX: usize = 50;

/// Where results go, and how.
pub(crate) struct Output {
    is_json: bool,
}

impl Output {
    pub(crate) const fn new(is_json: bool) -> Self {
        Self { is_json }
    }

    /// Something that is to be known of the run: to standard error, or as JSON with the results.
    pub(crate) fn remark(&self, text: &str) {
        self.say("remark", text);
    }

    /// Why there is no result.
    pub(crate) fn error(&self, text: &str) {
        self.say("error", text);
    }

    /// If this fails, nobody can be told.
    fn say(&self, member: &str, text: &str) {
        if self.is_json {
            _ = write(format!("{}\n", json!({ member: text })));
        } else {
            _ = writeln!(io::stderr().lock(), "{text}");
        }
    }

    /// What the file says of itself, and what is missing in it.
    pub(crate) fn remarks(&self, recording: &Recording) {
        if let Some(about) = &recording.about {
            let wirelog::About { program, link, redaction, began, .. } = about;
            self.remark(&format!(
                "recorded by {program}, link {link}, {began}; replaced: {redaction}"
            ));
        }
        if recording.dropped > 0 {
            let dropped = recording.dropped;
            self.remark(&format!(
                "{dropped} frames were dropped when it was recorded: expect differences"
            ));
        }
        if recording.tail > 0 {
            let tail = recording.tail;
            let text = "frames of an earlier connection, before the first opening, are left out";
            self.remark(&format!("{tail} {text}"));
        }
        if let Some(n) = recording.unkept {
            self.remark(&format!(
                "up to frame {n} only control frames are in the file: data frames of that time \
                 were not kept, and are not compared"
            ));
        }
        if recording.about.is_some() && recording.end.is_none() {
            self.remark(
                "the file has no last line: its capture was interrupted, or the file is cut off",
            );
        }
        if recording.others > 0 {
            self.remark(&format!("{} frames of other connections are left out", recording.others));
        }
    }

    /// The streams that were open when the recording began.
    pub(crate) fn assumed(&self, vbs: &BTreeSet<VbId>) {
        if !vbs.is_empty() {
            let list = vbs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            self.remark(&format!("not opened in the recording, so opened first: {list}"));
        }
    }

    /// What the machine did, and how it ended.
    pub(crate) fn report(&self, report: &Report, all: bool) -> io::Result<()> {
        let mut text = String::new();
        for row in report.rows.iter().filter(|row| all || row.is_judged) {
            let (n, t) = (row.n, row.t);
            if self.is_json {
                let line = json!({ "n": n, "t": t, "text": row.text.trim_start() });
                text += &format!("{line}\n");
            } else {
                text += &format!("{n:>6} {t:>10.4}  {}\n", row.text);
            }
        }
        if self.is_json {
            text += &format!("{}\n", json!({ "end": report.end }));
        } else {
            text += &format!("at the end: {}\n", report.end.join("; "));
        }
        write(text).map(drop)
    }

    /// What the sidecar logged.
    pub(crate) fn log(&self, lines: &[String]) -> io::Result<()> {
        let each = lines.iter().map(|line| match self.is_json {
            true => format!("{}\n", json!({ "log": line })),
            false => format!("sidecar: {line}\n"),
        });
        write(each.collect::<String>()).map(drop)
    }

    /// The differences, or that there is none.
    pub(crate) fn result(&self, differences: &[String], matched: Option<u64>) -> io::Result<()> {
        if self.is_json {
            let same = differences.is_empty();
            let line = json!({ "same": same, "matched": matched, "differences": differences });
            return write(format!("{line}\n")).map(drop);
        }
        let count =
            matched.map_or_else(String::new, |count| format!(" ({count} frames as recorded)"));
        let mut text = String::new();
        for difference in differences.iter().take(DIFFERENCES_MAX) {
            text += &format!("differs: {difference}\n");
        }
        let more = differences.len().saturating_sub(DIFFERENCES_MAX);
        if more > 0 {
            text += &format!("{more} more\n");
        }
        text += &match differences.len() {
            0 => format!("same behaviour{count}\n"),
            1 => format!("1 difference{count}\n"),
            many => format!("{many} differences{count}\n"),
        };
        write(text).map(drop)
    }
}
