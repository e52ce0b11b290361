//! A data node stays within its quota while consumers do not read, and they miss nothing.
//!
//! The node runs in a process of its own, this test program started again, so that its memory can
//! be looked at; the figures are printed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

#[path = "dcp/client.rs"]
#[allow(dead_code, reason = "shared with the tests of DCP")]
mod client;

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use bytes::BytesMut;
use client::{Client, from_zero, wait_for};
use kvnode::{BucketOptions, Durability, Node, NodeConfig};
use mcbp::dcp::control_key;
use mcbp::kv::StoreExtras;
use mcbp::{FrameBuilder, Opaque, Opcode, Status, VbId};
use relay::Secret;

/// That of the program `kvnode`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const MIB: u64 = 1 << 20;
const QUOTA_BYTES: u64 = 128 * MIB;
/// What a process takes beside its quota: code, threads, what the allocator keeps.
const OVERHEAD_BYTES: u64 = 64 * MIB;
/// How often a document larger than the tables in memory is there while it is written: in the read
/// buffer (up to twice), as a value, as a row, in the journal's buffer, in up to four tables.
const LARGE_COPIES: u64 = 9;
/// And for each connection that streams such documents: one that waits to be sent, one that goes
/// out.
const LARGE_COPIES_HELD: u64 = 2;
const VBUCKETS: u16 = 8;
const KEYS: u64 = 8_000;
const ROUNDS: u64 = 10;
const VALUE_BYTES: usize = 4_096;
const LARGE_BYTES: usize = 20 << 20;
const FOLDER: &str = "MEMORY_TEST_FOLDER";
const LISTENING: &str = "listening on ";

/// Not a test but the node itself: does nothing unless it was started as one.
#[test]
fn serves_until_its_input_ends() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let mut bucket = BucketOptions::new("default");
    bucket.vbuckets = VBUCKETS;
    bucket.durability = Durability::Buffered;
    bucket.set_quota(QUOTA_BYTES);
    let listen = "127.0.0.1:0".parse().unwrap();
    let mut config = NodeConfig::new(listen, &folder, bucket, "dcp-proxy", Secret::new("secret"));
    config.limits.worker_threads = 2;
    let node = Node::start(config).unwrap();
    wait_for("warm-up", || node.buckets()[0].is_ready());
    println!("\n{LISTENING}{}", node.address());
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

