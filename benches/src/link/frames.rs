//! The frames that the load reads and writes.

use std::io::{self, Read, Write};

use bytes::{Bytes, BytesMut};
use mcbp::dcp::{Mutation, Target};
use mcbp::{
    Datatype, Frame, FrameBuilder, HEADER_BYTES, Header, Opaque, Opcode, Seqno, Status, VbId,
};

use crate::{Fallible, STREAMS};

/// How much is read at once, and approximately how much is written.
pub(crate) const CHUNK_BYTES: usize = 256 * 1024;
/// How many frames of one vBucket follow each other.
const FRAMES_OF_VBUCKET: usize = 16;
/// Length of the keys, one byte for the collection and a number.
const KEY_BYTES: usize = 8;
/// The size of a mutation without key and value.
const MUTATION_BYTES: usize = HEADER_BYTES + 31;
/// The smallest mutation that is made here.
pub(crate) const FRAME_BYTES_MIN: usize = MUTATION_BYTES + KEY_BYTES + 1;

/// Whole mutations of `frame_bytes` each, together about [`CHUNK_BYTES`], at least one.
pub(crate) fn mutations(frame_bytes: usize) -> Fallible<Vec<u8>> {
    if !(FRAME_BYTES_MIN..=20 << 20).contains(&frame_bytes) {
        return Err(
            format!("frames of {frame_bytes} bytes: give {FRAME_BYTES_MIN} to 20 MiB").into()
        );
    }
    let value: Vec<u8> = (0_u8..251).cycle().take(frame_bytes - FRAME_BYTES_MIN + 1).collect();
    let mut out = BytesMut::new();
    for number in 0..(CHUNK_BYTES / frame_bytes).max(1) {
        let vb = VbId(u16::try_from(number / FRAMES_OF_VBUCKET)? % STREAMS);
        let target =
            Target { vb, opaque: opaque_of(vb), cas: number as u64, datatype: Datatype::RAW };
        let key = format!("\0{number:07}");
        let mutation = Mutation {
            seqno: Seqno(number as u64 + 1),
            rev: 1,
            flags: 0,
            expiry: 0,
            lock_time: 0,
            nru: 0,
        };
        mutation.write(target, key.as_bytes(), &value, &mut out);
    }
    Ok(out.to_vec())
}

/// The opaque of a vBucket's stream.
pub(crate) const fn opaque_of(vb: VbId) -> Opaque {
    Opaque(vb.0 as u32 + 1)
}

/// Reads frames one at a time.
#[derive(Default)]
pub(crate) struct FrameReader {
    buffer: BytesMut,
}

impl FrameReader {
    /// The next frame, waiting for it.
    pub(crate) fn next(&mut self, from: &mut dyn Read) -> Fallible<Bytes> {
        loop {
            if let Some(frame) = self.buffered()? {
                return Ok(frame);
            }
            self.fill(from)?;
        }
    }

    /// The next frame, if it has been read completely.
    pub(crate) fn buffered(&mut self) -> Fallible<Option<Bytes>> {
        let header = Header::peek(&self.buffer)?;
        let whole = header.filter(|header| self.buffer.len() >= header.frame_bytes());
        Ok(whole.map(|header| self.buffer.split_to(header.frame_bytes()).freeze()))
    }

    /// Reads once.
    fn fill(&mut self, from: &mut dyn Read) -> io::Result<()> {
        let mut room = [0; 64 * 1024];
        match from.read(&mut room)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.buffer.extend_from_slice(room.get(..count).unwrap_or_default());
                Ok(())
            }
        }
    }

    /// The bytes that were read and not taken.
    pub(crate) fn rest_bytes(&self) -> usize {
        self.buffer.len()
    }
}

/// The answer to a request: a status and a body.
pub(crate) fn answer(
    request: &[u8],
    status: Status,
    extras: &[u8],
    value: &[u8],
) -> Fallible<Bytes> {
    let header = Frame::parse(request)?.header;
    let answer = FrameBuilder::response(header.opcode, status).opaque(header.opaque);
    Ok(answer.extras(extras).value(value).build())
}

/// Writes a BUFFER_ACK of `bytes`.
pub(crate) fn acknowledge(to: &mut dyn Write, bytes: u32) -> io::Result<()> {
    let ack = FrameBuilder::request(Opcode::DCP_BUFFER_ACK).extras(&bytes.to_be_bytes()).build();
    to.write_all(&ack)?;
    to.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_whole_frames_of_the_size_that_is_asked_for() {
        for frame_bytes in [64, 256, 1024, 16_384, 1 << 20] {
            let chunk = mutations(frame_bytes).unwrap();
            let header = Header::peek(&chunk).unwrap().unwrap();
            assert_eq!((header.opcode, header.frame_bytes()), (Opcode::DCP_MUTATION, frame_bytes));
            assert_eq!(chunk.len(), frame_bytes * (CHUNK_BYTES / frame_bytes).max(1));
        }
        assert!(mutations(FRAME_BYTES_MIN - 1).is_err());
    }
}
