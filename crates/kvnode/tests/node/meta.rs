//! GET_META and the *_WITH_META commands.

use mcbp::kv::with_meta_options::FORCE_ACCEPT;
use mcbp::{Datatype, Feature, FrameBuilder, Opcode, Status, VbId};
use vbucket::conflict::Resolution;

use crate::support::client::{Answer, Client};
use crate::support::memory_store::Disk;
use crate::support::{options, start_in_memory};

const SKIP: u32 = 0x08;

fn extras(rev: u64, cas: u64, options: Option<u32>) -> Vec<u8> {
    let mut bytes = [7_u32.to_be_bytes(), 0_u32.to_be_bytes()].concat();
    bytes.extend(rev.to_be_bytes());
    bytes.extend(cas.to_be_bytes());
    bytes.extend(options.map(u32::to_be_bytes).into_iter().flatten());
    bytes
}

fn with_meta<'a>(opcode: Opcode, extras: &'a [u8], value: &'a str) -> FrameBuilder<'a> {
    let frame = FrameBuilder::request(opcode).vbucket(VbId(0)).key(b"k");
    frame.extras(extras).value(value.as_bytes())
}

fn store(client: &mut Client, rev: u64, cas: u64, value: &str) -> Answer {
    client.call(&with_meta(Opcode::SET_WITH_META, &extras(rev, cas, None), value))
}

/// deleted, flags, rev, CAS
fn meta(client: &mut Client) -> (u32, u32, u64, u64) {
    let answer = client.call(&FrameBuilder::request(Opcode::GET_META).key(b"k"));
    assert_eq!((answer.status, answer.extras.len()), (Status::SUCCESS, 20));
    let u32_at = |at: usize| u32::from_be_bytes(answer.extras[at..at + 4].try_into().unwrap());
    let rev = u64::from_be_bytes(answer.extras[12..].try_into().unwrap());
    (u32_at(0), u32_at(4), rev, answer.cas)
}

#[test]
fn a_change_of_another_cluster_keeps_its_rev_and_cas() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    let missing = client.call(&FrameBuilder::request(Opcode::GET_META).key(b"k"));
    assert_eq!(missing.status, Status::KEY_ENOENT);
    let stored = store(&mut client, 5, 500, "theirs");
    assert_eq!((stored.status, stored.cas), (Status::SUCCESS, 500));
    assert_eq!(meta(&mut client), (0, 7, 5, 500));
    let got = client.get(0, "k");
    assert_eq!((got.value.as_slice(), got.cas), (b"theirs".as_slice(), 500));
    // Later changes on this node continue the rev.
    let ours = client.set(0, "k", "ours");
    assert_eq!(meta(&mut client), (0, 0, 6, ours.cas));
    client.delete(0, "k");
    let (deleted, _, rev, _) = meta(&mut client);
    assert_eq!((deleted, rev), (1, 7));
}

#[test]
fn the_last_write_wins_in_a_bucket_that_says_so() {
    let mut options = options();
    options.resolution = Resolution::LastWriteWins;
    let node = start_in_memory(&Disk::new(), options);
    let mut client = Client::ready(&node);
    let mut store = |rev, cas, options| {
        let extras = extras(rev, cas, options);
        client.call(&with_meta(Opcode::SET_WITH_META, &extras, "theirs")).status
    };
    let accept = Some(FORCE_ACCEPT);
    assert_eq!(store(5, 500, None), Status::EINVAL, "it must say that it knows the rule");
    assert_eq!(store(5, 500, accept), Status::SUCCESS);
    assert_eq!(store(9, 499, accept), Status::KEY_EEXISTS);
    assert_eq!(store(1, 501, accept), Status::SUCCESS);
    assert_eq!(meta(&mut client), (0, 7, 1, 501));
    assert_eq!(client.stat("config").unwrap()["ep_conflict_resolution_type"], "lww");
}

