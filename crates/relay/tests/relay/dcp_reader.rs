//! The stream reader against a scripted producer.

use std::time::Duration;

use bytes::BytesMut;
use mcbp::dcp::{
    BufferAck, FailoverEntry, MarkerBody, SnapshotMarker, StreamEnd, StreamReq, control_key,
    encode_failover_log,
};
use mcbp::{FrameBuilder, Opaque, Opcode, Seqno, Status, StreamEndStatus, VbId, VbUuid, flow};
use relay::testing::{BUCKET, FakeConn, FakePeer, Manners, mutation, view};
use relay::{DcpReader, Deadlines, Fault, ReaderOptions, StreamEvent, StreamRange};

/// What the reader asks for with connection_buffer_size.
const WINDOW_BYTES: usize = 4 * 1024 * 1024;

const LOG: [FailoverEntry; 1] = [FailoverEntry { uuid: VbUuid(77), seqno: Seqno(0) }];

fn acknowledged(ack: &[u8]) -> usize {
    BufferAck::decode(&view(ack)).unwrap().bytes as usize
}

async fn open(deadlines: Deadlines) -> (DcpReader, FakeConn) {
    open_with(ReaderOptions { deadlines, ..ReaderOptions::new(BUCKET, "reader") }).await
}

async fn open_with(options: ReaderOptions<'_>) -> (DcpReader, FakeConn) {
    let peer = FakePeer::bind().await;
    let endpoint = peer.endpoint("alpha");
    let node = async {
        let mut conn = peer.accept(&Manners::default()).await;
        let window = WINDOW_BYTES.to_string();
        let wanted = [
            (control_key::ENABLE_NOOP, "true"),
            (control_key::CONNECTION_BUFFER_SIZE, window.as_str()),
            (control_key::ENABLE_EXPIRY_OPCODE, "true"),
        ];
        let noop = options.noop_interval.map(|interval| interval.as_secs().to_string());
        let noop = noop.as_deref().map(|seconds| (control_key::SET_NOOP_INTERVAL, seconds));
        let history = options.change_streams.then_some((control_key::CHANGE_STREAMS, "true"));
        let [first, rest @ ..] = wanted;
        for (key, value) in [first].into_iter().chain(noop).chain(rest).chain(history) {
            let control = conn.expect(Opcode::DCP_CONTROL).await;
            assert_eq!(view(&control).key, key.as_bytes());
            assert_eq!(view(&control).value, value.as_bytes());
            conn.answer(&control, Status::SUCCESS).await;
        }
        conn
    };
    let (reader, conn) = tokio::join!(DcpReader::open(&endpoint, options), node);
    (reader.unwrap(), conn)
}

fn range(vb: u16) -> StreamRange {
    StreamRange::all(VbId(vb), Seqno(2))
}

/// Takes a STREAM_REQ and opens the stream.
async fn accept_stream(conn: &mut FakeConn, log: &[FailoverEntry]) -> Opaque {
    let request = conn.expect(Opcode::DCP_STREAM_REQ).await;
    assert_eq!(StreamReq::decode(&view(&request)).unwrap().end, Seqno(2));
    conn.answer_with(&request, Status::SUCCESS, &[], &encode_failover_log(log)).await;
    view(&request).header.opaque
}

async fn end(conn: &mut FakeConn, vb: u16, opaque: Opaque, status: StreamEndStatus) {
    let mut out = BytesMut::new();
    StreamEnd { status }.write(VbId(vb), opaque, &mut out);
    conn.send_raw(&out).await;
}

#[tokio::test]
async fn streams_of_many_vbuckets_come_as_events_and_noop_is_answered() {
    let (mut reader, mut conn) = open(Deadlines::default()).await;
    let marker = SnapshotMarker { start: Seqno(0), end: Seqno(2), flags: 1, body: MarkerBody::V1 };
    for vb in 0..4 {
        reader.stream(range(vb));
    }
    let node = async {
        let first = accept_stream(&mut conn, &LOG).await;
        let second = conn.expect(Opcode::DCP_STREAM_REQ).await;
        conn.answer_with(&second, Status::ROLLBACK, &[], &5_u64.to_be_bytes()).await;
        let third = conn.expect(Opcode::DCP_STREAM_REQ).await;
        conn.answer(&third, Status::NOT_MY_VBUCKET).await;
        let fourth = accept_stream(&mut conn, &LOG).await;

        let mut out = BytesMut::new();
        marker.write(VbId(0), first, &mut out);
        conn.send_raw(&out).await;
        conn.send_raw(&mutation(VbId(0), first, 1, 10)).await;
        let noop = FrameBuilder::request(Opcode::DCP_NOOP).opaque(Opaque(9)).build();
        conn.send_raw(&noop).await;
        let answer = conn.expect(Opcode::DCP_NOOP).await;
        assert_eq!(view(&answer).header.opaque, Opaque(9));
        assert!(!view(&answer).header.is_request());
        end(&mut conn, 3, fourth, StreamEndStatus::BACKFILL_FAIL).await;
        end(&mut conn, 0, first, StreamEndStatus::OK).await;
        conn
    };
    let read = async {
        let mut events = Vec::new();
        while let Some(event) = reader.next().await.unwrap() {
            events.push(event);
        }
        events
    };
    let (_conn, events) = tokio::join!(node, read);
    let log = LOG.to_vec();
    let status = StreamEndStatus::BACKFILL_FAIL;
    let [opened, rolled_back, refused, opened_too, marked, change, ended, last] =
        events.try_into().unwrap();
    assert_eq!(opened, StreamEvent::Opened { vb: VbId(0), failover_log: log.clone() });
    assert_eq!(rolled_back, StreamEvent::RolledBack { vb: VbId(1), to: Seqno(5) });
    assert_eq!(refused, StreamEvent::Refused { vb: VbId(2), status: Status::NOT_MY_VBUCKET });
    assert_eq!(opened_too, StreamEvent::Opened { vb: VbId(3), failover_log: log });
    assert_eq!(marked, StreamEvent::Marker { vb: VbId(0), marker });
    let StreamEvent::Change { vb: VbId(0), seqno: Seqno(1), frame } = change else {
        panic!("{change:?}")
    };
    assert_eq!(view(&frame).key, b"\0key-1");
    assert_eq!(ended, StreamEvent::Ended { vb: VbId(3), status });
    assert_eq!(last, StreamEvent::Ended { vb: VbId(0), status: StreamEndStatus::OK });
}

