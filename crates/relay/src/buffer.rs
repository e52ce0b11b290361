//! The buffer of a pump: one allocation, read into at the back, written from at the front.
//!
//! It grows while reads fill it and shrinks back when the burst is over, so that an idle link is
//! small. It never looks at what it holds.

use invariant::{Broken, broken, invariant};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::{Fault, Step};

#[cfg(test)]
mod tests;

/// So many reads in a row that would have fitted the start size end a burst.
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

    /// What was read and not consumed.
    #[inline]
    pub(crate) fn filled(&self) -> Result<&[u8], Broken> {
        let Self { bytes, head, tail, .. } = self;
        bytes
            .get(*head..*tail)
            .ok_or_else(|| broken!("{head}..{tail} in a buffer of {} bytes", bytes.len()))
    }

    /// The first `count` bytes of [`ReadBuffer::filled`].
    #[inline]
    pub(crate) fn front(&self, count: usize) -> Result<&[u8], Broken> {
        let filled = self.filled()?;
        filled
            .get(..count)
            .ok_or_else(|| broken!("{count} bytes asked for, {} were read", filled.len()))
    }

    /// How much the buffer can hold as it is.
    pub(crate) const fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// Gives up the first `count` bytes.
    pub(crate) fn consume(&mut self, count: usize) -> Result<(), Broken> {
        let filled_bytes = self.tail - self.head;
        invariant!(count <= filled_bytes, "{count} bytes consumed, {filled_bytes} were read");
        self.head += count;
        if self.head == self.tail {
            self.head = 0;
            self.tail = 0;
        }
        Ok(())
    }

    /// Reads once; returns the number of bytes, 0 for the end. Dropping the future loses nothing.
    pub(crate) async fn read_from(
        &mut self,
        reader: &mut (impl AsyncRead + Unpin),
    ) -> Result<usize, Fault> {
        self.make_room();
        // A read into no room would look like the end.
        let room = self.bytes.get_mut(self.tail..).filter(|room| !room.is_empty());
        let room = room.ok_or_else(|| broken!("no room after {} bytes", self.tail))?;
        let room_bytes = room.len();
        let read = reader.read(room).await;
        let count = read.map_err(|source| Fault::Broken { step: Step::Relay, source })?;
        self.tail += count;
        self.adapt(count == room_bytes);
        Ok(count)
    }

    /// Moves what is left, less than one frame, to the front.
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
