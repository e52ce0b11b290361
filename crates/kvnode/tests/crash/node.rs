//! A data node in a process of its own.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use kvnode::{BucketOptions, Durability, Node, NodeConfig};
use mcbp::VbState;
use relay::Secret;

use crate::client::{Client, DEADLINE, wait_for};

pub(crate) const VBUCKETS: u16 = 8;
const FOLDER: &str = "CRASH_TEST_FOLDER";
const STATE: &str = "CRASH_TEST_STATE";
const DURABILITY: &str = "CRASH_TEST_DURABILITY";
const UNDO: &str = "CRASH_TEST_UNDO_SEQNOS";
/// What the child prints before its port, on a line of its own.
const LISTENING: &str = "listening on port ";
/// The signal of `abort`.
const SIGABRT: i32 = 6;

/// Not a test but the node itself: does nothing unless it was started as one.
#[test]
fn serves_until_it_is_killed() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let mut bucket = BucketOptions::new("default");
    bucket.vbuckets = VBUCKETS;
    if std::env::var(STATE).unwrap() == "replica" {
        bucket.initial_state = Some(VbState::Replica);
    }
    if std::env::var(DURABILITY).unwrap() == "buffered" {
        bucket.durability = Durability::Buffered;
    }
    let listen = "127.0.0.1:0".parse().unwrap();
    let mut config = NodeConfig::new(listen, &folder, bucket, "dcp-proxy", Secret::new("secret"));
    config.limits.worker_threads = 2;
    let node = Node::start_on(config, |_| {
        let undo_seqnos = std::env::var(UNDO).unwrap().parse().unwrap();
        let options = store::Options { undo_seqnos, ..small() };
        Ok(Arc::new(store::FjallStore::open(Path::new(&folder), options).unwrap()))
    });
    let node = node.unwrap();
    wait_for("warm-up", || node.buckets()[0].is_ready());
    println!("\n{LISTENING}{}", node.address().port());
    // The parent closes it to ask for a clean stop.
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    node.shutdown().unwrap();
}

/// Sizes at which little data is already written out and merged.
fn small() -> store::Options {
    store::Options {
        cache_bytes: 1 << 20,
        memtable_bytes: 64 << 10,
        worker_threads: 1,
        ..store::Options::default()
    }
}

/// How a node is started.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) state: VbState,
    pub(crate) durability: Durability,
    /// For how many seqnos of a vBucket replaced documents are kept.
    pub(crate) undo_seqnos: u64,
    /// The setting of [`failpoint`].
    pub(crate) failpoints: &'static str,
}

pub(crate) const ACTIVE: Settings = Settings {
    state: VbState::Active,
    durability: Durability::Synced,
    undo_seqnos: 5_000,
    failpoints: "",
};
pub(crate) const REPLICA: Settings = Settings { state: VbState::Replica, ..ACTIVE };

impl Settings {
    pub(crate) const fn failing_at(self, failpoints: &'static str) -> Self {
        Self { failpoints, ..self }
    }
}

/// A process that may not listen yet.
pub(crate) struct Starting {
    child: Child,
    port: Receiver<u16>,
    folder: PathBuf,
}

impl Starting {
    pub(crate) fn new(folder: &Path, settings: Settings) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["node::serves_until_it_is_killed", "--exact", "--nocapture"]);
        let state = if settings.state == VbState::Replica { "replica" } else { "active" };
        let durability =
            if settings.durability == Durability::Buffered { "buffered" } else { "synced" };
        command.env(FOLDER, folder).env(STATE, state).env(DURABILITY, durability);
        command.env(UNDO, settings.undo_seqnos.to_string());
        command.env(failpoint::VARIABLE, settings.failpoints);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (found, port) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if let Some(port) = line.strip_prefix(LISTENING) {
                    // The parent may no longer listen.
                    let _gone = found.send(port.parse().unwrap());
                }
            }
        });
        Self { child, port, folder: folder.to_owned() }
    }

    /// Waits until it listens; `None` if it ended at a failpoint before that.
    pub(crate) fn listening(mut self) -> Option<TestNode> {
        match self.port.recv_timeout(DEADLINE) {
            Ok(port) => {
                let address = SocketAddr::from(([127, 0, 0, 1], port));
                Some(TestNode { child: self.child, address, folder: self.folder })
            }
            Err(RecvTimeoutError::Disconnected) => {
                assert_aborted(self.child.wait().unwrap());
                None
            }
            Err(RecvTimeoutError::Timeout) => panic!("the node does not start"),
        }
    }

    /// Kills it after `patience`, or as soon as it listens.
    pub(crate) fn kill_within(mut self, patience: Duration) {
        let _listening = self.port.recv_timeout(patience);
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[track_caller]
fn assert_aborted(status: ExitStatus) {
    assert_eq!(status.signal(), Some(SIGABRT), "it did not end at a failpoint: {status}");
}

/// A node that listens. Killed when it is dropped.
pub(crate) struct TestNode {
    child: Child,
    address: SocketAddr,
    pub(crate) folder: PathBuf,
}

impl TestNode {
    /// Starts a node that must come up.
    #[track_caller]
    pub(crate) fn start(folder: &Path, settings: Settings) -> Self {
        Starting::new(folder, settings).listening().expect("the node comes up")
    }

    /// A connection with the features that a replication proxy asks for.
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address, &[0x06, 0x12, 0x0a, 0x0b])
    }

    /// A connection without any feature.
    pub(crate) fn plain_client(&self) -> Client {
        Client::connect(self.address, &[])
    }

    pub(crate) fn kill(mut self) -> PathBuf {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.folder.clone()
    }

    /// Waits until it has ended at a failpoint.
    #[track_caller]
    pub(crate) fn aborted(mut self) -> PathBuf {
        let mut status = None;
        wait_for("the end at a failpoint", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        assert_aborted(status.unwrap());
        self.folder.clone()
    }

    /// Asks for a clean stop.
    #[track_caller]
    pub(crate) fn stop(mut self) -> PathBuf {
        drop(self.child.stdin.take());
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
        self.folder.clone()
    }

    /// Asks for a clean stop, in the middle of which it ends at a failpoint.
    #[track_caller]
    pub(crate) fn abort_while_stopping(mut self) -> PathBuf {
        drop(self.child.stdin.take());
        self.aborted()
    }
}

impl Drop for TestNode {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// Copies a data folder.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
