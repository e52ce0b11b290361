//! The extras of key-value commands.
//!
//! Source: `docs/BinaryProtocol.md` of couchbase/kv_engine.

use crate::dcp::Reader;
use crate::{Frame, FrameError, Seqno, VbUuid};

/// The extras of SET, ADD and REPLACE, quiet or not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StoreExtras {
    /// The user's flags, given back by GET as they came.
    pub flags: u32,
    /// Seconds from now up to 30 days, else Unix time; 0 for never.
    pub expiry: u32,
}

impl StoreExtras {
    /// Reads the extras.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] unless they are 8 bytes.
    pub fn decode(frame: &Frame<'_>) -> Result<Self, FrameError> {
        let mut reader = Reader(frame.extras_exact::<8>("extras must be 8 bytes")?);
        Ok(Self { flags: reader.u32(), expiry: reader.u32() })
    }

    /// The 8 bytes.
    #[must_use]
    pub const fn encode(&self) -> [u8; 8] {
        let ([f0, f1, f2, f3], [e0, e1, e2, e3]) =
            (self.flags.to_be_bytes(), self.expiry.to_be_bytes());
        [f0, f1, f2, f3, e0, e1, e2, e3]
    }
}

/// The extras of INCREMENT and DECREMENT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CounterExtras {
    /// How much to add or take away.
    pub delta: u64,
    /// The value of a counter that does not exist yet.
    pub initial: u64,
    /// As in [`StoreExtras`]; `0xffff_ffff` means "do not create".
    pub expiry: u32,
}

impl CounterExtras {
    /// Reads the extras.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] unless they are 20 bytes.
    pub fn decode(frame: &Frame<'_>) -> Result<Self, FrameError> {
        let mut reader = Reader(frame.extras_exact::<20>("extras must be 20 bytes")?);
        Ok(Self { delta: reader.u64(), initial: reader.u64(), expiry: reader.u32() })
    }
}

/// The extras of a mutation response on a connection with the feature MutationSeqno.
#[must_use]
pub fn mutation_token(uuid: VbUuid, seqno: Seqno) -> [u8; 16] {
    let mut token = [0; 16];
    let (left, right) = token.split_at_mut(8);
    left.copy_from_slice(&uuid.0.to_be_bytes());
    right.copy_from_slice(&seqno.0.to_be_bytes());
    token
}
