//! A bucket that acknowledges changes once they are in memory.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kvnode::{BucketOptions, NodeHandle};
use mcbp::{Datatype, FrameBuilder, Opcode, Status};
use vbucket::StoreError;

use crate::support::client::{Client, set};
use crate::support::memory_store::Disk;
use crate::support::{OnDrop, buffered, eventually, options, start_in_memory};

/// A durable write with level majority.
pub const MAJORITY: [u8; 2] = [0x11, 1];

/// For how long a commit may last in a test.
const LIMIT: Duration = Duration::from_secs(1);

/// SET_VBUCKET with a topology of one copy, which is a majority.
pub fn topology_of_one() -> FrameBuilder<'static> {
    let topology = FrameBuilder::request(Opcode::SET_VBUCKET).extras(&[1]);
    topology.datatype(Datatype::JSON).value(br#"{"topology":[["alpha"]]}"#)
}

fn memory_first() -> BucketOptions {
    BucketOptions { memory_first: true, ..options() }
}

fn full() -> StoreError {
    StoreError::Io { doing: "writing", detail: "no space left on device".to_owned() }
}

/// The answer to OBSERVE of a key of vBucket 0: 0 for a document that is not on disk yet.
fn observed(node: &NodeHandle, key: &str) -> u8 {
    observed_in(node, 0, key)
}

fn observed_in(node: &NodeHandle, vb: u8, key: &str) -> u8 {
    let mut value = vec![0, vb, 0, key.len() as u8];
    value.extend_from_slice(key.as_bytes());
    let mut client = Client::ready(node);
    let answer = client.call(&FrameBuilder::request(Opcode::OBSERVE).value(&value));
    answer.value[4 + key.len()]
}

#[test]
fn changes_are_acknowledged_and_shown_before_they_are_written() {
    let disk = Disk::new();
    let node = start_in_memory(&disk, memory_first());
    let mut client = Client::ready(&node);
    assert_eq!(client.stat("").unwrap()["kvnode_durability"], "memory-first");
    disk.hold();
    assert_eq!(client.set(0, "a", "1").status, Status::SUCCESS);
    assert_eq!(client.set(0, "a", "2").status, Status::SUCCESS);
    assert_eq!(client.get(0, "a").value, b"2");
    assert_eq!(observed(&node, "a"), 0, "on disk, says OBSERVE");
    disk.release();
    eventually("the change is on disk", || observed(&node, "a") == 1);
    assert_eq!(client.get(0, "a").value, b"2");
    node.shutdown().unwrap();
    let node = start_in_memory(&disk, memory_first());
    assert_eq!(Client::ready(&node).get(0, "a").value, b"2");
}

#[test]
fn a_change_on_top_of_a_queued_one_looks_nothing_up() {
    let disk = Disk::new();
    let node = start_in_memory(&disk, memory_first());
    let mut client = Client::ready(&node);
    assert_eq!(client.set(0, "stored", "1").status, Status::SUCCESS);
    eventually("it is on disk", || observed(&node, "stored") == 1);
    disk.hold();
    for _ in 0..3 {
        for key in ["stored", "new"] {
            assert_eq!(client.set(0, key, "2").status, Status::SUCCESS);
        }
    }
    assert_eq!(client.delete(0, "new").status, Status::SUCCESS);
    disk.release();
    eventually("all is on disk", || observed(&node, "new") == 0x80);
    assert_eq!(disk.lookups(), 0);
    node.shutdown().unwrap();
}

#[test]
fn a_clean_stop_writes_what_was_acknowledged() {
    let disk = Disk::new();
    let node = start_in_memory(&disk, memory_first());
    let mut client = Client::ready(&node);
    for n in 0..500 {
        assert_eq!(client.set(n % 4, &format!("key-{n}"), "x").status, Status::SUCCESS);
    }
    node.shutdown().unwrap();
    let node = start_in_memory(&disk, memory_first());
    let mut client = Client::ready(&node);
    for n in 0..500 {
        assert_eq!(client.get(n % 4, &format!("key-{n}")).status, Status::SUCCESS);
    }
}

/// The committer dozes for a while after its last work, and sleeps then. It never woke again where
/// a worker committed for another bucket at that moment.
#[test]
fn a_change_that_nobody_waits_for_is_written_whenever_it_comes() {
    let other = start_in_memory(&Disk::new(), buffered());
    let mut writer = Client::ready(&other);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                assert_eq!(writer.set(0, "a", "x").status, Status::SUCCESS);
            }
        });
        let _done = OnDrop(&done);
        write_now_and_then();
    });
    other.shutdown().unwrap();
}

