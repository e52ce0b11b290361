//! Who has not logged in takes nothing from those who have; and nobody delays a stop.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kvnode::{Node, NodeConfig, NodeHandle, User};
use mcbp::kv::StoreExtras;
use mcbp::{FrameBuilder, Opcode, Status, VbId};
use relay::Secret;

use crate::support::client::Client;
use crate::support::memory_store::{Disk, MemoryStore};
use crate::support::scrape::{page, sample};
use crate::support::{DEADLINE, PASSWORD, config, eventually, options, start_in_memory};

fn start(change: impl FnOnce(&mut NodeConfig)) -> NodeHandle {
    let mut config = config(options(), Path::new("unused"));
    change(&mut config);
    Node::start_on(config, |_| Ok(Arc::new(MemoryStore::open(&Disk::new())))).unwrap()
}

fn failed_login(client: &mut Client, user: &str) -> Status {
    client.authenticate(user, "wrong").status
}

#[test]
fn the_oldest_stranger_is_closed_and_users_stay() {
    // Four seats for strangers, two of them for one address.
    let node = start(|config| config.limits.connections_max = 8);
    let mut user = Client::ready(&node);
    let mut first = Client::connect(node.address());
    assert_eq!(first.call(&FrameBuilder::request(Opcode::NOOP)).status, Status::EACCESS);
    let mut others: Vec<_> = (0..20).map(|_| Client::connect(node.address())).collect();
    assert_eq!(first.try_receive(), None, "the oldest one is closed");
    let mut late = Client::ready(&node);
    assert_eq!(late.set(0, "a", "x").status, Status::SUCCESS);
    assert_eq!(user.get(0, "a").value, b"x");
    let stats = user.stat("").unwrap();
    assert!(stats["kvnode_connections_evicted"].parse::<u64>().unwrap() >= 19, "{stats:?}");
    assert_eq!(stats["max_user_connections"], "8");
    let closed = others.iter_mut().take(18).all(|other| other.try_receive().is_none());
    assert!(closed, "older ones are closed");
}

#[test]
fn strangers_cannot_keep_replication_out() {
    let node = start(|config| config.limits.connections_max = 8);
    // Users take what users may have, and strangers the rest.
    let mut users: Vec<_> = (0..7).map(|_| Client::ready(&node)).collect();
    let _strangers: Vec<_> = (0..8).map(|_| Client::connect(node.address())).collect();
    let mut replication = Client::ready(&node);
    let mut extras = [0; 8];
    extras[7] = 1;
    let open = FrameBuilder::request(Opcode::DCP_OPEN).extras(&extras).key(b"link");
    assert_eq!(replication.call(&open).status, Status::SUCCESS);
    let _more: Vec<_> = (0..8).map(|_| Client::connect(node.address())).collect();
    let noop = FrameBuilder::request(Opcode::NOOP);
    assert!(users.iter_mut().all(|user| user.call(&noop).status == Status::SUCCESS));
    let stats = users[0].stat("dcp").unwrap();
    assert_eq!(stats["ep_dcp_producer_count"], "1");
}

#[test]
fn failed_logins_are_delayed_and_limited_for_a_user_and_an_address() {
    let node = start(|config| {
        config.users.all.push(User::admin("other", Secret::new("secret")));
    });
    let mut clients: Vec<_> = (0..40).map(|_| Client::connect(node.address())).collect();
    let login = FrameBuilder::request(Opcode::SASL_AUTH).key(b"PLAIN").value(b"\0dcp-proxy\0wrong");
    let begun = Instant::now();
    clients.iter_mut().for_each(|client| client.send(&login));
    let statuses: Vec<_> = clients.iter_mut().map(|client| client.receive().status).collect();
    let tried = statuses.iter().filter(|status| **status == Status::AUTH_ERROR).count();
    let not_tried = statuses.iter().filter(|status| **status == Status::ETMPFAIL).count();
    assert_eq!(tried + not_tried, 40, "{statuses:?}");
    assert!((20..40).contains(&tried), "{tried} passwords were looked at");
    assert!(begun.elapsed() >= Duration::from_millis(250), "{:?}", begun.elapsed());
    let mut client = Client::connect(node.address());
    assert_eq!(client.authenticate("other", PASSWORD).status, Status::SUCCESS);
    assert_eq!(failed_login(&mut client, "other"), Status::AUTH_ERROR);
}

