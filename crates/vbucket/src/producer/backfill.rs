//! The chunks of a disk scan that are sent to one consumer.
//!
//! The shell scans and encodes a chunk at a time on another thread. Here the chunks are split
//! between frames to fit the flow-control window. Failed is never taken for Finished (MB-47790).

use std::collections::VecDeque;

use bytes::{Buf, BytesMut};
use invariant::{Broken, broken};
use mcbp::{Header, Opcode, Seqno, flow};

use super::marker::{DiskSnapshot, Marker};
use super::turn::Turn;
use crate::collections::{StreamFilter, VbCollections};
use crate::{Kind, Row};

/// The largest frame of a row that is read without a grant. A larger row is read once the
/// connection has room for it (MB-24089).
pub const SMALL_ROW_BYTES: usize = 128 * 1024;

/// How many bytes of frames one read of the disk fills before it pauses: a chunk ends after the row
/// that reaches this size. With small chunks the threads spend their time waking each other.
const CHUNK_BYTES: usize = 256 * 1024;

/// The largest chunk without a large row.
const SMALL_ROWS_BYTES_MAX: usize = CHUNK_BYTES + SMALL_ROW_BYTES;

/// The next chunk is read once a stream holds fewer bytes than this: they are sent meanwhile.
const AHEAD_BYTES: usize = 128 * 1024;

/// Capacity of a chunk for its last row; only a larger row makes it grow.
const LAST_ROW_BYTES: usize = 64 * 1024;

/// Whole frames, encoded.
#[derive(Default, Debug)]
pub struct Chunk {
    /// The frames, in seqno order, or in that of their keys.
    pub frames: BytesMut,
    /// The seqno of the last row, also of one that the stream does not have.
    pub last_seqno: Seqno,
    /// The highest seqno of a row in `frames`.
    pub last_sent: Seqno,
    /// System events that say that something is gone, sent or not: the stream may end there.
    pub ends: Vec<Row>,
    /// Whether the rows are of the change history; a chunk has both kinds never.
    pub is_history: bool,
}

impl Chunk {
    /// Returns an empty chunk with capacity for one read.
    #[must_use]
    pub fn with_room() -> Self {
        let frames = BytesMut::with_capacity(CHUNK_BYTES + LAST_ROW_BYTES);
        Self { frames, ..Self::default() }
    }

    /// Notes that the frame of a row was written.
    pub fn add(&mut self, row: &Row) {
        self.last_sent = self.last_sent.max(row.seqno);
        self.pass(row);
    }

    /// Notes that a row was read.
    pub fn pass(&mut self, row: &Row) {
        self.last_seqno = row.seqno;
        if matches!(row.kind, Kind::Event { is_end: true }) {
            self.ends.push(row.clone());
        }
    }

    /// Whether the read of the disk has to pause.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.frames.len() >= CHUNK_BYTES
    }
}

/// Which rows of the disk a stream has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Selection {
    /// Which ones.
    pub filter: StreamFilter,
    /// The collections of the vBucket, at or above the seqnos of the rows: read once the scan has
    /// begun. Only a scope needs them.
    pub there: VbCollections,
}

impl Selection {
    /// Whether the stream has the row.
    #[must_use]
    #[inline]
    pub fn has(&self, row: &Row) -> bool {
        self.filter.has(row, &self.there)
    }
}

/// Why a read of the disk ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReadEnd {
    /// A chunk is full.
    More,
    /// The next row takes this many bytes, more than [`super::Effect::ReadDisk`] allowed.
    Large(usize),
    /// The range was read to its end.
    Finished,
    /// The vBucket was removed.
    Gone,
    /// The disk could not be read; holds the cause.
    Failed(String),
}

/// The result of one read of the disk.
#[derive(Debug)]
pub struct DiskRead {
    /// The snapshot of the scan; set by its first read, if the scan could be opened.
    pub snapshot: Option<DiskSnapshot>,
    /// The rows that were read, also before a failure.
    pub chunk: Chunk,
    /// Why the read ended.
    pub end: ReadEnd,
}

/// What one turn of a backfill wrote.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Sent {
    pub(super) items: u64,
    /// The last seqno of a chunk that was written to its end.
    pub(super) last_seqno: Option<Seqno>,
    /// See [`Chunk::ends`]; of a chunk that was written to its end.
    pub(super) ends: Vec<Row>,
}

/// The state of one backfill.
#[derive(Debug, Default)]
pub(super) struct Backfill {
    snapshot: Option<DiskSnapshot>,
    /// The marker of the change history, where it is the second part of the snapshot: it comes
    /// before the first row of that.
    pub(super) due: Option<Box<Marker>>,
    /// The rows are in the order of their keys: the stream is where it was until all are sent.
    pub(super) out_of_order: bool,
    chunks: VecDeque<Chunk>,
    /// A read is in progress, or waits for a backfill slot.
    reading: bool,
    /// The bytes of the next row, where it is known to be large.
    large: Option<usize>,
    finished: bool,
    gone: bool,
    failure: Option<String>,
    /// The highest seqno of a row that was written.
    last_sent: Seqno,
}

