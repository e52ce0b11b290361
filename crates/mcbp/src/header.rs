//! The header: the first 24 bytes of every frame.

use crate::{Datatype, FrameError, HEADER_BYTES, MAX_BODY_BYTES, Opaque, Opcode, Status, VbId};

/// Byte 0 of a frame: who sends it, and its form.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Magic {
    /// A request, 0x80.
    ClientRequest = 0x80,
    /// A response, 0x81.
    ClientResponse = 0x81,
    /// A request with framing extras, 0x08.
    AltClientRequest = 0x08,
    /// A response with framing extras, 0x18.
    AltClientResponse = 0x18,
    /// A request that a server sends to its client, 0x82.
    ServerRequest = 0x82,
    /// The answer to such a request, 0x83.
    ServerResponse = 0x83,
}

impl Magic {
    /// Returns the magic for its byte.
    ///
    /// # Errors
    /// [`FrameError::UnknownMagic`] for any other byte than the six known ones.
    #[inline]
    pub const fn from_byte(byte: u8) -> Result<Self, FrameError> {
        match byte {
            0x80 => Ok(Self::ClientRequest),
            0x81 => Ok(Self::ClientResponse),
            0x08 => Ok(Self::AltClientRequest),
            0x18 => Ok(Self::AltClientResponse),
            0x82 => Ok(Self::ServerRequest),
            0x83 => Ok(Self::ServerResponse),
            magic => Err(FrameError::UnknownMagic { magic }),
        }
    }

    /// Whether a frame of this magic is a request (bytes 6 and 7 are a vBucket id).
    #[must_use]
    #[inline]
    pub const fn is_request(self) -> bool {
        matches!(self, Self::ClientRequest | Self::AltClientRequest | Self::ServerRequest)
    }

    /// Whether a frame of this magic carries framing extras (byte 2 is their length).
    #[must_use]
    #[inline]
    pub const fn has_framing(self) -> bool {
        matches!(self, Self::AltClientRequest | Self::AltClientResponse)
    }
}

/// A decoded header whose lengths are consistent and within [`MAX_BODY_BYTES`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Header {
    /// Byte 0.
    pub magic: Magic,
    /// Byte 1.
    pub opcode: Opcode,
    /// Framing extras in bytes; 0 unless the magic has them.
    pub framing_bytes: u8,
    /// Extras in bytes.
    pub extras_bytes: u8,
    /// Key in bytes; at most 255 where the magic has framing extras.
    pub key_bytes: u16,
    /// Byte 5.
    pub datatype: Datatype,
    /// Bytes 6 and 7: vBucket id of a request, status of a response.
    pub vbucket_or_status: u16,
    /// Bytes 8 to 11: framing extras, extras, key and value together.
    pub body_bytes: u32,
    /// Bytes 12 to 15.
    pub opaque: Opaque,
    /// Bytes 16 to 23.
    pub cas: u64,
}

impl Header {
    /// Decodes and checks a header.
    ///
    /// # Errors
    /// [`FrameError::UnknownMagic`], [`FrameError::TooLarge`] or [`FrameError::Lengths`].
    #[inline]
    pub fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, FrameError> {
        let [b0, b1, b2, b3, b4, b5, b6, b7, l0, l1, l2, l3, o0, o1, o2, o3, cas @ ..] = *bytes;
        let magic = Magic::from_byte(b0)?;
        let (framing_bytes, key_bytes) = if magic.has_framing() {
            (b2, u16::from(b3))
        } else {
            (0, u16::from_be_bytes([b2, b3]))
        };
        let header = Self {
            magic,
            opcode: Opcode(b1),
            framing_bytes,
            extras_bytes: b4,
            key_bytes,
            datatype: Datatype(b5),
            vbucket_or_status: u16::from_be_bytes([b6, b7]),
            body_bytes: u32::from_be_bytes([l0, l1, l2, l3]),
            opaque: Opaque(u32::from_be_bytes([o0, o1, o2, o3])),
            cas: u64::from_be_bytes(cas),
        };
        header.check_lengths()?;
        Ok(header)
    }

    /// Decodes the header at the front of `bytes`; `None` if there are fewer than 24 bytes.
    ///
    /// # Errors
    /// As [`Header::decode`]; an unknown magic is reported as soon as there is one byte.
    #[inline]
    pub fn peek(bytes: &[u8]) -> Result<Option<Self>, FrameError> {
        match bytes.first_chunk::<HEADER_BYTES>() {
            Some(header) => Self::decode(header).map(Some),
            None => match bytes.first() {
                Some(&byte) => Magic::from_byte(byte).map(|_| None),
                None => Ok(None),
            },
        }
    }

    #[inline]
    fn check_lengths(&self) -> Result<(), FrameError> {
        if self.body_bytes > MAX_BODY_BYTES {
            return Err(FrameError::TooLarge { opcode: self.opcode, body_bytes: self.body_bytes });
        }
        if self.parts_bytes() > self.body_bytes { Err(self.lengths()) } else { Ok(()) }
    }

    /// The error for parts that do not fit in the body.
    pub(crate) const fn lengths(&self) -> FrameError {
        let parts_bytes = self.parts_bytes();
        FrameError::Lengths { opcode: self.opcode, parts_bytes, body_bytes: self.body_bytes }
    }

    /// Framing extras, extras and key together.
    const fn parts_bytes(&self) -> u32 {
        self.framing_bytes as u32 + self.extras_bytes as u32 + self.key_bytes as u32
    }

    /// Returns a [`FrameError::Malformed`] about the frame of this header; `what` is what was
    /// expected.
    #[must_use]
    pub const fn malformed(&self, what: &'static str) -> FrameError {
        FrameError::Malformed {
            opcode: self.opcode,
            what,
            extras_bytes: self.extras_bytes,
            key_bytes: self.key_bytes,
            value_bytes: self.body_bytes.saturating_sub(self.parts_bytes()),
        }
    }

    /// Encodes the header.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let [k0, k1] = self.key_bytes.to_be_bytes();
        let [b2, b3] = if self.magic.has_framing() { [self.framing_bytes, k1] } else { [k0, k1] };
        let [v0, v1] = self.vbucket_or_status.to_be_bytes();
        let [l0, l1, l2, l3] = self.body_bytes.to_be_bytes();
        let [o0, o1, o2, o3] = self.opaque.0.to_be_bytes();
        let [c0, c1, c2, c3, c4, c5, c6, c7] = self.cas.to_be_bytes();
        [
            self.magic as u8,
            self.opcode.0,
            b2,
            b3,
            self.extras_bytes,
            self.datatype.0,
            v0,
            v1,
            l0,
            l1,
            l2,
            l3,
            o0,
            o1,
            o2,
            o3,
            c0,
            c1,
            c2,
            c3,
            c4,
            c5,
            c6,
            c7,
        ]
    }

    /// The length of header and body, in bytes.
    #[must_use]
    #[inline]
    pub const fn frame_bytes(&self) -> usize {
        HEADER_BYTES + self.body_bytes as usize
    }

    /// Whether this frame is a request.
    #[must_use]
    #[inline]
    pub const fn is_request(&self) -> bool {
        self.magic.is_request()
    }

    /// The vBucket of a request. Meaningless in a response.
    #[must_use]
    #[inline]
    pub const fn vbucket(&self) -> VbId {
        VbId(self.vbucket_or_status)
    }

    /// The status of a response. Meaningless in a request.
    #[must_use]
    #[inline]
    pub const fn status(&self) -> Status {
        Status(self.vbucket_or_status)
    }
}
