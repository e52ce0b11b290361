//! What can be wrong with a frame.

use crate::{MAX_BODY_BYTES, Opcode};

/// Why bytes are not a frame, or a frame does not have the form of its opcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Byte 0 is not one of the six magics.
    #[error("unknown magic {magic:#04x}, expected 0x80, 0x81, 0x08, 0x18, 0x82 or 0x83")]
    UnknownMagic {
        /// The byte that was found.
        magic: u8,
    },
    /// The header claims a body above [`MAX_BODY_BYTES`].
    #[error("{opcode} claims a body of {body_bytes} bytes, the limit is {MAX_BODY_BYTES}")]
    TooLarge {
        /// The opcode of the frame.
        opcode: Opcode,
        /// The claimed length of the body.
        body_bytes: u32,
    },
    /// Framing extras, extras and key together are longer than the body.
    #[error("{opcode}: {parts_bytes} bytes of extras and key do not fit a body of {body_bytes}")]
    Lengths {
        /// The opcode of the frame.
        opcode: Opcode,
        /// Framing extras, extras and key together.
        parts_bytes: u32,
        /// The length of the body.
        body_bytes: u32,
    },
    /// There are fewer bytes than the frame needs.
    #[error("a frame of {need_bytes} bytes was cut off after {have_bytes}")]
    Truncated {
        /// How many bytes the frame needs.
        need_bytes: usize,
        /// How many bytes there are.
        have_bytes: usize,
    },
    /// The frame is whole, but a part does not have the form of its opcode.
    #[error(
        "{opcode}: {what}; found {extras_bytes} bytes of extras, {key_bytes} of key, \
         {value_bytes} of value"
    )]
    Malformed {
        /// The opcode of the frame.
        opcode: Opcode,
        /// What was expected.
        what: &'static str,
        /// The extras that were found, in bytes.
        extras_bytes: u8,
        /// The key that was found, in bytes.
        key_bytes: u16,
        /// The value that was found, in bytes.
        value_bytes: u32,
    },
}
