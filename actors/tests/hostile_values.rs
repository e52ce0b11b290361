//! Frames with extreme and inconsistent values, from either node of a link, about one vBucket. The
//! oracle: other vBuckets of the link and other links are served as before, and a link that ends
//! because a frame was malformed is opened again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "tests"
)]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::cluster::{Cluster, answer};
use common::{Link, PATIENCE, Pending, brisk, status_until};
use dcp_actors::{BucketStatus, StreamPhase};
use mcbp::{Datatype, FrameBuilder, Opaque, Opcode, Status, VbId};
use relay::testing::{FakeConn, mutation, view};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How many frames each round sends, and how many rounds there are.
const FRAMES: usize = 40;
const ROUNDS: u64 = 150;

const OPCODES: [Opcode; 18] = [
    Opcode::DCP_ADD_STREAM,
    Opcode::DCP_CLOSE_STREAM,
    Opcode::DCP_STREAM_REQ,
    Opcode::DCP_STREAM_END,
    Opcode::DCP_SNAPSHOT_MARKER,
    Opcode::DCP_MUTATION,
    Opcode::DCP_DELETION,
    Opcode::DCP_EXPIRATION,
    Opcode::DCP_SET_VBUCKET_STATE,
    Opcode::DCP_NOOP,
    Opcode::DCP_BUFFER_ACK,
    Opcode::DCP_CONTROL,
    Opcode::DCP_SYSTEM_EVENT,
    Opcode::DCP_SEQNO_ADVANCED,
    Opcode::DCP_OSO_SNAPSHOT,
    Opcode::GET,
    Opcode::STAT,
    Opcode(0xef),
];
const NUMBERS: [u64; 7] = [0, 1, 2, 1 << 32, 1 << 63, u64::MAX - 1, u64::MAX];
const EXTRAS_BYTES: [usize; 10] = [0, 1, 4, 8, 12, 16, 20, 28, 31, 48];
const STATUSES: [u16; 8] = [0, 1, 0x02, 0x22, 0x23, 0x86, 0x88, 0xffff];

/// A frame that is well-formed as a frame, and of the vBucket or the opaque that is given; nothing
/// else about it has to make sense.
fn frame(random: &mut fastrand::Rng, vb: VbId, opaques: &[Opaque]) -> Bytes {
    let opcode = *random.choice(OPCODES.iter()).unwrap();
    let opaque = *random.choice(opaques.iter()).unwrap();
    let numbers = |random: &mut fastrand::Rng, bytes: usize| {
        let mut all = Vec::new();
        while all.len() < bytes {
            all.extend(random.choice(NUMBERS.iter()).unwrap().to_be_bytes());
        }
        all.truncate(bytes);
        all
    };
    let extras_bytes = *random.choice(EXTRAS_BYTES.iter()).unwrap();
    let extras = numbers(random, extras_bytes);
    let key = numbers(random, extras_bytes % 3 * 100);
    let value_bytes = *random.choice([0, 7, 8, 16, 4096].iter()).unwrap();
    let value = numbers(random, value_bytes);
    let head = if random.bool() {
        FrameBuilder::request(opcode).vbucket(vb)
    } else {
        FrameBuilder::response(opcode, Status(*random.choice(STATUSES.iter()).unwrap()))
    };
    let cas = *random.choice(NUMBERS.iter()).unwrap();
    head.opaque(opaque)
        .cas(cas)
        .datatype(Datatype(random.u8(..)))
        .extras(&extras)
        .key(&key)
        .value(&value)
        .build()
}

/// Reads what the other node gets until the row of this opaque and vBucket, or the end.
async fn sees_row(conn: &mut FakeConn, vb: VbId, opaque: Opaque) -> bool {
    while let Some(bytes) = conn.recv().await {
        let header = view(&bytes).header;
        if header.opcode == Opcode::DCP_MUTATION
            && header.is_request()
            && (header.vbucket(), header.opaque) == (vb, opaque)
        {
            return true;
        }
    }
    false
}

