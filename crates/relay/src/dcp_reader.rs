//! Reads streams from a producer, many vBuckets over one connection: to show changes, to compare
//! two nodes, and for tests. It answers NOOP and acknowledges for flow control; it stores nothing.

use std::collections::HashMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mcbp::dcp::{
    BufferAck, SeqnoAdvanced, SnapshotMarker, StreamEnd, StreamReq, change_seqno,
    decode_failover_log, decode_rollback,
};
use mcbp::{Frame, FrameBuilder, FrameError, Opaque, Opcode, Status, VbId, flow};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::exchange::Exchange;
use crate::reader_options::open;
use crate::response::parse;
use crate::{
    ConnectionStep, Deadlines, Endpoint, Fault, LinkError, Peer, ReaderOptions, StreamEvent,
    StreamRange,
};

/// Bytes are acknowledged once they are a fifth of the window, as data nodes do.
const ACK_SHARE: u32 = 5;
/// How many events one call of [`DcpReader::next_events`] returns at most: some 500 KiB of small
/// changes.
const EVENTS_MAX: usize = 512;

/// A DCP connection that reads streams.
pub struct DcpReader {
    peer: Peer,
    exchange: Exchange,
    /// Streams that were requested and have not ended, by opaque.
    streams: HashMap<Opaque, VbId>,
    /// Frames that are still to be written.
    out: BytesMut,
    /// Bytes that may be acknowledged, and were not yet.
    unacked_bytes: u32,
    /// Bytes are acknowledged once they are so many.
    ack_bytes: u32,
    acks_by_hand: bool,
    patience: Patience,
}

/// What has to come in time.
#[derive(Clone, Copy)]
enum Patience {
    /// Each event.
    Event(Duration),
    /// Each frame: NOOP shows too that the node is there.
    Frame(Duration),
}

impl DcpReader {
    /// Connects and opens a DCP connection.
    ///
    /// # Errors
    /// A [`LinkError`] without a side, with the step.
    pub async fn open(endpoint: &Endpoint, options: ReaderOptions<'_>) -> Result<Self, LinkError> {
        let peer = Peer::of(None, endpoint);
        let mut exchange = match open(endpoint, options).await {
            Ok(exchange) => exchange,
            Err(fault) => return Err(fault.at(peer)),
        };
        exchange.frames.stream();
        let ReaderOptions { deadlines: Deadlines { request, .. }, noop_interval, .. } = options;
        Ok(Self {
            peer,
            exchange,
            streams: HashMap::new(),
            out: BytesMut::new(),
            unacked_bytes: 0,
            ack_bytes: options.window_bytes / ACK_SHARE,
            acks_by_hand: options.acks_by_hand,
            patience: noop_interval.map_or(Patience::Event(request), |interval| {
                Patience::Frame(interval * 2 + request)
            }),
        })
    }

    /// Requests a stream; the request is sent by the next call of [`DcpReader::next`]. A vBucket
    /// can have one stream at a time.
    pub fn stream(&mut self, range: StreamRange) {
        self.stream_of(range, &[]);
    }

    /// As [`DcpReader::stream`], of some collections: `filter` is the JSON value of STREAM_REQ.
    pub fn stream_of(&mut self, range: StreamRange, filter: &[u8]) {
        let opaque = self.exchange.next_opaque();
        self.streams.insert(opaque, range.vb);
        StreamReq {
            flags: range.flags,
            start: range.after,
            end: range.to,
            uuid: range.uuid,
            snapshot_start: range.snapshot.0,
            snapshot_end: range.snapshot.1,
            value: filter,
        }
        .write(range.vb, opaque, &mut self.out);
    }

    /// Whether a stream is requested or open.
    #[must_use]
    pub fn has_streams(&self) -> bool {
        !self.streams.is_empty()
    }

    /// Gives bytes of changes back, by [`flow::charge`] of each frame, with
    /// [`ReaderOptions::acks_by_hand`]. They are sent by the next call that reads.
    pub fn acknowledge(&mut self, charge: usize) {
        let charge = u32::try_from(charge).unwrap_or(u32::MAX);
        self.unacked_bytes = self.unacked_bytes.saturating_add(charge);
        if self.unacked_bytes >= self.ack_bytes {
            let ack = BufferAck { bytes: std::mem::take(&mut self.unacked_bytes) };
            ack.write(VbId(0), Opaque(0), &mut self.out);
        }
    }

    /// Returns the next event of any stream, or `None` once every stream has ended. Dropping the
    /// future loses nothing.
    ///
    /// # Errors
    /// A [`LinkError`] if the connection is lost, or the node is silent for too long.
    pub async fn next(&mut self) -> Result<Option<StreamEvent>, LinkError> {
        if self.streams.is_empty() {
            return Ok(None);
        }
        let event = match self.patience {
            Patience::Event(after) => within(after, self.next_event(None)).await,
            Patience::Frame(after) => self.next_event(Some(after)).await,
        };
        event.map(Some).map_err(|fault| fault.at(self.peer.clone()))
    }

    /// Waits for an event, then appends it and those that were received with it to `events`, up to
    /// 512. False, and none, once every stream has ended. Dropping the future loses nothing.
    ///
    /// # Errors
    /// As [`DcpReader::next`]. Events that came before are appended all the same.
    pub async fn next_events(&mut self, events: &mut Vec<StreamEvent>) -> Result<bool, LinkError> {
        let Some(first) = self.next().await? else { return Ok(false) };
        events.push(first);
        for _ in 1..EVENTS_MAX {
            match self.buffered_event() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(fault) => return Err(fault.at(self.peer.clone())),
            }
        }
        Ok(true)
    }

    /// `patience` is for each frame.
    async fn next_event(&mut self, patience: Option<Duration>) -> Result<StreamEvent, Fault> {
        loop {
            let bytes = match patience {
                Some(after) => within(after, self.next_frame()).await?,
                None => self.next_frame().await?,
            };
            if let Some(event) = self.take(&bytes)? {
                return Ok(event);
            }
        }
    }

    async fn next_frame(&mut self) -> Result<Bytes, Fault> {
        self.flush().await?;
        self.exchange.frames.next(ConnectionStep::Relay).await
    }

    /// The next event among those that were received.
    fn buffered_event(&mut self) -> Result<Option<StreamEvent>, Fault> {
        while let Some(bytes) = self.exchange.frames.buffered(ConnectionStep::Relay)? {
            if let Some(event) = self.take(&bytes)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    fn take(&mut self, bytes: &Bytes) -> Result<Option<StreamEvent>, Fault> {
        let frame = parse(bytes, ConnectionStep::Relay)?;
        let garbage = |source| Fault::Garbage { step: ConnectionStep::Relay, source };
        let event = self.event(bytes, &frame).map_err(garbage)?;
        let is_callers = self.acks_by_hand && matches!(event, Some(StreamEvent::Change { .. }));
        if !is_callers {
            self.acknowledge(flow::charge(&frame.header));
        }
        Ok(event)
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

/// Runs `work` with a deadline.
async fn within<T>(
    after: Duration,
    work: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let late = Fault::TimedOut { step: ConnectionStep::Relay, after };
    timeout(after, work).await.unwrap_or(Err(late))
}
