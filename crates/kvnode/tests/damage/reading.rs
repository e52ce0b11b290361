//! Reading everything that a node holds: each vBucket over a stream, each document by GET.

use std::collections::BTreeMap;
use std::io::Write as _;

use kvnode::NodeHandle;
use mcbp::dcp::StreamReq;
use mcbp::{FrameBuilder, Opcode, Seqno, Status, VbId};

use crate::client::{Client, from_zero};
use crate::template::{REPLICA, Template, VBUCKETS};

const BACKFILL_FAIL: u32 = 5;
/// Of a mutation: seqno, rev, flags and so on; deletions have less.
type Extras = Vec<u8>;
/// A change as it is streamed: opcode, CAS, extras, key, value.
pub(crate) type Change = (Opcode, u64, Extras, Vec<u8>, Vec<u8>);

/// The outcome of reading everything.
pub(crate) enum Reading {
    Right,
    /// Some of it was refused, the rest was right.
    Failed,
    Wrong(String),
}

/// All changes of a vBucket; with an error the ones before a failure that was reported.
///
/// `high` is where the stream must end; `None` trusts the node.
pub(crate) fn stream(
    node: &NodeHandle,
    vb: u16,
    high: Option<u64>,
) -> Result<Vec<Change>, Vec<Change>> {
    let mut dcp = Client::connect(node.address(), &[]);
    let own = dcp.stat(&format!("vbucket-seqno {vb}"), &format!("vb_{vb}:high_seqno"));
    let own = own.parse().unwrap();
    let high = high.unwrap_or(own);
    assert_eq!(own, high, "vb:{vb} is at another seqno");
    let mut dcp = dcp.produce(&format!("reader of {vb}"));
    let answer = dcp.request(vb, 1, StreamReq { end: Seqno(high), ..from_zero() });
    assert_eq!(answer.status(), Status::SUCCESS, "{answer:?}");
    let mut changes = Vec::new();
    loop {
        let packet = dcp.next();
        let frame = packet.frame();
        if packet.opcode() == Opcode::DCP_STREAM_END {
            return match packet.end() {
                0 => Ok(changes),
                BACKFILL_FAIL => Err(changes),
                other => panic!("the stream ends with {other}"),
            };
        }
        if packet.is_change() {
            let parts = [frame.extras, frame.key, frame.value].map(<[u8]>::to_vec);
            let [extras, key, value] = parts;
            changes.push((packet.opcode(), frame.header.cas, extras, key, value));
        }
    }
}

fn seqno(change: &Change) -> u64 {
    u64::from_be_bytes(change.2[..8].try_into().unwrap())
}

/// Reads everything. Panics if the node is gone or does not answer.
pub(crate) fn all(node: &NodeHandle, template: &Template) -> Reading {
    let mut failed = false;
    let mut client = Client::connect(node.address(), &[]);
    let failovers = client.stats("failovers");
    if failovers != template.failovers {
        return Reading::Wrong("the histories are others".to_owned());
    }
    for (vb, want) in (0..VBUCKETS).zip(&template.changes) {
        let got = stream(node, vb, want.last().map(seqno));
        let right = match &got {
            Ok(changes) => changes == want,
            Err(changes) => want.starts_with(changes),
        };
        if !right {
            return Reading::Wrong(format!("the stream of vb:{vb} gave {} changes", want.len()));
        }
        failed |= got.is_err();
        if vb != REPLICA {
            match documents(&mut client, vb, want) {
                Ok(refused) => failed |= refused,
                Err(what) => return Reading::Wrong(what),
            }
        }
    }
    if failed {
        let failures = client.stat("", "ep_data_read_failed");
        if failures == "0" {
            return Reading::Wrong("a failed read was not counted".to_owned());
        }
        return Reading::Failed;
    }
    Reading::Right
}

/// Reads every document; returns whether some were refused.
fn documents(client: &mut Client, vb: u16, want: &[Change]) -> Result<bool, String> {
    let newest: BTreeMap<_, _> = want.iter().map(|change| (&change.3, change)).collect();
    let get =
        |key: &&Vec<u8>| FrameBuilder::request(Opcode::GET).vbucket(VbId(vb)).key(key).build();
    let requests: Vec<_> = newest.keys().map(get).collect();
    client.stream.write_all(&requests.concat()).unwrap();
    let mut refused = false;
    for (key, (opcode, cas, _, _, value)) in newest {
        let answer = client.next();
        let status = answer.status();
        let right = match status {
            Status::EINTERNAL => {
                refused = true;
                continue;
            }
            Status::KEY_ENOENT => *opcode != Opcode::DCP_MUTATION,
            Status::SUCCESS => {
                let frame = answer.frame();
                *opcode == Opcode::DCP_MUTATION && frame.value == value && frame.header.cas == *cas
            }
            _ => false,
        };
        if !right {
            let key = String::from_utf8_lossy(key).into_owned();
            return Err(format!("GET {key} of vb:{vb} is answered {status}"));
        }
    }
    Ok(refused)
}
