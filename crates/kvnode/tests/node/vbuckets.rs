//! vBuckets: their states, their histories, their seqnos.

use mcbp::{Feature, FrameBuilder, Opcode, Seqno, Status, VbId, VbState};
use vbucket::StoreError;

use crate::support::client::{Answer, Client, set};
use crate::support::memory_store::Disk;
use crate::support::{BUCKET, eventually, options, start_in_memory};

const ACTIVE: u8 = 1;
const REPLICA: u8 = 2;
const PENDING: u8 = 3;
const DEAD: u8 = 4;

fn plain(client: &mut Client, opcode: Opcode, vb: u16) -> Answer {
    client.call(&FrameBuilder::request(opcode).vbucket(VbId(vb)))
}

#[test]
fn a_state_decides_who_is_served() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    client.set(0, "a", "x");
    for (state, expected) in [
        (REPLICA, Status::NOT_MY_VBUCKET),
        (PENDING, Status::ETMPFAIL),
        (DEAD, Status::NOT_MY_VBUCKET),
        (ACTIVE, Status::SUCCESS),
    ] {
        assert_eq!(client.set_vbucket(0, state).status, Status::SUCCESS);
        assert_eq!(client.get(0, "a").status, expected);
        assert_eq!(client.set(0, "a", "x").status, expected);
        let got = plain(&mut client, Opcode::GET_VBUCKET, 0);
        assert_eq!(got.value, u32::from(state).to_be_bytes());
    }
    assert_eq!(client.get(1, "a").status, Status::KEY_ENOENT);
}

