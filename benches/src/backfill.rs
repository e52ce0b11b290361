//! Reads all documents of a data node over one DCP connection, with a stream for each vBucket.

use std::io;

use mcbp::dcp::{StreamReq, open_flags, stream_flags};
use mcbp::{Frame, FrameBuilder, Opaque, Opcode, Seqno, VbId, VbUuid};

use crate::server::Server;

/// What was read.
#[derive(Default, Debug)]
pub(crate) struct Read {
    pub(crate) documents: u64,
    /// The bytes of whole frames.
    pub(crate) bytes: u64,
}

/// Reads until every stream has ended.
pub(crate) fn read_all(node: &Server, vbuckets: u16) -> io::Result<Read> {
    let mut read = Read::default();
    each(node, vbuckets, |frame| read.take(frame))?;
    Ok(read)
}

/// Calls `take` with every frame of the streams until all have ended.
pub(crate) fn each(
    node: &Server,
    vbuckets: u16,
    mut take: impl FnMut(&Frame<'_>),
) -> io::Result<()> {
    let mut connection = node.connect()?;
    let mut extras = [0; 8];
    extras[4..].copy_from_slice(&open_flags::PRODUCER.to_be_bytes());
    connection.ask(&FrameBuilder::request(Opcode::DCP_OPEN).extras(&extras).key(b"bench"))?;
    let mut requests = bytes::BytesMut::new();
    for vb in (0..vbuckets).map(VbId) {
        let request = StreamReq {
            flags: stream_flags::TO_LATEST,
            start: Seqno::ZERO,
            end: Seqno::MAX,
            uuid: VbUuid(0),
            snapshot_start: Seqno::ZERO,
            snapshot_end: Seqno::ZERO,
            value: &[],
        };
        request.write(vb, Opaque(1), &mut requests);
    }
    connection.send(&requests)?;
    let mut open = vbuckets;
    while open > 0 {
        connection.answers(1, |frame| {
            open -= u16::from(frame.opcode() == Opcode::DCP_STREAM_END);
            take(frame);
        })?;
    }
    Ok(())
}

impl Read {
    fn take(&mut self, frame: &Frame<'_>) {
        if frame.opcode() == Opcode::DCP_MUTATION {
            self.documents += 1;
            self.bytes += frame.header.frame_bytes() as u64;
        }
    }
}
