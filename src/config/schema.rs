//! The table of all settings: the check of a file, the overrides by environment variables, the
//! default file and the reference follow from it.

use replica::plan::{Connections, VBUCKETS_MAX};
use settings::{Kind, Reload, Setting};

use super::checked::Limits;
use super::embedded::{DIRECTORY, DOCUMENTS_MAX, USERNAME};
use super::sources::PREFIX;
use super::{ADMIN_DEFAULT, READY_PERCENT};

/// What the environment variables of settings begin with.
pub const VARIABLES: &str = "DCP_PROXY__";

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
const HOST_PORT: &str = "host:port";
const IP_PORT: &str = "ip:port";
const NODE_NAME: &str = "1 to 100 letters, digits or any of -_.%@:[]";
const BUCKET_NAME: &str = "1 to 100 letters, digits or any of -_.%";
/// Of keys that a node in this process does not have.
const UNLESS_EMBEDDED: &str = "required, unless the node is one of [embedded]";

/// All settings.
#[must_use]
pub fn settings() -> Vec<Setting> {
    vec![
        section(
            "node",
            "The data node that this sidecar serves: the consumer side.",
            vec![
                Setting::text(
                    "name",
                    NODE_NAME,
                    "Its name, as in topologies; if it is spelled otherwise, durable writes do not \
                     count this node.",
                )
                .required("\"beta\""),
                address().shown("\"127.0.0.1:11310\""),
                username(),
                password().shown("{ file = \"secrets/beta\" }").reload(Reload::Enough),
                tls("the node").reload(Reload::Replaced),
            ],
        )
        .shown(""),
        tables(
            "producer",
            "producer",
            "A remote data node to replicate from; one section for each.",
            vec![
                Setting::text("name", NODE_NAME, "Its name, for [[bucket]] replicate.")
                    .required("\"alpha\""),
                address().shown("\"127.0.0.1:11210\""),
                username(),
                password().shown("{ file = \"secrets/alpha\" }"),
                tls("the node"),
            ],
        )
        .shown("")
        .reload(Reload::Enough),
        bucket(),
        admin(),
        log(),
        limits(),
        section("state", "What the sidecar itself keeps.", vec![state_directory()]).always(),
        section(
            "desired",
            "Where the desired maps come from, if not from replicate of each [[bucket]].",
            vec![etcd()],
        ),
        embedded(),
    ]
}

/// What the default file begins with.
pub(super) const INTRO: &str = "The configuration of dcp-proxy: every setting. A line that begins with # and no space is a \
     setting with its default, or with an example if it has none; remove the # to set it.\n\
     Relative paths are relative to the folder of this file.\n\
     A password or token is a text, { file = \"secrets/beta\" } or { env = \"BETA_PASSWORD\" }.\n\
     The environment variable DCP_PROXY__SECTION__KEY overrides a key.";

fn section(name: &'static str, doc: &'static str, settings: Vec<Setting>) -> Setting {
    Setting::new(name, Kind::Table(settings), doc)
}

fn tables(
    name: &'static str,
    label: &'static str,
    doc: &'static str,
    settings: Vec<Setting>,
) -> Setting {
    Setting::new(name, Kind::Tables { label, settings }, doc)
}

fn address() -> Setting {
    Setting::text("address", HOST_PORT, "Where it listens.").unset(UNLESS_EMBEDDED)
}

fn username() -> Setting {
    Setting::new("username", Kind::Text, "The user to log in as.")
        .unset(UNLESS_EMBEDDED)
        .shown("\"dcp-proxy\"")
}

fn password() -> Setting {
    Setting::new("password", Kind::Secret, "The user's password.").unset(UNLESS_EMBEDDED)
}

fn tls(of: &'static str) -> Setting {
    let doc = match of {
        "etcd" => "TLS to etcd.",
        _ => "TLS to the node.",
    };
    let keys = vec![
        Setting::path("ca", "The certificate authorities to trust (PEM).")
            .unset("required for TLS")
            .example("\"ca.pem\""),
        Setting::path("certificate", "The own certificate (PEM), where the peer wants one.")
            .unset("no client certificate")
            .example("\"me.pem\""),
        Setting::path("key", "The key of the certificate (PEM).")
            .unset("no client certificate")
            .example("\"me.key\""),
        Setting::new("server_name", Kind::Text, "The name that the peer's certificate is for.")
            .unset("the host of the address"),
    ];
    Setting::new("tls", Kind::Table(keys), doc)
        .unset("plain TCP")
        .allowed("a table such as { ca = \"ca.pem\" }")
        .example("{ ca = \"ca.pem\", certificate = \"me.pem\", key = \"me.key\" }")
}

fn bucket() -> Setting {
    let keys = vec![
        Setting::text("name", BUCKET_NAME, "Its name, the same on all nodes.")
            .required("\"default\""),
        Setting::number(
            "connections",
            1..=u64::from(Connections::MAX.count()),
            "Connections to each producer; a vBucket uses number (id modulo this).",
        )
        .default_number(1_u64),
        Setting::new(
            "replicate",
            Kind::Map,
            "The vBuckets from each producer, such as \"0-511,600\".",
        )
        .unset("nothing is replicated")
        .shown("{ alpha = \"0-1023\" }"),
    ];
    tables("bucket", "bucket", "A bucket and what is replicated of it; one section for each.", keys)
        .shown("")
        .reload(Reload::Enough)
}

fn admin() -> Setting {
    let keys = vec![
        Setting::text(
            "listen",
            IP_PORT,
            "Where it listens. An address that is not loopback needs a token.",
        )
        .default_text(ADMIN_DEFAULT.to_string()),
        Setting::new("token", Kind::Secret, "The token that a request must have.")
            .unset("requests need none")
            .example("{ file = \"secrets/admin\" }")
            .reload(Reload::Enough),
        Setting::number(
            "ready_percent",
            0..=100,
            "/ready is 200 once so many percent of the wanted streams are open; 0 for as soon as \
             replication runs.",
        )
        .default_number(READY_PERCENT)
        .reload(Reload::Enough),
    ];
    section("admin", "The admin API.", keys).always()
}

fn log() -> Setting {
    let keys = vec![
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
    ];
    section("log", "The log.", keys).always().reload(Reload::Enough)
}

fn limits() -> Setting {
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

fn state_directory() -> Setting {
    Setting::path(
        "directory",
        "The folder of what was changed at run time; no two sidecars may share it.",
    )
    .unset(
        "STATE_DIRECTORY where systemd sets it, else beside this file, named after it: proxy.state",
    )
    .example("\"data/state\"")
}

fn etcd() -> Setting {
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
        "An etcd cluster: each sidecar follows the keys of its own node, and no [[bucket]] may have \
         replicate.",
    )
    .required("{ endpoints = [\"127.0.0.1:2379\"], prefix = \"/dcp-proxy\" }")
    .allowed("a table such as { endpoints = [\"127.0.0.1:2379\"] }")
}

fn embedded() -> Setting {
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
