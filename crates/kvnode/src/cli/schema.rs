//! The table of all settings of a data node: the check of a file, the overrides by environment
//! variables, the default file and the reference follow from it.

use settings::{Kind, Reload, Setting};

use crate::bucket::BucketOptions;
use crate::config::{Limits, Role};

/// What the environment variables of settings begin with.
pub(super) const VARIABLES: &str = "KVNODE__";

/// What the default file begins with.
pub(super) const INTRO: &str = "The configuration of kvnode: every setting. A line that begins \
     with # and no space is a setting with its default, or with an example if it has none; remove \
     the # to set it.\n\
     Relative paths are relative to the folder of this file.\n\
     The environment variable KVNODE__SECTION__KEY overrides a key, the command line both.";

/// The largest quota: 4 TiB, more memory than a machine has.
const QUOTA_MIB_MAX: u64 = 4 << 20;
const MIB: u64 = 1024 * 1024;
const BUCKET_NAME: &str = "1 to 100 letters, digits or any of -_.%";
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The settings of a data node as tables of a document, in Markdown.
#[must_use]
pub fn reference() -> String {
    settings::reference(&settings(), VARIABLES)
}

/// All settings.
pub(super) fn settings() -> Vec<Setting> {
    vec![
        Setting::text("listen", "ip:port", "The address to listen on; port 0 for any free one.")
            .unset("required, here or as --listen")
            .shown("\"127.0.0.1:11210\""),
        Setting::text(
            "metrics",
            "ip:port",
            "The address that serves /metrics for Prometheus; it has no password.",
        )
        .unset("no metrics are served")
        .example("\"127.0.0.1:9210\""),
        Setting::path("data", "The folder of the data; it gets a folder for each bucket.")
            .unset("required, here or as --data")
            .shown("\"data\""),
        tls(),
        bucket(),
        user(),
        Setting::path(
            "users_file",
            "A file of more users, with salted verifiers instead of passwords; `kvnode user` \
             writes it.",
        )
        .unset("no more users")
        .example("\"users\"")
        .reload(Reload::Enough),
        Setting::flag(
            "select_user_bucket",
            "A login selects the bucket that has the user's name: for memcached clients that do \
             not know SELECT_BUCKET.",
        ),
        Setting::text(
            "anonymous_bucket",
            BUCKET_NAME,
            "The bucket whose documents connections from this machine read and write without a \
             login.",
        )
        .unset("nobody is served without a login")
        .example("\"default\""),
        Setting::new("log", Kind::Table(log()), "The log.").always().reload(Reload::Enough),
        Setting::new("limits", Kind::Table(limits()), "The limits of the node.").always(),
    ]
}

fn tls() -> Setting {
    let keys = vec![
        Setting::path("certificate", "The certificate of the listener (PEM).")
            .required("\"node.pem\""),
        Setting::path("key", "The key of the certificate (PEM).").required("\"node.key\""),
        Setting::path(
            "client_ca",
            "The authorities of clients' certificates (PEM); clients must then present one.",
        )
        .unset("clients need no certificate")
        .example("\"ca.pem\""),
    ];
    Setting::new("tls", Kind::Table(keys), "With it, every connection uses TLS.")
        .reload(Reload::Replaced)
}

fn bucket() -> Setting {
    let default = BucketOptions::new("default");
    let mut keys = vec![
        Setting::text("name", BUCKET_NAME, "Its name.").required("\"default\""),
        Setting::number(
            "vbuckets",
            1..=1024,
            "How many vBuckets it has; never fewer than the data holds.",
        )
        .default_number(default.vbuckets),
        Setting::choice(
            "state",
            "state",
            &["active", "replica", "none"],
            "The state of the vBuckets in new data.",
        )
        .default_text("active"),
        Setting::choice(
            "durability",
            "durability",
            &["synced", "buffered", "memory-first"],
            "What an acknowledged write has become: synced to disk; buffered, which survives a \
             killed process; or memory-first, which is written a millisecond later and may be lost \
             with the process, as in Couchbase without a durability level.",
        )
        .default_text("synced"),
        Setting::number(
            "quota_mib",
            BucketOptions::QUOTA_BYTES_MIN / MIB..=QUOTA_MIB_MAX,
            "Memory in MiB: caches, commit queue, newest changes, large requests.",
        )
        .default_number(default.quota_bytes / MIB),
        Setting::number(
            "expiry_interval_s",
            1..=86_400,
            "How often documents are checked for expiry.",
        )
        .default_number(default.expiry_pager_interval.as_secs()),
    ];
    keys.extend(of_history(&default));
    Setting::new(
        "bucket",
        Kind::Tables { label: "bucket", settings: keys },
        "A bucket; one section for each. At least one, here or as --bucket.",
    )
    .shown("")
}

