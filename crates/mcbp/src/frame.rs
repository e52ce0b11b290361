//! One whole frame, borrowed from a buffer.

use crate::{FrameError, HEADER_BYTES, Header, Opcode};

/// A frame whose header is decoded and whose parts are slices of the buffer it came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame<'a> {
    /// The decoded header.
    pub header: Header,
    /// Framing extras; empty unless the magic has them. See [`crate::framing`].
    pub framing: &'a [u8],
    /// The extras, laid out by opcode.
    pub extras: &'a [u8],
    /// The key; with a collection prefix if the connection negotiated collections.
    pub key: &'a [u8],
    /// The value: what follows the key.
    pub value: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Parses the frame at the front of `bytes`; ignores what follows it.
    ///
    /// # Errors
    /// Any header error, and [`FrameError::Truncated`] if the frame is not whole.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let have_bytes = bytes.len();
        let truncated = |need_bytes| FrameError::Truncated { need_bytes, have_bytes };
        let header = Header::peek(bytes)?.ok_or_else(|| truncated(HEADER_BYTES))?;
        let body = bytes
            .get(HEADER_BYTES..header.frame_bytes())
            .ok_or_else(|| truncated(header.frame_bytes()))?;
        let split =
            |from: &'a [u8], at: usize| from.split_at_checked(at).ok_or_else(|| header.lengths());
        let (framing, body) = split(body, usize::from(header.framing_bytes))?;
        let (extras, body) = split(body, usize::from(header.extras_bytes))?;
        let (key, value) = split(body, usize::from(header.key_bytes))?;
        Ok(Self { header, framing, extras, key, value })
    }

    /// The opcode of the frame.
    #[must_use]
    pub const fn opcode(&self) -> Opcode {
        self.header.opcode
    }

    /// The extras as an array of exactly `N` bytes.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] with `what` if their number is another.
    pub fn extras_exact<const N: usize>(
        &self,
        what: &'static str,
    ) -> Result<&'a [u8; N], FrameError> {
        self.extras.try_into().map_err(|_| self.malformed(what))
    }

    /// Returns a [`FrameError::Malformed`] about this frame.
    #[must_use]
    pub const fn malformed(&self, what: &'static str) -> FrameError {
        self.header.malformed(what)
    }
}
