//! The account of what connections hold of the node's memory: requests that are being read and
//! answers that are not written yet, as far as they are larger than what each connection has
//! without asking: a share of [`FREE_BYTES`] at most, which shrinks with their number.
//!
//! A connection takes its bytes before it reads or encodes. If there are none it waits, and then
//! the request is refused with a temporary failure. The account is a part of the buckets' quotas
//! (`BucketOptions::connection_bytes`), and borrows what they do not use at the moment.
//!
//! - `ledger`: the rules (pure)

mod ledger;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use self::ledger::{Answer, Ledger, WaiterId};
use crate::sync::lock;

/// What a connection has without asking, once for requests and once for answers. Most never need
/// more. The more connections there are, the less each has, down to the least.
pub(crate) const FREE_BYTES: usize = 64 * 1024;
const FREE_BYTES_MIN: usize = 4 * 1024;
/// What is larger has a share of its own, a half to
/// three quarters: whoever waits for the memory of a large
/// document does not stop those with smaller ones.
const MEDIUM_BYTES_MAX: usize = 1024 * 1024;
/// How long a connection waits for its bytes.
const WAIT: Duration = Duration::from_secs(10);
/// How often it is checked meanwhile whether the buckets use less.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// The bytes that the buckets do not use of their quotas.
type Unused = Box<dyn Fn() -> u64 + Send + Sync>;

/// See the module.
pub(crate) struct Account {
    medium: Arc<Share>,
    large: Arc<Share>,
    replication: Arc<Share>,
    /// What all connections together have without asking.
    free_bytes: usize,
    shutdown: CancellationToken,
}

/// One of three accounts that know nothing of each other.
struct Share {
    state: Mutex<State>,
    /// What it always has.
    least_bytes: usize,
    /// Its quarters of what the buckets do not use.
    quarters: u64,
    unused: Arc<Unused>,
}

#[derive(Default)]
struct State {
    ledger: Ledger,
    waiting: HashMap<WaiterId, oneshot::Sender<Lease>>,
}

impl Account {
    /// An account of `least_bytes`, and more while `unused` returns more. At `shutdown` nobody
    /// waits any longer.
    pub(crate) fn new(
        least_bytes: u64,
        unused: impl Fn() -> u64 + Send + Sync + 'static,
        shutdown: CancellationToken,
    ) -> Self {
        let unused: Arc<Unused> = Arc::new(Box::new(unused));
        let share = |least_bytes, quarters| {
            let least_bytes = usize::try_from(least_bytes).unwrap_or(usize::MAX);
            let (state, unused) = (Mutex::default(), Arc::clone(&unused));
            Arc::new(Share { state, least_bytes, quarters, unused })
        };
        let medium_bytes = least_bytes / 4;
        let free_bytes = usize::try_from(least_bytes / 2).unwrap_or(usize::MAX);
        Self {
            free_bytes,
            medium: share(medium_bytes, 1),
            large: share(least_bytes - medium_bytes, 2),
            // A frame that is being read is a part of its connection's window, which has memory.
            replication: share(0, 1),
            shutdown,
        }
    }

    /// What each of so many connections has without asking.
    pub(crate) const fn free_bytes(&self, connections: usize) -> usize {
        let connections = if connections == 0 { 1 } else { connections };
        match self.free_bytes / connections {
            ..FREE_BYTES_MIN => FREE_BYTES_MIN,
            FREE_BYTES.. => FREE_BYTES,
            bytes => bytes,
        }
    }

    /// The bytes that are held.
    pub(crate) fn held_bytes(&self) -> usize {
        let shares = [&self.medium, &self.large, &self.replication];
        shares.iter().map(|share| lock(&share.state).ledger.held()).sum()
    }

    /// Takes `bytes`, or returns `None` if they are not there now.
    pub(crate) fn try_take(&self, bytes: usize) -> Option<Lease> {
        let share = self.share(bytes);
        let capacity = share.capacity(bytes);
        let taken = lock(&share.state).ledger.try_take(bytes, capacity);
        taken.then(|| share.lease(bytes))
    }

