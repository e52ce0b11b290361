//! Acknowledged means durable; many changes share a commit; a disk that refuses writes is reported.

use std::sync::{Arc, Barrier};

use kvnode::{BucketOptions, Durability};
use mcbp::key::prefixed;
use mcbp::kv::StoreExtras;
use mcbp::{FrameBuilder, Opcode, Status, VbId};
use vbucket::StoreError;

use crate::support::client::{Client, set};
use crate::support::memory_store::Disk;
use crate::support::{BUCKET, buffered, eventually, options, start_in_memory};

fn full() -> StoreError {
    StoreError::Io { doing: "committing", detail: "no space left on device".to_owned() }
}

#[test]
fn nothing_is_acknowledged_or_shown_before_it_is_durable() {
    let disk = Disk::new();
    let node = start_in_memory(&disk, options());
    let (mut writer, mut reader) = (Client::ready(&node), Client::ready(&node));
    writer.set(0, "a", "old");
    disk.hold();
    writer.send(&set(Opcode::SET, 0, "a", "new", &[0; 8]));
    eventually("the commit is under way", || disk.waiting() == 1);
    assert_eq!(reader.stat("vbucket-seqno 0").unwrap()["vb_0:high_seqno"], "1");
    reader.send(&FrameBuilder::request(Opcode::GET).key(b"a"));
    disk.release();
    assert_eq!(writer.receive().status, Status::SUCCESS);
    assert_eq!(reader.receive().value, b"new");
}

#[test]
fn a_deletion_or_a_conflict_is_not_shown_before_it_is_durable() {
    let disk = Disk::new();
    let node = start_in_memory(&disk, options());
    let mut client = Client::ready(&node);
    client.set(0, "a", "old");
    disk.fail_commits(Some(full()));
    disk.hold();
    let key = |opcode, key: &'static str| FrameBuilder::request(opcode).key(key.as_bytes()).build();
    let pipeline = [
        key(Opcode::DELETE, "a"),
        key(Opcode::GET, "a"),
        key(Opcode::GETQ, "a"),
        set(Opcode::REPLACE, 0, "a", "x", &[0; 8]).build(),
        set(Opcode::SET, 0, "b", "x", &[0; 8]).build(),
        set(Opcode::ADD, 0, "b", "y", &[0; 8]).build(),
    ];
    client.send_bytes(&pipeline.concat());
    let mut observer = Client::ready(&node);
    let queued = |observer: &mut Client| {
        let details = observer.stat("vbucket-details 0").unwrap();
        details["vb_0:queue_size"].clone()
    };
    while queued(&mut observer) != "2" {}
    client.send(&FrameBuilder::request(Opcode::NOOP));
    disk.release();
    for _ in &pipeline {
        assert_eq!(client.receive().status, Status::ETMPFAIL);
    }
    assert_eq!(client.receive().opcode, Opcode::NOOP);
    assert_eq!(client.get(0, "a").value, b"old");
}

#[test]
fn changes_that_wait_share_one_commit() {
    let disk = Disk::new();
    let node = start_in_memory(&disk, options());
    let mut first = Client::ready(&node);
    let mut clients: Vec<Client> = (0..3).map(|_| Client::ready(&node)).collect();
    disk.hold();
    first.send(&set(Opcode::SET, 0, "first", "x", &[0; 8]));
    eventually("the first commit is under way", || disk.waiting() == 1);
    let before = disk.commits().len();
    for (vb, client) in clients.iter_mut().enumerate() {
        let frame = |key| set(Opcode::SET, vb as u16, key, "x", &[0; 8]).build();
        client.send_bytes(&[frame("a"), frame("b"), frame("c")].concat());
    }
    let queued = |vb: u16| {
        let details = Client::ready(&node).stat(&format!("vbucket-details {vb}")).unwrap();
        details[&format!("vb_{vb}:queue_size")].parse::<u64>().unwrap()
    };
    eventually("the others are queued", || queued(0) + queued(1) + queued(2) == 1 + 9);
    disk.release();
    assert_eq!(first.receive().status, Status::SUCCESS);
    for client in &mut clients {
        for _ in 0..3 {
            assert_eq!(client.receive().status, Status::SUCCESS);
        }
    }
    assert_eq!(disk.commits()[before..before + 2], [1, 9]);
    assert_eq!(disk.last_durability(), Some(Durability::Synced));
}

