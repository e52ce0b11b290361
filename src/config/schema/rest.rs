//! The settings of `[limits]`, `[verify]`, `[state]`, `[desired]` and `[embedded]`.

use std::ops::RangeInclusive;
use std::time::Duration;

use replica::plan::VBUCKETS_MAX;
use settings::{Kind, Reload, Setting};

use super::{BUCKET_NAME, DIRECTORY, IP_PORT, NODE_NAME, PREFIX, USERNAME, section, tables, tls};
use crate::config::checked::Limits;
use crate::config::verification::Verification;
use crate::verify::RATE_MIN;

/// A link with 1,000 documents of 1 KiB a second fills it in 15 s.
const RING_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Far more sample documents than needed: 20 GB of them.
const DOCUMENTS_MAX: u64 = 10_000_000;

/// The longest interval of verification: 30 days.
const INTERVAL_S_MAX: u64 = 30 * 86_400;

pub(super) fn limits() -> Setting {
    let default = Limits::default();
    let mut keys = vec![
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
        ms(
            "drain_ms",
            default.drain,
            0..=600_000,
            "How long replication goes on after a signal, with /ready at 503, before the stop.",
        ),
        ms(
            "shutdown_ms",
            default.shutdown,
            100..=600_000,
            "For a clean stop after a signal, once drain_ms is over.",
        ),
    ];
    keys.extend(of_retries(&default));
    section("limits", "Deadlines and sizes; times are in milliseconds.", keys).always()
}

/// The limits of what is tried again.
fn of_retries(default: &Limits) -> Vec<Setting> {
    vec![
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
    ]
}

fn ms(
    name: &'static str,
    default: Duration,
    range: RangeInclusive<u64>,
    doc: &'static str,
) -> Setting {
    Setting::number(name, range, doc).default_number(default.as_millis())
}

pub(super) fn capture() -> Setting {
    let keys = vec![
        Setting::number(
            "ring_bytes",
            0..=RING_BYTES_MAX,
            "So many bytes of the last frames are kept of each link for `capture --last`; 0 keeps \
             the handshake and the last control frames alone.",
        )
        .default_number(0_u64),
    ];
    section("capture", "What is kept of the past of links.", keys).always().reload(Reload::Enough)
}

pub(super) fn verify() -> Setting {
    let default = Verification::default();
    let keys = vec![
        Setting::number(
            "interval_s",
            0..=INTERVAL_S_MAX,
            "How often every replicated vBucket is compared with its producer, row by row; 0 for \
             only on request. 86400 is a good value.",
        )
        .default_number(default.interval.map_or(0, |every| every.as_secs())),
        Setting::number(
            "rate_bytes_per_s",
            RATE_MIN..=100_000_000_000,
            "How much a comparison reads at most, of both nodes together. It reads all data of \
             both: 100 GB at each take 5.6 hours at 10 MB/s.",
        )
        .default_number(default.rate.get()),
    ];
    let doc = "The verification of copies: it finds what differs at equal seqnos.";
    section("verify", doc, keys).always().reload(Reload::Enough)
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

pub(super) fn cluster() -> Setting {
    let keys = vec![
        Setting::text(
            "address",
            "couchbase://host1,host2, or couchbases:// for TLS",
            "The nodes to begin with, each a host or host:port. One name without a port may have \
             DNS SRV records that name them.",
        )
        .required("\"couchbases://cb1.example,cb2.example\""),
        Setting::text("resolver", "ip or ip:port", "The name server to ask for DNS SRV records.")
            .unset("those of /etc/resolv.conf")
            .example("\"10.0.0.53\""),
        Setting::new("username", Kind::Text, "The user to log in as, at every node.")
            .required("\"dcp-proxy\""),
        Setting::new("password", Kind::Secret, "The user's password.")
            .required("{ file = \"secrets/cluster\" }"),
        tls("the node"),
        Setting::choice(
            "network",
            "network",
            &["auto", "default", "external"],
            "Which addresses of the nodes are used; auto for those of the network that the first \
             node was reached by, external for alternate addresses.",
        )
        .default_text("auto"),
    ];
    let doc = "A Couchbase cluster that is followed: its maps say which node has which vBucket of \
               each [[bucket]], and no [[producer]] and no replicate may be set.";
    section("cluster", doc, keys)
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
