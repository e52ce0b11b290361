//! A real store whose commits fail on demand: before anything is written, or after the write, as
//! when the sync fails.

use std::sync::{Arc, Mutex};

use mcbp::{Seqno, Status, VbId};
use store::FjallStore;
use vbucket::StoreError;
use vbucket::store::{Batch, Durability, Scan, SharedStore, Store};

use crate::support::client::Client;
use crate::support::eventually;
use crate::{assert_all_there, key, start_on, write_until_refused};

#[macro_use]
#[path = "../support/inner_store.rs"]
mod inner_store;

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
    fn commit(&self, batch: &Batch, durability: Durability) -> Result<(), StoreError> {
        let Some(fault) = self.fault.lock().unwrap().clone() else {
            return self.inner.commit(batch, durability);
        };
        if fault.written {
            self.inner.commit(batch, durability)?;
        }
        Err(fault.error)
    }
    fn scan(&self, vb: VbId, start: Seqno, end: Seqno) -> Result<Box<dyn Scan>, StoreError> {
        self.inner.scan(vb, start, end)
    }
    rest_of_store_is_inner!();
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
