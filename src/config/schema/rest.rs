//! The settings of `[limits]`, `[state]`, `[desired]` and `[embedded]`.

use replica::plan::VBUCKETS_MAX;
use settings::{Kind, Reload, Setting};

use super::{BUCKET_NAME, DIRECTORY, IP_PORT, NODE_NAME, PREFIX, USERNAME, section, tables, tls};
use crate::config::checked::Limits;

/// Far more sample documents than needed: 20 GB of them.
const DOCUMENTS_MAX: u64 = 10_000_000;

pub(super) fn limits() -> Setting {
    let default = Limits::default();
    let ms = |name, default: std::time::Duration, range, doc| {
        Setting::number(name, range, doc).default_number(default.as_millis())
    };
    let keys = vec![
        ms("connect_ms", default.connect, 100..=180_000, "The deadline to connect and log in."),
        ms(
            "setup_ms",
            default.setup,
            100..=600_000,
            "The deadline for progress of a link while its streams are added.",
        ),
        ms("close_ms", default.close, 100..=600_000, "The same while they are closed."),
        ms(
            "data_move_ms",
            default.data_move,
            1000..=86_400_000,
            "How long a vBucket may be copied to get closer to its producer before it moves.",
        ),
        ms(
            "stall_ms",
            default.stall,
            1000..=600_000,
            "A link with work to do and no progress for this long is restarted.",
        ),
        ms(
            "lag_interval_ms",
            default.lag_interval,
            100..=60_000,
            "How often data nodes are asked for their seqnos; at most half of stall_ms.",
        ),
        ms(
            "once_idle_ms",
            default.once_idle,
            100..=600_000,
            "--once gives up after this long without progress.",
        ),
        ms("shutdown_ms", default.shutdown, 100..=600_000, "For a clean stop after a signal."),
        ms(
            "retry_ms_min",
            default.retry_min,
            10..=60_000,
            "The pause after a first failure; it doubles with every failure.",
        ),
        ms("retry_ms_max", default.retry_max, 10..=3_600_000, "The longest pause."),
        Setting::number(
            "loop_failures",
            2..=1000,
            "So many failures of a vBucket or link are a loop, which is retried with the longest \
             pause only.",
        )
        .default_number(default.loop_failures),
        ms(
            "loop_window_ms",
            default.loop_window,
            1000..=3_600_000,
            "The time within which these failures are counted.",
        ),
    ];
    section("limits", "Deadlines and sizes; times are in milliseconds.", keys).always()
}

pub(super) fn state_directory() -> Setting {
    Setting::path(
        "directory",
        "The folder of what was changed at run time; no two sidecars may share it.",
    )
    .unset(
        "STATE_DIRECTORY where systemd sets it, else beside this file, named after it: proxy.state",
    )
    .example("\"data/state\"")
}

pub(super) fn etcd() -> Setting {
    let keys = vec![
        Setting::new("endpoints", Kind::List, "host:port of its members; at least one.")
            .required("[\"127.0.0.1:2379\"]"),
        Setting::new("prefix", Kind::Text, "What all keys begin with.").default_text(PREFIX),
        tls("etcd"),
        Setting::new("username", Kind::Text, "The user to log in as, with password.")
            .unset("no login"),
        Setting::new("password", Kind::Secret, "The user's password.").unset("no login"),
    ];
    Setting::new(
        "etcd",
        Kind::Table(keys),
        "An etcd cluster: each sidecar follows the keys of its own node, and no [[bucket]] may \
         have replicate.",
    )
    .required("{ endpoints = [\"127.0.0.1:2379\"], prefix = \"/dcp-proxy\" }")
    .allowed("a table such as { endpoints = [\"127.0.0.1:2379\"] }")
}

pub(super) fn embedded() -> Setting {
    let node = vec![
        Setting::text("name", NODE_NAME, "Its name, for [node] and [[producer]].")
            .required("\"gamma\""),
        Setting::text("listen", IP_PORT, "Where it listens; port 0 takes any free one.")
            .default_text("127.0.0.1:0"),
        Setting::text("bucket", BUCKET_NAME, "Its bucket.").default_text("default"),
        Setting::number("vbuckets", 1..=u64::from(VBUCKETS_MAX), "How many vBuckets it has.")
            .default_number(VBUCKETS_MAX),
        Setting::choice("state", "state", &["active", "replica"], "The state of new vBuckets.")
            .required("\"active\""),
        Setting::number(
            "documents",
            0..=DOCUMENTS_MAX,
            "Sample documents to write before replication starts; of active vBuckets alone.",
        )
        .default_number(0_u64),
    ];
    let keys = vec![
        Setting::path("directory", "The folder of their data; each node has a folder in it.")
            .default_text(DIRECTORY),
        Setting::new("username", Kind::Text, "The user that the nodes accept.")
            .default_text(USERNAME),
        Setting::new("password", Kind::Secret, "The user's password, to log in with other tools.")
            .unset("a random one at each start")
            .reload(Reload::Replaced),
        tables("node", "embedded node", "One such node.", node),
    ];
    section("embedded", "Data nodes to run inside this process.", keys)
}
