//! The scanner: what it calls a run, and what it says about the bytes behind it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

use mcbp::scan::{Class, Next, Scan, scan};
use mcbp::{FrameBuilder, FrameError, Header, Opcode};

const VALUE: &[u8] = &[7; 6];
/// A header and the value.
const DATA_BYTES: usize = 30;

fn data() -> Vec<u8> {
    FrameBuilder::request(Opcode::DCP_MUTATION).value(VALUE).build().to_vec()
}

fn control() -> Vec<u8> {
    FrameBuilder::request(Opcode::DCP_STREAM_END).extras(&[0; 4]).build().to_vec()
}

fn scan_control(buffer: &[u8]) -> Scan {
    scan(buffer, |header, _| match header.opcode {
        Opcode::DCP_STREAM_END => Class::Control,
        _ => Class::Data,
    })
}

#[track_caller]
fn expect(buffer: &[&[u8]], run_frames: usize, next: Next) {
    let run_bytes = run_frames * DATA_BYTES;
    assert_eq!(scan_control(&buffer.concat()), Scan { run_bytes, run_frames, next });
}

#[test]
fn a_run_is_whole_data_frames() {
    let partial = |have_bytes| Next::PartialData { frame_bytes: DATA_BYTES, have_bytes };
    expect(&[], 0, Next::Empty);
    expect(&[&data()], 1, Next::Empty);
    expect(&[&data(), &data(), &data()], 3, Next::Empty);
    expect(&[&data()[..1]], 0, Next::PartialHeader);
    expect(&[&data(), &data()[..23]], 1, Next::PartialHeader);
    expect(&[&data(), &data()[..24]], 1, partial(24));
    expect(&[&data(), &data()[..29]], 1, partial(29));
}

#[test]
fn a_control_frame_ends_the_run() {
    let header = Header::peek(&control()).unwrap().unwrap();
    expect(&[&control(), &data()], 0, Next::Control { header, whole: true });
    expect(&[&data(), &data(), &control(), &data()], 2, Next::Control { header, whole: true });
    expect(&[&data(), &control()[..27]], 1, Next::Control { header, whole: false });
    expect(&[&data(), &control()[..24]], 1, Next::Control { header, whole: false });
    expect(&[&data(), &control()[..23]], 1, Next::PartialHeader);
}

/// What came before the bad bytes is good and must not be lost with them.
#[test]
fn an_error_stands_behind_the_run_and_not_instead_of_it() {
    let bad_magic = Next::Bad(FrameError::UnknownMagic { magic: b'G' });
    expect(&[b"GET / HTTP/1.1"], 0, bad_magic);
    expect(&[&data(), &data(), b"G"], 2, bad_magic);

    let mut too_large = data();
    too_large[8..12].copy_from_slice(&u32::MAX.to_be_bytes());
    let error = FrameError::TooLarge { opcode: Opcode::DCP_MUTATION, body_bytes: u32::MAX };
    expect(&[&data(), &too_large], 1, Next::Bad(error));

    let mut lie = data();
    lie[4] = 7;
    let error = FrameError::Lengths { opcode: Opcode::DCP_MUTATION, parts_bytes: 7, body_bytes: 6 };
    expect(&[&data(), &lie], 1, Next::Bad(error));
}

#[test]
fn each_frame_is_shown_once_with_all_that_is_there_of_it() {
    let buffer = [data(), control(), data()].concat();
    let mut shown = Vec::new();
    scan(&buffer, |header, bytes| {
        shown.push((header.opcode, bytes.len()));
        Class::Data
    });
    let [first, second, third] = [buffer.len(), buffer.len() - 30, buffer.len() - 58];
    let (mutation, end) = (Opcode::DCP_MUTATION, Opcode::DCP_STREAM_END);
    assert_eq!(shown, [(mutation, first), (end, second), (mutation, third)]);
}
