//! Measures a data node as a consumer: a recorded stream of each vBucket, sent as fast as the node
//! accepts it, by a load that plays both sidecar and producer.

use std::io;
use std::time::Instant;

use bytes::BytesMut;
use mcbp::dcp::AddStream;
use mcbp::{Frame, FrameBuilder, Header, Opaque, Opcode, Status, VbId};

use crate::backfill;
use crate::connection::Connection;
use crate::server::{Server, VBUCKETS};

/// The place of the opaque in a header.
const OPAQUE_AT: usize = 12;

/// Markers and changes of all vBuckets of a node, in the order of arrival.
pub(super) struct Recording(BytesMut);

impl Recording {
    pub(super) fn of(node: &Server) -> io::Result<Self> {
        let mut bytes = BytesMut::new();
        backfill::each(node, VBUCKETS, |frame| {
            let Header { opcode, cas, datatype, .. } = frame.header;
            if matches!(opcode, Opcode::DCP_MUTATION | Opcode::DCP_SNAPSHOT_MARKER) {
                let copy = FrameBuilder::request(opcode).vbucket(frame.header.vbucket());
                let copy = copy.cas(cas).datatype(datatype).extras(frame.extras);
                copy.key(frame.key).value(frame.value).write(&mut bytes);
            }
        })?;
        Ok(Self(bytes))
    }

    /// Opens a stream for each vBucket of `node`, then sends all frames. Returns when that began,
    /// and the connection, which must be kept until the node has everything.
    pub(super) fn play(mut self, node: &Server) -> io::Result<(Instant, Connection)> {
        let mut connection = node.connect()?;
        // Without flags the node is the consumer.
        connection.ask(&FrameBuilder::request(Opcode::DCP_OPEN).extras(&[0; 8]).key(b"bench"))?;
        let opaques = open_streams(&mut connection)?;
        self.address(&opaques)?;
        let mut writer = connection.writer()?;
        let began = Instant::now();
        let Self(bytes) = self;
        std::thread::spawn(move || {
            use io::Write as _;
            // If the node closes the connection, the caller notices that documents are missing.
            let _ = writer.write_all(&bytes);
        });
        Ok((began, connection))
    }

    /// Writes the opaque of its vBucket's stream into each frame.
    fn address(&mut self, opaques: &[Opaque]) -> io::Result<()> {
        let mut rest = &mut self.0[..];
        while let Some(header) = Header::peek(rest).map_err(io::Error::other)? {
            let opaque = opaques.get(usize::from(header.vbucket().0)).copied().unwrap_or_default();
            if let Some(place) = rest.get_mut(OPAQUE_AT..OPAQUE_AT + 4) {
                place.copy_from_slice(&opaque.0.to_be_bytes());
            }
            rest = rest.get_mut(header.frame_bytes()..).unwrap_or_default();
        }
        Ok(())
    }
}

/// Adds a stream for each vBucket and answers what the node asks its producer, until all are open.
/// Returns the opaques that the node chose for them.
fn open_streams(connection: &mut Connection) -> io::Result<Vec<Opaque>> {
    let mut out = BytesMut::new();
    for vb in (0..VBUCKETS).map(VbId) {
        AddStream { flags: 0 }.write(vb, Opaque(u32::from(vb.0)), &mut out);
    }
    connection.send(&out)?;
    let mut opaques = vec![Opaque(0); usize::from(VBUCKETS)];
    let mut open = 0;
    while open < VBUCKETS {
        out.clear();
        connection.answers(1, |frame| {
            open += u16::from(frame.opcode() == Opcode::DCP_ADD_STREAM);
            answer(frame, &mut opaques, &mut out);
        })?;
        connection.send(&out)?;
    }
    Ok(opaques)
}

fn answer(frame: &Frame<'_>, opaques: &mut [Opaque], out: &mut BytesMut) {
    if !frame.header.is_request() || frame.opcode() == Opcode::DCP_BUFFER_ACK {
        return;
    }
    let history = [9, 0].map(u64::to_be_bytes).concat();
    let mut reply = FrameBuilder::response(frame.opcode(), Status::SUCCESS);
    if frame.opcode() == Opcode::DCP_STREAM_REQ {
        if let Some(place) = opaques.get_mut(usize::from(frame.header.vbucket().0)) {
            *place = frame.header.opaque;
        }
        reply = reply.value(&history);
    }
    reply.opaque(frame.header.opaque).write(out);
}
