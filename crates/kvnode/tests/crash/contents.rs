//! What a node holds, as others see it: documents, histories, states.

use mcbp::dcp::StreamReq;
use mcbp::{FrameBuilder, Opcode, Seqno, Status, VbId, VbState};

use crate::client::{Client, from_zero};
use crate::node::{TestNode, VBUCKETS};

/// A change as it is streamed: opcode, CAS, datatype, extras (seqno first), key, value.
pub(crate) type Change = (Opcode, u64, u8, Vec<u8>, Vec<u8>, Vec<u8>);

/// Branches of history, newest first: uuid and seqno.
pub(crate) type Table = Vec<(u64, u64)>;

/// One vBucket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Contents {
    pub(crate) table: Table,
    pub(crate) changes: Vec<Change>,
}

/// The value of a key, `None` if there is no document.
pub(crate) fn get(client: &mut Client, vb: u16, key: &str) -> Option<Vec<u8>> {
    let get = FrameBuilder::request(Opcode::GET).vbucket(VbId(vb)).key(key.as_bytes());
    let answer = client.try_ask(get);
    match answer.status() {
        Status::SUCCESS => Some(answer.frame().value.to_vec()),
        Status::KEY_ENOENT => None,
        status => panic!("GET {key} of vb:{vb} is answered {status}"),
    }
}

/// The failover tables of all vBuckets.
pub(crate) fn tables(client: &mut Client) -> Vec<Table> {
    let mut tables = vec![Table::new(); usize::from(VBUCKETS)];
    for (name, value) in client.stats("failovers") {
        let mut parts = name.strip_prefix("vb_").unwrap().split(':');
        let vb: usize = parts.next().unwrap().parse().unwrap();
        let (Some(_at), Some(what)) = (parts.next(), parts.next()) else { continue };
        let number = value.parse().unwrap();
        match what {
            "id" => tables[vb].push((number, 0)),
            _ => tables[vb].last_mut().unwrap().1 = number,
        }
    }
    tables
}

pub(crate) fn high_seqno(client: &mut Client, vb: u16) -> u64 {
    let group = format!("vbucket-seqno {vb}");
    client.stat(&group, &format!("vb_{vb}:high_seqno")).parse().unwrap()
}

pub(crate) fn state(client: &mut Client, vb: u16) -> VbState {
    let name = client.stat("vbucket", &format!("vb_{vb}"));
    let all = [VbState::Active, VbState::Replica, VbState::Pending, VbState::Dead];
    all.into_iter().find(|state| state.name() == name).unwrap()
}

/// All changes of a vBucket over a stream of their own, in the order of seqnos.
pub(crate) fn changes(node: &TestNode, vb: u16) -> Vec<Change> {
    changes_unless_receiving(node, vb).expect("the vBucket can be streamed")
}

/// The same; `None` for a replica inside its first snapshot, which is not streamed (MB-31664).
pub(crate) fn changes_unless_receiving(node: &TestNode, vb: u16) -> Option<Vec<Change>> {
    let high = high_seqno(&mut node.plain_client(), vb);
    let mut changes = Vec::new();
    if high == 0 {
        return Some(changes);
    }
    let mut dcp = node.plain_client().produce(&format!("reader of {vb}"));
    let request = StreamReq { end: Seqno(high), ..from_zero() };
    let answer = dcp.request(vb, 1, request);
    if answer.status() == Status::ETMPFAIL {
        return None;
    }
    assert_eq!(answer.status(), Status::SUCCESS, "{answer:?}");
    loop {
        let packet = dcp.next();
        if packet.opcode() == Opcode::DCP_STREAM_END {
            assert_eq!(packet.end(), 0, "the stream of vb:{vb} failed");
            return Some(changes);
        }
        if packet.is_change() {
            let frame = packet.frame();
            let header = &frame.header;
            let parts = [frame.extras, frame.key, frame.value].map(<[u8]>::to_vec);
            let [extras, key, value] = parts;
            changes.push((header.opcode, header.cas, header.datatype.0, extras, key, value));
        }
    }
}

pub(crate) fn contents(node: &TestNode, vb: u16) -> Contents {
    let table = tables(&mut node.plain_client())[usize::from(vb)].clone();
    Contents { table, changes: changes(node, vb) }
}
