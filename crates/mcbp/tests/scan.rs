//! The scanner: the run that it finds, and what it returns for the bytes after it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

use mcbp::scan::{ControlSet, Next, Scan, scan};
use mcbp::{FrameBuilder, FrameError, Header, Magic, Opcode, Status};

const VALUE: &[u8] = &[7; 6];
/// A header and the value.
const DATA_BYTES: usize = 30;

fn data() -> Vec<u8> {
    FrameBuilder::request(Opcode::DCP_MUTATION).value(VALUE).build().to_vec()
}

fn control() -> Vec<u8> {
    FrameBuilder::request(Opcode::DCP_STREAM_END).extras(&[0; 4]).build().to_vec()
}

const CONTROL: ControlSet = ControlSet::new(&[Opcode::DCP_STREAM_END], &[]);

fn scan_control(buffer: &[u8]) -> Scan {
    scan(buffer, &CONTROL)
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

/// The frames before the bad bytes are good and must not be lost.
#[test]
fn an_error_is_reported_after_the_run_and_not_instead_of_it() {
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
fn requests_and_responses_of_one_opcode_are_distinguished() {
    let all = |opcode: u8| {
        let requests = [Opcode(opcode)];
        let control = ControlSet::new(&requests, &[]);
        let request = FrameBuilder::request(Opcode(opcode)).build();
        let response = FrameBuilder::response(Opcode(opcode), Status::SUCCESS).build();
        let other = FrameBuilder::request(Opcode(opcode.wrapping_add(64))).build();
        let frames = |bytes: &[u8]| scan(bytes, &control).run_frames;
        (frames(&request), frames(&response), frames(&other))
    };
    for opcode in 0..=u8::MAX {
        assert_eq!(all(opcode), (0, 1, 1), "{opcode:#x}");
    }
}

/// Errors are found among successes of the same shape, in both layouts of a response.
#[test]
fn every_error_response_is_a_control_frame_where_that_is_wanted() {
    let control = ControlSet::new(&[], &[]).and_errors();
    let response = |status| FrameBuilder::response(Opcode::DCP_MUTATION, status);
    let good = response(Status::SUCCESS).build();
    for refused in [
        response(Status::ERANGE).build(),
        FrameBuilder::response(Opcode(0xee), Status(0xffff)).value(VALUE).build(),
        response(Status::ERANGE).framing(&[0x22, 0, 1]).build(),
    ] {
        let buffer = [&data()[..], &good, &good, &refused, &data()].concat();
        let found = scan(&buffer, &control);
        assert_eq!((found.run_frames, found.run_bytes), (3, DATA_BYTES + 2 * good.len()));
        assert!(matches!(found.next, Next::Control { whole: true, .. }), "{found:?}");
        let passing = scan(&buffer, &ControlSet::NONE);
        assert_eq!((passing.run_frames, passing.next), (5, Next::Empty));
    }
}

#[test]
fn the_rarer_magics_are_part_of_a_run() {
    let alt = FrameBuilder::request(Opcode::DCP_MUTATION).framing(&[0x22, 0, 1]).value(VALUE);
    let duplex = FrameBuilder::new(Magic::ServerRequest, Opcode(1), 0).build();
    let end = FrameBuilder::request(Opcode::DCP_STREAM_END).framing(&[0x22, 0, 1]).extras(&[0; 4]);
    let data = data();
    let bytes = [&data, &alt.build()[..], &data, &duplex, &end.build(), &data].concat();
    let found = scan_control(&bytes);
    assert_eq!(found.run_frames, 4);
    assert!(matches!(found.next, Next::Control { whole: true, .. }), "{found:?}");
}

/// Frames of one length are stepped over by that length: the first of another must be noticed.
#[test]
fn lengths_may_change_at_any_frame() {
    for long_at in 0..6 {
        let frame = |at: usize| {
            let value = if at == long_at { &[7; 12][..] } else { VALUE };
            FrameBuilder::request(Opcode::DCP_MUTATION).value(value).build()
        };
        let bytes: Vec<u8> = (0..6).flat_map(frame).collect();
        let whole = Scan { run_bytes: bytes.len(), run_frames: 6, next: Next::Empty };
        assert_eq!(scan_control(&bytes), whole, "the longer one is number {long_at}");
    }
}
