//! What a producer's STREAM_END does in each case (MB-53445, MB-51223, MB-34951).
//!
//! The vBucket says which stream has ended. The opaque only tells the end of an older stream of the
//! same vBucket, which must not harm the newer one. The frame itself is always forwarded.

use mcbp::{Opaque, StreamEndStatus, VbId};

use super::ledger::Ledger;
use super::stream::Settled;
use super::{Effect, Effects, Note, Reason, Side, VbError};

/// What a STREAM_END meant to the books.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    /// Nothing: it is unknown, stale or expected, or the answer to ADD_STREAM is still awaited.
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
    /// Takes in a STREAM_END for a vBucket that is not being taken over.
    pub(super) fn end(
        &mut self,
        vb: VbId,
        opaque: Opaque,
        status: StreamEndStatus,
        fx: &mut Effects,
    ) -> Ending {
        // From here on the consumer may have no stream for this reason.
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
            // Ended on both sides, whatever CLOSE_STREAM is answered with.
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
