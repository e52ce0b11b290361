//! How long the consumer takes to acknowledge prepares of durable writes, from the frames that
//! pass. They are never changed and never withheld.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use exposition::Durations;
use mcbp::dcp::SeqnoAck;
use mcbp::{Frame, Header, Opcode};
use relay::Progress;

/// The acknowledgements of one incarnation of a link.
#[derive(Debug)]
pub(crate) struct Acks {
    /// Knows when each prepare passed.
    downstream: Arc<Progress>,
    /// Of all incarnations of all links of the bucket.
    all: Arc<Durations>,
    /// 0 before the first one.
    last_us: AtomicU64,
}

impl Acks {
    /// Returns none so far.
    pub(crate) const fn new(downstream: Arc<Progress>, all: Arc<Durations>) -> Self {
        Self { downstream, all, last_us: AtomicU64::new(0) }
    }

    /// Whether a frame of the consumer acknowledges prepares.
    pub(crate) const fn concerns(header: &Header) -> bool {
        header.is_request() && matches!(header.opcode, Opcode::DCP_SEQNO_ACK)
    }

    /// Records a frame that [`Self::concerns`] accepts. A malformed one is ignored; the producer
    /// answers it.
    pub(crate) fn saw(&self, bytes: &[u8]) {
        let Ok(frame) = Frame::parse(bytes) else { return };
        let Ok(ack) = SeqnoAck::decode(&frame) else { return };
        let Some(took) = self.downstream.acknowledged(frame.header.vbucket(), ack.prepared) else {
            return;
        };
        self.all.observe(took);
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.last_us.store(us.max(1), Relaxed);
    }

    /// Returns how long the last timed acknowledgement took, in microseconds; `None` before the
    /// first one.
    pub(crate) fn last_us(&self) -> Option<u64> {
        Some(self.last_us.load(Relaxed)).filter(|&us| us > 0)
    }
}
