//! The effective configuration as JSON, with the keys of the file and without secrets.

use std::time::Duration;

use ::desired::Entry;
use dcp_actors::schema::VbSetText;
use replica::plan::{Connections, Desired};
use serde::Serialize;
use utoipa::ToSchema;

use super::desired::{self, DesiredView};
use crate::config::{Config, Embedded, Limits, Node};
use crate::sources::Sources;

/// Replaces a secret that is set.
const REDACTED: &str = "(redacted)";

/// The effective configuration, with the keys of the file; a secret that is set is `(redacted)`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Configuration)]
pub(crate) struct InForce {
    /// The file.
    #[schema(examples("proxy.toml"))]
    file: String,
    node: NodeFields,
    producer: Vec<NodeFields>,
    bucket: Vec<BucketFields>,
    admin: AdminFields,
    log: LogFields,
    capture: CaptureFields,
    state: StateFields,
    limits: LimitFields,
    verify: VerifyFields,
    /// The data nodes inside the process, if there are any.
    embedded: Option<EmbeddedFields>,
    /// As `GET /api/v1/desired`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    desired: Option<DesiredView>,
}

/// A data node.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = ConfiguredNode)]
enum NodeFields {
    /// One that is reached over the network.
    Remote {
        name: String,
        address: String,
        username: String,
        /// Always `(redacted)`.
        password: &'static str,
        tls: Option<TlsFields>,
        /// Whether the password may be sent without TLS to another machine.
        allow_plain: bool,
    },
    /// One inside the process.
    Embedded { name: String },
}

/// TLS to a node.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConfiguredTls)]
struct TlsFields {
    /// The name that its certificate has to have.
    server_name: String,
}

/// What is replicated of a bucket.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConfiguredBucket)]
struct BucketFields {
    name: String,
    /// Connections to each producer.
    #[schema(value_type = u8, minimum = 1, maximum = 64)]
    connections: Connections,
    /// The vBuckets from each producer.
    #[schema(value_type = BTreeMap<String, VbSetText>)]
    replicate: Desired,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConfiguredAdmin)]
struct AdminFields {
    listen: String,
    token: Option<&'static str>,
    ready_percent: u8,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConfiguredLog)]
struct LogFields {
    level: Option<String>,
    format: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConfiguredCapture)]
struct CaptureFields {
    ring_bytes: usize,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConfiguredState)]
struct StateFields {
    directory: String,
}

/// Deadlines and intervals.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConfiguredLimits)]
struct LimitFields {
    connect_ms: u64,
    setup_ms: u64,
    close_ms: u64,
    data_move_ms: u64,
    stall_ms: u64,
    lag_interval_ms: u64,
    once_idle_ms: u64,
    drain_ms: u64,
    shutdown_ms: u64,
    retry_ms_min: u64,
    retry_ms_max: u64,
    loop_failures: usize,
    loop_window_ms: u64,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConfiguredEmbedded)]
struct EmbeddedFields {
    directory: String,
    username: String,
    password: Option<&'static str>,
    node: Vec<EmbeddedNodeFields>,
}

/// A data node inside the process.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConfiguredEmbeddedNode)]
struct EmbeddedNodeFields {
    name: String,
    listen: String,
    bucket: String,
    vbuckets: u16,
    state: String,
    documents: u64,
}

/// What is in force, and where it comes from.
pub(super) fn in_force(sources: &Sources) -> InForce {
    let config = sources.config();
    let of_bucket = |name: &String| BucketFields::of(name, sources.in_force(name));
    InForce {
        bucket: config.buckets.iter().map(|bucket| of_bucket(&bucket.name)).collect(),
        desired: Some(desired::view(sources)),
        ..InForce::of(&config)
    }
}

/// `[verify]`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConfiguredVerification)]
struct VerifyFields {
    /// 0 where copies are compared on request only.
    interval_s: u64,
    /// Of both nodes together.
    rate_bytes_per_s: u64,
}

/// What a file says.
pub(crate) fn json(config: &Config) -> serde_json::Value {
    serde_json::json!(InForce::of(config))
}

impl InForce {
    fn of(config: &Config) -> Self {
        let buckets = config.buckets.iter().map(|it| {
            let (connections, replicate) = (it.connections, it.desired.clone());
            BucketFields::of(&it.name, Entry { connections, replicate })
        });
        Self {
            file: config.path.display().to_string(),
            node: NodeFields::of(&config.node),
            producer: config.producers.iter().map(NodeFields::of).collect(),
            bucket: buckets.collect(),
            admin: AdminFields {
                listen: config.admin.listen.to_string(),
                token: config.admin.token.as_ref().map(|_| REDACTED),
                ready_percent: config.admin.ready_percent,
            },
            capture: CaptureFields { ring_bytes: config.capture_ring },
            log: LogFields {
                level: config.log.level.map(|level| level.as_str().to_lowercase()),
                format: config.log.format.unwrap_or_default().name(),
            },
            state: StateFields { directory: config.state.display().to_string() },
            limits: LimitFields::of(&config.limits),
            verify: VerifyFields {
                interval_s: config.verify.interval.map_or(0, |every| every.as_secs()),
                rate_bytes_per_s: config.verify.rate.get(),
            },
            embedded: config.embedded.as_ref().map(EmbeddedFields::of),
            desired: None,
        }
    }
}

impl BucketFields {
    fn of(name: &str, Entry { connections, replicate }: Entry) -> Self {
        Self { name: name.to_owned(), connections, replicate }
    }
}

impl NodeFields {
    fn of(node: &Node) -> Self {
        match node {
            Node::Remote(node) => Self::Remote {
                name: node.name.clone(),
                address: node.address.clone(),
                username: node.username.clone(),
                password: REDACTED,
                tls: node.tls.as_ref().map(|tls| TlsFields { server_name: tls.server_name() }),
                allow_plain: node.allow_plain,
            },
            Node::Embedded(name) => Self::Embedded { name: name.clone() },
        }
    }
}

impl LimitFields {
    fn of(limits: &Limits) -> Self {
        let ms = |limit: &Duration| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        Self {
            connect_ms: ms(&limits.connect),
            setup_ms: ms(&limits.setup),
            close_ms: ms(&limits.close),
            data_move_ms: ms(&limits.data_move),
            stall_ms: ms(&limits.stall),
            lag_interval_ms: ms(&limits.lag_interval),
            once_idle_ms: ms(&limits.once_idle),
            drain_ms: ms(&limits.drain),
            shutdown_ms: ms(&limits.shutdown),
            retry_ms_min: ms(&limits.retry_min),
            retry_ms_max: ms(&limits.retry_max),
            loop_failures: limits.loop_failures,
            loop_window_ms: ms(&limits.loop_window),
        }
    }
}

impl EmbeddedFields {
    fn of(embedded: &Embedded) -> Self {
        let nodes = embedded.nodes.iter().map(|node| EmbeddedNodeFields {
            name: node.name.clone(),
            listen: node.listen.to_string(),
            bucket: node.bucket.clone(),
            vbuckets: node.vbuckets,
            state: node.state.to_string(),
            documents: node.documents,
        });
        Self {
            directory: embedded.directory.display().to_string(),
            username: embedded.username.clone(),
            password: embedded.password.as_ref().map(|_| REDACTED),
            node: nodes.collect(),
        }
    }
}