#[test]
fn the_newer_change_wins_and_a_deletion_counts() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    assert_eq!(store(&mut client, 5, 500, "a").status, Status::SUCCESS);
    for (rev, cas) in [(4, 900), (5, 499), (5, 500)] {
        assert_eq!(store(&mut client, rev, cas, "b").status, Status::KEY_EEXISTS);
    }
    assert_eq!(store(&mut client, 5, 501, "c").status, Status::SUCCESS);
    let delete = with_meta(Opcode::DELETE_WITH_META, &extras(6, 600, None), "").build();
    client.send_bytes(&delete);
    assert_eq!(client.receive().status, Status::SUCCESS);
    assert_eq!(client.get(0, "k").status, Status::KEY_ENOENT);
    assert_eq!(store(&mut client, 5, 999, "late").status, Status::KEY_EEXISTS);
    let (deleted, _, rev, cas) = meta(&mut client);
    assert_eq!((deleted, rev, cas), (1, 6, 600));
    // The deletion of an unknown document is accepted.
    let bytes = extras(2, 20, None);
    let unknown = with_meta(Opcode::DELETE_WITH_META, &bytes, "").key(b"other");
    assert_eq!(client.call(&unknown.vbucket(VbId(1))).status, Status::SUCCESS);
}

#[test]
fn options_skip_the_resolution_and_give_a_cas() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    assert_eq!(store(&mut client, 9, 900, "a").status, Status::SUCCESS);
    for skip in [SKIP, 0x01] {
        let bytes = extras(1, 100, Some(skip));
        let answer = client.call(&with_meta(Opcode::SET_WITH_META, &bytes, "b"));
        assert_eq!((answer.status, answer.cas), (Status::SUCCESS, 100));
    }
    let bytes = extras(3, 300, Some(SKIP | 0x04));
    let answer = client.call(&with_meta(Opcode::SET_WITH_META, &bytes, "c"));
    assert!(answer.status == Status::SUCCESS && answer.cas > 900, "{answer:?}");
    let (_, _, rev, cas) = meta(&mut client);
    assert_eq!((rev, cas), (3, answer.cas));
    for refused in [0x04, 0x02, 0x02 | SKIP] {
        let bytes = extras(99, 99, Some(refused));
        let answer = client.call(&with_meta(Opcode::SET_WITH_META, &bytes, "d"));
        assert_eq!(answer.status, Status::EINVAL, "options {refused:#x}");
    }
}

#[test]
fn add_needs_room_and_a_cas_in_the_header_is_checked() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    let bytes = extras(5, 500, None);
    let add = with_meta(Opcode::ADD_WITH_META, &bytes, "a");
    assert_eq!(client.call(&add).status, Status::SUCCESS);
    let bytes = extras(6, 600, None);
    let again = with_meta(Opcode::ADD_WITH_META, &bytes, "b");
    assert_eq!(client.call(&again).status, Status::KEY_EEXISTS);
    let guarded = with_meta(Opcode::SET_WITH_META, &bytes, "b");
    assert_eq!(client.call(&guarded.cas(499)).status, Status::KEY_EEXISTS);
    assert_eq!(client.call(&guarded.cas(500)).status, Status::SUCCESS);
    assert_eq!(client.call(&guarded.key(b"none").cas(1)).status, Status::KEY_ENOENT);
}

#[test]
fn malformed_forms_are_refused_and_extended_metadata_is_cut_off() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    for length in [0, 23, 25, 27, 29, 31] {
        let bytes = vec![1; length];
        let answer = client.call(&with_meta(Opcode::SET_WITH_META, &bytes, "v"));
        assert_eq!(answer.status, Status::EINVAL, "{length} bytes of extras");
    }
    for cas in [0, u64::MAX] {
        assert_eq!(store(&mut client, 1, cas, "v").status, Status::KEY_EEXISTS);
    }
    let mut bytes = extras(1, 10, Some(0));
    bytes.extend(4_u16.to_be_bytes());
    let value = "value\u{1}\u{2}\0\0";
    let answer = client.call(&with_meta(Opcode::SET_WITH_META, &bytes, value));
    assert_eq!(answer.status, Status::SUCCESS);
    assert_eq!(client.get(0, "k").value, b"value");
    bytes.truncate(28);
    bytes.extend(99_u16.to_be_bytes());
    let answer = client.call(&with_meta(Opcode::SET_WITH_META, &bytes, "short"));
    assert_eq!(answer.status, Status::EINVAL);
}

