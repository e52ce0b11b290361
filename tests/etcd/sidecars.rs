//! Two sidecars, each beside a node of its own, are driven by etcd.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::common::{Config, DataNode, Etcd, Sidecar, nodes, until};

const VBUCKETS: u16 = 8;
const CHANGES: u64 = 200;
/// Etcd is killed after each so many changes.
const KILL_EVERY: u64 = 25;

/// A sidecar of `node` that replicates from `alpha` what etcd says.
fn sidecar(folder: &TempDir, node: &DataNode, alpha: &DataNode, etcd: &str) -> Sidecar {
    let config = Config::new(&node.endpoint(), &alpha.endpoint(), "0-7");
    let text = config.as_str().replace("replicate = { alpha = \"0-7\" }\n", "");
    let desired = format!("[desired]\netcd = {{ endpoints = [{etcd:?}], prefix = \"/t\" }}\n");
    let own = folder.path().join(format!("sidecar-{}", node.name));
    std::fs::create_dir_all(&own).unwrap();
    Sidecar::start(&own, &Config::text(format!("{text}{desired}")))
}

/// Small, repeatable chance.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % sides
    }

    /// A map with some of the vBuckets; now and then one that is nonsense.
    fn map(&mut self) -> Result<Value, String> {
        if self.roll(10) == 0 {
            return Err(["{", "{\"alpha\":\"8000\"}", "{\"nobody\":\"1\"}"][self.roll(3) as usize]
                .to_owned());
        }
        let vbs: Vec<_> =
            (0..VBUCKETS).filter(|_| self.roll(2) == 0).map(|vb| vb.to_string()).collect();
        let mut map = BTreeMap::new();
        if !vbs.is_empty() {
            map.insert("alpha", vbs.join(","));
        }
        Ok(json!({ "replicate": map, "connections": 1 + self.roll(3) }))
    }
}

/// What a sidecar has as its map, by its API.
async fn desired(sidecar: &Sidecar) -> Value {
    let mut asked = sidecar.ask(&["config", "diff", "--json"]).await;
    asked.exit_code().await;
    serde_json::from_str(&asked.out()).unwrap_or_default()
}

/// Waits until a sidecar replicates a map, and reports it.
async fn ends_at(sidecar: &Sidecar, etcd: &Etcd, node: &str, map: &Value) {
    let mut vbs = Vec::new();
    if let Some(set) = map["replicate"]["alpha"].as_str() {
        vbs = set.split(',').map(|vb| vb.parse::<u16>().unwrap()).collect();
    }
    until(&format!("the sidecar of {node} is at {map}"), async || {
        let mut asked = sidecar.ask(&["streams", "--json"]).await;
        asked.exit_code().await;
        let seen: Value = serde_json::from_str(&asked.out()).ok()?;
        let links = seen["buckets"][0]["links"].as_array()?.clone();
        let streams = links.iter().flat_map(|link| link["streams"].as_array().unwrap().clone());
        let mut open: Vec<_> = streams
            .filter(|stream| stream["phase"] == "open")
            .map(|stream| stream["vbucket"].as_u64().unwrap() as u16)
            .collect();
        open.sort_unstable();
        (open == vbs && seen["buckets"][0]["connections"] == map["connections"]).then_some(())
    })
    .await;
    let count = vbs.len();
    let status = format!("/t/status/{node}/default");
    etcd.value(&status, |report| {
        let open = report["open"]["alpha"].as_str().unwrap_or_default();
        let vbs: replica::plan::VbSet = open.parse().unwrap_or_default();
        vbs.len() == count
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sidecars_end_at_the_map_through_changes_and_kills_of_etcd() {
    let Some(mut etcd) = Etcd::start().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let (alpha, beta) = nodes(&folder).await;
    let gamma = DataNode::start(folder.path(), "gamma", "replica", VBUCKETS).await;
    let mut sidecars = [&beta, &gamma]
        .map(|node| (node.name.clone(), sidecar(&folder, node, &alpha, &etcd.endpoint())));
    let (mut dice, mut last) = (Dice(7), BTreeMap::new());
    for change in 1..=CHANGES {
        let (node, _) = &sidecars[dice.roll(2) as usize];
        let key = format!("/t/maps/{node}/default");
        match dice.map() {
            Ok(map) => {
                etcd.put(&key, &map.to_string());
                last.insert(node.clone(), map);
            }
            Err(nonsense) => _ = etcd.put(&key, &nonsense),
        }
        if change % KILL_EVERY == 0 {
            etcd.kill();
            etcd.restart().await;
        }
    }
    // The last word is a good one, for both.
    for (node, sidecar) in &mut sidecars {
        let map = last[node].clone();
        etcd.put(&format!("/t/maps/{node}/default"), &map.to_string());
        ends_at(sidecar, &etcd, node, &map).await;
    }
    // Away: what is in force stays, and is said; also over a restart of the sidecar.
    etcd.kill();
    let (node, beta_sidecar) = &mut sidecars[0];
    beta_sidecar.process.logs(&["etcd is away, replication goes on"]).await;
    let before = desired(beta_sidecar).await["buckets"][0]["in_force"].clone();
    assert_eq!(before["connections"], last[node]["connections"]);
    beta_sidecar.process.kill_9();
    beta_sidecar.restart();
    let after = until("the sidecar answers", async || {
        let seen = desired(beta_sidecar).await;
        (!seen["buckets"][0]["in_force"].is_null()).then(|| seen.clone())
    })
    .await;
    assert_eq!(after["buckets"][0]["in_force"], before);
    etcd.restart().await;
    ends_at(beta_sidecar, &etcd, node, &last[node]).await;
    for (node, sidecar) in &mut sidecars {
        // It reports again, so it has a lease to give back.
        let status = format!("/t/status/{node}/default");
        let at = etcd.put(&format!("/t/maps/{node}/default"), &last[node].to_string());
        etcd.value(&status, |report| report["revision"] == at).await;
        sidecar.stop().await;
        until("its report is gone", async || etcd.get(&status).is_none().then_some(())).await;
    }
}

/// A value that cannot be used is told by key, value and what is allowed; the last good map stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_map_that_is_nonsense_is_refused_by_key_and_the_last_one_stays() {
    let Some(etcd) = Etcd::start().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let (alpha, beta) = nodes(&folder).await;
    let mut sidecar = sidecar(&folder, &beta, &alpha, &etcd.endpoint());
    let map = json!({ "replicate": { "alpha": "0,1,2" }, "connections": 1 });
    etcd.put("/t/maps/beta/default", &map.to_string());
    ends_at(&sidecar, &etcd, "beta", &map).await;
    etcd.put("/t/maps/beta/default", "{\"nobody\":\"5\"}");
    let words = ["ERROR", "/t/maps/beta/default", "nobody", "give one of alpha"];
    sidecar.process.logs(&words).await;
    ends_at(&sidecar, &etcd, "beta", &map).await;
    let seen = desired(&sidecar).await;
    assert_eq!(seen["source"]["kind"], "etcd");
    let refused = &seen["buckets"][0]["etcd"]["refused"];
    assert_eq!(refused["key"], "/t/maps/beta/default", "{seen}");
    tokio::time::timeout(Duration::from_secs(30), sidecar.stop()).await.unwrap();
}
