//! ADD_STREAMs that wait until the previous stream of their vBucket, on any connection, is on disk.
//!
//! Their STREAM_REQ has to start at the seqno that is on disk then (in MB-29354 the answer was
//! EEXISTS). The wait ends with a commit, and commits have a deadline.

use mcbp::{Opaque, Status, VbId};

use super::Consumer;
use super::answer::answer_add;
use super::context::Context;

/// How many ADD_STREAMs may wait: one for each vBucket.
const HELD_MAX: usize = 1024;

/// An ADD_STREAM that waits.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) vb: VbId,
    pub(super) add: Opaque,
    pub(super) flags: u32,
}

impl Consumer {
    /// Holds an ADD_STREAM. Refuses it if too many wait, or one of the same vBucket.
    pub(super) fn hold(&mut self, held: Held, cx: &mut Context<'_>) {
        let waits = self.held.iter().any(|other| other.vb == held.vb);
        if waits || self.held.len() >= HELD_MAX {
            return answer_add(held.add, Status::KEY_EEXISTS, None, cx.out);
        }
        self.held.push_back(held);
    }

    /// Removes the ADD_STREAM that waits for a vBucket, and returns it.
    pub(super) fn take_held(&mut self, vb: VbId) -> Option<Held> {
        let at = self.held.iter().position(|held| held.vb == vb)?;
        self.held.remove(at)
    }

    /// A vBucket that was draining on another connection is free, see [`super::Claim::Draining`].
    /// Yet another connection may have claimed it first.
    pub(super) fn freed(&mut self, vb: VbId, cx: &mut Context<'_>) {
        if self.streams.contains_key(&vb) {
            return; // the ADD_STREAM waits for a stream of this connection
        }
        if let Some(Held { vb, add, flags }) = self.take_held(vb) {
            self.add_stream(vb, add, flags, cx);
        }
    }
}
