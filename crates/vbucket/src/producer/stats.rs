//! The statistics of a producer connection, for `STAT dcp` and `STAT dcp-vbtakeover`.

use std::time::Duration;

use mcbp::VbId;

use super::stream::Origin;
use super::{ActiveStream, MarkerVersion, Priority, Producer, StreamId, StreamKey};
use crate::stats::Stats;

/// The figures of one producer connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProducerTotals {
    /// Bytes that were sent.
    pub bytes: u64,
    /// Changes that were sent.
    pub items: u64,
    /// Streams that are open.
    pub streams: usize,
    /// Streams that read the disk.
    pub backfills: usize,
    /// Streams that wait to read the disk.
    pub backfills_waiting: usize,
    /// Bytes that were read from disk and not sent yet.
    pub read_ahead_bytes: usize,
    /// Bytes that were sent and not acknowledged.
    pub unacked_bytes: u64,
    /// Whether the window is full and the consumer has acknowledged nothing for a minute.
    pub silent: bool,
}

impl Producer {
    /// Collects the statistics of the connection and its streams, with kv_engine's names.
    pub fn stats(&self, now: Duration, stats: &mut Stats<'_>) {
        let Self { settings, window, liveness, totals, .. } = self;
        stats.put("type", "producer");
        stats.put("supports_ack", window.size_bytes() > 0);
        stats.put("paused", !self.has_work());
        let reason = if window.is_open() { "ReadyListEmpty" } else { "BufferLogFull" };
        stats.put("paused_current_reason", reason);
        stats.put("priority", priority_name(settings.priority));
        stats.put("flatbuffers_system_events", settings.flatbuffers_events);
        stats.put("change_streams_enabled", settings.change_streams);
        stats.put("items_sent", totals.items_sent);
        stats.put("items_remaining", 0);
        stats.put("total_bytes_sent", totals.bytes_sent);
        stats.put("last_receive_time", liveness.heard_at().as_secs());
        stats.put("idle_s", now.saturating_sub(liveness.heard_at()).as_secs());
        stats.put("noop_enabled", settings.noop);
        stats.put("noop_tx_interval", format_args!("{} ms", settings.noop_interval.as_millis()));
        stats.put("noop_wait", liveness.is_waiting());
        stats.put("cursor_dropping", settings.cursor_dropping);
        stats.put("send_stream_end_on_client_close_stream", settings.end_on_close);
        stats.put("enable_expiry_opcode", settings.expiry_opcode);
        stats.put("enable_stream_id", settings.stream_ids);
        stats.put("synchronous_replication", settings.sync_writes);
        stats.put("synchronous_writes", settings.sync_writes);
        stats.put("max_marker_version", marker_name(settings.max_marker));
        let (reading, waiting) = self.slots.counts();
        stats.put("backfill_num_active", reading);
        stats.put("backfill_num_pending", waiting);
        stats.put("backfill_buffer_bytes_read", self.read_ahead_bytes());
        stats.put("max_buffer_bytes", window.size_bytes());
        stats.put("kvnode_silent_s", self.silence.lasts().as_secs());
        stats.put("unacked_bytes", window.unacked_bytes());
        stats.put("total_acked_bytes", window.acked_bytes());
        let enabled = window.size_bytes() > 0;
        stats.put("flow_control", if enabled { "enabled" } else { "disabled" });
        stats.put("dcp_ready_queue_size", self.ready.len());
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

    /// Returns what the connection adds to the node's totals.
    #[must_use]
    pub fn totals(&self) -> ProducerTotals {
        let (backfills, backfills_waiting) = self.slots.counts();
        ProducerTotals {
            bytes: self.totals.bytes_sent,
            items: self.totals.items_sent,
            streams: self.streams.len(),
            backfills,
            backfills_waiting,
            read_ahead_bytes: self.read_ahead_bytes(),
            unacked_bytes: self.window.unacked_bytes(),
            silent: self.silence.is_too_long(),
        }
    }

    fn read_ahead_bytes(&self) -> usize {
        let origins = self.streams.values().map(|stream| &stream.origin);
        origins.map(|origin| if let Origin::Disk(b) = origin { b.held_bytes() } else { 0 }).sum()
    }

    /// Returns the stream of a vBucket, if there is one; of several the one with the lowest id.
    #[must_use]
    pub fn stream(&self, vb: VbId) -> Option<&ActiveStream> {
        self.streams.range(StreamKey::all_of(vb)).next().map(|(_, stream)| stream)
    }

    /// Whether this stream of a vBucket has not ended.
    #[must_use]
    pub fn has_stream(&self, vb: VbId, stream: StreamId) -> bool {
        let current = self.streams.get(&StreamKey { vb, sid: stream.sid });
        current.is_some_and(|current| current.id == stream)
    }
}

impl ActiveStream {
    /// What the stream is doing, as kv_engine's statistics name it.
    #[must_use]
    pub fn phase_name(&self) -> &'static str {
        match (&self.origin, &self.takeover) {
            (Origin::Disk(_), _) => "backfilling",
            (Origin::Memory(_), None) => "in-memory",
            (Origin::Memory(_), Some(takeover)) => takeover.stage_name(),
        }
    }

    /// The last seqno that was sent.
    #[must_use]
    pub const fn last_sent_seqno(&self) -> mcbp::Seqno {
        self.cursor
    }

    fn stats(&self, stats: &mut Stats<'_>) {
        let mut put = |name: &str, value: &dyn std::fmt::Display| {
            let (vb, sid) = (self.vb.0, self.id.sid);
            match sid {
                0 => stats.put(format_args!("stream_{vb}_{name}"), value),
                sid => stats.put(format_args!("stream_{vb}_sid:{sid}_{name}"), value),
            }
        };
        put("flags", &self.granted.flags);
        put("opaque", &self.id.opaque.0.swap_bytes());
        put("start_seqno", &self.granted.start);
        put("end_seqno", &self.granted.end);
        put("snap_end_seqno", &self.granted.snapshot_end);
        put("state", &self.phase_name());
        put("items_ready", &self.queued);
        put("backfill_sent", &self.backfill_items_sent);
        put("memory_phase", &(self.items_sent - self.backfill_items_sent));
        put("last_sent_seqno", &self.cursor);
        put("last_sent_snap_end_seqno", &self.markers.end());
    }
}

const fn marker_name(version: MarkerVersion) -> &'static str {
    match version {
        MarkerVersion::V1 => "V1_0",
        MarkerVersion::V2_0 => "V2_0",
        MarkerVersion::V2_2 => "V2_2",
    }
}

const fn priority_name(priority: Priority) -> &'static str {
    match priority {
        Priority::High => "High",
        Priority::Medium => "Medium",
        Priority::Low => "Low",
    }
}
