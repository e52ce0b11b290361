//! One vBucket: its track, its stream, and when to ask again.

use std::time::Duration;

use mcbp::{Seqno, Status, VbId};
use replica::backoff::Backoff;

use super::{End, Now, Request};
use crate::{Place, Track};

/// What its stream does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// It is asked for at this time, once the node is there.
    Waiting(Duration),
    /// It was asked for.
    Asked,
    /// It is open.
    Open { since: Duration },
    /// The end was reached.
    Done,
}

#[derive(Debug)]
pub(super) struct Vb {
    pub(super) track: Track,
    pub(super) state: State,
    end: End,
    /// Whether it was rolled back in this run.
    pub(super) rolled_back: bool,
    /// Whether a stream of nothing is asked for. To a request up to its latest change, a node that
    /// has less than was received says that the range is wrong; to this one, where to go back to.
    pub(super) probes: bool,
    /// The status that was told last.
    pub(super) refused: Option<Status>,
    /// Since when the node says that it does not have it.
    pub(super) absent_since: Option<Duration>,
    failures: u32,
}

impl Vb {
    pub(super) fn new(track: Track, end: End) -> Self {
        let mut vb = Self {
            track,
            state: State::Waiting(Duration::ZERO),
            end,
            rolled_back: false,
            probes: false,
            refused: None,
            absent_since: None,
            failures: 0,
        };
        // What was shown before may be void: only the node can tell.
        if vb.is_at_end() && vb.track.seqno() == Seqno::ZERO {
            vb.state = State::Done;
        }
        vb
    }

    /// Whether nothing is missing up to the end. A node that opens the stream then has the same
    /// history, and need not send its end.
    pub(super) fn is_at_end(&self) -> bool {
        match self.end {
            End::Never => false,
            End::Now(_) if self.rolled_back => false,
            End::At(end) | End::Now(end) => self.track.seqno() >= end && self.track.is_whole(),
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    pub(super) const fn has_end(&self) -> bool {
        !matches!(self.end, End::Never)
    }

    /// Asks at once.
    pub(super) const fn again(&mut self, now: Now) -> Duration {
        self.state = State::Waiting(now.at);
        now.at
    }

    /// Asks after a delay, which is returned as a time.
    pub(super) fn failed(&mut self, backoff: Backoff, now: Now) -> Duration {
        if let State::Open { since } = self.state
            && now.at.saturating_sub(since) >= backoff.lasting(self.failures)
        {
            self.failures = 0;
        }
        let at = now.at + backoff.delay(self.failures, now.random);
        self.failures = self.failures.saturating_add(1);
        self.state = State::Waiting(at);
        at
    }

    /// It is asked for once the node is back; a delay that is running goes on.
    pub(super) fn node_lost(&mut self) {
        self.absent_since = None;
        if let State::Asked | State::Open { .. } = self.state {
            self.state = State::Waiting(Duration::ZERO);
        }
    }

    /// Whether the node refused this status to a request up to its latest change, which is asked
    /// for in another way then.
    pub(super) fn is_beyond(&mut self, status: Status) -> bool {
        let is_latest = self.rolled_back && !self.probes && matches!(self.end, End::Now(_));
        self.probes = is_latest && status == Status::ERANGE;
        self.probes
    }

    pub(super) fn request(&self, vb: VbId) -> Request {
        let Place { after, uuid, snapshot } = self.track.place();
        let (to, flags) = match self.end {
            End::Never => (Seqno::MAX, 0),
            End::Now(_) if self.probes => (snapshot.1, 0),
            End::Now(_) if self.rolled_back => (Seqno::MAX, Request::TO_LATEST),
            // A snapshot that contains the end is shown to its own end.
            End::At(to) | End::Now(to) if after >= to => (snapshot.1, 0),
            End::At(to) | End::Now(to) => (to, 0),
        };
        Request { vb, after, to, uuid, snapshot, flags }
    }
}
