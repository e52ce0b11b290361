//! What happened to vBuckets since a session looked last: each vBucket at most once, so that the
//! list is bounded by the number of streams however many commits there are.

use std::collections::HashMap;
use std::sync::Mutex;

use mcbp::VbId;
use tokio::sync::Notify;

use crate::bucket::{VbEvent, VbListener};
use crate::sync::lock;

/// What happened to one vBucket.
#[derive(Clone, Copy, Default)]
pub(super) struct News {
    /// More than commits: its state may be another.
    pub(super) changed: bool,
    /// A stream of another connection, for whose end this one waits, is over.
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
    /// A vBucket that the session waits for is free.
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

    /// Waits until there is something. Safe to drop: what came is kept.
    pub(super) async fn wait(&self) {
        self.notify.notified().await;
    }

    /// Gives what came to `each`.
    pub(super) fn drain(&self, mut each: impl FnMut(VbId, News)) {
        // Taken out first: `each` looks at vBuckets, whose locks come before this one.
        let events: Vec<_> = lock(&self.events).drain().collect();
        for (vb, news) in events {
            each(vb, news);
        }
    }
}
