//! A producer and a proxy in one, played by a test against a node's consumer.

use std::ops::RangeInclusive;

use bytes::BytesMut;
use mcbp::dcp::{
    AddStream, FailoverEntry, MarkerBody, Mutation, SnapshotMarker, StreamEnd, StreamReq, Target,
    encode_failover_log, open_flags,
};
use mcbp::{Datatype, FrameBuilder, Opaque, Opcode, Seqno, Status, StreamEndStatus, VbId, VbUuid};

use crate::client::{Client, Packet};
use crate::node::TestNode;

/// What is put into the opaque of an ADD_STREAM, with the vBucket.
const ADD: u32 = 0xadd0_0000;

pub(crate) struct Scripted(pub(crate) Client);

impl Scripted {
    /// Opens a consumer connection of `node`.
    pub(crate) fn open(node: &TestNode, name: &str) -> Self {
        Self::open_with(node, name, r#"{"consumer_name": "beta"}"#)
    }

    /// The same without a consumer_name: it asks for no durable writes.
    pub(crate) fn open_without_a_name(node: &TestNode, name: &str) -> Self {
        Self::open_with(node, name, "")
    }

    fn open_with(node: &TestNode, name: &str, value: &str) -> Self {
        let mut client = node.client();
        assert_eq!(client.open(name, open_flags::REPLICATION_CONSUMER, value), Status::SUCCESS);
        Self(client)
    }

    fn send(&mut self, write: impl FnOnce(&mut BytesMut)) {
        let mut out = BytesMut::new();
        write(&mut out);
        self.0.send(&out);
    }

    /// Sends an ADD_STREAM without waiting for anything.
    pub(crate) fn add(&mut self, vb: u16) {
        let opaque = Opaque(ADD + u32::from(vb));
        self.send(|out| AddStream { flags: 0 }.write(VbId(vb), opaque, out));
    }

    /// Answers requests until a STREAM_REQ comes; returns its opaque and start seqno.
    #[track_caller]
    pub(crate) fn request(&mut self) -> (Opaque, u64) {
        loop {
            let packet = self.0.next();
            let frame = packet.frame();
            let status = match frame.opcode() {
                Opcode::DCP_STREAM_REQ => {
                    let request = StreamReq::decode(&frame).unwrap();
                    return (frame.header.opaque, request.start.0);
                }
                Opcode::GET_ERROR_MAP => Status::KEY_ENOENT,
                Opcode::DCP_CONTROL => Status::SUCCESS,
                Opcode::DCP_BUFFER_ACK | Opcode::DCP_SEQNO_ACK => continue,
                _ => panic!("{packet:?}"),
            };
            let answer = FrameBuilder::response(frame.opcode(), status);
            self.0.send(&answer.opaque(frame.header.opaque).build());
        }
    }

    /// Accepts a STREAM_REQ and waits for the answer to the ADD_STREAM.
    #[track_caller]
    pub(crate) fn accept(&mut self, vb: u16, stream: Opaque) {
        let log = encode_failover_log(&[FailoverEntry { uuid: VbUuid(77), seqno: Seqno::ZERO }]);
        let answer = FrameBuilder::response(Opcode::DCP_STREAM_REQ, Status::SUCCESS);
        self.0.send(&answer.opaque(stream).value(&log).build());
        let added = self.0.answer_to(ADD + u32::from(vb));
        assert_eq!(added.status(), Status::SUCCESS);
    }

    /// Opens a stream; returns its opaque and start seqno.
    #[track_caller]
    pub(crate) fn stream(&mut self, vb: u16) -> (Opaque, u64) {
        self.add(vb);
        let (stream, start) = self.request();
        self.accept(vb, stream);
        (stream, start)
    }

    pub(crate) fn marker(&mut self, vb: u16, stream: Opaque, start: u64, end: u64) {
        let (start, end) = (Seqno(start), Seqno(end));
        let marker = SnapshotMarker { start, end, flags: 1, body: MarkerBody::V1 };
        self.send(|out| marker.write(VbId(vb), stream, out));
    }

    /// Sends a document under a key with this collection id.
    pub(crate) fn row(&mut self, vb: u16, stream: Opaque, seqno: u64, collection: u8) {
        self.send(|out| write_row(vb, stream, seqno, collection, seqno, out));
    }

    pub(crate) fn row_with_cas(&mut self, vb: u16, stream: Opaque, seqno: u64, cas: u64) {
        self.send(|out| write_row(vb, stream, seqno, 0, cas, out));
    }

    /// Sends documents with one write, so that the node reads them at once.
    pub(crate) fn rows(&mut self, vb: u16, stream: Opaque, seqnos: RangeInclusive<u64>) {
        self.send(|out| seqnos.for_each(|seqno| write_row(vb, stream, seqno, 0, seqno, out)));
    }

    pub(crate) fn end(&mut self, vb: u16, stream: Opaque) {
        let status = StreamEndStatus::STATE_CHANGED;
        self.send(|out| StreamEnd { status }.write(VbId(vb), stream, out));
    }

    /// The next answer to a frame of a stream.
    #[track_caller]
    pub(crate) fn refusal(&mut self) -> Packet {
        loop {
            let packet = self.0.next();
            if !packet.is_request() {
                return packet;
            }
        }
    }

    /// Checks that nothing that was sent so far is answered: the answer to a later request comes
    /// first.
    #[track_caller]
    pub(crate) fn nothing_is_answered(&mut self) {
        let close = FrameBuilder::request(Opcode::DCP_CLOSE_STREAM).vbucket(VbId(99));
        self.0.send(&close.opaque(Opaque(0xc105)).build());
        let answer = self.refusal();
        assert_eq!((answer.opcode(), answer.opaque()), (Opcode::DCP_CLOSE_STREAM, 0xc105));
    }
}

fn write_row(vb: u16, stream: Opaque, seqno: u64, collection: u8, cas: u64, out: &mut BytesMut) {
    let to = Target { vb: VbId(vb), opaque: stream, cas, datatype: Datatype::RAW };
    let key = [&[collection][..], format!("key-{seqno}").as_bytes()].concat();
    let seqno = Seqno(seqno);
    let body = Mutation { seqno, rev: 1, flags: 0, expiry: 0, lock_time: 0, nru: 4 };
    body.write(to, &key, b"value", out);
}
