//! The requests of recordings of collections, sent to a node by the connections that sent them.
//!
//! Not compared: where snapshots are split, which is a matter of time. The rules about markers are
//! those of `streams`.

use std::collections::{BTreeSet, HashMap};

use kvnode::BucketOptions;
use mcbp::dcp::decode_failover_log;
use mcbp::{Frame, Opcode, Status, VbState};
use recordings::Line;

use crate::client::{Client, Packet};
use crate::node::TestNode;
use crate::replay::features;
use crate::streams::Streams;

/// A node and the recorded connections to it.
pub(crate) struct Replay {
    pub(crate) node: TestNode,
    connections: HashMap<String, Streams>,
    /// Frames that this node does not send.
    pub(crate) listed: BTreeSet<u64>,
    /// Whether streams read the disk.
    pub(crate) from_disk: bool,
    pub(crate) compared: usize,
}

impl Replay {
    /// On a node that keeps so many bytes of changes in memory.
    pub(crate) fn new(log_bytes_max: usize) -> Self {
        let change = |options: &mut BucketOptions| options.log_bytes_max = log_bytes_max;
        let node = TestNode::start_with(VbState::Active, change);
        let (connections, listed) = (HashMap::new(), BTreeSet::new());
        Self { node, connections, listed, from_disk: log_bytes_max == 1, compared: 0 }
    }

    /// Replays what clients and DCP clients of `node` said to it. `before` is called before each of
    /// their requests.
    pub(crate) fn run(&mut self, file: &str, mut before: impl FnMut(&mut Self, &Line)) {
        let all = recordings::capture(file);
        for line in &all {
            let frame = Frame::parse(&line.bytes).unwrap();
            if line.to == "node" {
                before(self, line);
                self.send(line, &frame, &all);
            } else if line.from == "node" {
                self.expect(line, &frame);
            }
        }
        // The recorder did not read that one to its end.
        self.connections.remove("bad-filters");
        self.end_connections();
    }

    /// Nothing follows what was recorded. From memory a filter sends nothing of what it leaves out,
    /// from disk the end of each read.
    pub(crate) fn end_connections(&mut self) {
        for (name, mut streams) in self.connections.drain() {
            let advances = streams.has_nothing_more();
            assert!(advances == 0 || self.from_disk, "{name}: {advances} SEQNO_ADVANCED");
        }
    }

    fn send(&mut self, line: &Line, frame: &Frame<'_>, all: &[Line]) {
        let logs_in = [Opcode::HELLO, Opcode::SELECT_BUCKET, Opcode::DCP_NOOP];
        if frame.opcode() == Opcode::SASL_AUTH {
            let of_name = all.iter().filter(|it| it.from == line.from && it.number > line.number);
            let features = features(of_name.map(|line| Frame::parse(&line.bytes).unwrap()));
            let client = Client::connect(self.node.handle().address(), &features);
            self.connections.insert(line.from.clone(), Streams::new(client));
        } else if !logs_in.contains(&frame.opcode()) {
            self.connections.get_mut(&line.from).unwrap().client.send(&line.bytes);
        }
    }

    fn expect(&mut self, line: &Line, frame: &Frame<'_>) {
        let other = [Opcode::SASL_AUTH, Opcode::HELLO, Opcode::SELECT_BUCKET, Opcode::DCP_NOOP];
        if other.contains(&frame.opcode()) || self.listed.contains(&line.number) {
            return;
        }
        let streams = self.connections.get_mut(&line.to).unwrap();
        let opaque = frame.header.opaque.0;
        let about = format!("frame {} {} to {}", line.number, line.what, line.to);
        self.compared += 1;
        if frame.header.is_request() {
            let theirs = Packet(line.bytes.clone());
            match frame.opcode() {
                Opcode::DCP_SNAPSHOT_MARKER => {}
                Opcode::DCP_SEQNO_ADVANCED => streams.advances_to(opaque, theirs.seqno()),
                _ => assert_eq!(essence(&streams.next(opaque)), essence(&theirs), "{about}"),
            }
            return;
        }
        let ours = streams.answer_to(opaque);
        let ours = ours.frame();
        assert_eq!(ours.header.status(), frame.header.status(), "{about}: {ours:?}");
        assert_eq!(ours.key, frame.key, "{about}");
        match (frame.opcode(), frame.header.status()) {
            (Opcode::DCP_STREAM_REQ, Status::SUCCESS) => {
                let logs = [&ours, frame].map(|it| decode_failover_log(it).unwrap().len());
                assert_eq!(logs[0], logs[1], "{about}");
            }
            (_, Status::SUCCESS) => {
                assert_eq!(ours.value, frame.value, "{about}");
                // After the uuid there is the seqno.
                let seqnos = [ours.extras, frame.extras].map(|it| it.get(8..));
                assert_eq!(seqnos[0], seqnos[1], "{about}");
            }
            _ => assert_eq!(manifest_uid(ours.value), manifest_uid(frame.value), "{about}"),
        }
    }
}

fn manifest_uid(json: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(json);
    text.split_once("\"manifest_uid\":").map(|(_, uid)| uid.to_owned())
}

/// What of a frame is the same on every node: use counters and times are not.
fn essence(packet: &Packet) -> (Opcode, u16, Vec<u8>, Vec<u8>, Vec<u8>) {
    let frame = packet.frame();
    let mut extras = frame.extras.to_vec();
    if frame.opcode() == Opcode::DCP_MUTATION {
        extras[30] = 0;
        let expires = extras[20..24] != [0; 4];
        extras[20..24].fill(u8::from(expires));
    }
    (frame.opcode(), packet.vb(), extras, frame.key.to_vec(), frame.value.to_vec())
}
