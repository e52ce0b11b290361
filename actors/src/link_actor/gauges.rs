//! Counters of an open link, readable at any time without a message.

use std::sync::Arc;
use std::time::Duration;

use exposition::Durations;
use mcbp::{HEADER_BYTES, Header, VbId};
use relay::{Progress, VbSample};
use replica::liveness::Quiet;
use replica::plan::VBUCKETS_MAX;
use replica::stall::Sample;

use super::acks::Acks;
use super::flow::Flow;

/// The counters of one incarnation of a link.
#[derive(Clone, Debug)]
pub(crate) struct Gauges {
    /// Frames from the consumer.
    pub(crate) upstream: Arc<Progress>,
    /// Frames from the producer: the data.
    pub(crate) downstream: Arc<Progress>,
    pub(crate) flow: Arc<Flow>,
    pub(crate) acks: Arc<Acks>,
}

impl Gauges {
    /// Returns counters at zero. How long acknowledgements take is observed in `acknowledgement`
    /// as well, which outlives them.
    pub(crate) fn new(acknowledgement: &Arc<Durations>) -> Self {
        let downstream = Arc::new(Progress::of_data(VBUCKETS_MAX));
        Self {
            upstream: Arc::default(),
            flow: Arc::default(),
            acks: Arc::new(Acks::new(Arc::clone(&downstream), Arc::clone(acknowledgement))),
            downstream,
        }
    }

    /// Records a frame of the consumer that only concerns counters; returns whether it is one.
    pub(crate) fn saw(&self, frame: &[u8]) -> bool {
        let Ok(Some(header)) = Header::peek(frame) else { return false };
        if Flow::concerns(&header) {
            self.flow.saw(frame);
        } else if Acks::concerns(&header) {
            self.acks.saw(frame);
        } else {
            return false;
        }
        true
    }

    /// Returns the samples of `vb`.
    pub(crate) fn vbucket(&self, vb: VbId) -> Option<VbSample> {
        self.downstream.vbucket(vb)
    }

    /// Returns for how long a timed prepare of `vb` has waited for its acknowledgement.
    pub(crate) fn unacknowledged_for(&self, vb: VbId) -> Option<Duration> {
        self.downstream.unacknowledged_for(vb)
    }

    /// Returns the time since the producer last sent anything.
    pub(crate) fn producer_silent(&self) -> Duration {
        self.downstream.silent_for()
    }

    /// Returns the time since the consumer last sent anything.
    pub(crate) fn consumer_silent(&self) -> Duration {
        self.upstream.silent_for()
    }

    /// Returns what passed and was not acknowledged, at most the window; `None` without a window.
    pub(crate) fn unacked_bytes(&self) -> Option<u64> {
        let window = self.flow.window_bytes()?;
        Some(self.downstream.bytes().saturating_sub(self.flow.acked_bytes()).min(window))
    }

    /// Returns a sample for the stall rule; the bucket adds the lag.
    pub(crate) fn sample(&self) -> Sample {
        // Headers are left out, so that noops, which have no body, do not count.
        let headers = self.downstream.frames().saturating_mul(HEADER_BYTES as u64);
        Sample {
            behind: None,
            data: self.downstream.bytes().saturating_sub(headers),
            acked_bytes: self.flow.acked_bytes(),
            window_bytes: self.flow.window_bytes(),
            quiet: Quiet {
                producer: self.downstream.unheard_for(),
                consumer: self.upstream.unheard_for(),
                noop_interval: self.flow.noop_interval(),
            },
        }
    }
}
