//! Listeners for changes of a vBucket. They are called while no lock is held.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock, Weak};

use mcbp::VbId;

use crate::sync::{read, write};

/// What happened to a vBucket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VbEvent {
    /// Rows became durable and visible.
    Committed,
    /// State, topology or failover table changed, or the vBucket was rolled back.
    StateChanged,
    /// The vBucket left this node.
    Removed,
}

/// A subscriber to the changes of a vBucket, such as a stream.
pub trait VbListener: Send + Sync {
    /// Called after the change, among others by the committer's thread, so it must not block. To
    /// miss nothing, subscribe first and read the vBucket afterwards.
    fn notify(&self, vb: VbId, event: VbEvent);
}

#[derive(Default)]
pub(super) struct Listeners {
    next_id: AtomicU64,
    list: RwLock<Vec<(u64, Arc<dyn VbListener>)>>,
}

impl Listeners {
    pub(super) fn subscribe(self: &Arc<Self>, listener: Arc<dyn VbListener>) -> Subscription {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        write(&self.list).push((id, listener));
        Subscription { listeners: Arc::downgrade(self), id }
    }

    pub(super) fn notify(&self, vb: VbId, event: VbEvent) {
        let all: Vec<_> = read(&self.list).iter().map(|(_, each)| Arc::clone(each)).collect();
        for listener in all {
            listener.notify(vb, event);
        }
    }
}

/// Ends the subscription when it is dropped.
#[must_use]
pub struct Subscription {
    listeners: Weak<Listeners>,
    id: u64,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(listeners) = self.listeners.upgrade() {
            write(&listeners.list).retain(|(id, _)| *id != self.id);
        }
    }
}
