//! Text that fits a terminal: cut and wrapped by its width in cells. Pure.

use indicatif::{BinaryBytes, DecimalBytes, HumanCount};
use jiff::Timestamp;
use ratatui_core::style::Style;
use ratatui_core::text::Span;

pub(super) use crate::client::plain::plain;
use crate::client::show;

/// Shown for what is not known.
pub(super) const UNKNOWN: &str = "?";
/// Ends a text that was cut.
pub(super) const CUT: &str = "\u{2026}";
/// A line is drawn with it.
pub(super) const RULE: &str = "\u{2500}";
/// The levels of a sample, the lowest first: blocks of an eighth of a cell up to a whole one.
pub(super) const LEVELS: [&str; 8] = [
    "\u{2581}", "\u{2582}", "\u{2583}", "\u{2584}", "\u{2585}", "\u{2586}", "\u{2587}", "\u{2588}",
];

/// How many cells it takes.
pub(super) fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// As much of it as fits, with a sign at the end where something is missing.
pub(super) fn cut(text: &str, max: usize) -> String {
    if width(text) <= max {
        return text.to_owned();
    }
    let Some(room) = max.checked_sub(width(CUT)) else { return String::new() };
    head(text, room).0 + CUT
}

/// The begin of it that fits, and the length of that in bytes.
fn head(text: &str, max: usize) -> (String, usize) {
    let (mut taken, mut left) = (String::new(), max);
    for part in Span::raw(text).styled_graphemes(Style::default()) {
        let Some(rest) = left.checked_sub(width(part.symbol)) else { break };
        left = rest;
        taken.push_str(part.symbol);
    }
    let length = taken.len();
    (taken, length)
}

/// It, padded to this width or cut to it.
pub(super) fn left(text: &str, columns: usize) -> String {
    let text = cut(text, columns);
    let pad = columns.saturating_sub(width(&text));
    text + &" ".repeat(pad)
}

/// The same, aligned to the right.
pub(super) fn right(text: &str, columns: usize) -> String {
    let text = cut(text, columns);
    " ".repeat(columns.saturating_sub(width(&text))) + &text
}

/// Lines of at most this width, broken between words where that is possible.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split_whitespace() {
        let gap = usize::from(!line.is_empty());
        if width(&line) + gap + width(word) > columns && !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        let mut rest = word;
        while width(rest) > columns {
            let (part, length) = head(rest, columns);
            // A character that is wider than the line.
            if length == 0 {
                return lines;
            }
            lines.push(part);
            rest = rest.get(length..).unwrap_or_default();
        }
        line.push_str(rest);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// A time of the sidecar: the time of day, with the date where that is another one than `today`.
pub(super) fn time(at: &str, today: Option<&str>) -> String {
    let (Some(date), Some(clock)) = (at.get(..10), at.get(11..19)) else { return plain(at) };
    match today.and_then(|today| today.get(..10)) {
        Some(today) if today == date => plain(clock),
        _ => plain(&format!("{date} {clock}")),
    }
}

/// Since when and how long that is, by the clock of the sidecar.
pub(super) fn since(since: Option<&str>, now: Option<&str>) -> String {
    let Some(since) = since else { return format!("since {UNKNOWN}") };
    let parse = |text: &str| text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond);
    let age = now.and_then(parse).zip(parse(since)).map(|(now, since)| now.saturating_sub(since));
    let age = age.and_then(|age| u64::try_from(age).ok());
    let age = age.map(|age| format!(" ({})", show::ms(age))).unwrap_or_default();
    format!("since {}{age}", time(since, now))
}

/// A duration; unknown where there is none.
pub(super) fn ms(ms: Option<u64>) -> String {
    ms.map_or(UNKNOWN.to_owned(), show::ms)
}

/// A number; unknown where there is none.
pub(super) fn count(count: Option<u64>) -> String {
    count.map_or(UNKNOWN.to_owned(), |count| HumanCount(count).to_string())
}

/// A size; unknown where there is none.
pub(super) fn bytes(bytes: Option<u64>) -> String {
    bytes.map_or(UNKNOWN.to_owned(), |bytes| BinaryBytes(bytes).to_string())
}

