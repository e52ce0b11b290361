//! The buffer of a pump: one allocation; reads append to it, writes take from its front.
//!
//! It grows while reads fill it and shrinks after the burst, so that an idle link needs little
//! memory. It does not interpret its bytes.

use std::io;

use invariant::broken;
use tokio::io::{AsyncRead, AsyncReadExt};

#[cfg(test)]
mod tests;

/// After this many consecutive reads that would have fitted in the start size, the burst is over.
const SMALL_READS_TO_SHRINK: u32 = 256;

/// Bytes between a read and a write: those from `head` to `tail`.
#[derive(Debug)]
pub(crate) struct ReadBuffer {
    bytes: Vec<u8>,
    head: usize,
    tail: usize,
    start_bytes: usize,
    max_bytes: usize,
    small_reads: u32,
}

impl ReadBuffer {
    /// A buffer of `start_bytes` that grows to `max_bytes`, holding `leftover`.
    pub(crate) fn new(start_bytes: usize, max_bytes: usize, leftover: &[u8]) -> Self {
        let mut bytes = vec![0; start_bytes.max(leftover.len())];
        if let Some(front) = bytes.get_mut(..leftover.len()) {
            front.copy_from_slice(leftover);
        }
        Self { bytes, head: 0, tail: leftover.len(), start_bytes, max_bytes, small_reads: 0 }
    }

    /// The bytes that were read and not consumed.
    #[inline]
    pub(crate) fn filled(&self) -> &[u8] {
        // `head <= tail <= bytes.len()`. Whatever leaves the buffer goes through `front`, which
        // would not find it here.
        self.bytes.get(self.head..self.tail).unwrap_or_default()
    }

    /// The first `count` bytes of [`ReadBuffer::filled`]; `None` where there are fewer.
    #[inline]
    pub(crate) fn front(&self, count: usize) -> Option<&[u8]> {
        self.filled().get(..count)
    }

    /// The current size of the buffer.
    pub(crate) const fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// Removes the first `count` bytes, which [`ReadBuffer::front`] has returned.
    pub(crate) fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.tail - self.head, "more is consumed than was read");
        self.head = self.tail.min(self.head + count);
        if self.head == self.tail {
            self.head = 0;
            self.tail = 0;
        }
    }

    /// Reads once. Returns the number of bytes, 0 at the end of the connection; the error may hold
    /// an [`invariant::Broken`]. Dropping the future loses nothing.
    pub(crate) async fn read_from(
        &mut self,
        reader: &mut (impl AsyncRead + Unpin),
    ) -> io::Result<usize> {
        self.make_room();
        // A read into an empty slice would look like the end of the connection.
        let room = self.bytes.get_mut(self.tail..).filter(|room| !room.is_empty());
        let Some(room) = room else { return Err(no_room(self.tail)) };
        let room_bytes = room.len();
        let count = reader.read(room).await?;
        self.tail += count;
        self.adapt(count == room_bytes);
        Ok(count)
    }

    /// Moves the remaining bytes, less than one frame, to the front.
    fn make_room(&mut self) {
        if self.head > 0 {
            self.bytes.copy_within(self.head..self.tail, 0);
            self.tail -= self.head;
            self.head = 0;
        }
    }

    fn adapt(&mut self, read_filled_it: bool) {
        if read_filled_it {
            self.small_reads = 0;
            let bytes = (self.capacity() * 2).min(self.max_bytes);
            self.bytes.resize(bytes.max(self.capacity()), 0);
        } else if self.capacity() > self.start_bytes && self.tail <= self.start_bytes {
            self.small_reads += 1;
            if self.small_reads >= SMALL_READS_TO_SHRINK {
                self.small_reads = 0;
                self.bytes.truncate(self.start_bytes);
                self.bytes.shrink_to_fit();
            }
        } else {
            self.small_reads = 0;
        }
    }
}

#[cold]
#[inline(never)]
fn no_room(bytes: usize) -> io::Error {
    io::Error::other(broken!("the buffer has no room after {bytes} bytes"))
}
