//! Commits by the worker of the session that waits for them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use kvnode::NodeHandle;
use kvnode::bucket::BucketOptions;
use mcbp::{Opcode, Status};

use crate::memory_first::{MAJORITY, topology_of_one};
use crate::support::client::{Client, set};
use crate::support::memory_store::{Disk, Frozen};
use crate::support::{DEADLINE, buffered, eventually, options, start_in_memory};

/// The name of a worker's thread.
const WORKER: &str = "kvnode";

/// One worker of the process commits at a time. A test that holds it for long would keep it from
/// another one for longer than that waits.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes until a worker commits: one does for all nodes of the process.
fn write_until_by_worker(client: &mut Client, disk: &Disk) {
    let began = Instant::now();
    while disk.committer() != WORKER {
        assert!(began.elapsed() < DEADLINE, "no worker commits");
        assert_eq!(client.set(0, "a", "1").status, Status::SUCCESS);
    }
}

/// A node with a worker that waits for the disk, and the client whose change it commits.
fn stuck_in_commit(disk: &Arc<Disk>, options: BucketOptions) -> (NodeHandle, Client, Frozen) {
    let node = start_in_memory(disk, options);
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
        let frozen = Frozen::new(disk);
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
fn a_client_that_writes_alone_does_not_wake_the_committer() {
    let _alone = alone();
    for options in [buffered(), options()] {
        let disk = Disk::new();
        let node = start_in_memory(&disk, options);
        write_until_by_worker(&mut Client::ready(&node), &disk);
        node.shutdown().unwrap();
    }
}

/// Lets a commit that waits take longer than a worker is to wait.
fn outlast_patience() {
    let began = Instant::now();
    eventually("a moment", || began.elapsed() > Duration::from_millis(1));
}

#[test]
fn after_a_commit_that_took_long_the_next_is_left_to_the_committer() {
    let _alone = alone();
    for options in [buffered(), options()] {
        let disk = Disk::new();
        let (node, mut client, frozen) = stuck_in_commit(&disk, options);
        outlast_patience();
        drop(frozen);
        assert_eq!(client.receive().status, Status::SUCCESS);
        assert_eq!(client.set(0, "a", "3").status, Status::SUCCESS);
        assert_ne!(disk.committer(), WORKER);
        node.shutdown().unwrap();
    }
}

/// A node whose vBucket 0 takes durable writes, and a client whose changes a worker commits.
fn with_durable_writes(disk: &Arc<Disk>) -> (NodeHandle, Client) {
    let node = start_in_memory(disk, options());
    let mut client = Client::ready(&node);
    assert_eq!(client.call(&topology_of_one()).status, Status::SUCCESS);
    write_until_by_worker(&mut client, disk);
    (node, client)
}

#[test]
fn a_durable_write_is_left_to_the_committer() {
    let _alone = alone();
    let disk = Disk::new();
    let (node, mut client) = with_durable_writes(&disk);
    for _ in 0..20 {
        let before = disk.commits().len();
        let written = client.call(&set(Opcode::SET, 0, "d", "1", &[0; 8]).framing(&MAJORITY));
        assert_eq!(written.status, Status::SUCCESS);
        eventually("it is prepared and committed", || disk.commits().len() == before + 2);
        assert_ne!(disk.committer(), WORKER);
    }
    node.shutdown().unwrap();
}

/// The row that commits a durable write needs no sync.
#[test]
fn a_quick_commit_without_a_sync_does_not_tell_that_syncs_are_quick() {
    let _alone = alone();
    let disk = Disk::new();
    let (node, mut client) = with_durable_writes(&disk);
    let before = disk.commits().len();
    disk.hold();
    let frozen = Frozen::new(&disk);
    client.send(&set(Opcode::SET, 0, "d", "1", &[0; 8]).framing(&MAJORITY));
    eventually("the prepare waits", || disk.waiting() == 1);
    outlast_patience();
    drop(frozen);
    assert_eq!(client.receive().status, Status::SUCCESS);
    eventually("it is committed", || disk.commits().len() == before + 2);
    assert_eq!(client.set(0, "a", "3").status, Status::SUCCESS);
    assert_ne!(disk.committer(), WORKER);
    node.shutdown().unwrap();
}

#[test]
fn requests_that_come_together_are_left_to_the_committer() {
    let _alone = alone();
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
    let _alone = alone();
    for options in [buffered(), options()] {
        let disk = Disk::new();
        let (node, mut client, frozen) = stuck_in_commit(&disk, options);
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
}

#[test]
fn a_node_that_stops_waits_for_the_worker_that_commits() {
    let _alone = alone();
    for options in [buffered(), options()] {
        let disk = Disk::new();
        let (node, mut client, frozen) = stuck_in_commit(&disk, options.clone());
        let mut other = Client::ready(&node);
        let stopping = thread::spawn(|| node.shutdown());
        // Its connections end first.
        assert!(other.try_receive().is_none());
        drop(frozen);
        assert_eq!(client.receive().status, Status::SUCCESS);
        stopping.join().unwrap().unwrap();
        let node = start_in_memory(&disk, options);
        assert_eq!(Client::ready(&node).get(0, "a").value, b"2");
        node.shutdown().unwrap();
    }
}
