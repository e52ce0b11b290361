//! What a stream works with during its turn, and what is to be done after the turn.

use std::hash::{BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use invariant::Broken;
use mcbp::dcp::push_stream_id;
use mcbp::{Header, Seqno, StreamEndStatus, VbId, flow};

use super::encode::RowEncoder;
use super::settings::Settings;
use super::window::Window;
use crate::Row;
use crate::stream_req::VbFacts;

/// How many bytes of a memory log one read takes. A read is one snapshot: smaller reads cost more
/// markers, larger ones hold rows in memory that the log could evict.
pub const LOG_READ_BYTES: usize = 64 * 1024;

/// What the memory log of a vBucket has after a seqno.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LogRead {
    /// Nothing: the stream has everything that is durable.
    UpToDate,
    /// The next rows in seqno order, all of them durable; at least one.
    Rows(Vec<Arc<Row>>),
    /// Rows after the seqno were evicted from memory; read them from disk.
    Evicted,
}

/// Where a producer finds vBuckets. Calls take locks but never block on a disk.
pub trait Source {
    /// Returns what the vBucket is now, or `None` where there is none.
    fn facts(&self, vb: VbId) -> Option<VbFacts>;

    /// Returns where the change history of the vBucket begins, 0 for none.
    fn history_start(&self, vb: VbId) -> Seqno {
        self.facts(vb).map_or(Seqno::ZERO, |facts| facts.history_start)
    }

    /// Returns durable rows with a seqno above `after`: about `bytes_max` bytes, at least one row.
    fn read_log(&self, vb: VbId, after: Seqno, bytes_max: usize) -> LogRead;
}

/// A set of keys, hashed with a fixed seed. Its order is never read.
#[expect(clippy::disallowed_types, reason = "fixed seed; a tree is 3 times slower per row")]
pub(super) type Keys = std::collections::HashSet<Bytes, BuildHasherDefault<DefaultHasher>>;

/// What a stream works with during one turn.
pub(super) struct Turn<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) encoder: RowEncoder,
    /// The id that the consumer gave the stream, or 0.
    pub(super) sid: u16,
    pub(super) settings: &'a Settings,
    pub(super) collections: bool,
    pub(super) window: &'a mut Window,
    pub(super) out: &'a mut BytesMut,
    /// Scratch set for the keys of one snapshot, kept to reuse its allocation.
    pub(super) seen: &'a mut Keys,
}

impl Turn<'_> {
    /// Calls `write`, which appends one frame, and charges the frame to the window.
    pub(super) fn write<T>(&mut self, write: impl FnOnce(&mut BytesMut) -> T) -> T {
        let from = self.out.len();
        let written = write(self.out);
        if self.sid != 0 {
            push_stream_id(self.out, from, self.sid);
        }
        if let Some(Ok(Some(header))) = self.out.get(from..).map(Header::peek) {
            self.window.charge(flow::charge(&header));
        }
        written
    }
}

/// What is to be done after a turn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum AfterTurn {
    /// Queue the stream for another turn: there may be more to send.
    More,
    /// Wait for an event of the vBucket, the disk or the consumer.
    Idle,
    /// Read the next chunk of the backfill.
    ReadDisk,
    /// Set the producer's own vBucket dead.
    SetDead,
    /// End the stream with this status.
    End(StreamEndStatus),
    /// End the stream because of a failure, which is logged.
    Fail(String),
}

impl AfterTurn {
    /// A broken invariant ends the stream.
    pub(super) fn of(broken: &Broken) -> Self {
        Self::Fail(broken.to_string())
    }
}
