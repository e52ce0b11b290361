//! A disk that does not answer for longer than anyone waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kvnode::bucket::{Bucket, CommitError, VbError, VbEvent, VbListener, Warmup};
use mcbp::{VbId, VbState};

use crate::support::memory_store::{Disk, MemoryStore};
use crate::support::{eventually, options};

/// Whether somebody was told of a new state.
#[derive(Default)]
struct Told(AtomicBool);

impl VbListener for Told {
    fn notify(&self, _vb: VbId, event: VbEvent) {
        self.0.fetch_or(event == VbEvent::StateChanged, Ordering::SeqCst);
    }
}

/// Whoever asked for the state was told that it is late.
#[test]
fn a_state_that_is_late_is_followed_once_it_is_on_disk() {
    let disk = Disk::new();
    let bucket = Bucket::open(options(), Arc::new(MemoryStore::open(&disk))).unwrap();
    assert_eq!(bucket.warm_up(), Warmup::Done);
    let (vb, told) = (bucket.vb(VbId(0)).unwrap(), Arc::new(Told::default()));
    let _subscription = vb.subscribe(Arc::clone(&told) as _);
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().start_paused(true).build().unwrap();
    disk.hold();
    let set = || bucket.set_state(VbId(0), VbState::Dead, None);
    assert!(matches!(runtime.block_on(set()), Err(VbError::Commit(CommitError::Late))));
    assert_eq!(vb.state(), VbState::Active);
    disk.release();
    eventually("it is followed", || {
        runtime.block_on(tokio::task::yield_now());
        told.0.load(Ordering::SeqCst)
    });
    assert_eq!(vb.state(), VbState::Dead);
    runtime.block_on(async {
        tokio::time::resume();
        set().await.unwrap();
    });
}
