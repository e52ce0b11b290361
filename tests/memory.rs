//! The program `kvnode` stays within its quota and 64 MiB under many busy connections.
//!
//! Its threads free memory that other threads have allocated, so this also tests the allocator and
//! its overhead. The figures are printed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mcbp::kv::StoreExtras;
use mcbp::{FrameBuilder, HEADER_BYTES, Header, Opcode, Status, VbId};

const QUOTA_MIB: u64 = 100;
/// What a process needs in addition to its quota: code, threads, memory kept by the allocator.
const BESIDE_MIB: u64 = 64;
const CONNECTIONS: u64 = 16;
const DEPTH: u64 = 64;
/// For each connection: rounds of `DEPTH` sets, and the same number of gets.
const ROUNDS: u64 = 240;
const DOCUMENTS: u64 = 150_000;
const VBUCKETS: u64 = 1024;
const VALUE: [u8; 256] = [0xa5; 256];
const PATIENCE: Duration = Duration::from_secs(60);

/// A node as a process; killed when it is dropped.
struct Node {
    child: Child,
    port: u16,
}

impl Node {
    fn start(folder: &Path) -> Self {
        let path = |name: &str| folder.join(name).display().to_string();
        std::fs::write(path("password"), "secret").unwrap();
        let config = format!(
            "[[bucket]]\nname = \"default\"\nvbuckets = {VBUCKETS}\nstate = \"active\"\n\
             durability = \"buffered\"\nquota_mib = {QUOTA_MIB}\n\
             [[user]]\nname = \"user\"\npassword = {{ file = {:?} }}\n",
            path("password")
        );
        std::fs::write(path("kvnode.toml"), config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_kvnode"));
        command.args(["--listen", "127.0.0.1:0", "--data", &path("data")]);
        command.args(["--config", &path("kvnode.toml"), "--port-file", &path("port")]);
        let child = command.stderr(Stdio::null()).spawn().unwrap();
        let mut node = Self { child, port: 0 };
        node.port = until("the node listens", || {
            std::fs::read_to_string(path("port")).ok()?.strip_suffix('\n')?.parse().ok()
        });
        node
    }

    /// A value of the process's status in /proc, in MiB.
    fn mib(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_matches([':', '\t', ' ', 'k', 'B']).parse::<u64>().unwrap() >> 10
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A connection with many requests in flight.
struct Connection(TcpStream);

impl Connection {
    fn open(node: &Node) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", node.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut connection = Self(stream);
        let auth = FrameBuilder::request(Opcode::SASL_AUTH).key(b"PLAIN").value(b"\0user\0secret");
        assert_eq!(connection.ask(&auth), Status::SUCCESS);
        let select = FrameBuilder::request(Opcode::SELECT_BUCKET).key(b"default");
        assert_eq!(connection.ask(&select), Status::SUCCESS);
        let get = FrameBuilder::request(Opcode::GET).key(b"nothing");
        until("warm-up ends", || (connection.ask(&get) == Status::KEY_ENOENT).then_some(()));
        connection
    }

    fn ask(&mut self, request: &FrameBuilder<'_>) -> Status {
        self.0.write_all(&request.build()).unwrap();
        self.answer()
    }

    fn answer(&mut self) -> Status {
        let mut header = [0; HEADER_BYTES];
        self.0.read_exact(&mut header).unwrap();
        let header = Header::decode(&header).unwrap();
        self.0.read_exact(&mut vec![0; header.frame_bytes() - HEADER_BYTES]).unwrap();
        header.status()
    }

    /// Sets documents, then reads others, `DEPTH` at a time; `stream` shuffles which. Says how many
    /// sets were taken.
    fn work(&mut self, stream: u64) -> u64 {
        let mut taken = 0;
        let extras = StoreExtras::default().encode();
        for round in 0..ROUNDS * 2 {
            let mut out = Vec::new();
            for n in 0..DEPTH {
                let n = (round * DEPTH + n) * CONNECTIONS + stream;
                let n = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % DOCUMENTS;
                let key = format!("document-{n:010}");
                let is_set = round < ROUNDS;
                let opcode = if is_set { Opcode::SET } else { Opcode::GET };
                let request = FrameBuilder::request(opcode).key(key.as_bytes());
                let request = request.vbucket(VbId(u16::try_from(n % VBUCKETS).unwrap()));
                let set = request.extras(&extras).value(&VALUE);
                out.extend_from_slice(&if is_set { set } else { request }.build());
            }
            self.0.write_all(&out).unwrap();
            for _ in 0..DEPTH {
                let status = self.answer();
                let is_missing = round >= ROUNDS && status == Status::KEY_ENOENT;
                // A node whose disk is too slow refuses writes instead of using more memory.
                let is_refused = round < ROUNDS && status == Status::ETMPFAIL;
                assert!(status == Status::SUCCESS || is_missing || is_refused, "{status}");
                taken += u64::from(round < ROUNDS && status == Status::SUCCESS);
            }
        }
        taken
    }
}

#[track_caller]
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = look() {
            return value;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn sixteen_busy_connections_leave_it_within_its_quota() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(folder.path());
    let taken: u64 = std::thread::scope(|scope| {
        let open = |stream| {
            let mut connection = Connection::open(&node);
            scope.spawn(move || connection.work(stream))
        };
        let threads: Vec<_> = (0..CONNECTIONS).map(open).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert!(taken >= DOCUMENTS, "{taken} sets were taken: too few to fill anything");
    let (now, peak) = (node.mib("VmRSS"), node.mib("VmHWM"));
    println!("RSS {now} MiB, at most {peak} MiB, quota {QUOTA_MIB} MiB");
    assert!(peak <= QUOTA_MIB + BESIDE_MIB, "{peak} MiB for a quota of {QUOTA_MIB} MiB");
}
