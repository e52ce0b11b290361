//! Documents that expire.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mcbp::kv::StoreExtras;
use mcbp::{Feature, FrameBuilder, Opcode, Status, VbId};
use vbucket::Kind;

use crate::support::client::Client;
use crate::support::memory_store::Disk;
use crate::support::{BUCKET, eventually, options, start_in_memory};

fn unix_now() -> u32 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as u32
}

const fn expiring(expiry: u32) -> StoreExtras {
    StoreExtras { flags: 0, expiry }
}

#[test]
fn up_to_thirty_days_an_expiry_counts_from_now() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    let bucket = node.bucket(BUCKET).unwrap();
    let mut stored = |expiry| {
        client.set_with(0, "a", "x", expiring(expiry), 0);
        match bucket.store().get(VbId(0), b"\0a").unwrap().unwrap().kind {
            Kind::Document { expiry, .. } => expiry,
            other => panic!("{other:?}"),
        }
    };
    let month = 30 * 24 * 60 * 60;
    let now = unix_now();
    assert_eq!(stored(0), 0);
    assert!((now + 100..now + 110).contains(&stored(100)));
    assert!((now + month..now + month + 10).contains(&stored(month)));
    assert_eq!(stored(4_000_000_000), 4_000_000_000);
}

#[test]
fn what_is_overdue_expires_when_it_is_looked_at() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    let bucket = node.bucket(BUCKET).unwrap();
    // An expiry in the past is allowed, and the document is gone at once.
    let past = unix_now() - 10;
    client.set_with(0, "a", "x", expiring(past), 0);
    assert_eq!(client.get(0, "a").status, Status::KEY_ENOENT);
    let row = || bucket.store().get(VbId(0), b"\0a").unwrap().unwrap();
    eventually("the expiration is on disk", || matches!(row().kind, Kind::Expired { .. }));
    assert_eq!((row().seqno.0, row().rev), (2, 2));
    assert_eq!(client.stat("").unwrap()["ep_expired_access"], "1");
    assert_eq!(client.stat("").unwrap()["vb_active_expired"], "1");
    assert_eq!(client.get(0, "a").status, Status::KEY_ENOENT);
    assert_eq!(client.stat("vbucket-seqno 0").unwrap()["vb_0:high_seqno"], "2");
}

#[test]
fn for_changes_an_overdue_document_is_not_there() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    let past = unix_now() - 10;
    client.set_with(0, "a", "x", expiring(past), 0);
    assert_eq!(client.delete(0, "a").status, Status::KEY_ENOENT);
    let append = FrameBuilder::request(Opcode::APPEND).vbucket(VbId(0)).key(b"a").value(b"!");
    assert_eq!(client.call(&append).status, Status::NOT_STORED);
    let touch = FrameBuilder::request(Opcode::TOUCH).vbucket(VbId(0)).key(b"a").extras(&[0; 4]);
    assert_eq!(client.call(&touch).status, Status::KEY_ENOENT);
    let add = FrameBuilder::request(Opcode::ADD).vbucket(VbId(0)).key(b"a").extras(&[0; 8]);
    assert_eq!(client.call(&add).status, Status::SUCCESS);
}

#[test]
fn touch_and_get_and_touch() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    let past = (unix_now() - 10).to_be_bytes();
    let stored = client.set_with(0, "a", "x", StoreExtras { flags: 7, expiry: 0 }, 0);
    let later = 4_000_000_000_u32.to_be_bytes();
    let touch = FrameBuilder::request(Opcode::TOUCH).vbucket(VbId(0)).key(b"a");
    let touched = client.call(&touch.extras(&later));
    assert_eq!(touched.status, Status::SUCCESS);
    assert!(touched.cas > stored.cas);
    let gat = FrameBuilder::request(Opcode::GAT).vbucket(VbId(0)).key(b"a");
    let got = client.call(&gat.extras(&later));
    assert_eq!((got.value.as_slice(), got.extras), (b"x".as_slice(), vec![0, 0, 0, 7]));
    client.call(&touch.extras(&past));
    assert_eq!(client.get(0, "a").status, Status::KEY_ENOENT);
    assert_eq!(client.call(&gat.extras(&later)).status, Status::KEY_ENOENT);
    assert_eq!(client.call(&touch.extras(&[0; 3])).status, Status::EINVAL);
    client.send(&FrameBuilder::request(Opcode::GATQ).vbucket(VbId(0)).key(b"a").extras(&later));
    let next = client.call(&FrameBuilder::request(Opcode::NOOP));
    assert_eq!(next.opcode, Opcode::NOOP);
}

#[test]
fn a_change_may_keep_the_expiry() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::with_features(&node, &[Feature::ALT_REQUEST, Feature::PRESERVE_TTL]);
    client.set_with(0, "a", "x", expiring(4_000_000_000), 0);
    let frame = FrameBuilder::request(Opcode::SET).vbucket(VbId(0)).key(b"a").extras(&[0; 8]);
    assert_eq!(client.call(&frame.framing(&[0x50])).status, Status::SUCCESS);
    let bucket = node.bucket(BUCKET).unwrap();
    let row = bucket.store().get(VbId(0), b"\0a").unwrap().unwrap();
    assert_eq!(row.kind, Kind::Document { flags: 0, expiry: 4_000_000_000 });
}

#[test]
fn the_pager_expires_documents_that_nobody_reads() {
    let mut options = options();
    options.expiry_pager_interval = Duration::from_millis(10);
    let node = start_in_memory(&Disk::new(), options);
    let mut client = Client::ready(&node);
    let past = unix_now() - 10;
    for vb in 0..8 {
        client.set_with(vb, "gone", "x", expiring(past), 0);
        client.set_with(vb, "stays", "x", expiring(4_000_000_000), 0);
        client.set(vb, "for ever", "x");
    }
    let bucket = node.bucket(BUCKET).unwrap();
    let items = || (0..8).map(|vb| bucket.store().item_count(VbId(vb)).unwrap()).sum::<u64>();
    eventually("the pager", || items() == 16);
    assert_eq!(client.stat("").unwrap()["ep_expired_pager"], "8");
    // A replica waits for its producer's expirations.
    client.set_vbucket(0, 2);
    assert_eq!(client.stat("vbucket-seqno 0").unwrap()["vb_0:high_seqno"], "4");
}
