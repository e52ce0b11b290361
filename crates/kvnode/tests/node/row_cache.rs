//! Documents in memory: readers see what was acknowledged, whatever is cached and evicted.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use kvnode::{BucketOptions, NodeHandle};
use mcbp::{FrameBuilder, Opcode, Status, VbId};

use crate::support::client::Client;
use crate::support::memory_store::Disk;
use crate::support::{BUCKET, eventually, options, start_in_memory};

/// Documents, half of them in each of two vBuckets.
const KEYS: usize = 64;
const WRITES: u64 = 4_000;
/// Room for some of the documents, so that many are evicted and read again.
const CACHE_BYTES: u64 = 8 << 10;

/// What the documents were acknowledged to be: each has a number that only rises.
type Numbers = [AtomicU64; KEYS];

fn place(key: usize) -> (u16, String) {
    (u16::try_from(key % 2).unwrap(), format!("key-{key}"))
}

fn write(node: &NodeHandle, writer: usize, numbers: &Numbers) {
    let mut client = Client::ready(node);
    for n in 1..=WRITES {
        // Each writer has documents of its own.
        let key = fastrand::usize(..KEYS / 2) * 2 + writer;
        let (vb, name) = place(key);
        let status = match fastrand::u8(..8) {
            0 => client.delete(vb, &name).status,
            _ => client.set(vb, &name, &n.to_string()).status,
        };
        match status {
            Status::SUCCESS | Status::KEY_ENOENT => {}
            Status::NOT_MY_VBUCKET | Status::ETMPFAIL => continue,
            other => panic!("{other}"),
        }
        // A deletion is as old as the write before it.
        let shown = client.get(vb, &name);
        if shown.status == Status::SUCCESS {
            numbers[key].store(number(&shown.value), Ordering::SeqCst);
        }
    }
}

fn number(value: &[u8]) -> u64 {
    std::str::from_utf8(value).unwrap().parse().unwrap()
}

/// Reads documents: none is older than what was acknowledged before the read, or than what this
/// reader has seen.
fn read(node: &NodeHandle, numbers: &Numbers, done: &AtomicBool) {
    let mut client = Client::ready(node);
    let mut seen = [0; KEYS];
    while !done.load(Ordering::SeqCst) {
        let key = fastrand::usize(..KEYS);
        let least = numbers[key].load(Ordering::SeqCst).max(seen[key]);
        let (vb, name) = place(key);
        let answer = client.get(vb, &name);
        if answer.status == Status::SUCCESS {
            let number = number(&answer.value);
            assert!(number >= least, "{name} is {number} after it was {least}");
            seen[key] = number;
        }
    }
}

#[test]
fn readers_see_what_was_acknowledged() {
    let disk = Disk::new();
    let options = BucketOptions { row_cache_bytes_max: CACHE_BYTES, ..options() };
    let node = start_in_memory(&disk, options);
    let numbers: Numbers = std::array::from_fn(|_| AtomicU64::new(0));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let (node, numbers, done) = (&node, &numbers, &done);
        let readers = [(); 2].map(|()| scope.spawn(move || read(node, numbers, done)));
        // The state of a vBucket changes under them: what was cached of it is forgotten.
        let states = scope.spawn(move || {
            let mut admin = Client::ready(node);
            while !done.load(Ordering::SeqCst) {
                for state in [2, 1] {
                    assert_eq!(admin.set_vbucket(1, state).status, Status::SUCCESS);
                }
            }
        });
        let writers = [0, 1].map(|writer| scope.spawn(move || write(node, writer, numbers)));
        let written = writers.map(|writer| writer.join());
        done.store(true, Ordering::SeqCst);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        states.join().unwrap();
        written.into_iter().for_each(Result::unwrap);
    });
    same_as_on_disk(&node);
    let stats = Client::ready(&node).stat("").unwrap();
    assert_ne!(stats["ep_bg_fetched"], "0", "nothing was ever evicted");
}

/// It was the newest one when it was read, and is not when it arrives.
#[test]
fn a_row_that_was_read_before_a_change_is_not_kept() {
    let disk = Disk::new();
    let node = start_in_memory(&disk, options());
    let mut writer = Client::ready(&node);
    writer.set(0, "a", "1");
    // Nothing is cached of a vBucket whose state was set.
    assert_eq!(writer.set_vbucket(0, 1).status, Status::SUCCESS);
    disk.hold_next_look();
    let mut reader = Client::ready(&node);
    reader.send(&FrameBuilder::request(Opcode::GET).key(b"a"));
    eventually("the reader has looked", || disk.is_looking());
    assert_eq!(writer.set(0, "a", "2").status, Status::SUCCESS);
    disk.release_look();
    assert_eq!(reader.receive().value, b"1");
    assert_eq!(reader.get(0, "a").value, b"2");
}

/// What readers get is what the store has.
fn same_as_on_disk(node: &NodeHandle) {
    let bucket = node.bucket(BUCKET).unwrap();
    let mut client = Client::ready(node);
    for (vb, name) in (0..KEYS).map(place) {
        let key = [b"\0", name.as_bytes()].concat();
        let stored = bucket.store().get(VbId(vb), &key).unwrap().filter(|row| row.is_alive());
        let request = FrameBuilder::request(Opcode::GET).vbucket(VbId(vb));
        let shown = client.call(&request.key(name.as_bytes()));
        let shown = (shown.status == Status::SUCCESS).then_some((shown.cas, shown.value));
        assert_eq!(shown, stored.map(|row| (row.cas, row.value.to_vec())), "{name}");
    }
}
