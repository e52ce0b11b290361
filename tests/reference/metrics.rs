//! What an operator does about each metric.

/// The name, and what to do.
pub(crate) type Row = (&'static str, &'static str);

/// Those of the process, of both programs.
pub(crate) const PROCESS: &[Row] = &[
    ("process_cpu_seconds_total", "plot its rate; [sizing.md](sizing.md) has what a link costs"),
    ("process_open_fds", "compare it with `process_max_fds`"),
    ("process_max_fds", "raise `LimitNOFILE` where `process_open_fds` comes near"),
    ("process_resident_memory_bytes", "compare it with [sizing.md](sizing.md)"),
    ("process_virtual_memory_bytes", "nothing"),
    ("process_threads", "nothing; one that grows without end is a defect: report it"),
    ("process_start_time_seconds", "a change is a restart: see why in the log before it"),
];

/// Those of the sidecar.
pub(crate) const SIDECAR: &[Row] = &[
    ("dcp_proxy_build_info", "nothing; it tells which version runs where"),
    ("dcp_proxy_ready", "on 0: `dcp-proxy status` says why, in its first line"),
    (
        "dcp_proxy_config_last_reload_successful",
        "alert on 0: `dcp-proxy check` shows the mistakes of the file",
    ),
    ("dcp_proxy_config_last_reload_success_timestamp_seconds", "nothing"),
    ("dcp_proxy_config_reloads_total", "see the log where `failed` grows"),
    ("dcp_proxy_state_written", "alert on 0: free space on the disk of `[state] directory`"),
    (
        "dcp_proxy_desired_source_connected",
        "alert on 0 for long: start etcd, or repair the way to it",
    ),
    (
        "dcp_proxy_desired_map_refused",
        "alert on 1: `dcp-proxy config diff` says what is wrong with the map",
    ),
    ("dcp_proxy_desired_drift", "`dcp-proxy config diff` shows it; `save` or `discard` ends it"),
    ("dcp_proxy_vbuckets_paused", "resume them when it is time: `dcp-proxy resume BUCKET`"),
    (
        "dcp_proxy_certificate_expiry_timestamp_seconds",
        "alert 30 days before: write a new certificate into the file",
    ),
    ("dcp_proxy_link_setup_seconds", "on seconds: see which node is slow to log in"),
    ("dcp_proxy_stream_setup_seconds", "on minutes: rollbacks, or a consumer that is slow"),
    (
        "dcp_proxy_takeover_seconds",
        "on seconds: writes of clients fail meanwhile; move before the takeover",
    ),
    (
        "dcp_proxy_prepare_ack_seconds",
        "durable writes take at least as long: see `kvnode_commit_seconds` of our node",
    ),
    ("dcp_proxy_links", "on any but `up` for long: the table of link states"),
    ("dcp_proxy_links_stalled", "see which node is slow; alert if it stays above 0"),
    ("dcp_proxy_links_broken", "alert if it stays above 0: the table of retry loops"),
    ("dcp_proxy_link_bytes_total", "plot its rate"),
    ("dcp_proxy_link_frames_total", "plot its rate"),
    (
        "dcp_proxy_link_window_bytes",
        "a small one limits a far producer: more `connections`, or more quota at the node",
    ),
    ("dcp_proxy_link_unacked_bytes", "at the window for long: the consumer's node is slow"),
    (
        "dcp_proxy_link_prepare_waiting_seconds",
        "on seconds: durable writes time out; see whether our node writes, and its disk",
    ),
    ("dcp_proxy_streams_wanted", "nothing"),
    (
        "dcp_proxy_streams_open",
        "alert where fewer than wanted for minutes: `dcp-proxy streams --failed`",
    ),
    ("dcp_proxy_streams_failed", "`dcp-proxy streams --failed`, then the table of error reasons"),
    ("dcp_proxy_streams_unresponsive", "see `dcp_proxy_node_unresponsive`"),
    ("dcp_proxy_streams_rolling_back", "wait; one that never falls: see the log of our node"),
    (
        "dcp_proxy_copies_incomplete",
        "alert if it stays above 0: see the status that the consumer gave; take nothing over",
    ),
    ("dcp_proxy_verify_interval_seconds", "on 0: set `[verify] interval_s`, a day for example"),
    (
        "dcp_proxy_verify_runs_total",
        "where `failed` grows: the log says why; alert where the last one is too old",
    ),
    ("dcp_proxy_verify_vbuckets_total", "nothing"),
    ("dcp_proxy_verify_rows_total", "nothing"),
    ("dcp_proxy_verify_bytes_total", "its rate is what comparisons cost both nodes"),
    ("dcp_proxy_verify_running", "nothing"),
    (
        "dcp_proxy_verify_last_run_timestamp_seconds",
        "alert where it is older than twice the interval: `dcp-proxy status` says why",
    ),
    (
        "dcp_proxy_verify_last_run_seconds",
        "nearer to the interval than is good: raise `[verify] rate_bytes_per_s`, or `interval_s`",
    ),
    (
        "dcp_proxy_verify_differing_vbuckets",
        "alert above 0: `dcp-proxy verify BUCKET --repair`; take none of them over before",
    ),
    ("dcp_proxy_verify_differences", "see `GET /api/v1/verify` for some of them in words"),
    ("dcp_proxy_lag_seqnos", "plot it"),
    ("dcp_proxy_lag_seqnos_max", "on much for long: a slow node, or too small a window"),
    (
        "dcp_proxy_lag_seconds_max",
        "alert above your limit: find the vBuckets with `dcp-proxy streams --lagging=N`",
    ),
    ("dcp_proxy_lag_age_seconds", "on more than a few `lag_interval_ms`: a node does not answer"),
    (
        "dcp_proxy_lag_unknown",
        "alert if it stays above 0: a node does not answer, `dcp-proxy doctor`",
    ),
    ("dcp_proxy_node_silent_seconds", "see `dcp_proxy_node_unresponsive`"),
    (
        "dcp_proxy_node_unresponsive",
        "alert on 1: see whether that node's process runs, and its port answers",
    ),
    ("dcp_proxy_moves", "on a number that does not fall: `dcp-proxy status`"),
    ("dcp_proxy_stream_failures_total", "the table of error reasons, by `reason`"),
    (
        "dcp_proxy_link_failures_total",
        "the table of error reasons, by `reason`; `side` is at fault",
    ),
    ("dcp_proxy_events_total", "the table of events, by `kind`"),
    ("dcp_proxy_event_followers", "nothing; at 32 the next one is refused"),
    (
        "dcp_proxy_log_lines_left_out_total",
        "alert on `unread`: nobody reads the log; `repeated` and `output` need nothing",
    ),
    ("dcp_proxy_invariants_broken_total", "alert on any, and report it: a defect of this program"),
];

