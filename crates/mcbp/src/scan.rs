//! Finds the run of whole data frames at the front of a buffer.
//!
//! A pump reads into one large buffer, calls [`scan`], and writes the run with one call. The scan
//! touches 24 bytes a frame, copies nothing and allocates nothing.

use crate::{FrameError, Header};

/// What a pump does with a kind of frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Passed on as part of a run.
    Data,
    /// Ends the run: it is looked at on its own before it goes on.
    Control,
}

/// What stands behind the run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Nothing.
    Empty,
    /// Fewer than 24 bytes: a header that is not whole yet.
    PartialHeader,
    /// A data frame of which only `have_bytes` of `frame_bytes` are there.
    PartialData {
        /// The whole frame.
        frame_bytes: usize,
        /// What is there of it, header included.
        have_bytes: usize,
    },
    /// A control frame, whole or not.
    Control {
        /// Its header.
        header: Header,
        /// Whether all of it is in the buffer.
        whole: bool,
    },
    /// Bytes that are no frame.
    Bad(FrameError),
}

/// The outcome of [`scan`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// How many bytes at the front are whole data frames.
    pub run_bytes: usize,
    /// How many frames these are.
    pub run_frames: usize,
    /// What stands behind them.
    pub next: Next,
}

/// Scans `buffer` from its front. `classify` is called once for each frame whose header is whole,
/// with the header and what the buffer holds of the frame from that header on.
///
/// An error is reported behind the run, never instead of it: what came before it is good.
#[inline]
pub fn scan(buffer: &[u8], mut classify: impl FnMut(&Header, &[u8]) -> Class) -> Scan {
    let mut run_bytes = 0;
    let mut run_frames = 0;
    let mut rest = buffer;
    let next = loop {
        let header = match Header::peek(rest) {
            Ok(Some(header)) => header,
            Ok(None) if rest.is_empty() => break Next::Empty,
            Ok(None) => break Next::PartialHeader,
            Err(error) => break Next::Bad(error),
        };
        let frame_bytes = header.frame_bytes();
        let behind = rest.get(frame_bytes..);
        match (classify(&header, rest), behind) {
            (Class::Data, Some(behind)) => {
                run_bytes += frame_bytes;
                run_frames += 1;
                rest = behind;
            }
            (Class::Data, None) => {
                break Next::PartialData { frame_bytes, have_bytes: rest.len() };
            }
            (Class::Control, behind) => break Next::Control { header, whole: behind.is_some() },
        }
    };
    Scan { run_bytes, run_frames, next }
}
