//! Purged deletions: by age and by COMPACT_DB; and the space that is freed.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use kvnode::{Node, NodeHandle};
use mcbp::kv::StoreExtras;
use mcbp::{FrameBuilder, Opcode, Seqno, Status, VbId};

use crate::support::client::{Client, set};
use crate::support::memory_store::Disk;
use crate::support::{BUCKET, config, eventually, options, start_in_memory};

fn compact(client: &mut Client, vb: u16, before: u64, seqno: u64, drop_all: u8) -> Status {
    let mut extras = [before.to_be_bytes(), seqno.to_be_bytes()].concat();
    extras.extend([drop_all, 0, 0, 0, 0, 0, 0, 0]);
    let frame = FrameBuilder::request(Opcode::COMPACT_DB).vbucket(VbId(vb)).extras(&extras);
    client.call(&frame).status
}

fn purge_seqno(node: &NodeHandle) -> Seqno {
    node.bucket(BUCKET).unwrap().vb(VbId(0)).unwrap().view().purge_seqno
}

/// Seqno 2 and 4 are deletions, 4 is the last.
fn delete_two(client: &mut Client) {
    for key in ["a", "b"] {
        client.set(0, key, "x");
        assert_eq!(client.delete(0, key).status, Status::SUCCESS);
    }
}

#[test]
fn compact_drops_what_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(config(options(), folder.path())).unwrap();
    let mut client = Client::ready(&node);
    delete_two(&mut client);
    client.set(0, "c", "x");
    assert_eq!(compact(&mut client, 0, 1, 0, 0), Status::SUCCESS);
    assert_eq!(purge_seqno(&node), Seqno(0), "no deletion is from 1970");
    assert_eq!(compact(&mut client, 0, u64::MAX, 3, 0), Status::SUCCESS);
    assert_eq!(purge_seqno(&node), Seqno(2));
    assert_eq!(compact(&mut client, 0, 0, 0, 1), Status::SUCCESS);
    assert_eq!(purge_seqno(&node), Seqno(4));
    assert_eq!(client.get(0, "c").value, b"x");
    // A recreated key gets a rev above its former ones, although they are forgotten.
    client.set(0, "a", "y");
    let meta = client.call(&FrameBuilder::request(Opcode::GET_META).key(b"a"));
    assert_eq!(meta.extras[12..20], 5_u64.to_be_bytes());
    // Neither a restart nor later writes lower the purge seqno.
    drop(client);
    node.shutdown().unwrap();
    let node = Node::start(config(options(), folder.path())).unwrap();
    let mut client = Client::ready(&node);
    assert_eq!(purge_seqno(&node), Seqno(4));
    assert_eq!(client.stat("vbucket-details 0").unwrap()["vb_0:purge_seqno"], "4");
}

/// Found by a comparison of two nodes: a deletion was missing on one of them, above the purge seqno
/// that it gave.
#[test]
fn a_commit_beside_a_purge_does_not_lower_the_purge_seqno() {
    const ROUNDS: u64 = 30;
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(config(options(), folder.path())).unwrap();
    let is_over = AtomicBool::new(false);
    let mut client = Client::ready(&node);
    let mut writer = Client::ready(&node);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Relaxed) {
                writer.set(0, "busy", "x");
            }
        });
        let mut seen = vec![Seqno(0)];
        for round in 0..ROUNDS {
            let key = format!("gone-{round}");
            client.set(0, &key, "x");
            client.delete(0, &key);
            client.set(0, "after", "x");
            compact(&mut client, 0, 0, 0, 1);
            client.set(0, "after", "y");
            seen.push(purge_seqno(&node));
        }
        // A failure before that would wait for the writer for ever.
        is_over.store(true, Relaxed);
        assert!(seen.is_sorted_by(|before, now| before < now), "{seen:?}");
    });
}

#[test]
fn compact_checks_what_it_gets() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    assert_eq!(compact(&mut client, 0, 0, 0, 2), Status::EINVAL);
    assert_eq!(compact(&mut client, 99, 0, 0, 1), Status::NOT_MY_VBUCKET);
    for length in [0, 8, 17, 23, 25, 32] {
        let extras = vec![0; length];
        let frame = FrameBuilder::request(Opcode::COMPACT_DB).extras(&extras);
        assert_eq!(client.call(&frame).status, Status::EINVAL, "{length} bytes of extras");
    }
}

#[test]
fn old_deletions_go_by_themselves_but_never_the_last_row() {
    let mut options = options();
    options.deletions_kept = Duration::from_secs(1);
    let node = start_in_memory(&Disk::new(), options);
    let mut client = Client::ready(&node);
    delete_two(&mut client);
    eventually("the purge", || purge_seqno(&node) == Seqno(2));
    client.set(0, "c", "x");
    eventually("the purge of the other", || purge_seqno(&node) == Seqno(4));
}

#[test]
fn a_deleted_vbucket_gives_its_space_back() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(config(options(), folder.path())).unwrap();
    let mut client = Client::ready(&node);
    let bucket = node.bucket(BUCKET).unwrap();
    let empty = bucket.store().disk_bytes();
    let value = "v".repeat(100_000);
    let extras = StoreExtras::default().encode();
    for n in 0..400 {
        let key = format!("k{n}");
        let vb = n % 4;
        client.send(&set(Opcode::SETQ, vb, &key, &value, &extras));
    }
    assert_eq!(client.call(&FrameBuilder::request(Opcode::NOOP)).status, Status::SUCCESS);
    let full = || bucket.store().disk_bytes().saturating_sub(empty);
    for vb in 0..3 {
        let frame = FrameBuilder::request(Opcode::DEL_VBUCKET).vbucket(VbId(vb));
        assert_eq!(client.call(&frame).status, Status::SUCCESS);
    }
    // A quarter of 40 MB, and the overhead of the tables.
    eventually("the space to come back", || full() < 14_000_000);
    assert_eq!(client.get(3, "k3").value.len(), 100_000);
}
