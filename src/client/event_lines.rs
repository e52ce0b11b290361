//! The lines of the subcommand `events`, for people and for programs.

use std::io::{self, Write};

use serde::Deserialize;
use serde_json::Value;

use super::plain::plain;

/// An event or a gap, as far as it is printed for people.
#[derive(Deserialize)]
struct Shown {
    #[serde(default)]
    time: String,
    #[serde(default)]
    level: String,
    kind: String,
    bucket: Option<String>,
    link: Option<String>,
    node: Option<String>,
    vbuckets: Option<String>,
    #[serde(default)]
    more: u64,
    #[serde(default)]
    text: String,
}

/// Prints events to `out`.
pub(super) struct Printer<W> {
    pub(super) out: W,
    /// As the sidecar sends them, for programs.
    pub(super) json: bool,
}

impl<W: Write> Printer<W> {
    /// Prints the answer that is a list.
    pub(super) fn list(&mut self, answer: &Value) -> io::Result<()> {
        let events = answer.get("events").and_then(Value::as_array).into_iter().flatten();
        let gap = answer.get("gap").filter(|gap| !gap.is_null());
        let gap = gap.cloned().map(|mut gap| {
            if let Some(gap) = gap.as_object_mut() {
                gap.insert("kind".to_owned(), Value::from("gap"));
            }
            gap
        });
        gap.iter().chain(events).try_for_each(|event| self.value(event))
    }

    /// Prints the data of one event.
    pub(super) fn event(&mut self, data: &str) -> io::Result<()> {
        match serde_json::from_str(data) {
            Ok(value) => self.value(&value),
            Err(error) => writeln!(self.out, "an event that is not JSON: {error}"),
        }
    }

    fn value(&mut self, value: &Value) -> io::Result<()> {
        let line = match Shown::deserialize(value) {
            Ok(shown) if !self.json => shown.line(),
            _ => value.to_string(),
        };
        writeln!(self.out, "{line}")?;
        self.out.flush()
    }
}

impl Shown {
    /// One line: time, level, kind, whom it concerns, text.
    fn line(&self) -> String {
        let Self { time, level, kind, bucket, node, vbuckets, text, more, .. } = self;
        if kind == "gap" {
            return plain(&format!("-- {text}"));
        }
        let mut line = format!("{time} {:<5} {kind}", level.to_uppercase());
        // The name of a link has the bucket in it.
        let whom = [&self.link, if self.link.is_none() { bucket } else { &None }, node];
        for name in whom.into_iter().flatten() {
            line.push_str(&format!(" {name}"));
        }
        if let Some(set) = vbuckets {
            line.push_str(&format!(" vb {set}"));
        }
        if *more > 0 {
            line.push_str(&format!(" ({more} more)"));
        }
        plain(&format!("{line}: {text}"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_line_for_each_event() {
        let mut out = Vec::new();
        let answer = json!({
            "gap": { "missed": 7, "reason": "forgotten", "text": "7 events were missed" },
            "events": [
                {
                    "id": "a-8", "seq": 8, "time": "2026-11-29T01:02:03.004Z", "level": "warn",
                    "kind": "stream-failed", "bucket": "default", "link": "a->b:c",
                    "node": null, "vbuckets": "7", "more": 0, "text": "failed reason=\"x\u{1b}\"",
                },
                {
                    "id": "a-9", "seq": 9, "time": "2026-11-29T01:02:04.004Z", "level": "info",
                    "kind": "moved", "bucket": "default", "link": null, "node": "alpha",
                    "vbuckets": "20-1023", "more": 1004, "text": "others",
                },
                { "time": "2026-11-29T01:02:05.004Z", "kind": "later-word", "text": "x" },
            ],
            "next": "a-9",
        });
        let mut printer = Printer { out: &mut out, json: false };
        printer.list(&answer).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r#"
        -- 7 events were missed
        2026-11-29T01:02:03.004Z WARN  stream-failed a->b:c vb 7: failed reason="x "
        2026-11-29T01:02:04.004Z INFO  moved default alpha vb 20-1023 (1004 more): others
        2026-11-29T01:02:05.004Z       later-word: x
        "#);
    }
}