/// The node's process; killed when it is dropped.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    fn start(folder: &std::path::Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["serves_until_its_input_ends", "--exact", "--nocapture"]);
        command.env(FOLDER, folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut addresses = lines.map_while(Result::ok);
        let address = addresses.find_map(|line| line.strip_prefix(LISTENING)?.parse().ok());
        Self { child, address: address.expect("the node comes up") }
    }

    /// A line of the process's status in /proc, in bytes.
    fn bytes(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        let kib: u64 = line.trim_matches([':', '\t', ' ', 'k', 'B']).parse().unwrap();
        kib << 10
    }

    /// Consumers with a stream of every vBucket: two whose window is full, and two that do not read
    /// their sockets.
    fn stalled_consumers(&self) -> Vec<Client> {
        let stalled = |n| {
            let mut consumer = Client::connect(self.address, &[]).produce(&format!("stalled-{n}"));
            let window = if n < 2 { "65536" } else { "0" };
            let set = consumer.control(control_key::CONNECTION_BUFFER_SIZE, window);
            assert_eq!(set, Status::SUCCESS);
            // All at once, before anything of the first one has come.
            let mut requests = BytesMut::new();
            (0..VBUCKETS).map(VbId).for_each(|vb| from_zero().write(vb, Opaque(1), &mut requests));
            consumer.send(&requests);
            consumer
        };
        (0..4).map(stalled).collect()
    }

    #[track_caller]
    fn check(&self, when: &str, beside_bytes: u64, client: &mut Client) {
        let (now, peak) = (self.bytes("VmRSS"), self.bytes("VmHWM"));
        let used: u64 = client.stat("", "mem_used").parse().unwrap();
        let [now_mib, peak_mib, used_mib] = [now, peak, used].map(|bytes| bytes / MIB);
        println!("{when}: RSS {now_mib} MiB, at most {peak_mib} MiB; mem_used {used_mib} MiB");
        assert!(peak <= QUOTA_BYTES + beside_bytes, "{when}: {peak} bytes");
        assert!(used <= QUOTA_BYTES, "{when}: {used} bytes in use");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn store(client: &mut Client, n: u64, value: &[u8], opcode: Opcode) {
    let key = format!("key-{n}");
    let frame = FrameBuilder::request(opcode).vbucket(VbId((n % u64::from(VBUCKETS)) as u16));
    let extras = StoreExtras::default().encode();
    client.send(&frame.extras(&extras).key(key.as_bytes()).value(value).build());
}

/// What was written in a round: its number in front, then bytes that do not compress.
fn value(round: u64, noise: &[u8]) -> Vec<u8> {
    [&round.to_be_bytes(), noise].concat()
}

fn high_seqnos(client: &mut Client) -> Vec<u64> {
    let high = |vb| client.stat("vbucket-seqno", &format!("vb_{vb}:high_seqno")).parse().unwrap();
    (0..VBUCKETS).map(high).collect()
}

/// Reads until all vBuckets are at `highs`; gives what each document ended with.
fn catch_up(consumer: &mut Client, highs: &[u64]) -> HashMap<Vec<u8>, u64> {
    let mut at = vec![0; highs.len()];
    let mut documents = HashMap::new();
    while at != highs {
        let packet = consumer.next();
        assert_ne!(packet.opcode(), Opcode::DCP_STREAM_END, "{packet:?}");
        if packet.is_change() {
            let seen = &mut at[usize::from(packet.vb())];
            assert!(packet.seqno() > *seen, "{packet:?} after {seen}");
            *seen = packet.seqno();
            let frame = packet.frame();
            let round = frame.value.first_chunk().map(|round| u64::from_be_bytes(*round));
            documents.insert(frame.key.to_vec(), round.unwrap());
        }
    }
    documents
}

#[test]
fn memory_stays_within_the_quota_while_consumers_do_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let node = Process::start(folder.path());
    let mut stalled = node.stalled_consumers();
    let mut writer = Client::connect(node.address, &[]);
    let noise: Vec<u8> =
        (0..VALUE_BYTES as u64).map(|n| ((n * n * 2_654_435_761) >> 7) as u8).collect();
    for round in 1..=ROUNDS {
        (0..KEYS).for_each(|n| store(&mut writer, n, &value(round, &noise), Opcode::SETQ));
        node.check(&format!("round {round}"), OVERHEAD_BYTES, &mut writer);
    }
    let large = value(ROUNDS, &noise.repeat(LARGE_BYTES / VALUE_BYTES - 1));
    for n in 0..6 {
        store(&mut writer, KEYS + n * u64::from(VBUCKETS), &large, Opcode::SETQ);
    }
    let with_large = OVERHEAD_BYTES + LARGE_COPIES * LARGE_BYTES as u64;
    node.check("after the large documents", with_large, &mut writer);
    let highs = high_seqnos(&mut writer);
    let written = highs.iter().sum::<u64>();
    assert_eq!(written, KEYS * ROUNDS + 6);
    for consumer in &mut stalled {
        let set = consumer.control(control_key::CONNECTION_BUFFER_SIZE, "0");
        assert_eq!(set, Status::SUCCESS);
        let documents = catch_up(consumer, &highs);
        assert_eq!(documents.len() as u64, KEYS + 6);
        assert!(documents.values().all(|&round| round == ROUNDS), "a document is not the newest");
    }
    let sending = stalled.len() as u64 * LARGE_COPIES_HELD * LARGE_BYTES as u64;
    node.check("after all have caught up", with_large + sending, &mut writer);
}

#[test]
fn streams_of_large_documents_hold_a_few_of_them_whatever_their_number() {
    let folder = tempfile::tempdir().unwrap();
    let node = Process::start(folder.path());
    let mut writer = Client::connect(node.address, &[]);
    let noise: Vec<u8> = (0..LARGE_BYTES as u64 - 8).map(|n| ((n * n) >> 7) as u8).collect();
    let large = value(1, &noise);
    (0..u64::from(VBUCKETS)).for_each(|vb| store(&mut writer, vb, &large, Opcode::SETQ));
    let written = OVERHEAD_BYTES + LARGE_COPIES * LARGE_BYTES as u64;
    node.check("after writing", written, &mut writer);
    let mut stalled = node.stalled_consumers();
    let are_stuck = |client: &mut Client| {
        let stats = client.stats("dcp");
        let sent = stats.iter().filter(|(name, _)| name.ends_with(":total_bytes_sent"));
        sent.filter(|(_, bytes)| bytes.parse::<usize>().unwrap() >= LARGE_BYTES).count() == 4
    };
    let one_each = stalled.len() as u64 * LARGE_BYTES as u64;
    wait_for("a document for each", || are_stuck(&mut writer));
    let sending = written + LARGE_COPIES_HELD * one_each;
    node.check("while nobody reads", sending, &mut writer);
    let highs = high_seqnos(&mut writer);
    for consumer in &mut stalled {
        let set = consumer.control(control_key::CONNECTION_BUFFER_SIZE, "0");
        assert_eq!(set, Status::SUCCESS);
        let documents = catch_up(consumer, &highs);
        assert_eq!(documents.len(), usize::from(VBUCKETS));
    }
    node.check("after all have caught up", sending, &mut writer);
}
