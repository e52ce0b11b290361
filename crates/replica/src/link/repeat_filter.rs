//! What a consumer says over and over, and the machine need not hear: answers to NOOPs that are not
//! its own, and more refusals of a stream that it has refused already. A consumer refuses each row
//! that is still on its way, and one message to the actor for each would hold up the link.

use std::collections::BTreeSet;

use mcbp::Opaque;

use super::{ControlFrame, Verdict, is_barrier};

/// Streams whose refusal is remembered. Several attempts of every vBucket fit.
const REFUSED_MAX: usize = 4096;

/// Answers frames of the consumer in the place of the machine, where that has answered the like.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RepeatFilter {
    /// Streams of which the machine has withheld a refusal.
    refused: BTreeSet<Opaque>,
}

impl RepeatFilter {
    /// The verdict on a frame that the machine need not hear.
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

    /// The machine has heard a frame, and given its verdict.
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
    fn the_first_refusal_of_a_stream_is_heard_and_each_after_it_withheld() {
        let mut repeats = RepeatFilter::default();
        assert_eq!(repeats.verdict(refused(1)), None);
        repeats.record(refused(1), Verdict::Withhold);
        assert_eq!(repeats.verdict(refused(1)), Some(Verdict::Withhold));
        assert_eq!(repeats.verdict(refused(2)), None, "another stream");
        repeats.record(refused(2), Verdict::Forward);
        assert_eq!(repeats.verdict(refused(2)), None, "the machine did not know the stream");
    }

    #[test]
    fn answers_to_the_producers_noops_pass_and_those_to_our_own_are_heard() {
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
