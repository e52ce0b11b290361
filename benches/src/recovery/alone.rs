//! Measures how long a data node takes to roll back every vBucket, with a played sidecar and a
//! played producer that answer immediately, with documents from memory.

use std::io;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use mcbp::dcp::AddStream;
use mcbp::{Frame, FrameBuilder, Header, Opaque, Opcode, Status, VbId};

use crate::backfill;
use crate::server::{Server, VBUCKETS};

/// The place of the opaque in a header.
const OPAQUE_AT: usize = 12;

/// Markers and documents of a node, by vBucket.
pub(super) struct Recording(Vec<BytesMut>);

impl Recording {
    pub(super) fn of(node: &Server) -> io::Result<Self> {
        let mut all = vec![BytesMut::new(); usize::from(VBUCKETS)];
        backfill::each(node, VBUCKETS, |frame| {
            let Header { opcode, cas, datatype, .. } = frame.header;
            let vb = frame.header.vbucket();
            if matches!(opcode, Opcode::DCP_MUTATION | Opcode::DCP_SNAPSHOT_MARKER)
                && let Some(out) = all.get_mut(usize::from(vb.0))
            {
                let copy = FrameBuilder::request(opcode).vbucket(vb).cas(cas).datatype(datatype);
                copy.extras(frame.extras).key(frame.key).value(frame.value).write(out);
            }
        })?;
        Ok(Self(all))
    }

    /// Appends the frames of a vBucket, for a stream with this opaque.
    fn write(&self, vb: VbId, opaque: Opaque, out: &mut BytesMut) {
        let from = out.len();
        out.extend_from_slice(self.0.get(usize::from(vb.0)).map_or(&[], |frames| &frames[..]));
        let mut rest = out.get_mut(from..).unwrap_or_default();
        while let Ok(Some(header)) = Header::peek(rest) {
            if let Some(place) = rest.get_mut(OPAQUE_AT..OPAQUE_AT + 4) {
                place.copy_from_slice(&opaque.0.to_be_bytes());
            }
            rest = rest.get_mut(header.frame_bytes()..).unwrap_or_default();
        }
    }
}

/// Adds all streams and answers each first request with ROLLBACK to 0. Returns the time until every
/// ADD_STREAM was answered.
pub(super) fn roll_back(node: &Server, recording: &Recording) -> io::Result<Duration> {
    let mut connection = node.connect()?;
    // Without flags the node is the consumer.
    connection.ask(&FrameBuilder::request(Opcode::DCP_OPEN).extras(&[0; 8]).key(b"bench"))?;
    let mut out = BytesMut::new();
    for vb in (0..VBUCKETS).map(VbId) {
        AddStream { flags: 0 }.write(vb, Opaque(u32::from(vb.0)), &mut out);
    }
    let began = Instant::now();
    connection.send(&out)?;
    let (mut open, mut rolled_back, mut refused) = (0, 0_u16, None);
    while open < VBUCKETS {
        out.clear();
        connection.answers(1, |frame| match (frame.opcode(), frame.header.is_request()) {
            (Opcode::DCP_ADD_STREAM, false) if frame.header.status() == Status::SUCCESS => {
                open += 1;
            }
            (Opcode::DCP_ADD_STREAM, false) => refused = Some(frame.header.status()),
            (Opcode::DCP_BUFFER_ACK, _) | (_, false) => {}
            (_, true) => match answer(frame, &mut out) {
                Some(Status::ROLLBACK) => rolled_back += 1,
                Some(_) => {
                    recording.write(frame.header.vbucket(), frame.header.opaque, &mut out);
                }
                None => {}
            },
        })?;
        if let Some(status) = refused {
            return Err(io::Error::other(format!("ADD_STREAM was answered with {status}")));
        }
        connection.send(&out)?;
    }
    let took = began.elapsed();
    if rolled_back != VBUCKETS {
        return Err(io::Error::other(format!("{rolled_back} vBuckets were rolled back")));
    }
    Ok(took)
}

/// Answers a request; returns the status if it is a STREAM_REQ.
fn answer(frame: &Frame<'_>, out: &mut BytesMut) -> Option<Status> {
    let history = [9, 0].map(u64::to_be_bytes).concat();
    // After flags and four reserved bytes.
    let start = frame.extras.get(8..16).and_then(|bytes| bytes.first_chunk().copied());
    let start = start.map_or(0, u64::from_be_bytes);
    let asks = frame.opcode() == Opcode::DCP_STREAM_REQ;
    let (status, value): (_, &[u8]) = match (asks, start) {
        (true, 0) => (Status::SUCCESS, &history),
        (true, _) => (Status::ROLLBACK, &[0; 8]),
        (false, _) => (Status::SUCCESS, &[]),
    };
    let reply = FrameBuilder::response(frame.opcode(), status).opaque(frame.header.opaque);
    reply.value(value).write(out);
    asks.then_some(status)
}
