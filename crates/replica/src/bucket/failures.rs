//! The failures of a bucket: their counts, and the delay of streams after them.

use std::collections::BTreeSet;
use std::time::Duration;

use mcbp::VbId;

use super::copies::SuspectCopies;
use super::event::Moment;
use super::settings::Settings;
use super::tally::Tally;
use crate::link::Retry;
use crate::loops::Loops;

/// The delay before an incomplete copy is rolled back. Long enough for the consumer's answer to
/// CLOSE_STREAM, which may show that no row is missing, and short compared with any backoff.
const ROLL_BACK_AFTER: Duration = Duration::from_millis(50);

/// The failures of a bucket.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Failures {
    pub(super) loops: Loops<VbId>,
    /// The same of links, by their index.
    pub(super) link_loops: Loops<usize>,
    /// Streams that failed or ended.
    pub(super) streams: Tally,
    /// Links that were lost, or could not be opened.
    pub(super) links: Tally,
}

impl Failures {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            loops: settings.loops(),
            link_loops: settings.loops(),
            streams: Tally::default(),
            links: Tally::default(),
        }
    }

    /// Returns the delay of a stream by its number of failures in a row. Streams that failed
    /// together share one random number, so that one set-up retries them together.
    ///
    /// No first failure is final: a node in warm-up answers that it has no vBucket. An incomplete
    /// copy is rolled back soon, so that it has a gap for as short as possible.
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
            _ if failures == 0 && incomplete.contains(&vb) => ROLL_BACK_AFTER,
            _ if broken.contains(&vb) => backoff.max,
            Retry::AtOnce if failures == 0 => Duration::ZERO,
            Retry::AtOnce | Retry::AfterBackoff | Retry::AfterNewTopology | Retry::Never => {
                backoff.delay(failures, chance)
            }
        }
    }
}
