//! What was received of an encrypted connection and is not decrypted yet.

use tokio::io::ReadBuf;

/// How much is received at once, 128 KiB: seven full records. It is also the bound of an incomplete
/// message of a handshake, of which rustls takes 64 KiB.
const INCOMING_BYTES: usize = 128 * 1024;

/// One allocation: the socket appends to it, and rustls decrypts its front in place.
pub(super) struct Incoming {
    bytes: Vec<u8>,
    head: usize,
    tail: usize,
}

impl Incoming {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; INCOMING_BYTES], head: 0, tail: 0 }
    }

    /// The bytes that rustls has not discarded.
    pub(super) fn filled_mut(&mut self) -> &mut [u8] {
        // `head <= tail <= bytes.len()`.
        self.bytes.get_mut(self.head..self.tail).unwrap_or_default()
    }

    /// Removes the first `count` bytes.
    pub(super) fn discard(&mut self, count: usize) {
        self.head = self.tail.min(self.head + count);
    }

    /// Returns the room after the bytes, which it moves to the front. It is empty only where
    /// one message of a handshake fills everything.
    pub(super) fn room(&mut self) -> ReadBuf<'_> {
        self.bytes.copy_within(self.head..self.tail, 0);
        self.tail -= self.head;
        self.head = 0;
        ReadBuf::new(self.bytes.get_mut(self.tail..).unwrap_or_default())
    }

    /// Adds `count` bytes, which were received into [`Incoming::room`].
    pub(super) fn received(&mut self, count: usize) {
        self.tail = self.bytes.len().min(self.tail + count);
    }
}
