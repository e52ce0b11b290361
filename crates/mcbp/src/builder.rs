//! Builds frames.

use bytes::{BufMut, Bytes, BytesMut};

use crate::{Datatype, HEADER_BYTES, Header, Magic, Opaque, Opcode, Status, VbId};

/// Enough for header and extras of almost every frame (a MUTATION has 31 bytes of extras). They are
/// appended at once.
const FRONT_BYTES: usize = HEADER_BYTES + 32;

/// Header, framing extras, extras and key, as they are written.
type Parts<'a> = (Header, &'a [u8], &'a [u8], &'a [u8]);

/// Builds one frame. The parts are borrowed; they are copied when the frame is written.
///
/// Parts that are too long for the header are truncated: extras and framing extras to 255 bytes, a
/// key to 65,535 bytes (255 with framing extras). A body above [`crate::MAX_BODY_BYTES`] is written
/// as it is, and the receiver refuses it. So every frame up to that bound can be parsed again.
#[derive(Clone, Copy, Debug)]
pub struct FrameBuilder<'a> {
    magic: Magic,
    opcode: Opcode,
    datatype: Datatype,
    vbucket_or_status: u16,
    opaque: Opaque,
    cas: u64,
    framing: &'a [u8],
    extras: &'a [u8],
    key: &'a [u8],
    value: &'a [u8],
}

impl<'a> FrameBuilder<'a> {
    /// A request (magic 0x80).
    #[must_use]
    pub const fn request(opcode: Opcode) -> Self {
        Self::new(Magic::ClientRequest, opcode, 0)
    }

    /// A response (magic 0x81) with its status.
    #[must_use]
    pub const fn response(opcode: Opcode, status: Status) -> Self {
        Self::new(Magic::ClientResponse, opcode, status.0)
    }

    /// A frame of any magic; `vbucket_or_status` goes to bytes 6 and 7.
    #[must_use]
    pub const fn new(magic: Magic, opcode: Opcode, vbucket_or_status: u16) -> Self {
        Self {
            magic,
            opcode,
            datatype: Datatype::RAW,
            vbucket_or_status,
            opaque: Opaque(0),
            cas: 0,
            framing: &[],
            extras: &[],
            key: &[],
            value: &[],
        }
    }

    /// Returns a builder that reproduces `frame` byte for byte.
    #[must_use]
    pub const fn from_frame(frame: &crate::Frame<'a>) -> Self {
        Self {
            magic: frame.header.magic,
            opcode: frame.header.opcode,
            datatype: frame.header.datatype,
            vbucket_or_status: frame.header.vbucket_or_status,
            opaque: frame.header.opaque,
            cas: frame.header.cas,
            framing: frame.framing,
            extras: frame.extras,
            key: frame.key,
            value: frame.value,
        }
    }

    /// The opcode.
    #[must_use]
    pub const fn opcode(&self) -> Opcode {
        self.opcode
    }

    /// Sets the vBucket of a request.
    #[must_use]
    pub const fn vbucket(mut self, vb: VbId) -> Self {
        self.vbucket_or_status = vb.0;
        self
    }

    /// Sets the opaque.
    #[must_use]
    pub const fn opaque(mut self, opaque: Opaque) -> Self {
        self.opaque = opaque;
        self
    }

    /// Sets the CAS.
    #[must_use]
    pub const fn cas(mut self, cas: u64) -> Self {
        self.cas = cas;
        self
    }

    /// Sets the datatype.
    #[must_use]
    pub const fn datatype(mut self, datatype: Datatype) -> Self {
        self.datatype = datatype;
        self
    }

    /// Sets the framing extras, and changes the magic 0x80 or 0x81 to the one that has them. With
    /// the magics 0x82 and 0x83, which have no such form, framing extras are left out.
    #[must_use]
    pub const fn framing(mut self, framing: &'a [u8]) -> Self {
        self.magic = match self.magic {
            Magic::ClientRequest => Magic::AltClientRequest,
            Magic::ClientResponse => Magic::AltClientResponse,
            other => other,
        };
        self.framing = framing;
        self
    }

    /// Sets the extras.
    #[must_use]
    pub const fn extras(mut self, extras: &'a [u8]) -> Self {
        self.extras = extras;
        self
    }

    /// Sets the key.
    #[must_use]
    pub const fn key(mut self, key: &'a [u8]) -> Self {
        self.key = key;
        self
    }

    /// Sets the value.
    #[must_use]
    pub const fn value(mut self, value: &'a [u8]) -> Self {
        self.value = value;
        self
    }

    /// The length of the whole frame in bytes.
    #[must_use]
    pub fn frame_bytes(&self) -> usize {
        let (header, ..) = self.parts();
        header.frame_bytes()
    }

    /// Appends the frame to `out`.
    pub fn write(&self, out: &mut BytesMut) {
        let parts = self.parts();
        out.reserve(parts.0.frame_bytes());
        Self::put_front(parts, out);
        out.put_slice(self.value);
    }

    /// Appends the frame without its value, which the caller writes after it.
    pub fn write_front(&self, out: &mut BytesMut) {
        Self::put_front(self.parts(), out);
    }

    #[inline]
    fn put_front(parts: Parts<'a>, out: &mut BytesMut) {
        let (header, framing, extras, key) = parts;
        let mut front = [0; FRONT_BYTES];
        if framing.is_empty()
            && let Some(front) = front.get_mut(..HEADER_BYTES + extras.len())
            && let Some((to, rest)) = front.split_first_chunk_mut()
        {
            *to = header.encode();
            rest.copy_from_slice(extras);
            out.put_slice(front);
        } else {
            out.put_slice(&header.encode());
            out.put_slice(framing);
            out.put_slice(extras);
        }
        out.put_slice(key);
    }

    /// Returns the frame as bytes.
    #[must_use]
    pub fn build(&self) -> Bytes {
        let mut out = BytesMut::new();
        self.write(&mut out);
        out.freeze()
    }

    fn parts(&self) -> Parts<'a> {
        let (framing_max, key_max) =
            if self.magic.has_framing() { (0xff, 0xff) } else { (0, 0xffff) };
        let framing = self.framing.get(..framing_max).unwrap_or(self.framing);
        let extras = self.extras.get(..0xff).unwrap_or(self.extras);
        let key = self.key.get(..key_max).unwrap_or(self.key);
        let body = framing.len() + extras.len() + key.len() + self.value.len();
        let header = Header {
            magic: self.magic,
            opcode: self.opcode,
            framing_bytes: u8::try_from(framing.len()).unwrap_or(u8::MAX),
            extras_bytes: u8::try_from(extras.len()).unwrap_or(u8::MAX),
            key_bytes: u16::try_from(key.len()).unwrap_or(u16::MAX),
            datatype: self.datatype,
            vbucket_or_status: self.vbucket_or_status,
            body_bytes: u32::try_from(body).unwrap_or(u32::MAX),
            opaque: self.opaque,
            cas: self.cas,
        };
        (header, framing, extras, key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_and_the_value_are_the_frame() {
        for framing in [&[][..], &[0x90]] {
            let frame = FrameBuilder::response(Opcode::GETK, Status::SUCCESS).extras(&[1; 4]);
            let mut frame = frame.key(b"key").value(b"value").cas(7);
            if !framing.is_empty() {
                frame = frame.framing(framing);
            }
            let mut out = BytesMut::new();
            frame.write_front(&mut out);
            assert_eq!([out.as_ref(), b"value"].concat(), frame.build());
        }
    }
}
