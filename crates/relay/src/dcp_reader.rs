//! Reads streams from a producer, many vBuckets over one connection: to compare two nodes, and for
//! tests. It answers NOOP and acknowledges for flow control; it stores nothing.

use std::collections::HashMap;

use bytes::{Bytes, BytesMut};
use mcbp::dcp::{
    BufferAck, Control, Open, SeqnoAdvanced, SnapshotMarker, StreamEnd, StreamReq, change_seqno,
    control_key, decode_failover_log, decode_rollback, open_flags,
};
use mcbp::{Feature, Frame, FrameBuilder, FrameError, Opaque, Opcode, Status, VbId, flow};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::exchange::Exchange;
use crate::handshake::{hello, log_in, open_connection, select_bucket};
use crate::response::parse;
use crate::{
    ConnectionStep, Deadlines, Endpoint, Fault, LinkError, Peer, Response, StreamEvent, StreamRange,
};

/// Without snappy, so that values can be compared byte by byte.
const FEATURES: [Feature; 3] = [Feature::XATTR, Feature::COLLECTIONS, Feature::JSON];
/// How many bytes the producer may send unacknowledged: enough to keep it busy, little compared
/// with a node's cache.
const WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// Bytes are acknowledged once they are a fifth of the window, as data nodes do.
const ACK_BYTES: u32 = WINDOW_BYTES / 5;

/// A DCP connection that reads streams.
pub struct DcpReader {
    peer: Peer,
    exchange: Exchange,
    /// Streams that were requested and have not ended, by opaque.
    streams: HashMap<Opaque, VbId>,
    /// Frames that are still to be written.
    out: BytesMut,
    /// Bytes that were read and not acknowledged.
    unacked_bytes: u32,
}

impl DcpReader {
    /// Connects and opens a DCP connection called `name`, which must be the only one of its name.
    ///
    /// # Errors
    /// A [`LinkError`] without a side, with the step.
    pub async fn open(
        endpoint: &Endpoint,
        bucket: &str,
        name: &str,
        deadlines: Deadlines,
    ) -> Result<Self, LinkError> {
        let peer = Peer::of(None, endpoint);
        match open(endpoint, bucket, name, deadlines).await {
            Ok(exchange) => Ok(Self {
                peer,
                exchange,
                streams: HashMap::new(),
                out: BytesMut::new(),
                unacked_bytes: 0,
            }),
            Err(fault) => Err(fault.at(peer)),
        }
    }

    /// Requests a stream; the request is sent by the next call of [`DcpReader::next`]. A vBucket
    /// can have one stream at a time.
    pub fn stream(&mut self, range: StreamRange) {
        let opaque = self.exchange.next_opaque();
        self.streams.insert(opaque, range.vb);
        StreamReq {
            flags: range.flags,
            start: range.after,
            end: range.to,
            uuid: range.uuid,
            snapshot_start: range.after,
            snapshot_end: range.after,
            value: &[],
        }
        .write(range.vb, opaque, &mut self.out);
    }

    /// Returns the next event of any stream, or `None` once every stream has ended. Dropping the
    /// future loses nothing.
    ///
    /// # Errors
    /// A [`LinkError`] if the connection is lost, or there is no event within the deadline of a
    /// request.
    pub async fn next(&mut self) -> Result<Option<StreamEvent>, LinkError> {
        if self.streams.is_empty() {
            return Ok(None);
        }
        let after = self.exchange.deadline();
        let event = timeout(after, self.next_event()).await;
        let event = event.unwrap_or(Err(Fault::TimedOut { step: ConnectionStep::Relay, after }));
        event.map(Some).map_err(|fault| fault.at(self.peer.clone()))
    }

    async fn next_event(&mut self) -> Result<StreamEvent, Fault> {
        loop {
            self.flush().await?;
            let bytes = self.exchange.frames.next(ConnectionStep::Relay).await?;
            let frame = parse(&bytes, ConnectionStep::Relay)?;
            let charge = u32::try_from(flow::charge(&frame.header)).unwrap_or(u32::MAX);
            self.unacked_bytes = self.unacked_bytes.saturating_add(charge);
            if self.unacked_bytes >= ACK_BYTES {
                let ack = BufferAck { bytes: std::mem::take(&mut self.unacked_bytes) };
                ack.write(VbId(0), Opaque(0), &mut self.out);
            }
            let garbage = |source| Fault::Garbage { step: ConnectionStep::Relay, source };
            if let Some(event) = self.event(&bytes, &frame).map_err(garbage)? {
                return Ok(event);
            }
        }
    }

