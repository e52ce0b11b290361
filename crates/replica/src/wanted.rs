//! Which streams one link should have, how far each is, and when to ask for it again.
//!
//! Tracks the *set* of wanted vBuckets, never a count, so that a stream that ends between two looks
//! is not forgotten. It opens nothing: [`WantedStreams::next_setup`] says what to ask the consumer
//! machine for, the outcomes come back in.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mcbp::VbId;

use crate::link::{Retry, VbError, VbOutcome};

/// How far one wanted stream is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum WantedPhase {
    /// To be asked for as soon as the link can.
    Due,
    /// Asked for; the outcome is awaited.
    Asked,
    /// Replicating.
    Open,
    /// Failed or ended; to be asked for again at the time given, on the clock of the caller.
    Waiting {
        /// Time since the caller's start.
        until: Duration,
    },
}

/// One wanted stream.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct WantedStream {
    /// How far it is.
    pub phase: WantedPhase,
    /// Failures since it was last open.
    pub failures: u32,
    /// Why it is not open, or was not at the last attempt; kept until it opens.
    pub last_error: Option<VbError>,
}

impl WantedStream {
    const DUE: Self = Self { phase: WantedPhase::Due, failures: 0, last_error: None };
}

/// What to ask the consumer machine for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Setup {
    /// Every stream that shall be open afterwards.
    pub wanted: BTreeSet<VbId>,
    /// Those of them that are open and shall be closed first.
    pub reopen: BTreeSet<VbId>,
}

/// The streams of one link.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct WantedStreams {
    streams: BTreeMap<VbId, WantedStream>,
    /// Streams that may be open and are not wanted any more.
    surplus: BTreeSet<VbId>,
    /// Streams that are open and are to be closed and added again.
    reopen: BTreeSet<VbId>,
}

impl WantedStreams {
    /// Sets what is wanted. Streams that stay wanted stay as they are.
    pub fn want(&mut self, wanted: &BTreeSet<VbId>) {
        for (&vb, stream) in self.streams.iter().filter(|(vb, _)| !wanted.contains(vb)) {
            let to_be_reopened = self.reopen.remove(&vb);
            let may_be_open = matches!(stream.phase, WantedPhase::Asked | WantedPhase::Open);
            if may_be_open || to_be_reopened {
                self.surplus.insert(vb);
            }
        }
        self.streams.retain(|vb, _| wanted.contains(vb));
        for &vb in wanted {
            self.streams.entry(vb).or_insert(WantedStream::DUE);
        }
    }

    /// Makes streams that wait after a failure due at once: a person asked, or changed something.
    pub fn retry_now(&mut self, which: impl Fn(VbId) -> bool) {
        for (&vb, stream) in &mut self.streams {
            if which(vb) && matches!(stream.phase, WantedPhase::Waiting { .. }) {
                stream.phase = WantedPhase::Due;
            }
        }
    }

    /// Has an open stream closed and added again, for this reason where there is one.
    pub fn reopen(&mut self, vb: VbId, why: Option<VbError>) {
        if let Some(stream) = self.streams.get_mut(&vb)
            && stream.phase == WantedPhase::Open
        {
            stream.phase = WantedPhase::Due;
            stream.last_error = why;
            self.reopen.insert(vb);
        }
    }

    /// The set to ask the machine for, or `None` where nothing is to be done at `now`: what is open
    /// and wanted, and what is due. What was due counts as asked for from here on.
    ///
    /// A vBucket that is not `free` stays due: the consumer may have a stream of it on another
    /// link, which has to be closed first (MB-29354).
    pub fn next_setup(&mut self, now: Duration, free: impl Fn(VbId) -> bool) -> Option<Setup> {
        let mut work = !self.surplus.is_empty();
        let mut wanted = BTreeSet::new();
        for (&vb, stream) in &mut self.streams {
            let due = match stream.phase {
                WantedPhase::Due => true,
                WantedPhase::Waiting { until } => until <= now,
                WantedPhase::Asked | WantedPhase::Open => false,
            };
            if due {
                let is_free = free(vb);
                stream.phase = if is_free { WantedPhase::Asked } else { WantedPhase::Due };
                work |= is_free;
            }
            if matches!(stream.phase, WantedPhase::Asked | WantedPhase::Open) {
                wanted.insert(vb);
            }
        }
        let reopen = self.reopen.intersection(&wanted).copied().collect();
        work.then_some(Setup { wanted, reopen })
    }

    /// Takes in the outcomes of a set-up. `delay` says how long each is to wait after
    /// so many failures.
    pub fn settle(
        &mut self,
        outcomes: &BTreeMap<VbId, VbOutcome>,
        now: Duration,
        mut delay: impl FnMut(VbId, u32, Retry) -> Duration,
    ) {
        for (&vb, outcome) in outcomes {
            self.reopen.remove(&vb);
            match outcome {
                VbOutcome::Opened | VbOutcome::AlreadyOpen => self.opened(vb),
                VbOutcome::Closed | VbOutcome::TakenOver => {
                    self.surplus.remove(&vb);
                }
                VbOutcome::RolledBack => {
                    self.surplus.remove(&vb);
                    self.rolled_back(vb, now, &mut delay);
                }
                VbOutcome::Finished => {
                    self.surplus.remove(&vb);
                    self.wait(vb, None, now, &mut delay);
                }
                VbOutcome::Failed(error) => {
                    self.surplus.remove(&vb);
                    self.wait(vb, Some(error.clone()), now, &mut delay);
                }
            }
        }
    }

    /// A stream is open of a set-up that still runs.
    pub fn opened_early(&mut self, vb: VbId) {
        if let Some(stream) = self.streams.get_mut(&vb)
            && stream.phase == WantedPhase::Asked
        {
            stream.phase = WantedPhase::Open;
        }
    }

