//! A disk without room, a real one.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use mcbp::Status;

use crate::mount::Disk;
use crate::support::client::Client;
use crate::support::eventually;
use crate::{assert_all_there, start_on, write_until_refused};

/// Sizes that fit on a small disk.
fn small(disk_reserve_bytes: u64) -> store::Options {
    store::Options {
        cache_bytes: 1 << 20,
        memtable_bytes: 1 << 20,
        worker_threads: 1,
        disk_reserve_bytes,
        ..store::Options::default()
    }
}

/// Fills the disk with a file of `bytes` that is not the node's.
fn foreign_file(disk: &Disk, bytes: usize) -> PathBuf {
    let path = disk.path().join("somebody-else");
    let mut file = File::create(&path).unwrap();
    let chunk = vec![1; 64 << 10];
    let mut written = 0;
    while written < bytes && file.write_all(&chunk).is_ok() {
        written += chunk.len();
    }
    path
}

#[test]
fn a_disk_that_runs_full_refuses_writes_until_there_is_room() {
    let Some(disk) = Disk::new(40) else { return };
    let node = start_on(disk.path(), small(1 << 20), |store| Arc::new(store));
    let mut client = Client::ready(&node);
    let value = "x".repeat(20_000);
    for n in 0..20 {
        assert_eq!(client.set(0, &crate::key(n), &value).status, Status::SUCCESS);
    }
    let file = foreign_file(&disk, 30 << 20);
    let (count, refusal) = write_until_refused(&mut client, 20, &value);
    assert_eq!(refusal, Status::ETMPFAIL);
    let stats = client.stat("").unwrap();
    assert!(stats["kvnode_write_failure"].contains("no space left"), "{stats:?}");
    assert_ne!(stats["ep_data_write_failed"], "0");
    assert_eq!(stats["ep_item_commit_failed"], stats["ep_data_write_failed"]);
    assert_all_there(&node, count, &value);
    // A change of state still succeeds: a control plane must be able to move vBuckets away.
    eventually("a state is taken", || {
        Client::ready(&node).set_vbucket(5, 2).status == Status::SUCCESS
    });

    std::fs::remove_file(file).unwrap();
    eventually("writes are accepted again", || {
        Client::ready(&node).set(0, &crate::key(count), &value).status == Status::SUCCESS
    });
    assert!(!client.stat("").unwrap().contains_key("kvnode_write_failure"));
    drop(node);
    let node = start_on(disk.path(), small(1 << 20), |store| Arc::new(store));
    assert_all_there(&node, count + 1, &value);
}

/// Without a reserve the engine runs out of disk in the middle of a write.
#[test]
fn a_write_that_was_cut_short_stops_writing_until_a_restart() {
    let Some(disk) = Disk::new(40) else { return };
    let node = start_on(disk.path(), small(0), |store| Arc::new(store));
    let mut client = Client::ready(&node);
    let value = "x".repeat(900);
    for n in 0..20 {
        assert_eq!(client.set(0, &crate::key(n), &value).status, Status::SUCCESS);
    }
    let file = foreign_file(&disk, usize::MAX);
    let (count, refusal) = write_until_refused(&mut client, 20, &value);
    assert_eq!(refusal, Status::ETMPFAIL);
    assert_all_there(&node, count, &value);

    std::fs::remove_file(file).unwrap();
    assert_eq!(client.set(0, "later", "x").status, Status::ETMPFAIL);
    let failure = client.stat("").unwrap()["kvnode_write_failure"].clone();
    assert!(failure.contains("restart"), "{failure}");
    drop(node);
    let node = start_on(disk.path(), small(0), |store| Arc::new(store));
    assert_all_there(&node, count, &value);
    assert_eq!(Client::ready(&node).set(0, "later", "x").status, Status::SUCCESS);
}

/// A value stored out of line is cut off again: nothing was committed, and the node goes on.
#[test]
fn a_large_value_that_was_cut_short_is_refused_and_writing_goes_on_when_there_is_room() {
    let Some(disk) = Disk::new(40) else { return };
    let node = start_on(disk.path(), small(0), |store| Arc::new(store));
    let mut client = Client::ready(&node);
    let value = "x".repeat(20_000);
    for n in 0..20 {
        assert_eq!(client.set(0, &crate::key(n), &value).status, Status::SUCCESS);
    }
    let file = foreign_file(&disk, usize::MAX);
    let (count, refusal) = write_until_refused(&mut client, 20, &value);
    assert_eq!(refusal, Status::ETMPFAIL);
    assert!(client.stat("").unwrap()["kvnode_write_failure"].contains("No space left"));

    std::fs::remove_file(file).unwrap();
    eventually("writes are accepted again", || {
        Client::ready(&node).set(0, &crate::key(count), &value).status == Status::SUCCESS
    });
    assert_all_there(&node, count + 1, &value);
    drop(node);
    let node = start_on(disk.path(), small(0), |store| Arc::new(store));
    assert_all_there(&node, count + 1, &value);
}
