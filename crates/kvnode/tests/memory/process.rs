//! The process of a node, and how its memory is looked at.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use bytes::BytesMut;
use mcbp::dcp::control_key;
use mcbp::kv::StoreExtras;
use mcbp::{FrameBuilder, Opaque, Opcode, Status, VbId};

use crate::client::{Client, from_zero};

pub(crate) const MIB: u64 = 1 << 20;
pub(crate) const QUOTA_BYTES: u64 = 128 * MIB;
/// What a process takes beside its quota: code, threads, what the allocator keeps.
pub(crate) const OVERHEAD_BYTES: u64 = 64 * MIB;
pub(crate) const VBUCKETS: u16 = 8;
pub(crate) const LARGE_BYTES: usize = 20 << 20;
pub(crate) const FOLDER: &str = "MEMORY_TEST_FOLDER";
pub(crate) const LISTENING: &str = "listening on ";

/// The node's process; killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Process {
    pub(crate) fn start(folder: &std::path::Path) -> Self {
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
    pub(crate) fn bytes(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        let kib: u64 = line.trim_matches([':', '\t', ' ', 'k', 'B']).parse().unwrap();
        kib << 10
    }

    /// Consumers with a stream of every vBucket: two whose window is full, and two that do not read
    /// their sockets.
    pub(crate) fn stalled_consumers(&self) -> Vec<Client> {
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
    pub(crate) fn check(&self, when: &str, beside_bytes: u64, client: &mut Client) {
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

pub(crate) fn store(client: &mut Client, n: u64, value: &[u8], opcode: Opcode) {
    let key = format!("key-{n}");
    let frame = FrameBuilder::request(opcode).vbucket(VbId((n % u64::from(VBUCKETS)) as u16));
    let extras = StoreExtras::default().encode();
    client.send(&frame.extras(&extras).key(key.as_bytes()).value(value).build());
}
