//! The groups about collections and scopes: `collections`, `scopes`, each also for one of them and
//! with `-details`. The names are those of kv_engine.

use std::collections::BTreeMap;
use std::sync::Arc;

use mcbp::{Seqno, Status, VbState};
use vbucket::StoreError;
use vbucket::collections::{Manifest, VbCollection};
use vbucket::stats::Stats;
use vbucket::store::CollectionCounts;

use crate::bucket::{Bucket, Vb};
use crate::protocol::RequestError;

type Lines = Vec<(String, String)>;

/// Which collections or scopes a group is about.
#[derive(Clone, Copy)]
pub(super) enum Which<'a> {
    All,
    /// By its path.
    Path(&'a str),
    /// By its id, as `0xb`.
    Id(&'a str),
}

impl Which<'_> {
    /// The id of the one that is named; `None` for all.
    fn id(
        self,
        by_path: impl Fn(&str) -> Result<u32, RequestError>,
        exists: impl Fn(u32) -> bool,
        unknown: Status,
    ) -> Result<Option<u32>, RequestError> {
        match self {
            Self::All => Ok(None),
            Self::Path(path) => by_path(path).map(Some),
            Self::Id(text) => {
                let digits = text.strip_prefix("0x").unwrap_or(text);
                let id = u32::from_str_radix(digits, 16);
                let id = id.map_err(|_| RequestError::new(Status::EINVAL, "give an id as 0xb"))?;
                if exists(id) { Ok(Some(id)) } else { Err(unknown.into()) }
            }
        }
    }
}

/// The group `collections`.
pub(super) fn collections(bucket: &Bucket, which: Which<'_>) -> Result<Lines, RequestError> {
    let manifest = bucket.manifest();
    let by_path = |path: &str| Ok(manifest.collection_id(path)?);
    let exists = |id| manifest.collection(id).is_some();
    let only = which.id(by_path, exists, Status::UNKNOWN_COLLECTION)?;
    let mut lines = Vec::new();
    if only.is_none() {
        manifest_of_collections(&manifest, &mut lines);
    }
    let counts = counts(bucket)?;
    let wanted = manifest.collections().filter(|(id, _)| only.is_none_or(|only| only == *id));
    for (id, collection) in wanted {
        let prefix = format!("{:#x}:{id:#x}:", collection.scope);
        let mut stats = Stats::new(&prefix, &mut lines);
        stats.put("items", counts.get(&id).copied().unwrap_or_default());
        stats.put("name", &collection.name);
        stats.put("scope_name", manifest.scope(collection.scope).unwrap_or_default());
    }
    Ok(lines)
}

/// The group `scopes`.
pub(super) fn scopes(bucket: &Bucket, which: Which<'_>) -> Result<Lines, RequestError> {
    let manifest = bucket.manifest();
    let by_path = |path: &str| Ok(manifest.scope_id(path)?);
    let exists = |id| manifest.scope(id).is_some();
    let only = which.id(by_path, exists, Status::UNKNOWN_SCOPE)?;
    let mut lines = Vec::new();
    if only.is_none() {
        manifest_of_scopes(&manifest, &mut lines);
    }
    let counts = counts(bucket)?;
    for (id, name) in manifest.scopes().filter(|(id, _)| only.is_none_or(|only| only == *id)) {
        let within = || manifest.collections().filter(|(_, collection)| collection.scope == id);
        let items: u64 = within().filter_map(|(collection, _)| counts.get(&collection)).sum();
        let prefix = format!("{id:#x}:");
        let mut stats = Stats::new(&prefix, &mut lines);
        stats.put("items", items);
        stats.put("name", name);
        stats.put("collections", within().count());
    }
    Ok(lines)
}

