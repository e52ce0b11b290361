//! The statistics of a consumer connection, for `STAT dcp`.

use super::counter::number;
use super::stream::{PassiveStream, StreamPhase};
use super::{Consumer, VbId};
use crate::stats::Stats;

impl Consumer {
    /// Collects the statistics of the connection and its streams, with kv_engine's names.
    pub fn stats(&self, stats: &mut Stats<'_>) {
        stats.put("type", "consumer");
        stats.put("supports_ack", false);
        stats.put("total_backoffs", 0);
        stats.put("total_acked_bytes", self.acks.acked_bytes());
        stats.put("max_buffer_bytes", self.acks.window_bytes());
        stats.put("unacked_bytes", self.acks.freed_bytes() + self.queued_bytes() as u64);
        stats.put("synchronous_replication", false);
        stats.put("pending_add_stream", !self.to_request.is_empty() || !self.held.is_empty());
        stats.put("num_streams", self.streams.len());
        for stream in self.streams.values() {
            stream.stats(stats);
        }
    }

    /// How many streams there are.
    #[must_use]
    pub fn stream_count(&self) -> usize {
        self.streams.len()
    }

    /// The vBuckets with a stream.
    pub fn vbuckets(&self) -> impl Iterator<Item = VbId> {
        self.streams.keys().copied()
    }
}

impl PassiveStream {
    fn stats(&self, stats: &mut Stats<'_>) {
        let mut put = |name: &str, value: &dyn std::fmt::Display| {
            stats.put(format_args!("stream_{}_{name}", self.vb.0), value);
        };
        let state = match self.phase {
            StreamPhase::Queued
            | StreamPhase::Requested
            | StreamPhase::RollingBack
            | StreamPhase::TakingHistory => "pending",
            StreamPhase::Open => "reading",
            StreamPhase::Draining => "dead",
        };
        put("flags", &self.flags);
        put("opaque", &number(self.opaque));
        put("start_seqno", &self.start);
        put("vb_uuid", &self.uuid);
        put("state", &state);
        put("unacked_bytes", &self.queued_bytes());
        put("last_received_seqno", &self.last_seqno);
        put("cur_snapshot_type", if self.snapshot_from_disk { &"disk" } else { &"memory" });
        put("cur_snapshot_start", &self.snapshot.0);
        put("cur_snapshot_end", &self.snapshot.1);
    }
}
