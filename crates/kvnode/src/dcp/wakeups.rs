//! What happened to vBuckets since the session last looked. Each vBucket is listed at most once, so
//! that the number of streams bounds the list, not the number of commits.

use std::collections::HashMap;
use std::sync::Mutex;

use mcbp::VbId;
use tokio::sync::Notify;

use crate::bucket::{VbEvent, VbListener};
use crate::sync::lock;

/// What happened to one vBucket.
#[derive(Clone, Copy, Default)]
pub(super) struct News {
    /// More than commits happened: its state may be another.
    pub(super) changed: bool,
    /// The connection that this one waits for has released it.
    pub(super) freed: bool,
}

/// See the module.
#[derive(Default)]
pub(super) struct Wakeups {
    events: Mutex<HashMap<VbId, News>>,
    notify: Notify,
}

impl VbListener for Wakeups {
    fn notify(&self, vb: VbId, event: VbEvent) {
        self.add(vb, News { changed: event != VbEvent::Committed, freed: false });
    }
}

impl Wakeups {
    /// The vBucket, which the session waits for, is released.
    pub(super) fn freed(&self, vb: VbId) {
        self.add(vb, News { changed: false, freed: true });
    }

    fn add(&self, vb: VbId, news: News) {
        {
            let mut events = lock(&self.events);
            let known = events.entry(vb).or_default();
            known.changed |= news.changed;
            known.freed |= news.freed;
        }
        self.notify.notify_one();
    }

    /// Waits until something has happened. Safe to drop: nothing is lost.
    pub(super) async fn wait(&self) {
        self.notify.notified().await;
    }

    /// Calls `each` for every listed vBucket, and empties the list.
    pub(super) fn drain(&self, mut each: impl FnMut(VbId, News)) {
        // Taken out first: `each` locks vBuckets, whose locks must be taken before this one.
        let events: Vec<_> = lock(&self.events).drain().collect();
        for (vb, news) in events {
            each(vb, news);
        }
    }
}
