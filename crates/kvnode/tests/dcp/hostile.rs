//! Peers that send extreme and inconsistent values to a real node, by a random generator with a
//! fixed seed. One oracle: other vBuckets, connections and clients are served as before.

use bytes::BytesMut;
use fastrand::Rng;
use mcbp::dcp::{
    BufferAck, Control, Deletion, MarkerBody, Mutation, SeqnoAdvanced, SnapshotMarker, StreamReq,
    Target, marker_flags,
};
use mcbp::{Datatype, FrameBuilder, Opaque, Opcode, Seqno, Status, VbId, VbState, VbUuid};

use crate::client::{Client, wait_for};
use crate::node::TestNode;
use crate::scripted::Scripted;

const FRAMES: u64 = 40;
const ATTACKS: u16 = 60;

fn number(random: &mut Rng) -> u64 {
    let ends = [0, 1, 2, 7, 1 << 31, 1 << 48, i64::MAX as u64, 1 << 63, u64::MAX - 1, u64::MAX];
    match random.u8(..4) {
        0 => random.u64(..),
        1 => random.u64(..30),
        _ => ends[random.usize(..ends.len())],
    }
}

fn bytes(random: &mut Rng, most: usize) -> Vec<u8> {
    let count = random.usize(..most);
    std::iter::repeat_with(|| random.u8(..)).take(count).collect()
}

/// Most often `good`: the first frame that is refused ends its stream.
fn mostly(good: u64, random: &mut Rng) -> u64 {
    if random.u8(..6) > 0 { good } else { number(random) }
}

/// A frame of a producer for the stream that is attacked; `next` is a good seqno.
fn frame(vb: VbId, stream: Opaque, next: u64, random: &mut Rng) -> BytesMut {
    let mut out = BytesMut::new();
    let [seqno, rev, cas] = [next, 1, 1].map(|good| mostly(good, random));
    let seqno = Seqno(seqno);
    let kinds = if random.bool() { 8 } else { 6 };
    match random.u8(..kinds) {
        0 | 1 => {
            let end = Seqno(mostly(next + 100, random));
            let (start, flags) = (seqno, random.u32(..) & !marker_flags::ACK);
            let body = MarkerBody::V1;
            SnapshotMarker { start, end, flags, body }.write(vb, stream, &mut out);
        }
        2..=5 => {
            let datatype = Datatype(if random.u8(..6) > 0 { 0 } else { random.u8(..9) });
            let to = Target { vb, opaque: stream, cas, datatype };
            let key = [1, 9, 9, 20, 20, 250, 250, 0, 251, 300, 5000][random.usize(..11)];
            let key = [&[0][..], &vec![b'k'; key]];
            let (key, value) = (key.concat(), bytes(random, 50));
            let (flags, expiry, lock_time) = (random.u32(..), random.u32(..), random.u32(..));
            if random.bool() {
                let body = Mutation { seqno, rev, flags, expiry, lock_time, nru: 4 };
                body.write(to, &key, &value, &mut out);
            } else {
                let delete_time = random.bool().then_some(expiry);
                Deletion { seqno, rev, delete_time }.write(to, &key, &value, &mut out);
            }
        }
        6 => SeqnoAdvanced { seqno }.write(vb, stream, &mut out),
        _ => {
            // Any frame of a stream, of any form. What only a consumer sends closes the connection.
            let opcodes = (0x56..0x70_u8).filter(|code| ![0x5d, 0x5e, 0x61].contains(code));
            let opcodes: Vec<_> = opcodes.collect();
            let opcode = Opcode(opcodes[random.usize(..opcodes.len())]);
            let [extras, key, value] = [(); 3].map(|()| bytes(random, 60));
            let frame = FrameBuilder::request(opcode).vbucket(vb).opaque(stream);
            let frame = frame.extras(&extras).key(&key).value(&value);
            frame.datatype(Datatype(random.u8(..))).write(&mut out);
        }
    }
    out
}

#[test]
fn a_hostile_producer_harms_no_other_vbucket_connection_or_client() {
    // Two vBuckets for each attack, one of another connection, one of a client.
    let (of_good, of_client) = (2 * ATTACKS, 2 * ATTACKS + 1);
    let node = TestNode::start_with(VbState::Replica, |options| options.vbuckets = of_client + 1);
    let mut client = node.client();
    client.set_state(of_client, VbState::Active);
    let mut good = Scripted::open(&node, "good");
    let (stream, _) = good.stream(of_good);
    good.marker(of_good, stream, 0, 1_000_000);
    let mut random = Rng::with_seed(20_261_128);
    let mut sent = 0;
    for attack in 0..ATTACKS {
        let mut bad = Scripted::open(&node, &format!("bad-{attack}"));
        let (attacked, beside) = (2 * attack, 2 * attack + 1);
        let [(bad_stream, _), (beside_stream, _)] = [attacked, beside].map(|vb| bad.stream(vb));
        bad.marker(beside, beside_stream, 0, FRAMES);
        // Without a snapshot, few rows get as far as their numbers.
        let ends = [None, Some(30), Some(i64::MAX as u64), Some(u64::MAX)];
        if let Some(end) = ends[random.usize(..4)] {
            bad.marker(attacked, bad_stream, 0, end);
        }
        for seqno in 1..=FRAMES {
            let bytes = frame(VbId(attacked), bad_stream, seqno, &mut random);
            bad.0.send(&bytes);
            bad.row(beside, beside_stream, seqno, 0);
            sent += 1;
            good.row(of_good, stream, sent, 0);
        }
        client.set(of_client, "key", b"a write of a client succeeds");
        wait_for("the stream beside it", || node.high_seqno(beside) == FRAMES);
        wait_for("the stream of another connection", || node.high_seqno(of_good) == sent);
        assert!(node.high_seqno(attacked) <= Seqno::TAKEN_MAX.0);
    }
    let failures = node.client().stat("", "ep_data_write_failed");
    assert_eq!(failures, "0", "every fault is found where it enters");
}