impl Backfill {
    pub(super) fn on_read(&mut self, read: DiskRead) {
        self.reading = false;
        self.large = None;
        self.snapshot = self.snapshot.or(read.snapshot);
        if !(read.chunk.frames.is_empty() && read.chunk.ends.is_empty()) {
            self.chunks.push_back(read.chunk);
        }
        match read.end {
            ReadEnd::More => {}
            ReadEnd::Large(bytes) => self.large = Some(bytes),
            ReadEnd::Finished => self.finished = true,
            ReadEnd::Gone => self.gone = true,
            ReadEnd::Failed(cause) => self.failure = Some(cause),
        }
    }

    /// Takes the failure, once everything that was read before it has been sent.
    pub(super) fn take_failure(&mut self) -> Option<String> {
        if self.chunks.is_empty() && self.snapshot.is_none() { self.failure.take() } else { None }
    }

    pub(super) const fn last_sent(&self) -> Seqno {
        self.last_sent
    }

    pub(super) const fn is_gone(&self) -> bool {
        self.gone
    }

    pub(super) const fn take_snapshot(&mut self) -> Option<DiskSnapshot> {
        self.snapshot.take()
    }

    /// Whether the stream needs another turn without a further event.
    pub(super) fn has_more(&self) -> bool {
        !self.chunks.is_empty() || self.failure.is_some() || self.gone
    }

    pub(super) fn is_over(&self) -> bool {
        self.finished && self.chunks.is_empty()
    }

    /// Whether the next chunk is to be read. If so, counts it as being read.
    pub(super) fn wants_read(&mut self) -> bool {
        let wants = !self.reading
            && !self.finished
            && self.failure.is_none()
            && self.held_bytes() < AHEAD_BYTES;
        self.reading |= wants;
        wants
    }

    pub(super) const fn is_reading(&self) -> bool {
        self.reading
    }

    /// The bytes of the next row, where it is known to be large.
    pub(super) const fn large_row(&self) -> Option<usize> {
        self.large
    }

    /// The bytes of the chunks with a large row. Such a row is the last of its chunk.
    pub(super) fn large_bytes(&self) -> usize {
        self.chunk_bytes().filter(|&bytes| bytes > SMALL_ROWS_BYTES_MAX).sum()
    }

    /// The bytes of all chunks.
    pub(super) fn held_bytes(&self) -> usize {
        self.chunk_bytes().sum()
    }

    fn chunk_bytes(&self) -> impl Iterator<Item = usize> {
        self.chunks.iter().map(|chunk| chunk.frames.len())
    }

    /// The marker that comes before what is written next.
    pub(super) fn next_marker(&mut self) -> Option<Marker> {
        let is_history = match self.chunks.front() {
            Some(chunk) if chunk.frames.is_empty() => return None,
            Some(chunk) => chunk.is_history,
            None => self.finished,
        };
        if is_history { self.due.take().map(|marker| *marker) } else { None }
    }

    /// Writes whole frames while the window is open: about `bytes_max` bytes, at least one frame.
    pub(super) fn write(&mut self, turn: &mut Turn<'_>, bytes_max: usize) -> Result<Sent, Broken> {
        let mut sent = Sent::default();
        let Some(chunk) = self.chunks.front_mut() else { return Ok(sent) };
        let all: &[u8] = &chunk.frames;
        let mut rest = all;
        while turn.window.is_open() && all.len() - rest.len() < bytes_max && !rest.is_empty() {
            let header = Header::peek(rest).ok().flatten();
            let frame = header.and_then(|header| Some((header, rest.get(header.frame_bytes()..)?)));
            let Some((header, after)) = frame else {
                return Err(broken!("a chunk ends in {} bytes that are not a frame", rest.len()));
            };
            turn.window.charge(flow::charge(&header));
            sent.items += u64::from(header.opcode != Opcode::DCP_SEQNO_ADVANCED);
            rest = after;
        }
        let run_bytes = all.len() - rest.len();
        turn.out.extend_from_slice(all.split_at(run_bytes).0);
        chunk.frames.advance(run_bytes);
        if chunk.frames.is_empty() {
            let chunk = self.chunks.pop_front().unwrap_or_default();
            self.last_sent = self.last_sent.max(chunk.last_sent);
            sent.last_seqno = Some(chunk.last_seqno);
            sent.ends = chunk.ends;
        }
        Ok(sent)
    }
}
