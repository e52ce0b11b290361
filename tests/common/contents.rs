//! Reads the documents of nodes over the wire and compares each, because equal seqnos prove
//! nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use comparison::{Change, Kind};
use mcbp::dcp::stream_flags;
use mcbp::{Datatype, Frame, FrameBuilder, Opcode, Seqno, StreamEndStatus, VbId, VbState};
use relay::{Client, DcpReader, Endpoint, ReaderOptions, StreamEvent, StreamRange};

use super::node::connect;
use super::until;

/// A document or a deletion, with its value decompressed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Document {
    pub seqno: Seqno,
    pub rev: u64,
    pub cas: u64,
    pub datatype: Datatype,
    pub kind: Kind,
    pub value: Vec<u8>,
}

/// The documents and deletions of a vBucket, by key.
pub type Contents = BTreeMap<Vec<u8>, Document>;

/// Fails if a document or a deletion differs between two nodes that have the same seqnos.
pub async fn same_documents(
    left: &Endpoint,
    right: &Endpoint,
    vbs: impl IntoIterator<Item = VbId>,
) {
    let found = differences(left, right, vbs).await;
    assert!(found.is_empty(), "{} differences: {found:#?}", found.len());
}

/// Waits until both nodes have the same seqnos, then compares every document and deletion.
pub async fn differences(
    left: &Endpoint,
    right: &Endpoint,
    vbs: impl IntoIterator<Item = VbId>,
) -> Vec<String> {
    let mut found = Vec::new();
    let (mut ours, mut theirs) = (connect(left).await.unwrap(), connect(right).await.unwrap());
    for vb in vbs {
        until(&format!("{vb} is at the same seqno on both nodes"), async || {
            (high_seqno(&mut ours, vb).await == high_seqno(&mut theirs, vb).await).then_some(())
        })
        .await;
        let (here, there) = (contents(left, vb).await, contents(right, vb).await);
        found.extend(compare(vb, (&left.name, &here), (&right.name, &there)));
    }
    found
}

/// Fails if a document is missing, older or unknown on a node that took vBuckets over.
pub async fn all_taken_over(from: &Endpoint, to: &Endpoint, vbs: impl IntoIterator<Item = VbId>) {
    let found = left_behind(from, to, vbs).await;
    assert!(found.is_empty(), "{} differences: {found:#?}", found.len());
}

/// Compares the documents of a node when it gave up vBuckets with those of the node that took them
/// over, which may have newer writes.
pub async fn left_behind(
    from: &Endpoint,
    to: &Endpoint,
    vbs: impl IntoIterator<Item = VbId>,
) -> Vec<String> {
    let mut client = connect(from).await.unwrap();
    let mut found = Vec::new();
    for vb in vbs {
        let high = high_seqno(&mut client, vb).await;
        let (mut before, mut now) = (contents(from, vb).await, contents(to, vb).await);
        before.retain(|key, _| now.get(key).is_none_or(|document| document.seqno <= high));
        now.retain(|_, document| document.seqno <= high);
        found.extend(compare(vb, (&from.name, &before), (&to.name, &now)));
    }
    found
}

/// The keys in which two vBuckets differ, with the document of each node.
pub fn compare(vb: VbId, left: (&str, &Contents), right: (&str, &Contents)) -> Vec<String> {
    let keys = left.1.keys().chain(right.1.keys().filter(|key| !left.1.contains_key(*key)));
    let differs = keys.filter(|key| left.1.get(*key) != right.1.get(*key));
    let show = |key: &Vec<u8>, (node, documents): (&str, &Contents)| match documents.get(key) {
        Some(document) => format!("on {node} {}", title(document)),
        None => format!("not on {node}"),
    };
    let line = |key: &Vec<u8>| {
        format!("{vb}: key {:?} is {}, {}", text(key), show(key, left), show(key, right))
    };
    differs.map(line).collect()
}

fn text(key: &[u8]) -> String {
    key.escape_ascii().to_string()
}

fn title(document: &Document) -> String {
    let Document { seqno, rev, cas, datatype, kind, value } = document;
    let crc = crc32fast::hash(value);
    format!(
        "seqno {seqno} rev {rev} cas {cas} {datatype:?} {kind:?} {} bytes {crc:08x}",
        value.len()
    )
}

/// The high seqno of a vBucket in any state.
async fn high_seqno(client: &mut Client, vb: VbId) -> Seqno {
    let stats = client.stats(&format!("vbucket-details {}", vb.0)).await.unwrap();
    let name = format!("vb_{}:high_seqno", vb.0);
    let (_, seqno) = stats.iter().find(|(stat, _)| *stat == name).expect("a high seqno");
    Seqno(seqno.parse().unwrap())
}

/// Reads a whole vBucket. A dead one is made a replica meanwhile, because a dead one is not
/// streamed.
pub async fn contents(node: &Endpoint, vb: VbId) -> Contents {
    let mut client = connect(node).await.unwrap();
    let get = FrameBuilder::request(Opcode::GET_VBUCKET).vbucket(vb);
    let is_dead = client.ask(get).await.unwrap().value.last() == Some(&(VbState::Dead as u8));
    if is_dead {
        client.set_vbucket(vb, VbState::Replica).await.unwrap();
    }
    let high = high_seqno(&mut client, vb).await;
    let contents = read(node, vb, high).await;
    if is_dead {
        client.set_vbucket(vb, VbState::Dead).await.unwrap();
    }
    contents
}

async fn read(node: &Endpoint, vb: VbId, high: Seqno) -> Contents {
    static READERS: AtomicU64 = AtomicU64::new(0);
    let mut contents = Contents::new();
    if high == Seqno::ZERO {
        return contents;
    }
    let name = format!("test-contents-{}-{}", std::process::id(), READERS.fetch_add(1, Relaxed));
    let reader = DcpReader::open(node, ReaderOptions::new("default", &name)).await;
    let mut reader = reader.unwrap();
    // From disk only: a stream from memory may contain changes that later ones replace.
    let flags = stream_flags::DISK_ONLY;
    reader.stream(StreamRange { flags, ..StreamRange::all(vb, high) });
    while let Some(event) = reader.next().await.unwrap() {
        match event {
            StreamEvent::Change { frame, .. } => {
                let (key, document) = document(&frame);
                let before = contents.insert(key.clone(), document);
                assert!(before.is_none(), "{}: {vb} has two of {}", node.name, text(&key));
            }
            StreamEvent::Ended { status: StreamEndStatus::OK, .. }
            | StreamEvent::Opened { .. }
            | StreamEvent::Marker { .. }
            | StreamEvent::Advanced { .. } => {}
            other => panic!("{}: {vb} cannot be read: {other:?}", node.name),
        }
    }
    contents
}

/// The document of a frame, and its key, after the id of its collection unless that is the default
/// one.
pub fn document(frame: &[u8]) -> (Vec<u8>, Document) {
    let frame = Frame::parse(frame).unwrap();
    let Change { seqno, collection, key, rev, cas, datatype, kind, value } =
        Change::decode(&frame).unwrap().expect("a document");
    assert!(!datatype.contains(Datatype::SNAPPY), "the reader takes no compressed values");
    let id = if collection == 0 { String::new() } else { format!("{collection:#x} ") };
    (
        [id.as_bytes(), key].concat(),
        Document { seqno, rev, cas, datatype, kind, value: value.to_vec() },
    )
}