    /// An open stream has ended by itself.
    pub fn ended(
        &mut self,
        error: VbError,
        now: Duration,
        mut delay: impl FnMut(VbId, u32, Retry) -> Duration,
    ) {
        self.surplus.remove(&error.vb);
        self.reopen.remove(&error.vb);
        if let Some(stream) = self.streams.get_mut(&error.vb)
            && stream.phase == WantedPhase::Asked
        {
            // This was the stream before the one that is asked for: of that the command will tell.
            stream.last_error = Some(error);
            return;
        }
        self.wait(error.vb, Some(error), now, &mut delay);
    }

    /// The command was not carried out: what was asked for is due again.
    pub fn not_done(&mut self) {
        for stream in self.streams.values_mut() {
            if stream.phase == WantedPhase::Asked {
                stream.phase = WantedPhase::Due;
            }
        }
    }

    /// The link is gone and every stream with it: all are due for the next link.
    pub fn link_lost(&mut self) {
        self.surplus.clear();
        self.reopen.clear();
        for stream in self.streams.values_mut() {
            stream.phase = WantedPhase::Due;
        }
    }

    /// When the next waiting stream becomes due, on the caller's clock.
    #[must_use]
    pub fn next_due(&self) -> Option<Duration> {
        let waiting = self.streams.values().filter_map(|stream| match stream.phase {
            WantedPhase::Waiting { until } => Some(until),
            _ => None,
        });
        waiting.min()
    }

    /// Whether every wanted stream is open or has failed, and no other is left to close.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let open = |stream: &WantedStream| {
            matches!(stream.phase, WantedPhase::Open | WantedPhase::Waiting { .. })
        };
        self.surplus.is_empty() && self.streams.values().all(open)
    }

    /// As [`Self::is_settled`], for one vBucket.
    #[must_use]
    pub fn is_settled_for(&self, vb: VbId) -> bool {
        let phase = self.streams.get(&vb).map(|stream| stream.phase);
        !self.surplus.contains(&vb)
            && matches!(phase, None | Some(WantedPhase::Open | WantedPhase::Waiting { .. }))
    }

    /// Whether the consumer may have a stream of this vBucket through this link.
    #[must_use]
    pub fn may_hold(&self, vb: VbId) -> bool {
        let phase = self.streams.get(&vb).map(|stream| stream.phase);
        self.surplus.contains(&vb)
            || self.reopen.contains(&vb)
            || matches!(phase, Some(WantedPhase::Asked | WantedPhase::Open))
    }

    /// The wanted streams by vBucket.
    #[must_use]
    pub const fn streams(&self) -> &BTreeMap<VbId, WantedStream> {
        &self.streams
    }

    /// Whether a wanted stream is open.
    #[must_use]
    pub fn is_open(&self, vb: VbId) -> bool {
        self.streams.get(&vb).is_some_and(|stream| stream.phase == WantedPhase::Open)
    }

    /// Whether a wanted stream was asked for, and the outcome is awaited.
    #[must_use]
    pub fn is_asked(&self, vb: VbId) -> bool {
        self.streams.get(&vb).is_some_and(|stream| stream.phase == WantedPhase::Asked)
    }

    /// How many wanted streams are open.
    #[must_use]
    pub fn open_count(&self) -> usize {
        self.streams.values().filter(|stream| stream.phase == WantedPhase::Open).count()
    }

    /// Whether nothing is wanted and nothing left to close.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty() && self.surplus.is_empty()
    }

    fn opened(&mut self, vb: VbId) {
        match self.streams.get_mut(&vb) {
            Some(stream) => {
                *stream = WantedStream { phase: WantedPhase::Open, failures: 0, last_error: None };
                // Given up meanwhile and wanted again.
                self.surplus.remove(&vb);
            }
            // Given up while it was being opened.
            None => _ = self.surplus.insert(vb),
        }
    }

    /// A stream that waits for its copy to be rolled back need not be: it waits for what any stream
    /// waits for that failed like it.
    pub fn postpone(
        &mut self,
        vb: VbId,
        now: Duration,
        mut delay: impl FnMut(VbId, u32, Retry) -> Duration,
    ) {
        let phase = self.streams.get(&vb).map(|stream| stream.phase);
        if matches!(phase, Some(WantedPhase::Waiting { .. })) {
            self.rolled_back(vb, now, &mut delay);
        }
    }

    /// The copy is whole again; what made it incomplete may come again, so the stream waits for
    /// what it would have waited for without the rollback.
    fn rolled_back(
        &mut self,
        vb: VbId,
        now: Duration,
        delay: &mut impl FnMut(VbId, u32, Retry) -> Duration,
    ) {
        let Some(stream) = self.streams.get_mut(&vb) else { return };
        let retry = stream.last_error.as_ref().map_or(Retry::AfterBackoff, VbError::retry);
        let until = now + delay(vb, stream.failures.saturating_sub(1), retry);
        stream.phase = WantedPhase::Waiting { until };
    }

    fn wait(
        &mut self,
        vb: VbId,
        error: Option<VbError>,
        now: Duration,
        delay: &mut impl FnMut(VbId, u32, Retry) -> Duration,
    ) {
        let Some(stream) = self.streams.get_mut(&vb) else { return };
        let retry = error.as_ref().map_or(Retry::AfterBackoff, VbError::retry);
        let until = now + delay(vb, stream.failures, retry);
        stream.failures = stream.failures.saturating_add(1);
        stream.phase = WantedPhase::Waiting { until };
        stream.last_error = error;
    }
}

#[cfg(test)]
mod tests;