/// Bytes in a second; unknown where there is none.
pub(super) fn bytes_rate(rate: Option<f64>) -> String {
    whole(rate).map_or(UNKNOWN.to_owned(), |rate| format!("{}/s", DecimalBytes(rate)))
}

/// Things in a second; unknown where there is none.
pub(super) fn rate(rate: Option<f64>) -> String {
    whole(rate).map_or(UNKNOWN.to_owned(), |rate| format!("{}/s", HumanCount(rate)))
}

/// A rate without its fraction. One that is not a number is not known.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in the range")]
fn whole(rate: Option<f64>) -> Option<u64> {
    rate.filter(|rate| rate.is_finite() && *rate >= 0.0).map(|rate| rate.round() as u64)
}

/// A lag of which `unknown` parts are not known: it is at least that large then.
pub(super) fn lag(known: Option<String>, unknown: Option<u64>) -> String {
    match (known, unknown) {
        (Some(lag), Some(0)) => lag,
        (Some(lag), _) => format!(">={lag}"),
        (None, _) => UNKNOWN.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_take_two_cells() {
        for (text, columns, expected) in [
            ("alpha", 5, "alpha"),
            ("alpha", 4, "alp\u{2026}"),
            ("alpha", 1, "\u{2026}"),
            ("alpha", 0, ""),
            ("\u{7bc0}\u{70b9}\u{4e00}", 6, "\u{7bc0}\u{70b9}\u{4e00}"),
            ("\u{7bc0}\u{70b9}\u{4e00}", 5, "\u{7bc0}\u{70b9}\u{2026}"),
            ("\u{7bc0}\u{70b9}\u{4e00}", 4, "\u{7bc0}\u{2026}"),
            ("e\u{301}te\u{301}", 2, "e\u{301}\u{2026}"),
        ] {
            assert_eq!(cut(text, columns), expected, "{text} in {columns}");
            assert!(width(&cut(text, columns)) <= columns);
            assert_eq!(width(&left(text, columns)), columns);
            assert_eq!(width(&right(text, columns)), columns);
        }
    }

    #[test]
    fn lines_break_between_words_and_long_words_within() {
        for (text, columns, lines) in [
            ("one two three", 7, vec!["one two", "three"]),
            ("one  two", 20, vec!["one two"]),
            ("abcdefgh ij", 3, vec!["abc", "def", "gh", "ij"]),
            ("\u{7bc0}\u{70b9}\u{4e00}", 4, vec!["\u{7bc0}\u{70b9}", "\u{4e00}"]),
            ("\u{7bc0}", 1, vec![]),
            ("", 5, vec![]),
            ("ab", 0, vec![]),
        ] {
            assert_eq!(wrap(text, columns), lines, "{text} in {columns}");
        }
    }

    #[test]
    fn times_have_their_date_where_it_is_another_day() {
        let now = Some("2026-11-29T01:02:03.004Z");
        assert_eq!(since(Some("2026-11-29T01:00:03.004Z"), now), "since 01:00:03 (2 min 0 s)");
        let shown = since(Some("2026-11-28T01:02:03.004Z"), now);
        assert_eq!(shown, "since 2026-11-28 01:02:03 (24 h 0 min)");
        assert_eq!(since(None, now), "since ?");
        assert_eq!(since(Some("soon\u{1b}"), now), "since soon ");
        // A clock that was set back has no age.
        assert_eq!(since(Some("2026-11-29T01:02:04Z"), now), "since 01:02:04");
    }

    #[test]
    fn what_is_not_known_is_no_number() {
        assert_eq!((ms(None), count(None), bytes(None)), ("?".into(), "?".into(), "?".into()));
        assert_eq!((rate(Some(f64::NAN)), bytes_rate(None)), ("?".into(), "?".into()));
        assert_eq!(rate(Some(1234.5)), "1,235/s");
        assert_eq!(lag(Some("5 ms".into()), Some(0)), "5 ms");
        assert_eq!(lag(Some("5 ms".into()), Some(3)), ">=5 ms");
        assert_eq!(lag(Some("5 ms".into()), None), ">=5 ms");
        assert_eq!(lag(None, Some(0)), "?");
    }
}
