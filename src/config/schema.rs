//! The table of all settings: the check of a file, the overrides by environment variables, the
//! default file and the reference follow from it.

use replica::plan::Connections;
use settings::{Kind, Reload, Setting};

use super::{ADMIN_DEFAULT, READY_PERCENT};

mod rest;

/// What the environment variables of settings begin with.
pub const VARIABLES: &str = "DCP_PROXY__";

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
const HOST_PORT: &str = "host:port";
const IP_PORT: &str = "ip:port";
const NODE_NAME: &str = "1 to 100 letters, digits or any of -_.%@:[]";
const BUCKET_NAME: &str = "1 to 100 letters, digits or any of -_.%";
/// Of keys that a node in this process does not have.
const UNLESS_EMBEDDED: &str = "required, unless the node is one of [embedded]";

/// The default folder for data.
pub(super) const DIRECTORY: &str = "data";
/// The default user that the nodes accept.
pub(super) const USERNAME: &str = "dcp-proxy";
/// What the keys in etcd begin with where the file does not say.
pub(super) const PREFIX: &str = "/dcp-proxy";

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
                    "Its name, as in topologies unless consumer_name is given; if it is spelled \
                     otherwise, durable writes do not count this node.",
                )
                .required("\"beta\""),
                address().shown("\"127.0.0.1:11310\""),
                username(),
                password().shown("{ file = \"secrets/beta\" }").reload(Reload::Enough),
                tls("the node").reload(Reload::Replaced),
                allow_plain(),
                Setting::text(
                    "consumer_name",
                    NODE_NAME,
                    "What topologies of durable writes call this node, where that is not its name.",
                )
                .unset("name")
                .example("\"ns_1@10.0.0.2\""),
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
                allow_plain(),
            ],
        )
        .shown("")
        .reload(Reload::Enough),
        bucket(),
        admin(),
        log(),
        rest::capture(),
        rest::limits(),
        rest::verify(),
        section("state", "What the sidecar itself keeps.", vec![rest::state_directory()]).always(),
        section(
            "desired",
            "Where the desired maps come from, if not from replicate of each [[bucket]].",
            vec![rest::etcd()],
        ),
        rest::cluster(),
        rest::embedded(),
    ]
}

/// What the default file begins with.
pub(super) const INTRO: &str = "The configuration of dcp-proxy: every setting. A line that begins \
     with # and no space is a setting with its default, or with an example if it has none; remove \
     the # to set it.\n\
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

fn allow_plain() -> Setting {
    Setting::flag(
        "allow_plain",
        "Whether the password itself may be sent without TLS to another machine, to a node that \
         offers no SASL mechanism but PLAIN.",
    )
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
            Kind::Map { label: "producer" },
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
