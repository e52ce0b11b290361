//! What happened to vBuckets since a session looked last: each vBucket at most once, so that the
//! list is bounded by the number of streams however many commits there are.

use std::collections::HashMap;
use std::sync::Mutex;

use mcbp::VbId;
use tokio::sync::Notify;

use crate::bucket::{VbEvent, VbListener};
use crate::sync::lock;

/// See the module.
#[derive(Default)]
pub(super) struct Wakeups {
    /// Whether more than commits happened.
    events: Mutex<HashMap<VbId, bool>>,
    notify: Notify,
}

impl VbListener for Wakeups {
    fn notify(&self, vb: VbId, event: VbEvent) {
        *lock(&self.events).entry(vb).or_default() |= event != VbEvent::Committed;
        self.notify.notify_one();
    }
}

impl Wakeups {
    /// Waits until there is something. Safe to drop: what came is kept.
    pub(super) async fn wait(&self) {
        self.notify.notified().await;
    }

    /// Gives what came to `each`: the vBucket, and whether its state may have changed.
    pub(super) fn drain(&self, mut each: impl FnMut(VbId, bool)) {
        // Taken out first: `each` looks at vBuckets, whose locks come before this one.
        let events: Vec<_> = lock(&self.events).drain().collect();
        for (vb, changed) in events {
            each(vb, changed);
        }
    }
}
