//! A run that has begun, and when the next one is due.

use std::collections::BTreeSet;
use std::time::Duration;

use mcbp::VbId;

use super::words::{Moment, Sight};

/// How long a run waits for streams that are not open although their link is.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// After a run that took longer than the interval, this share of the interval is a pause.
const REST_SHARE: u32 = 10;

/// A run that has begun.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Run {
    pub(super) began: Duration,
    /// What is to be compared.
    pub(super) left: BTreeSet<VbId>,
    /// What differed, and is to be compared a second time.
    pub(super) doubtful: BTreeSet<VbId>,
    /// When something of it was compared last.
    pub(super) progress: Duration,
    pub(super) is_asked: bool,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Plan {
    pub(super) sight: Sight,
    /// When the next run is due.
    pub(super) due: Option<Duration>,
    pub(super) run: Option<Run>,
}

impl Run {
    pub(super) const fn new(left: BTreeSet<VbId>, is_asked: bool, now: Duration) -> Self {
        Self { began: now, left, doubtful: BTreeSet::new(), progress: now, is_asked }
    }
}

impl Plan {
    /// The next run is due an interval after this one began, and after a pause. One that was asked
    /// for leaves the schedule as it is.
    pub(super) fn run_over(&mut self, every: Option<Duration>, at: Moment) {
        let Some(run) = self.run.take() else { return };
        let Some(every) = every else { return };
        if !run.is_asked || self.due.is_some_and(|due| due <= at.now) {
            // 90 % to 110 % of the interval, so that the runs of many sidecars drift apart.
            let jittered = every.mul_f64(0.9 + 0.2 * at.chance.clamp(0.0, 1.0));
            self.due = Some((run.began + jittered).max(at.now + every / REST_SHARE));
        }
    }
}

/// The first run is due within one interval, at any time of it: many sidecars start together.
pub(super) fn first(every: Option<Duration>, at: Moment) -> Option<Duration> {
    every.map(|every| at.now + every.mul_f64(at.chance.clamp(0.0, 1.0)))
}
