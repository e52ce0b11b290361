//! The group without a name: what the node and the bucket have done and hold; and warm-up.
//! The names are those of kv_engine; figures that this node does not have are left out.

use mcbp::VbState;
use vbucket::stats::Stats;

use crate::bucket::{Bucket, Warmup};
use crate::clock::unix_now;
use crate::context::{Context, VERSION};

pub(super) fn lines(node: &Context, bucket: &Bucket) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    let mut stats = Stats::new("", &mut lines);
    stats.put("version", VERSION);
    stats.put("time", unix_now());
    stats.put("uptime", node.started.elapsed().as_secs());
    stats.put("threads", node.limits.worker_threads());
    stats.put("curr_connections", node.connection_count());
    stats.put("total_connections", node.counters.connections.get());
    stats.put("rejected_conns", node.counters.rejected_connections.get());
    stats.put("max_user_connections", node.door.limits().total);
    stats.put("kvnode_connections_not_authenticated", node.door.taken().1);
    stats.put("kvnode_connections_evicted", node.door.evictions.get());
    stats.put("kvnode_connection_memory", node.account.held_bytes());
    stats.put("auth_cmds", node.counters.auth_commands.get());
    stats.put("auth_errors", node.counters.auth_errors.get());
    stats.put("bytes_read", node.counters.bytes_read.get());
    stats.put("bytes_written", node.counters.bytes_written.get());
    stats.put("total_resp_errors", node.counters.errors.get());
    operations(bucket, &mut stats);
    vbuckets(bucket, &mut stats);
    storage(bucket, &mut stats);
    clocks(bucket, &mut stats);
    lines.extend(warmup(bucket));
    lines
}

fn operations(bucket: &Bucket, stats: &mut Stats<'_>) {
    let counters = bucket.counters();
    let (gets, hits) = (counters.gets.get(), counters.get_hits.get());
    stats.put("cmd_get", gets);
    stats.put("get_hits", hits);
    stats.put("get_misses", gets.saturating_sub(hits));
    stats.put("cmd_set", counters.sets.get());
    stats.put("delete_hits", counters.deletes.get());
    stats.put("ep_num_not_my_vbuckets", counters.not_my_vbucket.get());
    stats.put("ep_expired_access", counters.expired_on_access.get());
    stats.put("ep_expired_pager", counters.expired_by_pager.get());
    stats.put("ep_num_expiry_pager_runs", counters.pager_runs.get());
    stats.put("ep_rollback_count", counters.rollbacks.get());
    stats.put("kvnode_deletions_purged", counters.purged.get());
}

fn vbuckets(bucket: &Bucket, stats: &mut Stats<'_>) {
    let (mut total, mut all_items) = (0, 0);
    for state in [VbState::Active, VbState::Replica, VbState::Pending, VbState::Dead] {
        let vbs: Vec<_> = bucket.all_vbs().filter(|vb| vb.state() == state).collect();
        // A vBucket that cannot be read shows in `ep_data_read_failed`.
        let items: u64 = vbs.iter().filter_map(|vb| vb.item_count().ok()).sum();
        stats.put(format_args!("vb_{state}_num"), vbs.len());
        if state == VbState::Active {
            stats.put("curr_items", items);
        }
        if state != VbState::Dead {
            stats.put(format_args!("vb_{state}_curr_items"), items);
            all_items += items;
        }
        if state == VbState::Active {
            // Documents expire on active vBuckets alone.
            let counters = bucket.counters();
            let expired = counters.expired_on_access.get() + counters.expired_by_pager.get();
            stats.put("vb_active_expired", expired);
        }
        total += vbs.len();
    }
    stats.put("ep_vb_total", total);
    stats.put("curr_items_tot", all_items);
    stats.put("ep_max_vbuckets", bucket.options().vbuckets);
}

fn storage(bucket: &Bucket, stats: &mut Stats<'_>) {
    let counters = bucket.counters();
    let options = bucket.options();
    stats.put("ep_commit_num", counters.commits.get());
    stats.put("ep_total_persisted", counters.rows_committed.get());
    stats.put("ep_data_write_failed", counters.commit_failures.get());
    stats.put("ep_item_commit_failed", counters.commit_failures.get());
    stats.put("ep_bg_fetched", counters.disk_reads.get());
    stats.put("ep_data_read_failed", counters.read_failures.get());
    stats.put("ep_max_size", options.quota_bytes);
    stats.put("mem_used", bucket.used_bytes());
    stats.put("ep_diskqueue_memory", bucket.queued_bytes());
    stats.put("ep_checkpoint_memory", bucket.logged_bytes());
    stats.put("ep_checkpoint_memory_quota", options.log_bytes_max);
    stats.put("kvnode_store_memory", bucket.store().memory_bytes());
    stats.put("ep_db_file_size", bucket.store().disk_bytes());
    stats.put("ep_bucket_type", "persistent");
    stats.put("ep_data_traffic_enabled", bucket.is_ready());
    stats.put("kvnode_durability", options.acknowledges());
    if options.memory_first {
        stats.put("kvnode_changes_lost", counters.changes_lost.get());
    }
    if let Some(error) = bucket.write_failure() {
        stats.put("kvnode_write_failure", error);
    }
}

/// The CAS values of changes from elsewhere, against the clock of this node.
fn clocks(bucket: &Bucket, stats: &mut Stats<'_>) {
    let (counters, limits) = (bucket.counters(), bucket.options().drift);
    stats.put("ep_hlc_drift_ahead_threshold_us", limits.ahead.as_micros());
    stats.put("ep_hlc_drift_behind_threshold_us", limits.behind.as_micros());
    stats.put("ep_hlc_max_future_threshold_us", limits.future_max.as_micros());
    for (state, drift) in [("active", &counters.active_drift), ("replica", &counters.replica_drift)]
    {
        stats.put(format_args!("ep_{state}_hlc_drift"), drift.total_us.get());
        stats.put(format_args!("ep_{state}_hlc_drift_count"), drift.count.get());
        stats.put(format_args!("ep_{state}_ahead_exceptions"), drift.ahead.get());
        stats.put(format_args!("ep_{state}_behind_exceptions"), drift.behind.get());
    }
    stats.put("ep_num_invalid_cas", counters.invalid_cas.get());
}

/// The group `warmup`.
pub(super) fn warmup(bucket: &Bucket) -> Vec<(String, String)> {
    let (state, thread, reason) = match bucket.warmup() {
        Warmup::Loading => ("loading", "running", None),
        Warmup::Done => ("done", "complete", None),
        Warmup::Failed(reason) => ("failed", "complete", Some(reason)),
        Warmup::Closed => ("closed", "complete", None),
    };
    let mut lines = Vec::new();
    let mut stats = Stats::new("ep_warmup", &mut lines);
    stats.put("", "enabled");
    stats.put("_state", state);
    stats.put("_thread", thread);
    if let Some(reason) = reason {
        stats.put("_error", reason);
    }
    lines
}
