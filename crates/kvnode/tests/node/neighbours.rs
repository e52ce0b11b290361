//! Clients that do not hold up each other.

use std::io::Read as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mcbp::{FrameBuilder, Opcode, Status};

use crate::support::client::Client;
use crate::support::memory_store::Disk;
use crate::support::{options, start_in_memory};

/// More than the node has workers.
const CLIENTS: usize = 4;
/// Many times what a moment of each of the others takes.
const LONG: Duration = Duration::from_millis(250);

/// Sends requests for a document, faster than they are answered.
fn pipeline(mut client: Client, done: &AtomicBool) {
    let mut answers = client.stream();
    let reader = thread::spawn(move || {
        let mut bytes = vec![0; 1 << 20];
        while answers.read(&mut bytes).is_ok_and(|count| count > 0) {}
    });
    let requests = FrameBuilder::request(Opcode::GET).key(b"a").build().repeat(10_000);
    while !done.load(Ordering::Relaxed) {
        client.send_bytes(&requests);
    }
    client.stream().shutdown(std::net::Shutdown::Both).unwrap();
    reader.join().unwrap();
}

#[test]
fn clients_that_pipeline_without_end_let_others_in() {
    let disk = Disk::new();
    let node = start_in_memory(&disk, options());
    let mut other = Client::ready(&node);
    assert_eq!(other.set(0, "a", "x").status, Status::SUCCESS);
    let done = AtomicBool::new(false);
    let mut waits: Vec<_> = thread::scope(|scope| {
        for _ in 0..CLIENTS {
            let client = Client::ready(&node);
            scope.spawn(|| pipeline(client, &done));
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
    let half = waits[waits.len() / 2];
    assert!(half < LONG, "half of the requests took {half:?} and more, the longest {waits:?}");
}
