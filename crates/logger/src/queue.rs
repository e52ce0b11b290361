//! The queue between those who log and the one thread that writes. Its size is bounded; what does
//! not fit is dropped and counted.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::streams::Stream;

/// Bytes that may wait to be written: some thousand lines.
const QUEUE_BYTES_MAX: usize = 1024 * 1024;
/// Bytes that are written at once, so that progress is seen.
const BATCH_BYTES: usize = 64 * 1024;

/// See the module.
#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: VecDeque<(Stream, Vec<u8>)>,
    bytes: usize,
    /// Whether the writer has taken lines and not yet written them.
    is_writing: bool,
    /// Batches that were written, or given up.
    batches: u64,
    /// Lines dropped since [`Queue::take_dropped`].
    dropped: u64,
    dropped_total: u64,
}

/// Lines of one stream, to be written at once.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Batch {
    pub(crate) stream: Stream,
    pub(crate) bytes: Vec<u8>,
    pub(crate) lines: u64,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a line, or drops it where the queue is full. Never waits.
    pub(crate) fn push(&self, stream: Stream, line: &[u8]) {
        let mut state = self.lock();
        if state.bytes + line.len() > QUEUE_BYTES_MAX {
            state.drop_lines(1);
            return;
        }
        state.bytes += line.len();
        state.lines.push_back((stream, line.to_vec()));
        drop(state);
        self.changed.notify_all();
    }

    /// Waits for lines, for at most `patience`; the writer calls it, and [`Queue::written`] after
    /// it.
    pub(crate) fn take(&self, patience: Duration) -> Option<Batch> {
        let mut state = self.lock();
        if state.lines.is_empty() {
            let waited = self.changed.wait_timeout(state, patience);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let (stream, bytes) = state.lines.pop_front()?;
        let mut batch = Batch { stream, bytes, lines: 1 };
        while let Some((stream, next)) = state.lines.front()
            && *stream == batch.stream
            && batch.bytes.len() + next.len() <= BATCH_BYTES
        {
            batch.bytes.extend_from_slice(next);
            batch.lines += 1;
            state.lines.pop_front();
        }
        state.bytes = state.bytes.saturating_sub(batch.bytes.len());
        state.is_writing = true;
        Some(batch)
    }

    /// Ends the batch that was taken; `lost` lines of it could not be written.
    pub(crate) fn written(&self, lost: u64) {
        let mut state = self.lock();
        state.is_writing = false;
        state.batches += 1;
        state.drop_lines(lost);
        drop(state);
        self.changed.notify_all();
    }

    /// Returns how many lines were dropped since the last call.
    pub(crate) fn take_dropped(&self) -> u64 {
        std::mem::take(&mut self.lock().dropped)
    }

    /// Returns how many lines were dropped since the start.
    pub(crate) fn dropped_total(&self) -> u64 {
        self.lock().dropped_total
    }

    /// Waits until everything is written, for `stuck` without a batch written and for `most` in
    /// all.
    pub(crate) fn flush(&self, stuck: Duration, most: Duration) {
        let started = Instant::now();
        let (mut seen, mut since) = (None, started);
        let mut state = self.lock();
        while state.is_writing || !state.lines.is_empty() {
            let now = Instant::now();
            if seen != Some(state.batches) {
                (seen, since) = (Some(state.batches), now);
            }
            if now - since >= stuck || now - started >= most {
                return;
            }
            let waited = self.changed.wait_timeout(state, stuck - (now - since));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl State {
    const fn drop_lines(&mut self, count: u64) {
        self.dropped += count;
        self.dropped_total += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(1);

    #[test]
    fn a_queue_that_nobody_writes_is_bounded_and_counts_what_it_drops() {
        let queue = Queue::default();
        let line = [b'x'; 1000];
        for _ in 0..5000 {
            queue.push(Stream::Error, &line);
        }
        let kept = (QUEUE_BYTES_MAX / line.len()) as u64;
        assert_eq!(queue.dropped_total(), 5000 - kept);
        assert_eq!((queue.take_dropped(), queue.take_dropped()), (5000 - kept, 0));
        let mut lines = 0;
        while let Some(batch) = queue.take(SHORT) {
            assert!(batch.bytes.len() <= BATCH_BYTES);
            lines += batch.lines;
            queue.written(0);
        }
        assert_eq!(lines, kept);
        queue.push(Stream::Error, &line);
        assert_eq!(queue.take(SHORT).map(|batch| batch.lines), Some(1), "there is room again");
    }

    #[test]
    fn the_order_of_both_streams_is_kept() {
        let queue = Queue::default();
        for (stream, line) in [
            (Stream::Error, "a"),
            (Stream::Error, "b"),
            (Stream::Output, "c"),
            (Stream::Error, "d"),
        ] {
            queue.push(stream, line.as_bytes());
        }
        let batches = std::iter::from_fn(|| queue.take(SHORT)).map(|it| (it.stream, it.bytes));
        let expected = [(Stream::Error, "ab"), (Stream::Output, "c"), (Stream::Error, "d")];
        assert_eq!(
            batches.collect::<Vec<_>>(),
            expected.map(|(stream, bytes)| (stream, bytes.as_bytes().to_vec()))
        );
    }

    #[test]
    fn a_flush_ends_although_nobody_reads() {
        let queue = Queue::default();
        queue.push(Stream::Error, b"a");
        assert!(queue.take(SHORT).is_some());
        queue.flush(SHORT, Duration::from_secs(60));
        queue.written(1);
        queue.flush(Duration::from_secs(60), Duration::from_secs(60));
        assert_eq!(queue.take_dropped(), 1, "a line that could not be written counts");
    }
}
