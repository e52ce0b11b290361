//! The groups about a bucket's memory, store and settings: `memory`, `kvstore`, `diskinfo`,
//! `workload`, `config`. The names and units are those of kv_engine; figures that this node does
//! not have are left out.

use vbucket::conflict::Resolution;
use vbucket::failover::ENTRIES_MAX;
use vbucket::stats::Stats;
use vbucket::store::ChangeHistory;

use crate::bucket::Bucket;

type Lines = Vec<(String, String)>;

/// The group `memory`, in bytes.
pub(super) fn memory(bucket: &Bucket) -> Lines {
    let mut lines = Vec::new();
    let mut stats = Stats::new("", &mut lines);
    let used = bucket.used_bytes();
    stats.put("mem_used_estimate", used);
    stats.put("bytes", used);
    stats.put("mem_used", used);
    stats.put("ep_max_size", bucket.options().quota_bytes);
    stats.put("ep_desired_max_size", bucket.options().quota_bytes);
    lines
}

/// The group `kvstore`: there is one store, `rw_0`.
pub(super) fn kvstore(bucket: &Bucket) -> Lines {
    let counters = bucket.counters();
    let mut lines = Vec::new();
    let mut stats = Stats::new("rw_0:", &mut lines);
    stats.put("backend_type", "fjall");
    stats.put("failure_get", counters.read_failures.get());
    stats.put("failure_set", counters.commit_failures.get());
    stats.put("io_num_write", counters.rows_committed.get());
    lines
}

/// The group `diskinfo`, in bytes.
pub(super) fn diskinfo(bucket: &Bucket) -> Lines {
    let ChangeHistory { bytes, since, .. } = bucket.change_history();
    let mut lines = Vec::new();
    let mut stats = Stats::new("ep_db_", &mut lines);
    stats.put("file_size", bucket.store().disk_bytes());
    stats.put("history_file_size", bytes);
    stats.put("history_start_timestamp", since.unwrap_or_default());
    lines
}

/// The group `diskinfo detail`: the same of each vBucket.
pub(super) fn diskinfo_detail(bucket: &Bucket) -> Lines {
    let mut lines = Vec::new();
    for vb in bucket.all_vbs() {
        if let Some(history) = vb.change_history() {
            let prefix = format!("vb_{}:", vb.id().0);
            let mut stats = Stats::new(&prefix, &mut lines);
            stats.put("history_disk_size", history.bytes);
            stats.put("history_start_timestamp", history.since.unwrap_or_default());
            stats.put("history_start_seqno", history.start);
        }
    }
    lines
}

/// The group `workload`: one committer writes the one store.
pub(super) fn workload() -> Lines {
    let mut lines = Vec::new();
    let mut stats = Stats::new("ep_workload:", &mut lines);
    stats.put("num_writers", 1);
    stats.put("num_shards", 1);
    lines
}

/// The group `config`: sizes in bytes, times in seconds where the name does not say otherwise.
pub(super) fn config(bucket: &Bucket) -> Lines {
    let options = bucket.options();
    let mut lines = Vec::new();
    let mut stats = Stats::new("ep_", &mut lines);
    stats.put("bucket_type", "persistent");
    let resolution = match options.resolution {
        Resolution::Seqno => "seqno",
        Resolution::LastWriteWins => "lww",
    };
    stats.put("conflict_resolution_type", resolution);
    stats.put("data_traffic_enabled", bucket.is_ready());
    stats.put("exp_pager_enabled", true);
    stats.put("exp_pager_stime", options.expiry_pager_interval.as_secs());
    // As there, where only a store that keeps history has them.
    if options.retention.is_on() {
        stats.put("history_retention_bytes", options.retention.bytes);
        stats.put("history_retention_seconds", options.retention.seconds);
    }
    stats.put("persistent_metadata_purge_age", options.deletions_kept.as_secs());
    stats.put("hlc_drift_ahead_threshold_us", options.drift.ahead.as_micros());
    stats.put("hlc_drift_behind_threshold_us", options.drift.behind.as_micros());
    stats.put("hlc_max_future_threshold_us", options.drift.future_max.as_micros());
    stats.put("max_failover_entries", ENTRIES_MAX);
    stats.put("max_num_shards", 1);
    stats.put("max_size", options.quota_bytes);
    stats.put("max_vbuckets", options.vbuckets);
    stats.put("dcp_consumer_flow_control_enabled", true);
    stats.put("dcp_noop_mandatory_for_v5_features", true);
    stats.put("warmup", true);
    stats.put("xattr_enabled", true);
    lines
}