/// Those of a data node.
pub(crate) const NODE: &[Row] = &[
    ("kvnode_build_info", "nothing; it tells which version runs where"),
    ("kvnode_connections_accepted_total", "plot its rate"),
    (
        "kvnode_connections_rejected_total",
        "on any: raise `connections_max`, or find out who holds them",
    ),
    ("kvnode_connections_evicted_total", "on any: find out who connects and does not log in"),
    (
        "kvnode_authentication_failures_total",
        "the log names user and address: a wrong password, or somebody guesses",
    ),
    ("kvnode_error_answers_total", "nothing; many are misses of keys"),
    (
        "kvnode_logins_total",
        "plot it by `mechanism`: clients with `PLAIN` send their password to the node",
    ),
    ("kvnode_uptime_seconds", "a fall is a restart: see why in the log before it"),
    ("kvnode_connections", "compare it with `kvnode_connections_max`"),
    ("kvnode_connections_max", "less than `connections_max`: raise `LimitNOFILE`"),
    ("kvnode_connections_not_authenticated", "near half of the most: strangers hold connections"),
    (
        "kvnode_connection_memory_bytes",
        "near the quota: clients send large requests and do not read",
    ),
    (
        "kvnode_config_last_reload_successful",
        "alert on 0: the log says what is wrong with the file",
    ),
    ("kvnode_config_last_reload_success_timestamp_seconds", "nothing"),
    ("kvnode_config_reloads_total", "see the log where `failure` grows"),
    (
        "kvnode_certificate_expiry_timestamp_seconds",
        "alert 30 days before: write a new certificate into the file",
    ),
    (
        "kvnode_data_read_failures_total",
        "alert on any: a broken disk or damaged data; rebuild the copy elsewhere",
    ),
    ("kvnode_commit_failures_total", "alert on any: free space or replace the disk"),
    ("kvnode_cas_ahead_total", "synchronise the clocks"),
    ("kvnode_cas_refused_total", "alert on any: a clock is wrong by an hour or more"),
    ("kvnode_commits_total", "plot its rate"),
    ("kvnode_changes_committed_total", "plot its rate"),
    (
        "kvnode_changes_lost_total",
        "alert on any: the log says how many and why; only with `durability = \"memory-first\"`",
    ),
    ("kvnode_gets_total", "plot its rate"),
    ("kvnode_get_hits_total", "plot its rate"),
    (
        "kvnode_disk_reads_total",
        "near the rates of gets and sets: raise `quota_mib` if the disk is busy",
    ),
    ("kvnode_sets_total", "plot its rate"),
    ("kvnode_deletes_total", "plot its rate"),
    ("kvnode_not_my_vbucket_total", "on many: clients have an old map"),
    ("kvnode_expirations_total", "nothing"),
    ("kvnode_deletions_purged_total", "nothing"),
    ("kvnode_rollbacks_total", "nothing after a crash or a failover of its producer"),
    ("kvnode_ready", "on 0 for long: the log says why the bucket is not served"),
    (
        "kvnode_writes_refused",
        "alert on 1: free space or replace the disk; restart the node only where the log says \
         that writing stopped until a restart",
    ),
    ("kvnode_quota_bytes", "nothing"),
    ("kvnode_memory_used_bytes", "near the quota for long: raise `quota_mib`"),
    ("kvnode_commit_queue_bytes", "on much for long: the disk is too slow"),
    ("kvnode_memory_log_bytes", "nothing"),
    ("kvnode_row_cache_bytes", "nothing"),
    ("kvnode_store_memory_bytes", "nothing"),
    ("kvnode_disk_bytes", "plot it; [sizing.md](sizing.md)"),
    ("kvnode_change_history_bytes", "plot it beside `history_retention_bytes`"),
    (
        "kvnode_disk_free_bytes",
        "alert early: below 256 MiB (or a twentieth of a small disk) writes are refused",
    ),
    ("kvnode_vbuckets", "on fewer `active` than planned: `kvnode vbuckets`"),
    ("kvnode_documents", "nothing"),
    ("kvnode_dcp_streams", "compare it with what the sidecars want"),
    ("kvnode_dcp_backfills", "nothing"),
    (
        "kvnode_dcp_backfills_waiting",
        "on many for long: the disk is too slow for so many copies at a time",
    ),
    ("kvnode_dcp_read_ahead_bytes", "nothing"),
    ("kvnode_dcp_silent_consumers", "on any: a sidecar or its node stands still"),
    ("kvnode_dcp_unacked_bytes", "at the window for long: a consumer is slow"),
    ("kvnode_dcp_connections", "on fewer than sidecars: see their `dcp-proxy status`"),
    ("kvnode_invariants_broken_total", "alert on any, and report it: a defect of this program"),
    (
        "kvnode_log_lines_left_out_total",
        "alert on `unread`: nobody reads the log; `repeated` and `output` need nothing",
    ),
    ("kvnode_commit_seconds", "on much: the disk is slow to sync"),
    ("kvnode_command_seconds", "on a 99th percentile beyond what clients bear"),
];