#[test]
fn buffered_durability_is_what_was_asked_for() {
    let disk = Disk::new();
    let node = start_in_memory(&disk, buffered());
    let mut client = Client::ready(&node);
    client.set(0, "a", "x");
    assert_eq!(disk.last_durability(), Some(Durability::Buffered));
    assert_eq!(client.stat("").unwrap()["kvnode_durability"], "buffered");
    // A state is synced in any case.
    client.set_vbucket(0, 2);
    assert_eq!(disk.last_durability(), Some(Durability::Synced));
}

#[test]
fn a_failed_commit_is_a_temporary_failure_and_leaves_nothing_behind() {
    let disk = Disk::new();
    let node = start_in_memory(&disk, options());
    let mut client = Client::ready(&node);
    client.set(0, "a", "old");
    disk.fail_commits(Some(full()));
    disk.hold();
    let pipeline = [
        set(Opcode::SET, 0, "a", "new", &[0; 8]).build(),
        FrameBuilder::request(Opcode::GET).key(b"a").build(),
        FrameBuilder::request(Opcode::NOOP).build(),
    ];
    client.send_bytes(&pipeline.concat());
    let mut observer = Client::ready(&node);
    while observer.stat("").unwrap()["cmd_get"] != "1" {}
    disk.release();
    assert_eq!(client.receive().status, Status::ETMPFAIL);
    // It was based on a row that was never written.
    assert_eq!(client.receive().status, Status::ETMPFAIL);
    assert_eq!(client.receive().opcode, Opcode::NOOP);
    assert_eq!(client.get(0, "a").value, b"old");
    assert_eq!(client.set(0, "b", "x").status, Status::ETMPFAIL);
    let stats = client.stat("").unwrap();
    assert!(stats["kvnode_write_failure"].contains("no space left"), "{stats:?}");
    disk.fail_commits(None);
    eventually("writes are accepted again", || {
        Client::ready(&node).set(0, "a", "newer").status == Status::SUCCESS
    });
    let seqno = &client.stat("vbucket-seqno 0").unwrap()["vb_0:high_seqno"];
    assert_eq!(seqno, "2");
    assert!(!client.stat("").unwrap().contains_key("kvnode_write_failure"));
}

#[test]
fn a_poisoned_store_can_still_be_read() {
    let disk = Disk::new();
    let node = start_in_memory(&disk, options());
    let mut client = Client::ready(&node);
    client.set(0, "a", "x");
    disk.fail_commits(Some(StoreError::Poisoned("fsync failed".to_owned())));
    assert_eq!(client.set(0, "a", "y").status, Status::ETMPFAIL);
    disk.fail_commits(None);
    let bucket = node.bucket(BUCKET).unwrap();
    assert_eq!(client.set(0, "a", "y").status, Status::ETMPFAIL);
    assert_eq!(client.get(0, "a").value, b"x");
    assert!(bucket.is_ready());
}

#[test]
fn an_unreadable_document_is_an_internal_error_and_counted() {
    let disk = Disk::new();
    let node = start_in_memory(&disk, BucketOptions { row_cache_bytes_max: 0, ..options() });
    let mut client = Client::ready(&node);
    client.set(0, "a", "x");
    let what = "vb:0 key a".to_owned();
    disk.fail_reads(Some(StoreError::Damaged { what, detail: "checksum".to_owned() }));
    assert_eq!(client.get(0, "a").status, Status::EINTERNAL);
    assert_eq!(client.set(0, "a", "y").status, Status::EINTERNAL);
    disk.fail_reads(None);
    assert_eq!(client.get(0, "a").value, b"x");
    assert_eq!(client.stat("").unwrap()["ep_data_read_failed"], "2");
}

