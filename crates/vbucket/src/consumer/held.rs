//! ADD_STREAMs that wait until the stream before them, of whichever connection, is on disk.
//!
//! The request has to name where the vBucket stands then (MB-29354, where the answer was EEXISTS).
//! The wait ends with the commit of what that stream received, and commits have a deadline.

use mcbp::{Opaque, Status, VbId};

use super::Consumer;
use super::answer::answer_add;
use super::context::Context;

/// How many ADD_STREAMs wait: one for each vBucket.
const HELD_MAX: usize = 1024;

/// One of them.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) vb: VbId,
    pub(super) add: Opaque,
    pub(super) flags: u32,
}

impl Consumer {
    /// Holds an ADD_STREAM, or refuses it where too many wait or one of this vBucket does.
    pub(super) fn hold(&mut self, held: Held, cx: &mut Context<'_>) {
        let waits = self.held.iter().any(|other| other.vb == held.vb);
        if waits || self.held.len() >= HELD_MAX {
            return answer_add(held.add, Status::KEY_EEXISTS, None, cx.out);
        }
        self.held.push_back(held);
    }

    /// Takes the ADD_STREAM that waits for a vBucket out.
    pub(super) fn take_held(&mut self, vb: VbId) -> Option<Held> {
        let at = self.held.iter().position(|held| held.vb == vb)?;
        self.held.remove(at)
    }

    /// A vBucket that was draining on another connection is free, see
    /// [`super::Claim::Draining`]. Another connection may have been faster.
    pub(super) fn freed(&mut self, vb: VbId, cx: &mut Context<'_>) {
        if self.streams.contains_key(&vb) {
            return; // a stream of this connection is before it
        }
        if let Some(Held { vb, add, flags }) = self.take_held(vb) {
            self.add_stream(vb, add, flags, cx);
        }
    }
}
