//! The DCP connections of one bucket: one for each name, and what they share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use vbucket::consumer::Consumer;
use vbucket::producer::Producer;

use super::claims::Claims;
use crate::bucket::Bucket;
use crate::range_scan::{OpenScan, RangeScans};
use crate::sync::lock;

/// How many threads read the disk for backfills of one bucket at a time. More would not make the
/// disk faster, and clients' reads need it too. A slow consumer holds none: a read ends with its
/// chunk.
const READ_PERMITS: usize = 4;

/// How long to wait for the end of a displaced connection: as long as a commit may take.
const DISPLACE_WAIT: Duration = Duration::from_secs(35);

/// The flow-control windows of all consumers together are a bucket's memory divided by this.
const WINDOW_PARTS: u64 = 20;

/// The machine of a connection.
#[derive(Clone)]
pub(super) enum Machine {
    Producer(Arc<Mutex<Producer>>),
    Consumer(Arc<Mutex<Consumer>>),
}

/// A connection that is open.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) user: String,
    pub(super) opened: Instant,
    pub(super) machine: Machine,
    displaced: CancellationToken,
    gone: CancellationToken,
}

/// See the module.
pub(crate) struct Registry {
    connections: Mutex<HashMap<String, Connection>>,
    /// Which connection has the stream towards each vBucket.
    pub(super) claims: Claims,
    consumers: watch::Sender<u32>,
    pub(super) read_permits: Arc<Semaphore>,
    pub(super) began: Instant,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            connections: Mutex::default(),
            claims: Claims::default(),
            consumers: watch::Sender::new(0),
            read_permits: Arc::new(Semaphore::new(READ_PERMITS)),
            began: Instant::now(),
        }
    }
}

impl Registry {
    /// Closes the connection of this name, if there is one, and waits until it is gone: everything
    /// that it received is on disk then, and its vBuckets are released.
    pub(super) async fn displace(&self, name: &str) {
        let old = lock(&self.connections).get(name).cloned();
        if let Some(old) = old {
            old.displaced.cancel();
            let _late = tokio::time::timeout(DISPLACE_WAIT, old.gone.cancelled()).await;
        }
    }

    /// Registers a connection. It displaces another one of its name that came meanwhile.
    pub(super) fn enter(&self, name: &str, user: String, machine: Machine) -> Connection {
        let connection = Connection {
            user,
            opened: Instant::now(),
            machine,
            displaced: CancellationToken::new(),
            gone: CancellationToken::new(),
        };
        let old = lock(&self.connections).insert(name.to_owned(), connection.clone());
        if let Some(old) = old {
            old.displaced.cancel();
        }
        self.count_consumers();
        connection
    }

    /// Removes a connection that has ended.
    pub(super) fn leave(&self, name: &str, connection: &Connection) {
        {
            let mut connections = lock(&self.connections);
            if connections.get(name).is_some_and(|current| current.is(connection)) {
                connections.remove(name);
            }
        }
        connection.gone.cancel();
        self.count_consumers();
    }

    fn count_consumers(&self) {
        let connections = lock(&self.connections);
        let count = connections.values().filter(|c| matches!(c.machine, Machine::Consumer(_)));
        let count = u32::try_from(count.count()).unwrap_or(u32::MAX);
        self.consumers.send_if_modified(|now| std::mem::replace(now, count) != count);
    }

    /// The number of consumers, now and whenever it changes.
    pub(super) fn consumers(&self) -> watch::Receiver<u32> {
        self.consumers.subscribe()
    }

    /// The connections with their names, sorted by name.
    pub(super) fn all(&self) -> Vec<(String, Connection)> {
        let connections = lock(&self.connections);
        let mut all: Vec<_> = connections.iter().map(|(n, c)| (n.clone(), c.clone())).collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all
    }

    /// The connection of a name.
    pub(super) fn get(&self, name: &str) -> Option<Connection> {
        lock(&self.connections).get(name).cloned()
    }
}

/// A bucket, the DCP connections to it, and its range scans.
pub(crate) struct ServedBucket {
    pub(crate) bucket: Arc<Bucket>,
    pub(super) connections: Registry,
    /// The range scans that have begun.
    pub(crate) scans: RangeScans<OpenScan>,
}

impl ServedBucket {
    /// Without any connection yet.
    pub(crate) fn new(bucket: Arc<Bucket>) -> Self {
        Self { bucket, connections: Registry::default(), scans: RangeScans::default() }
    }
}

impl Connection {
    fn is(&self, other: &Self) -> bool {
        self.gone == other.gone
    }

    /// Cancelled when another connection of the name was opened.
    pub(super) fn displaced(&self) -> &CancellationToken {
        &self.displaced
    }
}

/// The window of each of `consumers` of a bucket with `memory_bytes`: an equal part of a twentieth.
pub(super) fn window_bytes(memory_bytes: u64, consumers: u32) -> u32 {
    let parts = WINDOW_PARTS * u64::from(consumers.max(1));
    // Rounded to the nearest byte, as kv_engine does; at most what a DCP_CONTROL accepts
    // (MB-72330).
    u32::try_from((memory_bytes + parts / 2) / parts).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_those_of_a_real_node_with_256_mib() {
        assert_eq!(window_bytes(256 << 20, 1), 13_421_773);
        assert_eq!(window_bytes(256 << 20, 2), 6_710_886);
    }

    #[test]
    fn mb_72330_a_window_never_exceeds_what_a_control_accepts() {
        assert_eq!(window_bytes(1 << 40, 1), u32::MAX);
    }
}
