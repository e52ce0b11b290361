//! The wanted streams of one link, the phase of each, and when each is retried.
//!
//! Tracks the *set* of wanted vBuckets, not a count, so that a stream that ends between two set-ups
//! is not missed. Opens nothing: [`WantedStreams::next_setup`] returns the set-up to run, and the
//! caller passes its outcomes to [`WantedStreams::settle`].

mod not_asked;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mcbp::VbId;

use crate::link::{Retry, VbError, VbOutcome};

/// The phase of one wanted stream.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum WantedPhase {
    /// Asked for with the next set-up of the link.
    Due,
    /// Part of the running set-up; its outcome is pending.
    Asked,
    /// Replicating.
    Open,
    /// Not asked for until it is released; see [`WantedStreams::hold`].
    Held,
    /// Failed or ended; retried at the given time, on the clock of the caller.
    Waiting {
        /// Time since the caller's start.
        until: Duration,
    },
}

impl WantedPhase {
    /// Returns when it is retried, where it waits.
    #[must_use]
    pub const fn retry_at(self) -> Option<Duration> {
        match self {
            Self::Waiting { until } => Some(until),
            Self::Due | Self::Asked | Self::Open | Self::Held => None,
        }
    }
}

/// One wanted stream.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct WantedStream {
    /// Its phase.
    pub phase: WantedPhase,
    /// Failures that are not forgotten: see [`WantedStreams::forget_lasting`].
    pub failures: u32,
    /// The error of the last attempt; kept until the stream opens.
    pub last_error: Option<VbError>,
    /// Since when it is open, on the clock of the caller.
    open_since: Option<Duration>,
}

impl WantedStream {
    const DUE: Self =
        Self { phase: WantedPhase::Due, failures: 0, last_error: None, open_since: None };
}

/// One set-up for the machine of the link.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Setup {
    /// Every stream that must be open after the set-up.
    pub wanted: BTreeSet<VbId>,
    /// Those of them that are open, and are closed first.
    pub reopen: BTreeSet<VbId>,
}

/// The streams of one link.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct WantedStreams {
    streams: BTreeMap<VbId, WantedStream>,
    /// Streams that may be open and are no longer wanted.
    surplus: BTreeSet<VbId>,
    /// Open streams that the next set-up closes and adds again.
    reopen: BTreeSet<VbId>,
}

impl WantedStreams {
    /// Sets the wanted vBuckets. Streams that stay wanted keep their phase.
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

    /// Ends the backoff of the chosen streams: the operator asked, or their cause is gone.
    pub fn retry_now(&mut self, which: impl Fn(VbId) -> bool) {
        for (&vb, stream) in &mut self.streams {
            if which(vb) && matches!(stream.phase, WantedPhase::Waiting { .. }) {
                stream.phase = WantedPhase::Due;
            }
        }
    }

    /// Closes a stream and adds it again, or ends its backoff, and forgets its failures.
    pub fn restart(&mut self, vb: VbId) {
        self.reopen(vb, None);
        self.retry_now(|other| other == vb);
        if let Some(stream) = self.streams.get_mut(&vb) {
            stream.failures = 0;
        }
    }

    /// Forgets the failures of all streams.
    pub fn forget_failures(&mut self) {
        self.streams.values_mut().for_each(|stream| stream.failures = 0);
    }

    /// Marks an open stream to be closed and added again, with the error that is the reason, if
    /// any.
    pub fn reopen(&mut self, vb: VbId, why: Option<VbError>) {
        if let Some(stream) = self.streams.get_mut(&vb)
            && stream.phase == WantedPhase::Open
        {
            (stream.phase, stream.open_since) = (WantedPhase::Due, None);
            stream.last_error = why;
            self.reopen.insert(vb);
        }
    }

