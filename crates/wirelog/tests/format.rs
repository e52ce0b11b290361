//! The format: what real recordings look like is read and written again to the same bytes; what is
//! malformed is named with its line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

use std::io::BufReader;
use std::path::Path;
use std::time::Duration;

use mcbp::{FrameBuilder, Opaque, Opcode, VbId};
use proptest::prelude::*;
use wirelog::{About, Line, MAX_LINE_BYTES, Reader, Record};

fn read(text: &str) -> Vec<Result<Record, String>> {
    Reader::new(text.as_bytes()).map(|record| record.map_err(|error| error.to_string())).collect()
}

fn error(text: &str) -> String {
    read(text).pop().unwrap().unwrap_err()
}

/// A line whose frame is a NOOP.
fn noop_line(n: u64) -> String {
    let frame = FrameBuilder::request(Opcode::DCP_NOOP).opaque(Opaque(7)).build();
    let what = wirelog::what(&mcbp::Frame::parse(&frame).unwrap());
    let t = Duration::from_millis(n);
    let line = Line { n, t, from: "producer", to: "proxy", what, note: None, frame: &frame };
    let mut out = Vec::new();
    wirelog::write(&line, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn every_recording_is_written_again_to_the_same_bytes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/wire");
    let mut lines = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for original in text.lines() {
            let mut out = Vec::new();
            match Reader::new(original.as_bytes()).next().unwrap().unwrap() {
                Record::Frame(frame) => wirelog::write(&frame.as_line(), &mut out),
                Record::Eof { n, t, from, .. } => wirelog::write_eof(n, t, &from, &mut out),
                record => panic!("{record:?}"),
            }
            // Notes and times may be written in more than one way.
            let json = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
            assert_eq!(json(&out), json(original.as_bytes()));
            lines += 1;
        }
    }
    assert!(lines > 10_000, "{lines}");
}

#[test]
fn a_file_with_every_kind_of_line_is_read() {
    let about = About { link: "a->b:default".into(), dropped: 3, ..About::default() };
    let mut out = Vec::new();
    wirelog::write_about(&about, &mut out);
    out.extend_from_slice(noop_line(1).as_bytes());
    wirelog::write_dropped(1, Duration::from_secs(1), 12, &mut out);
    out.extend_from_slice(b"{\"what\": \"LATER\", \"by\": [1]}\n\n");
    wirelog::write_eof(1, Duration::from_secs(2), "producer", &mut out);
    wirelog::write_unkept(1, Duration::from_secs(3), &mut out);
    wirelog::write_end(1, Duration::from_secs(3), 12, "the time is over", &mut out);
    let records = read(&String::from_utf8(out).unwrap());
    let [
        Ok(Record::About(read)),
        Ok(Record::Frame(frame)),
        Ok(dropped),
        Ok(eof),
        Ok(unkept),
        Ok(end),
    ] = &records[..]
    else {
        panic!("{records:?}")
    };
    assert_eq!(*read, about);
    assert_eq!((frame.line, frame.n, frame.what.as_str()), (2, 1, "DCP_NOOP"));
    assert_eq!(*dropped, Record::Dropped { line: 3, frames: 12 });
    let (t, from) = (Duration::from_secs(2), "producer".to_owned());
    assert_eq!(*eof, Record::Eof { line: 6, n: 1, t, from });
    assert_eq!(*unkept, Record::Unkept { line: 7, n: 1 });
    assert_eq!(*end, Record::End { line: 8, why: "the time is over".to_owned() });
}