#[test]
fn one_of_many_wins_a_race_for_a_cas() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    for round in 0..20 {
        let cas = client.set(0, "a", "start").cas;
        let barrier = Barrier::new(4);
        let outcomes: Vec<Status> = std::thread::scope(|scope| {
            let race = || {
                let mut client = Client::ready(&node);
                barrier.wait();
                client.set_with(0, "a", "won", StoreExtras::default(), cas).status
            };
            let racers: Vec<_> = (0..4).map(|_| scope.spawn(race)).collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        let won = outcomes.iter().filter(|&&status| status == Status::SUCCESS).count();
        let lost = outcomes.iter().filter(|&&status| status == Status::KEY_EEXISTS).count();
        assert_eq!((won, lost), (1, 3), "round {round}");
    }
}

#[test]
fn counters_lose_nothing_between_connections() {
    let node = start_in_memory(&Disk::new(), options());
    let mut extras = [0; 20];
    extras[7] = 1;
    let frame = FrameBuilder::request(Opcode::INCREMENT).vbucket(VbId(0)).key(b"n");
    let frame = frame.extras(&extras).build();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = Client::ready(&node);
                client.send_bytes(&frame.repeat(250));
                for _ in 0..250 {
                    assert_eq!(client.receive().status, Status::SUCCESS);
                }
            });
        }
    });
    // The first creates it at its initial value, 0.
    assert_eq!(Client::ready(&node).get(0, "n").value, b"999");
}

#[test]
fn mb_24089_a_document_as_large_as_the_queue_is_let_in() {
    let mut options = options();
    options.queue_bytes_max = 1024;
    let node = start_in_memory(&Disk::new(), options);
    let mut client = Client::ready(&node);
    let value = "x".repeat(100_000);
    for _ in 0..3 {
        assert_eq!(client.set(0, "a", &value).status, Status::SUCCESS);
    }
    let append = FrameBuilder::request(Opcode::APPEND).vbucket(VbId(0)).key(b"a").value(b"!");
    client.send_bytes(&append.build().repeat(5));
    for _ in 0..5 {
        assert_eq!(client.receive().status, Status::SUCCESS);
    }
    assert_eq!(client.get(0, "a").value.len(), 100_005);
    let bucket = Arc::clone(&node.buckets()[0]);
    assert_eq!(bucket.vb(VbId(0)).unwrap().high_seqno().0, 8);
}

/// The seqno of each key's last acknowledged change, of one writer.
fn write_until(
    node: &kvnode::NodeHandle,
    writer: usize,
    stop: &std::sync::atomic::AtomicBool,
) -> Vec<(String, String, u64)> {
    let mut client = Client::with_features(node, &[mcbp::Feature::MUTATION_SEQNO]);
    let mut acknowledged = Vec::new();
    for round in 0.. {
        if stop.load(std::sync::atomic::Ordering::Relaxed) {
            break;
        }
        let (key, value) = (format!("{writer}-{round}"), format!("value {round}"));
        let answer = client.set(0, &key, &value);
        if answer.status == Status::SUCCESS {
            let seqno = u64::from_be_bytes(answer.extras[8..].try_into().unwrap());
            acknowledged.push((key, value, seqno));
        }
    }
    acknowledged
}

#[test]
fn acknowledged_changes_survive_failures_and_changes_of_state() {
    let disk = Disk::new();
    let node = start_in_memory(&disk, options());
    let mut admin = Client::ready(&node);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let all: Vec<_> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                scope.spawn({
                    let (node, stop) = (&node, &stop);
                    move || write_until(node, writer, stop)
                })
            })
            .collect();
        let high = |admin: &mut Client| {
            let seqnos = admin.stat("vbucket-seqno 0").unwrap();
            seqnos["vb_0:high_seqno"].parse::<u64>().unwrap()
        };
        for round in 0..6 {
            let before = high(&mut admin);
            while high(&mut admin) < before + 20 {}
            if round % 2 == 0 {
                while admin.set_vbucket(0, 4).status != Status::SUCCESS {}
                while admin.set_vbucket(0, 1).status != Status::SUCCESS {}
            } else {
                disk.fail_commits(Some(full()));
                while !admin.stat("").unwrap().contains_key("kvnode_write_failure") {}
                disk.fail_commits(None);
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    let mut seqnos: Vec<u64> = all.iter().map(|(.., seqno)| *seqno).collect();
    seqnos.sort_unstable();
    let count = seqnos.len();
    seqnos.dedup();
    assert_eq!(seqnos.len(), count, "no seqno was given twice");
    for (key, value, seqno) in all {
        let row = node
            .bucket(BUCKET)
            .unwrap()
            .store()
            .get(VbId(0), &prefixed(0, key.as_bytes()))
            .unwrap();
        let row = row.unwrap_or_else(|| panic!("{key} is gone"));
        assert_eq!((row.value.as_ref(), row.seqno.0), (value.as_bytes(), seqno));
    }
}
