//! What can be read of an open link at any time without asking anyone.

use std::sync::Arc;
use std::time::Duration;

use mcbp::{HEADER_BYTES, VbId};
use relay::{Progress, VbSample};
use replica::plan::VBUCKETS_MAX;
use replica::stall::Sample;

use super::flow::Flow;

/// The counters of one life of a link.
#[derive(Clone, Debug)]
pub(crate) struct Gauges {
    /// What the consumer sent.
    pub(crate) upstream: Arc<Progress>,
    /// What the producer sent: the data.
    pub(crate) downstream: Arc<Progress>,
    pub(crate) flow: Arc<Flow>,
}

impl Gauges {
    /// All at zero.
    pub(crate) fn new() -> Self {
        Self {
            upstream: Arc::default(),
            downstream: Arc::new(Progress::of_data(VBUCKETS_MAX)),
            flow: Arc::default(),
        }
    }

    /// What passed of `vb` by samples.
    pub(crate) fn vbucket(&self, vb: VbId) -> Option<VbSample> {
        self.downstream.vbucket(vb)
    }

    /// How long the producer has been silent.
    pub(crate) fn producer_silent(&self) -> Duration {
        self.downstream.silent_for()
    }

    /// How long the consumer has been silent.
    pub(crate) fn consumer_silent(&self) -> Duration {
        self.upstream.silent_for()
    }

    /// A sample for the rule about stalls; how far the consumer is behind is not known here.
    pub(crate) fn sample(&self) -> Sample {
        // A noop is a bare header, data is more: headers left out, noops do not count.
        let headers = self.downstream.frames().saturating_mul(HEADER_BYTES as u64);
        Sample {
            behind: None,
            data: self.downstream.bytes().saturating_sub(headers),
            acked_bytes: self.flow.acked_bytes(),
            window_bytes: self.flow.window_bytes(),
        }
    }
}
