//! Filters frames that a consumer repeats and the machine need not see: answers to NOOPs of the
//! producer, and further refusals on a stream that it has already refused a row of. A consumer
//! refuses each row that is still on its way, and one message to the actor for each would delay the
//! link.

use std::collections::BTreeSet;

use mcbp::Opaque;

use super::{ControlFrame, Verdict, is_barrier};

/// Bound on the remembered streams. Several attempts of every vBucket fit.
const REFUSED_MAX: usize = 4096;

/// Repeats the verdict of the machine on frames like one that it has seen.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RepeatFilter {
    /// Streams on which the machine has withheld a refusal.
    refused: BTreeSet<Opaque>,
}

impl RepeatFilter {
    /// Returns the verdict on a frame that the machine need not see.
    #[must_use]
    pub fn verdict(&self, frame: ControlFrame) -> Option<Verdict> {
        match frame {
            ControlFrame::NoopResponse { opaque } if !is_barrier(opaque) => Some(Verdict::Forward),
            ControlFrame::DataRefused { opaque, .. } if self.refused.contains(&opaque) => {
                Some(Verdict::Withhold)
            }
            _ => None,
        }
    }

    /// Records the verdict of the machine on a frame.
    pub fn record(&mut self, frame: ControlFrame, verdict: Verdict) {
        if let ControlFrame::DataRefused { opaque, .. } = frame
            && verdict == Verdict::Withhold
        {
            if self.refused.len() == REFUSED_MAX {
                self.refused.clear();
            }
            self.refused.insert(opaque);
        }
    }
}

#[cfg(test)]
mod tests {
    use mcbp::{Opcode, Status};

    use super::*;

    fn refused(stream: u32) -> ControlFrame {
        let (opcode, status) = (Opcode::DCP_MUTATION, Status::EINVAL);
        ControlFrame::DataRefused { opaque: Opaque(stream), opcode, status }
    }

    #[test]
    fn the_first_refusal_of_a_stream_goes_to_the_machine_and_each_after_it_is_withheld() {
        let mut repeats = RepeatFilter::default();
        assert_eq!(repeats.verdict(refused(1)), None);
        repeats.record(refused(1), Verdict::Withhold);
        assert_eq!(repeats.verdict(refused(1)), Some(Verdict::Withhold));
        assert_eq!(repeats.verdict(refused(2)), None, "another stream");
        repeats.record(refused(2), Verdict::Forward);
        assert_eq!(repeats.verdict(refused(2)), None, "the machine did not know the stream");
    }

    #[test]
    fn answers_to_the_producers_noops_pass_and_those_to_our_own_go_to_the_machine() {
        let repeats = RepeatFilter::default();
        let noop = |opaque| repeats.verdict(ControlFrame::NoopResponse { opaque: Opaque(opaque) });
        assert_eq!(noop(7), Some(Verdict::Forward));
        assert_eq!(noop(0xff00_01ff), None);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut repeats = RepeatFilter::default();
        for stream in 0..3 * u32::try_from(REFUSED_MAX).unwrap() {
            repeats.record(refused(stream), Verdict::Withhold);
        }
        assert!(repeats.refused.len() <= REFUSED_MAX);
    }
}
