//! How long commands took: GET_CMD_TIMER, STAT timings, and the metric.

use std::time::{Duration, Instant};

use mcbp::{FrameBuilder, Opcode, Status};
use serde_json::Value;

use super::privileges::{OTHER, in_bucket, logged_in, start};
use crate::support::client::{Answer, Client, set};
use crate::support::memory_store::Disk;
use crate::support::scrape::{page, sample};
use crate::support::{BUCKET, eventually, options, start_in_memory};

const ALL: &str = "/all/";
const NO_BUCKET: &str = "@no bucket@";

fn asked(client: &mut Client, key: &str, opcode: Opcode) -> Answer {
    let request = FrameBuilder::request(Opcode::GET_CMD_TIMER);
    client.call(&request.key(key.as_bytes()).extras(&[opcode.0]))
}

fn times(client: &mut Client, key: &str, opcode: Opcode) -> Value {
    let answer = asked(client, key, opcode);
    assert_eq!(answer.status, Status::SUCCESS, "{key} {opcode}");
    serde_json::from_slice(&answer.value).unwrap()
}

fn total(client: &mut Client, key: &str, opcode: Opcode) -> u64 {
    times(client, key, opcode)["total"].as_u64().unwrap()
}

#[test]
fn each_command_is_counted_once_for_its_opcode() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    client.set(0, "a", "x");
    for quiet in [false, true] {
        let opcode = if quiet { Opcode::GETQ } else { Opcode::GET };
        client.send(&FrameBuilder::request(opcode).key(b"a"));
        client.receive();
    }
    // A failure has taken time, too. A quiet success is not answered, and is counted.
    client.get(0, "none");
    client.send(&set(Opcode::SETQ, 0, "b", "x", &[0; 8]));
    assert_eq!(client.call(&FrameBuilder::request(Opcode::NOOP)).status, Status::SUCCESS);
    for (opcode, count) in
        [(Opcode::SET, 1), (Opcode::SETQ, 1), (Opcode::GET, 2), (Opcode::GETQ, 1), (Opcode::ADD, 0)]
    {
        assert_eq!(total(&mut client, "", opcode), count, "{opcode}");
    }
    let stats = client.stat("timings").unwrap();
    let of = |kind: &str| serde_json::from_str::<Value>(&stats[kind]).unwrap()["total"].clone();
    assert_eq!((of("get_cmd"), of("store_cmd"), of("arith_cmd")), (3.into(), 2.into(), 0.into()));
}

#[test]
fn a_change_has_taken_as_long_as_its_commit() {
    let disk = Disk::new();
    let node = start_in_memory(&disk, options());
    let mut client = Client::ready(&node);
    disk.hold();
    client.send(&set(Opcode::SET, 0, "a", "x", &[0; 8]));
    eventually("a commit that waits", || disk.waiting() == 1);
    let (held, least) = (Instant::now(), Duration::from_millis(20));
    eventually("some time", || held.elapsed() >= least);
    disk.release();
    assert_eq!(client.receive().status, Status::SUCCESS);
    let times = times(&mut client, "", Opcode::SET);
    let us = times["data"][0][0].as_u64().unwrap();
    assert!(Duration::from_micros(us) >= least, "{times}");
}

#[test]
fn users_see_the_times_of_their_buckets() {
    let node = start();
    let mut admin = logged_in(&node, "admin");
    admin.call(&FrameBuilder::request(Opcode::NOOP));
    for bucket in [BUCKET, OTHER] {
        let mut client = in_bucket(&node, "read-only", bucket);
        client.call(&FrameBuilder::request(Opcode::NOOP));
        assert_eq!(total(&mut client, "", Opcode::NOOP), 1);
        assert_eq!(total(&mut client, bucket, Opcode::NOOP), 1);
        assert_eq!(asked(&mut client, NO_BUCKET, Opcode::NOOP).status, Status::EACCESS);
    }
    for key in ["", NO_BUCKET] {
        assert_eq!(total(&mut admin, key, Opcode::NOOP), 1, "{key}");
    }
    assert_eq!(total(&mut admin, ALL, Opcode::NOOP), 3);
    assert_eq!(total(&mut logged_in(&node, "read-only"), ALL, Opcode::NOOP), 2);
    assert_eq!(total(&mut logged_in(&node, "limited"), ALL, Opcode::NOOP), 1);
    // Without a bucket any key is about commands without one.
    let mut limited = logged_in(&node, "limited");
    for key in ["", NO_BUCKET, "none"] {
        assert_eq!(asked(&mut limited, key, Opcode::NOOP).status, Status::EACCESS, "{key}");
    }
    let mut client = in_bucket(&node, "admin", BUCKET);
    assert_eq!(asked(&mut client, OTHER, Opcode::NOOP).status, Status::NOT_SUPPORTED);
    assert_eq!(total(&mut client, NO_BUCKET, Opcode::NOOP), 1);
}

#[test]
fn a_request_has_the_opcode_and_no_more() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    let request = FrameBuilder::request(Opcode::GET_CMD_TIMER);
    for wrong in [request, request.extras(&[0, 0]), request.extras(&[0]).value(b"x")] {
        assert_eq!(client.call(&wrong).status, Status::EINVAL);
    }
    let mut stranger = Client::connect(node.address());
    assert_eq!(asked(&mut stranger, "", Opcode::GET).status, Status::EACCESS);
}

#[test]
fn the_metric_has_the_opcodes_that_were_used() {
    let node = super::metrics::start(&Disk::new());
    let mut client = Client::ready(&node);
    client.set(0, "a", "x");
    let page = page(node.metrics_address().unwrap());
    let of = "bucket=\"default\",opcode=\"SET\"";
    assert_eq!(sample(&page, &format!("kvnode_command_seconds_count{{{of}}}")), 1);
    let last = format!("kvnode_command_seconds_bucket{{le=\"+Inf\",{of}}}");
    assert_eq!(sample(&page, &last), 1);
    assert!(!page.contains("opcode=\"GET\""), "{page}");
}
