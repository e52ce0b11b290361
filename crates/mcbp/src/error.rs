//! What can be wrong with a frame.

use crate::{MAX_BODY_BYTES, Opcode};

/// Why bytes are not a frame, or a frame does not hold what its opcode asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Byte 0 is none of the six magics.
    #[error("unknown magic {magic:#04x}, expected 0x80, 0x81, 0x08, 0x18, 0x82 or 0x83")]
    UnknownMagic {
        /// The byte that was found.
        magic: u8,
    },
    /// The header claims a body above the bound.
    #[error("{opcode} claims a body of {body_bytes} bytes, the limit is {MAX_BODY_BYTES}")]
    TooLarge {
        /// The opcode of the frame.
        opcode: Opcode,
        /// The claimed length of the body.
        body_bytes: u32,
    },
    /// Framing extras, extras and key are together longer than the body.
    #[error("{opcode}: {parts_bytes} bytes of extras and key do not fit a body of {body_bytes}")]
    Lengths {
        /// The opcode of the frame.
        opcode: Opcode,
        /// Framing extras, extras and key together.
        parts_bytes: u32,
        /// The length of the body.
        body_bytes: u32,
    },
    /// Fewer bytes than the frame needs.
    #[error("a frame of {need_bytes} bytes was cut off after {have_bytes}")]
    Truncated {
        /// What the frame needs.
        need_bytes: usize,
        /// What is there.
        have_bytes: usize,
    },
    /// The frame is whole but a part of it does not have the form its opcode asks for.
    #[error(
        "{opcode}: {what}; found {extras_bytes} bytes of extras, {key_bytes} of key, \
         {value_bytes} of value"
    )]
    Malformed {
        /// The opcode of the frame.
        opcode: Opcode,
        /// What was expected, in words.
        what: &'static str,
        /// The extras that were found, in bytes.
        extras_bytes: u8,
        /// The key that was found, in bytes.
        key_bytes: u16,
        /// The value that was found, in bytes.
        value_bytes: u32,
    },
}
