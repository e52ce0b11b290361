//! Clients that have used up their turn, which the runtime puts off until their worker is idle,
//! where that worker waits for the disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use mcbp::{FrameBuilder, Opcode, Status, VbId};

use crate::by_worker::alone;
use crate::support::client::{Client, set};
use crate::support::memory_store::{Disk, Frozen};
use crate::support::{OnDrop, buffered, eventually, start_in_memory};

/// How often the disk does not answer. That the worker in question waits for it is a matter of
/// chance.
const ROUNDS: usize = 24;
/// Requests of many turns.
const PIPELINE: usize = 3000;

/// Lets clients read a document in memory without end. Calls `freeze` again and again, which makes
/// somebody wait for the disk, and `go_on` once each of them has been answered meanwhile.
fn readers_go_on(
    disk: &Arc<Disk>,
    freeze: impl Fn(&mut Client, &Disk),
    go_on: impl Fn(&mut Client, &Disk),
) {
    let node = start_in_memory(disk, buffered());
    let mut client = Client::ready(&node);
    assert_eq!(client.set(1, "b", "1").status, Status::SUCCESS);
    let answered = [const { AtomicUsize::new(0) }; 3];
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for answered in &answered {
            let reader = Client::ready(&node);
            scope.spawn(|| read_without_end(reader, answered, &done));
        }
        let _done = OnDrop(&done);
        for _ in 0..ROUNDS {
            freeze(&mut client, disk);
            let frozen = Frozen::new(disk);
            for answered in &answered {
                let before = answered.load(Ordering::Relaxed);
                eventually("the reader goes on", || answered.load(Ordering::Relaxed) > before + 2);
            }
            drop(frozen);
            go_on(&mut client, disk);
        }
    });
    node.shutdown().unwrap();
}

/// Reads the document in pipelines, and counts them.
fn read_without_end(mut reader: Client, answered: &AtomicUsize, done: &AtomicBool) {
    let request = FrameBuilder::request(Opcode::GET).vbucket(VbId(1)).key(b"b");
    let requests = request.build().repeat(PIPELINE);
    while !done.load(Ordering::Relaxed) {
        reader.send_bytes(&requests);
        for _ in 0..PIPELINE {
            assert_eq!(reader.receive().status, Status::SUCCESS);
        }
        answered.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_commit_that_the_disk_does_not_answer_keeps_no_client_that_is_put_off() {
    let _alone = alone();
    readers_go_on(
        &Disk::new(),
        |writer, disk| {
            // A worker commits for a client that writes alone for a while.
            for _ in 0..20 {
                assert_eq!(writer.set(0, "a", "1").status, Status::SUCCESS);
            }
            disk.hold();
            writer.send(&set(Opcode::SET, 0, "a", "2", &[0; 8]));
            eventually("the commit waits", || disk.waiting() == 1);
        },
        |writer, _| assert_eq!(writer.receive().status, Status::SUCCESS),
    );
}

#[test]
fn a_read_that_the_disk_does_not_answer_keeps_no_client_that_is_put_off() {
    let _alone = alone();
    readers_go_on(
        &Disk::new(),
        |reader, disk| {
            assert_eq!(reader.set(0, "a", "1").status, Status::SUCCESS);
            // Nothing is cached of a vBucket whose state was set.
            assert_eq!(reader.set_vbucket(0, 1).status, Status::SUCCESS);
            disk.hold_next_look();
            reader.send(&FrameBuilder::request(Opcode::GET).key(b"a"));
            eventually("the read waits", || disk.is_looking());
        },
        |reader, _| assert_eq!(reader.receive().status, Status::SUCCESS),
    );
}
