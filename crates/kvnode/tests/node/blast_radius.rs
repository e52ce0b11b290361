//! What the store cannot store of one vBucket fails for that vBucket: the others are served as
//! before.

use std::sync::atomic::{AtomicBool, Ordering};

use mcbp::key::prefixed;
use mcbp::{Opcode, Status};

use crate::support::client::{Client, set};
use crate::support::memory_store::Disk;
use crate::support::{BUCKET, OnDrop, eventually, options, start_in_memory};

fn frame(vb: u16, key: &str) -> Vec<u8> {
    set(Opcode::SET, vb, key, "x", &[0; 8]).build().to_vec()
}

#[test]
fn the_rest_of_the_batch_is_committed_and_the_client_is_told() {
    let disk = Disk::new();
    let node = start_in_memory(&disk, options());
    let mut client = Client::ready(&node);
    disk.fail_vbucket(0, 1);
    client.send_bytes(&[frame(0, "a"), frame(1, "a"), frame(0, "b"), frame(2, "a")].concat());
    let answers = [(); 4].map(|()| client.receive().status);
    // The two of vBucket 0 may have been in two batches, and only the first was told to fail.
    assert_eq!((answers[0], answers[1]), (Status::EINTERNAL, Status::SUCCESS));
    assert!([Status::EINTERNAL, Status::SUCCESS].contains(&answers[2]), "{answers:?}");
    assert_eq!(answers[3], Status::SUCCESS);
    assert_eq!(client.get(0, "a").status, Status::KEY_ENOENT);
    let stats = client.stat("").unwrap();
    assert!(!stats.contains_key("kvnode_write_failure"), "the bucket takes writes");
    assert_ne!(stats["ep_data_write_failed"], "0");
    // At once, without a pause.
    assert_eq!(client.set(0, "a", "y").status, Status::SUCCESS);
    assert_eq!(client.get(0, "a").value, b"y");
}

#[test]
fn what_was_queued_on_top_of_a_failed_row_fails_with_it() {
    let disk = Disk::new();
    let node = start_in_memory(&disk, options());
    let mut clients: Vec<_> = (0..3).map(|_| Client::ready(&node)).collect();
    disk.hold();
    clients[0].send_bytes(&frame(0, "a"));
    eventually("the first commit is under way", || disk.waiting() == 1);
    clients[1].send_bytes(&[frame(0, "b"), frame(0, "a")].concat());
    clients[2].send_bytes(&frame(1, "c"));
    let queued = |vb: u16| {
        let details = Client::ready(&node).stat(&format!("vbucket-details {vb}")).unwrap();
        details[&format!("vb_{vb}:queue_size")].parse::<u64>().unwrap()
    };
    eventually("the others are queued", || (queued(0), queued(1)) == (3, 1));
    disk.fail_vbucket(0, 1);
    disk.release();
    assert_eq!(clients[0].receive().status, Status::EINTERNAL);
    assert_eq!([(); 2].map(|()| clients[1].receive().status), [Status::EINTERNAL; 2]);
    assert_eq!(clients[2].receive().status, Status::SUCCESS);
    assert_eq!(disk.meta(0).unwrap().high_seqno.0, 0);
    assert_eq!(clients[0].set(0, "b", "y").status, Status::SUCCESS);
    assert_eq!(disk.meta(0).unwrap().high_seqno.0, 1, "the seqnos of lost rows are free");
}

#[test]
fn writers_of_other_vbuckets_do_not_notice_and_nothing_acknowledged_is_lost() {
    let disk = Disk::new();
    let node = start_in_memory(&disk, options());
    let stop = AtomicBool::new(false);
    let write = |vb: u16| {
        let mut client = Client::ready(&node);
        let (mut acknowledged, mut failed) = (Vec::new(), 0);
        for round in 0.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let key = format!("{vb}-{round}");
            match client.set(vb, &key, &key).status {
                Status::SUCCESS => acknowledged.push(key),
                _ => failed += 1,
            }
        }
        (vb, acknowledged, failed)
    };
    let all = std::thread::scope(|scope| {
        let writers: Vec<_> = [0, 0, 1, 2].map(|vb| scope.spawn(move || write(vb))).into();
        let failures = |node: &kvnode::NodeHandle| {
            let stats = Client::ready(node).stat("").unwrap();
            stats["ep_data_write_failed"].parse::<u64>().unwrap()
        };
        let stopped = OnDrop(&stop);
        for round in 1..=30 {
            disk.fail_vbucket(0, 1);
            eventually("the next failure", || failures(&node) >= round);
        }
        drop(stopped);
        writers.into_iter().map(|writer| writer.join().unwrap()).collect::<Vec<_>>()
    });
    let bucket = node.bucket(BUCKET).unwrap();
    for (vb, acknowledged, failed) in all {
        assert!(vb == 0 || failed == 0, "vBucket {vb}: {failed} writes failed");
        for key in acknowledged {
            let row = bucket.store().get(mcbp::VbId(vb), &prefixed(0, key.as_bytes())).unwrap();
            assert!(row.is_some_and(|row| row.value == key), "{key} is gone");
        }
    }
}
