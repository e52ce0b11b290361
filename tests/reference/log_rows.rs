//! What an operator does about each warning and error of the log.

/// The level, the words with which the line begins, and what to do.
pub(crate) type Row = (&'static str, &'static str, &'static str);

/// Lines of the sidecar.
pub(crate) const SIDECAR: &[Row] = &[
    (
        "warn",
        "an earlier run ended with a panic, read the report, send it to the maintainers and \
         delete it",
        "as it says; it is said at each start while the report is there",
    ),
    (
        "error",
        "control plane does not answer",
        "processors are too busy, or it is a defect; a watchdog restarts it",
    ),
    (
        "warn",
        "the service manager was not told",
        "give the process access to the socket that the line names, or unset NOTIFY_SOCKET",
    ),
    (
        "warn",
        "activated vBucket orphaned by an interrupted takeover",
        "nothing: it is active again",
    ),
    ("warn", "admin API accepts no connection", "raise the limit of open files (`LimitNOFILE`)"),
    (
        "warn",
        "admin API cannot accept a connection",
        "raise the limit of open files (`LimitNOFILE`)",
    ),
    (
        "warn",
        "admin API closed idle connections to make room",
        "find out who holds so many connections",
    ),
    (
        "warn",
        "changes at run time cannot be kept and will be refused",
        "give a `[state] directory` that this user may write to",
    ),
    (
        "warn",
        "cluster map cannot be read, replication goes on as it was",
        "see the error: start the nodes, or correct `[cluster]`; they are asked again",
    ),
    (
        "error",
        "cluster map refused, the last good one stays",
        "see `reason`; with alternate addresses or TLS, whether every node has that port",
    ),
    (
        "warn",
        "older cluster map ignored",
        "nothing, unless it lasts: then the cluster has lost the node that it names",
    ),
    (
        "warn",
        "DNS SRV lookup failed, the host of the cluster is used",
        "see the error; give `resolver` in `[cluster]`, or, where there are no such records, a \
         port in `address`",
    ),
    (
        "error",
        "copies differ from their producer",
        "see what differs, then `dcp-proxy verify BUCKET --repair`; take none of them over before",
    ),
    (
        "warn",
        "vBuckets could not be compared",
        "see their streams: `dcp-proxy streams --failed`; they are compared again",
    ),
    (
        "warn",
        "a connection failed, opened again",
        "nothing, unless the comparison fails: then see the node that it names",
    ),
    ("warn", "comparison failed", "see the error; it is repeated at the next interval"),
    (
        "warn",
        "no comparison begins",
        "processors are too busy, or it is a defect; it is tried again",
    ),
    ("warn", "command failed", "see its error in the table of error reasons"),
    ("warn", "configuration", "as the warning says: `dcp-proxy check` shows it with its line"),
    (
        "error",
        "configuration not reloaded, the old one stays",
        "correct the file; `dcp-proxy check` lists every mistake",
    ),
    ("warn", "desired maps were still being followed at the end of the stop", "nothing"),
    (
        "warn",
        "etcd has no map, the last good one stays",
        "write the map: `dcp-proxy map put`; `{}` is nothing",
    ),
    ("warn", "etcd is away, replication goes on as it was", "start etcd, or repair the way to it"),
    (
        "warn",
        "invalid after a change, the last good one stays in use",
        "write the secret or certificate anew; it is read again",
    ),
    ("error", "invariant broken", "report it: a defect of the program; `place` names the line"),
    (
        "error",
        "map from etcd refused, the last good one stays",
        "correct the value: `reason` says what is wrong",
    ),
    (
        "warn",
        "new map is in force, streams failed",
        "see `dcp-proxy streams --failed`; they are retried",
    ),
    ("error", "new map is not in force", "see the error, then `dcp-proxy reload`"),
    ("warn", "new map waits for other commands", "nothing; see `dcp-proxy status` where it lasts"),
    (
        "warn",
        "no notifications of file changes, files are read every few seconds instead",
        "raise `fs.inotify.max_user_watches` as the remedy in the line says",
    ),
    ("warn", "progress unknown", "nothing: the demonstration's nodes are asked again"),
    ("warn", "replicating, progress unknown", "nothing: the demonstration's nodes are asked again"),
    ("warn", "reports not written to etcd", "give the user of etcd `readwrite` of the status keys"),
    (
        "warn",
        "run-time change dropped",
        "nothing, where the file was meant to win; else repeat the command",
    ),
    ("warn", "sample writes failed, reconnecting", "nothing: writes of the demonstration"),
    (
        "warn",
        "session file not removed",
        "nothing: the next start replaces it; see whether `[state] directory` can be written",
    ),
    (
        "warn",
        "session file not written",
        "set `[admin] token`, or give a `[state] directory` that this user may write to",
    ),
    ("warn", "settings that need a restart keep their values", "restart the sidecar when it suits"),
    (
        "warn",
        "state not written, changes at run time are refused",
        "free space, or give a `[state] directory` that can be written",
    ),
    (
        "error",
        "state not written, it is tried again",
        "free space on the disk of `[state] directory`",
    ),
    (
        "warn",
        "streams did not close in time, connections dropped",
        "nothing: copies are resumed; raise `shutdown_ms` if it repeats",
    ),
    (
        "warn",
        "streams of a removed bucket did not close in time",
        "nothing: its connections are dropped",
    ),
    ("warn", "terminating immediately, no clean shutdown", "nothing: a second signal asked for it"),
];

/// Lines of a data node.
pub(crate) const NODE: &[Row] = &[
    (
        "error",
        "the node does not work",
        "see `problem`: most often the disk; the watchdog restarts it",
    ),
    (
        "warn",
        "CAS values are ahead of the clock, check the clock",
        "synchronise the clocks of the nodes",
    ),
    ("warn", "TLS handshake failed", "see `error`: a peer without TLS, or with another authority"),
    (
        "error",
        "acknowledged changes lost",
        "only with `durability = \"memory-first\"`: see `error`; restore the documents from their \
         source; what follows is of another branch of history",
    ),
    (
        "warn",
        "authentication failed",
        "correct the password of the client that is named, or look who guesses",
    ),
    ("error", "bucket not closed cleanly", "nothing: the next start recovers as after a crash"),
    ("warn", "cannot accept a connection", "raise the limit of open files (`LimitNOFILE`)"),
    ("warn", "cannot set up a socket", "nothing, unless it repeats"),
    ("warn", "change of a stream failed", "see `error`: most often the disk"),
    ("warn", "changed settings need a restart", "restart the node when it suits"),
    ("warn", "closing a connection", "nothing: the client went away"),
    ("warn", "closing a dcp connection", "see the reason; the sidecar opens it again"),
    (
        "error",
        "commit failed, refusing writes",
        "free space or replace the disk: writes go on by themselves, unless writing has stopped \
         until a restart",
    ),
    ("error", "configuration invalid, the old one stays", "correct the file; it is read again"),
    (
        "warn",
        "connection closed to make room, it had not logged in",
        "find out who opens connections without logging in",
    ),
    (
        "warn",
        "connection rejected, the limit is reached",
        "raise `connections_max`, or find out who holds them",
    ),
    (
        "warn",
        "a journal could not be synced beside commits",
        "see `error`: a broken disk, which stops writes at the next sync, or too few descriptors",
    ),
    (
        "warn",
        "commits may wait for the disk",
        "raise the limit of threads (`ulimit -u`, `TasksMax=`), and restart the node",
    ),
    ("warn", "could not free space in the store", "see `error`: most often a full disk"),
    ("warn", "could not note a synced commit", "see `error`: most often a full disk"),
    ("warn", "could not truncate a value file", "nothing: the rest is ignored and freed later"),
    (
        "error",
        "counting documents failed",
        "a broken disk or damaged data: see `kvnode_data_read_failures_total`",
    ),
    (
        "warn",
        "cutting an unfinished commit off a journal",
        "nothing: what was not acknowledged before a crash",
    ),
    ("warn", "disk usage is counted without the journals", "nothing, unless it repeats"),
    (
        "error",
        "expiry scan failed",
        "a broken disk or damaged data: see `kvnode_data_read_failures_total`",
    ),
    ("error", "expiry scan panicked", "report it: a defect of the program"),
    (
        "warn",
        "fewer connections than connections_max, for want of descriptors",
        "raise the hard limit (`LimitNOFILE`)",
    ),
    (
        "warn",
        "login refused without a look at its password, too many failed before",
        "find out who guesses; a right login waits a little",
    ),
    ("warn", "malformed frame, closing", "find out which client does not speak this protocol"),
    ("error", "metrics cannot be written", "report it: a defect of the program"),
    (
        "warn",
        "no acknowledgement, the streams stand still",
        "see why the consumer named in the line does not read",
    ),
    ("warn", "no byte moved, closing", "nothing: a client that stood still"),
    ("warn", "not authenticated in time, closing", "nothing: a client that did not log in"),
    (
        "error",
        "purge failed",
        "a broken disk or damaged data: see `kvnode_data_read_failures_total`",
    ),
    ("error", "read failed", "a broken disk or damaged data: replace the disk, rebuild the copy"),
    (
        "error",
        "record unreadable, vbucket dead",
        "damaged data: bring back a copy of the folder, or rebuild the vBucket",
    ),
    (
        "warn",
        "removing a damaged row",
        "damaged data in a row that was not needed any more: check the disk",
    ),
    (
        "warn",
        "removing a row with a malformed key",
        "damaged data in a row that was not needed any more: check the disk",
    ),
    (
        "warn",
        "request refused for want of memory, others hold it",
        "raise `quota_mib`, or see who sends large requests",
    ),
    ("error", "rows not stored", "see `error`: a broken disk or a row that cannot be stored"),
    (
        "warn",
        "slow takeover, client writes fail until it ends",
        "see why the consumer is slow; clients retry",
    ),
    (
        "warn",
        "stopping at once, the next start treats this as a crash",
        "nothing: a second signal asked for it",
    ),
    (
        "warn",
        "stopping took too long, connections cut off",
        "nothing; raise `shutdown_s` if it repeats",
    ),
    (
        "warn",
        "stream ended by a refused frame",
        "see status and reason: what the producer sent cannot be stored",
    ),
    ("error", "stream failed", "see `error`: a broken disk or damaged data"),
    (
        "error",
        "suppressed read-failure messages",
        "as `read failed`; it counts those that were not logged",
    ),
    (
        "warn",
        "the configuration file is not watched, send SIGHUP after a change",
        "send SIGHUP, or see the error",
    ),
    (
        "warn",
        "the last stop was not clean, active vBuckets begin a branch",
        "nothing: replicas roll back if they are ahead",
    ),
    ("warn", "the limit of descriptors cannot be raised", "raise the hard limit (`LimitNOFILE`)"),
    ("error", "the store's background thread panicked", "report it; restart the node"),
    ("error", "the store's helper thread panicked", "report it; until a restart commits may wait"),
    ("error", "the thread that stops the node panicked", "report it"),
    (
        "error",
        "vbucket cannot follow the manifest",
        "see `reason`: set a manifest with new ids for what has another name or scope",
    ),
    (
        "error",
        "warm-up failed, the bucket is not served",
        "see `error`: another format, damaged data, or a folder in use",
    ),
    (
        "error",
        "writing stopped until a restart",
        "see `cause`; free space or replace the disk, then restart the node",
    ),
];
