//! Clients that do not hold up each other.

use std::io::Read as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use mcbp::{FrameBuilder, HEADER_BYTES, Opcode, Status};

use crate::support::client::{Client, set};
use crate::support::memory_store::Disk;
use crate::support::{OnDrop, options, start_in_memory};

/// More than the node has workers.
const CLIENTS: usize = 4;
/// Many times what the pipelining clients may have done before another has a worker, and a part of
/// what they do where they keep it until the socket is empty.
const ANSWERS_MAX: usize = 30_000;

/// How often another client waits.
const WAITS: usize = 60;
/// A third of the large documents that are written meanwhile where it waits for them.
const DOCUMENTS_MAX: usize = 5;

/// What the pipelining clients have read, in bytes, and whether they are to end.
#[derive(Default)]
struct Beside {
    answered_bytes: AtomicUsize,
    done: AtomicBool,
}

/// Sends requests, faster than they are answered.
fn pipeline(mut client: Client, requests: &[u8], beside: &Beside) {
    let mut answers = client.stream();
    thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let mut bytes = vec![0; 1 << 20];
            while let Ok(count @ 1..) = answers.read(&mut bytes) {
                beside.answered_bytes.fetch_add(count, Ordering::Relaxed);
            }
        });
        while !beside.done.load(Ordering::Relaxed) {
            client.send_bytes(requests);
        }
        client.stream().shutdown(std::net::Shutdown::Both).unwrap();
        reader.join().unwrap();
    });
}

/// How much the others are answered while another client waits, in bytes: as often, in order.
fn answered_meanwhile(requests: &[u8]) -> Vec<usize> {
    let disk = Disk::new();
    let node = start_in_memory(&disk, options());
    let mut other = Client::ready(&node);
    assert_eq!(other.set(0, "a", "x").status, Status::SUCCESS);
    let beside = Beside::default();
    let mut all: Vec<_> = thread::scope(|scope| {
        for _ in 0..CLIENTS {
            let client = Client::ready(&node);
            scope.spawn(|| pipeline(client, requests, &beside));
        }
        let _done = OnDrop(&beside.done);
        let all = (0..WAITS).map(|_| {
            let before = beside.answered_bytes.load(Ordering::Relaxed);
            assert_eq!(other.get(0, "a").value, b"x");
            beside.answered_bytes.load(Ordering::Relaxed) - before
        });
        all.collect()
    });
    all.sort_unstable();
    all
}

#[test]
fn clients_that_pipeline_without_end_let_others_in() {
    let requests = FrameBuilder::request(Opcode::GET).key(b"a").build().repeat(10_000);
    let meanwhile = answered_meanwhile(&requests);
    // Flags and a value of one byte.
    let answers = meanwhile[WAITS / 2] / (HEADER_BYTES + 5);
    assert!(answers < ANSWERS_MAX, "half of the requests waited for more: {meanwhile:?}");
}

/// Checking one takes so long that a request seldom sees the end of it.
#[test]
fn large_documents_let_others_in() {
    let json = format!("[{}0]", "0,".repeat(5 << 20));
    let meanwhile = answered_meanwhile(&set(Opcode::SET, 0, "b", &json, &[0; 8]).build());
    let documents = meanwhile.iter().sum::<usize>() / HEADER_BYTES;
    assert!(documents < DOCUMENTS_MAX, "requests waited for documents: {meanwhile:?}");
}