    /// Returns the next set-up at `now`: every stream that is open or due. Returns `None` where
    /// there is nothing to do. Streams that were due count as asked for from here on.
    ///
    /// A vBucket that is not `free` stays due: the consumer may have its stream on another link,
    /// which must be closed first (MB-29354).
    pub fn next_setup(&mut self, now: Duration, free: impl Fn(VbId) -> bool) -> Option<Setup> {
        let mut work = !self.surplus.is_empty();
        let mut wanted = BTreeSet::new();
        for (&vb, stream) in &mut self.streams {
            let due = match stream.phase {
                WantedPhase::Due => true,
                WantedPhase::Waiting { until } => until <= now,
                WantedPhase::Asked | WantedPhase::Open | WantedPhase::Held => false,
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

    /// Records the outcomes of a set-up. `delay` returns the backoff of a vBucket by its number of
    /// failures so far.
    pub fn settle(
        &mut self,
        outcomes: &BTreeMap<VbId, VbOutcome>,
        now: Duration,
        mut delay: impl FnMut(VbId, u32, Retry) -> Duration,
    ) {
        for (&vb, outcome) in outcomes {
            if *outcome == VbOutcome::AlreadyOpen && self.reopen.contains(&vb) {
                // The set-up began before the stream was found to be closed and added again.
                continue;
            }
            self.reopen.remove(&vb);
            match outcome {
                VbOutcome::Opened | VbOutcome::AlreadyOpen => self.opened(vb, now),
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

    /// Records that a stream has opened before its set-up is answered.
    pub fn opened_early(&mut self, vb: VbId, now: Duration) {
        if let Some(stream) = self.streams.get_mut(&vb)
            && stream.phase == WantedPhase::Asked
        {
            stream.phase = WantedPhase::Open;
            stream.open_since.get_or_insert(now);
        }
    }

    /// Forgets the failures of every stream that has been open for as long as `lasting` returns for
    /// their number. To be called before an end is recorded, and at intervals.
    pub fn forget_lasting(&mut self, now: Duration, lasting: impl Fn(u32) -> Duration) {
        for stream in self.streams.values_mut().filter(|stream| stream.failures > 0) {
            let open_for = stream.open_since.map(|since| now.saturating_sub(since));
            if open_for.is_some_and(|open_for| open_for >= lasting(stream.failures)) {
                stream.failures = 0;
            }
        }
    }

    /// Records that an open stream ended without a command.
    pub fn ended(
        &mut self,
        error: VbError,
        now: Duration,
        mut delay: impl FnMut(VbId, u32, Retry) -> Duration,
    ) {
        self.surplus.remove(&error.vb);
        self.reopen.remove(&error.vb);
        self.wait(error.vb, Some(error), now, &mut delay);
    }

    /// Records that the command was refused: what it asked for is due again.
    pub fn not_done(&mut self) {
        for stream in self.streams.values_mut() {
            if stream.phase == WantedPhase::Asked {
                stream.phase = WantedPhase::Due;
            }
        }
    }

    /// Records that the link was lost with all its streams: all are due on the next link.
    pub fn link_lost(&mut self) {
        self.surplus.clear();
        self.reopen.clear();
        for stream in self.streams.values_mut() {
            (stream.phase, stream.open_since) = (WantedPhase::Due, None);
        }
    }

    /// Returns when the next waiting stream becomes due, on the caller's clock.
    #[must_use]
    pub fn next_due(&self) -> Option<Duration> {
        self.streams.values().filter_map(|stream| stream.phase.retry_at()).min()
    }

    /// Whether every wanted stream is open or failed, and no surplus stream is left.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let open = |stream: &WantedStream| {
            matches!(
                stream.phase,
                WantedPhase::Open | WantedPhase::Held | WantedPhase::Waiting { .. }
            )
        };
        self.surplus.is_empty() && self.streams.values().all(open)
    }

    /// As [`Self::is_settled`], for one vBucket.
    #[must_use]
    pub fn is_settled_for(&self, vb: VbId) -> bool {
        let phase = self.streams.get(&vb).map(|stream| stream.phase);
        !self.surplus.contains(&vb) && !matches!(phase, Some(WantedPhase::Due | WantedPhase::Asked))
    }

    /// Whether the consumer may have a stream of this vBucket through this link.
    #[must_use]
    pub fn may_hold(&self, vb: VbId) -> bool {
        let phase = self.streams.get(&vb).map(|stream| stream.phase);
        self.surplus.contains(&vb)
            || self.reopen.contains(&vb)
            || matches!(phase, Some(WantedPhase::Asked | WantedPhase::Open))
    }

    /// Returns the wanted streams by vBucket.
    #[must_use]
    pub const fn streams(&self) -> &BTreeMap<VbId, WantedStream> {
        &self.streams
    }

    /// Whether a wanted stream is open.
    #[must_use]
    pub fn is_open(&self, vb: VbId) -> bool {
        self.streams.get(&vb).is_some_and(|stream| stream.phase == WantedPhase::Open)
    }

    /// Returns the open streams, each with the time since when it is open.
    pub fn open_since(&self) -> impl Iterator<Item = (VbId, Duration)> {
        let open = self.streams.iter().filter(|(_, stream)| stream.phase == WantedPhase::Open);
        open.filter_map(|(&vb, stream)| Some((vb, stream.open_since?)))
    }

    /// Whether a wanted stream is part of the running set-up.
    #[must_use]
    pub fn is_asked(&self, vb: VbId) -> bool {
        self.streams.get(&vb).is_some_and(|stream| stream.phase == WantedPhase::Asked)
    }

    /// Returns the number of wanted streams that are open.
    #[must_use]
    pub fn open_count(&self) -> usize {
        self.streams.values().filter(|stream| stream.phase == WantedPhase::Open).count()
    }

    /// Returns the streams that may be open and are no longer wanted.
    #[must_use]
    pub const fn surplus(&self) -> &BTreeSet<VbId> {
        &self.surplus
    }

    /// Whether a wanted stream is not held back, so that the link must be open.
    #[must_use]
    pub fn needs_link(&self) -> bool {
        self.streams.values().any(|stream| stream.phase != WantedPhase::Held)
    }

    /// Whether no stream needs the link, and no surplus stream is left.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        !self.needs_link() && self.surplus.is_empty()
    }

    /// Whether no stream is wanted and no surplus stream is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty() && self.surplus.is_empty()
    }

    fn opened(&mut self, vb: VbId, now: Duration) {
        match self.streams.get_mut(&vb) {
            Some(stream) => {
                (stream.phase, stream.last_error) = (WantedPhase::Open, None);
                stream.open_since.get_or_insert(now);
                // It may be surplus: it was dropped and wanted again while it opened.
                self.surplus.remove(&vb);
            }
            // It was dropped while it opened.
            None => _ = self.surplus.insert(vb),
        }
    }

    /// Replaces the short wait before a rollback by the normal backoff: the copy turned out to be
    /// complete.
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

    /// The copy is complete again. The refusal may recur, so the stream waits for the backoff of
    /// its last failure.
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
        stream.open_since = None;
    }
}

#[cfg(test)]
mod tests;
