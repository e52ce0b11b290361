//! The groups about collections and scopes: `collections`, `scopes`, and both with `-details`.
//! There is the default collection alone. The names are those of kv_engine.

use std::sync::Arc;

use vbucket::StoreError;
use vbucket::stats::Stats;

use crate::bucket::{Bucket, Vb};

type Lines = Vec<(String, String)>;

/// The group `collections`.
pub(super) fn collections(bucket: &Bucket) -> Result<Lines, StoreError> {
    let mut lines = vec![("manifest_uid".to_owned(), "0".to_owned())];
    let mut stats = Stats::new("0x0:0x0:", &mut lines);
    manifest_of_collection(&mut stats);
    figures(bucket, &mut stats)?;
    stats.put("scope_name", "_default");
    Ok(lines)
}

/// The group `scopes`.
pub(super) fn scopes(bucket: &Bucket) -> Result<Lines, StoreError> {
    let mut lines = vec![("manifest_uid".to_owned(), "0".to_owned())];
    let mut stats = Stats::new("0x0:", &mut lines);
    manifest_of_scope(&mut stats);
    figures(bucket, &mut stats)?;
    Ok(lines)
}

/// The group `collections-details`; of all vBuckets with the manifest before them.
pub(super) fn collections_details(vbs: &[Arc<Vb>], all: bool) -> Result<Lines, StoreError> {
    let mut lines = Vec::new();
    if all {
        lines.push(("manifest_uid".to_owned(), "0".to_owned()));
        manifest_of_collection(&mut Stats::new("0x0:0x0:", &mut lines));
    }
    for vb in vbs {
        let view = vb.view();
        let prefix = format!("vb_{}:", vb.id().0);
        let mut stats = Stats::new(&prefix, &mut lines);
        stats.put("collections", 1);
        stats.put("manifest:uid", 0);
        stats.put("default_mvs", view.high_seqno);
        stats.put("0x0:name", "_default");
        stats.put("0x0:scope", "0x0");
        stats.put("0x0:start_seqno", 0);
        stats.put("0x0:high_seqno", view.high_seqno);
        stats.put("0x0:persisted_high_seqno", view.high_seqno);
        stats.put("0x0:items", vb.item_count()?);
        stats.put("0x0:history", false);
        stats.put("0x0:flush_uid", 0);
    }
    Ok(lines)
}

/// The group `scopes-details`; of all vBuckets with the manifest before them.
pub(super) fn scopes_details(vbs: &[Arc<Vb>], all: bool) -> Result<Lines, StoreError> {
    let mut lines = Vec::new();
    if all {
        lines.push(("manifest_uid".to_owned(), "0".to_owned()));
        manifest_of_scope(&mut Stats::new("0x0:", &mut lines));
    }
    for vb in vbs {
        let prefix = format!("vb_{}:", vb.id().0);
        let mut stats = Stats::new(&prefix, &mut lines);
        stats.put("scopes", 1);
        stats.put("manifest:uid", 0);
        stats.put("0x0:name:", "_default");
        stats.put("0x0:0x0:items", vb.item_count()?);
    }
    Ok(lines)
}

fn manifest_of_collection(stats: &mut Stats<'_>) {
    stats.put("name", "_default");
    stats.put("metered", "no");
    stats.put("history", false);
}

fn manifest_of_scope(stats: &mut Stats<'_>) {
    stats.put("name", "_default");
    stats.put("collections", 1);
    stats.put("0x0:name", "_default");
}

fn figures(bucket: &Bucket, stats: &mut Stats<'_>) -> Result<(), StoreError> {
    let mut items = 0;
    for vb in bucket.all_vbs() {
        items += vb.item_count()?;
    }
    let counters = bucket.counters();
    stats.put("items", items);
    stats.put("ops_store", counters.sets.get());
    stats.put("ops_delete", counters.deletes.get());
    stats.put("ops_get", counters.gets.get());
    Ok(())
}
