//! One log line, as logfmt or as JSON, of bounded length.

use std::fmt::{Display, Write as _};
use std::str::FromStr;

use log::Level;
use logline::{Field, is_bare, push_escaped, split};

/// The longest line, in bytes, its newline included: what Linux writes to a pipe in one piece
/// (PIPE_BUF), so that lines of several writers do not mix.
pub(crate) const LINE_BYTES_MAX: usize = 4096;
/// The longest message that is formatted; escapes may make more of it, and the line is cut then.
pub(crate) const MESSAGE_BYTES_MAX: usize = LINE_BYTES_MAX - 256;
/// The longest value, in bytes.
const VALUE_BYTES_MAX: usize = 3072;
/// What is kept free for the end of a line: the mark of a cut, and the field that says so.
const END_BYTES: usize = 32;
/// Room for a field besides its key; with less, the rest of the line is left out.
const PAIR_BYTES_MIN: usize = 16;
/// Keys of the line itself; a field of a message with one of these names gets an underscore.
const RESERVED: [&str; 4] = ["time", "level", "target", "msg"];

/// How a line is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Format {
    /// `time=... level=INFO target=... msg="..." key=value`.
    #[default]
    Logfmt,
    /// One JSON object a line, with the same keys.
    Json,
}

impl Format {
    /// The names of the formats, as the command line and the configuration give them.
    pub const NAMES: [&'static str; 2] = [Self::Logfmt.name(), Self::Json.name()];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Logfmt => "logfmt",
            Self::Json => "json",
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let wrong = || format!("{name:?} is not a format: give {}", Self::NAMES.join(" or "));
        [Self::Logfmt, Self::Json].into_iter().find(|it| it.name() == name).ok_or_else(wrong)
    }
}

/// What a line says, besides its message.
pub(crate) struct Head<'a> {
    /// The time, as RFC 3339.
    pub(crate) time: &'a dyn Display,
    pub(crate) level: Level,
    /// The package that logged it.
    pub(crate) target: &'a str,
    /// What a terminal needs before and after the level to color it; empty without colors.
    pub(crate) color: (String, String),
}

/// Returns the line with its newline, at most [`LINE_BYTES_MAX`] bytes but for colors.
pub(crate) fn line(format: Format, head: &Head<'_>, message: &str) -> String {
    let (words, fields) = split(message);
    let Head { time, level, target, color: (color, plain) } = head;
    let text = match format {
        Format::Logfmt => {
            format!("time={time} {color}level={level}{plain} target={target} msg=")
        }
        Format::Json => {
            format!(r#"{{"time":"{time}","level":"{level}","target":"{target}","msg":"#)
        }
    };
    let mut line = Line { format, text };
    line.push_string(words);
    for Field { key, value, is_quoted } in fields {
        if line.room() < key.len() + PAIR_BYTES_MIN {
            line.push_key("truncated");
            line.text.push_str("true");
            break;
        }
        line.push_key(key);
        if !is_quoted && line.takes_bare(&value) {
            line.text.push_str(&value);
        } else {
            line.push_string(&value);
        }
    }
    if format == Format::Json {
        line.text.push('}');
    }
    line.text.push('\n');
    line.text
}

struct Line {
    format: Format,
    text: String,
}

impl Line {
    /// How many bytes may be appended.
    fn room(&self) -> usize {
        (LINE_BYTES_MAX - END_BYTES).saturating_sub(self.text.len())
    }

    fn push_key(&mut self, key: &str) {
        let mark = if RESERVED.contains(&key) { "_" } else { "" };
        // Writing to a string does not fail.
        _ = match self.format {
            Format::Logfmt => write!(self.text, " {key}{mark}="),
            Format::Json => write!(self.text, r#","{key}{mark}":"#),
        };
    }

    fn push_string(&mut self, value: &str) {
        self.text.push('"');
        let room = self.room().min(VALUE_BYTES_MAX);
        push_escaped(&mut self.text, value, room);
        self.text.push('"');
    }

    /// Whether a value needs no quotes: in JSON only a number or a truth value.
    fn takes_bare(&self, value: &str) -> bool {
        let has_type = match self.format {
            Format::Logfmt => is_bare(value),
            Format::Json => is_number(value) || matches!(value, "true" | "false"),
        };
        has_type && value.len() < self.room()
    }
}

/// Whether `value` is a whole number that JSON takes, and that readers do not round.
fn is_number(value: &str) -> bool {
    const EXACT_DIGITS_MAX: usize = 15;
    let digits = value.strip_prefix('-').unwrap_or(value);
    (1..=EXACT_DIGITS_MAX).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(format: Format, message: &str) -> String {
        let color = (String::new(), String::new());
        let head = Head { time: &"T", level: Level::Warn, target: "relay", color };
        line(format, &head, message)
    }

    #[test]
    fn the_same_line_in_both_formats() {
        let message = "link down link=alpha/1 times=3 up=false at=007 reason=\"a \\\"b\\\"\"";
        assert_eq!(
            write(Format::Logfmt, message),
            "time=T level=WARN target=relay msg=\"link down\" link=alpha/1 times=3 up=false at=007 \
             reason=\"a \\\"b\\\"\"\n"
        );
        assert_eq!(
            write(Format::Json, message),
            "{\"time\":\"T\",\"level\":\"WARN\",\"target\":\"relay\",\"msg\":\"link down\",\
             \"link\":\"alpha/1\",\"times\":3,\"up\":false,\"at\":\"007\",\
             \"reason\":\"a \\\"b\\\"\"}\n"
        );
    }

    #[test]
    fn no_message_forges_a_line_or_a_field_of_the_line_itself() {
        let hostile = "a\ntime=X level=ERROR msg=\"b\" \u{1b}[2J\r level=ERROR";
        let line = write(Format::Logfmt, hostile);
        assert_eq!(
            line,
            "time=T level=WARN target=relay msg=\"a\\ntime=X level=ERROR msg=\\\"b\\\" \
             \\u001b[2J\\r\" level_=ERROR\n"
        );
        let object = write(Format::Json, hostile);
        let object: serde_json::Value = serde_json::from_str(&object).unwrap();
        assert_eq!(object["level"], "WARN");
    }

    #[test]
    fn every_line_is_short_and_valid() {
        let (long, control) = ("x".repeat(100_000), "\u{1}".repeat(100_000));
        let many = format!("many {}", "key=value ".repeat(5000).trim_end());
        let messages = [
            long.clone(),
            control.clone(),
            format!("long name={long} more=1"),
            format!("control name={} more=\"{control}\" last=1", logline::value(&control)),
            many,
        ];
        for message in messages {
            for format in [Format::Logfmt, Format::Json] {
                let line = write(format, &message);
                assert!(line.len() <= LINE_BYTES_MAX, "{}: {line}", line.len());
                assert_eq!(line.matches('\n').count(), 1);
                if format == Format::Json {
                    serde_json::from_str::<serde_json::Value>(&line).unwrap();
                }
            }
        }
    }
}
