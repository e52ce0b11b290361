//! Captures 16a and 16b of a real node, replayed: the recorded requests get the same statuses,
//! answers of the same layout, the same frames of streams, and the same end of the connection.
//!
//! Not compared, because it differs on purpose:
//!
//! - texts of refusals, the version, the error map, uuids and CAS values: a node's own
//! - use counters (nru), which are not kept
//! - what concerns other collections than the default one (16b, vBuckets 1 and 3)
//! - two connections of one name: the older one is closed at once, a real node closes it later
//! - a STREAM_END without a stream: not answered, as a real node does not after CLOSE_STREAM
//! - SEQNO_ADVANCED and OSO_SNAPSHOT at a consumer: refused as of no stream, not as unknown:
//!   this node's consumer may get them when their stream has just ended, and a producer closes the
//!   connection upon 0x81
//! - CLOSE_STREAM while the window is full: the STREAM_END comes at once, without what a real node
//!   has read before
//! - CACHE_TRANSFER, which that version does not know

use std::collections::{BTreeMap, BTreeSet};

use mcbp::dcp::decode_failover_log;
use mcbp::{Frame, FrameBuilder, Opaque, Opcode, Status, VbId, VbState, VbUuid};
use recordings::{Line, capture};

use crate::client::{Client, Packet};
use crate::manifests::{manifest, set_manifest};
use crate::node::TestNode;

/// Commands whose answers are looked at elsewhere.
const OTHER_COMMANDS: [Opcode; 2] = [Opcode::GET_CLUSTER_CONFIG, Opcode::GET_RANDOM_KEY];

/// Features that are granted here.
const FEATURES: [u16; 8] = [0x04, 0x06, 0x07, 0x08, 0x0a, 0x0b, 0x10, 0x12];

/// One recorded connection, from its login on.
struct Session {
    name: String,
    lines: Vec<Line>,
}

/// The features of the first HELLO, as far as they are granted here.
pub(crate) fn features<'a>(mut frames: impl Iterator<Item = Frame<'a>>) -> Vec<u16> {
    let hello = frames.find(|frame| frame.opcode() == Opcode::HELLO).unwrap();
    let asked = hello.value.chunks(2).map(|code| u16::from_be_bytes([code[0], code[1]]));
    asked.filter(|code| FEATURES.contains(code)).collect()
}

fn sessions(file: &str) -> Vec<Session> {
    let mut sessions: Vec<Session> = Vec::new();
    for line in capture(file) {
        let from_node = line.from == "node";
        let name = if from_node { line.to.clone() } else { line.from.clone() };
        if !from_node && Frame::parse(&line.bytes).unwrap().opcode() == Opcode::SASL_AUTH {
            sessions.push(Session { name, lines: vec![line] });
        } else {
            let of_name = sessions.iter_mut().rfind(|session| session.name == name).unwrap();
            of_name.lines.push(line);
        }
    }
    sessions
}

/// The newest branch of each vBucket of the recorded node.
fn recorded_uuids(lines: &[Line]) -> BTreeMap<u16, VbUuid> {
    let mut asked = BTreeMap::new();
    let mut uuids = BTreeMap::new();
    for line in lines {
        let frame = Frame::parse(&line.bytes).unwrap();
        if frame.opcode() != Opcode::DCP_STREAM_REQ {
            continue;
        }
        if frame.header.is_request() {
            asked.insert(frame.header.opaque, frame.header.vbucket().0);
        } else if frame.header.status().is_success() {
            let log = decode_failover_log(&frame).unwrap();
            uuids.insert(asked[&frame.header.opaque], log[0].uuid);
        }
    }
    uuids
}

struct Replay<'a> {
    node: &'a TestNode,
    client: Client,
    uuids: BTreeMap<u16, VbUuid>,
    /// The controls `change_streams=true`, which kv_engine grants with another store alone.
    asked_for_changes: BTreeSet<Opaque>,
    compared: usize,
}

