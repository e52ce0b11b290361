//! Finds the run of whole data frames at the front of a buffer.
//!
//! A pump reads into one large buffer, calls [`scan`], and writes the run with one call. The scan
//! reads 12 bytes of a frame, copies nothing and allocates nothing.

use crate::{FrameError, HEADER_BYTES, Header, MAX_BODY_BYTES, Opcode};

/// Which frames are control frames and end a run: a set of opcodes for requests, one for responses,
/// and, where wanted, every response with an error. All others are data frames.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ControlSet {
    requests: [u64; 4],
    responses: [u64; 4],
    errors: bool,
}

impl ControlSet {
    /// All frames are data frames.
    pub const NONE: Self = Self { requests: [0; 4], responses: [0; 4], errors: false };

    /// These requests and these responses are control frames.
    #[must_use]
    pub const fn new(requests: &[Opcode], responses: &[Opcode]) -> Self {
        Self { requests: bits(requests), responses: bits(responses), errors: false }
    }

    /// Adds every response whose status is an error, whatever its opcode.
    #[must_use]
    pub const fn and_errors(self) -> Self {
        Self { errors: true, ..self }
    }

    /// Adds every request outside the block of DCP, but for these.
    #[must_use]
    pub const fn and_requests_outside_dcp(self, but: &[Opcode]) -> Self {
        let (mut requests, but, mut opcode) = (self.requests, bits(but), 0_u8);
        loop {
            if !Opcode(opcode).is_in_dcp_block() && !is_in(&but, opcode) {
                let [a, b, c, d] = &mut requests;
                let word = match opcode >> 6 {
                    0 => a,
                    1 => b,
                    2 => c,
                    _ => d,
                };
                *word |= 1 << (opcode & 63);
            }
            if opcode == u8::MAX {
                return Self { requests, ..self };
            }
            opcode += 1;
        }
    }

    /// Whether a frame with this header is a control frame.
    #[must_use]
    #[inline]
    pub const fn contains(&self, header: &Header) -> bool {
        if header.is_request() {
            return is_in(&self.requests, header.opcode.0);
        }
        is_in(&self.responses, header.opcode.0) || (self.errors && !header.status().is_success())
    }
}

const fn bits(mut opcodes: &[Opcode]) -> [u64; 4] {
    let mut words = [0u128; 2];
    while let [first, rest @ ..] = opcodes {
        let [low, high] = &mut words;
        *(if first.0 < 128 { low } else { high }) |= 1 << (first.0 % 128);
        opcodes = rest;
    }
    let [low, high] = words;
    [low as u64, (low >> 64) as u64, high as u64, (high >> 64) as u64]
}

#[inline]
const fn is_in(set: &[u64; 4], opcode: u8) -> bool {
    let [a, b, c, d] = set;
    let word = match opcode >> 6 {
        0 => *a,
        1 => *b,
        2 => *c,
        _ => *d,
    };
    word >> (opcode & 63) & 1 == 1
}

/// What follows the run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Nothing: the buffer ends with the run.
    Empty,
    /// Fewer than 24 bytes: an incomplete header.
    PartialHeader,
    /// An incomplete data frame.
    PartialData {
        /// The length of the whole frame.
        frame_bytes: usize,
        /// How much of it is in the buffer, header included.
        have_bytes: usize,
    },
    /// A control frame, complete or not.
    Control {
        /// Its header.
        header: Header,
        /// Whether all of it is in the buffer.
        whole: bool,
    },
    /// Bytes that are not a frame.
    Bad(FrameError),
}

/// The outcome of [`scan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scan {
    /// How many bytes at the front are whole data frames.
    pub run_bytes: usize,
    /// How many data frames these are.
    pub run_frames: usize,
    /// What follows them.
    pub next: Next,
}

/// Scans `buffer` from its front.
///
/// An error is reported after the run, never instead of it: the frames before it are good.
#[must_use]
pub fn scan(buffer: &[u8], control: &ControlSet) -> Scan {
    let (mut rest, mut run_frames) = (buffer, 0);
    let next = loop {
        let (after_run, frames) = plain_run(rest, control);
        rest = after_run;
        run_frames += frames;
        let header = match Header::peek(rest) {
            Ok(Some(header)) => header,
            Ok(None) if rest.is_empty() => break Next::Empty,
            Ok(None) => break Next::PartialHeader,
            Err(error) => break Next::Bad(error),
        };
        let frame_bytes = header.frame_bytes();
        let after_frame = rest.get(frame_bytes..);
        if control.contains(&header) {
            break Next::Control { header, whole: after_frame.is_some() };
        }
        // A data frame of one of the rarer magics, or one that is not whole yet.
        let Some(after_frame) = after_frame else {
            break Next::PartialData { frame_bytes, have_bytes: rest.len() };
        };
        rest = after_frame;
        run_frames += 1;
    };
    Scan { run_bytes: buffer.len() - rest.len(), run_frames, next }
}

/// Skips the whole data frames of the magics 0x80 and 0x81 at the front. Returns what follows them,
/// and how many they are.
///
/// Frames of equal length often follow each other. The inner loop steps by the previous length and
/// only compares, so that the processor can look for the next header before it has read this one.
#[inline]
fn plain_run<'a>(buffer: &'a [u8], control: &ControlSet) -> (&'a [u8], usize) {
    let (mut rest, mut frames) = (buffer, 0);
    while let Some(head) = rest.first_chunk()
        && let Some(step) = plain_data(head, control)
        && let Some(after) = rest.get(step..)
    {
        (rest, frames) = (after, frames + 1);
        while let Some(next) = rest.first_chunk()
            && shape(next) == shape(head)
            && let Some(after) = rest.get(step..)
        {
            (rest, frames) = (after, frames + 1);
        }
    }
    (rest, frames)
}

/// The bytes of a header that [`plain_data`] reads.
#[inline]
fn shape(head: &[u8; HEADER_BYTES]) -> ([u8; 4], u8, [u8; 4]) {
    let [magic, opcode, k0, k1, extras_bytes, _, _, _, l0, l1, l2, l3, ..] = *head;
    ([magic, opcode, k0, k1], extras_bytes, [l0, l1, l2, l3])
}

/// Returns the length of a data frame of the magics 0x80 and 0x81; `None` for any other frame, for
/// a header that [`Header::decode`] refuses, and for a response that may be an error.
#[inline]
fn plain_data(head: &[u8; HEADER_BYTES], control: &ControlSet) -> Option<usize> {
    let [magic, opcode, k0, k1, extras_bytes, _, _, _, l0, l1, l2, l3, ..] = *head;
    let set = match magic {
        0x80 => &control.requests,
        // Responses are rare on a link; their status is read outside of the inner loop.
        0x81 if !control.errors => &control.responses,
        _ => return None,
    };
    let body_bytes = u32::from_be_bytes([l0, l1, l2, l3]);
    let parts_bytes = u32::from(u16::from_be_bytes([k0, k1])) + u32::from(extras_bytes);
    let is_good = parts_bytes <= body_bytes && body_bytes <= MAX_BODY_BYTES;
    (is_good && !is_in(set, opcode)).then_some(HEADER_BYTES + body_bytes as usize)
}