    /// Writes what is in `out`. Bytes leave `out` as they are written, also if the future is
    /// dropped.
    async fn flush(&mut self) -> Result<(), Fault> {
        let broken = |source| Fault::Broken { step: ConnectionStep::Relay, source };
        while !self.out.is_empty() {
            self.exchange.writer.write_buf(&mut self.out).await.map_err(broken)?;
        }
        self.exchange.writer.flush().await.map_err(broken)
    }

    fn event(
        &mut self,
        bytes: &Bytes,
        frame: &Frame<'_>,
    ) -> Result<Option<StreamEvent>, FrameError> {
        let opaque = frame.header.opaque;
        if !frame.header.is_request() {
            return match (frame.opcode(), self.streams.get(&opaque).copied()) {
                (Opcode::DCP_STREAM_REQ, Some(vb)) => self.answered(vb, frame).map(Some),
                _ => Ok(None),
            };
        }
        if frame.opcode() == Opcode::DCP_NOOP {
            let answer = FrameBuilder::response(Opcode::DCP_NOOP, Status::SUCCESS);
            answer.opaque(opaque).write(&mut self.out);
            return Ok(None);
        }
        let Some(&vb) = self.streams.get(&opaque) else { return Ok(None) };
        let event = match frame.opcode() {
            Opcode::DCP_SNAPSHOT_MARKER => {
                StreamEvent::Marker { vb, marker: SnapshotMarker::decode(frame)? }
            }
            Opcode::DCP_SEQNO_ADVANCED => {
                StreamEvent::Advanced { vb, seqno: SeqnoAdvanced::decode(frame)?.seqno }
            }
            Opcode::DCP_STREAM_END => {
                self.streams.remove(&opaque);
                StreamEvent::Ended { vb, status: StreamEnd::decode(frame)?.status }
            }
            _ => match change_seqno(frame) {
                Some(seqno) => StreamEvent::Change { vb, seqno, frame: bytes.clone() },
                None => return Ok(None),
            },
        };
        Ok(Some(event))
    }

    fn answered(&mut self, vb: VbId, frame: &Frame<'_>) -> Result<StreamEvent, FrameError> {
        let status = frame.header.status();
        if status.is_success() {
            return Ok(StreamEvent::Opened { vb, failover_log: decode_failover_log(frame)? });
        }
        self.streams.remove(&frame.header.opaque);
        Ok(match status {
            Status::ROLLBACK => StreamEvent::RolledBack { vb, to: decode_rollback(frame)? },
            status => StreamEvent::Refused { vb, status },
        })
    }
}

impl std::fmt::Debug for DcpReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DcpReader")
            .field("peer", &self.peer)
            .field("streams", &self.streams.len())
            .finish_non_exhaustive()
    }
}

async fn open(
    endpoint: &Endpoint,
    bucket: &str,
    name: &str,
    deadlines: Deadlines,
) -> Result<Exchange, Fault> {
    let mut exchange = log_in(endpoint, deadlines).await?;
    select_bucket(&mut exchange, bucket).await?;
    let granted = hello(&mut exchange, name, &FEATURES).await?;
    let missing: Vec<_> = FEATURES.into_iter().filter(|f| !granted.contains(f)).collect();
    if !missing.is_empty() {
        return Err(Fault::Features { missing });
    }
    let flags = open_flags::REPLICATION_PRODUCER;
    open_connection(&mut exchange, Open { flags, name: name.as_bytes(), value: &[] }).await?;
    // Streams with collections are refused before NOOP is enabled.
    control(&mut exchange, control_key::ENABLE_NOOP, "true").await?;
    let window = WINDOW_BYTES.to_string();
    control(&mut exchange, control_key::CONNECTION_BUFFER_SIZE, &window).await?;
    control(&mut exchange, control_key::ENABLE_EXPIRY_OPCODE, "true").await?;
    Ok(exchange)
}

async fn control(exchange: &mut Exchange, key: &str, value: &str) -> Result<(), Fault> {
    let mut frame = BytesMut::new();
    Control { key: key.as_bytes(), value: value.as_bytes() }.write(Opaque(0), &mut frame);
    let request =
        FrameBuilder::from_frame(&parse(&frame, ConnectionStep::Request(Opcode::DCP_CONTROL))?);
    exchange.call(request).await.and_then(Response::accepted).map(drop)
}
