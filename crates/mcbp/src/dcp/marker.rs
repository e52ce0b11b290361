//! SNAPSHOT_MARKER: announces a range of seqnos that is consistent only as a whole.

use bytes::BytesMut;

use super::{Extras, Reader};
use crate::{Frame, FrameBuilder, FrameError, Opaque, Opcode, Seqno, VbId};

/// Flags of a snapshot marker.
pub mod marker_flags {
    /// The snapshot comes from memory.
    pub const MEMORY: u32 = 0x01;
    /// The snapshot comes from disk.
    pub const DISK: u32 = 0x02;
    /// The consumer begins a new checkpoint.
    pub const CHECKPOINT: u32 = 0x04;
    /// The consumer has to answer once it has received the snapshot.
    pub const ACK: u32 = 0x08;
    /// The snapshot carries history.
    pub const HISTORY: u32 = 0x10;
    /// A key may occur more than once.
    pub const MAY_CONTAIN_DUPLICATES: u32 = 0x20;
}

/// The version of a marker, and its fields besides range and flags.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MarkerBody {
    /// Version 1: range and flags in 20 bytes of extras.
    V1,
    /// Version 2.0: a value of 36 bytes.
    V2_0 {
        /// The highest seqno of a document that readers may see.
        max_visible: Seqno,
        /// The highest completed prepare.
        high_completed: Seqno,
    },
    /// Version 2.2: a value of 52 bytes.
    V2_2 {
        /// The highest seqno of a document that readers may see.
        max_visible: Seqno,
        /// The highest completed prepare.
        high_completed: Seqno,
        /// Tombstones up to this seqno may be missing.
        purge: Seqno,
        /// The highest prepare.
        high_prepared: Seqno,
    },
}

/// The body of SNAPSHOT_MARKER.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SnapshotMarker {
    /// The first seqno of the snapshot.
    pub start: Seqno,
    /// The last seqno of the snapshot.
    pub end: Seqno,
    /// See [`marker_flags`].
    pub flags: u32,
    /// Version and further fields.
    pub body: MarkerBody,
}

impl SnapshotMarker {
    /// Reads the body.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] unless it has the form of version 1, 2.0 or 2.2.
    pub fn decode(frame: &Frame<'_>) -> Result<Self, FrameError> {
        let malformed = frame.malformed("a marker is version 1 (20), 2.0 (1+36) or 2.2 (1+52)");
        let source = match (frame.extras, frame.value.len()) {
            (extras, 0) if extras.len() == 20 => extras,
            ([0], 36) | ([2], 52) => frame.value,
            _ => return Err(malformed),
        };
        let mut reader = Reader::of(frame, source);
        let (start, end, flags) = (reader.seqno()?, reader.seqno()?, reader.u32()?);
        let body = match source.len() {
            36 => {
                MarkerBody::V2_0 { max_visible: reader.seqno()?, high_completed: reader.seqno()? }
            }
            52 => MarkerBody::V2_2 {
                max_visible: reader.seqno()?,
                high_completed: reader.seqno()?,
                purge: reader.seqno()?,
                high_prepared: reader.seqno()?,
            },
            _ => MarkerBody::V1,
        };
        Ok(Self { start, end, flags, body })
    }

    /// Appends the frame to `out`.
    pub fn write(&self, vb: VbId, opaque: Opaque, out: &mut BytesMut) {
        let frame = FrameBuilder::request(Opcode::DCP_SNAPSHOT_MARKER).vbucket(vb).opaque(opaque);
        match self.body {
            MarkerBody::V1 => frame.extras(self.range::<20>().bytes()).write(out),
            MarkerBody::V2_0 { max_visible, high_completed } => {
                let value = self.range::<36>().seqno(max_visible).seqno(high_completed);
                frame.extras(&[0]).value(value.bytes()).write(out);
            }
            MarkerBody::V2_2 { max_visible, high_completed, purge, high_prepared } => {
                let value = self
                    .range::<52>()
                    .seqno(max_visible)
                    .seqno(high_completed)
                    .seqno(purge)
                    .seqno(high_prepared);
                frame.extras(&[2]).value(value.bytes()).write(out);
            }
        }
    }

    fn range<const N: usize>(&self) -> Extras<N> {
        Extras::new().seqno(self.start).seqno(self.end).u32(self.flags)
    }
}