#[test]
fn the_old_form_of_set_vbucket_and_wrong_ones() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    let frame = FrameBuilder::request(Opcode::SET_VBUCKET).vbucket(VbId(0));
    assert_eq!(client.call(&frame.extras(&[0, 0, 0, 2])).status, Status::SUCCESS);
    assert_eq!(client.stat("vbucket 0").unwrap()["vb_0"], "replica");
    for extras in [&[0][..], &[5], &[], &[1, 2]] {
        assert_eq!(client.call(&frame.extras(extras)).status, Status::EINVAL, "{extras:?}");
    }
    assert_eq!(client.set_vbucket(8, ACTIVE).status, Status::ERANGE);
    let topology = br#"{"topology": [["alpha", null]]}"#;
    assert_eq!(client.call(&frame.extras(&[2]).value(topology)).status, Status::EINVAL);
    assert_eq!(client.call(&frame.extras(&[1]).value(b"{")).status, Status::EINVAL);
    let long = format!(r#"{{"topology": [["{}"]]}}"#, "x".repeat(1 << 20));
    let long = frame.extras(&[1]).value(long.as_bytes());
    assert_eq!(client.call(&long).status, Status::E2BIG, "each vBucket keeps its own in memory");
    assert_eq!(client.call(&frame.extras(&[1]).value(topology)).status, Status::SUCCESS);
    let details = client.stat("vbucket-details 0").unwrap();
    assert_eq!(details["vb_0:topology"], r#"[["alpha",null]]"#);
}

#[test]
fn vbuckets_come_and_go() {
    let disk = Disk::new();
    let mut options = options();
    options.initial_state = None;
    let node = start_in_memory(&disk, options);
    let mut client = Client::ready(&node);
    assert_eq!(client.set(3, "a", "x").status, Status::NOT_MY_VBUCKET);
    assert_eq!(plain(&mut client, Opcode::GET_VBUCKET, 3).status, Status::NOT_MY_VBUCKET);
    assert_eq!(plain(&mut client, Opcode::DEL_VBUCKET, 3).status, Status::NOT_MY_VBUCKET);
    client.set_vbucket(3, ACTIVE);
    assert_eq!(disk.meta(3).unwrap().state, VbState::Active);
    client.set(3, "a", "x");
    let first = client.stat("failovers 3").unwrap();
    assert_eq!(plain(&mut client, Opcode::DEL_VBUCKET, 3).status, Status::SUCCESS);
    assert_eq!(disk.meta(3), None);
    assert_eq!(client.get(3, "a").status, Status::NOT_MY_VBUCKET);
    client.set_vbucket(3, ACTIVE);
    assert_eq!(client.get(3, "a").status, Status::KEY_ENOENT);
    assert_ne!(client.stat("failovers 3").unwrap()["vb_3:0:id"], first["vb_3:0:id"]);
}

#[test]
fn a_promotion_begins_a_branch_and_nothing_else_does() {
    let disk = Disk::new();
    let node = start_in_memory(&disk, options());
    let mut client = Client::ready(&node);
    for key in ["a", "b", "c"] {
        client.set(0, key, "x");
    }
    client.set_vbucket(0, ACTIVE);
    assert_eq!(client.stat("failovers 0").unwrap()["vb_0:num_entries"], "1");
    client.set_vbucket(0, DEAD);
    client.set_vbucket(0, REPLICA);
    assert_eq!(client.stat("failovers 0").unwrap()["vb_0:num_entries"], "1");
    client.set_vbucket(0, ACTIVE);
    let table = client.stat("failovers 0").unwrap();
    assert_eq!((table["vb_0:num_entries"].as_str(), table["vb_0:0:seq"].as_str()), ("2", "3"));
    let log = plain(&mut client, Opcode::GET_FAILOVER_LOG, 0).value;
    assert_eq!(log.len(), 32);
    assert_eq!(log[..8], table["vb_0:0:id"].parse::<u64>().unwrap().to_be_bytes());
    assert_eq!(disk.meta(0).unwrap().failover.entries().len(), 2);
}

#[test]
fn a_promotion_within_a_snapshot_branches_at_its_start() {
    let disk = Disk::new();
    let node = start_in_memory(&disk, options());
    let mut client = Client::ready(&node);
    client.set_vbucket(0, REPLICA);
    drop(node);
    // A crash in the middle of a snapshot leaves this.
    let mut meta = disk.meta(0).unwrap();
    (meta.high_seqno, meta.snapshot_start, meta.snapshot_end) = (Seqno(7), Seqno(5), Seqno(9));
    disk.put_meta(meta);
    let node = start_in_memory(&disk, options());
    let mut client = Client::ready(&node);
    client.set_vbucket(0, ACTIVE);
    assert_eq!(client.stat("failovers 0").unwrap()["vb_0:0:seq"], "5");
    let seqnos = client.stat("vbucket-seqno 0").unwrap();
    assert_eq!(seqnos["vb_0:last_persisted_snap_start"], "7");
    assert_eq!(seqnos["vb_0:last_persisted_snap_end"], "7");
}

#[test]
fn a_state_that_cannot_be_written_is_not_taken() {
    let disk = Disk::new();
    let node = start_in_memory(&disk, options());
    let mut client = Client::ready(&node);
    let detail = "read-only file system".to_owned();
    disk.fail_commits(Some(StoreError::Io { doing: "committing", detail }));
    assert_eq!(client.set_vbucket(0, REPLICA).status, Status::ETMPFAIL);
    assert_eq!(client.stat("vbucket 0").unwrap()["vb_0"], "active");
    disk.fail_commits(None);
    eventually("the state is taken", || {
        Client::ready(&node).set_vbucket(0, REPLICA).status == Status::SUCCESS
    });
}

#[test]
fn writes_during_a_change_of_state_come_after_it() {
    let disk = Disk::new();
    let node = start_in_memory(&disk, options());
    let (mut admin, mut writer) = (Client::ready(&node), Client::ready(&node));
    disk.hold();
    let frame = FrameBuilder::request(Opcode::SET_VBUCKET).vbucket(VbId(0));
    admin.send(&frame.extras(&[DEAD]));
    eventually("the change is being committed", || disk.waiting() == 1);
    writer.send(&set(Opcode::SET, 0, "a", "x", &[0; 8]));
    // A write to another vBucket waits only for the disk; reads do not wait.
    assert_eq!(Client::ready(&node).get(1, "a").status, Status::KEY_ENOENT);
    disk.release();
    assert_eq!(admin.receive().status, Status::SUCCESS);
    assert_eq!(writer.receive().status, Status::NOT_MY_VBUCKET);
    assert_eq!(admin.stat("vbucket-seqno 0").unwrap()["vb_0:high_seqno"], "0");
}

#[test]
fn all_seqnos_and_those_of_a_state() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    client.set(1, "a", "x");
    client.set_vbucket(2, REPLICA);
    client.set_vbucket(3, DEAD);
    let ask = |client: &mut Client, extras: &[u8]| {
        let frame = FrameBuilder::request(Opcode::GET_ALL_VB_SEQNOS);
        let answer = client.call(&frame.extras(extras));
        let ids: Vec<u16> =
            answer.value.chunks(10).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        (answer.status, ids, answer.value)
    };
    let (_, ids, value) = ask(&mut client, &[]);
    assert_eq!(ids, [0, 1, 2, 4, 5, 6, 7]);
    assert_eq!(value[10..20], [0, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(ask(&mut client, &[0, 0, 0, REPLICA]).1, [2]);
    assert_eq!(ask(&mut client, &[0, 0, 0, DEAD]).1, [3]);
    assert_eq!(ask(&mut client, &[0; 4]).1.len(), 7);
    assert_eq!(ask(&mut client, &[0, 0, 0, 9]).0, Status::EINVAL);
    assert_eq!(ask(&mut client, &[0; 8]).0, Status::EINVAL);
    let mut client = Client::with_features(&node, &[Feature::COLLECTIONS]);
    assert_eq!(ask(&mut client, &[0, 0, 0, 2, 0, 0, 0, 0]).1, [2]);
    assert_eq!(ask(&mut client, &[0, 0, 0, 2, 0, 0, 0, 8]).0, Status::UNKNOWN_COLLECTION);
}

#[test]
fn observe_seqno_follows_branches() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    client.set(0, "a", "x");
    let uuid = client.stat("failovers 0").unwrap()["vb_0:0:id"].parse::<u64>().unwrap();
    let observe = |client: &mut Client, uuid: u64| {
        let frame = FrameBuilder::request(Opcode::OBSERVE_SEQNO).vbucket(VbId(0));
        client.call(&frame.value(&uuid.to_be_bytes()))
    };
    let one = 1_u64.to_be_bytes();
    let same = [&[0, 0, 0][..], &uuid.to_be_bytes(), &one, &one].concat();
    assert_eq!(observe(&mut client, uuid).value, same);
    assert_eq!(observe(&mut client, 1).status, Status::KEY_ENOENT);
    client.set_vbucket(0, REPLICA);
    client.set_vbucket(0, ACTIVE);
    client.set(0, "b", "x");
    let newer = client.stat("failovers 0").unwrap()["vb_0:0:id"].parse::<u64>().unwrap();
    let two = 2_u64.to_be_bytes();
    let moved = [&[1, 0, 0][..], &newer.to_be_bytes(), &two, &two, &uuid.to_be_bytes(), &one];
    assert_eq!(observe(&mut client, uuid).value, moved.concat());
}

#[test]
fn seqno_persistence_waits_for_the_disk() {
    let disk = Disk::new();
    let node = start_in_memory(&disk, options());
    let (mut waiter, mut writer) = (Client::ready(&node), Client::ready(&node));
    let frame = FrameBuilder::request(Opcode::SEQNO_PERSISTENCE).vbucket(VbId(0));
    assert_eq!(waiter.call(&frame.extras(&[0; 8])).status, Status::SUCCESS);
    waiter.send(&frame.extras(&2_u64.to_be_bytes()));
    writer.set(0, "a", "x");
    writer.set(0, "a", "x");
    assert_eq!(waiter.receive().status, Status::SUCCESS);
    waiter.send(&frame.extras(&99_u64.to_be_bytes()));
    plain(&mut writer, Opcode::DEL_VBUCKET, 0);
    assert_eq!(waiter.receive().status, Status::NOT_MY_VBUCKET);
    assert_eq!(node.bucket(BUCKET).unwrap().vbuckets().len(), 7);
}
