//! The groups about vBuckets: `vbucket`, `vbucket-details`, `vbucket-durability-state`,
//! `vbucket-seqno`, `failovers`, `hash`, `checkpoint`, `durability-monitor`.
//! The names are those of kv_engine; figures that this node does not have are left out.

use std::sync::Arc;

use mcbp::VbState;
use vbucket::StoreError;
use vbucket::durability::Monitor;
use vbucket::stats::Stats;

use crate::bucket::{Vb, VbView};

pub(super) fn lines(group: &str, vbs: &[Arc<Vb>]) -> Result<Vec<(String, String)>, StoreError> {
    let mut lines = Vec::new();
    for vb in vbs {
        let name = format!("vb_{}", vb.id().0);
        let view = vb.view();
        let prefix = format!("{name}:");
        match group {
            "vbucket" => Stats::new(&name, &mut lines).put("", view.state),
            "vbucket-details" => {
                Stats::new(&name, &mut lines).put("", view.state);
                details(vb, &view, &mut Stats::new(&prefix, &mut lines))?;
            }
            "vbucket-durability-state" => {
                Stats::new(&name, &mut lines).put("", view.state);
                let mut stats = Stats::new(&prefix, &mut lines);
                stats.put("high_seqno", view.high_seqno);
                stats.put("topology", topology(&view));
                stats.put("high_prepared_seqno", view.high_prepared());
            }
            "hash" => {
                let mut stats = Stats::new(&prefix, &mut lines);
                stats.put("state", view.state);
                // There is no hash table: all documents are found by their key.
                stats.put("counted", vb.item_count()?);
            }
            // There are no checkpoints, but the memory log that streams read.
            "checkpoint" => Stats::new(&prefix, &mut lines).put("state", view.state),
            "durability-monitor" => {
                let mut stats = Stats::new(&prefix, &mut lines);
                vb.read_monitor(|monitor| durability(monitor, &view, &mut stats));
            }
            "vbucket-seqno" => seqnos(&view, &mut Stats::new(&prefix, &mut lines)),
            _ => failovers(&view, &mut Stats::new(&prefix, &mut lines)),
        }
    }
    Ok(lines)
}

fn details(vb: &Vb, view: &VbView, stats: &mut Stats<'_>) -> Result<(), StoreError> {
    stats.put("num_items", vb.item_count()?);
    stats.put("queue_size", vb.queued_seqnos());
    stats.put("uuid", view.uuid());
    stats.put("high_seqno", view.high_seqno);
    stats.put("persistence_seqno", view.high_seqno);
    stats.put("max_visible_seqno", view.durable.max_visible);
    stats.put("purge_seqno", view.purge_seqno);
    stats.put("max_cas", view.max_cas);
    stats.put("num_prepared_sync_writes", vb.read_monitor(Monitor::len));
    stats.put("high_prepared_seqno", view.high_prepared());
    stats.put("high_completed_seqno", view.durable.high_completed);
    stats.put("topology", topology(view));
    Ok(())
}

fn topology(view: &VbView) -> &str {
    if view.topology.is_empty() { "null" } else { &view.topology }
}

fn seqnos(view: &VbView, stats: &mut Stats<'_>) {
    stats.put("high_seqno", view.high_seqno);
    stats.put("abs_high_seqno", view.high_seqno);
    stats.put("last_persisted_seqno", view.high_seqno);
    stats.put("uuid", view.uuid());
    stats.put("purge_seqno", view.purge_seqno);
    stats.put("last_persisted_snap_start", view.snapshot_start);
    stats.put("last_persisted_snap_end", view.snapshot_end);
    stats.put("high_prepared_seqno", view.high_prepared());
    stats.put("high_completed_seqno", view.durable.high_completed);
    stats.put("max_visible_seqno", view.durable.max_visible);
}

/// What waits, and what each node of the topology has acknowledged. Which of the completed writes
/// were committed and which aborted is not kept.
fn durability(monitor: &Monitor, view: &VbView, stats: &mut Stats<'_>) {
    stats.put("state", view.state);
    stats.put("num_tracked", monitor.len());
    stats.put("dm_mem_used", monitor.bytes());
    stats.put("high_prepared_seqno", view.high_prepared());
    if view.state != VbState::Active {
        stats.put("high_completed_seqno", view.durable.high_completed);
        return;
    }
    stats.put("last_tracked_seqno", view.durable.high_prepared);
    let Some(topology) = monitor.topology() else { return };
    for (chain, name) in topology.chains().zip(["First", "Second"]) {
        let prefix = format!("replication_chain_{name}");
        stats.put(format_args!("{prefix}:size"), chain.len());
        for node in chain.iter().flatten() {
            let own = node == topology.active();
            let seqno = if own { view.durable.high_prepared } else { monitor.acknowledged(node) };
            stats.put(format_args!("{prefix}:{node}:last_ack_seqno"), seqno);
        }
    }
}

fn failovers(view: &VbView, stats: &mut Stats<'_>) {
    stats.put("num_entries", view.failover.entries().len());
    stats.put("num_erroneous_entries_erased", 0);
    for (at, entry) in view.failover.entries().iter().enumerate() {
        stats.put(format_args!("{at}:id"), entry.uuid);
        stats.put(format_args!("{at}:seq"), entry.seqno);
    }
}
