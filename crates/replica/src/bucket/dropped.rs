//! Streams that the consumer has dropped silently. A node that makes a vBucket active drops its
//! passive stream and tells nobody: the producer hears of it with its next change only, and until
//! then the stream looks open, without lag, while the copies differ.
//!
//! Two reports of the nodes show it: the vBucket is active at the consumer; or the two copies are
//! on different branches, which remains visible when the vBucket is a replica again. Such a stream
//! counts as ended. It is closed at both nodes and added again, and the consumer rolls back to the
//! last common seqno.
//!
//! A report proves nothing about a stream that opened after the report was asked for.

use std::collections::BTreeSet;
use std::time::Duration;

use mcbp::{Side, VbId};

use super::effect::BucketEffects;
use super::event::{LinkId, Moment};
use super::machine::BucketMachine;
use crate::link::{Reason, VbError};

impl BucketMachine {
    /// Ends the streams of vBuckets that are active at the consumer by a report that was `asked`
    /// for at that time.
    pub(super) fn end_active(&mut self, asked: Duration, at: Moment, fx: &mut BucketEffects) {
        let active = self.nodes.active_here(&self.settings, at.now).unwrap_or_default();
        if active.is_empty() {
            return;
        }
        let mut gone = Vec::new();
        for link in self.links.iter() {
            let open = link.wanted.open_since();
            let open = open.filter(|(vb, since)| *since <= asked && active.contains(vb));
            gone.extend(open.map(|(vb, _)| (link.id, vb, Reason::ActiveThere)));
        }
        self.end_dropped(gone, at, fx);
    }

    /// Ends the streams between copies on different branches.
    pub(super) fn end_parted(&mut self, at: Moment, fx: &mut BucketEffects) {
        let mut gone = Vec::new();
        for link in self.links.iter() {
            let (producer, consumer) = (&link.key.producer, &self.settings.node);
            let open = link.wanted.open_since();
            let parted = self.nodes.branches.parted(producer, consumer, open);
            gone.extend(parted.into_iter().map(|(vb, reason)| (link.id, vb, reason)));
        }
        self.end_dropped(gone, at, fx);
    }

    fn end_dropped(
        &mut self,
        gone: Vec<(LinkId, VbId, Reason)>,
        at: Moment,
        fx: &mut BucketEffects,
    ) {
        let links: BTreeSet<_> = gone.iter().map(|(id, ..)| *id).collect();
        for id in links {
            self.forget_lasting(id, at.now, fx);
        }
        for (id, vb, reason) in gone {
            let error = VbError { vb, side: Side::Consumer, reason };
            self.note_failure(id, &error, true, at, fx);
            let delay = self.failures.stream_delay(&self.copies, &self.settings, at);
            if let Some(link) = self.links.live(id) {
                link.wanted.dropped(error, at.now, delay);
            }
        }
    }
}