#[test]
fn attributes_and_expirations_come_through() {
    let node = start_in_memory(&Disk::new(), options());
    let features = [Feature::XATTR, Feature::JSON, Feature::SNAPPY];
    let mut client = Client::with_features(&node, &features);
    let attributes = "\0\0\0\u{a}\0\0\0\u{6}_s\u{0}{}\u{0}x";
    let bytes = extras(2, 20, Some(0x10));
    let delete = with_meta(Opcode::DELETE_WITH_META, &bytes, attributes);
    assert_eq!(client.call(&delete.datatype(Datatype::XATTR)).status, Status::SUCCESS);
    let ask = FrameBuilder::request(Opcode::GET_META).key(b"k").extras(&[2]);
    let answer = client.call(&ask);
    assert_eq!((answer.status, answer.extras.len()), (Status::SUCCESS, 21));
    assert_eq!(answer.extras[20], Datatype::XATTR.0, "{answer:?}");
    assert_eq!(client.call(&ask.extras(&[3])).status, Status::EINVAL);
}

#[test]
fn quiet_forms_answer_only_what_failed() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    let (newer, older) = (extras(5, 50, None), extras(4, 40, None));
    client.send(&with_meta(Opcode::SETQ_WITH_META, &newer, "a"));
    client.send(&with_meta(Opcode::SETQ_WITH_META, &older, "b"));
    assert_eq!(client.receive().status, Status::KEY_EEXISTS);
    client.send(&FrameBuilder::request(Opcode::GETQ_META).key(b"missing"));
    client.send(&with_meta(Opcode::ADDQ_WITH_META, &newer, "c").key(b"new"));
    let newest = extras(6, 60, None);
    client.send(&with_meta(Opcode::DELETEQ_WITH_META, &newest, ""));
    let (deleted, _, rev, _) = meta(&mut client);
    assert_eq!((deleted, rev), (1, 6));
}

fn now_ns() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    now.as_nanos() as u64
}

const SECOND: u64 = 1_000_000_000;

#[test]
fn a_cas_far_ahead_of_the_clock_is_refused_at_every_command_and_one_a_little_ahead_is_counted() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::with_features(&node, &[Feature::XERROR]);
    let commands = [
        (Opcode::SET_WITH_META, "a"),
        (Opcode::ADD_WITH_META, "a"),
        (Opcode::DELETE_WITH_META, ""),
    ];
    let far = [now_ns() + 5000 * SECOND, 1 << 62, 1 << 63, u64::MAX - 1];
    for (opcode, value) in commands {
        for cas in far {
            for options in [None, Some(SKIP), Some(SKIP | 0x04)] {
                let bytes = extras(1, cas, options);
                let answer = client.call(&with_meta(opcode, &bytes, value));
                assert_eq!(answer.status, Status::CAS_VALUE_INVALID, "{opcode} {cas:#x}");
            }
        }
    }
    let refused = client.stat("").unwrap();
    assert_eq!(refused["ep_num_invalid_cas"], "36");
    assert_eq!(refused["ep_active_ahead_exceptions"], "0");
    assert_eq!(refused["ep_hlc_max_future_threshold_us"], "3900000000");
    // As kv_engine tells clients that know no other status.
    let mut plain = Client::ready(&node);
    assert_eq!(store(&mut plain, 1, u64::MAX - 1, "v").status, Status::KEY_EEXISTS);
    assert_eq!(store(&mut client, 1, now_ns(), "v").status, Status::SUCCESS);
    let ahead = now_ns() + 3600 * SECOND;
    assert_eq!(store(&mut client, 2, ahead, "v").status, Status::SUCCESS);
    let counted = client.stat("").unwrap();
    assert_eq!(counted["ep_active_hlc_drift_count"], "2");
    assert_eq!(counted["ep_active_ahead_exceptions"], "1");
    assert!(client.set(0, "k", "ours").cas > ahead);
}

