//! The failures of a bucket: what is counted of them, and how long streams wait after them.

use std::collections::BTreeSet;
use std::time::Duration;

use mcbp::VbId;

use super::copies::SuspectCopies;
use super::event::Moment;
use super::settings::Settings;
use super::tally::Tally;
use crate::link::Retry;
use crate::loops::Loops;

/// When a copy that misses rows is rolled back: long enough for the consumer's answer to
/// CLOSE_STREAM, which may show that it misses none, and short beside any backoff.
const MEND_AFTER: Duration = Duration::from_millis(50);

/// The failures of a bucket.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Failures {
    pub(super) loops: Loops,
    /// Streams that failed or ended.
    pub(super) streams: Tally,
    /// Links that were lost, or could not be opened.
    pub(super) links: Tally,
}

impl Failures {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { loops: settings.loops(), streams: Tally::default(), links: Tally::default() }
    }

    /// How long streams wait after so many failures in a row. What fails together is tried again
    /// together: one chance for all of it.
    ///
    /// Nothing is taken as final at once: a node that warms up says that it has no vBucket. A copy
    /// that misses rows is rolled back soon, so that it misses them for as short as can be.
    pub(super) fn stream_delay(
        &self,
        copies: &SuspectCopies,
        settings: &Settings,
        at: Moment,
    ) -> impl FnMut(VbId, u32, Retry) -> Duration + use<> {
        let (backoff, chance) = (settings.backoff, at.chance);
        let broken: BTreeSet<_> = self.loops.all_broken(at.now).map(|(vb, ..)| vb).collect();
        let incomplete: BTreeSet<_> = copies.all_incomplete().map(|(vb, _)| vb).collect();
        move |vb, failures, retry| match retry {
            _ if failures == 0 && incomplete.contains(&vb) => MEND_AFTER,
            _ if broken.contains(&vb) => backoff.max,
            Retry::AtOnce if failures == 0 => Duration::ZERO,
            Retry::AtOnce | Retry::AfterBackoff | Retry::AfterNewTopology | Retry::Never => {
                backoff.delay(failures, chance)
            }
        }
    }
}
