//! Commits by the worker of the session that waits for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kvnode::NodeHandle;
use mcbp::{FrameBuilder, Opcode, Status};

use crate::support::client::{Client, set};
use crate::support::memory_store::Disk;
use crate::support::{DEADLINE, OnDrop, buffered, eventually, options, start_in_memory};

/// The name of a worker's thread.
const WORKER: &str = "kvnode";

/// Writes until a worker commits: one does for all nodes of the process.
fn write_until_by_worker(client: &mut Client, disk: &Disk) {
    let began = Instant::now();
    while disk.committer() != WORKER {
        assert!(began.elapsed() < DEADLINE, "no worker commits");
        assert_eq!(client.set(0, "a", "1").status, Status::SUCCESS);
    }
}

/// A disk that does not answer until this is dropped: a node does not end before.
struct Frozen(Arc<Disk>);

impl Drop for Frozen {
    fn drop(&mut self) {
        self.0.release();
    }
}

/// A node with a worker that waits for the disk, and the client whose change it commits.
fn stuck_in_commit(disk: &Arc<Disk>) -> (NodeHandle, Client, Frozen) {
    let node = start_in_memory(disk, buffered());
    let mut client = Client::ready(&node);
    let frozen = freeze_in_commit(&mut client, disk);
    (node, client, frozen)
}

/// Freezes the disk while a worker commits a change of `client`, whose answer is to be read.
fn freeze_in_commit(client: &mut Client, disk: &Arc<Disk>) -> Frozen {
    let began = Instant::now();
    loop {
        assert!(began.elapsed() < DEADLINE, "no worker waits for the disk");
        write_until_by_worker(client, disk);
        disk.hold();
        let frozen = Frozen(Arc::clone(disk));
        client.send(&set(Opcode::SET, 0, "a", "2", &[0; 8]));
        eventually("a commit waits", || disk.waiting() == 1);
        if disk.committer() == WORKER {
            return frozen;
        }
        drop(frozen);
        assert_eq!(client.receive().status, Status::SUCCESS);
    }
}

#[test]
fn a_client_that_writes_alone_wakes_no_other_thread() {
    for options in [buffered(), options()] {
        let disk = Disk::new();
        let node = start_in_memory(&disk, options);
        write_until_by_worker(&mut Client::ready(&node), &disk);
        node.shutdown().unwrap();
    }
}

#[test]
fn after_a_commit_that_took_long_the_next_is_left_to_the_committer() {
    for options in [buffered(), options()] {
        let disk = Disk::new();
        let node = start_in_memory(&disk, options);
        let mut client = Client::ready(&node);
        let frozen = freeze_in_commit(&mut client, &disk);
        let began = Instant::now();
        eventually("a moment", || began.elapsed() > Duration::from_millis(1));
        drop(frozen);
        assert_eq!(client.receive().status, Status::SUCCESS);
        assert_eq!(client.set(0, "a", "3").status, Status::SUCCESS);
        assert_ne!(disk.committer(), WORKER);
        node.shutdown().unwrap();
    }
}

#[test]
fn requests_that_come_together_are_left_to_the_committer() {
    let disk = Disk::new();
    let node = start_in_memory(&disk, buffered());
    let mut client = Client::ready(&node);
    write_until_by_worker(&mut client, &disk);
    let pipeline = [1, 2].map(|n| set(Opcode::SET, n, "a", "1", &[0; 8]).build()).concat();
    client.send_bytes(&pipeline);
    assert_eq!([client.receive().status, client.receive().status], [Status::SUCCESS; 2]);
    assert_ne!(disk.committer(), WORKER);
    node.shutdown().unwrap();
}

/// The worker had taken the events of the sockets, and no other one looked there.
#[test]
fn a_worker_that_waits_for_the_disk_holds_up_no_other_client() {
    let disk = Disk::new();
    let (node, mut client, frozen) = stuck_in_commit(&disk);
    let mut other = Client::ready(&node);
    for _ in 0..10 {
        assert_eq!(other.get(1, "b").status, Status::KEY_ENOENT);
    }
    other.send(&set(Opcode::SET, 1, "b", "1", &[0; 8]));
    assert_eq!(Client::ready(&node).get(2, "c").status, Status::KEY_ENOENT);
    drop(frozen);
    assert_eq!(client.receive().status, Status::SUCCESS);
    assert_eq!(other.receive().status, Status::SUCCESS);
    node.shutdown().unwrap();
}

/// Clients that have used up their turn are put off until their worker is idle.
#[test]
fn a_worker_that_waits_for_the_disk_keeps_no_client_that_is_put_off() {
    let disk = Disk::new();
    let node = start_in_memory(&disk, buffered());
    let mut client = Client::ready(&node);
    let answered = [const { AtomicUsize::new(0) }; 3];
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for answered in &answered {
            let reader = Client::ready(&node);
            scope.spawn(|| read_without_end(reader, answered, &done));
        }
        let _done = OnDrop(&done);
        for _ in 0..8 {
            let frozen = freeze_in_commit(&mut client, &disk);
            for answered in &answered {
                let before = answered.load(Ordering::Relaxed);
                eventually("the reader goes on", || answered.load(Ordering::Relaxed) > before + 2);
            }
            drop(frozen);
            assert_eq!(client.receive().status, Status::SUCCESS);
        }
    });
    node.shutdown().unwrap();
}

/// Looks for a document in pipelines of many turns, and counts them.
fn read_without_end(mut reader: Client, answered: &AtomicUsize, done: &AtomicBool) {
    const PIPELINE: usize = 3000;
    let requests = FrameBuilder::request(Opcode::GET).key(b"b").build().repeat(PIPELINE);
    while !done.load(Ordering::Relaxed) {
        reader.send_bytes(&requests);
        for _ in 0..PIPELINE {
            reader.receive();
        }
        answered.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_node_that_stops_waits_for_the_worker_that_commits() {
    let disk = Disk::new();
    let (node, mut client, frozen) = stuck_in_commit(&disk);
    let mut other = Client::ready(&node);
    let stopping = thread::spawn(|| node.shutdown());
    // Its connections end first.
    assert!(other.try_receive().is_none());
    drop(frozen);
    assert_eq!(client.receive().status, Status::SUCCESS);
    stopping.join().unwrap().unwrap();
    let node = start_in_memory(&disk, buffered());
    assert_eq!(Client::ready(&node).get(0, "a").value, b"2");
    node.shutdown().unwrap();
}
