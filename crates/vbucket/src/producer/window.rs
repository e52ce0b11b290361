//! Flow control of one producer connection: how many charged bytes may be unacknowledged.

/// The window that the consumer gave with `connection_buffer_size`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Window {
    size_bytes: u32,
    unacked_bytes: u64,
    acked_bytes: u64,
}

impl Window {
    /// Sets the size; 0 turns flow control off. Unacknowledged bytes stay charged.
    pub const fn resize(&mut self, size_bytes: u32) {
        self.size_bytes = size_bytes;
    }

    /// Whether another frame of any size may be sent. The last frame may exceed the window, so that
    /// a frame larger than the window can be sent at all.
    #[must_use]
    #[inline]
    pub const fn is_open(&self) -> bool {
        self.size_bytes == 0 || self.unacked_bytes < self.size_bytes as u64
    }

    /// Counts a frame that was sent; `bytes` as [`mcbp::flow::charge`] returns it.
    #[inline]
    pub const fn charge(&mut self, bytes: usize) {
        if self.size_bytes != 0 {
            self.unacked_bytes += bytes as u64;
        }
    }

    /// Takes an acknowledgement. One of more bytes than are unacknowledged frees all of them.
    pub const fn acknowledge(&mut self, bytes: u32) {
        self.unacked_bytes = self.unacked_bytes.saturating_sub(bytes as u64);
        self.acked_bytes += bytes as u64;
    }

    /// The size in bytes; 0 for no flow control.
    #[must_use]
    pub const fn size_bytes(&self) -> u32 {
        self.size_bytes
    }

    /// Bytes that were sent and not acknowledged.
    #[must_use]
    pub const fn unacked_bytes(&self) -> u64 {
        self.unacked_bytes
    }

    /// All bytes that were acknowledged.
    #[must_use]
    pub const fn acked_bytes(&self) -> u64 {
        self.acked_bytes
    }
}
