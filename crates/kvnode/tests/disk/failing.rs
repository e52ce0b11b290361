//! A real store whose commits fail on demand: before anything is written, or after the write, as
//! when the sync fails.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use mcbp::{Seqno, Status, VbId};
use store::FjallStore;
use vbucket::store::{
    Batch, CollectionCounts, Durability, PurgeRule, PurgeStep, Scan, SharedStore, Store,
};
use vbucket::{Row, StoreError, VbMeta};

use crate::support::client::Client;
use crate::support::eventually;
use crate::{assert_all_there, key, start_on, write_until_refused};

#[derive(Clone)]
struct Fault {
    error: StoreError,
    /// The batch is on the disk nevertheless.
    written: bool,
}

type Faults = Arc<Mutex<Option<Fault>>>;

struct FailingStore {
    inner: FjallStore,
    fault: Faults,
}

impl Store for FailingStore {
    fn load(&self) -> Result<Vec<VbMeta>, StoreError> {
        self.inner.load()
    }
    fn was_clean(&self) -> bool {
        self.inner.was_clean()
    }
    fn commit(&self, batch: &Batch, durability: Durability) -> Result<(), StoreError> {
        let Some(fault) = self.fault.lock().unwrap().clone() else {
            return self.inner.commit(batch, durability);
        };
        if fault.written {
            self.inner.commit(batch, durability)?;
        }
        Err(fault.error)
    }
    fn get(&self, vb: VbId, key: &[u8]) -> Result<Option<Row>, StoreError> {
        self.inner.get(vb, key)
    }
    fn scan(&self, vb: VbId, start: Seqno, end: Seqno) -> Result<Box<dyn Scan>, StoreError> {
        self.inner.scan(vb, start, end)
    }
    fn keys(&self, vb: VbId, from: &[u8], most: usize) -> Result<Vec<Bytes>, StoreError> {
        self.inner.keys(vb, from, most)
    }
    fn item_count(&self, vb: VbId) -> Result<u64, StoreError> {
        self.inner.item_count(vb)
    }
    fn events(&self, vb: VbId) -> Result<Vec<Row>, StoreError> {
        self.inner.events(vb)
    }
    fn collections(&self, vb: VbId) -> Result<Vec<CollectionCounts>, StoreError> {
        self.inner.collections(vb)
    }
    fn manifest(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.manifest()
    }
    fn put_manifest(&self, text: &[u8]) -> Result<(), StoreError> {
        self.inner.put_manifest(text)
    }
    fn rollback(&self, vb: VbId, to: Seqno) -> Result<VbMeta, StoreError> {
        self.inner.rollback(vb, to)
    }
    fn purge(&self, vb: VbId, rule: &PurgeRule, after: &[u8]) -> Result<PurgeStep, StoreError> {
        self.inner.purge(vb, rule, after)
    }
    fn remove(&self, vb: VbId) -> Result<(), StoreError> {
        self.inner.remove(vb)
    }
    fn close(&self) -> Result<(), StoreError> {
        self.inner.close()
    }
    fn disk_bytes(&self) -> u64 {
        self.inner.disk_bytes()
    }
    fn memory_bytes(&self) -> u64 {
        self.inner.memory_bytes()
    }
}

fn wrap(fault: &Faults) -> impl FnOnce(FjallStore) -> SharedStore {
    let fault = Arc::clone(fault);
    |inner| Arc::new(FailingStore { inner, fault })
}

#[test]
fn nothing_acknowledged_is_lost_and_writes_go_on_behind_a_passing_failure() {
    let folder = tempfile::tempdir().unwrap();
    let fault = Faults::default();
    let node = start_on(folder.path(), store::Options::default(), wrap(&fault));
    let mut client = Client::ready(&node);
    let mut count = 0;
    while count < 30 {
        assert_eq!(client.set(0, &key(count), "value").status, Status::SUCCESS);
        count += 1;
        if count % 10 != 0 {
            continue;
        }
        let detail = "input/output error".to_owned();
        let error = StoreError::Io { doing: "committing", detail };
        *fault.lock().unwrap() = Some(Fault { error, written: false });
        let (refused_at, status) = write_until_refused(&mut client, count, "refused");
        assert_eq!((refused_at, status), (count, Status::ETMPFAIL));
        *fault.lock().unwrap() = None;
        eventually("writes are accepted again", || {
            Client::ready(&node).set(0, "probe", "x").status == Status::SUCCESS
        });
    }
    assert_all_there(&node, count, "value");
    assert_ne!(client.stat("").unwrap()["ep_data_write_failed"], "0");
    drop((client, node));
    let node = start_on(folder.path(), store::Options::default(), wrap(&fault));
    assert_all_there(&node, count, "value");
}

#[test]
fn after_a_failed_sync_writes_are_refused_until_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let fault = Faults::default();
    let node = start_on(folder.path(), store::Options::default(), wrap(&fault));
    let mut client = Client::ready(&node);
    (0..10).for_each(|n| assert_eq!(client.set(0, &key(n), "value").status, Status::SUCCESS));
    let error = StoreError::Poisoned("fsync: input/output error".to_owned());
    *fault.lock().unwrap() = Some(Fault { error, written: true });
    assert_eq!(client.set(0, &key(10), "value").status, Status::ETMPFAIL);
    // The disk works again, but what it holds is unknown.
    *fault.lock().unwrap() = None;
    for n in 0..10 {
        assert_eq!(client.set(0, &key(n), "overwritten").status, Status::ETMPFAIL);
    }
    assert_eq!(client.set_vbucket(0, 2).status, Status::ETMPFAIL);
    assert!(client.stat("").unwrap()["kvnode_write_failure"].contains("fsync"));
    assert_all_there(&node, 10, "value");
    drop((client, node));
    let node = start_on(folder.path(), store::Options::default(), wrap(&fault));
    assert_all_there(&node, 10, "value");
    assert_eq!(Client::ready(&node).set(0, "later", "x").status, Status::SUCCESS);
}
