//! Which vBuckets have a stream towards this node: each belongs to at most one connection.
//!
//! After a stream has ended, its last rows are still being written. A connection that claims its
//! vBucket then is registered under the same lock and woken at the release, so that no release is
//! missed between the claim and the wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use invariant::broken;
use mcbp::VbId;
use vbucket::consumer::Claim;

use super::wakeups::Wakeups;
use crate::sync::lock;

/// A vBucket that is claimed.
#[derive(Default)]
struct Taken {
    draining: bool,
    /// Connections that wait for it, each once.
    waiting: Vec<Arc<Wakeups>>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Claims(Mutex<HashMap<VbId, Taken>>);

impl Claims {
    /// Claims a vBucket for a connection. If it is draining, `wakeups` is notified once it is free.
    pub(super) fn claim(&self, vb: VbId, wakeups: &Arc<Wakeups>) -> Claim {
        let mut taken = lock(&self.0);
        let Some(other) = taken.get_mut(&vb) else {
            taken.insert(vb, Taken::default());
            return Claim::Taken;
        };
        if !other.draining {
            return Claim::Streamed;
        }
        if !other.waiting.iter().any(|waits| Arc::ptr_eq(waits, wakeups)) {
            other.waiting.push(Arc::clone(wakeups));
        }
        Claim::Draining
    }

    /// The stream of a vBucket has ended and is still being written.
    pub(super) fn drains(&self, vb: VbId) {
        if let Some(taken) = lock(&self.0).get_mut(&vb) {
            taken.draining = true;
        }
    }

    /// Releases a vBucket and wakes all who wait: the first that claims it gets it.
    pub(super) fn release(&self, vb: VbId) {
        let released = lock(&self.0).remove(&vb);
        match released {
            Some(taken) => taken.waiting.iter().for_each(|wakeups| wakeups.freed(vb)),
            None => drop(broken!("{vb} is released and was not claimed")),
        }
    }

    /// A connection has ended: it waits for nothing any more.
    pub(super) fn forget(&self, wakeups: &Arc<Wakeups>) {
        for taken in lock(&self.0).values_mut() {
            taken.waiting.retain(|waits| !Arc::ptr_eq(waits, wakeups));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vBuckets that were freed for a connection.
    fn freed(wakeups: &Wakeups) -> Vec<VbId> {
        let mut freed = Vec::new();
        wakeups.drain(|vb, news| freed.extend(news.freed.then_some(vb)));
        freed
    }

    #[test]
    fn a_vbucket_that_is_streamed_is_refused_and_nobody_is_woken_for_it() {
        let (claims, first, second) = (Claims::default(), Arc::default(), Arc::default());
        assert_eq!(claims.claim(VbId(1), &first), Claim::Taken);
        assert_eq!(claims.claim(VbId(1), &second), Claim::Streamed);
        claims.release(VbId(1));
        assert_eq!(freed(&second), []);
        assert_eq!(claims.claim(VbId(1), &second), Claim::Taken);
    }

    #[test]
    fn who_claims_a_draining_vbucket_is_woken_once_it_is_free() {
        let claims = Claims::default();
        let [first, second, third]: [Arc<Wakeups>; 3] = Default::default();
        claims.claim(VbId(1), &first);
        claims.drains(VbId(1));
        assert_eq!(claims.claim(VbId(1), &second), Claim::Draining);
        assert_eq!(claims.claim(VbId(1), &second), Claim::Draining);
        assert_eq!(claims.claim(VbId(1), &third), Claim::Draining);
        assert_eq!(freed(&second), []);
        claims.release(VbId(1));
        assert_eq!((freed(&second), freed(&third)), (vec![VbId(1)], vec![VbId(1)]));
        assert_eq!(claims.claim(VbId(1), &third), Claim::Taken);
        assert_eq!(claims.claim(VbId(1), &second), Claim::Streamed, "a fresh stream is live");
    }

    #[test]
    fn a_connection_that_ended_is_not_woken() {
        let claims = Claims::default();
        let [first, second]: [Arc<Wakeups>; 2] = Default::default();
        claims.claim(VbId(1), &first);
        claims.drains(VbId(1));
        claims.claim(VbId(1), &second);
        claims.forget(&second);
        claims.release(VbId(1));
        assert_eq!(freed(&second), []);
        assert_eq!(Arc::strong_count(&second), 1);
    }
}