fn request(random: &mut Rng) -> StreamReq<'static> {
    let values: [&[u8]; 4] = [b"", b"{}", b"{\"purge_seqno\": \"18446744073709551615\"}", b"[1"];
    StreamReq {
        flags: if random.bool() { 0 } else { random.u32(..) },
        start: Seqno(number(random)),
        end: Seqno(number(random)),
        uuid: VbUuid(number(random)),
        snapshot_start: Seqno(number(random)),
        snapshot_end: Seqno(number(random)),
        value: values[random.usize(..4)],
    }
}

/// A frame of a consumer.
fn question(vb: VbId, random: &mut Rng) -> BytesMut {
    let mut out = BytesMut::new();
    match random.u8(..5) {
        0 | 1 => request(random).write(vb, Opaque(random.u32(..)), &mut out),
        2 => BufferAck { bytes: number(random) as u32 }.write(vb, Opaque(1), &mut out),
        3 => {
            let keys: [&[u8]; 3] =
                [b"connection_buffer_size", b"set_noop_interval", b"max_marker_version"];
            let values: [&[u8]; 6] = [b"0", b"-1", b"1e308", b"NaN", b"18446744073709551615", b"1"];
            let (key, value) = (keys[random.usize(..3)], values[random.usize(..6)]);
            Control { key, value }.write(Opaque(2), &mut out);
        }
        _ => {
            let opcode = Opcode(random.u8(0x51..0x70));
            let [extras, key, value] = [(); 3].map(|()| bytes(random, 60));
            let frame = FrameBuilder::request(opcode).vbucket(vb);
            frame.extras(&extras).key(&key).value(&value).write(&mut out);
        }
    }
    out
}

#[test]
fn a_hostile_consumer_harms_no_other_connection_or_client() {
    let node = TestNode::start(VbState::Active);
    let mut client = node.client();
    client.set(0, "first", b"x");
    let mut good = node.client().produce("good");
    good.stream(0, 1);
    assert_eq!(good.changes(1), [1]);
    let mut random = Rng::with_seed(20_261_128);
    let mut seqno = 1;
    for attack in 0..20 {
        let mut bad = node.client().produce(&format!("bad-{attack}"));
        for _ in 0..40 {
            let bytes = question(VbId(random.u16(..10)), &mut random);
            // The node may hang up on it.
            let _ = std::io::Write::write_all(&mut bad.stream, &bytes);
        }
        for vb in [0, 1] {
            client.set(vb, &format!("key-{attack}"), b"a write of a client succeeds");
        }
        seqno += 1;
        assert_eq!(good.changes(1), [seqno]);
    }
    assert_eq!(node.state(0), VbState::Active, "nobody has taken it over");
    let read = |client: &mut Client| {
        let get = FrameBuilder::request(Opcode::GET).key(b"\0first");
        client.try_ask(get).status()
    };
    assert_eq!(read(&mut client), Status::SUCCESS);
}

/// An answer to a STREAM_REQ.
fn answer(stream: Opaque, random: &mut Rng) -> BytesMut {
    let status = match random.u8(..5) {
        0 | 1 => Status::SUCCESS,
        2 | 3 => Status::ROLLBACK,
        _ => Status(random.u16(..)),
    };
    let numbers = random.usize(..7);
    let mut value: Vec<_> =
        std::iter::repeat_with(|| number(random).to_be_bytes()).take(numbers).flatten().collect();
    value.truncate(value.len().saturating_sub(usize::from(random.u8(..6) == 0)));
    let mut out = BytesMut::new();
    let answer = FrameBuilder::response(Opcode::DCP_STREAM_REQ, status);
    answer.opaque(stream).value(&value).write(&mut out);
    out
}

#[test]
fn hostile_answers_to_a_consumer_harm_no_other_stream() {
    let (attacked, of_good) = (0..16, 16);
    let node = TestNode::start_with(VbState::Replica, |options| options.vbuckets = 17);
    let mut good = Scripted::open(&node, "good");
    let (stream, _) = good.stream(of_good);
    good.marker(of_good, stream, 0, 1_000_000);
    let mut bad = Scripted::open(&node, "bad");
    let mut random = Rng::with_seed(20_261_128);
    attacked.clone().for_each(|vb| bad.add(vb));
    let (mut sent, mut left) = (0, attacked.len());
    while left > 0 {
        let packet = bad.0.next();
        let frame = packet.frame();
        let opaque = frame.header.opaque;
        match frame.opcode() {
            Opcode::DCP_ADD_STREAM => left -= 1,
            Opcode::DCP_STREAM_REQ => bad.0.send(&answer(opaque, &mut random)),
            Opcode::GET_ERROR_MAP | Opcode::DCP_CONTROL => {
                let answer = FrameBuilder::response(frame.opcode(), Status::SUCCESS);
                bad.0.send(&answer.opaque(opaque).build());
            }
            _ => {}
        }
        sent += 1;
        good.row(of_good, stream, sent, 0);
    }
    wait_for("the stream of another connection", || node.high_seqno(of_good) == sent);
    assert_eq!(node.client().stat("", "ep_data_write_failed"), "0");
}
