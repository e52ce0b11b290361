//! Memory while clients do not read, or do not end what they send.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use mcbp::kv::StoreExtras;
use mcbp::{Datatype, Feature, FrameBuilder, Opcode, Status, VbId};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::client::{Client, wait_for};
use crate::process::{LARGE_BYTES, MIB, OVERHEAD_BYTES, Process, QUOTA_BYTES, store};

/// How many clients misbehave.
const CLIENTS: usize = 64;
/// What one large document takes while it is written, and what the allocator has not given back of
/// it.
const WRITTEN_BYTES: u64 = LARGE_BYTES as u64;

fn get() -> FrameBuilder<'static> {
    FrameBuilder::request(Opcode::GET).key(b"key-0")
}

/// Connections that are logged in and have selected the bucket.
fn raw(node: &Process) -> TcpStream {
    let mut stream = TcpStream::connect(node.address).unwrap();
    stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let login =
        FrameBuilder::request(Opcode::SASL_AUTH).key(b"PLAIN").value(b"\0dcp-proxy\0secret");
    let select = FrameBuilder::request(Opcode::SELECT_BUCKET).key(b"default");
    stream.write_all(&[login.build(), select.build()].concat()).unwrap();
    stream
}

fn within_quota(node: &Process, when: &str, beside_bytes: u64) {
    let (now, peak) = (node.bytes("VmRSS") / MIB, node.bytes("VmHWM") / MIB);
    println!("{when}: RSS {now} MiB, at most {peak} MiB");
    assert!(peak <= (QUOTA_BYTES + beside_bytes) / MIB, "{when}: {peak} MiB");
}

#[test]
fn answers_that_nobody_reads_and_requests_that_nobody_ends_stay_within_the_quota() {
    let folder = tempfile::tempdir().unwrap();
    let node = Process::start(folder.path());
    let mut client = Client::connect(node.address, &[]);
    store(&mut client, 0, &vec![7; LARGE_BYTES], Opcode::SET);
    assert_eq!(client.next().status(), Status::SUCCESS);
    let mut unread: Vec<_> = (0..CLIENTS).map(|_| raw(&node)).collect();
    unread.iter_mut().for_each(|stream| stream.write_all(&get().build()).unwrap());
    let held = |client: &mut Client| -> u64 {
        client.stat("", "kvnode_connection_memory").parse().unwrap()
    };
    wait_for("an answer that is held", || held(&mut client) > 0);
    within_quota(&node, "with answers that nobody reads", OVERHEAD_BYTES + WRITTEN_BYTES);
    drop(unread);
    wait_for("the memory of the answers", || held(&mut client) == 0);

    let extras = StoreExtras::default().encode();
    let set = FrameBuilder::request(Opcode::SET).extras(&extras).key(b"b");
    let set = set.value(&vec![7; LARGE_BYTES]).build();
    let unfinished: Vec<_> = std::thread::scope(|scope| {
        let begin = || {
            let mut stream = raw(&node);
            // Those for whom there is no memory wait, and this write ends with its deadline.
            let _late = stream.write_all(&set[..set.len() - 1]);
            stream
        };
        let threads: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(begin)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(held(&mut client) > 0);
    within_quota(&node, "with requests that nobody ends", OVERHEAD_BYTES + WRITTEN_BYTES);
    // Small requests are answered as ever.
    store(&mut client, 1, b"x", Opcode::SET);
    assert_eq!(client.next().status(), Status::SUCCESS);
    drop(unfinished);
    wait_for("the memory of the requests", || held(&mut client) == 0);
    store(&mut client, 0, &vec![8; LARGE_BYTES], Opcode::SET);
    assert_eq!(client.next().status(), Status::SUCCESS, "and large ones again");
}

/// How many clients leave answers unread of which each alone is small.
const MANY_CLIENTS: usize = 1000;
/// What each has without asking: its session and its buffers, of a build that is not optimized.
const CLIENT_BYTES: u64 = 64 << 10;

#[test]
fn what_connections_have_without_asking_does_not_add_up_beyond_the_quota() {
    // For the sockets of both processes.
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let node = Process::start(folder.path());
    let mut client = Client::connect(node.address, &[]);
    store(&mut client, 0, &[7; 60 << 10], Opcode::SET);
    assert_eq!(client.next().status(), Status::SUCCESS);
    let connect = |_| Client::connect(node.address, &[]);
    let mut clients: Vec<_> = (0..MANY_CLIENTS).map(connect).collect();
    // More answers than the sockets hold.
    let gets = get().build().repeat(200);
    clients.iter_mut().for_each(|unread| unread.send(&gets));
    let sent = |client: &mut Client| -> u64 { client.stat("", "bytes_written").parse().unwrap() };
    wait_for("answers to most", || sent(&mut client) > (MANY_CLIENTS as u64) << 17);
    // On a busy machine so many answers wait that they have all of the quota.
    let beside = OVERHEAD_BYTES + MANY_CLIENTS as u64 * CLIENT_BYTES;
    within_quota(&node, "with small answers that nobody reads", beside);
    store(&mut client, 1, b"x", Opcode::SET);
    assert_eq!(client.next().status(), Status::SUCCESS);
}

#[test]
fn the_buffer_of_a_large_request_is_given_back_also_before_dcp() {
    let folder = tempfile::tempdir().unwrap();
    let node = Process::start(folder.path());
    // The largest frame that there may be: too large for a document.
    let extras = StoreExtras::default().encode();
    let value = vec![7; (30 << 20) - 100];
    let set = FrameBuilder::request(Opcode::SET).vbucket(VbId(0)).extras(&extras).key(b"a");
    let set = set.value(&value).build();
    let mut kept = Vec::new();
    for n in 0..16 {
        let mut client = Client::connect(node.address, &[]);
        client.send(&set);
        assert_eq!(client.next().status(), Status::E2BIG);
        kept.push(if n % 2 == 0 { client.produce(&format!("link-{n}")) } else { client });
    }
    within_quota(&node, "after large requests", OVERHEAD_BYTES + WRITTEN_BYTES);
}

#[test]
fn a_small_document_that_inflates_takes_the_memory_of_what_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let node = Process::start(folder.path());
    let mut client = Client::connect(node.address, &[Feature::SNAPPY.0]);
    let bomb = snap::raw::Encoder::new().compress_vec(&vec![7; LARGE_BYTES]).unwrap();
    let extras = StoreExtras::default().encode();
    let set = FrameBuilder::request(Opcode::SET).vbucket(VbId(0)).extras(&extras).key(b"key-0");
    client.send(&set.datatype(Datatype::SNAPPY).value(&bomb).build());
    assert_eq!(client.next().status(), Status::SUCCESS);
    let mut unread: Vec<_> = (0..CLIENTS).map(|_| raw(&node)).collect();
    unread.iter_mut().for_each(|stream| stream.write_all(&get().build()).unwrap());
    let held = |client: &mut Client| -> u64 {
        client.stat("", "kvnode_connection_memory").parse().unwrap()
    };
    wait_for("an answer that is held", || held(&mut client) >= LARGE_BYTES as u64);
    within_quota(&node, "with inflated answers", OVERHEAD_BYTES + WRITTEN_BYTES);
}
