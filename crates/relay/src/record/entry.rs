//! What is recorded at one moment: a run of bytes, a frame, the end of a connection, a gap.

use std::time::Instant;

use bytes::Bytes;
use mcbp::Side;

/// What an entry takes beside its bytes: itself, and what the allocator adds for two allocations.
const ENTRY_BYTES: usize = size_of::<Entry>() + 32;

/// What was recorded at one moment.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Its number; entries of a recorder have ascending ones.
    pub(super) number: u64,
    pub(super) at: Instant,
    /// The peer that sent it, or that it was sent to.
    pub(super) side: Side,
    pub(super) kind: Kind,
    /// How many frames end in it.
    pub(super) frames: usize,
    pub(super) bytes: Bytes,
}

/// What the bytes of an entry are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Bytes of the peer; the first ones belong to a frame that has begun before.
    Run {
        /// How many of them.
        rest_bytes: usize,
    },
    /// A frame of the peer that was judged.
    Control(Decision),
    /// A frame of ours.
    Own,
    /// A request of the handshake.
    Asked,
    /// The answer to it.
    Answered,
    /// The peer has closed the connection.
    Closed,
    /// Frames are missing here: the reader was too slow.
    Slow,
    /// Frames are missing here: only the last ones are kept.
    Evicted,
    /// Frames may be missing before this, and their number is unknown: data is not kept.
    Unkept,
}

/// What became of a control frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Decision {
    /// The verdict is awaited.
    Pending,
    Forwarded,
    Withheld,
    /// The link has ended before its verdict.
    None,
}

impl Entry {
    /// A gap of so many frames, in place of `of`.
    pub(super) fn gap(of: &Self, kind: Kind, frames: usize) -> Self {
        Self { number: of.number, at: of.at, side: of.side, kind, frames, bytes: Bytes::new() }
    }

    /// What it takes of a bound.
    pub(super) fn cost(&self) -> usize {
        self.bytes.len() + ENTRY_BYTES
    }

    /// Whether it is part of a handshake.
    pub(super) const fn is_setup(&self) -> bool {
        matches!(self.kind, Kind::Asked | Kind::Answered)
    }

    /// Whether its verdict is awaited.
    pub(super) fn is_pending(&self) -> bool {
        self.kind == Kind::Control(Decision::Pending)
    }
}

/// Sets the kind of the entry `number`, which awaits its verdict and is near the end.
pub(super) fn decide<'a>(
    newest_first: impl Iterator<Item = &'a mut Entry>,
    number: u64,
    kind: Kind,
) {
    for entry in newest_first {
        if entry.number <= number {
            if entry.number == number && entry.is_pending() {
                entry.kind = kind;
            }
            return;
        }
    }
}
