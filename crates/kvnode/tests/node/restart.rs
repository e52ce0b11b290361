//! What survives a stop, clean or unclean, and warm-up.

use kvnode::{Node, NodeError};
use mcbp::{FrameBuilder, Opcode, Seqno, Status, VbState};
use vbucket::StoreError;

use crate::support::client::Client;
use crate::support::memory_store::Disk;
use crate::support::{BUCKET, PASSWORD, USER, config, eventually, options, start_in_memory};

#[test]
fn documents_and_histories_outlive_a_clean_stop() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(config(options(), folder.path())).unwrap();
    let mut client = Client::ready(&node);
    let cas = client.set(5, "a", "x").cas;
    client.set(5, "b", "x");
    client.delete(5, "b");
    client.set_vbucket(6, 2);
    let table = client.stat("failovers").unwrap();
    node.shutdown().unwrap();
    assert_eq!(client.try_receive(), None);

    let node = Node::start(config(options(), folder.path())).unwrap();
    let mut client = Client::ready(&node);
    let got = client.get(5, "a");
    assert_eq!((got.value.as_slice(), got.cas), (b"x".as_slice(), cas));
    assert_eq!(client.get(5, "b").status, Status::KEY_ENOENT);
    assert_eq!(client.stat("failovers").unwrap(), table);
    assert_eq!(client.stat("vbucket 6").unwrap()["vb_6"], "replica");
    assert_eq!(client.stat("vbucket-seqno 5").unwrap()["vb_5:high_seqno"], "3");
    assert!(client.set(5, "a", "y").cas > cas);
    node.shutdown().unwrap();
}

#[test]
fn an_unclean_stop_begins_a_branch_on_active_vbuckets() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(config(options(), folder.path())).unwrap();
    let mut client = Client::ready(&node);
    client.set(5, "a", "x");
    client.set_vbucket(6, 2);
    let before = client.stat("failovers").unwrap();
    drop(node);

    let node = Node::start(config(options(), folder.path())).unwrap();
    let mut client = Client::ready(&node);
    assert_eq!(client.get(5, "a").value, b"x");
    let after = client.stat("failovers").unwrap();
    assert_eq!((after["vb_5:num_entries"].as_str(), after["vb_5:0:seq"].as_str()), ("2", "1"));
    assert_eq!(after["vb_5:1:id"], before["vb_5:0:id"]);
    assert_eq!(after["vb_6:num_entries"], "1");
    node.shutdown().unwrap();
}

#[test]
fn a_node_starts_and_stops_inside_another_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let node = start_in_memory(&Disk::new(), options());
        assert!(node.shutdown().is_ok());
        drop(start_in_memory(&Disk::new(), options()));
    });
}

#[test]
fn two_nodes_do_not_share_a_folder_or_a_port() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(config(options(), folder.path())).unwrap();
    let second = Node::start(config(options(), folder.path()));
    let error = second.err().unwrap();
    assert!(matches!(error, NodeError::Open { .. }), "{error}");
    let mut taken = config(options(), folder.path());
    taken.listen = node.address();
    let error = Node::start(taken).err().unwrap();
    assert!(matches!(error, NodeError::Listen { .. }), "{error}");
    assert!(error.to_string().contains(&node.address().to_string()), "{error}");
    node.shutdown().unwrap();
}

#[test]
fn mb_41942_the_entry_of_a_crash_is_on_disk_before_anything_is_served() {
    let disk = Disk::new();
    drop(Client::ready(&start_in_memory(&disk, options())));
    disk.hold();
    let node = start_in_memory(&disk, options());
    eventually("warm-up commits", || disk.waiting() == 1);
    let bucket = node.bucket(BUCKET).unwrap();
    assert!(!bucket.is_ready());
    assert!(bucket.vbuckets().is_empty());
    let mut client = Client::connect(node.address());
    client.authenticate(USER, PASSWORD);
    assert_eq!(client.select(BUCKET).status, Status::SUCCESS);
    assert_eq!(client.get(0, "a").status, Status::ETMPFAIL);
    assert_eq!(client.set(0, "a", "x").status, Status::ETMPFAIL);
    assert_eq!(client.set_vbucket(0, 1).status, Status::ETMPFAIL);
    assert_eq!(client.stat("warmup").unwrap()["ep_warmup_state"], "loading");
    // MB-32577: no consumer, no producer either.
    let open = FrameBuilder::request(Opcode::DCP_OPEN).extras(&[0; 8]).key(b"c");
    assert_eq!(client.call(&open).status, Status::ETMPFAIL);
    disk.release();
    eventually("warm-up", || bucket.is_ready());
    assert_eq!(disk.meta(0).unwrap().failover.entries().len(), 2);
    assert_eq!(client.set(0, "a", "x").status, Status::SUCCESS);
}

