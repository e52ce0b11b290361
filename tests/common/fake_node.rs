//! A data node that the test plays: its DCP connections are handed to the test, its control
//! connections are answered as those of a node without any change.

use bytes::BytesMut;
use mcbp::dcp::{MarkerBody, SnapshotMarker, StreamEnd, StreamReq, marker_flags};
use mcbp::{Opaque, Opcode, Seqno, Status, StreamEndStatus, VbId, VbUuid};
use relay::Endpoint;
use relay::testing::{FakeConn, FakePeer, mutation, view};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::PATIENCE;

/// See the module.
pub struct FakeNode {
    pub endpoint: Endpoint,
    dcp: mpsc::UnboundedReceiver<FakeConn>,
}

impl FakeNode {
    pub async fn start(name: &str) -> Self {
        let peer = FakePeer::bind().await;
        let (endpoint, (found, dcp)) = (peer.endpoint(name), mpsc::unbounded_channel());
        tokio::spawn(async move {
            while !found.is_closed() {
                tokio::spawn(serve(peer.accept_raw().await, found.clone()));
            }
        });
        Self { endpoint, dcp }
    }

    /// The next DCP connection.
    pub async fn dcp(&mut self) -> FakeConn {
        timeout(PATIENCE, self.dcp.recv()).await.expect("a connection in time").unwrap()
    }
}

async fn serve(mut conn: FakeConn, found: mpsc::UnboundedSender<FakeConn>) {
    while let Some(request) = conn.recv().await {
        let frame = view(&request);
        // All features that are asked for are granted.
        let value = if frame.opcode() == Opcode::HELLO { frame.value } else { b"" };
        conn.answer_with(&request, Status::SUCCESS, &[], value).await;
        if frame.opcode() == Opcode::DCP_OPEN {
            // The test may be over.
            _ = found.send(conn);
            return;
        }
    }
}

/// What the consumer asked for: a vBucket, its own opaque, the whole request.
pub struct StreamRequest {
    pub vb: VbId,
    pub opaque: Opaque,
    frame: bytes::Bytes,
}

/// A producer's end of a link.
pub struct FakeProducer(pub FakeConn);

impl FakeProducer {
    /// The next STREAM_REQ; requests before it are answered with success.
    pub async fn request(&mut self) -> StreamRequest {
        loop {
            let frame = self.0.recv().await.expect("a request");
            let header = view(&frame).header;
            match header.opcode {
                Opcode::DCP_STREAM_REQ => {
                    return StreamRequest { vb: header.vbucket(), opaque: header.opaque, frame };
                }
                Opcode::DCP_BUFFER_ACK => {}
                _ => self.0.answer(&frame, Status::SUCCESS).await,
            }
        }
    }

    pub async fn refuse(&mut self, request: &StreamRequest, status: Status) {
        self.0.answer(&request.frame, status).await;
    }

    /// Accepts the stream, with the same history every time.
    pub async fn accept(&mut self, request: &StreamRequest) {
        let log = [9, 0].map(u64::to_be_bytes).concat();
        self.0.answer_with(&request.frame, Status::SUCCESS, &[], &log).await;
    }

    /// Announces a snapshot of the two changes after `seqno`.
    pub async fn marker(&mut self, request: &StreamRequest, seqno: u64) {
        let mut out = BytesMut::new();
        let (start, end) = (Seqno(seqno + 1), Seqno(seqno + 2));
        let marker =
            SnapshotMarker { start, end, flags: marker_flags::MEMORY, body: MarkerBody::V1 };
        marker.write(request.vb, request.opaque, &mut out);
        self.0.send_raw(&out).await;
    }

    pub async fn change(&mut self, request: &StreamRequest, seqno: u64) {
        self.0.send_raw(&mutation(request.vb, request.opaque, seqno, 10)).await;
    }

    pub async fn end(&mut self, request: &StreamRequest, status: StreamEndStatus) {
        let mut out = BytesMut::new();
        StreamEnd { status }.write(request.vb, request.opaque, &mut out);
        self.0.send_raw(&out).await;
    }
}

/// A stream that a fake consumer was asked for.
pub struct AddStream {
    pub vb: VbId,
    frame: bytes::Bytes,
}

/// A consumer's end of a link.
pub struct FakeConsumer(pub FakeConn);

impl FakeConsumer {
    /// The next ADD_STREAM.
    pub async fn asked(&mut self) -> AddStream {
        let frame = self.0.expect(Opcode::DCP_ADD_STREAM).await;
        AddStream { vb: view(&frame).header.vbucket(), frame }
    }

    /// Asks the producer for the stream, with its own opaque.
    pub async fn request(&mut self, stream: &AddStream) {
        let request = StreamReq {
            flags: 0,
            start: Seqno::ZERO,
            end: Seqno::MAX,
            uuid: VbUuid(0),
            snapshot_start: Seqno::ZERO,
            snapshot_end: Seqno::ZERO,
            value: b"",
        };
        let mut out = BytesMut::new();
        request.write(stream.vb, opaque(stream.vb), &mut out);
        self.0.send_raw(&out).await;
    }

    /// Answers that the stream is open.
    pub async fn added(&mut self, stream: &AddStream) {
        let number = opaque(stream.vb).0.to_be_bytes();
        self.0.answer_with(&stream.frame, Status::SUCCESS, &number, &[]).await;
    }
}

/// A data node counts in its own byte order.
fn opaque(vb: VbId) -> Opaque {
    Opaque((u32::from(vb.0) + 1).swap_bytes())
}
