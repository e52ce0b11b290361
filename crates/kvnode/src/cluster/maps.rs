//! The maps that a node serves, and when each was changed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use mcbp::{MapRevision, VbState};
use tokio::sync::watch;

use super::generated::{self, Address};
use super::map::Map;
use crate::bucket::Bucket;
use crate::sync::lock;

/// How long changes are collected before those who wait for them are told.
const CHANGES_TOGETHER: Duration = Duration::from_millis(100);

/// The map of the cluster or of a bucket.
#[derive(Default)]
struct Slot {
    current: Option<Arc<Map>>,
    is_pushed: bool,
    /// The change that brought it.
    change: u64,
    /// What a generated map says, to find out when it is out of date.
    active: Vec<bool>,
    /// The states of vBuckets that `active` was read from.
    states: Option<u64>,
}

/// See the module.
pub(crate) struct Maps {
    address: Address,
    cluster: Mutex<Slot>,
    /// In the order of the node's buckets.
    buckets: Vec<(String, Mutex<Slot>)>,
    /// The number of changes so far.
    changes: watch::Sender<u64>,
}

impl Maps {
    /// The maps of a node that listens on `port`.
    pub(crate) fn new(port: u16, tls: bool, buckets: &[Arc<Bucket>]) -> Self {
        let slot = |bucket: &Arc<Bucket>| (bucket.name().to_owned(), Mutex::default());
        Self {
            address: Address { port, tls },
            cluster: Mutex::default(),
            buckets: buckets.iter().map(slot).collect(),
            changes: watch::Sender::new(0),
        }
    }

    /// Tells of each change from now on; the value is the number of changes so far.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The map of the cluster, and the change that brought it.
    pub(crate) fn cluster(&self) -> (Arc<Map>, u64) {
        let mut slot = lock(&self.cluster);
        let map = slot.current.get_or_insert_with(|| {
            let text = generated::cluster(self.address, 1);
            Arc::new(Map::new(MapRevision { epoch: 1, number: 1 }, text.into()))
        });
        (Arc::clone(map), slot.change)
    }

    /// The map of a bucket of this node, and the change that brought it. A generated one is made
    /// anew when other vBuckets are active.
    pub(crate) fn bucket(&self, bucket: &Bucket) -> Option<(Arc<Map>, u64)> {
        let mut slot = lock(self.slot(bucket.name())?);
        if !slot.is_pushed {
            self.generate(&mut slot, bucket);
        }
        Some((slot.current.clone()?, slot.change))
    }

    /// Serves a pushed map from now on; one of the served revision changes nothing. Without a
    /// bucket it is the cluster's. Returns false if there is no such bucket.
    pub(crate) fn push(&self, bucket: Option<&str>, revision: MapRevision, text: Bytes) -> bool {
        let slot = match bucket {
            None => Some(&self.cluster),
            Some(name) => self.slot(name),
        };
        let Some(slot) = slot else { return false };
        let mut slot = lock(slot);
        let is_served = slot.current.as_ref().is_some_and(|map| map.revision == revision);
        if !(slot.is_pushed && is_served) {
            slot.is_pushed = true;
            self.change(&mut slot, Map::new(revision, text));
        }
        true
    }

    fn slot(&self, bucket: &str) -> Option<&Mutex<Slot>> {
        self.buckets.iter().find(|(name, _)| name == bucket).map(|(_, slot)| slot)
    }

    fn generate(&self, slot: &mut Slot, bucket: &Bucket) {
        // Read before the states, so that a change in between is seen the next time.
        let states = *bucket.states().borrow();
        if slot.states == Some(states) {
            return;
        }
        let active = (0..bucket.options().vbuckets)
            .map(|vb| bucket.vb(mcbp::VbId(vb)).is_some_and(|vb| vb.state() == VbState::Active));
        let active: Vec<_> = active.collect();
        slot.states = Some(states);
        let number = match &slot.current {
            None => 1,
            Some(_) if slot.active == active => return,
            Some(map) => map.revision.number.saturating_add(1),
        };
        let text = generated::bucket(self.address, number, bucket.name(), &active);
        slot.active = active;
        self.change(slot, Map::new(MapRevision { epoch: 1, number }, text.into()));
    }

    fn change(&self, slot: &mut Slot, map: Map) {
        slot.current = Some(Arc::new(map));
        self.changes.send_modify(|changes| {
            *changes += 1;
            slot.change = *changes;
        });
    }

    /// Notices when other vBuckets of a bucket are active, for those who wait for changes. Runs
    /// until it is dropped.
    pub(crate) async fn follow(&self, bucket: &Bucket) {
        let mut states = bucket.states();
        while states.changed().await.is_ok() {
            // Those of a takeover come one by one; whoever asks meanwhile gets the newest map.
            tokio::time::sleep(CHANGES_TOGETHER).await;
            drop(self.bucket(bucket));
        }
    }
}