#[test]
fn mb_41257_an_entry_that_cannot_be_written_keeps_traffic_off() {
    let disk = Disk::new();
    drop(Client::ready(&start_in_memory(&disk, options())));
    let detail = "no space left on device".to_owned();
    disk.fail_commits(Some(StoreError::Io { doing: "committing", detail }));
    let node = start_in_memory(&disk, options());
    let mut client = Client::connect(node.address());
    client.authenticate(USER, PASSWORD);
    client.select(BUCKET);
    let warmup = || {
        let mut client = Client::connect(node.address());
        client.authenticate(USER, PASSWORD);
        client.select(BUCKET);
        client.stat("warmup").unwrap()
    };
    eventually("warm-up fails", || warmup()["ep_warmup_state"] == "failed");
    assert!(warmup()["ep_warmup_error"].contains("no space left"), "{:?}", warmup());
    disk.fail_commits(None);
    assert_eq!(client.get(0, "a").status, Status::ETMPFAIL);
    assert_eq!(client.set_vbucket(0, 1).status, Status::ETMPFAIL);
    let traffic = client.call(&FrameBuilder::request(Opcode::ENABLE_TRAFFIC));
    assert_eq!(traffic.status, Status::ETMPFAIL);
    assert_eq!(client.stat("vbucket"), Err(Status::ETMPFAIL));
}

#[test]
fn mb_47933_a_store_that_cannot_be_read_is_not_served() {
    let disk = Disk::new();
    start_in_memory(&disk, options()).shutdown().unwrap();
    let what = "vb:3".to_owned();
    disk.fail_reads(Some(StoreError::Damaged { what, detail: "checksum".to_owned() }));
    let node = start_in_memory(&disk, options());
    let bucket = node.bucket(BUCKET).unwrap();
    let failed = || matches!(bucket.warmup(), kvnode::bucket::Warmup::Failed(_));
    eventually("warm-up fails", failed);
    assert!(bucket.vbuckets().is_empty());
}

#[test]
fn the_branch_after_a_crash_begins_where_a_snapshot_was_whole() {
    let disk = Disk::new();
    drop(Client::ready(&start_in_memory(&disk, options())));
    let mut meta = disk.meta(0).unwrap();
    (meta.high_seqno, meta.snapshot_start, meta.snapshot_end) = (Seqno(7), Seqno(5), Seqno(9));
    disk.put_meta(meta.clone());
    (meta.vb, meta.high_seqno) = (mcbp::VbId(1), Seqno(9));
    disk.put_meta(meta);
    let node = start_in_memory(&disk, options());
    let mut client = Client::ready(&node);
    assert_eq!(client.stat("failovers 0").unwrap()["vb_0:0:seq"], "5");
    assert_eq!(client.stat("failovers 1").unwrap()["vb_1:0:seq"], "9");
}

#[test]
fn fewer_vbuckets_than_the_store_holds_is_an_error() {
    let disk = Disk::new();
    start_in_memory(&disk, options()).shutdown().unwrap();
    let mut fewer = options();
    fewer.vbuckets = 4;
    let node = start_in_memory(&disk, fewer);
    let bucket = node.bucket(BUCKET).unwrap();
    let reason = || match bucket.warmup() {
        kvnode::bucket::Warmup::Failed(reason) => Some(reason),
        _ => None,
    };
    eventually("warm-up fails", || reason().is_some());
    assert!(reason().unwrap().contains("configure at least 8"), "{:?}", reason());
}

#[test]
fn a_new_store_gets_vbuckets_in_the_initial_state_once() {
    let disk = Disk::new();
    let mut replica = options();
    replica.initial_state = Some(VbState::Replica);
    let node = start_in_memory(&disk, replica);
    let mut client = Client::ready(&node);
    assert!(client.stat("vbucket").unwrap().values().all(|state| state == "replica"));
    node.shutdown().unwrap();
    let node = start_in_memory(&disk, options());
    let mut client = Client::ready(&node);
    assert!(client.stat("vbucket").unwrap().values().all(|state| state == "replica"));
}