impl<'a> Replay<'a> {
    /// Logs in as the session does: with its features, and with a bucket if it selects one.
    fn open(node: &'a TestNode, session: &Session) -> Self {
        let frames = session.lines.iter().map(|line| Frame::parse(&line.bytes).unwrap());
        let features = features(frames.clone());
        let selects = |frame: Frame<'_>| frame.opcode() == Opcode::SELECT_BUCKET;
        let bucket = frames.clone().any(selects).then_some("default");
        let client = Client::connect_to(node.handle().address(), &features, bucket);
        let (uuids, asked_for_changes) = (BTreeMap::new(), BTreeSet::new());
        Self { node, client, uuids, asked_for_changes, compared: 0 }
    }

    fn send(&mut self, frame: &Frame<'_>) {
        if (frame.key, frame.value) == (b"change_streams", b"true") {
            self.asked_for_changes.insert(frame.header.opaque);
        }
        let mut extras = frame.extras.to_vec();
        if frame.opcode() == Opcode::DCP_STREAM_REQ && extras.len() == 48 {
            let vb = frame.header.vbucket().0;
            let recorded = self.uuids.get(&vb).map(|uuid| uuid.0.to_be_bytes());
            if recorded.is_some_and(|uuid| extras[24..32] == uuid) {
                extras[24..32].copy_from_slice(&self.node.view(vb).uuid().0.to_be_bytes());
            }
        }
        let mut value = frame.value.to_vec();
        if frame.opcode() == Opcode::OBSERVE_SEQNO {
            value = self.node.view(0).uuid().0.to_be_bytes().to_vec();
        }
        let request = FrameBuilder::from_frame(frame).extras(&extras).value(&value);
        self.client.send(&request.build());
    }

    /// Compares an answer with the recorded one.
    fn answered(&mut self, line: &Line) {
        let theirs = Frame::parse(&line.bytes).unwrap();
        let ours = self.client.answer_to(theirs.header.opaque.0);
        let (ours, about) = (ours.frame(), format!("frame {}: {}", line.number, line.what));
        self.compared += 1;
        if OTHER_COMMANDS.contains(&theirs.opcode()) {
            return;
        }
        assert_eq!(ours.opcode(), theirs.opcode(), "{about}");
        if line.what.contains("CONTROL") && self.asked_for_changes.remove(&theirs.header.opaque) {
            // The recorded store keeps no history.
            assert_eq!(ours.header.status(), Status::SUCCESS, "{about}");
            return;
        }
        assert_eq!(ours.header.status(), theirs.header.status(), "{about}: {ours:?}");
        assert_eq!(ours.extras.len(), theirs.extras.len(), "{about}");
        assert_eq!(ours.key, theirs.key, "{about}");
        let own = [
            Opcode::VERSION,
            Opcode::GET_ERROR_MAP,
            Opcode::OBSERVE_SEQNO,
            Opcode::GET_FAILOVER_LOG,
            Opcode::DCP_GET_FAILOVER_LOG,
            Opcode::DCP_STREAM_REQ,
        ];
        let is_rollback = theirs.header.status() == Status::ROLLBACK;
        if is_rollback || theirs.header.status().is_success() && !own.contains(&ours.opcode()) {
            assert_eq!(ours.value, theirs.value, "{about}");
        }
        let has_uid = |value: &[u8]| String::from_utf8_lossy(value).contains("manifest_uid");
        assert_eq!(has_uid(ours.value), has_uid(theirs.value), "{about}");
    }

    /// Compares a frame of a stream with the recorded one.
    fn streamed(&mut self, line: &Line) {
        let theirs = Packet(line.bytes.clone());
        let ours = self.client.next();
        self.compared += 1;
        assert_eq!(essence(&ours), essence(&theirs), "frame {}: {}", line.number, line.what);
    }

    /// Replays a session of requests that close the connection in the end or do not.
    fn run(&mut self, lines: &[Line], mut streams: impl FnMut(&mut Self, &Line)) {
        let mut last_asked: Option<&Line> = None;
        for line in lines {
            let frame = Frame::parse(&line.bytes).unwrap();
            if line.from != "node" {
                self.send(&frame);
                last_asked = Some(line).filter(|_| frame.opcode() != Opcode::DCP_BUFFER_ACK);
            } else if frame.header.is_request() {
                if frame.opcode() != Opcode::DCP_NOOP {
                    streams(self, line);
                }
            } else {
                self.answered(line);
                last_asked = None;
            }
        }
        if let Some(line) = last_asked {
            let next = self.client.try_next();
            assert!(next.is_none(), "frame {} closes: {} {next:?}", line.number, line.note);
        }
    }
}

