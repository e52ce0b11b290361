//! Asks the sidecar of this configuration, if one runs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::client::{Probe, probe};
use crate::config::Config;
use crate::doctor::facts::{Running, Sidecar};

/// What answers at `[admin] listen`. Blocks.
pub(super) fn sidecar(
    listen: std::net::SocketAddr,
    token: Option<relay::Secret>,
) -> (Sidecar, Value) {
    match probe(listen, token) {
        Probe::Unknown(why) => (Sidecar::Unknown(why), Value::Null),
        Probe::Silent(why) => (Sidecar::Silent(why), Value::Null),
        Probe::Stranger(why) => (Sidecar::Stranger(why), Value::Null),
        Probe::Answers { url, status, config } => {
            let running = Running { url, ..running(&status) };
            (Sidecar::Runs(running), config)
        }
    }
}

fn running(status: &Value) -> Running {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let list = |key: &str| status.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let is_ready = status.get("ready").and_then(Value::as_bool) == Some(true);
    let mut not_ready: Vec<_> = list("not_ready").iter().map(|reason| text(Some(reason))).collect();
    if !is_ready && not_ready.is_empty() {
        not_ready.push(format!("its phase is {:?}", text(status.get("phase"))));
    }
    let links = |bucket: &Value| {
        (text(bucket.get("bucket")), bucket.get("links_up").and_then(Value::as_u64).unwrap_or(0))
    };
    Running {
        url: String::new(),
        node: text(status.pointer("/node/name")),
        not_ready,
        links_up: list("buckets").iter().map(links).collect(),
        differs: Vec::new(),
    }
}

/// The settings in which the configuration of a running sidecar differs from that of the file, as
/// keys such as `limits.stall_ms`. A setting that only one of them knows is left out: the versions
/// differ.
pub(super) fn differences(config: &Config, running: &Value) -> Vec<String> {
    let mut found = BTreeSet::new();
    compare("", &crate::admin::effective_json(config), running, &mut found);
    // The same file has several paths.
    found.remove("file");
    found.into_iter().collect()
}

fn compare(key: &str, ours: &Value, theirs: &Value, found: &mut BTreeSet<String>) {
    match (ours, theirs) {
        (Value::Object(left), Value::Object(right)) => {
            for (name, ours) in left {
                if let Some(theirs) = right.get(name) {
                    compare(&under(key, name), ours, theirs, found);
                }
            }
        }
        (Value::Array(left), Value::Array(right)) => {
            let (left, right) = (by_name(left), by_name(right));
            for name in left.keys().chain(right.keys()) {
                match (left.get(name), right.get(name)) {
                    (Some(ours), Some(theirs)) => compare(&under(key, name), ours, theirs, found),
                    _ => drop(found.insert(under(key, name))),
                }
            }
        }
        (ours, theirs) if ours != theirs => drop(found.insert(key.to_owned())),
        _ => {}
    }
}

fn under(key: &str, name: &str) -> String {
    if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") }
}

/// The entries of a list by their names, else by their own text.
fn by_name(list: &[Value]) -> BTreeMap<String, &Value> {
    let name = |value: &Value| match value.get("name").and_then(Value::as_str) {
        Some(name) => name.to_owned(),
        None => value.to_string(),
    };
    list.iter().map(|value| (name(value), value)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_differ_by_their_keys_and_unknown_ones_are_left_out() {
        let ours = json!({
            "node": { "name": "beta", "address": "a:1" }, "new": 1,
            "bucket": [{ "name": "default", "replicate": { "alpha": "0-7" } }, { "name": "b" }],
        });
        let theirs = json!({
            "node": { "name": "beta", "address": "a:2" }, "old": 1,
            "bucket": [{ "name": "default", "replicate": { "alpha": "0-5" } }],
        });
        let mut found = BTreeSet::new();
        compare("", &ours, &theirs, &mut found);
        let found: Vec<_> = found.into_iter().collect();
        assert_eq!(found, ["bucket.b", "bucket.default.replicate.alpha", "node.address"]);
        let mut none = BTreeSet::new();
        compare("", &ours, &ours, &mut none);
        assert!(none.is_empty());
    }

    #[test]
    fn a_status_without_its_fields_is_read_as_not_ready() {
        assert_eq!(running(&json!({})).not_ready, ["its phase is \"\""]);
        let status = json!({
            "ready": true, "node": { "name": "beta" },
            "buckets": [{ "bucket": "default", "links_up": 2 }],
        });
        let found = running(&status);
        assert!(found.not_ready.is_empty() && found.node == "beta");
        assert_eq!(found.links_up.get("default"), Some(&2));
    }
}