#[tokio::test]
async fn bytes_are_given_back_before_the_window_is_full_and_exactly_once() {
    let (mut reader, mut conn) = open(Deadlines::default()).await;
    reader.stream(range(0));
    let node = async {
        let opaque = accept_stream(&mut conn, &LOG).await;
        let (mut sent, mut acked) = (0, 0);
        for seqno in 1..200 {
            let frame = mutation(VbId(0), opaque, seqno, 100_000);
            sent += flow::charge(&view(&frame).header);
            conn.send_raw(&frame).await;
            // As a producer would: it stops when the window is full.
            while sent - acked >= WINDOW_BYTES {
                acked += acknowledged(&conn.expect(Opcode::DCP_BUFFER_ACK).await);
            }
        }
        end(&mut conn, 0, opaque, StreamEndStatus::OK).await;
        while let Some(ack) = conn.recv().await {
            acked += acknowledged(&ack);
        }
        assert!(acked <= sent && sent - acked <= WINDOW_BYTES / 5, "{acked} of {sent} bytes");
    };
    let read = async {
        let mut changes = 0;
        while let Some(event) = reader.next().await.unwrap() {
            changes += u32::from(matches!(event, StreamEvent::Change { .. }));
        }
        drop(reader);
        changes
    };
    let ((), changes) = tokio::join!(node, read);
    assert_eq!(changes, 199);
}

#[tokio::test]
async fn a_stream_that_goes_silent_or_a_producer_that_leaves_is_an_error() {
    let deadlines = Deadlines { request: Duration::from_millis(50), ..Deadlines::default() };
    for leaves in [true, false] {
        let (mut reader, mut conn) = open(deadlines).await;
        reader.stream(range(0));
        let node = async {
            conn.expect(Opcode::DCP_STREAM_REQ).await;
            if leaves {
                conn.hang_up();
            }
        };
        let (_, error) = tokio::join!(node, reader.next());
        let error = error.unwrap_err();
        let right = match error.fault {
            Fault::Closed { .. } | Fault::Broken { .. } => leaves,
            Fault::TimedOut { .. } => !leaves,
            _ => false,
        };
        assert!(right, "{error}");
    }
}

#[tokio::test]
async fn bytes_of_changes_are_given_back_when_the_caller_says_so() {
    let options = ReaderOptions {
        acks_by_hand: true,
        change_streams: true,
        ..ReaderOptions::new(BUCKET, "reader")
    };
    let (mut reader, mut conn) = open_with(options).await;
    reader.stream(range(0));
    let node = async {
        let opaque = accept_stream(&mut conn, &LOG).await;
        let mut sent = 0;
        for seqno in 1..=10 {
            let frame = mutation(VbId(0), opaque, seqno, 100_000);
            sent += flow::charge(&view(&frame).header);
            conn.send_raw(&frame).await;
        }
        let noop = FrameBuilder::request(Opcode::DCP_NOOP).opaque(Opaque(9)).build();
        conn.send_raw(&noop).await;
        // The answer comes first, because nothing was given back when it was written.
        conn.expect(Opcode::DCP_NOOP).await;
        assert_eq!(acknowledged(&conn.expect(Opcode::DCP_BUFFER_ACK).await), sent);
        conn.hang_up();
    };
    let read = async {
        let (mut events, mut charge) = (Vec::new(), 0);
        while charge < 10 * 100_000 {
            assert!(reader.next_events(&mut events).await.unwrap());
            for event in events.drain(..) {
                if let StreamEvent::Change { frame, .. } = event {
                    charge += flow::charge(&view(&frame).header);
                }
            }
        }
        let noop = tokio::time::timeout(Duration::from_millis(100), reader.next()).await;
        assert!(noop.is_err(), "{noop:?}");
        reader.acknowledge(charge);
        _ = reader.next().await;
    };
    tokio::join!(node, read);
}

#[tokio::test]
async fn noops_keep_a_connection_without_changes() {
    let deadlines = Deadlines { request: Duration::from_millis(50), ..Deadlines::default() };
    let noop_interval = Some(Duration::from_secs(1));
    let options =
        ReaderOptions { deadlines, noop_interval, ..ReaderOptions::new(BUCKET, "reader") };
    let (mut reader, mut conn) = open_with(options).await;
    reader.stream(range(0));
    let node = async {
        accept_stream(&mut conn, &LOG).await;
        conn
    };
    let (_conn, opened) = tokio::join!(node, reader.next());
    assert!(matches!(opened, Ok(Some(StreamEvent::Opened { .. }))), "{opened:?}");
    let before = std::time::Instant::now();
    let error = reader.next().await.unwrap_err();
    assert!(matches!(error.fault, Fault::TimedOut { .. }), "{error}");
    assert!(before.elapsed() >= Duration::from_secs(2), "{:?}", before.elapsed());
}