#[test]
fn guesses_in_one_packet_are_answered_one_by_one_until_the_deadline() {
    let node = start(|config| config.limits.authentication = Duration::from_secs(1));
    let mut client = Client::connect(node.address());
    let login = FrameBuilder::request(Opcode::SASL_AUTH).key(b"PLAIN").value(b"\0dcp-proxy\0wrong");
    client.send_bytes(&login.build().repeat(1000));
    let begun = Instant::now();
    let answers = std::iter::from_fn(|| client.try_receive()).count();
    assert!((1..=4).contains(&answers), "{answers} answers");
    assert!(begun.elapsed() < DEADLINE / 2);
    assert_eq!(Client::ready(&node).set(0, "a", "x").status, Status::SUCCESS);
}

#[test]
fn clients_that_do_not_read_do_not_delay_a_stop() {
    let node = start_in_memory(&Disk::new(), options());
    let value = vec![7; 1 << 20];
    let extras = StoreExtras::default().encode();
    let set = FrameBuilder::request(Opcode::SET).vbucket(VbId(0)).extras(&extras).key(b"a");
    let mut writer = Client::ready(&node);
    assert_eq!(writer.call(&set.value(&value)).status, Status::SUCCESS);
    let get = FrameBuilder::request(Opcode::GET).key(b"a").build().repeat(50);
    let mut clients: Vec<_> = (0..16).map(|_| Client::ready(&node)).collect();
    let before: u64 = writer.stat("").unwrap()["cmd_get"].parse().unwrap();
    clients.iter_mut().for_each(|client| client.send_bytes(&get));
    // Each has some of its answers, and its session is stuck in one of the others.
    let writer = std::cell::RefCell::new(writer);
    let count = || writer.borrow_mut().stat("").unwrap()["cmd_get"].parse::<u64>().unwrap();
    eventually("answers", || count() >= before + 16);
    let begun = Instant::now();
    node.shutdown().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn a_large_request_and_its_answer_take_memory_that_is_given_back() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    for bytes in [65_000, 65_536, 70_000, 1 << 20, 20 << 20] {
        let value: String = "v".repeat(bytes);
        assert_eq!(client.set(0, "a", &value).status, Status::SUCCESS, "{bytes}");
        assert_eq!(client.get(0, "a").value.len(), bytes);
        let gat = FrameBuilder::request(Opcode::GAT).extras(&[0; 4]).key(b"a");
        assert_eq!(client.call(&gat).value.len(), bytes);
        let meta = client.call(&FrameBuilder::request(Opcode::GET_META).key(b"a"));
        assert_eq!(meta.status, Status::SUCCESS);
    }
    let too_large = "v".repeat((20 << 20) + 1);
    assert_eq!(client.set(0, "a", &too_large).status, Status::E2BIG);
    assert_eq!(client.stat("").unwrap()["kvnode_connection_memory"], "0");
    assert_eq!(client.stat("").unwrap()["cmd_get"], "10", "each answer is counted once");
}

#[test]
fn connections_that_ask_nothing_do_not_keep_a_probe_of_the_metrics_out() {
    let node = start(|config| config.metrics = Some("127.0.0.1:0".parse().unwrap()));
    let address = node.metrics_address().unwrap();
    let (ready, deadline) =
        ("kvnode_ready{bucket=\"default\"}", Instant::now() + Duration::from_secs(30));
    while sample(&page(address), ready) != 1 {
        assert!(Instant::now() < deadline, "the bucket is ready");
    }
    let begin = |n: usize| {
        let mut stream = TcpStream::connect(address).unwrap();
        let head: &[u8] = if n.is_multiple_of(2) { b"GET /metrics HTTP/1.1\r\nX: " } else { b"" };
        stream.write_all(head).unwrap();
        stream
    };
    let mut held: Vec<_> = (0..80).map(begin).collect();
    let begun = Instant::now();
    assert_eq!(sample(&page(address), "kvnode_ready{bucket=\"default\"}"), 1);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let mut oldest = held.swap_remove(0);
    oldest.set_read_timeout(Some(DEADLINE)).unwrap();
    assert!(!matches!(oldest.read(&mut [0]), Ok(1..)), "the oldest one is closed");
}