async fn row_passes(link: &mut Link, stream: &Pending, seqno: u64) -> bool {
    let row = mutation(stream.vb, stream.opaque, seqno, 10);
    if link.producer.try_send_raw(&row).await.is_err() {
        return false;
    }
    let seen = sees_row(&mut link.consumer, stream.vb, stream.opaque);
    timeout(PATIENCE, seen).await.expect("a row or an end in time")
}

fn is_open(bucket: &BucketStatus, vb: u16) -> bool {
    let mut streams = bucket.links.iter().flat_map(|link| &link.streams);
    streams.any(|stream| stream.vbucket == vb && stream.phase == StreamPhase::Open)
}

/// Both nodes open every stream that is asked for, on every link that is opened: on a busy machine
/// one may end again before it has its streams.
async fn play_well(cluster: &mut Cluster) {
    let mut links = JoinSet::new();
    loop {
        links.spawn(plays_well(cluster.accept().await));
    }
}

async fn plays_well(mut link: Link) {
    let mut pending: Vec<Pending> = Vec::new();
    loop {
        tokio::select! {
            bytes = link.consumer.recv() => {
                let Some(bytes) = bytes else { return };
                let header = view(&bytes).header;
                match header.opcode {
                    Opcode::DCP_ADD_STREAM => pending.push(link.ask(bytes).await),
                    Opcode::DCP_STREAM_REQ => {
                        let stream = pending.iter().find(|p| p.opaque == header.opaque).unwrap();
                        link.added(stream, header.status()).await;
                    }
                    _ => {}
                }
            }
            bytes = link.producer.recv() => {
                let Some(bytes) = bytes else { return };
                if view(&bytes).opcode() == Opcode::DCP_STREAM_REQ {
                    let log = [0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0];
                    link.producer.answer_with(&bytes, Status::SUCCESS, &[], &log).await;
                }
            }
        }
    }
}

async fn plays(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut cluster = Cluster::start(brisk(), &["alpha", "gamma"]).await;
    let set_up = cluster.set(&[("alpha", &[1, 2]), ("gamma", &[3])]);
    let (first, second) = (cluster.accept().await, cluster.accept().await);
    let is_alpha = |link: &Link| link.consumer.opened.as_ref().unwrap().name.contains("alpha->");
    let (mut link, mut other) = if is_alpha(&first) { (first, second) } else { (second, first) };
    let (streams, [three]) = (link.requests::<2>().await, other.requests().await);
    for stream in &streams {
        link.open(stream).await;
    }
    other.open(&three).await;
    assert_eq!(answer(set_up).await, Ok(3));
    let [one, two] = streams;
    let opaques = [one.opaque, view(&one.add).header.opaque, Opaque(0xdead), Opaque(u32::MAX)];

    let from_producer = random.bool();
    for seqno in 1..=FRAMES as u64 {
        let bytes = frame(&mut random, one.vb, &opaques);
        let sender = if from_producer { &mut link.producer } else { &mut link.consumer };
        // An error is the end of a link, which is looked at below.
        let _gone = timeout(PATIENCE, sender.try_send_raw(&bytes)).await.expect("room in time");
        assert!(row_passes(&mut other, &three, seqno).await, "the other link");
    }
    // The neighbour on the same link, unless a frame was malformed: then the link is made anew.
    // That may come after the row has passed: the two directions do not wait for each other.
    let passes = row_passes(&mut link, &two, 1).await;
    let _in_use = passes.then_some(link);
    let handle = cluster.handle.clone();
    tokio::select! {
        () = play_well(&mut cluster) => {}
        _ = status_until(&handle, |bucket| is_open(bucket, 2)) => {}
    }
    let status = cluster.status_until(|bucket| is_open(bucket, 3)).await;
    let gamma = status.links.iter().find(|link| link.producer == "gamma").unwrap();
    assert_eq!((gamma.failures, gamma.last_error.as_ref()), (0, None), "the other link");
    assert!(row_passes(&mut other, &three, 1 << 40).await);
    // The fakes do not answer CLOSE_STREAM; the links are dropped at once.
    cluster.handle.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn extreme_frames_about_one_vbucket_harm_neither_its_neighbours_nor_other_links() {
    for seed in 0..ROUNDS {
        println!("seed {seed}");
        plays(seed).await;
    }
}