/// What of a frame is the same on every node.
fn essence(packet: &Packet) -> (Opcode, u16, u32, Vec<u8>, Vec<u8>, Vec<u8>) {
    let frame = packet.frame();
    let mut extras = frame.extras.to_vec();
    if frame.opcode() == Opcode::DCP_MUTATION {
        extras[30] = 0;
    }
    let (key, value) = (frame.key.to_vec(), frame.value.to_vec());
    (frame.opcode(), packet.vb(), packet.opaque(), extras, key, value)
}

/// The frames of a session after those that log in.
fn after_login(session: &Session) -> &[Line] {
    let logs_in = [Opcode::SASL_AUTH, Opcode::HELLO, Opcode::SELECT_BUCKET];
    let is_login = |line: &Line| logs_in.contains(&Frame::parse(&line.bytes).unwrap().opcode());
    let at = session.lines.iter().position(|line| !is_login(line)).unwrap();
    &session.lines[at..]
}

/// Whether a consumer's answer to this frame is another one, see the module.
fn differs(session: &Session, line: &Line) -> bool {
    let frame = Frame::parse(&line.bytes).unwrap();
    let own = [Opcode::DCP_SEQNO_ADVANCED, Opcode::DCP_OSO_SNAPSHOT, Opcode::DCP_STREAM_END];
    session.name == "consumer" && own.contains(&frame.opcode())
}

#[test]
fn capture_16a_roles_and_ordinary_opcodes() {
    let node = TestNode::start_with(VbState::Active, |options| options.vbuckets = 2);
    let mut writer = node.client();
    writer.set(0, "k", b"1");
    writer.set_state(1, VbState::Replica);
    let mut compared = 0;
    for mut session in sessions("16a-dcp-roles") {
        if session.name.starts_with("same") {
            continue;
        }
        let differing: Vec<bool> = session.lines.iter().map(|l| differs(&session, l)).collect();
        let mut differing = differing.into_iter();
        session.lines.retain(|_| !differing.next().unwrap());
        let mut replay = Replay::open(&node, &session);
        replay.run(after_login(&session), |_, line| panic!("no stream: {line:?}"));
        compared += replay.compared;
    }
    assert!(compared > 100, "{compared}");
}

/// A node with what the recorded one has of the default collection.
fn node_of_16b() -> TestNode {
    let node = TestNode::start(VbState::Active);
    let mut writer = node.client();
    (0..6).for_each(|n| writer.set(0, &format!("k{n}"), format!("v{n}").as_bytes()));
    writer.set(1, "k", b"x");
    (0..120).for_each(|n| writer.set(2, &format!("big{n:03}"), &[b'x'; 200]));
    writer.set_state(4, VbState::Replica);
    writer.set_state(5, VbState::Pending);
    node
}

/// A node with what the recorded one has in vBucket 3: collection 8 with three documents, and one
/// of the default collection.
fn node_with_collection_8() -> TestNode {
    let node = TestNode::start(VbState::Active);
    set_manifest(&mut node.client(), &manifest(1, &[0, 8], &[]));
    let mut writer = node.client();
    for (key, value) in [(b"\x085", b"o"), (b"\x081", b"o"), (b"\x083", b"o"), (b"\0k", b"x")] {
        let request = FrameBuilder::request(Opcode::SET).vbucket(VbId(3)).extras(&[0; 8]);
        writer.ask(request.key(key).value(value));
    }
    node
}

fn session_of_16b(name: &str) -> Session {
    sessions("16b-dcp-controls-requests").into_iter().find(|s| s.name == name).unwrap()
}

#[test]
fn capture_16b_controls_and_requests() {
    let node = node_of_16b();
    for name in ["producer", "requests"] {
        let session = session_of_16b(name);
        let mut replay = Replay::open(&node, &session);
        // The branch of vBucket 0 is in another session.
        replay.uuids = recorded_uuids(&session_of_16b("ends").lines);
        replay.uuids.append(&mut recorded_uuids(&session_of_16b("flow").lines));
        replay.run(after_login(&session), |_, _| ());
        assert!(replay.compared > 15);
    }
}