fn write_now_and_then() {
    let disk = Disk::new();
    let node = start_in_memory(&disk, memory_first());
    let mut client = Client::ready(&node);
    let written = || disk.commits().iter().sum::<usize>();
    let before = written();
    for n in 1..=400 {
        assert_eq!(client.set(0, "a", "x").status, Status::SUCCESS);
        eventually("it is written", || written() == before + n);
        // Around the millisecond of each look.
        let (since, pause) = (Instant::now(), Duration::from_micros(n as u64 * 13 % 4000));
        eventually("the moment of the next change", || since.elapsed() >= pause);
    }
    node.shutdown().unwrap();
}

#[test]
fn changes_that_come_together_are_written_together() {
    let disk = Disk::new();
    let node = start_in_memory(&disk, memory_first());
    let mut client = Client::ready(&node);
    let before = disk.commits().len();
    let pipeline: Vec<_> = (0..100)
        .flat_map(|n| set(Opcode::SET, 0, &format!("key-{n}"), "x", &[0; 8]).build())
        .collect();
    client.send_bytes(&pipeline);
    for _ in 0..100 {
        assert_eq!(client.receive().status, Status::SUCCESS);
    }
    let written = || disk.commits()[before..].iter().sum::<usize>();
    eventually("they are written", || written() == 100);
    let commits = disk.commits().len() - before;
    assert!(commits < 50, "{commits} commits for 100 changes of one request");
}

/// The disk is full for a while: nothing more is taken, and nothing that was is given up.
#[test]
fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let disk = Disk::new();
    let node = start_in_memory(&disk, memory_first());
    let mut client = Client::ready(&node);
    disk.fail_commits(Some(full()));
    assert_eq!(client.set(0, "a", "kept").status, Status::SUCCESS);
    eventually("writes are refused", || {
        Client::ready(&node).set(0, "b", "x").status == Status::ETMPFAIL
    });
    assert_eq!(client.get(0, "a").value, b"kept");
    let stats = client.stat("").unwrap();
    assert!(stats["kvnode_write_failure"].contains("no space left"), "{stats:?}");
    disk.fail_commits(None);
    eventually("it is written", || observed(&node, "a") == 1);
    assert_eq!(client.set(0, "b", "y").status, Status::SUCCESS);
    assert_eq!(client.stat("").unwrap()["kvnode_changes_lost"], "0");
}

/// A watchdog would kill the process, and with it what is to be written.
#[test]
fn a_full_disk_is_no_commit_that_hangs() {
    let disk = Disk::new();
    let node = start_in_memory(&disk, memory_first());
    let mut client = Client::ready(&node);
    disk.fail_commits(Some(full()));
    assert_eq!(client.set(0, "a", "kept").status, Status::SUCCESS);
    eventually("it was tried for longer than a commit may last", || {
        let stats = Client::ready(&node).stat("").unwrap();
        stats["ep_data_write_failed"].parse::<u64>().unwrap() > 2
    });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(node.health().check(LIMIT)).unwrap();
    disk.fail_commits(None);
    eventually("it is written", || observed(&node, "a") == 1);
}

/// Their seqnos are given out again: not in the branch of history that clients know them of.
#[test]
fn a_stop_that_loses_changes_is_not_clean() {
    let disk = Disk::new();
    let node = start_in_memory(&disk, memory_first());
    let mut client = Client::ready(&node);
    client.set(0, "a", "old");
    eventually("it is written", || observed(&node, "a") == 1);
    disk.fail_commits(Some(full()));
    assert_eq!(client.set(0, "a", "new").status, Status::SUCCESS);
    let uuid = disk.meta(0).unwrap().failover.newest().uuid;
    node.shutdown().unwrap_err();
    disk.fail_commits(None);
    let node = start_in_memory(&disk, memory_first());
    assert_eq!(Client::ready(&node).get(0, "a").value, b"old");
    assert_ne!(disk.meta(0).unwrap().failover.newest().uuid, uuid, "one branch for both");
}

