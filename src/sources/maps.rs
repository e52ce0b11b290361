//! The desired maps of all buckets, and what of their overlays was dropped lately.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use desired::{BucketMaps, Dropped, Entry};
use serde::{Deserialize, Serialize};

use crate::config::{Config, MapSource};

/// So many dropped changes are remembered, to be shown.
const DROPPED_MAX: usize = 64;

/// Where the entries come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// The configuration file.
    File,
    /// etcd.
    Etcd,
    /// The maps of a Couchbase cluster.
    Cluster,
}

impl SourceKind {
    pub(super) const fn of(config: &Config) -> Self {
        match config.source {
            MapSource::File => Self::File,
            MapSource::Etcd(_) => Self::Etcd,
            MapSource::Cluster(_) => Self::Cluster,
        }
    }
}

/// A part of a bucket's overlay that was dropped.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BucketDropped {
    /// The bucket.
    pub bucket: String,
    /// What was dropped.
    pub dropped: Dropped,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
}

/// The desired maps of all buckets.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Maps {
    source: SourceKind,
    buckets: BTreeMap<String, BucketMaps>,
    dropped: VecDeque<BucketDropped>,
}

impl Maps {
    /// The maps of a process that has no state yet.
    pub(super) fn new(config: &Config) -> Self {
        let mut maps = Self {
            source: SourceKind::of(config),
            buckets: BTreeMap::new(),
            dropped: VecDeque::new(),
        };
        // Without an overlay nothing can be dropped.
        _ = maps.follow(config, 0);
        maps
    }

    /// The bucket of this name.
    #[must_use]
    pub fn bucket(&self, name: &str) -> Option<&BucketMaps> {
        self.buckets.get(name)
    }

    /// All buckets, by name.
    #[must_use]
    pub const fn buckets(&self) -> &BTreeMap<String, BucketMaps> {
        &self.buckets
    }

    /// What was dropped lately of a bucket's overlay, oldest first.
    pub fn dropped<'a>(&'a self, bucket: &'a str) -> impl Iterator<Item = &'a BucketDropped> + 'a {
        self.dropped.iter().filter(move |it| it.bucket == bucket)
    }

    pub(super) fn bucket_mut(&mut self, name: &str) -> Option<&mut BucketMaps> {
        self.buckets.get_mut(name)
    }

    /// Takes the buckets and producers of a configuration, and its entries where the file is the
    /// source. Returns what was dropped.
    pub(super) fn follow(&mut self, config: &Config, now_ms: u64) -> Vec<BucketDropped> {
        let producers = producers(config);
        let kind = SourceKind::of(config);
        let same_kind = std::mem::replace(&mut self.source, kind) == kind;
        let mut dropped = Vec::new();
        let mut note = |bucket: &str, list: Vec<Dropped>| {
            let of_bucket =
                |dropped| BucketDropped { bucket: bucket.to_owned(), dropped, at_ms: now_ms };
            dropped.extend(list.into_iter().map(of_bucket));
        };
        let is_gone = |name: &String| !config.buckets.iter().any(|bucket| bucket.name == *name);
        let gone: Vec<_> = self.buckets.keys().filter(|name| is_gone(name)).cloned().collect();
        for name in gone {
            note(
                &name,
                self.buckets.remove(&name).map(BucketMaps::into_dropped).unwrap_or_default(),
            );
        }
        for bucket in &config.buckets {
            let written =
                || Entry { connections: bucket.connections, replicate: bucket.desired.clone() };
            match self.buckets.get_mut(&bucket.name) {
                None => _ = self.buckets.insert(bucket.name.clone(), BucketMaps::new(written())),
                // A map of a cluster has no number of connections.
                Some(maps) if kind == SourceKind::Cluster && same_kind => {
                    let replicate = maps.source().replicate.clone();
                    let entry = Entry { connections: bucket.connections, replicate };
                    note(&bucket.name, maps.follow(entry, &producers));
                }
                // What etcd said last stays until it says something else.
                Some(maps) if kind == SourceKind::Etcd && same_kind => {
                    note(&bucket.name, maps.follow(maps.source().clone(), &producers));
                }
                Some(maps) => note(&bucket.name, maps.follow(written(), &producers)),
            }
        }
        self.remember(&dropped);
        dropped
    }

    /// Takes what the source says of one bucket. Returns what was dropped.
    pub(super) fn follow_one(
        &mut self,
        bucket: &str,
        entry: Entry,
        producers: &BTreeSet<String>,
        now_ms: u64,
    ) -> Vec<BucketDropped> {
        let Some(maps) = self.buckets.get_mut(bucket) else { return Vec::new() };
        let dropped = maps.follow(entry, producers);
        self.lost(bucket, dropped, now_ms)
    }

    /// Forgets what was dropped before.
    pub(super) fn forget_dropped(&mut self) {
        self.dropped.clear();
    }

    /// Drops the overlays of one bucket, or of all, on request: nothing of these buckets has to be
    /// shown as dropped any more. Returns what was dropped.
    pub(super) fn discard(&mut self, bucket: Option<&str>, now_ms: u64) -> Vec<BucketDropped> {
        self.dropped.retain(|it| bucket.is_some_and(|bucket| bucket != it.bucket));
        let names = self.buckets.keys().filter(|name| bucket.is_none_or(|it| it == *name));
        let mut dropped = Vec::new();
        for name in names.cloned().collect::<Vec<_>>() {
            let lost = self.buckets.get_mut(&name).map(BucketMaps::discard).unwrap_or_default();
            dropped.extend(lost.into_iter().map(|dropped| BucketDropped {
                bucket: name.clone(),
                dropped,
                at_ms: now_ms,
            }));
        }
        dropped
    }

    fn lost(&mut self, bucket: &str, lost: Vec<Dropped>, at_ms: u64) -> Vec<BucketDropped> {
        let of_bucket = |dropped| BucketDropped { bucket: bucket.to_owned(), dropped, at_ms };
        let dropped: Vec<_> = lost.into_iter().map(of_bucket).collect();
        self.remember(&dropped);
        dropped
    }

    fn remember(&mut self, dropped: &[BucketDropped]) {
        self.dropped.extend(dropped.iter().cloned());
        let surplus = self.dropped.len().saturating_sub(DROPPED_MAX);
        self.dropped.drain(..surplus);
    }
}

/// The names of the producers of a configuration.
pub(super) fn producers(config: &Config) -> BTreeSet<String> {
    config.producers.iter().map(|node| node.name().to_owned()).collect()
}