#[test]
fn capture_16b_ends_within_and_beyond_a_snapshot() {
    let node = node_of_16b();
    let session = session_of_16b("ends");
    let mut replay = Replay::open(&node, &session);
    replay.uuids = recorded_uuids(&session.lines);
    let mut writer = node.client();
    // The takeover at the end is another test's.
    let lines = after_login(&session);
    let takeover = lines.iter().position(|line| line.note.contains("takeover")).unwrap();
    replay.run(&lines[..takeover], |replay, line| {
        let frame = Frame::parse(&line.bytes).unwrap();
        // These were written one by one while the stream waited, the last one after its end.
        for (at, key) in [(7, "k6"), (8, "k7")] {
            let is_marker = frame.opcode() == Opcode::DCP_SNAPSHOT_MARKER;
            if is_marker && frame.extras[..8] == u64::to_be_bytes(at) {
                writer.set(0, key, b"v");
            }
        }
        replay.streamed(line);
        if frame.opcode() == Opcode::DCP_STREAM_END && frame.header.opaque == Opaque(0xa) {
            writer.set(0, "k8", b"v");
        }
    });
    assert!(replay.compared > 60, "{}", replay.compared);
}

#[test]
fn capture_16b_flow_control_and_closing() {
    let node = node_of_16b();
    let session = session_of_16b("flow");
    let mut replay = Replay::open(&node, &session);
    replay.uuids = recorded_uuids(&session.lines);
    let lines = after_login(&session);
    let closes = |line: &Line| line.note == "CLOSE_STREAM while paused";
    let closed = lines.iter().position(closes).unwrap();
    let end = |line: &Line| line.what == "DCP_STREAM_END";
    let ended = lines.iter().position(end).unwrap();
    replay.run(&lines[..closed + 2], Replay::streamed);
    // See the module. What the real node still sends is acknowledged in between.
    replay.streamed(&lines[ended]);
    replay.client.acknowledge(u32::MAX);
    replay.run(&lines[ended + 1..], Replay::streamed);
    assert!(replay.compared > 30, "{}", replay.compared);
}

#[test]
fn streams_with_ids_carry_them_and_are_closed_by_them() {
    let node = TestNode::start(VbState::Active);
    node.client().set(0, "a", b"1");
    let mut dcp = node.client().produce("ids");
    assert_eq!(dcp.control("enable_stream_id", "true"), Status::SUCCESS);
    for (sid, granted) in [(7, 7), (70_000, 0x1170)] {
        let value = format!(r#"{{"sid":{sid},"collections":["0"]}}"#);
        let request =
            mcbp::dcp::StreamReq { value: value.as_bytes(), ..crate::client::from_zero() };
        assert_eq!(dcp.request(0, granted, request).status(), Status::SUCCESS);
        for _ in 0..2 {
            let packet = dcp.next();
            let id = u16::try_from(granted).unwrap();
            assert_eq!(mcbp::dcp::stream_id(&packet.frame()), Some(id), "{packet:?}");
        }
    }
    let close = |framing| {
        let close = FrameBuilder::request(Opcode::DCP_CLOSE_STREAM).vbucket(VbId(0));
        close.framing(framing)
    };
    let without = FrameBuilder::request(Opcode::DCP_CLOSE_STREAM).vbucket(VbId(0));
    assert_eq!(dcp.try_ask(without).status(), Status::STREAM_ID_INVALID);
    assert_eq!(dcp.try_ask(close(&[0x22, 0, 9])).status(), Status::KEY_ENOENT);
    assert_eq!(dcp.try_ask(close(&[0x22, 0, 7])).status(), Status::SUCCESS);
    let end = dcp.next();
    assert_eq!((end.end(), mcbp::dcp::stream_id(&end.frame())), (1, Some(7)));
}

#[test]
fn capture_16b_a_collection_in_the_order_of_keys() {
    let node = node_with_collection_8();
    for (name, frames) in [("oso-true", 9), ("oso-true_with_seqno_advanced", 10)] {
        let session = session_of_16b(name);
        let mut replay = Replay::open(&node, &session);
        replay.uuids = recorded_uuids(&session.lines);
        replay.run(after_login(&session), |replay, line| replay.streamed(line));
        assert!(replay.compared >= frames, "{}", replay.compared);
    }
}
