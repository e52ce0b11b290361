//! Measures the control plane: 1,024 vBuckets from 3 producers over 4 connections each are set up,
//! moved to other producers, spread over 8 connections, and shut down.
//!
//! `cargo run --release -p dcp-actors --example setup_1024`
//!
//! The data nodes are fakes in this process that answer at once, over real sockets: the times are
//! ours and the loopback's, the memory is that of both. It asserts nothing.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a measurement may panic")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use dcp_actors::{BucketPlan, ControlLimits, Replication, ReplicationConfig};
use mcbp::dcp::StreamReq;
use mcbp::{Opaque, Opcode, Seqno, Status, VbId, VbUuid};
use relay::testing::{BUCKET, FakeConn, FakePeer, Manners, view};
use replica::plan::{Connections, Desired};

const VBUCKETS: u16 = 1024;
const PRODUCERS: [&str; 3] = ["alpha", "gamma", "delta"];
const CONNECTIONS: u8 = 4;

#[tokio::main]
async fn main() {
    let consumer = FakePeer::bind().await;
    let node = consumer.endpoint("beta");
    tokio::spawn(serve(Arc::new(consumer), play_consumer));
    let mut producers = Vec::new();
    for name in PRODUCERS {
        let peer = FakePeer::bind().await;
        producers.push(peer.endpoint(name));
        tokio::spawn(serve(Arc::new(peer), play_producer));
    }
    let bucket = BucketPlan {
        name: BUCKET.to_owned(),
        connections: Connections::new(CONNECTIONS.into()).expect("1 to 64"),
        desired: Desired::default(),
    };
    // The fakes know nothing of seqnos.
    let limits = ControlLimits { lag_interval: None, ..ControlLimits::default() };
    let config = ReplicationConfig { node, producers, buckets: vec![bucket], limits };
    let handle = Replication::start(config).expect("threads");
    println!("{:<42} {:>9} {:>9}", "", "ms", "RSS MiB");
    report("started", Duration::ZERO);

    let started = Instant::now();
    let open = handle.set_desired(BUCKET, map(0)).await.expect("every stream opens");
    report(&format!("set-up, {open} streams on 12 links"), started.elapsed());

    let started = Instant::now();
    handle.set_desired(BUCKET, map(1)).await.expect("every stream moves");
    report("change of map, every stream moves", started.elapsed());

    let started = Instant::now();
    handle.set_connections(BUCKET, 2 * CONNECTIONS).await.expect("half of them move");
    report("4 to 8 connections, half of them move", started.elapsed());

    let started = Instant::now();
    let status = handle.status().await;
    report(&format!("status of {} links", status[0].links.len()), started.elapsed());

    let started = Instant::now();
    assert!(handle.shutdown(Duration::from_secs(10)).await, "in time");
    report("shutdown", started.elapsed());
}

/// Every vBucket from one producer, or from its neighbour.
fn map(shift: u16) -> BTreeMap<String, BTreeSet<VbId>> {
    let mut map: BTreeMap<String, BTreeSet<VbId>> = BTreeMap::new();
    for vb in 0..VBUCKETS {
        let producer = PRODUCERS[usize::from(vb + shift) % PRODUCERS.len()];
        map.entry(producer.to_owned()).or_default().insert(VbId(vb));
    }
    map
}

fn report(what: &str, took: Duration) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = kib.and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok());
    let mib = kib.map_or_else(|| "unknown".to_owned(), |kib| format!("{:.1}", kib / 1024.0));
    println!("{what:<42} {:>9.1} {mib:>9}", took.as_secs_f64() * 1000.0);
}

/// Takes every connection and lets `play` answer on it.
async fn serve<F: Future<Output = ()> + Send + 'static>(
    peer: Arc<FakePeer>,
    play: fn(FakeConn) -> F,
) {
    loop {
        let conn = peer.accept(&Manners::default()).await;
        tokio::spawn(play(conn));
    }
}

async fn play_producer(mut conn: FakeConn) {
    let log = [0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0];
    while let Some(frame) = conn.recv().await {
        let header = view(&frame).header;
        match header.opcode {
            Opcode::DCP_STREAM_REQ => {
                conn.answer_with(&frame, Status::SUCCESS, &[], &log).await;
            }
            Opcode::DCP_CLOSE_STREAM => conn.answer(&frame, Status::SUCCESS).await,
            _ => {}
        }
    }
}

async fn play_consumer(mut conn: FakeConn) {
    let (mut asked, mut count) = (HashMap::<Opaque, Bytes>::new(), 0_u32);
    while let Some(frame) = conn.recv().await {
        let header = view(&frame).header;
        match (header.opcode, header.is_request()) {
            (Opcode::DCP_ADD_STREAM, true) => {
                count += 1;
                let opaque = Opaque(count.swap_bytes());
                conn.send_raw(&stream_request(header.vbucket(), opaque)).await;
                asked.insert(opaque, frame);
            }
            (Opcode::DCP_STREAM_REQ, false) => {
                let add = asked.remove(&header.opaque).expect("asked for");
                let number = header.opaque.0.swap_bytes().to_be_bytes();
                conn.answer_with(&add, Status::SUCCESS, &number, &[]).await;
            }
            (Opcode::DCP_CLOSE_STREAM, true) => conn.answer(&frame, Status::SUCCESS).await,
            _ => {}
        }
    }
}

fn stream_request(vb: VbId, opaque: Opaque) -> BytesMut {
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
    request.write(vb, opaque, &mut out);
    out
}
