//! JSON that is passed on as it is, on one line.

use std::io;

use memchr::{memchr, memchr2, memchr3};
use serde::de::IgnoredAny;

/// Whether it has line ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    OneLine,
    SeveralLines,
}

/// Deeper values are an error for readers that take 127 levels, as serde_json does: two more are of
/// the line and its attributes.
const DEPTH_MAX: usize = 125;

/// Checks that the bytes are one JSON value that programs can read; `None` where they are not.
pub(super) fn check(bytes: &[u8]) -> Option<Shape> {
    let text = std::str::from_utf8(bytes).ok()?;
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    // Most documents have none of them, and are not looked at again.
    let is_plain = memchr3(b'\n', b'\r', b'\\', bytes).is_none();
    let has_escapes = !is_plain && memchr(b'\\', bytes).is_some();
    if (has_escapes || opens(bytes) > DEPTH_MAX) && !is_readable(bytes) {
        return None;
    }
    let is_several = !is_plain && memchr2(b'\n', b'\r', bytes).is_some();
    Some(if is_several { Shape::SeveralLines } else { Shape::OneLine })
}

/// How many arrays and objects it opens at most, those within strings included.
fn opens(json: &[u8]) -> usize {
    /// `[` and `{` differ in this bit alone.
    const CASE: u8 = b'[' ^ b'{';
    // As many as a byte can count, so that many are counted at a time.
    let opens = json
        .chunks(usize::from(u8::MAX))
        .map(|chunk| chunk.iter().fold(0_u8, |count, byte| count + u8::from(byte | CASE == b'{')));
    opens.map(usize::from).sum()
}

/// Whether JSON is neither deeper than [`DEPTH_MAX`] nor has half a surrogate pair, which is no
/// text: the grammar allows both, and many programs do not.
fn is_readable(json: &[u8]) -> bool {
    let (mut rest, mut depth, mut is_string) = (json, 0_usize, false);
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, is_string) {
            (b'"', _) => is_string = !is_string,
            (b'\\', true) => match after_escape(tail) {
                Some(tail) => rest = tail,
                None => return false,
            },
            (b'[' | b'{', false) => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return false;
                }
            }
            (b']' | b'}', false) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

/// What follows an escape, after its backslash; `None` after half a surrogate pair.
fn after_escape(escape: &[u8]) -> Option<&[u8]> {
    let unit = |text: &[u8]| {
        let digits = text.strip_prefix(b"u")?.get(..4)?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    match unit(escape) {
        None => escape.get(1..),
        Some(0xd800..=0xdbff) => {
            let low = escape.get(5..)?.strip_prefix(b"\\")?;
            matches!(unit(low), Some(0xdc00..=0xdfff)).then(|| low.get(5..))?
        }
        Some(0xdc00..=0xdfff) => None,
        Some(_) => escape.get(5..),
    }
}

/// Writes checked JSON without its line ends. Within a string JSON has none, and elsewhere it means
/// nothing, so that the rest is the same value.
pub(super) fn write(bytes: &[u8], shape: Shape, out: &mut impl io::Write) -> io::Result<()> {
    match shape {
        Shape::OneLine => out.write_all(bytes),
        Shape::SeveralLines => {
            let mut lines = bytes.split(|byte| matches!(byte, b'\n' | b'\r'));
            lines.try_for_each(|line| out.write_all(line))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn written(bytes: &[u8]) -> Option<String> {
        let (shape, mut out) = (check(bytes)?, Vec::new());
        write(bytes, shape, &mut out).unwrap();
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn what_is_no_json_is_found_out() {
        let wrong: [&[u8]; 8] =
            [b"", b"{", b"{\"a\":1}}", b"a", b"1 2", b"\"\xff\"", b"\"\n\"", b"{\"a\":1}\0"];
        for bytes in wrong {
            assert_eq!(written(bytes), None, "{bytes:?}");
        }
        let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
        assert_eq!(check(&deep), None, "without a stack of that depth");
    }

    #[test]
    fn what_readers_refuse_is_no_json_here() {
        let nested = |depth| [vec![b'['; depth], vec![b']'; depth]].concat();
        assert!(check(&nested(DEPTH_MAX)).is_some());
        assert_eq!(check(&nested(DEPTH_MAX + 1)), None);
        let line = [b"{\"xattrs\":{\"a\":", &nested(DEPTH_MAX)[..], b"}}"].concat();
        assert!(serde_json::from_slice::<Value>(&line).is_ok(), "the deepest one can be read");
        let wide = format!("[{}1]", "[],{},\"[[{\\\"\",".repeat(500));
        assert!(check(wide.as_bytes()).is_some(), "not deep, and text is text: {wide}");
        let text = |escapes: &str| check(format!("[\"{escapes}\"]").as_bytes()).is_some();
        for half in [r"\ud800", r"\udc00", r"\uD83D\ud83d", r"\ud83dx", r"\ud83d\n\ude00"] {
            assert!(!text(half), "{half}");
        }
        for whole in [r"\ud83d\ude00", r"\\ud800", r"\u0041\n", r"\uDBFF\uDFFFx\\"] {
            assert!(text(whole), "{whole}");
        }
    }

    proptest! {
        #[test]
        fn what_passes_is_what_serde_json_reads(
            parts in proptest::collection::vec(
                prop_oneof![
                    Just(r"\ud800"), Just(r"\udfff"), Just(r"\\"), Just(r"\u0020"), Just("ud8"),
                    Just(r"\n"), Just("[{"), Just(r#"\""#), Just("d800"),
                ],
                0..12,
            ),
        ) {
            let json = format!("[\"{}\"]", parts.concat());
            let can_be_read = serde_json::from_str::<Value>(&json).is_ok();
            prop_assert_eq!(check(json.as_bytes()).is_some(), can_be_read, "{}", json);
        }
    }

    #[test]
    fn line_ends_go_and_the_value_stays() {
        assert_eq!(written(b"{\r\n  \"a\": [1,\n 2]\n}\n").unwrap(), "{  \"a\": [1, 2]}");
        assert_eq!(written(b"1e400").unwrap(), "1e400", "as it is");
    }

    proptest! {
        #[test]
        fn pretty_json_stays_the_same_value(text in "\\PC*", number: i64, items: Vec<u8>) {
            let value = serde_json::json!({"text": text, "n": number, "items": items, "o": {}});
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            let line = written(pretty.as_bytes()).unwrap();
            prop_assert!(!line.contains(['\n', '\r']));
            prop_assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), value);
        }
    }
}
