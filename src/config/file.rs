//! The configuration file as written: structure and spans, without checks.
//!
//! `flatten` and `untagged` are not used: both lose the spans and the check for unknown keys.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use toml::Spanned;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) node: Option<Node>,
    #[serde(default)]
    pub(super) producer: Vec<Node>,
    #[serde(default)]
    pub(super) bucket: Vec<Bucket>,
    #[serde(default)]
    pub(super) admin: Admin,
    #[serde(default)]
    pub(super) log: Log,
    #[serde(default)]
    pub(super) capture: Capture,
    #[serde(default)]
    pub(super) limits: Limits,
    pub(super) embedded: Option<Embedded>,
    #[serde(default)]
    pub(super) state: State,
    pub(super) desired: Option<DesiredMaps>,
    pub(super) cluster: Option<Cluster>,
    #[serde(default)]
    pub(super) verify: Verify,
}

/// `[verify]`: the verification of copies.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Verify {
    pub(super) interval_s: Option<Spanned<u64>>,
    pub(super) rate_bytes_per_s: Option<Spanned<u64>>,
}

/// `[state]`: where the sidecar keeps what was changed at run time.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    pub(super) directory: Option<Spanned<PathBuf>>,
}

/// `[desired]`: where the desired maps come from, if not from the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DesiredMaps {
    pub(super) etcd: Spanned<Etcd>,
}

/// `[cluster]`: a cluster whose maps are followed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cluster {
    pub(super) address: Spanned<String>,
    pub(super) resolver: Option<Spanned<String>>,
    pub(super) username: Spanned<String>,
    pub(super) password: Spanned<Secret>,
    pub(super) tls: Option<Spanned<Tls>>,
    pub(super) network: Option<Spanned<String>>,
}

/// `etcd` of `[desired]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Etcd {
    pub(super) endpoints: Spanned<Vec<Spanned<String>>>,
    pub(super) prefix: Option<Spanned<String>>,
    pub(super) tls: Option<Spanned<Tls>>,
    pub(super) username: Option<Spanned<String>>,
    pub(super) password: Option<Spanned<Secret>>,
}

/// `[node]` and `[[producer]]`: a data node and how to log in to it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Node {
    pub(super) name: Spanned<String>,
    pub(super) address: Option<Spanned<String>>,
    pub(super) username: Option<Spanned<String>>,
    pub(super) password: Option<Spanned<Secret>>,
    pub(super) tls: Option<Spanned<Tls>>,
    pub(super) allow_plain: Option<Spanned<bool>>,
    pub(super) consumer_name: Option<Spanned<String>>,
}

/// `tls` of a data node.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tls {
    pub(super) ca: Option<Spanned<PathBuf>>,
    pub(super) certificate: Option<Spanned<PathBuf>>,
    pub(super) key: Option<Spanned<PathBuf>>,
    pub(super) server_name: Option<Spanned<String>>,
}

/// `[[bucket]]`: what is replicated.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bucket {
    pub(super) name: Spanned<String>,
    pub(super) connections: Option<Spanned<u64>>,
    #[serde(default)]
    pub(super) replicate: BTreeMap<Spanned<String>, Spanned<String>>,
}

/// `[admin]`: where the admin API listens.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Admin {
    pub(super) listen: Option<Spanned<String>>,
    pub(super) token: Option<Spanned<Secret>>,
    pub(super) ready_percent: Option<Spanned<u64>>,
}

/// `[log]`: what is logged, and how.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Log {
    pub(super) level: Option<Spanned<String>>,
    pub(super) format: Option<Spanned<String>>,
}

/// `[capture]`: what is kept of the past of links.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Capture {
    pub(super) ring_bytes: Option<Spanned<u64>>,
}

/// `[limits]`: see [`crate::config::Limits`] for what each is.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) connect_ms: Option<Spanned<u64>>,
    pub(super) setup_ms: Option<Spanned<u64>>,
    pub(super) close_ms: Option<Spanned<u64>>,
    pub(super) data_move_ms: Option<Spanned<u64>>,
    pub(super) stall_ms: Option<Spanned<u64>>,
    pub(super) lag_interval_ms: Option<Spanned<u64>>,
    pub(super) once_idle_ms: Option<Spanned<u64>>,
    pub(super) drain_ms: Option<Spanned<u64>>,
    pub(super) shutdown_ms: Option<Spanned<u64>>,
    pub(super) retry_ms_min: Option<Spanned<u64>>,
    pub(super) retry_ms_max: Option<Spanned<u64>>,
    pub(super) loop_failures: Option<Spanned<u64>>,
    pub(super) loop_window_ms: Option<Spanned<u64>>,
}

/// `[embedded]`: data nodes to run inside this process.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Embedded {
    pub(super) directory: Option<PathBuf>,
    pub(super) username: Option<Spanned<String>>,
    pub(super) password: Option<Spanned<Secret>>,
    #[serde(default)]
    pub(super) node: Vec<EmbeddedNode>,
}

/// `[[embedded.node]]`: one data node inside this process.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EmbeddedNode {
    pub(super) name: Spanned<String>,
    pub(super) listen: Option<Spanned<String>>,
    pub(super) bucket: Option<Spanned<String>>,
    pub(super) vbuckets: Option<Spanned<u64>>,
    pub(super) state: Spanned<String>,
    pub(super) documents: Option<Spanned<u64>>,
}

/// A secret as written: a literal, or the place where it is kept.
pub(super) enum Secret {
    /// The secret itself.
    Literal(String),
    /// The file that holds it, relative to the folder of the configuration file.
    File(PathBuf),
    /// The environment variable that holds it.
    Env(String),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(_) => f.write_str("Literal(..)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Env(name) => f.debug_tuple("Env").field(name).finish(),
        }
    }
}

/// The table form of a secret: exactly one of the two keys.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum SecretPlace {
    File(PathBuf),
    Env(String),
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = Secret;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, { file = \"...\" } or { env = \"...\" }")
            }
            fn visit_str<E>(self, literal: &str) -> Result<Secret, E> {
                Ok(Secret::Literal(literal.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Secret, A::Error> {
                Ok(match SecretPlace::deserialize(MapAccessDeserializer::new(map))? {
                    SecretPlace::File(path) => Secret::File(path),
                    SecretPlace::Env(name) => Secret::Env(name),
                })
            }
        }
        from.deserialize_any(Form)
    }
}
