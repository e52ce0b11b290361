//! Which vBucket is compared next, and how long a node that lags is waited for.
//!
//! Shortly before a vBucket is compared it gets a pin, the higher one of both high seqnos: once
//! both nodes have it, what one of them lacks below it is a difference. A vBucket that waits for
//! that stops no other one.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use mcbp::{Seqno, VbId};

use crate::Pin;

/// How many vBuckets are ready to be compared at most: a pin that has waited says less.
const READY_MAX: usize = 32;
/// The rest after the first failure; it doubles with each further one.
const REST: Duration = Duration::from_millis(100);

/// The high seqnos of all vBuckets of a node.
pub type Seqnos = BTreeMap<VbId, Seqno>;

/// A vBucket that is to be compared now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Job {
    /// The vBucket.
    pub vb: VbId,
    /// What both nodes have.
    pub pin: Pin,
}

/// See the module. Times are those of any one clock.
#[derive(Debug)]
pub struct Queue {
    patience: Duration,
    fresh: VecDeque<VbId>,
    waiting: BTreeMap<VbId, Waiting>,
    resting: Vec<(Duration, VbId)>,
    ready: VecDeque<Job>,
    running: usize,
}

/// A vBucket whose pin one node does not have yet.
#[derive(Debug)]
struct Waiting {
    pin: Seqno,
    /// How far the node that lags has got, and when.
    low: Seqno,
    since: Duration,
}

impl Queue {
    /// All of these are to be compared. A node that lags is waited for as long as it goes on, and
    /// for `patience` without any progress.
    #[must_use]
    pub fn new(vbs: impl IntoIterator<Item = VbId>, patience: Duration) -> Self {
        Self {
            patience,
            fresh: vbs.into_iter().collect(),
            waiting: BTreeMap::new(),
            resting: Vec::new(),
            ready: VecDeque::new(),
            running: 0,
        }
    }

    /// Whether it takes new seqnos to get on.
    #[must_use]
    pub fn wants_seqnos(&self) -> bool {
        let few = self.ready.len() < READY_MAX / 2;
        few && !(self.fresh.is_empty() && self.waiting.is_empty() && self.resting.is_empty())
    }

    /// Whether a vBucket is ready to be compared.
    #[must_use]
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let nothing = self.fresh.is_empty() && self.waiting.is_empty() && self.resting.is_empty();
        nothing && self.ready.is_empty() && self.running == 0
    }

    /// What both nodes have now. `a` and `b` may be of moments shortly after each other.
    pub fn on_seqnos(&mut self, now: Duration, a: &Seqnos, b: &Seqnos) {
        let highs = |vb: VbId| (a.get(&vb).copied(), b.get(&vb).copied());
        let patience = self.patience;
        let ready = &mut self.ready;
        self.waiting.retain(|&vb, waiting| match waiting.look(now, patience, highs(vb)) {
            Some(late) => {
                ready.push_back(Job { vb, pin: Pin { seqno: waiting.pin, late } });
                false
            }
            None => true,
        });
        let fresh = &mut self.fresh;
        self.resting.retain(|&(until, vb)| {
            let rests = until > now;
            if !rests {
                fresh.push_front(vb);
            }
            rests
        });
        for _ in 0..READY_MAX {
            if self.ready.len() >= READY_MAX {
                return;
            }
            let Some(vb) = self.fresh.pop_front() else { return };
            let (a, b) = highs(vb);
            let pin = a.max(b).unwrap_or_default();
            let mut waiting = Waiting { pin, low: Seqno::ZERO, since: now };
            match waiting.look(now, patience, (a, b)) {
                Some(late) => self.ready.push_back(Job { vb, pin: Pin { seqno: pin, late } }),
                None => drop(self.waiting.insert(vb, waiting)),
            }
        }
    }

    /// Takes the next vBucket.
    pub fn take(&mut self) -> Option<Job> {
        let job = self.ready.pop_front()?;
        self.running += 1;
        Some(job)
    }

    /// A vBucket that was taken is to be compared again, after a rest.
    pub fn later(&mut self, vb: VbId, now: Duration, rest: u32) {
        self.running = self.running.saturating_sub(1);
        match rest {
            0 => self.fresh.push_front(vb),
            failures => {
                let rest = REST.saturating_mul(1 << failures.saturating_sub(1).min(5));
                self.resting.push((now.saturating_add(rest), vb));
            }
        }
    }

    /// The comparison of a vBucket that was taken is over.
    pub const fn done(&mut self) {
        self.running = self.running.saturating_sub(1);
    }
}

impl Waiting {
    /// Whether the vBucket is to be compared now, and if so, whether a node is too late.
    fn look(
        &mut self,
        now: Duration,
        patience: Duration,
        highs: (Option<Seqno>, Option<Seqno>),
    ) -> Option<bool> {
        // A node without the vBucket says so when it is asked for it.
        let (Some(a), Some(b)) = highs else { return Some(true) };
        let low = a.min(b);
        if low >= self.pin {
            return Some(false);
        }
        if low > self.low {
            (self.low, self.since) = (low, now);
        }
        (now.saturating_sub(self.since) >= patience).then_some(true)
    }
}

#[cfg(test)]
mod tests;
