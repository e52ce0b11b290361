//! Frames of recorded entries. Runs of a peer may begin and end within a frame.

use std::time::Instant;

use mcbp::{Header, Side};

use super::entry::{Decision, Entry, Kind};

/// What was recorded, in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seen<'a> {
    /// A whole frame.
    Frame {
        /// When the last byte of it was there.
        at: Instant,
        /// The peer that sent it, or that it was sent to.
        side: Side,
        /// Whether it is ours.
        is_own: bool,
        /// Whether it was not passed on to the other peer.
        is_withheld: bool,
        /// The frame. Passwords of handshakes are masked.
        bytes: &'a [u8],
    },
    /// A peer has closed its connection.
    Closed {
        /// When.
        at: Instant,
        /// The peer.
        side: Side,
    },
    /// Frames are missing here.
    Gap {
        /// When.
        at: Instant,
        /// Why, and how many.
        gap: Gap,
    },
}

/// Why frames are missing in a recording.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gap {
    /// The reader was too slow: so many were left out.
    Slow(usize),
    /// So many are not kept any more, between the handshake and the last ones.
    Evicted(usize),
    /// Data frames before this are not kept.
    Unkept,
}

/// Makes frames of entries.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    consumer: Partial,
    producer: Partial,
}

/// The frame of one peer of which the front was recorded.
#[derive(Debug, Default)]
struct Partial {
    front: Vec<u8>,
    /// Whether a frame of the peer could be seen from its front: what had begun before is not
    /// missing.
    has_begun: bool,
}

impl Assembler {
    /// Passes on what `entry` is, or completes.
    pub(super) fn take(&mut self, entry: &Entry, each: &mut dyn FnMut(Seen<'_>)) {
        let Entry { at, side, kind, frames, .. } = *entry;
        let frame = |is_own, is_withheld| Seen::Frame {
            at,
            side,
            is_own,
            is_withheld,
            bytes: &entry.bytes,
        };
        let gap = |gap| Seen::Gap { at, gap };
        match kind {
            Kind::Run { rest_bytes } => self.run(entry, rest_bytes, each),
            Kind::Control(decision) => each(frame(false, decision == Decision::Withheld)),
            Kind::Own | Kind::Asked => each(frame(true, false)),
            Kind::Answered => {
                // Runs of an older connection end here.
                *self.of(side) = Partial::default();
                each(frame(false, false));
            }
            Kind::Closed => {
                *self.of(side) = Partial::default();
                each(Seen::Closed { at, side });
            }
            Kind::Slow => {
                for partial in [&mut self.consumer, &mut self.producer] {
                    *partial = Partial { front: Vec::new(), has_begun: true };
                }
                each(gap(Gap::Slow(frames)));
            }
            Kind::Evicted => each(gap(Gap::Evicted(frames))),
            Kind::Unkept => each(gap(Gap::Unkept)),
        }
    }

    fn run(&mut self, entry: &Entry, rest_bytes: usize, each: &mut dyn FnMut(Seen<'_>)) {
        let partial = self.of(entry.side);
        let bytes = &entry.bytes[..];
        let (rest, mut after) = bytes.split_at(rest_bytes.min(bytes.len()));
        let is_over = rest.len() == rest_bytes;
        if rest_bytes > 0 && partial.missing_bytes() == Some(rest_bytes) {
            partial.front.extend_from_slice(rest);
            if is_over {
                each(data(entry, &partial.front));
                partial.front.clear();
            }
        } else if rest_bytes > 0 {
            partial.front.clear();
            if is_over && partial.has_begun {
                // Its front was left out.
                each(Seen::Gap { at: entry.at, gap: Gap::Slow(1) });
            }
        }
        // A frame that had begun before the recording may be in several runs.
        partial.has_begun |= is_over;
        while let Ok(Some(header)) = Header::peek(after) {
            let Some((whole, rest)) = after.split_at_checked(header.frame_bytes()) else { break };
            each(data(entry, whole));
            after = rest;
        }
        partial.front.extend_from_slice(after);
        // A large frame must not stay in memory once it has passed.
        partial.front.shrink_to(FRONT_BYTES_KEPT);
    }

    const fn of(&mut self, side: Side) -> &mut Partial {
        match side {
            Side::Consumer => &mut self.consumer,
            Side::Producer => &mut self.producer,
        }
    }
}

/// A frame of the peer of `entry`.
const fn data<'a>(entry: &Entry, bytes: &'a [u8]) -> Seen<'a> {
    Seen::Frame { at: entry.at, side: entry.side, is_own: false, is_withheld: false, bytes }
}

/// The room that stays allocated for the front of the next frame.
const FRONT_BYTES_KEPT: usize = 64 * 1024;

impl Partial {
    /// How much of the frame is missing; `None` where none has begun.
    fn missing_bytes(&self) -> Option<usize> {
        let header = Header::peek(&self.front).ok().flatten()?;
        header.frame_bytes().checked_sub(self.front.len())
    }
}