/// Whoever streams up to there has what was acknowledged before.
#[test]
fn seqnos_are_not_below_those_of_acknowledged_changes() {
    let disk = Disk::new();
    let node = start_in_memory(&disk, memory_first());
    let mut client = Client::ready(&node);
    disk.hold();
    assert_eq!(client.set(0, "a", "1").status, Status::SUCCESS);
    let mut tool = Client::ready(&node);
    tool.send(&FrameBuilder::request(Opcode::GET_ALL_VB_SEQNOS));
    // Longer than the answer takes of a node that does not wait.
    for _ in 0..100 {
        assert_eq!(client.get(0, "a").value, b"1");
    }
    disk.release();
    assert_eq!(tool.receive().value[..10], [0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
}

#[test]
fn changes_that_are_lost_are_counted() {
    let disk = Disk::new();
    let node = start_in_memory(&disk, memory_first());
    let mut client = Client::ready(&node);
    client.set(0, "a", "old");
    eventually("it is written", || observed(&node, "a") == 1);
    disk.fail_commits(Some(StoreError::Poisoned("fsync failed".to_owned())));
    assert_eq!(client.set(0, "a", "new").status, Status::SUCCESS);
    eventually("it is lost", || {
        Client::ready(&node).stat("").unwrap()["kvnode_changes_lost"] == "1"
    });
    assert_eq!(client.get(0, "a").value, b"old");
    assert_eq!(client.set(0, "a", "newer").status, Status::ETMPFAIL);
}

/// One vBucket cannot be stored: its changes alone are lost.
#[test]
fn changes_of_one_vbucket_are_lost_alone() {
    let disk = Disk::new();
    let node = start_in_memory(&disk, memory_first());
    let mut client = Client::ready(&node);
    disk.hold();
    disk.fail_vbucket(1, 1);
    let all = [set(Opcode::SET, 0, "a", "x", &[0; 8]), set(Opcode::SET, 1, "b", "x", &[0; 8])];
    client.send_bytes(&all.map(|frame| frame.build()).concat());
    assert_eq!([client.receive().status, client.receive().status], [Status::SUCCESS; 2]);
    disk.release();
    eventually("one is lost", || {
        Client::ready(&node).stat("").unwrap()["kvnode_changes_lost"] == "1"
    });
    assert_eq!(client.get(0, "a").value, b"x");
    assert_eq!(client.get(1, "b").status, Status::KEY_ENOENT);
}

/// Clients know the seqnos of what is lost, and the next changes get the same ones.
#[test]
fn what_follows_lost_changes_is_of_another_branch() {
    let disk = Disk::new();
    let node = start_in_memory(&disk, memory_first());
    let mut client = Client::ready(&node);
    let newest = |client: &mut Client| client.stat("failovers 1").unwrap()["vb_1:0:id"].clone();
    let before = newest(&mut client);
    disk.hold();
    disk.fail_vbucket(1, 1);
    assert_eq!(client.set(1, "b", "lost").status, Status::SUCCESS);
    eventually("the commit waits", || disk.waiting() == 1);
    // On top of it, in a later batch.
    assert_eq!(client.set(1, "c", "lost").status, Status::SUCCESS);
    disk.release();
    eventually("both are lost", || {
        Client::ready(&node).stat("").unwrap()["kvnode_changes_lost"] == "2"
    });
    // While the branch is not on disk, clients are told to try again.
    eventually("it takes changes again", || {
        Client::ready(&node).set(1, "d", "kept").status == Status::SUCCESS
    });
    assert_ne!(newest(&mut client), before);
    assert_eq!(client.stat("failovers 1").unwrap()["vb_1:0:seq"], "0");
    eventually("the change is on disk", || observed_in(&node, 1, "d") == 1);
    let on_disk = disk.meta(1).unwrap();
    assert_eq!(on_disk.failover.newest().uuid.0.to_string(), newest(&mut client));
    assert_eq!(on_disk.high_seqno, mcbp::Seqno(1));
    assert_eq!(client.get(1, "c").status, Status::KEY_ENOENT);
}

#[test]
fn a_durable_write_is_stored_before_it_is_acknowledged() {
    let disk = Disk::new();
    let node = start_in_memory(&disk, memory_first());
    let mut client = Client::ready(&node);
    assert_eq!(client.call(&topology_of_one()).status, Status::SUCCESS);
    disk.hold();
    client.send_bytes(&set(Opcode::SET, 0, "d", "x", &[0; 8]).framing(&MAJORITY).build());
    eventually("the prepare waits for the disk", || disk.waiting() == 1);
    assert_eq!(Client::ready(&node).get(0, "d").status, Status::KEY_ENOENT);
    disk.release();
    assert_eq!(client.receive().status, Status::SUCCESS);
    assert_eq!(client.get(0, "d").value, b"x");
}