/// The settings of a bucket about deletions and clocks.
fn of_history(default: &BucketOptions) -> Vec<Setting> {
    vec![
        Setting::number(
            "deletions_kept_h",
            1..=1440,
            "How long deletions are kept; a copy that was away for longer is rebuilt.",
        )
        .default_number(default.deletions_kept.as_secs() / 3600),
        Setting::number(
            "hlc_drift_ahead_ms",
            1..=86_400_000,
            "A CAS from elsewhere that is further ahead of the clock is counted.",
        )
        .default_number(default.drift.ahead.as_millis()),
        Setting::number(
            "hlc_max_future_s",
            1..=31_622_400,
            "A CAS from elsewhere that is further ahead than this is refused.",
        )
        .default_number(default.drift.future_max.as_secs()),
        Setting::choice(
            "conflict_resolution",
            "resolution",
            &["seqno", "lww"],
            "Which of two changes of different clusters wins: that of the document that was \
             changed more often, or the last write. The same in all clusters.",
        )
        .default_text("seqno"),
        Setting::number(
            "history_retention_bytes",
            0..=1 << 50,
            "How many bytes older versions of documents of collections with history take at most, \
             for clients that follow every change. 0 is no limit; with 0 in both, none are kept.",
        )
        .default_number(default.retention.bytes),
        Setting::number(
            "history_retention_seconds",
            0..=1 << 32,
            "How old such versions become, in seconds. 0 is no limit.",
        )
        .default_number(default.retention.seconds),
    ]
}

fn user() -> Setting {
    let keys = vec![
        Setting::new("name", Kind::Text, "The user's name.").required("\"dcp-proxy\""),
        Setting::new(
            "password",
            Kind::SecretFile,
            "The file with the password; one line break at its end is ignored.",
        )
        .required("{ file = \"password\" }"),
        Setting::choice(
            "role",
            "role",
            &Role::ALL.map(Role::name),
            "What the user may do: everything; read and write documents; read them; what a sidecar \
             needs.",
        )
        .default_text(Role::default().name()),
        Setting::new("buckets", Kind::List, "The buckets in which the user may do that.")
            .unset("every bucket")
            .example("[\"default\"]"),
    ];
    Setting::new(
        "user",
        Kind::Tables { label: "user", settings: keys },
        "A user who may connect; one section for each. At least one, here, in users_file or as \
         --username.",
    )
    .shown("")
    .reload(Reload::Enough)
}

fn log() -> Vec<Setting> {
    vec![
        Setting::choice(
            "level",
            "level",
            &LEVELS,
            "The log level; RUST_LOG and --log override it.",
        )
        .default_text("info"),
        Setting::choice(
            "format",
            "format",
            &["logfmt", "json"],
            "The log format; json is one object a line. --log-format overrides it.",
        )
        .default_text("logfmt"),
    ]
}

fn limits() -> Vec<Setting> {
    let default = Limits::default();
    vec![
        Setting::number(
            "connections_max",
            1..=100_000,
            "Connections at a time, half of them without a login; fewer where descriptors are \
             scarce.",
        )
        .default_number(u64::try_from(default.connections_max).unwrap_or(u64::MAX)),
        Setting::number(
            "authentication_s",
            1..=3600,
            "How long a connection may stay without authenticating.",
        )
        .default_number(default.authentication.as_secs())
        .reload(Reload::Enough),
        Setting::number("worker_threads", 1..=64, "Threads that serve connections.")
            .unset("one for each processor, at most 8")
            .example("2"),
        Setting::number("shutdown_s", 1..=3600, "How long a clean stop waits for connections.")
            .default_number(default.shutdown.as_secs())
            .reload(Reload::Enough),
    ]
}
