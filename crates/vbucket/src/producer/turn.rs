//! What a stream works with when its turn comes, and what a turn comes to.

use std::hash::{BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use invariant::Broken;
use mcbp::{Header, Seqno, StreamEndStatus, VbId, flow};

use super::encode::RowEncoder;
use super::settings::Settings;
use super::window::Window;
use crate::Row;
use crate::stream_req::VbFacts;

/// How much of a vBucket's log one read takes. A read is one snapshot: smaller ones cost a marker
/// each, larger ones hold rows in memory that the log might drop.
pub const LOG_READ_BYTES: usize = 64 * 1024;

/// What the memory log of a vBucket has behind a seqno.
#[derive(Debug, PartialEq, Eq)]
pub enum LogRead {
    /// Nothing: the stream has all that is durable.
    UpToDate,
    /// The next rows in seqno order, durable all of them; never empty.
    Rows(Vec<Arc<Row>>),
    /// Rows behind the seqno have left memory: read the disk.
    Behind,
}

/// Where a producer finds vBuckets. Calls take locks but never block on a disk.
pub trait Source {
    /// What the vBucket is now, or `None` where there is none.
    fn facts(&self, vb: VbId) -> Option<VbFacts>;

    /// Durable rows with a seqno above `after`, about `bytes_max` of them but at least one.
    fn read_log(&self, vb: VbId, after: Seqno, bytes_max: usize) -> LogRead;
}

/// A set of keys, hashed with a fixed seed. Its order is never read.
#[expect(clippy::disallowed_types, reason = "fixed seed; a tree is 3 times slower per row")]
pub(super) type Keys = std::collections::HashSet<Bytes, BuildHasherDefault<DefaultHasher>>;

/// What a turn works with.
pub(super) struct Turn<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) encoder: RowEncoder,
    pub(super) settings: &'a Settings,
    pub(super) collections: bool,
    pub(super) window: &'a mut Window,
    pub(super) out: &'a mut BytesMut,
    /// Scratch set for the keys of one snapshot, kept to reuse its allocation.
    pub(super) seen: &'a mut Keys,
}

impl Turn<'_> {
    /// Has one frame written, and charges it to the window.
    pub(super) fn write<T>(&mut self, write: impl FnOnce(&mut BytesMut) -> T) -> T {
        let from = self.out.len();
        let outcome = write(self.out);
        if let Some(Ok(Some(header))) = self.out.get(from..).map(Header::peek) {
            self.window.charge(flow::charge(&header));
        }
        outcome
    }
}

/// What a turn came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// There may be more to send.
    More,
    /// Nothing until the vBucket, the disk or the consumer says something.
    Idle,
    /// The next chunk of the backfill is to be read.
    ReadDisk,
    /// The producer's own vBucket is to be set dead.
    SetDead,
    /// The stream ends.
    End(StreamEndStatus),
    /// The stream ends because of a failure that a person should see.
    Fail(String),
}

impl Step {
    /// A broken invariant ends the stream.
    pub(super) fn of(broken: &Broken) -> Self {
        Self::Fail(broken.to_string())
    }
}
