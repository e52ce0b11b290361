//! The effective configuration as JSON, with the keys of the file and without secrets.

use std::time::Duration;

use ::desired::Entry;
use serde_json::{Value, json};

use super::desired;
use crate::config::{Embedded, Limits, Node};
use crate::sources::Sources;

/// Replaces a secret that is set.
const REDACTED: &str = "(redacted)";

pub(super) fn json(sources: &Sources) -> Value {
    let config = sources.config();
    let buckets = config.buckets.iter().map(|bucket| {
        let Entry { connections, replicate } = sources.in_force(&bucket.name);
        json!({ "name": bucket.name, "connections": connections, "replicate": replicate })
    });
    let token = config.admin.token.as_ref().map(|_| REDACTED);
    json!({
        "file": config.path.display().to_string(),
        "node": node(&config.node),
        "producer": config.producers.iter().map(node).collect::<Vec<_>>(),
        "bucket": buckets.collect::<Vec<_>>(),
        "admin": {
            "listen": config.admin.listen.to_string(),
            "token": token,
            "ready_percent": config.admin.ready_percent,
        },
        "log": {
            "level": config.log.level.map(|level| level.as_str().to_lowercase()),
            "format": config.log.format.unwrap_or_default().name(),
        },
        "state": { "directory": config.state.display().to_string() },
        "desired": desired::view(sources),
        "limits": limits(&config.limits),
        "embedded": config.embedded.as_ref().map(embedded),
    })
}

fn node(node: &Node) -> Value {
    match node {
        Node::Remote(node) => json!({
            "name": node.name,
            "address": node.address,
            "username": node.username,
            "password": REDACTED,
            "tls": node.tls.as_ref().map(|tls| json!({ "server_name": tls.server_name() })),
        }),
        Node::Embedded(name) => json!({ "name": name }),
    }
}

fn limits(limits: &Limits) -> Value {
    let ms = |limit: &Duration| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    json!({
        "connect_ms": ms(&limits.connect),
        "setup_ms": ms(&limits.setup),
        "close_ms": ms(&limits.close),
        "data_move_ms": ms(&limits.data_move),
        "stall_ms": ms(&limits.stall),
        "lag_interval_ms": ms(&limits.lag_interval),
        "once_idle_ms": ms(&limits.once_idle),
        "shutdown_ms": ms(&limits.shutdown),
        "retry_ms_min": ms(&limits.retry_min),
        "retry_ms_max": ms(&limits.retry_max),
        "loop_failures": limits.loop_failures,
        "loop_window_ms": ms(&limits.loop_window),
    })
}

fn embedded(embedded: &Embedded) -> Value {
    let nodes = embedded.nodes.iter().map(|node| {
        json!({
            "name": node.name,
            "listen": node.listen.to_string(),
            "bucket": node.bucket,
            "vbuckets": node.vbuckets,
            "state": node.state.to_string(),
            "documents": node.documents,
        })
    });
    json!({
        "directory": embedded.directory.display().to_string(),
        "username": embedded.username,
        "password": embedded.password.as_ref().map(|_| REDACTED),
        "node": nodes.collect::<Vec<_>>(),
    })
}
