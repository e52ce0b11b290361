//! DCP_OPEN: the name of a connection, and what it is for.

use super::{Extras, Reader};
use crate::{Datatype, Frame, FrameBuilder, FrameError, Opcode};

/// Flags of DCP_OPEN.
pub mod open_flags {
    /// The other side is the producer; without this flag, the consumer.
    pub const PRODUCER: u32 = 0x001;
    /// Was "notifier" up to 6.x; invalid now.
    pub const INVALID_NOTIFIER: u32 = 0x002;
    /// Send extended attributes.
    pub const INCLUDE_XATTRS: u32 = 0x004;
    /// Send keys without values.
    pub const NO_VALUE: u32 = 0x008;
    /// Send the time of a deletion.
    pub const INCLUDE_DELETE_TIMES: u32 = 0x020;
    /// Send keys without values but keep the datatype; not together with [`NO_VALUE`].
    pub const NO_VALUE_WITH_DATATYPE: u32 = 0x040;
    /// Was "point in time recovery"; invalid now.
    pub const INVALID_PITR: u32 = 0x080;
    /// Send the user's extended attributes of deleted documents; needs [`INCLUDE_XATTRS`].
    pub const INCLUDE_DELETED_USER_XATTRS: u32 = 0x100;
    /// Leave out deletions of the first backfill.
    pub const SKIP_DELETES_IN_INITIAL_BACKFILL: u32 = 0x200;
    /// The flags that a replication proxy sends to a producer.
    pub const REPLICATION_PRODUCER: u32 = 0x125;
    /// The flags that a replication proxy sends to a consumer.
    pub const REPLICATION_CONSUMER: u32 = 0x124;
}

/// The body of DCP_OPEN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Open<'a> {
    /// See [`open_flags`].
    pub flags: u32,
    /// The name of the connection, at most 200 bytes; a second one of the same name displaces the
    /// first.
    pub name: &'a [u8],
    /// Empty, or JSON with the key `consumer_name`.
    pub value: &'a [u8],
}

impl<'a> Open<'a> {
    /// Reads the body.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] unless the extras are 8 bytes.
    pub fn decode(frame: &Frame<'a>) -> Result<Self, FrameError> {
        let extras = frame.extras_exact::<8>("extras must be 8 bytes")?;
        let mut reader = Reader::of(frame, extras);
        let _seqno = reader.u32()?;
        Ok(Self { flags: reader.u32()?, name: frame.key, value: frame.value })
    }

    /// Returns the frame.
    #[must_use]
    pub fn build(&self, opaque: crate::Opaque) -> bytes::Bytes {
        let datatype = if self.value.is_empty() { Datatype::RAW } else { Datatype::JSON };
        FrameBuilder::request(Opcode::DCP_OPEN)
            .opaque(opaque)
            .datatype(datatype)
            .extras(Extras::<8>::new().u32(0).u32(self.flags).bytes())
            .key(self.name)
            .value(self.value)
            .build()
    }
}