#[test]
fn whatever_comes_from_elsewhere_the_changes_after_it_differ() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    let mut random = fastrand::Rng::with_seed(13);
    let ends =
        [0, 1, 2, u64::from(u32::MAX), 1 << 48, (1 << 63) - 1, 1 << 63, u64::MAX - 1, u64::MAX];
    let mut accepted = 0;
    for round in 0..400 {
        let number = |random: &mut fastrand::Rng| match random.u8(..4) {
            0 => now_ns().wrapping_add(random.u64(..10_000 * SECOND)),
            1 => random.u64(..),
            _ => ends[random.usize(..ends.len())],
        };
        let opcodes = [Opcode::SET_WITH_META, Opcode::ADD_WITH_META, Opcode::DELETE_WITH_META];
        let opcode = opcodes[random.usize(..3)];
        let (rev, cas) = (number(&mut random), number(&mut random));
        let bytes = extras(rev, cas, Some(if random.bool() { SKIP } else { 0 }));
        accepted += u32::from(client.call(&with_meta(opcode, &bytes, "")).status.is_success());
        let mut last = (0, 0);
        for _ in 0..3 {
            let answer = client.set(0, "k", "ours");
            assert_eq!(answer.status, Status::SUCCESS, "round {round}: {rev} {cas}");
            let (_, _, rev, cas) = meta(&mut client);
            assert!(rev > last.0 && cas > last.1, "round {round}: {rev} {cas} after {last:?}");
            last = (rev, cas);
        }
        assert_eq!(client.set(1, "other", "v").status, Status::SUCCESS);
    }
    assert!(accepted > 20, "{accepted}");
}

#[test]
fn mb_66621_a_cas_where_there_is_no_document_is_refused() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    let compact = FrameBuilder::request(Opcode::COMPACT_DB).extras(&[0; 24]);
    assert_eq!(client.call(&compact.cas(77)).status, Status::EINVAL);
    assert_eq!(client.call(&compact.cas(0)).status, Status::SUCCESS);
    let delete = FrameBuilder::request(Opcode::DEL_VBUCKET).vbucket(VbId(3));
    assert_eq!(client.call(&delete.cas(1)).status, Status::EINVAL);
    assert_eq!(client.get(3, "k").status, Status::KEY_ENOENT, "it is still there");
}

#[test]
fn mb_63765_a_deletion_without_a_value_compares_the_cas_too() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::with_features(&node, &[Feature::XATTR]);
    let attributes = "\0\0\0\u{a}\0\0\0\u{6}_s\u{0}{}\u{0}body";
    let (value, datatype) = (attributes.as_bytes(), Datatype::XATTR);
    let stored = client.set_with_attributes(0, "k", value, datatype, 0);
    assert_eq!(stored.status, Status::SUCCESS);
    let bytes = extras(9, stored.cas + 5, None);
    let delete = with_meta(Opcode::DELETE_WITH_META, &bytes, "");
    assert_eq!(client.call(&delete.cas(stored.cas + 1)).status, Status::KEY_EEXISTS);
    assert_eq!(client.get(0, "k").status, Status::SUCCESS);
    assert_eq!(client.call(&delete.cas(stored.cas)).status, Status::SUCCESS);
    assert_eq!(client.get(0, "k").status, Status::KEY_ENOENT);
}

#[test]
fn a_vbucket_whose_counters_are_at_their_end_says_so_and_harms_no_other() {
    let disk = Disk::new();
    let node = start_in_memory(&disk, options());
    let mut client = Client::ready(&node);
    client.set(0, "k", "v");
    client.set(1, "k", "v");
    client.set(2, "k", "v");
    drop(client);
    node.shutdown().unwrap();
    // Versions before this one took such numbers.
    let meta = |vb, change: fn(&mut vbucket::VbMeta)| {
        let mut meta = disk.meta(vb).unwrap();
        change(&mut meta);
        disk.put_meta(meta);
    };
    meta(0, |meta| meta.max_cas = u64::MAX - 1);
    meta(1, |meta| meta.high_seqno = mcbp::Seqno::MAX);
    meta(2, |meta| meta.max_deleted_rev = u64::MAX);
    let node = start_in_memory(&disk, options());
    let mut client = Client::ready(&node);
    for (vb, key) in [(0, "k"), (1, "k"), (2, "new")] {
        assert_eq!(client.set(vb, key, "w").status, Status::EINTERNAL, "vBucket {vb}");
        assert_eq!(client.get(vb, "k").value, b"v", "it can be read");
    }
    assert_eq!(client.set(3, "k", "w").status, Status::SUCCESS);
}
