//! Flow control of one producer connection: how many charged bytes may be out unacknowledged.

/// The window that the consumer gave with `connection_buffer_size`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Window {
    size_bytes: u32,
    unacked_bytes: u64,
    acked_bytes: u64,
}

impl Window {
    /// Sets the size; 0 turns flow control off. What is out stays charged.
    pub const fn resize(&mut self, size_bytes: u32) {
        self.size_bytes = size_bytes;
    }

    /// Whether another frame may be sent, however large: the last one may overshoot the window, so
    /// that a frame larger than the window is not stuck for ever.
    #[must_use]
    #[inline]
    pub const fn is_open(&self) -> bool {
        self.size_bytes == 0 || self.unacked_bytes < self.size_bytes as u64
    }

    /// Counts a frame that was sent, by [`mcbp::flow::charge`].
    #[inline]
    pub const fn charge(&mut self, bytes: usize) {
        if self.size_bytes != 0 {
            self.unacked_bytes += bytes as u64;
        }
    }

    /// Takes an acknowledgement; one of more than is out counts as all of it.
    pub const fn acknowledge(&mut self, bytes: u32) {
        self.unacked_bytes = self.unacked_bytes.saturating_sub(bytes as u64);
        self.acked_bytes += bytes as u64;
    }

    /// The size in bytes; 0 for no flow control.
    #[must_use]
    pub const fn size_bytes(&self) -> u32 {
        self.size_bytes
    }

    /// Bytes that are out.
    #[must_use]
    pub const fn unacked_bytes(&self) -> u64 {
        self.unacked_bytes
    }

    /// Bytes that were ever acknowledged.
    #[must_use]
    pub const fn acked_bytes(&self) -> u64 {
        self.acked_bytes
    }
}
