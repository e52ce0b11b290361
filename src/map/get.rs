//! `dcp-proxy map get`: prints the maps.

use etcdmaps::{Cluster, EtcdConfig, Present, Store};
use serde_json::{Map, Value, json};

use super::failure::Failure;
use super::output;

/// Prints all maps, those of a node, or that of one of its buckets. What is no map goes to standard
/// error, and is a failure.
pub(super) async fn get(
    etcd: &EtcdConfig,
    node: Option<&str>,
    bucket: Option<&str>,
    json: bool,
) -> Result<(), Failure> {
    let (store, present) = Store::open(etcd).await?;
    let (mut good, mut bad) = present.read(store.keys());
    good.maps.retain(|(its_node, its_bucket), _| {
        node.is_none_or(|node| node == its_node) && bucket.is_none_or(|it| it == its_bucket)
    });
    let asked_for = match (node, bucket) {
        (Some(node), Some(bucket)) => store.keys().map(node, bucket),
        (Some(node), None) => store.keys().maps_of(node),
        (None, _) => store.keys().maps(),
    };
    bad.retain(|key, _| key.starts_with(&asked_for));
    if json {
        output::json(&all(&present, &good, &bad.clone().into_iter().collect::<Vec<_>>(), &store))?;
    } else if !good.maps.is_empty() || node.is_none() {
        output::text(&good.text())?;
    }
    if !bad.is_empty() {
        let lines: Vec<_> = bad.iter().map(|(key, why)| format!("{key}: {why}")).collect();
        return Err(Failure::Failed(lines.join("\n")));
    }
    if good.maps.is_empty() && node.is_some() {
        return Err(Failure::Failed(format!("etcd has no map at {asked_for}")));
    }
    Ok(())
}

fn all(present: &Present, good: &Cluster, bad: &[(String, String)], store: &Store) -> Value {
    let mut nodes = Map::new();
    for ((node, bucket), entry) in &good.maps {
        let key = store.keys().map(node, bucket);
        let revision = present.stored.get(key.as_bytes()).map(|stored| stored.revision);
        let map = json!({
            "revision": revision, "connections": entry.connections, "replicate": entry.replicate,
        });
        let buckets = nodes.entry(node).or_insert_with(|| json!({}));
        if let Some(buckets) = buckets.as_object_mut() {
            buckets.insert(bucket.clone(), map);
        }
    }
    let bad = bad.iter().map(|(key, reason)| json!({ "key": key, "reason": reason }));
    json!({ "revision": present.revision, "maps": nodes, "refused": bad.collect::<Vec<_>>() })
}
