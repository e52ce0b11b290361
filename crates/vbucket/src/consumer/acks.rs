//! When freed bytes are acknowledged to the producer with BUFFER_ACK.

use std::time::Duration;

/// Freed bytes are acknowledged once they exceed this fraction of the window: a fifth.
const WINDOW_PARTS: u64 = 5;
/// Fewer freed bytes are acknowledged this long after the last acknowledgement.
const INTERVAL: Duration = Duration::from_secs(5);

/// The flow control of one consumer connection: every charged byte is freed exactly once and
/// acknowledged exactly once.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Acks {
    window_bytes: u32,
    /// Received and not processed yet.
    held_bytes: usize,
    freed_bytes: u64,
    acked_at: Duration,
    acked_bytes: u64,
}

impl Acks {
    pub(super) const fn new(window_bytes: u32, now: Duration) -> Self {
        Self { window_bytes, held_bytes: 0, freed_bytes: 0, acked_at: now, acked_bytes: 0 }
    }

    pub(super) const fn resize(&mut self, window_bytes: u32) {
        self.window_bytes = window_bytes;
    }

    /// Counts bytes that are freed later.
    pub(super) const fn hold(&mut self, bytes: usize) {
        self.held_bytes += bytes;
    }

    /// Frees bytes that were counted by [`Acks::hold`].
    pub(super) const fn release(&mut self, bytes: usize) {
        self.held_bytes -= bytes;
        self.free(bytes);
    }

    /// Frees bytes at once.
    pub(super) const fn free(&mut self, bytes: usize) {
        self.freed_bytes += bytes as u64;
    }

    /// Returns how many bytes to acknowledge now, never 0 (MB-59474).
    pub(super) fn due(&mut self, now: Duration) -> Option<u32> {
        let many = self.freed_bytes > u64::from(self.window_bytes) / WINDOW_PARTS;
        let late = self.freed_bytes > 0 && now.saturating_sub(self.acked_at) >= INTERVAL;
        if self.window_bytes == 0 || !(many || late) {
            return None;
        }
        let bytes = u32::try_from(self.freed_bytes).unwrap_or(u32::MAX);
        self.freed_bytes -= u64::from(bytes);
        self.acked_bytes += u64::from(bytes);
        self.acked_at = now;
        Some(bytes)
    }

    pub(super) const fn window_bytes(&self) -> u32 {
        self.window_bytes
    }

    pub(super) const fn acked_bytes(&self) -> u64 {
        self.acked_bytes
    }

    pub(super) const fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    pub(super) const fn freed_bytes(&self) -> u64 {
        self.freed_bytes
    }
}