    /// Takes `bytes`; waits for them 10 s at most, and not beyond the shutdown.
    pub(crate) async fn take(&self, bytes: usize) -> Option<Lease> {
        let wait = tokio::time::sleep(WAIT);
        tokio::select! {
            lease = self.take_from(self.share(bytes), bytes) => lease,
            () = wait => None,
            () = self.shutdown.cancelled() => None,
        }
    }

    /// Takes `bytes` for a frame of DCP, which clients cannot use up; waits for them as long as it
    /// takes, because the peer's other frames wait in its own memory.
    pub(crate) async fn take_for_replication(&self, bytes: usize) -> Lease {
        match self.take_from(&self.replication, bytes).await {
            Some(lease) => lease,
            None => std::future::pending().await,
        }
    }

    async fn take_from(&self, share: &Arc<Share>, bytes: usize) -> Option<Lease> {
        let capacity = share.capacity(bytes);
        let (id, mut granted) = {
            let mut state = lock(&share.state);
            match state.ledger.ask(bytes, capacity) {
                Answer::Granted => return Some(share.lease(bytes)),
                Answer::Waits(id) => {
                    let (grant, granted) = oneshot::channel();
                    state.waiting.insert(id, grant);
                    (id, granted)
                }
            }
        };
        let _waiter = Waiter { share, id };
        let checks = async {
            loop {
                tokio::time::sleep(CHECK_INTERVAL).await;
                share.serve();
            }
        };
        tokio::select! {
            lease = &mut granted => lease.ok(),
            () = checks => None,
        }
    }

    const fn share(&self, bytes: usize) -> &Arc<Share> {
        if bytes > MEDIUM_BYTES_MAX { &self.large } else { &self.medium }
    }
}

impl Share {
    fn lease(self: &Arc<Self>, bytes: usize) -> Lease {
        Lease { share: Arc::clone(self), bytes }
    }

    /// The bytes that it has now, as far as it matters for another `bytes`.
    fn capacity(&self, bytes: usize) -> usize {
        let held = lock(&self.state).ledger.held();
        if held.saturating_add(bytes) <= self.least_bytes {
            return self.least_bytes;
        }
        let unused = usize::try_from((self.unused)() / 4 * self.quarters).unwrap_or(usize::MAX);
        self.least_bytes.max(unused)
    }

    /// Gives bytes to those whose turn has come.
    fn serve(self: &Arc<Self>) {
        let capacity = self.capacity(usize::MAX);
        let mut gone = Vec::new();
        {
            let mut state = lock(&self.state);
            while let Some((id, bytes)) = state.ledger.next(capacity) {
                let grant = state.waiting.remove(&id);
                let lease = self.lease(bytes);
                // One that nobody takes is dropped after the lock.
                gone.extend(match grant {
                    Some(grant) => grant.send(lease).err(),
                    None => Some(lease),
                });
            }
        }
    }
}

/// Leaves the queue when it is dropped.
struct Waiter<'a> {
    share: &'a Arc<Share>,
    id: WaiterId,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let waited = {
            let mut state = lock(&self.share.state);
            state.ledger.give_up(self.id);
            state.waiting.remove(&self.id).is_some()
        };
        if waited {
            self.share.serve();
        }
    }
}

/// Bytes of the account; given back when it is dropped.
pub(crate) struct Lease {
    share: Arc<Share>,
    bytes: usize,
}

impl Lease {
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether others wait for memory, or the buckets need it themselves.
    pub(crate) fn is_wanted(&self) -> bool {
        let capacity = self.share.capacity(usize::MAX);
        lock(&self.share.state).ledger.is_short(capacity)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let waiting = {
            let mut state = lock(&self.share.state);
            state.ledger.give_back(self.bytes);
            !state.waiting.is_empty()
        };
        if waiting {
            self.share.serve();
        }
    }
}

#[cfg(test)]
mod tests;
