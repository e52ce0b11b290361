//! Where pumps and handshakes record: what one peer of a link sends, and what it gets of ours.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::{Bytes, BytesMut};
use mcbp::{Frame, Header, Opcode, Side};

use super::entry::{Decision, Kind};
use super::{ALL, Noted, Recorder};

/// Records what one peer of a link sends, and what it gets of ours; cheap to clone.
#[derive(Clone, Debug)]
pub struct PeerRecorder {
    recorder: Arc<Recorder>,
    side: Side,
}

impl PeerRecorder {
    pub(super) const fn new(recorder: Arc<Recorder>, side: Side) -> Self {
        Self { recorder, side }
    }

    /// Whether runs of data frames are wanted. Cheap: it is asked once a read.
    #[inline]
    pub(crate) fn wants_runs(&self) -> bool {
        self.recorder.wants.load(Relaxed) == ALL
    }

    /// Records bytes of the peer. The first `rest_bytes` belong to a frame that has begun before;
    /// `frames` end in these bytes.
    #[cold]
    #[inline(never)]
    pub(crate) fn run(&self, bytes: &[u8], rest_bytes: usize, frames: usize) {
        if !bytes.is_empty() {
            let bytes = Bytes::copy_from_slice(bytes);
            self.recorder.push(self.side, Kind::Run { rest_bytes }, frames, &bytes);
        }
    }

    /// A frame of the peer begins to wait for its verdict. What comes later is recorded after it.
    #[inline]
    pub(crate) fn control<'a>(&'a self, header: &Header, frame: &'a [u8]) -> Undecided<'a> {
        let wants = self.recorder.wants.load(Relaxed);
        // Frequent, and of no use without the data frames.
        let is_pulse = matches!(header.opcode, Opcode::DCP_BUFFER_ACK | Opcode::DCP_NOOP);
        let is_wanted = if is_pulse { wants == ALL } else { wants != 0 };
        let noted = is_wanted.then(|| self.recorder.noted(self.side, wants, is_pulse, frame));
        Undecided { peer: self, frame, noted }
    }

    /// Records own frames to the other peer, each whole.
    pub(crate) fn own(&self, frames: &[Bytes]) {
        if self.recorder.wants.load(Relaxed) > 0 {
            for frame in frames {
                self.recorder.push(self.side.other(), Kind::Own, 1, frame);
            }
        }
    }

    /// Records a request of the handshake, without its password.
    pub(crate) fn asked(&self, request: &Bytes) {
        if self.recorder.wants.load(Relaxed) > 0 {
            self.recorder.push(self.side, Kind::Asked, 1, &masked(request));
        }
    }

    /// Records an answer of the handshake, without what a password can be guessed from.
    pub(crate) fn answered(&self, frame: &Bytes) {
        if self.recorder.wants.load(Relaxed) > 0 {
            self.recorder.push(self.side, Kind::Answered, 1, &masked(frame));
        }
    }

    /// Records that the peer has closed the connection.
    #[cold]
    pub(crate) fn closed(&self) {
        if self.recorder.wants.load(Relaxed) > 0 {
            self.recorder.push(self.side, Kind::Closed, 0, &Bytes::new());
        }
    }
}

/// A frame that waits for its verdict. Dropped, it never gets one.
pub(crate) struct Undecided<'a> {
    peer: &'a PeerRecorder,
    frame: &'a [u8],
    noted: Option<Noted>,
}

impl Undecided<'_> {
    /// Records the frame and its verdict.
    #[inline]
    pub(crate) fn decided(mut self, is_withheld: bool) {
        self.record(if is_withheld { Decision::Withheld } else { Decision::Forwarded });
    }

    #[inline]
    fn record(&mut self, decision: Decision) {
        if let Some(noted) = self.noted.take() {
            self.peer.recorder.decided(&noted, self.peer.side, decision, self.frame);
        }
    }
}

impl Drop for Undecided<'_> {
    fn drop(&mut self) {
        self.record(Decision::None);
    }
}

/// Returns `bytes` with `*` for every byte of a login, so that no recording ever has a password, or
/// a proof or signature from which one can be guessed.
fn masked(bytes: &Bytes) -> Bytes {
    let Ok(frame) = Frame::parse(bytes) else { return Bytes::new() };
    if !matches!(frame.opcode(), Opcode::SASL_AUTH | Opcode::SASL_STEP) {
        return bytes.clone();
    }
    let shown = bytes.len().checked_sub(frame.value.len());
    let mut hidden = BytesMut::from(shown.and_then(|end| bytes.get(..end)).unwrap_or_default());
    hidden.resize(bytes.len(), b'*');
    hidden.freeze()
}
