//! Counters of a pump, for status pages, metrics and stall detection.
//!
//! Only the pump writes, once per run of frames. Each number is consistent; several numbers are not
//! of the same instant.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use mcbp::{Seqno, VbId};
use tokio::time::Instant;

use crate::samples::{Samples, VbSample};

/// In place of a time: the pump waits for its sink.
const BLOCKED: u64 = u64::MAX;

/// Counters of one direction of a link.
#[derive(Debug)]
pub struct Progress {
    started: Instant,
    bytes: AtomicU64,
    frames: AtomicU64,
    withheld: AtomicU64,
    injected: AtomicU64,
    heard_ms: AtomicU64,
    /// Since when the pump reads, after it has waited for its sink; [`BLOCKED`] while it waits.
    reads_since_ms: AtomicU64,
    samples: Samples,
}

impl Progress {
    /// Counters at zero; the source was heard just now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
            bytes: AtomicU64::new(0),
            frames: AtomicU64::new(0),
            withheld: AtomicU64::new(0),
            injected: AtomicU64::new(0),
            heard_ms: AtomicU64::new(0),
            reads_since_ms: AtomicU64::new(0),
            samples: Samples::default(),
        }
    }

    /// Counters for a direction with data frames: the vBuckets below `vbuckets` are sampled.
    #[must_use]
    pub fn of_data(vbuckets: u16) -> Self {
        Self { samples: Samples::new(vbuckets), ..Self::new() }
    }

    /// Bytes of the source that were passed on.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Whole frames of the source that were passed on.
    pub fn frames(&self) -> u64 {
        self.frames.load(Relaxed)
    }

    /// Control frames of the source that were withheld.
    pub fn withheld(&self) -> u64 {
        self.withheld.load(Relaxed)
    }

    /// Injected frames that were written to the sink.
    pub fn injected(&self) -> u64 {
        self.injected.load(Relaxed)
    }

    /// Returns what was passed on of `vb`, by samples; `None` if there are none.
    pub fn vbucket(&self, vb: VbId) -> Option<VbSample> {
        self.samples.of(vb)
    }

    /// Records that the other side has every prepare of `vb` up to `seqno` (SEQNO_ACK). Returns how
    /// long that took since the prepare passed, where it was timed: one of each vBucket is, at a
    /// time.
    pub fn acknowledged(&self, vb: VbId, seqno: Seqno) -> Option<Duration> {
        self.samples.acknowledged(vb, seqno).map(|at_us| self.since(at_us))
    }

    /// Returns for how long a timed prepare of `vb` has waited for its acknowledgement; `None` if
    /// none waits.
    pub fn unacknowledged_for(&self, vb: VbId) -> Option<Duration> {
        self.samples.prepared_at_us(vb).map(|at_us| self.since(at_us))
    }

    /// The time since the source last sent something, to the millisecond.
    pub fn silent_for(&self) -> Duration {
        let heard = Duration::from_millis(self.heard_ms.load(Relaxed));
        self.started.elapsed().saturating_sub(heard)
    }

    /// As [`Self::silent_for`], but counts only while the pump reads the source, which it does not
    /// while it waits for its sink; `None` while it waits.
    pub fn unheard_for(&self) -> Option<Duration> {
        let since_ms = self.reads_since_ms.load(Relaxed);
        if since_ms == BLOCKED {
            return None;
        }
        let since = self.started.elapsed().saturating_sub(Duration::from_millis(since_ms));
        Some(self.silent_for().min(since))
    }

    /// Records that the pump begins to wait for its sink.
    pub(crate) fn blocked(&self) {
        self.reads_since_ms.store(BLOCKED, Relaxed);
    }

    /// Records that the sink has taken everything.
    pub(crate) fn unblocked(&self) {
        self.reads_since_ms.store(self.now_ms(), Relaxed);
    }

    pub(crate) fn heard(&self) {
        self.heard_ms.store(self.now_ms(), Relaxed);
    }

    fn since(&self, at_us: u64) -> Duration {
        self.started.elapsed().saturating_sub(Duration::from_micros(at_us))
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn passed(&self, bytes: usize, frames: usize) {
        self.bytes.fetch_add(bytes as u64, Relaxed);
        self.frames.fetch_add(frames as u64, Relaxed);
    }

    pub(crate) fn sample(&self, run: &[u8], bytes: usize, frames: usize) {
        let now_us = || u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.samples.take(run, bytes, frames, now_us);
    }

    pub(crate) fn withheld_one(&self) {
        self.withheld.fetch_add(1, Relaxed);
    }

    pub(crate) fn injected_some(&self, frames: usize) {
        self.injected.fetch_add(frames as u64, Relaxed);
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}
