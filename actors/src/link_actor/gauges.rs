//! Counters of an open link, readable at any time without a message.

use std::sync::Arc;
use std::time::Duration;

use mcbp::{HEADER_BYTES, VbId};
use relay::{Progress, VbSample};
use replica::liveness::Quiet;
use replica::plan::VBUCKETS_MAX;
use replica::stall::Sample;

use super::flow::Flow;

/// The counters of one incarnation of a link.
#[derive(Clone, Debug)]
pub(crate) struct Gauges {
    /// Frames from the consumer.
    pub(crate) upstream: Arc<Progress>,
    /// Frames from the producer: the data.
    pub(crate) downstream: Arc<Progress>,
    pub(crate) flow: Arc<Flow>,
}

impl Gauges {
    /// Returns counters at zero.
    pub(crate) fn new() -> Self {
        Self {
            upstream: Arc::default(),
            downstream: Arc::new(Progress::of_data(VBUCKETS_MAX)),
            flow: Arc::default(),
        }
    }

    /// Returns the samples of `vb`.
    pub(crate) fn vbucket(&self, vb: VbId) -> Option<VbSample> {
        self.downstream.vbucket(vb)
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
