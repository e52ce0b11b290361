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
/// Lines of the log that are kept for the report of a panic.
const RECENT_MAX: usize = 40;

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
    /// The stream of the lines that the writer has taken and not yet written.
    writing: Option<Stream>,
    /// Batches that were written, or given up.
    batches: u64,
    /// Lines dropped since [`Queue::take_dropped`].
    dropped: u64,
    dropped_total: u64,
    /// Lines for people that were dropped since the start.
    unsaid: u64,
    /// The last lines of the log, also those that were written.
    recent: VecDeque<Vec<u8>>,
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
        if stream == Stream::Error {
            state.remember(line);
        }
        if state.bytes + line.len() > QUEUE_BYTES_MAX {
            state.drop_lines(stream, 1);
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
        state.writing = Some(batch.stream);
        Some(batch)
    }

    /// Ends the batch that was taken from `stream`; `lost` lines of it could not be written.
    pub(crate) fn written(&self, stream: Stream, lost: u64) {
        let mut state = self.lock();
        state.writing = None;
        state.batches += 1;
        state.drop_lines(stream, lost);
        drop(state);
        self.changed.notify_all();
    }

    /// Returns the last lines of the log, the newest last; none where somebody holds the lock.
    pub(crate) fn recent(&self) -> Vec<String> {
        let Ok(state) = self.state.try_lock() else { return Vec::new() };
        state.recent.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
    }

    /// Returns how many lines for people were dropped since the start.
    pub(crate) fn unsaid(&self) -> u64 {
        self.lock().unsaid
    }

    /// Whether every line for people was written.
    pub(crate) fn is_said(&self) -> bool {
        let state = self.lock();
        let mut waiting = state.lines.iter().map(|(stream, _)| *stream).chain(state.writing);
        state.unsaid == 0 && waiting.all(|stream| stream == Stream::Error)
    }

    /// Returns how many lines of the log were dropped since the last call.
    pub(crate) fn take_dropped(&self) -> u64 {
        std::mem::take(&mut self.lock().dropped)
    }

    /// Returns how many lines of the log were dropped since the start.
    pub(crate) fn dropped_total(&self) -> u64 {
        self.lock().dropped_total
    }

    /// Waits until everything is written, for `stuck` without a batch written and for `most` in
    /// all.
    pub(crate) fn flush(&self, stuck: Duration, most: Duration) {
        let started = Instant::now();
        let (mut seen, mut since) = (None, started);
        let mut state = self.lock();
        while state.writing.is_some() || !state.lines.is_empty() {
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
    fn remember(&mut self, line: &[u8]) {
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(line.to_vec());
    }

    const fn drop_lines(&mut self, stream: Stream, count: u64) {
        match stream {
            Stream::Output => self.unsaid += count,
            Stream::Error => {
                self.dropped += count;
                self.dropped_total += count;
            }
        }
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
            queue.written(batch.stream, 0);
        }
        assert_eq!(lines, kept);
        queue.push(Stream::Error, &line);
        assert_eq!(queue.take(SHORT).map(|batch| batch.lines), Some(1), "there is room again");
    }

    #[test]
    fn the_last_lines_of_the_log_are_kept_when_they_are_written_or_dropped() {
        let queue = Queue::default();
        for number in 0..RECENT_MAX + 3 {
            queue.push(Stream::Error, format!("{number}").as_bytes());
            queue.push(Stream::Output, b"x");
        }
        while let Some(batch) = queue.take(SHORT) {
            queue.written(batch.stream, 0);
        }
        queue.push(Stream::Error, &vec![b'y'; QUEUE_BYTES_MAX + 1]);
        let recent = queue.recent();
        assert_eq!((recent.len(), recent[0].as_str()), (RECENT_MAX, "4"));
        assert!(recent[RECENT_MAX - 1].starts_with('y'));
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
        queue.written(Stream::Error, 1);
        queue.flush(Duration::from_secs(60), Duration::from_secs(60));
        assert_eq!(queue.take_dropped(), 1, "a line that could not be written counts");
    }

    #[test]
    fn a_line_for_people_that_is_lost_is_no_line_of_the_log() {
        let queue = Queue::default();
        queue.push(Stream::Output, b"identical");
        assert!(!queue.is_said(), "it waits");
        let batch = queue.take(SHORT).unwrap();
        assert!(!queue.is_said(), "it is being written");
        queue.written(batch.stream, 0);
        queue.push(Stream::Error, b"a line of the log");
        assert!(queue.is_said());
        queue.written(batch.stream, batch.lines);
        queue.push(Stream::Output, &vec![b'y'; QUEUE_BYTES_MAX + 1]);
        assert_eq!((queue.dropped_total(), queue.take_dropped(), queue.unsaid()), (0, 0, 2));
        assert!(!queue.is_said());
    }
}
