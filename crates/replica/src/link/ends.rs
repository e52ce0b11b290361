//! Handles a producer's STREAM_END in each case (MB-53445, MB-51223, MB-34951).
//!
//! The vBucket identifies the stream. The opaque only identifies the end of an older stream of the
//! same vBucket, which must not affect the newer one. The frame itself is always forwarded.

use mcbp::{Opaque, StreamEndStatus, VbId};

use super::ledger::Ledger;
use super::stream::Settled;
use super::{Effect, Effects, Note, Reason, Side, VbError};

/// The effect of a STREAM_END on the ledger.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    /// None: the stream is unknown, stale or already closing, or its ADD_STREAM is still pending.
    Nothing,
    /// A stream ended while it was being added.
    Settled(Settled),
    /// An open stream ended.
    Open(VbError),
}

pub(super) const fn ended(vb: VbId, status: StreamEndStatus) -> VbError {
    VbError { vb, side: Side::Producer, reason: Reason::StreamEnd(status) }
}

impl Ledger {
    /// Handles a STREAM_END for a vBucket that is not being taken over.
    pub(super) fn end(
        &mut self,
        vb: VbId,
        opaque: Opaque,
        status: StreamEndStatus,
        fx: &mut Effects,
    ) -> Ending {
        // From here on, an answer that the consumer has no stream may be caused by this end.
        for close in self.unanswered.values_mut().filter(|close| close.vb == vb) {
            close.shows_gap = false;
        }
        if !self.is_touched(vb) {
            return Ending::Nothing;
        }
        if self.is_stale(vb, opaque) {
            fx.push(Effect::Note(Note::StaleEnd { vb, opaque, status }));
            return Ending::Nothing;
        }
        if let Some(entry) = self.adding.get_mut(&vb) {
            if status == StreamEndStatus::OK {
                entry.finished = true;
                fx.push(Effect::Note(Note::FinishedEarly { vb, opaque }));
                return Ending::Nothing;
            }
            self.give_up_adding(vb, true);
            return Ending::Settled(Settled::Failed(ended(vb, status)));
        }
        if let Some(stream) = self.open.remove(&vb) {
            self.remember_older(vb, stream.request);
            return Ending::Open(ended(vb, status));
        }
        if let Some(entry) = self.closing.get_mut(&vb) {
            // The stream has ended on both sides, whatever the answers to CLOSE_STREAM.
            let stream = entry.stream.take();
            self.remember_older(vb, stream.and_then(|stream| stream.request));
        }
        Ending::Nothing
    }

    /// Whether this opaque belongs to an older stream of the vBucket.
    pub(super) fn is_stale(&self, vb: VbId, opaque: Opaque) -> bool {
        let other =
            |entry: &super::attempt::Adding| entry.opaque().is_some_and(|own| own != opaque);
        self.older(vb, opaque).is_some() || self.adding.get(&vb).is_some_and(other)
    }
}
