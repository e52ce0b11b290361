//! What two real nodes answered to the SDKs of Couchbase, in recordings 10a to 10e: `node` has
//! active vBuckets, `node2` replicas of them. `docs/decisions` has the reasons for what differs.

use kvnode::NodeHandle;
use kvnode::bucket::LogRead;
use mcbp::{Frame, FrameBuilder, Opcode, Status, VbId, VbState};
use recordings::Line;
use tokio::runtime::Runtime;
use vbucket::consumer::{Part, Versions};

use crate::replay::Differs::Value;
use crate::replay::{Replay, set_topology, start_with};
use crate::support::BUCKET;
use crate::support::client::Client;

const VBUCKETS: u16 = 8;

/// The two nodes as the recordings begin.
struct Pair {
    active: NodeHandle,
    replica: NodeHandle,
    runtime: Runtime,
}

impl Pair {
    /// With the maps that the nodes have in a recording, by the numbers of the answers that show
    /// them, and with the scope and the collection that were there before it.
    fn new(capture: &str, maps: [u64; 3]) -> Self {
        let [active, replica] = [VbState::Active, VbState::Replica].map(start_with);
        let [cluster, of_active, of_replica] = maps;
        push(&active, "", 5, &recorded(capture, cluster));
        push(&active, BUCKET, 5, &recorded(capture, of_active));
        push(&replica, BUCKET, 5, &recorded(capture, of_replica));
        [&active, &replica].into_iter().for_each(set_manifest);
        set_topology(&active, 0..VBUCKETS, r#"[["alpha"]]"#);
        Self { active, replica, runtime: Runtime::new().unwrap() }
    }

    fn replay(&self) -> Replay<'_> {
        Replay::on(&[("node", &self.active), ("node2", &self.replica)])
    }

    /// Before a request to the replicas, they have what a replication has brought by then.
    fn replicate(&self, line: &Line) {
        if line.to == "node2" {
            (0..VBUCKETS).for_each(|vb| self.replicate_vb(VbId(vb)));
        }
    }

    fn replicate_vb(&self, vb: VbId) {
        let [from, to] = [&self.active, &self.replica].map(|node| node.bucket(BUCKET).unwrap());
        let [from, to] = [from, to].map(|bucket| bucket.vb(vb).unwrap());
        if to.state() != VbState::Replica {
            return;
        }
        self.runtime.block_on(async {
            to.replace_failover(from.view().failover.entries()).await.unwrap();
            let (after, end) = (to.high_seqno(), from.high_seqno());
            let snapshot = (after, end);
            let part = match from.read_log(after, usize::MAX) {
                LogRead::Rows(rows) => Part::Rows {
                    rows,
                    snapshot,
                    from_disk: false,
                    versions: Versions::Newest,
                    ends: None,
                },
                _ => Part::Advance { seqno: end, snapshot, versions: Versions::Newest, ends: None },
            };
            if end > after {
                to.apply(after, part).await.unwrap().wait().await.unwrap();
            }
            assert_eq!(to.high_seqno(), end);
        });
    }
}

fn recorded(capture: &str, number: u64) -> Line {
    let mut lines = recordings::capture(capture).into_iter();
    lines.find(|line| line.number == number).unwrap()
}

/// Gives a node the map that is the value of a recorded frame.
fn push(node: &NodeHandle, bucket: &str, revision: u64, recorded: &Line) {
    let extras = [1_u64.to_be_bytes(), revision.to_be_bytes()].concat();
    let request = FrameBuilder::request(Opcode::SET_CLUSTER_CONFIG).key(bucket.as_bytes());
    let map = Frame::parse(&recorded.bytes).unwrap().value;
    let answer = Client::ready(node).call(&request.extras(&extras).value(map));
    assert_eq!(answer.status, Status::SUCCESS);
}

/// Creates the collection `app.things`.
fn set_manifest(node: &NodeHandle) {
    let default = r#"{"name":"_default","uid":"0","collections":[{"name":"_default","uid":"0"}]}"#;
    let app = r#"{"name":"app","uid":"8","collections":[{"name":"things","uid":"8"}]}"#;
    let manifest = format!(r#"{{"uid":"1","scopes":[{default},{app}]}}"#);
    let request = FrameBuilder::request(Opcode::COLLECTIONS_SET_MANIFEST);
    let answer = Client::ready(node).call(&request.value(manifest.as_bytes()));
    assert_eq!(answer.status, Status::SUCCESS);
}

#[test]
fn captures_10a_to_10d_get_the_answers_of_real_nodes() {
    let capture = "10a-sdk-bootstrap";
    let pair = Pair::new(capture, [12, 26, 40]);
    let mut replay = pair.replay();
    let before = |line: &Line| pair.replicate(line);
    assert_eq!(replay.run(capture, &[], &before), 22);

    let compared = replay.run("10b-sdk-key-value", &[], &before);
    assert_eq!(compared, 53);

    let differs = [
        // The members of an attribute stay in the order in which they were added.
        (17, Value),
        // A change is durable when it is answered, and the replica has it by then.
        (55, Value),
        (56, Value),
    ];
    assert_eq!(replay.run("10c-sdk-subdoc-durability", &differs, &before), 33);

    let capture = "10d-sdk-map-change";
    let before = |line: &Line| {
        pair.replicate(line);
        let moved = |node, state| {
            let answer = Client::ready(node).set_vbucket(6, state);
            assert_eq!(answer.status, Status::SUCCESS);
        };
        match line.number {
            3 => moved(&pair.active, VbState::Dead as u8),
            15 => push(&pair.active, BUCKET, 6, line),
            16 => push(&pair.replica, BUCKET, 6, line),
            17 => moved(&pair.replica, VbState::Active as u8),
            21 => push(&pair.active, "", 7, line),
            23 => push(&pair.replica, "", 7, line),
            _ => {}
        }
    };
    assert_eq!(replay.run(capture, &[], &before), 15);
}

#[test]
fn capture_10e_gets_the_answers_of_real_nodes() {
    let capture = "10e-sdk-node";
    let pair = Pair::new(capture, [12, 40, 26]);
    let differs = [
        // A real node scans what it has persisted, not yet the last changes.
        (81, Value),
    ];
    let compared = pair.replay().run(capture, &differs, &|line| pair.replicate(line));
    assert_eq!(compared, 47);
}