/// The group `collections-details`; of all vBuckets with the manifest before them.
pub(super) fn collections_details(
    bucket: &Bucket,
    vbs: &[Arc<Vb>],
    all: bool,
) -> Result<Lines, StoreError> {
    let mut lines = Vec::new();
    if all {
        manifest_of_collections(&bucket.manifest(), &mut lines);
    }
    for vb in vbs {
        let there = vb.view().collections;
        let counts: BTreeMap<_, _> =
            vb.collection_counts()?.into_iter().map(|counts| (counts.id, counts)).collect();
        let default_high = counts.get(&0).map_or(Seqno::ZERO, |counts| counts.high_seqno);
        let prefix = format!("vb_{}:", vb.id().0);
        let mut stats = Stats::new(&prefix, &mut lines);
        stats.put("collections", there.iter().count());
        stats.put("manifest:uid", format_args!("{:x}", there.uid()));
        stats.put("default_mvs", default_high);
        for (id, known) in there.iter() {
            details(id, known, counts.get(&id), &mut stats);
        }
    }
    Ok(lines)
}

fn details(
    id: u32,
    known: &VbCollection,
    counts: Option<&CollectionCounts>,
    stats: &mut Stats<'_>,
) {
    let VbCollection { collection, start, .. } = known;
    let (high, items) = counts.map_or((*start, 0), |counts| (counts.high_seqno, counts.items));
    let mut put = |name: &str, value: &dyn std::fmt::Display| {
        stats.put(format!("{id:#x}:{name}"), value);
    };
    put("name", &collection.name);
    put("scope", &format_args!("{:#x}", collection.scope));
    put("start_seqno", start);
    put("high_seqno", &high);
    put("persisted_high_seqno", &high);
    put("items", &items);
    put("history", &collection.history);
    put("flush_uid", &format_args!("{:x}", collection.flush_uid));
    if let Some(max_ttl) = collection.max_ttl {
        put("maxTTL", &max_ttl);
    }
}

/// The group `scopes-details`; of all vBuckets with the manifest before them.
pub(super) fn scopes_details(
    bucket: &Bucket,
    vbs: &[Arc<Vb>],
    all: bool,
) -> Result<Lines, StoreError> {
    let mut lines = Vec::new();
    if all {
        manifest_of_scopes(&bucket.manifest(), &mut lines);
    }
    for vb in vbs {
        let there = vb.view().collections;
        let prefix = format!("vb_{}:", vb.id().0);
        let mut stats = Stats::new(&prefix, &mut lines);
        stats.put("scopes", there.scopes().count());
        stats.put("manifest:uid", format_args!("{:x}", there.uid()));
        for (id, name) in there.scopes() {
            stats.put(format!("{id:#x}:name:"), name);
        }
        for CollectionCounts { id, items, .. } in vb.collection_counts()? {
            if let Some(known) = there.get(id) {
                stats.put(format!("{:#x}:{id:#x}:items", known.collection.scope), items);
            }
        }
    }
    Ok(lines)
}

fn manifest_of_collections(manifest: &Manifest, lines: &mut Lines) {
    lines.push(("manifest_uid".to_owned(), format!("{:x}", manifest.uid())));
    for (id, collection) in manifest.collections() {
        let prefix = format!("{:#x}:{id:#x}:", collection.scope);
        let mut stats = Stats::new(&prefix, lines);
        stats.put("name", &collection.name);
        stats.put("metered", if collection.metered { "yes" } else { "no" });
        stats.put("history", collection.history);
        if let Some(max_ttl) = collection.max_ttl {
            stats.put("maxTTL", max_ttl);
        }
    }
}

fn manifest_of_scopes(manifest: &Manifest, lines: &mut Lines) {
    lines.push(("manifest_uid".to_owned(), format!("{:x}", manifest.uid())));
    for (scope, name) in manifest.scopes() {
        let within = || manifest.collections().filter(|(_, collection)| collection.scope == scope);
        let prefix = format!("{scope:#x}:");
        let mut stats = Stats::new(&prefix, lines);
        stats.put("name", name);
        stats.put("collections", within().count());
        for (id, collection) in within() {
            stats.put(format!("{id:#x}:name"), &collection.name);
        }
    }
}

/// How many documents each collection has in the active vBuckets.
fn counts(bucket: &Bucket) -> Result<BTreeMap<u32, u64>, StoreError> {
    let mut sums = BTreeMap::new();
    for vb in bucket.all_vbs().filter(|vb| vb.state() == VbState::Active) {
        for CollectionCounts { id, items, .. } in vb.collection_counts()? {
            *sums.entry(id).or_default() += items;
        }
    }
    Ok(sums)
}
