//! Reads all documents of a data node over one DCP connection, with a stream for each vBucket, some
//! at once.

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

/// Reads until every stream has ended, with all open at once.
pub(crate) fn read_all(node: &Server, vbuckets: u16) -> io::Result<Read> {
    read_some_at_once(node, vbuckets, vbuckets)
}

/// The same with `at_once` streams open at a time.
pub(crate) fn read_some_at_once(node: &Server, vbuckets: u16, at_once: u16) -> io::Result<Read> {
    let mut read = Read::default();
    open_some(node, vbuckets, at_once, |frame| read.take(frame))?;
    Ok(read)
}

/// Calls `take` with every frame of the streams until all have ended.
pub(crate) fn each(node: &Server, vbuckets: u16, take: impl FnMut(&Frame<'_>)) -> io::Result<()> {
    open_some(node, vbuckets, vbuckets, take)
}

fn open_some(
    node: &Server,
    vbuckets: u16,
    at_once: u16,
    mut take: impl FnMut(&Frame<'_>),
) -> io::Result<()> {
    let mut connection = node.connect()?;
    let mut extras = [0; 8];
    extras[4..].copy_from_slice(&open_flags::PRODUCER.to_be_bytes());
    connection.ask(&FrameBuilder::request(Opcode::DCP_OPEN).extras(&extras).key(b"bench"))?;
    let mut waiting = (0..vbuckets).map(VbId);
    let mut requests = requests(waiting.by_ref().take(usize::from(at_once.max(1))));
    let mut open = vbuckets;
    while open > 0 {
        connection.send(&requests)?;
        let mut ended = 0;
        while ended == 0 && open > 0 {
            connection.answers(1, |frame| {
                ended = u16::from(frame.opcode() == Opcode::DCP_STREAM_END);
                take(frame);
            })?;
        }
        open -= ended;
        requests = self::requests(waiting.by_ref().take(usize::from(ended)));
    }
    Ok(())
}

/// A request for a whole stream of each vBucket.
fn requests(vbs: impl Iterator<Item = VbId>) -> bytes::BytesMut {
    let mut requests = bytes::BytesMut::new();
    for vb in vbs {
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
    requests
}

impl Read {
    fn take(&mut self, frame: &Frame<'_>) {
        if frame.opcode() == Opcode::DCP_MUTATION {
            self.documents += 1;
            self.bytes += frame.header.frame_bytes() as u64;
        }
    }
}