#[test]
fn a_malformed_line_is_named_and_ends_the_file() {
    let good = noop_line(1);
    let without = |key: &str| {
        let mut json: serde_json::Value = serde_json::from_str(&good).unwrap();
        json.as_object_mut().unwrap().remove(key);
        json.to_string()
    };
    let hex = |change: &dyn Fn(&str) -> String| {
        let json: serde_json::Value = serde_json::from_str(&good).unwrap();
        let old = json["hex"].as_str().unwrap();
        good.replace(old, &change(old))
    };
    let table = [
        ("[1]".to_owned(), "not a line of a recording"),
        (good[..40].to_owned(), "not a line of a recording: EOF while parsing"),
        (without("n"), "a frame without `n`"),
        (without("t"), "a frame without `t`"),
        (without("from"), "a frame without `from`"),
        (without("to"), "a frame without `to`"),
        (without("what"), "a frame without `what`"),
        (hex(&|old| old[1..].to_owned()), "`hex` has 47 digits"),
        (hex(&|old| old.replacen('8', "x", 1)), "`hex` has 'x' at digit 1; expected"),
        (hex(&|old| old.replacen("80", "ff", 1)), "`hex` is no frame: "),
        (hex(&|old| old[2..].to_owned()), "`hex` is no frame: "),
        (hex(&|old| format!("{old}0000")), "`hex` has 2 bytes after the end of its frame"),
        (good.replace("0.001", "-1"), "`t` is -1; expected seconds"),
    ];
    for (line, expected) in table {
        let found = error(&format!("{good}{line}\n{good}"));
        assert!(found.starts_with(&format!("line 2: {expected}")), "{line}: {found}");
        assert_eq!(read(&format!("{good}{line}\n{good}")).len(), 2, "nothing after {found}");
    }
}

/// A capture that was killed while it wrote.
#[test]
fn the_last_line_may_be_cut_off_anywhere() {
    let [first, second] = [noop_line(1), noop_line(2)];
    for length in 1..second.len() {
        let records = read(&format!("{first}{}", &second[..length]));
        assert!(records.iter().all(Result::is_ok), "{records:?}");
        // Whole without its line end.
        let whole = if length == second.len() - 1 { 2 } else { 1 };
        assert_eq!(records.len(), whole, "{}", &second[..length]);
    }
    // A file that has nothing else is named, and so is a last line that is wrong and not cut off.
    error(&first[..40]);
    error(&format!("{first}{}", &second.trim_end().replace("80", "xx")));
    error(&format!("{first}{{\"n\": 2]"));
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    assert!(read(&format!("\u{feff}{}", noop_line(1)))[0].is_ok());
    error(&format!("{}\u{feff}{}", noop_line(1), noop_line(2)));
}

#[test]
fn a_line_without_an_end_takes_bounded_memory() {
    let endless = BufReader::new(std::io::repeat(b' '));
    let mut reader = Reader::new(endless);
    let error = reader.next().unwrap().unwrap_err().to_string();
    assert_eq!(
        error,
        format!("line 1: longer than {MAX_LINE_BYTES} bytes, the longest line of a recording")
    );
    assert!(reader.next().is_none());
}

#[test]
fn a_frame_is_told_in_a_few_words() {
    let frames = recordings::capture("04-rollback-partial");
    let words: Vec<String> = frames
        .iter()
        .map(|line| wirelog::what(&mcbp::Frame::parse(&line.bytes).unwrap()))
        .filter(|what| what.starts_with("DCP_STREAM") || what.starts_with("DCP_ADD"))
        .collect();
    assert!(
        words
            .iter()
            .any(|what| what.ends_with("Rollback (0x23) to:5") || what.ends_with("Rollback to:5")),
        "{words:#?}"
    );
    assert!(words[0].starts_with("DCP_ADD_STREAM vb:"), "{words:#?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(
        n in any::<u64>(), micros in 0_u64..10_000_000_000, vb in any::<u16>(),
        opcode in any::<u8>(), names in any::<(String, String, Option<String>)>(),
        value in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let frame = FrameBuilder::request(Opcode(opcode)).vbucket(VbId(vb)).value(&value).build();
        let (from, to, note) = &names;
        let what = wirelog::what(&mcbp::Frame::parse(&frame).unwrap());
        let t = Duration::from_micros(micros);
        let line = Line { n, t, from, to, what, note: note.as_deref(), frame: &frame };
        let mut out = Vec::new();
        wirelog::write(&line, &mut out);
        prop_assert_eq!(out.iter().position(|byte| *byte == b'\n'), Some(out.len() - 1));
        let Some(Ok(Record::Frame(read))) = Reader::new(&out[..]).next() else {
            panic!("{:?}", Reader::new(&out[..]).next())
        };
        let drift = read.t.abs_diff(t);
        prop_assert!(drift < Duration::from_micros(1), "{drift:?}");
        prop_assert_eq!(Line { t: line.t, ..read.as_line() }, line);
    }

    #[test]
    fn any_bytes_are_records_or_one_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let errors = Reader::new(&bytes[..]).filter(Result::is_err).count();
        prop_assert!(errors <= 1);
    }
}
