//! Clients that do not hold up each other.

use std::io::Read as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mcbp::{FrameBuilder, Opcode, Status};

use crate::support::client::{Client, set};
use crate::support::memory_store::Disk;
use crate::support::{options, start_in_memory};

/// More than the node has workers.
const CLIENTS: usize = 4;
/// Many times what the others have of a worker at once.
const LONG: Duration = Duration::from_millis(250);
/// The same where they have a thread of their own meanwhile.
const LONG_BESIDE: Duration = Duration::from_millis(100);

/// Sends requests, faster than they are answered.
fn pipeline(mut client: Client, requests: &[u8], done: &AtomicBool) {
    let mut answers = client.stream();
    let reader = thread::spawn(move || {
        let mut bytes = vec![0; 1 << 20];
        while answers.read(&mut bytes).is_ok_and(|count| count > 0) {}
    });
    while !done.load(Ordering::Relaxed) {
        client.send_bytes(requests);
    }
    client.stream().shutdown(std::net::Shutdown::Both).unwrap();
    reader.join().unwrap();
}

/// How long another client waits meanwhile, 20 times in order.
fn waits_beside(requests: &[u8]) -> Vec<Duration> {
    let disk = Disk::new();
    let node = start_in_memory(&disk, options());
    let mut other = Client::ready(&node);
    assert_eq!(other.set(0, "a", "x").status, Status::SUCCESS);
    let done = AtomicBool::new(false);
    let mut waits: Vec<_> = thread::scope(|scope| {
        for _ in 0..CLIENTS {
            let client = Client::ready(&node);
            scope.spawn(|| pipeline(client, requests, &done));
        }
        let waits = (0..20).map(|_| {
            let began = Instant::now();
            assert_eq!(other.get(0, "a").value, b"x");
            began.elapsed()
        });
        let waits = waits.collect();
        done.store(true, Ordering::Relaxed);
        waits
    });
    waits.sort_unstable();
    waits
}

#[test]
fn clients_that_pipeline_without_end_let_others_in() {
    let requests = FrameBuilder::request(Opcode::GET).key(b"a").build().repeat(10_000);
    let waits = waits_beside(&requests);
    assert!(waits[9] < LONG, "half of the requests took longer: {waits:?}");
}

#[test]
fn large_documents_let_others_in() {
    let json = format!("[{}0]", "0,".repeat(5 << 20));
    let waits = waits_beside(&set(Opcode::SET, 0, "b", &json, &[0; 8]).build());
    assert!(waits[17] < LONG_BESIDE, "requests took longer: {waits:?}");
}
